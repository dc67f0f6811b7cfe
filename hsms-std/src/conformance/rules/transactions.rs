//! Open data transactions (E37 7.3, 9.4; E5 5.3, 7.4).

use crate::conformance::{Applies, Bench, Command, DATA, Frame, Line, Outcome, Report, Rule, S1F1, Timer, linktest};
use crate::conformance::{encode, primary, set};
use hsms_core::config::Entity;
use hsms_core::connection::{Class, CloseReason, Stray, TransactionEnd};
use hsms_core::wire::{Header, RejectReason, SType, StreamFunction, SystemBytes};
use std::time::Duration;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E5-3.6",
        duty: "Several transactions of its own are open at once, and the replies end them in whatever order they come.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: match_reply",
        test: any_order,
    },
    Rule {
        id: "E37-9.3.2/reply",
        duty: "While it waits for a reply it takes primaries, replies to them and answers linktests.",
        applies: Applies::ALL,
        place: "hsms-core/src/wire/kind.rs: is_primary",
        test: serves_meanwhile,
    },
    Rule {
        id: "E37-8.1.4.6/ends",
        duty: "The two ends number by themselves: a primary with the system bytes of one of its own open primaries is delivered and \
               replied to, and its own stays open.",
        applies: Applies::ALL,
        place: "hsms-core/src/wire/kind.rs: is_primary",
        test: same_number,
    },
    Rule {
        id: "E5-5.2",
        duty: "The W-bit of a reply means nothing: the message is delivered as the reply and cannot be replied to.",
        applies: Applies::ALL,
        place: "hsms-core/src/wire/header.rs: stream",
        test: reply_with_w,
    },
    Rule {
        id: "E37-9.4.1/again",
        duty: "A second reply to the same primary is not delivered; the application is told that it is late.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: reply_arrives",
        test: second_reply,
    },
    Rule {
        id: "E37-9.4.1/late",
        duty: "A reply that comes after T3 is not delivered and not answered; the application is told that it is late.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: match_ended",
        test: late,
    },
    Rule {
        id: "E37-7.7/3/data",
        duty: "A data reply that belongs to nothing, with or without W-bit or text, an abort too, is not delivered and not answered: \
               Reject.req with reason 3 is for control responses.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/transition.rs: data",
        test: orphan,
    },
    Rule {
        id: "E37-9.4.1/given-up",
        duty: "A transaction that the application gives up has ended: its reply is late, and nothing happens when T3 would have \
               expired.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/command.rs: forget",
        test: given_up,
    },
    Rule {
        id: "E37-9.4.1.1/each",
        duty: "T3 runs for each transaction by itself: each ends when its own is over, and not before.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/output.rs: start_timers",
        test: each_t3,
    },
    Rule {
        id: "E37-9.4.1.1/reply",
        duty: "The reply ends T3: nothing happens when it would have expired.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: reply_arrives",
        test: reply_ends_t3,
    },
    Rule {
        id: "E5-7.4.1/received",
        duty: "Function 0 of the primary's stream ends the transaction, its W-bit set or not: the application is told, no error \
               message is sent, and nothing happens when T3 would have expired.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/transaction.rs: is_answered_by",
        test: abort_ends_t3,
    },
    Rule {
        id: "E5-7.4.1/stream",
        duty: "Function 0 of another stream than the primary's does not end its transaction.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/transaction.rs: is_answered_by",
        test: abort_of_another_stream,
    },
    Rule {
        id: "E37-7.7/received/T3",
        duty: "A Reject.req about an open primary ends T3: no S9F9 is sent when it would have expired.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/transition.rs: reject",
        test: reject_ends_t3,
    },
    Rule {
        id: "E37-9.4.1.1/arriving",
        duty: "T3 ends with the header of the reply: how long the text takes is for T8 to judge.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: reply_arrives",
        test: arriving,
    },
    Rule {
        id: "E37-9.4.1.1/W",
        duty: "A primary without the W-bit opens no transaction: no T3 runs for it, and a reply is not delivered.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/command.rs: begin_data",
        test: no_transaction,
    },
    Rule {
        id: "E37-9.4.1/former",
        duty: "A reply to a primary of a former connection belongs to nothing on the next one.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: take_course",
        test: former,
    },
];

