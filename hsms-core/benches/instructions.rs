//! Instructions that the core executes for a message, counted by callgrind: `cargo bench -p hsms-core`.
//!
//! The program runs itself under `valgrind --tool=callgrind`, once for each scenario and count. Callgrind collects only
//! inside the functions whose names begin with `measured_`, which are never inlined: set-up and the loop around them do not
//! count, the call's own prologue and `ret` do. Each scenario runs twice, for different counts, and both have to give the same figure
//! per call. Counts do not depend on the machine's load, only on the compiler.
//!
//! `-- --plant` puts a thousand additions into one scenario: the run has to end with an error. Without being asked for, every
//! run checks that this planted scenario would be found to be over its limit, and that a loop of known length counts as such.
//!
//! Where valgrind is missing the program says so and ends well; with `HSMS_BENCH=required` it fails. Without `--bench`, as
//! `cargo test --benches` starts it, it runs each scenario once and counts nothing.

use hsms_core::Connection;
use hsms_core::config::{Config, DeviceId};
use hsms_core::connection::{Action, Event, Inbound, ReplyToken, State};
use hsms_core::time::Instant;
use hsms_core::wire::{BodyTooLong, HEADER_LEN, Header, Message, PREFIX_LEN, StreamFunction, SystemBytes};
use std::fmt;
use std::hint::black_box;
use std::process::{Command, ExitCode};

const DEVICE: DeviceId = DeviceId::new(1).unwrap();
const S1F1: StreamFunction = StreamFunction::new(1, 1);
const NOW: Instant = Instant::from_millis(1_000);

/// Calls per run. Both have to give the same figure per call.
const COUNTS: [u64; 2] = [200, 400];

/// Additions that the planted scenario has more, and that one call of `adds` makes.
const ADDITIONS: u64 = 1_000;

/// One row of the table: what it is, how it comes out of the scenarios, and its limits. Rows without limits inform.
struct Figure {
    name: &'static str,
    measure: fn(&Callgrind) -> Result<f64, Failure>,
    limits: Option<Limits>,
}

#[derive(Clone, Copy)]
struct Limits {
    reach: f64,
    aim: f64,
}

const fn limits(reach: f64, aim: f64) -> Option<Limits> {
    Some(Limits { reach, aim })
}

const FIGURES: [Figure; 15] = [
    Figure { name: "header decode", measure: |c| c.count("header_decode"), limits: limits(20.0, 7.0) },
    Figure { name: "header encode (prefix)", measure: |c| c.count("header_encode"), limits: limits(20.0, 9.0) },
    Figure { name: "64-octet data message received", measure: |c| c.count("receive"), limits: limits(350.0, 250.0) },
    Figure {
        name: "primary with W sent",
        measure: |c| c.count(if c.plant { "primary_planted" } else { "primary" }),
        limits: limits(150.0, 110.0),
    },
    Figure { name: "reply sent", measure: |c| c.count("reply"), limits: limits(80.0, 60.0) },
    Figure { name: "linktest answered, octets made", measure: |c| c.count("linktest"), limits: limits(350.0, 250.0) },
    Figure {
        name: "per open transaction, reply to the oldest",
        measure: |c| c.slope("reply_to_oldest_1", "reply_to_oldest_8", 7.0),
        limits: limits(10.0, 6.0),
    },
    Figure {
        name: "per open transaction, reply to the newest",
        measure: |c| c.slope("reply_to_newest_1", "reply_to_newest_8", 7.0),
        limits: limits(10.0, 6.0),
    },
    Figure { name: "64-octet reply received, one open", measure: |c| c.count("reply_to_oldest_1"), limits: None },
    Figure { name: "64-octet message received in two pieces", measure: |c| c.count("receive_halves"), limits: None },
    Figure { name: "header meaning (kind)", measure: |c| c.count("header_kind"), limits: None },
    Figure { name: "next_deadline, none open", measure: |c| c.count("deadline_0"), limits: None },
    Figure {
        name: "next_deadline, per open transaction",
        measure: |c| c.slope("deadline_0", "deadline_8", 8.0),
        limits: None,
    },
    Figure {
        name: "primary sent, per open transaction",
        measure: |c| c.slope("primary", "primary_7_open", 7.0),
        limits: None,
    },
    Figure { name: "linktest sent and answered", measure: |c| c.count("own_linktest"), limits: None },
];

type Scenario = fn(u64);

