//! A board in QEMU, with its log.

use crate::{Failure, PATIENCE};
use defmt_decoder::{DecodeError, Table};
use rustix::process::{Pid, Signal, kill_process};
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The boards that there are firmware images for.
pub const MACHINES: [Machine; 2] =
    [Machine { name: "mps2-an385", controller: "lan9118" }, Machine { name: "lm3s6965evb", controller: "stellaris" }];

/// A board as QEMU knows it.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// QEMU's name for it, and the firmware's feature.
    pub name: &'static str,
    controller: &'static str,
}

/// After so many seconds a board is ended whatever happens, this program's own end included.
const LONGEST: &str = "600";

/// A board that runs. It is ended when it is dropped.
#[derive(Debug)]
pub struct Board {
    qemu: Child,
    port: u16,
    log: Arc<Log>,
    readers: Vec<JoinHandle<()>>,
}

impl Board {
    /// Starts a board with an image, and with settings as the firmware takes them on its command line. It is ready when it answers
    /// something to `probe`: QEMU accepts connections before its guest runs. Without a probe it is ready when it says that it is up.
    pub fn start(machine: Machine, image: &Path, settings: &str, probe: &[u8]) -> Result<Board, Failure> {
        Board::start_at(free_port()?, machine, image, settings, probe)
    }

