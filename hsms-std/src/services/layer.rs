//! What the two ways in have in common: the core with closures, texts on their way out, and outcomes.

use super::handler::{Call, Due, Handler, Task, text, value};
use super::settings::HANDLERS;
use super::{EndpointNotice, Error, Pair, SendError, SerdeError, ServiceId, ServiceMessage, Status, TrustState};
use crate::trace;
use hsms_core::connection::{ReplyToken, State, Stream9, TransactionEnd};
use hsms_core::secs2::Writer;
use hsms_core::services::{
    Endpoint as Machine, EndpointAction, Outgoing, OwnMessage, Reaction, Response, Ticket, Wanted,
};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};
use serde::de::Deserialize;
use std::collections::{HashMap, VecDeque};
use std::task::Poll;

/// 64 sendings; 256 services, data ids and names; 64 messages of 64 KiB in all in the inbox.
pub(super) type Core = Machine<'static, Handler, 64, HANDLERS, 256, 64, 65_536>;

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

/// What carries messages: a connection, or a peer's link.
pub(crate) trait Carrier {
    fn send(
        &mut self,
        what: StreamFunction,
        reply_expected: bool,
        body: &[u8],
    ) -> Result<SystemBytes, hsms_core::Error>;
    fn reply(&mut self, token: &ReplyToken, body: &[u8]);
    fn abort(&mut self, token: &ReplyToken);
    fn report(&mut self, error: Stream9, about: &Header);
    fn drop_link(&mut self);
}

/// The core, the texts of what it sends, and what became of that.
#[derive(Debug)]
pub(crate) struct Layer {
    core: Box<Core>,
    texts: HashMap<Ticket, Vec<u8>>,
    settled: HashMap<Ticket, Outcome>,
    notices: VecDeque<EndpointNotice>,
}

impl Layer {
    pub(super) fn new(core: Core) -> Self {
        Layer { core: Box::new(core), texts: HashMap::new(), settled: HashMap::new(), notices: VecDeque::new() }
    }

    pub(crate) fn add_service(
        &mut self,
        request: u8,
        response: u8,
        request_name: &'static str,
        response_name: &'static str,
    ) -> Result<Pair, Error> {
        Ok(self.core.services_mut().add_service(request, response, request_name, response_name)?)
    }

    pub(crate) fn add_data(&mut self, services: &[ServiceId], data_id: u32, name: &'static str) -> Result<(), Error> {
        services.iter().try_for_each(|service| Ok(self.core.services_mut().add_data(*service, data_id, name)?))
    }

    pub(crate) fn add_status(&mut self, status: Status, name: &'static str) -> Result<(), Error> {
        Ok(self.core.services_mut().add_status(status, name)?)
    }

    pub(crate) fn on_request(
        &mut self,
        service: Option<ServiceId>,
        data_id: Option<u32>,
        handler: Handler,
    ) -> Result<bool, Error> {
        Ok(self.core.handle_service(service, data_id, handler)?.is_some())
    }

    pub(crate) fn on_primary(
        &mut self,
        stream: Option<u8>,
        function: Option<u8>,
        handler: Handler,
    ) -> Result<bool, Error> {
        Ok(self.core.handle_function(stream, function, handler)?.is_some())
    }

    pub(crate) fn accept_communication(&mut self, accepts: bool) {
        self.core.accept_communication(accepts);
    }

    pub(crate) fn authenticate(&mut self, now: Instant, deadline: Instant) -> Result<Ticket, Error> {
        Ok(self.core.authenticate(now, deadline)?)
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
        (self.core.inbox().len(), self.core.inbox().refused())
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
        self.texts.insert(ticket, text);
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
        self.texts.insert(ticket, body);
        Ok(ticket)
    }

    pub(crate) fn cancel(&mut self, ticket: Ticket) {
        self.core.cancel(ticket);
        self.texts.remove(&ticket);
        self.settled.remove(&ticket);
    }

    /// A primary came.
    pub(crate) fn primary(&mut self, now: Instant, header: Header, token: Option<ReplyToken>, body: &[u8]) -> Task {
        self.describe("received", &header, body);
        let reaction = self.core.primary(now, &header, token, body);
        let seen = Seen::of(reaction);
        self.task(seen, header, body)
    }

