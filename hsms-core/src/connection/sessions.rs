//! What the machine of HSMS-GS does beside that of HSMS-SS: commands about sessions, and messages about them.

use super::general::{self, Change, Session, SessionStep};
use super::inbound::{Class, Stray};
use super::input::GIVEN_UP;
use super::session::sealed::Sessions as _;
use super::session::{Admission, Entry, General, Mode, Sessions};
use super::transaction::{Clock, Slot};
use super::transition::{Received, Situation};
use super::{
    Action, Connection, ControlFrame, ControlRequest, Instant, Notice, Phase, ReplyToken, SessionEnd, State,
    TransactionEnd,
};
use crate::config::{Config, SelectMode};
use crate::error::Error;
use crate::frame::Piece;
use crate::wire::{Header, PType, SType, SelectStatus, SessionId, SystemBytes};

// A and C, for connections with a list of session entities.
impl<const TRANSACTIONS: usize, const N: usize> Connection<TRANSACTIONS, General<N>> {
    /// A disabled connection with these settings and session entities (HSMS-GS, E37.2).
    #[must_use]
    pub const fn general(config: Config, sessions: General<N>) -> Self {
        Self::over(config, sessions, false)
    }

    /// A connection of HSMS-GS for a caller beyond those that are served (E37 9.2.4 option a), as
    /// [`refusing`](Connection::refusing) is of HSMS-SS: its Select.req for whatever session is answered with status 1. Give it an empty list,
    /// which may be [`or_single`](General::or_single) like that of the connection that is served.
    #[must_use]
    pub const fn general_refusing(config: Config, sessions: General<N>) -> Self {
        Self::over(config, sessions, true)
    }

    /// The session ids that are selected on this connection (E37.2: the Selected Entity List). Where the peer chose HSMS-SS
    /// the list is empty and [`state`](Self::state) tells.
    pub fn selected_sessions(&self) -> impl Iterator<Item = SessionId> {
        self.sessions.entries().iter().filter(|entry| entry.selected).map(|entry| entry.entity.session)
    }

    /// Whether the session is selected on this connection.
    #[must_use]
    pub fn is_selected(&self, session: SessionId) -> bool {
        self.selected(session).is_some()
    }

