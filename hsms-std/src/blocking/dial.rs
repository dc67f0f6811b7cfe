//! The active side's transport: dialled.

use crate::dial::{Attempt, Attempted};
use crate::driver::Driver;
use crate::security::{Security, Stream};
use crate::tcp::{LONGEST, Tcp};
use crate::{Error, Options, trace};
use hsms_core::connection::Sessions;
use hsms_core::time::Instant;
use mio::net::TcpStream;
use mio::{Events, Poll, Token};
use std::net::SocketAddr;
use std::time::Duration;
use std::{fmt, io};

/// Of the one socket that is dialled.
const TOKEN: Token = Token(0);

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
    security: Security,
}

impl Dial {
    pub(super) fn new(resolve: Resolve) -> Result<Self, Error> {
        // A name that means nothing is an error at once.
        let addresses = resolve().map_err(|source| Error::Address { source })?;
        let poll = Poll::new().map_err(|source| Error::System { source })?;
        Ok(Dial {
            resolve,
            addresses,
            poll,
            events: Events::with_capacity(4),
            attempt: None,
            security: Security::new(),
        })
    }

    pub(super) fn set_security(&mut self, security: Security) {
        self.security = security;
    }

    /// Does what has to be done while there is no transport, until `until` at most. Tells whether anything happened.
    pub(super) fn turn<const TRANSACTIONS: usize, S: Sessions>(
        &mut self,
        driver: &mut Driver<Stream<Tcp>, TRANSACTIONS, S>,
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
        driver: &mut Driver<Stream<Tcp>, TRANSACTIONS, S>,
        until: Instant,
    ) -> Result<bool, Error> {
        let now = driver.tick();
        let attempted = match self.attempt.take() {
            Some(attempt) => attempt.go_on(&self.addresses, TOKEN, self.poll.registry(), now),
            None => {
                driver.onlookers().inside(|| self.resolve_anew());
                // That may have taken its time.
                let now = driver.tick();
                let end = now.saturating_add(driver.options().connect_limit());
                Attempt::begin(&self.addresses, 0, TOKEN, self.poll.registry(), now, end)
            }
        };
        match attempted {
            Attempted::Open(stream, _) => self.opened(driver, stream),
            Attempted::Failed(error) => driver.open_failed(error),
            Attempted::Goes(attempt) => {
                let over = attempt.over();
                self.attempt = Some(attempt);
                if now >= until {
                    return Ok(false);
                }
                self.wait(driver.until(over.min(until)))?;
            }
        }
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

    fn opened<const TRANSACTIONS: usize, S: Sessions>(
        &self,
        driver: &mut Driver<Stream<Tcp>, TRANSACTIONS, S>,
        mut stream: TcpStream,
    ) {
        let options: Options = *driver.options();
        let tcp = self.poll.registry().deregister(&mut stream).and_then(|()| Tcp::new(stream.into(), &options));
        match tcp.and_then(|tcp| self.security.dialled(tcp)) {
            Ok(stream) => driver.opened(stream),
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
