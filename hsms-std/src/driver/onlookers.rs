//! Who looks on at what a driver does.

use super::Driver;
use crate::tap::Tap;
use crate::transport::Transport;
use crate::watch::Onlookers;
use hsms_core::connection::Sessions;
use std::sync::Arc;

impl<T: Transport, const TRANSACTIONS: usize, S: Sessions> Driver<T, TRANSACTIONS, S> {
    /// The same driver with a [tap](crate::tap). Before its first transport is open, so that everything is seen.
    #[must_use]
    pub fn with_tap(mut self, tap: Arc<dyn Tap>) -> Self {
        self.set_tap(tap);
        self
    }

    /// The same driver with a name for its peer, by which the log and a [tap](crate::tap) know it; otherwise it is its address. Before its first transport is open.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> Self {
        self.set_name(name);
        self
    }

    pub(crate) fn set_tap(&mut self, tap: Arc<dyn Tap>) {
        self.onlookers.tap = Some(tap);
    }

    pub(crate) fn set_name(&mut self, name: &str) {
        self.onlookers.name = Some(name.into());
    }

    /// Tells the counters to whoever wants to know them.
    #[inline]
    pub(super) fn tell_meter(&mut self) {
        self.meter.tell(self.onlookers.name.as_ref(), &self.counters, self.machine.open_transactions());
    }

    pub(crate) const fn onlookers(&self) -> &Onlookers {
        &self.onlookers
    }
}
