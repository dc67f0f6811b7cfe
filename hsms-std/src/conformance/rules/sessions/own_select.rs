//! Select.req of the subject's own (E37.2 7.2, E37 7.2.1, 7.2.3).

use crate::conformance::{
    Applies, Bench, Command, DATA, HIGH, Line, NOBODY, Outcome, Report, Rule, SHARED, TESTER, THEIRS, TOP, Timer,
};
use hsms_core::connection::{CloseReason, ControlRequest, SessionEnd, SessionRefusal};
use hsms_core::wire::{Header, RejectReason, SType, SelectStatus, SessionId};

pub(in super::super) const RULES: &[Rule] = &[
    Rule {
        id: "E37.2-7.2/send",
        duty: "Either side sends Select.req with the id of the entity, while NOT SELECTED and while SELECTED; until it is answered \
               nothing changes.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/sessions.rs: select_session",
        test: sends,
    },
    Rule {
        id: "E37.2-7.2/wanted",
        duty: "A side that is set to use an entity sends Select.req for it as soon as it is connected, on every connection.",
        applies: Applies::GS.active(),
        place: "hsms-core/src/connection/sessions.rs: begin_sessions",
        test: wanted,
    },
    Rule {
        id: "E37.2-7.2.1/0",
        duty: "With status 0 its session is selected: the application is told, and data behind the response is taken.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: select_rsp",
        test: succeeds,
    },
    Rule {
        id: "E37.2-7.2.1/refused",
        duty: "With any other status nothing changes: the application is told the status, the connection and its other sessions go \
               on, and the session can be asked for again.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: select_rsp",
        test: is_refused,
    },
    Rule {
        id: "E37.2-7.2.1/rejected",
        duty: "A Reject.req about its Select.req, whatever the reason, is a refusal: nothing else changes.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: reject",
        test: is_rejected,
    },
    Rule {
        id: "E37.2-7.2.1/T6",
        duty: "A Select.req for a session that is not answered within T6 ends the connection, also where it is SELECTED.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/output.rs: each_timer",
        test: t6,
    },
    Rule {
        id: "E37-9.3.1/each",
        duty: "Each open request has its own T6: the answer to one does not stop that of another.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/output.rs: each_timer",
        test: t6_each,
    },
    Rule {
        id: "E37-9.3.2",
        duty: "Requests for several sessions are open at once; each response belongs to the one with its system bytes, in any order.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/input.rs: match_control",
        test: several,
    },
    Rule {
        id: "E37.2-7.2.1/id",
        duty: "A response is taken by its system bytes, where the peer did not repeat the session id as well.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/sessions.rs: judge_session",
        test: by_system_bytes,
    },
    Rule {
        id: "E37-7.2.3/same",
        duty: "Where both ends send Select.req for the same session, the peer's is answered with status 0 and selects it; the response \
               to its own then changes nothing, whatever its status.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: select_req",
        test: simultaneous,
    },
    Rule {
        id: "E37-7.2.3/not-offered",
        duty: "Where both ends send Select.req for the same session at once, the peer's is accepted also where the entity is not offered \
               to it otherwise.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: select_req",
        test: simultaneous_not_offered,
    },
    Rule {
        id: "E37-7.2.3/other",
        duty: "Where both ends send Select.req for different sessions at once, each goes its own way.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/sessions.rs: begin_session",
        test: crossing,
    },
    Rule {
        id: "E37.2-7.2.1/moot",
        duty: "Where the session began and ended otherwise while its Select.req was open, the late response does not select it again.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/session.rs: make_request_moot",
        test: moot,
    },
    Rule {
        id: "E37.2-7.2/own-list",
        duty: "It asks for no session that is selected already or is in no list of its own.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/sessions.rs: select_session",
        test: does_not_ask,
    },
    Rule {
        id: "E37.2-7.2/one",
        duty: "It has at most one request open about each session.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/sessions.rs: request_session",
        test: one_at_a_time,
    },
];

fn response(system: hsms_core::wire::SystemBytes, session: SessionId) -> Header {
    Header::select_rsp(system).with_session(session)
}

