//! Message length (E37 8.1.1 and 8.1.3, E37.1 Tables 1 and 2 rows 4 and 5).

use crate::conformance::{
    Applies, Bench, DATA, Frame, Line, Outcome, Report, Rule, S1F1, Timer, encode, linktest, primary, set,
};
use hsms_core::config::Entity;
use hsms_core::connection::{Class, CloseReason, TransactionEnd};
use hsms_core::wire::{Header, PType, SType, StreamFunction, SystemBytes};
use std::time::Duration;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E37-8.1.3",
        duty: "A length field below 10 ends the connection.",
        applies: Applies::ALL,
        place: "hsms-core/src/frame.rs: decode_to",
        test: too_short,
    },
    Rule {
        id: "E37-8.1.3/at-once",
        duty: "An impossible length ends the connection with the fourth octet of the length field, not with T8, in whatever parts \
               it comes.",
        applies: Applies::ALL,
        place: "hsms-core/src/frame.rs: fill",
        test: too_short_at_once,
    },
    Rule {
        id: "E37-8.1.3/before",
        duty: "What came in front of an impossible length is answered and delivered before the connection ends.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: receive",
        test: before_too_short,
    },
    Rule {
        id: "E37-8.1.3/behind",
        duty: "What comes behind an impossible length is neither answered nor delivered.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: receive",
        test: behind_too_short,
    },
    Rule {
        id: "E37-8.1.3/least",
        duty: "A message of length 10 is whole with the last octet of its header, and delivered without text.",
        applies: Applies::ALL,
        place: "hsms-core/src/frame.rs: last",
        test: least,
    },
    Rule {
        id: "E37-8.1.1/received",
        duty: "The length field is read with its most significant octet first, and counts header and text but not itself.",
        applies: Applies::ALL,
        place: "hsms-core/src/frame.rs: decode_to",
        test: received,
    },
    Rule {
        id: "E37-8.1.1/sent",
        duty: "Its own length fields have the most significant octet first, and count header and text but not themselves.",
        applies: Applies::ALL,
        place: "hsms-core/src/wire/header.rs: encode_prefix",
        test: sent,
    },
    Rule {
        id: "E37-8.1.3/greatest",
        duty: "The greatest length accepted is as it was set: a message just as long is taken whole, at any setting.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: judge_first",
        test: greatest,
    },
    Rule {
        id: "E37-8.1.3/claim",
        duty: "A length field that claims gigabytes, or has its octets in reverse order, ends the connection with the header, \
               whatever would follow.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/transition.rs: too_long",
        test: claim,
    },
    Rule {
        id: "E37.1-T1-5.5/host",
        duty: "A host closes on a message longer than it accepts, and takes one that is just as long.",
        applies: Applies::SS.host(),
        place: "hsms-core/src/connection/transition.rs: too_long",
        test: too_long,
    },
    Rule {
        id: "E37.1-T1-5.5/header",
        duty: "A host closes as soon as the header of a message that is too long has come, without any of its text.",
        applies: Applies::SS.host(),
        place: "hsms-core/src/connection/transition.rs: too_long",
        test: too_long_header,
    },
    Rule {
        id: "E37.1-T1-4.4/too-long",
        duty: "Whatever is longer than accepted ends a connection that is NOT SELECTED, data for equipment too; nothing is sent.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/transition.rs: too_long",
        test: too_long_not_selected,
    },
    Rule {
        id: "E37.1-T1-5.5/control",
        duty: "A message that is no data, of a known type or not, and longer than accepted ends the connection; nothing is sent.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/transition.rs: too_long",
        test: too_long_control,
    },
    Rule {
        id: "E37.1-T1-5.5/skip-limit",
        duty: "Equipment passes the text of data that is too long by up to its skip limit, and closes behind S9F11 where it is \
               longer than that.",
        applies: Applies::SS.equipment().lenient(),
        place: "hsms-core/src/connection/transition.rs: too_long",
        test: skip_limit,
    },
    Rule {
        id: "E37.1-T1-5.5/parts",
        duty: "The text of data that is too long is passed by in whatever parts it comes, and the message behind it is read from \
               its beginning.",
        applies: Applies::SS.equipment().lenient(),
        place: "hsms-core/src/connection/input.rs: judge_further",
        test: passed_by_in_parts,
    },
    Rule {
        id: "E37.1-T1-5.5/reply",
        duty: "A reply to its own primary that is longer than equipment accepts ends the transaction with that reason and is \
               answered with S9F11; the session goes on.",
        applies: Applies::SS.equipment().lenient(),
        place: "hsms-core/src/connection/transition.rs: too_long",
        test: reply_skipped,
    },
    Rule {
        id: "E37.1-T1-5.5/reply/host",
        duty: "A reply to its own primary that is longer than a host accepts ends the transaction with that reason, and the \
               connection.",
        applies: Applies::SS.host(),
        place: "hsms-core/src/connection/transition.rs: too_long",
        test: reply_ends,
    },
    Rule {
        id: "E37.1-T1-5.5/reply/strict",
        duty: "A reply to its own primary that is longer than equipment accepts ends the transaction with that reason, is answered \
               with S9F11, and ends the connection.",
        applies: Applies::SS.equipment().strict(),
        place: "hsms-core/src/connection/transition.rs: too_long",
        test: reply_ends,
    },
    Rule {
        id: "E37.1-T1-5.5/reply/others",
        duty: "A reply that is too long and belongs to nothing ends no transaction: the open one has its reply later.",
        applies: Applies::SS.equipment().lenient(),
        place: "hsms-core/src/connection/input.rs: match_reply",
        test: foreign_reply,
    },
    Rule {
        id: "E37-A1-11/SECS-I",
        duty: "Where no length can begin so, 05 as the first octet of a message ends the connection at once: the peer seems to \
               speak SECS-I, and the application is told that.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: receive",
        test: secs_i,
    },
    Rule {
        id: "E37-A1-11/SECS-I/inside",
        duty: "05 anywhere within a message is an octet like any, also as the first of those that come at once.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: receive",
        test: secs_i_inside,
    },
    Rule {
        id: "E37-A1-11/SECS-I/length",
        duty: "Where messages may be so long, 05 as the first octet is part of a length field.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: longest",
        test: secs_i_length,
    },
];

