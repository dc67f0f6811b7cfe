//! The machine of HSMS-SS against a model of it that is written from the standard's tables, without a look at the machine:
//! where it is, what is open, and when each timer expires. Whatever is told, both say the same.

use hsms_core::config::{Config, ConnectMode, DeviceId, DeviceIds, Entity, Profile};
use hsms_core::connection::{
    Action, Class, CloseReason, Connection, ControlFrame, ControlRequest, Event, GeneralInput, Input, Leniency, Notice,
    Outcome, ReplyToken, State, Stray, TransactionEnd,
};
use hsms_core::error::Error;
use hsms_core::time::Instant;
use hsms_core::wire::{Header, RejectReason, SelectStatus, SessionId, StreamFunction, SystemBytes};
use hsms_tests::generate;
use hsms_tests::invariants::Watch;
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use std::time::Duration;

const ROOM: usize = 2;
const DEVICE: u16 = 1;
/// Milliseconds, so odd that two timers hardly ever expire together.
const T3: u64 = 45_001;
const T5: u64 = 9_011;
const T6: u64 = 5_003;
const T7: u64 = 10_007;
const PERIOD: u64 = 30_013;
/// Length fields.
const MOST: u32 = 110;
const SKIP: u32 = 150;

/// What happens to a connection.
#[derive(Debug, Clone)]
enum Cause {
    Enable,
    Disable,
    Separate,
    Linktest,
    Tell(Event),
    /// A primary: stream, function, W-bit.
    Ask(u8, u8, bool),
    /// The reply to a primary of the peer's, by its place.
    Reply(usize),
    /// A transaction of ours is given up.
    Forget(u32),
    /// A whole message: its header and the octets of its text.
    Receive([u8; 10], u32),
    /// The next timer expires, and all that expire with it.
    Expire,
    /// So many milliseconds pass, as far as nothing expires.
    Pass(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Disabled,
    Waiting,
    Opening,
    NotSelected,
    Selected,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    system: u32,
    stream: u8,
    function: u8,
    expires: u64,
}

/// What one cause brings about.
#[derive(Debug, Clone, PartialEq, Default)]
struct Outputs {
    refused: Option<Error>,
    class: Option<Class>,
    sent: Vec<ControlFrame>,
    told: Vec<Notice>,
    closed: Option<CloseReason>,
    opens: bool,
}

#[derive(Debug, Clone)]
struct Model {
    active: bool,
    equipment: bool,
    strict: bool,
    now: u64,
    place: Place,
    /// When the next dial is allowed.
    t5: Option<u64>,
    t7: Option<u64>,
    /// System bytes and end of our Select.req.
    select: Option<(u32, u64)>,
    linktest: Option<(u32, u64)>,
    open: Vec<Open>,
    /// Headers of the peer's primaries with W.
    asked: Vec<Header>,
    /// Since when nothing came, and linktests missed since.
    quiet: u64,
    missed: u8,
    next: u32,
    /// The first system bytes of this transport.
    first: u32,
    out: Outputs,
}

impl Model {
    fn config(&self) -> Config {
        let mode = if self.active { ConnectMode::Active } else { ConnectMode::Passive };
        let entity = if self.equipment { Entity::Equipment } else { Entity::Host };
        let millis = Duration::from_millis;
        let config = Config::new(mode, entity, DeviceIds::one(DeviceId::new(DEVICE).unwrap()));
        let timed = config.with_t3(millis(T3)).and_then(|config| config.with_t5(millis(T5)));
        let timed = timed.and_then(|config| config.with_t6(millis(T6))?.with_t7(millis(T7)));
        let timed = timed.and_then(|config| config.with_linktest_period(millis(PERIOD))?.with_max_message(MOST));
        let config = timed.and_then(|config| config.with_skip_limit(SKIP)).unwrap();
        let profile = if self.strict { Profile::Strict } else { Profile::Lenient };
        config.with_linktest_threshold(self.threshold()).and_then(|config| config.with_profile(profile)).unwrap()
    }

    fn threshold(&self) -> u8 {
        if self.strict { 1 } else { 2 }
    }

