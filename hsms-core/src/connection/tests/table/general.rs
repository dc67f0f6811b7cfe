//! HSMS-GS as a sheet: what `general` is asked, about a session in all its states. Both ends of a connection do the same.

mod calls;
mod checks;
mod machine;

use super::ss::{
    ABOUT, ENTITY, LENGTH, MAX_MESSAGE, SKIP_LIMIT, STATUS, TEXT, answer, describe, head, message as received_message,
    name,
};
use super::{Axis, Block, Cause, Cell, Outcome, Part, Point, Sheet};
use crate::connection::general::{self, Change, Session, SessionStep};
use crate::connection::transition::{self, Matched, Place, Received, Situation};
use crate::connection::{Admission, ControlRequest, SessionEnd, SessionRefusal, State};
use crate::wire::{Header, Kind, PType, SType, SelectStatus, SessionId, SystemBytes};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

static SELECTED: Axis = Axis::new(&["session selected", "session not selected"]);
static OTHERS: Axis = Axis::new(&["no other selected", "another selected"]);
static OFFERED: Axis = Axis::new(&["offered", "not offered"]);
static OWN: Axis = Axis {
    values: &["no request of ours open", "our Select.req open", "our Deselect.req open"],
    others: &[None, Some("no Select.req of ours open"), Some("no Deselect.req of ours open")],
};
static ASKED: Axis = Axis::new(&["no earlier one undecided", "an earlier one undecided"]);
static WAITS: Axis = Axis::new(&["no Select.req of the peer's undecided", "a Select.req of the peer's undecided"]);
static ADMISSION: Axis = Axis::new(&["admission always", "admission ask", "admission refuse"]);
static BUSY: Axis = Axis::new(&["not busy", "busy"]);
static EITHER: Axis = Axis::new(&["the first, and or_single", "otherwise"]);
static DIALLED: Axis = Axis::new(&["active side", "passive side"]);
static MATCH: Axis = Axis {
    values: &[
        "for nothing of ours",
        "for what has ended",
        "for our Select.req",
        "for our moot Select.req",
        "for our Deselect.req",
        "for our moot Deselect.req",
        "for our Linktest.req",
        "our primary's reply",
        "for our primary, not its reply",
    ],
    others: &[
        None,
        None,
        Some("not for our Select.req"),
        Some("not for our moot Select.req"),
        Some("not for our Deselect.req"),
        Some("not for our moot Deselect.req"),
        Some("not for our Linktest.req"),
        Some("not our primary's reply"),
        Some("not for our primary"),
    ],
};

/// With whether the request is moot.
const MATCHES: [(Matched, bool); 9] = [
    (Matched::Nothing, false),
    (Matched::Ended, false),
    (Matched::Control(ControlRequest::Select), false),
    (Matched::Control(ControlRequest::Select), true),
    (Matched::Control(ControlRequest::Deselect), false),
    (Matched::Control(ControlRequest::Deselect), true),
    (Matched::Control(ControlRequest::Linktest), false),
    (Matched::Reply, false),
    (Matched::Primary, false),
];

/// The session that messages are about.
const SESSION: SessionId = SessionId(0x8001);
/// A status that no rule of the machine gives.
const REFUSAL: SelectStatus = SelectStatus(77);

/// The table of either end of a connection.
pub(super) fn sheet() -> Sheet {
    of(true)
}

fn of(active: bool) -> Sheet {
    Sheet {
        title: "HSMS-GS, either side",
        parts: Vec::from([
            Part {
                heading: "Calls, events and timers: both profiles",
                profiles: (true, true),
                blocks: calls::blocks(active),
            },
            Part {
                heading: "Received messages: lenient profile, the default",
                profiles: (true, false),
                blocks: received(active, false),
            },
            Part {
                heading: "Received messages: strict profile",
                profiles: (false, true),
                blocks: received(active, true),
            },
        ]),
    }
}

/// Received messages by what the table tells apart; the axes in the order in which rows are split.
const MESSAGES: [(&str, &[&Axis]); 15] = [
    ("data: primary", &[&SELECTED, &OTHERS]),
    ("data: reply", &[&SELECTED, &OTHERS, &MATCH]),
    ("data: abort (F0)", &[&SELECTED, &OTHERS, &MATCH]),
    ("Select.req", &[&TEXT, &SELECTED, &OWN, &OFFERED, &ASKED, &ADMISSION, &OTHERS]),
    ("Select.rsp", &[&TEXT, &MATCH, &STATUS, &WAITS, &SELECTED, &OTHERS]),
    ("Deselect.req", &[&TEXT, &SELECTED, &BUSY, &OWN, &OTHERS]),
    ("Deselect.rsp", &[&TEXT, &MATCH, &STATUS, &SELECTED, &OTHERS]),
    ("Linktest.req", &[&TEXT, &SELECTED, &OTHERS]),
    ("Linktest.rsp", &[&TEXT, &MATCH, &SELECTED, &OTHERS]),
    ("Reject.req", &[&TEXT, &MATCH, &SELECTED, &OTHERS]),
    ("Separate.req", &[&TEXT, &SELECTED, &OTHERS]),
    ("unknown PType", &[&TEXT, &SELECTED, &OTHERS]),
    ("unknown SType", &[&TEXT, &SELECTED, &OTHERS]),
    ("too long: data", &[&SELECTED, &ENTITY, &LENGTH, &ABOUT, &OTHERS, &MATCH]),
    ("too long: other", &[&LENGTH, &ENTITY, &SELECTED, &OTHERS]),
];