/// The longest message that the subject of these tests accepts.
const MOST: u32 = 64;

fn text(length: u32) -> Vec<u8> {
    vec![0; usize::try_from(length).unwrap_or_default().saturating_sub(10)]
}

fn delivered(length: u32) -> Report {
    Report::Primary(Frame::new(primary(S1F1), &text(length)))
}

fn too_long_told(header: Header) -> Report {
    Report::Other(header, Class::TooLong)
}

/// The beginning of a message: a length field that claims that much, and the header.
fn announced(header: &Header, length: u32) -> Vec<u8> {
    [&length.to_be_bytes()[..], &header.encode()].concat()
}

/// `header` with a text that makes it too long ends the connection, and nothing is sent.
fn ends(bench: &mut dyn Bench, header: Header) -> Outcome {
    bench.send_octets(&announced(&header, MOST + 1))?;
    bench.expect_closed()?;
    let closed = CloseReason::LengthTooLong { length: MOST + 1, limit: MOST };
    bench.told_some(&too_long_told(header))?;
    bench.told(&[Report::Closed(closed)])
}

fn begin(bench: &mut dyn Bench) -> Outcome {
    bench.begin_with(|config| config.with_max_message(MOST))?;
    bench.selected()
}

/// S9F11 about `header`.
fn expect_s9f11(bench: &mut dyn Bench, header: Header) -> Outcome {
    let frame = bench.frame()?;
    let s9f11 = Header::data(frame.header.system, StreamFunction::new(9, 11), false, DATA);
    bench.is(&frame, &Frame::new(s9f11, &[&[0x21, 10][..], &header.encode()].concat()))
}

fn too_short(bench: &mut dyn Bench) -> Outcome {
    for length in 0..10_u32 {
        for selected in [true, false] {
            let select = bench.begin_not_selected()?;
            if selected {
                bench.become_selected(select)?;
            }
            bench.send_octets(&length.to_be_bytes())?;
            bench.expect_closed()?;
            bench.told_some(&Report::Closed(CloseReason::LengthTooShort { length }))?;
        }
    }
    Ok(())
}

