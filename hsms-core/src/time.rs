//! Points in time, as numbers that the caller supplies. There is no clock in this crate.

use core::num::NonZeroU64;
use core::time::Duration;

/// A point in time: milliseconds since an epoch that the caller picks.
///
/// The epoch is any moment before the first call, for example the start of the program. Only differences matter, so two
/// connections may use different epochs. The value is kept as milliseconds + 1, so that `Option<Instant>` takes eight
/// octets; it covers 584 million years, and arithmetic stops at the last representable moment instead of wrapping.
///
/// ```
/// use hsms_core::time::Instant;
/// use core::time::Duration;
///
/// let start = Instant::from_millis(0);
/// let later = start.saturating_add(Duration::from_secs(45));
/// assert_eq!(later.as_millis(), 45_000);
/// assert_eq!(later.saturating_since(start), Duration::from_secs(45));
/// assert_eq!(core::mem::size_of::<Option<Instant>>(), 8);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Instant(NonZeroU64);

impl Instant {
    /// The epoch itself: zero milliseconds.
    pub const EPOCH: Instant = Instant(NonZeroU64::MIN);

    /// The moment `millis` milliseconds after the epoch. `u64::MAX` is taken as `u64::MAX - 1`.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Instant(NonZeroU64::MIN.saturating_add(millis))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0.get().wrapping_sub(1)
    }

    /// This moment plus `span`, cut to whole milliseconds; the last representable moment if that is beyond it.
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Instant(self.0.saturating_add(millis))
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Instant) -> Duration {
        Duration::from_millis(self.0.get().saturating_sub(earlier.0.get()))
    }

    /// The moment that [`raw`](Self::raw) gave.
    pub(crate) const fn from_raw(raw: NonZeroU64) -> Self {
        Instant(raw)
    }

    /// Milliseconds since the epoch, plus one.
    pub(crate) const fn raw(self) -> NonZeroU64 {
        self.0
    }

    /// This moment plus `millis` milliseconds.
    pub(crate) const fn plus_millis(self, millis: u64) -> Self {
        Instant(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this moment; zero if `earlier` is later.
    pub(crate) const fn millis_since(self, earlier: Instant) -> u64 {
        self.0.get().saturating_sub(earlier.0.get())
    }
}

/// Turns a hardware tick that wraps into an [`Instant`] that does not.
///
/// Many microcontrollers count milliseconds in 32 bits, which wrap after 49.7 days. Feed each reading to
/// [`widen`](Self::widen): as long as two readings are never further apart than one wrap, time goes on without a jump.
///
/// ```
/// use hsms_core::time::WrappingTick;
///
/// let mut tick = WrappingTick::new();
/// assert_eq!(tick.widen(u32::MAX).as_millis(), 4_294_967_295);
/// assert_eq!(tick.widen(9).as_millis(), 4_294_967_305); // ten milliseconds later
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WrappingTick {
    total: u64,
    last: u32,
}

impl WrappingTick {
    /// A widener whose epoch is the moment at which the tick was zero.
    #[must_use]
    pub const fn new() -> Self {
        WrappingTick { total: 0, last: 0 }
    }

    /// The instant that belongs to the reading `tick`, in milliseconds.
    ///
    /// Readings must come in order, less than 2^32 milliseconds (49.7 days) apart: a reading that is smaller than the one
    /// before counts as a wrap.
    pub const fn widen(&mut self, tick: u32) -> Instant {
        let step = tick.wrapping_sub(self.last);
        self.last = tick;
        self.total = self.total.saturating_add(step as u64);
        Instant::from_millis(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_moment_is_not_passed() {
        let last = Instant::from_millis(u64::MAX);
        assert_eq!(last.as_millis(), u64::MAX - 1);
        assert_eq!(last.saturating_add(Duration::MAX), last);
        assert_eq!(last.plus_millis(7), last);
        assert_eq!(Instant::EPOCH.saturating_since(last), Duration::ZERO);
    }

    #[test]
    fn a_wrapping_tick_goes_on_over_many_wraps() {
        let mut tick = WrappingTick::new();
        let mut real: u64 = 0;
        for step in [0, 1, 4_000_000_000, 4_000_000_000, 17, 4_294_967_295, 0, 2_500_000_000] {
            real += step;
            let reading = u32::try_from(real % (1 << 32)).unwrap();
            assert_eq!(tick.widen(reading).as_millis(), real);
        }
    }
}
