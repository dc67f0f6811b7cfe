//! The machine, a clock, a byte stream and the storage between them: everything but the opening of the stream.
//!
//! [`Connection`](crate::Connection) is this driver over TCP. Whoever has another stream, TLS for example, opens it himself:
//!
//! 1. [`Driver::enable`].
//! 2. While [`wants_transport`](Driver::wants_transport): open one, and tell [`opened`](Driver::opened) or
//!    [`open_failed`](Driver::open_failed).
//! 3. Take what there is from [`poll`](Driver::poll) until it gives `None`; [`post`](Driver::post),
//!    [`reply`](Driver::reply) and so on in between.
//! 4. [`turn`](Driver::turn): writes what has been put together, and waits for more. Back to 2.
//!
//! Where there is no transport and none is wanted, `turn` comes back at once: wait until
//! [`next_deadline`](Driver::next_deadline), which is the end of T5, and call it again.

mod call;
mod inbox;
mod input;
mod onlookers;
mod output;

pub use call::Serve;
pub use inbox::Dropped;

use crate::clock::Clock;
use crate::meter::Meter;
use crate::security::SecurityError;
use crate::transport::{Transport, is_again};
use crate::watch::{Onlookers, Watch};
use crate::{Error, Incoming, Options, trace};
use call::Awaited;
use hsms_core::config::Config;
use hsms_core::connection::{
    Action, CloseReason, Connection as Machine, Event, General, Notice, Sessions, Single, TransactionEnd,
};
use hsms_core::counters::Counters;
use hsms_core::time::Instant;
use inbox::{Entry, Inbox};
use input::{Input, Part, Sort};
use output::Output;
use std::io;
use std::time::Duration;

/// Octets that one read takes at most, except for long texts.
const READ_BUFFER: usize = 256 * 1024;

/// The same for a caller that is only told that the place is taken.
const REFUSING_BUFFER: usize = 1024;

/// How often the read buffer may be filled before a timer that is due counts as expired: what arrived in time comes first,
/// but a peer that never stops sending stops no timer.
const READS_BEFORE_TIMEOUT: usize = 64;

/// How long storage of a very long message is kept for the next one.
const KEEP_STORAGE: Duration = Duration::from_secs(5);

/// A connection over a byte stream that its owner opens. See the [module](self).
#[derive(Debug)]
pub struct Driver<T, const TRANSACTIONS: usize = 64, S = Single> {
    machine: Machine<TRANSACTIONS, S>,
    options: Options,
    clock: Clock,
    /// The clock's last reading.
    now: Instant,
    counters: Counters,
    transport: Option<T>,
    onlookers: Onlookers,
    watch: Watch,
    meter: Meter,
    /// The machine has asked for a transport.
    wanted: bool,
    input: Input,
    output: Output,
    inbox: Inbox,
    /// Replies that nobody waits for are kept as well.
    unawaited: bool,
    /// What has been looked up for `poll` and is no message.
    found: Option<Incoming<'static>>,
    /// What a call waits for, which is not for the inbox.
    awaited: Awaited,
    /// What the system said when the transport failed, until its end is told.
    failure: Option<io::Error>,
    /// The end of the last transport, for calls that were cut short by it.
    closed: Option<(CloseReason, Option<io::Error>)>,
    /// The last attempt that failed.
    not_opened: Option<io::Error>,
    /// Octets read since a timer was due.
    read_since_due: usize,
    /// When something long was last sent or received.
    last_long: Instant,
    /// What is being told ended is a linktest.
    linktest_ended: bool,
    /// For texts of replies that a closure makes.
    text: Vec<u8>,
}

/// What a step through the octets that have been read has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// There are no more octets.
    Empty,
    /// A message for the application is whole, and the current one.
    Message,
    /// Anything else; notices may be in the inbox.
    Other,
}

/// What has come of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    Octets,
    Nothing,
    Closed,
}

