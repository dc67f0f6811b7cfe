//! What people read in a log: the words for every action, notice, reason and error, and who is told to act.

use super::narrow::broken_off_at_every_octet;
use super::reads::reads;
use hsms_core::config::{DeviceId, Field};
use hsms_core::connection::{
    Action, CloseReason, ControlFrame, ControlRequest, Event, General, Leniency, Notice, SessionEnd, SessionEntity,
    SessionRefusal, SessionsError, State, TransactionEnd,
};
use hsms_core::error::{Error, Fault};
use hsms_core::frame::LengthTooShort;
use hsms_core::wire::{
    BodyTooLong, DeselectStatus, EncodeError, Header, Hex, Message, PType, RejectReason, SType, SelectStatus,
    SessionId, StreamFunction, SystemBytes,
};

const SYSTEM: SystemBytes = SystemBytes(0x2a);
const SESSION: SessionId = SessionId(7);

#[test]
fn every_way_a_connection_ends_is_told_in_words() {
    reads([
        (CloseReason::Disabled, "disabled"),
        (CloseReason::Separated, "we separated"),
        (CloseReason::BodyAborted, "a message was given up while its text was being written"),
        (CloseReason::OutputStalled, "too many answers waited for a text to end"),
        (CloseReason::TransportClosed, "the transport was closed"),
        (CloseReason::SeparateReceived, "the peer separated"),
        (CloseReason::T6(ControlRequest::Select), "T6: Select.req was not answered"),
        (CloseReason::T6(ControlRequest::Linktest), "T6: Linktest.req was not answered"),
        (CloseReason::T6(ControlRequest::Deselect), "T6: Deselect.req was not answered"),
        (CloseReason::T7, "T7: not selected in time"),
        (CloseReason::T8 { received: 9 }, "T8: a message stopped after 9 octets"),
        (CloseReason::SelectRefused(SelectStatus(200)), "the peer refused to be selected: status 200"),
        (CloseReason::SelectRejected(RejectReason(200)), "the peer rejected Select.req: reason 200"),
        (CloseReason::CallerRefused, "another connection is being served"),
        (CloseReason::DeselectAnswered, "the peer deselected"),
        (CloseReason::LengthTooShort { length: 9 }, "length field 9, and 10 is the least"),
        (CloseReason::LengthTooLong { length: 30, limit: 20 }, "length field 30, and 20 is the most"),
        (CloseReason::LooksLikeSecsI, "0x05 where a length should be: this looks like SECS-I over TCP"),
        (CloseReason::UnexpectedMessage(SType(200)), "SType 200 has no place in this state"),
        (CloseReason::DataNotSelected, "data while NOT SELECTED"),
        (CloseReason::ControlText { stype: SType(200), body_len: 3 }, "SType 200 with 3 octets of text"),
        (CloseReason::UnknownPType(PType(200)), "unknown PType 200"),
        (CloseReason::UnknownSType(SType(200)), "unknown SType 200"),
    ]);
}

#[test]
fn every_notice_is_told_in_words() {
    let header = Header::data(SYSTEM, StreamFunction::new(1, 1), true, SESSION);
    let ended = |end| Notice::TransactionEnded { system: SYSTEM, end };
    let session = |end| Notice::SessionEnded { session: SESSION, end };
    let refused = |refusal| Notice::SessionRefused { session: SESSION, refusal };
    reads([
        (Notice::Selected, "selected"),
        (Notice::Deselected, "the peer deselected"),
        (ended(TransactionEnd::T3), "transaction 0x0000002a ended: no reply within T3"),
        (
            ended(TransactionEnd::Rejected(RejectReason(200))),
            "transaction 0x0000002a ended: the peer rejected it with reason 200",
        ),
        (
            ended(TransactionEnd::ReplyTooLong { length: 99 }),
            "transaction 0x0000002a ended: its reply was too long: length field 99",
        ),
        (ended(TransactionEnd::SessionEnded), "transaction 0x0000002a ended: the session ended"),
        (Notice::LinktestAnswered { system: SYSTEM }, "linktest 0x0000002a was answered"),
        (
            Notice::LinktestMissed { system: SYSTEM, missed: 2 },
            "linktest 0x0000002a was not answered within T6, 2 in a row",
        ),
        (
            Notice::RejectReceived { header },
            "Reject.req that fits nothing open: {session_id:0x0007, stream:01, function:01, p_type:0x00, s_type:0x00, \
             system:0x0000002a, require_response:1}",
        ),
        (Notice::SessionSelected { session: SESSION }, "session 0x0007 is selected"),
        (session(SessionEnd::Deselected), "session 0x0007 ended: we deselected"),
        (session(SessionEnd::DeselectReceived), "session 0x0007 ended: the peer deselected"),
        (session(SessionEnd::Separated), "session 0x0007 ended: we separated"),
        (session(SessionEnd::SeparateReceived), "session 0x0007 ended: the peer separated"),
        (
            refused(SessionRefusal::Select(SelectStatus(200))),
            "session 0x0007: the peer refused to be selected: status 200",
        ),
        (
            refused(SessionRefusal::Deselect(DeselectStatus(200))),
            "session 0x0007: the peer refused to be deselected: status 200",
        ),
        (
            refused(SessionRefusal::SelectRejected(RejectReason(200))),
            "session 0x0007: the peer rejected Select.req: reason 200",
        ),
        (
            refused(SessionRefusal::DeselectRejected(RejectReason(200))),
            "session 0x0007: the peer rejected Deselect.req: reason 200",
        ),
        (Notice::SelectAsked { session: SESSION }, "the peer wants to select session 0x0007"),
        (Notice::Lenient(Leniency::Deselect), "leniency: Deselect.req in HSMS-SS"),
    ]);
}

