//! Messages of an endpoint's own, and what may come of them: aborted, rejected, unanswered, answered out of turn, or asked for by a peer
//! that does not play its part.

use super::kit::*;
use hsms_core::config::ConnectMode::{self, Active, Passive};
use hsms_core::connection::State::{NotConnected, Selected};
use hsms_core::connection::{Stream9, TransactionEnd};
use hsms_core::secs2::messages::Identity;
use hsms_core::secs2::{Slice, WriteError, Writer};
use hsms_core::services::{
    BeforeTrust, CommunicationFailure, CommunicationMessage, CommunicationSettings, CommunicationState, EndpointAction,
    EndpointNotice, EndpointSettings, NameError, OwnMessage, Reaction, SendError, ServiceId, ServiceMessage, Status,
    TrustFailure, TrustMessage, TrustSettings, TrustState, UnhandledPolicy, Wanted,
};
use hsms_core::wire::{Header, StreamFunction, SystemBytes};
use std::num::NonZeroU8;
use std::task::Poll;
use std::time::Duration;

const TOOL: Identity<'_> = Identity::Equipment { mdln: "ETCHER", softrev: "1.0" };

fn named(mode: ConnectMode) -> End {
    End::new(Machine::new(settings(mode)).unwrap())
}

fn communicating(mode: ConnectMode, begins: bool) -> End {
    let communication = Some(CommunicationSettings { begins, ..CommunicationSettings::new(TOOL) });
    let unhandled = UnhandledPolicy { system_errors: true, abort: true };
    End::new(Machine::new(EndpointSettings { communication, unhandled, ..quiet(mode) }).unwrap())
}

fn secured(mode: ConnectMode, settings: TrustSettings) -> End {
    End::new(plain(mode).with_secret(secret(), settings, challenge, BeforeTrust::new()))
}

fn ended(end: &mut End, asked: &Sent) {
    end.machine.ended(end.now, asked.header.system, TransactionEnd::T3);
    end.drain();
}

#[test]
fn a_name_that_is_aborted_unanswered_refused_or_answered_wrongly_is_told_failed() {
    type Answer = fn(&mut End, &Sent);
    let rows: [(Answer, NameError); 4] = [
        (|client, asked| client.answered(asked, 0, b""), NameError::Unanswered),
        (ended, NameError::Unanswered),
        (
            |client, asked| client.answered(asked, 10, &service_text(0, Status::SERVICE_OR_DATA_UNKNOWN, None)),
            NameError::Refused(Status::SERVICE_OR_DATA_UNKNOWN),
        ),
        (
            |client, asked| client.answered(asked, 10, &service_text(1, Status::OKAY, None)),
            NameError::UnknownDataId { data_id: 1 },
        ),
    ];
    for (answer, error) in rows {
        let mut client = named(Active);
        client.link(Selected);
        let asked = client.next_is(64, 9);
        answer(&mut client, &asked);
        assert_eq!(client.notices, [EndpointNotice::NameFailed(error)]);
        // And once.
        ended(&mut client, &asked);
        assert_eq!((client.notices.len(), client.machine.name()), (1, None));
    }
}

#[test]
fn names_are_asked_of_servers_that_exchange_them_and_with_an_answer_expected() {
    let text = written(|text| ServiceMessage::new(ServiceId::CHANNEL_NAME, 0, Status::OKAY, None).write(text));
    let status = |answer: Option<Sent>| {
        ServiceMessage::read(ServiceId::CHANNEL_NAME, &answer.unwrap().text).map(|message| message.status())
    };
    let mut server = named(Passive);
    server.link(Selected);
    assert_eq!(status(server.receives(64, 9, &text)), Ok(Status::OKAY));
    assert_eq!(server.notices, [EndpointNotice::Named { differ: false }]);
    // A client, ...
    let mut client = named(Active);
    client.link(Selected);
    assert_eq!(status(client.receives(64, 9, &text)), Ok(Status::SERVICE_OR_DATA_UNKNOWN));
    assert_eq!(client.notices, [EndpointNotice::NameFailed(NameError::NotServer)]);
    // ... one without names, which says so with the data id that it was asked with, ...
    let mut server = End::new(plain(Passive));
    server.link(Selected);
    for (text, data_id) in [(service_text(3, Status::OKAY, None), 3), (b"?".to_vec(), 0)] {
        let answer = server.receives(64, 9, &text).unwrap();
        assert_eq!(answer.text, service_text(data_id, Status::SERVICE_OR_DATA_UNKNOWN, None));
    }
    assert_eq!(server.notices, []);
    assert_eq!(server.machine.name(), None);
    // ... and requests that expect no answer, of names and of the handshake.
    for function in [1, 9] {
        let mut server = secured(Passive, TrustSettings::default());
        server.link(Selected);
        let header = Header::data(SystemBytes(5), StreamFunction::new(64, function), false, SESSION);
        assert_eq!(server.primary(header, &text), None);
        let status = Status::SERVICE_OR_DATA_UNKNOWN;
        assert_eq!(server.notices, [EndpointNotice::NotKept { header, status }]);
        assert_eq!(server.machine.trust_state(), Some(TrustState::Untrusted));
    }
}

