//! Which sessions a connection can have: one (HSMS-SS) or a list of session entities (HSMS-GS).

use super::transaction::{Clock, Slot};
use super::{Connection, ControlRequest};
use crate::error::Error;
use crate::time::Instant;
use crate::wire::{SelectStatus, SessionId, SystemBytes};
use core::fmt;

/// The sessions of a [`Connection`]: [`Single`] or [`General`]. Sealed: there are these two.
pub trait Sessions: sealed::Sessions {}

/// One session, which is selected or not, and whose data carries device ids (HSMS-SS, E37.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Single;

/// A list of up to `N` session entities, each selected by itself (HSMS-GS, E37.2).
///
/// The list holds what this end offers ([`SessionEntity::offered`]) and what it selects at the peer
/// ([`SessionEntity::wanted`]). Each entity takes 40 octets.
///
/// While a text of ours is open, six answers can wait for its end; a seventh ends the connection. A peer of HSMS-SS never asks
/// for so many; one of HSMS-GS may, by selecting many sessions at once. So end each text before reading on, or
/// [pause](Connection::pause_input) input where that takes long.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct General<const N: usize> {
    /// Places behind the last entity are [`SessionEntity::NONE`]. No `heapless::Vec`, as no constant can be filled with one.
    entries: [Entry; N],
    or_single: bool,
    mode: Mode,
}

/// A session entity: something behind a connection that can be selected by itself (E37.2 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SessionEntity {
    /// Its session id. All of 0 to 0xFFFE are possible; 0xFFFF stands for none.
    pub session: SessionId,
    /// Whether the peer can select it here.
    pub offered: bool,
    /// Whether we select it as soon as there is a connection, unless that is left to the application
    /// ([`SelectMode::OnCommand`](crate::config::SelectMode::OnCommand)). Where the peer ends the session it is not selected again
    /// until the next connection.
    pub wanted: bool,
    /// What a Select.req for it is answered with, where it is offered.
    pub admission: Admission,
}

/// How a Select.req for an entity that is offered and not selected is answered (E37.2 7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Admission {
    /// With status 0: it can be shared between connections.
    Always,
    /// By the application, which [`Notice::SelectAsked`](super::Notice::SelectAsked) tells of it: it knows whether another
    /// connection has an entity that cannot be shared. The peer waits for its T6; an application that may be busy for longer sets
    /// another admission ahead of time. Where we select the entity ourselves at the same moment nobody is asked.
    Ask,
    /// With this status, 2 (not ready) or 5 (in use) mostly. Status 0 is no refusal: it is [`Always`](Self::Always).
    Refuse(SelectStatus),
}

/// A list of session entities that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SessionsError {
    /// The list is longer than there is room for.
    TooMany {
        /// Entities given.
        given: usize,
        /// Room.
        room: usize,
    },
    /// Two entities have the same session id.
    Repeated {
        /// The id.
        session: SessionId,
    },
    /// 0xFFFF is no session entity's id (E37.2 8.1).
    Reserved,
}

impl SessionEntity {
    /// Stands in places without entity. No message finds it, as no entity has its id.
    const NONE: SessionEntity =
        SessionEntity { session: SessionId::CONTROL, offered: false, wanted: false, admission: Admission::Always };

    /// One that the peer can select here, and share with others.
    #[must_use]
    pub const fn offered(session: SessionId) -> Self {
        SessionEntity { session, offered: true, wanted: false, admission: Admission::Always }
    }

    /// One of the peer's, which is selected as soon as there is a connection.
    #[must_use]
    pub const fn wanted(session: SessionId) -> Self {
        SessionEntity { session, offered: false, wanted: true, admission: Admission::Always }
    }

    /// The same with another admission.
    #[must_use]
    pub const fn with_admission(self, admission: Admission) -> Self {
        SessionEntity { admission, ..self }
    }
}

impl<const N: usize> General<N> {
    /// A list of these entities, none of them selected. Of entities that are known at compile time it can be made then, and the connection
    /// with it, in a `static`: that takes no stack.
    ///
    /// ```
    /// use hsms_core::config::{Config, DeviceId};
    /// use hsms_core::connection::{Connection, General, SessionEntity};
    /// use hsms_core::wire::SessionId;
    /// use std::sync::Mutex;
    ///
    /// type Etcher = Connection<4, General<2>>;
    ///
    /// const fn etcher() -> Option<Etcher> {
    ///     let chambers = [SessionEntity::offered(SessionId(1)), SessionEntity::offered(SessionId(2))];
    ///     match (DeviceId::new(1), General::new(&chambers)) {
    ///         (Some(device), Ok(chambers)) => Some(Connection::general(Config::equipment(device), chambers)),
    ///         _ => None,
    ///     }
    /// }
    ///
    /// static ETCHER: Mutex<Option<Etcher>> = Mutex::new(etcher());
    /// # assert!(ETCHER.lock()?.as_ref().is_some_and(|etcher| !etcher.is_enabled()));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SessionsError`], where there are more than `N`, an id is there twice, or an id is 0xFFFF.
    // Inline, or the list stands on the stack twice.
    #[inline(always)]
    pub const fn new(entities: &[SessionEntity]) -> Result<Self, SessionsError> {
        let mut made = match check(entities, N) {
            Ok(()) => Ok(General { entries: [Entry::BLANK; N], or_single: false, mode: Mode::General }),
            Err(error) => Err(error),
        };
        if let Ok(general) = &mut made {
            fill(&mut general.entries, entities);
        }
        made
    }

