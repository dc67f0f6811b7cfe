//! A connection in memory.

use super::line::{Line, Out, Report};
use super::plan::{End, Plans};
use crate::clock::Clock;
use crate::transport::Transport;
use hsms_core::time::Instant;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The longest wait that is asked of the system at once; it is repeated.
const LONGEST: Duration = Duration::from_secs(3_600);

/// A connection in memory, of which both ends suffer what `plans` say: the first is the one whose [`out`](Plans::out) it
/// is. Each end is a [`Transport`] and may be moved to a thread of its own; what is late is late by the real clock.
///
/// ```
/// use hsms_std::driver::Driver;
/// use hsms_std::faults::{Fault, Peer, Plans, pipe};
/// use hsms_std::{Config, DeviceId, Header, Options, SystemBytes};
/// use std::time::Duration;
///
/// let (mine, other) = pipe(&Plans::out(Fault::split(1)));
/// let mut tool: Driver<_> = Driver::new(Config::equipment(DeviceId::new(7).unwrap()), Options::new());
/// tool.enable();
/// tool.opened(other);
///
/// let mut peer = Peer::over(mine);
/// peer.send(Header::select_req(SystemBytes(1)))?;
/// while !tool.is_selected() {
///     let now = tool.tick();
///     tool.turn(now)?;
///     while tool.poll().is_some() {}
/// }
/// let now = tool.tick();
/// tool.turn(now)?;
/// assert_eq!(peer.receive(Duration::from_secs(10))?.header, Header::select_rsp(SystemBytes(1)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn pipe(plans: &Plans) -> (Pipe, Pipe) {
    let lines = [Line::new(&plans.out), Line::new(&plans.back)];
    let shared =
        Arc::new(Shared { both: Mutex::new(Both { lines, cut: None, closed: [false; 2] }), changed: Condvar::new() });
    let clock = Clock::new();
    let end = |side| Pipe { side, clock, shared: Arc::clone(&shared) };
    (end(Side::First), end(Side::Second))
}

/// One end of a connection in memory, made by [`pipe`]. It closes when it is dropped.
#[derive(Debug)]
pub struct Pipe {
    side: Side,
    clock: Clock,
    shared: Arc<Shared>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    First,
    Second,
}

#[derive(Debug)]
struct Shared {
    both: Mutex<Both>,
    changed: Condvar,
}

#[derive(Debug)]
struct Both {
    /// What the first end writes, and what the second does.
    lines: [Line; 2],
    /// The connection has been cut.
    cut: Option<End>,
    /// Which ends have closed.
    closed: [bool; 2],
}

impl Pipe {
    /// What has happened to what this end wrote.
    #[must_use]
    pub fn report_out(&self) -> Report {
        self.lock().line(self.side).report()
    }

    /// What has happened on the way to this end.
    #[must_use]
    pub fn report_back(&self) -> Report {
        self.lock().line(self.side.other()).report()
    }

    fn lock(&self) -> MutexGuard<'_, Both> {
        // What it holds is whole between any two lines of code.
        self.shared.both.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Repeats `attempt` until it gives something else than "not yet", for `limit` at most.
    fn within<R>(
        &self,
        limit: Duration,
        mut attempt: impl FnMut(&mut Both, Instant) -> Option<io::Result<R>>,
    ) -> io::Result<R> {
        let until = self.clock.now().saturating_add(limit);
        let mut both = self.lock();
        loop {
            let now = self.clock.now();
            if let Some(result) = attempt(&mut both, now) {
                self.shared.changed.notify_all();
                return result;
            }
            if now >= until {
                return Err(ErrorKind::WouldBlock.into());
            }
            let next = both.lines.iter().filter_map(Line::next_at).filter(|next| *next > now).min();
            let wait = self.clock.until(next.map_or(until, |next| next.min(until))).min(LONGEST);
            both = match self.shared.changed.wait_timeout(both, wait) {
                Ok((both, _)) => both,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }
}

impl Transport for Pipe {
    fn read(&mut self, octets: &mut [u8], limit: Duration) -> io::Result<usize> {
        let side = self.side;
        self.within(limit, |both, now| {
            if both.closed(side) {
                return Some(Ok(0));
            }
            let mut over = false;
            match both.line(side.other()).poll(now) {
                Out::Octets(piece) => {
                    let len = piece.len().min(octets.len());
                    for (place, octet) in octets.iter_mut().zip(piece) {
                        *place = *octet;
                    }
                    both.line(side.other()).taken(now, len);
                    return Some(Ok(len));
                }
                Out::End(End::Closed) => over = true,
                Out::End(end) => both.cut = both.cut.or(Some(end)),
                Out::Nothing => {}
            }
            // The other direction may have been cut.
            if let Out::End(end @ (End::Cut | End::Reset)) = both.line(side).poll(now) {
                both.cut = both.cut.or(Some(end));
            }
            match both.cut {
                Some(End::Reset) => Some(Err(ErrorKind::ConnectionReset.into())),
                cut => (over || cut.is_some()).then_some(Ok(0)),
            }
        })
    }

    fn write(&mut self, parts: &[IoSlice<'_>], limit: Duration) -> io::Result<usize> {
        let side = self.side;
        if parts.iter().all(|part| part.is_empty()) {
            return Ok(0);
        }
        self.within(limit, |both, now| {
            if both.cut.is_some() || both.closed(side) || both.closed(side.other()) {
                return Some(Err(ErrorKind::BrokenPipe.into()));
            }
            let taken = push_parts(both.line(side), now, parts);
            (taken > 0).then_some(Ok(taken))
        })
    }

    fn wait(&mut self, or_read: bool, limit: Duration) -> io::Result<()> {
        let side = self.side;
        let ready = self.within(limit, |both, now| {
            let over = both.cut.is_some() || both.closed(side) || both.closed(side.other());
            let readable = or_read && both.line(side.other()).poll(now) != Out::Nothing;
            (over || readable || both.line(side).room() > 0).then_some(Ok(()))
        });
        match ready {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            result => result,
        }
    }

    fn close(&mut self) {
        let (now, side) = (self.clock.now(), self.side);
        let mut both = self.lock();
        both.line(side).finish(now);
        // A peer that has vanished does not notice that we have gone.
        let dead = both.line(side).is_dead();
        if let Some(closed) = both.closed.get_mut(side as usize) {
            *closed = !dead;
        }
        self.shared.changed.notify_all();
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.close();
    }
}

impl Side {
    const fn other(self) -> Self {
        match self {
            Side::First => Side::Second,
            Side::Second => Side::First,
        }
    }
}

impl Both {
    /// What this side writes.
    const fn line(&mut self, side: Side) -> &mut Line {
        let [first, second] = &mut self.lines;
        match side {
            Side::First => first,
            Side::Second => second,
        }
    }

    const fn closed(&self, side: Side) -> bool {
        let [first, second] = self.closed;
        match side {
            Side::First => first,
            Side::Second => second,
        }
    }
}

/// Puts in what is written together, which may come out in one piece, and gives how much was taken.
pub(super) fn push_parts(line: &mut Line, now: Instant, parts: &[IoSlice<'_>]) -> usize {
    match parts {
        [part] => line.push(now, part),
        parts => {
            // Where there is no room for more it is not put together either.
            let octets: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).take(line.room()).collect();
            line.push(now, &octets)
        }
    }
}
