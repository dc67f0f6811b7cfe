//! Sessions of HSMS-GS (E37.2).

pub(super) mod control;
pub(super) mod data;
pub(super) mod deselect;
pub(super) mod own_select;
pub(super) mod select;
pub(super) mod separate;
pub(super) mod states;

use crate::conformance::{Bench, Command, Frame, Outcome, Report, S1F1, TESTER};
use hsms_core::connection::SessionEnd;
use hsms_core::wire::{Header, SessionId, SystemBytes};

/// The tester deselects a session, and no transaction was open in it.
fn deselect(bench: &mut dyn Bench, session: SessionId) -> Outcome {
    bench.send(Header::deselect_req(TESTER).with_session(session))?;
    bench.expect(Header::deselect_rsp(TESTER).with_session(session))?;
    bench.told(&[Report::SessionEnded(session, SessionEnd::DeselectReceived)])
}

/// The tester separates a session, and no transaction was open in it.
fn separate(bench: &mut dyn Bench, session: SessionId) -> Outcome {
    bench.send(Header::separate_req(TESTER).with_session(session))?;
    bench.told(&[Report::SessionEnded(session, SessionEnd::SeparateReceived)])
}

/// The subject deselects a session, and the tester agrees.
fn deselects(bench: &mut dyn Bench, session: SessionId) -> Outcome {
    let system = bench.asks_deselect(session)?;
    bench.send(Header::deselect_rsp(system).with_session(session))?;
    bench.told(&[Report::SessionEnded(session, SessionEnd::Deselected)])
}

/// The subject separates a session.
fn separates(bench: &mut dyn Bench, session: SessionId) -> Outcome {
    let request = Header::separate_req(TESTER).with_session(session);
    bench.asks(Command::SeparateSession(session), request)?;
    bench.told(&[Report::SessionEnded(session, SessionEnd::Separated)])
}

/// Every way for a session to end while its connection goes on.
const ENDS: [fn(&mut dyn Bench, SessionId) -> Outcome; 4] = [deselect, separate, deselects, separates];

/// The subject sends S1F1 with the W-bit in this session. Gives its header.
fn request(bench: &mut dyn Bench, session: SessionId) -> Outcome<Header> {
    bench.does(Command::RequestIn(session, S1F1, Vec::new()))?;
    let frame = bench.frame()?;
    let header = Header::data(frame.header.system, S1F1, true, session);
    bench.is(&frame, &Frame::new(header, &[]))?;
    Ok(header)
}

/// S1F2 with these system bytes in this session.
fn reply(system: SystemBytes, session: SessionId) -> Header {
    Header::data(system, hsms_core::wire::StreamFunction::new(1, 2), false, session)
}
