//! The active side's transport: dialled.

use crate::driver::Driver;
use crate::tcp::{LONGEST, Tcp};
use crate::{Error, Options, trace};
use hsms_core::connection::Sessions;
use hsms_core::time::Instant;
use mio::{Events, Interest, Poll, Token};
use std::net::SocketAddr;
use std::time::Duration;
use std::{fmt, io};

/// Gives the addresses that a name stands for at the moment.
pub(super) type Resolve = Box<dyn Fn() -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// Dials the addresses of a peer in turn, without giving up an attempt when a call's limit is over.
pub(super) struct Dial {
    resolve: Resolve,
    /// What the name stood for when it could last be resolved.
    addresses: Vec<SocketAddr>,
    poll: Poll,
    events: Events,
    attempt: Option<Attempt>,
}

/// An attempt: one round through the addresses.
#[derive(Debug)]
struct Attempt {
    /// The address being dialled.
    index: usize,
    stream: mio::net::TcpStream,
    /// When the next address has its turn.
    over: Instant,
    /// When the whole attempt has failed.
    end: Instant,
}

impl Dial {
    pub(super) fn new(resolve: Resolve) -> Result<Self, Error> {
        // A name that means nothing is an error at once.
        let addresses = resolve().map_err(|source| Error::Address { source })?;
        let poll = Poll::new().map_err(|source| Error::System { source })?;
        Ok(Dial { resolve, addresses, poll, events: Events::with_capacity(4), attempt: None })
    }

    /// Does what has to be done while there is no transport, until `until` at most. Tells whether anything happened.
    pub(super) fn turn<const TRANSACTIONS: usize, S: Sessions>(
        &mut self,
        driver: &mut Driver<Tcp, TRANSACTIONS, S>,
        until: Instant,
    ) -> Result<bool, Error> {
        if driver.wants_transport() {
            return self.dial(driver, until);
        }
        self.attempt = None;
        // T5, or nothing at all.
        let wake = driver.next_deadline().map_or(until, |deadline| deadline.min(until));
        // Nothing is registered at the moment: a wait for time alone.
        self.wait(driver.until(wake))?;
        Ok(driver.turn(until)? || driver.now() < until)
    }

    fn dial<const TRANSACTIONS: usize, S: Sessions>(
        &mut self,
        driver: &mut Driver<Tcp, TRANSACTIONS, S>,
        until: Instant,
    ) -> Result<bool, Error> {
        let now = driver.tick();
        let Some(attempt) = &self.attempt else {
            self.resolve_anew();
            let limit = driver.options().connect_limit();
            let end = driver.tick().saturating_add(limit);
            let none = io::Error::new(io::ErrorKind::AddrNotAvailable, "the name stands for no address");
            return Ok(self.begin(driver, 0, end, none));
        };
        let over = attempt.over;
        match outcome(&attempt.stream) {
            Some(Ok(())) => {
                self.opened(driver);
                return Ok(true);
            }
            Some(Err(error)) => return Ok(self.failed(driver, error)),
            None if now >= over => {
                let error = io::Error::new(io::ErrorKind::TimedOut, "no answer within the connect limit");
                return Ok(self.failed(driver, error));
            }
            None if now >= until => return Ok(false),
            None => {}
        }
        self.wait(driver.until(over.min(until)))?;
        Ok(true)
    }

    /// The name may stand for other addresses by now. Where it cannot be resolved the last ones serve: a connection that is lost
    /// while the name service is down comes back all the same.
    fn resolve_anew(&mut self) {
        match (self.resolve)() {
            Ok(addresses) => self.addresses = addresses,
            Err(error) => trace::failed(&error),
        }
    }

    /// Dials the first address that can be dialled from this index on, as a part of the attempt that ends at `end`. Tells that
    /// something happened.
    fn begin<const TRANSACTIONS: usize, S: Sessions>(
        &mut self,
        driver: &mut Driver<Tcp, TRANSACTIONS, S>,
        first: usize,
        end: Instant,
        mut error: io::Error,
    ) -> bool {
        for (index, address) in self.addresses.iter().enumerate().skip(first) {
            let now = driver.tick();
            // One that never answers leaves their share of the time to those behind it.
            let left = u32::try_from(self.addresses.len().saturating_sub(index)).unwrap_or(u32::MAX);
            let over = now.saturating_add(end.saturating_since(now) / left.max(1));
            let dialled = mio::net::TcpStream::connect(*address).and_then(|mut stream| {
                self.poll.registry().register(&mut stream, Token(0), Interest::WRITABLE)?;
                Ok(stream)
            });
            match dialled {
                Ok(stream) => {
                    self.attempt = Some(Attempt { index, stream, over, end });
                    return true;
                }
                Err(source) => error = source,
            }
        }
        driver.open_failed(error);
        true
    }

    /// The address that is being dialled failed: the next ones have their turn.
    fn failed<const TRANSACTIONS: usize, S: Sessions>(
        &mut self,
        driver: &mut Driver<Tcp, TRANSACTIONS, S>,
        error: io::Error,
    ) -> bool {
        match self.attempt.take() {
            Some(attempt) => self.begin(driver, attempt.index.saturating_add(1), attempt.end, error),
            None => true,
        }
    }

    fn opened<const TRANSACTIONS: usize, S: Sessions>(&mut self, driver: &mut Driver<Tcp, TRANSACTIONS, S>) {
        let Some(mut attempt) = self.attempt.take() else { return };
        let options: Options = *driver.options();
        let tcp = self
            .poll
            .registry()
            .deregister(&mut attempt.stream)
            .and_then(|()| Tcp::new(attempt.stream.into(), &options));
        match tcp {
            // TCP allows a socket that dials a free port of its own machine to reach itself.
            Ok(tcp) if tcp.local_addr() == tcp.peer_addr() => {
                driver.open_failed(io::ErrorKind::ConnectionRefused.into());
            }
            Ok(tcp) => driver.opened(tcp),
            Err(error) => driver.open_failed(error),
        }
    }

    fn wait(&mut self, limit: Duration) -> Result<(), Error> {
        match self.poll.poll(&mut self.events, Some(limit.min(LONGEST))) {
            Err(source) if source.kind() != io::ErrorKind::Interrupted => Err(Error::System { source }),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial")
            .field("addresses", &self.addresses)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// What has become of a dial; `None` where it is not decided.
fn outcome(stream: &mio::net::TcpStream) -> Option<io::Result<()>> {
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
