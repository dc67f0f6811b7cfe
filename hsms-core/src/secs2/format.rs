//! Item formats and item headers (E5 6.2, 6.3).

use super::{Error, parse};
use core::fmt;

/// The largest number that a length field of three octets holds: 16,777,215 elements of a list, or octets of any other
/// item (E5 6.2.2).
pub const MAX_LENGTH: u32 = 0x00FF_FFFF;

/// What an item is: a list, or one of fifteen kinds of values (E5 6.3). The discriminant is the format code, as [`code`](Format::code) gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Format {
    /// Items and lists, one after the other.
    List = 0o00,
    /// Octets.
    Binary = 0o10,
    /// False or true, an octet each.
    Boolean = 0o11,
    /// ASCII text.
    Ascii = 0o20,
    /// JIS-8 text: Latin letters and katakana in 8 bits.
    Jis8 = 0o21,
    /// Text behind the number of its encoding. Called 2-byte character as well.
    Localized = 0o22,
    /// Signed integers of 8 octets.
    I8 = 0o30,
    /// Signed integers of 1 octet.
    I1 = 0o31,
    /// Signed integers of 2 octets.
    I2 = 0o32,
    /// Signed integers of 4 octets.
    I4 = 0o34,
    /// Floating-point numbers of 8 octets (IEEE 754).
    F8 = 0o40,
    /// Floating-point numbers of 4 octets (IEEE 754).
    F4 = 0o44,
    /// Unsigned integers of 8 octets.
    U8 = 0o50,
    /// Unsigned integers of 1 octet.
    U1 = 0o51,
    /// Unsigned integers of 2 octets.
    U2 = 0o52,
    /// Unsigned integers of 4 octets.
    U4 = 0o54,
}

impl Format {
    /// All sixteen, by code.
    pub const ALL: [Format; 16] = [
        Format::List,
        Format::Binary,
        Format::Boolean,
        Format::Ascii,
        Format::Jis8,
        Format::Localized,
        Format::I8,
        Format::I1,
        Format::I2,
        Format::I4,
        Format::F8,
        Format::F4,
        Format::U8,
        Format::U1,
        Format::U2,
        Format::U4,
    ];

    /// The six bits that stand for this format in an item header, 0 to 0o54.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Format::List => 0o00,
            Format::Binary => 0o10,
            Format::Boolean => 0o11,
            Format::Ascii => 0o20,
            Format::Jis8 => 0o21,
            Format::Localized => 0o22,
            Format::I8 => 0o30,
            Format::I1 => 0o31,
            Format::I2 => 0o32,
            Format::I4 => 0o34,
            Format::F8 => 0o40,
            Format::F4 => 0o44,
            Format::U8 => 0o50,
            Format::U1 => 0o51,
            Format::U2 => 0o52,
            Format::U4 => 0o54,
        }
    }

    /// The format with this code. 48 of the 64 codes are undefined, and so is everything above 63.
    #[must_use]
    #[inline]
    pub const fn from_code(code: u8) -> Option<Format> {
        Some(match code {
            0o00 => Format::List,
            0o10 => Format::Binary,
            0o11 => Format::Boolean,
            0o20 => Format::Ascii,
            0o21 => Format::Jis8,
            0o22 => Format::Localized,
            0o30 => Format::I8,
            0o31 => Format::I1,
            0o32 => Format::I2,
            0o34 => Format::I4,
            0o40 => Format::F8,
            0o44 => Format::F4,
            0o50 => Format::U8,
            0o51 => Format::U1,
            0o52 => Format::U2,
            0o54 => Format::U4,
            _ => return None,
        })
    }

    /// Octets of one value, 1 to 8. `None` for a list, whose length counts elements.
    #[must_use]
    #[inline]
    pub const fn width(self) -> Option<u32> {
        match self {
            Format::List => None,
            Format::Binary
            | Format::Boolean
            | Format::Ascii
            | Format::Jis8
            | Format::Localized
            | Format::I1
            | Format::U1 => Some(1),
            Format::I2 | Format::U2 => Some(2),
            Format::I4 | Format::F4 | Format::U4 => Some(4),
            Format::I8 | Format::F8 | Format::U8 => Some(8),
        }
    }

    /// The same as [`from_code`](Self::from_code), out of a table: a `match` of codes with gaps becomes branches, which take more flash.
    #[inline]
    pub(super) fn look_up(code: u8) -> Option<Format> {
        FORMATS.get(usize::from(code)).copied().flatten()
    }

    /// As [`width`](Self::width), from the code: that of a number ends in the octets that one takes, or in 0 for 8. 1 for a list.
    #[inline]
    pub(super) fn value_len(self) -> usize {
        match self.code() {
            0..0o30 => 1,
            code => match code & 7 {
                0 => 8,
                len => usize::from(len),
            },
        }
    }

    /// Whether so many octets are whole values, or a localized text with its encoding.
    #[inline]
    pub(super) fn is_whole(self, octets: usize) -> bool {
        match self {
            Format::Localized => octets >= 2,
            // Some processors cannot divide, and all widths are powers of two.
            _ => octets & self.value_len().wrapping_sub(1) == 0,
        }
    }

    /// The name in SML: `L`, `B`, `BOOLEAN`, `A`, `J`, `C2`, `I8`, and so on.
    #[must_use]
    pub const fn sml(self) -> &'static str {
        match self {
            Format::List => "L",
            Format::Binary => "B",
            Format::Boolean => "BOOLEAN",
            Format::Ascii => "A",
            Format::Jis8 => "J",
            Format::Localized => "C2",
            Format::I8 => "I8",
            Format::I1 => "I1",
            Format::I2 => "I2",
            Format::I4 => "I4",
            Format::F8 => "F8",
            Format::F4 => "F4",
            Format::U8 => "U8",
            Format::U1 => "U1",
            Format::U2 => "U2",
            Format::U4 => "U4",
        }
    }
}

