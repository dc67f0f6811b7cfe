//! What tests are made of: steps that assert what comes, and that nothing else does.

use super::bench::{Bench, Command, Frame, Line, Report, Timer, Wire, encode};
use super::verdict::{Outcome, Stop};
use hsms_core::Config;
use hsms_core::config::{ConfigError, DeviceId};
use hsms_core::connection::{Class, CloseReason};
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};
use std::time::Duration;

/// The device id that subjects serve.
pub const DEVICE: DeviceId = DeviceId::new(1).unwrap();

/// The session id of its data.
pub const DATA: SessionId = DEVICE.session();

/// System bytes of the tester's own requests. A subject counts from elsewhere, so that the two are told apart.
pub const TESTER: SystemBytes = SystemBytes(0x7E57_0000);

/// S1F1, the primary that tests send most.
pub const S1F1: StreamFunction = StreamFunction::new(1, 1);

/// System bytes of the linktests by which a test makes sure that nothing else came.
const FENCE: SystemBytes = SystemBytes(0x7E57_FE0C);

/// The length field's octets and the header's in a message without text.
const WHOLE: usize = 14;

/// A Linktest.req of the tester's.
#[must_use]
pub const fn linktest() -> Header {
    Header::linktest_req(TESTER)
}

/// A primary of the tester's for the subject's device, with the W-bit.
#[must_use]
pub const fn primary(stream_function: StreamFunction) -> Header {
    Header::data(TESTER, stream_function, true, DATA)
}

