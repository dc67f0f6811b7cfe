//! Reject (E37 7.7, E37.1 7.5).

use crate::conformance::{
    Applies, Bench, Command, DATA, Frame, Outcome, Report, Rule, S1F1, TESTER, encode, linktest, primary,
};
use hsms_core::connection::{Class, CloseReason, Leniency, TransactionEnd};
use hsms_core::wire::{Header, PType, RejectReason, SType, SessionId, StreamFunction, SystemBytes};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E37-7.7/1",
        duty: "A message with an SType that E37 does not define, while SELECTED, is answered with Reject.req, reason 1 and that \
               SType; the session goes on.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/transition.rs: unknown",
        test: unknown_stype,
    },
    Rule {
        id: "E37-7.7/2",
        duty: "A message with a PType other than 0, while SELECTED, is answered with Reject.req, reason 2 and that PType; the session \
               goes on.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/transition.rs: unknown",
        test: unknown_ptype,
    },
    Rule {
        id: "E37-7.7/3",
        duty: "A Linktest.rsp or Deselect.rsp without an open request, while SELECTED, is answered with Reject.req, reason 3; the \
               session goes on.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/transition.rs: control",
        test: orphan_response,
    },
    Rule {
        id: "E37-7.7/received",
        duty: "A Reject.req about an open primary ends that transaction, whatever its reason; it is not answered and the session goes \
               on.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/transition.rs: reject",
        test: primary_rejected,
    },
    Rule {
        id: "E37-7.7/1/not-selected",
        duty: "A message with an SType that E37 does not define, while NOT SELECTED, is answered with Reject.req, reason 1; the \
               connection stays and can be selected.",
        applies: Applies::ALL.lenient(),
        place: "hsms-core/src/connection/transition.rs: unknown",
        test: unknown_stype_not_selected,
    },
    Rule {
        id: "E37.1-8.1/SType/strict",
        duty: "A message with an SType that E37 does not define, while NOT SELECTED, ends the connection; nothing is sent.",
        applies: Applies::SS.strict(),
        place: "hsms-core/src/connection/transition.rs: unknown",
        test: unknown_stype_strict,
    },
    Rule {
        id: "E37-7.7/2/not-selected",
        duty: "A message with a PType other than 0, while NOT SELECTED, is answered with Reject.req, reason 2, whatever its SType; it \
               selects nothing, and the connection stays.",
        applies: Applies::SS.lenient(),
        place: "hsms-core/src/connection/transition.rs: unknown",
        test: unknown_ptype_not_selected,
    },
    Rule {
        id: "E37.1-8.1/PType/strict",
        duty: "A message with a PType other than 0, while NOT SELECTED, ends the connection; nothing is sent.",
        applies: Applies::SS.strict(),
        place: "hsms-core/src/connection/transition.rs: unknown",
        test: unknown_ptype_strict,
    },
    Rule {
        id: "E37-9.3.3/PType",
        duty: "A control message with a PType other than 0 is not acted upon: Separate.req does not end the session, and a response \
               ends no transaction.",
        applies: Applies::ALL,
        place: "hsms-core/src/wire/header.rs: kind",
        test: control_with_ptype,
    },
    Rule {
        id: "E37-7.7/both",
        duty: "Where PType and SType are both unknown, Reject.req has reason 2 and the PType.",
        applies: Applies::ALL,
        place: "hsms-core/src/wire/header.rs: kind",
        test: both_unknown,
    },
    Rule {
        id: "E37-7.7/text",
        duty: "The text of a message that is refused for its SType or PType is passed by, and what follows is read from its \
               beginning.",
        applies: Applies::SS,
        place: "hsms-core/src/frame.rs: decode_to",
        test: refused_with_text,
    },
    Rule {
        id: "E37-7.7/3/not-selected",
        duty: "A Linktest.rsp or Deselect.rsp without an open request, while NOT SELECTED, is answered with Reject.req, reason 3; the \
               connection stays and can be selected.",
        applies: Applies::ALL.lenient(),
        place: "hsms-core/src/connection/transition.rs: control",
        test: orphan_not_selected,
    },
    Rule {
        id: "E37.1-7.5/orphan/strict",
        duty: "A Linktest.rsp or Deselect.rsp without an open request, while NOT SELECTED, ends the connection; nothing is sent.",
        applies: Applies::SS.strict(),
        place: "hsms-core/src/connection/transition.rs: control",
        test: orphan_strict,
    },
    Rule {
        id: "E37-7.7/3/primary",
        duty: "A control response with the system bytes of an open primary is answered with Reject.req, reason 3, and the \
               transaction stays open.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/transition.rs: control",
        test: response_to_primary,
    },
    Rule {
        id: "E37-7.7/3/again",
        duty: "A second Linktest.rsp to the same request is answered with Reject.req, reason 3.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: take",
        test: second_response,
    },
    Rule {
        id: "E37.1-8.1/Reject",
        duty: "Reject.req carries session id FFFF, also about data and about control messages with another one.",
        applies: Applies::SS,
        place: "hsms-core/src/wire/header.rs: reject_req",
        test: session_of_reject,
    },
    Rule {
        id: "E37-8.2.8/system",
        duty: "Reject.req repeats the four system bytes of the message that it refuses, whatever they are.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/input.rs: answer",
        test: system_of_reject,
    },
    Rule {
        id: "E37-7.7/received/nothing",
        duty: "A Reject.req about nothing that is open, whatever its reason and its octet 2, is told to the application and not \
               answered; nothing changes, while SELECTED or NOT SELECTED.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/transition.rs: reject",
        test: rejects_nothing,
    },
    Rule {
        id: "E37-7.7/received/ended",
        duty: "A Reject.req about a transaction that has ended is told to the application as one about nothing.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/transition.rs: reject",
        test: rejects_ended,
    },
    Rule {
        id: "E37-7.7/received/one",
        duty: "A Reject.req ends the transaction that it names and no other.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: match_control",
        test: rejects_one,
    },
    Rule {
        id: "E37-8.2.8/octet-2",
        duty: "A Reject.req whose octet 2 names another SType than that of the open request is about something else, unless its \
               reason is 2; the transaction stays open.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: names",
        test: names_another,
    },
    Rule {
        id: "E37-8.2.8/reason-0",
        duty: "A Reject.req about an open primary ends it even with reason 0, which should not be, and with any octet 2 then.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: names",
        test: reason_0,
    },
    Rule {
        id: "E37-8.2.8/session",
        duty: "The session id of a received Reject.req is not looked at: a copy of the primary's ends the transaction as FFFF does.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: match_control",
        test: any_session,
    },
    Rule {
        id: "E37-9.3.3/Reject",
        duty: "A Reject.req with text of up to 64 octets is taken as one without, in either state, and the leniency is told.",
        applies: Applies::ALL.lenient(),
        place: "hsms-core/src/connection/transition.rs: reject",
        test: with_text,
    },
    Rule {
        id: "E37-9.3.3/Reject/long",
        duty: "A Reject.req with text of more than 64 octets ends the connection.",
        applies: Applies::ALL.lenient(),
        place: "hsms-core/src/connection/transition.rs: reject",
        test: with_long_text,
    },
    Rule {
        id: "E37-9.3.3/Reject/strict",
        duty: "A Reject.req with text ends the connection.",
        applies: Applies::ALL.strict(),
        place: "hsms-core/src/connection/transition.rs: reject",
        test: with_text_strict,
    },
];

