//! Callers that are no peer's yet: those of whom it is not known whose they are, and those that are told that the place is taken.

use super::Error;
use super::delegate::Event;
use super::event_loop::{EventLoop, arm};
use super::identify::{Decision, Unidentified};
use super::link::{HandedOver, Link, Told};
use super::machine;
use super::peer::Command;
use super::settings::Expected;
use super::socket::Socket;
use crate::Options;
use crate::security::{Refusal, Stream};
use crate::watch::Onlookers;
use hsms_core::config::{DeviceIds, Entity, Profile};
use hsms_core::connection::{Inbound, State};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};
use mio::net::TcpStream;
use mio::{Interest, Token};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Primaries of a caller that nothing has identified that are held, and their octets. What goes beyond is answered SxF0 or dropped,
/// and told to the peer when it is known.
const MOST_HELD: usize = 64;
const MOST_HELD_OCTETS: usize = 64 * 1024;

/// Octets that one read of a caller takes at most, since what they are answered with is kept where it takes no answers.
const MOST_READ: usize = 4 * 1024;

/// Reads of one caller before the others have their turn.
const MOST_READS: usize = 8;

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
    /// None: it is told that the place is taken.
    unknown: Option<Box<Unknown>>,
}

/// What is known of a caller of whom it is not known whose it is, and what its peer has to be told.
struct Unknown {
    /// From where its candidates are expected.
    place: Expected,
    /// The message that selected the connection, and what it was answered with.
    selecting: Vec<u8>,
    said: Vec<u8>,
    /// Whole primaries, and what has come of one more.
    held: Vec<u8>,
    messages: usize,
    dropped: u64,
    first: Option<Header>,
    /// A header that has come in part.
    header: Vec<u8>,
    inside: Inside,
    /// When it is asked whose the caller is: while it is selected, however often it begins anew.
    until: Option<Instant>,
    latest: Option<Instant>,
    within: Duration,
    probed: bool,
    /// It has been decided, inside a message that is not held.
    decided: Option<usize>,
}

/// The message of which part has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    None,
    /// A primary that is held.
    Held,
    Other,
}

/// Whose a caller is.
struct Found {
    peer: usize,
    /// What the peer's machine has to look at again, and what nobody has looked at.
    seen: Vec<u8>,
    rest: Vec<u8>,
}

