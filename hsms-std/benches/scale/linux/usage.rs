//! What this process takes of the machine.

use super::common::Outcome;
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::time::{Duration, Instant};

/// Lets this process have as many descriptors as it is allowed: gives their number.
pub(crate) fn raise_descriptors() -> Outcome<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    Ok(limit.current.unwrap_or(u64::MAX))
}

/// Octets that this process has.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// By its own allocator.
    pub(crate) heap: usize,
    /// In pages, as the system counts them.
    pub(crate) resident: usize,
}

impl Memory {
    pub(crate) fn now() -> Outcome<Self> {
        let status = fs::read_to_string("/proc/self/smaps_rollup")?;
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("Rss:"))
            .and_then(|value| value.trim().strip_suffix(" kB"))
            .ok_or("smaps_rollup tells no Rss")?;
        Ok(Memory { heap: super::HEAP.current_usage(), resident: resident.trim().parse::<usize>()? << 10 })
    }

    /// What each of so many has taken since.
    pub(crate) fn each(self, before: Self, many: usize) -> Self {
        let each = |now: usize, before: usize| now.saturating_sub(before) / many;
        Memory { heap: each(self.heap, before.heap), resident: each(self.resident, before.resident) }
    }
}

/// Time that this process has had of the processor.
pub(crate) struct Processor {
    begun: Instant,
    used: Duration,
}

impl Processor {
    pub(crate) fn now() -> Outcome<Self> {
        Ok(Processor { begun: Instant::now(), used: Duration::try_from(clock_gettime(ClockId::ProcessCPUTime))? })
    }

    /// The share of one core that it has used since.
    pub(crate) fn share(&self) -> Outcome<f64> {
        let now = Self::now()?;
        Ok((now.used - self.used).as_secs_f64() / (now.begun - self.begun).as_secs_f64())
    }
}
