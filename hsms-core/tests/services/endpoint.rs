//! All parts in one machine: the order in which things go out, what waits for what, and the one outcome of each sending.

use super::kit::*;
use super::narrow::broken_off_at_every_octet;
use hsms_core::config::ConnectMode::{Active, Passive};
use hsms_core::connection::State::{NotConnected, NotSelected, Selected};
use hsms_core::connection::{Stream9, TransactionEnd};
use hsms_core::error::Fault;
use hsms_core::secs2::messages::Identity;
use hsms_core::secs2::{Error, ErrorKind};
use hsms_core::services::{
    Answer, BeforeTrust, CommunicationSettings, CommunicationState, Complaint, Endpoint, EndpointAction, EndpointError,
    EndpointNotice, EndpointSettings, NameError, Secret, SendError, ServiceId, ServiceMessage, Status, TrustFailure,
    TrustSettings, TrustState, UnhandledPolicy, Waiting,
};
use hsms_core::wire::{BodyTooLong, Header, RejectReason, StreamFunction, SystemBytes};
use std::time::Duration;

const TOOL: Identity<'_> = Identity::Equipment { mdln: "ETCHER", softrev: "1.0" };

/// `<U1 9>`.
const DATA: &[u8] = &[0xa5, 1, 9];

fn returns(_: &[u8]) -> Option<(Status, Vec<u8>)> {
    Some((Status::OKAY, DATA.to_vec()))
}

/// With every part: a name, a secret, communication.
fn whole(mode: hsms_core::config::ConnectMode) -> Machine {
    let identity = if mode == Active { Identity::Host } else { TOOL };
    let mut machine = Machine::new(EndpointSettings {
        name: Some(if mode == Active { "client" } else { "server" }),
        communication: Some(CommunicationSettings { begins: mode == Active, ..CommunicationSettings::new(identity) }),
        ..settings(mode)
    })
    .unwrap()
    .with_secret(secret(), TrustSettings::default(), challenge, BeforeTrust::new());
    let read = machine.services_mut().add_service(10, 11, "read", "read response").unwrap().request();
    machine.services_mut().add_data(read, 7, "temperature").unwrap();
    machine.handle_service(Some(read), None, returns).unwrap();
    machine
}

fn begun(mode: hsms_core::config::ConnectMode) -> End {
    let mut end = End::new(plain(mode));
    end.link(NotSelected);
    end.link(Selected);
    end
}

fn s9(end: &mut End, function: u8, about: &Header) -> Option<Sent> {
    let text = written(|text| text.binary(&about.encode()));
    end.receives(9, function, &text)
}

#[test]
fn names_then_trust_then_communication_then_what_waited() {
    let (mut client, mut server) = (End::new(whole(Active)), End::new(whole(Passive)));
    let function = client.ask_function(2, 41, 9_000);
    let service = client.ask(ServiceId::READ, 7, None, 9_000);
    assert!(client.sent.is_empty());
    client.link(NotSelected);
    client.link(Selected);
    server.link(Selected);
    let mut order = Vec::new();
    for _ in 0..20 {
        let Some(message) = client.sent.pop_front() else { break };
        order.push(message.header.stream_function().to_string());
        if let Some(reply) = server.primary(message.header, &message.text) {
            client.replied(&reply);
        }
    }
    assert_eq!(order, ["S64F9", "S64F1", "S64F1", "S1F13", "S64F11", "S2F41"]);
    assert_eq!(client.outcome(service), Some(Ok(DATA.to_vec())));
    assert_eq!(client.outcome(function), Some(Err(SendError::Aborted)));
    for end in [&client, &server] {
        assert!(end.machine.is_communicating());
        assert_eq!(end.machine.trust_state(), Some(TrustState::Trusted));
        assert_eq!(end.machine.communication_state(), Some(CommunicationState::Communicating));
        assert_eq!((end.machine.name(), end.machine.next_deadline()), (Some("client"), None));
        assert_eq!((end.machine.refused(), end.machine.untold()), (0, 0));
    }
    let told = [EndpointNotice::Named { differ: true }, EndpointNotice::Trusted, EndpointNotice::Communicating];
    assert_eq!(client.notices, told);
    assert_eq!(server.notices[..3], told);
}

#[test]
fn questions_tell_connected_selected_trusted_established_and_communicating_apart() {
    let (mut client, mut server) = (End::new(whole(Active)), End::new(whole(Passive)));
    let questions = |end: &End| {
        let it = &end.machine;
        [it.is_connected(), it.is_selected(), it.is_trusted(), it.is_established(), it.is_communicating()]
    };
    assert_eq!(questions(&client), [false; 5]);
    client.link(NotSelected);
    assert_eq!(questions(&client), [true, false, false, false, false]);
    client.link(Selected);
    assert_eq!(questions(&client), [true, true, false, false, false]);
    server.link(Selected);
    settle(&mut client, &mut server);
    assert_eq!(questions(&client), [true; 5]);
    client.link(NotSelected);
    assert_eq!(questions(&client), [true, false, false, false, false]);
    let plain = begun(Passive);
    assert_eq!(questions(&plain), [true; 5]);
}

