//! Where a writer puts octets.

use super::WriteError;
use crate::collect::append;
use crate::wire::copy;

/// Takes the octets of a text, in order. Implemented by [`Slice`], `heapless::Vec`, with feature `alloc` by `Vec`, by
/// [`Count`], [`Pieces`], and by `&mut` of each.
pub trait Sink {
    /// Makes sure of room for `octets` more, which come in one or more [`put`](Self::put)s.
    ///
    /// # Errors
    /// [`WriteError::NoRoom`] with what is missing, or [`WriteError::Refused`]. Nothing has changed then.
    fn reserve(&mut self, octets: usize) -> Result<(), WriteError>;

    /// Takes octets for which room was made sure of.
    ///
    /// # Errors
    /// [`WriteError::NoRoom`] or [`WriteError::Refused`]; a sink that keeps its promise gives none.
    fn put(&mut self, octets: &[u8]) -> Result<(), WriteError>;
}

/// A [`Sink`] whose octets can be changed afterwards, as lists of unknown count need it.
pub trait Patch: Sink {
    /// Octets that the sink holds.
    fn position(&self) -> usize;

    /// Puts `octets` in the place of what the sink holds from `at` on. Beyond what it holds nothing happens.
    fn patch(&mut self, at: usize, octets: &[u8]);
}

impl<S: Sink + ?Sized> Sink for &mut S {
    #[inline]
    fn reserve(&mut self, octets: usize) -> Result<(), WriteError> {
        (**self).reserve(octets)
    }

    #[inline]
    fn put(&mut self, octets: &[u8]) -> Result<(), WriteError> {
        (**self).put(octets)
    }
}

impl<S: Patch + ?Sized> Patch for &mut S {
    fn position(&self) -> usize {
        (**self).position()
    }

    fn patch(&mut self, at: usize, octets: &[u8]) {
        (**self).patch(at, octets);
    }
}

/// A sink into octets that the caller lends.
#[derive(Debug)]
pub struct Slice<'a> {
    octets: &'a mut [u8],
    len: usize,
}

impl<'a> Slice<'a> {
    /// Fills `octets` from their front.
    #[must_use]
    #[inline]
    pub const fn new(octets: &'a mut [u8]) -> Self {
        Slice { octets, len: 0 }
    }

    /// What was written.
    #[must_use]
    #[inline]
    pub fn written(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }
}

impl Sink for Slice<'_> {
    #[inline]
    fn reserve(&mut self, octets: usize) -> Result<(), WriteError> {
        room_for(octets, self.octets.len().saturating_sub(self.len))
    }

    #[inline]
    fn put(&mut self, octets: &[u8]) -> Result<(), WriteError> {
        let free = self.octets.get_mut(self.len..).unwrap_or_default();
        let room = free.len();
        let Some(place) = free.get_mut(..octets.len()) else { return room_for(octets.len(), room) };
        copy(place, octets);
        // There is a place for them.
        self.len = self.len.wrapping_add(octets.len());
        Ok(())
    }
}

impl Patch for Slice<'_> {
    fn position(&self) -> usize {
        self.len
    }

    fn patch(&mut self, at: usize, octets: &[u8]) {
        patch(self.octets.get_mut(..self.len).unwrap_or_default(), at, octets);
    }
}

impl<const N: usize, LenT: heapless::LenType> Sink for heapless::Vec<u8, N, LenT> {
    fn reserve(&mut self, octets: usize) -> Result<(), WriteError> {
        room_for(octets, N.saturating_sub(self.len()))
    }

    fn put(&mut self, octets: &[u8]) -> Result<(), WriteError> {
        let room = N.saturating_sub(self.len());
        if append(self, octets) {
            return Ok(());
        }
        Err(WriteError::NoRoom { missing: octets.len().saturating_sub(room) })
    }
}

impl<const N: usize, LenT: heapless::LenType> Patch for heapless::Vec<u8, N, LenT> {
    fn position(&self) -> usize {
        self.len()
    }

    fn patch(&mut self, at: usize, octets: &[u8]) {
        patch(self, at, octets);
    }
}

/// Grows as it is written; where memory cannot be had, everything that is missing counts as missing room.
#[cfg(feature = "alloc")]
impl Sink for alloc::vec::Vec<u8> {
    #[inline]
    fn reserve(&mut self, octets: usize) -> Result<(), WriteError> {
        self.try_reserve(octets).map_err(|_| WriteError::NoRoom { missing: octets })
    }

    #[inline]
    fn put(&mut self, octets: &[u8]) -> Result<(), WriteError> {
        self.try_reserve(octets.len()).map_err(|_| WriteError::NoRoom { missing: octets.len() })?;
        self.extend_from_slice(octets);
        Ok(())
    }
}

