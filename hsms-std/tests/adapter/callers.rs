//! Who may call a passive side, and what the others are told.

use crate::support::*;
use hsms_core::wire::{Header, SelectStatus, SystemBytes};
use hsms_std::security::Refusal;
use hsms_std::{CloseReason, Connection, Incoming, Options, State};
use socket2::{Domain, Socket, Type};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::Duration;

/// Waits until the tool has turned so many callers away.
fn refused(tool: &mut Connection, callers: u64) {
    while tool.callers_refused().total() < callers {
        let _ = tool.next(LONG).unwrap().expect("callers are told of");
    }
}

/// Field failure 27.
#[test]
fn a_second_caller_gets_status_1_and_a_close_while_the_first_goes_on() {
    let (mut tool, address) = equipment(equipment_config());
    thread::scope(|scope| {
        let served = scope.spawn(move || {
            let count = echo_until_closed(&mut tool);
            (count, tool.callers_refused().total())
        });
        let mut host = host(address, host_config());
        host.select(LONG).unwrap();
        for round in 0..5_u32 {
            host.request(S1F1, &[]).unwrap();
            let mut second = Raw::connect(address);
            second.send(Header::select_req(SystemBytes(round)), &[]);
            let refusal =
                Header::select_rsp(SystemBytes(round)).with_status(SelectStatus::COMMUNICATION_ALREADY_ACTIVE.0);
            assert_eq!(second.receive(), (refusal, Vec::new()));
            second.expect_close();
            host.request(S1F1, &[1, 2, 3]).unwrap();
        }
        host.close().unwrap();
        assert_eq!(served.join().unwrap(), (10, 5));
    });
}

#[test]
fn a_second_caller_is_answered_while_the_first_never_stops_sending() {
    let (mut tool, address) = equipment(equipment_config());
    thread::scope(|scope| {
        scope.spawn(move || echo_until_closed(&mut tool));
        let mut host = host(address, host_config());
        host.select(LONG).unwrap();
        let caller = scope.spawn(move || {
            let mut second = Raw::connect(address);
            second.send(Header::select_req(SystemBytes(9)), &[]);
            second.receive().0.byte3
        });
        let mut requests = 0_u64;
        while !caller.is_finished() {
            host.request(S1F1, &[0; 64]).unwrap();
            requests += 1;
        }
        assert_eq!(caller.join().unwrap(), SelectStatus::COMMUNICATION_ALREADY_ACTIVE.0);
        assert!(requests > 0);
        host.close().unwrap();
    });
}

#[test]
fn a_second_caller_that_says_nothing_is_hung_up_on_after_t7() {
    let (mut tool, address) = equipment(equipment_config().with_t7(Duration::from_millis(30)).unwrap());
    let mut first = Raw::connect(address);
    // It is there before T7 starts, and octets that are there go before timers.
    first.send(Header::select_req(SystemBytes(1)), &[]);
    tool.select(LONG).unwrap();
    first.receive();
    let mut second = Raw::connect(address);
    thread::scope(|scope| {
        let closed = scope.spawn(move || second.expect_close());
        while !closed.is_finished() {
            let _ = tool.next(Duration::from_millis(5)).unwrap();
        }
        closed.join().unwrap();
    });
    assert_eq!(tool.state(), State::Selected);
}

#[test]
fn more_callers_than_are_refused_at_a_time_are_refused_one_after_the_other() {
    let (mut tool, address) = equipment(equipment_config());
    let mut first = Raw::connect(address);
    thread::scope(|scope| {
        scope.spawn(|| first.select());
        tool.select(LONG).unwrap();
    });
    let mut callers: Vec<Raw> = (0..30).map(|_| Raw::connect(address)).collect();
    thread::scope(|scope| {
        let told = scope.spawn(move || {
            for (system, caller) in (1_u32..).zip(&mut callers) {
                caller.send(Header::select_req(SystemBytes(system)), &[]);
            }
            for caller in &mut callers {
                assert_eq!(caller.receive().0.byte3, SelectStatus::COMMUNICATION_ALREADY_ACTIVE.0);
                caller.expect_close();
            }
        });
        refused(&mut tool, 30);
        while !told.is_finished() {
            let _ = tool.next(Duration::from_millis(5)).unwrap();
        }
        told.join().unwrap();
    });
    assert_eq!(tool.state(), State::Selected);
    assert_eq!(tool.callers_refused().total(), 30);
}

