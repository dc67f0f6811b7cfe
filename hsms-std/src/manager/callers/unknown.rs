//! A caller of whom it is not known whose it is: what it says is held until then.

use crate::manager::link::{Link, Told};
use crate::manager::settings::Expected;
use hsms_core::connection::{Inbound, State};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, SessionId};
use std::time::Duration;

/// Primaries of a caller that nothing has identified that are held, and their octets. What goes beyond is answered SxF0 or dropped,
/// and told to the peer when it is known.
const MOST_HELD: usize = 64;
const MOST_HELD_OCTETS: usize = 64 * 1024;

/// Reads of one caller before the others have their turn.
const MOST_READS: usize = 8;

/// What is known of a caller of whom it is not known whose it is, and what its peer has to be told.
pub(super) struct Unknown {
    /// From where its candidates are expected.
    pub(super) place: Expected,
    /// The message that selected the connection, and what it was answered with.
    pub(super) selecting: Vec<u8>,
    pub(super) said: Vec<u8>,
    /// Whole primaries, and what has come of one more.
    held: Vec<u8>,
    messages: usize,
    pub(super) dropped: u64,
    pub(super) first: Option<Header>,
    /// A header that has come in part.
    header: Vec<u8>,
    pub(super) inside: Inside,
    /// When it is asked whose the caller is: while it is selected, however often it begins anew.
    pub(super) until: Option<Instant>,
    latest: Option<Instant>,
    pub(super) within: Duration,
    pub(super) probed: bool,
    /// Somebody has been asked, and has not decided yet: when nobody is waited for any more.
    pub(super) asked: Option<Instant>,
    /// It has been decided, inside a message that is not held.
    pub(super) decided: Option<usize>,
}

/// The message of which part has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Inside {
    None,
    /// A primary that is held.
    Held,
    Other,
}

/// Whose a caller is.
pub(super) struct Found {
    pub(super) peer: usize,
    /// What the peer's machine has to look at again, and what nobody has looked at.
    pub(super) seen: Vec<u8>,
    pub(super) rest: Vec<u8>,
}

impl Unknown {
    pub(super) const fn new(place: Expected, within: Duration) -> Self {
        Unknown {
            place,
            selecting: Vec::new(),
            said: Vec::new(),
            held: Vec::new(),
            messages: 0,
            dropped: 0,
            first: None,
            header: Vec::new(),
            inside: Inside::None,
            until: None,
            latest: None,
            within,
            probed: false,
            asked: None,
            decided: None,
        }
    }

    /// Writes and reads as far as that goes at once, up to a share of the loop's time. Gives whose the caller is where that shows.
    pub(super) fn go_on(
        &mut self,
        link: &mut Link,
        now: Instant,
        buffer: &mut [u8],
        told: &mut Vec<Told>,
        whose: impl Fn(SessionId) -> Option<usize>,
    ) -> Option<Found> {
        link.write(now, told);
        for _ in 0..MOST_READS {
            if !link.has_more() {
                break;
            }
            let octets = link.read(now, buffer, told);
            let found = self.receive(link, now, buffer.get(..octets).unwrap_or(&[]), told, &whose);
            if found.is_some() {
                return found;
            }
            link.write(now, told);
        }
        None
    }

    fn receive(
        &mut self,
        link: &mut Link,
        now: Instant,
        mut octets: &[u8],
        told: &mut Vec<Told>,
        whose: &impl Fn(SessionId) -> Option<usize>,
    ) -> Option<Found> {
        while !octets.is_empty() {
            let before = link.state();
            // What stands behind the end of a connection is for nobody.
            let (taken, inbound) = link.machine.receive(now, octets).ok()?;
            let (these, rest) = octets.split_at_checked(taken)?;
            octets = rest;
            let Some(inbound) = inbound else {
                self.header.extend_from_slice(these);
                link.drain(told);
                continue;
            };
            link.note(&inbound);
            self.header.clear();
            if before != State::Selected && link.state() == State::Selected {
                // What the peer's own machine answers counts, where it is known whose that is.
                let header = inbound.header();
                if header.session != SessionId::CONTROL
                    && let Some(id) = whose(header.session)
                {
                    return Some(Found { peer: id, seen: header.encode_alone().to_vec(), rest: rest.to_vec() });
                }
                self.selecting = header.encode_alone().to_vec();
                self.said = link.drain_said(told);
                self.until = Some(*self.latest.get_or_insert(now.saturating_add(self.within)));
                continue;
            }
            if let Some(id) = self.piece(link, now, &inbound, told, whose) {
                return Some(self.found(id, rest));
            }
            link.drain(told);
            if link.state() != State::Selected {
                // Nothing that came in a session that has ended is for the next one.
                (self.selecting, self.said, self.held) = (Vec::new(), Vec::new(), Vec::new());
                (self.messages, self.first, self.until) = (0, None, None);
            }
            if self.inside != Inside::Other
                && let Some(id) = self.decided.take()
            {
                return Some(self.found(id, rest));
            }
        }
        None
    }

    /// Holds a primary, as far as there is room. Gives whose the caller is where the message tells that.
    fn piece(
        &mut self,
        link: &mut Link,
        now: Instant,
        inbound: &Inbound<'_>,
        told: &mut Vec<Told>,
        whose: &impl Fn(SessionId) -> Option<usize>,
    ) -> Option<usize> {
        let header = inbound.header();
        if !inbound.first() {
            if self.inside == Inside::Held {
                self.held.extend_from_slice(inbound.body());
            }
            if inbound.last() {
                self.inside = Inside::None;
            }
        } else if !inbound.last() {
            self.inside = Inside::Other;
        }
        if inbound.is_reply() {
            // To a probe.
            return if inbound.last() && !inbound.is_abort() { whose(header.session) } else { None };
        }
        if !inbound.first() || !inbound.is_for_application() {
            return None;
        }
        let id = whose(header.session);
        let body_len = inbound.piece.body_len;
        let length = usize::try_from(body_len).unwrap_or(usize::MAX);
        let fits = self.messages < MOST_HELD && self.held.len().saturating_add(length) <= MOST_HELD_OCTETS;
        let _ = self.first.get_or_insert(*header);
        match header.encode_prefix(body_len) {
            Ok(prefix) if fits || id.is_some() => {
                self.messages = self.messages.saturating_add(1);
                self.held.extend_from_slice(&prefix);
                self.held.extend_from_slice(inbound.body());
                if !inbound.last() {
                    self.inside = Inside::Held;
                }
            }
            _ => {
                self.dropped = self.dropped.saturating_add(1);
                link.drain(told);
                if let Some(token) = inbound.reply_token() {
                    // Fails only where the session has ended, and the sender knows then.
                    let _ = link.abort(now, told, &token);
                }
            }
        }
        id
    }

    /// What has been read and is for the peer's own machine: what is held, and what follows it.
    pub(super) fn found(&mut self, id: usize, rest: &[u8]) -> Found {
        let mut octets = std::mem::take(&mut self.header);
        octets.extend_from_slice(rest);
        Found { peer: id, seen: std::mem::take(&mut self.held), rest: octets }
    }
}
