//! Connecting (E37 5.3, 6.3, 6.4; E37.1 Tables 1 and 2 rows 2).

use crate::conformance::{Applies, Bench, Line, Outcome, Report, Rule};
use hsms_core::connection::CloseReason;
use hsms_core::wire::{Header, SystemBytes};
use std::time::Duration;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E37-6.3.2",
        duty: "The passive side accepts a connection, is NOT SELECTED, and sends nothing by itself.",
        applies: Applies::SS.passive(),
        place: "hsms-core/src/connection/transition.rs: happened",
        test: accepts_and_is_silent,
    },
    Rule {
        id: "E37.1-T2-2",
        duty: "The active side connects and sends Select.req with session id FFFF, and nothing else.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/connection/transition.rs: happened",
        test: selects_on_connect,
    },
    Rule {
        id: "E37-5.3-3",
        duty: "When the peer ends the transport the connection is NOT CONNECTED, the application is told, and the passive side \
               takes the next caller at once.",
        applies: Applies::SS.passive(),
        place: "hsms-core/src/connection/transition.rs: happened",
        test: listens_again,
    },
];

fn accepts_and_is_silent(bench: &mut dyn Bench) -> Outcome {
    bench.begin()?;
    bench.connect()?;
    bench.quiet(Duration::from_millis(100))?;
    bench.told(&[])?;
    bench.stays_not_selected(SystemBytes(0))
}

fn selects_on_connect(bench: &mut dyn Bench) -> Outcome {
    bench.begin()?;
    bench.connect()?;
    let frame = bench.frame()?;
    let system = frame.header.system;
    bench.is(&frame, &crate::conformance::Frame::new(Header::select_req(system), &[]))?;
    bench.quiet(Duration::from_millis(100))
}

fn listens_again(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    bench.shut(Line::First);
    bench.told(&[Report::Closed(CloseReason::TransportClosed)])?;
    bench.selected()?;
    bench.stays_selected()
}
