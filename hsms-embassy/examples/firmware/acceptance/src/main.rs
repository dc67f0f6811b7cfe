//! Talks to the firmware in an emulated board as hosts do, and says what came of it.
//!
//! ```text
//! hsms-firmware-acceptance --images FOLDER [--board NAME] [--log] [PART...]
//! ```
//!
//! FOLDER holds the images by board: `mps2-an385/echo`, `mps2-an385/equipment` and so on. Without PART all parts are run, with
//! `--log` the boards' logs are printed. Ends with 0 where all passed.

mod board;
mod echo;

use board::{MACHINES, Machine};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

type Failure = Box<dyn Error + Send + Sync>;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What every part is given.
struct Bench<'a> {
    machine: Machine,
    images: &'a Path,
    log: bool,
}

/// A part by its name: gives its figures.
type Part = (&'static str, fn(&Bench<'_>) -> Result<String, Failure>);

const PARTS: &[Part] = &[("echo", echo::echo)];

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, Failure> {
    let (mut images, mut wanted, mut machines, mut log) = (None, Vec::new(), MACHINES.to_vec(), false);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            lexopt::Arg::Long("images") => images = Some(PathBuf::from(arguments.value()?)),
            lexopt::Arg::Long("board") => {
                let name = arguments.value()?;
                machines.retain(|machine| name == machine.name);
            }
            lexopt::Arg::Long("log") => log = true,
            lexopt::Arg::Value(part) if PARTS.iter().any(|(name, _)| part == *name) => wanted.push(part),
            other => return Err(other.unexpected().into()),
        }
    }
    let images = images.ok_or("--images is missing")?;
    let (mut passed, mut failed) = (0, 0);
    for machine in machines {
        println!("{}:", machine.name);
        let bench = Bench { machine, images: &images, log };
        for (name, part) in
            PARTS.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|part| part == *name))
        {
            let started = Instant::now();
            let (result, figures) = match part(&bench) {
                Ok(figures) => (&mut passed, figures),
                Err(error) => (&mut failed, format!("FAILED: {error}")),
            };
            *result += 1;
            println!("  {name:10} {:5.1} s  {figures}", started.elapsed().as_secs_f64());
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0 && passed > 0)
}

impl Bench<'_> {
    /// An image by its name.
    fn image(&self, name: &str) -> PathBuf {
        self.images.join(self.machine.name).join(name)
    }

    /// Prints the log of a board where that was asked for.
    fn print_log(&self, board: &board::Board) {
        if self.log {
            board.lines().iter().for_each(|line| println!("    | {line}"));
        }
    }
}
