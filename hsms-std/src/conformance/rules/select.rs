//! Select (E37 7.2, E37.1 7.1).

use crate::conformance::{
    Applies, Bench, Command, DATA, Frame, Line, Outcome, Report, Rule, S1F1, TESTER, Timer, encode, set,
};
use hsms_core::config::SelectMode;
use hsms_core::connection::{Class, CloseReason, ControlRequest, Leniency};
use hsms_core::wire::{Header, RejectReason, SType, SelectStatus, SessionId, SystemBytes};
use std::time::Duration;

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
    Rule {
        id: "E37-7.2.3/strict",
        duty: "The active side takes no Select.req: one that crosses its own ends the connection.",
        applies: Applies::SS.active().strict(),
        place: "hsms-core/src/connection/transition.rs: select_req",
        test: simultaneous_strict,
    },
    Rule {
        id: "E37-7.2.3/system",
        duty: "Each end counts its own system bytes: the peer's Select.req may carry those of the active side's own, and both \
               transactions are answered.",
        applies: Applies::SS.active().lenient(),
        place: "hsms-core/src/connection/transition.rs: select_req",
        test: simultaneous_system,
    },
    Rule {
        id: "E37-7.2.3/refused",
        duty: "When selects cross and the peer answers the active side's with any other status than 0 and 1, that ends the connection \
               although it is SELECTED.",
        applies: Applies::SS.active().lenient(),
        place: "hsms-core/src/connection/transition.rs: select_rsp",
        test: simultaneous_refused,
    },
    Rule {
        id: "E37-7.2.3/T6",
        duty: "When selects cross, the active side's own stays open although it is SELECTED, and its T6 ends the connection.",
        applies: Applies::SS.active().lenient(),
        place: "hsms-core/src/connection/input.rs: t6",
        test: simultaneous_t6,
    },
    Rule {
        id: "E37-8.2.2/octets",
        duty: "Header octets 2 and 3 of a Select.req count for nothing, and are not repeated.",
        applies: Applies::SS.passive(),
        place: "hsms-core/src/connection/input.rs: answer",
        test: octets,
    },
    Rule {
        id: "E37-8.2.3/session",
        duty: "A Select.rsp belongs to the open Select.req by its system bytes alone, whatever its session id is.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/connection/input.rs: match_control",
        test: response_session,
    },
    Rule {
        id: "E37-8.2.3/octet-3",
        duty: "The status of a Select.rsp is its header octet 3; octet 2 counts for nothing.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/wire/header.rs: kind",
        test: status_octet,
    },
    Rule {
        id: "E37-7.7/3/select",
        duty: "A Select.rsp without an open Select.req, while SELECTED, is answered with Reject.req, reason 3; the session goes on.",
        applies: Applies::ALL.lenient(),
        place: "hsms-core/src/connection/transition.rs: select_rsp",
        test: stray_response,
    },
    Rule {
        id: "E37-7.7/3/select/not-selected",
        duty: "A Select.rsp to nothing that was asked, while NOT SELECTED, is answered with Reject.req, reason 3, and selects nothing; \
               a Select.req that is open stays so.",
        applies: Applies::ALL.lenient(),
        place: "hsms-core/src/connection/transition.rs: select_rsp",
        test: stray_response_not_selected,
    },
    Rule {
        id: "E37-7.7/3/select/strict",
        duty: "A Select.rsp without an open Select.req ends the connection, while SELECTED or NOT SELECTED.",
        applies: Applies::SS.strict(),
        place: "hsms-core/src/connection/transition.rs: select_rsp",
        test: stray_response_strict,
    },
    Rule {
        id: "E37.1-7.1.3/rejected",
        duty: "A Reject.req about its Select.req ends the active side's connection, whatever the reason, which is told.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/connection/transition.rs: reject",
        test: is_rejected,
    },
    Rule {
        id: "E37.1-7.1.3/rejected-other",
        duty: "A Reject.req with the system bytes of the open Select.req that names another SType is told and changes nothing.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/connection/input.rs: names",
        test: something_else_is_rejected,
    },
    Rule {
        id: "E37-7.2/data-behind",
        duty: "Data that follows the select exchange in the same octets is data of a session that is SELECTED: it is delivered, and not \
               rejected.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/input.rs: take",
        test: data_behind,
    },
    Rule {
        id: "E37.1-T1-3/T7",
        duty: "Being selected ends T7: the session outlasts it without anything being sent.",
        applies: Applies::SS.passive(),
        place: "hsms-core/src/connection/input.rs: take",
        test: t7_ends,
    },
    Rule {
        id: "E37.1-T2-3/T6",
        duty: "The Select.rsp ends T6: the session outlasts it without anything being sent.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/connection/input.rs: take",
        test: t6_ends,
    },
    Rule {
        id: "E37.1-T2-2/T7",
        duty: "T6 of its Select.req alone guards the active side while NOT SELECTED: a T7 that is shorter does not end the connection.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/connection/transition.rs: happened",
        test: t7_does_not_count,
    },
    Rule {
        id: "E37-9.2.2/active",
        duty: "An active side that leaves it to the application when to select sends nothing, and is closed by T7 where it does not.",
        applies: Applies::ALL.active(),
        place: "hsms-core/src/connection/transition.rs: happened",
        test: t7_on_command,
    },
    Rule {
        id: "E37-7.2.1/on-command",
        duty: "An active side that leaves it to the application when to select sends its Select.req when it is told to; from there \
               T7 does not count any more.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/connection/command.rs: select",
        test: on_command,
    },
    Rule {
        id: "E37.1-7.1/passive",
        duty: "The passive side never sends a Select.req: its application is refused one in every state.",
        applies: Applies::SS.passive(),
        place: "hsms-core/src/connection/command.rs: select",
        test: passive_never_selects,
    },
    Rule {
        id: "E37.1-7.1.1/once",
        duty: "The active side sends no second Select.req while one is open or it is SELECTED: its application is refused it.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/connection/command.rs: select",
        test: selects_once,
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

fn simultaneous_strict(bench: &mut dyn Bench) -> Outcome {
    for id in [0xFFFF, 0x0001].map(SessionId) {
        bench.begin_not_selected()?;
        bench.ends(Header::select_req(TESTER).with_session(id), CloseReason::UnexpectedMessage(SType::SELECT_REQ))?;
    }
    Ok(())
}

/// The peer's Select.req with these system bytes comes while ours is open.
fn crosses(bench: &mut dyn Bench, system: SystemBytes) -> Outcome {
    bench.send(Header::select_req(system))?;
    bench.expect(Header::select_rsp(system))?;
    bench.told(&[Report::Lenient(Leniency::SimultaneousSelect(SessionId::CONTROL)), Report::Selected])
}

fn simultaneous_system(bench: &mut dyn Bench) -> Outcome {
    let select = bench.begin_not_selected()?;
    crosses(bench, select)?;
    bench.send(Header::select_rsp(select))?;
    bench.stays_selected()?;
    bench.told(&[])
}

fn simultaneous_refused(bench: &mut dyn Bench) -> Outcome {
    for status in bench.some(2..=u8::MAX) {
        let select = bench.begin_not_selected()?;
        crosses(bench, TESTER)?;
        let reason = CloseReason::SelectRefused(SelectStatus(status));
        bench.ends(Header::select_rsp(select).with_status(status), reason)?;
    }
    Ok(())
}

fn simultaneous_t6(bench: &mut dyn Bench) -> Outcome {
    // An active one may have asked before `begin` is over.
    let since = bench.now();
    let t6 = bench.begin_timed(Timer::T6)?;
    bench.not_selected()?;
    crosses(bench, TESTER)?;
    bench.closed_at(since, t6)?;
    bench.told(&[Report::Closed(CloseReason::T6(ControlRequest::Select))])
}

fn octets(bench: &mut dyn Bench) -> Outcome {
    for (byte2, byte3) in [(0x80, 0), (0, 1), (0xFF, 0xFF)] {
        bench.begin_not_selected()?;
        bench.send(Header { byte2, byte3, ..Header::select_req(TESTER) })?;
        bench.expect(Header::select_rsp(TESTER))?;
        bench.told(&[Report::Selected])?;
        bench.stays_selected()?;
    }
    Ok(())
}

fn response_session(bench: &mut dyn Bench) -> Outcome {
    for id in FOREIGN.map(SessionId) {
        let select = bench.begin_not_selected()?;
        bench.send(Header::select_rsp(select).with_session(id))?;
        bench.told(&[Report::Selected])?;
        bench.stays_selected()?;
    }
    Ok(())
}

fn status_octet(bench: &mut dyn Bench) -> Outcome {
    for byte2 in [1, 3, 0x80, 0xFF] {
        let select = bench.begin_not_selected()?;
        bench.send(Header { byte2, ..Header::select_rsp(select) })?;
        bench.told(&[Report::Selected])?;
        bench.stays_selected()?;
    }
    Ok(())
}

/// A Select.rsp that belongs to nothing is rejected.
fn response_is_rejected(bench: &mut dyn Bench, response: Header) -> Outcome {
    let reason = RejectReason::TRANSACTION_NOT_OPEN;
    bench.send(response)?;
    bench.expect(Header::reject_req(response.system, SType::SELECT_RSP.0, reason))?;
    bench.told(&[Report::Other(response, Class::Rejected(reason))])
}

fn stray_response(bench: &mut dyn Bench) -> Outcome {
    let select = bench.begin_not_selected()?;
    bench.become_selected(select)?;
    for status in [0, 1, 2, 0xFF] {
        response_is_rejected(bench, Header::select_rsp(TESTER).with_status(status))?;
        if bench.about().is_active() {
            // It was answered before.
            response_is_rejected(bench, Header::select_rsp(select).with_status(status))?;
        }
    }
    bench.stays_selected()
}

fn stray_response_not_selected(bench: &mut dyn Bench) -> Outcome {
    let select = bench.begin_not_selected()?;
    for status in [0, 1, 2, 0xFF] {
        response_is_rejected(bench, Header::select_rsp(TESTER).with_status(status))?;
    }
    bench.stays_not_selected(select)?;
    if bench.about().is_active() {
        // One that answers the Select.req of the connection before.
        let former = bench.begin_not_selected()?;
        bench.shut(Line::First);
        bench.told(&[Report::Closed(CloseReason::TransportClosed)])?;
        let select = bench.not_selected()?;
        response_is_rejected(bench, Header::select_rsp(former))?;
        bench.stays_not_selected(select)?;
    }
    Ok(())
}

fn stray_response_strict(bench: &mut dyn Bench) -> Outcome {
    for selected in [true, false] {
        let select = bench.begin_not_selected()?;
        if selected {
            bench.become_selected(select)?;
        }
        bench.ends(Header::select_rsp(TESTER), CloseReason::UnexpectedMessage(SType::SELECT_RSP))?;
    }
    Ok(())
}

fn is_rejected(bench: &mut dyn Bench) -> Outcome {
    for reason in bench.some(0..=u8::MAX).into_iter().map(RejectReason) {
        let select = bench.begin_not_selected()?;
        let offender = if reason == RejectReason::PTYPE_NOT_SUPPORTED { 0 } else { SType::SELECT_REQ.0 };
        bench.ends(Header::reject_req(select, offender, reason), CloseReason::SelectRejected(reason))?;
    }
    Ok(())
}

fn something_else_is_rejected(bench: &mut dyn Bench) -> Outcome {
    for reason in [1, 3, 4, 0xFF].map(RejectReason) {
        let select = bench.begin_not_selected()?;
        let reject = Header::reject_req(select, SType::LINKTEST_REQ.0, reason);
        bench.send(reject)?;
        bench.told(&[Report::StrayReject(reject)])?;
        bench.stays_not_selected(select)?;
    }
    Ok(())
}

fn data_behind(bench: &mut dyn Bench) -> Outcome {
    let select = bench.begin_not_selected()?;
    let active = bench.about().is_active();
    let header = if active { Header::select_rsp(select) } else { Header::select_req(TESTER) };
    let data = Header::data(TESTER, S1F1, false, DATA);
    bench.send_octets(&[encode(&header, &[]), encode(&data, &[0x01, 0x00])].concat())?;
    if !active {
        bench.expect(Header::select_rsp(TESTER))?;
    }
    bench.told(&[Report::Selected, Report::Primary(Frame::new(data, &[0x01, 0x00]))])?;
    bench.stays_selected()
}

fn outlasts(bench: &mut dyn Bench, timer: Timer) -> Outcome {
    let span = bench.begin_timed(timer)?;
    bench.selected()?;
    bench.quiet(span * 2)?;
    bench.told(&[])?;
    bench.stays_selected()
}

fn t7_ends(bench: &mut dyn Bench) -> Outcome {
    outlasts(bench, Timer::T7)
}

fn t6_ends(bench: &mut dyn Bench) -> Outcome {
    outlasts(bench, Timer::T6)
}

fn t7_does_not_count(bench: &mut dyn Bench) -> Outcome {
    let t7 = bench.span(Timer::T7);
    // An active one may have asked before `begin` is over.
    let since = bench.now();
    bench.begin_with(|config| set(set(config, Timer::T7, t7)?, Timer::T6, t7 * 2))?;
    bench.not_selected()?;
    bench.closed_at(since, t7 * 2)?;
    bench.told(&[Report::Closed(CloseReason::T6(ControlRequest::Select))])
}

fn t7_on_command(bench: &mut dyn Bench) -> Outcome {
    let t7 = bench.span(Timer::T7);
    bench.begin_with(|config| set(config.with_select_mode(SelectMode::OnCommand), Timer::T7, t7))?;
    let since = bench.connect()?;
    bench.closed_at(since, t7)?;
    bench.told(&[Report::Closed(CloseReason::T7)])
}

fn on_command(bench: &mut dyn Bench) -> Outcome {
    let t7 = bench.span(Timer::T7);
    bench.begin_with(|config| {
        set(set(config.with_select_mode(SelectMode::OnCommand), Timer::T7, t7)?, Timer::T6, t7 * 4)
    })?;
    bench.connect()?;
    bench.quiet(t7 / 2)?;
    bench.does(Command::Select)?;
    let frame = bench.frame()?;
    let select = frame.header.system;
    bench.is(&frame, &Frame::new(Header::select_req(select), &[]))?;
    bench.quiet(t7 * 2)?;
    bench.told(&[])?;
    bench.stays_not_selected(select)
}

fn passive_never_selects(bench: &mut dyn Bench) -> Outcome {
    bench.begin()?;
    bench.refuses(Command::Select)?;
    let select = bench.not_selected()?;
    bench.refuses(Command::Select)?;
    bench.quiet(Duration::from_millis(100))?;
    bench.stays_not_selected(select)?;
    bench.refuses(Command::Select)?;
    bench.stays_selected()?;
    bench.told(&[])
}

fn selects_once(bench: &mut dyn Bench) -> Outcome {
    let select = bench.begin_not_selected()?;
    bench.refuses(Command::Select)?;
    bench.stays_not_selected(select)?;
    bench.refuses(Command::Select)?;
    bench.stays_selected()?;
    bench.told(&[])
}
