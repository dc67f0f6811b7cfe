//! The run.

use crate::Failure;
use crate::contenders::{Contender, Group, Limit, RATIO, Run, TYPED, Unit, contender};
use crate::count::instructions;
use crate::data::Data;
use crate::documents::{Document, Numbers};
use crate::readers::{Rmp, allocating, read, slow};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 1_000;
/// A round takes about this long: shorter than what a scheduler gives.
const ROUND_NANOSECONDS: f64 = 20_000.0;

/// That every contender gives what it should and allocates nothing.
pub(crate) fn check(groups: &[Group], data: &mut Data) -> Result<(), Failure> {
    let counted = allocation_counter::measure(|| drop(black_box(vec![0_u8; black_box(1)])));
    if counted.count_total != 1 {
        return Err(Failure::Unsound(format!("one allocation counts as {}", counted.count_total)));
    }
    let (u4, f8, i2) = (data.out_u4, data.out_f8, data.out_i2);
    for group in groups {
        for contender in &group.contenders {
            let name = format!("{}: {}", group.name, contender.name);
            data.clear();
            let mut given = None;
            let counted = allocation_counter::measure(|| given = (contender.run)(data));
            if given != Some(group.expected) {
                return Err(Failure::Wrong(name));
            }
            if contender.name.starts_with("hsms") && counted.count_total != 0 {
                return Err(Failure::Allocates(name));
            }
            let right = match (group.name, contender.name) {
                ("array of 1024 F8 copied out", "hsms copy_to") => data.out_f8 == f8,
                ("array of 1024 I2 copied out", "hsms copy_to") => data.out_i2 == i2,
                (array, "hsms copy_to" | "rmp, one by one" | "minicbor, one by one") if array.starts_with("array") => {
                    data.out_u4 == u4
                }
                (_, "octets copied, not turned") => data.out.iter().any(|octet| *octet != 0),
                (_, "hsms Writer") => data.secs2.iter().any(|text| data.out.starts_with(text)),
                _ => true,
            };
            if !right {
                return Err(Failure::Wrong(name));
            }
        }
    }
    Ok(())
}

/// Nanoseconds per call, of each group, contender and round.
type Times = Vec<Vec<Vec<f64>>>;

pub(crate) fn bench(groups: &[Group], data: &mut Data, required: bool) -> Result<(), Failure> {
    pin();
    let plants = [Group {
        name: "planted",
        unit: Unit::Items(1),
        expected: 0,
        contenders: vec![
            contender("rmp", |d| read::<Numbers, Rmp<'_>>(&d.rmp[Numbers::AT]), None),
            contender("slow", slow, TYPED),
        ],
    }];
    let found = time(&plants, data, 50);
    if Figures::of(&found[0][1], &found[0][0]).ratio[1] <= RATIO {
        return Err(Failure::Unsound("a contender planted to be slow is within its limit".into()));
    }
    let counted = allocation_counter::measure(|| {
        black_box(allocating(data));
    });
    if counted.count_total == 0 {
        return Err(Failure::Unsound("a contender planted to allocate counts none".into()));
    }
    // In time the ratio depends on the processor as well; in instructions it does not.
    print(groups, &time(groups, data, ROUNDS));
    let over = instructions(groups, required)?;
    match (over.is_empty(), required) {
        (true, _) => Ok(()),
        (false, true) => Err(Failure::Over(over)),
        (false, false) => {
            println!("over the limit (HSMS_BENCH=required makes this an error): {}", over.join(", "));
            Ok(())
        }
    }
}

fn time(groups: &[Group], data: &mut Data, rounds: usize) -> Times {
    let mut round = |run: Run, calls: u32| {
        let start = Instant::now();
        for _ in 0..calls {
            black_box(run(data));
        }
        start.elapsed().as_nanos() as f64 / f64::from(calls)
    };
    let calls: Vec<Vec<u32>> = groups
        .iter()
        .map(|group| {
            let calls = |contender: &Contender| {
                let best = (0..20).map(|_| round(contender.run, 20)).fold(f64::INFINITY, f64::min);
                (ROUND_NANOSECONDS / best.max(1.0)).ceil() as u32
            };
            group.contenders.iter().map(calls).collect()
        })
        .collect();
    let mut times: Times =
        groups.iter().map(|group| vec![Vec::with_capacity(rounds); group.contenders.len()]).collect();
    for _ in 0..rounds {
        for ((group, calls), times) in groups.iter().zip(&calls).zip(&mut times) {
            for ((contender, calls), times) in group.contenders.iter().zip(calls).zip(times) {
                times.push(round(contender.run, *calls));
            }
        }
    }
    times
}

struct Figures {
    best: f64,
    /// The 10th, the 50th and the 90th of 100.
    time: [f64; 3],
    ratio: [f64; 3],
}

impl Figures {
    fn of(times: &[f64], reference: &[f64]) -> Self {
        let time = spread(times.to_vec());
        let ratio = spread(times.iter().zip(reference).map(|(time, reference)| time / reference).collect());
        Figures { best: times.iter().copied().fold(f64::INFINITY, f64::min), time, ratio }
    }
}

fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [10, 50, 90].map(|percent| values[(values.len() - 1) * percent / 100])
}

