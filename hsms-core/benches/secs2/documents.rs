//! The documents, for any codec.

use std::convert::Infallible;

pub(crate) const NUMBERS: u32 = 100;

/// Values of the widths meant, in every codec.
pub(crate) struct Seed(pub(crate) u32);

impl Seed {
    pub(crate) fn u4(&self) -> u32 {
        70_000 + self.0 * 7_919
    }

    pub(crate) fn i4(&self) -> i32 {
        -70_000 - i32::try_from(self.0).expect("seeds are small")
    }

    pub(crate) fn f8(&self) -> f64 {
        20.1 + f64::from(self.0) * 0.37
    }

    pub(crate) fn boolean(&self) -> bool {
        self.0.is_multiple_of(2)
    }

    pub(crate) fn text(&self) -> &'static str {
        ["LOT-0042", "RECIPE/ETCH-7", "CHAMBER-A", "WAFER-ID-17"][self.0 as usize % 4]
    }
}

pub(crate) trait Encode {
    type Error;
    fn list(&mut self, count: u32) -> Result<(), Self::Error>;
    fn u4(&mut self, value: u32) -> Result<(), Self::Error>;
    fn i4(&mut self, value: i32) -> Result<(), Self::Error>;
    fn f8(&mut self, value: f64) -> Result<(), Self::Error>;
    fn boolean(&mut self, value: bool) -> Result<(), Self::Error>;
    fn text(&mut self, value: &str) -> Result<(), Self::Error>;
}

pub(crate) trait Decode<'a> {
    type Error;
    fn new(octets: &'a [u8]) -> Self;
    fn list(&mut self) -> Result<u32, Self::Error>;
    fn u4(&mut self) -> Result<u32, Self::Error>;
    fn i4(&mut self) -> Result<i32, Self::Error>;
    fn f8(&mut self) -> Result<f64, Self::Error>;
    fn boolean(&mut self) -> Result<bool, Self::Error>;
    fn text(&mut self) -> Result<&'a str, Self::Error>;
    fn is_empty(&self) -> bool;
}

pub(crate) trait Document {
    /// Where it is in [`Data`].
    const AT: usize;
    fn write<E: Encode>(to: &mut E) -> Result<(), E::Error>;
    fn read<'a, D: Decode<'a>>(from: &mut D) -> Result<u64, D::Error>;
}

pub(crate) struct Numbers;
pub(crate) struct Report;
pub(crate) struct Nested;

impl Document for Numbers {
    const AT: usize = 0;

    #[inline(always)]
    fn write<E: Encode>(to: &mut E) -> Result<(), E::Error> {
        to.list(NUMBERS)?;
        (0..NUMBERS).try_for_each(|n| to.u4(Seed(n).u4()))
    }

    #[inline(always)]
    fn read<'a, D: Decode<'a>>(from: &mut D) -> Result<u64, D::Error> {
        let count = from.list()?;
        let mut sum = u64::from(count);
        for _ in 0..count {
            sum = sum.wrapping_add(u64::from(from.u4()?));
        }
        Ok(sum)
    }
}

/// As S6F11: `<L [3] DATAID CEID <L [4] <L [2] RPTID <L [5] V..>>>>`.
impl Document for Report {
    const AT: usize = 1;

    #[inline(always)]
    fn write<E: Encode>(to: &mut E) -> Result<(), E::Error> {
        to.list(3)?;
        to.u4(Seed(1).u4())?;
        to.u4(Seed(2).u4())?;
        to.list(4)?;
        for n in 0..4 {
            let seed = Seed(n);
            to.list(2)?;
            to.u4(seed.u4())?;
            to.list(5)?;
            to.u4(seed.u4())?;
            to.text(seed.text())?;
            to.f8(seed.f8())?;
            to.boolean(seed.boolean())?;
            to.i4(seed.i4())?;
        }
        Ok(())
    }

    #[inline(always)]
    fn read<'a, D: Decode<'a>>(from: &mut D) -> Result<u64, D::Error> {
        let mut sum = Sum::default();
        sum.list(from.list()?);
        sum.u4(from.u4()?);
        sum.u4(from.u4()?);
        let reports = from.list()?;
        sum.list(reports);
        for _ in 0..reports {
            sum.list(from.list()?);
            sum.u4(from.u4()?);
            sum.list(from.list()?);
            sum.u4(from.u4()?);
            sum.text(from.text()?.as_bytes());
            sum.f8(from.f8()?);
            sum.boolean(from.boolean()?);
            sum.i4(from.i4()?);
        }
        Ok(sum.sum)
    }
}

