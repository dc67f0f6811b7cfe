//! One peer as the loop has it: its link, what is waited for, and what is told.

use super::Error;
use super::delegate::{Event, Pool, Queued, Received};
use super::link::{Link, Sort, Told};
use super::peer::{Order, Peer, Shared, Target};
use super::pending::Promise;
use super::settings::PeerSettings;
use super::socket::Socket;
use crate::dial::Attempt;
use crate::driver::copy;
use crate::security::Stream;
use hsms_core::connection::{CloseReason, Notice, State, TransactionEnd};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, StreamFunction, SystemBytes};
use std::io;
use std::sync::Arc;

/// Primaries of one peer that can wait for their reply at the same time.
pub(super) const TRANSACTIONS: usize = 64;

pub(super) struct Entry {
    pub(super) shared: Arc<Shared>,
    pub(super) settings: Box<PeerSettings>,
    pub(super) link: Link<TRANSACTIONS>,
    pub(super) dial: Option<Attempt>,
    /// The listener of a passive peer.
    pub(super) listener: Option<usize>,
    /// When the loop has to come back, as it stands in its list.
    pub(super) armed: Option<Instant>,
    pub(super) told: Vec<Told>,
    /// A close of ours, which waits for the delegate.
    closing: Option<Closing>,
    /// The delegate knows already that the connection is about to be closed.
    farewell_told: bool,
    requests: Vec<(SystemBytes, StreamFunction, Promise<Received>)>,
    linktests: Vec<(SystemBytes, Promise<()>)>,
    /// Who waits for SELECTED.
    selected: Vec<Promise<()>>,
    /// How often the delegate has been told of a close and has not returned from it.
    farewells: usize,
    closed: Option<(CloseReason, Option<io::Error>)>,
    pool: Arc<Pool>,
}

struct Closing {
    how: Close,
    until: Instant,
    /// It has been enabled since.
    then_enable: bool,
}

/// How a connection ends that we end; the greater prevails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Close {
    Separate,
    Disable,
    Remove,
}

impl Entry {
    pub(super) fn new(shared: Arc<Shared>, settings: Box<PeerSettings>, pool: Arc<Pool>) -> Self {
        let link = Link::new(*settings.config(), settings.options());
        Entry {
            shared,
            settings,
            link,
            dial: None,
            listener: None,
            armed: None,
            told: Vec::new(),
            closing: None,
            farewell_told: false,
            requests: Vec::new(),
            linktests: Vec::new(),
            selected: Vec::new(),
            farewells: 0,
            closed: None,
            pool,
        }
    }

