//! The blocking adapter: allow list, caps, and TLS in every way that it can go wrong.

use crate::strangers::{CLAIM, claims_and_garbage, linktest, linktest_req, select_req, trickle};
use crate::support::*;
use hsms_std::core::config::ConnectMode;
use hsms_std::security::{CallersRefused, Refusal, Security, SecurityError};
use hsms_std::tls::TlsError;
use hsms_std::tls::rustls::{AlertDescription, CertificateError};
use hsms_std::{Connection, Error, Fault, Incoming, State};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Callers that the blocking adapter keeps, whatever the settings allow.
const KEPT_CALLERS: usize = 8;

/// How long the tool waits before it is seen whether the others are done.
const TURN: Duration = Duration::from_millis(5);

/// A tool that listens with these settings.
fn tool(security: Security) -> (Connection, SocketAddr) {
    let tool = Connection::passive(LOCAL, tool_config()).unwrap().with_security(security).unwrap();
    let address = tool.local_addr().unwrap();
    (tool, address)
}

fn host(address: SocketAddr, security: Security) -> Connection {
    let config = host_config().with_t5(Duration::from_millis(50)).unwrap();
    Connection::active(address, config).unwrap().with_security(security).unwrap()
}

/// Takes what comes until `find` finds something. Primaries are answered with their own text.
fn until<R>(tool: &mut Connection, mut find: impl FnMut(&Incoming<'_>) -> Option<R>) -> R {
    loop {
        let incoming = tool.next(LIMIT).unwrap().expect("it comes in time");
        if let Some(found) = find(&incoming) {
            return found;
        }
        if let Incoming::Primary { message, token: Some(token) } = incoming {
            let text = message.body.to_vec();
            tool.reply(&token, &text).unwrap();
        }
    }
}

/// Serves whoever is there, and echoes primaries, until `others` has returned.
fn serve<R: Send>(tool: &mut Connection, others: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| {
        let others = scope.spawn(others);
        while !others.is_finished() {
            if let Some(Incoming::Primary { message, token: Some(token) }) = tool.next(TURN).unwrap() {
                let text = message.body.to_vec();
                tool.reply(&token, &text).unwrap();
            }
        }
        others.join().unwrap()
    })
}

/// Serves until so many callers have been turned away.
fn until_refused(tool: &mut Connection, callers: u64) {
    let mut told = tool.callers_refused().total();
    while told < callers {
        until(tool, |incoming| matches!(incoming, Incoming::CallerRefused { .. }).then_some(()));
        told = tool.callers_refused().total();
    }
}

/// The host is selected, and gets its texts back, short and long; then it goes.
fn exchange(tool: &mut Connection, mut host: Connection) {
    thread::scope(|scope| {
        scope.spawn(move || {
            host.select(LIMIT).unwrap();
            let long: Vec<u8> = (0..3_000_000_u32).map(|octet| (octet % 251) as u8).collect();
            for text in [&[][..], b"text", &long] {
                assert!(host.request(S1F1, text).unwrap().body == text);
            }
            host.linktest().unwrap();
            host.close().unwrap();
        });
        until(tool, |incoming| matches!(incoming, Incoming::Selected).then_some(()));
        until(tool, |incoming| matches!(incoming, Incoming::Closed { .. }).then_some(()));
    });
}

/// What the end of the next connection says, at the tool and at a host with these settings.
fn ends(tool: &mut Connection, mut host: Connection) -> (Option<SecurityError>, Option<SecurityError>) {
    thread::scope(|scope| {
        let host = scope.spawn(move || {
            loop {
                match host.next(LIMIT).unwrap().expect("it ends in time") {
                    Incoming::Closed { error, .. } => return security_error(error),
                    Incoming::Selected => panic!("selected"),
                    _ => {}
                }
            }
        });
        let at_tool = loop {
            match tool.next(LIMIT).unwrap().expect("it ends in time") {
                Incoming::Closed { error, .. } => break security_error(error),
                Incoming::Selected => panic!("selected"),
                _ => {}
            }
        };
        (at_tool, host.join().unwrap())
    })
}

