//! Who may call, how many may linger, and TLS.
//!
//! HSMS itself authenticates nobody (E37 has no such procedure), so this is about the TCP connection below it. All of it is one value,
//! [`Security`], given to [`Connection::with_security`](crate::Connection::with_security) or, with feature `manager`, to
//! `PeerSettings::with_security`.
//!
//! | threat | answer |
//! |---|---|
//! | callers from elsewhere | the allow list: hung up on before an octet is read |
//! | callers that connect and do not select | T7 ends each; the caps bound how many there are meanwhile, per address and in all |
//! | length fields of 2 GiB, octets that are no HSMS | the machine closes; storage is reserved for what has arrived, not for what was claimed |
//! | eavesdroppers, impostors | TLS (feature `tls`), with certificates of the server or of both |
//! | plain HSMS where TLS is required, and the other way round | closed, with a [`SecurityError`] that says so |
//!
//! What is not answered: HSMS serves one connection at a time (E37.1), so a caller that is let in has the place of a peer that has none.
//! One that does not select loses it by T7, and so does one that cannot finish the handshake of TLS; so where strangers can reach the
//! port, let only the peer's address in, or have it show a certificate.
//!
//! Whoever is turned away is counted in [`CallersRefused`], logged, and told of where there is somebody to be told.

mod caps;
mod error;
mod stream;

pub use caps::{CallersRefused, Refusal};
pub use error::SecurityError;

#[cfg(feature = "manager")]
pub(crate) use caps::Unselected;
pub(crate) use stream::Stream;

use crate::Error;
use crate::transport::Transport;
use hsms_core::config::ConnectMode;
pub use ipnet;
use ipnet::{IpNet, Ipv4Net};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

#[cfg(feature = "tls")]
use crate::tls::{ClientConfig, ServerConfig, ServerName, Tls};

/// What one connection that is not selected and takes its answers keeps of our memory at most, beside what the system does.
const PER_CALLER: usize = 4 * 1024;

/// Octets that TLS keeps of what has come for which a caller counts once more.
pub(crate) const KEPT: usize = 4 * 1024;

/// The same for its TLS: its state, what is kept of what has come, and the room that `rustls` makes behind that to read into.
const PER_HANDSHAKE: usize = 3 * 1024 + KEPT + 4 * 1024;

/// Who may call, how many may linger, and TLS.
///
/// | setting | default |
/// |---|---|
/// | allowed addresses | all |
/// | connections not yet selected, from one address | 64 |
/// | the same, in all | 1,024 |
/// | TLS | none: plain TCP |
///
/// ```
/// use hsms_std::security::Security;
///
/// let security = Security::new().with_allowed(["10.1.0.0/16".parse()?]).with_max_unselected(4, 100);
/// assert!(security.allows("10.1.2.3".parse().unwrap()));
/// assert!(security.allows("::ffff:10.1.2.3".parse().unwrap()));
/// assert!(!security.allows("10.2.0.1".parse().unwrap()));
/// # Ok::<(), hsms_std::security::ipnet::AddrParseError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Security {
    allowed: Option<Arc<[IpNet]>>,
    per_address: usize,
    in_all: usize,
    #[cfg(feature = "tls")]
    server: Option<Arc<ServerConfig>>,
    #[cfg(feature = "tls")]
    client: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Security {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Security {
            allowed: None,
            per_address: 64,
            in_all: 1_024,
            #[cfg(feature = "tls")]
            server: None,
            #[cfg(feature = "tls")]
            client: None,
        }
    }

    /// Sets from where callers are taken: networks, or single addresses by their conversion to one. Others are hung up on at once. An
    /// empty list takes nobody. An IPv4 address that is written as IPv6 (`::ffff:10.1.2.3`) counts as what it stands for.
    #[must_use]
    pub fn with_allowed(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.allowed = Some(networks.into_iter().map(canonical).collect());
        self
    }

    /// The networks from which callers are taken; `None`: from everywhere.
    #[must_use]
    pub fn allowed(&self) -> Option<&[IpNet]> {
        self.allowed.as_deref()
    }

    /// Whether callers from this address are taken.
    #[must_use]
    pub fn allows(&self, caller: IpAddr) -> bool {
        let caller = caller.to_canonical();
        self.allowed.as_ref().is_none_or(|networks| networks.iter().any(|network| network.contains(&caller)))
    }

    /// Sets how many connections that are not selected one port keeps open at the same time: so many from one address, so many in
    /// all. Further callers are hung up on. Counted are those that are no peer's own: callers that are being told that the place is taken,
    /// and, for the manager, callers of whom it is not known yet whose they are, which may be selected until then. So where many peers
    /// share an address, as behind a router, `per_address` has to be as many as may call at the same time. A peer's own
    /// connection does not count, so that strangers cannot keep it out; it is one for each peer.
    ///
    /// Each takes a few KiB at most while it is not selected, whatever it sends and claims:
    /// [`max_unselected_octets`](Self::max_unselected_octets) bounds what all of them take. One that is selected and not assigned
    /// holds 64 KiB of primaries besides, and `ManagerSettings::with_max_unidentified` bounds how many there are of these.
    ///
    /// TLS keeps what has come of a record or a handshake until it is whole, so a caller counts once more for every 4 KiB of that,
    /// and is hung up on where there is no room for it. So one whose certificates have 5 KiB counts twice until it is selected.
    ///
    /// The blocking adapter keeps 8 of them at most; further ones wait in the system's queue.
    #[must_use]
    pub const fn with_max_unselected(mut self, per_address: usize, in_all: usize) -> Self {
        (self.per_address, self.in_all) = (per_address, in_all);
        self
    }

    /// How many connections that are not selected are kept open from one address.
    #[must_use]
    pub const fn max_unselected_per_address(&self) -> usize {
        self.per_address
    }

    /// How many connections that are not selected are kept open in all.
    #[must_use]
    pub const fn max_unselected(&self) -> usize {
        self.in_all
    }

    /// How many octets of our memory all connections of a port that are not selected and take their answers keep at most, by these
    /// settings: 4 KiB for each, and with TLS 15 KiB.
    #[must_use]
    pub const fn max_unselected_octets(&self) -> usize {
        let each = if self.has_server_tls() { PER_CALLER + PER_HANDSHAKE } else { PER_CALLER };
        self.in_all.saturating_mul(each)
    }

    /// Requires TLS of callers. What they have to show is up to `config`: with a verifier of client certificates it is mutual.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_server_tls(mut self, config: Arc<ServerConfig>) -> Self {
        self.server = Some(config);
        self
    }

    /// Requires TLS of the peer that is dialled, and that its certificate is for `name`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_client_tls(mut self, config: Arc<ClientConfig>, name: ServerName<'static>) -> Self {
        self.client = Some((config, name));
        self
    }

    /// Whether one that listens requires TLS.
    #[must_use]
    pub const fn has_server_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.server.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    /// Whether one that dials requires TLS.
    #[must_use]
    pub const fn has_client_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.client.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    /// Whether there may be one more connection that is not selected, beside so many from its address, and so many in all.
    pub(crate) const fn room(&self, of_address: usize, all: usize) -> Result<(), Refusal> {
        if all >= self.in_all {
            Err(Refusal::TooMany)
        } else if of_address >= self.per_address {
            Err(Refusal::TooManyFromAddress)
        } else {
            Ok(())
        }
    }

    /// Settings for one role only would leave the other without TLS, silently.
    pub(crate) const fn check(&self, mode: ConnectMode) -> Result<(), Error> {
        let missing = match mode {
            ConnectMode::Active => self.has_server_tls() && !self.has_client_tls(),
            ConnectMode::Passive => self.has_client_tls() && !self.has_server_tls(),
        };
        if missing { Err(Error::TlsForOtherRole { mode }) } else { Ok(()) }
    }

    /// The stream to a peer that was dialled.
    pub(crate) fn dialled<T: Transport>(&self, transport: T) -> io::Result<Stream<T>> {
        #[cfg(feature = "tls")]
        if let Some((config, name)) = &self.client {
            return Ok(Stream::Tls(Box::new(Tls::client(transport, Arc::clone(config), name.clone())?)));
        }
        Ok(Stream::plain(transport))
    }

    /// The stream to a caller.
    pub(crate) fn accepted<T: Transport>(&self, transport: T) -> io::Result<Stream<T>> {
        #[cfg(feature = "tls")]
        if let Some(config) = &self.server {
            return Ok(Stream::Tls(Box::new(Tls::server(transport, Arc::clone(config))?)));
        }
        Ok(Stream::plain(transport))
    }
}