fn sends(bench: &mut dyn Bench) -> Outcome {
    bench.begin_without_session()?;
    for session in [SHARED, HIGH, THEIRS] {
        let system = bench.asks_select(session)?;
        bench.lacks_session(session)?;
        bench.send(response(system, session))?;
        bench.told(&[Report::SessionSelected(session)])?;
    }
    Ok(())
}

fn wanted(bench: &mut dyn Bench) -> Outcome {
    bench.begin()?;
    for _ in 0..2 {
        // It reads the Select.req.
        let select = bench.not_selected()?;
        bench.become_selected(select)?;
        bench.stays_selected()?;
        bench.shut(Line::First);
        bench.told(&[Report::Closed(CloseReason::TransportClosed)])?;
    }
    Ok(())
}

fn succeeds(bench: &mut dyn Bench) -> Outcome {
    bench.begin_without_session()?;
    for session in [THEIRS, HIGH] {
        let system = bench.asks_select(session)?;
        bench.send(response(system, session))?;
        bench.stays_selected_in(session)?;
        bench.told(&[Report::SessionSelected(session)])?;
    }
    Ok(())
}

fn is_refused(bench: &mut dyn Bench) -> Outcome {
    for others in [&[][..], &[HIGH]] {
        bench.begin_sessions(others)?;
        for status in bench.some(1..=u8::MAX).into_iter().map(SelectStatus) {
            let system = bench.asks_select(SHARED)?;
            bench.send(response(system, SHARED).with_status(status.0))?;
            bench.told(&[Report::SessionRefused(SHARED, SessionRefusal::Select(status))])?;
        }
        bench.lacks_session(SHARED)?;
        others.iter().try_for_each(|other| bench.stays_selected_in(*other))?;
    }
    Ok(())
}

fn is_rejected(bench: &mut dyn Bench) -> Outcome {
    for others in [&[][..], &[HIGH]] {
        bench.begin_sessions(others)?;
        for reason in bench.some(1..=u8::MAX).into_iter().map(RejectReason) {
            let system = bench.asks_select(SHARED)?;
            let octet = if reason == RejectReason::PTYPE_NOT_SUPPORTED { 0 } else { SType::SELECT_REQ.0 };
            bench.send(Header::reject_req(system, octet, reason).with_session(SHARED))?;
            bench.told(&[Report::SessionRefused(SHARED, SessionRefusal::SelectRejected(reason))])?;
        }
        bench.lacks_session(SHARED)?;
        others.iter().try_for_each(|other| bench.stays_selected_in(*other))?;
    }
    Ok(())
}

fn t6(bench: &mut dyn Bench) -> Outcome {
    for others in [&[][..], &[HIGH]] {
        for (wait, in_time) in bench.around(Timer::T6) {
            let t6 = bench.begin_timed(Timer::T6)?;
            let select = bench.not_selected()?;
            bench.refuse_wanted(select)?;
            others.iter().try_for_each(|other| bench.select_session(*other))?;
            let since = bench.now();
            let system = bench.asks_select(SHARED)?;
            if in_time {
                bench.quiet(wait)?;
                bench.send(response(system, SHARED))?;
                bench.told(&[Report::SessionSelected(SHARED)])?;
            } else {
                bench.closed_at(since, t6)?;
                bench.told(&[Report::Closed(CloseReason::T6(ControlRequest::Select))])?;
            }
        }
    }
    Ok(())
}

fn t6_each(bench: &mut dyn Bench) -> Outcome {
    let t6 = bench.begin_timed(Timer::T6)?;
    let select = bench.not_selected()?;
    bench.refuse_wanted(select)?;
    let [(in_time, _), _] = bench.around(Timer::T6);
    let first = bench.asks_select(SHARED)?;
    bench.quiet(in_time)?;
    let since = bench.now();
    bench.asks_select(HIGH)?;
    bench.send(response(first, SHARED))?;
    bench.told(&[Report::SessionSelected(SHARED)])?;
    bench.closed_at(since, t6)?;
    bench.told(&[Report::Closed(CloseReason::T6(ControlRequest::Select))])
}

