//! Select.req from the peer (E37.2 7.2).

use crate::conformance::{
    ASKED, Applies, Bench, Command, EXCLUSIVE, Entities, HIGH, Line, NOBODY, Outcome, Report, Rule, SHARED, TESTER,
    THEIRS, TOP, encode, require,
};
use hsms_core::connection::{Admission, CloseReason};
use hsms_core::wire::{Header, SelectStatus, SessionId};

pub(in super::super) const RULES: &[Rule] = &[
    Rule {
        id: "E37.2-7.2/0",
        duty: "Select.req for an entity that is offered and not selected here is answered with status 0 and its id; the application is \
               told, and data of that session, and of no other, is taken.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: select_req",
        test: accepts,
    },
    Rule {
        id: "E37.2-7.2/4",
        duty: "Select.req for an id that is no entity offered here, FFFF included, is answered with status 4, in any state; nothing \
               changes.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: select_req",
        test: unknown,
    },
    Rule {
        id: "E37.2-7.2/5",
        duty: "Select.req for an entity that cannot be shared, while another connection has it, is answered with status 5; the other \
               connection keeps it.",
        applies: Applies::GS.passive(),
        place: "hsms-core/src/connection/holders.rs: take",
        test: in_use,
    },
    Rule {
        id: "E37.2-7.2/5/free",
        duty: "An entity that cannot be shared is free for another connection once its session has been deselected or separated, or \
               its connection has ended.",
        applies: Applies::GS.passive(),
        place: "hsms-core/src/connection/holders.rs: release",
        test: free_again,
    },
    Rule {
        id: "E37.2-7.2/shared",
        duty: "An entity that can be shared is selected on several connections at once, and ends on each by itself.",
        applies: Applies::GS.passive(),
        place: "hsms-core/src/connection/general.rs: select_req",
        test: shared,
    },
    Rule {
        id: "E37-9.2.4/independent",
        duty: "Each connection of those that are served at once has its own list of selected sessions, empty in the beginning.",
        applies: Applies::GS.passive(),
        place: "hsms-core/src/connection/general.rs: data",
        test: independent,
    },
    Rule {
        id: "E37.2-7.2/6",
        duty: "Select.req for a session that is selected on this connection already is answered with status 6; it goes on.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: select_req",
        test: selected_already,
    },
    Rule {
        id: "E37-7.2.2/refuse",
        duty: "An entity that is not ready is not selected: Select.req is answered with the status that it was given for that, and \
               nothing changes; a later Select.req may succeed.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/sessions.rs: set_admission",
        test: not_ready,
    },
    Rule {
        id: "E37.2-7.2/ask",
        duty: "Where the application decides, it is asked, and nothing is sent until it has; with status 0 the session is selected.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/sessions.rs: answer_select",
        test: is_asked,
    },
    Rule {
        id: "E37.2-7.2/ask/refuse",
        duty: "Where the application decides against it, Select.rsp carries its status, and nothing changes.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: answer_select",
        test: is_asked_and_refuses,
    },
    Rule {
        id: "E37.2-7.2/ask/again",
        duty: "While the application deliberates, a further Select.req for the entity is answered with status 2, and one for another \
               entity as ever.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: select_req",
        test: is_asked_twice,
    },
    Rule {
        id: "E37.2-7.2/ask/end",
        duty: "A Select.req that the application has not decided on is void with its connection: its answer never goes out over a later \
               one.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/session.rs: end",
        test: is_asked_too_late,
    },
    Rule {
        id: "E37.2-A/single",
        duty: "A passive side that speaks HSMS-SS too runs a connection as HSMS-SS where its first Select.req carries FFFF: data then \
               carries device ids, and sessions cannot be selected.",
        applies: Applies::GS.passive(),
        place: "hsms-core/src/connection/sessions.rs: decides_for_single",
        test: first_is_single,
    },
    Rule {
        id: "E37.2-A/general",
        duty: "A passive side that speaks HSMS-SS too runs a connection as HSMS-GS where its first Select.req carries another id, even \
               one that it refuses; FFFF is nobody's id from then on.",
        applies: Applies::GS.passive(),
        place: "hsms-core/src/connection/sessions.rs: decides_for_single",
        test: first_is_general,
    },
    Rule {
        id: "E37.2-A/anew",
        duty: "A passive side that speaks HSMS-SS too decides anew on every connection.",
        applies: Applies::GS.passive(),
        place: "hsms-core/src/connection/session.rs: begin",
        test: decides_anew,
    },
];

