//! Texts, item by item.

use super::{Encoding, Format, Item, ItemHeader, Localized, Patch, Reader, Sink, Value, WriteError};

/// Writes a text into a [`Sink`]: one item, whose elements follow it if it is a list.
///
/// Every method but [`begin_list`](Self::begin_list) writes as few length octets as the length needs. A call that fails has
/// written nothing, and the text can go on. Only where a sink refuses in the middle of an item, as [`Pieces`](super::Pieces)
/// may, it is broken off: every call is [`WriteError::Refused`] then.
///
/// `OPEN` lists of unknown count can be open at a time. Lists of known count nest without limit.
///
/// ```
/// use hsms_core::secs2::{Slice, WriteError, Writer};
///
/// let mut octets = [0; 64];
/// let mut text = Writer::new(Slice::new(&mut octets));
/// text.list(2)?;
/// text.ascii("ABC")?;
/// text.values(&[1_u16, 2])?;
/// assert_eq!(text.finish()?.written(), b"\x01\x02\x41\x03ABC\xa9\x04\0\x01\0\x02");
///
/// let mut text = Writer::new(Slice::new(&mut octets));
/// text.list(2)?;
/// text.u4(7)?;
/// assert_eq!(text.finish().unwrap_err(), WriteError::ElementsMissing { missing: 1 });
/// # Ok::<(), WriteError>(())
/// ```
#[derive(Debug)]
pub struct Writer<S, const OPEN: usize = 8> {
    sink: S,
    /// Items that lists of known count wait for, inside the innermost list of unknown count.
    due: u64,
    /// Whether the sink refused in the middle of an item.
    broken: bool,
    /// Lists of unknown count, the outermost first.
    lists: heapless::Vec<Open, OPEN>,
}

/// A list of unknown count.
#[derive(Debug, Clone, Copy)]
struct Open {
    /// Where its header is.
    at: usize,
    /// Elements so far.
    count: u32,
    /// What was due when it began.
    due_around: u64,
}

impl<S: Sink> Writer<S> {
    /// Writes into `sink`, behind what it holds. At most 8 lists of unknown count can be open at a time.
    #[must_use]
    #[inline]
    pub const fn new(sink: S) -> Self {
        Writer::with_open(sink)
    }
}

impl<S: Sink, const OPEN: usize> Writer<S, OPEN> {
    /// As [`new`](Writer::new), for another number of open lists.
    #[must_use]
    #[inline]
    pub const fn with_open(sink: S) -> Self {
        Writer { sink, due: 1, broken: false, lists: heapless::Vec::new() }
    }

    /// Ends the text; gives the sink.
    ///
    /// # Errors
    /// [`WriteError::ListsOpen`], and [`WriteError::ElementsMissing`] where a list of known count lacks elements or no item
    /// was written; [`WriteError::Refused`] where the sink refused in the middle of an item. A header-only message needs no
    /// writer.
    pub fn finish(self) -> Result<S, WriteError> {
        if self.broken {
            return Err(WriteError::Refused);
        }
        match (self.lists.len(), self.due) {
            (0, 0) => Ok(self.sink),
            (0, missing) => Err(WriteError::ElementsMissing { missing }),
            (open, _) => Err(WriteError::ListsOpen { open }),
        }
    }

    /// The sink, with what has been written so far.
    #[must_use]
    pub const fn sink(&self) -> &S {
        &self.sink
    }

    /// The header of a list; its `count` elements come next.
    ///
    /// # Errors
    /// [`WriteError::TooLong`], [`WriteError::TextComplete`], and those of the sink.
    #[inline]
    pub fn list(&mut self, count: usize) -> Result<(), WriteError> {
        self.begin(Format::List, count)?;
        self.count();
        self.due = self.due.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        Ok(())
    }

    /// An item of one value. [`u4`](Self::u4) and its like are the same by the standard's names.
    ///
    /// # Errors
    /// [`WriteError::TextComplete`], and those of the sink.
    #[inline]
    pub fn value<T: Value>(&mut self, value: T) -> Result<(), WriteError> {
        self.whole(value.to_alone().as_ref())
    }

    /// An item of any number of values.
    ///
    /// # Errors
    /// [`WriteError::TooLong`], [`WriteError::TextComplete`], and those of the sink.
    pub fn values<T: Value>(&mut self, values: &[T]) -> Result<(), WriteError> {
        let mut portions = values.chunks(PORTION.checked_div(size_of::<T>()).unwrap_or(1).max(1));
        self.portions(T::FORMAT, values.len().saturating_mul(size_of::<T>()), &mut |buffer| {
            let mut len = 0_usize;
            for (place, value) in T::split_mut(buffer).iter_mut().zip(portions.next().unwrap_or_default()) {
                *place = value.to_octets();
                len = len.saturating_add(size_of::<T>());
            }
            len
        })
    }

