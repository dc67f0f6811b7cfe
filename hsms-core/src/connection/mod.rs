//! The connection state machine of HSMS-SS, and of HSMS-GS where it is asked for: events and octets in, actions out, one
//! deadline.

mod action;
mod apply;
mod command;
mod general;
mod holders;
mod inbound;
mod input;
#[cfg(feature = "model")]
mod model;
mod output;
mod phase;
mod session;
mod sessions;
mod transaction;
mod transition;

#[cfg(test)]
mod tests;

pub use action::{
    Action, CloseReason, ControlFrame, ControlRequest, Event, FrameOctets, Leniency, MAX_CONTROL_FRAME, Notice,
    SessionEnd, SessionRefusal, State, TransactionEnd,
};
pub use apply::{GeneralInput, Input, Outcome, apply, apply_general};
pub use command::Stream9;
pub use holders::Holders;
pub use inbound::{Class, Inbound, ReplyToken, Stray};
#[cfg(feature = "model")]
pub use input::Timer;
#[cfg(feature = "model")]
pub use model::REBASED;
pub use session::{Admission, General, Mode, SessionEntity, Sessions, SessionsError, Single};

use crate::config::{Config, ConnectMode, Entity, Profile};
use crate::frame::Decoder;
use crate::time::Instant;
use crate::wire::{SessionId, SystemBytes};
use heapless::Vec;
use phase::Phase;
use transaction::Slot;
use transition::{Place, Situation};

/// Actions that can wait to be polled.
const QUEUE: usize = 8;

/// Actions that one input makes at most. The test of the transition table holds it to that.
const MOST_ACTIONS: usize = 3;

/// One end of an HSMS connection, from "not connected" to "selected" and back, for as long as it is enabled.
///
/// It has no socket, no clock and no buffer. Its owner tells it what happened and hands it the octets that came; it answers
/// with [`Action`]s, and with one deadline at which to come back. `TRANSACTIONS` is how many primaries that expect a reply can be open at
/// once, 65,535 at most; each takes 16 octets, and a few instructions of every call that looks one up.
///
/// `S` is which sessions it has: [`Single`], made by [`new`](Self::new), is HSMS-SS (E37.1), which nearly all equipment speaks;
/// [`General`], made by [`general`](Connection::general), is HSMS-GS (E37.2), with a list of session entities.
///
/// # Methods
///
/// Four classes, in this order:
///
/// * **A. Getters**, `&self`: [`state`](Self::state), [`config`](Self::config), [`body_left`](Self::body_left), …
/// * **B. Inputs**: [`handle`](Self::handle) for what happened outside, [`receive`](Self::receive) for octets.
/// * **C. Commands** of the application: [`enable`](Self::enable), [`disable`](Self::disable), [`select`](Self::select),
///   [`linktest`](Self::linktest), [`separate`](Self::separate), [`begin_primary`](Self::begin_primary),
///   [`begin_reply`](Self::begin_reply), [`end_body`](Self::end_body), [`written`](Self::written), …
/// * **D. Outputs**: [`poll_action`](Self::poll_action), and [`next_deadline`](Self::next_deadline).
///
/// # The drain rule
///
/// After each input and each command call [`poll_action`](Self::poll_action) until it gives `None`, carrying out each action
/// before the next. What comes too early is refused with [`Error::ActionsPending`](crate::Error::ActionsPending) and changes
/// nothing; so data can never overtake the Select.rsp in front of it.
///
/// # Time
///
/// Every input and command takes `now`. A `now` before an earlier one counts as that earlier one.
///
/// # Sending
///
/// [`begin_primary`](Self::begin_primary) gives the fourteen octets in front of a text. Append them and the text to the
/// ordered output, then call [`end_body`](Self::end_body); meanwhile the machine holds its own frames back. Tell
/// [`written`](Self::written) what the transport took: T3 and T6 count from there.
// What is looked at most comes first, and stays there: short instructions reach no further than that.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Connection<const TRANSACTIONS: usize = 4, S = Single> {
    phase: Phase,
    /// A text is being written by the application.
    body_open: bool,
    /// What the message that is arriving counts as, and whether bit 15 of its session id was cleared.
    class: Class,
    cleared: bool,
    /// Whether this connection only tells its caller that another one is served.
    refusing: bool,
    decoder: Decoder,
    now: Instant,
    /// Octets of the ordered output that the transport has not taken.
    outstanding: u64,
    /// When a message that stopped in the middle counts as broken.
    t8: Option<Instant>,
    /// When T6 of our open linktest would have passed, had no text moved it.
    linktest_t6: Option<Instant>,
    /// Since when the adapter does not read.
    paused: Option<Instant>,
    /// Our open Select.req or Linktest.req. It has a place of its own: no load of data keeps a linktest from being sent.
    control: Option<Slot>,
    system: SystemCounter,
    /// Which connection since the start, so that a reply cannot go out over another one than its primary came over.
    link: u32,
    config: Config,
    queue: Vec<Action, QUEUE, u8>,
    /// Open primaries of ours, in order of opening.
    slots: Vec<Slot, TRANSACTIONS, u16>,
    sessions: S,
}

