//! Timers (E37 7.2, 9.2 to 9.4, 10.1; E37.1 Tables 1 and 2).

use crate::conformance::{
    Applies, Bench, DATA, Frame, Line, Outcome, Report, Rule, S1F1, Timer, encode, linktest, primary,
};
use hsms_core::config::Profile;
use hsms_core::connection::{CloseReason, ControlRequest, TransactionEnd};
use hsms_core::wire::{Header, StreamFunction, SystemBytes};
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
        id: "E37-9.2.3",
        duty: "A message that stops anywhere in the middle for T8 ends the connection; each octet starts T8 anew.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/input.rs: receive",
        test: t8,
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

fn t8(bench: &mut dyn Bench) -> Outcome {
    let whole = encode(&primary(S1F1), &[0x21, 0x01, 7]);
    for cut in bench.some(1..whole.len()) {
        let (head, rest) = whole.split_at(cut);
        for (wait, in_time) in bench.around(Timer::T8) {
            let t8 = bench.begin_timed(Timer::T8)?;
            bench.selected()?;
            let since = bench.now();
            bench.send_octets(head)?;
            if in_time {
                bench.quiet(wait)?;
                bench.send_octets(rest)?;
                bench.told(&[Report::Primary(Frame::new(primary(S1F1), &[0x21, 0x01, 7]))])?;
                bench.stays_selected()?;
            } else {
                bench.closed_at(since, t8)?;
                let received = u32::try_from(cut).unwrap_or(u32::MAX);
                bench.told_some(&Report::Closed(CloseReason::T8 { received }))?;
            }
        }
    }
    each_octet_starts_anew(bench)
}

/// Over a socket a busy machine would make this a matter of luck.
fn each_octet_starts_anew(bench: &mut dyn Bench) -> Outcome {
    if !bench.about().virtual_time {
        return Ok(());
    }
    let t8 = bench.begin_timed(Timer::T8)?;
    bench.selected()?;
    for octet in encode(&linktest(), &[]) {
        bench.quiet(t8.saturating_sub(Duration::from_millis(1)))?;
        bench.send_octets(&[octet])?;
    }
    bench.expect(Header::linktest_rsp(linktest().system))
}