/// What a peer that has proven nothing sends reaches nothing, and is counted.
#[test]
fn before_trust_no_handler_and_no_inbox_sees_anything() {
    let mut server = End::new(whole(Passive));
    server.machine.handle_service(None, None, returns).unwrap();
    server.machine.handle_function(None, None, returns).unwrap();
    server.link(Selected);
    for (data_id, text) in [(7, service_text(7, Status::OKAY, None)), (0, b"?".to_vec())] {
        let answer = server.receives(64, 11, &text).unwrap();
        assert_eq!(answer.text, service_text(data_id, Status::AUTHENTICATION_REQUIRED, None));
    }
    let answer = server.receives(1, 13, b"\x01\x00").unwrap();
    assert!(answer.header.stream_function().is_abort());
    let one_way = Header::data(SystemBytes(5), StreamFunction::new(64, 31), false, SESSION);
    assert_eq!(server.primary(one_way, &service_text(7, Status::OKAY, None)), None);
    let alarm = Header::data(SystemBytes(6), StreamFunction::new(5, 1), false, SESSION);
    assert_eq!(server.primary(alarm, b"\x01\x00"), None);
    // A response that nobody waits for.
    server.replied(&Sent {
        header: Header::data(SystemBytes(7), StreamFunction::new(64, 12), false, SESSION),
        text: service_text(7, Status::OKAY, None),
    });
    server.replied(&Sent {
        header: Header::data(SystemBytes(8), StreamFunction::new(64, 12), false, SESSION),
        text: b"?".to_vec(),
    });
    assert_eq!((server.calls, server.machine.inbox().len(), server.machine.refused()), (0, 0, 7));
    assert_eq!(server.notices.len(), 7);
    assert!(server.notices.iter().all(|notice| matches!(notice, EndpointNotice::Refused { .. })));
}

#[test]
fn what_is_allowed_before_trust_flows_both_ways() {
    let mut before = BeforeTrust::new();
    before.allow_service(Some(ServiceId::READ), Some(7)).unwrap();
    before.allow_function(Some(1), Some(1)).unwrap();
    let allowing = |mode| {
        let settings = TrustSettings { automatic: false, ..TrustSettings::default() };
        let mut machine = plain(mode).with_secret(secret(), settings, challenge, before.clone());
        machine.services_mut().add_service(10, 11, "read", "response").unwrap();
        machine.handle_service(None, None, returns).unwrap();
        machine.handle_function(Some(1), None, returns).unwrap();
        End::new(machine)
    };
    let (mut client, mut server) = (allowing(Active), allowing(Passive));
    select(&mut client, &mut server);
    let tickets = [client.ask(ServiceId::READ, 7, None, 100), client.ask_function(1, 1, 100)];
    let waiting = [client.ask(ServiceId::READ, 8, None, 100), client.ask_function(1, 3, 100)];
    settle(&mut client, &mut server);
    for ticket in tickets {
        assert_eq!(client.outcome(ticket), Some(Ok(DATA.to_vec())));
    }
    client.at(100);
    for ticket in waiting {
        assert_eq!(client.outcome(ticket), Some(Err(SendError::NotSent(Waiting::Trust))));
    }
    assert_eq!((server.calls, server.machine.refused()), (2, 0));
}

#[test]
fn a_primary_allowed_before_trust_waits_for_communication_which_needs_s1f13_allowed_beside_it() {
    for beside in [false, true] {
        let communication = |begins, identity| {
            let communication = CommunicationSettings { begins, ..CommunicationSettings::new(identity) };
            EndpointSettings { communication: Some(communication), ..quiet(if begins { Active } else { Passive }) }
        };
        let mut before = BeforeTrust::new();
        before.allow_function(Some(2), Some(41)).unwrap();
        if beside {
            before.allow_function(Some(1), Some(13)).unwrap();
        }
        let machine = Endpoint::new(communication(false, Identity::Equipment { mdln: "", softrev: "" })).unwrap();
        let mut machine: Machine = machine.with_secret(secret(), TrustSettings::default(), challenge, before);
        machine.handle_function(None, None, returns).unwrap();
        let mut server = End::new(machine);
        // One that proves nothing.
        let mut client = End::new(Endpoint::new(communication(true, Identity::Host)).unwrap());
        select(&mut client, &mut server);
        let ticket = client.ask_function(2, 41, 100);
        settle(&mut client, &mut server);
        client.at(100);
        let outcome = if beside { Ok(DATA.to_vec()) } else { Err(SendError::NotSent(Waiting::Communication)) };
        assert_eq!(client.outcome(ticket), Some(outcome));
        assert_eq!((server.machine.is_trusted(), server.machine.refused()), (false, u32::from(!beside)));
        assert_eq!(server.calls, u32::from(beside));
    }
}

#[test]
fn the_deadline_of_a_sending_includes_waiting_for_selected_and_for_trust() {
    let mut client = End::new(guarded(Active));
    let early = client.ask(ServiceId::READ, 7, None, 500);
    let late = client.ask(ServiceId::READ, 7, None, 1_500);
    assert_eq!(client.machine.next_deadline(), Some(at(500)));
    client.at(499);
    assert_eq!(client.outcome(early), None);
    client.at(500);
    assert_eq!(client.outcome(early), Some(Err(SendError::NotConnected)));
    client.link(Selected);
    assert_eq!(client.machine.next_deadline(), Some(at(1_500)));
    client.next_is(64, 1);
    // The handshake stands still, and so has to do the sending.
    client.at(1_499);
    assert_eq!((client.outcome(late), client.sent.len()), (None, 0));
    client.at(1_500);
    assert_eq!(client.outcome(late), Some(Err(SendError::NotSent(Waiting::Trust))));
    assert_eq!(client.machine.next_deadline(), Some(at(2_500)));
}

