//! The endpoint: what all tasks share, and the calls that only wait.

use super::Core;
use super::error::{DescribedError, Error, What};
use super::owed::Joint;
use super::shared::Shared;
use crate::Link;
use crate::state::calls::Topic;
use core::cell::RefCell;
use core::future::poll_fn;
use core::task::Poll;
use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_time::{Duration, Timer};
use hsms_core::services::{EndpointNotice, ServiceId, ServiceMessage, Status, TableFull};
use hsms_core::wire::{Header, StreamFunction};

/// One end of the services on a [`Link`], over all its connections: see the [module](super).
///
/// A reference to it is the handle, as that to the link is. `H` is what the application registers for messages; the numbers are those of the
/// [`Link`] and of the [`Core`].
pub struct Endpoint<
    'l,
    'b,
    M: RawMutex,
    H,
    const TRANSACTIONS: usize = 4,
    const CALLS: usize = 8,
    const SENDINGS: usize = 4,
    const HANDLERS: usize = 8,
    const ENTRIES: usize = 32,
    const MESSAGES: usize = 4,
    const OCTETS: usize = 512,
> {
    pub(super) joint: Joint<'l, 'b, M, TRANSACTIONS, CALLS>,
    shared: Mutex<M, RefCell<Shared<'l, H, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>>>,
}

/// What happened, for [`Endpoint::told`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Told {
    /// The core noticed something.
    Notice(EndpointNotice),
    /// A primary came over a connection that has ended, and was taken only when the next was there: no handler and no inbox saw it.
    Dropped(Header),
    /// This message of the core's own is not sent, as its text is too long: an identity of more than 150 octets.
    NotSent(StreamFunction),
    /// So many things were not told, because nobody asked.
    Missed(u32),
}

