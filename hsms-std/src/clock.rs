//! The clock that the machine does not have.

use hsms_core::time::Instant;
use std::time::Duration;

/// A moment that never comes: of whoever waits until then for something else.
pub(crate) const FOR_EVER: Instant = Instant::from_millis(u64::MAX);

/// Milliseconds since it was made, from the system's monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: std::time::Instant,
}

impl Clock {
    /// A clock that stands at zero.
    #[must_use]
    pub fn new() -> Self {
        Clock { start: std::time::Instant::now() }
    }

    /// The present moment.
    #[must_use]
    #[inline]
    pub fn now(&self) -> Instant {
        let elapsed = self.start.elapsed();
        Instant::from_millis(elapsed.as_secs().saturating_mul(1_000).saturating_add(elapsed.subsec_millis().into()))
    }

    /// How long it takes from now until `deadline` has come; zero where it has. Milliseconds are cut off when the clock is
    /// read, so this is never too short.
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Duration {
        Duration::from_millis(deadline.as_millis()).saturating_sub(self.start.elapsed())
    }
}

impl Default for Clock {
    fn default() -> Self {
        Clock::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_that_was_waited_for_has_come() {
        let clock = Clock::new();
        let deadline = clock.now().saturating_add(Duration::from_millis(3));
        let mut left = clock.until(deadline);
        assert!(left <= Duration::from_millis(4));
        while !left.is_zero() {
            std::hint::spin_loop();
            left = clock.until(deadline);
        }
        assert!(clock.now() >= deadline);
    }
}
