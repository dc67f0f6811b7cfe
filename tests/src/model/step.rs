//! What comes of what happens.

use super::canonical::canonical;
use super::possible::{next_frame, steps};
use super::property::{LONGEST_CHAIN, check};
use super::subject::is_done;
use super::{Command, End, Frame, Link, Pipe, Property, Setup, Situation, Step, Subject, Transport, World, free};
use crate::invariants::{self, Broken, Said};
use hsms_core::connection::{
    Action, CloseReason, ControlFrame, ControlRequest, Event, GeneralInput, Inbound, Input, Outcome, State, Timer,
};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, PREFIX_LEN, SType, StreamFunction};

/// What the application asks: S1F1.
pub const PRIMARY: StreamFunction = StreamFunction::new(1, 1);

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

/// Whether both ends become SELECTED from here, and every request of theirs has ended, where nobody gives a command and timers expire in their
/// usual order.
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
        let rests = |end: &End<M>| end.machine.state() == State::Selected && end.open.is_empty();
        if world.is_joined() && world.ends.iter().all(rests) {
            return true;
        }
        let mut possible = Vec::new();
        world.budget = super::Budget { cuts: 0, splits: 0, restarts: 0 };
        steps(&calm, &world, &mut possible);
        let Some(step) = possible.into_iter().filter(|step| !matches!(step, Step::DialFails(_))).min_by_key(haste)
        else {
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
        Step::Fire(_, Timer::T6 | Timer::SessionT6(_)) => 5,
        Step::Fire(_, Timer::T7) => 6,
        Step::Fire(_, Timer::T5) => 7,
        Step::Fire(_, Timer::T3(_)) => 8,
        Step::Fire(_, Timer::Linktest) => 9,
        _ => 10,
    }
}

/// One step in the making.
pub(super) struct Run<'s, M> {
    pub(super) setup: &'s Setup<M>,
    pub(super) world: World<M>,
    pub(super) now: Instant,
    log: &'s mut Option<Vec<String>>,
}

pub(super) type Done = Result<(), Property>;

impl<M: Subject> Run<'_, M> {
    pub(super) fn say(&mut self, text: impl FnOnce() -> String) {
        if let Some(log) = self.log {
            log.push(text());
        }
    }

    pub(super) fn met(&self, situation: Situation) {
        self.setup.met.note(situation);
    }

    pub(super) fn hold(&self, property: Property, holds: bool) -> Done {
        if holds { Ok(()) } else { Err(property) }
    }

    pub(super) fn invariant<T>(&mut self, result: Result<T, Broken>) -> Result<T, Property> {
        result.map_err(|broken| {
            self.say(|| format!("    {broken}"));
            Property::Machine(broken.invariant)
        })
    }

    pub(super) fn end(&mut self, at: usize) -> &mut End<M> {
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
            Step::Due(at) => {
                let fired = invariants::fire(&mut self.world.ends[usize::from(at)].machine.clone(), self.now);
                self.invariant(fired)?;
                self.tell(usize::from(at), Input::Handle(Event::Timeout))?;
            }
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
        end.said = Said::NOTHING;
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
        let said = self.world.ends[at].said;
        self.world.ends[at] = End { said, ..End::new(self.setup.fresh[at].clone()) };
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
    pub(super) fn input(&mut self, at: usize, input: GeneralInput<'_>, generation: u8) -> Result<bool, Property> {
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
        let now = self.now;
        let expired = invariants::expire(&mut self.world.ends[at].machine, now, timer);
        let (outcome, actions) = self.invariant(expired)?;
        self.hold(Property::Obeys, is_done(&outcome))?;
        let closes = invariants::closed(&actions);
        match timer {
            Timer::T8 => self.met(Situation::T8),
            Timer::T3(system) => {
                let report =
                    |action: &Action| matches!(action, Action::Send(ControlFrame::Stream9 { function: 9, .. }));
                let reported = actions.iter().any(report);
                self.met(if reported { Situation::Reported } else { Situation::Silent });
                // E37.1 Tables 1 and 2 row 6.
                self.hold(Property::NoOffence, closes.is_none() && self.world.ends[at].machine.state() == state)?;
                self.hold(Property::EndsOnce, !self.world.ends[at].machine.is_open(system))?;
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
            let stepped = invariants::step(machine, self.now, GeneralInput::Common(Input::Receive(left)));
            let (outcome, actions) = self.invariant(stepped)?;
            let Outcome::Received { taken, inbound } = outcome else { return Err(Property::Obeys) };
            left = &left[taken..];
            if let Some(inbound) = &inbound {
                self.take(to, inbound, &was_open, before == State::Selected)?;
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

    /// Carries out the actions of this end. `about`: the message that made them.
    pub(super) fn act(&mut self, at: usize, actions: &[Action], generation: u8, about: Option<&Header>) -> Done {
        let mut closed = false;
        let writing = self.world.ends[at].writing.is_some();
        let held = if writing { 0 } else { std::mem::take(&mut self.end(at).held) };
        let generation = generation.max(held);
        let rejected = about.is_some_and(|header| header.stype == SType::REJECT_REQ && header.ptype.0 == 0);
        for action in actions {
            self.say(|| format!("    end {at}: {action}"));
            match action {
                Action::Send(frame) => {
                    self.hold(Property::NothingAfterClose, !closed)?;
                    self.hold(Property::RejectIsNotAnswered, !rejected)?;
                    // A request that waited for the end of a text answers nothing.
                    let stype = frame.header().stype;
                    let answers = held == 0 || matches!(stype.0, 2 | 4 | 6) || stype == SType::REJECT_REQ;
                    self.send(at, frame, if answers { generation } else { 0 })?;
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

    fn send(&mut self, at: usize, frame: &ControlFrame, generation: u8) -> Done {
        self.hold(Property::NothingAfterClose, self.world.ends[at].transport == Transport::Open)?;
        self.hold(Property::ChainsEnd, generation <= LONGEST_CHAIN || self.setup.free)?;
        let mut octets = frame.encode().to_vec();
        // Nobody reads the text of stream 9, and its numbers would have to be renamed.
        octets[PREFIX_LEN..].fill(0);
        self.end(at).unwritten += octets.len() as u64;
        let header = frame.header();
        self.end(at).said.note(&header);
        self.push(at, Frame::new(&octets, generation))
    }

    pub(super) fn push(&mut self, at: usize, frame: Frame) -> Done {
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
            CloseReason::T6(ControlRequest::Select) => self.met(Situation::SelectUnanswered),
            CloseReason::T6(ControlRequest::Linktest) => self.met(Situation::LinktestUnanswered),
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
}
