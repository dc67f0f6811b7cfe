//! Our blocking host asks equipment of three makes: ours, and the drivers of secsgem (Python) and secs4js (Node) that the tests talk to.
//!
//! Each replies to S1F1 with the text that came, `<B[64] …>`. To ours it is octets; the drivers put it through
//! their SECS-II both ways and print a line. A round of one follows on a round of the other, and ratios are taken between rounds of the same turn.
//!
//! `tests/peers/setup`, then `cargo bench -p hsms-std --bench peers`; `-- --quick` is shorter, `-- --once` measures nothing, and
//! `-- --page FILE` writes the page of the documentation.

#[path = "chart/bars.rs"]
mod bars;
#[path = "chart/place.rs"]
mod place;

use hsms_std::{Config, Connection, DeviceId, Incoming, StreamFunction};
use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const LIMIT: Duration = Duration::from_secs(20);
const ASKED: StreamFunction = StreamFunction::new(1, 1);
const WINDOWS: [usize; 2] = [1, 16];
const NAMES: [&str; 3] = ["ours", "secsgem", "secs4js"];
const HEAD: &str = "\
# Beside others

Made by `cargo bench -p hsms-std --bench peers -- --page hsms-std/docs/peers.md`, never edited by hand. Our blocking host asks three makes of \
equipment: ours, secsgem 0.3.0 (Python) and secs4js 0.4.7 (Node), each with S1F1 and 64 octets of text. To ours the text is octets; the \
programs around the others decode it, encode it and print a line, so a part of the distance is theirs and not the libraries'.

";
/// Ports are picked before they are used, so that another may have taken one meanwhile.
const TRIES: usize = 5;

fn main() -> ExitCode {
    let is_given = |option: &str| env::args().any(|argument| argument == option);
    let measured = is_given("--bench") && !is_given("--once");
    let quick = !measured || is_given("--quick");
    let page = env::args().skip_while(|argument| argument != "--page").nth(1);
    match page.map(place::place).transpose().map_err(Into::into).and_then(|page| run(measured, quick, page.as_deref()))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(measured: bool, quick: bool, page: Option<&Path>) -> Outcome<()> {
    let Some(folder) = installed() else {
        eprintln!("peers: NOT RUN: they are not installed (tests/peers/setup)");
        // A run that was asked for figures has none.
        return if measured { Err("no figures".into()) } else { Ok(()) };
    };
    let (rounds, span) = match (measured, quick) {
        (false, _) => (1, Duration::from_millis(5)),
        (true, true) => (3, Duration::from_millis(300)),
        (true, false) => (7, Duration::from_secs(1)),
    };
    let mut equipment =
        [Equipment::ours()?, Equipment::theirs(&folder, "secsgem")?, Equipment::theirs(&folder, "secs4js")?];
    let mut rates = vec![vec![Vec::new(); equipment.len()]; WINDOWS.len()];
    for round in 0..rounds {
        eprintln!("[{}/{rounds}]", round + 1);
        for (window, rates) in WINDOWS.iter().zip(&mut rates) {
            for (equipment, rates) in equipment.iter_mut().zip(rates) {
                rates.push(
                    rate(&mut equipment.host, *window, span).map_err(|error| format!("{}: {error}", equipment.name))?,
                );
            }
        }
    }
    for equipment in equipment {
        equipment.end()?;
    }
    if !measured {
        println!("all of them were asked; figures are taken by `cargo bench` only");
        return Ok(());
    }
    let mut table = format!("{:<10} {:>10} {:>12} {:>12}\n", "in flight", "equipment", "replies/s", "ours / it");
    for (window, rates) in WINDOWS.iter().zip(&rates) {
        let [ours, ..] = rates.as_slice() else { continue };
        for (name, theirs) in NAMES.iter().zip(rates) {
            let ratio = median(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs));
            writeln!(table, "{window:<10} {name:>10} {:>12.0} {ratio:>12.1}", median(theirs.iter().copied()))?;
        }
    }
    print!("{table}");
    if let Some(file) = page {
        fs::write(file, self::page(&rates, &table)?)?;
    }
    Ok(())
}

