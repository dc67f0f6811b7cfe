//! The tester's place: at the other end of the wire of one implementation, and beside its application.

use super::sessions::Entities;
use super::verdict::{Outcome, Stop, Transcript};
use super::{Role, Setup};
use hsms_core::Config;
use hsms_core::connection::{
    Admission, Class, CloseReason, Leniency, SessionEnd, SessionRefusal, Stream9, TransactionEnd,
};
use hsms_core::wire::{Header, Message, ParseError, SelectStatus, SessionId, StreamFunction, SystemBytes};
use std::time::Duration;

/// A tester and one implementation under test, the subject.
///
/// These are the operations that an implementation of a bench provides; tests mostly use the methods of `dyn Bench`, which are
/// made of them. A bench never blocks without a limit.
pub trait Bench {
    /// What is known about the subject and the bench.
    fn about(&self) -> &About;

    /// The time since the bench was made: virtual or real.
    fn now(&self) -> Duration;

    /// A fresh subject with these settings, enabled, without a transport. What came from the former one is void.
    ///
    /// # Errors
    /// [`Stop::Undecided`] where the subject cannot be given these settings.
    fn start(&mut self, config: Config) -> Outcome;

    /// The same for a subject of HSMS-GS with these session entities; [`start`](Self::start) gives it [`Entities::of`] its role.
    ///
    /// # Errors
    /// [`Stop::Undecided`] where the subject cannot be given them.
    fn start_with(&mut self, config: Config, entities: &Entities) -> Outcome {
        let _ = (config, entities);
        Err(Stop::undecided("the subject's session entities are out of reach"))
    }

    /// Brings a transport up: dials a passive subject, waits for an active one to dial. Tells whether that came about within
    /// `within`.
    ///
    /// # Errors
    /// [`Stop::Undecided`] where the bench cannot.
    fn open(&mut self, line: Line, within: Duration) -> Outcome<bool>;

    /// Lets the subject's attempt to get a transport fail. Tells whether it made one within `within`.
    ///
    /// # Errors
    /// [`Stop::Undecided`] where the bench cannot.
    fn fail_open(&mut self, within: Duration) -> Outcome<bool>;

    /// Sends octets to the subject.
    ///
    /// # Errors
    /// [`Stop::Fail`] where the subject has closed the transport.
    fn write(&mut self, line: Line, octets: &[u8]) -> Outcome;

    /// What comes from the subject next, waiting for it as long as `within`.
    ///
    /// # Errors
    /// [`Stop::Undecided`] where the bench cannot.
    fn read(&mut self, line: Line, within: Duration) -> Outcome<Wire>;

    /// The tester closes the transport.
    fn shut(&mut self, line: Line);

    /// Has the subject's application do something. Gives why it was refused, or `None`.
    ///
    /// # Errors
    /// [`Stop::Undecided`] where the application is out of reach.
    fn command(&mut self, command: &Command) -> Outcome<Option<String>>;

    /// What the subject's application was told next, waiting for it as long as `within`.
    ///
    /// # Errors
    /// [`Stop::Undecided`] where the application is out of reach.
    fn report(&mut self, within: Duration) -> Outcome<Option<Report>>;

    /// What has happened so far.
    fn transcript(&mut self) -> &mut Transcript;
}

/// What is known about the subject and the bench.
#[derive(Debug, Clone)]
pub struct About {
    /// What the subject is.
    pub setup: Setup,
    /// The settings that every test begins with.
    pub own: Config,
    /// The settings of the present subject.
    pub config: Config,
    /// Time passes only where a test lets it.
    pub virtual_time: bool,
    /// How much too early what is timed may come, by the bench's clock.
    pub early: Duration,
    /// How much too late what is timed may come, and how long what has to come at once is waited for.
    pub late: Duration,
    /// How long to listen to find that nothing came; zero where that is known without.
    pub settle: Duration,
    /// Whether [`Bench::start`] takes any settings.
    pub settable: bool,
    /// The longest that a timer is set to that a test waits for, where settings can be made and time is real.
    pub longest_wait: Duration,
    /// Whether commands and reports are at hand.
    pub application: bool,
}

/// One of two transports between tester and subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// The connection that the subject serves.
    First,
    /// A caller beyond it.
    Second,
}

/// What came over a transport, or did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wire {
    /// A message.
    Frame(Frame),
    /// The subject has closed the transport.
    Closed,
    /// Octets that are no message, or the beginning of one behind which the transport was closed. A length field below 10 or
    /// beyond 32 MiB begins no message.
    Broken(Vec<u8>),
    /// Nothing.
    Quiet,
}

/// A message that the subject sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The ten header octets.
    pub header: Header,
    /// The text.
    pub text: Vec<u8>,
}

