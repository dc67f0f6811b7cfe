//! What is seen of messages over TLS, and what TLS costs the others.

use crate::manager::Echo;
use crate::support::*;
use hsms_std::core::wire::SType;
use hsms_std::manager::{Expected, Manager, PeerSettings};
use hsms_std::security::Security;
use hsms_std::tap::{Direction, Tap, Tapped, What};
use hsms_std::tls::ServerConfig;
use hsms_std::tls::rustls::ClientConnection;
use hsms_std::tls::rustls::server::{ClientHello, ResolvesServerCert};
use hsms_std::tls::rustls::sign::CertifiedKey;
use hsms_std::{Config, Connection, Header, Incoming};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What a tap has seen: whole messages in their order, both ways.
#[derive(Debug, Default)]
struct Seen(Mutex<Vec<(Direction, Header, Vec<u8>)>>);

impl Tap for Seen {
    fn tap(&self, tapped: &Tapped<'_>) {
        let What::Piece(piece) = tapped.what else { return };
        let mut seen = self.0.lock().unwrap();
        if piece.first {
            return seen.push((piece.direction, piece.header, piece.octets.to_vec()));
        }
        let whole = seen.iter_mut().rev().find(|(direction, ..)| *direction == piece.direction).unwrap();
        assert_eq!(whole.2.len(), usize::try_from(piece.offset).unwrap());
        whole.2.extend_from_slice(piece.octets);
    }
}

impl Seen {
    /// What went that way.
    fn all(&self, way: Direction) -> Vec<(Header, Vec<u8>)> {
        let seen = self.0.lock().unwrap();
        let way = seen.iter().filter(|(direction, ..)| *direction == way);
        way.map(|(_, header, text)| (*header, text.clone())).collect()
    }
}

/// The taps at both ends have seen the same messages, in plain: an exchange of this text, echoed, in a session of its own.
fn assert_plain(tool: &Seen, host: &Seen, text: &[u8]) {
    use Direction::{Received, Sent};
    let to_tool = tool.all(Received);
    assert_eq!(to_tool, host.all(Sent));
    assert_eq!(host.all(Received), tool.all(Sent));
    let types = |messages: &[(Header, Vec<u8>)]| messages.iter().map(|(header, _)| header.stype).collect::<Vec<_>>();
    assert_eq!(types(&to_tool), [SType::SELECT_REQ, SType::DATA, SType::SEPARATE_REQ]);
    assert_eq!(types(&host.all(Received)), [SType::SELECT_RSP, SType::DATA]);
    for (_, seen) in [&to_tool[1], &host.all(Received)[1]] {
        assert!(seen == text);
    }
}

/// Without linktests of its own.
fn quiet_host() -> Config {
    host_config().with_linktest_period(Duration::ZERO).unwrap()
}

fn long_text() -> Vec<u8> {
    (0..300_000_u32).map(|octet| (octet % 251) as u8).collect()
}

#[test]
fn a_tap_of_a_blocking_connection_sees_plain_messages_over_tls() {
    let authority = Authority::new();
    let (at_tool, at_host) = (Arc::new(Seen::default()), Arc::new(Seen::default()));
    let tool = Connection::passive(LOCAL, tool_config()).unwrap().with_tap(at_tool.clone());
    let mut tool = tool.with_security(server(&authority.sign("tool.fab"), None)).unwrap();
    let address = tool.local_addr().unwrap();
    let host = Connection::active(address, quiet_host()).unwrap().with_tap(at_host.clone());
    let mut host = host.with_security(client(&authority, None, "tool.fab")).unwrap();
    let text = long_text();
    thread::scope(|scope| {
        scope.spawn(|| {
            host.select(LIMIT).unwrap();
            assert!(host.request(S1F1, &text).unwrap().body == text);
            host.close().unwrap();
        });
        loop {
            match tool.next(LIMIT).unwrap().expect("it comes in time") {
                Incoming::Primary { message, token: Some(token) } => {
                    let text = message.body.to_vec();
                    tool.reply(&token, &text).unwrap();
                }
                Incoming::Closed { .. } => break,
                _ => {}
            }
        }
    });
    assert_plain(&at_tool, &at_host, &text);
}