impl Default for Security {
    fn default() -> Self {
        Security::new()
    }
}

/// The same lists, caps and TLS settings; these are the same where they are one and the same value.
impl PartialEq for Security {
    fn eq(&self, other: &Self) -> bool {
        #[cfg(feature = "tls")]
        {
            let server = match (&self.server, &other.server) {
                (Some(one), Some(other)) => Arc::ptr_eq(one, other),
                (one, other) => one.is_none() && other.is_none(),
            };
            let client = match (&self.client, &other.client) {
                (Some((one, name)), Some((other, other_name))) => Arc::ptr_eq(one, other) && name == other_name,
                (one, other) => one.is_none() && other.is_none(),
            };
            if !server || !client {
                return false;
            }
        }
        self.allowed == other.allowed && self.per_address == other.per_address && self.in_all == other.in_all
    }
}

/// An IPv4 network that is written as IPv6 as what it stands for.
fn canonical(network: IpNet) -> IpNet {
    const MAPPED: u8 = 96;
    if let IpNet::V6(six) = network
        && let Some(address) = six.addr().to_ipv4_mapped()
        && let Some(length) = six.prefix_len().checked_sub(MAPPED)
        && let Ok(four) = Ipv4Net::new(address, length)
    {
        return IpNet::V4(four);
    }
    network
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn without_a_list_all_are_allowed_and_with_an_empty_one_nobody() {
        for caller in addresses(&["127.0.0.1", "10.0.0.1", "::1", "2001:db8::1"]) {
            assert!(Security::new().allows(caller));
            assert!(!Security::new().with_allowed([]).allows(caller));
        }
    }

    #[test]
    fn networks_and_addresses_allow_what_is_in_them_in_either_notation() {
        let one: IpAddr = "192.0.2.7".parse().unwrap();
        let networks = ["10.1.0.0/16", "2001:db8::/32", "::ffff:172.16.0.0/108"].map(|text| text.parse().unwrap());
        let security = Security::new().with_allowed(networks.into_iter().chain([one.into()]));
        for allowed in addresses(&["10.1.255.255", "::ffff:10.1.0.1", "2001:db8:1::1", "172.31.0.1", "192.0.2.7"]) {
            assert!(security.allows(allowed), "{allowed}");
        }
        for other in addresses(&["10.2.0.0", "::ffff:10.0.255.255", "2001:db9::1", "172.32.0.1", "192.0.2.8", "::1"]) {
            assert!(!security.allows(other), "{other}");
        }
    }

    #[test]
    fn settings_are_the_same_where_nothing_differs() {
        let list = || Security::new().with_allowed([IpAddr::from([10, 0, 0, 1]).into()]);
        assert_eq!(list(), list());
        assert_ne!(list(), Security::new());
        assert_ne!(list(), list().with_max_unselected(1, 1));
    }
}
