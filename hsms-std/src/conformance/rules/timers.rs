//! Timers (E37 7.2, 9.2 to 9.4, 10.1; E37.1 Tables 1 and 2).

use crate::conformance::{
    Applies, Bench, Command, DATA, Frame, Line, Outcome, Report, Rule, S1F1, Timer, encode, linktest, primary, set,
};
use hsms_core::config::{Entity, Profile};
use hsms_core::connection::{Class, CloseReason, ControlRequest, Leniency, Stray, TransactionEnd};
use hsms_core::wire::{Header, RejectReason, SType, StreamFunction, SystemBytes};
use std::time::Duration;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E37.1-T1-6/equipment",
        duty: "When T3 expires equipment ends the transaction, sends S9F9 with the header of its primary, and stays SELECTED.",
        applies: Applies::SS.equipment(),
        place: "hsms-core/src/connection/transition.rs: reply_timeout",
        test: t3_equipment,
    },
    Rule {
        id: "E37.1-T2-6/host",
        duty: "When T3 expires a host ends the transaction, sends nothing, and stays SELECTED.",
        applies: Applies::SS.host(),
        place: "hsms-core/src/connection/input.rs: t3",
        test: t3_host,
    },
    Rule {
        id: "E37-9.2.1",
        duty: "After a connection was lost the active side dials again when T5 is over, and not before.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/connection/input.rs: close",
        test: t5,
    },
    Rule {
        id: "E37.1-T2-4.1",
        duty: "A Select.req that is not answered within T6 ends the connection.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/connection/input.rs: t6",
        test: t6,
    },
    Rule {
        id: "E37.1-T1-4.1",
        duty: "A passive side that is not selected within T7 closes; nothing that the peer sends meanwhile moves T7.",
        applies: Applies::SS.passive(),
        place: "hsms-core/src/connection/transition.rs: happened",
        test: t7,
    },
    Rule {
        id: "E37-9.4.1.1/traffic",
        duty: "Messages of other kinds that come while T3 runs do not move it, nor does a reply that does not match.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/transaction.rs: is_answered_by",
        test: t3_traffic,
    },
    Rule {
        id: "E37-9.4.1.1/sent",
        duty: "T3 counts from the sending of its primary, however long the session lasts and others are open already.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/output.rs: start_timers",
        test: t3_from_sending,
    },
    Rule {
        id: "E37-9.4.1.1/together",
        duty: "Transactions whose T3 expires at one time all end, and the session goes on.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: t3",
        test: t3_together,
    },
    Rule {
        id: "E37-9.4.1.1/in-message",
        duty: "T3 ends its transaction also while a message of the peer's is arriving, which is delivered as it comes.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: t3",
        test: t3_in_message,
    },
    Rule {
        id: "E37-9.4.1.1/free",
        duty: "A transaction that T3 has ended makes room: another primary can be sent and has its reply.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: t3",
        test: t3_makes_room,
    },
    Rule {
        id: "E37-9.2.1/each",
        duty: "T5 is the same after each loss in a row; it does not grow, and what is left of a former one does not count.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/connection/input.rs: close",
        test: t5_each,
    },
    Rule {
        id: "E37-9.2.1/lasted",
        duty: "T5 counts from the end of a connection, however long that lasted, and not from the attempt that made it.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/connection/input.rs: close",
        test: t5_lasted,
    },
    Rule {
        id: "E37-9.2.1/failure",
        duty: "After a communication failure while SELECTED, whichever it is, the active side dials again T5 after it has closed.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/connection/input.rs: close",
        test: t5_failure,
    },
    Rule {
        id: "E37.1-T2-4.1/traffic",
        duty: "Messages that are no Select.rsp, answered or refused meanwhile, do not move T6 of the Select.req.",
        applies: Applies::SS.active().lenient(),
        place: "hsms-core/src/connection/input.rs: t6",
        test: t6_traffic,
    },
    Rule {
        id: "E37.1-T2-4.1/part",
        duty: "A Select.rsp of which only a part has come when T6 expires is no answer.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/connection/input.rs: t6",
        test: t6_part,
    },
    Rule {
        id: "E37-9.2.2/traffic",
        duty: "No message but Select.req moves T7, whether it is answered, rejected or passed over.",
        applies: Applies::SS.passive().lenient(),
        place: "hsms-core/src/connection/transition.rs: happened",
        test: t7_traffic,
    },
    Rule {
        id: "E37-9.2.2/part",
        duty: "A Select.req of which only a part has come when T7 expires does not keep the connection.",
        applies: Applies::ALL.passive(),
        place: "hsms-core/src/connection/output.rs: earliest",
        test: t7_part,
    },
    Rule {
        id: "E37-9.2.2/deselected",
        duty: "T7 is armed at each entry to NOT SELECTED: after a Deselect it counts from there.",
        applies: Applies::SS.passive().lenient(),
        place: "hsms-core/src/connection/input.rs: take",
        test: t7_deselected,
    },
    Rule {
        id: "E37-9.2.2/next",
        duty: "T7 of the next connection counts from its own beginning; what was left of the former one is void.",
        applies: Applies::ALL.passive(),
        place: "hsms-core/src/connection/input.rs: take_course",
        test: t7_next,
    },
    Rule {
        id: "E37-9.2.2/listening",
        duty: "T7 does not run while nobody is connected: a passive side waits for its caller without a limit.",
        applies: Applies::ALL.passive(),
        place: "hsms-core/src/connection/output.rs: earliest",
        test: t7_listening,
    },
];

