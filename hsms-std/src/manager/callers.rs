//! Callers that are no peer's yet: those of whom it is not known whose they are, and those that are told that the place is taken.

mod unknown;

use super::Error;
use super::delegate::Event;
use super::event_loop::{EventLoop, arm};
use super::identify::{Decision, Unidentified};
use super::link::{HandedOver, Link, Readiness};
use super::machine;
use super::peer::Command;
use super::settings::Expected;
use super::socket::Socket;
use crate::Options;
use crate::security::{KEPT, Refusal, Stream};
use crate::watch::Onlookers;
use hsms_core::config::{DeviceIds, Entity, Profile};
use hsms_core::time::Instant;
use hsms_core::wire::{SessionId, StreamFunction, SystemBytes};
use mio::net::TcpStream;
use mio::{Interest, Token};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use unknown::{Found, Inside, Unknown};

/// How long whoever decides about callers may take at least: a thread for it may have to be started first.
const LEAST_DECISION: Duration = Duration::from_secs(10);

/// Octets that one read of a caller takes at most, since what they are answered with is kept where it takes no answers.
const MOST_READ: usize = 4 * 1024;

/// Handshakes of callers that go on in one turn of the event loop: with RSA each takes a millisecond or more for its signature, and
/// a caller's is no reason for the peers to wait.
const MOST_HANDSHAKES: usize = 4;

/// Are you there?
const S1F1: StreamFunction = StreamFunction::new(1, 1);

/// Where the system bytes of probes begin: far from those of the machine that goes on with the connection, so that a late
/// answer to one of them is nothing to it.
const FIRST_PROBE: SystemBytes = SystemBytes(0xF000_0000);

/// A connection that is no peer's.
pub(super) struct Caller {
    link: Link,
    pub(super) armed: Option<Instant>,
    listener: usize,
    address: SocketAddr,
    /// How often it counts under the caps.
    counted: usize,
    /// Its handshake waits for its turn.
    queued: bool,
    /// None: it is told that the place is taken.
    unknown: Option<Box<Unknown>>,
}

impl Caller {
    const fn new(link: Link, (listener, address): (usize, SocketAddr), unknown: Option<Box<Unknown>>) -> Self {
        Caller { link, armed: None, listener, address, counted: 1, queued: false, unknown }
    }

    /// What the event loop has seen.
    pub(super) const fn ready(&mut self, ready: Readiness) {
        self.link.ready(ready);
    }

    fn next_deadline(&self) -> Option<Instant> {
        let until = self.unknown.as_ref().and_then(|unknown| unknown.until);
        [self.link.next_deadline(), until].into_iter().flatten().min()
    }

    fn go_on(&mut self, now: Instant, buffer: &mut [u8], whose: impl Fn(SessionId) -> Option<usize>) -> Option<Found> {
        // Nothing of it is for anybody.
        let mut told = Vec::new();
        let octets = buffer.len().min(MOST_READ);
        let (buffer, _) = buffer.split_at_mut(octets);
        let found = match &mut self.unknown {
            Some(unknown) => unknown.go_on(&mut self.link, now, buffer, &mut told, whose),
            None => {
                self.link.go_on(now, buffer, &mut told);
                None
            }
        };
        if found.is_none() {
            self.link.fire(now, &mut told);
            self.link.write(now, &mut told);
        }
        found
    }
}

impl EventLoop {
    /// Somebody called. Where one peer alone is called from there it is its caller; where several are, what it says tells whose it
    /// is. One that nobody expects is hung up on, and so is one that the port's security bars.
    pub(super) fn called(&mut self, listener: usize, stream: TcpStream, address: SocketAddr) {
        let Some(port) = self.listeners.get(&listener) else { return };
        if !port.security.allows(address.ip()) {
            return self.turn_away(address, Refusal::NotAllowed);
        }
        match port.place(address).map(|place| (place, port.at(place))) {
            Some((_, &[id])) => {
                if self.peers.get(&id).is_some_and(|entry| entry.link.wants_transport()) {
                    if let Some(stream) = self.accept_stream(listener, stream, id, id)
                        && let Some(entry) = self.peers.get_mut(&id)
                    {
                        entry.opened(stream, self.now);
                        self.go_on(id, false);
                    }
                } else if self.turn_away_from(id, listener, address) {
                    let number = self.take_id();
                    match self.accept_stream(listener, stream, id, number) {
                        Some(stream) => self.refuse(number, id, stream.into(), (&[], &[]), (listener, address)),
                        None => self.make_room(listener, address),
                    }
                }
            }
            Some((place, &[first, ..])) => self.serve_unknown((listener, place), first, stream, address),
            Some((_, [])) | None => self.turn_away(address, Refusal::Unexpected),
        }
    }

