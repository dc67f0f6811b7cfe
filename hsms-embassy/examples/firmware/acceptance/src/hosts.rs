//! Hosts: the example program of hsms-std, and secsgem, which other people wrote.

use crate::relay::Relay;
use crate::{Bench, Failure, PATIENCE, equipment, equipment_with, host_settings};
use hsms_std::Connection;
use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

#[path = "../../../../../hsms-std/examples/host.rs"]
#[expect(dead_code, reason = "the program's main and its arguments")]
mod host;

/// How often the example asks.
const PERIOD: Duration = Duration::from_millis(50);

/// What the example says of a conversation in which all went well.
const WANTED: [&str; 5] = [
    "selected",
    "stream:01, function:14",
    "stream:01, function:02",
    "stream:01, function:04",
    "stream:06, function:11",
];

/// The example host asks what it asks everybody, and is told of events.
pub fn example(bench: &Bench<'_>) -> Result<String, Failure> {
    let mut board = equipment(bench, "report=200")?;
    let connection = Connection::active(board.address(), host_settings()?)?;
    let said = RefCell::new(Vec::<String>::new());
    let has_said = |text: &str| said.borrow().iter().any(|line| line.contains(text));
    let end = Instant::now() + PATIENCE;
    let go_on = || Instant::now() < end && !WANTED.iter().all(|text| has_said(text));
    host::run(connection, PERIOD, go_on, |line| said.borrow_mut().push(line))?;
    bench.print_log(&board);
    let said = said.into_inner();
    if bench.log {
        said.iter().for_each(|line| println!("    > {line}"));
    }
    for text in WANTED {
        if !said.iter().any(|line| line.contains(text)) {
            return Err(format!("the example host did not say {text:?}: {said:?}").into());
        }
    }
    board.check()?;
    Ok("S1F13, S1F1, S1F3 answered, S6F11 came".into())
}

/// What secsgem asks: stream, function, text, and with what the text of the reply begins.
const QUESTIONS: [(u8, u8, &str, &str); 6] = [
    // <L [2] <B 0> <L [2] <A "BOARD"> <A "1.0">>>
    (1, 13, "0100", "010221010001024105424f4152444103312e30"),
    (1, 1, "-", "0102"),
    // <L [1] <U2 1>>: uptime, <L [1] <U8 ...>>
    (1, 3, "0101a9020001", "0101a108"),
    // <L [2] <A "START"> <L [1] <L [2] <A "PERIOD"> <U2 50>>>>: done
    (2, 41, "010241055354415254010101024106504552494f44a9020032", "01022101000100"),
    // <L [2] <A "STOP"> <L [0]>>: done
    (2, 41, "0102410453544f500100", "01022101000100"),
    // <L [2] <A "JUMP"> <L [0]>>: no such command
    (2, 41, "010241044a554d500100", "01022101010100"),
];

/// secsgem selects, asks, is told of events, and ends the session.
pub fn secsgem(bench: &Bench<'_>) -> Result<String, Failure> {
    // Shorter than the time between events, whose acknowledgements would put every linktest off.
    let mut board =
        equipment_with(bench, "report=200", |config| config.with_linktest_period(Duration::from_millis(20)))?;
    let relay = Relay::to(board.address())?;
    let mut peer = Peer::start(relay.address().port())?;
    peer.hears("selected")?;
    for (index, (stream, function, text, wanted)) in QUESTIONS.iter().enumerate() {
        peer.say(&format!("request {index} {stream} {function} {text}"))?;
        let reply = peer.hears(&format!("reply {index} "))?;
        let wanted = format!("reply {index} {stream} {} {wanted}", function + 1);
        if !reply.starts_with(&wanted) {
            return Err(format!("secsgem got {reply:?}; expected: {wanted}").into());
        }
        // Communication is established.
        if index == 0 {
            let event = peer.hears("primary 6 11 ")?;
            // Everything that it decodes is encoded again, and compared.
            if !event.contains("0103b104") {
                return Err(format!("secsgem read the event as {event}").into());
            }
        }
    }
    peer.say("linktest")?;
    peer.hears("linktest ok")?;
    peer.say("quit")?;
    peer.hears("bye")?;
    if let Some(error) = peer.said.iter().find(|line| line.starts_with("error") || line.starts_with("stray")) {
        return Err(format!("secsgem says {error}").into());
    }
    board.check()?;
    bench.print_log(&board);
    let [of_secsgem, of_board] = relay.linktests();
    if of_secsgem == 0 || of_board == 0 {
        return Err(format!("secsgem sent {of_secsgem} linktests and the board {of_board}").into());
    }
    Ok(format!(
        "{} requests of secsgem answered, S6F11 read by it, linktests: {of_secsgem} of secsgem, {of_board} of the board",
        QUESTIONS.len()
    ))
}

/// secsgem, driven by the program in tests/peers.
struct Peer {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Peer {
    fn start(port: u16) -> Result<Self, Failure> {
        let folder = match std::env::var_os("HSMS_PEERS_DIR") {
            Some(folder) => PathBuf::from(folder),
            None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../../target/peers")),
        };
        let program = folder.join("bin/secsgem-peer");
        let mut child = Command::new(&program)
            .args([
                "--connect",
                "active",
                "--role",
                "host",
                "--port",
                &port.to_string(),
                "--system",
                "1000",
                "--t5",
                "1",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error} (tests/peers/setup installs it)", program.display()))?;
        let out = BufReader::new(child.stdout.take().ok_or("piped")?);
        let (told, lines) = channel();
        // It ends with the peer's output, and the peer when this is dropped.
        thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| told.send(line)));
        Ok(Peer { child, lines, said: Vec::new() })
    }

    fn say(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.child.stdin.as_mut().ok_or("piped")?, "{line}")?;
        Ok(())
    }

    /// The next line that begins so.
    fn hears(&mut self, beginning: &str) -> Result<String, Failure> {
        let end = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.said.push(line.clone());
            if line.starts_with(beginning) {
                return Ok(line);
            }
        }
        Err(format!("secsgem does not say {beginning:?}; it said {:?}", self.said).into())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
