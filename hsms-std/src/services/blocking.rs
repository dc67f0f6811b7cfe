//! Services on a blocking connection.

use super::handler::{Failed, Handler, Request, Returned, Task};
use super::layer::{Answered, Carrier, Kept, Layer, Line, Outcome, Replies};
use super::{EndpointNotice, Error, Pair, ServiceId, Settings, Status, TrustState};
use crate::clock::{Clock, FOR_EVER};
use crate::{Connection, Incoming};
use hsms_core::connection::{CloseReason, ReplyToken, State, Stream9};
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
///
/// A message of 16 KiB or more is written at once, as [`Connection::post`] does it: a peer that takes it slowly holds the call, beyond its
/// `limit` too, and one that takes nothing for the [write limit](crate::Options::with_write_limit).
#[derive(Debug)]
pub struct Endpoint<const TRANSACTIONS: usize = 64> {
    link: Connection<TRANSACTIONS>,
    /// The link as the layer knows it.
    known: Known,
    /// The layer goes by the link itself, since not all that happened to it is told: until nothing waits to be told any more.
    ahead: bool,
    /// Notices that the link could not keep.
    dropped: u64,
    layer: Layer,
    clock: Clock,
    events: VecDeque<Event>,
    /// Messages looked at since something was due.
    since_due: u32,
}

/// Its state, and how often it has become SELECTED.
type Known = (State, u64);

/// Events that wait to be taken; of more the oldest go.
const MOST_EVENTS: usize = 256;

/// Messages that are looked at before something that is due expires: what has come in time comes first, but a peer that never stops
/// sending stops nothing.
const MOST_BEFORE_TIMEOUT: u32 = 1_024;

/// What happened on an endpoint. Of more than 256 that nobody takes the oldest are lost, and not counted: the log has them all.
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
    pub fn new(mut link: Connection<TRANSACTIONS>, settings: Settings) -> Result<Self, Error> {
        let layer = settings.layer(link.config())?;
        link.keep_unawaited();
        link.set_words(layer.words());
        let (known, dropped) = ((State::NotConnected, 0), link.dropped().notices);
        let (clock, events) = (Clock::new(), VecDeque::new());
        // What it is to tell may be what its owner has seen already.
        let mut endpoint = Endpoint { link, known, ahead: true, dropped, layer, clock, events, since_due: 0 };
        endpoint.follow(endpoint.link.has_kept());
        Ok(endpoint)
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

    /// Names a stream, for log lines.
    ///
    /// # Errors
    /// [`Error::Register`].
    pub fn add_stream(&mut self, stream: u8, name: &'static str) -> Result<(), Error> {
        self.layer.add_stream(stream, name)
    }

    /// Names a function of a stream, for log lines.
    ///
    /// # Errors
    /// [`Error::Register`].
    pub fn add_function(&mut self, stream_function: StreamFunction, name: &'static str) -> Result<(), Error> {
        self.layer.add_function(stream_function, name)
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
        Ok(self.layer.on_request(service, data_id, Handler::of_services(handler))?.is_some())
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
        Ok(self.layer.on_primary(stream, function, Handler::of_functions(handler))?.is_some())
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
        let data = to_text(value)?;
        let ticket = self.begin(service, data_id, Some(&data), limit)?;
        drop(data);
        self.outcome(ticket).map(|data| Answered { data })
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
        let ticket = self.begin(service, data_id, data, limit)?;
        self.outcome(ticket).map(|data| Answered { data })
    }

    fn begin(
        &mut self,
        service: ServiceId,
        data_id: u32,
        data: Option<&[u8]>,
        limit: Duration,
    ) -> Result<Ticket, Error> {
        let now = self.clock.now();
        self.layer.send(now, (service, data_id), data, true, now.saturating_add(limit))
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
        self.act();
        if !self.layer.has_news() {
            let now = self.clock.now();
            let deadline = self.layer.next_deadline();
            if deadline.is_none_or(|deadline| deadline > now) {
                self.since_due = 0;
            }
            let end = deadline.map_or(end, |deadline| deadline.min(end)).max(now);
            if self.since_due < MOST_BEFORE_TIMEOUT && self.take_next(end)? {
                self.since_due = self.since_due.saturating_add(1);
            } else {
                self.layer.expire(self.clock.now());
            }
            self.act();
        }
        self.events.extend(std::iter::from_fn(|| self.layer.next_notice()).map(Event::Services));
        let surplus = self.events.len().saturating_sub(MOST_EVENTS);
        self.events.drain(..surplus);
        Ok(())
    }

    /// Gives what comes next out of the connection, until `end` at most, to whom it is for. Gives whether there was something.
    fn take_next(&mut self, end: Instant) -> Result<bool, Error> {
        match self.link.look_for_next(self.clock.until(end)) {
            Ok(true) => {}
            Ok(false) => {
                self.follow(false);
                return Ok(false);
            }
            // The connection has ended, and that is told next.
            Err(crate::Error::WriteStalled { .. }) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
        let dropped = self.link.dropped().notices;
        self.ahead |= dropped != self.dropped;
        self.dropped = dropped;
        // It is one of those that wait, and perhaps of a link that is no more.
        self.follow(true);
        let Some(incoming) = self.link.take_next() else { return Ok(false) };
        let (now, layer) = (self.clock.now(), &mut self.layer);
        let (mut task, mut told) = (Task::None, None);
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
            Incoming::ReplyDropped { header, .. } => {
                layer.reply_dropped(now, header.system);
                None
            }
            Incoming::Connected => {
                told = Some(State::NotSelected);
                Some(Event::Connected)
            }
            Incoming::Selected => {
                told = Some(State::Selected);
                Some(Event::Selected)
            }
            Incoming::Deselected => {
                told = Some(State::NotSelected);
                Some(Event::Deselected)
            }
            Incoming::Closed { reason, error } => {
                told = Some(State::NotConnected);
                Some(Event::Closed { reason, error })
            }
            Incoming::ConnectFailed { error } => Some(Event::ConnectFailed { error }),
            // Told by the log and by the counters of the connection.
            _ => None,
        };
        self.events.extend(event);
        if let Some(state) = told.filter(|_| !self.ahead) {
            let selections = self.known.1.saturating_add(u64::from(state == State::Selected));
            self.known = (state, selections);
            self.layer.link(now, state);
        }
        self.follow(self.link.has_kept());
        self.log();
        task.carry_out(&mut Via { link: &mut self.link, known: self.known });
        Ok(true)
    }

    /// Where nothing `waits` to be told of the link, or not all that happened to it does, what counts is the link itself.
    fn follow(&mut self, waits: bool) {
        if waits && !self.ahead {
            return;
        }
        self.ahead &= waits;
        let link = known(&self.link);
        if link != self.known {
            let now = self.clock.now();
            if link.1 != self.known.1 {
                // That which was SELECTED before is another.
                self.layer.link(now, State::NotConnected);
            }
            self.layer.link(now, link.0);
            self.known = link;
        }
    }

    /// Does what there is to do.
    fn act(&mut self) {
        let now = self.clock.now();
        let mut via = Via { link: &mut self.link, known: self.known };
        let mut sent = None;
        while let Some(step) = self.layer.next_step(now, sent.take()) {
            sent = step.carry_out(&mut via);
        }
        self.log();
    }

    fn log(&mut self) {
        let lines = self.layer.take_lines();
        if !lines.is_empty() {
            self.link.log(|| lines.into_iter().for_each(Line::log));
        }
    }
}

