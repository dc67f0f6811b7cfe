//! A seeded virtual network and clock: links of two machines each, with applications at both ends, and everything that can
//! happen to a connection.
//!
//! Links do not touch each other, so each has a clock, a row of what is pending and random numbers of its own, all derived
//! from the seed and its number. One seed is one history, and any link of it can be played again alone. All links are alive
//! at once: they take turns, a slice of virtual time each.

mod application;
mod end;
mod faults;
mod figures;
mod link;
mod network;
mod stranger;
mod wire;

pub use application::{ENDS, Ended};
pub use faults::{FAULTS, Fault};
pub use figures::Figures;

use crate::machine::Machine;
use hsms_core::config::Config;
use hsms_core::connection::{Connection, General, SessionEntity};
use hsms_core::wire::SessionId;
use link::Link;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Links of which one speaks HSMS-GS; the others speak HSMS-SS.
const GENERAL_OF: u64 = 5;

/// Primaries that a machine can have open at once.
const TRANSACTIONS: usize = 4;

/// What is simulated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Which history.
    pub seed: u64,
    /// How many links.
    pub links: u64,
    /// Virtual time of each, before all faults end and it has to recover.
    pub span: Duration,
    /// Between two primaries of an end, on average; zero: it sends none.
    pub pause: Duration,
    /// Between two faults of a link, on average; zero: there are none.
    pub faults: Duration,
    /// Of so many links one has each of its steps held to the invariants of [`crate::invariants`]; zero: none has.
    pub watched: u64,
    /// From this moment on the last octet of every text leaves wrong, so that a link fails: to see what a failure looks like. Zero:
    /// texts are as they should be.
    pub spoiled: Duration,
}

impl Plan {
    /// What a run in CI does with one seed: 20 links for an hour, every step held to the invariants.
    #[must_use]
    pub const fn of_seed(seed: u64) -> Self {
        Plan {
            seed,
            links: 20,
            span: Duration::from_secs(3_600),
            pause: Duration::from_millis(2_500),
            faults: Duration::from_secs(150),
            watched: 1,
            spoiled: Duration::ZERO,
        }
    }
}

/// What did not hold, and where.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The run.
    pub plan: Plan,
    /// The link.
    pub link: u64,
    /// What was found.
    pub what: String,
    /// The last things that happened to the link.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        let plan = &self.plan;
        writeln!(f, "link {} of seed {}: {}", self.link, plan.seed, self.what)?;
        write!(
            f,
            "to see it again: cargo run {PROFILE} -p hsms-tests --example simulate -- --seed {} --link {} --seconds {} \
             --pause-ms {} --faults-s {} --watched {}",
            plan.seed,
            self.link,
            plan.span.as_secs(),
            plan.pause.as_millis(),
            plan.faults.as_secs(),
            u8::from(plan.watches(self.link)),
        )?;
        if plan.spoiled.is_zero() { Ok(()) } else { write!(f, " --spoiled-s {}", plan.spoiled.as_secs()) }
    }
}

impl std::error::Error for Failure {}

impl Plan {
    const fn watches(&self, link: u64) -> bool {
        self.watched != 0 && link.is_multiple_of(self.watched)
    }
}

/// What builds it as this was built: with overflow checks and debug assertions, or without. What they find is seen again no other way.
const PROFILE: &str = if cfg!(debug_assertions) { "--profile test" } else { "--release" };

/// Lines of a trace that are kept.
const TRACE: usize = 120;

/// How long the links take turns for, in virtual milliseconds.
const SLICE: u64 = 300_000;

/// A link of either standard.
enum Any {
    Single(Box<Link<Connection<TRANSACTIONS>>>),
    General(Box<Link<Connection<TRANSACTIONS, General<2>>>>),
}

impl Any {
    fn new(plan: &Plan, number: u64) -> Self {
        if number % GENERAL_OF == GENERAL_OF - 1 {
            Any::General(Box::new(Link::new(plan, number)))
        } else {
            Any::Single(Box::new(Link::new(plan, number)))
        }
    }

    fn advance(&mut self, until: u64) -> Result<(), String> {
        match self {
            Any::Single(link) => link.advance(until),
            Any::General(link) => link.advance(until),
        }
    }

