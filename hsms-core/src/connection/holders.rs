//! Which connection has which session entity, for entities that cannot be shared.

use crate::wire::{SelectStatus, SessionId};
use heapless::Vec;

/// Up to `N` session entities that one connection at a time can have (E37.2 7.2, status 5), and which has them.
///
/// The machines of several connections know nothing of each other. Whoever owns them lists such entities with
/// [`Admission::Ask`](super::Admission::Ask), keeps one of these for all connections, behind a lock where they run on
/// threads of their own, and
///
/// * answers [`Notice::SelectAsked`](super::Notice::SelectAsked) with what [`take`](Self::take) gives, and takes the entity before
///   selecting it itself,
/// * calls [`release`](Self::release) on [`Notice::SessionEnded`](super::Notice::SessionEnded), and where `answer_select` fails,
/// * calls [`release_all`](Self::release_all) when the connection ends.
///
/// `H` names a connection: a number, an address.
///
/// ```
/// use hsms_core::connection::Holders;
/// use hsms_core::wire::{SelectStatus, SessionId};
///
/// let (etcher, mut holders) = (SessionId(7), Holders::<&str, 4>::new());
/// assert_eq!(holders.take(etcher, "first"), SelectStatus::COMMUNICATION_ESTABLISHED);
/// assert_eq!(holders.take(etcher, "second"), SelectStatus::ENTITY_IN_USE);
/// holders.release_all("first");
/// assert_eq!(holders.take(etcher, "second"), SelectStatus::COMMUNICATION_ESTABLISHED);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Holders<H, const N: usize> {
    held: Vec<(SessionId, H), N, u16>,
}

impl<H: Copy + PartialEq, const N: usize> Holders<H, N> {
    /// Nobody has anything.
    #[must_use]
    pub const fn new() -> Self {
        Holders { held: Vec::new() }
    }

    /// Gives the entity to the connection, where no other has it: the status that answers its Select.req. That is 0, or 5 where another
    /// has it, or 3 where `N` entities are held.
    pub fn take(&mut self, session: SessionId, holder: H) -> SelectStatus {
        match self.holder(session) {
            Some(other) if other != holder => return SelectStatus::ENTITY_IN_USE,
            Some(_) => return SelectStatus::COMMUNICATION_ESTABLISHED,
            None => {}
        }
        match self.held.push((session, holder)) {
            Ok(()) => SelectStatus::COMMUNICATION_ESTABLISHED,
            Err(_) => SelectStatus::CONNECT_EXHAUST,
        }
    }

    /// The connection that has the entity.
    #[must_use]
    pub fn holder(&self, session: SessionId) -> Option<H> {
        self.held.iter().find(|(held, _)| *held == session).map(|(_, holder)| *holder)
    }

    /// The connection no longer has the entity. A no-op where it has not.
    pub fn release(&mut self, session: SessionId, holder: H) {
        self.keep(|entry| entry != (session, holder));
    }

    /// The connection has ended and no longer has anything.
    pub fn release_all(&mut self, holder: H) {
        self.keep(|(_, held_by)| held_by != holder);
    }

    /// `retain` has an addition that panics under overflow checks, as far as a compiler can tell.
    fn keep(&mut self, stays: impl Fn((SessionId, H)) -> bool) {
        let mut kept = Vec::new();
        for entry in self.held.iter().filter(|entry| stays(**entry)) {
            // There is room: no more are kept than were there.
            let _ = kept.push(*entry);
        }
        self.held = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_has_one_holder_until_it_is_released() {
        let (a, b) = (SessionId(1), SessionId(0xFFFE));
        let mut holders = Holders::<u8, 2>::new();
        assert_eq!(holders.take(a, 1), SelectStatus::COMMUNICATION_ESTABLISHED);
        assert_eq!(holders.take(a, 1), SelectStatus::COMMUNICATION_ESTABLISHED, "it has it already");
        assert_eq!(holders.take(a, 2), SelectStatus::ENTITY_IN_USE);
        assert_eq!(holders.take(b, 2), SelectStatus::COMMUNICATION_ESTABLISHED);
        assert_eq!((holders.holder(a), holders.holder(b)), (Some(1), Some(2)));
        holders.release(a, 2);
        assert_eq!(holders.holder(a), Some(1), "not the holder's to release");
        assert_eq!(holders.take(SessionId(3), 1), SelectStatus::CONNECT_EXHAUST, "there is room for two");
        holders.release(a, 1);
        assert_eq!(holders.take(a, 2), SelectStatus::COMMUNICATION_ESTABLISHED);
        holders.release_all(2);
        assert_eq!((holders.holder(a), holders.holder(b)), (None, None));
    }
}
