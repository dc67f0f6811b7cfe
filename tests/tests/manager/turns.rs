//! What one turn of the event loop does, whatever comes in it at once.

use crate::caller::{Call, Caller, DEVICE, LIMIT, LOCAL, Recorder, S1F1, tool};
use crate::descriptors::raise_descriptors;
use hsms_std::core::wire::SType;
use hsms_std::manager::{Expected, Manager, PeerSettings};
use hsms_std::tap::{Tap, Tapped, What};
use hsms_std::{CloseReason, Config, Header, Options, SystemBytes};
use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Stands still at each data message until it is let go on, and the event loop with it.
#[derive(Debug)]
struct Gate {
    reached: Mutex<Sender<()>>,
    opened: Mutex<Receiver<()>>,
}

impl Tap for Gate {
    fn tap(&self, tapped: &Tapped<'_>) {
        if let What::Piece(piece) = tapped.what
            && piece.header.stype == SType::DATA
        {
            // The test may have failed.
            let _ = self.reached.lock().unwrap().send(());
            let _ = self.opened.lock().unwrap().recv_timeout(LIMIT);
        }
    }
}

/// One who can have the event loop stand still.
struct Keeper {
    caller: Caller,
    reached: Receiver<()>,
    open: Sender<()>,
}

impl Keeper {
    fn call(manager: &Manager, from: Ipv4Addr) -> Self {
        let ((reached, has_reached), (open, opened)) = (channel(), channel());
        let gate = Gate { reached: Mutex::new(reached), opened: Mutex::new(opened) };
        let peer = manager.add("keeper", tool(LOCAL, from).with_tap(Arc::new(gate))).unwrap();
        peer.enable().unwrap();
        Keeper { caller: Caller::selected(from, peer.local_addr().unwrap()), reached: has_reached, open }
    }

    /// The loop stands still from now on, in the turn in which it takes this message.
    fn close(&mut self) {
        self.caller.primary(S1F1, false, &[]);
        self.reached.recv_timeout(LIMIT).unwrap();
    }

    fn open(&self) {
        self.open.send(()).unwrap();
    }

    /// Lets one turn pass: it does what it is asked for by now, and stands still again behind that.
    fn pass(&mut self) {
        self.caller.primary(S1F1, false, &[]);
        self.open();
        self.reached.recv_timeout(LIMIT).unwrap();
    }
}

/// No timer makes anybody look while the test waits.
fn patient(config: Config) -> Config {
    let long = 2 * LIMIT;
    config.with_linktest_period(Duration::ZERO).unwrap().with_t6(long).unwrap().with_t8(long).unwrap()
}

