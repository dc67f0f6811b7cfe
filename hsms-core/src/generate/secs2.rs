//! `Arbitrary` for the values of SECS-II.

use super::values::{enums, structs};
use crate::secs2::messages::{EstablishAck, Identity, SystemError};
#[cfg(feature = "serde")]
use crate::secs2::serde::Cause;
use crate::secs2::{
    Encoding, Error, ErrorKind, Format, HeaderOctets, Item, ItemHeader, Limits, Localized, MAX_LENGTH, Sml, SmlError,
    SmlErrorKind, SmlMessage, Step, Summary, Tree, Value, Values, WriteError,
};
use crate::wire::{Message, StreamFunction};
use alloc::vec;
use alloc::vec::Vec;
use arbitrary::{Arbitrary, Result, Unstructured};

structs! {
    Error { offset, kind }
    Localized<'a> { encoding, octets }
    Limits { depth, items, octets }
    Summary { items, depth }
    Step<'a> { depth, offset, item }
    SmlError { line, column, kind }
    EstablishAck<'a> { commack, identity }
}

enums! {
    Format { List, Binary, Boolean, Ascii, Jis8, Localized, I8, I1, I2, I4, F8, F4, U8, U1, U2, U4 }
    ErrorKind {
        NoItem, Truncated { missing }, UndefinedFormat { code }, NoLengthOctets { code },
        PartOfValue { format, length },
        NoEncoding { length },
        OtherFormat { expected, found },
        OtherCount { format, expected, found },
        NotAscii { octet },
        Trailing { octets },
        TooDeep { limit },
        TooManyItems { limit },
        TooLarge { limit, found },
    }
    WriteError {
        NoRoom { missing },
        Refused,
        TooLong { length },
        NotAscii { at },
        TextComplete,
        ElementsMissing { missing },
        TooDeep { limit },
        NoListOpen,
        ListsOpen { open },
        NoItem(error),
    }
    Item<'a> {
        List(elements), Binary(octets), Boolean(values), Ascii(octets), Jis8(octets), Localized(text), I8(values),
        I1(values), I2(values), I4(values), F8(values), F4(values), U8(values), U1(values), U2(values), U4(values),
    }
    SmlErrorKind {
        NoItem, UnknownFormat, BadCount, OtherCount { said, found }, CountOutside { least, most, found }, NotAValue { format }, NoEncoding, NotAscii,
        Unclosed, TooDeep { limit }, NoStreamFunction, Trailing,
    }
    Identity<'a> { Host, Equipment { mdln, softrev } }
    SystemError<'a> {
        UnrecognizedDeviceId(header), UnrecognizedStream(header), UnrecognizedFunction(header), IllegalData(header),
        TransactionTimeout(header), DataTooLong(header), ConversationTimeout { expected, about },
    }
}

#[cfg(feature = "serde")]
impl<'a> Arbitrary<'a> for Cause {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.int_in_range(0..=3_u8)? {
            0 => Cause::Read(u.arbitrary()?),
            1 => Cause::Write(u.arbitrary()?),
            2 => Cause::NoItemFor(u.choose(&["a map", "a character", "a unit"])?),
            _ => Cause::Refused { offset: u.arbitrary()?, message: u.arbitrary()? },
        })
    }
}

/// One of those that E5 names mostly.
impl<'a> Arbitrary<'a> for Encoding {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Encoding(if u.ratio(7, 8)? { u.int_in_range(0..=14)? } else { u.arbitrary()? }))
    }
}

impl<'a> Arbitrary<'a> for ItemHeader {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let format = u.arbitrary()?;
        let most = if u.ratio(7, 8)? { 300 } else { MAX_LENGTH };
        ItemHeader::new(format, u.int_in_range(0..=most)?).ok_or(arbitrary::Error::IncorrectFormat)
    }
}

impl<'a> Arbitrary<'a> for HeaderOctets {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(ItemHeader::arbitrary(u)?.encode())
    }
}

/// As many whole values as there are octets for.
impl<'a, T: Value> Arbitrary<'a> for Values<'a, T> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let octets: &[u8] = u.arbitrary()?;
        let part = octets.len().checked_rem(size_of::<T::Octets>()).unwrap_or_default();
        let whole = octets.get(part..).unwrap_or_default();
        Values::new(whole).ok_or(arbitrary::Error::IncorrectFormat)
    }
}