#[cfg(feature = "alloc")]
impl Patch for alloc::vec::Vec<u8> {
    fn position(&self) -> usize {
        self.len()
    }

    fn patch(&mut self, at: usize, octets: &[u8]) {
        patch(self, at, octets);
    }
}

/// Counts the octets and keeps none: the size of a text before it is written.
///
/// ```
/// use hsms_core::secs2::{Count, Slice, WriteError, Writer, Sink};
///
/// fn reply(sink: impl Sink) -> Result<(), WriteError> {
///     let mut text = Writer::new(sink);
///     text.list(2)?;
///     text.ascii("MDLN")?;
///     text.ascii("1.0")?;
///     text.finish().map(drop)
/// }
///
/// let mut count = Count::default();
/// reply(&mut count)?;
/// assert_eq!(count.octets(), 13);
///
/// let mut octets = [0; 13];
/// reply(Slice::new(&mut octets))?;
/// assert_eq!(&octets, b"\x01\x02\x41\x04MDLN\x41\x031.0");
/// assert_eq!(reply(Slice::new(&mut octets[..10])), Err(WriteError::NoRoom { missing: 3 }));
/// # Ok::<(), WriteError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Count {
    octets: usize,
}

impl Count {
    /// How many octets were written.
    #[must_use]
    pub const fn octets(&self) -> usize {
        self.octets
    }
}

impl Sink for Count {
    #[inline]
    fn reserve(&mut self, octets: usize) -> Result<(), WriteError> {
        match self.octets.checked_add(octets) {
            Some(_) => Ok(()),
            None => Err(WriteError::NoRoom { missing: octets }),
        }
    }

    #[inline]
    fn put(&mut self, octets: &[u8]) -> Result<(), WriteError> {
        self.octets = self.octets.saturating_add(octets.len());
        Ok(())
    }
}

impl Patch for Count {
    fn position(&self) -> usize {
        self.octets
    }

    fn patch(&mut self, _: usize, _: &[u8]) {}
}

/// A sink that hands octets on in pieces of at most `N`, gathered in a buffer of its own. [`finish`](Self::finish) hands on
/// the last.
///
/// What was handed on cannot be taken back: where the receiver refuses, the text is broken off there.
///
/// ```
/// use hsms_core::secs2::{Pieces, WriteError, Writer};
///
/// let mut pieces = vec![];
/// let mut text = Writer::new(Pieces::<8, _>::new(|octets: &[u8]| {
///     pieces.push(octets.to_vec());
///     Ok(())
/// }));
/// text.list(2)?;
/// text.ascii("MDLN")?;
/// text.ascii("1.0")?;
/// text.finish()?.finish()?;
/// assert_eq!(pieces, [&b"\x01\x02\x41\x04MDLN"[..], b"\x41\x031.0"]);
/// # Ok::<(), WriteError>(())
/// ```
#[derive(Debug)]
#[must_use = "the last piece goes with `finish`"]
pub struct Pieces<const N: usize, F> {
    buffer: heapless::Vec<u8, N>,
    hand_on: F,
}

impl<const N: usize, F: FnMut(&[u8]) -> Result<(), WriteError>> Pieces<N, F> {
    /// Hands pieces to `hand_on`, in order, none of them empty.
    pub const fn new(hand_on: F) -> Self {
        const { assert!(N > 0, "a piece has an octet at least") };
        Pieces { buffer: heapless::Vec::new(), hand_on }
    }

    /// Hands on what is left.
    ///
    /// # Errors
    /// That of the receiver.
    pub fn finish(mut self) -> Result<(), WriteError> {
        self.flush()
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        if !self.buffer.is_empty() {
            (self.hand_on)(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }
}

impl<const N: usize, F: FnMut(&[u8]) -> Result<(), WriteError>> Sink for Pieces<N, F> {
    fn reserve(&mut self, _: usize) -> Result<(), WriteError> {
        Ok(())
    }

    fn put(&mut self, mut octets: &[u8]) -> Result<(), WriteError> {
        while !octets.is_empty() {
            if self.buffer.is_full() {
                self.flush()?;
            }
            let count = octets.len().min(N.saturating_sub(self.buffer.len()));
            let (now, later) = octets.split_at_checked(count).unwrap_or((octets, &[]));
            if !append(&mut self.buffer, now) {
                return Err(WriteError::Refused);
            }
            octets = later;
        }
        Ok(())
    }
}

#[inline]
const fn room_for(octets: usize, room: usize) -> Result<(), WriteError> {
    match octets.saturating_sub(room) {
        0 => Ok(()),
        missing => Err(WriteError::NoRoom { missing }),
    }
}

fn patch(held: &mut [u8], at: usize, octets: &[u8]) {
    let place = held.get_mut(at..).and_then(|behind| behind.get_mut(..octets.len()));
    if let Some(place) = place {
        copy(place, octets);
    }
}
