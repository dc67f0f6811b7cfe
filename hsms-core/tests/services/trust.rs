//! The trusted connection: both ends prove one secret, or nothing flows.

use std::collections::HashSet;
use std::num::NonZeroU8;
use std::time::Duration;

use hsms_core::config::ConnectMode;
use hsms_core::secs2::{Slice, Writer};
use hsms_core::services::{
    BeforeTrust, CHALLENGE_LEN, Secret, SecretTooShort, ServiceId, ServiceMessage, Status, TableFull, Trust,
    TrustError, TrustFailure, TrustMessage, TrustSettings, TrustState, TrustStep,
};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};

type Octets = [u8; CHALLENGE_LEN];

const SESSION: SessionId = SessionId(7);

fn secret() -> Secret {
    Secret::new(b"sixteen octets!!").unwrap()
}

fn counted(from: u8) -> Octets {
    std::array::from_fn(|at| from + at as u8)
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn pair(settings: TrustSettings) -> (Trust, Trust) {
    (Trust::new(ConnectMode::Active, SESSION, settings), Trust::new(ConnectMode::Passive, SESSION, settings))
}

/// So many failures are the limit.
fn in_ten_seconds(failures: u8) -> TrustSettings {
    let failures = NonZeroU8::new(failures).unwrap();
    TrustSettings { failures, within: Duration::from_secs(10), ..TrustSettings::default() }
}

fn text(message: &TrustMessage) -> Vec<u8> {
    let mut octets = [0; 64];
    let mut text = Writer::new(Slice::new(&mut octets));
    message.write(&mut text).unwrap();
    text.finish().unwrap().written().to_vec()
}

fn hex(octets: Option<Octets>) -> String {
    octets.unwrap().iter().map(|octet| format!("{octet:02x}")).collect()
}

/// For calls whose outcome is looked at in the state alone.
fn ignore<T>(_: T) {}

/// The response to the client's request with these system bytes.
fn response(system: u32) -> Header {
    Header::data(SystemBytes(system), StreamFunction::new(64, 2), false, SESSION)
}

fn message(data_id: u32, status: Status, octets: Option<Octets>) -> TrustMessage {
    TrustMessage { data_id, status, octets }
}

/// Hands a request of the client to the server and its response back.
fn turn(client: &mut Trust, server: &mut Trust, secrets: (&Secret, &Secret), request: &TrustMessage) -> TrustStep {
    let answer = server.handle_request(at(1), secrets.1, || counted(32), &text(request));
    client.sent(SystemBytes(9));
    client.handle_response(at(1), secrets.0, &response(9), &text(&answer.response))
}

#[test]
fn both_ends_prove_the_secret_and_pass_through_the_numbered_states() {
    let (mut client, mut server) = pair(TrustSettings::default());
    let secret = secret();
    assert_eq!(client.state().to_string(), "Untrusted Connection");
    let request = client.authenticate(at(0), counted(0)).unwrap();
    assert_eq!(client.state().to_string(), "Seed was requested");
    assert_eq!(text(&request)[..11], *b"\x01\x03\xb1\x04\0\0\0\0\xa5\x01\0");
    assert_eq!(text(&request)[11..], [&[0x21, 32][..], &counted(0)].concat());
    client.sent(SystemBytes(1));

    let answer = server.handle_request(at(0), &secret, || counted(32), &text(&request));
    assert_eq!((answer.response, answer.failure), (message(TrustMessage::SEED, Status::OKAY, Some(counted(32))), None));
    assert_eq!(server.state().to_string(), "Seed has been sent");
    let TrustStep::Send(key) = client.handle_response(at(0), &secret, &response(1), &text(&answer.response)) else {
        panic!("the client does not prove it");
    };
    assert_eq!(client.state().to_string(), "Key has been sent");
    assert_eq!((key.data_id, key.status), (TrustMessage::KEY, Status::OKAY));
    client.sent(SystemBytes(2));

    let answer = server.handle_request(at(0), &secret, || panic!("not needed"), &text(&key));
    assert_eq!((answer.response.status, answer.failure, server.is_trusted()), (Status::OKAY, None, true));
    let last = client.handle_response(at(0), &secret, &response(2), &text(&answer.response));
    assert_eq!((last, client.is_trusted()), (TrustStep::Trusted, true));
    assert_eq!(client.state().to_string(), "Trusted Connection");
    assert_eq!((client.next_deadline(), server.next_deadline()), (None, None));
    // Made elsewhere: HMAC-SHA-256 over label, `C` or `S`, 0007, and both challenges.
    assert_eq!(hex(key.octets), "326172c15df17d5e8f62a4ed12df6fa29b251f4d74d2c2029b8e1780b25bf96e");
    assert_eq!(hex(answer.response.octets), "99e8dd9573aa1e57edf61c12b1a513cd4c0acc62a42c0be570be0ee8240b3f41");

    let states = [TrustState::Untrusted, TrustState::SeedRequested, TrustState::SeedSent, TrustState::KeySent];
    assert_eq!(states.map(TrustState::number), [0, 1, 2, 3]);
    assert_eq!(TrustState::Trusted.number(), 4);
}

#[test]
fn a_secret_has_at_least_16_octets_may_be_long_and_is_never_printed() {
    assert_eq!(Secret::new(b"fifteen octets!").unwrap_err(), SecretTooShort { octets: 15 });
    assert_eq!(format!("{:?}", secret()), "Secret(..)");
    let long = Secret::new(&(0..100).collect::<Vec<u8>>()).unwrap();
    let (mut client, mut server) = pair(TrustSettings::default());
    let request = client.authenticate(at(0), counted(0)).unwrap();
    let TrustStep::Send(key) = turn(&mut client, &mut server, (&long, &long), &request) else { panic!() };
    assert_eq!(hex(key.octets), "fb6fb480993b7ce11e940773cbaa73b2f9bcbc755ab420d2aa8d0e49a0f6d38d");
    assert_eq!(turn(&mut client, &mut server, (&long, &long), &key), TrustStep::Trusted);
}

#[test]
fn a_client_without_the_secret_gets_status_6_and_no_proof() {
    let (mut client, mut server) = pair(TrustSettings::default());
    let other = Secret::new(b"another secret!!").unwrap();
    let request = client.authenticate(at(0), counted(0)).unwrap();
    let TrustStep::Send(key) = turn(&mut client, &mut server, (&other, &secret()), &request) else { panic!() };
    let answer = server.clone().handle_request(at(1), &secret(), || panic!(), &text(&key));
    assert_eq!(answer.response, message(TrustMessage::KEY, Status::OPERATION_NOT_PERMITTED, None));
    assert_eq!(answer.failure, Some(TrustFailure::WrongProof));
    let step = turn(&mut client, &mut server, (&other, &secret()), &key);
    assert_eq!(step, TrustStep::Failed(TrustFailure::Refused(Status::OPERATION_NOT_PERMITTED)));
    assert_eq!((client.state(), server.state()), (TrustState::Untrusted, TrustState::Untrusted));
}

#[test]
fn a_server_that_does_not_know_the_secret_is_not_trusted() {
    let (mut client, _) = pair(TrustSettings::default());
    let request = client.authenticate(at(0), counted(0)).unwrap();
    client.sent(SystemBytes(1));
    let seed = text(&message(TrustMessage::SEED, Status::OKAY, Some(counted(32))));
    let TrustStep::Send(key) = client.handle_response(at(0), &secret(), &response(1), &seed) else { panic!() };
    // The client's own proof, sent back.
    client.sent(SystemBytes(2));
    let step = client.handle_response(at(0), &secret(), &response(2), &text(&key));
    assert_eq!((step, client.is_trusted()), (TrustStep::Failed(TrustFailure::WrongProof), false));
    assert_eq!(request.octets, Some(counted(0)));
}

#[test]
fn a_proof_for_another_session_or_of_an_earlier_handshake_proves_nothing() {
    let secret = secret();
    let (mut client, mut server) = pair(TrustSettings::default());
    let mut elsewhere = Trust::new(ConnectMode::Passive, SessionId(8), TrustSettings::default());
    let request = client.authenticate(at(0), counted(0)).unwrap();
    let TrustStep::Send(key) = turn(&mut client, &mut server, (&secret, &secret), &request) else { panic!() };
    let _ = elsewhere.handle_request(at(1), &secret, || counted(32), &text(&request));
    let answer = elsewhere.handle_request(at(1), &secret, || panic!(), &text(&key));
    assert_eq!(answer.failure, Some(TrustFailure::WrongProof));

    assert_eq!(turn(&mut client, &mut server, (&secret, &secret), &key), TrustStep::Trusted);
    server.lost();
    let _ = server.handle_request(at(2), &secret, || counted(64), &text(&request));
    let answer = server.handle_request(at(2), &secret, || panic!(), &text(&key));
    assert_eq!((answer.failure, server.is_trusted()), (Some(TrustFailure::WrongProof), false));
}

#[test]
fn a_proof_that_nobody_asked_for_is_refused_and_ends_the_trust_there_is() {
    let (_, mut server) = pair(TrustSettings::default());
    let key = text(&message(TrustMessage::KEY, Status::OKAY, Some(counted(0))));
    let answer = server.handle_request(at(0), &secret(), || panic!(), &key);
    assert_eq!(answer.response, message(TrustMessage::KEY, Status::OPERATION_NOT_PERMITTED, None));
    assert_eq!(answer.failure, Some(TrustFailure::Unexpected));

    let secret = secret();
    let (mut client, mut server) = pair(TrustSettings::default());
    let request = client.authenticate(at(0), counted(0)).unwrap();
    let TrustStep::Send(proof) = turn(&mut client, &mut server, (&secret, &secret), &request) else { panic!() };
    assert_eq!(turn(&mut client, &mut server, (&secret, &secret), &proof), TrustStep::Trusted);
    let answer = server.handle_request(at(2), &secret, || panic!(), &text(&proof));
    assert_eq!((answer.failure, server.is_trusted()), (Some(TrustFailure::Unexpected), false));
}

#[test]
fn texts_that_are_no_message_of_the_handshake_get_status_5_and_unknown_data_ids_status_4() {
    let (_, mut server) = pair(TrustSettings::default());
    let short = b"\x01\x03\xb1\x04\0\0\0\0\xa5\x01\0\x21\x02\x01\x02";
    for text in [&b"\x01\x03"[..], short, b"\x01\x03\xb1\x04\0\0\0\0\xa5\x01\0\x41\x01a"] {
        let answer = server.handle_request(at(0), &secret(), || panic!(), text);
        assert_eq!(answer.response, message(TrustMessage::SEED, Status::CHECKSUM_ERROR, None));
        assert!(matches!(answer.failure, Some(TrustFailure::Malformed(_))));
    }
    let other = text(&message(2, Status::OKAY, None));
    let answer = server.handle_request(at(0), &secret(), || panic!(), &other);
    assert_eq!(answer.response, message(2, Status::SERVICE_OR_DATA_UNKNOWN, None));
    assert_eq!(server.blocked_until(at(0)), None);

    // It is none of the handshake, so none has failed: the one that is under way goes on.
    let (mut client, mut server) = pair(TrustSettings::default());
    let request = client.authenticate(at(0), counted(0)).unwrap();
    let TrustStep::Send(key) = turn(&mut client, &mut server, (&secret(), &secret()), &request) else { panic!() };
    let answer = server.handle_request(at(1), &secret(), || panic!(), &other);
    assert_eq!((answer.response.status, answer.failure), (Status::SERVICE_OR_DATA_UNKNOWN, None));
    assert_eq!(server.state(), TrustState::SeedSent);
    assert_eq!(turn(&mut client, &mut server, (&secret(), &secret()), &key), TrustStep::Trusted);
    let answer = server.handle_request(at(2), &secret(), || panic!(), &other);
    assert_eq!((answer.failure, server.is_trusted()), (None, true));
}

#[test]
fn without_a_secret_authenticate_is_a_typed_error_and_trust_counts_as_given() {
    let (mut client, mut server) = pair(TrustSettings { required: false, ..TrustSettings::default() });
    assert_eq!(client.authenticate(at(0), counted(0)), Err(TrustError::NoSecret));
    assert!(client.is_trusted() && server.is_trusted());
    assert_eq!(client.selected(at(0), || panic!()), Ok(None));
    let request = text(&message(TrustMessage::SEED, Status::OKAY, Some(counted(0))));
    let answer = server.handle_request(at(0), &secret(), || panic!(), &request);
    assert_eq!((answer.response.status, answer.failure), (Status::SERVICE_OR_DATA_UNKNOWN, None));
}

#[test]
fn the_client_begins_by_itself_after_select_or_on_request_alone() {
    let (mut client, mut server) = pair(TrustSettings::default());
    let request = client.selected(at(0), || counted(0)).unwrap().unwrap();
    assert_eq!(request.octets, Some(counted(0)));
    assert_eq!(client.authenticate(at(0), counted(1)), Err(TrustError::UnderWay));
    assert_eq!(server.selected(at(0), || panic!()), Ok(None));
    assert_eq!(server.authenticate(at(0), counted(1)), Err(TrustError::NotClient));
    let (mut client, _) = pair(TrustSettings { automatic: false, ..TrustSettings::default() });
    assert_eq!(client.selected(at(0), || panic!()), Ok(None));
    assert!(client.authenticate(at(0), counted(0)).is_ok());
}

#[test]
fn a_handshake_ends_at_its_deadline_and_with_its_request() {
    let (mut client, mut server) = pair(TrustSettings::default());
    let request = client.authenticate(at(10), counted(0)).unwrap();
    assert_eq!(client.next_deadline(), Some(at(2_010)));
    assert_eq!(client.handle_timeout(at(2_009)), None);
    let _ = server.handle_request(at(20), &secret(), || counted(32), &text(&request));
    assert_eq!(server.next_deadline(), Some(at(2_020)));
    assert_eq!(client.handle_timeout(at(2_010)), Some(TrustFailure::TimedOut));
    assert_eq!(server.handle_timeout(at(2_020)), Some(TrustFailure::TimedOut));
    assert_eq!((client.state(), server.state()), (TrustState::Untrusted, TrustState::Untrusted));
    assert_eq!((client.next_deadline(), client.handle_timeout(at(9_000))), (None, None));

    client.authenticate(at(3_000), counted(1)).unwrap();
    client.sent(SystemBytes(3));
    assert_eq!(client.unanswered(at(3_001), SystemBytes(2)), None);
    assert_eq!(client.unanswered(at(3_001), SystemBytes(3)), Some(TrustFailure::Unanswered));
    let late = text(&message(TrustMessage::SEED, Status::OKAY, Some(counted(32))));
    assert_eq!(client.handle_response(at(3_002), &secret(), &response(3), &late), TrustStep::NotOurs);
}

#[test]
fn a_request_that_could_not_be_sent_ends_the_handshake_at_once() {
    let (mut client, mut server) = pair(TrustSettings::default());
    assert_eq!((client.not_sent(at(0)), server.not_sent(at(0))), (None, None));
    client.authenticate(at(0), counted(0)).unwrap();
    assert_eq!(client.not_sent(at(1)), Some(TrustFailure::Unanswered));
    assert_eq!((client.state(), client.next_deadline()), (TrustState::Untrusted, None));
    // The other request, and one that did go out.
    let request = client.authenticate(at(2), counted(1)).unwrap();
    let TrustStep::Send(_) = turn(&mut client, &mut server, (&secret(), &secret()), &request) else { panic!() };
    assert_eq!((client.not_sent(at(3)), server.not_sent(at(3))), (Some(TrustFailure::Unanswered), None));
    client.authenticate(at(4), counted(2)).unwrap();
    client.sent(SystemBytes(5));
    assert_eq!(client.not_sent(at(5)), None);
    assert_eq!(client.state(), TrustState::SeedRequested);
    // It is no guess, so it does not count.
    for challenge in 3..30 {
        client.lost();
        client.authenticate(at(6), counted(challenge)).unwrap();
        assert_eq!(client.not_sent(at(6)), Some(TrustFailure::Unanswered));
    }
}

/// Every state that six calls in any order can reach, of either end.
#[test]
fn while_a_handshake_is_under_way_there_is_a_deadline_and_it_ends_there() {
    type Call = fn(&mut Trust);
    fn reply(trust: &mut Trust, message: TrustMessage) {
        let _ = trust.handle_response(at(0), &secret(), &response(1), &text(&message));
    }
    fn request(trust: &mut Trust, message: TrustMessage) {
        let _ = trust.handle_request(at(0), &secret(), || counted(32), &text(&message));
    }
    let calls: [Call; 12] = [
        |trust| ignore(trust.authenticate(at(0), counted(0))),
        |trust| ignore(trust.authenticate(at(0), counted(64))),
        |trust| ignore(trust.selected(at(0), || counted(64))),
        |trust| {
            trust.sent(SystemBytes(1));
        },
        |trust| ignore(trust.unanswered(at(0), SystemBytes(1))),
        |trust| ignore(trust.not_sent(at(0))),
        Trust::lost,
        |trust| reply(trust, message(TrustMessage::SEED, Status::OKAY, Some(counted(32)))),
        |trust| reply(trust, message(TrustMessage::KEY, Status::OKAY, Some(counted(0)))),
        |trust| request(trust, message(TrustMessage::SEED, Status::OKAY, Some(counted(0)))),
        |trust| request(trust, message(TrustMessage::KEY, Status::OKAY, Some(counted(0)))),
        |trust| request(trust, message(2, Status::OKAY, None)),
    ];
    let (client, server) = pair(TrustSettings::default());
    let mut known = HashSet::from([client, server]);
    let mut newest: Vec<Trust> = known.iter().cloned().collect();
    let mut met = HashSet::new();
    for _ in 0..6 {
        for trust in std::mem::take(&mut newest) {
            for call in calls {
                let mut next = trust.clone();
                call(&mut next);
                if known.insert(next.clone()) {
                    newest.push(next);
                }
            }
        }
    }
    println!("trust: {} states", known.len());
    for trust in &known {
        met.insert(trust.state());
        match trust.next_deadline() {
            None => assert!(matches!(trust.state(), TrustState::Untrusted | TrustState::Trusted), "{trust:?}"),
            Some(deadline) => {
                let mut trust = trust.clone();
                assert_eq!(trust.handle_timeout(deadline), Some(TrustFailure::TimedOut));
                assert_eq!((trust.state(), trust.next_deadline()), (TrustState::Untrusted, None));
            }
        }
    }
    let under_way = [TrustState::SeedRequested, TrustState::SeedSent, TrustState::KeySent];
    assert!(under_way.iter().all(|state| met.contains(state)), "{met:?}");
}

#[test]
fn one_failure_is_the_least_limit_and_no_time_is_none() {
    let seed = text(&message(TrustMessage::SEED, Status::OKAY, Some(counted(0))));
    let key = text(&message(TrustMessage::KEY, Status::OKAY, Some(counted(0))));
    for (within, blocked) in [(Duration::from_secs(10), Some(at(10_000))), (Duration::ZERO, None)] {
        let settings = TrustSettings { failures: NonZeroU8::MIN, within, ..TrustSettings::default() };
        let (_, mut server) = pair(settings);
        assert_eq!(server.blocked_until(at(0)), None);
        let _ = server.handle_request(at(0), &secret(), || counted(32), &seed);
        let _ = server.handle_request(at(0), &secret(), || panic!(), &key);
        assert_eq!(server.blocked_until(at(0)), blocked);
    }
    assert_eq!(TrustSettings::default().failures.get(), 5);
}

#[test]
fn what_answers_no_open_challenge_does_not_count_towards_the_limit() {
    let settings = TrustSettings { failures: NonZeroU8::MIN, ..TrustSettings::default() };
    let (mut client, mut server) = pair(settings);
    let key = text(&message(TrustMessage::KEY, Status::OKAY, Some(counted(0))));
    let empty = text(&message(TrustMessage::SEED, Status::OKAY, None));
    for stray in [&key, &empty, &key] {
        let answer = server.handle_request(at(0), &secret(), || panic!(), stray);
        assert_eq!(answer.failure, Some(TrustFailure::Unexpected));
        assert_eq!(server.blocked_until(at(0)), None);
    }
    client.authenticate(at(0), counted(0)).unwrap();
    client.sent(SystemBytes(1));
    // Not to what it has asked.
    assert_eq!(
        client.handle_response(at(0), &secret(), &response(1), &key),
        TrustStep::Failed(TrustFailure::Unexpected)
    );
    assert_eq!(client.blocked_until(at(0)), None);
    // Whoever has the secret gets in all the same.
    let request = client.authenticate(at(0), counted(1)).unwrap();
    let TrustStep::Send(proof) = turn(&mut client, &mut server, (&secret(), &secret()), &request) else { panic!() };
    assert_eq!(turn(&mut client, &mut server, (&secret(), &secret()), &proof), TrustStep::Trusted);
}

#[test]
fn a_server_that_answers_without_a_proof_has_failed_as_with_a_wrong_one() {
    let settings = TrustSettings { failures: NonZeroU8::MIN, ..TrustSettings::default() };
    let (mut client, mut server) = pair(settings);
    let request = client.authenticate(at(0), counted(0)).unwrap();
    let TrustStep::Send(_) = turn(&mut client, &mut server, (&secret(), &secret()), &request) else { panic!() };
    client.sent(SystemBytes(2));
    let empty = text(&message(TrustMessage::KEY, Status::OKAY, None));
    assert_eq!(
        client.handle_response(at(0), &secret(), &response(2), &empty),
        TrustStep::Failed(TrustFailure::WrongProof)
    );
    assert!(client.blocked_until(at(0)).is_some(), "it counts");
}

#[test]
fn the_end_of_the_link_ends_trust() {
    let secret = secret();
    let (mut client, mut server) = pair(TrustSettings::default());
    let request = client.authenticate(at(0), counted(0)).unwrap();
    let TrustStep::Send(key) = turn(&mut client, &mut server, (&secret, &secret), &request) else { panic!() };
    assert_eq!(turn(&mut client, &mut server, (&secret, &secret), &key), TrustStep::Trusted);
    client.lost();
    server.lost();
    assert!(!client.is_trusted() && !server.is_trusted());
}

#[test]
fn after_so_many_failures_in_a_time_every_handshake_is_refused_until_it_has_passed() {
    let (mut client, mut server) = pair(in_ten_seconds(3));
    let key = text(&message(TrustMessage::KEY, Status::OKAY, Some(counted(0))));
    let seed = text(&message(TrustMessage::SEED, Status::OKAY, Some(counted(0))));
    for guess in 0..3 {
        assert_eq!(server.blocked_until(at(guess)), None);
        let _ = server.handle_request(at(guess), &secret(), || counted(32 + guess as u8), &seed);
        let answer = server.handle_request(at(guess), &secret(), || panic!(), &key);
        assert_eq!(answer.failure, Some(TrustFailure::WrongProof));
        server.lost();
    }
    assert_eq!(server.blocked_until(at(9_999)), Some(at(10_000)));
    let answer = server.handle_request(at(9_999), &secret(), || panic!(), &seed);
    assert_eq!(answer.response, message(TrustMessage::SEED, Status::OPERATION_NOT_PERMITTED, None));
    assert_eq!(answer.failure, Some(TrustFailure::TooManyFailures));
    let answer = server.handle_request(at(10_000), &secret(), || counted(90), &seed);
    assert_eq!((answer.failure, server.state()), (None, TrustState::SeedSent));
    // The first failure behind the window begins another one.
    let _ = server.handle_request(at(10_001), &secret(), || panic!(), &key);
    assert_eq!(server.blocked_until(at(10_001)), None);

    for guess in 0..3 {
        client.authenticate(at(0), counted(guess)).unwrap();
        client.sent(SystemBytes(1));
        let refused = text(&message(TrustMessage::SEED, Status::OPERATION_NOT_PERMITTED, None));
        let _ = client.handle_response(at(0), &secret(), &response(1), &refused);
    }
    assert_eq!(client.authenticate(at(1), counted(9)), Err(TrustError::TooManyFailures { until: at(10_000) }));
}

#[test]
fn the_time_in_which_failures_count_begins_with_the_first_of_them() {
    let (mut client, _) = pair(in_ten_seconds(2));
    let refused = text(&message(TrustMessage::SEED, Status::OPERATION_NOT_PERMITTED, None));
    for (guess, seconds) in [(0, 5), (1, 12), (2, 24)] {
        client.authenticate(at(seconds * 1_000), counted(guess)).unwrap();
        client.sent(SystemBytes(1));
        let _ = client.handle_response(at(seconds * 1_000), &secret(), &response(1), &refused);
        let blocked = client.blocked_until(at(seconds * 1_000));
        // The third one is alone in a time of its own.
        assert_eq!(blocked, (guess == 1).then_some(at(15_000)), "failure {guess}");
    }
}

#[test]
fn a_source_of_randomness_that_repeats_itself_is_noticed() {
    let (mut client, mut server) = pair(TrustSettings::default());
    client.authenticate(at(0), counted(5)).unwrap();
    client.lost();
    assert_eq!(client.authenticate(at(0), counted(5)), Err(TrustError::ChallengeRepeated));
    // An empty pool.
    let seed = text(&message(TrustMessage::SEED, Status::OKAY, Some(counted(0))));
    let answer = server.handle_request(at(0), &secret(), || [0; CHALLENGE_LEN], &seed);
    assert_eq!(answer.response, message(TrustMessage::SEED, Status::OPERATION_NOT_PERMITTED, None));
    assert_eq!(answer.failure, Some(TrustFailure::ChallengeRepeated));
    // Also one that runs dry after it has given something.
    assert_eq!(client.authenticate(at(0), [0; CHALLENGE_LEN]), Err(TrustError::ChallengeRepeated));
    client.authenticate(at(0), counted(6)).unwrap();
    ignore(server.handle_request(at(0), &secret(), || counted(7), &seed));
    let answer = server.handle_request(at(0), &secret(), || [0; CHALLENGE_LEN], &seed);
    assert_eq!((answer.failure, server.state()), (Some(TrustFailure::ChallengeRepeated), TrustState::Untrusted));
}

#[test]
fn before_trust_only_what_is_allowed_is_admitted_and_the_rest_is_counted() {
    let (mut trust, _) = pair(TrustSettings::default());
    let mut before = BeforeTrust::<2>::new();
    before.allow_service(Some(ServiceId::READ), Some(7)).unwrap();
    before.allow_function(Some(1), None).unwrap();
    for always in [0, 1, 8, 9] {
        assert!(before.admits_service(&trust, ServiceId::new(always).unwrap(), 3));
    }
    assert!(before.admits_service(&trust, ServiceId::READ, 7));
    assert!(before.admits_function(&trust, StreamFunction::new(1, 13)));
    assert_eq!(before.refused(), 0);
    assert!(!before.admits_service(&trust, ServiceId::READ, 8));
    assert!(!before.admits_service(&trust, ServiceId::WRITE, 7));
    assert!(!before.admits_function(&trust, StreamFunction::new(2, 41)));
    assert_eq!(before.refused(), 3);
    before.allow_service(Some(ServiceId::WRITE), None).unwrap();
    assert_eq!(before.allow_service(Some(ServiceId::EXECUTE), None), Err(TableFull(())));

    trust = Trust::new(ConnectMode::Active, SESSION, TrustSettings { required: false, ..TrustSettings::default() });
    assert!(before.admits_service(&trust, ServiceId::EXECUTE, 8));
    assert!(before.admits_function(&trust, StreamFunction::new(2, 41)));
    assert_eq!(before.refused(), 3);
}

#[test]
fn the_messages_of_the_handshake_are_service_messages() {
    let key = text(&message(TrustMessage::KEY, Status(6), Some(counted(1))));
    assert_eq!(TrustMessage::read(&key), Ok(message(TrustMessage::KEY, Status(6), Some(counted(1)))));
    let item = [&[0x21, 32][..], &counted(1)].concat();
    let service = ServiceMessage::read(ServiceId::AUTHENTICATION, &key).unwrap();
    assert_eq!(service, ServiceMessage::new(ServiceId::AUTHENTICATION, TrustMessage::KEY, Status(6), Some(&item)));
    let none = message(TrustMessage::KEY, Status(6), None);
    assert_eq!(TrustMessage::read(&text(&none)), Ok(none));
}
