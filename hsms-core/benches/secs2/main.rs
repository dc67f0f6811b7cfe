//! SECS-II beside other codecs of the same kind: `cargo bench -p hsms-core --bench secs2`.
//!
//! Each contender reads every value of equivalent data into a checksum, through the same generic code, and all have to
//! come to the same sum; of a text the length and the last octet count. Texts are looked at for ASCII or UTF-8 by all
//! alike, but where a row says otherwise. MessagePack holds the same numbers in the same widths: none is small enough
//! for a shorter form. CBOR, in which minicbor takes the shortest form there is, has the same numbers in the same widths.
//! rmp has no tokenizer: its walk is its marker and a `match`, that of minicbor its type and a `match`, and neither looks at
//! depth. None of ours may allocate.
//!
//! A round of each contender follows on a round of the one before, on one core, so that what else the machine does
//! meets all alike; ratios are taken between rounds of the same turn. Printed are the best, the median, and the 10th
//! and 90th of 100. Times depend on the machine: beside a time stands whether it is reached, its ratio to rmp
//! included, and no more. Allocations always end in an error. Behind the times come the instructions per item, counted by callgrind, which
//! depend on neither load nor processor: a ratio to rmp over its limit is an error with `HSMS_BENCH=required`. Where valgrind is
//! missing the program says so; with `HSMS_BENCH=required` it fails.
//!
//! `-- --plant time` makes one of our contenders slow, `-- --plant allocation` lets it allocate: the run has to end
//! with an error, the former with `HSMS_BENCH=required`. Without being asked for, every run checks that such contenders
//! are found out. Without `--bench`, as `cargo test --benches` starts it, each contender runs once, and what it gives
//! and allocates is checked.
//!
//! Of the Rust crates for SECS-II none takes part. On crates.io there is one, `semi_e5` (0.2.0, its newest): it asks for
//! `#![feature(ascii_char)]` and does not build on a stable compiler. Asked for by name and not there: `secs2`, `secs_ii`, `secsii`,
//! `secs-rs`, `rust-secs`, `secs_rust`, `secs-gem`, `secsgem`, `secs4rs`, `hsms`; `secs` is something else, an entity component system.

mod arrays;
mod contenders;
mod count;
mod data;
mod documents;
mod measure;
mod readers;
mod walks;
mod writers;

use crate::contenders::groups;
use crate::data::Data;
use crate::readers::{allocating, slow};
use std::fmt;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let value = |flag: &str| {
        let at = arguments.iter().position(|argument| argument == flag)?;
        arguments.get(at + 1).cloned()
    };
    let mut data = Data::new();
    let groups = groups(match value("--plant").as_deref() {
        Some("time") => Some(slow),
        Some("allocation") => Some(allocating),
        _ => None,
    });
    if let Some(name) = value("--scenario") {
        let count = value("--count").and_then(|count| count.parse().ok()).unwrap_or(1);
        return ended(count::scenario(&groups, &mut data, &name, count));
    }
    let required = std::env::var("HSMS_BENCH").as_deref() == Ok("required");
    let checked = measure::check(&groups, &mut data);
    if has("--bench") {
        return ended(checked.and_then(|()| measure::bench(&groups, &mut data, required)));
    }
    if checked.is_ok() {
        let count: usize = groups.iter().map(|group| group.contenders.len()).sum();
        println!("{count} contenders ran once; cargo bench measures");
    }
    ended(checked)
}

fn ended(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

pub(crate) enum Failure {
    /// A contender came to another sum, or to none.
    Wrong(String),
    Allocates(String),
    /// A check of the measurement itself.
    Unsound(String),
    Over(Vec<String>),
    Valgrind(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Wrong(name) => write!(f, "{name} does not come to the expected result"),
            Failure::Allocates(name) => write!(f, "{name} allocates"),
            Failure::Unsound(why) => write!(f, "the measurement cannot be trusted: {why}"),
            Failure::Over(names) => write!(f, "over the limit: {}", names.join(", ")),
            Failure::Valgrind(told) => write!(f, "valgrind: {told}"),
        }
    }
}
