//! Errors of the adapter.

use hsms_core::config::ConnectMode;
use hsms_core::connection::{CloseReason, SessionRefusal, State, TransactionEnd};
use hsms_core::error::Fault;
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};
use std::net::SocketAddr;
use std::time::Duration;
use std::{fmt, io};

/// A call that could not be carried out.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The machine refused the call; nothing has changed.
    Refused(hsms_core::Error),
    /// The connection serves several device ids or sessions, or any: say which, with the variant of the call that takes one.
    WhichDevice,
    /// The address could not be resolved.
    Address {
        /// What the system said.
        source: io::Error,
    },
    /// The port could not be listened on.
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused a service that is needed whatever the peer does: too many open files when a connection is made, for
    /// example. Later a lack of them is no error but [`Incoming::ConnectFailed`](crate::Incoming::ConnectFailed) or
    /// [`Incoming::CallersWait`](crate::Incoming::CallersWait); calls that wait give this error only where the system's event
    /// loop does not work, which does not pass: give the connection up then.
    System {
        /// What the system said.
        source: io::Error,
    },
    /// The settings of [`Security`](crate::Security) require TLS of the other role alone, so that this one would go without.
    TlsForOtherRole {
        /// The role that was left out.
        mode: ConnectMode,
    },
    /// The connection is disabled, and nothing is left to be told: nothing could ever come.
    Disabled,
    /// The connection was not SELECTED within the limit.
    NotSelected {
        /// The limit that was given.
        limit: Duration,
        /// How far it came.
        state: State,
        /// Why the last connection ended, where there was one within the limit.
        closed: Option<CloseReason>,
        /// What the system said about the last attempt that failed.
        source: Option<io::Error>,
    },
    /// The connection ended before the call did.
    Closed {
        /// Why.
        reason: CloseReason,
        /// What the system said where reading or writing failed.
        source: Option<io::Error>,
    },
    /// The request's transaction ended without a reply.
    NoReply {
        /// Its system bytes.
        system: SystemBytes,
        /// Stream and function of the primary.
        stream_function: StreamFunction,
        /// How it ended.
        end: TransactionEnd,
    },
    /// The peer aborted the request's transaction: SxF0 (E5 7.4).
    Aborted {
        /// The header of the abort.
        header: Header,
    },
    /// HSMS-GS: the peer refused to have the session selected or deselected; it stays as it is.
    SessionRefused {
        /// The session's id.
        session: SessionId,
        /// What was refused, and how.
        refusal: SessionRefusal,
    },
    /// The linktest was not answered within T6. The connection stays until the threshold is reached.
    LinktestMissed {
        /// How many in a row were not answered.
        missed: u8,
    },
    /// The peer took not a single octet within the write limit. The connection has been closed.
    WriteStalled {
        /// The write limit.
        limit: Duration,
        /// Octets that were left to write.
        left: u64,
    },
    /// Replies to posted primaries wait in the inbox, as many as there may be: call `next` first.
    InboxFull {
        /// How many wait.
        waiting: usize,
    },
}

impl Error {
    /// Who has to change something.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Error::Refused(error) => error.fault(),
            Error::WhichDevice | Error::Address { .. } | Error::TlsForOtherRole { .. } | Error::Disabled => {
                Fault::Caller
            }
            Error::Listen { .. } | Error::System { .. } | Error::InboxFull { .. } => Fault::Capacity,
            Error::NotSelected { closed: Some(reason), .. } | Error::Closed { reason, .. } => reason.fault(),
            Error::NoReply { end, .. } => end.fault(),
            Error::NotSelected { .. } => Fault::Link,
            Error::Aborted { .. }
            | Error::LinktestMissed { .. }
            | Error::SessionRefused { .. }
            | Error::WriteStalled { .. } => Fault::Peer,
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
            Error::WhichDevice => {
                f.write_str("the connection does not serve exactly one device id or session: name one")
            }
            Error::Address { .. } => f.write_str("the address cannot be resolved"),
            Error::Listen { address, .. } => write!(f, "cannot listen on {address}"),
            Error::System { .. } => f.write_str("the system refused its service"),
            Error::TlsForOtherRole { mode } => write!(f, "TLS is set, but not for the {mode:?} role"),
            Error::Disabled => f.write_str("the connection is disabled"),
            Error::NotSelected { limit, state, closed, .. } => {
                write!(f, "{state} after {limit:?} instead of SELECTED")?;
                match closed {
                    Some(reason) => write!(f, "; the last connection ended: {reason}"),
                    None => Ok(()),
                }
            }
            Error::Closed { reason, .. } => write!(f, "the connection ended: {reason}"),
            Error::NoReply { system, stream_function, end } => {
                write!(f, "no reply to {stream_function} with system bytes {system}: {end:?}")
            }
            Error::Aborted { header } => {
                write!(f, "the peer aborted the transaction {} with {}", header.system, header.stream_function())
            }
            Error::SessionRefused { session, refusal } => write!(f, "session {session}: {refusal}"),
            Error::LinktestMissed { missed } => write!(f, "{missed} linktests in a row were not answered within T6"),
            Error::WriteStalled { limit, left } => {
                write!(f, "the peer took none of the {left} octets left to write within {limit:?}")
            }
            Error::InboxFull { waiting } => write!(f, "{waiting} replies to posted primaries wait to be taken"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Refused(error) => Some(error),
            Error::Address { source } | Error::Listen { source, .. } | Error::System { source } => Some(source),
            Error::NotSelected { source, .. } | Error::Closed { source, .. } => {
                source.as_ref().map(|source| source as &(dyn std::error::Error + 'static))
            }
            _ => None,
        }
    }
}
