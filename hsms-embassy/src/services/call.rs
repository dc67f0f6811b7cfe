//! What comes for handlers.

use super::Endpoint;
use super::endpoint::Told;
use super::error::Error;
use super::owed::{Debt, Front};
use super::shared::{Came, Found, owed_by};
use crate::receive::Incoming;
use crate::send::What;
use embassy_sync::blocking_mutex::raw::RawMutex;
use hsms_core::connection::{ReplyToken, Single, Stream9};
use hsms_core::services::{Answer, ServiceId, ServiceMessage, Status};
use hsms_core::wire::Header;

/// A message that a handler was registered for.
///
/// Dropped unanswered, its sender is told that the handler failed: status 2 ([`Status::CALLBACK_ERROR`]), or SxF0. At most five that
/// have to be answered can be held at once, and fewer while answers wait to be sent: [`Endpoint::next`] waits until one of them is.
#[must_use = "dropped, its sender is told that the handler failed"]
pub enum Call<'e, 'l, 'b, 't, M: RawMutex, H, const TRANSACTIONS: usize, const CALLS: usize> {
    /// A service message.
    Service {
        /// What was registered for it.
        handler: H,
        /// The message.
        request: Request<'e, 'l, 'b, 't, M, TRANSACTIONS, CALLS>,
    },
    /// A SECS-II primary.
    Function {
        /// What was registered for it.
        handler: H,
        /// The message.
        primary: Primary<'e, 'l, 'b, 't, M, TRANSACTIONS, CALLS>,
    },
}

/// A service message for a handler: a request, or a response that nobody awaits.
#[must_use = "dropped, its sender is told that the handler failed"]
pub struct Request<'e, 'l, 'b, 't, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize> {
    message: ServiceMessage<'t>,
    answer: Option<Answer>,
    debt: Debt<'e, 'l, 'b, M, TRANSACTIONS, CALLS>,
}

/// A SECS-II primary for a handler.
#[must_use = "dropped, its sender gets SxF0"]
pub struct Primary<'e, 'l, 'b, 't, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize> {
    header: Header,
    token: Option<ReplyToken>,
    /// All of the text, or none where it is too long.
    text: &'t [u8],
    /// Octets of it that were read.
    read: usize,
    /// The text that is too long.
    incoming: Option<Incoming<'l, 'b, M, TRANSACTIONS, CALLS, Single>>,
    debt: Debt<'e, 'l, 'b, M, TRANSACTIONS, CALLS>,
}

impl<
    'l,
    'b,
    M: RawMutex,
    H: Copy,
    const TRANSACTIONS: usize,
    const CALLS: usize,
    const SENDINGS: usize,
    const HANDLERS: usize,
    const ENTRIES: usize,
    const MESSAGES: usize,
    const OCTETS: usize,
> Endpoint<'l, 'b, M, H, TRANSACTIONS, CALLS, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>
{
    /// Waits for the next message with a handler, and puts its text into `text`. Meanwhile everything else that comes is dealt with: names, the
    /// handshake, S1F13, messages that are refused, kept, or have no handler. So somebody has to wait here, also where nothing is
    /// registered, and again soon: while a handler goes on nothing else is taken.
    ///
    /// A text that is longer than `text` is left where it is, for [`Primary::read`]. A service message that long cannot be read, and is answered
    /// with status 5.
    ///
    /// Cancel-safe as [`Link::receive`](crate::Link::receive) is: texts that fit the inbox of the link are there for the next call.
    ///
    /// # Errors
    /// [`Error::Link`] with [`Cut`](crate::Error::Cut) where the connection ended in the middle of a text longer than the inbox of the
    /// link, or [`TooManyCalls`](crate::Error::TooManyCalls).
    pub async fn next<'e, 't>(
        &'e self,
        text: &'t mut [u8],
    ) -> Result<Call<'e, 'l, 'b, 't, M, H, TRANSACTIONS, CALLS>, Error> {
        loop {
            // The answers to what comes wait until they are sent, and so does what comes: it stays in the inbox of the link.
            self.until(|_| self.joint.has_room_for_primary().then_some(())).await?;
            let mut incoming = self.joint.link.take_next(true).await?;
            let (header, token) = (*incoming.header(), incoming.token());
            let whole = usize::try_from(incoming.body_len()).ok().filter(|len| *len <= text.len());
            let len = whole.unwrap_or(0);
            let mut filled = 0;
            while filled < len {
                let Some(rest) = text.get_mut(filled..len) else { break };
                filled = filled.saturating_add(incoming.read(rest).await?);
            }
            // Others may have taken the room meanwhile.
            self.until(|_| self.joint.has_room_for_primary().then_some(())).await?;
            incoming.unseen = false;
            let found = self.act(|shared| {
                shared.follow(&self.joint);
                if !shared.is_of_this_link(incoming.link) {
                    shared.tell(Told::Dropped(header));
                    return None;
                }
                shared.came(&self.joint, &Came { header, token, text: text.get(..len).unwrap_or_default() })
            });
            let debt = Debt::new(&self.joint, found.as_ref().and_then(owed_by));
            let incoming = whole.is_none().then_some(incoming);
            match found {
                None => {}
                Some(Found::Service(handler, service, answer)) => {
                    return Ok(Call::Service { handler, request: Request::new(service, answer, text, len, debt) });
                }
                Some(Found::Function(handler, token)) => {
                    let text = text.get(..len).unwrap_or_default();
                    let primary = Primary { header, token, text, read: 0, incoming, debt };
                    return Ok(Call::Function { handler, primary });
                }
            }
        }
    }
}

