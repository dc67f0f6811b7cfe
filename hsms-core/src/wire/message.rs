//! Whole messages: a header and its text.

use super::{HEADER_LEN, Header, MIN_LENGTH, PREFIX_LEN, parse};
use core::fmt;

/// A header and the text behind it, borrowed from wherever the octets are.
///
/// ```
/// use hsms_core::wire::{Header, Message, SessionId, StreamFunction, SystemBytes};
///
/// let header = Header::data(SystemBytes(8), StreamFunction::new(1, 1), true, SessionId(1));
/// let mut frame = [0; 32];
/// let len = Message::new(header, &[]).encode(&mut frame)?;
/// assert_eq!(&frame[..len], [0, 0, 0, 10, 0, 1, 0x81, 1, 0, 0, 0, 0, 0, 8]);
///
/// let (message, rest) = Message::parse(&frame[..len])?;
/// assert_eq!((message.header, message.body, rest.len()), (header, &[][..], 0));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Message<'a> {
    /// The ten header octets.
    pub header: Header,
    /// The text: nothing, or one SECS-II item. Control messages have none.
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// A message of these parts.
    #[must_use]
    pub const fn new(header: Header, body: &'a [u8]) -> Self {
        Message { header, body }
    }

    /// Takes one whole message from the front of `input`; gives it and what is behind it.
    ///
    /// # Errors
    /// [`ParseError::LengthTooShort`] where the length field is below 10, as soon as it is there;
    /// [`ParseError::Incomplete`] where the message goes on behind the end of `input`.
    pub fn parse(input: &'a [u8]) -> Result<(Message<'a>, &'a [u8]), ParseError> {
        parse::message(input)
    }

    /// Octets of this message on the wire, length field included; `None` beyond what the length field can hold.
    #[must_use]
    pub fn encoded_len(&self) -> Option<usize> {
        u32::try_from(self.body.len()).ok()?.checked_add(MIN_LENGTH)?;
        self.body.len().checked_add(PREFIX_LEN)
    }

    /// Writes this message to the front of `out` and gives the number of octets written.
    ///
    /// # Errors
    /// [`EncodeError::BodyTooLong`] where the length field cannot hold the text's length, and
    /// [`EncodeError::NoRoom`] where `out` is too short; nothing is written then.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let body_len = u32::try_from(self.body.len()).unwrap_or(u32::MAX);
        let length = body_len.checked_add(MIN_LENGTH).ok_or(EncodeError::BodyTooLong(BodyTooLong { body_len }))?;
        let needed = self.body.len().saturating_add(PREFIX_LEN);
        let no_room = EncodeError::NoRoom { needed, room: out.len() };
        let (front, rest) = out.split_first_chunk_mut::<PREFIX_LEN>().ok_or(no_room)?;
        let text = rest.get_mut(..self.body.len()).ok_or(no_room)?;
        // Not before there is room for the text as well.
        *front = self.header.prefix_with_length(length);
        copy(text, self.body);
        Ok(needed)
    }
}

/// Copies as many octets as both have. `copy_from_slice` keeps a check of the two lengths that panics, wherever the optimiser saves space and does
/// not look into it; this becomes the same memcpy.
#[inline]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
}

/// Name, the seven header fields and the length of the text.
impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} with {} octets", self.header, self.body.len())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Message<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{} with {=usize} octets", self.header, self.body.len());
    }
}

/// Octets that are no whole message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ParseError {
    /// The octets end before the message does.
    Incomplete {
        /// How many more octets are needed at least; exact once the length field is there.
        missing: u64,
    },
    /// The length field leaves no room for a header (E37 8.1.3).
    LengthTooShort {
        /// The length field's value, 0 to 9.
        length: u32,
    },
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParseError::Incomplete { missing } => write!(f, "the message goes on: {missing} octets are missing"),
            ParseError::LengthTooShort { length } => {
                write!(f, "the length field says {length}, and a header alone takes {HEADER_LEN}")
            }
        }
    }
}

impl core::error::Error for ParseError {}

/// A text whose length the 32-bit length field cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BodyTooLong {
    /// The text's length in octets (`u32::MAX` stands for more as well); at most 4,294,967,285 are possible.
    pub body_len: u32,
}

impl fmt::Display for BodyTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a text of {} octets or more; a message holds at most {}", self.body_len, super::MAX_BODY_LEN)
    }
}

impl core::error::Error for BodyTooLong {}

/// A message that could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EncodeError {
    /// The length field cannot hold the text's length.
    BodyTooLong(BodyTooLong),
    /// The output is too short.
    NoRoom {
        /// Octets of the whole message.
        needed: usize,
        /// Octets that the output has.
        room: usize,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EncodeError::BodyTooLong(error) => error.fmt(f),
            EncodeError::NoRoom { needed, room } => {
                write!(f, "the message takes {needed} octets and the output has room for {room}")
            }
        }
    }
}

impl core::error::Error for EncodeError {}
