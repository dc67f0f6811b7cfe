//! The ordered output: octets that wait to be written, in a buffer that is lent and swapped with the one that is being written.

use hsms_core::connection::MAX_CONTROL_FRAME;
use hsms_core::wire::PREFIX_LEN;

/// What half of the output has to hold at least: the longest frame of the machine.
pub(crate) const LEAST_HALF: usize = MAX_CONTROL_FRAME;

/// What is put together. The other half is with who writes it.
#[derive(Debug)]
pub(crate) struct Output<'b> {
    filling: &'b mut [u8],
    len: usize,
    /// The other half, while nobody writes.
    spare: Option<&'b mut [u8]>,
    /// Octets put in since the connection began.
    put: u64,
    /// Octets that the transport has taken since.
    taken: u64,
    /// Writing has failed: what is put in goes nowhere.
    broken: bool,
}

impl<'b> Output<'b> {
    pub(crate) fn new(storage: &'b mut [u8]) -> Option<Self> {
        let half = storage.len() / 2;
        let (filling, spare) = storage.split_at_mut_checked(half)?;
        let spare = spare.get_mut(..half)?;
        (half >= LEAST_HALF).then_some(Output { filling, len: 0, spare: Some(spare), put: 0, taken: 0, broken: false })
    }

    /// Octets that can be put in at once.
    pub(crate) const fn room(&self) -> usize {
        self.filling.len().saturating_sub(self.len)
    }

    /// The longest text that is put in whole, so that it never is written in part.
    pub(crate) const fn whole(&self) -> usize {
        self.filling.len().saturating_sub(PREFIX_LEN)
    }

    /// Puts in as much of `octets` as there is room for; gives how much.
    pub(crate) fn push(&mut self, octets: &[u8]) -> usize {
        let n = octets.len().min(self.room());
        if self.broken {
            return n;
        }
        let end = self.len.saturating_add(n);
        if let (Some(place), Some(octets)) = (self.filling.get_mut(self.len..end), octets.get(..n)) {
            place.copy_from_slice(octets);
            self.len = end;
            self.put = self.put.saturating_add(u64::try_from(n).unwrap_or(0));
        }
        n
    }

    /// Where the next octet will stand in the output of this connection.
    pub(crate) const fn end(&self) -> u64 {
        self.put
    }

    pub(crate) const fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether the transport took all octets in front of this one, or takes none any more.
    pub(crate) const fn has_taken(&self, end: u64) -> bool {
        self.taken >= end || self.broken
    }

    /// Whether all that was put in was taken.
    pub(crate) const fn is_written(&self) -> bool {
        self.taken == self.put
    }

    /// The transport took so many octets.
    pub(crate) fn took(&mut self, octets: usize) {
        self.taken = self.taken.saturating_add(u64::try_from(octets).unwrap_or(0)).min(self.put);
    }

    /// Gives what has been put in for `half`, which has been written; gives how many octets that are.
    pub(crate) const fn swap(&mut self, half: &mut &'b mut [u8]) -> usize {
        let len = self.len;
        if len > 0 {
            core::mem::swap(&mut self.filling, half);
            self.len = 0;
        }
        len
    }

    /// Writing has failed.
    pub(crate) const fn fail(&mut self) {
        self.broken = true;
        self.len = 0;
    }

    pub(crate) const fn is_broken(&self) -> bool {
        self.broken
    }

    /// A connection begins.
    pub(crate) const fn reset(&mut self) {
        self.len = 0;
        self.put = 0;
        self.taken = 0;
        self.broken = false;
    }

    pub(crate) const fn lend(&mut self) -> Option<&'b mut [u8]> {
        self.spare.take()
    }

    pub(crate) const fn give_back(&mut self, half: &'b mut [u8]) {
        self.spare = Some(half);
    }
}
