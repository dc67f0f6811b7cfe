//! The one thread: sockets, commands and timers of all peers.

use super::Error;
use super::callers::{Caller, set_up};
use super::delegate::{Pool, lock};
use super::entry::{Close, Entry};
use super::farewell::{FAREWELL, Farewell, WHOLE_FAREWELL};
use super::link::Readiness;
use super::listen::{Accepted, Listener};
use super::peer::{Command, Mailbox, Order, Shared};
use super::settings::{Expected, ManagerSettings, Place};
use super::socket::Socket;
use crate::clock::Clock;
use crate::dial::{Attempt, Attempted};
use crate::security::{CallersRefused, Refusal};
use hsms_core::time::Instant;
use mio::{Events, Interest, Poll, Token};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The token of the mailbox; peers, listeners and callers are numbered from behind it.
pub(super) const MAILBOX: Token = Token(0);

/// Octets that one read takes at most: one buffer for all peers.
const READ_BUFFER: usize = 64 * 1024;

/// Connections that have something left to say when they are closed. What more of them have left is lost.
const MOST_LEAVING: usize = 1_024;

/// Commands for which room is kept where none wait.
const MOST_ROOM: usize = 64;

/// Callers that are taken from a listener before the others have their turn.
const MOST_ACCEPTED: usize = 64;

/// The longest that the loop sleeps; then it just looks again.
const LONGEST: Duration = Duration::from_secs(3_600);

pub(super) struct EventLoop {
    pub(super) poll: Poll,
    pub(super) mailbox: Arc<Mailbox>,
    clock: Clock,
    pub(super) now: Instant,
    pub(super) settings: ManagerSettings,
    pub(super) peers: HashMap<usize, Box<Entry>>,
    pub(super) listeners: HashMap<usize, Listener>,
    pub(super) callers: HashMap<usize, Caller>,
    /// Of these, the ones that are told that the place is taken.
    pub(super) refusing: usize,
    leaving: HashMap<usize, Leaving>,
    /// Who has to be looked after without anything having happened, and when.
    pub(super) deadlines: BTreeSet<(Instant, usize)>,
    /// Who has a turn: whoever has been asked to send something, so that what is asked for at the same time leaves at the same time; whose
    /// socket has something to say; and who had more to read than its share of the last turn.
    pub(super) again: Vec<usize>,
    /// Callers whose handshakes wait for their turn.
    pub(super) handshakes: VecDeque<usize>,
    pub(super) buffer: Box<[u8]>,
    /// Of listeners, callers and those that leave, from the far end: peers have theirs from the manager.
    next_id: usize,
    pub(super) workers: Arc<Pool>,
    events: Arc<Pool>,
    refused: Arc<Mutex<CallersRefused>>,
    /// Whoever is asked about a caller has one more of it.
    pub(super) asked: Arc<()>,
    /// When nobody is waited for any more.
    stopping: Option<Instant>,
}

/// However it ends, by a panic as well: whoever waits for something learns that nothing comes any more.
impl Drop for EventLoop {
    fn drop(&mut self) {
        self.mailbox.close();
        for (_, entry) in std::mem::take(&mut self.peers) {
            self.let_go(*entry);
        }
        self.workers.stop();
        self.events.stop();
    }
}

/// A connection that has been closed and has something left to say.
struct Leaving {
    farewell: Farewell,
    /// The peer, where it is one's.
    of: Option<usize>,
    /// When the peer has to have taken something, and everything.
    until: Instant,
    end: Instant,
}

impl EventLoop {
    pub(super) fn new(
        poll: Poll,
        mailbox: Arc<Mailbox>,
        settings: ManagerSettings,
        (workers, events): (Arc<Pool>, Arc<Pool>),
        refused: Arc<Mutex<CallersRefused>>,
    ) -> Self {
        EventLoop {
            poll,
            mailbox,
            clock: Clock::new(),
            now: Instant::EPOCH,
            settings,
            peers: HashMap::new(),
            listeners: HashMap::new(),
            callers: HashMap::new(),
            refusing: 0,
            leaving: HashMap::new(),
            deadlines: BTreeSet::new(),
            again: Vec::new(),
            handshakes: VecDeque::new(),
            buffer: vec![0; READ_BUFFER].into_boxed_slice(),
            next_id: usize::MAX / 2,
            workers,
            events,
            refused,
            asked: Arc::default(),
            stopping: None,
        }
    }

