//! One connection in virtual time, with everything that comes out of it compared.
//!
//! A [`Scene`] tells its connection one thing at a time, drains it, and compares all of it with an [`Expect`]: frames octet
//! by octet, notices, the close, the state and the next deadline. What is not expected must not come. Beside that every step
//! holds the connection to what is true of each: the deadline is now while an action can be polled, a drained connection does
//! nothing before its deadline and something at it, nothing is sent after a close, and octets give the same one by one.
#![allow(dead_code, reason = "every test program uses a part of it")]

mod expect;

pub(crate) use expect::{
    Expect, Output, Received, closes, closes_without_attempt, deselects, hex, opens, selects, stays,
};

use expect::Due;
use hsms_core::Error;
use hsms_core::config::{Config, ConnectMode, DeviceId, DeviceIds, Entity, Profile, SelectMode};
use hsms_core::connection::{Action, Class, Connection, Event, Inbound, Notice, State};
use hsms_core::time::Instant;
use hsms_core::wire::{StreamFunction, SystemBytes};
use std::time::Duration;

/// Timers of every scene in milliseconds, all different. T7 is shorter than T6, so that a T7 that must not run is seen.
pub(crate) const T3: u64 = 45_000;
pub(crate) const T5: u64 = 10_000;
pub(crate) const T6: u64 = 6_000;
pub(crate) const T7: u64 = 4_000;
pub(crate) const T8: u64 = 2_000;

/// What passes after each step of the way to a scene, so that a timer that is started anew is told from one that goes on.
pub(crate) const PAUSE: u64 = 1_000;

pub(crate) const DEVICE: DeviceId = DeviceId::new(1).unwrap();

/// System bytes of the active side's Select.req, and of the first request after SELECTED.
pub(crate) const SELECT_SYSTEM: SystemBytes = SystemBytes(0x51);
pub(crate) const OURS: SystemBytes = SystemBytes(0x61);

/// Equipment that listens, default profile.
pub(crate) fn passive() -> Who {
    Who(timed(Config::equipment(DEVICE)))
}

/// A host that dials, default profile.
pub(crate) fn active() -> Who {
    Who(timed(Config::host(DEVICE)))
}

fn timed(config: Config) -> Config {
    let millis = Duration::from_millis;
    let config = config.with_t3(millis(T3)).unwrap().with_t5(millis(T5)).unwrap().with_t6(millis(T6)).unwrap();
    let config = config.with_t7(millis(T7)).unwrap().with_t8(millis(T8)).unwrap();
    config.with_linktest_period(Duration::ZERO).unwrap()
}

/// Role, entity and profile of a connection, and whatever else is set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who(pub(crate) Config);

impl Who {
    pub(crate) fn strict(self) -> Self {
        Who(self.0.with_profile(Profile::Strict).unwrap())
    }

    pub(crate) fn host(self) -> Self {
        Who(self.0.with_entity(Entity::Host))
    }

    pub(crate) fn equipment(self) -> Self {
        Who(self.0.with_entity(Entity::Equipment))
    }

    pub(crate) fn on_command(self) -> Self {
        Who(self.0.with_select_mode(SelectMode::OnCommand))
    }

    pub(crate) fn max_message(self, length: u32) -> Self {
        Who(self.0.with_max_message(length).unwrap())
    }

    pub(crate) fn devices(self, ids: &[u16]) -> Self {
        let ids: Vec<DeviceId> = ids.iter().map(|id| DeviceId::new(*id).unwrap()).collect();
        Who(self.0.with_device_ids(DeviceIds::list(&ids).unwrap()))
    }

    pub(crate) fn linktest(self, period: u64, threshold: u8) -> Self {
        let config = self.0.with_linktest_period(Duration::from_millis(period)).unwrap();
        Who(config.with_linktest_threshold(threshold).unwrap())
    }

    pub(crate) fn is_active(self) -> bool {
        self.0.mode() == ConnectMode::Active
    }

    pub(crate) fn is_equipment(self) -> bool {
        self.0.entity() == Entity::Equipment
    }