fn received(active: bool, strict: bool) -> Vec<Block> {
    let causes = |state| {
        let mut causes: Vec<_> = MESSAGES
            .iter()
            .map(|(cause, axes)| {
                Cause::new(cause, axes, |point| {
                    let case = Case::new(cause, point, state);
                    match case.never() {
                        Some(reason) => Cell::Never(reason),
                        None => Cell::Outcome(case.ask(active, strict)),
                    }
                })
            })
            .collect();
        if state == State::NotSelected {
            causes.push(Cause::new("Select.req FFFF", &[&EITHER, &DIALLED], |point| {
                Cell::Outcome(no_session(point.get(&EITHER) == 0, point.get(&DIALLED) == 0, strict))
            }));
        }
        causes
    };
    Vec::from([
        Block { state: "NOT SELECTED", causes: causes(State::NotSelected) },
        Block { state: "SELECTED", causes: causes(State::Selected) },
    ])
}

/// A request that names no session. `either`: it is the peer's first, and the list is for HSMS-SS as well.
fn no_session(either: bool, active: bool, strict: bool) -> Outcome {
    let at = Situation { state: State::NotSelected, active, equipment: true, strict, refusing: false };
    let message = received_message(&Header::select_req(SystemBytes(1)), 0, Matched::Nothing, true, false);
    if !either {
        return describe(at, &message, None, &general::received(at, &message, Session::UNKNOWN).step);
    }
    let outcome = describe(at, &message, None, &transition::received(at, &message));
    let row = if outcome.next == name(Place::Selected) { "4" } else { "" };
    let report = if row.is_empty() { String::new() } else { "goes on as HSMS-SS".to_string() };
    Outcome { report, row, ..outcome }
}

/// A message, what it is matched with, and where its session and the others are.
#[derive(Debug, Clone, Copy)]
struct Case {
    data: bool,
    state: State,
    equipment: bool,
    header: Header,
    body_len: u32,
    length: Option<u32>,
    matched: Matched,
    moot: bool,
    session: Session,
    /// Another session is selected.
    others: bool,
}

impl Case {
    fn new(cause: &str, point: Point<'_>, state: State) -> Self {
        let status = [0, 1, 2][point.get(&STATUS)];
        let stream = [1, 9][point.get(&ABOUT)];
        let (ptype, stype, byte2, byte3) = match cause {
            "data: primary" => (0, 0, 0x81, 1),
            "data: reply" | "too long: data" => (0, 0, stream, 2),
            "data: abort (F0)" => (0, 0, 1, 0),
            "Select.req" => (0, 1, 0, 0),
            "Select.rsp" => (0, 2, 0, status),
            "Deselect.req" => (0, 3, 0, 0),
            "Deselect.rsp" => (0, 4, 0, status),
            "Linktest.req" | "too long: other" => (0, 5, 0, 0),
            "Linktest.rsp" => (0, 6, 0, 0),
            "Reject.req" => (0, 7, 0, 3),
            "Separate.req" => (0, 9, 0, 0),
            "unknown PType" => (1, 0, 0, 0),
            "unknown SType" => (0, 11, 0, 0),
            _ => panic!("{cause} is no message"),
        };
        let (matched, moot) = MATCHES[point.get(&MATCH)];
        let own = match (matched, point.get(&OWN)) {
            (Matched::Control(ControlRequest::Linktest), _) => None,
            (Matched::Control(request), _) => Some(request).filter(|_| !moot),
            (_, own) => [None, Some(ControlRequest::Select), Some(ControlRequest::Deselect)][own],
        };
        let admission = [Admission::Always, Admission::Ask, Admission::Refuse(REFUSAL)][point.get(&ADMISSION)];
        let session = Session {
            offered: point.get(&OFFERED) == 0,
            selected: point.get(&SELECTED) == 0,
            requested: own,
            asked: point.get(&ASKED) == 1 || point.get(&WAITS) == 1,
            busy: point.get(&BUSY) == 1,
            admission,
        };
        let linktest = matches!(stype, 5 | 6);
        Case {
            data: stype == 0 && ptype == 0,
            state,
            equipment: point.get(&ENTITY) == 0,
            header: Header {
                session: if linktest { SessionId::CONTROL } else { SESSION },
                byte2,
                byte3,
                ptype: PType(ptype),
                stype: SType(stype),
                system: SystemBytes(1),
            },
            body_len: [0, 64, 65][point.get(&TEXT)],
            length: cause.starts_with("too long").then(|| [SKIP_LIMIT, SKIP_LIMIT + 1][point.get(&LENGTH)]),
            matched,
            moot,
            session,
            others: point.get(&OTHERS) == 1,
        }
    }