/// A primary of the subject's until T3 is over, in both cases around it; then `after`.
fn t3(bench: &mut dyn Bench, after: fn(&mut dyn Bench, Header) -> Outcome) -> Outcome {
    for (wait, in_time) in bench.around(Timer::T3) {
        let t3 = bench.begin_timed(Timer::T3)?;
        bench.selected()?;
        let since = bench.now();
        let request = bench.request(S1F1, &[])?;
        let reply = Header::data(request.system, StreamFunction::new(1, 2), false, DATA);
        if in_time {
            bench.quiet(wait)?;
            bench.send(reply)?;
            bench.told(&[Report::Reply(Frame::new(reply, &[]))])?;
        } else {
            bench.told_at(since, t3, &Report::Ended(request.system, TransactionEnd::T3))?;
            after(bench, request)?;
        }
        bench.stays_selected()?;
    }
    Ok(())
}

fn t3_equipment(bench: &mut dyn Bench) -> Outcome {
    t3(bench, |bench, request| {
        let frame = bench.frame()?;
        let header = Header::data(frame.header.system, StreamFunction::new(9, 9), false, DATA);
        bench.is(&frame, &Frame::new(header, &[&[0x21, 10][..], &request.encode()].concat()))
    })
}

fn t3_host(bench: &mut dyn Bench) -> Outcome {
    t3(bench, |_, _| Ok(()))
}

fn t5(bench: &mut dyn Bench) -> Outcome {
    for selected in [true, false] {
        let t5 = bench.begin_timed(Timer::T5)?;
        let select = bench.not_selected()?;
        if selected {
            bench.become_selected(select)?;
        }
        let since = bench.now();
        bench.shut(Line::First);
        bench.dials_at(since, t5)?;
        let frame = bench.frame()?;
        bench.is(&frame, &Frame::new(Header::select_req(frame.header.system), &[]))?;
    }
    Ok(())
}

fn t6(bench: &mut dyn Bench) -> Outcome {
    for (wait, in_time) in bench.around(Timer::T6) {
        let t6 = bench.begin_timed(Timer::T6)?;
        let since = bench.now();
        let select = bench.not_selected()?;
        if in_time {
            bench.quiet(wait)?;
            bench.become_selected(select)?;
        } else {
            bench.closed_at(since, t6)?;
            bench.told(&[Report::Closed(CloseReason::T6(ControlRequest::Select))])?;
        }
    }
    Ok(())
}

