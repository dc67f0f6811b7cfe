//! Connecting, and how a connection ends (E37 5.3, 6.3, 6.4, 9.1.1, 9.2.1; E37.1 Tables 1 and 2 rows 2, 4 and 5).

use crate::conformance::{
    Applies, Bench, Command, Frame, Line, Outcome, Report, Rule, S1F1, TESTER, Timer, encode, linktest, primary,
    require, set,
};
use hsms_core::connection::{CloseReason, ControlRequest, Leniency, TransactionEnd};
use hsms_core::wire::{Header, RejectReason, SType, SelectStatus, SystemBytes};
use std::time::Duration;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E37-6.3.2",
        duty: "The passive side accepts a connection, is NOT SELECTED, and sends nothing by itself.",
        applies: Applies::ALL.passive(),
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
        id: "E37-6.3.3/at-once",
        duty: "The first attempt to connect is made at once, not after T5.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/connection/input.rs: take_course",
        test: dials_at_once,
    },
    Rule {
        id: "E37-5.3-3",
        duty: "When the peer ends the transport, while SELECTED or NOT SELECTED, the connection is NOT CONNECTED, the application \
               is told, and the passive side takes the next caller at once.",
        applies: Applies::ALL.passive(),
        place: "hsms-core/src/connection/transition.rs: happened",
        test: listens_again,
    },
    Rule {
        id: "E37-9.2.1/passive",
        duty: "The passive side has no T5: after it has ended a connection itself it takes the next caller at once.",
        applies: Applies::SS.passive(),
        place: "hsms-core/src/connection/input.rs: close",
        test: passive_has_no_t5,
    },
    Rule {
        id: "E37-9.2.1/failed",
        duty: "After an attempt to connect that failed the active side makes the next one when T5 is over, and not before, however \
               many have failed.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/connection/transition.rs: happened",
        test: failed_attempts,
    },
    Rule {
        id: "E37-9.2.1/slow",
        duty: "T5 counts from the end of an attempt to connect, not from its beginning.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/connection/input.rs: take_course",
        test: slow_attempt,
    },
    Rule {
        id: "E37-6.3.2/port-taken",
        duty: "A passive side that cannot have its port tries again when T5 is over, which the standard leaves to us.",
        applies: Applies::ALL.passive(),
        place: "hsms-core/src/connection/transition.rs: happened",
        test: port_taken,
    },
    Rule {
        id: "E37.1-T2-4/T5",
        duty: "When selecting has failed, by T6, by a status or by a Reject.req, the active side dials again T5 after it has closed.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/connection/input.rs: close",
        test: t5_after_failed_select,
    },
    Rule {
        id: "E37-9.2.1/ended",
        duty: "T5 stands also behind a session that was ended on purpose, by either side: the active side dials again only when it \
               is over.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/connection/input.rs: close",
        test: t5_after_ended_session,
    },
    Rule {
        id: "E37-9.2.1/enabled",
        duty: "T5 goes on while the connection is disabled: enabling it again does not bring the next attempt forward.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/connection/input.rs: take_course",
        test: t5_survives_disabling,
    },
    Rule {
        id: "E37-6.3.1/disabled",
        duty: "A connection that was disabled neither dials nor listens until it is enabled again; then it is as usual.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/transition.rs: happened",
        test: disabled,
    },
    Rule {
        id: "E37-9.1.1",
        duty: "A communication failure while SELECTED closes the transport without a farewell; the application is told what failed.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/transition.rs: happened",
        test: failure,
    },
    Rule {
        id: "E37-9.1.1/again",
        duty: "After a communication failure it connects or takes a connection again by itself, and is selected as it was at first.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/transition.rs: happened",
        test: again_after_failure,
    },
    Rule {
        id: "E37-9.1.1/transactions",
        duty: "When a connection ends, in whichever way, the application is told of each of its primaries that is open then; nothing \
               is sent about them.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/output.rs: poll_end",
        test: open_primaries_end,
    },
    Rule {
        id: "E37-9.1.1/fresh",
        duty: "The part of a message that a broken connection has left behind is not taken for the beginning of the next one's.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: close",
        test: part_of_a_message,
    },
    Rule {
        id: "E37-5.3-3/void",
        duty: "What the peer asked over a connection that has ended cannot be replied to over the next one.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: take_course",
        test: reply_is_void,
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
    bench.is(&frame, &Frame::new(Header::select_req(system), &[]))?;
    bench.quiet(Duration::from_millis(100))
}

