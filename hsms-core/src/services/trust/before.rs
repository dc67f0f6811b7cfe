//! What may be said before trust.

use super::Trust;
use crate::services::{FunctionTable, ServiceId, ServiceTable, TableFull};
use crate::wire::StreamFunction;

/// Messages that may flow before trust, at most `N` services and `N` functions; the handshake and channel names always may.
#[derive(Debug, Clone)]
pub struct BeforeTrust<const N: usize> {
    services: ServiceTable<(), N>,
    functions: FunctionTable<(), N>,
    refused: u32,
}

impl<const N: usize> BeforeTrust<N> {
    /// Nothing but the handshake and channel names.
    #[must_use]
    pub const fn new() -> Self {
        BeforeTrust { services: ServiceTable::new(), functions: FunctionTable::new(), refused: 0 }
    }

    /// Allows service messages; `None` is any.
    ///
    /// # Errors
    /// [`TableFull`].
    pub fn allow_service(&mut self, service: Option<ServiceId>, data_id: Option<u32>) -> Result<(), TableFull<()>> {
        self.services.insert(service, data_id, ()).map(|_| ())
    }

    /// Allows SECS-II primaries; `None` is any. Replies to primaries of ours need not be allowed.
    ///
    /// Where communication is to be established as well, these too flow only when it is. For that allow the peer's S1F13, and S1F1, which it
    /// may ask first; our own S1F13 goes out by itself when there is trust, not before.
    ///
    /// # Errors
    /// [`TableFull`].
    pub fn allow_function(&mut self, stream: Option<u8>, function: Option<u8>) -> Result<(), TableFull<()>> {
        self.functions.insert(stream, function, ()).map(|_| ())
    }

    /// Whether a service message that came may be looked at. If not, it is counted, a request is answered with
    /// [`Status::AUTHENTICATION_REQUIRED`](crate::services::Status::AUTHENTICATION_REQUIRED), and no handler and no inbox sees it. Responses
    /// to open requests of ours need not be asked about.
    #[must_use]
    pub fn admits_service(&mut self, trust: &Trust, service: ServiceId, data_id: u32) -> bool {
        let admitted = self.allows_service(trust, service, data_id);
        self.count(admitted)
    }

    /// The same for a SECS-II primary, which is aborted with SxF0 where a reply is expected.
    #[must_use]
    pub fn admits_function(&mut self, trust: &Trust, what: StreamFunction) -> bool {
        let admitted = self.allows_function(trust, what);
        self.count(admitted)
    }

    /// The same of a message that is to be sent, which is not counted.
    pub(in crate::services) fn allows_service(&self, trust: &Trust, service: ServiceId, data_id: u32) -> bool {
        let request = service.request();
        let always = request == ServiceId::AUTHENTICATION || request == ServiceId::CHANNEL_NAME;
        always || trust.is_trusted() || self.services.find(service, data_id).is_some()
    }

    /// The same of a SECS-II primary.
    pub(in crate::services) fn allows_function(&self, trust: &Trust, what: StreamFunction) -> bool {
        trust.is_trusted() || self.functions.find(what.stream, what.function).is_some()
    }

    /// A service message that cannot be read is not admitted before trust, whatever it may have been.
    pub(in crate::services) fn admits_unreadable(&mut self, trust: &Trust) -> bool {
        self.count(trust.is_trusted())
    }

    /// How many messages were not admitted; stops at `u32::MAX`.
    #[must_use]
    pub const fn refused(&self) -> u32 {
        self.refused
    }

    fn count(&mut self, admitted: bool) -> bool {
        if !admitted {
            self.refused = self.refused.saturating_add(1);
        }
        admitted
    }
}

impl<const N: usize> Default for BeforeTrust<N> {
    fn default() -> Self {
        BeforeTrust::new()
    }
}
