//! A second connection while one is served (E37 9.2.4, option a).

use crate::conformance::{
    Applies, Bench, DATA, Frame, Line, Outcome, Report, Rule, S1F1, TESTER, Timer, Wire, encode, linktest, primary,
    require,
};
use hsms_core::config::Profile;
use hsms_core::wire::{Header, RejectReason, SType, SelectStatus, SessionId, StreamFunction, SystemBytes};
use std::time::Duration;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E37-9.2.4/a",
        duty: "A second caller's Select.req is answered with status 1 and its connection closed; the first one does not notice.",
        applies: Applies::SS.passive(),
        place: "hsms-core/src/connection/transition.rs: select_req",
        test: refuses,
    },
    Rule {
        id: "E37-9.2.4/session",
        duty: "The response to a second caller repeats the session id of its Select.req, and it is refused whatever that is.",
        applies: Applies::SS.passive(),
        place: "hsms-core/src/connection/transition.rs: select_req",
        test: any_session,
    },
    Rule {
        id: "E37-9.2.4/not-selected",
        duty: "A second caller is refused also while the first is NOT SELECTED; the first can be selected after that.",
        applies: Applies::SS.passive(),
        place: "hsms-core/src/connection/transition.rs: select_req",
        test: first_is_not_selected,
    },
    Rule {
        id: "E37-9.2.4/T7",
        duty: "A second caller that does not select is closed on when its own T7 is over, and is answered until then.",
        applies: Applies::SS.passive(),
        place: "hsms-core/src/connection/transition.rs: happened",
        test: t7,
    },
    Rule {
        id: "E37-9.2.4/data",
        duty: "Data of a second caller is rejected with reason 4 and not delivered; its Select.req is answered still.",
        applies: Applies::SS.passive().lenient(),
        place: "hsms-core/src/connection/transition.rs: data",
        test: data,
    },
    Rule {
        id: "E37-9.2.4/data/strict",
        duty: "Data of a second caller is rejected with reason 4 and not delivered, and its connection is closed.",
        applies: Applies::SS.passive().strict(),
        place: "hsms-core/src/connection/transition.rs: data",
        test: data,
    },
    Rule {
        id: "E37-9.2.4/linktest",
        duty: "A second caller's Linktest.req is answered; its Select.req is refused still.",
        applies: Applies::SS.passive().lenient(),
        place: "hsms-core/src/connection/transition.rs: control",
        test: linktest_is_answered,
    },
    Rule {
        id: "E37-9.2.4/alone",
        duty: "Whatever a second caller breaks ends its own connection alone: that of the first goes on with its open \
               transactions, and the next caller is refused like any.",
        applies: Applies::SS.passive(),
        place: "hsms-core/src/connection/mod.rs: refusing",
        test: independent,
    },
];

fn refuses(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    // However many come one after another.
    for _ in 0..3 {
        calls(bench)?;
        is_refused(bench, SessionId::CONTROL)?;
        bench.stays_selected()?;
    }
    bench.told(&[])
}

fn any_session(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for id in [0x0000, 0x0001, 0x7FFF, 0x8001, 0xFFFE].map(SessionId) {
        calls(bench)?;
        is_refused(bench, id)?;
    }
    bench.stays_selected()?;
    bench.told(&[])
}

fn first_is_not_selected(bench: &mut dyn Bench) -> Outcome {
    bench.begin()?;
    bench.not_selected()?;
    calls(bench)?;
    is_refused(bench, SessionId::CONTROL)?;
    bench.told(&[])?;
    bench.stays_not_selected(SystemBytes(0))?;
    bench.stays_selected()
}

fn t7(bench: &mut dyn Bench) -> Outcome {
    for (wait, in_time) in bench.around(Timer::T7) {
        let t7 = bench.begin_timed(Timer::T7)?;
        bench.selected()?;
        let since = bench.now();
        calls(bench)?;
        if in_time {
            bench.quiet_on(Line::Second, wait)?;
            is_refused(bench, SessionId::CONTROL)?;
        } else {
            closed_at(bench, since, t7)?;
        }
        bench.stays_selected()?;
        bench.told(&[])?;
    }
    Ok(())
}

fn data(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    calls(bench)?;
    bench.write(Line::Second, &encode(&primary(S1F1), &[]))?;
    bench.expect_on(Line::Second, Header::reject_req(TESTER, SType::DATA.0, RejectReason::ENTITY_NOT_SELECTED), &[])?;
    match bench.about().setup.profile {
        Profile::Lenient => is_refused(bench, SessionId::CONTROL)?,
        Profile::Strict => bench.expect_closed_on(Line::Second)?,
    }
    bench.stays_selected()?;
    bench.told(&[])
}

fn linktest_is_answered(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    calls(bench)?;
    bench.write(Line::Second, &encode(&linktest(), &[]))?;
    bench.expect_on(Line::Second, Header::linktest_rsp(TESTER), &[])?;
    is_refused(bench, SessionId::CONTROL)?;
    bench.stays_selected()?;
    bench.told(&[])
}

fn independent(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let request = bench.request(S1F1, &[])?;
    let mut breaches = vec![
        encode(&Header::separate_req(TESTER), &[]),
        encode(&Header::select_req(TESTER), &[0x01, 0x00]),
        vec![0, 0, 0, 9],
        vec![0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 1, 0, 0, 0, 1],
    ];
    if bench.about().setup.profile == Profile::Strict {
        breaches.push(encode(&linktest(), &[]));
        breaches.push(encode(&Header::select_rsp(TESTER), &[]));
    }
    for breach in breaches {
        calls(bench)?;
        bench.write(Line::Second, &breach)?;
        bench.expect_closed_on(Line::Second)?;
    }
    // One that hangs up in the middle of its message.
    calls(bench)?;
    bench.write(Line::Second, &[0, 0, 0])?;
    bench.shut(Line::Second);
    // Nor does it become easier to take the place of the first.
    calls(bench)?;
    is_refused(bench, SessionId::CONTROL)?;
    bench.stays_selected()?;
    bench.told(&[])?;
    let reply = Header::data(request.system, StreamFunction::new(1, 2), false, DATA);
    bench.send(reply)?;
    bench.told(&[Report::Reply(Frame::new(reply, &[]))])?;
    bench.stays_selected()
}

/// A second caller comes.
fn calls(bench: &mut dyn Bench) -> Outcome {
    let patience = bench.about().patience();
    require(bench.open(Line::Second, patience)?, || "a second caller is not even accepted".into())
}

/// Its Select.req is answered with status 1, and its connection closed.
fn is_refused(bench: &mut dyn Bench, session: SessionId) -> Outcome {
    bench.write(Line::Second, &encode(&Header::select_req(TESTER).with_session(session), &[]))?;
    let refusal = Header::select_rsp(TESTER).with_session(session);
    bench.expect_on(Line::Second, refusal.with_status(SelectStatus::COMMUNICATION_ALREADY_ACTIVE.0), &[])?;
    bench.expect_closed_on(Line::Second)
}

/// The next that comes over the second line is its end, `span` after the moment `since`.
fn closed_at(bench: &mut dyn Bench, since: Duration, span: Duration) -> Outcome {
    let (early, late) = (bench.about().early, bench.about().late);
    let until = since.saturating_add(span).saturating_add(late);
    let within = until.saturating_sub(bench.now());
    let wire = bench.read(Line::Second, within)?;
    require(wire == Wire::Closed, || format!("{wire:?} instead of the end of the transport"))?;
    let took = bench.now().saturating_sub(since);
    require(took.saturating_add(early) >= span, || format!("after {took:?}, which is before {span:?}"))
}
