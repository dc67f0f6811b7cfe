//! Whether it pays to ask again before waiting.

/// Waits left out at most before asking again is given another chance.
const LONGEST_PAUSE: u32 = 1_023;

/// How often a read is tried before it waits. A thread that sleeps is woken up in some ten microseconds, so where octets come
/// sooner asking again is worth it; where they do not, for the peer is slow or shares the core, it only burns the time of
/// others. So what happened decides: each time it was in vain doubles the number of waits that go without, and each time it paid
/// takes one off it. Not more, for on a shared core it pays now and then as well, when the peer is given the core meanwhile; and
/// octets that are there at the first try say nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spin {
    most: u32,
    /// Waits that still go without.
    rest: u32,
    /// How many those were at the start.
    pause: u32,
}

impl Spin {
    pub(super) const fn new(most: u32) -> Self {
        Spin { most, rest: 0, pause: 0 }
    }

    /// Whether the next wait begins with asking again.
    pub(super) const fn is_on(&self) -> bool {
        self.most > 0 && self.rest == 0
    }

    /// How often the wait that begins now may ask before it sleeps.
    pub(super) const fn begin(&mut self) -> u32 {
        if self.is_on() {
            return self.most;
        }
        self.rest = self.rest.saturating_sub(1);
        0
    }

    /// Octets came in time, at this try.
    pub(super) const fn paid(&mut self, tried: u32) {
        if tried > 1 {
            self.pause = self.pause.saturating_sub(1);
        }
    }

    /// Nothing came.
    pub(super) const fn in_vain(&mut self) {
        let pause = self.pause.saturating_mul(2).saturating_add(1);
        self.pause = if pause < LONGEST_PAUSE { pause } else { LONGEST_PAUSE };
        self.rest = self.pause;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of so many waits, how many spin, where `pays` says whether octets come in time.
    fn spinning(spin: &mut Spin, waits: u32, pays: impl Fn(u32) -> bool) -> u32 {
        let mut spinning = 0;
        for wait in 0..waits {
            if spin.begin() > 0 {
                spinning += 1;
                if pays(wait) { spin.paid(2) } else { spin.in_vain() }
            }
        }
        spinning
    }

    #[test]
    fn where_octets_come_at_once_every_wait_spins() {
        assert_eq!(spinning(&mut Spin::new(9), 10_000, |_| true), 10_000);
    }

    #[test]
    fn where_they_never_do_a_wait_in_a_thousand_spins() {
        let mut spin = Spin::new(9);
        assert_eq!(spinning(&mut spin, 2_047, |_| false), 11, "after 0, 1, 3, 7 … 1,023 waits without");
        assert_eq!(spinning(&mut spin, 1_024 * 50, |_| false), 50);
    }

    #[test]
    fn where_they_seldom_do_few_waits_spin() {
        let mut spin = Spin::new(9);
        spinning(&mut spin, 5_000, |wait| wait % 4 == 0);
        assert!(spinning(&mut spin, 50_000, |wait| wait % 4 == 0) < 100);
    }

    #[test]
    fn where_they_nearly_always_do_nearly_every_wait_spins() {
        let mut spin = Spin::new(9);
        assert!(spinning(&mut spin, 100_000, |wait| wait % 200 != 0) > 98_000);
    }

    #[test]
    fn octets_that_are_there_already_change_nothing() {
        let mut spin = Spin::new(9);
        spin.in_vain();
        let before = spin.clone();
        spin.paid(1);
        assert_eq!(spin, before);
        spin.paid(2);
        assert_ne!(spin, before);
    }

    #[test]
    fn a_peer_that_becomes_fast_is_noticed() {
        let mut spin = Spin::new(9);
        spinning(&mut spin, 5_000, |_| false);
        let within = 1_024;
        assert!(spinning(&mut spin, within, |_| true) > 0);
        assert_eq!(spinning(&mut spin, 1_000, |_| true), 1_000);
    }

    #[test]
    fn without_spinning_no_wait_spins() {
        let mut spin = Spin::new(0);
        assert!(!spin.is_on());
        assert_eq!(spinning(&mut spin, 100, |_| true), 0);
    }
}
