//! Services of peers of a manager.

use super::raw::Raw;
use super::rows::{DEVICE, LIMIT, SOON, config, outcome, secret, status};
use hsms_std::manager::{Expected, Manager, Peer, PeerServices, PeerSettings};
use hsms_std::services::{
    CommunicationSettings, EndpointNotice, Error, Identity, Returned, SendError, ServiceId, Settings, Status,
    TrustFailure, TrustSettings,
};
use hsms_std::{Config, StreamFunction};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// For whoever calls.
pub fn listen() -> PeerSettings {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    PeerSettings::passive(listen, Expected::Anyone, config(Config::equipment(DEVICE)))
}

/// Equipment with the usual services, which is not enabled.
pub fn tool(manager: &Manager, peer: PeerSettings, settings: Settings) -> (Peer, PeerServices) {
    let tool = manager.add("tool", peer.with_services(settings)).unwrap();
    let services = tool.services().unwrap();
    for (request, name) in [(10, "read"), (20, "write"), (30, "execute")] {
        let service = services.add_service(request, request + 1, name, "response").unwrap().request();
        services.add_data(&[service], 7, "temperature").unwrap();
    }
    (tool, services)
}

/// A host that is enabled.
pub fn host_at(manager: &Manager, peer: PeerSettings, settings: Settings) -> (Peer, PeerServices) {
    let host = manager.add("host", peer.with_services(settings)).unwrap();
    let services = host.services().unwrap();
    host.enable().unwrap();
    (host, services)
}

fn host(manager: &Manager, tool: &Peer, settings: Settings) -> (Peer, PeerServices) {
    let addresses: Vec<_> = tool.local_addr().into_iter().collect();
    tool.enable().unwrap();
    host_at(manager, PeerSettings::active(addresses, config(Config::host(DEVICE))), settings)
}

#[test]
fn peers_of_a_manager_serve_and_use_services_with_a_secret() {
    let manager = Manager::start().unwrap();
    let (tool, offered) = tool(&manager, listen(), Settings::new().with_secret(secret()).with_name("oven"));
    offered
        .on_request(Some(ServiceId::READ), None, |request| {
            let number: u16 = request.value()?;
            assert!(number != 666, "on purpose");
            Ok(Returned::value(&number)?)
        })
        .unwrap();
    offered.on_primary(Some(2), Some(41), |message| Ok(message.body.to_vec())).unwrap();
    let (host, used) = host(&manager, &tool, Settings::new().with_secret(secret()));
    assert_eq!(used.send(ServiceId::READ, 7, &5_u16, LIMIT).unwrap().value::<u16>().unwrap(), 5);
    assert!(used.is_connected() && used.is_selected() && used.is_trusted() && used.is_established());
    assert_eq!(used.name().as_deref(), Some("oven"));
    // Neither a failure nor a panic harms the connection.
    assert_eq!(status(used.send(ServiceId::READ, 7, "no", LIMIT)), Some(Status::CALLBACK_ERROR));
    assert_eq!(status(used.send(ServiceId::READ, 7, &666_u16, LIMIT)), Some(Status::CALLBACK_ERROR));
    assert_eq!(used.request(StreamFunction::new(2, 41), &[0xa5, 1, 7], LIMIT).unwrap(), [0xa5, 1, 7]);
    assert_eq!(status(used.send(ServiceId::WRITE, 7, &1_u8, LIMIT)), Some(Status::BUFFERING_UNHANDLED_REQUEST));
    let kept = offered.receive(Some(ServiceId::WRITE), Some(7), LIMIT).unwrap().unwrap();
    assert_eq!(kept.value::<u8>().unwrap(), 1);
    // The other ways of the peer are there beside them.
    let reply = host.request(StreamFunction::new(2, 41), [0xa5, 1, 8]).wait(LIMIT).unwrap();
    assert_eq!(reply.body, [0xa5, 1, 8]);
    assert!(used.reconnect(LIMIT).unwrap());
    assert_eq!(host.counters().wait(LIMIT).unwrap().selections, 2);
    used.tell(ServiceId::WRITE, 7, &2_u8, LIMIT).unwrap();
    let kept = offered.receive(None, None, LIMIT).unwrap().unwrap();
    assert_eq!(kept.value::<u8>().unwrap(), 2);
    manager.stop(LIMIT).unwrap();
    assert!(matches!(used.send(ServiceId::READ, 7, &5_u16, LIMIT), Err(Error::Gone)));
}

