//! A whole HSMS-SS conversation between equipment and host, over TCP on this machine, compared with what it has to be.
//!
//! ```text
//! cargo run --release --example demo
//! cargo run --release --example demo -- --list
//! cargo run --release --example demo -- --break 13
//! cargo run --release --example demo -- --break 13:3
//! ```
//!
//! `--break` alters an octet of a message on its way, `--drop` loses a message, `--repeat` doubles it: the run has to notice.
//!
//! Ends with 0 when every message was as listed in `play/list.rs`, with 1 where something deviates, with 2 where the
//! arguments make no sense.

pub mod play;

use play::{Fault, Line, Plan, list};
use std::io::Write;
use std::process::ExitCode;

const USAGE: &str = "usage: demo [--break K[:OCTET] | --drop K | --repeat K | --list]
  --break K[:OCTET]  alter one octet of message K on the wire between the two ends; octets count from 0
  --drop K           lose message K on the wire
  --repeat K         let message K come twice
  --list             print the messages that are expected, and how many they are";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut stdout = std::io::stdout();
    // What cannot be printed, because nobody reads it, changes nothing about the run.
    match start(&arguments, &mut |line| drop(writeln!(stdout, "{line}"))) {
        Ok(text) => {
            drop(writeln!(std::io::stdout(), "{text}"));
            ExitCode::SUCCESS
        }
        Err((code, text)) => {
            drop(writeln!(std::io::stderr(), "{text}"));
            ExitCode::from(code)
        }
    }
}

/// Does what the arguments say, and gives what is to be printed in the end.
///
/// # Errors
/// The exit code and what is to be printed as an error.
pub fn start(arguments: &[&str], tell: &mut dyn FnMut(&Line)) -> Result<String, (u8, String)> {
    let plan = match arguments {
        [] => Some(Plan::PLAIN),
        ["--list"] => return Ok(list::print()),
        ["--break", which] => {
            let (which, octet) = which.split_once(':').map_or((*which, None), |(which, octet)| (which, Some(octet)));
            match octet.map(str::parse) {
                None => fault(which, |number| Fault::Alter { number, octet: None, unseen: false }),
                Some(Ok(octet)) => fault(which, |number| Fault::Alter { number, octet: Some(octet), unseen: false }),
                Some(Err(_)) => None,
            }
        }
        ["--drop", which] => fault(which, |number| Fault::Drop { number }),
        ["--repeat", which] => fault(which, |number| Fault::Repeat { number }),
        _ => None,
    };
    let usage = || (2, format!("{USAGE}\nmessages are numbered from 1 to {}", list::messages().count()));
    match play::run(plan.ok_or_else(usage)?, tell) {
        Ok(summary) => Ok(summary.to_string()),
        Err(deviation) => Err((1, format!("DEVIATION: {deviation}"))),
    }
}

/// The plan with this fault, where there is a message with that number.
fn fault(number: &str, fault: impl FnOnce(usize) -> Fault) -> Option<Plan> {
    let number = number.parse().ok()?;
    (1..=list::messages().count()).contains(&number).then(|| Plan::with_fault(fault(number)))
}