/// Reject.req as E37 8.2.8 has it, with the session id of E37.1 8.1. Put together here, and not by the code under test.
const fn reject_req(system: SystemBytes, octet: u8, reason: RejectReason) -> Header {
    let session = SessionId(0xFFFF);
    Header { session, byte2: octet, byte3: reason.0, ptype: PType(0), stype: SType(7), system }
}

fn rejected(bench: &mut dyn Bench, offender: Header, octet: u8, reason: RejectReason) -> Outcome {
    refused(bench, offender, octet, reason)?;
    bench.stays_selected()
}

fn unknown_stype(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for stype in bench.some((0..=u8::MAX).filter(|stype| matches!(stype, 8 | 10..))) {
        let offender = Header { stype: SType(stype), ..linktest() };
        rejected(bench, offender, stype, RejectReason::STYPE_NOT_SUPPORTED)?;
    }
    Ok(())
}

fn unknown_ptype(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for ptype in bench.some(1..=u8::MAX) {
        for offender in [linktest(), primary(S1F1)] {
            let offender = Header { ptype: PType(ptype), ..offender };
            rejected(bench, offender, ptype, RejectReason::PTYPE_NOT_SUPPORTED)?;
        }
    }
    Ok(())
}

fn orphan_response(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for response in [Header::linktest_rsp(TESTER), Header::deselect_rsp(TESTER)] {
        rejected(bench, response, response.stype.0, RejectReason::TRANSACTION_NOT_OPEN)?;
    }
    Ok(())
}

