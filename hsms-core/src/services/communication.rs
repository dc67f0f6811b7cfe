//! Establishing communication, as the communications state model of GEM (E30) does it: S1F13 and S1F14, from either end.

use crate::secs2::messages::{EstablishAck, Identity, header_only};
use crate::secs2::{Error, Sink, WriteError, Writer};
use crate::time::Instant;
use crate::wire::{Header, StreamFunction, SystemBytes};
use core::fmt;
use core::time::Duration;

/// S1F13: establish communication.
const ESTABLISH: StreamFunction = StreamFunction::new(1, 13);

/// S1F1: are you there.
const ARE_YOU_THERE: StreamFunction = StreamFunction::new(1, 1);

/// COMMACK of S1F14: accepted.
const ACCEPTED: u8 = 0;

/// COMMACK of S1F14: denied, try again.
const DENIED: u8 = 1;

/// Whether the two applications have agreed to talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CommunicationState {
    /// The connection is not SELECTED, or the peer is to begin.
    NotCommunicating,
    /// Our S1F13 is open.
    WaitingForS1F14,
    /// Our S1F13 was denied or not answered. The next one follows after the delay.
    WaitingToRetry,
    /// One of the two S1F13 was accepted.
    Communicating,
}

impl fmt::Display for CommunicationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CommunicationState::NotCommunicating => "not communicating",
            CommunicationState::WaitingForS1F14 => "waiting for S1F14",
            CommunicationState::WaitingToRetry => "waiting to retry",
            CommunicationState::Communicating => "communicating",
        })
    }
}

/// How one end establishes communication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CommunicationSettings<'a> {
    /// What S1F2, S1F13 and S1F14 say about us.
    pub identity: Identity<'a>,
    /// Whether we send S1F13 ourselves once the connection is SELECTED; else the peer is to begin.
    pub begins: bool,
    /// From a refusal or failure to the next S1F13: the establish communications timeout of E30, 10 seconds by default.
    pub retry_delay: Duration,
}

impl<'a> CommunicationSettings<'a> {
    /// Begins, and tries again every 10 seconds.
    #[must_use]
    pub const fn new(identity: Identity<'a>) -> Self {
        CommunicationSettings { identity, begins: true, retry_delay: Duration::from_secs(10) }
    }
}

/// Which message to send, and its text with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CommunicationMessage<'a> {
    /// S1F13, with W.
    Establish(Identity<'a>),
    /// S1F14, in reply.
    EstablishAck(EstablishAck<'a>),
    /// S1F2, in reply.
    Identity(Identity<'a>),
}

impl CommunicationMessage<'_> {
    /// Stream and function.
    #[must_use]
    pub const fn stream_function(&self) -> StreamFunction {
        match self {
            CommunicationMessage::Establish(_) => ESTABLISH,
            CommunicationMessage::EstablishAck(_) => StreamFunction::new(1, 14),
            CommunicationMessage::Identity(_) => StreamFunction::new(1, 2),
        }
    }

    /// Writes the text.
    ///
    /// # Errors
    /// Those of [`Writer::ascii`].
    pub fn write<S: Sink, const OPEN: usize>(&self, text: &mut Writer<S, OPEN>) -> Result<(), WriteError> {
        match self {
            CommunicationMessage::Establish(identity) | CommunicationMessage::Identity(identity) => {
                identity.write(text)
            }
            CommunicationMessage::EstablishAck(answer) => answer.write(text),
        }
    }
}

/// What to do about a primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum CommunicationVerdict<'a> {
    /// It is for the application.
    Pass,
    /// Answer it with this, where a reply is expected.
    Reply(CommunicationMessage<'a>),
    /// It came before communication was established: nobody may see it, and it is not answered, as GEM has it.
    Discard,
    /// The same, and our next S1F13 need not wait any longer: send this, and tell [`sent`](Communication::sent).
    DiscardAndSend(CommunicationMessage<'a>),
    /// Its text is not that of S1F13 or S1F1: from equipment this is S9F7.
    IllegalData(Error),
}

/// Why our S1F13 did not establish communication. The next one follows after the delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CommunicationFailure {
    /// COMMACK was not 0.
    Denied {
        /// Its value.
        commack: u8,
    },
    /// The peer aborted it with S1F0.
    Aborted,
    /// The text of S1F14 cannot be read: from equipment this is S9F7.
    IllegalData(Error),
    /// T3, Reject, or it could not be sent.
    Unanswered,
}

impl fmt::Display for CommunicationFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommunicationFailure::Denied { commack } => write!(f, "S1F13 was denied: COMMACK {commack}"),
            CommunicationFailure::Aborted => f.write_str("S1F13 was aborted"),
            CommunicationFailure::IllegalData(error) => write!(f, "the text of S1F14 cannot be read: {error}"),
            CommunicationFailure::Unanswered => f.write_str("S1F13 was not answered"),
        }
    }
}

impl core::error::Error for CommunicationFailure {}

/// One end that establishes communication on a connection that is SELECTED, again after every loss of it.
///
/// It sends S1F13 itself, where it [`begins`](CommunicationSettings::begins), and answers that of the peer. Where both do, either answer
/// establishes communication; the other changes nothing.
///
/// ```
/// use hsms_core::secs2::messages::Identity;
/// use hsms_core::services::{Communication, CommunicationMessage, CommunicationSettings, CommunicationState};
/// use hsms_core::wire::SystemBytes;
///
/// let mut host = Communication::new(CommunicationSettings::new(Identity::Host));
/// // The connection became SELECTED.
/// assert_eq!(host.selected(), Some(CommunicationMessage::Establish(Identity::Host)));
/// host.sent(SystemBytes(7));
/// assert_eq!(host.state(), CommunicationState::WaitingForS1F14);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Communication<'a> {
    settings: CommunicationSettings<'a>,
    state: CommunicationState,
    /// Our S1F13 that is open. It may be so while the peer's has established communication.
    request: Option<SystemBytes>,
    retry_at: Option<Instant>,
}