impl<'a> Arbitrary<'a> for Sml<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let message: Message<'_> = u.arbitrary()?;
        let sml = if u.arbitrary()? { Sml::message(&message) } else { Sml::new(message.body) };
        Ok(if u.ratio(1, 4)? { sml.limited(u.int_in_range(0..=100)?) } else { sml })
    }
}

/// Elements and values of one item, mostly.
const MOST: usize = 8;
/// Elements, or octets, of some items: around where a second length octet is needed.
const MANY: usize = 255;
/// Lists around an item, mostly.
const DEEPEST: usize = 6;
/// Lists around all that: together as many as [`Tree::read`] takes.
const AROUND: usize = 26;

/// All formats, few values and now and then as many as need a second length octet, lists in lists as deep as can be read.
impl<'a> Arbitrary<'a> for Tree {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let inside = if u.ratio(15, 16)? { tree(u, 0)? } else { Tree::List(many(u, leaf, 1)?) };
        let around = if u.ratio(7, 8)? { 0 } else { u.int_in_range(0..=AROUND)? };
        Ok((0..around).fold(inside, |inside, _| Tree::List(Vec::from([inside]))))
    }
}

fn tree(u: &mut Unstructured<'_>, depth: usize) -> Result<Tree> {
    if depth < DEEPEST && u.ratio(1, 2)? {
        let count = u.int_in_range(0..=MOST)?;
        let elements: Result<_> = (0..count).map(|_| tree(u, depth.saturating_add(1))).collect();
        return Ok(Tree::List(elements?));
    }
    leaf(u)
}

/// An item that is no list, or an empty list. ASCII is ASCII mostly.
fn leaf(u: &mut Unstructured<'_>) -> Result<Tree> {
    Ok(match Format::arbitrary(u)? {
        Format::List => Tree::List(Vec::new()),
        Format::Binary => Tree::Binary(some(u)?),
        Format::Boolean => Tree::Boolean(some(u)?),
        Format::Ascii => {
            let mask = if u.ratio(7, 8)? { 0x7F } else { 0xFF };
            Tree::Ascii(some(u)?.into_iter().map(|octet: u8| octet & mask).collect())
        }
        Format::Jis8 => Tree::Jis8(some(u)?),
        Format::Localized => Tree::Localized(u.arbitrary()?, some(u)?),
        Format::I8 => Tree::I8(some(u)?),
        Format::I1 => Tree::I1(some(u)?),
        Format::I2 => Tree::I2(some(u)?),
        Format::I4 => Tree::I4(some(u)?),
        Format::F8 => Tree::F8(some(u)?),
        Format::F4 => Tree::F4(some(u)?),
        Format::U8 => Tree::U8(some(u)?),
        Format::U1 => Tree::U1(some(u)?),
        Format::U2 => Tree::U2(some(u)?),
        Format::U4 => Tree::U4(some(u)?),
    })
}

fn some<'a, T: Arbitrary<'a> + Clone>(u: &mut Unstructured<'a>) -> Result<Vec<T>> {
    if !u.ratio(15, 16)? {
        return many(u, T::arbitrary, size_of::<T>());
    }
    let count = u.int_in_range(0..=MOST)?;
    (0..count).map(|_| u.arbitrary()).collect()
}

/// One value again and again, in [`MANY`] octets of this width or a few more.
fn many<'a, T: Clone>(
    u: &mut Unstructured<'a>,
    make: impl FnOnce(&mut Unstructured<'a>) -> Result<T>,
    width: usize,
) -> Result<Vec<T>> {
    let count = MANY.checked_div(width).unwrap_or_default().saturating_add(u.int_in_range(0..=3)?);
    Ok(vec![make(u)?; count])
}

impl<'a> Arbitrary<'a> for SmlMessage {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let (stream_function, reply_expected): (StreamFunction, _) = u.arbitrary()?;
        Ok(SmlMessage { stream_function, reply_expected, item: u.arbitrary()? })
    }
}
