//! The manager: whatever strangers do, the peers that are there keep working.

use crate::strangers::{CLAIM, claims_and_garbage, linktest, linktest_req, select_req, trickle};
use crate::support::*;
use hsms_std::core::config::ConnectMode;
use hsms_std::manager::{Delegate, Error, Event, Expected, Manager, Peer, PeerSettings, Received};
use hsms_std::security::{CallersRefused, Refusal, Security, SecurityError};
use hsms_std::tls::TlsError;
use hsms_std::tls::rustls::CertificateError;
use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};

/// Answers every primary with its own text.
pub struct Echo;

impl Delegate for Echo {
    fn received(&self, peer: &Peer, message: Received) {
        if let Some(token) = message.token {
            drop(peer.reply(token, message.body));
        }
    }
}

/// A manager with a tool, and a host that is connected with it from the same process.
struct Pair {
    manager: Manager,
    tool: Peer,
    host: Peer,
    address: SocketAddr,
    /// How often each of them had connected when both were selected: more than once where T7 is short and the machine slow.
    connections: [u64; 2],
}

fn connections(peers: [&Peer; 2]) -> [u64; 2] {
    peers.map(|peer| peer.counters().wait(LIMIT).unwrap().connections)
}

impl Pair {
    fn new(tool_security: Security, host_security: Security) -> Self {
        Pair::with_t7(LONG_T7, tool_security, host_security)
    }

    /// Strangers are ended soon.
    fn with_short_t7(tool_security: Security, host_security: Security) -> Self {
        Pair::with_t7(Duration::from_millis(500), tool_security, host_security)
    }

    fn with_t7(t7: Duration, tool_security: Security, host_security: Security) -> Self {
        let config = tool_config().with_t7(t7).unwrap();
        let manager = Manager::start().unwrap();
        let settings = PeerSettings::passive(LOCAL, Expected::Anyone, config).with_delegate(Arc::new(Echo));
        let tool = manager.add("tool", settings.with_security(tool_security)).unwrap();
        let address = tool.local_addr().unwrap();
        let config = host_config().with_t5(Duration::from_millis(50)).unwrap();
        let host = PeerSettings::active([address], config).with_security(host_security);
        let host = manager.add("host", host).unwrap();
        tool.enable().unwrap();
        host.enable().unwrap();
        host.selected().wait(LIMIT).unwrap();
        tool.selected().wait(LIMIT).unwrap();
        let connections = connections([&tool, &host]);
        Pair { manager, tool, host, address, connections }
    }

    fn plain() -> Self {
        Pair::new(Security::new(), Security::new())
    }

    /// Messages go both ways and linktests are answered.
    fn works(&self) {
        let reply = self.host.request(S1F1, *b"text").wait(LIMIT).unwrap();
        assert_eq!(reply.body, b"text");
        self.host.linktest().wait(LIMIT).unwrap();
        self.tool.linktest().wait(LIMIT).unwrap();
    }

    /// The connection is the one that it was: nothing was lost on the way.
    fn stop(self) -> CallersRefused {
        self.works();
        assert_eq!(connections([&self.tool, &self.host]), self.connections);
        self.manager.stop(LIMIT).unwrap();
        self.manager.callers_refused()
    }

    fn wait_for(&self, mut done: impl FnMut(CallersRefused) -> bool) {
        let since = Instant::now();
        while !done(self.manager.callers_refused()) {
            assert!(since.elapsed() < LIMIT, "{:?}", self.manager.callers_refused());
            self.works();
        }
    }
}

/// The end of the next connection of a peer without a delegate, as far as it is about security.
fn end_of(manager: &Manager, name: &str) -> Option<SecurityError> {
    loop {
        let (peer, event) = manager.next(LIMIT).expect("it ends in time");
        match event {
            Event::Closed { error, .. } if peer.name() == name => return security_error(error),
            _ => {}
        }
    }
}

#[test]
fn a_thousand_callers_with_half_a_frame_each_take_less_memory_than_the_settings_allow() {
    let name = "manager::a_thousand_callers_with_half_a_frame_each_take_less_memory_than_the_settings_allow";
    in_own_process(name, || {
        raise_descriptors();
        let pair = Pair::with_t7(LONG_T7, Security::new(), Security::new());
        let (before, _callers) = thousand_beside(&pair, &half_a_frame(), |refused| refused.taken == 1_000);
        assert_bounded("a frame", resident().saturating_sub(before), &Security::new());
        assert_eq!(pair.stop(), taken(1_000));
    });
}

