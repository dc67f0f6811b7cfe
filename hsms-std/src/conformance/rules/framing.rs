//! Messages in parts, several in one (E37 A1-1.4), and text where none belongs (E37 9.3.3).

use crate::conformance::{Applies, Bench, Command, Frame, Outcome, Report, Rule, S1F1, encode, linktest, primary};
use hsms_core::config::Profile;
use hsms_core::connection::{Class, CloseReason, Leniency};
use hsms_core::wire::{Header, RejectReason, SType, SystemBytes};
use std::time::Duration;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E37-A1-1.4/octets",
        duty: "A conversation that comes octet by octet is answered as one that comes message by message, from Select to Separate.",
        applies: Applies::SS,
        place: "hsms-core/src/frame.rs: fill",
        test: octet_by_octet,
    },
    Rule {
        id: "E37-A1-1.4/cut",
        duty: "Where a stream of messages is cut makes no difference to what is answered and delivered.",
        applies: Applies::ALL,
        place: "hsms-core/src/frame.rs: fill",
        test: cut_anywhere,
    },
    Rule {
        id: "E37-A1-1.4/too-early",
        duty: "A message is not acted upon before its last octet: thirteen of a Linktest.req or Separate.req do nothing.",
        applies: Applies::SS,
        place: "hsms-core/src/frame.rs: fill",
        test: not_too_early,
    },
    Rule {
        id: "E37-A1-1.4/many",
        duty: "Hundreds of messages that come at once are all delivered and answered, in their order.",
        applies: Applies::ALL,
        place: "hsms-core/src/frame.rs: decode_to",
        test: many_at_once,
    },
    Rule {
        id: "E37-9.3.3/text",
        duty: "A control message with text, while SELECTED, is not acted upon: it is answered with Reject.req, reason 1, its text is \
               passed by, and the leniency is told.",
        applies: Applies::ALL.lenient(),
        place: "hsms-core/src/connection/transition.rs: control",
        test: control_text,
    },
    Rule {
        id: "E37-9.3.3/text/strict",
        duty: "A control message with text, while SELECTED, ends the connection; nothing is sent.",
        applies: Applies::ALL.strict(),
        place: "hsms-core/src/connection/transition.rs: control",
        test: control_text_strict,
    },
    Rule {
        id: "E37.1-T1-4.4",
        duty: "A control message whose length is not 10, while NOT SELECTED, ends the connection, though it be the Select awaited.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/transition.rs: control",
        test: control_text_not_selected,
    },
    Rule {
        id: "E37-9.3.3/text/response",
        duty: "A Linktest.rsp with text does not answer the open Linktest.req: it is rejected, and the response without text counts.",
        applies: Applies::ALL.lenient(),
        place: "hsms-core/src/connection/transition.rs: control",
        test: response_with_text,
    },
    Rule {
        id: "E37-9.3.3/text/header",
        duty: "A control message that announces text is judged by its header, before any of the text has come.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/transition.rs: control",
        test: judged_by_header,
    },
];

const ITEM: [u8; 3] = [0x21, 0x01, 7];

fn by_octets(bench: &mut dyn Bench, header: Header, text: &[u8]) -> Outcome {
    for octet in encode(&header, text) {
        bench.send_octets(&[octet])?;
    }
    Ok(())
}

fn octet_by_octet(bench: &mut dyn Bench) -> Outcome {
    let select = bench.begin_not_selected()?;
    if bench.about().is_active() {
        by_octets(bench, Header::select_rsp(select), &[])?;
    } else {
        by_octets(bench, Header::select_req(linktest().system), &[])?;
        bench.expect(Header::select_rsp(linktest().system))?;
    }
    by_octets(bench, primary(S1F1), &ITEM)?;
    by_octets(bench, linktest(), &[])?;
    bench.expect(Header::linktest_rsp(linktest().system))?;
    let reason = RejectReason::STYPE_NOT_SUPPORTED;
    let unknown = Header { stype: SType(11), ..linktest() };
    by_octets(bench, unknown, &ITEM)?;
    bench.expect(Header::reject_req(unknown.system, 11, reason))?;
    by_octets(bench, Header::separate_req(linktest().system), &[])?;
    bench.expect_closed()?;
    bench.told(&[
        Report::Selected,
        Report::Primary(Frame::new(primary(S1F1), &ITEM)),
        Report::Other(unknown, Class::Rejected(reason)),
        Report::Closed(CloseReason::SeparateReceived),
    ])
}

fn cut_anywhere(bench: &mut dyn Bench) -> Outcome {
    let reason = RejectReason::STYPE_NOT_SUPPORTED;
    let unknown = Header { stype: SType(11), ..linktest() };
    let stream = [
        encode(&primary(S1F1), &ITEM),
        encode(&linktest(), &[]),
        encode(&primary(S1F1), &[]),
        encode(&unknown, &ITEM),
        encode(&primary(S1F1), &ITEM),
    ];
    let stream = stream.concat();
    bench.begin_selected()?;
    for cut in bench.some(1..stream.len()) {
        let (head, tail) = stream.split_at(cut);
        bench.send_octets(head)?;
        bench.send_octets(tail)?;
        bench.expect(Header::linktest_rsp(linktest().system))?;
        bench.expect(Header::reject_req(unknown.system, 11, reason))?;
        let whole = |text: &[u8]| Report::Primary(Frame::new(primary(S1F1), text));
        let other = Report::Other(unknown, Class::Rejected(reason));
        bench.told(&[whole(&ITEM), whole(&[]), other, whole(&ITEM)])?;
    }
    bench.stays_selected()
}

