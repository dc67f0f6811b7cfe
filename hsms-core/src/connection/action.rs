//! What goes into the machine and what comes out: plain `Copy` data without a lifetime.

use crate::error::Fault;
use crate::wire::{
    DeselectStatus, Header, MIN_LENGTH, PREFIX_LEN, PType, RejectReason, SType, SelectStatus, SessionId,
    StreamFunction, SystemBytes,
};
use core::fmt;

/// The states of E37 5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum State {
    /// No TCP connection.
    NotConnected,
    /// A TCP connection without a session.
    NotSelected,
    /// A session: data messages may flow.
    Selected,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::NotConnected => "NOT CONNECTED",
            State::NotSelected => "NOT SELECTED",
            State::Selected => "SELECTED",
        })
    }
}

/// What happened outside the machine. Octets come in through `receive`, decisions of the application as commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event {
    /// The transport asked for by [`Action::OpenTransport`] is open: dialled or accepted.
    TransportOpen,
    /// The transport asked for could not be opened: the dial failed, or the port could not be bound.
    TransportFailed,
    /// The open transport ended: the peer closed it, or reading or writing failed.
    TransportClosed,
    /// Time has passed. A no-op where nothing is due.
    Timeout,
}

/// What the adapter has to do, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Action {
    /// Dial (active) or accept (passive), then tell [`Event::TransportOpen`] or [`Event::TransportFailed`].
    OpenTransport,
    /// Append this frame to the ordered output.
    Send(ControlFrame),
    /// Write out what was appended before, then close the transport, or stop opening it. Nothing is to be told back.
    CloseTransport(CloseReason),
    /// Tell the application.
    Notify(Notice),
}

/// A frame that the machine sends by itself, as a description; its octets are made on demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ControlFrame {
    /// A message without text.
    Control(Header),
    /// An error message of stream 9, whose text is the header it is about (E37 9.4.2, E5 7.13).
    Stream9 {
        /// 1, 3, 5, 7, 9 or 11.
        function: u8,
        /// Device id of the equipment.
        session: SessionId,
        /// System bytes of this message.
        system: SystemBytes,
        /// MHEAD or SHEAD: the header of the message at fault, or of the primary that was not answered.
        about: Header,
    },
}

impl ControlFrame {
    /// The frame's own header.
    #[must_use]
    pub const fn header(&self) -> Header {
        match self {
            ControlFrame::Control(header) => *header,
            ControlFrame::Stream9 { function, session, system, .. } => {
                Header::data(*system, StreamFunction::new(9, *function), false, *session)
            }
        }
    }

    /// Octets of the text: 0, or 12 for stream 9.
    #[must_use]
    pub const fn body_len(&self) -> u32 {
        match self {
            ControlFrame::Control(_) => 0,
            ControlFrame::Stream9 { .. } => 12,
        }
    }

    /// Octets of the whole frame: 14, or 26 for stream 9.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            ControlFrame::Control(_) => PREFIX_LEN,
            ControlFrame::Stream9 { .. } => MAX_CONTROL_FRAME,
        }
    }

    /// Never: a frame has at least 14 octets.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// The octets that go over the wire.
    #[must_use]
    #[inline]
    pub const fn encode(&self) -> FrameOctets {
        let mut octets = [0; MAX_CONTROL_FRAME];
        let [prefix @ .., _, _, _, _, _, _, _, _, _, _, _, _] = &mut octets;
        *prefix = self.header().prefix_with_length(MIN_LENGTH.wrapping_add(self.body_len()));
        let text = match self {
            ControlFrame::Control(_) => false,
            ControlFrame::Stream9 { about, .. } => {
                // A SECS-II binary item of ten octets.
                let [.., format, count, _, _, _, _, _, _, _, _, _, _] = &mut octets;
                (*format, *count) = (0x21, 0x0a);
                let [_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, item @ ..] = &mut octets;
                *item = about.encode();
                true
            }
        };
        FrameOctets { octets, text }
    }
}

/// Octets of the longest frame that the machine sends by itself.
pub const MAX_CONTROL_FRAME: usize = 26;

/// The octets of a [`ControlFrame`], by value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameOctets {
    octets: [u8; MAX_CONTROL_FRAME],
    text: bool,
}

impl AsRef<[u8]> for FrameOctets {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        if self.text { &self.octets } else { self.octets.first_chunk::<PREFIX_LEN>().map_or(&[], |octets| octets) }
    }
}

