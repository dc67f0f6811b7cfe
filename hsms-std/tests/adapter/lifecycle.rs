//! Connections come and go.

use crate::support::*;
use hsms_core::config::SelectMode;
use hsms_core::connection::ControlRequest;
use hsms_core::wire::RejectReason;
use hsms_std::{CloseReason, Connection, Error, Fault, Header, Incoming, Options, State, StreamFunction, SystemBytes};
use socket2::{Domain, SockRef, Socket, Type};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_passive_side_binds_at_once_and_says_where() {
    let (tool, address) = equipment(equipment_config());
    assert_ne!(address.port(), 0);
    assert_eq!(tool.state(), State::NotConnected);
    let error = Connection::passive(address, equipment_config()).unwrap_err();
    assert!(matches!(error, Error::Listen { address: refused, .. } if refused == address), "{error:?}");
    assert_eq!(error.fault(), Fault::Capacity);
}

#[test]
fn a_refused_dial_is_repeated_after_t5_until_the_peer_listens() {
    // Bound and not listening: dials are refused, and nobody else gets the port.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let t5 = Duration::from_millis(50);
    let started = Instant::now();
    let mut host = host(address, host_config().with_t5(t5).unwrap());
    let mut failures = Vec::new();
    while failures.len() < 3 {
        match host.next(LONG).unwrap().unwrap() {
            Incoming::ConnectFailed { error } => {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
                failures.push(Instant::now());
            }
            other => panic!("{other:?}"),
        }
    }
    for (before, failed) in (0..).zip(&failures) {
        // From the beginning: where one failure is told late, the next one seems to come early. Milliseconds are cut off at both ends.
        let (passed, least) = (*failed - started, (t5 - Duration::from_millis(2)) * before);
        assert!(passed >= least, "failure {before} after {passed:?}");
    }
    assert_eq!(host.counters().failed_attempts, 3);
    socket.listen(1).unwrap();
    let peer = thread::spawn(move || {
        let mut peer = Raw::over(socket.accept().unwrap().0.into());
        peer.be_selected();
        peer
    });
    host.select(LONG).unwrap();
    drop(peer.join().unwrap());
}

#[test]
fn select_gives_up_at_its_limit_and_says_why() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut nobody = host(address, host_config());
    let limit = Duration::from_millis(40);
    let error = nobody.select(limit).unwrap_err();
    match &error {
        Error::NotSelected { limit: given, state: State::NotConnected, source: Some(source), .. } => {
            assert_eq!(*given, limit);
            assert_eq!(source.kind(), std::io::ErrorKind::ConnectionRefused);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(error.fault(), Fault::Link);

    // A peer that takes the connection and says nothing: T6.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = host_config().with_t6(Duration::from_millis(20)).unwrap();
    let mut silent = host(listener.local_addr().unwrap(), silent);
    let error = silent.select(Duration::from_millis(100)).unwrap_err();
    let Error::NotSelected { closed: Some(reason), .. } = error else { panic!("{error:?}") };
    assert_eq!(reason, CloseReason::T6(ControlRequest::Select));
    assert_eq!(error.fault(), Fault::Peer);
}

#[test]
fn a_host_comes_back_after_the_link_is_lost() {
    let (mut tool, address) = equipment(equipment_config());
    thread::scope(|scope| {
        let served = scope.spawn(move || [echo_until_closed(&mut tool), echo_until_closed(&mut tool)]);
        let mut host = host(address, host_config());
        host.select(LONG).unwrap();
        host.request(S1F1, &[]).unwrap();
        let before = host.peer_addr();
        host.reconnect(LONG).unwrap();
        assert_eq!(host.peer_addr(), before);
        host.request(S1F1, &[]).unwrap();
        assert_eq!(host.counters().reconnects, 1);
        host.close().unwrap();
        assert_eq!(served.join().unwrap(), [1, 1]);
    });
}

#[test]
fn a_lost_peer_is_told_and_dialled_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut host = host(listener.local_addr().unwrap(), host_config());
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..3 {
                let mut peer = Raw::over(listener.accept().unwrap().0);
                peer.be_selected();
            }
        });
        for _ in 0..3 {
            host.select(LONG).unwrap();
            assert_eq!(closed(&mut host), CloseReason::TransportClosed);
            assert_eq!(host.state(), State::NotConnected);
        }
    });
}