    fn state(&self) -> State {
        match self.place {
            Place::Disabled | Place::Waiting | Place::Opening => State::NotConnected,
            Place::NotSelected => State::NotSelected,
            Place::Selected => State::Selected,
        }
    }

    fn deadline(&self) -> Option<u64> {
        let linktest_due = (self.select.is_none() && self.linktest.is_none()).then_some(self.quiet + PERIOD);
        let t6 = self.select.or(self.linktest).map(|(_, expires)| expires);
        match self.place {
            Place::Disabled | Place::Opening => None,
            Place::Waiting => self.t5,
            Place::NotSelected => [self.t7, t6].into_iter().flatten().min(),
            Place::Selected => {
                let replies = self.open.iter().map(|open| open.expires);
                replies.chain(t6).chain(linktest_due).min()
            }
        }
    }

    /// Whether T3 expires at the very moment at which another timer does: which of them comes first is nobody's to say.
    fn is_tied(&self) -> bool {
        let without = Model { open: Vec::new(), ..self.clone() }.deadline();
        self.place == Place::Selected && self.open.iter().any(|open| Some(open.expires) == without)
    }

    fn number(&mut self) -> SystemBytes {
        self.next += 1;
        SystemBytes(self.next - 1)
    }

    fn send(&mut self, header: Header) {
        self.out.sent.push(ControlFrame::Control(header));
    }

    /// E5 7.13: equipment tells the host, but never about stream 9 or an abort.
    fn stream9(&mut self, function: u8, about: Header) {
        if self.equipment && about.stream() != 9 && about.function() != 0 {
            let system = self.number();
            self.out.sent.push(ControlFrame::Stream9 { function, session: SessionId(DEVICE), system, about });
        }
    }

    fn lenient(&mut self, leniency: Leniency) {
        self.out.told.push(Notice::Lenient(leniency));
    }

    /// Whatever is open ends with its session.
    fn void(&mut self) {
        let linktest = self.linktest.take().map(|(system, _)| system);
        for system in std::mem::take(&mut self.open).iter().map(|open| open.system).chain(linktest) {
            self.out
                .told
                .push(Notice::TransactionEnded { system: SystemBytes(system), end: TransactionEnd::SessionEnded });
        }
        self.asked.clear();
    }

    fn close(&mut self, reason: CloseReason, again: bool) {
        self.out.closed = Some(reason);
        self.select = None;
        self.t7 = None;
        self.void();
        self.t5 = self.active.then_some(self.now + T5);
        self.place = Place::Disabled;
        if again {
            self.attempt();
        }
    }

    /// E37 9.2.1: the active side waits for T5 between its dials.
    fn attempt(&mut self) {
        if self.t5.is_some_and(|t5| t5 > self.now) {
            self.place = Place::Waiting;
        } else {
            self.t5 = None;
            self.place = Place::Opening;
            self.out.opens = true;
        }
    }

    /// A message that ends the connection.
    fn fatal(&mut self, reason: CloseReason) {
        self.out.class = Some(Class::Fatal);
        self.close(reason, true);
    }

    fn reject(&mut self, about: &Header, reason: RejectReason) {
        self.out.class = Some(Class::Rejected(reason));
        let offender = if reason == RejectReason::PTYPE_NOT_SUPPORTED { about.ptype.0 } else { about.stype.0 };
        self.send(Header::reject_req(about.system, offender, reason));
    }

    fn selected(&mut self) {
        self.place = Place::Selected;
        self.t7 = None;
        (self.quiet, self.missed) = (self.now, 0);
        self.out.told.push(Notice::Selected);
    }

