//! Our host and our equipment with the proxy between them, over TCP.

use crate::{LONG, S1F1, host_config, primary, text, tool_config};
use hsms_core::connection::ControlRequest;
use hsms_std::faults::{At, End, Fault, Frame, Passage, Peer, PeerError, Plan, Plans, Proxy, Sizes};
use hsms_std::{CloseReason, Config, Connection, Error, Header, Incoming, Options, SystemBytes};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Answers every primary with its own text until a host has said farewell; gives why each connection ended.
fn echo(tool: &mut Connection) -> Vec<CloseReason> {
    let (mut reasons, mut text) = (Vec::new(), Vec::new());
    while reasons.last() != Some(&CloseReason::SeparateReceived) {
        let token = match tool.next(LONG).unwrap().expect("the host goes in time") {
            Incoming::Primary { token: Some(token), .. } => token,
            Incoming::Closed { reason, .. } => {
                reasons.push(reason);
                continue;
            }
            _ => continue,
        };
        tool.take_body(&mut text);
        match tool.reply(&token, &text) {
            // The end of a connection is told by `next`.
            Ok(()) | Err(Error::Closed { .. } | Error::Refused(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    reasons
}

/// A host that talks to equipment through a proxy, and what became of the connections.
struct Talk {
    tool_closed: Vec<CloseReason>,
    passages: Vec<Passage>,
}

fn talk(
    plans: impl FnMut(u64) -> Plans + Send + 'static,
    host_config: Config,
    tool_config: Config,
    host_does: impl FnOnce(&mut Connection),
) -> Talk {
    let mut tool = Connection::passive("127.0.0.1:0", tool_config).unwrap();
    let proxy = Proxy::start("127.0.0.1:0", tool.local_addr().unwrap(), plans).unwrap();
    let mut host = Connection::active(proxy.local_addr(), host_config).unwrap();
    let tool_closed = thread::scope(|scope| {
        let tool = scope.spawn(|| echo(&mut tool));
        host.select(LONG).unwrap();
        host_does(&mut host);
        host.close().unwrap();
        tool.join().unwrap()
    });
    assert_eq!(proxy.unanswered(), 0);
    let mut passages = proxy.stop();
    passages.sort_by_key(|passage| passage.connection);
    Talk { tool_closed, passages }
}

/// Sends texts of many lengths and gets each back.
fn converse(host: &mut Connection) {
    for len in (0..40).chain([255, 256, 4_000, 20_000]) {
        let reply = host.request(S1F1, &text(len)).unwrap();
        assert!(reply.body == text(len), "{len}");
    }
}

/// Waits for the end of the connection; gives the reason.
fn closed(host: &mut Connection) -> CloseReason {
    let until = Instant::now() + LONG;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if let Incoming::Closed { reason, .. } = host.next(left).unwrap().expect("it closes in time") {
            return reason;
        }
    }
}

/// What is not the first message, which is the Select.req, or its response.
fn second(octet: u64) -> At {
    At::Message { number: 1, octet }
}

/// The first connection suffers from the host to the tool, and ends; the second does not. Gives why the host and the tool
/// say that the first ended.
fn ends_once(fault: Fault, tool_config: Config) -> (CloseReason, CloseReason) {
    let mut reason = None;
    let plans = Plans::out(fault.clone());
    let talk = talk(plans.once(), host_config(), tool_config, |host| {
        match host.request(S1F1, &text(10)) {
            Err(Error::Closed { reason: why, .. }) => reason = Some(why),
            other => panic!("{other:?}"),
        }
        // T5 later there is another, and it is good.
        host.select(LONG).unwrap();
        converse(host);
    });
    // The tool may turn a caller away until it has found out.
    assert!(talk.passages.len() >= 2);
    assert_eq!(talk.passages[0].out.faults, [(fault, 1)]);
    let [why, CloseReason::SeparateReceived] = talk.tool_closed[..] else { panic!("{:?}", talk.tool_closed) };
    (reason.unwrap(), why)
}

#[test]
fn everything_arrives_intact_in_single_octets() {
    let talk = talk(Plans::both(Fault::split(1)).always(), host_config(), tool_config(), converse);
    assert_eq!(talk.tool_closed, [CloseReason::SeparateReceived]);
    let [passage] = &talk.passages[..] else { panic!("{:?}", talk.passages) };
    for report in [&passage.out, &passage.back] {
        assert!(report.octets_in > 25_000);
        assert_eq!(
            (report.octets_out, &report.faults[..]),
            (report.octets_in, &[(Fault::split(1), report.octets_in)][..])
        );
    }
}

#[test]
fn everything_arrives_intact_late_and_in_random_pieces() {
    let gap = Duration::from_millis(1);
    let random = Fault::Split { sizes: Sizes::Random(1..=2_000), gap };
    let plan = Plan::of([random, Fault::Latency { by: Duration::from_millis(2) }]).seeded(17);
    let talk = talk(Plans::both(plan).always(), host_config(), tool_config(), converse);
    assert_eq!(talk.tool_closed, [CloseReason::SeparateReceived]);
}

#[test]
fn pieces_with_a_gap_arrive_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let split = Fault::Split { sizes: Sizes::Each(3), gap: Duration::from_millis(30) };
    let proxy = Proxy::start("127.0.0.1:0", listener.local_addr().unwrap(), Plans::out(split).always()).unwrap();
    let mut caller = TcpStream::connect(proxy.local_addr()).unwrap();
    let mut target = listener.accept().unwrap().0;
    target.set_read_timeout(Some(LONG)).unwrap();
    caller.write_all(b"abcdefg").unwrap();
    let started = Instant::now();
    let mut octets = [0; 7];
    target.read_exact(&mut octets).unwrap();
    assert_eq!(&octets, b"abcdefg");
    // Two gaps, each of which may begin anywhere within its millisecond.
    assert!(started.elapsed() >= Duration::from_millis(57), "{:?}", started.elapsed());
}

#[test]
fn a_cut_in_the_middle_of_a_message_ends_both_ends_and_they_connect_again() {
    for octet in [1, 2, 7, 14, 20] {
        let ends = ends_once(Fault::Cut { at: second(octet) }, tool_config());
        assert_eq!(ends, (CloseReason::TransportClosed, CloseReason::TransportClosed), "{octet}");
    }
}

#[test]
fn a_reset_in_the_middle_of_a_message_ends_both_ends_and_they_connect_again() {
    let ends = ends_once(Fault::Reset { at: second(7) }, tool_config());
    assert_eq!(ends, (CloseReason::TransportClosed, CloseReason::TransportClosed));
}

#[test]
fn a_reset_is_one_and_a_cut_is_none() {
    for (fault, expected) in
        [(Fault::Cut { at: At::Octet(5) }, End::Closed), (Fault::Reset { at: At::Octet(5) }, End::Reset)]
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::start("127.0.0.1:0", listener.local_addr().unwrap(), Plans::out(fault).always()).unwrap();
        let mut caller = Peer::connect(proxy.local_addr()).unwrap();
        let mut target = Peer::accept(&listener, LONG).unwrap();
        caller.send_octets(&[0, 0, 0, 10, 1, 2, 3]).unwrap();
        let end = target.serve(LONG).unwrap().unwrap();
        assert_eq!((end, caller.expect_close(LONG).unwrap()), (expected, expected));
        if expected == End::Closed {
            assert!(target.transcript().to_string().ends_with("< closed behind 5 octets of a message\n"));
        }
    }
}

#[test]
fn a_corrupt_length_closes_with_its_reason() {
    let (host, tool) = ends_once(Fault::Corrupt { at: second(0), mask: 0x80 }, tool_config());
    let limit = tool_config().max_message();
    assert_eq!(host, CloseReason::TransportClosed);
    assert_eq!(tool, CloseReason::LengthTooLong { length: 0x8000_0014, limit });
    let (host, tool) = ends_once(Fault::Corrupt { at: second(3), mask: 20 ^ 9 }, tool_config());
    assert_eq!((host, tool), (CloseReason::TransportClosed, CloseReason::LengthTooShort { length: 9 }));
}

#[test]
fn garbage_inside_a_message_closes_with_its_reason() {
    let garbage = Fault::Insert { at: second(1), octets: vec![0, 0, 3] };
    assert_eq!(ends_once(garbage, tool_config()).1, CloseReason::LengthTooShort { length: 3 });
}

#[test]
fn a_delay_inside_a_message_beyond_t8_closes() {
    let config = tool_config().with_t8(Duration::from_millis(50)).unwrap();
    let (host, tool) = ends_once(Fault::Delay { at: second(16), by: 10 * LONG }, config);
    assert_eq!((host, tool), (CloseReason::TransportClosed, CloseReason::T8 { received: 16 }));
}

#[test]
fn delays_inside_messages_below_t8_do_no_harm() {
    let config = |config: Config| config.with_t8(LONG).unwrap();
    let plan = Plan::from(Fault::Delay { at: At::EachMessage { octet: 9 }, by: Duration::from_millis(5) });
    let talk = talk(Plans::both(plan).always(), config(host_config()), config(tool_config()), converse);
    assert_eq!(talk.tool_closed, [CloseReason::SeparateReceived]);
    // The Select.req, 44 primaries, and the farewell.
    assert_eq!(talk.passages[0].out.faults[0].1, 46);
}

#[test]
fn a_peer_that_has_vanished_is_found_by_a_linktest() {
    let config = |config: Config| {
        let config = config.with_linktest_period(Duration::from_millis(20)).unwrap();
        config.with_t6(Duration::from_secs(2)).unwrap()
    };
    // Each end hears nothing of the other, and nobody closes.
    let silence = Plans::both(Fault::Swallow { at: second(0) });
    let mut reason = None;
    let mut tool = Connection::passive("127.0.0.1:0", config(tool_config())).unwrap();
    let proxy = Proxy::start("127.0.0.1:0", tool.local_addr().unwrap(), silence.once()).unwrap();
    let mut host = Connection::active(proxy.local_addr(), config(host_config())).unwrap();
    thread::scope(|scope| {
        let tool = scope.spawn(|| closed(&mut tool));
        host.select(LONG).unwrap();
        reason = Some(closed(&mut host));
        assert_eq!(tool.join().unwrap(), CloseReason::T6(ControlRequest::Linktest));
    });
    assert_eq!(reason, Some(CloseReason::T6(ControlRequest::Linktest)));
    // Both ends are rid of it, and so is the proxy.
    let until = Instant::now() + LONG;
    while proxy.passages().is_empty() {
        assert!(Instant::now() < until, "the proxy keeps the connection");
        thread::yield_now();
    }
    let passage = &proxy.passages()[0];
    assert!(passage.out.swallowed >= 14 && passage.back.swallowed >= 14, "{passage:?}");
}

#[test]
fn a_vanished_caller_is_not_missed_by_the_target() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silence = Plans::out(Fault::Swallow { at: At::Octet(14) });
    let proxy = Proxy::start("127.0.0.1:0", listener.local_addr().unwrap(), silence.once()).unwrap();
    let mut caller = Peer::connect(proxy.local_addr()).unwrap();
    let mut target = Peer::accept(&listener, LONG).unwrap();
    caller.send(Header::select_req(SystemBytes(1))).unwrap();
    target.be_selected(LONG).unwrap();
    caller.receive(LONG).unwrap();
    caller.reset().unwrap();
    // What it sends now goes nowhere, and no error comes back.
    for system in 2..20 {
        target.send(Frame::new(primary(system), text(10_000))).unwrap();
        target.expect_silence(Duration::from_millis(5)).unwrap();
    }
    assert!(proxy.passages().is_empty());
    target.close();
}