fn too_short_at_once(bench: &mut dyn Bench) -> Outcome {
    for length in bench.some(0..10_u32) {
        bench.begin_selected()?;
        let [first @ .., last] = length.to_be_bytes();
        for octet in first {
            bench.send_octets(&[octet])?;
            bench.quiet(Duration::ZERO)?;
        }
        bench.send_octets(&[last])?;
        bench.expect_closed()?;
        bench.told(&[Report::Closed(CloseReason::LengthTooShort { length })])?;
    }
    Ok(())
}

fn before_too_short(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let octets = [encode(&primary(S1F1), &text(20)), encode(&linktest(), &[]), 9_u32.to_be_bytes().to_vec()].concat();
    bench.send_octets(&octets)?;
    bench.expect(Header::linktest_rsp(linktest().system))?;
    bench.expect_closed()?;
    bench.told(&[delivered(20), Report::Closed(CloseReason::LengthTooShort { length: 9 })])
}

fn behind_too_short(bench: &mut dyn Bench) -> Outcome {
    for length in bench.some(0..10_u32) {
        bench.begin_selected()?;
        let behind = [encode(&linktest(), &[]), encode(&primary(S1F1), &[])].concat();
        bench.send_octets(&[&length.to_be_bytes()[..], &behind].concat())?;
        bench.expect_closed()?;
        bench.told(&[Report::Closed(CloseReason::LengthTooShort { length })])?;
    }
    Ok(())
}

fn least(bench: &mut dyn Bench) -> Outcome {
    bench.begin_with(|config| config.with_max_message(10))?;
    bench.selected()?;
    bench.send(primary(S1F1))?;
    bench.told(&[delivered(10)])?;
    let whole = encode(&primary(S1F1), &[]);
    let (head, tail) = whole.split_at(13);
    bench.send_octets(head)?;
    bench.told(&[])?;
    bench.send_octets(tail)?;
    bench.told(&[delivered(10)])?;
    bench.stays_selected()
}

/// Values of the length field, around those in which one more octet of it is not zero.
const LENGTHS: [u32; 9] = [10, 11, 255, 256, 257, 266, 65_535, 65_536, 65_802];

fn received(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for length in LENGTHS {
        bench.send_text(primary(S1F1), &text(length))?;
        bench.told(&[delivered(length)])?;
        bench.stays_selected()?;
    }
    Ok(())
}

fn sent(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for length in LENGTHS {
        // The bench takes the octets apart by the length field.
        let request = bench.request(S1F1, &text(length))?;
        let reply = Header::data(request.system, StreamFunction::new(1, 2), false, DATA);
        bench.send(reply)?;
        bench.told(&[Report::Reply(Frame::new(reply, &[]))])?;
    }
    bench.stays_selected()
}

fn greatest(bench: &mut dyn Bench) -> Outcome {
    for most in bench.some([10, 11, 254, 255, 256, 65_536]) {
        bench.begin_with(|config| config.with_max_message(most))?;
        bench.selected()?;
        bench.send_text(primary(S1F1), &text(most))?;
        bench.told(&[delivered(most)])?;
        bench.stays_selected()?;
    }
    Ok(())
}

fn claim(bench: &mut dyn Bench) -> Outcome {
    for length in bench.some([10_u32.swap_bytes(), 0x7FFF_FFFF, 0x8000_0000, u32::MAX]) {
        for selected in [true, false] {
            let select = bench.begin_not_selected()?;
            if selected {
                bench.become_selected(select)?;
            }
            let limit = bench.about().config.max_message();
            bench.send_octets(&announced(&linktest(), length))?;
            bench.expect_closed()?;
            bench.told_some(&too_long_told(linktest()))?;
            bench.told(&[Report::Closed(CloseReason::LengthTooLong { length, limit })])?;
        }
    }
    Ok(())
}

