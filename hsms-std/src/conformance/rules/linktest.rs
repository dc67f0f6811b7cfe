//! Linktest (E37 7.5, E37.1 7.5).

use crate::conformance::{
    Applies, Bench, Command, Frame, Outcome, Report, Rule, S1F1, Stop, Timer, encode, linktest, primary, set,
};
use hsms_core::connection::{Class, CloseReason, ControlRequest, Leniency};
use hsms_core::wire::{Header, RejectReason, SType, SystemBytes};
use std::time::Duration;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E37-7.5.2",
        duty: "Linktest.req while SELECTED is answered with Linktest.rsp.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/transition.rs: is_plain_linktest",
        test: answers,
    },
    Rule {
        id: "E37-7.5.1",
        duty: "A Linktest.req of its own carries session id FFFF; with the response it has ended, and the application is told.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/transition.rs: control",
        test: asks,
    },
    Rule {
        id: "E37-7.5.1/T6",
        duty: "A Linktest.req of its own that is not answered within T6 ends the connection.",
        applies: Applies::ALL,
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
    Rule {
        id: "E37.1-7.5/not-selected/strict",
        duty: "Linktest.req while NOT SELECTED ends the connection; nothing is sent.",
        applies: Applies::SS.strict(),
        place: "hsms-core/src/connection/transition.rs: control",
        test: not_selected_strict,
    },
    Rule {
        id: "E37.1-7.5/own",
        duty: "It sends no Linktest.req unless SELECTED: what asks for one is refused and nothing is sent.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/command.rs: linktest",
        test: asks_too_early,
    },
    Rule {
        id: "E37-7.5.2/each",
        duty: "Each of several Linktest.req that come at once is answered, in their order, each with its own system bytes.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: answer",
        test: answers_each,
    },
    Rule {
        id: "E37-7.5.2/order",
        duty: "A Linktest.req behind other messages is answered behind what those are answered with.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: answer",
        test: answers_in_order,
    },
    Rule {
        id: "E37-7.5.1/once",
        duty: "While a Linktest.req of its own is open another call for one sends none; both have the one response.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/command.rs: linktest",
        test: asks_once,
    },
    Rule {
        id: "E37-9.3.1/answered",
        duty: "The Linktest.rsp ends T6: the session outlasts it without anything being sent.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: take",
        test: response_ends_t6,
    },
    Rule {
        id: "E37-9.3.1/traffic",
        duty: "Whole messages that come while a Linktest.req of its own is open are no answer to it and do not move its T6.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: t6",
        test: traffic_is_no_answer,
    },
    Rule {
        id: "E37-9.3.1/foreign",
        duty: "A Linktest.rsp with other system bytes than the open request is answered with Reject.req, reason 3, and does not move \
               T6.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: match_control",
        test: foreign_response,
    },
    Rule {
        id: "E37-9.3.1/behind-text",
        duty: "T6 of a linktest starts anew with each part of a long text that comes, as the response is stuck behind it; the \
               application is told when that counted.",
        applies: Applies::ALL.lenient(),
        place: "hsms-core/src/connection/input.rs: extend_linktest",
        test: behind_text,
    },
    Rule {
        id: "E37-9.3.1/behind-text/stops",
        duty: "T6 of a linktest counts from the last part of a long text that came: a text that stops does not keep it open.",
        applies: Applies::ALL.lenient(),
        place: "hsms-core/src/connection/input.rs: extend_linktest",
        test: text_stops,
    },
    Rule {
        id: "E37-9.3.1/behind-text/strict",
        duty: "T6 of a linktest is not moved by a long text that comes.",
        applies: Applies::ALL.strict(),
        place: "hsms-core/src/connection/input.rs: extend_linktest",
        test: behind_text_strict,
    },
    Rule {
        id: "E37-7.7/received/linktest",
        duty: "Reject.req about its open Linktest.req, with whatever reason, is a sign of life as the response is: T6 ends.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/transition.rs: reject",
        test: rejected,
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
    bench.is(&frame, &Frame::new(Header::linktest_req(system), &[]))?;
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

fn not_selected_strict(bench: &mut dyn Bench) -> Outcome {
    bench.begin_not_selected()?;
    bench.ends(linktest(), CloseReason::UnexpectedMessage(SType::LINKTEST_REQ))
}

fn asks_too_early(bench: &mut dyn Bench) -> Outcome {
    bench.begin()?;
    bench.refuses(Command::Linktest)?;
    let select = bench.not_selected()?;
    bench.refuses(Command::Linktest)?;
    bench.told(&[])?;
    bench.stays_not_selected(select)
}

fn answers_each(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let systems = [0, 1, u32::MAX, 0x0100_0000, 1, 7].map(SystemBytes);
    let octets: Vec<u8> = systems.iter().flat_map(|system| encode(&Header::linktest_req(*system), &[])).collect();
    bench.send_octets(&octets)?;
    for system in systems {
        bench.expect(Header::linktest_rsp(system))?;
    }
    bench.told(&[])?;
    bench.stays_selected()
}

fn answers_in_order(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let reason = RejectReason::STYPE_NOT_SUPPORTED;
    let unknown = Header { stype: SType(11), ..Header::linktest_req(SystemBytes(5)) };
    let octets = [encode(&unknown, &[]), encode(&linktest(), &[]), encode(&unknown, &[])].concat();
    bench.send_octets(&octets)?;
    bench.expect(Header::reject_req(unknown.system, 11, reason))?;
    bench.expect(Header::linktest_rsp(linktest().system))?;
    bench.expect(Header::reject_req(unknown.system, 11, reason))?;
    let told = || Report::Other(unknown, Class::Rejected(reason));
    bench.told(&[told(), told()])?;
    bench.stays_selected()
}

fn asks_once(bench: &mut dyn Bench) -> Outcome {
    if !bench.about().virtual_time {
        return Err(Stop::undecided("the application waits for its first linktest before it calls for another"));
    }
    bench.begin_selected()?;
    let response = begun(bench)?;
    bench.does(Command::Linktest)?;
    bench.quiet(Duration::ZERO)?;
    bench.send(response)?;
    bench.told(&[Report::LinktestAnswered])?;
    bench.stays_selected()
}

/// A fresh subject whose own Linktest.req is open. Gives a moment not later than its sending, T6 and the response.
fn waiting(bench: &mut dyn Bench) -> Outcome<(Duration, Duration, Header)> {
    let t6 = bench.span(Timer::T6);
    bench.begin_with(|config| set(set(config, Timer::T8, Duration::from_secs(100))?, Timer::T6, t6))?;
    bench.selected()?;
    let since = bench.now();
    Ok((since, t6, begun(bench)?))
}

/// T6 ends the connection, `span` after `since`.
fn ends_at(bench: &mut dyn Bench, since: Duration, span: Duration) -> Outcome {
    bench.closed_at(since, span)?;
    bench.told_some(&Report::Closed(CloseReason::T6(ControlRequest::Linktest)))
}

fn response_ends_t6(bench: &mut dyn Bench) -> Outcome {
    let (_, t6, response) = waiting(bench)?;
    bench.send(response)?;
    bench.told(&[Report::LinktestAnswered])?;
    bench.quiet(t6.saturating_add(t6 / 4))?;
    bench.stays_selected()
}

fn traffic_is_no_answer(bench: &mut dyn Bench) -> Outcome {
    let rejected = RejectReason::STYPE_NOT_SUPPORTED;
    let unknown = Header { stype: SType(11), ..linktest() };
    let cases = [
        (linktest(), Some(Header::linktest_rsp(linktest().system))),
        (primary(S1F1), None),
        (unknown, Some(Header::reject_req(unknown.system, 11, rejected))),
        (Header::reject_req(linktest().system, 5, rejected), None),
    ];
    for (message, answer) in bench.some(cases) {
        let (since, t6, _) = waiting(bench)?;
        bench.quiet(t6 / 16)?;
        bench.send(message)?;
        if let Some(answer) = answer {
            bench.expect(answer)?;
        }
        ends_at(bench, since, t6)?;
    }
    Ok(())
}

fn foreign_response(bench: &mut dyn Bench) -> Outcome {
    let (since, t6, response) = waiting(bench)?;
    bench.quiet(t6 / 16)?;
    let reason = RejectReason::TRANSACTION_NOT_OPEN;
    let mut rejected = Vec::new();
    for system in [response.system.0 ^ 1, response.system.0.swap_bytes(), u32::MAX].map(SystemBytes) {
        let foreign = Header::linktest_rsp(system);
        bench.send(foreign)?;
        bench.expect(Header::reject_req(system, SType::LINKTEST_RSP.0, reason))?;
        rejected.push(Report::Other(foreign, Class::Rejected(reason)));
    }
    bench.closed_at(since, t6)?;
    for report in rejected {
        bench.told_some(&report)?;
    }
    bench.told_some(&Report::Closed(CloseReason::T6(ControlRequest::Linktest)))
}

/// Data whose text outlasts T6 where an octet comes every sixteenth of it: all but the text, and the text.
fn long_data() -> (Vec<u8>, Vec<u8>) {
    let text = vec![7; 20];
    let mut octets = encode(&primary(S1F1), &text);
    octets.truncate(14);
    (octets, text)
}

fn behind_text(bench: &mut dyn Bench) -> Outcome {
    let (_, t6, response) = waiting(bench)?;
    let (head, text) = long_data();
    bench.send_octets(&head)?;
    for octet in &text {
        bench.quiet(t6 / 16)?;
        bench.send_octets(&[*octet])?;
    }
    bench.send(response)?;
    let whole = Report::Primary(Frame::new(primary(S1F1), &text));
    bench.told(&[Report::Lenient(Leniency::LinktestExtended), whole, Report::LinktestAnswered])?;
    bench.stays_selected()
}

fn text_stops(bench: &mut dyn Bench) -> Outcome {
    let (_, t6, _) = waiting(bench)?;
    let (head, text) = long_data();
    bench.send_octets(&head)?;
    bench.quiet(t6 / 16)?;
    let since = bench.now();
    bench.send_octets(text.get(..1).unwrap_or_default())?;
    ends_at(bench, since, t6)
}

fn behind_text_strict(bench: &mut dyn Bench) -> Outcome {
    let (since, t6, _) = waiting(bench)?;
    let (head, text) = long_data();
    bench.send_octets(&head)?;
    for octet in text.iter().take(4) {
        bench.quiet(t6 / 16)?;
        bench.send_octets(&[*octet])?;
    }
    ends_at(bench, since, t6)
}

fn rejected(bench: &mut dyn Bench) -> Outcome {
    for reason in bench.some(1..=u8::MAX) {
        let (_, t6, response) = waiting(bench)?;
        // Octet 2 is the PType where that was the reason.
        let offender = if reason == RejectReason::PTYPE_NOT_SUPPORTED.0 { 0 } else { SType::LINKTEST_REQ.0 };
        bench.send(Header::reject_req(response.system, offender, RejectReason(reason)))?;
        bench.told(&[Report::LinktestAnswered])?;
        bench.quiet(t6.saturating_add(t6 / 16))?;
        bench.stays_selected()?;
    }
    Ok(())
}