    /// Disabled: nothing has happened.
    pub(crate) fn disabled(self) -> Scene {
        let mut connection = Connection::new(self.0);
        connection.set_next_system_bytes(SELECT_SYSTEM);
        Scene { who: self, connection, now: 1_000_000, refusing: false, unwritten: None, octet_by_octet: true }
    }

    /// NOT CONNECTED, dialling or listening.
    pub(crate) fn opening(self) -> Scene {
        let mut scene = self.disabled();
        scene.does(opens().never(), Connection::enable);
        scene.pass(PAUSE);
        scene
    }

    /// NOT SELECTED for [`PAUSE`]. The active side's Select.req is open, or not sent yet with `on_command`.
    pub(crate) fn connected(self) -> Scene {
        let mut scene = self.opening();
        let expect = if self.is_active() && self.0.select_mode() == SelectMode::OnConnect {
            stays().sends("0000000A FFFF 00 00 00 01 00000051").due(T6)
        } else {
            stays().due(T7)
        };
        scene.happens(Event::TransportOpen, expect.state(State::NotSelected));
        scene.pass(PAUSE);
        scene
    }

    /// A caller beyond the first, NOT SELECTED for [`PAUSE`].
    pub(crate) fn refusing(self) -> Scene {
        let mut scene = self.disabled();
        scene.connection = Connection::refusing(self.0);
        scene.refusing = true;
        scene.happens(Event::TransportOpen, stays().state(State::NotSelected).due(T7));
        scene.pass(PAUSE);
        scene
    }

    /// SELECTED for [`PAUSE`]; the next request carries [`OURS`].
    pub(crate) fn selected(self) -> Scene {
        let mut scene = self.connected();
        let period = u64::try_from(self.0.linktest_period().as_millis()).unwrap();
        let selected = if period == 0 { selects() } else { selects().due(period) };
        if self.is_active() {
            scene.receives("0000000A FFFF 00 00 00 02 00000051", selected);
        } else {
            let answer = selected.sends("0000000A FFFF 00 00 00 02 00000063");
            scene.receives("0000000A FFFF 00 00 00 01 00000063", answer);
        }
        scene.connection.set_next_system_bytes(OURS);
        scene.pass(PAUSE);
        scene
    }

    /// SELECTED, and our S1F1 with W and system bytes [`OURS`] open for [`PAUSE`].
    pub(crate) fn requesting(self) -> Scene {
        let mut scene = self.selected();
        assert_eq!(scene.requests(1, 1), OURS);
        scene.pass(PAUSE);
        scene
    }

    /// SELECTED, and our Linktest.req with system bytes [`OURS`] open for [`PAUSE`].
    pub(crate) fn testing(self) -> Scene {
        let mut scene = self.selected();
        let expect = stays().sends("0000000A FFFF 00 00 00 05 00000061").due(T6);
        assert_eq!(scene.does(expect, Connection::linktest), OURS);
        scene.only_at_once();
        scene.pass(PAUSE);
        scene
    }
}

/// A connection, the virtual time, and the adapter between them: frames count as written when they are polled.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub(crate) who: Who,
    pub(crate) connection: Connection<4>,
    /// Milliseconds.
    now: u64,
    refusing: bool,
    /// Octets that the transport has not taken; `None`: it takes everything at once.
    unwritten: Option<u64>,
    octet_by_octet: bool,
}