/// Whoever drives an end that exchanges no names can have its refusal written all the same.
#[test]
fn an_end_without_names_writes_the_status_alone() {
    let status = Status::SERVICE_OR_DATA_UNKNOWN;
    let machine = plain(Passive);
    let text = written(|text| machine.write(&OwnMessage::Name(status), text));
    assert_eq!(text, service_text(0, status, None));
}

#[test]
fn a_handshake_whose_request_is_aborted_unanswered_or_answered_unreadably_fails_at_once() {
    type Answer = fn(&mut End, &Sent);
    let malformed = ServiceMessage::read(ServiceId::AUTHENTICATION, b"?").unwrap_err();
    let rows: [(Answer, TrustFailure); 3] = [
        (|client, asked| client.answered(asked, 0, b""), TrustFailure::Unanswered),
        (ended, TrustFailure::Unanswered),
        (|client, asked| client.answered(asked, 2, b"?"), TrustFailure::Malformed(malformed)),
    ];
    for (answer, failure) in rows {
        let mut client = secured(Active, TrustSettings::default());
        client.link(Selected);
        let waiting = client.ask(ServiceId::READ, 7, None, 9_000);
        let asked = client.next_is(64, 1);
        answer(&mut client, &asked);
        assert_eq!(client.notices, [EndpointNotice::TrustFailed(failure)]);
        assert_eq!(client.outcome(waiting), Some(Err(SendError::NotTrusted(failure))));
        assert_eq!(client.machine.trust_state(), Some(TrustState::Untrusted));
    }
}

/// The peer sends something unreadable as a request of the handshake, which ends that of this end.
#[test]
fn of_a_handshake_that_has_ended_neither_answer_nor_abort_nor_end_is_a_second_failure() {
    type Answer = fn(&mut End, &Sent);
    let rows: [Answer; 3] = [
        |client, asked| client.answered(asked, 2, &service_text(0, Status::OKAY, None)),
        |client, asked| client.answered(asked, 0, b""),
        ended,
    ];
    for answer in rows {
        let mut client = secured(Active, TrustSettings::default());
        client.link(Selected);
        let asked = client.next_is(64, 1);
        let refused = client.receives(64, 1, b"?").unwrap();
        assert_eq!(refused.text, service_text(0, Status::CHECKSUM_ERROR, None));
        let told = client.notices.clone();
        assert!(matches!(told[..], [EndpointNotice::TrustFailed(TrustFailure::Malformed(_))]), "{told:?}");
        answer(&mut client, &asked);
        assert_eq!(client.notices, told);
        assert_eq!(client.machine.trust_state(), Some(TrustState::Untrusted));
    }
}

#[test]
fn an_end_that_needs_no_trust_says_that_it_knows_no_handshake() {
    let mut plain = End::new(plain(Passive));
    let mut optional = secured(Passive, TrustSettings { required: false, ..TrustSettings::default() });
    for end in [&mut plain, &mut optional] {
        end.link(Selected);
        let seed = TrustMessage { data_id: TrustMessage::SEED, status: Status::OKAY, octets: Some([1; 32]) };
        for (text, data_id) in [(written(|text| seed.write(text)), 0), (service_text(1, Status::OKAY, None), 1)] {
            let answer = end.receives(64, 1, &text).unwrap();
            assert_eq!(answer.text, service_text(data_id, Status::SERVICE_OR_DATA_UNKNOWN, None));
        }
        // Nor do responses to what it has not asked change anything.
        let header = Header::data(SystemBytes(9), StreamFunction::new(64, 2), false, SESSION);
        end.replied(&Sent { header, text: service_text(1, Status::OKAY, None) });
        assert_eq!(end.notices, [EndpointNotice::Unawaited { header }]);
        assert!(end.machine.is_established());
        assert_eq!((end.machine.trust_state(), end.machine.refused(), end.machine.next_deadline()), (None, 0, None));
    }
}

