//! Long random lives of a connection: the pure form against the methods, and what is true of deadlines at every moment.

use crate::support::{DEVICE, active, passive};
use hsms_core::config::{Config, DeviceId, DeviceIds};
use hsms_core::connection::{
    Action, Class, CloseReason, Connection, Event, Input, Outcome, ReplyToken, State, Stream9, apply,
};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, RejectReason, SType, StreamFunction, SystemBytes};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Steps of one life, and lives. Every life is told apart by its seed, which a failure names.
const STEPS: u32 = 300;
const LIVES: u64 = 1_000;

/// Xorshift: the same numbers on every machine.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

/// How a connection that is not there comes to be.
#[derive(Clone, Copy)]
enum Way {
    Enable,
    Open,
    Wait,
}

impl Way {
    fn input(self) -> Input<'static> {
        match self {
            Way::Enable => Input::Enable,
            Way::Open => Input::Handle(Event::TransportOpen),
            Way::Wait => Input::Handle(Event::Timeout),
        }
    }
}

/// Situations that lives come into rarely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rare {
    /// As many frames as there is room for wait behind an open text.
    SixHeld,
    /// The same, with transactions whose T3 has to wait for the end of the text.
    SixHeldAndTransactions,
    /// Transactions have ended with their session, and nobody has been told.
    EndsToTell,
    /// The same, while the answer to Deselect.req waits behind an open text.
    EndsToTellBehindText,
    /// Input is read again after a pause that has moved a running timer.
    TimerMovedByPause,
    /// A transaction is given up while its reply arrives in pieces.
    ForgottenInPieces,
    /// The link ended because frames could not be held any longer.
    Stalled,
}

const ALL_RARE: [Rare; 7] = [
    Rare::SixHeld,
    Rare::SixHeldAndTransactions,
    Rare::EndsToTell,
    Rare::EndsToTellBehindText,
    Rare::TimerMovedByPause,
    Rare::ForgottenInPieces,
    Rare::Stalled,
];

/// How often each rare situation came up, over all lives of a run.
#[derive(Default)]
struct Met(BTreeMap<Rare, u64>);

impl Met {
    fn add(&mut self, rare: Rare, is: bool) {
        *self.0.entry(rare).or_default() += u64::from(is);
    }

    fn actions(&mut self, actions: &[Action]) {
        let closed = Action::CloseTransport(CloseReason::OutputStalled);
        self.add(Rare::Stalled, actions.contains(&closed));
    }

    fn assert_all(&self) {
        let never: Vec<Rare> =
            ALL_RARE.into_iter().filter(|rare| self.0.get(rare).copied().unwrap_or_default() == 0).collect();
        assert!(never.is_empty(), "never met: {never:?}; met: {:?}", self.0);
    }
}

/// Frames that wait behind the open text.
fn held(connection: &Connection<4>, now: Instant) -> usize {
    let mut probe = connection.clone();
    if probe.end_body(now).is_err() {
        return 0;
    }
    crate::drain(&mut probe).iter().filter(|action| matches!(action, Action::Send(_))).count()
}

/// What surrounds the connection: the octets that its peer sent and it has not taken, tokens of primaries that it
/// received, and the time.
struct Life {
    dice: Dice,
    now: u64,
    /// Whether the clock jumps back now and then.
    jumps: bool,
    sent: Vec<u8>,
    tokens: Vec<ReplyToken>,
    /// Whether the application is slow to end a text, and its peer tests the link all the while, on a busy link.
    jams: bool,
    /// The reply that has begun to arrive and has not ended.
    arriving: Option<SystemBytes>,
    /// The deadline that a pause of the input stopped.
    stopped: Option<Instant>,
}

impl Life {
    fn new(seed: u64, jumps: bool) -> Self {
        let dice = Dice::new(seed);
        let (sent, tokens) = (Vec::new(), Vec::new());
        Life { dice, now: 10_000, jumps, sent, tokens, jams: seed % 4 == 3, arriving: None, stopped: None }
    }

    fn config(&mut self) -> Config {
        let who = self.dice.pick(&[passive(), active(), passive().host(), active().equipment()]);
        let who = if self.dice.one_in(3) { who.strict() } else { who };
        let who = if self.dice.one_in(4) { who.on_command() } else { who };
        let who = if self.dice.one_in(4) { who.max_message(40) } else { who };
        let config = who.0.with_linktest_period(Duration::from_millis(self.dice.pick(&[0, 3_000, 30_000])));
        let config = config.unwrap();
        if self.dice.one_in(2) { config } else { config.with_linktest_threshold(2).unwrap_or(config) }
    }

