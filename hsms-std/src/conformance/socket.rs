//! A subject at the other end of a TCP connection, in real time.

use super::bench::{About, Bench, Command, Deframer, Line, Report, Wire};
use super::sessions::Entities;
use super::verdict::{Outcome, Stop, Transcript};
use super::{Setup, set};
use crate::conformance::Timer;
use hsms_core::Config;
use hsms_core::config::Profile;
use mio::{Events, Interest, Poll, Token};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How much too late a subject may be, and how long what has to come at once is waited for: a machine that runs other things
/// beside takes its time.
pub const LATE: Duration = Duration::from_secs(5);

/// How much too early, by the bench's clock. Both ends cut milliseconds off.
pub const EARLY: Duration = Duration::from_millis(3);

/// How long is listened to find that nothing came.
pub const SETTLE: Duration = Duration::from_millis(15);

/// The application behind a subject, for a bench over sockets: where there is one, subjects can be given settings, commanded
/// and asked.
pub trait Application {
    /// Makes a fresh subject with these settings. An active one dials `tester`; a passive one tells where it listens.
    ///
    /// # Errors
    /// [`Stop::Undecided`].
    fn start(&mut self, config: Config, tester: Option<SocketAddr>) -> Outcome<Option<SocketAddr>>;

    /// The same for a subject of HSMS-GS with these session entities.
    ///
    /// # Errors
    /// [`Stop::Undecided`].
    fn start_with(
        &mut self,
        config: Config,
        entities: &Entities,
        tester: Option<SocketAddr>,
    ) -> Outcome<Option<SocketAddr>> {
        let _ = (config, entities, tester);
        Err(Stop::undecided("the application offers no HSMS-GS"))
    }

    /// As [`Bench::command`].
    ///
    /// # Errors
    /// [`Stop::Undecided`].
    fn command(&mut self, command: &Command) -> Outcome<Option<String>>;

    /// As [`Bench::report`].
    ///
    /// # Errors
    /// [`Stop::Undecided`].
    fn report(&mut self, within: Duration) -> Outcome<Option<Report>>;
}

/// A bench whose subject is reached over TCP. Its clock is real; its tolerance is [`EARLY`] and [`LATE`].
pub struct Socket {
    about: About,
    began: Instant,
    end: End,
    lines: [Option<Connected>; 2],
    application: Option<Box<dyn Application>>,
    transcript: Transcript,
}

/// How transports come up.
enum End {
    /// The subject listens there.
    Dial(Option<SocketAddr>),
    /// The subject dials this.
    Listen(Listener),
}

struct Listener {
    listener: mio::net::TcpListener,
    poll: Poll,
}

struct Connected {
    stream: TcpStream,
    deframer: Deframer,
    ended: bool,
}

impl Socket {
    /// A bench for a passive implementation at `address`, whatever it is, with these settings.
    ///
    /// # Errors
    /// None at present; connecting comes later.
    pub fn dialling(address: SocketAddr, setup: Setup, config: Config) -> io::Result<Self> {
        Ok(Socket::new(setup, config, End::Dial(Some(address)), None))
    }

    /// A bench for an active implementation, whatever it is, with these settings: it has to dial `address`, whose
    /// port may be 0: then [`local_addr`](Self::local_addr) tells.
    ///
    /// # Errors
    /// Where that port cannot be had.
    pub fn listening(address: SocketAddr, setup: Setup, config: Config) -> io::Result<Self> {
        Ok(Socket::new(setup, config, End::Listen(Listener::new(address)?), None))
    }

