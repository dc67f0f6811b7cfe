//! Reject (E37 7.7, E37.1 7.5).

use crate::conformance::{Applies, Bench, Outcome, Report, Rule, S1F1, TESTER, linktest, primary};
use hsms_core::connection::{Class, TransactionEnd};
use hsms_core::wire::{Header, PType, RejectReason, SType};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E37-7.7/1",
        duty: "A message with an SType that E37 does not define, while SELECTED, is answered with Reject.req, reason 1 and that \
               SType; the session goes on.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/transition.rs: unknown",
        test: unknown_stype,
    },
    Rule {
        id: "E37-7.7/2",
        duty: "A message with a PType other than 0, while SELECTED, is answered with Reject.req, reason 2 and that PType; the session \
               goes on.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/transition.rs: unknown",
        test: unknown_ptype,
    },
    Rule {
        id: "E37-7.7/3",
        duty: "A Linktest.rsp or Deselect.rsp without an open request, while SELECTED, is answered with Reject.req, reason 3; the \
               session goes on.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/transition.rs: control",
        test: orphan_response,
    },
    Rule {
        id: "E37-7.7/received",
        duty: "A Reject.req about an open primary ends that transaction, whatever its reason; it is not answered and the session goes \
               on.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/transition.rs: reject",
        test: primary_rejected,
    },
];

fn rejected(bench: &mut dyn Bench, offender: Header, octet: u8, reason: RejectReason) -> Outcome {
    bench.send(offender)?;
    bench.expect(Header::reject_req(offender.system, octet, reason))?;
    bench.told(&[Report::Other(offender, Class::Rejected(reason))])?;
    bench.stays_selected()
}

fn unknown_stype(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for stype in bench.some((0..=u8::MAX).filter(|stype| matches!(stype, 8 | 10..))) {
        let offender = Header { stype: SType(stype), ..linktest() };
        rejected(bench, offender, stype, RejectReason::STYPE_NOT_SUPPORTED)?;
    }
    Ok(())
}

fn unknown_ptype(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for ptype in bench.some(1..=u8::MAX) {
        for offender in [linktest(), primary(S1F1)] {
            let offender = Header { ptype: PType(ptype), ..offender };
            rejected(bench, offender, ptype, RejectReason::PTYPE_NOT_SUPPORTED)?;
        }
    }
    Ok(())
}

fn orphan_response(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for response in [Header::linktest_rsp(TESTER), Header::deselect_rsp(TESTER)] {
        rejected(bench, response, response.stype.0, RejectReason::TRANSACTION_NOT_OPEN)?;
    }
    Ok(())
}

fn primary_rejected(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for reason in bench.some(1..=u8::MAX).into_iter().map(RejectReason) {
        let request = bench.request(S1F1, &[])?;
        bench.send(Header::reject_req(request.system, SType::DATA.0, reason))?;
        bench.told(&[Report::Ended(request.system, TransactionEnd::Rejected(reason))])?;
        bench.stays_selected()?;
    }
    Ok(())
}