    /// Time goes on, stands still, or jumps back.
    fn pass(&mut self, deadline: Option<Instant>) -> Instant {
        // A busy link: little time passes between one thing and the next.
        let hurry = self.jams && !self.dice.one_in(6);
        match (self.dice.below(12), deadline) {
            _ if hurry => self.now += self.dice.below(100),
            (0, _) if self.jumps => self.now = self.now.saturating_sub(self.dice.below(5_000)),
            (1..=3, Some(deadline)) => self.now = self.now.max(deadline.as_millis()),
            (4, _) if self.dice.one_in(3) => self.now += 200_000,
            (4, _) => self.now += self.dice.below(60_000),
            (5..=8, _) => self.now += self.dice.below(900),
            _ => {}
        }
        Instant::from_millis(self.now)
    }

    /// A frame of the peer's, more often than not one that fits.
    fn frame(&mut self, connection: &Connection<4>) {
        let next = connection.next_system_bytes().0;
        let back = u32::try_from(self.dice.below(6)).unwrap();
        let system = SystemBytes(next.wrapping_sub(back));
        let data = |stream, function, w, device| Header::data(system, StreamFunction::new(stream, function), w, device);
        let device = self.dice.pick(&[DEVICE.session(), DEVICE.session(), DEVICE.session(), DeviceId::MAX.session()]);
        let rare = self.dice.one_in(12);
        let selected = connection.state() == State::Selected;
        let jammed = self.jams && connection.is_body_open();
        let header = match self.dice.below(14) {
            0..=9 if jammed => Header::linktest_req(system),
            3..=9 if connection.open_transactions() > 0 && self.dice.one_in(3) => data(1, 2, false, DEVICE.session()),
            10 if jammed && self.dice.one_in(4) => Header::deselect_req(system),
            0..=4 if !selected => Header::select_req(system),
            5..=9 if !selected => Header::select_rsp(system).with_status(u8::from(rare)),
            0 if rare => Header::select_req(system),
            0 if self.dice.one_in(12) => Header::select_rsp(system),
            1 if rare => Header::deselect_req(system),
            1 if self.dice.one_in(12) => Header::separate_req(system),
            0..=1 => Header { stype: SType(77), ..Header::select_req(system) },
            2 => Header::linktest_req(system),
            3..=4 => Header::linktest_rsp(system),
            5 => Header::reject_req(system, 0, RejectReason(4)),
            6..=9 => data(1, 1, !rare, device),
            10..=12 => data(1, 2, false, device),
            _ => data(1, 0, false, device),
        };
        let text = if header.stype.0 == 0 { self.dice.pick(&[0, 0, 1, 9, 40]) } else { 0 };
        let prefix = header.encode_prefix(text).unwrap();
        self.sent.extend_from_slice(&prefix);
        self.sent.extend(std::iter::repeat_n(0x5A, text as usize));
        if self.dice.one_in(200) {
            self.sent.extend_from_slice(&[0, 0, 0, 3]);
        }
    }