#[test]
fn with_server_authentication_messages_of_any_length_go_both_ways() {
    let authority = Authority::new();
    let (mut tool, address) = tool(server(&authority.sign("tool.fab"), None));
    exchange(&mut tool, host(address, client(&authority, None, "tool.fab")));
    exchange(&mut tool, host(address, client(&authority, None, "tool.fab")));
}

#[test]
fn with_mutual_authentication_each_end_knows_the_others_certificate() {
    let authority = Authority::new();
    let (tool_identity, host_identity) = (authority.sign("tool.fab"), authority.sign("host.fab"));
    let (mut tool, address) = tool(server(&tool_identity, Some(&authority)));
    let mut host = host(address, client(&authority, Some(&host_identity), "tool.fab"));
    assert!(tool.tls().is_none());
    thread::scope(|scope| {
        scope.spawn(|| {
            host.select(LIMIT).unwrap();
            let certificates = host.tls().unwrap().peer_certificates().unwrap();
            assert_eq!(certificates, std::slice::from_ref(&tool_identity.certificate));
            host.close().unwrap();
        });
        until(&mut tool, |incoming| matches!(incoming, Incoming::Selected).then_some(()));
        let certificates = tool.tls().unwrap().peer_certificates().unwrap();
        assert_eq!(certificates, std::slice::from_ref(&host_identity.certificate));
        until(&mut tool, |incoming| matches!(incoming, Incoming::Closed { .. }).then_some(()));
    });
}

/// A certificate error, whether or not it says more.
fn certificate_error(error: Option<&SecurityError>) -> &CertificateError {
    match error {
        Some(SecurityError::Tls(TlsError::InvalidCertificate(error))) => error,
        other => panic!("{other:?}"),
    }
}

fn alert(error: Option<SecurityError>) -> AlertDescription {
    match error {
        Some(SecurityError::Tls(TlsError::AlertReceived(alert))) => alert,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tool_whose_certificate_is_not_trusted_has_expired_or_is_for_another_is_not_talked_to() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let trusting = || client(&authority, None, "tool.fab");

    let (mut wrong, address) = tool(server(&stranger.sign("tool.fab"), None));
    let (at_tool, at_host) = ends(&mut wrong, host(address, trusting()));
    assert!(matches!(
        certificate_error(at_host.as_ref()),
        CertificateError::UnknownIssuer | CertificateError::BadSignature
    ));
    assert!(matches!(alert(at_tool), AlertDescription::UnknownCA | AlertDescription::DecryptError));

    let (mut expired, address) = tool(server(&authority.sign_until("tool.fab", 2020), None));
    let (at_tool, at_host) = ends(&mut expired, host(address, trusting()));
    let error = certificate_error(at_host.as_ref());
    assert!(matches!(error, CertificateError::Expired | CertificateError::ExpiredContext { .. }), "{error:?}");
    assert_eq!(alert(at_tool), AlertDescription::CertificateExpired);

    let (mut other, address) = tool(server(&authority.sign("other.fab"), None));
    let (_, at_host) = ends(&mut other, host(address, trusting()));
    let error = certificate_error(at_host.as_ref());
    assert!(matches!(error, CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }));
    // The others keep working: one that expects just that one.
    exchange(&mut other, host(address, client(&authority, None, "other.fab")));
}

#[test]
fn a_host_whose_certificate_is_missing_not_trusted_or_expired_is_not_served_and_the_next_one_is() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (mut tool, address) = tool(server(&authority.sign("tool.fab"), Some(&authority)));
    let with = |identity: Option<&Identity>| host(address, client(&authority, identity, "tool.fab"));

    let (at_tool, at_host) = ends(&mut tool, with(None));
    assert_eq!(at_tool, Some(SecurityError::Tls(TlsError::NoCertificatesPresented)));
    assert_eq!(alert(at_host), AlertDescription::CertificateRequired);

    let (at_tool, at_host) = ends(&mut tool, with(Some(&stranger.sign("host.fab"))));
    assert!(matches!(
        certificate_error(at_tool.as_ref()),
        CertificateError::UnknownIssuer | CertificateError::BadSignature
    ));
    assert!(matches!(alert(at_host), AlertDescription::UnknownCA | AlertDescription::DecryptError));

    let (at_tool, at_host) = ends(&mut tool, with(Some(&authority.sign_until("host.fab", 2020))));
    let error = certificate_error(at_tool.as_ref());
    assert!(matches!(error, CertificateError::Expired | CertificateError::ExpiredContext { .. }), "{error:?}");
    assert_eq!(alert(at_host), AlertDescription::CertificateExpired);

    exchange(&mut tool, with(Some(&authority.sign("host.fab"))));
}

