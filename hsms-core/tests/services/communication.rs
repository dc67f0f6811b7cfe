//! Establishing communication with S1F13 and S1F14, as GEM does it.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use hsms_core::secs2::messages::{EstablishAck, Identity};
use hsms_core::secs2::{Slice, Writer};
use hsms_core::services::{
    Communication, CommunicationFailure, CommunicationMessage, CommunicationSettings, CommunicationState,
    CommunicationVerdict,
};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};

const TOOL: Identity<'_> = Identity::Equipment { mdln: "ETCHER", softrev: "1.0" };

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn header(system: u32, stream: u8, function: u8) -> Header {
    Header::data(SystemBytes(system), StreamFunction::new(stream, function), function % 2 == 1, SessionId(1))
}

fn text(message: &CommunicationMessage<'_>) -> Vec<u8> {
    let mut octets = [0; 64];
    let mut text = Writer::new(Slice::new(&mut octets));
    message.write(&mut text).unwrap();
    text.finish().unwrap().written().to_vec()
}

fn host() -> Communication<'static> {
    Communication::new(CommunicationSettings::new(Identity::Host))
}

fn equipment(begins: bool) -> Communication<'static> {
    Communication::new(CommunicationSettings { begins, ..CommunicationSettings::new(TOOL) })
}

fn ack(commack: u8, identity: Identity<'_>) -> CommunicationMessage<'_> {
    CommunicationMessage::EstablishAck(EstablishAck { commack, identity })
}

/// For calls whose outcome is looked at in the state alone.
fn ignore<T>(_: T) {}

/// Our S1F13 goes out.
fn begin<'a>(end: &mut Communication<'a>, system: u32) -> CommunicationMessage<'a> {
    let message = end.selected(at(0)).expect("it begins");
    end.sent(SystemBytes(system));
    assert_eq!(end.state(), CommunicationState::WaitingForS1F14);
    message
}

#[test]
fn either_end_may_begin_and_the_answer_establishes_communication() {
    for host_begins in [true, false] {
        let mut waiting = if host_begins {
            equipment(false)
        } else {
            Communication::new(CommunicationSettings { begins: false, ..CommunicationSettings::new(Identity::Host) })
        };
        let mut first = if host_begins { host() } else { equipment(true) };
        let own = if host_begins { Identity::Host } else { TOOL };
        let other = if host_begins { TOOL } else { Identity::Host };
        let message = begin(&mut first, 5);
        assert_eq!(message.stream_function(), StreamFunction::new(1, 13));
        assert_eq!(message, CommunicationMessage::Establish(own));
        assert_eq!(waiting.selected(at(0)), None);
        assert_eq!(waiting.state(), CommunicationState::NotCommunicating);
        let verdict = waiting.handle_primary(at(0), &header(5, 1, 13), &text(&message), true);
        assert_eq!(verdict, CommunicationVerdict::Reply(ack(0, other)));
        assert!(waiting.is_established());
        let answer = ack(0, other);
        assert_eq!(answer.stream_function(), StreamFunction::new(1, 14));
        assert_eq!(first.handle_reply(at(0), &header(5, 1, 14), &text(&answer)), Ok(true));
        assert!(first.is_established());
        assert_eq!(first.next_deadline(), None);
    }
}

#[test]
fn where_both_begin_either_answer_will_do_and_the_other_changes_nothing() {
    let (mut host, mut tool) = (host(), equipment(true));
    let (from_host, from_tool) = (text(&begin(&mut host, 1)), text(&begin(&mut tool, 1)));
    assert_eq!(
        tool.handle_primary(at(0), &header(1, 1, 13), &from_host, true),
        CommunicationVerdict::Reply(ack(0, TOOL))
    );
    assert_eq!(
        host.handle_primary(at(0), &header(1, 1, 13), &from_tool, true),
        CommunicationVerdict::Reply(ack(0, Identity::Host))
    );
    assert!(host.is_established() && tool.is_established());
    // The answers to each one's own: one accepted, one denied.
    assert_eq!(host.handle_reply(at(1), &header(1, 1, 14), &text(&ack(0, TOOL))), Ok(false));
    assert_eq!(tool.handle_reply(at(1), &header(1, 1, 14), &text(&ack(1, Identity::Host))), Ok(false));
    assert!(host.is_established() && tool.is_established());
    assert_eq!((host.next_deadline(), tool.next_deadline()), (None, None));
}

