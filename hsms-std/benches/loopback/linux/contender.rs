//! What is measured, and what every contender is measured by.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// The outcome of a step of the benchmark: any error ends the run and is printed.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The passive end, listening. Returns how many messages it answered.
pub(crate) type Serve = Box<dyn FnOnce() -> Outcome<u64>>;

/// One way of carrying requests and replies over a loopback connection.
pub(crate) trait Contender: Sync {
    /// The name in the table.
    fn name(&self) -> &'static str;

    /// Whether its ends have more threads than that which they are called on. These are on the same core, so the time
    /// that each waits for it is not that which others had.
    fn has_threads_of_its_own(&self) -> bool {
        false
    }

    /// Binds a free loopback port. Called on the thread of the passive end. The passive end serves one connection, until its peer closes it.
    fn listen(&self, case: &Case) -> Outcome<(SocketAddr, Serve)>;

    /// The active end: connects, keeps the case's window full until `meter` has seen enough, waits
    /// for what is still in flight and closes. Returns how many messages came back.
    fn run(&self, to: SocketAddr, case: &Case, meter: &mut Meter) -> Outcome<u64>;
}

/// The length of an HSMS frame without its body: four octets of message length and ten of header.
pub(crate) const PREFIX: usize = 14;

/// One size of message and one number of messages in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// The name in the table and for `--filter`.
    pub(crate) name: &'static str,
    /// Octets of the body, in both directions.
    pub(crate) body: usize,
    /// Requests whose reply is outstanding at any time.
    pub(crate) window: u64,
}

impl Case {
    /// Octets of one message on the wire.
    pub(crate) const fn frame(&self) -> usize {
        PREFIX + self.body
    }

    /// An S1F1 with the W-bit for device 0, system bytes 0, and a body in which no two neighbouring
    /// octets are alike.
    pub(crate) fn request(&self) -> Outcome<Vec<u8>> {
        let message_length = u32::try_from(self.frame() - 4)?;
        let mut frame = Vec::with_capacity(self.frame());
        frame.extend_from_slice(&message_length.to_be_bytes());
        frame.extend_from_slice(&[0, 0, 0x81, 1, 0, 0, 0, 0, 0, 0]);
        frame.extend(self.payload());
        Ok(frame)
    }

    /// The octets of the body alone.
    pub(crate) fn payload(&self) -> impl Iterator<Item = u8> {
        (0..251).cycle().take(self.body)
    }
}

/// How long a round lasts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Left out of the figures; every octet that comes back is compared meanwhile.
    pub(crate) warm_up: Duration,
    /// What the figures are taken from.
    pub(crate) span: Duration,
}

/// Counts messages, takes the latency of one message at a time, and says when a round is over.
///
/// A clock reading costs about as much as carrying a message at the highest rates. So it reads the
/// clock for one message per window only, chosen at random so that no place in a batch is
/// preferred, and alike for every contender.
pub(crate) struct Meter {
    pace: Pace,
    window: u64,
    phase: Phase,
    /// Messages whose sending has begun.
    begun: u64,
    /// The number of the message being timed, or to be timed next.
    probe: u64,
    probe_sent: Option<Instant>,
    random: u64,
    latency: Histogram<u64>,
}

#[derive(Clone, Copy)]
enum Phase {
    WarmUp { since: Instant },
    Timed { since: Instant, before: u64 },
    Over { messages: u64, elapsed: Duration },
}

impl Meter {
    /// A meter whose warm-up begins now. `seed` selects the messages that are timed.
    pub(crate) fn new(pace: Pace, window: u64, seed: u64) -> Outcome<Self> {
        // One nanosecond to one minute, three significant digits.
        let latency = Histogram::new_with_bounds(1, 60_000_000_000, 3)?;
        let phase = Phase::WarmUp { since: Instant::now() };
        Ok(Self { pace, window, phase, begun: 0, probe: 0, probe_sent: None, random: seed | 1, latency })
    }

    /// Whether replies are to be compared octet by octet.
    pub(crate) const fn warming_up(&self) -> bool {
        matches!(self.phase, Phase::WarmUp { .. })
    }

    /// To be called before the messages with numbers below `upto`, counted from 0, are handed to
    /// the socket.
    pub(crate) fn sending(&mut self, upto: u64) {
        self.begun = upto;
        if self.probe_sent.is_none() && self.probe < upto {
            self.probe_sent = Some(Instant::now());
        }
    }

    /// To be called when `total` replies have been received since the beginning. Returns whether to
    /// go on sending.
    pub(crate) fn received(&mut self, total: u64) -> Outcome<bool> {
        if let Some(sent) = self.probe_sent
            && self.probe < total
        {
            let now = Instant::now();
            self.probed(now, now - sent, total)?;
        }
        Ok(!matches!(self.phase, Phase::Over { .. }))
    }

    /// The figures of the round, if it lasted to its end.
    pub(crate) fn finish(self) -> Option<Sample> {
        match self.phase {
            Phase::Over { messages, elapsed } => Some(Sample { messages, elapsed, latency: self.latency }),
            Phase::WarmUp { .. } | Phase::Timed { .. } => None,
        }
    }

    fn probed(&mut self, now: Instant, latency: Duration, total: u64) -> Outcome<()> {
        match self.phase {
            Phase::WarmUp { since } if now - since >= self.pace.warm_up => {
                self.phase = Phase::Timed { since: now, before: total };
            }
            Phase::WarmUp { .. } | Phase::Over { .. } => {}
            Phase::Timed { since, before } => {
                self.latency.record(u64::try_from(latency.as_nanos())?)?;
                if now - since >= self.pace.span {
                    self.phase = Phase::Over { messages: total - before, elapsed: now - since };
                }
            }
        }
        // Knuth's MMIX constants; the low bits of such a generator are poor, the high ones will do
        // here.
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.probe = self.begun + (self.random >> 33) % self.window;
        self.probe_sent = None;
        Ok(())
    }
}

/// The figures of one round.
pub(crate) struct Sample {
    /// Messages whose replies arrived in the timed part.
    pub(crate) messages: u64,
    /// How long the timed part was.
    pub(crate) elapsed: Duration,
    /// Request begun to reply received, in nanoseconds.
    pub(crate) latency: Histogram<u64>,
}

impl Sample {
    /// Messages, each with its reply, in a second.
    pub(crate) fn rate(&self) -> f64 {
        self.messages as f64 / self.elapsed.as_secs_f64()
    }
}

/// A peer or a socket that did what it must not do.
#[derive(Debug)]
pub(crate) struct Wrong(pub(crate) String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Wrong {}
