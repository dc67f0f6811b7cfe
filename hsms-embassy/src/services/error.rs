//! What a call of the services ends with when it does not do what it was asked for.

use core::fmt;
use hsms_core::error::Fault;
use hsms_core::services::SendError;

/// A call of an [`Endpoint`](super::Endpoint) that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The one outcome of a sending.
    Sending(SendError),
    /// What was given as data is not one encoded item. Nothing was sent.
    NotOneItem,
    /// What the link says: no place for the call, no room for a text in the buffer that was lent, the rest of a text that does not come, an
    /// answer that the connection did not take.
    Link(crate::Error),
}

impl Error {
    /// Who has to change something.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Error::Sending(error) => error.fault(),
            Error::NotOneItem => Fault::Caller,
            Error::Link(error) => error.fault(),
        }
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        Error::Sending(error)
    }
}

impl From<crate::Error> for Error {
    fn from(error: crate::Error) -> Self {
        Error::Link(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Sending(error) => error.fmt(f),
            Error::NotOneItem => f.write_str("the data are not one encoded item"),
            Error::Link(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Error {}