impl core::ops::Deref for FrameOctets {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_ref()
    }
}

/// What the application may want to know. Nothing has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Notice {
    /// The connection became SELECTED.
    Selected,
    /// The peer deselected; the transport stays open for a while (E37 7.4).
    Deselected,
    /// A transaction that we started ended without a reply.
    TransactionEnded {
        /// Its system bytes.
        system: SystemBytes,
        /// How it ended.
        end: TransactionEnd,
    },
    /// A linktest of ours was answered: the peer lives.
    LinktestAnswered {
        /// Its system bytes.
        system: SystemBytes,
    },
    /// A linktest of ours was not answered within T6, and the threshold is not reached yet.
    LinktestMissed {
        /// Its system bytes.
        system: SystemBytes,
        /// How many in a row were not answered.
        missed: u8,
    },
    /// A Reject.req came that fits no open transaction of ours. It is not answered, and the link stays.
    RejectReceived {
        /// Its header: octet 2 tells the SType or PType at fault, octet 3 the reason.
        header: Header,
    },
    /// HSMS-GS: the session is selected; its data may flow.
    SessionSelected {
        /// Its id.
        session: SessionId,
    },
    /// HSMS-GS: the session ended and the connection goes on, NOT SELECTED where it was the last one. Where the connection
    /// itself ends, all its sessions end with it and are not told of one by one.
    SessionEnded {
        /// Its id.
        session: SessionId,
        /// How.
        end: SessionEnd,
    },
    /// HSMS-GS: the peer refused what we asked of the session.
    SessionRefused {
        /// Its id.
        session: SessionId,
        /// What was refused, and how.
        refusal: SessionRefusal,
    },
    /// HSMS-GS: the peer wants to select the session, and
    /// [`answer_select`](super::Connection::answer_select) has to answer, within the peer's T6.
    SelectAsked {
        /// Its id.
        session: SessionId,
    },
    /// The peer deviated from E37.1 and the default profile lives with it.
    Lenient(Leniency),
}

/// How a transaction that we started ended without a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TransactionEnd {
    /// No reply within T3 (E37 9.4.1). The link stays.
    T3,
    /// The peer rejected the primary (E37 7.7).
    Rejected(RejectReason),
    /// The reply was longer than the greatest message length.
    ReplyTooLong {
        /// The reply's length field.
        length: u32,
    },
    /// The connection or its selection ended first.
    SessionEnded,
}

impl TransactionEnd {
    /// Who is at fault.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            TransactionEnd::T3 | TransactionEnd::Rejected(_) => Fault::Peer,
            TransactionEnd::ReplyTooLong { .. } => Fault::Capacity,
            TransactionEnd::SessionEnded => Fault::Link,
        }
    }
}

/// A deviation from E37.1 that the default profile accepts. The strict profile closes instead, or does what is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Leniency {
    /// A Select.req carried another session id than 0xFFFF (E37.1 7.1). It was accepted and the id echoed.
    SelectSession(SessionId),
    /// The passive side sent a Select.req to us, the active one, while NOT SELECTED (E37.1 7.1). It was accepted.
    SimultaneousSelect(SessionId),
    /// A Deselect.req came while SELECTED (E37.1 7.4). It was answered with status 0.
    Deselect,
    /// A Deselect.req came while NOT SELECTED. It was answered with status 1.
    DeselectNotSelected,
    /// A Linktest.req came while NOT SELECTED (E37.1 7.5). It was answered; T7 goes on.
    LinktestNotSelected,
    /// A control message carried text while SELECTED (E37 9.3.3). It was rejected and the text skipped.
    ControlText {
        /// The message.
        stype: SType,
        /// Octets of its text.
        body_len: u32,
    },
    /// A Reject.req carried text of up to 64 octets. It was taken.
    RejectText {
        /// Octets of its text.
        body_len: u32,
    },
    /// Bit 15 of a data message's session id was set (E37.1 8.1). It was cleared. Strict: an unknown device id.
    DirectionBit(SessionId),
    /// A linktest of ours stayed open beyond T6 because a long message was arriving.
    LinktestExtended,
}

/// A control request of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ControlRequest {
    /// Select.req.
    Select,
    /// Linktest.req.
    Linktest,
    /// Deselect.req, which only HSMS-GS has.
    Deselect,
}

