//! What is run, in which order, and what is said about it.

use std::time::{Duration, Instant};
use std::{env, fs};

use super::baseline::{Batched, Plain};
use super::contender::{Case, Contender, Outcome, Pace, Wrong};
use super::load::Load;
use super::managed::Managed;
use super::options::{Effort, Options};
use super::ours::Ours;
use super::page;
use super::pin::Pinning;
use super::round;
use super::stats::{Comparison, Series, Spread, Table};

const PINGPONG: Case = Case { name: "64 B, 1 in flight", body: 64, window: 1 };
const WINDOW64: Case = Case { name: "64 B, 64 in flight", body: 64, window: 64 };
const WINDOW1000: Case = Case { name: "64 B, 1000 in flight", body: 64, window: 1_000 };
const BULK: Case = Case { name: "16 MiB, 1 in flight", body: 16 << 20, window: 1 };
const CASES: [Case; 7] = [
    PINGPONG,
    Case { name: "64 B, 16 in flight", body: 64, window: 16 },
    WINDOW64,
    WINDOW1000,
    Case { name: "1 KiB, 64 in flight", body: 1 << 10, window: 64 },
    Case { name: "64 KiB, 64 in flight", body: 64 << 10, window: 64 },
    BULK,
];

/// The places of the contenders in every round and in every comparison.
const PLAIN: usize = 0;
const CEILING: usize = 1;
const SLEEPING: usize = 2;
const OURS: usize = 3;
const OURS_SLEEPING: usize = 4;
const MANAGED: usize = 5;

/// What (b) has to reach over (a) in [`WINDOW64`]: otherwise it is not the ceiling it is taken for.
const CEILING_OVER_PLAIN: f64 = 8.0;

/// What (d) should reach over (c).
const LEAST_ALONE: f64 = 0.4;
const LEAST_MANY: f64 = 0.5;

/// Runs everything and prints the tables and the last line.
///
/// # Errors
///
/// The first round that fails, or a ceiling that is too low.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    let cases: Vec<Case> = CASES.into_iter().filter(|case| case.name.contains(&options.filter)).collect();
    if cases.is_empty() {
        return Err(Wrong(format!("no case has `{}` in its name", options.filter)).into());
    }
    let begun = Instant::now();
    let pinnings = pinnings(options.effort)?;
    let mut measured = Vec::new();
    for (place, pinning) in pinnings.iter().enumerate() {
        let contenders = contenders(options, *pinning);
        let mut comparisons = Vec::new();
        let mut load = Load::default();
        for (number, case) in cases.iter().enumerate() {
            let all = pinnings.len() * cases.len();
            eprintln!(
                "[{}/{all}] {:3} s  {}: {pinning}",
                place * cases.len() + number + 1,
                begun.elapsed().as_secs(),
                case.name
            );
            comparisons.push(compare(&contenders, *case, *pinning, options.effort, &mut load)?);
        }
        if options.effort == Effort::Smoke {
            continue;
        }
        println!("{pinning}, {} rounds of {} ms each", options.effort.rounds(), options.effort.pace().span.as_millis());
        println!("{load}");
        println!("{}", Table(&comparisons));
        check_ceiling(&comparisons)?;
        measured.push((*pinning, comparisons));
    }
    if options.effort == Effort::Smoke {
        println!("every contender carried every case; figures are taken by `cargo bench` only");
        return Ok(());
    }
    let two_cores = measured.iter().find(|(pinning, _)| pinning.is_two_cores());
    let two_cores = two_cores.map_or(&[][..], |(_, comparisons)| comparisons);
    let Some(line) = last_line(two_cores) else {
        if options.filter.is_empty() {
            return Err(Wrong("no ratio line: the adapter did not take part".to_owned()).into());
        }
        eprintln!("no ratio line: the filter left out a case that it needs");
        return Ok(());
    };
    let lines = format!("{}\n{}\n{line}", manager_line(two_cores), sleeping_line(two_cores));
    if let Some(file) = &options.page {
        fs::write(file, page::of(&measured, &lines)?)?;
    }
    println!("{lines}");
    check_manager(two_cores)
}

/// Says of the manager whether it is as fast as it should be. Fails where it is not and HSMS_BENCH is `required`.
fn check_manager(two_cores: &[Comparison]) -> Outcome<()> {
    let mut missed = 0;
    for (case, least) in [(PINGPONG, LEAST_ALONE), (WINDOW64, LEAST_MANY)] {
        let Some(is) = ratio(two_cores, case, MANAGED, OURS) else { continue };
        let reached = is.median >= least;
        missed += u32::from(!reached);
        let verdict = if reached { "reached" } else { "MISSED" };
        println!("manager over blocking connection, {}, {least}: {:.3}: {verdict}", case.name, is.median);
    }
    if missed > 0 && env::var("HSMS_BENCH").is_ok_and(|wanted| wanted == "required") {
        return Err(Wrong(format!("{missed} figures of the manager are missed")).into());
    }
    Ok(())
}

