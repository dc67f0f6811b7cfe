//! A board in QEMU, with its log.

use crate::{Failure, PATIENCE};
use defmt_decoder::{DecodeError, Table};
use rustix::process::{Pid, Signal, kill_process};
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
        let end = Instant::now() + PATIENCE;
        loop {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            let mut board = Board::power(machine, image, settings, port)?;
            let is_up = board.is_up(probe, end);
            if is_up.is_err() {
                // So that all it says has been read.
                board.stop();
            }
            match is_up {
                Ok(()) => return Ok(board),
                // Somebody else has taken the port since.
                Err(_) if board.said("Could not set up host forwarding rule") && Instant::now() < end => {}
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
                complaints.push(said.lines().map(|line| format!("QEMU: {line}")));
            }),
        ];
        Ok(Board { qemu, port: 0, log, readers })
    }

    fn is_up(&mut self, probe: &[u8], end: Instant) -> Result<(), Failure> {
        // A connection made before would be tried again after a second only.
        if !self.log.waits_for("up", end) {
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

    /// All that it has logged.
    pub fn lines(&self) -> Vec<String> {
        self.log.with(|log| log.lines.clone())
    }

    /// Whether a line of its log has `text` in it.
    pub fn said(&self, text: &str) -> bool {
        self.lines().iter().any(|line| line.contains(text))
    }

    /// Fails unless it runs, and has logged no error.
    pub fn check(&mut self) -> Result<(), Failure> {
        if let Some(status) = self.qemu.try_wait()? {
            return Err(format!("the board has stopped: {status}").into());
        }
        match self.lines().iter().find(|line| line.contains("ERROR") || line.contains("QEMU")) {
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

/// Runs an image that ends by itself, with an instruction for each nanosecond of its time; gives its log.
pub fn run_to_end(machine: Machine, image: &Path) -> Result<Vec<String>, Failure> {
    let mut board = Board::power_with(machine, image, &["-icount", "shift=0"])?;
    let status = board.qemu.wait()?;
    board.stop();
    let lines = board.lines();
    if status.success() { Ok(lines) } else { Err(format!("it ended with {status}: {lines:?}").into()) }
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
                Ok(frame) => log.push([frame.display(false).to_string()]),
                Err(DecodeError::UnexpectedEof) => break,
                Err(DecodeError::Malformed) if table.encoding().can_recover() => {
                    log.push(["ERROR a line of the log is damaged".to_owned()]);
                }
                Err(DecodeError::Malformed) => return log.push(["ERROR the log is damaged".to_owned()]),
            }
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
    lines: Vec<String>,
    /// Nothing more will come.
    ended: bool,
}

impl Log {
    fn with<R>(&self, f: impl FnOnce(&mut Said) -> R) -> R {
        f(&mut self.said.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, lines: impl IntoIterator<Item = String>) {
        self.with(|said| said.lines.extend(lines));
        self.more.notify_all();
    }

    fn end(&self) {
        self.with(|said| said.ended = true);
        self.more.notify_all();
    }

    /// Waits for a line with `text`; false where the board ends before, or it is `end`.
    fn waits_for(&self, text: &str, end: Instant) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if said.lines.iter().any(|line| line.contains(text)) {
                return true;
            }
            if said.ended || left.is_zero() {
                return false;
            }
            said = self.more.wait_timeout(said, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
