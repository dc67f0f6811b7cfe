//! What comes in: octets, events and expired timers.

use super::Sessions;
use super::general::SessionStep;
use super::output::close_gap;
use super::transition::{self, Answer, Cause, Course, Matched, Next, Received, Report, Step};
use super::{
    Action, Class, CloseReason, Connection, ControlFrame, ControlRequest, Event, Inbound, Leniency, MOST_ACTIONS,
    Notice, Phase, QUEUE, Stray, TransactionEnd,
};
use crate::config::{ConnectMode, DeviceId, Entity, SelectMode};
use crate::connection::transaction::{Clock, Slot};
use crate::error::Error;
use crate::frame::{LengthTooShort, Piece};
use crate::time::Instant;
use crate::wire::{Header, PType, RejectReason, SType, SessionId, SystemBytes};

/// Bit 15 of a session id: the direction bit of SECS-I, which some equipment leaves set.
const DIRECTION_BIT: u16 = 0x8000;

/// What a SECS-I sender says first, and the least length field that begins with it.
const SECS_I_ENQ: u8 = 0x05;
const SECS_I_LENGTH: u32 = 0x0500_0000;

/// A timer that can expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timer {
    /// The reply timeout of the primary with these system bytes (E37 9.4.1).
    T3(SystemBytes),
    /// The connect separation time (E37 9.2.1).
    T5,
    /// The control transaction timeout of our Select.req or Linktest.req (E37 9.3.1).
    T6,
    /// The not selected timeout (E37 9.2.2).
    T7,
    /// The network intercharacter timeout (E37 9.2.3).
    T8,
    /// The linktest period.
    Linktest,
    /// HSMS-GS: T6 of our request about a session that asks for this.
    SessionT6(ControlRequest),
}