fn contenders(options: &Options, pinning: Pinning) -> Vec<&'static dyn Contender> {
    let ceiling = if pinning.is_two_cores() { &Batched::SPINNING } else { &Batched::SHARING };
    let ceiling: &'static dyn Contender = options.planted.map_or(ceiling, |planted| planted);
    vec![&Plain, ceiling, &Batched::SLEEPING, &Ours::DEFAULT, &Ours::SLEEPING, &Managed]
}

/// Both, two cores first. A smoke test makes do with one core where there is no other.
fn pinnings(effort: Effort) -> Outcome<Vec<Pinning>> {
    let one = Pinning::one_core()?;
    match Pinning::two_cores() {
        Ok(two) => Ok(vec![two, one]),
        Err(_) if effort == Effort::Smoke => Ok(vec![one]),
        Err(error) => Err(error),
    }
}

fn compare(
    contenders: &[&'static dyn Contender],
    case: Case,
    pinning: Pinning,
    effort: Effort,
    load: &mut Load,
) -> Outcome<Comparison> {
    let mut series = contenders.iter().map(|contender| Series::new(contender.name())).collect::<Outcome<Vec<_>>>()?;
    for round in 0..effort.rounds() {
        for (series, contender) in series.iter_mut().zip(contenders) {
            let sample = round::run(*contender, case, pinning, effort.pace(), round, load)
                .map_err(|error| Wrong(format!("{}, {}, {pinning}: {error}", contender.name(), case.name)))?;
            series.add(&sample)?;
        }
    }
    Ok(Comparison { case, series })
}

fn check_ceiling(comparisons: &[Comparison]) -> Outcome<()> {
    let Some(ratio) = ratio(comparisons, WINDOW64, CEILING, PLAIN) else {
        return Ok(());
    };
    if ratio.median < CEILING_OVER_PLAIN {
        let message = format!(
            "(b) is {:.2} times (a) with {}, and has to be {CEILING_OVER_PLAIN} times: it is no ceiling",
            ratio.median, WINDOW64.name
        );
        return Err(Wrong(message).into());
    }
    Ok(())
}

/// (c) over (a), and at last (c) over (b).
fn last_line(two_cores: &[Comparison]) -> Option<String> {
    let median = |case, to| ratio(two_cores, case, OURS, to).map(|spread| spread.median);
    Some(format!(
        "ratio pingpong={:.3} window64={:.2} window1000={:.2} bulk={:.3} vs_ceiling64={:.3}",
        median(PINGPONG, PLAIN)?,
        median(WINDOW64, PLAIN)?,
        median(WINDOW1000, PLAIN)?,
        median(BULK, PLAIN)?,
        median(WINDOW64, CEILING)?,
    ))
}

/// What the last line leaves out: (c'), which sleeps at once, over (a) and (b'), which do so as well.
fn sleeping_line(two_cores: &[Comparison]) -> String {
    let median = |case, to| ratio(two_cores, case, OURS_SLEEPING, to).map_or(f64::NAN, |spread| spread.median);
    format!(
        "sleeping pingpong={:.3} window64={:.2} window1000={:.2} bulk={:.3} vs_ceiling64={:.3}",
        median(PINGPONG, PLAIN),
        median(WINDOW64, PLAIN),
        median(WINDOW1000, PLAIN),
        median(BULK, PLAIN),
        median(WINDOW64, SLEEPING),
    )
}

/// (d) over (c): the manager over the blocking adapter, and over (c'), which like it does not ask again before it sleeps.
fn manager_line(two_cores: &[Comparison]) -> String {
    let median = |case, to| ratio(two_cores, case, MANAGED, to).map_or(f64::NAN, |spread| spread.median);
    format!(
        "manager/blocking pingpong={:.3} window64={:.2} window1000={:.2} bulk={:.3} pingpong/sleeping={:.3} window64/sleeping={:.2}",
        median(PINGPONG, OURS),
        median(WINDOW64, OURS),
        median(WINDOW1000, OURS),
        median(BULK, OURS),
        median(PINGPONG, OURS_SLEEPING),
        median(WINDOW64, OURS_SLEEPING),
    )
}

fn ratio(comparisons: &[Comparison], case: Case, of: usize, to: usize) -> Option<Spread> {
    comparisons.iter().find(|comparison| comparison.case == case)?.ratio(of, to)
}

impl Effort {
    /// Odd, so that the median is one of the figures.
    const fn rounds(self) -> u64 {
        match self {
            Self::Smoke => 1,
            Self::Quick => 5,
            Self::Full => 15,
        }
    }

    const fn pace(self) -> Pace {
        let (warm_up, span) = match self {
            Self::Smoke => (1, 5),
            Self::Quick => (20, 100),
            Self::Full => (50, 200),
        };
        Pace { warm_up: Duration::from_millis(warm_up), span: Duration::from_millis(span) }
    }
}