    /// Until it is stopped and every peer has gone.
    pub(super) fn run(mut self) {
        let (mut events, mut commands) = (Events::with_capacity(1_024), VecDeque::new());
        while self.stopping.is_none() || !self.peers.is_empty() || !self.leaving.is_empty() {
            let asked = self.mailbox.sleep();
            let limit = match self.deadlines.first() {
                _ if asked || !self.again.is_empty() || !self.handshakes.is_empty() => Duration::ZERO,
                Some((deadline, _)) => self.clock.until(*deadline).min(LONGEST),
                None => LONGEST,
            };
            match self.poll.poll(&mut events, Some(limit)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    // The event loop of the system does not work: nothing could ever come.
                    crate::trace::failed(&error);
                    break;
                }
                _ => {}
            }
            self.now = self.clock.now();
            // First, so that what was asked for before a peer did something is in force when it does.
            self.mailbox.take(&mut commands);
            while let Some(command) = commands.pop_front() {
                self.command(command);
            }
            commands.shrink_to(MOST_ROOM);
            for event in &events {
                if event.token() != MAILBOX {
                    self.ready(event.token().0, event.into());
                }
            }
            self.take_turns();
            self.go_on_handshakes();
            self.fire();
        }
    }

    /// A socket has something to say.
    fn ready(&mut self, id: usize, ready: Readiness) {
        if let Some(entry) = self.peers.get_mut(&id) {
            entry.link.ready(ready);
        } else if let Some(caller) = self.callers.get_mut(&id) {
            caller.ready(ready);
        }
        self.again.push(id);
    }

    /// Each that has something to do does it, within its share: one turn each, however often it was named.
    fn take_turns(&mut self) {
        let mut turns = std::mem::take(&mut self.again);
        turns.sort_unstable();
        turns.dedup();
        // First whoever has something to send: one write after the other finds the peers awake, and waking them is what costs.
        let sends = |id: &usize| self.peers.get(id).is_some_and(|entry| entry.link.can_write());
        let (first, then): (Vec<usize>, Vec<usize>) = turns.iter().partition(|id| sends(id));
        for id in first.into_iter().chain(then) {
            self.take_turn(id);
        }
        // Its room is kept.
        turns.clear();
        turns.append(&mut self.again);
        self.again = turns;
    }

    fn take_turn(&mut self, id: usize) {
        if self.peers.contains_key(&id) {
            self.go_on(id, false);
        } else if self.callers.contains_key(&id) {
            self.go_on_caller(id);
        } else if self.leaving.contains_key(&id) {
            self.go_on_leaving(id);
        } else if self.listeners.contains_key(&id) {
            self.accept(id);
        }
    }

    /// Has what is left to say written, for a while; of a peer that of its last connection alone.
    pub(super) fn leave(&mut self, mut farewell: Farewell, of: Option<usize>) {
        let former = |_: &usize, leaving: &mut Leaving| of.is_some() && leaving.of == of;
        for (id, leaving) in self.leaving.extract_if(former) {
            self.deadlines.remove(&(leaving.until, id));
        }
        if self.leaving.len() >= MOST_LEAVING {
            return;
        }
        let id = self.take_id();
        let both = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().reregister(farewell.socket(), Token(id), both) {
            return crate::trace::failed(&error);
        }
        let end = self.now.saturating_add(WHOLE_FAREWELL);
        let end = self.stopping.map_or(end, |limit| end.min(limit));
        let until = self.now.saturating_add(FAREWELL).min(end);
        self.deadlines.insert((until, id));
        self.leaving.insert(id, Leaving { farewell, of, until, end });
    }

    fn go_on_leaving(&mut self, id: usize) {
        let Some(leaving) = self.leaving.get_mut(&id) else { return };
        let before = leaving.farewell.written();
        let over = leaving.farewell.go_on();
        let progress = leaving.farewell.written() > before;
        if !over && leaving.farewell.has_more() {
            self.again.push(id);
        }
        if !over && progress {
            self.deadlines.remove(&(leaving.until, id));
            leaving.until = self.now.saturating_add(FAREWELL).min(leaving.end);
            self.deadlines.insert((leaving.until, id));
        }
        if over || leaving.until <= self.now {
            self.deadlines.remove(&(leaving.until, id));
            self.leaving.remove(&id);
        }
    }

    /// Lets a peer go on as far as it can. `removed`: it is to be removed then.
    pub(super) fn go_on(&mut self, id: usize, mut removed: bool) {
        let now = self.now;
        let Some(entry) = self.peers.get_mut(&id) else { return };
        if let (Some(dial), Place::Active(addresses)) = (entry.dial.take(), entry.shared.settings.place()) {
            let dialled = dial.go_on(addresses, Token(id), self.poll.registry(), now);
            dialled_to(entry, dialled, now);
        }
        entry.link.go_on(now, &mut self.buffer, &mut entry.told);
        entry.pass_on(now);
        removed |= entry.fire(now);
        if entry.link.wants_transport()
            && entry.dial.is_none()
            && let Place::Active(addresses) = entry.shared.settings.place()
        {
            let end = now.saturating_add(entry.shared.settings.options().connect_limit());
            let dialled = Attempt::begin(addresses, entry.first_address(), Token(id), self.poll.registry(), now, end);
            dialled_to(entry, dialled, now);
        }
        // What a turn has put into the output leaves with it.
        entry.link.finish(now, &mut entry.told);
        entry.pass_on(now);
        if entry.link.has_more() || entry.link.can_write() {
            self.again.push(id);
        }
        entry.rest();
        let deadline = entry.next_deadline(now);
        arm(&mut self.deadlines, &mut entry.armed, deadline, id);
        if let Some(farewell) = entry.link.take_farewell() {
            self.leave(farewell, Some(id));
        }
        if removed {
            self.remove(id);
        }
    }

    /// Lets all timers expire that are due.
    fn fire(&mut self) {
        while let Some((deadline, id)) = self.deadlines.first().copied() {
            if deadline > self.now {
                return;
            }
            self.deadlines.pop_first();
            // What has arrived in time comes first, whether it has been told of or not.
            if let Some(entry) = self.peers.get_mut(&id) {
                entry.armed = None;
                entry.link.ready(Readiness::READABLE);
                self.go_on(id, false);
            } else if let Some(caller) = self.callers.get_mut(&id) {
                caller.armed = None;
                caller.ready(Readiness::READABLE);
                self.go_on_caller(id);
            } else if self.leaving.contains_key(&id) {
                self.go_on_leaving(id);
            } else {
                self.accept(id);
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Add(shared, promise) => promise.settle(self.add(shared)),
            Command::Order(id, order) => {
                let Some(entry) = self.peers.get_mut(&id) else { return order.refuse() };
                if order.is_message() {
                    entry.ask(order, self.now);
                    self.again.push(id);
                } else {
                    let removed = entry.order(order, self.now);
                    self.go_on(id, removed);
                }
            }
            Command::Decided(number, decision) => self.decided(number, decision),
            Command::Stop { farewell, limit } => {
                let stopping = self.now.saturating_add(limit);
                self.stopping = Some(self.stopping.map_or(stopping, |earlier| earlier.min(stopping)));
                let limit = self.stopping.unwrap_or(stopping);
                for (id, leaving) in &mut self.leaving {
                    self.deadlines.remove(&(leaving.until, *id));
                    leaving.end = leaving.end.min(limit);
                    leaving.until = leaving.until.min(limit);
                    self.deadlines.insert((leaving.until, *id));
                }
                self.part_unknown(None);
                let ids: Vec<usize> = self.peers.keys().copied().collect();
                for id in ids {
                    let Some(entry) = self.peers.get_mut(&id) else { continue };
                    let limit = farewell.min(entry.shared.settings.farewell());
                    let removed = entry.begin_close(Close::Remove, self.now, limit);
                    self.go_on(id, removed);
                }
            }
        }
    }

    fn add(&mut self, shared: Arc<Shared>) -> Result<(), Error> {
        if self.stopping.is_some() {
            return Err(Error::Stopped);
        }
        shared.settings.security().check(shared.settings.config().mode())?;
        let id = shared.id;
        let listener = match *shared.settings.place() {
            Place::Active(ref addresses) if addresses.is_empty() => return Err(Error::NoAddress),
            Place::Active(_) => None,
            Place::Passive(address, expected) => Some(self.listen_for(&shared, address, expected)?),
        };
        let pool = if shared.has_handlers() { &self.workers } else { &self.events };
        let mut entry = Entry::new(shared, Arc::clone(pool));
        entry.listener = listener;
        self.peers.insert(id, Box::new(entry));
        Ok(())
    }

    /// Listens for a peer, where others are listened for or anew. Gives the listener.
    fn listen_for(&mut self, shared: &Shared, address: SocketAddr, expected: Expected) -> Result<usize, Error> {
        // After a stop where it was before, though any port will do.
        let address = shared.local.get().map_or(address, |local| **local);
        let shares = |(_, listener): &(&usize, &Listener)| address.port() != 0 && **listener.address() == address;
        let id = match self.listeners.iter().find(shares).map(|(id, _)| *id) {
            Some(id) => {
                self.is_as_secure(shared, id)?;
                self.is_distinct(&shared.settings.ids(), id, expected)?;
                id
            }
            None => {
                let id = self.take_id();
                let listener =
                    Listener::new(address, shared.settings.security().clone(), Token(id), self.poll.registry())
                        .map_err(|source| Error::Listen { address, source })?;
                self.listeners.insert(id, listener);
                id
            }
        };
        if let Some(listener) = self.listeners.get_mut(&id) {
            listener.add(expected, shared.id);
            // Set here alone.
            let _ = shared.local.set(Arc::clone(listener.address()));
        }
        Ok(id)
    }

    /// The security of a port is the same for all its peers.
    fn is_as_secure(&self, shared: &Shared, listener: usize) -> Result<(), Error> {
        if self.listeners.get(&listener).is_none_or(|port| port.security == *shared.settings.security()) {
            return Ok(());
        }
        let mut others = self.peers.values().filter(|entry| entry.listener == Some(listener));
        let other = others.next().map(|entry| entry.shared.name.to_string()).unwrap_or_default();
        Err(Error::SecurityDiffers { other })
    }

    fn remove(&mut self, id: usize) {
        let Some(mut entry) = self.peers.remove(&id) else { return };
        arm(&mut self.deadlines, &mut entry.armed, None, id);
        if let (Some(number), Place::Passive(_, expected)) = (entry.listener, entry.shared.settings.place())
            && let Some(listener) = self.listeners.get_mut(&number)
        {
            listener.remove(*expected, id);
            if listener.is_empty() {
                self.listeners.remove(&number);
                self.part_unknown(Some(number));
            }
        }
        self.let_go(*entry);
    }

    /// What the application has given to a peer may do anything when it is dropped: the loop waits for none of it.
    fn let_go(&self, entry: Entry) {
        let shared = Arc::clone(&entry.shared);
        entry.remove(self.stopping.is_some());
        if shared.has_delegate() || shared.settings.tap().is_some() {
            self.workers.run(Box::new(move || drop(shared)));
        }
    }

    pub(super) const fn take_id(&mut self) -> usize {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_id
    }

    /// Counts a caller that is turned away.
    pub(super) fn turn_away(&self, caller: SocketAddr, why: Refusal) {
        crate::trace::refused(format_args!("caller {caller} turned away: {why}"));
        lock(&self.refused).count(why);
    }

    /// Takes callers from the system's queue.
    fn accept(&mut self, id: usize) {
        for _ in 0..MOST_ACCEPTED {
            let Some(listener) = self.listeners.get_mut(&id) else { return };
            match listener.accept(self.now) {
                Accepted::Caller(stream, caller) => self.called(id, stream, caller),
                Accepted::Nobody => return,
                Accepted::Pause(error, until) => {
                    crate::trace::failed(&error);
                    self.deadlines.insert((until, id));
                    return;
                }
            }
        }
        // The others have their turn first.
        self.again.push(id);
    }
}

