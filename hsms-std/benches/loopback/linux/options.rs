//! The command line.

use std::path::PathBuf;

use lexopt::ValueExt;
use lexopt::prelude::{Long, Short};

use super::contender::{Outcome, Wrong};
use super::place::place;
use super::planted::Planted;

const HELP: &str = "\
Usage: cargo bench -p hsms-std --bench loopback [-- OPTIONS]

  --quick          fewer and shorter rounds: under a minute in all
  --filter TEXT    only the cases with TEXT in their name
  --page FILE      what is measured as a page of the documentation as well, named from the root of the workspace
  --plant FAULT    a fault in (b), to see the run fail: slow, stall, mangle or miscount
  --help           this text

Without --bench, which `cargo bench` adds, and without --quick, every case is tried once and
nothing is measured.";

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Nothing: one very short round of everything, as part of `cargo test --all-targets`.
    Smoke,
    /// Under a minute.
    Quick,
    /// A few minutes.
    Full,
}

/// What was asked for.
pub(crate) struct Options {
    /// How much to measure.
    pub(crate) effort: Effort,
    /// What the names of the cases have to contain; nothing by default.
    pub(crate) filter: String,
    /// Where the page goes.
    pub(crate) page: Option<PathBuf>,
    /// The fault to plant.
    pub(crate) planted: Option<&'static Planted>,
}

impl Options {
    /// Reads the command line; `None` where only help was asked for, which has been printed.
    pub(crate) fn read() -> Outcome<Option<Self>> {
        let (mut bench, mut quick, mut filter, mut page, mut planted) = (false, false, String::new(), None, None);
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("bench") => bench = true,
                Long("quick") => quick = true,
                Long("filter") => filter = arguments.value()?.string()?,
                Long("page") => page = Some(place(arguments.value()?)?),
                Long("plant") => {
                    let name = arguments.value()?.string()?;
                    let fault = Planted::by_name(&name).ok_or_else(|| Wrong(format!("no fault is called `{name}`")))?;
                    planted = Some(fault);
                }
                Long("help") | Short('h') => {
                    println!("{HELP}");
                    return Ok(None);
                }
                unknown => return Err(unknown.unexpected().into()),
            }
        }
        let effort = match (quick, bench) {
            (true, _) => Effort::Quick,
            (false, true) => Effort::Full,
            (false, false) => Effort::Smoke,
        };
        Ok(Some(Self { effort, filter, page, planted }))
    }
}