    fn cause(&mut self, cause: &Cause) {
        let connected = matches!(self.place, Place::NotSelected | Place::Selected);
        let state = self.state();
        match *cause {
            Cause::Enable if self.place == Place::Disabled => self.attempt(),
            Cause::Enable => {}
            Cause::Disable => match self.place {
                Place::Disabled => {}
                Place::Waiting => self.place = Place::Disabled,
                _ => {
                    self.farewell();
                    self.close(CloseReason::Disabled, false);
                }
            },
            Cause::Separate if !connected => self.out.refused = Some(Error::NotConnected),
            Cause::Separate => {
                self.farewell();
                self.close(CloseReason::Separated, true);
            }
            Cause::Linktest => self.ask_linktest(),
            Cause::Tell(Event::TransportOpen) if self.place == Place::Opening => self.opened(),
            Cause::Tell(Event::TransportFailed) if self.place == Place::Opening => {
                // A passive side whose port is taken waits as well.
                self.t5 = Some(self.now + T5);
                self.place = Place::Waiting;
            }
            Cause::Tell(Event::TransportClosed) if connected => self.close(CloseReason::TransportClosed, true),
            Cause::Tell(Event::Timeout) => {}
            Cause::Tell(event) => self.out.refused = Some(Error::UnexpectedEvent { event, state }),
            Cause::Ask(..) if state != State::Selected => self.out.refused = Some(Error::NotSelected),
            Cause::Ask(_, _, true) if self.open.len() == ROOM => {
                self.out.refused = Some(Error::TransactionsFull { open: ROOM });
            }
            Cause::Ask(stream, function, wait) => {
                let system = self.number().0;
                if wait {
                    self.open.push(Open { system, stream, function, expires: self.now + T3 });
                }
            }
            Cause::Reply(place) => drop(self.asked.remove(place)),
            Cause::Forget(system) => {
                let before = self.open.len();
                self.open.retain(|open| open.system != system);
                if self.open.len() == before {
                    self.out.refused = Some(Error::NoTransaction { system: SystemBytes(system) });
                }
            }
            Cause::Receive(..) if !connected => self.out.refused = Some(Error::NotConnected),
            Cause::Receive(octets, len) => self.receive(Header::decode(&octets), len),
            Cause::Expire => self.expire(),
            Cause::Pass(millis) => self.now = self.passed(millis),
        }
    }

    fn passed(&self, millis: u64) -> u64 {
        (self.now + millis).min(self.deadline().map_or(u64::MAX, |deadline| deadline - 1)).max(self.now)
    }

    /// E37.1 7.6.
    fn farewell(&mut self) {
        if self.place == Place::Selected {
            let system = self.number();
            self.send(Header::separate_req(system));
        }
    }

    fn opened(&mut self) {
        self.first = self.next;
        self.place = Place::NotSelected;
        if self.active {
            // E37.1 Table 2 row 2; T6 guards this side.
            let system = self.number();
            self.select = Some((system.0, self.now + T6));
            self.send(Header::select_req(system));
        } else {
            self.t7 = Some(self.now + T7);
        }
    }

    fn ask_linktest(&mut self) {
        if self.place != Place::Selected {
            self.out.refused = Some(Error::NotSelected);
        } else if let Some((system, _)) = self.select {
            self.out.refused = Some(Error::ControlOpen { system: SystemBytes(system) });
        } else if self.linktest.is_none() {
            let system = self.number();
            self.linktest = Some((system.0, self.now + T6));
            self.send(Header::linktest_req(system));
        }
    }

    fn expire(&mut self) {
        let Some(deadline) = self.deadline() else { return };
        self.now = self.now.max(deadline);
        while self.deadline().is_some_and(|deadline| deadline <= self.now) {
            self.expire_one();
        }
    }

    fn expire_one(&mut self) {
        let now = self.now;
        if self.place == Place::Waiting {
            self.attempt();
        } else if self.t7.is_some_and(|t7| t7 <= now) {
            self.close(CloseReason::T7, true);
        } else if self.select.is_some_and(|(_, t6)| t6 <= now) {
            self.close(CloseReason::T6(ControlRequest::Select), true);
        } else if let Some((system, t6)) = self.linktest
            && t6 <= now
        {
            self.missed += 1;
            self.quiet = now;
            if self.missed >= self.threshold() {
                self.close(CloseReason::T6(ControlRequest::Linktest), true);
            } else {
                self.linktest = None;
                self.out.told.push(Notice::LinktestMissed { system: SystemBytes(system), missed: self.missed });
            }
        } else if let Some(place) = self.open.iter().position(|open| open.expires <= now) {
            // E37.1 Tables 1 and 2 row 6.
            let open = self.open.remove(place);
            let (system, primary) = (SystemBytes(open.system), StreamFunction::new(open.stream, open.function));
            self.stream9(9, Header::data(system, primary, true, SessionId(DEVICE)));
            self.out.told.push(Notice::TransactionEnded { system, end: TransactionEnd::T3 });
        } else {
            self.ask_linktest();
        }
    }