/// The beginning of a test.
impl dyn Bench + '_ {
    /// A fresh subject with the bench's own settings, without a transport.
    ///
    /// # Errors
    /// As `finish` for the former one; [`Stop::Undecided`].
    pub fn begin(&mut self) -> Outcome {
        self.begin_with(Ok)
    }

    /// A fresh subject with other settings, without a transport. `change` begins with the bench's own settings each time.
    ///
    /// # Errors
    /// As `begin`.
    pub fn begin_with(&mut self, change: impl FnOnce(Config) -> Result<Config, ConfigError>) -> Outcome {
        self.finish()?;
        let config = change(self.about().own).map_err(|error| Stop::undecided(format!("no such subject: {error}")))?;
        self.start(config)
    }

    /// The span of a timer of the subject, for [`set`]: where settings can be made, one that is short enough to be waited for.
    #[must_use]
    pub fn span(&self, timer: Timer) -> Duration {
        let config = &self.about().own;
        let own = match timer {
            Timer::T3 => config.t3(),
            Timer::T5 => config.t5(),
            Timer::T6 => config.t6(),
            Timer::T7 => config.t7(),
            Timer::T8 => config.t8(),
            Timer::Linktest if config.linktest_period().is_zero() => config.t6() / 2,
            Timer::Linktest => config.linktest_period(),
        };
        if self.about().virtual_time || !self.about().settable {
            return own;
        }
        own.min(self.about().longest_wait)
    }

    /// Cases around the end of `timer`: for how long to wait, and whether that is in time. Where time is virtual a millisecond
    /// before the end and at the end itself, else far enough before it for a busy machine.
    #[must_use]
    pub fn around(&self, timer: Timer) -> [(Duration, bool); 2] {
        let span = self.span(timer);
        let before = if self.about().virtual_time { span.saturating_sub(Duration::from_millis(1)) } else { span / 16 };
        [(before, true), (span, false)]
    }

    /// A fresh subject whose `timer` can be waited for. Gives the timer's span.
    ///
    /// # Errors
    /// As `begin`.
    pub fn begin_timed(&mut self, timer: Timer) -> Outcome<Duration> {
        let span = self.span(timer);
        self.begin_with(|config| set(config, timer, span))?;
        Ok(span)
    }

    /// Brings the first transport up. Gives a moment that is not later than that.
    ///
    /// # Errors
    /// [`Stop::Fail`] where the subject neither listens nor dials.
    pub fn connect(&mut self) -> Outcome<Duration> {
        // An active subject may have to wait for T5.
        let within = self.about().patience().saturating_add(self.about().config.t5());
        let since = self.now();
        if self.open(Line::First, within)? {
            return Ok(if self.about().virtual_time { self.now() } else { since });
        }
        Err(Stop::fail("the subject did not take or make a connection"))
    }

    /// To NOT SELECTED: connects the subject that was begun, and reads the Select.req of an active one, which stays
    /// unanswered. Gives its system bytes; zero from a passive subject, which sends nothing.
    ///
    /// # Errors
    /// [`Stop::Fail`] where an active subject sends something else.
    pub fn not_selected(&mut self) -> Outcome<SystemBytes> {
        self.connect()?;
        if !self.about().is_active() {
            return Ok(SystemBytes(0));
        }
        let frame = self.frame()?;
        let select = Header::select_req(frame.header.system).with_session(self.session());
        self.is(&frame, &Frame::new(select, &[]))?;
        Ok(frame.header.system)
    }

    /// What the Select.req of these steps names: no session where there is but one, else [`DATA`].
    fn session(&self) -> SessionId {
        if self.about().is_general() { DATA } else { SessionId::CONTROL }
    }

    /// To SELECTED, in the regular way: connects the subject that was begun, and selects. What the application was told so
    /// far is passed over.
    ///
    /// # Errors
    /// [`Stop::Fail`] where the subject cannot be selected.
    pub fn selected(&mut self) -> Outcome {
        let select = self.not_selected()?;
        self.become_selected(select)
    }

    /// From NOT SELECTED to SELECTED: `select` is what `not_selected` gave.
    ///
    /// # Errors
    /// [`Stop::Fail`] where the subject cannot be selected.
    pub fn become_selected(&mut self, select: SystemBytes) -> Outcome {
        let session = self.session();
        if self.about().is_active() {
            self.send(Header::select_rsp(select).with_session(session))?;
            self.stays_selected()?;
        } else {
            self.send(Header::select_req(TESTER).with_session(session))?;
            self.expect(Header::select_rsp(TESTER).with_session(session))?;
        }
        let selected = if self.about().is_general() { Report::SessionSelected(session) } else { Report::Selected };
        self.told_some(&selected)
    }

    /// `begin` and `selected`.
    ///
    /// # Errors
    /// Theirs.
    pub fn begin_selected(&mut self) -> Outcome {
        self.begin()?;
        self.selected()
    }

    /// `begin` and `not_selected`.
    ///
    /// # Errors
    /// Theirs.
    pub fn begin_not_selected(&mut self) -> Outcome<SystemBytes> {
        self.begin()?;
        self.not_selected()
    }

    /// All of `cases` where time is virtual, and else at most four of them, the first and the last included.
    pub fn some<T>(&self, cases: impl IntoIterator<Item = T>) -> Vec<T> {
        let all: Vec<T> = cases.into_iter().collect();
        let last = all.len().saturating_sub(1);
        if self.about().virtual_time || last < 4 {
            return all;
        }
        let wanted = [0, last / 3, last - last / 3, last];
        all.into_iter().enumerate().filter(|(index, _)| wanted.contains(index)).map(|(_, case)| case).collect()
    }
}

