//! Separate, and the end of connections with sessions (E37.2 7.6, 5.9; E37 7.6).

use crate::conformance::{
    Applies, Bench, Command, HIGH, Line, NOBODY, Outcome, Report, Rule, SHARED, TESTER, THEIRS, TOP, require,
};
use hsms_core::connection::CloseReason;
use hsms_core::wire::{Header, SType, SessionId};

pub(in super::super) const RULES: &[Rule] = &[
    Rule {
        id: "E37.2-7.6/received",
        duty: "Separate.req for a selected session ends it at once and is not answered; the others and the connection go on.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: of_message",
        test: received,
    },
    Rule {
        id: "E37-7.6.2/ignore",
        duty: "Separate.req for a session that is not selected here, FFFF included, is ignored in any state.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/general.rs: of_message",
        test: ignored,
    },
    Rule {
        id: "E37.2-7.6/sent",
        duty: "Its own end of one session is a Separate.req with that session's id: it has ended at once, nothing is awaited, and the \
               connection goes on.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/sessions.rs: separate_session",
        test: sent,
    },
    Rule {
        id: "E37.2-7.6/farewell",
        duty: "Where it ends a connection by its own will it sends Separate.req for each selected session, once, and closes behind \
               them.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/sessions.rs: poll_farewell",
        test: farewell,
    },
    Rule {
        id: "E37.2-7.6/no-session",
        duty: "Where it ends a connection that has no session it closes without Separate.req.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/sessions.rs: end_session",
        test: nobody_to_part_from,
    },
    Rule {
        id: "E37-9.1.1/failure",
        duty: "A connection that fails is closed without Separate.req, however many sessions it has.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/transition.rs: happened",
        test: failure,
    },
    Rule {
        id: "E37.2-5.9/3",
        duty: "The end of a connection, however it comes, ends all its sessions: on the next one none is selected.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/session.rs: end",
        test: abrupt,
    },
    Rule {
        id: "E37.2-5.9/3/requests",
        duty: "The end of a connection ends all requests about sessions: on the next one their responses belong to nothing.",
        applies: Applies::GS,
        place: "hsms-core/src/connection/session.rs: end",
        test: requests_end,
    },
];

fn received(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[SHARED, HIGH, TOP])?;
    super::separate(bench, HIGH)?;
    bench.lacks_session(HIGH)?;
    bench.stays_selected_in(SHARED)?;
    bench.stays_selected_in(TOP)?;
    super::separate(bench, SHARED)?;
    super::separate(bench, TOP)?;
    bench.lacks_session(TOP)?;
    bench.stays_connected()
}

fn ignored(bench: &mut dyn Bench) -> Outcome {
    bench.begin_without_session()?;
    for selected in [false, true] {
        if selected {
            bench.select_session(SHARED)?;
        }
        for session in [NOBODY, HIGH, THEIRS, SessionId::CONTROL] {
            bench.send(Header::separate_req(TESTER).with_session(session))?;
            bench.stays_connected()?;
        }
        bench.told(&[])?;
    }
    bench.stays_selected_in(SHARED)
}

fn sent(bench: &mut dyn Bench) -> Outcome {
    bench.begin_sessions(&[SHARED, HIGH])?;
    super::separates(bench, SHARED)?;
    bench.lacks_session(SHARED)?;
    bench.stays_selected_in(HIGH)?;
    super::separates(bench, HIGH)?;
    bench.lacks_session(HIGH)?;
    bench.stays_connected()
}

fn farewell(bench: &mut dyn Bench) -> Outcome {
    for (command, reason) in [(Command::Separate, CloseReason::Separated), (Command::Disable, CloseReason::Disabled)] {
        bench.begin_sessions(&[TOP, SHARED, HIGH])?;
        super::deselect(bench, SHARED)?;
        bench.does(command)?;
        let mut parted = Vec::new();
        for _ in 0..2 {
            let header = bench.frame()?.header;
            require(header.stype == SType::SEPARATE_REQ, || format!("{header:?} instead of Separate.req"))?;
            parted.push(header.session);
        }
        parted.sort();
        require(parted == [HIGH, TOP], || format!("{parted:?} were separated"))?;
        bench.expect_closed()?;
        bench.told(&[Report::Closed(reason)])?;
    }
    Ok(())
}

fn nobody_to_part_from(bench: &mut dyn Bench) -> Outcome {
    for (command, reason) in [(Command::Separate, CloseReason::Separated), (Command::Disable, CloseReason::Disabled)] {
        for end in super::ENDS {
            bench.begin_sessions(&[SHARED])?;
            end(bench, SHARED)?;
            bench.does(command.clone())?;
            bench.expect_closed()?;
            bench.told(&[Report::Closed(reason)])?;
        }
    }
    Ok(())
}

fn failure(bench: &mut dyn Bench) -> Outcome {
    for sessions in [&[SHARED][..], &[SHARED, HIGH, TOP]] {
        bench.begin_sessions(sessions)?;
        bench.send_octets(&[0, 0, 0, 9])?;
        bench.expect_closed()?;
        bench.told(&[Report::Closed(CloseReason::LengthTooShort { length: 9 })])?;
    }
    Ok(())
}

/// The connection ends in one of several ways, and there is another one, whose sessions are all to come.
fn reconnect(bench: &mut dyn Bench, lost: bool) -> Outcome {
    if lost {
        bench.shut(Line::First);
        bench.told_some(&Report::Closed(CloseReason::TransportClosed))?;
    } else {
        bench.send_octets(&[0, 0, 0, 9])?;
        bench.expect_closed()?;
        bench.told_some(&Report::Closed(CloseReason::LengthTooShort { length: 9 }))?;
    }
    bench.connect()?;
    Ok(())
}

fn abrupt(bench: &mut dyn Bench) -> Outcome {
    for lost in [true, false] {
        bench.begin_sessions(&[SHARED, HIGH])?;
        reconnect(bench, lost)?;
        if bench.about().is_active() {
            let select = bench.frame()?.header.system;
            bench.refuse_wanted(select)?;
        }
        bench.lacks_session(SHARED)?;
        bench.lacks_session(HIGH)?;
        bench.select_session(SHARED)?;
        bench.lacks_session(HIGH)?;
    }
    Ok(())
}

fn requests_end(bench: &mut dyn Bench) -> Outcome {
    for lost in [true, false] {
        bench.begin_sessions(&[HIGH])?;
        let select = bench.asks_select(SHARED)?;
        let deselect = bench.asks_deselect(HIGH)?;
        reconnect(bench, lost)?;
        if bench.about().is_active() {
            let wanted = bench.frame()?.header.system;
            bench.refuse_wanted(wanted)?;
        }
        let reason = hsms_core::wire::RejectReason::TRANSACTION_NOT_OPEN;
        bench.rejects(Header::select_rsp(select).with_session(SHARED), SType::SELECT_RSP.0, reason)?;
        bench.rejects(Header::deselect_rsp(deselect).with_session(HIGH), SType::DESELECT_RSP.0, reason)?;
        bench.lacks_session(SHARED)?;
    }
    Ok(())
}
