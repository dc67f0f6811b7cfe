//! What has to hold of a machine at every step, whatever it is told, and of two machines face to face. Written once: model
//! checking, simulation, torture, properties and fuzzing all look at a machine through [`step`] or a [`Watch`].

mod ends;

pub use ends::{Said, ends_agree, selected_means_accepted};

use crate::machine::Machine;
use crate::model::Subject;
use hsms_core::connection::{
    Action, CloseReason, Event, GeneralInput, Inbound, Input, Leniency, Notice, Outcome, State, Timer, TransactionEnd,
};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, PType, SType, SessionId, SystemBytes};
use std::fmt;
use std::time::Duration;

/// What a machine promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// A call that is refused changes nothing.
    RefusalChangesNothing,
    /// One input, a timer included, puts at most three actions in the queue, and all that can be polled then is bounded too.
    FewActions,
    /// Nothing is sent without a transport, or after it was closed; it is closed once.
    NothingAfterClose,
    /// The deadline is never before the last `now`, and is that `now` while an action can be polled.
    DeadlineIsTrue,
    /// A timeout before the deadline changes nothing.
    EarlyTimeoutIsNothing,
    /// A timer that is due is fired by as many timeouts as can be armed.
    TimersEnd,
    /// Data reaches the application only while SELECTED.
    OnlySelectedDelivers,
    /// A Reject.req is never answered by a Reject.req, and a Reject.req copies the system bytes of what it rejects.
    RejectIsNotAnswered,
    /// A response copies the system bytes of a request that just came.
    ResponsesAnswer,
    /// A transaction of ours ends in exactly one of reply, abort, reject, T3, loss of the link, or being given up.
    TransactionsEndOnce,
    /// A request of ours carries system bytes that no open request of ours has.
    SystemBytesAreFree,
    /// SELECTED begins with an accepted Select, and ends with a Deselect, a Separate or the link.
    SelectedBySelect,
    /// NOT SELECTED lasts as long as T7, or T6 of our Select.req behind it, whatever comes meanwhile.
    UnselectedEnds,
    /// What waits is guarded by a timer, once all is written and input is not paused.
    WaitingIsGuarded,
    /// As long as no deadline passes, time changes nothing but deadlines.
    TimeIsOnlyDeadlines,
    /// An end is SELECTED only where the other accepted that, or asked for it and was accepted.
    SelectedMeansAccepted,
    /// Once nothing is under way between them, both ends of a link agree whether it is SELECTED.
    EndsAgree,
}

/// An [`Invariant`] that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub invariant: Invariant,
    /// What was seen.
    pub seen: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} does not hold: {}", self.invariant, self.seen)
    }
}

impl std::error::Error for Broken {}

fn hold(invariant: Invariant, holds: bool, seen: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken { invariant, seen: seen() }) }
}

/// Actions that can wait in a machine at once; one more opens the transport.
const QUEUE: usize = 8;

/// Actions that one input can put in the queue, which every input makes sure of the room for.
const PUT: usize = 3;

/// How much later time must not matter.
const LATER: Duration = Duration::from_millis(1_500);

/// Tells `input` to a drained machine, drains it, and checks every invariant that can be seen in one step. Gives what it gave
/// back, and the actions.
///
/// # Errors
/// The invariant that does not hold.
pub fn step<'i, M: Machine>(
    machine: &mut M,
    now: Instant,
    input: GeneralInput<'i>,
) -> Result<(Outcome<'i>, Vec<Action>), Broken> {
    let before = machine.clone();
    let outcome = machine.tell(now, input.clone());
    if let Outcome::Refused(error) = outcome {
        hold(Invariant::RefusalChangesNothing, *machine == before, || {
            format!("{input:?} was refused ({error}) and changed\n{before:?}\nto\n{machine:?}")
        })?;
    }
    let waiting = machine.waiting_actions();
    let actions = drain(machine)?;
    Step { before: &before, now, input: Some(&input), outcome: &outcome, waiting, actions: &actions, after: machine }
        .check()?;
    time_is_only_deadlines(&before, now.saturating_add(LATER), input, &outcome, &actions)?;
    Ok((outcome, actions))
}

