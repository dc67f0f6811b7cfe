//! What can happen in a world, and what comes of it.

use super::canonical::canonical;
use super::property::{LONGEST_CHAIN, check, is_active};
use super::subject::{DEVICE, is_done, session_input};
use super::{
    Command, End, Frame, Link, Pipe, Property, Setup, Situation, Step, Subject, Transport, World, free,
};
use crate::invariants::{self, Broken};
use hsms_core::Error;
use hsms_core::connection::{
    Action, Class, CloseReason, ControlFrame, ControlRequest, Event, GeneralInput, Inbound, Input, Leniency, Notice,
    Outcome, SessionEnd, State, Stray, Timer, TransactionEnd,
};
use hsms_core::time::Instant;
use hsms_core::wire::{
    Header, PREFIX_LEN, RejectReason, SType, SessionId, StreamFunction, SystemBytes,
};

/// What the application asks: S1F1.
pub const PRIMARY: StreamFunction = StreamFunction::new(1, 1);

/// Where frames are split: in the length, in the header before its system bytes, and in the text.
const SPLITS: [u8; 3] = [2, 9, 15];

/// All that can happen in `world`.
pub fn steps<M: Subject>(setup: &Setup<M>, world: &World<M>, steps: &mut Vec<Step>) {
    if world.broken.is_some() {
        return;
    }
    let [active, passive] = &world.ends;
    let free_link = world.link == Link::None && (setup.free || passive.transport != Transport::Open);
    let dials = is_active(&active.machine);
    if active.transport == Transport::Opening {
        if free_link && (setup.free || passive.transport == Transport::Opening) {
            steps.push(Step::Dial);
        }
        if dials {
            steps.push(Step::DialFails(0));
        }
    }
    if world.link == Link::Dialled && passive.transport == Transport::Opening {
        steps.push(Step::Accept);
    }
    let split = world.budget.splits > 0;
    for to in [0, 1] {
        let pipe = &world.pipes[1 - usize::from(to)];
        let can_read = world.ends[usize::from(to)].transport == Transport::Open
            && !(setup.commands.pause && world.is_paused(usize::from(to)));
        let Some(frame) = next_frame(setup, pipe).filter(|_| can_read) else { continue };
        steps.push(Step::Deliver { to, octets: 0 });
        let left = pipe[frame].len - pipe[frame].read;
        let cut = |octets: &&u8| **octets > pipe[frame].read && **octets - pipe[frame].read < left;
        if split && !pipe[frame].is_begun() {
            steps.extend(SPLITS.iter().filter(cut).map(|octets| Step::Deliver { to, octets: *octets }));
        }
    }
    if setup.free && active.transport == Transport::Open && world.pipes[1].is_empty() {
        for (frame, octets) in (0_u8..).zip(&free::alphabet(world)) {
            steps.push(Step::Peer { frame, octets: 0 });
            if split && !(setup.commands.pause && world.is_paused(0)) {
                let cut = |octets: &&u8, whole: usize| usize::from(**octets) < whole;
                let splits = SPLITS.iter().filter(|split| cut(split, octets.len()));
                steps.extend(splits.map(|split| Step::Peer { frame, octets: *split }));
            }
        }
    }
    timers(setup, world, steps);
    if world.budget.cuts > 0 && world.ends.iter().any(|end| end.transport == Transport::Open) {
        steps.push(Step::Cut);
    }
    for at in [0, 1] {
        if setup.free && at == 1 {
            continue;
        }
        commands(setup, world, at, steps);
        if world.budget.restarts > 0 {
            steps.push(Step::Restart { end: at, silent: false });
            steps.push(Step::Restart { end: at, silent: true });
        }
    }
}

fn timers<M: Subject>(setup: &Setup<M>, world: &World<M>, steps: &mut Vec<Step>) {
    let now = setup.now();
    let ends = if setup.free { 1 } else { 2 };
    if !setup.timed {
        for at in 0..ends {
            world.ends[usize::from(at)].machine.armed_timers(&mut |timer, _| steps.push(Step::Fire(at, timer)));
        }
        return;
    }
    let due = |at: u8| world.ends[usize::from(at)].machine.next_deadline().is_some_and(|deadline| deadline <= now);
    let before = steps.len();
    steps.extend((0..ends).filter(|at| due(*at)).map(Step::Due));
    let waits = |at: u8| world.ends[usize::from(at)].machine.next_deadline().is_some();
    if steps.len() == before && (0..ends).any(waits) {
        steps.push(Step::Pass);
    }
}

