//! Primaries that wait for the application, and their texts, in a ring that is lent.

use super::take_first;
use heapless::Vec;
use hsms_core::connection::ReplyToken;
use hsms_core::wire::Header;

/// A primary for the application.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) header: Header,
    pub(crate) token: Option<ReplyToken>,
    pub(crate) body_len: u32,
    /// Octets of its text that are in the ring.
    pub(crate) here: usize,
    /// All of its text has come.
    pub(crate) whole: bool,
    /// The rest of its text will not come.
    pub(crate) cut: bool,
    /// Which link it came over: see [`LinkNumber`].
    pub(crate) link: LinkNumber,
}

/// Which link since the start, as far as that tells apart the few that messages in the inbox came over.
pub(crate) type LinkNumber = u16;

/// At most `N` primaries, in the order in which they came. Only the last can be incomplete, and only the first be read.
#[derive(Debug)]
pub(crate) struct Inbox<'b, const N: usize> {
    entries: Vec<Entry, N, u16>,
    ring: &'b mut [u8],
    start: usize,
    len: usize,
    /// Somebody reads the first.
    reading: bool,
    /// Nobody took anything for too long: what comes while it is full is refused at once.
    pub(crate) stalled: bool,
}

impl<'b, const N: usize> Inbox<'b, N> {
    pub(crate) const fn new(ring: &'b mut [u8]) -> Self {
        Inbox { entries: Vec::new(), ring, start: 0, len: 0, reading: false, stalled: false }
    }

    pub(crate) const fn capacity(&self) -> usize {
        self.ring.len()
    }

    /// Octets of text that can be put in.
    pub(crate) const fn room(&self) -> usize {
        self.ring.len().saturating_sub(self.len)
    }

    /// Whether something that came over this link is still there.
    #[cfg(feature = "services")]
    pub(crate) fn holds(&self, link: LinkNumber) -> bool {
        self.entries.iter().any(|entry| entry.link == link)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.entries.is_full()
    }

    /// Puts in the beginning of a primary, where there is a place for one.
    pub(crate) fn push(&mut self, entry: Entry) -> bool {
        self.entries.push(entry).is_ok()
    }

    /// The one whose text is arriving.
    pub(crate) fn last_mut(&mut self) -> Option<&mut Entry> {
        self.entries.last_mut()
    }

    /// Puts in octets of the text of the last; there has to be room.
    pub(crate) fn put(&mut self, octets: &[u8]) {
        let mut at = self.start.saturating_add(self.len);
        if at >= self.ring.len() {
            at = at.saturating_sub(self.ring.len());
        }
        let until_end = self.ring.len().saturating_sub(at).min(octets.len());
        let (front, back) = octets.split_at_checked(until_end).unwrap_or((octets, &[]));
        for (at, octets) in [(at, front), (0, back)] {
            if let Some(place) = self.ring.get_mut(at..at.saturating_add(octets.len())) {
                place.copy_from_slice(octets);
            }
        }
        self.len = self.len.saturating_add(octets.len());
        if let Some(last) = self.entries.last_mut() {
            last.here = last.here.saturating_add(octets.len());
        }
    }

    /// The first, where nobody reads it.
    pub(crate) fn first(&self) -> Option<&Entry> {
        self.entries.first().filter(|_| !self.reading)
    }

    /// The one that is being read.
    pub(crate) fn current(&self) -> Option<&Entry> {
        self.entries.first().filter(|_| self.reading)
    }

    /// From now on the first is being read.
    pub(crate) const fn take(&mut self) {
        self.reading = true;
        self.stalled = false;
    }

    /// Takes octets of the text of the first out of the ring; gives how many.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> usize {
        let Some(first) = self.entries.first_mut() else { return 0 };
        let n = first.here.min(buffer.len());
        let until_end = self.ring.len().saturating_sub(self.start).min(n);
        if let Some((front, back)) = buffer.split_at_mut_checked(until_end) {
            let back_len = n.saturating_sub(until_end);
            let from = self.start;
            if let Some(octets) = self.ring.get(from..from.saturating_add(until_end)) {
                front.copy_from_slice(octets);
            }
            if let (Some(back), Some(octets)) = (back.get_mut(..back_len), self.ring.get(..back_len)) {
                back.copy_from_slice(octets);
            }
        }
        first.here = first.here.saturating_sub(n);
        self.discard(n);
        n
    }

    /// The first has been read, or is given up. Gives whether the rest of its text is still to come.
    pub(crate) fn finish(&mut self) -> bool {
        self.reading = false;
        let Some(first) = take_first(&mut self.entries) else { return false };
        self.discard(first.here);
        !first.whole && !first.cut
    }

    /// Takes out the last, of which the rest will not come, unless it is being read: its reader learns of it. Gives it where it was taken out.
    pub(crate) fn cut(&mut self) -> Option<Entry> {
        let alone = self.entries.len() == 1;
        let last = self.entries.last_mut()?;
        if self.reading && alone {
            last.cut = true;
            return None;
        }
        let last = self.entries.pop()?;
        self.len = self.len.saturating_sub(last.here);
        Some(last)
    }

    /// Octets at the front of the ring are done with.
    fn discard(&mut self, octets: usize) {
        self.start = self.start.saturating_add(octets);
        if self.start >= self.ring.len() {
            self.start = self.start.saturating_sub(self.ring.len());
        }
        self.len = self.len.saturating_sub(octets);
    }
}
