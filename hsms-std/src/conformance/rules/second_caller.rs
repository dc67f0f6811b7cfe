//! A second connection while one is served (E37 9.2.4, option a).

use crate::conformance::{Applies, Bench, Line, Outcome, Rule, TESTER, encode, require};
use hsms_core::wire::{Header, SelectStatus};

pub(super) const RULES: &[Rule] = &[Rule {
    id: "E37-9.2.4/a",
    duty: "A second caller's Select.req is answered with status 1 and its connection closed; the first one does not notice.",
    applies: Applies::SS.passive(),
    place: "hsms-core/src/connection/transition.rs: select_req",
    test: refuses,
}];

fn refuses(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let patience = bench.about().patience();
    require(bench.open(Line::Second, patience)?, || "a second caller is not even accepted".into())?;
    bench.write(Line::Second, &encode(&Header::select_req(TESTER), &[]))?;
    let refusal = Header::select_rsp(TESTER).with_status(SelectStatus::COMMUNICATION_ALREADY_ACTIVE.0);
    bench.expect_on(Line::Second, refusal, &[])?;
    bench.expect_closed_on(Line::Second)?;
    bench.stays_selected()?;
    bench.told(&[])
}
