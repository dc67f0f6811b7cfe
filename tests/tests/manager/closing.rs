//! The ends of connections, and of the manager: nothing is lost, and it begins again.

use crate::caller::{Call, Caller, Echo, LIMIT, LOCAL, Recorder, S1F1, S1F2, SLACK, bound, tool};
use hsms_std::core::wire::SType;
use hsms_std::manager::{Delegate, Error, Event, Expected, Manager, ManagerSettings, Peer, PeerSettings, Received};
use hsms_std::{CloseReason, Config, DeviceId, Header, Notice, Options, State};
use socket2::SockRef;
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Nobody else takes a port here while the manager is stopped.
const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 8, 3)), 0);
const FROM: Ipv4Addr = Ipv4Addr::new(127, 0, 8, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 8, 2);

/// A caller that takes little at a time.
fn narrow(from: Ipv4Addr, to: SocketAddr) -> Caller {
    let socket = bound(from);
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let mut caller = Caller::connect(socket, to);
    assert_eq!(caller.select(), 0);
    caller
}

#[test]
fn what_was_sent_before_we_close_arrives_and_separate_behind_it() {
    let text: Vec<u8> = (0..2_000_000_u32).map(|number| (number % 251) as u8).collect();
    for stops in [false, true] {
        let manager = Manager::start().unwrap();
        let peer = manager.add("tool", tool(LOCAL, FROM)).unwrap();
        peer.enable().unwrap();
        let mut caller = narrow(FROM, peer.local_addr().unwrap());
        // More than the system takes, while nobody reads.
        peer.send(S1F1, text.clone()).wait(LIMIT).unwrap();
        let reader = std::thread::spawn(move || {
            let message = caller.read().unwrap();
            let separate = caller.read().unwrap().0;
            caller.expect_end();
            (message, separate)
        });
        if stops {
            manager.stop(LIMIT).unwrap();
        } else {
            peer.disable().unwrap();
        }
        let ((header, body), separate) = reader.join().unwrap();
        assert_eq!((header.stream_function(), separate.stype), (S1F1, SType::SEPARATE_REQ));
        assert!(body == text);
        manager.stop(LIMIT).unwrap();
    }
}

