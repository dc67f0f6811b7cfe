//! How an endpoint is set up.

use crate::config::ConnectMode;
use crate::services::{CommunicationSettings, DEFAULT_STREAM, NameError, UnhandledPolicy};
use crate::wire::SessionId;
use core::fmt;

/// Octets that the name of a connection may have.
pub const NAME_LEN: usize = 32;

/// The streams that E5 leaves to its users.
pub(super) const USER_STREAMS: core::ops::RangeInclusive<u8> = 64..=127;

/// How an endpoint is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EndpointSettings<'a> {
    /// The mode of the connection: the active end is the client, the passive one the server.
    pub mode: ConnectMode,
    /// The session id of the data: the device id.
    pub session: SessionId,
    /// The stream of service messages, 64 to 127; [`DEFAULT_STREAM`] unless agreed otherwise.
    pub stream: u8,
    /// Whether names are exchanged after the connection became SELECTED.
    pub exchange_names: bool,
    /// What this end calls the connection, at most [`NAME_LEN`] octets of ASCII; `None` takes the peer's name.
    pub name: Option<&'a str>,
    /// How communication is established, as GEM does it; `None`: SECS-II messages flow without.
    pub communication: Option<CommunicationSettings<'a>>,
    /// How SECS-II primaries without handler are treated.
    pub unhandled: UnhandledPolicy,
}

impl EndpointSettings<'_> {
    /// Services in [`DEFAULT_STREAM`], an exchange of names in which this end has none, no communication to be established, and SxF0 for
    /// primaries without handler.
    #[must_use]
    pub const fn new(mode: ConnectMode, session: SessionId) -> Self {
        EndpointSettings {
            mode,
            session,
            stream: DEFAULT_STREAM,
            exchange_names: true,
            name: None,
            communication: None,
            unhandled: UnhandledPolicy { system_errors: false, abort: true },
        }
    }
}

/// Why an endpoint cannot be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EndpointError {
    /// The stream is none of those that E5 leaves to its users.
    Stream {
        /// The stream.
        stream: u8,
    },
    /// The name cannot be one.
    Name(NameError),
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EndpointError::Stream { stream } => write!(f, "stream {stream}; services take one of 64 to 127"),
            EndpointError::Name(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl core::error::Error for EndpointError {}
