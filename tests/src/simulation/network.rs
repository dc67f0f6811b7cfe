//! Transports between the two ends of a link: dialling, writing, arriving, closing.

use super::end::watch;
use super::link::{BIND, DIAL, Link, REFUSER, TEXT, WIRE};
use super::wire::{Arrival, NEVER, Wire};
use super::{Fault, Made};
use hsms_core::connection::{Action, Connection, Event, GeneralInput, Input, Outcome};
use hsms_core::time::Instant;

/// Who is at an end of a transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Side {
    /// The end of the link.
    Ours,
    /// A machine that tells its caller that another connection is served.
    Refuser,
    /// A broken peer.
    Stranger,
    /// Nobody.
    #[default]
    Gone,
}

/// A transport.
#[derive(Debug, Default)]
pub(super) struct Conn {
    pub(super) sides: [Side; 2],
    pub(super) wires: [Wire; 2],
    /// It was between both ends of the link, so their counters have to agree about it.
    pub(super) between_ours: bool,
}

impl<M: Made> Link<M> {
    /// Sets when something arrives over this transport.
    pub(super) fn look_at(&mut self, conn: usize) {
        for from in 0..2 {
            let to = 1 - from;
            let reads = match self.conns[conn].sides[to] {
                Side::Ours => !self.ends[to].deaf && !self.ends[to].frozen,
                _ => true,
            };
            self.at[WIRE + 2 * conn + from] = if reads { self.conns[conn].wires[from].next() } else { NEVER };
        }
    }

    /// The active end dials.
    pub(super) fn dial(&mut self) -> Result<(), String> {
        self.at[DIAL] = NEVER;
        let stranger = self.stranger.as_ref().map(|stranger| (stranger.side, stranger.wants));
        let caller = match stranger {
            Some((0, wants)) if wants => Side::Stranger,
            Some((0, _)) => return Ok(()),
            _ if self.ends[0].wants && !self.ends[0].frozen => Side::Ours,
            _ => return Ok(()),
        };
        let free = self.conns.iter().position(|conn| conn.sides == [Side::Gone; 2]);
        let listener = match stranger {
            Some((1, wants)) => wants.then_some(Side::Stranger),
            _ if self.ends[1].frozen => None,
            _ if self.ends[1].wants => Some(Side::Ours),
            _ if self.ends[1].socket.is_some() && self.refuser.is_none() && !M::GENERAL && caller == Side::Ours => {
                Some(Side::Refuser)
            }
            _ => None,
        };
        let listener = listener.filter(|_| self.refusing_until <= self.now);
        let (Some(conn), Some(listener)) = (free, listener) else {
            self.count(Fault::Refused);
            self.note(|| "the dial is refused".into());
            return match caller {
                Side::Ours => {
                    self.ends[0].wants = false;
                    self.tell(0, Input::Handle(Event::TransportFailed)).map(drop)
                }
                _ => self.stranger_does(|stranger, now| stranger.open_failed(now)),
            };
        };
        self.settle_accounts(conn);
        let between_ours = caller == Side::Ours && listener == Side::Ours;
        self.conns[conn].sides = [caller, listener];
        self.conns[conn].between_ours = between_ours;
        self.note(|| format!("a transport opens between {caller:?} and {listener:?}"));
        // The listener learns of it first; what it sends takes a while in any case.
        for side in [1, 0] {
            match self.conns[conn].sides[side] {
                Side::Ours => {
                    self.ends[side].socket = Some(conn);
                    self.ends[side].wants = false;
                    if !between_ours {
                        self.ends[side].stranger_begins();
                    }
                    let outcome = self.tell(side, Input::Handle(Event::TransportOpen))?;
                    if outcome != Outcome::Done {
                        return Err(format!("the transport that end {side} wanted is open, and it says {outcome:?}"));
                    }
                }
                Side::Refuser => {
                    self.count(Fault::SecondCaller);
                    let watched = self.ends[1].watch().is_some();
                    self.refuser = Some(Box::new(watch(Connection::refusing(self.configs[1]), watched)));
                    self.refuser_does(conn, Some(Input::Handle(Event::TransportOpen)))?;
                }
                Side::Stranger => self.stranger_does(|stranger, now| stranger.opened(now, conn))?,
                Side::Gone => {}
            }
        }
        Ok(())
    }

