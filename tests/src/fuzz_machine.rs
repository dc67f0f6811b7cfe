//! Harnesses for a fuzzer of the machine: octets in, and a panic where a promise does not hold.

use crate::generate::encode;
use crate::invariants::{Broken, Watch, closed, ends_agree, selected_means_accepted, waiting_is_guarded};
use crate::machine::Machine;
use arbitrary::Unstructured;
use hsms_core::config::{Config, ConnectMode, DeviceId, DeviceIds, Entity, Profile};
use hsms_core::connection::{
    Action, Admission, CloseReason, Connection, ControlFrame, Event, General, GeneralInput, Inbound, Input, Notice,
    Outcome, ReplyToken, SessionEntity, State,
};
use hsms_core::generate::{GeneralScript, OwnedInput, OwnedMessage, Script, Step};
use hsms_core::time::Instant;
use hsms_core::wire::{SType, SelectStatus, SessionId, StreamFunction, SystemBytes};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// What came of a sequence of inputs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Operated {
    /// Inputs that were taken.
    pub taken: usize,
    /// Inputs that were refused.
    pub refused: usize,
    /// How often SELECTED was entered.
    pub selected: usize,
    /// Why connections ended.
    pub closed: Vec<CloseReason>,
}

/// Harness `operations`: how much of the octets is a script, then a [`Script`] and, mixed into it, any inputs whatever of HSMS-SS. The
/// machine keeps its promises at every step, and timers bring it to rest.
pub fn operations(data: &[u8]) -> Operated {
    let (share, script, wild) = parts(data);
    let script: Script = Unstructured::new(script).arbitrary().expect("a script of any octets");
    operate(script.connection(), &script.steps, share, wild)
}

/// Harness `operations_general`: the same for HSMS-GS.
pub fn operations_general(data: &[u8]) -> Operated {
    let (share, script, wild) = parts(data);
    let script: GeneralScript = Unstructured::new(script).arbitrary().expect("a script of any octets");
    operate(script.connection(), &script.steps, share, wild)
}

/// The first octet modulo 9 says how many eighths of the others are the script's.
fn parts(data: &[u8]) -> (usize, &[u8], &[u8]) {
    let Some((share, rest)) = data.split_first() else { return (8, data, data) };
    let share = usize::from(share % 9);
    let (script, wild) = rest.split_at(rest.len() * share / 8);
    (share, script, wild)
}

fn operate<M: Machine>(machine: M, steps: &[Step], share: usize, wild: &[u8]) -> Operated {
    let mut hand = Hand {
        watch: Watch::new(machine),
        now: Instant::EPOCH,
        unwritten: 0,
        tokens: Vec::new(),
        done: Operated::default(),
    };
    let mut wild = Unstructured::new(wild);
    for step in steps {
        hand.now = hand.now.max(step.now);
        let refused = hand.done.refused;
        hand.tell(&step.input);
        assert!(share < 8 || hand.done.refused == refused, "a step of a script was refused: {step:?}");
        if !wild.is_empty() && wild.ratio(1, 3).unwrap_or(false) {
            hand.any(&mut wild);
        }
    }
    while !wild.is_empty() {
        hand.any(&mut wild);
    }
    let done = hand.done.clone();
    hand.rest();
    done
}

/// Tells a machine whatever it is given, as nobody would who knows it.
struct Hand<M> {
    watch: Watch<M>,
    now: Instant,
    unwritten: u64,
    tokens: Vec<ReplyToken>,
    done: Operated,
}

