//! Talks to the firmware in an emulated board as hosts do, and says what came of it.
//!
//! ```text
//! hsms-firmware-acceptance --images FOLDER [--board NAME] [--rule ID] [--log] [PART...]
//! ```
//!
//! FOLDER holds the images by board: `mps2-an385/echo`, `mps2-an385/equipment` and so on. Without PART all parts are run, with
//! `--log` the boards' logs are printed, with `--rule` the part `rules` judges this one alone. Ends with 0 where all passed.

mod board;
mod echo;
mod figures;
mod hosts;
mod load;
#[path = "../../../../../tests/footprint/src/reach.rs"]
#[cfg_attr(not(test), expect(dead_code, reason = "only the footprint has figures that may be above"))]
mod reach;
mod relay;
mod rules;
#[path = "../../src/stored.rs"]
#[expect(dead_code, reason = "only a board loads settings")]
mod stored;

use board::{Board, MACHINES, Machine};
use hsms_std::core::config::ConfigError;
use hsms_std::core::secs2::Reader;
use hsms_std::{Answer, Config, Connection, DeviceId, StreamFunction};
use lexopt::ValueExt;
use std::error::Error;
use std::net::SocketAddr;
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
    /// The only rule that is judged.
    rule: Option<String>,
}

/// A part by its name: gives its figures.
type Part = (&'static str, fn(&Bench<'_>) -> Result<String, Failure>);

const PARTS: &[Part] = &[
    ("echo", echo::echo),
    ("example", hosts::example),
    ("secsgem", hosts::secsgem),
    ("requests", load::requests),
    ("recipe", load::recipe),
    ("silence", load::silence),
    ("cuts", load::cuts),
    ("rules", rules::rules_for_the_passive_end),
    ("figures", figures::figures),
];

/// A Linktest.req. It is answered whether SELECTED or not, so that the first octet of the answer tells that the board is up. A strict
/// board would close instead.
const PROBE: [u8; 14] = [0, 0, 0, 10, 0xFF, 0xFF, 0, 0, 0, 5, 0, 0, 0, 1];

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
    let mut rule = None;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            lexopt::Arg::Long("images") => images = Some(PathBuf::from(arguments.value()?)),
            lexopt::Arg::Long("board") => {
                let name = arguments.value()?;
                machines.retain(|machine| name == machine.name);
            }
            lexopt::Arg::Long("rule") => rule = Some(arguments.value()?.string()?),
            lexopt::Arg::Long("log") => log = true,
            lexopt::Arg::Value(part) if PARTS.iter().any(|(name, _)| part == *name) => wanted.push(part),
            other => return Err(other.unexpected().into()),
        }
    }
    let images = images.ok_or("--images is missing")?;
    let (mut passed, mut failed) = (0, 0);
    for machine in machines {
        println!("{}:", machine.name);
        let bench = Bench { machine, images: &images, log, rule: rule.clone() };
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
    fn print_log(&self, board: &Board) {
        if self.log {
            board.lines().iter().for_each(|line| println!("    | {line}"));
        }
    }
}

/// The device id of all of them.
fn device() -> Result<DeviceId, Failure> {
    Ok(DeviceId::try_from(0_u16)?)
}

/// A board with the equipment, and with these settings beyond those of its connection.
fn equipment(bench: &Bench<'_>, settings: &str) -> Result<Board, Failure> {
    equipment_with(bench, settings, Ok)
}

/// The same with other settings of its connection.
fn equipment_with(
    bench: &Bench<'_>,
    settings: &str,
    change: impl FnOnce(Config) -> Result<Config, ConfigError>,
) -> Result<Board, Failure> {
    let config = change(Config::equipment(device()?))?;
    Board::start(bench.machine, &bench.image("equipment"), &command_line(&config, settings)?, &PROBE)
}

/// What the firmware takes as its command line.
fn command_line(config: &Config, settings: &str) -> Result<String, Failure> {
    let mut octets = [0; stored::MOST];
    let len = stored::save(config, &mut octets)?;
    let digits: String = octets.iter().take(len).map(|octet| format!("{octet:02x}")).collect();
    Ok(format!("config={digits} {settings}"))
}

/// The settings of our hosts: they come back at once.
fn host_settings() -> Result<Config, Failure> {
    Ok(Config::host(device()?).with_t5(Duration::from_millis(20))?)
}

/// A host of ours that is selected and has established communication.
fn selected(address: SocketAddr) -> Result<Connection, Failure> {
    selected_with(address, host_settings()?)
}

/// The same with other settings.
fn selected_with(address: SocketAddr, settings: Config) -> Result<Connection, Failure> {
    let mut host = Connection::active(address, settings)?;
    host.select(PATIENCE)?;
    let reply = host.request(StreamFunction::new(1, 13), b"\x01\x00")?;
    match reply.body.starts_with(b"\x01\x02\x21\x01\x00") {
        true => Ok(host),
        false => Err(format!("S1F13 was answered with {:?}", reply.body).into()),
    }
}

/// The item that S1F3 gives for one status variable. What the board asks meanwhile is answered.
fn question(host: &mut Connection, variable: u8) -> Result<Vec<u8>, Failure> {
    let text = [0x01, 0x01, 0xA5, 0x01, variable];
    let reply = host.request_serving(StreamFunction::new(1, 3), &text, |_, _, reply| {
        reply.extend([0x21, 1, 0]);
        Answer::Reply
    })?;
    let mut reader = Reader::new(reply.body);
    reader.list_of(1)?;
    Ok(reader.rest().to_vec())
}
