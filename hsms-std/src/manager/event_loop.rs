//! The one thread: sockets, commands and timers of all peers.

use super::Error;
use super::delegate::{Event, Pool, lock};
use super::entry::{Close, Entry};
use super::link::Link;
use super::listen::{Accepted, Listener};
use super::peer::{Command, Mailbox, Order, Shared};
use super::settings::{PeerSettings, Place};
use super::socket::Socket;
use crate::Options;
use crate::clock::Clock;
use crate::dial::{Attempt, Attempted};
use crate::security::{CallersRefused, Refusal};
use hsms_core::time::Instant;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{SockRef, TcpKeepalive};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The token of the mailbox; peers, listeners and callers are numbered from behind it.
pub(super) const MAILBOX: Token = Token(0);

/// Octets that one read takes at most: one buffer for all peers.
const READ_BUFFER: usize = 64 * 1024;

/// Callers that are taken from a listener before the others have their turn.
const MOST_ACCEPTED: usize = 64;

/// The longest that the loop sleeps; then it just looks again.
const LONGEST: Duration = Duration::from_secs(3_600);

/// How long callers are left waiting after the system refused to hand one over.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct EventLoop {
    poll: Poll,
    mailbox: Arc<Mailbox>,
    clock: Clock,
    now: Instant,
    peers: HashMap<usize, Entry>,
    listeners: HashMap<usize, Listener>,
    callers: HashMap<usize, Caller>,
    /// Who has to be looked after without anything having happened, and when.
    deadlines: BTreeSet<(Instant, usize)>,
    /// Who has more to read than its share of the last turn.
    again: Vec<usize>,
    buffer: Box<[u8]>,
    /// Of listeners and callers, from the far end: peers have theirs from the manager.
    next_id: usize,
    workers: Arc<Pool>,
    events: Arc<Pool>,
    refused: Arc<Mutex<CallersRefused>>,
    stopping: bool,
}

/// A caller that is told that the place is taken.
struct Caller {
    link: Link<0>,
    address: IpAddr,
    listener: usize,
    armed: Option<Instant>,
}

impl EventLoop {
    pub(super) fn new(
        poll: Poll,
        mailbox: Arc<Mailbox>,
        (workers, events): (Arc<Pool>, Arc<Pool>),
        refused: Arc<Mutex<CallersRefused>>,
    ) -> Self {
        EventLoop {
            poll,
            mailbox,
            clock: Clock::new(),
            now: Instant::EPOCH,
            peers: HashMap::new(),
            listeners: HashMap::new(),
            callers: HashMap::new(),
            deadlines: BTreeSet::new(),
            again: Vec::new(),
            buffer: vec![0; READ_BUFFER].into_boxed_slice(),
            next_id: usize::MAX / 2,
            workers,
            events,
            refused,
            stopping: false,
        }
    }

    /// Until it is stopped and every peer has gone.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(1_024);
        while !(self.stopping && self.peers.is_empty()) {
            let limit = match self.deadlines.first() {
                _ if !self.again.is_empty() => Duration::ZERO,
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
            for command in self.mailbox.take() {
                self.command(command);
            }
            let mut again = std::mem::take(&mut self.again);
            for event in &events {
                if event.token() != MAILBOX {
                    let readable = event.is_readable() || event.is_read_closed() || event.is_error();
                    self.ready(event.token().0, readable, event.is_writable() || event.is_error());
                }
            }
            for id in again.drain(..) {
                self.ready(id, false, false);
            }
            self.fire();
        }
        self.mailbox.close();
        for (_, entry) in self.peers.drain() {
            entry.remove(true);
        }
        self.workers.stop();
        self.events.stop();
    }

    /// A socket has something to say.
    fn ready(&mut self, id: usize, readable: bool, writable: bool) {
        if let Some(entry) = self.peers.get_mut(&id) {
            entry.link.ready(readable, writable);
            self.go_on(id, false);
        } else if let Some(caller) = self.callers.get_mut(&id) {
            caller.link.ready(readable, writable);
            self.go_on_caller(id);
        } else if self.listeners.contains_key(&id) {
            self.accept(id);
        }
    }

    /// Lets a peer go on as far as it can. `removed`: it is to be removed then.
    fn go_on(&mut self, id: usize, mut removed: bool) {
        let now = self.now;
        let Some(entry) = self.peers.get_mut(&id) else { return };
        if let (Some(dial), Place::Active(addresses)) = (entry.dial.take(), entry.settings.place()) {
            let dialled = dial.go_on(addresses, Token(id), self.poll.registry(), now);
            dialled_to(entry, dialled, now);
        }
        entry.link.go_on(now, &mut self.buffer, &mut entry.told);
        entry.pass_on(now);
        removed |= entry.fire(now);
        if entry.link.wants_transport()
            && entry.dial.is_none()
            && let Place::Active(addresses) = entry.settings.place()
        {
            let end = now.saturating_add(entry.settings.options().connect_limit());
            let dialled = Attempt::begin(addresses, Token(id), self.poll.registry(), now, end);
            dialled_to(entry, dialled, now);
        }
        // What a turn has put into the output leaves with it.
        entry.link.go_on(now, &mut self.buffer, &mut entry.told);
        entry.pass_on(now);
        if entry.link.has_more() {
            self.again.push(id);
        }
        let deadline = entry.next_deadline();
        arm(&mut self.deadlines, &mut entry.armed, deadline, id);
        if removed {
            self.remove(id);
        }
    }

