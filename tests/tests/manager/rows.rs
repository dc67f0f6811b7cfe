//! What users of connections in other libraries are used to, of which the other files do not speak.

use crate::caller::{Caller, DEVICE, LIMIT, LOCAL, S1F1, Silent, tool};
use hsms_std::core::wire::{SType, SessionId, SystemBytes};
use hsms_std::manager::{Delegate, Error, Event, Expected, Manager, ManagerSettings, Peer, PeerSettings, Received};
use hsms_std::{CloseReason, Config, Header, Options, StreamFunction, TransactionEnd};
use std::io;
use std::net::Ipv4Addr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const FROM: Ipv4Addr = Ipv4Addr::new(127, 0, 9, 1);

/// Prints what the four functions of a delegate are told.
struct Prints {
    out: Mutex<Vec<String>>,
    closed: Mutex<Sender<()>>,
}

impl Prints {
    fn print(&self, line: impl Into<String>) {
        self.out.lock().unwrap().push(line.into());
    }

    fn print_message(&self, header: &Header) {
        self.print(format!("Packet received header: {header}"));
    }
}

impl Delegate for Prints {
    fn established(&self, _: &Peer) {
        self.print("Connection established");
    }

    fn received(&self, _: &Peer, message: Received) {
        self.print_message(&message.header);
    }

    fn before_closed(&self, _: &Peer) {
        self.print("Connection about to be terminated");
    }

    fn closed(&self, _: &Peer, _: CloseReason, _: Option<io::Error>) {
        self.print("Connection terminated");
        self.closed.lock().unwrap().send(()).unwrap();
    }

    fn event(&self, _: &Peer, event: Event) {
        if let Event::Other { header, .. } = event {
            self.print_message(&header);
        }
    }
}

#[test]
fn a_delegate_prints_the_transcript_of_a_connection() {
    let manager = Manager::start().unwrap();
    let (sender, closed) = channel();
    let prints = Arc::new(Prints { out: Mutex::default(), closed: Mutex::new(sender) });
    let settings = tool(LOCAL, FROM).with_options(Options::new().with_tell_control(true));
    let peer = manager.add("tool", settings.with_delegate(prints.clone())).unwrap();
    peer.enable().unwrap();
    let mut caller = Caller::call(FROM, peer.local_addr().unwrap());
    let reject = |reason| Header {
        session: SessionId(0),
        ..Header::reject_req(SystemBytes(0), 0, hsms_std::core::wire::RejectReason(reason))
    };
    // A Reject with nothing open is reported, not answered, and the link stays.
    caller.write(&reject(4), &[]);
    caller.write(&reject(1), &[]);
    let select = |system| Header::select_req(SystemBytes(system));
    caller.write(&select(1), &[]);
    assert_eq!(caller.read().unwrap().0, Header::select_rsp(SystemBytes(1)));
    caller.write(&reject(3), &[]);
    caller.write(&select(3), &[]);
    assert_eq!(caller.read().unwrap().0.stype, SType::SELECT_RSP);
    drop(caller);
    closed.recv_timeout(LIMIT).unwrap();
    let header = |start, function, s_type, system| {
        format!(
            "Packet received header: {{session_id:{start}, stream:00, function:{function}, p_type:0x00, \
             s_type:{s_type}, system:{system}, require_response:0}}"
        )
    };
    let expected = [
        "Connection established".to_owned(),
        header("0x0000", "04", "0x07", "0x00000000"),
        header("0x0000", "01", "0x07", "0x00000000"),
        header("0xffff", "00", "0x01", "0x00000001"),
        header("0x0000", "03", "0x07", "0x00000000"),
        header("0xffff", "00", "0x01", "0x00000003"),
        "Connection about to be terminated".to_owned(),
        "Connection terminated".to_owned(),
    ];
    assert_eq!(*prints.out.lock().unwrap(), expected);
    manager.stop(LIMIT).unwrap();
}

#[test]
fn disabling_stops_a_pending_attempt_and_enabling_takes_it_up_again() {
    let manager = Manager::start().unwrap();
    let config = Config::host(DEVICE).with_t5(Duration::from_millis(10)).unwrap();
    // Nobody ever listens on port 0.
    let [tries, other] =
        ["tries", "other"].map(|name| manager.add(name, PeerSettings::active([LOCAL], config)).unwrap());
    let attempts = |peer: &Peer| peer.counters().wait(LIMIT).unwrap().attempts;
    let until = Instant::now() + LIMIT;
    let come_to = |peer: &Peer, number| {
        while attempts(peer) < number {
            assert!(Instant::now() < until, "no attempt any more");
        }
    };
    for _ in 0..2 {
        let before = attempts(&tries);
        tries.enable().unwrap();
        come_to(&tries, before + 3);
        for _ in 0..2 {
            tries.disable().unwrap();
        }
        let (stopped, begun) = (attempts(&tries), attempts(&other));
        // T5 passes a few times.
        other.enable().unwrap();
        come_to(&other, begun + 5);
        other.disable().unwrap();
        assert_eq!(attempts(&tries), stopped);
    }
    manager.stop(LIMIT).unwrap();
}

