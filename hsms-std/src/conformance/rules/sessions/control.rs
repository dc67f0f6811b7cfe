//! Linktest, Reject and malformed control messages of HSMS-GS (E37 7.5, 7.7, 8.1.4, 9.3.3; E37.2 8.1).

use super::request;
use crate::conformance::{
    Applies, Bench, Command, HIGH, NOBODY, Outcome, Report, Rule, SHARED, TESTER, TOP, Timer, linktest, require,
};
use hsms_core::connection::{Class, CloseReason, ControlRequest, Leniency, SessionEnd, SessionRefusal};
use hsms_core::wire::{DeselectStatus, Header, PType, RejectReason, SType, SessionId, SystemBytes};

pub(in super::super) const RULES: &[Rule] = &[
    Rule {
        id: "E37.2-7.5/answer",
        duty: "Linktest.req is answered with Linktest.rsp and FFFF in any state; nothing changes.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: of_message",
        test: answers,
    },
    Rule {
        id: "E37.2-7.5/send",
        duty: "A Linktest.req of its own carries FFFF, with however many sessions, and without any.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/command.rs: linktest",
        test: sends,
    },
    Rule {
        id: "E37.2-7.5/outlives",
        duty: "A linktest of its own belongs to the connection: it stays open while sessions begin and end.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/output.rs: has_linktest_to_end",
        test: outlives,
    },
    Rule {
        id: "E37.2-7.5/T6",
        duty: "A Linktest.req of its own that is not answered within T6 ends the connection, SELECTED or not.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/input.rs: t6",
        test: t6,
    },
    Rule {
        id: "E37.2-7.5/period",
        duty: "Linktests by itself are sent while a session is selected and nothing was received for the period, and not before or \
               after.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/output.rs: linktest_due",
        test: period,
    },
    Rule {
        id: "E37.2-7.7/1",
        duty: "A message with an SType that E37 does not define is answered with Reject.req, reason 1, that SType and the session id of \
               the message, in any state; nothing changes.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: of_message",
        test: unknown_stype,
    },
    Rule {
        id: "E37.2-7.7/2",
        duty: "A message with a PType other than 0 is answered with Reject.req, reason 2, that PType and the session id of the message, in \
               any state; nothing changes.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/input.rs: answer",
        test: unknown_ptype,
    },
    Rule {
        id: "E37.2-7.7/3",
        duty: "A Select.rsp, Deselect.rsp or Linktest.rsp without an open request is answered with Reject.req, reason 3, its SType and its \
               session id, in any state; nothing changes.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: not_open",
        test: orphan_response,
    },
    Rule {
        id: "E37.2-7.7/3/kind",
        duty: "A response of another kind than the open request with its system bytes is answered with Reject.req, reason 3; the request \
               stays open.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: select_rsp",
        test: other_kind,
    },
    Rule {
        id: "E37-7.2.1/once",
        duty: "A request is answered once: a further response to it is answered with Reject.req, reason 3, and changes nothing.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/sessions.rs: take_session_step",
        test: answered_once,
    },
    Rule {
        id: "E37.2-7.7/never",
        duty: "A Reject.req that belongs to nothing is told to the application and never answered, whatever its session id and reason.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/transition.rs: reject",
        test: never_answered,
    },
    Rule {
        id: "E37-9.3.3/sessions",
        duty: "A control message with text is answered with Reject.req, reason 1 and its session id, in any state, and has no other \
               effect.",
        applies: Applies::GS.lenient(),
        place: "hsms-core/src/connection/transition.rs: with_text",
        test: control_text,
    },
    Rule {
        id: "E37-9.3.3/sessions/strict",
        duty: "A control message with text ends the connection; nothing is sent.",
        applies: Applies::GS.strict(),
        place: "hsms-core/src/connection/transition.rs: with_text",
        test: control_text_strict,
    },
    Rule {
        id: "E37-8.1.4.6/sessions",
        duty: "Requests about sessions, linktests and primaries of all sessions have system bytes of one row: none has those of another \
               that is open.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/sessions.rs: open_session_request",
        test: unique,
    },
    Rule {
        id: "E37-8.1.4.6/sessions/echo",
        duty: "Responses about sessions repeat the system bytes of their requests, whatever they are, those of its own open requests \
               included.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/input.rs: answer",
        test: echoes,
    },
];

