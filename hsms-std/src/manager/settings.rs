//! Settings of the manager and of each peer.

use super::Error;
use super::delegate::Delegate;
use super::identify::Identify;
use super::machine::{self, MOST_TRANSACTIONS, Machine, Maker};
use crate::Options;
use crate::security::Security;
use crate::tap::Tap;
use hsms_core::config::{Config, ConnectMode};
use hsms_core::connection::General;
use hsms_core::wire::SessionId;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Settings of a manager as a whole.
#[derive(Clone)]
pub struct ManagerSettings {
    max_handlers: usize,
    identify: Option<Arc<dyn Identify>>,
    identify_within: Duration,
    max_unidentified: usize,
    tap: Option<Arc<dyn Tap>>,
}

impl ManagerSettings {
    /// The defaults: 64 handlers; 256 callers at a time that are not identified, each for 10 s before their candidates are probed, and
    /// closed where none answers within another 10 s.
    #[must_use]
    pub const fn new() -> Self {
        ManagerSettings {
            max_handlers: 64,
            identify: None,
            identify_within: Duration::from_secs(10),
            max_unidentified: 256,
            tap: None,
        }
    }

    /// How many delegates can be called at the same time.
    #[must_use]
    pub const fn max_handlers(&self) -> usize {
        self.max_handlers
    }

    /// Sets how many delegates can be called at the same time, 1 at least: so many threads are started when needed, and end when idle.
    #[must_use]
    pub fn with_max_handlers(mut self, handlers: usize) -> Self {
        self.max_handlers = handlers.max(1);
        self
    }

    /// Sets who decides whose a caller is where nothing has told that within [`with_identify_within`](Self::with_identify_within). Without,
    /// it is [`Probe`](super::Decision::Probe) once, and then [`Close`](super::Decision::Close).
    #[must_use]
    pub fn with_identify(mut self, identify: Arc<dyn Identify>) -> Self {
        self.identify = Some(identify);
        self
    }

    /// How long a caller that has been selected may stay unidentified before it is decided what becomes of it.
    #[must_use]
    pub const fn identify_within(&self) -> Duration {
        self.identify_within
    }

    /// Sets how long a caller that has been selected may stay unidentified before it is decided what becomes of it; and how long
    /// its candidates have to answer a probe: 10 s if not set. Below 10 ms, a probe has the T3 of the first candidate.
    #[must_use]
    pub fn with_identify_within(mut self, limit: Duration) -> Self {
        self.identify_within = limit;
        self
    }

    /// How many callers can be unidentified at the same time.
    #[must_use]
    pub const fn max_unidentified(&self) -> usize {
        self.max_unidentified
    }

    /// Sets how many callers can be unidentified at the same time; others are hung up on. 256 if not set; with 0 every caller
    /// that its address does not identify is.
    #[must_use]
    pub fn with_max_unidentified(mut self, callers: usize) -> Self {
        self.max_unidentified = callers;
        self
    }

    /// Sets a [tap](crate::tap) for all peers that have [none of their own](PeerSettings::with_tap), and for callers that are no
    /// peer's, or not yet.
    #[must_use]
    pub fn with_tap(mut self, tap: Arc<dyn Tap>) -> Self {
        self.tap = Some(tap);
        self
    }

    pub(super) const fn tap(&self) -> Option<&Arc<dyn Tap>> {
        self.tap.as_ref()
    }

    pub(super) const fn identify(&self) -> Option<&Arc<dyn Identify>> {
        self.identify.as_ref()
    }
}

impl Default for ManagerSettings {
    fn default() -> Self {
        ManagerSettings::new()
    }
}

impl fmt::Debug for ManagerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagerSettings")
            .field("max_handlers", &self.max_handlers)
            .field("identify_within", &self.identify_within)
            .field("max_unidentified", &self.max_unidentified)
            .finish_non_exhaustive()
    }
}

