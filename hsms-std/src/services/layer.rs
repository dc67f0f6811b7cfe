//! What the two ways in have in common: the core with closures, texts on their way out, and outcomes.

use super::handler::{Call, Due, Handler, Task, text, value};
use super::settings::HANDLERS;
use super::{
    EndpointNotice, Error, Pair, RegisterError, SendError, SerdeError, ServiceId, ServiceMessage, Status, TrustState,
};
use crate::trace;
use crate::words::Words;
use hsms_core::connection::{ReplyToken, State, Stream9, TransactionEnd};
use hsms_core::secs2::Writer;
use hsms_core::services::{
    Described, DescribedNotice, Endpoint as Machine, EndpointAction, Outgoing, OwnMessage, Reaction, Response,
    Services, TableFull, Ticket, Wanted,
};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};
use serde::de::Deserialize;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::Poll;

/// 64 sendings; 256 services, data ids and names; 64 messages of 64 KiB in all in the inbox.
pub(crate) type Core = Machine<'static, Handler, 64, HANDLERS, ENTRIES, 64, 65_536>;

const ENTRIES: usize = 256;

/// What services, data ids, statuses, streams and functions are called.
pub(crate) type Names = Services<'static, ENTRIES>;

/// Notices that wait to be taken; of more the oldest go.
const MOST_NOTICES: usize = 256;

/// The response to a service request: status 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The data, one encoded item; `None` where there are none.
    pub data: Option<Vec<u8>>,
}

impl Answered {
    /// The data as a Rust value; no data are `()` and `None`.
    ///
    /// # Errors
    /// Where the item is no such value.
    pub fn value<'a, T: Deserialize<'a>>(&'a self) -> Result<T, SerdeError> {
        value(self.data.as_deref())
    }
}

/// A service message out of the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its header.
    pub header: Header,
    /// The service: of a response that nobody awaited that of the response.
    pub service: ServiceId,
    /// The data id.
    pub data_id: u32,
    /// The status.
    pub status: Status,
    /// The data, one encoded item; `None` where there are none.
    pub data: Option<Vec<u8>>,
}

impl Kept {
    /// The data as a Rust value; no data are `()` and `None`.
    ///
    /// # Errors
    /// Where the item is no such value.
    pub fn value<'a, T: Deserialize<'a>>(&'a self) -> Result<T, SerdeError> {
        value(self.data.as_deref())
    }
}

/// How a sending ended: the text of the reply, or the data of the response.
pub(crate) type Outcome = Result<Option<Vec<u8>>, Error>;

/// What answers are given to.
pub(crate) trait Replies {
    fn reply(&mut self, token: ReplyToken, text: Vec<u8>);
    fn abort(&mut self, token: ReplyToken);
}

/// What carries messages: a connection, or a peer's link.
pub(crate) trait Carrier: Replies {
    fn send(
        &mut self,
        what: StreamFunction,
        reply_expected: bool,
        body: &[u8],
    ) -> Result<SystemBytes, hsms_core::Error>;
    fn report(&mut self, error: Stream9, about: &Header);
    fn drop_link(&mut self);
}

/// What is to be done with the link. The layer need not be at hand meanwhile: whoever has locked it lets go of it.
#[derive(Debug)]
#[must_use]
pub(crate) enum Step {
    Send(Primary),
    Report(Stream9, Header),
    Abort(ReplyToken),
    DropLink,
}

/// A primary on its way out.
#[derive(Debug)]
pub(crate) struct Primary {
    what: Outgoing<'static>,
    stream_function: StreamFunction,
    reply_expected: bool,
    text: Vec<u8>,
}

/// What became of a primary.
pub(crate) type Sent = (Primary, Result<SystemBytes, hsms_core::Error>);