#[test]
fn a_refusal_and_every_failure_is_followed_by_another_attempt_after_the_delay() {
    let denied = text(&ack(1, TOOL));
    let cases: [(u8, &[u8], CommunicationFailure); 2] =
        [(14, &denied, CommunicationFailure::Denied { commack: 1 }), (0, b"", CommunicationFailure::Aborted)];
    let mut end = host();
    begin(&mut end, 1);
    let mut now = 0;
    for (function, answer, failure) in cases {
        assert_eq!(end.handle_reply(at(now), &header(1, 1, function), answer), Err(failure));
        assert_eq!(end.state(), CommunicationState::WaitingToRetry);
        assert_eq!(end.next_deadline(), Some(at(now + 10_000)));
        assert_eq!(end.handle_timeout(at(now + 9_999)), None);
        now += 10_000;
        assert_eq!(end.handle_timeout(at(now)), Some(CommunicationMessage::Establish(Identity::Host)));
        end.sent(SystemBytes(1));
        assert_eq!((end.state(), end.next_deadline()), (CommunicationState::WaitingForS1F14, None));
    }
    let failure = end.handle_reply(at(now), &header(1, 1, 14), b"\x01\x01\x21\x01\x00").unwrap_err();
    assert!(matches!(failure, CommunicationFailure::IllegalData(_)), "{failure:?}");
    assert!(end.handle_timeout(at(now + 10_000)).is_some());
    end.sent(SystemBytes(2));
    assert_eq!(end.unanswered(at(now + 55_000), SystemBytes(1)), None);
    assert_eq!(end.unanswered(at(now + 55_000), SystemBytes(2)), Some(CommunicationFailure::Unanswered));
    assert_eq!(end.next_deadline(), Some(at(now + 65_000)));
}

#[test]
fn an_application_that_denies_answers_with_commack_1_and_stays_as_it_is() {
    let mut tool = equipment(false);
    assert_eq!(tool.selected(at(0)), None);
    let request = text(&CommunicationMessage::Establish(Identity::Host));
    let verdict = tool.handle_primary(at(0), &header(1, 1, 13), &request, false);
    assert_eq!(verdict, CommunicationVerdict::Reply(ack(1, TOOL)));
    assert_eq!(tool.state(), CommunicationState::NotCommunicating);
    let _ = tool.handle_primary(at(0), &header(2, 1, 13), &request, true);
    // A host that has restarted asks again.
    let verdict = tool.handle_primary(at(0), &header(3, 1, 13), &request, false);
    assert_eq!(verdict, CommunicationVerdict::Reply(ack(0, TOOL)));
    assert!(tool.is_established());
}

#[test]
fn before_communication_is_established_everything_but_s1f13_is_discarded() {
    let mut tool = equipment(true);
    begin(&mut tool, 1);
    for (stream, function) in [(1, 1), (2, 41), (6, 11)] {
        let verdict = tool.handle_primary(at(0), &header(9, stream, function), b"", true);
        assert_eq!(verdict, CommunicationVerdict::Discard);
    }
    assert_eq!(tool.handle_primary(at(0), &header(9, 9, 5), b"", true), CommunicationVerdict::Pass);
    // While it waits to try again, a message shows that the peer is there.
    assert_eq!(tool.unanswered(at(0), SystemBytes(1)), Some(CommunicationFailure::Unanswered));
    let verdict = tool.handle_primary(at(1_000), &header(9, 1, 1), b"", true);
    assert_eq!(verdict, CommunicationVerdict::DiscardAndSend(CommunicationMessage::Establish(TOOL)));
    assert_eq!((tool.state(), tool.next_deadline()), (CommunicationState::WaitingToRetry, Some(at(11_000))));
    tool.sent(SystemBytes(2));
    assert_eq!((tool.state(), tool.next_deadline()), (CommunicationState::WaitingForS1F14, None));
}

