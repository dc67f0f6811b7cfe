//! Data of sessions (E37.2 7.3, 8.1; E37 7.3, 9.4; E5 7.13).

use super::{reply, request};
use crate::conformance::{
    Applies, Bench, Command, DATA, Frame, HIGH, NOBODY, Outcome, Report, Rule, S1F1, SHARED, TESTER, THEIRS, TOP, Timer,
};
use hsms_core::connection::{Class, SessionEnd, Stray, Stream9, TransactionEnd};
use hsms_core::wire::{Header, RejectReason, SType, SessionId, StreamFunction, SystemBytes};

pub(in super::super) const RULES: &[Rule] = &[
    Rule {
        id: "E37.2-7.3/deliver",
        duty: "A primary of a selected session is delivered with its session id, header and text as they came; nothing is sent.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/input.rs: knows",
        test: delivers,
    },
    Rule {
        id: "E37.2-7.3/4",
        duty: "Data of a session that is not selected, primary or reply, is answered with Reject.req, reason 4 and its session id, and \
               not delivered, in any state; the connection and its sessions go on.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: data",
        test: not_selected,
    },
    Rule {
        id: "E37.2-8.1/bit-15",
        duty: "All sixteen bits of a session id count: ids that differ in bit 15 are two sessions.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/input.rs: knows",
        test: sixteen_bits,
    },
    Rule {
        id: "E37.2-7.3/send",
        duty: "A primary of its own carries the id of its session, and its reply in that session is delivered.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/command.rs: begin_primary_in",
        test: sends,
    },
    Rule {
        id: "E37.2-7.3/own-list",
        duty: "It sends no data of a session that is not selected, or no longer.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/input.rs: knows",
        test: does_not_send,
    },
    Rule {
        id: "E37.2-7.3/other-session",
        duty: "A reply in another session than its primary's is not that primary's reply; the transaction stays open.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/transaction.rs: is_answered_by",
        test: other_session,
    },
    Rule {
        id: "E37.2-8.1/reply",
        duty: "Its reply to a primary, and its abort, carry that primary's session id and system bytes.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/command.rs: answer_to",
        test: replies,
    },
    Rule {
        id: "E37.2-7.3/stale",
        duty: "A primary whose session has ended is not replied to, even where the session has been selected again.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/sessions.rs: is_current",
        test: stale,
    },
    Rule {
        id: "E37.2-7.3/end",
        duty: "With its session all its open transactions end; those of other sessions go on.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/sessions.rs: end_session",
        test: transactions_end,
    },
    Rule {
        id: "E37.2-7.3/late",
        duty: "The reply to a transaction that ended with its session is no reply, even where the session has been selected again.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: data",
        test: late_reply,
    },
    Rule {
        id: "E37-7.7/orphan",
        duty: "A reply that belongs to nothing, in a selected session, is told to the application and dropped; it is not rejected.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: data",
        test: orphan,
    },
    Rule {
        id: "E37-7.7/4/received",
        duty: "A Reject.req with reason 4 about its primary ends that transaction; its session and other transactions go on.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/transition.rs: reject",
        test: primary_rejected,
    },
    Rule {
        id: "E37-9.4.1.1/equipment",
        duty: "When T3 of a primary expires equipment ends that transaction and sends S9F9 in its session, with its header; the session \
               goes on.",
        applies: Applies::GS.equipment(),
        place: "hsms-core/src/connection/input.rs: t3",
        test: t3_equipment,
    },
    Rule {
        id: "E37-9.4.1.1/host",
        duty: "When T3 of a primary expires a host ends that transaction and sends nothing; the session goes on.",
        applies: Applies::GS.host(),
        place: "hsms-core/src/connection/transition.rs: reply_timeout",
        test: t3_host,
    },
    Rule {
        id: "E5-7.13/session",
        duty: "Equipment reports errors of stream 9 in the session of the message that they are about.",
        applies: Applies::GS.equipment(),
        place: "hsms-core/src/connection/output.rs: send_stream9",
        test: reports_errors,
    },
    Rule {
        id: "E5-7.13/F11/session",
        duty: "Equipment answers data of a selected session that is longer than it accepts with S9F11 in that session, and passes the \
               text by; the session goes on.",
        applies: Applies::GS.equipment().lenient(),
        place: "hsms-core/src/connection/general.rs: too_long",
        test: too_long,
    },
    Rule {
        id: "E37.2-7.3/4/long",
        duty: "Equipment answers data of a session that is not selected with Reject.req, reason 4, also where it is longer than it \
               accepts, and passes the text by.",
        applies: Applies::GS.equipment().lenient(),
        place: "hsms-core/src/connection/general.rs: too_long",
        test: too_long_not_selected,
    },
];