impl Step {
    /// Gives what the layer is to be told of it, with the question for the next step.
    pub(crate) fn carry_out(self, carrier: &mut dyn Carrier) -> Option<Sent> {
        match self {
            Step::Send(primary) => {
                let sent = carrier.send(primary.stream_function, primary.reply_expected, &primary.text);
                return Some((primary, sent));
            }
            Step::Report(error, about) => carrier.report(error, &about),
            Step::Abort(token) => carrier.abort(token),
            Step::DropLink => carrier.drop_link(),
        }
        None
    }
}

/// A line for the log. It is written where nothing is locked: whoever reads it may ask for anything.
#[derive(Debug)]
pub(crate) enum Line {
    Message(&'static str, Described<'static>),
    Notice(DescribedNotice<'static>),
}

impl Line {
    pub(crate) fn log(self) {
        match self {
            Line::Message(what, message) => trace::described(what, &message),
            Line::Notice(notice) => trace::told(notice.is_warning(), &notice),
        }
    }
}

/// The core, the texts of what it sends, and what became of that.
#[derive(Debug)]
pub(crate) struct Layer {
    core: Box<Core>,
    /// Sendings that have not gone out, with their texts.
    unsent: HashMap<Ticket, Vec<u8>>,
    settled: HashMap<Ticket, Outcome>,
    notices: VecDeque<EndpointNotice>,
    lines: Vec<Line>,
    /// For whoever logs beside it.
    words: Arc<Words>,
    /// What has been kept for whoever asks, of a core that is no more.
    left: VecDeque<Kept>,
}

impl Layer {
    pub(super) fn new(core: Core, stream: u8) -> Self {
        let words = Words::new(stream);
        words.set_channel(core.name());
        Layer {
            core: Box::new(core),
            words: Arc::new(words),
            unsent: HashMap::new(),
            settled: HashMap::new(),
            notices: VecDeque::new(),
            lines: Vec::new(),
            left: VecDeque::new(),
        }
    }

    pub(crate) fn add_service(
        &mut self,
        request: u8,
        response: u8,
        request_name: &'static str,
        response_name: &'static str,
    ) -> Result<Pair, Error> {
        self.register(|services| services.add_service(request, response, request_name, response_name))
    }

    pub(crate) fn add_data(&mut self, services: &[ServiceId], data_id: u32, name: &'static str) -> Result<(), Error> {
        self.register(|known| services.iter().try_for_each(|service| known.add_data(*service, data_id, name)))
    }

    pub(crate) fn add_status(&mut self, status: Status, name: &'static str) -> Result<(), Error> {
        self.register(|services| services.add_status(status, name))
    }

    pub(crate) fn add_stream(&mut self, stream: u8, name: &'static str) -> Result<(), Error> {
        self.register(|services| services.add_stream(stream, name))
    }

    pub(crate) fn add_function(&mut self, what: StreamFunction, name: &'static str) -> Result<(), Error> {
        self.register(|services| services.add_function(what.stream, what.function, name))
    }

    fn register<R>(&mut self, add: impl FnOnce(&mut Names) -> Result<R, RegisterError>) -> Result<R, Error> {
        let added = add(self.core.services_mut());
        self.words.set_names(self.core.services());
        Ok(added?)
    }

    pub(crate) const fn words(&self) -> &Arc<Words> {
        &self.words
    }

    /// Gives the handler whose place it took, which is the caller's to drop: that may do anything.
    pub(crate) fn on_request(
        &mut self,
        service: Option<ServiceId>,
        data_id: Option<u32>,
        handler: Handler,
    ) -> Result<Option<Handler>, TableFull<Handler>> {
        self.core.handle_service(service, data_id, handler)
    }

    /// The same.
    pub(crate) fn on_primary(
        &mut self,
        stream: Option<u8>,
        function: Option<u8>,
        handler: Handler,
    ) -> Result<Option<Handler>, TableFull<Handler>> {
        self.core.handle_function(stream, function, handler)
    }

    pub(crate) fn accept_communication(&mut self, accepts: bool) {
        self.core.accept_communication(accepts);
    }

