//! The page of the documentation.

use super::blocked::Blocked;
use super::chart;
use super::common::Outcome;
use super::dead::Beside;
use super::managed::{LINKTEST, Managed, T5};
use super::plan::{COLUMNS, Row};
use std::fmt::Write;

/// Figures as a table, and charts.
pub(crate) fn of(rows: &[Row], handlers: &Blocked, beside: &Beside) -> Outcome<String> {
    let mut page = format!(
        "# How the manager scales\n\n\
         Made by `cargo bench -p hsms-std --bench scale -- --page hsms-std/docs/scale.md`, never edited by hand. So many connections of one \
         manager, over loopback, to tools in a second process, on two virtual cores. Times depend on the machine; the ratio is taken between \
         rounds beside each other.\n\n\
         * select: from nothing until all are SELECTED.\n\
         * octets: of the heap, for an idle connection, beyond the {} that are configured; resident: pages, all told.\n\
         * idle: share of a core with a linktest every {} s on each.\n\
         * requests: answered in a second, with one of 64 octets in flight on each, asked by one thread; plain: the same octets to the same \
         tools over as many sockets on one event loop, without a protocol; ratio: the median of the rounds' ratios.\n\
         * p50, p99, most: what another connection waits for a reply meanwhile, in microseconds.\n\
         * recover: until all are SELECTED again after all were cut at once, T5 of {} s included.\n\n\
         With few connections the octets are those of the manager itself. Ours keeps three threads busy on two cores, the plain sockets two; with \
         10,000 connections the descriptors leave room for some plain sockets less.\n\n\
         By perf the manager's loop has a core to itself with 1,000 of them, two thirds of it in the kernel: the tools are quicker than the \
         loop, sleep, and are woken by each message. What is to be sent goes first in every turn, one write after the other, which took a third \
         from what another connection waits and nothing from the rest; spinning before sleeping took from the rate.\n\n",
        Managed::configured(),
        LINKTEST.as_secs(),
        T5.as_secs(),
    );
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    page += &line(&COLUMNS.map(|(name, _)| name.to_owned()));
    page += &line(&COLUMNS.map(|_| "---".to_owned()));
    for row in rows {
        page += &line(&row.figures());
    }
    write!(page, "\n{handlers}\n\n{beside}\n\n{}", chart::draw(rows)?)?;
    Ok(page)
}
