//! That every invariant of the kit can be broken: a machine with one flaw around it is caught by the invariant meant for it,
//! and the same life without the flaw by none.

use hsms_core::config::{Config, DeviceId};
use hsms_core::connection::{
    Action, CloseReason, Connection, ControlFrame, Event, General, GeneralInput, Input, Notice, Outcome, SessionEntity,
    State, TransactionEnd,
};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, RejectReason, SType, SessionId, StreamFunction, SystemBytes};
use hsms_tests::invariants::{Broken, Invariant, Said, Watch, ends_agree, selected_means_accepted, waiting_is_guarded};
use hsms_tests::machine::Machine;
use std::collections::VecDeque;

const DEVICE: DeviceId = DeviceId::new(1).unwrap();

/// What is wrong with a [`Flawed`] machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    RefusalCounts,
    TooManyActions,
    QueuesMore,
    SendsAfterClose,
    ClosesTwice,
    DeadlineInThePast,
    EarlyTimeoutDoes,
    TimerWithoutEnd,
    TimerTakesTwoTimeouts,
    DeliversUnselected,
    AnswersRejectWithReject,
    RejectsWithFreshSystemBytes,
    AnswersUnasked,
    ReplyLeavesTransactionOpen,
    EndsWhatIsNotOpen,
    TakesSystemBytesTwice,
    SelectedBeforeSelect,
    TrafficMovesT7,
    NoTimerGuards,
    LooksAtTheClock,
}

/// A machine with one flaw. What it does wrong is laid over what the sound one does.
#[derive(Debug, Clone, PartialEq)]
struct Flawed {
    sound: Connection<4>,
    flaw: Flaw,
    also: VecDeque<Action>,
    refused: u32,
    swallowed: bool,
    /// When it was told something last.
    told: Instant,
}

impl Flawed {
    fn new(sound: Connection<4>, flaw: Flaw) -> Self {
        Flawed { sound, flaw, also: VecDeque::new(), refused: 0, swallowed: false, told: Instant::EPOCH }
    }

    /// Whether it is NOT SELECTED at rest, and lets T7 not come.
    fn holds_t7(&self) -> bool {
        let waits = self.sound.state() == State::NotSelected && self.sound.clone().poll_action().is_none();
        waits && matches!(self.flaw, Flaw::TrafficMovesT7 | Flaw::NoTimerGuards)
    }

    fn send(&mut self, header: Header) {
        self.also.push_back(Action::Send(ControlFrame::Control(header)));
    }
}

fn is_timeout(input: &GeneralInput<'_>) -> bool {
    matches!(input, GeneralInput::Common(Input::Handle(Event::Timeout)))
}

impl Machine for Flawed {
    const GENERAL: bool = false;

