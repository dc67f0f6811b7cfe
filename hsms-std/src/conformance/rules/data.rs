//! Data (E37 7.3, 9.4; E37.1 7.2).

use crate::conformance::{
    Applies, Bench, Command, DATA, Frame, Outcome, Report, Rule, S1F1, encode, linktest, primary,
};
use hsms_core::connection::{Class, CloseReason, Stray};
use hsms_core::wire::{Header, RejectReason, SType, SessionId, StreamFunction, SystemBytes};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E37-7.3/primary",
        duty: "A primary while SELECTED is delivered with its header and text as they came, and nothing is sent.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/transition.rs: data",
        test: delivers,
    },
    Rule {
        id: "E37-9.4.1/match",
        duty: "A message with the session id, stream and system bytes of an open primary, and its function plus one or zero, is \
               delivered as its reply.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: match_reply",
        test: matches_reply,
    },
    Rule {
        id: "E37-9.4.1/mismatch",
        duty: "A reply that differs from the open primary in stream, function or system bytes is not delivered as its reply; the \
               transaction stays open.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/transition.rs: data",
        test: mismatches,
    },
    Rule {
        id: "E37-7.7/4",
        duty: "Data while NOT SELECTED is answered with Reject.req, reason 4, and not delivered; the connection stays.",
        applies: Applies::SS.lenient(),
        place: "hsms-core/src/connection/transition.rs: data",
        test: not_selected,
    },
    Rule {
        id: "E37.1-T1-4.3/data/strict",
        duty: "Data while NOT SELECTED is answered with Reject.req, reason 4, and the transport is closed.",
        applies: Applies::SS.strict(),
        place: "hsms-core/src/connection/transition.rs: data",
        test: not_selected_strict,
    },
    Rule {
        id: "E37-7.7/4/secondary",
        duty: "Replies, aborts and messages of stream 9 are refused while NOT SELECTED as primaries are, with or without text.",
        applies: Applies::SS.lenient(),
        place: "hsms-core/src/connection/transition.rs: data",
        test: not_selected_secondary,
    },
    Rule {
        id: "E5-4.3/any",
        duty: "Every stream and every odd function makes a primary that is delivered: which of them mean something is not for HSMS \
               to say.",
        applies: Applies::ALL,
        place: "hsms-core/src/wire/kind.rs: is_primary",
        test: any_function,
    },
    Rule {
        id: "E5-7.3.2/text",
        duty: "Text is delivered as it came and not looked at: a malformed item or octets behind it do not touch the session, and no \
               text is told from an empty list.",
        applies: Applies::ALL,
        place: "hsms-core/src/frame.rs: decode_to",
        test: any_text,
    },
    Rule {
        id: "E37-A1-1.4/merged",
        duty: "Messages that come in one piece, the last of them cut, are taken one by one and in order.",
        applies: Applies::ALL,
        place: "hsms-core/src/frame.rs: decode_to",
        test: merged,
    },
    Rule {
        id: "E37-8.2.1/primary",
        duty: "A primary of its own carries the device id with bit 15 clear, stream and function, the W-bit as asked for, PType and \
               SType 0, and its text.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/command.rs: begin_data",
        test: own_primary,
    },
    Rule {
        id: "E37-7.3/not-selected",
        duty: "Data of its own is refused to the application while NOT CONNECTED or NOT SELECTED; nothing is sent, then or later.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/command.rs: can_send",
        test: own_not_selected,
    },
    Rule {
        id: "E5-4.2/own",
        duty: "The application cannot send an even function as a primary, the abort's 0 included.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/command.rs: begin_data",
        test: own_even,
    },
    Rule {
        id: "E5-7.4/own",
        duty: "The application cannot send stream 0, which is never used, nor one above 127.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/command.rs: begin_data",
        test: own_stream,
    },
    Rule {
        id: "E37-9.4.1/reply",
        duty: "Its reply repeats session id, stream and system bytes of the primary, whatever those are, with the function after it \
               and the W-bit clear.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/command.rs: begin_reply",
        test: replies,
    },
    Rule {
        id: "E5-7.4.1/sent",
        duty: "Its abort of a peer's transaction is function 0 of the primary's stream, without text and W-bit, with the primary's \
               system bytes.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/command.rs: begin_abort",
        test: aborts,
    },
    Rule {
        id: "E37-7.3/W",
        duty: "To a primary without the W-bit there is nothing to reply: the application is refused, and nothing is sent.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/inbound.rs: reply_token",
        test: no_reply_wanted,
    },
    Rule {
        id: "E37-8.1.4.6/duplicate",
        duty: "A second primary with system bytes that the peer has open is delivered like the first, and each can be replied to.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/inbound.rs: reply_token",
        test: duplicate,
    },
];

