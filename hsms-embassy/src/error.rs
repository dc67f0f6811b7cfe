//! What a call ends with when it does not do what it was asked for.

use core::fmt;
use hsms_core::connection::{CloseReason, ReplyToken, SessionRefusal, TransactionEnd};
use hsms_core::error::Fault;
use hsms_core::wire::{Header, StreamFunction, SystemBytes};

/// A call on a [`Link`](crate::Link) that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The machine refused it and nothing was done: not selected, all transactions open, no primary, a token of an earlier
    /// connection, …
    Refused(hsms_core::Error),
    /// The connection ended before the transport had taken the whole message. A part of it may have arrived; HSMS does not tell.
    Closed {
        /// Why it ended.
        reason: CloseReason,
    },
    /// The transaction ended without a reply.
    NoReply {
        /// Its system bytes.
        system: SystemBytes,
        /// The primary.
        stream_function: StreamFunction,
        /// How it ended.
        end: TransactionEnd,
    },
    /// The peer answered with function 0.
    Aborted {
        /// The header of the answer.
        header: Header,
    },
    /// The text does not fit into the buffer that was lent. The message is passed by.
    NoRoom {
        /// The header of the message.
        header: Header,
        /// What a reply to it needs, where it is a primary whose sender waits for one.
        token: Option<ReplyToken>,
        /// Octets of its text.
        needed: u32,
    },
    /// The rest of a text that is being read will not come: its connection ended, or it was read so slowly that
    /// [`Limits::unread`](crate::Limits::unread) passed.
    Cut {
        /// The header of the message.
        header: Header,
    },
    /// More octets of a text were written than were announced, or it was ended with fewer.
    BodyLength {
        /// Octets announced.
        announced: u32,
        /// Octets that were still to be written.
        left: u32,
    },
    /// The peer did not answer the linktest within T6. The link stays, unless that ended it.
    LinktestMissed,
    /// HSMS-GS: the peer refused what was asked of the session.
    SessionRefused(SessionRefusal),
    /// Several device ids are served or sessions selected, so it has to be said which is meant: see
    /// [`request_in`](crate::Link::request_in).
    WhichSession,
    /// As many calls as the link has places for wait already: see the parameter `CALLS` of [`Link`](crate::Link).
    TooManyCalls {
        /// How many can wait.
        places: usize,
    },
    /// [`run`](crate::Link::run) is running already.
    Running,
}

impl Error {
    /// Who has to change something.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Error::Refused(error) => error.fault(),
            Error::Closed { reason } => reason.fault(),
            Error::NoReply { end, .. } => end.fault(),
            Error::Aborted { .. } | Error::LinktestMissed | Error::SessionRefused(_) => Fault::Peer,
            Error::NoRoom { .. } | Error::TooManyCalls { .. } => Fault::Capacity,
            Error::Cut { .. } => Fault::Link,
            Error::BodyLength { .. } | Error::WhichSession | Error::Running => Fault::Caller,
        }
    }
}

impl From<hsms_core::Error> for Error {
    fn from(error: hsms_core::Error) -> Self {
        Error::Refused(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Refused(error) => error.fmt(f),
            Error::Closed { reason } => write!(f, "the connection ended: {reason}"),
            Error::NoReply { system, stream_function, end } => {
                write!(f, "no reply to {stream_function}, system bytes {system}: {end}")
            }
            Error::Aborted { header } => write!(f, "the peer aborted the transaction: {header}"),
            Error::NoRoom { header, needed, .. } => write!(f, "no room for the {needed} octets of text of {header}"),
            Error::Cut { header } => write!(f, "the rest of {header} does not come"),
            Error::BodyLength { announced, left } => {
                write!(f, "a text of {announced} octets was announced, and {left} of them were to be written still")
            }
            Error::LinktestMissed => f.write_str("the linktest was not answered within T6"),
            Error::SessionRefused(refusal) => refusal.fmt(f),
            Error::WhichSession => f.write_str("there are several sessions, and none was named"),
            Error::TooManyCalls { places } => write!(f, "{places} calls wait already, and there is no place for more"),
            Error::Running => f.write_str("the link is run already"),
        }
    }
}

impl core::error::Error for Error {}