    pub(crate) fn authenticate(&mut self, now: Instant, deadline: Instant) -> Result<Ticket, Error> {
        let ticket = self.core.authenticate(now, deadline)?;
        self.unsent.insert(ticket, Vec::new());
        Ok(ticket)
    }

    pub(crate) fn reconnect(&mut self) {
        self.core.reconnect();
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.core.is_connected()
    }

    pub(crate) fn is_selected(&self) -> bool {
        self.core.is_selected()
    }

    pub(crate) fn is_trusted(&self) -> bool {
        self.core.is_trusted()
    }

    pub(crate) fn is_established(&self) -> bool {
        self.core.is_established()
    }

    pub(crate) fn is_communicating(&self) -> bool {
        self.core.is_communicating()
    }

    pub(crate) fn trust_state(&self) -> Option<TrustState> {
        self.core.trust_state()
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.core.name()
    }

    pub(crate) fn refused(&self) -> u32 {
        self.core.refused()
    }

    pub(crate) fn inbox(&self) -> (usize, u32) {
        (self.left.len().saturating_add(self.core.inbox().len()), self.core.inbox().refused())
    }

    pub(crate) fn next_notice(&mut self) -> Option<EndpointNotice> {
        self.notices.pop_front()
    }

    /// How a sending ended, once.
    pub(crate) fn outcome(&mut self, ticket: Ticket) -> Option<Outcome> {
        self.settled.remove(&ticket)
    }

    /// Whether something can be taken: an outcome, or a notice.
    pub(crate) fn has_news(&self) -> bool {
        !self.settled.is_empty() || !self.notices.is_empty()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.core.next_deadline()
    }

    pub(crate) fn link(&mut self, now: Instant, state: State) {
        self.core.link(now, state);
        self.words.set_channel(self.core.name());
    }

    /// Sends a service request.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        (service, data_id): (ServiceId, u32),
        data: Option<&[u8]>,
        reply_expected: bool,
        deadline: Instant,
    ) -> Result<Ticket, Error> {
        let message = ServiceMessage::new(service, data_id, Status::OKAY, data);
        let text = text(&message).ok_or(Error::NotOneItem)?;
        let ticket = self.core.send(now, service, data_id, reply_expected, deadline)?;
        self.unsent.insert(ticket, text);
        Ok(ticket)
    }

    /// Sends a SECS-II primary.
    pub(crate) fn send_function(
        &mut self,
        now: Instant,
        what: StreamFunction,
        body: Vec<u8>,
        reply_expected: bool,
        deadline: Instant,
    ) -> Result<Ticket, Error> {
        let ticket = self.core.send_function(now, what, reply_expected, deadline)?;
        self.unsent.insert(ticket, body);
        Ok(ticket)
    }

    pub(crate) fn cancel(&mut self, ticket: Ticket) {
        self.core.cancel(ticket);
        self.unsent.remove(&ticket);
        self.settled.remove(&ticket);
    }

    /// A primary came.
    pub(crate) fn primary(&mut self, now: Instant, header: Header, token: Option<ReplyToken>, body: &[u8]) -> Task {
        self.describe("received", &header, body);
        let reaction = self.core.primary(now, &header, token, body);
        let seen = Seen::of(reaction);
        self.words.set_channel(self.core.name());
        self.task(seen, header, body)
    }

    /// The reply to one of ours came, or its abort.
    pub(crate) fn reply(&mut self, now: Instant, header: Header, body: &[u8]) -> Task {
        self.describe("received", &header, body);
        let seen = Seen::of(self.core.reply(now, &header, body));
        self.words.set_channel(self.core.name());
        self.task(seen, header, body)
    }

    pub(crate) fn ended(&mut self, now: Instant, system: SystemBytes, end: TransactionEnd) {
        self.core.ended(now, system, end);
    }

    /// The reply came, and the connection had no room to keep it.
    pub(crate) fn reply_dropped(&mut self, now: Instant, system: SystemBytes) {
        self.core.reply_dropped(now, system);
    }

