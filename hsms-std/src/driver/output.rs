//! What goes out: put together, written in one piece, and by turns with reading where the peer does not take it.

use super::{Driver, Read};
use crate::Error;
use crate::transport::{Transport, is_again};
use hsms_core::connection::Sessions;
use hsms_core::time::Instant;
use std::io::{self, IoSlice};
use std::mem;
use std::time::Duration;

/// Texts from here on are written from where they are.
pub(super) const LONG: usize = 16 * 1024;

/// So much is put together before it is written without anybody asking for it.
pub(super) const MUCH: usize = 256 * 1024;

/// Answers to what was read while the peer took nothing. Beyond it, nothing is read until it takes something.
const MOST_ANSWERS: usize = 1 << 20;

/// How long what is left is tried to be written before a transport is closed.
const FAREWELL: Duration = Duration::from_secs(1);

/// A write of more than that takes so long that the clock is read again.
const QUICK: usize = 64 * 1024;

/// A write that is interrupted this often counts as one that is late, which has a limit.
const MOST_INTERRUPTED: u8 = 16;

/// What an output buffer keeps of its size when nothing is going on.
const KEPT_OUTPUT: usize = 1 << 20;

/// The ordered output, as far as it is not in the caller's hands.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// What stands before the text that is being written, or all there is.
    head: Vec<u8>,
    /// Octets of it that have been written.
    start: usize,
    /// What stands behind the text that is being written.
    tail: Vec<u8>,
    /// A text is being written from where it is.
    in_text: bool,
    /// The peer takes nothing at the moment, or never will: no farewell.
    stuck: bool,
    /// Writing has failed: nothing will leave any more.
    broken: bool,
    /// The machine has made something of it, which should not wait for the application.
    urgent: bool,
}

impl Output {
    #[inline]
    pub(super) fn push(&mut self, octets: &[u8]) {
        if self.broken {
            return;
        }
        if self.in_text {
            self.tail.extend_from_slice(octets);
        } else {
            self.head.extend_from_slice(octets);
        }
    }

    /// A frame of the machine.
    pub(super) fn push_frame(&mut self, octets: &[u8]) {
        self.push(octets);
        self.urgent = true;
    }

    /// A text is about to be written from where it is: what is pushed from now on goes behind it.
    pub(super) const fn begin_text(&mut self) {
        self.in_text = true;
    }

    fn end_text(&mut self) {
        if mem::take(&mut self.in_text) && !self.tail.is_empty() {
            // Where the text was written whole, so was all in front of it.
            mem::swap(&mut self.head, &mut self.tail);
            self.tail.clear();
            self.urgent = true;
        }
    }

    /// What has not been written yet, without the text.
    #[inline]
    fn pending(&self) -> &[u8] {
        self.head.get(self.start..).unwrap_or(&[])
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.head.len().saturating_sub(self.start)
    }

    /// So many octets of the head were written.
    #[inline]
    fn wrote(&mut self, octets: usize) {
        self.start = self.start.saturating_add(octets);
        if self.start >= self.head.len() {
            self.head.clear();
            self.start = 0;
            self.urgent = false;
        }
    }

    pub(super) fn clear(&mut self) {
        self.head.clear();
        self.tail.clear();
        self.start = 0;
        self.in_text = false;
        self.stuck = false;
        self.broken = false;
        self.urgent = false;
    }

    pub(super) fn shrink(&mut self) {
        if self.head.is_empty() {
            self.head.shrink_to(KEPT_OUTPUT);
        }
        self.tail.shrink_to(KEPT_OUTPUT);
    }
}

impl<T: Transport, const TRANSACTIONS: usize, S: Sessions> Driver<T, TRANSACTIONS, S> {
    /// Writes everything that was put together, and `text` behind it. Tells whether it had to read meanwhile, so that
    /// something may be in the inbox.
    #[inline]
    pub(super) fn write_out(&mut self, text: &[u8]) -> Result<bool, Error> {
        let head = self.output.pending();
        let total = head.len().saturating_add(text.len());
        if total == 0 {
            return Ok(false);
        }
        let Some(transport) = &mut self.transport else {
            return Err(self.closed_error());
        };
        let limit = self.options.write_limit();
        let result = if text.is_empty() {
            transport.write(&[IoSlice::new(head)], limit)
        } else {
            transport.write(&[IoSlice::new(head), IoSlice::new(text)], limit)
        };
        if let Ok(octets) = result
            && octets == total
        {
            self.output.wrote(octets);
            self.output.end_text();
            if octets > QUICK {
                self.tick();
            }
            self.written(octets);
            return Ok(false);
        }
        self.write_by_turns(text, result).map(|()| true)
    }

