//! What a connection tells of itself.

use super::{Connection, Port};
use crate::Options;
use crate::driver::Dropped;
use crate::security::CallersRefused;
use hsms_core::Config;
use hsms_core::connection::{Sessions, State};
use hsms_core::counters::Counters;
use hsms_core::wire::SystemBytes;
use std::net::SocketAddr;

#[cfg(feature = "tls")]
use crate::security::Stream;

impl<const TRANSACTIONS: usize, S: Sessions> Connection<TRANSACTIONS, S> {
    /// Where the connection was, in E37's terms, when the last call looked.
    #[must_use]
    pub fn state(&self) -> State {
        self.driver.machine().state()
    }

    /// The settings of the protocol.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.driver.machine().config()
    }

    /// The settings of the adapter.
    #[must_use]
    pub fn options(&self) -> &Options {
        self.driver.options()
    }

    /// What has happened since the connection was made.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        self.driver.counters()
    }

    /// What found no room in the inbox since the connection was made.
    #[must_use]
    pub fn dropped(&self) -> &Dropped {
        self.driver.dropped()
    }

    /// How many callers were turned away since a passive connection was made, by reason.
    #[must_use]
    pub fn callers_refused(&self) -> CallersRefused {
        match &self.port {
            Port::Listen(listen) => listen.refused(),
            Port::Dial(_) => CallersRefused::new(),
        }
    }

    /// How many primaries of ours wait for a reply.
    #[must_use]
    pub fn open_transactions(&self) -> usize {
        self.driver.machine().open_transactions()
    }

    /// The address listened on, or the own address of the open connection; `None` where there is neither.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.port {
            Port::Listen(listen) => Some(listen.address()),
            Port::Dial(_) => self.driver.transport().map(|stream| stream.transport().local_addr()),
        }
    }

    /// The address of the peer that is connected; `None` where none is.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.driver.transport().map(|stream| stream.transport().peer_addr())
    }

    /// The state of TLS on the open connection: the peer's certificates, for example; `None` where it is plain, or none is open.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(&self) -> Option<&rustls::Connection> {
        match self.driver.transport()? {
            Stream::Plain { .. } => None,
            Stream::Tls(tls) => Some(tls.session()),
        }
    }

    /// The system bytes that the next request will carry.
    #[must_use]
    pub fn next_system_bytes(&self) -> SystemBytes {
        self.driver.machine().next_system_bytes()
    }
}
