//! What goes out.

use super::action::{EndpointAction, EndpointNotice, Outgoing, OwnMessage};
use super::sending::{SendError, Sending, Stage, What};
use super::{Done, Endpoint, close_gap, waits_for};
use crate::secs2::{Sink, WriteError, Writer};
use crate::services::{NameError, ServiceId, ServiceMessage, Status};
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
    /// What to do next. To be called after everything that is told or asked for, and after each action carried out, until it gives `None`.
    pub fn poll_action(&mut self) -> Option<EndpointAction<'a>> {
        if let Some(first) = self.news.first().copied() {
            close_gap(&mut self.news, 0, 1);
            return Some(first);
        }
        if let Some(Sending { ticket, stage: Stage::Ended(outcome), .. }) = self.sendings.take(Sending::is_over) {
            return Some(EndpointAction::Settled { ticket, outcome });
        }
        if self.due.drop_link {
            // Not again until the link is gone.
            self.due.drop_link = false;
            self.dropping = true;
            return Some(EndpointAction::DropLink);
        }
        if !self.is_selected() || self.busy || self.dropping {
            return None;
        }
        self.next_of_own().or_else(|| self.next_of_application())
    }

    /// Writes the text of a message of the endpoint's own.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn write<S: Sink, const OPEN: usize>(
        &self,
        message: &OwnMessage<'_>,
        text: &mut Writer<S, OPEN>,
    ) -> Result<(), WriteError> {
        match *message {
            OwnMessage::Name(status) => match &self.name {
                Some(name) => name.write(status, text),
                None => ServiceMessage::new(ServiceId::CHANNEL_NAME, 0, status, None).write(text),
            },
            #[cfg(feature = "auth")]
            OwnMessage::Trust(message) => message.write(text),
            OwnMessage::Communication(message) => message.write(text),
            OwnMessage::Status { data_id, status } => {
                // The service id is not part of the text.
                ServiceMessage::new(ServiceId::AUTHENTICATION, data_id, status, None).write(text)
            }
        }
    }

    /// What was to be [sent](EndpointAction::Send) stands in the ordered output, under these system bytes.
    pub fn sent(&mut self, what: &Outgoing<'_>, system: SystemBytes) {
        match what {
            Outgoing::Own(OwnMessage::Name(_)) => {
                if let Some(name) = &mut self.name {
                    name.sent(system);
                    self.open.name = Some(self.header(system, ServiceId::CHANNEL_NAME));
                }
            }
            #[cfg(feature = "auth")]
            Outgoing::Own(OwnMessage::Trust(_)) => {
                self.open.trust = self.gate.sent(system).then(|| self.header(system, ServiceId::AUTHENTICATION));
            }
            Outgoing::Own(OwnMessage::Communication(message)) => {
                if let Some(communication) = &mut self.communication {
                    communication.sent(system);
                    let header = Header::data(system, message.stream_function(), true, self.session);
                    self.open.communication = Some(header);
                }
            }
            // That is a reply.
            Outgoing::Own(OwnMessage::Status { .. }) => {}
            Outgoing::Application(ticket) => {
                let (session, selections, selected) = (self.session, self.selections, self.is_selected());
                if let Some(sending) = self.sendings.get(*ticket)
                    && let Stage::Handed(selection) = sending.stage
                {
                    sending.stage = if !sending.reply_expected {
                        Stage::Ended(Ok(Done::Sent))
                    } else if !selected || selection != selections {
                        Stage::Ended(Err(SendError::LinkLost))
                    } else {
                        Stage::Open(Header::data(system, sending.stream_function, true, session))
                    };
                }
            }
        }
    }

    /// What was to be [sent](EndpointAction::Send) was not: the connection refused it with this error. Where that passes, it waits and is
    /// asked for again: when something has happened, [room](Self::retry) included.
    pub fn not_sent(&mut self, now: Instant, what: &Outgoing<'_>, error: crate::Error) {
        let passes = matches!(
            error,
            crate::Error::TransactionsFull { .. }
                | crate::Error::BodyOpen
                | crate::Error::ActionsPending
                | crate::Error::NotSelected
                | crate::Error::NotConnected
        );
        // Until something happens it would be refused again.
        self.busy |= passes;
        match what {
            Outgoing::Own(OwnMessage::Name(_)) if passes => self.due.name = self.is_selected(),
            Outgoing::Own(OwnMessage::Name(_)) => {
                self.tell(EndpointNotice::NameFailed(NameError::Unanswered));
            }
            #[cfg(feature = "auth")]
            Outgoing::Own(OwnMessage::Trust(message)) if passes => self.gate.send_later(*message),
            #[cfg(feature = "auth")]
            Outgoing::Own(OwnMessage::Trust(_)) => {
                if let Some(failure) = self.gate.not_sent(now) {
                    self.untrusted(failure);
                }
            }
            // The next S1F13 follows after the delay.
            Outgoing::Own(_) => {}
            Outgoing::Application(ticket) => {
                if let Some(sending) = self.sendings.get(*ticket)
                    && let Stage::Handed(_) = sending.stage
                {
                    if passes {
                        sending.stage = Stage::Waiting;
                    } else {
                        sending.fail(SendError::Refused(error));
                    }
                }
            }
        }
        #[cfg(not(feature = "auth"))]
        let _ = now;
    }

    /// Names, then trust, then communication, which is due only once the connection is trusted.
    fn next_of_own(&mut self) -> Option<EndpointAction<'a>> {
        if self.due.name {
            self.due.name = false;
            return Some(self.send_own(OwnMessage::Name(Status::OKAY), ServiceId::CHANNEL_NAME));
        }
        if let Some(message) = self.gate.take_due() {
            return Some(self.send_own(message, ServiceId::AUTHENTICATION));
        }
        if !self.gate.is_open() {
            // Trust was lost meanwhile.
            return None;
        }
        let message = self.due.communication.take()?;
        let (stream_function, what) = (message.stream_function(), Outgoing::Own(OwnMessage::Communication(message)));
        Some(EndpointAction::Send { what, stream_function, reply_expected: true })
    }

    fn next_of_application(&mut self) -> Option<EndpointAction<'a>> {
        let (gate, communication, selections) = (&self.gate, self.communication.as_ref(), self.selections);
        let may_go = |sending: &Sending| {
            sending.stage == Stage::Waiting
                && sending.what != What::Authenticate
                && waits_for(gate, communication, &sending.what, sending.stream_function).is_none()
        };
        let sending = self.sendings.iter_mut().find(|sending| may_go(sending))?;
        sending.stage = Stage::Handed(selections);
        let Sending { ticket, stream_function, reply_expected, .. } = *sending;
        Some(EndpointAction::Send { what: Outgoing::Application(ticket), stream_function, reply_expected })
    }

    const fn send_own(&self, message: OwnMessage<'a>, service: ServiceId) -> EndpointAction<'a> {
        let stream_function = StreamFunction::new(self.stream, service.function());
        EndpointAction::Send { what: Outgoing::Own(message), stream_function, reply_expected: true }
    }

    const fn header(&self, system: SystemBytes, service: ServiceId) -> Header {
        Header::data(system, StreamFunction::new(self.stream, service.function()), true, self.session)
    }
}
