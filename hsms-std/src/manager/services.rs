//! Services of a peer: the core stands in the event loop with the link, handlers are called by worker threads.

use super::delegate::lock;
use super::link::{Link, Told};
use super::peer::{Order, Peer};
use crate::clock::Clock;
use crate::services::handler::{Call, Handler, Task};
use crate::services::layer::{Carrier, Layer, Outcome};
use crate::services::{
    Answered, EndpointNotice, Error, Failed, Kept, Pair, Request, Returned, ServiceId, Settings, Status, TrustState,
};
use hsms_core::Config;
use hsms_core::connection::{ReplyToken, State, Stream9, TransactionEnd};
use hsms_core::secs2::serde::to_text;
use hsms_core::services::Ticket;
use hsms_core::time::Instant;
use hsms_core::wire::{Header, Message, StreamFunction, SystemBytes};
use serde::Serialize;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

/// The services of a peer that was added with [`PeerSettings::with_services`](super::PeerSettings::with_services). Cheap to clone; for any
/// number of threads.
///
/// Handlers are called by the worker threads of the manager, for one peer one at a time and in order. The calls that wait can be made by
/// them as well, but not wait for what the handler itself has to answer.
#[derive(Clone)]
pub struct PeerServices {
    peer: Peer,
}

/// What the loop, workers and handles know of the services of a peer.
#[derive(Debug)]
pub(super) struct Served {
    state: Mutex<Serving>,
    /// Something has come of it.
    come: Condvar,
    /// Of its own, so that handles and the loop mean the same.
    clock: Clock,
}

#[derive(Debug)]
struct Serving {
    layer: Layer,
    /// The peer has been removed, or its loop has ended.
    gone: bool,
}

/// A handler that is to be called: see [`Event::Call`](super::Event::Call).
#[derive(Debug)]
pub struct HandlerCall(pub(super) Call);

impl Served {
    pub(super) fn new(settings: Settings, config: &Config) -> Result<Self, Error> {
        let state = Mutex::new(Serving { layer: settings.layer(config)?, gone: false });
        Ok(Served { state, come: Condvar::new(), clock: Clock::new() })
    }

    fn with<R>(&self, act: impl FnOnce(&mut Layer, Instant) -> R) -> R {
        let now = self.clock.now();
        act(&mut lock(&self.state).layer, now)
    }

    /// When the loop has to come back, on its clock.
    pub(super) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let deadline = self.with(|layer, _| layer.next_deadline())?;
        Some(now.saturating_add(self.clock.until(deadline).saturating_add(Duration::from_micros(999))))
    }

    pub(super) fn link(&self, state: State) {
        self.with(|layer, now| layer.link(now, state));
    }

    pub(super) fn primary(&self, header: Header, token: Option<ReplyToken>, body: &[u8]) -> Task {
        self.with(|layer, now| layer.primary(now, header, token, body))
    }

    pub(super) fn reply(&self, header: Header, body: &[u8]) -> Task {
        self.with(|layer, now| layer.reply(now, header, body))
    }

    pub(super) fn ended(&self, system: SystemBytes, end: TransactionEnd) {
        self.with(|layer, now| layer.ended(now, system, end));
    }

    /// Has everything done that is to be done. Gives whether the link is to be dropped.
    pub(super) fn go_on(&self, now: Instant, link: &mut Link, told: &mut Vec<Told>) -> bool {
        let mut via = Via { now, link, told, drops: false };
        self.with(|layer, now| layer.go_on(now, &mut via));
        self.come.notify_all();
        via.drops
    }

    /// The peer is no more, or is there again.
    pub(super) fn set_gone(&self, gone: bool) {
        let mut state = lock(&self.state);
        state.gone = gone;
        if gone {
            let now = self.clock.now();
            state.layer.link(now, State::NotConnected);
        }
        drop(state);
        self.come.notify_all();
    }
}

/// A link as what carries messages.
struct Via<'a> {
    now: Instant,
    link: &'a mut Link,
    told: &'a mut Vec<Told>,
    drops: bool,
}

impl Carrier for Via<'_> {
    fn send(
        &mut self,
        what: StreamFunction,
        reply_expected: bool,
        body: &[u8],
    ) -> Result<SystemBytes, hsms_core::Error> {
        let session = self.link.sole_session().ok_or(hsms_core::Error::NotSelected)?;
        self.link.send(self.now, self.told, (session, what), reply_expected, body)
    }

    fn reply(&mut self, token: &ReplyToken, body: &[u8]) {
        // Fails only where the session has ended, and the sender knows then.
        let _ = self.link.reply(self.now, self.told, token, body);
    }

    fn abort(&mut self, token: &ReplyToken) {
        let _ = self.link.abort(self.now, self.told, token);
    }

    fn report(&mut self, error: Stream9, about: &Header) {
        let _ = self.link.command(self.now, self.told, |machine, now| machine.report_error(now, error, about));
    }

    fn drop_link(&mut self) {
        self.drops = true;
    }
}

impl PeerServices {
    pub(super) fn of(peer: &Peer) -> Option<Self> {
        peer.shared.services.as_ref().map(|_| PeerServices { peer: peer.clone() })
    }