    fn go_on_caller(&mut self, id: usize) {
        let Some(caller) = self.callers.get_mut(&id) else { return };
        // Nothing of it is for anybody.
        let mut told = Vec::new();
        caller.link.go_on(self.now, &mut self.buffer, &mut told);
        caller.link.fire(self.now, &mut told);
        if !caller.link.is_open() {
            arm(&mut self.deadlines, &mut caller.armed, None, id);
            if let Some(Caller { address, listener, .. }) = self.callers.remove(&id) {
                self.leave(listener, address);
            }
            return;
        }
        if caller.link.has_more() {
            self.again.push(id);
        }
        let deadline = caller.link.next_deadline();
        arm(&mut self.deadlines, &mut caller.armed, deadline, id);
    }

    /// Lets all timers expire that are due.
    fn fire(&mut self) {
        while let Some((deadline, id)) = self.deadlines.first().copied() {
            if deadline > self.now {
                return;
            }
            self.deadlines.pop_first();
            if let Some(entry) = self.peers.get_mut(&id) {
                entry.armed = None;
                // What has arrived in time comes first.
                self.go_on(id, false);
            } else if let Some(caller) = self.callers.get_mut(&id) {
                caller.armed = None;
                self.go_on_caller(id);
            } else {
                self.accept(id);
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Add(shared, settings, promise) => promise.settle(self.add(shared, settings)),
            Command::Order(id, order) => {
                let Some(entry) = self.peers.get_mut(&id) else { return order.refuse() };
                let removed = entry.order(order, self.now);
                self.go_on(id, removed);
            }
            Command::Stop { farewell } => {
                self.stopping = true;
                let ids: Vec<usize> = self.peers.keys().copied().collect();
                for id in ids {
                    let Some(entry) = self.peers.get_mut(&id) else { continue };
                    let limit = farewell.min(entry.settings.farewell());
                    let removed = entry.begin_close(Close::Remove, self.now, limit);
                    self.go_on(id, removed);
                }
            }
        }
    }

    fn add(&mut self, shared: Arc<Shared>, settings: Box<PeerSettings>) -> Result<(), Error> {
        if self.stopping {
            return Err(Error::Stopped);
        }
        settings.security().check(settings.config().mode())?;
        let listener = match settings.place() {
            Place::Active(addresses) if addresses.is_empty() => return Err(Error::NoAddress),
            Place::Active(_) => None,
            Place::Passive(address, expected) => {
                let shares =
                    |(_, listener): &(&usize, &Listener)| address.port() != 0 && listener.address() == *address;
                let listener = self.listeners.iter().find(shares).map(|(id, _)| *id);
                if let Some(taken) = listener
                    && self.listeners.get(&taken).is_some_and(|taken| taken.security != *settings.security())
                {
                    let mut others = self.peers.values().filter(|entry| entry.listener == listener);
                    let other = others.next().map(|entry| entry.shared.name.clone()).unwrap_or_default();
                    return Err(Error::SecurityDiffers { other });
                }
                for entry in self.peers.values().filter(|entry| listener.is_some() && entry.listener == listener) {
                    if let Place::Passive(_, other) = entry.settings.place()
                        && expected.is_same(*other)
                    {
                        return Err(Error::SamePlace { other: entry.shared.name.clone() });
                    }
                }
                Some(match listener {
                    Some(id) => id,
                    None => {
                        let id = self.take_id();
                        let listener =
                            Listener::new(*address, settings.security().clone(), Token(id), self.poll.registry())
                                .map_err(|source| Error::Listen { address: *address, source })?;
                        self.listeners.insert(id, listener);
                        id
                    }
                })
            }
        };
        if let Some(listener) = listener.and_then(|id| self.listeners.get(&id)) {
            // Set here alone.
            let _ = shared.local.set(listener.address());
        }
        let pool = if shared.delegate.is_some() { &self.workers } else { &self.events };
        let id = shared.id;
        let mut entry = Entry::new(shared, settings, Arc::clone(pool));
        entry.listener = listener;
        self.peers.insert(id, entry);
        Ok(())
    }

    fn remove(&mut self, id: usize) {
        let Some(mut entry) = self.peers.remove(&id) else { return };
        arm(&mut self.deadlines, &mut entry.armed, None, id);
        let listener = entry.listener;
        entry.remove(self.stopping);
        if let Some(listener) = listener
            && !self.peers.values().any(|entry| entry.listener == Some(listener))
        {
            self.listeners.remove(&listener);
        }
    }

    const fn take_id(&mut self) -> usize {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_id
    }

    /// Takes callers from the system's queue.
    fn accept(&mut self, id: usize) {
        for _ in 0..MOST_ACCEPTED {
            let Some(listener) = self.listeners.get(&id) else { return };
            match listener.accept() {
                Accepted::Caller(stream, caller) => self.called(id, stream, caller),
                Accepted::Nobody => return,
                Accepted::Pause(error) => {
                    crate::trace::failed(&error);
                    self.deadlines.insert((self.now.saturating_add(PAUSE), id));
                    return;
                }
            }
        }
        // The others have their turn first.
        self.again.push(id);
    }

    /// The caller is the peer's that expects it most exactly. Where that has a connection, or is disabled, the caller is told so;
    /// one that nobody expects is hung up on.
    fn called(&mut self, listener: usize, mut stream: TcpStream, caller: SocketAddr) {
        let Some(port) = self.listeners.get(&listener) else { return };
        if !port.security.allows(caller.ip()) {
            return self.turn_away(caller, Refusal::NotAllowed);
        }
        let fitting = self.peers.iter().filter_map(|(id, entry)| match entry.settings.place() {
            Place::Passive(_, expected) if entry.listener == Some(listener) && expected.fits(caller) => {
                Some((*expected, *id))
            }
            _ => None,
        });
        let Some((_, id)) = fitting.max() else {
            return self.turn_away(caller, Refusal::Unexpected);
        };
        let number =
            if self.peers.get(&id).is_some_and(|entry| entry.link.wants_transport()) { id } else { self.take_id() };
        let taken = number != id;
        if taken {
            let Some(port) = self.listeners.get_mut(&listener) else { return };
            let admitted = port.unselected.admit(&port.security, caller.ip());
            let why = admitted.err().unwrap_or(Refusal::Taken);
            self.turn_away(caller, why);
            if let Some(entry) = self.peers.get(&id) {
                entry.tell(Event::CallerRefused { caller, why });
            }
            if admitted.is_err() {
                return;
            }
        }
        let Some(entry) = self.peers.get(&id) else { return };
        // Fails where the caller has gone, or the system has no means: then it is hung up on.
        let ready = set_up(&stream, entry.settings.options()).and_then(|()| {
            let both = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(number), both)?;
            entry.settings.security().accepted(Socket(stream))
        });
        let stream = match ready {
            Ok(stream) => stream,
            Err(error) => {
                crate::trace::failed(&error);
                if taken {
                    self.leave(listener, caller.ip());
                }
                return;
            }
        };
        let Some(entry) = self.peers.get_mut(&id) else { return };
        if taken {
            let link = Link::refusing(*entry.settings.config(), entry.settings.options(), stream, self.now);
            self.callers.insert(number, Caller { link, address: caller.ip(), listener, armed: None });
            self.go_on_caller(number);
        } else {
            entry.opened(stream, self.now);
            self.go_on(id, false);
        }
    }