    /// Sets the stream of a caller up as the peer wants it, and has it told of under this number. Gives none where the caller has gone,
    /// or the system has no means: then it is hung up on.
    fn accept_stream(
        &self,
        listener: usize,
        mut stream: TcpStream,
        peer: usize,
        number: usize,
    ) -> Option<Stream<Socket>> {
        let (port, entry) = (self.listeners.get(&listener)?, self.peers.get(&peer)?);
        let ready = set_up(&stream, entry.shared.settings.options()).and_then(|()| {
            self.poll.registry().register(&mut stream, Token(number), Interest::READABLE | Interest::WRITABLE)?;
            port.security.accepted(Socket(stream))
        });
        ready.inspect_err(crate::trace::failed).ok()
    }

    /// The same for one that was told of under another number. Tells whether it succeeded.
    fn move_stream(&self, stream: &mut Stream<Socket>, peer: usize, number: usize) -> bool {
        let Some(entry) = self.peers.get(&peer) else { return false };
        let both = Interest::READABLE | Interest::WRITABLE;
        let socket = &mut stream.transport_mut().0;
        set_up(socket, entry.shared.settings.options())
            .and_then(|()| self.poll.registry().reregister(socket, Token(number), both))
            .inspect_err(crate::trace::failed)
            .is_ok()
    }

    /// The peer has a connection already, or is disabled. Tells whether there is room to tell the caller so: then it is counted as
    /// one more that is no peer's.
    fn turn_away_from(&mut self, peer: usize, listener: usize, caller: SocketAddr) -> bool {
        let Some(port) = self.listeners.get_mut(&listener) else { return false };
        let admitted = port.unselected.admit(&port.security, caller.ip());
        self.turned_away_from(peer, caller, admitted.err().unwrap_or(Refusal::Taken));
        admitted.is_ok()
    }

    fn turned_away_from(&mut self, peer: usize, caller: SocketAddr, why: Refusal) {
        let Some(entry) = self.peers.get(&peer) else { return self.turn_away(caller, why) };
        entry.shared.onlookers().inside(|| self.turn_away(caller, why));
        if let Some(entry) = self.peers.get_mut(&peer) {
            entry.tell(Event::CallerRefused { caller, why });
        }
    }

    /// A caller that was counted is no more, or a peer's.
    fn make_room(&mut self, listener: usize, address: SocketAddr) {
        if let Some(port) = self.listeners.get_mut(&listener) {
            port.unselected.leave(address.ip());
        }
    }

    /// Tells a caller that the place is taken, behind what it has not taken yet of what it was told before. `octets` have been read from
    /// it, of which another machine has looked at some.
    fn refuse(
        &mut self,
        number: usize,
        peer: usize,
        transport: HandedOver,
        (seen, octets): (&[u8], &[u8]),
        (listener, address): (usize, SocketAddr),
    ) {
        let Some(settings) = self.peers.get(&peer).map(|entry| Arc::clone(&entry.shared.settings)) else { return };
        self.refusing = self.refusing.saturating_add(1);
        let onlookers = Onlookers { tap: settings.tap().cloned(), ..Onlookers::default() };
        let mut link = Link::called(settings.refusing(), settings.options(), transport, &onlookers, self.now);
        link.receive_again(self.now, seen, &mut Vec::new());
        link.receive(self.now, octets, &mut Vec::new());
        self.callers.insert(number, Caller::new(link, (listener, address), None));
        self.go_on_caller(number);
    }

