//! What has to come of a message in HSMS-SS, written from the rules alone: E37, E37.1, and what the two profiles do where those leave a
//! choice. It shares no code with the machine and no reading of it: only the names of what comes out are the public ones.

use hsms_core::connection::{Class, CloseReason, Leniency, Notice, State, Stray, TransactionEnd};
use hsms_core::wire::{Header, PType, RejectReason, SType, SelectStatus, SessionId, SystemBytes};

pub const DEVICE: u16 = 1;
/// The greatest length field, and the greatest that equipment skips.
pub const MAX: u32 = 100;
pub const SKIP: u32 = 400;
/// Milliseconds. No two are alike, so that a deadline tells which timer it is.
pub const T3: u64 = 20_000;
pub const T5: u64 = 7_000;
pub const T6: u64 = 9_000;
pub const T7: u64 = 11_000;
pub const T8: u64 = 3_000;
pub const LINKTEST: u64 = 13_000;

/// A message as it comes: its fields, how long its text is, and how much of that has come with the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    pub session: u16,
    pub byte2: u8,
    pub byte3: u8,
    pub ptype: u8,
    pub stype: u8,
    pub system: u32,
    pub text: u32,
    pub come: u32,
}

/// A primary of ours that waits for its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    pub session: u16,
    pub stream: u8,
    pub function: u8,
    pub system: u32,
    /// When its T3 passes.
    pub due: u64,
}

/// What is known of this end when the message comes. Points in time are milliseconds.
#[derive(Debug, Clone)]
pub struct Situation {
    pub name: &'static str,
    pub active: bool,
    pub equipment: bool,
    pub strict: bool,
    /// A caller beyond the first, which is only told so.
    pub refusing: bool,
    pub selected: bool,
    /// System bytes of our Select.req and when its T6 passes; the same of our Linktest.req.
    pub select: Option<(u32, u64)>,
    pub linktest: Option<(u32, u64)>,
    pub open: Vec<Open>,
    /// System bytes of what we sent on this connection and what has ended since.
    pub ended: Vec<u32>,
    /// A text of ours is being written: no frame may come in its midst.
    pub writing: bool,
    /// When T7 passes.
    pub t7: Option<u64>,
    /// The system bytes that a message of ours gets next.
    pub next: u32,
    pub now: u64,
}

/// A frame, octet by octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    pub octets: [u8; 26],
    pub len: usize,
}

pub const NOTICES: usize = 8;

/// All that can be seen of what a machine did with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// `None`: no header was looked at.
    pub class: Option<Class>,
    /// The session id as reported.
    pub session: u16,
    pub frame: Option<Frame>,
    /// A second frame, which only HSMS-GS has.
    pub behind: Option<Frame>,
    /// In no order.
    pub notices: [Option<Notice>; NOTICES],
    pub close: Option<CloseReason>,
    /// A new transport is asked for at once.
    pub opens: bool,
    pub state: State,
    /// How many primaries of ours wait.
    pub open: usize,
    pub body_left: u32,
    pub deadline: Option<u64>,
}

/// What the rules want done with a message: a line of the tables below.
struct Verdict {
    class: Class,
    answer: Answer,
    told: [Option<Notice>; 2],
    then: Then,
}

#[derive(Clone, Copy)]
enum Answer {
    Nothing,
    /// SType, octet 3.
    Response(u8, u8),
    /// Octet 2, reason.
    Reject(u8, u8),
    Stream9(u8),
}

#[derive(Clone, Copy)]
enum Then {
    Stay,
    /// SELECTED; our Select.req is over where it was ours that was answered.
    Selected,
    /// NOT SELECTED by the peer's Deselect.req.
    Deselected,
    /// Our request with these system bytes is over.
    Ends(u32),
    Close(CloseReason),
}

use Answer::{Nothing, Reject, Response, Stream9};
use Then::{Close, Deselected, Ends, Selected, Stay};

const SELECT_REQ: u8 = 1;
const SELECT_RSP: u8 = 2;
const DESELECT_REQ: u8 = 3;
const DESELECT_RSP: u8 = 4;
const LINKTEST_REQ: u8 = 5;
const LINKTEST_RSP: u8 = 6;
const REJECT_REQ: u8 = 7;
const SEPARATE_REQ: u8 = 9;