    fn receive(&mut self, header: Header, len: u32) {
        if self.place == Place::Selected {
            (self.quiet, self.missed) = (self.now, 0);
        }
        let data = header.ptype.0 == 0 && header.stype.0 == 0;
        self.out.class = Some(Class::Control);
        if len + 10 > MOST {
            return self.too_long(header, len + 10, data);
        }
        if data {
            return self.data(header);
        }
        let known = header.ptype.0 == 0 && matches!(header.stype.0, 1..=7 | 9);
        if known && header.stype.0 == 7 {
            return self.rejected(header, len);
        }
        let (stype, selected) = (header.stype, self.place == Place::Selected);
        if !known {
            // Section 6.5: NOT SELECTED and strict closes.
            if self.strict && !selected {
                return self.fatal(match header.ptype.0 {
                    0 => CloseReason::UnknownSType(stype),
                    _ => CloseReason::UnknownPType(header.ptype),
                });
            }
            let reason = if header.ptype.0 == 0 { 1 } else { 2 };
            return self.reject(&header, RejectReason(reason));
        }
        if len > 0 {
            if self.strict || !selected {
                return self.fatal(CloseReason::ControlText { stype, body_len: len });
            }
            self.reject(&header, RejectReason(1));
            return self.lenient(Leniency::ControlText { stype, body_len: len });
        }
        self.control(header, selected);
    }

    fn control(&mut self, header: Header, selected: bool) {
        let (stype, system, session) = (header.stype, header.system, header.session);
        let unexpected = CloseReason::UnexpectedMessage(stype);
        let foreign = session.0 != 0xFFFF;
        match stype.0 {
            1 if self.strict && (foreign || self.active || selected) => self.fatal(unexpected),
            1 => {
                let status = u8::from(selected);
                self.send(Header::select_rsp(system).with_session(session).with_status(status));
                if !selected {
                    if self.active {
                        self.lenient(Leniency::SimultaneousSelect(session));
                    } else if foreign {
                        self.lenient(Leniency::SelectSession(session));
                    }
                    self.selected();
                }
            }
            2 if self.select.is_some_and(|(select, _)| select == system.0) => match (header.byte3, selected) {
                (0 | 1, true) => self.select = None,
                (0, false) => {
                    self.select = None;
                    self.selected();
                }
                (status, _) => self.fatal(CloseReason::SelectRefused(SelectStatus(status))),
            },
            2 if self.strict => self.fatal(unexpected),
            3 if self.strict => self.fatal(unexpected),
            3 if selected => {
                self.send(Header::deselect_rsp(system).with_session(session));
                self.lenient(Leniency::Deselect);
                if self.active {
                    self.close(CloseReason::DeselectAnswered, true);
                } else {
                    self.place = Place::NotSelected;
                    self.t7 = Some(self.now + T7);
                    self.out.told.push(Notice::Deselected);
                    self.void();
                }
            }
            3 => {
                self.send(Header::deselect_rsp(system).with_session(session).with_status(1));
                self.lenient(Leniency::DeselectNotSelected);
            }
            5 if self.strict && !selected => self.fatal(unexpected),
            5 => {
                self.send(Header::linktest_rsp(system));
                if !selected {
                    self.lenient(Leniency::LinktestNotSelected);
                }
            }
            6 if self.linktest.is_some_and(|(linktest, _)| linktest == system.0) => self.linktest_answered(),
            4 | 6 if self.strict && !selected => self.fatal(unexpected),
            2 | 4 | 6 => self.reject(&header, RejectReason(3)),
            _ => self.close(CloseReason::SeparateReceived, true),
        }
    }

