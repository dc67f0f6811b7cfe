//! Services on a blocking connection.

use super::handler::{Failed, Handler, Request, Returned, Task};
use super::layer::{Answered, Carrier, Kept, Layer, Outcome};
use super::{EndpointNotice, Error, Pair, ServiceId, Settings, Status, TrustState};
use crate::clock::Clock;
use crate::{Connection, Incoming};
use hsms_core::connection::{CloseReason, ReplyToken, State, Stream9, TransactionEnd};
use hsms_core::secs2::serde::to_text;
use hsms_core::services::Ticket;
use hsms_core::time::Instant;
use hsms_core::wire::{Header, Message, StreamFunction, SystemBytes};
use serde::Serialize;
use std::collections::VecDeque;
use std::io;
use std::task::Poll;
use std::time::Duration;

/// Services on one [`Connection`]: requests, handlers, inbox, trust, names, establishing communication. See the
/// [module](super).
///
/// Everything happens in the caller's thread, inside the calls that wait: handlers are called there as well, also while the owner waits
/// for an answer of its own. Between calls nothing happens: whoever has nothing to send calls [`next`](Self::next) again and again.
#[derive(Debug)]
pub struct Endpoint<const TRANSACTIONS: usize = 64> {
    link: Connection<TRANSACTIONS>,
    layer: Layer,
    clock: Clock,
    events: VecDeque<Event>,
}

/// Events that wait to be taken; of more the oldest go.
const MOST_EVENTS: usize = 256;

/// What happened on an endpoint.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The transport is open.
    Connected,
    /// The connection is SELECTED.
    Selected,
    /// The peer deselected.
    Deselected,
    /// The transport is closed; it is connected again, unless the connection is disabled.
    Closed {
        /// Why.
        reason: CloseReason,
        /// What the system said where reading or writing failed.
        error: Option<io::Error>,
    },
    /// An attempt to dial or to listen failed; the next follows after T5.
    ConnectFailed {
        /// What the system said about the last address tried.
        error: io::Error,
    },
    /// What the services tell.
    Services(EndpointNotice),
}

impl<const TRANSACTIONS: usize> Endpoint<TRANSACTIONS> {
    /// Services on this connection: active is the client, passive the server.
    ///
    /// # Errors
    /// [`Error::Settings`]; [`Error::Connection`] with [`WhichDevice`](crate::Error::WhichDevice) where the connection does not serve
    /// exactly one device id.
    pub fn new(link: Connection<TRANSACTIONS>, settings: Settings) -> Result<Self, Error> {
        let mut layer = settings.layer(link.config())?;
        let clock = Clock::new();
        layer.link(clock.now(), link.state());
        Ok(Endpoint { link, layer, clock, events: VecDeque::new() })
    }

    /// The connection, for what concerns it alone. Whatever is sent or taken by it passes the services by.
    #[must_use]
    pub const fn connection(&self) -> &Connection<TRANSACTIONS> {
        &self.link
    }

    // Services, data ids and names.

    /// Adds a request and its response, with their names.
    ///
    /// # Errors
    /// [`Error::Register`]: an id is taken, or the pair cannot be.
    pub fn add_service(
        &mut self,
        request: u8,
        response: u8,
        request_name: &'static str,
        response_name: &'static str,
    ) -> Result<Pair, Error> {
        self.layer.add_service(request, response, request_name, response_name)
    }

    /// Names a data id of one or several services.
    ///
    /// # Errors
    /// [`Error::Register`]: those in front of a service that is not known have been named.
    pub fn add_data(&mut self, services: &[ServiceId], data_id: u32, name: &'static str) -> Result<(), Error> {
        self.layer.add_data(services, data_id, name)
    }

    /// Names a status.
    ///
    /// # Errors
    /// [`Error::Register`].
    pub fn add_status(&mut self, status: Status, name: &'static str) -> Result<(), Error> {
        self.layer.add_status(status, name)
    }

    // Handlers.

