//! What an endpoint asks its owner to do, and what it tells.

use super::sending::{Complaint, SendError, Ticket};
use crate::connection::{ReplyToken, Stream9};
use crate::secs2::Error;
use crate::services::{CommunicationFailure, CommunicationMessage, NameError, ServiceId, ServiceMessage, Status};
#[cfg(feature = "auth")]
use crate::services::{TrustFailure, TrustMessage};
use crate::wire::{Header, StreamFunction};
use core::fmt;

/// What to do, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum EndpointAction<'a> {
    /// Send this primary, then tell [`sent`](super::Endpoint::sent) or [`not_sent`](super::Endpoint::not_sent).
    Send {
        /// Whose text it has.
        what: Outgoing<'a>,
        /// Stream and function.
        stream_function: StreamFunction,
        /// Whether a reply is expected: W.
        reply_expected: bool,
    },
    /// Tell the host what is wrong with the message of this header:
    /// [`Connection::report_error`](crate::connection::Connection::report_error). Nothing is to be told back.
    Report {
        /// What is wrong.
        error: Stream9,
        /// The header of the message.
        about: Header,
    },
    /// Abort the transaction of a primary that came: SxF0. Nothing is to be told back.
    Abort {
        /// To which.
        to: ReplyToken,
    },
    /// A sending has ended without a response of its own.
    Settled {
        /// Which.
        ticket: Ticket,
        /// How.
        outcome: Result<Done, SendError>,
    },
    /// End the session and close the link: [`Connection::separate`](crate::connection::Connection::separate), which
    /// connects again.
    DropLink,
    /// Tell the application.
    Notify(EndpointNotice),
}

/// Whose text a primary has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Outgoing<'a> {
    /// The endpoint's: [`write`](super::Endpoint::write) gives it.
    Own(OwnMessage<'a>),
    /// That of the application's sending with this ticket.
    Application(Ticket),
}

/// A message of the endpoint's own. Its text is what [`Endpoint::write`](super::Endpoint::write) makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum OwnMessage<'a> {
    /// The name of the connection, or the status that answers a request for it.
    Name(Status),
    /// A message of the handshake.
    #[cfg(feature = "auth")]
    Trust(TrustMessage),
    /// S1F13, S1F14 or S1F2.
    Communication(CommunicationMessage<'a>),
    /// The response to a service request that no handler answers.
    Status {
        /// Data id of the request.
        data_id: u32,
        /// The status.
        status: Status,
    },
}

/// How a sending ended that has no response to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Done {
    /// It expects no reply, and went out.
    Sent,
    /// [`authenticate`](super::Endpoint::authenticate): the connection is trusted.
    Trusted,
}

/// What to do about a message that came, before the [actions](super::Endpoint::poll_action).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum Reaction<'e, 'a, 't, H> {
    /// Nothing; what is to be told of it is among the actions.
    None,
    /// Reply with this text.
    Reply {
        /// To the primary that came.
        to: ReplyToken,
        /// The text: [`write`](super::Endpoint::write) gives it.
        message: OwnMessage<'a>,
    },
    /// Abort the transaction: SxF0.
    Abort {
        /// To the primary that came.
        to: ReplyToken,
    },
    /// Call the handler of a service message.
    Service {
        /// What was registered.
        handler: &'e H,
        /// The message.
        message: ServiceMessage<'t>,
        /// What has to be answered, with what the handler returns; `None` of a one-way request and of a response.
        answer: Option<Answer>,
    },
    /// Call the handler of a SECS-II primary.
    Function {
        /// What was registered.
        handler: &'e H,
        /// The text.
        text: &'t [u8],
        /// With what to reply; a handler that fails is answered by an abort. `None` where no reply is expected.
        reply: Option<ReplyToken>,
    },
    /// A sending has ended.
    Settled {
        /// Which.
        ticket: Ticket,
        /// How.
        outcome: Result<Response<'t>, SendError>,
    },
}

/// What answered a sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Response<'t> {
    /// A response with status 0.
    Service(ServiceMessage<'t>),
    /// A reply, by its text.
    Function(&'t [u8]),
}

/// What a service request has to be answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Answer {
    /// To which primary.
    pub to: ReplyToken,
    /// The id of the response.
    pub service: ServiceId,
    /// The data id of the request, and of the response.
    pub data_id: u32,
    /// Whether the service is a registered one. Else what the handler returns is not sent.
    pub registered: bool,
}

