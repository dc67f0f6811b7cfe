//! What the application sends: each call carries its own text, waits until the core lets it go, and takes its own reply.

use super::Endpoint;
use super::error::Error;
use super::owed::Front;
use super::shared::{Leave, Says, Stage};
use crate::clock;
use crate::send::{What, Writer, length_of};
use core::future::poll_fn;
use core::task::{Poll, Waker};
use embassy_futures::select::{Either, select};
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_time::Duration;
use hsms_core::connection::{Single, TransactionEnd};
use hsms_core::services::{Done, Response, SendError, ServiceId, ServiceMessage, Status, Ticket};
use hsms_core::time::Instant;
use hsms_core::wire::StreamFunction;

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
    /// Sends a service request, its data one encoded item or none, and waits for the response: within `within`, which includes waiting for
    /// the connection to be SELECTED and trusted. Gives the data of the response, whose whole text is put into `reply`, also where its
    /// status is an error.
    ///
    /// Cancel-safe but for long texts. Dropped before it is its turn to send, nothing is sent; dropped later, a text that fits half of the
    /// output buffer is sent, and its response is one that nobody awaits. With a longer text that is partly written the connection ends:
    /// see [`Writer`](crate::Writer).
    ///
    /// # Errors
    /// [`Error::Sending`] with why it was not sent, not answered, or answered with another status than 0; [`Error::NotOneItem`];
    /// [`Error::Link`] with [`NoRoom`](crate::Error::NoRoom) where `reply` is too short, [`Cut`](crate::Error::Cut), or
    /// [`TooManyCalls`](crate::Error::TooManyCalls).
    pub async fn send<'r>(
        &self,
        service: ServiceId,
        data_id: u32,
        data: Option<&[u8]>,
        within: Duration,
        reply: &'r mut [u8],
    ) -> Result<Option<&'r [u8]>, Error> {
        let message = ServiceMessage::new(service, data_id, Status::OKAY, data);
        let front = Front::of(&message)?;
        let sending = self.begin(within, |core, now, deadline| core.send(now, service, data_id, true, deadline))?;
        Ok(match sending.ask(Says::Service(&message), &front.with(message.data()), reply).await? {
            Response::Service(message) => message.data(),
            Response::Function(text) => Some(text),
        })
    }

    /// Sends a service request that expects no response, and waits until the transport has taken it: `within` is how long it may wait to go
    /// out.
    ///
    /// Cancel-safe as [`send`](Self::send) is.
    ///
    /// # Errors
    /// [`Error::Sending`], [`Error::NotOneItem`]; [`Error::Link`] with [`Closed`](crate::Error::Closed) where the connection ended
    /// before the transport had taken all of it, or [`TooManyCalls`](crate::Error::TooManyCalls).
    pub async fn tell(
        &self,
        service: ServiceId,
        data_id: u32,
        data: Option<&[u8]>,
        within: Duration,
    ) -> Result<(), Error> {
        let message = ServiceMessage::new(service, data_id, Status::OKAY, data);
        let front = Front::of(&message)?;
        let sending = self.begin(within, |core, now, deadline| core.send(now, service, data_id, false, deadline))?;
        sending.tell(Says::Service(&message), &front.with(message.data())).await
    }

    /// Sends a SECS-II primary and waits for its reply: within `within`, which includes waiting for the connection to be SELECTED and
    /// trusted, and for communication where that is to be established. Gives the text of the reply, which is put into `reply`.
    ///
    /// Cancel-safe as [`send`](Self::send) is.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub async fn request<'r>(
        &self,
        primary: StreamFunction,
        body: &[u8],
        within: Duration,
        reply: &'r mut [u8],
    ) -> Result<&'r [u8], Error> {
        let sending = self.begin(within, |core, now, deadline| core.send_function(now, primary, true, deadline))?;
        Ok(match sending.ask(Says::Function, &[body], reply).await? {
            Response::Service(message) => message.data().unwrap_or_default(),
            Response::Function(text) => text,
        })
    }

    /// Sends a SECS-II primary that expects no reply, and waits until the transport has taken it: `within` is how long it may wait to go
    /// out.
    ///
    /// Cancel-safe as [`send`](Self::send) is.
    ///
    /// # Errors
    /// Those of [`tell`](Self::tell).
    pub async fn tell_primary(&self, primary: StreamFunction, body: &[u8], within: Duration) -> Result<(), Error> {
        let sending = self.begin(within, |core, now, deadline| core.send_function(now, primary, false, deadline))?;
        sending.tell(Says::Function, &[body]).await
    }

    /// Runs the handshake, where it has not been, and waits for its outcome.
    ///
    /// Cancel-safe: dropped at an await, the handshake goes on.
    ///
    /// # Errors
    /// [`Error::Sending`] with [`NotPermitted`](SendError::NotPermitted) without a secret and on the passive end, or with why there is no
    /// trust.
    pub async fn authenticate(&self, within: Duration) -> Result<(), Error> {
        let sending = self.begin(within, |core, now, deadline| core.authenticate(now, deadline))?;
        match sending.turn().await {
            Turn::Over(outcome) => Ok(outcome.map(|_| ())?),
            // The core sends what it takes.
            Turn::Goes(_) => Err(SendError::NotPermitted.into()),
        }
    }

    fn begin(
        &self,
        within: Duration,
        add: impl FnOnce(
            &mut super::Core<'l, H, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>,
            Instant,
            Instant,
        ) -> Result<Ticket, SendError>,
    ) -> Result<Sending<'_, 'l, 'b, M, H, TRANSACTIONS, CALLS, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>, SendError>
    {
        self.act(|shared| {
            shared.follow(&self.joint);
            let now = clock::now();
            let deadline = Instant::from_millis(now.as_millis().saturating_add(within.as_millis()));
            let ticket = add(&mut shared.core, now, deadline)?;
            if !shared.add(ticket) {
                shared.remove(ticket);
                return Err(SendError::Full);
            }
            Ok(Sending { endpoint: self, ticket })
        })
    }
}