impl Order {
    /// Whether a message is to be sent. Everything else has a turn of its own.
    const fn is_message(&self) -> bool {
        #[cfg(feature = "services")]
        if matches!(self, Order::NoRoom(..)) {
            return true;
        }
        matches!(self, Order::Request(..) | Order::Send(..) | Order::Reply(..) | Order::Abort(..))
    }

    /// There is no such peer any more.
    fn refuse(self) {
        match self {
            Order::Enable | Order::Disable | Order::Remove | Order::FarewellSaid => {}
            #[cfg(feature = "services")]
            Order::Serve | Order::NoRoom(..) => {}
            Order::Request(_, _, promise) => promise.settle(Err(Error::Removed)),
            Order::Send(_, _, promise) => promise.settle(Err(Error::Removed)),
            Order::Counters(promise) => promise.settle(Err(Error::Removed)),
            Order::Sessions(promise) => promise.settle(Err(Error::Removed)),
            Order::Reply(_, _, promise)
            | Order::Abort(_, promise)
            | Order::Linktest(promise)
            | Order::Session(_, _, promise)
            | Order::Selected(promise)
            | Order::Reconnect(promise) => promise.settle(Err(Error::Removed)),
        }
    }
}

fn dialled_to(entry: &mut Entry, dialled: Attempted, now: Instant) {
    match dialled {
        Attempted::Goes(dial) => {
            entry.link.dials();
            entry.dial = Some(Box::new(dial));
        }
        Attempted::Failed(error) => entry.open_failed(error, now),
        Attempted::Open(stream, place) => {
            entry.reached(place);
            let settings = &entry.shared.settings;
            let ready = set_up(&stream, settings.options()).and_then(|()| settings.security().dialled(Socket(stream)));
            match ready {
                Ok(stream) => entry.opened(stream, now),
                Err(error) => entry.open_failed(error, now),
            }
        }
    }
}

/// Keeps the list of deadlines as it should be. One that moves further away stays: the loop comes too early once and finds nothing to do, and
/// a busy peer, whose deadlines move with every message, costs nothing here.
pub(super) fn arm(
    deadlines: &mut BTreeSet<(Instant, usize)>,
    armed: &mut Option<Instant>,
    deadline: Option<Instant>,
    id: usize,
) {
    if let (Some(old), Some(new)) = (*armed, deadline)
        && old <= new
    {
        return;
    }
    if let Some(old) = std::mem::replace(armed, deadline) {
        deadlines.remove(&(old, id));
    }
    if let Some(new) = deadline {
        deadlines.insert((new, id));
    }
}