impl Caller {
    /// What the event loop has seen.
    pub(super) const fn ready(&mut self, readable: bool, writable: bool) {
        self.link.ready(readable, writable);
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

impl Unknown {
    fn go_on(
        &mut self,
        link: &mut Link,
        now: Instant,
        buffer: &mut [u8],
        told: &mut Vec<Told>,
        whose: impl Fn(SessionId) -> Option<usize>,
    ) -> Option<Found> {
        link.write(now, told);
        for _ in 0..MOST_READS {
            if !link.has_more() {
                break;
            }
            let octets = link.read(now, buffer, told);
            let found = self.receive(link, now, buffer.get(..octets).unwrap_or(&[]), told, &whose);
            if found.is_some() {
                return found;
            }
            link.write(now, told);
        }
        None
    }

    fn receive(
        &mut self,
        link: &mut Link,
        now: Instant,
        mut octets: &[u8],
        told: &mut Vec<Told>,
        whose: &impl Fn(SessionId) -> Option<usize>,
    ) -> Option<Found> {
        while !octets.is_empty() {
            let before = link.state();
            // What stands behind the end of a connection is for nobody.
            let (taken, inbound) = link.machine.receive(now, octets).ok()?;
            let (these, rest) = octets.split_at_checked(taken)?;
            octets = rest;
            let Some(inbound) = inbound else {
                self.header.extend_from_slice(these);
                link.drain(told);
                continue;
            };
            link.note(&inbound);
            self.header.clear();
            if before != State::Selected && link.state() == State::Selected {
                // What the peer's own machine answers counts, where it is known whose that is.
                let header = inbound.header();
                if header.session != SessionId::CONTROL
                    && let Some(id) = whose(header.session)
                {
                    return Some(Found { peer: id, seen: header.encode_alone().to_vec(), rest: rest.to_vec() });
                }
                self.selecting = header.encode_alone().to_vec();
                self.said = link.drain_said(told);
                self.until = Some(*self.latest.get_or_insert(now.saturating_add(self.within)));
                continue;
            }
            if let Some(id) = self.piece(link, now, &inbound, told, whose) {
                return Some(self.found(id, rest));
            }
            link.drain(told);
            if link.state() != State::Selected {
                // Nothing that came in a session that has ended is for the next one.
                (self.selecting, self.said, self.held) = (Vec::new(), Vec::new(), Vec::new());
                (self.messages, self.first, self.until) = (0, None, None);
            }
            if self.inside != Inside::Other
                && let Some(id) = self.decided.take()
            {
                return Some(self.found(id, rest));
            }
        }
        None
    }

    /// Holds a primary, as far as there is room. Gives whose the caller is where the message tells that.
    fn piece(
        &mut self,
        link: &mut Link,
        now: Instant,
        inbound: &Inbound<'_>,
        told: &mut Vec<Told>,
        whose: &impl Fn(SessionId) -> Option<usize>,
    ) -> Option<usize> {
        let header = inbound.header();
        if !inbound.first() {
            if self.inside == Inside::Held {
                self.held.extend_from_slice(inbound.body());
            }
            if inbound.last() {
                self.inside = Inside::None;
            }
        } else if !inbound.last() {
            self.inside = Inside::Other;
        }
        if inbound.is_reply() {
            // To a probe.
            return if inbound.last() && !inbound.is_abort() { whose(header.session) } else { None };
        }
        if !inbound.first() || !inbound.is_for_application() {
            return None;
        }
        let id = whose(header.session);
        let body_len = inbound.piece.body_len;
        let length = usize::try_from(body_len).unwrap_or(usize::MAX);
        let fits = self.messages < MOST_HELD && self.held.len().saturating_add(length) <= MOST_HELD_OCTETS;
        let _ = self.first.get_or_insert(*header);
        match header.encode_prefix(body_len) {
            Ok(prefix) if fits || id.is_some() => {
                self.messages = self.messages.saturating_add(1);
                self.held.extend_from_slice(&prefix);
                self.held.extend_from_slice(inbound.body());
                if !inbound.last() {
                    self.inside = Inside::Held;
                }
            }
            _ => {
                self.dropped = self.dropped.saturating_add(1);
                link.drain(told);
                if let Some(token) = inbound.reply_token() {
                    // Fails only where the session has ended, and the sender knows then.
                    let _ = link.abort(now, told, &token);
                }
            }
        }
        id
    }

    /// What has been read and is for the peer's own machine: what is held, and what follows it.
    fn found(&mut self, id: usize, rest: &[u8]) -> Found {
        let mut octets = std::mem::take(&mut self.header);
        octets.extend_from_slice(rest);
        Found { peer: id, seen: std::mem::take(&mut self.held), rest: octets }
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
        let onlookers = Onlookers { tap: settings.tap().cloned(), name: None };
        let mut link = Link::called(settings.refusing(), settings.options(), transport, &onlookers, self.now);
        link.receive_again(self.now, seen, &mut Vec::new());
        link.receive(self.now, octets, &mut Vec::new());
        self.callers.insert(number, Caller { link, armed: None, listener, address, unknown: None });
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
        let onlookers = Onlookers { tap: self.settings.tap().cloned(), name: None };
        let link = Link::called(machine, settings.options(), stream.into(), &onlookers, self.now);
        let unknown = Unknown {
            place,
            within,
            selecting: Vec::new(),
            said: Vec::new(),
            held: Vec::new(),
            messages: 0,
            dropped: 0,
            first: None,
            header: Vec::new(),
            inside: Inside::None,
            until: None,
            latest: None,
            probed: false,
            decided: None,
        };
        let unknown = Some(Box::new(unknown));
        self.callers.insert(number, Caller { link, armed: None, listener, address, unknown });
        self.go_on_caller(number);
    }

    /// What the candidates take that take most.
    fn longest_message(&self, listener: usize, place: Expected) -> Option<u32> {
        let peers = self.listeners.get(&listener)?.at(place).iter().filter_map(|id| self.peers.get(id));
        peers.map(|entry| entry.shared.settings.config().max_message()).max()
    }

    /// Lets a caller go on as far as it can.
    pub(super) fn go_on_caller(&mut self, number: usize) {
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

    /// Takes a caller out of everything.
    fn forget_caller(&mut self, number: usize) -> Option<Caller> {
        let mut caller = self.callers.remove(&number)?;
        arm(&mut self.deadlines, &mut caller.armed, None, number);
        if caller.unknown.is_none() {
            self.refusing = self.refusing.saturating_sub(1);
        }
        self.make_room(caller.listener, caller.address);
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
        let mailbox = Arc::clone(&self.mailbox);
        self.workers.run(Box::new(move || {
            let decided = std::panic::AssertUnwindSafe(|| identify.identify(&caller));
            // One that panics has told so itself.
            let decision = std::panic::catch_unwind(decided).unwrap_or(Decision::Close);
            // Where the manager has stopped the caller has gone.
            let _ = mailbox.post(Command::Decided(number, decision));
        }));
    }

    /// It has been decided what becomes of a caller. Of no consequence where that has told whose it is meanwhile, or gone.
    pub(super) fn decided(&mut self, number: usize, decision: Decision) {
        let Some(caller) = self.callers.get_mut(&number) else { return };
        let Some(unknown) = caller.unknown.as_deref_mut() else { return };
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
