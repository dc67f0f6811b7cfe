//! HSMS-SS as sheets: what `transition` is asked, in all situations.

mod checks;
mod machine;

use super::{Axis, Block, Cause, Cell, Outcome, Part, Point, Sheet};
use crate::config::{DeviceId, Entity};
use crate::connection::transition::{
    self, Answer, Course, Matched, Next, Place, Received, Report, Situation, Step, happened, reply_timeout,
};
use crate::connection::{Class, CloseReason, ControlRequest, Event, Input, Leniency, State, Stream9, TransactionEnd};
use crate::wire::{Header, Kind, PType, RejectReason, SType, SelectStatus, SessionId, StreamFunction, SystemBytes};
use core::fmt::Debug;
use machine::Machine;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

pub(super) static ENTITY: Axis = Axis::new(&["equipment", "host"]);
pub(super) static STREAM: Axis = Axis::new(&["not stream 9", "stream 9"]);
pub(super) static ABOUT: Axis = Axis::new(&["neither stream 9 nor F0", "stream 9 or F0"]);
static DEVICE: Axis = Axis::new(&["our device id", "foreign device id"]);
static BIT_15: Axis = Axis::new(&["bit 15 clear", "bit 15 set"]);
static SESSION: Axis = Axis::new(&["session id FFFF", "other session id"]);
pub(super) static STATUS: Axis =
    Axis { values: &["status 0", "status 1", "status 2 to 255"], others: &[Some("status 1 to 255"), None, None] };
pub(super) static TEXT: Axis = Axis {
    values: &["without text", "with 1 to 64 octets of text", "with 65 or more octets of text"],
    others: &[Some("with text"), None, Some("with up to 64 octets of text")],
};
pub(super) static LENGTH: Axis = Axis::new(&["up to skip_limit", "beyond skip_limit"]);
static MATCH: Axis = Axis {
    values: &[
        "for nothing of ours",
        "for what has ended",
        "for our Select.req",
        "for our Linktest.req",
        "our primary's reply",
        "for our primary, not its reply",
    ],
    others: &[
        None,
        None,
        Some("not for our Select.req"),
        Some("not for our Linktest.req"),
        Some("not our primary's reply"),
        Some("not for our primary"),
    ],
};
pub(super) static SELECTS: Axis = Axis::new(&["set to select on connect", "set to select on command"]);
static CONTROL: Axis = Axis::new(&["no request open", "our Select.req open", "our Linktest.req open"]);
pub(super) static MISSED: Axis = Axis::new(&["below linktest_threshold", "linktest_threshold reached"]);

const MATCHES: [Matched; 6] = [
    Matched::Nothing,
    Matched::Ended,
    Matched::Control(ControlRequest::Select),
    Matched::Control(ControlRequest::Linktest),
    Matched::Reply,
    Matched::Primary,
];

pub(super) const MAX_MESSAGE: u32 = 500;
pub(super) const SKIP_LIMIT: u32 = 2_000;

/// One end of a connection, as far as it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Active,
    Passive,
    SecondCaller,
}

impl Role {
    const fn active(self) -> bool {
        matches!(self, Role::Active)
    }

    const fn refusing(self) -> bool {
        matches!(self, Role::SecondCaller)
    }

    const fn situation(self, state: State, strict: bool, equipment: bool) -> Situation {
        Situation { state, active: self.active(), equipment, strict, refusing: self.refusing() }
    }
}

/// The tables of an active side, of a passive side, and of a connection that refuses a caller.
pub(super) fn sheets() -> [Sheet; 3] {
    let sheet = |title, role| Sheet {
        title,
        parts: Vec::from([
            Part { heading: "Calls, events and timers: both profiles", profiles: (true, true), blocks: outside(role) },
            Part {
                heading: "Received messages: lenient profile, the default",
                profiles: (true, false),
                blocks: received(role, false),
            },
            Part {
                heading: "Received messages: strict profile",
                profiles: (false, true),
                blocks: received(role, true),
            },
        ]),
    };
    [
        sheet("HSMS-SS, active side", Role::Active),
        sheet("HSMS-SS, passive side", Role::Passive),
        sheet("HSMS-SS, passive side, caller beyond the first", Role::SecondCaller),
    ]
}