    /// Why this never is.
    fn never(&self) -> Option<&'static str> {
        let Session { offered, selected, requested, asked, .. } = self.session;
        Some(match (self.state, self.matched) {
            (State::NotSelected, _) if selected || self.others => "no session is selected in NOT SELECTED",
            (State::Selected, _) if !selected && !self.others => "a session is selected in SELECTED",
            _ if asked && selected => "what the peer asked for is answered once the session is selected",
            _ if asked && !offered => "only of an offered session the application is asked",
            _ if selected && requested == Some(ControlRequest::Select) => {
                "our Select.req is moot once the session is selected"
            }
            _ if !selected && requested == Some(ControlRequest::Deselect) => {
                "our Deselect.req is moot once the session has ended"
            }
            (_, Matched::Control(_)) if self.data => "data is matched with our primaries only",
            (_, Matched::Reply) if !self.data => "control messages are not matched as replies to data",
            (_, Matched::Reply) if !selected => "our transactions end with their session",
            (State::NotSelected, Matched::Primary) => "our transactions end with their session",
            _ => return None,
        })
    }

    fn message(&self) -> Received {
        received_message(&self.header, self.body_len, self.matched, true, false)
    }

    const fn situation(&self, active: bool, strict: bool) -> Situation {
        Situation { state: self.state, active, equipment: self.equipment, strict, refusing: false }
    }

    fn ask(&self, active: bool, strict: bool) -> Outcome {
        let (at, message) = (self.situation(active, strict), self.message());
        let step = match self.length {
            Some(length) => {
                let mut step = SessionStep::NOTHING;
                general::too_long(&mut step, at, &message, self.session, length, (MAX_MESSAGE, SKIP_LIMIT));
                step
            }
            None => general::received(at, &message, self.session),
        };
        self.describe(at, &message, &step)
    }

    /// `step` in words. Which state the connection is in then follows from the number of selected sessions (E37.2 5.9).
    fn describe(&self, at: Situation, message: &Received, step: &SessionStep) -> Outcome {
        let outcome = describe(at, message, self.length, &step.step);
        let earlier = if self.session.asked { "the undecided one is answered 0; " } else { "" };
        let (told, next, row) = match (step.change, self.others) {
            (Change::None, _) => (String::new(), outcome.next.clone(), ""),
            (Change::Ask, _) => ("told: SelectAsked".to_string(), String::new(), ""),
            (Change::Refused(refusal), _) => {
                (format!("told: SessionRefused({})", refused(refusal, message.kind)), String::new(), "")
            }
            (Change::Selected, others) => {
                let row = if others { "6" } else { "4" };
                (format!("{earlier}told: SessionSelected"), name(Place::Selected).to_string(), row)
            }
            (Change::Ended(end), true) => (ended(end), name(Place::Selected).to_string(), "7"),
            (Change::Ended(end), false) => {
                (format!("{}; T7 starts", ended(end)), name(Place::NotSelected).to_string(), "5")
            }
        };
        let answered = if step.answered { "our request is answered" } else { "" };
        // An abrupt end takes all sessions along.
        let abrupt = !outcome.close.is_empty() && (self.session.selected || self.others);
        let abrupt = if abrupt { "no session is selected" } else { "" };
        let parts = [answered, &outcome.report, &told, abrupt];
        let report = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
        Outcome { report, next, row, answer: own_status(&outcome.answer), ..outcome }
    }
}

fn ended(end: SessionEnd) -> String {
    format!("told: SessionEnded({end:?})")
}

/// The name of a refusal; what is in it only where that is not the message's own.
fn refused(refusal: SessionRefusal, kind: Result<Kind, crate::wire::RejectReason>) -> String {
    let own = match (refusal, kind) {
        (SessionRefusal::Select(status), Ok(Kind::SelectRsp(given))) => status == given,
        (SessionRefusal::Deselect(status), Ok(Kind::DeselectRsp(given))) => status == given,
        (
            SessionRefusal::SelectRejected(reason) | SessionRefusal::DeselectRejected(reason),
            Ok(Kind::RejectReq { reason: given, .. }),
        ) => reason == given,
        _ => false,
    };
    if own { head(&refusal) } else { format!("{refusal:?}") }
}

/// The status that an admission is given with stands for itself.
fn own_status(sent: &str) -> String {
    sent.replace(&answer(transition::Answer::Select(REFUSAL)), "Select.rsp with its status")
}
