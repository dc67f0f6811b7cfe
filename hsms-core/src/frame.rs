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
    /// Inside length field or header: the first `filled` (1 to 13; 14 only until they are taken apart) octets are there, the others zero.
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
        let mut piece = None;
        let taken = self.decode_to(input, &mut piece)?;
        Ok((taken, piece))
    }

    /// As [`decode`](Self::decode); the piece goes to `piece`, which is `None`. So it is made where it stays: under the deepest calls of a
    /// machine each copy of it would take its size of stack.
    #[inline]
    pub(crate) fn decode_to<'i>(
        &mut self,
        input: &'i [u8],
        piece: &mut Option<Piece<'i>>,
    ) -> Result<usize, LengthTooShort> {
        if let Position::Body { header, body_len, offset } = &mut self.0 {
            if input.is_empty() {
                return Ok(0);
            }
            let left = body_len.wrapping_sub(*offset);
            let body = front(input, left);
            *piece = Some(Piece { header: *header, body_len: *body_len, offset: *offset, body, begins: false });
            let taken = length(body, left);
            *offset = offset.wrapping_add(taken);
            if taken == left {
                self.0 = Position::Between;
            }
            return Ok(body.len());
        }
        let (prefix, taken) = match (&self.0, input.first_chunk::<PREFIX_LEN>()) {
            (Position::Between, Some(prefix)) => (prefix, PREFIX_LEN),
            _ => {
                let taken = self.fill(input)?;
                match &self.0 {
                    Position::Prefix { octets, filled } if usize::from(*filled) == PREFIX_LEN => (octets, taken),
                    _ => return Ok(taken),
                }
            }
        };
        let [field @ .., _, _, _, _, _, _, _, _, _, _] = prefix;
        let [_, _, _, _, header @ ..] = prefix;
        let field = u32::from_be_bytes(*field);
        let body_len = field.checked_sub(MIN_LENGTH).ok_or(LengthTooShort { length: field })?;
        let header = Header::decode(header);
        let body = front(input.get(taken..).unwrap_or_default(), body_len);
        *piece = Some(Piece { header, body_len, offset: 0, body, begins: true });
        let offset = length(body, body_len);
        self.0 = if offset == body_len { Position::Between } else { Position::Body { header, body_len, offset } };
        Ok(taken.wrapping_add(body.len()))
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

    /// Length field and header in more than one piece: collects them, and gives how many octets that took.
    #[cold]
    #[inline(never)]
    fn fill(&mut self, input: &[u8]) -> Result<usize, LengthTooShort> {
        let (mut octets, mut filled) = match self.0 {
            Position::Prefix { octets, filled } => (octets, filled),
            Position::Between | Position::Body { .. } => ([0; PREFIX_LEN], 0),
        };
        let mut taken = 0_usize;
        for (place, octet) in octets.iter_mut().skip(filled.into()).zip(input) {
            *place = *octet;
            filled = filled.wrapping_add(1);
            taken = taken.wrapping_add(1);
        }
        let [l0, l1, l2, l3, ..] = octets;
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        if filled >= 4 && length < MIN_LENGTH {
            return Err(LengthTooShort { length });
        }
        if filled > 0 {
            self.0 = Position::Prefix { octets, filled };
        }
        Ok(taken)
    }
}

/// What `input` has of a text of which `left` octets are to come.
#[inline]
fn front(input: &[u8], left: u32) -> &[u8] {
    // Where the rest of the text is longer than an address can be, the input is shorter for sure.
    usize::try_from(left).ok().and_then(|left| input.get(..left)).unwrap_or(input)
}

/// How many octets these are, `left` at most.
#[inline]
fn length(octets: &[u8], left: u32) -> u32 {
    u32::try_from(octets.len()).unwrap_or(left)
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder::new()
    }
}