/// A service message out of the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept<'r> {
    /// Its header.
    pub header: Header,
    /// The service: of a response that nobody awaited that of the response.
    pub service: ServiceId,
    /// The data id.
    pub data_id: u32,
    /// The status.
    pub status: Status,
    /// The data, one encoded item; `None` where there are none.
    pub data: Option<&'r [u8]>,
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
    /// Services on this link. The core has handlers, services and, where there is to be one, a secret; its mode and session id are those
    /// of the link, see [`settings`](super::settings).
    ///
    /// Moving it copies a secret that it has, and what is left where it was is not overwritten: make it in the place where it stays, with
    /// `StaticCell::init_with` for example.
    ///
    /// From here on replies that nobody awaits go to [`next`](Self::next) as well, as they may be for the inbox.
    pub fn new(
        link: &'l Link<'b, M, TRANSACTIONS, CALLS>,
        core: Core<'l, H, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>,
    ) -> Self {
        link.with(|state| {
            state.strays = true;
            #[cfg(feature = "defmt")]
            state.channel.call(core.name(), core.is_selected());
        });
        Endpoint { joint: Joint::new(link), shared: Mutex::new(RefCell::new(Shared::new(core))) }
    }

    /// The link.
    #[must_use]
    pub const fn link(&self) -> &'l Link<'b, M, TRANSACTIONS, CALLS> {
        self.joint.link
    }

    // Questions.

    /// Lets `look` at the core, which answers all questions: how far the proofs are, the name of the connection, how many messages were
    /// refused, how a message is to be written into a log.
    ///
    /// It is called under a lock: it is to return soon, and cannot call the endpoint.
    pub fn look<R>(&self, look: impl FnOnce(&Core<'l, H, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>) -> R) -> R {
        self.peek(|shared| look(&shared.core))
    }

    /// Why a call failed, with what its status is called, for a log line or a user.
    #[must_use]
    pub fn describe_error(&self, error: Error) -> DescribedError<'l> {
        DescribedError(match error {
            Error::Sending(error) => What::Sending(self.look(|core| core.describe_error(error))),
            error => What::Other(error),
        })
    }

    /// Whether there is a link, SELECTED or not. This and the questions below are answered as far as [`run`](Self::run) has seen.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.look(Core::is_connected)
    }

    /// Whether the connection is SELECTED.
    #[must_use]
    pub fn is_selected(&self) -> bool {
        self.look(Core::is_selected)
    }

    /// Whether the connection is trusted, or there is no secret.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.look(Core::is_trusted)
    }

    /// Whether service messages may flow: SELECTED, and trusted where there is a secret.
    #[must_use]
    pub fn is_established(&self) -> bool {
        self.look(Core::is_established)
    }

    /// Whether SECS-II messages may flow: established, and communication is, where it is to be.
    #[must_use]
    pub fn is_communicating(&self) -> bool {
        self.look(Core::is_communicating)
    }

    // Handlers.

    /// Registers a handler of service messages; `None` is any. Gives the one that was there under the same keys.
    ///
    /// # Errors
    /// [`TableFull`].
    pub fn handle_service(
        &self,
        service: Option<ServiceId>,
        data_id: Option<u32>,
        handler: H,
    ) -> Result<Option<H>, TableFull<H>> {
        self.act(|shared| shared.core.handle_service(service, data_id, handler))
    }

    /// Registers a handler of SECS-II primaries; `None` is any. Gives the one that was there under the same keys.
    ///
    /// # Errors
    /// [`TableFull`].
    pub fn handle_function(
        &self,
        stream: Option<u8>,
        function: Option<u8>,
        handler: H,
    ) -> Result<Option<H>, TableFull<H>> {
        self.act(|shared| shared.core.handle_function(stream, function, handler))
    }

    /// Whether the peer's S1F13 is accepted from now on; it is unless said otherwise.
    pub fn accept_communication(&self, accepts: bool) {
        self.act(|shared| shared.core.accept_communication(accepts));
    }

    /// Drops the connection, to be established anew: what is sent from now on waits for that. Does not wait. Nothing happens where there is
    /// none.
    pub fn reconnect(&self) {
        self.act(|shared| shared.core.reconnect());
    }

    // Calls that wait.

    /// Waits until service messages may flow.
    ///
    /// Cancel-safe: dropped at any await, it has changed nothing.
    ///
    /// # Errors
    /// [`TooManyCalls`](crate::Error::TooManyCalls).
    pub async fn established(&self) -> Result<(), Error> {
        self.until(|shared| shared.core.is_established().then_some(())).await
    }

    /// Waits until SECS-II messages may flow.
    ///
    /// Cancel-safe: dropped at any await, it has changed nothing.
    ///
    /// # Errors
    /// [`TooManyCalls`](crate::Error::TooManyCalls).
    pub async fn communicating(&self) -> Result<(), Error> {
        self.until(|shared| shared.core.is_communicating().then_some(())).await
    }

    /// Waits for the next thing that is told. Four are kept until somebody asks; what they pushed out is counted.
    ///
    /// Cancel-safe: dropped at any await, nothing is lost.
    ///
    /// # Errors
    /// [`TooManyCalls`](crate::Error::TooManyCalls).
    pub async fn told(&self) -> Result<Told, Error> {
        self.until(Shared::take_told).await
    }

    /// Takes the oldest service message with these keys out of the inbox, `None` for any, waiting for it at most for `within`, and puts
    /// its data into `buffer`. `None` when the time is over.
    ///
    /// Cancel-safe: dropped at any await, the messages are there for the next call.
    ///
    /// # Errors
    /// [`NoRoom`](crate::Error::NoRoom) where the data do not fit: the message is gone;
    /// [`TooManyCalls`](crate::Error::TooManyCalls).
    pub async fn receive<'r>(
        &self,
        service: Option<ServiceId>,
        data_id: Option<u32>,
        within: Duration,
        buffer: &'r mut [u8],
    ) -> Result<Option<Kept<'r>>, Error> {
        let taken = self.until(|shared| {
            shared.core.take(service, data_id, |kept| {
                let header = kept.header;
                // What is kept can be read.
                let unread = ServiceMessage::new(kept.first, kept.second, Status::OKAY, None);
                let message = kept.message().unwrap_or(unread);
                let data = message.data().unwrap_or_default();
                let needed = u32::try_from(data.len()).unwrap_or(u32::MAX);
                let room = buffer.get_mut(..data.len());
                room.map(|room| room.copy_from_slice(data)).ok_or(crate::Error::NoRoom {
                    header,
                    token: None,
                    needed,
                })?;
                Ok((header, message.service_id(), message.data_id(), message.status(), message.data().map(<[u8]>::len)))
            })
        });
        let (header, service, data_id, status, len) = match select(taken, Timer::after(within)).await {
            Either::First(taken) => taken?.map_err(Error::Link)?,
            Either::Second(()) => return Ok(None),
        };
        let data = len.and_then(|len| buffer.get(..len));
        Ok(Some(Kept { header, service, data_id, status, data }))
    }

    // How it is done.

    /// Lets `act` at what the tasks share, and has done what follows from it.
    pub(super) fn act<R>(
        &self,
        act: impl FnOnce(&mut Shared<'l, H, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>) -> R,
    ) -> R {
        let result = self.peek(|shared| {
            let result = act(shared);
            shared.go_on(&self.joint);
            result
        });
        self.joint.link.with(|state| state.calls.wake(Topic::Services));
        result
    }

    /// Lets `look` at what the tasks share, without changing what anybody waits for.
    pub(super) fn peek<R>(
        &self,
        look: impl FnOnce(&mut Shared<'l, H, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>) -> R,
    ) -> R {
        self.shared.lock(|shared| look(&mut shared.borrow_mut()))
    }

    /// Waits until `look` finds something.
    pub(super) async fn until<R>(
        &self,
        mut look: impl FnMut(&mut Shared<'l, H, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>) -> Option<R>,
    ) -> Result<R, Error> {
        if let Some(found) = self.peek(&mut look) {
            return Ok(found);
        }
        let link = self.joint.link;
        let place = link.place()?;
        let found = poll_fn(|cx| {
            link.with(|state| state.calls.wait(place.index, Topic::Services, cx.waker()));
            self.peek(&mut look).map_or(Poll::Pending, Poll::Ready)
        });
        Ok(found.await)
    }
}

impl<
    M: RawMutex,
    H,
    const TRANSACTIONS: usize,
    const CALLS: usize,
    const SENDINGS: usize,
    const HANDLERS: usize,
    const ENTRIES: usize,
    const MESSAGES: usize,
    const OCTETS: usize,
> core::fmt::Debug for Endpoint<'_, '_, M, H, TRANSACTIONS, CALLS, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>
{
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Endpoint").finish_non_exhaustive()
    }
}