#[test]
fn one_that_waited_long_for_trust_has_only_what_is_left_for_its_response() {
    let (mut client, mut server) = (End::new(guarded(Active)), End::new(guarded(Passive)));
    let ticket = client.ask(ServiceId::READ, 7, None, 1_000);
    client.at(900);
    server.at(900);
    select(&mut client, &mut server);
    // The server has no such service: the answer comes at once.
    assert_eq!(client.outcome(ticket), Some(Err(SendError::Status(Status::SERVICE_OR_DATA_UNKNOWN))));
    let ticket = client.ask(ServiceId::READ, 7, None, 1_000);
    client.next_is(64, 11);
    client.at(999);
    assert_eq!(client.outcome(ticket), None);
    client.at(1_000);
    assert_eq!(client.outcome(ticket), Some(Err(SendError::NoResponse)));
}

#[test]
fn secs2_primaries_wait_for_communication_and_service_requests_do_not() {
    let communication = Some(CommunicationSettings::new(Identity::Host));
    let mut host = End::new(Machine::new(EndpointSettings { communication, ..quiet(Active) }).unwrap());
    host.link(Selected);
    host.next_is(1, 13);
    let (function, service) = (host.ask_function(2, 41, 100), host.ask(ServiceId::READ, 7, None, 100));
    host.next_is(64, 11);
    assert!(host.sent.is_empty());
    host.at(100);
    assert_eq!(host.outcome(function), Some(Err(SendError::NotSent(Waiting::Communication))));
    assert_eq!(host.outcome(service), Some(Err(SendError::NoResponse)));
}

/// The rows of the outcomes of a sending. Each is met, and comes once.
#[test]
fn every_outcome_of_a_sending_is_its_own_error() {
    let ends = [
        (TransactionEnd::T3, SendError::T3, Fault::Peer),
        (
            TransactionEnd::Rejected(RejectReason::ENTITY_NOT_SELECTED),
            SendError::Rejected(RejectReason::ENTITY_NOT_SELECTED),
            Fault::Peer,
        ),
        (TransactionEnd::ReplyTooLong { length: 99 }, SendError::ReplyTooLong { length: 99 }, Fault::Capacity),
        (TransactionEnd::SessionEnded, SendError::LinkLost, Fault::Link),
    ];
    for (end, error, fault) in ends {
        let mut host = begun(Active);
        let ticket = host.ask(ServiceId::READ, 7, None, 100);
        let system = host.next().header.system;
        host.machine.ended(host.now, system, end);
        host.drain();
        assert_eq!((host.outcome(ticket), error.fault()), (Some(Err(error)), fault));
        assert_eq!(host.machine.next_deadline(), None);
    }
    for status in (1..=6).chain([7, 255]).map(Status) {
        let mut host = begun(Active);
        let ticket = host.ask(ServiceId::READ, 7, None, 100);
        let asked = host.next();
        host.answered(&asked, 12, &service_text(7, status, Some(DATA)));
        assert_eq!(host.outcome(ticket), Some(Err(SendError::Status(status))));
    }
    let mut host = begun(Active);
    let ticket = host.ask(ServiceId::READ, 7, None, 100);
    let asked = host.next();
    host.answered(&asked, 0, b"");
    assert_eq!(host.outcome(ticket), Some(Err(SendError::Aborted)));
    let ticket = host.ask(ServiceId::READ, 7, None, 100);
    let asked = host.next();
    host.answered(&asked, 12, b"\x01\x00");
    assert!(matches!(host.outcome(ticket), Some(Err(SendError::Malformed(_)))));
    let ticket = host.ask(ServiceId::READ, 7, None, 100);
    let asked = host.next();
    host.answered(&asked, 12, &service_text(8, Status::OKAY, None));
    assert_eq!(host.outcome(ticket), Some(Err(SendError::OtherDataId { data_id: 8 })));
    let ticket = host.ask(ServiceId::READ, 7, None, 100);
    let asked = host.next();
    host.answered(&asked, 12, &service_text(7, Status::OKAY, Some(DATA)));
    assert_eq!(host.outcome(ticket), Some(Ok(DATA.to_vec())));
    let (one_way, waiting) = (host.tell(ServiceId::READ, 7, 100), host.ask(ServiceId::READ, 7, None, 100));
    assert_eq!(host.outcome(one_way), Some(Ok(vec![])));
    host.link(NotConnected);
    assert_eq!(host.outcome(waiting), Some(Err(SendError::LinkLost)));
    let refused = hsms_core::Error::BodyTooLong(BodyTooLong { body_len: u32::MAX });
    let mut host = begun(Active);
    host.refuses = Some(refused);
    let ticket = host.ask(ServiceId::READ, 7, None, 100);
    assert_eq!(host.outcome(ticket), Some(Err(SendError::Refused(refused))));
}

#[test]
fn stream_9_about_the_very_message_ends_its_sending() {
    let kinds = [
        (1, Complaint::UnrecognizedDeviceId),
        (3, Complaint::UnrecognizedStream),
        (5, Complaint::UnrecognizedFunction),
        (7, Complaint::IllegalData),
        (11, Complaint::DataTooLong),
    ];
    for (function, complaint) in kinds {
        for service in [true, false] {
            let mut host = begun(Active);
            let ticket = match service {
                true => host.ask(ServiceId::READ, 7, None, 100),
                false => host.ask_function(2, 41, 100),
            };
            let header = host.next().header;
            // As to its system bytes alone it could be this one.
            let others = [
                Header::data(header.system, StreamFunction::new(6, 11), true, SESSION),
                Header::data(header.system, header.stream_function(), false, SESSION),
                header.with_session(hsms_core::wire::SessionId(8)),
                Header::data(SystemBytes(header.system.0 + 1), header.stream_function(), true, SESSION),
            ];
            for other in others {
                assert_eq!(s9(&mut host, function, &other), None);
                assert_eq!(host.outcome(ticket), None, "S9F{function} about {other}");
                assert_eq!(host.notices.pop(), Some(EndpointNotice::SystemError { complaint, about: other }));
            }
            s9(&mut host, function, &header);
            assert_eq!(host.outcome(ticket), Some(Err(SendError::SystemError(complaint))));
            assert_eq!(host.machine.next_deadline(), None);
        }
    }
    // S9F9 tells of a message of the equipment's own.
    let mut host = begun(Active);
    let ticket = host.ask(ServiceId::READ, 7, None, 100);
    let header = host.next().header;
    s9(&mut host, 9, &header);
    assert_eq!(host.outcome(ticket), None);
}

