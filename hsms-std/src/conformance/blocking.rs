//! Our own blocking connection as the subject of a bench over sockets.

use super::bench::{Command, Frame, Report};
use super::socket::Application;
use super::verdict::{Outcome, Stop};
use super::{Setup, memory};
use crate::{Connection, Error, Incoming, Options};
use hsms_core::Config;
use hsms_core::config::ConnectMode;
use hsms_core::connection::{ReplyToken, State};
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the connection waits for the wire before it looks for commands.
const LOOK: Duration = Duration::from_millis(2);

/// How long a command may take. A linktest is not waited for.
const COMMAND: Duration = Duration::from_secs(10);

/// A [`Connection`] in a thread of its own, anew for each case of a test.
#[derive(Default)]
pub struct Blocking {
    running: Option<Running>,
}

struct Running {
    commands: Option<Sender<Command>>,
    answers: Receiver<Option<String>>,
    reports: Receiver<Report>,
    thread: Option<JoinHandle<()>>,
}

/// The connection's side of the channels.
struct Worker {
    connection: Connection,
    tokens: VecDeque<ReplyToken>,
    commands: Receiver<Command>,
    answers: Sender<Option<String>>,
    reports: Sender<Report>,
}

impl Blocking {
    /// No connection yet.
    #[must_use]
    pub const fn new() -> Self {
        Blocking { running: None }
    }

    /// A bench over sockets for our blocking connection.
    ///
    /// # Errors
    /// Where no port can be had.
    pub fn bench(setup: Setup) -> std::io::Result<super::socket::Socket> {
        super::socket::Socket::with_application(setup, Box::new(Blocking::new()))
    }

    fn running(&mut self) -> Outcome<&mut Running> {
        self.running.as_mut().ok_or_else(|| Stop::undecided("no subject was begun"))
    }
}

impl Application for Blocking {
    fn start(&mut self, config: Config, tester: Option<SocketAddr>) -> Outcome<Option<SocketAddr>> {
        self.running = None;
        let listen = || SocketAddr::from(([127, 0, 0, 1], 0));
        let address = tester.unwrap_or_else(listen);
        let connection = Connection::with_options(address, config, Options::new())
            .map_err(|error| Stop::Undecided(format!("no connection can be made: {error}")))?;
        let listens = if config.mode() == ConnectMode::Passive { connection.local_addr() } else { None };
        let (commands, to_do) = channel();
        let (done, answers) = channel();
        let (tell, reports) = channel();
        let worker = Worker { connection, tokens: VecDeque::new(), commands: to_do, answers: done, reports: tell };
        let thread = std::thread::spawn(move || worker.run());
        self.running = Some(Running { commands: Some(commands), answers, reports, thread: Some(thread) });
        Ok(listens)
    }

    fn command(&mut self, command: &Command) -> Outcome<Option<String>> {
        if *command == Command::Select {
            return Err(Stop::undecided("the blocking connection selects by itself"));
        }
        let running = self.running()?;
        let gone = || Stop::undecided("the subject's thread has ended");
        running.commands.as_ref().ok_or_else(gone)?.send(command.clone()).map_err(|_| gone())?;
        running.answers.recv_timeout(COMMAND).map_err(|_| gone())
    }

    fn report(&mut self, within: Duration) -> Outcome<Option<Report>> {
        match self.running()?.reports.recv_timeout(within) {
            Ok(report) => Ok(Some(report)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(None),
        }
    }
}

/// The thread ends when there is nobody left to command it, at the latest when a linktest of its own has.
impl Drop for Running {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

impl Worker {
    fn run(mut self) {
        let mut disabled = false;
        loop {
            // A connection that is disabled has nothing to wait for.
            let command = match disabled {
                true => self.commands.recv_timeout(LOOK * 10),
                false => self.commands.try_recv().map_err(|error| match error {
                    std::sync::mpsc::TryRecvError::Empty => RecvTimeoutError::Timeout,
                    std::sync::mpsc::TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
                }),
            };
            match command {
                Ok(Command::Linktest) if self.connection.state() == State::Selected => {
                    if self.answers.send(None).is_err() {
                        return;
                    }
                    self.linktest();
                }
                Ok(command) => {
                    let refusal = self.carry_out(&command).err().map(|error| error.to_string());
                    if self.answers.send(refusal).is_err() {
                        return;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            disabled = self.look();
        }
    }

    /// Waits for what comes next and tells it. Tells whether nothing can come.
    fn look(&mut self) -> bool {
        let report = match self.connection.next(LOOK) {
            Ok(Some(incoming)) => told(incoming, &mut self.tokens),
            Ok(None) => None,
            Err(Error::Disabled) => return true,
            Err(_) => None,
        };
        if let Some(report) = report {
            // Whoever does not listen any more is about to let go of the commands too.
            let _ = self.reports.send(report);
        }
        false
    }

    fn linktest(&mut self) {
        let report = match self.connection.linktest() {
            Ok(()) => Report::LinktestAnswered,
            Err(Error::LinktestMissed { missed }) => Report::LinktestMissed(missed),
            // The end of the connection is told by itself.
            Err(_) => return,
        };
        let _ = self.reports.send(report);
    }

    fn carry_out(&mut self, command: &Command) -> Result<(), Error> {
        let connection = &mut self.connection;
        match command {
            // Refused: it is not SELECTED, or it was taken above.
            Command::Linktest => connection.linktest(),
            Command::Separate => connection.separate(),
            Command::Disable => {
                connection.disable();
                Ok(())
            }
            Command::Enable => {
                connection.enable();
                Ok(())
            }
            Command::Request(stream_function, text) => connection.post(*stream_function, text).map(drop),
            Command::Send(stream_function, text) => connection.send(*stream_function, text).map(drop),
            Command::Reply(text) => {
                let token = self.tokens.pop_front().ok_or(hsms_core::Error::StaleToken)?;
                connection.reply(&token, text)
            }
            Command::Abort => {
                let token = self.tokens.pop_front().ok_or(hsms_core::Error::StaleToken)?;
                connection.abort(&token)
            }
            Command::ReportError(error, about) => connection.report_error(*error, about),
            Command::Forget(system) => connection.forget(*system),
            // The bench does not pass it on.
            Command::Select => Err(hsms_core::Error::CannotSelect.into()),
        }
    }
}

fn told(incoming: Incoming<'_>, tokens: &mut VecDeque<ReplyToken>) -> Option<Report> {
    Some(match incoming {
        Incoming::Primary { message, token } => {
            tokens.extend(token);
            Report::Primary(Frame::new(message.header, message.body))
        }
        Incoming::Reply { message } => Report::Reply(Frame::new(message.header, message.body)),
        Incoming::Aborted { header } => Report::Reply(Frame::new(header, &[])),
        Incoming::TransactionEnded { system, end } => Report::Ended(system, end),
        Incoming::Selected => Report::Selected,
        Incoming::Deselected => Report::Deselected,
        Incoming::Closed { reason, .. } => Report::Closed(reason),
        Incoming::Other { header, class, .. } => Report::Other(header, class),
        Incoming::Notice(notice) => return memory::report(&notice),
        _ => return None,
    })
}

/// Whether a connection runs.
impl fmt::Debug for Blocking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocking").field("running", &self.running.is_some()).finish()
    }
}