    fn served(&self) -> Option<&Served> {
        self.peer.shared.services.as_deref()
    }

    fn state(&self) -> Result<MutexGuard<'_, Serving>, Error> {
        self.served().map(|served| lock(&served.state)).ok_or(Error::Gone)
    }

    fn now(&self) -> Instant {
        self.served().map_or(Instant::EPOCH, |served| served.clock.now())
    }

    /// Adds a request and its response, with their names.
    ///
    /// # Errors
    /// [`Error::Register`]: an id is taken, or the pair cannot be.
    pub fn add_service(
        &self,
        request: u8,
        response: u8,
        request_name: &'static str,
        response_name: &'static str,
    ) -> Result<Pair, Error> {
        self.state()?.layer.add_service(request, response, request_name, response_name)
    }

    /// Names a data id of one or several services.
    ///
    /// # Errors
    /// [`Error::Register`]: those in front of a service that is not known have been named.
    pub fn add_data(&self, services: &[ServiceId], data_id: u32, name: &'static str) -> Result<(), Error> {
        self.state()?.layer.add_data(services, data_id, name)
    }

    /// Names a status.
    ///
    /// # Errors
    /// [`Error::Register`].
    pub fn add_status(&self, status: Status, name: &'static str) -> Result<(), Error> {
        self.state()?.layer.add_status(status, name)
    }

    /// Has a closure answer service messages: see [`Endpoint::on_request`](crate::services::Endpoint::on_request).
    ///
    /// # Errors
    /// [`Error::TooManyHandlers`].
    pub fn on_request(
        &self,
        service: Option<ServiceId>,
        data_id: Option<u32>,
        handler: impl FnMut(&Request<'_>) -> Result<Returned, Failed> + Send + 'static,
    ) -> Result<bool, Error> {
        self.state()?.layer.on_request(service, data_id, Handler::of_services(handler))
    }

    /// Has a closure answer SECS-II primaries: see [`Endpoint::on_primary`](crate::services::Endpoint::on_primary).
    ///
    /// # Errors
    /// [`Error::TooManyHandlers`].
    pub fn on_primary(
        &self,
        stream: Option<u8>,
        function: Option<u8>,
        handler: impl FnMut(&Message<'_>) -> Result<Vec<u8>, Failed> + Send + 'static,
    ) -> Result<bool, Error> {
        self.state()?.layer.on_primary(stream, function, Handler::of_functions(handler))
    }

    /// Sends a service request with a value, and waits for the answer: see [`Endpoint::send`](crate::services::Endpoint::send).
    ///
    /// # Errors
    /// [`Error::Sending`], [`Error::Status`], [`Error::Value`], [`Error::Gone`].
    pub fn send<T: Serialize + ?Sized>(
        &self,
        service: ServiceId,
        data_id: u32,
        value: &T,
        limit: Duration,
    ) -> Result<Answered, Error> {
        let (now, data) = (self.now(), to_text(value)?);
        let deadline = now.saturating_add(limit);
        let ticket = self.state()?.layer.send(now, (service, data_id), Some(&data), true, deadline)?;
        self.outcome(ticket).map(|data| Answered { data })
    }

    /// Sends a service request that expects no answer, and waits until it stands in the ordered output.
    ///
    /// # Errors
    /// Those of [`send`](Self::send) up to then.
    pub fn tell<T: Serialize + ?Sized>(
        &self,
        service: ServiceId,
        data_id: u32,
        value: &T,
        limit: Duration,
    ) -> Result<(), Error> {
        let (now, data) = (self.now(), to_text(value)?);
        let deadline = now.saturating_add(limit);
        let ticket = self.state()?.layer.send(now, (service, data_id), Some(&data), false, deadline)?;
        self.outcome(ticket).map(|_| ())
    }

    /// Sends a SECS-II primary and waits for its reply: see [`Endpoint::request`](crate::services::Endpoint::request).
    ///
    /// # Errors
    /// [`Error::Sending`], [`Error::Gone`].
    pub fn request(&self, what: StreamFunction, body: &[u8], limit: Duration) -> Result<Vec<u8>, Error> {
        let now = self.now();
        let deadline = now.saturating_add(limit);
        let ticket = self.state()?.layer.send_function(now, what, body.to_vec(), true, deadline)?;
        Ok(self.outcome(ticket)?.unwrap_or_default())
    }

    /// Takes the oldest message with these keys out of the inbox, waiting for it: see
    /// [`Endpoint::receive`](crate::services::Endpoint::receive).
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn receive(
        &self,
        service: Option<ServiceId>,
        data_id: Option<u32>,
        limit: Duration,
    ) -> Result<Option<Kept>, Error> {
        let end = self.now().saturating_add(limit);
        self.wait(end, |layer, now| match layer.receive(now, service, data_id, end) {
            Poll::Ready(kept) => Some(kept),
            Poll::Pending => None,
        })
        .map(Option::flatten)
    }

    /// Runs the handshake, where it has not been, and waits for its outcome: see
    /// [`Endpoint::authenticate`](crate::services::Endpoint::authenticate).
    ///
    /// # Errors
    /// [`Error::Sending`], [`Error::Gone`].
    pub fn authenticate(&self, limit: Duration) -> Result<(), Error> {
        let now = self.now();
        let ticket = self.state()?.layer.authenticate(now, now.saturating_add(limit))?;
        self.outcome(ticket).map(|_| ())
    }

    /// Waits until service messages may flow; gives whether they may.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn establish(&self, limit: Duration) -> Result<bool, Error> {
        self.come(limit, Layer::is_established)
    }

    /// Waits until SECS-II messages may flow; gives whether they may.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn communicate(&self, limit: Duration) -> Result<bool, Error> {
        self.come(limit, Layer::is_communicating)
    }

    /// Drops the link and waits until it is established again; gives whether it is.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn reconnect(&self, limit: Duration) -> Result<bool, Error> {
        self.state()?.layer.reconnect();
        self.poke()?;
        self.establish(limit)
    }

    /// The next of what the services tell; `None` when there is none within `limit`.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn next_notice(&self, limit: Duration) -> Result<Option<EndpointNotice>, Error> {
        self.wait(self.now().saturating_add(limit), |layer, _| layer.next_notice())
    }

    /// Whether there is a link, SELECTED or not.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.ask(Layer::is_connected)
    }

    /// Whether the connection is SELECTED.
    #[must_use]
    pub fn is_selected(&self) -> bool {
        self.ask(Layer::is_selected)
    }

    /// Whether the connection is trusted, or there is no secret.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.ask(Layer::is_trusted)
    }

    /// Whether service messages may flow: SELECTED, and trusted where there is a secret.
    #[must_use]
    pub fn is_established(&self) -> bool {
        self.ask(Layer::is_established)
    }

    /// Whether SECS-II messages may flow: established, and communication is, where it is to be.
    #[must_use]
    pub fn is_communicating(&self) -> bool {
        self.ask(Layer::is_communicating)
    }

    /// How far the proofs are; `None` without a secret.
    #[must_use]
    pub fn trust_state(&self) -> Option<TrustState> {
        self.state().ok().and_then(|state| state.layer.trust_state())
    }

    /// The name of the connection that counts, as far as is known.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.state().ok().and_then(|state| state.layer.name().map(str::to_owned))
    }

    fn ask(&self, question: impl FnOnce(&Layer) -> bool) -> bool {
        self.state().is_ok_and(|state| question(&state.layer))
    }

    fn come(&self, limit: Duration, come: impl Fn(&Layer) -> bool) -> Result<bool, Error> {
        let end = self.now().saturating_add(limit);
        Ok(self.wait(end, |layer, _| come(layer).then_some(()))?.is_some())
    }

    /// Every sending has an outcome, at its deadline at the latest.
    fn outcome(&self, ticket: Ticket) -> Outcome {
        let outcome = self.poke().and_then(|()| {
            let never = Instant::from_millis(u64::MAX);
            self.wait(never, |layer, _| layer.outcome(ticket))
        });
        match outcome {
            Ok(Some(outcome)) => outcome,
            Ok(None) | Err(_) => {
                self.state()?.layer.cancel(ticket);
                Err(Error::Gone)
            }
        }
    }

    /// Has the loop look after it.
    fn poke(&self) -> Result<(), Error> {
        self.peer.order(Order::Serve).map_err(|_| Error::Gone)
    }

    /// Waits for what `look` gives: until `end`, or the peer is gone.
    fn wait<R>(
        &self,
        end: Instant,
        mut look: impl FnMut(&mut Layer, Instant) -> Option<R>,
    ) -> Result<Option<R>, Error> {
        let served = self.served().ok_or(Error::Gone)?;
        let mut state = lock(&served.state);
        loop {
            let now = served.clock.now();
            if let Some(found) = look(&mut state.layer, now) {
                return Ok(Some(found));
            }
            if state.gone {
                return Err(Error::Gone);
            }
            if now >= end {
                return Ok(None);
            }
            let left = served.clock.until(end);
            state = served.come.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl fmt::Debug for PeerServices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerServices").field("peer", &self.peer).finish()
    }
}

/// What a worker does about a call.
pub(super) fn call(peer: &Peer, HandlerCall(call): HandlerCall) {
    match call.run() {
        Task::Reply(token, text) => {
            // The requester is not left without an answer where too much waits for it already.
            if let Err(super::Error::OutputFull { .. }) = peer.reply(token, text).wait(Duration::ZERO) {
                drop(peer.abort(token));
            }
        }
        Task::Abort(token) => drop(peer.abort(token)),
        Task::None | Task::Call(_) => {}
    }
}

/// Has the loop do what a message asks for; handlers are called elsewhere.
pub(super) fn carry_out(task: Task, now: Instant, link: &mut Link, told: &mut Vec<Told>) {
    let mut via = Via { now, link, told, drops: false };
    match task {
        Task::Reply(token, text) => via.reply(&token, &text),
        Task::Abort(token) => via.abort(&token),
        Task::None | Task::Call(_) => {}
    }
}
