//! What a rule's test found, with the octets and times that decided it.

use hsms_core::wire::{Header, Hex};
use std::fmt;
use std::time::Duration;

/// What a rule's test found out about a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The subject does what the rule asks for.
    Pass {
        /// What went over the wire.
        transcript: Transcript,
    },
    /// It does not.
    Fail {
        /// What was expected and what came instead.
        why: String,
        /// What went over the wire until then.
        transcript: Transcript,
    },
    /// The rule does not apply to this subject.
    NotApplicable {
        /// Why not.
        why: String,
        /// What went over the wire until that was clear.
        transcript: Transcript,
    },
    /// It cannot be found out on this bench.
    Undecided {
        /// What the bench lacks.
        why: String,
        /// What went over the wire until that was clear.
        transcript: Transcript,
    },
}

/// How a test ends early, or that it came to its end.
pub type Outcome<T = ()> = Result<T, Stop>;

/// Why a rule's test ended before its end. [`Rule::verdict`](super::Rule::verdict) makes a [`Verdict`] of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The subject does not do what the rule asks for.
    Fail(String),
    /// The rule does not apply.
    NotApplicable(String),
    /// The bench cannot do what the test needs.
    Undecided(String),
}

impl Verdict {
    /// Whether it is a pass or a fail.
    #[must_use]
    pub const fn is_decided(&self) -> bool {
        matches!(self, Verdict::Pass { .. } | Verdict::Fail { .. })
    }

    /// Whether it is a pass.
    #[must_use]
    pub const fn is_pass(&self) -> bool {
        matches!(self, Verdict::Pass { .. })
    }

    /// The octets and times that decided it.
    #[must_use]
    pub const fn transcript(&self) -> &Transcript {
        match self {
            Verdict::Pass { transcript }
            | Verdict::Fail { transcript, .. }
            | Verdict::NotApplicable { transcript, .. }
            | Verdict::Undecided { transcript, .. } => transcript,
        }
    }
}

/// The verdict on one line, and the transcript below.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Pass { .. } => writeln!(f, "pass")?,
            Verdict::Fail { why, .. } => writeln!(f, "FAIL: {why}")?,
            Verdict::NotApplicable { why, .. } => writeln!(f, "not applicable: {why}")?,
            Verdict::Undecided { why, .. } => writeln!(f, "undecided: {why}")?,
        }
        self.transcript().fmt(f)
    }
}

/// Everything that happened between tester and subject, with the time since the test began.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transcript {
    entries: Vec<Entry>,
    left_out: usize,
}

/// One line of a [`Transcript`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When, since the test began.
    pub at: Duration,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The tester sent octets: the first of them, and how many there were.
    Sent(Vec<u8>, usize),
    /// The subject sent octets: the first of them, and how many there were.
    Received(Vec<u8>, usize),
    /// Anything else, in words.
    Note(String),
}

/// Lines of a transcript that are kept. Tests with many cases would otherwise keep them all.
const MOST_ENTRIES: usize = 200;

/// Octets of one line that are kept.
const MOST_OCTETS: usize = 64;

impl Transcript {
    /// An empty transcript.
    #[must_use]
    pub const fn new() -> Self {
        Transcript { entries: Vec::new(), left_out: 0 }
    }

    /// The lines, of which the earliest are left out where there are very many.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The tester sent octets.
    pub fn sent(&mut self, at: Duration, octets: &[u8]) {
        self.push(at, What::Sent(first(octets), octets.len()));
    }

    /// The subject sent octets.
    pub fn received(&mut self, at: Duration, octets: &[u8]) {
        self.push(at, What::Received(first(octets), octets.len()));
    }

    /// Something else happened.
    pub fn note(&mut self, at: Duration, note: impl Into<String>) {
        self.push(at, What::Note(note.into()));
    }

    fn push(&mut self, at: Duration, what: What) {
        if self.entries.len() >= MOST_ENTRIES {
            self.entries.remove(0);
            self.left_out = self.left_out.saturating_add(1);
        }
        self.entries.push(Entry { at, what });
    }
}

fn first(octets: &[u8]) -> Vec<u8> {
    octets.iter().take(MOST_OCTETS).copied().collect()
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.left_out > 0 {
            writeln!(f, "({} lines before are left out)", self.left_out)?;
        }
        for Entry { at, what } in &self.entries {
            write!(f, "{:>10.3} s  ", at.as_secs_f64())?;
            match what {
                What::Sent(octets, len) => line(f, "tester ->", octets, *len)?,
                What::Received(octets, len) => line(f, "subject ->", octets, *len)?,
                What::Note(note) => writeln!(f, "{note}")?,
            }
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, who: &str, octets: &[u8], len: usize) -> fmt::Result {
    write!(f, "{who:<11}{}", Hex::new(octets))?;
    if octets.len() < len {
        write!(f, ":… ({len} octets)")?;
    }
    // A whole message by itself has a name.
    if let Some((length, rest)) = octets.split_first_chunk::<4>()
        && u32::from_be_bytes(*length).try_into() == Ok(len.saturating_sub(4))
        && let Some(header) = rest.first_chunk::<10>()
    {
        write!(f, "  {}", Header::decode(header).name())?;
    }
    writeln!(f)
}
