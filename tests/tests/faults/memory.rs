//! Drivers and scripted peers over a pipe.

use crate::{LONG, host_config, primary, text, tool_config};
use hsms_std::driver::Driver;
use hsms_std::faults::{
    At, End, Fault, Faulty, Frame, Peer, PeerError, Pipe, Plan, Plans, Rule, Rules, Sizes, Step, pipe,
};
use hsms_std::transport::Transport;
use hsms_std::{CloseReason, Config, Header, Incoming, Options, SystemBytes};
use std::io::{ErrorKind, IoSlice};
use std::thread;
use std::time::Duration;

const BRIEF: Duration = Duration::from_millis(20);

fn driver<T: Transport>(config: Config, transport: T) -> Driver<T> {
    let mut driver = Driver::new(config, Options::new());
    driver.enable();
    driver.opened(transport);
    driver
}

/// Answers every primary with its own text; gives why the connection ended, and how many there were.
fn echo<T: Transport>(driver: &mut Driver<T>) -> (CloseReason, usize) {
    let (mut count, until) = (0, driver.tick().saturating_add(LONG));
    loop {
        while let Some(incoming) = driver.poll() {
            match incoming {
                Incoming::Primary { message, token: Some(token) } => {
                    let body = message.body.to_vec();
                    driver.reply(&token, &body).unwrap();
                    count += 1;
                }
                Incoming::Closed { reason, .. } => return (reason, count),
                _ => {}
            }
        }
        assert!(driver.turn(until).unwrap(), "the peer goes in time");
    }
}

/// A peer sends `count` primaries of growing length and gets each back.
fn converse<T: Transport>(peer: &mut Peer<T>, count: u32) {
    peer.select(LONG).unwrap();
    for system in 2..2 + count {
        let body = text(system as usize * 37);
        peer.send(Frame::new(primary(system), body.clone())).unwrap();
        let reply = peer.receive(LONG).unwrap();
        assert_eq!((reply.header.system, reply.body == body), (SystemBytes(system), true));
    }
    peer.send(Header::separate_req(SystemBytes(1_000))).unwrap();
    assert_eq!(peer.expect_close(LONG).unwrap(), End::Closed);
}

/// A driver that echoes over one end, and a peer at the other; gives the ends back.
fn between<T: Transport + Send, U: Transport + Send>(mine: T, other: U) -> Peer<T> {
    thread::scope(|scope| {
        let tool = scope.spawn(|| echo(&mut driver(tool_config(), other)));
        let mut peer = Peer::over(mine);
        converse(&mut peer, 20);
        assert_eq!(tool.join().unwrap(), (CloseReason::SeparateReceived, 20));
        peer
    })
}

fn splits() -> Plan {
    Plan::of([Fault::split_randomly(1..=5), Fault::Latency { by: Duration::from_millis(2) }]).seeded(5)
}

#[test]
fn messages_in_pieces_arrive_whole_over_a_pipe() {
    let (mine, other) = pipe(&Plans { out: Fault::split(1).into(), back: splits() });
    let peer = between(mine, other);
    let (out, back) = (peer.transport().report_out(), peer.transport().report_back());
    assert_eq!(out.faults, [(Fault::split(1), out.octets_out)]);
    assert!(back.faults[0].1 > back.octets_out / 5, "{back:?}");
}

#[test]
fn messages_in_pieces_arrive_whole_over_a_wrapped_transport() {
    let (mine, other) = pipe(&Plans::clean());
    let other = Faulty::new(other, &Plans { out: Fault::split(1).into(), back: splits() });
    between(mine, other);
    let (mine, other) = pipe(&Plans::clean());
    let peer = between(Faulty::new(mine, &Plans::both(splits())), other);
    let report = peer.transport().report_out();
    assert!(report.faults[0].1 > report.octets_out / 5, "{report:?}");
}

#[test]
fn calls_that_are_short_late_and_interrupted_lose_nothing() {
    let mut random = fastrand::Rng::with_seed(9);
    let mut steps = || {
        let kinds = [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::Interrupted];
        let step = |_| match random.bool() {
            true => Step::Most(random.usize(1..40)),
            false => Step::Fail(kinds[random.usize(..3)]),
        };
        (0..200).map(step).collect::<Vec<_>>()
    };
    let (mine, other) = pipe(&Plans::clean());
    let wrap =
        |end, reads: Vec<_>, writes: Vec<_>| Faulty::new(end, &Plans::clean()).with_reads(reads).with_writes(writes);
    let (reads, writes) = (steps(), steps());
    let other = wrap(other, steps(), steps());
    between(wrap(mine, reads, writes), other);
    // Below a plan as well, where the line has to go on within a piece.
    let (mine, other) = pipe(&Plans::clean());
    let (reads, writes) = (steps(), steps());
    between(Faulty::new(wrap(mine, reads, writes), &Plans::both(Fault::split(50))), other);
}