fn t7(bench: &mut dyn Bench) -> Outcome {
    for (wait, in_time) in bench.around(Timer::T7) {
        let t7 = bench.begin_timed(Timer::T7)?;
        let since = bench.connect()?;
        if in_time {
            bench.quiet(wait)?;
            bench.become_selected(SystemBytes(0))?;
        } else {
            if bench.about().setup.profile == Profile::Lenient {
                bench.quiet(wait / 16)?;
                bench.send(linktest())?;
                bench.expect(Header::linktest_rsp(linktest().system))?;
            }
            bench.closed_at(since, t7)?;
            bench.told_some(&Report::Closed(CloseReason::T7))?;
        }
    }
    Ok(())
}

/// What follows on the wire when T3 has ended this transaction.
fn reported(bench: &mut dyn Bench, request: Header) -> Outcome {
    if bench.about().setup.entity == Entity::Host {
        return Ok(());
    }
    let frame = bench.frame()?;
    let header = Header::data(frame.header.system, StreamFunction::new(9, 9), false, DATA);
    bench.is(&frame, &Frame::new(header, &[&[0x21, 10][..], &request.encode()].concat()))
}

fn ended(request: Header) -> Report {
    Report::Ended(request.system, TransactionEnd::T3)
}

fn t3_traffic(bench: &mut dyn Bench) -> Outcome {
    let t3 = bench.begin_timed(Timer::T3)?;
    bench.selected()?;
    let since = bench.now();
    let request = bench.request(S1F1, &[])?;
    bench.quiet(t3 / 16)?;
    bench.send(linktest())?;
    bench.expect(Header::linktest_rsp(linktest().system))?;
    bench.send(primary(S1F1))?;
    let other = Header::data(request.system, StreamFunction::new(1, 4), false, DATA);
    bench.send(other)?;
    let reason = RejectReason::STYPE_NOT_SUPPORTED;
    let unknown = Header { stype: SType(11), ..Header::linktest_req(request.system) };
    bench.send(unknown)?;
    bench.expect(Header::reject_req(unknown.system, 11, reason))?;
    bench.told(&[
        Report::Primary(Frame::new(primary(S1F1), &[])),
        Report::Other(other, Class::Stray(Stray::Mismatched)),
        Report::Other(unknown, Class::Rejected(reason)),
    ])?;
    bench.told_at(since, t3, &ended(request))?;
    reported(bench, request)?;
    bench.stays_selected()
}

fn t3_from_sending(bench: &mut dyn Bench) -> Outcome {
    let t3 = bench.begin_timed(Timer::T3)?;
    bench.selected()?;
    bench.quiet(t3.saturating_add(t3 / 4))?;
    let mut requests = Vec::new();
    for _ in 0..2 {
        bench.quiet(t3 / 8)?;
        let since = bench.now();
        requests.push((since, bench.request(S1F1, &[])?));
    }
    for (since, request) in requests {
        bench.told_at(since, t3, &ended(request))?;
        reported(bench, request)?;
    }
    bench.stays_selected()
}

fn t3_together(bench: &mut dyn Bench) -> Outcome {
    let t3 = bench.begin_timed(Timer::T3)?;
    bench.selected()?;
    let since = bench.now();
    let mut requests = Vec::new();
    for _ in 0..8 {
        requests.push(bench.request(S1F1, &[])?);
    }
    for request in &requests {
        bench.told_at(since, t3, &ended(*request))?;
    }
    for request in requests {
        reported(bench, request)?;
    }
    bench.stays_selected()
}

fn t3_in_message(bench: &mut dyn Bench) -> Outcome {
    let whole = encode(&primary(S1F1), &[0x21, 1, 7]);
    for cut in bench.some([1, 4, 13, 14, 16]) {
        let t3 = bench.span(Timer::T3);
        bench.begin_with(|config| set(set(config, Timer::T8, LONG)?, Timer::T3, t3))?;
        bench.selected()?;
        let (head, tail) = whole.split_at(cut);
        let since = bench.now();
        let request = bench.request(S1F1, &[])?;
        bench.send_octets(head)?;
        bench.told_at(since, t3, &ended(request))?;
        reported(bench, request)?;
        bench.send_octets(tail)?;
        bench.told(&[Report::Primary(Frame::new(primary(S1F1), &[0x21, 1, 7]))])?;
        bench.stays_selected()?;
    }
    Ok(())
}

