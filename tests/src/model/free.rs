//! What a peer may send that keeps to nothing.

use super::canonical::{NEXT, issuer};
use super::step::PRIMARY;
use super::subject::{DEVICE, SESSIONS};
use super::{Subject, World};
use hsms_core::wire::{
    DeselectStatus, Header, RejectReason, SType, SelectStatus, SessionId, StreamFunction, SystemBytes,
};

/// System bytes of the peer's own, which the machine has never seen.
pub const FOREIGN: SystemBytes = SystemBytes(0x0003_0000);

/// The frames that the peer may send now: every type, with the system bytes of what is open at the machine, of what was, and of
/// nothing.
#[must_use]
pub fn alphabet<M: Subject>(world: &World<M>) -> Vec<Vec<u8>> {
    let machine = &world.ends[0].machine;
    let mut systems = Vec::new();
    machine.clone().map_system_bytes(&mut |system| {
        if issuer(system) == Some(0) && !systems.contains(&system) {
            systems.push(system);
        }
        system
    });
    let open = systems.clone();
    let issued = machine.issued();
    // One that ended, where the peer could know of it: the newest.
    systems.extend(issued.rev().map(SystemBytes).find(|system| !open.contains(system)));
    systems.push(FOREIGN);

    let session = if M::GENERAL { SESSIONS[0] } else { DEVICE };
    let about = if M::GENERAL { SESSIONS[0] } else { SessionId::CONTROL };
    let mut headers = Vec::new();
    for system in systems {
        headers.push(Header::data(system, PRIMARY.abort(), false, session));
        headers.push(Header::data(system, StreamFunction::new(1, 2), false, session));
        headers.push(Header::data(system, StreamFunction::new(3, 2), false, session));
        for status in [SelectStatus::COMMUNICATION_ESTABLISHED, SelectStatus::COMMUNICATION_ALREADY_ACTIVE] {
            headers.push(Header::select_rsp(system).with_session(about).with_status(status.0));
        }
        let ended = DeselectStatus::COMMUNICATION_ENDED.0;
        headers.push(Header::deselect_rsp(system).with_session(about).with_status(ended));
        headers.push(Header::linktest_rsp(system));
        for (stype, reason) in [
            (SType::DATA, RejectReason::ENTITY_NOT_SELECTED),
            (SType::SELECT_REQ, RejectReason::STYPE_NOT_SUPPORTED),
            (SType::LINKTEST_REQ, RejectReason::STYPE_NOT_SUPPORTED),
            (SType::DESELECT_REQ, RejectReason::STYPE_NOT_SUPPORTED),
            (SType::SELECT_RSP, RejectReason::TRANSACTION_NOT_OPEN),
        ] {
            headers.push(Header::reject_req(system, stype.0, reason).with_session(about));
        }
    }
    for system in open.into_iter().take(1).chain([FOREIGN]) {
        headers.push(Header::data(system, PRIMARY, true, session));
    }
    headers.push(Header::data(FOREIGN, PRIMARY, false, session));
    headers.push(Header::data(FOREIGN, PRIMARY, true, SessionId(99)));
    headers.push(Header::data(FOREIGN, PRIMARY, true, SessionId(0x8000 | session.0)));
    headers.push(Header::select_req(FOREIGN).with_session(about));
    headers.push(Header::select_req(FOREIGN).with_session(SESSIONS[1]));
    headers.push(Header::deselect_req(FOREIGN).with_session(about));
    headers.push(Header::linktest_req(FOREIGN));
    headers.push(Header::separate_req(FOREIGN).with_session(about));
    headers.push(Header { stype: SType(11), ..Header::linktest_req(FOREIGN) });
    headers.push(Header { ptype: hsms_core::wire::PType(1), ..Header::linktest_req(FOREIGN) });

    let mut frames: Vec<Vec<u8>> = headers.iter().map(|header| header.encode_alone().to_vec()).collect();
    let with_text = |header: Header, text: &[u8]| {
        let prefix = header.encode_prefix(u32::try_from(text.len()).expect("a short text")).expect("a short text");
        [&prefix[..], text].concat()
    };
    frames.push(with_text(Header::data(FOREIGN, PRIMARY, true, session), &[0x01, 0x00]));
    frames.push(with_text(Header::linktest_req(FOREIGN), &[0x01]));
    frames.push(with_text(Header::reject_req(FOREIGN, 0, RejectReason::ENTITY_NOT_SELECTED), &[0x01]));
    // Longer than is accepted, with as much of it as is there.
    frames.push(with_text(Header::data(FOREIGN, PRIMARY, true, session), &[0; 12]));
    frames.push(vec![0, 0, 0, 9]);
    frames.push(vec![5]);
    debug_assert!(NEXT[1] < FOREIGN.0);
    frames
}
