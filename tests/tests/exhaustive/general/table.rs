//! What has to come of a message in HSMS-GS, written from the rules alone: E37, E37.2, and what is chosen where those leave it open. It
//! shares no code with the machine; with the table of HSMS-SS it shares what a connection loses when it ends.

use crate::table::{
    Expected, Frame, LINKTEST, MAX, Message, NOTICES, SKIP, Situation, T7, T8, end_all, end_connection, header,
    may_complain,
};
use heapless::Vec;
use hsms_core::connection::{
    Class, CloseReason, Leniency, Notice, SessionEnd, SessionRefusal, State, Stray, TransactionEnd,
};
use hsms_core::wire::{DeselectStatus, RejectReason, SType, SelectStatus, SessionId, SystemBytes};

/// Room for session entities.
pub const ENTITIES: usize = 6;

/// What a Select.req for an entity meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Open,
    /// The application is asked.
    Ask,
    /// This status.
    Shut(u8),
}

/// Our open Select.req, or Deselect.req, for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    pub select: bool,
    pub system: u32,
    /// When its T6 passes; `None`: it waits for the end of a text, so the peer cannot know of it.
    pub due: Option<u64>,
    /// The session began or ended since, so that the answer is about nothing.
    pub moot: bool,
}

/// A session entity of our list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entity {
    pub id: u16,
    pub offered: bool,
    pub door: Door,
    pub selected: bool,
    pub busy: bool,
    /// System bytes of the Select.req that the application has not answered yet.
    pub asked: Option<u32>,
    pub request: Option<Request>,
}

pub type Entities = Vec<Entity, ENTITIES>;

/// What is known of this end when the message comes. `common.select` says nothing here.
#[derive(Debug, Clone)]
pub struct GeneralSituation {
    pub common: Situation,
    pub entities: Entities,
    /// The peer's first Select.req decides whether this is HSMS-SS.
    pub undecided: bool,
}

/// All that can be seen of what a machine did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneralExpected {
    pub common: Expected,
    /// In the order of the list: selected, asked, and which request of ours is open.
    pub entities: Vec<(bool, Option<u32>, Option<u32>), ENTITIES>,
    pub linktest: bool,
    /// The connection is one of HSMS-SS from here.
    pub single: bool,
}

const SELECT_RSP: u8 = 2;
const DESELECT_RSP: u8 = 4;
const LINKTEST_RSP: u8 = 6;

/// What becomes of this end.
struct After<'s> {
    before: &'s Situation,
    message: &'s Message,
    entities: Entities,
    class: Option<Class>,
    frames: Vec<Frame, 3>,
    notices: Vec<Notice, NOTICES>,
    linktest: Option<(u32, u64)>,
    t7: Option<u64>,
    /// Transactions that are over.
    over: Vec<u32, 4>,
    close: Option<CloseReason>,
}

/// What has to be seen when `m` comes.
pub fn expected(s: &GeneralSituation, m: &Message) -> GeneralExpected {
    if s.undecided && m.ptype == 0 && m.stype == 1 && m.text == 0 && m.session == 0xFFFF {
        let common = crate::table::expected(&s.common, m);
        let entities = s.entities.iter().map(|_| (false, None, None)).collect();
        let linktest = common.close.is_none() && s.common.linktest.is_some();
        return GeneralExpected { common, entities, linktest, single: common.close.is_none() };
    }
    let mut after = After {
        before: &s.common,
        message: m,
        entities: s.entities.clone(),
        class: Some(Class::Control),
        frames: Vec::new(),
        notices: Vec::new(),
        linktest: s.common.linktest,
        t7: s.common.t7,
        over: Vec::new(),
        close: None,
    };
    after.meet();
    after.seen()
}

