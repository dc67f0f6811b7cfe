//! The arguments of the example `simulate`, which a failure prints.

use super::Plan;
use lexopt::prelude::*;
use std::time::Duration;

/// What [`Arguments::parse`] knows.
pub const HELP: &str = "\
Simulates links of two machines each over a faulty network, and checks what came of it.

  --links N      links of a seed, 20 if not given
  --seed N       the first seed, 1 if not given
  --seeds N      so many seeds, 1 if not given
  --seconds N    virtual time of each link, 3600 if not given
  --pause-ms N   between two primaries of an end on average, 2500 if not given; 0: there are none
  --faults-s N   between two faults of a link on average, 150 if not given; 0: there are none
  --watched N    of so many links one has each step held to all invariants, 16 if not given; 0: none
  --link N       plays one link of the seed again, and prints what happened last
  --lines N      so many lines of that, 200 if not given
  --spoiled-s N  from then on every text leaves with a wrong octet, to see a failure; 0 if not given: none does";

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