impl Message {
    pub fn octets(&self) -> [u8; 10] {
        let [s0, s1] = self.session.to_be_bytes();
        let [y0, y1, y2, y3] = self.system.to_be_bytes();
        [s0, s1, self.byte2, self.byte3, self.ptype, self.stype, y0, y1, y2, y3]
    }

    /// The message as it goes over the wire, as much as has come, into `room`.
    pub fn write<'r>(&self, room: &'r mut [u8]) -> &'r [u8] {
        room[..4].copy_from_slice(&self.text.wrapping_add(10).to_be_bytes());
        room[4..14].copy_from_slice(&self.octets());
        &room[..14 + self.come as usize]
    }

    pub fn data(&self) -> bool {
        self.ptype == 0 && self.stype == 0
    }

    pub fn stream(&self) -> u8 {
        self.byte2 % 128
    }

    pub fn whole(&self) -> bool {
        self.come == self.text
    }
}

/// The line that applies: the first that fits.
fn verdict(s: &Situation, m: &Message) -> Verdict {
    if m.text > MAX - 10 {
        return too_long(s, m);
    }
    if m.ptype != 0 {
        return unknown(s, 2, m.ptype, CloseReason::UnknownPType(PType(m.ptype)));
    }
    match m.stype {
        0 if s.selected => data(s, m),
        0 if s.strict => {
            line(Class::Rejected(RejectReason(4)), Reject(0, 4), None, Close(CloseReason::DataNotSelected))
        }
        0 => line(Class::Rejected(RejectReason(4)), Reject(0, 4), None, Stay),
        REJECT_REQ if m.text > 0 => reject_with_text(s, m),
        1..=7 | 9 if m.text > 0 => control_with_text(s, m),
        SELECT_REQ => select_req(s, m),
        SELECT_RSP => select_rsp(s, m),
        DESELECT_REQ => match (s.selected, s.strict) {
            (_, true) => misplaced(m),
            (true, false) => lenient(Leniency::Deselect, Class::Control, Response(DESELECT_RSP, 0), Deselected),
            (false, false) => lenient(Leniency::DeselectNotSelected, Class::Control, Response(DESELECT_RSP, 1), Stay),
        },
        // HSMS-SS never sends a Deselect.req.
        DESELECT_RSP => not_open(s, m),
        LINKTEST_REQ => match (s.selected, s.strict) {
            (true, _) => line(Class::Control, Response(LINKTEST_RSP, 0), None, Stay),
            (false, true) => misplaced(m),
            (false, false) => lenient(Leniency::LinktestNotSelected, Class::Control, Response(LINKTEST_RSP, 0), Stay),
        },
        LINKTEST_RSP => match s.linktest {
            Some((system, _)) if system == m.system => {
                let told = Notice::LinktestAnswered { system: SystemBytes(system) };
                line(Class::Control, Nothing, Some(told), Ends(system))
            }
            _ => not_open(s, m),
        },
        REJECT_REQ => reject_req(s, m),
        SEPARATE_REQ => line(Class::Control, Nothing, None, Close(CloseReason::SeparateReceived)),
        _ => unknown(s, 1, m.stype, CloseReason::UnknownSType(SType(m.stype))),
    }
}

fn line(class: Class, answer: Answer, told: Option<Notice>, then: Then) -> Verdict {
    Verdict { class, answer, told: [told, None], then }
}

fn lenient(leniency: Leniency, class: Class, answer: Answer, then: Then) -> Verdict {
    line(class, answer, Some(Notice::Lenient(leniency)), then)
}

fn misplaced(m: &Message) -> Verdict {
    line(Class::Fatal, Nothing, None, Close(CloseReason::UnexpectedMessage(SType(m.stype))))
}

/// Unknown PType or SType: Reject and stay, but strict NOT SELECTED closes.
fn unknown(s: &Situation, reason: u8, offender: u8, close: CloseReason) -> Verdict {
    if s.strict && !s.selected {
        return line(Class::Fatal, Nothing, None, Close(close));
    }
    line(Class::Rejected(RejectReason(reason)), Reject(offender, reason), None, Stay)
}

