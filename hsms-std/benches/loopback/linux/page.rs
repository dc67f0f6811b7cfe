//! The page of the documentation.

use super::bars;
use super::contender::Outcome;
use super::pin::Pinning;
use super::stats::{Comparison, Table};
use std::fmt::Write;

const HEAD: &str = "\
# One connection

Made by `cargo bench -p hsms-std --bench loopback -- --page hsms-std/docs/loopback.md`, never edited by hand. Messages and replies of so many \
octets over loopback, with so many in flight, both ends in one process: a second's replies, the median of rounds beside each other and the \
ratios between them.

* (a): a plain echo that writes each message alone; (b): one that reads and writes as much as there is, and asks again before it sleeps; \
(b'): the same, which sleeps at once.
* (c): the blocking connection; (c'): the same with `with_spin(0)`, which sleeps at once.
* (d): the manager at both ends, asked by another thread than that of its event loop, with the echo in a delegate: four threads.

";

const COSTS: &str = "\
## What the manager costs

The blocking connection reads, thinks and writes in the thread that asks, and asks the system again before it sleeps. With the manager a \
request goes from the thread that asks to the loop, from the other loop to a worker and back, and the reply from the loop to whoever \
waits: four switches between threads for one message and its reply, beside the two that the sockets take. By `perf` they are half of what \
one message costs; on one core, where nobody waits for another core, a message in a window of 64 takes some 2.7 microseconds of both ends \
together against 0.6, a part of which is the memory that requests, texts and outcomes take on their way.

Tried: what is asked for together leaves with one write; threads are woken only where they sleep, and a worker once for all that has \
come; deadlines that move away stay where they are until they are due; no read in vain; the clock is asked only by those who are about to \
sleep; the room of what has been taken is used again. Each made it faster. To yield before sleeping made it slower; to have the loop ask \
again for up to 5 microseconds before it sleeps made no difference, and for 20 took a sixth from a window of 64, for 60 a third and from \
one at a time four tenths: on two cores it takes the one that the others wait for. To wake all who wait at the end of a turn of the loop \
changed nothing. None of these is there. Not tried: to have the asking thread write by itself. It would save two of the four switches \
where one request is open, cost a write for each message where many are, and take a lock around every connection.

";

/// All of what was measured, a chart and a table for each way to use the cores; `lines`: the ratios of the first.
pub(crate) fn of(pinned: &[(Pinning, Vec<Comparison>)], lines: &str) -> Outcome<String> {
    let mut page = HEAD.to_owned();
    for (pinning, comparisons) in pinned {
        let groups: Vec<&str> = comparisons.iter().map(|comparison| comparison.case.name).collect();
        let Some(first) = comparisons.first() else { continue };
        let rates = |place: usize| comparisons.iter().filter_map(|each| each.series.get(place)?.rate()).collect();
        let series: Vec<(&str, Vec<f64>)> =
            first.series.iter().enumerate().map(|(place, series)| (series.name(), rates(place))).collect();
        let chart = bars::draw(&format!("replies a second, {pinning}"), &groups, &series)?;
        write!(page, "## With {pinning}\n\n{chart}\n\n```text\n{}```\n\n", Table(comparisons))?;
    }
    write!(page, "{COSTS}```text\n{lines}\n```\n")?;
    Ok(page)
}