/// Where system bytes come from: one counter for data and control (E37 8.1.4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct SystemCounter {
    /// The first value of this connection.
    first: u32,
    /// The value to try next.
    next: u32,
    /// The value of the transaction that ended last.
    ended: u32,
}

impl<const TRANSACTIONS: usize> Connection<TRANSACTIONS> {
    /// A disabled connection with these settings.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self::over(config, Single, false)
    }

    /// A connection for a caller beyond the first (E37 9.2.4 option a).
    ///
    /// Tell it [`Event::TransportOpen`] and serve it like any other: it answers the caller's Select.req with status 1 and
    /// closes; T7 bounds how long that may take. It is enabled from the start and ends for good when it closes. No
    /// transactions are needed: `Connection::<0>::refusing(config)`.
    #[must_use]
    pub const fn refusing(config: Config) -> Self {
        Self::over(config, Single, true)
    }
}

impl<const TRANSACTIONS: usize, S: Sessions> Connection<TRANSACTIONS, S> {
    /// `refusing`: for a caller beyond those that are served.
    #[inline(never)]
    const fn over(config: Config, sessions: S, refusing: bool) -> Self {
        Connection {
            config: if refusing { config.with_mode(ConnectMode::Passive) } else { config },
            now: Instant::EPOCH,
            phase: if refusing { Phase::Opening } else { Phase::Disabled { t5: None } },
            decoder: Decoder::new(),
            class: Class::Control,
            cleared: false,
            refusing,
            body_open: false,
            t8: None,
            linktest_t6: None,
            paused: None,
            outstanding: 0,
            slots: Vec::new(),
            control: None,
            system: SystemCounter { first: 1, next: 1, ended: 0 },
            link: 0,
            queue: Vec::new(),
            sessions,
        }
    }

    /// The same connection with room for `M` open transactions; `None` where more are open. For owners of many connections, most
    /// of which have little open most of the time.
    #[must_use]
    pub fn resized<const M: usize>(&self) -> Option<Connection<M, S>> {
        Some(Connection {
            config: self.config,
            now: self.now,
            phase: self.phase,
            decoder: self.decoder,
            class: self.class,
            cleared: self.cleared,
            refusing: self.refusing,
            body_open: self.body_open,
            t8: self.t8,
            linktest_t6: self.linktest_t6,
            paused: self.paused,
            outstanding: self.outstanding,
            slots: Vec::from_slice(&self.slots).ok()?,
            control: self.control,
            system: self.system,
            link: self.link,
            queue: self.queue.clone(),
            sessions: self.sessions.clone(),
        })
    }

    // A. Getters.

    /// Where the connection is, in E37's terms.
    #[must_use]
    pub const fn state(&self) -> State {
        self.phase.state()
    }