    fn turn_away(&self, caller: SocketAddr, why: Refusal) {
        crate::trace::refused(format_args!("caller {caller} turned away: {why}"));
        lock(&self.refused).count(why);
    }

    /// A caller that was counted is gone.
    fn leave(&mut self, listener: usize, address: IpAddr) {
        if let Some(port) = self.listeners.get_mut(&listener) {
            port.unselected.leave(address);
        }
    }
}

impl Order {
    /// There is no such peer any more.
    fn refuse(self) {
        match self {
            Order::Enable | Order::Disable | Order::Remove | Order::FarewellSaid => {}
            Order::Request(_, _, promise) => promise.settle(Err(Error::Removed)),
            Order::Send(_, _, promise) => promise.settle(Err(Error::Removed)),
            Order::Counters(promise) => promise.settle(Err(Error::Removed)),
            Order::Reply(_, _, promise)
            | Order::Abort(_, promise)
            | Order::Linktest(promise)
            | Order::Selected(promise)
            | Order::Reconnect(promise) => promise.settle(Err(Error::Removed)),
        }
    }
}

fn dialled_to(entry: &mut Entry, dialled: Attempted, now: Instant) {
    match dialled {
        Attempted::Goes(dial) => entry.dial = Some(dial),
        Attempted::Failed(error) => entry.open_failed(error, now),
        Attempted::Open(stream) => match set_up(&stream, entry.settings.options())
            .and_then(|()| entry.settings.security().dialled(Socket(stream)))
        {
            Ok(stream) => entry.opened(stream, now),
            Err(error) => entry.open_failed(error, now),
        },
    }
}

fn set_up(stream: &TcpStream, options: &Options) -> io::Result<()> {
    stream.set_nodelay(options.no_delay())?;
    if let Some(idle) = options.keepalive() {
        let idle = idle.max(Duration::from_secs(1));
        SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(idle).with_interval(idle))?;
    }
    Ok(())
}

/// Keeps the list of deadlines as it should be.
fn arm(deadlines: &mut BTreeSet<(Instant, usize)>, armed: &mut Option<Instant>, deadline: Option<Instant>, id: usize) {
    if *armed == deadline {
        return;
    }
    if let Some(old) = std::mem::replace(armed, deadline) {
        deadlines.remove(&(old, id));
    }
    if let Some(new) = deadline {
        deadlines.insert((new, id));
    }
}