/// By code.
const FORMATS: [Option<Format>; 64] = {
    let mut formats = [None; 64];
    let mut rest: &mut [Option<Format>] = &mut formats;
    let mut code = 0_u8;
    while let [format, behind @ ..] = rest {
        *format = Format::from_code(code);
        (rest, code) = (behind, code.wrapping_add(1));
    }
    formats
};

/// The SML name.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.sml())
    }
}

/// The octets in front of an item: its format and its length (E5 6.2).
///
/// ```
/// use hsms_core::secs2::{Format, ItemHeader};
///
/// let header = ItemHeader::new(Format::Ascii, 3).ok_or("three octets are not too many")?;
/// assert_eq!(*header.encode(), [0x41, 3]);
/// assert_eq!(ItemHeader::parse(b"\x41\x03ABC"), Ok((header, &b"ABC"[..])));
/// // More length octets than the length needs are allowed.
/// assert_eq!(ItemHeader::parse(b"\x43\x00\x00\x03ABC"), Ok((header, &b"ABC"[..])));
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ItemHeader {
    format: Format,
    length: u32,
}

impl ItemHeader {
    /// A header; `None` where `length` is above [`MAX_LENGTH`].
    #[must_use]
    pub const fn new(format: Format, length: u32) -> Option<Self> {
        if length <= MAX_LENGTH { Some(ItemHeader { format, length }) } else { None }
    }

    /// For the parser, whose length fields have at most three octets.
    #[inline]
    pub(super) const fn parsed(format: Format, length: u32) -> Self {
        ItemHeader { format, length }
    }

    /// Takes a header from the front of `input`; gives it and what is behind it. What is behind is not looked at.
    ///
    /// # Errors
    /// At offset 0: [`NoItem`](super::ErrorKind::NoItem) of an empty input,
    /// [`UndefinedFormat`](super::ErrorKind::UndefinedFormat), [`NoLengthOctets`](super::ErrorKind::NoLengthOctets), and
    /// [`Truncated`](super::ErrorKind::Truncated) where the length octets are not all there.
    pub fn parse(input: &[u8]) -> Result<(ItemHeader, &[u8]), Error> {
        parse::header(input).map_err(|kind| Error { offset: 0, kind })
    }

    /// What the item is.
    #[must_use]
    #[inline]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Elements of a list, or octets of any other item; 0 to [`MAX_LENGTH`].
    #[must_use]
    #[inline]
    pub const fn length(&self) -> u32 {
        self.length
    }

    /// The same as a size.
    #[inline]
    pub(super) fn size(&self) -> usize {
        // Three octets fit.
        usize::try_from(self.length).unwrap_or(usize::MAX)
    }

    /// The octets of this header, two to four: as few length octets as the length needs.
    #[must_use]
    #[inline]
    pub const fn encode(&self) -> HeaderOctets {
        let (count, spare) = match self.length {
            0..0x100 => (1, 16),
            0x100..0x1_0000 => (2, 8),
            _ => (3, 0),
        };
        let front = u32::from_be_bytes([self.format.code() << 2 | count, 0, 0, 0]);
        let octets = (front | self.length.wrapping_shl(spare)).to_be_bytes();
        HeaderOctets { octets, len: count.wrapping_add(1) }
    }

    /// Four octets whatever the length.
    pub(super) const fn encode_longest(&self) -> [u8; 4] {
        let [_, high, middle, low] = self.length.to_be_bytes();
        [self.format.code() << 2 | 3, high, middle, low]
    }
}

/// An encoded [`ItemHeader`]: two to four octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HeaderOctets {
    octets: [u8; 4],
    len: u8,
}

impl core::ops::Deref for HeaderOctets {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.octets.get(..usize::from(self.len)).unwrap_or(&self.octets)
    }
}