#[test]
fn a_peer_that_does_not_read_reaches_the_write_limit() {
    let mut tool = Connection::passive("127.0.0.1:0", tool_config()).unwrap();
    let stall = Plans::out(Fault::Stall { at: second(1_000) });
    let proxy = Proxy::start("127.0.0.1:0", tool.local_addr().unwrap(), stall.once()).unwrap();
    let limit = Duration::from_millis(50);
    let config = host_config().with_mode(hsms_core::config::ConnectMode::Active);
    let options = Options::new().with_write_limit(limit);
    let mut host = Connection::with_options(proxy.local_addr(), config, options).unwrap();
    thread::scope(|scope| {
        let tool = scope.spawn(|| closed(&mut tool));
        host.select(LONG).unwrap();
        let error = host.request(S1F1, &text(15 << 20)).unwrap_err();
        assert!(matches!(error, Error::WriteStalled { limit: told, .. } if told == limit), "{error:?}");
        drop(host);
        // Its peer has heard nothing of that.
        drop(proxy);
        assert_eq!(tool.join().unwrap(), CloseReason::TransportClosed);
    });
}

#[test]
fn one_side_may_close_and_the_other_go_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Proxy::start("127.0.0.1:0", listener.local_addr().unwrap(), Plans::clean().always()).unwrap();
    let mut caller = TcpStream::connect(proxy.local_addr()).unwrap();
    let mut target = listener.accept().unwrap().0;
    for stream in [&caller, &target] {
        stream.set_read_timeout(Some(LONG)).unwrap();
    }
    caller.write_all(b"question").unwrap();
    caller.shutdown(Shutdown::Write).unwrap();
    let mut octets = Vec::new();
    target.read_to_end(&mut octets).unwrap();
    assert_eq!(octets, b"question");
    let long = text(1 << 20);
    thread::scope(|scope| {
        scope.spawn(|| {
            target.write_all(&long).unwrap();
            drop(target);
        });
        octets.clear();
        caller.read_to_end(&mut octets).unwrap();
    });
    assert!(octets == long);
}

