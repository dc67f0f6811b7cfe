//! The transition table as a whole. What each cell does is tested through the public methods, in `tests/cells`.

mod table;

use super::transition::{
    Answer, Cause, Course, Matched, NOTHING, Next, Place, Received, Report, Situation, Step, happened, is_plain_data,
    is_plain_linktest, received, too_long,
};
use super::{Class, CloseReason, ControlRequest, MOST_ACTIONS, State};
use crate::wire::{Header, Kind, PType, SType, SessionId, SystemBytes};
use std::vec::Vec;

/// Every situation that the table can be asked about.
fn situations() -> Vec<Situation> {
    let mut all = Vec::new();
    for state in [State::NotSelected, State::Selected] {
        for bits in 0..16u8 {
            let bit = |n: u8| bits & (1 << n) != 0;
            all.push(Situation { state, active: bit(0), equipment: bit(1), strict: bit(2), refusing: bit(3) });
        }
    }
    all
}

/// Every message that the table can tell apart, times status, reason, stream and function values that matter.
fn messages() -> Vec<Received> {
    let mut all = Vec::new();
    let matches = [
        Matched::Nothing,
        Matched::Ended,
        Matched::Control(ControlRequest::Select),
        Matched::Control(ControlRequest::Linktest),
        Matched::Reply,
        Matched::Primary,
    ];
    for stype in 0..=11u8 {
        for ptype in [0, 1, 255] {
            for (byte2, byte3) in [(0x81, 1), (1, 2), (1, 0), (9, 1), (9, 0), (0, 0), (0, 1), (0, 3), (0, 200), (5, 4)]
            {
                for session in [0xFFFF, 0, 0x8001] {
                    for body_len in [0, 1, 64, 65, 4_000_000_000] {
                        for matched in matches {
                            for bits in 0..4u8 {
                                let header = Header {
                                    session: SessionId(session),
                                    byte2,
                                    byte3,
                                    ptype: PType(ptype),
                                    stype: SType(stype),
                                    system: SystemBytes(1),
                                };
                                all.push(Received {
                                    kind: header.kind(),
                                    session: header.session,
                                    ptype: header.ptype,
                                    stype: header.stype,
                                    body_len,
                                    matched,
                                    known_device: bits & 1 != 0,
                                    direction_bit: bits & 2 != 0,
                                });
                            }
                        }
                    }
                }
            }
        }
    }
    all
}

/// How many actions carrying out this step makes. An answered linktest is told of, and that it was extended.
fn actions(step: &Step) -> usize {
    let reports = match step.report {
        Report::None => 0,
        Report::ControlAnswered => 2,
        Report::Ended(_) | Report::StrayReject => 1,
    };
    // An answered Select.req is told of by what follows from it.
    let selects = step.report == Report::ControlAnswered && step.next == Next::Selected;
    reports - usize::from(selects)
        + usize::from(step.answer != Answer::None)
        + usize::from(step.lenient.is_some())
        + usize::from(step.next != Next::Stay)
}

#[test]
fn no_message_makes_more_actions_than_there_is_room_for() {
    let mut most = 0;
    for at in situations() {
        for message in messages() {
            let step = received(at, &message);
            most = most.max(actions(&step));
            for (length, skip_limit) in [(1_000, 2_000), (3_000, 2_000)] {
                let mut step = NOTHING;
                too_long(&mut step, at, &message, length, 500, skip_limit);
                most = most.max(actions(&step));
            }
        }
    }
    assert_eq!(most, MOST_ACTIONS);
}

#[test]
fn the_short_cuts_are_what_the_table_says() {
    let (mut primaries, mut replies, mut linktests) = (0, 0, 0);
    for at in situations() {
        for message in messages().into_iter().filter(|message| message.known_device && !message.direction_bit) {
            let step = received(at, &message);
            let header = match message.kind {
                Ok(Kind::Data { stream_function, reply_expected }) => {
                    Header::data(SystemBytes(1), stream_function, reply_expected, message.session)
                }
                Ok(Kind::LinktestReq) => Header::linktest_req(SystemBytes(1)),
                _ => continue,
            };
            let rest = (step.lenient, step.report, step.next);
            if is_plain_data(at.state, &header) {
                let class = match (header.stream_function().is_primary(), message.matched) {
                    (true, _) => Class::Primary,
                    (false, Matched::Reply) => Class::Reply,
                    (false, _) => continue,
                };
                assert_eq!((step.class, step.answer), (class, Answer::None));
                assert_eq!(rest, (None, Report::None, Next::Stay));
                *if class == Class::Primary { &mut primaries } else { &mut replies } += 1;
            }
            if is_plain_linktest(at.state, &header) && message.body_len == 0 {
                assert_eq!((step.class, step.answer), (Class::Control, Answer::Linktest));
                assert_eq!(rest, (None, Report::None, Next::Stay));
                linktests += 1;
            }
        }
    }
    assert!(primaries > 0 && replies > 0 && linktests > 0);
}

#[test]
fn rejects_are_never_answered_and_requests_never_rejected_as_orphans() {
    for at in situations() {
        for message in messages() {
            let step = received(at, &message);
            if message.ptype == PType::SECS_II && message.stype == SType::REJECT_REQ {
                assert_eq!(step.answer, Answer::None, "{at:?} {message:?}");
            }
            if let Answer::Reject(reason) = step.answer {
                assert_eq!(step.class, Class::Rejected(reason));
                assert_ne!(reason.0, 0);
            }
        }
    }
}

#[test]
fn only_a_select_leads_to_selected_and_only_while_not_selected() {
    for at in situations() {
        for message in messages() {
            let step = received(at, &message);
            if step.next == Next::Selected {
                assert_eq!(at.state, State::NotSelected);
                assert!(!at.refusing || message.stype == SType::SELECT_RSP);
                assert!(matches!(message.stype, SType::SELECT_REQ | SType::SELECT_RSP), "{message:?}");
                assert_eq!(message.body_len, 0);
            }
            if matches!(step.class, Class::Primary | Class::Reply) {
                assert_eq!(at.state, State::Selected, "{message:?}");
            }
        }
    }
}

#[test]
fn what_happens_outside_is_refused_where_it_cannot_be() {
    let places = [Place::Disabled, Place::Waiting, Place::Opening, Place::NotSelected, Place::Selected];
    let broken = Cause::Broken(CloseReason::T7);
    for at in places {
        let connected = matches!(at, Place::NotSelected | Place::Selected);
        for (active, on_connect) in [(true, true), (true, false), (false, true), (false, false)] {
            let course = |cause| happened(at, active, on_connect, false, cause);
            assert_eq!(course(Cause::Opened) == Course::Refuse, at != Place::Opening);
            assert_eq!(course(Cause::OpenFailed) == Course::Refuse, at != Place::Opening);
            assert_eq!(course(broken) == Course::Refuse, !connected);
            assert_eq!(course(Cause::Separate) == Course::Refuse, !connected);
            assert_ne!(course(Cause::Enable), Course::Refuse);
            assert_ne!(course(Cause::Disable), Course::Refuse);
            if let Course::Close { farewell, .. } = course(Cause::Disable) {
                assert_eq!(farewell, at == Place::Selected);
            }
            if at == Place::Opening {
                let select = active && on_connect;
                assert_eq!(course(Cause::Opened), Course::Connected { t7: !select, select });
            }
        }
    }
}