fn t3_makes_room(bench: &mut dyn Bench) -> Outcome {
    let t3 = bench.begin_timed(Timer::T3)?;
    bench.selected()?;
    let since = bench.now();
    let former = bench.request(S1F1, &[])?;
    bench.told_at(since, t3, &ended(former))?;
    reported(bench, former)?;
    let request = bench.request(S1F1, &[])?;
    crate::conformance::require(request.system != former.system, || "the same system bytes again".into())?;
    let reply = Header::data(request.system, StreamFunction::new(1, 2), false, DATA);
    bench.send(reply)?;
    bench.told(&[Report::Reply(Frame::new(reply, &[]))])?;
    bench.stays_selected()
}

/// Longer than any test waits.
const LONG: Duration = Duration::from_secs(100);

/// It dials `span` after `since`, and selects.
fn selects_at(bench: &mut dyn Bench, since: Duration, span: Duration) -> Outcome<SystemBytes> {
    bench.dials_at(since, span)?;
    let frame = bench.frame()?;
    bench.is(&frame, &Frame::new(Header::select_req(frame.header.system), &[]))?;
    Ok(frame.header.system)
}

fn t5_each(bench: &mut dyn Bench) -> Outcome {
    let t5 = bench.begin_timed(Timer::T5)?;
    bench.not_selected()?;
    for _ in 0..if bench.about().virtual_time { 20 } else { 3 } {
        let since = bench.now();
        bench.shut(Line::First);
        selects_at(bench, since, t5)?;
    }
    Ok(())
}

fn t5_lasted(bench: &mut dyn Bench) -> Outcome {
    let t5 = bench.begin_timed(Timer::T5)?;
    bench.selected()?;
    bench.quiet(t5.saturating_add(t5 / 4))?;
    let since = bench.now();
    bench.shut(Line::First);
    let select = selects_at(bench, since, t5)?;
    bench.become_selected(select)
}

fn t5_failure(bench: &mut dyn Bench) -> Outcome {
    let reasons = [
        CloseReason::T6(ControlRequest::Linktest),
        CloseReason::T8 { received: 4 },
        CloseReason::LengthTooShort { length: 9 },
        CloseReason::LooksLikeSecsI,
    ];
    for reason in reasons {
        let (t5, t6, t8) = (bench.span(Timer::T5), bench.span(Timer::T6), bench.span(Timer::T8));
        bench.begin_with(|config| set(set(set(config, Timer::T5, t5)?, Timer::T6, t6)?, Timer::T8, t8))?;
        bench.selected()?;
        let since = bench.now();
        let within = match reason {
            CloseReason::T6(_) => {
                bench.does(Command::Linktest)?;
                let frame = bench.frame()?;
                bench.is(&frame, &Frame::new(Header::linktest_req(frame.header.system), &[]))?;
                t6
            }
            CloseReason::T8 { .. } => {
                bench.send_octets(&10_u32.to_be_bytes())?;
                t8
            }
            CloseReason::LengthTooShort { length } => {
                bench.send_octets(&length.to_be_bytes())?;
                Duration::ZERO
            }
            _ => {
                bench.send_octets(&[5])?;
                Duration::ZERO
            }
        };
        bench.closed_at(since, within)?;
        let closed = if bench.about().virtual_time { bench.now() } else { since.saturating_add(within) };
        bench.told_some(&Report::Closed(reason))?;
        selects_at(bench, closed, t5)?;
    }
    Ok(())
}

/// Messages that the default profile lives with while NOT SELECTED, and what it answers.
fn unselected_traffic() -> [(Header, Option<Header>); 6] {
    let system = linktest().system;
    let orphan = Header::linktest_rsp(system);
    let unknown = Header { stype: SType(11), ..linktest() };
    let data = primary(S1F1);
    [
        (linktest(), Some(orphan)),
        (Header::deselect_req(system), Some(Header::deselect_rsp(system).with_status(1))),
        (orphan, Some(Header::reject_req(system, SType::LINKTEST_RSP.0, RejectReason::TRANSACTION_NOT_OPEN))),
        (unknown, Some(Header::reject_req(system, 11, RejectReason::STYPE_NOT_SUPPORTED))),
        (data, Some(Header::reject_req(system, 0, RejectReason::ENTITY_NOT_SELECTED))),
        (Header::reject_req(system, 0, RejectReason::ENTITY_NOT_SELECTED), None),
    ]
}