impl<T: Transport, const TRANSACTIONS: usize> Driver<T, TRANSACTIONS> {
    /// A driver for a connection that is not enabled yet.
    #[must_use]
    pub fn new(config: Config, options: Options) -> Self {
        Driver::with_machine(Machine::new(config), options, READ_BUFFER)
    }
}

impl<T: Transport, const TRANSACTIONS: usize, const N: usize> Driver<T, TRANSACTIONS, General<N>> {
    /// A driver for a connection with these session entities (HSMS-GS, E37.2) that is not enabled yet.
    #[must_use]
    pub fn general(config: Config, sessions: General<N>, options: Options) -> Self {
        Driver::with_machine(Machine::general(config, sessions), options, READ_BUFFER)
    }
}

impl<T: Transport, const TRANSACTIONS: usize, S: Sessions> Driver<T, TRANSACTIONS, S> {
    fn with_machine(machine: Machine<TRANSACTIONS, S>, options: Options, buffer: usize) -> Self {
        Driver {
            machine,
            options,
            clock: Clock::new(),
            now: Instant::EPOCH,
            counters: Counters::new(),
            transport: None,
            onlookers: Onlookers::default(),
            watch: Watch::default(),
            meter: Meter::default(),
            wanted: false,
            input: Input::new(buffer),
            output: Output::default(),
            inbox: Inbox::new(&options),
            unawaited: false,
            found: None,
            awaited: Awaited::default(),
            failure: None,
            closed: None,
            not_opened: None,
            read_since_due: 0,
            last_long: Instant::EPOCH,
            linktest_ended: false,
            text: Vec::new(),
        }
    }

    // Getters.

    /// The machine.
    #[must_use]
    pub const fn machine(&self) -> &Machine<TRANSACTIONS, S> {
        &self.machine
    }

    /// The machine, for settings that take effect at once: device ids and system bytes.
    pub(crate) const fn machine_mut(&mut self) -> &mut Machine<TRANSACTIONS, S> {
        &mut self.machine
    }

    /// The settings of the adapter.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// What has happened since the driver was made.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What found no room in the inbox since the driver was made.
    #[must_use]
    pub const fn dropped(&self) -> &Dropped {
        self.inbox.dropped()
    }

    /// The transport, while it is open.
    #[must_use]
    pub const fn transport(&self) -> Option<&T> {
        self.transport.as_ref()
    }

    /// Whether a transport is to be opened, or still to be.
    #[must_use]
    pub const fn wants_transport(&self) -> bool {
        self.wanted
    }

    /// When [`turn`](Self::turn) has to be called at the latest; `None`: not before something else happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let storage = self.input.holds_much().then(|| self.last_long.saturating_add(KEEP_STORAGE));
        let deadlines = [self.machine.next_deadline(), storage];
        deadlines.into_iter().flatten().min()
    }

    /// Reads the clock. The other calls that do not wait go by its last reading: call this where time may have passed since.
    #[inline]
    pub fn tick(&mut self) -> Instant {
        self.now = self.clock.now();
        self.now
    }

    /// The clock's last reading.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// How long it takes until `deadline`; zero where it has come.
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Duration {
        self.clock.until(deadline)
    }

    // What happens outside.

    /// The transport that was wanted is open. One that was not wanted is closed.
    pub fn opened(&mut self, mut transport: T) {
        self.tick();
        if !std::mem::take(&mut self.wanted) {
            transport.close();
            return;
        }
        let mode = self.machine.config().mode();
        self.watch.opened(&self.onlookers, mode, &transport);
        self.meter.opened(mode, &transport);
        self.transport = Some(transport);
        self.inbox.notice(Incoming::Connected);
        self.happen(Event::TransportOpen);
    }

    /// The transport that was wanted could not be opened. The next attempt follows after T5.
    pub fn open_failed(&mut self, error: io::Error) {
        self.tick();
        if std::mem::take(&mut self.wanted) {
            self.onlookers.inside(|| trace::failed(&error));
            self.not_opened = Some(copy(&error));
            self.inbox.notice(Incoming::ConnectFailed { error });
            self.happen(Event::TransportFailed);
        }
    }

    // What comes in.

    /// Takes the next message or notice out of what has been read; `None` when there is nothing left: then call
    /// [`turn`](Self::turn).
    pub fn poll(&mut self) -> Option<Incoming<'_>> {
        if self.look() { self.take() } else { None }
    }

    /// Writes what has been put together, then waits for octets or for a deadline, until `until` at most. Gives `false` when
    /// `until` has come and nothing happened, and `true` otherwise: then call [`poll`](Self::poll).
    ///
    /// # Errors
    /// [`Error::WriteStalled`], [`Error::System`]. The end of the connection is told by [`poll`](Self::poll).
    pub fn turn(&mut self, until: Instant) -> Result<bool, Error> {
        if self.write_pending()? || !self.input.is_empty() {
            return Ok(true);
        }
        self.input.release();
        self.tell_meter();
        while self.transport.is_some() {
            let due = self.machine.next_deadline();
            if due.is_none_or(|due| due > self.now) {
                self.read_since_due = 0;
            } else if self.read_since_due > self.most_before_timeout() {
                return Ok(self.fire());
            }
            let wake = self.next_deadline().map_or(until, |due| due.min(until));
            let wait = wake.saturating_since(self.now);
            match self.read(wait) {
                Read::Octets | Read::Closed => return Ok(true),
                Read::Nothing if self.fire() => return Ok(true),
                Read::Nothing => {
                    self.rest();
                    if self.now >= until {
                        return Ok(false);
                    }
                }
            }
        }
        self.tick();
        Ok(self.fire())
    }
}