fn delivers(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[DATA, SHARED, HIGH, TOP])?;
    for session in [DATA, SHARED, HIGH, TOP] {
        for (w, text) in [(true, &[][..]), (false, &[0x21, 0x02, 7, 9])] {
            let header = Header::data(TESTER, StreamFunction::new(6, 11), w, session);
            bench.send_text(header, text)?;
            bench.told(&[Report::Primary(Frame::new(header, text))])?;
        }
    }
    bench.stays_connected()
}

fn not_selected(bench: &mut dyn Bench) -> Outcome {
    let reason = RejectReason::ENTITY_NOT_SELECTED;
    bench.begin_without_session()?;
    for selected in [false, true] {
        if selected {
            bench.select_session(SHARED)?;
        }
        for session in [NOBODY, HIGH, THEIRS, SessionId(0), SessionId::CONTROL] {
            for w in [true, false] {
                bench.rejects(Header::data(TESTER, S1F1, w, session), SType::DATA.0, reason)?;
            }
            bench.rejects(reply(TESTER, session), SType::DATA.0, reason)?;
        }
    }
    bench.stays_selected_in(SHARED)
}

fn sixteen_bits(bench: &mut dyn Bench) -> Outcome {
    for (selected, other) in [(HIGH, DATA), (DATA, HIGH)] {
        bench.begin_sessions(&[selected])?;
        bench.lacks_session(other)?;
        let data = Header::data(TESTER, S1F1, false, selected);
        bench.send(data)?;
        bench.told(&[Report::Primary(Frame::new(data, &[]))])?;
        bench.stays_selected_in(selected)?;
        // Both at once, and one goes.
        bench.select_session(other)?;
        super::separate(bench, selected)?;
        bench.lacks_session(selected)?;
        bench.stays_selected_in(other)?;
    }
    Ok(())
}

fn sends(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[SHARED, HIGH, TOP])?;
    for session in [SHARED, HIGH, TOP] {
        let request = request(bench, session)?;
        let reply = reply(request.system, session);
        bench.send(reply)?;
        bench.told(&[Report::Reply(Frame::new(reply, &[]))])?;
        bench.does(Command::SendIn(session, StreamFunction::new(5, 1), vec![1, 0]))?;
        let frame = bench.frame()?;
        let header = Header::data(frame.header.system, StreamFunction::new(5, 1), false, session);
        bench.is(&frame, &Frame::new(header, &[1, 0]))?;
    }
    bench.stays_connected()
}

fn does_not_send(bench: &mut dyn Bench) -> Outcome {
    bench.begin_without_session()?;
    for sessions in [&[][..], &[SHARED]] {
        sessions.iter().try_for_each(|session| bench.select_session(*session))?;
        for session in [NOBODY, HIGH, THEIRS, SessionId::CONTROL] {
            bench.will_not(Command::RequestIn(session, S1F1, Vec::new()))?;
            bench.will_not(Command::SendIn(session, S1F1, Vec::new()))?;
        }
    }
    super::separate(bench, SHARED)?;
    bench.will_not(Command::SendIn(SHARED, S1F1, Vec::new()))
}