/// Settings that require no secret are as good as none, whenever trust is asked for.
#[test]
fn where_no_secret_is_required_nothing_waits_for_trust_and_nobody_may_ask_for_it() {
    let mut client = secured(Active, TrustSettings { required: false, ..TrustSettings::default() });
    let waiting = client.ask(ServiceId::READ, 7, None, 100);
    for selected in [false, true] {
        if selected {
            client.link(Selected);
        }
        assert_eq!(client.machine.authenticate(at(0), at(100)), Err(SendError::NotPermitted));
        assert_eq!((client.machine.is_trusted(), client.machine.trust_state()), (true, None));
    }
    let asked = client.next_is(64, 11);
    client.answered(&asked, 12, &service_text(7, Status::OKAY, None));
    assert_eq!(client.outcome(waiting), Some(Ok(vec![])));
    assert_eq!(client.notices, []);
}

/// The secret is taken back while it is waited for.
#[test]
fn a_secret_that_is_required_no_longer_is_not_waited_for_either() {
    let mut client = guarded(Active);
    let ticket = client.authenticate(at(0), at(9_000)).unwrap();
    client.link(at(0), Selected);
    let Some(EndpointAction::Send { what, .. }) = client.poll_action() else { panic!("it begins") };
    client.sent(&what, SystemBytes(1));
    let settings = TrustSettings { required: false, ..TrustSettings::default() };
    let mut client = client.with_secret(secret(), settings, challenge, BeforeTrust::new());
    assert!(client.is_established());
    let header = Header::data(SystemBytes(1), StreamFunction::new(64, 2), false, SESSION);
    let refused = service_text(0, Status::OPERATION_NOT_PERMITTED, None);
    assert!(matches!(client.reply(at(1), &header, &refused), Reaction::None));
    assert_eq!(client.poll_action(), None);
    client.link(at(2), NotConnected);
    client.link(at(3), Selected);
    let outcome = Ok(hsms_core::services::Done::Trusted);
    assert_eq!(client.poll_action(), Some(EndpointAction::Settled { ticket, outcome }));
    assert_eq!((client.poll_action(), client.next_deadline()), (None, None));
}

#[test]
fn a_handshake_that_cannot_begin_is_told_with_the_selection() {
    // Too much has failed.
    let once = TrustSettings { failures: NonZeroU8::MIN, within: Duration::from_secs(60), ..TrustSettings::default() };
    let mut client = secured(Active, once);
    client.link(Selected);
    let asked = client.next_is(64, 1);
    client.answered(&asked, 2, &service_text(0, Status::OPERATION_NOT_PERMITTED, None));
    client.link(NotConnected);
    client.notices.clear();
    let waiting = client.ask(ServiceId::READ, 7, None, 9_000);
    client.link(Selected);
    assert_eq!(client.notices, [EndpointNotice::TrustFailed(TrustFailure::TooManyFailures)]);
    assert_eq!(client.outcome(waiting), Some(Err(SendError::NotTrusted(TrustFailure::TooManyFailures))));
    assert!(client.sent.is_empty());

    // There is no randomness, and the application asks for trust by itself or not.
    for asks in [false, true] {
        let settings = TrustSettings { automatic: !asks, ..TrustSettings::default() };
        let machine = plain(Active).with_secret(secret(), settings, || [0; 32], BeforeTrust::new());
        let mut client = End::new(machine);
        let ticket = asks.then(|| client.authenticate(9_000));
        client.link(Selected);
        let failure = TrustFailure::ChallengeRepeated;
        assert_eq!(client.notices, [EndpointNotice::TrustFailed(failure)]);
        if let Some(ticket) = ticket {
            assert_eq!(client.outcome(ticket), Some(Err(SendError::NotTrusted(failure))));
        }
        assert!(client.sent.is_empty());
    }
}