/// Sends.
impl dyn Bench + '_ {
    /// Sends a message without text.
    ///
    /// # Errors
    /// [`Stop::Fail`] where the transport is closed.
    pub fn send(&mut self, header: Header) -> Outcome {
        self.send_text(header, &[])
    }

    /// Sends a message with text.
    ///
    /// # Errors
    /// As `send`.
    pub fn send_text(&mut self, header: Header, text: &[u8]) -> Outcome {
        self.write(Line::First, &encode(&header, text))
    }

    /// Sends any octets: parts of messages, or several at once.
    ///
    /// # Errors
    /// As `send`.
    pub fn send_octets(&mut self, octets: &[u8]) -> Outcome {
        self.write(Line::First, octets)
    }

    /// Has the application do something, which must not be refused.
    ///
    /// # Errors
    /// [`Stop::Fail`] where it is refused; [`Stop::Undecided`].
    pub fn does(&mut self, command: Command) -> Outcome {
        match self.command(&command)? {
            None => Ok(()),
            Some(why) => Err(Stop::fail(format!("{command:?} was refused: {why}"))),
        }
    }

    /// Has the application do something that must be refused; what it must not send shows with the next step.
    ///
    /// # Errors
    /// [`Stop::Fail`] where it is not refused; [`Stop::Undecided`].
    pub fn refuses(&mut self, command: Command) -> Outcome {
        match self.command(&command)? {
            None => Err(Stop::fail(format!("{command:?} was not refused"))),
            Some(_) => Ok(()),
        }
    }

    /// Has the application send a primary with the W-bit and this text, and reads it. Gives its header.
    ///
    /// # Errors
    /// [`Stop::Fail`] where something else is sent; [`Stop::Undecided`].
    pub fn request(&mut self, stream_function: StreamFunction, text: &[u8]) -> Outcome<Header> {
        self.does(Command::Request(stream_function, text.to_vec()))?;
        let frame = self.frame()?;
        let header = Header::data(frame.header.system, stream_function, true, DATA);
        self.is(&frame, &Frame::new(header, text))?;
        Ok(header)
    }
}

