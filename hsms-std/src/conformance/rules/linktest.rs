//! Linktest (E37 7.5, E37.1 7.5).

use crate::conformance::{Applies, Bench, Command, Outcome, Report, Rule, Timer, linktest};
use hsms_core::connection::{CloseReason, ControlRequest, Leniency};
use hsms_core::wire::Header;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E37-7.5.2",
        duty: "Linktest.req while SELECTED is answered with Linktest.rsp.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/transition.rs: is_plain_linktest",
        test: answers,
    },
    Rule {
        id: "E37-7.5.1",
        duty: "A Linktest.req of its own carries session id FFFF; with the response it has ended, and the application is told.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/transition.rs: control",
        test: asks,
    },
    Rule {
        id: "E37-7.5.1/T6",
        duty: "A Linktest.req of its own that is not answered within T6 ends the connection.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/transition.rs: linktest_missed",
        test: is_not_answered,
    },
    Rule {
        id: "E37.1-7.5/not-selected",
        duty: "Linktest.req while NOT SELECTED is answered; nothing changes.",
        applies: Applies::SS.lenient(),
        place: "hsms-core/src/connection/transition.rs: control",
        test: not_selected,
    },
];

fn answers(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    bench.send(linktest())?;
    bench.expect(Header::linktest_rsp(linktest().system))?;
    bench.told(&[])?;
    bench.stays_selected()
}

/// Its own Linktest.req. Gives the response.
fn begun(bench: &mut dyn Bench) -> Outcome<Header> {
    bench.does(Command::Linktest)?;
    let frame = bench.frame()?;
    let system = frame.header.system;
    bench.is(&frame, &crate::conformance::Frame::new(Header::linktest_req(system), &[]))?;
    Ok(Header::linktest_rsp(system))
}

fn asks(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let response = begun(bench)?;
    bench.send(response)?;
    bench.told(&[Report::LinktestAnswered])?;
    bench.stays_selected()
}

fn is_not_answered(bench: &mut dyn Bench) -> Outcome {
    let closed = Report::Closed(CloseReason::T6(ControlRequest::Linktest));
    for (answer, in_time) in bench.around(Timer::T6) {
        let t6 = bench.begin_timed(Timer::T6)?;
        bench.selected()?;
        let since = bench.now();
        let response = begun(bench)?;
        if in_time {
            bench.quiet(answer)?;
            bench.send(response)?;
            bench.stays_selected()?;
            bench.told(&[Report::LinktestAnswered])?;
        } else {
            bench.closed_at(since, t6)?;
            bench.told_some(&closed)?;
        }
    }
    Ok(())
}

fn not_selected(bench: &mut dyn Bench) -> Outcome {
    let select = bench.begin_not_selected()?;
    bench.send(linktest())?;
    bench.expect(Header::linktest_rsp(linktest().system))?;
    bench.told(&[Report::Lenient(Leniency::LinktestNotSelected)])?;
    bench.stays_not_selected(select)
}