    /// The settings.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Whether the connection is meant to be: enabled and not disabled since.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        !matches!(self.phase, Phase::Disabled { .. })
    }

    /// How many octets of the text that is arriving are still to come; zero outside a text. So many octets can be read
    /// straight to where the text belongs, and then handed to [`receive`](Self::receive) from there.
    #[must_use]
    pub const fn body_left(&self) -> u32 {
        self.decoder.body_left()
    }

    /// How many octets are still to come in front of the text of the message that is arriving or comes next; zero inside a
    /// text. Who hands [`receive`](Self::receive) no more than that learns what a message is before any of its text is taken.
    #[must_use]
    pub fn prefix_left(&self) -> usize {
        self.decoder.prefix_left()
    }

    /// Whether a text is open: begun and not ended.
    #[must_use]
    pub const fn is_body_open(&self) -> bool {
        self.body_open
    }

    /// Which standard every connection begins with. What the present one has become, [`is_single`](Connection::is_single) tells.
    #[must_use]
    pub fn first_mode(&self) -> Mode {
        self.sessions.first_mode()
    }

    /// The session id that our data carries, where there is exactly one: the device id, or the selected session of HSMS-GS.
    #[must_use]
    #[inline]
    pub fn sole_session(&self) -> Option<SessionId> {
        if self.is_general() {
            let mut selected = self.sessions.entries().iter().filter(|entry| entry.is_selected());
            return selected.next().filter(|_| selected.next().is_none()).map(|entry| entry.session());
        }
        match self.config.device_ids.as_slice() {
            [device] => Some(device.session()),
            _ => None,
        }
    }

    /// How many primaries of ours wait for a reply.
    #[must_use]
    pub fn open_transactions(&self) -> usize {
        self.slots.len()
    }

    /// Whether the transaction with these system bytes is open.
    #[must_use]
    pub fn is_open(&self, system: SystemBytes) -> bool {
        self.open_slot(system).is_some()
    }

    /// The open transaction with these system bytes: no two have the same. Out of line, as many places ask.
    #[inline(never)]
    fn open_slot(&self, system: SystemBytes) -> Option<&Slot> {
        let of_session = if S::GENERAL { self.session_request(system) } else { None };
        of_session.or_else(|| self.control.iter().chain(&self.slots).find(|slot| slot.system == system))
    }

    /// The system bytes that the next request will carry.
    #[must_use]
    pub fn next_system_bytes(&self) -> SystemBytes {
        self.first_free(|system| self.is_open(system) || self.is_waiting(system))
    }

    /// The next system bytes where nothing waits for the end of a text. In place, as every primary asks.
    #[inline(always)]
    fn next_for_primary(&self) -> SystemBytes {
        self.first_free(|system| match S::GENERAL {
            true => self.is_open(system),
            false => {
                self.control.is_some_and(|slot| slot.system == system)
                    || self.slots.iter().any(|slot| slot.system == system)
            }
        })
    }

    /// The next system bytes that are neither `taken` nor ended last.
    #[inline(always)]
    fn first_free(&self, taken: impl Fn(SystemBytes) -> bool) -> SystemBytes {
        let mut candidate = self.system.next;
        // Fewer messages are open or wait than there are values, so this ends; each round passes one value that is taken.
        while candidate == self.system.ended || taken(SystemBytes(candidate)) {
            candidate = candidate.wrapping_add(1);
        }
        SystemBytes(candidate)
    }

    /// Whether a message of ours with these system bytes, to which nobody replies, waits for the end of a text.
    fn is_waiting(&self, system: SystemBytes) -> bool {
        self.queue.iter().any(|action| {
            matches!(action, Action::Send(ControlFrame::Stream9 { system: waiting, .. }) if *waiting == system)
        })
    }

    fn place(&self) -> Place {
        match self.phase {
            Phase::Disabled { .. } => Place::Disabled,
            Phase::Separation { .. } | Phase::Ready => Place::Waiting,
            Phase::Opening => Place::Opening,
            Phase::NotSelected { .. } => Place::NotSelected,
            Phase::Selected { .. } => Place::Selected,
        }
    }

    fn situation(&self) -> Situation {
        Situation {
            state: self.phase.state(),
            active: self.is_active(),
            equipment: matches!(self.config.entity, Entity::Equipment),
            strict: matches!(self.config.profile, Profile::Strict),
            refusing: self.refusing,
        }
    }

    const fn is_active(&self) -> bool {
        matches!(self.config.mode, ConnectMode::Active)
    }
}

/// The whole machine, for those who hunt a fault; events, actions and messages have shorter forms of their own.
#[cfg(feature = "defmt")]
impl<const TRANSACTIONS: usize, S: Sessions> defmt::Format for Connection<TRANSACTIONS, S> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", defmt::Debug2Format(self));
    }
}