/// Assertions.
impl dyn Bench + '_ {
    /// The next that comes is this message, without text.
    ///
    /// # Errors
    /// [`Stop::Fail`].
    pub fn expect(&mut self, header: Header) -> Outcome {
        self.expect_text(header, &[])
    }

    /// The next that comes is this message.
    ///
    /// # Errors
    /// [`Stop::Fail`].
    pub fn expect_text(&mut self, header: Header, text: &[u8]) -> Outcome {
        self.expect_on(Line::First, header, text)
    }

    /// The next that comes over `line` is this message.
    ///
    /// # Errors
    /// [`Stop::Fail`].
    pub fn expect_on(&mut self, line: Line, header: Header, text: &[u8]) -> Outcome {
        let wanted = Frame::new(header, text);
        let patience = self.about().patience();
        match self.read(line, patience)? {
            Wire::Frame(frame) => self.is(&frame, &wanted),
            other => Err(Stop::fail(format!("{} instead of {}", said(&other), named(&wanted)))),
        }
    }

    /// The next that comes is a message, whichever.
    ///
    /// # Errors
    /// [`Stop::Fail`].
    pub fn frame(&mut self) -> Outcome<Frame> {
        let patience = self.about().patience();
        match self.read(Line::First, patience)? {
            Wire::Frame(frame) => Ok(frame),
            other => Err(Stop::fail(format!("{} instead of a message", said(&other)))),
        }
    }

    /// `frame` is `wanted`.
    ///
    /// # Errors
    /// [`Stop::Fail`].
    pub fn is(&self, frame: &Frame, wanted: &Frame) -> Outcome {
        require(frame == wanted, || format!("{} instead of {}", named(frame), named(wanted)))
    }

    /// The next that comes is the end of the transport.
    ///
    /// # Errors
    /// [`Stop::Fail`].
    pub fn expect_closed(&mut self) -> Outcome {
        self.expect_closed_on(Line::First)
    }

    /// The next that comes over `line` is its end.
    ///
    /// # Errors
    /// [`Stop::Fail`].
    pub fn expect_closed_on(&mut self, line: Line) -> Outcome {
        let patience = self.about().patience();
        match self.read(line, patience)? {
            Wire::Closed => Ok(()),
            other => Err(Stop::fail(format!("{} instead of the end of the transport", said(&other)))),
        }
    }

    /// Sends a message without text that breaks the protocol: the transport is closed, nothing is sent, and the application is
    /// told of the message and of `reason`.
    ///
    /// # Errors
    /// [`Stop::Fail`].
    pub fn ends(&mut self, offender: Header, reason: CloseReason) -> Outcome {
        self.send(offender)?;
        self.expect_closed()?;
        self.told(&[Report::Other(offender, Class::Fatal), Report::Closed(reason)])
    }

    /// Nothing comes within `span`; over a socket it is listened for a little while at least.
    ///
    /// # Errors
    /// [`Stop::Fail`].
    pub fn quiet(&mut self, span: Duration) -> Outcome {
        self.quiet_on(Line::First, span)
    }

    /// The same for `line`.
    ///
    /// # Errors
    /// [`Stop::Fail`].
    pub fn quiet_on(&mut self, line: Line, span: Duration) -> Outcome {
        let within = span.max(self.about().settle);
        match self.read(line, within)? {
            Wire::Quiet => Ok(()),
            other => Err(Stop::fail(format!("{} instead of nothing", said(&other)))),
        }
    }

    /// The next that comes is a message, `span` after the moment `since`: not a millisecond sooner or later where time is
    /// virtual, else within the tolerance.
    ///
    /// # Errors
    /// [`Stop::Fail`].
    pub fn frame_at(&mut self, since: Duration, span: Duration) -> Outcome<Frame> {
        match self.wire_at(since, span)? {
            Wire::Frame(frame) => Ok(frame),
            other => Err(Stop::fail(format!("{} instead of a message", said(&other)))),
        }
    }

    /// The next that comes is the end of the transport, `span` after the moment `since`.
    ///
    /// # Errors
    /// [`Stop::Fail`].
    pub fn closed_at(&mut self, since: Duration, span: Duration) -> Outcome {
        match self.wire_at(since, span)? {
            Wire::Closed => Ok(()),
            other => Err(Stop::fail(format!("{} instead of the end of the transport", said(&other)))),
        }
    }

    /// An active subject dials again `span` after the moment `since`, and not sooner.
    ///
    /// # Errors
    /// [`Stop::Fail`].
    pub fn dials_at(&mut self, since: Duration, span: Duration) -> Outcome {
        let until = since.saturating_add(span).saturating_add(self.about().late);
        let within = until.saturating_sub(self.now());
        require(self.open(Line::First, within)?, || format!("no attempt to connect within {span:?}"))?;
        self.in_time(since, span)
    }

    /// Neither dials nor listens within `span`.
    ///
    /// # Errors
    /// [`Stop::Fail`].
    pub fn stays_away(&mut self, span: Duration) -> Outcome {
        let within = span.max(self.about().settle);
        require(!self.open(Line::First, within)?, || "the subject takes or makes connections".into())
    }

    fn wire_at(&mut self, since: Duration, span: Duration) -> Outcome<Wire> {
        let until = since.saturating_add(span).saturating_add(self.about().late);
        let within = until.saturating_sub(self.now());
        let wire = self.read(Line::First, within)?;
        self.in_time(since, span)?;
        Ok(wire)
    }

    /// This moment is `span` after `since`, within the tolerance.
    fn in_time(&self, since: Duration, span: Duration) -> Outcome {
        let (early, late) = (self.about().early, self.about().late);
        let took = self.now().saturating_sub(since);
        require(took.saturating_add(early) >= span, || format!("after {took:?}, which is before {span:?}"))?;
        require(took <= span.saturating_add(late), || format!("after {took:?}, which is beyond {span:?}"))
    }

    /// Nothing came since the last step, and the subject is SELECTED: it takes data, and the next that comes is the answer to a
    /// linktest behind it.
    ///
    /// # Errors
    /// [`Stop::Fail`].
    pub fn stays_selected(&mut self) -> Outcome {
        self.stays_selected_in(DATA)
    }

    /// The same for any session of HSMS-GS.
    ///
    /// # Errors
    /// [`Stop::Fail`].
    pub fn stays_selected_in(&mut self, session: SessionId) -> Outcome {
        // A subject that is NOT SELECTED may answer linktests too, but rejects data.
        self.send(Header::data(FENCE, S1F1, false, session))?;
        self.send(Header::linktest_req(FENCE))?;
        self.expect(Header::linktest_rsp(FENCE))
    }

    /// Nothing came since the last step, and the subject is NOT SELECTED and can be selected still. `select` is what
    /// `not_selected` gave.
    ///
    /// # Errors
    /// [`Stop::Fail`].
    pub fn stays_not_selected(&mut self, select: SystemBytes) -> Outcome {
        self.quiet(Duration::ZERO)?;
        self.become_selected(select)
    }

    /// The application was told exactly this since the last such step, in whatever order. Where the application is out of
    /// reach nothing is looked at.
    ///
    /// # Errors
    /// [`Stop::Fail`].
    pub fn told(&mut self, wanted: &[Report]) -> Outcome {
        if !self.about().application {
            return Ok(());
        }
        let mut wanted: Vec<&Report> = wanted.iter().collect();
        loop {
            let within = if wanted.is_empty() { Duration::ZERO } else { self.about().patience() };
            match self.next_report(within)? {
                None if wanted.is_empty() => return Ok(()),
                None => return Err(Stop::fail(format!("the application was not told {wanted:?}"))),
                Some(report) => match wanted.iter().position(|wanted| **wanted == report) {
                    Some(index) => drop(wanted.remove(index)),
                    None => {
                        return Err(Stop::fail(format!("the application was told {report:?}; expected: {wanted:?}")));
                    }
                },
            }
        }
    }

    /// What the application was told next, but for the data by which steps make sure that it is SELECTED.
    fn next_report(&mut self, within: Duration) -> Outcome<Option<Report>> {
        loop {
            match self.report(within)? {
                Some(Report::Primary(frame)) if frame.header.system == FENCE => {}
                report => return Ok(report),
            }
        }
    }

    /// The application is told this next, `span` after the moment `since`.
    ///
    /// # Errors
    /// [`Stop::Fail`].
    pub fn told_at(&mut self, since: Duration, span: Duration, wanted: &Report) -> Outcome {
        if !self.about().application {
            return Err(Stop::undecided("what the application is told is out of reach"));
        }
        let within = since.saturating_add(span).saturating_add(self.about().late).saturating_sub(self.now());
        let report = self.next_report(within)?;
        require(report.as_ref() == Some(wanted), || {
            format!("the application was told {report:?} instead of {wanted:?}")
        })?;
        self.in_time(since, span)
    }

    /// The application was told this, and perhaps other things before it.
    ///
    /// # Errors
    /// [`Stop::Fail`].
    pub fn told_some(&mut self, wanted: &Report) -> Outcome {
        if !self.about().application {
            return Ok(());
        }
        let patience = self.about().patience();
        while let Some(report) = self.next_report(patience)? {
            if report == *wanted {
                return Ok(());
            }
        }
        Err(Stop::fail(format!("the application was not told {wanted:?}")))
    }

    /// Nothing is left that came and was not looked at. Every test ends with it, and every further case begins with it.
    ///
    /// # Errors
    /// [`Stop::Fail`].
    pub fn finish(&mut self) -> Outcome {
        for line in [Line::First, Line::Second] {
            self.quiet_on(line, Duration::ZERO)?;
        }
        Ok(())
    }
}

/// Fails with these words unless `holds`.
///
/// # Errors
/// [`Stop::Fail`].
pub fn require(holds: bool, why: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(Stop::Fail(why())) }
}

/// Settings with another span of `timer`.
///
/// # Errors
/// Where the settings cannot have it.
pub fn set(config: Config, timer: Timer, span: Duration) -> Result<Config, ConfigError> {
    match timer {
        Timer::T3 => config.with_t3(span),
        Timer::T5 => config.with_t5(span),
        Timer::T6 => config.with_t6(span),
        Timer::T7 => config.with_t7(span),
        Timer::T8 => config.with_t8(span),
        Timer::Linktest => config.with_linktest_period(span),
    }
}

fn said(wire: &Wire) -> String {
    match wire {
        Wire::Frame(frame) => named(frame),
        Wire::Closed => "the end of the transport".into(),
        Wire::Broken(octets) => format!("{} octets that are no message", octets.len()),
        Wire::Quiet => "nothing".into(),
    }
}

fn named(frame: &Frame) -> String {
    let octets = frame.encode();
    format!("{:?} ({})", frame.header, hsms_core::wire::Hex::bounded(&octets, WHOLE + 32))
}