/// What the subject's application can be made to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Send Select.req.
    Select,
    /// Send Linktest.req.
    Linktest,
    /// End the session; further connections may follow.
    Separate,
    /// End the session, and make no further connections.
    Disable,
    /// Make connections again.
    Enable,
    /// Send a primary that expects a reply.
    Request(StreamFunction, Vec<u8>),
    /// Send a primary that expects none.
    Send(StreamFunction, Vec<u8>),
    /// Reply to the earliest primary that was delivered and expects a reply.
    Reply(Vec<u8>),
    /// Abort that one instead: SxF0.
    Abort,
    /// Report an error of stream 9 about the message with this header.
    ReportError(Stream9, Header),
    /// Give up the transaction with these system bytes.
    Forget(SystemBytes),
    /// HSMS-GS: send Select.req for this session.
    SelectSession(SessionId),
    /// HSMS-GS: send Deselect.req for this session.
    DeselectSession(SessionId),
    /// HSMS-GS: send Separate.req for this session; the connection stays.
    SeparateSession(SessionId),
    /// HSMS-GS: answer the Select.req for this session that [`Report::SelectAsked`] told of.
    AnswerSelect(SessionId, SelectStatus),
    /// HSMS-GS: what a Select.req for this session is answered with from now on.
    Admission(SessionId, Admission),
    /// HSMS-GS: whether this session is in use, so that it cannot be deselected.
    Busy(SessionId, bool),
    /// HSMS-GS: send a primary of this session that expects a reply.
    RequestIn(SessionId, StreamFunction, Vec<u8>),
    /// HSMS-GS: send a primary of this session that expects none.
    SendIn(SessionId, StreamFunction, Vec<u8>),
}

/// What the subject's application was told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Report {
    /// SELECTED.
    Selected,
    /// The peer deselected.
    Deselected,
    /// The transport is closed.
    Closed(CloseReason),
    /// HSMS-GS: the session is selected.
    SessionSelected(SessionId),
    /// HSMS-GS: the session ended, and the connection goes on.
    SessionEnded(SessionId, SessionEnd),
    /// HSMS-GS: the peer refused what was asked of the session.
    SessionRefused(SessionId, SessionRefusal),
    /// HSMS-GS: the peer wants to select the session, and the application has to answer.
    SelectAsked(SessionId),
    /// A primary.
    Primary(Frame),
    /// The reply to a primary.
    Reply(Frame),
    /// A transaction ended without a reply.
    Ended(SystemBytes, TransactionEnd),
    /// A linktest was answered.
    LinktestAnswered,
    /// A linktest was not answered; so many in a row.
    LinktestMissed(u8),
    /// A Reject.req that belongs to nothing.
    StrayReject(Header),
    /// A deviation that is lived with.
    Lenient(Leniency),
    /// A message that is not for the application, with its header as it came and what it counts as.
    Other(Header, Class),
}

/// The timers of E37 7.2 and 10.1, and the linktest period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Reply timeout.
    T3,
    /// Connect separation time.
    T5,
    /// Control transaction timeout.
    T6,
    /// Not selected timeout.
    T7,
    /// Network intercharacter timeout.
    T8,
    /// How long nothing is received before a linktest is sent.
    Linktest,
}

impl About {
    /// The subject dials.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.setup.role.is_active()
    }

    /// The subject speaks HSMS-GS.
    #[must_use]
    pub const fn is_general(&self) -> bool {
        matches!(self.setup.role, Role::GsActive | Role::GsPassive)
    }

    /// How long to wait for what has to come at once.
    #[must_use]
    pub const fn patience(&self) -> Duration {
        self.late
    }
}

impl Frame {
    /// A message of these parts.
    #[must_use]
    pub fn new(header: Header, text: &[u8]) -> Self {
        Frame { header, text: text.to_vec() }
    }

    /// The octets that go over the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(&self.header, &self.text)
    }
}

/// The octets of a message.
#[must_use]
pub fn encode(header: &Header, text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len().saturating_add(10)).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], &header.encode(), text].concat()
}

/// The longest message, by its length field, that a subject may send: 32 MiB. A greater length counts as no message.
pub(super) const MOST: u32 = 32 << 20;

/// Puts the subject's octets together to messages. It holds one message of the greatest length and what was read with it, at the
/// most, where what is at hand is taken before more is pushed.
#[derive(Debug, Default)]
pub(super) struct Deframer {
    octets: Vec<u8>,
}

impl Deframer {
    pub(super) fn push(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    /// What was pushed and belongs to nothing taken yet.
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Whether [`next`](Self::next) has something.
    pub(super) fn is_ready(&self) -> bool {
        match Message::parse(&self.octets) {
            Err(ParseError::Incomplete { .. }) => self.is_too_long(),
            _ => true,
        }
    }

    /// The next whole message, or octets that cannot be one; `None` where more have to come.
    pub(super) fn next(&mut self) -> Option<Wire> {
        if self.is_too_long() {
            return Some(Wire::Broken(std::mem::take(&mut self.octets)));
        }
        let (frame, behind) = match Message::parse(&self.octets) {
            Ok((message, rest)) => (Frame::new(message.header, message.body), rest.len()),
            Err(ParseError::Incomplete { .. }) => return None,
            Err(_) => return Some(Wire::Broken(std::mem::take(&mut self.octets))),
        };
        self.octets.drain(..self.octets.len().saturating_sub(behind));
        Some(Wire::Frame(frame))
    }

    fn is_too_long(&self) -> bool {
        self.octets.first_chunk().is_some_and(|length| u32::from_be_bytes(*length) > MOST)
    }

    /// The transport ended: octets that are left over are the beginning of a message.
    pub(super) fn end(&mut self) -> Wire {
        match std::mem::take(&mut self.octets) {
            octets if octets.is_empty() => Wire::Closed,
            octets => Wire::Broken(octets),
        }
    }
}

impl Stop {
    /// A failure in these words.
    #[must_use]
    pub fn fail(why: impl Into<String>) -> Self {
        Stop::Fail(why.into())
    }

    /// A bench that lacks something.
    #[must_use]
    pub fn undecided(why: impl Into<String>) -> Self {
        Stop::Undecided(why.into())
    }
}