/// The reply to S1F1.
fn reply(request: Header) -> Header {
    Header::data(request.system, StreamFunction::new(1, 2), false, DATA)
}

/// The reply comes and is delivered.
fn ended(bench: &mut dyn Bench, request: Header) -> Outcome {
    bench.send(reply(request))?;
    bench.told(&[Report::Reply(Frame::new(reply(request), &[]))])
}

/// A data message that is for nobody.
fn stray(bench: &mut dyn Bench, header: Header, stray: Stray) -> Outcome {
    bench.send(header)?;
    bench.told(&[Report::Other(header, Class::Stray(stray))])
}

/// Equipment's message about a T3 that expired.
fn s9f9(bench: &mut dyn Bench, request: Header) -> Outcome {
    match bench.about().setup.entity {
        Entity::Equipment => super::stream9::expect_error(bench, DATA, 9, request),
        Entity::Host => Ok(()),
    }
}

/// S1F1 of the subject's with a T3 that can be waited for. Gives that too.
fn timed(bench: &mut dyn Bench) -> Outcome<(Header, Duration)> {
    let t3 = bench.begin_timed(Timer::T3)?;
    bench.selected()?;
    Ok((bench.request(S1F1, &[])?, t3))
}

/// Nothing happens when T3 would have expired.
fn nothing_expires(bench: &mut dyn Bench, t3: Duration) -> Outcome {
    bench.quiet(t3.saturating_add(t3 / 8))?;
    bench.told(&[])?;
    bench.stays_selected()
}

fn any_order(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let mut requests = Vec::new();
    for function in [1, 3, 5, 7, 9] {
        requests.push(bench.request(StreamFunction::new(2, function), &[])?);
    }
    requests.reverse();
    requests.rotate_left(2);
    for request in requests {
        let stream_function = StreamFunction::new(2, request.function().wrapping_add(1));
        let reply = Header::data(request.system, stream_function, false, DATA);
        bench.send(reply)?;
        bench.told(&[Report::Reply(Frame::new(reply, &[]))])?;
    }
    bench.stays_selected()
}

fn serves_meanwhile(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let request = bench.request(S1F1, &[])?;
    bench.send(linktest())?;
    bench.expect(Header::linktest_rsp(linktest().system))?;
    bench.send(primary(S1F1))?;
    bench.told(&[Report::Primary(Frame::new(primary(S1F1), &[]))])?;
    bench.does(Command::Reply(vec![]))?;
    bench.expect(reply(primary(S1F1)))?;
    ended(bench, request)?;
    bench.stays_selected()
}

fn same_number(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let request = bench.request(S1F1, &[])?;
    // The same function, and the one before a reply of it.
    for header in [request, Header::data(request.system, StreamFunction::new(1, 3), true, DATA)] {
        bench.send(header)?;
        bench.told(&[Report::Primary(Frame::new(header, &[]))])?;
        bench.does(Command::Reply(vec![]))?;
        let function = header.function().wrapping_add(1);
        bench.expect(Header::data(request.system, StreamFunction::new(1, function), false, DATA))?;
    }
    ended(bench, request)?;
    bench.stays_selected()
}

fn reply_with_w(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let request = bench.request(S1F1, &[])?;
    let reply = Header::data(request.system, StreamFunction::new(1, 2), true, DATA);
    bench.send(reply)?;
    bench.told(&[Report::Reply(Frame::new(reply, &[]))])?;
    bench.refuses(Command::Reply(vec![]))?;
    bench.stays_selected()
}

fn second_reply(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let request = bench.request(S1F1, &[])?;
    ended(bench, request)?;
    stray(bench, reply(request), Stray::Late)?;
    bench.stays_selected()
}

fn late(bench: &mut dyn Bench) -> Outcome {
    let t3 = bench.begin_timed(Timer::T3)?;
    bench.selected()?;
    let since = bench.now();
    let request = bench.request(S1F1, &[])?;
    bench.told_at(since, t3, &Report::Ended(request.system, TransactionEnd::T3))?;
    s9f9(bench, request)?;
    stray(bench, reply(request), Stray::Late)?;
    bench.stays_selected()
}

