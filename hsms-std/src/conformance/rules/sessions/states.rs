//! States of a connection with sessions, and T7 (E37.2 5.9; E37 5.3, 9.2.2).

use crate::conformance::{Applies, Bench, HIGH, NOBODY, Outcome, Report, Rule, SHARED, TESTER, TOP, Timer};
use hsms_core::connection::CloseReason;
use hsms_core::wire::{Header, SelectStatus};
use std::time::Duration;

pub(in super::super) const RULES: &[Rule] = &[
    Rule {
        id: "E37.2-5.9/2/T7",
        duty: "A connection without a session for T7 ends, on either side.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/transition.rs: happened",
        test: t7,
    },
    Rule {
        id: "E37-9.2.2/moved",
        duty: "Nothing that happens while NOT SELECTED moves T7: linktests, refused Select.req of either side, rejected data.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/input.rs: take_course",
        test: t7_is_not_moved,
    },
    Rule {
        id: "E37.2-5.9/4",
        duty: "The first session makes the connection SELECTED and stops T7.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/sessions.rs: begin_session",
        test: t7_stops,
    },
    Rule {
        id: "E37.2-5.9/5",
        duty: "With the end of the last session, by Deselect or Separate of either side, the connection is NOT SELECTED: it stays, and \
               T7 begins anew.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/sessions.rs: end_session",
        test: t7_anew,
    },
    Rule {
        id: "E37.2-5.9/6",
        duty: "A further session joins those that are selected; all of them take data.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/sessions.rs: begin_session",
        test: joins,
    },
    Rule {
        id: "E37.2-5.9/7",
        duty: "With the end of a session that was not the last, by Deselect or Separate of either side, the connection stays SELECTED, \
               and T7 does not run.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/sessions.rs: end_session",
        test: stays_selected,
    },
];

/// NOT SELECTED, with a T7 that can be waited for. Gives T7 and a moment that is not later than its start.
fn begin(bench: &mut dyn Bench) -> Outcome<(Duration, Duration)> {
    let t7 = bench.begin_timed(Timer::T7)?;
    let since = bench.now();
    let select = bench.not_selected()?;
    bench.refuse_wanted(select)?;
    Ok((t7, since))
}

fn ends(bench: &mut dyn Bench, since: Duration, t7: Duration) -> Outcome {
    bench.closed_at(since, t7)?;
    bench.told(&[Report::Closed(CloseReason::T7)])
}

fn t7(bench: &mut dyn Bench) -> Outcome {
    for (wait, in_time) in bench.around(Timer::T7) {
        let (t7, since) = begin(bench)?;
        if in_time {
            bench.quiet(wait)?;
            bench.select_session(SHARED)?;
            bench.stays_selected_in(SHARED)?;
        } else {
            ends(bench, since, t7)?;
        }
    }
    Ok(())
}

fn t7_is_not_moved(bench: &mut dyn Bench) -> Outcome {
    let (t7, since) = begin(bench)?;
    let [(in_time, _), _] = bench.around(Timer::T7);
    bench.quiet(in_time / 4)?;
    bench.stays_connected()?;
    bench.quiet(in_time / 4)?;
    bench.is_refused(NOBODY, SelectStatus::NO_SUCH_ENTITY)?;
    bench.quiet(in_time / 4)?;
    bench.lacks_session(SHARED)?;
    let system = bench.asks_select(SHARED)?;
    bench.quiet(in_time / 4)?;
    let status = SelectStatus::CONNECTION_NOT_READY;
    bench.send(Header::select_rsp(system).with_session(SHARED).with_status(status.0))?;
    let refused = hsms_core::connection::SessionRefusal::Select(status);
    bench.told(&[Report::SessionRefused(SHARED, refused)])?;
    bench.send(Header::separate_req(TESTER).with_session(SHARED))?;
    ends(bench, since, t7)
}

fn t7_stops(bench: &mut dyn Bench) -> Outcome {
    for own in [false, true] {
        let (t7, _) = begin(bench)?;
        if own {
            let system = bench.asks_select(SHARED)?;
            bench.send(Header::select_rsp(system).with_session(SHARED))?;
            bench.told(&[Report::SessionSelected(SHARED)])?;
        } else {
            bench.select_session(SHARED)?;
        }
        bench.quiet(t7 * 2)?;
        bench.stays_selected_in(SHARED)?;
    }
    Ok(())
}

fn t7_anew(bench: &mut dyn Bench) -> Outcome {
    for end in super::ENDS {
        for (wait, in_time) in bench.around(Timer::T7) {
            let (t7, _) = begin(bench)?;
            bench.select_session(SHARED)?;
            bench.quiet(t7 / 2)?;
            let since = bench.now();
            end(bench, SHARED)?;
            if in_time {
                bench.quiet(wait)?;
                bench.select_session(HIGH)?;
            } else {
                ends(bench, since, t7)?;
            }
        }
    }
    Ok(())
}

fn joins(bench: &mut dyn Bench) -> Outcome {
    bench.begin_without_session()?;
    let mut selected = Vec::new();
    for session in [SHARED, HIGH, TOP] {
        bench.select_session(session)?;
        selected.push(session);
        selected.iter().try_for_each(|session| bench.stays_selected_in(*session))?;
    }
    Ok(())
}

fn stays_selected(bench: &mut dyn Bench) -> Outcome {
    for end in super::ENDS {
        let (t7, _) = begin(bench)?;
        bench.select_session(SHARED)?;
        bench.select_session(HIGH)?;
        end(bench, SHARED)?;
        bench.quiet(t7 * 2)?;
        bench.lacks_session(SHARED)?;
        bench.stays_selected_in(HIGH)?;
    }
    Ok(())
}
