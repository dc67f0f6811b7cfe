//! An octet stream, in whatever pieces TCP delivers it, into messages. Texts stay where they are.

#[cfg(feature = "model")]
use crate::wire::SystemBytes;
use crate::wire::{Header, MIN_LENGTH, PREFIX_LEN, SessionId};

/// Part of a message, as much as lay in one input. Texts are slices of that input: nothing is copied.
///
/// A message that lies whole in the input is one piece, and so is one without text; a longer one comes in as many pieces
/// as the transport made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'i> {
    /// Header of the message, on every piece.
    pub header: Header,
    /// Octets of the whole text, 0 to 4,294,967,285.
    pub body_len: u32,
    /// Where `body` begins in the text.
    pub offset: u32,
    /// The octets of this piece. Empty where only the header has come, and in a message without text.
    pub body: &'i [u8],
    /// Offset 0 alone does not tell: a header without any of its text is a piece too.
    pub(crate) begins: bool,
}

impl Piece<'_> {
    /// Whether this is the first piece of its message.
    #[must_use]
    pub const fn first(&self) -> bool {
        self.begins
    }

    /// Whether this is the last piece of its message.
    #[must_use]
    pub const fn last(&self) -> bool {
        self.body.len() as u64 == self.body_len.wrapping_sub(self.offset) as u64
    }
}

/// A length field that leaves no room for a header (E37 8.1.3). Where the next message begins is unknown then, so the
/// connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LengthTooShort {
    /// The length field's value, 0 to 9.
    pub length: u32,
}

impl core::fmt::Display for LengthTooShort {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "length field {}, and {} is the least", self.length, MIN_LENGTH)
    }
}

impl core::error::Error for LengthTooShort {}

/// Takes an octet stream apart, at any chunking, keeping at most [`PREFIX_LEN`] octets.
///
/// ```
/// use hsms_core::frame::Decoder;
///
/// let stream = [0, 0, 0, 12, 0, 1, 0x81, 1, 0, 0, 0, 0, 0, 8, 0x01, 0x00];
/// let mut decoder = Decoder::new();
/// assert_eq!(decoder.decode(&stream[..9]), Ok((9, None)));
/// assert!(decoder.in_message());
/// let (taken, piece) = decoder.decode(&stream[9..])?;
/// let piece = piece.ok_or("the message is whole")?;
/// assert_eq!((taken, piece.body, piece.last()), (7, &[1, 0][..], true));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Decoder(Position);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Position {
    /// The next octet begins a message.
    Between,
    /// Inside length field or header: the first `filled` (1 to 13) octets are there, the others zero.
    Prefix { octets: [u8; PREFIX_LEN], filled: u8 },
    /// Inside a text: `offset` octets of `body_len` have come.
    Body { header: Header, body_len: u32, offset: u32 },
}

impl Decoder {
    /// A decoder at the beginning of a connection.
    #[must_use]
    pub const fn new() -> Self {
        Decoder(Position::Between)
    }

    /// Whether a message has begun and not ended. While it has, T8 runs (E37 9.2.3).
    #[must_use]
    pub const fn in_message(&self) -> bool {
        !matches!(self.0, Position::Between)
    }

    /// How many octets of the current text are still to come; zero outside a text. That many octets can be read straight
    /// to where the text belongs.
    #[must_use]
    pub const fn body_left(&self) -> u32 {
        match self.0 {
            Position::Body { body_len, offset, .. } => body_len.wrapping_sub(offset),
            _ => 0,
        }
    }

    /// The session id of the message whose text is arriving.
    pub(crate) const fn session(&self) -> Option<SessionId> {
        match &self.0 {
            Position::Body { header, .. } => Some(header.session),
            _ => None,
        }
    }

    /// How many octets of the current message have come, length field included; zero between messages.
    #[must_use]
    pub const fn received(&self) -> u64 {
        match self.0 {
            Position::Between => 0,
            Position::Prefix { filled, .. } => filled as u64,
            Position::Body { offset, .. } => (offset as u64).wrapping_add(PREFIX_LEN as u64),
        }
    }