#[test]
fn a_thousand_callers_with_half_a_handshake_each_take_less_memory_than_the_settings_allow() {
    let name = "manager::a_thousand_callers_with_half_a_handshake_each_take_less_memory_than_the_settings_allow";
    in_own_process(name, || {
        // A record of 1,400 octets with the first half of a ClientHello that is as long.
        let mut half = vec![22, 3, 1, 5, 120, 1, 0, 5, 116];
        half.extend([3; 700]);
        let (pair, security) = with_tls();
        let (before, _callers) = thousand_beside(&pair, &half, |refused| refused.taken == 1_000);
        assert_bounded("a handshake", resident().saturating_sub(before), &security);
        assert_eq!(pair.stop(), taken(1_000));
    });
}

#[test]
fn a_thousand_callers_with_as_much_of_a_handshake_as_counts_once_take_less_memory_than_the_settings_allow() {
    let name = "manager::a_thousand_callers_with_as_much_of_a_handshake_as_counts_once_take_less_memory_than_the_settings_allow";
    in_own_process(name, || {
        let (pair, security) = with_tls();
        let (before, _callers) = thousand_beside(&pair, &most_of_a_record(4_095), |refused| refused.taken == 1_000);
        assert_bounded("a handshake of 4,095 octets", resident().saturating_sub(before), &security);
        assert_eq!(pair.stop(), taken(1_000));
    });
}

#[test]
fn callers_with_most_of_a_record_each_count_for_several_and_take_less_memory_than_the_settings_allow() {
    let name =
        "manager::callers_with_most_of_a_record_each_count_for_several_and_take_less_memory_than_the_settings_allow";
    in_own_process(name, || {
        let (pair, security) = with_tls();
        // Each counts once for itself and three times for what it leaves unfinished, so that 16 of an address stay, in whatever order they
        // are accepted and read: one is hung up on only while there are as many as there may be.
        let stay = security.max_unselected() / 4;
        let gone = 1_000 - u64::try_from(stay).unwrap();
        let turned_away = |refused: CallersRefused| refused.too_many_from_address + refused.too_many;
        let (before, mut callers) =
            thousand_beside(&pair, &most_of_a_record(16_000), |refused| turned_away(refused) == gone);
        assert_bounded("a handshake of 16,000 octets", resident().saturating_sub(before), &security);
        // Those that have been hung up on know it, and the others are there.
        let mut open = 0;
        for caller in &mut callers {
            caller.set_nonblocking(true).unwrap();
            open += usize::from(caller.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock));
        }
        assert_eq!(open, stay);
        drop(callers);
        pair.works();
        // Whoever goes makes room for as much as it counted.
        pair.wait_for(|_| {
            let mut next = call(Ipv4Addr::new(127, 0, 4, 1), pair.address);
            throw(&mut next, &select_req());
            expect_end(&mut next) == NOTHING
        });
        pair.stop();
    });
}

/// A tool that requires TLS of callers, with a host that uses it; and what its port's settings are.
fn with_tls() -> (Pair, Security) {
    raise_descriptors();
    let authority = Authority::new();
    let security = server(&authority.sign("tool.fab"), None);
    (Pair::with_t7(LONG_T7, security.clone(), client(&authority, None, "tool.fab")), security)
}

/// The first octets of a record of 16 KiB, with as much of a ClientHello.
fn most_of_a_record(octets: usize) -> Vec<u8> {
    let mut most = vec![22, 3, 1, 64, 0, 1, 0, 63, 252];
    most.resize(octets, 3);
    most
}

/// A thousand callers have called, and the pair still works. Gives how much memory was taken before.
fn thousand_beside(pair: &Pair, half: &[u8], mut done: impl FnMut(CallersRefused) -> bool) -> (usize, Vec<TcpStream>) {
    pair.works();
    let before = resident();
    let callers = thousand(pair.address, half);
    pair.wait_for(&mut done);
    pair.works();
    (before, callers)
}

