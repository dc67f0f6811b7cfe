//! How much of the cores others had meanwhile. A busy core need not be woken, so foreign load does
//! not only slow everything down: it shifts the ratios on two cores.

use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::contender::{Outcome, Wrong};
use super::pin::Pinning;

/// The share above which the figures should be taken again.
const TOO_MUCH: f64 = 0.1;

/// What the scheduler has counted for a thread. Counts of the whole machine will not do: they are
/// sampled at ticks, and a thread that runs for microseconds at a time falls between them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    wall: Duration,
    ran: Duration,
    /// Ready to run, while another thread had the core.
    waited: Duration,
}

/// The beginning of a [`Usage`] of the calling thread.
pub(crate) struct Start {
    at: Instant,
    ran: Duration,
    waited: Duration,
}

impl Start {
    /// Reads the counts of the calling thread.
    ///
    /// # Errors
    ///
    /// Where the kernel does not keep them.
    pub(crate) fn now() -> Outcome<Self> {
        let ran = Duration::try_from(clock_gettime(ClockId::ThreadCPUTime))?;
        Ok(Self { at: Instant::now(), ran, waited: waited()? })
    }

    /// What the calling thread has used since.
    pub(crate) fn usage(&self) -> Outcome<Usage> {
        let end = Self::now()?;
        Ok(Usage {
            wall: end.at - self.at,
            ran: end.ran.saturating_sub(self.ran),
            waited: end.waited.saturating_sub(self.waited),
        })
    }
}

/// The time of all rounds with one pinning.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    cores: Duration,
    foreign: Duration,
}

impl Load {
    /// Adds a round by what its two ends used.
    pub(crate) fn add(&mut self, pinning: Pinning, passive: Usage, active: Usage) {
        if pinning.is_two_cores() {
            // Each end is alone on its core: whoever had it while the end was ready is a stranger.
            self.cores += passive.wall + active.wall;
            self.foreign += passive.waited + active.waited;
        } else {
            // The ends wait for each other, but one of them is always ready.
            let wall = passive.wall.max(active.wall);
            self.cores += wall;
            self.foreign += wall.saturating_sub(passive.ran + active.ran);
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = self.foreign.as_secs_f64() / self.cores.as_secs_f64();
        write!(f, "others had {:.1} % of the time", share * 100.0)?;
        if share > TOO_MUCH {
            f.write_str(": too much for the figures to be relied on")?;
        }
        Ok(())
    }
}

fn waited() -> Outcome<Duration> {
    let counts = fs::read_to_string("/proc/thread-self/schedstat")?;
    // Nanoseconds on the core, nanoseconds waiting for it, number of turns.
    match counts.split_ascii_whitespace().nth(1) {
        Some(nanoseconds) => Ok(Duration::from_nanos(nanoseconds.parse()?)),
        None => Err(Wrong(format!("schedstat is not as expected: {counts}")).into()),
    }
}