impl<M: Machine> Hand<M> {
    fn any(&mut self, wild: &mut Unstructured<'_>) {
        let numbers = "numbers of any octets";
        let input = match wild.int_in_range(0..=9_u8).expect(numbers) {
            0 | 1 => {
                let message: OwnedMessage = wild.arbitrary().expect(numbers);
                Input::Receive(&encode(&message.header, &message.body)).into()
            }
            2 => Input::Written { octets: wild.int_in_range(0..=self.unwritten.saturating_add(2)).expect(numbers) }
                .into(),
            3 if !self.tokens.is_empty() => {
                let token = *wild.choose(&self.tokens).expect(numbers);
                let body_len = wild.int_in_range(0..=20).expect(numbers);
                Input::BeginReply { token, body_len }.into()
            }
            4 => {
                let next = self.watch.machine().next_deadline().unwrap_or(self.now);
                self.now = self.now.max(next);
                Input::Handle(Event::Timeout).into()
            }
            5 => {
                let millis = wild.int_in_range(0..=20_000).expect(numbers);
                // Deadlines may pass unnoticed.
                self.now = self.now.saturating_add(Duration::from_millis(millis));
                OwnedInput::from(wild.arbitrary::<GeneralInput<'_>>().expect(numbers))
            }
            _ => wild.arbitrary().expect(numbers),
        };
        self.tell(&input);
    }

    fn tell(&mut self, input: &OwnedInput) {
        let before = self.watch.machine().state();
        let (outcome, actions) = keeps(self.watch.tell(self.now, input.as_input()));
        match &outcome {
            Outcome::Refused(_) => {
                self.done.refused += 1;
                return;
            }
            Outcome::Begun { prefix, .. } => {
                let length = u32::from_be_bytes(*prefix.first_chunk().expect("fourteen octets"));
                self.unwritten += u64::from(length) + 4;
            }
            Outcome::Received { inbound, .. } => self.tokens.extend(inbound.and_then(|inbound| inbound.reply_token())),
            Outcome::Done | Outcome::Requested { .. } => {}
        }
        self.done.taken += 1;
        if let GeneralInput::Common(Input::Written { octets }) = input.as_input() {
            self.unwritten = self.unwritten.saturating_sub(octets);
        }
        self.took(before, &actions);
    }

    fn took(&mut self, before: State, actions: &[Action]) {
        for action in actions {
            if let Action::Send(frame) = action {
                self.unwritten += frame.len() as u64;
            }
        }
        if let Some(reason) = closed(actions) {
            self.unwritten = 0;
            self.done.closed.push(reason);
        }
        if before != State::Selected && self.watch.machine().state() == State::Selected {
            self.done.selected += 1;
        }
    }

    /// All is written, read and ended; then what waits has a timer, and timers come to an end.
    fn rest(&mut self) {
        for input in [Input::EndBody, Input::ResumeInput, Input::Written { octets: self.unwritten }] {
            self.tell(&input.into());
        }
        let unwritten = Input::Written { octets: self.unwritten };
        self.tell(&unwritten.into());
        keeps(waiting_is_guarded(self.watch.machine()));
        for _ in 0..64 {
            let Some(deadline) = self.watch.machine().next_deadline() else { return };
            self.now = self.now.max(deadline);
            let before = self.watch.machine().state();
            let actions = keeps(self.watch.fire(self.now));
            self.took(before, &actions);
            if self.watch.machine().state() != State::NotConnected {
                let written = Input::Written { octets: self.unwritten };
                self.tell(&written.into());
            }
        }
        panic!("timers without end: {:?}", self.watch.machine());
    }
}

fn keeps<T>(kept: Result<T, Broken>) -> T {
    kept.unwrap_or_else(|broken| panic!("{broken}"))
}

/// What came of two machines face to face.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faced {
    /// How often both ends were found SELECTED with nothing under way.
    pub both_selected: usize,
    /// Primaries with W that were sent, at either end.
    pub asked: usize,
    /// Those that were answered.
    pub answered: usize,
    /// Those that ended otherwise.
    pub ended: usize,
    /// Transports that ended.
    pub closed: usize,
    /// Sessions whose Select.req or Deselect.req was refused.
    pub refused: usize,
}

/// Harness `face_to_face`: two machines with a link between them. The first octet says which: bits 0 and 1 make either end
/// strict, bit 2 swaps host and equipment, bit 3 makes it HSMS-GS. The others are what happens, each in its upper three bits, with a number in its
/// lower five: octets arrive at the passive or the active end, a command at either, time passes to the next deadline, the link is cut, everything arrives.
///
/// Both keep their promises; each request ends in exactly one way; once nothing is under way both agree; and at the end
/// everything comes to rest.
pub fn face_to_face(data: &[u8]) -> Faced {
    let (setup, script) = data.split_first().unwrap_or((&0, &[]));
    let configs = [ConnectMode::Active, ConnectMode::Passive].map(|mode| {
        let first = mode == ConnectMode::Active;
        let host = first != (setup & 4 != 0);
        let strict = setup & if first { 1 } else { 2 } != 0;
        let entity = if host { Entity::Host } else { Entity::Equipment };
        let config = Config::new(mode, entity, DeviceIds::one(DEVICE)).with_max_message(200).expect("in range");
        config.with_profile(if strict { Profile::Strict } else { Profile::Lenient }).expect("the defaults are allowed")
    });
    if setup & 8 == 0 {
        Table::new(configs.map(Connection::<3>::new)).play(script)
    } else {
        let lists = [[true, false], [false, true]].map(|[wanted, offered]| {
            let entity = |session| SessionEntity {
                session,
                wanted: wanted && session == SESSIONS[0],
                offered: offered || session == SESSIONS[1],
                admission: if session == SESSIONS[1] { Admission::Ask } else { Admission::Always },
            };
            General::<2>::new(&SESSIONS.map(entity)).expect("two different ids")
        });
        let [active, passive] = configs;
        let [a, b] = lists;
        Table::new([Connection::<3, _>::general(active, a), Connection::general(passive, b)]).play(script)
    }
}