pub(super) const fn name(place: Place) -> &'static str {
    match place {
        Place::Disabled => "Disabled",
        Place::Waiting => "Waiting",
        Place::Opening => "Opening",
        Place::NotSelected => "NOT SELECTED",
        Place::Selected => "SELECTED",
    }
}

// Received messages.

/// Received messages by what the table tells apart; the axes in the order in which rows are split.
const MESSAGES: [(&str, &[&Axis]); 15] = [
    ("data: primary", &[&DEVICE, &STREAM, &BIT_15, &ENTITY, &MATCH]),
    ("data: reply", &[&DEVICE, &STREAM, &MATCH, &BIT_15, &ENTITY]),
    ("data: abort (F0)", &[&DEVICE, &STREAM, &MATCH, &BIT_15, &ENTITY]),
    ("Select.req", &[&TEXT, &SESSION, &MATCH, &ENTITY]),
    ("Select.rsp", &[&TEXT, &MATCH, &STATUS, &ENTITY]),
    ("Deselect.req", &[&TEXT, &MATCH, &ENTITY]),
    ("Deselect.rsp", &[&TEXT, &MATCH, &STATUS, &ENTITY]),
    ("Linktest.req", &[&TEXT, &MATCH, &ENTITY]),
    ("Linktest.rsp", &[&TEXT, &MATCH, &ENTITY]),
    ("Reject.req", &[&TEXT, &MATCH, &ENTITY]),
    ("Separate.req", &[&TEXT, &MATCH, &ENTITY]),
    ("unknown PType", &[&TEXT, &MATCH, &ENTITY]),
    ("unknown SType", &[&TEXT, &MATCH, &ENTITY]),
    ("too long: data", &[&ENTITY, &LENGTH, &DEVICE, &ABOUT, &MATCH, &BIT_15]),
    ("too long: other", &[&MATCH, &LENGTH, &ENTITY]),
];

fn received(role: Role, strict: bool) -> Vec<Block> {
    let causes = |state| {
        let cause = |(cause, axes): &(&'static str, &[&'static Axis])| {
            Cause::new(cause, axes, |point| {
                let at = role.situation(state, strict, point.get(&ENTITY) == 0);
                let matched = MATCHES[point.get(&MATCH)];
                let set = point.get(&BIT_15) == 1;
                match never(role, at, cause, matched, point.get(&DEVICE) == 0, set) {
                    Some(reason) => Cell::Never(reason),
                    None => Cell::Outcome(ask(at, &example(cause, point), length(cause, point))),
                }
            })
        };
        MESSAGES.iter().map(cause).collect()
    };
    Vec::from([
        Block { state: "NOT SELECTED", causes: causes(State::NotSelected) },
        Block { state: "SELECTED", causes: causes(State::Selected) },
    ])
}

/// Why a message that is told apart like this is never received; what the machine looks up depends on the message.
fn never(
    role: Role,
    at: Situation,
    cause: &str,
    matched: Matched,
    known_device: bool,
    direction_bit: bool,
) -> Option<&'static str> {
    let selected = at.state == State::Selected;
    let data = cause.contains("data");
    Some(match matched {
        _ if role == Role::SecondCaller && selected => "a caller beyond the first is never SELECTED",
        _ if direction_bit && at.strict => "the strict profile reads bit 15 as a part of the device id",
        _ if direction_bit && !known_device => "bit 15 is cleared only where that gives a device id of ours",
        Matched::Control(_) if data => "data is matched with our primaries only",
        Matched::Reply if !data => "control messages are not matched as replies to data",
        Matched::Control(ControlRequest::Select) if !role.active() => "only the active side sends Select.req",
        Matched::Control(ControlRequest::Select) if selected && at.strict => {
            "in the strict profile Select.req has been answered once SELECTED"
        }
        Matched::Control(ControlRequest::Linktest) if !selected => "our linktest ends with SELECTED",
        Matched::Reply | Matched::Primary if !selected => "our transactions end with SELECTED",
        _ => return None,
    })
}

