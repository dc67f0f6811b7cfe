//! Item headers and items with nom, over an input whose cuts cannot panic.
//!
//! Everything that reads goes through here but three short cuts in front of it: that of [`Reader::value`](super::Reader::value) for an item
//! of one value behind one length octet, that of [`Reader::list`](super::Reader::list) for at most 255 elements, and that of
//! [`Walk`](super::Walk) for any item with one length octet. With nom alone a typed read takes up to 4.3 times as much as rmp's, and 1.5 times is the
//! limit: in instructions per item of the bench's three texts 70.4 / 68.9 / 66.6 instead of 16.4 / 21.2 / 28.8 (rmp: 16.4 / 36.4 / 59.2). A walk takes
//! 89.4 / 86.4 / 84.3 instead of 51.0 / 59.6 / 63.1. `cargo bench -p hsms-core --bench secs2` prints all of them, those without the short
//! cuts as `nom alone`; `the_fast_path_and_the_parser_agree_on_every_short_item` holds both together.

use super::{ErrorKind, Format, ItemHeader};
use crate::wire::parse::Octets;
use nom::bytes::complete::take;
use nom::combinator::map;
use nom::error::ParseError;
use nom::number::complete::{be_u8, be_u16, be_u24};
use nom::{Err, IResult, Parser};

/// Takes an item header from the front of `text`; gives it and what is behind it.
#[inline]
pub(super) fn header(text: &[u8]) -> Result<(ItemHeader, &[u8]), ErrorKind> {
    match item_header(Octets(text)) {
        Ok((rest, header)) => Ok((header, rest.0)),
        Err(refusal) => Err(kind(refusal)),
    }
}

/// Takes an item that is no list, or the header of a list; gives it with the octets of its values, and what is behind.
#[inline]
pub(super) fn item(text: &[u8]) -> Result<(ItemHeader, &[u8], &[u8]), ErrorKind> {
    match whole_item(Octets(text)) {
        Ok((rest, (header, octets))) => Ok((header, octets.0, rest.0)),
        Err(refusal) => Err(kind(refusal)),
    }
}

fn whole_item(input: Octets<'_>) -> IResult<Octets<'_>, (ItemHeader, Octets<'_>), Refusal> {
    let (rest, header) = item_header(input)?;
    let (rest, octets) = match header.format() {
        Format::List => (rest, Octets(&[])),
        _ => values(rest, header.length())?,
    };
    Ok((rest, (header, octets)))
}

fn values(input: Octets<'_>, length: u32) -> IResult<Octets<'_>, Octets<'_>, Refusal> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    take(length).parse(input).map_err(|_: Err<()>| {
        let missing = length.saturating_sub(input.0.len());
        Err::Failure(Refusal(ErrorKind::Truncated { missing }))
    })
}

fn item_header(input: Octets<'_>) -> IResult<Octets<'_>, ItemHeader, Refusal> {
    let (behind, octet) = be_u8(input)?;
    let code = octet >> 2;
    let fail = |kind| Err(Err::Failure(Refusal(kind)));
    let Some(format) = Format::from_code(code) else { return fail(ErrorKind::UndefinedFormat { code }) };
    let (rest, length) = match octet & 3 {
        1 => map(be_u8, u32::from).parse(behind),
        2 => map(be_u16, u32::from).parse(behind),
        3 => be_u24(behind),
        _ => return fail(ErrorKind::NoLengthOctets { code }),
    }
    .map_err(|_: Err<()>| {
        let missing = usize::from(octet & 3).saturating_sub(behind.0.len());
        Err::Failure(Refusal(ErrorKind::Truncated { missing }))
    })?;
    Ok((rest, ItemHeader::parsed(format, length)))
}

/// Why an item was not taken.
struct Refusal(ErrorKind);

/// nom itself refuses only where octets are missing.
impl<I> ParseError<I> for Refusal {
    fn from_error_kind(_: I, _: nom::error::ErrorKind) -> Self {
        Refusal(ErrorKind::NoItem)
    }

    fn append(_: I, _: nom::error::ErrorKind, other: Self) -> Self {
        other
    }
}

fn kind(refusal: Err<Refusal>) -> ErrorKind {
    match refusal {
        Err::Error(Refusal(kind)) | Err::Failure(Refusal(kind)) => kind,
        Err::Incomplete(_) => ErrorKind::NoItem,
    }
}