fn not_too_early(bench: &mut dyn Bench) -> Outcome {
    for (header, answered) in [(linktest(), true), (Header::separate_req(linktest().system), false)] {
        bench.begin_selected()?;
        let whole = encode(&header, &[]);
        let (head, tail) = whole.split_at(13);
        bench.send_octets(head)?;
        bench.quiet(Duration::from_millis(100))?;
        bench.told(&[])?;
        bench.send_octets(tail)?;
        if answered {
            bench.expect(Header::linktest_rsp(header.system))?;
            bench.told(&[])?;
        } else {
            bench.expect_closed()?;
            bench.told(&[Report::Closed(CloseReason::SeparateReceived)])?;
        }
    }
    Ok(())
}

fn many_at_once(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let mut stream = Vec::new();
    let mut reports = Vec::new();
    for number in 0..300 {
        let header = Header { system: SystemBytes(number), ..primary(S1F1) };
        stream.extend(encode(&header, &ITEM));
        stream.extend(encode(&Header::linktest_req(SystemBytes(number)), &[]));
        reports.push(Report::Primary(Frame::new(header, &ITEM)));
    }
    bench.send_octets(&stream)?;
    for number in 0..300 {
        bench.expect(Header::linktest_rsp(SystemBytes(number)))?;
    }
    for report in reports {
        // They are told in this order.
        let now = bench.now();
        bench.told_at(now, Duration::ZERO, &report)?;
    }
    bench.stays_selected()
}

/// Control messages that must not have text; Reject.req may have some.
fn control_messages() -> [Header; 7] {
    let system = linktest().system;
    [
        Header::select_req(system),
        Header::select_rsp(system),
        Header::deselect_req(system),
        Header::deselect_rsp(system),
        linktest(),
        Header::linktest_rsp(system),
        Header::separate_req(system),
    ]
}

fn control_text(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let reason = RejectReason::STYPE_NOT_SUPPORTED;
    for header in control_messages() {
        for body_len in bench.some([1, 10, 14, 300]) {
            let text = vec![0; usize::try_from(body_len).unwrap_or_default()];
            bench.send_text(header, &text)?;
            bench.expect(Header::reject_req(header.system, header.stype.0, reason))?;
            let leniency = Leniency::ControlText { stype: header.stype, body_len };
            bench.told(&[Report::Other(header, Class::Rejected(reason)), Report::Lenient(leniency)])?;
            bench.stays_selected()?;
        }
    }
    Ok(())
}

/// `header` with an octet of text ends the connection.
fn ends(bench: &mut dyn Bench, header: Header) -> Outcome {
    bench.send_text(header, &[0])?;
    bench.expect_closed()?;
    let reason = CloseReason::ControlText { stype: header.stype, body_len: 1 };
    bench.told(&[Report::Other(header, Class::Fatal), Report::Closed(reason)])
}

fn control_text_strict(bench: &mut dyn Bench) -> Outcome {
    for header in bench.some(control_messages()) {
        bench.begin_selected()?;
        ends(bench, header)?;
    }
    Ok(())
}

fn control_text_not_selected(bench: &mut dyn Bench) -> Outcome {
    for header in bench.some(control_messages()) {
        bench.begin_not_selected()?;
        ends(bench, header)?;
    }
    let select = bench.begin_not_selected()?;
    if bench.about().is_active() {
        ends(bench, Header::select_rsp(select))
    } else {
        ends(bench, Header::select_req(select))
    }
}

fn response_with_text(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    bench.does(Command::Linktest)?;
    let frame = bench.frame()?;
    let response = Header::linktest_rsp(frame.header.system);
    bench.is(&frame, &Frame::new(Header::linktest_req(response.system), &[]))?;
    bench.send_text(response, &ITEM)?;
    let reason = RejectReason::STYPE_NOT_SUPPORTED;
    bench.expect(Header::reject_req(response.system, SType::LINKTEST_RSP.0, reason))?;
    bench.send(response)?;
    let leniency = Leniency::ControlText { stype: SType::LINKTEST_RSP, body_len: 3 };
    let other = Report::Other(response, Class::Rejected(reason));
    bench.told(&[other, Report::Lenient(leniency), Report::LinktestAnswered])?;
    bench.stays_selected()
}

fn judged_by_header(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let octets = encode(&linktest(), &ITEM);
    let (head, tail) = octets.split_at(14);
    bench.send_octets(head)?;
    let (stype, body_len) = (SType::LINKTEST_REQ, 3);
    if bench.about().setup.profile == Profile::Strict {
        bench.expect_closed()?;
        let reason = CloseReason::ControlText { stype, body_len };
        return bench.told(&[Report::Other(linktest(), Class::Fatal), Report::Closed(reason)]);
    }
    let reason = RejectReason::STYPE_NOT_SUPPORTED;
    bench.expect(Header::reject_req(linktest().system, stype.0, reason))?;
    bench.send_octets(tail)?;
    let leniency = Leniency::ControlText { stype, body_len };
    bench.told(&[Report::Other(linktest(), Class::Rejected(reason)), Report::Lenient(leniency)])?;
    bench.stays_selected()
}
