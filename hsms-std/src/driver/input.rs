//! Where octets are read to, and where the texts of messages lie.

use hsms_core::connection::{Class, Inbound, ReplyToken};
use hsms_core::wire::{Header, Message};
use std::collections::TryReserveError;
use std::mem;

/// Storage of a long text grows by as much as has arrived, and by this at least: nothing is reserved on the word of a length
/// field alone, and what is moved when it grows stays in proportion.
const LEAST_GROWTH: usize = 64 * 1024;

/// Storage above this is given back when nothing comes for a while.
const KEPT_STORAGE: usize = 1 << 20;

/// The read buffer, and the storage of a text that does not fit into it.
#[derive(Debug)]
pub(super) struct Input {
    /// Always as long as it was made.
    buffer: Box<[u8]>,
    /// The first octet that the machine has not been given, and the end of those read.
    start: usize,
    end: usize,
    /// The message that is arriving, where it is for the application and did not arrive at once.
    assembly: Option<Assembly>,
    /// For long texts, which are read right into it. Its octets are initialised once and overwritten from message to
    /// message: its length is not that of a text.
    storage: Vec<u8>,
    /// Octets read to the storage that the machine has not been given.
    arrived: usize,
    /// The message that came last.
    current: Option<Current>,
    /// A text that lies in no buffer.
    held: Vec<u8>,
}

/// What a message is to the application. The machine has decided it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sort {
    /// With what its reply needs.
    Primary(Option<ReplyToken>),
    Reply,
    Abort,
    /// A reply that nobody waits for: what came of it otherwise.
    Unawaited(Class),
}

/// A message that has arrived in part.
#[derive(Debug, Clone, Copy)]
struct Assembly {
    header: Header,
    sort: Sort,
    body_len: usize,
    /// Octets of the text that the machine has been given.
    filled: usize,
    /// Where in the buffer the text begins; `None`: it is in the storage.
    at: Option<usize>,
}

/// A message that has arrived.
#[derive(Debug, Clone, Copy)]
pub(super) struct Current {
    pub(super) header: Header,
    pub(super) sort: Sort,
    pub(super) body_len: usize,
    /// Where in the buffer the text begins; `None`: it is the front of what is held.
    at: Option<usize>,
}

/// A piece of a message, without the borrow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) header: Header,
    pub(super) sort: Sort,
    pub(super) body_len: usize,
    /// Octets of the text in this piece.
    pub(super) len: usize,
    pub(super) first: bool,
    pub(super) last: bool,
    /// The message has been given up while it arrived.
    pub(super) void: bool,
}

impl Sort {
    /// What a message for the application is to it.
    #[inline]
    pub(super) const fn of(inbound: &Inbound<'_>) -> Self {
        match (inbound.is_abort(), inbound.is_reply()) {
            (true, _) => Sort::Abort,
            (false, true) => Sort::Reply,
            (false, false) if inbound.is_unawaited() => Sort::Unawaited(inbound.class),
            (false, false) => Sort::Primary(inbound.reply_token()),
        }
    }

    /// Whether it ends a transaction of ours.
    #[inline]
    pub(super) const fn is_outcome(self) -> bool {
        matches!(self, Sort::Reply | Sort::Abort)
    }

    /// Whether it is the peer's to ask.
    #[inline]
    pub(super) const fn is_primary(self) -> bool {
        matches!(self, Sort::Primary(_))
    }
}

impl Input {
    pub(super) fn new(size: usize) -> Self {
        Input {
            buffer: vec![0; size].into_boxed_slice(),
            start: 0,
            end: 0,
            assembly: None,
            storage: Vec::new(),
            arrived: 0,
            current: None,
            held: Vec::new(),
        }
    }

    /// Octets of the read buffer.
    pub(super) const fn size(&self) -> usize {
        self.buffer.len()
    }

    /// The octets that the machine has not been given.
    #[inline]
    pub(super) fn pending(&self) -> &[u8] {
        if self.arrived == 0 {
            return self.buffer.get(self.start..self.end).unwrap_or(&[]);
        }
        let filled = self.assembly.map_or(0, |assembly| assembly.filled);
        self.storage.get(filled..filled.saturating_add(self.arrived)).unwrap_or(&[])
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.arrived == 0 && self.start == self.end
    }

    /// The machine took so many octets and they made no piece.
    #[inline]
    pub(super) fn took(&mut self, taken: usize) {
        if self.arrived == 0 {
            self.start = self.start.saturating_add(taken).min(self.end);
        } else {
            self.arrived = self.arrived.saturating_sub(taken);
        }
    }

    /// The machine took so many octets, and `part` of a message for the application ends with them. Tells whether the
    /// message is whole.
    #[inline]
    pub(super) fn took_part(&mut self, taken: usize, part: &Part) -> bool {
        let in_storage = self.arrived != 0;
        self.took(taken);
        if part.first && part.last {
            let Part { header, sort, body_len, .. } = *part;
            let at = Some(self.start.saturating_sub(part.len));
            self.current = Some(Current { header, sort, body_len, at });
            return true;
        }
        self.assemble(part, in_storage);
        part.last && !part.void
    }

    /// Whether part of a message for the application has arrived.
    #[inline]
    pub(super) const fn is_assembling(&self) -> bool {
        self.assembly.is_some()
    }