fn answers(bench: &mut dyn Bench) -> Outcome {
    bench.begin_without_session()?;
    bench.stays_connected()?;
    for session in [SHARED, HIGH] {
        bench.select_session(session)?;
        bench.stays_connected()?;
    }
    bench.told(&[])
}

fn asks(bench: &mut dyn Bench) -> Outcome<Header> {
    bench.asks(Command::Linktest, linktest()).map(Header::linktest_rsp)
}

fn sends(bench: &mut dyn Bench) -> Outcome {
    bench.begin_without_session()?;
    for session in [None, Some(SHARED), Some(HIGH)] {
        session.map_or(Ok(()), |session| bench.select_session(session))?;
        let response = asks(bench)?;
        bench.send(response)?;
        bench.told(&[Report::LinktestAnswered])?;
    }
    Ok(())
}

fn outlives(bench: &mut dyn Bench) -> Outcome {
    let session = |header: Header| header.with_session(SHARED);
    for deselected in [true, false] {
        bench.begin_without_session()?;
        let response = asks(bench)?;
        bench.send(session(Header::select_req(TESTER)))?;
        bench.expect(session(Header::select_rsp(TESTER)))?;
        bench.stays_selected_in(SHARED)?;
        let end = if deselected {
            bench.send(session(Header::deselect_req(TESTER)))?;
            bench.expect(session(Header::deselect_rsp(TESTER)))?;
            SessionEnd::DeselectReceived
        } else {
            bench.send(session(Header::separate_req(TESTER)))?;
            SessionEnd::SeparateReceived
        };
        bench.stays_connected()?;
        bench.send(response)?;
        let ended = Report::SessionEnded(SHARED, end);
        bench.told(&[Report::SessionSelected(SHARED), ended, Report::LinktestAnswered])?;
    }
    Ok(())
}

fn t6(bench: &mut dyn Bench) -> Outcome {
    for sessions in [&[][..], &[SHARED]] {
        for (wait, in_time) in bench.around(Timer::T6) {
            let t6 = bench.begin_timed(Timer::T6)?;
            let select = bench.not_selected()?;
            bench.refuse_wanted(select)?;
            sessions.iter().try_for_each(|session| bench.select_session(*session))?;
            let since = bench.now();
            let response = asks(bench)?;
            if in_time {
                bench.quiet(wait)?;
                bench.send(response)?;
                bench.told(&[Report::LinktestAnswered])?;
            } else {
                bench.closed_at(since, t6)?;
                bench.told_some(&Report::Closed(CloseReason::T6(ControlRequest::Linktest)))?;
            }
        }
    }
    Ok(())
}

fn period(bench: &mut dyn Bench) -> Outcome {
    let period = bench.begin_timed(Timer::Linktest)?;
    let select = bench.not_selected()?;
    bench.refuse_wanted(select)?;
    bench.quiet(period)?;
    let since = bench.now();
    bench.select_session(SHARED)?;
    let frame = bench.frame_at(since, period)?;
    require(frame.header == Header::linktest_req(frame.header.system), || format!("{:?}", frame.header))?;
    bench.send(Header::linktest_rsp(frame.header.system))?;
    bench.told(&[Report::LinktestAnswered])?;
    super::separate(bench, SHARED)?;
    bench.quiet(period)
}