fn several(bench: &mut dyn Bench) -> Outcome {
    bench.begin_without_session()?;
    let (first, second, third) = (bench.asks_select(SHARED)?, bench.asks_select(HIGH)?, bench.asks_select(TOP)?);
    bench.send(response(third, TOP))?;
    bench.told(&[Report::SessionSelected(TOP)])?;
    bench.send(response(first, SHARED).with_status(SelectStatus::ENTITY_IN_USE.0))?;
    bench.told(&[Report::SessionRefused(SHARED, SessionRefusal::Select(SelectStatus::ENTITY_IN_USE))])?;
    bench.send(response(second, HIGH))?;
    bench.told(&[Report::SessionSelected(HIGH)])?;
    bench.stays_selected_in(TOP)?;
    bench.stays_selected_in(HIGH)?;
    bench.lacks_session(SHARED)
}

fn by_system_bytes(bench: &mut dyn Bench) -> Outcome {
    bench.begin_without_session()?;
    for other in [SessionId::CONTROL, NOBODY, HIGH] {
        let system = bench.asks_select(SHARED)?;
        bench.send(response(system, other))?;
        bench.told(&[Report::SessionSelected(SHARED)])?;
        bench.stays_selected_in(SHARED)?;
        let system = bench.asks_deselect(SHARED)?;
        bench.send(Header::deselect_rsp(system).with_session(other))?;
        bench.told(&[Report::SessionEnded(SHARED, SessionEnd::Deselected)])?;
        bench.lacks_session(SHARED)?;
    }
    Ok(())
}

fn simultaneous(bench: &mut dyn Bench) -> Outcome {
    for status in bench.some(0..=u8::MAX) {
        bench.begin_without_session()?;
        let system = bench.asks_select(SHARED)?;
        bench.select_session(SHARED)?;
        bench.send(response(system, SHARED).with_status(status))?;
        bench.stays_selected_in(SHARED)?;
        bench.told(&[])?;
    }
    Ok(())
}

fn simultaneous_not_offered(bench: &mut dyn Bench) -> Outcome {
    bench.begin_without_session()?;
    bench.is_refused(THEIRS, SelectStatus::NO_SUCH_ENTITY)?;
    let system = bench.asks_select(THEIRS)?;
    bench.select_session(THEIRS)?;
    bench.send(response(system, THEIRS))?;
    bench.stays_selected_in(THEIRS)
}

fn crossing(bench: &mut dyn Bench) -> Outcome {
    bench.begin_without_session()?;
    let system = bench.asks_select(SHARED)?;
    bench.select_session(HIGH)?;
    bench.lacks_session(SHARED)?;
    bench.send(response(system, SHARED))?;
    bench.told(&[Report::SessionSelected(SHARED)])?;
    bench.stays_selected_in(SHARED)?;
    bench.stays_selected_in(HIGH)
}

fn moot(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[HIGH])?;
    let system = bench.asks_select(SHARED)?;
    bench.select_session(SHARED)?;
    super::separate(bench, SHARED)?;
    bench.send(response(system, SHARED))?;
    bench.told(&[])?;
    bench.lacks_session(SHARED)
}

fn does_not_ask(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[SHARED])?;
    bench.sends_nothing(Command::SelectSession(SHARED))?;
    for session in [NOBODY, SessionId::CONTROL] {
        bench.will_not(Command::SelectSession(session))?;
    }
    bench.told(&[])
}

fn one_at_a_time(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[DATA])?;
    bench.asks_select(SHARED)?;
    bench.sends_nothing(Command::SelectSession(SHARED))?;
    bench.asks_deselect(DATA)?;
    bench.will_not(Command::DeselectSession(DATA))?;
    // Of another session there can be one.
    bench.asks_select(HIGH)?;
    bench.send(Header::linktest_req(TESTER))?;
    bench.expect(Header::linktest_rsp(TESTER))
}