/// Each of these is sent, and the connection ends all the same, `span` after `since`.
fn ends_in_traffic(bench: &mut dyn Bench, since: Duration, span: Duration, reason: CloseReason) -> Outcome {
    bench.quiet(span / 16)?;
    for (message, answer) in unselected_traffic() {
        bench.send(message)?;
        if let Some(answer) = answer {
            bench.expect(answer)?;
        }
    }
    bench.closed_at(since, span)?;
    bench.told_some(&Report::Closed(reason))
}

fn t6_traffic(bench: &mut dyn Bench) -> Outcome {
    let t6 = bench.begin_timed(Timer::T6)?;
    let since = bench.now();
    bench.not_selected()?;
    ends_in_traffic(bench, since, t6, CloseReason::T6(ControlRequest::Select))
}

fn t6_part(bench: &mut dyn Bench) -> Outcome {
    for cut in bench.some(1..14) {
        let t6 = bench.span(Timer::T6);
        bench.begin_with(|config| set(set(config, Timer::T8, LONG)?, Timer::T6, t6))?;
        let since = bench.now();
        let select = bench.not_selected()?;
        bench.quiet(t6 / 16)?;
        bench.send_octets(encode(&Header::select_rsp(select), &[]).split_at(cut).0)?;
        bench.closed_at(since, t6)?;
        bench.told(&[Report::Closed(CloseReason::T6(ControlRequest::Select))])?;
    }
    Ok(())
}

fn t7_traffic(bench: &mut dyn Bench) -> Outcome {
    let t7 = bench.begin_timed(Timer::T7)?;
    let since = bench.connect()?;
    ends_in_traffic(bench, since, t7, CloseReason::T7)
}

fn t7_part(bench: &mut dyn Bench) -> Outcome {
    for cut in bench.some(1..14) {
        let t7 = bench.span(Timer::T7);
        bench.begin_with(|config| set(set(config, Timer::T8, LONG)?, Timer::T7, t7))?;
        let since = bench.connect()?;
        bench.quiet(t7 / 16)?;
        bench.send_octets(encode(&Header::select_req(linktest().system), &[]).split_at(cut).0)?;
        bench.closed_at(since, t7)?;
        bench.told(&[Report::Closed(CloseReason::T7)])?;
    }
    Ok(())
}

fn t7_deselected(bench: &mut dyn Bench) -> Outcome {
    let t7 = bench.begin_timed(Timer::T7)?;
    bench.connect()?;
    bench.quiet(t7 / 4)?;
    bench.become_selected(SystemBytes(0))?;
    bench.quiet(t7.saturating_add(t7 / 4))?;
    let since = bench.now();
    bench.send(Header::deselect_req(linktest().system))?;
    bench.expect(Header::deselect_rsp(linktest().system))?;
    bench.closed_at(since, t7)?;
    bench.told(&[Report::Lenient(Leniency::Deselect), Report::Deselected, Report::Closed(CloseReason::T7)])
}

fn t7_next(bench: &mut dyn Bench) -> Outcome {
    let t7 = bench.begin_timed(Timer::T7)?;
    bench.connect()?;
    bench.quiet(t7 / 4)?;
    bench.shut(Line::First);
    let since = bench.connect()?;
    bench.told(&[Report::Closed(CloseReason::TransportClosed)])?;
    bench.closed_at(since, t7)?;
    bench.told(&[Report::Closed(CloseReason::T7)])
}

fn t7_listening(bench: &mut dyn Bench) -> Outcome {
    let t7 = bench.begin_timed(Timer::T7)?;
    bench.quiet(t7.saturating_add(t7 / 4))?;
    bench.told(&[])?;
    bench.selected()?;
    bench.stays_selected()
}
