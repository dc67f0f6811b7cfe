//! Which timers have to run, reckoned from what was told and sent alone: the machine's own list of them is compared with it.

use crate::machine::Machine;
use hsms_core::connection::{Action, GeneralInput, Input, Outcome, State, Timer};
use hsms_core::wire::{Header, SType, SessionId, SystemBytes};
use hsms_std::conformance::Timer as Kind;
use std::time::Duration;

/// All kinds of timers.
pub const KINDS: [Kind; 6] = [Kind::T3, Kind::T5, Kind::T6, Kind::T7, Kind::T8, Kind::Linktest];

/// What kind a timer is of; T6 is that of a request of the connection, or of a session.
#[must_use]
pub const fn kind_of(timer: Timer) -> Kind {
    match timer {
        Timer::T3(_) => Kind::T3,
        Timer::T5 => Kind::T5,
        Timer::T6 | Timer::SessionT6(_) => Kind::T6,
        Timer::T7 => Kind::T7,
        Timer::T8 => Kind::T8,
        Timer::Linktest => Kind::Linktest,
    }
}

/// A request of ours that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Request {
    system: SystemBytes,
    stype: SType,
    session: SessionId,
    /// So many octets of the connection have been written when it has.
    end: u64,
    /// The header of its reply has come, and the text has not.
    arriving: bool,
}

/// What is waited for on a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Waits {
    ordered: u64,
    written: u64,
    requests: Vec<Request>,
    /// The message that is arriving.
    begun: Vec<u8>,
    paused: bool,
}

impl Waits {
    /// The machine was told this, and gave that.
    pub(super) fn note(&mut self, input: &GeneralInput<'_>, outcome: &Outcome<'_>) {
        match (input, outcome) {
            (_, Outcome::Begun { prefix: [a, b, c, d, header @ ..], .. }) => {
                let header = Header::decode(header);
                self.order(&header, u64::from(u32::from_be_bytes([*a, *b, *c, *d])) + 4);
            }
            (GeneralInput::Common(Input::Receive(octets)), Outcome::Received { taken, inbound }) => {
                self.begun.extend_from_slice(&octets[..*taken]);
                while let Some((length, rest)) = self.begun.split_first_chunk() {
                    let length = u32::from_be_bytes(*length) as usize;
                    if rest.len() < length {
                        break;
                    }
                    self.begun.drain(..4 + length);
                }
                if let Some(reply) = inbound.as_ref().filter(|inbound| inbound.is_reply()) {
                    let answered = self.requests.iter_mut().filter(|request| request.system == reply.header().system);
                    answered.for_each(|request| request.arriving = true);
                }
            }
            (GeneralInput::Common(Input::Written { octets }), Outcome::Done) => self.written += octets,
            (GeneralInput::Common(Input::PauseInput), Outcome::Done) => self.paused = true,
            (GeneralInput::Common(Input::ResumeInput), Outcome::Done) => self.paused = false,
            _ => {}
        }
    }

    /// The machine did this.
    pub(super) fn act<M: Machine>(&mut self, actions: &[Action], machine: &M) {
        for action in actions {
            match action {
                Action::Send(frame) => self.order(&frame.header(), frame.len() as u64),
                Action::CloseTransport(_) => *self = Waits::default(),
                Action::OpenTransport | Action::Notify(_) => {}
            }
        }
        self.requests.retain(|request| machine.is_open(request.system));
    }

    fn order(&mut self, header: &Header, octets: u64) {
        self.ordered += octets;
        let waits = match header.stype {
            SType::DATA => header.reply_expected() && header.stream_function().is_primary(),
            stype => matches!(stype, SType::SELECT_REQ | SType::DESELECT_REQ | SType::LINKTEST_REQ),
        };
        if waits {
            let Header { system, stype, session, .. } = *header;
            self.requests.push(Request { system, stype, session, end: self.ordered, arriving: false });
        }
    }

    /// The timers that have to run, in order of their kinds. `opening`: a transport was asked for and has not come.
    pub(super) fn due<M: Machine>(&self, machine: &M, opening: bool) -> Vec<Kind> {
        let state = machine.state();
        if state == State::NotConnected {
            return if machine.is_enabled() && !opening { vec![Kind::T5] } else { Vec::new() };
        }
        if self.paused {
            return Vec::new();
        }
        let of_link = |request: &&Request| request.stype != SType::DATA && request.session == SessionId::CONTROL;
        let asked = self.requests.iter().find(of_link);
        let sent = self.requests.iter().filter(|request| request.end <= self.written);
        let data = sent.clone().filter(|request| request.stype == SType::DATA && !request.arriving).count();
        let control = sent.filter(|request| request.stype != SType::DATA);
        // A session tells of the timer that expires first, whichever request that is of.
        let (link, sessions): (Vec<_>, Vec<_>) = control.partition(of_link);
        let mut due = vec![Kind::T3; data];
        due.extend(vec![Kind::T6; usize::from(!link.is_empty()) + usize::from(!sessions.is_empty())]);
        // In HSMS-SS, T6 of our Select.req takes the place of T7.
        if state == State::NotSelected && asked.is_none_or(|request| request.stype != SType::SELECT_REQ) {
            due.push(Kind::T7);
        }
        if !self.begun.is_empty() {
            due.push(Kind::T8);
        }
        // None is begun while a message is under way either way, or another request of the link.
        let free = self.begun.is_empty() && !machine.is_body_open() && asked.is_none();
        if state == State::Selected && free && machine.config().linktest_period() > Duration::ZERO {
            due.push(Kind::Linktest);
        }
        due
    }
}