fn commands<M: Subject>(setup: &Setup<M>, world: &World<M>, at: u8, steps: &mut Vec<Step>) {
    let (allowed, end) = (&setup.commands, &world.ends[usize::from(at)]);
    let machine = &end.machine;
    let mut give = |command| steps.push(Step::Command(at, command));
    let selected = machine.state() == State::Selected;
    let connected = machine.state() != State::NotConnected;
    if !machine.is_enabled() {
        give(Command::Enable);
    } else if allowed.disable {
        give(Command::Disable);
    }
    if allowed.separate && connected {
        give(Command::Separate);
    }
    if allowed.linktest && (selected || M::GENERAL && connected) {
        give(Command::Linktest);
    }
    let crosses = world.pipes[usize::from(at)].len() < setup.crossing;
    if crosses {
        machine.session_commands(usize::from(at), allowed, &mut give);
    }
    if !end.asked.is_empty() {
        give(Command::AnswerSelect { accept: true });
        give(Command::AnswerSelect { accept: false });
    }
    if end.writing.is_some() {
        give(Command::EndBody);
        give(Command::AbortBody);
    } else if selected {
        let room = crosses && world.under_way(usize::from(at)).max(end.open.len()) < setup.open;
        for session in machine.sessions().into_iter().filter(|_| room) {
            if allowed.primaries[usize::from(at)] {
                give(Command::Primary { session, reply_expected: true });
            }
            if allowed.unanswered[usize::from(at)] {
                give(Command::Primary { session, reply_expected: false });
            }
        }
        for index in (0_u8..).take(end.tokens.len()) {
            if allowed.reply {
                give(Command::Reply { index, abort: false });
            }
            if allowed.abort {
                give(Command::Reply { index, abort: true });
            }
        }
    }
    if allowed.forget {
        for index in (0_u8..).take(end.open.len()) {
            give(Command::Forget { index });
        }
    }
    if end.unwritten > 0 && connected {
        give(Command::Written);
    }
    if allowed.pause && connected {
        give(if world.is_paused(usize::from(at)) { Command::ResumeInput } else { Command::PauseInput });
    }
}

impl<M: Subject> World<M> {
    /// Data about primaries of `at` that is somewhere: under way there or back, or unanswered.
    fn under_way(&self, at: usize) -> usize {
        let data = |frame: &&Frame, primary: bool| {
            frame.header().is_some_and(|header| {
                header.stype == SType::DATA && header.stream_function().is_primary() == primary && header.stream() != 9
            })
        };
        let there = self.pipes[at].iter().filter(|frame| data(frame, true)).count();
        let back = self.pipes[1 - at].iter().filter(|frame| data(frame, false)).count();
        let writing = self.ends.iter().filter(|end| end.writing.is_some()).count();
        there + back + self.ends[1 - at].tokens.len() + writing
    }
}

/// Which frame of a pipe arrives next.
fn next_frame<M>(setup: &Setup<M>, pipe: &Pipe) -> Option<usize> {
    if !setup.lifo || pipe.first().is_some_and(Frame::is_begun) {
        return (!pipe.is_empty()).then_some(0);
    }
    pipe.iter().rposition(|frame| *frame != Frame::END).or((!pipe.is_empty()).then_some(0))
}

/// What comes of `step`; `None` where nothing does.
pub fn next<M: Subject>(setup: &Setup<M>, world: &World<M>, step: Step) -> Option<World<M>> {
    told(setup, world, step, &mut None)
}

/// What comes of `step`, with what happens written to `log`.
pub(super) fn told<M: Subject>(
    setup: &Setup<M>,
    world: &World<M>,
    step: Step,
    log: &mut Option<Vec<String>>,
) -> Option<World<M>> {
    let mut run = Run { setup, world: world.clone(), now: setup.now(), log };
    match run.carry_out(step) {
        Ok(false) => return None,
        Ok(true) => {}
        Err(property) => run.world.broken = Some(property),
    }
    let mut world = run.world;
    if let Some(limit) = setup.collide
        && world.ends.iter().any(|end| end.machine.issued().end > limit)
    {
        return None;
    }
    world.broken = world.broken.or_else(|| check(setup, &world));
    if world.broken.is_none() {
        canonical(setup, &mut world);
        if setup.recovers && !recovers(setup, &world) {
            world.broken = Some(Property::Recovers);
        }
    }
    Some(world)
}