/// A peer that knows nothing of services: the handshake and the names end at once, not with T3.
#[test]
fn stream_9_about_messages_of_the_endpoints_own_ends_these() {
    let mut client = End::new(whole(Active));
    client.link(Selected);
    let waiting = client.ask(ServiceId::READ, 7, None, 9_000);
    let (name, seed) = (client.next_is(64, 9), client.next_is(64, 1));
    s9(&mut client, 3, &name.header);
    s9(&mut client, 3, &seed.header);
    let told =
        [EndpointNotice::NameFailed(NameError::Unanswered), EndpointNotice::TrustFailed(TrustFailure::Unanswered)];
    assert_eq!(client.notices, told);
    assert_eq!(client.outcome(waiting), Some(Err(SendError::NotTrusted(TrustFailure::Unanswered))));
    assert_eq!(client.machine.refused(), 0);
    // Nothing is open any more; what comes unproven is refused.
    s9(&mut client, 3, &seed.header);
    assert_eq!(client.machine.refused(), 1);
}

#[test]
fn what_is_not_the_applications_to_send_is_refused() {
    let mut machine = guarded(Active);
    let services = [ServiceId::AUTHENTICATION, ServiceId::CHANNEL_NAME, ServiceId::READ.response().unwrap()];
    for service in services {
        assert_eq!(machine.send(at(0), service, 0, true, at(1)), Err(SendError::NotPermitted));
    }
    for (stream, function) in [(0, 1), (1, 2), (128, 1), (64, 11)] {
        let what = StreamFunction { stream, function };
        assert_eq!(machine.send_function(at(0), what, true, at(1)), Err(SendError::NotPermitted));
    }
    assert_eq!(SendError::NotPermitted.fault(), Fault::Caller);
    assert!(plain(Active).send_function(at(0), StreamFunction::new(127, 1), true, at(1)).is_ok(), "the last stream");
    for mut machine in [plain(Active), guarded(Passive)] {
        assert_eq!(machine.authenticate(at(0), at(1)), Err(SendError::NotPermitted));
    }
    for _ in 0..4 {
        machine.send(at(0), ServiceId::READ, 0, true, at(1)).unwrap();
    }
    assert_eq!(machine.send(at(0), ServiceId::READ, 0, true, at(1)), Err(SendError::Full));
    let mut machine = guarded(Active);
    for _ in 0..4 {
        machine.authenticate(at(0), at(1)).unwrap();
    }
    assert_eq!(machine.authenticate(at(0), at(1)), Err(SendError::Full));
    assert_eq!(SendError::Full.fault(), Fault::Capacity);
}

#[test]
fn a_handshake_on_request_waits_for_selected_and_has_one_outcome() {
    let manual = TrustSettings { automatic: false, ..TrustSettings::default() };
    let mut client = End::new(plain(Active).with_secret(secret(), manual, challenge, BeforeTrust::new()));
    let mut server = End::new(guarded(Passive));
    let late = client.authenticate(50);
    client.at(50);
    assert_eq!(client.outcome(late), Some(Err(SendError::NotConnected)));
    select(&mut client, &mut server);
    assert!(!client.machine.is_trusted());
    let ticket = client.authenticate(100);
    settle(&mut client, &mut server);
    assert_eq!(client.outcome(ticket), Some(Ok(vec![])));
    assert!(client.machine.is_established() && server.machine.is_established());
    let again = client.authenticate(100);
    assert_eq!((client.outcome(again), client.sent.len()), (Some(Ok(vec![])), 0));

    let other = Secret::new(b"another secret!!").unwrap();
    let mut client = End::new(plain(Active).with_secret(other, manual, challenge, BeforeTrust::new()));
    let mut server = End::new(guarded(Passive));
    let (ticket, waiting) = (client.authenticate(100), client.ask(ServiceId::READ, 7, None, 100));
    select(&mut client, &mut server);
    let refused = TrustFailure::Refused(Status::OPERATION_NOT_PERMITTED);
    assert_eq!(client.outcome(ticket), Some(Err(SendError::NotTrusted(refused))));
    assert_eq!(client.outcome(waiting), Some(Err(SendError::NotTrusted(refused))));
    assert_eq!(server.notices, [EndpointNotice::TrustFailed(TrustFailure::WrongProof)]);
}

#[test]
fn a_handshake_that_stands_still_ends_and_the_next_sending_begins_another() {
    let mut client = End::new(guarded(Active));
    client.link(Selected);
    let first = client.next_is(64, 1);
    client.at(2_000);
    assert_eq!(client.notices, [EndpointNotice::TrustFailed(TrustFailure::TimedOut)]);
    assert_eq!(client.machine.next_deadline(), None);
    // Its answer is none any more.
    client.answered(&first, 2, b"\x01\x00");
    assert_eq!(client.machine.trust_state(), Some(TrustState::Untrusted));
    let ticket = client.ask(ServiceId::READ, 7, None, 3_000);
    let seed = client.next_is(64, 1);
    let mut server = End::new(guarded(Passive));
    server.link(Selected);
    let reply = server.primary(seed.header, &seed.text).unwrap();
    client.replied(&reply);
    settle(&mut client, &mut server);
    assert_eq!(client.outcome(ticket), Some(Err(SendError::Status(Status::SERVICE_OR_DATA_UNKNOWN))));
}

