//! What has to hold of every world.

use super::{Link, Setup, Subject, Transport, World};
use crate::invariants::{self, Invariant};
use hsms_core::config::ConnectMode;
use hsms_core::connection::{State, Timer};
use std::fmt;

/// What has to hold in every world, and of every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Property {
    /// An [`Invariant`] of a machine by itself.
    Machine(Invariant),
    /// SELECTED on one side means that the other accepted.
    SelectedMeansAccepted,
    /// What the application waits for ends once: what ended was open, and nothing is open that the machine has forgotten.
    EndsOnce,
    /// Nothing is sent behind a close.
    NothingAfterClose,
    /// No message moves T7.
    T7IsNotExtended,
    /// A Reject.req is answered with nothing.
    RejectIsNotAnswered,
    /// What waits has its timer: NOT SELECTED, a control request, a transaction, a message in part, a reconnect.
    Guarded,
    /// A machine without a transport has no timer but T5, and nothing open.
    NothingLeft,
    /// A chain of messages, each in answer to the one before, has at most three. So what is under way between two machines
    /// comes to an end without commands and timers.
    ChainsEnd,
    /// An end sends boundedly much that is not read.
    FewFrames,
    /// Two machines of ours never reject each other's messages, nor close because of them. Of HSMS-GS: but for data; and but
    /// for the response to a linktest that counted as missed.
    NoOffence,
    /// With nothing under way both ends agree on what is SELECTED.
    EndsAgree,
    /// With nothing under way no control request is open.
    ControlAnswered,
    /// From here both ends become SELECTED and every transaction ends, if nobody hinders them and timers expire in their usual order.
    Recovers,
    /// A command that can be given is carried out.
    Obeys,
    /// What ends a transaction as its reply has the primary's session and stream, and its function plus one or 0.
    RepliesFit,
}

/// Whether a property is the one in question.
pub type IsIt = fn(Property) -> bool;

