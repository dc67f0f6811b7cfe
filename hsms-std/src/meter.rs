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
use hsms_core::wire::Header;
use std::sync::Arc;

#[cfg(feature = "metrics")]
use crate::metrics as names;
#[cfg(feature = "metrics")]
use hsms_core::wire::{SType, SystemBytes};
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
    /// Requests without an answer, and when they were sent.
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
        if of(header).is_some() && (header.reply_expected() || header.stype == SType::LINKTEST_REQ) {
            self.open.insert(header.system, Instant::now());
        }
    }

    /// A piece of a message has come.
    #[inline]
    pub(crate) fn received(&mut self, inbound: &Inbound<'_>) {
        #[cfg(feature = "metrics")]
        if inbound.last()
            && let Some(of) = of(inbound.header())
            && (inbound.is_reply() || inbound.header().stype == SType::LINKTEST_RSP)
            && let Some(sent) = self.open.remove(&inbound.header().system)
        {
            self.answered.push((of, sent.elapsed()));
        }
    }

    /// A notice of the machine: a request may have ended without an answer.
    pub(crate) fn notice(&mut self, notice: &Notice) {
        #[cfg(feature = "metrics")]
        if let Notice::TransactionEnded { system, .. } | Notice::LinktestMissed { system, .. } = notice {
            self.open.remove(system);
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

/// What a round trip is one of.
#[cfg(feature = "metrics")]
const fn of(header: &Header) -> Option<&'static str> {
    match header.stype {
        SType::DATA => Some("data"),
        SType::LINKTEST_REQ | SType::LINKTEST_RSP => Some("linktest"),
        _ => None,
    }
}