    /// An ASCII item.
    ///
    /// # Errors
    /// [`WriteError::NotAscii`], [`WriteError::TooLong`], [`WriteError::TextComplete`], and those of the sink.
    #[inline]
    pub fn ascii(&mut self, text: &str) -> Result<(), WriteError> {
        if !text.is_ascii() {
            let at = text.bytes().take_while(u8::is_ascii).count();
            return Err(WriteError::NotAscii { at });
        }
        self.octets(Format::Ascii, &[], text.as_bytes())
    }

    /// An ASCII item of octets that are not looked at: beyond 127 their meaning is the receiver's affair.
    ///
    /// # Errors
    /// Those of [`binary`](Self::binary).
    #[inline]
    pub fn ascii_octets(&mut self, octets: &[u8]) -> Result<(), WriteError> {
        self.octets(Format::Ascii, &[], octets)
    }

    /// A binary item.
    ///
    /// # Errors
    /// [`WriteError::TooLong`], [`WriteError::TextComplete`], and those of the sink.
    #[inline]
    pub fn binary(&mut self, octets: &[u8]) -> Result<(), WriteError> {
        self.octets(Format::Binary, &[], octets)
    }

    /// A JIS-8 item.
    ///
    /// # Errors
    /// Those of [`binary`](Self::binary).
    #[inline]
    pub fn jis8(&mut self, octets: &[u8]) -> Result<(), WriteError> {
        self.octets(Format::Jis8, &[], octets)
    }

    /// A localized text. Whether the octets are in that encoding is not looked at.
    ///
    /// # Errors
    /// Those of [`binary`](Self::binary).
    pub fn localized(&mut self, encoding: Encoding, octets: &[u8]) -> Result<(), WriteError> {
        self.octets(Format::Localized, &encoding.0.to_be_bytes(), octets)
    }

    /// An item that was read; of a list its header, as with [`list`](Self::list).
    ///
    /// # Errors
    /// Those of [`binary`](Self::binary).
    pub fn item(&mut self, item: Item<'_>) -> Result<(), WriteError> {
        let octets = match item {
            Item::List(count) => return self.list(count),
            Item::Localized(Localized { encoding, octets }) => return self.localized(encoding, octets),
            Item::Binary(octets) | Item::Ascii(octets) | Item::Jis8(octets) => octets,
            Item::Boolean(values) => values.octets(),
            Item::I8(values) => values.octets(),
            Item::I1(values) => values.octets(),
            Item::I2(values) => values.octets(),
            Item::I4(values) => values.octets(),
            Item::F8(values) => values.octets(),
            Item::F4(values) => values.octets(),
            Item::U8(values) => values.octets(),
            Item::U1(values) => values.octets(),
            Item::U2(values) => values.octets(),
            Item::U4(values) => values.octets(),
        };
        self.octets(item.format(), &[], octets)
    }

    /// A whole item with all its elements, encoded already, as [`Reader::raw`] gives it. Linear in its items.
    ///
    /// # Errors
    /// [`WriteError::NoItem`] where `octets` are not one item, [`WriteError::TextComplete`], and those of the sink.
    pub fn raw(&mut self, octets: &[u8]) -> Result<(), WriteError> {
        let mut reader = Reader::new(octets);
        reader.skip().and_then(|()| reader.finish()).map_err(WriteError::NoItem)?;
        self.whole(octets)
    }

    /// An item that is no list: `front` and `octets` behind its header.
    pub(super) fn octets(&mut self, format: Format, front: &[u8], octets: &[u8]) -> Result<(), WriteError> {
        self.begin(format, front.len().saturating_add(octets.len()))?;
        if !front.is_empty() {
            self.put(front)?;
        }
        self.put(octets)?;
        self.count();
        Ok(())
    }

    /// An item of `length` octets, which `fill` puts into a buffer portion by portion, telling how many each time. Once for
    /// all types: flash is dear.
    #[inline(never)]
    fn portions(
        &mut self,
        format: Format,
        length: usize,
        fill: &mut dyn FnMut(&mut [u8; PORTION]) -> usize,
    ) -> Result<(), WriteError> {
        self.begin(format, length)?;
        let mut buffer = [0; PORTION];
        let mut left = length;
        while left > 0 {
            let len = fill(&mut buffer);
            // None were left to fill in: that the length is theirs was worked out from the same values.
            if len == 0 {
                break;
            }
            self.put(buffer.get(..len).unwrap_or_default())?;
            left = left.saturating_sub(len);
        }
        self.count();
        Ok(())
    }

    /// The header of an item of this length, with room for all of it; behind the header of a list nothing is sure yet.
    fn begin(&mut self, format: Format, length: usize) -> Result<(), WriteError> {
        let header = header(format, length)?.encode();
        let behind = if matches!(format, Format::List) { 0 } else { length };
        self.reserve(behind.saturating_add(header.len()))?;
        self.put(&header)
    }

