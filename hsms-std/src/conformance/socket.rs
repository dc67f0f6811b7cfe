//! A subject at the other end of a TCP connection, in real time.

use super::bench::{About, Bench, Command, Deframer, Line, Report, Wire};
use super::sessions::Entities;
use super::verdict::{Outcome, Stop, Transcript};
use super::{Setup, set};
use crate::conformance::Timer;
use crate::transport::is_again;
use hsms_core::Config;
use hsms_core::config::Profile;
use mio::{Events, Interest, Poll, Token};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How much too early what is timed may come by the bench's clock, unless [`Socket::with_tolerance`] sets it. Both ends cut
/// milliseconds off.
pub const EARLY: Duration = Duration::from_millis(3);

/// How much too late a subject may be, and how long what has to come at once is waited for, unless [`Socket::with_tolerance`]
/// sets it: a machine that runs other things beside takes its time.
pub const LATE: Duration = Duration::from_secs(5);

/// How long is listened to find that nothing came, unless [`Socket::with_tolerance`] sets it: enough where both ends are on one
/// machine.
pub const SETTLE: Duration = Duration::from_millis(15);

/// To what timers are shortened that a test waits for, unless [`Socket::with_longest_wait`] says otherwise: what the strict profile
/// allows.
pub const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The shortest limit that the system takes; none at all would be without end.
const SHORTEST: Duration = Duration::from_millis(1);

