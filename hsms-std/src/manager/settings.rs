//! Settings of the manager and of each peer.

use super::delegate::Delegate;
use crate::Options;
use crate::security::Security;
use hsms_core::config::{Config, ConnectMode};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Settings of a manager as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManagerSettings {
    max_handlers: usize,
}

impl ManagerSettings {
    /// The defaults: 64 handlers.
    #[must_use]
    pub const fn new() -> Self {
        ManagerSettings { max_handlers: 64 }
    }

    /// How many delegates can be called at the same time.
    #[must_use]
    pub const fn max_handlers(&self) -> usize {
        self.max_handlers
    }

    /// Sets how many delegates can be called at the same time, 1 at least: so many threads are started when needed, and end when idle.
    #[must_use]
    pub const fn with_max_handlers(mut self, handlers: usize) -> Self {
        self.max_handlers = if handlers == 0 { 1 } else { handlers };
        self
    }
}

impl Default for ManagerSettings {
    fn default() -> Self {
        ManagerSettings::new()
    }
}

/// From where a passive peer calls. Where several peers share a port, a caller is the peer's that expects it most exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Expected {
    /// From anywhere.
    Anyone,
    /// From this address, whatever the port.
    Address(IpAddr),
    /// From this address and port.
    AddressAndPort(SocketAddr),
}

impl Expected {
    pub(super) fn fits(self, caller: SocketAddr) -> bool {
        match self {
            Expected::Anyone => true,
            Expected::Address(address) => address.to_canonical() == caller.ip().to_canonical(),
            Expected::AddressAndPort(address) => {
                address.port() == caller.port() && address.ip().to_canonical() == caller.ip().to_canonical()
            }
        }
    }

    pub(super) fn is_same(self, other: Expected) -> bool {
        match (self, other) {
            (Expected::Address(one), Expected::Address(other)) => one.to_canonical() == other.to_canonical(),
            (Expected::AddressAndPort(one), Expected::AddressAndPort(other)) => {
                one.port() == other.port() && one.ip().to_canonical() == other.ip().to_canonical()
            }
            (one, other) => one == other,
        }
    }
}

/// Where a peer is found.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Active(Vec<SocketAddr>),
    Passive(SocketAddr, Expected),
}

/// Settings of one peer.
#[derive(Clone)]
pub struct PeerSettings {
    place: Place,
    config: Config,
    options: Options,
    delegate: Option<Arc<dyn Delegate>>,
    output: usize,
    farewell: Duration,
    security: Security,
}

impl PeerSettings {
    /// A peer that is dialled. The addresses are tried in turn, each with its share of the connect limit; when all have failed, T5
    /// runs.
    #[must_use]
    pub fn active(addresses: impl Into<Vec<SocketAddr>>, config: Config) -> Self {
        PeerSettings::at(Place::Active(addresses.into()), config.with_mode(ConnectMode::Active))
    }

    /// A peer that calls at `listen`. Port 0 takes a free one: [`Peer::local_addr`](super::Peer::local_addr) tells which. Peers on the same
    /// address and port share one listener, which is closed with the last of them.
    #[must_use]
    pub fn passive(listen: SocketAddr, expected: Expected, config: Config) -> Self {
        PeerSettings::at(Place::Passive(listen, expected), config.with_mode(ConnectMode::Passive))
    }

    fn at(place: Place, config: Config) -> Self {
        PeerSettings {
            place,
            config,
            options: Options::new(),
            delegate: None,
            output: 16 << 20,
            farewell: Duration::from_secs(1),
            security: Security::new(),
        }
    }

    /// Sets the options. Of these the manager heeds keepalive, no-delay, connect limit, write limit and inbox.
    #[must_use]
    pub fn with_options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Sets who is told what happens; without one the [events of the manager](super::Manager::next) tell it.
    #[must_use]
    pub fn with_delegate(mut self, delegate: Arc<dyn Delegate>) -> Self {
        self.delegate = Some(delegate);
        self
    }

    /// Sets how many octets may wait for the peer to take them; default 16 MiB. One message may wait however long it is.
    #[must_use]
    pub fn with_output(mut self, octets: usize) -> Self {
        self.output = octets;
        self
    }

    /// Sets how long a connection that is to be closed waits for the delegate to return from
    /// [`before_closed`](Delegate::before_closed); default 1 s.
    #[must_use]
    pub fn with_farewell(mut self, limit: Duration) -> Self {
        self.farewell = limit;
        self
    }

    /// Sets the allow list, caps and TLS. Those of a passive peer are its port's: all peers on one port have to be given the same.
    #[must_use]
    pub fn with_security(mut self, security: Security) -> Self {
        self.security = security;
        self
    }

    pub(super) const fn security(&self) -> &Security {
        &self.security
    }

    pub(super) const fn place(&self) -> &Place {
        &self.place
    }

    pub(super) const fn config(&self) -> &Config {
        &self.config
    }

    pub(super) const fn options(&self) -> &Options {
        &self.options
    }

    pub(super) const fn delegate(&self) -> Option<&Arc<dyn Delegate>> {
        self.delegate.as_ref()
    }

    pub(super) const fn output(&self) -> usize {
        self.output
    }

    pub(super) const fn farewell(&self) -> Duration {
        self.farewell
    }
}

impl fmt::Debug for PeerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerSettings")
            .field("place", &self.place)
            .field("config", &self.config)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