#[test]
fn the_end_of_the_link_ends_what_was_sent_and_keeps_what_waits() {
    let (mut client, mut server) = (End::new(guarded(Active)), End::new(guarded(Passive)));
    select(&mut client, &mut server);
    let sent = client.ask(ServiceId::READ, 7, None, 9_000);
    client.link(NotConnected);
    assert_eq!(client.outcome(sent), Some(Err(SendError::LinkLost)));
    assert_eq!(client.machine.trust_state(), Some(TrustState::Untrusted));
    client.sent.clear();
    let waiting = client.ask(ServiceId::READ, 7, None, 9_000);
    assert!(client.sent.is_empty());
    server.link(NotConnected);
    assert_eq!(server.machine.trust_state(), Some(TrustState::Untrusted));
    select(&mut client, &mut server);
    assert_eq!(client.outcome(waiting), Some(Err(SendError::Status(Status::SERVICE_OR_DATA_UNKNOWN))));
}

#[test]
fn a_connection_without_room_is_asked_again_when_something_has_happened() {
    let full = Some(hsms_core::Error::TransactionsFull { open: 4 });
    let mut client = End::new(whole(Active));
    client.refuses = full;
    let ticket = client.ask(ServiceId::READ, 7, None, 100);
    client.link(Selected);
    assert!(client.sent.is_empty());
    client.refuses = None;
    client.at(1);
    client.next_is(64, 9);
    client.next_is(64, 1);
    client.at(100);
    assert_eq!(client.outcome(ticket), Some(Err(SendError::NotSent(Waiting::Trust))));
    let mut host = begun(Active);
    host.refuses = full;
    let ticket = host.ask(ServiceId::READ, 7, None, 100);
    host.at(100);
    assert_eq!(host.outcome(ticket), Some(Err(SendError::NotSent(Waiting::Room))));
    // Of somebody else's transactions only the owner knows.
    let ticket = host.ask(ServiceId::READ, 7, None, 200);
    host.refuses = None;
    host.drain();
    assert!(host.sent.is_empty());
    host.machine.retry();
    host.drain();
    let asked = host.next_is(64, 11);
    host.answered(&asked, 12, &service_text(7, Status::OKAY, None));
    assert_eq!(host.outcome(ticket), Some(Ok(vec![])));
}

#[test]
fn a_reply_that_found_no_room_ends_what_it_answers_and_nothing_else() {
    let mut host = begun(Active);
    let tickets = [7, 8].map(|data_id| host.ask(ServiceId::READ, data_id, None, 100));
    let [lost, _] = [host.next(), host.next()];
    host.machine.reply_dropped(host.now, lost.header.system);
    host.drain();
    assert_eq!(host.outcome(tickets[0]), Some(Err(SendError::ReplyDropped)));
    assert_eq!(SendError::ReplyDropped.fault(), Fault::Capacity);
    assert_eq!(host.outcome(tickets[1]), None);
    // Of the endpoint's own requests.
    let mut client = End::new(whole(Active));
    client.link(Selected);
    let name = client.next_is(64, 9);
    client.machine.reply_dropped(client.now, name.header.system);
    client.drain();
    assert_eq!(client.notices, [EndpointNotice::NameFailed(NameError::Unanswered)]);
}

#[test]
fn a_handler_for_whose_call_or_answer_there_is_no_room_is_answered_for_as_the_full_inbox_is() {
    let service = ServiceId::READ.response().unwrap();
    let answer = |registered| Answer { to: token(), service, data_id: 7, registered };
    let expected = |status| ServiceMessage::new(service, 7, status, None);
    assert_eq!(answer(true).no_room(), expected(Status::INBOX_FULL));
    assert_eq!(answer(false).no_room(), expected(Status::SERVICE_OR_DATA_UNKNOWN));
}

#[test]
fn a_message_that_was_on_its_way_out_when_the_link_ended_is_told_lost() {
    let mut machine = plain(Active);
    machine.link(at(0), Selected);
    let ticket = machine.send(at(0), ServiceId::READ, 7, true, at(100)).unwrap();
    let Some(EndpointAction::Send { what, .. }) = machine.poll_action() else { panic!() };
    machine.link(at(1), NotConnected);
    machine.link(at(2), Selected);
    machine.sent(&what, SystemBytes(1));
    let outcome = Err(SendError::LinkLost);
    assert_eq!(machine.poll_action(), Some(EndpointAction::Settled { ticket, outcome }));
    assert_eq!(machine.poll_action(), None);
}

#[test]
fn reconnect_asks_once_for_the_link_to_be_dropped_and_sends_nothing_over_it() {
    let mut client = begun(Active);
    assert!(client.machine.is_established());
    client.machine.reconnect();
    assert!(client.machine.is_selected() && !client.machine.is_established());
    client.drain();
    client.machine.reconnect();
    assert!(client.machine.is_selected() && !client.machine.is_established());
    let ticket = client.ask(ServiceId::READ, 7, None, 100);
    assert_eq!((client.drops, client.sent.len()), (1, 0));
    client.link(NotConnected);
    client.link(Selected);
    client.next_is(64, 11);
    assert!(client.machine.is_established());
    assert_eq!(client.outcome(ticket), None);
    client.link(NotConnected);
    client.machine.reconnect();
    client.drain();
    assert_eq!(client.drops, 1);
}

