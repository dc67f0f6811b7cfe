//! Contenders that write, all into a slice.

use crate::data::Data;
use crate::documents::{Document, Encode};
use hsms_core::secs2::{Count, Slice, WriteError, Writer};
use std::hint::black_box;

/// Writes a document into a slice.
pub(crate) trait Codec {
    /// Gives how many octets were written.
    fn write<D: Document>(out: &mut [u8]) -> Option<usize>;
}

#[inline(never)]
pub(crate) fn build<D: Document, C: Codec>(out: &mut [u8]) -> Option<usize> {
    C::write::<D>(black_box(out))
}

/// 1 where as many octets were written as expected; which ones [`check`] looks at.
pub(crate) fn written<D: Document, C: Codec>(data: &mut Data, expected: fn(&Data) -> &Vec<u8>) -> Option<u64> {
    let len = build::<D, C>(&mut data.out)?;
    (len == expected(data).len()).then_some(1)
}

#[inline(never)]
pub(crate) fn size<D: Document>() -> Option<usize> {
    let mut to = Writer::new(Count::default());
    D::write(&mut to).ok()?;
    Some(black_box(to.finish().ok()?.octets()))
}

pub(crate) struct OursTo;

impl Codec for OursTo {
    #[inline(always)]
    fn write<D: Document>(out: &mut [u8]) -> Option<usize> {
        let mut to = Writer::new(Slice::new(out));
        D::write(&mut to).ok()?;
        Some(to.finish().ok()?.written().len())
    }
}

impl<S: hsms_core::secs2::Sink> Encode for Writer<S> {
    type Error = WriteError;

    #[inline(always)]
    fn list(&mut self, count: u32) -> Result<(), WriteError> {
        Writer::list(self, count as usize)
    }

    #[inline(always)]
    fn u4(&mut self, value: u32) -> Result<(), WriteError> {
        Writer::u4(self, black_box(value))
    }

    #[inline(always)]
    fn i4(&mut self, value: i32) -> Result<(), WriteError> {
        Writer::i4(self, black_box(value))
    }

    #[inline(always)]
    fn f8(&mut self, value: f64) -> Result<(), WriteError> {
        Writer::f8(self, black_box(value))
    }

    #[inline(always)]
    fn boolean(&mut self, value: bool) -> Result<(), WriteError> {
        Writer::boolean(self, black_box(value))
    }

    #[inline(always)]
    fn text(&mut self, value: &str) -> Result<(), WriteError> {
        Writer::ascii(self, black_box(value))
    }
}

pub(crate) struct RmpTo;

impl Codec for RmpTo {
    #[inline(always)]
    fn write<D: Document>(out: &mut [u8]) -> Option<usize> {
        let room = out.len();
        let mut to = RmpWriter(out);
        D::write(&mut to).ok()?;
        room.checked_sub(to.0.len())
    }
}

pub(crate) struct RmpWriter<'a>(&'a mut [u8]);

impl Encode for RmpWriter<'_> {
    type Error = ();

    #[inline(always)]
    fn list(&mut self, count: u32) -> Result<(), ()> {
        rmp::encode::write_array_len(&mut self.0, count).map(drop).map_err(drop)
    }

    #[inline(always)]
    fn u4(&mut self, value: u32) -> Result<(), ()> {
        rmp::encode::write_u32(&mut self.0, black_box(value)).map_err(drop)
    }

    #[inline(always)]
    fn i4(&mut self, value: i32) -> Result<(), ()> {
        rmp::encode::write_i32(&mut self.0, black_box(value)).map_err(drop)
    }

    #[inline(always)]
    fn f8(&mut self, value: f64) -> Result<(), ()> {
        rmp::encode::write_f64(&mut self.0, black_box(value)).map_err(drop)
    }

    #[inline(always)]
    fn boolean(&mut self, value: bool) -> Result<(), ()> {
        rmp::encode::write_bool(&mut self.0, black_box(value)).map_err(drop)
    }

    #[inline(always)]
    fn text(&mut self, value: &str) -> Result<(), ()> {
        rmp::encode::write_str(&mut self.0, black_box(value)).map_err(drop)
    }
}

pub(crate) struct MinicborTo;

impl Codec for MinicborTo {
    #[inline(always)]
    fn write<D: Document>(out: &mut [u8]) -> Option<usize> {
        let room = out.len();
        let mut to = MinicborWriter(minicbor::Encoder::new(out));
        D::write(&mut to).ok()?;
        room.checked_sub(to.0.into_writer().len())
    }
}

pub(crate) struct MinicborWriter<'a>(minicbor::Encoder<&'a mut [u8]>);

impl Encode for MinicborWriter<'_> {
    type Error = ();

    #[inline(always)]
    fn list(&mut self, count: u32) -> Result<(), ()> {
        self.0.array(u64::from(count)).map(drop).map_err(drop)
    }

    #[inline(always)]
    fn u4(&mut self, value: u32) -> Result<(), ()> {
        self.0.u32(black_box(value)).map(drop).map_err(drop)
    }

    #[inline(always)]
    fn i4(&mut self, value: i32) -> Result<(), ()> {
        self.0.i32(black_box(value)).map(drop).map_err(drop)
    }

    #[inline(always)]
    fn f8(&mut self, value: f64) -> Result<(), ()> {
        self.0.f64(black_box(value)).map(drop).map_err(drop)
    }

    #[inline(always)]
    fn boolean(&mut self, value: bool) -> Result<(), ()> {
        self.0.bool(black_box(value)).map(drop).map_err(drop)
    }

    #[inline(always)]
    fn text(&mut self, value: &str) -> Result<(), ()> {
        self.0.str(black_box(value)).map(drop).map_err(drop)
    }
}
