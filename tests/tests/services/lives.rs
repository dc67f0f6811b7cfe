//! How long something of a peer's services lives, and who may ask what while the loop works.

use super::managed::{host_at, listen, tool};
use super::raw::Raw;
use super::rows::{DEVICE, LIMIT, config, outcome, secret};
use hsms_std::core::connection::{General, SessionEntity};
use hsms_std::core::wire::SessionId;
use hsms_std::manager::{Error as ManagerError, Manager, PeerServices, PeerSettings};
use hsms_std::services::{Error, Returned, SendError, ServiceId, Settings};
use hsms_std::tap::{Tap, Tapped};
use hsms_std::{Config, DeviceIds};
use std::fmt;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Says when it is dropped.
struct Dropped(mpsc::Sender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// Fails where it does not come to an end.
pub fn in_time(act: impl FnOnce() + Send + 'static) {
    let (ends, ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        act();
        ends.send(()).unwrap();
    });
    let ended = ended.recv_timeout(LIMIT);
    assert!(!thread.is_finished() || thread.join().is_ok());
    ended.expect("it stands still");
}

/// What handlers capture of their own peer keeps nobody alive.
#[test]
fn handlers_are_dropped_with_the_removal_of_their_peer_and_with_the_manager() {
    for removes in [true, false] {
        let manager = Manager::start().unwrap();
        let (tool, offered) = tool(&manager, listen(), Settings::new().with_secret(secret()));
        let (tells, told) = mpsc::channel();
        for service in [ServiceId::READ, ServiceId::WRITE] {
            let (held, own, peer) = (Dropped(tells.clone()), offered.clone(), tool.clone());
            offered
                .on_request(Some(service), None, move |_| {
                    let _ = (&held, &own, &peer);
                    Ok(Returned::okay())
                })
                .unwrap();
        }
        // Those that stop go on with what they have.
        manager.stop(LIMIT).unwrap();
        manager.restart().unwrap();
        assert!(told.try_recv().is_err());
        if removes {
            manager.remove("tool").unwrap();
        } else {
            drop(manager);
        }
        for _ in 0..2 {
            told.recv_timeout(LIMIT).unwrap();
        }
        let held = Dropped(tells);
        let late = offered.on_request(None, None, move |_| {
            let _ = &held;
            Ok(Returned::okay())
        });
        assert!(matches!(late, Err(Error::Gone)));
        told.recv_timeout(LIMIT).unwrap();
        assert!(!offered.is_trusted() && matches!(offered.receive(None, None, LIMIT), Err(Error::Gone)));
    }
}

/// Asks the services of its peer at every step.
#[derive(Default)]
struct Asks {
    services: OnceLock<PeerServices>,
    asked: AtomicUsize,
}

impl fmt::Debug for Asks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asks")
    }
}