#[test]
fn a_target_that_does_not_answer_costs_the_caller_the_connection() {
    // A port that is taken, but not listened on.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let proxy = Proxy::start("127.0.0.1:0", deaf.local_addr().unwrap(), Plans::clean().always()).unwrap();
    let mut caller = Peer::connect(proxy.local_addr()).unwrap();
    caller.expect_close(LONG).unwrap();
    assert_eq!((proxy.connections(), proxy.unanswered()), (1, 1));
}

#[test]
fn a_hundred_callers_at_once_are_all_served_in_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap();
    let proxy = Proxy::start("127.0.0.1:0", target, Plans::both(Fault::split(3)).always()).unwrap();
    let callers: Vec<_> = (0..100).map(|_| TcpStream::connect(proxy.local_addr()).unwrap()).collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..100 {
                let mut stream = listener.accept().unwrap().0;
                stream.write_all(b"welcome").unwrap();
            }
        });
        for mut caller in callers {
            caller.set_read_timeout(Some(LONG)).unwrap();
            let mut octets = Vec::new();
            caller.read_to_end(&mut octets).unwrap();
            assert_eq!(octets, b"welcome");
        }
    });
    assert_eq!((proxy.connections(), proxy.unanswered()), (100, 0));
    assert_eq!(proxy.stop().len(), 100);
}