/// The peer deselects before the link is dropped, and nobody drops it then.
#[test]
fn a_selection_behind_one_that_was_to_be_dropped_is_used() {
    let mut client = begun(Active);
    client.machine.reconnect();
    client.drain();
    assert_eq!(client.drops, 1);
    client.link(NotSelected);
    client.link(Selected);
    let ticket = client.ask(ServiceId::READ, 7, None, 100);
    client.next_is(64, 11);
    assert!(client.machine.is_established());
    assert_eq!(client.outcome(ticket), None);
    client.machine.reconnect();
    client.drain();
    assert_eq!(client.drops, 2);
}

/// It was handed out while the handshake went on, and the connection has taken it only now.
#[test]
fn a_request_of_a_handshake_that_has_ended_meanwhile_is_no_failure_of_another() {
    let mut client = End::new(guarded(Active));
    client.machine.link(at(0), Selected);
    let Some(EndpointAction::Send { what, .. }) = client.machine.poll_action() else { panic!("it begins") };
    client.at(2_000);
    assert_eq!(client.notices, [EndpointNotice::TrustFailed(TrustFailure::TimedOut)]);
    client.machine.sent(&what, SystemBytes(77));
    let asked = Header::data(SystemBytes(77), StreamFunction::new(64, 1), true, SESSION);
    client.answered(&Sent { header: asked, text: Vec::new() }, 2, &service_text(0, Status::OKAY, None));
    assert_eq!(
        client.notices.get(1..),
        Some(
            &[EndpointNotice::Unawaited {
                header: Header::data(SystemBytes(77), StreamFunction::new(64, 2), false, SESSION),
            }][..]
        )
    );
    assert_eq!(client.machine.trust_state(), Some(TrustState::Untrusted));
}

/// A peer that was trusted, and asks out of turn, is no more: it is not told who this is.
#[test]
fn communication_is_tried_again_only_with_trust() {
    let machine = |begins| {
        let communication = CommunicationSettings { begins, ..CommunicationSettings::new(TOOL) };
        let settings = EndpointSettings { communication: Some(communication), ..quiet(Passive) };
        let machine = Machine::new(settings).unwrap();
        End::new(machine.with_secret(secret(), TrustSettings::default(), challenge, BeforeTrust::new()))
    };
    for loses in [false, true] {
        let (mut client, mut server) = (End::new(guarded(Active)), machine(true));
        select(&mut client, &mut server);
        assert!(server.machine.is_trusted() && !server.machine.is_communicating());
        server.sent.clear();
        if loses {
            let key = written(|text| ServiceMessage::new(ServiceId::AUTHENTICATION, 1, Status::OKAY, None).write(text));
            let _ = server.receives(64, 1, &key);
            assert!(!server.machine.is_trusted());
        }
        for second in 1..=600 {
            server.at(second * 1_000);
        }
        let tries = server.sent.iter().filter(|sent| sent.header.stream_function() == StreamFunction::new(1, 13));
        assert_eq!(tries.count() == 0, loses);
    }
}

#[test]
fn secs2_primaries_without_handler_are_answered_by_policy() {
    for (system_errors, abort) in [(false, false), (false, true), (true, false), (true, true)] {
        let unhandled = UnhandledPolicy { system_errors, abort };
        let mut machine = Machine::new(EndpointSettings { unhandled, ..quiet(Passive) }).unwrap();
        machine.handle_function(Some(2), Some(41), returns).unwrap();
        let mut tool = End::new(machine);
        tool.link(Selected);
        for (stream, error) in [(2, Stream9::UnrecognizedFunction), (7, Stream9::UnrecognizedStream)] {
            let answer = tool.receives(stream, 43, b"");
            assert_eq!(answer.is_some_and(|answer| answer.header.stream_function().is_abort()), abort);
            assert_eq!(tool.reports.pop().map(|(error, _)| error), system_errors.then_some(error));
            assert!(matches!(tool.notices.pop(), Some(EndpointNotice::Unhandled { .. })));
        }
        assert_eq!(tool.receives(2, 41, b"").map(|answer| answer.text), Some(DATA.to_vec()));
    }
}

/// What log lines say.
#[test]
fn what_is_noticed_is_printed_with_names() {
    let mut machine = plain(Passive);
    let services = machine.services_mut();
    let read = services.add_service(10, 11, "read", "read response").unwrap().request();
    services.add_data(read, 7, "temperature").unwrap();
    services.add_status(Status(9), "sensor broken").unwrap();
    services.add_function(2, 41, "remote command").unwrap();
    let header = |stream, function| Header::data(SystemBytes(1), StreamFunction::new(stream, function), true, SESSION);
    let names = |notice| {
        let (plain, printed) = (EndpointNotice::to_string(&notice), machine.describe_notice(notice).to_string());
        printed.strip_prefix(&plain).unwrap().to_owned()
    };
    assert_eq!(names(EndpointNotice::Kept { service: read, data_id: 7 }), " (read) (temperature)");
    let not_kept = EndpointNotice::NotKept { header: header(64, 11), status: Status(9) };
    assert_eq!(names(not_kept), " (read) (sensor broken)");
    broken_off_at_every_octet(&machine.describe_notice(not_kept));
    let remote = header(2, 41);
    for notice in [
        EndpointNotice::Refused { header: remote },
        EndpointNotice::Discarded { header: remote },
        EndpointNotice::Unhandled { header: remote },
        EndpointNotice::IllegalData { header: remote, error: Error { offset: 0, kind: ErrorKind::NoItem } },
        EndpointNotice::Unawaited { header: remote },
        EndpointNotice::SystemError { complaint: Complaint::IllegalData, about: remote },
    ] {
        assert_eq!(names(notice), " (remote command)");
    }
    // What the peer answers to a handshake or a request for names has a status. Those that have a number for a name have it already.
    for refused in [Status(9), Status::OPERATION_NOT_PERMITTED] {
        let name = if refused == Status(9) { " (sensor broken)" } else { "" };
        assert_eq!(names(EndpointNotice::NameFailed(NameError::Refused(refused))), name);
        assert_eq!(names(EndpointNotice::TrustFailed(TrustFailure::Refused(refused))), name);
    }
    assert_eq!(names(EndpointNotice::NotKept { header: header(3, 1), status: Status::INBOX_FULL }), "");
    // Of what has none, and of what is about no message.
    assert_eq!(names(EndpointNotice::Unhandled { header: header(3, 1) }), "");
    assert_eq!(names(EndpointNotice::Communicating), "");
}