/// The page of the documentation.
fn page(rates: &[Vec<Vec<f64>>], table: &str) -> Outcome<String> {
    let groups = WINDOWS.map(|window| format!("{window} in flight"));
    let of = |place: usize| rates.iter().filter_map(|rates| Some(median(rates.get(place)?.iter().copied()))).collect();
    let series: Vec<(&str, Vec<f64>)> = NAMES.iter().enumerate().map(|(place, name)| (*name, of(place))).collect();
    let chart = bars::draw("replies a second to our blocking host", &groups.each_ref().map(String::as_str), &series)?;
    Ok(format!("{HEAD}{chart}\n\n```text\n{table}```\n"))
}

/// Where the drivers are, where they are.
fn installed() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let folder =
        env::var_os("HSMS_PEERS_DIR").map_or_else(|| workspace.join("target/peers"), PathBuf::from).join("bin");
    ["secsgem-peer", "secs4js-peer"].iter().all(|name| folder.join(name).is_file()).then_some(folder)
}

/// One that replies, and a host that is selected there.
struct Equipment {
    name: &'static str,
    host: Connection,
    /// What ends it.
    process: Option<(Child, ChildStdin)>,
    thread: Option<thread::JoinHandle<Outcome<()>>>,
}

impl Equipment {
    fn ours() -> Outcome<Self> {
        let equipment = Connection::passive((Ipv4Addr::LOCALHOST, 0), Config::equipment(device()?))?;
        let address = equipment.local_addr().ok_or("it does not listen")?;
        let thread = thread::spawn(move || reply(equipment));
        Ok(Equipment { name: "ours", host: selected(address)?, process: None, thread: Some(thread) })
    }

    fn theirs(folder: &Path, name: &'static str) -> Outcome<Self> {
        for _ in 0..TRIES {
            // Free a moment ago.
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            let mut process = Command::new(folder.join(format!("{name}-peer")))
                .args(["--connect", "passive", "--role", "equipment", "--session", "0", "--port", &port.to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()?;
            let (Some(orders), Some(answers)) = (process.stdin.take(), process.stdout.take()) else { continue };
            let mut answers = BufReader::new(answers);
            let mut line = String::new();
            while !line.starts_with("listening") {
                line.clear();
                if answers.read_line(&mut line)? == 0 {
                    break;
                }
            }
            if line.is_empty() {
                process.wait()?;
                continue;
            }
            // A pipe that is full would stop it.
            thread::spawn(move || io::copy(&mut answers, &mut io::sink()));
            let host = selected((Ipv4Addr::LOCALHOST, port).into())?;
            return Ok(Equipment { name, host, process: Some((process, orders)), thread: None });
        }
        Err(format!("{name} does not listen").into())
    }

    fn end(self) -> Outcome<()> {
        self.host.close()?;
        if let Some((mut process, orders)) = self.process {
            // It ends with its input.
            drop(orders);
            process.wait()?;
        }
        match self.thread.map(thread::JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err("our equipment has panicked".into()),
            None => Ok(()),
        }
    }
}

fn device() -> Outcome<DeviceId> {
    DeviceId::new(0).ok_or_else(|| "0 is no device id".into())
}

fn selected(address: SocketAddr) -> Outcome<Connection> {
    let mut host = Connection::active(address, Config::host(device()?))?;
    host.select(LIMIT)?;
    Ok(host)
}

fn reply(mut equipment: Connection) -> Outcome<()> {
    let mut text = Vec::new();
    loop {
        let token = match equipment.next(Duration::MAX)? {
            Some(Incoming::Primary { token: Some(token), .. }) => token,
            Some(Incoming::Closed { .. }) => return Ok(()),
            Some(Incoming::Connected | Incoming::Selected) => continue,
            other => return Err(format!("not a request: {other:?}").into()),
        };
        equipment.take_body(&mut text);
        equipment.reply(&token, &text)?;
    }
}

/// Replies in a second, with so many requests on the way.
fn rate(host: &mut Connection, window: usize, span: Duration) -> Outcome<f64> {
    let text: Vec<u8> = [0x21, 64].into_iter().chain(0..64).collect();
    let (begun, mut sent, mut come) = (Instant::now(), 0, 0);
    while begun.elapsed() < span || come < sent {
        while begun.elapsed() < span && sent - come < window {
            host.post(ASKED, &text)?;
            sent += 1;
        }
        match host.next(LIMIT)? {
            Some(Incoming::Reply { message }) if message.body == text => come += 1,
            Some(Incoming::Connected | Incoming::Selected) => {}
            other => return Err(format!("not the reply: {other:?}").into()),
        }
    }
    Ok(come as f64 / begun.elapsed().as_secs_f64())
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
