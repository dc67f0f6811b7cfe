//! Contenders that read what they expect.

use crate::data::Data;
use crate::documents::{Decode, Document, Numbers};
use hsms_core::secs2::{Error, Item, Reader, Value, Values};
use std::hint::black_box;

#[inline(never)]
pub(crate) fn read<'a, D: Document, R: Decode<'a>>(octets: &'a [u8]) -> Option<u64> {
    let mut from = R::new(black_box(octets));
    let sum = D::read(&mut from).ok()?;
    from.is_empty().then_some(sum)
}

#[inline(never)]
pub(crate) fn allocating(data: &mut Data) -> Option<u64> {
    black_box(vec![0_u8; black_box(16)]);
    read::<Numbers, Ours<'_>>(&data.secs2[Numbers::AT])
}

#[inline(never)]
pub(crate) fn slow(data: &mut Data) -> Option<u64> {
    let mut sum = None;
    for _ in 0..20 {
        sum = read::<Numbers, Ours<'_>>(&data.secs2[Numbers::AT]);
    }
    sum
}

pub(crate) struct Ours<'a>(Reader<'a>);

impl<'a> Decode<'a> for Ours<'a> {
    type Error = Error;

    #[inline(always)]
    fn new(octets: &'a [u8]) -> Self {
        Ours(Reader::new(octets))
    }

    #[inline(always)]
    fn list(&mut self) -> Result<u32, Error> {
        self.0.list().map(|count| count as u32)
    }

    #[inline(always)]
    fn u4(&mut self) -> Result<u32, Error> {
        self.0.u4()
    }

    #[inline(always)]
    fn i4(&mut self) -> Result<i32, Error> {
        self.0.i4()
    }

    #[inline(always)]
    fn f8(&mut self) -> Result<f64, Error> {
        self.0.f8()
    }

    #[inline(always)]
    fn boolean(&mut self) -> Result<bool, Error> {
        self.0.boolean()
    }

    #[inline(always)]
    fn text(&mut self) -> Result<&'a str, Error> {
        self.0.ascii()
    }

    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Without the short cuts of `Reader::value` and `Reader::list`: lists by `item`, which has none, and values by `values`.
pub(crate) struct Nom<'a>(Reader<'a>);

impl Nom<'_> {
    #[inline(always)]
    fn value<T: Value>(&mut self) -> Result<T, Option<Error>> {
        let values: Values<'_, T> = self.0.values().map_err(Some)?;
        if values.len() == 1 { values.get(0).ok_or(None) } else { Err(None) }
    }
}

impl<'a> Decode<'a> for Nom<'a> {
    type Error = Option<Error>;

    #[inline(always)]
    fn new(octets: &'a [u8]) -> Self {
        Nom(Reader::new(octets))
    }

    #[inline(always)]
    fn list(&mut self) -> Result<u32, Self::Error> {
        match self.0.item() {
            Ok(Item::List(count)) => Ok(count as u32),
            other => Err(other.err()),
        }
    }

    #[inline(always)]
    fn u4(&mut self) -> Result<u32, Self::Error> {
        self.value()
    }

    #[inline(always)]
    fn i4(&mut self) -> Result<i32, Self::Error> {
        self.value()
    }

    #[inline(always)]
    fn f8(&mut self) -> Result<f64, Self::Error> {
        self.value()
    }

    #[inline(always)]
    fn boolean(&mut self) -> Result<bool, Self::Error> {
        self.value()
    }

    #[inline(always)]
    fn text(&mut self) -> Result<&'a str, Self::Error> {
        self.0.ascii().map_err(Some)
    }

    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

pub(crate) struct Rmp<'a>(rmp::decode::Bytes<'a>);

impl<'a> Decode<'a> for Rmp<'a> {
    type Error = Option<rmp::decode::ValueReadError<rmp::decode::bytes::BytesReadError>>;

    #[inline(always)]
    fn new(octets: &'a [u8]) -> Self {
        Rmp(rmp::decode::Bytes::new(octets))
    }

    #[inline(always)]
    fn list(&mut self) -> Result<u32, Self::Error> {
        rmp::decode::read_array_len(&mut self.0).map_err(Some)
    }

    #[inline(always)]
    fn u4(&mut self) -> Result<u32, Self::Error> {
        rmp::decode::read_u32(&mut self.0).map_err(Some)
    }

    #[inline(always)]
    fn i4(&mut self) -> Result<i32, Self::Error> {
        rmp::decode::read_i32(&mut self.0).map_err(Some)
    }

    #[inline(always)]
    fn f8(&mut self) -> Result<f64, Self::Error> {
        rmp::decode::read_f64(&mut self.0).map_err(Some)
    }

    #[inline(always)]
    fn boolean(&mut self) -> Result<bool, Self::Error> {
        rmp::decode::read_bool(&mut self.0).map_err(Some)
    }

    #[inline(always)]
    fn text(&mut self) -> Result<&'a str, Self::Error> {
        let (text, rest) = rmp::decode::read_str_from_slice(self.0.remaining_slice()).map_err(|_| None)?;
        self.0 = rmp::decode::Bytes::new(rest);
        Ok(text)
    }

    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.0.remaining_slice().is_empty()
    }
}

pub(crate) struct Minicbor<'a>(minicbor::Decoder<'a>);

impl<'a> Decode<'a> for Minicbor<'a> {
    /// `None` for an array that does not say its length.
    type Error = Option<minicbor::decode::Error>;

    #[inline(always)]
    fn new(octets: &'a [u8]) -> Self {
        Minicbor(minicbor::Decoder::new(octets))
    }

    #[inline(always)]
    fn list(&mut self) -> Result<u32, Self::Error> {
        self.0.array()?.map(|count| count as u32).ok_or(None)
    }

    #[inline(always)]
    fn u4(&mut self) -> Result<u32, Self::Error> {
        self.0.u32().map_err(Some)
    }

    #[inline(always)]
    fn i4(&mut self) -> Result<i32, Self::Error> {
        self.0.i32().map_err(Some)
    }

    #[inline(always)]
    fn f8(&mut self) -> Result<f64, Self::Error> {
        self.0.f64().map_err(Some)
    }

    #[inline(always)]
    fn boolean(&mut self) -> Result<bool, Self::Error> {
        self.0.bool().map_err(Some)
    }

    #[inline(always)]
    fn text(&mut self) -> Result<&'a str, Self::Error> {
        self.0.str().map_err(Some)
    }

    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.0.position() == self.0.input().len()
    }
}
