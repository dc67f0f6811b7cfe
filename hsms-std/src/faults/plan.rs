//! What a line is to suffer, as data.

use hsms_core::wire::Hex;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A place in what one side writes over one connection, before anything has happened to it. Octets and messages are counted
/// from 0; in a message, 0 to 3 are the length field, 4 to 13 the header, and 14 is the first octet of the text.
///
/// A place that a message does not have is never reached: behind a message of 14 octets is octet 0 of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum At {
    /// The octet with this number.
    Octet(u64),
    /// An octet of one message.
    Message {
        /// Which message.
        number: u64,
        /// Which octet of it.
        octet: u64,
    },
    /// An octet of every message.
    EachMessage {
        /// Which octet.
        octet: u64,
    },
}

/// Lengths of pieces, in octets; 0 counts as 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sizes {
    /// All the same.
    Each(u32),
    /// One after the other, and from the beginning again; where the list is empty, no pieces are made.
    List(Vec<u32>),
    /// By chance, within these bounds.
    Random(RangeInclusive<u32>),
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The writer has closed its side. The other direction goes on.
    Closed,
    /// Cut in both directions, as by an orderly close: both ends read the end of the stream.
    Cut,
    /// Cut in both directions, as by a reset: both ends get an error.
    Reset,
}

/// One thing that a line does to the octets of one direction.
///
/// The first five happen as soon as their place is reached, without waiting for the octet that is there; [`At::Octet`]`(0)` is
/// reached when the connection opens. Where several are at one place, they happen in the order of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The connection ends here: octets before pass, octets from here on do not.
    Cut {
        /// Where.
        at: At,
    },
    /// The same, but by a reset. Over a socket, the receiver's system may throw octets away that came just before.
    Reset {
        /// Where.
        at: At,
    },
    /// From here on octets are taken and lost, and so is the end of the stream: a peer that has vanished.
    Swallow {
        /// Where.
        at: At,
    },
    /// From here on no octets are taken: a peer that does not read.
    Stall {
        /// Where.
        at: At,
    },
    /// Octets that nobody has written come in between.
    Insert {
        /// In front of which octet.
        at: At,
        /// What comes. Neither its octets nor its messages are counted.
        octets: Vec<u8>,
    },
    /// Octets are lost.
    Lose {
        /// The first of them.
        at: At,
        /// How many.
        len: u64,
    },
    /// Octets come twice: behind the last of them, all of them once more as they came the first time. Those that the line ends
    /// before do not.
    Duplicate {
        /// The first of them.
        at: At,
        /// How many; 65,536 at most, more is taken as that.
        len: usize,
    },
    /// An octet arrives changed.
    Corrupt {
        /// Which.
        at: At,
        /// Its bits that are turned round.
        mask: u8,
    },
    /// Octets arrive changed by chance.
    Noise {
        /// One octet in so many, on average; 0: none.
        one_in: u32,
    },
    /// An octet arrives late, and all behind it wait for it.
    Delay {
        /// Which.
        at: At,
        /// How much later than it would. Whole milliseconds count.
        by: Duration,
    },
    /// Every octet arrives later than it was written.
    Latency {
        /// How much. Whole milliseconds count.
        by: Duration,
    },
    /// What arrives comes in pieces. Their ends are places in the stream of what arrives, however it was written.
    Split {
        /// How long the pieces are.
        sizes: Sizes,
        /// How long after one piece the next comes, at the earliest. With zero, a socket may put pieces together again.
        /// Whole milliseconds count.
        gap: Duration,
    },
}

impl Fault {
    /// [`Fault::Split`] into pieces of one size, without a gap.
    #[must_use]
    pub const fn split(size: u32) -> Self {
        Fault::Split { sizes: Sizes::Each(size), gap: Duration::ZERO }
    }

    /// [`Fault::Split`] into pieces of a random size, without a gap.
    #[must_use]
    pub const fn split_randomly(sizes: RangeInclusive<u32>) -> Self {
        Fault::Split { sizes: Sizes::Random(sizes), gap: Duration::ZERO }
    }
}

/// What happens to one direction of a connection: nothing, or any number of faults at once.
///
/// The same plan and the same octets give the same result. Its text names the seed and every fault, so that a failure can be
/// had again:
///
/// ```
/// use hsms_std::faults::{At, Fault, Plan};
///
/// let plan = Plan::of([Fault::split_randomly(1..=20), Fault::Cut { at: At::Message { number: 2, octet: 7 } }]).seeded(42);
/// assert_eq!(plan.to_string(), "seed 42: split into pieces of 1 to 20 octets; cut at octet 7 of message 2");
/// assert_eq!(Plan::clean().to_string(), "clean");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    seed: u64,
    faults: Vec<Fault>,
}

