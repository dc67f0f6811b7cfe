//! A subject in memory, under a virtual clock.

use super::bench::{About, Bench, Command, Deframer, Frame, Line, Report, Wire};
use super::verdict::{Outcome, Stop, Transcript};
use super::{Setup, steps};
use hsms_core::Config;
use hsms_core::collect::Collector;
use hsms_core::connection::{Action, Class, Connection, Event, Inbound, Notice, ReplyToken};
use hsms_core::time::Instant;
use hsms_core::wire::SystemBytes;
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

/// Where subjects count their system bytes from; far from those of the tester.
const FIRST_SYSTEM: SystemBytes = SystemBytes(0x0051_0001);

/// Primaries of the subject that can be open at once, as with the blocking connection.
const TRANSACTIONS: usize = 64;

/// Our machine.
pub struct Machine {
    connection: Connection<TRANSACTIONS>,
    collector: Collector<Vec<u8>>,
    tokens: VecDeque<ReplyToken>,
    output: VecDeque<Output>,
    now: Instant,
}

impl Machine {
    /// Our machine with these settings.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let mut machine = Machine::over(Connection::new(config));
        machine.connection.set_next_system_bytes(FIRST_SYSTEM);
        machine
    }

    /// Our machine as it serves a caller beyond the first.
    #[must_use]
    pub fn refusing(config: Config) -> Self {
        Machine::over(Connection::refusing(config))
    }

    fn over(connection: Connection<TRANSACTIONS>) -> Self {
        let limit = usize::try_from(connection.config().max_message()).unwrap_or(usize::MAX);
        Machine {
            connection,
            collector: Collector::new(Vec::new(), limit),
            tokens: VecDeque::new(),
            output: VecDeque::new(),
            now: Instant::EPOCH,
        }
    }

    /// Carries out the machine's actions; the transport takes everything at once.
    fn drain(&mut self) {
        while let Some(action) = self.connection.poll_action() {
            let output = match action {
                Action::OpenTransport => Output::Open,
                Action::Send(frame) => {
                    let octets = frame.encode().to_vec();
                    self.written(octets.len());
                    Output::Octets(octets)
                }
                Action::CloseTransport(reason) => {
                    self.output.push_back(Output::Close);
                    Output::Report(Report::Closed(reason))
                }
                Action::Notify(notice) => match report(&notice) {
                    Some(report) => Output::Report(report),
                    None => continue,
                },
            };
            self.output.push_back(output);
        }
    }

    fn written(&mut self, octets: usize) {
        let octets = u64::try_from(octets).unwrap_or(u64::MAX);
        // Only as much as was appended is told.
        let _ = self.connection.written(self.now, octets);
    }

    fn receive(&mut self, mut octets: &[u8]) {
        while let Ok((taken, inbound)) = self.connection.receive(self.now, octets)
            && taken > 0
        {
            if let Some(inbound) = inbound {
                self.take(&inbound);
            }
            self.drain();
            octets = octets.get(taken..).unwrap_or(&[]);
        }
    }

    fn take(&mut self, inbound: &Inbound<'_>) {
        if let Ok(Some(collected)) = self.collector.push(inbound) {
            let frame = Frame::new(collected.message.header, collected.message.body);
            self.tokens.extend(collected.reply_token);
            let reply = collected.class == Class::Reply;
            self.output.push_back(Output::Report(if reply { Report::Reply(frame) } else { Report::Primary(frame) }));
        }
        if inbound.first() && !inbound.is_for_application() && inbound.class != Class::Control {
            self.output.push_back(Output::Report(Report::Other(*inbound.header(), inbound.class)));
        }
    }

    /// Appends a message of data.
    fn append(&mut self, prefix: [u8; 14], text: &[u8]) -> Result<(), hsms_core::Error> {
        let octets = [&prefix[..], text].concat();
        self.connection.end_body(self.now)?;
        self.written(octets.len());
        self.output.push_back(Output::Octets(octets));
        Ok(())
    }

    fn carry_out(&mut self, command: &Command) -> Result<(), hsms_core::Error> {
        let now = self.now;
        let len = |text: &[u8]| u32::try_from(text.len()).unwrap_or(u32::MAX);
        match command {
            Command::Select => self.connection.select(now).map(drop),
            Command::Linktest => self.connection.linktest(now).map(drop),
            Command::Separate => self.connection.separate(now),
            Command::Disable => self.connection.disable(now),
            Command::Enable => self.connection.enable(now),
            Command::Request(stream_function, text) | Command::Send(stream_function, text) => {
                let w = matches!(command, Command::Request(..));
                let device = self.connection.config().device_ids().as_slice().first().copied();
                let device = device.unwrap_or(steps::DEVICE);
                let (_, prefix) = self.connection.begin_primary(now, device, *stream_function, w, len(text))?;
                self.append(prefix, text)
            }
            Command::Reply(text) => {
                let token = self.tokens.pop_front().ok_or(hsms_core::Error::StaleToken)?;
                let prefix = self.connection.begin_reply(now, &token, len(text))?;
                self.append(prefix, text)
            }
            Command::Abort => {
                let token = self.tokens.pop_front().ok_or(hsms_core::Error::StaleToken)?;
                let prefix = self.connection.begin_abort(now, &token)?;
                self.append(prefix, &[])
            }
            Command::ReportError(error, about) => self.connection.report_error(now, *error, about),
            Command::Forget(system) => self.connection.forget(*system),
        }
    }
}