#[test]
fn taps_of_the_managers_peers_see_plain_messages_over_tls() {
    let authority = Authority::new();
    let (at_tool, at_host) = (Arc::new(Seen::default()), Arc::new(Seen::default()));
    let manager = Manager::start().unwrap();
    let settings = PeerSettings::passive(LOCAL, Expected::Anyone, tool_config()).with_delegate(Arc::new(Echo));
    let settings = settings.with_security(server(&authority.sign("tool.fab"), None)).with_tap(at_tool.clone());
    let tool = manager.add("tool", settings).unwrap();
    tool.enable().unwrap();
    let settings = PeerSettings::active([tool.local_addr().unwrap()], quiet_host()).with_tap(at_host.clone());
    let host = manager.add("host", settings.with_security(client(&authority, None, "tool.fab"))).unwrap();
    host.enable().unwrap();
    host.selected().wait(LIMIT).unwrap();
    let text = long_text();
    assert!(host.request(S1F1, text.clone()).wait(LIMIT).unwrap().body == text);
    host.disable().unwrap();
    let since = Instant::now();
    while at_tool.all(Direction::Received).len() < 3 {
        assert!(since.elapsed() < LIMIT);
        // A turn of the event loop.
        tool.counters().wait(LIMIT).unwrap();
    }
    manager.stop(LIMIT).unwrap();
    assert_plain(&at_tool, &at_host, &text);
}

/// The key of a tool, which counts how often it is asked for: once for each handshake that gets as far as its signature. While `shut` is
/// held it is not given.
#[derive(Debug)]
struct Key {
    key: Arc<CertifiedKey>,
    asked: AtomicUsize,
    shut: Mutex<()>,
}

impl ResolvesServerCert for Key {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        drop(self.shut.lock().unwrap());
        Some(Arc::clone(&self.key))
    }
}

/// How many handshakes there had been when the tool received S1F1, each time.
#[derive(Debug)]
struct Before(Arc<Key>, Mutex<Vec<usize>>);

impl Tap for Before {
    fn tap(&self, tapped: &Tapped<'_>) {
        if let What::Piece(piece) = tapped.what
            && piece.direction == Direction::Received
            && (piece.first, piece.header.stype) == (true, SType::DATA)
        {
            self.1.lock().unwrap().push(self.0.asked.load(Ordering::SeqCst));
        }
    }
}

#[test]
fn however_many_shake_hands_at_once_the_peers_have_their_turn_in_between() {
    const CALLERS: usize = 60;
    let authority = Authority::new();
    let key =
        Arc::new(Key { key: authority.sign("tool.fab").certified(), asked: AtomicUsize::new(0), shut: Mutex::new(()) });
    let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_cert_resolver(key.clone());
    let before = Arc::new(Before(key.clone(), Mutex::new(Vec::new())));
    let manager = Manager::start().unwrap();
    let settings = PeerSettings::passive(LOCAL, Expected::Anyone, tool_config().with_t7(LONG_T7).unwrap());
    let settings = settings.with_delegate(Arc::new(Echo)).with_tap(before.clone());
    let tool = manager.add("tool", settings.with_security(Security::new().with_server_tls(Arc::new(config)))).unwrap();
    tool.enable().unwrap();
    let address = tool.local_addr().unwrap();
    let host = PeerSettings::active([address], host_config());
    let host = manager.add("host", host.with_security(client(&authority, None, "tool.fab"))).unwrap();
    host.enable().unwrap();
    host.selected().wait(LIMIT).unwrap();

    let mut hello = Vec::new();
    let session = ClientConnection::new(client_config(&authority, None), "tool.fab".try_into().unwrap());
    session.unwrap().write_tls(&mut hello).unwrap();
    let stranger = || {
        let mut stranger = call(BAD, address);
        throw(&mut stranger, &hello);
        stranger
    };
    // The event loop stands still in the first one's handshake, until all the others have said hello and a request has been made.
    let asked = key.asked.load(Ordering::SeqCst);
    let shut = key.shut.lock().unwrap();
    let _first = stranger();
    let since = Instant::now();
    while key.asked.load(Ordering::SeqCst) == asked {
        assert!(since.elapsed() < LIMIT);
        thread::yield_now();
    }
    let _others: Vec<TcpStream> = (0..CALLERS).map(|_| stranger()).collect();
    let mut reply = host.request(S1F1, *b"text");
    drop(shut);
    assert_eq!(reply.wait(LIMIT).unwrap().body, b"text");
    let [before] = before.1.lock().unwrap()[..] else { panic!("one S1F1 was received") };
    assert!(before - asked < CALLERS / 4, "{} handshakes came first", before - asked);
    // They have theirs as well.
    while key.asked.load(Ordering::SeqCst) < asked + 1 + CALLERS {
        assert!(since.elapsed() < LIMIT);
        host.linktest().wait(LIMIT).unwrap();
    }
    manager.stop(LIMIT).unwrap();
}
