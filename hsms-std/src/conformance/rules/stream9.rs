//! Stream 9 (E37 9.4.2, E5 7.13).

use crate::conformance::{Applies, Bench, DATA, Frame, Outcome, Report, Rule, S1F1, primary};
use hsms_core::connection::{Class, Stray};
use hsms_core::wire::{Header, SessionId, StreamFunction};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E5-7.13/F1",
        duty: "Equipment answers a primary for a device id that it does not serve with S9F1 and the primary's header, and does not \
               deliver it; the session goes on.",
        applies: Applies::SS.equipment(),
        place: "hsms-core/src/connection/transition.rs: data",
        test: unknown_device,
    },
    Rule {
        id: "E5-7.13/F11",
        duty: "Equipment answers data that is longer than it accepts with S9F11 and its header, passes the text by, and the session \
               goes on.",
        applies: Applies::SS.equipment().lenient(),
        place: "hsms-core/src/connection/transition.rs: too_long",
        test: too_long,
    },
];

/// An error message of the subject's about `about`.
fn expect_error(bench: &mut dyn Bench, function: u8, about: Header) -> Outcome {
    let frame = bench.frame()?;
    let header = Header::data(frame.header.system, StreamFunction::new(9, function), false, DATA);
    bench.is(&frame, &Frame::new(header, &[&[0x21, 10][..], &about.encode()].concat()))
}

fn unknown_device(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for id in [0, 2, 0x7FFF] {
        let stranger = primary(S1F1).with_session(SessionId(id));
        bench.send(stranger)?;
        expect_error(bench, 1, stranger)?;
        bench.told(&[Report::Other(stranger, Class::Stray(Stray::UnknownDevice))])?;
        bench.stays_selected()?;
    }
    Ok(())
}

fn too_long(bench: &mut dyn Bench) -> Outcome {
    bench.begin_with(|config| config.with_max_message(64))?;
    bench.selected()?;
    for len in [55, 64 * 4 - 10] {
        bench.send_text(primary(S1F1), &vec![0; len])?;
        expect_error(bench, 11, primary(S1F1))?;
        bench.told(&[Report::Other(primary(S1F1), Class::TooLong)])?;
        bench.stays_selected()?;
    }
    Ok(())
}
