//! Services of peers of a manager.

use super::rows::{DEVICE, LIMIT, config, secret, status};
use hsms_std::manager::{Expected, Manager, Peer, PeerServices, PeerSettings};
use hsms_std::services::{Error, Returned, SendError, ServiceId, Settings, Status, TrustFailure};
use hsms_std::{Config, StreamFunction};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

fn tool(manager: &Manager, settings: Settings) -> (Peer, PeerServices) {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let peer = PeerSettings::passive(listen, Expected::Anyone, config(Config::equipment(DEVICE)));
    let tool = manager.add("tool", peer.with_services(settings)).unwrap();
    let services = tool.services().unwrap();
    for (request, name) in [(10, "read"), (20, "write"), (30, "execute")] {
        let service = services.add_service(request, request + 1, name, "response").unwrap().request();
        services.add_data(&[service], 7, "temperature").unwrap();
    }
    (tool, services)
}

fn host(manager: &Manager, tool: &Peer, settings: Settings) -> (Peer, PeerServices) {
    let addresses: Vec<_> = tool.local_addr().into_iter().collect();
    let peer = PeerSettings::active(addresses, config(Config::host(DEVICE)));
    let host = manager.add("host", peer.with_services(settings)).unwrap();
    let services = host.services().unwrap();
    tool.enable().unwrap();
    host.enable().unwrap();
    (host, services)
}

fn outcome<T>(outcome: Result<T, Error>) -> Option<SendError> {
    outcome.err().and_then(|error| error.outcome())
}

#[test]
fn peers_of_a_manager_serve_and_use_services_with_a_secret() {
    let manager = Manager::start().unwrap();
    let (tool, offered) = tool(&manager, Settings::new().with_secret(secret()).with_name("oven"));
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
fn a_receiver_of_a_manager_waits_and_learns_that_its_peer_is_gone() {
    let manager = Manager::start().unwrap();
    let (tool, offered) = tool(&manager, Settings::new());
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

/// Nothing drives a peer of a manager but its loop, deadlines of the services included.
#[test]
fn deadlines_of_sendings_and_handshakes_are_the_loops() {
    let manager = Manager::start().unwrap();
    let (tool, _offered) = tool(&manager, Settings::new().with_secret(secret()));
    let (_host, used) = host(&manager, &tool, Settings::new());
    let required = SendError::Status(Status::AUTHENTICATION_REQUIRED);
    assert_eq!(outcome(used.send(ServiceId::READ, 7, &(), LIMIT)), Some(required));
    assert_eq!(outcome(used.authenticate(LIMIT)), Some(SendError::NotPermitted));
    tool.disable().unwrap();
    while used.is_connected() {
        // Until it has seen that.
        let _ = used.send(ServiceId::READ, 7, &(), Duration::from_millis(10));
    }
    let late = used.send(ServiceId::READ, 7, &(), Duration::from_millis(10));
    assert_eq!(outcome(late), Some(SendError::NotConnected));
    manager.stop(LIMIT).unwrap();
}

#[test]
fn a_peer_with_another_secret_is_told_so_and_reaches_no_handler() {
    let manager = Manager::start().unwrap();
    let (tool, offered) = tool(&manager, Settings::new().with_secret(secret()));
    offered.on_request(None, None, |_| panic!("it is not trusted")).unwrap();
    let other = hsms_std::services::Secret::new(b"another secret!!").unwrap();
    let (_host, used) = host(&manager, &tool, Settings::new().with_secret(other));
    let refused = TrustFailure::Refused(Status::OPERATION_NOT_PERMITTED);
    assert_eq!(outcome(used.send(ServiceId::READ, 7, &(), LIMIT)), Some(SendError::NotTrusted(refused)));
    manager.stop(LIMIT).unwrap();
}
