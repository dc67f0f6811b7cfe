//! What is measured, in which order, and what is said about it.

use super::blocked::{self, Blocked};
use super::common::Outcome;
use super::dead::{self, Beside};
use super::managed::{LINKTEST, Managed, T5};
use super::options::{Effort, Options};
use super::page;
use super::plain::Plains;
use super::tools::Tools;
use super::usage::{Memory, Processor, raise_descriptors};
use hdrhistogram::Histogram;
use std::env;
use std::fs;
use std::time::{Duration, Instant};

/// What a figure has to reach; the number of connections that it is told of.
const MOST_OCTETS: usize = 1_024;
const LEAST_RATIO: f64 = 0.7;
const MOST_IDLE: f64 = 0.02;
const MANY: usize = 1_000;
const LONGEST_SELECT: Duration = Duration::from_secs(10);
const MOST: usize = 10_000;
const LONGEST_LINKTEST: u64 = 50_000;
const LEAST_BESIDE: f64 = 0.9;

/// Descriptors that a process has beside its connections, at most.
const OTHERS: u64 = 64;

/// What was measured with so many connections.
pub(crate) struct Row {
    pub(crate) connections: usize,
    pub(crate) select: Duration,
    /// Of each connection, beyond what is configured.
    heap: usize,
    resident: usize,
    /// A share of one core.
    idle: f64,
    /// Requests answered in a second.
    pub(crate) rate: f64,
    pub(crate) plain: f64,
    ratio: f64,
    /// Of a connection beside the busy ones, in microseconds.
    waits: Histogram<u64>,
    pub(crate) recover: Duration,
}

/// Measures everything and prints the table.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    let descriptors = raise_descriptors()?;
    let (begun, mut rows) = (Instant::now(), Vec::new());
    for (number, connections) in options.connections.iter().enumerate() {
        eprintln!(
            "[{}/{}] {:3} s  {connections} connections",
            number + 1,
            options.connections.len(),
            begun.elapsed().as_secs()
        );
        // As many plain ones beside them, or as there is room for.
        let room = descriptors.saturating_sub(u64::try_from(*connections)?.saturating_add(OTHERS));
        let plains = usize::try_from(room)?.min(*connections);
        if plains <= *connections / 2 {
            return Err(format!("this process may have {descriptors} descriptors, which are too few").into());
        }
        rows.push(measure(*connections, plains, options.effort)?);
    }
    let many = options.connections.iter().copied().filter(|many| *many <= MANY).max().unwrap_or(MANY);
    eprintln!("{:3} s  {many} connections beside dead ones, and with blocked handlers", begun.elapsed().as_secs());
    let beside = dead::measure(many, options.effort)?;
    let handlers = blocked::measure(many)?;
    if options.effort == Effort::Smoke {
        println!("everything was tried once; figures are taken by `cargo bench` only");
        return Ok(());
    }
    println!("{}", table(&rows));
    if let Some(file) = &options.rows {
        fs::write(file, values(&rows))?;
    }
    if let Some(file) = &options.page {
        fs::write(file, page::of(&rows, &handlers, &beside)?)?;
    }
    println!("{handlers}\n{beside}");
    check(&rows, &handlers, &beside)
}

