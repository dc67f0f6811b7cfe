//! What the application and the transport ask for.

use super::model::{Asked, Cause, Model, Open, Place, ROOM, T5, T7, Text};
use super::outputs::Outputs;
use hsms_core::connection::{CloseReason, ControlRequest, Event, Stream9};
use hsms_core::error::Error;
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};

impl Model {
    pub fn cause(&mut self, cause: &Cause) {
        self.out = Outputs::default();
        match cause {
            Cause::Enable if self.place != Place::Disabled => {}
            Cause::Enable if self.setup.refusing => self.out.refused = Some(Error::NotConnected),
            Cause::Enable => self.attempt(),
            Cause::Disable => match self.place {
                Place::Disabled => {}
                Place::Waiting => self.place = Place::Disabled,
                _ => self.leave(CloseReason::Disabled, false),
            },
            Cause::Separate if !self.connected() => self.out.refused = Some(Error::NotConnected),
            Cause::Separate => self.leave(CloseReason::Separated, true),
            Cause::Select => self.ask_select(),
            Cause::Linktest => self.ask_linktest(),
            Cause::Tell(event) => self.happen(*event),
            Cause::Ask { session, stream, function, wait, text } => {
                self.ask(*session, StreamFunction::new(*stream, *function), *wait, *text);
            }
            Cause::Reply { place, abort, text } => self.reply(*place, *abort, *text),
            Cause::EndText | Cause::AbortText if !self.text => self.out.refused = Some(Error::NoBodyOpen),
            Cause::EndText => self.text = false,
            Cause::AbortText => self.close(CloseReason::BodyAborted, true),
            Cause::Written(octets) => self.written(*octets),
            Cause::Forget(system) => self.forget(*system),
            Cause::Pause | Cause::Resume if !self.connected() => self.out.refused = Some(Error::NotConnected),
            Cause::Pause => self.paused = self.paused.or(Some(self.now)),
            Cause::Resume => {
                if let Some(since) = self.paused.take() {
                    self.stood += self.now - since;
                }
            }
            Cause::SetDevices(devices) => self.devices.clone_from(devices),
            Cause::SetNext(system) => (self.first, self.next) = (*system, *system),
            Cause::Report(error, about) => self.report(*error, Header::decode(about)),
            Cause::Receive { octets, rest } => self.receive(octets, rest),
            Cause::Expire => self.expire(),
            Cause::Pass(millis) => {
                let before = self.deadline().map_or(u64::MAX, |deadline| deadline - 1);
                self.now = (self.now + millis).min(before).max(self.now);
            }
            Cause::Session(session, wish) => self.wish(*session, *wish),
        }
        self.release();
        if self.setup.eager {
            let outstanding = self.outstanding();
            self.written(outstanding);
        }
    }

    /// E37.1 7.6, and E37.2 7.6 for each session. A frame in the middle of a text would be taken for text.
    pub fn leave(&mut self, reason: CloseReason, again: bool) {
        self.drop_session_requests();
        if self.place == Place::Selected && !self.text {
            let single = (!self.general()).then_some(0xFFFF);
            let selected =
                self.sessions.iter().filter(|session| session.selected).map(|session| session.entity.session.0);
            for session in single.into_iter().chain(selected).collect::<Vec<u16>>() {
                let system = self.number();
                self.send(Header::separate_req(system).with_session(SessionId(session)));
            }
        }
        self.close(reason, again);
    }

    pub fn happen(&mut self, event: Event) {
        match (event, self.place) {
            (Event::TransportOpen, Place::Opening) => self.opened(),
            (Event::TransportFailed, Place::Opening) if self.setup.refusing => {
                self.close(CloseReason::TransportClosed, false);
            }
            (Event::TransportFailed, Place::Opening) => {
                // A passive side whose port is taken waits as well.
                self.t5 = Some(self.now + T5);
                self.place = Place::Waiting;
            }
            (Event::TransportClosed, Place::NotSelected | Place::Selected) => {
                self.close(CloseReason::TransportClosed, true);
            }
            (Event::Timeout, _) => {
                if self.deadline().is_some_and(|deadline| deadline <= self.now) {
                    self.expire_one();
                }
            }
            (event, _) => self.out.refused = Some(Error::UnexpectedEvent { event, state: self.state() }),
        }
    }

    pub fn opened(&mut self) {
        self.first = self.next;
        self.era += 1;
        self.output.clear();
        self.place = Place::NotSelected;
        self.mode = self.setup.mode;
        if self.setup.general {
            self.sessions.iter_mut().for_each(|session| session.busy = false);
            self.t7 = Some(self.now + T7);
            if !self.setup.on_command {
                self.select_wanted();
            }
        } else if self.setup.active && !self.setup.on_command {
            self.begin_select();
        } else {
            self.t7 = Some(self.now + T7);
        }
    }

    /// E37.1 Table 2 row 2; T6 guards this side.
    pub fn begin_select(&mut self) {
        let select = self.request(ControlRequest::Select);
        self.select = Some(select);
        self.t7 = None;
        self.send(Header::select_req(SystemBytes(select.system)));
    }

