//! Errors of calls. Why a connection ended is [`CloseReason`](crate::connection::CloseReason); why a transaction ended is
//! [`TransactionEnd`](crate::connection::TransactionEnd).

use crate::connection::{Event, State};
use crate::wire::{BodyTooLong, SessionId, StreamFunction, SystemBytes};
use core::fmt;

/// Who has to change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Fault {
    /// The code that called.
    Caller,
    /// A limit that was set too low for the load, or a load that is too high.
    Capacity,
    /// The other end broke the protocol.
    Peer,
    /// Nobody: there is no connection or no selection at the moment.
    Link,
}

/// A call that could not be carried out. It changed nothing, the remembered time included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// Actions wait: call `poll_action` until it gives `None`, then call again.
    ActionsPending,
    /// An event that cannot happen now: no transport was asked for, or it is open already.
    UnexpectedEvent {
        /// The event.
        event: Event,
        /// The state in which it was told.
        state: State,
    },
    /// Octets were given while input is paused.
    InputPaused,
    /// A text is open: call `end_body` or `abort_body` first.
    BodyOpen,
    /// No text is open.
    NoBodyOpen,
    /// More octets were reported written than have been made.
    WrittenTooMuch {
        /// Octets reported.
        octets: u64,
        /// Octets made and not reported yet.
        outstanding: u64,
    },
    /// A primary has an odd function and a stream of 1 to 127 (E5 4.2, 7.4).
    NotPrimary {
        /// What was to be sent.
        stream_function: StreamFunction,
    },
    /// The session id is no device id of this connection.
    UnknownDevice {
        /// The session id given.
        session: SessionId,
    },
    /// The text is longer than the length field can hold.
    BodyTooLong(BodyTooLong),
    /// The reply belongs to a connection that has ended since.
    StaleToken,
    /// Only the active side selects (E37.1 7.1), and not twice; with HSMS-GS sessions are selected one by one.
    CannotSelect,
    /// A control request of ours waits for its response.
    ControlOpen {
        /// Its system bytes.
        system: SystemBytes,
    },
    /// Only equipment sends stream 9, and never about stream 9 or function 0 (E5 7.13).
    NotForStream9,
    /// No open transaction of ours has these system bytes.
    NoTransaction {
        /// The system bytes given.
        system: SystemBytes,
    },
    /// All transactions that this connection has room for are open.
    TransactionsFull {
        /// How many are open.
        open: usize,
    },
    /// HSMS-GS: the list of session entities has no such one.
    UnknownSession {
        /// The session id given.
        session: SessionId,
    },
    /// HSMS-GS: the session is selected already.
    SessionSelected {
        /// The session id given.
        session: SessionId,
    },
    /// HSMS-GS: the session is not selected.
    SessionNotSelected {
        /// The session id given.
        session: SessionId,
    },
    /// HSMS-GS: no Select.req for the session waits for an answer.
    NotAsked {
        /// The session id given.
        session: SessionId,
    },
    /// There is no connection.
    NotConnected,
    /// The connection is not SELECTED.
    NotSelected,
}

impl Error {
    /// Who has to change something.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Error::TransactionsFull { .. } => Fault::Capacity,
            Error::NotConnected
            | Error::NotSelected
            | Error::StaleToken
            | Error::SessionNotSelected { .. }
            | Error::NotAsked { .. } => Fault::Link,
            _ => Fault::Caller,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::ActionsPending => f.write_str("actions wait to be polled"),
            Error::UnexpectedEvent { event, state } => write!(f, "{event:?} cannot happen now, in {state}"),
            Error::InputPaused => f.write_str("input is paused"),
            Error::BodyOpen => f.write_str("the text of another message has not ended"),
            Error::NoBodyOpen => f.write_str("no text is open"),
            Error::WrittenTooMuch { octets, outstanding } => {
                write!(f, "{octets} octets reported written, and {outstanding} were left to write")
            }
            Error::NotPrimary { stream_function } => {
                write!(f, "{stream_function} is no primary: odd function, stream 1 to 127")
            }
            Error::UnknownDevice { session } => write!(f, "session id {session} is no device id of this connection"),
            Error::BodyTooLong(error) => error.fmt(f),
            Error::StaleToken => f.write_str("the connection that the primary came over has ended"),
            Error::CannotSelect => f.write_str("only the active side selects, once, while NOT SELECTED"),
            Error::ControlOpen { system } => write!(f, "control request {system} waits for its response"),
            Error::NotForStream9 => {
                f.write_str("stream 9 goes from equipment to host, and not about stream 9 or function 0")
            }
            Error::NoTransaction { system } => write!(f, "no open transaction has the system bytes {system}"),
            Error::TransactionsFull { open } => write!(f, "all {open} transactions are open"),
            Error::UnknownSession { session } => write!(f, "there is no session entity with the id {session}"),
            Error::SessionSelected { session } => write!(f, "session {session} is selected already"),
            Error::SessionNotSelected { session } => write!(f, "session {session} is not selected"),
            Error::NotAsked { session } => write!(f, "no Select.req for session {session} waits for an answer"),
            Error::NotConnected => f.write_str("not connected"),
            Error::NotSelected => f.write_str("not selected"),
        }
    }
}

impl core::error::Error for Error {}
