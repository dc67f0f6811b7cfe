//! A subject in memory, under a virtual clock.

mod machine;

pub(super) use machine::report;
pub use machine::{Machine, ours};

use super::Setup;
use super::bench::{About, Bench, Command, Deframer, Line, Report, Wire};
use super::sessions::Entities;
use super::verdict::{Outcome, Stop, Transcript};
use hsms_core::Config;
use hsms_core::time::Instant;
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// An implementation in memory, as a bench sees it: our own machine, or one that is broken on purpose.
pub trait Subject {
    /// Takes what happens at `now`, which never goes back.
    fn input(&mut self, now: Instant, input: Input<'_>);

    /// Does what the application asks for.
    ///
    /// # Errors
    /// Why not.
    fn command(&mut self, now: Instant, command: &Command) -> Result<(), String>;

    /// When to call `input` with [`Input::Time`] at the latest.
    fn next_deadline(&self) -> Option<Instant>;

    /// The next thing that it does, until there is nothing.
    fn poll(&mut self) -> Option<Output>;

    /// What serves a caller beyond the first, if anything does.
    fn second(&self) -> Option<Box<dyn Subject>>;
}

/// What happens to a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input<'i> {
    /// It is to make connections, or to take them.
    Enable,
    /// The transport that it asked for is open.
    Opened,
    /// It could not be opened.
    OpenFailed,
    /// The tester has closed it.
    Closed,
    /// Octets came.
    Octets(&'i [u8]),
    /// Time has passed.
    Time,
}

/// What a subject does.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// It asks for a transport: dials or listens.
    Open,
    /// It sends octets.
    Octets(Vec<u8>),
    /// It closes the transport.
    Close,
    /// It tells its application.
    Report(Report),
}

/// A bench with a subject in memory. No time passes but what a test lets pass, so everything is exact.
pub struct Memory {
    about: About,
    make: Make,
    /// Milliseconds.
    now: u64,
    /// How many milliseconds too late the subject is told that a deadline has come.
    lag: u64,
    first: Side,
    second: Option<Side>,
    reports: VecDeque<Report>,
    transcript: Transcript,
}

/// Makes a subject with settings and session entities.
type Make = Box<dyn Fn(Config, &Entities) -> Box<dyn Subject>>;

/// A subject and its end of one transport.
struct Side {
    subject: Box<dyn Subject>,
    /// It asks for a transport and has none.
    wants: bool,
    open: bool,
    deframer: Deframer,
    came: VecDeque<Wire>,
}

/// Timers that may fire between two looks at the wire; more mean a subject that never comes to rest.
const MOST_TIMERS: usize = 100_000;

impl Memory {
    /// A bench with our machine.
    #[must_use]
    pub fn ours(setup: Setup) -> Self {
        Memory::with_entities(setup, move |config, entities| ours(setup.role, config, entities))
    }

    /// A bench with a subject that `make` makes of its settings, anew for each case of a test.
    pub fn new(setup: Setup, make: impl Fn(Config) -> Box<dyn Subject> + 'static) -> Self {
        Memory::with_entities(setup, move |config, _| make(config))
    }

    /// The same where the subject's session entities count.
    pub fn with_entities(setup: Setup, make: impl Fn(Config, &Entities) -> Box<dyn Subject> + 'static) -> Self {
        let config = setup.config();
        let about = About {
            setup,
            own: config,
            config,
            virtual_time: true,
            early: Duration::ZERO,
            late: Duration::ZERO,
            settle: Duration::ZERO,
            longest_wait: Duration::MAX,
            settable: true,
            application: true,
        };
        let mut memory = Memory {
            about,
            first: Side::new(make(config, &Entities::of(setup.role))),
            make: Box::new(make),
            now: 0,
            lag: 0,
            second: None,
            reports: VecDeque::new(),
            transcript: Transcript::new(),
        };
        memory.input(Line::First, Input::Enable);
        memory
    }

    /// The same, with a subject that is told so late that its deadlines have come, as busy machines do. What is timed may
    /// come that much later.
    #[must_use]
    pub fn late(mut self, lag: Duration) -> Self {
        self.lag = u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
        self.about.late = lag;
        self
    }