/// Why the connection was closed.
fn closed(calls: &Receiver<Call>) -> CloseReason {
    loop {
        match calls.recv_timeout(LIMIT).unwrap() {
            Call::Closed(reason) => return reason,
            Call::Established | Call::Event(_) | Call::BeforeClosed => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn peers_that_send_without_a_pause_cost_the_others_nothing() {
    let manager = Manager::start().unwrap();
    let [quick, loud @ ..] = [1, 2, 3].map(|last| Ipv4Addr::new(127, 0, 4, last));
    let alive = manager.add("quick", tool(LOCAL, quick)).unwrap();
    let port = alive.local_addr().unwrap();
    alive.enable().unwrap();
    let mut caller = Caller::selected(quick, port);
    let over = Arc::new(AtomicBool::new(false));
    let floods = loud.map(|from| {
        let peer = manager.add(&from.to_string(), tool(port, from)).unwrap();
        peer.enable().unwrap();
        let mut caller = Caller::selected(from, port);
        let frame = Header::data(caller.system(), S1F1, false, DEVICE.session()).encode_alone();
        let (many, over) = (frame.repeat(4_096), Arc::clone(&over));
        thread::spawn(move || {
            let mut sent = 0_u64;
            while !over.load(Ordering::Relaxed) {
                caller.stream.write_all(&many).unwrap();
                sent += 4_096;
            }
            // What was sent is answered behind it: all of it has been read.
            caller.linktest();
            (peer, sent)
        })
    });
    for _ in 0..100 {
        caller.linktest();
        let mut request = alive.request(S1F1, []);
        let (header, _) = caller.read().unwrap();
        caller.answer(&header, &[]);
        request.wait(LIMIT).unwrap();
    }
    over.store(true, Ordering::Relaxed);
    for flood in floods {
        let (peer, sent) = flood.join().unwrap();
        assert_eq!(peer.counters().wait(LIMIT).unwrap().received.messages.primary, sent);
    }
    manager.stop(LIMIT).unwrap();
}

#[test]
fn an_end_that_is_told_of_before_the_connection_is_known_to_be_open_is_noticed() {
    let manager = Manager::start().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (recorder, calls) = Recorder::new();
    let config = patient(Config::host(DEVICE));
    let settings = PeerSettings::active([listener.local_addr().unwrap()], config);
    let peer = manager.add("host", settings.with_delegate(Arc::new(recorder))).unwrap();
    let mut keeper = Keeper::call(&manager, Ipv4Addr::new(127, 0, 4, 4));
    keeper.close();
    peer.enable().unwrap();
    // The turn in which it begins to dial.
    keeper.pass();
    // Some octets of a frame and the end, before it looks what has become of that.
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(&[0, 0, 0]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    keeper.open();
    assert_eq!(closed(&calls), CloseReason::TransportClosed);
    manager.stop(LIMIT).unwrap();
}

#[test]
fn an_end_that_is_told_of_together_with_octets_is_noticed() {
    let manager = Manager::start().unwrap();
    let from = Ipv4Addr::new(127, 0, 4, 6);
    let (recorder, calls) = Recorder::new();
    let config = patient(Config::equipment(DEVICE));
    let settings = PeerSettings::passive(LOCAL, Expected::Address(from.into()), config);
    let peer = manager.add("tool", settings.with_delegate(Arc::new(recorder))).unwrap();
    peer.enable().unwrap();
    let mut caller = Caller::selected(from, peer.local_addr().unwrap());
    let mut keeper = Keeper::call(&manager, Ipv4Addr::new(127, 0, 4, 7));
    keeper.close();
    // Nothing is sent to it any more, which could have the system tell of the end again.
    caller.stream.write_all(&[0, 0, 0]).unwrap();
    caller.stream.shutdown(Shutdown::Write).unwrap();
    keeper.open();
    assert_eq!(closed(&calls), CloseReason::TransportClosed);
    manager.stop(LIMIT).unwrap();
}

#[test]
fn no_timer_expires_over_answers_that_more_peers_have_sent_than_one_turn_is_told_of() {
    /// More than the loop is told of at once.
    const MANY: u8 = 125;
    const PORTS: u8 = 9;
    raise_descriptors();
    let second = Duration::from_secs(1);
    let manager = Manager::start().unwrap();
    let mut keeper = Keeper::call(&manager, Ipv4Addr::new(127, 0, 4, 5));
    let config = Config::equipment(DEVICE).with_linktest_period(Duration::ZERO).unwrap().with_t6(second).unwrap();
    let mut port = LOCAL;
    let mut peers = Vec::new();
    for (network, last) in (1..=PORTS).flat_map(|network| (1..=MANY).map(move |last| (network, last))) {
        let from = Ipv4Addr::new(127, 2, network, last);
        let settings = PeerSettings::passive(port, Expected::Address(from.into()), config);
        let peer = manager.add(&from.to_string(), settings).unwrap();
        port = peer.local_addr().unwrap();
        peer.enable().unwrap();
        peers.push((peer, Caller::selected(from, port)));
    }
    let linktests: Vec<_> = peers.iter().map(|(peer, _)| peer.linktest()).collect();
    let requests: Vec<_> = peers.iter_mut().map(|(_, caller)| caller.read().unwrap().0).collect();
    keeper.close();
    for ((_, caller), request) in peers.iter_mut().zip(&requests) {
        assert_eq!(request.stype, SType::LINKTEST_REQ);
        caller.write(&Header::linktest_rsp(request.system), &[]);
    }
    // All have answered in time, and nobody has looked: until T6 is over.
    let (_never, nothing) = channel::<()>();
    assert!(nothing.recv_timeout(second + second / 4).is_err());
    keeper.open();
    for mut linktest in linktests {
        linktest.wait(LIMIT).unwrap();
    }
    manager.stop(LIMIT).unwrap();
}

/// It is not read while it takes nothing, which ends with what it takes of the text in front of its answers.
#[test]
fn a_peer_that_asks_much_while_much_is_sent_to_it_is_answered_all() {
    const ASKED: u32 = 60_000;
    /// More than may wait for it, see `MOST_ANSWERS`.
    const UNREAD: u64 = (1 << 18) / 14;
    let manager = Manager::start().unwrap();
    let from = Ipv4Addr::new(127, 0, 4, 8);
    let options = Options::new().with_write_limit(LIMIT);
    let peer = manager.add("tool", tool(LOCAL, from).with_output(64 << 20).with_options(options)).unwrap();
    peer.enable().unwrap();
    let mut caller = Caller::selected(from, peer.local_addr().unwrap());
    let text = vec![7; 24 << 20];
    peer.send(S1F1, text.clone()).wait(LIMIT).unwrap();
    let mut asks = caller.stream.try_clone().unwrap();
    let asking = thread::spawn(move || {
        let octets: Vec<u8> =
            (0..ASKED).flat_map(|number| Header::linktest_req(SystemBytes(number)).encode_alone()).collect();
        asks.write_all(&octets)
    });
    let end = Instant::now() + LIMIT;
    while peer.counters().wait(LIMIT).unwrap().received.messages.linktest_req <= UNREAD {
        assert!(Instant::now() < end);
    }
    assert!(caller.read().unwrap().1 == text);
    for number in 0..ASKED {
        assert_eq!(caller.read().unwrap().0, Header::linktest_rsp(SystemBytes(number)));
    }
    asking.join().unwrap().unwrap();
    manager.stop(LIMIT).unwrap();
}