#[test]
fn connected_selected_trusted_and_established_of_a_peer_are_told_apart() {
    let questions =
        |end: &PeerServices| [end.is_connected(), end.is_selected(), end.is_trusted(), end.is_established()];
    let manager = Manager::start().unwrap();
    let (tool, _) = tool(&manager, listen(), Settings::new().with_secret(secret()));
    let other = hsms_std::services::Secret::new(b"another secret!!").unwrap();
    let (peer, used) = host(&manager, &tool, Settings::new().with_secret(other));
    assert!(matches!(outcome(used.send(ServiceId::READ, 7, &(), LIMIT)), Some(SendError::NotTrusted(_))));
    assert_eq!(questions(&used), [true, true, false, false]);
    peer.disable().unwrap();
    let end = Instant::now() + LIMIT;
    while used.is_connected() && Instant::now() < end {
        let _ = used.next_notice(Duration::from_millis(1));
    }
    assert_eq!(questions(&used), [false; 4]);
    manager.stop(LIMIT).unwrap();
}

#[test]
fn a_receiver_of_a_manager_waits_and_learns_that_its_peer_is_gone() {
    let manager = Manager::start().unwrap();
    let (tool, offered) = tool(&manager, listen(), Settings::new());
    let (_host, used) = host(&manager, &tool, Settings::new());
    let (told, come) = mpsc::channel();
    let waiting = offered.clone();
    let thread = thread::spawn(move || {
        told.send(waiting.receive(None, None, LIMIT).unwrap().map(|kept| kept.service)).unwrap();
        waiting.receive(None, None, LIMIT).map(|_| ())
    });
    assert_eq!(status(used.send(ServiceId::EXECUTE, 7, &(), LIMIT)), Some(Status::BUFFERING_UNHANDLED_REQUEST));
    assert_eq!(come.recv_timeout(LIMIT).unwrap(), Some(ServiceId::EXECUTE));
    manager.remove("tool").unwrap();
    assert!(matches!(thread.join().unwrap(), Err(Error::Gone)));
    manager.stop(LIMIT).unwrap();
}

/// Nothing drives a peer of a manager but its loop, deadlines of the services included. Here with equipment that answers nothing.
#[test]
fn deadlines_of_sendings_and_handshakes_are_the_loops() {
    let manager = Manager::start().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let active = || PeerSettings::active([listener.local_addr().unwrap()], config(Config::host(DEVICE)));
    // On a connection that is SELECTED: of a response, ...
    let (_, used) = host_at(&manager, active(), Settings::new().without_names());
    let mut silent = Raw::tool(&listener);
    assert!(used.establish(LIMIT).unwrap());
    assert_eq!(outcome(used.send(ServiceId::READ, 7, &(), SOON)), Some(SendError::NoResponse));
    silent.read_is(64, 11);
    manager.remove("host").unwrap();
    // ... and of the handshake.
    let trust = TrustSettings { patience: Duration::from_millis(30), ..TrustSettings::default() };
    let settings = Settings::new().without_names().with_secret(secret()).with_trust(trust);
    let (host, used) = host_at(&manager, active(), settings);
    let mut silent = Raw::tool(&listener);
    let timed_out = SendError::NotTrusted(TrustFailure::TimedOut);
    assert_eq!(outcome(used.send(ServiceId::READ, 7, &(), LIMIT)), Some(timed_out));
    silent.read_is(64, 1);
    let told = used.next_notice(LIMIT).unwrap();
    assert_eq!(told, Some(EndpointNotice::TrustFailed(TrustFailure::TimedOut)));
    // And where nothing is connected.
    host.disable().unwrap();
    let end = Instant::now() + LIMIT;
    while used.is_connected() && Instant::now() < end {
        let _ = used.next_notice(Duration::from_millis(1));
    }
    assert_eq!(outcome(used.send(ServiceId::READ, 7, &(), SOON)), Some(SendError::NotConnected));
    manager.stop(LIMIT).unwrap();
}

#[test]
fn what_can_go_out_at_once_is_not_late_for_the_loop_either() {
    let manager = Manager::start().unwrap();
    let (tool, offered) = tool(&manager, listen(), Settings::new());
    let (_host, used) = host(&manager, &tool, Settings::new());
    assert!(used.establish(LIMIT).unwrap());
    for number in 0..60_u8 {
        used.tell(ServiceId::READ, 7, &number, Duration::ZERO).unwrap();
    }
    for number in 0..60 {
        assert_eq!(offered.receive(None, None, LIMIT).unwrap().unwrap().value::<u8>().unwrap(), number);
    }
    manager.stop(LIMIT).unwrap();
}