#[test]
fn disabling_ends_an_attempt_that_nobody_has_answered_and_enabling_dials_anew() {
    /// The system repeats what nobody has answered after a second.
    const REPEATED: Duration = Duration::from_millis(1_500);
    let manager = Manager::start().unwrap();
    let mut silent = Silent::listen();
    let config = Config::host(DEVICE).with_t5(Duration::from_millis(10)).unwrap();
    let options = Options::new().with_connect_limit(2 * LIMIT);
    let settings = PeerSettings::active([silent.address], config).with_options(options);
    let peer = manager.add("host", settings).unwrap();
    peer.enable().unwrap();
    let attempts = || peer.counters().wait(LIMIT).unwrap().attempts;
    let until = Instant::now() + LIMIT;
    while attempts() < 1 {
        assert!(Instant::now() < until, "no attempt");
    }
    peer.disable().unwrap();
    assert_eq!(attempts(), 1);
    silent.awake();
    assert!(silent.accept(REPEATED).is_none(), "the attempt goes on");
    peer.enable().unwrap();
    let _caller = Caller::dialled(silent.accept(LIMIT).expect("it dials again"));
    peer.selected().wait(LIMIT).unwrap();
    assert_eq!(attempts(), 2);
    manager.stop(LIMIT).unwrap();
}

#[test]
fn a_linktest_on_request_gives_its_response_or_the_error() {
    let manager = Manager::start().unwrap();
    let t6 = Config::equipment(DEVICE).with_t6(Duration::from_millis(50)).unwrap().with_linktest_threshold(2).unwrap();
    let config = t6.with_linktest_period(Duration::ZERO).unwrap();
    let peer = manager.add("tool", PeerSettings::passive(LOCAL, Expected::Anyone, config)).unwrap();
    let unconnected = peer.linktest().wait(LIMIT);
    assert!(matches!(unconnected, Err(Error::Connection(hsms_std::Error::Refused(_)))), "{unconnected:?}");
    peer.enable().unwrap();
    let mut caller = Caller::selected(FROM, peer.local_addr().unwrap());
    let mut missed = peer.linktest();
    assert_eq!(caller.read().unwrap().0.stype, SType::LINKTEST_REQ);
    let missed = missed.wait(LIMIT);
    assert!(matches!(missed, Err(Error::Connection(hsms_std::Error::LinktestMissed { missed: 1 }))), "{missed:?}");
    let mut last = peer.linktest();
    assert_eq!(caller.read().unwrap().0.stype, SType::LINKTEST_REQ);
    let last = last.wait(LIMIT);
    assert!(
        matches!(last, Err(Error::Connection(hsms_std::Error::Closed { reason: CloseReason::T6(_), .. }))),
        "{last:?}"
    );
    manager.stop(LIMIT).unwrap();
}

/// Tells that it has begun, and waits until it is let go.
struct Waits(Mutex<(Sender<()>, Receiver<()>)>);

impl Delegate for Waits {
    fn received(&self, _: &Peer, _: Received) {
        let held = self.0.lock().unwrap();
        held.0.send(()).unwrap();
        let _ = held.1.recv();
    }
}

#[test]
fn with_all_handlers_blocked_timers_run_and_what_others_ask_is_sent() {
    let manager = Manager::start_with(ManagerSettings::new().with_max_handlers(1)).unwrap();
    let ((begun, has_begun), (go, wait)) = (channel(), channel());
    let delegate = Arc::new(Waits(Mutex::new((begun, wait))));
    let config = Config::equipment(DEVICE).with_t3(Duration::from_millis(20)).unwrap();
    let settings = PeerSettings::passive(LOCAL, Expected::Anyone, config).with_delegate(delegate);
    let peer = manager.add("tool", settings).unwrap();
    peer.enable().unwrap();
    let mut caller = Caller::selected(FROM, peer.local_addr().unwrap());
    caller.primary(S1F1, false, &[]);
    has_begun.recv_timeout(LIMIT).unwrap();
    let outcome = peer.request(StreamFunction::new(1, 3), []).wait(LIMIT);
    let Err(Error::Connection(hsms_std::Error::NoReply { end, .. })) = outcome else { panic!("{outcome:?}") };
    assert_eq!(end, TransactionEnd::T3);
    assert_eq!(caller.read().unwrap().0.stream_function(), StreamFunction::new(1, 3));
    // Equipment tells its host of that.
    assert_eq!(caller.read().unwrap().0.stream_function(), StreamFunction::new(9, 9));
    caller.linktest();
    drop(go);
    manager.stop(LIMIT).unwrap();
}

#[test]
fn as_many_requests_are_open_as_the_settings_say() {
    let manager = Manager::start().unwrap();
    for (name, transactions) in [("one", 1), ("some", 65), ("many", 1_000)] {
        let settings = tool(LOCAL, FROM).with_transactions(transactions);
        let peer = manager.add(name, settings).unwrap();
        peer.enable().unwrap();
        let mut caller = Caller::selected(FROM, peer.local_addr().unwrap());
        // Twice, so that the room that was given back is there again.
        for _ in 0..2 {
            let requests: Vec<_> = (0..transactions).map(|_| peer.request(S1F1, [])).collect();
            let beyond = peer.request(S1F1, []).wait(LIMIT);
            let Err(Error::Connection(hsms_std::Error::Refused(refused))) = beyond else { panic!("{beyond:?}") };
            assert_eq!(refused, hsms_std::core::Error::TransactionsFull { open: transactions });
            let primaries: Vec<Header> = (0..transactions).map(|_| caller.read().unwrap().0).collect();
            for primary in primaries.iter().rev() {
                caller.answer(primary, &primary.system.0.to_be_bytes());
            }
            for (mut request, primary) in requests.into_iter().zip(&primaries) {
                assert_eq!(request.wait(LIMIT).unwrap().body, primary.system.0.to_be_bytes());
            }
        }
    }
    manager.stop(LIMIT).unwrap();
}