    /// Serves a caller until it is known whose it is, with the settings of the first of its candidates.
    fn serve_unknown(
        &mut self,
        (listener, place): (usize, Expected),
        first: usize,
        stream: TcpStream,
        address: SocketAddr,
    ) {
        let Some(settings) = self.peers.get(&first).map(|entry| Arc::clone(&entry.shared.settings)) else { return };
        let Some(port) = self.listeners.get_mut(&listener) else { return };
        let admitted = if self.callers.len().saturating_sub(self.refusing) >= self.settings.max_unidentified() {
            Err(Refusal::TooMany)
        } else {
            port.unselected.admit(&port.security, address.ip())
        };
        if let Err(why) = admitted {
            return self.turn_away(address, why);
        }
        let number = self.take_id();
        let Some(stream) = self.accept_stream(listener, stream, first, number) else {
            return self.make_room(listener, address);
        };
        let within = self.settings.identify_within();
        // A host: what equipment says by itself is for the peer's own machine to say. Lenient, for the same reason.
        let config = settings.config().with_device_ids(DeviceIds::ANY).with_entity(Entity::Host);
        let config = config.with_profile(Profile::Lenient).unwrap_or(config);
        let config = config.with_linktest_period(Duration::ZERO).unwrap_or(config);
        let longest = self.longest_message(listener, place).unwrap_or(config.max_message());
        let config = config.with_max_message(longest).unwrap_or(config);
        let machine = machine::unknown(config.with_t3(within).unwrap_or(config), FIRST_PROBE);
        let onlookers = Onlookers { tap: self.settings.tap().cloned(), ..Onlookers::default() };
        let link = Link::called(machine, settings.options(), stream.into(), &onlookers, self.now);
        let unknown = Some(Box::new(Unknown::new(place, within)));
        self.callers.insert(number, Caller::new(link, (listener, address), unknown));
        self.go_on_caller(number);
    }

    /// What the candidates take that take most.
    fn longest_message(&self, listener: usize, place: Expected) -> Option<u32> {
        let peers = self.listeners.get(&listener)?.at(place).iter().filter_map(|id| self.peers.get(id));
        peers.map(|entry| entry.shared.settings.config().max_message()).max()
    }

    /// Lets a caller go on as far as it can; in the middle of a handshake when it is its turn.
    pub(super) fn go_on_caller(&mut self, number: usize) {
        let Some(caller) = self.callers.get_mut(&number) else { return };
        if !caller.link.is_handshaking() {
            return self.serve_caller(number);
        }
        if !std::mem::replace(&mut caller.queued, true) {
            self.handshakes.push_back(number);
        }
    }

    /// Lets the handshakes go on whose turn it is.
    pub(super) fn go_on_handshakes(&mut self) {
        for _ in 0..MOST_HANDSHAKES {
            let Some(number) = self.handshakes.pop_front() else { return };
            if let Some(caller) = self.callers.get_mut(&number) {
                caller.queued = false;
                self.serve_caller(number);
            }
        }
    }

    fn serve_caller(&mut self, number: usize) {
        let Some(caller) = self.callers.get_mut(&number) else { return };
        let at = caller.unknown.as_ref().map(|unknown| (caller.listener, unknown.place));
        let (listeners, peers) = (&self.listeners, &self.peers);
        let whose = |session| {
            let (listener, place) = at?;
            let mut candidates = listeners.get(&listener)?.at(place).iter().copied();
            candidates.find(|id| peers.get(id).is_some_and(|entry| entry.shared.settings.ids().contains(&session)))
        };
        if let Some(found) = caller.go_on(self.now, &mut self.buffer, whose) {
            return self.identified(number, &found);
        }
        if let Some(farewell) = caller.link.take_farewell() {
            self.leave(farewell, None);
        }
        let Some(caller) = self.callers.get_mut(&number) else { return };
        if !caller.link.is_open() {
            self.forget_caller(number);
            return;
        }
        if let Err(why) = self.count(number) {
            return self.hang_up_on(number, why);
        }
        let Some(caller) = self.callers.get_mut(&number) else { return };
        if caller.link.has_more() {
            self.again.push(number);
        }
        let asked =
            caller.unknown.as_mut().is_some_and(|unknown| unknown.until.take_if(|until| *until <= self.now).is_some());
        let deadline = caller.next_deadline();
        arm(&mut self.deadlines, &mut caller.armed, deadline, number);
        if asked {
            self.ask(number);
        }
    }