    /// How many octets of length field and header are still to come; zero inside a text.
    #[must_use]
    pub fn prefix_left(&self) -> usize {
        match self.0 {
            Position::Between => PREFIX_LEN,
            Position::Prefix { filled, .. } => PREFIX_LEN.saturating_sub(filled.into()),
            Position::Body { .. } => 0,
        }
    }

    /// Takes octets from the front of `input`: gives how many, at least one of a non-empty input, and the piece they made
    /// where they made one. Call it again with what is left until nothing is.
    ///
    /// # Errors
    /// [`LengthTooShort`] as soon as the four length octets are there. The decoder does not move then.
    #[inline]
    pub fn decode<'i>(&mut self, input: &'i [u8]) -> Result<(usize, Option<Piece<'i>>), LengthTooShort> {
        if let Position::Body { header, body_len, offset } = self.0 {
            if input.is_empty() {
                return Ok((0, None));
            }
            let piece = self.text(header, body_len, offset, input, false);
            return Ok((piece.body.len(), Some(piece)));
        }
        let assembled;
        let (prefix, rest) = match (self.0, input.split_first_chunk::<PREFIX_LEN>()) {
            (Position::Between, Some(whole)) => whole,
            _ => match self.fill(input)? {
                (octets, Some(rest)) => {
                    assembled = octets;
                    (&assembled, rest)
                }
                (_, None) => return Ok((input.len(), None)),
            },
        };
        let [length @ .., _, _, _, _, _, _, _, _, _, _] = prefix;
        let [_, _, _, _, header @ ..] = prefix;
        let length = u32::from_be_bytes(*length);
        let body_len = length.checked_sub(MIN_LENGTH).ok_or(LengthTooShort { length })?;
        let piece = self.text(Header::decode(header), body_len, 0, rest, true);
        let behind = rest.len().wrapping_sub(piece.body.len());
        Ok((input.len().wrapping_sub(behind), Some(piece)))
    }

    /// Back to the beginning of a connection.
    pub const fn reset(&mut self) {
        self.0 = Position::Between;
    }

    /// Renames the system bytes of the message that is arriving, where they are there as a whole.
    #[cfg(feature = "model")]
    pub(crate) fn map_system_bytes(&mut self, map: &mut impl FnMut(SystemBytes) -> SystemBytes) {
        if let Position::Body { header, .. } = &mut self.0 {
            header.system = map(header.system);
        }
    }

    /// Takes what `input` has of the text.
    #[inline]
    fn text<'i>(&mut self, header: Header, body_len: u32, offset: u32, input: &'i [u8], begins: bool) -> Piece<'i> {
        let left = body_len.wrapping_sub(offset);
        // Where the rest of the text is longer than an address can be, the input is shorter for sure.
        let body = match usize::try_from(left).ok().and_then(|left| input.split_at_checked(left)) {
            Some((body, _)) => {
                self.0 = Position::Between;
                body
            }
            None => {
                // Shorter than `left`, so it fits.
                let taken = u32::try_from(input.len()).unwrap_or(left);
                self.0 = Position::Body { header, body_len, offset: offset.wrapping_add(taken) };
                input
            }
        };
        Piece { header, body_len, offset, body, begins }
    }

    /// Length field and header in more than one piece: collects them. Gives them with what is behind them as soon as they
    /// are whole.
    #[cold]
    fn fill<'i>(&mut self, input: &'i [u8]) -> Result<([u8; PREFIX_LEN], Option<&'i [u8]>), LengthTooShort> {
        let (mut octets, filled) = match self.0 {
            Position::Prefix { octets, filled } => (octets, filled),
            Position::Between | Position::Body { .. } => ([0; PREFIX_LEN], 0),
        };
        let had = usize::from(filled);
        let mut have = had;
        for (place, octet) in octets.iter_mut().skip(had).zip(input) {
            *place = *octet;
            have = have.wrapping_add(1);
        }
        let [l0, l1, l2, l3, ..] = octets;
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        if have >= 4 && length < MIN_LENGTH {
            return Err(LengthTooShort { length });
        }
        if have >= PREFIX_LEN {
            return Ok((octets, input.get(have.wrapping_sub(had)..)));
        }
        if have > 0 {
            self.0 = Position::Prefix { octets, filled: u8::try_from(have).unwrap_or(filled) };
        }
        Ok((octets, None))
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder::new()
    }
}
