//! T8, the network intercharacter timeout (E37 9.2.3).

use crate::conformance::{
    Applies, Bench, Command, DATA, Frame, Outcome, Report, Rule, S1F1, Timer, encode, linktest, primary, set,
};
use hsms_core::connection::{Class, CloseReason, TransactionEnd};
use hsms_core::wire::{Header, RejectReason, SType, StreamFunction, SystemBytes};
use std::time::Duration;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E37-9.2.3",
        duty: "A message that stops anywhere in the middle, in its length field, header or text, for T8 ends the connection.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: receive",
        test: stops,
    },
    Rule {
        id: "E37-9.2.3/anew",
        duty: "Each octet starts T8 anew: a message may take much longer than T8, from the first octet of its length field on.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: receive",
        test: anew,
    },
    Rule {
        id: "E37-9.2.3/last",
        duty: "T8 counts from the last octet that came, not from the first of the message.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: receive",
        test: last,
    },
    Rule {
        id: "E37-9.2.3/idle",
        duty: "Between messages T8 does not run: a session without any lasts.",
        applies: Applies::ALL,
        place: "hsms-core/src/frame.rs: in_message",
        test: idle,
    },
    Rule {
        id: "E37-9.2.3/complete",
        duty: "The last octet of a message stops T8, with text and without.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: receive",
        test: complete,
    },
    Rule {
        id: "E37-9.2.3/behind",
        duty: "T8 runs for the beginning of a message that came together with the end of the one before.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: receive",
        test: behind,
    },
    Rule {
        id: "E37.1-T1-4.6",
        duty: "T8 ends a connection that is NOT SELECTED too, before T7 or T6 of the Select.req does.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/output.rs: earliest",
        test: not_selected,
    },
    Rule {
        id: "E37-9.2.3/sending",
        duty: "What it sends itself while a message of the peer's is arriving does not move T8.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: receive",
        test: sending,
    },
    Rule {
        id: "E37-9.2.3/part",
        duty: "Of a message that T8 has cut off nothing is delivered and nothing is answered.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: time_out",
        test: part,
    },
    Rule {
        id: "E37-9.2.3/reply",
        duty: "A reply whose text stops ends the connection by T8, and its transaction with that.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/output.rs: poll_end",
        test: reply,
    },
    Rule {
        id: "E37-9.2.3/refused",
        duty: "T8 runs in the text of a message that was refused and is passed by.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: receive",
        test: refused,
    },
    Rule {
        id: "E37-9.2.3/too-long",
        duty: "T8 runs in the text of a message that is too long and is passed by.",
        applies: Applies::ALL.equipment().lenient(),
        place: "hsms-core/src/connection/input.rs: receive",
        test: too_long,
    },
    Rule {
        id: "E37-9.2.3/data",
        duty: "T8 runs in a long text that comes in parts of many octets as in one of single octets.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: receive",
        test: in_long_text,
    },
];

const ITEM: [u8; 3] = [0x21, 0x01, 7];

/// A message of data is delivered.
fn delivered(text: &[u8]) -> Report {
    Report::Primary(Frame::new(primary(S1F1), text))
}

/// T8 ends the connection `span` after `since`, when `received` octets have come. The reports before that are passed over.
fn ends_at(bench: &mut dyn Bench, since: Duration, t8: Duration, received: usize) -> Outcome {
    bench.closed_at(since, t8)?;
    let received = u32::try_from(received).unwrap_or(u32::MAX);
    bench.told_some(&Report::Closed(CloseReason::T8 { received }))
}

fn stops(bench: &mut dyn Bench) -> Outcome {
    let whole = encode(&primary(S1F1), &ITEM);
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
                bench.told(&[delivered(&ITEM)])?;
                bench.stays_selected()?;
            } else {
                ends_at(bench, since, t8, cut)?;
            }
        }
    }
    Ok(())
}

fn anew(bench: &mut dyn Bench) -> Outcome {
    let t8 = bench.begin_timed(Timer::T8)?;
    bench.selected()?;
    // All in all longer than T8, with most of it to spare for a busy machine each time.
    let gap = if bench.about().virtual_time { t8.saturating_sub(Duration::from_millis(1)) } else { t8 / 12 };
    for octet in encode(&linktest(), &[]) {
        bench.quiet(gap)?;
        bench.send_octets(&[octet])?;
    }
    bench.expect(Header::linktest_rsp(linktest().system))?;
    for octet in encode(&primary(S1F1), &ITEM) {
        bench.quiet(gap)?;
        bench.send_octets(&[octet])?;
    }
    bench.told(&[delivered(&ITEM)])?;
    bench.stays_selected()
}

