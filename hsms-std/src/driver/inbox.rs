//! What arrived while a call waited for something else.

use super::input::Sort;
use crate::{Incoming, Options};
use hsms_core::wire::Header;
use std::collections::VecDeque;

/// What found no room in the inbox since the connection was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Dropped {
    /// Primaries of the peer. Those whose sender waits for a reply were answered SxF0.
    pub primaries: u64,
    /// Replies to primaries that were posted.
    pub replies: u64,
    /// Notices.
    pub notices: u64,
}

/// Messages and notices in the order in which they came, within bounds.
#[derive(Debug)]
pub(super) struct Inbox {
    entries: VecDeque<Entry>,
    most_messages: usize,
    most_octets: usize,
    primaries: usize,
    octets: usize,
    /// Entries that tell the outcome of a primary that was posted; there is always room for them, and `post` bounds them.
    outcomes: usize,
    notices: usize,
    dropped: Dropped,
    /// What of it has not been told.
    untold_notices: u64,
    untold_primaries: Option<(u64, Header)>,
}

#[derive(Debug)]
pub(super) enum Entry {
    Message(Kept),
    Outcome(Incoming<'static>),
    Notice(Incoming<'static>),
}

/// A message with a text of its own.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) header: Header,
    pub(super) sort: Sort,
    pub(super) body: Vec<u8>,
}

impl Inbox {
    pub(super) const fn new(options: &Options) -> Self {
        Inbox {
            entries: VecDeque::new(),
            most_messages: options.inbox_messages(),
            most_octets: options.inbox_octets(),
            primaries: 0,
            octets: 0,
            outcomes: 0,
            notices: 0,
            dropped: Dropped { primaries: 0, replies: 0, notices: 0 },
            untold_notices: 0,
            untold_primaries: None,
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.untold_notices == 0 && self.untold_primaries.is_none()
    }

    pub(super) const fn dropped(&self) -> &Dropped {
        &self.dropped
    }

    /// How many outcomes of posted primaries wait, replies included.
    pub(super) const fn outcomes(&self) -> usize {
        self.outcomes
    }

    pub(super) const fn most_messages(&self) -> usize {
        self.most_messages
    }

    /// Whether a message with a text of this length would be kept. How many replies there are is bounded when primaries are
    /// posted: no load of the peer's primaries costs a transaction its reply.
    pub(super) const fn has_room(&self, body_len: usize, outcome: bool) -> bool {
        (outcome || self.primaries < self.most_messages)
            && (self.octets == 0 || self.octets.saturating_add(body_len) <= self.most_octets)
    }

    /// Keeps a message; there is room.
    pub(super) fn keep(&mut self, kept: Kept) {
        self.octets = self.octets.saturating_add(kept.body.len());
        if kept.sort.is_outcome() {
            self.outcomes = self.outcomes.saturating_add(1);
        } else {
            self.primaries = self.primaries.saturating_add(1);
        }
        self.entries.push_back(Entry::Message(kept));
    }

    /// Keeps the outcome of a primary that was posted.
    pub(super) fn outcome(&mut self, outcome: Incoming<'static>) {
        self.outcomes = self.outcomes.saturating_add(1);
        self.entries.push_back(Entry::Outcome(outcome));
    }

    /// Keeps a notice, where there is room.
    pub(super) fn notice(&mut self, notice: Incoming<'static>) {
        if self.notices >= self.most_messages {
            self.dropped.notices = self.dropped.notices.saturating_add(1);
            self.untold_notices = self.untold_notices.saturating_add(1);
            return;
        }
        self.notices = self.notices.saturating_add(1);
        self.entries.push_back(Entry::Notice(notice));
    }

    /// Counts a primary for which there was no room.
    pub(super) fn drop_primary(&mut self, header: &Header) {
        self.dropped.primaries = self.dropped.primaries.saturating_add(1);
        let count = self.untold_primaries.map_or(0, |(count, _)| count).saturating_add(1);
        self.untold_primaries = Some((count, *header));
    }

    /// Counts a reply for which there was no room; its outcome is kept all the same.
    pub(super) fn drop_reply(&mut self, header: &Header, body_len: u32) {
        self.dropped.replies = self.dropped.replies.saturating_add(1);
        self.outcome(Incoming::ReplyDropped { header: *header, body_len });
    }

    /// The next entry; what was dropped is told when all that was kept has been.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let Some(entry) = self.entries.pop_front() else { return self.tell_dropped() };
        self.left(&entry);
        Some(entry)
    }

    /// The first primary, whatever stands in front of it.
    pub(super) fn pop_primary(&mut self) -> Option<Kept> {
        let index =
            self.entries.iter().position(|entry| matches!(entry, Entry::Message(kept) if !kept.sort.is_outcome()))?;
        let entry = self.entries.remove(index)?;
        self.left(&entry);
        match entry {
            Entry::Message(kept) => Some(kept),
            Entry::Outcome(_) | Entry::Notice(_) => None,
        }
    }

    fn left(&mut self, entry: &Entry) {
        match entry {
            Entry::Message(kept) => {
                self.primaries = self.primaries.saturating_sub(usize::from(!kept.sort.is_outcome()));
                self.octets = self.octets.saturating_sub(kept.body.len());
                self.outcomes = self.outcomes.saturating_sub(usize::from(kept.sort.is_outcome()));
            }
            Entry::Outcome(_) => self.outcomes = self.outcomes.saturating_sub(1),
            Entry::Notice(_) => self.notices = self.notices.saturating_sub(1),
        }
    }

    fn tell_dropped(&mut self) -> Option<Entry> {
        if let Some((count, last)) = self.untold_primaries.take() {
            return Some(Entry::Notice(Incoming::PrimariesDropped { count, last }));
        }
        let count = std::mem::take(&mut self.untold_notices);
        (count > 0).then_some(Entry::Notice(Incoming::NoticesDropped { count }))
    }
}