fn primary_rejected(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for reason in bench.some(1..=u8::MAX).into_iter().map(RejectReason) {
        let request = bench.request(S1F1, &[])?;
        bench.send(Header::reject_req(request.system, SType::DATA.0, reason))?;
        bench.told(&[Report::Ended(request.system, TransactionEnd::Rejected(reason))])?;
        bench.stays_selected()?;
    }
    Ok(())
}

/// STypes that E37 does not define.
fn unknown_stypes(bench: &dyn Bench) -> Vec<SType> {
    bench.some((0..=u8::MAX).filter(|stype| matches!(stype, 8 | 10..))).into_iter().map(SType).collect()
}

/// Answered with Reject.req; the application is told.
fn refused(bench: &mut dyn Bench, offender: Header, octet: u8, reason: RejectReason) -> Outcome {
    bench.send(offender)?;
    bench.expect(reject_req(offender.system, octet, reason))?;
    bench.told(&[Report::Other(offender, Class::Rejected(reason))])
}

fn unknown_stype_not_selected(bench: &mut dyn Bench) -> Outcome {
    let select = bench.begin_not_selected()?;
    for stype in unknown_stypes(bench) {
        refused(bench, Header { stype, ..linktest() }, stype.0, RejectReason::STYPE_NOT_SUPPORTED)?;
    }
    bench.stays_not_selected(select)
}

fn unknown_stype_strict(bench: &mut dyn Bench) -> Outcome {
    for stype in unknown_stypes(bench) {
        bench.begin_not_selected()?;
        bench.ends(Header { stype, ..linktest() }, CloseReason::UnknownSType(stype))?;
    }
    Ok(())
}

/// Messages that would mean something with PType 0.
fn meaningful() -> [Header; 4] {
    [linktest(), Header::select_req(TESTER), Header::separate_req(TESTER), primary(S1F1)]
}

fn unknown_ptype_not_selected(bench: &mut dyn Bench) -> Outcome {
    let select = bench.begin_not_selected()?;
    for ptype in bench.some(1..=u8::MAX).into_iter().map(PType) {
        for offender in meaningful() {
            refused(bench, Header { ptype, ..offender }, ptype.0, RejectReason::PTYPE_NOT_SUPPORTED)?;
        }
    }
    bench.stays_not_selected(select)
}

fn unknown_ptype_strict(bench: &mut dyn Bench) -> Outcome {
    for ptype in bench.some(1..=u8::MAX).into_iter().map(PType) {
        for offender in meaningful().into_iter().take(2) {
            bench.begin_not_selected()?;
            bench.ends(Header { ptype, ..offender }, CloseReason::UnknownPType(ptype))?;
        }
    }
    Ok(())
}

fn control_with_ptype(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let ptype = PType(1);
    rejected(bench, Header { ptype, ..Header::separate_req(TESTER) }, ptype.0, RejectReason::PTYPE_NOT_SUPPORTED)?;
    bench.does(Command::Linktest)?;
    let request = bench.frame()?.header;
    let response = Header::linktest_rsp(request.system);
    let offender = Header { ptype, ..response };
    bench.send(offender)?;
    bench.expect(reject_req(request.system, ptype.0, RejectReason::PTYPE_NOT_SUPPORTED))?;
    bench.send(response)?;
    let refused = Report::Other(offender, Class::Rejected(RejectReason::PTYPE_NOT_SUPPORTED));
    bench.told(&[refused, Report::LinktestAnswered])
}

fn both_unknown(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for stype in unknown_stypes(bench) {
        let offender = Header { stype, ptype: PType(200), ..linktest() };
        rejected(bench, offender, 200, RejectReason::PTYPE_NOT_SUPPORTED)?;
    }
    Ok(())
}