fn too_long(bench: &mut dyn Bench) -> Outcome {
    begin(bench)?;
    bench.send_octets(&encode(&primary(S1F1), &text(MOST)))?;
    bench.stays_selected()?;
    bench.told_some(&delivered(MOST))?;
    bench.send_octets(&encode(&primary(S1F1), &text(MOST + 1)))?;
    bench.expect_closed()?;
    let closed = CloseReason::LengthTooLong { length: MOST + 1, limit: MOST };
    bench.told(&[too_long_told(primary(S1F1)), Report::Closed(closed)])
}

fn too_long_header(bench: &mut dyn Bench) -> Outcome {
    begin(bench)?;
    let octets = announced(&primary(S1F1), MOST + 1);
    let (head, tail) = octets.split_at(13);
    bench.send_octets(head)?;
    bench.quiet(Duration::ZERO)?;
    bench.send_octets(tail)?;
    bench.expect_closed()?;
    let closed = CloseReason::LengthTooLong { length: MOST + 1, limit: MOST };
    bench.told(&[too_long_told(primary(S1F1)), Report::Closed(closed)])
}

fn too_long_not_selected(bench: &mut dyn Bench) -> Outcome {
    let system = linktest().system;
    for header in bench.some([primary(S1F1), linktest(), Header::select_req(system), Header::separate_req(system)]) {
        for entity in [Entity::Host, Entity::Equipment] {
            bench.begin_with(|config| config.with_entity(entity).with_max_message(MOST))?;
            bench.not_selected()?;
            ends(bench, header)?;
        }
    }
    Ok(())
}

fn too_long_control(bench: &mut dyn Bench) -> Outcome {
    let system = linktest().system;
    let cases = [
        linktest(),
        Header { stype: SType(11), ..linktest() },
        Header { ptype: PType(1), ..primary(S1F1) },
        Header::select_req(system),
        Header::deselect_req(system),
        Header::linktest_rsp(system),
        Header::separate_req(system),
    ];
    for header in bench.some(cases) {
        for entity in [Entity::Host, Entity::Equipment] {
            bench.begin_with(|config| config.with_entity(entity).with_max_message(MOST))?;
            bench.selected()?;
            ends(bench, header)?;
        }
    }
    Ok(())
}

fn skip_limit(bench: &mut dyn Bench) -> Outcome {
    for limit in [MOST, MOST + 1, 100, 4_000] {
        bench.begin_with(|config| config.with_max_message(MOST)?.with_skip_limit(limit))?;
        bench.selected()?;
        if limit > MOST {
            bench.send_text(primary(S1F1), &text(limit))?;
            expect_s9f11(bench, primary(S1F1))?;
            bench.told(&[too_long_told(primary(S1F1))])?;
            bench.stays_selected()?;
        }
        bench.send_octets(&announced(&primary(S1F1), limit + 1))?;
        expect_s9f11(bench, primary(S1F1))?;
        bench.expect_closed()?;
        let closed = CloseReason::LengthTooLong { length: limit + 1, limit: MOST };
        bench.told(&[too_long_told(primary(S1F1)), Report::Closed(closed)])?;
    }
    Ok(())
}

fn passed_by_in_parts(bench: &mut dyn Bench) -> Outcome {
    begin(bench)?;
    // A text full of what might be taken for messages.
    let mut looks_like = encode(&linktest(), &[]).repeat(6);
    looks_like.truncate(60);
    let stream = [encode(&primary(S1F1), &looks_like), encode(&linktest(), &[])].concat();
    for part in bench.some([1, 2, 7, 14, 15, 73, 74, 75, 88]) {
        for octets in stream.chunks(part) {
            bench.send_octets(octets)?;
        }
        expect_s9f11(bench, primary(S1F1))?;
        bench.expect(Header::linktest_rsp(linktest().system))?;
        bench.told(&[too_long_told(primary(S1F1))])?;
    }
    bench.stays_selected()
}