/// As [`Report`], with 83 reports of three pairs of a name and a value:
/// `<L [3] <L [2] A U4> <L [2] A F8> <L [2] A I4>>`.
impl Document for Nested {
    const AT: usize = 2;

    #[inline(always)]
    fn write<E: Encode>(to: &mut E) -> Result<(), E::Error> {
        to.list(3)?;
        to.u4(Seed(1).u4())?;
        to.u4(Seed(2).u4())?;
        to.list(83)?;
        for n in 0..83 {
            let seed = Seed(n);
            to.list(2)?;
            to.u4(seed.u4())?;
            to.list(3)?;
            to.list(2)?;
            to.text(seed.text())?;
            to.u4(seed.u4())?;
            to.list(2)?;
            to.text(seed.text())?;
            to.f8(seed.f8())?;
            to.list(2)?;
            to.text(seed.text())?;
            to.i4(seed.i4())?;
        }
        Ok(())
    }

    #[inline(always)]
    fn read<'a, D: Decode<'a>>(from: &mut D) -> Result<u64, D::Error> {
        let mut sum = Sum::default();
        sum.list(from.list()?);
        sum.u4(from.u4()?);
        sum.u4(from.u4()?);
        let reports = from.list()?;
        sum.list(reports);
        for _ in 0..reports {
            sum.list(from.list()?);
            sum.u4(from.u4()?);
            sum.list(from.list()?);
            sum.list(from.list()?);
            sum.text(from.text()?.as_bytes());
            sum.u4(from.u4()?);
            sum.list(from.list()?);
            sum.text(from.text()?.as_bytes());
            sum.f8(from.f8()?);
            sum.list(from.list()?);
            sum.text(from.text()?.as_bytes());
            sum.i4(from.i4()?);
        }
        Ok(sum.sum)
    }
}

/// What all values of a document come to.
#[derive(Default)]
pub(crate) struct Sum {
    pub(crate) sum: u64,
    pub(crate) items: u32,
}

impl Sum {
    #[inline(always)]
    pub(crate) fn add(&mut self, value: u64) {
        self.sum = self.sum.wrapping_add(value);
    }

    #[inline(always)]
    pub(crate) fn list(&mut self, count: u32) {
        self.add(u64::from(count));
    }

    #[inline(always)]
    pub(crate) fn u4(&mut self, value: u32) {
        self.add(u64::from(value));
    }

    #[inline(always)]
    pub(crate) fn i4(&mut self, value: i32) {
        self.add(value as u64);
    }

    #[inline(always)]
    pub(crate) fn f8(&mut self, value: f64) {
        self.add(value.to_bits());
    }

    #[inline(always)]
    pub(crate) fn boolean(&mut self, value: bool) {
        self.add(u64::from(value));
    }

    #[inline(always)]
    pub(crate) fn text(&mut self, text: &[u8]) {
        self.add(text.len() as u64);
        self.add(u64::from(text.last().copied().unwrap_or(0)));
    }
}

/// The sum of a document and the number of its items, from the values and from no octets.
pub(crate) fn model<D: Document>() -> Sum {
    struct Model(Sum);
    macro_rules! counted {
        ($($name:ident($type:ty) $as:expr;)+) => {$(
            fn $name(&mut self, value: $type) -> Result<(), Infallible> {
                self.0.items += 1;
                let with: fn(&mut Sum, $type) = $as;
                with(&mut self.0, value);
                Ok(())
            }
        )+};
    }
    impl Encode for Model {
        type Error = Infallible;
        counted! {
            list(u32) Sum::list;
            u4(u32) Sum::u4;
            i4(i32) Sum::i4;
            f8(f64) Sum::f8;
            boolean(bool) Sum::boolean;
            text(&str) |sum, text| sum.text(text.as_bytes());
        }
    }
    let mut model = Model(Sum::default());
    let Ok(()) = D::write(&mut model);
    model.0
}
