//! What the endpoint on a blocking connection makes of what the connection tells.

use super::kit::service_text;
use super::raw::Raw;
use super::rows::{DEVICE, LIMIT, SOON, Served, config, outcome, secret, serve, usual};
use hsms_std::services::{
    Endpoint, EndpointNotice, Event, Returned, SendError, ServiceId, Settings, Status, TrustSettings, TrustState,
    Waiting,
};
use hsms_std::{Config, Connection, Options};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Equipment that counts how often its handler is called.
fn counting(settings: Settings) -> (Served, Arc<AtomicU32>) {
    let called = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&called);
    let served = serve(settings, |tool| {
        usual(tool);
        tool.on_request(None, None, move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(Returned::okay())
        })
        .unwrap();
    });
    (served, called)
}

fn notices(end: &mut Endpoint) -> Vec<EndpointNotice> {
    let events = std::iter::from_fn(|| end.next(Duration::ZERO).unwrap());
    events.filter_map(|event| if let Event::Services(notice) = event { Some(notice) } else { None }).collect()
}

/// Its owner has selected it, and has seen what it told, or not.
#[test]
fn a_connection_that_is_selected_already_is_taken_as_it_is() {
    for (secret, sees) in [(None, false), (Some(secret()), false), (None, true), (Some(secret()), true)] {
        let settings = || match &secret {
            Some(secret) => Settings::new().with_secret(secret.clone()),
            None => Settings::new(),
        };
        let (tool, called) = counting(settings());
        let mut link = Connection::active(tool.address, config(Config::host(DEVICE))).unwrap();
        link.select(LIMIT).unwrap();
        while sees && link.next(Duration::ZERO).unwrap().is_some() {}
        let mut host = Endpoint::new(link, settings()).unwrap();
        assert!(host.is_selected());
        host.send(ServiceId::READ, 7, &(), LIMIT).unwrap();
        assert_eq!(host.connection().counters().selections, 1);
        // Neither names nor proofs go out twice.
        let mut expected = vec![EndpointNotice::Named { differ: false }];
        expected.extend(secret.is_some().then_some(EndpointNotice::Trusted));
        assert_eq!(notices(&mut host), expected);
        host.close().unwrap();
        assert_eq!(notices(&mut tool.stop()), expected);
        assert_eq!(called.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn changes_of_state_for_which_the_connection_had_no_room_are_seen_all_the_same() {
    let (tool, called) = counting(Settings::new().with_secret(secret()));
    let options = Options::new().with_inbox(0, 1 << 16);
    let active = config(Config::host(DEVICE)).with_mode(hsms_core::config::ConnectMode::Active);
    let link = Connection::with_options(tool.address, active, options).unwrap();
    let mut host = Endpoint::new(link, Settings::new().with_secret(secret())).unwrap();
    for round in 1..=3 {
        host.send(ServiceId::READ, 7, &(), LIMIT).unwrap();
        assert_eq!((host.connection().counters().selections, called.load(Ordering::SeqCst)), (u64::from(round), round));
        assert!(host.reconnect(LIMIT).unwrap());
    }
    assert!(host.connection().dropped().notices > 0);
    tool.stop();
}

#[test]
fn what_can_go_out_at_once_is_not_late() {
    let (tool, called) = counting(Settings::new());
    let mut host = tool.host(Settings::new());
    assert!(host.establish(LIMIT).unwrap());
    for _ in 0..100 {
        host.tell(ServiceId::READ, 7, &(), Duration::ZERO).unwrap();
    }
    // The answer to the last one comes behind them.
    host.send(ServiceId::READ, 7, &(), LIMIT).unwrap();
    assert_eq!(called.load(Ordering::SeqCst), 101);
    tool.stop();
}

/// The owner of the client is busy with something else while the last proof comes, until long after the deadline.
#[test]
fn a_proof_that_came_in_time_counts_whenever_it_is_looked_at() {
    let mut patience = Duration::from_millis(50);
    for _ in 0..8 {
        let link = Connection::passive((Ipv4Addr::LOCALHOST, 0), config(Config::equipment(DEVICE))).unwrap();
        let address = link.local_addr().unwrap();
        let mut tool = Endpoint::new(link, Settings::new().without_names().with_secret(secret())).unwrap();
        let proven = thread::spawn(move || {
            let end = Instant::now() + LIMIT;
            while !tool.is_trusted() && Instant::now() < end {
                if let Some(Event::Closed { .. }) = tool.next(SOON).unwrap() {
                    return tool;
                }
            }
            // What it has answered leaves now.
            tool.next(Duration::ZERO).unwrap();
            tool
        });
        let settings = Settings::new().without_names().with_secret(secret());
        let settings = settings.with_trust(TrustSettings { patience, ..TrustSettings::default() });
        let mut host =
            Endpoint::new(Connection::active(address, config(Config::host(DEVICE))).unwrap(), settings).unwrap();
        let end = Instant::now() + LIMIT;
        while host.trust_state() != Some(TrustState::KeySent) && Instant::now() < end {
            if host.trust_state() == Some(TrustState::Trusted) || !notices(&mut host).is_empty() {
                break;
            }
            let _ = host.next(Duration::from_millis(1)).unwrap();
        }
        if host.trust_state() == Some(TrustState::KeySent) {
            // The proof leaves, and the deadline passes.
            let begun = Instant::now();
            let _ = host.next(Duration::ZERO).unwrap();
            if host.trust_state() == Some(TrustState::KeySent) {
                let tool = proven.join().unwrap();
                while begun.elapsed() < patience {
                    thread::yield_now();
                }
                assert!(host.establish(LIMIT).unwrap());
                let told = notices(&mut host);
                assert_eq!(told, [EndpointNotice::Trusted]);
                drop(tool);
                return;
            }
        }
        // Too slow, or too quick, for what is to be seen.
        host.close().unwrap();
        drop(proven.join().unwrap());
        patience *= 2;
    }
    panic!("it was never seen with its proof sent");
}

/// All transactions of the connection are open: here the one there is, for the name.
#[test]
fn a_sending_waits_for_a_transaction_until_its_deadline() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let active = config(Config::host(DEVICE)).with_mode(hsms_core::config::ConnectMode::Active);
    let link = Connection::<1>::open(address, active, Options::new()).unwrap();
    let mut host = Endpoint::new(link, Settings::new()).unwrap();
    let tool = thread::spawn(move || {
        let mut tool = Raw::tool(&listener);
        let (name, _) = tool.read_is(64, 9);
        let (told, _) = tool.read_is(64, 21);
        assert!(!told.reply_expected());
        tool.reply(&name, 10, &service_text(0, Status::SERVICE_OR_DATA_UNKNOWN, None));
        let (asked, _) = tool.read_is(64, 11);
        tool.reply(&asked, 12, &service_text(7, Status::OKAY, None));
        // Until it is closed.
        let _ = tool.try_read();
    });
    assert!(host.establish(LIMIT).unwrap());
    assert_eq!(outcome(host.send(ServiceId::READ, 7, &(), SOON)), Some(SendError::NotSent(Waiting::Room)));
    host.tell(ServiceId::WRITE, 7, &(), LIMIT).unwrap();
    host.send(ServiceId::READ, 7, &(), LIMIT).unwrap();
    host.close().unwrap();
    tool.join().unwrap();
}