/// From where a passive peer calls. Where several peers share a port, a caller is the peer's that expects it most exactly; where several
/// expect it alike, what it says tells them apart: see the [module](super).
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
    /// The same for addresses of IPv4 as such and inside those of IPv6.
    pub(super) fn canonical(self) -> Self {
        match self {
            Expected::Anyone => Expected::Anyone,
            Expected::Address(address) => Expected::Address(address.to_canonical()),
            Expected::AddressAndPort(address) => {
                Expected::AddressAndPort(SocketAddr::new(address.ip().to_canonical(), address.port()))
            }
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
    transactions: usize,
    farewell: Duration,
    security: Security,
    sessions: Option<Arc<dyn Maker>>,
    tap: Option<Arc<dyn Tap>>,
    #[cfg(feature = "services")]
    services: Option<Box<crate::services::Settings>>,
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
        PeerSettings::at(Place::Passive(listen, expected.canonical()), config.with_mode(ConnectMode::Passive))
    }

    fn at(place: Place, config: Config) -> Self {
        PeerSettings {
            place,
            config,
            options: Options::new(),
            delegate: None,
            output: 16 << 20,
            transactions: 64,
            farewell: Duration::from_secs(1),
            security: Security::new(),
            sessions: None,
            tap: None,
            #[cfg(feature = "services")]
            services: None,
        }
    }

    /// Makes it a peer of HSMS-GS (E37.2) with these session entities: see [`Peer::select_session`](super::Peer::select_session). The
    /// device ids of the settings of the protocol mean nothing then, unless the list is [`or_single`](General::or_single).
    #[must_use]
    pub fn with_sessions<const N: usize>(mut self, sessions: General<N>) -> Self {
        self.sessions = Some(Arc::new(sessions));
        self
    }

    /// Sets the options. The manager has no use for [`with_spin`](Options::with_spin). An expected peer is the same as
    /// [`Expected::Address`]; where that contradicts what the peer was made with, adding it is [`Error::ExpectedPeer`](super::Error::ExpectedPeer).
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

    /// Sets how many requests can wait for their reply at the same time; default 64, at least 1 and at most 4,096. Those beyond fail at
    /// once. What is not open takes no room.
    #[must_use]
    pub fn with_transactions(mut self, transactions: usize) -> Self {
        self.transactions = transactions.clamp(1, MOST_TRANSACTIONS);
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

    /// Sets a [tap](crate::tap) for this peer, in place of [the manager's](ManagerSettings::with_tap). Of a caller that is identified by what it
    /// says, it sees what came before that when it is known.
    #[must_use]
    pub fn with_tap(mut self, tap: Arc<dyn Tap>) -> Self {
        self.tap = Some(tap);
        self
    }

    /// Has it speak services: see [`Peer::services`](super::Peer::services), which takes the handlers. Its primaries go to these then, and neither to a
    /// delegate nor to [`Manager::next`](super::Manager::next), which tells nothing of a peer with services.
    ///
    /// It has to have exactly one device id, and no [sessions](Self::with_sessions): adding it is
    /// [`Error::Services`](super::Error::Services) otherwise. What it sends by its services is within the bound of
    /// [`with_output`](Self::with_output) as well, and waits for room until its deadline.
    #[cfg(feature = "services")]
    #[must_use]
    pub fn with_services(mut self, settings: crate::services::Settings) -> Self {
        self.services = Some(Box::new(settings));
        self
    }

    /// Takes what is set of its services, a secret perhaps, and makes what keeps them.
    #[cfg(feature = "services")]
    pub(super) fn take_services(&mut self, name: &Arc<str>) -> Result<Option<Box<super::served::Served>>, Error> {
        let Some(settings) = self.services.take() else { return Ok(None) };
        if self.sessions.is_some() {
            return Err(Error::Services(crate::services::Error::SeveralSessions));
        }
        let served = super::served::Served::new(*settings, &self.config, name);
        // Boxed: a peer without services takes no room for them.
        served.map(|served| Some(Box::new(served))).map_err(Error::Services)
    }

    /// Where it has no tap of its own, it is the manager's.
    pub(super) fn inherit(&mut self, settings: &ManagerSettings) {
        if self.tap.is_none() {
            self.tap = settings.tap().cloned();
        }
    }

    pub(super) const fn tap(&self) -> Option<&Arc<dyn Tap>> {
        self.tap.as_ref()
    }

    pub(super) const fn security(&self) -> &Security {
        &self.security
    }

    /// Where the peer is found, with what the options say about it.
    pub(super) fn settle_place(&mut self) -> Result<(), Error> {
        let Some(peer) = self.options.expected_peer().map(|peer| peer.to_canonical()) else { return Ok(()) };
        match &mut self.place {
            Place::Passive(_, expected @ Expected::Anyone) => *expected = Expected::Address(peer),
            Place::Passive(_, Expected::Address(address)) if *address == peer => {}
            Place::Passive(_, Expected::AddressAndPort(address)) if address.ip() == peer => {}
            _ => return Err(Error::ExpectedPeer { peer }),
        }
        Ok(())
    }

    pub(super) const fn place(&self) -> &Place {
        &self.place
    }

    /// A machine for it.
    pub(super) fn machine(&self) -> Box<dyn Machine> {
        self.sessions.as_ref().map_or_else(|| machine::single(self.config), |maker| maker.machine(self.config))
    }

    /// A machine for a caller of it that is told that the place is taken.
    pub(super) fn refusing(&self) -> Box<dyn Machine> {
        self.sessions.as_ref().map_or_else(|| machine::refusing(self.config), |maker| maker.refusing(self.config))
    }

    /// The session ids by which callers are told to be its own; empty: any.
    pub(super) fn ids(&self) -> Vec<SessionId> {
        match &self.sessions {
            Some(maker) => maker.offered(),
            None => self.config.device_ids().as_slice().iter().map(|device| device.session()).collect(),
        }
    }

    /// The device ids to which a primary can be sent before it is known whose a caller is.
    pub(super) fn device_ids(&self) -> Vec<SessionId> {
        if self.sessions.is_some() { Vec::new() } else { self.ids() }
    }

    pub(super) const fn transactions(&self) -> usize {
        self.transactions
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
