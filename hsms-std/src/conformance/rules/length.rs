//! Message length (E37 8.1.3, E37.1 Tables 1 and 2 rows 4 and 5).

use crate::conformance::{Applies, Bench, Outcome, Report, Rule, S1F1, encode, primary};
use hsms_core::connection::{Class, CloseReason};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E37-8.1.3",
        duty: "A length field below 10 ends the connection.",
        applies: Applies::SS,
        place: "hsms-core/src/frame.rs: decode",
        test: too_short,
    },
    Rule {
        id: "E37.1-T1-5.5/host",
        duty: "A host closes on a message longer than it accepts, and takes one that is just as long.",
        applies: Applies::SS.host(),
        place: "hsms-core/src/connection/transition.rs: too_long",
        test: too_long,
    },
];

/// The longest message that the subject of these tests accepts.
const MOST: u32 = 64;

fn too_short(bench: &mut dyn Bench) -> Outcome {
    for length in 0..10_u32 {
        for selected in [true, false] {
            let select = bench.begin_not_selected()?;
            if selected {
                bench.become_selected(select)?;
            }
            bench.send_octets(&length.to_be_bytes())?;
            bench.expect_closed()?;
            bench.told_some(&Report::Closed(CloseReason::LengthTooShort { length }))?;
        }
    }
    Ok(())
}

fn too_long(bench: &mut dyn Bench) -> Outcome {
    bench.begin_with(|config| config.with_max_message(MOST))?;
    bench.selected()?;
    let text = |length: u32| vec![0; usize::try_from(length).unwrap_or_default().saturating_sub(10)];
    bench.send_octets(&encode(&primary(S1F1), &text(MOST)))?;
    bench.stays_selected()?;
    bench.told_some(&Report::Primary(crate::conformance::Frame::new(primary(S1F1), &text(MOST))))?;
    bench.send_octets(&encode(&primary(S1F1), &text(MOST + 1)))?;
    bench.expect_closed()?;
    let closed = CloseReason::LengthTooLong { length: MOST + 1, limit: MOST };
    bench.told(&[Report::Other(primary(S1F1), Class::TooLong), Report::Closed(closed)])
}