fn accepts(bench: &mut dyn Bench) -> Outcome {
    for session in [SHARED, HIGH, TOP, EXCLUSIVE] {
        bench.begin_without_session()?;
        bench.select_session(session)?;
        bench.stays_selected_in(session)?;
        for other in [SHARED, HIGH, TOP, EXCLUSIVE].into_iter().filter(|other| *other != session) {
            bench.lacks_session(other)?;
        }
    }
    Ok(())
}

fn unknown(bench: &mut dyn Bench) -> Outcome {
    bench.begin_without_session()?;
    for selected in [false, true] {
        if selected {
            bench.select_session(SHARED)?;
        }
        for session in [NOBODY, THEIRS, SessionId(0), SessionId(0x8005), SessionId::CONTROL] {
            bench.is_refused(session, SelectStatus::NO_SUCH_ENTITY)?;
            bench.lacks_session(session)?;
        }
    }
    bench.stays_selected_in(SHARED)
}

/// Another caller selects the session, and is answered so.
fn other_selects(bench: &mut dyn Bench, session: SessionId, status: SelectStatus) -> Outcome {
    other_asks(bench, Header::select_req(TESTER).with_session(session))?;
    let response = Header::select_rsp(TESTER).with_session(session).with_status(status.0);
    bench.expect_on(Line::Second, response, &[])
}

fn other_asks(bench: &mut dyn Bench, header: Header) -> Outcome {
    bench.write(Line::Second, &encode(&header, &[]))
}

fn other_calls(bench: &mut dyn Bench) -> Outcome {
    let patience = bench.about().patience();
    let served = bench.open(Line::Second, patience)?;
    require(served, || "a second connection is not served".into())
}

const DONE: SelectStatus = SelectStatus::COMMUNICATION_ESTABLISHED;

fn in_use(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[EXCLUSIVE])?;
    other_calls(bench)?;
    other_selects(bench, EXCLUSIVE, SelectStatus::ENTITY_IN_USE)?;
    other_selects(bench, EXCLUSIVE, SelectStatus::ENTITY_IN_USE)?;
    bench.stays_selected_in(EXCLUSIVE)?;
    bench.told(&[])
}

fn free_again(bench: &mut dyn Bench) -> Outcome {
    let ended: fn(&mut dyn Bench, SessionId) -> Outcome = |bench, _| {
        bench.shut(Line::First);
        bench.told(&[Report::Closed(CloseReason::TransportClosed)])
    };
    for end in super::ENDS.into_iter().chain([ended]) {
        bench.begin_sessions(&[EXCLUSIVE])?;
        other_calls(bench)?;
        other_selects(bench, EXCLUSIVE, SelectStatus::ENTITY_IN_USE)?;
        end(bench, EXCLUSIVE)?;
        other_selects(bench, EXCLUSIVE, DONE)?;
    }
    Ok(())
}

fn shared(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[SHARED])?;
    other_calls(bench)?;
    other_selects(bench, SHARED, DONE)?;
    other_selects(bench, SHARED, SelectStatus::ENTITY_SELECTED)?;
    other_asks(bench, Header::separate_req(TESTER).with_session(SHARED))?;
    bench.stays_selected_in(SHARED)?;
    other_selects(bench, SHARED, DONE)?;
    super::separate(bench, SHARED)?;
    bench.lacks_session(SHARED)?;
    other_selects(bench, SHARED, SelectStatus::ENTITY_SELECTED)
}

fn independent(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[SHARED])?;
    other_calls(bench)?;
    other_asks(bench, crate::conformance::primary(crate::conformance::S1F1).with_session(SHARED))?;
    let reason = hsms_core::wire::RejectReason::ENTITY_NOT_SELECTED;
    bench.expect_on(Line::Second, Header::reject_req(TESTER, 0, reason).with_session(SHARED), &[])?;
    other_asks(bench, Header::deselect_req(TESTER).with_session(SHARED))?;
    let response = Header::deselect_rsp(TESTER).with_session(SHARED).with_status(1);
    bench.expect_on(Line::Second, response, &[])?;
    other_selects(bench, HIGH, DONE)?;
    bench.lacks_session(HIGH)?;
    bench.stays_selected_in(SHARED)
}

fn selected_already(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[SHARED, HIGH])?;
    for session in [SHARED, HIGH, SHARED] {
        bench.is_refused(session, SelectStatus::ENTITY_SELECTED)?;
        bench.stays_selected_in(session)?;
    }
    Ok(())
}

fn not_ready(bench: &mut dyn Bench) -> Outcome {
    bench.begin_without_session()?;
    for status in bench.some(1..=u8::MAX).into_iter().map(SelectStatus) {
        bench.does(Command::Admission(SHARED, Admission::Refuse(status)))?;
        bench.is_refused(SHARED, status)?;
    }
    bench.lacks_session(SHARED)?;
    bench.does(Command::Admission(SHARED, Admission::Always))?;
    bench.select_session(SHARED)?;
    bench.stays_selected_in(SHARED)
}

