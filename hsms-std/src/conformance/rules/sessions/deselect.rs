//! Deselect (E37.2 7.4, E37 7.4).

use crate::conformance::{
    Applies, Bench, Command, HIGH, NOBODY, Outcome, Report, Rule, SHARED, TESTER, THEIRS, TOP, Timer,
};
use hsms_core::connection::{CloseReason, ControlRequest, SessionEnd, SessionRefusal};
use hsms_core::wire::{DeselectStatus, Header, RejectReason, SType, SessionId};

pub(in super::super) const RULES: &[Rule] = &[
    Rule {
        id: "E37.2-7.4/0",
        duty: "Deselect.req for a selected session is answered with status 0 and its id, and ends that session; the others and the \
               connection go on.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: deselect_req",
        test: ends,
    },
    Rule {
        id: "E37.2-7.4/1",
        duty: "Deselect.req for a session that is not selected here, or no longer, is answered with status 1; nothing changes.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: deselect_req",
        test: not_selected,
    },
    Rule {
        id: "E37-7.4.2/2",
        duty: "Deselect.req for a session that is in use is answered with status 2, and the session goes on; once it is no longer in \
               use it can be deselected.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/sessions.rs: set_busy",
        test: busy,
    },
    Rule {
        id: "E37-7.4.2/2/separate",
        duty: "Separate.req ends a session that is in use all the same, and selected again it is in use no longer.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/sessions.rs: end_session",
        test: busy_is_separated,
    },
    Rule {
        id: "E37.2-7.4/send",
        duty: "A Deselect.req of its own carries the id of its session, which goes on until it is answered.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/sessions.rs: deselect_session",
        test: sends,
    },
    Rule {
        id: "E37-7.4.1/0",
        duty: "With status 0 in answer to its Deselect.req that session has ended, and no other.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: deselect_rsp",
        test: succeeds,
    },
    Rule {
        id: "E37-7.4.1/refused",
        duty: "With any other status in answer to its Deselect.req the session goes on; the application is told the status.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: deselect_rsp",
        test: is_refused,
    },
    Rule {
        id: "E37-7.4.1/rejected",
        duty: "A Reject.req about its Deselect.req, whatever the reason, is a refusal: the session goes on.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: reject",
        test: is_rejected,
    },
    Rule {
        id: "E37-7.4.1/T6",
        duty: "A Deselect.req that is not answered within T6 ends the connection.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/output.rs: each_timer",
        test: t6,
    },
    Rule {
        id: "E37-7.4.3",
        duty: "Where both ends send Deselect.req for the same session at once, the peer's is answered with status 0, also where it is in \
               use; the response to its own then changes nothing.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: deselect_req",
        test: simultaneous,
    },
    Rule {
        id: "E37.2-7.4/moot",
        duty: "Where the session ended and was selected again while its Deselect.req was open, the late response does not end it.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/session.rs: make_request_moot",
        test: moot,
    },
    Rule {
        id: "E37.2-7.4/own-list",
        duty: "It deselects and separates no session that is not selected on this connection.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/sessions.rs: request_session",
        test: does_not_ask,
    },
    Rule {
        id: "E37.2-7.4/again",
        duty: "A session that has ended can be selected again on the same connection.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/sessions.rs: end_session",
        test: again,
    },
];

fn ends(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[SHARED, HIGH, TOP])?;
    super::deselect(bench, HIGH)?;
    bench.lacks_session(HIGH)?;
    super::deselect(bench, SHARED)?;
    bench.lacks_session(SHARED)?;
    bench.stays_selected_in(TOP)?;
    super::deselect(bench, TOP)?;
    bench.lacks_session(TOP)?;
    bench.stays_connected()
}

/// A Deselect.req that changes nothing.
fn refused(bench: &mut dyn Bench, session: SessionId, status: DeselectStatus) -> Outcome {
    bench.send(Header::deselect_req(TESTER).with_session(session))?;
    bench.expect(Header::deselect_rsp(TESTER).with_session(session).with_status(status.0))?;
    bench.told(&[])
}

fn not_selected(bench: &mut dyn Bench) -> Outcome {
    let status = DeselectStatus::COMMUNICATION_NOT_ESTABLISHED;
    bench.begin_without_session()?;
    for session in [NOBODY, SHARED, HIGH, THEIRS, SessionId::CONTROL] {
        refused(bench, session, status)?;
    }
    bench.select_session(SHARED)?;
    for session in [NOBODY, HIGH, THEIRS, SessionId::CONTROL] {
        refused(bench, session, status)?;
    }
    bench.stays_selected_in(SHARED)?;
    super::deselect(bench, SHARED)?;
    refused(bench, SHARED, status)
}

