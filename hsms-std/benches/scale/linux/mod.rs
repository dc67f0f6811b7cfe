//! All of it: memory and processor time are read as Linux tells them.

mod blocked;
mod chart;
mod common;
mod dead;
mod managed;
mod options;
mod page;
#[path = "../../chart/place.rs"]
mod place;
mod plain;
mod plan;
mod ready;
mod tools;
mod usage;

use options::Task;
use std::process::ExitCode;

/// Every octet that this process has of the heap is counted, for both contenders alike.
#[global_allocator]
static HEAP: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

pub(crate) fn main() -> ExitCode {
    let outcome = options::read().and_then(|task| match task {
        Task::Help => Ok(()),
        Task::Tools => tools::run(),
        Task::Measure(options) => plan::run(&options),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scale: {error}");
            ExitCode::FAILURE
        }
    }
}