    /// The next thing to tell. `octets` is where octets of the peer's are put.
    fn input<'i>(&mut self, connection: &Connection<4>, octets: &'i mut Vec<u8>) -> Input<'i> {
        let connected = connection.state() != State::NotConnected;
        if !connected {
            self.sent.clear();
        }
        match connection.state() {
            State::NotConnected if self.dice.one_in(2) => {
                return self.dice.pick(&[Way::Open, Way::Open, Way::Wait, Way::Enable]).input();
            }
            State::NotSelected if self.dice.one_in(2) && self.sent.is_empty() => {
                self.frame(connection);
                octets.append(&mut self.sent.clone());
                return Input::Receive(octets);
            }
            _ if connection.is_body_open() && self.dice.one_in(if self.jams { 40 } else { 3 }) => {
                return Input::EndBody;
            }
            State::Selected if self.dice.one_in(3) && self.arriving.is_some() => {
                return Input::Forget { system: self.arriving.unwrap() };
            }
            _ => {}
        }
        let jammed = self.jams && connection.is_body_open();
        match self.dice.below(30) {
            0..=8 => {
                if self.sent.is_empty() && connected {
                    self.frame(connection);
                }
                let all = self.sent.len() as u64;
                let part = if self.dice.one_in(3) { self.dice.below(all + 1) } else { all };
                octets.extend_from_slice(&self.sent[..usize::try_from(part).unwrap()]);
                Input::Receive(octets)
            }
            9..=11 => Input::Handle(Event::Timeout),
            12 if self.dice.one_in(4) => {
                Input::Handle(self.dice.pick(&[Event::TransportFailed, Event::TransportClosed, Event::TransportOpen]))
            }
            12..=15 => Input::Handle(Event::Timeout),
            16 => Input::Enable,
            17 if self.dice.one_in(3) => Input::Disable,
            17 if self.dice.one_in(8) => Input::Separate,
            17 => Input::Enable,
            18 => Input::Select,
            19 => Input::Linktest,
            20..=21 => Input::BeginPrimary {
                device: self.dice.pick(&[DEVICE, DEVICE, DEVICE, DeviceId::MAX]),
                stream_function: StreamFunction::new(1, self.dice.pick(&[1, 1, 1, 1, 2])),
                reply_expected: !self.dice.one_in(4),
                body_len: self.dice.pick(&[0, 10, 10, u32::MAX]),
            },
            22 | 23 if !self.tokens.is_empty() => {
                let token = self.dice.pick(&self.tokens);
                if self.dice.one_in(2) {
                    Input::BeginAbort { token }
                } else {
                    Input::BeginReply { token, body_len: self.dice.pick(&[0, 7, u32::MAX]) }
                }
            }
            22 | 23 => Input::SetNextSystemBytes(SystemBytes(self.dice.pick(&[1, 7, u32::MAX - 1]))),
            24..=25 if self.dice.one_in(12) => Input::AbortBody,
            24..=25 if jammed => Input::Linktest,
            24..=25 => Input::EndBody,
            26 => Input::Written { octets: self.dice.pick(&[0, 14, 14, 1, 24, 100]) },
            27 => {
                let back = u32::try_from(self.dice.below(6)).unwrap();
                Input::Forget { system: SystemBytes(connection.next_system_bytes().0.wrapping_sub(back)) }
            }
            28 => match self.dice.below(5) {
                0 => Input::PauseInput,
                1..=2 => Input::ResumeInput,
                3 => Input::SetDeviceIds(DeviceIds::one(DEVICE)),
                _ => Input::SetDeviceIds(DeviceIds::ANY),
            },
            _ => {
                let about = Header::data(
                    SystemBytes(5),
                    StreamFunction::new(self.dice.pick(&[3, 3, 9]), 1),
                    true,
                    DEVICE.session(),
                );
                let error =
                    self.dice.pick(&[Stream9::UnrecognizedStream, Stream9::UnrecognizedFunction, Stream9::IllegalData]);
                Input::ReportError { error, about }
            }
        }
    }

    /// What came of it for the surroundings.
    fn note(&mut self, outcome: &Outcome<'_>) {
        if let Outcome::Received { inbound: Some(inbound), .. } = outcome {
            let goes_on = inbound.class == Class::Reply && !inbound.last();
            self.arriving = goes_on.then_some(inbound.header().system);
        }
        if let Outcome::Received { taken, inbound } = outcome {
            self.sent.drain(..*taken);
            if let Some(token) = inbound.as_ref().and_then(hsms_core::connection::Inbound::reply_token) {
                self.tokens.push(token);
                if self.tokens.len() > 4 {
                    self.tokens.remove(0);
                }
            }
        }
    }
}

impl Life {
    /// Looks for rare situations behind an input, before anything is polled. `deadline` was the next one before it.
    fn look(
        &mut self,
        met: &mut Met,
        deadline: Option<Instant>,
        input: &Input<'_>,
        outcome: &Outcome<'_>,
        connection: &Connection<4>,
    ) {
        let now = Instant::from_millis(self.now);
        let six = held(connection, now) == 6;
        met.add(Rare::SixHeld, six);
        met.add(Rare::SixHeldAndTransactions, six && connection.open_transactions() > 0);
        let ends = connection.state() != State::Selected && connection.open_transactions() > 0;
        met.add(Rare::EndsToTell, ends);
        met.add(Rare::EndsToTellBehindText, ends && connection.is_body_open());

        let done = matches!(outcome, Outcome::Done);
        match input {
            Input::PauseInput if done => {
                // Once it is paused already, nothing more is stopped.
                let stopped =
                    deadline.filter(|deadline| *deadline > now && connection.next_deadline() != Some(*deadline));
                self.stopped = self.stopped.or(stopped);
            }
            Input::ResumeInput if done => {
                let moved = self.stopped.take().zip(connection.next_deadline()).is_some_and(|(was, is)| is > was);
                met.add(Rare::TimerMovedByPause, moved);
            }
            Input::Forget { system } if done => met.add(Rare::ForgottenInPieces, self.arriving.take() == Some(*system)),
            _ => {}
        }
        if connection.state() == State::NotConnected {
            (self.stopped, self.arriving) = (None, None);
        }
    }
}

