//! Handles of peers, and what they ask the event loop for.

use super::Error;
use super::delegate::{Received, lock};
use super::identify::Decision;
use super::machine::SessionCommand;
use super::pending::{Pending, Promise, pending};
use super::queue::Queue;
use super::settings::PeerSettings;
use crate::trace::Span;
use crate::watch::Onlookers;
use crate::words::Words;
use hsms_core::connection::{ReplyToken, State};
use hsms_core::counters::Counters;
use hsms_core::wire::{SessionId, StreamFunction, SystemBytes};
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// What a message costs beside its text while it waits for the loop.
const OVERHEAD: usize = 64;

/// One peer of a [`Manager`](super::Manager). Cheap to clone; for any number of threads.
///
/// The calls only ask: they return at once, and what comes of it is told by the [`Pending`] they give.
#[derive(Clone)]
pub struct Peer {
    pub(super) shared: Arc<Shared>,
}

/// What handles, workers and the event loop know of a peer.
pub(super) struct Shared {
    pub(super) id: usize,
    pub(super) name: Arc<str>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) queue: Queue,
    pub(super) settings: Arc<PeerSettings>,
    #[cfg(feature = "services")]
    pub(super) services: Option<Box<super::served::Served>>,
    pub(super) local: OnceLock<Arc<SocketAddr>>,
    /// It is meant to be.
    pub(super) enabled: AtomicBool,
    state: AtomicU8,
    /// Octets that wait for the loop.
    commanded: AtomicUsize,
    /// Octets that wait for the peer.
    outstanding: AtomicUsize,
}

/// What the loop is asked for.
#[derive(Debug)]
pub(super) enum Command {
    Add(Arc<Shared>, Promise<()>),
    Order(usize, Order),
    /// What is to become of a caller that nothing has identified.
    Decided(usize, Decision),
    /// With how long delegates may take to say farewell, and after how long nobody is waited for any more.
    Stop {
        farewell: Duration,
        limit: Duration,
    },
}

/// The same, about one peer.
#[derive(Debug)]
pub(super) enum Order {
    Enable,
    Disable,
    Remove,
    Reconnect(Promise<()>),
    Request(Target, Body, Promise<Received>),
    Send(Target, Body, Promise<SystemBytes>),
    Reply(ReplyToken, Body, Promise<()>),
    Abort(ReplyToken, Promise<()>),
    /// A reply that says no more than that there is no room for another, whatever waits.
    #[cfg(feature = "services")]
    NoRoom(ReplyToken, Vec<u8>),
    Linktest(Promise<()>),
    Session(SessionId, SessionCommand, Promise<()>),
    Sessions(Promise<Vec<SessionId>>),
    Counters(Promise<Counters>),
    /// To be told when the connection is SELECTED.
    Selected(Promise<()>),
    /// The delegate has returned from `before_closed`.
    FarewellSaid,
    /// The services have been asked for something.
    #[cfg(feature = "services")]
    Serve,
}

/// A text on its way to the loop. Its room is free again when it goes, whatever becomes of it.
#[derive(Debug)]
pub(super) struct Body {
    octets: Vec<u8>,
    of: Arc<Shared>,
}

impl Body {
    const fn size(octets: &[u8]) -> usize {
        octets.len().saturating_add(OVERHEAD)
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.octets
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.of.commanded.fetch_sub(Body::size(&self.octets), Ordering::AcqRel);
    }
}

/// Where a primary goes; `None`: to the one device id or session there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) session: Option<SessionId>,
    pub(super) stream_function: StreamFunction,
}

/// Commands on their way to the loop.
#[derive(Debug)]
pub(super) struct Mailbox {
    state: Mutex<Mail>,
}

#[derive(Debug)]
struct Mail {
    commands: VecDeque<Command>,
    /// The loop is going to look in here before it sleeps.
    awake: bool,
    /// None where no loop runs.
    waker: Option<Arc<mio::Waker>>,
}

impl Mailbox {
    pub(super) fn new(waker: mio::Waker) -> Self {
        Mailbox { state: Mutex::new(Mail { commands: VecDeque::new(), awake: true, waker: Some(Arc::new(waker)) }) }
    }

    /// Another loop takes what comes from here on.
    pub(super) fn reopen(&self, waker: mio::Waker) {
        let mut state = lock(&self.state);
        (state.awake, state.waker) = (true, Some(Arc::new(waker)));
    }

    /// Where the loop has ended the command is dropped, and whoever waits for it learns that by its promise.
    pub(super) fn post(&self, command: Command) -> Result<(), Error> {
        let mut state = lock(&self.state);
        let Some(waker) = state.waker.clone() else {
            drop(state);
            return Err(Error::Stopped);
        };
        state.commands.push_back(command);
        let sleeps = !std::mem::replace(&mut state.awake, true);
        drop(state);
        if sleeps && let Err(source) = waker.wake() {
            // The next one tries again.
            lock(&self.state).awake = false;
            return Err(Error::System { source });
        }
        Ok(())
    }

