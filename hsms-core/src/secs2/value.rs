//! Values of fixed width, and the values of an item where they lie.

use super::{Format, Reader};
use core::fmt;
use core::marker::PhantomData;

/// A Rust type that holds one value of a format of fixed width: the integers and floats of 1 to 8 octets, and `bool`.
///
/// | Rust | format | Rust | format | Rust | format |
/// |---|---|---|---|---|---|
/// | `u8` | U1 | `i8` | I1 | `f32` | F4 |
/// | `u16` | U2 | `i16` | I2 | `f64` | F8 |
/// | `u32` | U4 | `i32` | I4 | `bool` | BOOLEAN |
/// | `u64` | U8 | `i64` | I8 | | |
pub trait Value: sealed::Sealed {
    /// The format whose values this type holds.
    const FORMAT: Format;
}

pub(super) mod sealed {
    use super::super::Reader;

    /// How a value lies in a text.
    pub trait Sealed: Copy + PartialEq + core::fmt::Debug + bytemuck::NoUninit {
        /// The octets of one value, most significant first.
        type Octets: Copy + 'static;
        /// An item of one value, with its header.
        type Alone: AsRef<[u8]>;

        fn from_octets(octets: Self::Octets) -> Self;
        /// The whole values in `octets`.
        fn split(octets: &[u8]) -> &[Self::Octets];
        /// Takes an item of one value.
        fn alone(reader: &mut Reader<'_>) -> Option<Self>;
        /// The item that `alone` takes.
        fn to_alone(self) -> Self::Alone;
    }
}

/// One item of one value takes a format octet, a length octet and the value.
macro_rules! values {
    ($($type:ty, $format:ident, $width:literal, $from:expr, $to:expr;)+) => {$(
        impl Value for $type {
            const FORMAT: Format = Format::$format;
        }

        impl sealed::Sealed for $type {
            type Octets = [u8; $width];
            type Alone = [u8; 2 + $width];

            #[inline]
            fn from_octets(octets: Self::Octets) -> Self {
                $from(octets)
            }

            #[inline]
            fn split(octets: &[u8]) -> &[Self::Octets] {
                octets.as_chunks().0
            }

            #[inline]
            fn alone(reader: &mut Reader<'_>) -> Option<Self> {
                reader.alone(Format::$format).try_into().ok().map($from)
            }

            #[inline]
            fn to_alone(self) -> Self::Alone {
                let mut item = [0; 2 + $width];
                let [format, length, value @ ..] = &mut item;
                *format = Format::$format.code() << 2 | 1;
                *length = $width;
                *value = $to(self);
                item
            }
        }
    )+};
}

values! {
    u8, U1, 1, u8::from_be_bytes, u8::to_be_bytes;
    u16, U2, 2, u16::from_be_bytes, u16::to_be_bytes;
    u32, U4, 4, u32::from_be_bytes, u32::to_be_bytes;
    u64, U8, 8, u64::from_be_bytes, u64::to_be_bytes;
    i8, I1, 1, i8::from_be_bytes, i8::to_be_bytes;
    i16, I2, 2, i16::from_be_bytes, i16::to_be_bytes;
    i32, I4, 4, i32::from_be_bytes, i32::to_be_bytes;
    i64, I8, 8, i64::from_be_bytes, i64::to_be_bytes;
    f32, F4, 4, f32::from_be_bytes, f32::to_be_bytes;
    f64, F8, 8, f64::from_be_bytes, f64::to_be_bytes;
    bool, Boolean, 1, |[octet]: [u8; 1]| octet != 0, |value| [u8::from(value)];
}

/// The values of one item, read where they lie.
///
/// Equal means equal octets: a NaN equals itself, and a BOOLEAN of 2 is not one of 1.
///
/// ```
/// use hsms_core::secs2::Reader;
///
/// let text = [0xa9, 6, 0, 1, 0, 2, 1, 0];
/// let values = Reader::new(&text).values::<u16>()?;
/// assert_eq!((values.len(), values.get(2), values.get(3), values.one()), (3, Some(256), None, None));
/// assert_eq!(values.iter().sum::<u16>(), 259);
///
/// let mut copy = [0; 4];
/// assert_eq!(values.copy_to(&mut copy), [1, 2, 256]);
/// # Ok::<(), hsms_core::secs2::Error>(())
/// ```
pub struct Values<'a, T: Value> {
    /// Whole values. Kept as octets, so that items of all types are alike, and take the same code.
    octets: &'a [u8],
    of: PhantomData<T>,
}