/// What `apply` promises to do, written out: each input through its own method.
fn by_method<'i>(connection: &mut Connection<4>, now: Instant, input: Input<'i>) -> Outcome<'i> {
    use hsms_core::Error;
    fn done(result: Result<(), Error>) -> Outcome<'static> {
        match result {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::Refused(error),
        }
    }
    fn requested(result: Result<SystemBytes, Error>) -> Outcome<'static> {
        match result {
            Ok(system) => Outcome::Requested { system },
            Err(error) => Outcome::Refused(error),
        }
    }
    fn begun(result: Result<[u8; 14], Error>) -> Outcome<'static> {
        match result {
            Ok(prefix) => Outcome::Begun { system: None, prefix },
            Err(error) => Outcome::Refused(error),
        }
    }
    match input {
        Input::Handle(event) => done(connection.handle(now, event)),
        Input::Receive(octets) => match connection.receive(now, octets) {
            Ok((taken, inbound)) => Outcome::Received { taken, inbound },
            Err(error) => Outcome::Refused(error),
        },
        Input::Enable => done(connection.enable(now)),
        Input::Disable => done(connection.disable(now)),
        Input::Separate => done(connection.separate(now)),
        Input::Select => requested(connection.select(now)),
        Input::Linktest => requested(connection.linktest(now)),
        Input::BeginPrimary { device, stream_function, reply_expected, body_len } => {
            match connection.begin_primary(now, device, stream_function, reply_expected, body_len) {
                Ok((system, prefix)) => Outcome::Begun { system: Some(system), prefix },
                Err(error) => Outcome::Refused(error),
            }
        }
        Input::BeginReply { token, body_len } => begun(connection.begin_reply(now, &token, body_len)),
        Input::BeginAbort { token } => begun(connection.begin_abort(now, &token)),
        Input::EndBody => done(connection.end_body(now)),
        Input::AbortBody => done(connection.abort_body(now)),
        Input::Written { octets } => done(connection.written(now, octets)),
        Input::Forget { system } => done(connection.forget(system)),
        Input::PauseInput => done(connection.pause_input(now)),
        Input::ResumeInput => done(connection.resume_input(now)),
        Input::SetDeviceIds(device_ids) => {
            connection.set_device_ids(device_ids);
            Outcome::Done
        }
        Input::SetNextSystemBytes(system) => {
            connection.set_next_system_bytes(system);
            Outcome::Done
        }
        Input::ReportError { error, about } => done(connection.report_error(now, error, &about)),
    }
}

/// The first word of what is printed for a value: the name of its variant.
fn variant(value: &impl std::fmt::Debug) -> String {
    let printed = format!("{value:?}");
    printed.split([' ', '(']).next().unwrap().to_owned()
}

#[test]
fn the_pure_form_does_what_the_methods_do() {
    let (mut seen, mut met) = (BTreeSet::new(), Met::default());
    for seed in 0..LIVES {
        let mut life = Life::new(seed, true);
        let config = life.config();
        let (mut pure, mut typed) = (Connection::<4>::new(config), Connection::<4>::new(config));
        for step in 0..STEPS {
            let now = life.pass(pure.next_deadline());
            let mut octets = Vec::new();
            let input = life.input(&pure, &mut octets);
            let deadline = pure.next_deadline();
            let outcome = apply(&mut pure, now, input.clone());
            assert_eq!(outcome, by_method(&mut typed, now, input.clone()), "seed {seed} step {step}: {input:?}");
            assert_eq!(pure, typed, "seed {seed} step {step}: {input:?}");
            seen.insert(format!("{} {}", variant(&input), variant(&outcome)));
            life.note(&outcome);
            life.look(&mut met, deadline, &input, &outcome, &pure);
            // Now and then the adapter forgets to poll.
            while !life.dice.one_in(6) {
                let action = pure.poll_action();
                assert_eq!(action, typed.poll_action(), "seed {seed} step {step}");
                let Some(action) = action else { break };
                met.actions(&[action]);
            }
        }
    }
    // Every input was taken and was refused, as far as it can be.
    let expected = [
        "AbortBody Done",
        "AbortBody Refused",
        "BeginAbort Begun",
        "BeginAbort Refused",
        "BeginPrimary Begun",
        "BeginPrimary Refused",
        "BeginReply Begun",
        "BeginReply Refused",
        "Disable Done",
        "Disable Refused",
        "Enable Done",
        "Enable Refused",
        "EndBody Done",
        "EndBody Refused",
        "Forget Done",
        "Forget Refused",
        "Handle Done",
        "Handle Refused",
        "Linktest Refused",
        "Linktest Requested",
        "PauseInput Done",
        "PauseInput Refused",
        "Receive Received",
        "Receive Refused",
        "ReportError Done",
        "ReportError Refused",
        "ResumeInput Done",
        "ResumeInput Refused",
        "Select Refused",
        "Select Requested",
        "Separate Done",
        "Separate Refused",
        "SetDeviceIds Done",
        "SetNextSystemBytes Done",
        "Written Done",
        "Written Refused",
    ];
    assert!(seen.iter().eq(expected), "{seen:#?}");
    met.assert_all();
}