#[test]
fn a_step_carries_no_more_than_it_says() {
    let (mine, mut other) = pipe(&Plans::clean());
    let mut mine = Faulty::new(mine, &Plans::clean())
        .with_writes([Step::Most(4), Step::Fail(ErrorKind::OutOfMemory)])
        .with_reads([Step::Most(2), Step::Fail(ErrorKind::Interrupted)]);
    let parts = [IoSlice::new(b"abc"), IoSlice::new(b"def")];
    assert_eq!(mine.write(&parts, BRIEF).unwrap(), 4);
    assert_eq!(mine.write(&parts, BRIEF).unwrap_err().kind(), ErrorKind::OutOfMemory);
    assert_eq!(mine.write(&parts, BRIEF).unwrap(), 6);
    let mut octets = [0; 16];
    assert_eq!(other.read(&mut octets, LONG).unwrap(), 4);
    assert_eq!(other.read(&mut octets, LONG).unwrap(), 6);
    assert_eq!(octets[..6], *b"abcdef");
    other.write(&parts, LONG).unwrap();
    assert_eq!(mine.read(&mut octets, LONG).unwrap(), 2);
    assert_eq!(mine.read(&mut octets, LONG).unwrap_err().kind(), ErrorKind::Interrupted);
    assert_eq!(mine.read(&mut octets, LONG).unwrap(), 4);
    assert_eq!(mine.read(&mut octets, Duration::ZERO).unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// Why a driver's connection ends, whose peer sends a Select.req and a primary of 24 octets over `plans`.
fn ends(config: Config, plans: &Plans, wrapped: bool) -> (CloseReason, PeerError) {
    fn run<T: Transport>(mut tool: Driver<T>, mine: Pipe) -> (CloseReason, PeerError) {
        thread::scope(|scope| {
            let peer = scope.spawn(|| {
                let mut peer = Peer::over(mine);
                let sent = peer.send(Header::select_req(SystemBytes(1)));
                let _ = sent.and_then(|()| peer.send(Frame::new(primary(2), text(10))));
                loop {
                    if let Err(error) = peer.receive(LONG) {
                        return error;
                    }
                }
            });
            let (reason, _) = echo(&mut tool);
            drop(tool);
            (reason, peer.join().unwrap())
        })
    }
    if wrapped {
        let (mine, other) = pipe(&Plans::clean());
        let other = Faulty::new(other, &Plans { out: plans.back.clone(), back: plans.out.clone() });
        run(driver(config, other), mine)
    } else {
        let (mine, other) = pipe(plans);
        run(driver(config, other), mine)
    }
}

#[test]
fn a_bad_line_closes_with_its_reason_over_a_pipe_and_over_a_wrapped_transport() {
    let second = |octet| At::Message { number: 1, octet };
    let t8 = tool_config().with_t8(Duration::from_millis(50)).unwrap();
    for wrapped in [false, true] {
        let end = |config, fault: Fault| ends(config, &Plans::out(fault), wrapped);
        let (reason, error) = end(tool_config(), Fault::Cut { at: second(7) });
        assert_eq!(reason, CloseReason::TransportClosed);
        assert!(matches!(error, PeerError::Closed { inside: 0 }), "{error:?}");
        let (reason, error) = end(tool_config(), Fault::Reset { at: second(7) });
        assert_eq!(reason, CloseReason::TransportClosed);
        // Behind a wrapped transport the other end is only closed.
        assert_eq!(matches!(error, PeerError::Failed { .. }), !wrapped, "{error:?}");
        let (reason, _) = end(tool_config(), Fault::Corrupt { at: second(3), mask: 20 ^ 9 });
        assert_eq!(reason, CloseReason::LengthTooShort { length: 9 });
        let (reason, _) = end(t8, Fault::Delay { at: second(19), by: 2 * LONG });
        assert_eq!(reason, CloseReason::T8 { received: 19 });
    }
}

#[test]
fn a_scripted_peer_answers_by_its_rules_and_keeps_a_transcript() {
    let (mine, other) = pipe(&Plans::clean());
    let config = host_config().with_t6(Duration::from_secs(1)).unwrap();
    let config = config.with_linktest_period(Duration::from_millis(10)).unwrap();
    let rules = Rules::good().with(Rule::never(hsms_core::wire::SType::LINKTEST_REQ));
    let mut peer = Peer::over(mine).with_rules(rules);
    let transcript = thread::scope(|scope| {
        let host = scope.spawn(|| echo(&mut driver(config, other)));
        assert_eq!(peer.serve(LONG).unwrap(), Some(End::Closed));
        let (reason, _) = host.join().unwrap();
        assert_eq!(reason, CloseReason::T6(hsms_core::connection::ControlRequest::Linktest));
        peer.transcript()
    });
    let names: Vec<_> = transcript.received().map(Header::name).collect();
    assert_eq!(names, ["SelectReq", "LinktestReq"]);
    let lines: Vec<_> = transcript.to_string().lines().map(|line| line[12..].to_owned()).collect();
    assert_eq!(lines.len(), 4, "{transcript}");
    assert!(lines[0].starts_with("< SelectReq{session_id:0xffff, stream:00, function:00, "), "{transcript}");
    assert!(lines[1].starts_with("> SelectRsp{"), "{transcript}");
    assert_eq!(lines[3], "< closed");
}

#[test]
fn a_scripted_peer_tells_what_came_instead() {
    let (mine, other) = pipe(&Plans::clean());
    let (mut one, mut two) = (Peer::over(mine), Peer::over(other).with_most(100));
    one.send_octets(&[0, 0, 0, 10, 0xFF]).unwrap();
    assert!(matches!(two.receive(BRIEF), Err(PeerError::Late { inside: 5, .. })));
    one.send_octets(&[0xFF, 0, 0, 0, 5, 0, 0, 0, 2]).unwrap();
    one.send(primary(9)).unwrap();
    assert_eq!(two.receive(LONG).unwrap(), Header::linktest_req(SystemBytes(2)).into());
    let error = two.be_selected(LONG).unwrap_err();
    assert!(matches!(error, PeerError::Unexpected { came, .. } if came == primary(9)), "{error:?}");
    two.expect_silence(BRIEF).unwrap();
    let reply = Frame::new(primary(9), text(50));
    two.send_in_pieces(&reply.encode(), Sizes::List(vec![1, 13, 4]), 0).unwrap();
    assert_eq!(two.transcript().entries().filter(|entry| entry.to_string().contains('>')).count(), 11);
    assert_eq!(one.receive(LONG).unwrap(), reply);
    assert!(matches!(one.expect_silence(Duration::ZERO), Ok(())));
    one.send(Frame::new(primary(10), text(91))).unwrap();
    assert!(matches!(two.receive(LONG), Err(PeerError::Length { length: 101, most: 100 })));
    two.send_octets(&[0, 0, 0, 9]).unwrap();
    assert!(matches!(one.receive(LONG), Err(PeerError::Length { length: 9, .. })));
    drop(two);
    assert!(matches!(one.send(primary(11)), Err(PeerError::Failed { .. })));
    one.close();
    assert!(matches!(one.send(primary(11)), Err(PeerError::ClosedByUs)));
}

#[test]
fn a_peer_that_does_not_read_makes_the_writer_wait_and_no_longer_than_asked() {
    let (mine, other) = pipe(&Plans::out(Fault::Stall { at: At::Octet(100) }));
    let mut peer = Peer::over(mine).with_patience(BRIEF);
    assert!(matches!(peer.send_octets(&text(150)), Err(PeerError::Stalled { left: 50 })));
    let mut wrapped = Faulty::new(other, &Plans::out(Fault::Stall { at: At::Octet(100) }));
    let parts = [IoSlice::new(&[0; 150])];
    assert_eq!(wrapped.write(&parts, BRIEF).unwrap(), 100);
    assert_eq!(wrapped.write(&parts, BRIEF).unwrap_err().kind(), ErrorKind::WouldBlock);
    wrapped.wait(false, BRIEF).unwrap();
    wrapped.wait(true, BRIEF).unwrap();
    let mut octets = [0; 200];
    assert_eq!(wrapped.read(&mut octets, LONG).unwrap(), 100);
}
