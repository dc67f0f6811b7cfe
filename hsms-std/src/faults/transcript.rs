//! What a scripted peer has said and heard.

use hsms_core::time::Instant;
use hsms_core::wire::{Header, Hex};
use std::collections::VecDeque;
use std::fmt;

/// Entries that are kept; older ones are counted only.
const MOST: usize = 10_000;

/// Octets of a text or of raw octets that are printed.
const PRINTED: usize = 32;

/// One thing that happened at a scripted peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When, from the peer's beginning.
    pub at: Instant,
    /// What.
    pub what: What,
}

/// What happened at a scripted peer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// It has sent a message.
    Sent {
        /// Its header.
        header: Header,
        /// Octets of its text.
        body_len: usize,
    },
    /// It has sent octets, the first 32 of which are here.
    SentOctets {
        /// The first of them.
        front: Vec<u8>,
        /// How many in all.
        len: usize,
    },
    /// It has received a message.
    Received {
        /// Its header.
        header: Header,
        /// Octets of its text.
        body_len: usize,
    },
    /// It has closed the connection.
    Closed,
    /// The other side has closed the connection, in the middle of a message where octets of one had come.
    PeerClosed {
        /// Octets of a message that had come.
        inside: usize,
    },
    /// The connection has failed.
    Failed {
        /// What the system said.
        error: String,
    },
}

/// What a scripted peer has said and heard, in order; the last 10,000 entries of it. It prints one line for each.
///
/// ```
/// use hsms_std::faults::{Peer, Plans, pipe};
/// use hsms_std::{Header, SystemBytes};
///
/// let (mine, _other) = pipe(&Plans::clean());
/// let mut peer = Peer::over(mine);
/// peer.send(Header::linktest_req(SystemBytes(2)))?;
/// peer.send_octets(&[0, 0, 0, 10, 0xff])?;
/// let text = peer.transcript().to_string();
/// assert!(text.contains("ms > LinktestReq{session_id:0xffff, "));
/// assert!(text.ends_with("ms > 00:00:00:0a:ff\n"));
/// # Ok::<(), hsms_std::faults::PeerError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transcript {
    entries: VecDeque<Entry>,
    dropped: u64,
}

impl Transcript {
    /// The entries, oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The headers that were received.
    pub fn received(&self) -> impl DoubleEndedIterator<Item = &Header> {
        self.entries.iter().filter_map(|entry| match &entry.what {
            What::Received { header, .. } => Some(header),
            _ => None,
        })
    }

    /// How many entries are not kept any more.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) fn note(&mut self, at: Instant, what: What) {
        if self.entries.len() >= MOST {
            self.entries.pop_front();
            self.dropped = self.dropped.saturating_add(1);
        }
        self.entries.push_back(Entry { at, what });
    }

    pub(super) fn note_octets(&mut self, at: Instant, octets: &[u8]) {
        let front = octets.get(..PRINTED).unwrap_or(octets).to_vec();
        self.note(at, What::SentOctets { front, len: octets.len() });
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.dropped > 0 {
            writeln!(f, "{} entries are not kept", self.dropped)?;
        }
        self.entries.iter().try_for_each(|entry| writeln!(f, "{entry}"))
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:8} ms {}", self.at.as_millis(), self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = |f: &mut fmt::Formatter<'_>, way, header: &Header, body_len| match body_len {
            0 => write!(f, "{way} {}{header}", header.name()),
            len => write!(f, "{way} {}{header}, {len} octets", header.name()),
        };
        match self {
            What::Sent { header, body_len } => message(f, '>', header, *body_len),
            What::Received { header, body_len } => message(f, '<', header, *body_len),
            What::SentOctets { front, len } => {
                write!(f, "> {}", Hex::new(front))?;
                if *len > front.len() { write!(f, ":… ({len} octets)") } else { Ok(()) }
            }
            What::Closed => f.write_str("> closed"),
            What::PeerClosed { inside: 0 } => f.write_str("< closed"),
            What::PeerClosed { inside } => write!(f, "< closed behind {inside} octets of a message"),
            What::Failed { error } => write!(f, "< {error}"),
        }
    }
}
