//! A transport that suffers.

use super::line::{Line, Out, Report};
use super::pipe::push_parts;
use super::plan::{End, Plans};
use crate::clock::Clock;
use crate::transport::{Transport, is_late};
use hsms_core::time::Instant;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::time::Duration;

/// Octets read from the wrapped transport at once.
const READ: usize = 16 * 1024;

/// What one call of [`Transport::read`] or [`Transport::write`] does instead of all it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It carries so many octets at most.
    Most(usize),
    /// It fails and carries nothing.
    Fail(ErrorKind),
}

/// A [`Transport`] around another one, whose octets suffer what [`Plans`] say: `out` what is written, `back` what is read.
/// Below them, single calls can be made short or fail.
///
/// What is late is late by the real clock, and moves only inside calls; what is late still when the transport is closed is
/// lost. A cut closes the wrapped transport; behind a reset, calls fail at this end, but the other end reads the end of the
/// stream.
///
/// ```
/// use hsms_std::faults::{Faulty, Plans, Step, pipe};
/// use hsms_std::transport::Transport;
/// use std::io::{ErrorKind, IoSlice};
/// use std::time::Duration;
///
/// let (mine, mut other) = pipe(&Plans::clean());
/// let mut mine = Faulty::new(mine, &Plans::clean()).with_writes([Step::Fail(ErrorKind::Interrupted), Step::Most(3)]);
/// let parts = [IoSlice::new(b"octets")];
/// assert_eq!(mine.write(&parts, Duration::ZERO).unwrap_err().kind(), ErrorKind::Interrupted);
/// assert_eq!(mine.write(&parts, Duration::ZERO)?, 3);
/// let mut octets = [0; 8];
/// assert_eq!(other.read(&mut octets, Duration::ZERO)?, 3);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Faulty<T> {
    inner: T,
    out: Line,
    back: Line,
    clock: Clock,
    reads: VecDeque<Step>,
    writes: VecDeque<Step>,
    ended: Option<End>,
    /// The wrapped transport has nothing more to read.
    read_all: bool,
    /// The wrapped transport has no room for what is due.
    blocked: bool,
}

impl<T: Transport> Faulty<T> {
    /// Takes over a transport at the beginning of its connection.
    #[must_use]
    pub fn new(inner: T, plans: &Plans) -> Self {
        Faulty {
            inner,
            out: Line::new(&plans.out),
            back: Line::new(&plans.back),
            clock: Clock::new(),
            reads: VecDeque::new(),
            writes: VecDeque::new(),
            ended: None,
            read_all: false,
            blocked: false,
        }
    }

    /// Lets the next reads do these steps, one each. Those after them give all they can.
    #[must_use]
    pub fn with_reads(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.reads.extend(steps);
        self
    }

    /// Lets the next writes do these steps, one each. Those after them take all they can.
    #[must_use]
    pub fn with_writes(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.writes.extend(steps);
        self
    }

    /// The wrapped transport.
    #[must_use]
    pub const fn inner(&self) -> &T {
        &self.inner
    }

    /// What has happened to what was written.
    #[must_use]
    pub fn report_out(&self) -> Report {
        self.out.report()
    }

    /// What has happened to what was read.
    #[must_use]
    pub fn report_back(&self) -> Report {
        self.back.report()
    }