    /// Has a closure answer service messages; `None` is any. That under both keys is called, else that of the service, else that of the data
    /// id, else that of neither. Gives whether it took the place of another.
    ///
    /// What it returns answers requests of registered services. Where it fails or panics that is [`Status::CALLBACK_ERROR`], and the
    /// connection goes on.
    ///
    /// # Errors
    /// [`Error::TooManyHandlers`].
    pub fn on_request(
        &mut self,
        service: Option<ServiceId>,
        data_id: Option<u32>,
        handler: impl FnMut(&Request<'_>) -> Result<Returned, Failed> + Send + 'static,
    ) -> Result<bool, Error> {
        self.layer.on_request(service, data_id, Handler::of_services(handler))
    }

    /// Has a closure answer SECS-II primaries, with the text of the reply; `None` is any. Where it fails or panics that is SxF0. Gives
    /// whether it took the place of another.
    ///
    /// # Errors
    /// [`Error::TooManyHandlers`].
    pub fn on_primary(
        &mut self,
        stream: Option<u8>,
        function: Option<u8>,
        handler: impl FnMut(&Message<'_>) -> Result<Vec<u8>, Failed> + Send + 'static,
    ) -> Result<bool, Error> {
        self.layer.on_primary(stream, function, Handler::of_functions(handler))
    }

    /// Whether the peer's S1F13 is accepted from now on; it is unless said otherwise.
    pub fn accept_communication(&mut self, accepts: bool) {
        self.layer.accept_communication(accepts);
    }

    // Calls that wait.

    /// Sends a service request with a value, and waits for the answer: within `limit`, which includes waiting for the connection to be
    /// SELECTED and trusted. `&()` is no data.
    ///
    /// # Errors
    /// [`Error::Sending`], [`Error::Status`], [`Error::Value`], [`Error::Connection`] where nothing can come any more.
    pub fn send<T: Serialize + ?Sized>(
        &mut self,
        service: ServiceId,
        data_id: u32,
        value: &T,
        limit: Duration,
    ) -> Result<Answered, Error> {
        self.send_encoded(service, data_id, Some(&to_text(value)?), limit)
    }

    /// The same with data that are one encoded item, or none.
    ///
    /// # Errors
    /// Those of [`send`](Self::send), and [`Error::NotOneItem`].
    pub fn send_encoded(
        &mut self,
        service: ServiceId,
        data_id: u32,
        data: Option<&[u8]>,
        limit: Duration,
    ) -> Result<Answered, Error> {
        let now = self.clock.now();
        let ticket = self.layer.send(now, (service, data_id), data, true, now.saturating_add(limit))?;
        self.outcome(ticket).map(|data| Answered { data })
    }

    /// Sends a service request that expects no answer, and waits until it has gone out.
    ///
    /// # Errors
    /// Those of [`send`](Self::send) up to then.
    pub fn tell<T: Serialize + ?Sized>(
        &mut self,
        service: ServiceId,
        data_id: u32,
        value: &T,
        limit: Duration,
    ) -> Result<(), Error> {
        let (now, data) = (self.clock.now(), to_text(value)?);
        let ticket = self.layer.send(now, (service, data_id), Some(&data), false, now.saturating_add(limit))?;
        self.outcome(ticket)?;
        Ok(self.link.flush()?)
    }

    /// Sends a SECS-II primary and waits for its reply: within `limit`, which includes waiting for the connection to be SELECTED and
    /// trusted, and for communication where that is to be established. Gives the text of the reply.
    ///
    /// # Errors
    /// [`Error::Sending`]; [`Error::Connection`].
    pub fn request(&mut self, what: StreamFunction, body: &[u8], limit: Duration) -> Result<Vec<u8>, Error> {
        let now = self.clock.now();
        let ticket = self.layer.send_function(now, what, body.to_vec(), true, now.saturating_add(limit))?;
        Ok(self.outcome(ticket)?.unwrap_or_default())
    }

    /// Takes the oldest message with these keys out of the inbox, `None` for any, waiting for it at most for `limit`. `None` when
    /// that is over.
    ///
    /// # Errors
    /// [`Error::Connection`].
    pub fn receive(
        &mut self,
        service: Option<ServiceId>,
        data_id: Option<u32>,
        limit: Duration,
    ) -> Result<Option<Kept>, Error> {
        let end = self.clock.now().saturating_add(limit);
        loop {
            if let Poll::Ready(kept) = self.layer.receive(self.clock.now(), service, data_id, end) {
                return Ok(kept);
            }
            self.turn(end)?;
        }
    }

    /// Runs the handshake, where it has not been, and waits for its outcome.
    ///
    /// # Errors
    /// [`Error::Sending`] with [`NotPermitted`](super::SendError::NotPermitted) without a secret and on the passive end, or with why there is no trust;
    /// [`Error::Connection`].
    pub fn authenticate(&mut self, limit: Duration) -> Result<(), Error> {
        let now = self.clock.now();
        let ticket = self.layer.authenticate(now, now.saturating_add(limit))?;
        self.outcome(ticket).map(|_| ())
    }

    /// Waits until service messages may flow; gives whether they may.
    ///
    /// # Errors
    /// [`Error::Connection`].
    pub fn establish(&mut self, limit: Duration) -> Result<bool, Error> {
        self.wait_for(limit, Self::is_established)
    }

    /// Waits until SECS-II messages may flow; gives whether they may.
    ///
    /// # Errors
    /// [`Error::Connection`].
    pub fn communicate(&mut self, limit: Duration) -> Result<bool, Error> {
        self.wait_for(limit, Self::is_communicating)
    }

    /// Drops the link and waits until it is established again; gives whether it is.
    ///
    /// # Errors
    /// [`Error::Connection`].
    pub fn reconnect(&mut self, limit: Duration) -> Result<bool, Error> {
        self.layer.reconnect();
        self.wait_for(limit, Self::is_established)
    }

    /// What happens next, waiting for it at most for `limit`; `None` when that is over. Handlers are called meanwhile, and requests of the
    /// peer answered.
    ///
    /// # Errors
    /// [`Error::Connection`].
    pub fn next(&mut self, limit: Duration) -> Result<Option<Event>, Error> {
        let end = self.clock.now().saturating_add(limit);
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            self.turn(end)?;
            if self.events.is_empty() && self.clock.now() >= end {
                return Ok(None);
            }
        }
    }

    /// Ends the session with Separate.req and closes the connection.
    ///
    /// # Errors
    /// [`Error::Connection`].
    pub fn close(self) -> Result<(), Error> {
        Ok(self.link.close()?)
    }

    // Questions.

    /// Whether there is a link, SELECTED or not.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.layer.is_connected()
    }