/// In NOT SELECTED, then in SELECTED with [`SHARED`].
fn in_any_state(bench: &mut dyn Bench, test: impl Fn(&mut dyn Bench) -> Outcome) -> Outcome {
    bench.begin_without_session()?;
    test(bench)?;
    bench.lacks_session(SHARED)?;
    bench.select_session(SHARED)?;
    test(bench)?;
    bench.stays_selected_in(SHARED)
}

fn unknown_stype(bench: &mut dyn Bench) -> Outcome {
    in_any_state(bench, |bench| {
        for stype in bench.some((0..=u8::MAX).filter(|stype| matches!(stype, 8 | 10..))) {
            let session = if stype % 2 == 0 { SHARED } else { NOBODY };
            let offender = Header { stype: SType(stype), session, ..linktest() };
            bench.rejects(offender, stype, RejectReason::STYPE_NOT_SUPPORTED)?;
        }
        Ok(())
    })
}

fn unknown_ptype(bench: &mut dyn Bench) -> Outcome {
    in_any_state(bench, |bench| {
        for ptype in bench.some(1..=u8::MAX) {
            for stype in [SType::DATA, SType::SELECT_REQ, SType::SEPARATE_REQ] {
                let session = if ptype % 2 == 0 { SHARED } else { NOBODY };
                let offender = Header { stype, ptype: PType(ptype), session, ..linktest() };
                bench.rejects(offender, ptype, RejectReason::PTYPE_NOT_SUPPORTED)?;
            }
        }
        Ok(())
    })
}

fn orphan_response(bench: &mut dyn Bench) -> Outcome {
    in_any_state(bench, |bench| {
        for session in [SHARED, NOBODY, SessionId::CONTROL] {
            for response in [Header::select_rsp(TESTER), Header::deselect_rsp(TESTER), Header::linktest_rsp(TESTER)] {
                let response = response.with_session(session);
                bench.rejects(response, response.stype.0, RejectReason::TRANSACTION_NOT_OPEN)?;
            }
        }
        Ok(())
    })
}

fn other_kind(bench: &mut dyn Bench) -> Outcome {
    let reason = RejectReason::TRANSACTION_NOT_OPEN;
    bench.begin_sessions(&[HIGH])?;
    let select = bench.asks_select(SHARED)?;
    for wrong in [Header::deselect_rsp(select), Header::linktest_rsp(select)] {
        bench.rejects(wrong.with_session(SHARED), wrong.stype.0, reason)?;
    }
    bench.send(Header::select_rsp(select).with_session(SHARED))?;
    bench.told(&[Report::SessionSelected(SHARED)])?;
    let deselect = bench.asks_deselect(HIGH)?;
    let mut reports = vec![Report::SessionEnded(HIGH, SessionEnd::Deselected)];
    for wrong in [Header::select_rsp(deselect), Header::linktest_rsp(deselect)].map(|wrong| wrong.with_session(HIGH)) {
        bench.send(wrong)?;
        bench.expect(Header::reject_req(deselect, wrong.stype.0, reason).with_session(HIGH))?;
        reports.push(Report::Other(wrong, Class::Rejected(reason)));
    }
    bench.stays_selected_in(HIGH)?;
    bench.send(Header::deselect_rsp(deselect).with_session(HIGH))?;
    bench.told(&reports)
}

fn answered_once(bench: &mut dyn Bench) -> Outcome {
    let reason = RejectReason::TRANSACTION_NOT_OPEN;
    bench.begin_without_session()?;
    let system = bench.asks_select(SHARED)?;
    let response = Header::select_rsp(system).with_session(SHARED);
    bench.send(response)?;
    bench.told(&[Report::SessionSelected(SHARED)])?;
    bench.rejects(response, response.stype.0, reason)?;
    bench.stays_selected_in(SHARED)?;
    let system = bench.asks_deselect(SHARED)?;
    let refusal = Header::deselect_rsp(system).with_session(SHARED).with_status(2);
    bench.send(refusal)?;
    let refused = SessionRefusal::Deselect(DeselectStatus(2));
    bench.told(&[Report::SessionRefused(SHARED, refused)])?;
    bench.rejects(refusal.with_status(0), refusal.stype.0, reason)?;
    bench.stays_selected_in(SHARED)
}

