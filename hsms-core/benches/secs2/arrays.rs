//! Contenders that copy arrays out. They give the number of values; whether those are right is looked at elsewhere.

use hsms_core::secs2::{Reader, Value};
use std::hint::black_box;

/// Values of an array.
pub(crate) const ARRAY: usize = 1_024;

#[inline(never)]
pub(crate) fn copied<T: Value>(text: &[u8], out: &mut [T]) -> Option<u64> {
    let values = Reader::new(black_box(text)).values::<T>().ok()?;
    Some(black_box(values.copy_to(black_box(out))).len() as u64)
}

/// What copying the octets alone takes.
#[inline(never)]
pub(crate) fn octets_copied(text: &[u8], out: &mut [u8], width: usize) -> Option<u64> {
    let text = black_box(text);
    let from = text.get(text.len().checked_sub(out.len())?..)?;
    out.copy_from_slice(from);
    Some((black_box(out).len() / width) as u64)
}

#[inline(never)]
pub(crate) fn one_by_one(octets: &[u8], out: &mut [u32]) -> Option<u64> {
    let mut from = rmp::decode::Bytes::new(black_box(octets));
    for place in out.iter_mut() {
        *place = rmp::decode::read_u32(&mut from).ok()?;
    }
    Some(black_box(out).len() as u64)
}

#[inline(never)]
pub(crate) fn one_by_one_minicbor(octets: &[u8], out: &mut [u32]) -> Option<u64> {
    let mut from = minicbor::Decoder::new(black_box(octets));
    for place in out.iter_mut() {
        *place = from.u32().ok()?;
    }
    Some(black_box(out).len() as u64)
}