    /// Whether the connection is SELECTED.
    #[must_use]
    pub fn is_selected(&self) -> bool {
        self.layer.is_selected()
    }

    /// Whether the connection is trusted, or there is no secret.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.layer.is_trusted()
    }

    /// Whether service messages may flow: SELECTED, and trusted where there is a secret.
    #[must_use]
    pub fn is_established(&self) -> bool {
        self.layer.is_established()
    }

    /// Whether SECS-II messages may flow: established, and communication is, where it is to be.
    #[must_use]
    pub fn is_communicating(&self) -> bool {
        self.layer.is_communicating()
    }

    /// How far the proofs are; `None` without a secret.
    #[must_use]
    pub fn trust_state(&self) -> Option<TrustState> {
        self.layer.trust_state()
    }

    /// The name of the connection that counts, as far as is known.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.layer.name()
    }

    /// How many messages were refused before trust.
    #[must_use]
    pub fn refused(&self) -> u32 {
        self.layer.refused()
    }

    /// How many messages wait in the inbox, and how many found no room in it.
    #[must_use]
    pub fn inbox(&self) -> (usize, u32) {
        self.layer.inbox()
    }

    fn wait_for(&mut self, limit: Duration, come: impl Fn(&Self) -> bool) -> Result<bool, Error> {
        let end = self.clock.now().saturating_add(limit);
        loop {
            if come(self) {
                return Ok(true);
            }
            if self.clock.now() >= end {
                return Ok(false);
            }
            self.turn(end)?;
        }
    }

    /// Every sending has one, at its deadline at the latest.
    fn outcome(&mut self, ticket: Ticket) -> Outcome {
        loop {
            if let Some(outcome) = self.layer.outcome(ticket) {
                return outcome;
            }
            if let Err(error) = self.turn(FOR_EVER) {
                self.layer.cancel(ticket);
                return Err(error);
            }
        }
    }

    /// Does what there is to do, and waits until something happens: until `end`, or the next deadline.
    fn turn(&mut self, end: Instant) -> Result<(), Error> {
        let now = self.go_on();
        if self.layer.has_news() {
            self.take_notices();
            return Ok(());
        }
        let end = self.layer.next_deadline().map_or(end, |deadline| deadline.min(end)).max(now);
        let (layer, link) = (&mut self.layer, &mut self.link);
        let mut task = Task::None;
        match link.next(self.clock.until(end)) {
            Ok(Some(incoming)) => {
                let now = self.clock.now();
                let mut become_state = |state| layer.link(now, state);
                let event = match incoming {
                    Incoming::Primary { message, token } => {
                        task = layer.primary(now, message.header, token, message.body);
                        None
                    }
                    Incoming::Reply { message } => {
                        task = layer.reply(now, message.header, message.body);
                        None
                    }
                    Incoming::Aborted { header } => {
                        task = layer.reply(now, header, &[]);
                        None
                    }
                    Incoming::TransactionEnded { system, end } => {
                        layer.ended(now, system, end);
                        None
                    }
                    // It came, and there was no room for it.
                    Incoming::ReplyDropped { header, body_len } => {
                        let end = TransactionEnd::ReplyTooLong { length: body_len.saturating_add(10) };
                        layer.ended(now, header.system, end);
                        None
                    }
                    Incoming::Connected => {
                        become_state(State::NotSelected);
                        Some(Event::Connected)
                    }
                    Incoming::Selected => {
                        become_state(State::Selected);
                        Some(Event::Selected)
                    }
                    Incoming::Deselected => {
                        become_state(State::NotSelected);
                        Some(Event::Deselected)
                    }
                    Incoming::Closed { reason, error } => {
                        become_state(State::NotConnected);
                        Some(Event::Closed { reason, error })
                    }
                    Incoming::ConnectFailed { error } => Some(Event::ConnectFailed { error }),
                    // Told by the log and by the counters of the connection.
                    _ => None,
                };
                self.events.extend(event);
            }
            Ok(None) => {}
            // The connection has ended, and that is told next.
            Err(crate::Error::WriteStalled { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Layer::carry_out(task, &mut self.link);
        self.go_on();
        self.take_notices();
        Ok(())
    }

    fn go_on(&mut self) -> Instant {
        let now = self.clock.now();
        self.layer.go_on(now, &mut self.link);
        now
    }

    fn take_notices(&mut self) {
        self.events.extend(std::iter::from_fn(|| self.layer.next_notice()).map(Event::Services));
        let surplus = self.events.len().saturating_sub(MOST_EVENTS);
        self.events.drain(..surplus);
    }
}

/// The core's deadlines come first.
const FOR_EVER: Instant = Instant::from_millis(u64::MAX);

impl<const TRANSACTIONS: usize> Carrier for Connection<TRANSACTIONS> {
    fn send(
        &mut self,
        what: StreamFunction,
        reply_expected: bool,
        body: &[u8],
    ) -> Result<SystemBytes, hsms_core::Error> {
        let sent = if reply_expected { self.post(what, body) } else { Connection::send(self, what, body) };
        sent.map_err(|error| match error {
            crate::Error::Refused(error) => error,
            // As long as replies wait to be taken there is no room for more.
            crate::Error::InboxFull { waiting } => hsms_core::Error::TransactionsFull { open: waiting },
            // The connection has ended: it waits for the next.
            _ => hsms_core::Error::NotConnected,
        })
    }

    fn reply(&mut self, token: &ReplyToken, body: &[u8]) {
        // Fails where the connection has ended, and the sender knows then.
        let _ = Connection::reply(self, token, body);
    }

    fn abort(&mut self, token: &ReplyToken) {
        let _ = Connection::abort(self, token);
    }

    fn report(&mut self, error: Stream9, about: &Header) {
        let _ = self.report_error(error, about);
    }

    fn drop_link(&mut self) {
        let _ = self.separate();
    }
}