    /// The same list for a peer that may also speak HSMS-SS: where its first Select.req carries 0xFFFF, the connection is run
    /// as HSMS-SS, all entities count as selected whatever their admission, and data carries the device ids of the settings; otherwise as HSMS-GS (E37.2, application notes). Where we send a
    /// Select.req first, for an entity that is [wanted](SessionEntity::wanted) for example, that decides for HSMS-GS.
    #[must_use]
    pub const fn or_single(mut self) -> Self {
        self.or_single = true;
        self.mode = Mode::Undecided;
        self
    }

    /// The entities in the list.
    pub fn entities(&self) -> impl Iterator<Item = &SessionEntity> {
        let listed = self.entries.iter().position(Entry::is_free).unwrap_or(N);
        self.entries.get(..listed).unwrap_or_default().iter().map(|entry| &entry.entity)
    }
}

/// Whether these entities can be a list. Not generic, so that lists of all lengths share it.
const fn check(entities: &[SessionEntity], room: usize) -> Result<(), SessionsError> {
    let mut left = entities;
    while let [entity, others @ ..] = left {
        let session = entity.session;
        if session.0 == SessionId::CONTROL.0 {
            return Err(SessionsError::Reserved);
        }
        let mut earlier = entities;
        while let [other, between @ ..] = earlier
            && earlier.len() > left.len()
        {
            if other.session.0 == session.0 {
                return Err(SessionsError::Repeated { session });
            }
            earlier = between;
        }
        if entities.len().saturating_sub(left.len()) >= room {
            return Err(SessionsError::TooMany { given: entities.len(), room });
        }
        left = others;
    }
    Ok(())
}

/// Puts these entities into the first places, and none into the others.
const fn fill(places: &mut [Entry], entities: &[SessionEntity]) {
    let (mut from, mut to) = (entities, places);
    while let [place, places @ ..] = to {
        place.entity = SessionEntity::NONE;
        if let [entity, others @ ..] = from {
            place.entity = *entity;
            from = others;
        }
        to = places;
    }
}

/// The empty list.
impl<const N: usize> Default for General<N> {
    fn default() -> Self {
        General {
            entries: [Entry { entity: SessionEntity::NONE, ..Entry::BLANK }; N],
            or_single: false,
            mode: Mode::General,
        }
    }
}

impl Sessions for Single {}
impl<const N: usize> Sessions for General<N> {}

impl fmt::Display for SessionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SessionsError::TooMany { given, room } => write!(f, "{given} session entities, and room for {room}"),
            SessionsError::Repeated { session } => write!(f, "two session entities have the id {session}"),
            SessionsError::Reserved => f.write_str("0xFFFF is no id of a session entity"),
        }
    }
}

impl core::error::Error for SessionsError {}

/// Which of the two standards a connection follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Mode {
    /// HSMS-SS (E37.1).
    Single,
    /// HSMS-GS (E37.2).
    General,
    /// HSMS-GS, until the peer's first Select.req says otherwise: see [`General::or_single`].
    Undecided,
}

/// A session entity and where it is on this connection.
// In this order for the same reason as in `Connection`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Entry {
    pub(super) entity: SessionEntity,
    pub(super) selected: bool,
    /// A Deselect.req is answered with status 2.
    pub(super) busy: bool,
    /// Separate.req goes out before the transport is closed.
    pub(super) farewell: bool,
    /// The session began or ended otherwise while the request was open: its answer says nothing about the session any more.
    pub(super) moot: bool,
    /// Counts selections over all sessions, so that a reply cannot go out in a later session than its primary came in.
    pub(super) serial: u32,
    /// The Select.req that the application has to decide on.
    pub(super) asked: Option<SystemBytes>,
    /// Our open Select.req or Deselect.req.
    pub(super) request: Option<Slot>,
}

impl Entry {
    /// All zeros, so that an array of them takes no place in flash. [`fill`] puts an entity in.
    const BLANK: Entry = Entry {
        entity: SessionEntity { session: SessionId(0), ..SessionEntity::NONE },
        selected: false,
        busy: false,
        farewell: false,
        serial: 0,
        asked: None,
        request: None,
        moot: false,
    };

