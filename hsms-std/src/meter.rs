//! Tells the `metrics` facade what the counters of a link have come to, and how long answers take. Without the feature nothing of it is
//! left.

#![cfg_attr(
    not(feature = "metrics"),
    allow(
        unused_variables,
        clippy::needless_pass_by_ref_mut,
        clippy::missing_const_for_fn,
        reason = "there is nobody to be told"
    )
)]

use crate::transport::Transport;
use hsms_core::config::ConnectMode;
use hsms_core::connection::{Inbound, Notice};
use hsms_core::counters::Counters;
use hsms_core::wire::{Header, SystemBytes};
use std::sync::Arc;

#[cfg(feature = "metrics")]
use crate::metrics as names;
#[cfg(feature = "metrics")]
use hsms_core::wire::TransactionKind;
#[cfg(feature = "metrics")]
use metrics::{SharedString, counter, gauge, histogram};
#[cfg(feature = "metrics")]
use std::collections::HashMap;
#[cfg(feature = "metrics")]
use std::time::{Duration, Instant};

/// What of a link has been told.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    #[cfg(feature = "metrics")]
    told: Counters,
    #[cfg(feature = "metrics")]
    told_open: usize,
    /// Requests without an answer, and when they were sent: no more than the machine has open, whose ends are all told.
    #[cfg(feature = "metrics")]
    open: HashMap<SystemBytes, Instant>,
    /// What answers have taken, and to what.
    #[cfg(feature = "metrics")]
    answered: Vec<(&'static str, Duration)>,
    /// What it is known by that has no name.
    #[cfg(feature = "metrics")]
    address: Option<Arc<str>>,
}

impl Meter {
    /// For a link whose counters have been told so far.
    #[cfg(all(feature = "manager", feature = "metrics"))]
    pub(crate) fn of(counters: &Counters) -> Self {
        Meter { told: *counters, ..Meter::default() }
    }

    #[cfg(all(feature = "manager", not(feature = "metrics")))]
    pub(crate) fn of(counters: &Counters) -> Self {
        Meter::default()
    }

    /// The transport is open.
    pub(crate) fn opened(&mut self, mode: ConnectMode, transport: &impl Transport) {
        #[cfg(feature = "metrics")]
        if let Some((_, remote)) = transport.addresses() {
            // The port that somebody calls from is another each time.
            self.address = Some(match mode {
                ConnectMode::Active => remote.to_string().into(),
                ConnectMode::Passive => remote.ip().to_canonical().to_string().into(),
            });
        }
    }

    /// A message takes its place in the ordered output.
    #[inline]
    pub(crate) fn sent(&mut self, header: &Header) {
        #[cfg(feature = "metrics")]
        if let Some(TransactionKind::Data | TransactionKind::Linktest) = header.begins() {
            self.open.insert(header.system, Instant::now());
        }
    }

    /// A piece of a message has come.
    #[inline]
    pub(crate) fn received(&mut self, inbound: &Inbound<'_>) {
        #[cfg(feature = "metrics")]
        if inbound.last() && inbound.is_reply() {
            self.answer("data", inbound.header().system);
        }
    }

    /// A notice of the machine: a request may have ended.
    pub(crate) fn notice(&mut self, notice: &Notice) {
        #[cfg(feature = "metrics")]
        match notice {
            Notice::LinktestAnswered { system } => self.answer("linktest", *system),
            Notice::TransactionEnded { system, .. } | Notice::LinktestMissed { system, .. } => self.forgotten(*system),
            _ => {}
        }
    }

    /// Nobody waits for the answer any more.
    pub(crate) fn forgotten(&mut self, system: SystemBytes) {
        #[cfg(feature = "metrics")]
        self.open.remove(&system);
    }

    #[cfg(feature = "metrics")]
    fn answer(&mut self, of: &'static str, system: SystemBytes) {
        if let Some(sent) = self.open.remove(&system) {
            self.answered.push((of, sent.elapsed()));
        }
    }

    /// The transport is closed.
    pub(crate) fn closed(&mut self) {
        #[cfg(feature = "metrics")]
        self.open.clear();
    }

    /// Whether an answer is waited for.
    #[cfg(all(feature = "manager", feature = "metrics"))]
    pub(crate) fn waits(&self) -> bool {
        !self.open.is_empty()
    }

    #[cfg(all(feature = "manager", not(feature = "metrics")))]
    pub(crate) fn waits(&self) -> bool {
        false
    }

    /// Tells what has happened since it last did.
    #[inline]
    pub(crate) fn tell(&mut self, name: Option<&Arc<str>>, counters: &Counters, open: usize) {
        #[cfg(feature = "metrics")]
        if self.told != *counters || self.told_open != open || !self.answered.is_empty() {
            self.tell_news(name, counters, open);
        }
    }

