//! Which core a thread runs on.

use std::fmt;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::contender::{Outcome, Wrong};

/// Where the two ends of a connection run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pinning {
    /// The core of the passive end.
    pub(crate) passive: usize,
    /// The core of the active end.
    pub(crate) active: usize,
}

impl Pinning {
    /// Both ends on the last core this process may use: the first is where a machine likes to do
    /// other things.
    pub(crate) fn one_core() -> Outcome<Self> {
        let cores = allowed()?;
        let core = *cores.last().ok_or_else(|| Wrong("this process may run on no core".to_owned()))?;
        Ok(Self { passive: core, active: core })
    }

    /// Each end on a core of its own.
    pub(crate) fn two_cores() -> Outcome<Self> {
        match allowed()?.as_slice() {
            [.., active, passive] => Ok(Self { passive: *passive, active: *active }),
            _ => Err(Wrong("two cores are needed, and this process may use one only".to_owned()).into()),
        }
    }

    /// Whether the ends have a core each.
    pub(crate) const fn is_two_cores(&self) -> bool {
        self.passive != self.active
    }
}

impl fmt::Display for Pinning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_two_cores() {
            write!(f, "two cores (passive end on core {}, active end on core {})", self.passive, self.active)
        } else {
            write!(f, "one core (both ends on core {})", self.passive)
        }
    }
}

/// Keeps the calling thread on one core.
pub(crate) fn pin(core: usize) -> Outcome<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set)?;
    if sched_getaffinity(None)? != set {
        return Err(Wrong(format!("this thread is not kept on core {core}")).into());
    }
    Ok(())
}

fn allowed() -> Outcome<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}