#[test]
fn what_is_noticed_is_a_warning_where_something_is_not_as_it_should_be() {
    let named = |differ| EndpointNotice::Named { differ };
    let about = Header::data(SystemBytes(1), StreamFunction::new(2, 41), true, SESSION);
    for (mode, notice, warns) in [
        (Passive, named(true), true),
        (Passive, named(false), false),
        (Active, named(true), false),
        (Active, named(false), false),
        (Active, EndpointNotice::Communicating, false),
        (Active, EndpointNotice::Kept { service: ServiceId::READ, data_id: 7 }, false),
        (Active, EndpointNotice::Trusted, false),
        (Active, EndpointNotice::Discarded { header: about }, true),
    ] {
        assert_eq!(plain(mode).describe_notice(notice).is_warning(), warns, "{mode:?}: {notice}");
    }
}

#[test]
fn a_message_of_a_service_is_read_as_one_and_no_other_is() {
    let machine = plain(Active);
    let text = written(|text| ServiceMessage::new(ServiceId::READ, 7, Status::OKAY, None).write(text));
    let header = |stream, function| Header::data(SystemBytes(1), StreamFunction::new(stream, function), true, SESSION);
    let read = machine.message(&header(64, 11), &text);
    assert_eq!(read.map(|message| message.map(|message| message.data_id())), Some(Ok(7)));
    assert!(machine.message(&header(64, 11), b"?").is_some_and(|message| message.is_err()));
    assert_eq!(machine.message(&header(2, 41), &text), None);
}

#[test]
fn why_a_sending_failed_is_printed_with_the_name_of_the_status() {
    let mut machine = plain(Passive);
    machine.services_mut().add_status(Status(9), "sensor broken").unwrap();
    machine.services_mut().add_status(Status::CALLBACK_ERROR, "jammed").unwrap();
    let refused = |status| SendError::NotTrusted(TrustFailure::Refused(status));
    for (error, printed) in [
        (SendError::Status(Status(9)), "status 9 (sensor broken)"),
        (SendError::Status(Status::CALLBACK_ERROR), "status 2 (callback error) (jammed)"),
        (SendError::Status(Status::INBOX_FULL), "status 255 (inbox full)"),
        (SendError::Status(Status(10)), "status 10"),
        (refused(Status(9)), "no trust: the server answered with status 9 (sensor broken)"),
        (SendError::LinkLost, "the link ended before the response"),
    ] {
        assert_eq!(machine.describe_error(error).to_string(), printed);
    }
    broken_off_at_every_octet(&machine.describe_error(refused(Status(9))));
}

/// On another stream 64 is one like others.
#[test]
fn services_on_another_stream_are_there_and_nowhere_else() {
    let machine = |mode| {
        let name = if mode == Active { "client" } else { "server" };
        let mut machine = Machine::new(EndpointSettings { stream: 70, name: Some(name), ..settings(mode) }).unwrap();
        let read = machine.services_mut().add_service(10, 11, "read", "read response").unwrap().request();
        machine.services_mut().add_data(read, 7, "temperature").unwrap();
        machine.handle_service(None, None, returns).unwrap();
        machine.handle_function(Some(64), Some(11), returns).unwrap();
        End::new(machine.with_secret(secret(), TrustSettings::default(), challenge, BeforeTrust::new()))
    };
    let (mut client, mut server) = (machine(Active), machine(Passive));
    server.link(Selected);
    client.link(Selected);
    // The name and the handshake are there.
    assert!(client.sent.iter().all(|sent| sent.header.stream() == 70) && !client.sent.is_empty());
    settle(&mut client, &mut server);
    assert!(client.machine.is_trusted() && server.machine.is_trusted());
    assert_eq!(client.machine.name(), Some("client"));
    let ticket = client.ask(ServiceId::READ, 7, None, 100);
    let asked = client.next_is(70, 11);
    let answer = server.primary(asked.header, &asked.text).unwrap();
    assert_eq!(answer.header.stream_function(), StreamFunction::new(70, 12));
    client.replied(&answer);
    assert_eq!(client.outcome(ticket), Some(Ok(DATA.to_vec())));
    // No service message: what the handler returns is the whole text.
    assert_eq!(server.receives(64, 11, b"").unwrap().text, DATA);
    assert_eq!(server.calls, 2);
}