fn dials_at_once(bench: &mut dyn Bench) -> Outcome {
    bench.begin_with(|config| config.with_t5(MINUTE))?;
    let patience = bench.about().patience();
    require(bench.open(Line::First, patience)?, || "no attempt to connect".into())?;
    selects(bench)?;
    bench.told(&[])
}

fn listens_again(bench: &mut dyn Bench) -> Outcome {
    for selected in [true, false] {
        bench.begin()?;
        if selected {
            bench.selected()?;
        } else {
            bench.not_selected()?;
            is_there(bench)?;
        }
        bench.shut(Line::First);
        bench.told(&[Report::Closed(CloseReason::TransportClosed)])?;
        bench.selected()?;
        bench.stays_selected()?;
    }
    Ok(())
}

fn passive_has_no_t5(bench: &mut dyn Bench) -> Outcome {
    for reason in [CloseReason::Separated, CloseReason::SeparateReceived, CloseReason::LengthTooShort { length: 9 }] {
        bench.begin_with(|config| config.with_t5(MINUTE))?;
        bench.selected()?;
        match reason {
            CloseReason::Separated => says_farewell(bench, Command::Separate)?,
            CloseReason::SeparateReceived => bench.send(Header::separate_req(TESTER))?,
            _ => bench.send_octets(&[0, 0, 0, 9])?,
        }
        bench.expect_closed()?;
        bench.told(&[Report::Closed(reason)])?;
        let patience = bench.about().patience();
        require(bench.open(Line::First, patience)?, || "the next caller is not taken at once".into())?;
        bench.become_selected(SystemBytes(0))?;
        bench.stays_selected()?;
    }
    Ok(())
}

fn failed_attempts(bench: &mut dyn Bench) -> Outcome {
    let t5 = bench.begin_timed(Timer::T5)?;
    let moment = Duration::from_millis(1);
    let patience = bench.about().patience();
    require(bench.fail_open(patience)?, || "no attempt to connect".into())?;
    for _ in 0..5 {
        let before = t5.saturating_sub(moment);
        require(!bench.fail_open(before)?, || "an attempt to connect before T5 was over".into())?;
        require(bench.fail_open(moment + patience)?, || "no attempt to connect when T5 was over".into())?;
    }
    let since = bench.now();
    bench.dials_at(since, t5)?;
    selects(bench)?;
    bench.told(&[])
}

fn slow_attempt(bench: &mut dyn Bench) -> Outcome {
    let t5 = bench.begin_timed(Timer::T5)?;
    // The attempt is under way meanwhile.
    bench.quiet(t5 * 3)?;
    require(bench.fail_open(Duration::ZERO)?, || "no attempt to connect".into())?;
    let since = bench.now();
    bench.dials_at(since, t5)?;
    selects(bench)
}

fn port_taken(bench: &mut dyn Bench) -> Outcome {
    let t5 = bench.begin_timed(Timer::T5)?;
    let patience = bench.about().patience();
    require(bench.fail_open(patience)?, || "it does not listen".into())?;
    let since = bench.now();
    bench.dials_at(since, t5)?;
    bench.told(&[])?;
    bench.stays_not_selected(SystemBytes(0))
}

