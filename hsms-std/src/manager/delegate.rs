//! What is told of a peer, to whom, and by which threads.

use super::peer::{Command, Order, Peer};
use crate::security::Refusal;
use hsms_core::connection::{CloseReason, Notice, ReplyToken};
use hsms_core::wire::Header;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(5);

/// A data message that has come: a primary, or a reply as the outcome of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The header.
    pub header: Header,
    /// What [`Peer::reply`] needs; `None` where no reply is expected.
    pub token: Option<ReplyToken>,
    /// The text.
    pub body: Vec<u8>,
}

/// Something that happened to a peer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The transport is open; the session is not yet. Nor is TLS, where it is used: its handshake comes next.
    Established,
    /// The connection is SELECTED: data may flow. Also told for every other notice of the machine.
    Notice(Notice),
    /// A primary.
    Received(Received),
    /// The connection is about to be closed. Where that is our decision (disable, reconnect, remove, stop), messages can still be sent until the
    /// delegate has returned, for [`PeerSettings::with_farewell`](super::PeerSettings::with_farewell) at most. Otherwise it has ended already.
    BeforeClosed,
    /// The connection is closed.
    Closed {
        /// Why.
        reason: CloseReason,
        /// What the system said where reading or writing failed.
        error: Option<io::Error>,
    },
    /// An attempt to dial failed; the next follows after T5.
    ConnectFailed {
        /// What the system said about the last address tried.
        error: io::Error,
    },
    /// A caller that is this peer's was turned away: the peer has a connection, or is disabled.
    CallerRefused {
        /// Who called.
        caller: SocketAddr,
        /// Whether it was told so by status 1, or hung up on for there were too many.
        why: Refusal,
    },
    /// A message came that is for nobody here.
    Other {
        /// Its header.
        header: Header,
    },
    /// More came than was taken. Told as soon as there is room again.
    Dropped {
        /// Primaries; those whose sender waits for a reply were answered SxF0.
        primaries: u64,
        /// Other events.
        events: u64,
    },
}

/// What an application does about its peers. The calls are made by worker threads, never by the event loop: for one peer one
/// at a time and in order, for different peers at the same time, up to
/// [`ManagerSettings::with_max_handlers`](super::ManagerSettings::with_max_handlers). They may block, and may send requests and wait for them.
pub trait Delegate: Send + Sync + 'static {
    /// The transport is open. That the session is selected is told by [`event`](Self::event).
    fn established(&self, peer: &Peer) {
        let _ = peer;
    }

    /// A primary has come. Where its token is there, the sender waits for [`Peer::reply`]; where this panics before, it is answered SxF0.
    fn received(&self, peer: &Peer, message: Received);

    /// The connection is about to be closed: see [`Event::BeforeClosed`].
    fn before_closed(&self, peer: &Peer) {
        let _ = peer;
    }

    /// The connection is closed.
    fn closed(&self, peer: &Peer, reason: CloseReason, error: Option<io::Error>) {
        let _ = (peer, reason, error);
    }

    /// Everything else that happens.
    fn event(&self, peer: &Peer, event: Event) {
        let _ = (peer, event);
    }
}

/// What waits to be told of one peer, within bounds.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<Waiting>,
    most: usize,
    most_octets: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Event>,
    messages: usize,
    octets: usize,
    /// What was dropped and has not been told.
    untold: (u64, u64),
    /// A thread has it, or it stands in line for one.
    scheduled: bool,
}

/// What has become of an event.
pub(super) enum Queued {
    Kept,
    /// And the peer has to be scheduled.
    First,
    Full,
}

impl Queue {
    pub(super) fn new(most: usize, most_octets: usize) -> Self {
        Queue { state: Mutex::default(), most, most_octets }
    }

    pub(super) fn push(&self, event: Event) -> Queued {
        let mut state = lock(&self.state);
        let octets = match &event {
            Event::Received(message) => message.body.len(),
            _ => 0,
        };
        if let Event::Received(_) = &event {
            // One message is kept however long it is.
            if state.messages >= self.most
                || (state.messages > 0 && state.octets.saturating_add(octets) > self.most_octets)
            {
                state.untold.0 = state.untold.0.saturating_add(1);
                return Queued::Full;
            }
            state.messages = state.messages.saturating_add(1);
            state.octets = state.octets.saturating_add(octets);
        } else if state.events.len().saturating_sub(state.messages) >= self.most {
            state.untold.1 = state.untold.1.saturating_add(1);
            return Queued::Full;
        }
        state.events.push_back(event);
        if std::mem::replace(&mut state.scheduled, true) { Queued::Kept } else { Queued::First }
    }

    fn pop(&self) -> Option<Event> {
        let mut state = lock(&self.state);
        let Some(event) = state.events.pop_front() else {
            let (primaries, events) = std::mem::take(&mut state.untold);
            return (primaries > 0 || events > 0).then_some(Event::Dropped { primaries, events });
        };
        if let Event::Received(message) = &event {
            state.messages = state.messages.saturating_sub(1);
            state.octets = state.octets.saturating_sub(message.body.len());
        }
        Some(event)
    }

