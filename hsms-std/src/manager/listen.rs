//! A port that any number of passive peers share.

use super::settings::Expected;
use crate::security::{Security, Unselected};
use crate::transport::is_late;
use hsms_core::time::Instant;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long callers are left waiting after the system refused to hand one over.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Listener {
    socket: TcpListener,
    address: Arc<SocketAddr>,
    /// Whose callers come from where, in the order in which they were added.
    places: HashMap<Expected, Peers>,
    pub(super) security: Security,
    /// Callers that are no peer's yet.
    pub(super) unselected: Unselected,
    /// Until when nobody is taken, however many more call.
    paused: Option<Instant>,
}

/// Peers in the order in which they were added. One is usual, and takes no more than itself.
enum Peers {
    One(usize),
    Several(Vec<usize>),
}

impl Peers {
    fn as_slice(&self) -> &[usize] {
        match self {
            Peers::One(peer) => std::slice::from_ref(peer),
            Peers::Several(peers) => peers,
        }
    }
}

/// What the system's queue has given.
pub(super) enum Accepted {
    Caller(TcpStream, SocketAddr),
    Nobody,
    /// The system is short of what one more caller takes: descriptors, for example. Nobody is taken until then.
    Pause(io::Error, Instant),
}

impl Listener {
    pub(super) fn new(address: SocketAddr, security: Security, token: Token, registry: &Registry) -> io::Result<Self> {
        let mut socket = TcpListener::bind(address)?;
        let address = socket.local_addr()?;
        registry.register(&mut socket, token, Interest::READABLE)?;
        let (address, unselected) = (Arc::new(address), Unselected::default());
        Ok(Listener { socket, address, places: HashMap::new(), security, unselected, paused: None })
    }

    /// Where it listens; with the port that was found where it was given as 0.
    pub(super) const fn address(&self) -> &Arc<SocketAddr> {
        &self.address
    }

    pub(super) fn add(&mut self, expected: Expected, peer: usize) {
        let mut peers = self.at(expected).to_vec();
        peers.push(peer);
        self.set(expected, peers);
    }

    pub(super) fn remove(&mut self, expected: Expected, peer: usize) {
        let peers = self.at(expected).iter().copied().filter(|other| *other != peer).collect();
        self.set(expected, peers);
    }

    fn set(&mut self, expected: Expected, peers: Vec<usize>) {
        match *peers.as_slice() {
            [] => self.places.remove(&expected),
            [peer] => self.places.insert(expected, Peers::One(peer)),
            _ => self.places.insert(expected, Peers::Several(peers)),
        };
    }

    /// Whether nobody is listened for any more.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whose callers come from there.
    pub(super) fn at(&self, expected: Expected) -> &[usize] {
        self.places.get(&expected).map_or(&[], Peers::as_slice)
    }

    /// The most exact place that a caller comes from, of those where somebody is listened for.
    pub(super) fn place(&self, caller: SocketAddr) -> Option<Expected> {
        let exact = Expected::AddressAndPort(caller).canonical();
        let address = Expected::Address(caller.ip()).canonical();
        [exact, address, Expected::Anyone].into_iter().find(|place| self.places.contains_key(place))
    }

    pub(super) fn accept(&mut self, now: Instant) -> Accepted {
        if self.paused.is_some_and(|until| now < until) {
            return Accepted::Nobody;
        }
        self.paused = None;
        loop {
            match self.socket.accept() {
                Ok((stream, caller)) => return Accepted::Caller(stream, caller),
                Err(error) if is_late(&error) => return Accepted::Nobody,
                Err(error) => match error.kind() {
                    // That one has gone.
                    io::ErrorKind::Interrupted
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::NotConnected => {}
                    _ => {
                        let until = now.saturating_add(PAUSE);
                        self.paused = Some(until);
                        return Accepted::Pause(error, until);
                    }
                },
            }
        }
    }
}