    /// E37.1 7.1: the active side, while NOT SELECTED.
    pub fn ask_select(&mut self) {
        if self.setup.general {
            self.out.refused = Some(Error::CannotSelect);
        } else if self.is_full() {
            self.out.refused = Some(Error::BodyOpen);
        } else if !self.connected() {
            self.out.refused = Some(Error::NotConnected);
        } else if !self.setup.active || self.place == Place::Selected {
            self.out.refused = Some(Error::CannotSelect);
        } else if let Some(select) = self.select {
            self.out.refused = Some(Error::ControlOpen { system: SystemBytes(select.system) });
        } else {
            self.begin_select();
            self.out.requested = self.select.map(|select| select.system);
        }
    }

    /// E37 7.5; E37.1 7.5 has it while SELECTED only.
    pub fn ask_linktest(&mut self) {
        if self.is_full() {
            self.out.refused = Some(Error::BodyOpen);
        } else if self.place != Place::Selected && !(self.general() && self.connected()) {
            self.out.refused = Some(Error::NotSelected);
        } else if let Some(select) = self.select {
            self.out.refused = Some(Error::ControlOpen { system: SystemBytes(select.system) });
        } else {
            if self.linktest.is_none() {
                let linktest = self.request(ControlRequest::Linktest);
                self.linktest = Some(linktest);
                self.send(Header::linktest_req(SystemBytes(linktest.system)));
            }
            self.out.requested = self.linktest.map(|linktest| linktest.system);
        }
    }

    /// Why data cannot be begun now.
    pub fn cannot_send(&self) -> Option<Error> {
        match self.place {
            Place::Selected => self.text.then_some(Error::BodyOpen),
            _ => Some(Error::NotSelected),
        }
    }

    pub fn ask(&mut self, session: u16, primary: StreamFunction, wait: bool, text: Text) {
        let unknown = match self.general() {
            true if self.is_selected(session) => None,
            true => Some(Error::SessionNotSelected { session: SessionId(session) }),
            false if self.serves(session) => None,
            false => Some(Error::UnknownDevice { session: SessionId(session) }),
        };
        let full = (wait && self.open.len() == ROOM).then_some(Error::TransactionsFull { open: ROOM });
        let no_primary = (primary.function.is_multiple_of(2) || !(1..=127).contains(&primary.stream))
            .then_some(Error::NotPrimary { stream_function: primary });
        self.out.refused = self.cannot_send().or(no_primary).or(unknown).or(full);
        if self.out.refused.is_some() {
            return;
        }
        let system = self.number();
        let count = self.begin(Header::data(system, primary, wait, SessionId(session)), text);
        if wait {
            let (stream, function) = (primary.stream, primary.function);
            self.open.push(Open { system: system.0, session, stream, function, sent: count, t3: None, arrives: false });
        } else {
            self.ended = system.0;
        }
    }

    pub fn begin(&mut self, header: Header, text: Text) -> u32 {
        let count = self.count();
        self.output.push((u64::from(text.len) + 14, count));
        self.text = !text.ended;
        self.out.begun = Some([&(text.len + 10).to_be_bytes()[..], &header.encode()].concat());
        count
    }

    pub fn reply(&mut self, place: usize, abort: bool, text: Text) {
        let Asked { header, .. } = self.asked[place];
        self.out.refused = self.is_stale(place).then_some(Error::StaleToken).or(self.cannot_send());
        if self.out.refused.is_some() {
            return;
        }
        self.asked.remove(place);
        let function = if abort { 0 } else { header.function().wrapping_add(1) };
        let answer = StreamFunction::new(header.stream(), function);
        let text = if abort { Text { len: 0, ..text } } else { text };
        self.begin(Header::data(header.system, answer, false, header.session), text);
    }

    /// Whether the session that a primary of the peer's came in has ended. Of HSMS-SS it is stale as soon as another begins.
    pub fn is_stale(&self, place: usize) -> bool {
        let Asked { header, era } = self.asked[place];
        match self.general() {
            true => !self
                .sessions
                .iter()
                .any(|session| session.is(header.session) && session.selected && session.era == era),
            false => era != self.era,
        }
    }

    pub fn forget(&mut self, system: u32) {
        let arrives = self.open.iter().any(|open| open.system == system && open.arrives);
        if !self.end(system) {
            self.out.refused = Some(Error::NoTransaction { system: SystemBytes(system) });
        } else if arrives {
            self.give_up_reply();
        }
    }

    /// E5 7.13: S9F3, S9F5, S9F7.
    pub fn report(&mut self, error: Stream9, about: Header) {
        self.out.refused = if self.is_full() {
            Some(Error::BodyOpen)
        } else if self.place != Place::Selected {
            Some(Error::NotSelected)
        } else if self.general() && !self.is_selected(about.session.0) {
            Some(Error::SessionNotSelected { session: about.session })
        } else if !self.setup.equipment || about.stream() == 9 || about.function() == 0 {
            Some(Error::NotForStream9)
        } else {
            None
        };
        if self.out.refused.is_none() {
            let function = match error {
                Stream9::UnrecognizedStream => 3,
                Stream9::UnrecognizedFunction => 5,
                Stream9::IllegalData => 7,
            };
            self.stream9(function, about);
        }
    }
}