const DEVICE: DeviceId = DeviceId::new(1).unwrap();
const SESSIONS: [SessionId; 2] = [SessionId(1), SessionId(2)];

/// One end, and the octets on their way to it.
struct Side<M> {
    watch: Watch<M>,
    arriving: VecDeque<u8>,
    /// The other end has closed behind these octets.
    closing: bool,
    /// It asked for the transport and has not got it.
    opening: bool,
    connected: bool,
    tokens: Vec<ReplyToken>,
    asked_for: Vec<SessionId>,
    /// Primaries that wait for their end.
    open: BTreeSet<SystemBytes>,
    /// Control requests that were sent.
    requests: BTreeSet<SystemBytes>,
    /// Octets of the text that is open.
    text: usize,
}

struct Table<M> {
    sides: [Side<M>; 2],
    now: Instant,
    faced: Faced,
}

impl<M: Machine> Table<M> {
    fn new(machines: [M; 2]) -> Self {
        let sides = machines.map(|machine| Side {
            watch: Watch::new(machine),
            arriving: VecDeque::new(),
            closing: false,
            opening: false,
            connected: false,
            tokens: Vec::new(),
            asked_for: Vec::new(),
            open: BTreeSet::new(),
            requests: BTreeSet::new(),
            text: 0,
        });
        Table { sides, now: Instant::from_millis(1), faced: Faced::default() }
    }

    fn play(mut self, script: &[u8]) -> Faced {
        for end in [1, 0] {
            self.tell(end, Input::Enable.into());
        }
        for octet in script {
            let number = octet % 32;
            match octet / 32 {
                0 => self.deliver(1, usize::from(number) + 1),
                1 => self.deliver(0, usize::from(number) + 1),
                2 => self.command(0, number),
                3 => self.command(1, number),
                4 => self.time(),
                5 => self.settle(),
                6 if number == 0 => self.cut(),
                6 => self.answer(usize::from(number % 2)),
                _ => {
                    self.settle();
                    self.answer(usize::from(number % 2));
                    self.settle();
                }
            }
            self.look();
        }
        self.settle();
        // Both give up: what was open ends with the link, and nothing is left to wait for.
        for end in [0, 1] {
            self.tell(end, Input::Disable.into());
        }
        self.settle();
        for end in [0, 1] {
            let side = &self.sides[end];
            assert_eq!(side.watch.machine().state(), State::NotConnected);
            assert!(side.open.is_empty(), "requests without an end: {:?}", side.open);
            assert_eq!(side.watch.machine().next_deadline(), None);
        }
        assert_eq!(self.faced.asked, self.faced.answered + self.faced.ended);
        self.faced
    }

    fn tell(&mut self, end: usize, input: OwnedInput) {
        let (outcome, actions) = keeps(self.sides[end].watch.tell(self.now, input.as_input()));
        match outcome {
            Outcome::Refused(_) => return,
            Outcome::Begun { system, prefix } => {
                let length = u32::from_be_bytes(*prefix.first_chunk().expect("fourteen octets"));
                self.sides[end].text = length as usize - 10;
                if let Some(system) = system.filter(|_| prefix[6] & 0x80 != 0) {
                    assert!(self.sides[end].open.insert(system), "{system} is open already");
                    self.faced.asked += 1;
                }
                self.send(end, &prefix);
            }
            Outcome::Received { inbound: Some(inbound), .. } => self.received(end, &inbound),
            Outcome::Received { .. } | Outcome::Done | Outcome::Requested { .. } => {}
        }
        self.carry_out(end, &actions);
    }