    /// The link may have room again.
    #[cfg(feature = "manager")]
    pub(crate) const fn retry(&mut self) {
        self.core.retry();
    }

    /// Takes a message out of the inbox: `Pending` where there is none and the deadline has not come.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        first: Option<ServiceId>,
        second: Option<u32>,
        deadline: Instant,
    ) -> Poll<Option<Kept>> {
        let fits = |kept: &Kept| {
            first.is_none_or(|service| service == kept.service) && second.is_none_or(|data_id| data_id == kept.data_id)
        };
        if let Some(kept) = self.left.iter().position(fits).and_then(|at| self.left.remove(at)) {
            return Poll::Ready(Some(kept));
        }
        self.core.receive(now, &Wanted { first, second, deadline }, owned)
    }

    /// What to do next, with what became of the step before. To be asked until there is nothing.
    pub(crate) fn next_step(&mut self, now: Instant, sent: Option<Sent>) -> Option<Step> {
        if let Some((primary, sent)) = sent {
            self.sent(now, primary, sent);
        }
        loop {
            return Some(match self.core.poll_action()? {
                EndpointAction::Send { what, stream_function, reply_expected } => {
                    let text = match &what {
                        Outgoing::Own(message) => self.written(message),
                        Outgoing::Application(ticket) => {
                            self.unsent.get_mut(ticket).map(std::mem::take).unwrap_or_default()
                        }
                    };
                    Step::Send(Primary { what, stream_function, reply_expected, text })
                }
                EndpointAction::Report { error, about } => Step::Report(error, about),
                EndpointAction::Abort { to } => Step::Abort(to),
                EndpointAction::DropLink => Step::DropLink,
                EndpointAction::Settled { ticket, outcome } => {
                    self.settle(ticket, outcome.map(|_| None).map_err(Error::Sending));
                    continue;
                }
                EndpointAction::Notify(notice) => {
                    self.tell(notice);
                    continue;
                }
            });
        }
    }

    /// Lets what is due expire, when what has come in time has been seen and what can go out has gone. Gives whether there was something:
    /// then there is more to do.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        let due = self.core.next_deadline().is_some_and(|deadline| deadline <= now);
        if due {
            self.core.handle_timeout(now);
        }
        due
    }

    /// There is no link, and nobody who would open one: every sending ends.
    #[cfg(feature = "manager")]
    pub(crate) fn end(&mut self, now: Instant) {
        self.link(now, State::NotConnected);
        // Nothing is sent where nothing is connected.
        while self.next_step(now, None).is_some() {}
        let unsent: Vec<Ticket> = self.unsent.keys().copied().collect();
        for ticket in unsent {
            self.core.cancel(ticket);
            self.settle(ticket, Err(Error::Gone));
        }
    }

    /// It does not come again: what has come can still be taken, and nothing else is left. Gives handlers and secret, which are the
    /// caller's to drop: that may do anything.
    #[cfg(feature = "manager")]
    pub(crate) fn retire(&mut self) -> Option<Box<Core>> {
        let mode = hsms_core::config::ConnectMode::Passive;
        let stub = Core::new(hsms_core::services::EndpointSettings::new(mode, SessionId(0))).ok()?;
        self.left.extend(std::iter::from_fn(|| self.core.take(None, None, owned)));
        Some(std::mem::replace(&mut self.core, Box::new(stub)))
    }

    /// What there is to log since.
    pub(crate) fn take_lines(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.lines)
    }

    fn sent(&mut self, now: Instant, primary: Primary, sent: Result<SystemBytes, hsms_core::Error>) {
        let Primary { what, stream_function, reply_expected, text } = primary;
        match sent {
            Ok(system) => {
                // The session is the connection's, and no name depends on it.
                let header = Header::data(system, stream_function, reply_expected, SessionId(0));
                self.describe("sent", &header, &text);
                if let Outgoing::Application(ticket) = &what {
                    self.unsent.remove(ticket);
                }
                self.core.sent(&what, system);
            }
            Err(error) => {
                // Not where it has been given up meanwhile.
                if let Outgoing::Application(ticket) = &what
                    && let Some(place) = self.unsent.get_mut(ticket)
                {
                    *place = text;
                }
                self.core.not_sent(now, &what, error);
            }
        }
    }

    fn task(&mut self, seen: Seen, header: Header, body: &[u8]) -> Task {
        match seen {
            Seen::Nothing => Task::None,
            Seen::Reply(token, message) => Task::Reply(token, self.written(&message)),
            Seen::Abort(token) => Task::Abort(token),
            Seen::Call(handler, due) => Task::Call(Call { handler, header, body: body.to_vec(), due }),
            Seen::Settled(ticket, outcome) => {
                let outcome = match outcome {
                    Err(SendError::Status(status)) => {
                        let message = self.core.message(&header, body).and_then(Result::ok);
                        let data = message.and_then(|message| message.data().map(<[u8]>::to_vec));
                        Err(Error::Status { status, name: self.core.services().status_name(status), data })
                    }
                    outcome => outcome.map_err(Error::Sending),
                };
                self.settle(ticket, outcome);
                Task::None
            }
        }
    }

    fn settle(&mut self, ticket: Ticket, outcome: Outcome) {
        self.unsent.remove(&ticket);
        self.settled.insert(ticket, outcome);
    }

    fn written(&self, message: &OwnMessage<'_>) -> Vec<u8> {
        let mut text = Writer::new(Vec::new());
        // A vector takes all there is, and the core writes whole items.
        let _ = self.core.write(message, &mut text);
        text.finish().unwrap_or_default()
    }

    fn tell(&mut self, notice: EndpointNotice) {
        let (_, told) = trace::may_be_read();
        if told {
            self.lines.push(Line::Notice(self.core.describe_notice(notice)));
        }
        if self.notices.len() >= MOST_NOTICES {
            self.notices.pop_front();
        }
        self.notices.push_back(notice);
    }

    fn describe(&mut self, what: &'static str, header: &Header, text: &[u8]) {
        let (described, _) = trace::may_be_read();
        if described {
            self.lines.push(Line::Message(what, self.core.describe(header, text)));
        }
    }
}