/// How a session of HSMS-GS ended while its connection went on (E37.2 5.9, transitions 5 and 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SessionEnd {
    /// The peer accepted our Deselect.req.
    Deselected,
    /// We accepted the peer's Deselect.req.
    DeselectReceived,
    /// We sent Separate.req.
    Separated,
    /// The peer sent Separate.req.
    SeparateReceived,
}

/// How the peer refused what we asked of a session of HSMS-GS, which stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SessionRefusal {
    /// It answered our Select.req with this status (E37 7.2.1).
    Select(SelectStatus),
    /// It answered our Deselect.req with this status (E37 7.4.1).
    Deselect(DeselectStatus),
    /// It rejected our Select.req (E37 7.7).
    SelectRejected(RejectReason),
    /// It rejected our Deselect.req (E37 7.7).
    DeselectRejected(RejectReason),
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CloseReason {
    /// The application disabled the connection; Separate.req was sent where the connection was SELECTED.
    Disabled,
    /// The application ended the session; Separate.req was sent where the connection was SELECTED.
    Separated,
    /// The application gave up a message whose text was partly written.
    BodyAborted,
    /// The frames that the machine held back while a text was being written became too many, and the peer asked for more.
    OutputStalled,
    /// The transport ended: the peer closed it, or it failed.
    TransportClosed,
    /// The peer sent Separate.req (E37 7.6).
    SeparateReceived,
    /// T6: no response to a control request (E37 9.3.1).
    T6(ControlRequest),
    /// T7: NOT SELECTED for too long (E37 9.2.2).
    T7,
    /// T8: a message stopped in the middle (E37 9.2.3).
    T8 {
        /// Octets of it that had come, length field included; `u32::MAX` stands for more as well.
        received: u32,
    },
    /// The peer refused our Select.req (E37.1 7.1.3).
    SelectRefused(SelectStatus),
    /// The peer rejected our Select.req (E37 7.7).
    SelectRejected(RejectReason),
    /// We serve another connection: the caller's Select.req was answered with status 1 (E37 9.2.4).
    CallerRefused,
    /// We answered the peer's Deselect.req and are the side that dials.
    DeselectAnswered,
    /// The length field was below 10 (E37 8.1.3).
    LengthTooShort {
        /// Its value.
        length: u32,
    },
    /// The length field was above what is accepted.
    LengthTooLong {
        /// Its value.
        length: u32,
        /// The greatest value accepted here.
        limit: u32,
    },
    /// The first octet of a message was 0x05 where no such length can be: the peer seems to speak SECS-I over TCP.
    LooksLikeSecsI,
    /// A message that has no place in this state (E37.1 Tables 1 and 2 row 4).
    UnexpectedMessage(SType),
    /// A data message while NOT SELECTED, in the strict profile.
    DataNotSelected,
    /// A control message with text (E37 9.3.3).
    ControlText {
        /// The message.
        stype: SType,
        /// Octets of its text.
        body_len: u32,
    },
    /// A PType other than 0.
    UnknownPType(PType),
    /// An SType that E37 does not define.
    UnknownSType(SType),
}

impl CloseReason {
    /// Who is at fault.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            CloseReason::Disabled | CloseReason::Separated | CloseReason::BodyAborted => Fault::Caller,
            CloseReason::OutputStalled | CloseReason::CallerRefused => Fault::Capacity,
            CloseReason::TransportClosed | CloseReason::SeparateReceived | CloseReason::DeselectAnswered => Fault::Link,
            _ => Fault::Peer,
        }
    }
}

impl fmt::Display for ControlRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ControlRequest::Select => "Select.req",
            ControlRequest::Linktest => "Linktest.req",
            ControlRequest::Deselect => "Deselect.req",
        })
    }
}

impl fmt::Display for SessionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SessionEnd::Deselected => "we deselected",
            SessionEnd::DeselectReceived => "the peer deselected",
            SessionEnd::Separated => "we separated",
            SessionEnd::SeparateReceived => "the peer separated",
        })
    }
}

impl fmt::Display for SessionRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SessionRefusal::Select(status) => write!(f, "the peer refused to be selected: status {status}"),
            SessionRefusal::Deselect(status) => write!(f, "the peer refused to be deselected: status {status}"),
            SessionRefusal::SelectRejected(reason) => write!(f, "the peer rejected Select.req: reason {reason}"),
            SessionRefusal::DeselectRejected(reason) => write!(f, "the peer rejected Deselect.req: reason {reason}"),
        }
    }
}