const SCENARIOS: [(&str, Scenario); 18] = [
    ("header_decode", header_decode),
    ("header_encode", header_encode),
    ("header_kind", header_kind),
    ("receive", receive),
    ("receive_halves", receive_halves),
    ("primary", |count| primary(count, 0, measured_primary)),
    ("primary_7_open", |count| primary(count, 7, measured_primary)),
    ("primary_planted", |count| primary(count, 0, measured_primary_and_additions)),
    ("reply", reply),
    ("linktest", linktest),
    ("own_linktest", own_linktest),
    ("reply_to_oldest_1", |count| reply_received(count, 1, Which::Oldest)),
    ("reply_to_oldest_8", |count| reply_received(count, 8, Which::Oldest)),
    ("reply_to_newest_1", |count| reply_received(count, 1, Which::Newest)),
    ("reply_to_newest_8", |count| reply_received(count, 8, Which::Newest)),
    ("deadline_0", |count| deadline(count, 0)),
    ("deadline_8", |count| deadline(count, 8)),
    ("adds", adds),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |flag: &str| {
        let at = arguments.iter().position(|argument| argument == flag)?;
        arguments.get(at + 1).cloned()
    };
    if let Some(name) = value("--scenario") {
        let count = value("--count").and_then(|count| count.parse().ok()).unwrap_or(1);
        return match run(&name, count) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => fail(&failure),
        };
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        for (_, scenario) in SCENARIOS {
            scenario(3);
        }
        println!("{} scenarios ran; cargo bench counts their instructions", SCENARIOS.len());
        return ExitCode::SUCCESS;
    }
    let plant = arguments.iter().any(|argument| argument == "--plant");
    match table(&Callgrind { plant }) {
        Ok(over) if over.is_empty() => ExitCode::SUCCESS,
        Ok(over) => fail(&Failure::Over(over)),
        Err(Failure::NoValgrind) if std::env::var("HSMS_BENCH").as_deref() != Ok("required") => {
            println!("skipped: valgrind is not installed (HSMS_BENCH=required makes this an error)");
            ExitCode::SUCCESS
        }
        Err(failure) => fail(&failure),
    }
}

fn fail(failure: &Failure) -> ExitCode {
    eprintln!("error: {failure}");
    ExitCode::FAILURE
}

/// Prints the table; gives the names of the rows that are over their limit.
fn table(callgrind: &Callgrind) -> Result<Vec<&'static str>, Failure> {
    callgrind.check()?;
    println!("{:<44} {:>9} {:>7} {:>7}", "instructions", "measured", "reach", "aim");
    let mut over = Vec::new();
    for figure in &FIGURES {
        let measured = (figure.measure)(callgrind)?;
        let Some(limits) = figure.limits else {
            println!("{:<44} {measured:>9.1} {:>7} {:>7}", figure.name, "-", "-");
            continue;
        };
        let verdict = judge(measured, limits);
        println!("{:<44} {measured:>9.1} {:>7} {:>7}  {verdict}", figure.name, limits.reach, limits.aim);
        if verdict == Verdict::Over {
            over.push(figure.name);
        }
    }
    Ok(over)
}

#[derive(PartialEq)]
enum Verdict {
    Aim,
    Reach,
    Over,
}

fn judge(measured: f64, limits: Limits) -> Verdict {
    if measured <= limits.aim {
        Verdict::Aim
    } else if measured <= limits.reach {
        Verdict::Reach
    } else {
        Verdict::Over
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Aim => "ok, aim met",
            Verdict::Reach => "ok",
            Verdict::Over => "OVER",
        })
    }
}

enum Failure {
    NoValgrind,
    NoScenario(String),
    /// Valgrind ran and did not say what was expected.
    Valgrind(String),
    /// A check of the measurement itself.
    Unsound(String),
    Over(Vec<&'static str>),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoValgrind => f.write_str("valgrind is not installed"),
            Failure::NoScenario(name) => write!(f, "there is no scenario {name}"),
            Failure::Valgrind(told) => write!(f, "valgrind: {told}"),
            Failure::Unsound(why) => write!(f, "the measurement cannot be trusted: {why}"),
            Failure::Over(names) => write!(f, "over the limit: {}", names.join(", ")),
        }
    }
}

struct Callgrind {
    plant: bool,
}

impl Callgrind {
    /// Instructions per call of the scenario's measured function.
    fn count(&self, scenario: &str) -> Result<f64, Failure> {
        let [few, many] = COUNTS;
        let once = self.collected(scenario, few)? as f64 / few as f64;
        let again = self.collected(scenario, many)? as f64 / many as f64;
        // The first calls resolve symbols and fill places that stay filled.
        if (once - again).abs() > once * 0.01 + 0.5 {
            return Err(Failure::Unsound(format!("{scenario}: {once} a call in {few} calls, {again} in {many}")));
        }
        Ok(again)
    }

