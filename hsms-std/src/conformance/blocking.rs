//! Our own blocking connection as the subject of a bench over sockets.

use super::bench::{Command, Frame, Report};
use super::sessions::{EXCLUSIVE, Entities, LONGEST_LIST};
use super::socket::{ANY_PORT, Application};
use super::steps::{DATA, DEVICE};
use super::verdict::{Outcome, Stop};
use super::{Setup, memory};
use crate::{Connection, Error, Incoming, Options};
use hsms_core::Config;
use hsms_core::config::ConnectMode;
use hsms_core::connection::{General, ReplyToken, SessionEnd, Sessions, State};
use hsms_core::wire::SelectStatus;
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SendError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the connection waits for the wire before it looks for commands.
const LOOK: Duration = Duration::from_millis(2);

/// How long a command may take. A linktest is not waited for.
const COMMAND: Duration = Duration::from_secs(10);

/// How long a command may wait for a call that waits for the peer.
const WAITING: Duration = Duration::from_secs(1);

/// Primaries that can be open at once: the default of a [`Connection`].
const TRANSACTIONS: usize = 64;

/// A [`Connection`] in a thread of its own, anew for each case of a test.
#[derive(Default)]
pub struct Blocking {
    running: Option<Running>,
}

struct Running {
    commands: Option<Sender<Command>>,
    answers: Receiver<Option<String>>,
    reports: Receiver<Report>,
    /// A call waits for the peer.
    waits: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The connection's side of the channels.
struct Worker<S: Sessions> {
    connection: Connection<TRANSACTIONS, S>,
    in_session: InSession<S>,
    general: bool,
    waits: Arc<AtomicBool>,
    tokens: VecDeque<ReplyToken>,
    commands: Receiver<Command>,
    answers: Sender<Option<String>>,
    reports: Sender<Report>,
}

/// Carries out a command about a session. Where that waits for the peer it says so before, and gives what came of it.
type InSession<S> = fn(&mut Connection<TRANSACTIONS, S>, &Command, &mut dyn FnMut()) -> Result<Option<Report>, Error>;

fn single(connection: &mut Connection, command: &Command, _: &mut dyn FnMut()) -> Result<Option<Report>, Error> {
    let device = connection.config().device_ids().as_slice().first().copied().unwrap_or(DEVICE);
    match command {
        Command::Request(stream_function, text) => connection.post_from(device, *stream_function, text).map(drop)?,
        Command::Send(stream_function, text) => connection.send_from(device, *stream_function, text).map(drop)?,
        _ => return Err(hsms_core::Error::CannotSelect.into()),
    }
    Ok(None)
}

fn general(
    connection: &mut Connection<TRANSACTIONS, General<LONGEST_LIST>>,
    command: &Command,
    waits: &mut dyn FnMut(),
) -> Result<Option<Report>, Error> {
    match command {
        Command::Request(stream_function, text) => connection.post_in(DATA, *stream_function, text).map(drop)?,
        Command::RequestIn(session, stream_function, text) => {
            connection.post_in(*session, *stream_function, text).map(drop)?;
        }
        Command::Send(stream_function, text) => connection.send_in(DATA, *stream_function, text).map(drop)?,
        Command::SendIn(session, stream_function, text) => {
            connection.send_in(*session, *stream_function, text).map(drop)?;
        }
        Command::SelectSession(session) => match connection.select_session(*session, LOOK) {
            // It is on its way; what comes of it is told.
            Ok(()) | Err(Error::NotSelected { .. }) => {}
            Err(error) => return Err(error),
        },
        Command::DeselectSession(session) => {
            if !connection.is_selected(*session) {
                return Err(hsms_core::Error::SessionNotSelected { session: *session }.into());
            }
            waits();
            return Ok(match connection.deselect_session(*session) {
                Ok(()) => Some(Report::SessionEnded(*session, SessionEnd::Deselected)),
                Err(Error::SessionRefused { session, refusal }) => Some(Report::SessionRefused(session, refusal)),
                // The end of the connection is told by itself.
                Err(_) => None,
            });
        }
        Command::SeparateSession(session) => {
            connection.separate_session(*session)?;
        }
        Command::AnswerSelect(session, status) => connection.answer_select(*session, *status)?,
        Command::Admission(session, admission) => connection.set_admission(*session, *admission)?,
        Command::Busy(session, busy) => connection.set_busy(*session, *busy)?,
        _ => return Err(hsms_core::Error::CannotSelect.into()),
    }
    Ok(None)
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

    fn run<S: Sessions + Send + 'static>(
        &mut self,
        connection: Connection<TRANSACTIONS, S>,
        in_session: InSession<S>,
        general: bool,
    ) -> Outcome<Option<SocketAddr>> {
        let listens = if connection.config().mode() == ConnectMode::Passive { connection.local_addr() } else { None };
        let (commands, to_do) = channel();
        let (done, answers) = channel();
        let (tell, reports) = channel();
        let waits = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            connection,
            in_session,
            general,
            waits: waits.clone(),
            tokens: VecDeque::new(),
            commands: to_do,
            answers: done,
            reports: tell,
        };
        let thread = std::thread::spawn(move || worker.run());
        self.running = Some(Running { commands: Some(commands), answers, reports, waits, thread: Some(thread) });
        Ok(listens)
    }

    fn running(&mut self) -> Outcome<&mut Running> {
        self.running.as_mut().ok_or_else(|| Stop::undecided("no subject was begun"))
    }
}