/// A message that `point` of `cause` stands for.
fn example(cause: &str, point: Point<'_>) -> Received {
    let stream = [1, 9][point.get(&STREAM)];
    let status = [0, 1, 2][point.get(&STATUS)];
    let (ptype, stype, byte2, byte3) = match cause {
        "data: primary" => (0, 0, 0x80 | stream, 1),
        "data: reply" => (0, 0, stream, 2),
        "data: abort (F0)" => (0, 0, stream, 0),
        "too long: data" => (0, 0, [1, 9][point.get(&ABOUT)], 2),
        "Select.req" => (0, 1, 0, 0),
        "Select.rsp" => (0, 2, 0, status),
        "Deselect.req" => (0, 3, 0, 0),
        "Deselect.rsp" => (0, 4, 0, status),
        "Linktest.req" => (0, 5, 0, 0),
        "Linktest.rsp" | "too long: other" => (0, 6, 0, 0),
        "Reject.req" => (0, 7, 0, 3),
        "Separate.req" => (0, 9, 0, 0),
        "unknown PType" => (1, 0, 0, 0),
        "unknown SType" => (0, 11, 0, 0),
        _ => panic!("{cause} is no message"),
    };
    let direction_bit = point.get(&BIT_15) == 1;
    let session = match (stype, direction_bit, point.get(&SESSION)) {
        (0, true, _) => 0x8001,
        (0, false, _) | (_, _, 1) => 0x0001,
        _ => 0xFFFF,
    };
    let header = Header {
        session: SessionId(session),
        byte2,
        byte3,
        ptype: PType(ptype),
        stype: SType(stype),
        system: SystemBytes(1),
    };
    let body_len = [0, 64, 65][point.get(&TEXT)];
    message(&header, body_len, MATCHES[point.get(&MATCH)], point.get(&DEVICE) == 0, direction_bit)
}

pub(super) fn message(
    header: &Header,
    body_len: u32,
    matched: Matched,
    known_device: bool,
    direction_bit: bool,
) -> Received {
    Received {
        kind: header.kind(),
        session: header.session,
        ptype: header.ptype,
        stype: header.stype,
        body_len,
        matched,
        known_device,
        direction_bit,
    }
}

/// The length field of a message that is too long.
fn length(cause: &str, point: Point<'_>) -> Option<u32> {
    cause.starts_with("too long").then(|| [SKIP_LIMIT, SKIP_LIMIT + 1][point.get(&LENGTH)])
}

fn ask(at: Situation, message: &Received, length: Option<u32>) -> Outcome {
    let mut step = transition::received(at, message);
    if let Some(length) = length {
        step = transition::NOTHING;
        transition::too_long(&mut step, at, message, length, MAX_MESSAGE, SKIP_LIMIT);
    }
    describe(at, message, length, &step)
}

/// `step` in words. A value that is the message's own is left out, since it says no more than its name.
pub(super) fn describe(at: Situation, message: &Received, length: Option<u32>, step: &Step) -> Outcome {
    let text = |stype, body_len| stype == message.stype && body_len == message.body_len;
    let is_reason = |given| matches!(message.kind, Ok(Kind::RejectReq { reason, .. }) if reason == given);
    let class = match step.class {
        Class::Rejected(reason) if step.answer == Answer::Reject(reason) => "Rejected".to_string(),
        class => format!("{class:?}"),
    };
    let report = match step.report {
        Report::None => String::new(),
        Report::ControlAnswered => "our request is answered".to_string(),
        Report::StrayReject => "told: RejectReceived".to_string(),
        Report::Ended(end) => {
            let own = match end {
                TransactionEnd::Rejected(reason) => is_reason(reason),
                TransactionEnd::ReplyTooLong { length: given } => Some(given) == length,
                TransactionEnd::T3 | TransactionEnd::SessionEnded => false,
            };
            format!("our primary ends: {}", bare(&end, own))
        }
    };
    let leniency = step.lenient.map_or(String::new(), |leniency| {
        let own = match leniency {
            Leniency::SelectSession(id) | Leniency::SimultaneousSelect(id) | Leniency::DirectionBit(id) => {
                id == message.session
            }
            Leniency::ControlText { stype, body_len } => text(stype, body_len),
            Leniency::RejectText { body_len } => body_len == message.body_len,
            Leniency::Deselect
            | Leniency::DeselectNotSelected
            | Leniency::LinktestNotSelected
            | Leniency::LinktestExtended => false,
        };
        bare(&leniency, own)
    });
    let (next, close) = match step.next {
        Next::Stay => (String::new(), String::new()),
        Next::Selected => (name(Place::Selected).to_string(), String::new()),
        Next::NotSelected => (name(Place::NotSelected).to_string(), String::new()),
        Next::Close(reason) => {
            let own = match reason {
                CloseReason::SelectRefused(status) => message.kind == Ok(Kind::SelectRsp(status)),
                CloseReason::SelectRejected(reason) => is_reason(reason),
                CloseReason::LengthTooLong { length: given, limit } => Some(given) == length && limit == MAX_MESSAGE,
                CloseReason::UnexpectedMessage(stype) | CloseReason::UnknownSType(stype) => stype == message.stype,
                CloseReason::UnknownPType(ptype) => ptype == message.ptype,
                CloseReason::ControlText { stype, body_len } => text(stype, body_len),
                _ => false,
            };
            let place = if at.state == State::Selected { Place::Selected } else { Place::NotSelected };
            let cause = transition::Cause::Broken(reason);
            // The closing itself is decided by the other half of the table.
            let outcome = course(happened(place, at.active, true, at.refusing, cause), None);
            assert_eq!((outcome.answer.as_str(), outcome.class.as_str()), ("", ""));
            assert_eq!(outcome.close, head(&reason));
            (outcome.next, bare(&reason, own))
        }
    };
    Outcome { class, answer: answer(step.answer), report, leniency, next, close, row: "" }
}

