//! What comes in.

use super::action::{Answer, EndpointAction, EndpointNotice, OwnMessage, Reaction, Response};
use super::gate::Step;
use super::sending::{Complaint, SendError, Stage, What, error_of};
use super::{ChannelName, Endpoint, status_of};
use crate::connection::{ReplyToken, Stream9, TransactionEnd};
use crate::secs2::Error;
use crate::secs2::messages::SystemError;
use crate::services::{CommunicationVerdict, NameError, ServiceId, ServiceMessage, Status};
use crate::time::Instant;
use crate::wire::{Header, StreamFunction, SystemBytes};

impl<
    'a,
    H,
    const SENDINGS: usize,
    const HANDLERS: usize,
    const ENTRIES: usize,
    const MESSAGES: usize,
    const OCTETS: usize,
> Endpoint<'a, H, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>
{
    /// A primary came, with its token where a reply is expected.
    pub fn primary<'t>(
        &mut self,
        now: Instant,
        header: &Header,
        token: Option<ReplyToken>,
        text: &'t [u8],
    ) -> Reaction<'_, 'a, 't, H> {
        self.busy = false;
        let what = header.stream_function();
        if what.stream == self.stream
            && let Some(service) = ServiceId::from_function(what.function)
            && let Some(response) = service.response()
        {
            return match service {
                ServiceId::AUTHENTICATION | ServiceId::CHANNEL_NAME => {
                    self.own_request(now, service, header, token, text)
                }
                _ => self.request(service, response, header, token, text),
            };
        }
        self.function_came(now, header, token, text)
    }

    /// A primary came that is none of a service. Each kind of message has a frame of its own on the stack, and none for the others.
    #[inline(never)]
    fn function_came<'t>(
        &mut self,
        now: Instant,
        header: &Header,
        token: Option<ReplyToken>,
        text: &'t [u8],
    ) -> Reaction<'_, 'a, 't, H> {
        let what = header.stream_function();
        let complaint = complaint_of(what, text);
        // S9F9 tells of a message that the equipment sent itself.
        if let Some((complaint, about)) = complaint
            && complaint != Complaint::TransactionTimeout
            && self.is_ours(&about)
        {
            return self.own_message_failed(now, about.system, complaint);
        }
        if !self.gate.admits_function(what) {
            self.tell(EndpointNotice::Refused { header: *header });
            return token.map_or(Reaction::None, |to| Reaction::Abort { to });
        }
        if let Some(communication) = &mut self.communication {
            let was_established = communication.is_established();
            let verdict = communication.handle_primary(now, header, text, self.accepts);
            let is_new = !was_established && communication.is_established();
            if is_new {
                self.tell(EndpointNotice::Communicating);
            }
            match verdict {
                CommunicationVerdict::Pass => {}
                CommunicationVerdict::Reply(message) => {
                    let message = OwnMessage::Communication(message);
                    return token.map_or(Reaction::None, |to| Reaction::Reply { to, message });
                }
                CommunicationVerdict::Discard => {
                    self.tell(EndpointNotice::Discarded { header: *header });
                    return Reaction::None;
                }
                CommunicationVerdict::DiscardAndSend(message) => {
                    self.due.communication = Some(message);
                    self.tell(EndpointNotice::Discarded { header: *header });
                    return Reaction::None;
                }
                CommunicationVerdict::IllegalData(error) => return self.illegal_data(header, token, error),
            }
        }
        if self.function_handlers.find(what.stream, what.function).is_none() {
            return self.unhandled(header, token, complaint);
        }
        let handler = self.function_handlers.find(what.stream, what.function);
        handler.map_or(Reaction::None, |handler| Reaction::Function { handler, text, reply: token })
    }

    /// The reply to a primary of ours came, or its abort.
    pub fn reply<'t>(&mut self, now: Instant, header: &Header, text: &'t [u8]) -> Reaction<'_, 'a, 't, H> {
        self.busy = false;
        let system = header.system;
        if let Some(name) = &mut self.name
            && self.open.name.take_if(|open| open.system == system).is_some()
        {
            let result = if header.stream_function().is_abort() {
                name.unanswered(system);
                Err(NameError::Unanswered)
            } else {
                name.handle_response(header, text)
            };
            let differ = name.differ();
            match result {
                Ok(true) => self.tell(EndpointNotice::Named { differ }),
                Ok(false) => {}
                Err(error) => self.tell(EndpointNotice::NameFailed(error)),
            }
            return Reaction::None;
        }
        if self.open.trust.take_if(|open| open.system == system).is_some() {
            let step = self.gate.handle_response(now, header, text);
            self.stepped(now, step);
            return Reaction::None;
        }
        if let Some(communication) = &mut self.communication
            && self.open.communication.take_if(|open| open.system == system).is_some()
        {
            match communication.handle_reply(now, header, text) {
                Ok(true) => self.tell(EndpointNotice::Communicating),
                Ok(false) => {}
                Err(failure) => self.tell(EndpointNotice::CommunicationFailed(failure)),
            }
            return Reaction::None;
        }
        let Some(sending) =
            self.sendings.take(|sending| matches!(sending.stage, Stage::Open(open) if open.system == system))
        else {
            return self.unawaited(header, text);
        };
        let outcome = if header.stream_function().is_abort() {
            Err(SendError::Aborted)
        } else if let What::Service { service, data_id } = sending.what {
            response(service, data_id, text)
        } else {
            Ok(Response::Function(text))
        };
        Reaction::Settled { ticket: sending.ticket, outcome }
    }

    /// A reply came that belongs to no open transaction, where the owner has its text:
    /// [`Stray::Late`](crate::connection::Stray::Late) or [`Stray::Orphan`](crate::connection::Stray::Orphan). A response goes to its handler, or
    /// to the inbox under its own service id.
    pub fn unawaited<'t>(&mut self, header: &Header, text: &'t [u8]) -> Reaction<'_, 'a, 't, H> {
        self.busy = false;
        let what = header.stream_function();
        let service = ServiceId::from_function(what.function).filter(|service| !service.is_request());
        let (true, Some(service)) = (what.stream == self.stream, service) else {
            self.tell(EndpointNotice::Unawaited { header: *header });
            return Reaction::None;
        };
        let Ok(message) = ServiceMessage::read(service, text) else {
            if self.gate.admits_unreadable() {
                self.tell(EndpointNotice::NotKept { header: *header, status: Status::CHECKSUM_ERROR });
            } else {
                self.tell(EndpointNotice::Refused { header: *header });
            }
            return Reaction::None;
        };
        let (request, data_id) = (service.request(), message.data_id());
        if request == ServiceId::AUTHENTICATION || request == ServiceId::CHANNEL_NAME {
            // Of a request that has ended.
            self.tell(EndpointNotice::Unawaited { header: *header });
            return Reaction::None;
        }
        if !self.gate.admits_service(service, data_id) {
            self.tell(EndpointNotice::Refused { header: *header });
            return Reaction::None;
        }
        if self.service_handlers.find(service, data_id).is_none() {
            match self.inbox.keep_response(&self.services, service, *header, text) {
                Ok(()) => self.tell(EndpointNotice::Kept { service, data_id }),
                Err(status) => self.tell(EndpointNotice::NotKept { header: *header, status }),
            }
        }
        match self.service_handlers.find(service, data_id) {
            Some(handler) => Reaction::Service { handler, message, answer: None },
            None => Reaction::None,
        }
    }

    /// The primary of ours with these system bytes ended without a reply.
    pub fn ended(&mut self, now: Instant, system: SystemBytes, end: TransactionEnd) {
        self.unanswered(now, system, error_of(end));
    }

    /// The reply to the primary of ours with these system bytes came, and this end had no room to keep it.
    pub fn reply_dropped(&mut self, now: Instant, system: SystemBytes) {
        self.unanswered(now, system, SendError::ReplyDropped);
    }

    fn unanswered(&mut self, now: Instant, system: SystemBytes, error: SendError) {
        self.busy = false;
        if !self.own_request_unanswered(now, system)
            && let Some(sending) = self.sendings.open(system)
        {
            sending.fail(error);
        }
    }

    /// A service request came that the endpoint itself answers.
    #[inline(never)]
    fn own_request<'t>(
        &mut self,
        now: Instant,
        service: ServiceId,
        header: &Header,
        token: Option<ReplyToken>,
        text: &[u8],
    ) -> Reaction<'_, 'a, 't, H> {
        let Some(to) = token else {
            // It asks for an answer that it does not expect.
            self.tell(EndpointNotice::NotKept { header: *header, status: Status::SERVICE_OR_DATA_UNKNOWN });
            return Reaction::None;
        };
        let message = if service == ServiceId::AUTHENTICATION { self.prove(now, text) } else { self.name_asked(text) };
        Reaction::Reply { to, message }
    }

    /// A service request came for the application.
    #[inline(never)]
    fn request<'t>(
        &mut self,
        service: ServiceId,
        response: ServiceId,
        header: &Header,
        token: Option<ReplyToken>,
        text: &'t [u8],
    ) -> Reaction<'_, 'a, 't, H> {
        let read = ServiceMessage::read(service, text);
        let admitted = match &read {
            Ok(message) => self.gate.admits_service(service, message.data_id()),
            Err(_) => self.gate.admits_unreadable(),
        };
        if !admitted {
            self.tell(EndpointNotice::Refused { header: *header });
            return respond(token, status_of(service, text, Status::AUTHENTICATION_REQUIRED));
        }
        let Ok(message) = read else {
            self.tell(EndpointNotice::NotKept { header: *header, status: Status::CHECKSUM_ERROR });
            return respond(token, OwnMessage::Status { data_id: 0, status: Status::CHECKSUM_ERROR });
        };
        let data_id = message.data_id();
        if self.service_handlers.find(service, data_id).is_none() {
            let status = self.inbox.keep_request(&self.services, service, *header, text);
            if status == Status::BUFFERING_UNHANDLED_REQUEST {
                self.tell(EndpointNotice::Kept { service, data_id });
            } else {
                self.tell(EndpointNotice::NotKept { header: *header, status });
            }
            return respond(token, OwnMessage::Status { data_id, status });
        }
        let registered = self.services.service_name(service).is_some();
        let answer = token.map(|to| Answer { to, service: response, data_id, registered });
        let handler = self.service_handlers.find(service, data_id);
        handler.map_or(Reaction::None, |handler| Reaction::Service { handler, message, answer })
    }

    /// A request of the handshake.
    #[inline(never)]
    fn prove(&mut self, now: Instant, text: &[u8]) -> OwnMessage<'a> {
        let (message, step) = self.gate.handle_request(now, text);
        self.stepped(now, step);
        message
    }

    #[inline(never)]
    fn name_asked(&mut self, text: &[u8]) -> OwnMessage<'a> {
        let Some(name) = &mut self.name else {
            return status_of(ServiceId::CHANNEL_NAME, text, Status::SERVICE_OR_DATA_UNKNOWN);
        };
        let answer = name.handle_request(text);
        let differ = name.differ();
        match answer.failure {
            Some(error) => self.tell(EndpointNotice::NameFailed(error)),
            None => self.tell(EndpointNotice::Named { differ }),
        }
        OwnMessage::Name(answer.status)
    }

    fn stepped(&mut self, now: Instant, step: Step) {
        match step {
            Step::NotOurs | Step::Goes => {}
            Step::Opened => {
                #[cfg(feature = "auth")]
                self.tell(EndpointNotice::Trusted);
                self.opened(now);
            }
            Step::Failed(failure) => self.untrusted(failure),
        }
    }

    /// Whether it is the header of an open primary of ours, to its last octet.
    fn is_ours(&self, header: &Header) -> bool {
        let own = [&self.open.name, &self.open.trust, &self.open.communication];
        own.into_iter().flatten().any(|open| open == header)
            || self.sendings.iter().any(|sending| matches!(&sending.stage, Stage::Open(open) if open == header))
    }

    /// The equipment cannot do with the open primary of ours that has these system bytes.
    fn own_message_failed<'t>(
        &mut self,
        now: Instant,
        system: SystemBytes,
        complaint: Complaint,
    ) -> Reaction<'_, 'a, 't, H> {
        if self.own_request_unanswered(now, system) {
            return Reaction::None;
        }
        let failed = self.sendings.take(|sending| matches!(sending.stage, Stage::Open(open) if open.system == system));
        let outcome = Err(SendError::SystemError(complaint));
        failed.map_or(Reaction::None, |sending| Reaction::Settled { ticket: sending.ticket, outcome })
    }

    /// Gives whether it was one of the endpoint's own.
    fn own_request_unanswered(&mut self, now: Instant, system: SystemBytes) -> bool {
        if self.open.name.take_if(|open| open.system == system).is_some() {
            if self.name.as_mut().is_some_and(|name: &mut ChannelName<_>| name.unanswered(system)) {
                self.tell(EndpointNotice::NameFailed(NameError::Unanswered));
            }
        } else if self.open.trust.take_if(|open| open.system == system).is_some() {
            if let Some(failure) = self.gate.unanswered(now, system) {
                self.untrusted(failure);
            }
        } else if self.open.communication.take_if(|open| open.system == system).is_some() {
            let failure = self.communication.as_mut().and_then(|it| it.unanswered(now, system));
            if let Some(failure) = failure {
                self.tell(EndpointNotice::CommunicationFailed(failure));
            }
        } else {
            return false;
        }
        true
    }

    fn illegal_data<'t>(
        &mut self,
        header: &Header,
        token: Option<ReplyToken>,
        error: Error,
    ) -> Reaction<'_, 'a, 't, H> {
        self.tell(EndpointNotice::IllegalData { header: *header, error });
        let report = self.unhandled.system_errors.then_some(Stream9::IllegalData);
        self.refuse(header, report, token.filter(|_| self.unhandled.abort))
    }

    /// S9F3, S9F5 or S9F7, and behind it the abort: whoever asked learns of the reason first.
    fn refuse<'t>(
        &mut self,
        header: &Header,
        report: Option<Stream9>,
        abort: Option<ReplyToken>,
    ) -> Reaction<'_, 'a, 't, H> {
        let has_room = self.news.capacity().saturating_sub(self.news.len()) >= 2;
        if let Some(error) = report {
            self.put(EndpointAction::Report { error, about: *header });
            if let Some(to) = abort
                && has_room
            {
                self.put(EndpointAction::Abort { to });
                return Reaction::None;
            }
        }
        abort.map_or(Reaction::None, |to| Reaction::Abort { to })
    }

    /// `complaint`: what it tells, where it is one of stream 9.
    fn unhandled<'t>(
        &mut self,
        header: &Header,
        token: Option<ReplyToken>,
        complaint: Option<(Complaint, Header)>,
    ) -> Reaction<'_, 'a, 't, H> {
        self.tell(match complaint {
            Some((complaint, about)) => EndpointNotice::SystemError { complaint, about },
            None => EndpointNotice::Unhandled { header: *header },
        });
        let answer = self.function_handlers.unhandled(header, self.unhandled);
        let report = match answer.system_error {
            Some(SystemError::UnrecognizedStream(_)) => Some(Stream9::UnrecognizedStream),
            Some(SystemError::UnrecognizedFunction(_)) => Some(Stream9::UnrecognizedFunction),
            _ => None,
        };
        self.refuse(header, report, token.filter(|_| answer.abort.is_some()))
    }
}

/// One-way requests are not answered.
fn respond<'e, 'a, 't, H>(token: Option<ReplyToken>, message: OwnMessage<'a>) -> Reaction<'e, 'a, 't, H> {
    token.map_or(Reaction::None, |to| Reaction::Reply { to, message })
}

/// What a message of stream 9 complains of.
#[inline(never)]
fn complaint_of(what: StreamFunction, text: &[u8]) -> Option<(Complaint, Header)> {
    SystemError::read(what, text).and_then(Result::ok).as_ref().and_then(Complaint::of)
}

fn response(service: ServiceId, asked: u32, text: &[u8]) -> Result<Response<'_>, SendError> {
    let message = ServiceMessage::read(service.response().unwrap_or(service), text).map_err(SendError::Malformed)?;
    if message.status() != Status::OKAY {
        return Err(SendError::Status(message.status()));
    }
    if message.data_id() != asked {
        return Err(SendError::OtherDataId { data_id: message.data_id() });
    }
    Ok(Response::Service(message))
}