impl Application for Blocking {
    fn start(&mut self, config: Config, tester: Option<SocketAddr>) -> Outcome<Option<SocketAddr>> {
        self.running = None;
        let connection = Connection::with_options(tester.unwrap_or(ANY_PORT), config, Options::new());
        self.run(connection.map_err(no_connection)?, single, false)
    }

    fn start_with(
        &mut self,
        config: Config,
        entities: &Entities,
        tester: Option<SocketAddr>,
    ) -> Outcome<Option<SocketAddr>> {
        self.running = None;
        let sessions = entities.sessions().map_err(|error| Stop::undecided(format!("no such subject: {error}")))?;
        let connection = Connection::general(tester.unwrap_or(ANY_PORT), config, sessions, Options::new());
        self.run(connection.map_err(no_connection)?, general, true)
    }

    fn command(&mut self, command: &Command) -> Outcome<Option<String>> {
        if *command == Command::Select {
            return Err(Stop::undecided("the blocking connection selects by itself"));
        }
        let running = self.running()?;
        let gone = || Stop::undecided("the subject's thread has ended");
        let until = Instant::now() + WAITING;
        while running.waits.load(Ordering::Acquire) && Instant::now() < until {
            std::thread::yield_now();
        }
        if running.waits.load(Ordering::Acquire) {
            return Err(Stop::undecided("a call of the blocking connection waits for a response"));
        }
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

impl<S: Sessions> Worker<S> {
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
                Ok(command) => {
                    if self.obey(&command).is_err() {
                        return;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            disabled = self.look();
        }
    }

    /// Carries out a command and answers whether that was possible; where it waits for the peer the answer goes first.
    fn obey(&mut self, command: &Command) -> Result<(), SendError<Option<String>>> {
        let mut answered = false;
        let result = {
            let (answers, flag) = (self.answers.clone(), self.waits.clone());
            let mut waits = || {
                flag.store(true, Ordering::Release);
                answered = answers.send(None).is_ok();
            };
            self.carry_out(command, &mut waits)
        };
        if answered {
            let report = result.unwrap_or_default();
            self.tell_outcome(report);
            self.waits.store(false, Ordering::Release);
            return Ok(());
        }
        self.answers.send(result.err().map(|error| error.to_string()))
    }

    /// What a call that waited for the peer brought about. What ended the session otherwise is told by itself.
    fn tell_outcome(&mut self, outcome: Option<Report>) {
        let Some(outcome) = outcome else { return };
        let mut others = Vec::new();
        while let Ok(Some(incoming)) = self.connection.next(Duration::ZERO) {
            others.extend(told(incoming, &mut self.tokens));
        }
        let ended = |report: &Report| match (report, &outcome) {
            (Report::SessionEnded(session, _), Report::SessionEnded(own, _)) => session == own,
            _ => false,
        };
        let twice = others.iter().any(ended);
        for report in (!twice).then_some(outcome).into_iter().chain(others) {
            let _ = self.reports.send(report);
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
        if report == Some(Report::SelectAsked(EXCLUSIVE)) {
            // There is one connection, so no other has it.
            let admit = Command::AnswerSelect(EXCLUSIVE, SelectStatus::COMMUNICATION_ESTABLISHED);
            // Refused where the peer has gone meanwhile.
            let _ = (self.in_session)(&mut self.connection, &admit, &mut || {});
        } else if let Some(report) = report {
            // Whoever does not listen any more is about to let go of the commands too.
            let _ = self.reports.send(report);
        }
        false
    }

    fn carry_out(&mut self, command: &Command, waits: &mut dyn FnMut()) -> Result<Option<Report>, Error> {
        let connection = &mut self.connection;
        match command {
            Command::Linktest if connection.state() == State::NotConnected => connection.linktest()?,
            // Refused, but by HSMS-GS.
            Command::Linktest if connection.state() == State::NotSelected && !self.general => connection.linktest()?,
            Command::Linktest => {
                waits();
                return Ok(match connection.linktest() {
                    Ok(()) => Some(Report::LinktestAnswered),
                    Err(Error::LinktestMissed { missed }) => Some(Report::LinktestMissed(missed)),
                    // The end of the connection is told by itself.
                    Err(_) => None,
                });
            }
            Command::Separate => connection.separate()?,
            Command::Disable => connection.disable(),
            Command::Enable => connection.enable(),
            Command::Reply(text) => {
                let token = self.tokens.pop_front().ok_or(hsms_core::Error::StaleToken)?;
                connection.reply(&token, text)?;
            }
            Command::Abort => {
                let token = self.tokens.pop_front().ok_or(hsms_core::Error::StaleToken)?;
                connection.abort(&token)?;
            }
            Command::ReportError(error, about) => connection.report_error(*error, about)?,
            Command::Forget(system) => connection.forget(*system)?,
            _ => return (self.in_session)(connection, command, waits),
        }
        Ok(None)
    }
}

fn no_connection(error: Error) -> Stop {
    Stop::Undecided(format!("no connection can be made: {error}"))
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