    /// Whether there is more to tell; where there is not, the next event schedules the peer anew.
    fn goes_on(&self) -> bool {
        let mut state = lock(&self.state);
        state.scheduled = !state.events.is_empty() || state.untold != (0, 0);
        state.scheduled
    }
}

/// Peers about which there is something to tell, and the threads that tell it; none where the application takes it itself.
#[derive(Debug)]
pub(super) struct Pool {
    state: Mutex<PoolState>,
    come: Condvar,
    ended: Condvar,
    most_threads: usize,
}

#[derive(Debug, Default)]
struct PoolState {
    ready: VecDeque<Peer>,
    threads: usize,
    idle: usize,
    stopped: bool,
}

impl Pool {
    pub(super) fn new(most_threads: usize) -> Self {
        Pool { state: Mutex::default(), come: Condvar::new(), ended: Condvar::new(), most_threads }
    }

    /// Puts a peer in line. Starts a thread where all are busy and there may be one more.
    pub(super) fn schedule(self: &Arc<Self>, peer: Peer) {
        let mut state = lock(&self.state);
        state.ready.push_back(peer);
        if state.ready.len() > state.idle {
            self.start_thread(&mut state);
        }
        drop(state);
        self.come.notify_one();
    }

    /// Something more has come for a peer that stands in line: another chance where the system had no thread for it.
    pub(super) fn help(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        if state.threads == 0 && !state.ready.is_empty() {
            self.start_thread(&mut state);
        }
    }

    /// Where the system has no thread left, one of those there are comes to it, or the next event tries again.
    fn start_thread(self: &Arc<Self>, state: &mut PoolState) {
        if state.threads < self.most_threads {
            let pool = Arc::clone(self);
            if thread::Builder::new().name("hsms-handler".into()).spawn(move || work(&pool)).is_ok() {
                state.threads = state.threads.saturating_add(1);
            }
        }
    }

    /// The next event, and the peer that it is about. `None` when there is none for so long, or no more will come.
    pub(super) fn next(&self, limit: Duration) -> Option<(Peer, Event)> {
        let end = Instant::now().checked_add(limit);
        let mut state = lock(&self.state);
        loop {
            while let Some(peer) = state.ready.pop_front() {
                if let Some(event) = peer.shared.queue.pop() {
                    return Some((peer, event));
                }
                if peer.shared.queue.goes_on() {
                    state.ready.push_back(peer);
                }
            }
            let left = end.map_or(limit, |end| end.saturating_duration_since(Instant::now()));
            if state.stopped || left.is_zero() {
                return None;
            }
            state.idle = state.idle.saturating_add(1);
            state = self.come.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            state.idle = state.idle.saturating_sub(1);
        }
    }

    /// The event has been dealt with: the peer's next one may be.
    pub(super) fn finish(&self, peer: Peer) {
        if peer.shared.queue.goes_on() {
            lock(&self.state).ready.push_back(peer);
            self.come.notify_one();
        }
    }

    /// No more will come.
    pub(super) fn stop(&self) {
        lock(&self.state).stopped = true;
        self.come.notify_all();
    }

    /// Waits until all threads have ended. Gives how many have not.
    pub(super) fn wait_ended(&self, limit: Duration) -> usize {
        let end = Instant::now().checked_add(limit);
        let mut state = lock(&self.state);
        while state.threads > 0 {
            let left = end.map_or(limit, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break;
            }
            state = self.ended.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.threads
    }

    /// A thread without work ends, unless something has just come.
    fn leave(&self) -> bool {
        let mut state = lock(&self.state);
        if !state.ready.is_empty() {
            return false;
        }
        state.threads = state.threads.saturating_sub(1);
        drop(state);
        self.ended.notify_all();
        true
    }
}

fn work(pool: &Pool) {
    loop {
        let Some((peer, event)) = pool.next(IDLE) else {
            if pool.leave() {
                return;
            }
            continue;
        };
        let before_closed = matches!(event, Event::BeforeClosed);
        let token = if let Event::Received(message) = &event { message.token } else { None };
        // A handler that panics has told so itself, and harms neither its peer nor this thread.
        if catch_unwind(AssertUnwindSafe(|| deliver(&peer, event))).is_err()
            && let Some(token) = token
        {
            // Nobody else will answer. Refused where the handler has.
            drop(peer.abort(token));
        }
        if before_closed {
            let _ = peer.shared.mailbox.post(Command::Order(peer.shared.id, Order::FarewellSaid));
        }
        pool.finish(peer);
    }
}

fn deliver(peer: &Peer, event: Event) {
    let Some(delegate) = &peer.shared.delegate else { return };
    match event {
        Event::Established => delegate.established(peer),
        Event::Received(message) => delegate.received(peer, message),
        Event::BeforeClosed => delegate.before_closed(peer),
        Event::Closed { reason, error } => delegate.closed(peer, reason, error),
        event => delegate.event(peer, event),
    }
}

/// Nothing of the application's runs while one of these is locked.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
