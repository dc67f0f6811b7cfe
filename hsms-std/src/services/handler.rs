//! Closures that answer messages.

use super::SerdeError;
use super::layer::Replies;
use hsms_core::connection::ReplyToken;
use hsms_core::secs2::Writer;
use hsms_core::secs2::serde::{from_text, to_text};
use hsms_core::services::{Answer, ServiceId, ServiceMessage, Status};
use hsms_core::wire::{Header, Message};
use serde::Serialize;
use serde::de::Deserialize;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// Why a handler failed: any error. The requester learns [`Status::CALLBACK_ERROR`], or SxF0, and no more.
pub type Failed = Box<dyn std::error::Error + Send + Sync>;

/// A service message, as its handler is given it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub(super) message: ServiceMessage<'a>,
}

impl<'a> Request<'a> {
    /// The service.
    #[must_use]
    pub const fn service_id(&self) -> ServiceId {
        self.message.service_id()
    }

    /// What of the service it is about.
    #[must_use]
    pub const fn data_id(&self) -> u32 {
        self.message.data_id()
    }

    /// The status; of a request, whatever the requester wrote.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.message.status()
    }

    /// The data, one encoded item; `None` where there are none.
    #[must_use]
    pub const fn data(&self) -> Option<&'a [u8]> {
        self.message.data()
    }

    /// The data as a Rust value; no data are `()` and `None`.
    ///
    /// # Errors
    /// Where the item is no such value.
    pub fn value<T: Deserialize<'a>>(&self) -> Result<T, SerdeError> {
        value(self.data())
    }
}

/// What a handler returns: the status and the data of the response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// The status.
    pub status: Status,
    /// One encoded item.
    pub data: Option<Vec<u8>>,
}

impl Returned {
    /// Status 0, no data.
    #[must_use]
    pub const fn okay() -> Self {
        Returned::status(Status::OKAY)
    }

    /// This status, no data.
    #[must_use]
    pub const fn status(status: Status) -> Self {
        Returned { status, data: None }
    }

    /// Status 0 and a Rust value.
    ///
    /// # Errors
    /// Where the value has no item.
    pub fn value<T: Serialize + ?Sized>(value: &T) -> Result<Self, SerdeError> {
        Ok(Returned { status: Status::OKAY, data: Some(to_text(value)?) })
    }

    /// The same with another status.
    #[must_use]
    pub const fn with_status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }
}

/// No data are an empty list.
pub(super) fn value<'a, T: Deserialize<'a>>(data: Option<&'a [u8]>) -> Result<T, SerdeError> {
    from_text(data.unwrap_or(&[1, 0]))
}

type OfServices = dyn FnMut(&Request<'_>) -> Result<Returned, Failed> + Send;
type OfFunctions = dyn FnMut(&Message<'_>) -> Result<Vec<u8>, Failed> + Send;

/// What is registered with the core.
#[derive(Clone)]
pub struct Handler(Arc<Mutex<Callback>>);

enum Callback {
    Service(Box<OfServices>),
    Function(Box<OfFunctions>),
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handler")
    }
}

impl Handler {
    pub(crate) fn of_services(callback: impl FnMut(&Request<'_>) -> Result<Returned, Failed> + Send + 'static) -> Self {
        Handler(Arc::new(Mutex::new(Callback::Service(Box::new(callback)))))
    }

    pub(crate) fn of_functions(callback: impl FnMut(&Message<'_>) -> Result<Vec<u8>, Failed> + Send + 'static) -> Self {
        Handler(Arc::new(Mutex::new(Callback::Function(Box::new(callback)))))
    }
}

/// What has to be done about a message that came.
#[derive(Debug)]
pub(crate) enum Task {
    None,
    Reply(ReplyToken, Vec<u8>),
    Abort(ReplyToken),
    Call(Call),
}

impl Task {
    /// Does what a message asks for; a handler is called here and now.
    pub(crate) fn carry_out(self, to: &mut dyn Replies) {
        match self {
            Task::Call(call) => call.run().carry_out(to),
            Task::Reply(token, text) => to.reply(token, text),
            Task::Abort(token) => to.abort(token),
            Task::None => {}
        }
    }
}

/// A handler to be called, and with what.
#[derive(Debug)]
pub(crate) struct Call {
    pub(super) handler: Handler,
    pub(super) header: Header,
    pub(super) body: Vec<u8>,
    pub(super) due: Due,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Due {
    Service(ServiceId, Option<Answer>),
    Function(Option<ReplyToken>),
}

impl Call {
    /// Calls it. One that fails or panics harms nobody else: what it owes is a callback error, or SxF0.
    pub(crate) fn run(self) -> Task {
        let Call { handler, header, body, due } = self;
        // It has told so itself where it panicked before.
        let mut callback = handler.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (&mut *callback, due) {
            (Callback::Service(callback), Due::Service(service, answer)) => {
                let call = || {
                    ServiceMessage::read(service, &body).ok().and_then(|message| callback(&Request { message }).ok())
                };
                let returned = catch_unwind(AssertUnwindSafe(call)).ok().flatten();
                answer.map_or(Task::None, |answer| Task::Reply(answer.to, response(&answer, returned.as_ref())))
            }
            (Callback::Function(callback), Due::Function(token)) => {
                let call = || callback(&Message::new(header, &body)).ok();
                match (token, catch_unwind(AssertUnwindSafe(call)).ok().flatten()) {
                    (None, _) => Task::None,
                    (Some(token), Some(text)) => Task::Reply(token, text),
                    (Some(token), None) => Task::Abort(token),
                }
            }
            // Each is registered in the table of its kind.
            (_, Due::Service(..) | Due::Function(_)) => Task::None,
        }
    }

    /// Octets that it keeps.
    #[cfg(feature = "manager")]
    pub(crate) const fn len(&self) -> usize {
        self.body.len()
    }

    /// What is owed where there is no room, for the call or for its answer.
    #[cfg(feature = "manager")]
    pub(crate) fn refusal(&self) -> Task {
        match self.due {
            Due::Service(_, Some(answer)) => Task::Reply(answer.to, text(&answer.no_room()).unwrap_or_default()),
            Due::Function(Some(token)) => Task::Abort(token),
            Due::Service(_, None) | Due::Function(None) => Task::None,
        }
    }
}

/// Data that are not one item count as a handler that failed.
fn response(answer: &Answer, returned: Option<&Returned>) -> Vec<u8> {
    let returned = returned.map(|Returned { status, data }| (*status, data.as_deref()));
    text(&answer.response(returned)).or_else(|| text(&answer.response(None))).unwrap_or_default()
}

/// `None` where the data are not one item.
pub(super) fn text(message: &ServiceMessage<'_>) -> Option<Vec<u8>> {
    let mut text = Writer::new(Vec::new());
    message.write(&mut text).ok()?;
    text.finish().ok()
}