    /// Instructions for each of the `steps` between two scenarios.
    fn slope(&self, from: &str, to: &str, steps: f64) -> Result<f64, Failure> {
        Ok((self.count(to)? - self.count(from)?) / steps)
    }

    /// That what is counted is what is executed, and that a scenario that became slow is found out.
    fn check(&self) -> Result<(), Failure> {
        let adds = self.count("adds")?;
        let additions = ADDITIONS as f64;
        if !(additions..additions * 10.0).contains(&adds) {
            return Err(Failure::Unsound(format!("{ADDITIONS} additions count as {adds} instructions")));
        }
        let planted = self.count("primary_planted")?;
        let Some(limits) = FIGURES.iter().find(|row| row.name == "primary with W sent").and_then(|row| row.limits)
        else {
            return Err(Failure::Unsound("the planted scenario has no row".into()));
        };
        if judge(planted, limits) != Verdict::Over {
            return Err(Failure::Unsound(format!("a planted slow scenario counts as {planted} and passes")));
        }
        Ok(())
    }

    fn collected(&self, scenario: &str, count: u64) -> Result<u64, Failure> {
        let program = std::env::current_exe().map_err(|error| Failure::Valgrind(error.to_string()))?;
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*measured_*"])
            .arg(program)
            .args(["--scenario", scenario, "--count", &count.to_string()])
            .output()
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Failure::NoValgrind,
                _ => Failure::Valgrind(error.to_string()),
            })?;
        let told = String::from_utf8_lossy(&output.stderr);
        let collected = told
            .lines()
            .find_map(|line| line.split_once("Collected :"))
            .and_then(|(_, number)| number.trim().parse().ok())
            .filter(|collected| *collected > 0);
        match collected {
            Some(collected) if output.status.success() => Ok(collected),
            _ => Err(Failure::Valgrind(format!("{scenario} {}: {told}", output.status))),
        }
    }
}

fn run(name: &str, count: u64) -> Result<(), Failure> {
    let Some((_, scenario)) = SCENARIOS.iter().find(|(known, _)| *known == name) else {
        return Err(Failure::NoScenario(name.into()));
    };
    scenario(count);
    Ok(())
}

// Scenarios: set-up, and the measured calls. What the calls gave is checked.

fn header_decode(count: u64) {
    let octets = [0, 1, 0x81, 1, 0, 0, 0, 0, 0, 8];
    for _ in 0..count {
        let header = measured_decode(black_box(&octets));
        assert_eq!(black_box(header).system, SystemBytes(8));
    }
}

fn header_encode(count: u64) {
    let header = Header::data(SystemBytes(8), S1F1, true, DEVICE.session());
    for _ in 0..count {
        let prefix = measured_encode(black_box(&header), black_box(64));
        assert_eq!(black_box(prefix), Ok([0, 0, 0, 74, 0, 1, 0x81, 1, 0, 0, 0, 0, 0, 8]));
    }
}

fn header_kind(count: u64) {
    let header = Header::data(SystemBytes(8), S1F1, true, DEVICE.session());
    for _ in 0..count {
        black_box(measured_kind(black_box(&header))).expect("data is known");
    }
}

fn receive(count: u64) {
    let mut connection = selected::<4>();
    let frame = data_frame(SystemBytes(8), S1F1, true);
    for _ in 0..count {
        let ended = measured_receive(black_box(&mut connection), black_box(NOW), black_box(&frame));
        assert_eq!(ended, Some(1));
    }
}

fn receive_halves(count: u64) {
    let mut connection = selected::<4>();
    let frame = data_frame(SystemBytes(8), S1F1, true);
    let (front, back) = frame.split_at(40);
    for _ in 0..count {
        let ended = measured_receive_halves(black_box(&mut connection), black_box(NOW), black_box([front, back]));
        assert_eq!(ended, Some(1));
    }
}

fn primary(count: u64, open: usize, measured: fn(&mut Connection<8>, Instant) -> Option<SystemBytes>) {
    let mut connection = selected::<8>();
    for _ in 0..open {
        open_transaction(&mut connection);
    }
    for _ in 0..count {
        let system = measured(black_box(&mut connection), black_box(NOW)).expect("there is room");
        assert_eq!(connection.open_transactions(), open + 1);
        connection.forget(system).expect("it is open");
    }
}

