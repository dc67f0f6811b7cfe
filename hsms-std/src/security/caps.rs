//! How many callers may linger, and what has become of those that were turned away.

#[cfg(feature = "manager")]
use super::Security;
#[cfg(feature = "manager")]
use std::collections::HashMap;
use std::fmt;
#[cfg(feature = "manager")]
use std::net::IpAddr;

/// Why a caller was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The place is taken: another connection is served, or the peer is disabled. The caller is told so by status 1; or by
    /// Separate.req, where its Select.req had been answered before it was known whose caller it is.
    Taken,
    /// It is not the peer that is expected, nor any of them. It was hung up on.
    Unexpected,
    /// Its address is not on the [allow list](super::Security::with_allowed). It was hung up on.
    NotAllowed,
    /// Its address has as many connections that are not selected as [one may have](super::Security::max_unselected_per_address). It was
    /// hung up on; so it is where it counts for several and gets there later, beside what else it may have been turned away for.
    TooManyFromAddress,
    /// There are as many connections that are not selected as [there may be](super::Security::max_unselected). The same.
    TooMany,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Taken => "the place is taken",
            Refusal::Unexpected => "nobody expects it",
            Refusal::NotAllowed => "its address is not on the allow list",
            Refusal::TooManyFromAddress => "too many connections from its address are not selected",
            Refusal::TooMany => "too many connections are not selected",
        })
    }
}

/// How many callers were turned away, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallersRefused {
    /// [`Refusal::Taken`].
    pub taken: u64,
    /// [`Refusal::Unexpected`].
    pub unexpected: u64,
    /// [`Refusal::NotAllowed`].
    pub not_allowed: u64,
    /// [`Refusal::TooManyFromAddress`].
    pub too_many_from_address: u64,
    /// [`Refusal::TooMany`].
    pub too_many: u64,
}

impl CallersRefused {
    /// Nobody yet.
    #[must_use]
    pub const fn new() -> Self {
        CallersRefused { taken: 0, unexpected: 0, not_allowed: 0, too_many_from_address: 0, too_many: 0 }
    }

    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        let hung_up = self.not_allowed.saturating_add(self.too_many_from_address).saturating_add(self.too_many);
        self.taken.saturating_add(self.unexpected).saturating_add(hung_up)
    }

    pub(crate) const fn count(&mut self, why: Refusal) {
        let counter = match why {
            Refusal::Taken => &mut self.taken,
            Refusal::Unexpected => &mut self.unexpected,
            Refusal::NotAllowed => &mut self.not_allowed,
            Refusal::TooManyFromAddress => &mut self.too_many_from_address,
            Refusal::TooMany => &mut self.too_many,
        };
        *counter = counter.saturating_add(1);
    }
}

/// The connections of one port that are no peer's own: not selected, or not assigned yet.
#[cfg(feature = "manager")]
#[derive(Debug, Default)]
pub(crate) struct Unselected {
    by_address: HashMap<IpAddr, usize>,
    all: usize,
}

#[cfg(feature = "manager")]
impl Unselected {
    /// Counts one more, where the caps allow it.
    pub(crate) fn admit(&mut self, security: &Security, caller: IpAddr) -> Result<(), Refusal> {
        let caller = caller.to_canonical();
        security.room(self.by_address.get(&caller).copied().unwrap_or(0), self.all)?;
        let of_address = self.by_address.entry(caller).or_default();
        *of_address = of_address.saturating_add(1);
        self.all = self.all.saturating_add(1);
        Ok(())
    }

    /// One that was counted is closed.
    pub(crate) fn leave(&mut self, caller: IpAddr) {
        let caller = caller.to_canonical();
        if let Some(of_address) = self.by_address.get_mut(&caller) {
            *of_address = of_address.saturating_sub(1);
            self.all = self.all.saturating_sub(1);
            if *of_address == 0 {
                self.by_address.remove(&caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "manager")]
    #[test]
    fn caps_hold_per_address_and_in_all_and_whoever_leaves_makes_room() {
        let security = Security::new().with_max_unselected(2, 3);
        let [one, other, third]: [IpAddr; 3] = [1, 2, 3].map(|last| [10, 0, 0, last].into());
        let mut unselected = Unselected::default();
        assert_eq!(unselected.admit(&security, one), Ok(()));
        assert_eq!(unselected.admit(&security, "::ffff:10.0.0.1".parse().unwrap()), Ok(()));
        assert_eq!(unselected.admit(&security, one), Err(Refusal::TooManyFromAddress));
        assert_eq!(unselected.admit(&security, other), Ok(()));
        assert_eq!(unselected.admit(&security, third), Err(Refusal::TooMany));
        unselected.leave(one);
        assert_eq!(unselected.admit(&security, third), Ok(()));
        assert_eq!(unselected.admit(&security, one), Err(Refusal::TooMany));
        for caller in [one, other, third] {
            unselected.leave(caller);
        }
        unselected.leave(one);
        assert!(unselected.by_address.is_empty(), "addresses are forgotten with their last connection");
        assert_eq!(unselected.all, 0);
    }

    #[test]
    fn each_reason_has_its_counter() {
        let mut refused = CallersRefused::new();
        for (why, times) in [
            (Refusal::Taken, 1),
            (Refusal::Unexpected, 2),
            (Refusal::NotAllowed, 3),
            (Refusal::TooManyFromAddress, 4),
            (Refusal::TooMany, 5),
        ] {
            (0..times).for_each(|_| refused.count(why));
        }
        let expected =
            CallersRefused { taken: 1, unexpected: 2, not_allowed: 3, too_many_from_address: 4, too_many: 5 };
        assert_eq!((refused, refused.total()), (expected, 15));
    }
}
