//! One end of a link: the machine, what it has told its application, and what waits to be written.

use super::application::{Answer, Arriving, Ledger, Owed, write_text};
use super::wire::{NEVER, Tally};
use crate::invariants::Watch;
use crate::machine::Machine;
use hsms_core::connection::{Action, Class, CloseReason, Event, GeneralInput, Inbound, Input, Notice, Outcome};
use hsms_core::counters::Counters;
use hsms_core::time::Instant;
use hsms_core::wire::SType;
use std::hash::{Hash, Hasher};

/// A machine of which every step is looked at, or none.
#[derive(Debug)]
pub(super) enum Watched<M> {
    Every(Watch<M>),
    Bare(M),
}

/// A text that is being written, and how much of it has been.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text {
    pub(super) id: u64,
    pub(super) from: u32,
    pub(super) len: u32,
}

/// One end.
pub(super) struct End<M> {
    machine: Watched<M>,
    /// What the machine wants done, until it is.
    pub(super) actions: Vec<Action>,
    pub(super) counters: Counters,
    /// Of the counters what belongs to transports whose other end was not ours.
    pub(super) foreign: (Tally, Tally),
    /// The counters when the present transport to a stranger was opened.
    before: Option<(Tally, Tally)>,
    pub(super) ledger: Ledger,
    pub(super) owed: Vec<Owed>,
    pub(super) text: Option<Text>,
    arriving: Arriving,
    /// Octets in front of `written` are on the wire.
    output: Vec<u8>,
    written: usize,
    /// Its transport.
    pub(super) socket: Option<usize>,
    /// The machine asked for a transport and has none.
    pub(super) wants: bool,
    /// It does not read.
    pub(super) deaf: bool,
    /// Nothing of it runs.
    pub(super) frozen: bool,
    /// It was restarted, and has not been enabled since.
    pub(super) down: bool,
    /// The application has disabled it.
    pub(super) disabled: bool,
    pub(super) steps: u64,
    pub(super) hash: Fold,
    number: usize,
    t3: u64,
}

/// A hash that depends on every value and on their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fold(pub(super) u64);

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        octets.iter().for_each(|octet| self.write_u64((*octet).into()));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_isize(&mut self, value: isize) {
        self.write_u64(value as u64);
    }
}

impl<M: Machine> End<M> {
    pub(super) fn new(number: usize, machine: M, watched: bool) -> Self {
        let t3 = u64::try_from(machine.config().t3().as_millis()).expect("a day at most");
        End {
            machine: watch(machine, watched),
            actions: Vec::new(),
            counters: Counters::new(),
            foreign: Default::default(),
            before: None,
            ledger: Ledger::default(),
            owed: Vec::new(),
            text: None,
            arriving: Arriving::default(),
            output: Vec::new(),
            written: 0,
            socket: None,
            wants: false,
            deaf: false,
            frozen: false,
            down: true,
            disabled: false,
            steps: 0,
            hash: Fold::default(),
            number,
            t3,
        }
    }

    /// A new machine: nothing of the old one is left but what is known about it.
    pub(super) fn restart(&mut self, machine: M) {
        let watched = matches!(self.machine, Watched::Every(_));
        self.machine = watch(machine, watched);
        self.ledger.restart();
        self.actions.clear();
        self.owed.clear();
        self.hang_up();
        (self.wants, self.deaf, self.frozen, self.down, self.disabled) = (false, false, false, true, false);
    }

    pub(super) const fn machine(&self) -> &M {
        self.machine.machine()
    }

    /// What looks at each of its steps, where that is wanted.
    pub(super) const fn watch(&self) -> Option<&Watch<M>> {
        match &self.machine {
            Watched::Every(watch) => Some(watch),
            Watched::Bare(_) => None,
        }
    }

    /// When its next timer is due.
    pub(super) fn deadline(&self) -> u64 {
        self.machine().next_deadline().map_or(NEVER, Instant::as_millis)
    }