fn reply(count: u64) {
    let mut connection = selected::<4>();
    let frame = data_frame(SystemBytes(8), S1F1, true);
    let (_, inbound) = connection.receive(NOW, &frame).expect("selected");
    let token = inbound.as_ref().and_then(Inbound::reply_token).expect("a primary with W");
    let prefix = connection.clone().begin_reply(NOW, &token, 64);
    assert_eq!(prefix, Ok([0, 0, 0, 74, 0, 1, 1, 2, 0, 0, 0, 0, 0, 8]));
    for _ in 0..count {
        assert!(measured_reply(black_box(&mut connection), black_box(NOW), black_box(&token)));
    }
}

fn linktest(count: u64) {
    let mut connection = selected::<4>();
    let frame = Header::linktest_req(SystemBytes(2)).encode_alone();
    let expected = Header::linktest_rsp(SystemBytes(2)).encode_alone();
    for _ in 0..count {
        let mut answer = [0; PREFIX_LEN];
        let made = measured_linktest(black_box(&mut connection), black_box(NOW), black_box(&frame), &mut answer);
        assert!(made && answer == expected);
    }
}

fn own_linktest(count: u64) {
    let mut connection = selected::<4>();
    for _ in 0..count {
        let system = connection.next_system_bytes();
        let frame = Header::linktest_rsp(system).encode_alone();
        let answered = measured_own_linktest(black_box(&mut connection), black_box(NOW), black_box(&frame));
        assert!(answered && !connection.is_open(system));
    }
}

#[derive(Clone, Copy)]
enum Which {
    Oldest,
    Newest,
}

fn reply_received(count: u64, open: usize, which: Which) {
    let mut connection = selected::<8>();
    let mut waiting: Vec<SystemBytes> = (0..open).map(|_| open_transaction(&mut connection)).collect();
    for _ in 0..count {
        let system = match which {
            Which::Oldest => waiting.remove(0),
            Which::Newest => waiting.pop().expect("one is open at least"),
        };
        let frame = data_frame(system, StreamFunction::new(1, 2), false);
        let ended = measured_receive(black_box(&mut connection), black_box(NOW), black_box(&frame));
        assert!(ended == Some(1) && !connection.is_open(system));
        waiting.push(open_transaction(&mut connection));
    }
}

fn deadline(count: u64, open: usize) {
    let mut connection = selected::<8>();
    for _ in 0..open {
        open_transaction(&mut connection);
    }
    for _ in 0..count {
        // The linktest's, 30 s after the last octet received; T3 takes 45 s.
        assert_eq!(measured_deadline(black_box(&connection)), Some(Instant::from_millis(31_000)));
    }
}

fn adds(count: u64) {
    for _ in 0..count {
        assert_eq!(measured_additions(black_box(ADDITIONS)), ADDITIONS);
    }
}

// What is counted.

#[inline(never)]
fn measured_decode(octets: &[u8; HEADER_LEN]) -> Header {
    Header::decode(octets)
}

#[inline(never)]
fn measured_encode(header: &Header, body_len: u32) -> Result<[u8; PREFIX_LEN], BodyTooLong> {
    header.encode_prefix(body_len)
}

#[inline(never)]
fn measured_kind(header: &Header) -> Result<hsms_core::wire::Kind, hsms_core::wire::RejectReason> {
    header.kind()
}

/// Gives how many messages ended.
#[inline(never)]
fn measured_receive<const N: usize>(connection: &mut Connection<N>, now: Instant, input: &[u8]) -> Option<usize> {
    take(connection, now, input)
}

#[inline(never)]
fn measured_receive_halves<const N: usize>(
    connection: &mut Connection<N>,
    now: Instant,
    [front, back]: [&[u8]; 2],
) -> Option<usize> {
    Some(take(connection, now, front)? + take(connection, now, back)?)
}

#[inline(never)]
fn measured_primary(connection: &mut Connection<8>, now: Instant) -> Option<SystemBytes> {
    send_primary(connection, now)
}

#[inline(never)]
fn measured_primary_and_additions(connection: &mut Connection<8>, now: Instant) -> Option<SystemBytes> {
    additions(black_box(ADDITIONS));
    send_primary(connection, now)
}

#[inline(never)]
fn measured_reply(connection: &mut Connection<4>, now: Instant, token: &ReplyToken) -> bool {
    send_reply(connection, now, token)
}