// B. Inputs.
impl<const TRANSACTIONS: usize, S: Sessions> Connection<TRANSACTIONS, S> {
    /// Takes octets that the peer sent, from the front of `input`: gives how many were taken, and the piece of a message
    /// that they made where they made one. Drain the actions, then call it again with what is left.
    ///
    /// Of a non-empty `input` at least one octet is taken. Where the octets end the connection, `CloseTransport` is
    /// among the actions and what is left of the input is void.
    ///
    /// # Errors
    /// [`Error::ActionsPending`], [`Error::NotConnected`] or [`Error::InputPaused`].
    #[inline]
    pub fn receive<'i>(&mut self, now: Instant, input: &'i [u8]) -> Result<(usize, Option<Inbound<'i>>), Error> {
        if !self.phase.connected() {
            return Err(Error::NotConnected);
        }
        if self.paused.is_some() {
            return Err(Error::InputPaused);
        }
        let Some(first) = input.first() else { return Ok((0, None)) };
        if !self.has_room_for_octets() {
            return if self.stalls(now) { Ok((input.len(), None)) } else { Err(Error::ActionsPending) };
        }
        self.advance(now);
        if !self.decoder.in_message() && *first == SECS_I_ENQ && self.longest() < SECS_I_LENGTH {
            self.broken(CloseReason::LooksLikeSecsI);
            return Ok((input.len(), None));
        }
        let inside_text = self.decoder.body_left() > 0;
        let mut piece = None;
        let taken = match self.decoder.decode_to(input, &mut piece) {
            Ok(taken) => taken,
            Err(LengthTooShort { length }) => {
                self.broken(CloseReason::LengthTooShort { length });
                return Ok((input.len(), None));
            }
        };
        if let Phase::Selected { quiet, missed } = &mut self.phase {
            *quiet = self.now;
            *missed = 0;
        }
        let Some(piece) = &mut piece else {
            self.t8 = Some(self.after(self.config.t8));
            return Ok((taken, None));
        };
        let class = self.judge(piece);
        let link = self.token_link(piece.header.session).unwrap_or_default();
        // Closing the connection has reset the decoder.
        self.t8 = if self.decoder.in_message() { Some(self.after(self.config.t8)) } else { None };
        if inside_text || self.decoder.body_left() > 0 {
            self.extend_linktest();
        }
        if inside_text {
            // Not behind a header, which may have made all the actions that there is room for.
            self.tell_extension();
        }
        Ok((taken, Some(Inbound { class, piece: *piece, link })))
    }

    /// Takes what happened outside.
    ///
    /// # Errors
    /// [`Error::ActionsPending`], or [`Error::UnexpectedEvent`] for an event that cannot happen now: an adapter tells only
    /// of the transport that it was asked for last.
    pub fn handle(&mut self, now: Instant, event: Event) -> Result<(), Error> {
        let cause = match event {
            Event::Timeout => return self.time_out(now),
            Event::TransportOpen => Cause::Opened,
            Event::TransportFailed => Cause::OpenFailed,
            Event::TransportClosed => Cause::Broken(CloseReason::TransportClosed),
        };
        match self.happen(now, cause) {
            Err(Error::NotConnected) => Err(Error::UnexpectedEvent { event, state: self.state() }),
            done => done,
        }
    }

    /// Lets `cause` happen. Where it cannot, that is [`Error::NotConnected`], and changes nothing.
    pub(super) fn happen(&mut self, now: Instant, cause: Cause) -> Result<(), Error> {
        if !self.can_act() {
            return Err(Error::ActionsPending);
        }
        let course = self.course(cause);
        if matches!(course, Course::Refuse) {
            return Err(Error::NotConnected);
        }
        self.set_now(now);
        self.take_course(course);
        Ok(())
    }

    fn course(&self, cause: Cause) -> Course {
        // Sessions of HSMS-GS are selected beside this, and T7 runs meanwhile.
        let on_connect = !S::GENERAL && matches!(self.config.select, SelectMode::OnConnect);
        transition::happened(self.place(), self.is_active(), on_connect, self.refusing, cause)
    }

    fn take_course(&mut self, course: Course) {
        match course {
            Course::Stay | Course::Refuse => {}
            Course::Attempt => {
                self.phase = match self.phase {
                    Phase::Disabled { t5: Some(t5) } if t5 > self.now => Phase::Separation { t5 },
                    _ => Phase::Ready,
                }
            }
            Course::Retry => self.phase = Phase::Separation { t5: self.after(self.config.t5) },
            Course::GiveUp => {
                self.phase = match self.phase {
                    Phase::Separation { t5 } => Phase::Disabled { t5: Some(t5) },
                    _ => Phase::Disabled { t5: None },
                }
            }
            Course::Connected { t7, select } => {
                self.link = self.link.wrapping_add(1);
                // A farewell on the former connection may never have been written.
                self.outstanding = 0;
                self.system.first = self.system.next;
                self.phase = Phase::NotSelected { t7: t7.then(|| self.after(self.config.t7)) };
                if select {
                    self.request(ControlRequest::Select);
                }
                if S::GENERAL {
                    self.begin_sessions();
                }
            }
            Course::Close { reason, farewell, again } => self.close(reason, farewell, again),
        }
    }

    /// The connection cannot go on. Only called while connected, by inputs that have made sure of the room.
    #[cold]
    #[inline(never)]
    pub(super) fn broken(&mut self, reason: CloseReason) {
        self.meet(Cause::Broken(reason));
    }

    /// What cannot be refused happens.
    fn meet(&mut self, cause: Cause) {
        self.take_course(self.course(cause));
    }

    fn close(&mut self, reason: CloseReason, farewell: bool, again: bool) {
        if let Some(system) = self.sessions.end(farewell && !self.body_open) {
            self.system.ended = system.0;
        }
        if self.body_open {
            // A frame in the middle of a text would be taken for text.
            self.body_open = false;
            self.drop_frames();
        } else if farewell && !self.is_general() {
            let system = self.take_system_bytes();
            self.push(Action::Send(ControlFrame::Control(Header::separate_req(system))));
        }
        self.push(Action::CloseTransport(reason));
        self.decoder.reset();
        self.class = Class::Control;
        self.cleared = false;
        self.t8 = None;
        self.paused = None;
        self.linktest_t6 = None;
        self.outstanding = 0;
        if let Some(slot) = self.control
            && slot.request() == ControlRequest::Select
        {
            // Nobody asked for it by name; a linktest of the application is told of by `poll_action`.
            self.control = None;
            self.system.ended = slot.system.0;
        }
        let t5 = self.after(self.config.t5);
        self.phase = match (again, self.config.mode) {
            (true, ConnectMode::Active) => Phase::Separation { t5 },
            (true, ConnectMode::Passive) => Phase::Ready,
            (false, ConnectMode::Active) => Phase::Disabled { t5: Some(t5) },
            (false, ConnectMode::Passive) => Phase::Disabled { t5: None },
        };
    }

    /// Octets of a text came: T6 of a linktest of ours, whose answer is stuck behind that text, starts anew.
    fn extend_linktest(&mut self) {
        if self.situation().strict {
            return;
        }
        let t6 = self.after(self.config.t6);
        if let Some(slot) = &mut self.control
            && slot.request() == ControlRequest::Linktest
            && let Some(deadline) = slot.clock.deadline()
            && deadline < t6
        {
            slot.clock = Clock::running(t6);
            self.linktest_t6 = self.linktest_t6.or(Some(deadline));
        }
    }

    /// Tells, once for each linktest, that it is open beyond its own T6.
    fn tell_extension(&mut self) {
        if self.linktest_t6.is_some_and(|deadline| deadline <= self.now)
            && let Some(slot) = &mut self.control
            && slot.extend()
        {
            self.notify(Notice::Lenient(Leniency::LinktestExtended));
        }
    }

    /// What becomes of a piece of a message. The verdict falls with the first.
    #[inline]
    fn judge(&mut self, piece: &mut Piece<'_>) -> Class {
        if piece.first() { self.judge_first(piece) } else { self.judge_further(piece) }
    }

    fn judge_further(&mut self, piece: &mut Piece<'_>) -> Class {
        let class = self.class;
        if self.cleared {
            piece.header.session.0 &= !DIRECTION_BIT;
        }
        if piece.last() {
            if matches!(class, Class::Reply) {
                self.end_slot(piece.header.system);
            }
            self.class = Class::Control;
            self.cleared = false;
        }
        class
    }

    #[inline]
    fn judge_first(&mut self, piece: &mut Piece<'_>) -> Class {
        let header = &piece.header;
        if transition::is_plain_data(self.state(), header)
            && self.knows(header.session)
            && piece.body_len.saturating_add(crate::wire::MIN_LENGTH) <= self.config.max_message
        {
            if header.stream_function().is_primary() {
                if !piece.last() {
                    self.class = Class::Primary;
                }
                return Class::Primary;
            }
            if let (Matched::Reply, Some(slot)) = self.match_reply(header, header.session) {
                self.reply_arrives(slot, piece.last());
                if !piece.last() {
                    self.class = Class::Reply;
                }
                return Class::Reply;
            }
        }
        if transition::is_plain_linktest(self.state(), header) && piece.body_len == 0 {
            self.answer(&piece.header, Answer::Linktest);
            return Class::Control;
        }
        self.judge_by_table(piece)
    }

    #[inline(never)]
    #[expect(clippy::too_many_lines, reason = "each part that stands elsewhere takes more stack")]
    fn judge_by_table(&mut self, piece: &mut Piece<'_>) -> Class {
        let general = self.is_general() && !self.decides_for_single(piece);
        let at = self.situation();
        let original = piece.header;
        let mut received = Received {
            kind: original.kind(),
            session: original.session,
            ptype: original.ptype,
            stype: original.stype,
            body_len: piece.body_len,
            matched: Matched::Nothing,
            known_device: true,
            direction_bit: false,
        };
        let (mut slot, mut about) = (None, original.session);
        if original.stype == SType::DATA && original.ptype == PType::SECS_II {
            let mut session = original.session;
            // Ids of session entities have sixteen bits.
            if !general {
                // 0xFFFF is no device id with a bit set but the session id of control messages.
                if session.0 & DIRECTION_BIT != 0 && session != SessionId::CONTROL && !at.strict {
                    session.0 &= !DIRECTION_BIT;
                    received.direction_bit = true;
                }
                received.known_device = self.serves(session);
                if received.known_device {
                    piece.header.session = session;
                } else {
                    received.direction_bit = false;
                }
            }
            if !original.stream_function().is_primary() {
                (received.matched, slot) = self.match_reply(&original, session);
            }
        } else if answers_request(original.stype) {
            received.matched = self.match_control(&original);
            // Some peers answer with 0xFFFF whatever session was asked about.
            if S::GENERAL
                && let Some(request) = self.session_request(original.system)
            {
                about = request.session();
            }
        }
        let last = piece.last();
        // What is carried out is the same for both standards, and stands here once. Without sessions a step is the smaller one.
        let class = if S::GENERAL {
            let mut to = SessionStep::NOTHING;
            if general {
                self.judge_session(&mut to, at, &received, about);
            } else {
                transition::judge(&mut to.step, at, &received, self.config.max_message, self.config.skip_limit);
            }
            self.take_reply(to.step.class, slot, last);
            self.take_session_step(&original, about, &to);
            to.step.class
        } else {
            let step = transition::judged(at, &received, self.config.max_message, self.config.skip_limit);
            self.take_reply(step.class, slot, last);
            self.take(&original, &step);
            step.class
        };
        if !last && self.phase.connected() {
            self.class = class;
            self.cleared = received.direction_bit;
        }
        class
    }

    #[inline(always)]
    fn take_reply(&mut self, class: Class, slot: Option<usize>, last: bool) {
        if let (Class::Reply, Some(slot)) = (class, slot) {
            self.reply_arrives(slot, last);
        }
    }

    /// Carries out a step that the transition table asked for.
    pub(super) fn take(&mut self, about: &Header, step: &Step) {
        match step.report {
            Report::None => {}
            Report::ControlAnswered => {
                self.tell_extension();
                self.linktest_t6 = None;
                if let Some(slot) = self.control.take() {
                    self.system.ended = slot.system.0;
                    if slot.request() == ControlRequest::Linktest {
                        self.notify(Notice::LinktestAnswered { system: slot.system });
                    }
                }
            }
            Report::Ended(end) => {
                self.end_slot(about.system);
                self.notify(Notice::TransactionEnded { system: about.system, end });
            }
            Report::StrayReject => self.notify(Notice::RejectReceived { header: *about }),
        }
        self.answer(about, step.answer);
        if let Some(leniency) = step.lenient {
            self.notify(Notice::Lenient(leniency));
        }
        match step.next {
            Next::Stay => {}
            Next::Selected => {
                self.phase = Phase::Selected { quiet: self.now, missed: 0 };
                self.notify(Notice::Selected);
            }
            Next::NotSelected => {
                // Transactions of the peer's are void with the session: a token of theirs is stale from here.
                self.link = self.link.wrapping_add(1);
                self.linktest_t6 = None;
                self.phase = Phase::NotSelected { t7: Some(self.after(self.config.t7)) };
                self.notify(Notice::Deselected);
            }
            Next::Close(reason) => self.broken(reason),
        }
    }

    /// Sends what the transition table answers to the message with the header `about`.
    pub(super) fn answer(&mut self, about: &Header, answer: Answer) {
        let frame = match answer {
            Answer::None => return,
            Answer::Select(status) => {
                Header::select_rsp(about.system).with_session(about.session).with_status(status.0)
            }
            Answer::Deselect(status) => {
                Header::deselect_rsp(about.system).with_session(about.session).with_status(status.0)
            }
            Answer::Linktest => Header::linktest_rsp(about.system),
            Answer::Reject(reason) => {
                let offender = if reason == RejectReason::PTYPE_NOT_SUPPORTED { about.ptype.0 } else { about.stype.0 };
                let reject = Header::reject_req(about.system, offender, reason);
                // E37 8.2.8 copies the session id; E37.1 8.1 has 0xFFFF in all control messages.
                if self.is_general() { reject.with_session(about.session) } else { reject }
            }
            Answer::Stream9(function) => return self.send_stream9(function, about),
        };
        self.push(Action::Send(ControlFrame::Control(frame)));
    }

    /// Which of our transactions a reply belongs to (E37 9.4.1), and where that stands.
    pub(super) fn match_reply(&self, header: &Header, session: SessionId) -> (Matched, Option<usize>) {
        let index = self.slots.iter().position(|slot| slot.system == header.system);
        let matched = match index.and_then(|index| self.slots.get(index)) {
            Some(slot) if slot.is_answered_by(header, session) => Matched::Reply,
            Some(_) => Matched::Primary,
            None => self.match_ended(header.system),
        };
        (matched, index)
    }

    /// Which of our transactions a control message belongs to.
    pub(super) fn match_control(&self, header: &Header) -> Matched {
        let sent = |slot: &&Slot| slot.clock != Clock::QUEUED;
        let Some(slot) = self.open_slot(header.system).filter(sent) else { return self.match_ended(header.system) };
        if header.stype == SType::REJECT_REQ && !names(header, slot) {
            return Matched::Nothing;
        }
        if slot.stype() == SType::DATA { Matched::Primary } else { Matched::Control(slot.request()) }
    }

    fn match_ended(&self, system: SystemBytes) -> Matched {
        let issued = self.system.next.wrapping_sub(self.system.first);
        if system.0.wrapping_sub(self.system.first) < issued { Matched::Ended } else { Matched::Nothing }
    }

    /// Whether data of this session is for us: its id is a device id of ours, or it is selected.
    #[inline]
    pub(super) fn knows(&self, session: SessionId) -> bool {
        if self.is_general() {
            return self.selected(session).is_some();
        }
        self.serves(session)
    }

    /// Whether the id is a device id of ours.
    #[inline]
    fn serves(&self, device: SessionId) -> bool {
        DeviceId::new(device.0).is_some_and(|id| self.config.device_ids.contains(id))
    }

    /// The reply's header has come: T3 stops (E37 9.4.1).
    #[inline(never)]
    pub(super) fn reply_arrives(&mut self, index: usize, last: bool) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if last {
            self.system.ended = slot.system.0;
            self.remove_slot(index);
        } else {
            slot.clock = Clock::ARRIVING;
        }
    }

    /// Takes the transaction with these system bytes out, where there is one, keeping the others in order.
    pub(super) fn end_slot(&mut self, system: SystemBytes) -> Option<Slot> {
        let index = self.slots.iter().position(|slot| slot.system == system)?;
        let slot = self.slots.get(index).copied();
        self.remove_slot(index);
        self.system.ended = system.0;
        slot
    }

    /// Takes the slot at `index` out by moving those behind it forward.
    #[inline(never)]
    pub(super) fn remove_slot(&mut self, index: usize) {
        if let Some(slots) = self.slots.get_mut(index..) {
            close_gap(slots);
            self.slots.pop();
        }
    }

    /// Fires the one timer that is due first, where one is due.
    fn time_out(&mut self, now: Instant) -> Result<(), Error> {
        let timer = match self.earliest() {
            Some((deadline, timer)) if deadline <= now.max(self.now) => timer,
            _ => return Ok(()),
        };
        if !self.can_act() {
            return Err(Error::ActionsPending);
        }
        self.set_now(now);
        self.expire(timer);
        Ok(())
    }

    /// The timer has expired. There is room.
    #[inline(always)]
    pub(super) fn expire(&mut self, timer: Timer) {
        match timer {
            Timer::T3(system) => self.t3(system),
            Timer::T5 => self.meet(Cause::SeparationOver),
            Timer::T6 => self.t6(),
            Timer::SessionT6(request) => self.broken(CloseReason::T6(request)),
            Timer::T7 => self.broken(CloseReason::T7),
            Timer::T8 => {
                let received = u32::try_from(self.decoder.received()).unwrap_or(u32::MAX);
                self.broken(CloseReason::T8 { received });
            }
            Timer::Linktest => {
                self.request(ControlRequest::Linktest);
            }
        }
    }

    /// No reply in time: the transaction ends, the link stays (E37.1 Tables 1 and 2 row 6).
    fn t3(&mut self, system: SystemBytes) {
        let Some(slot) = self.end_slot(system) else { return };
        let header = slot.header();
        let answer = transition::reply_timeout(self.situation(), header.stream_function());
        self.answer(&header, answer);
        self.notify(Notice::TransactionEnded { system, end: TransactionEnd::T3 });
    }

    /// No response in time (E37 9.3.1).
    fn t6(&mut self) {
        let Some(slot) = self.control else { return };
        let next = match (slot.request(), &mut self.phase) {
            (ControlRequest::Linktest, Phase::Selected { quiet, missed }) => {
                *missed = missed.saturating_add(1);
                *quiet = self.now;
                let missed = *missed;
                let next = transition::linktest_missed(missed, self.config.linktest_threshold);
                if matches!(next, Next::Stay) {
                    self.control = None;
                    self.linktest_t6 = None;
                    self.system.ended = slot.system.0;
                    self.notify(Notice::LinktestMissed { system: slot.system, missed });
                }
                next
            }
            (request, _) => Next::Close(CloseReason::T6(request)),
        };
        if let Next::Close(reason) = next {
            self.broken(reason);
        }
    }

    /// Whether there is room for all that one input can make.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() <= QUEUE - MOST_ACTIONS && !self.has_ends_to_tell()
    }

    /// Whether something can happen beside octets. Where frames only wait for a text to end, all that can is that the connection
    /// closes.
    #[inline(never)]
    pub(super) fn can_act(&self) -> bool {
        self.has_room() || self.only_holds()
    }

    /// Whether there is room for what octets make. Inside a text that is arriving they make one action at most: so whether there is room
    /// depends on messages, not on how they are cut.
    #[inline]
    fn has_room_for_octets(&self) -> bool {
        let actions = if self.decoder.body_left() > 0 { 1 } else { MOST_ACTIONS };
        self.queue.len() <= QUEUE.saturating_sub(actions) && !self.has_ends_to_tell()
    }

    /// Octets came and there is no room for what they may ask for. While a text is open the application cannot make any, so
    /// the link ends; tells whether it did.
    #[cold]
    fn stalls(&mut self, now: Instant) -> bool {
        let stalls = self.only_holds();
        if stalls {
            self.set_now(now);
            self.broken(CloseReason::OutputStalled);
        }
        stalls
    }

    /// Whether all that is queued are frames that wait for the end of a text, so that nothing can be polled. There are never
    /// more than six: a closing drops them, and a notice fits behind them.
    pub(super) fn only_holds(&self) -> bool {
        // A text is open while connected only.
        self.body_open && self.only_frames() && !self.has_ends_to_tell()
    }

    /// The greatest length field that is not closed upon.
    fn longest(&self) -> u32 {
        match self.config.entity {
            Entity::Equipment => self.config.skip_limit,
            Entity::Host => self.config.max_message,
        }
    }

    /// The moment that is `span` milliseconds from now.
    #[inline(never)]
    pub(super) fn after(&self, span: u32) -> Instant {
        self.now.plus_millis(span.into())
    }

    /// Time goes on, and never back. Out of line, for all but what every message passes.
    #[inline(never)]
    pub(super) fn set_now(&mut self, now: Instant) {
        self.advance(now);
    }

    /// The same in place.
    #[inline]
    pub(super) fn advance(&mut self, now: Instant) {
        if now > self.now {
            self.now = now;
        }
    }
}

/// Whether a message of this type is about a control request of ours, or rejects a message.
const fn answers_request(stype: SType) -> bool {
    matches!(stype, SType::LINKTEST_RSP | SType::SELECT_RSP | SType::DESELECT_RSP | SType::REJECT_REQ)
}

/// Whether a Reject.req can be about the request in `slot`. A reason of 0, which E37 forbids, comes from peers that put
/// their codes elsewhere.
fn names(header: &Header, slot: &Slot) -> bool {
    match RejectReason(header.byte3) {
        RejectReason(0) | RejectReason::PTYPE_NOT_SUPPORTED => true,
        _ => header.byte2 == slot.stype().0,
    }
}

/// A stray reply from now on: its transaction was given up while it arrived.
pub(super) const GIVEN_UP: Class = Class::Stray(Stray::Late);
