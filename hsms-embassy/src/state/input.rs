//! What has been read and not been given to the machine.

/// The read buffer. It is with who reads while that goes on, and here while there is something in it.
#[derive(Debug)]
pub(crate) struct Input<'b> {
    buffer: Option<&'b mut [u8]>,
    start: usize,
    end: usize,
}

impl<'b> Input<'b> {
    pub(crate) const fn new(buffer: &'b mut [u8]) -> Option<Self> {
        if buffer.is_empty() {
            return None;
        }
        Some(Input { buffer: Some(buffer), start: 0, end: 0 })
    }

    /// What has not been given to the machine.
    pub(crate) fn octets(&self) -> &[u8] {
        self.buffer.as_deref().and_then(|buffer| buffer.get(self.start..self.end)).unwrap_or(&[])
    }

    pub(crate) const fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// The machine took so many.
    pub(crate) fn took(&mut self, octets: usize) {
        self.start = self.start.saturating_add(octets).min(self.end);
    }

    pub(crate) const fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// The buffer, to be read to.
    pub(crate) const fn lend(&mut self) -> Option<&'b mut [u8]> {
        self.clear();
        self.buffer.take()
    }

    /// The buffer, with so many octets in it.
    pub(crate) fn give_back(&mut self, buffer: &'b mut [u8], octets: usize) {
        self.start = 0;
        self.end = octets.min(buffer.len());
        self.buffer = Some(buffer);
    }
}
