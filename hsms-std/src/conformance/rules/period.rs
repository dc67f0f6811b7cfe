//! Linktests that it sends by itself (E37 7.5, 9.3.1), and how often they may stay unanswered.

use crate::conformance::{
    Applies, Bench, Command, DATA, Frame, Line, Outcome, Report, Rule, S1F1, Timer, encode, linktest, primary, set,
};
use hsms_core::connection::{Class, CloseReason, ControlRequest, Leniency};
use hsms_core::wire::{Header, RejectReason, SType};
use std::time::Duration;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E37-7.5.1/period",
        duty: "While SELECTED it sends a Linktest.req of its own when nothing was received for the linktest period, and not before.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/output.rs: linktest_due",
        test: period,
    },
    Rule {
        id: "E37-7.5.1/period/off",
        duty: "With a linktest period of zero, as the standard has none, it sends no linktest by itself, however long nothing comes.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/output.rs: linktest_due",
        test: off,
    },
    Rule {
        id: "E37-7.5.1/period/received",
        duty: "Whatever is received, a message of any kind or a part of one, starts the linktest period anew.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: receive",
        test: received,
    },
    Rule {
        id: "E37-7.5.1/period/sent",
        duty: "What it sends itself does not move the linktest period: only the peer's octets show that the peer is there.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/output.rs: linktest_due",
        test: sent,
    },
    Rule {
        id: "E37-7.5.1/period/next",
        duty: "After the response the next linktest follows a linktest period later, with other system bytes.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: take",
        test: next,
    },
    Rule {
        id: "E37-7.5.1/period/open",
        duty: "While a Linktest.req of its own is open no further one is sent, although the linktest period is over.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/output.rs: linktest_due",
        test: open,
    },
    Rule {
        id: "E37-7.5.1/period/arriving",
        duty: "While a message is arriving no linktest is begun; behind its end the linktest period counts as ever.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/output.rs: linktest_due",
        test: arriving,
    },
    Rule {
        id: "E37.1-7.5/period",
        duty: "It sends no linktest before it is SELECTED, although the linktest period is over.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/output.rs: earliest",
        test: before_select,
    },
    Rule {
        id: "E37.1-7.5/period/deselected",
        duty: "It sends no linktest after it was deselected, although the linktest period is over.",
        applies: Applies::SS.passive().lenient(),
        place: "hsms-core/src/connection/output.rs: earliest",
        test: deselected,
    },
    Rule {
        id: "E37.1-7.5/period/again",
        duty: "On the next connection the linktest period counts from when that is SELECTED.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/input.rs: take",
        test: again,
    },
    Rule {
        id: "E37-7.5.1/period/T6",
        duty: "A linktest sent by itself is guarded by T6 as one that the application asked for: the connection ends with it.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/output.rs: sent",
        test: t6,
    },
    Rule {
        id: "E37-7.5.1/first",
        duty: "Unless more are allowed, the first linktest that is not answered ends the connection; no second one is sent.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/transition.rs: linktest_missed",
        test: first_is_fatal,
    },
    Rule {
        id: "E37-7.5.1/threshold",
        duty: "Where several linktests may stay unanswered, the application is told of each and the session goes on; the one that \
               makes the number full ends the connection.",
        applies: Applies::ALL.lenient(),
        place: "hsms-core/src/connection/input.rs: t6",
        test: threshold,
    },
    Rule {
        id: "E37-7.5.1/threshold/period",
        duty: "After an unanswered linktest that is not the last allowed, the next follows a linktest period behind its T6.",
        applies: Applies::ALL.lenient(),
        place: "hsms-core/src/connection/input.rs: t6",
        test: after_a_miss,
    },
    Rule {
        id: "E37-7.5.1/threshold/anew",
        duty: "Whatever is received starts the count of unanswered linktests anew, a message of any kind or a part of one.",
        applies: Applies::ALL.lenient(),
        place: "hsms-core/src/connection/input.rs: receive",
        test: count_anew,
    },
    Rule {
        id: "E37-7.5.1/threshold/late",
        duty: "A Linktest.rsp that comes after T6, where that did not end the connection, is answered with Reject.req, reason 3.",
        applies: Applies::ALL.lenient(),
        place: "hsms-core/src/connection/input.rs: t6",
        test: late,
    },
];

/// Longer than any test waits.
const LONG: Duration = Duration::from_secs(100);