#[test]
fn a_caller_that_floods_and_does_not_read_holds_nobody_up() {
    let (mut tool, address) = equipment(equipment_config().with_t7(Duration::from_millis(200)).unwrap());
    let mut first = Raw::connect(address);
    // It is there before T7 starts, and octets that are there go before timers.
    first.send(Header::select_req(SystemBytes(1)), &[]);
    tool.select(LONG).unwrap();
    first.receive();
    thread::scope(|scope| {
        let served = scope.spawn(move || echo_until_closed(&mut tool));
        // Linktests without end and no look at the answers, until it is hung up on.
        let flood = scope.spawn(move || {
            let mut second = Raw::connect(address);
            let octets = Header::linktest_req(SystemBytes(1)).encode_alone().repeat(1_000);
            while second.0.write_all(&octets).is_ok() {}
        });
        let mut requests = 0;
        while !flood.is_finished() || requests == 0 {
            first.send(primary(requests, S1F1), &[1]);
            assert_eq!(first.receive().1, [1]);
            requests += 1;
        }
        flood.join().unwrap();
        drop(first);
        assert_eq!(served.join().unwrap(), requests as usize);
    });
}

#[test]
fn only_the_expected_address_is_taken() {
    let expected: IpAddr = [127, 0, 0, 2].into();
    let options = Options::new().with_expected_peer(Some(expected));
    let mut tool = Connection::with_options("127.0.0.1:0", equipment_config(), options).unwrap();
    let address = tool.local_addr().unwrap();
    let mut stranger = Raw::connect(address);
    match tool.next(LONG).unwrap().unwrap() {
        Incoming::CallerRefused { caller, why: Refusal::Unexpected } => {
            assert_eq!(caller, stranger.0.local_addr().unwrap());
        }
        other => panic!("{other:?}"),
    }
    stranger.expect_close();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((expected, 0)).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    let mut friend = Raw::over(socket.into());
    thread::scope(|scope| {
        scope.spawn(|| friend.select());
        tool.select(LONG).unwrap();
    });
    assert_eq!(tool.peer_addr().unwrap().ip(), expected);
    // Strangers are hung up on while it is served, and it goes on.
    let mut stranger = Raw::connect(address);
    refused(&mut tool, 2);
    stranger.expect_close();
    friend.send(Header::linktest_req(SystemBytes(5)), &[]);
    thread::scope(|scope| {
        let answered = scope.spawn(|| friend.receive().0);
        while !answered.is_finished() {
            let _ = tool.next(Duration::from_millis(5)).unwrap();
        }
        assert_eq!(answered.join().unwrap(), Header::linktest_rsp(SystemBytes(5)));
    });
}

/// Field failure 3.
#[test]
fn half_a_frame_and_a_close_leaves_the_endpoint_alive() {
    let (mut tool, address) = equipment(equipment_config());
    let select = Header::select_req(SystemBytes(1)).encode_alone();
    for cut in 1..select.len() {
        let mut raw = Raw::connect(address);
        raw.0.write_all(&select[..cut]).unwrap();
        drop(raw);
        assert_eq!(closed(&mut tool), CloseReason::TransportClosed);
    }
    // The same in the middle of a text, with a session.
    let mut raw = Raw::connect(address);
    thread::scope(|scope| {
        scope.spawn(move || {
            raw.select();
            let mut octets = vec![0; 1_014];
            hsms_std::Message::new(primary(2, S1F1), &text(1_000)).encode(&mut octets).unwrap();
            raw.0.write_all(&octets[..500]).unwrap();
        });
        assert_eq!(closed(&mut tool), CloseReason::TransportClosed);
    });
    thread::scope(|scope| {
        let served = scope.spawn(move || echo_until_closed(&mut tool));
        let mut host = host(address, host_config());
        host.select(LONG).unwrap();
        host.request(S1F1, &text(100)).unwrap();
        host.close().unwrap();
        assert_eq!(served.join().unwrap(), 1);
    });
}