impl Answer {
    /// The response: `returned` by the handler, status and one encoded item, or `None` where it failed.
    ///
    /// A handler that failed is [`Status::CALLBACK_ERROR`]. Where the service is not registered the requester learns that, whatever was
    /// returned: [`Status::SERVICE_OR_DATA_UNKNOWN`].
    #[must_use]
    pub fn response<'d>(&self, returned: Option<(Status, Option<&'d [u8]>)>) -> ServiceMessage<'d> {
        let (status, data) = match returned {
            _ if !self.registered => (Status::SERVICE_OR_DATA_UNKNOWN, None),
            Some(returned) => returned,
            None => (Status::CALLBACK_ERROR, None),
        };
        ServiceMessage::new(self.service, self.data_id, status, data)
    }

    /// The response where this end has no room: for the call of the handler, or for what it returned. It is that of a request that finds
    /// no room in the inbox, [`Status::INBOX_FULL`].
    #[must_use]
    pub fn no_room(&self) -> ServiceMessage<'static> {
        self.response(Some((Status::INBOX_FULL, None)))
    }
}

/// What the application may want to know. Nothing has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EndpointNotice {
    /// Names were exchanged: [`name`](super::Endpoint::name) tells the one that counts.
    Named {
        /// Whether both ends have one and they differ, which on the passive end is worth a warning.
        differ: bool,
    },
    /// Names were not exchanged.
    NameFailed(NameError),
    /// Both ends have proven the secret.
    #[cfg(feature = "auth")]
    Trusted,
    /// A handshake ended without trust.
    #[cfg(feature = "auth")]
    TrustFailed(TrustFailure),
    /// Communication is established.
    Communicating,
    /// Our S1F13 did not establish communication; the next one follows.
    CommunicationFailed(CommunicationFailure),
    /// A message came before trust that is not allowed then. No handler and no inbox saw it.
    Refused {
        /// Its header.
        header: Header,
    },
    /// A primary came before communication was established. No handler saw it, and it is not answered.
    Discarded {
        /// Its header.
        header: Header,
    },
    /// A service message without a handler is in the inbox.
    Kept {
        /// Its service.
        service: ServiceId,
        /// Its data id.
        data_id: u32,
    },
    /// A service message without a handler is not in the inbox.
    NotKept {
        /// Its header.
        header: Header,
        /// Why: unknown, no room, or unreadable. A request that waits for a response was answered with this.
        status: Status,
    },
    /// A SECS-II primary has no handler. What answers it is a matter of the [policy](super::EndpointSettings::unhandled).
    Unhandled {
        /// Its header.
        header: Header,
    },
    /// The text of a message is not what it has to be.
    IllegalData {
        /// The header of the message.
        header: Header,
        /// What is wrong.
        error: Error,
    },
    /// A SECS-II reply came that nobody waits for any more.
    Unawaited {
        /// Its header.
        header: Header,
    },
    /// The equipment tells of an error in no open message of ours, and there is no handler for it.
    SystemError {
        /// Which error.
        complaint: Complaint,
        /// The header of the message that it is about.
        about: Header,
    },
}

impl fmt::Display for EndpointNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EndpointNotice::Named { differ: false } => f.write_str("names were exchanged"),
            EndpointNotice::Named { differ: true } => {
                f.write_str("the two ends have different names; the active end's counts")
            }
            EndpointNotice::NameFailed(error) => write!(f, "names were not exchanged: {error}"),
            #[cfg(feature = "auth")]
            EndpointNotice::Trusted => f.write_str("the connection is trusted"),
            #[cfg(feature = "auth")]
            EndpointNotice::TrustFailed(failure) => write!(f, "no trust: {failure}"),
            EndpointNotice::Communicating => f.write_str("communication is established"),
            EndpointNotice::CommunicationFailed(failure) => fmt::Display::fmt(failure, f),
            EndpointNotice::Refused { header } => write!(f, "refused before trust: {header}"),
            EndpointNotice::Discarded { header } => {
                write!(f, "discarded before communication was established: {header}")
            }
            EndpointNotice::Kept { service, data_id } => write!(f, "kept: service {service}, data id {data_id}"),
            EndpointNotice::NotKept { header, status } => write!(f, "not kept, status {status}: {header}"),
            EndpointNotice::Unhandled { header } => write!(f, "no handler: {header}"),
            EndpointNotice::IllegalData { header, error } => write!(f, "illegal data, {error}: {header}"),
            EndpointNotice::Unawaited { header } => write!(f, "nobody waits for this reply: {header}"),
            EndpointNotice::SystemError { complaint, about } => {
                write!(f, "the equipment answered with {complaint}: {about}")
            }
        }
    }
}
