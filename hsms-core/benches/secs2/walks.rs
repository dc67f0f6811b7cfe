//! Contenders that read whatever comes.

use crate::documents::Sum;
use hsms_core::secs2::{Error, Item, Walk, ascii};
use std::hint::black_box;

/// `LOOK`: whether ASCII texts are looked at.
#[inline(never)]
pub(crate) fn walk<const LOOK: bool>(octets: &[u8]) -> Result<u64, Error> {
    let mut sum = Sum::default();
    for step in Walk::<32>::new(black_box(octets)) {
        match step?.item {
            Item::List(count) => sum.add(count as u64),
            Item::Ascii(octets) if LOOK => sum.text(ascii(octets)?.as_bytes()),
            Item::Binary(octets) | Item::Ascii(octets) | Item::Jis8(octets) => sum.text(octets),
            Item::Localized(text) => sum.text(text.octets),
            Item::Boolean(values) => values.iter().for_each(|value| sum.boolean(value)),
            Item::I8(values) => values.iter().for_each(|value| sum.add(value as u64)),
            Item::I1(values) => values.iter().for_each(|value| sum.add(value as u64)),
            Item::I2(values) => values.iter().for_each(|value| sum.add(value as u64)),
            Item::I4(values) => values.iter().for_each(|value| sum.i4(value)),
            Item::F8(values) => values.iter().for_each(|value| sum.f8(value)),
            Item::F4(values) => values.iter().for_each(|value| sum.f8(f64::from(value))),
            Item::U8(values) => values.iter().for_each(|value| sum.add(value)),
            Item::U1(values) => values.iter().for_each(|value| sum.add(u64::from(value))),
            Item::U2(values) => values.iter().for_each(|value| sum.add(u64::from(value))),
            Item::U4(values) => values.iter().for_each(|value| sum.u4(value)),
        }
    }
    Ok(sum.sum)
}

/// Without a look at depth, or at whether the arrays are complete: rmp leaves that to its user.
#[inline(never)]
pub(crate) fn walk_rmp(octets: &[u8]) -> Option<u64> {
    use rmp::Marker;
    use rmp::decode::{Bytes, RmpRead, read_marker};
    let mut sum = Sum::default();
    let mut from = Bytes::new(black_box(octets));
    while !from.remaining_slice().is_empty() {
        let before = from;
        match read_marker(&mut from).ok()? {
            Marker::FixArray(count) => sum.list(u32::from(count)),
            Marker::Array16 => sum.list(u32::from(from.read_data_u16().ok()?)),
            Marker::Array32 => sum.list(from.read_data_u32().ok()?),
            Marker::FixPos(value) => sum.add(u64::from(value)),
            Marker::FixNeg(value) => sum.add(value as u64),
            Marker::U8 => sum.add(u64::from(from.read_data_u8().ok()?)),
            Marker::U16 => sum.add(u64::from(from.read_data_u16().ok()?)),
            Marker::U32 => sum.u4(from.read_data_u32().ok()?),
            Marker::U64 => sum.add(from.read_data_u64().ok()?),
            Marker::I8 => sum.add(from.read_data_i8().ok()? as u64),
            Marker::I16 => sum.add(from.read_data_i16().ok()? as u64),
            Marker::I32 => sum.i4(from.read_data_i32().ok()?),
            Marker::I64 => sum.add(from.read_data_i64().ok()? as u64),
            Marker::F32 => sum.f8(f64::from(from.read_data_f32().ok()?)),
            Marker::F64 => sum.f8(from.read_data_f64().ok()?),
            Marker::True => sum.boolean(true),
            Marker::False => sum.boolean(false),
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                let (text, rest) = rmp::decode::read_str_from_slice(before.remaining_slice()).ok()?;
                sum.text(text.as_bytes());
                from = Bytes::new(rest);
            }
            _ => return None,
        }
    }
    Some(sum.sum)
}
