//! What a run has come to.

use super::application::ENDS;
use super::faults::FAULTS;
use hsms_std::faults::broken::PEERS;
use std::fmt;

/// What a run has come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures {
    /// Links.
    pub links: u64,
    /// Virtual milliseconds of all links together.
    pub millis: u64,
    /// Messages received, by all types, of all ends.
    pub messages: u64,
    /// Those of the link that received the fewest in a virtual minute, times 60.
    pub least_messages_per_hour: Option<u64>,
    /// Inputs that machines were told.
    pub steps: u64,
    /// Requests that were begun.
    pub requests: u64,
    /// How they ended, in the order of [`ENDS`].
    pub ended: [u64; ENDS.len()],
    /// How often each fault came, in the order of [`FAULTS`].
    pub faults: [u64; FAULTS.len()],
    /// How often each of the broken peers came, in the order of [`PEERS`].
    pub visits: [u64; PEERS.len()],
    /// Of every machine's inputs and actions, and of their order.
    pub hash: u64,
}

impl Figures {
    /// Adds those of another run.
    pub fn add(&mut self, other: &Figures) {
        self.links += other.links;
        self.millis += other.millis;
        self.messages += other.messages;
        self.steps += other.steps;
        self.requests += other.requests;
        let pairs = self.ended.iter_mut().zip(other.ended);
        let pairs = pairs.chain(self.faults.iter_mut().zip(other.faults));
        pairs.chain(self.visits.iter_mut().zip(other.visits)).for_each(|(sum, count)| *sum += count);
        self.least_messages_per_hour =
            [self.least_messages_per_hour, other.least_messages_per_hour].into_iter().flatten().min();
        self.hash = self.hash.rotate_left(7) ^ other.hash;
    }

    /// Virtual time of all links, in hours.
    #[must_use]
    pub fn hours(&self) -> f64 {
        self.millis as f64 / 3_600_000.0
    }

    /// Virtual time of all links, in years of 365 days.
    #[must_use]
    pub fn years(&self) -> f64 {
        self.hours() / 8_760.0
    }

    /// Messages per link and virtual minute, on average.
    #[must_use]
    pub fn messages_per_minute(&self) -> f64 {
        self.messages as f64 * 60_000.0 / self.millis.max(1) as f64
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = self.least_messages_per_hour.unwrap_or_default() as f64 / 60.0;
        writeln!(f, "{} links, {:.1} virtual link-hours, {} inputs of machines", self.links, self.hours(), self.steps)?;
        writeln!(
            f,
            "{} messages received, {:.1} per link and virtual minute; the quietest link {least:.1}",
            self.messages,
            self.messages_per_minute()
        )?;
        write!(f, "{} requests:", self.requests)?;
        for ((_, name), count) in ENDS.iter().zip(self.ended) {
            write!(f, " {name} {count},")?;
        }
        write!(f, " and none twice\nfaults:")?;
        for ((_, name), count) in FAULTS.iter().zip(self.faults) {
            write!(f, " {name} {count},")?;
        }
        write!(f, "\nbroken peers:")?;
        for (peer, count) in PEERS.iter().zip(self.visits) {
            write!(f, " {} {count},", peer.name)?;
        }
        write!(f, "\ntrace hash {:016x}", self.hash)
    }
}