    #[cfg(feature = "metrics")]
    #[cold]
    fn tell_news(&mut self, name: Option<&Arc<str>>, counters: &Counters, open: usize) {
        let peer: SharedString = match name.or(self.address.as_ref()) {
            Some(name) => Arc::clone(name).into(),
            None => "unknown".into(),
        };
        let peer = || peer.clone();
        let (now, before) = (counters, &self.told);
        for (direction, now, before) in
            [("received", &now.received, &before.received), ("sent", &now.sent, &before.sent)]
        {
            for (kind, count) in news(now.messages.iter(), before.messages.iter()) {
                counter!(names::MESSAGES, "peer" => peer(), "direction" => direction, "type" => kind).increment(count);
            }
            for (_, count) in news([("", now.octets)], [("", before.octets)]) {
                counter!(names::OCTETS, "peer" => peer(), "direction" => direction).increment(count);
            }
        }
        for (direction, now, before) in [
            ("received", &now.rejects_received, &before.rejects_received),
            ("sent", &now.rejects_sent, &before.rejects_sent),
        ] {
            for (reason, count) in news(now.iter(), before.iter()) {
                counter!(names::REJECTS, "peer" => peer(), "direction" => direction, "reason" => reason)
                    .increment(count);
            }
        }
        for (timer, count) in news(now.timeouts.iter(), before.timeouts.iter()) {
            counter!(names::TIMEOUTS, "peer" => peer(), "timer" => timer).increment(count);
        }
        for (reason, count) in news(now.transactions_ended.iter(), before.transactions_ended.iter()) {
            counter!(names::TRANSACTIONS_ENDED, "peer" => peer(), "reason" => reason).increment(count);
        }
        for (kind, count) in news(now.leniencies.iter(), before.leniencies.iter()) {
            counter!(names::LENIENCIES, "peer" => peer(), "kind" => kind).increment(count);
        }
        for (kind, count) in news(now.strays.iter(), before.strays.iter()) {
            counter!(names::STRAYS, "peer" => peer(), "kind" => kind).increment(count);
        }
        for (reason, count) in news(now.closes.iter(), before.closes.iter()) {
            counter!(names::CLOSES, "peer" => peer(), "reason" => reason).increment(count);
        }
        let single = |counters: &Counters| {
            [
                (names::TOO_LONG, counters.too_long),
                (names::ATTEMPTS, counters.attempts),
                (names::FAILED_ATTEMPTS, counters.failed_attempts),
                (names::CONNECTIONS, counters.connections),
                (names::RECONNECTS, counters.reconnects),
                (names::SELECTIONS, counters.selections),
            ]
        };
        for (name, count) in news(single(now), single(before)) {
            counter!(name, "peer" => peer()).increment(count);
        }
        if self.told_open != open {
            gauge!(names::OPEN_TRANSACTIONS, "peer" => peer()).set(u32::try_from(open).unwrap_or(u32::MAX));
        }
        for (of, took) in self.answered.drain(..) {
            histogram!(names::ROUND_TRIP, "peer" => peer(), "of" => of).record(took);
        }
        (self.told, self.told_open) = (*counters, open);
    }
}