    /// Nothing that belongs to its transport is left.
    pub(super) fn hang_up(&mut self) {
        self.socket = None;
        self.output.clear();
        self.written = 0;
        self.text = None;
        self.deaf = false;
        if let Some(before) = self.before.take() {
            self.foreign.0.add(&Tally::of(&self.counters.sent).since(&before.0));
            self.foreign.1.add(&Tally::of(&self.counters.received).since(&before.1));
        }
    }

    /// Its transport leads to a stranger: what is counted from here is nobody's business.
    pub(super) fn stranger_begins(&mut self) {
        self.before = Some((Tally::of(&self.counters.sent), Tally::of(&self.counters.received)));
    }

    pub(super) fn tell(&mut self, now: u64, input: GeneralInput<'static>) -> Result<Outcome<'static>, String> {
        let event = match &input {
            GeneralInput::Common(Input::Handle(event)) => Some(*event),
            _ => None,
        };
        let outcome = self.machine.tell(now, input, &mut self.actions)?;
        self.steps += 1;
        self.hash.write_u64(now << 2 | 2 | self.number as u64);
        if let Outcome::Begun { prefix, .. } = &outcome {
            self.hash.write_u64(u64::from_be_bytes(*prefix.last_chunk().expect("fourteen octets")));
        }
        if let Some(event) = event
            && outcome == Outcome::Done
        {
            self.counters.record_event(&event);
        }
        Ok(outcome)
    }

    /// Lets what is due expire.
    pub(super) fn fire(&mut self, now: u64) -> Result<(), String> {
        self.steps += 1;
        self.hash.write_u64(now << 2 | self.number as u64);
        self.machine.fire(now, &mut self.actions)
    }

    /// Octets came. Gives how many the machine took, and whether they are void: where answers wait for a text to end and there is no room
    /// for one more, octets end the connection unread.
    pub(super) fn receive(&mut self, now: u64, octets: &[u8], foreign: bool) -> Result<(usize, bool), String> {
        let input = GeneralInput::Common(Input::Receive(octets));
        let outcome = self.machine.tell(now, input, &mut self.actions)?;
        self.steps += 1;
        let Outcome::Received { taken, inbound } = outcome else {
            return Err(format!("octets were given and it says {outcome:?}"));
        };
        self.hash.write_u64(now << 20 | (taken as u64) << 1 | self.number as u64);
        let Some(inbound) = inbound else {
            let stalled = |action: &Action| matches!(action, Action::CloseTransport(CloseReason::OutputStalled));
            return Ok((taken, self.actions.iter().any(stalled)));
        };
        self.take(now, &inbound, foreign)?;
        Ok((taken, false))
    }

    /// What the application makes of a piece of a message.
    fn take(&mut self, now: u64, inbound: &Inbound<'_>, foreign: bool) -> Result<(), String> {
        self.counters.record_inbound(inbound);
        let (header, piece) = (inbound.header(), &inbound.piece);
        if !inbound.is_for_application() {
            let wrong = inbound.class == Class::TooLong || inbound.class == Class::Fatal;
            return if wrong && !foreign { Err(format!("{header:?} is {:?}", inbound.class)) } else { Ok(()) };
        }
        let id = self.arriving.push(piece.offset, piece.body, piece.body_len);
        if !inbound.last() {
            return Ok(());
        }
        self.hash.write_u64(id.unwrap_or(1));
        if inbound.is_reply() {
            return self.ledger.reply(header, id, foreign);
        }
        if header.stream() == 9 || foreign {
            return Ok(());
        }
        self.ledger.deliver(self.number, id)?;
        if let (Some(token), Some(id)) = (inbound.reply_token(), id) {
            // When and how is settled by what the message says, so that nothing has to be drawn here.
            let (at, answer) = match id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58 {
                // Never.
                0..=1 => return Ok(()),
                2 => (now, Answer::Error),
                3..=6 => (now, Answer::Abort),
                // Later than T3 perhaps.
                7 => (now + 40_000, Answer::Reply),
                slow @ 8..=20 => (now + slow * 40, Answer::Reply),
                _ => (now, Answer::Reply),
            };
            self.owed.push(Owed { at, token, id, answer });
        }
        Ok(())
    }

    /// What is told by an action, before it is carried out.
    pub(super) fn note(&mut self, now: u64, action: &Action) -> Result<(), String> {
        self.counters.record_action(action);
        action.hash(&mut self.hash);
        match action {
            Action::Notify(Notice::TransactionEnded { system, end }) => {
                self.ledger.told(*system, *end, now, self.t3)?;
            }
            Action::Notify(Notice::LinktestAnswered { system } | Notice::LinktestMissed { system, .. })
                if self.ledger.linktest == Some(*system) =>
            {
                self.ledger.linktest = None;
            }
            Action::Send(frame) if frame.header().stype == SType::LINKTEST_REQ => {
                self.ledger.linktest = Some(frame.header().system);
            }
            _ => {}
        }
        Ok(())
    }

    /// Behind a close nothing may be open any more.
    pub(super) fn nothing_is_open(&self) -> Result<(), String> {
        if !self.ledger.open().is_empty() || self.ledger.linktest.is_some() {
            return Err(format!("the link has ended and these are open still: {:?}", self.ledger));
        }
        Ok(())
    }

    // Output.

    pub(super) fn append(&mut self, octets: &[u8]) {
        self.output.extend_from_slice(octets);
    }

    pub(super) fn append_text(&mut self, id: u64, from: u32, to: u32) {
        write_text(&mut self.output, id, from, to);
    }

    /// The last octet is another one.
    pub(super) fn spoil(&mut self) {
        self.output.last_mut().into_iter().for_each(|octet| *octet ^= 1);
    }

    /// What has not been written.
    pub(super) fn pending(&self) -> &[u8] {
        &self.output[self.written..]
    }

    pub(super) fn wrote(&mut self, octets: usize) {
        self.written += octets;
        if self.written == self.output.len() {
            self.output.clear();
            self.written = 0;
        }
    }
}

pub(super) fn watch<M: Machine>(machine: M, watched: bool) -> Watched<M> {
    if watched { Watched::Every(Watch::new(machine)) } else { Watched::Bare(machine) }
}

impl<M: Machine> Watched<M> {
    pub(super) const fn machine(&self) -> &M {
        match self {
            Watched::Every(watch) => watch.machine(),
            Watched::Bare(machine) => machine,
        }
    }

