//! One item of any format.

use super::{Error, ErrorKind, Format, ItemHeader, Values};
use ascii::{AsAsciiStr, AsAsciiStrError, AsciiStr};
use core::fmt;

/// An item, its values where they lie. Of a list only the number of elements: they come next in the text.
///
/// ```
/// use hsms_core::secs2::{Item, Reader};
///
/// let text = b"\x01\x02\x41\x03ABC\xb1\x04\x00\x00\x00\x07";
/// let mut reader = Reader::new(text);
/// assert_eq!(reader.item()?, Item::List(2));
/// assert_eq!(reader.item()?, Item::Ascii(b"ABC"));
/// assert!(matches!(reader.item()?, Item::U4(values) if values.get(0) == Some(7)));
/// # Ok::<(), hsms_core::secs2::Error>(())
/// ```
// Told apart by the format code, as `Format` is: so one becomes the other without branches or a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Item<'a> {
    /// A list of so many elements. Where this came from a [`Reader`](super::Reader) or a [`Walk`](super::Walk), the text
    /// has octets enough for them.
    List(usize) = 0o00,
    /// Octets.
    Binary(&'a [u8]) = 0o10,
    /// False and true.
    Boolean(Values<'a, bool>) = 0o11,
    /// ASCII text, not looked at: equipment is known to put other codes in. [`ascii()`] looks.
    Ascii(&'a [u8]) = 0o20,
    /// JIS-8 text.
    Jis8(&'a [u8]) = 0o21,
    /// Text in an encoding that it names.
    Localized(Localized<'a>) = 0o22,
    /// Signed integers of 8 octets.
    I8(Values<'a, i64>) = 0o30,
    /// Signed integers of 1 octet.
    I1(Values<'a, i8>) = 0o31,
    /// Signed integers of 2 octets.
    I2(Values<'a, i16>) = 0o32,
    /// Signed integers of 4 octets.
    I4(Values<'a, i32>) = 0o34,
    /// Floating-point numbers of 8 octets.
    F8(Values<'a, f64>) = 0o40,
    /// Floating-point numbers of 4 octets.
    F4(Values<'a, f32>) = 0o44,
    /// Unsigned integers of 8 octets.
    U8(Values<'a, u64>) = 0o50,
    /// Unsigned integers of 1 octet.
    U1(Values<'a, u8>) = 0o51,
    /// Unsigned integers of 2 octets.
    U2(Values<'a, u16>) = 0o52,
    /// Unsigned integers of 4 octets.
    U4(Values<'a, u32>) = 0o54,
}

impl<'a> Item<'a> {
    /// The item with this header and these octets, which are whole values.
    #[inline(always)]
    pub(super) fn new(header: ItemHeader, octets: &'a [u8]) -> Self {
        match header.format() {
            Format::List => Item::List(header.size()),
            Format::Localized => Item::Localized(Localized::whole(octets)),
            Format::Binary => Item::Binary(octets),
            Format::Boolean => Item::Boolean(Values::whole(octets)),
            Format::Ascii => Item::Ascii(octets),
            Format::Jis8 => Item::Jis8(octets),
            Format::I8 => Item::I8(Values::whole(octets)),
            Format::I1 => Item::I1(Values::whole(octets)),
            Format::I2 => Item::I2(Values::whole(octets)),
            Format::I4 => Item::I4(Values::whole(octets)),
            Format::F8 => Item::F8(Values::whole(octets)),
            Format::F4 => Item::F4(Values::whole(octets)),
            Format::U8 => Item::U8(Values::whole(octets)),
            Format::U1 => Item::U1(Values::whole(octets)),
            Format::U2 => Item::U2(Values::whole(octets)),
            Format::U4 => Item::U4(Values::whole(octets)),
        }
    }

    /// The item in front, where it is whole and has one length octet; and what is behind it.
    #[inline(always)]
    pub(super) fn short(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let [format, length, behind @ ..] = text else { return None };
        if *format == 0x01 {
            return Some((Item::List(usize::from(*length)), behind));
        }
        let (octets, rest) = behind.split_at_checked(usize::from(*length))?;
        Some((Self::of(*format, octets)?, rest))
    }

    /// The item, no list, whose header begins with this octet where one length octet follows. One `match` on the octet as it
    /// comes is what a walk has time for.
    #[inline(always)]
    fn of(format: u8, octets: &'a [u8]) -> Option<Self> {
        Some(match format {
            0x21 => Item::Binary(octets),
            0x25 => Item::Boolean(Values::whole(octets)),
            0x41 => Item::Ascii(octets),
            0x45 => Item::Jis8(octets),
            0x49 => Item::Localized(Localized::new(octets)?),
            0x61 => Item::I8(Values::new(octets)?),
            0x65 => Item::I1(Values::whole(octets)),
            0x69 => Item::I2(Values::new(octets)?),
            0x71 => Item::I4(Values::new(octets)?),
            0x81 => Item::F8(Values::new(octets)?),
            0x91 => Item::F4(Values::new(octets)?),
            0xa1 => Item::U8(Values::new(octets)?),
            0xa5 => Item::U1(Values::whole(octets)),
            0xa9 => Item::U2(Values::new(octets)?),
            0xb1 => Item::U4(Values::new(octets)?),
            _ => return None,
        })
    }

    /// The octets of its values: none of a list, of a localized text those behind its encoding. Inlined it is torn apart into
    /// branches.
    #[inline(never)]
    pub(super) fn octets(&self) -> &'a [u8] {
        match self {
            Item::Localized(localized) => localized.octets,
            Item::Binary(octets) | Item::Ascii(octets) | Item::Jis8(octets) => octets,
            Item::Boolean(values) => values.octets(),
            Item::I8(values) => values.octets(),
            Item::I1(values) => values.octets(),
            Item::I2(values) => values.octets(),
            Item::I4(values) => values.octets(),
            Item::F8(values) => values.octets(),
            Item::F4(values) => values.octets(),
            Item::U8(values) => values.octets(),
            Item::U1(values) => values.octets(),
            Item::U2(values) => values.octets(),
            Item::U4(values) => values.octets(),
            Item::List(_) => &[],
        }
    }

    /// What the item is.
    #[must_use]
    pub const fn format(&self) -> Format {
        match self {
            Item::List(_) => Format::List,
            Item::Binary(_) => Format::Binary,
            Item::Boolean(_) => Format::Boolean,
            Item::Ascii(_) => Format::Ascii,
            Item::Jis8(_) => Format::Jis8,
            Item::Localized(_) => Format::Localized,
            Item::I8(_) => Format::I8,
            Item::I1(_) => Format::I1,
            Item::I2(_) => Format::I2,
            Item::I4(_) => Format::I4,
            Item::F8(_) => Format::F8,
            Item::F4(_) => Format::F4,
            Item::U8(_) => Format::U8,
            Item::U1(_) => Format::U1,
            Item::U2(_) => Format::U2,
            Item::U4(_) => Format::U4,
        }
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Item<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", defmt::Debug2Format(self));
    }
}

/// Text behind the number of its encoding (E5 6.4). The text is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Localized<'a> {
    /// The encoding.
    pub encoding: Encoding,
    /// The text in that encoding.
    pub octets: &'a [u8],
}

impl<'a> Localized<'a> {
    #[inline]
    pub(super) fn new(octets: &'a [u8]) -> Option<Self> {
        let (encoding, octets) = octets.split_first_chunk()?;
        Some(Localized { encoding: Encoding(u16::from_be_bytes(*encoding)), octets })
    }

    /// Of octets that have been found to begin with an encoding.
    #[inline]
    pub(super) fn whole(octets: &'a [u8]) -> Self {
        let (encoding, octets) = octets.split_first_chunk().unwrap_or((&[0; 2], &[]));
        Localized { encoding: Encoding(u16::from_be_bytes(*encoding)), octets }
    }
}

/// The encoding of a localized text, as E5 6.4 numbers them. 15 to 32,767 are reserved; from 32,768 on users define them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Encoding(pub u16);

impl Encoding {
    /// None.
    pub const NONE: Encoding = Encoding(0);
    /// ISO 10646 UCS-2.
    pub const UCS_2: Encoding = Encoding(1);
    /// UTF-8.
    pub const UTF_8: Encoding = Encoding(2);
    /// ISO 646: ASCII of 7 bits.
    pub const ISO_646: Encoding = Encoding(3);
    /// ISO 8859-1: Western European.
    pub const ISO_8859_1: Encoding = Encoding(4);
    /// ISO 8859-11: Thai.
    pub const ISO_8859_11: Encoding = Encoding(5);
    /// TIS 620: Thai.
    pub const TIS_620: Encoding = Encoding(6);
    /// IS 13194: ISCII, Indian scripts.
    pub const IS_13194: Encoding = Encoding(7);
    /// Shift JIS.
    pub const SHIFT_JIS: Encoding = Encoding(8);
    /// EUC, Japanese.
    pub const EUC_JP: Encoding = Encoding(9);
    /// EUC, Korean.
    pub const EUC_KR: Encoding = Encoding(10);
    /// GB, simplified Chinese.
    pub const GB: Encoding = Encoding(11);
    /// EUC, simplified Chinese.
    pub const EUC_CN: Encoding = Encoding(12);
    /// Big5, traditional Chinese.
    pub const BIG5: Encoding = Encoding(13);
    /// EUC, traditional Chinese.
    pub const EUC_TW: Encoding = Encoding(14);
}

/// The number.
impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoding({})", self.0)
    }
}

/// `octets` as text, where all of them are ASCII.
///
/// # Errors
/// [`ErrorKind::NotAscii`] at the offset, in `octets`, of the first that is none.
#[inline]
pub fn ascii(octets: &[u8]) -> Result<&str, Error> {
    text(octets).map_err(|at| not_ascii(octets, at))
}

/// The same; what is wrong is the offset alone, which takes no memory to hand over.
pub(super) fn text(octets: &[u8]) -> Result<&str, usize> {
    octets.as_ascii_str().map(AsciiStr::as_str).map_err(AsAsciiStrError::valid_up_to)
}

/// That the octet at this offset is not ASCII.
#[inline]
pub(super) fn not_ascii(octets: &[u8], at: usize) -> Error {
    Error { offset: at, kind: ErrorKind::NotAscii { octet: octets.get(at).copied().unwrap_or_default() } }
}