/// The longest tolerance: clocks do not count as far as a span can be long.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Octets read at once.
const READ: usize = 16 * 1024;

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

    /// Whether [`command`](Self::command) and [`report`](Self::report) are at hand, as they are unless this says otherwise. Where they are
    /// not, an application takes settings alone, and what it is told is not looked at.
    fn is_commanded(&self) -> bool {
        true
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

/// A bench whose subject is reached over TCP. Its clock is real; its tolerance is [`EARLY`], [`LATE`] and [`SETTLE`] until
/// [`with_tolerance`](Self::with_tolerance) sets another.
///
/// What a subject can cost it is limited: a message longer than 32 MiB counts as none, and no wait is prolonged by what comes in
/// the meantime.
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
            longest_wait: LONGEST_WAIT,
            settable: application.is_some(),
            application: application.as_ref().is_some_and(|application| application.is_commanded()),
        };
        let (began, transcript) = (Instant::now(), Transcript::new());
        Socket { about, began, end, lines: [None, None], application, transcript }
    }

    /// Sets the tolerance. Spans beyond a day count as a day. What the verdicts mean depends on them:
    ///
    /// * `early`: by how much less than its span a timer may be taken to last. The bench counts from the moment that it sent or
    ///   read what begins the span, so over a network this has to cover how unevenly messages travel; otherwise a subject whose
    ///   timers are right fails. [`EARLY`] by default.
    /// * `late`: how much longer than its span a timer may be taken to last, and how long what has to come at once is waited
    ///   for: an answer, a connection, the end of one. It has to cover one round trip and what the subject needs to answer;
    ///   otherwise a slow subject fails. It is also how wrong a timer may be and pass: with the 5 s of [`LATE`], the default, a
    ///   T6 of 5 s passes up to 10 s. For the timers of a stranger as they are set in the field, set it to a round trip and
    ///   what you grant them beyond.
    /// * `settle`: how long is listened where nothing may come. It has to be longer than one round trip and what the subject
    ///   needs to answer; otherwise an answer that is forbidden comes when nobody listens any more, and the rule passes.
    ///   Every case of every rule takes at least that long. The 15 ms of [`SETTLE`], the default, are for a subject on the same
    ///   machine.
    ///
    /// ```
    /// use hsms_std::conformance::{Bench as _, rules, socket::Socket};
    /// use std::time::Duration;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let setup = rules().next().and_then(|rule| rule.setups().next()).ok_or("no setup")?;
    /// // A round trip of up to 40 ms, and a subject that answers within 100 ms.
    /// let (early, late, settle) = (Duration::from_millis(40), Duration::from_millis(500), Duration::from_millis(200));
    /// let bench = Socket::dialling("192.0.2.1:5000".parse()?, setup, setup.config())?.with_tolerance(early, late, settle);
    /// assert_eq!(bench.about().settle, settle);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_tolerance(mut self, early: Duration, late: Duration, settle: Duration) -> Self {
        self.about.early = early.min(LONGEST);
        self.about.late = late.min(LONGEST);
        self.about.settle = settle.min(LONGEST);
        self
    }

    /// Sets to what timers are shortened that a test waits for, where the subject takes settings; [`LONGEST_WAIT`] by default. On a machine
    /// that stands still for as long, a sound subject lets a timer expire that a test does not want to, and fails: longer timers tell
    /// that from a fault.
    #[must_use]
    pub fn with_longest_wait(mut self, longest: Duration) -> Self {
        self.about.longest_wait = longest;
        self
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
    /// What comes next within `within`; `heard` is given the octets that were read meanwhile.
    fn read(&mut self, within: Duration, heard: impl FnOnce(&[u8])) -> io::Result<Wire> {
        let before = self.deframer.octets().len();
        self.fill(Instant::now() + within)?;
        heard(self.deframer.octets().get(before..).unwrap_or_default());
        Ok(match self.deframer.next() {
            Some(wire) => wire,
            None if self.ended => self.deframer.end(),
            None => Wire::Quiet,
        })
    }

    /// Reads until something can be taken, the transport ends, or it is `until`, however much comes. One look is taken in any
    /// case.
    fn fill(&mut self, until: Instant) -> io::Result<()> {
        let mut looked = false;
        while !self.ended && !self.deframer.is_ready() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() && looked {
                break;
            }
            looked = true;
            self.stream.set_read_timeout(Some(left.max(SHORTEST)))?;
            let mut octets = [0; READ];
            match self.stream.read(&mut octets) {
                Ok(0) => self.ended = true,
                Ok(len) => self.deframer.push(octets.get(..len).unwrap_or_default()),
                Err(error) if is_again(&error) => {}
                Err(error) => match error.kind() {
                    // What the tester sent last had not been read when the subject closed.
                    io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                        self.ended = true;
                    }
                    _ => return Err(error),
                },
            }
        }
        Ok(())
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
        let within = within.max(SHORTEST);
        let late = self.about.late;
        let stream = match &mut self.end {
            // Several connections that share their entities take an application that knows them all.
            End::Dial(_) if line == Line::Second && self.about.is_general() && self.application.is_some() => {
                return Err(Stop::undecided("the application has one connection"));
            }
            End::Dial(None) => return Err(Stop::undecided("no subject was begun")),
            End::Dial(Some(address)) => TcpStream::connect_timeout(address, within.max(late)).ok(),
            End::Listen(_) if line == Line::Second => {
                return Err(Stop::undecided("an active subject has no second caller"));
            }
            End::Listen(listener) => listener.accept(within).map_err(|error| system(&error))?,
        };
        let Some(stream) = stream else { return Ok(false) };
        self.note(if line == Line::First { "transport open" } else { "second transport open" });
        let ready = stream.set_nodelay(true).and_then(|()| stream.set_write_timeout(Some(late.max(SHORTEST))));
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
        let Some(mut connected) = self.line(line).take() else { return Ok(Wire::Quiet) };
        let (began, transcript) = (self.began, &mut self.transcript);
        let wire = connected.read(within, |octets| {
            if !octets.is_empty() {
                transcript.received(began.elapsed(), octets);
            }
        });
        match wire.map_err(|error| system(&error))? {
            Wire::Closed => {
                self.note("the subject closes the transport");
                Ok(Wire::Closed)
            }
            Wire::Broken(octets) => Ok(Wire::Broken(octets)),
            wire => {
                *self.line(line) = Some(connected);
                Ok(wire)
            }
        }
    }

    fn shut(&mut self, line: Line) {
        if let Some(mut connected) = self.line(line).take() {
            self.note("the tester closes the transport");
            // Until the subject has closed its end too, a further connection would be a second one.
            let until = Instant::now() + self.about.late;
            let _ = connected.stream.shutdown(Shutdown::Write);
            loop {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() || !matches!(connected.read(left, |_| {}), Ok(Wire::Frame(_))) {
                    break;
                }
            }
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
        let report = application.report(within.max(self.about.settle))?;
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

#[cfg(test)]
mod tests {
    use super::super::bench::MOST;
    use super::*;
    use hsms_core::wire::{Header, SystemBytes};
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    /// What a peer sends at the most before it gives up, so that a bench without limits comes to an end too.
    const FLOOD: usize = 96 << 20;

    fn setup() -> Setup {
        use super::super::{Entity, Role};
        Setup { role: Role::SsPassive, profile: Profile::Lenient, entity: Entity::Equipment }
    }

    /// A peer that takes one caller and sends it `first`, and then `again` until the caller has gone or [`FLOOD`] is reached. It
    /// gives how many octets it sent.
    fn flood(first: Vec<u8>, again: Vec<u8>) -> (SocketAddr, JoinHandle<usize>) {
        let listener = TcpListener::bind(ANY_PORT).unwrap();
        let address = listener.local_addr().unwrap();
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(&first).unwrap();
            let mut sent = 0;
            while sent < FLOOD && stream.write_all(&again).is_ok() {
                sent += again.len();
            }
            sent
        });
        (address, thread)
    }

    fn dial(address: SocketAddr) -> Socket {
        let mut bench = Socket::dialling(address, setup(), setup().config()).unwrap();
        assert!(bench.open(Line::First, LATE).unwrap());
        bench
    }

    #[test]
    fn a_length_that_no_message_has_costs_no_memory() {
        let (address, peer) = flood(vec![0xFF; 4], vec![0; 1 << 16]);
        let Wire::Broken(octets) = dial(address).read(Line::First, LATE).unwrap() else {
            panic!("taken for a message")
        };
        assert!(octets.starts_with(&[0xFF; 4]));
        assert!(octets.len() <= READ, "{} octets were kept", octets.len());
        assert!(peer.join().unwrap() < FLOOD, "everything was read");
    }

    #[test]
    fn the_limit_holds_while_octets_flow() {
        // The longest message there may be.
        let (address, peer) = flood(MOST.to_be_bytes().to_vec(), vec![0; 1 << 14]);
        let mut bench = dial(address);
        assert_eq!(bench.read(Line::First, SHORTEST).unwrap(), Wire::Quiet);
        drop(bench);
        assert!(peer.join().unwrap() < MOST as usize, "the whole message was waited for");
    }

    #[test]
    fn a_transport_is_shut_while_messages_flow() {
        let linktest = super::super::encode(&Header::linktest_req(SystemBytes(1)), &[]);
        let (address, peer) = flood(Vec::new(), linktest.repeat(1 << 10));
        let mut bench = dial(address);
        bench = bench.with_tolerance(EARLY, SHORTEST, SETTLE);
        bench.shut(Line::First);
        drop(bench);
        assert!(peer.join().unwrap() < FLOOD, "everything was read");
    }

    /// A bench with the transport up and this tolerance, to which the peer sends a Linktest.req after `delay`.
    fn linktest_after(delay: Duration, early: Duration, late: Duration, settle: Duration) -> (Socket, JoinHandle<()>) {
        let listener = TcpListener::bind(ANY_PORT).unwrap();
        let address = listener.local_addr().unwrap();
        let peer = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // Nobody sends: it ends with the limit, or, where the bench has closed before, at once.
            stream.set_read_timeout(Some(delay.max(SHORTEST))).unwrap();
            let _ = stream.read(&mut [0; 1]);
            let _ = stream.write_all(&super::super::encode(&Header::linktest_req(SystemBytes(1)), &[]));
            let _ = stream.read(&mut [0; 1]);
        });
        (dial(address).with_tolerance(early, late, settle), peer)
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn what_comes_within_the_time_to_settle_is_found() {
        let delay = 10 * SETTLE;
        let (mut bench, peer) = linktest_after(delay, EARLY, LATE, MINUTE);
        let bench: &mut dyn Bench = &mut bench;
        assert!(matches!(bench.quiet(Duration::ZERO), Err(Stop::Fail(_))), "nothing came");
        bench.shut(Line::First);
        peer.join().unwrap();
    }

    #[test]
    fn what_is_timed_may_be_so_early_and_so_late() {
        let none = Duration::ZERO;
        // Due in a minute, and due when the bench began; it comes at once.
        for (early, late, due, passes) in [
            (MINUTE, MINUTE, MINUTE, true),
            (none, MINUTE, MINUTE, false),
            (none, MINUTE, none, true),
            (none, none, none, false),
        ] {
            let (mut bench, peer) = linktest_after(none, early, late, SETTLE);
            let bench: &mut dyn Bench = &mut bench;
            let frame = bench.frame_at(Duration::ZERO, due);
            assert_eq!(frame.is_ok(), passes, "{early:?} early, {late:?} late, due after {due:?}: {frame:?}");
            bench.shut(Line::First);
            peer.join().unwrap();
        }
    }

    /// Gives how long its reports are waited for.
    struct Waited(std::sync::mpsc::Sender<Duration>);

    impl Application for Waited {
        fn start(&mut self, _: Config, _: Option<SocketAddr>) -> Outcome<Option<SocketAddr>> {
            Ok(None)
        }

        fn command(&mut self, _: &Command) -> Outcome<Option<String>> {
            Ok(None)
        }

        fn report(&mut self, within: Duration) -> Outcome<Option<Report>> {
            self.0.send(within).unwrap();
            Ok(None)
        }
    }

    #[test]
    fn reports_are_waited_for_as_long_as_it_takes_to_settle_and_no_span_is_too_long() {
        let (sender, waited) = std::sync::mpsc::channel();
        let bench = Socket::with_application(setup(), Box::new(Waited(sender))).unwrap();
        assert_eq!((bench.about.early, bench.about.late, bench.about.settle), (EARLY, LATE, SETTLE));
        let mut bench = bench.with_tolerance(Duration::MAX, Duration::MAX, Duration::MAX);
        assert_eq!(bench.report(SETTLE).unwrap(), None);
        assert_eq!(waited.recv().unwrap(), LONGEST);
        assert_eq!((bench.about.early, bench.about.late), (LONGEST, LONGEST));
    }
}