    /// Counts a caller as often as what TLS keeps for it demands.
    fn count(&mut self, number: usize) -> Result<(), Refusal> {
        let Some(caller) = self.callers.get_mut(&number) else { return Ok(()) };
        let Some(port) = self.listeners.get_mut(&caller.listener) else { return Ok(()) };
        let times = caller.link.kept().checked_div(KEPT).unwrap_or(0).saturating_add(1);
        while caller.counted < times {
            port.unselected.admit(&port.security, caller.address.ip())?;
            caller.counted = caller.counted.saturating_add(1);
        }
        while caller.counted > times {
            port.unselected.leave(caller.address.ip());
            caller.counted = caller.counted.saturating_sub(1);
        }
        Ok(())
    }

    /// A caller has become more than there is room for.
    fn hang_up_on(&mut self, number: usize, why: Refusal) {
        let Some(mut caller) = self.forget_caller(number) else { return };
        let error = io::Error::new(io::ErrorKind::QuotaExceeded, why.to_string());
        caller.link.hang_up(Some(error), self.now, &mut Vec::new());
        self.turn_away(caller.address, why);
    }

    /// Takes a caller out of everything.
    fn forget_caller(&mut self, number: usize) -> Option<Caller> {
        let mut caller = self.callers.remove(&number)?;
        arm(&mut self.deadlines, &mut caller.armed, None, number);
        if caller.unknown.is_none() {
            self.refusing = self.refusing.saturating_sub(1);
        }
        for _ in 0..caller.counted {
            self.make_room(caller.listener, caller.address);
        }
        Some(caller)
    }

    /// It is known whose the caller is: the peer's own machine goes on with it.
    fn identified(&mut self, number: usize, found: &Found) {
        let (peer, octets) = (found.peer, (&*found.seen, &*found.rest));
        let Some(caller) = self.forget_caller(number) else { return };
        let Caller { mut link, listener, address, unknown: Some(unknown), .. } = caller else { return };
        let Some(entry) = self.peers.get(&peer) else { return };
        if entry.link.wants_transport() {
            let Some(mut transport) = link.hand_over() else { return };
            if !self.move_stream(&mut transport.stream, peer, peer) {
                return;
            }
            let Some(entry) = self.peers.get_mut(&peer) else { return };
            entry.shared.queue.dropped(unknown.dropped);
            entry.taken_over(transport, (&unknown.selecting, &unknown.said), octets, self.now);
            return self.go_on(peer, false);
        }
        if unknown.selecting.is_empty() {
            if self.turn_away_from(peer, listener, address) {
                let number = self.take_id();
                let moved = link.hand_over().and_then(|mut transport| {
                    self.move_stream(&mut transport.stream, peer, number).then_some(transport)
                });
                match moved {
                    Some(transport) => self.refuse(number, peer, transport, octets, (listener, address)),
                    None => self.make_room(listener, address),
                }
            }
            return;
        }
        // It has been told otherwise, and can only be hung up on.
        self.turned_away_from(peer, address, Refusal::Taken);
        self.part(link);
    }

    /// Ends a connection that is nobody's.
    fn part(&mut self, mut link: Link) {
        // Refused only while actions wait, and none do here.
        let _ = link.command(self.now, &mut Vec::new(), |machine, now| machine.disable(now));
        if let Some(farewell) = link.take_farewell() {
            self.leave(farewell, None);
        }
    }

    /// Ends the connections of all callers that are unidentified, at this listener or at all.
    pub(super) fn part_unknown(&mut self, listener: Option<usize>) {
        let at = |caller: &Caller| listener.is_none_or(|listener| listener == caller.listener);
        let unknown = self.callers.iter().filter(|(_, caller)| caller.unknown.is_some() && at(caller));
        for number in unknown.map(|(number, _)| *number).collect::<Vec<_>>() {
            if let Some(caller) = self.forget_caller(number) {
                self.part(caller.link);
            }
        }
    }

