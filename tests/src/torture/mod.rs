//! A dialogue of a machine with its peer, and the same dialogue cut, split and timed out at every place where it can be.
//!
//! A [`Dialogue`] is told once, in order, and every step of it is kept: what the machine was told, and how it stood before. Each
//! tortured run begins at such a place, does what it does there, and goes on. Afterwards the machine is driven on: it has to
//! connect again, be selected, and carry a request and its reply in each direction.

mod script;
mod timers;
mod waits;

pub use hsms_std::conformance::Timer as Kind;
pub use script::{general, single};

use crate::generate::encode;
use crate::invariants::{Broken, Watch};
use crate::machine::Machine;
use hsms_core::connection::{Action, Class, Event, GeneralInput, Input, Outcome, ReplyToken, State};
use hsms_core::counters::Counters;
use hsms_core::time::Instant;
use hsms_core::wire::{Header, SType, SessionId, StreamFunction, SystemBytes};
use waits::Waits;

/// Milliseconds between two steps: no timer of the dialogue is that short.
const PACE: u64 = 10;

/// The session of all data: a device id in HSMS-SS.
pub const SESSION: SessionId = SessionId(1);

/// Timeouts that can follow each other at rest before there is nothing left to wait for; more mean a machine without end.
const MOST_TIMEOUTS: usize = 40;

/// One step of a dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The machine is told this.
    Tell(GeneralInput<'static>),
    /// The peer wrote these octets.
    Octets(Vec<u8>),
    /// The transport took so many octets.
    Written(u64),
    /// So many milliseconds pass, beside what passes with every step.
    Wait(u64),
}

/// A machine, and everything that came out of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage<M> {
    watch: Watch<M>,
    /// All actions.
    pub actions: Vec<Action>,
    /// All messages that were received to their end.
    pub messages: Vec<(Header, Class, Vec<u8>)>,
    arriving: Vec<u8>,
    /// The token of the last primary that expects a reply.
    token: Option<ReplyToken>,
    counters: Counters,
    /// Octets of the ordered output that the transport has not taken.
    unwritten: u64,
    /// A transport was asked for.
    wanted: bool,
    waits: Waits,
}

impl<M: Machine> Stage<M> {
    fn new(machine: M) -> Self {
        Stage {
            watch: Watch::new(machine),
            actions: Vec::new(),
            messages: Vec::new(),
            arriving: Vec::new(),
            token: None,
            counters: Counters::new(),
            unwritten: 0,
            wanted: false,
            waits: Waits::default(),
        }
    }

    const fn machine(&self) -> &M {
        self.watch.machine()
    }

