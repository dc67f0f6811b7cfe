//! What is noticed, with names.

use super::{Endpoint, EndpointNotice};
use crate::config::ConnectMode;
use core::fmt;

/// A notice with names, to be printed: what [`EndpointNotice`] says, and behind it in brackets what the message that it is about, its
/// data id and its status are called here.
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
                [services.message_name(self.stream, &header), services.status_name(status)]
            }
            EndpointNotice::Refused { header }
            | EndpointNotice::Discarded { header }
            | EndpointNotice::Unhandled { header }
            | EndpointNotice::IllegalData { header, .. }
            | EndpointNotice::Unawaited { header }
            | EndpointNotice::SystemError { about: header, .. } => [services.message_name(self.stream, &header), None],
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
}
