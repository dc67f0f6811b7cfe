//! An attempt to dial a peer: its addresses in turn.

use hsms_core::time::Instant;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use std::io;
use std::net::SocketAddr;

/// One round through the addresses of a peer.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// The place of the address that it began with, and how many had their turn before the one that has it now.
    first: usize,
    tried: usize,
    stream: TcpStream,
    /// When the next address has its turn.
    over: Instant,
    /// When the whole attempt has failed.
    end: Instant,
}

/// What has come of an attempt.
pub(crate) enum Attempted {
    /// With the place of the address that has answered.
    Open(
        TcpStream,
        #[cfg_attr(
            not(feature = "manager"),
            expect(dead_code, reason = "the blocking adapter begins with the first each time")
        )]
        usize,
    ),
    Goes(Attempt),
    Failed(io::Error),
}

impl Attempt {
    /// When the address that is being dialled has had its time.
    pub(crate) const fn over(&self) -> Instant {
        self.over
    }

    /// Begins with the address at this place, counted round and round.
    pub(crate) fn begin(
        addresses: &[SocketAddr],
        first: usize,
        token: Token,
        registry: &Registry,
        now: Instant,
        end: Instant,
    ) -> Attempted {
        let none = io::Error::new(io::ErrorKind::AddrNotAvailable, "no address");
        Attempt::from((first, 0), addresses, token, registry, (now, end), none)
    }

    /// Looks what has become of it.
    pub(crate) fn go_on(self, addresses: &[SocketAddr], token: Token, registry: &Registry, now: Instant) -> Attempted {
        let error = match outcome(&self.stream) {
            // TCP allows a socket that dials a free port of its own machine to reach itself.
            Some(Ok(())) if self.stream.local_addr().ok() == self.stream.peer_addr().ok() => {
                io::ErrorKind::ConnectionRefused.into()
            }
            Some(Ok(())) => {
                let place = place(addresses, self.first, self.tried);
                return Attempted::Open(self.stream, place);
            }
            Some(Err(error)) => error,
            None if now < self.over => return Attempted::Goes(self),
            None => io::Error::new(io::ErrorKind::TimedOut, "no answer within the connect limit"),
        };
        let Attempt { first, tried, end, stream, .. } = self;
        drop(stream);
        Attempt::from((first, tried.saturating_add(1)), addresses, token, registry, (now, end), error)
    }

    fn from(
        (first, before): (usize, usize),
        addresses: &[SocketAddr],
        token: Token,
        registry: &Registry,
        (now, end): (Instant, Instant),
        mut error: io::Error,
    ) -> Attempted {
        for tried in before..addresses.len() {
            let Some(address) = addresses.get(place(addresses, first, tried)) else { continue };
            // One that never answers leaves their share of the time to those behind it.
            let left = u32::try_from(addresses.len().saturating_sub(tried)).unwrap_or(u32::MAX);
            let over = now.saturating_add(end.saturating_since(now) / left.max(1));
            let dialled = TcpStream::connect(*address).and_then(|mut stream| {
                registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
                Ok(stream)
            });
            match dialled {
                Ok(stream) => return Attempted::Goes(Attempt { first, tried, stream, over, end }),
                Err(source) => error = source,
            }
        }
        Attempted::Failed(error)
    }
}

/// The place of the address that has its turn after so many others.
fn place(addresses: &[SocketAddr], first: usize, tried: usize) -> usize {
    first.saturating_add(tried).checked_rem(addresses.len()).unwrap_or(0)
}

/// What has become of a dial; `None` where it is not decided.
fn outcome(stream: &TcpStream) -> Option<io::Result<()>> {
    match stream.take_error() {
        Ok(Some(error)) | Err(error) => return Some(Err(error)),
        Ok(None) => {}
    }
    match stream.peer_addr() {
        Ok(_) => Some(Ok(())),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => None,
        // Linux tells this while the dial goes on.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        Err(error) => Some(Err(error)),
    }
}
