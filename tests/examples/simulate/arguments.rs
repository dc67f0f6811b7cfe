//! The arguments of the example `simulate`, which a failure prints; the test `simulation` reads them too.

use hsms_tests::simulation::Plan;
use lexopt::prelude::*;
use std::time::Duration;

/// What to simulate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arguments {
    /// The first history.
    pub plan: Plan,
    /// How many histories.
    pub seeds: u64,
    /// The link to play again, alone.
    pub link: Option<u64>,
    /// Lines of its trace that are kept.
    pub lines: usize,
}

impl Arguments {
    /// Reads them; `None` where help is asked for.
    ///
    /// # Errors
    /// An argument that is not known, or whose value is none.
    pub fn parse(mut arguments: lexopt::Parser) -> Result<Option<Self>, lexopt::Error> {
        let plan = Plan { watched: 16, ..Plan::of_seed(1) };
        let mut read = Arguments { plan, seeds: 1, link: None, lines: 200 };
        let plan = &mut read.plan;
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("links") => plan.links = arguments.value()?.parse()?,
                Long("seed") => plan.seed = arguments.value()?.parse()?,
                Long("seeds") => read.seeds = arguments.value()?.parse()?,
                Long("seconds") => plan.span = Duration::from_secs(arguments.value()?.parse()?),
                Long("pause-ms") => plan.pause = Duration::from_millis(arguments.value()?.parse()?),
                Long("faults-s") => plan.faults = Duration::from_secs(arguments.value()?.parse()?),
                Long("watched") => plan.watched = arguments.value()?.parse()?,
                Long("spoiled-s") => plan.spoiled = Duration::from_secs(arguments.value()?.parse()?),
                Long("link") => read.link = Some(arguments.value()?.parse()?),
                Long("lines") => read.lines = arguments.value()?.parse()?,
                Long("help") => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        Ok(Some(read))
    }
}
