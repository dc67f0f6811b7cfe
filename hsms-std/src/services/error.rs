//! Why a call of an endpoint failed.

use hsms_core::error::Fault;
use hsms_core::secs2::serde::SerdeError;
use hsms_core::services::{EndpointError, RegisterError, SendError, Status};
use std::fmt;

/// A call that could not be carried out, or how a sending ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The one outcome of a sending that was not answered, or answered with another status than 0.
    Sending(SendError),
    /// The peer answered with this status, which is not 0.
    Status {
        /// The status.
        status: Status,
        /// What it is called: here, or else by its number.
        name: Option<&'static str>,
        /// The data of the response, one encoded item.
        data: Option<Vec<u8>>,
    },
    /// The value has no item, or the item is no such value.
    Value(SerdeError),
    /// What was given as data is not one encoded item.
    NotOneItem,
    /// A service, a data id or a name cannot be added.
    Register(RegisterError),
    /// There are as many handlers as there may be.
    TooManyHandlers,
    /// The settings cannot be those of an endpoint.
    Settings(EndpointError),
    /// The peer of the manager has sessions of HSMS-GS: services stand on HSMS-SS.
    SeveralSessions,
    /// What the connection itself would say.
    Connection(crate::Error),
    /// The peer of the manager has been removed, or the manager has stopped.
    Gone,
}

impl Error {
    /// Who has to change something.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Error::Sending(error) => error.fault(),
            Error::Status { .. } => Fault::Peer,
            Error::Connection(error) => error.fault(),
            Error::TooManyHandlers => Fault::Capacity,
            Error::Value(_)
            | Error::NotOneItem
            | Error::Register(_)
            | Error::Settings(_)
            | Error::SeveralSessions
            | Error::Gone => Fault::Caller,
        }
    }

    /// How the sending ended, where this is its outcome.
    #[must_use]
    pub const fn outcome(&self) -> Option<SendError> {
        match self {
            Error::Sending(error) => Some(*error),
            Error::Status { status, .. } => Some(SendError::Status(*status)),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Sending(error) => error.fmt(f),
            Error::Status { status, name, .. } => {
                write!(f, "status {}", status.0)?;
                name.map_or(Ok(()), |name| write!(f, " ({name})"))
            }
            Error::Value(error) => error.fmt(f),
            Error::NotOneItem => f.write_str("the data are not one encoded item"),
            Error::Register(error) => error.fmt(f),
            Error::TooManyHandlers => f.write_str("no room for one more handler"),
            Error::Settings(error) => error.fmt(f),
            Error::SeveralSessions => f.write_str("services stand on HSMS-SS, and the peer has sessions of HSMS-GS"),
            Error::Connection(error) => error.fmt(f),
            Error::Gone => f.write_str("the peer has been removed, or the manager has stopped"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Sending(error) => Some(error),
            Error::Value(error) => Some(error),
            Error::Register(error) => Some(error),
            Error::Settings(error) => Some(error),
            Error::Connection(error) => Some(error),
            Error::Status { .. }
            | Error::NotOneItem
            | Error::TooManyHandlers
            | Error::SeveralSessions
            | Error::Gone => None,
        }
    }
}

macro_rules! from {
    ($($of:ty => $variant:ident),*) => {$(
        impl From<$of> for Error {
            fn from(error: $of) -> Self {
                Error::$variant(error)
            }
        }
    )*};
}

from! { SerdeError => Value, RegisterError => Register, EndpointError => Settings, crate::Error => Connection, SendError => Sending }

impl From<hsms_core::services::TableFull<super::handler::Handler>> for Error {
    fn from(_: hsms_core::services::TableFull<super::handler::Handler>) -> Self {
        Error::TooManyHandlers
    }
}