    /// The reply to one of ours came, or its abort.
    pub(crate) fn reply(&mut self, now: Instant, header: Header, body: &[u8]) -> Task {
        self.describe("received", &header, body);
        let seen = Seen::of(self.core.reply(now, &header, body));
        self.task(seen, header, body)
    }

    pub(crate) fn ended(&mut self, now: Instant, system: SystemBytes, end: TransactionEnd) {
        self.core.ended(now, system, end);
    }

    /// Takes a message out of the inbox: `Pending` where there is none and the deadline has not come.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        first: Option<ServiceId>,
        second: Option<u32>,
        deadline: Instant,
    ) -> Poll<Option<Kept>> {
        self.core.receive(now, &Wanted { first, second, deadline }, |kept| {
            // What is kept can be read.
            let message = kept.message().unwrap_or(ServiceMessage::new(kept.first, kept.second, Status::OKAY, None));
            Kept {
                header: kept.header,
                service: kept.first,
                data_id: kept.second,
                status: message.status(),
                data: message.data().map(<[u8]>::to_vec),
            }
        })
    }

    /// Lets what is due expire, and has everything done that is to be done.
    pub(crate) fn go_on(&mut self, now: Instant, carrier: &mut dyn Carrier) {
        if self.core.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.core.handle_timeout(now);
        }
        while let Some(action) = self.core.poll_action() {
            match action {
                EndpointAction::Send { what, stream_function, reply_expected } => {
                    let own;
                    let body = match &what {
                        Outgoing::Own(message) => {
                            own = self.written(message);
                            &own
                        }
                        Outgoing::Application(ticket) => self.texts.get(ticket).map_or(&[][..], Vec::as_slice),
                    };
                    match carrier.send(stream_function, reply_expected, body) {
                        Ok(system) => {
                            // The session is the connection's, and no name depends on it.
                            let header = Header::data(system, stream_function, reply_expected, SessionId(0));
                            self.describe("sent", &header, body);
                            self.core.sent(&what, system);
                        }
                        Err(error) => self.core.not_sent(now, &what, error),
                    }
                }
                EndpointAction::Report { error, about } => carrier.report(error, &about),
                EndpointAction::Abort { to } => carrier.abort(&to),
                EndpointAction::Settled { ticket, outcome } => {
                    self.settle(ticket, outcome.map(|_| None).map_err(Error::Sending));
                }
                EndpointAction::DropLink => carrier.drop_link(),
                EndpointAction::Notify(notice) => self.tell(notice),
            }
        }
    }

    /// Does what a message asks for; a handler is called here and now.
    pub(crate) fn carry_out(task: Task, carrier: &mut dyn Carrier) {
        let mut task = task;
        if let Task::Call(call) = task {
            task = call.run();
        }
        match task {
            Task::Reply(token, text) => carrier.reply(&token, &text),
            Task::Abort(token) => carrier.abort(&token),
            Task::None | Task::Call(_) => {}
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
                    Err(SendError::Status(status)) => Err(Error::Status { status, data: data_of(&header, body) }),
                    outcome => outcome.map_err(Error::Sending),
                };
                self.settle(ticket, outcome);
                Task::None
            }
        }
    }

    fn settle(&mut self, ticket: Ticket, outcome: Outcome) {
        self.texts.remove(&ticket);
        self.settled.insert(ticket, outcome);
    }

    fn written(&self, message: &OwnMessage<'_>) -> Vec<u8> {
        let mut text = Writer::new(Vec::new());
        // A vector takes all there is, and the core writes whole items.
        let _ = self.core.write(message, &mut text);
        text.finish().unwrap_or_default()
    }

    fn tell(&mut self, notice: EndpointNotice) {
        let wanted = matches!(
            notice,
            EndpointNotice::Named { differ: false }
                | EndpointNotice::Trusted
                | EndpointNotice::Communicating
                | EndpointNotice::Kept { .. }
        );
        trace::told(self.core.name(), !wanted, &notice);
        if self.notices.len() >= MOST_NOTICES {
            self.notices.pop_front();
        }
        self.notices.push_back(notice);
    }

    fn describe(&self, what: &str, header: &Header, text: &[u8]) {
        trace::described(self.core.name(), what, || self.core.describe(header, text));
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

/// The data of a response that has another status than 0.
fn data_of(header: &Header, body: &[u8]) -> Option<Vec<u8>> {
    let service = ServiceId::from_function(header.function())?;
    ServiceMessage::read(service, body).ok()?.data().map(<[u8]>::to_vec)
}
