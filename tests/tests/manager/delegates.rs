//! Delegates and events: what is told, in which order, and what the handlers may do.

use crate::caller::{Call, Caller, Echo, LIMIT, LOCAL, Recorder, S1F1, SLACK, tool};
use hsms_std::core::wire::SType;
use hsms_std::manager::{Delegate, Error, Event, Manager, Peer, Received};
use hsms_std::{CloseReason, Notice, Options, StreamFunction};
use std::net::{Ipv4Addr, Shutdown};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const FROM: Ipv4Addr = Ipv4Addr::new(127, 0, 2, 1);

fn add(manager: &Manager, delegate: impl Delegate) -> (Peer, Caller) {
    let peer = manager.add("tool", tool(LOCAL, FROM).with_delegate(Arc::new(delegate))).unwrap();
    peer.enable().unwrap();
    let caller = Caller::selected(FROM, peer.local_addr().unwrap());
    (peer, caller)
}

/// The calls up to the one that tells of the close.
fn until_closed(calls: &Receiver<Call>) -> Vec<Call> {
    let mut all = Vec::new();
    loop {
        let call = calls.recv_timeout(LIMIT).unwrap();
        let last = matches!(call, Call::Closed(_));
        all.push(call);
        if last {
            return all;
        }
    }
}

#[test]
fn a_delegate_is_told_by_four_calls_in_order_with_the_reason_of_the_close() {
    let manager = Manager::start().unwrap();
    let (recorder, calls) = Recorder::new();
    let (_, mut caller) = add(&manager, recorder);
    for number in 0..100 {
        caller.primary(S1F1, false, &[number]);
    }
    let header = hsms_std::Header::separate_req(caller.system());
    caller.write(&header, &[]);
    let all = until_closed(&calls);
    assert!(matches!(all[..2], [Call::Established, Call::Event(Event::Notice(Notice::Selected))]), "{all:?}");
    for (number, call) in all[2..102].iter().enumerate() {
        assert!(
            matches!(call, Call::Received(Received { token: None, body, .. }) if body == &[number as u8]),
            "{call:?}"
        );
    }
    assert!(matches!(all[102..], [Call::BeforeClosed, Call::Closed(CloseReason::SeparateReceived)]), "{all:?}");
    manager.stop(LIMIT).unwrap();
}

/// Sends a last message.
struct Farewell;

impl Delegate for Farewell {
    fn received(&self, _: &Peer, _: Received) {}

    fn before_closed(&self, peer: &Peer) {
        peer.send(StreamFunction::new(5, 1), *b"bye").wait(LIMIT).unwrap();
    }
}

#[test]
fn before_we_close_a_delegate_can_still_send() {
    let manager = Manager::start().unwrap();
    let peer = manager.add("tool", tool(LOCAL, FROM).with_delegate(Arc::new(Farewell)).with_farewell(LIMIT)).unwrap();
    peer.enable().unwrap();
    for close in [|peer: &Peer| peer.disable(), |peer: &Peer| peer.reconnect().wait(LIMIT)] {
        peer.enable().unwrap();
        let mut caller = Caller::selected(FROM, peer.local_addr().unwrap());
        close(&peer).unwrap();
        assert_eq!(caller.read().unwrap().1, b"bye");
        assert_eq!(caller.read().unwrap().0.stype, SType::SEPARATE_REQ);
        caller.expect_end();
    }
    manager.stop(LIMIT).unwrap();
}

/// Tells that it is asked before a close, waits for a word, and echoes.
struct Holds(Mutex<(Sender<()>, Receiver<()>)>);

impl Delegate for Holds {
    fn received(&self, peer: &Peer, message: Received) {
        Echo.received(peer, message);
    }

    fn before_closed(&self, _: &Peer) {
        let word = self.0.lock().unwrap();
        word.0.send(()).unwrap();
        word.1.recv_timeout(LIMIT).unwrap();
    }
}

fn held(manager: &Manager) -> (Peer, Caller, Receiver<()>, Sender<()>) {
    let ((asked, told), (word, given)) = (channel(), channel());
    let settings = tool(LOCAL, FROM).with_delegate(Arc::new(Holds(Mutex::new((asked, given))))).with_farewell(LIMIT);
    let peer = manager.add("tool", settings).unwrap();
    peer.enable().unwrap();
    let caller = Caller::selected(FROM, peer.local_addr().unwrap());
    (peer, caller, told, word)
}