fn delivers(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for (header, text) in [(primary(S1F1), vec![]), (primary(StreamFunction::new(6, 11)), vec![0x21, 0x02, 7, 9])] {
        for w in [true, false] {
            let header = Header::data(header.system, header.stream_function(), w, DATA);
            bench.send_text(header, &text)?;
            bench.told(&[Report::Primary(Frame::new(header, &text))])?;
        }
    }
    bench.stays_selected()
}

fn matches_reply(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for function in [2, 0] {
        let request = bench.request(S1F1, &[])?;
        let reply = Header::data(request.system, StreamFunction::new(1, function), false, DATA);
        bench.send(reply)?;
        bench.told(&[Report::Reply(Frame::new(reply, &[]))])?;
        bench.stays_selected()?;
    }
    Ok(())
}

fn mismatches(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let request = bench.request(S1F1, &[])?;
    let reply = |function, session| Header::data(request.system, function, false, session);
    let good = reply(StreamFunction::new(1, 2), DATA);
    let orphan = Header { system: SystemBytes(!request.system.0), ..good };
    for (other, stray) in [
        (reply(StreamFunction::new(2, 2), DATA), Stray::Mismatched),
        (reply(StreamFunction::new(1, 4), DATA), Stray::Mismatched),
        (orphan, Stray::Orphan),
    ] {
        bench.send(other)?;
        bench.told(&[Report::Other(other, Class::Stray(stray))])?;
        bench.stays_selected()?;
    }
    // It is open still.
    bench.send(good)?;
    bench.told(&[Report::Reply(Frame::new(good, &[]))])
}

fn not_selected(bench: &mut dyn Bench) -> Outcome {
    let select = bench.begin_not_selected()?;
    for session in [DATA, SessionId(2)] {
        let data = primary(S1F1).with_session(session);
        bench.send(data)?;
        bench.expect(Header::reject_req(data.system, SType::DATA.0, RejectReason::ENTITY_NOT_SELECTED))?;
        bench.told(&[Report::Other(data, Class::Rejected(RejectReason::ENTITY_NOT_SELECTED))])?;
    }
    bench.stays_not_selected(select)
}

fn not_selected_strict(bench: &mut dyn Bench) -> Outcome {
    for (stream, function) in [(1, 1), (1, 2), (1, 0), (9, 9)] {
        bench.begin_not_selected()?;
        let data = primary(StreamFunction::new(stream, function));
        bench.send(data)?;
        bench.expect(Header::reject_req(data.system, SType::DATA.0, RejectReason::ENTITY_NOT_SELECTED))?;
        bench.expect_closed()?;
        let rejected = Report::Other(data, Class::Rejected(RejectReason::ENTITY_NOT_SELECTED));
        bench.told(&[rejected, Report::Closed(CloseReason::DataNotSelected)])?;
    }
    Ok(())
}

fn not_selected_secondary(bench: &mut dyn Bench) -> Outcome {
    let select = bench.begin_not_selected()?;
    for (stream, function) in [(1, 2), (1, 0), (9, 1), (9, 9), (9, 0)] {
        for text in [&[][..], &[0x21, 0x01, 7]] {
            let data = Header::data(SystemBytes(77), StreamFunction::new(stream, function), false, DATA);
            bench.send_text(data, text)?;
            bench.expect(Header::reject_req(data.system, SType::DATA.0, RejectReason::ENTITY_NOT_SELECTED))?;
            bench.told(&[Report::Other(data, Class::Rejected(RejectReason::ENTITY_NOT_SELECTED))])?;
        }
    }
    bench.stays_not_selected(select)
}

fn delivered(bench: &mut dyn Bench, header: Header, text: &[u8]) -> Outcome {
    bench.send_text(header, text)?;
    bench.told(&[Report::Primary(Frame::new(header, text))])
}

fn any_function(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for stream in bench.some(0..=127) {
        delivered(bench, primary(StreamFunction::new(stream, 65)), &[])?;
    }
    for function in bench.some((1..=u8::MAX).step_by(2)) {
        let header = Header::data(SystemBytes(5), StreamFunction::new(100, function), false, DATA);
        delivered(bench, header, &[])?;
    }
    bench.stays_selected()
}

fn any_text(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    // Nothing, an empty list, an item that is cut, two items, an unknown format, no length octets, a width that does not fit.
    let texts: [&[u8]; 7] =
        [&[], &[1, 0], &[0x21, 5, 1], &[0x21, 1, 1, 0x21, 1, 2], &[0xFD, 1, 0], &[0x20], &[0xA9, 3, 1, 2, 3]];
    for text in texts {
        delivered(bench, primary(S1F1), text)?;
        let request = bench.request(S1F1, text)?;
        let reply = Header::data(request.system, StreamFunction::new(1, 2), false, DATA);
        bench.send_text(reply, text)?;
        bench.told(&[Report::Reply(Frame::new(reply, text))])?;
    }
    bench.stays_selected()
}

