//! What happens between a message being handed out and the word that it has been sent, or was refused: each sending has its one outcome
//! all the same, and what has ended is not begun again.

use super::kit::*;
use hsms_core::Error;
use hsms_core::config::ConnectMode::{Active, Passive};
use hsms_core::connection::State::{NotConnected, NotSelected, Selected};
use hsms_core::connection::TransactionEnd;
use hsms_core::secs2::messages::Identity;
use hsms_core::services::{
    BeforeTrust, CommunicationSettings, Done, EndpointAction, EndpointNotice, EndpointSettings, NameError, Outgoing,
    OwnMessage, Reaction, SendError, ServiceId, ServiceMessage, Status, Ticket, TrustFailure, TrustSettings,
    TrustState, Waiting,
};
use hsms_core::wire::{BodyTooLong, Header, StreamFunction, SystemBytes};

const FULL: Error = Error::TransactionsFull { open: 4 };
const REFUSED: Error = Error::BodyTooLong(BodyTooLong { body_len: u32::MAX });

type Word = fn(&mut Machine, &Outgoing<'_>);

/// What the connection may say of what was handed out to it.
const WORDS: [Word; 3] = [
    |machine, what| machine.sent(what, SystemBytes(1)),
    |machine, what| machine.not_sent(at(50), what, FULL),
    |machine, what| machine.not_sent(at(50), what, REFUSED),
];

/// A request, or a message that expects no reply, that has been handed out.
fn handed(reply_expected: bool) -> (Machine, Ticket, Outgoing<'static>) {
    let mut machine = plain(Active);
    machine.link(at(0), Selected);
    let ticket = machine.send(at(0), ServiceId::READ, 7, reply_expected, at(100)).unwrap();
    let what = take(&mut machine);
    assert_eq!(what, Outgoing::Application(ticket));
    (machine, ticket, what)
}

fn take(machine: &mut Machine) -> Outgoing<'static> {
    match machine.poll_action() {
        Some(EndpointAction::Send { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

fn settled(ticket: Ticket, outcome: Result<Done, SendError>) -> Option<EndpointAction<'static>> {
    Some(EndpointAction::Settled { ticket, outcome })
}

#[test]
fn of_a_sending_that_was_cancelled_on_its_way_out_nothing_is_told() {
    for word in WORDS {
        let (mut machine, ticket, what) = handed(true);
        assert!(machine.cancel(ticket));
        word(&mut machine, &what);
        machine.retry();
        assert_eq!((machine.poll_action(), machine.next_deadline()), (None, None));
    }
    // Its response is one that nobody awaits.
    let (mut machine, ticket, what) = handed(true);
    assert!(machine.cancel(ticket));
    machine.sent(&what, SystemBytes(1));
    let header = Header::data(SystemBytes(1), StreamFunction::new(64, 12), false, SESSION);
    let _ = machine.reply(at(1), &header, &service_text(7, Status::OKAY, None));
    let status = Status::SERVICE_OR_DATA_UNKNOWN;
    assert_eq!(machine.poll_action(), Some(EndpointAction::Notify(EndpointNotice::NotKept { header, status })));
}

#[test]
fn a_sending_whose_deadline_came_on_its_way_out_has_no_second_outcome() {
    for word in WORDS {
        for polled in [false, true] {
            let (mut machine, ticket, what) = handed(true);
            machine.handle_timeout(at(100));
            let outcome = settled(ticket, Err(SendError::NoResponse));
            if polled {
                assert_eq!(machine.poll_action(), outcome);
                word(&mut machine, &what);
            } else {
                word(&mut machine, &what);
                assert_eq!(machine.poll_action(), outcome);
            }
            machine.retry();
            assert_eq!((machine.poll_action(), machine.next_deadline()), (None, None));
        }
    }
}

#[test]
fn a_message_that_was_on_its_way_out_when_the_link_ended_is_lost_with_or_without_another() {
    for again in [false, true] {
        for (reply_expected, outcome) in [(true, Err(SendError::LinkLost)), (false, Ok(Done::Sent))] {
            let (mut machine, ticket, what) = handed(reply_expected);
            machine.link(at(1), NotConnected);
            if again {
                machine.link(at(2), Selected);
            }
            machine.sent(&what, SystemBytes(1));
            assert_eq!(machine.poll_action(), settled(ticket, outcome));
            assert_eq!(machine.poll_action(), None);
        }
    }
    // Refused as the link ended, it waits for the next one.
    let (mut machine, ticket, what) = handed(true);
    machine.link(at(1), NotConnected);
    machine.not_sent(at(1), &what, Error::NotConnected);
    assert_eq!(machine.poll_action(), None);
    machine.link(at(2), Selected);
    assert_eq!(take(&mut machine), Outgoing::Application(ticket));
}

#[test]
fn the_first_outcome_counts_where_the_deadline_comes_before_it_is_asked_for() {
    let (mut machine, ticket, what) = handed(true);
    machine.sent(&what, SystemBytes(1));
    machine.ended(at(99), SystemBytes(1), TransactionEnd::T3);
    machine.handle_timeout(at(100));
    assert_eq!(machine.poll_action(), settled(ticket, Err(SendError::T3)));
    // And where its transaction ends, or the link, behind it.
    let (mut machine, ticket, what) = handed(true);
    machine.sent(&what, SystemBytes(1));
    machine.handle_timeout(at(100));
    machine.ended(at(101), SystemBytes(1), TransactionEnd::T3);
    machine.link(at(102), NotConnected);
    assert_eq!(machine.poll_action(), settled(ticket, Err(SendError::NoResponse)));
    assert_eq!(machine.poll_action(), None);
}

#[test]
fn a_name_that_finds_no_room_goes_out_later_unless_the_selection_ends_before() {
    for ends in [false, true] {
        let mut machine = Machine::new(settings(Active)).unwrap();
        machine.link(at(0), Selected);
        let what = take(&mut machine);
        if ends {
            machine.link(at(1), NotSelected);
        }
        machine.not_sent(at(1), &what, FULL);
        machine.retry();
        if ends {
            assert_eq!(machine.poll_action(), None);
            machine.link(at(2), Selected);
        }
        assert_eq!(take(&mut machine), what);
        assert_eq!(machine.poll_action(), None);
    }
}

#[test]
fn messages_of_the_endpoints_own_that_are_refused_for_good_are_told_failed() {
    let client = Machine::new(settings(Active)).unwrap();
    let mut client = client.with_secret(secret(), TrustSettings::default(), challenge, BeforeTrust::new());
    client.link(at(0), Selected);
    let waiting = client.send(at(0), ServiceId::READ, 7, true, at(9_000)).unwrap();
    let mut told = Vec::new();
    for _ in 0..10 {
        match client.poll_action() {
            Some(EndpointAction::Send { what, .. }) => client.not_sent(at(0), &what, REFUSED),
            Some(action) => told.push(action),
            None => break,
        }
    }
    let failure = TrustFailure::Unanswered;
    assert_eq!(
        told,
        [
            EndpointAction::Notify(EndpointNotice::NameFailed(NameError::Unanswered)),
            EndpointAction::Notify(EndpointNotice::TrustFailed(failure)),
            EndpointAction::Settled { ticket: waiting, outcome: Err(SendError::NotTrusted(failure)) },
        ]
    );
    assert_eq!((client.trust_state(), client.next_deadline()), (Some(TrustState::Untrusted), None));
}

#[test]
fn s1f13_that_was_refused_is_followed_by_the_next_after_the_delay() {
    for error in [FULL, REFUSED] {
        let communication = Some(CommunicationSettings::new(Identity::Host));
        let mut host = Machine::new(EndpointSettings { communication, ..quiet(Active) }).unwrap();
        host.link(at(0), Selected);
        let first = take(&mut host);
        host.not_sent(at(0), &first, error);
        host.retry();
        assert_eq!((host.poll_action(), host.next_deadline()), (None, Some(at(10_000))));
        host.handle_timeout(at(10_000));
        assert_eq!(take(&mut host), first);
    }
}

#[test]
fn each_request_of_a_handshake_that_finds_no_room_goes_out_later_unless_the_handshake_has_ended() {
    for proof in [false, true] {
        for ends in [false, true] {
            let (mut client, mut server) = (End::new(guarded(Active)), End::new(guarded(Passive)));
            server.link(Selected);
            client.refuses = Some(REFUSED);
            client.machine.link(at(0), Selected);
            let mut what = take(&mut client.machine);
            if proof {
                let text = |machine: &Machine| match what {
                    Outgoing::Own(message) => written(|text| machine.write(&message, text)),
                    Outgoing::Application(_) => panic!(),
                };
                let header = Header::data(SystemBytes(1), StreamFunction::new(64, 1), true, SESSION);
                let reply = server.primary(header, &text(&client.machine)).unwrap();
                client.machine.sent(&what, SystemBytes(1));
                let _ = client.machine.reply(at(0), &reply.header, &reply.text);
                what = take(&mut client.machine);
            }
            assert_eq!(
                client.machine.trust_state(),
                Some(if proof { TrustState::KeySent } else { TrustState::SeedRequested })
            );
            if ends {
                client.machine.handle_timeout(at(2_000));
                let told = EndpointNotice::TrustFailed(TrustFailure::TimedOut);
                assert_eq!(client.machine.poll_action(), Some(EndpointAction::Notify(told)));
            }
            client.machine.not_sent(at(2_000), &what, FULL);
            client.machine.retry();
            if ends {
                // Neither is it told failed a second time.
                client.machine.not_sent(at(2_000), &what, REFUSED);
                assert_eq!((client.machine.poll_action(), client.machine.next_deadline()), (None, None));
            } else {
                assert_eq!(take(&mut client.machine), what);
            }
        }
    }
}

#[test]
fn what_an_end_has_not_asked_to_be_sent_changes_nothing_when_it_is_told_sent() {
    let communication = CommunicationSettings::new(Identity::Host);
    let mut whole = Machine::new(EndpointSettings { communication: Some(communication), ..settings(Active) }).unwrap();
    whole.link(at(0), Selected);
    let (name, establish) = (take(&mut whole), take(&mut whole));
    let mut client = guarded(Active);
    client.link(at(0), Selected);
    let seed = take(&mut client);
    let status = Outgoing::Own(OwnMessage::Status { data_id: 7, status: Status::OKAY });
    let mut machine = plain(Active);
    machine.link(at(0), Selected);
    for (what, system) in [name, establish, seed, status].iter().zip((1..).map(SystemBytes)) {
        machine.sent(what, system);
        machine.ended(at(0), system, TransactionEnd::T3);
        assert_eq!((machine.poll_action(), machine.next_deadline()), (None, None), "{what:?}");
    }
    // Nor what has nobody to begin it again when it is told not sent.
    for what in [establish, seed, status] {
        for error in [FULL, REFUSED] {
            machine.not_sent(at(0), &what, error);
            machine.retry();
            assert_eq!((machine.poll_action(), machine.next_deadline()), (None, None), "{what:?}");
        }
    }
}

/// It is told too late that the request for a name went out, over a link that has ended: in the next selection nothing answers it.
#[test]
fn a_name_that_went_out_before_a_selection_is_not_waited_for_in_it() {
    let header = Header::data(SystemBytes(1), StreamFunction::new(64, 10), false, SESSION);
    let text = written(|text| ServiceMessage::new(ServiceId::CHANNEL_NAME, 0, Status::OKAY, None).write(text));
    for answered in [false, true] {
        let mut client = Machine::new(settings(Active)).unwrap();
        client.link(at(0), Selected);
        let name = take(&mut client);
        client.link(at(1), NotConnected);
        client.sent(&name, SystemBytes(1));
        client.link(at(2), Selected);
        if answered {
            assert!(matches!(client.reply(at(2), &header, &text), Reaction::None));
        } else {
            client.ended(at(2), SystemBytes(1), TransactionEnd::SessionEnded);
        }
        // Its own name goes out, and nothing has been told.
        assert_eq!((take(&mut client), client.poll_action()), (name, None));
    }
}

#[test]
fn a_handshake_that_ends_changes_no_outcome_and_nothing_that_does_not_wait_for_it() {
    let mut before = BeforeTrust::new();
    before.allow_service(Some(ServiceId::READ), None).unwrap();
    let mut client = plain(Active).with_secret(secret(), TrustSettings::default(), challenge, before);
    client.link(at(0), Selected);
    let seed = take(&mut client);
    client.sent(&seed, SystemBytes(1));
    let over = client.authenticate(at(0), at(50)).unwrap();
    client.handle_timeout(at(50));
    // It finds no room, and waits for that alone.
    let waiting = client.send(at(50), ServiceId::READ, 7, true, at(9_000)).unwrap();
    let needs_trust = client.send(at(50), ServiceId::WRITE, 7, true, at(9_000)).unwrap();
    assert_eq!(client.poll_action(), settled(over, Err(SendError::NotSent(Waiting::Trust))));
    let over = client.authenticate(at(50), at(60)).unwrap();
    let read = take(&mut client);
    assert_eq!(read, Outgoing::Application(waiting));
    client.not_sent(at(50), &read, FULL);
    client.handle_timeout(at(60));
    client.handle_timeout(at(2_000));
    let failure = TrustFailure::TimedOut;
    assert_eq!(client.poll_action(), Some(EndpointAction::Notify(EndpointNotice::TrustFailed(failure))));
    assert_eq!(client.poll_action(), settled(needs_trust, Err(SendError::NotTrusted(failure))));
    assert_eq!(client.poll_action(), settled(over, Err(SendError::NotSent(Waiting::Trust))));
    assert_eq!(take(&mut client), read);
}