#[test]
fn callers_beyond_the_caps_are_hung_up_on_counted_and_told() {
    let pair = Pair::with_t7(LONG_T7, Security::new().with_max_unselected(3, 5), Security::new());
    let lingering: Vec<TcpStream> = (0..3).map(|_| call(BAD, pair.address)).collect();
    pair.wait_for(|refused| refused.taken == 3);
    assert_eq!(expect_end(&mut call(BAD, pair.address)), NOTHING);
    let more: Vec<TcpStream> = (0..2).map(|_| call(GOOD, pair.address)).collect();
    pair.wait_for(|refused| refused.taken == 5);
    assert_eq!(expect_end(&mut call(GOOD, pair.address)), NOTHING);
    let refused = pair.manager.callers_refused();
    assert_eq!((refused.too_many_from_address, refused.too_many), (1, 1));
    assert_eq!(refused.taken, 5);
    // Those that go make room, and the next are told that the place is taken.
    drop((lingering, more));
    loop {
        pair.works();
        let mut next = call(BAD, pair.address);
        throw(&mut next, &select_req());
        match expect_end(&mut next).as_slice() {
            [] => {}
            answer => break assert_eq!(answer[7], 1),
        }
    }
    pair.stop();
}

#[test]
fn a_peer_is_told_why_its_caller_was_turned_away() {
    let manager = Manager::start().unwrap();
    let settings = PeerSettings::passive(LOCAL, Expected::Anyone, tool_config());
    let tool = manager.add("tool", settings.with_security(Security::new().with_max_unselected(1, 1))).unwrap();
    // It is not enabled, so nobody is served.
    let address = tool.local_addr().unwrap();
    let _lingering = call(GOOD, address);
    let mut why = Vec::new();
    while why.len() < 2 {
        let (_, event) = manager.next(LIMIT).expect("it is told in time");
        let Event::CallerRefused { why: reason, .. } = event else { continue };
        why.push(reason);
        if why.len() == 1 {
            expect_end(&mut call(GOOD, address));
        }
    }
    assert_eq!(why, [Refusal::Taken, Refusal::TooMany]);
    manager.stop(LIMIT).unwrap();
}

#[test]
fn callers_not_on_the_list_are_hung_up_on_whatever_they_send() {
    let security = Security::new().with_allowed([IpAddr::from(Ipv4Addr::LOCALHOST).into(), IpAddr::from(GOOD).into()]);
    let pair = Pair::new(security, Security::new());
    for _ in 0..20 {
        let mut stranger = call(BAD, pair.address);
        throw(&mut stranger, &select_req());
        assert_eq!(expect_end(&mut stranger), NOTHING);
        pair.works();
    }
    let mut friend = call(GOOD, pair.address);
    throw(&mut friend, &select_req());
    assert_eq!(expect_end(&mut friend)[7], 1, "the place is taken");
    let mut expected = taken(1);
    expected.not_allowed = 20;
    assert_eq!(pair.stop(), expected);
}

#[test]
fn slow_callers_are_ended_by_t7_and_the_others_do_not_notice() {
    let pair = Pair::with_short_t7(Security::new(), Security::new());
    let address = pair.address;
    thread::scope(|scope| {
        let callers: Vec<_> =
            (0..20).map(|_| scope.spawn(move || trickle(call(BAD, address), &half_a_frame()))).collect();
        while !callers.iter().all(|caller| caller.is_finished()) {
            pair.works();
        }
    });
    assert_eq!(pair.stop(), taken(20));
}

#[test]
fn a_slow_caller_that_has_the_place_is_ended_by_t7_and_the_peer_gets_it() {
    let manager = Manager::start().unwrap();
    let config = tool_config().with_t7(Duration::from_millis(500)).unwrap();
    let tool = manager.add("tool", PeerSettings::passive(LOCAL, Expected::Anyone, config)).unwrap();
    tool.enable().unwrap();
    let address = tool.local_addr().unwrap();
    // Whole messages, which are answered, are as little an excuse.
    trickle(call(BAD, address), &linktest_req().repeat(100));
    assert_eq!(tool.counters().wait(LIMIT).unwrap().timeouts.t7, 1);
    let host = manager.add("host", PeerSettings::active([address], host_config())).unwrap();
    host.enable().unwrap();
    host.selected().wait(LIMIT).unwrap();
    manager.stop(LIMIT).unwrap();
}

