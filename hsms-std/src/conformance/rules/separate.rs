//! Separate (E37 7.6, E37.1 7.6).

use crate::conformance::{Applies, Bench, Command, Frame, Outcome, Report, Rule, TESTER};
use hsms_core::connection::CloseReason;
use hsms_core::wire::Header;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E37.1-7.6/received",
        duty: "Separate.req, while SELECTED or NOT SELECTED, ends the connection; nothing is sent back.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/transition.rs: control",
        test: received,
    },
    Rule {
        id: "E37.1-7.6/sent",
        duty: "Its own end of a session is a Separate.req with session id FFFF, and the closing of the transport right behind it.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/transition.rs: happened",
        test: sent,
    },
];

fn received(bench: &mut dyn Bench) -> Outcome {
    for selected in [true, false] {
        let select = bench.begin_not_selected()?;
        if selected {
            bench.become_selected(select)?;
        }
        bench.send(Header::separate_req(TESTER))?;
        bench.expect_closed()?;
        bench.told(&[Report::Closed(CloseReason::SeparateReceived)])?;
    }
    Ok(())
}

fn sent(bench: &mut dyn Bench) -> Outcome {
    for (command, reason) in [(Command::Separate, CloseReason::Separated), (Command::Disable, CloseReason::Disabled)] {
        bench.begin_selected()?;
        bench.does(command)?;
        let frame = bench.frame()?;
        bench.is(&frame, &Frame::new(Header::separate_req(frame.header.system), &[]))?;
        bench.expect_closed()?;
        bench.told(&[Report::Closed(reason)])?;
    }
    Ok(())
}
