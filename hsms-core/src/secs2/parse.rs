//! Item headers and items with nom, over an input whose cuts cannot panic.
//!
//! Everything that reads goes through here but four short cuts in front of it, all of them for items with one length octet: that of
//! [`Reader::value`](super::Reader::value) for one value, that of [`Reader::list`](super::Reader::list) and its like for lists, that of
//! [`Reader::values`](super::Reader::values) and of texts, and that of [`Walk`](super::Walk), [`check`](super::check) and
//! [`Reader::skip`](super::Reader::skip), which not all machines have ([`SHORT_CUTS`]). In instructions per item of the bench's three texts a typed
//! read takes 20.4 / 24.9 / 32.2 (rmp: 16.4 / 36.4 / 59.2, and 1.5 times that is the limit), a walk 58.3 / 70.4 / 76.8, and with nom alone
//! 113.5 / 113.8 / 113.8. `cargo bench -p hsms-core --bench secs2` prints all of them;
//! `the_fast_path_and_the_parser_agree_on_every_short_item` holds both together.

use super::{ErrorKind, Format, ItemHeader};
use crate::wire::parse::Octets;
use nom::bytes::complete::take;
use nom::error::ParseError;
use nom::number::complete::be_u8;
use nom::{Err, IResult, Parser};

/// Whether items of any format have a short cut. Without it a [`Walk`](super::Walk) takes about twice the instructions and, on a Cortex-M4, 390
/// octets less of flash, which is what microcontrollers lack.
pub(super) const SHORT_CUTS: bool = cfg!(target_pointer_width = "64");

/// Takes an item header from the front of `text`; gives it and what is behind it. Once for all that read: flash is dear.
#[inline(never)]
pub(super) fn header(text: &[u8]) -> Result<(ItemHeader, &[u8]), ErrorKind> {
    match item_header(Octets(text)) {
        Ok((rest, header)) => Ok((header, rest.0)),
        Err(Err::Error(Refusal(kind)) | Err::Failure(Refusal(kind))) => Err(kind),
        Err(Err::Incomplete(_)) => Err(ErrorKind::NoItem),
    }
}

/// Takes an item that is whole and has one length octet; gives its header, the octets of its values, and what is behind. Whether these are
/// whole values is not looked at.
#[inline(always)]
pub(super) fn short(text: &[u8]) -> Option<(ItemHeader, &[u8], &[u8])> {
    let [first, length, behind @ ..] = text else { return None };
    if *first & 3 != 1 {
        return None;
    }
    let header = ItemHeader::parsed(Format::look_up(*first >> 2)?, u32::from(*length));
    let (octets, rest) = match header.format() {
        Format::List => (&[][..], behind),
        _ => behind.split_at_checked(usize::from(*length))?,
    };
    Some((header, octets, rest))
}

fn item_header(input: Octets<'_>) -> IResult<Octets<'_>, ItemHeader, Refusal> {
    let (behind, octet) = be_u8(input)?;
    let (code, count) = (octet >> 2, octet & 3);
    let fail = |kind| Err(Err::Failure(Refusal(kind)));
    let Some(format) = Format::look_up(code) else { return fail(ErrorKind::UndefinedFormat { code }) };
    if count == 0 {
        return fail(ErrorKind::NoLengthOctets { code });
    }
    let (rest, octets) = take(count).parse(behind).map_err(|_: Err<()>| {
        let missing = usize::from(count).saturating_sub(behind.0.len());
        Err::Failure(Refusal(ErrorKind::Truncated { missing }))
    })?;
    let length = octets.0.iter().fold(0, |length, octet| length << 8 | u32::from(*octet));
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