    /// The loop is about to sleep: from here on it has to be woken. Whether something has come that it should not sleep for.
    pub(super) fn sleep(&self) -> bool {
        let mut state = lock(&self.state);
        state.awake = !state.commands.is_empty();
        state.awake
    }

    /// The loop has woken up, whatever woke it. What has come goes into `commands`, which is empty and whose room is used for what comes
    /// next.
    pub(super) fn take(&self, commands: &mut VecDeque<Command>) {
        let mut state = lock(&self.state);
        state.awake = true;
        std::mem::swap(&mut state.commands, commands);
    }

    /// From here on nothing is taken any more.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.waker = None;
        let left = std::mem::take(&mut state.commands);
        drop(state);
        drop(left);
    }
}

impl Shared {
    pub(super) fn onlookers(&self) -> Onlookers {
        Onlookers { tap: self.settings.tap().cloned(), name: Some(Arc::clone(&self.name)), words: self.words() }
    }

    /// Has it logged as being about the peer.
    pub(super) fn inside<R>(&self, log: impl FnOnce() -> R) -> R {
        let channel = self.words().and_then(|words| words.channel());
        Span::new(&*self.name, channel.as_deref()).inside(log)
    }

    #[cfg(feature = "services")]
    fn words(&self) -> Option<Arc<Words>> {
        self.services.as_ref().and_then(|served| served.words())
    }

    #[cfg(not(feature = "services"))]
    #[expect(clippy::unused_self, reason = "as with services")]
    const fn words(&self) -> Option<Arc<Words>> {
        None
    }

    pub(super) fn has_delegate(&self) -> bool {
        self.settings.delegate().is_some()
    }

    /// Whether worker threads have something to do for it.
    pub(super) fn has_handlers(&self) -> bool {
        #[cfg(feature = "services")]
        if self.services.is_some() {
            return true;
        }
        self.has_delegate()
    }

    pub(super) fn new(
        id: usize,
        name: &str,
        mailbox: Arc<Mailbox>,
        #[cfg_attr(not(feature = "services"), expect(unused_mut, reason = "services are taken out of them"))]
        mut settings: PeerSettings,
    ) -> Result<Self, Error> {
        let name: Arc<str> = name.into();
        Ok(Shared {
            #[cfg(feature = "services")]
            services: settings.take_services(&name)?,
            id,
            name,
            mailbox,
            queue: Queue::default(),
            settings: Arc::new(settings),
            local: OnceLock::new(),
            enabled: AtomicBool::new(false),
            state: AtomicU8::new(0),
            commanded: AtomicUsize::new(0),
            outstanding: AtomicUsize::new(0),
        })
    }

    /// What the loop has seen.
    pub(super) fn tell(&self, state: State, outstanding: usize) {
        let state = match state {
            State::NotConnected => 0,
            State::NotSelected => 1,
            State::Selected => 2,
        };
        self.state.store(state, Ordering::Release);
        self.outstanding.store(outstanding, Ordering::Release);
    }

    /// A text may wait for the loop. One is taken however long it is.
    fn reserve(self: &Arc<Self>, octets: Vec<u8>) -> Result<Body, Error> {
        let size = Body::size(&octets);
        let waiting =
            self.commanded.fetch_add(size, Ordering::AcqRel).saturating_add(self.outstanding.load(Ordering::Acquire));
        let body = Body { octets, of: Arc::clone(self) };
        if waiting > 0 && waiting.saturating_add(size) > self.settings.output() {
            return Err(Error::OutputFull { waiting });
        }
        Ok(body)
    }
}

impl Peer {
    /// The name that it was added by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Its services; `None` where it was added [without](super::PeerSettings::with_services).
    #[cfg(feature = "services")]
    #[must_use]
    pub fn services(&self) -> Option<super::PeerServices> {
        super::PeerServices::of(self)
    }

    /// It is not to come again when it is gone.
    pub(super) fn retire_services(&self) {
        #[cfg(feature = "services")]
        if let Some(served) = &self.shared.services {
            served.retire();
        }
    }