#[test]
fn a_caller_beyond_the_64th_is_served_when_another_has_gone() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Proxy::start("127.0.0.1:0", listener.local_addr().unwrap(), Plans::clean().always()).unwrap();
    let mut open = Vec::new();
    for system in 0..64 {
        let mut caller = Peer::connect(proxy.local_addr()).unwrap();
        let mut target = Peer::accept(&listener, LONG).unwrap();
        caller.send(primary(system)).unwrap();
        target.receive(LONG).unwrap();
        open.push((caller, target));
    }
    let _next = Peer::connect(proxy.local_addr()).unwrap();
    assert!(matches!(Peer::accept(&listener, Duration::from_millis(20)), Err(PeerError::Late { .. })));
    assert_eq!(proxy.connections(), 64);
    let (mut caller, mut target) = open.pop().unwrap();
    caller.close();
    target.expect_close(LONG).unwrap();
    target.close();
    Peer::accept(&listener, LONG).unwrap();
    assert_eq!(proxy.connections(), 65);
}

#[test]
fn a_dropped_proxy_resets_its_connections_and_takes_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Proxy::start("127.0.0.1:0", listener.local_addr().unwrap(), Plans::clean().always()).unwrap();
    let mut caller = Peer::connect(proxy.local_addr()).unwrap();
    let mut target = Peer::accept(&listener, LONG).unwrap();
    caller.send(primary(1)).unwrap();
    target.receive(LONG).unwrap();
    drop(proxy);
    assert_eq!((caller.expect_close(LONG).unwrap(), target.expect_close(LONG).unwrap()), (End::Reset, End::Reset));
    assert!(matches!(Peer::accept(&listener, Duration::from_millis(20)), Err(PeerError::Late { .. })));
}
