//! Two ends that understand each other.

use crate::support::*;
use hsms_std::{Header, Incoming, State, SystemBytes};
use std::io::Write;
use std::net::TcpListener;
use std::sync::mpsc::channel;
use std::thread;

#[test]
fn a_host_selects_and_requests_and_is_answered() {
    let (mut tool, address) = equipment(equipment_config());
    thread::scope(|scope| {
        let served = scope.spawn(move || echo_until_closed(&mut tool));
        let mut host = host(address, host_config());
        host.select(LONG).unwrap();
        assert_eq!(host.state(), State::Selected);
        for len in [0, 1, 64, 5_000, 70_000, 1_000_000, 3] {
            let text = text(len);
            let reply = host.request(S1F1, &text).unwrap();
            assert_eq!(reply.header.stream_function(), S1F1.reply().unwrap());
            assert!(reply.body == text, "{len} octets came back changed");
        }
        host.close().unwrap();
        assert_eq!(served.join().unwrap(), 7);
    });
}

#[test]
fn posted_primaries_are_answered_in_any_number() {
    let (mut tool, address) = equipment(equipment_config());
    thread::scope(|scope| {
        let served = scope.spawn(move || echo_until_closed(&mut tool));
        let mut host = host(address, host_config());
        host.select(LONG).unwrap();
        let mut open = Vec::new();
        for round in 0..10 {
            while host.open_transactions() < 64 {
                let text = text(open.len() * 31 + round);
                open.push((host.post(S6F11, &text).unwrap(), text));
            }
            let mut left = 40;
            while left > 0 {
                if let Incoming::Reply { message } = host.next(LONG).unwrap().unwrap() {
                    let place = open.iter().position(|(system, _)| *system == message.header.system).unwrap();
                    assert!(open.swap_remove(place).1 == message.body);
                    left -= 1;
                }
            }
        }
        let waiting = open.len();
        host.close().unwrap();
        assert_eq!(served.join().unwrap(), 400 + waiting);
    });
}

#[test]
fn the_peers_linktest_is_answered_before_a_call_returns() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut host = host(listener.local_addr().unwrap(), host_config());
    let (answered, answers) = channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut raw = Raw::over(listener.accept().unwrap().0);
            raw.be_selected();
            for system in [SystemBytes(9), SystemBytes(10)] {
                let request = raw.receive().0;
                let reply = match request.name() {
                    "LinktestReq" => Header::linktest_rsp(request.system),
                    _ => Header::data(request.system, S1F1.reply().unwrap(), false, DEVICE.session()),
                };
                let octets = [Header::linktest_req(system).encode_alone(), reply.encode_alone()];
                raw.0.write_all(&octets.concat()).unwrap();
                answered.send(raw.receive().0).unwrap();
            }
        });
        host.select(LONG).unwrap();
        // After each call the application does something else.
        host.request(S1F1, &[]).unwrap();
        assert_eq!(answers.recv_timeout(LONG).unwrap(), Header::linktest_rsp(SystemBytes(9)));
        host.linktest().unwrap();
        assert_eq!(answers.recv_timeout(LONG).unwrap(), Header::linktest_rsp(SystemBytes(10)));
    });
}