impl Scene {
    pub(crate) fn now(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    /// Octets are not given one by one as well. While a linktest of ours is open they make something else: octets of a text
    /// that is arriving extend its T6.
    pub(crate) fn only_at_once(&mut self) {
        self.octet_by_octet = false;
    }

    /// Time passes; the connection is not told.
    pub(crate) fn pass(&mut self, millis: u64) {
        self.now += millis;
    }

    /// From now on the transport takes nothing until it is told to.
    pub(crate) fn hold_writes(&mut self) {
        self.unwritten = Some(0);
    }

    /// The transport takes this many octets.
    #[track_caller]
    pub(crate) fn writes(&mut self, octets: u64, expect: Expect) {
        let unwritten = self.unwritten.expect("writes are held");
        self.unwritten = Some(unwritten.checked_sub(octets).expect("no more than was appended"));
        self.does(expect, |connection, now| connection.written(now, octets));
    }

    /// Something is told to the connection: an input or a command.
    #[track_caller]
    pub(crate) fn does<T>(
        &mut self,
        expect: Expect,
        input: impl FnOnce(&mut Connection<4>, Instant) -> Result<T, Error>,
    ) -> T {
        let before = self.clone();
        let now = self.now();
        let result = match input(&mut self.connection, now) {
            Ok(result) => result,
            Err(error) => panic!("refused: {error}"),
        };
        let mut output = Output::default();
        self.drain(&mut output);
        self.compare(&before, &output, &expect);
        result
    }

    /// Something is refused with this error, and nothing changes.
    #[track_caller]
    pub(crate) fn refuses<T>(
        &mut self,
        error: Error,
        input: impl FnOnce(&mut Connection<4>, Instant) -> Result<T, Error>,
    ) {
        let before = self.connection.clone();
        // A time of its own: not even that may be remembered.
        let later = Instant::from_millis(self.now + 1);
        match input(&mut self.connection, later) {
            Ok(_) => panic!("accepted; expected: {error}"),
            Err(seen) => assert_eq!(seen, error),
        }
        assert_eq!(self.connection, before, "refused, and yet something changed");
    }

    #[track_caller]
    pub(crate) fn happens(&mut self, event: Event, expect: Expect) {
        self.does(expect, |connection, now| connection.handle(now, event));
    }

    /// These octets come from the peer: whole messages, or parts of them.
    #[track_caller]
    pub(crate) fn receives(&mut self, octets: &str, expect: Expect) -> Vec<Received> {
        self.receives_octets(&hex(octets), expect)
    }

    /// The same, at once, and whoever calls looks at what comes out.
    #[track_caller]
    pub(crate) fn takes(&mut self, octets: &str) -> Output {
        let octets = hex(octets);
        self.feed(&octets, octets.len())
    }

    #[track_caller]
    pub(crate) fn receives_octets(&mut self, octets: &[u8], expect: Expect) -> Vec<Received> {
        let before = self.clone();
        let output = self.feed(octets, octets.len());
        if self.octet_by_octet {
            let mut slowly = before.clone();
            let outcome = slowly.feed(octets, 1);
            assert_eq!(outcome, output, "octet by octet (left) gives something else than at once (right)");
            assert_eq!(slowly.connection, self.connection, "octet by octet leaves another connection behind");
        }
        self.compare(&before, &output, &expect);
        output.inbound
    }

    /// The next deadline is `millis` from now, and what it brings comes then: not a millisecond earlier, and still when the
    /// adapter is a millisecond late.
    #[track_caller]
    pub(crate) fn fires_in(&mut self, millis: u64, expect: Expect) {
        assert_eq!(self.due_in(), Some(millis), "milliseconds to the next deadline");
        let mut late = self.clone();
        if millis > 0 {
            self.pass(millis - 1);
            let untouched = self.connection.clone();
            assert_eq!(self.times_out(), Output::default(), "a millisecond early");
            assert_eq!(self.due_in(), Some(1), "a millisecond early");
            assert_eq!(self.connection.state(), untouched.state());
            self.pass(1);
        }
        let before = self.clone();
        let output = self.times_out();
        self.compare(&before, &output, &expect);
        late.pass(millis + 1);
        assert_eq!(late.times_out(), output, "a millisecond late (left), and at the deadline (right)");
        assert_eq!(late.connection.state(), self.connection.state());
    }

    /// `handle(Timeout)` is called, whether or not something is due.
    #[track_caller]
    pub(crate) fn times_out(&mut self) -> Output {
        let mut output = Output::default();
        self.connection.handle(self.now(), Event::Timeout).expect("drained");
        self.drain(&mut output);
        output
    }

    /// Milliseconds to the next deadline.
    pub(crate) fn due_in(&self) -> Option<u64> {
        self.connection.next_deadline().map(|deadline| deadline.as_millis().saturating_sub(self.now))
    }

    /// Our primary with W and without text for device 1. It is written at once, so its T3 runs from now.
    #[track_caller]
    pub(crate) fn requests(&mut self, stream: u8, function: u8) -> SystemBytes {
        self.sends_primary(stream, function, true, &[]).0
    }

    /// Our primary for device 1. Gives its system bytes and its octets.
    #[track_caller]
    pub(crate) fn sends_primary(&mut self, stream: u8, function: u8, w: bool, text: &[u8]) -> (SystemBytes, Vec<u8>) {
        let sf = StreamFunction::new(stream, function);
        let body_len = u32::try_from(text.len()).unwrap();
        let (system, prefix) =
            self.connection.begin_primary(self.now(), DEVICE, sf, w, body_len).expect("a primary can be sent");
        self.appended(14 + u64::from(body_len));
        (system, [&prefix[..], text].concat())
    }

    /// Our reply to a message that was received. Gives its octets.
    #[track_caller]
    pub(crate) fn replies(&mut self, to: &Received, text: &[u8]) -> Vec<u8> {
        let token = to.token.expect("a primary that expects a reply");
        let body_len = u32::try_from(text.len()).unwrap();
        let prefix = self.connection.begin_reply(self.now(), &token, body_len).expect("a reply can be sent");
        self.appended(14 + u64::from(body_len));
        [&prefix[..], text].concat()
    }

    #[track_caller]
    fn appended(&mut self, octets: u64) {
        self.connection.end_body(self.now()).expect("a text is open");
        match &mut self.unwritten {
            Some(unwritten) => *unwritten += octets,
            None => self.connection.written(self.now(), octets).expect("so much was appended"),
        }
        let mut output = Output::default();
        self.drain(&mut output);
        assert_eq!(output, Output::default(), "a message of data makes no actions");
    }

    /// Gives `octets` to the connection, at most `chunk` at a time, until they or the connection are at their end.
    #[track_caller]
    fn feed(&mut self, octets: &[u8], chunk: usize) -> Output {
        let mut output = Output::default();
        for part in octets.chunks(chunk.max(1)) {
            let mut left = part;
            while !left.is_empty() && output.close.is_none() {
                let (taken, inbound) = match self.connection.receive(self.now(), left) {
                    Ok(received) => received,
                    Err(error) => panic!("octets refused: {error}"),
                };
                assert!(taken > 0 && taken <= left.len(), "{taken} of {} octets were taken", left.len());
                if let Some(inbound) = inbound {
                    output.collect(&inbound);
                }
                left = &left[taken..];
                self.drain(&mut output);
            }
        }
        output
    }

    #[track_caller]
    fn drain(&mut self, output: &mut Output) {
        for _ in 0..64 {
            let before = self.connection.clone();
            let Some(action) = self.connection.poll_action() else {
                assert_eq!(self.connection, before, "nothing came out, and yet something changed");
                return self.check_idle();
            };
            assert_eq!(before.next_deadline(), Some(self.now()), "the deadline is now while an action can be polled");
            self.carry_out(action, output);
        }
        panic!("actions without end: {output:?}");
    }

    #[track_caller]
    fn carry_out(&mut self, action: Action, output: &mut Output) {
        match action {
            Action::OpenTransport => {
                assert!(!output.opens, "asked for the transport twice");
                assert_eq!(self.connection.state(), State::NotConnected);
                output.opens = true;
            }
            Action::Send(frame) => {
                assert_eq!(output.close, None, "{frame:?} was sent after the close");
                let octets = frame.encode();
                assert_eq!(octets.len(), frame.len());
                output.frames.push(octets.to_vec());
                let len = u64::try_from(octets.len()).unwrap();
                match &mut self.unwritten {
                    Some(unwritten) => *unwritten += len,
                    None => self.connection.written(self.now(), len).expect("so much was appended"),
                }
            }
            Action::CloseTransport(reason) => {
                assert_eq!(output.close, None, "closed twice");
                assert!(!output.opens, "the new transport was closed instead of the old one");
                output.close = Some(reason);
                self.unwritten = self.unwritten.map(|_| 0);
            }
            Action::Notify(notice) => output.notices.push(notice),
        }
    }

    /// Drained: nothing happens before the deadline, and something does at it.
    #[track_caller]
    fn check_idle(&self) {
        let now = self.now();
        let mut probe = self.connection.clone();
        probe.handle(now, Event::Timeout).expect("drained");
        match self.connection.next_deadline() {
            Some(deadline) if deadline <= now => {
                assert_eq!(deadline, now, "the deadline lies before now");
                assert_ne!(probe, self.connection, "due, and nothing happens");
            }
            deadline => {
                assert_eq!(probe, self.connection, "nothing is due before {deadline:?}, and something happened");
            }
        }
    }

    #[track_caller]
    fn compare(&self, before: &Scene, output: &Output, expect: &Expect) {
        let listens_again = output.close.is_some() && !self.who.is_active() && !self.refusing;
        let expected = Output {
            frames: expect.frames.clone(),
            notices: leniencies_first(&expect.notices),
            close: expect.close,
            opens: expect.opens.unwrap_or(listens_again),
            inbound: output.inbound.clone(),
        };
        let output = Output { notices: leniencies_first(&output.notices), ..output.clone() };
        assert_eq!(output, expected, "what came out (left), and what was expected (right)");
        let classes: Vec<Class> = output.inbound.iter().map(|message| message.class).collect();
        if expect.classes.is_empty() {
            let delivered = classes.iter().any(|class| matches!(class, Class::Primary | Class::Reply));
            assert!(!delivered, "delivered, and not for the application: {:?}", output.inbound);
        } else {
            assert_eq!(classes, expect.classes, "what the messages received count as");
        }
        let state = expect.state.unwrap_or(before.connection.state());
        assert_eq!(self.connection.state(), state, "the state afterwards");
        let due = match expect.due {
            Due::Unchanged => before.connection.next_deadline(),
            Due::Never => None,
            Due::In(millis) => Some(Instant::from_millis(self.now + millis)),
            Due::AfterClose if self.who.is_active() => Some(Instant::from_millis(self.now + T5)),
            Due::AfterClose => None,
        };
        assert_eq!(self.connection.next_deadline(), due, "the next deadline, at {:?}", self.now());
    }
}

/// A leniency may be told of before or after what it led to.
fn leniencies_first(notices: &[Notice]) -> Vec<Notice> {
    let mut notices = notices.to_vec();
    notices.sort_by_key(|notice| !matches!(notice, Notice::Lenient(_)));
    notices
}

impl Output {
    /// Puts the pieces of messages together again, and checks that they fit.
    #[track_caller]
    fn collect(&mut self, inbound: &Inbound<'_>) {
        let piece = &inbound.piece;
        assert_eq!(inbound.is_for_application(), matches!(inbound.class, Class::Primary | Class::Reply));
        assert_eq!(inbound.is_dealt_with(), inbound.class == Class::Control);
        if inbound.first() {
            assert!(self.inbound.last().is_none_or(|message| message.complete), "a message began inside another");
            let (class, header) = (inbound.class, *inbound.header());
            let token = inbound.reply_token();
            self.inbound.push(Received { class, header, text: Vec::new(), token, complete: false });
        }
        let Some(message) = self.inbound.last_mut() else {
            // The message began in an earlier input; its text was checked there as far as it went.
            return;
        };
        assert_eq!(message.class, inbound.class, "the verdict changed within a message");
        assert_eq!(message.header, *inbound.header(), "the header changed within a message");
        assert_eq!(usize::try_from(piece.offset), Ok(message.text.len()), "a gap in a text");
        message.text.extend_from_slice(inbound.body());
        message.complete = inbound.last();
        assert_eq!(message.complete, usize::try_from(piece.body_len) == Ok(message.text.len()));
    }
}

/// Named tests of one body: `tests! { body: name_of_the_test(argument, …), … }`.
macro_rules! tests {
    ($body:ident: $($name:ident($($argument:expr),*)),+ $(,)?) => {
        $(
            #[test]
            fn $name() {
                $body($($argument),*);
            }
        )+
    };
}

pub(crate) use tests;
