//! The passive side's transport: accepted. Callers beyond the first are told that the place is taken.

use crate::driver::Driver;
use crate::security::{CallersRefused, Refusal, Security, Stream};
use crate::tap::Tap;
use crate::tcp::{LONGEST, Tcp};
use crate::watch::Onlookers;
use crate::{Error, Incoming, Options, trace};
use hsms_core::Config;
use hsms_core::connection::{Connection as Machine, General, Mode, Sessions};
use hsms_core::time::Instant;
use mio::{Events, Interest, Poll, Registry, Token};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Callers that are told at the same time that the place is taken; others wait in the system's queue.
const MOST_CALLERS: usize = 8;

/// Callers that are hung up on between two looks at the connection.
const MOST_ACCEPTED: usize = 64;

/// While messages flow, how often the listener is looked at, and how long the connection has to be quiet before the waiting
/// is left to the event loop.
const LOOK: Duration = Duration::from_millis(50);
const QUIET: Duration = Duration::from_millis(20);

/// How long callers are left waiting, while a connection is served, after the system refused to hand one over.
const PAUSE: Duration = Duration::from_secs(1);

/// Reads from a caller at one look, each of up to a kilobyte.
const MOST_READS: usize = 16;

const LISTENER: Token = Token(0);
const CONNECTION: Token = Token(1);
const FIRST_CALLER: usize = 2;

/// A port, its listener while there is one, and callers that are being refused.
#[derive(Debug)]
pub(super) struct Listen {
    address: SocketAddr,
    listener: Option<mio::net::TcpListener>,
    poll: Poll,
    events: Events,
    callers: Vec<Caller>,
    /// The served connection's socket, registered with the event loop.
    watch: Option<mio::net::TcpStream>,
    /// The system has refused to hand callers over: not before then again.
    paused: Option<Instant>,
    /// That has been told.
    told_paused: bool,
    /// The connection has been quiet: wait for everything together.
    quiet: bool,
    next_look: Instant,
    next_token: usize,
    security: Security,
    refused: CallersRefused,
}

#[derive(Debug)]
struct Caller {
    driver: Refusing,
    watch: mio::net::TcpStream,
    token: Token,
    address: IpAddr,
}

/// Tells a caller that the place is taken, by the standard that the served connection follows.
#[derive(Debug)]
enum Refusing {
    Single(Driver<Stream<Tcp>, 0>),
    General(Driver<Stream<Tcp>, 0, General<0>>),
}

impl Refusing {
    fn new(config: Config, mode: Mode, options: Options, tcp: Stream<Tcp>, tap: Option<Arc<dyn Tap>>) -> Self {
        let none = General::default();
        let none = if mode == Mode::Undecided { none.or_single() } else { none };
        // It is no peer's, and so has no name.
        let onlookers = Onlookers { tap, ..Onlookers::default() };
        match mode {
            Mode::Single => Refusing::Single(Driver::refuses(Machine::refusing(config), options, tcp, onlookers)),
            Mode::General | Mode::Undecided => {
                let machine = Machine::general_refusing(config, none);
                Refusing::General(Driver::refuses(machine, options, tcp, onlookers))
            }
        }
    }

    /// Goes on as far as it can without waiting. Tells whether the caller is still there.
    fn go_on(&mut self) -> bool {
        match self {
            Refusing::Single(driver) => go_on(driver),
            Refusing::General(driver) => go_on(driver),
        }
    }

    /// How long it can be left alone.
    fn left(&self) -> Option<Duration> {
        match self {
            Refusing::Single(driver) => driver.next_deadline().map(|deadline| driver.until(deadline)),
            Refusing::General(driver) => driver.next_deadline().map(|deadline| driver.until(deadline)),
        }
    }
}

fn go_on<S: Sessions>(driver: &mut Driver<Stream<Tcp>, 0, S>) -> bool {
    for _ in 0..MOST_READS {
        let now = driver.tick();
        let more = driver.turn(now);
        while driver.poll().is_some() {}
        if driver.transport().is_none() || more.is_err() {
            return false;
        }
        if matches!(more, Ok(false)) {
            break;
        }
    }
    true
}