fn busy(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[SHARED, HIGH])?;
    bench.does(Command::Busy(SHARED, true))?;
    refused(bench, SHARED, DeselectStatus::COMMUNICATION_BUSY)?;
    bench.stays_selected_in(SHARED)?;
    // The other one is not.
    super::deselect(bench, HIGH)?;
    bench.does(Command::Busy(SHARED, false))?;
    super::deselect(bench, SHARED)
}

fn busy_is_separated(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[SHARED])?;
    bench.does(Command::Busy(SHARED, true))?;
    super::separate(bench, SHARED)?;
    bench.select_session(SHARED)?;
    super::deselect(bench, SHARED)
}

fn sends(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[SHARED, HIGH])?;
    for session in [SHARED, HIGH] {
        bench.asks_deselect(session)?;
        bench.stays_selected_in(session)?;
    }
    bench.told(&[])
}

fn succeeds(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[SHARED, HIGH])?;
    super::deselects(bench, SHARED)?;
    bench.lacks_session(SHARED)?;
    bench.stays_selected_in(HIGH)?;
    super::deselects(bench, HIGH)?;
    bench.lacks_session(HIGH)
}

fn is_refused(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[SHARED])?;
    for status in bench.some(1..=u8::MAX).into_iter().map(DeselectStatus) {
        let system = bench.asks_deselect(SHARED)?;
        bench.send(Header::deselect_rsp(system).with_session(SHARED).with_status(status.0))?;
        bench.told(&[Report::SessionRefused(SHARED, SessionRefusal::Deselect(status))])?;
        bench.stays_selected_in(SHARED)?;
    }
    Ok(())
}

fn is_rejected(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[SHARED])?;
    for reason in bench.some(1..=u8::MAX).into_iter().map(RejectReason) {
        let system = bench.asks_deselect(SHARED)?;
        let octet = if reason == RejectReason::PTYPE_NOT_SUPPORTED { 0 } else { SType::DESELECT_REQ.0 };
        bench.send(Header::reject_req(system, octet, reason).with_session(SHARED))?;
        bench.told(&[Report::SessionRefused(SHARED, SessionRefusal::DeselectRejected(reason))])?;
        bench.stays_selected_in(SHARED)?;
    }
    Ok(())
}

fn t6(bench: &mut dyn Bench) -> Outcome {
    for (wait, in_time) in bench.around(Timer::T6) {
        let t6 = bench.begin_timed(Timer::T6)?;
        let select = bench.not_selected()?;
        bench.refuse_wanted(select)?;
        bench.select_session(SHARED)?;
        let since = bench.now();
        let system = bench.asks_deselect(SHARED)?;
        if in_time {
            bench.quiet(wait)?;
            bench.send(Header::deselect_rsp(system).with_session(SHARED))?;
            bench.told(&[Report::SessionEnded(SHARED, SessionEnd::Deselected)])?;
        } else {
            bench.closed_at(since, t6)?;
            bench.told(&[Report::Closed(CloseReason::T6(ControlRequest::Deselect))])?;
        }
    }
    Ok(())
}

fn simultaneous(bench: &mut dyn Bench) -> Outcome {
    for (status, busy) in [(0, false), (1, false), (2, false), (0, true), (2, true)] {
        bench.begin_sessions(&[SHARED, HIGH])?;
        bench.does(Command::Busy(SHARED, busy))?;
        let system = bench.asks_deselect(SHARED)?;
        super::deselect(bench, SHARED)?;
        bench.send(Header::deselect_rsp(system).with_session(SHARED).with_status(status))?;
        bench.told(&[])?;
        bench.lacks_session(SHARED)?;
        bench.stays_selected_in(HIGH)?;
    }
    Ok(())
}

fn moot(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[SHARED])?;
    let system = bench.asks_deselect(SHARED)?;
    super::separate(bench, SHARED)?;
    bench.select_session(SHARED)?;
    bench.send(Header::deselect_rsp(system).with_session(SHARED))?;
    bench.stays_selected_in(SHARED)?;
    bench.told(&[])
}

fn does_not_ask(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[SHARED])?;
    for session in [HIGH, NOBODY, THEIRS, SessionId::CONTROL] {
        bench.will_not(Command::DeselectSession(session))?;
        bench.will_not(Command::SeparateSession(session))?;
    }
    bench.told(&[])?;
    bench.stays_selected_in(SHARED)
}

fn again(bench: &mut dyn Bench) -> Outcome {
    bench.begin_without_session()?;
    for end in super::ENDS {
        bench.select_session(SHARED)?;
        bench.stays_selected_in(SHARED)?;
        end(bench, SHARED)?;
        bench.lacks_session(SHARED)?;
    }
    Ok(())
}
