//! Medians, spreads and the table.

use std::fmt;

use hdrhistogram::Histogram;

use super::contender::{Case, Outcome, Sample};

/// The middle of some figures and how far they lie apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    /// The median; of an even number of figures, the mean of the middle two.
    pub(crate) median: f64,
    low: f64,
    high: f64,
}

impl Spread {
    /// `None` where there are no figures.
    pub(crate) fn of(figures: impl Iterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = figures.collect();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (*sorted.first()?, *sorted.last()?);
        let upper = *sorted.get(sorted.len() / 2)?;
        let lower = *sorted.get((sorted.len() - 1) / 2)?;
        Some(Self { median: f64::midpoint(lower, upper), low, high })
    }
}

/// All rounds of one contender in one case.
pub(crate) struct Series {
    name: &'static str,
    rates: Vec<f64>,
    latency: Histogram<u64>,
}

impl Series {
    pub(crate) fn new(name: &'static str) -> Outcome<Self> {
        Ok(Self { name, rates: Vec::new(), latency: Histogram::new(3)? })
    }

    pub(crate) fn add(&mut self, sample: &Sample) -> Outcome<()> {
        self.rates.push(sample.rate());
        self.latency.add(&sample.latency)?;
        Ok(())
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// Messages in a second, of all rounds.
    pub(crate) fn rate(&self) -> Option<f64> {
        Spread::of(self.rates.iter().copied()).map(|rate| rate.median)
    }

    /// The ratios of the rounds that ran beside each other.
    fn over(&self, other: &Self) -> Option<Spread> {
        Spread::of(self.rates.iter().zip(&other.rates).map(|(mine, theirs)| mine / theirs))
    }
}

/// The series of all contenders in one case, in the order in which they ran.
pub(crate) struct Comparison {
    pub(crate) case: Case,
    pub(crate) series: Vec<Series>,
}

impl Comparison {
    /// Contender number `of` over contender number `to`, by the rates of the rounds that ran beside
    /// each other.
    pub(crate) fn ratio(&self, of: usize, to: usize) -> Option<Spread> {
        self.series.get(of)?.over(self.series.get(to)?)
    }
}

/// Every case of one pinning, as a table.
pub(crate) struct Table<'a>(pub(crate) &'a [Comparison]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<21} {:<14} {:>9} {:>19} {:>6} {:>8} {:>8}  {:<20}  {:<19}  / (b')",
            "case", "contender", "msg/s", "min..max", "MiB/s", "p50 us", "p99 us", "/ (a) min..max", "/ (b)"
        )?;
        for comparison in self.0 {
            for (place, series) in comparison.series.iter().enumerate() {
                row(f, comparison, place, series)?;
            }
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, comparison: &Comparison, place: usize, series: &Series) -> fmt::Result {
    let Some(rate) = Spread::of(series.rates.iter().copied()) else {
        return writeln!(f, "{:<21} {:<14} no rounds", comparison.case.name, series.name);
    };
    // One direction; the other carries as much.
    let throughput = rate.median * comparison.case.frame() as f64 / f64::from(1 << 20);
    let ratio = |to| match comparison.ratio(place, to) {
        Some(ratio) if to < place => {
            format!("{:.3} {:.3}..{:.3}", ratio.median, ratio.low, ratio.high)
        }
        _ => "-".to_owned(),
    };
    let line = format!(
        "{:<21} {:<14} {:>9.0} {:>19} {:>6.0} {:>8.1} {:>8.1}  {:<20}  {:<19}  {}",
        if place == 0 { comparison.case.name } else { "" },
        series.name,
        rate.median,
        format!("{:.0}..{:.0}", rate.low, rate.high),
        throughput,
        micros(&series.latency, 0.5),
        micros(&series.latency, 0.99),
        ratio(0),
        ratio(1),
        ratio(2),
    );
    writeln!(f, "{}", line.trim_end())
}

fn micros(latency: &Histogram<u64>, quantile: f64) -> f64 {
    latency.value_at_quantile(quantile) as f64 / 1_000.0
}