    fn finish(&mut self, figures: &mut Figures) -> Result<(), String> {
        match self {
            Any::Single(link) => link.finish(figures),
            Any::General(link) => link.finish(figures),
        }
    }

    fn keep_trace(&mut self, lines: usize) {
        match self {
            Any::Single(link) => link.keep_trace(lines),
            Any::General(link) => link.keep_trace(lines),
        }
    }

    fn trace(&mut self) -> Vec<String> {
        match self {
            Any::Single(link) => link.trace(),
            Any::General(link) => link.trace(),
        }
    }
}

/// Runs all links of a plan. `progress` is told how much of the run is done, in virtual link-hours.
///
/// # Errors
/// What did not hold, with the trace of its link.
pub fn run(plan: &Plan, mut progress: impl FnMut(f64)) -> Result<Figures, Box<Failure>> {
    let mut links: Vec<Any> = (0..plan.links).map(|number| Any::new(plan, number)).collect();
    let span = millis(plan.span);
    let mut figures = Figures::default();
    let mut until = 0;
    while until < span {
        until = span.min(until + SLICE);
        for (number, link) in (0..).zip(&mut links) {
            caught(|| link.advance(until)).map_err(|what| explain(plan, number, what))?;
        }
        progress(plan.links as f64 * until as f64 / 3_600_000.0);
    }
    for (number, link) in (0..).zip(&mut links) {
        caught(|| link.finish(&mut figures)).map_err(|what| explain(plan, number, what))?;
    }
    Ok(figures)
}

/// Runs one link of a plan again, and keeps the last `lines` of what happens. Gives them, and how it ended.
///
/// # Errors
/// What did not hold, with the trace.
pub fn replay(plan: &Plan, number: u64, lines: usize) -> Result<(Figures, Vec<String>), Box<Failure>> {
    let mut link = Any::new(plan, number);
    link.keep_trace(lines);
    let mut figures = Figures::default();
    let result = caught(|| link.advance(millis(plan.span)).and_then(|()| link.finish(&mut figures)));
    let trace = link.trace();
    match result {
        Ok(()) => Ok((figures, trace)),
        Err(what) => Err(Box::new(Failure { plan: *plan, link: number, what, trace })),
    }
}

/// A link that panics fails as any other does, so that its number and its trace are known. Nothing of it is used behind that but the trace.
fn caught(play: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(play)).unwrap_or_else(|payload| {
        let said = payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref().copied());
        Err(format!("a panic: {}", said.unwrap_or("without a word")))
    })
}

/// A link failed: it is played again for its trace.
fn explain(plan: &Plan, number: u64, what: String) -> Box<Failure> {
    let failure = match replay(plan, number, TRACE) {
        Err(failure) if failure.what == what => return failure,
        Err(failure) => Failure { what: format!("{what}\nand played again: {}", failure.what), ..*failure },
        Ok((_, trace)) => {
            Failure { plan: *plan, link: number, what: format!("{what}\nand not when it was played again"), trace }
        }
    };
    Box::new(failure)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// How a link makes its machines.
trait Made: Machine {
    fn made(config: Config, end: usize) -> Self;
}

impl Made for Connection<TRANSACTIONS> {
    fn made(config: Config, _: usize) -> Self {
        Connection::new(config)
    }
}

impl Made for Connection<TRANSACTIONS, General<2>> {
    /// Each end wants one of the two sessions, and offers both.
    fn made(config: Config, end: usize) -> Self {
        let entity =
            |number: usize| SessionEntity { wanted: number == end, ..SessionEntity::offered(SESSIONS[number]) };
        Connection::general(config, General::new(&[entity(0), entity(1)]).expect("two ids"))
    }
}

/// The device, and the sessions of HSMS-GS.
const SESSIONS: [SessionId; 2] = [SessionId(1), SessionId(2)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_panics_fails_with_what_was_said() {
        assert_eq!(caught(|| Ok(())), Ok(()));
        assert_eq!(caught(|| Err("no".into())), Err("no".into()));
        assert_eq!(caught(|| panic!("at once")), Err("a panic: at once".into()));
        assert_eq!(caught(|| panic!("after {}", 3)), Err("a panic: after 3".into()));
        assert_eq!(caught(|| std::panic::panic_any(3)), Err("a panic: without a word".into()));
    }
}