#[test]
fn claims_of_two_gibibytes_and_garbage_end_their_own_connection_alone() {
    // Of some the beginning may become a message, so that it is T7 that ends them.
    let pair = Pair::with_short_t7(Security::new(), Security::new());
    for octets in claims_and_garbage().take(100) {
        let mut stranger = call(BAD, pair.address);
        throw(&mut stranger, &octets);
        expect_end(&mut stranger);
        pair.works();
    }
    assert_eq!(pair.stop(), taken(100));
}

#[test]
fn a_claim_of_two_gibibytes_by_the_peer_itself_reserves_nothing_even_where_it_is_allowed() {
    let name = "manager::a_claim_of_two_gibibytes_by_the_peer_itself_reserves_nothing_even_where_it_is_allowed";
    in_own_process(name, || {
        // The second takes the claim, and ends it by T8.
        let allowing = tool_config().with_max_message(u32::MAX).unwrap().with_t8(Duration::from_secs(1)).unwrap();
        for config in [tool_config(), allowing] {
            let manager = Manager::start().unwrap();
            let tool = manager.add("tool", PeerSettings::passive(LOCAL, Expected::Anyone, config)).unwrap();
            tool.enable().unwrap();
            let mut caller = call(GOOD, tool.local_addr().unwrap());
            throw(&mut caller, &select_req());
            caller.read_exact(&mut [0; 14]).unwrap();
            let before = most_reserved();
            throw(&mut caller, &CLAIM);
            expect_end(&mut caller);
            assert_little_reserved(before);
            let mut next = call(GOOD, tool.local_addr().unwrap());
            throw(&mut next, &select_req());
            next.read_exact(&mut [0; 14]).unwrap();
            linktest(&mut next);
            manager.stop(LIMIT).unwrap();
        }
    });
}

#[test]
fn security_is_in_force_again_after_a_restart() {
    let authority = Authority::new();
    let security = server(&authority.sign("tool.fab"), None).with_allowed([IpAddr::from(GOOD).into()]);
    let manager = Manager::start().unwrap();
    let settings = PeerSettings::passive(LOCAL, Expected::Anyone, tool_config()).with_security(security);
    let tool = manager.add("tool", settings).unwrap();
    tool.enable().unwrap();
    let address = tool.local_addr().unwrap();
    for round in 1..=2 {
        let mut stranger = call(BAD, address);
        throw(&mut stranger, &select_req());
        assert_eq!(expect_end(&mut stranger), NOTHING);
        assert_eq!(manager.callers_refused().not_allowed, round);
        let mut plain = call(GOOD, address);
        throw(&mut plain, &select_req());
        assert_eq!(expect_end(&mut plain), NOTHING, "no octet is answered in plain");
        assert_eq!(end_of(&manager, "tool"), Some(SecurityError::PlainWhereTls));
        manager.stop(LIMIT).unwrap();
        if round == 1 {
            manager.restart().unwrap();
        }
    }
}

#[test]
fn what_was_sent_before_a_close_arrives_through_tls_and_its_own_farewell_behind_it() {
    const LENGTH: usize = 8 << 20;
    let authority = Authority::new();
    let manager = Manager::start().unwrap();
    let settings = PeerSettings::passive(LOCAL, Expected::Anyone, tool_config());
    let tool = manager.add("tool", settings.with_security(server(&authority.sign("tool.fab"), None))).unwrap();
    tool.enable().unwrap();
    // The system keeps little for it, so that much is left to be written when the connection is closed.
    let mut host = call_with_tls(tool.local_addr().unwrap(), &authority);
    host.write_all(&select_req()).unwrap();
    host.read_exact(&mut [0; 14]).unwrap();
    tool.selected().wait(LIMIT).unwrap();
    let reader = thread::spawn(move || {
        let mut octets = Vec::new();
        // An end without TLS's farewell is an error.
        host.read_to_end(&mut octets).map(|_| octets)
    });
    tool.send(S1F1, vec![7; LENGTH]).wait(LIMIT).unwrap();
    tool.disable().unwrap();
    let octets = reader.join().unwrap().unwrap();
    assert_eq!(octets.len(), 14 + LENGTH + 14);
    assert!(octets[14..14 + LENGTH].iter().all(|octet| *octet == 7));
    assert_eq!(octets[14 + LENGTH + 9], 9, "Separate.req");
    manager.stop(LIMIT).unwrap();
}

static WARNED: AtomicU64 = AtomicU64::new(0);