fn t5_after_failed_select(bench: &mut dyn Bench) -> Outcome {
    let (t5, t6) = (bench.span(Timer::T5), bench.span(Timer::T6));
    // An active one may have asked before `begin` is over.
    let since = bench.now();
    bench.begin_with(|config| set(set(config, Timer::T5, t5)?, Timer::T6, t6))?;
    bench.not_selected()?;
    bench.closed_at(since, t6)?;
    bench.told(&[Report::Closed(CloseReason::T6(ControlRequest::Select))])?;
    // In real time the closing is noticed later than it happens.
    let closed = if bench.about().virtual_time { bench.now() } else { since.saturating_add(t6) };
    bench.dials_at(closed, t5)?;
    selects(bench)?;
    for refused in [true, false] {
        let t5 = bench.begin_timed(Timer::T5)?;
        let select = bench.not_selected()?;
        let since = bench.now();
        if refused {
            let status = SelectStatus::CONNECTION_NOT_READY;
            bench.ends(Header::select_rsp(select).with_status(status.0), CloseReason::SelectRefused(status))?;
        } else {
            let reason = RejectReason::STYPE_NOT_SUPPORTED;
            let reject = Header::reject_req(select, SType::SELECT_REQ.0, reason);
            bench.ends(reject, CloseReason::SelectRejected(reason))?;
        }
        bench.dials_at(since, t5)?;
        selects(bench)?;
    }
    Ok(())
}

fn t5_after_ended_session(bench: &mut dyn Bench) -> Outcome {
    let mut reasons = vec![CloseReason::Separated, CloseReason::SeparateReceived];
    if is_lenient(bench) {
        reasons.push(CloseReason::DeselectAnswered);
    }
    for reason in reasons {
        let t5 = bench.begin_timed(Timer::T5)?;
        bench.selected()?;
        let since = bench.now();
        let mut told = vec![Report::Closed(reason)];
        match reason {
            CloseReason::Separated => says_farewell(bench, Command::Separate)?,
            CloseReason::SeparateReceived => bench.send(Header::separate_req(TESTER))?,
            _ => {
                bench.send(Header::deselect_req(TESTER))?;
                bench.expect(Header::deselect_rsp(TESTER))?;
                told.push(Report::Lenient(Leniency::Deselect));
            }
        }
        bench.expect_closed()?;
        bench.told(&told)?;
        bench.dials_at(since, t5)?;
        selects(bench)?;
    }
    Ok(())
}

fn t5_survives_disabling(bench: &mut dyn Bench) -> Outcome {
    let t5 = bench.begin_timed(Timer::T5)?;
    bench.selected()?;
    let since = bench.now();
    says_farewell(bench, Command::Disable)?;
    bench.expect_closed()?;
    bench.told(&[Report::Closed(CloseReason::Disabled)])?;
    bench.does(Command::Enable)?;
    bench.dials_at(since, t5)?;
    selects(bench)
}

fn disabled(bench: &mut dyn Bench) -> Outcome {
    let t5 = bench.begin_timed(Timer::T5)?;
    bench.not_selected()?;
    is_there(bench)?;
    bench.does(Command::Disable)?;
    bench.expect_closed()?;
    bench.told(&[Report::Closed(CloseReason::Disabled)])?;
    bench.stays_away(t5 * 2)?;
    bench.does(Command::Enable)?;
    let select = if bench.about().is_active() {
        bench.not_selected()?
    } else {
        listens(bench)?;
        SystemBytes(0)
    };
    bench.stays_not_selected(select)
}

fn failure(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    bench.send_octets(&[0, 0, 0, 9])?;
    bench.expect_closed()?;
    bench.told(&[Report::Closed(CloseReason::LengthTooShort { length: 9 })])?;

    let t8 = bench.begin_timed(Timer::T8)?;
    bench.selected()?;
    let since = bench.now();
    bench.send_octets(&[0, 0])?;
    bench.closed_at(since, t8)?;
    bench.told(&[Report::Closed(CloseReason::T8 { received: 2 })])?;

    let t6 = bench.begin_timed(Timer::T6)?;
    bench.selected()?;
    let since = bench.now();
    bench.does(Command::Linktest)?;
    let frame = bench.frame()?;
    bench.is(&frame, &Frame::new(Header::linktest_req(frame.header.system), &[]))?;
    bench.closed_at(since, t6)?;
    bench.told_some(&Report::Closed(CloseReason::T6(ControlRequest::Linktest)))
}

fn again_after_failure(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for _ in 0..2 {
        bench.send_octets(&[0, 0, 0, 9])?;
        bench.expect_closed()?;
        bench.told(&[Report::Closed(CloseReason::LengthTooShort { length: 9 })])?;
        bench.selected()?;
        bench.stays_selected()?;
        bench.told(&[])?;
    }
    Ok(())
}