impl Plan {
    /// Nothing happens.
    #[must_use]
    pub const fn clean() -> Self {
        Plan { seed: 0, faults: Vec::new() }
    }

    /// These happen. The seed is 0.
    #[must_use]
    pub fn of(faults: impl IntoIterator<Item = Fault>) -> Self {
        Plan { seed: 0, faults: faults.into_iter().collect() }
    }

    /// One more happens.
    #[must_use]
    pub fn with(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Sets what chance goes by.
    #[must_use]
    pub const fn seeded(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// What chance goes by.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// What happens.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl From<Fault> for Plan {
    fn from(fault: Fault) -> Self {
        Plan::of([fault])
    }
}

/// The plans of both directions of a connection, seen from one end.
///
/// For a [`Proxy`](super::Proxy) and a [`pipe`](super::pipe) that end is the caller, which comes first; for
/// [`Faulty`](super::Faulty) it is the one that is wrapped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plans {
    /// What happens to what that end writes.
    pub out: Plan,
    /// What happens to what it reads.
    pub back: Plan,
}

impl Plans {
    /// Nothing happens.
    #[must_use]
    pub const fn clean() -> Self {
        Plans { out: Plan::clean(), back: Plan::clean() }
    }

    /// Only what that end writes suffers.
    #[must_use]
    pub fn out(plan: impl Into<Plan>) -> Self {
        Plans { out: plan.into(), back: Plan::clean() }
    }

    /// Only what that end reads suffers.
    #[must_use]
    pub fn back(plan: impl Into<Plan>) -> Self {
        Plans { out: Plan::clean(), back: plan.into() }
    }

    /// Both directions suffer the same.
    #[must_use]
    pub fn both(plan: impl Into<Plan>) -> Self {
        let out = plan.into();
        Plans { back: out.clone(), out }
    }

    /// For a [`Proxy`](super::Proxy): every connection suffers the same.
    pub fn always(self) -> impl FnMut(u64) -> Plans + Send + 'static {
        move |_| self.clone()
    }

    /// For a [`Proxy`](super::Proxy): the first connection suffers, those after it do not.
    pub fn once(self) -> impl FnMut(u64) -> Plans + Send + 'static {
        move |connection| if connection == 0 { self.clone() } else { Plans::clean() }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Octet(octet) => write!(f, "octet {octet}"),
            At::Message { number, octet } => write!(f, "octet {octet} of message {number}"),
            At::EachMessage { octet } => write!(f, "octet {octet} of each message"),
        }
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sizes::Each(size) => write!(f, "{size} octets"),
            Sizes::List(sizes) => write!(f, "{sizes:?} octets"),
            Sizes::Random(sizes) => write!(f, "{} to {} octets", sizes.start(), sizes.end()),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            End::Closed => "closed by the writer",
            End::Cut => "cut",
            End::Reset => "reset",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Cut { at } => write!(f, "cut at {at}"),
            Fault::Reset { at } => write!(f, "reset at {at}"),
            Fault::Swallow { at } => write!(f, "swallow from {at}"),
            Fault::Stall { at } => write!(f, "stall at {at}"),
            Fault::Insert { at, octets } => write!(f, "insert {} at {at}", Hex::bounded(octets, 32)),
            Fault::Lose { at, len } => write!(f, "lose {len} octets at {at}"),
            Fault::Duplicate { at, len } => write!(f, "duplicate {len} octets at {at}"),
            Fault::Corrupt { at, mask } => write!(f, "xor {mask:#04x} at {at}"),
            Fault::Noise { one_in } => write!(f, "change one octet in {one_in}"),
            Fault::Delay { at, by } => write!(f, "delay {by:?} at {at}"),
            Fault::Latency { by } => write!(f, "delay {by:?} everywhere"),
            Fault::Split { sizes, gap } if gap.is_zero() => write!(f, "split into pieces of {sizes}"),
            Fault::Split { sizes, gap } => write!(f, "split into pieces of {sizes}, {gap:?} apart"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.faults.is_empty() {
            return f.write_str("clean");
        }
        write!(f, "seed {}", self.seed)?;
        let mut separator = ": ";
        for fault in &self.faults {
            write!(f, "{separator}{fault}")?;
            separator = "; ";
        }
        Ok(())
    }
}