    /// The passive end cannot have its port.
    pub(super) fn bind_fails(&mut self) -> Result<(), String> {
        self.at[BIND] = NEVER;
        if self.ends[1].wants && !self.ends[1].frozen {
            self.ends[1].wants = false;
            self.count(Fault::Refused);
            self.tell(1, Input::Handle(Event::TransportFailed))?;
        }
        Ok(())
    }

    /// No transport is asked for any more.
    pub(super) fn forget_dial(&mut self, end: usize) {
        self.ends[end].wants = false;
        self.at[if end == 0 { DIAL } else { BIND }] = NEVER;
    }

    /// The machine of an end asks for a transport.
    pub(super) fn open(&mut self, end: usize) {
        self.ends[end].wants = true;
        if end == 0 {
            self.at[DIAL] = self.now + self.latency + self.rng.u64(1..100);
        } else if self.rng.u8(..) < 4 && !self.healing {
            self.at[BIND] = self.now + 1;
        }
    }

    /// The machine of an end closes its transport: what there is room for leaves before.
    pub(super) fn close(&mut self, end: usize) -> Result<(), String> {
        self.forget_dial(end);
        if let Some(conn) = self.ends[end].socket {
            self.write(end);
            let at = self.now + self.latency;
            self.conns[conn].wires[end].arrive(at, Arrival::End);
            self.conns[conn].sides[end] = Side::Gone;
            self.ends[end].hang_up();
            self.at[TEXT + end] = NEVER;
            self.look_at(conn);
        }
        Ok(())
    }

    /// Writes what there is room for, in pieces. Gives how many octets that were.
    pub(super) fn write(&mut self, end: usize) -> usize {
        let Some(conn) = self.ends[end].socket else { return 0 };
        let pending = self.ends[end].pending();
        if pending.is_empty() || self.ends[end].frozen {
            return 0;
        }
        let (at, late) = self.arrives();
        let wire = &mut self.conns[conn].wires[end];
        let count = pending.len().min(self.window.saturating_sub(wire.in_flight()));
        if count < pending.len() {
            self.faults[Fault::WriteBlocked as usize] += 1;
        }
        wire.split(&mut self.rng, at, late, &pending[..count]);
        if count > 0 {
            self.ends[end].wrote(count);
            self.look_at(conn);
        }
        count
    }

    /// What is no end of the link writes.
    pub(super) fn write_foreign(&mut self, conn: usize, side: usize, octets: &[u8]) {
        let (at, late) = self.arrives();
        self.conns[conn].wires[side].split(&mut self.foreign, at, late, octets);
    }

    /// When what is written now arrives at the earliest, and by how much later it may.
    const fn arrives(&self) -> (u64, u64) {
        let slow = if self.slow_until > self.now { 9_000 } else { 0 };
        (self.now + self.latency, self.jitter + slow)
    }

    /// Something arrives over a transport.
    pub(super) fn arrive(&mut self, conn: usize, from: usize) -> Result<(), String> {
        let to = 1 - from;
        let (side, other) = (self.conns[conn].sides[to], self.conns[conn].sides[from]);
        if let Some(arrival) = self.conns[conn].wires[from].pop() {
            match (arrival, side) {
                (Arrival::Octets(octets), Side::Ours) => self.receive(conn, to, octets as usize)?,
                (Arrival::Octets(octets), Side::Gone) => {
                    self.conns[conn].wires[from].discard(octets as usize);
                    if other != Side::Gone {
                        // To whom knows of no transport.
                        let at = self.now + self.latency;
                        self.conns[conn].wires[to].arrive(at, Arrival::Reset);
                    }
                }
                (Arrival::Octets(octets), _) => {
                    let octets = octets as usize;
                    let copy = self.conns[conn].wires[from].front(octets).to_vec();
                    self.conns[conn].wires[from].discard(octets);
                    if side == Side::Stranger {
                        self.stranger_does(|stranger, now| stranger.receive(now, &copy))?;
                    } else {
                        self.refuser_receives(conn, &copy)?;
                    }
                }
                (Arrival::End | Arrival::Reset, Side::Ours) => {
                    self.note(|| format!("end {to} finds the transport gone"));
                    self.lose(to)?;
                }
                (_, Side::Refuser) => {
                    self.conns[conn].sides[to] = Side::Gone;
                    self.refuser = None;
                    self.at[REFUSER] = NEVER;
                }
                (_, Side::Stranger) => {
                    self.conns[conn].sides[to] = Side::Gone;
                    self.stranger_does(|stranger, now| stranger.closed(now))?;
                }
                (_, Side::Gone) => {}
            }
        }
        // There is room for the writer again, enough to be worth a write.
        let room = self.conns[conn].wires[from].in_flight() <= self.window / 2;
        if other == Side::Ours && room && !self.ends[from].pending().is_empty() && self.ends[from].socket == Some(conn)
        {
            self.settle(from)?;
        }
        self.look_at(conn);
        Ok(())
    }