impl<'e, 'l, 'b, 't, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize>
    Request<'e, 'l, 'b, 't, M, TRANSACTIONS, CALLS>
{
    fn new(
        service: ServiceId,
        answer: Option<Answer>,
        text: &'t [u8],
        len: usize,
        debt: Debt<'e, 'l, 'b, M, TRANSACTIONS, CALLS>,
    ) -> Self {
        // It has been read before, so it can be.
        let unread = ServiceMessage::new(service, 0, Status::OKAY, None);
        let message = ServiceMessage::read(service, text.get(..len).unwrap_or_default()).unwrap_or(unread);
        Request { message, answer, debt }
    }

    /// The message: service, data id, status and data.
    #[must_use]
    pub const fn message(&self) -> &ServiceMessage<'t> {
        &self.message
    }

    /// The data, one encoded item; `None` where there are none.
    #[must_use]
    pub const fn data(&self) -> Option<&'t [u8]> {
        self.message.data()
    }

    /// Whether what is [responded](Self::respond) is sent: it is to requests of registered services whose sender waits.
    #[must_use]
    pub const fn expects_response(&self) -> bool {
        matches!(self.answer, Some(Answer { registered: true, .. }))
    }

    /// Answers with a status and data that are one encoded item, or none, and waits until the transport has taken that. Nothing is sent where
    /// no response is expected, and the status that says so where the service is not a registered one.
    ///
    /// Cancel-safe as [`Link::reply`](crate::Link::reply) is: dropped before it is its turn to send, the handler has failed.
    ///
    /// # Errors
    /// [`Error::NotOneItem`]: the requester is told that the handler failed; [`Error::Link`].
    pub async fn respond(self, status: Status, data: Option<&[u8]>) -> Result<(), Error> {
        let Some(answer) = self.answer else { return Ok(()) };
        let response = answer.response(Some((status, data)));
        let front = Front::of(&response)?;
        self.debt.pay(What::Reply { to: answer.to }, &front.with(response.data()), Some(&response)).await
    }
}

impl<'t, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize> Primary<'_, '_, '_, 't, M, TRANSACTIONS, CALLS> {
    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The text; `None` where it was longer than the buffer lent to [`Endpoint::next`].
    #[must_use]
    pub const fn text(&self) -> Option<&'t [u8]> {
        if self.incoming.is_some() { None } else { Some(self.text) }
    }

    /// Octets of the whole text.
    #[must_use]
    pub fn len(&self) -> u32 {
        match &self.incoming {
            Some(incoming) => incoming.body_len(),
            None => u32::try_from(self.text.len()).unwrap_or(u32::MAX),
        }
    }

    /// Whether the text has no octet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What a [reply](crate::Link::reply) by other means than this needs; `None` where the sender waits for none.
    #[must_use]
    pub const fn token(&self) -> Option<ReplyToken> {
        self.token
    }

    /// Waits for octets of the text, however long it is, and puts them into `buffer`; gives how many, and 0 behind the last or where `buffer`
    /// is empty. Of a text that does not fit, further primaries wait for its end.
    ///
    /// Cancel-safe: dropped at an await, no octet is lost.
    ///
    /// # Errors
    /// [`Error::Link`] with [`Cut`](crate::Error::Cut) where the connection ended in the middle of the text, or it was read too slowly.
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        if let Some(incoming) = &mut self.incoming {
            return Ok(incoming.read(buffer).await?);
        }
        let rest = self.text.get(self.read..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        if let (Some(place), Some(octets)) = (buffer.get_mut(..len), rest.get(..len)) {
            place.copy_from_slice(octets);
        }
        self.read = self.read.saturating_add(len);
        Ok(len)
    }

    /// Replies with this text, and waits until the transport has taken it. Nothing is sent where no reply is expected.
    ///
    /// Cancel-safe as [`Link::reply`](crate::Link::reply) is: dropped before it is its turn to send, the handler has failed.
    ///
    /// # Errors
    /// [`Error::Link`].
    pub async fn reply(self, body: &[u8]) -> Result<(), Error> {
        match self.token {
            Some(to) => self.debt.pay(What::Reply { to }, &[body], None).await,
            None => Ok(()),
        }
    }

    /// Tells the host what is wrong with the primary, as equipment does, and aborts the transaction where a reply is expected: S9F3, S9F5 or
    /// S9F7, and SxF0.
    ///
    /// Cancel-safe: dropped at an await, the handler has failed.
    ///
    /// # Errors
    /// [`Error::Link`].
    pub async fn refuse(self, error: Stream9) -> Result<(), Error> {
        self.debt.link().report_error(error, &self.header).await?;
        match self.token {
            Some(to) => self.debt.pay(What::Abort { to }, &[], None).await,
            None => Ok(()),
        }
    }

    /// The application answers by other means, with the [token](Self::token). Gives that.
    pub fn answered_elsewhere(mut self) -> Option<ReplyToken> {
        self.debt.forgive();
        self.token
    }
}

impl<M: RawMutex, H, const TRANSACTIONS: usize, const CALLS: usize> core::fmt::Debug
    for Call<'_, '_, '_, '_, M, H, TRANSACTIONS, CALLS>
{
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Call::Service { request, .. } => request.message.fmt(f),
            Call::Function { primary, .. } => primary.header.fmt(f),
        }
    }
}