/// Field failure 7.
#[test]
fn a_lost_link_is_dialled_again_after_t5_and_not_before() {
    let t5 = Duration::from_millis(150);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut host = host(listener.local_addr().unwrap(), host_config().with_t5(t5).unwrap());
    thread::scope(|scope| {
        let peer = scope.spawn(|| {
            let mut lost = None;
            for _ in 0..3 {
                let stream = listener.accept().unwrap().0;
                if let Some(lost) = lost {
                    let passed = Instant::now() - lost;
                    // Milliseconds are cut off at both ends.
                    assert!(passed >= t5 - Duration::from_millis(2), "dialled again after {passed:?}");
                }
                let mut peer = Raw::over(stream);
                peer.be_selected();
                // It is lost when this is dropped, and not before.
                lost = Some(Instant::now());
            }
        });
        for _ in 0..3 {
            host.select(LONG).unwrap();
            assert_eq!(closed(&mut host), CloseReason::TransportClosed);
        }
        peer.join().unwrap();
    });
    assert_eq!(host.counters().reconnects, 2);
}

#[test]
fn separate_ends_the_session_and_the_link_on_both_sides() {
    let (mut tool, address) = equipment(equipment_config());
    thread::scope(|scope| {
        let ended = scope.spawn(move || (closed(&mut tool), tool.state()));
        let mut host = host(address, host_config());
        host.select(LONG).unwrap();
        host.separate().unwrap();
        assert_eq!(host.state(), State::NotConnected);
        assert_eq!(closed(&mut host), CloseReason::Separated);
        assert_eq!(ended.join().unwrap(), (CloseReason::SeparateReceived, State::NotConnected));
        let error = host.separate().unwrap_err();
        assert!(matches!(error, Error::Refused(hsms_core::Error::NotConnected)), "{error:?}");
    });
}

#[test]
fn what_was_posted_before_close_arrives_in_front_of_the_separate() {
    let (mut tool, address) = equipment(equipment_config());
    thread::scope(|scope| {
        let served = scope.spawn(move || echo_until_closed(&mut tool));
        let mut host = host(address, host_config());
        host.select(LONG).unwrap();
        for _ in 0..50 {
            host.post(S6F11, &text(300)).unwrap();
        }
        host.close().unwrap();
        assert_eq!(served.join().unwrap(), 50);
    });
}

#[test]
fn a_disabled_connection_stays_away_until_it_is_enabled() {
    let (mut tool, address) = equipment(equipment_config());
    let mut raw = Raw::connect(address);
    thread::scope(|scope| {
        let selected = scope.spawn(|| raw.select());
        tool.select(LONG).unwrap();
        selected.join().unwrap();
    });
    tool.disable();
    tool.disable();
    assert_eq!(raw.receive().0.name(), "SeparateReq");
    raw.expect_close();
    // What happened is told, and then that nothing can happen any more.
    assert_eq!(closed(&mut tool), CloseReason::Disabled);
    assert!(matches!(tool.next(Duration::MAX), Err(Error::Disabled)));
    assert!(matches!(tool.select(Duration::MAX), Err(Error::Disabled)));
    let refused = std::net::TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);

    tool.enable();
    tool.enable();
    // It listens again in the calls that follow.
    assert!(tool.next(Duration::ZERO).unwrap().is_none());
    let mut raw = Raw::connect(address);
    thread::scope(|scope| {
        scope.spawn(|| raw.select());
        tool.select(LONG).unwrap();
    });
}

#[test]
fn disabling_stops_a_dial_and_enabling_dials_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut host = host(listener.local_addr().unwrap(), host_config());
    host.disable();
    assert!(matches!(host.select(LONG), Err(Error::Disabled)));
    host.enable();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut peer = Raw::over(listener.accept().unwrap().0);
            peer.be_selected();
            peer
        });
        host.select(LONG).unwrap();
    });
}

#[test]
fn the_application_may_select_by_command() {
    let (mut tool, address) = equipment(equipment_config());
    thread::scope(|scope| {
        scope.spawn(move || echo_until_closed(&mut tool));
        let mut host = host(address, host_config().with_select_mode(SelectMode::OnCommand));
        next_of(&mut host, |incoming| matches!(incoming, Incoming::Connected).then_some(()));
        assert_eq!(host.state(), State::NotSelected);
        host.select(LONG).unwrap();
        host.request(S1F1, &[]).unwrap();
        host.close().unwrap();
    });
}