    /// Octets arrive at an end.
    fn receive(&mut self, conn: usize, to: usize, octets: usize) -> Result<(), String> {
        let foreign = !self.conns[conn].between_ours;
        let mut left = octets;
        while left > 0 && self.ends[to].socket == Some(conn) {
            let front = self.conns[conn].wires[1 - to].front(left);
            let (taken, void) = self.ends[to].receive(self.now, front, foreign)?;
            if taken == 0 || taken > left {
                return Err(format!("{taken} of {left} octets taken"));
            }
            if self.is_traced() {
                let front = front.to_vec();
                self.note(|| format!("end {to} receives {taken} of {:02x?}", &front[..left.min(24)]));
            }
            let wire = &mut self.conns[conn].wires[1 - to];
            if void {
                wire.discard(taken);
            } else {
                wire.consume(taken);
            }
            left -= taken;
            self.settle(to)?;
        }
        self.conns[conn].wires[1 - to].discard(left);
        Ok(())
    }

    /// What a transport has lost is noted before its place is used for another.
    pub(super) fn settle_accounts(&mut self, conn: usize) {
        let conn = &mut self.conns[conn];
        for (wire, lost) in conn.wires.iter_mut().zip(&mut self.lost) {
            if conn.between_ours {
                lost.add(&wire.lost());
            }
            wire.reset();
        }
        conn.between_ours = false;
    }

    // The machine that only refuses.

    /// It is told this, or without an input what is due expires. Gives how many octets it took.
    fn refuser_does(&mut self, conn: usize, input: Option<Input<'_>>) -> Result<usize, String> {
        let Some(mut refuser) = self.refuser.take() else { return Ok(0) };
        let (mut actions, mut taken) = (Vec::new(), 0);
        match input.map(|input| refuser.tell(self.now, GeneralInput::Common(input), &mut actions)).transpose()? {
            None => refuser.fire(self.now, &mut actions)?,
            Some(Outcome::Received { taken: octets, .. }) => taken = octets,
            Some(Outcome::Done) => {}
            Some(other) => return Err(format!("the machine that only refuses says {other:?}")),
        }
        let (mut ended, mut octets) = (false, 0);
        for action in actions.drain(..) {
            match action {
                Action::Send(frame) => {
                    self.write_foreign(conn, 1, &frame.encode());
                    octets += frame.len() as u64;
                }
                Action::CloseTransport(_) => ended = true,
                Action::OpenTransport => return Err("a refusing machine asks for a transport".into()),
                Action::Notify(_) => {}
            }
        }
        self.at[REFUSER] = NEVER;
        if ended {
            let at = self.now + self.latency;
            self.conns[conn].wires[1].arrive(at, Arrival::End);
            self.conns[conn].sides[1] = Side::Gone;
        } else {
            let written = refuser.tell(self.now, GeneralInput::Common(Input::Written { octets }), &mut actions)?;
            if written != Outcome::Done || !actions.is_empty() {
                return Err(format!("{octets} octets were written, and it says {written:?} and does {actions:?}"));
            }
            self.at[REFUSER] = refuser.machine().next_deadline().map_or(NEVER, Instant::as_millis);
            self.refuser = Some(refuser);
        }
        self.look_at(conn);
        Ok(taken)
    }

    pub(super) fn refuser_fires(&mut self) -> Result<(), String> {
        let conn = self.conns.iter().position(|conn| conn.sides[1] == Side::Refuser);
        let Some(conn) = conn else { return Err("a refusing machine without a transport".into()) };
        self.refuser_does(conn, None).map(drop)
    }

    fn refuser_receives(&mut self, conn: usize, octets: &[u8]) -> Result<(), String> {
        let mut rest = octets;
        while !rest.is_empty() && self.refuser.is_some() {
            let taken = self.refuser_does(conn, Some(Input::Receive(rest)))?;
            rest = &rest[taken..];
        }
        Ok(())
    }

    /// An end is told something.
    pub(super) fn tell(&mut self, end: usize, input: Input<'static>) -> Result<Outcome<'static>, String> {
        self.tell_general(end, GeneralInput::Common(input))
    }
}