    fn tell<'i>(&mut self, now: u64, input: GeneralInput<'i>) -> Result<Outcome<'i>, Broken> {
        let event = match &input {
            GeneralInput::Common(Input::Handle(event)) => Some(*event),
            _ => None,
        };
        let (outcome, actions) = self.watch.tell(Instant::from_millis(now), input.clone())?;
        self.waits.note(&input, &outcome);
        if let Some(event) = event
            && outcome == Outcome::Done
        {
            self.counters.record_event(&event);
            self.wanted &= event != Event::TransportOpen && event != Event::TransportFailed;
        }
        if let Outcome::Begun { prefix: [a, b, c, d, header @ ..], .. } = outcome {
            let len = u32::from_be_bytes([a, b, c, d]) - 10;
            self.unwritten += u64::from(len) + 14;
            self.counters.record_sent(&Header::decode(&header), len);
        }
        if let Outcome::Received { inbound: Some(inbound), .. } = &outcome {
            self.counters.record_inbound(inbound);
            self.arriving.extend_from_slice(inbound.body());
            if inbound.last() {
                self.messages.push((*inbound.header(), inbound.class, std::mem::take(&mut self.arriving)));
                self.token = inbound.reply_token().or(self.token);
            }
        }
        self.take(&actions);
        Ok(outcome)
    }

    fn common<'i>(&mut self, now: u64, input: Input<'i>) -> Result<Outcome<'i>, Broken> {
        self.tell(now, GeneralInput::Common(input))
    }

    fn take(&mut self, actions: &[Action]) {
        for action in actions {
            self.counters.record_action(action);
            match action {
                Action::OpenTransport => self.wanted = true,
                Action::Send(frame) => self.unwritten += frame.len() as u64,
                Action::CloseTransport(_) => {
                    (self.wanted, self.unwritten) = (false, 0);
                    self.arriving.clear();
                }
                Action::Notify(_) => {}
            }
        }
        self.waits.act(actions, self.watch.machine());
        self.actions.extend_from_slice(actions);
    }

    /// Octets arrive, and where the machine takes no more of them they are void.
    fn octets(&mut self, now: u64, octets: &[u8]) -> Result<(), Broken> {
        let mut rest = octets;
        while !rest.is_empty() {
            match self.common(now, Input::Receive(rest))? {
                Outcome::Received { taken, .. } => rest = &rest[taken..],
                _ => break,
            }
        }
        Ok(())
    }

    fn written(&mut self, now: u64, octets: u64) -> Result<(), Broken> {
        let octets = octets.min(self.unwritten);
        self.unwritten -= octets;
        if octets > 0 {
            self.common(now, Input::Written { octets })?;
        }
        Ok(())
    }

    fn step(&mut self, now: u64, step: &Step) -> Result<(), Broken> {
        match step {
            Step::Tell(input) => self.tell(now, input.clone()).map(drop),
            Step::Octets(octets) => self.octets(now, octets),
            Step::Written(octets) => self.written(now, *octets),
            Step::Wait(_) => Ok(()),
        }
    }

    /// Lets the timer that is due next expire, with those of the same moment. Gives when that was.
    fn time_out(&mut self, now: u64) -> Result<Option<u64>, Broken> {
        let Some(deadline) = self.machine().next_deadline() else { return Ok(None) };
        let at = now.max(deadline.as_millis());
        let actions = self.watch.fire(Instant::from_millis(at))?;
        self.take(&actions);
        Ok(Some(at))
    }

    /// Whatever has happened: it connects again, is selected, and a request and its reply go each way.
    fn works_again(mut self, now: u64) -> Result<(), String> {
        let told = |broken: Broken| broken.to_string();
        let mut now = now + PACE;
        if self.machine().state() != State::NotConnected {
            self.common(now, Input::Handle(Event::TransportClosed)).map_err(told)?;
        }
        if self.machine().state() != State::NotConnected || self.machine().open_transactions() > 0 {
            return Err(format!("without a transport it is {:?}", self.machine()));
        }
        self.common(now, Input::Enable).map_err(told)?;
        for _ in 0..MOST_TIMEOUTS {
            if self.wanted {
                break;
            }
            now = self.time_out(now).map_err(told)?.ok_or("it waits for nothing, and does not connect")?;
        }
        let messages = self.messages.len();
        let actions = self.actions.len();
        if self.common(now, Input::Handle(Event::TransportOpen)).map_err(told)? != Outcome::Done {
            return Err(format!("it does not take the transport that it asked for: {:?}", self.machine()));
        }
        let asked = sent(&self.actions[actions..]).find(|header| header.stype == SType::SELECT_REQ);
        self.written(now, u64::MAX).map_err(told)?;
        let select = match asked {
            Some(request) => Header::select_rsp(request.system).with_session(request.session),
            None if M::GENERAL => Header::select_req(SystemBytes(0x7000_0001)).with_session(SESSION),
            None => Header::select_req(SystemBytes(0x7000_0001)),
        };
        let session = if M::GENERAL { select.session } else { SESSION };
        self.octets(now, &encode(&select, &[])).map_err(told)?;
        self.written(now, u64::MAX).map_err(told)?;
        if self.machine().state() != State::Selected {
            return Err(format!("it is not selected: {:?}", self.machine()));
        }
        let begin = GeneralInput::BeginPrimaryIn {
            session,
            stream_function: StreamFunction::new(1, 1),
            reply_expected: true,
            body_len: 0,
        };
        let outcome = self.tell(now, begin).map_err(told)?;
        let Outcome::Begun { system: Some(system), .. } = outcome else {
            return Err(format!("a request: {outcome:?}"));
        };
        self.common(now, Input::EndBody).map_err(told)?;
        self.written(now, u64::MAX).map_err(told)?;
        let reply = Header::data(system, StreamFunction::new(1, 2), false, session);
        self.octets(now, &encode(&reply, b"reply")).map_err(told)?;
        let primary = Header::data(SystemBytes(0x7000_0002), StreamFunction::new(1, 1), true, session);
        self.octets(now, &encode(&primary, b"primary")).map_err(told)?;
        let new: Vec<_> = self.messages[messages..].iter().filter(|(header, ..)| header.stype == SType::DATA).collect();
        let wanted = [(reply, Class::Reply, b"reply".to_vec()), (primary, Class::Primary, b"primary".to_vec())];
        if new.len() != 2 || new.iter().zip(&wanted).any(|(new, wanted)| *new != wanted) {
            return Err(format!("a reply and a primary were sent, and it received {new:?}"));
        }
        let token = self.token.take().filter(|token| token.system() == primary.system).ok_or("no token")?;
        let outcome = self.common(now, Input::BeginReply { token, body_len: 0 }).map_err(told)?;
        if !matches!(outcome, Outcome::Begun { .. }) || self.machine().open_transactions() > 0 {
            return Err(format!("a reply: {outcome:?}"));
        }
        Ok(())
    }
}