    /// When something has to be done without anything having happened.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let dial = self.dial.as_ref().map(Attempt::over);
        let closing = self.closing.as_ref().map(|closing| closing.until);
        [self.link.next_deadline(), dial, closing].into_iter().flatten().min()
    }

    /// Does what the application asks for. Tells whether the peer is to be removed now.
    pub(super) fn order(&mut self, order: Order, now: Instant) -> bool {
        match order {
            Order::Enable => match &mut self.closing {
                Some(closing) => closing.then_enable = true,
                None => self.enable(now),
            },
            Order::Disable => return self.begin_close(Close::Disable, now, self.settings.farewell()),
            Order::Remove => return self.begin_close(Close::Remove, now, self.settings.farewell()),
            Order::Reconnect(promise) => {
                if !self.link.is_open() {
                    promise.settle(Err(hsms_core::Error::NotConnected.into()));
                    return false;
                }
                let removed = self.begin_close(Close::Separate, now, self.settings.farewell());
                promise.settle(Ok(()));
                return removed;
            }
            Order::FarewellSaid => {
                self.farewells = self.farewells.saturating_sub(1);
                return self.farewells == 0 && self.close(now);
            }
            Order::Selected(promise) => {
                self.selected.retain(|other| !other.is_abandoned());
                self.selected.push(promise);
            }
            Order::Request(target, body, promise) => {
                self.shared.release(body.len());
                self.give_up_abandoned(now);
                match self.send(now, target, true, &body) {
                    Ok(system) => self.requests.push((system, target.stream_function, promise)),
                    Err(error) => promise.settle(Err(error)),
                }
            }
            Order::Send(target, body, promise) => {
                self.shared.release(body.len());
                let sent = self.send(now, target, false, &body);
                promise.settle(sent);
            }
            Order::Reply(token, body, promise) => {
                self.shared.release(body.len());
                promise.settle(self.link.reply(now, &mut self.told, &token, &body).map_err(Error::from));
            }
            Order::Abort(token, promise) => {
                promise.settle(self.link.abort(now, &mut self.told, &token).map_err(Error::from));
            }
            Order::Linktest(promise) => {
                match self.link.command(now, &mut self.told, |machine, now| machine.linktest(now)) {
                    Ok(system) => self.linktests.push((system, promise)),
                    Err(error) => promise.settle(Err(error.into())),
                }
            }
            Order::Counters(promise) => promise.settle(Ok(*self.link.counters())),
        }
        false
    }

    fn send(&mut self, now: Instant, target: Target, reply_expected: bool, body: &[u8]) -> Result<SystemBytes, Error> {
        let session = target.session.or_else(|| self.link.sole_session()).ok_or(crate::Error::WhichDevice)?;
        let to = (session, target.stream_function);
        Ok(self.link.send(now, &mut self.told, to, reply_expected, body)?)
    }

    /// Where there is no place for another transaction, those that nobody waits for any more make room.
    fn give_up_abandoned(&mut self, now: Instant) {
        if self.requests.len() < TRANSACTIONS {
            return;
        }
        for (system, ..) in self.requests.extract_if(.., |(.., promise)| promise.is_abandoned()) {
            // Open, or its outcome would have been told.
            let _ = self.link.command(now, &mut self.told, |machine, _| machine.forget(system));
        }
    }

    fn enable(&mut self, now: Instant) {
        // Refused only while actions wait, and none do here.
        let _ = self.link.command(now, &mut self.told, |machine, now| machine.enable(now));
    }

    /// Ends the connection when the delegate has been told. Tells whether the peer is to be removed now.
    pub(super) fn begin_close(&mut self, how: Close, now: Instant, farewell: std::time::Duration) -> bool {
        let until = now.saturating_add(farewell);
        if let Some(closing) = &mut self.closing {
            closing.how = closing.how.max(how);
            closing.until = closing.until.min(until);
            // A reconnect does not take back that it was enabled.
            closing.then_enable &= how == Close::Separate;
            return false;
        }
        self.closing = Some(Closing { how, until, then_enable: false });
        if self.link.state() != State::Selected || !self.tell_farewell() || self.shared.delegate.is_none() {
            return self.close(now);
        }
        false
    }

    /// Tells that the connection is about to be closed. Gives false where there was no room for it.
    fn tell_farewell(&mut self) -> bool {
        self.farewell_told = true;
        let told = self.tell(Event::BeforeClosed);
        self.farewells = self.farewells.saturating_add(usize::from(told));
        told
    }

    /// The delegate has been told, or has had its time. Tells whether the peer is to be removed now.
    fn close(&mut self, now: Instant) -> bool {
        let Some(closing) = self.closing.take() else { return false };
        let _ = match closing.how {
            // The connection may have ended meanwhile.
            Close::Separate => self.link.command(now, &mut self.told, |machine, now| machine.separate(now)),
            Close::Disable | Close::Remove => {
                self.link.command(now, &mut self.told, |machine, now| machine.disable(now))
            }
        };
        if closing.how >= Close::Disable {
            self.dial = None;
        }
        if closing.then_enable && closing.how < Close::Remove {
            self.enable(now);
        }
        closing.how == Close::Remove
    }

    /// Lets what is due expire. Tells whether the peer is to be removed now.
    pub(super) fn fire(&mut self, now: Instant) -> bool {
        self.link.fire(now, &mut self.told);
        self.closing.as_ref().is_some_and(|closing| closing.until <= now) && self.close(now)
    }

    /// The transport that was wanted is open.
    pub(super) fn opened(&mut self, stream: Stream<Socket>, now: Instant) {
        (self.farewell_told, self.closed) = (false, None);
        self.tell(Event::Established);
        self.link.opened(stream, now, &mut self.told);
    }

    pub(super) fn open_failed(&mut self, error: io::Error, now: Instant) {
        self.link.open_failed(&error, now, &mut self.told);
        self.tell(Event::ConnectFailed { error });
    }

    /// Passes on what the link has told.
    pub(super) fn pass_on(&mut self, now: Instant) {
        while !self.told.is_empty() {
            for told in std::mem::take(&mut self.told) {
                self.pass_on_one(told, now);
            }
        }
        self.shared.tell(self.link.state(), self.link.pending());
        if self.link.state() == State::Selected {
            self.selected.drain(..).for_each(|promise| promise.settle(Ok(())));
        }
    }

    fn pass_on_one(&mut self, told: Told, now: Instant) {
        match told {
            Told::Message { header, sort: Sort::Primary(token), body } => {
                let received = Received { header, token, body };
                if !self.tell(Event::Received(received))
                    && let Some(token) = token
                {
                    // Fails only where the session has ended, and the sender knows then.
                    let _ = self.link.abort(now, &mut self.told, &token);
                }
            }
            Told::Message { header, sort: Sort::Reply, body } => {
                self.settle(header.system, |_| Ok(Received { header, token: None, body }));
            }
            Told::Message { header, sort: Sort::Abort, .. } => self.aborted(&header),
            Told::Other { header } => {
                self.tell(Event::Other { header });
            }
            Told::Notice(notice) => self.notice(notice),
            Told::Closed { reason, error } => {
                if !self.farewell_told {
                    self.tell_farewell();
                }
                // What was to be closed is: a reconnect is not for the next connection.
                self.closing.take_if(|closing| closing.how == Close::Separate);
                self.closed = Some((reason, error.as_ref().map(copy)));
                self.tell(Event::Closed { reason, error });
            }
        }
    }

    fn aborted(&mut self, header: &Header) {
        self.settle(header.system, |_| Err(crate::Error::Aborted { header: *header }.into()));
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::TransactionEnded { system, end } => {
                let closed = self.closed_error(end);
                self.settle(system, |stream_function| {
                    Err(closed.unwrap_or(crate::Error::NoReply { system, stream_function, end }).into())
                });
                // With its session a linktest ends as well.
                let error = |closed: Option<crate::Error>| {
                    Err(closed.map_or_else(|| hsms_core::Error::NotSelected.into(), Error::from))
                };
                for promise in self.take_linktests(system) {
                    promise.settle(error(self.closed_error(end)));
                }
            }
            Notice::LinktestAnswered { system } => {
                self.take_linktests(system).into_iter().for_each(|promise| promise.settle(Ok(())));
            }
            Notice::LinktestMissed { system, missed } => {
                for promise in self.take_linktests(system) {
                    promise.settle(Err(crate::Error::LinktestMissed { missed }.into()));
                }
                self.tell(Event::Notice(notice));
            }
            notice => {
                self.tell(Event::Notice(notice));
            }
        }
    }

    /// What a transaction says that was cut short by the end of the connection.
    fn closed_error(&self, end: TransactionEnd) -> Option<crate::Error> {
        match (&self.closed, end) {
            (Some((reason, source)), TransactionEnd::SessionEnded) => {
                Some(crate::Error::Closed { reason: *reason, source: source.as_ref().map(copy) })
            }
            _ => None,
        }
    }

    fn settle(&mut self, system: SystemBytes, outcome: impl FnOnce(StreamFunction) -> Result<Received, Error>) {
        if let Some(index) = self.requests.iter().position(|(open, ..)| *open == system) {
            let (_, stream_function, promise) = self.requests.swap_remove(index);
            promise.settle(outcome(stream_function));
        }
    }

    fn take_linktests(&mut self, system: SystemBytes) -> Vec<Promise<()>> {
        self.linktests.extract_if(.., |(open, _)| *open == system).map(|(_, promise)| promise).collect()
    }

    /// Tells the application. Gives false where there was no room.
    pub(super) fn tell(&self, event: Event) -> bool {
        match self.shared.queue.push(event) {
            Queued::Kept => {
                self.pool.help();
                true
            }
            Queued::First => {
                self.pool.schedule(Peer { shared: Arc::clone(&self.shared) });
                true
            }
            Queued::Full => false,
        }
    }

    /// The peer is no more: whoever still waits is told so.
    pub(super) fn remove(self, stopped: bool) {
        let error = || if stopped { Error::Stopped } else { Error::Removed };
        for (_, _, promise) in self.requests {
            promise.settle(Err(error()));
        }
        for promise in self.linktests.into_iter().map(|(_, promise)| promise).chain(self.selected) {
            promise.settle(Err(error()));
        }
    }
}
