//! Octets that come, in whatever parts (E37 7.1, 8.1): the first four are a length, ten are a header, the others a text.

use super::model::{MOST, Model, Place, T6, T8};
use super::outputs::Piece;
use hsms_core::connection::{Class, CloseReason, ControlRequest, Leniency, Mode, Notice, Stray};
use hsms_core::error::Error;
use hsms_core::wire::{Header, RejectReason, SystemBytes};

/// A message whose header is there and whose text is not, or not all of it.
#[derive(Debug, Clone)]
pub struct Arriving {
    pub class: Class,
    pub header: Header,
    pub len: u32,
    pub offset: u32,
}

impl Model {
    pub fn receive(&mut self, octets: &[u8], rest: &[u8]) {
        if !self.connected() {
            self.out.refused = Some(Error::NotConnected);
            return;
        }
        self.rest = [octets, rest].concat();
        if self.paused.is_some() {
            self.out.refused = Some(Error::InputPaused);
            return;
        }
        let mut left = octets;
        while !left.is_empty() && self.connected() {
            let taken = self.take(left);
            left = &left[taken..];
        }
        // Where the connection has ended nothing of it will come any more.
        if self.connected() {
            self.rest = rest.to_vec();
        }
    }

    /// Takes octets up to the end of a message at most, which the machine takes at once as well.
    fn take(&mut self, octets: &[u8]) -> usize {
        let inside = self.arriving.is_some();
        if self.is_full() && !inside {
            self.close(CloseReason::OutputStalled, true);
            return octets.len();
        }
        if !inside && self.prefix.is_empty() && octets[0] == 5 {
            // No length below 5 x 2^24 begins so: this is ENQ.
            self.close(CloseReason::LooksLikeSecsI, true);
            return octets.len();
        }
        if self.place == Place::Selected {
            (self.quiet, self.missed) = (self.reading(), 0);
        }
        let taken = if inside { self.take_text(octets) } else { self.take_prefix(octets) };
        if self.connected() {
            // E37 9.2.3: from the first octet of a message to its last, anew with each.
            let unfinished = self.arriving.is_some() || !self.prefix.is_empty();
            self.t8 = unfinished.then(|| self.reading() + T8);
            if inside || self.arriving.is_some() {
                self.keep_linktest(inside);
            }
        }
        taken
    }

    fn take_prefix(&mut self, octets: &[u8]) -> usize {
        let missing = (14 - self.prefix.len()).min(octets.len());
        self.prefix.extend(&octets[..missing]);
        let Some(length) = self.prefix.first_chunk().map(|length| u32::from_be_bytes(*length)) else { return missing };
        if length < 10 {
            self.close(CloseReason::LengthTooShort { length }, true);
            return octets.len();
        }
        if self.prefix.len() < 14 {
            return missing;
        }
        let prefix = std::mem::take(&mut self.prefix);
        let (header, len) = (Header::decode(prefix[4..].try_into().unwrap()), length - 10);
        let text = &octets[missing..];
        let text = &text[..text.len().min(len as usize)];
        let whole = text.len() == len as usize;
        let (class, header) = self.judge(header, len, whole);
        let offset = u32::try_from(text.len()).unwrap();
        if class == Class::Primary && header.reply_expected() {
            self.keep_token(header);
        }
        self.out.pieces.push(Piece { class, header, len, offset: 0, octets: text.to_vec(), first: true });
        if self.connected() && !whole {
            self.arriving = Some(Arriving { class, header, len, offset });
        }
        missing + text.len()
    }

    fn take_text(&mut self, octets: &[u8]) -> usize {
        let Arriving { class, header, len, offset } = self.arriving.take().unwrap();
        let text = &octets[..octets.len().min((len - offset) as usize)];
        self.out.pieces.push(Piece { class, header, len, offset, octets: text.to_vec(), first: false });
        let offset = offset + u32::try_from(text.len()).unwrap();
        if offset < len {
            self.arriving = Some(Arriving { class, header, len, offset });
        } else if class == Class::Reply {
            self.end(header.system.0);
        }
        text.len()
    }

    /// What becomes of a message, and its header as the application sees it.
    fn judge(&mut self, header: Header, len: u32, whole: bool) -> (Class, Header) {
        if self.mode == Mode::Undecided && header.ptype.0 == 0 && header.stype.0 == 1 && len == 0 {
            // E37.2, application notes.
            self.mode = if header.session.0 == 0xFFFF { Mode::Single } else { Mode::General };
        }
        if self.general() {
            (self.general_judge(header, len, whole), header)
        } else {
            self.single_judge(header, len, whole)
        }
    }