impl<'a, T: Value> Values<'a, T> {
    /// `None` where `octets` end in a part of a value.
    #[inline]
    pub(crate) fn new(octets: &'a [u8]) -> Option<Self> {
        // Some processors cannot divide, and all widths are powers of two.
        let part = octets.len() & size_of::<T::Octets>().wrapping_sub(1);
        if part == 0 { Some(Self::whole(octets)) } else { None }
    }

    /// The values of `octets`, which have been found to hold no part of one.
    #[inline]
    pub(super) const fn whole(octets: &'a [u8]) -> Self {
        Values { octets, of: PhantomData }
    }

    /// The octets, value by value.
    #[inline]
    fn values(&self) -> &'a [T::Octets] {
        T::split(self.octets)
    }

    /// Number of values.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        match self.octets.len().checked_div(size_of::<T::Octets>()) {
            Some(count) => count,
            None => 0,
        }
    }

    /// Whether there is no value.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// The octets of all values.
    #[must_use]
    #[inline]
    pub fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// The value number `index`, from 0.
    #[must_use]
    #[inline]
    pub fn get(&self, index: usize) -> Option<T> {
        self.values().get(index).copied().map(T::from_octets)
    }

    /// The value, where there is exactly one, as in most items.
    #[must_use]
    #[inline]
    pub fn one(&self) -> Option<T> {
        let [value] = self.values() else { return None };
        Some(T::from_octets(*value))
    }

    /// The values, one after the other.
    #[must_use]
    #[inline]
    pub fn iter(&self) -> ValuesIter<'a, T> {
        ValuesIter { values: self.values().iter(), of: PhantomData }
    }

    /// Copies the values to the front of `out`, as many as fit, in the machine's order of octets; gives what was filled.
    #[inline]
    pub fn copy_to<'o>(&self, out: &'o mut [T]) -> &'o [T] {
        let count = self.len().min(out.len());
        let (front, _) = out.split_at_mut_checked(count).unwrap_or_default();
        for (value, octets) in front.iter_mut().zip(self.values()) {
            *value = T::from_octets(*octets);
        }
        front
    }
}

impl<T: Value> Clone for Values<'_, T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Value> Copy for Values<'_, T> {}

impl<T: Value> PartialEq for Values<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.octets() == other.octets()
    }
}

impl<T: Value> Eq for Values<'_, T> {}

/// The values as a list.
impl<T: Value> fmt::Debug for Values<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

#[cfg(feature = "defmt")]
impl<T: Value> defmt::Format for Values<'_, T> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", defmt::Debug2Format(self));
    }
}

impl<'a, T: Value> IntoIterator for Values<'a, T> {
    type Item = T;
    type IntoIter = ValuesIter<'a, T>;

    #[inline]
    fn into_iter(self) -> ValuesIter<'a, T> {
        self.iter()
    }
}

/// Iterator over [`Values`].
pub struct ValuesIter<'a, T: Value> {
    values: core::slice::Iter<'a, T::Octets>,
    of: PhantomData<T>,
}

impl<T: Value> Clone for ValuesIter<'_, T> {
    fn clone(&self) -> Self {
        ValuesIter { values: self.values.clone(), of: PhantomData }
    }
}

impl<T: Value> fmt::Debug for ValuesIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<T: Value> Iterator for ValuesIter<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.values.next().copied().map(T::from_octets)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.values.size_hint()
    }

    #[inline]
    fn nth(&mut self, n: usize) -> Option<T> {
        self.values.nth(n).copied().map(T::from_octets)
    }

    #[inline]
    fn fold<B, F: FnMut(B, T) -> B>(self, init: B, mut f: F) -> B {
        self.values.fold(init, |so_far, octets| f(so_far, T::from_octets(*octets)))
    }
}

impl<T: Value> DoubleEndedIterator for ValuesIter<'_, T> {
    #[inline]
    fn next_back(&mut self) -> Option<T> {
        self.values.next_back().copied().map(T::from_octets)
    }
}

impl<T: Value> ExactSizeIterator for ValuesIter<'_, T> {}

impl<T: Value> core::iter::FusedIterator for ValuesIter<'_, T> {}