    /// A whole item, as it lies in `octets`.
    fn whole(&mut self, octets: &[u8]) -> Result<(), WriteError> {
        self.reserve(octets.len())?;
        self.put(octets)?;
        self.count();
        Ok(())
    }

    fn put(&mut self, octets: &[u8]) -> Result<(), WriteError> {
        let put = self.sink.put(octets);
        self.broken |= put.is_err();
        put
    }

    /// Makes sure that an item of `octets` octets has a place and room.
    fn reserve(&mut self, octets: usize) -> Result<(), WriteError> {
        if self.broken {
            return Err(WriteError::Refused);
        }
        match self.lists.last() {
            _ if self.due > 0 => {}
            Some(list) if list.count < super::MAX_LENGTH => {}
            Some(_) => return Err(WriteError::TooLong { length: TOO_MANY }),
            None => return Err(WriteError::TextComplete),
        }
        self.sink.reserve(octets)
    }

    /// An item has been written in its place: in a list of known count, or alone in the text, or else in a list of unknown count.
    #[inline]
    fn count(&mut self) {
        match (self.due.checked_sub(1), self.lists.last_mut()) {
            (Some(due), _) => self.due = due,
            (None, Some(list)) => list.count = list.count.saturating_add(1),
            (None, None) => {}
        }
    }
}

/// Lists whose count is not known when they begin, in a sink that can be patched.
impl<S: Patch, const OPEN: usize> Writer<S, OPEN> {
    /// Begins a list whose elements are counted as they are written, up to [`end_list`](Self::end_list).
    ///
    /// Its header always has three length octets, which is legal for any count: nothing has to be moved when the count is
    /// known.
    ///
    /// # Errors
    /// [`WriteError::TooDeep`] where `OPEN` such lists are open, [`WriteError::TextComplete`], and those of the sink.
    ///
    /// ```
    /// use hsms_core::secs2::{Slice, WriteError, Writer};
    ///
    /// let mut octets = [0; 16];
    /// let mut text = Writer::new(Slice::new(&mut octets));
    /// text.begin_list()?;
    /// for value in [1, 2] {
    ///     text.u1(value)?;
    /// }
    /// text.end_list()?;
    /// assert_eq!(text.finish()?.written(), [3, 0, 0, 2, 0xa5, 1, 1, 0xa5, 1, 2]);
    /// # Ok::<(), WriteError>(())
    /// ```
    pub fn begin_list(&mut self) -> Result<(), WriteError> {
        if self.lists.is_full() {
            return Err(WriteError::TooDeep { limit: OPEN });
        }
        let at = self.sink.position();
        let header = header(Format::List, 0)?.encode_longest();
        self.reserve(header.len())?;
        self.put(&header)?;
        self.count();
        let list = Open { at, count: 0, due_around: self.due };
        self.due = 0;
        self.lists.push(list).map_err(|_| WriteError::TooDeep { limit: OPEN })
    }

    /// Ends the list that was begun last.
    ///
    /// # Errors
    /// [`WriteError::NoListOpen`], and [`WriteError::ElementsMissing`] where a list of known count in it lacks elements.
    pub fn end_list(&mut self) -> Result<(), WriteError> {
        let Open { at, count, due_around } = *self.lists.last().ok_or(WriteError::NoListOpen)?;
        if self.due > 0 {
            return Err(WriteError::ElementsMissing { missing: self.due });
        }
        self.sink.patch(at, &ItemHeader::parsed(Format::List, count).encode_longest());
        self.due = due_around;
        self.lists.pop();
        Ok(())
    }
}

/// Octets of the buffer in which values are turned round.
const PORTION: usize = 256;

/// An element more than the longest list has.
const TOO_MANY: usize = 0x0100_0000;

#[inline]
fn header(format: Format, length: usize) -> Result<ItemHeader, WriteError> {
    u32::try_from(length).ok().and_then(|length| ItemHeader::new(format, length)).ok_or(WriteError::TooLong { length })
}

/// One value, by the names of the standard.
macro_rules! one_value {
    ($($name:ident $type:ty, $what:literal;)+) => {
        impl<S: Sink, const OPEN: usize> Writer<S, OPEN> {$(
            #[doc = concat!("An item of one ", $what, ".")]
            ///
            /// # Errors
            /// Those of [`value`](Self::value).
            #[inline]
            pub fn $name(&mut self, value: $type) -> Result<(), WriteError> {
                self.value(value)
            }
        )+}
    };
}

one_value! {
    u1 u8, "U1";
    u2 u16, "U2";
    u4 u32, "U4";
    u8 u64, "U8";
    i1 i8, "I1";
    i2 i16, "I2";
    i4 i32, "I4";
    i8 i64, "I8";
    f4 f32, "F4";
    f8 f64, "F8";
    boolean bool, "BOOLEAN";
}