#[test]
fn a_handshake_is_asked_for_by_several_and_begins_once() {
    let mut client = secured(Active, TrustSettings { automatic: false, ..TrustSettings::default() });
    client.link(Selected);
    let tickets = [client.authenticate(9_000), client.authenticate(9_000)];
    let mut server = secured(Passive, TrustSettings::default());
    server.link(Selected);
    assert_eq!(client.sent.len(), 1);
    settle(&mut client, &mut server);
    for ticket in tickets {
        assert_eq!(client.outcome(ticket), Some(Ok(vec![])));
    }
}

#[test]
fn a_selection_that_is_told_twice_begins_nothing_twice() {
    let mut client = named(Active);
    client.link(Selected);
    client.link(Selected);
    client.next_is(64, 9);
    assert!(client.sent.is_empty());
}

#[test]
fn s1f13_that_expects_no_answer_establishes_communication_all_the_same() {
    let mut tool = communicating(Passive, false);
    tool.link(Selected);
    let one_way = |function| Header::data(SystemBytes(5), StreamFunction::new(1, function), false, SESSION);
    assert_eq!(tool.primary(one_way(13), b"\x01\x00"), None);
    assert_eq!(tool.notices, [EndpointNotice::Communicating]);
    assert!(tool.machine.is_communicating());
    // Of S1F1 nothing comes then, and a text that cannot be read is reported and not aborted.
    assert_eq!(tool.primary(one_way(1), b""), None);
    assert_eq!(tool.primary(one_way(1), b"\x01\x00"), None);
    assert_eq!((tool.aborts, &tool.reports[..]), (0, &[(Stream9::IllegalData, one_way(1))][..]));
    // It was told once.
    assert_eq!(tool.receives(1, 13, b"\x01\x00").unwrap().text[4], 0);
    assert_eq!(tool.notices.iter().filter(|notice| **notice == EndpointNotice::Communicating).count(), 1);
}

#[test]
fn after_the_peers_s1f13_neither_answer_nor_end_of_our_own_changes_anything() {
    type Answer = fn(&mut End, &Sent);
    let rows: [Answer; 3] = [
        |tool, asked| tool.answered(asked, 14, b"\x01\x02\x21\x01\x01\x01\x00"),
        |tool, asked| tool.answered(asked, 0, b""),
        ended,
    ];
    for answer in rows {
        let mut tool = communicating(Passive, true);
        tool.link(Selected);
        let asked = tool.next_is(1, 13);
        assert_eq!(tool.receives(1, 13, b"\x01\x00").unwrap().text[4], 0);
        answer(&mut tool, &asked);
        assert_eq!(tool.notices, [EndpointNotice::Communicating]);
        assert_eq!(tool.machine.communication_state(), Some(CommunicationState::Communicating));
        assert_eq!(tool.machine.next_deadline(), None);
    }
}

#[test]
fn s1f13_that_fails_is_told_with_its_reason_and_a_sign_of_the_peer_brings_the_next_one() {
    type Answer = fn(&mut End, &Sent);
    let rows: [(Answer, CommunicationFailure); 4] = [
        (
            |tool, asked| tool.answered(asked, 14, b"\x01\x02\x21\x01\x01\x01\x00"),
            CommunicationFailure::Denied { commack: 1 },
        ),
        (|tool, asked| tool.answered(asked, 0, b""), CommunicationFailure::Aborted),
        (ended, CommunicationFailure::Unanswered),
        (
            |tool, asked| {
                let text = written(|text| text.binary(&asked.header.encode()));
                assert_eq!(tool.receives(9, 5, &text), None);
            },
            CommunicationFailure::Unanswered,
        ),
    ];
    for (answer, failure) in rows {
        let mut tool = communicating(Passive, true);
        tool.link(Selected);
        let asked = tool.next_is(1, 13);
        answer(&mut tool, &asked);
        assert_eq!(tool.notices, [EndpointNotice::CommunicationFailed(failure)]);
        assert_eq!(tool.machine.communication_state(), Some(CommunicationState::WaitingToRetry));
        // The message itself is not for anybody, and not answered.
        assert_eq!(tool.receives(2, 41, b""), None);
        assert!(matches!(tool.notices.last(), Some(EndpointNotice::Discarded { .. })));
        tool.next_is(1, 13);
        assert_eq!(tool.machine.communication_state(), Some(CommunicationState::WaitingForS1F14));
        // While that is open none follows it.
        assert_eq!(tool.receives(2, 41, b""), None);
        assert!(tool.sent.is_empty());
    }
}