    /// Before the application gets something to think about: writes what the machine has answered, as far as that goes at
    /// once. What was put together by the application goes with it.
    #[inline]
    pub(crate) fn write_answers(&mut self) {
        if self.output.urgent {
            self.write_some();
        }
    }

    #[cold]
    fn write_some(&mut self) {
        self.tick();
        let limit = self.options.write_limit();
        // Where it fails, it fails again when the next call writes.
        if let Some(transport) = &mut self.transport
            && let Ok(octets @ 1..) = transport.write(&[IoSlice::new(self.output.pending())], limit)
        {
            self.output.wrote(octets);
            self.written(octets);
        }
    }

    /// The peer does not take everything at once: reads what it sends meanwhile, since it may be writing as well and wait for
    /// us. What is read goes to the inbox, within its bounds.
    #[cold]
    fn write_by_turns(&mut self, mut text: &[u8], mut result: io::Result<usize>) -> Result<(), Error> {
        self.output.stuck = true;
        let (mut since, mut interrupted) = (self.tick(), 0);
        loop {
            match result {
                Ok(0) => self.write_failed(io::ErrorKind::WriteZero.into()),
                Ok(octets) => {
                    let in_head = octets.min(self.output.len());
                    self.output.wrote(in_head);
                    text = text.get(octets.saturating_sub(in_head)..).unwrap_or(&[]);
                    since = self.tick();
                    self.written(octets);
                }
                Err(error) if repeats(&error, &mut interrupted) => {}
                Err(error) if is_again(&error) => self.wait_for_room(since, text.len())?,
                Err(error) => self.write_failed(error),
            }
            let Some(transport) = &mut self.transport else { return Err(self.closed_error()) };
            let head = self.output.pending();
            result = match (head.is_empty(), text.is_empty()) {
                (true, true) => break,
                (false, true) => transport.write(&[IoSlice::new(head)], Duration::ZERO),
                (true, false) => transport.write(&[IoSlice::new(text)], Duration::ZERO),
                (false, false) => transport.write(&[IoSlice::new(head), IoSlice::new(text)], Duration::ZERO),
            };
        }
        self.output.stuck = false;
        self.output.end_text();
        self.resume();
        Ok(())
    }

    /// Writes what the transport has taken and not written yet.
    #[inline]
    pub(super) fn write_owed(&mut self) -> Result<(), Error> {
        let limit = self.options.write_limit();
        match self.transport.as_mut().map(|transport| transport.write_owed(limit)) {
            None | Some(Ok(0)) => Ok(()),
            Some(result) => self.write_owed_by_turns(result),
        }
    }

    /// The same as [`write_by_turns`](Self::write_by_turns); to the machine these octets have been written.
    #[cold]
    fn write_owed_by_turns(&mut self, mut result: io::Result<usize>) -> Result<(), Error> {
        self.output.stuck = true;
        let (mut since, mut interrupted) = (self.tick(), 0);
        loop {
            match result {
                Ok(0) => break,
                Ok(_) => since = self.tick(),
                Err(error) if repeats(&error, &mut interrupted) => {}
                Err(error) if is_again(&error) => self.wait_for_room(since, 0)?,
                Err(error) => self.write_failed(error),
            }
            let Some(transport) = &mut self.transport else { return Err(self.closed_error()) };
            result = transport.write_owed(Duration::ZERO);
        }
        self.output.stuck = false;
        self.resume();
        Ok(())
    }

    /// Nothing can be written, of `text` octets of a text neither: reads meanwhile, unless nothing has been taken for too long.
    fn wait_for_room(&mut self, since: Instant, text: usize) -> Result<(), Error> {
        let passed = self.now.saturating_since(since);
        match self.options.write_limit().checked_sub(passed) {
            Some(left) if !left.is_zero() => {
                self.read_meanwhile(left);
                Ok(())
            }
            _ => Err(self.stalled(text)),
        }
    }