impl Listen {
    /// Listens on the first of `addresses` that can be had.
    pub(super) fn new(addresses: &[SocketAddr]) -> Result<Self, Error> {
        let poll = Poll::new().map_err(|source| Error::System { source })?;
        let mut failure = None;
        for address in addresses {
            match listen(*address, poll.registry()) {
                Ok((listener, address)) => {
                    return Ok(Listen {
                        address,
                        listener: Some(listener),
                        poll,
                        events: Events::with_capacity(16),
                        callers: Vec::new(),
                        watch: None,
                        paused: None,
                        told_paused: false,
                        quiet: false,
                        next_look: Instant::EPOCH,
                        next_token: FIRST_CALLER,
                        security: Security::new(),
                        refused: CallersRefused::new(),
                    });
                }
                Err(source) => failure = Some(Error::Listen { address: *address, source }),
            }
        }
        Err(failure.unwrap_or_else(|| Error::Address {
            source: io::Error::new(io::ErrorKind::AddrNotAvailable, "the name stands for no address"),
        }))
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) const fn refused(&self) -> CallersRefused {
        self.refused
    }

    pub(super) fn set_security(&mut self, security: Security) {
        self.security = security;
    }

    /// Stops listening and hangs up on callers.
    pub(super) fn close(&mut self) {
        self.callers.clear();
        self.watch = None;
        self.listener = None;
    }

    /// Does what has to be done, until `until` at most. Tells whether anything happened.
    pub(super) fn turn<const TRANSACTIONS: usize, S: Sessions>(
        &mut self,
        driver: &mut Driver<Stream<Tcp>, TRANSACTIONS, S>,
        until: Instant,
    ) -> Result<bool, Error> {
        if driver.transport().is_some() {
            return self.serve(driver, until);
        }
        (self.watch, self.quiet) = (None, false);
        // Pauses are for the time of a connection that is being served; otherwise it is T5.
        (self.paused, self.told_paused) = (None, false);
        if driver.wants_transport() {
            if !self.listens(driver) {
                return Ok(true);
            }
            if self.accept(driver) {
                return Ok(true);
            }
        }
        // A caller, T5 after the port could not be had, or nothing at all.
        self.wait(driver, until)?;
        self.drive_callers();
        Ok(driver.turn(until)? || driver.now() < until)
    }

    /// A connection is being served.
    fn serve<const TRANSACTIONS: usize, S: Sessions>(
        &mut self,
        driver: &mut Driver<Stream<Tcp>, TRANSACTIONS, S>,
        until: Instant,
    ) -> Result<bool, Error> {
        if self.quiet {
            return self.serve_quiet(driver, until);
        }
        let now = driver.now();
        if now >= self.next_look {
            self.next_look = now.saturating_add(LOOK);
            let told = self.accept(driver);
            self.drive_callers();
            if told {
                return Ok(true);
            }
        }
        let soon = now.saturating_add(QUIET);
        if driver.turn(until.min(soon))? {
            return Ok(true);
        }
        // What TLS still has to write is written between looks: the event loop does not wait for room.
        self.quiet = driver.transport().is_none_or(|stream| !stream.owes());
        Ok(until > soon)
    }

    /// The same where no octet has come for a while: the event loop waits for everything together.
    fn serve_quiet<const TRANSACTIONS: usize, S: Sessions>(
        &mut self,
        driver: &mut Driver<Stream<Tcp>, TRANSACTIONS, S>,
        until: Instant,
    ) -> Result<bool, Error> {
        if driver.write_pending()? || driver.transport().is_none() {
            return Ok(true);
        }
        if driver.transport().is_some_and(Stream::owes) {
            self.quiet = false;
            return self.serve(driver, until);
        }
        if self.accept(driver) {
            return Ok(true);
        }
        let ready = self.wait(driver, until)?;
        self.drive_callers();
        let now = driver.tick();
        if ready {
            self.quiet = false;
            return Ok(driver.turn(until.min(now.saturating_add(QUIET)))? || now < until);
        }
        if driver.next_deadline().is_some_and(|deadline| deadline <= now) {
            // Looks for octets once more before the timer expires.
            let more = driver.turn(now)?;
            self.quiet = !more;
            return Ok(more);
        }
        if now >= until {
            driver.rest();
        }
        Ok(now < until)
    }

