//! What the application wants to send, from the wish to its one outcome.

use super::action::Done;
use crate::connection::TransactionEnd;
use crate::error::Fault;
use crate::secs2::Error;
use crate::secs2::messages::SystemError;
#[cfg(feature = "auth")]
use crate::services::TrustFailure;
use crate::services::{ServiceId, Status};
use crate::time::Instant;
use crate::wire::{Header, RejectReason, StreamFunction, SystemBytes};
use core::fmt;

/// Which sending an outcome belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ticket(pub(crate) u32);

/// For what a sending waited until its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Waiting {
    /// For the connection to be trusted.
    Trust,
    /// For communication to be established.
    Communication,
    /// For room in the connection: all of its transactions were open, or the peer took too little of what waits for it.
    Room,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Waiting::Trust => "trust",
            Waiting::Communication => "communication to be established",
            Waiting::Room => "room in the connection",
        })
    }
}

/// What equipment says is wrong with a message, in stream 9 (E5 7.13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Complaint {
    /// S9F1: the device id is not known.
    UnrecognizedDeviceId,
    /// S9F3: the stream is not known.
    UnrecognizedStream,
    /// S9F5: the function is not known.
    UnrecognizedFunction,
    /// S9F7: the text cannot be interpreted.
    IllegalData,
    /// S9F9: a message of the equipment's own was not answered within T3.
    TransactionTimeout,
    /// S9F11: the message is too long.
    DataTooLong,
}

impl Complaint {
    /// What a message of stream 9 says about which message; `None` of what carries no header.
    #[must_use]
    pub const fn of(error: &SystemError<'_>) -> Option<(Complaint, Header)> {
        Some(match error {
            SystemError::UnrecognizedDeviceId(about) => (Complaint::UnrecognizedDeviceId, *about),
            SystemError::UnrecognizedStream(about) => (Complaint::UnrecognizedStream, *about),
            SystemError::UnrecognizedFunction(about) => (Complaint::UnrecognizedFunction, *about),
            SystemError::IllegalData(about) => (Complaint::IllegalData, *about),
            SystemError::TransactionTimeout(about) => (Complaint::TransactionTimeout, *about),
            SystemError::DataTooLong(about) => (Complaint::DataTooLong, *about),
            SystemError::ConversationTimeout { .. } => return None,
        })
    }

    /// The function of stream 9: 1, 3, 5, 7, 9 or 11.
    #[must_use]
    pub const fn function(self) -> u8 {
        match self {
            Complaint::UnrecognizedDeviceId => 1,
            Complaint::UnrecognizedStream => 3,
            Complaint::UnrecognizedFunction => 5,
            Complaint::IllegalData => 7,
            Complaint::TransactionTimeout => 9,
            Complaint::DataTooLong => 11,
        }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Complaint::UnrecognizedDeviceId => "unrecognized device id",
            Complaint::UnrecognizedStream => "unrecognized stream",
            Complaint::UnrecognizedFunction => "unrecognized function",
            Complaint::IllegalData => "illegal data",
            Complaint::TransactionTimeout => "transaction timeout",
            Complaint::DataTooLong => "data too long",
        };
        write!(f, "S9F{} ({text})", self.function())
    }
}

/// Why a sending failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SendError {
    /// As many are under way as there may be.
    Full,
    /// It is not the application's to send: a response, a secondary, a message of the handshake or with names, one that nothing can
    /// answer; [`authenticate`](super::Endpoint::authenticate) without a secret or on the passive end.
    NotPermitted,
    /// The connection was not SELECTED until the deadline. Nothing was sent.
    NotConnected,
    /// It waited until the deadline on a connection that is SELECTED. Nothing was sent.
    NotSent(Waiting),
    /// It was sent, and the deadline came before the response, and before T3. A response that still comes is one that nobody awaits.
    NoResponse,
    /// It was sent, and not answered within T3 (E37 9.4.1).
    T3,
    /// The peer aborted it: SxF0 (E5 7.4).
    Aborted,
    /// The peer rejected it (E37 7.7).
    Rejected(RejectReason),
    /// The reply was longer than the greatest message length.
    ReplyTooLong {
        /// The reply's length field.
        length: u32,
    },
    /// The reply came, and this end had no room to keep it until it was looked at.
    ReplyDropped,
    /// The equipment told that it cannot do with this very message: S9F1, S9F3, S9F5, S9F7 or S9F11 with its header (E5 7.13).
    SystemError(Complaint),
    /// The response has this status, which is not 0.
    Status(Status),
    /// The text of the response is no service message.
    Malformed(Error),
    /// The response is about another data id.
    OtherDataId {
        /// Which.
        data_id: u32,
    },
    /// It was sent, and the link or its selection ended before the response.
    LinkLost,
    /// The handshake that it waited for failed. Nothing was sent.
    #[cfg(feature = "auth")]
    NotTrusted(TrustFailure),
    /// The connection refused it. Nothing was sent.
    Refused(crate::Error),
}