/// A message out of the inbox with a text of its own.
fn owned(kept: hsms_core::services::Kept<'_, ServiceId, u32>) -> Kept {
    // What is kept can be read.
    let message = kept.message().unwrap_or(ServiceMessage::new(kept.first, kept.second, Status::OKAY, None));
    Kept {
        header: kept.header,
        service: kept.first,
        data_id: kept.second,
        status: message.status(),
        data: message.data().map(<[u8]>::to_vec),
    }
}

/// A reaction that borrows nothing.
enum Seen {
    Nothing,
    Reply(ReplyToken, OwnMessage<'static>),
    Abort(ReplyToken),
    Call(Handler, Due),
    Settled(Ticket, Result<Option<Vec<u8>>, SendError>),
}

impl Seen {
    fn of(reaction: Reaction<'_, 'static, '_, Handler>) -> Self {
        match reaction {
            Reaction::None => Seen::Nothing,
            Reaction::Reply { to, message } => Seen::Reply(to, message),
            Reaction::Abort { to } => Seen::Abort(to),
            Reaction::Service { handler, message, answer } => {
                Seen::Call(handler.clone(), Due::Service(message.service_id(), answer))
            }
            Reaction::Function { handler, reply, .. } => Seen::Call(handler.clone(), Due::Function(reply)),
            Reaction::Settled { ticket, outcome } => {
                let data = |response| match response {
                    Response::Service(message) => ServiceMessage::data(&message).map(<[u8]>::to_vec),
                    Response::Function(text) => Some(text.to_vec()),
                };
                Seen::Settled(ticket, outcome.map(data))
            }
        }
    }
}
