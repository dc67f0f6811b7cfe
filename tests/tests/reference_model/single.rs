//! E37.1: what becomes of a message, by the table of what the two profiles do.

use super::model::{MOST, Model, Place, SKIP, T7};
use hsms_core::connection::{Class, CloseReason, ControlRequest, Leniency, Notice, Stray, TransactionEnd};
use hsms_core::wire::{Header, RejectReason, SelectStatus, SessionId};

impl Model {
    /// What becomes of a message, and its header as the application sees it.
    pub fn single_judge(&mut self, header: Header, len: u32, whole: bool) -> (Class, Header) {
        let data = header.ptype.0 == 0 && header.stype.0 == 0;
        let seen = match self.device(&header).filter(|_| data) {
            Some((device, _)) => header.with_session(SessionId(device)),
            None => header,
        };
        let class = if len + 10 > MOST {
            self.too_long(header, len + 10, data)
        } else if data {
            self.data(header, whole)
        } else {
            self.no_data(header, len)
        };
        (class, seen)
    }

    fn no_data(&mut self, header: Header, len: u32) -> Class {
        let (stype, selected) = (header.stype, self.place == Place::Selected);
        if header.ptype.0 != 0 || !matches!(stype.0, 1..=7 | 9) {
            if self.setup.strict && !selected {
                return self.fatal(match header.ptype.0 {
                    0 => CloseReason::UnknownSType(stype),
                    _ => CloseReason::UnknownPType(header.ptype),
                });
            }
            return self.reject(&header, if header.ptype.0 == 0 { 1 } else { 2 });
        }
        if stype.0 == 7 {
            return self.rejected(header, len);
        }
        if len > 0 {
            if self.setup.strict || !selected {
                return self.fatal(CloseReason::ControlText { stype, body_len: len });
            }
            self.lenient(Leniency::ControlText { stype, body_len: len });
            return self.reject(&header, 1);
        }
        self.control(header, selected)
    }

    fn control(&mut self, header: Header, selected: bool) -> Class {
        let (stype, system, session) = (header.stype, header.system, header.session);
        let strict = self.setup.strict;
        match stype.0 {
            1 => return self.select_req(header, selected),
            2 if self.is_about(&header, ControlRequest::Select) => return self.select_rsp(header, selected),
            2 | 3 if strict => return self.fatal(CloseReason::UnexpectedMessage(stype)),
            4..=6 if strict && !selected => return self.fatal(CloseReason::UnexpectedMessage(stype)),
            3 if selected => {
                self.send(Header::deselect_rsp(system).with_session(session));
                self.lenient(Leniency::Deselect);
                if self.setup.active {
                    self.close(CloseReason::DeselectAnswered, true);
                } else {
                    self.place = Place::NotSelected;
                    self.t7 = Some(self.now + T7);
                    self.era += 1;
                    self.tell(Notice::Deselected);
                    self.void(|_| true);
                    self.void_linktest();
                }
            }
            3 => {
                self.send(Header::deselect_rsp(system).with_session(session).with_status(1));
                self.lenient(Leniency::DeselectNotSelected);
            }
            5 => {
                self.send(Header::linktest_rsp(system));
                if !selected {
                    self.lenient(Leniency::LinktestNotSelected);
                }
            }
            6 if self.is_about(&header, ControlRequest::Linktest) => self.linktest_answered(),
            2 | 4 | 6 => return self.reject(&header, 3),
            _ => self.close(CloseReason::SeparateReceived, true),
        }
        Class::Control
    }