#[test]
fn linktests_are_answered_both_ways() {
    let (mut tool, address) = equipment(equipment_config());
    thread::scope(|scope| {
        let served = scope.spawn(move || {
            next_of(&mut tool, |incoming| matches!(incoming, Incoming::Selected).then_some(()));
            tool.linktest().unwrap();
            echo_until_closed(&mut tool);
            *tool.counters()
        });
        let mut host = host(address, host_config());
        host.select(LONG).unwrap();
        host.linktest().unwrap();
        host.request(S1F1, &[]).unwrap();
        host.linktest().unwrap();
        // The tool's linktest may still be on its way.
        while host.counters().received.messages.linktest_req == 0 {
            host.linktest().unwrap();
        }
        let counters = *host.counters();
        host.close().unwrap();
        let theirs = served.join().unwrap();
        assert_eq!(theirs.received.messages.linktest_req, counters.sent.messages.linktest_req);
        assert_eq!(theirs.sent.messages.linktest_req, 1);
        assert_eq!(theirs.received.messages.linktest_rsp, 1);
    });
}

#[test]
fn a_reject_of_a_linktest_says_that_the_peer_is_alive() {
    let (mut tool, address) = equipment(equipment_config());
    let mut raw = Raw::connect(address);
    thread::scope(|scope| {
        scope.spawn(|| raw.select());
        tool.select(LONG).unwrap();
    });
    thread::scope(|scope| {
        scope.spawn(|| {
            let request = raw.receive().0;
            assert_eq!(request.name(), "LinktestReq");
            raw.send(Header::reject_req(request.system, 5, RejectReason::STYPE_NOT_SUPPORTED), &[]);
        });
        tool.linktest().unwrap();
    });
    assert_eq!(tool.state(), State::Selected);
}

#[test]
fn a_half_open_peer_is_found_by_linktest() {
    let config = equipment_config().with_linktest_period(Duration::from_millis(20)).unwrap();
    let (mut tool, address) = equipment(config.with_t6(Duration::from_millis(20)).unwrap());
    let mut raw = Raw::connect(address);
    thread::scope(|scope| {
        // It selects, and then neither says anything nor closes.
        scope.spawn(|| raw.select());
        assert_eq!(closed(&mut tool), CloseReason::T6(ControlRequest::Linktest));
    });
    assert_eq!(raw.receive().0.name(), "LinktestReq");
    raw.expect_close();
}

#[test]
fn a_linktest_that_is_missed_below_the_threshold_is_told_and_the_link_stays() {
    let config = equipment_config().with_linktest_threshold(2).unwrap().with_t6(Duration::from_millis(20)).unwrap();
    let (mut tool, address) = equipment(config);
    let mut raw = Raw::connect(address);
    thread::scope(|scope| {
        scope.spawn(|| raw.select());
        tool.select(LONG).unwrap();
    });
    let error = tool.linktest().unwrap_err();
    assert!(matches!(error, Error::LinktestMissed { missed: 1 }), "{error:?}");
    let error = tool.linktest().unwrap_err();
    let Error::Closed { reason, .. } = error else { panic!("{error:?}") };
    assert_eq!(reason, CloseReason::T6(ControlRequest::Linktest));
}

#[test]
fn an_idle_wait_ends_at_its_limit() {
    let (mut tool, address) = equipment(equipment_config());
    let started = Instant::now();
    let limit = Duration::from_millis(60);
    assert!(tool.next(limit).unwrap().is_none());
    assert!(started.elapsed() >= limit);
    let mut raw = Raw::connect(address);
    thread::scope(|scope| {
        scope.spawn(|| raw.select());
        tool.select(LONG).unwrap();
    });
    while tool.next(Duration::ZERO).unwrap().is_some() {}
    for limit in [60, 1, 0, 30] {
        let started = Instant::now();
        assert!(tool.next(Duration::from_millis(limit)).unwrap().is_none());
        // The start may have been anywhere within its millisecond.
        assert!(started.elapsed() >= Duration::from_millis(limit.saturating_sub(1)));
    }
}

#[test]
fn a_name_that_means_nothing_is_an_error() {
    let error = Connection::active("127.0.0.1:no-port", host_config()).unwrap_err();
    assert!(matches!(error, Error::Address { .. }), "{error:?}");
    assert_eq!(error.fault(), Fault::Caller);
}