pub(super) fn answer(answer: Answer) -> String {
    match answer {
        Answer::None => String::new(),
        Answer::Select(status) => format!("Select.rsp {}", status.0),
        Answer::Deselect(status) => format!("Deselect.rsp {}", status.0),
        Answer::Linktest => "Linktest.rsp".to_string(),
        Answer::Reject(reason) => format!("Reject.req {}", reason.0),
        Answer::Stream9(function) => format!("S9F{function}"),
    }
}

/// The name of a value without what is in it.
pub(super) fn head(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    text.split(['(', ' ']).next().unwrap_or_default().to_string()
}

/// The name of a value; what is in it only where that is not `own`, the message's.
pub(super) fn bare(value: &impl Debug, own: bool) -> String {
    if own { head(value) } else { format!("{value:?}") }
}

// What happens outside.

/// What comes of a course; a refusal has the name of the error that the call gives.
pub(super) fn course(course: Course, refusal: Option<String>) -> Outcome {
    let mut outcome = Outcome::default();
    let next = match course {
        Course::Stay => return outcome,
        Course::Refuse => {
            outcome.class = format!("refused: {}", refusal.unwrap_or_default());
            return outcome;
        }
        Course::Attempt | Course::Retry => Place::Waiting,
        Course::GiveUp => Place::Disabled,
        Course::Connected { t7, select } => {
            outcome.answer = if select { "Select.req".to_string() } else { String::new() };
            outcome.report = if t7 { "T7 starts".to_string() } else { String::new() };
            Place::NotSelected
        }
        Course::Close { reason, farewell, again } => {
            outcome.answer = if farewell { "Separate.req".to_string() } else { String::new() };
            outcome.close = match reason {
                CloseReason::T6(_) => format!("{reason:?}"),
                _ => head(&reason),
            };
            if again { Place::Waiting } else { Place::Disabled }
        }
    };
    match course {
        Course::Attempt => outcome.report = "OpenTransport as T5 allows".to_string(),
        Course::Retry => outcome.report = "T5 starts".to_string(),
        _ => {}
    }
    outcome.next = name(next).to_string();
    outcome
}

pub(super) const PLACES: [Place; 5] =
    [Place::Disabled, Place::Waiting, Place::Opening, Place::NotSelected, Place::Selected];

