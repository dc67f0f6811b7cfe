//! Who looks on at what a driver does.

use super::Driver;
use crate::tap::Tap;
use crate::transport::Transport;
use crate::watch::Onlookers;
#[cfg(feature = "services")]
use crate::words::Words;
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

    /// The connection has services, by these words.
    #[cfg(feature = "services")]
    pub(crate) fn set_words(&mut self, words: &Arc<Words>) {
        self.watch.set_words(words);
        self.onlookers.words = Some(Arc::clone(words));
    }

    /// Has it logged as being about the peer.
    #[cfg(feature = "services")]
    pub(crate) fn log(&mut self, log: impl FnOnce()) {
        match self.watch.is_on() {
            true => self.watch.inside(log),
            false => self.onlookers.inside(log),
        }
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

#[cfg(all(test, feature = "faults", feature = "manager", feature = "metrics"))]
mod tests {
    use super::*;
    use crate::faults::{Pipe, Plans, pipe};
    use crate::{Config, DeviceId, Options};
    use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};
    use std::io::IoSlice;
    use std::time::Duration;

    /// The meter waits for nothing that the application has given up: else each would be kept as long as the connection.
    #[test]
    fn a_transaction_that_is_given_up_is_given_up_by_the_meter() {
        let device = DeviceId::new(7).unwrap();
        let (ours, mut theirs) = pipe(&Plans::clean());
        let config = Config::equipment(device).with_linktest_period(Duration::ZERO).unwrap();
        let mut tool: Driver<Pipe> = Driver::new(config, Options::new());
        tool.enable();
        tool.opened(ours);
        let select = Header::select_req(SystemBytes(1)).encode_alone();
        assert_eq!(theirs.write(&[IoSlice::new(&select)], Duration::from_secs(10)).unwrap(), select.len());
        while !tool.is_selected() {
            let until = tool.tick().saturating_add(Duration::from_secs(10));
            tool.turn(until).unwrap();
            while tool.poll().is_some() {}
        }
        for _ in 0..3 {
            let system = tool.post(SessionId(7), StreamFunction::new(1, 1), b"").unwrap();
            assert!(tool.meter.waits());
            tool.forget(system).unwrap();
            assert!(!tool.meter.waits());
        }
    }
}
