//! Deselect (E37 7.4, E37.1 7.4).

use crate::conformance::{Applies, Bench, Command, Frame, Outcome, Report, Rule, S1F1, TESTER, Timer, primary};
use hsms_core::connection::{Class, CloseReason, Leniency, TransactionEnd};
use hsms_core::wire::{DeselectStatus, Header, RejectReason, SType, SessionId, SystemBytes};

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
    Rule {
        id: "E37-7.4.2/not-selected/T7",
        duty: "Deselect.req while NOT SELECTED does not move T7.",
        applies: Applies::SS.passive().lenient(),
        place: "hsms-core/src/connection/transition.rs: control",
        test: t7_is_not_moved,
    },
    Rule {
        id: "E37-8.2.5/session",
        duty: "Deselect.rsp repeats the session id of its request, whatever it is and whatever the status.",
        applies: Applies::SS.lenient(),
        place: "hsms-core/src/connection/input.rs: answer",
        test: session,
    },
    Rule {
        id: "E37-8.2.4/octets",
        duty: "Header octets 2 and 3 of a Deselect.req count for nothing, and are not repeated.",
        applies: Applies::SS.lenient(),
        place: "hsms-core/src/connection/input.rs: answer",
        test: octets,
    },
    Rule {
        id: "E37-7.4.2/select",
        duty: "A passive side that was deselected can be selected again over the same connection, and T7 ends with that.",
        applies: Applies::SS.passive().lenient(),
        place: "hsms-core/src/connection/transition.rs: control",
        test: select_again,
    },
    Rule {
        id: "E37-7.4.2/data",
        duty: "Data behind the Deselect.req is rejected with reason 4 as ever while NOT SELECTED, even where both came together.",
        applies: Applies::SS.passive().lenient(),
        place: "hsms-core/src/connection/input.rs: take",
        test: data_behind,
    },
    Rule {
        id: "E37-7.4.2/transactions",
        duty: "When the peer deselects, the application is told of each of its primaries that is open then; nothing is sent about \
               them.",
        applies: Applies::SS.lenient(),
        place: "hsms-core/src/connection/output.rs: poll_end",
        test: open_primaries_end,
    },
    Rule {
        id: "E37-7.4.2/void",
        duty: "What the peer asked before it deselected cannot be replied to after it has selected again.",
        applies: Applies::SS.passive().lenient(),
        place: "hsms-core/src/connection/input.rs: take",
        test: reply_is_void,
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
    bench.stays_not_selected(select)?;
    if bench.about().is_active() {
        return Ok(());
    }
    // Not only before the first session.
    deselect(bench)?;
    bench.told(&DESELECTED)?;
    bench.send(Header::deselect_req(TESTER))?;
    bench.expect(Header::deselect_rsp(TESTER).with_status(status))?;
    bench.told(&[Report::Lenient(Leniency::DeselectNotSelected)])?;
    bench.stays_not_selected(select)
}

fn t7_is_not_moved(bench: &mut dyn Bench) -> Outcome {
    let t7 = bench.begin_timed(Timer::T7)?;
    let since = bench.connect()?;
    bench.quiet(t7 / 16)?;
    bench.send(Header::deselect_req(TESTER))?;
    let status = DeselectStatus::COMMUNICATION_NOT_ESTABLISHED.0;
    bench.expect(Header::deselect_rsp(TESTER).with_status(status))?;
    bench.closed_at(since, t7)?;
    bench.told(&[Report::Lenient(Leniency::DeselectNotSelected), Report::Closed(CloseReason::T7)])
}

fn session(bench: &mut dyn Bench) -> Outcome {
    for id in [0x0000, 0x0001, 0x7FFF, 0x8001, 0xFFFE].map(SessionId) {
        deselects_with(bench, Header::deselect_req(TESTER).with_session(id))?;
    }
    Ok(())
}

fn octets(bench: &mut dyn Bench) -> Outcome {
    for (byte2, byte3) in [(0x80, 0), (0, 1), (0xFF, 0xFF)] {
        deselects_with(bench, Header { byte2, byte3, ..Header::deselect_req(TESTER) })?;
    }
    Ok(())
}

/// While NOT SELECTED and while SELECTED.
fn deselects_with(bench: &mut dyn Bench, request: Header) -> Outcome {
    let select = bench.begin_not_selected()?;
    let response = Header::deselect_rsp(request.system).with_session(request.session);
    bench.send(request)?;
    bench.expect(response.with_status(DeselectStatus::COMMUNICATION_NOT_ESTABLISHED.0))?;
    bench.told(&[Report::Lenient(Leniency::DeselectNotSelected)])?;
    bench.become_selected(select)?;
    bench.send(request)?;
    bench.expect(response)?;
    if bench.about().is_active() {
        bench.expect_closed()?;
        bench.told(&[Report::Lenient(Leniency::Deselect), Report::Closed(CloseReason::DeselectAnswered)])
    } else {
        bench.told(&DESELECTED)?;
        bench.stays_not_selected(select)
    }
}

fn select_again(bench: &mut dyn Bench) -> Outcome {
    let t7 = bench.begin_timed(Timer::T7)?;
    bench.selected()?;
    deselect(bench)?;
    bench.told(&DESELECTED)?;
    bench.send(Header::select_req(TESTER))?;
    bench.expect(Header::select_rsp(TESTER))?;
    bench.told(&[Report::Selected])?;
    bench.quiet(t7 * 2)?;
    bench.stays_selected()?;
    bench.told(&[])
}

fn data_behind(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let messages = [Header::deselect_req(TESTER), primary(S1F1)];
    bench.send_octets(&messages.map(|header| crate::conformance::encode(&header, &[])).concat())?;
    bench.expect(Header::deselect_rsp(TESTER))?;
    let reason = RejectReason::ENTITY_NOT_SELECTED;
    bench.expect(Header::reject_req(TESTER, SType::DATA.0, reason))?;
    let [lenient, deselected] = DESELECTED;
    bench.told(&[lenient, deselected, Report::Other(primary(S1F1), Class::Rejected(reason))])?;
    bench.stays_not_selected(SystemBytes(0))
}

fn open_primaries_end(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let (one, other) = (bench.request(S1F1, &[])?, bench.request(S1F1, &[0x01, 0x00])?);
    deselect(bench)?;
    let ended = |request: Header| Report::Ended(request.system, TransactionEnd::SessionEnded);
    let [lenient, deselected] = DESELECTED;
    if bench.about().is_active() {
        bench.expect_closed()?;
        let closed = Report::Closed(CloseReason::DeselectAnswered);
        bench.told(&[lenient, closed, ended(one), ended(other)])
    } else {
        bench.told(&[lenient, deselected, ended(one), ended(other)])?;
        bench.stays_not_selected(SystemBytes(0))
    }
}

fn reply_is_void(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    bench.send(primary(S1F1))?;
    bench.told(&[Report::Primary(Frame::new(primary(S1F1), &[]))])?;
    deselect(bench)?;
    bench.told(&DESELECTED)?;
    bench.stays_not_selected(SystemBytes(0))?;
    bench.refuses(Command::Reply(Vec::new()))?;
    bench.stays_selected()?;
    bench.told(&[])
}

/// What the application of a passive subject is told when the peer deselects.
const DESELECTED: [Report; 2] = [Report::Lenient(Leniency::Deselect), Report::Deselected];

fn deselect(bench: &mut dyn Bench) -> Outcome {
    bench.send(Header::deselect_req(TESTER))?;
    bench.expect(Header::deselect_rsp(TESTER))
}
