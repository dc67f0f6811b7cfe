//! Texts, item by item.

use super::{Encoding, Format, Item, ItemHeader, Localized, Patch, Reader, Sink, Value, WriteError};
use crate::wire::copy;

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
    /// Items that lists of known count wait for, inside the innermost list of unknown count. Where they are more than a `usize` holds, they
    /// are more than any text of this machine has room for.
    due: usize,
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
    due_around: usize,
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
            (0, missing) => Err(elements_missing(missing)),
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
    pub fn list(&mut self, count: usize) -> Result<(), WriteError> {
        self.head(Format::List, count)
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
        self.turned(T::FORMAT, bytemuck::must_cast_slice(values))
    }

    /// An ASCII item.
    ///
    /// # Errors
    /// [`WriteError::NotAscii`], [`WriteError::TooLong`], [`WriteError::TextComplete`], and those of the sink.
    #[inline]
    pub fn ascii(&mut self, text: &str) -> Result<(), WriteError> {
        match super::item::text(text.as_bytes()) {
            Ok(text) => self.octets(text.as_bytes(), Format::Ascii),
            Err(at) => Err(WriteError::NotAscii { at }),
        }
    }

    /// An ASCII item of octets that are not looked at: beyond 127 their meaning is the receiver's affair.
    ///
    /// # Errors
    /// Those of [`binary`](Self::binary).
    #[inline]
    pub fn ascii_octets(&mut self, octets: &[u8]) -> Result<(), WriteError> {
        self.octets(octets, Format::Ascii)
    }

    /// A binary item.
    ///
    /// # Errors
    /// [`WriteError::TooLong`], [`WriteError::TextComplete`], and those of the sink.
    #[inline]
    pub fn binary(&mut self, octets: &[u8]) -> Result<(), WriteError> {
        self.octets(octets, Format::Binary)
    }

    /// A JIS-8 item.
    ///
    /// # Errors
    /// Those of [`binary`](Self::binary).
    #[inline]
    pub fn jis8(&mut self, octets: &[u8]) -> Result<(), WriteError> {
        self.octets(octets, Format::Jis8)
    }

    /// A localized text. Whether the octets are in that encoding is not looked at.
    ///
    /// # Errors
    /// Those of [`binary`](Self::binary).
    pub fn localized(&mut self, encoding: Encoding, octets: &[u8]) -> Result<(), WriteError> {
        let front = encoding.0.to_be_bytes();
        let mut written = self.head(Format::Localized, front.len().saturating_add(octets.len()));
        if written.is_ok() {
            written = self.put(&front);
        }
        if written.is_ok() {
            written = self.put(octets);
        }
        written
    }

    /// An item that was read; of a list its header, as with [`list`](Self::list).
    ///
    /// # Errors
    /// Those of [`binary`](Self::binary).
    pub fn item(&mut self, item: Item<'_>) -> Result<(), WriteError> {
        if let Item::List(count) = item {
            return self.list(count);
        }
        if let Item::Localized(Localized { encoding, octets }) = item {
            return self.localized(encoding, octets);
        }
        self.octets(item.octets(), item.format())
    }

    /// A whole item with all its elements, encoded already, as [`Reader::raw`] gives it. Linear in its items.
    ///
    /// # Errors
    /// [`WriteError::NoItem`] where `octets` are not one item, [`WriteError::TextComplete`], and those of the sink.
    pub fn raw(&mut self, octets: &[u8]) -> Result<(), WriteError> {
        let mut reader = Reader::new(octets);
        let mut read = reader.skip();
        if read.is_ok() {
            read = reader.finish();
        }
        match read {
            Ok(()) => self.whole(octets),
            Err(error) => Err(WriteError::NoItem(error)),
        }
    }

    /// An item of `format`, no list, of these octets; those of a localized text begin with its encoding.
    pub(super) fn octets(&mut self, octets: &[u8], format: Format) -> Result<(), WriteError> {
        let mut written = self.head(format, octets.len());
        if written.is_ok() {
            written = self.put(octets);
        }
        written
    }

    /// An item of values, whose octets come in the machine's order. Once for all types: flash is dear.
    #[inline(never)]
    fn turned(&mut self, format: Format, values: &[u8]) -> Result<(), WriteError> {
        let mut written = self.head(format, values.len());
        let mut buffer = [0; PORTION];
        for values in values.chunks(PORTION) {
            if written.is_err() {
                break;
            }
            let portion = buffer.get_mut(..values.len()).unwrap_or_default();
            match format.value_len() {
                2 => turn(values, portion, |value| u16::from_ne_bytes(value).to_be_bytes()),
                4 => turn(values, portion, |value| u32::from_ne_bytes(value).to_be_bytes()),
                8 => turn(values, portion, |value| u64::from_ne_bytes(value).to_be_bytes()),
                _ => copy(portion, values),
            }
            written = self.put(portion);
        }
        written
    }

    /// The header of an item of this length, with room for all of it; behind the header of a list nothing is sure yet.
    fn head(&mut self, format: Format, length: usize) -> Result<(), WriteError> {
        let Some(header) = u32::try_from(length).ok().and_then(|length| ItemHeader::new(format, length)) else {
            return Err(WriteError::TooLong { length });
        };
        let header = header.encode();
        let (elements, octets) = if format == Format::List { (length, 0) } else { (0, length) };
        let mut written = self.place(header.len().saturating_add(octets));
        if written.is_ok() {
            self.due = self.due.saturating_add(elements);
            written = self.put(&header);
        }
        written
    }

    /// A whole item, as it lies in `octets`, or the header of a list.
    fn whole(&mut self, octets: &[u8]) -> Result<(), WriteError> {
        let mut written = self.place(octets.len());
        if written.is_ok() {
            written = self.put(octets);
        }
        written
    }

    fn put(&mut self, octets: &[u8]) -> Result<(), WriteError> {
        let put = self.sink.put(octets);
        if put.is_err() {
            self.broken = true;
        }
        put
    }

    /// Makes sure that an item of `octets` octets has a place and room, and counts it: in a list of known count, or alone in the
    /// text, or else in a list of unknown count. All that can go wrong behind is that the sink refuses, and then the text is broken off.
    fn place(&mut self, octets: usize) -> Result<(), WriteError> {
        if self.broken {
            return Err(WriteError::Refused);
        }
        let mut in_no_list = 0;
        let count = match self.lists.last_mut() {
            _ if self.due > 0 => &mut in_no_list,
            Some(list) if list.count < super::MAX_LENGTH => &mut list.count,
            Some(_) => return Err(WriteError::TooLong { length: TOO_MANY }),
            None => return Err(WriteError::TextComplete),
        };
        let reserved = self.sink.reserve(octets);
        if reserved.is_ok() {
            *count = count.wrapping_add(1);
            self.due = self.due.saturating_sub(1);
        }
        reserved
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
        let written = self.whole(&ItemHeader::parsed(Format::List, 0).encode_longest());
        if written.is_ok() {
            let list = Open { at, count: 0, due_around: self.due };
            // There is room for it.
            if self.lists.push(list).is_ok() {
                self.due = 0;
            }
        }
        written
    }

    /// Ends the list that was begun last.
    ///
    /// # Errors
    /// [`WriteError::NoListOpen`], and [`WriteError::ElementsMissing`] where a list of known count in it lacks elements.
    pub fn end_list(&mut self) -> Result<(), WriteError> {
        let Open { at, count, due_around } = *self.lists.last().ok_or(WriteError::NoListOpen)?;
        if self.due > 0 {
            return Err(elements_missing(self.due));
        }
        self.sink.patch(at, &ItemHeader::parsed(Format::List, count).encode_longest());
        self.due = due_around;
        self.lists.pop();
        Ok(())
    }
}

/// Octets of the buffer in which values are turned round. It is on the stack of the deepest call of a writer.
const PORTION: usize = 64;

/// An element more than the longest list has.
const TOO_MANY: usize = 0x0100_0000;

/// Copies values of `N` octets.
#[inline]
fn turn<const N: usize>(from: &[u8], to: &mut [u8], turn: impl Fn([u8; N]) -> [u8; N]) {
    for (to, from) in to.as_chunks_mut().0.iter_mut().zip(from.as_chunks().0) {
        *to = turn(*from);
    }
}

#[inline]
fn elements_missing(missing: usize) -> WriteError {
    WriteError::ElementsMissing { missing: u64::try_from(missing).unwrap_or(u64::MAX) }
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