fn measure(connections: usize, plains: usize, effort: Effort) -> Outcome<Row> {
    let mut tools = Tools::start()?;
    let mut managed = Managed::start()?;
    let nobody = Memory::now()?;
    managed.add(&tools.addresses, connections, None)?;
    let select = managed.select_all()?;
    managed.settle();
    let each = Memory::now()?.each(nobody, connections);
    let processor = Processor::now()?;
    managed.stay_idle(effort.idle())?;
    let idle = processor.share()?;
    let mut plains = Plains::connect(&tools.addresses, plains)?;
    let (mut rates, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds() {
        let plain = plains.rate(effort.warm_up(), effort.span())?;
        let ours = managed.rate(effort.warm_up(), effort.span())?;
        rates.push((ours, plain));
        ratios.push(ours / plain);
    }
    drop(plains);
    // With one connection alone there is nobody beside the one that is watched.
    let waits =
        if connections > 1 { managed.waits_while_busy(effort.warm_up(), effort.span())?.1 } else { Histogram::new(3)? };
    let recover = managed.recover(|| tools.cut())?;
    managed.stop()?;
    Ok(Row {
        connections,
        select,
        heap: each.heap.saturating_sub(Managed::configured()),
        resident: each.resident,
        idle,
        rate: median(rates.iter().map(|(ours, _)| *ours)),
        plain: median(rates.iter().map(|(_, plain)| *plain)),
        ratio: median(ratios.into_iter()),
        waits,
        recover,
    })
}

pub(crate) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What each figure is called, and how wide its column is.
pub(crate) const COLUMNS: [(&str, usize); 12] = [
    ("connections", 11),
    ("select ms", 9),
    ("octets", 6),
    ("resident", 8),
    ("idle %", 6),
    ("requests", 8),
    ("plain", 8),
    ("ratio", 6),
    ("p50 us", 7),
    ("p99 us", 7),
    ("most us", 7),
    ("recover ms", 10),
];

impl Row {
    /// The figures as they are printed, in the order of the columns.
    pub(crate) fn figures(&self) -> [String; COLUMNS.len()] {
        [
            self.connections.to_string(),
            format!("{:.1}", millis(self.select)),
            self.heap.to_string(),
            self.resident.to_string(),
            format!("{:.2}", self.idle * 100.0),
            format!("{:.0}", self.rate),
            format!("{:.0}", self.plain),
            format!("{:.3}", self.ratio),
            self.waits.value_at_quantile(0.5).to_string(),
            self.waits.value_at_quantile(0.99).to_string(),
            self.waits.max().to_string(),
            format!("{:.1}", millis(self.recover)),
        ]
    }
}

fn table(rows: &[Row]) -> String {
    let line = |figures: [&str; COLUMNS.len()]| {
        let cells = figures.iter().zip(COLUMNS).map(|(figure, (_, width))| format!("{figure:>width$}"));
        cells.collect::<Vec<_>>().join(" ") + "\n"
    };
    let mut text = format!(
        "one request of 64 octets in flight on each; linktest every {} s, T5 {} s; octets are those of an idle connection beyond the {} \
         that are configured\n",
        LINKTEST.as_secs(),
        T5.as_secs(),
        Managed::configured(),
    );
    text += &line(COLUMNS.map(|(name, _)| name));
    for row in rows {
        text += &line(row.figures().each_ref().map(String::as_str));
    }
    text
}

/// The same for programs.
fn values(rows: &[Row]) -> String {
    let names = COLUMNS.map(|(name, _)| name.replace(' ', "_").replace('%', "percent")).join(",");
    let lines = rows.iter().map(|row| row.figures().join(","));
    std::iter::once(names).chain(lines).map(|line| line + "\n").collect()
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Says of each figure whether it is what it should be. Fails where one is not and HSMS_BENCH is `required`.
fn check(rows: &[Row], handlers: &Blocked, beside: &Beside) -> Outcome<()> {
    let mut missed = 0;
    let mut say = |what: &str, is: String, reached: bool| {
        println!("{what}: {is}: {}", if reached { "reached" } else { "MISSED" });
        missed += usize::from(!reached);
    };
    if let Some(row) = rows.iter().find(|row| row.connections == MANY) {
        say("memory of an idle connection, 1,024 octets", row.heap.to_string(), row.heap <= MOST_OCTETS);
        say("rate over plain connections, 0.7", format!("{:.3}", row.ratio), row.ratio >= LEAST_RATIO);
        say("processor while idle, 2 %", format!("{:.2} %", row.idle * 100.0), row.idle <= MOST_IDLE);
    }
    if let Some(row) = rows.iter().find(|row| row.connections == MOST) {
        say("all selected, 10 s", format!("{:.1} s", row.select.as_secs_f64()), row.select <= LONGEST_SELECT);
    }
    if handlers.connections == MANY {
        let [_, most_of_them, _] = handlers.waits;
        say(
            "p99 of linktests beside blocked handlers, 50 ms",
            format!("{most_of_them} us"),
            most_of_them <= LONGEST_LINKTEST,
        );
    }
    if beside.connections == MANY {
        say(
            "rate beside dead peers over the rate without, 0.9",
            format!("{:.3}", beside.ratio),
            beside.ratio >= LEAST_BESIDE,
        );
    }
    if missed > 0 && env::var("HSMS_BENCH").is_ok_and(|wanted| wanted == "required") {
        return Err(format!("{missed} figures are missed").into());
    }
    Ok(())
}