/// What a call or event of the machine amounts to in the table.
pub(super) const CALLS: [(&str, Input<'static>, transition::Cause); 7] = [
    ("enable", Input::Enable, transition::Cause::Enable),
    ("disable", Input::Disable, transition::Cause::Disable),
    ("separate", Input::Separate, transition::Cause::Separate),
    ("TransportOpen", Input::Handle(Event::TransportOpen), transition::Cause::Opened),
    ("TransportFailed", Input::Handle(Event::TransportFailed), transition::Cause::OpenFailed),
    ("TransportClosed", Input::Handle(Event::TransportClosed), transition::Cause::Broken(CloseReason::TransportClosed)),
    ("abort_body", Input::AbortBody, transition::Cause::Broken(CloseReason::BodyAborted)),
];

/// What ends a connection by itself.
const ENDS: [(&str, CloseReason); 5] = [
    ("T7 expires", CloseReason::T7),
    ("T8 expires", CloseReason::T8 { received: 4 }),
    ("length below 10", CloseReason::LengthTooShort { length: 9 }),
    ("0x05 as length", CloseReason::LooksLikeSecsI),
    ("held output full", CloseReason::OutputStalled),
];

fn outside(role: Role) -> Vec<Block> {
    PLACES.iter().map(|place| Block { state: name(*place), causes: happenings(role, *place) }).collect()
}

fn happenings(role: Role, place: Place) -> Vec<Cause> {
    let connected = matches!(place, Place::NotSelected | Place::Selected);
    let absent = absent(role, place);
    let ask = move |on_connect, cause, refusal| {
        course(happened(place, role.active(), on_connect, role.refusing(), cause), refusal)
    };
    let never_or = |reason: Option<&'static str>, outcome: &dyn Fn() -> Outcome| match absent.or(reason) {
        Some(reason) => Cell::Never(reason),
        None => Cell::Outcome(outcome()),
    };
    let apart = (!connected).then_some("there is no connection");
    let unselected = (place != Place::Selected).then_some("what is open ends with SELECTED");
    // A text outlives SELECTED where Deselect.req leads back to NOT SELECTED.
    let textless = (place != Place::Selected && role != Role::Passive).then_some("a text is begun while SELECTED");
    let mut causes = Vec::new();
    for (call, input, cause) in &CALLS {
        let held = matches!(cause, transition::Cause::Broken(CloseReason::BodyAborted)) && connected;
        let impossible = textless.filter(|_| held);
        causes.push(Cause::new(call, &[&SELECTS], |point| {
            never_or(impossible, &|| {
                let mut machine = Machine::new(role, place, Entity::Host, point.get(&SELECTS) == 0);
                ask(point.get(&SELECTS) == 0, *cause, machine.tell(input.clone()).err())
            })
        }));
    }
    causes.push(Cause::new("T5 expires", &[&SELECTS], |point| {
        let runs = (place != Place::Waiting).then_some("T5 runs in Waiting");
        never_or(runs, &|| ask(point.get(&SELECTS) == 0, transition::Cause::SeparationOver, None))
    }));
    causes.push(Cause::new("T6 of Select.req expires", &[&SELECTS], |point| {
        let active = (!role.active()).then_some("only the active side sends Select.req");
        let cause = transition::Cause::Broken(CloseReason::T6(ControlRequest::Select));
        never_or(active.or(apart), &|| ask(point.get(&SELECTS) == 0, cause, None))
    }));
    causes.push(Cause::new("T6 of Linktest.req expires", &[&MISSED], |point| {
        never_or(unselected, &|| match linktest_missed(point.get(&MISSED) == 1) {
            Next::Close(reason) => ask(true, transition::Cause::Broken(reason), None),
            _ => Outcome::default(),
        })
    }));
    for (end, reason) in ENDS {
        let impossible = match reason {
            CloseReason::T7 if connected => (place == Place::Selected).then_some("T7 runs in NOT SELECTED"),
            CloseReason::OutputStalled => apart.or(textless),
            _ => apart,
        };
        causes.push(Cause::new(end, &[&SELECTS], |point| {
            never_or(impossible, &|| ask(point.get(&SELECTS) == 0, transition::Cause::Broken(reason), None))
        }));
    }
    causes.push(Cause::new("T3 expires", &[&ENTITY, &STREAM], |point| {
        never_or(unselected, &|| t3_expires(role, entity(point), [1, 9][point.get(&STREAM)]))
    }));
    causes.extend(commands(role, place, absent));
    // Only the lenient profile knows a Select.req that is open while SELECTED, and a text that is while NOT SELECTED.
    let lenient: &[&str] = match place {
        Place::Selected => &["T6 of Select.req expires"],
        Place::NotSelected => &["abort_body", "held output full"],
        _ => &[],
    };
    let strict = |cause: Cause| if lenient.contains(&cause.name) { cause.lenient_profile() } else { cause };
    causes.into_iter().map(strict).collect()
}

