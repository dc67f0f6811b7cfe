//! What one peer, or its handler, costs the others: nothing.

use crate::caller::{Call, Caller, DEVICE, Echo, LIMIT, LOCAL, Recorder, S1F1, S1F2, tool};
use crate::descriptors::raise_descriptors;
use hsms_std::manager::{Delegate, Error, Expected, Manager, Peer, PeerSettings, Received};
use hsms_std::{CloseReason, Config, Header, Options};
use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex};

const HANDLERS: usize = 64;
const PEERS: u32 = 1_000;

/// Handlers that wait on a condition variable.
struct Blocked {
    released: Mutex<bool>,
    come: Condvar,
    begun: Mutex<Sender<()>>,
    returned: AtomicUsize,
}

impl Blocked {
    fn new(begun: Sender<()>) -> Self {
        let (released, returned) = (Mutex::new(false), AtomicUsize::new(0));
        Blocked { released, come: Condvar::new(), begun: Mutex::new(begun), returned }
    }

    fn release(&self) {
        *self.released.lock().unwrap() = true;
        self.come.notify_all();
    }
}

impl Delegate for Blocked {
    fn received(&self, peer: &Peer, message: Received) {
        self.begun.lock().unwrap().send(()).unwrap();
        let released = self.released.lock().unwrap();
        drop(self.come.wait_while(released, |released| !*released).unwrap());
        self.returned.fetch_add(1, Ordering::SeqCst);
        Echo.received(peer, message);
    }
}

#[test]
fn a_peer_has_one_message_handled_at_a_time_though_other_handlers_are_free() {
    const MESSAGES: usize = 3;
    let manager = Manager::start().unwrap();
    let (begun, has_begun) = channel();
    let delegate = Arc::new(Blocked::new(begun));
    let mut port = LOCAL;
    let mut callers = Vec::new();
    for last in 1..=4 {
        let from = Ipv4Addr::new(127, 0, 4, last);
        let peer = manager.add(&from.to_string(), tool(port, from).with_delegate(delegate.clone())).unwrap();
        port = peer.local_addr().unwrap();
        peer.enable().unwrap();
        callers.push(Caller::selected(from, port));
    }
    for caller in &mut callers {
        for text in [&b"first"[..], b"second", b"third"] {
            caller.primary(S1F1, true, text);
        }
        // Behind which all of them have been seen.
        caller.linktest();
    }
    for _ in &callers {
        has_begun.recv_timeout(LIMIT).unwrap();
    }
    assert!(has_begun.try_recv().is_err(), "a second of one peer's, while its first is being handled");
    delegate.release();
    for caller in &mut callers {
        let texts: Vec<_> = (0..MESSAGES).map(|_| caller.read().unwrap().1).collect();
        assert_eq!(texts, [&b"first"[..], b"second", b"third"], "in their order");
    }
    manager.stop(LIMIT).unwrap();
}

#[test]
fn with_64_handlers_blocked_every_linktest_of_1000_peers_is_answered() {
    raise_descriptors();
    let manager = Manager::start().unwrap();
    let (begun, has_begun) = channel();
    let delegate = Arc::new(Blocked::new(begun));
    let mut port = LOCAL;
    let mut callers = Vec::new();
    for number in 0..PEERS {
        let from = Ipv4Addr::new(127, 1, (number / 250) as u8, (number % 250 + 1) as u8);
        let peer = manager.add(&from.to_string(), tool(port, from).with_delegate(delegate.clone())).unwrap();
        port = peer.local_addr().unwrap();
        peer.enable().unwrap();
        callers.push((peer, Caller::selected(from, port)));
    }
    for (_, caller) in &mut callers {
        caller.primary(S1F1, true, b"text");
    }
    for _ in 0..HANDLERS {
        has_begun.recv_timeout(LIMIT).unwrap();
    }
    for (peer, caller) in &mut callers {
        caller.linktest();
        // And what others ask is sent.
        drop(peer.send(S1F1, []));
        assert_eq!(caller.read().unwrap().0.stream_function(), S1F1);
    }
    assert!(has_begun.try_recv().is_err(), "more than {HANDLERS} handlers");
    assert_eq!(delegate.returned.load(Ordering::SeqCst), 0);
    delegate.release();
    for (_, caller) in &mut callers {
        let (reply, body) = caller.read().unwrap();
        assert_eq!((reply.stream_function(), body.as_slice()), (S1F2, b"text".as_slice()));
    }
    manager.stop(LIMIT).unwrap();
}