    fn linktest_answered(&mut self) {
        let (system, _) = self.linktest.take().expect("it is open");
        self.out.told.push(Notice::LinktestAnswered { system: SystemBytes(system) });
    }

    fn rejected(&mut self, header: Header, len: u32) {
        let (system, reason) = (header.system.0, header.byte3);
        if len > 0 && (self.strict || len > 64) {
            return self.fatal(CloseReason::ControlText { stype: header.stype, body_len: len });
        }
        let names = |stype: u8| reason == 0 || reason == 2 || header.byte2 == stype;
        if self.select.is_some_and(|(select, _)| select == system) && names(1) {
            self.out.class = Some(Class::Fatal);
            self.close(CloseReason::SelectRejected(RejectReason(reason)), true);
        } else if self.linktest.is_some_and(|(linktest, _)| linktest == system) && names(5) {
            self.linktest_answered();
        } else if self.open.iter().any(|open| open.system == system) && names(0) {
            self.open.retain(|open| open.system != system);
            let end = TransactionEnd::Rejected(RejectReason(reason));
            self.out.told.push(Notice::TransactionEnded { system: SystemBytes(system), end });
        } else {
            self.out.told.push(Notice::RejectReceived { header });
        }
        if len > 0 {
            self.lenient(Leniency::RejectText { body_len: len });
        }
    }

    /// The device that a data message is for, where it is ours, and whether bit 15 was cleared for that.
    fn device(&self, header: &Header) -> Option<bool> {
        match header.session.0 {
            DEVICE => Some(false),
            session if session == DEVICE | 0x8000 && !self.strict => Some(true),
            _ => None,
        }
    }

    /// The transaction that a data message is the reply to.
    fn replied(&self, header: &Header) -> Option<usize> {
        self.device(header)?;
        let matches = |open: &Open| {
            let function = [open.function.wrapping_add(1), 0].contains(&header.function());
            open.system == header.system.0 && open.stream == header.stream() && function
        };
        self.open.iter().position(matches).filter(|_| header.function().is_multiple_of(2))
    }

    fn data(&mut self, header: Header) {
        if self.place != Place::Selected {
            self.reject(&header, RejectReason(4));
            if self.strict {
                self.close(CloseReason::DataNotSelected, true);
            }
            return;
        }
        let Some(cleared) = self.device(&header) else {
            self.out.class = Some(Class::Stray(Stray::UnknownDevice));
            return self.stream9(1, header);
        };
        self.out.class = Some(if header.function() % 2 == 1 {
            if header.reply_expected() {
                self.asked.push(Header { session: SessionId(DEVICE), ..header });
            }
            Class::Primary
        } else if let Some(place) = self.replied(&header) {
            self.open.remove(place);
            Class::Reply
        } else if self.open.iter().any(|open| open.system == header.system.0) {
            Class::Stray(Stray::Mismatched)
        } else if (self.first..self.next).contains(&header.system.0) {
            Class::Stray(Stray::Late)
        } else {
            Class::Stray(Stray::Orphan)
        });
        if cleared {
            self.lenient(Leniency::DirectionBit(header.session));
        }
    }

    fn too_long(&mut self, header: Header, length: u32, data: bool) {
        self.out.class = Some(Class::TooLong);
        let close = CloseReason::LengthTooLong { length, limit: MOST };
        let selected = self.place == Place::Selected;
        if let Some(place) = self.replied(&header).filter(|_| data) {
            let system = SystemBytes(self.open.remove(place).system);
            self.out.told.push(Notice::TransactionEnded { system, end: TransactionEnd::ReplyTooLong { length } });
        }
        if !data || !self.equipment || !selected {
            return self.close(close, true);
        }
        let device = self.device(&header);
        self.stream9(if device.is_some() { 11 } else { 1 }, header);
        if self.strict || length > SKIP {
            self.close(close, true);
        } else if device == Some(true) {
            self.lenient(Leniency::DirectionBit(header.session));
        }
    }