    fn tell<'i>(&mut self, now: Instant, input: GeneralInput<'i>) -> Outcome<'i> {
        let early = is_timeout(&input) && self.sound.next_deadline().is_none_or(|deadline| deadline > now);
        if is_timeout(&input) && (self.flaw == Flaw::TimerWithoutEnd || self.holds_t7()) {
            if self.flaw == Flaw::TimerWithoutEnd {
                self.told = now;
            }
            return Outcome::Done;
        }
        if is_timeout(&input) && !early && self.flaw == Flaw::TimerTakesTwoTimeouts {
            self.swallowed = !self.swallowed;
            if self.swallowed {
                self.told = now;
                return Outcome::Done;
            }
        }
        let before = self.sound.clone();
        let received = match &input {
            GeneralInput::Common(Input::Receive(octets)) => {
                octets.get(4..14).map(|h| Header::decode(h.try_into().unwrap()))
            }
            _ => None,
        };
        let unknown = received.is_some_and(|header| header.stype.0 == 77);
        let data = received.is_some_and(|header| header.stype.0 == 0);
        let reply = received.filter(|header| header.stype.0 == 0 && header.byte3 == 2);
        let outcome = Machine::tell(&mut self.sound, now, input.clone());
        if !is_timeout(&input) && !matches!(outcome, Outcome::Refused(_)) {
            self.told = now;
        }
        match self.flaw {
            Flaw::RefusalCounts if matches!(outcome, Outcome::Refused(_)) => self.refused += 1,
            Flaw::TooManyActions if early => {
                let waits = Notice::LinktestMissed { system: SystemBytes(1), missed: 1 };
                self.also.extend([Action::Notify(waits); 12]);
            }
            Flaw::QueuesMore if early => {
                let waits = Notice::LinktestMissed { system: SystemBytes(1), missed: 1 };
                self.also.extend([Action::Notify(waits); 4]);
            }
            Flaw::SendsAfterClose if matches!(input, GeneralInput::Common(Input::Separate)) => {
                self.send(Header::linktest_req(SystemBytes(77)));
            }
            Flaw::ClosesTwice if matches!(input, GeneralInput::Common(Input::Separate)) => {
                self.also.push_back(Action::CloseTransport(CloseReason::Separated));
            }
            Flaw::EarlyTimeoutDoes if early => self.also.push_back(Action::Notify(Notice::Selected)),
            Flaw::AnswersRejectWithReject if received.is_some_and(|header| header.stype.0 == 7) => {
                self.send(Header::reject_req(received.unwrap().system, 7, RejectReason(1)));
            }
            Flaw::RejectsWithFreshSystemBytes if unknown => {
                self.send(Header::reject_req(SystemBytes(99), 77, RejectReason(1)));
            }
            Flaw::AnswersUnasked if unknown => self.send(Header::linktest_rsp(SystemBytes(5))),
            Flaw::ReplyLeavesTransactionOpen if reply.is_some() => self.sound = before,
            Flaw::EndsWhatIsNotOpen if unknown => {
                let ended = Notice::TransactionEnded { system: SystemBytes(4_000), end: TransactionEnd::T3 };
                self.also.push_back(Action::Notify(ended));
            }
            Flaw::TakesSystemBytesTwice => {
                if let Outcome::Begun { system: Some(system), .. } = outcome {
                    self.send(Header::linktest_req(system));
                }
            }
            Flaw::SelectedBeforeSelect if data && self.sound.state() == State::NotSelected => {
                let request = Header::select_req(SystemBytes(1)).encode_alone();
                self.sound.receive(now, &request).unwrap();
                while self.sound.poll_action().is_some() {}
            }
            Flaw::LooksAtTheClock
                if matches!(input, GeneralInput::Common(Input::Linktest)) && now.as_millis() > 2_000 =>
            {
                self.also.push_back(Action::Notify(Notice::Selected));
            }
            Flaw::DeliversUnselected if data && self.sound.state() == State::NotSelected => {
                let mut other = Connection::<4>::new(*self.sound.config());
                other.enable(now).unwrap();
                let _ = other.poll_action();
                other.handle(now, Event::TransportOpen).unwrap();
                other.receive(now, &Header::select_req(SystemBytes(1)).encode_alone()).unwrap();
                while other.poll_action().is_some() {}
                return Machine::tell(&mut other, now, input);
            }
            _ => {}
        }
        outcome
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.sound.poll_action().or_else(|| self.also.pop_front())
    }

    fn waiting_actions(&self) -> usize {
        let queued = if self.flaw == Flaw::QueuesMore { self.also.len() } else { 0 };
        Machine::waiting_actions(&self.sound) + queued
    }

    fn next_deadline(&self) -> Option<Instant> {
        match self.flaw {
            Flaw::DeadlineInThePast => Some(Instant::EPOCH),
            Flaw::TimerWithoutEnd if self.sound.clone().poll_action().is_none() => Some(self.told),
            Flaw::TimerTakesTwoTimeouts if self.swallowed => Some(self.told),
            Flaw::TrafficMovesT7 if self.holds_t7() => Some(self.told.saturating_add(self.sound.config().t7())),
            Flaw::NoTimerGuards if self.holds_t7() => None,
            _ => self.sound.next_deadline().or_else(|| (!self.also.is_empty()).then_some(self.told)),
        }
    }

    fn state(&self) -> State {
        self.sound.state()
    }

    fn is_enabled(&self) -> bool {
        self.sound.is_enabled()
    }

    fn is_body_open(&self) -> bool {
        self.sound.is_body_open()
    }

    fn body_left(&self) -> u32 {
        self.sound.body_left()
    }

    fn is_open(&self, system: SystemBytes) -> bool {
        self.sound.is_open(system)
    }

    fn open_transactions(&self) -> usize {
        self.sound.open_transactions()
    }

    fn running_timers(&self) -> usize {
        self.sound.running_timers()
    }

    fn sessions(&self) -> heapless::Vec<SessionId, 4> {
        Machine::sessions(&self.sound)
    }

    fn config(&self) -> &Config {
        self.sound.config()
    }
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// A machine, what watches it, and the time in milliseconds.
struct Life<M>(Watch<M>);