#[test]
fn plain_is_refused_where_tls_is_required() {
    let authority = Authority::new();
    let (mut tool, address) = tool(server(&authority.sign("tool.fab"), None));
    let (at_tool, _) = ends(&mut tool, host(address, Security::new()));
    assert_eq!(at_tool, Some(SecurityError::PlainWhereTls));
    exchange(&mut tool, host(address, client(&authority, None, "tool.fab")));
}

#[test]
fn tls_is_refused_where_plain_is_expected() {
    let authority = Authority::new();
    let (mut tool, address) = tool(Security::new());
    let (at_tool, at_host) = ends(&mut tool, host(address, client(&authority, None, "tool.fab")));
    assert_eq!(at_tool, Some(SecurityError::TlsWherePlain));
    assert_eq!(at_host, Some(SecurityError::ClosedInHandshake));
    exchange(&mut tool, host(address, Security::new()));
}

#[test]
fn tls_for_the_other_role_alone_is_an_error_and_no_plain_connection() {
    let authority = Authority::new();
    let for_client = client(&authority, None, "tool.fab");
    let error = Connection::passive(LOCAL, tool_config()).unwrap().with_security(for_client).unwrap_err();
    assert!(matches!(error, Error::TlsForOtherRole { mode: ConnectMode::Passive }), "{error:?}");
    assert_eq!(error.fault(), Fault::Caller);
    let for_server = server(&authority.sign("tool.fab"), None);
    let error = Connection::active(LOCAL, host_config()).unwrap().with_security(for_server).unwrap_err();
    assert!(matches!(error, Error::TlsForOtherRole { mode: ConnectMode::Active }), "{error:?}");
}

#[test]
fn a_caller_that_does_not_finish_the_handshake_is_ended_by_t7_however_it_trickles() {
    let authority = Authority::new();
    let config = tool_config().with_t7(Duration::from_millis(500)).unwrap();
    let security = server(&authority.sign("tool.fab"), None);
    let mut tool = Connection::passive(LOCAL, config).unwrap().with_security(security).unwrap();
    let address = tool.local_addr().unwrap();
    thread::scope(|scope| {
        let caller = scope.spawn(move || trickle(call(GOOD, address), &[22, 3, 1, 2, 0, 1, 0, 1, 252]));
        until(&mut tool, |incoming| matches!(incoming, Incoming::Closed { .. }).then_some(()));
        caller.join().unwrap();
    });
    assert_eq!(tool.counters().timeouts.t7, 1);
    // It may be ended so as well where the machine is slow, and tries again.
    exchange(&mut tool, host(address, client(&authority, None, "tool.fab")));
}

#[test]
fn what_tls_owes_leaves_while_nothing_comes() {
    let authority = Authority::new();
    let (mut tool, address) = tool(server(&authority.sign("tool.fab"), None));
    let mut host = serve(&mut tool, || {
        let mut host = call_with_tls(address, &authority);
        host.write_all(&select_req()).unwrap();
        host.read_exact(&mut [0; 14]).unwrap();
        host
    });
    // So long that everything is waited for together.
    while tool.next(Duration::from_millis(100)).unwrap().is_some() {}
    let mut sent = 0;
    while !tool.tls().unwrap().wants_write() {
        tool.send(S1F1, &[7; 8_000]).unwrap();
        sent += 8_014;
        assert!(tool.next(Duration::from_millis(1)).unwrap().is_none());
    }
    // The host says nothing until it has everything.
    let octets = serve(&mut tool, || {
        let mut octets = vec![0; sent];
        host.read_exact(&mut octets).unwrap();
        octets
    });
    assert_eq!(octets[sent - 8_000..], [7; 8_000]);
    assert_eq!(tool.state(), State::Selected);
}

