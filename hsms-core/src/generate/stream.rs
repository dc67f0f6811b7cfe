//! Octets as peers send them, and how they come.

use crate::wire::{Header, Kind, Message, PREFIX_LEN};
use alloc::vec;
use alloc::vec::Vec;
use arbitrary::{Arbitrary, Result, Unstructured};

/// Messages, or what stands for one, in a stream at most.
const MOST: usize = 8;
/// Octets of a text at most.
const LONGEST: usize = 90;

/// Octets that a peer may send, right or wrong: for whatever takes a stream apart.
///
/// Messages mostly, which fit each other now and then; in between loose octets, length fields that promise too much or too little,
/// and the first octet of SECS-I. Half of the streams end in the middle.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct PeerOctets(pub Vec<u8>);

/// How a stream comes: so many octets at a time, over and over. Small numbers come often: that is where length fields and headers are cut.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Chunking(pub Vec<usize>);

impl Chunking {
    /// The stream in parts; without sizes as one. A size of 0 counts as 1.
    ///
    /// ```
    /// use hsms_core::generate::Chunking;
    ///
    /// assert_eq!(Chunking(vec![1, 3]).cut(b"abcdef"), [&b"a"[..], b"bcd", b"e", b"f"]);
    /// ```
    #[must_use]
    pub fn cut<'s>(&self, stream: &'s [u8]) -> Vec<&'s [u8]> {
        let mut sizes = self.0.iter().map(|size| (*size).max(1)).cycle();
        let mut rest = stream;
        let mut chunks = Vec::new();
        while !rest.is_empty() {
            let size = sizes.next().unwrap_or(rest.len()).min(rest.len());
            let (chunk, behind) = rest.split_at_checked(size).unwrap_or((rest, &[]));
            chunks.push(chunk);
            rest = behind;
        }
        chunks
    }
}

impl<'a> Arbitrary<'a> for PeerOctets {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut octets = Vec::new();
        for _ in 0..u.int_in_range(0..=MOST)? {
            match u.int_in_range(0..=16_u8)? {
                0..=13 => {
                    let header: Header = u.arbitrary()?;
                    let text = matches!(header.kind(), Ok(Kind::Data { .. })) || !u.ratio(9, 10)?;
                    let message = Message::new(header, if text { some(u, LONGEST)? } else { &[] });
                    octets.extend(encode(&message));
                }
                14 => {
                    let length: u32 = match u.int_in_range(0..=2_u8)? {
                        0 => u.int_in_range(0..=19)?,
                        1 => u.int_in_range(60..=299)?,
                        _ => u.arbitrary()?,
                    };
                    octets.extend(length.to_be_bytes());
                    octets.extend(Header::arbitrary(u)?.encode());
                }
                15 => octets.extend(some(u, 20)?),
                _ => octets.push(0x05),
            }
        }
        if !u.ratio(1, 2)? {
            octets.truncate(u.int_in_range(0..=octets.len())?);
        }
        Ok(PeerOctets(octets))
    }
}

impl<'a> Arbitrary<'a> for Chunking {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let count = u.int_in_range(0..=7)?;
        let size = |u: &mut Unstructured<'a>| {
            let most = u.choose(&[4, 19, 199])?;
            u.int_in_range(1..=*most)
        };
        Ok(Chunking((0..count).map(|_| size(u)).collect::<Result<_>>()?))
    }
}

/// The frame of a message.
pub(super) fn encode(message: &Message<'_>) -> Vec<u8> {
    let mut octets = vec![0; message.body.len().saturating_add(PREFIX_LEN)];
    // There is room for it, and no text is too long for a length field that fits into the memory of its sender.
    let _ = message.encode(&mut octets);
    octets
}

fn some<'a>(u: &mut Unstructured<'a>, most: usize) -> Result<&'a [u8]> {
    let len = u.int_in_range(0..=most)?;
    u.bytes(len.min(u.len()))
}