/// Polls until nothing comes, telling what was sent as written.
fn drain(connection: &mut Connection<4>, now: Instant) -> Vec<Action> {
    let waiting = connection.clone().poll_action().is_some();
    let at_once = connection.next_deadline().is_some_and(|deadline| deadline <= now);
    assert!(!waiting || at_once, "an action waits, and the deadline is later");
    let actions = crate::drain(connection);
    for action in &actions {
        if let Action::Send(frame) = action {
            connection.written(now, frame.len() as u64).expect("it was polled");
        }
    }
    actions
}

#[test]
fn deadlines_never_lie() {
    let (mut fired, mut most, mut met) = (0, 0, Met::default());
    for seed in 0..LIVES {
        let mut life = Life::new(seed ^ 0x5555_0000, false);
        let mut connection = Connection::<4>::new(life.config());
        for step in 0..STEPS {
            let context = format!("seed {seed} step {step}");
            if connection.open_transactions() > 1 && !life.jams && life.dice.one_in(4) {
                // An adapter that slept.
                life.now += 200_000;
            }
            let now = life.pass(connection.next_deadline());
            let mut octets = Vec::new();
            let input = life.input(&connection, &mut octets);
            let deadline = connection.next_deadline();
            let outcome = apply(&mut connection, now, input.clone());
            life.note(&outcome);
            life.look(&mut met, deadline, &input, &outcome, &connection);
            met.actions(&drain(&mut connection, now));
            // The transport takes all there is, so that T3 and T6 start.
            let writes = |connection: &mut Connection<4>| {
                connection.state() != State::NotConnected && connection.written(now, 1).is_ok()
            };
            assert!((0..10_000).any(|_| !writes(&mut connection)), "{context}: more was written than was made");

            // Never before now; and what is due is due no longer after as many Timeouts as there are timers:
            // T3 of each transaction, T6, T8, and the one of the phase (T5, T7 or the linktest period).
            let timers = connection.open_transactions() + 3;
            connection.handle(now, Event::Timeout).expect("drained");
            let mut calls = usize::from(!drain(&mut connection, now).is_empty());
            while let Some(deadline) = connection.next_deadline() {
                assert!(deadline >= now, "{context}: the deadline is in the past");
                if deadline > now {
                    break;
                }
                connection.handle(now, Event::Timeout).expect("drained");
                drain(&mut connection, now);
                calls += 1;
                assert!(calls <= timers, "{context}: {calls} Timeouts, and {timers} timers at most");
            }
            most = most.max(calls);

            let Some(deadline) = connection.next_deadline() else { continue };
            // Nothing happens before the deadline, whoever calls, and something does at it.
            let mut early = connection.clone();
            let before = Instant::from_millis(deadline.as_millis() - 1);
            early.handle(before, Event::Timeout).expect("drained");
            assert_eq!((early.poll_action(), early.state()), (None, connection.state()), "{context}");
            assert_eq!(early.next_deadline(), Some(deadline), "{context}");
            let mut due = connection.clone();
            due.handle(deadline, Event::Timeout).expect("drained");
            let told = drain(&mut due, deadline);
            assert!(!told.is_empty(), "{context}: a timer fired, and nothing came of it");
            fired += 1;
        }
    }
    // The lives were worth living.
    assert!(fired > 10_000 && most >= 3, "{fired} deadlines, {most} due at once");
    met.assert_all();
}
