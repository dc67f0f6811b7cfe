//! Two machines back to back with random commands, cuts and time: what is true of every life.

use super::harness::*;
use crate::support::{T5, Who, active, passive};
use hsms_core::Error;
use hsms_core::connection::{
    Action, Admission, Class, Event, General, Inbound, Notice, ReplyToken, SessionEntity, State,
};
use hsms_core::time::Instant;
use hsms_core::wire::{SType, SelectStatus, StreamFunction, SystemBytes};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const LIVES: u64 = 1_500;
const STEPS: u32 = 250;
const SESSIONS: [u16; 4] = [A, B, C, 0];

/// Xorshift: the same numbers on every machine.
struct Dice(u64);

impl Dice {
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

/// One machine and what its surroundings know of it.
struct End {
    machine: Machine,
    /// Octets on their way to the other end.
    wire: VecDeque<u8>,
    /// Octets of the wire that the transport was not yet said to have taken.
    unwritten: u64,
    /// Octets of the text that is open.
    text: Option<u32>,
    tokens: Vec<ReplyToken>,
    /// Sessions whose Select.req waits for the application.
    asked: Vec<u16>,
    /// Primaries with W that have not ended.
    open: BTreeSet<u32>,
    /// The machine asked for a transport.
    opening: bool,
    connected: bool,
    /// The last piece received was the first of a Reject.req.
    rejected: bool,
}

struct Life {
    seed: u64,
    dice: Dice,
    now: u64,
    ends: [End; 2],
    /// What happened, so that a test that never meets something fails.
    met: BTreeMap<&'static str, u64>,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..4 {
            dice.below(2);
        }
        let ends = [active(), passive()].map(|who| {
            let who = if dice.one_in(3) { who.strict() } else { who };
            let who = if dice.one_in(3) { who.linktest(3_000, 1) } else { who };
            End::new(who, &mut dice)
        });
        Life { seed, dice, now: 1_000, ends, met: BTreeMap::new() }
    }

    fn now(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    fn meet(&mut self, what: &'static str) {
        *self.met.entry(what).or_default() += 1;
    }

    /// Carries out all actions of this end, and holds it to what is true at every moment.
    fn drain(&mut self, at: usize) {
        let now = self.now();
        let seed = self.seed;
        let mut closed = false;
        for _ in 0..100 {
            let end = &mut self.ends[at];
            let due = end.machine.next_deadline();
            let Some(action) = end.machine.poll_action() else {
                let mut probe = end.machine.clone();
                probe.handle(now, Event::Timeout).expect("drained");
                match due {
                    Some(due) if due <= now => assert_ne!(probe, end.machine, "seed {seed}: due, and nothing happens"),
                    _ => assert_eq!(probe, end.machine, "seed {seed}: not due, and something happens"),
                }
                end.rejected = false;
                return;
            };
            assert_eq!(due, Some(now), "seed {seed}: {action:?} could be polled");
            match action {
                Action::Send(frame) => {
                    assert!(!closed && end.connected, "seed {seed}: sent after the close: {frame:?}");
                    assert_eq!(end.text, None, "seed {seed}: sent into a text: {frame:?}");
                    assert!(!end.rejected, "seed {seed}: {frame:?} in answer to a Reject.req");
                    let octets = frame.encode();
                    end.unwritten += octets.len() as u64;
                    end.wire.extend(octets.iter());
                }
                Action::CloseTransport(reason) => {
                    assert!(end.connected && !closed, "seed {seed}");
                    closed = true;
                    end.connected = false;
                    end.text = None;
                    end.unwritten = 0;
                    end.asked.clear();
                    self.meet(match reason {
                        hsms_core::connection::CloseReason::T6(_) => "T6",
                        hsms_core::connection::CloseReason::T7 => "T7",
                        hsms_core::connection::CloseReason::T8 { .. } => "T8",
                        hsms_core::connection::CloseReason::OutputStalled => "stalled",
                        hsms_core::connection::CloseReason::Separated => "separated",
                        hsms_core::connection::CloseReason::Disabled => "disabled",
                        hsms_core::connection::CloseReason::BodyAborted => "aborted",
                        hsms_core::connection::CloseReason::TransportClosed => "transport",
                        other => panic!("seed {seed}: nobody breaks the protocol: {other:?}"),
                    });
                }
                Action::OpenTransport => end.opening = true,
                Action::Notify(notice) => self.note(at, notice),
            }
        }
        panic!("seed {seed}: actions without end");
    }

    fn note(&mut self, at: usize, notice: Notice) {
        let seed = self.seed;
        let end = &mut self.ends[at];
        match notice {
            Notice::TransactionEnded { system, .. } => {
                // Linktests of the machine and of the application are told of so, too.
                let ours = end.open.remove(&system.0);
                self.meet(if ours { "transaction ended" } else { "linktest ended" });
            }
            Notice::SelectAsked { session } => end.asked.push(session.0),
            Notice::SessionSelected { session } => {
                assert!(session.0 != 0xFFFF, "seed {seed}");
                self.meet("selected");
            }
            Notice::SessionEnded { .. } => self.meet("ended"),
            Notice::SessionRefused { .. } => self.meet("refused"),
            Notice::RejectReceived { .. } => self.meet("reject of nothing"),
            Notice::LinktestAnswered { .. } => self.meet("linktest answered"),
            _ => {}
        }
    }

    /// Some octets that this end sent arrive at the other, in pieces.
    fn deliver(&mut self, from: usize, most: usize) {
        let (to, now) = (1 - from, self.now());
        let count = most.min(self.ends[from].wire.len());
        let octets: Vec<u8> = self.ends[from].wire.drain(..count).collect();
        let mut left = &octets[..];
        while !left.is_empty() && self.ends[to].connected {
            let end = &mut self.ends[to];
            let (taken, inbound) = end.machine.receive(now, left).expect("drained");
            if let Some(inbound) = inbound {
                self.take(to, &inbound);
            }
            left = &left[taken..];
            self.drain(to);
        }
        if !self.ends[to].connected {
            self.ends[from].wire.clear();
        }
    }

    fn take(&mut self, at: usize, inbound: &Inbound<'_>) {
        let seed = self.seed;
        let end = &mut self.ends[at];
        let header = *inbound.header();
        assert_ne!(inbound.class, Class::Fatal, "seed {seed}: {header:?}");
        if inbound.first() {
            end.rejected = header.stype == SType::REJECT_REQ;
            end.tokens.extend(inbound.reply_token());
            if end.tokens.len() > 5 {
                end.tokens.remove(0);
            }
        }
        if inbound.class == Class::Reply && inbound.last() {
            assert!(end.open.remove(&header.system.0), "seed {seed}: a transaction ended twice");
            self.meet("reply");
        } else if inbound.first() && matches!(inbound.class, Class::Rejected(_)) {
            self.meet("rejected");
        }
    }

    /// Time passes, and both ends are told where something is due.
    fn pass(&mut self, millis: u64) {
        self.now += millis;
        for at in [0, 1] {
            for _ in 0..20 {
                let now = self.now();
                if self.ends[at].machine.next_deadline().is_none_or(|due| due > now) {
                    break;
                }
                self.ends[at].machine.handle(now, Event::Timeout).expect("drained");
                self.drain(at);
            }
        }
    }

    fn command(&mut self, at: usize) {
        let now = self.now();
        let session = self.dice.pick(&SESSIONS);
        let (which, one_in_three) = (self.dice.below(30), self.dice.one_in(3));
        let status = SelectStatus(self.dice.pick(&[0, 0, 2, 5]));
        let admission =
            self.dice.pick(&[Admission::Always, Admission::Ask, Admission::Refuse(SelectStatus::ENTITY_IN_USE)]);
        let text = self.dice.pick(&[0, 0, 5, 40]);
        let rare = self.dice.one_in(25);
        let poll = !self.dice.one_in(6);
        let end = &mut self.ends[at];
        let before = end.machine.clone();
        let result: Result<(), Error> = match which {
            0..=4 => end.machine.select_session(now, id(session)).map(|_| ()),
            5..=6 => end.machine.deselect_session(now, id(session)).map(|_| ()),
            7..=8 => end.machine.separate_session(now, id(session)),
            9..=12 if !end.asked.is_empty() => {
                let session = end.asked[0];
                let result = end.machine.answer_select(now, id(session), status);
                if !matches!(result, Err(Error::ActionsPending | Error::BodyOpen)) {
                    end.asked.remove(0);
                }
                result
            }
            9..=10 => end.machine.set_admission(id(session), admission),
            11 => end.machine.set_busy(id(session), one_in_three),
            12 => end.machine.linktest(now).map(|_| ()),
            13..=19 => {
                let sf = StreamFunction::new(1, 1);
                end.machine.begin_primary_in(now, id(session), sf, !one_in_three, text).map(|(system, prefix)| {
                    end.wire.extend(prefix.iter());
                    end.unwritten += 14 + u64::from(text);
                    end.text = Some(text);
                    if !one_in_three {
                        assert!(end.open.insert(system.0), "system bytes of an open transaction");
                    }
                })
            }
            20..=23 if !end.tokens.is_empty() => {
                let token = end.tokens.remove(0);
                end.machine.begin_reply(now, &token, text).map(|prefix| {
                    end.wire.extend(prefix.iter());
                    end.unwritten += 14 + u64::from(text);
                    end.text = Some(text);
                })
            }
            24 if rare => end.machine.abort_body(now),
            25 if rare => end.machine.separate(now),
            26 if rare => end.machine.disable(now),
            _ => end.machine.enable(now),
        };
        if result.is_err() {
            assert_eq!(end.machine, before, "seed {}: refused, and yet something changed: {result:?}", self.seed);
        } else if which < 9 {
            self.meet(["select", "deselect", "separate"][usize::from(which > 4) + usize::from(which > 6)]);
        }
        // Now and then an input or another command comes before the poll.
        if poll || result.is_ok() && self.ends[at].machine.state() == State::NotConnected {
            self.drain(at);
        }
    }

    fn end_text(&mut self, at: usize) {
        let now = self.now();
        let end = &mut self.ends[at];
        if let Some(text) = end.text.take() {
            end.wire.extend(std::iter::repeat_n(0x5A, text as usize));
            end.machine.end_body(now).unwrap();
        }
        self.drain(at);
    }

    fn written(&mut self, at: usize) {
        let now = self.now();
        let end = &mut self.ends[at];
        if end.connected {
            // What was announced is not all made while a text is open.
            let octets = std::mem::take(&mut end.unwritten);
            end.machine.written(now, octets).unwrap();
        }
    }

    /// Where one end has closed, the other learns of it behind the octets in front; then both connect again.
    fn connect(&mut self) {
        for at in [0, 1] {
            if self.ends[at].connected && !self.ends[1 - at].connected {
                self.drain(at);
                self.deliver(1 - at, usize::MAX);
            }
            if self.ends[at].connected && !self.ends[1 - at].connected {
                let now = self.now();
                self.ends[at].machine.handle(now, Event::TransportClosed).unwrap();
                self.drain(at);
                assert!(!self.ends[at].connected);
            }
        }
        if self.ends[0].connected {
            return;
        }
        for end in &mut self.ends {
            assert!(end.open.is_empty(), "seed {}: transactions that never ended: {:?}", self.seed, end.open);
            assert_eq!(end.machine.selected_sessions().count(), 0);
            assert_eq!(end.machine.open_transactions(), 0);
            end.wire.clear();
        }
        let now = self.now();
        for at in [0, 1] {
            self.ends[at].machine.enable(now).unwrap();
            self.drain(at);
        }
        self.pass(T5);
        for at in [0, 1] {
            assert!(self.ends[at].opening, "seed {}: no transport is asked for", self.seed);
            self.ends[at].opening = false;
            self.ends[at].connected = true;
            let now = self.now();
            self.ends[at].machine.handle(now, Event::TransportOpen).unwrap();
        }
        for at in [0, 1] {
            self.drain(at);
        }
    }

    /// Everything that is on its way arrives and every question is answered: both ends know the same.
    fn quiet(&mut self) {
        for at in [0, 1] {
            self.end_text(at);
            self.written(at);
        }
        for _ in 0..50 {
            self.deliver(0, usize::MAX);
            self.deliver(1, usize::MAX);
            let status = SelectStatus(self.dice.pick(&[0, 5]));
            for at in [0, 1] {
                let asked = std::mem::take(&mut self.ends[at].asked);
                for session in asked {
                    let now = self.now();
                    match self.ends[at].machine.answer_select(now, id(session), status) {
                        Ok(()) | Err(Error::NotAsked { .. }) => self.drain(at),
                        Err(error) => panic!("seed {}: {error}", self.seed),
                    }
                }
            }
            let still = |end: &End| end.wire.is_empty() && end.asked.is_empty();
            if self.ends.iter().all(still) || !self.ends.iter().all(|end| end.connected) {
                break;
            }
        }
        if !self.ends.iter().all(|end| end.connected) {
            return;
        }
        let lists = self.ends.each_ref().map(|end| {
            let mut sessions: Vec<u16> = end.machine.selected_sessions().map(|session| session.0).collect();
            assert_eq!(end.machine.state() == State::Selected, !sessions.is_empty());
            sessions.sort_unstable();
            sessions
        });
        assert_eq!(lists[0], lists[1], "seed {}: the ends disagree", self.seed);
        self.meet("agreed");
        for end in &self.ends {
            for at in SESSIONS {
                // No request is left open: the next one is not refused for it.
                let mut probe = end.machine.clone();
                let refused = match probe.is_selected(id(at)) {
                    true => probe.deselect_session(Instant::from_millis(self.now), id(at)),
                    false => probe.select_session(Instant::from_millis(self.now), id(at)),
                };
                assert!(refused.is_ok(), "seed {}: {refused:?}", self.seed);
            }
            for system in &end.open {
                assert!(end.machine.is_open(SystemBytes(*system)), "seed {}: an end was not told", self.seed);
            }
            assert_eq!(end.machine.open_transactions(), end.open.len(), "seed {}", self.seed);
        }
    }

    fn step(&mut self) {
        let at = usize::try_from(self.dice.below(2)).unwrap();
        match self.dice.below(20) {
            0..=8 => self.command(at),
            9..=13 => {
                let most = self.dice.pick(&[1, 3, 14, 20, 200, usize::MAX]);
                self.drain(1 - at);
                self.deliver(at, most);
            }
            14..=15 => self.end_text(at),
            16 => self.written(at),
            17 => {
                let millis = if self.dice.one_in(20) { 50_000 } else { self.dice.below(400) };
                self.drain(0);
                self.drain(1);
                self.pass(millis);
            }
            18 if self.dice.one_in(30) => {
                // The network is cut.
                for at in [0, 1] {
                    self.drain(at);
                    let now = self.now();
                    if self.ends[at].connected {
                        self.ends[at].machine.handle(now, Event::TransportClosed).unwrap();
                        self.drain(at);
                    }
                    self.ends[at].wire.clear();
                }
            }
            18 => self.drain(at),
            _ => {
                if self.dice.one_in(3) {
                    self.quiet();
                }
            }
        }
        self.connect();
    }
}