fn last(bench: &mut dyn Bench) -> Outcome {
    let whole = encode(&primary(S1F1), &ITEM);
    for cut in bench.some([2, 4, 5, 14, 15, 16]) {
        let t8 = bench.begin_timed(Timer::T8)?;
        bench.selected()?;
        let (head, _) = whole.split_at(cut);
        let (first, second) = head.split_at(1);
        bench.send_octets(first)?;
        bench.quiet(t8 / 4)?;
        let since = bench.now();
        bench.send_octets(second)?;
        ends_at(bench, since, t8, cut)?;
    }
    Ok(())
}

fn idle(bench: &mut dyn Bench) -> Outcome {
    let t8 = bench.begin_timed(Timer::T8)?;
    let select = bench.not_selected()?;
    let long = if bench.about().virtual_time { t8.saturating_mul(1_000) } else { t8.saturating_add(t8 / 4) };
    bench.become_selected(select)?;
    bench.quiet(long)?;
    bench.told(&[])?;
    bench.stays_selected()
}

fn complete(bench: &mut dyn Bench) -> Outcome {
    for text in [&[][..], &ITEM] {
        let t8 = bench.begin_timed(Timer::T8)?;
        bench.selected()?;
        let whole = encode(&primary(S1F1), text);
        let (head, tail) = whole.split_at(whole.len().saturating_sub(1));
        bench.send_octets(head)?;
        bench.quiet(t8 / 16)?;
        bench.send_octets(tail)?;
        bench.told(&[delivered(text)])?;
        bench.quiet(t8.saturating_add(t8 / 4))?;
        bench.stays_selected()?;
    }
    Ok(())
}

fn behind(bench: &mut dyn Bench) -> Outcome {
    for begun in bench.some(1..14) {
        let t8 = bench.begin_timed(Timer::T8)?;
        bench.selected()?;
        let (first, second) = (encode(&primary(S1F1), &ITEM), encode(&linktest(), &[]));
        let (head, _) = second.split_at(begun);
        let since = bench.now();
        bench.send_octets(&[&first, head].concat())?;
        bench.closed_at(since, t8)?;
        let received = u32::try_from(begun).unwrap_or(u32::MAX);
        bench.told(&[delivered(&ITEM), Report::Closed(CloseReason::T8 { received })])?;
    }
    Ok(())
}

/// A fresh subject whose T8 is shorter than what guards NOT SELECTED.
fn begin(bench: &mut dyn Bench) -> Outcome<Duration> {
    let t8 = bench.span(Timer::T8);
    let long = t8.saturating_mul(4);
    bench.begin_with(|config| set(set(set(config, Timer::T6, long)?, Timer::T7, long)?, Timer::T8, t8))?;
    Ok(t8)
}

fn not_selected(bench: &mut dyn Bench) -> Outcome {
    let active = bench.about().is_active();
    for cut in bench.some(1..14) {
        for (wait, in_time) in bench.around(Timer::T8) {
            let t8 = begin(bench)?;
            let select = bench.not_selected()?;
            let message = if active { Header::select_rsp(select) } else { Header::select_req(linktest().system) };
            let whole = encode(&message, &[]);
            let (head, tail) = whole.split_at(cut);
            let since = bench.now();
            bench.send_octets(head)?;
            if in_time {
                bench.quiet(wait)?;
                bench.send_octets(tail)?;
                if !active {
                    bench.expect(Header::select_rsp(linktest().system))?;
                }
                bench.told(&[Report::Selected])?;
                bench.stays_selected()?;
            } else {
                bench.closed_at(since, t8)?;
                let received = u32::try_from(cut).unwrap_or(u32::MAX);
                bench.told(&[Report::Closed(CloseReason::T8 { received })])?;
            }
        }
    }
    Ok(())
}

