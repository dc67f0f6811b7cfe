//! One peer as the loop has it: its link, what is waited for, and what is told.

#[cfg(feature = "services")]
mod serve;

use super::Error;
use super::delegate::{Event, Pool, Received};
use super::link::{HandedOver, Link, Sort, Told};
use super::machine::SessionCommand;
use super::peer::{Body, Order, Peer, Shared, Target};
use super::pending::Promise;
use super::queue::{Item, Pushed};
use super::socket::Socket;
use crate::dial::Attempt;
use crate::driver::copy;
use crate::security::Stream;
use hsms_core::connection::{CloseReason, Notice, State, TransactionEnd};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

pub(super) struct Entry {
    pub(super) shared: Arc<Shared>,
    pub(super) link: Link,
    pub(super) dial: Option<Box<Attempt>>,
    /// The listener of a passive peer.
    pub(super) listener: Option<usize>,
    /// When the loop has to come back, as it stands in its list.
    pub(super) armed: Option<Instant>,
    pub(super) told: Vec<Told>,
    /// The place of the address that the next attempt begins with.
    first_address: u16,
    /// A close of ours, which waits for the delegate.
    closing: Option<Box<Closing>>,
    /// The delegate knows already that the connection is about to be closed.
    farewell_told: bool,
    /// None where nothing is open.
    requests: Option<Box<Requests>>,
    waits: Vec<(Awaited, Promise<()>)>,
    /// How often the delegate has been told of a close and has not returned from it.
    farewells: u32,
    closed: Option<Box<(CloseReason, Option<io::Error>)>>,
    pool: Arc<Pool>,
}

/// Who waits for a reply.
type Requests = HashMap<SystemBytes, (StreamFunction, Promise<Received>)>;