impl Tap for Asks {
    fn tap(&self, _: &Tapped<'_>) {
        if let Some(services) = self.services.get() {
            let _ = (services.is_trusted(), services.name());
            self.asked.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[test]
fn a_tap_may_ask_the_services_whose_messages_it_sees() {
    in_time(|| {
        let asks = Arc::new(Asks::default());
        let manager = Manager::start().unwrap();
        let (tool, offered) = tool(&manager, listen(), Settings::new().with_secret(secret()));
        offered.on_request(None, None, |_| Ok(Returned::okay())).unwrap();
        tool.enable().unwrap();
        let active = PeerSettings::active([tool.local_addr().unwrap()], config(Config::host(DEVICE)));
        let host =
            manager.add("host", active.with_tap(asks.clone()).with_services(Settings::new().with_secret(secret())));
        let host = host.unwrap();
        let used = host.services().unwrap();
        let _ = asks.services.set(used.clone());
        host.enable().unwrap();
        used.send(ServiceId::READ, 7, &(), LIMIT).unwrap();
        // Names, proofs and the request, with their answers.
        assert!(asks.asked.load(Ordering::SeqCst) >= 8);
        manager.stop(LIMIT).unwrap();
    });
}

/// Asks the services when it is dropped.
struct AsksLast(PeerServices);

impl Drop for AsksLast {
    fn drop(&mut self) {
        assert!(!self.0.is_selected());
    }
}

#[test]
fn a_handler_that_is_replaced_or_refused_may_do_anything_when_it_is_dropped() {
    in_time(|| {
        let manager = Manager::start().unwrap();
        let (_tool, offered) = tool(&manager, listen(), Settings::new());
        let handler = || {
            let asks = AsksLast(offered.clone());
            move |_: &hsms_std::services::Request<'_>| {
                let _ = &asks;
                Ok(Returned::okay())
            }
        };
        assert!(!offered.on_request(None, None, handler()).unwrap());
        assert!(offered.on_request(None, None, handler()).unwrap());
        for data_id in 1..64 {
            assert!(!offered.on_request(None, Some(data_id), handler()).unwrap());
        }
        assert!(matches!(offered.on_request(None, Some(64), handler()), Err(Error::TooManyHandlers)));
        let primary = || {
            let asks = AsksLast(offered.clone());
            move |_: &hsms_std::core::wire::Message<'_>| {
                let _ = &asks;
                Ok(vec![])
            }
        };
        assert!(!offered.on_primary(None, None, primary()).unwrap());
        assert!(offered.on_primary(None, None, primary()).unwrap());
        manager.stop(LIMIT).unwrap();
    });
}

#[test]
fn services_need_one_device_id_and_no_sessions_of_general() {
    let manager = Manager::start().unwrap();
    let add = |settings: PeerSettings| manager.add("tool", settings.with_services(Settings::new())).map(|_| ());
    let refused = add(listen().with_sessions(General::<1>::new(&[SessionEntity::offered(SessionId(7))]).unwrap()));
    assert!(matches!(refused, Err(ManagerError::Services(Error::SeveralSessions))));
    let several = config(Config::equipment(DEVICE)).with_device_ids(DeviceIds::ANY);
    let refused = add(PeerSettings::active([([127, 0, 0, 1], 9).into()], several));
    assert!(matches!(refused, Err(ManagerError::Services(Error::Connection(hsms_std::Error::WhichDevice)))));
    add(listen()).unwrap();
    manager.stop(LIMIT).unwrap();
}

/// Whoever is stopped has its outcome then, and not after a restart.
#[test]
fn sendings_end_with_the_loop_even_if_it_is_started_again_at_once() {
    let manager = Manager::start().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let active = PeerSettings::active([listener.local_addr().unwrap()], config(Config::host(DEVICE)));
    let (_host, used) = host_at(&manager, active, Settings::new().without_names());
    let mut raw = Raw::tool(&listener);
    let send = || {
        let used = used.clone();
        thread::spawn(move || {
            loop {
                let sent = used.send(ServiceId::READ, 7, &(), LIMIT).map(|_| ());
                match outcome_of(&sent) {
                    Some(SendError::Full) => thread::yield_now(),
                    _ => return sent,
                }
            }
        })
    };
    let open = send();
    raw.read_is(64, 11);
    manager.stop(LIMIT).unwrap();
    manager.restart().unwrap();
    assert_eq!(outcome(open.join().unwrap()), Some(SendError::LinkLost));
    // And who waited for a connection: as many as can.
    manager.disable("host").unwrap();
    for _ in 0..8 {
        let waiting: Vec<_> = (0..64).map(|_| send()).collect();
        let end = Instant::now() + LIMIT;
        while outcome_of(&used.tell(ServiceId::READ, 7, &(), Duration::ZERO)) != Some(SendError::Full) {
            assert!(Instant::now() < end);
        }
        manager.stop(LIMIT).unwrap();
        manager.restart().unwrap();
        for thread in waiting {
            assert!(matches!(thread.join().unwrap(), Err(Error::Gone)));
        }
    }
    manager.stop(LIMIT).unwrap();
}

fn outcome_of(sent: &Result<(), Error>) -> Option<SendError> {
    sent.as_ref().err().and_then(Error::outcome)
}