impl Property {
    /// All of them in words, the [`Invariant`]s of a machine as one.
    pub const ALL: [(&'static str, IsIt); 16] = [
        ("each machine keeps its invariants", |p| matches!(p, Property::Machine(_))),
        ("SELECTED means that the other accepted", |p| p == Property::SelectedMeansAccepted),
        ("each transaction ends once", |p| p == Property::EndsOnce),
        ("nothing is sent behind a close", |p| p == Property::NothingAfterClose),
        ("no message moves T7", |p| p == Property::T7IsNotExtended),
        ("a Reject.req is answered with nothing", |p| p == Property::RejectIsNotAnswered),
        ("what waits has its timer", |p| p == Property::Guarded),
        ("nothing outlives its link", |p| p == Property::NothingLeft),
        ("chains of messages end", |p| p == Property::ChainsEnd),
        ("few frames are under way", |p| p == Property::FewFrames),
        ("two machines do not offend each other", |p| p == Property::NoOffence),
        ("drained, both ends agree", |p| p == Property::EndsAgree),
        ("drained, no control request is open", |p| p == Property::ControlAnswered),
        ("both become SELECTED again, and every transaction ends", |p| p == Property::Recovers),
        ("commands are carried out", |p| p == Property::Obeys),
        ("a reply is that of its primary", |p| p == Property::RepliesFit),
    ];

    /// What it says, in words.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        Property::ALL.iter().find(|(_, is_it)| is_it(self)).map_or("", |(words, _)| words)
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Property::Machine(invariant) => write!(f, "{invariant:?}"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// Messages in a chain at most, without the first: Select.req, Select.rsp, Reject.req.
pub(super) const LONGEST_CHAIN: u8 = 2;

/// The timers that run.
#[derive(Debug, Default, Clone, Copy)]
struct Armed {
    t3: usize,
    t5: bool,
    t6: usize,
    t7: bool,
    t8: bool,
    linktest: bool,
}

fn armed<M: Subject>(machine: &M) -> Armed {
    let mut armed = Armed::default();
    machine.armed_timers(&mut |timer, _| match timer {
        Timer::T3(_) => armed.t3 += 1,
        Timer::T5 => armed.t5 = true,
        Timer::T6 | Timer::SessionT6(_) => armed.t6 += 1,
        Timer::T7 => armed.t7 = true,
        Timer::T8 => armed.t8 = true,
        Timer::Linktest => armed.linktest = true,
    });
    armed
}

/// What does not hold in `world`, whose machines have been drained.
pub fn check<M: Subject>(setup: &Setup<M>, world: &World<M>) -> Option<Property> {
    let ends = if setup.free { 1 } else { 2 };
    for at in 0..ends {
        if let Some(broken) = check_end(world, at) {
            return Some(broken);
        }
    }
    if setup.free { None } else { check_both(world) }
}

fn check_end<M: Subject>(world: &World<M>, at: usize) -> Option<Property> {
    let end = &world.ends[at];
    let machine = &end.machine;
    let armed = armed(machine);
    if machine.open_transactions() != end.open.len() || !end.open.iter().all(|system| machine.is_open(*system)) {
        return Some(Property::EndsOnce);
    }
    let connected = machine.state() != State::NotConnected;
    if connected != (end.transport == Transport::Open) {
        return Some(Property::NothingLeft);
    }
    if !connected {
        let idle = armed.t3 + armed.t6 == 0 && !armed.t7 && !armed.t8 && !armed.linktest;
        let waits = armed.t5 || end.transport == Transport::Opening || !machine.is_enabled();
        return if !idle || !end.open.is_empty() {
            Some(Property::NothingLeft)
        } else if !waits {
            Some(Property::Guarded)
        } else {
            None
        };
    }
    // A timer of what has not been written, or not been made yet, does not run yet; and none runs while input is paused.
    let settled = end.unwritten == 0 && end.writing.is_none();
    if settled && invariants::waiting_is_guarded(machine).is_err() && !world.is_paused(at) {
        return Some(Property::Guarded);
    }
    let guarded = match machine.state() {
        State::NotSelected => armed.t7 || armed.t6 > 0,
        _ => armed.t3 == end.open.iter().filter(|system| !world.is_arriving(at, **system)).count(),
    };
    if settled && !guarded && !world.is_paused(at) {
        return Some(Property::Guarded);
    }
    let begun = world.pipes[1 - at].first().is_some_and(|frame| frame.is_begun());
    if begun && !armed.t8 && !world.is_paused(at) {
        return Some(Property::Guarded);
    }
    None
}

impl<M: Subject> World<M> {
    /// Whether this end does not read.
    #[must_use]
    pub fn is_paused(&self, at: usize) -> bool {
        let mut probe = self.ends[at].machine.clone();
        // A message that is no message would end the link; nothing at all is refused only while input is paused.
        let outcome = probe.tell(
            hsms_core::time::Instant::EPOCH,
            hsms_core::connection::GeneralInput::Common(hsms_core::connection::Input::Receive(&[])),
        );
        outcome == hsms_core::connection::Outcome::Refused(hsms_core::Error::InputPaused)
    }

    /// Whether the reply to this transaction of `at` is arriving.
    fn is_arriving(&self, at: usize, system: hsms_core::wire::SystemBytes) -> bool {
        let mut arriving = false;
        if self.ends[at].machine.body_left() > 0 {
            // Renaming shows what is held: the message that is arriving comes last.
            let mut last = None;
            self.ends[at].machine.clone().map_system_bytes(&mut |system| {
                last = Some(system);
                system
            });
            arriving = last == Some(system);
        }
        arriving
    }

    /// Whether both ends have the same link.
    #[must_use]
    pub fn is_joined(&self) -> bool {
        self.link == Link::Up && self.ends.iter().all(|end| end.transport == Transport::Open)
    }

    /// Whether nothing is under way between both ends.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        let still = |at: usize| {
            let end = &self.ends[at];
            self.pipes[at].is_empty() && end.writing.is_none() && end.asked.is_empty()
        };
        still(0) && still(1)
    }
}

fn check_both<M: Subject>(world: &World<M>) -> Option<Property> {
    let [a, b] = &world.ends;
    if invariants::selected_means_accepted((&a.machine, a.said), (&b.machine, b.said)).is_err() {
        return Some(Property::SelectedMeansAccepted);
    }
    if !world.is_joined() || !world.is_drained() {
        return None;
    }
    if invariants::ends_agree(&a.machine, &b.machine).is_err() {
        return Some(Property::EndsAgree);
    }
    let open = |end: &super::End<M>| armed(&end.machine).t6 > 0;
    let told = a.unwritten + b.unwritten == 0;
    if told && (open(a) || open(b)) {
        return Some(Property::ControlAnswered);
    }
    None
}

/// Whether this end dials.
pub(super) fn is_active<M: Subject>(machine: &M) -> bool {
    machine.config().mode() == ConnectMode::Active
}