/// What the application is told by a notice.
pub(super) fn report(notice: &Notice) -> Option<Report> {
    Some(match *notice {
        Notice::Selected => Report::Selected,
        Notice::Deselected => Report::Deselected,
        Notice::TransactionEnded { system, end } => Report::Ended(system, end),
        Notice::LinktestAnswered { .. } => Report::LinktestAnswered,
        Notice::LinktestMissed { missed, .. } => Report::LinktestMissed(missed),
        Notice::RejectReceived { header } => Report::StrayReject(header),
        Notice::Lenient(leniency) => Report::Lenient(leniency),
        _ => return None,
    })
}

impl Subject for Machine {
    fn input(&mut self, now: Instant, input: Input<'_>) {
        self.now = now;
        // What cannot be is refused by the machine, and nothing comes of it.
        let _ = match input {
            Input::Enable => self.connection.enable(now),
            Input::Opened => self.connection.handle(now, Event::TransportOpen),
            Input::OpenFailed => self.connection.handle(now, Event::TransportFailed),
            Input::Closed => self.connection.handle(now, Event::TransportClosed),
            Input::Time => self.connection.handle(now, Event::Timeout),
            Input::Octets(octets) => {
                self.receive(octets);
                Ok(())
            }
        };
        self.drain();
    }

    fn command(&mut self, now: Instant, command: &Command) -> Result<(), String> {
        self.now = now;
        let result = self.carry_out(command).map_err(|error| error.to_string());
        self.drain();
        result
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.connection.next_deadline()
    }

    fn poll(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    fn second(&self) -> Option<Box<dyn Subject>> {
        let config = *self.connection.config();
        (!self.connection.config().mode().eq(&hsms_core::config::ConnectMode::Active))
            .then(|| Box::new(Machine::refusing(config)) as Box<dyn Subject>)
    }
}

/// Where it stands.
impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("connection", &self.connection).finish_non_exhaustive()
    }
}

/// A bench with a subject in memory. No time passes but what a test lets pass, so everything is exact.
pub struct Memory {
    about: About,
    make: Box<dyn Fn(Config) -> Box<dyn Subject>>,
    /// Milliseconds.
    now: u64,
    /// How many milliseconds too late the subject is told that a deadline has come.
    lag: u64,
    first: Side,
    second: Option<Side>,
    reports: VecDeque<Report>,
    transcript: Transcript,
}

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
        Memory::new(setup, |config| Box::new(Machine::new(config)))
    }

    /// A bench with a subject that `make` makes of its settings, anew for each case of a test.
    pub fn new(setup: Setup, make: impl Fn(Config) -> Box<dyn Subject> + 'static) -> Self {
        let config = setup.config();
        let about = About {
            setup,
            own: config,
            config,
            virtual_time: true,
            early: Duration::ZERO,
            late: Duration::ZERO,
            settle: Duration::ZERO,
            settable: true,
            application: true,
        };
        let mut memory = Memory {
            about,
            first: Side::new(make(config)),
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
        self.about.config = config;
        self.first = Side::new((self.make)(config));
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