/// A control response without an open request: Reject 3 and stay, but strict NOT SELECTED closes.
fn not_open(s: &Situation, m: &Message) -> Verdict {
    if s.strict && !s.selected {
        return misplaced(m);
    }
    line(Class::Rejected(RejectReason(3)), Reject(m.stype, 3), None, Stay)
}

fn select_req(s: &Situation, m: &Message) -> Verdict {
    let session = SessionId(m.session);
    if s.refusing {
        // Option a: whoever calls is told that another one is served.
        return line(Class::Control, Response(SELECT_RSP, 1), None, Close(CloseReason::CallerRefused));
    }
    match (s.selected, s.strict) {
        (true, true) => misplaced(m),
        (true, false) => line(Class::Control, Response(SELECT_RSP, 1), None, Stay),
        (false, true) if s.active || m.session != 0xFFFF => misplaced(m),
        (false, false) if s.active => {
            lenient(Leniency::SimultaneousSelect(session), Class::Control, Response(SELECT_RSP, 0), Selected)
        }
        (false, false) if m.session != 0xFFFF => {
            lenient(Leniency::SelectSession(session), Class::Control, Response(SELECT_RSP, 0), Selected)
        }
        (false, _) => line(Class::Control, Response(SELECT_RSP, 0), None, Selected),
    }
}

fn select_rsp(s: &Situation, m: &Message) -> Verdict {
    match (s.select, m.byte3) {
        (Some((system, _)), 0) if system == m.system && !s.selected => line(Class::Control, Nothing, None, Selected),
        (Some((system, _)), 0 | 1) if system == m.system && s.selected => {
            line(Class::Control, Nothing, None, Ends(system))
        }
        (Some((system, _)), status) if system == m.system => {
            line(Class::Fatal, Nothing, None, Close(CloseReason::SelectRefused(SelectStatus(status))))
        }
        // Of all responses this one alone closes a strict connection that is SELECTED.
        _ if s.strict => misplaced(m),
        _ => not_open(s, m),
    }
}

fn control_with_text(s: &Situation, m: &Message) -> Verdict {
    let stype = SType(m.stype);
    if s.strict || !s.selected {
        return line(Class::Fatal, Nothing, None, Close(CloseReason::ControlText { stype, body_len: m.text }));
    }
    let leniency = Leniency::ControlText { stype, body_len: m.text };
    lenient(leniency, Class::Rejected(RejectReason(1)), Reject(m.stype, 1), Stay)
}

/// Some peers put the rejected header behind their Reject.req. A Reject.req is never answered with one.
fn reject_with_text(s: &Situation, m: &Message) -> Verdict {
    if s.strict || m.text > 64 {
        let close = CloseReason::ControlText { stype: SType(REJECT_REQ), body_len: m.text };
        return line(Class::Fatal, Nothing, None, Close(close));
    }
    let mut verdict = reject_req(s, m);
    verdict.told[1] = Some(Notice::Lenient(Leniency::RejectText { body_len: m.text }));
    verdict
}

fn reject_req(s: &Situation, m: &Message) -> Verdict {
    let (system, reason) = (SystemBytes(m.system), RejectReason(m.byte3));
    // Octet 2 names the SType at fault, but for reason 2; where the reason stands elsewhere (0) it says nothing.
    let about = |stype| matches!(m.byte3, 0 | 2) || m.byte2 == stype;
    let is = |request: Option<(u32, u64)>, stype| request.is_some_and(|(open, _)| open == m.system) && about(stype);
    if is(s.select, SELECT_REQ) {
        return line(Class::Fatal, Nothing, None, Close(CloseReason::SelectRejected(reason)));
    }
    if is(s.linktest, LINKTEST_REQ) {
        return line(Class::Control, Nothing, Some(Notice::LinktestAnswered { system }), Ends(m.system));
    }
    if about(0) && s.open.iter().any(|open| open.system == m.system) {
        let told = Notice::TransactionEnded { system, end: TransactionEnd::Rejected(reason) };
        return line(Class::Control, Nothing, Some(told), Ends(m.system));
    }
    let header = header(m, m.session);
    line(Class::Control, Nothing, Some(Notice::RejectReceived { header }), Stay)
}