fn sent(actions: &[Action]) -> impl Iterator<Item = Header> {
    actions.iter().filter_map(|action| match action {
        Action::Send(frame) => Some(frame.header()),
        _ => None,
    })
}

/// A dialogue that was held once.
#[derive(Debug, Clone)]
pub struct Dialogue<M> {
    /// What it is called.
    pub name: String,
    steps: Vec<Step>,
    /// How it stood before each step, and behind the last.
    stages: Vec<Stage<M>>,
    /// Headers of all messages: what the machine sent (true) and received (false), in order.
    pub messages: Vec<(bool, Header)>,
}

/// What a torture has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Runs {
    /// Runs that were made.
    pub made: usize,
    /// Runs that there had to be, computed from the dialogue.
    pub due: usize,
}

impl<M: Machine> Dialogue<M> {
    fn begin(name: String, machine: M) -> Self {
        Dialogue { name, steps: Vec::new(), stages: vec![Stage::new(machine)], messages: Vec::new() }
    }

    /// When a step is taken.
    fn time(&self, step: usize) -> u64 {
        let waits = self.steps.iter().take(step).map(|step| if let Step::Wait(millis) = step { *millis } else { 0 });
        (step as u64 + 1) * PACE + waits.sum::<u64>()
    }

    fn stage(&self) -> &Stage<M> {
        self.stages.last().expect("there is one from the beginning")
    }

    /// The machine at the end of what has been held.
    #[must_use]
    pub fn machine(&self) -> &M {
        self.stage().machine()
    }