#[test]
fn late_answers_of_the_endpoints_own_and_unreadable_ones_are_told_and_not_kept() {
    let mut client = named(Active);
    client.link(Selected);
    let asked = client.next_is(64, 9);
    ended(&mut client, &asked);
    client.notices.clear();
    let header = |function| Header::data(asked.header.system, StreamFunction::new(64, function), false, SESSION);
    let strays = [
        (10, service_text(0, Status::OKAY, None), EndpointNotice::Unawaited { header: header(10) }),
        (2, service_text(0, Status::OKAY, None), EndpointNotice::Unawaited { header: header(2) }),
        (12, b"?".to_vec(), EndpointNotice::NotKept { header: header(12), status: Status::CHECKSUM_ERROR }),
    ];
    for (function, text, notice) in strays {
        client.answered(&asked, function, &text);
        assert_eq!(client.notices.pop(), Some(notice));
    }
    assert_eq!((client.machine.inbox().len(), client.machine.name()), (0, None));
}

/// No service has it, so it is one of SECS-II.
#[test]
fn function_255_of_the_stream_of_services_is_a_primary_like_others() {
    let mut tool = End::new(plain(Passive));
    tool.machine.handle_service(None, None, |_| Some((Status::OKAY, vec![1, 0]))).unwrap();
    tool.link(Selected);
    let answer = tool.receives(64, 255, &service_text(7, Status::OKAY, None)).unwrap();
    assert!(answer.header.stream_function().is_abort());
    tool.machine.handle_function(Some(64), None, |_| Some((Status::OKAY, vec![0xa5, 0]))).unwrap();
    let one_way = Header::data(SystemBytes(5), StreamFunction::new(64, 255), false, SESSION);
    assert_eq!((tool.primary(one_way, b""), tool.calls), (None, 1));
}

/// It names no message of ours, but one that the equipment expects (E5 7.13).
#[test]
fn a_conversation_timeout_of_the_equipment_is_the_applications() {
    let mut host = End::new(plain(Active));
    host.link(Selected);
    let ticket = host.ask_function(2, 41, 100);
    let text = b"\x01\x02\x41\x06S02F41\x41\x01x";
    assert_eq!(host.receives(9, 13, text), None);
    assert!(matches!(host.notices[..], [EndpointNotice::Unhandled { .. }]), "{:?}", host.notices);
    assert_eq!(host.outcome(ticket), None);
    host.machine.handle_function(Some(9), Some(13), |_| None).unwrap();
    assert_eq!(host.receives(9, 13, text), None);
    assert_eq!(host.calls, 1);
}

/// No connection hands it over as a primary. An owner that does learns that nothing is there for it, and no service sees it.
#[test]
fn a_response_that_is_handed_over_as_a_primary_is_one_that_nobody_handles() {
    let mut host = End::new(plain(Active));
    host.machine.handle_service(None, None, |_| Some((Status::OKAY, vec![1, 0]))).unwrap();
    host.link(Selected);
    let header = Header::data(SystemBytes(5), StreamFunction::new(64, 12), false, SESSION);
    assert_eq!(host.primary(header, &service_text(7, Status::OKAY, None)), None);
    assert_eq!((host.calls, &host.notices[..]), (0, &[EndpointNotice::Unhandled { header }][..]));
}