/// The device id that a data message is for, and whether bit 15 had to be cleared to find it. What is for nobody with or without it stays
/// as it came.
fn device(s: &Situation, m: &Message) -> (u16, bool) {
    if !s.strict && m.session == DEVICE + 0x8000 { (DEVICE, true) } else { (m.session, false) }
}

fn data(s: &Situation, m: &Message) -> Verdict {
    let (device, cleared) = device(s, m);
    let class = whose(s, m, device);
    let answer = match class {
        Class::Stray(Stray::UnknownDevice) if may_complain(s, m) => Stream9(1),
        _ => Nothing,
    };
    let told = cleared.then_some(Notice::Lenient(Leniency::DirectionBit(SessionId(m.session))));
    // A reply ends its transaction with its last octet.
    let then = if class == Class::Reply && m.whole() { Ends(m.system) } else { Stay };
    line(class, answer, told, then)
}

/// Only equipment sends stream 9, and never about stream 9 or function 0.
pub fn may_complain(s: &Situation, m: &Message) -> bool {
    s.equipment && m.stream() != 9 && m.byte3 != 0
}

fn whose(s: &Situation, m: &Message, device: u16) -> Class {
    if device != DEVICE {
        return Class::Stray(Stray::UnknownDevice);
    }
    if m.byte3 % 2 == 1 {
        return Class::Primary;
    }
    if let Some(open) = s.open.iter().find(|open| open.system == m.system) {
        let matches = open.session == device
            && open.stream == m.stream()
            && (m.byte3 == open.function.wrapping_add(1) || m.byte3 == 0);
        return if matches { Class::Reply } else { Class::Stray(Stray::Mismatched) };
    }
    let control = [s.select, s.linktest].into_iter().flatten().any(|(system, _)| system == m.system);
    Class::Stray(if control || s.ended.contains(&m.system) { Stray::Late } else { Stray::Orphan })
}

fn too_long(s: &Situation, m: &Message) -> Verdict {
    let length = m.text + 10;
    let (device, cleared) = device(s, m);
    let close = match length >> 24 {
        5 => CloseReason::LooksLikeSecsI,
        _ => CloseReason::LengthTooLong { length, limit: MAX },
    };
    let mut verdict = line(Class::TooLong, Nothing, None, Close(close));
    if !m.data() || !s.selected || close == CloseReason::LooksLikeSecsI {
        return verdict;
    }
    let whose = whose(s, m, device);
    if whose == Class::Reply {
        let end = TransactionEnd::ReplyTooLong { length };
        verdict.told[0] = Some(Notice::TransactionEnded { system: SystemBytes(m.system), end });
    }
    if !s.equipment {
        return verdict;
    }
    if may_complain(s, m) {
        // Of several faults the first in the order device, stream, function, text is told.
        verdict.answer = Stream9(if whose == Class::Stray(Stray::UnknownDevice) { 1 } else { 11 });
    }
    if !s.strict && length <= SKIP {
        verdict.told[1] = cleared.then_some(Notice::Lenient(Leniency::DirectionBit(SessionId(m.session))));
        verdict.then = if whose == Class::Reply { Ends(m.system) } else { Stay };
    }
    verdict
}

pub fn header(m: &Message, session: u16) -> Header {
    Header {
        session: SessionId(session),
        byte2: m.byte2,
        byte3: m.byte3,
        ptype: PType(m.ptype),
        stype: SType(m.stype),
        system: SystemBytes(m.system),
    }
}