impl<'a> Communication<'a> {
    /// Not communicating.
    #[must_use]
    pub const fn new(settings: CommunicationSettings<'a>) -> Self {
        Communication { settings, state: CommunicationState::NotCommunicating, request: None, retry_at: None }
    }

    /// The state.
    #[must_use]
    pub const fn state(&self) -> CommunicationState {
        self.state
    }

    /// Whether the applications may talk.
    #[must_use]
    pub const fn is_established(&self) -> bool {
        matches!(self.state, CommunicationState::Communicating)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<Instant> {
        self.retry_at
    }

    /// The connection became SELECTED, or is to be established anew. Gives the S1F13 to send, if it is ours to send.
    pub const fn selected(&mut self) -> Option<CommunicationMessage<'a>> {
        self.lost();
        if !self.settings.begins {
            return None;
        }
        Some(self.begin())
    }

    /// The connection is no longer SELECTED.
    pub const fn lost(&mut self) {
        self.state = CommunicationState::NotCommunicating;
        self.request = None;
        self.retry_at = None;
    }

    /// Our S1F13 went out under these system bytes.
    pub const fn sent(&mut self, system: SystemBytes) {
        self.request = Some(system);
    }

    /// A reply came. `Ok(true)`: it established communication; `Ok(false)`: it is not ours, or communication had been established
    /// before it came.
    ///
    /// # Errors
    /// [`CommunicationFailure`], where it answers our S1F13 and nothing has been established.
    pub fn handle_reply(&mut self, now: Instant, header: &Header, text: &[u8]) -> Result<bool, CommunicationFailure> {
        if self.request != Some(header.system) {
            return Ok(false);
        }
        self.request = None;
        if self.state != CommunicationState::WaitingForS1F14 {
            return Ok(false);
        }
        let failure = if header.stream_function().is_abort() {
            CommunicationFailure::Aborted
        } else {
            match EstablishAck::read(text) {
                Ok(EstablishAck { commack: ACCEPTED, .. }) => {
                    self.state = CommunicationState::Communicating;
                    return Ok(true);
                }
                Ok(EstablishAck { commack, .. }) => CommunicationFailure::Denied { commack },
                Err(error) => CommunicationFailure::IllegalData(error),
            }
        };
        self.retry_later(now);
        Err(failure)
    }

    /// Our primary with these system bytes ended without a reply, or could not be sent. `None` where it is not our S1F13, or communication
    /// has been established meanwhile.
    pub fn unanswered(&mut self, now: Instant, system: SystemBytes) -> Option<CommunicationFailure> {
        if self.request != Some(system) {
            return None;
        }
        self.request = None;
        if self.state != CommunicationState::WaitingForS1F14 {
            return None;
        }
        self.retry_later(now);
        Some(CommunicationFailure::Unanswered)
    }

    /// A primary came. `accept`: whether the peer's S1F13 is accepted; if not, COMMACK is 1. While communicating it always is.
    pub fn handle_primary(&mut self, header: &Header, text: &[u8], accept: bool) -> CommunicationVerdict<'a> {
        let (what, established) = (header.stream_function(), self.is_established());
        if what == ESTABLISH {
            return match Identity::read(text) {
                Ok(_) => self.answer(accept || established),
                Err(error) => CommunicationVerdict::IllegalData(error),
            };
        }
        if established && what == ARE_YOU_THERE {
            return match header_only(text) {
                Ok(()) => CommunicationVerdict::Reply(CommunicationMessage::Identity(self.settings.identity)),
                Err(error) => CommunicationVerdict::IllegalData(error),
            };
        }
        // Stream 9 tells of our own S1F13.
        if established || what.stream == 9 {
            return CommunicationVerdict::Pass;
        }
        if self.state == CommunicationState::WaitingToRetry {
            // The peer is there: a good moment for the next one, as GEM has it.
            return CommunicationVerdict::DiscardAndSend(self.begin());
        }
        CommunicationVerdict::Discard
    }

    /// Time has passed. Gives the S1F13 to send.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<CommunicationMessage<'a>> {
        self.retry_at.filter(|at| *at <= now).map(|_| self.begin())
    }

    const fn begin(&mut self) -> CommunicationMessage<'a> {
        self.state = CommunicationState::WaitingForS1F14;
        self.retry_at = None;
        CommunicationMessage::Establish(self.settings.identity)
    }

    fn retry_later(&mut self, now: Instant) {
        self.state = CommunicationState::WaitingToRetry;
        self.retry_at = Some(now.saturating_add(self.settings.retry_delay));
    }

    const fn answer(&mut self, accept: bool) -> CommunicationVerdict<'a> {
        if accept {
            self.state = CommunicationState::Communicating;
            self.retry_at = None;
        }
        let commack = if accept { ACCEPTED } else { DENIED };
        let answer = EstablishAck { commack, identity: self.settings.identity };
        CommunicationVerdict::Reply(CommunicationMessage::EstablishAck(answer))
    }
}