#[test]
fn a_peer_that_takes_nothing_is_bounded_and_costs_the_others_nothing() {
    let manager = Manager::start().unwrap();
    let (slow, quick) = (Ipv4Addr::new(127, 0, 3, 1), Ipv4Addr::new(127, 0, 3, 2));
    let patient = Options::new().with_write_limit(LIMIT);
    let dead = manager.add("slow", tool(LOCAL, slow).with_output(1 << 20).with_options(patient)).unwrap();
    let port = dead.local_addr().unwrap();
    let alive = manager.add("quick", tool(port, quick)).unwrap();
    dead.enable().unwrap();
    alive.enable().unwrap();
    let _silent = Caller::selected(slow, port);
    let mut caller = Caller::selected(quick, port);
    // The system takes some megabytes itself.
    let mut full = None;
    for _ in 0..10_000 {
        match dead.send(S1F1, vec![0; 64 * 1024]).wait(LIMIT) {
            Ok(_) => {}
            Err(error) => {
                full = Some(error);
                break;
            }
        }
    }
    let Some(Error::OutputFull { waiting }) = full else { panic!("{full:?}") };
    assert!(waiting <= (1 << 20) + 65 * 1024, "{waiting}");
    for _ in 0..1_000 {
        let mut request = alive.request(S1F1, []);
        let (header, _) = caller.read().unwrap();
        caller.answer(&header, &[]);
        request.wait(LIMIT).unwrap();
    }
    manager.stop(LIMIT).unwrap();
}

#[test]
fn two_ends_that_send_long_texts_at_once_both_finish() {
    let manager = Manager::start().unwrap();
    let settings = |settings: PeerSettings| settings.with_output(64 << 20).with_delegate(Arc::new(Echo));
    let tool = PeerSettings::passive(LOCAL, Expected::Anyone, Config::equipment(DEVICE));
    let tool = manager.add("tool", settings(tool)).unwrap();
    let host = PeerSettings::active([tool.local_addr().unwrap()], Config::host(DEVICE));
    let host = manager.add("host", settings(host)).unwrap();
    tool.enable().unwrap();
    host.enable().unwrap();
    for peer in [&tool, &host] {
        peer.selected().wait(LIMIT).unwrap();
    }
    let text = vec![7; 12 << 20];
    for mut request in [tool.request(S1F1, text.clone()), host.request(S1F1, text.clone())] {
        assert!(request.wait(LIMIT).unwrap().body == text);
    }
    manager.stop(LIMIT).unwrap();
}

#[test]
fn a_peer_that_asks_and_never_takes_answers_is_given_up_after_the_write_limit() {
    let manager = Manager::start().unwrap();
    let from = Ipv4Addr::new(127, 0, 3, 3);
    let options = Options::new().with_write_limit(std::time::Duration::from_millis(100));
    let (recorder, calls) = Recorder::new();
    let settings = tool(LOCAL, from).with_options(options).with_delegate(Arc::new(recorder));
    let peer = manager.add("flood", settings).unwrap();
    peer.enable().unwrap();
    let mut caller = Caller::selected(from, peer.local_addr().unwrap());
    let frame = Header::linktest_req(caller.system()).encode_alone();
    let many = frame.repeat(10_000);
    // Until the other end has closed.
    while caller.stream.write_all(&many).is_ok() {}
    loop {
        match calls.recv_timeout(LIMIT).unwrap() {
            Call::Closed(reason) => {
                assert_eq!(reason, CloseReason::TransportClosed);
                break;
            }
            Call::Received(message) => panic!("{message:?}"),
            _ => {}
        }
    }
    manager.stop(LIMIT).unwrap();
}
