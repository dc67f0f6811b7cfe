//! What the endpoint on a blocking connection makes of what the connection tells.

use super::kit::service_text;
use super::raw::Raw;
use super::rows::{DEVICE, LIMIT, SOON, Served, config, outcome, secret, serve, usual};
use hsms_std::services::{
    Endpoint, EndpointNotice, Event, Returned, Secret, SendError, ServiceId, Settings, Status, TrustSettings,
    TrustState, Waiting,
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
        let primaries = host.connection().counters().sent.messages.primary;
        assert_eq!((primaries, called.load(Ordering::SeqCst)), (if secret.is_some() { 4 } else { 2 }, 1));
        tool.stop();
    }
}

#[test]
fn connected_selected_trusted_and_established_are_told_apart() {
    let questions = |end: &Endpoint| [end.is_connected(), end.is_selected(), end.is_trusted(), end.is_established()];
    let other = Secret::new(b"another secret!!").unwrap();
    for (proves, told) in [(secret(), [true; 4]), (other, [true, true, false, false])] {
        let (tool, _) = counting(Settings::new().with_secret(secret()));
        let mut host = tool.host(Settings::new().with_secret(proves));
        assert_eq!(questions(&host), [false; 4]);
        assert_eq!(host.send(ServiceId::READ, 7, &(), LIMIT).is_ok(), told[2]);
        assert_eq!(questions(&host), told);
        tool.stop();
        while !matches!(host.next(LIMIT).unwrap().unwrap(), Event::Closed { .. }) {}
        assert_eq!(questions(&host), [false; 4]);
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

/// The owner of the client is busy with something else while the last proof comes, until long after the deadline. Both ends are in one
/// thread, so that neither does a step before it is let.
#[test]
fn a_proof_that_came_in_time_counts_whenever_it_is_looked_at() {
    let mut patience = Duration::from_millis(100);
    while !comes_in_time(patience) {
        // The machine is busy.
        patience *= 2;
        assert!(patience < LIMIT);
    }
}

/// Gives whether it was so; otherwise the deadline had passed before the proof was there.
fn comes_in_time(patience: Duration) -> bool {
    let link = Connection::passive((Ipv4Addr::LOCALHOST, 0), config(Config::equipment(DEVICE))).unwrap();
    let address = link.local_addr().unwrap();
    let settings = || Settings::new().without_names().with_secret(secret());
    let mut tool = Endpoint::new(link, settings()).unwrap();
    let link = Connection::active(address, config(Config::host(DEVICE))).unwrap();
    let trust = TrustSettings { patience, ..TrustSettings::default() };
    let mut host = Endpoint::new(link, settings().with_trust(trust)).unwrap();
    let begun = Instant::now();
    while host.trust_state() != Some(TrustState::KeySent) {
        let _ = tool.next(Duration::ZERO).unwrap();
        let _ = host.next(Duration::ZERO).unwrap();
        if begun.elapsed() >= patience {
            return false;
        }
    }
    // The proof leaves: what comes of it nobody has sent yet.
    let _ = host.next(Duration::ZERO).unwrap();
    while !tool.is_trusted() {
        let _ = tool.next(Duration::ZERO).unwrap();
        if begun.elapsed() >= patience {
            return false;
        }
    }
    // What it has answered leaves.
    let _ = tool.next(Duration::ZERO).unwrap();
    // From when the connection was SELECTED, which was after it had begun.
    let seen = Instant::now();
    while seen.elapsed() <= patience {
        thread::yield_now();
    }
    assert!(host.establish(LIMIT).unwrap());
    assert_eq!(notices(&mut host), [EndpointNotice::Trusted]);
    true
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
