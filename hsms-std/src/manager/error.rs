//! Errors of the manager.

use hsms_core::error::Fault;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use std::{fmt, io};

/// A call that could not be carried out, or the outcome of a request that was not answered.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A peer of this name exists.
    NameTaken {
        /// The name.
        name: String,
    },
    /// There is no peer of this name.
    NameUnknown {
        /// The name.
        name: String,
    },
    /// Another peer on the same port expects callers from the same place, and has a device id or session of this one, or any: nothing
    /// would tell the two apart.
    SamePlace {
        /// The name of the other.
        other: String,
    },
    /// Another peer on the same port was added with other [security](super::PeerSettings::with_security), which is the port's.
    SecurityDiffers {
        /// The name of the other.
        other: String,
    },
    /// The options name an expected peer where the settings say otherwise, or the peer is active, and nobody calls.
    ExpectedPeer {
        /// The address that the options name.
        peer: IpAddr,
    },
    /// The manager has not stopped.
    Running,
    /// An active peer needs one address at least.
    NoAddress,
    /// The port could not be listened on.
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused a thread or an event loop.
    System {
        /// What the system said.
        source: io::Error,
    },
    /// The peer takes less than it is sent: so many octets wait for it, and the new ones would exceed what may wait.
    OutputFull {
        /// Octets that wait.
        waiting: usize,
    },
    /// The peer has been removed.
    Removed,
    /// The manager has stopped.
    Stopped,
    /// There was no outcome within the limit of the wait. The request goes on.
    Late {
        /// The limit that was given.
        limit: Duration,
    },
    /// Some handlers had not returned within the limit that `stop` was given. Everything else has ended.
    HandlersBusy {
        /// How many.
        handlers: usize,
    },
    /// What a [`Connection`](crate::Connection) would say as well: refused by the machine, no reply, closed, and so on.
    Connection(crate::Error),
    /// The settings of its services do not suit the peer.
    #[cfg(feature = "services")]
    Services(crate::services::Error),
}

impl Error {
    /// Who has to change something.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Error::NameTaken { .. }
            | Error::NameUnknown { .. }
            | Error::SamePlace { .. }
            | Error::SecurityDiffers { .. }
            | Error::ExpectedPeer { .. }
            | Error::Running
            | Error::NoAddress
            | Error::Removed
            | Error::Stopped
            | Error::HandlersBusy { .. } => Fault::Caller,
            Error::Listen { .. } | Error::System { .. } => Fault::Capacity,
            Error::OutputFull { .. } | Error::Late { .. } => Fault::Peer,
            Error::Connection(error) => error.fault(),
            #[cfg(feature = "services")]
            Error::Services(error) => error.fault(),
        }
    }
}

impl From<crate::Error> for Error {
    fn from(error: crate::Error) -> Self {
        Error::Connection(error)
    }
}

impl From<hsms_core::Error> for Error {
    fn from(error: hsms_core::Error) -> Self {
        Error::Connection(error.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NameTaken { name } => write!(f, "there is a peer {name:?} already"),
            Error::NameUnknown { name } => write!(f, "there is no peer {name:?}"),
            Error::SecurityDiffers { other } => write!(f, "peer {other:?} has given this port other security settings"),
            Error::SamePlace { other } => {
                write!(f, "peer {other:?} expects callers on this port from the same place with the same ids")
            }
            Error::ExpectedPeer { peer } => {
                write!(f, "the options expect {peer}, and the settings of the peer say otherwise")
            }
            Error::Running => f.write_str("the manager has not stopped"),
            Error::NoAddress => f.write_str("an active peer needs an address"),
            Error::Listen { address, .. } => write!(f, "cannot listen on {address}"),
            Error::System { .. } => f.write_str("the system refused its service"),
            Error::OutputFull { waiting } => write!(f, "{waiting} octets wait for the peer to take them"),
            Error::Removed => f.write_str("the peer has been removed"),
            Error::Stopped => f.write_str("the manager has stopped"),
            Error::Late { limit } => write!(f, "no outcome within {limit:?}"),
            Error::HandlersBusy { handlers } => write!(f, "{handlers} handlers have not returned"),
            Error::Connection(error) => error.fmt(f),
            #[cfg(feature = "services")]
            Error::Services(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Listen { source, .. } | Error::System { source } => Some(source),
            Error::Connection(error) => Some(error),
            #[cfg(feature = "services")]
            Error::Services(error) => Some(error),
            _ => None,
        }
    }
}