    #[cold]
    fn assemble(&mut self, part: &Part, in_storage: bool) {
        let from = self.start.saturating_sub(part.len);
        if part.first {
            let Part { header, sort, body_len, .. } = *part;
            // In the buffer there is room for it wherever it begins, once it has been moved to the front.
            let at = (body_len <= self.buffer.len() / 2).then_some(from);
            self.assembly = Some(Assembly { header, sort, body_len, filled: 0, at });
        }
        let Some(assembly) = &mut self.assembly else { return };
        let end = assembly.filled.saturating_add(part.len);
        if assembly.at.is_none() && !in_storage {
            if self.storage.len() < end {
                self.storage.resize(end, 0);
            }
            if let (Some(place), Some(octets)) =
                (self.storage.get_mut(assembly.filled..end), self.buffer.get(from..self.start))
            {
                place.copy_from_slice(octets);
            }
        }
        assembly.filled = end;
        if !part.last {
            return;
        }
        let Some(Assembly { header, sort, body_len, at, .. }) = self.assembly.take() else { return };
        if part.void {
            return;
        }
        if at.is_none() {
            mem::swap(&mut self.storage, &mut self.held);
        }
        self.current = Some(Current { header, sort, body_len, at });
    }

    /// Where to read to next; everything read before has been given to the machine. Never empty.
    #[inline]
    pub(super) fn room(&mut self) -> Result<&mut [u8], TryReserveError> {
        match self.assembly {
            None => {
                (self.start, self.end) = (0, 0);
                Ok(&mut self.buffer)
            }
            Some(assembly) => self.room_for(&assembly),
        }
    }

    fn room_for(&mut self, assembly: &Assembly) -> Result<&mut [u8], TryReserveError> {
        let Some(at) = assembly.at else {
            (self.start, self.end) = (0, 0);
            let (filled, body_len) = (assembly.filled, assembly.body_len);
            if self.storage.len() <= filled {
                let growth = filled.max(LEAST_GROWTH).min(body_len.saturating_sub(filled));
                self.storage.try_reserve_exact(filled.saturating_add(growth).saturating_sub(self.storage.len()))?;
                self.storage.resize(filled.saturating_add(growth), 0);
            }
            let end = body_len.min(self.storage.len());
            return Ok(self.storage.get_mut(filled..end).unwrap_or_default());
        };
        if at.saturating_add(assembly.body_len) > self.buffer.len() {
            self.buffer.copy_within(at..self.end, 0);
            self.end = self.end.saturating_sub(at);
            self.start = self.end;
            if let Some(assembly) = &mut self.assembly {
                assembly.at = Some(0);
            }
        }
        Ok(self.buffer.get_mut(self.end..).unwrap_or_default())
    }

    /// So many octets were read to the room. Tells whether it was that of a long text.
    #[inline]
    pub(super) fn read(&mut self, octets: usize) -> bool {
        if let Some(Assembly { at: None, .. }) = self.assembly {
            self.arrived = octets;
            return true;
        }
        self.end = self.end.saturating_add(octets).min(self.buffer.len());
        false
    }

    /// The connection has ended: what was read is void.
    pub(super) fn clear(&mut self) {
        (self.start, self.end, self.arrived, self.assembly) = (0, 0, 0, None);
    }

    /// The message that came last.
    #[inline]
    pub(super) const fn current(&self) -> Option<&Current> {
        self.current.as_ref()
    }

    /// The same with its text.
    #[inline]
    pub(super) fn message(&self) -> Option<(Message<'_>, &Current)> {
        let current = self.current.as_ref()?;
        let octets = match current.at {
            Some(at) => self.buffer.get(at..at.saturating_add(current.body_len)),
            None => self.held.get(..current.body_len),
        };
        Some((Message::new(current.header, octets.unwrap_or(&[])), current))
    }

    /// Makes a message with a text of its own the one that came last.
    pub(super) fn hold(&mut self, header: Header, sort: Sort, body: Vec<u8>) {
        self.release();
        self.current = Some(Current { header, sort, body_len: body.len(), at: None });
        self.held = body;
    }

    /// Nobody needs the message that came last any more.
    #[inline]
    pub(super) fn release(&mut self) {
        self.current = None;
        if !self.held.is_empty() {
            self.reuse();
        }
    }

    /// The storage of one long text serves for the next.
    #[cold]
    fn reuse(&mut self) {
        let assembling = matches!(self.assembly, Some(Assembly { at: None, .. }));
        if !assembling && self.held.len() > self.storage.len() {
            mem::swap(&mut self.storage, &mut self.held);
        }
        self.held = Vec::new();
    }

    /// Takes the text of the message that came last out; a long one without copying it, unless that would keep much more
    /// storage from use than the text takes.
    pub(super) fn take_text(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        match &self.current {
            Some(Current { at: None, body_len, .. }) if self.held.capacity() / 2 > *body_len.max(&LEAST_GROWTH) => {
                text.extend_from_slice(self.held.get(..*body_len).unwrap_or(&[]));
                self.release();
            }
            _ => self.take_text_to(&mut text),
        }
        text
    }

    /// Replaces what `text` holds by the text of the message that came last. A long one is swapped for it.
    pub(super) fn take_text_to(&mut self, text: &mut Vec<u8>) {
        match self.current.take() {
            None => text.clear(),
            Some(Current { at: None, body_len, .. }) => {
                self.held.truncate(body_len);
                mem::swap(text, &mut self.held);
            }
            Some(Current { at: Some(at), body_len, .. }) => {
                text.clear();
                text.extend_from_slice(self.buffer.get(at..at.saturating_add(body_len)).unwrap_or(&[]));
            }
        }
    }

    /// Whether there is storage to give back.
    pub(super) fn holds_much(&self) -> bool {
        (self.storage.len() > KEPT_STORAGE && self.assembly.is_none())
            || (self.held.len() > KEPT_STORAGE && self.current.is_none())
    }

    /// Gives storage back that only a very long text needed.
    pub(super) fn shrink(&mut self) {
        if self.storage.len() > KEPT_STORAGE && self.assembly.is_none() {
            self.storage = Vec::new();
        }
        if self.held.len() > KEPT_STORAGE && self.current.is_none() {
            self.held = Vec::new();
        }
    }
}