impl<M: Machine> Life<M> {
    fn tell(&mut self, millis: u64, input: Input<'_>) -> Result<(), Broken> {
        self.0.tell(at(millis), GeneralInput::Common(input)).map(|_| ())
    }

    fn receive(&mut self, millis: u64, header: Header) -> Result<(), Broken> {
        self.tell(millis, Input::Receive(&header.encode_alone()))
    }
}

/// A life in which there is something to see for every invariant.
fn life<M: Machine>(machine: M) -> Result<(), Broken> {
    let data =
        |system, function, w| Header::data(SystemBytes(system), StreamFunction::new(1, function), w, DEVICE.session());
    let mut life = Life(Watch::new(machine));
    life.tell(1_000, Input::Linktest)?;
    life.tell(1_000, Input::Enable)?;
    life.tell(1_001, Input::Handle(Event::TransportOpen))?;
    life.tell(1_002, Input::Handle(Event::Timeout))?;
    life.receive(1_003, data(9, 1, true))?;
    life.tell(1_004, Input::Written { octets: 14 })?;
    waiting_is_guarded(life.0.machine())?;
    // Unselected, with a linktest every second: T7 ends it all the same.
    let mut unselected = Life(life.0.clone());
    for second in 2..40 {
        unselected.0.fire(at(second * 1_000))?;
        if unselected.0.machine().state() == State::NotSelected {
            unselected.receive(second * 1_000, Header::linktest_req(SystemBytes(3)))?;
        }
    }
    life.receive(1_100, Header::select_req(SystemBytes(1)))?;
    life.tell(1_101, Input::Handle(Event::Timeout))?;
    life.receive(1_102, Header { stype: SType(77), ..Header::select_req(SystemBytes(8)) })?;
    life.receive(1_103, Header::reject_req(SystemBytes(8), 5, RejectReason(1)))?;
    let stream_function = StreamFunction::new(1, 1);
    life.tell(1_104, Input::BeginPrimary { device: DEVICE, stream_function, reply_expected: true, body_len: 0 })?;
    life.tell(1_104, Input::EndBody)?;
    life.tell(1_104, Input::Written { octets: 3 * 14 })?;
    life.tell(1_106, Input::Linktest)?;
    assert_eq!(life.0.machine().open_transactions(), 1);
    let system = (1..9).find(|system| life.0.machine().is_open(SystemBytes(*system))).unwrap();
    life.receive(1_108, data(system, 2, false))?;
    life.tell(1_110, Input::Separate)?;
    life.0.fire(at(90_000)).map(|_| ())
}

#[test]
fn a_sound_machine_breaks_nothing() {
    let sound = Connection::<4>::new(Config::equipment(DEVICE));
    life(sound.clone()).unwrap();
    life(Flawed::new(sound, Flaw::None)).unwrap();
}

#[test]
fn ends_of_which_one_is_selected_do_not_agree() {
    let sound = Connection::<4>::new(Config::equipment(DEVICE));
    ends_agree(&sound, &sound).unwrap();
    let mut connected = sound.clone();
    connected.enable(at(1)).unwrap();
    assert_eq!(connected.poll_action(), Some(Action::OpenTransport));
    connected.handle(at(1), Event::TransportOpen).unwrap();
    assert_eq!(ends_agree(&sound, &connected).unwrap_err().invariant, Invariant::EndsAgree);
}

#[test]
fn ends_that_are_selected_in_other_sessions_do_not_agree() {
    let sessions = [SessionId(1), SessionId(2)];
    let ends = sessions.map(|session| {
        let list = General::<2>::new(&sessions.map(SessionEntity::offered)).unwrap();
        let mut end = Connection::<4, General<2>>::general(Config::equipment(DEVICE), list);
        end.enable(at(1)).unwrap();
        while end.poll_action().is_some() {}
        end.handle(at(1), Event::TransportOpen).unwrap();
        end.receive(at(2), &Header::select_req(SystemBytes(1)).with_session(session).encode_alone()).unwrap();
        while end.poll_action().is_some() {}
        assert_eq!(end.state(), State::Selected);
        end
    });
    ends_agree(&ends[0], &ends[0]).unwrap();
    assert_eq!(ends_agree(&ends[0], &ends[1]).unwrap_err().invariant, Invariant::EndsAgree);
}

