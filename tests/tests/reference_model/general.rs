//! E37.2: sessions, each selected by itself, and what becomes of a message about them.

use super::model::{MOST, Model, Place, Request, SKIP, Session, T7, Wish};
use hsms_core::connection::{
    Admission, Class, CloseReason, ControlRequest, Leniency, Mode, Notice, SessionEnd, SessionRefusal, Stray,
    TransactionEnd,
};
use hsms_core::error::Error;
use hsms_core::wire::{DeselectStatus, Header, RejectReason, SelectStatus, SessionId, SystemBytes};

impl Model {
    pub fn is_selected(&self, session: u16) -> bool {
        self.sessions.iter().any(|entry| entry.is(SessionId(session)) && entry.selected)
    }

    fn place_of(&self, session: SessionId) -> Option<usize> {
        self.sessions.iter().position(|entry| entry.is(session))
    }

    /// Where our request of this kind stands that the message is about.
    fn place_asked(&self, header: &Header, kind: ControlRequest) -> Option<usize> {
        let asked = |session: &Session| session.request.is_some_and(|request| request.system == header.system.0);
        self.sessions.iter().position(asked).filter(|_| self.is_about(header, kind))
    }

    /// A connection begins.
    pub fn select_wanted(&mut self) {
        for place in 0..self.sessions.len() {
            if self.sessions[place].entity.wanted {
                self.request_at(place, ControlRequest::Select);
            }
        }
    }

    fn request_at(&mut self, place: usize, kind: ControlRequest) -> u32 {
        if self.mode == Mode::Undecided {
            self.mode = Mode::General;
        }
        let request = self.request(kind);
        self.sessions[place].request = Some(request);
        request.system
    }

    pub fn wish(&mut self, session: u16, wish: Wish) {
        let session = SessionId(session);
        self.out.refused = self.cannot(session, wish);
        let Some(place) = self.place_of(session).filter(|_| self.out.refused.is_none()) else { return };
        match wish {
            Wish::Select => self.out.requested = Some(self.request_at(place, ControlRequest::Select)),
            Wish::Deselect => self.out.requested = Some(self.request_at(place, ControlRequest::Deselect)),
            Wish::Separate => {
                let system = self.number();
                self.send(Header::separate_req(system).with_session(session));
                self.ended = system.0;
                self.end_session(place, SessionEnd::Separated);
            }
            Wish::Answer(status) => {
                let system = self.sessions[place].asked.take().unwrap();
                self.answer_select(place, SystemBytes(system), status);
            }
            Wish::Admit(admission) => self.sessions[place].entity.admission = admission,
            Wish::Busy(busy) => self.sessions[place].busy = busy,
        }
    }

    fn cannot(&self, session: SessionId, wish: Wish) -> Option<Error> {
        if matches!(wish, Wish::Separate | Wish::Answer(_)) && self.is_full() {
            return Some(Error::BodyOpen);
        }
        if matches!(wish, Wish::Select) {
            if !self.connected() {
                return Some(Error::NotConnected);
            }
            if self.mode == Mode::Single {
                return Some(Error::CannotSelect);
            }
        }
        let Some(place) = self.place_of(session) else { return Some(Error::UnknownSession { session }) };
        let entry = &self.sessions[place];
        let open = entry.request.map(|request| Error::ControlOpen { system: SystemBytes(request.system) });
        match wish {
            Wish::Select if entry.selected => Some(Error::SessionSelected { session }),
            Wish::Deselect | Wish::Separate if !entry.selected => Some(Error::SessionNotSelected { session }),
            Wish::Select | Wish::Deselect => open,
            Wish::Answer(_) if entry.asked.is_none() => Some(Error::NotAsked { session }),
            Wish::Separate | Wish::Answer(_) | Wish::Admit(_) | Wish::Busy(_) => None,
        }
    }

    pub fn general_judge(&mut self, header: Header, len: u32, whole: bool) -> Class {
        let data = header.ptype.0 == 0 && header.stype.0 == 0;
        if len + 10 > MOST {
            return self.session_too_long(header, len + 10, data);
        }
        if data {
            return self.session_data(header, whole);
        }
        let stype = header.stype;
        // E37 7.7, whatever the state.
        match (header.ptype.0, stype.0) {
            (0, 7) => return self.session_rejected(header, len),
            (0, 1..=6 | 9) => {}
            (0, _) => return self.reject(&header, 1),
            _ => return self.reject(&header, 2),
        }
        if len > 0 {
            if self.setup.strict {
                return self.fatal(CloseReason::ControlText { stype, body_len: len });
            }
            self.lenient(Leniency::ControlText { stype, body_len: len });
            return self.reject(&header, 1);
        }
        self.about_session(header)
    }

