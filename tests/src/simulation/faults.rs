//! What befalls links.

use super::link::{ACT, FAULT, Link, TEXT, WAKE};
use super::network::Side;
use super::stranger::Stranger;
use super::wire::{Arrival, NEVER};
use super::{Made, SESSIONS};
use hsms_core::connection::{Event, GeneralInput, Input, State};
use hsms_std::faults::broken::PEERS;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Octets are held on the way, in one direction or in both.
    Silence,
    /// Every piece takes seconds.
    Slow,
    /// The link is gone, and one end does not learn of it.
    HalfOpen,
    /// The link is gone, and what was on its way with it.
    Reset,
    /// The same behind some of the octets that were on their way.
    Cut,
    /// An end does not read for a while, so that the other cannot write.
    StopsReading,
    /// The same, and the end has told its machine.
    PausesInput,
    /// An end does nothing at all for a while.
    Frozen,
    /// A dial is refused, or a port cannot be had.
    Refused,
    /// A caller finds that the other end still serves a connection of before, and is told so.
    SecondCaller,
    /// An application ends, and begins anew; its system closes the transport.
    Restart,
    /// The same without a word to the other end.
    PowerCut,
    /// An application disables its connection for a while.
    Disabled,
    /// An application separates.
    Separated,
    /// An application gives up a text in the middle.
    TextAborted,
    /// An application ends a session of HSMS-GS, by Deselect or by Separate.
    SessionEnded,
    /// In the place of an end there is a broken peer for a while.
    BrokenPeer,
    /// A write found no room.
    WriteBlocked,
    /// The peer took nothing for so long that the link counts as lost.
    WriteStalled,
}

/// All of them, in order, with their names.
pub const FAULTS: [(Fault, &str); 19] = [
    (Fault::Silence, "silence"),
    (Fault::Slow, "slow"),
    (Fault::HalfOpen, "half-open"),
    (Fault::Reset, "reset"),
    (Fault::Cut, "cut"),
    (Fault::StopsReading, "stops reading"),
    (Fault::PausesInput, "pauses input"),
    (Fault::Frozen, "frozen"),
    (Fault::Refused, "refused"),
    (Fault::SecondCaller, "second caller"),
    (Fault::Restart, "restart"),
    (Fault::PowerCut, "power cut"),
    (Fault::Disabled, "disabled"),
    (Fault::Separated, "separated"),
    (Fault::TextAborted, "text aborted"),
    (Fault::SessionEnded, "session ended"),
    (Fault::BrokenPeer, "broken peer"),
    (Fault::WriteBlocked, "write blocked"),
    (Fault::WriteStalled, "write stalled"),
];

/// The longest that a fault lasts by itself, in milliseconds.
pub(super) const LONGEST: u64 = 60_000;

impl<M: Made> Link<M> {
    pub(super) fn count(&mut self, fault: Fault) {
        self.faults[fault as usize] += 1;
    }

    /// Something goes wrong.
    pub(super) fn go_wrong(&mut self) -> Result<(), String> {
        self.at[FAULT] = self.now + 1 + self.rng.u64(..2 * self.between_faults);
        let last = self.rng.u64(1_000..LONGEST / 2);
        let end = self.rng.usize(..2);
        let fault = FAULTS[self.rng.usize(..FAULTS.len())].0;
        match fault {
            Fault::Refused => {
                // What is refused is counted when it is.
                self.refusing_until = self.now + last;
                return self.both_learn(|_| 0);
            }
            Fault::BrokenPeer => return self.visit(end, last + 60_000),
            _ if self.stranger.as_ref().is_some_and(|stranger| stranger.side == end) => return Ok(()),
            Fault::Restart | Fault::PowerCut => self.restart(end, fault == Fault::Restart)?,
            // These come of others.
            Fault::TextAborted | Fault::SecondCaller | Fault::WriteBlocked | Fault::WriteStalled => return Ok(()),
            Fault::SessionEnded if !M::GENERAL => return Ok(()),
            Fault::SessionEnded => return self.end_session(end),
            Fault::Slow => self.slow_until = self.now + last,
            Fault::Frozen => {
                self.ends[end].frozen = true;
                (0..self.conns.len()).for_each(|conn| self.look_at(conn));
                self.at[WAKE + end] = self.now + last;
            }
            Fault::Disabled => {
                if self.ends[end].down || self.ends[end].frozen {
                    return Ok(());
                }
                self.ends[end].disabled = true;
                self.at[ACT + end] = self.now + last;
                self.tell(end, Input::Disable)?;
            }
            Fault::Separated => {
                if self.ends[end].frozen || self.ends[end].machine().state() != State::Selected {
                    return Ok(());
                }
                self.tell(end, Input::Separate)?;
            }
            Fault::Silence => {
                let Some(conn) = self.ends[end].socket else { return Ok(()) };
                let until = self.now + 2 * last;
                self.conns[conn].wires[end].hold(until);
                if self.rng.bool() {
                    self.conns[conn].wires[1 - end].hold(until);
                }
                self.look_at(conn);
            }
            Fault::Reset => return self.both_learn(|_| 0).map(|()| self.count(fault)),
            Fault::Cut => {
                let share = self.rng.usize(..100);
                self.count(fault);
                return self.both_learn(|octets| octets * share / 100);
            }
            Fault::HalfOpen => return self.half_open(end, last),
            Fault::StopsReading | Fault::PausesInput => {
                let peer = &self.ends[end];
                if peer.frozen || peer.deaf || peer.machine().state() != State::Selected {
                    return Ok(());
                }
                if fault == Fault::PausesInput {
                    self.tell(end, Input::PauseInput)?;
                }
                self.ends[end].deaf = true;
                (0..self.conns.len()).for_each(|conn| self.look_at(conn));
                self.at[WAKE + end] = self.now + last;
            }
        }
        self.count(fault);
        Ok(())
    }

