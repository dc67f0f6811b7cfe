//! What a call of the services ends with when it does not do what it was asked for.

use core::fmt;
use hsms_core::error::Fault;
use hsms_core::services::SendError;
#[cfg(doc)]
use hsms_core::services::Services;

/// A call of an [`Endpoint`](super::Endpoint) that failed.
///
/// It has no reference to the names that an end gave, so a status that only this application knows is printed by its number:
/// [`Endpoint::describe_error`](super::Endpoint::describe_error) prints its [name](Services::add_status) as well.
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

/// An [`Error`] with names, to be printed: with what its status is called, where that was named here.
///
/// Made by [`Endpoint::describe_error`](super::Endpoint::describe_error).
#[derive(Debug, Clone, Copy)]
pub struct DescribedError<'n>(pub(super) What<'n>);

#[derive(Debug, Clone, Copy)]
pub(super) enum What<'n> {
    Sending(hsms_core::services::DescribedError<'n>),
    Other(Error),
}

impl fmt::Display for DescribedError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            What::Sending(error) => error.fmt(f),
            What::Other(error) => error.fmt(f),
        }
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for DescribedError<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        match &self.0 {
            What::Sending(error) => defmt::write!(f, "{}", error),
            What::Other(error) => defmt::write!(f, "{}", error),
        }
    }
}