/// The last place but one: the report goes out, and the abort at once instead of behind it.
#[test]
fn where_actions_are_not_taken_a_primary_is_aborted_at_once_and_what_is_not_told_is_counted() {
    let unhandled = UnhandledPolicy { system_errors: true, abort: true };
    let mut tool = Machine::new(EndpointSettings { unhandled, ..quiet(Passive) }).unwrap();
    tool.link(at(0), Selected);
    let mut primary = |token| {
        let header = Header::data(SystemBytes(5), StreamFunction::new(2, 41), true, SESSION);
        let at_once = match tool.primary(at(0), &header, token, b"") {
            Reaction::None => false,
            Reaction::Abort { .. } => true,
            _ => panic!(),
        };
        (at_once, tool.untold())
    };
    // Three actions each: notice, report and abort.
    assert_eq!([primary(Some(token())), primary(Some(token()))], [(false, 0), (false, 0)]);
    // There is room for two.
    assert_eq!(primary(Some(token())), (true, 0));
    // And for none.
    assert_eq!([primary(Some(token())), primary(None)], [(true, 2), (false, 4)]);
    let mut actions = (0, 0, 0);
    while let Some(action) = tool.poll_action() {
        match action {
            EndpointAction::Notify(EndpointNotice::Unhandled { .. }) => actions.0 += 1,
            EndpointAction::Report { error: Stream9::UnrecognizedStream, .. } => actions.1 += 1,
            EndpointAction::Abort { .. } => actions.2 += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(actions, (3, 3, 2));
}

#[test]
fn who_waits_for_the_inbox_of_an_endpoint_has_a_message_or_the_deadline() {
    let mut tool = End::new(plain(Passive));
    tool.machine.services_mut().add_service(10, 11, "read", "response").unwrap();
    tool.machine.services_mut().add_data(ServiceId::READ, 7, "temperature").unwrap();
    tool.link(Selected);
    let wanted = Wanted { first: Some(ServiceId::READ), second: None, deadline: at(100) };
    let data_id = |kept: hsms_core::services::Kept<'_, ServiceId, u32>| kept.second;
    assert_eq!(tool.machine.receive(at(99), &wanted, data_id), Poll::Pending);
    assert_eq!(tool.machine.receive(at(100), &wanted, data_id), Poll::Ready(None));
    let answer = tool.receives(64, 11, &service_text(7, Status::OKAY, None)).unwrap();
    assert_eq!(answer.text, service_text(7, Status::BUFFERING_UNHANDLED_REQUEST, None));
    assert_eq!(tool.machine.receive(at(100), &wanted, data_id), Poll::Ready(Some(7)));
    assert_eq!(tool.machine.receive(at(100), &wanted, data_id), Poll::Ready(None));
}

#[test]
fn messages_are_described_as_those_of_a_service_where_they_can_be_read_as_such() {
    let mut machine = plain(Passive);
    machine.services_mut().add_service(10, 11, "read", "response").unwrap();
    machine.services_mut().add_stream(64, "services").unwrap();
    let header = |stream, function| Header::data(SystemBytes(1), StreamFunction::new(stream, function), true, SESSION);
    let line = |stream, function, text: &[u8]| machine.describe(&header(stream, function), text).to_string();
    let text = service_text(7, Status::OKAY, None);
    assert_eq!(line(64, 11, &text), "service 10 (read), data id 7, status 0 (okay)");
    assert_eq!(line(64, 11, b"?"), "S64F11 W (read)");
    assert_eq!(line(64, 13, b"?"), "S64F13 W (services)", "a service without a name");
    assert_eq!(line(64, 1, b"?"), "S64F1 W (authentication request)");
    assert_eq!(line(64, 0, b""), "S64F0 W (services)");
    assert_eq!(line(2, 11, &text), "S2F11 W");
    let linktest = Header::linktest_req(SystemBytes(1));
    assert_eq!(machine.describe(&linktest, b"").to_string(), linktest.to_string(), "of no stream");
}

#[test]
fn a_message_that_is_longer_than_its_sink_is_an_error_wherever_it_is_cut() {
    type Write = fn(&mut Writer<Slice<'_>>) -> Result<(), WriteError>;
    let seed: Write = |text| TrustMessage { data_id: 0, status: Status(0), octets: Some([1; 32]) }.write(text);
    let refusal: Write = |text| TrustMessage { data_id: 0, status: Status(6), octets: None }.write(text);
    let name: Write = |text| {
        let machine = Machine::new(EndpointSettings { name: Some("oven"), ..settings(Passive) }).unwrap();
        machine.write(&OwnMessage::Name(Status::OKAY), text)
    };
    let establish: Write = |text| CommunicationMessage::Establish(TOOL).write(text);
    let service: Write = |text| ServiceMessage::new(ServiceId::READ, 7, Status(0), Some(&[0xa5, 1, 9])).write(text);
    let rows = [(seed, 45), (refusal, 13), (name, 17), (establish, 15), (service, 14)];
    for (write, octets) in rows {
        let mut room = [0; 64];
        for len in 0..octets {
            let mut text = Writer::<_, 8>::new(Slice::new(&mut room[..len]));
            let outcome = write(&mut text);
            assert!(matches!(outcome, Err(WriteError::NoRoom { .. })), "{len} of {octets}: {outcome:?}");
        }
        let mut text = Writer::new(Slice::new(&mut room[..octets]));
        write(&mut text).unwrap();
        assert_eq!(text.finish().unwrap().written().len(), octets);
    }
}