    /// System bytes that are worth being tried.
    fn systems(&self) -> Vec<u32> {
        let open = self.open.iter().map(|open| open.system);
        let control = self.select.into_iter().chain(self.linktest).map(|(system, _)| system);
        open.chain(control).chain([0, 3, self.next, self.next.wrapping_sub(1)]).collect()
    }
}

struct Machine;

impl ReferenceStateMachine for Machine {
    type State = Model;
    type Transition = Cause;

    fn init_state() -> BoxedStrategy<Model> {
        any::<[bool; 3]>()
            .prop_map(|[active, equipment, strict]| Model {
                active,
                equipment,
                strict,
                now: 0,
                place: Place::Disabled,
                t5: None,
                t7: None,
                select: None,
                linktest: None,
                open: Vec::new(),
                asked: Vec::new(),
                quiet: 0,
                missed: 0,
                next: 1,
                first: 1,
                out: Outputs::default(),
            })
            .boxed()
    }

    fn transitions(model: &Model) -> BoxedStrategy<Cause> {
        let systems = prop::sample::select(model.systems());
        let session = prop_oneof![6 => Just(DEVICE), 6 => Just(0xFFFF), 1 => Just(DEVICE | 0x8000), 1 => Just(2)];
        let stype =
            prop_oneof![10 => Just(0), 14 => 1..=7_u8, 1 => Just(9), 1 => prop::sample::select(vec![8, 10, 255])];
        let codes = (
            prop_oneof![3 => 0..=6_u8, 3 => 0x81..=0x83_u8, 1 => Just(0x89)],
            0..=8_u8,
            prop_oneof![30 => Just(0), 1 => Just(1_u8)],
        );
        let len =
            prop_oneof![12 => Just(0), 2 => 1..=64_u32, 1 => 65..=100_u32, 1 => 101..=140_u32, 1 => 141..=200_u32];
        let any_message = (session, codes, stype, systems.clone(), len).prop_map(
            |(session, (second, third, ptype), stype, system, len)| {
                let [s0, s1] = u16::to_be_bytes(session);
                let [y0, y1, y2, y3] = u32::to_be_bytes(system);
                Cause::Receive([s0, s1, second, third, ptype, stype, y0, y1, y2, y3], len)
            },
        );
        let control = |header: Header| Cause::Receive(header.encode(), 0);
        // What gets a connection on: else it would hardly ever be SELECTED.
        let onward = match (model.place, model.select) {
            (Place::Disabled, _) => Just(Cause::Enable).boxed(),
            (Place::Waiting, _) => Just(Cause::Expire).boxed(),
            (Place::Opening, _) => Just(Cause::Tell(Event::TransportOpen)).boxed(),
            (Place::NotSelected, Some((system, _))) => {
                // The peer has asked as well, now and then.
                let answer = control(Header::select_rsp(SystemBytes(system)));
                prop_oneof![3 => Just(answer), 1 => Just(control(Header::select_req(SystemBytes(7))))].boxed()
            }
            (Place::NotSelected, None) => Just(control(Header::select_req(SystemBytes(7)))).boxed(),
            (Place::Selected, _) => {
                let replies = model.open.iter().map(|open| {
                    let reply = StreamFunction::new(open.stream, open.function + 1);
                    control(Header::data(SystemBytes(open.system), reply, false, SessionId(DEVICE)))
                });
                let linktest = model.linktest.map(|(system, _)| control(Header::linktest_rsp(SystemBytes(system))));
                let own = (1..=3_u8, 0..=2_u8, any::<bool>())
                    .prop_map(|(stream, pair, w)| Cause::Ask(stream, 2 * pair + 1, w));
                // Of a select that crossed the peer's: done, or already done.
                let select = model.select.into_iter().flat_map(|(system, _)| {
                    [0, 1].map(|status| {
                        let mut octets = Header::select_rsp(SystemBytes(system)).encode();
                        octets[3] = status;
                        Cause::Receive(octets, 0)
                    })
                });
                let answers: Vec<Cause> = replies.chain(linktest).chain(select).collect();
                if answers.is_empty() { own.boxed() } else { prop_oneof![own, prop::sample::select(answers)].boxed() }
            }
        };
        let events = prop::sample::select(vec![
            Event::TransportOpen,
            Event::TransportFailed,
            Event::TransportClosed,
            Event::Timeout,
        ]);
        let commands = prop::sample::select(vec![
            Cause::Enable,
            Cause::Disable,
            Cause::Separate,
            Cause::Linktest,
            Cause::Linktest,
            Cause::Linktest,
            Cause::Ask(9, 1, true),
        ]);
        let reply = match model.asked.len() {
            0 => Just(Cause::Linktest).boxed(),
            count => (0..count).prop_map(Cause::Reply).boxed(),
        };
        prop_oneof![
            12 => onward,
            12 => any_message,
            2 => commands,
            1 => events.prop_map(Cause::Tell),
            2 => reply,
            1 => systems.prop_map(Cause::Forget),
            4 => Just(Cause::Expire),
            3 => (0..20_000_u64).prop_map(Cause::Pass),
        ]
        .boxed()
    }