/// The tester wants to select the entity about which the application is asked.
fn asks(bench: &mut dyn Bench) -> Outcome {
    bench.send(Header::select_req(TESTER).with_session(ASKED))?;
    bench.told(&[Report::SelectAsked(ASKED)])?;
    bench.lacks_session(ASKED)
}

fn is_asked(bench: &mut dyn Bench) -> Outcome {
    bench.begin_without_session()?;
    asks(bench)?;
    bench.does(Command::AnswerSelect(ASKED, DONE))?;
    bench.expect(Header::select_rsp(TESTER).with_session(ASKED))?;
    bench.told(&[Report::SessionSelected(ASKED)])?;
    bench.stays_selected_in(ASKED)?;
    bench.will_not(Command::AnswerSelect(ASKED, DONE))
}

fn is_asked_and_refuses(bench: &mut dyn Bench) -> Outcome {
    bench.begin_without_session()?;
    for status in bench.some(1..=u8::MAX).into_iter().map(SelectStatus) {
        asks(bench)?;
        bench.does(Command::AnswerSelect(ASKED, status))?;
        bench.expect(Header::select_rsp(TESTER).with_session(ASKED).with_status(status.0))?;
        bench.told(&[])?;
    }
    bench.lacks_session(ASKED)
}

fn is_asked_twice(bench: &mut dyn Bench) -> Outcome {
    bench.begin_without_session()?;
    bench
        .send(Header { system: hsms_core::wire::SystemBytes(77), ..Header::select_req(TESTER) }.with_session(ASKED))?;
    bench.told(&[Report::SelectAsked(ASKED)])?;
    bench.is_refused(ASKED, SelectStatus::CONNECTION_NOT_READY)?;
    bench.select_session(SHARED)?;
    bench.does(Command::AnswerSelect(ASKED, DONE))?;
    bench.expect(Header::select_rsp(hsms_core::wire::SystemBytes(77)).with_session(ASKED))?;
    bench.told(&[Report::SessionSelected(ASKED)])
}

fn is_asked_too_late(bench: &mut dyn Bench) -> Outcome {
    bench.begin_without_session()?;
    asks(bench)?;
    bench.shut(Line::First);
    bench.told(&[Report::Closed(CloseReason::TransportClosed)])?;
    bench.refuses(Command::AnswerSelect(ASKED, DONE))?;
    let select = bench.not_selected()?;
    bench.refuse_wanted(select)?;
    bench.will_not(Command::AnswerSelect(ASKED, DONE))?;
    bench.lacks_session(ASKED)
}

fn begin_either(bench: &mut dyn Bench) -> Outcome {
    let entities = Entities::of(bench.about().setup.role).or_single();
    bench.begin_entities(&entities)?;
    bench.connect().map(drop)
}

/// The tester selects with FFFF, and it is HSMS-SS.
fn becomes_single(bench: &mut dyn Bench) -> Outcome {
    bench.send(Header::select_req(TESTER))?;
    bench.expect(Header::select_rsp(TESTER))?;
    bench.told(&[Report::Selected])?;
    bench.stays_selected()
}

fn first_is_single(bench: &mut dyn Bench) -> Outcome {
    begin_either(bench)?;
    becomes_single(bench)?;
    bench.request(crate::conformance::S1F1, &[])?;
    bench.will_not(Command::SelectSession(SHARED))?;
    bench.send(Header::separate_req(TESTER))?;
    bench.expect_closed()
}

fn first_is_general(bench: &mut dyn Bench) -> Outcome {
    for (session, status) in [(SHARED, DONE), (NOBODY, SelectStatus::NO_SUCH_ENTITY)] {
        begin_either(bench)?;
        if status == DONE {
            bench.select_session(session)?;
        } else {
            bench.is_refused(session, status)?;
        }
        bench.is_refused(SessionId::CONTROL, SelectStatus::NO_SUCH_ENTITY)?;
        bench.select_session(HIGH)?;
        bench.stays_selected_in(HIGH)?;
    }
    Ok(())
}

fn decides_anew(bench: &mut dyn Bench) -> Outcome {
    begin_either(bench)?;
    for single in [true, false, true] {
        if single {
            becomes_single(bench)?;
        } else {
            bench.select_session(SHARED)?;
            bench.stays_selected_in(SHARED)?;
        }
        bench.shut(Line::First);
        bench.told(&[Report::Closed(CloseReason::TransportClosed)])?;
        bench.connect()?;
    }
    Ok(())
}