/// What else is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// The connection is SELECTED.
    Selected,
    /// A linktest is answered.
    Linktest(SystemBytes),
    /// A session is selected, or has ended.
    Session(SessionId, bool),
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
    pub(super) fn new(shared: Arc<Shared>, pool: Arc<Pool>) -> Self {
        #[cfg(feature = "services")]
        if let Some(served) = &shared.services {
            served.begin();
        }
        let settings = &shared.settings;
        let link = Link::new(settings.machine(), settings.options()).with_most_transactions(settings.transactions());
        #[cfg(feature = "services")]
        let link = link.with_unawaited(shared.services.is_some());
        Entry {
            shared,
            link,
            dial: None,
            listener: None,
            armed: None,
            told: Vec::new(),
            first_address: 0,
            closing: None,
            farewell_told: false,
            requests: None,
            waits: Vec::new(),
            farewells: 0,
            closed: None,
            pool,
        }
    }

    /// When something has to be done without anything having happened.
    pub(super) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let dial = self.dial.as_ref().map(|dial| dial.over());
        let closing = self.closing.as_ref().map(|closing| closing.until);
        [self.link.next_deadline(), dial, closing, self.services_deadline(now)].into_iter().flatten().min()
    }

    #[cfg(feature = "services")]
    fn services_deadline(&self, now: Instant) -> Option<Instant> {
        self.shared.services.as_ref()?.next_deadline(now)
    }

    #[cfg(not(feature = "services"))]
    #[expect(clippy::unused_self, reason = "as with feature `services`")]
    const fn services_deadline(&self, _: Instant) -> Option<Instant> {
        None
    }

    /// Sends what the application asks for, with its next turn.
    pub(super) fn ask(&mut self, order: Order, now: Instant) {
        let _ = self.order(order, now);
        // So that the bound counts it.
        self.shared.tell(self.link.state(), self.link.pending());
    }

    /// The place of the address that an attempt to dial begins with.
    pub(super) fn first_address(&self) -> usize {
        self.first_address.into()
    }

    /// The address at this place has answered. Where nothing is selected there, the next one has its turn.
    pub(super) fn reached(&mut self, place: usize) {
        self.first_address = u16::try_from(place).unwrap_or(u16::MAX).wrapping_add(1);
    }

    /// Does what the application asks for. Tells whether the peer is to be removed now.
    pub(super) fn order(&mut self, order: Order, now: Instant) -> bool {
        match order {
            Order::Enable => match &mut self.closing {
                Some(closing) => closing.then_enable = true,
                None => self.enable(now),
            },
            Order::Disable => return self.begin_close(Close::Disable, now, self.shared.settings.farewell()),
            Order::Remove => return self.begin_close(Close::Remove, now, self.shared.settings.farewell()),
            Order::Reconnect(promise) => {
                if !self.link.is_open() {
                    promise.settle(Err(hsms_core::Error::NotConnected.into()));
                    return false;
                }
                let removed = self.begin_close(Close::Separate, now, self.shared.settings.farewell());
                promise.settle(Ok(()));
                return removed;
            }
            Order::FarewellSaid => {
                self.farewells = self.farewells.saturating_sub(1);
                return self.farewells == 0 && self.close(now);
            }
            Order::Selected(promise) => {
                self.waits.retain(|(awaited, other)| *awaited != Awaited::Selected || !other.is_abandoned());
                self.waits.push((Awaited::Selected, promise));
            }
            Order::Request(target, body, promise) => {
                self.give_up_abandoned(now);
                let sent = self.send(now, target, true, &body);
                self.taken(body);
                match sent {
                    Ok(system) => {
                        self.requests.get_or_insert_default().insert(system, (target.stream_function, promise));
                    }
                    Err(error) => promise.settle(Err(error)),
                }
            }
            Order::Send(target, body, promise) => {
                let sent = self.send(now, target, false, &body);
                self.taken(body);
                promise.settle(sent);
            }
            Order::Reply(token, body, promise) => {
                let replied = self.link.reply(now, &mut self.told, &token, &body).map_err(Error::from);
                self.taken(body);
                promise.settle(replied);
            }
            Order::Abort(token, promise) => {
                promise.settle(self.link.abort(now, &mut self.told, &token).map_err(Error::from));
            }
            #[cfg(feature = "services")]
            Order::NoRoom(token, text) => {
                // Fails only where the session has ended, and the sender knows then.
                let _ = self.link.answer(now, &mut self.told, &token, &text);
            }
            Order::Linktest(promise) => {
                match self.link.command(now, &mut self.told, |machine, now| machine.linktest(now)) {
                    Ok(system) => self.waits.push((Awaited::Linktest(system), promise)),
                    Err(error) => promise.settle(Err(error.into())),
                }
            }
            Order::Session(session, command, promise) => self.session(now, session, command, promise),
            // They are looked after in every turn.
            #[cfg(feature = "services")]
            Order::Serve => {}
            Order::Sessions(promise) => promise.settle(Ok(self.link.machine.selected_sessions())),
            Order::Counters(promise) => promise.settle(Ok(self.link.counters())),
        }
        false
    }

    /// A text stands in the output, or has been refused. It is counted there before it no longer is on its way: never in neither place.
    fn taken(&self, body: Body) {
        self.shared.tell(self.link.state(), self.link.pending());
        drop(body);
    }

    fn send(&mut self, now: Instant, target: Target, reply_expected: bool, body: &[u8]) -> Result<SystemBytes, Error> {
        let session = target.session.or_else(|| self.link.sole_session()).ok_or(crate::Error::WhichDevice)?;
        let to = (session, target.stream_function);
        Ok(self.link.send(now, &mut self.told, to, reply_expected, body)?)
    }

    /// Where there is no place for another transaction, those that nobody waits for any more make room.
    fn give_up_abandoned(&mut self, now: Instant) {
        let Some(requests) = &mut self.requests else { return };
        // Those of the services are among them.
        if self.link.machine.open_transactions() < self.shared.settings.transactions() {
            return;
        }
        for (system, ..) in requests.extract_if(|_, (_, promise)| promise.is_abandoned()) {
            self.link.forget(now, &mut self.told, system);
            #[cfg(feature = "services")]
            if let Some(served) = &self.shared.services {
                served.retry();
            }
        }
    }

    fn session(&mut self, now: Instant, session: SessionId, command: SessionCommand, promise: Promise<()>) {
        let selects = match command {
            SessionCommand::Select => true,
            SessionCommand::Deselect => false,
            command => {
                let done =
                    self.link.command(now, &mut self.told, |machine, now| machine.session(now, session, command));
                return promise.settle(done.map_err(Error::from));
            }
        };
        match self.link.command(now, &mut self.told, |machine, now| machine.session(now, session, command)) {
            Ok(()) => self.waits.push((Awaited::Session(session, selects), promise)),
            // The same has been asked for already; where it is the contrary, this is refused.
            Err(hsms_core::Error::ControlOpen { .. })
                if self.waits.iter().any(|(awaited, _)| *awaited == Awaited::Session(session, selects)) =>
            {
                self.waits.push((Awaited::Session(session, selects), promise));
            }
            Err(hsms_core::Error::SessionSelected { .. }) => promise.settle(Ok(())),
            Err(error) => promise.settle(Err(error.into())),
        }
    }

    /// Tells those who wait for one of these.
    fn come(&mut self, is: impl Fn(Awaited) -> bool, outcome: impl Fn() -> Result<(), Error>) {
        for (_, promise) in self.waits.extract_if(.., |(awaited, _)| is(*awaited)) {
            promise.settle(outcome());
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
        self.closing = Some(Box::new(Closing { how, until, then_enable: false }));
        if self.link.state() == State::Selected {
            self.tell_farewell();
            if self.shared.has_delegate() {
                return false;
            }
        }
        self.close(now)
    }

    /// Tells that the connection is about to be closed.
    fn tell_farewell(&mut self) {
        self.farewell_told = true;
        self.farewells = self.farewells.saturating_add(1);
        self.tell(Event::BeforeClosed);
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
        self.tell_services_connected();
        let mode = self.shared.settings.config().mode();
        self.link.opened(stream, (&self.shared.onlookers(), mode), now, &mut self.told);
    }

    fn tell_services_connected(&self) {
        #[cfg(feature = "services")]
        if let Some(served) = &self.shared.services {
            served.link(State::NotSelected);
        }
    }

    /// The caller that was waited for is there, and another machine has served it so far: see [`Link::take_over`]. `octets` are for
    /// ours to look at, of which the other has seen some.
    pub(super) fn taken_over(
        &mut self,
        transport: HandedOver,
        answered: (&[u8], &[u8]),
        (seen, octets): (&[u8], &[u8]),
        now: Instant,
    ) {
        (self.farewell_told, self.closed) = (false, None);
        self.tell(Event::Established);
        self.tell_services_connected();
        self.link.take_over(transport, &self.shared.onlookers(), answered, now, &mut self.told);
        self.link.receive_again(now, seen, &mut self.told);
        self.link.receive(now, octets, &mut self.told);
    }

    pub(super) fn open_failed(&mut self, error: io::Error, now: Instant) {
        self.link.open_failed(&error, &self.shared.onlookers(), now, &mut self.told);
        self.tell(Event::ConnectFailed { error });
    }

    /// Passes on what the link has told.
    pub(super) fn pass_on(&mut self, now: Instant) {
        let mut first = false;
        loop {
            while !self.told.is_empty() {
                for told in std::mem::take(&mut self.told) {
                    #[cfg(feature = "services")]
                    let Some(told) = self.serve(told, now, &mut first) else { continue };
                    first |= self.pass_on_one(told, now);
                }
            }
            #[cfg(feature = "services")]
            self.serve_on(now);
            if self.told.is_empty() {
                break;
            }
        }
        if first {
            self.schedule();
        }
        self.shared.tell(self.link.state(), self.link.pending());
        if self.link.state() == State::Selected {
            self.first_address = 0;
            self.come(|awaited| awaited == Awaited::Selected, || Ok(()));
        }
    }

    /// Gives whether the peer is still to be scheduled: when all that came with a message is told, so that whoever handles it
    /// is not woken for each.
    fn pass_on_one(&mut self, told: Told, now: Instant) -> bool {
        match told {
            Told::Message { header, sort: Sort::Primary(token), body } => {
                let pushed = self.push(Item::Event(Event::Received(Received { header, token, body })));
                if !pushed.kept
                    && let Some(token) = token
                {
                    // Fails only where the session has ended, and the sender knows then.
                    let _ = self.link.abort(now, &mut self.told, &token);
                }
                return pushed.first;
            }
            Told::Message { header, sort: Sort::Reply, body } => {
                self.settle(header.system, |_| Ok(Received { header, token: None, body }));
            }
            Told::Message { header, sort: Sort::Abort, .. } => self.aborted(&header),
            Told::Other { header, body_len, class } => {
                self.tell(Event::Other { header, body_len, class });
            }
            Told::Notice(notice) => self.notice(notice),
            Told::Closed { reason, error } => {
                if !self.farewell_told {
                    self.tell_farewell();
                }
                // What was to be closed is: a reconnect is not for the next connection.
                self.closing.take_if(|closing| closing.how == Close::Separate);
                self.closed = Some(Box::new((reason, error.as_ref().map(copy))));
                let closed = || Err(crate::Error::Closed { reason, source: error.as_ref().map(copy) }.into());
                self.come(|awaited| matches!(awaited, Awaited::Session(..)), closed);
                self.tell(Event::Closed { reason, error });
            }
        }
        false
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
                let closed = self.closed_error(end);
                let error = || match &closed {
                    Some(crate::Error::Closed { reason, source }) => {
                        Err(crate::Error::Closed { reason: *reason, source: source.as_ref().map(copy) }.into())
                    }
                    _ => Err(hsms_core::Error::NotSelected.into()),
                };
                self.come(|awaited| awaited == Awaited::Linktest(system), error);
            }
            Notice::LinktestAnswered { system } => self.come(|awaited| awaited == Awaited::Linktest(system), || Ok(())),
            Notice::LinktestMissed { system, missed } => {
                let error = || Err(crate::Error::LinktestMissed { missed }.into());
                self.come(|awaited| awaited == Awaited::Linktest(system), error);
                self.tell(Event::Notice(notice));
            }
            notice => {
                match notice {
                    Notice::SessionSelected { session } => {
                        self.come(|awaited| awaited == Awaited::Session(session, true), || Ok(()));
                    }
                    Notice::SessionEnded { session, .. } => {
                        self.come(|awaited| awaited == Awaited::Session(session, false), || Ok(()));
                    }
                    Notice::SessionRefused { session, refusal } => {
                        let refused = || Err(crate::Error::SessionRefused { session, refusal }.into());
                        let about = |awaited| matches!(awaited, Awaited::Session(other, _) if other == session);
                        self.come(about, refused);
                    }
                    _ => {}
                }
                self.tell(Event::Notice(notice));
            }
        }
    }

    /// What a transaction says that was cut short by the end of the connection.
    fn closed_error(&self, end: TransactionEnd) -> Option<crate::Error> {
        let (reason, source) = &**self.closed.as_ref().filter(|_| end == TransactionEnd::SessionEnded)?;
        Some(crate::Error::Closed { reason: *reason, source: source.as_ref().map(copy) })
    }

    fn settle(&mut self, system: SystemBytes, outcome: impl FnOnce(StreamFunction) -> Result<Received, Error>) {
        if let Some((stream_function, promise)) = self.requests.as_mut().and_then(|requests| requests.remove(&system)) {
            promise.settle(outcome(stream_function));
        }
    }

    /// Tells the application.
    pub(super) fn tell(&mut self, event: Event) {
        if self.push(Item::Event(event)).first {
            self.schedule();
        }
    }

    fn push(&mut self, item: Item) -> Pushed {
        let pushed = self.shared.queue.push(item, self.shared.settings.options());
        self.farewells = self.farewells.saturating_sub(u32::try_from(pushed.farewells).unwrap_or(u32::MAX));
        if !pushed.first {
            self.pool.help();
        }
        pushed
    }

    fn schedule(&self) {
        self.pool.schedule(Peer { shared: Arc::clone(&self.shared) });
    }

    /// Nothing happens any more for now.
    pub(super) fn rest(&mut self) {
        self.link.tell_meter(&self.shared.name);
        self.link.rest();
        self.requests.take_if(|requests| requests.is_empty());
        if self.waits.is_empty() {
            self.waits = Vec::new();
        }
    }

    /// The peer is no more: whoever still waits is told so.
    pub(super) fn remove(mut self, stopped: bool) {
        let error = || if stopped { Error::Stopped } else { Error::Removed };
        for (_, promise) in self.requests.take().into_iter().flat_map(|requests| requests.into_values()) {
            promise.settle(Err(error()));
        }
        for (_, promise) in std::mem::take(&mut self.waits) {
            promise.settle(Err(error()));
        }
    }
}

/// However it goes, by a panic of the loop as well.
impl Drop for Entry {
    fn drop(&mut self) {
        self.shared.tell(State::NotConnected, 0);
        #[cfg(feature = "services")]
        self.end_services();
    }
}
