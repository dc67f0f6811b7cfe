//! All of it: threads are pinned to cores.

#[path = "../../chart/bars.rs"]
mod bars;
mod baseline;
mod contender;
mod load;
mod managed;
mod options;
mod ours;
mod page;
mod pin;
#[path = "../../chart/place.rs"]
mod place;
mod plan;
mod planted;
mod round;
mod stats;

use std::process::ExitCode;

pub(crate) fn main() -> ExitCode {
    let outcome = options::Options::read().and_then(|options| options.as_ref().map_or(Ok(()), plan::run));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loopback: {error}");
            ExitCode::FAILURE
        }
    }
}