    /// Whether the peer chose HSMS-SS for this connection, which
    /// [`General::or_single`] allows it to.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.phase.connected() && self.sessions.mode() == Mode::Single
    }

    /// Sends Select.req for this session (E37.2 7.2). Gives its system bytes. Where the peer selects it meanwhile, the answer says
    /// nothing any more, but T6 still waits for it. It ends in
    /// [`Notice::SessionSelected`], in [`Notice::SessionRefused`], or with the connection.
    ///
    /// # Errors
    /// [`Error::UnknownSession`], [`Error::SessionSelected`], [`Error::ControlOpen`] while a request of ours about this
    /// session is open; [`Error::CannotSelect`] where the peer chose HSMS-SS; [`Error::NotConnected`].
    pub fn select_session(&mut self, now: Instant, session: SessionId) -> Result<SystemBytes, Error> {
        if !self.phase.connected() {
            return Err(Error::NotConnected);
        }
        if self.sessions.mode() == Mode::Single {
            return Err(Error::CannotSelect);
        }
        self.request_session(now, session, ControlRequest::Select)
    }

    /// Sends Deselect.req for this session (E37.2 7.4). Gives its system bytes. It ends in [`Notice::SessionEnded`], in
    /// [`Notice::SessionRefused`], or with the connection. Until then the session goes on.
    ///
    /// # Errors
    /// [`Error::UnknownSession`], [`Error::SessionNotSelected`], [`Error::ControlOpen`] while a request of ours about this
    /// session is open.
    pub fn deselect_session(&mut self, now: Instant, session: SessionId) -> Result<SystemBytes, Error> {
        self.request_session(now, session, ControlRequest::Deselect)
    }

    /// Sends Separate.req for this session, which ends at once (E37.2 7.6). The connection stays, NOT SELECTED where this was
    /// the last one.
    ///
    /// # Errors
    /// [`Error::UnknownSession`], [`Error::SessionNotSelected`]; [`Error::BodyOpen`] where too many frames wait for the end
    /// of a text; [`Error::ActionsPending`].
    pub fn separate_session(&mut self, now: Instant, session: SessionId) -> Result<(), Error> {
        self.make_room()?;
        let entry = self.entry(session).ok_or(Error::UnknownSession { session })?;
        if !entry.selected {
            return Err(Error::SessionNotSelected { session });
        }
        self.set_now(now);
        let system = self.take_system_bytes();
        self.push(Action::Send(ControlFrame::Control(Header::separate_req(system).with_session(session))));
        self.system.ended = system.0;
        self.change_session(system, session, Change::Ended(SessionEnd::Separated));
        Ok(())
    }

    /// Answers the Select.req that [`Notice::SelectAsked`] told of: status 0 selects the session.
    ///
    /// # Errors
    /// [`Error::UnknownSession`]; [`Error::NotAsked`] where no Select.req waits for an answer, perhaps because the connection it
    /// came over has ended, or because the peer accepted a Select.req of ours meanwhile; [`Error::BodyOpen`] where too many frames wait for the end of a text; [`Error::ActionsPending`].
    pub fn answer_select(&mut self, now: Instant, session: SessionId, status: SelectStatus) -> Result<(), Error> {
        self.make_room()?;
        let entry = self.entry_mut(session).ok_or(Error::UnknownSession { session })?;
        let system = entry.asked.take().ok_or(Error::NotAsked { session })?;
        self.set_now(now);
        let step = general::answer_select(status);
        self.answer(&Header::select_req(system).with_session(session), step.step.answer);
        self.change_session(system, session, step.change);
        Ok(())
    }

    /// Sets what a Select.req for this session is answered with from now on.
    ///
    /// # Errors
    /// [`Error::UnknownSession`].
    pub fn set_admission(&mut self, session: SessionId, admission: Admission) -> Result<(), Error> {
        let entry = self.entry_mut(session).ok_or(Error::UnknownSession { session })?;
        entry.entity.admission = admission;
        Ok(())
    }

    /// Sets whether the application still uses this session, so that a Deselect.req for it is answered with status 2
    /// (E37 7.4.2). Every connection begins with `false`.
    ///
    /// # Errors
    /// [`Error::UnknownSession`].
    pub fn set_busy(&mut self, session: SessionId, busy: bool) -> Result<(), Error> {
        self.entry_mut(session).ok_or(Error::UnknownSession { session })?.busy = busy;
        Ok(())
    }

    /// Sends a request that only makes sense of a session that is not selected, or of one that is.
    #[inline(never)]
    fn request_session(
        &mut self,
        now: Instant,
        session: SessionId,
        request: ControlRequest,
    ) -> Result<SystemBytes, Error> {
        let entry = self.entry(session).ok_or(Error::UnknownSession { session })?;
        match (request, entry.selected) {
            (ControlRequest::Deselect, false) => return Err(Error::SessionNotSelected { session }),
            (ControlRequest::Select, true) => return Err(Error::SessionSelected { session }),
            _ => {}
        }
        if let Some(slot) = entry.request {
            return Err(Error::ControlOpen { system: slot.system });
        }
        self.set_now(now);
        Ok(self.open_session_request(session, request))
    }
}

impl<const TRANSACTIONS: usize, S: Sessions> Connection<TRANSACTIONS, S> {
    /// Whether this connection follows E37.2. Nothing is left of this question where there is a single session.
    #[inline(always)]
    pub(super) fn is_general(&self) -> bool {
        S::GENERAL && self.sessions.mode() != Mode::Single
    }

    /// The entry of this session, where it is selected.
    pub(super) fn selected(&self, session: SessionId) -> Option<&Entry> {
        self.entry(session).filter(|entry| entry.selected)
    }

    /// Our open requests about sessions.
    pub(super) fn session_requests(&self) -> impl Iterator<Item = &Slot> {
        self.sessions.entries().iter().filter_map(|entry| entry.request.as_ref())
    }

    /// That of them with these system bytes. Out of line, as it is asked for in many places.
    #[inline(never)]
    pub(super) fn session_request(&self, system: SystemBytes) -> Option<&Slot> {
        self.session_requests().find(|slot| slot.system == system)
    }