    /// Makes sure of the listener. Where the port cannot be had the next attempt follows after T5.
    fn listens<const TRANSACTIONS: usize, S: Sessions>(
        &mut self,
        driver: &mut Driver<Stream<Tcp>, TRANSACTIONS, S>,
    ) -> bool {
        if self.listener.is_some() {
            return true;
        }
        match listen(self.address, self.poll.registry()) {
            Ok((listener, _)) => {
                self.listener = Some(listener);
                true
            }
            Err(error) => {
                driver.open_failed(error);
                false
            }
        }
    }

    /// Takes callers from the system's queue: the first becomes the connection, others are refused. Tells whether anything has
    /// happened that `poll` tells.
    fn accept<const TRANSACTIONS: usize, S: Sessions>(
        &mut self,
        driver: &mut Driver<Stream<Tcp>, TRANSACTIONS, S>,
    ) -> bool {
        let mut told = false;
        let options = *driver.options();
        if !driver.wants_transport() && self.paused.is_some_and(|until| driver.now() < until) {
            return false;
        }
        self.paused = None;
        for _ in 0..MOST_ACCEPTED {
            if !driver.wants_transport() && self.callers.len() >= MOST_CALLERS {
                return told;
            }
            let Some(listener) = &self.listener else { return told };
            let (stream, caller) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.told_paused = false;
                    return told;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted || has_gone(&error) => continue,
                Err(error) => return self.lacks(driver, error) || told,
            };
            let unexpected = |expected: IpAddr| expected.to_canonical() != caller.ip().to_canonical();
            let barred = if !self.security.allows(caller.ip()) {
                Some(Refusal::NotAllowed)
            } else if options.expected_peer().is_some_and(unexpected) {
                Some(Refusal::Unexpected)
            } else if driver.wants_transport() {
                None
            } else {
                let address = caller.ip().to_canonical();
                let of_address = self.callers.iter().filter(|caller| caller.address == address).count();
                self.security.room(of_address, self.callers.len()).err()
            };
            if let Some(why) = barred {
                self.refuse(driver, caller, why);
                told = true;
                continue;
            }
            let stream = match Tcp::new(stream.into(), &options).and_then(|tcp| self.security.accepted(tcp)) {
                Ok(stream) => stream,
                // It shows in the settings of the socket.
                Err(error) if has_gone(&error) => continue,
                Err(error) => return self.lacks(driver, error) || told,
            };
            if driver.wants_transport() {
                // Now, so that no lack of descriptors can harm the connection later.
                match self.watched(stream.transport(), CONNECTION) {
                    Ok(watch) => {
                        self.watch = Some(watch);
                        driver.opened(stream);
                    }
                    Err(error) => return self.lacks(driver, error) || told,
                }
                told = true;
                continue;
            }
            self.refuse(driver, caller, Refusal::Taken);
            told = true;
            let token = Token(self.next_token);
            self.next_token = self.next_token.checked_add(1).unwrap_or(FIRST_CALLER);
            match self.watched(stream.transport(), token) {
                Ok(watch) => {
                    let machine = driver.machine();
                    let tap = driver.onlookers().tap.clone();
                    let driver = Refusing::new(*machine.config(), machine.first_mode(), options, stream, tap);
                    self.callers.push(Caller { driver, watch, token, address: caller.ip().to_canonical() });
                }
                Err(error) => return self.lacks(driver, error) || told,
            }
        }
        // There may be more: they are told of again.
        if let Some(listener) = &mut self.listener {
            let _ = self.poll.registry().reregister(listener, LISTENER, Interest::READABLE);
        }
        told
    }

    /// The same socket once more, for the event loop.
    fn watched(&self, tcp: &Tcp, token: Token) -> io::Result<mio::net::TcpStream> {
        let mut watch = tcp.watched()?;
        self.poll.registry().register(&mut watch, token, Interest::READABLE)?;
        Ok(watch)
    }

    /// The system is short of what it takes to have one more caller, descriptors for example. Where a connection is wanted the
    /// next attempt follows after T5. One that is being served does not suffer; other callers are left waiting for a while, which
    /// is told once. Tells whether `poll` tells anything.
    fn lacks<const TRANSACTIONS: usize, S: Sessions>(
        &mut self,
        driver: &mut Driver<Stream<Tcp>, TRANSACTIONS, S>,
        error: io::Error,
    ) -> bool {
        if driver.wants_transport() {
            driver.open_failed(error);
            return true;
        }
        self.paused = Some(driver.now().saturating_add(PAUSE));
        if std::mem::replace(&mut self.told_paused, true) {
            return false;
        }
        driver.onlookers().inside(|| trace::failed(&error));
        driver.notice(Incoming::CallersWait { error });
        true
    }

    fn refuse<const TRANSACTIONS: usize, S: Sessions>(
        &mut self,
        driver: &mut Driver<Stream<Tcp>, TRANSACTIONS, S>,
        caller: SocketAddr,
        why: Refusal,
    ) {
        self.refused.count(why);
        driver.onlookers().inside(|| trace::refused(format_args!("caller {caller} turned away: {why}")));
        driver.notice(Incoming::CallerRefused { caller, why });
    }

    /// Lets every caller that is being refused go on.
    fn drive_callers(&mut self) {
        self.callers.retain_mut(|caller| caller.driver.go_on());
    }

    /// Waits for the listener, the connection and the callers together. Tells whether the connection can be read.
    fn wait<const TRANSACTIONS: usize, S: Sessions>(
        &mut self,
        driver: &mut Driver<Stream<Tcp>, TRANSACTIONS, S>,
        until: Instant,
    ) -> Result<bool, Error> {
        let system = |source| Error::System { source };
        let registry = self.poll.registry();
        // What is registered again is told of again: nothing that came meanwhile is missed.
        if let Some(stream) = &mut self.watch {
            registry.reregister(stream, CONNECTION, Interest::READABLE).map_err(system)?;
        }
        let wakes = [driver.next_deadline(), self.paused];
        let mut limit = driver.until(wakes.into_iter().flatten().fold(until, Instant::min));
        self.callers.retain_mut(|Caller { driver, watch, token, .. }| {
            if let Some(left) = driver.left() {
                limit = limit.min(left);
            }
            // One that cannot be waited for is hung up on.
            registry.reregister(watch, *token, Interest::READABLE).is_ok()
        });
        match self.poll.poll(&mut self.events, Some(limit.min(LONGEST))) {
            Err(source) if source.kind() != io::ErrorKind::Interrupted => return Err(system(source)),
            _ => {}
        }
        driver.tick();
        Ok(self.events.iter().any(|event| event.token() == CONNECTION))
    }
}

/// Whether an error says that the caller has hung up.
fn has_gone(error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::ConnectionAborted
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::NotConnected
        | io::ErrorKind::BrokenPipe => true,
        // There it is what the settings of such a socket fail with; elsewhere it means a setting that cannot be.
        io::ErrorKind::InvalidInput => cfg!(target_vendor = "apple"),
        _ => false,
    }
}

fn listen(address: SocketAddr, registry: &Registry) -> io::Result<(mio::net::TcpListener, SocketAddr)> {
    let mut listener = mio::net::TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    registry.register(&mut listener, LISTENER, Interest::READABLE)?;
    Ok((listener, address))
}
