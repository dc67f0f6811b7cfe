//! The dialogues. Each message that goes out is compared with what it has to be; what comes in is what a peer would say.

use super::{Dialogue, SESSION, Step};
use crate::generate::encode;
use crate::machine::Machine;
use hsms_core::config::{Config, ConnectMode, DeviceId, DeviceIds, Entity};
use hsms_core::connection::{
    Admission, Connection, Event, General, GeneralInput, Input, Outcome, SessionEntity, State, Stream9,
};
use hsms_core::wire::{
    DeselectStatus, Header, PREFIX_LEN, PType, RejectReason, SType, SelectStatus, SessionId, StreamFunction,
    SystemBytes,
};
use std::time::Duration;

const S1F1: StreamFunction = StreamFunction::new(1, 1);
const S1F2: StreamFunction = StreamFunction::new(1, 2);
const S1F0: StreamFunction = StreamFunction::new(1, 0);
const S6F11: StreamFunction = StreamFunction::new(6, 11);

/// A session of HSMS-GS beside [`SESSION`].
const OTHER: SessionId = SessionId(2);
/// One that the application admits, or does not.
const ASKED: SessionId = SessionId(3);

fn config(mode: ConnectMode, entity: Entity) -> Config {
    let device = DeviceId::new(SESSION.0).expect("a device id");
    // The timers differ, so that none expires with another.
    Config::new(mode, entity, DeviceIds::one(device))
        .with_t3(Duration::from_millis(45_003))
        .and_then(|config| config.with_t6(Duration::from_millis(5_007)))
        .and_then(|config| config.with_t7(Duration::from_millis(11_011)))
        .and_then(|config| config.with_linktest_period(Duration::from_millis(30_013)))
        .expect("within range")
}

/// What tells a peer's transactions from ours.
const THEIRS: u32 = 0x5000_0000;