#[test]
fn s1f13_of_the_peer_ends_the_wait_for_the_next_attempt() {
    let mut tool = equipment(true);
    begin(&mut tool, 1);
    let _ = tool.unanswered(at(0), SystemBytes(1));
    let request = text(&CommunicationMessage::Establish(Identity::Host));
    let _ = tool.handle_primary(at(0), &header(9, 1, 13), &request, true);
    assert_eq!((tool.state(), tool.next_deadline()), (CommunicationState::Communicating, None));
    assert_eq!(tool.handle_timeout(at(20_000)), None);
}

#[test]
fn while_communicating_s1f1_is_answered_with_s1f2_and_the_rest_is_the_applications() {
    let mut tool = equipment(false);
    tool.selected(at(0));
    let _ = tool.handle_primary(at(0), &header(1, 1, 13), b"\x01\x00", true);
    let verdict = tool.handle_primary(at(0), &header(2, 1, 1), b"", true);
    assert_eq!(verdict, CommunicationVerdict::Reply(CommunicationMessage::Identity(TOOL)));
    let answer = CommunicationMessage::Identity(TOOL);
    assert_eq!(answer.stream_function(), StreamFunction::new(1, 2));
    assert_eq!(text(&answer), b"\x01\x02\x41\x06ETCHER\x41\x031.0");
    assert_eq!(tool.handle_primary(at(0), &header(3, 2, 41), b"\x01\x00", true), CommunicationVerdict::Pass);
}

#[test]
fn texts_that_are_not_those_of_the_messages_are_illegal_data() {
    let mut tool = equipment(false);
    tool.selected(at(0));
    let verdict = tool.handle_primary(at(0), &header(1, 1, 13), b"\x01\x01\x41\x00", true);
    assert!(matches!(verdict, CommunicationVerdict::IllegalData(_)), "{verdict:?}");
    assert_eq!(tool.state(), CommunicationState::NotCommunicating);
    let _ = tool.handle_primary(at(0), &header(1, 1, 13), b"\x01\x00", true);
    let verdict = tool.handle_primary(at(0), &header(1, 1, 1), b"\x01\x00", true);
    assert!(matches!(verdict, CommunicationVerdict::IllegalData(_)), "{verdict:?}");
    assert!(tool.is_established());
}

/// Output without room, the connection about to end: nobody tells of it, and the next attempt comes all the same.
#[test]
fn where_s1f13_could_not_be_sent_the_next_one_follows_after_the_delay() {
    let mut end = host();
    assert!(end.selected(at(0)).is_some());
    assert_eq!((end.state(), end.next_deadline()), (CommunicationState::WaitingToRetry, Some(at(10_000))));
    assert_eq!(end.handle_timeout(at(10_000)), Some(CommunicationMessage::Establish(Identity::Host)));
    assert_eq!((end.state(), end.next_deadline()), (CommunicationState::WaitingToRetry, Some(at(20_000))));
    assert!(end.handle_timeout(at(20_000)).is_some());
    end.sent(SystemBytes(3));
    assert_eq!((end.state(), end.next_deadline()), (CommunicationState::WaitingForS1F14, None));
    assert_eq!(end.handle_reply(at(20_001), &header(3, 1, 14), &text(&ack(0, TOOL))), Ok(true));
}