impl SendError {
    /// Who is at fault.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            SendError::NotPermitted => Fault::Caller,
            SendError::Full
            | SendError::ReplyTooLong { .. }
            | SendError::ReplyDropped
            | SendError::NotSent(Waiting::Room) => Fault::Capacity,
            SendError::NotConnected | SendError::LinkLost => Fault::Link,
            SendError::Refused(error) => error.fault(),
            _ => Fault::Peer,
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Full => f.write_str("too much is being sent"),
            SendError::NotPermitted => f.write_str("it is not the application's to send"),
            SendError::NotConnected => f.write_str("the connection was not SELECTED in time"),
            SendError::NotSent(waiting) => write!(f, "it was not sent in time: it waited for {waiting}"),
            SendError::NoResponse => f.write_str("no response before the deadline"),
            SendError::T3 => f.write_str("no response within T3"),
            SendError::Aborted => f.write_str("the peer aborted it"),
            SendError::Rejected(reason) => write!(f, "the peer rejected it: {reason:?}"),
            SendError::ReplyTooLong { length } => write!(f, "the reply is too long: length {length}"),
            SendError::ReplyDropped => f.write_str("there was no room for the reply"),
            SendError::SystemError(complaint) => write!(f, "the equipment answered with {complaint}"),
            SendError::Status(status) => write!(f, "status {status}"),
            SendError::Malformed(error) => write!(f, "the response cannot be read: {error}"),
            SendError::OtherDataId { data_id } => write!(f, "the response is about data id {data_id}"),
            SendError::LinkLost => f.write_str("the link ended before the response"),
            #[cfg(feature = "auth")]
            SendError::NotTrusted(failure) => write!(f, "no trust: {failure}"),
            SendError::Refused(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl core::error::Error for SendError {}

/// What is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum What {
    Service { service: ServiceId, data_id: u32 },
    Function,
    Authenticate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Waiting,
    /// Handed over to be sent, on this of the selections.
    Handed(u32),
    /// Sent with this header.
    Open(Header),
    Ended(Result<Done, SendError>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Sending {
    pub(super) ticket: Ticket,
    pub(super) what: What,
    pub(super) stream_function: StreamFunction,
    pub(super) reply_expected: bool,
    pub(super) deadline: Instant,
    pub(super) stage: Stage,
}

impl Sending {
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Ended(_))
    }

    pub(super) const fn fail(&mut self, error: SendError) {
        self.stage = Stage::Ended(Err(error));
    }
}

/// In the order in which they were asked for.
#[derive(Debug, Clone)]
pub(super) struct Sendings<const N: usize> {
    list: heapless::Vec<Sending, N>,
    last: u32,
}

impl<const N: usize> Sendings<N> {
    pub(super) const fn new() -> Self {
        Sendings { list: heapless::Vec::new(), last: 0 }
    }

    pub(super) fn add(
        &mut self,
        what: What,
        stream_function: StreamFunction,
        reply_expected: bool,
        deadline: Instant,
    ) -> Result<Ticket, SendError> {
        let mut number = self.last;
        loop {
            number = number.wrapping_add(1);
            // Fewer are under way than there are numbers.
            if self.get(Ticket(number)).is_none() {
                break;
            }
        }
        let ticket = Ticket(number);
        let sending = Sending { ticket, what, stream_function, reply_expected, deadline, stage: Stage::Waiting };
        self.list.push(sending).map_err(|_| SendError::Full)?;
        self.last = number;
        Ok(ticket)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Sending> {
        self.list.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Sending> {
        self.list.iter_mut()
    }

    pub(super) fn get(&mut self, ticket: Ticket) -> Option<&mut Sending> {
        self.list.iter_mut().find(|sending| sending.ticket == ticket)
    }

    /// That whose primary has these system bytes.
    pub(super) fn open(&mut self, system: SystemBytes) -> Option<&mut Sending> {
        self.list.iter_mut().find(|sending| matches!(sending.stage, Stage::Open(header) if header.system == system))
    }

    /// Takes out the first that fits.
    pub(super) fn take(&mut self, fits: impl Fn(&Sending) -> bool) -> Option<Sending> {
        let (at, taken) = self.list.iter().copied().enumerate().find(|(_, sending)| fits(sending))?;
        super::close_gap(&mut self.list, at, 1);
        Some(taken)
    }

    /// When the first of them is over.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.iter().filter(|sending| !sending.is_over()).map(|sending| sending.deadline).min()
    }

    /// The link or its selection is gone.
    pub(super) fn lost(&mut self) {
        for sending in self.iter_mut().filter(|sending| matches!(sending.stage, Stage::Open(_))) {
            sending.fail(SendError::LinkLost);
        }
    }
}

/// How a transaction that ended without reply is told to who sent it.
pub(super) const fn error_of(end: TransactionEnd) -> SendError {
    match end {
        TransactionEnd::T3 => SendError::T3,
        TransactionEnd::Rejected(reason) => SendError::Rejected(reason),
        TransactionEnd::ReplyTooLong { length } => SendError::ReplyTooLong { length },
        TransactionEnd::SessionEnded => SendError::LinkLost,
    }
}

#[cfg(test)]
mod tests;
