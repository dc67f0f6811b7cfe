//! The messages of the handshake.

use super::{CHALLENGE_LEN, Octets};
use crate::secs2::{Error, ErrorKind, Format, Reader, Sink, WriteError, Writer};
use crate::services::{ServiceId, ServiceMessage, Status};

/// A message of the handshake, without its service id: [`ServiceId::AUTHENTICATION`] of requests, one more of responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TrustMessage {
    /// [`SEED`](Self::SEED) or [`KEY`](Self::KEY), or what the request had.
    pub data_id: u32,
    /// Status of a response, 0 of a request.
    pub status: Status,
    /// The challenge, or the proof.
    pub octets: Option<[u8; CHALLENGE_LEN]>,
}

impl TrustMessage {
    /// Data id of the messages that carry challenges: "authentication seed".
    pub const SEED: u32 = 0;

    /// Data id of the messages that carry proofs: "authentication key".
    pub const KEY: u32 = 1;

    pub(super) const fn of(data_id: u32, octets: Octets) -> Self {
        TrustMessage { data_id, status: Status::OKAY, octets: Some(octets) }
    }

    /// Writes the text: 45 octets, or 13 without challenge or proof.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn write<S: Sink, const OPEN: usize>(&self, text: &mut Writer<S, OPEN>) -> Result<(), WriteError> {
        text.list(3)?;
        text.u4(self.data_id)?;
        text.u1(self.status.0)?;
        match &self.octets {
            Some(octets) => text.binary(octets),
            None => text.list(0),
        }
    }

    /// Reads a whole text.
    ///
    /// # Errors
    /// Those of [`ServiceMessage::read`]; those of [`Reader`] of data that are not `<B [32]>`.
    pub fn read(text: &[u8]) -> Result<Self, Error> {
        let message = ServiceMessage::read(ServiceId::AUTHENTICATION, text)?;
        let octets = message.data().map(read_octets).transpose()?;
        Ok(TrustMessage { data_id: message.data_id(), status: message.status(), octets })
    }
}

fn read_octets(data: &[u8]) -> Result<Octets, Error> {
    let octets = Reader::new(data).binary()?;
    Octets::try_from(octets).map_err(|_| Error {
        offset: 0,
        kind: ErrorKind::OtherCount { format: Format::Binary, expected: CHALLENGE_LEN, found: octets.len() },
    })
}
