//! Why there is no trust.

use super::Secret;
use crate::secs2::Error;
use crate::services::Status;
use crate::time::Instant;
use core::fmt;

/// Why a handshake ended without trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TrustFailure {
    /// The peer's proof is wrong: it does not know the secret, or proves for another session.
    WrongProof,
    /// A message that has no place in this state, such as a proof that nobody asked for. It is no guess, and does not count towards the
    /// [limit](super::TrustSettings::failures).
    Unexpected,
    /// The server answered with this status.
    Refused(Status),
    /// The text is no message of the handshake.
    Malformed(Error),
    /// The client's request got no response, or could not be sent.
    Unanswered,
    /// It took too long.
    TimedOut,
    /// Too much has failed of late.
    TooManyFailures,
    /// The source of randomness gave what it gave before, or nothing but zeros.
    ChallengeRepeated,
}

impl TrustFailure {
    /// Whether it counts towards the limit: guesses do, and what the server says of ours. What fits no open challenge is none.
    pub(super) const fn counts(&self) -> bool {
        matches!(self, TrustFailure::WrongProof | TrustFailure::Refused(_))
    }
}

impl fmt::Display for TrustFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrustFailure::WrongProof => f.write_str("the peer's proof is wrong"),
            TrustFailure::Unexpected => f.write_str("a message that has no place in this state"),
            TrustFailure::Refused(status) => write!(f, "the server answered with status {status}"),
            TrustFailure::Malformed(error) => write!(f, "no message of the handshake: {error}"),
            TrustFailure::Unanswered => f.write_str("the request got no response"),
            TrustFailure::TimedOut => f.write_str("it took too long"),
            TrustFailure::TooManyFailures => f.write_str("too much has failed of late"),
            TrustFailure::ChallengeRepeated => {
                f.write_str("the source of randomness repeats itself, or has none to give")
            }
        }
    }
}

impl core::error::Error for TrustFailure {}

/// Why a handshake cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TrustError {
    /// There is no secret, and trust counts as given.
    NoSecret,
    /// Only the client begins.
    NotClient,
    /// One has begun and not ended.
    UnderWay,
    /// Too much has failed.
    TooManyFailures {
        /// Until when nothing is tried.
        until: Instant,
    },
    /// The source of randomness gave what it gave before, or nothing but zeros.
    ChallengeRepeated,
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrustError::NoSecret => f.write_str("there is no secret"),
            TrustError::NotClient => f.write_str("only the client begins"),
            TrustError::UnderWay => f.write_str("a handshake is under way"),
            TrustError::TooManyFailures { until } => {
                write!(f, "too much has failed; not before {} ms", until.as_millis())
            }
            TrustError::ChallengeRepeated => {
                f.write_str("the source of randomness repeats itself, or has none to give")
            }
        }
    }
}

impl core::error::Error for TrustError {}

/// A secret has too few octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SecretTooShort {
    /// How many it has.
    pub octets: usize,
}

impl fmt::Display for SecretTooShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a secret of {} octets; {} are the least", self.octets, Secret::MIN_LEN)
    }
}

impl core::error::Error for SecretTooShort {}