    const fn is_free(&self) -> bool {
        self.entity.session.0 == SessionId::CONTROL.0
    }

    pub(super) const fn session(&self) -> SessionId {
        self.entity.session
    }

    pub(super) const fn is_selected(&self) -> bool {
        self.selected
    }

    /// What our open request asks for, unless that is moot.
    pub(super) const fn requested(&self) -> Option<ControlRequest> {
        match &self.request {
            Some(slot) if !self.moot => Some(slot.request()),
            _ => None,
        }
    }

    /// Whether our request waits to be polled.
    pub(super) fn is_queued(&self) -> bool {
        self.request.is_some_and(|slot| slot.clock == Clock::QUEUED)
    }

    /// The connection has ended. `farewell`: the peer is told before.
    fn end(&mut self, farewell: bool) {
        self.farewell = farewell && self.selected;
        self.selected = false;
        self.busy = false;
        self.serial = 0;
        self.asked = None;
        self.request = None;
        self.moot = false;
    }

    /// The session has begun or ended, so what we asked for it is pointless. A request that has not gone out yet never does: gives its
    /// system bytes.
    pub(super) fn make_request_moot(&mut self) -> Option<SystemBytes> {
        let unsent = self.request.filter(|_| self.is_queued());
        if unsent.is_some() {
            self.request = None;
        }
        self.moot = self.request.is_some();
        unsent.map(|slot| slot.system)
    }
}

/// Once for beginning and for ending. Gives the system bytes of the last request that was open.
#[inline(never)]
fn end_all(entries: &mut [Entry], farewell: bool) -> Option<SystemBytes> {
    let mut last = None;
    for entry in entries {
        last = entry.request.map(|slot| slot.system).or(last);
        entry.end(farewell);
    }
    last
}

pub(super) mod sealed {
    use super::{Connection, Entry, Error, Instant, Mode, SystemBytes};
    use core::fmt::Debug;
    use core::hash::Hash;

    /// What the machine needs of its sessions. All of it is nothing for `Single`, and compiles to nothing.
    pub trait Sessions: Debug + Clone + PartialEq + Eq + Hash {
        /// Whether there can be more than one.
        const GENERAL: bool;
        fn entries(&self) -> &[Entry];
        fn entries_mut(&mut self) -> &mut [Entry];
        fn mode(&self) -> Mode;
        /// What every connection begins with.
        fn first_mode(&self) -> Mode;
        fn decide(&mut self, mode: Mode);
        /// A connection begins.
        fn begin(&mut self);
        /// A connection ends. Gives the system bytes of the last request about a session that was open.
        fn end(&mut self, farewell: bool) -> Option<SystemBytes>;
        /// Sends a Select.req that names no session.
        fn select<const TRANSACTIONS: usize>(
            connection: &mut Connection<TRANSACTIONS, Self>,
            now: Instant,
        ) -> Result<SystemBytes, Error>
        where
            Self: super::Sessions;
    }
}

impl sealed::Sessions for Single {
    const GENERAL: bool = false;

    #[inline(always)]
    fn entries(&self) -> &[Entry] {
        &[]
    }

    #[inline(always)]
    fn entries_mut(&mut self) -> &mut [Entry] {
        &mut []
    }

    #[inline(always)]
    fn mode(&self) -> Mode {
        Mode::Single
    }

    fn first_mode(&self) -> Mode {
        Mode::Single
    }

    #[inline(always)]
    fn decide(&mut self, _: Mode) {}

    #[inline(always)]
    fn begin(&mut self) {}

    #[inline(always)]
    fn end(&mut self, _: bool) -> Option<SystemBytes> {
        None
    }

    fn select<const TRANSACTIONS: usize>(
        connection: &mut Connection<TRANSACTIONS>,
        now: Instant,
    ) -> Result<SystemBytes, Error> {
        connection.select(now)
    }
}

impl<const N: usize> sealed::Sessions for General<N> {
    const GENERAL: bool = true;

    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn entries_mut(&mut self) -> &mut [Entry] {
        &mut self.entries
    }

    fn mode(&self) -> Mode {
        self.mode
    }

    fn first_mode(&self) -> Mode {
        if self.or_single { Mode::Undecided } else { Mode::General }
    }

    fn decide(&mut self, mode: Mode) {
        self.mode = mode;
    }

    fn begin(&mut self) {
        self.mode = self.first_mode();
        end_all(&mut self.entries, false);
    }

    fn end(&mut self, farewell: bool) -> Option<SystemBytes> {
        end_all(&mut self.entries, farewell)
    }

    fn select<const TRANSACTIONS: usize>(
        _: &mut Connection<TRANSACTIONS, Self>,
        _: Instant,
    ) -> Result<SystemBytes, Error> {
        Err(Error::CannotSelect)
    }
}