/// Why a connection of this role is never in this place.
fn absent(role: Role, place: Place) -> Option<&'static str> {
    match (role, place) {
        (Role::SecondCaller, Place::Waiting) => Some("a caller beyond the first is there or gone"),
        (Role::SecondCaller, Place::Selected) => Some("a caller beyond the first is never SELECTED"),
        _ => None,
    }
}

fn entity(point: Point<'_>) -> Entity {
    if point.get(&ENTITY) == 0 { Entity::Equipment } else { Entity::Host }
}

fn linktest_missed(reached: bool) -> Next {
    let (missed, threshold) = if reached { (2, 2) } else { (1, 2) };
    transition::linktest_missed(missed, threshold)
}

/// T3 is watched in a machine that waits for a reply.
fn t3_expires(role: Role, entity: Entity, stream: u8) -> Outcome {
    let mut machine = Machine::new(role, Place::Selected, entity, false);
    let stream_function = StreamFunction::new(stream, 1);
    machine.begin_primary(stream_function);
    machine.now = machine.connection.next_deadline().expect("T3 runs");
    let sent = machine.tell(Input::Handle(Event::Timeout)).expect("time passes");
    let situation = role.situation(State::Selected, false, entity == Entity::Equipment);
    assert_eq!(
        (sent.answer.as_str(), sent.next.as_str()),
        (answer(reply_timeout(situation, stream_function)).as_str(), "")
    );
    // E37.1 counts this as a transition from SELECTED to SELECTED.
    Outcome { next: name(Place::Selected).to_string(), ..sent }
}

/// What the application asks for beside; a machine in this place answers.
fn commands(role: Role, place: Place, absent: Option<&'static str>) -> Vec<Cause> {
    let command = |call: &'static str, axes: &[&'static Axis], input: &dyn Fn() -> Input<'static>| {
        Cause::new(call, axes, |point| {
            let open = match point.get(&CONTROL) {
                1 if !role.active() => Some("only the active side sends Select.req"),
                1 if !matches!(place, Place::NotSelected | Place::Selected) => Some("there is no connection"),
                2 if place != Place::Selected => Some("a linktest begins while SELECTED"),
                _ => None,
            };
            if let Some(reason) = absent.or(open) {
                return Cell::Never(reason);
            }
            let mut machine = Machine::new(role, place, entity(point), false);
            match point.get(&CONTROL) {
                1 if place == Place::Selected => drop(machine.select_both_ways(entity(point))),
                1 => drop(machine.select()),
                2 => drop(machine.tell(Input::Linktest).expect("SELECTED")),
                _ => {}
            }
            Cell::Outcome(
                machine
                    .tell(input())
                    .unwrap_or_else(|error| Outcome { class: format!("refused: {error}"), ..Outcome::default() }),
            )
        })
    };
    let primary = || Input::BeginPrimary {
        device: DeviceId::new(1).expect("15 bits"),
        stream_function: StreamFunction::new(1, 1),
        reply_expected: true,
        body_len: 0,
    };
    let about = Header::data(SystemBytes(1), StreamFunction::new(1, 1), true, SessionId(1));
    let poll = Cause::new("poll_action after T5", &[&ENTITY], |point| match absent {
        Some(reason) => Cell::Never(reason),
        None => {
            let mut machine = Machine::new(role, place, entity(point), false);
            if place == Place::Waiting {
                machine.now = machine.connection.next_deadline().expect("T5 runs");
                machine.connection.handle(machine.now, Event::Timeout).expect("time passes");
            }
            Cell::Outcome(machine.drain(place))
        }
    });
    Vec::from([
        poll,
        command("select", &[&CONTROL], &|| Input::Select),
        command("linktest", &[&CONTROL], &|| Input::Linktest),
        command("begin_primary", &[], &primary),
        command("report_error", &[&ENTITY], &move || Input::ReportError { error: Stream9::IllegalData, about }),
        command("receive", &[], &|| Input::Receive(&[0])),
    ])
}