/// Counts what is warned of.
struct Warnings;

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        WARNED.fetch_add(1, Ordering::SeqCst);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn without_descriptors_callers_wait_and_the_others_keep_working() {
    let name = "manager::without_descriptors_callers_wait_and_the_others_keep_working";
    in_own_process(name, || {
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = Some(128);
        setrlimit(Resource::Nofile, limit).unwrap();
        tracing::subscriber::set_global_default(Warnings).unwrap();
        let pair = Pair::plain();
        pair.works();
        let mut files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        assert!(files.len() > 64, "{}", files.len());
        // As many as the callers take, and none for those that take them.
        files.truncate(files.len() - 5);
        let sockets: Vec<_> = (0..5).map(|_| Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()).collect();
        assert!(File::open("/dev/null").is_err());
        let (began, before) = (Instant::now(), WARNED.load(Ordering::SeqCst));
        for socket in &sockets {
            socket.connect(&pair.address.into()).unwrap();
            for _ in 0..20 {
                pair.works();
            }
        }
        // Each attempt is told, and each is a second behind the one before, however many more call.
        let (tried, most) = (WARNED.load(Ordering::SeqCst) - before, began.elapsed().as_secs() + 1);
        assert!((1..=most).contains(&tried), "{tried} attempts of at most {most}");
        assert_eq!(pair.manager.callers_refused(), taken(0), "there was no descriptor to take one");
        // As soon as there are some they are taken.
        drop(files);
        pair.wait_for(|refused| refused.taken == 5);
        assert_eq!(pair.stop(), taken(5));
    });
}

#[test]
fn tls_serves_the_manager_in_both_roles_and_strangers_with_and_without_it_disturb_nobody() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let tool = server(&authority.sign("tool.fab"), Some(&authority));
    let host_identity = authority.sign("host.fab");
    let host = client(&authority, Some(&host_identity), "tool.fab");
    let pair = Pair::new(tool, host.clone());
    let address = pair.address;
    let long: Vec<u8> = (0..3_000_000_u32).map(|octet| (octet % 251) as u8).collect();
    assert!(pair.host.request(S1F1, long.clone()).wait(LIMIT).unwrap().body == long);
    let together: Vec<_> = (0..64).map(|number| pair.host.request(S1F1, [number; 100])).collect();
    for (number, mut reply) in (0..).zip(together) {
        assert_eq!(reply.wait(LIMIT).unwrap().body, [number; 100]);
    }
    // Plain.
    let mut plain = call(BAD, address);
    throw(&mut plain, &select_req());
    assert_eq!(expect_end(&mut plain), NOTHING, "no octet is answered in plain");
    pair.works();
    // Garbage behind the beginning of a record.
    let mut garbage = call(BAD, address);
    throw(&mut garbage, &[22, 3, 1, 0, 4, 9, 9, 9, 9]);
    expect_end(&mut garbage);
    pair.works();
    // Certificates that are missing, not trusted, or expired; a name that is not the tool's.
    let identities = [None, Some(stranger.sign("host.fab")), Some(authority.sign_until("host.fab", 2020))];
    for (number, identity) in identities.iter().enumerate() {
        let name = format!("stranger {number}");
        let security = client(&authority, identity.as_ref(), "tool.fab");
        let settings = PeerSettings::active([address], host_config()).with_security(security);
        pair.manager.add(&name, settings).unwrap().enable().unwrap();
        let end = end_of(&pair.manager, &name);
        assert!(matches!(end, Some(SecurityError::Tls(TlsError::AlertReceived(_)))), "{end:?}");
        pair.manager.remove(&name).unwrap();
        pair.works();
    }
    let settings = PeerSettings::active([address], host_config());
    let security = client(&authority, Some(&host_identity), "other.fab");
    pair.manager.add("deceived", settings.with_security(security)).unwrap().enable().unwrap();
    let end = end_of(&pair.manager, "deceived");
    let Some(SecurityError::Tls(TlsError::InvalidCertificate(error))) = end else { panic!("{end:?}") };
    assert!(matches!(error, CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }));
    // One that would be let in is told that the place is taken.
    pair.manager.remove("deceived").unwrap();
    let second = PeerSettings::active([address], host_config()).with_security(host);
    pair.manager.add("second", second).unwrap().enable().unwrap();
    assert_eq!(end_of(&pair.manager, "second"), None);
    pair.manager.remove("second").unwrap();
    pair.stop();
}