/// Prints the tables; gives what is over a limit of a ratio.
fn print(groups: &[Group], times: &Times) {
    for (group, times) in groups.iter().zip(times) {
        let unit = match group.unit {
            Unit::Items(count) => format!("ns per item, of {count}"),
            Unit::Octets(count) => format!("GB/s, of {count} octets"),
        };
        println!("\n{} ({unit})", group.name);
        println!(
            "  {:<28} {:>7} {:>7} {:>15}   {:>6} {:>13}",
            "", "best", "median", "10 to 90 %", "ratio", "10 to 90 %"
        );
        for (contender, of) in group.contenders.iter().zip(times) {
            let figures = Figures::of(of, &times[0]);
            let shown = |nanoseconds: f64| match group.unit {
                Unit::Items(count) => nanoseconds / f64::from(count),
                Unit::Octets(count) => count as f64 / nanoseconds,
            };
            let ([low, median, high], [least, ratio, most]) = (figures.time.map(shown), figures.ratio);
            let verdict = contender.limit.map(|limit| verdict(limit, median, ratio)).unwrap_or_default();
            println!(
                "  {:<28} {:>7.2} {median:>7.2} {low:>7.2} {high:>7.2}   {ratio:>6.2} {least:>6.2} {most:>6.2}  {verdict}",
                contender.name,
                shown(figures.best),
            );
        }
    }
}

fn verdict(limit: Limit, median: f64, found: f64) -> String {
    let time = |reach: f64, aim: f64| match median {
        _ if median <= aim => format!("{reach} ns reached, aim {aim} met"),
        _ if median <= reach => format!("{reach} ns reached, aim {aim} not met"),
        _ => format!("{reach} ns NOT reached"),
    };
    match limit {
        Limit::Time { reach, aim, ratio } => {
            format!("{}; {ratio} times {}", time(reach, aim), if found <= ratio { "ok" } else { "OVER" })
        }
        Limit::TimeAlone { reach, aim } => time(reach, aim),
        Limit::Throughput { reach } if median >= reach => format!("{reach} GB/s reached"),
        Limit::Throughput { reach } => format!("{reach} GB/s NOT reached"),
    }
}

/// Keeps this thread on the last core that it may use.
#[cfg(target_os = "linux")]
fn pin() {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let core = sched_getaffinity(None).ok().and_then(|set| (0..CpuSet::MAX_CPU).rfind(|core| set.is_set(*core)));
    let mut set = CpuSet::new();
    let pinned = core.and_then(|core| {
        set.set(core);
        sched_setaffinity(None, &set).ok()
    });
    println!("{}", if pinned.is_some() { "on one core" } else { "on any core: this thread could not be kept on one" });
}

#[cfg(not(target_os = "linux"))]
fn pin() {
    println!("on any core: threads are kept on one on Linux only");
}
