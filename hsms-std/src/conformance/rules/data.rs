//! Data (E37 7.3, 9.4; E37.1 7.2).

use crate::conformance::{Applies, Bench, DATA, Frame, Outcome, Report, Rule, S1F1, primary};
use hsms_core::connection::{Class, CloseReason, Stray};
use hsms_core::wire::{Header, RejectReason, SType, SessionId, StreamFunction, SystemBytes};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E37-7.3/primary",
        duty: "A primary while SELECTED is delivered with its header and text as they came, and nothing is sent.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/transition.rs: data",
        test: delivers,
    },
    Rule {
        id: "E37-9.4.1/match",
        duty: "A message with the session id, stream and system bytes of an open primary, and its function plus one or zero, is \
               delivered as its reply.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/input.rs: match_reply",
        test: matches_reply,
    },
    Rule {
        id: "E37-9.4.1/mismatch",
        duty: "A reply that differs from the open primary in session id, stream, function or system bytes is not delivered as its \
               reply; the transaction stays open.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/transition.rs: data",
        test: mismatches,
    },
    Rule {
        id: "E37-7.7/4",
        duty: "Data while NOT SELECTED is answered with Reject.req, reason 4, and not delivered; the connection stays.",
        applies: Applies::SS.lenient(),
        place: "hsms-core/src/connection/transition.rs: data",
        test: not_selected,
    },
    Rule {
        id: "E37.1-T1-4.3/data/strict",
        duty: "Data while NOT SELECTED is answered with Reject.req, reason 4, and the transport is closed.",
        applies: Applies::SS.strict(),
        place: "hsms-core/src/connection/transition.rs: data",
        test: not_selected_strict,
    },
];

fn delivers(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for (header, text) in [(primary(S1F1), vec![]), (primary(StreamFunction::new(6, 11)), vec![0x21, 0x02, 7, 9])] {
        for w in [true, false] {
            let header = Header::data(header.system, header.stream_function(), w, DATA);
            bench.send_text(header, &text)?;
            bench.told(&[Report::Primary(Frame::new(header, &text))])?;
        }
    }
    bench.stays_selected()
}

fn matches_reply(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for function in [2, 0] {
        let request = bench.request(S1F1, &[])?;
        let reply = Header::data(request.system, StreamFunction::new(1, function), false, DATA);
        bench.send(reply)?;
        bench.told(&[Report::Reply(Frame::new(reply, &[]))])?;
        bench.stays_selected()?;
    }
    Ok(())
}

fn mismatches(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let request = bench.request(S1F1, &[])?;
    let reply = |function, session| Header::data(request.system, function, false, session);
    let good = reply(StreamFunction::new(1, 2), DATA);
    let orphan = Header { system: SystemBytes(!request.system.0), ..good };
    for (other, stray) in [
        (reply(StreamFunction::new(2, 2), DATA), Stray::Mismatched),
        (reply(StreamFunction::new(1, 4), DATA), Stray::Mismatched),
        (orphan, Stray::Orphan),
    ] {
        bench.send(other)?;
        bench.told(&[Report::Other(other, Class::Stray(stray))])?;
        bench.stays_selected()?;
    }
    // It is open still.
    bench.send(good)?;
    bench.told(&[Report::Reply(Frame::new(good, &[]))])
}

fn not_selected(bench: &mut dyn Bench) -> Outcome {
    let select = bench.begin_not_selected()?;
    for session in [DATA, SessionId(2)] {
        let data = primary(S1F1).with_session(session);
        bench.send(data)?;
        bench.expect(Header::reject_req(data.system, SType::DATA.0, RejectReason::ENTITY_NOT_SELECTED))?;
        bench.told(&[Report::Other(data, Class::Rejected(RejectReason::ENTITY_NOT_SELECTED))])?;
    }
    bench.stays_not_selected(select)
}

fn not_selected_strict(bench: &mut dyn Bench) -> Outcome {
    bench.begin_not_selected()?;
    let data = primary(S1F1);
    bench.send(data)?;
    bench.expect(Header::reject_req(data.system, SType::DATA.0, RejectReason::ENTITY_NOT_SELECTED))?;
    bench.expect_closed()?;
    let rejected = Report::Other(data, Class::Rejected(RejectReason::ENTITY_NOT_SELECTED));
    bench.told(&[rejected, Report::Closed(CloseReason::DataNotSelected)])
}