/// What has to be seen when `m` comes.
pub fn expected(s: &Situation, m: &Message) -> Expected {
    let Verdict { class, answer, told, then } = verdict(s, m);
    let mut notices = [None; NOTICES];
    notices[0] = told[0];
    notices[1] = told[1];
    let mut expected = Expected {
        class: Some(class),
        session: if m.data() { device(s, m).0 } else { m.session },
        frame: frame(s, m, answer),
        behind: None,
        notices,
        close: None,
        opens: false,
        state: if s.selected { State::Selected } else { State::NotSelected },
        open: s.open.len(),
        body_left: m.text - m.come,
        deadline: None,
    };
    let (mut select, mut linktest, mut t7) = (s.select, s.linktest, s.t7);
    let mut gone = None;
    match then {
        Stay => {}
        Selected => {
            expected.state = State::Selected;
            expected.notices[2] = Some(Notice::Selected);
            t7 = None;
            if m.stype == SELECT_RSP {
                select = None;
            }
        }
        Deselected => {
            end_all(s, None, &mut expected);
            if s.active {
                end_connection(s, CloseReason::DeselectAnswered, &mut expected);
                return expected;
            }
            expected.state = State::NotSelected;
            expected.notices[2] = Some(Notice::Deselected);
            t7 = Some(s.now + T7);
            (select, linktest) = (None, None);
        }
        Ends(system) => {
            let ends = |request: Option<(u32, u64)>| request.filter(|(open, _)| *open != system);
            (select, linktest, gone) = (ends(select), ends(linktest), Some(system));
            expected.open -= usize::from(s.open.iter().any(|open| open.system == system));
        }
        Close(reason) => {
            if reason == CloseReason::LooksLikeSecsI {
                // Its first octet is enough.
                (expected.class, expected.session) = (None, 0);
            }
            let told = match expected.notices[0] {
                Some(Notice::TransactionEnded { system, .. }) => Some(system.0),
                _ => None,
            };
            end_all(s, told, &mut expected);
            end_connection(s, reason, &mut expected);
            return expected;
        }
    }
    let idle = expected.state == State::Selected && linktest.is_none() && select.is_none();
    let t3 = s.open.iter().filter(|open| expected.open > 0 && Some(open.system) != gone).map(|open| open.due);
    expected.deadline = t3
        .chain(select.map(|(_, due)| due))
        .chain(linktest.map(|(_, due)| due))
        .chain(t7)
        .chain(idle.then_some(s.now + LINKTEST))
        .chain((!m.whole()).then_some(s.now + T8))
        .min();
    expected
}

/// What was open ends with the session, a linktest too.
pub fn end_all(s: &Situation, told: Option<u32>, expected: &mut Expected) {
    expected.open = 0;
    let linktest = s.linktest.map(|(system, _)| system);
    let ending = s.open.iter().map(|open| open.system).chain(linktest).filter(|system| Some(*system) != told);
    for (system, place) in ending.zip(expected.notices.iter_mut().skip(3)) {
        *place = Some(Notice::TransactionEnded { system: SystemBytes(system), end: TransactionEnd::SessionEnded });
    }
}

pub fn end_connection(s: &Situation, reason: CloseReason, expected: &mut Expected) {
    expected.state = State::NotConnected;
    expected.close = Some(reason);
    expected.body_left = 0;
    expected.opens = !s.active && !s.refusing;
    expected.deadline = s.active.then_some(s.now + T5);
    if s.writing {
        // The text that is open is cut off; nothing can go behind it.
        (expected.frame, expected.behind) = (None, None);
    }
}

fn frame(s: &Situation, m: &Message, answer: Answer) -> Option<Frame> {
    let mut octets = [0; 26];
    let mut put = |at: usize, what: &[u8]| octets[at..at + what.len()].copy_from_slice(what);
    let [y0, y1, y2, y3] = m.system.to_be_bytes();
    let len = match answer {
        Nothing => return None,
        Response(stype, status) => {
            // Linktest.rsp always carries FFFF; the others what the request carried.
            let [s0, s1] = if stype == LINKTEST_RSP { [0xFF, 0xFF] } else { m.session.to_be_bytes() };
            put(0, &[0, 0, 0, 10, s0, s1, 0, status, 0, stype, y0, y1, y2, y3]);
            14
        }
        Reject(offender, reason) => {
            put(0, &[0, 0, 0, 10, 0xFF, 0xFF, offender, reason, 0, REJECT_REQ, y0, y1, y2, y3]);
            14
        }
        Stream9(function) => {
            let [d0, d1] = DEVICE.to_be_bytes();
            let [n0, n1, n2, n3] = s.next.to_be_bytes();
            put(0, &[0, 0, 0, 22, d0, d1, 9, function, 0, 0, n0, n1, n2, n3, 0x21, 10]);
            put(16, &m.octets());
            26
        }
    };
    Some(Frame { octets, len })
}