    /// Where an active implementation has to dial; `None` on a bench that dials itself.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.end {
            End::Dial(_) => None,
            End::Listen(listener) => listener.listener.local_addr().ok(),
        }
    }

    /// A bench for subjects that `application` makes.
    ///
    /// # Errors
    /// Where no port can be had.
    pub fn with_application(setup: Setup, application: Box<dyn Application>) -> io::Result<Self> {
        let end = if setup.role.is_active() { End::Listen(Listener::new(ANY_PORT)?) } else { End::Dial(None) };
        // The first attempt to connect is not to be waited for, and nothing but the timer of a test is to expire.
        let (t5, others) = match setup.profile {
            Profile::Lenient => (Duration::from_millis(50), Duration::from_secs(60)),
            Profile::Strict => (Duration::from_secs(1), Duration::from_secs(60)),
        };
        let mut config = setup.config();
        for timer in [Timer::T3, Timer::T6, Timer::T7, Timer::T8] {
            config = set(config, timer, others).map_err(io::Error::other)?;
        }
        config = config.with_t5(t5).map_err(io::Error::other)?;
        Ok(Socket::new(setup, config, end, Some(application)))
    }

    fn new(setup: Setup, config: Config, end: End, application: Option<Box<dyn Application>>) -> Self {
        let about = About {
            setup,
            own: config,
            config,
            virtual_time: false,
            early: EARLY,
            late: LATE,
            settle: SETTLE,
            settable: application.is_some(),
            application: application.is_some(),
        };
        let (began, transcript) = (Instant::now(), Transcript::new());
        Socket { about, began, end, lines: [None, None], application, transcript }
    }

    fn note(&mut self, note: impl Into<String>) {
        let at = self.now();
        self.transcript.note(at, note);
    }

    /// A fresh subject.
    fn start_subject(&mut self, config: Config, entities: Option<&Entities>) -> Outcome {
        if self.application.is_none() {
            // It must have seen the end of the former connection before it is given another one.
            for line in [Line::First, Line::Second] {
                self.shut(line);
            }
        }
        self.lines = [None, None];
        let Some(application) = &mut self.application else {
            if config == self.about.own {
                return Ok(());
            }
            return Err(Stop::undecided("the subject's settings are out of reach"));
        };
        let tester = match &mut self.end {
            End::Dial(_) => None,
            End::Listen(listener) => {
                // Callers that the former subject has left behind must not be taken for the new one's.
                *listener = Listener::new(ANY_PORT).map_err(|error| system(&error))?;
                Some(listener.listener.local_addr().map_err(|error| system(&error))?)
            }
        };
        let address = match entities {
            None => application.start(config, tester)?,
            Some(entities) => application.start_with(config, entities, tester)?,
        };
        if let End::Dial(at) = &mut self.end {
            *at = address;
        }
        self.about.config = config;
        self.note("a fresh subject");
        Ok(())
    }

    fn line(&mut self, line: Line) -> &mut Option<Connected> {
        let [first, second] = &mut self.lines;
        match line {
            Line::First => first,
            Line::Second => second,
        }
    }
}

pub(super) const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

impl Listener {
    fn new(address: SocketAddr) -> io::Result<Self> {
        let (poll, mut listener) = (Poll::new()?, mio::net::TcpListener::bind(address)?);
        poll.registry().register(&mut listener, Token(0), Interest::READABLE)?;
        Ok(Listener { listener, poll })
    }

    /// The next caller within `within`.
    fn accept(&mut self, within: Duration) -> io::Result<Option<TcpStream>> {
        let until = Instant::now() + within;
        let mut events = Events::with_capacity(4);
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    let stream = TcpStream::from(stream);
                    stream.set_nonblocking(false)?;
                    return Ok(Some(stream));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            match self.poll.poll(&mut events, Some(left)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
    }
}

impl Connected {
    /// What comes next within `within`, and the octets that came with it.
    fn read(&mut self, within: Duration) -> io::Result<(Wire, Vec<u8>)> {
        let until = Instant::now() + within;
        let mut came = Vec::new();
        loop {
            if let Some(wire) = self.deframer.next() {
                return Ok((wire, came));
            }
            if self.ended {
                return Ok((self.deframer.end(), came));
            }
            let left = until.saturating_duration_since(Instant::now());
            // Zero would stand for no limit at all. One look is taken in any case.
            self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            let mut octets = [0; 4096];
            match self.stream.read(&mut octets) {
                Ok(0) => self.ended = true,
                Ok(len) => {
                    let octets = octets.get(..len).unwrap_or(&[]);
                    came.extend_from_slice(octets);
                    self.deframer.push(octets);
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut if left.is_zero() => {
                        return Ok((Wire::Quiet, came));
                    }
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => {}
                    // What the tester sent last had not been read when the subject closed.
                    io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                        self.ended = true;
                    }
                    _ => return Err(error),
                },
            }
        }
    }
}

fn system(error: &io::Error) -> Stop {
    Stop::Undecided(format!("the system refused its service: {error}"))
}