fn merged(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let item = [0x21, 0x01, 7];
    let last = encode(&primary(StreamFunction::new(1, 5)), &item);
    let (head, tail) = last.split_at(last.len() / 2);
    let first = encode(&primary(S1F1), &item);
    let second = encode(&primary(StreamFunction::new(1, 3)), &[]);
    bench.send_octets(&[&first[..], &encode(&linktest(), &[]), &second, head].concat())?;
    bench.expect(Header::linktest_rsp(linktest().system))?;
    let whole = |function, text| Report::Primary(Frame::new(primary(StreamFunction::new(1, function)), text));
    bench.told(&[whole(1, &item), whole(3, &[])])?;
    bench.send_octets(tail)?;
    bench.told(&[whole(5, &item)])?;
    bench.stays_selected()
}

fn own_primary(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for (stream, function, text) in [(1, 1, &[][..]), (127, 255, &[0x41, 1, 0x41]), (6, 11, &[0xFF; 300])] {
        let stream_function = StreamFunction::new(stream, function);
        bench.request(stream_function, text)?;
        bench.does(Command::Send(stream_function, text.to_vec()))?;
        let frame = bench.frame()?;
        bench.is(&frame, &Frame::new(Header::data(frame.header.system, stream_function, false, DATA), text))?;
    }
    bench.told(&[])?;
    bench.stays_selected()
}

/// Commands that would send data.
fn refuses_data(bench: &mut dyn Bench, stream_function: StreamFunction) -> Outcome {
    bench.refuses(Command::Request(stream_function, vec![]))?;
    bench.refuses(Command::Send(stream_function, vec![1, 0]))
}

fn own_not_selected(bench: &mut dyn Bench) -> Outcome {
    bench.begin()?;
    refuses_data(bench, S1F1)?;
    let select = bench.not_selected()?;
    refuses_data(bench, S1F1)?;
    bench.told(&[])?;
    bench.stays_not_selected(select)?;
    bench.stays_selected()
}

fn own_even(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for function in bench.some((0..=254).step_by(2)) {
        refuses_data(bench, StreamFunction::new(1, function))?;
    }
    bench.told(&[])?;
    bench.stays_selected()
}

fn own_stream(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for stream in bench.some((0..=u8::MAX).filter(|stream| matches!(stream, 0 | 128..))) {
        refuses_data(bench, StreamFunction::new(stream, 1))?;
    }
    bench.told(&[])?;
    bench.stays_selected()
}

fn replies(bench: &mut dyn Bench) -> Outcome {
    let other = super::devices::OTHER;
    bench.begin_with(super::devices::two)?;
    bench.selected()?;
    for system in [0, 1, 0x8000_0000, 0x0102_0304, u32::MAX].map(SystemBytes) {
        for (stream, function, device) in [(1, 1, DATA), (127, 253, other.session())] {
            let header = Header::data(system, StreamFunction::new(stream, function), true, device);
            delivered(bench, header, &[])?;
            bench.does(Command::Reply(vec![1, 0]))?;
            let reply = StreamFunction::new(stream, function.wrapping_add(1));
            bench.expect_text(Header::data(system, reply, false, device), &[1, 0])?;
        }
    }
    bench.stays_selected()
}

fn aborts(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for (stream, function) in [(1, 1), (2, 41), (127, 255)] {
        let header = primary(StreamFunction::new(stream, function));
        delivered(bench, header, &[1, 0])?;
        bench.does(Command::Abort)?;
        bench.expect(Header::data(header.system, StreamFunction::new(stream, 0), false, DATA))?;
    }
    bench.stays_selected()
}

fn no_reply_wanted(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    delivered(bench, Header::data(SystemBytes(3), S1F1, false, DATA), &[])?;
    bench.refuses(Command::Reply(vec![]))?;
    bench.refuses(Command::Abort)?;
    bench.stays_selected()
}

fn duplicate(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let (first, second) = (primary(S1F1), primary(StreamFunction::new(2, 13)));
    delivered(bench, first, &[])?;
    delivered(bench, second, &[])?;
    for (stream, function) in [(1, 2), (2, 14)] {
        bench.does(Command::Reply(vec![1, 0]))?;
        let reply = Header::data(first.system, StreamFunction::new(stream, function), false, DATA);
        bench.expect_text(reply, &[1, 0])?;
    }
    bench.stays_selected()
}
