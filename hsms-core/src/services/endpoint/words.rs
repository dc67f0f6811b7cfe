//! What is noticed, and why sendings fail, with names.

use super::{Endpoint, EndpointNotice, SendError};
use crate::config::ConnectMode;
use crate::services::NameError;
#[cfg(feature = "auth")]
use crate::services::TrustFailure;
use core::fmt;

/// A notice with names, to be printed: what [`EndpointNotice`] says, and behind it in brackets what the message that it is about, its
/// data id and its status are called here. The status is named with its number where it has no other name here.
///
/// Made by [`Endpoint::describe_notice`].
#[derive(Debug, Clone, Copy)]
pub struct DescribedNotice<'n> {
    notice: EndpointNotice,
    names: [Option<&'n str>; 2],
    warns: bool,
}

impl DescribedNotice<'_> {
    /// Whether something is not as it should be. Two different names are worth a warning on the passive end, whose own does not count.
    #[must_use]
    pub const fn is_warning(&self) -> bool {
        self.warns
    }
}

impl fmt::Display for DescribedNotice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.notice, f)?;
        self.names.iter().flatten().try_for_each(|name| write!(f, " ({name})"))
    }
}

/// Without what formats: a log on a microcontroller has no room for it.
#[cfg(feature = "defmt")]
impl defmt::Format for DescribedNotice<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", self.notice);
        for name in self.names.iter().flatten() {
            defmt::write!(f, " ({=str})", name);
        }
    }
}

/// Why a sending failed, to be printed: what [`SendError`] says, and behind it in brackets what its status is called here, where that is
/// not what everybody calls it.
///
/// Made by [`Endpoint::describe_error`].
#[derive(Debug, Clone, Copy)]
pub struct DescribedError<'n> {
    error: SendError,
    name: Option<&'n str>,
}

impl fmt::Display for DescribedError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)?;
        self.name.map_or(Ok(()), |name| write!(f, " ({name})"))
    }
}

/// Without what formats: a log on a microcontroller has no room for it.
#[cfg(feature = "defmt")]
impl defmt::Format for DescribedError<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", self.error);
        if let Some(name) = self.name {
            defmt::write!(f, " ({=str})", name);
        }
    }
}

impl<
    'a,
    H,
    const SENDINGS: usize,
    const HANDLERS: usize,
    const ENTRIES: usize,
    const MESSAGES: usize,
    const OCTETS: usize,
> Endpoint<'a, H, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>
{
    /// A notice with all names there are, for a log line.
    #[must_use]
    pub fn describe_notice(&self, notice: EndpointNotice) -> DescribedNotice<'a> {
        let services = &self.services;
        let names = match notice {
            EndpointNotice::Kept { service, data_id } => {
                [services.service_name(service), services.data_name_of_pair(service, data_id)]
            }
            EndpointNotice::NotKept { header, status } => {
                [services.message_name(self.stream, &header), services.given_status_name(status)]
            }
            EndpointNotice::Refused { header }
            | EndpointNotice::Discarded { header }
            | EndpointNotice::Unhandled { header }
            | EndpointNotice::IllegalData { header, .. }
            | EndpointNotice::Unawaited { header }
            | EndpointNotice::SystemError { about: header, .. } => [services.message_name(self.stream, &header), None],
            EndpointNotice::NameFailed(NameError::Refused(status)) => [services.given_status_name(status), None],
            #[cfg(feature = "auth")]
            EndpointNotice::TrustFailed(TrustFailure::Refused(status)) => [services.given_status_name(status), None],
            _ => [None; 2],
        };
        let warns = match notice {
            EndpointNotice::Named { differ } => differ && self.mode == ConnectMode::Passive,
            EndpointNotice::Communicating | EndpointNotice::Kept { .. } => false,
            #[cfg(feature = "auth")]
            EndpointNotice::Trusted => false,
            _ => true,
        };
        DescribedNotice { notice, names, warns }
    }

    /// Why a sending failed, with what its status is called, for a log line or a user.
    ///
    /// ```
    /// use hsms_core::config::ConnectMode;
    /// use hsms_core::services::{Endpoint, EndpointSettings, SendError, Status};
    /// use hsms_core::wire::SessionId;
    ///
    /// let mut host = Endpoint::<u8>::new(EndpointSettings::new(ConnectMode::Active, SessionId(0)))?;
    /// host.services_mut().add_status(Status(9), "sensor broken")?;
    /// assert_eq!(host.describe_error(SendError::Status(Status(9))).to_string(), "status 9 (sensor broken)");
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    #[must_use]
    pub fn describe_error(&self, error: SendError) -> DescribedError<'a> {
        let status = match error {
            SendError::Status(status) => Some(status),
            #[cfg(feature = "auth")]
            SendError::NotTrusted(TrustFailure::Refused(status)) => Some(status),
            _ => None,
        };
        DescribedError { error, name: status.and_then(|status| self.services.given_status_name(status)) }
    }
}