    /// The same, reached through this port, or through another one where somebody has it.
    pub fn start_at(
        mut port: u16,
        machine: Machine,
        image: &Path,
        settings: &str,
        probe: &[u8],
    ) -> Result<Board, Failure> {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut board = Board::power(machine, image, settings, port)?;
            let is_up = board.is_up(probe, end);
            if is_up.is_err() {
                // So that all it says has been read.
                board.stop();
            }
            match is_up {
                Ok(()) => return Ok(board),
                Err(_) if board.has_no_port() && Instant::now() < end => port = free_port()?,
                Err(why) => {
                    let said = board.lines();
                    return Err(format!("{why}; it said: {said:?}").into());
                }
            }
        }
    }

    fn power(machine: Machine, image: &Path, settings: &str, port: u16) -> Result<Board, Failure> {
        let network = format!("user,model={},restrict=on,hostfwd=tcp:127.0.0.1:{port}-:5000", machine.controller);
        let mut board = Board::power_with(machine, image, &["-append", settings, "-nic", &network])?;
        board.port = port;
        Ok(board)
    }

    fn power_with(machine: Machine, image: &Path, options: &[&str]) -> Result<Board, Failure> {
        let octets = std::fs::read(image).map_err(|error| format!("{}: {error}", image.display()))?;
        let table = Table::parse(&octets).map_err(|error| error.to_string())?.ok_or("the image has no log")?;
        let mut qemu = Command::new("timeout")
            .args(["--kill-after=5", LONGEST, "qemu-system-arm", "-M", machine.name, "-nographic", "-monitor", "none"])
            .args(["-serial", "null", "-semihosting-config", "enable=on,target=native"])
            .args(options)
            .arg("-kernel")
            .arg(image)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("timeout and qemu-system-arm cannot be started: {error}"))?;
        let log = Arc::new(Log::default());
        let (out, mut err) = (qemu.stdout.take().ok_or("piped")?, qemu.stderr.take().ok_or("piped")?);
        let (lines, complaints) = (log.clone(), log.clone());
        let readers = vec![
            thread::spawn(move || {
                read_log(out, &table, &lines);
                lines.end();
            }),
            thread::spawn(move || {
                let mut said = String::new();
                let _ = err.read_to_string(&mut said);
                complaints.push(said.lines().map(Line::of_qemu));
            }),
        ];
        Ok(Board { qemu, port: 0, log, readers })
    }

    fn is_up(&mut self, probe: &[u8], end: Instant) -> Result<(), Failure> {
        // A connection made before would be tried again after a second only.
        if !self.log.waits_for(Line::says_up, end) {
            return Err("the board does not come up".into());
        }
        while !probe.is_empty() {
            let mut octet = [0];
            let answered = TcpStream::connect(self.address()).and_then(|mut stream| {
                stream.set_read_timeout(Some(Duration::from_secs(1)))?;
                stream.write_all(probe)?;
                stream.read_exact(&mut octet)
            });
            match answered {
                Ok(()) => break,
                Err(error) if Instant::now() > end => return Err(format!("the board answers nothing: {error}").into()),
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Where its port 5000 is to be had.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// All that it has logged, and what QEMU says.
    pub fn lines(&self) -> Vec<String> {
        self.log.with(|log| log.lines.iter().map(Line::to_string).collect())
    }

    /// Somebody else has its port.
    fn has_no_port(&self) -> bool {
        self.log.with(|log| log.lines.iter().any(|line| line.level == Level::Qemu && line.text.contains(NO_PORT)))
    }

    /// Fails unless it runs, and has logged no error.
    pub fn check(&mut self) -> Result<(), Failure> {
        if let Some(status) = self.qemu.try_wait()? {
            return Err(format!("the board has stopped: {status}").into());
        }
        match self.log.with(|log| log.lines.iter().find(|line| line.is_wrong()).map(Line::to_string)) {
            Some(line) => Err(format!("the board says {line}").into()),
            None => Ok(()),
        }
    }

    /// Ends it, and reads all that it has said.
    fn stop(&mut self) {
        // `timeout` hands it on to QEMU, which a signal that cannot be caught would leave behind.
        let _ = kill_process(Pid::from_child(&self.qemu), Signal::TERM);
        let _ = self.qemu.wait();
        self.readers.drain(..).for_each(|reader| drop(reader.join()));
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Reads defmt frames to the end.
fn read_log(mut out: ChildStdout, table: &Table, log: &Log) {
    let mut decoder = table.new_stream_decoder();
    let mut octets = [0; 4096];
    loop {
        match out.read(&mut octets) {
            Ok(len @ 1..) => decoder.received(&octets[..len]),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => return,
        }
        loop {
            match decoder.decode() {
                Ok(frame) => log.push([Line {
                    time: frame.display_timestamp().map(|time| time.to_string()).unwrap_or_default(),
                    level: frame.level().map_or(Level::Said, |level| Level::of(level.as_str())),
                    text: frame.display_message().to_string(),
                }]),
                Err(DecodeError::UnexpectedEof) => break,
                Err(DecodeError::Malformed) if table.encoding().can_recover() => {
                    log.push([Line::wrong("a line of the log is damaged")]);
                }
                Err(DecodeError::Malformed) => return log.push([Line::wrong("the log is damaged")]),
            }
        }
    }
}

fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// What QEMU says where it cannot have the port.
const NO_PORT: &str = "Could not set up host forwarding rule";

/// A line of a board's log, or of QEMU.
#[derive(Debug, Clone)]
struct Line {
    time: String,
    level: Level,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Error,
    Info,
    /// Any other of the board's.
    Said,
    Qemu,
}

impl Level {
    /// As defmt names it.
    fn of(name: &str) -> Self {
        match name {
            "error" => Level::Error,
            "info" => Level::Info,
            _ => Level::Said,
        }
    }
}

impl Line {
    fn wrong(text: &str) -> Self {
        Line { time: String::new(), level: Level::Error, text: text.to_owned() }
    }

    fn of_qemu(text: &str) -> Self {
        Line { time: String::new(), level: Level::Qemu, text: text.to_owned() }
    }

    /// The line that every image logs when its tasks are there.
    fn says_up(&self) -> bool {
        self.level == Level::Info && (self.text == "up" || self.text.starts_with("up, "))
    }

    fn is_wrong(&self) -> bool {
        matches!(self.level, Level::Error | Level::Qemu)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { time, level, text } = self;
        match level {
            Level::Error => write!(f, "{time} ERROR {text}"),
            Level::Info => write!(f, "{time} INFO  {text}"),
            Level::Said => write!(f, "{time}       {text}"),
            Level::Qemu => write!(f, "QEMU: {text}"),
        }
    }
}

/// What a board says.
#[derive(Debug, Default)]
struct Log {
    said: Mutex<Said>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Said {
    lines: Vec<Line>,
    /// Nothing more will come.
    ended: bool,
}

impl Log {
    fn with<R>(&self, f: impl FnOnce(&mut Said) -> R) -> R {
        f(&mut self.said.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, lines: impl IntoIterator<Item = Line>) {
        self.with(|said| said.lines.extend(lines));
        self.more.notify_all();
    }

    fn end(&self) {
        self.with(|said| said.ended = true);
        self.more.notify_all();
    }

    /// Waits for such a line; false where the board ends before, or it is `end`.
    fn waits_for(&self, is_it: impl Fn(&Line) -> bool, end: Instant) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if said.lines.iter().any(&is_it) {
                return true;
            }
            if said.ended || left.is_zero() {
                return false;
            }
            said = self.more.wait_timeout(said, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(level: Level, text: &str) -> Line {
        Line { time: "7".into(), level, text: text.into() }
    }

    #[test]
    fn a_board_is_up_when_it_says_so_and_not_when_anybody_says_a_word_with_up_in_it() {
        assert!(line(Level::Info, "up").says_up());
        assert!(line(Level::Info, "up, Config { device: 0 }").says_up());
        for (level, text) in [
            (Level::Qemu, "qemu-system-arm: -nic user: Could not set up host forwarding rule 'tcp:127.0.0.1:1-:5000'"),
            (Level::Qemu, "up"),
            (Level::Error, "up"),
            (Level::Info, "the board was set up twice"),
        ] {
            assert!(!line(level, text).says_up(), "{text}");
        }
    }

    #[test]
    fn errors_and_all_that_qemu_says_are_wrong() {
        for (level, wrong) in [(Level::Error, true), (Level::Qemu, true), (Level::Info, false), (Level::Said, false)] {
            assert_eq!(line(level, "ERROR is only a word").is_wrong(), wrong);
        }
    }

    #[test]
    fn a_board_that_ends_is_not_waited_for() {
        let log = Log::default();
        log.push([Line::of_qemu(NO_PORT)]);
        log.end();
        assert!(!log.waits_for(Line::says_up, Instant::now() + PATIENCE));
    }

    #[test]
    fn the_boards_are_those_that_the_firmware_has_memory_for() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../memory");
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        let mut names: Vec<_> = files.iter().map(|file| file.file_stem().unwrap().to_str().unwrap()).collect();
        let mut boards = MACHINES.map(|machine| machine.name);
        names.sort_unstable();
        boards.sort_unstable();
        assert_eq!(names, boards);
    }
}