    fn about_session(&mut self, header: Header) -> Class {
        let (system, session) = (header.system, header.session);
        match header.stype.0 {
            1 if self.setup.refusing => {
                // E37 9.2.4 option a.
                self.send(Header::select_rsp(system).with_session(session).with_status(1));
                self.close(CloseReason::CallerRefused, false);
            }
            1 => self.session_select_req(header),
            3 => self.session_deselect_req(header),
            5 => self.send(Header::linktest_rsp(system)),
            6 if self.is_about(&header, ControlRequest::Linktest) => self.linktest_answered(),
            9 => {
                if let Some(place) = self.place_of(session).filter(|_| self.is_selected(session.0)) {
                    self.end_session(place, SessionEnd::SeparateReceived);
                }
            }
            stype => {
                let kind = if stype == 2 { ControlRequest::Select } else { ControlRequest::Deselect };
                let Some(place) = self.place_asked(&header, kind).filter(|_| stype != 6) else {
                    return self.reject(&header, 3);
                };
                self.response(place, kind, header.byte3);
            }
        }
        Class::Control
    }

    /// E37.2 7.2: unknown, in use, selected, or accepted; E37 7.2.3 where ours crosses it.
    fn session_select_req(&mut self, header: Header) {
        let Some(place) = self.place_of(header.session) else { return self.refuse_select(&header, 4) };
        let entry = self.sessions[place];
        let crossing = entry.request.is_some_and(|ours| ours.kind == ControlRequest::Select && !ours.pointless);
        if entry.selected {
            self.refuse_select(&header, 6);
        } else if crossing {
            self.answer_select(place, header.system, 0);
        } else if !entry.entity.offered {
            self.refuse_select(&header, 4);
        } else if entry.asked.is_some() {
            self.refuse_select(&header, 2);
        } else {
            match entry.entity.admission {
                Admission::Always => self.answer_select(place, header.system, 0),
                Admission::Refuse(status) => self.answer_select(place, header.system, status.0),
                Admission::Ask => {
                    self.sessions[place].asked = Some(header.system.0);
                    self.tell(Notice::SelectAsked { session: header.session });
                }
            }
        }
    }

    fn refuse_select(&mut self, header: &Header, status: u8) {
        self.send(Header::select_rsp(header.system).with_session(header.session).with_status(status));
    }

    fn answer_select(&mut self, place: usize, system: SystemBytes, status: u8) {
        let session = self.sessions[place].entity.session;
        self.send(Header::select_rsp(system).with_session(session).with_status(status));
        if status == 0 {
            self.begin_session(place);
        }
    }

    fn session_deselect_req(&mut self, header: Header) {
        let entry = self.place_of(header.session).map(|place| (place, self.sessions[place]));
        let response = Header::deselect_rsp(header.system).with_session(header.session);
        match entry {
            Some((place, entry)) if entry.selected => {
                let crossing =
                    entry.request.is_some_and(|ours| ours.kind == ControlRequest::Deselect && !ours.pointless);
                if entry.busy && !crossing {
                    return self.send(response.with_status(2));
                }
                self.send(response);
                self.end_session(place, SessionEnd::DeselectReceived);
            }
            _ => self.send(response.with_status(1)),
        }
    }

    /// The peer's answer to a request about a session.
    fn response(&mut self, place: usize, kind: ControlRequest, status: u8) {
        let Some(pointless) = self.request_over(place) else { return };
        let session = self.sessions[place].entity.session;
        match (kind, status) {
            _ if pointless => {}
            (ControlRequest::Select, 0) => self.begin_session(place),
            (_, 0) => self.end_session(place, SessionEnd::Deselected),
            (ControlRequest::Select, _) => {
                let refusal = SessionRefusal::Select(SelectStatus(status));
                self.tell(Notice::SessionRefused { session, refusal });
            }
            _ => {
                let refusal = SessionRefusal::Deselect(DeselectStatus(status));
                self.tell(Notice::SessionRefused { session, refusal });
            }
        }
    }