/// A reply to an open primary that is too long. Gives its header, and what is told of it in any case.
fn long_reply(bench: &mut dyn Bench) -> Outcome<(Header, [Report; 2])> {
    let request = bench.request(S1F1, &[])?;
    let reply = Header::data(request.system, StreamFunction::new(1, 2), false, DATA);
    bench.send_text(reply, &text(MOST + 1))?;
    if bench.about().setup.entity == Entity::Equipment {
        expect_s9f11(bench, reply)?;
    }
    let ended = Report::Ended(reply.system, TransactionEnd::ReplyTooLong { length: MOST + 1 });
    Ok((reply, [ended, too_long_told(reply)]))
}

fn reply_skipped(bench: &mut dyn Bench) -> Outcome {
    let t3 = bench.span(Timer::T3);
    bench.begin_with(|config| set(config.with_max_message(MOST)?, Timer::T3, t3))?;
    bench.selected()?;
    let (_, told) = long_reply(bench)?;
    bench.told(&told)?;
    // T3 has ended with it.
    bench.quiet(t3.saturating_add(t3 / 4))?;
    bench.told(&[])?;
    bench.stays_selected()
}

fn reply_ends(bench: &mut dyn Bench) -> Outcome {
    begin(bench)?;
    let (_, [ended, other]) = long_reply(bench)?;
    bench.expect_closed()?;
    let closed = CloseReason::LengthTooLong { length: MOST + 1, limit: MOST };
    bench.told(&[ended, other, Report::Closed(closed)])
}

fn foreign_reply(bench: &mut dyn Bench) -> Outcome {
    begin(bench)?;
    let request = bench.request(S1F1, &[])?;
    let reply = Header::data(request.system, StreamFunction::new(1, 2), false, DATA);
    let foreign = [
        Header { system: SystemBytes(request.system.0 ^ 1), ..reply },
        Header::data(request.system, StreamFunction::new(1, 4), false, DATA),
    ];
    for header in foreign {
        bench.send_text(header, &text(MOST + 1))?;
        expect_s9f11(bench, header)?;
        bench.told(&[too_long_told(header)])?;
    }
    bench.send(reply)?;
    bench.told(&[Report::Reply(Frame::new(reply, &[]))])?;
    bench.stays_selected()
}

fn secs_i(bench: &mut dyn Bench) -> Outcome {
    for selected in [true, false] {
        // The enquiry alone, and with what might follow.
        for octets in [&[5][..], &[5, 10, 0x80, 1]] {
            let select = bench.begin_not_selected()?;
            if selected {
                bench.become_selected(select)?;
            }
            bench.send_octets(octets)?;
            bench.expect_closed()?;
            bench.told(&[Report::Closed(CloseReason::LooksLikeSecsI)])?;
        }
    }
    Ok(())
}

fn secs_i_inside(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    // 05 wherever it can stand, the device id aside.
    let header = Header::data(SystemBytes(0x0505_0505), StreamFunction::new(5, 5), true, DATA);
    let octets = encode(&header, &[5; 5]);
    for cut in bench.some(1..octets.len()) {
        let (head, tail) = octets.split_at(cut);
        bench.send_octets(head)?;
        // So that the rest is not read together with it.
        bench.quiet(Duration::ZERO)?;
        bench.send_octets(tail)?;
        bench.told(&[Report::Primary(Frame::new(header, &[5; 5]))])?;
    }
    bench.stays_selected()
}

fn secs_i_length(bench: &mut dyn Bench) -> Outcome {
    // Equipment passes messages by that it does not accept, so its limit is another.
    let limit = 0x0500_0000;
    bench.begin_with(|config| config.with_max_message(limit))?;
    bench.selected()?;
    bench.send_octets(&announced(&primary(S1F1), limit))?;
    bench.send_octets(&[5])?;
    bench.quiet(Duration::ZERO)?;
    bench.shut(Line::First);
    bench.told(&[Report::Closed(CloseReason::TransportClosed)])?;
    // One octet less, and there is no such length.
    bench.begin_with(|config| config.with_max_message(limit - 1)?.with_skip_limit(limit - 1))?;
    bench.selected()?;
    bench.send_octets(&[5])?;
    bench.expect_closed()?;
    bench.told(&[Report::Closed(CloseReason::LooksLikeSecsI)])
}