    /// A step is taken, and what the machine has to send is written at once.
    fn take(&mut self, step: Step) -> Outcome<'static> {
        let now = self.time(self.steps.len());
        let mut stage = self.stage().clone();
        let actions = stage.actions.len();
        let outcome = match &step {
            Step::Tell(input) => {
                stage.tell(now, input.clone()).unwrap_or_else(|broken| panic!("{}: {broken}", self.name))
            }
            other => {
                stage.step(now, other).unwrap_or_else(|broken| panic!("{}: {broken}", self.name));
                Outcome::Done
            }
        };
        if let Outcome::Begun { prefix: [_, _, _, _, header @ ..], .. } = &outcome {
            self.messages.push((true, Header::decode(header)));
        }
        self.messages.extend(sent(&stage.actions[actions..]).map(|header| (true, header)));
        let unwritten = if stage.machine().is_body_open() { 0 } else { stage.unwritten };
        self.steps.push(step);
        self.stages.push(stage);
        if unwritten > 0 {
            self.take(Step::Written(unwritten));
        }
        outcome
    }

    /// What the torture of this dialogue has to come to in all.
    #[must_use]
    pub fn octets(&self) -> (usize, usize) {
        let mut octets = (0, 0);
        for step in &self.steps {
            match step {
                Step::Octets(received) => octets.0 += received.len(),
                Step::Written(written) => octets.1 += usize::try_from(*written).expect("a dialogue is short"),
                Step::Tell(_) | Step::Wait(_) => {}
            }
        }
        octets
    }

    fn failed(&self, what: &str, place: usize, why: impl std::fmt::Display) -> String {
        format!("{}: {what}, step {place} ({:?}): {why}", self.name, self.steps.get(place))
    }

    /// The connection is cut behind every octet that was received, and behind every one that was written.
    ///
    /// # Errors
    /// What does not hold.
    pub fn cut_everywhere(&self) -> Result<Runs, String> {
        let (received, written) = self.octets();
        let mut runs = Runs { made: 0, due: received + written };
        for (place, step) in self.steps.iter().enumerate() {
            let (len, now) = (step.len(), self.time(place));
            for octets in 1..=len {
                let mut stage = self.stages[place].clone();
                let what = format!("cut behind octet {octets}");
                stage.step(now, &step.first(octets)).map_err(|broken| self.failed(&what, place, broken))?;
                if stage.machine().state() != State::NotConnected {
                    let told = stage.common(now, Input::Handle(Event::TransportClosed));
                    let told = told.map_err(|broken| self.failed(&what, place, broken))?;
                    if told != Outcome::Done || stage.machine().open_transactions() > 0 {
                        return Err(self.failed(&what, place, format!("{told:?}, {:?}", stage.machine())));
                    }
                }
                stage.works_again(now).map_err(|why| self.failed(&what, place, why))?;
                runs.made += 1;
            }
        }
        Ok(runs)
    }

    /// Every write of the peer arrives in two parts, split at every offset, and every one of ours is taken in two parts; then all
    /// of them octet by octet. Nothing may become of it but what became of the whole.
    ///
    /// # Errors
    /// What does not hold.
    pub fn split_everywhere(&self) -> Result<Runs, String> {
        let pieces = self.steps.iter().filter(|step| step.len() > 0).count();
        let (received, written) = self.octets();
        let mut runs = Runs { made: 0, due: received + written - pieces + 1 };
        for (place, step) in self.steps.iter().enumerate() {
            for octets in 1..step.len() {
                let now = self.time(place);
                let what = format!("split behind octet {octets}");
                let mut stage = self.stages[place].clone();
                let told = |broken| self.failed(&what, place, broken);
                stage.step(now, &step.first(octets)).map_err(told)?;
                stage.step(now, &step.rest(octets)).map_err(told)?;
                self.same(&stage, place + 1).map_err(|why| self.failed(&what, place, why))?;
                self.go_on(&mut stage, place + 1, now).map_err(told)?;
                self.same(&stage, self.steps.len()).map_err(|why| self.failed(&what, place, why))?;
                stage.works_again(self.time(self.steps.len())).map_err(|why| self.failed(&what, place, why))?;
                runs.made += 1;
            }
        }
        let mut stage = self.stages[0].clone();
        for (place, step) in self.steps.iter().enumerate() {
            let now = self.time(place);
            let told = |broken| self.failed("octet by octet", place, broken);
            if step.len() == 0 {
                stage.step(now, step).map_err(told)?;
            }
            for octet in 0..step.len() {
                stage.step(now, &step.rest(octet).first(1)).map_err(told)?;
            }
            self.same(&stage, place + 1).map_err(|why| self.failed("octet by octet", place, why))?;
        }
        stage.works_again(self.time(self.steps.len()))?;
        runs.made += 1;
        Ok(runs)
    }

    fn same(&self, stage: &Stage<M>, place: usize) -> Result<(), String> {
        let whole = &self.stages[place];
        if stage == whole {
            return Ok(());
        }
        Err(format!("in parts it comes to\n{stage:?}\nand whole to\n{whole:?}"))
    }

    /// Goes on with the dialogue, whatever is still possible of it.
    fn go_on(&self, stage: &mut Stage<M>, place: usize, now: u64) -> Result<(), Broken> {
        for (place, step) in self.steps.iter().enumerate().skip(place) {
            stage.step(now.max(self.time(place)), step)?;
        }
        Ok(())
    }
}

impl Step {
    /// Octets that it moves.
    fn len(&self) -> usize {
        match self {
            Step::Octets(octets) => octets.len(),
            Step::Written(octets) => usize::try_from(*octets).expect("a dialogue is short"),
            Step::Tell(_) | Step::Wait(_) => 0,
        }
    }

    fn first(&self, octets: usize) -> Step {
        match self {
            Step::Octets(all) => Step::Octets(all[..octets].to_vec()),
            Step::Written(_) => Step::Written(octets as u64),
            Step::Tell(_) | Step::Wait(_) => self.clone(),
        }
    }

    fn rest(&self, octets: usize) -> Step {
        match self {
            Step::Octets(all) => Step::Octets(all[octets..].to_vec()),
            Step::Written(all) => Step::Written(all - octets as u64),
            Step::Tell(_) | Step::Wait(_) => self.clone(),
        }
    }
}
