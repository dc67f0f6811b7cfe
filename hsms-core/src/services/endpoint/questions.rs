//! What an endpoint is asked.

use super::Endpoint;
use crate::connection::State;
use crate::secs2::Error;
#[cfg(feature = "auth")]
use crate::services::TrustState;
use crate::services::registry::service_of;
use crate::services::{
    ChannelName, Communication, CommunicationState, Described, ServiceInbox, ServiceMessage, Services,
};
use crate::time::Instant;
use crate::wire::Header;

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
    /// Whether there is a link, SELECTED or not.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.link != State::NotConnected
    }

    /// Whether the connection is SELECTED.
    #[must_use]
    pub fn is_selected(&self) -> bool {
        self.link == State::Selected
    }

    /// Whether the connection is trusted, or there is no secret.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.gate.is_open()
    }

    /// Whether service messages may flow: SELECTED, and trusted where a secret is set; not over a link that is to be
    /// [dropped](Self::reconnect).
    #[must_use]
    pub fn is_established(&self) -> bool {
        self.is_selected() && self.is_trusted() && !self.dropping && !self.due.drop_link
    }

    /// Whether SECS-II messages may flow: [established](Self::is_established), and communication is, where it is to be.
    #[must_use]
    pub fn is_communicating(&self) -> bool {
        self.is_established() && self.communication.as_ref().is_none_or(Communication::is_established)
    }

    /// How far the proofs are; `None` without a secret.
    #[cfg(feature = "auth")]
    #[must_use]
    pub fn trust_state(&self) -> Option<TrustState> {
        self.gate.state()
    }

    /// How far communication is established; `None` where it is not to be.
    #[must_use]
    pub fn communication_state(&self) -> Option<CommunicationState> {
        self.communication.as_ref().map(Communication::state)
    }

    /// The name of the connection that counts, as far as is known.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_ref().and_then(ChannelName::name)
    }

    /// How many messages were refused before trust; stops at `u32::MAX`.
    #[must_use]
    pub fn refused(&self) -> u32 {
        self.gate.refused()
    }

    /// How many notices and reports had no room, because actions were not taken; stops at `u32::MAX`.
    #[must_use]
    pub const fn untold(&self) -> u32 {
        self.untold
    }

    /// The services, data ids and names that are known.
    #[must_use]
    pub const fn services(&self) -> &Services<'a, ENTRIES> {
        &self.services
    }

    /// The same, to add some.
    pub const fn services_mut(&mut self) -> &mut Services<'a, ENTRIES> {
        &mut self.services
    }

    /// A message that came or went, with all names there are, for a log line: a service message by service, data id and status, any other by
    /// stream and function.
    #[must_use]
    pub fn describe(&self, header: &Header, text: &[u8]) -> Described<'a> {
        let described = self.services.describe_message(self.stream, header, text);
        described.unwrap_or_else(|| self.services.describe_header(header))
    }

    /// What this message says as one of a service; `None` where it is of none.
    ///
    /// # Errors
    /// Those of [`ServiceMessage::read`].
    #[must_use]
    pub fn message<'t>(&self, header: &Header, text: &'t [u8]) -> Option<Result<ServiceMessage<'t>, Error>> {
        service_of(self.stream, header).map(|service| ServiceMessage::read(service, text))
    }

    /// The inbox.
    #[must_use]
    pub const fn inbox(&self) -> &ServiceInbox<MESSAGES, OCTETS> {
        &self.inbox
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let communication = self.communication.as_ref().and_then(Communication::next_deadline);
        [self.sendings.next_deadline(), self.gate.next_deadline(), communication].into_iter().flatten().min()
    }
}