/// Polls all actions, looking at the deadline before each.
///
/// # Errors
/// [`Invariant::DeadlineIsTrue`].
pub fn drain<M: Machine>(machine: &mut M) -> Result<Vec<Action>, Broken> {
    let mut actions = Vec::new();
    loop {
        let deadline = machine.next_deadline();
        let Some(action) = machine.poll_action() else { return Ok(actions) };
        // Where an action waits the deadline is the machine's `now`, and while nothing is told that does not move.
        let first = actions.is_empty() || machine.next_deadline().is_none_or(|next| Some(next) >= deadline);
        hold(Invariant::DeadlineIsTrue, deadline.is_some() && first, || {
            format!("{action} waited and the deadline was {deadline:?}")
        })?;
        actions.push(action);
    }
}

/// Lets every timer that is due at `now` expire. Gives the actions.
///
/// # Errors
/// The invariant that does not hold.
pub fn fire<M: Machine>(machine: &mut M, now: Instant) -> Result<Vec<Action>, Broken> {
    let mut actions = Vec::new();
    let most = machine.running_timers();
    for calls in 0.. {
        if machine.next_deadline().is_none_or(|deadline| deadline > now) {
            break;
        }
        hold(Invariant::TimersEnd, calls < most, || format!("after {calls} timeouts one is still due: {machine:?}"))?;
        actions.extend(step(machine, now, GeneralInput::Common(Input::Handle(Event::Timeout)))?.1);
    }
    Ok(actions)
}

/// Lets this timer of a drained machine alone expire, whatever its deadline and those of others say, drains the machine, and
/// checks what [`step`] checks. `now` is the last that the machine was told. Gives what it gave back, and the actions.
///
/// # Errors
/// The invariant that does not hold.
pub fn expire<M: Subject>(
    machine: &mut M,
    now: Instant,
    timer: Timer,
) -> Result<(Outcome<'static>, Vec<Action>), Broken> {
    let before = machine.clone();
    let outcome = machine.fire(timer).map_or_else(Outcome::Refused, |()| Outcome::Done);
    let waiting = machine.waiting_actions();
    let actions = drain(machine)?;
    Step { before: &before, now, input: None, outcome: &outcome, waiting, actions: &actions, after: machine }
        .check()?;
    Ok((outcome, actions))
}

/// As long as no deadline lies between, a machine told `input` `later` does the same: it gives `outcome` back, and makes `actions`.
fn time_is_only_deadlines<M: Machine>(
    before: &M,
    later: Instant,
    input: GeneralInput<'_>,
    outcome: &Outcome<'_>,
    actions: &[Action],
) -> Result<(), Broken> {
    if before.next_deadline().is_some_and(|deadline| deadline <= later) {
        return Ok(());
    }
    // T5 runs on while a connection is disabled; it is no deadline, as nothing has to be done when it is over.
    if !before.is_enabled() && matches!(input, GeneralInput::Common(Input::Enable)) {
        return Ok(());
    }
    let mut waited = before.clone();
    let otherwise = waited.tell(later, input);
    let other_actions = drain(&mut waited)?;
    // That a message has kept a linktest open tells whether T6 would be over by now, and nothing is due then.
    let extended = Action::Notify(Notice::Lenient(Leniency::LinktestExtended));
    let does = |actions| <[Action]>::iter(actions).filter(|action| **action != extended);
    let same = *outcome == otherwise && does(actions).eq(does(&other_actions));
    hold(Invariant::TimeIsOnlyDeadlines, same, || {
        let (now, then) = ((outcome, actions), (otherwise, other_actions));
        format!("at once it is {now:?}, at {later:?} {then:?}, from {before:?}")
    })
}

/// What is true of a machine at rest: all that it sent is written, input is not paused, no text is open.
///
/// # Errors
/// [`Invariant::WaitingIsGuarded`].
pub fn waiting_is_guarded<M: Machine>(machine: &M) -> Result<(), Broken> {
    let waits = machine.state() == State::NotSelected || machine.open_transactions() > 0;
    hold(Invariant::WaitingIsGuarded, !waits || machine.next_deadline().is_some(), || {
        format!("it waits without a timer: {machine:?}")
    })
}