impl After<'_> {
    /// The line that applies: the first that fits.
    fn meet(&mut self) {
        let m = self.message;
        if m.text > MAX - 10 {
            return self.too_long();
        }
        // E37 7.7, reason 2, whatever the state and whatever else is in the header.
        if m.ptype != 0 {
            return self.reject(m.ptype, 2);
        }
        match m.stype {
            0 => self.data(),
            7 => self.reject_req(),
            1..=6 | 9 if m.text > 0 => self.control_with_text(),
            // Option a: whoever calls is told that another one is served.
            1 if self.before.refusing => {
                self.respond(SELECT_RSP, 1);
                self.close = Some(CloseReason::CallerRefused);
            }
            1 => self.select_req(),
            2 => self.select_rsp(),
            3 => self.deselect_req(),
            4 => self.deselect_rsp(),
            // Whatever the state.
            5 => self.respond(LINKTEST_RSP, 0),
            6 => match self.linktest {
                Some((system, _)) if system == m.system => {
                    self.linktest = None;
                    self.tell(Notice::LinktestAnswered { system: SystemBytes(system) });
                }
                _ => self.reject(6, 3),
            },
            // For a session that is not selected it is ignored.
            9 => {
                if let Some(index) = self.named().filter(|index| self.entities[*index].selected) {
                    self.ends(index, SessionEnd::SeparateReceived);
                }
            }
            stype => self.reject(stype, 1),
        }
    }

    fn named(&self) -> Option<usize> {
        self.entities.iter().position(|entity| entity.id == self.message.session)
    }

    fn tell(&mut self, notice: Notice) {
        self.notices.push(notice).expect("room for notices");
    }

    fn send(&mut self, session: u16, byte2: u8, byte3: u8, stype: u8, system: u32) {
        let mut octets = [0; 26];
        octets[3] = 10;
        octets[4..6].copy_from_slice(&session.to_be_bytes());
        (octets[6], octets[7], octets[9]) = (byte2, byte3, stype);
        octets[10..14].copy_from_slice(&system.to_be_bytes());
        self.frames.push(Frame { octets, len: 14 }).expect("room for frames");
    }

    /// A Linktest.rsp always carries FFFF; the others what the request carried.
    fn respond(&mut self, stype: u8, status: u8) {
        let session = if stype == LINKTEST_RSP { 0xFFFF } else { self.message.session };
        self.send(session, 0, status, stype, self.message.system);
    }

    fn reject(&mut self, offender: u8, reason: u8) {
        self.class = Some(Class::Rejected(RejectReason(reason)));
        self.send(self.message.session, offender, reason, 7, self.message.system);
    }

    fn fatal(&mut self, reason: CloseReason) {
        (self.class, self.close) = (Some(Class::Fatal), Some(reason));
    }

    /// Whether the message is the reply to a transaction of ours, by all that E37 9.4.1 compares.
    fn is_reply(&self) -> bool {
        let m = self.message;
        m.byte3.is_multiple_of(2)
            && self.before.open.iter().any(|open| {
                open.system == m.system
                    && open.session == m.session
                    && open.stream == m.stream()
                    && (m.byte3 == 0 || m.byte3 == open.function.wrapping_add(1))
            })
    }

    /// E37.2: data is for a session that is selected, or is rejected for reason 4. Device ids play no part.
    fn data(&mut self) {
        let m = self.message;
        if !self.named().is_some_and(|index| self.entities[index].selected) {
            return self.reject(0, 4);
        }
        let mut sent = self.before.open.iter().map(|open| open.system).chain(self.before.ended.iter().copied());
        let requests = self.entities.iter().filter_map(|entity| entity.request).map(|request| request.system);
        let mut requests = requests.chain(self.linktest.map(|(system, _)| system));
        self.class = Some(if m.byte3 % 2 == 1 {
            Class::Primary
        } else if self.is_reply() {
            // It ends its transaction with its last octet.
            if m.whole() {
                self.over.push(m.system).expect("room");
            }
            Class::Reply
        } else if self.before.open.iter().any(|open| open.system == m.system) {
            Class::Stray(Stray::Mismatched)
        } else if sent.any(|system| system == m.system) || requests.any(|system| system == m.system) {
            Class::Stray(Stray::Late)
        } else {
            Class::Stray(Stray::Orphan)
        });
    }

    fn too_long(&mut self) {
        let (m, at) = (self.message, self.before);
        let length = m.text + 10;
        self.class = Some(Class::TooLong);
        if length >> 24 == 5 {
            // Its first octet is enough.
            (self.class, self.close) = (None, Some(CloseReason::LooksLikeSecsI));
            return;
        }
        let selected = self.named().is_some_and(|index| self.entities[index].selected);
        let close = Some(CloseReason::LengthTooLong { length, limit: MAX });
        let stays = at.equipment && at.selected && m.data() && !at.strict && length <= SKIP;
        if m.data() && selected && self.is_reply() {
            let (system, end) = (SystemBytes(m.system), TransactionEnd::ReplyTooLong { length });
            self.over.push(m.system).expect("room");
            self.tell(Notice::TransactionEnded { system, end });
        }
        if m.data() && selected && may_complain(at, m) {
            self.stream9(11);
        }
        match stays {
            true if !selected => self.reject(0, 4),
            true => {}
            false => self.close = close,
        }
    }

    fn stream9(&mut self, function: u8) {
        let mut octets = [0; 26];
        octets[3] = 22;
        octets[4..6].copy_from_slice(&self.message.session.to_be_bytes());
        (octets[6], octets[7]) = (9, function);
        octets[10..14].copy_from_slice(&self.before.next.to_be_bytes());
        (octets[14], octets[15]) = (0x21, 10);
        octets[16..26].copy_from_slice(&self.message.octets());
        self.frames.push(Frame { octets, len: 26 }).expect("room for frames");
    }

    fn control_with_text(&mut self) {
        let (stype, body_len) = (SType(self.message.stype), self.message.text);
        if self.before.strict {
            return self.fatal(CloseReason::ControlText { stype, body_len });
        }
        self.reject(self.message.stype, 1);
        self.tell(Notice::Lenient(Leniency::ControlText { stype, body_len }));
    }

    /// E37.2 7.2, with E37 7.2.3 for a Select.req that crosses ours.
    fn select_req(&mut self) {
        let Some(index) = self.named() else { return self.respond(SELECT_RSP, 4) };
        let entity = self.entities[index];
        let crossing = entity.request.is_some_and(|request| request.select && !request.moot);
        if entity.selected {
            return self.respond(SELECT_RSP, 6);
        }
        if crossing {
            self.respond(SELECT_RSP, 0);
            return self.begins(index);
        }
        match entity.door {
            _ if !entity.offered => self.respond(SELECT_RSP, 4),
            // An earlier one is not decided.
            _ if entity.asked.is_some() => self.respond(SELECT_RSP, 2),
            Door::Open | Door::Shut(0) => {
                self.respond(SELECT_RSP, 0);
                self.begins(index);
            }
            Door::Shut(status) => self.respond(SELECT_RSP, status),
            Door::Ask => {
                self.entities[index].asked = Some(self.message.system);
                self.tell(Notice::SelectAsked { session: SessionId(entity.id) });
            }
        }
    }

    /// Our request of this kind that the message answers, by system bytes: some peers answer with FFFF whatever was asked.
    fn answered(&mut self, select: bool) -> Option<(usize, Request)> {
        let system = self.message.system;
        let fits = |request: Request| request.select == select && request.system == system && request.due.is_some();
        let index = self.entities.iter().position(|entity| entity.request.is_some_and(fits))?;
        let request = self.entities[index].request.take()?;
        Some((index, request))
    }

    fn select_rsp(&mut self) {
        let Some((index, request)) = self.answered(true) else { return self.reject(2, 3) };
        let session = SessionId(self.entities[index].id);
        match self.message.byte3 {
            _ if request.moot => {}
            0 => self.begins(index),
            status => {
                let refusal = SessionRefusal::Select(SelectStatus(status));
                self.tell(Notice::SessionRefused { session, refusal });
            }
        }
    }

    /// E37 7.4.2, 7.4.3: a Deselect.req that crosses ours is accepted, whoever still uses the session.
    fn deselect_req(&mut self) {
        let Some(index) = self.named().filter(|index| self.entities[*index].selected) else {
            return self.respond(DESELECT_RSP, 1);
        };
        let entity = self.entities[index];
        if entity.busy && !entity.request.is_some_and(|request| !request.select && !request.moot) {
            return self.respond(DESELECT_RSP, 2);
        }
        self.respond(DESELECT_RSP, 0);
        self.ends(index, SessionEnd::DeselectReceived);
    }

    fn deselect_rsp(&mut self) {
        let Some((index, request)) = self.answered(false) else { return self.reject(4, 3) };
        let session = SessionId(self.entities[index].id);
        match self.message.byte3 {
            _ if request.moot => {}
            0 => self.ends(index, SessionEnd::Deselected),
            status => {
                let refusal = SessionRefusal::Deselect(DeselectStatus(status));
                self.tell(Notice::SessionRefused { session, refusal });
            }
        }
    }

    /// Ends what it is about and nothing else: the connection stays, whatever was rejected.
    fn reject_req(&mut self) {
        let (m, at) = (self.message, self.before);
        if m.text > 0 && (at.strict || m.text > 64) {
            return self.fatal(CloseReason::ControlText { stype: SType(7), body_len: m.text });
        }
        if m.text > 0 {
            self.tell(Notice::Lenient(Leniency::RejectText { body_len: m.text }));
        }
        let (system, reason) = (SystemBytes(m.system), RejectReason(m.byte3));
        // Octet 2 names the SType at fault, but for reason 2; where the reason stands elsewhere (0) it says nothing.
        let about = |stype| matches!(m.byte3, 0 | 2) || m.byte2 == stype;
        for select in [true, false] {
            if !about(if select { 1 } else { 3 }) {
                continue;
            }
            if let Some((index, request)) = self.answered(select) {
                let session = SessionId(self.entities[index].id);
                let refusal = match select {
                    true => SessionRefusal::SelectRejected(reason),
                    false => SessionRefusal::DeselectRejected(reason),
                };
                if !request.moot {
                    self.tell(Notice::SessionRefused { session, refusal });
                }
                return;
            }
        }
        if about(5) && self.linktest.is_some_and(|(open, _)| open == m.system) {
            self.linktest = None;
            return self.tell(Notice::LinktestAnswered { system });
        }
        if about(0) && at.open.iter().any(|open| open.system == m.system) {
            self.over.push(m.system).expect("room");
            return self.tell(Notice::TransactionEnded { system, end: TransactionEnd::Rejected(reason) });
        }
        self.tell(Notice::RejectReceived { header: header(m, m.session) });
    }

    /// What we asked of the session meanwhile is pointless. What has not gone out never does.
    fn forget_request(&mut self, index: usize) {
        let request = &mut self.entities[index].request;
        *request = request.filter(|request| request.due.is_some()).map(|request| Request { moot: true, ..request });
    }

    fn begins(&mut self, index: usize) {
        self.forget_request(index);
        let entity = &mut self.entities[index];
        entity.selected = true;
        let (id, asked) = (entity.id, entity.asked.take());
        if let Some(system) = asked {
            // The application need not decide any more: the peer's Select.req crossed ours.
            self.send(id, 0, 0, SELECT_RSP, system);
        }
        self.t7 = None;
        self.tell(Notice::SessionSelected { session: SessionId(id) });
    }

    fn ends(&mut self, index: usize, end: SessionEnd) {
        self.forget_request(index);
        let entity = &mut self.entities[index];
        (entity.selected, entity.busy) = (false, false);
        let id = entity.id;
        for open in self.before.open.iter().filter(|open| open.session == id) {
            let (system, end) = (SystemBytes(open.system), TransactionEnd::SessionEnded);
            self.over.push(open.system).expect("room");
            self.notices.push(Notice::TransactionEnded { system, end }).expect("room for notices");
        }
        if !self.entities.iter().any(|entity| entity.selected) {
            self.t7 = Some(self.before.now + T7);
        }
        self.tell(Notice::SessionEnded { session: SessionId(id), end });
    }

    fn seen(mut self) -> GeneralExpected {
        let (s, m) = (self.before, self.message);
        let selected = self.entities.iter().any(|entity| entity.selected);
        if s.writing && self.close.is_none() {
            // What waited for the end of the text goes out behind what waited longer.
            for index in 0..self.entities.len() {
                let entity = self.entities[index];
                if let Some(request) = entity.request.filter(|request| request.due.is_none()) {
                    self.send(entity.id, 0, 0, if request.select { 1 } else { 3 }, request.system);
                }
            }
        }
        let mut notices = [None; NOTICES];
        for (place, notice) in notices.iter_mut().zip(&self.notices) {
            *place = Some(*notice);
        }
        let mut common = Expected {
            class: self.class,
            session: if self.class.is_some() { m.session } else { 0 },
            frame: self.frames.first().copied(),
            behind: self.frames.get(1).copied(),
            notices,
            close: None,
            opens: false,
            state: if selected { State::Selected } else { State::NotSelected },
            open: s.open.len() - self.over.len(),
            body_left: m.text - m.come,
            deadline: None,
        };
        if let Some(reason) = self.close {
            end_all(s, self.over.first().copied(), &mut common);
            end_connection(s, reason, &mut common);
            let entities = self.entities.iter().map(|_| (false, None, None)).collect();
            return GeneralExpected { common, entities, linktest: false, single: false };
        }
        let t3 = s.open.iter().filter(|open| !self.over.contains(&open.system)).map(|open| open.due);
        let t6 = self.entities.iter().filter_map(|entity| entity.request?.due);
        let idle = selected && self.linktest.is_none();
        common.deadline = t3
            .chain(t6)
            .chain(self.linktest.map(|(_, due)| due))
            .chain(self.t7)
            .chain(idle.then_some(s.now + LINKTEST))
            .chain((!m.whole()).then_some(s.now + T8))
            .min();
        let entities = self
            .entities
            .iter()
            .map(|entity| (entity.selected, entity.asked, entity.request.map(|request| request.system)));
        GeneralExpected { common, entities: entities.collect(), linktest: self.linktest.is_some(), single: false }
    }
}