#[test]
fn a_reconnect_does_not_take_an_enable_back() {
    let manager = Manager::start().unwrap();
    let (peer, mut caller, told, word) = held(&manager);
    peer.disable().unwrap();
    peer.enable().unwrap();
    peer.reconnect().wait(LIMIT).unwrap();
    told.recv_timeout(LIMIT).unwrap();
    word.send(()).unwrap();
    assert_eq!(caller.read().unwrap().0.stype, SType::SEPARATE_REQ);
    caller.expect_end();
    Caller::selected(FROM, peer.local_addr().unwrap());
    word.send(()).unwrap();
    manager.stop(LIMIT).unwrap();
}

#[test]
fn a_reconnect_is_over_when_the_peer_has_closed_meanwhile() {
    let manager = Manager::start().unwrap();
    let (peer, mut caller, told, word) = held(&manager);
    peer.reconnect().wait(LIMIT).unwrap();
    told.recv_timeout(LIMIT).unwrap();
    caller.stream.shutdown(Shutdown::Write).unwrap();
    caller.expect_end();
    let mut next = Caller::selected(FROM, peer.local_addr().unwrap());
    word.send(()).unwrap();
    // Not Separate.req.
    let system = next.primary(S1F1, true, b"still there");
    assert_eq!(next.read().unwrap().0.system, system);
    word.send(()).unwrap();
    manager.stop(LIMIT).unwrap();
}

/// Asks the sender something before it replies.
struct Asks;

impl Delegate for Asks {
    fn received(&self, peer: &Peer, message: Received) {
        let answer = peer.request(StreamFunction::new(1, 3), []).wait(LIMIT).unwrap();
        if let Some(token) = message.token {
            peer.reply(token, answer.body).wait(LIMIT).unwrap();
        }
    }
}

#[test]
fn a_handler_may_itself_send_requests() {
    let manager = Manager::start().unwrap();
    let (_, mut caller) = add(&manager, Asks);
    let system = caller.primary(S1F1, true, &[]);
    let (question, _) = caller.read().unwrap();
    assert_eq!(question.stream_function(), StreamFunction::new(1, 3));
    caller.answer(&question, b"answer");
    let (reply, body) = caller.read().unwrap();
    assert_eq!((reply.system, body.as_slice()), (system, b"answer".as_slice()));
    manager.stop(LIMIT).unwrap();
}

/// Disables and enables its own peer.
struct Restarts;

impl Delegate for Restarts {
    fn received(&self, peer: &Peer, _: Received) {
        peer.disable().unwrap();
        peer.enable().unwrap();
    }
}

#[test]
fn a_peer_can_be_disabled_and_enabled_inside_a_delegate_call() {
    let manager = Manager::start().unwrap();
    let (peer, mut caller) = add(&manager, Restarts);
    caller.primary(S1F1, false, &[]);
    assert_eq!(caller.read().unwrap().0.stype, SType::SEPARATE_REQ);
    caller.expect_end();
    Caller::selected(FROM, peer.local_addr().unwrap());
    manager.stop(LIMIT).unwrap();
}

/// Fails on a text of one octet.
struct Panics;

impl Delegate for Panics {
    fn received(&self, peer: &Peer, message: Received) {
        assert_ne!(message.body.len(), 1, "as the test wants it");
        Echo.received(peer, message);
    }
}

#[test]
fn a_handler_that_panics_harms_neither_its_peer_nor_the_manager() {
    let manager = Manager::start().unwrap();
    let (_, mut caller) = add(&manager, Panics);
    let panics = caller.primary(S1F1, true, b"1");
    // The sender is told, and need not wait for T3.
    let (abort, _) = caller.read().unwrap();
    assert_eq!((abort.system, abort.stream_function()), (panics, StreamFunction::new(1, 0)));
    let system = caller.primary(S1F1, true, b"22");
    let (reply, body) = caller.read().unwrap();
    assert_eq!((reply.system, body.as_slice()), (system, b"22".as_slice()));
    manager.stop(LIMIT).unwrap();
}

