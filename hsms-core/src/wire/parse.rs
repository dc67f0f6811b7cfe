//! Whole-message parsing with nom, over an input whose cuts cannot panic.

use super::{HEADER_LEN, Header, MIN_LENGTH, Message, ParseError};
use nom::bytes::complete::take;
use nom::number::complete::be_u32;
use nom::{IResult, Input, Needed, Parser};

/// Borrowed octets as nom's input. Over plain slices nom cuts by index, which leaves calls to the panic handler in a
/// firmware image; here every cut is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Octets<'a>(pub(crate) &'a [u8]);

impl<'a> Input for Octets<'a> {
    type Item = u8;
    type Iter = core::iter::Copied<core::slice::Iter<'a, u8>>;
    type IterIndices = core::iter::Enumerate<Self::Iter>;

    fn input_len(&self) -> usize {
        self.0.len()
    }

    fn take(&self, count: usize) -> Self {
        self.take_split(count).1
    }

    fn take_from(&self, count: usize) -> Self {
        self.take_split(count).0
    }

    // nom's order: what is left, then what was taken.
    fn take_split(&self, count: usize) -> (Self, Self) {
        let (front, rest) = self.0.split_at_checked(count).unwrap_or((self.0, &[]));
        (Octets(rest), Octets(front))
    }

    fn position<P: Fn(u8) -> bool>(&self, predicate: P) -> Option<usize> {
        self.0.iter().position(|octet| predicate(*octet))
    }

    fn iter_elements(&self) -> Self::Iter {
        self.0.iter().copied()
    }

    fn iter_indices(&self) -> Self::IterIndices {
        self.iter_elements().enumerate()
    }

    fn slice_index(&self, count: usize) -> Result<usize, Needed> {
        if count <= self.0.len() {
            return Ok(count);
        }
        Err(Needed::new(count.saturating_sub(self.0.len())))
    }
}

/// See [`Message::parse`].
pub(super) fn message(input: &[u8]) -> Result<(Message<'_>, &[u8]), ParseError> {
    let have = u64::try_from(input.len()).unwrap_or(u64::MAX);
    let missing_to = |total: u64| ParseError::Incomplete { missing: total.saturating_sub(have) };

    let (behind_length, length) = length_field(Octets(input)).map_err(|_| missing_to(4))?;
    let text_len = length.checked_sub(MIN_LENGTH).ok_or(ParseError::LengthTooShort { length })?;
    let whole = u64::from(length).saturating_add(4);
    let (rest, (header, body)) =
        header_and_text(text_len).parse(behind_length).map_err(|_: nom::Err<()>| missing_to(whole))?;
    Ok((Message::new(header, body.0), rest.0))
}

fn length_field(input: Octets<'_>) -> IResult<Octets<'_>, u32, ()> {
    be_u32(input)
}

fn header_and_text<'a>(text_len: u32) -> impl Parser<Octets<'a>, Output = (Header, Octets<'a>), Error = ()> {
    // A text longer than the address space fails like any text that is not all there.
    let text_len = usize::try_from(text_len).unwrap_or(usize::MAX);
    (header, take(text_len))
}

fn header(input: Octets<'_>) -> IResult<Octets<'_>, Header, ()> {
    take(HEADER_LEN).map_opt(|octets: Octets<'_>| octets.0.first_chunk().map(Header::decode)).parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parsers of nom that nothing here uses rely on these as well.
    #[test]
    fn octets_are_an_input_as_a_slice_is_for_nom() {
        let (octets, slice) = (Octets(b"abc"), &b"abc"[..]);
        assert_eq!(octets.input_len(), slice.input_len());
        for wanted in *b"abcd" {
            assert_eq!(octets.position(|octet| octet == wanted), slice.position(|octet| octet == wanted));
        }
        assert!(octets.iter_elements().eq(slice.iter_elements()));
        assert!(octets.iter_indices().eq(slice.iter_indices()));
        for count in 0..5 {
            assert_eq!(octets.slice_index(count), slice.slice_index(count), "{count}");
        }
        for count in 0..4 {
            let (rest, taken) = slice.take_split(count);
            assert_eq!(octets.take_split(count), (Octets(rest), Octets(taken)), "{count}");
            assert_eq!((octets.take(count), octets.take_from(count)), (Octets(taken), Octets(rest)), "{count}");
        }
    }
}