    fn instant(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    fn side(&mut self, line: Line) -> Option<&mut Side> {
        match line {
            Line::First => Some(&mut self.first),
            Line::Second => self.second.as_mut(),
        }
    }

    fn input(&mut self, line: Line, input: Input<'_>) {
        let now = self.instant();
        if let Some(side) = self.side(line) {
            side.subject.input(now, input);
        }
        self.drain(line);
    }

    fn drain(&mut self, line: Line) {
        let at = Duration::from_millis(self.now);
        let (side, name) = match (line, &mut self.second) {
            (Line::First, _) => (&mut self.first, ""),
            (Line::Second, Some(side)) => (side, " (second)"),
            (Line::Second, None) => return,
        };
        while let Some(output) = side.subject.poll() {
            match output {
                Output::Open => {
                    side.wants = true;
                    self.transcript.note(at, "the subject asks for a transport");
                }
                Output::Octets(octets) => {
                    self.transcript.received(at, &octets);
                    side.deframer.push(&octets);
                    side.came.extend(std::iter::from_fn(|| side.deframer.next()));
                }
                Output::Close => {
                    side.wants = false;
                    if std::mem::take(&mut side.open) {
                        side.came.push_back(side.deframer.end());
                        self.transcript.note(at, format!("the subject closes the transport{name}"));
                    }
                }
                Output::Report(report) if line == Line::First => {
                    self.transcript.note(at, format!("the application is told: {report:?}"));
                    self.reports.push_back(report);
                }
                Output::Report(_) => {}
            }
        }
    }

    /// Lets time pass to the next deadline, at most until `until`. Tells whether there was one.
    fn pass(&mut self, until: u64) -> bool {
        let first = self.first.subject.next_deadline();
        let second = self.second.as_ref().and_then(|side| side.subject.next_deadline());
        let line = match (first, second) {
            (Some(first), Some(second)) if second < first => Line::Second,
            (None, Some(_)) => Line::Second,
            _ => Line::First,
        };
        let deadline = if line == Line::First { first } else { second };
        // What is due at once is no matter of time.
        let lag = if deadline.is_some_and(|deadline| deadline <= self.instant()) { 0 } else { self.lag };
        match deadline.map(|deadline| deadline.as_millis().saturating_add(lag)) {
            Some(deadline) if deadline <= until => {
                self.now = self.now.max(deadline);
                self.input(line, Input::Time);
                true
            }
            _ => {
                self.now = self.now.max(until);
                false
            }
        }
    }

    fn until(&self, within: Duration) -> u64 {
        self.now.saturating_add(u64::try_from(within.as_millis()).unwrap_or(u64::MAX))
    }

    /// Lets time pass until `found` finds something, at most until `within` is over.
    fn wait<T>(&mut self, within: Duration, mut found: impl FnMut(&mut Self) -> Option<T>) -> Outcome<Option<T>> {
        let until = self.until(within);
        for _ in 0..MOST_TIMERS {
            if let Some(found) = found(self) {
                return Ok(Some(found));
            }
            if !self.pass(until) {
                return Ok(found(self));
            }
        }
        Err(Stop::fail("the subject's timers fire without end"))
    }

    fn wanted(&mut self, within: Duration) -> Outcome<bool> {
        Ok(self.wait(within, |memory| std::mem::take(&mut memory.first.wants).then_some(()))?.is_some())
    }
}

impl Side {
    fn new(subject: Box<dyn Subject>) -> Self {
        Side { subject, wants: false, open: false, deframer: Deframer::default(), came: VecDeque::new() }
    }
}

impl Bench for Memory {
    fn about(&self) -> &About {
        &self.about
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.now)
    }

    fn start(&mut self, config: Config) -> Outcome {
        self.start_with(config, &Entities::of(self.about.setup.role))
    }

    fn start_with(&mut self, config: Config, entities: &Entities) -> Outcome {
        entities.sessions().map_err(|error| Stop::undecided(format!("no such subject: {error}")))?;
        self.about.config = config;
        self.first = Side::new((self.make)(config, entities));
        self.second = None;
        self.reports.clear();
        let at = self.now();
        self.transcript.note(at, "a fresh subject");
        self.input(Line::First, Input::Enable);
        Ok(())
    }

    fn open(&mut self, line: Line, within: Duration) -> Outcome<bool> {
        match line {
            Line::First => {
                if !self.wanted(within)? {
                    return Ok(false);
                }
            }
            Line::Second => match self.first.subject.second() {
                Some(subject) => self.second = Some(Side::new(subject)),
                None => return Ok(false),
            },
        }
        let at = self.now();
        self.transcript.note(at, if line == Line::First { "transport open" } else { "second transport open" });
        if let Some(side) = self.side(line) {
            side.open = true;
            side.deframer = Deframer::default();
        }
        self.input(line, Input::Opened);
        Ok(true)
    }

    fn fail_open(&mut self, within: Duration) -> Outcome<bool> {
        let wanted = self.wanted(within)?;
        if wanted {
            let at = self.now();
            self.transcript.note(at, "the transport cannot be opened");
            self.input(Line::First, Input::OpenFailed);
        }
        Ok(wanted)
    }

    fn write(&mut self, line: Line, octets: &[u8]) -> Outcome {
        let at = self.now();
        self.transcript.sent(at, octets);
        if !self.side(line).is_some_and(|side| side.open) {
            return Err(Stop::fail("the subject has closed the transport"));
        }
        self.input(line, Input::Octets(octets));
        Ok(())
    }

    fn read(&mut self, line: Line, within: Duration) -> Outcome<Wire> {
        let wire = self.wait(within, |memory| memory.side(line)?.came.pop_front())?;
        Ok(wire.unwrap_or(Wire::Quiet))
    }

    fn shut(&mut self, line: Line) {
        let at = self.now();
        self.transcript.note(at, "the tester closes the transport");
        if let Some(side) = self.side(line)
            && std::mem::take(&mut side.open)
        {
            self.input(line, Input::Closed);
        }
    }

    fn command(&mut self, command: &Command) -> Outcome<Option<String>> {
        let (at, now) = (self.now(), self.instant());
        self.transcript.note(at, format!("the application asks for {command:?}"));
        let result = self.first.subject.command(now, command);
        self.drain(Line::First);
        Ok(result.err())
    }

    fn report(&mut self, within: Duration) -> Outcome<Option<Report>> {
        self.wait(within, |memory| memory.reports.pop_front())
    }

    fn transcript(&mut self) -> &mut Transcript {
        &mut self.transcript
    }
}

/// Settings, time, and what happened.
impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("about", &self.about)
            .field("now", &self.now)
            .field("transcript", &self.transcript)
            .finish_non_exhaustive()
    }
}