fn other_session(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[DATA, SHARED, HIGH])?;
    for (session, others) in [(SHARED, [HIGH, DATA]), (HIGH, [DATA, SHARED])] {
        let request = request(bench, session)?;
        for other in others {
            let stray = reply(request.system, other);
            bench.send(stray)?;
            bench.told(&[Report::Other(stray, Class::Stray(Stray::Mismatched))])?;
        }
        let good = reply(request.system, session);
        bench.send(good)?;
        bench.told(&[Report::Reply(Frame::new(good, &[]))])?;
    }
    bench.stays_connected()
}

fn replies(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[SHARED, HIGH, TOP])?;
    for session in [SHARED, HIGH, TOP] {
        let primary = Header::data(TESTER, S1F1, true, session);
        for abort in [false, true] {
            bench.send(primary)?;
            bench.told(&[Report::Primary(Frame::new(primary, &[]))])?;
            if abort {
                bench.does(Command::Abort)?;
                bench.expect(Header::data(TESTER, StreamFunction::new(1, 0), false, session))?;
            } else {
                bench.does(Command::Reply(vec![1, 0]))?;
                bench.expect_text(reply(TESTER, session), &[1, 0])?;
            }
        }
    }
    bench.stays_connected()
}

fn stale(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[HIGH])?;
    for again in [false, true] {
        for end in super::ENDS {
            bench.select_session(SHARED)?;
            let primary = Header::data(TESTER, S1F1, true, SHARED);
            bench.send(primary)?;
            bench.told(&[Report::Primary(Frame::new(primary, &[]))])?;
            end(bench, SHARED)?;
            if again {
                bench.select_session(SHARED)?;
            }
            bench.will_not(Command::Reply(Vec::new()))?;
            if again {
                super::separate(bench, SHARED)?;
            }
        }
    }
    Ok(())
}

fn transactions_end(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[HIGH])?;
    for deselected in [true, false] {
        bench.select_session(SHARED)?;
        let other = request(bench, HIGH)?;
        let (first, second) = (request(bench, SHARED)?, request(bench, SHARED)?);
        let end = if deselected {
            bench.send(Header::deselect_req(TESTER).with_session(SHARED))?;
            bench.expect(Header::deselect_rsp(TESTER).with_session(SHARED))?;
            SessionEnd::DeselectReceived
        } else {
            bench.send(Header::separate_req(TESTER).with_session(SHARED))?;
            SessionEnd::SeparateReceived
        };
        let ended = |header: Header| Report::Ended(header.system, TransactionEnd::SessionEnded);
        bench.told(&[Report::SessionEnded(SHARED, end), ended(first), ended(second)])?;
        let good = reply(other.system, HIGH);
        bench.send(good)?;
        bench.told(&[Report::Reply(Frame::new(good, &[]))])?;
    }
    bench.stays_selected_in(HIGH)
}

fn late_reply(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[SHARED])?;
    let primary = request(bench, SHARED)?;
    bench.send(Header::separate_req(TESTER).with_session(SHARED))?;
    let ended = Report::Ended(primary.system, TransactionEnd::SessionEnded);
    bench.told(&[Report::SessionEnded(SHARED, SessionEnd::SeparateReceived), ended])?;
    let late = reply(primary.system, SHARED);
    bench.rejects(late, SType::DATA.0, RejectReason::ENTITY_NOT_SELECTED)?;
    bench.select_session(SHARED)?;
    bench.send(late)?;
    bench.told(&[Report::Other(late, Class::Stray(Stray::Late))])?;
    bench.stays_selected_in(SHARED)
}

fn orphan(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[SHARED, HIGH])?;
    for session in [SHARED, HIGH] {
        let stray = reply(SystemBytes(0x7E57_0077), session);
        bench.send(stray)?;
        bench.told(&[Report::Other(stray, Class::Stray(Stray::Orphan))])?;
        bench.stays_selected_in(session)?;
    }
    Ok(())
}