    /// Nothing can be written: reads what is there, or waits for either.
    fn read_meanwhile(&mut self, limit: Duration) {
        let reads = self.output.tail.len().saturating_add(self.output.len()) < MOST_ANSWERS.saturating_add(MUCH);
        if reads {
            self.resume();
            self.keep_all();
            match self.read(Duration::ZERO) {
                Read::Octets => return self.keep_all(),
                Read::Closed => return,
                Read::Nothing => {}
            }
        } else {
            // The machine's timers stand still while nothing is read.
            let _ = self.machine.pause_input(self.now);
        }
        self.fire();
        let deadline = self.machine.next_deadline().map(|deadline| deadline.saturating_since(self.now));
        let Some(transport) = &mut self.transport else { return };
        let limit = deadline.map_or(limit, |deadline| deadline.min(limit));
        if let Err(error) = transport.wait(reads, limit)
            && !is_again(&error)
        {
            self.hang_up(Some(error));
        }
        self.tick();
    }

    fn resume(&mut self) {
        // A no-op where input is not paused, and of no consequence where nothing is connected.
        let _ = self.machine.resume_input(self.now);
    }

    /// Writing failed. What the peer sent before counts: it may have said why. What the system says it says once, so a read may find no
    /// more than the end.
    fn write_failed(&mut self, error: io::Error) {
        (self.output.stuck, self.output.broken) = (true, true);
        self.failure = Some(error);
        self.resume();
        self.keep_all();
        let mut left = self.most_before_timeout();
        while left > 0 {
            match self.read(Duration::ZERO) {
                Read::Octets => {
                    left = left.saturating_sub(self.input.pending().len());
                    self.keep_all();
                }
                Read::Closed => return,
                Read::Nothing => break,
            }
        }
        self.hang_up(None);
    }

    /// The peer takes nothing.
    fn stalled(&mut self, text: usize) -> Error {
        let left = [self.output.len(), text, self.output.tail.len()].into_iter().sum::<usize>();
        let limit = self.options.write_limit();
        self.hang_up(Some(io::Error::new(io::ErrorKind::TimedOut, "the peer takes no octets")));
        Error::WriteStalled { limit, left: u64::try_from(left).unwrap_or(u64::MAX) }
    }

    /// The transport took so many octets.
    #[inline]
    fn written(&mut self, octets: usize) {
        let told = self.machine.written(self.now, u64::try_from(octets).unwrap_or(u64::MAX));
        debug_assert!(told.is_ok(), "{told:?}");
    }

    /// Writes what is left as far as the peer takes it soon, and closes the transport. Nothing is told, to nobody.
    pub(crate) fn abandon(&mut self) {
        if let Some(mut transport) = self.transport.take() {
            self.farewell(&mut transport);
            transport.close();
        }
        self.meter.tell(self.onlookers.name.as_ref(), &self.counters, 0);
    }

    /// Writes what is left before the transport is closed, as far as the peer takes it soon.
    pub(super) fn farewell(&mut self, transport: &mut T) {
        if self.output.stuck || self.output.in_text {
            return;
        }
        let limit = FAREWELL.min(self.options.write_limit());
        let (mut since, mut interrupted) = (self.clock.now(), 0);
        loop {
            let result = match self.output.pending() {
                [] => transport.write_owed(limit),
                octets => transport.write(&[IoSlice::new(octets)], limit),
            };
            match result {
                Ok(octets @ 1..) => {
                    self.output.wrote(octets.min(self.output.len()));
                    since = self.clock.now();
                }
                Err(error) if repeats(&error, &mut interrupted) => {}
                Err(error) if is_again(&error) => {
                    let left = limit.saturating_sub(self.clock.now().saturating_since(since));
                    if left.is_zero() || transport.wait(false, left).is_err() {
                        return;
                    }
                }
                _ => return,
            }
        }
    }

    /// What calls say that were cut short by the end of the connection.
    pub(crate) fn closed_error(&mut self) -> Error {
        match self.closed.take() {
            Some((reason, source)) => Error::Closed { reason, source },
            None => Error::Refused(hsms_core::Error::NotConnected),
        }
    }
}

/// Whether a call was interrupted and is repeated at once, which is done so often without looking at the time.
fn repeats(error: &io::Error, interrupted: &mut u8) -> bool {
    let is_interrupted = error.kind() == io::ErrorKind::Interrupted;
    *interrupted = interrupted.saturating_add(u8::from(is_interrupted));
    is_interrupted && *interrupted < MOST_INTERRUPTED
}