impl<M: Machine> Dialogue<M> {
    fn tell(&mut self, input: Input<'static>) -> Outcome<'static> {
        self.tell_general(GeneralInput::Common(input))
    }

    fn tell_general(&mut self, input: GeneralInput<'static>) -> Outcome<'static> {
        let outcome = self.take(Step::Tell(input.clone()));
        assert!(!matches!(outcome, Outcome::Refused(_)), "{}: {input:?}: {outcome:?}", self.name);
        outcome
    }

    /// The peer says this in one write, and exactly these messages go out.
    fn hear(&mut self, header: Header, body: &[u8], answers: &[Header]) {
        self.messages.push((false, header));
        let before = self.messages.len();
        self.take(Step::Octets(encode(&header, body)));
        let sent: Vec<Header> = self.messages[before..].iter().map(|(_, header)| *header).collect();
        assert_eq!(sent, answers, "{}: what follows {header:?}", self.name);
    }

    /// The peer says this in two writes, cut behind the octet `at`, and exactly these messages go out.
    fn hear_in_two(&mut self, header: Header, body: &[u8], at: usize, answers: &[Header]) {
        let octets = encode(&header, body);
        let (first, rest) = octets.split_at(at);
        self.messages.push((false, header));
        let before = self.messages.len();
        self.take(Step::Octets(first.to_vec()));
        self.take(Step::Octets(rest.to_vec()));
        let sent: Vec<Header> = self.messages[before..].iter().map(|(_, header)| *header).collect();
        assert_eq!(sent, answers, "{}: what follows {header:?}", self.name);
    }

    fn last_sent(&self, stype: SType) -> Header {
        let (_, header) = self.messages.last().expect("something was sent");
        assert_eq!(header.stype, stype, "{}", self.name);
        *header
    }

    /// A primary of ours.
    fn ask(&mut self, stream_function: StreamFunction, reply_expected: bool, body_len: u32) -> SystemBytes {
        let input = GeneralInput::BeginPrimaryIn { session: SESSION, stream_function, reply_expected, body_len };
        let Outcome::Begun { system: Some(system), .. } = self.tell_general(input) else { panic!("no primary") };
        self.tell(Input::EndBody);
        system
    }

    /// The primary that came last is answered.
    fn answer(&mut self, abort: bool, body_len: u32) {
        let token = self.stage().token.expect("there was a primary");
        self.tell(if abort { Input::BeginAbort { token } } else { Input::BeginReply { token, body_len } });
        self.tell(Input::EndBody);
    }

    fn is(&self, state: State) {
        assert_eq!(self.machine().state(), state, "{}", self.name);
    }

    /// Time passes until a transport is asked for, and it is opened.
    fn open(&mut self) {
        while !self.stage().wanted {
            self.wait();
        }
        self.tell(Input::Handle(Event::TransportOpen));
    }

    /// The next timer expires, as part of the dialogue.
    fn wait(&mut self) {
        let at = self.machine().next_deadline().expect("something to wait for").as_millis();
        let now = self.time(self.steps.len());
        self.take(Step::Wait(at.saturating_sub(now)));
        self.take(Step::Tell(GeneralInput::Common(Input::Handle(Event::Timeout))));
    }

    /// Data in both directions while SELECTED: everything that a session carries.
    fn data(&mut self) {
        let data = |system, stream_function, w| Header::data(SystemBytes(system), stream_function, w, SESSION);
        let reply = |system, stream_function| Header::data(system, stream_function, false, SESSION);
        // One of ours is open all the time.
        let slow = self.ask(StreamFunction::new(2, 13), true, 2);
        // Of ours: replied to, without a reply, aborted, rejected for each reason, given up and answered too late.
        let system = self.ask(S1F1, true, 0);
        self.hear_in_two(reply(system, S1F2), b"text of a reply", PREFIX_LEN, &[]);
        self.ask(S6F11, false, 5);
        let system = self.ask(S1F1, true, 3);
        self.hear(reply(system, S1F0), &[], &[]);
        for reason in [
            RejectReason::STYPE_NOT_SUPPORTED,
            RejectReason::PTYPE_NOT_SUPPORTED,
            RejectReason::TRANSACTION_NOT_OPEN,
            RejectReason::ENTITY_NOT_SELECTED,
        ] {
            let system = self.ask(S1F1, true, 0);
            let reject = Header::reject_req(system, 0, reason);
            self.hear(if M::GENERAL { reject.with_session(SESSION) } else { reject }, &[], &[]);
        }
        let system = self.ask(S1F1, true, 0);
        self.tell(Input::Forget { system });
        self.hear(reply(system, S1F2), b"late", &[]);
        // Of the peer's: one without a reply, one that is answered, one that is aborted, one that stays open.
        self.hear(data(THEIRS + 1, S6F11, false), b"an event", &[]);
        self.hear_in_two(data(THEIRS + 2, S1F1, true), b"please", PREFIX_LEN, &[]);
        self.answer(false, 7);
        self.hear(data(THEIRS + 3, S1F1, true), &[], &[]);
        self.answer(true, 0);
        self.hear(data(THEIRS + 4, S1F1, true), b"nobody answers", &[]);
        // Two of ours are open, the peer's number collides with one of them, and both are answered in the wrong order.
        let (first, second) = (self.ask(S1F1, true, 2), self.ask(StreamFunction::new(2, 41), true, 2));
        self.hear(data(first.0, S1F1, true), b"the same number", &[]);
        self.hear_in_two(reply(second, StreamFunction::new(2, 42)), b"second", PREFIX_LEN + 3, &[]);
        self.hear(reply(first, S1F2), b"first", &[]);
        // Our text is open while the peer asks for a sign of life: the answer waits for its end.
        let input = GeneralInput::BeginPrimaryIn {
            session: SESSION,
            stream_function: S1F1,
            reply_expected: true,
            body_len: 40,
        };
        let Outcome::Begun { system: Some(system), .. } = self.tell_general(input) else { panic!("no primary") };
        self.hear(Header::linktest_req(SystemBytes(THEIRS + 5)), &[], &[]);
        self.tell(Input::EndBody);
        assert_eq!(self.last_sent(SType::LINKTEST_RSP).system, SystemBytes(THEIRS + 5));
        self.hear(reply(system, S1F2), &[0x21; 60], &[]);
        // Input stands still for a while, output does not.
        self.tell(Input::PauseInput);
        self.ask(S6F11, false, 3);
        self.tell(Input::ResumeInput);
        self.hear(reply(slow, StreamFunction::new(2, 14)), b"at last", &[]);
    }

    /// Linktests, and what is rejected while SELECTED.
    fn control(&mut self) {
        let theirs = |number| SystemBytes(THEIRS + 0x100 + number);
        let reject = |header: Header, octet, reason| {
            let reject = Header::reject_req(header.system, octet, reason);
            if M::GENERAL { reject.with_session(header.session) } else { reject }
        };
        self.tell(Input::Linktest);
        let request = self.last_sent(SType::LINKTEST_REQ);
        self.hear(Header::linktest_rsp(request.system), &[], &[]);
        self.hear_in_two(Header::linktest_req(theirs(1)), &[], 9, &[Header::linktest_rsp(theirs(1))]);
        let stray = Header::linktest_rsp(theirs(2));
        self.hear(stray, &[], &[reject(stray, 6, RejectReason::TRANSACTION_NOT_OPEN)]);
        let unknown = Header { stype: SType(11), ..Header::linktest_req(theirs(3)) };
        self.hear(unknown, &[], &[reject(unknown, 11, RejectReason::STYPE_NOT_SUPPORTED)]);
        let foreign = Header { ptype: PType(1), ..Header::linktest_req(theirs(4)) };
        self.hear(foreign, &[], &[reject(foreign, 1, RejectReason::PTYPE_NOT_SUPPORTED)]);
        self.hear(Header::reject_req(theirs(5), 0, RejectReason::TRANSACTION_NOT_OPEN), &[], &[]);
        // Stream 9: of equipment's own, and from equipment.
        if self.machine().config().entity() == Entity::Equipment {
            let about = Header::data(theirs(6), S1F1, true, SESSION);
            self.hear(about, b"nonsense", &[]);
            for error in [Stream9::UnrecognizedStream, Stream9::UnrecognizedFunction, Stream9::IllegalData] {
                self.tell(Input::ReportError { error, about });
                assert_eq!(self.last_sent(SType::DATA).stream_function(), StreamFunction::new(9, error.function()));
            }
            if !M::GENERAL {
                let before = self.messages.len() + 1;
                let strange = Header::data(theirs(7), S1F1, true, SessionId(0x123));
                self.messages.push((false, strange));
                self.take(Step::Octets(encode(&strange, &[])));
                assert_eq!(self.messages.len(), before + 1, "S9F1");
                assert_eq!(self.last_sent(SType::DATA).stream_function(), StreamFunction::new(9, 1));
            }
        } else {
            let system = self.ask(S1F1, true, 4);
            let error = Header::data(theirs(8), StreamFunction::new(9, 7), false, SESSION);
            let about = Header::data(system, S1F1, true, SESSION).encode();
            self.hear(error, &[&[0x21, 10], &about[..]].concat(), &[]);
            self.hear(Header::data(system, S1F2, false, SESSION), &[], &[]);
        }
    }
}

/// The dialogue of HSMS-SS in this role.
///
/// # Panics
/// Where the machine does not say what it has to.
#[must_use]
pub fn single(mode: ConnectMode, entity: Entity) -> Dialogue<Connection> {
    let theirs = |number| SystemBytes(THEIRS + 0x200 + number);
    let active = mode == ConnectMode::Active;
    let mut dialogue =
        Dialogue::begin(format!("HSMS-SS, {mode:?}, {entity:?}"), Connection::<4>::new(config(mode, entity)));
    dialogue.tell(Input::SetNextSystemBytes(SystemBytes(u32::MAX - 5)));
    dialogue.tell(Input::Enable);
    // Nobody is there, or the port is taken.
    dialogue.tell(Input::Handle(Event::TransportFailed));
    dialogue.open();
    dialogue.is(State::NotSelected);
    // Before the selection: a linktest, and data that is not yet welcome.
    let request = active.then(|| dialogue.last_sent(SType::SELECT_REQ));
    dialogue.hear_in_two(Header::linktest_req(theirs(1)), &[], 2, &[Header::linktest_rsp(theirs(1))]);
    let early = Header::data(theirs(2), S1F1, true, SESSION);
    let reject = Header::reject_req(early.system, 0, RejectReason::ENTITY_NOT_SELECTED);
    dialogue.hear_in_two(early, b"too early", PREFIX_LEN, &[reject]);
    dialogue.hear(
        Header::deselect_req(theirs(3)),
        &[],
        &[Header::deselect_rsp(theirs(3)).with_status(DeselectStatus::COMMUNICATION_NOT_ESTABLISHED.0)],
    );
    match request {
        Some(request) => dialogue.hear(Header::select_rsp(request.system), &[], &[]),
        None => dialogue.hear(Header::select_req(theirs(4)), &[], &[Header::select_rsp(theirs(4))]),
    }
    dialogue.is(State::Selected);
    dialogue.data();
    dialogue.control();
    // Selected twice, which is refused; then deselected, which the passive end survives.
    let already = Header::select_rsp(theirs(5)).with_status(SelectStatus::COMMUNICATION_ALREADY_ACTIVE.0);
    dialogue.hear(Header::select_req(theirs(5)), &[], &[already]);
    dialogue.ask(S1F1, true, 6);
    dialogue.hear(Header::deselect_req(theirs(6)), &[], &[Header::deselect_rsp(theirs(6))]);
    if active {
        dialogue.is(State::NotConnected);
        dialogue.open();
        // The passive end asks at the same time.
        let request = dialogue.last_sent(SType::SELECT_REQ);
        dialogue.hear(Header::select_req(theirs(7)), &[], &[Header::select_rsp(theirs(7))]);
        dialogue.hear(Header::select_rsp(request.system), &[], &[]);
    } else {
        dialogue.is(State::NotSelected);
        dialogue.hear(Header::select_req(theirs(8)), &[], &[Header::select_rsp(theirs(8))]);
    }
    dialogue.is(State::Selected);
    dialogue.ask(S1F1, true, 6);
    // The peer separates; then we do.
    dialogue.hear(Header::separate_req(theirs(9)), &[], &[]);
    dialogue.is(State::NotConnected);
    dialogue.open();
    if active {
        let request = dialogue.last_sent(SType::SELECT_REQ);
        dialogue.hear(Header::select_rsp(request.system), &[], &[]);
    } else {
        dialogue.hear(Header::select_req(theirs(10)), &[], &[Header::select_rsp(theirs(10))]);
    }
    dialogue.ask(S6F11, false, 12);
    dialogue.tell(Input::Separate);
    dialogue.last_sent(SType::SEPARATE_REQ);
    dialogue.open();
    if active {
        let request = dialogue.last_sent(SType::SELECT_REQ);
        dialogue.hear(Header::select_rsp(request.system), &[], &[]);
    } else {
        dialogue.hear(Header::select_req(theirs(11)), &[], &[Header::select_rsp(theirs(11))]);
    }
    dialogue.tell(Input::Disable);
    dialogue.last_sent(SType::SEPARATE_REQ);
    dialogue
}

/// The dialogue of HSMS-GS in this role.
///
/// # Panics
/// Where the machine does not say what it has to.
#[must_use]
pub fn general(mode: ConnectMode, entity: Entity) -> Dialogue<Connection<4, General<4>>> {
    let theirs = |number| SystemBytes(THEIRS + 0x300 + number);
    let list = [
        SessionEntity::offered(SESSION),
        SessionEntity { wanted: true, ..SessionEntity::offered(OTHER) },
        SessionEntity::offered(ASKED).with_admission(Admission::Ask),
    ];
    let sessions = General::new(&list).expect("three ids");
    let mut dialogue =
        Dialogue::begin(format!("HSMS-GS, {mode:?}, {entity:?}"), Connection::general(config(mode, entity), sessions));
    dialogue.tell(Input::Enable);
    // Nobody is there, or the port is taken.
    dialogue.tell(Input::Handle(Event::TransportFailed));
    dialogue.open();
    // Each end asks for what it wants; what nobody offers, and data of no session, is refused.
    let request = dialogue.last_sent(SType::SELECT_REQ);
    assert_eq!(request.session, OTHER);
    dialogue.hear_in_two(Header::linktest_req(theirs(1)), &[], 2, &[Header::linktest_rsp(theirs(1))]);
    let early = Header::data(theirs(2), S1F1, true, SESSION);
    let reject = Header::reject_req(theirs(2), 0, RejectReason::ENTITY_NOT_SELECTED).with_session(SESSION);
    dialogue.hear_in_two(early, b"too early", PREFIX_LEN, &[reject]);
    let nobody = Header::select_req(theirs(3)).with_session(SessionId(9));
    let refused = Header::select_rsp(theirs(3)).with_session(SessionId(9)).with_status(SelectStatus::NO_SUCH_ENTITY.0);
    dialogue.hear(nobody, &[], &[refused]);
    dialogue.hear(Header::select_rsp(request.system).with_session(OTHER), &[], &[]);
    dialogue.is(State::Selected);
    let select = Header::select_req(theirs(4)).with_session(SESSION);
    dialogue.hear(select, &[], &[Header::select_rsp(theirs(4)).with_session(SESSION)]);
    dialogue.data();
    dialogue.control();
    // The application decides.
    dialogue.hear(Header::select_req(theirs(5)).with_session(ASKED), &[], &[]);
    let status = SelectStatus::COMMUNICATION_ESTABLISHED;
    dialogue.tell_general(GeneralInput::AnswerSelect { session: ASKED, status });
    assert_eq!(dialogue.last_sent(SType::SELECT_RSP).session, ASKED);
    // A busy session stays; then it ends, by us and by the peer, by Deselect and by Separate, with a request open.
    dialogue.tell_general(GeneralInput::SetBusy { session: ASKED, busy: true });
    let deselect = Header::deselect_req(theirs(6)).with_session(ASKED);
    let busy = Header::deselect_rsp(theirs(6)).with_session(ASKED).with_status(DeselectStatus::COMMUNICATION_BUSY.0);
    dialogue.hear(deselect, &[], &[busy]);
    dialogue.tell_general(GeneralInput::SeparateSession(ASKED));
    dialogue.last_sent(SType::SEPARATE_REQ);
    dialogue.tell_general(GeneralInput::DeselectSession(OTHER));
    let request = dialogue.last_sent(SType::DESELECT_REQ);
    dialogue.hear(Header::deselect_rsp(request.system).with_session(OTHER), &[], &[]);
    dialogue.ask(S1F1, true, 6);
    let deselect = Header::deselect_req(theirs(7)).with_session(SESSION);
    dialogue.hear(deselect, &[], &[Header::deselect_rsp(theirs(7)).with_session(SESSION)]);
    dialogue.is(State::NotSelected);
    // Both ends select the same at once.
    dialogue.tell_general(GeneralInput::SelectSession(SESSION));
    let request = dialogue.last_sent(SType::SELECT_REQ);
    let select = Header::select_req(theirs(8)).with_session(SESSION);
    dialogue.hear(select, &[], &[Header::select_rsp(theirs(8)).with_session(SESSION)]);
    dialogue.hear(Header::select_rsp(request.system).with_session(SESSION), &[], &[]);
    dialogue.is(State::Selected);
    dialogue.ask(S1F1, true, 6);
    dialogue.hear(Header::separate_req(theirs(9)).with_session(SESSION), &[], &[]);
    dialogue.is(State::NotSelected);
    let select = Header::select_req(theirs(10)).with_session(OTHER);
    dialogue.hear(select, &[], &[Header::select_rsp(theirs(10)).with_session(OTHER)]);
    dialogue.tell(Input::Separate);
    dialogue.last_sent(SType::SEPARATE_REQ);
    dialogue.open();
    let request = dialogue.last_sent(SType::SELECT_REQ);
    dialogue.hear(Header::select_rsp(request.system).with_session(OTHER), &[], &[]);
    dialogue.tell(Input::Disable);
    dialogue.last_sent(SType::SEPARATE_REQ);
    dialogue
}