fn primary_rejected(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[SHARED, HIGH])?;
    let (first, second) = (request(bench, SHARED)?, request(bench, HIGH)?);
    let reason = RejectReason::ENTITY_NOT_SELECTED;
    bench.send(Header::reject_req(second.system, SType::DATA.0, reason).with_session(HIGH))?;
    bench.told(&[Report::Ended(second.system, TransactionEnd::Rejected(reason))])?;
    bench.stays_selected_in(HIGH)?;
    let good = reply(first.system, SHARED);
    bench.send(good)?;
    bench.told(&[Report::Reply(Frame::new(good, &[]))])
}

/// A primary in [`HIGH`] until T3 is over, in both cases around it; then `after`.
fn t3(bench: &mut dyn Bench, after: fn(&mut dyn Bench, Header) -> Outcome) -> Outcome {
    for (wait, in_time) in bench.around(Timer::T3) {
        let t3 = bench.begin_timed(Timer::T3)?;
        let select = bench.not_selected()?;
        bench.refuse_wanted(select)?;
        bench.select_session(HIGH)?;
        let since = bench.now();
        let primary = request(bench, HIGH)?;
        if in_time {
            bench.quiet(wait)?;
            let reply = reply(primary.system, HIGH);
            bench.send(reply)?;
            bench.told(&[Report::Reply(Frame::new(reply, &[]))])?;
        } else {
            bench.told_at(since, t3, &Report::Ended(primary.system, TransactionEnd::T3))?;
            after(bench, primary)?;
        }
        bench.stays_selected_in(HIGH)?;
    }
    Ok(())
}

/// An error message of stream 9 in the session of `about`.
fn error(bench: &mut dyn Bench, function: u8, about: Header) -> Outcome {
    let frame = bench.frame()?;
    let header = Header::data(frame.header.system, StreamFunction::new(9, function), false, about.session);
    bench.is(&frame, &Frame::new(header, &[&[0x21, 10][..], &about.encode()].concat()))
}

fn t3_equipment(bench: &mut dyn Bench) -> Outcome {
    t3(bench, |bench, primary| error(bench, 9, primary))
}

fn t3_host(bench: &mut dyn Bench) -> Outcome {
    t3(bench, |_, _| Ok(()))
}

fn reports_errors(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[SHARED, HIGH, TOP])?;
    for session in [SHARED, HIGH, TOP] {
        let primary = Header::data(TESTER, S1F1, false, session);
        for (kind, function) in
            [(Stream9::UnrecognizedStream, 3), (Stream9::UnrecognizedFunction, 5), (Stream9::IllegalData, 7)]
        {
            bench.send(primary)?;
            bench.told(&[Report::Primary(Frame::new(primary, &[]))])?;
            bench.does(Command::ReportError(kind, primary))?;
            error(bench, function, primary)?;
        }
    }
    bench.stays_connected()
}

/// The longest message that the subject of these tests accepts.
const MOST: u32 = 64;

fn begin_short(bench: &mut dyn Bench, session: SessionId) -> Outcome {
    bench.begin_with(|config| config.with_max_message(MOST))?;
    let select = bench.not_selected()?;
    bench.refuse_wanted(select)?;
    bench.select_session(session)
}

fn too_long(bench: &mut dyn Bench) -> Outcome {
    begin_short(bench, HIGH)?;
    let primary = Header::data(TESTER, S1F1, true, HIGH);
    for len in [55, 64 * 4 - 10] {
        bench.send_text(primary, &vec![0; len])?;
        error(bench, 11, primary)?;
        bench.told(&[Report::Other(primary, Class::TooLong)])?;
        bench.stays_selected_in(HIGH)?;
    }
    Ok(())
}

fn too_long_not_selected(bench: &mut dyn Bench) -> Outcome {
    begin_short(bench, SHARED)?;
    let reason = RejectReason::ENTITY_NOT_SELECTED;
    let primary = Header::data(TESTER, S1F1, true, HIGH);
    for len in [55, 64 * 4 - 10] {
        bench.send_text(primary, &vec![0; len])?;
        bench.expect(Header::reject_req(TESTER, SType::DATA.0, reason).with_session(HIGH))?;
        bench.told(&[Report::Other(primary, Class::Rejected(reason))])?;
        bench.stays_selected_in(SHARED)?;
    }
    Ok(())
}
