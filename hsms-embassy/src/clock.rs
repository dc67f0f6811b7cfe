//! The time of `embassy-time` as the core counts it.

use embassy_time::{Duration, Timer};
use hsms_core::time::Instant;

/// No timer of HSMS is set for longer; a wait that long is begun anew.
const LONGEST: u64 = 86_400_000;

/// The clock, in milliseconds since the start of the program.
// Called from everywhere, and in flash once.
#[inline(never)]
pub(crate) fn now() -> Instant {
    Instant::from_millis(embassy_time::Instant::now().as_millis())
}

/// Waits until `deadline`, or a day. Never ends early otherwise: [`now`] cuts a started millisecond off, so what is left until
/// a deadline is rather too long.
pub(crate) async fn reach(deadline: Instant) {
    let left = deadline.as_millis().saturating_sub(now().as_millis());
    if left > 0 {
        Timer::after(Duration::from_millis(left.min(LONGEST))).await;
    }
}

/// The same; for ever where there is none.
#[cfg(feature = "services")]
pub(crate) async fn reach_some(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => reach(deadline).await,
        None => core::future::pending().await,
    }
}