fn refused_with_text(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    // The text looks like a message.
    let text = encode(&Header::separate_req(TESTER), &[]);
    let offenders = [
        (Header { stype: SType(11), ..linktest() }, 11, RejectReason::STYPE_NOT_SUPPORTED),
        (Header { ptype: PType(1), ..primary(S1F1) }, 1, RejectReason::PTYPE_NOT_SUPPORTED),
    ];
    for (offender, octet, reason) in offenders {
        bench.send_octets(&[encode(&offender, &text), encode(&linktest(), &[])].concat())?;
        bench.expect(reject_req(offender.system, octet, reason))?;
        bench.expect(Header::linktest_rsp(TESTER))?;
        bench.told(&[Report::Other(offender, Class::Rejected(reason))])?;
    }
    bench.stays_selected()
}

fn responses(system: SystemBytes) -> [Header; 2] {
    [Header::linktest_rsp(system), Header::deselect_rsp(system)]
}

fn orphan_not_selected(bench: &mut dyn Bench) -> Outcome {
    let select = bench.begin_not_selected()?;
    for response in responses(TESTER) {
        refused(bench, response, response.stype.0, RejectReason::TRANSACTION_NOT_OPEN)?;
    }
    if bench.about().is_active() {
        // Its Select.req is open, and a response of another kind is none to it.
        for response in responses(select) {
            refused(bench, response, response.stype.0, RejectReason::TRANSACTION_NOT_OPEN)?;
        }
    }
    bench.stays_not_selected(select)
}

fn orphan_strict(bench: &mut dyn Bench) -> Outcome {
    for response in responses(TESTER) {
        bench.begin_not_selected()?;
        bench.ends(response, CloseReason::UnexpectedMessage(response.stype))?;
    }
    Ok(())
}

/// The reply to S1F1, by which a transaction shows that it was open still.
fn was_open(bench: &mut dyn Bench, request: Header) -> Outcome {
    let reply = Header::data(request.system, StreamFunction::new(1, 2), false, DATA);
    bench.send(reply)?;
    bench.told(&[Report::Reply(Frame::new(reply, &[]))])
}

fn response_to_primary(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let request = bench.request(S1F1, &[])?;
    for response in responses(request.system) {
        rejected(bench, response, response.stype.0, RejectReason::TRANSACTION_NOT_OPEN)?;
    }
    was_open(bench, request)
}

fn second_response(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    bench.does(Command::Linktest)?;
    let response = Header::linktest_rsp(bench.frame()?.header.system);
    bench.send(response)?;
    bench.told(&[Report::LinktestAnswered])?;
    rejected(bench, response, response.stype.0, RejectReason::TRANSACTION_NOT_OPEN)
}

fn session_of_reject(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for session in [0, 1, 2, 0x7FFF, 0x8002].map(SessionId) {
        let data = Header { ptype: PType(1), ..primary(S1F1).with_session(session) };
        rejected(bench, data, 1, RejectReason::PTYPE_NOT_SUPPORTED)?;
        let orphan = Header::linktest_rsp(TESTER).with_session(session);
        rejected(bench, orphan, orphan.stype.0, RejectReason::TRANSACTION_NOT_OPEN)?;
    }
    Ok(())
}

fn system_of_reject(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for system in [0, 1, 0x8000_0000, 0x0102_0304, u32::MAX].map(SystemBytes) {
        rejected(bench, Header { stype: SType(8), system, ..linktest() }, 8, RejectReason::STYPE_NOT_SUPPORTED)?;
        let data = Header { ptype: PType(255), system, ..primary(S1F1) };
        rejected(bench, data, 255, RejectReason::PTYPE_NOT_SUPPORTED)?;
    }
    Ok(())
}

fn rejects_nothing(bench: &mut dyn Bench) -> Outcome {
    for selected in [true, false] {
        let select = bench.begin_not_selected()?;
        if selected {
            bench.become_selected(select)?;
        }
        for reason in bench.some(0..=u8::MAX).into_iter().map(RejectReason) {
            for octet in [0, 1, 7] {
                let reject = Header::reject_req(TESTER, octet, reason);
                bench.send(reject)?;
                bench.told(&[Report::StrayReject(reject)])?;
            }
        }
        if selected {
            bench.stays_selected()?;
        } else {
            bench.stays_not_selected(select)?;
        }
    }
    Ok(())
}