#[test]
fn every_leniency_is_told_in_words() {
    reads([
        (Leniency::SelectSession(SESSION), "Select.req with session id 0x0007"),
        (Leniency::SimultaneousSelect(SESSION), "Select.req from the passive side, session id 0x0007"),
        (Leniency::Deselect, "Deselect.req in HSMS-SS"),
        (Leniency::DeselectNotSelected, "Deselect.req while NOT SELECTED"),
        (Leniency::LinktestNotSelected, "Linktest.req while NOT SELECTED"),
        (Leniency::ControlText { stype: SType(200), body_len: 3 }, "SType 200 with 3 octets of text"),
        (Leniency::RejectText { body_len: 3 }, "Reject.req with 3 octets of text"),
        (Leniency::DirectionBit(SESSION), "bit 15 set in session id 0x0007 of data"),
        (Leniency::LinktestExtended, "linktest kept open while a long message arrives"),
    ]);
}

#[test]
fn every_action_is_told_in_words() {
    let header = Header::data(SYSTEM, StreamFunction::new(1, 1), true, SESSION);
    assert_eq!(Action::OpenTransport.to_string(), "open the transport");
    assert_eq!(Action::Send(ControlFrame::Control(header)).to_string(), format!("send {header:?}"));
    assert_eq!(Action::CloseTransport(CloseReason::T7).to_string(), "close the transport: T7: not selected in time");
    assert_eq!(Action::Notify(Notice::Selected).to_string(), "selected");
}

#[test]
fn every_error_is_told_in_words() {
    let event = Event::TransportOpen;
    reads([
        (Error::ActionsPending, "actions wait to be polled"),
        (
            Error::UnexpectedEvent { event, state: State::NotConnected },
            "TransportOpen cannot happen now, in NOT CONNECTED",
        ),
        (Error::InputPaused, "input is paused"),
        (Error::BodyOpen, "the text of another message has not ended"),
        (Error::NoBodyOpen, "no text is open"),
        (Error::WrittenTooMuch { octets: 5, outstanding: 4 }, "5 octets reported written, and 4 were left to write"),
        (
            Error::NotPrimary { stream_function: StreamFunction::new(1, 2) },
            "S1F2 is no primary: odd function, stream 1 to 127",
        ),
        (Error::UnknownDevice { session: SESSION }, "session id 0x0007 is no device id of this connection"),
        (
            Error::BodyTooLong(BodyTooLong { body_len: u32::MAX }),
            "a text of 4294967295 octets or more; a message holds at most 4294967285",
        ),
        (Error::StaleToken, "the connection that the primary came over has ended"),
        (Error::CannotSelect, "only the active side selects, once, while NOT SELECTED"),
        (Error::ControlOpen { system: SYSTEM }, "control request 0x0000002a waits for its response"),
        (Error::NotForStream9, "stream 9 goes from equipment to host, and not about stream 9 or function 0"),
        (Error::NoTransaction { system: SYSTEM }, "no open transaction has the system bytes 0x0000002a"),
        (Error::TransactionsFull { open: 4 }, "all 4 transactions are open"),
        (Error::UnknownSession { session: SESSION }, "there is no session entity with the id 0x0007"),
        (Error::SessionSelected { session: SESSION }, "session 0x0007 is selected already"),
        (Error::SessionNotSelected { session: SESSION }, "session 0x0007 is not selected"),
        (Error::NotAsked { session: SESSION }, "no Select.req for session 0x0007 waits for an answer"),
        (Error::NotConnected, "not connected"),
        (Error::NotSelected, "not selected"),
    ]);
}

#[test]
fn an_error_tells_who_has_to_act() {
    assert_eq!(Error::TransactionsFull { open: 4 }.fault(), Fault::Capacity);
    for error in [
        Error::NotConnected,
        Error::NotSelected,
        Error::StaleToken,
        Error::SessionNotSelected { session: SESSION },
        Error::NotAsked { session: SESSION },
    ] {
        assert_eq!(error.fault(), Fault::Link, "{error}");
    }
    for error in [Error::ActionsPending, Error::BodyOpen, Error::UnknownDevice { session: SESSION }] {
        assert_eq!(error.fault(), Fault::Caller, "{error}");
    }
}

