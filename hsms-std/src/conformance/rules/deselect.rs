//! Deselect (E37 7.4, E37.1 7.4).

use crate::conformance::{Applies, Bench, Outcome, Report, Rule, TESTER, Timer};
use hsms_core::connection::{CloseReason, Leniency};
use hsms_core::wire::{DeselectStatus, Header, SType};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E37-7.4.2/passive",
        duty: "The passive side answers Deselect.req while SELECTED with status 0 and is NOT SELECTED; T7 ends the connection where \
               the peer does not.",
        applies: Applies::SS.passive().lenient(),
        place: "hsms-core/src/connection/transition.rs: control",
        test: passive,
    },
    Rule {
        id: "E37-7.4.2/active",
        duty: "The active side answers Deselect.req while SELECTED with status 0 and closes.",
        applies: Applies::SS.active().lenient(),
        place: "hsms-core/src/connection/transition.rs: control",
        test: active,
    },
    Rule {
        id: "E37.1-7.4/strict",
        duty: "Deselect.req ends the connection.",
        applies: Applies::SS.strict(),
        place: "hsms-core/src/connection/transition.rs: control",
        test: strict,
    },
    Rule {
        id: "E37-7.4.2/not-selected",
        duty: "Deselect.req while NOT SELECTED is answered with status 1; nothing changes.",
        applies: Applies::SS.lenient(),
        place: "hsms-core/src/connection/transition.rs: control",
        test: not_selected,
    },
];

fn passive(bench: &mut dyn Bench) -> Outcome {
    let t7 = bench.begin_timed(Timer::T7)?;
    bench.selected()?;
    let since = bench.now();
    bench.send(Header::deselect_req(TESTER))?;
    bench.expect(Header::deselect_rsp(TESTER))?;
    bench.told(&[Report::Lenient(Leniency::Deselect), Report::Deselected])?;
    bench.closed_at(since, t7)?;
    bench.told(&[Report::Closed(CloseReason::T7)])
}

fn active(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    bench.send(Header::deselect_req(TESTER))?;
    bench.expect(Header::deselect_rsp(TESTER))?;
    bench.expect_closed()?;
    bench.told(&[Report::Lenient(Leniency::Deselect), Report::Closed(CloseReason::DeselectAnswered)])
}

fn strict(bench: &mut dyn Bench) -> Outcome {
    for selected in [true, false] {
        let select = bench.begin_not_selected()?;
        if selected {
            bench.become_selected(select)?;
        }
        bench.ends(Header::deselect_req(TESTER), CloseReason::UnexpectedMessage(SType::DESELECT_REQ))?;
    }
    Ok(())
}

fn not_selected(bench: &mut dyn Bench) -> Outcome {
    let select = bench.begin_not_selected()?;
    bench.send(Header::deselect_req(TESTER))?;
    let status = DeselectStatus::COMMUNICATION_NOT_ESTABLISHED.0;
    bench.expect(Header::deselect_rsp(TESTER).with_status(status))?;
    bench.told(&[Report::Lenient(Leniency::DeselectNotSelected)])?;
    bench.stays_not_selected(select)
}