/// A machine and what has to hold of it over many steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Watch<M> {
    machine: M,
    now: Instant,
    /// Since when it has been NOT SELECTED, with input read and no Select.req of its own unwritten.
    unselected: Option<Instant>,
    /// Its timers stand still.
    paused: bool,
    /// Octets that it was not told of as written.
    unwritten: u64,
    /// How many of them there are up to the end of its last Select.req.
    selecting: u64,
    said: Said,
}

impl<M: Machine> Watch<M> {
    /// Watches a machine from here on.
    pub const fn new(machine: M) -> Self {
        let said = Said::NOTHING;
        Watch { machine, now: Instant::EPOCH, unselected: None, paused: false, unwritten: 0, selecting: 0, said }
    }

    /// The machine.
    pub const fn machine(&self) -> &M {
        &self.machine
    }

    /// What it has said about being SELECTED since its link began.
    pub const fn said(&self) -> Said {
        self.said
    }

    /// Tells `input`, drains the machine, and checks. See [`step`].
    ///
    /// # Errors
    /// The invariant that does not hold, [`Invariant::UnselectedEnds`] among them.
    pub fn tell<'i>(&mut self, now: Instant, input: GeneralInput<'i>) -> Result<(Outcome<'i>, Vec<Action>), Broken> {
        let paused = match input {
            GeneralInput::Common(Input::PauseInput) => true,
            GeneralInput::Common(Input::ResumeInput) => false,
            _ => self.paused,
        };
        let written = if let GeneralInput::Common(Input::Written { octets }) = input { octets } else { 0 };
        let opens = matches!(input, GeneralInput::Common(Input::Handle(Event::TransportOpen)));
        let (outcome, actions) = step(&mut self.machine, now, input)?;
        self.now = self.now.max(now);
        if let Outcome::Begun { prefix: [a, b, c, d, ..], .. } = outcome {
            self.unwritten += u64::from(u32::from_be_bytes([a, b, c, d])) + 4;
        }
        if !matches!(outcome, Outcome::Refused(_)) {
            self.paused = paused;
            self.unwritten = self.unwritten.saturating_sub(written);
            self.selecting = self.selecting.saturating_sub(written);
            self.said = if opens { Said::NOTHING } else { self.said };
        }
        self.notice(&actions)?;
        Ok((outcome, actions))
    }

    /// Lets every timer that is due at `now` expire. See [`fire`].
    ///
    /// # Errors
    /// The invariant that does not hold, [`Invariant::UnselectedEnds`] among them.
    pub fn fire(&mut self, now: Instant) -> Result<Vec<Action>, Broken> {
        let actions = fire(&mut self.machine, now)?;
        self.now = self.now.max(now);
        self.notice(&actions)?;
        Ok(actions)
    }

    /// Lets this timer alone expire now. Gives the actions. See [`expire`].
    ///
    /// # Errors
    /// The invariant that does not hold.
    pub fn expire(&mut self, timer: Timer) -> Result<Vec<Action>, Broken>
    where
        M: Subject,
    {
        let (_, actions) = expire(&mut self.machine, self.now, timer)?;
        self.notice(&actions)?;
        Ok(actions)
    }

    fn notice(&mut self, actions: &[Action]) -> Result<(), Broken> {
        for action in actions {
            match action {
                Action::Send(frame) => {
                    let header = frame.header();
                    self.said.note(&header);
                    self.unwritten += frame.len() as u64;
                    if header.stype == SType::SELECT_REQ {
                        self.selecting = self.unwritten;
                    }
                }
                Action::CloseTransport(_) => (self.unwritten, self.selecting) = (0, 0),
                Action::OpenTransport | Action::Notify(_) => {}
            }
        }
        let ended = actions.iter().any(|action| matches!(action, Action::CloseTransport(_)));
        // A pause ends with its connection.
        self.paused &= !ended && self.machine.state() != State::NotConnected;
        self.unselected = match self.machine.state() {
            State::NotSelected if self.paused || self.selecting > 0 => None,
            State::NotSelected if ended => Some(self.now),
            State::NotSelected => self.unselected.or(Some(self.now)),
            State::NotConnected | State::Selected => None,
        };
        let config = self.machine.config();
        let longest = config.t7() + config.t6();
        let is_due = self.machine.next_deadline().is_some_and(|deadline| deadline <= self.now);
        let overdue = self.unselected.is_some_and(|since| self.now.saturating_since(since) > longest);
        hold(Invariant::UnselectedEnds, is_due || !overdue, || {
            format!("NOT SELECTED since {:?}, and it is {:?}: {:?}", self.unselected, self.now, self.machine)
        })
    }
}