/// A fresh subject that sends linktests, SELECTED. Gives the period and a moment not later than its beginning.
fn begun(bench: &mut dyn Bench) -> Outcome<(Duration, Duration)> {
    let period = bench.span(Timer::Linktest);
    bench.begin_with(|config| {
        let config = set(config, Timer::Linktest, period)?;
        set(set(config, Timer::T8, LONG)?, Timer::T6, LONG)
    })?;
    bench.selected()?;
    Ok((period, touched(bench)?))
}

/// The peer shows that it is there. Gives a moment not later than that.
fn touched(bench: &mut dyn Bench) -> Outcome<Duration> {
    let since = bench.now();
    bench.send(linktest())?;
    bench.expect(Header::linktest_rsp(linktest().system))?;
    Ok(since)
}

/// A Linktest.req of the subject's own comes `span` after `since`. Gives the response.
fn asked_at(bench: &mut dyn Bench, since: Duration, span: Duration) -> Outcome<Header> {
    let frame = bench.frame_at(since, span)?;
    bench.is(&frame, &Frame::new(Header::linktest_req(frame.header.system), &[]))?;
    Ok(Header::linktest_rsp(frame.header.system))
}

/// A moment not later than that of what came just now, `span` after `since` at the earliest.
fn came(bench: &dyn Bench, since: Duration, span: Duration) -> Duration {
    if bench.about().virtual_time { bench.now() } else { since.saturating_add(span) }
}

fn period(bench: &mut dyn Bench) -> Outcome {
    let (period, since) = begun(bench)?;
    let response = asked_at(bench, since, period)?;
    bench.send(response)?;
    bench.told(&[Report::LinktestAnswered])?;
    bench.stays_selected()
}

fn off(bench: &mut dyn Bench) -> Outcome {
    bench.begin_with(|config| config.with_linktest_period(Duration::ZERO))?;
    bench.selected()?;
    let period = bench.span(Timer::Linktest);
    bench.quiet(if bench.about().virtual_time { Duration::from_secs(1_000_000) } else { period / 4 })?;
    bench.told(&[])?;
    bench.stays_selected()
}

/// Messages of every kind that the session outlives, with the answer and what the application is told.
fn kinds() -> Vec<(Header, Option<Header>, Vec<Report>)> {
    let unknown = Header { stype: SType(11), ..linktest() };
    let reason = RejectReason::STYPE_NOT_SUPPORTED;
    let orphan = Header::linktest_rsp(linktest().system);
    let not_open = RejectReason::TRANSACTION_NOT_OPEN;
    let stray = Header::reject_req(linktest().system, 0, RejectReason::ENTITY_NOT_SELECTED);
    vec![
        (linktest(), Some(Header::linktest_rsp(linktest().system)), vec![]),
        (primary(S1F1), None, vec![Report::Primary(Frame::new(primary(S1F1), &[]))]),
        (
            unknown,
            Some(Header::reject_req(unknown.system, 11, reason)),
            vec![Report::Other(unknown, Class::Rejected(reason))],
        ),
        (
            orphan,
            Some(Header::reject_req(orphan.system, 6, not_open)),
            vec![Report::Other(orphan, Class::Rejected(not_open))],
        ),
        (stray, None, vec![Report::StrayReject(stray)]),
    ]
}

fn exchange(bench: &mut dyn Bench, kind: &(Header, Option<Header>, Vec<Report>)) -> Outcome {
    let (header, answer, reports) = kind;
    bench.send(*header)?;
    if let Some(answer) = answer {
        bench.expect(*answer)?;
    }
    bench.told(reports)
}

fn received(bench: &mut dyn Bench) -> Outcome {
    for kind in bench.some(kinds()) {
        let (period, _) = begun(bench)?;
        bench.quiet(period / 16)?;
        let since = bench.now();
        exchange(bench, &kind)?;
        let response = asked_at(bench, since, period)?;
        bench.send(response)?;
        bench.told(&[Report::LinktestAnswered])?;
    }
    // The last octet counts, not the first.
    let (period, _) = begun(bench)?;
    let whole = encode(&primary(S1F1), &[]);
    let (head, tail) = whole.split_at(whole.len() / 2);
    bench.send_octets(head)?;
    bench.quiet(period / 16)?;
    let since = bench.now();
    bench.send_octets(tail)?;
    asked_at(bench, since, period)?;
    bench.told(&[Report::Primary(Frame::new(primary(S1F1), &[]))])
}

