//! What is told of a peer, to whom, and by which threads.

use super::peer::{Command, Order, Peer};
use super::queue::Item;
use crate::security::Refusal;
use hsms_core::connection::{Class, CloseReason, Notice, ReplyToken};
use hsms_core::wire::Header;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// A message came that is not for the application: what it counts as tells why. Control messages are among these where
    /// [`Options::with_tell_control`](crate::Options::with_tell_control) asks for them.
    Other {
        /// Its header.
        header: Header,
        /// Octets of its text, which is not kept.
        body_len: u32,
        /// What became of it.
        class: Class,
    },
    /// More came than was taken. Told when nothing else waits to be told.
    Dropped {
        /// Primaries; those whose sender waits for a reply were answered SxF0.
        primaries: u64,
        /// Other events. A connection, or a session, that began and ended untold is among these from its begin to its end; nothing else that
        /// changes the state of the connection ever is.
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

/// Peers about which there is something to tell, and the threads that tell it; none where the application takes it itself.
pub(super) struct Pool {
    state: Mutex<PoolState>,
    come: Condvar,
    ended: Condvar,
    most_threads: usize,
    /// How long a thread without work stays.
    idle: Duration,
    /// The system had no thread for what waits, and there was none.
    stranded: AtomicBool,
}

/// What a thread has to do.
enum Work {
    /// To tell what there is to tell of a peer.
    Tell(Peer),
    Run(Job),
}

/// Something that is no event of a peer.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// What comes next.
pub(super) enum Next {
    Item(Peer, Item),
    Job(Job),
}

#[derive(Default)]
struct PoolState {
    ready: VecDeque<Work>,
    threads: usize,
    idle: usize,
    stopped: bool,
}

impl Pool {
    pub(super) fn new(most_threads: usize) -> Self {
        Pool {
            state: Mutex::default(),
            come: Condvar::new(),
            ended: Condvar::new(),
            most_threads,
            idle: IDLE,
            stranded: AtomicBool::new(false),
        }
    }

    /// Puts a peer in line. Starts a thread where all are busy and there may be one more.
    pub(super) fn schedule(self: &Arc<Self>, peer: Peer) {
        self.work(Work::Tell(peer));
    }

    /// Has a thread run this.
    pub(super) fn run(self: &Arc<Self>, job: Job) {
        self.work(Work::Run(job));
    }

    fn work(self: &Arc<Self>, work: Work) {
        let mut state = lock(&self.state);
        state.ready.push_back(work);
        if state.ready.len() > state.idle {
            self.start_thread(&mut state);
        }
        self.wake_one(state);
    }

    /// Waking nobody would cost a call of the system as well.
    fn wake_one(&self, state: MutexGuard<'_, PoolState>) {
        let idle = state.idle > 0;
        drop(state);
        if idle {
            self.come.notify_one();
        }
    }

    /// Something more has come for a peer that stands in line: another chance where the system had no thread for it.
    pub(super) fn help(self: &Arc<Self>) {
        if !self.stranded.load(Ordering::Relaxed) {
            return;
        }
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
            self.stranded.store(state.threads == 0, Ordering::Relaxed);
        }
    }

    /// What comes next. `None` when there is none for so long, or no more will come.
    pub(super) fn next(&self, limit: Duration) -> Option<Next> {
        let mut state = lock(&self.state);
        // The clock is asked only where there is something to wait for.
        let mut end = None;
        loop {
            while let Some(work) = state.ready.pop_front() {
                let peer = match work {
                    Work::Tell(peer) => peer,
                    Work::Run(job) => return Some(Next::Job(job)),
                };
                if let Some(item) = peer.shared.queue.pop() {
                    return Some(Next::Item(peer, item));
                }
                if peer.shared.queue.goes_on() {
                    state.ready.push_back(Work::Tell(peer));
                }
            }
            let now = Instant::now();
            let end = *end.get_or_insert_with(|| now.checked_add(limit));
            let left = end.map_or(limit, |end| end.saturating_duration_since(now));
            if state.stopped || left.is_zero() {
                return None;
            }
            state.idle = state.idle.saturating_add(1);
            state = self.come.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            state.idle = state.idle.saturating_sub(1);
        }
    }

    /// The event has been dealt with: the peer's next one may be. `comes_back`: this thread looks for work at once, so that nobody
    /// else has to be woken for it.
    pub(super) fn finish(&self, peer: Peer, comes_back: bool) {
        if peer.shared.queue.goes_on() {
            let mut state = lock(&self.state);
            state.ready.push_back(Work::Tell(peer));
            if !comes_back {
                self.wake_one(state);
            }
        }
    }

    /// No more will come.
    pub(super) fn stop(&self) {
        lock(&self.state).stopped = true;
        self.come.notify_all();
    }

    /// More will come after all.
    pub(super) fn restart(&self) {
        lock(&self.state).stopped = false;
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
        let (peer, item) = match pool.next(pool.idle) {
            Some(Next::Item(peer, item)) => (peer, item),
            Some(Next::Job(job)) => {
                // One that panics has told so itself.
                let _ = catch_unwind(AssertUnwindSafe(job));
                continue;
            }
            None if pool.leave() => return,
            None => continue,
        };
        let before_closed = matches!(item, Item::Event(Event::BeforeClosed));
        let token = if let Item::Event(Event::Received(message)) = &item { message.token } else { None };
        // A handler that panics has told so itself, and harms neither its peer nor this thread.
        if catch_unwind(AssertUnwindSafe(|| peer.shared.inside(|| deliver(&peer, item)))).is_err()
            && let Some(token) = token
        {
            // Nobody else will answer. Refused where the handler has.
            drop(peer.abort(token));
        }
        if before_closed {
            let _ = peer.shared.mailbox.post(Command::Order(peer.shared.id, Order::FarewellSaid));
        }
        pool.finish(peer, true);
    }
}

fn deliver(peer: &Peer, item: Item) {
    #[cfg_attr(
        not(feature = "services"),
        expect(clippy::infallible_destructuring_match, reason = "with services there are calls as well")
    )]
    let event = match item {
        Item::Event(event) => event,
        #[cfg(feature = "services")]
        Item::Call(call) => return super::served::call(peer, call),
    };
    let Some(delegate) = peer.shared.settings.delegate() else { return };
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    const LIMIT: Duration = Duration::from_secs(60);

    #[test]
    fn threads_without_work_end_and_begin_again_with_it() {
        const THREADS: usize = 4;
        let pool = Arc::new(Pool { idle: Duration::from_millis(10), ..Pool::new(THREADS) });
        for _ in 0..2 {
            let together = Arc::new(Barrier::new(THREADS + 1));
            for _ in 0..THREADS {
                let together = Arc::clone(&together);
                pool.run(Box::new(move || {
                    together.wait();
                }));
            }
            // All of them have a thread now.
            together.wait();
            // Nobody stops them.
            assert_eq!(pool.wait_ended(LIMIT), 0);
        }
    }
}