/// One step of a machine.
struct Step<'s, 'i, M> {
    before: &'s M,
    now: Instant,
    /// `None`: a timer was made to expire.
    input: Option<&'s GeneralInput<'i>>,
    outcome: &'s Outcome<'i>,
    /// Actions in the queue before any was polled.
    waiting: usize,
    actions: &'s [Action],
    after: &'s M,
}

impl<M: Machine> Step<'_, '_, M> {
    fn check(&self) -> Result<(), Broken> {
        self.few_actions()?;
        self.nothing_after_close()?;
        self.deadline_is_true()?;
        self.only_selected_delivers()?;
        self.answers()?;
        self.transactions_end_once()?;
        self.system_bytes_are_free()?;
        self.selected_by_select()
    }

    fn told(&self) -> Option<&Input<'_>> {
        match self.input {
            Some(GeneralInput::Common(input)) => Some(input),
            _ => None,
        }
    }

    fn inbound(&self) -> Option<&Inbound<'_>> {
        match self.outcome {
            Outcome::Received { inbound, .. } => inbound.as_ref(),
            _ => None,
        }
    }

    /// The message whose header was complete with this input.
    fn message(&self) -> Option<&Header> {
        self.inbound().filter(|inbound| inbound.first()).map(Inbound::header)
    }

    fn sent(&self) -> impl Iterator<Item = Header> {
        self.actions.iter().filter_map(|action| match action {
            Action::Send(frame) => Some(frame.header()),
            _ => None,
        })
    }

    fn broken(&self, invariant: Invariant, holds: bool, what: impl fmt::Display) -> Result<(), Broken> {
        hold(invariant, holds, || {
            let (input, outcome, actions, before) = (self.input, self.outcome, self.actions, self.before);
            format!("{what}\ntold {input:?}\ngave {outcome:?}\ndid {actions:?}\nfrom {before:?}\nto {:?}", self.after)
        })
    }

    fn few_actions(&self) -> Result<(), Broken> {
        let (held, waiting) = (self.before.waiting_actions(), self.waiting);
        let told = format_args!("{held} actions were held, and then {waiting}");
        self.broken(Invariant::FewActions, waiting <= held + PUT, told)?;
        let ends = self.actions.iter().filter(|action| is_link_loss(action)).count();
        // HSMS-GS makes requests and farewells for each session as there is room for them.
        let sessions = if M::GENERAL { 3 * QUEUE } else { 0 };
        self.broken(Invariant::FewActions, self.actions.len() - ends <= QUEUE + 1 + sessions, "too many actions")
    }

    fn nothing_after_close(&self) -> Result<(), Broken> {
        let close = self.actions.iter().position(|action| matches!(action, Action::CloseTransport(_)));
        let open = self.actions.iter().position(|action| matches!(action, Action::OpenTransport));
        let sends = |actions: &[Action]| actions.iter().any(|action| matches!(action, Action::Send(_)));
        let closes = self.actions.iter().filter(|action| matches!(action, Action::CloseTransport(_))).count();
        let invariant = Invariant::NothingAfterClose;
        self.broken(invariant, closes <= 1, "closed twice")?;
        if let Some(close) = close {
            let behind = &self.actions[close..];
            self.broken(invariant, !sends(behind), "sent after the close")?;
            self.broken(invariant, self.after.state() == State::NotConnected, "closed, and connected")?;
            self.broken(invariant, open.is_none_or(|open| open > close), "opened before it was closed")?;
        } else {
            let ended = self.before.state() != State::NotConnected && self.after.state() == State::NotConnected;
            self.broken(invariant, !ended, "ended without a close")?;
            self.broken(invariant, self.after.state() != State::NotConnected || !sends(self.actions), "no transport")?;
        }
        Ok(())
    }

    fn deadline_is_true(&self) -> Result<(), Broken> {
        let deadline = self.after.next_deadline();
        let refused = matches!(self.outcome, Outcome::Refused(_));
        let timeless =
            matches!(self.told(), Some(Input::Forget { .. } | Input::SetDeviceIds(_) | Input::SetNextSystemBytes(_)))
                || matches!(self.input, Some(GeneralInput::SetAdmission { .. } | GeneralInput::SetBusy { .. }))
                || matches!(self.outcome, Outcome::Received { taken: 0, .. });
        let past = deadline.is_some_and(|deadline| deadline < self.now) && !refused && !timeless;
        self.broken(Invariant::DeadlineIsTrue, !past, "the deadline has passed")?;
        let early = self.before.next_deadline().is_none_or(|deadline| deadline > self.now);
        if matches!(self.told(), Some(Input::Handle(Event::Timeout))) && early {
            let nothing = self.actions.is_empty()
                && self.after.state() == self.before.state()
                && deadline == self.before.next_deadline()
                && self.after.open_transactions() == self.before.open_transactions();
            self.broken(Invariant::EarlyTimeoutIsNothing, nothing, "an early timeout did something")?;
        }
        Ok(())
    }

    fn only_selected_delivers(&self) -> Result<(), Broken> {
        let delivered = self.inbound().is_some_and(Inbound::is_for_application);
        let selected = self.before.state() == State::Selected;
        self.broken(Invariant::OnlySelectedDelivers, !delivered || selected, "data outside SELECTED")
    }

    /// What is sent in answer. Frames that waited for the end of a text belong to messages of earlier steps.
    fn answers(&self) -> Result<(), Broken> {
        if self.before.is_body_open() {
            return Ok(());
        }
        let message = self.message().copied();
        let echoed = |header: &Header| message.is_some_and(|message| message.system == header.system);
        for header in self.sent().filter(|header| header.ptype == PType::SECS_II) {
            match header.stype {
                SType::REJECT_REQ => {
                    let holds = echoed(&header) && message.is_none_or(|message| !is_reject(&message));
                    let holds = holds && header.byte3 != 0;
                    self.broken(Invariant::RejectIsNotAnswered, holds, format_args!("sent {header}"))?;
                }
                SType::SELECT_RSP if matches!(self.input, Some(GeneralInput::AnswerSelect { .. })) => {}
                // A Select.req that the application deliberates on is answered where ours for the same session ends that
                // (E37 7.2.3).
                SType::SELECT_RSP if self.selects(header.session) => {}
                SType::SELECT_RSP | SType::DESELECT_RSP | SType::LINKTEST_RSP => {
                    let request = SType(header.stype.0 - 1);
                    let holds = echoed(&header) && message.is_some_and(|message| message.stype == request);
                    self.broken(Invariant::ResponsesAnswer, holds, format_args!("sent {header}"))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn selects(&self, session: SessionId) -> bool {
        self.actions.contains(&Action::Notify(Notice::SessionSelected { session }))
    }

    fn transactions_end_once(&self) -> Result<(), Broken> {
        let invariant = Invariant::TransactionsEndOnce;
        let mut ended: Vec<SystemBytes> = Vec::new();
        for action in self.actions {
            if let Action::Notify(Notice::TransactionEnded { system, .. }) = action {
                self.broken(invariant, self.before.is_open(*system), format_args!("{system} ended, and was not open"))?;
                ended.push(*system);
            }
        }
        let inbound = self.inbound();
        if let Some(reply) = inbound.filter(|inbound| inbound.is_reply()) {
            let system = reply.header().system;
            self.broken(invariant, self.before.is_open(system), format_args!("a reply to {system}, not open"))?;
            if reply.last() {
                ended.push(system);
            }
        }
        if let (Some(Input::Forget { system }), Outcome::Done) = (self.told(), self.outcome) {
            ended.push(*system);
        }
        for (index, system) in ended.iter().enumerate() {
            let once = !ended[..index].contains(system) && !self.after.is_open(*system);
            self.broken(invariant, once, format_args!("{system} ended twice, or is open still"))?;
        }
        let begun = usize::from(match (self.input, self.outcome) {
            (Some(GeneralInput::Common(Input::BeginPrimary { reply_expected, .. })), Outcome::Begun { .. })
            | (Some(GeneralInput::BeginPrimaryIn { reply_expected, .. }), Outcome::Begun { .. }) => *reply_expected,
            _ => false,
        });
        let data = ended.iter().filter(|system| is_data(self.before, self.now, **system)).count();
        let (was, is) = (self.before.open_transactions(), self.after.open_transactions());
        let told = format_args!("{was} transactions were open, {begun} began, {data} ended, {is} are open");
        self.broken(invariant, was + begun == is + data, told)?;
        let lost = self.after.state() == State::NotConnected;
        self.broken(invariant, !lost || is == 0, "transactions outlived their link")
    }

    fn system_bytes_are_free(&self) -> Result<(), Broken> {
        let mut requests: Vec<SystemBytes> = self
            .sent()
            .filter(|header| match header.stype {
                SType::SELECT_REQ | SType::DESELECT_REQ | SType::LINKTEST_REQ | SType::SEPARATE_REQ => true,
                SType::DATA => header.ptype == PType::SECS_II && header.stream_function().is_primary(),
                _ => false,
            })
            .map(|header| header.system)
            .collect();
        if let Outcome::Begun { system: Some(system), .. } = self.outcome {
            requests.push(*system);
        }
        for (index, system) in requests.iter().enumerate() {
            // What waited for the end of a text, or for room, was numbered in an earlier step.
            let numbered_now = !self.before.is_body_open() && !M::GENERAL;
            let free = !numbered_now || !self.before.is_open(*system);
            let free = free && !requests[..index].contains(system);
            self.broken(Invariant::SystemBytesAreFree, free, format_args!("{system} was taken"))?;
        }
        Ok(())
    }

    fn selected_by_select(&self) -> Result<(), Broken> {
        let message = self.message().filter(|message| message.ptype == PType::SECS_II).map(|message| message.stype);
        let invariant = Invariant::SelectedBySelect;
        match (self.before.state(), self.after.state()) {
            (State::NotSelected, State::Selected) => {
                let answered = matches!(self.input, Some(GeneralInput::AnswerSelect { .. }));
                let selected = matches!(message, Some(SType::SELECT_REQ | SType::SELECT_RSP));
                self.broken(invariant, selected || answered, "SELECTED without a Select")
            }
            (State::NotConnected, State::Selected) => self.broken(invariant, false, "SELECTED from nowhere"),
            (State::Selected, State::NotSelected) => {
                let ended = matches!(self.input, Some(GeneralInput::SeparateSession(_)))
                    || matches!(message, Some(SType::DESELECT_REQ | SType::DESELECT_RSP | SType::SEPARATE_REQ));
                self.broken(invariant, ended, "no longer SELECTED for no reason")
            }
            _ => Ok(()),
        }
    }
}

fn is_reject(header: &Header) -> bool {
    header.ptype == PType::SECS_II && header.stype == SType::REJECT_REQ
}

fn is_link_loss(action: &Action) -> bool {
    matches!(action, Action::Notify(Notice::TransactionEnded { end: TransactionEnd::SessionEnded, .. }))
}

/// Whether an open request is a primary: only those can be given up.
fn is_data<M: Machine>(machine: &M, now: Instant, system: SystemBytes) -> bool {
    let mut probe = machine.clone();
    matches!(probe.tell(now, GeneralInput::Common(Input::Forget { system })), Outcome::Done)
}

/// Why the transport was closed, where it was.
#[must_use]
pub fn closed(actions: &[Action]) -> Option<CloseReason> {
    actions.iter().find_map(|action| match action {
        Action::CloseTransport(reason) => Some(*reason),
        _ => None,
    })
}