    /// The reply to the transaction at this place has begun, and perhaps ended.
    pub fn replied_at(&mut self, place: usize, whole: bool) -> Class {
        if whole {
            let system = self.open[place].system;
            self.end(system);
        } else {
            (self.open[place].t3, self.open[place].arrives) = (None, true);
        }
        Class::Reply
    }

    /// The rest of a reply is for nobody.
    pub fn give_up_reply(&mut self) {
        if let Some(arriving) = &mut self.arriving
            && arriving.class == Class::Reply
        {
            arriving.class = Class::Stray(Stray::Late);
        }
    }

    fn keep_token(&mut self, header: Header) {
        let era = match self.general() {
            true => self.sessions.iter().find(|session| session.is(header.session)).unwrap().era,
            false => self.era,
        };
        self.asked.push(super::model::Asked { header, era });
        if self.asked.len() > super::model::KEPT {
            self.asked.remove(0);
        }
    }

    /// Lenient: while a text comes, the answer to our linktest is stuck behind it.
    fn keep_linktest(&mut self, inside: bool) {
        let (strict, reading) = (self.setup.strict, self.reading());
        let Some(linktest) = &mut self.linktest else { return };
        if !strict && let Some(t6) = linktest.t6 {
            linktest.t6_without_texts.get_or_insert(t6);
            linktest.t6 = Some(reading + T6);
        }
        if inside {
            self.tell_of_kept_linktest();
        }
    }

    /// Once for each.
    fn tell_of_kept_linktest(&mut self) {
        let reading = self.reading();
        if let Some(linktest) = &mut self.linktest
            && !linktest.told
            && linktest.t6_without_texts.is_some_and(|t6| t6 <= reading)
        {
            linktest.told = true;
            self.lenient(Leniency::LinktestExtended);
        }
    }

    pub fn linktest_answered(&mut self) {
        self.tell_of_kept_linktest();
        let linktest = self.linktest.take().unwrap();
        self.ended = linktest.system;
        self.tell(Notice::LinktestAnswered { system: SystemBytes(linktest.system) });
    }

    /// Whether the message is about this request of ours, which has gone out. A Reject.req says what it rejects, unless its
    /// reason is the PType, or is 0, which E37 does not have.
    pub fn is_about(&self, header: &Header, kind: ControlRequest) -> bool {
        let stype = match kind {
            ControlRequest::Select => 1,
            ControlRequest::Deselect => 3,
            _ => 5,
        };
        let named = header.stype.0 != 7 || names(header, stype);
        let system = header.system.0;
        named
            && self.requests().any(|request| request.kind == kind && request.system == system && request.sent.is_some())
    }

    /// Whether it rejects a primary of ours.
    pub fn rejects_primary(&self, header: &Header) -> bool {
        names(header, 0) && self.open.iter().any(|open| open.system == header.system.0)
    }

    pub fn reject(&mut self, about: &Header, reason: u8) -> Class {
        let offender = if reason == 2 { about.ptype.0 } else { about.stype.0 };
        let reject = Header::reject_req(about.system, offender, RejectReason(reason));
        // E37 8.2.8 copies the session id, E37.1 8.1 does not.
        self.send(if self.general() { reject.with_session(about.session) } else { reject });
        Class::Rejected(RejectReason(reason))
    }

    pub fn fatal(&mut self, reason: CloseReason) -> Class {
        self.close(reason, true);
        Class::Fatal
    }

    pub fn close_too_long(&mut self, length: u32) -> Class {
        self.close(CloseReason::LengthTooLong { length, limit: MOST }, true);
        Class::TooLong
    }

    /// What a reply that is none of ours is.
    pub fn stray(&self, header: &Header) -> Class {
        let system = header.system.0;
        Class::Stray(if self.open.iter().any(|open| open.system == system) {
            Stray::Mismatched
        } else if self.was_given(system) {
            Stray::Late
        } else {
            Stray::Orphan
        })
    }

    /// The transaction that a message of this session is the reply to (E37 9.4.1).
    pub fn answered(&self, header: &Header, session: u16) -> Option<usize> {
        if header.function() % 2 == 1 {
            return None;
        }
        self.open.iter().position(|open| {
            let function = [open.function.wrapping_add(1), 0].contains(&header.function());
            open.system == header.system.0 && open.session == session && open.stream == header.stream() && function
        })
    }
}

fn names(header: &Header, stype: u8) -> bool {
    matches!(header.byte3, 0 | 2) || header.byte2 == stype
}