    /// The link breaks behind so many of the octets that are on their way, and both ends learn of it.
    fn both_learn(&mut self, kept: impl Fn(usize) -> usize) -> Result<(), String> {
        let Some(conn) = self.ends[0].socket.or(self.ends[1].socket) else { return Ok(()) };
        for wire in &mut self.conns[conn].wires {
            let kept = kept(wire.in_flight());
            wire.cut(kept);
            wire.arrive(self.now, Arrival::Reset);
        }
        self.look_at(conn);
        Ok(())
    }

    /// One end learns at once that the link is gone, the other after a while, or by its own means.
    fn half_open(&mut self, end: usize, last: u64) -> Result<(), String> {
        let Some(conn) = self.ends[end].socket else { return Ok(()) };
        if self.ends[1 - end].socket != Some(conn) || self.ends[end].frozen {
            return Ok(());
        }
        self.count(Fault::HalfOpen);
        self.note(|| format!("half-open: end {end} learns of it"));
        for wire in &mut self.conns[conn].wires {
            wire.cut(0);
        }
        if self.rng.bool() {
            self.conns[conn].wires[end].arrive(self.now + 2 * last, Arrival::Reset);
        }
        self.conns[conn].wires.iter_mut().for_each(|wire| wire.dead = true);
        self.look_at(conn);
        self.lose(end)
    }

    /// The machine and its application are gone, and begin anew after a while.
    fn restart(&mut self, end: usize, tells: bool) -> Result<(), String> {
        self.note(|| format!("end {end} is restarted"));
        if let Some(conn) = self.ends[end].socket {
            self.conns[conn].sides[end] = Side::Gone;
            let wire = &mut self.conns[conn].wires[end];
            if tells {
                wire.arrive(self.now + self.latency, Arrival::End);
            } else {
                // Until it is up again nobody answers what comes; then it is said that there is no such transport.
                wire.cut(0);
            }
            self.conns[conn].wires.iter_mut().for_each(|wire| wire.dead |= !tells && self.rng.bool());
            self.look_at(conn);
        }
        let machine = self.make(end);
        self.ends[end].restart(machine);
        self.at[TEXT + end] = NEVER;
        self.forget_dial(end);
        self.at[WAKE + end] = self.now + 100 + self.rng.u64(..5_000);
        self.settle(end)
    }

    /// A session of HSMS-GS ends.
    pub(super) fn end_session(&mut self, end: usize) -> Result<(), String> {
        if self.ends[end].frozen || self.ends[end].down {
            return Ok(());
        }
        let session = SESSIONS[self.rng.usize(..2)];
        let input = if self.rng.bool() {
            GeneralInput::DeselectSession(session)
        } else {
            GeneralInput::SeparateSession(session)
        };
        if !matches!(self.tell_general(end, input)?, hsms_core::connection::Outcome::Refused(_)) {
            self.count(Fault::SessionEnded);
        }
        Ok(())
    }

    /// A broken peer takes the place of an end.
    fn visit(&mut self, end: usize, last: u64) -> Result<(), String> {
        // The fault kit's peers have their own sessions.
        if M::GENERAL || self.stranger.is_some() || self.ends[end].down || self.ends[end].frozen {
            return Ok(());
        }
        self.ends[end].disabled = true;
        self.at[ACT + end] = NEVER;
        self.tell(end, Input::Disable)?;
        let which = self.rng.usize(..PEERS.len());
        self.note(|| format!("{} comes in place of end {end}", PEERS[which].name));
        self.visits[which] += 1;
        self.count(Fault::BrokenPeer);
        self.stranger = Some(Stranger::new(which, end, self.configs[end], self.now + last));
        self.stranger_does(|stranger, now| stranger.enable(now))
    }

    /// The transport of an end is gone, and it learns of it.
    pub(super) fn lose(&mut self, end: usize) -> Result<(), String> {
        if let Some(conn) = self.ends[end].socket {
            self.conns[conn].sides[end] = Side::Gone;
            self.ends[end].hang_up();
            self.at[TEXT + end] = NEVER;
            self.tell(end, Input::Handle(Event::TransportClosed))?;
        }
        Ok(())
    }
}
