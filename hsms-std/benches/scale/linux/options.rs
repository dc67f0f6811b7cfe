//! The command line.

use super::common::Outcome;
use super::place::place;
use lexopt::ValueExt;
use lexopt::prelude::{Long, Short, Value};
use std::path::PathBuf;
use std::time::Duration;

const HELP: &str = "\
Usage: cargo bench -p hsms-std --bench scale [-- OPTIONS]

  --once             everything once with eight connections, and nothing is measured
  --quick            up to 1,000 connections, and shorter: under a minute in all
  --connections N    this number of connections only
  --rows FILE        the figures as comma-separated values
  --page FILE        and as the page of the documentation, with charts; both named from the root of the workspace
  --help             this text

Without --bench, which `cargo bench` adds, it is as with --once.";

/// What this process is to do.
pub(crate) enum Task {
    Help,
    /// It is the other end.
    Tools,
    Measure(Options),
}

/// What is measured.
pub(crate) struct Options {
    /// Numbers of connections, rising.
    pub(crate) connections: Vec<usize>,
    pub(crate) effort: Effort,
    pub(crate) rows: Option<PathBuf>,
    pub(crate) page: Option<PathBuf>,
}

/// How much is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Nothing: everything once, as part of `cargo test --all-targets`.
    Smoke,
    /// Under a minute.
    Quick,
    /// Some minutes.
    Full,
}

impl Effort {
    /// Odd, so that the median is one of the figures.
    pub(crate) const fn rounds(self) -> usize {
        match self {
            Effort::Smoke => 1,
            Effort::Quick => 3,
            Effort::Full => 7,
        }
    }

    pub(crate) const fn warm_up(self) -> Duration {
        Duration::from_millis(match self {
            Effort::Smoke => 1,
            Effort::Quick => 100,
            Effort::Full => 300,
        })
    }

    pub(crate) const fn span(self) -> Duration {
        Duration::from_millis(match self {
            Effort::Smoke => 5,
            Effort::Quick => 500,
            Effort::Full => 2_000,
        })
    }

    /// While nothing is asked: periods of the linktest.
    pub(crate) const fn idle(self) -> Duration {
        Duration::from_millis(match self {
            Effort::Smoke => 10,
            Effort::Quick => 10_000,
            Effort::Full => 30_000,
        })
    }
}

/// Reads the command line; help is printed.
pub(crate) fn read() -> Outcome<Task> {
    let (mut bench, mut quick, mut once, mut connections, mut rows, mut page) = (false, false, false, None, None, None);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("bench") => bench = true,
            Long("quick") => quick = true,
            Long("once") => once = true,
            Long("connections") => connections = Some(arguments.value()?.parse::<usize>()?.max(1)),
            Long("rows") => rows = Some(place(arguments.value()?)?),
            Long("page") => page = Some(place(arguments.value()?)?),
            Long("tools") => return Ok(Task::Tools),
            Long("help") | Short('h') => {
                println!("{HELP}");
                return Ok(Task::Help);
            }
            Value(name) => return Err(format!("there is no `{}` here", name.to_string_lossy()).into()),
            unknown => return Err(unknown.unexpected().into()),
        }
    }
    let effort = match (quick, bench && !once) {
        (true, _) => Effort::Quick,
        (false, true) => Effort::Full,
        (false, false) => Effort::Smoke,
    };
    let all: &[usize] = match effort {
        Effort::Smoke => &[8],
        Effort::Quick => &[1, 8, 100, 1_000],
        Effort::Full => &[1, 8, 100, 1_000, 10_000],
    };
    let connections = connections.map_or_else(|| all.to_vec(), |one| vec![one]);
    Ok(Task::Measure(Options { connections, effort, rows, page }))
}