fn never_answered(bench: &mut dyn Bench) -> Outcome {
    in_any_state(bench, |bench| {
        for reason in bench.some(1..=u8::MAX).into_iter().map(RejectReason) {
            for session in [SHARED, NOBODY, SessionId::CONTROL] {
                let reject = Header::reject_req(TESTER, SType::SELECT_REQ.0, reason).with_session(session);
                bench.send(reject)?;
                bench.told(&[Report::StrayReject(reject)])?;
            }
        }
        bench.stays_connected()
    })
}

/// Every control message but Reject.req, about [`SHARED`] where it is about a session.
fn control() -> [Header; 7] {
    [
        Header::select_req(TESTER).with_session(SHARED),
        Header::select_rsp(TESTER).with_session(SHARED),
        Header::deselect_req(TESTER).with_session(SHARED),
        Header::deselect_rsp(TESTER).with_session(SHARED),
        linktest(),
        Header::linktest_rsp(TESTER),
        Header::separate_req(TESTER).with_session(SHARED),
    ]
}

fn control_text(bench: &mut dyn Bench) -> Outcome {
    let reason = RejectReason::STYPE_NOT_SUPPORTED;
    in_any_state(bench, |bench| {
        for header in control() {
            for len in [1, 2000_u32] {
                bench.send_text(header, &vec![1; usize::try_from(len).unwrap_or_default()])?;
                bench.expect(Header::reject_req(TESTER, header.stype.0, reason).with_session(header.session))?;
                let lenient = Report::Lenient(Leniency::ControlText { stype: header.stype, body_len: len });
                bench.told(&[Report::Other(header, Class::Rejected(reason)), lenient])?;
            }
        }
        Ok(())
    })
}

fn control_text_strict(bench: &mut dyn Bench) -> Outcome {
    for header in bench.some(control()) {
        for sessions in [&[][..], &[SHARED]] {
            bench.begin_sessions(sessions)?;
            bench.send_text(header, &[1])?;
            bench.expect_closed()?;
            let reason = CloseReason::ControlText { stype: header.stype, body_len: 1 };
            bench.told(&[Report::Other(header, Class::Fatal), Report::Closed(reason)])?;
        }
    }
    Ok(())
}

fn unique(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[SHARED, HIGH])?;
    let mut seen = Vec::new();
    for session in [SHARED, HIGH, SHARED] {
        seen.push(request(bench, session)?.system);
    }
    seen.push(bench.asks_select(TOP)?);
    seen.push(bench.asks_deselect(HIGH)?);
    seen.push(asks(bench)?.system);
    seen.push(request(bench, SHARED)?.system);
    let count = seen.len();
    seen.sort();
    seen.dedup();
    require(seen.len() == count, || format!("only {} of {count} requests had system bytes of their own", seen.len()))
}

fn echoes(bench: &mut dyn Bench) -> Outcome {
    bench.begin_without_session()?;
    let own = bench.asks_select(SHARED)?;
    for system in [0, 1, 0x8000_0000, 0x0102_0304, u32::MAX, own.0].map(SystemBytes) {
        bench.send(Header::select_req(system).with_session(HIGH))?;
        bench.expect(Header::select_rsp(system).with_session(HIGH))?;
        bench.told(&[Report::SessionSelected(HIGH)])?;
        bench.send(Header::deselect_req(system).with_session(HIGH))?;
        bench.expect(Header::deselect_rsp(system).with_session(HIGH))?;
        bench.told(&[Report::SessionEnded(HIGH, SessionEnd::DeselectReceived)])?;
    }
    // Its own is open still.
    bench.send(Header::select_rsp(own).with_session(SHARED))?;
    bench.told(&[Report::SessionSelected(SHARED)])
}