#[test]
fn a_dial_that_nobody_answers_ends_at_the_connect_limit() {
    // A queue of one place, taken: further dials hang.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let limit = Duration::from_millis(50);
    let mut taken = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, limit) {
        taken.push(stream);
    }
    let options = Options::new().with_connect_limit(limit);
    let mut host = Connection::with_options(address, host_config(), options).unwrap();
    match host.next(LONG).unwrap().unwrap() {
        Incoming::ConnectFailed { error } => assert_eq!(error.kind(), std::io::ErrorKind::TimedOut),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_linktest_that_is_cut_off_by_the_end_of_the_link_is_no_transaction_of_the_application() {
    let config = equipment_config().with_linktest_period(Duration::from_millis(20)).unwrap();
    let (mut tool, address) = equipment(config);
    let mut raw = Raw::connect(address);
    thread::scope(|scope| {
        scope.spawn(move || {
            raw.select();
            assert_eq!(raw.receive().0.name(), "LinktestReq");
            // Gone, and the linktest open.
        });
        loop {
            match tool.next(LONG).unwrap().unwrap() {
                Incoming::Closed { .. } => break,
                Incoming::Connected | Incoming::Selected => {}
                other => panic!("{other:?}"),
            }
        }
    });
    let rest = tool.next(Duration::ZERO).unwrap();
    assert!(rest.is_none(), "{rest:?}");
}

#[test]
fn a_connection_that_is_dropped_writes_what_it_was_given() {
    let (mut tool, address) = equipment(equipment_config());
    thread::scope(|scope| {
        let peer = scope.spawn(move || {
            let mut raw = Raw::connect(address);
            raw.select();
            raw.send(primary(2, StreamFunction::new(1, 1)), &[]);
            let (reply, body) = raw.receive();
            assert_eq!((reply.stream_function().to_string(), body), ("S1F2".to_owned(), b"last words".to_vec()));
            raw.expect_close();
        });
        loop {
            if let Some(Incoming::Primary { token: Some(token), .. }) = tool.next(LONG).unwrap() {
                tool.reply(&token, b"last words").unwrap();
                break;
            }
        }
        drop(tool);
        peer.join().unwrap();
    });
}

#[test]
fn a_peer_that_only_asks_for_linktests_does_not_move_the_limit_of_a_call() {
    let (mut tool, address) = equipment(equipment_config());
    let done = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut raw = Raw::connect(address);
            raw.select();
            let linktest = Header::linktest_req(SystemBytes(9));
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                raw.send(linktest, &[]);
                assert_eq!(raw.receive().0, Header::linktest_rsp(SystemBytes(9)));
            }
        });
        tool.select(LONG).unwrap();
        while tool.next(Duration::from_millis(50)).unwrap().is_some() {}
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        // Lets the last answer out.
        while !matches!(tool.next(LONG).unwrap(), Some(Incoming::Closed { .. })) {}
    });
}

#[test]
fn messages_that_come_just_as_the_limit_passes_are_not_lost() {
    let (mut tool, address) = equipment(equipment_config());
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut raw = Raw::connect(address);
            raw.select();
            for system in 0..100 {
                raw.send(primary(system, StreamFunction::new(1, 1)), &[7; 20]);
                assert_eq!(raw.receive().0.system, SystemBytes(system));
            }
        });
        tool.select(LONG).unwrap();
        let end = Instant::now() + LONG;
        let mut served = 0;
        // Every call finds its limit passed at once: what it reads then is what it gives.
        while served < 100 {
            assert!(Instant::now() < end, "message {served} was lost");
            if let Some(Incoming::Primary { token: Some(token), .. }) = tool.next(Duration::ZERO).unwrap() {
                tool.reply(&token, &[]).unwrap();
                served += 1;
            }
        }
        tool.flush().unwrap();
    });
}

/// The system says it once, to whichever call comes first: here it is a write.
#[test]
fn calls_after_a_reset_tell_that_it_was_one() {
    type Call = fn(&mut Connection) -> Result<(), Error>;
    let calls: [Call; 3] = [
        |tool| tool.request(StreamFunction::new(1, 1), b"text").map(drop),
        |tool| tool.linktest().map(drop),
        |tool| tool.send(StreamFunction::new(6, 11), b"text").and_then(|_| tool.flush()),
    ];
    for (index, call) in calls.into_iter().enumerate() {
        let (mut tool, address) = equipment(equipment_config());
        let mut peer = Raw::connect(address);
        peer.send(Header::select_req(SystemBytes(1)), &[]);
        tool.select(LONG).unwrap();
        assert_eq!(peer.receive().0, Header::select_rsp(SystemBytes(1)));
        SockRef::from(&peer.0).set_linger(Some(Duration::ZERO)).unwrap();
        drop(peer);
        match call(&mut tool) {
            Err(Error::Closed { reason: CloseReason::TransportClosed, source: Some(source) }) => {
                assert_eq!(source.kind(), std::io::ErrorKind::ConnectionReset, "call {index}");
            }
            other => panic!("call {index}: {other:?}"),
        }
    }
}