#[test]
fn before_trust_nobody_reaches_a_handler_with_another_secret_or_with_none() {
    let manager = Manager::start().unwrap();
    let (tool, offered) = tool(&manager, listen(), Settings::new().with_secret(secret()));
    let called = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&called);
    offered
        .on_request(None, None, move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(Returned::okay())
        })
        .unwrap();
    // It does not even try.
    let other = hsms_std::services::Secret::new(b"another secret!!").unwrap();
    let (_, used) = host(&manager, &tool, Settings::new().with_secret(other));
    let refused = TrustFailure::Refused(Status::OPERATION_NOT_PERMITTED);
    assert_eq!(outcome(used.send(ServiceId::READ, 7, &(), LIMIT)), Some(SendError::NotTrusted(refused)));
    manager.remove("host").unwrap();
    // It does.
    let (_, used) = host(&manager, &tool, Settings::new());
    let required = SendError::Status(Status::AUTHENTICATION_REQUIRED);
    assert_eq!(outcome(used.authenticate(LIMIT)), Some(SendError::NotPermitted));
    assert_eq!(outcome(used.send(ServiceId::READ, 7, &(), LIMIT)), Some(required));
    used.tell(ServiceId::READ, 7, &(), LIMIT).unwrap();
    assert_eq!(outcome(used.send(ServiceId::READ, 8, &(), LIMIT)), Some(required));
    assert_eq!((called.load(Ordering::SeqCst), offered.refused()), (0, 3));
    manager.remove("host").unwrap();
    // Whom it does reach.
    let (_, used) = host(&manager, &tool, Settings::new().with_secret(secret()));
    used.send(ServiceId::READ, 7, &(), LIMIT).unwrap();
    assert_eq!(called.load(Ordering::SeqCst), 1);
    manager.stop(LIMIT).unwrap();
}

#[test]
fn services_of_a_peer_tell_and_take_what_an_endpoint_does() {
    let manager = Manager::start().unwrap();
    let communication = CommunicationSettings::new(Identity::Equipment { mdln: "OVEN", softrev: "1" });
    let (tool, offered) = tool(&manager, listen(), Settings::new().with_communication(communication));
    let (_host, used) = host(&manager, &tool, Settings::new());
    for (accepts, commack) in [(false, 1), (true, 0)] {
        offered.accept_communication(accepts).unwrap();
        let acknowledged = used.request(StreamFunction::new(1, 13), &[1, 0], LIMIT).unwrap();
        assert_eq!(acknowledged[..5], [1, 2, 0x21, 1, commack]);
        assert_eq!(offered.is_communicating(), accepts);
    }
    // The data as they are, or none; 64 messages are kept.
    let buffered = Some(Status::BUFFERING_UNHANDLED_REQUEST);
    assert_eq!(status(used.send_encoded(ServiceId::WRITE, 7, Some(&[0xa5, 1, 9]), LIMIT)), buffered);
    assert!(matches!(used.send_encoded(ServiceId::WRITE, 7, Some(&[0xa5, 2, 9]), LIMIT), Err(Error::NotOneItem)));
    for _ in 1..64 {
        assert_eq!(status(used.send_encoded(ServiceId::WRITE, 7, None, LIMIT)), buffered);
    }
    assert_eq!(status(used.send_encoded(ServiceId::WRITE, 7, None, LIMIT)), Some(Status::INBOX_FULL));
    assert_eq!(offered.inbox(), (64, 1));
    assert_eq!(offered.receive(None, None, LIMIT).unwrap().unwrap().value::<u8>().unwrap(), 9);
    // What has come can be taken of a peer that has been removed.
    manager.remove("tool").unwrap();
    let end = Instant::now() + LIMIT;
    while !matches!(offered.send(ServiceId::READ, 7, &(), Duration::ZERO), Err(Error::Gone)) {
        assert!(Instant::now() < end);
    }
    assert_eq!(offered.inbox().0, 63);
    for _ in 0..63 {
        assert_eq!(offered.receive(Some(ServiceId::WRITE), Some(7), LIMIT).unwrap().unwrap().data, None);
    }
    assert!(matches!(offered.receive(None, None, LIMIT), Err(Error::Gone)));
    manager.stop(LIMIT).unwrap();
}