fn sent(bench: &mut dyn Bench) -> Outcome {
    let (period, since) = begun(bench)?;
    bench.quiet(period / 16)?;
    bench.does(Command::Send(S1F1, vec![]))?;
    let frame = bench.frame()?;
    bench.is(&frame, &Frame::new(Header::data(frame.header.system, S1F1, false, DATA), &[]))?;
    let response = asked_at(bench, since, period)?;
    bench.send(response)?;
    bench.told(&[Report::LinktestAnswered])
}

fn next(bench: &mut dyn Bench) -> Outcome {
    let (period, mut since) = begun(bench)?;
    let mut seen = vec![linktest().system];
    for _ in 0..if bench.about().virtual_time { 5 } else { 2 } {
        let response = asked_at(bench, since, period)?;
        crate::conformance::require(!seen.contains(&response.system), || "the same system bytes again".into())?;
        seen.push(response.system);
        bench.quiet(period / 16)?;
        since = bench.now();
        bench.send(response)?;
        bench.told(&[Report::LinktestAnswered])?;
    }
    bench.stays_selected()
}

fn open(bench: &mut dyn Bench) -> Outcome {
    let (period, since) = begun(bench)?;
    let response = asked_at(bench, since, period)?;
    // T6 is longer than that.
    bench.quiet(period.saturating_add(period / 2))?;
    bench.told(&[])?;
    bench.send(response)?;
    bench.told(&[Report::LinktestAnswered])?;
    bench.stays_selected()
}

fn arriving(bench: &mut dyn Bench) -> Outcome {
    let whole = encode(&primary(S1F1), &[0x21, 1, 7]);
    for cut in bench.some([1, 4, 13, 14, 16]) {
        let (period, _) = begun(bench)?;
        let (head, tail) = whole.split_at(cut);
        bench.send_octets(head)?;
        // T8 is longer than that.
        bench.quiet(period.saturating_add(period / 4))?;
        let since = bench.now();
        bench.send_octets(tail)?;
        bench.told(&[Report::Primary(Frame::new(primary(S1F1), &[0x21, 1, 7]))])?;
        asked_at(bench, since, period)?;
    }
    Ok(())
}

/// A fresh subject with a linktest period that is shorter than what guards NOT SELECTED.
fn begin(bench: &mut dyn Bench) -> Outcome<Duration> {
    let period = bench.span(Timer::Linktest);
    bench.begin_with(|config| set(set(set(config, Timer::Linktest, period)?, Timer::T6, LONG)?, Timer::T7, LONG))?;
    Ok(period)
}

fn before_select(bench: &mut dyn Bench) -> Outcome {
    let period = begin(bench)?;
    let select = bench.not_selected()?;
    bench.quiet(period.saturating_add(period / 2))?;
    bench.become_selected(select)
}

fn deselected(bench: &mut dyn Bench) -> Outcome {
    let period = begin(bench)?;
    bench.selected()?;
    bench.send(Header::deselect_req(linktest().system))?;
    bench.expect(Header::deselect_rsp(linktest().system))?;
    bench.told(&[Report::Lenient(Leniency::Deselect), Report::Deselected])?;
    bench.quiet(period.saturating_add(period / 2))?;
    bench.stays_not_selected(linktest().system)
}

fn again(bench: &mut dyn Bench) -> Outcome {
    let period = begin(bench)?;
    bench.selected()?;
    bench.shut(Line::First);
    let select = bench.not_selected()?;
    bench.quiet(period / 2)?;
    let since = bench.now();
    bench.become_selected(select)?;
    let response = asked_at(bench, since, period)?;
    bench.send(response)?;
    bench.told(&[Report::LinktestAnswered])
}

/// A fresh subject that sends linktests, `threshold` of which may stay unanswered, SELECTED. Gives T6, the period and the
/// moment of `begun`.
fn patient(bench: &mut dyn Bench, threshold: u8) -> Outcome<(Duration, Duration, Duration)> {
    let (t6, period) = (bench.span(Timer::T6), bench.span(Timer::Linktest));
    bench.begin_with(|config| {
        let config = set(set(config, Timer::Linktest, period)?, Timer::T6, t6)?;
        set(config, Timer::T8, LONG)?.with_linktest_threshold(threshold)
    })?;
    bench.selected()?;
    Ok((t6, period, touched(bench)?))
}