fn orphan(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for function in [2, 0, 254] {
        for w in [true, false] {
            for text in [&[][..], &[0x21, 1, 7]] {
                let header = Header::data(SystemBytes(0x7FFF_0000), StreamFunction::new(1, function), w, DATA);
                bench.send_text(header, text)?;
                bench.told(&[Report::Other(header, Class::Stray(Stray::Orphan))])?;
                bench.refuses(Command::Reply(vec![]))?;
                bench.stays_selected()?;
            }
        }
    }
    Ok(())
}

fn given_up(bench: &mut dyn Bench) -> Outcome {
    let (request, t3) = timed(bench)?;
    bench.does(Command::Forget(request.system))?;
    stray(bench, reply(request), Stray::Late)?;
    bench.refuses(Command::Forget(request.system))?;
    nothing_expires(bench, t3)
}

fn each_t3(bench: &mut dyn Bench) -> Outcome {
    let [(wait, _), _] = bench.around(Timer::T3);
    let t3 = bench.begin_timed(Timer::T3)?;
    bench.selected()?;
    let first_since = bench.now();
    let first = bench.request(S1F1, &[])?;
    bench.quiet(wait)?;
    let second_since = bench.now();
    let second = bench.request(S1F1, &[])?;
    for (since, request) in [(first_since, first), (second_since, second)] {
        bench.told_at(since, t3, &Report::Ended(request.system, TransactionEnd::T3))?;
        s9f9(bench, request)?;
    }
    bench.stays_selected()
}

fn reply_ends_t3(bench: &mut dyn Bench) -> Outcome {
    let (request, t3) = timed(bench)?;
    ended(bench, request)?;
    nothing_expires(bench, t3)
}

fn abort_ends_t3(bench: &mut dyn Bench) -> Outcome {
    for w in [false, true] {
        let (request, t3) = timed(bench)?;
        let abort = Header::data(request.system, StreamFunction::new(1, 0), w, DATA);
        bench.send(abort)?;
        bench.told(&[Report::Reply(Frame::new(abort, &[]))])?;
        nothing_expires(bench, t3)?;
    }
    Ok(())
}

fn abort_of_another_stream(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let request = bench.request(S1F1, &[])?;
    for stream in [0, 2, 9, 127] {
        let abort = Header::data(request.system, StreamFunction::new(stream, 0), false, DATA);
        stray(bench, abort, Stray::Mismatched)?;
    }
    ended(bench, request)?;
    bench.stays_selected()
}

fn reject_ends_t3(bench: &mut dyn Bench) -> Outcome {
    let (request, t3) = timed(bench)?;
    let reason = RejectReason::ENTITY_NOT_SELECTED;
    bench.send(Header::reject_req(request.system, SType::DATA.0, reason))?;
    bench.told(&[Report::Ended(request.system, TransactionEnd::Rejected(reason))])?;
    nothing_expires(bench, t3)?;
    stray(bench, reply(request), Stray::Late)?;
    bench.stays_selected()
}

fn arriving(bench: &mut dyn Bench) -> Outcome {
    let t3 = Duration::from_secs(1);
    bench.begin_with(|config| set(config, Timer::T3, t3))?;
    bench.selected()?;
    let request = bench.request(S1F1, &[])?;
    let text = [0x21, 2, 7, 8];
    let whole = encode(&reply(request), &text);
    let (head, tail) = whole.split_at(whole.len().saturating_sub(2));
    bench.send_octets(head)?;
    // T8 is longer than that.
    bench.quiet(t3.saturating_mul(2))?;
    bench.told(&[])?;
    bench.send_octets(tail)?;
    bench.told(&[Report::Reply(Frame::new(reply(request), &text))])?;
    bench.stays_selected()
}

fn no_transaction(bench: &mut dyn Bench) -> Outcome {
    let t3 = bench.begin_timed(Timer::T3)?;
    bench.selected()?;
    bench.does(Command::Send(S1F1, vec![]))?;
    let sent = bench.frame()?.header;
    stray(bench, reply(sent), Stray::Late)?;
    nothing_expires(bench, t3)
}

fn former(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let request = bench.request(S1F1, &[])?;
    bench.shut(Line::First);
    let end = Report::Ended(request.system, TransactionEnd::SessionEnded);
    bench.told(&[end, Report::Closed(CloseReason::TransportClosed)])?;
    bench.selected()?;
    stray(bench, reply(request), Stray::Orphan)?;
    bench.stays_selected()
}
