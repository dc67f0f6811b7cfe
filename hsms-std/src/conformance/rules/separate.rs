//! Separate (E37 7.6, E37.1 7.6).

use super::connect::is_there;
use crate::conformance::{
    Applies, Bench, Command, DATA, Frame, Outcome, Report, Rule, S1F1, TESTER, encode, linktest, primary,
};
use hsms_core::connection::CloseReason;
use hsms_core::wire::{Header, SessionId, StreamFunction};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E37.1-7.6/received",
        duty: "Separate.req, while SELECTED or NOT SELECTED, ends the connection; nothing is sent back.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/transition.rs: control",
        test: received,
    },
    Rule {
        id: "E37.1-7.6/fields",
        duty: "Separate.req ends the connection whatever its session id and its header octets 2 and 3 are.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/transition.rs: control",
        test: fields,
    },
    Rule {
        id: "E37.1-7.6/behind",
        duty: "What stands behind a Separate.req is not looked at any more, even where it came together with it.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/transition.rs: control",
        test: behind,
    },
    Rule {
        id: "E37.1-7.6/sent",
        duty: "Its own end of a session is a Separate.req with session id FFFF, and the closing of the transport right behind it.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/transition.rs: happened",
        test: sent,
    },
    Rule {
        id: "E37.1-7.6/not-selected",
        duty: "Its own end of a connection that is NOT SELECTED is the closing of the transport alone, without Separate.req.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/transition.rs: happened",
        test: not_selected,
    },
    Rule {
        id: "E37-7.6.1/order",
        duty: "What the application sent before it ended the session goes out whole before the Separate.req.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/input.rs: close",
        test: order,
    },
    Rule {
        id: "E37-7.6.1/not-connected",
        duty: "Where there is no connection, ending the session is refused and ending the connection once more does nothing.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/transition.rs: happened",
        test: not_connected,
    },
];

fn received(bench: &mut dyn Bench) -> Outcome {
    for selected in [true, false] {
        let select = bench.begin_not_selected()?;
        if selected {
            bench.become_selected(select)?;
        }
        bench.send(Header::separate_req(TESTER))?;
        bench.expect_closed()?;
        bench.told(&[Report::Closed(CloseReason::SeparateReceived)])?;
    }
    Ok(())
}

fn fields(bench: &mut dyn Bench) -> Outcome {
    let sessions = [0x0000, 0x0001, 0x7FFF, 0x8001].map(|id| Header::separate_req(TESTER).with_session(SessionId(id)));
    let octets = [(0x80, 0), (0, 1), (0xFF, 0xFF)];
    let octets = octets.map(|(byte2, byte3)| Header { byte2, byte3, ..Header::separate_req(TESTER) });
    for header in bench.some(sessions.into_iter().chain(octets)) {
        bench.begin_selected()?;
        bench.send(header)?;
        bench.expect_closed()?;
        bench.told(&[Report::Closed(CloseReason::SeparateReceived)])?;
    }
    Ok(())
}

fn behind(bench: &mut dyn Bench) -> Outcome {
    for selected in [true, false] {
        let select = bench.begin_not_selected()?;
        if selected {
            bench.become_selected(select)?;
        }
        let messages = [Header::separate_req(TESTER), linktest(), primary(S1F1), Header::select_req(TESTER)];
        bench.send_octets(&messages.map(|header| encode(&header, &[])).concat())?;
        bench.expect_closed()?;
        bench.told(&[Report::Closed(CloseReason::SeparateReceived)])?;
    }
    Ok(())
}

/// Both ways in which the application can end a connection.
const ENDS: [(Command, CloseReason); 2] =
    [(Command::Separate, CloseReason::Separated), (Command::Disable, CloseReason::Disabled)];

fn sent(bench: &mut dyn Bench) -> Outcome {
    for (command, reason) in ENDS {
        bench.begin_selected()?;
        bench.does(command)?;
        is_farewell(bench)?;
        bench.expect_closed()?;
        bench.told(&[Report::Closed(reason)])?;
    }
    Ok(())
}

fn not_selected(bench: &mut dyn Bench) -> Outcome {
    for (command, reason) in ENDS {
        bench.begin_not_selected()?;
        is_there(bench)?;
        bench.does(command)?;
        bench.expect_closed()?;
        bench.told(&[Report::Closed(reason)])?;
    }
    Ok(())
}

fn order(bench: &mut dyn Bench) -> Outcome {
    let text = [&[0x22, 0x03, 0xE8][..], &[7; 1000]].concat();
    let event = StreamFunction::new(6, 11);
    for (command, reason) in ENDS {
        bench.begin_selected()?;
        bench.does(Command::Send(event, text.clone()))?;
        bench.does(command)?;
        let frame = bench.frame()?;
        bench.is(&frame, &Frame::new(Header::data(frame.header.system, event, false, DATA), &text))?;
        is_farewell(bench)?;
        bench.expect_closed()?;
        bench.told(&[Report::Closed(reason)])?;
    }
    Ok(())
}

fn not_connected(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    bench.does(Command::Disable)?;
    is_farewell(bench)?;
    bench.expect_closed()?;
    bench.told(&[Report::Closed(CloseReason::Disabled)])?;
    bench.refuses(Command::Separate)?;
    bench.does(Command::Disable)?;
    bench.told(&[])
}

/// The next that comes is a Separate.req.
fn is_farewell(bench: &mut dyn Bench) -> Outcome {
    let frame = bench.frame()?;
    bench.is(&frame, &Frame::new(Header::separate_req(frame.header.system), &[]))
}