/// The connection ends by T6 of a linktest, `span` after `since`.
fn ends_at(bench: &mut dyn Bench, since: Duration, span: Duration) -> Outcome {
    bench.closed_at(since, span)?;
    bench.told_some(&Report::Closed(CloseReason::T6(ControlRequest::Linktest)))
}

fn t6(bench: &mut dyn Bench) -> Outcome {
    let (t6, period, since) = patient(bench, 1)?;
    asked_at(bench, since, period)?;
    let since = came(bench, since, period);
    ends_at(bench, since, t6)?;
    // And not where it is answered.
    let (t6, period, since) = patient(bench, 1)?;
    let response = asked_at(bench, since, period)?;
    let since = came(bench, since, period);
    let early = if bench.about().virtual_time { t6.saturating_sub(Duration::from_millis(1)) } else { t6 / 16 };
    bench.quiet(early)?;
    bench.send(response)?;
    bench.told(&[Report::LinktestAnswered])?;
    let answered = came(bench, since, early);
    let next = asked_at(bench, answered, period)?;
    bench.send(next)
}

fn first_is_fatal(bench: &mut dyn Bench) -> Outcome {
    // A period that is over before T6 would give a second one.
    let t6 = bench.span(Timer::T6);
    let period = if bench.about().setup.profile == hsms_core::config::Profile::Strict { t6 } else { t6 / 4 };
    bench.begin_with(|config| set(set(config, Timer::Linktest, period)?, Timer::T6, t6))?;
    bench.selected()?;
    let since = touched(bench)?;
    asked_at(bench, since, period)?;
    let since = came(bench, since, period);
    bench.quiet(t6 / 2)?;
    ends_at(bench, since, t6)
}

fn threshold(bench: &mut dyn Bench) -> Outcome {
    for threshold in if bench.about().virtual_time { vec![1, 2, 3, u8::MAX] } else { vec![2] } {
        let (t6, period, mut since) = patient(bench, threshold)?;
        for missed in 1..=threshold {
            asked_at(bench, since, period)?;
            since = came(bench, since, period);
            if missed == threshold {
                ends_at(bench, since, t6)?;
            } else {
                bench.told_at(since, t6, &Report::LinktestMissed(missed))?;
                since = came(bench, since, t6);
            }
        }
    }
    Ok(())
}

/// A subject that has missed the response to one of several linktests. Gives it, the period, and a moment not later than T6.
fn missed(bench: &mut dyn Bench) -> Outcome<(Header, Duration, Duration)> {
    let (t6, period, since) = patient(bench, 2)?;
    let response = asked_at(bench, since, period)?;
    let since = came(bench, since, period);
    bench.told_at(since, t6, &Report::LinktestMissed(1))?;
    let since = came(bench, since, t6);
    Ok((response, period, since))
}

fn after_a_miss(bench: &mut dyn Bench) -> Outcome {
    let (missed, period, since) = missed(bench)?;
    let response = asked_at(bench, since, period)?;
    crate::conformance::require(response.system != missed.system, || "the same system bytes again".into())?;
    bench.send(response)?;
    bench.told(&[Report::LinktestAnswered])?;
    bench.stays_selected()
}

fn count_anew(bench: &mut dyn Bench) -> Outcome {
    let whole = kinds();
    let part = (primary(S1F1), None, vec![]);
    for kind in bench.some(whole.into_iter().chain([part])) {
        let (_, period, _) = missed(bench)?;
        let since = bench.now();
        if kind.1.is_none() && kind.2.is_empty() {
            let octets = encode(&kind.0, &[]);
            let (head, tail) = octets.split_at(5);
            bench.send_octets(head)?;
            bench.send_octets(tail)?;
            bench.told(&[Report::Primary(Frame::new(kind.0, &[]))])?;
        } else {
            exchange(bench, &kind)?;
        }
        let t6 = bench.about().config.t6();
        asked_at(bench, since, period)?;
        // It would be the second.
        let since = came(bench, since, period);
        bench.told_at(since, t6, &Report::LinktestMissed(1))?;
        bench.stays_selected()?;
    }
    Ok(())
}

fn late(bench: &mut dyn Bench) -> Outcome {
    let (response, ..) = missed(bench)?;
    let reason = RejectReason::TRANSACTION_NOT_OPEN;
    bench.send(response)?;
    bench.expect(Header::reject_req(response.system, SType::LINKTEST_RSP.0, reason))?;
    bench.told(&[Report::Other(response, Class::Rejected(reason))])?;
    bench.stays_selected()
}