    /// Has it decided what becomes of a caller.
    fn ask(&mut self, number: usize) {
        let Some(caller) = self.callers.get_mut(&number) else { return };
        let Some(unknown) = &mut caller.unknown else { return };
        if self.settings.identify().is_some() {
            // Asked once, however often it begins anew meanwhile.
            let waiting = unknown.asked.is_some();
            let limit = *unknown.asked.get_or_insert(self.now.saturating_add(unknown.within.max(LEAST_DECISION)));
            if limit <= self.now {
                // Nobody has decided in time: there may be no thread to do so.
                return self.decided(number, Decision::Close);
            }
            unknown.until = Some(limit);
            let deadline = caller.next_deadline();
            arm(&mut self.deadlines, &mut caller.armed, deadline, number);
            if waiting {
                return;
            }
        }
        let Some(caller) = self.callers.get(&number) else { return };
        let Some(unknown) = &caller.unknown else { return };
        let Some(listener) = self.listeners.get(&caller.listener) else { return };
        let candidates = listener.at(unknown.place).iter().filter_map(|id| self.peers.get(id));
        let caller = Unidentified {
            caller: caller.address,
            listener: **listener.address(),
            candidates: candidates.map(|entry| entry.shared.name.to_string()).collect(),
            first: unknown.first,
            probed: unknown.probed,
        };
        let Some(identify) = self.settings.identify().cloned() else {
            let decision = if caller.probed { Decision::Close } else { Decision::Probe };
            return self.decided(number, decision);
        };
        // With all threads busy those who are asked stand in line, also for callers that have gone meanwhile.
        if Arc::strong_count(&self.asked) > self.settings.max_unidentified() {
            return self.decided(number, Decision::Close);
        }
        let (mailbox, asked) = (Arc::clone(&self.mailbox), Arc::clone(&self.asked));
        self.workers.run(Box::new(move || {
            let decided = std::panic::AssertUnwindSafe(|| identify.identify(&caller));
            // One that panics has told so itself.
            let decision = std::panic::catch_unwind(decided).unwrap_or(Decision::Close);
            // Where the manager has stopped the caller has gone.
            let _ = mailbox.post(Command::Decided(number, decision));
            drop(asked);
        }));
    }

    /// It has been decided what becomes of a caller. Of no consequence where that has told whose it is meanwhile, or gone.
    pub(super) fn decided(&mut self, number: usize, decision: Decision) {
        let Some(caller) = self.callers.get_mut(&number) else { return };
        let Some(unknown) = caller.unknown.as_deref_mut() else { return };
        if unknown.asked.take().is_some() {
            unknown.until = None;
        }
        match decision {
            Decision::Assign(name) => {
                let named = self
                    .peers
                    .iter()
                    .filter(|(_, entry)| *entry.shared.name == *name && entry.listener == Some(caller.listener))
                    // One that is being removed may have had the name before.
                    .max_by_key(|(id, _)| **id);
                match named {
                    Some((id, _)) if unknown.inside == Inside::Other => unknown.decided = Some(*id),
                    Some((id, _)) => {
                        let found = unknown.found(*id, &[]);
                        self.identified(number, &found);
                    }
                    None => self.decided(number, Decision::Close),
                }
            }
            Decision::Probe => {
                unknown.probed = true;
                unknown.until = Some(self.now.saturating_add(unknown.within));
                let candidates = self.listeners.get(&caller.listener).map_or(&[][..], |port| port.at(unknown.place));
                let ids = candidates.iter().filter_map(|id| self.peers.get(id));
                for session in ids.flat_map(|entry| entry.shared.settings.device_ids()) {
                    // Fails where the session has ended: the caller has to begin anew.
                    let _ = caller.link.send(self.now, &mut Vec::new(), (session, S1F1), true, &[]);
                }
                self.go_on_caller(number);
            }
            Decision::Close => {
                if let Some(caller) = self.forget_caller(number) {
                    self.part(caller.link);
                }
            }
        }
    }

    /// Whether a peer can be told from the others that are expected from the same place.
    pub(super) fn is_distinct(&self, ids: &[SessionId], listener: usize, expected: Expected) -> Result<(), Error> {
        let others = self.listeners.get(&listener).map_or(&[][..], |port| port.at(expected));
        for entry in others.iter().filter_map(|id| self.peers.get(id)) {
            let theirs = entry.shared.settings.ids();
            if ids.is_empty() || theirs.is_empty() || theirs.iter().any(|id| ids.contains(id)) {
                return Err(Error::SamePlace { other: entry.shared.name.to_string() });
            }
        }
        Ok(())
    }
}

pub(super) fn set_up(stream: &TcpStream, options: &Options) -> io::Result<()> {
    stream.set_nodelay(options.no_delay())?;
    if let Some(idle) = options.keepalive() {
        let idle = idle.max(Duration::from_secs(1));
        SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(idle).with_interval(idle))?;
    }
    Ok(())
}
