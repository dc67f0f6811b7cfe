//! What a peer of a manager may cost by its services: a bound, and where it is reached a typed error or a status.

use super::kit::service_text;
use super::managed::{host_at, tool};
use super::raw::{Raw, octets, status_of};
use super::rows::{DEVICE, LIMIT, SOON, config, outcome, secret};
use hsms_std::manager::{Expected, Manager, PeerSettings};
use hsms_std::services::{Returned, SendError, ServiceId, Settings, Status, Waiting};
use hsms_std::{Config, Options, StreamFunction};
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

fn equipment() -> PeerSettings {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    PeerSettings::passive(listen, Expected::Anyone, config(Config::equipment(DEVICE)))
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// It has proven nothing, asks without a pause, and takes no answer.
#[test]
fn a_peer_that_takes_no_answers_is_not_read_for_ever() {
    const MOST: usize = 24 << 20;
    let manager = Manager::start().unwrap();
    let settings = equipment().with_options(Options::new().with_write_limit(4 * LIMIT));
    let (tool, _offered) = tool(&manager, settings, Settings::new().with_secret(secret()));
    tool.enable().unwrap();
    let mut raw = Raw::host(tool.local_addr().unwrap());
    let (header, text) = raw.request(ServiceId::READ, 7);
    let requests = octets(&header, &text).repeat(512);
    raw.stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let (mut sent, mut at) = (0, 0);
    while sent < MOST {
        match raw.stream.write(&requests[at..]) {
            Ok(octets) => (sent, at) = (sent + octets, (at + octets) % requests.len()),
            // Nothing has been taken for that long.
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(sent < MOST, "it was read on and on");
    manager.stop(LIMIT).unwrap();
}

#[test]
fn what_services_send_is_within_the_bound_of_the_output_and_goes_on_when_the_peer_takes_it() {
    const TEXT: usize = 64 * 1024;
    let manager = Manager::start().unwrap();
    let (listener, address) = listener();
    let settings = PeerSettings::active([address], config(Config::host(DEVICE))).with_output(2 * TEXT);
    let (host, used) = host_at(&manager, settings, Settings::new().without_names());
    let mut raw = Raw::tool(&listener);
    assert!(used.establish(LIMIT).unwrap());
    let text = vec![7_u8; TEXT];
    let mut told = 0_usize;
    let refused = loop {
        match used.tell(ServiceId::WRITE, 7, serde_bytes(&text), SOON) {
            Ok(()) => told += 1,
            refused => break outcome(refused),
        }
        assert!(told < 1_024, "64 MiB wait, or went to nobody");
    };
    assert_eq!(refused, Some(SendError::NotSent(Waiting::Room)));
    // Who waits long enough is served, when the peer takes what waits.
    let waiting = used.clone();
    let waits = thread::spawn(move || waiting.tell(ServiceId::EXECUTE, 7, serde_bytes(&text), LIMIT));
    // It has asked the loop, very likely, and was refused.
    for _ in 0..200 {
        host.counters().wait(LIMIT).unwrap();
    }
    for _ in 0..told {
        raw.read_is(64, 21);
    }
    raw.read_is(64, 31);
    waits.join().unwrap().unwrap();
    manager.stop(LIMIT).unwrap();
}

/// For `serde`: one item of text.
fn serde_bytes(octets: &[u8]) -> &str {
    std::str::from_utf8(octets).unwrap()
}

/// The transactions of a peer are for its services and for everybody else.
#[test]
fn a_transaction_of_somebody_else_that_ends_makes_room_for_services() {
    const OTHER: StreamFunction = StreamFunction::new(1, 1);
    let manager = Manager::start().unwrap();
    let (listener, address) = listener();
    let settings = PeerSettings::active([address], config(Config::host(DEVICE))).with_transactions(2);
    let (host, used) = host_at(&manager, settings, Settings::new().without_names());
    let mut raw = Raw::tool(&listener);
    assert!(used.establish(LIMIT).unwrap());
    for gives_up in [false, true] {
        let others = [host.request(OTHER, []), host.request(OTHER, [])];
        let asked = [raw.read_is(1, 1).0, raw.read_is(1, 1).0];
        assert_eq!(outcome(used.send(ServiceId::READ, 7, &(), SOON)), Some(SendError::NotSent(Waiting::Room)));
        let (begins, begun) = mpsc::channel();
        let waiting = used.clone();
        let waits = thread::spawn(move || {
            begins.send(()).unwrap();
            waiting.send(ServiceId::READ, 7, &(), LIMIT)
        });
        begun.recv_timeout(LIMIT).unwrap();
        // It has asked the loop, very likely, and was refused.
        for _ in 0..200 {
            host.counters().wait(LIMIT).unwrap();
        }
        let okay = service_text(7, Status::OKAY, None);
        if gives_up {
            drop(others);
            // Nobody waits for them: both places are free where one is needed.
            let mut next = host.request(OTHER, []);
            let mut came = [raw.read().0, raw.read().0];
            came.sort_by_key(|header| header.stream());
            assert_eq!(came.map(|header| (header.stream(), header.function())), [(1, 1), (64, 11)]);
            raw.reply(&came[1], 12, &okay);
            raw.reply(&came[0], 2, &[]);
            next.wait(LIMIT).unwrap();
        } else {
            raw.reply(&asked[0], 2, &[]);
            let (came, _) = raw.read_is(64, 11);
            raw.reply(&came, 12, &okay);
            raw.reply(&asked[1], 2, &[]);
            for mut other in others {
                other.wait(LIMIT).unwrap();
            }
        }
        waits.join().unwrap().unwrap();
    }
    manager.stop(LIMIT).unwrap();
}

#[test]
fn calls_beyond_those_that_may_wait_are_answered_that_there_is_no_room() {
    let manager = Manager::start().unwrap();
    let settings = equipment().with_options(Options::new().with_inbox(1, 1 << 16));
    let (tool, offered) = tool(&manager, settings, Settings::new().without_names());
    let (begins, begun) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    offered
        .on_request(None, None, move |_| {
            begins.send(())?;
            released.recv_timeout(LIMIT)?;
            Ok(Returned::okay())
        })
        .unwrap();
    offered.on_primary(None, None, |_| Ok(vec![])).unwrap();
    tool.enable().unwrap();
    let mut raw = Raw::host(tool.local_addr().unwrap());
    let first = raw.ask(ServiceId::READ, 7);
    begun.recv_timeout(LIMIT).unwrap();
    // One is called, one waits, and for two there is no room.
    let second = raw.ask(ServiceId::READ, 7);
    let third = raw.ask(ServiceId::READ, 7);
    let (header, text) = raw.read_is(64, 12);
    assert_eq!((header.system, status_of(&header, &text)), (third, Some(Status::INBOX_FULL)));
    let function =
        hsms_std::Header::data(hsms_std::SystemBytes(0x9000), StreamFunction::new(2, 41), true, DEVICE.session());
    raw.write(&function, &[]);
    assert_eq!(raw.read_is(2, 0).0.system, function.system);
    for expected in [first, second] {
        release.send(()).unwrap();
        let (header, text) = raw.read_is(64, 12);
        assert_eq!((header.system, status_of(&header, &text)), (expected, Some(Status::OKAY)));
    }
    manager.stop(LIMIT).unwrap();
}

#[test]
fn an_answer_beyond_what_may_wait_to_be_written_is_a_status_that_says_so() {
    const TEXT: usize = 16 << 20;
    let manager = Manager::start().unwrap();
    let (tool, offered) = tool(&manager, equipment().with_output(1), Settings::new().without_names());
    offered.on_request(None, None, |_| Ok(Returned::value(&"x".repeat(TEXT - 64))?)).unwrap();
    offered.on_primary(None, None, |_| Ok(vec![0xa5, 1, 7])).unwrap();
    tool.enable().unwrap();
    let mut raw = Raw::host(tool.local_addr().unwrap());
    let first = raw.ask(ServiceId::READ, 7);
    let (header, length) = raw.read_header().unwrap();
    assert_eq!(header.system, first);
    // More of it waits than the system takes.
    let second = raw.ask(ServiceId::READ, 7);
    let function =
        hsms_std::Header::data(hsms_std::SystemBytes(0x9000), StreamFunction::new(2, 41), true, DEVICE.session());
    raw.write(&function, &[]);
    // They have been answered before anything more is read.
    let end = Instant::now() + LIMIT;
    let answers = || {
        let sent = tool.counters().wait(LIMIT).unwrap().sent.messages;
        sent.reply + sent.abort
    };
    while answers() < 3 {
        assert!(Instant::now() < end);
    }
    std::io::copy(&mut std::io::Read::take(&mut raw.stream, length as u64), &mut std::io::sink()).unwrap();
    let (header, text) = raw.read_is(64, 12);
    assert_eq!((header.system, status_of(&header, &text)), (second, Some(Status::INBOX_FULL)));
    raw.read_is(2, 0);
    manager.stop(LIMIT).unwrap();
}
