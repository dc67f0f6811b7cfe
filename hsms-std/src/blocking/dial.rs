//! The active side's transport: dialled.

use crate::driver::Driver;
use crate::tcp::{LONGEST, Tcp};
use crate::{Error, Options};
use hsms_core::time::Instant;
use mio::{Events, Interest, Poll, Token};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Dials the addresses of a peer in turn, without giving up an attempt when a call's limit is over.
#[derive(Debug)]
pub(super) struct Dial {
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
    since: Instant,
}

impl Dial {
    pub(super) fn new(addresses: Vec<SocketAddr>) -> Result<Self, Error> {
        let poll = Poll::new().map_err(|source| Error::System { source })?;
        Ok(Dial { addresses, poll, events: Events::with_capacity(4), attempt: None })
    }

    /// Does what has to be done while there is no transport, until `until` at most. Tells whether anything happened.
    pub(super) fn turn<const TRANSACTIONS: usize>(
        &mut self,
        driver: &mut Driver<Tcp, TRANSACTIONS>,
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

    fn dial<const TRANSACTIONS: usize>(
        &mut self,
        driver: &mut Driver<Tcp, TRANSACTIONS>,
        until: Instant,
    ) -> Result<bool, Error> {
        let now = driver.tick();
        let limit = driver.options().connect_limit();
        let Some(attempt) = &mut self.attempt else {
            return Ok(self.begin(driver, 0));
        };
        let over = attempt.since.saturating_add(limit);
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

    /// Dials the address with this index. Tells that something happened.
    fn begin<const TRANSACTIONS: usize>(&mut self, driver: &mut Driver<Tcp, TRANSACTIONS>, index: usize) -> bool {
        let since = driver.tick();
        let Some(address) = self.addresses.get(index) else {
            driver.open_failed(io::Error::new(io::ErrorKind::AddrNotAvailable, "the name stands for no address"));
            return true;
        };
        let dialled = mio::net::TcpStream::connect(*address).and_then(|mut stream| {
            self.poll.registry().register(&mut stream, Token(0), Interest::WRITABLE)?;
            Ok(stream)
        });
        match dialled {
            Ok(stream) => {
                self.attempt = Some(Attempt { index, stream, since });
                true
            }
            Err(error) => self.next(driver, index, error),
        }
    }

    fn failed<const TRANSACTIONS: usize>(&mut self, driver: &mut Driver<Tcp, TRANSACTIONS>, error: io::Error) -> bool {
        match self.attempt.take() {
            Some(attempt) => self.next(driver, attempt.index, error),
            None => true,
        }
    }

    /// The address with this index failed.
    fn next<const TRANSACTIONS: usize>(
        &mut self,
        driver: &mut Driver<Tcp, TRANSACTIONS>,
        index: usize,
        error: io::Error,
    ) -> bool {
        let index = index.saturating_add(1);
        if index < self.addresses.len() {
            return self.begin(driver, index);
        }
        driver.open_failed(error);
        true
    }

    fn opened<const TRANSACTIONS: usize>(&mut self, driver: &mut Driver<Tcp, TRANSACTIONS>) {
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