    /// Lets what is due expire.
    pub(super) fn fire(&mut self, now: u64, actions: &mut Vec<Action>) -> Result<(), String> {
        let at = Instant::from_millis(now);
        match self {
            Watched::Every(watch) => actions.extend(watch.fire(at).map_err(|broken| broken.to_string())?),
            Watched::Bare(machine) => {
                let mut fired = 0;
                while machine.next_deadline().is_some_and(|deadline| deadline <= at) {
                    machine.tell(at, GeneralInput::Common(Input::Handle(Event::Timeout)));
                    actions.extend(std::iter::from_fn(|| machine.poll_action()));
                    fired += 1;
                    if fired > 100 {
                        return Err("timers without end".into());
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn tell<'i>(
        &mut self,
        now: u64,
        input: GeneralInput<'i>,
        actions: &mut Vec<Action>,
    ) -> Result<Outcome<'i>, String> {
        let now = Instant::from_millis(now);
        match self {
            Watched::Every(watch) => {
                let (outcome, new) = watch.tell(now, input).map_err(|broken| broken.to_string())?;
                actions.extend(new);
                Ok(outcome)
            }
            Watched::Bare(machine) => {
                let outcome = machine.tell(now, input);
                actions.extend(std::iter::from_fn(|| machine.poll_action()));
                Ok(outcome)
            }
        }
    }
}