/// The system says it once, to whichever call comes first: here it is a write, since writing goes on before reading does.
#[test]
fn a_reset_that_a_write_finds_is_told_as_one() {
    let manager = Manager::start().unwrap();
    let settings = tool(LOCAL, FROM).with_output(64 << 20);
    let peer = manager.add("tool", settings).unwrap();
    peer.enable().unwrap();
    let mut caller = narrow(FROM, peer.local_addr().unwrap());
    // More than the system takes, while nobody reads on: there is always something left to write.
    let mut request = peer.request(S1F1, vec![0; 32 << 20]);
    caller.stream.read_exact(&mut [0; 64]).unwrap();
    SockRef::from(&caller.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(caller);
    match request.wait(LIMIT) {
        Err(Error::Connection(hsms_std::Error::Closed { reason, source: Some(source) })) => {
            assert_eq!((reason, source.kind()), (CloseReason::TransportClosed, ErrorKind::ConnectionReset));
        }
        other => panic!("{other:?}"),
    }
    manager.stop(LIMIT).unwrap();
}

#[test]
fn a_peer_that_takes_nothing_does_not_keep_stop_from_its_bound() {
    // As far as that goes; however patient stop is, such a peer is given up after a second.
    for limit in [Duration::from_millis(400), 2 * LIMIT] {
        let manager = Manager::start().unwrap();
        let peer = manager.add("tool", tool(LOCAL, FROM)).unwrap();
        peer.enable().unwrap();
        let caller = narrow(FROM, peer.local_addr().unwrap());
        peer.send(S1F1, vec![0; 8_000_000]).wait(LIMIT).unwrap();
        let begun = Instant::now();
        // The connection is closed while the rest still waits to be taken.
        let stopped = manager.stop(limit);
        assert!(matches!(stopped, Ok(()) | Err(Error::Late { .. })), "{stopped:?}");
        // Where it was late it ends all the same.
        manager.stop(2 * LIMIT).unwrap();
        let passed = begun.elapsed();
        assert!(passed < SLACK, "{passed:?}");
        assert_eq!(peer.state(), State::NotConnected);
        drop(caller);
    }
}

#[test]
fn however_few_events_are_kept_what_is_told_ends_as_things_stand() {
    for kept in [0, 1, 3] {
        let manager = Manager::start().unwrap();
        let settings = tool(LOCAL, FROM).with_options(Options::new().with_inbox(kept, 1_000));
        let peer = manager.add("tool", settings).unwrap();
        peer.enable().unwrap();
        // Nobody takes the events meanwhile.
        for _ in 0..20 {
            let mut caller = Caller::selected(FROM, peer.local_addr().unwrap());
            for _ in 0..3 {
                let system = caller.system();
                caller.write(&Header::deselect_req(system), &[]);
                assert_eq!(caller.read().unwrap().0.stype, SType::DESELECT_RSP);
                assert_eq!(caller.select(), 0);
            }
            let system = caller.system();
            caller.write(&Header::separate_req(system), &[]);
            caller.expect_end();
        }
        let _last = Caller::selected(FROM, peer.local_addr().unwrap());
        peer.selected().wait(LIMIT).unwrap();
        let (mut connected, mut selected, mut taken) = (false, false, 0);
        let dropped = loop {
            taken += 1;
            match manager.next(LIMIT).unwrap().1 {
                Event::Established => assert!(!std::mem::replace(&mut connected, true), "established twice"),
                Event::Notice(Notice::Selected) => {
                    assert!(connected && !std::mem::replace(&mut selected, true), "selected twice");
                }
                Event::Notice(Notice::Deselected) => assert!(std::mem::replace(&mut selected, false)),
                Event::BeforeClosed => assert!(connected),
                Event::Closed { .. } => {
                    assert!(std::mem::replace(&mut connected, false), "closed twice");
                    selected = false;
                }
                Event::Notice(_) => {}
                // Told when everything else has been.
                Event::Dropped { events, .. } => break events,
                other => panic!("{other:?}"),
            }
        };
        assert!(connected && selected, "it is, and the last that was told says otherwise");
        assert!(taken <= kept + 12, "{taken} events were kept where {kept} fit");
        assert!(dropped > 0);
        manager.stop(LIMIT).unwrap();
    }
}

#[test]
fn an_inbox_without_room_tells_what_it_dropped() {
    let manager = Manager::start().unwrap();
    let settings = tool(LOCAL, FROM).with_options(Options::new().with_inbox(0, 0));
    let peer = manager.add("tool", settings).unwrap();
    peer.enable().unwrap();
    let mut caller = Caller::selected(FROM, peer.local_addr().unwrap());
    while !matches!(manager.next(LIMIT).unwrap().1, Event::Notice(Notice::Selected)) {}
    let system = caller.primary(S1F1, true, b"text");
    let (header, _) = caller.read().unwrap();
    assert_eq!((header.system, header.function()), (system, 0));
    let event = manager.next(LIMIT).unwrap().1;
    assert!(matches!(event, Event::Dropped { primaries: 1, events: 0 }), "{event:?}");
    manager.stop(LIMIT).unwrap();
}

#[test]
fn a_stopped_manager_starts_again_with_its_peers() {
    let manager = Manager::start().unwrap();
    let (recorder, calls) = Recorder::new();
    let enabled = manager.add("enabled", tool(HERE, FROM).with_delegate(Arc::new(Echo))).unwrap();
    let port = enabled.local_addr().unwrap();
    let disabled = manager.add("disabled", tool(port, OTHER)).unwrap();
    let gone = manager.add("gone", tool(HERE, FROM)).unwrap();
    let host = PeerSettings::active([port], Config::host(DeviceId::new(0).unwrap()));
    let host = manager.add("host", host.with_delegate(Arc::new(recorder))).unwrap();
    assert!(matches!(manager.restart(), Err(Error::Running)));
    enabled.enable().unwrap();
    for _ in 0..3 {
        let mut caller = Caller::selected(FROM, port);
        manager.stop(LIMIT).unwrap();
        assert_eq!(caller.read().unwrap().0.stype, SType::SEPARATE_REQ);
        caller.expect_end();
        assert!(matches!(enabled.request(S1F1, []).wait(LIMIT), Err(Error::Stopped)));
        // What is removed while it is stopped stays so.
        let _ = manager.remove("gone");
        manager.restart().unwrap();
        assert_eq!(enabled.local_addr(), Some(port));
        let mut refused = Caller::call(OTHER, port);
        assert_eq!(refused.select(), 1);
        let mut caller = Caller::selected(FROM, port);
        let system = caller.primary(S1F1, true, b"text");
        let (reply, body) = caller.read().unwrap();
        assert_eq!((reply.system, reply.stream_function(), body.as_slice()), (system, S1F2, b"text".as_slice()));
        assert!(matches!(gone.counters().wait(LIMIT), Err(Error::Removed)));
        drop(caller);
    }
    disabled.enable().unwrap();
    disabled.counters().wait(LIMIT).unwrap();
    Caller::selected(OTHER, port);
    enabled.disable().unwrap();
    manager.stop(LIMIT).unwrap();
    manager.restart().unwrap();
    assert_eq!(Caller::call(FROM, port).select(), 1, "it had been disabled");
    assert!(calls.try_recv().is_err(), "one that was never enabled does nothing");
    drop(host);
    manager.stop(LIMIT).unwrap();
}

#[test]
fn one_stop_ends_every_connection_with_separate_and_closes_the_port() {
    let manager = Manager::start().unwrap();
    let mut port = HERE;
    let mut callers = [FROM, OTHER].map(|from| {
        let peer = manager.add(&from.to_string(), tool(port, from)).unwrap();
        port = peer.local_addr().unwrap();
        peer.enable().unwrap();
        Caller::selected(from, port)
    });
    manager.stop(LIMIT).unwrap();
    for caller in &mut callers {
        assert_eq!(caller.read().unwrap().0.stype, SType::SEPARATE_REQ);
        caller.expect_end();
    }
    for from in [FROM, OTHER] {
        let refused = bound(from).connect(&port.into()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
    assert!(manager.peers().iter().all(|peer| peer.state() == State::NotConnected));
}

#[test]
fn a_restart_that_finds_its_port_taken_leaves_the_manager_stopped() {
    let manager = Manager::start().unwrap();
    let peer = manager.add("tool", tool(HERE, FROM)).unwrap();
    let port = peer.local_addr().unwrap();
    manager.stop(LIMIT).unwrap();
    let taken = TcpListener::bind(port).unwrap();
    assert!(matches!(manager.restart(), Err(Error::Listen { address, .. }) if address == port));
    assert!(matches!(peer.request(S1F1, []).wait(LIMIT), Err(Error::Stopped)));
    drop(taken);
    // Noted for when it starts.
    peer.enable().unwrap();
    manager.restart().unwrap();
    Caller::selected(FROM, port);
    manager.stop(LIMIT).unwrap();
}

#[test]
fn an_expected_peer_of_the_options_is_heeded_or_refused() {
    let manager = Manager::start().unwrap();
    let config = Config::equipment(DeviceId::new(0).unwrap());
    let only = |peer: Ipv4Addr| Options::new().with_expected_peer(Some(peer.into()));
    let anyone = PeerSettings::passive(LOCAL, Expected::Anyone, config).with_options(only(FROM));
    let peer = manager.add("anyone", anyone).unwrap();
    peer.enable().unwrap();
    let port = peer.local_addr().unwrap();
    Caller::call(OTHER, port).expect_end();
    Caller::selected(FROM, port);
    manager.add("same", tool(LOCAL, FROM).with_options(only(FROM))).unwrap();
    let active = PeerSettings::active([port], config).with_options(only(FROM));
    for settings in [tool(LOCAL, FROM).with_options(only(OTHER)), active] {
        let refused = manager.add("other", settings).unwrap_err();
        assert!(matches!(refused, Error::ExpectedPeer { .. }), "{refused:?}");
        assert_eq!(refused.fault(), hsms_std::Fault::Caller);
    }
    manager.stop(LIMIT).unwrap();
}

/// Calls until the connection is closed, for those who ask for control messages and for those who do not.
#[test]
fn control_messages_are_told_of_to_those_who_ask() {
    for tells in [false, true] {
        let manager = Manager::start_with(ManagerSettings::new().with_max_handlers(1)).unwrap();
        let (recorder, calls) = Recorder::new();
        let options = Options::new().with_tell_control(tells);
        let settings = tool(LOCAL, FROM).with_options(options).with_delegate(Arc::new(recorder));
        let peer = manager.add("tool", settings).unwrap();
        peer.enable().unwrap();
        let mut caller = Caller::selected(FROM, peer.local_addr().unwrap());
        caller.linktest();
        let system = caller.system();
        caller.write(&Header::separate_req(system), &[]);
        let mut control = Vec::new();
        loop {
            match calls.recv_timeout(LIMIT).unwrap() {
                Call::Event(Event::Other { header, body_len, .. }) => control.push((header.stype, body_len)),
                Call::Closed(reason) => {
                    assert_eq!(reason, CloseReason::SeparateReceived);
                    break;
                }
                _ => {}
            }
        }
        let all = [(SType::SELECT_REQ, 0), (SType::LINKTEST_REQ, 0), (SType::SEPARATE_REQ, 0)];
        assert_eq!(control, if tells { &all[..] } else { &[] });
        manager.stop(LIMIT).unwrap();
    }
}

/// Does not return from being told that a connection is about to be closed until it may.
struct Slow(Mutex<Receiver<()>>);

impl Delegate for Slow {
    fn received(&self, _: &Peer, _: Received) {}

    fn before_closed(&self, _: &Peer) {
        let _ = self.0.lock().unwrap().recv_timeout(LIMIT);
    }
}

#[test]
fn a_slow_handler_does_not_keep_a_peer_from_being_closed_for_longer_than_its_farewell() {
    let manager = Manager::start().unwrap();
    let (goes_on, waits) = channel();
    let settings = tool(LOCAL, FROM).with_farewell(Duration::from_millis(50));
    let peer = manager.add("tool", settings.with_delegate(Arc::new(Slow(Mutex::new(waits))))).unwrap();
    peer.enable().unwrap();
    let mut caller = Caller::selected(FROM, peer.local_addr().unwrap());
    peer.disable().unwrap();
    assert_eq!(caller.read().unwrap().0.stype, SType::SEPARATE_REQ);
    caller.expect_end();
    goes_on.send(()).expect("the handler has not returned");
    manager.stop(LIMIT).unwrap();
}

#[test]
fn a_restart_waits_for_nobody_who_is_still_busy_with_what_was_before() {
    let manager = Manager::start().unwrap();
    let (goes_on, waits) = channel();
    let settings = tool(LOCAL, FROM).with_farewell(Duration::ZERO);
    let peer = manager.add("tool", settings.with_delegate(Arc::new(Slow(Mutex::new(waits))))).unwrap();
    peer.enable().unwrap();
    let mut caller = Caller::selected(FROM, peer.local_addr().unwrap());
    peer.selected().wait(LIMIT).unwrap();
    peer.disable().unwrap();
    assert_eq!(caller.read().unwrap().0.stype, SType::SEPARATE_REQ);
    let busy = manager.stop(Duration::from_millis(50));
    assert!(matches!(busy, Err(Error::HandlersBusy { .. })), "{busy:?}");
    let busy = manager.restart();
    assert!(matches!(busy, Err(Error::HandlersBusy { handlers: 1 })), "{busy:?}");
    goes_on.send(()).unwrap();
    manager.stop(LIMIT).unwrap();
    manager.restart().unwrap();
    manager.stop(LIMIT).unwrap();
}

#[test]
fn what_is_refused_while_the_manager_is_stopped_takes_no_room_afterwards() {
    let manager = Manager::start().unwrap();
    let peer = manager.add("tool", tool(LOCAL, FROM).with_output(1_000)).unwrap();
    let port = peer.local_addr().unwrap();
    peer.enable().unwrap();
    manager.stop(LIMIT).unwrap();
    for _ in 0..3 {
        let refused = peer.send(S1F1, vec![0; 900]).wait(LIMIT);
        assert!(matches!(refused, Err(Error::Stopped)), "{refused:?}");
    }
    manager.restart().unwrap();
    let mut caller = Caller::selected(FROM, port);
    peer.selected().wait(LIMIT).unwrap();
    // One is taken however long it is, where nothing else waits.
    peer.send(S1F1, vec![0; 2_000]).wait(LIMIT).unwrap();
    assert_eq!(caller.read().unwrap().1.len(), 2_000);
    manager.stop(LIMIT).unwrap();
}