impl fmt::Display for TransactionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TransactionEnd::T3 => f.write_str("no reply within T3"),
            TransactionEnd::Rejected(reason) => write!(f, "the peer rejected it with reason {reason}"),
            TransactionEnd::ReplyTooLong { length } => write!(f, "its reply was too long: length field {length}"),
            TransactionEnd::SessionEnded => f.write_str("the session ended"),
        }
    }
}

impl fmt::Display for Leniency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Leniency::SelectSession(id) => write!(f, "Select.req with session id {id}"),
            Leniency::SimultaneousSelect(id) => write!(f, "Select.req from the passive side, session id {id}"),
            Leniency::Deselect => f.write_str("Deselect.req in HSMS-SS"),
            Leniency::DeselectNotSelected => f.write_str("Deselect.req while NOT SELECTED"),
            Leniency::LinktestNotSelected => f.write_str("Linktest.req while NOT SELECTED"),
            Leniency::ControlText { stype, body_len } => write!(f, "SType {stype} with {body_len} octets of text"),
            Leniency::RejectText { body_len } => write!(f, "Reject.req with {body_len} octets of text"),
            Leniency::DirectionBit(id) => write!(f, "bit 15 set in session id {id} of data"),
            Leniency::LinktestExtended => f.write_str("linktest kept open while a long message arrives"),
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Selected => f.write_str("selected"),
            Notice::Deselected => f.write_str("the peer deselected"),
            Notice::TransactionEnded { system, end } => write!(f, "transaction {system} ended: {end}"),
            Notice::LinktestAnswered { system } => write!(f, "linktest {system} was answered"),
            Notice::LinktestMissed { system, missed } => {
                write!(f, "linktest {system} was not answered within T6, {missed} in a row")
            }
            Notice::RejectReceived { header } => write!(f, "Reject.req that fits nothing open: {header}"),
            Notice::SessionSelected { session } => write!(f, "session {session} is selected"),
            Notice::SessionEnded { session, end } => write!(f, "session {session} ended: {end}"),
            Notice::SessionRefused { session, refusal } => write!(f, "session {session}: {refusal}"),
            Notice::SelectAsked { session } => write!(f, "the peer wants to select session {session}"),
            Notice::Lenient(leniency) => write!(f, "leniency: {leniency}"),
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloseReason::Disabled => f.write_str("disabled"),
            CloseReason::Separated => f.write_str("we separated"),
            CloseReason::BodyAborted => f.write_str("a message was given up while its text was being written"),
            CloseReason::OutputStalled => f.write_str("too many answers waited for a text to end"),
            CloseReason::TransportClosed => f.write_str("the transport was closed"),
            CloseReason::SeparateReceived => f.write_str("the peer separated"),
            CloseReason::T6(request) => write!(f, "T6: {request} was not answered"),
            CloseReason::T7 => f.write_str("T7: not selected in time"),
            CloseReason::T8 { received } => write!(f, "T8: a message stopped after {received} octets"),
            CloseReason::SelectRefused(status) => write!(f, "the peer refused to be selected: status {status}"),
            CloseReason::SelectRejected(reason) => write!(f, "the peer rejected Select.req: reason {reason}"),
            CloseReason::CallerRefused => f.write_str("another connection is being served"),
            CloseReason::DeselectAnswered => f.write_str("the peer deselected"),
            CloseReason::LengthTooShort { length } => write!(f, "length field {length}, and 10 is the least"),
            CloseReason::LengthTooLong { length, limit } => write!(f, "length field {length}, and {limit} is the most"),
            CloseReason::LooksLikeSecsI => {
                f.write_str("0x05 where a length should be: this looks like SECS-I over TCP")
            }
            CloseReason::UnexpectedMessage(stype) => write!(f, "SType {stype} has no place in this state"),
            CloseReason::DataNotSelected => f.write_str("data while NOT SELECTED"),
            CloseReason::ControlText { stype, body_len } => write!(f, "SType {stype} with {body_len} octets of text"),
            CloseReason::UnknownPType(ptype) => write!(f, "unknown PType {ptype}"),
            CloseReason::UnknownSType(stype) => write!(f, "unknown SType {stype}"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::OpenTransport => f.write_str("open the transport"),
            Action::Send(frame) => write!(f, "send {:?}", frame.header()),
            Action::CloseTransport(reason) => write!(f, "close the transport: {reason}"),
            Action::Notify(notice) => notice.fmt(f),
        }
    }
}