    /// Tells whether it had become pointless.
    fn request_over(&mut self, place: usize) -> Option<bool> {
        let Request { system, pointless, .. } = self.sessions[place].request.take()?;
        self.ended = system;
        Some(pointless)
    }

    fn session_rejected(&mut self, header: Header, len: u32) -> Class {
        if len > 0 && (self.setup.strict || len > 64) {
            return self.fatal(CloseReason::ControlText { stype: header.stype, body_len: len });
        }
        let reason = RejectReason(header.byte3);
        let select = self.place_asked(&header, ControlRequest::Select);
        let deselect = self.place_asked(&header, ControlRequest::Deselect);
        if let Some(place) = select.or(deselect) {
            let refusal = match select {
                Some(_) => SessionRefusal::SelectRejected(reason),
                None => SessionRefusal::DeselectRejected(reason),
            };
            if self.request_over(place) == Some(false) {
                let session = self.sessions[place].entity.session;
                self.tell(Notice::SessionRefused { session, refusal });
            }
        } else {
            self.rejected_otherwise(header);
        }
        if len > 0 {
            self.lenient(Leniency::RejectText { body_len: len });
        }
        Class::Control
    }

    /// E37.2 7.3.
    fn session_data(&mut self, header: Header, whole: bool) -> Class {
        if !self.is_selected(header.session.0) {
            return self.reject(&header, 4);
        }
        if header.function() % 2 == 1 {
            return Class::Primary;
        }
        match self.answered(&header, header.session.0) {
            Some(place) => self.replied_at(place, whole),
            None => self.stray(&header),
        }
    }

    /// Data for a session that is not there is rejected, whatever its length, as long as the link can stay.
    fn session_too_long(&mut self, header: Header, length: u32, data: bool) -> Class {
        if let Some(place) = self.answered(&header, header.session.0).filter(|_| data) {
            self.end_with(self.open[place].system, TransactionEnd::ReplyTooLong { length });
        }
        if !data || !self.setup.equipment || self.place != Place::Selected {
            return self.close_too_long(length);
        }
        let (selected, closes) = (self.is_selected(header.session.0), self.setup.strict || length > SKIP);
        if selected {
            self.stream9(11, header);
        }
        if closes {
            return self.close_too_long(length);
        }
        if selected { Class::TooLong } else { self.reject(&header, 4) }
    }

    /// E37.2 5.9, transitions 4 and 6.
    fn begin_session(&mut self, place: usize) {
        self.era += 1;
        let era = self.era;
        let entry = &mut self.sessions[place];
        (entry.selected, entry.era) = (true, era);
        let (session, asked) = (entry.entity.session, entry.asked.take());
        self.forestall(place);
        if let Some(system) = asked {
            // The Select.req that the application thought about is answered by our own, which was accepted.
            self.send(Header::select_rsp(SystemBytes(system)).with_session(session));
        }
        if self.place == Place::NotSelected {
            self.selected();
        }
        self.tell(Notice::SessionSelected { session });
    }

    /// E37.2 5.9, transitions 5 and 7.
    fn end_session(&mut self, place: usize, end: SessionEnd) {
        let entry = &mut self.sessions[place];
        (entry.selected, entry.busy) = (false, false);
        let session = entry.entity.session;
        self.forestall(place);
        if self.open.iter().any(|open| open.session == session.0 && open.arrives) {
            self.give_up_reply();
        }
        self.void(|open| open.session == session.0);
        if let Some(arriving) = &mut self.arriving
            && arriving.class == Class::Primary
            && arriving.header.session == session
        {
            arriving.class = Class::Stray(Stray::UnknownDevice);
        }
        if !self.sessions.iter().any(|entry| entry.selected) {
            self.place = Place::NotSelected;
            self.t7 = Some(self.now + T7);
        }
        self.tell(Notice::SessionEnded { session, end });
    }

    /// What we asked for a session is pointless once it has begun or ended otherwise. What has not gone out never does.
    fn forestall(&mut self, place: usize) {
        let Some(request) = &mut self.sessions[place].request else { return };
        request.pointless = true;
        if request.sent.is_none() {
            self.request_over(place);
        }
    }
}
