//! One machine in virtual time. What comes out of each step is compared as a whole and in its order; frames are octets made
//! here, not by the library.

use crate::support::{PAUSE, Who, active, passive};
use hsms_core::Error;
use hsms_core::connection::{
    Action, Admission, Class, CloseReason, Connection, Event, General, Inbound, Notice, ReplyToken, SessionEnd,
    SessionEntity, SessionRefusal, State, TransactionEnd,
};
use hsms_core::time::Instant;
use hsms_core::wire::{DeselectStatus, RejectReason, SelectStatus, SessionId, StreamFunction, SystemBytes};
use std::fmt;

/// Session ids from both ends of the range, and one that no list has.
pub(crate) const A: u16 = 0x0005;
pub(crate) const B: u16 = 0x8001;
pub(crate) const C: u16 = 0xFFFE;
pub(crate) const NOBODY: u16 = 0x0001;

/// System bytes of our next request, and of the peer's.
pub(crate) const OURS: u32 = 0x61;
pub(crate) const THEIRS: u32 = 0x9000_0000;

/// Room for more sessions than the action queue has places.
pub(crate) type Machine = Connection<4, General<20>>;

pub(crate) const fn id(session: u16) -> SessionId {
    SessionId(session)
}

pub(crate) fn offered(session: u16) -> SessionEntity {
    SessionEntity::offered(id(session))
}

pub(crate) fn wanted(session: u16) -> SessionEntity {
    SessionEntity::wanted(id(session))
}

pub(crate) fn asking(session: u16) -> SessionEntity {
    offered(session).with_admission(Admission::Ask)
}

pub(crate) fn refusing(session: u16, status: u8) -> SessionEntity {
    offered(session).with_admission(Admission::Refuse(SelectStatus(status)))
}

/// Both ends in both profiles.
pub(crate) fn everyone() -> [Who; 4] {
    [passive(), active(), passive().strict(), active().strict()]
}

fn frame(session: u16, byte2: u8, byte3: u8, stype: u8, system: u32, text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(10 + text.len()).unwrap();
    let mut octets = length.to_be_bytes().to_vec();
    octets.extend_from_slice(&session.to_be_bytes());
    octets.extend_from_slice(&[byte2, byte3, 0, stype]);
    octets.extend_from_slice(&system.to_be_bytes());
    octets.extend_from_slice(text);
    octets
}

pub(crate) fn select_req(session: u16, system: u32) -> Vec<u8> {
    frame(session, 0, 0, 1, system, &[])
}

pub(crate) fn select_rsp(session: u16, status: u8, system: u32) -> Vec<u8> {
    frame(session, 0, status, 2, system, &[])
}

pub(crate) fn deselect_req(session: u16, system: u32) -> Vec<u8> {
    frame(session, 0, 0, 3, system, &[])
}

pub(crate) fn deselect_rsp(session: u16, status: u8, system: u32) -> Vec<u8> {
    frame(session, 0, status, 4, system, &[])
}

pub(crate) fn linktest_req(system: u32) -> Vec<u8> {
    frame(0xFFFF, 0, 0, 5, system, &[])
}

pub(crate) fn linktest_rsp(system: u32) -> Vec<u8> {
    frame(0xFFFF, 0, 0, 6, system, &[])
}

/// `offender`: SType, or for reason 2 PType, of the message rejected.
pub(crate) fn reject(session: u16, offender: u8, reason: u8, system: u32) -> Vec<u8> {
    frame(session, offender, reason, 7, system, &[])
}

pub(crate) fn separate(session: u16, system: u32) -> Vec<u8> {
    frame(session, 0, 0, 9, system, &[])
}

/// The W-bit is part of `stream`.
pub(crate) fn data(session: u16, stream: u8, function: u8, system: u32) -> Vec<u8> {
    frame(session, stream, function, 0, system, &[])
}

pub(crate) fn data_with(session: u16, stream: u8, function: u8, system: u32, text: &[u8]) -> Vec<u8> {
    frame(session, stream, function, 0, system, text)
}

/// A control message with text, which there must not be.
pub(crate) fn control_with(session: u16, byte2: u8, byte3: u8, stype: u8, system: u32, text: &[u8]) -> Vec<u8> {
    frame(session, byte2, byte3, stype, system, text)
}