    fn received(&mut self, end: usize, inbound: &Inbound<'_>) {
        let side = &mut self.sides[end];
        if inbound.last() {
            side.tokens.extend(inbound.reply_token());
        }
        if inbound.is_reply() && inbound.last() {
            assert!(side.open.remove(&inbound.header().system), "answered twice, or never asked");
            self.faced.answered += 1;
        }
    }

    fn carry_out(&mut self, end: usize, actions: &[Action]) {
        for action in actions {
            match action {
                Action::OpenTransport => self.sides[end].opening = true,
                Action::Send(frame) => {
                    if let ControlFrame::Control(header) = frame
                        && matches!(header.stype, SType::SELECT_REQ | SType::DESELECT_REQ | SType::LINKTEST_REQ)
                    {
                        self.sides[end].requests.insert(header.system);
                    }
                    self.send(end, &frame.encode());
                }
                Action::CloseTransport(_) => self.close(end),
                Action::Notify(Notice::TransactionEnded { system, .. }) => {
                    // A linktest may end so as well.
                    if self.sides[end].open.remove(system) {
                        self.faced.ended += 1;
                    }
                }
                Action::Notify(Notice::SelectAsked { session }) => self.sides[end].asked_for.push(*session),
                Action::Notify(Notice::SessionRefused { .. }) => self.faced.refused += 1,
                Action::Notify(_) => {}
            }
        }
        // The transport takes all of it at once.
        self.dial();
    }

    fn send(&mut self, end: usize, octets: &[u8]) {
        if self.sides[end].connected {
            self.sides[1 - end].arriving.extend(octets);
            let written = Input::Written { octets: octets.len() as u64 };
            // Refused where the octets are a farewell: the machine has forgotten them.
            let told = self.sides[end].watch.tell(self.now, GeneralInput::Common(written));
            keeps(told);
        }
    }

    fn dial(&mut self) {
        if self.sides.iter().all(|side| side.opening && !side.connected) {
            for side in &mut self.sides {
                (side.opening, side.connected, side.closing) = (false, true, false);
                side.arriving.clear();
            }
            for end in [1, 0] {
                self.tell(end, Input::Handle(Event::TransportOpen).into());
            }
        }
    }

    /// One end closes: the other reads what is under way, then the end.
    fn close(&mut self, end: usize) {
        self.faced.closed += 1;
        let side = &mut self.sides[end];
        (side.opening, side.connected) = (false, false);
        side.arriving.clear();
        side.tokens.clear();
        side.asked_for.clear();
        side.requests.clear();
        side.text = 0;
        self.sides[1 - end].closing = self.sides[1 - end].connected;
    }

    fn deliver(&mut self, end: usize, most: usize) {
        let side = &mut self.sides[end];
        if !side.connected {
            return;
        }
        if side.arriving.is_empty() {
            if side.closing {
                side.closing = false;
                self.tell(end, Input::Handle(Event::TransportClosed).into());
            }
            return;
        }
        let chunk: Vec<u8> = side.arriving.drain(..most.min(side.arriving.len())).collect();
        let mut rest = &chunk[..];
        while !rest.is_empty() && self.sides[end].connected {
            let mut probe = self.sides[end].watch.machine().clone();
            let taken = match probe.tell(self.now, GeneralInput::Common(Input::Receive(rest))) {
                Outcome::Received { taken, .. } => taken,
                _ => {
                    // Paused: it stays where it is.
                    let side = &mut self.sides[end];
                    rest.iter().rev().for_each(|octet| side.arriving.push_front(*octet));
                    return;
                }
            };
            self.tell(end, Input::Receive(&rest[..taken]).into());
            rest = &rest[taken..];
        }
    }