fn known<const TRANSACTIONS: usize>(link: &Connection<TRANSACTIONS>) -> Known {
    (link.state(), link.counters().selections)
}

/// The connection as what carries messages. Nothing that the layer wants to send goes over another than it knows of: that is not proven.
struct Via<'l, const TRANSACTIONS: usize> {
    link: &'l mut Connection<TRANSACTIONS>,
    known: Known,
}

impl<const TRANSACTIONS: usize> Via<'_, TRANSACTIONS> {
    fn is_known(&self) -> bool {
        known(self.link) == self.known
    }
}

impl<const TRANSACTIONS: usize> Replies for Via<'_, TRANSACTIONS> {
    fn reply(&mut self, token: ReplyToken, text: Vec<u8>) {
        // Fails where the connection has ended, and the sender knows then.
        let _ = self.link.reply(&token, &text);
    }

    fn abort(&mut self, token: ReplyToken) {
        let _ = self.link.abort(&token);
    }
}

impl<const TRANSACTIONS: usize> Carrier for Via<'_, TRANSACTIONS> {
    fn send(
        &mut self,
        what: StreamFunction,
        reply_expected: bool,
        body: &[u8],
    ) -> Result<SystemBytes, hsms_core::Error> {
        if !self.is_known() {
            return Err(hsms_core::Error::NotSelected);
        }
        let sent = if reply_expected { self.link.post(what, body) } else { self.link.send(what, body) };
        sent.map_err(|error| match error {
            crate::Error::Refused(error) => error,
            // As long as replies wait to be taken there is no room for more.
            crate::Error::InboxFull { waiting } => hsms_core::Error::TransactionsFull { open: waiting },
            // The connection has ended: it waits for the next.
            _ => hsms_core::Error::NotConnected,
        })
    }

    fn report(&mut self, error: Stream9, about: &Header) {
        if self.is_known() {
            let _ = self.link.report_error(error, about);
        }
    }

    fn drop_link(&mut self) {
        if self.is_known() {
            let _ = self.link.separate();
        }
    }
}