#[test]
fn an_end_is_selected_where_the_other_accepted_or_was_accepted() {
    let unselected = Connection::<4>::new(Config::host(DEVICE));
    let mut watch = Watch::new(Connection::<4>::new(Config::equipment(DEVICE)));
    for input in [Input::Enable, Input::Handle(Event::TransportOpen)] {
        watch.tell(at(1), GeneralInput::Common(input)).unwrap();
    }
    let request = Header::select_req(SystemBytes(1));
    watch.tell(at(2), GeneralInput::Common(Input::Receive(&request.encode_alone()))).unwrap();
    assert_eq!(watch.machine().state(), State::Selected);
    let says = |header: &Header| {
        let mut said = Said::NOTHING;
        said.note(header);
        said
    };
    let (asks, accepts) = (says(&request), says(&Header::select_rsp(SystemBytes(1))));
    let refuses = says(&Header::select_rsp(SystemBytes(1)).with_status(1));
    assert_eq!((watch.said(), refuses), (accepts, Said::NOTHING));
    let holds = |here, there| {
        let one_way = selected_means_accepted((watch.machine(), here), (&unselected, there));
        assert_eq!(one_way.is_ok(), selected_means_accepted((&unselected, there), (watch.machine(), here)).is_ok());
        one_way.map_err(|broken| assert_eq!(broken.invariant, Invariant::SelectedMeansAccepted)).is_ok()
    };
    assert!(holds(accepts, asks) && holds(asks, accepts));
    assert!(!holds(Said::NOTHING, Said::NOTHING) && !holds(asks, asks) && !holds(accepts, Said::NOTHING));
    // What was said on a link that has ended counts no more.
    for input in [Input::Handle(Event::TransportClosed), Input::Handle(Event::TransportOpen)] {
        watch.tell(at(90_000), GeneralInput::Common(input)).unwrap();
        let _ = watch.fire(at(90_000)).unwrap();
    }
    assert_eq!(watch.said(), Said::NOTHING);
}

#[test]
fn each_flaw_breaks_the_invariant_meant_for_it() {
    let flaws = [
        (Flaw::RefusalCounts, Invariant::RefusalChangesNothing),
        (Flaw::TooManyActions, Invariant::FewActions),
        (Flaw::QueuesMore, Invariant::FewActions),
        (Flaw::SendsAfterClose, Invariant::NothingAfterClose),
        (Flaw::ClosesTwice, Invariant::NothingAfterClose),
        (Flaw::DeadlineInThePast, Invariant::DeadlineIsTrue),
        (Flaw::EarlyTimeoutDoes, Invariant::EarlyTimeoutIsNothing),
        (Flaw::DeliversUnselected, Invariant::OnlySelectedDelivers),
        (Flaw::AnswersRejectWithReject, Invariant::RejectIsNotAnswered),
        (Flaw::RejectsWithFreshSystemBytes, Invariant::RejectIsNotAnswered),
        (Flaw::AnswersUnasked, Invariant::ResponsesAnswer),
        (Flaw::ReplyLeavesTransactionOpen, Invariant::TransactionsEndOnce),
        (Flaw::EndsWhatIsNotOpen, Invariant::TransactionsEndOnce),
        (Flaw::TakesSystemBytesTwice, Invariant::SystemBytesAreFree),
        (Flaw::SelectedBeforeSelect, Invariant::SelectedBySelect),
        (Flaw::TrafficMovesT7, Invariant::UnselectedEnds),
        (Flaw::TimerWithoutEnd, Invariant::TimersEnd),
        (Flaw::TimerTakesTwoTimeouts, Invariant::TimersEnd),
        (Flaw::NoTimerGuards, Invariant::WaitingIsGuarded),
        (Flaw::LooksAtTheClock, Invariant::TimeIsOnlyDeadlines),
    ];
    let mut wrong = Vec::new();
    for (flaw, invariant) in flaws {
        let machine = Flawed::new(Connection::<4>::new(Config::equipment(DEVICE)), flaw);
        match life(machine) {
            Err(broken) if broken.invariant == invariant => {}
            other => wrong.push((flaw, invariant, other.map_err(|broken| broken.to_string()))),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