/// Tells whether one answer was made.
#[inline(never)]
fn measured_linktest(
    connection: &mut Connection<4>,
    now: Instant,
    input: &[u8; PREFIX_LEN],
    output: &mut [u8; PREFIX_LEN],
) -> bool {
    let Ok((PREFIX_LEN, Some(inbound))) = connection.receive(now, input) else { return false };
    black_box(&inbound);
    let Some(Action::Send(frame)) = connection.poll_action() else { return false };
    let octets = frame.encode();
    let Ok(octets) = <&[u8; PREFIX_LEN]>::try_from(octets.as_ref()) else { return false };
    *output = *octets;
    connection.written(now, 14).is_ok() && connection.poll_action().is_none()
}

#[inline(never)]
fn measured_own_linktest(connection: &mut Connection<4>, now: Instant, answer: &[u8; PREFIX_LEN]) -> bool {
    if connection.linktest(now).is_err() {
        return false;
    }
    let Some(Action::Send(frame)) = connection.poll_action() else { return false };
    black_box(frame.encode());
    connection.written(now, 14).is_ok() && take(connection, now, answer) == Some(1)
}

#[inline(never)]
fn measured_deadline(connection: &Connection<8>) -> Option<Instant> {
    connection.next_deadline()
}

#[inline(never)]
fn measured_additions(count: u64) -> u64 {
    additions(count)
}

#[inline(always)]
fn additions(count: u64) -> u64 {
    let mut sum = 0;
    for _ in 0..count {
        sum = black_box(sum + 1);
    }
    sum
}

/// Hands `input` over until its end, draining the actions after each piece.
#[inline(always)]
fn take<const N: usize>(connection: &mut Connection<N>, now: Instant, mut input: &[u8]) -> Option<usize> {
    let mut ended = 0;
    while !input.is_empty() {
        // By reference: a copy of the result would be counted.
        let Ok((taken, inbound)) = &connection.receive(now, input) else { return None };
        if let Some(inbound) = inbound {
            ended += usize::from(black_box(inbound).last());
        }
        drain(connection);
        input = input.get(*taken..)?;
    }
    Some(ended)
}

#[inline(always)]
fn send_primary(connection: &mut Connection<8>, now: Instant) -> Option<SystemBytes> {
    let Ok((system, prefix)) = &connection.begin_primary(now, DEVICE, S1F1, true, 64) else { return None };
    black_box(prefix);
    finish(connection, now).then_some(*system)
}

#[inline(always)]
fn send_reply(connection: &mut Connection<4>, now: Instant, token: &ReplyToken) -> bool {
    let Ok(prefix) = &connection.begin_reply(now, token, 64) else { return false };
    black_box(prefix);
    finish(connection, now)
}

/// What follows the prefix: the text is appended and written.
#[inline(always)]
fn finish<const N: usize>(connection: &mut Connection<N>, now: Instant) -> bool {
    if connection.end_body(now).is_err() {
        return false;
    }
    drain(connection);
    if connection.written(now, 78).is_err() {
        return false;
    }
    drain(connection);
    true
}

#[inline(always)]
fn drain<const N: usize>(connection: &mut Connection<N>) {
    while let Some(action) = connection.poll_action() {
        black_box(&action);
    }
}

// Set-up.

/// Equipment that a host has selected, with nothing to poll and nothing outstanding.
fn selected<const N: usize>() -> Connection<N> {
    let mut connection = Connection::new(Config::equipment(DEVICE));
    connection.enable(NOW).expect("it may be enabled");
    while connection.poll_action().is_some() {}
    connection.handle(NOW, Event::TransportOpen).expect("it was asked for");
    let select = Header::select_req(SystemBytes(1)).encode_alone();
    connection.receive(NOW, &select).expect("connected");
    while connection.poll_action().is_some() {}
    connection.written(NOW, 14).expect("Select.rsp was made");
    assert_eq!(connection.state(), State::Selected);
    connection
}

/// A primary of ours that is on its way.
fn open_transaction<const N: usize>(connection: &mut Connection<N>) -> SystemBytes {
    let (system, _) = connection.begin_primary(NOW, DEVICE, S1F1, true, 64).expect("there is room");
    connection.end_body(NOW).expect("it was begun");
    connection.written(NOW, 78).expect("it was made");
    system
}

/// A data message with a text of 64 octets.
fn data_frame(system: SystemBytes, stream_function: StreamFunction, reply_expected: bool) -> [u8; PREFIX_LEN + 64] {
    let mut frame = [0; PREFIX_LEN + 64];
    let header = Header::data(system, stream_function, reply_expected, DEVICE.session());
    let len = Message::new(header, &[0x55; 64]).encode(&mut frame).expect("it fits");
    assert_eq!(len, frame.len());
    frame
}
