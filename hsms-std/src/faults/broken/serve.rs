//! A broken peer on TCP.

use super::Broken;
use crate::clock::Clock;
use crate::conformance::memory::{Input, Output, Subject};
use crate::conformance::socket::Application;
use crate::conformance::{Command, Entities, Outcome, Report, Role, Stop};
use hsms_core::Config;
use hsms_core::config::ConnectMode;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a dial may take.
const DIAL: Duration = Duration::from_secs(2);

/// How long a command may take.
const COMMAND: Duration = Duration::from_secs(10);

/// Octets read at once.
const READ: usize = 16 * 1024;

/// How often more is read before the streams are looked at again, and how much of what still comes is taken before one is
/// closed.
const ROUNDS: usize = 16;

/// Octets that the other side may leave unread, before it counts as gone.
const MOST_UNREAD: usize = 64 << 20;

/// Streams that are served at once; further callers are hung up on.
const MOST_STREAMS: usize = 8;

/// Reports that are kept until somebody asks for them.
const MOST_REPORTS: usize = 65_536;

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
const STREAM: usize = 2;

/// A broken peer that runs over TCP, in a thread of its own, until this is dropped.
pub struct Served {
    address: Option<SocketAddr>,
    /// `None` once the thread has to end.
    commands: Option<Sender<Command>>,
    answers: Receiver<Result<(), String>>,
    reports: Receiver<Report>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub(super) fn start(
        peer: Broken,
        role: Role,
        address: SocketAddr,
        config: Config,
        entities: Entities,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let (commands, to_do) = channel();
        let (done, answers) = channel();
        let (tell, reports) = sync_channel(MOST_REPORTS);
        let mode = config.mode();
        let listener = if mode == ConnectMode::Passive { Some(bind(&poll, address)?) } else { None };
        let local = listener.as_ref().map(TcpListener::local_addr).transpose()?;
        let begin = move || {
            let clock = Clock::new();
            let mut runner = Runner {
                poll,
                clock,
                listener,
                mode,
                address: local.unwrap_or(address),
                sides: vec![Side::new(peer.subject(role, config, &entities))],
                wants: false,
                answers: done,
                reports: tell,
            };
            runner.input(0, Input::Enable);
            runner.run(&to_do);
        };
        let thread = std::thread::Builder::new().name("hsms-faults-broken".into()).spawn(begin)?;
        Ok(Served { address: local, commands: Some(commands), answers, reports, waker, thread: Some(thread) })
    }