#[test]
fn the_end_of_a_transaction_tells_who_has_to_act() {
    assert_eq!(TransactionEnd::T3.fault(), Fault::Peer);
    assert_eq!(TransactionEnd::Rejected(RejectReason(4)).fault(), Fault::Peer);
    assert_eq!(TransactionEnd::ReplyTooLong { length: 99 }.fault(), Fault::Capacity);
    assert_eq!(TransactionEnd::SessionEnded.fault(), Fault::Link);
}

#[test]
fn the_end_of_a_connection_tells_who_has_to_act() {
    let of = |fault, reasons: &[CloseReason]| {
        for reason in reasons {
            assert_eq!(reason.fault(), fault, "{reason}");
        }
    };
    of(Fault::Caller, &[CloseReason::Disabled, CloseReason::Separated, CloseReason::BodyAborted]);
    of(Fault::Capacity, &[CloseReason::OutputStalled, CloseReason::CallerRefused]);
    of(Fault::Link, &[CloseReason::TransportClosed, CloseReason::SeparateReceived, CloseReason::DeselectAnswered]);
    of(Fault::Peer, &[CloseReason::T6(ControlRequest::Select), CloseReason::T7]);
}

#[test]
fn every_setting_has_a_name() {
    reads([
        (Field::T3, "T3 in milliseconds"),
        (Field::T5, "T5 in milliseconds"),
        (Field::T6, "T6 in milliseconds"),
        (Field::T7, "T7 in milliseconds"),
        (Field::T8, "T8 in milliseconds"),
        (Field::LinktestPeriod, "the linktest period in milliseconds"),
        (Field::LinktestThreshold, "the linktest threshold"),
        (Field::MaxMessage, "the greatest message length"),
        (Field::SkipLimit, "the skip limit"),
        (Field::DeviceId, "the device id"),
        (Field::DeviceIds, "the number of device ids"),
    ]);
    assert_eq!(DeviceId::new(32767).map(|id| id.to_string()).as_deref(), Some("32767"));
    let error = DeviceId::try_from(32768).unwrap_err();
    assert_eq!(error.to_string(), "the device id is 32768; it must lie between 0 and 32767");
}

#[test]
fn messages_and_octets_print_for_people() {
    let header = Header::data(SYSTEM, StreamFunction::new(1, 1), true, SESSION);
    assert_eq!(format!("{:?}", Message::new(header, b"abc")), format!("{header:?} with 3 octets"));
    assert_eq!(StreamFunction::new(6, 11).abort(), StreamFunction::new(6, 0));
    assert_eq!(LengthTooShort { length: 9 }.to_string(), "length field 9, and 10 is the least");
    let too_long = BodyTooLong { body_len: u32::MAX };
    assert_eq!(EncodeError::BodyTooLong(too_long).to_string(), too_long.to_string());
    for (octets, most, words) in [
        (&b"\x00\x0a\xff"[..], 2, "00:0a:… (3 octets)"),
        (b"\x00\x0a\xff", 3, "00:0a:ff"),
        (b"\x00\x0a\xff", 0, "… (3 octets)"),
        (b"", 0, ""),
    ] {
        assert_eq!(Hex::bounded(octets, most).to_string(), words);
        assert_eq!(format!("{:?}", Hex::bounded(octets, most)), words);
    }
}

#[test]
fn every_list_of_sessions_that_cannot_be_is_told_in_words() {
    reads([
        (SessionsError::TooMany { given: 5, room: 4 }, "5 session entities, and room for 4"),
        (SessionsError::Repeated { session: SESSION }, "two session entities have the id 0x0007"),
        (SessionsError::Reserved, "0xFFFF is no id of a session entity"),
    ]);
    let entity = |session| SessionEntity::offered(SessionId(session));
    let refused = |ids: &[u16]| {
        let entities: Vec<_> = ids.iter().copied().map(entity).collect();
        General::<2>::new(&entities).unwrap_err()
    };
    assert_eq!(refused(&[1, 2, 3]), SessionsError::TooMany { given: 3, room: 2 });
    assert_eq!(refused(&[7, 7]), SessionsError::Repeated { session: SESSION });
    assert_eq!(refused(&[1, 0xFFFF]), SessionsError::Reserved);
}

#[test]
fn octets_are_broken_off_where_the_log_takes_no_more() {
    for hex in [Hex::new(b"\x00\x0a\xff"), Hex::bounded(b"\x00\x0a\xff", 2)] {
        broken_off_at_every_octet(&hex);
    }
}

#[test]
fn a_frame_of_the_machine_is_never_empty() {
    let about = Header::data(SYSTEM, StreamFunction::new(1, 2), false, SESSION);
    let stream_9 = ControlFrame::Stream9 { function: 1, session: SESSION, system: SYSTEM, about };
    for (frame, octets) in [(ControlFrame::Control(about), 14), (stream_9, 26)] {
        assert_eq!((frame.len(), frame.encode().len(), frame.is_empty()), (octets, octets, false));
    }
}