/// What has grown, and by how much.
#[cfg(feature = "metrics")]
fn news(
    now: impl IntoIterator<Item = (&'static str, u64)>,
    before: impl IntoIterator<Item = (&'static str, u64)>,
) -> impl Iterator<Item = (&'static str, u64)> {
    let pairs = now.into_iter().zip(before);
    pairs.map(|((name, now), (_, before))| (name, now.saturating_sub(before))).filter(|(_, count)| *count > 0)
}

#[cfg(all(test, feature = "metrics"))]
mod tests {
    use super::*;
    use hsms_core::config::{Config, DeviceId};
    use hsms_core::connection::{Action, Connection, Event};
    use hsms_core::time;
    use hsms_core::wire::{RejectReason, SessionId, StreamFunction};

    const DEVICE: DeviceId = DeviceId::new(7).unwrap();
    const SESSION: SessionId = DEVICE.session();
    const S1F1: StreamFunction = StreamFunction::new(1, 1);
    const S1F2: StreamFunction = StreamFunction::new(1, 2);

    /// A machine, and a meter that is told as an adapter tells it.
    struct Link {
        machine: Connection<4>,
        meter: Meter,
        now: time::Instant,
    }

    impl Link {
        fn selected() -> Self {
            let config = Config::equipment(DEVICE).with_linktest_period(Duration::ZERO).unwrap();
            // One that is missed does not end the connection.
            let config = config.with_linktest_threshold(3).unwrap();
            let now = time::Instant::from_millis(1);
            let mut link = Link { machine: Connection::new(config), meter: Meter::default(), now };
            link.machine.enable(now).unwrap();
            link.drain();
            link.machine.handle(now, Event::TransportOpen).unwrap();
            link.receive(&Header::select_req(SystemBytes(900)), b"");
            link
        }

        fn drain(&mut self) {
            while let Some(action) = self.machine.poll_action() {
                match action {
                    Action::Send(frame) => {
                        self.meter.sent(&frame.header());
                        self.written(frame.encode().len());
                    }
                    Action::Notify(notice) => self.meter.notice(&notice),
                    Action::CloseTransport(_) => self.meter.closed(),
                    Action::OpenTransport => {}
                }
            }
        }

        /// Timers run from there on.
        fn written(&mut self, octets: usize) {
            self.machine.written(self.now, u64::try_from(octets).unwrap()).unwrap();
        }

        fn octets(&mut self, mut octets: &[u8]) {
            while !octets.is_empty() {
                let (taken, inbound) = self.machine.receive(self.now, octets).unwrap();
                if let Some(inbound) = inbound {
                    self.meter.received(&inbound);
                }
                octets = &octets[taken..];
                self.drain();
            }
        }

        fn receive(&mut self, header: &Header, text: &[u8]) {
            let prefix = header.encode_prefix(u32::try_from(text.len()).unwrap()).unwrap();
            self.octets(&[&prefix, text].concat());
        }

        fn primary(&mut self) -> SystemBytes {
            let (system, prefix) = self.machine.begin_primary(self.now, DEVICE, S1F1, true, 0).unwrap();
            let [_, _, _, _, header @ ..] = prefix;
            self.meter.sent(&Header::decode(&header));
            self.machine.end_body(self.now).unwrap();
            self.written(prefix.len());
            self.drain();
            system
        }

        fn linktest(&mut self) -> SystemBytes {
            let system = self.machine.linktest(self.now).unwrap();
            self.drain();
            assert_eq!(self.meter.open.len(), 1);
            system
        }

        /// The timer that is due next expires.
        fn expire(&mut self) {
            self.now = self.machine.next_deadline().unwrap();
            self.machine.handle(self.now, Event::Timeout).unwrap();
            self.drain();
        }

        fn trips(&self) -> Vec<&'static str> {
            self.meter.answered.iter().map(|(of, _)| *of).collect()
        }
    }

    fn reply(system: SystemBytes) -> Header {
        Header::data(system, S1F2, false, SESSION)
    }

    #[test]
    fn a_linktest_that_is_rejected_is_answered_and_leaves_nothing() {
        let mut link = Link::selected();
        for count in 1..=100 {
            let system = link.linktest();
            let refused = Header::linktest_req(system).stype.0;
            link.receive(&Header::reject_req(system, refused, RejectReason::STYPE_NOT_SUPPORTED), b"");
            assert_eq!((link.meter.open.len(), link.trips()), (0, vec!["linktest"; count]));
        }
        let system = link.linktest();
        link.receive(&Header::linktest_rsp(system), b"");
        assert_eq!((link.meter.open.len(), link.trips().len()), (0, 101));
    }

    #[test]
    fn a_linktest_without_an_answer_is_no_round_trip_even_if_one_comes_late() {
        let mut link = Link::selected();
        let system = link.linktest();
        link.expire();
        assert_eq!(link.meter.open.len(), 0);
        link.receive(&Header::linktest_rsp(system), b"");
        assert_eq!(link.trips(), Vec::<&str>::new());
    }

    #[test]
    fn a_reply_in_pieces_is_a_round_trip_when_it_is_whole() {
        let mut link = Link::selected();
        let system = link.primary();
        let prefix = reply(system).encode_prefix(3).unwrap();
        link.octets(&prefix);
        assert_eq!((link.meter.open.len(), link.trips().len()), (1, 0));
        link.octets(b"\x21\x01");
        assert_eq!((link.meter.open.len(), link.trips().len()), (1, 0));
        link.octets(b"\x07");
        assert_eq!((link.meter.open.len(), link.trips()), (0, vec!["data"]));
    }

    #[test]
    fn a_primary_that_ends_without_a_reply_is_no_round_trip_and_leaves_nothing() {
        let ends: [fn(&mut Link, SystemBytes); 5] = [
            // T3, and a reply behind it.
            |link, system| {
                link.expire();
                assert_eq!(link.meter.open.len(), 0);
                link.receive(&reply(system), b"");
            },
            |link, system| {
                link.receive(&Header::reject_req(system, 0, RejectReason::ENTITY_NOT_SELECTED), b"");
            },
            // The adapter gives it up, also while its reply arrives.
            |link, system| {
                link.machine.forget(system).unwrap();
                link.meter.forgotten(system);
                link.receive(&reply(system), b"");
            },
            |link, system| {
                link.octets(&reply(system).encode_prefix(1).unwrap());
                link.machine.forget(system).unwrap();
                link.meter.forgotten(system);
                link.octets(b"?");
            },
            |link, _| {
                link.machine.separate(link.now).unwrap();
                link.drain();
            },
        ];
        for (at, end) in ends.into_iter().enumerate() {
            let mut link = Link::selected();
            let system = link.primary();
            assert_eq!(link.meter.open.len(), 1);
            end(&mut link, system);
            assert_eq!((link.meter.open.len(), link.trips().len()), (0, 0), "end {at}");
        }
    }
}