fn open_primaries_end(bench: &mut dyn Bench) -> Outcome {
    for reason in [
        CloseReason::TransportClosed,
        CloseReason::SeparateReceived,
        CloseReason::Separated,
        CloseReason::Disabled,
        CloseReason::LengthTooShort { length: 9 },
    ] {
        bench.begin_selected()?;
        let (one, other) = (bench.request(S1F1, &[])?, bench.request(S1F1, &[0x01, 0x00])?);
        match reason {
            CloseReason::TransportClosed => bench.shut(Line::First),
            CloseReason::SeparateReceived => bench.send(Header::separate_req(TESTER))?,
            CloseReason::Separated => says_farewell(bench, Command::Separate)?,
            CloseReason::Disabled => says_farewell(bench, Command::Disable)?,
            _ => bench.send_octets(&[0, 0, 0, 9])?,
        }
        if reason != CloseReason::TransportClosed {
            bench.expect_closed()?;
        }
        let ended = |request: Header| Report::Ended(request.system, TransactionEnd::SessionEnded);
        bench.told(&[Report::Closed(reason), ended(one), ended(other)])?;
    }
    Ok(())
}

fn part_of_a_message(bench: &mut dyn Bench) -> Outcome {
    let whole = encode(&primary(S1F1), &[0x21, 0x01, 7]);
    for cut in bench.some(1..whole.len()) {
        bench.begin_selected()?;
        bench.send_octets(whole.get(..cut).unwrap_or(&whole))?;
        bench.shut(Line::First);
        bench.told_some(&Report::Closed(CloseReason::TransportClosed))?;
        bench.selected()?;
        bench.send(linktest())?;
        bench.expect(Header::linktest_rsp(linktest().system))?;
        bench.stays_selected()?;
        bench.told(&[])?;
    }
    Ok(())
}

fn reply_is_void(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    bench.send(primary(S1F1))?;
    bench.told(&[Report::Primary(Frame::new(primary(S1F1), &[]))])?;
    bench.shut(Line::First);
    bench.told(&[Report::Closed(CloseReason::TransportClosed)])?;
    bench.selected()?;
    bench.refuses(Command::Reply(Vec::new()))?;
    bench.stays_selected()?;
    bench.told(&[])
}

/// A T5 that is longer than any test waits over a socket, and that the strict profile allows.
const MINUTE: Duration = Duration::from_secs(60);

fn is_lenient(bench: &dyn Bench) -> bool {
    bench.about().setup.profile == hsms_core::config::Profile::Lenient
}

/// The next that comes is a Select.req.
fn selects(bench: &mut dyn Bench) -> Outcome {
    let frame = bench.frame()?;
    bench.is(&frame, &Frame::new(Header::select_req(frame.header.system), &[]))
}

/// Makes sure that a passive subject has taken the connection: until then its system answers for it. Serves where nothing may
/// be sent back and the state may not change.
pub(super) fn is_there(bench: &mut dyn Bench) -> Outcome {
    let reject = Header::reject_req(TESTER, SType::LINKTEST_REQ.0, RejectReason::STYPE_NOT_SUPPORTED);
    bench.send(reject)?;
    bench.told(&[Report::StrayReject(reject)])
}

/// The application ends the session: Separate.req goes out.
fn says_farewell(bench: &mut dyn Bench, command: Command) -> Outcome {
    bench.does(command)?;
    let frame = bench.frame()?;
    bench.is(&frame, &Frame::new(Header::separate_req(frame.header.system), &[]))
}

/// A passive subject takes a caller. In real time it needs a moment to listen again, in which calls are refused.
fn listens(bench: &mut dyn Bench) -> Outcome {
    let patience = bench.about().patience();
    let until = bench.now().saturating_add(patience);
    loop {
        if bench.open(Line::First, patience)? {
            return Ok(());
        }
        require(!bench.about().virtual_time && bench.now() < until, || "it does not listen again".into())?;
        std::thread::yield_now();
    }
}