/// A message with this PType.
pub(crate) fn ptype(mut octets: Vec<u8>, ptype: u8) -> Vec<u8> {
    octets[8] = ptype;
    octets
}

/// What comes out.
#[derive(Clone, PartialEq)]
pub(crate) enum Out {
    Send(Vec<u8>),
    Tell(Notice),
    Close(CloseReason),
    Open,
    Got(Class),
}

impl fmt::Debug for Out {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Out::Send(octets) => {
                f.write_str("Send ")?;
                octets.iter().try_for_each(|octet| write!(f, "{octet:02X}"))
            }
            Out::Tell(notice) => write!(f, "Tell {notice:?}"),
            Out::Close(reason) => write!(f, "Close {reason:?}"),
            Out::Open => f.write_str("Open"),
            Out::Got(class) => write!(f, "Got {class:?}"),
        }
    }
}

pub(crate) fn sent(octets: Vec<u8>) -> Out {
    Out::Send(octets)
}

pub(crate) fn told(notice: Notice) -> Out {
    Out::Tell(notice)
}

pub(crate) fn begun(session: u16) -> Out {
    told(Notice::SessionSelected { session: id(session) })
}

pub(crate) fn ended(session: u16, end: SessionEnd) -> Out {
    told(Notice::SessionEnded { session: id(session), end })
}

pub(crate) fn asked(session: u16) -> Out {
    told(Notice::SelectAsked { session: id(session) })
}

pub(crate) fn refused(session: u16, refusal: SessionRefusal) -> Out {
    told(Notice::SessionRefused { session: id(session), refusal })
}

pub(crate) fn select_refused(session: u16, status: u8) -> Out {
    refused(session, SessionRefusal::Select(SelectStatus(status)))
}

pub(crate) fn deselect_refused(session: u16, status: u8) -> Out {
    refused(session, SessionRefusal::Deselect(DeselectStatus(status)))
}

pub(crate) fn over(system: u32, end: TransactionEnd) -> Out {
    told(Notice::TransactionEnded { system: SystemBytes(system), end })
}

pub(crate) fn void(system: u32) -> Out {
    over(system, TransactionEnd::SessionEnded)
}

pub(crate) fn rejected(reason: u8) -> Class {
    Class::Rejected(RejectReason(reason))
}

/// One machine, the virtual time, and a transport that takes everything at once.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) machine: Machine,
    now: u64,
}

impl Scene {
    pub(crate) fn disabled(who: Who, sessions: General<20>) -> Self {
        let mut machine = Machine::general(who.0, sessions);
        machine.set_next_system_bytes(SystemBytes(OURS));
        Scene { machine, now: 1_000_000 }
    }

    /// NOT SELECTED since [`PAUSE`].
    #[track_caller]
    pub(crate) fn connected(who: Who, entities: &[SessionEntity]) -> Self {
        let mut scene = Scene::disabled(who, General::new(entities).unwrap());
        scene.opens(&[]);
        scene.pass(PAUSE);
        scene
    }

    /// NOT SELECTED since [`PAUSE`]; the peer may speak HSMS-SS.
    #[track_caller]
    pub(crate) fn undecided(who: Who, entities: &[SessionEntity]) -> Self {
        let mut scene = Scene::disabled(who, General::new(entities).unwrap().or_single());
        scene.opens(&[]);
        scene.pass(PAUSE);
        scene
    }

    /// A, B and C are offered, and the peer has selected these of them; the last one since [`PAUSE`].
    #[track_caller]
    pub(crate) fn selected(who: Who, sessions: &[u16]) -> Self {
        let mut scene = Scene::connected(who, &[offered(A), offered(B), offered(C)]);
        for session in sessions {
            scene.is_selected_by_peer(*session);
        }
        scene.pass(PAUSE);
        scene
    }

    #[track_caller]
    pub(crate) fn is_selected_by_peer(&mut self, session: u16) {
        let system = THEIRS + 0x1000 + u32::from(session);
        self.takes(&select_req(session, system), &[sent(select_rsp(session, 0, system)), begun(session)]);
    }