impl End {
    fn new(who: Who, dice: &mut Dice) -> Self {
        let entities: Vec<SessionEntity> = SESSIONS
            .iter()
            .map(|session| match dice.below(8) {
                0 => wanted(*session),
                1..=2 => asking(*session),
                3 => refusing(*session, 2),
                4 => SessionEntity { wanted: true, ..offered(*session) },
                _ => offered(*session),
            })
            .collect();
        End {
            machine: Machine::general(who.0, General::new(&entities).unwrap()),
            wire: VecDeque::new(),
            unwritten: 0,
            text: None,
            tokens: Vec::new(),
            asked: Vec::new(),
            open: BTreeSet::new(),
            opening: false,
            connected: false,
            rejected: false,
        }
    }
}

#[test]
fn both_ends_agree_once_it_is_quiet_and_everything_ends_once() {
    let mut met = BTreeMap::<&str, u64>::new();
    for seed in 0..LIVES {
        let mut life = Life::new(seed);
        life.connect();
        for step in 0..STEPS {
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| life.step()));
            if let Err(panic) = caught {
                println!("seed {seed} step {step}");
                std::panic::resume_unwind(panic);
            }
        }
        life.quiet();
        for (what, times) in &life.met {
            *met.entry(what).or_default() += times;
        }
    }
    println!("{met:?}");
    for what in [
        "select",
        "deselect",
        "separate",
        "selected",
        "ended",
        "refused",
        "agreed",
        "reply",
        "rejected",
        "transaction ended",
        "linktest answered",
        "T6",
        "T7",
        "T8",
        "separated",
        "disabled",
        "aborted",
        "transport",
        "reject of nothing",
    ] {
        assert!(met.get(what).is_some_and(|times| *times >= 20), "{what} is hardly met: {met:?}");
    }
}
