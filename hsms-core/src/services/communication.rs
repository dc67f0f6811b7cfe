//! Establishing communication, as GEM does it (E30-1000 3.2, the communications state model, and 4.1; later editions number otherwise):
//! S1F13 and S1F14, from either end. Texts and codes are those of E5.

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

/// Whether the two applications have agreed to talk: the states of E30's communications state model (E30-1000 3.2) while communication
/// is enabled, but that the peer's turn to begin counts as not communicating. To disable it is to ask this machine nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CommunicationState {
    /// The connection is not SELECTED, or the peer is to begin.
    NotCommunicating,
    /// Our S1F13 is open.
    WaitingForS1F14,
    /// Our S1F13 was denied or not answered, or has not gone out yet. The next one follows after the delay.
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
    /// From a refusal or failure to the next S1F13, 10 seconds by default: EstablishCommunicationsTimeout of E30 (E30-1000 5.2), for which
    /// these bounds are ours: from [`MIN_RETRY_DELAY`](Self::MIN_RETRY_DELAY) to [`MAX_RETRY_DELAY`](Self::MAX_RETRY_DELAY); beyond these the nearer one counts.
    pub retry_delay: Duration,
}

impl<'a> CommunicationSettings<'a> {
    /// The shortest delay, 1 second: a peer that denies at once is not asked without a pause.
    pub const MIN_RETRY_DELAY: Duration = Duration::from_secs(1);

    /// The longest delay, 65,535 seconds: the most that an equipment constant of two octets can set.
    pub const MAX_RETRY_DELAY: Duration = Duration::from_secs(65_535);

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
    /// It came before communication was established: nobody may see it, and it is not answered, as GEM has it (E30-1000 3.2).
    Discard,
    /// The same, and our next S1F13 need not wait any longer: send this, and tell [`sent`](Communication::sent) if it went out.
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
    /// T3, Reject, or the end of its session.
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
/// It never waits for nothing: while communication is neither established nor the peer's to begin, either a request is open or there
/// is a [deadline](Self::next_deadline). So an S1F13 that could not be sent needs no report: it counts from [`sent`](Self::sent) on, and
/// until then the delay to the next one runs.
///
/// ```
/// use hsms_core::secs2::messages::Identity;
/// use hsms_core::services::{Communication, CommunicationMessage, CommunicationSettings, CommunicationState};
/// use hsms_core::time::Instant;
/// use hsms_core::wire::SystemBytes;
///
/// let mut host = Communication::new(CommunicationSettings::new(Identity::Host));
/// // The connection became SELECTED.
/// assert_eq!(host.selected(Instant::EPOCH), Some(CommunicationMessage::Establish(Identity::Host)));
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
    /// Not communicating. A delay out of its range is taken as the nearer end of it.
    #[must_use]
    pub const fn new(mut settings: CommunicationSettings<'a>) -> Self {
        let (shortest, longest) = (CommunicationSettings::MIN_RETRY_DELAY, CommunicationSettings::MAX_RETRY_DELAY);
        if settings.retry_delay.as_secs() < shortest.as_secs() {
            settings.retry_delay = shortest;
        } else if settings.retry_delay.as_secs() >= longest.as_secs() {
            settings.retry_delay = longest;
        }
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

    /// The connection became SELECTED, or is to be established anew. Gives the S1F13 to send, if it is ours to send: tell
    /// [`sent`](Self::sent) if it went out.
    pub fn selected(&mut self, now: Instant) -> Option<CommunicationMessage<'a>> {
        self.lost();
        self.settings.begins.then(|| self.begin(now))
    }

    /// The connection is no longer SELECTED.
    pub const fn lost(&mut self) {
        self.state = CommunicationState::NotCommunicating;
        self.request = None;
        self.retry_at = None;
    }

    /// Our S1F13 went out under these system bytes: from here on its reply is waited for, or its end. Where it could not be sent there
    /// is nothing to tell, and the next one follows after the delay.
    pub fn sent(&mut self, system: SystemBytes) {
        match self.state {
            // The connection that it went over has ended.
            CommunicationState::NotCommunicating => return,
            CommunicationState::WaitingToRetry => {
                (self.state, self.retry_at) = (CommunicationState::WaitingForS1F14, None);
            }
            CommunicationState::WaitingForS1F14 | CommunicationState::Communicating => {}
        }
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

    /// Our primary with these system bytes ended without a reply. `None` where it is not our S1F13, or communication has been established
    /// meanwhile.
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
    pub fn handle_primary(
        &mut self,
        now: Instant,
        header: &Header,
        text: &[u8],
        accept: bool,
    ) -> CommunicationVerdict<'a> {
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
            return CommunicationVerdict::DiscardAndSend(self.begin(now));
        }
        CommunicationVerdict::Discard
    }

    /// Time has passed. Gives the S1F13 to send: tell [`sent`](Self::sent) if it went out.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<CommunicationMessage<'a>> {
        self.retry_at.filter(|at| *at <= now).map(|_| self.begin(now))
    }

    /// Until it has gone out the delay to the next one runs.
    fn begin(&mut self, now: Instant) -> CommunicationMessage<'a> {
        self.retry_later(now);
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
