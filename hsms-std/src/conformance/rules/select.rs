//! Select (E37 7.2, E37.1 7.1).

use crate::conformance::{Applies, Bench, Outcome, Report, Rule, TESTER};
use hsms_core::connection::{CloseReason, Leniency};
use hsms_core::wire::{Header, SType, SelectStatus, SessionId};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E37-7.2.2",
        duty: "The passive side answers Select.req with status 0, is SELECTED, and tells its application.",
        applies: Applies::SS.passive(),
        place: "hsms-core/src/connection/transition.rs: select_req",
        test: accepts,
    },
    Rule {
        id: "E37-7.2.1",
        duty: "The active side is SELECTED by a Select.rsp with status 0, and tells its application.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/connection/transition.rs: select_rsp",
        test: is_accepted,
    },
    Rule {
        id: "E37.1-7.1.1/session",
        duty: "A Select.req whose session id is not FFFF is accepted, its session id is echoed, and the leniency is told.",
        applies: Applies::SS.passive().lenient(),
        place: "hsms-core/src/connection/transition.rs: select_req",
        test: foreign_session,
    },
    Rule {
        id: "E37.1-7.1.1/session/strict",
        duty: "A Select.req whose session id is not FFFF ends the connection.",
        applies: Applies::SS.passive().strict(),
        place: "hsms-core/src/connection/transition.rs: select_req",
        test: foreign_session_strict,
    },
    Rule {
        id: "E37.1-7.1.1/again",
        duty: "A Select.req while SELECTED is answered with status 1; the session goes on.",
        applies: Applies::SS.lenient(),
        place: "hsms-core/src/connection/transition.rs: select_req",
        test: again,
    },
    Rule {
        id: "E37.1-7.1.1/again/strict",
        duty: "A Select.req while SELECTED ends the connection.",
        applies: Applies::SS.strict(),
        place: "hsms-core/src/connection/transition.rs: select_req",
        test: again_strict,
    },
    Rule {
        id: "E37.1-7.1.3",
        duty: "The active side closes on a Select.rsp with any other status than 0, and tells the status.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/connection/transition.rs: select_rsp",
        test: is_refused,
    },
    Rule {
        id: "E37-7.2.3",
        duty: "The active side accepts the peer's Select.req while its own is open, is SELECTED, and takes the response to its own \
               with status 0 or 1.",
        applies: Applies::SS.active().lenient(),
        place: "hsms-core/src/connection/transition.rs: select_req",
        test: simultaneous,
    },
];

const FOREIGN: [u16; 5] = [0x0000, 0x0001, 0x7FFF, 0x8001, 0xFFFE];

fn accepts(bench: &mut dyn Bench) -> Outcome {
    bench.begin()?;
    bench.connect()?;
    bench.send(Header::select_req(TESTER))?;
    bench.expect(Header::select_rsp(TESTER))?;
    bench.told(&[Report::Selected])?;
    bench.stays_selected()
}

fn is_accepted(bench: &mut dyn Bench) -> Outcome {
    let select = bench.begin_not_selected()?;
    bench.send(Header::select_rsp(select))?;
    bench.told(&[Report::Selected])?;
    bench.stays_selected()
}

fn foreign_session(bench: &mut dyn Bench) -> Outcome {
    for id in FOREIGN.map(SessionId) {
        bench.begin_not_selected()?;
        bench.send(Header::select_req(TESTER).with_session(id))?;
        bench.expect(Header::select_rsp(TESTER).with_session(id))?;
        bench.told(&[Report::Lenient(Leniency::SelectSession(id)), Report::Selected])?;
        bench.stays_selected()?;
    }
    Ok(())
}

fn foreign_session_strict(bench: &mut dyn Bench) -> Outcome {
    for id in FOREIGN.map(SessionId) {
        bench.begin_not_selected()?;
        bench.ends(Header::select_req(TESTER).with_session(id), CloseReason::UnexpectedMessage(SType::SELECT_REQ))?;
    }
    Ok(())
}

fn again(bench: &mut dyn Bench) -> Outcome {
    for id in [0xFFFF, 0x0001].map(SessionId) {
        bench.begin_selected()?;
        bench.send(Header::select_req(TESTER).with_session(id))?;
        let refusal = Header::select_rsp(TESTER).with_session(id);
        bench.expect(refusal.with_status(SelectStatus::COMMUNICATION_ALREADY_ACTIVE.0))?;
        bench.told(&[])?;
        bench.stays_selected()?;
    }
    Ok(())
}

fn again_strict(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    bench.ends(Header::select_req(TESTER), CloseReason::UnexpectedMessage(SType::SELECT_REQ))
}

fn is_refused(bench: &mut dyn Bench) -> Outcome {
    for status in bench.some(1..=u8::MAX) {
        let select = bench.begin_not_selected()?;
        let reason = CloseReason::SelectRefused(SelectStatus(status));
        bench.ends(Header::select_rsp(select).with_status(status), reason)?;
    }
    Ok(())
}

fn simultaneous(bench: &mut dyn Bench) -> Outcome {
    for status in [SelectStatus::COMMUNICATION_ESTABLISHED, SelectStatus::COMMUNICATION_ALREADY_ACTIVE] {
        let select = bench.begin_not_selected()?;
        bench.send(Header::select_req(TESTER))?;
        bench.expect(Header::select_rsp(TESTER))?;
        bench.told(&[Report::Lenient(Leniency::SimultaneousSelect(SessionId::CONTROL)), Report::Selected])?;
        bench.send(Header::select_rsp(select).with_status(status.0))?;
        bench.stays_selected()?;
        bench.told(&[])?;
    }
    Ok(())
}