    /// Carries out what is due, and tells when the next is.
    fn carry(&mut self) -> io::Result<Option<Instant>> {
        self.blocked = false;
        while self.ended.is_none() {
            let now = self.clock.now();
            match self.out.poll(now) {
                Out::Octets(piece) => match self.inner.write(&[IoSlice::new(piece)], Duration::ZERO) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(written) => self.out.taken(now, written),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) if is_late(&error) => {
                        self.blocked = true;
                        return Ok(None);
                    }
                    Err(error) => return Err(error),
                },
                Out::End(end) => self.end(end),
                Out::Nothing => return Ok(self.out.next_at()),
            }
        }
        Ok(None)
    }

    fn end(&mut self, end: End) {
        self.ended = Some(end);
        self.inner.close();
    }

    /// Waits for octets of the wrapped transport and takes them, for `limit` at most.
    fn fetch(&mut self, limit: Duration) -> io::Result<()> {
        let room = self.back.room().min(READ);
        if room == 0 || self.read_all {
            // What comes next comes from the line, by time alone: there is nothing else to wait for.
            pass(limit);
            return Ok(());
        }
        let mut octets = [0; READ];
        let octets = octets.get_mut(..room).unwrap_or_default();
        let result = self.inner.read(octets, limit);
        let now = self.clock.now();
        match result {
            Ok(0) => {
                self.read_all = true;
                self.back.finish(now);
            }
            Ok(read) => {
                self.back.push(now, octets.get(..read).unwrap_or_default());
            }
            Err(error) if is_late(&error) || error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl<T: Transport> Transport for Faulty<T> {
    fn read(&mut self, octets: &mut [u8], limit: Duration) -> io::Result<usize> {
        let most = match self.reads.pop_front() {
            None => usize::MAX,
            Some(Step::Most(most)) => most.max(1),
            Some(Step::Fail(kind)) => return Err(kind.into()),
        };
        let until = self.clock.now().saturating_add(limit);
        let mut looked = false;
        loop {
            let carried_next = self.carry()?;
            let now = self.clock.now();
            match (self.ended, self.back.poll(now)) {
                (Some(End::Reset), _) => return Err(ErrorKind::ConnectionReset.into()),
                (Some(_), _) | (_, Out::End(End::Closed)) => return Ok(0),
                (_, Out::Octets(piece)) => {
                    let len = piece.len().min(octets.len()).min(most);
                    for (place, octet) in octets.iter_mut().zip(piece.iter().take(len)) {
                        *place = *octet;
                    }
                    self.back.taken(now, len);
                    return Ok(len);
                }
                (_, Out::End(end)) => {
                    self.end(end);
                    continue;
                }
                (_, Out::Nothing) => {}
            }
            if looked && now >= until {
                return Err(ErrorKind::WouldBlock.into());
            }
            looked = true;
            let next = [Some(until), carried_next, self.back.next_at()].into_iter().flatten().min().unwrap_or(until);
            let wait = self.clock.until(next).min(limit);
            if self.blocked {
                let reads = self.back.room() > 0 && !self.read_all;
                self.inner.wait(reads, wait)?;
                self.fetch(Duration::ZERO)?;
            } else {
                self.fetch(wait)?;
            }
        }
    }

    fn write(&mut self, parts: &[IoSlice<'_>], _: Duration) -> io::Result<usize> {
        let most = match self.writes.pop_front() {
            None => usize::MAX,
            Some(Step::Most(most)) => most.max(1),
            Some(Step::Fail(kind)) => return Err(kind.into()),
        };
        self.carry()?;
        if self.ended.is_some() {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let mut left = most;
        let parts: Vec<_> = parts
            .iter()
            .map(|part| {
                let short = part.get(..left).unwrap_or(part);
                left -= short.len();
                IoSlice::new(short)
            })
            .collect();
        let taken = push_parts(&mut self.out, self.clock.now(), &parts);
        self.carry()?;
        if taken == 0 && parts.iter().any(|part| !part.is_empty()) {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(taken)
    }

    fn write_owed(&mut self, limit: Duration) -> io::Result<usize> {
        self.carry()?;
        if self.ended.is_some() { Ok(0) } else { self.inner.write_owed(limit) }
    }

    fn wait(&mut self, or_read: bool, limit: Duration) -> io::Result<()> {
        let next = self.carry()?;
        let readable = or_read && self.back.poll(self.clock.now()) != Out::Nothing;
        if self.ended.is_some() || self.out.room() > 0 || readable {
            return Ok(());
        }
        match next.map(|next| self.clock.until(next).min(limit)) {
            None if self.blocked => self.inner.wait(or_read, limit)?,
            // The wrapped transport has room already: waiting for that would not wait.
            late if or_read => self.fetch(late.unwrap_or(limit))?,
            late => pass(late.unwrap_or(limit)),
        }
        self.carry().map(drop)
    }

    fn close(&mut self) {
        // What is due leaves; where it fails, it has failed before.
        let _ = self.carry();
        if self.ended.is_none() {
            self.end(End::Closed);
        }
    }

    fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.inner.addresses()
    }
}

/// What is late on purpose becomes due by time alone. Whoever calls this looks again, so that waking early does no harm.
fn pass(limit: Duration) {
    std::thread::park_timeout(limit);
}