/// Something that is being sent. Dropped before its end, it is given up.
struct Sending<
    'e,
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
> {
    endpoint: &'e Endpoint<'l, 'b, M, H, TRANSACTIONS, CALLS, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>,
    ticket: Ticket,
}

enum Turn {
    Goes(Leave),
    Over(Result<Done, SendError>),
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
> Sending<'_, 'l, 'b, M, H, TRANSACTIONS, CALLS, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>
{
    /// Sends a primary that expects a reply, and waits for that.
    async fn ask<'r>(self, says: Says<'_>, body: &[&[u8]], reply: &'r mut [u8]) -> Result<Response<'r>, Error> {
        let (leave, writer) = self.go_out(says, length_of(body)).await?;
        let system = writer.system();
        let mut answer = match writer.write_whole(body).await {
            Ok(writer) => writer.into_answer(leave.stream_function),
            // The connection has ended.
            Err(_) => return Err(self.ended(system, TransactionEnd::SessionEnded)),
        };
        // From its header on the reply is read to its end, or until the sending is over.
        match select(self.over(), answer.header()).await {
            Either::First(error) => return Err(error),
            Either::Second(Err(crate::Error::NoReply { system, end, .. })) => return Err(self.ended(system, end)),
            Either::Second(Err(crate::Error::Aborted { header })) => {
                // Where the peer has told why, that came before, and whoever takes it has been woken.
                yield_now().await;
                yield_now().await;
                if let Some(error) = self.error() {
                    return Err(error);
                }
                let outcome = self.endpoint.act(|shared| shared.replied(&header, &[]));
                return outcome.unwrap_or(Err(SendError::Aborted)).map_err(Error::Sending);
            }
            Either::Second(Err(error)) => return Err(error.into()),
            Either::Second(Ok(_)) => {}
        }
        let whole = match select(self.over(), answer.read_whole(reply)).await {
            Either::First(error) => return Err(error),
            Either::Second(whole) => whole?,
        };
        let outcome = self.endpoint.act(|shared| shared.replied(&whole.header, whole.body));
        outcome.unwrap_or(Err(SendError::NoResponse)).map_err(Error::Sending)
    }

    /// Sends a primary that expects no reply.
    async fn tell(self, says: Says<'_>, body: &[&[u8]]) -> Result<(), Error> {
        let (_, writer) = self.go_out(says, length_of(body)).await?;
        Ok(writer.write_whole(body).await?.taken().await?)
    }

    /// Waits until it can go out, and begins it.
    async fn go_out(
        &self,
        says: Says<'_>,
        length: u32,
    ) -> Result<(Leave, Writer<'l, 'b, M, TRANSACTIONS, CALLS, Single>), Error> {
        let (endpoint, link) = (self.endpoint, self.endpoint.joint.link);
        loop {
            let leave = match self.turn().await {
                Turn::Goes(leave) => leave,
                Turn::Over(outcome) => return Err(outcome.err().unwrap_or(SendError::NotPermitted).into()),
            };
            let Leave { changes, stream_function, reply_expected } = leave;
            let what = What::Primary { session: None, stream_function, reply_expected };
            match select(self.taken_back(), link.begin(Some(changes), what, length, true)).await {
                Either::First(()) => {}
                Either::Second(Ok(writer)) => {
                    let system = writer.system();
                    endpoint.act(|shared| shared.sent(self.ticket, says, system));
                    return Ok((leave, writer));
                }
                Either::Second(Err(crate::Error::Refused(error))) => {
                    endpoint.act(|shared| shared.kept_back(&endpoint.joint, self.ticket, error));
                }
                Either::Second(Err(error)) => return Err(error.into()),
            }
        }
    }

    /// Waits until the core lets it go and nothing has to go out before, or it is over.
    async fn turn(&self) -> Turn {
        let endpoint = self.endpoint;
        poll_fn(|cx| match endpoint.peek(|shared| shared.stage(self.ticket, cx.waker())) {
            Stage::Over(outcome) => Poll::Ready(Turn::Over(outcome)),
            Stage::Goes(leave) if endpoint.joint.is_clear() => Poll::Ready(Turn::Goes(leave)),
            Stage::Goes(_) | Stage::Waits | Stage::Gone => Poll::Pending,
        })
        .await
    }

    /// Waits until it may not go out any more.
    async fn taken_back(&self) {
        poll_fn(|cx| match self.endpoint.peek(|shared| shared.stage(self.ticket, cx.waker())) {
            Stage::Goes(_) => Poll::Pending,
            Stage::Over(_) | Stage::Waits | Stage::Gone => Poll::Ready(()),
        })
        .await;
    }

    /// Waits until it is over without a response.
    async fn over(&self) -> Error {
        poll_fn(|cx| match self.endpoint.peek(|shared| shared.stage(self.ticket, cx.waker())) {
            Stage::Over(outcome) => Poll::Ready(outcome.err().unwrap_or(SendError::NoResponse).into()),
            Stage::Goes(_) | Stage::Waits | Stage::Gone => Poll::Pending,
        })
        .await
    }

    /// No response will come: gives what the core makes of that.
    fn ended(&self, system: hsms_core::wire::SystemBytes, end: TransactionEnd) -> Error {
        self.endpoint.act(|shared| shared.ended(system, end));
        self.error().unwrap_or(SendError::LinkLost.into())
    }

    /// Why it is over, where it is.
    fn error(&self) -> Option<Error> {
        match self.endpoint.peek(|shared| shared.stage(self.ticket, Waker::noop())) {
            Stage::Over(Err(error)) => Some(error.into()),
            _ => None,
        }
    }
}

impl<
    M: RawMutex,
    H: Copy,
    const TRANSACTIONS: usize,
    const CALLS: usize,
    const SENDINGS: usize,
    const HANDLERS: usize,
    const ENTRIES: usize,
    const MESSAGES: usize,
    const OCTETS: usize,
> Drop for Sending<'_, '_, '_, M, H, TRANSACTIONS, CALLS, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>
{
    fn drop(&mut self) {
        self.endpoint.act(|shared| shared.remove(self.ticket));
    }
}