#[test]
fn events_come_through_a_channel_where_a_peer_has_no_delegate() {
    let manager = Manager::start().unwrap();
    let peer = manager.add("tool", tool(LOCAL, FROM)).unwrap();
    peer.enable().unwrap();
    let mut caller = Caller::selected(FROM, peer.local_addr().unwrap());
    let system = caller.primary(S1F1, true, b"text");
    let next = || manager.next(LIMIT).unwrap();
    assert!(matches!(next(), (peer, Event::Established) if peer.name() == "tool"));
    assert!(matches!(next().1, Event::Notice(Notice::Selected)));
    let (from, Event::Received(message)) = next() else { panic!("no message") };
    from.reply(message.token.unwrap(), message.body).wait(LIMIT).unwrap();
    let (reply, body) = caller.read().unwrap();
    assert_eq!((reply.system, body.as_slice()), (system, b"text".as_slice()));
    drop(caller);
    assert!(matches!(next().1, Event::BeforeClosed));
    assert!(matches!(next().1, Event::Closed { reason: CloseReason::TransportClosed, .. }));
    manager.stop(LIMIT).unwrap();
}

#[test]
fn what_does_not_fit_is_answered_sxf0_or_dropped_and_told() {
    let manager = Manager::start().unwrap();
    let settings = tool(LOCAL, FROM).with_options(Options::new().with_inbox(2, 1_000));
    let peer = manager.add("tool", settings).unwrap();
    peer.enable().unwrap();
    let mut caller = Caller::selected(FROM, peer.local_addr().unwrap());
    caller.primary(S1F1, true, b"1");
    // Too long beside the first.
    let long = caller.primary(S1F1, true, &[0; 1_000]);
    caller.primary(S1F1, true, b"2");
    let fourth = caller.primary(S1F1, true, b"3");
    caller.primary(S1F1, false, b"4");
    // Reading never stops.
    for system in [long, fourth] {
        let (header, _) = caller.read().unwrap();
        assert_eq!((header.system, header.stream_function()), (system, StreamFunction::new(1, 0)));
    }
    caller.linktest();
    let mut texts = Vec::new();
    loop {
        match manager.next(LIMIT).unwrap().1 {
            Event::Received(message) => texts.push(message.body),
            Event::Dropped { primaries, events } => {
                assert_eq!((primaries, events), (3, 0));
                break;
            }
            _ => {}
        }
    }
    assert_eq!(texts, [b"1", b"2"]);
    manager.stop(LIMIT).unwrap();
}

/// Waits until it is let go.
struct Waits {
    begun: Mutex<Sender<()>>,
    go: Mutex<Receiver<()>>,
}

impl Delegate for Waits {
    fn received(&self, _: &Peer, _: Received) {
        self.begun.lock().unwrap().send(()).unwrap();
        let _ = self.go.lock().unwrap().recv();
    }
}

#[test]
fn stop_ends_within_its_bound_though_a_handler_does_not_return() {
    let manager = Manager::start().unwrap();
    let ((begun, has_begun), (go, wait)) = (channel(), channel());
    let (peer, mut caller) = add(&manager, Waits { begun: Mutex::new(begun), go: Mutex::new(wait) });
    caller.primary(S1F1, false, &[]);
    has_begun.recv_timeout(LIMIT).unwrap();
    let mut request = peer.request(S1F1, []);
    assert_eq!(caller.read().unwrap().0.stream_function(), S1F1);
    let (limit, begun) = (Duration::from_millis(200), Instant::now());
    let stopped = manager.stop(limit);
    let passed = begun.elapsed();
    assert!(passed < limit + SLACK, "{passed:?}");
    assert!(matches!(stopped, Err(Error::HandlersBusy { handlers: 1 } | Error::Late { .. })), "{stopped:?}");
    // The connection ends, and so does the request, while the handler is still there.
    assert_eq!(caller.read().unwrap().0.stype, SType::SEPARATE_REQ);
    assert!(request.wait(LIMIT).is_err());
    drop(go);
    manager.stop(LIMIT).unwrap();
}