    /// Where it listens; `None` where it dials.
    #[must_use]
    pub const fn local_addr(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Has its application do something.
    ///
    /// # Errors
    /// Why it was refused, or that it no longer runs.
    pub fn command(&mut self, command: Command) -> Result<(), String> {
        let gone = || "the peer no longer runs".to_owned();
        self.commands.as_ref().ok_or_else(gone)?.send(command).map_err(|_| gone())?;
        self.waker.wake().map_err(|error| error.to_string())?;
        self.answers.recv_timeout(COMMAND).map_err(|_| gone())?
    }

    /// What its application was told next, waiting for it for `limit` at most. The first 65,536 that were not asked for are
    /// kept, and none after them.
    pub fn report(&mut self, limit: Duration) -> Option<Report> {
        self.reports.recv_timeout(limit).ok()
    }
}

/// The thread ends, and with it the connections.
impl Drop for Served {
    fn drop(&mut self) {
        self.commands = None;
        // Where the system cannot wake it, waiting for it could take for ever.
        if self.waker.wake().is_ok()
            && let Some(thread) = self.thread.take()
        {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// Where it listens.
impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A broken peer as the subject of a bench over sockets.
pub(super) fn application(peer: Broken, role: Role) -> Box<dyn Application> {
    Box::new(Commanded { peer, role, served: None })
}

struct Commanded {
    peer: Broken,
    role: Role,
    served: Option<Served>,
}

impl Commanded {
    fn served(&mut self) -> Outcome<&mut Served> {
        self.served.as_mut().ok_or_else(|| Stop::undecided("no subject was begun"))
    }
}

impl Application for Commanded {
    fn start(&mut self, config: Config, tester: Option<SocketAddr>) -> Outcome<Option<SocketAddr>> {
        self.start_with(config, &Entities::of(self.role), tester)
    }

    fn start_with(
        &mut self,
        config: Config,
        entities: &Entities,
        tester: Option<SocketAddr>,
    ) -> Outcome<Option<SocketAddr>> {
        self.served = None;
        let address = tester.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
        let served = Served::start(self.peer, self.role, address, config, entities.clone());
        let served = served.map_err(|error| Stop::Undecided(format!("the peer cannot be served: {error}")))?;
        let address = served.local_addr();
        self.served = Some(served);
        Ok(address)
    }

    fn command(&mut self, command: &Command) -> Outcome<Option<String>> {
        Ok(self.served()?.command(command.clone()).err())
    }

    fn report(&mut self, within: Duration) -> Outcome<Option<Report>> {
        Ok(self.served()?.report(within))
    }
}

fn bind(poll: &Poll, address: SocketAddr) -> io::Result<TcpListener> {
    let mut listener = TcpListener::bind(address)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    Ok(listener)
}

/// The thread.
struct Runner {
    poll: Poll,
    clock: Clock,
    listener: Option<TcpListener>,
    mode: ConnectMode,
    /// What an active peer dials, and where a passive one listens.
    address: SocketAddr,
    /// The peer itself, and what serves callers beyond the first.
    sides: Vec<Side>,
    /// The peer asks for a transport.
    wants: bool,
    answers: Sender<Result<(), String>>,
    reports: SyncSender<Report>,
}

struct Side {
    subject: Box<dyn Subject>,
    stream: Option<TcpStream>,
    /// What the stream has not taken yet.
    unsent: Vec<u8>,
}

impl Side {
    fn new(subject: Box<dyn Subject>) -> Self {
        Side { subject, stream: None, unsent: Vec::new() }
    }

    /// Writes as much as goes. Tells whether the stream is still good.
    fn flush(&mut self) -> bool {
        let Some(stream) = &mut self.stream else { return true };
        while !self.unsent.is_empty() {
            match stream.write(&self.unsent) {
                Ok(0) => return false,
                Ok(taken) => drop(self.unsent.drain(..taken)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return self.unsent.len() < MOST_UNREAD,
                Err(_) => return false,
            }
        }
        true
    }

    fn close(&mut self) {
        let _ = self.flush();
        self.unsent.clear();
        if let Some(mut stream) = self.stream.take() {
            let _ = stream.shutdown(Shutdown::Write);
            // What nobody has read would turn the end into a reset, and take what was sent last with it.
            let mut octets = [0; READ];
            for _ in 0..ROUNDS {
                if !matches!(stream.read(&mut octets), Ok(1..)) {
                    return;
                }
            }
        }
    }
}

impl Runner {
    fn run(&mut self, commands: &Receiver<Command>) {
        let mut events = Events::with_capacity(16);
        loop {
            loop {
                match commands.try_recv() {
                    Ok(command) => {
                        let now = self.clock.now();
                        let result = self.sides.first_mut().map(|side| side.subject.command(now, &command));
                        self.drain(0);
                        // Whoever does not listen any more is about to let go of the commands too.
                        let _ = self.answers.send(result.unwrap_or(Ok(())));
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            let busy = self.pass_time() | self.connect() | self.read();
            self.sides.retain({
                let mut first = true;
                move |side| std::mem::take(&mut first) || side.stream.is_some()
            });
            let deadline = self.sides.iter().filter_map(|side| side.subject.next_deadline()).min();
            let wait = deadline.map(|deadline| self.clock.until(deadline).min(crate::tcp::LONGEST));
            match self.poll.poll(&mut events, if busy { Some(Duration::ZERO) } else { wait }) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return,
                _ => {}
            }
        }
    }

    /// Dials, or takes callers. Tells whether there may be more to do at once.
    fn connect(&mut self) -> bool {
        match self.mode {
            ConnectMode::Active => self.dial(),
            ConnectMode::Passive => self.listen() && self.accept(),
        }
    }

    fn dial(&mut self) -> bool {
        if !std::mem::take(&mut self.wants) {
            return false;
        }
        let dialled = std::net::TcpStream::connect_timeout(&self.address, DIAL);
        match dialled.and_then(|stream| stream.set_nonblocking(true).map(|()| stream)) {
            Ok(stream) => self.opened(0, TcpStream::from_std(stream)),
            Err(_) => self.input(0, Input::OpenFailed),
        }
        true
    }

    /// Listens while it wants a caller or serves one. Tells whether it does.
    fn listen(&mut self) -> bool {
        let serves = self.sides.first().is_some_and(|side| side.stream.is_some());
        if !self.wants && !serves {
            self.listener = None;
        } else if self.listener.is_none() {
            match bind(&self.poll, self.address) {
                Ok(listener) => self.listener = Some(listener),
                Err(_) if std::mem::take(&mut self.wants) => self.input(0, Input::OpenFailed),
                Err(_) => {}
            }
        }
        self.listener.is_some()
    }

    fn accept(&mut self) -> bool {
        let Some(Ok((stream, _))) = self.listener.as_ref().map(TcpListener::accept) else { return false };
        if std::mem::take(&mut self.wants) {
            self.opened(0, stream);
        } else if self.sides.len() < MOST_STREAMS
            && let Some(subject) = self.sides.first().and_then(|side| side.subject.second())
        {
            self.sides.push(Side::new(subject));
            self.opened(self.sides.len().saturating_sub(1), stream);
        }
        true
    }

    fn opened(&mut self, index: usize, mut stream: TcpStream) {
        // A token says no more than that something has happened: all streams are looked at.
        let registered =
            self.poll.registry().register(&mut stream, Token(STREAM), Interest::READABLE | Interest::WRITABLE);
        let ready = registered.and_then(|()| stream.set_nodelay(true));
        if let Some(side) = self.sides.get_mut(index)
            && ready.is_ok()
        {
            side.stream = Some(stream);
            side.unsent.clear();
            self.input(index, Input::Opened);
        } else {
            self.input(index, Input::OpenFailed);
        }
    }

    /// Reads once from each stream. Tells whether there may be more.
    fn read(&mut self) -> bool {
        let mut more = false;
        for index in 0..self.sides.len() {
            let mut octets = [0; READ];
            let Some(side) = self.sides.get_mut(index) else { break };
            let good = side.flush();
            let Some(stream) = &mut side.stream else { continue };
            match stream.read(&mut octets) {
                Ok(len @ 1..) if good => {
                    more = true;
                    self.input(index, Input::Octets(octets.get(..len).unwrap_or_default()));
                }
                Err(error) if good && error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if good && error.kind() == ErrorKind::Interrupted => more = true,
                _ => {
                    more = true;
                    side.stream = None;
                    side.unsent.clear();
                    self.input(index, Input::Closed);
                }
            }
        }
        more
    }

    /// Tells whether a deadline had come.
    fn pass_time(&mut self) -> bool {
        let mut passed = false;
        for index in 0..self.sides.len() {
            let now = self.clock.now();
            let due = |side: &Side| side.subject.next_deadline().is_some_and(|deadline| deadline <= now);
            if self.sides.get(index).is_some_and(due) {
                passed = true;
                self.input(index, Input::Time);
            }
        }
        passed
    }

    fn input(&mut self, index: usize, input: Input<'_>) {
        let now = self.clock.now();
        if let Some(side) = self.sides.get_mut(index) {
            side.subject.input(now, input);
        }
        self.drain(index);
    }

    fn drain(&mut self, index: usize) {
        let Some(side) = self.sides.get_mut(index) else { return };
        while let Some(output) = side.subject.poll() {
            match output {
                Output::Open if index == 0 => self.wants = true,
                Output::Octets(octets) if side.stream.is_some() => {
                    side.unsent.extend_from_slice(&octets);
                    // Where it is broken, the next read finds that.
                    let _ = side.flush();
                }
                Output::Close => {
                    self.wants &= index != 0;
                    side.close();
                }
                Output::Report(report) if index == 0 => drop(self.reports.try_send(report)),
                // There is no stream any more; or it is about a caller beyond the first.
                Output::Open | Output::Octets(_) | Output::Report(_) => {}
            }
        }
    }
}