impl<T: Transport, const TRANSACTIONS: usize, S: Sessions> Driver<T, TRANSACTIONS, S> {
    /// Looks for the next message or notice in what has been read. Tells whether [`take`](Self::take) has something to give.
    #[inline]
    pub(crate) fn look(&mut self) -> bool {
        if self.found.is_some() {
            return true;
        }
        self.input.release();
        loop {
            if !self.inbox.is_empty() {
                return self.look_into_inbox();
            }
            match self.step() {
                Step::Message => return true,
                Step::Other => {}
                Step::Empty if self.inbox.is_empty() => return false,
                Step::Empty => {}
            }
        }
    }

    /// Gives what [`look`](Self::look) has found. Where it was the last that had been read, the machine's answers leave first.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<Incoming<'_>> {
        if self.input.is_empty() {
            self.write_answers();
        }
        match self.found.take() {
            Some(found) => Some(found),
            None => self.incoming(),
        }
    }

    #[cold]
    fn look_into_inbox(&mut self) -> bool {
        match self.inbox.pop() {
            None => return false,
            Some(Entry::Outcome(found) | Entry::Notice(found)) => self.found = Some(found),
            Some(Entry::Message(kept)) => self.input.hold(kept.header, kept.sort, kept.body),
        }
        true
    }

    /// The current message as it is told. An abort leaves no text to be read.
    #[inline]
    fn incoming(&self) -> Option<Incoming<'_>> {
        let (message, current) = self.input.message()?;
        Some(match current.sort {
            Sort::Primary(token) => Incoming::Primary { message, token },
            Sort::Reply | Sort::Unawaited(_) => Incoming::Reply { message },
            Sort::Abort => Incoming::Aborted { header: message.header },
        })
    }

    /// Gives the machine octets that have been read, up to the next piece of a message.
    #[inline]
    fn step(&mut self) -> Step {
        let octets = self.input.pending();
        if octets.is_empty() {
            return Step::Empty;
        }
        let Ok((taken, inbound)) = self.machine.receive(self.now, octets) else {
            // Only while nothing is open; then what was read has been cleared.
            debug_assert!(false, "octets of a connection that has ended");
            self.input.clear();
            return Step::Empty;
        };
        let Some(inbound) = inbound else {
            self.input.took(taken);
            self.drain();
            return Step::Other;
        };
        self.counters.record_inbound(&inbound);
        self.watch.received(&inbound);
        self.meter.received(&inbound);
        let body_len = inbound.piece.body_len;
        let is_wanted = inbound.is_for_application() || (self.unawaited && inbound.is_unawaited());
        if is_wanted || (!inbound.first() && self.input.is_assembling()) {
            let part = Part {
                header: *inbound.header(),
                sort: Sort::of(&inbound),
                body_len: usize::try_from(body_len).unwrap_or(usize::MAX),
                len: inbound.body().len(),
                first: inbound.first(),
                last: inbound.last(),
                void: !is_wanted,
            };
            let whole = self.input.took_part(taken, &part);
            self.drain();
            return if whole { Step::Message } else { Step::Other };
        }
        let (header, class) = (*inbound.header(), inbound.class);
        let told = inbound.first() && (self.options.tell_control() || !inbound.is_dealt_with());
        self.input.took(taken);
        if told {
            self.inbox.notice(Incoming::Other { header, body_len, class });
        }
        self.drain();
        Step::Other
    }

    /// Reads once, waiting for octets for `limit` at most, and then the clock.
    fn read(&mut self, limit: Duration) -> Read {
        let Some(transport) = &mut self.transport else { return Read::Closed };
        let result = match self.input.room() {
            Ok(room) => transport.read(room, limit),
            Err(_) => Err(io::Error::from(io::ErrorKind::OutOfMemory)),
        };
        self.now = self.clock.now();
        match result {
            Ok(0) => self.hang_up(None),
            Ok(octets) => {
                let long = self.input.read(octets);
                self.read_since_due = self.read_since_due.saturating_add(octets);
                if long {
                    self.last_long = self.now;
                }
                return Read::Octets;
            }
            Err(error) if is_again(&error) => return Read::Nothing,
            Err(error) => self.hang_up(Some(error)),
        }
        Read::Closed
    }

    /// The transport has ended; without an error by what failed before, if anything did.
    fn hang_up(&mut self, error: Option<io::Error>) {
        if self.transport.is_some() {
            self.failure = error.or_else(|| self.failure.take());
            self.happen(Event::TransportClosed);
        }
    }

    /// Lets all timers expire that are due. Tells whether there were any.
    fn fire(&mut self) -> bool {
        let mut fired = false;
        while self.machine.next_deadline().is_some_and(|deadline| deadline <= self.now) {
            self.happen(Event::Timeout);
            fired = true;
        }
        fired
    }

    /// Writes what has been put together. Tells whether something may be in the inbox.
    pub(crate) fn write_pending(&mut self) -> Result<bool, Error> {
        match self.write_out(&[]) {
            // Told by `poll`, and by the call that waits.
            Err(Error::Closed { reason, source }) => {
                self.closed = Some((reason, source));
                Ok(true)
            }
            result => result,
        }
    }

    /// What went wrong before now is no answer to what is asked for now.
    pub(crate) fn forget_failures(&mut self) {
        (self.closed, self.not_opened) = (None, None);
    }

    /// Why the last connection ended, and what the system said last.
    pub(crate) fn failures(&mut self) -> (Option<CloseReason>, Option<io::Error>) {
        let (reason, error) = self.closed.take().map_or((None, None), |(reason, error)| (Some(reason), error));
        (reason, self.not_opened.take().or(error))
    }

    /// Octets that are read at most before a timer that is due expires.
    fn most_before_timeout(&self) -> usize {
        self.input.size().saturating_mul(READS_BEFORE_TIMEOUT)
    }

    /// Nothing has come.
    pub(crate) fn rest(&mut self) {
        if self.now.saturating_since(self.last_long) >= KEEP_STORAGE {
            self.input.shrink();
            self.output.shrink();
        }
    }

    /// Tells the machine what happened, and does what it asks for.
    fn happen(&mut self, event: Event) {
        if self.machine.handle(self.now, event).is_ok() {
            self.counters.record_event(&event);
        }
        self.drain();
    }

    /// The drain rule: after every input and every command.
    #[inline]
    fn drain(&mut self) {
        loop {
            let open = self.machine.open_transactions();
            let Some(action) = self.machine.poll_action() else { return };
            let ended =
                matches!(action, Action::Notify(Notice::TransactionEnded { end: TransactionEnd::SessionEnded, .. }));
            // Where no primary ended with the session it was a linktest, of which only the call that waits for it knows.
            self.linktest_ended = ended && self.machine.open_transactions() == open;
            self.carry_out(action);
        }
    }

    fn carry_out(&mut self, action: Action) {
        self.counters.record_action(&action);
        match action {
            Action::OpenTransport => {
                self.watch.over();
                self.wanted = true;
            }
            Action::Send(frame) => {
                let octets = frame.encode();
                self.watch.sent(&frame.header(), octets.get(hsms_core::wire::PREFIX_LEN..).unwrap_or(&[]));
                self.meter.sent(&frame.header());
                self.output.push_frame(&octets);
            }
            Action::CloseTransport(reason) => self.close_transport(reason),
            Action::Notify(notice) => {
                self.watch.notice(&notice);
                self.meter.notice(&notice);
                self.tell(notice);
            }
        }
    }

    fn close_transport(&mut self, reason: CloseReason) {
        self.wanted = false;
        let Some(mut transport) = self.transport.take() else { return };
        // A peer that has said why it ends is not gone for what a write to it gave.
        let failure = self.failure.take().filter(|_| matches!(reason, CloseReason::TransportClosed));
        if failure.is_none() && !matches!(reason, CloseReason::TransportClosed) {
            self.farewell(&mut transport);
        }
        transport.close();
        self.input.clear();
        self.input.shrink();
        self.output.clear();
        self.watch.closed(reason, failure.as_ref());
        self.meter.closed();
        self.closed = Some((reason, failure.as_ref().map(copy)));
        self.inbox.notice(Incoming::Closed { reason, error: failure });
    }

    fn tell(&mut self, notice: Notice) {
        if self.awaited.takes(&notice) {
            return;
        }
        match notice {
            Notice::TransactionEnded { .. } if self.linktest_ended => {}
            Notice::TransactionEnded { system, end } => {
                self.inbox.outcome(Incoming::TransactionEnded { system, end });
            }
            Notice::Selected => self.inbox.notice(Incoming::Selected),
            Notice::Deselected => self.inbox.notice(Incoming::Deselected),
            notice => self.inbox.notice(Incoming::Notice(notice)),
        }
    }
}

