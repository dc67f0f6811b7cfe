//! A peer: another HSMS implementation in a process of its own, driven line by line (see `tests/peers/README.md`).

use libtest_mimic::Failed;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// An implementation and how to start it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    program: &'static str,
}

pub(crate) const KINDS: [Kind; 2] =
    [Kind { name: "secsgem", program: "secsgem-peer" }, Kind { name: "secs4js", program: "secs4js-peer" }];

impl Kind {
    /// Where its driver stands, or why there is none.
    pub(crate) fn program(&self) -> Result<PathBuf, String> {
        let program = folder().join("bin").join(self.program);
        if program.is_file() { Ok(program) } else { Err(format!("no {}: run tests/peers/setup", program.display())) }
    }
}

/// The Python that secsgem is installed for.
pub(crate) fn python() -> PathBuf {
    folder().join("python/bin/python")
}

/// Where `tests/peers/setup` installs.
fn folder() -> PathBuf {
    match std::env::var_os("HSMS_PEERS_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/peers")),
    }
}

/// How long a peer may take to say what is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// T5 of both ends, in seconds: secsgem knows whole ones only.
pub(crate) const T5: u64 = 1;

/// A running peer.
#[derive(Debug)]
pub(crate) struct Peer {
    child: Child,
    stdin: Sender<String>,
    stdout: Receiver<String>,
    /// Everything that it said, for the message of a failed assertion.
    said: Vec<String>,
    pub(crate) port: u16,
}

impl Peer {
    /// Starts a peer that listens on a free port, or on `port` where one is given.
    pub(crate) fn listening(kind: Kind, role: &str, port: Option<u16>) -> Peer {
        let end = Instant::now() + PATIENCE;
        loop {
            let port = port.unwrap_or_else(free_port);
            let mut peer = Peer::start(kind, "passive", role, port);
            if peer.hears_or_ends("listening") {
                return peer;
            }
            // The port was taken meanwhile, or is not free again yet.
            assert!(Instant::now() < end, "{} cannot listen on {port}: {:?}", kind.name, peer.said);
        }
    }

    /// Starts a peer that dials `port`.
    pub(crate) fn dialling(kind: Kind, role: &str, port: u16) -> Peer {
        Peer::start(kind, "active", role, port)
    }

    /// Starts `secsgem_services.py`, which listens on a free port; `with` are the words that make it what it is.
    pub(crate) fn services_listening(role: &str, with: &[&str]) -> Peer {
        let end = Instant::now() + PATIENCE;
        loop {
            let port = free_port();
            let mut peer = Peer::run(services_program(with), "passive", role, port);
            if peer.hears_or_ends("listening") {
                return peer;
            }
            assert!(Instant::now() < end, "it cannot listen on {port}: {:?}", peer.said);
        }
    }

    /// Starts `secsgem_services.py`, which dials `port`.
    pub(crate) fn services_dialling(role: &str, port: u16, with: &[&str]) -> Peer {
        Peer::run(services_program(with), "active", role, port)
    }

    fn start(kind: Kind, connect: &str, role: &str, port: u16) -> Peer {
        let mut program = Command::new(kind.program().expect("looked for before"));
        program.args(["--system", "1000"]);
        Peer::run(program, connect, role, port)
    }

    fn run(mut program: Command, connect: &str, role: &str, port: u16) -> Peer {
        let mut child = program
            .args(["--connect", connect, "--role", role, "--port", &port.to_string()])
            .args(["--t3", "30", "--t5", &T5.to_string(), "--t6", "20", "--t7", "30"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the driver starts");
        let (stdin, lines) = mpsc::channel::<String>();
        let mut pipe = child.stdin.take().expect("piped");
        // Threads of their own: neither end may wait for the other to read.
        thread::spawn(move || {
            for line in lines {
                if writeln!(pipe, "{line}").and_then(|()| pipe.flush()).is_err() {
                    break;
                }
            }
        });
        let (told, stdout) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().expect("piped"));
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if told.send(line).is_err() {
                    break;
                }
            }
        });
        Peer { child, stdin, stdout, said: Vec::new(), port }
    }

    pub(crate) fn say(&self, line: &str) {
        // Where the peer has gone, the test finds out by what it does not say.
        let _ = self.stdin.send(line.to_owned());
    }

    /// The next line, where there is one already.
    pub(crate) fn line(&mut self) -> Option<String> {
        let line = self.stdout.try_recv().ok()?;
        self.said.push(line.chars().take(200).collect());
        Some(line)
    }

    /// Waits for a line that begins with `word`; false where the peer ends first.
    fn hears_or_ends(&mut self, word: &str) -> bool {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.stdout.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let found = line.split(' ').next() == Some(word);
                    self.said.push(line.chars().take(200).collect());
                    if found {
                        return true;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => panic!("no {word:?} within {PATIENCE:?}: {:?}", self.said),
            }
        }
    }

    /// Waits for this line.
    pub(crate) fn hears(&mut self, line: &str) {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            match self.stdout.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(said) => {
                    let found = said == line;
                    self.said.push(said);
                    if found {
                        return;
                    }
                }
                Err(_) => break,
            }
        }
        panic!("not {line:?} but {:?}", self.said);
    }

    /// What it said so far, long lines cut.
    pub(crate) fn said(&self) -> &[String] {
        &self.said
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn services_program(with: &[&str]) -> Command {
    let mut program = Command::new(python());
    program.arg("-B").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/peers/secsgem_services.py")).args(with);
    program
}

/// What a program says that is given `input` and ends with it: `count` lines.
pub(crate) fn lines_of(mut command: Command, input: Vec<u8>, count: usize) -> Result<Vec<String>, Failed> {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut program = Program(child);
    let mut stdin = program.0.stdin.take().ok_or("no stdin")?;
    let stdout = BufReader::new(program.0.stdout.take().ok_or("no stdout")?);
    // Where it does not read to the end, it says too little, and that is seen below.
    let writer = thread::spawn(move || stdin.write_all(&input));
    let (sender, lines) = mpsc::channel();
    let reader = thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let end = Instant::now() + PATIENCE;
    let mut said = Vec::new();
    while let Ok(line) = lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
        said.push(line);
    }
    // Both threads end with it.
    drop(program);
    let _ = (writer.join(), reader.join());
    if said.len() == count { Ok(said) } else { Err(format!("{} lines for {count}", said.len()).into()) }
}

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("loopback").port()
}