/// Every state that any order of calls can reach, some of which went out and some of which did not.
#[test]
fn until_communication_is_established_a_request_is_open_or_there_is_a_deadline() {
    type Call = fn(&mut Communication<'static>);
    const ESTABLISHES: [u8; 2] = [1, 0];
    let calls: [Call; 15] = [
        |end| ignore(end.selected(at(0))),
        |end| end.lost(),
        |end| end.sent(SystemBytes(1)),
        |end| end.sent(SystemBytes(2)),
        |end| ignore(end.handle_reply(at(0), &header(1, 1, 14), &text(&ack(0, TOOL)))),
        |end| ignore(end.handle_reply(at(0), &header(1, 1, 14), &text(&ack(1, TOOL)))),
        |end| ignore(end.handle_reply(at(0), &header(2, 1, 14), b"?")),
        |end| ignore(end.handle_reply(at(0), &header(2, 1, 0), b"")),
        |end| ignore(end.unanswered(at(0), SystemBytes(1))),
        |end| ignore(end.unanswered(at(0), SystemBytes(2))),
        |end| ignore(end.handle_primary(at(0), &header(9, 1, 13), &ESTABLISHES, true)),
        |end| ignore(end.handle_primary(at(0), &header(9, 1, 13), &ESTABLISHES, false)),
        |end| ignore(end.handle_primary(at(0), &header(9, 6, 11), b"", true)),
        |end| ignore(end.handle_primary(at(0), &header(9, 9, 5), b"", true)),
        |end| ignore(end.handle_timeout(at(10_000))),
    ];
    for begins in [false, true] {
        let mut known = HashSet::from([equipment(begins)]);
        let mut open: Vec<_> = known.iter().cloned().collect();
        let mut met = BTreeSet::new();
        while let Some(end) = open.pop() {
            met.insert(end.state());
            let deadline = end.next_deadline();
            match end.state() {
                CommunicationState::NotCommunicating | CommunicationState::Communicating => assert_eq!(deadline, None),
                CommunicationState::WaitingToRetry => assert!(deadline.is_some(), "{end:?}"),
                CommunicationState::WaitingForS1F14 => {
                    // One request is open: its end is told, and from there on there is a deadline.
                    assert_eq!(deadline, None);
                    let ended = [1, 2].map(|system| {
                        let mut end = end.clone();
                        end.unanswered(at(0), SystemBytes(system)).is_some() && end.next_deadline().is_some()
                    });
                    assert!(ended[0] != ended[1], "{end:?}");
                }
            }
            for call in calls {
                let mut next = end.clone();
                call(&mut next);
                if known.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
        println!(
            "communication: {} states where it {} itself",
            known.len(),
            if begins { "begins" } else { "does not begin" }
        );
        assert_eq!(met.len(), if begins { 4 } else { 2 });
    }
}

#[test]
fn the_delay_is_held_in_its_range() {
    let (shortest, longest) = (CommunicationSettings::MIN_RETRY_DELAY, CommunicationSettings::MAX_RETRY_DELAY);
    let nearly = Duration::from_millis(1);
    let rows = [
        (Duration::ZERO, shortest),
        (shortest - nearly, shortest),
        (shortest, shortest),
        (shortest + nearly, shortest + nearly),
        (longest - nearly, longest - nearly),
        (longest, longest),
        (longest + nearly, longest),
        (Duration::MAX, longest),
    ];
    for (retry_delay, expected) in rows {
        let settings = CommunicationSettings { retry_delay, ..CommunicationSettings::new(Identity::Host) };
        let mut end = Communication::new(settings);
        let _ = end.selected(at(0));
        assert_eq!(end.next_deadline(), Some(at(0).saturating_add(expected)), "{retry_delay:?}");
    }
}

#[test]
fn the_end_of_the_link_ends_communication_and_selection_begins_it_anew() {
    let mut end = host();
    begin(&mut end, 1);
    assert_eq!(end.handle_reply(at(0), &header(1, 1, 14), &text(&ack(0, TOOL))), Ok(true));
    end.lost();
    assert_eq!(end.state(), CommunicationState::NotCommunicating);
    begin(&mut end, 7);
    end.lost();
    // What was open is no longer.
    assert_eq!(end.handle_reply(at(0), &header(7, 1, 14), &text(&ack(0, TOOL))), Ok(false));
    assert_eq!(end.unanswered(at(0), SystemBytes(7)), None);
    assert_eq!(end.next_deadline(), None);
    // What went out over it as it ended is not waited for either.
    end.sent(SystemBytes(8));
    begin(&mut end, 9);
    assert_eq!(end.unanswered(at(0), SystemBytes(8)), None);
    assert_eq!(end.state(), CommunicationState::WaitingForS1F14);
}

#[test]
fn states_are_printed_in_words() {
    let states = [
        (CommunicationState::NotCommunicating, "not communicating"),
        (CommunicationState::WaitingForS1F14, "waiting for S1F14"),
        (CommunicationState::WaitingToRetry, "waiting to retry"),
        (CommunicationState::Communicating, "communicating"),
    ];
    for (state, name) in states {
        assert_eq!(state.to_string(), name);
    }
}