#[test]
fn texts_of_s1f13_that_cannot_be_read_are_illegal_data() {
    let communication = Some(CommunicationSettings { begins: false, ..CommunicationSettings::new(TOOL) });
    let unhandled = UnhandledPolicy { system_errors: true, abort: true };
    let mut tool = End::new(Machine::new(EndpointSettings { communication, unhandled, ..quiet(Passive) }).unwrap());
    tool.link(Selected);
    let answer = tool.receives(1, 13, b"\x01\x01\x41\x00").unwrap();
    assert!(answer.header.stream_function().is_abort());
    assert_eq!(tool.reports.len(), 1);
    assert!(matches!(tool.notices[..], [EndpointNotice::IllegalData { .. }]));
    assert_eq!(tool.receives(2, 41, b""), None);
    assert!(matches!(tool.notices.pop(), Some(EndpointNotice::Discarded { .. })));
    tool.machine.accept_communication(false);
    assert_eq!(tool.receives(1, 13, b"\x01\x00").unwrap().text[4], 1);
    tool.machine.accept_communication(true);
    assert_eq!(tool.receives(1, 13, b"\x01\x00").unwrap().text[4], 0);
    assert!(tool.machine.is_communicating());
}

#[test]
fn s1f13_that_is_denied_or_not_answered_is_sent_again() {
    let communication = Some(CommunicationSettings::new(Identity::Host));
    let mut host = End::new(Machine::new(EndpointSettings { communication, ..quiet(Active) }).unwrap());
    host.link(Selected);
    let first = host.next_is(1, 13);
    host.machine.ended(host.now, first.header.system, TransactionEnd::T3);
    host.drain();
    assert!(matches!(host.notices[..], [EndpointNotice::CommunicationFailed(_)]));
    assert_eq!(host.machine.next_deadline(), Some(at(10_000)));
    host.at(10_000);
    let second = host.next_is(1, 13);
    host.answered(&second, 14, b"\x01\x02\x21\x01\x00\x01\x02\x41\x00\x41\x00");
    assert!(host.machine.is_communicating());
}

#[test]
fn a_response_after_its_own_deadline_goes_to_the_inbox_or_to_a_handler() {
    let mut host = begun(Active);
    host.machine.services_mut().add_service(10, 11, "read", "response").unwrap();
    host.machine.services_mut().add_data(ServiceId::READ, 7, "temperature").unwrap();
    let ticket = host.ask(ServiceId::READ, 7, None, 100);
    let asked = host.next();
    host.at(100);
    assert_eq!(host.outcome(ticket), Some(Err(SendError::NoResponse)));
    host.answered(&asked, 12, &service_text(7, Status::OKAY, Some(DATA)));
    let response = ServiceId::READ.response().unwrap();
    assert_eq!(host.notices, [EndpointNotice::Kept { service: response, data_id: 7 }]);
    let kept = host.machine.take(Some(response), None, |kept| kept.message().unwrap().data().map(<[u8]>::to_vec));
    assert_eq!(kept, Some(Some(DATA.to_vec())));
    host.machine.handle_service(Some(response), None, returns).unwrap();
    let ticket = host.ask(ServiceId::READ, 7, None, 100);
    let asked = host.next();
    assert!(host.machine.cancel(ticket) && !host.machine.cancel(ticket));
    host.answered(&asked, 12, &service_text(7, Status::OKAY, Some(DATA)));
    assert_eq!((host.calls, host.settled.len()), (1, 0));
}

#[test]
fn a_request_without_a_handler_is_told_as_kept_or_as_not_kept() {
    let mut host = begun(Active);
    let read = host.machine.services_mut().add_service(10, 11, "read", "read response").unwrap().request();
    host.machine.services_mut().add_data(read, 7, "temperature").unwrap();
    let answer = host.receives(64, 11, &service_text(7, Status::OKAY, None)).unwrap();
    assert_eq!(answer.text, service_text(7, Status::BUFFERING_UNHANDLED_REQUEST, None));
    assert_eq!(host.notices, [EndpointNotice::Kept { service: read, data_id: 7 }]);
    host.notices.clear();
    host.receives(64, 11, &service_text(8, Status::OKAY, None)).unwrap();
    assert!(matches!(host.notices[..], [EndpointNotice::NotKept { .. }]), "{:?}", host.notices);
}

#[test]
fn failures_beyond_the_limit_are_told_at_once() {
    let settings = TrustSettings {
        failures: std::num::NonZeroU8::MIN,
        within: Duration::from_secs(60),
        ..TrustSettings::default()
    };
    let other = Secret::new(b"another secret!!").unwrap();
    let mut client = End::new(plain(Active).with_secret(other, settings, challenge, BeforeTrust::new()));
    let mut server = End::new(guarded(Passive));
    select(&mut client, &mut server);
    assert_eq!(client.notices.len(), 1);
    let ticket = client.ask(ServiceId::READ, 7, None, 1_000);
    assert_eq!(client.outcome(ticket), Some(Err(SendError::NotTrusted(TrustFailure::TooManyFailures))));
    client.at(60_000);
    client.ask(ServiceId::READ, 7, None, 61_000);
    client.next_is(64, 1);
}

#[test]
fn an_endpoint_takes_a_stream_of_the_users_and_a_name_of_ascii() {
    for stream in 0..=255 {
        let made = Endpoint::<u8>::new(EndpointSettings { stream, ..settings(Active) });
        let expected = if (64..=127).contains(&stream) { None } else { Some(EndpointError::Stream { stream }) };
        assert_eq!(made.err(), expected);
    }
    let made = Endpoint::<u8>::new(EndpointSettings { name: Some("é"), ..settings(Active) });
    assert_eq!(made.err(), Some(EndpointError::Name(NameError::NotPrintable)));
}