#[test]
fn a_caller_that_does_not_finish_the_handshake_is_ended_by_t7_however_it_trickles() {
    let authority = Authority::new();
    let tool = server(&authority.sign("tool.fab"), None);
    let pair = Pair::with_short_t7(tool, client(&authority, None, "tool.fab"));
    trickle(call(BAD, pair.address), &[22, 3, 1, 2, 0, 1, 0, 1, 252]);
    assert_eq!(pair.stop(), taken(1));
}

#[test]
fn the_manager_does_not_talk_to_a_tool_whose_certificate_is_not_trusted_or_has_expired() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let manager = Manager::start().unwrap();
    for (number, identity) in [stranger.sign("tool.fab"), authority.sign_until("tool.fab", 2020)].iter().enumerate() {
        let settings = PeerSettings::passive(LOCAL, Expected::Anyone, tool_config());
        let tool = manager.add(&format!("tool {number}"), settings.with_security(server(identity, None))).unwrap();
        tool.enable().unwrap();
        let name = format!("host {number}");
        let settings = PeerSettings::active([tool.local_addr().unwrap()], host_config());
        let host = manager.add(&name, settings.with_security(client(&authority, None, "tool.fab"))).unwrap();
        host.enable().unwrap();
        let end = end_of(&manager, &name);
        let Some(SecurityError::Tls(TlsError::InvalidCertificate(error))) = end else { panic!("{end:?}") };
        let as_expected = match number {
            0 => matches!(error, CertificateError::UnknownIssuer | CertificateError::BadSignature),
            _ => matches!(error, CertificateError::Expired | CertificateError::ExpiredContext { .. }),
        };
        assert!(as_expected, "{error:?}");
        assert_eq!(host.counters().wait(LIMIT).unwrap().selections, 0);
    }
    manager.stop(LIMIT).unwrap();
}

#[test]
fn tls_is_refused_where_the_manager_expects_plain_and_the_other_way_round() {
    let authority = Authority::new();
    let manager = Manager::start().unwrap();
    let plain = manager.add("plain", PeerSettings::passive(LOCAL, Expected::Anyone, tool_config())).unwrap();
    let secured = PeerSettings::passive(LOCAL, Expected::Anyone, tool_config());
    let secured = secured.with_security(server(&authority.sign("tool.fab"), None));
    let secured = manager.add("secured", secured).unwrap();
    for (name, tool, security, expected) in [
        ("with", &plain, client(&authority, None, "tool.fab"), SecurityError::TlsWherePlain),
        ("without", &secured, Security::new(), SecurityError::PlainWhereTls),
    ] {
        tool.enable().unwrap();
        let settings = PeerSettings::active([tool.local_addr().unwrap()], host_config()).with_security(security);
        manager.add(name, settings).unwrap().enable().unwrap();
        assert_eq!(end_of(&manager, tool.name()), Some(expected));
    }
    manager.stop(LIMIT).unwrap();
}

#[test]
fn peers_on_one_port_have_the_same_security_and_it_fits_their_role() {
    let authority = Authority::new();
    let manager = Manager::start().unwrap();
    let tls = server(&authority.sign("tool.fab"), None);
    let settings = |address: SocketAddr, from: Ipv4Addr, security: &Security| {
        PeerSettings::passive(address, Expected::Address(from.into()), tool_config()).with_security(security.clone())
    };
    let first = manager.add("first", settings(LOCAL, GOOD, &tls)).unwrap();
    let address = first.local_addr().unwrap();
    manager.add("second", settings(address, BAD, &tls)).unwrap();
    let third = Ipv4Addr::new(127, 0, 5, 1);
    for other in [Security::new(), server(&authority.sign("tool.fab"), None), tls.clone().with_allowed([])] {
        let error = manager.add("third", settings(address, third, &other)).unwrap_err();
        assert!(matches!(error, Error::SecurityDiffers { .. }), "{error:?}");
    }
    manager.add("third", settings(address, third, &tls)).unwrap();
    let for_client = client(&authority, None, "tool.fab");
    let error = manager.add("fourth", settings(LOCAL, GOOD, &for_client)).unwrap_err();
    let expected = ConnectMode::Passive;
    assert!(
        matches!(error, Error::Connection(hsms_std::Error::TlsForOtherRole { mode }) if mode == expected),
        "{error:?}"
    );
    manager.stop(LIMIT).unwrap();
}