    /// Where it is listened for; `None` for an active peer.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.shared.local.get().map(|local| **local)
    }

    /// Where its connection is, as the loop last saw it.
    #[must_use]
    pub fn state(&self) -> State {
        match self.shared.state.load(Ordering::Acquire) {
            0 => State::NotConnected,
            1 => State::NotSelected,
            _ => State::Selected,
        }
    }

    /// Connects, and connects again after every loss. May be repeated; safe in any state and in a delegate. While the manager is
    /// stopped it is noted for its [restart](super::Manager::restart).
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn enable(&self) -> Result<(), Error> {
        self.turn(true, Order::Enable)
    }

    /// Ends the session with Separate.req where there is one and closes, or gives up a pending attempt, and does not connect
    /// again. May be repeated; safe in any state and in a delegate. While the manager is stopped it is noted for its restart.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn disable(&self) -> Result<(), Error> {
        self.turn(false, Order::Disable)
    }

    /// For a loop that has begun: where it is enabled, and is not disabled at this very moment.
    pub(super) fn turn_as_meant(&self) -> Result<(), Error> {
        let enabled = || self.shared.enabled.load(Ordering::Acquire);
        if enabled() {
            self.order(Order::Enable)?;
            if !enabled() {
                self.order(Order::Disable)?;
            }
        }
        Ok(())
    }

    fn turn(&self, on: bool, order: Order) -> Result<(), Error> {
        self.shared.enabled.store(on, Ordering::Release);
        match self.order(order) {
            Err(Error::Stopped) => Ok(()),
            ordered => ordered,
        }
    }

    /// Ends the session with Separate.req and closes; an active peer dials again after T5, a passive one waits for a call.
    ///
    /// The outcome is [`Error::Connection`] where nothing is connected.
    pub fn reconnect(&self) -> Pending<()> {
        self.ask(Order::Reconnect)
    }

    /// Sends a primary that expects a reply, to the one device id that is served.
    ///
    /// The outcome is the reply, or [`Error::OutputFull`], [`Error::Removed`], [`Error::Stopped`], or in [`Error::Connection`] what
    /// [`Connection::request`](crate::Connection::request) would fail with.
    pub fn request(&self, stream_function: StreamFunction, body: impl Into<Vec<u8>>) -> Pending<Received> {
        self.put(body.into(), |body, promise| Order::Request(Target { session: None, stream_function }, body, promise))
    }

    /// The same, naming the session id: for peers with several. One that is none of the peer's is refused, in [`Error::Connection`].
    pub fn request_in(
        &self,
        session: SessionId,
        stream_function: StreamFunction,
        body: impl Into<Vec<u8>>,
    ) -> Pending<Received> {
        let target = Target { session: Some(session), stream_function };
        self.put(body.into(), |body, promise| Order::Request(target, body, promise))
    }

    /// Sends a primary that expects no reply. The outcome, its system bytes, comes when it stands in the ordered output; or it is
    /// [`Error::OutputFull`], [`Error::Removed`], [`Error::Stopped`], or in [`Error::Connection`] what refuses it, such as that nothing is selected.
    pub fn send(&self, stream_function: StreamFunction, body: impl Into<Vec<u8>>) -> Pending<SystemBytes> {
        self.put(body.into(), |body, promise| Order::Send(Target { session: None, stream_function }, body, promise))
    }

    /// The same, naming the session id. One that is none of the peer's is refused, in [`Error::Connection`].
    pub fn send_in(
        &self,
        session: SessionId,
        stream_function: StreamFunction,
        body: impl Into<Vec<u8>>,
    ) -> Pending<SystemBytes> {
        let target = Target { session: Some(session), stream_function };
        self.put(body.into(), |body, promise| Order::Send(target, body, promise))
    }

    /// Replies to the primary that `token` came with. The outcome comes when the reply stands in the ordered output; it is
    /// [`Error::OutputFull`], [`Error::Removed`], [`Error::Stopped`], or in [`Error::Connection`] that the token is of a session or connection that has ended.
    pub fn reply(&self, token: ReplyToken, body: impl Into<Vec<u8>>) -> Pending<()> {
        self.put(body.into(), |body, promise| Order::Reply(token, body, promise))
    }

    /// Aborts the transaction of the primary that `token` came with: SxF0. Fails as [`reply`](Self::reply) does.
    pub fn abort(&self, token: ReplyToken) -> Pending<()> {
        self.ask(|promise| Order::Abort(token, promise))
    }

    /// Sends Linktest.req (E37 7.5), where none is open. The outcome tells whether it was answered within T6; it is [`Error::Removed`],
    /// [`Error::Stopped`], or in [`Error::Connection`] that nothing is connected, or how the connection ended.
    pub fn linktest(&self) -> Pending<()> {
        self.ask(Order::Linktest)
    }

    /// Is there when the connection is SELECTED: at once where it is. Fails with [`Error::Removed`] or [`Error::Stopped`] alone.
    pub fn selected(&self) -> Pending<()> {
        self.ask(Order::Selected)
    }

    /// What has happened since the peer was added, or the manager started again; of a caller, since it was known whose it is. Fails
    /// with [`Error::Removed`] or [`Error::Stopped`] alone.
    pub fn counters(&self) -> Pending<Counters> {
        self.ask(Order::Counters)
    }

    pub(super) fn order(&self, order: Order) -> Result<(), Error> {
        self.shared.mailbox.post(Command::Order(self.shared.id, order))
    }

    pub(super) fn ask<T>(&self, order: impl FnOnce(Promise<T>) -> Order) -> Pending<T> {
        let (promise, pending) = pending();
        // Where it fails the promise was dropped, and has said so.
        let _ = self.order(order(promise));
        pending
    }

    fn put<T>(&self, body: Vec<u8>, order: impl FnOnce(Body, Promise<T>) -> Order) -> Pending<T> {
        let (promise, pending) = pending();
        match self.shared.reserve(body) {
            Ok(body) => {
                let _ = self.order(order(body, promise));
            }
            Err(error) => promise.settle(Err(error)),
        }
        pending
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("name", &self.name()).field("state", &self.state()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("name", &self.name).finish_non_exhaustive()
    }
}