#[test]
fn a_caller_not_on_the_list_is_hung_up_on_counted_and_told_while_the_connection_goes_on() {
    let good = "127.0.2.0/24".parse().unwrap();
    let (mut tool, address) = tool(Security::new().with_allowed([good]));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let others = scope.spawn(|| {
            assert_eq!(expect_end(&mut call(BAD, address)), NOTHING);
            let mut first = first(address);
            assert_eq!(expect_end(&mut call(BAD, address)), NOTHING);
            let mut second = call(GOOD, address);
            throw(&mut second, &select_req());
            assert_eq!(expect_end(&mut second)[7], 1, "the place is taken");
            linktest(&mut first);
            over.store(true, Ordering::Release);
            first
        });
        let mut why = Vec::new();
        while !over.load(Ordering::Acquire) && !others.is_finished() {
            if let Some(Incoming::CallerRefused { why: reason, .. }) = tool.next(TURN).unwrap() {
                why.push(reason);
            }
        }
        others.join().unwrap();
        assert_eq!(why, [Refusal::NotAllowed, Refusal::NotAllowed, Refusal::Taken]);
    });
    let mut expected = CallersRefused::new();
    (expected.not_allowed, expected.taken) = (2, 1);
    assert_eq!(tool.callers_refused(), expected);
}

#[test]
fn callers_beyond_the_cap_of_an_address_are_hung_up_on_and_those_of_others_are_answered() {
    let config = tool_config().with_t7(LONG_T7).unwrap();
    let security = Security::new().with_max_unselected(2, 1_024);
    let mut tool = Connection::passive(LOCAL, config).unwrap().with_security(security).unwrap();
    let address = tool.local_addr().unwrap();
    let _first = serve(&mut tool, || {
        let mut first = first(address);
        // Two stay, and say nothing.
        let _lingering = [call(BAD, address), call(BAD, address)];
        for _ in 0..20 {
            assert_eq!(expect_end(&mut call(BAD, address)), NOTHING);
        }
        let mut second = call(GOOD, address);
        throw(&mut second, &select_req());
        assert_eq!(expect_end(&mut second)[7], 1, "the place is taken");
        linktest(&mut first);
        first
    });
    let mut expected = taken(3);
    expected.too_many_from_address = 20;
    assert_eq!(tool.callers_refused(), expected);
    assert_ne!(tool.state(), State::NotConnected);
}

#[test]
fn callers_beyond_the_cap_in_all_are_hung_up_on_from_wherever_they_come() {
    let config = tool_config().with_t7(LONG_T7).unwrap();
    let security = Security::new().with_max_unselected(64, 2);
    let mut tool = Connection::passive(LOCAL, config).unwrap().with_security(security).unwrap();
    let address = tool.local_addr().unwrap();
    let _first = serve(&mut tool, || {
        let mut first = first(address);
        let _lingering = [call(BAD, address), call(GOOD, address)];
        for last in 1..=20 {
            assert_eq!(expect_end(&mut call(Ipv4Addr::new(127, 0, 5, last), address)), NOTHING);
        }
        linktest(&mut first);
        first
    });
    let mut expected = taken(2);
    expected.too_many = 20;
    assert_eq!(tool.callers_refused(), expected);
}

/// A caller that has the place.
fn first(address: SocketAddr) -> TcpStream {
    let mut first = call(GOOD, address);
    throw(&mut first, &select_req());
    let mut answer = [0; 14];
    first.read_exact(&mut answer).unwrap();
    assert_eq!((answer[7], answer[9]), (0, 2), "Select.rsp with status 0");
    first
}

/// A host that is selected while the tool is served.
fn selected(tool: &mut Connection, address: SocketAddr) -> Connection {
    let mut host = host(address, Security::new());
    serve(tool, move || {
        host.select(LIMIT).unwrap();
        host
    })
}

/// Messages go both ways and linktests are answered.
fn works(host: &mut Connection) {
    assert_eq!(host.request(S1F1, b"text").unwrap().body, b"text");
    host.linktest().unwrap();
}

