//! What can go wrong, so that a reader knows where to look.

use super::list::{self, Expected};
use std::time::Duration;
use std::{fmt, io};

/// Why a run did not end as it should.
#[derive(Debug)]
pub enum Deviation {
    /// Message `number` came by, and is not the one that the list has there.
    Wrong {
        /// Its number in the list.
        number: usize,
        /// What the list has.
        expected: String,
        /// What came.
        got: String,
        /// In what they differ.
        differences: Vec<String>,
    },
    /// Something came by where the list has something else in another direction, or nothing any more.
    Additional {
        /// What the list has there.
        expected: String,
        /// What came.
        got: String,
    },
    /// Nothing came by any more.
    Missing {
        /// Number of the last message that did.
        after: usize,
        /// For how long.
        idle: Duration,
    },
    /// The octets on the wire make no messages.
    Octets(String),
    /// An end saw something else than its part of the conversation says.
    End {
        /// Which.
        end: &'static str,
        /// What it saw.
        what: String,
    },
    /// The counters of an end do not agree with what came by.
    Counters {
        /// Which.
        end: &'static str,
        /// What they say, and what came by.
        what: String,
    },
    /// The run took too long.
    Limit(Duration),
    /// The run is over, and a thread has not ended.
    Stuck(Duration),
    /// The system refused its service.
    System(io::Error),
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Deviation::Wrong { number, expected, got, differences } => {
                write!(f, "message {number} is not as listed\n  expected {expected}\n  got      {got}")?;
                differences.iter().try_for_each(|difference| write!(f, "\n  {difference}"))
            }
            Deviation::Additional { expected, got } => {
                write!(f, "not listed here\n  expected {expected}\n  got      {got}")
            }
            Deviation::Missing { after, idle } => {
                write!(f, "nothing came for {idle:?} after message {after}; listed next: {}", next(*after))
            }
            Deviation::Octets(what) => write!(f, "no messages on the wire: {what}"),
            Deviation::End { end, what } => write!(f, "the {end} deviates: {what}"),
            Deviation::Counters { end, what } => write!(f, "the counters of the {end} deviate: {what}"),
            Deviation::Limit(limit) => write!(f, "the run was not over after {limit:?}"),
            Deviation::Stuck(limit) => write!(f, "a thread was still running {limit:?} after the run"),
            Deviation::System(error) => write!(f, "the system refused: {error}"),
        }
    }
}

impl std::error::Error for Deviation {}

/// What the list has behind message `number`.
fn next(number: usize) -> String {
    match list::messages().nth(number) {
        Some((_, row)) => super::transcript::row(row, 0),
        None => Expected::Close.to_string(),
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expected::Open => f.write_str("TCP connection opened"),
            Expected::Close => f.write_str("TCP connection closed"),
            Expected::Message(row) => f.write_str(&super::transcript::row(row, 0)),
        }
    }
}
