//! Contenders that read whatever comes.

use crate::documents::Sum;
use hsms_core::secs2::{Error, Item, Reader, Value, Values, Walk, ascii};
use std::hint::black_box;

/// `LOOK`: whether ASCII texts are looked at.
#[inline(never)]
pub(crate) fn walk<const LOOK: bool>(octets: &[u8]) -> Result<u64, Error> {
    let mut sum = Sum::default();
    for step in Walk::<32>::new(black_box(octets)) {
        add::<LOOK>(&mut sum, step?.item)?;
    }
    Ok(sum.sum)
}

/// Without the short cut of `Walk`: every item header by nom. Of depth no look.
#[inline(never)]
pub(crate) fn walk_nom(octets: &[u8]) -> Result<u64, Error> {
    let mut sum = Sum::default();
    let mut reader = Reader::new(black_box(octets));
    while !reader.is_empty() {
        add::<true>(&mut sum, reader.item()?)?;
    }
    Ok(sum.sum)
}

#[inline(always)]
fn add<const LOOK: bool>(sum: &mut Sum, item: Item<'_>) -> Result<(), Error> {
    match item {
        Item::List(count) => sum.add(count as u64),
        Item::Ascii(octets) if LOOK => sum.text(ascii(octets)?.as_bytes()),
        Item::Binary(octets) | Item::Ascii(octets) | Item::Jis8(octets) => sum.text(octets),
        Item::Localized(text) => sum.text(text.octets),
        Item::Boolean(values) => each(values, |value| sum.boolean(value)),
        Item::I8(values) => each(values, |value| sum.add(value as u64)),
        Item::I1(values) => each(values, |value| sum.add(value as u64)),
        Item::I2(values) => each(values, |value| sum.add(value as u64)),
        Item::I4(values) => each(values, |value| sum.i4(value)),
        Item::F8(values) => each(values, |value| sum.f8(value)),
        Item::F4(values) => each(values, |value| sum.f8(f64::from(value))),
        Item::U8(values) => each(values, |value| sum.add(value)),
        Item::U1(values) => each(values, |value| sum.add(u64::from(value))),
        Item::U2(values) => each(values, |value| sum.add(u64::from(value))),
        Item::U4(values) => each(values, |value| sum.u4(value)),
    }
    Ok(())
}

/// Most items hold one value.
#[inline(always)]
fn each<T: Value>(values: Values<'_, T>, mut to: impl FnMut(T)) {
    match values.one() {
        Some(value) => to(value),
        None => values.iter().for_each(to),
    }
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

/// By the type that comes next. Of depth, and of arrays that are not complete, as with rmp. Its tokens would bring in a crate for
/// floats of 16 bits.
#[inline(never)]
pub(crate) fn walk_minicbor(octets: &[u8]) -> Option<u64> {
    use minicbor::data::Type;
    let mut sum = Sum::default();
    let mut from = minicbor::Decoder::new(black_box(octets));
    while from.position() < from.input().len() {
        match from.datatype().ok()? {
            Type::Array => sum.add(from.array().ok()??),
            Type::Bool => sum.boolean(from.bool().ok()?),
            Type::U8 => sum.add(u64::from(from.u8().ok()?)),
            Type::U16 => sum.add(u64::from(from.u16().ok()?)),
            Type::U32 => sum.u4(from.u32().ok()?),
            Type::U64 => sum.add(from.u64().ok()?),
            Type::I8 => sum.add(from.i8().ok()? as u64),
            Type::I16 => sum.add(from.i16().ok()? as u64),
            Type::I32 => sum.i4(from.i32().ok()?),
            Type::I64 => sum.add(from.i64().ok()? as u64),
            Type::F32 => sum.f8(f64::from(from.f32().ok()?)),
            Type::F64 => sum.f8(from.f64().ok()?),
            Type::Bytes => sum.text(from.bytes().ok()?),
            Type::String => sum.text(from.str().ok()?.as_bytes()),
            _ => return None,
        }
    }
    Some(sum.sum)
}