/// Whether both ends become SELECTED from here, where nobody gives a command and timers expire in their usual order.
fn recovers<M: Subject>(setup: &Setup<M>, world: &World<M>) -> bool {
    let calm = Setup {
        recovers: false,
        fresh: setup.fresh.clone(),
        commands: super::Commands::NONE,
        met: super::Met::default(),
        name: setup.name,
        budget: setup.budget,
        ..*setup
    };
    let mut world = world.clone();
    for _ in 0..100 {
        if world.is_joined() && world.ends.iter().all(|end| end.machine.state() == State::Selected) {
            return true;
        }
        let mut possible = Vec::new();
        world.budget = super::Budget { cuts: 0, splits: 0, restarts: 0 };
        steps(&calm, &world, &mut possible);
        let Some(step) = possible.into_iter().filter(|step| !matches!(step, Step::DialFails(_))).min_by_key(haste) else {
            return false;
        };
        match next(&calm, &world, step) {
            Some(next) if next.broken.is_none() => world = next,
            _ => return false,
        }
    }
    false
}

/// Who comes first where nobody hinders anybody.
fn haste(step: &Step) -> u8 {
    match step {
        Step::Command(_, Command::EndBody | Command::Written) => 0,
        Step::Command(_, Command::Enable) => 1,
        Step::Deliver { .. } => 2,
        Step::Dial | Step::Accept => 3,
        Step::Fire(_, Timer::T8) => 4,
        Step::Fire(_, Timer::T6 | Timer::SessionT6) => 5,
        Step::Fire(_, Timer::T7) => 6,
        Step::Fire(_, Timer::T5) => 7,
        Step::Fire(_, Timer::Linktest) => 8,
        Step::Fire(_, Timer::T3(_)) => 9,
        _ => 10,
    }
}

/// One step in the making.
struct Run<'s, M> {
    setup: &'s Setup<M>,
    world: World<M>,
    now: Instant,
    log: &'s mut Option<Vec<String>>,
}

type Done = Result<(), Property>;