    fn command(&mut self, end: usize, number: u8) {
        let stream_function = StreamFunction::new(1 + number % 3, 1 + 2 * (number % 4));
        let session = SESSIONS[usize::from(number % 2)];
        let body_len = u32::from(number % 4) * 7;
        match number {
            0..=11 => {
                let reply_expected = number != 11;
                let input = if M::GENERAL {
                    GeneralInput::BeginPrimaryIn { session, stream_function, reply_expected, body_len }
                } else {
                    GeneralInput::Common(Input::BeginPrimary {
                        device: DEVICE,
                        stream_function,
                        reply_expected,
                        body_len,
                    })
                };
                self.tell(end, input.into());
                if number % 4 != 3 {
                    self.end_text(end);
                }
            }
            12 | 13 => self.end_text(end),
            14 => self.tell(end, Input::Linktest.into()),
            15 => self.tell(end, Input::Separate.into()),
            16 => self.tell(end, Input::Disable.into()),
            18 if M::GENERAL => self.tell(end, GeneralInput::SetBusy { session: SESSIONS[1], busy: false }.into()),
            17 | 18 => self.tell(end, Input::Enable.into()),
            19 => self.tell(end, Input::PauseInput.into()),
            21 if M::GENERAL => self.tell(end, GeneralInput::SeparateSession(SESSIONS[1]).into()),
            20 | 21 => self.tell(end, Input::ResumeInput.into()),
            22 => {
                if let Some(system) = self.sides[end].open.first().copied() {
                    let (outcome, _) =
                        keeps(self.sides[end].watch.tell(self.now, GeneralInput::Common(Input::Forget { system })));
                    assert_eq!(outcome, Outcome::Done);
                    self.sides[end].open.remove(&system);
                    self.faced.ended += 1;
                }
            }
            23 => self.tell(end, Input::AbortBody.into()),
            24 | 25 => self.tell(end, GeneralInput::SelectSession(session).into()),
            26 | 27 => self.tell(end, GeneralInput::DeselectSession(session).into()),
            28 => self.tell(end, GeneralInput::SeparateSession(SESSIONS[0]).into()),
            29 => self.tell(end, GeneralInput::SetBusy { session: SESSIONS[1], busy: true }.into()),
            _ => {
                let status = SelectStatus(if number == 30 { 0 } else { 5 });
                if let Some(session) = self.sides[end].asked_for.pop() {
                    self.tell(end, GeneralInput::AnswerSelect { session, status }.into());
                }
            }
        }
    }

    fn end_text(&mut self, end: usize) {
        if self.sides[end].watch.machine().is_body_open() {
            let text = vec![0x5A; self.sides[end].text];
            self.send(end, &text);
            self.tell(end, Input::EndBody.into());
        }
    }

    /// The application replies to the oldest primary.
    fn answer(&mut self, end: usize) {
        if self.sides[end].tokens.is_empty() || self.sides[end].watch.machine().is_body_open() {
            return;
        }
        let token = self.sides[end].tokens.remove(0);
        self.tell(end, Input::BeginReply { token, body_len: 9 }.into());
        self.end_text(end);
    }

    /// To the next deadline of either end.
    fn time(&mut self) {
        let next = self.sides.iter().filter_map(|side| side.watch.machine().next_deadline()).min();
        self.now = self.now.max(next.unwrap_or(self.now));
        for end in [0, 1] {
            let actions = keeps(self.sides[end].watch.fire(self.now));
            self.carry_out(end, &actions);
        }
    }

    /// The network ends the link; what was under way is lost.
    fn cut(&mut self) {
        for end in [0, 1] {
            self.sides[end].arriving.clear();
            if self.sides[end].connected {
                self.sides[end].closing = false;
                self.tell(end, Input::Handle(Event::TransportClosed).into());
            }
        }
    }

    /// Texts end, and all octets arrive, until none is under way. Then both ends agree.
    fn settle(&mut self) {
        for end in [0, 1] {
            self.tell(end, Input::ResumeInput.into());
            self.end_text(end);
        }
        let mut rounds = 0;
        while self.sides.iter().any(|side| side.connected && (!side.arriving.is_empty() || side.closing)) {
            rounds += 1;
            assert!(rounds < 1_000, "an exchange without end");
            for end in [1, 0] {
                self.deliver(end, usize::MAX);
            }
        }
        if self.look() && self.sides[0].watch.machine().state() == State::Selected {
            self.faced.both_selected += 1;
        }
        for side in &self.sides {
            keeps(waiting_is_guarded(side.watch.machine()));
        }
    }

    /// What has to hold of both ends at any moment, and what once nothing is under way. Whether that is so.
    fn look(&self) -> bool {
        let [a, b] = &self.sides;
        if !a.connected || !b.connected {
            return false;
        }
        let both = [a, b].map(|side| (side.watch.machine(), side.watch.said()));
        keeps(selected_means_accepted(both[0], both[1]));
        let quiet = |side: &Side<M>| {
            let machine = side.watch.machine();
            let asks = side.requests.iter().any(|system| machine.is_open(*system));
            side.arriving.is_empty() && !side.closing && !machine.is_body_open() && !asks && side.asked_for.is_empty()
        };
        let drained = quiet(a) && quiet(b);
        if drained {
            keeps(ends_agree(both[0].0, both[1].0));
        }
        drained
    }
}