    fn select_req(&mut self, header: Header, selected: bool) -> Class {
        let (system, session) = (header.system, header.session);
        let foreign = session.0 != 0xFFFF;
        let response = Header::select_rsp(system).with_session(session);
        if self.setup.refusing {
            // E37 9.2.4 option a.
            self.send(response.with_status(1));
            self.close(CloseReason::CallerRefused, false);
            return Class::Control;
        }
        if self.setup.strict && (foreign || self.setup.active || selected) {
            return self.fatal(CloseReason::UnexpectedMessage(header.stype));
        }
        self.send(response.with_status(u8::from(selected)));
        if !selected {
            if self.setup.active {
                self.lenient(Leniency::SimultaneousSelect(session));
            } else if foreign {
                self.lenient(Leniency::SelectSession(session));
            }
            self.selected();
            self.tell(Notice::Selected);
        }
        Class::Control
    }

    fn select_rsp(&mut self, header: Header, selected: bool) -> Class {
        match (header.byte3, selected) {
            // A select that crossed the peer's.
            (0 | 1, true) => {}
            (0, false) => {
                self.selected();
                self.tell(Notice::Selected);
            }
            (status, _) => return self.fatal(CloseReason::SelectRefused(SelectStatus(status))),
        }
        self.select = None;
        self.ended = header.system.0;
        Class::Control
    }

    fn rejected(&mut self, header: Header, len: u32) -> Class {
        let reason = RejectReason(header.byte3);
        if len > 0 && (self.setup.strict || len > 64) {
            return self.fatal(CloseReason::ControlText { stype: header.stype, body_len: len });
        }
        if len > 0 {
            self.lenient(Leniency::RejectText { body_len: len });
        }
        if self.is_about(&header, ControlRequest::Select) {
            return self.fatal(CloseReason::SelectRejected(reason));
        }
        self.rejected_otherwise(header);
        Class::Control
    }

    /// A Reject.req about our linktest, about a primary of ours, or about nothing.
    pub fn rejected_otherwise(&mut self, header: Header) {
        if self.is_about(&header, ControlRequest::Linktest) {
            self.linktest_answered();
        } else if self.rejects_primary(&header) {
            self.end_with(header.system.0, TransactionEnd::Rejected(RejectReason(header.byte3)));
        } else {
            self.tell(Notice::RejectReceived { header });
        }
    }

    /// The device that a data message is for, where it is ours, and whether bit 15 was cleared for that.
    fn device(&self, header: &Header) -> Option<(u16, bool)> {
        let session = header.session.0;
        if self.serves(session) {
            return Some((session, false));
        }
        let lenient = !self.setup.strict && session >= 0x8000 && session != 0xFFFF;
        (lenient && self.serves(session & 0x7FFF)).then_some((session & 0x7FFF, true))
    }

    fn data(&mut self, header: Header, whole: bool) -> Class {
        if self.place != Place::Selected {
            let class = self.reject(&header, 4);
            if self.setup.strict {
                self.close(CloseReason::DataNotSelected, true);
            }
            return class;
        }
        let Some((device, cleared)) = self.device(&header) else {
            self.stream9(1, header);
            return Class::Stray(Stray::UnknownDevice);
        };
        if cleared {
            self.lenient(Leniency::DirectionBit(header.session));
        }
        if header.function() % 2 == 1 {
            return Class::Primary;
        }
        match self.answered(&header, device) {
            Some(place) => self.replied_at(place, whole),
            None => self.stray(&header),
        }
    }

    fn too_long(&mut self, header: Header, length: u32, data: bool) -> Class {
        let device = self.device(&header).filter(|_| data);
        if let Some((device, _)) = device
            && let Some(place) = self.answered(&header, device)
        {
            self.end_with(self.open[place].system, TransactionEnd::ReplyTooLong { length });
        }
        if !data || !self.setup.equipment || self.place != Place::Selected {
            return self.close_too_long(length);
        }
        self.stream9(if device.is_some() { 11 } else { 1 }, header);
        if self.setup.strict || length > SKIP {
            return self.close_too_long(length);
        }
        if device.is_some_and(|(_, cleared)| cleared) {
            self.lenient(Leniency::DirectionBit(header.session));
        }
        Class::TooLong
    }
}