impl<M: Subject> Run<'_, M> {
    fn say(&mut self, text: impl FnOnce() -> String) {
        if let Some(log) = self.log {
            log.push(text());
        }
    }

    fn met(&self, situation: Situation) {
        self.setup.met.note(situation);
    }

    fn hold(&self, property: Property, holds: bool) -> Done {
        if holds { Ok(()) } else { Err(property) }
    }

    fn invariant<T>(&mut self, result: Result<T, Broken>) -> Result<T, Property> {
        result.map_err(|broken| {
            self.say(|| format!("    {broken}"));
            Property::Machine(broken.invariant)
        })
    }

    fn end(&mut self, at: usize) -> &mut End<M> {
        &mut self.world.ends[at]
    }

    /// Whether something happened.
    fn carry_out(&mut self, step: Step) -> Result<bool, Property> {
        match step {
            Step::Dial => self.dial()?,
            Step::Accept => {
                self.world.link = Link::Up;
                if self.world.pipes[0].contains(&Frame::END) {
                    self.met(Situation::AcceptedTooLate);
                }
                self.open(1)?;
            }
            Step::DialFails(at) => {
                self.met(Situation::DialFailed);
                let at = usize::from(at);
                self.end(at).transport = Transport::Idle;
                self.tell(at, Input::Handle(Event::TransportFailed))?;
            }
            Step::Deliver { to, octets } => self.deliver(usize::from(to), octets)?,
            Step::Peer { frame, octets } => {
                let alphabet = free::alphabet(&self.world);
                let frame = &alphabet[usize::from(frame)];
                let _ = self.world.pipes[1].push(Frame::new(frame, 0));
                self.deliver(0, octets)?;
            }
            Step::Fire(at, timer) => self.fire(usize::from(at), timer)?,
            Step::Due(at) => self.tell(usize::from(at), Input::Handle(Event::Timeout))?,
            Step::Pass => {
                let deadlines = self.world.ends.iter().filter_map(|end| end.machine.next_deadline());
                let Some(next) = deadlines.min() else { return Ok(false) };
                self.now = next;
                for end in &mut self.world.ends {
                    end.machine.rebase(next);
                }
            }
            Step::Command(at, command) => return self.command(usize::from(at), command),
            Step::Cut => self.cut(),
            Step::Restart { end, silent } => self.restart(usize::from(end), silent)?,
        }
        Ok(true)
    }

    fn dial(&mut self) -> Done {
        if self.setup.free {
            self.world.link = Link::Up;
            return self.open(0);
        }
        self.world.link = Link::Dialled;
        self.open(0)
    }

    fn open(&mut self, at: usize) -> Done {
        let end = self.end(at);
        end.transport = Transport::Open;
        end.selects = false;
        end.accepted = false;
        end.traffic = false;
        self.tell(at, Input::Handle(Event::TransportOpen))
    }

    /// All that is under way is lost. Whoever has the link open reads its end.
    fn cut(&mut self) {
        self.world.budget.cuts -= u8::from(!self.setup.free);
        for at in [0, 1] {
            self.world.pipes[at].clear();
            if self.listens(1 - at) {
                let _ = self.world.pipes[at].push(Frame::END);
            }
        }
    }

    /// Whether what is sent to this end can still be read.
    fn listens(&self, at: usize) -> bool {
        let end = &self.world.ends[at];
        end.transport == Transport::Open
            || at == 1 && self.world.link == Link::Dialled && end.transport == Transport::Opening
    }

    fn restart(&mut self, at: usize, silent: bool) -> Done {
        self.world.budget.restarts -= 1;
        let was_open = self.world.ends[at].transport == Transport::Open;
        if self.world.ends[at].machine.state() == State::Selected {
            self.met(Situation::RestartWhileSelected);
        }
        if silent && was_open && self.listens(1 - at) {
            self.met(Situation::HalfOpen);
        }
        let waited = self.world.link == Link::Dialled && at == 1;
        let issued = self.world.ends[at].machine.issued().end;
        let End { selects, accepted, .. } = self.world.ends[at];
        self.world.ends[at] = End { selects, accepted, ..End::new(self.setup.fresh[at].clone()) };
        if self.setup.collide.is_none() {
            self.end(at).machine.set_issued(issued..issued);
        }
        if was_open || waited {
            self.leave(at, !silent);
        }
        self.tell(at, Input::Enable)
    }

    /// This end has no link any more. `told`: the other end reads so, behind what was sent before.
    fn leave(&mut self, at: usize, told: bool) {
        self.end(at).transport = Transport::Idle;
        self.world.pipes[1 - at].clear();
        let listens = self.listens(1 - at);
        if at == 1 && self.world.link == Link::Dialled {
            // It never accepted, and no longer listens.
            self.world.link = Link::Up;
        }
        if listens {
            if told {
                let _ = self.world.pipes[at].push(Frame::END);
            }
        } else {
            self.world.link = Link::None;
            self.world.pipes = [Pipe::new(), Pipe::new()];
        }
    }

    /// Tells an input that cannot be refused.
    fn tell(&mut self, at: usize, input: Input<'_>) -> Done {
        let done = self.input(at, GeneralInput::Common(input), 0)?;
        self.hold(Property::Obeys, done)
    }

    /// Tells an input and carries out what comes of it. Whether it was taken.
    fn input(&mut self, at: usize, input: GeneralInput<'_>, generation: u8) -> Result<bool, Property> {
        let now = self.now;
        let stepped = invariants::step(&mut self.world.ends[at].machine, now, input);
        let (outcome, actions) = self.invariant(stepped)?;
        self.act(at, &actions, generation, None)?;
        Ok(is_done(&outcome))
    }

    fn fire(&mut self, at: usize, timer: Timer) -> Done {
        let state = self.world.ends[at].machine.state();
        if timer == Timer::T7 && self.world.ends[at].traffic {
            self.met(Situation::T7AgainstTraffic);
        }
        let machine = &mut self.world.ends[at].machine;
        let fired = machine.fire(timer);
        let queued = machine.waiting_actions();
        let polled = invariants::drain(machine);
        self.hold(Property::Obeys, fired.is_ok())?;
        let actions = self.invariant(polled)?;
        self.hold(Property::QueueHolds, queued <= 8)?;
        let closes = invariants::closed(&actions);
        match (timer, closes) {
            (Timer::T8, _) => self.met(Situation::T8),
            (Timer::T6, Some(CloseReason::T6(ControlRequest::Select))) => self.met(Situation::SelectUnanswered),
            (Timer::T6, Some(CloseReason::T6(ControlRequest::Linktest))) => self.met(Situation::LinktestUnanswered),
            (Timer::SessionT6, Some(CloseReason::T6(ControlRequest::Select))) => self.met(Situation::SelectUnanswered),
            (Timer::T3(_), _) => {
                let report = |action: &Action| matches!(action, Action::Send(ControlFrame::Stream9 { function: 9, .. }));
                let reported = actions.iter().any(report);
                self.met(if reported { Situation::Reported } else { Situation::Silent });
                // E37.1 Tables 1 and 2 row 6.
                self.hold(Property::NoOffence, closes.is_none() && self.world.ends[at].machine.state() == state)?;
            }
            _ => {}
        }
        self.act(at, &actions, 0, None)
    }

    /// What is under way arrives.
    fn deliver(&mut self, to: usize, octets: u8) -> Done {
        let from = 1 - to;
        let Some(index) = next_frame(self.setup, &self.world.pipes[from]) else { return Ok(()) };
        let mut frame = self.world.pipes[from].remove(index);
        if frame == Frame::END {
            let inside = self.world.ends[to].machine.body_left() > 0 || self.has_begun(to);
            if inside {
                self.met(Situation::CutInFrame);
            }
            return self.tell(to, Input::Handle(Event::TransportClosed));
        }
        let whole = octets == 0;
        let taken = if whole { frame.len } else { frame.read + octets };
        let chunk = frame;
        let part = &chunk.octets[usize::from(chunk.read)..usize::from(taken)];
        if !whole {
            self.world.budget.splits -= u8::from(!self.setup.free);
            self.met(match octets {
                2 => Situation::SplitInLength,
                9 => Situation::SplitInHeader,
                _ => Situation::SplitInText,
            });
            frame.read = taken;
            // The rest comes before everything else.
            let _ = self.world.pipes[from].insert(0, frame);
        }
        self.receive(to, &chunk, part, frame.generation)
    }

    /// Whether a message has come in part.
    fn has_begun(&self, at: usize) -> bool {
        let mut begun = false;
        self.world.ends[at].machine.armed_timers(&mut |timer, _| begun |= timer == Timer::T8);
        begun
    }

    fn receive(&mut self, to: usize, frame: &Frame, octets: &[u8], generation: u8) -> Done {
        let mut left = octets;
        let before = self.world.ends[to].machine.state();
        let t7 = self.t7(to);
        while !left.is_empty() && self.world.ends[to].transport == Transport::Open {
            let was_open = self.world.ends[to].open.clone();
            let machine = &mut self.world.ends[to].machine;
            let queued = machine.waiting_actions();
            let grown = (self.setup.free || self.setup.commands.texts).then(|| {
                let mut probe = machine.clone();
                probe.tell(self.now, GeneralInput::Common(Input::Receive(left)));
                (probe.waiting_actions().saturating_sub(queued), probe.waiting_actions())
            });
            let stepped = invariants::step(machine, self.now, GeneralInput::Common(Input::Receive(left)));
            self.hold(Property::QueueHolds, grown.is_none_or(|(grown, waiting)| grown <= 3 && waiting <= 8))?;
            let (outcome, actions) = self.invariant(stepped)?;
            let Outcome::Received { taken, inbound } = outcome else { return Err(Property::Obeys) };
            left = &left[taken..];
            if let Some(inbound) = &inbound {
                self.take(to, inbound, &was_open)?;
            }
            let end = self.end(to);
            if end.writing.is_some() && end.machine.waiting_actions() > queued {
                // It answers behind the text.
                end.held = end.held.max(generation.saturating_add(1));
            }
            let about = inbound.filter(Inbound::first).map(|inbound| *inbound.header());
            self.act(to, &actions, generation.saturating_add(1), about.as_ref())?;
        }
        let end = &mut self.world.ends[to];
        let after = end.machine.state();
        if before == State::NotSelected && after == State::NotSelected && end.transport == Transport::Open {
            end.traffic |= frame.len > 0 && left.is_empty();
            let moved = t7 != self.t7(to);
            self.hold(Property::T7IsNotExtended, t7.is_none() || !moved)?;
        }
        Ok(())
    }

    fn t7(&self, at: usize) -> Option<Instant> {
        let mut t7 = None;
        self.world.ends[at].machine.armed_timers(&mut |timer, deadline| {
            if timer == Timer::T7 {
                t7 = Some(deadline);
            }
        });
        t7
    }

    /// A message came.
    fn take(&mut self, at: usize, inbound: &Inbound<'_>, was_open: &[SystemBytes]) -> Done {
        let header = *inbound.header();
        self.say(|| format!("    end {at} takes {header} as {:?}", inbound.class));
        let system = header.system;
        let stype = header.stype;
        if inbound.class == Class::Primary && inbound.first() && was_open.contains(&system) {
            self.met(Situation::Colliding);
        }
        if let Some(token) = inbound.reply_token().filter(|_| inbound.last()) {
            let most = if self.setup.free { 1 } else { super::MEMORY };
            let end = self.end(at);
            if end.tokens.len() == most {
                end.tokens.remove(0);
            }
            let _ = end.tokens.push(token);
        }
        if inbound.class == Class::Reply && inbound.last() {
            let end = self.end(at);
            let place = end.open.iter().position(|open| *open == system).ok_or(Property::EndsOnce)?;
            end.open.remove(place);
            self.met(if inbound.is_abort() { Situation::Aborted } else { Situation::Answered });
        }
        if !inbound.first() {
            return Ok(());
        }
        match inbound.class {
            Class::Stray(Stray::Late) => self.met(Situation::Late),
            Class::Stray(Stray::Orphan) => self.met(Situation::Orphan),
            Class::Stray(Stray::Mismatched) => self.met(Situation::Mismatched),
            Class::Stray(Stray::UnknownDevice) => self.met(Situation::UnknownDevice),
            Class::Rejected(RejectReason::TRANSACTION_NOT_OPEN) => self.met(Situation::NotOpen),
            Class::Rejected(RejectReason::ENTITY_NOT_SELECTED) => self.met(if M::GENERAL {
                Situation::DataCrossesEnd
            } else {
                Situation::DataNotSelected
            }),
            Class::Rejected(_) => self.met(Situation::UnknownType),
            Class::TooLong => self.met(Situation::TooLong),
            _ => {}
        }
        if stype == SType::LINKTEST_REQ && self.tests_link(at) {
            self.met(Situation::LinktestsCross);
        }
        if self.setup.free {
            return Ok(());
        }
        let data = M::GENERAL && inbound.class == Class::Rejected(RejectReason::ENTITY_NOT_SELECTED);
        let offends = matches!(inbound.class, Class::Rejected(_) | Class::TooLong | Class::Fatal)
            || matches!(inbound.class, Class::Stray(stray) if stray != Stray::Late && self.setup.collide.is_none());
        self.hold(Property::NoOffence, !offends || data)
    }

    /// Whether a linktest of this end is open.
    fn tests_link(&self, at: usize) -> bool {
        let mut probe = self.world.ends[at].machine.clone();
        let mut known = Vec::new();
        probe.map_system_bytes(&mut |system| {
            known.push(system);
            system
        });
        let outcome = probe.tell(self.now, GeneralInput::Common(Input::Linktest));
        matches!(outcome, Outcome::Requested { system } if known.contains(&system))
    }

    /// Carries out the actions of this end. `about`: the message that made them.
    fn act(&mut self, at: usize, actions: &[Action], generation: u8, about: Option<&Header>) -> Done {
        let mut closed = false;
        let writing = self.world.ends[at].writing.is_some();
        let generation = if writing { generation } else { generation.max(std::mem::take(&mut self.end(at).held)) };
        let rejected = about.is_some_and(|header| header.stype == SType::REJECT_REQ && header.ptype.0 == 0);
        for action in actions {
            self.say(|| format!("    end {at}: {action}"));
            match action {
                Action::Send(frame) => {
                    self.hold(Property::NothingAfterClose, !closed)?;
                    self.hold(Property::RejectIsNotAnswered, !rejected)?;
                    self.send(at, frame, generation)?;
                }
                Action::CloseTransport(reason) => {
                    closed = true;
                    self.close(at, *reason)?;
                }
                Action::OpenTransport => self.end(at).transport = Transport::Opening,
                Action::Notify(notice) => self.notice(at, *notice)?,
            }
        }
        if !self.setup.commands.written {
            self.written(at)?;
        }
        Ok(())
    }

    fn written(&mut self, at: usize) -> Done {
        let octets = std::mem::take(&mut self.end(at).unwritten);
        if octets > 0 && self.world.ends[at].transport == Transport::Open {
            self.tell_written(at, octets)?;
        }
        Ok(())
    }

    fn tell_written(&mut self, at: usize, octets: u64) -> Done {
        let now = self.now;
        let machine = &mut self.world.ends[at].machine;
        let stepped = invariants::step(machine, now, GeneralInput::Common(Input::Written { octets }));
        let (outcome, actions) = self.invariant(stepped)?;
        self.hold(Property::Obeys, is_done(&outcome) && actions.is_empty())
    }

    fn send(&mut self, at: usize, frame: &ControlFrame, generation: u8) -> Done {
        self.hold(Property::NothingAfterClose, self.world.ends[at].transport == Transport::Open)?;
        self.hold(Property::ChainsEnd, generation <= LONGEST_CHAIN || self.setup.free)?;
        let mut octets = frame.encode().to_vec();
        // Nobody reads the text of stream 9, and its numbers would have to be renamed.
        octets[PREFIX_LEN..].fill(0);
        self.end(at).unwritten += octets.len() as u64;
        let header = frame.header();
        let end = self.end(at);
        end.selects |= header.stype == SType::SELECT_REQ;
        end.accepted |= header.stype == SType::SELECT_RSP && header.byte3 == 0;
        self.push(at, Frame::new(&octets, generation))
    }

    fn push(&mut self, at: usize, frame: Frame) -> Done {
        if self.setup.free || !self.listens(1 - at) {
            return Ok(());
        }
        let behind_select = |sent: &Frame| sent.header().is_some_and(|header| header.stype == SType::SELECT_RSP);
        let data = frame.header().is_some_and(|header| header.stype == SType::DATA);
        if data && self.world.pipes[at].last().is_some_and(behind_select) {
            self.met(Situation::DataBehindSelect);
        }
        self.world.pipes[at].push(frame).map_err(|_| Property::FewFrames)
    }

    fn close(&mut self, at: usize, reason: CloseReason) -> Done {
        let reply = |frame: &Frame| {
            frame.header().is_some_and(|header| {
                header.stype == SType::DATA && header.stream() != 9 && !header.stream_function().is_primary()
            })
        };
        match reason {
            CloseReason::Separated | CloseReason::Disabled if self.world.pipes[1 - at].iter().any(reply) => {
                self.met(Situation::ReplyCrossesSeparate);
            }
            CloseReason::SelectRefused(_) => self.met(Situation::SelectRefused),
            CloseReason::SelectRejected(_) => self.met(Situation::SelectRejected),
            CloseReason::BodyAborted => self.met(Situation::BodyAborted),
            CloseReason::LooksLikeSecsI => self.met(Situation::SecsI),
            CloseReason::LengthTooShort { .. } => self.met(Situation::LengthTooShort),
            _ => {}
        }
        let offended = matches!(
            reason,
            CloseReason::SelectRefused(_)
                | CloseReason::SelectRejected(_)
                | CloseReason::LengthTooShort { .. }
                | CloseReason::LengthTooLong { .. }
                | CloseReason::LooksLikeSecsI
                | CloseReason::UnexpectedMessage(_)
                | CloseReason::DataNotSelected
                | CloseReason::ControlText { .. }
                | CloseReason::UnknownPType(_)
                | CloseReason::UnknownSType(_)
                | CloseReason::OutputStalled
        );
        self.hold(Property::NoOffence, !offended || self.setup.free)?;
        let end = self.end(at);
        end.unwritten = 0;
        end.held = 0;
        end.asked.clear();
        end.traffic = false;
        end.writing = None;
        let was_open = end.transport == Transport::Open;
        let waited = at == 1 && self.world.link == Link::Dialled;
        self.end(at).transport = Transport::Idle;
        if was_open || waited {
            self.leave(at, true);
        }
        Ok(())
    }

    fn notice(&mut self, at: usize, notice: Notice) -> Done {
        match notice {
            Notice::TransactionEnded { system, end } => {
                let place = self.world.ends[at].open.iter().position(|open| *open == system);
                match (place, end) {
                    (Some(place), _) => {
                        self.end(at).open.remove(place);
                    }
                    // A linktest.
                    (None, TransactionEnd::SessionEnded) => {}
                    (None, _) => return Err(Property::EndsOnce),
                }
                match end {
                    TransactionEnd::Rejected(_) => self.met(Situation::Rejected),
                    TransactionEnd::SessionEnded if place.is_some() => self.met(Situation::LinkLost),
                    _ => {}
                }
            }
            Notice::RejectReceived { .. } => self.met(Situation::StrayReject),
            Notice::LinktestMissed { .. } => self.met(Situation::LinktestMissed),
            Notice::Lenient(Leniency::SimultaneousSelect(_)) => self.met(Situation::SimultaneousSelect),
            Notice::SessionEnded { end, .. } => self.met(match end {
                SessionEnd::Deselected | SessionEnd::DeselectReceived => Situation::Deselected,
                _ => Situation::SessionSeparated,
            }),
            Notice::SessionRefused { refusal, .. } => self.met(match refusal {
                hsms_core::connection::SessionRefusal::Deselect(_) => Situation::Busy,
                _ => Situation::SelectRefused,
            }),
            Notice::SelectAsked { session } => {
                self.met(Situation::Asked);
                let _ = self.end(at).asked.push(session);
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether the command did something.
    fn command(&mut self, at: usize, command: Command) -> Result<bool, Property> {
        let common = |input| GeneralInput::Common(input);
        match command {
            Command::Enable => self.input(at, common(Input::Enable), 0),
            Command::Disable => self.input(at, common(Input::Disable), 0),
            Command::Separate => self.input(at, common(Input::Separate), 0),
            Command::Select => self.input(at, common(Input::Select), 0),
            Command::Linktest => self.input(at, common(Input::Linktest), 0),
            Command::PauseInput => {
                if !self.world.pipes[1 - at].is_empty() {
                    self.met(Situation::Paused);
                }
                self.input(at, common(Input::PauseInput), 0)
            }
            Command::ResumeInput => self.input(at, common(Input::ResumeInput), 0),
            Command::Primary { session, reply_expected } => self.begin(at, session, reply_expected),
            Command::Reply { index, abort } => self.reply(at, usize::from(index), abort),
            Command::EndBody => self.end_body(at),
            Command::AbortBody => {
                let frame = self.world.ends[at].writing.take();
                if let Some(frame) = frame {
                    // The prefix has gone out.
                    self.push(at, Frame { len: frame.len.min(14), ..frame })?;
                }
                self.input(at, common(Input::AbortBody), 0)
            }
            Command::Written => {
                self.written(at)?;
                Ok(true)
            }
            Command::Forget { index } => {
                let system = self.end(at).open.remove(usize::from(index));
                self.input(at, common(Input::Forget { system }), 0)
            }
            _ => {
                let asked = self.world.ends[at].asked.first().copied();
                let Some(input) = session_input(command, asked) else { return Ok(false) };
                if matches!(command, Command::AnswerSelect { .. }) {
                    self.end(at).asked.remove(0);
                    // Where the peer accepted ours meanwhile, nothing waits any more.
                    self.input(at, input, 0)?;
                    return Ok(true);
                }
                self.input(at, input, 0)
            }
        }
    }

    fn begin(&mut self, at: usize, session: SessionId, reply_expected: bool) -> Result<bool, Property> {
        let body_len = u32::from(self.setup.text);
        let stream_function = PRIMARY;
        let input = if M::GENERAL || session != DEVICE {
            GeneralInput::BeginPrimaryIn { session, stream_function, reply_expected, body_len }
        } else {
            let device = session.0.try_into().map_err(|_| Property::Obeys)?;
            GeneralInput::Common(Input::BeginPrimary { device, stream_function, reply_expected, body_len })
        };
        let now = self.now;
        let stepped = invariants::step(&mut self.world.ends[at].machine, now, input);
        let (outcome, _) = self.invariant(stepped)?;
        let Outcome::Begun { system: Some(system), prefix } = outcome else { return Ok(false) };
        if reply_expected {
            self.hold(Property::EndsOnce, !self.world.ends[at].open.contains(&system))?;
            let _ = self.end(at).open.push(system);
        }
        self.write(at, &prefix, body_len)
    }

    fn reply(&mut self, at: usize, index: usize, abort: bool) -> Result<bool, Property> {
        let token = self.end(at).tokens.remove(index);
        let stale = !self.world.ends[at].machine.is_current_token(&token);
        let input = if abort { Input::BeginAbort { token } } else { Input::BeginReply { token, body_len: 0 } };
        let now = self.now;
        let stepped = invariants::step(&mut self.world.ends[at].machine, now, GeneralInput::Common(input));
        let (outcome, _) = self.invariant(stepped)?;
        match outcome {
            Outcome::Begun { prefix, .. } => {
                self.hold(Property::Obeys, !stale)?;
                self.write(at, &prefix, 0)
            }
            Outcome::Refused(Error::StaleToken) => {
                self.met(Situation::StaleToken);
                self.hold(Property::Obeys, stale)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// The application writes a message: at once, or begins to.
    fn write(&mut self, at: usize, prefix: &[u8], body_len: u32) -> Result<bool, Property> {
        let mut octets = prefix.to_vec();
        octets.resize(PREFIX_LEN + usize::try_from(body_len).expect("a short text"), 0x5A);
        self.end(at).writing = Some(Frame::new(&octets, 0));
        if !self.setup.commands.texts {
            return self.end_body(at);
        }
        Ok(true)
    }

    fn end_body(&mut self, at: usize) -> Result<bool, Property> {
        let Some(frame) = self.world.ends[at].writing.take() else { return Ok(false) };
        self.end(at).unwritten += u64::from(frame.len);
        self.push(at, frame)?;
        let now = self.now;
        let stepped = invariants::step(&mut self.world.ends[at].machine, now, GeneralInput::Common(Input::EndBody));
        let (_, actions) = self.invariant(stepped)?;
        if actions.iter().any(|action| matches!(action, Action::Send(_))) {
            self.met(Situation::Held);
        }
        self.act(at, &actions, 0, None)?;
        Ok(true)
    }
}