    fn preconditions(model: &Model, cause: &Cause) -> bool {
        match cause {
            // Shrinking may take the primary away that a reply was for.
            Cause::Reply(place) => *place < model.asked.len(),
            Cause::Expire => !model.is_tied(),
            _ => true,
        }
    }

    fn apply(mut model: Model, cause: &Cause) -> Model {
        model.out = Outputs::default();
        model.cause(cause);
        model
    }
}

/// The real one, with a transport that takes all octets at once.
struct Real {
    watch: Watch<Connection<ROOM>>,
    now: u64,
    tokens: Vec<ReplyToken>,
}

impl Real {
    fn tell(&mut self, input: Input<'_>, outputs: &mut Outputs) {
        let now = Instant::from_millis(self.now);
        let (outcome, actions) =
            self.watch.tell(now, GeneralInput::Common(input)).unwrap_or_else(|broken| panic!("{broken}"));
        let mut octets = 0;
        let mut end_text = false;
        match outcome {
            Outcome::Refused(error) => outputs.refused = Some(error),
            Outcome::Begun { prefix, .. } => {
                octets += prefix.len();
                end_text = true;
            }
            Outcome::Received { inbound: Some(inbound), .. } => {
                assert!(inbound.first() && inbound.last(), "a whole message");
                outputs.class = Some(inbound.class);
                self.tokens.extend(inbound.reply_token());
            }
            _ => {}
        }
        for action in actions {
            match action {
                Action::Send(frame) => {
                    octets += frame.len();
                    outputs.sent.push(frame);
                }
                Action::Notify(Notice::Deselected) => {
                    self.tokens.clear();
                    outputs.told.push(Notice::Deselected);
                }
                Action::Notify(notice) => outputs.told.push(notice),
                Action::CloseTransport(reason) => {
                    self.tokens.clear();
                    octets = 0;
                    outputs.closed = Some(reason);
                }
                Action::OpenTransport => outputs.opens = true,
            }
        }
        if end_text {
            self.tell(Input::EndBody, outputs);
        }
        if octets > 0 {
            self.tell(Input::Written { octets: octets as u64 }, outputs);
        }
    }
}

struct Comparison;

impl StateMachineTest for Comparison {
    type SystemUnderTest = Real;
    type Reference = Machine;

    fn init_test(model: &Model) -> Real {
        Real { watch: Watch::new(Connection::new(model.config())), now: 0, tokens: Vec::new() }
    }