    /// Enabled where it is not, and the transport opens, which makes this come out.
    #[track_caller]
    pub(crate) fn opens(&mut self, outs: &[Out]) {
        if !self.machine.is_enabled() {
            self.does(&[Out::Open], Machine::enable);
        }
        self.happens(Event::TransportOpen, outs);
        assert_eq!(self.machine.state(), State::NotSelected);
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    pub(crate) fn pass(&mut self, millis: u64) {
        self.now += millis;
    }

    /// Something is told to the machine, and this comes out.
    #[track_caller]
    pub(crate) fn does<T>(&mut self, outs: &[Out], input: impl FnOnce(&mut Machine, Instant) -> Result<T, Error>) -> T {
        let now = self.now();
        let result = match input(&mut self.machine, now) {
            Ok(result) => result,
            Err(error) => panic!("refused: {error}"),
        };
        assert_eq!(self.drain(), outs, "what came out (left), and what was expected (right)");
        result
    }

    #[track_caller]
    pub(crate) fn happens(&mut self, event: Event, outs: &[Out]) {
        self.does(outs, |machine, now| machine.handle(now, event));
    }

    /// Something is refused and changes nothing, the remembered time included.
    #[track_caller]
    pub(crate) fn refuses<T>(&mut self, error: Error, input: impl FnOnce(&mut Machine, Instant) -> Result<T, Error>) {
        let before = self.machine.clone();
        match input(&mut self.machine, Instant::from_millis(self.now + 1)) {
            Ok(_) => panic!("accepted; expected: {error}"),
            Err(seen) => assert_eq!(seen, error),
        }
        assert_eq!(self.machine, before, "refused, and yet something changed");
    }

    /// A control message comes that is as it should be, and this comes out.
    #[track_caller]
    pub(crate) fn takes(&mut self, octets: &[u8], outs: &[Out]) {
        self.receives(octets, Class::Control, outs);
    }

    /// A message comes that counts as this, and this comes out. Gives its token where it has one.
    #[track_caller]
    pub(crate) fn receives(&mut self, octets: &[u8], class: Class, outs: &[Out]) -> Option<ReplyToken> {
        let before = self.clone();
        let (seen, token) = self.feed(octets, octets.len());
        let mut slowly = before;
        assert_eq!(slowly.feed(octets, 1), (seen.clone(), token), "octet by octet");
        assert_eq!(slowly.machine, self.machine, "octet by octet leaves another machine behind");
        let outs: Vec<Out> = std::iter::once(Out::Got(class)).chain(outs.iter().cloned()).collect();
        assert_eq!(seen, outs, "what came out (left), and what was expected (right)");
        token
    }

    /// Gives octets, at most `chunk` at a time, until they or the connection end. What came out, and the last token.
    #[track_caller]
    pub(crate) fn feed(&mut self, octets: &[u8], chunk: usize) -> (Vec<Out>, Option<ReplyToken>) {
        let (mut outs, mut token) = (Vec::new(), None);
        for part in octets.chunks(chunk) {
            let mut left = part;
            while !left.is_empty() && !outs.iter().any(|out| matches!(out, Out::Close(_))) {
                let (taken, inbound) = self.machine.receive(self.now(), left).expect("octets are taken");
                assert!(taken > 0 && taken <= left.len());
                if let Some(inbound) = inbound.filter(Inbound::first) {
                    outs.push(Out::Got(inbound.class));
                    token = inbound.reply_token().or(token);
                }
                left = &left[taken..];
                outs.extend(self.drain());
            }
        }
        (outs, token)
    }

    /// The next deadline is `millis` from now, and this comes out then; nothing a millisecond early.
    #[track_caller]
    pub(crate) fn fires_in(&mut self, millis: u64, outs: &[Out]) {
        assert_eq!(self.due_in(), Some(millis), "milliseconds to the next deadline");
        let mut late = self.clone();
        self.pass(millis - 1);
        self.happens(Event::Timeout, &[]);
        assert_eq!(self.due_in(), Some(1), "a millisecond early");
        self.pass(1);
        self.happens(Event::Timeout, outs);
        late.pass(millis + 1);
        late.happens(Event::Timeout, outs);
        assert_eq!(late.machine.state(), self.machine.state(), "a millisecond late");
    }

    pub(crate) fn due_in(&self) -> Option<u64> {
        self.machine.next_deadline().map(|deadline| deadline.as_millis().saturating_sub(self.now))
    }

    /// The state, the milliseconds to the next deadline and the sessions selected.
    #[track_caller]
    pub(crate) fn is(&self, state: State, due_in: Option<u64>, sessions: &[u16]) {
        assert_eq!(self.machine.state(), state, "the state");
        assert_eq!(self.due_in(), due_in, "milliseconds to the next deadline");
        let selected: Vec<u16> = self.machine.selected_sessions().map(|session| session.0).collect();
        assert_eq!(selected, sessions, "the sessions selected");
        for session in [A, B, C, NOBODY, 0xFFFF] {
            assert_eq!(self.machine.is_selected(id(session)), sessions.contains(&session), "{session:04X}");
        }
    }

    /// Our primary of this session without text. It is written at once, so that its T3 runs from now.
    #[track_caller]
    pub(crate) fn sends(&mut self, session: u16, stream: u8, function: u8, w: bool) -> u32 {
        let sf = StreamFunction::new(stream, function);
        let now = self.now();
        let (system, prefix) = self.machine.begin_primary_in(now, id(session), sf, w, 0).expect("it can be sent");
        let bit = if w { 0x80 } else { 0 };
        assert_eq!(prefix.to_vec(), data(session, bit | stream, function, system.0), "the octets in front of the text");
        self.machine.end_body(now).unwrap();
        self.machine.written(now, 14).unwrap();
        assert_eq!(self.drain(), []);
        system.0
    }

    /// Our reply without text: its octets.
    #[track_caller]
    pub(crate) fn replies(&mut self, token: &ReplyToken) -> Vec<u8> {
        let now = self.now();
        let prefix = self.machine.begin_reply(now, token, 0).expect("the token is good");
        self.machine.end_body(now).unwrap();
        self.machine.written(now, 14).unwrap();
        prefix.to_vec()
    }

    #[track_caller]
    pub(crate) fn select(&mut self, session: u16, system: u32) {
        let seen = self.does(&[sent(select_req(session, system))], |m, now| m.select_session(now, id(session)));
        assert_eq!(seen, SystemBytes(system));
    }

    #[track_caller]
    pub(crate) fn deselect(&mut self, session: u16, system: u32) {
        let seen = self.does(&[sent(deselect_req(session, system))], |m, now| m.deselect_session(now, id(session)));
        assert_eq!(seen, SystemBytes(system));
    }

    #[track_caller]
    pub(crate) fn separate(&mut self, session: u16, system: u32, outs: &[Out]) {
        let first = [sent(separate(session, system)), ended(session, SessionEnd::Separated)];
        let outs: Vec<Out> = first.into_iter().chain(outs.iter().cloned()).collect();
        self.does(&outs, |m, now| m.separate_session(now, id(session)));
    }

    /// Polls until nothing comes; holds the machine to what is true at every moment.
    #[track_caller]
    pub(crate) fn drain(&mut self) -> Vec<Out> {
        let (mut outs, mut closed) = (Vec::new(), false);
        for _ in 0..64 {
            let before = self.machine.clone();
            let Some(action) = self.machine.poll_action() else {
                assert_eq!(self.machine, before, "nothing came out, and yet something changed");
                self.check_idle();
                return outs;
            };
            let due = before.next_deadline().expect("a deadline while an action can be polled");
            assert!(due <= self.now(), "the deadline is now while an action can be polled");
            outs.push(match action {
                Action::OpenTransport => Out::Open,
                Action::Send(frame) => {
                    assert!(!closed, "{frame:?} was sent after the close");
                    let octets = frame.encode().to_vec();
                    self.machine.written(self.now(), octets.len() as u64).expect("so much was appended");
                    Out::Send(octets)
                }
                Action::CloseTransport(reason) => {
                    assert!(!closed, "closed twice");
                    closed = true;
                    Out::Close(reason)
                }
                Action::Notify(notice) => Out::Tell(notice),
            });
        }
        panic!("actions without end: {outs:?}");
    }

    /// Drained: nothing happens before the deadline, and something does at it.
    #[track_caller]
    fn check_idle(&self) {
        let mut probe = self.machine.clone();
        probe.handle(self.now(), Event::Timeout).expect("drained");
        match self.machine.next_deadline() {
            Some(deadline) if deadline <= self.now() => assert_ne!(probe, self.machine, "due, and nothing happens"),
            deadline => assert_eq!(probe, self.machine, "nothing is due before {deadline:?}"),
        }
    }
}