impl Bench for Socket {
    fn about(&self) -> &About {
        &self.about
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn start(&mut self, config: Config) -> Outcome {
        let entities = self.about.is_general().then(|| Entities::of(self.about.setup.role));
        self.start_subject(config, entities.as_ref())
    }

    fn start_with(&mut self, config: Config, entities: &Entities) -> Outcome {
        if self.application.is_none() {
            return Err(Stop::undecided("the subject's session entities are out of reach"));
        }
        self.start_subject(config, Some(entities))
    }

    fn open(&mut self, line: Line, within: Duration) -> Outcome<bool> {
        let within = within.max(Duration::from_millis(1));
        let stream = match &mut self.end {
            // Several connections that share their entities take an application that knows them all.
            End::Dial(_) if line == Line::Second && self.about.is_general() && self.application.is_some() => {
                return Err(Stop::undecided("the application has one connection"));
            }
            End::Dial(None) => return Err(Stop::undecided("no subject was begun")),
            End::Dial(Some(address)) => TcpStream::connect_timeout(address, within.max(LATE)).ok(),
            End::Listen(_) if line == Line::Second => {
                return Err(Stop::undecided("an active subject has no second caller"));
            }
            End::Listen(listener) => listener.accept(within).map_err(|error| system(&error))?,
        };
        let Some(stream) = stream else { return Ok(false) };
        self.note(if line == Line::First { "transport open" } else { "second transport open" });
        let ready = stream.set_nodelay(true).and_then(|()| stream.set_write_timeout(Some(LATE)));
        ready.map_err(|error| system(&error))?;
        *self.line(line) = Some(Connected { stream, deframer: Deframer::default(), ended: false });
        Ok(true)
    }

    fn fail_open(&mut self, _: Duration) -> Outcome<bool> {
        Err(Stop::undecided("an attempt to dial that fails cannot be seen from here"))
    }

    fn write(&mut self, line: Line, octets: &[u8]) -> Outcome {
        let at = self.now();
        self.transcript.sent(at, octets);
        let Some(connected) = self.line(line) else {
            return Err(Stop::fail("the subject has closed the transport"));
        };
        match connected.stream.write_all(octets) {
            Ok(()) => Ok(()),
            // It shows when the end is read.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => Ok(()),
            Err(error) => Err(system(&error)),
        }
    }

    fn read(&mut self, line: Line, within: Duration) -> Outcome<Wire> {
        let Some(connected) = self.line(line) else { return Ok(Wire::Quiet) };
        let (wire, came) = connected.read(within).map_err(|error| system(&error))?;
        if matches!(wire, Wire::Closed | Wire::Broken(_)) {
            *self.line(line) = None;
        }
        let at = self.now();
        if !came.is_empty() {
            self.transcript.received(at, &came);
        }
        if wire == Wire::Closed {
            self.transcript.note(at, "the subject closes the transport");
        }
        Ok(wire)
    }

    fn shut(&mut self, line: Line) {
        if let Some(mut connected) = self.line(line).take() {
            self.note("the tester closes the transport");
            // Until the subject has closed its end too, a further connection would be a second one.
            let until = Instant::now() + LATE;
            let _ = connected.stream.shutdown(Shutdown::Write);
            while let Ok((Wire::Frame(_), _)) = connected.read(until.saturating_duration_since(Instant::now())) {}
        }
    }

    fn command(&mut self, command: &Command) -> Outcome<Option<String>> {
        self.note(format!("the application asks for {command:?}"));
        match &mut self.application {
            Some(application) => application.command(command),
            None => Err(Stop::undecided("the subject's application is out of reach")),
        }
    }

    fn report(&mut self, within: Duration) -> Outcome<Option<Report>> {
        let Some(application) = &mut self.application else {
            return Err(Stop::undecided("the subject's application is out of reach"));
        };
        let report = application.report(within.max(SETTLE))?;
        if let Some(report) = &report {
            self.note(format!("the application is told: {report:?}"));
        }
        Ok(report)
    }

    fn transcript(&mut self) -> &mut Transcript {
        &mut self.transcript
    }
}

/// What is known, and what happened.
impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("about", &self.about)
            .field("transcript", &self.transcript)
            .finish_non_exhaustive()
    }
}