    pub(super) fn session_requests_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.sessions.entries_mut().iter_mut().filter_map(|entry| entry.request.as_mut())
    }

    /// Whether the session still is the one that the primary of this token came in.
    #[inline(always)]
    pub(super) fn is_current(&self, token: &ReplyToken) -> bool {
        if self.is_general() { self.token_link(token.session) == Some(token.link) } else { token.link == self.link }
    }

    /// What a token for a reply has to carry now, where there can be one.
    #[inline(always)]
    pub(super) fn token_link(&self, session: SessionId) -> Option<u32> {
        if self.is_general() { self.selected(session).map(|entry| entry.serial) } else { Some(self.link) }
    }

    #[inline(never)]
    fn entry(&self, session: SessionId) -> Option<&Entry> {
        // Free places have an id as well, which nobody asks for.
        if session == SessionId::CONTROL {
            return None;
        }
        self.sessions.entries().iter().find(|entry| entry.entity.session == session)
    }

    #[inline(never)]
    fn entry_mut(&mut self, session: SessionId) -> Option<&mut Entry> {
        if session == SessionId::CONTROL {
            return None;
        }
        self.sessions.entries_mut().iter_mut().find(|entry| entry.entity.session == session)
    }

    /// A connection begins: the sessions that are wanted are selected, where that is not left to the application.
    pub(super) fn begin_sessions(&mut self) {
        self.sessions.begin();
        if matches!(self.config.select, SelectMode::OnCommand) {
            return;
        }
        let mut entries = self.sessions.entries().iter();
        while let Some(entry) = entries.find(|entry| entry.entity.wanted && entry.request.is_none()) {
            self.open_session_request(entry.entity.session, ControlRequest::Select);
            entries = self.sessions.entries().iter();
        }
    }

    /// Opens a control transaction about a session. Its frame comes out when it is polled for: so there can be as many as
    /// there are sessions.
    fn open_session_request(&mut self, session: SessionId, request: ControlRequest) -> SystemBytes {
        let system = self.take_system_bytes();
        if self.sessions.mode() == Mode::Undecided {
            self.sessions.decide(Mode::General);
        }
        if let Some(entry) = self.entry_mut(session) {
            entry.request = Some(Slot::control(request, session, system));
            entry.moot = false;
        }
        system
    }

    /// Whether a request of ours about a session can be polled.
    #[inline(always)]
    pub(super) fn has_queued_request(&self) -> bool {
        S::GENERAL && self.queued_request().is_some()
    }

    /// Our request about a session that can be polled.
    #[inline(never)]
    fn queued_request(&self) -> Option<&Slot> {
        if self.body_open {
            return None;
        }
        self.session_requests().find(|slot| slot.clock == Clock::QUEUED)
    }

    /// The next frame about a session, or the end of a transaction whose session has ended.
    pub(super) fn poll_session(&mut self) -> Option<Action> {
        if let Some(index) = self.slots.iter().position(Slot::is_void) {
            let system = self.slots.get(index)?.system;
            self.remove_slot(index);
            self.system.ended = system.0;
            return Some(Action::Notify(Notice::TransactionEnded { system, end: TransactionEnd::SessionEnded }));
        }
        let slot = *self.queued_request()?;
        let frame = ControlFrame::Control(slot.request_header());
        self.sent(&frame);
        let clock = Clock::sending(self.outstanding);
        if let Some(request) = self.entry_mut(slot.session()).and_then(|entry| entry.request.as_mut()) {
            request.clock = clock;
        }
        Some(Action::Send(frame))
    }

    /// The next Separate.req in front of a transport that is about to be closed.
    pub(super) fn poll_farewell(&mut self) -> Option<Action> {
        if !matches!(self.queue.first(), Some(Action::CloseTransport(_))) {
            return None;
        }
        let entry = self.sessions.entries_mut().iter_mut().find(|entry| entry.farewell)?;
        entry.farewell = false;
        let session = entry.entity.session;
        let system = self.take_system_bytes();
        Some(Action::Send(ControlFrame::Control(Header::separate_req(system).with_session(session))))
    }

    /// What has to be done about a message about this session where E37.2 holds.
    #[inline(never)]
    pub(super) fn judge_session(&self, to: &mut SessionStep, at: Situation, message: &Received, about: SessionId) {
        let session = self.entry(about).map_or(Session::UNKNOWN, |entry| Session {
            offered: entry.entity.offered,
            selected: entry.selected,
            requested: entry.requested(),
            asked: entry.asked.is_some(),
            busy: entry.busy,
            admission: entry.entity.admission,
        });
        general::judge(to, at, message, session, self.config.max_message, self.config.skip_limit);
    }

    /// Whether the peer's first Select.req turns an undecided connection into one of E37.1; decides on it.
    pub(super) fn decides_for_single(&mut self, piece: &Piece<'_>) -> bool {
        let header = &piece.header;
        let selects = header.ptype == PType::SECS_II && header.stype == SType::SELECT_REQ && piece.body_len == 0;
        if self.sessions.mode() != Mode::Undecided || !selects {
            return false;
        }
        let single = piece.header.session == SessionId::CONTROL;
        self.sessions.decide(if single { Mode::Single } else { Mode::General });
        single
    }

    /// Carries out a step that the table of E37.2 asked for.
    #[inline(never)]
    pub(super) fn take_session_step(&mut self, about: &Header, session: SessionId, step: &SessionStep) {
        if step.answered
            && let Some(slot) = self.entry_mut(session).and_then(|entry| entry.request.take())
        {
            self.system.ended = slot.system.0;
        }
        self.take(about, &step.step);
        self.change_session(about.system, session, step.change);
    }

    /// Carries out what becomes of the session, because of a message with these system bytes.
    #[inline(never)]
    fn change_session(&mut self, system: SystemBytes, session: SessionId, change: Change) {
        let notice = match change {
            Change::None => return,
            Change::Selected => {
                self.begin_session(session);
                Notice::SessionSelected { session }
            }
            Change::Ended(end) => {
                self.end_session(session);
                Notice::SessionEnded { session, end }
            }
            Change::Ask => {
                if let Some(entry) = self.entry_mut(session) {
                    entry.asked = Some(system);
                }
                Notice::SelectAsked { session }
            }
            Change::Refused(refusal) => Notice::SessionRefused { session, refusal },
        };
        self.notify(notice);
    }

    #[inline(never)]
    fn begin_session(&mut self, session: SessionId) {
        self.link = self.link.wrapping_add(1);
        if let Some(system) = self.turn(session, true) {
            // The peer's Select.req that the application deliberates on crossed ours (E37 7.2.3).
            let accepted = Header::select_rsp(system).with_session(session);
            self.push(Action::Send(ControlFrame::Control(accepted)));
        }
        if self.phase.state() == State::NotSelected {
            // An application may answer while input is paused: the resume adds the whole pause.
            self.phase = Phase::Selected { quiet: self.paused.unwrap_or(self.now), missed: 0 };
        }
    }

    /// The session is no longer selected; its transactions are void.
    #[inline(never)]
    fn end_session(&mut self, session: SessionId) {
        self.turn(session, false);
        let mut arriving = false;
        for slot in self.slots.iter_mut().filter(|slot| slot.session() == session) {
            arriving |= slot.clock == Clock::ARRIVING && !slot.is_void();
            slot.make_void();
        }
        if arriving {
            // The rest of that reply is for nobody.
            self.class = GIVEN_UP;
        }
        if self.class == Class::Primary && self.decoder.session() == Some(session) {
            // Nor is there anybody for the rest of a primary.
            self.class = Class::Stray(Stray::UnknownDevice);
        }
        if !self.sessions.entries().iter().any(|entry| entry.selected) {
            self.phase = Phase::NotSelected { t7: Some(self.after(self.config.t7)) };
        }
    }

    /// The session is selected or no longer, so what we asked for it is pointless. Gives the peer's Select.req that waits for an answer.
    fn turn(&mut self, session: SessionId, selected: bool) -> Option<SystemBytes> {
        let serial = self.link;
        let entry = self.entry_mut(session)?;
        entry.selected = selected;
        if selected {
            entry.serial = serial;
        } else {
            entry.busy = false;
        }
        let asked = entry.asked.take();
        if let Some(system) = entry.make_request_moot() {
            self.system.ended = system.0;
        }
        asked
    }
}