    fn apply(mut real: Real, model: &Model, cause: Cause) -> Real {
        let mut out = Outputs::default();
        // The model's time, which has gone on to where the cause puts it.
        real.now = model.now;
        match cause {
            Cause::Enable => real.tell(Input::Enable, &mut out),
            Cause::Disable => real.tell(Input::Disable, &mut out),
            Cause::Separate => real.tell(Input::Separate, &mut out),
            Cause::Linktest => real.tell(Input::Linktest, &mut out),
            Cause::Tell(event) => real.tell(Input::Handle(event), &mut out),
            Cause::Ask(stream, function, reply_expected) => {
                let (device, stream_function) = (DeviceId::new(DEVICE).unwrap(), StreamFunction::new(stream, function));
                real.tell(Input::BeginPrimary { device, stream_function, reply_expected, body_len: 0 }, &mut out);
            }
            Cause::Reply(place) => {
                let token = real.tokens.remove(place);
                real.tell(Input::BeginReply { token, body_len: 0 }, &mut out);
            }
            Cause::Forget(system) => real.tell(Input::Forget { system: SystemBytes(system) }, &mut out),
            Cause::Receive(header, len) => {
                let text = vec![0x21; len as usize];
                real.tell(Input::Receive(&generate::encode(&Header::decode(&header), &text)), &mut out);
            }
            Cause::Expire => {
                for _ in 0..8 {
                    if real.watch.machine().next_deadline().is_none_or(|due| due.as_millis() > real.now) {
                        break;
                    }
                    real.tell(Input::Handle(Event::Timeout), &mut out);
                }
            }
            Cause::Pass(_) => real.tell(Input::Handle(Event::Timeout), &mut out),
        }
        let mut expected = model.out.clone();
        // In which order notices come at one moment is nobody's to say.
        for outputs in [&mut out, &mut expected] {
            outputs.told.sort_by_key(|notice| format!("{notice:?}"));
        }
        assert_eq!(out, expected, "the machine, and the model: {model:?}");
        real
    }

    fn check_invariants(real: &Real, model: &Model) {
        let machine = real.watch.machine();
        assert_eq!(machine.state(), model.state());
        assert_eq!(machine.is_enabled(), model.place != Place::Disabled);
        assert_eq!(machine.open_transactions(), model.open.len());
        assert_eq!(machine.next_deadline().map(Instant::as_millis), model.deadline(), "{model:?}");
        let mut tokens = real.tokens.iter().map(|token| (token.system(), token.primary(), token.session()));
        assert!(
            model
                .asked
                .iter()
                .all(|asked| tokens.next() == Some((asked.system, asked.stream_function(), asked.session)))
        );
        for open in &model.open {
            assert!(machine.is_open(SystemBytes(open.system)));
        }
    }
}

prop_state_machine! {
    #![proptest_config(generate::config(2_000))]

    #[test]
    fn the_machine_does_what_the_model_does(sequential 1..60 => Comparison);
}

#[test]
fn the_sequences_reach_every_end_and_notice_that_the_model_knows() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{RngSeed, TestRunner};
    let mut config = generate::config(1);
    config.rng_seed = RngSeed::Fixed(37);
    let mut runner = TestRunner::new(config);
    let sequences = Machine::sequential_strategy(1..60);
    let mut reached = std::collections::BTreeSet::new();
    let mut name = |value: &dyn std::fmt::Debug| {
        reached.insert(format!("{value:?}").split([' ', '{']).next().unwrap().to_owned());
    };
    for _ in 0..2_000 {
        let (mut model, causes, _) = sequences.new_tree(&mut runner).unwrap().current();
        for cause in &causes {
            model = Machine::apply(model, cause);
            model.out.told.iter().for_each(|notice| name(notice));
            model.out.closed.iter().for_each(|reason| name(reason));
            model.out.class.iter().for_each(|class| name(class));
            model.out.refused.iter().for_each(|error| name(error));
        }
    }
    let expected = "Selected Deselected TransactionEnded LinktestAnswered LinktestMissed RejectReceived Disabled Separated \
        TransportClosed SeparateReceived T6(Select) T6(Linktest) T7 DeselectAnswered LengthTooLong DataNotSelected ControlText \
        Primary Reply Control Stray(Late) Stray(Orphan) Stray(Mismatched) Stray(UnknownDevice) TooLong Fatal NotConnected \
        NotSelected TransactionsFull ControlOpen NoTransaction UnexpectedEvent";
    let missing: Vec<_> = expected.split_whitespace().filter(|what| !reached.contains(*what)).collect();
    assert!(missing.is_empty(), "never reached: {missing:?} of {reached:?}");
}