fn sending(bench: &mut dyn Bench) -> Outcome {
    let t8 = bench.begin_timed(Timer::T8)?;
    bench.selected()?;
    let since = bench.now();
    bench.send_octets(&[0])?;
    bench.quiet(t8 / 16)?;
    bench.does(Command::Send(S1F1, vec![]))?;
    let frame = bench.frame()?;
    bench.is(&frame, &Frame::new(Header::data(frame.header.system, S1F1, false, DATA), &[]))?;
    bench.closed_at(since, t8)?;
    bench.told(&[Report::Closed(CloseReason::T8 { received: 1 })])
}

fn part(bench: &mut dyn Bench) -> Outcome {
    let unknown = Header { stype: SType(11), ..linktest() };
    for header in [linktest(), unknown, primary(S1F1), Header::separate_req(SystemBytes(1))] {
        let t8 = bench.begin_timed(Timer::T8)?;
        bench.selected()?;
        let since = bench.now();
        bench.send_octets(encode(&header, &[]).split_at(13).0)?;
        bench.closed_at(since, t8)?;
        bench.told(&[Report::Closed(CloseReason::T8 { received: 13 })])?;
    }
    // All but the last octet of a text.
    let t8 = bench.begin_timed(Timer::T8)?;
    bench.selected()?;
    let since = bench.now();
    bench.send_octets(encode(&primary(S1F1), &ITEM).split_at(16).0)?;
    bench.closed_at(since, t8)?;
    bench.told(&[Report::Closed(CloseReason::T8 { received: 16 })])
}

fn reply(bench: &mut dyn Bench) -> Outcome {
    let t8 = bench.begin_timed(Timer::T8)?;
    bench.selected()?;
    let request = bench.request(S1F1, &[])?;
    let reply = Header::data(request.system, StreamFunction::new(1, 2), false, DATA);
    let since = bench.now();
    bench.send_octets(encode(&reply, &ITEM).split_at(15).0)?;
    bench.closed_at(since, t8)?;
    let ended = Report::Ended(request.system, TransactionEnd::SessionEnded);
    bench.told(&[ended, Report::Closed(CloseReason::T8 { received: 15 })])
}

fn refused(bench: &mut dyn Bench) -> Outcome {
    let reason = RejectReason::STYPE_NOT_SUPPORTED;
    let unknown = Header { stype: SType(11), ..linktest() };
    let t8 = bench.begin_timed(Timer::T8)?;
    bench.selected()?;
    bench.send_octets(encode(&unknown, &ITEM).split_at(14).0)?;
    bench.expect(Header::reject_req(unknown.system, 11, reason))?;
    bench.quiet(t8 / 16)?;
    let since = bench.now();
    bench.send_octets(&[0])?;
    bench.closed_at(since, t8)?;
    let other = Report::Other(unknown, Class::Rejected(reason));
    bench.told(&[other, Report::Closed(CloseReason::T8 { received: 15 })])
}

fn too_long(bench: &mut dyn Bench) -> Outcome {
    let t8 = bench.span(Timer::T8);
    bench.begin_with(|config| set(config.with_max_message(64)?, Timer::T8, t8))?;
    bench.selected()?;
    let since = bench.now();
    bench.send_octets(encode(&primary(S1F1), &[0; 55]).split_at(60).0)?;
    let frame = bench.frame()?;
    let header = Header::data(frame.header.system, StreamFunction::new(9, 11), false, DATA);
    bench.is(&frame, &Frame::new(header, &[&[0x21, 10][..], &primary(S1F1).encode()].concat()))?;
    bench.closed_at(since, t8)?;
    bench.told(&[Report::Other(primary(S1F1), Class::TooLong), Report::Closed(CloseReason::T8 { received: 60 })])
}

fn in_long_text(bench: &mut dyn Bench) -> Outcome {
    let t8 = bench.begin_timed(Timer::T8)?;
    bench.selected()?;
    let text = vec![7; 200_000];
    let whole = encode(&primary(S1F1), &text);
    let mut parts = whole.chunks(20_000);
    let last = parts.next_back().unwrap_or_default();
    for part in parts {
        bench.send_octets(part)?;
        bench.quiet(t8 / 8)?;
    }
    bench.send_octets(last)?;
    bench.told(&[delivered(&text)])?;
    let (head, _) = whole.split_at(150_000);
    let since = bench.now();
    bench.send_octets(head)?;
    ends_at(bench, since, t8, head.len())
}
