//! What can happen in a world.

use super::property::is_active;
use super::{Command, Frame, Link, Pipe, Setup, Step, Subject, Transport, World, free};
use hsms_core::connection::State;
use hsms_core::wire::SType;

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
            frame.header().is_some_and(|header| match header.stype {
                SType::DATA => header.stream_function().is_primary() == primary && header.stream() != 9,
                // Of a primary of ours.
                SType::REJECT_REQ => !primary && header.byte2 == 0,
                _ => false,
            })
        };
        let there = self.pipes[at].iter().filter(|frame| data(frame, true)).count();
        let back = self.pipes[1 - at].iter().filter(|frame| data(frame, false)).count();
        let writing = self.ends.iter().filter(|end| end.writing.is_some()).count();
        there + back + self.ends[1 - at].tokens.len() + writing
    }
}

/// Which frame of a pipe arrives next.
pub(super) fn next_frame<M>(setup: &Setup<M>, pipe: &Pipe) -> Option<usize> {
    if !setup.lifo || pipe.first().is_some_and(Frame::is_begun) {
        return (!pipe.is_empty()).then_some(0);
    }
    pipe.iter().rposition(|frame| *frame != Frame::END).or((!pipe.is_empty()).then_some(0))
}