#[test]
fn a_thousand_callers_with_half_a_frame_each_take_less_memory_than_the_settings_allow() {
    let name = "blocking::a_thousand_callers_with_half_a_frame_each_take_less_memory_than_the_settings_allow";
    in_own_process(name, || {
        raise_descriptors();
        let config = tool_config().with_t7(LONG_T7).unwrap();
        let mut tool = Connection::passive(LOCAL, config).unwrap();
        let address = tool.local_addr().unwrap();
        let mut host = selected(&mut tool, address);
        serve(&mut tool, || works(&mut host));
        let before = resident();
        let callers = serve(&mut tool, || thousand_trying(address, &half_a_frame()));
        // The others wait.
        until_refused(&mut tool, 8);
        serve(&mut tool, || (0..20).for_each(|_| works(&mut host)));
        let grown = resident().saturating_sub(before);
        assert_bounded("a frame at a connection", grown, &Security::new().with_max_unselected(64, KEPT_CALLERS));
        assert_eq!(tool.callers_refused(), taken(8));
        drop(callers);
        serve(&mut tool, || works(&mut host));
    });
}

#[test]
fn slow_callers_are_ended_by_t7_whether_or_not_they_have_the_place() {
    let config = tool_config().with_t7(Duration::from_millis(500)).unwrap();
    let mut tool = Connection::passive(LOCAL, config).unwrap();
    let address = tool.local_addr().unwrap();
    // Whole messages, which are answered, are as little an excuse.
    let slow = || trickle(call(BAD, address), &linktest_req().repeat(100));
    serve(&mut tool, slow);
    assert_eq!(tool.counters().timeouts.t7, 1);
    let mut host = selected(&mut tool, address);
    // Where the machine is slow it may have taken the host more than one attempt.
    let (connections, t7) = (tool.counters().connections, tool.counters().timeouts.t7);
    serve(&mut tool, || {
        thread::scope(|scope| {
            let callers: Vec<_> = (0..4).map(|_| scope.spawn(slow)).collect();
            while !callers.iter().all(|caller| caller.is_finished()) {
                works(&mut host);
            }
        });
        works(&mut host);
    });
    assert_eq!(tool.callers_refused(), taken(4));
    assert_eq!((tool.counters().connections, tool.counters().timeouts.t7), (connections, t7));
}

#[test]
fn claims_of_two_gibibytes_and_garbage_end_their_own_connection_alone() {
    let config = tool_config().with_t7(Duration::from_millis(500)).unwrap();
    let mut tool = Connection::passive(LOCAL, config).unwrap();
    let address = tool.local_addr().unwrap();
    let strange = |octets: &[u8]| {
        let mut stranger = call(BAD, address);
        throw(&mut stranger, octets);
        expect_end(&mut stranger);
    };
    // With the place, and beside the one who has it.
    serve(&mut tool, || claims_and_garbage().take(15).for_each(|octets| strange(&octets)));
    let before = tool.callers_refused().total();
    let mut host = selected(&mut tool, address);
    serve(&mut tool, || {
        for octets in claims_and_garbage().take(15) {
            strange(&octets);
            works(&mut host);
        }
    });
    assert_eq!(tool.callers_refused(), taken(before + 15));
    assert_eq!(tool.state(), State::Selected);
}

#[test]
fn a_claim_of_two_gibibytes_by_the_peer_itself_reserves_nothing_even_where_it_is_allowed() {
    let name = "blocking::a_claim_of_two_gibibytes_by_the_peer_itself_reserves_nothing_even_where_it_is_allowed";
    in_own_process(name, || {
        // The second takes the claim, and ends it by T8.
        let allowing = tool_config().with_max_message(u32::MAX).unwrap().with_t8(Duration::from_secs(1)).unwrap();
        for config in [tool_config(), allowing] {
            let mut tool = Connection::passive(LOCAL, config).unwrap();
            let address = tool.local_addr().unwrap();
            let before = serve(&mut tool, || {
                let mut caller = first(address);
                let before = most_reserved();
                throw(&mut caller, &CLAIM);
                expect_end(&mut caller);
                before
            });
            assert_little_reserved(before);
            let mut host = selected(&mut tool, address);
            serve(&mut tool, || works(&mut host));
        }
    });
}