fn rejects_ended(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let request = bench.request(S1F1, &[])?;
    was_open(bench, request)?;
    let reject = Header::reject_req(request.system, SType::DATA.0, RejectReason::ENTITY_NOT_SELECTED);
    bench.send(reject)?;
    bench.told(&[Report::StrayReject(reject)])?;
    bench.stays_selected()
}

fn rejects_one(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let (first, second, third) = (bench.request(S1F1, &[])?, bench.request(S1F1, &[])?, bench.request(S1F1, &[])?);
    let reason = RejectReason::ENTITY_NOT_SELECTED;
    bench.send(Header::reject_req(second.system, SType::DATA.0, reason))?;
    bench.told(&[Report::Ended(second.system, TransactionEnd::Rejected(reason))])?;
    was_open(bench, first)?;
    was_open(bench, third)?;
    bench.stays_selected()
}

fn names_another(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let request = bench.request(S1F1, &[])?;
    for reason in [1, 3, 4, 5, 127, 128, 255].map(RejectReason) {
        for stype in [SType::SELECT_REQ, SType::LINKTEST_REQ, SType::SEPARATE_REQ, SType(255)] {
            let reject = Header::reject_req(request.system, stype.0, reason);
            bench.send(reject)?;
            bench.told(&[Report::StrayReject(reject)])?;
        }
    }
    was_open(bench, request)?;
    bench.stays_selected()
}

fn reason_0(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for octet in [0, 1, 4, 255] {
        let request = bench.request(S1F1, &[])?;
        bench.send(Header::reject_req(request.system, octet, RejectReason(0)))?;
        bench.told(&[Report::Ended(request.system, TransactionEnd::Rejected(RejectReason(0)))])?;
    }
    bench.stays_selected()
}

fn any_session(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for session in [0, 1, 2, 0x8001, 0xFFFF].map(SessionId) {
        let request = bench.request(S1F1, &[])?;
        let reason = RejectReason::ENTITY_NOT_SELECTED;
        bench.send(Header::reject_req(request.system, SType::DATA.0, reason).with_session(session))?;
        bench.told(&[Report::Ended(request.system, TransactionEnd::Rejected(reason))])?;
    }
    bench.stays_selected()
}

/// A text of so many octets.
fn octets(len: u32) -> Vec<u8> {
    (0..len).map(|_| 0xA5).collect()
}

fn with_text(bench: &mut dyn Bench) -> Outcome {
    let reason = RejectReason::STYPE_NOT_SUPPORTED;
    for body_len in [1, 10, 64] {
        let leniency = Report::Lenient(Leniency::RejectText { body_len });
        let select = bench.begin_not_selected()?;
        let stray = Header::reject_req(TESTER, SType::DATA.0, reason);
        bench.send_text(stray, &octets(body_len))?;
        bench.told(&[Report::StrayReject(stray), leniency.clone()])?;
        bench.stays_not_selected(select)?;
        let request = bench.request(S1F1, &[])?;
        bench.send_text(Header::reject_req(request.system, SType::DATA.0, reason), &octets(body_len))?;
        bench.told(&[Report::Ended(request.system, TransactionEnd::Rejected(reason)), leniency])?;
        bench.stays_selected()?;
    }
    Ok(())
}

/// A Reject.req with text ends the connection, in either state.
fn text_ends(bench: &mut dyn Bench, lengths: &[u32]) -> Outcome {
    for selected in [true, false] {
        for body_len in lengths.iter().copied() {
            let select = bench.begin_not_selected()?;
            if selected {
                bench.become_selected(select)?;
            }
            let reject = Header::reject_req(TESTER, SType::DATA.0, RejectReason::STYPE_NOT_SUPPORTED);
            bench.send_text(reject, &octets(body_len))?;
            bench.expect_closed()?;
            let reason = CloseReason::ControlText { stype: SType::REJECT_REQ, body_len };
            bench.told(&[Report::Other(reject, Class::Fatal), Report::Closed(reason)])?;
        }
    }
    Ok(())
}

fn with_long_text(bench: &mut dyn Bench) -> Outcome {
    text_ends(bench, &[65, 1000])
}

fn with_text_strict(bench: &mut dyn Bench) -> Outcome {
    text_ends(bench, &[1, 10, 64, 65])
}