impl<T: Transport> Driver<T, 0> {
    /// A driver for a caller that is told that the place is taken, and hung up on. See
    /// [`Connection::refusing`](hsms_core::Connection::refusing).
    pub fn refusing(config: Config, options: Options, transport: T) -> Self {
        Driver::refuses(Machine::refusing(config), options, transport, Onlookers::default())
    }
}

impl<T: Transport> Driver<T, 0, General<0>> {
    /// The same for a caller of HSMS-GS. See [`Connection::general_refusing`](hsms_core::Connection::general_refusing).
    pub fn general_refusing(config: Config, sessions: General<0>, options: Options, transport: T) -> Self {
        Driver::refuses(Machine::general_refusing(config, sessions), options, transport, Onlookers::default())
    }
}

impl<T: Transport, S: Sessions> Driver<T, 0, S> {
    pub(crate) fn refuses(machine: Machine<0, S>, options: Options, transport: T, onlookers: Onlookers) -> Self {
        let options = options.with_inbox(0, 0).with_write_limit(Duration::ZERO);
        let mut driver = Driver::with_machine(machine, options, REFUSING_BUFFER);
        driver.onlookers = onlookers;
        // It is enabled from the start.
        driver.wanted = true;
        driver.opened(transport);
        driver
    }
}

/// An error that tells the same; they cannot be cloned.
pub(crate) fn copy(error: &io::Error) -> io::Error {
    match (error.raw_os_error(), SecurityError::of(error)) {
        (Some(code), _) => io::Error::from_raw_os_error(code),
        (None, Some(error)) => error.clone().into(),
        (None, None) => io::Error::new(error.kind(), error.to_string()),
    }
}
