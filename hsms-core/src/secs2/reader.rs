//! A cursor over a text.

use super::item::{not_ascii, text};
use super::{Error, ErrorKind, Format, Item, ItemHeader, Localized, Value, Values, parse};

/// Reads a text item by item, where it lies.
///
/// Each method takes the item in front and stands behind it afterwards; one that fails leaves the reader where it was. The
/// elements of a list are read after the list, one by one, and need no closing. Lists nest without limit here: there is no
/// stack. Each call takes constant time, but for those that say otherwise.
///
/// ```
/// use hsms_core::secs2::{ErrorKind, Format, Reader};
///
/// // <L [2] <A "ABC"> <L [2] <U4 1> <U4 2>>>
/// let text = b"\x01\x02\x41\x03ABC\x01\x02\xb1\x04\0\0\0\x01\xb1\x04\0\0\0\x02";
/// let mut reader = Reader::new(text);
/// reader.list_of(2)?;
/// assert_eq!(reader.ascii()?, "ABC");
/// let mut sum = 0;
/// for _ in 0..reader.list()? {
///     sum += reader.u4()?;
/// }
/// reader.finish()?;
/// assert_eq!(sum, 3);
///
/// let error = Reader::new(text).u4().unwrap_err();
/// assert_eq!(error.to_string(), "at offset 0: U4 was expected and L is there");
/// # Ok::<(), hsms_core::secs2::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// Offset of the octet behind `rest`.
    end: usize,
}

/// What an item takes at least: a format octet and a length octet.
pub(super) const LEAST: usize = 2;

impl<'a> Reader<'a> {
    /// A reader at the front of `text`.
    #[must_use]
    #[inline]
    pub const fn new(text: &'a [u8]) -> Self {
        Reader { rest: text, end: text.len() }
    }

    /// Whether no octet is left: right after [`new`](Self::new), whether the message is header-only. A text that is an
    /// empty list is not empty.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Offset in the text of the item in front.
    #[must_use]
    #[inline]
    pub const fn position(&self) -> usize {
        self.end.wrapping_sub(self.rest.len())
    }

    /// The octets that are left.
    #[must_use]
    #[inline]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Ends reading.
    ///
    /// # Errors
    /// [`ErrorKind::Trailing`] where octets are left.
    #[inline]
    pub const fn finish(self) -> Result<(), Error> {
        match self.rest.len() {
            0 => Ok(()),
            octets => Err(Error { offset: self.position(), kind: ErrorKind::Trailing { octets } }),
        }
    }

    /// Format and length of the item in front, which stays there.
    ///
    /// # Errors
    /// Those of [`ItemHeader::parse`], at the item's offset.
    #[inline]
    pub fn peek(&self) -> Result<ItemHeader, Error> {
        match parse::header(self.rest) {
            Ok((header, _)) => Ok(header),
            Err(kind) => Err(self.here(kind)),
        }
    }

    /// Takes the header of a list; gives the number of its elements, which come next.
    ///
    /// The number is never above half of the octets that are left, so memory can be reserved for it.
    ///
    /// # Errors
    /// Those of [`peek`](Self::peek), [`ErrorKind::OtherFormat`], and [`ErrorKind::Truncated`] where so many elements cannot
    /// be in what is left.
    #[inline]
    pub fn list(&mut self) -> Result<usize, Error> {
        match self.count() {
            Some(count) => Ok(count),
            None => Err(self.no_values(Format::List)),
        }
    }

    /// Takes the header of a list of `count` elements.
    ///
    /// # Errors
    /// Those of [`list`](Self::list), and [`ErrorKind::OtherCount`].
    #[inline]
    pub fn list_of(&mut self, count: usize) -> Result<(), Error> {
        let before = self.rest;
        if self.count() == Some(count) {
            return Ok(());
        }
        self.rest = before;
        Err(self.no_item(Some(Format::List), count))
    }

    /// Takes an item of exactly one value. [`u4`](Self::u4) and its like are the same by the standard's names.
    ///
    /// # Errors
    /// Those of [`values`](Self::values), and [`ErrorKind::OtherCount`].
    #[inline]
    pub fn value<T: Value>(&mut self) -> Result<T, Error> {
        match T::alone(self) {
            Some(value) => Ok(value),
            None => Err(self.no_values(T::FORMAT)),
        }
    }

    /// Takes an item of any number of values.
    ///
    /// # Errors
    /// Those of [`peek`](Self::peek), [`ErrorKind::OtherFormat`], [`ErrorKind::Truncated`], [`ErrorKind::PartOfValue`].
    #[inline]
    pub fn values<T: Value>(&mut self) -> Result<Values<'a, T>, Error> {
        match self.array(T::FORMAT) {
            Some(octets) => Ok(Values::whole(octets)),
            None => Err(self.no_values(T::FORMAT)),
        }
    }

    /// Takes an ASCII item. Linear in its length.
    ///
    /// # Errors
    /// Those of [`ascii_octets`](Self::ascii_octets), and [`ErrorKind::NotAscii`] at the octet that is none.
    #[inline]
    pub fn ascii(&mut self) -> Result<&'a str, Error> {
        let before = self.rest;
        let Some(octets) = self.array(Format::Ascii) else { return Err(self.no_values(Format::Ascii)) };
        match text(octets) {
            Ok(text) => Ok(text),
            Err(at) => {
                let Error { offset, kind } = not_ascii(octets, at);
                // All of them lie in the text.
                let first = self.position().wrapping_sub(octets.len());
                self.rest = before;
                Err(Error { offset: first.wrapping_add(offset), kind })
            }
        }
    }

    /// Takes an ASCII item without a look at what its octets are.
    ///
    /// # Errors
    /// Those of [`peek`](Self::peek), [`ErrorKind::OtherFormat`], [`ErrorKind::Truncated`].
    #[inline]
    pub fn ascii_octets(&mut self) -> Result<&'a [u8], Error> {
        self.octets(Format::Ascii)
    }

    /// Takes a binary item.
    ///
    /// # Errors
    /// Those of [`ascii_octets`](Self::ascii_octets).
    #[inline]
    pub fn binary(&mut self) -> Result<&'a [u8], Error> {
        self.octets(Format::Binary)
    }

    /// Takes a JIS-8 item.
    ///
    /// # Errors
    /// Those of [`ascii_octets`](Self::ascii_octets).
    #[inline]
    pub fn jis8(&mut self) -> Result<&'a [u8], Error> {
        self.octets(Format::Jis8)
    }

    /// Takes a localized text.
    ///
    /// # Errors
    /// Those of [`ascii_octets`](Self::ascii_octets), and [`ErrorKind::NoEncoding`].
    #[inline]
    pub fn localized(&mut self) -> Result<Localized<'a>, Error> {
        match self.array(Format::Localized).and_then(Localized::new) {
            Some(localized) => Ok(localized),
            None => Err(self.no_values(Format::Localized)),
        }
    }

    /// Takes an item of any format. Of a list this is its header, as with [`list`](Self::list): the elements come next.
    ///
    /// # Errors
    /// Those of [`peek`](Self::peek), [`ErrorKind::Truncated`], [`ErrorKind::PartOfValue`], [`ErrorKind::NoEncoding`].
    #[inline]
    pub fn item(&mut self) -> Result<Item<'a>, Error> {
        self.parsed_item(true)
    }

    /// Takes a whole item with all its elements, and looks at none of its values. Linear in the number of items; no stack.
    ///
    /// # Errors
    /// Of the first item that is wrong, at its offset: those of [`peek`](Self::peek), [`ErrorKind::Truncated`],
    /// [`ErrorKind::PartOfValue`], [`ErrorKind::NoEncoding`].
    pub fn skip(&mut self) -> Result<(), Error> {
        match self.raw() {
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes a whole item with all its elements, as octets. Linear in the number of items.
    ///
    /// # Errors
    /// Those of [`skip`](Self::skip).
    pub fn raw(&mut self) -> Result<&'a [u8], Error> {
        let before = self.rest;
        match self.whole() {
            Some(octets) => Ok(octets),
            None => {
                let error = self.no_item(None, 1);
                self.rest = before;
                Err(error)
            }
        }
    }

    /// Takes a whole list; gives its elements, each to be read by a reader of its own. Linear in the number of items, and
    /// the iteration over the elements once more.
    ///
    /// Elements that are lists can be taken apart the same way, and each level costs as much again: where a text is to be
    /// read to its depth, [`list`](Self::list) and [`Walk`](super::Walk) pass over it once.
    ///
    /// # Errors
    /// Those of [`list`](Self::list) and of [`skip`](Self::skip).
    ///
    /// ```
    /// use hsms_core::secs2::Reader;
    ///
    /// let text = b"\x01\x02\x41\x03ABC\x01\x01\xa5\x01\x07";
    /// let mut elements = Reader::new(text).elements()?;
    /// let (Some(mut name), Some(mut inner), None) = (elements.next(), elements.next(), elements.next()) else {
    ///     return Err("two elements were expected".into());
    /// };
    /// assert_eq!(name.ascii()?, "ABC");
    /// assert_eq!((inner.position(), inner.list()?, inner.u1()?), (7, 1, 7));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn elements(&mut self) -> Result<Elements<'a>, Error> {
        let mut inside = self.clone();
        let Some(left) = inside.parsed_count(Some(Format::List)) else { return Err(self.no_values(Format::List)) };
        match self.skip() {
            Ok(()) => {
                let whole = inside.rest.len().saturating_sub(self.rest.len());
                Ok(Elements { reader: self.behind(inside.rest.get(..whole).unwrap_or_default()), left })
            }
            Err(error) => Err(error),
        }
    }

    /// A reader of these octets, which are those in front of this one.
    const fn behind(&self, taken: &'a [u8]) -> Reader<'a> {
        Reader { rest: taken, end: self.position() }
    }

    /// As [`parsed_item`](Self::parsed_item), and short of the parser where an item has one length octet.
    #[inline(always)]
    pub(super) fn next_item(&mut self) -> Result<Item<'a>, Error> {
        if parse::SHORT_CUTS
            && let Some((item, rest)) = Item::short(self.rest)
        {
            self.rest = rest;
            return Ok(item);
        }
        self.parsed_item(false)
    }

    /// As [`item`](Self::item); whether the elements of a list can be there is looked at where it is `strict`. Once for all that read
    /// items: flash is dear.
    #[inline(never)]
    fn parsed_item(&mut self, strict: bool) -> Result<Item<'a>, Error> {
        match self.take(None, strict) {
            Ok((header, octets)) => Ok(Item::new(header, octets)),
            Err(error) => Err(error),
        }
    }

    /// Takes the header of a list, if there is one.
    #[inline]
    fn count(&mut self) -> Option<usize> {
        if let [LIST, count, rest @ ..] = self.rest {
            let count = usize::from(*count);
            // No number of one octet overflows.
            if rest.len() >= count.wrapping_mul(LEAST) {
                self.rest = rest;
                return Some(count);
            }
        }
        self.parsed_count(Some(Format::List))
    }

    /// Takes a whole item with all its elements, as octets. Where there is none, it stands in front of what is wrong.
    fn whole(&mut self) -> Option<&'a [u8]> {
        let before = self.rest;
        // Never above half of the octets that are left, thanks to the check in `pass`, and one more for each list.
        let mut due = 1_usize;
        while let Some(left) = due.checked_sub(1) {
            due = left.saturating_add(self.pass()?);
        }
        before.get(..before.len().saturating_sub(self.rest.len()))
    }

    /// As [`item`](Self::item), but of the item gives only how many elements come next. [`no_item`](Self::no_item) tells why there is none.
    pub(super) fn pass(&mut self) -> Option<usize> {
        if parse::SHORT_CUTS
            && let Some((header, octets, rest)) = parse::short(self.rest)
            && header.format().is_whole(octets.len())
        {
            let count = if header.format() == Format::List { header.size() } else { 0 };
            if rest.len() >= count.wrapping_mul(LEAST) {
                self.rest = rest;
                return Some(count);
            }
        }
        self.parsed_count(None)
    }

    /// The same whatever the header looks like; of the `expected` format, if there is one.
    #[cold]
    #[inline(never)]
    fn parsed_count(&mut self, expected: Option<Format>) -> Option<usize> {
        let (header, _) = self.take(expected, true).ok()?;
        Some(if header.format() == Format::List { header.size() } else { 0 })
    }

    /// Takes the item in front, of the `expected` format if there is one: its header, and the octets of its values, none of a
    /// list. Where it is `strict`, a list must have octets enough behind it for its elements. Whatever is wrong is found here, for all
    /// that read.
    fn take(&mut self, expected: Option<Format>, strict: bool) -> Result<(ItemHeader, &'a [u8]), Error> {
        let (header, behind) = match parse::header(self.rest) {
            Ok(taken) => taken,
            Err(kind) => return Err(self.here(kind)),
        };
        let (format, length) = (header.format(), header.length());
        // That another format is there tells more than that it is truncated.
        if let Some(expected) = expected
            && format != expected
        {
            return Err(self.here(ErrorKind::OtherFormat { expected, found: format }));
        }
        let (len, needed) = match format {
            Format::List if strict => (0, header.size().saturating_mul(LEAST)),
            Format::List => (0, 0),
            _ => (header.size(), header.size()),
        };
        let missing = needed.saturating_sub(behind.len());
        let Some((octets, rest)) = behind.split_at_checked(len).filter(|_| missing == 0) else {
            return Err(self.here(ErrorKind::Truncated { missing }));
        };
        if !format.is_whole(len) {
            return Err(self.here(match format {
                Format::Localized => ErrorKind::NoEncoding { length },
                _ => ErrorKind::PartOfValue { format, length },
            }));
        }
        self.rest = rest;
        Ok((header, octets))
    }

    /// What is wrong with a list of `count` elements whose header was taken last, if anything.
    #[inline]
    pub(super) fn too_many(&self, count: usize) -> Option<ErrorKind> {
        let missing = count.saturating_mul(LEAST).saturating_sub(self.rest.len());
        if missing > 0 { Some(ErrorKind::Truncated { missing }) } else { None }
    }

    /// Takes an item of `format`, which is no list; gives its octets, a localized text's with its encoding. Once for all formats: flash is
    /// dear.
    #[inline(never)]
    pub(super) fn octets(&mut self, format: Format) -> Result<&'a [u8], Error> {
        match self.array(format) {
            Some(octets) => Ok(octets),
            None => Err(self.no_values(format)),
        }
    }

    /// Takes an item of values of `format`. Why there is none is found out by [`no_values`](Self::no_values), which looks again: so the
    /// methods for the many types of values take octets and hand an error on in little flash.
    #[inline(never)]
    fn array(&mut self, format: Format) -> Option<&'a [u8]> {
        // What most texts have, short of the parser.
        if let Some(([first, length], behind)) = self.rest.split_first_chunk()
            && *first == format.code() << 2 | 1
            && let Some((octets, rest)) = behind.split_at_checked(usize::from(*length))
            && format.is_whole(octets.len())
        {
            self.rest = rest;
            return Some(octets);
        }
        match self.take(Some(format), true) {
            Ok((_, octets)) => Some(octets),
            Err(_) => None,
        }
    }

    /// Takes an item of one value of `format`; gives its octets, or none where there is no such item. Why is found out by
    /// [`no_values`](Self::no_values) as well. It knows the type of the value by its format alone, so that there is one of it.
    pub(super) fn alone(&mut self, format: Format) -> &'a [u8] {
        let len = format.value_len();
        if let Some((item, rest)) = self.rest.split_at_checked(len.wrapping_add(LEAST))
            && let [first, length, value @ ..] = item
            // Both compared at once.
            && [*first, *length] == [format.code() << 2 | 1, octet(len)]
        {
            self.rest = rest;
            return value;
        }
        self.any_alone(format)
    }

    /// The same whatever the header looks like.
    #[cold]
    #[inline(never)]
    fn any_alone(&mut self, format: Format) -> &'a [u8] {
        let before = self.rest;
        match self.array(format) {
            Some(octets) if octets.len() == format.value_len() => octets,
            _ => {
                self.rest = before;
                &[]
            }
        }
    }

    /// Why there are no values of this format here, or not one.
    #[cold]
    #[inline(never)]
    fn no_values(&self, format: Format) -> Error {
        self.no_item(Some(format), 1)
    }

    /// Why there is no item here, of the `expected` format if there is one, or not of so many values or elements.
    #[cold]
    #[inline(never)]
    pub(super) fn no_item(&self, expected: Option<Format>, count: usize) -> Error {
        match self.clone().take(expected, true) {
            Ok((header, _)) => {
                let format = header.format();
                let found = header.size().checked_div(format.value_len()).unwrap_or_default();
                self.here(ErrorKind::OtherCount { format, expected: count, found })
            }
            Err(error) => error,
        }
    }

    #[cold]
    pub(super) const fn here(&self, kind: ErrorKind) -> Error {
        Error { offset: self.position(), kind }
    }
}

/// A number that fits one.
const fn octet(number: usize) -> u8 {
    let [low, ..] = number.to_le_bytes();
    low
}

/// Format octet of a list with one length octet.
const LIST: u8 = 0x01;

/// One value, by the names of the standard.
macro_rules! one_value {
    ($($name:ident $type:ty, $what:literal;)+) => {
        impl Reader<'_> {$(
            #[doc = concat!("Takes an item of exactly one ", $what, ": [`value`](Self::value) as `", stringify!($type), "`.")]
            ///
            /// # Errors
            /// Those of [`value`](Self::value).
            #[inline]
            pub fn $name(&mut self) -> Result<$type, Error> {
                self.value()
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

/// The elements of one list, each as a [`Reader`] over its octets alone. From [`Reader::elements`].
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    reader: Reader<'a>,
    left: usize,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Reader<'a>;

    fn next(&mut self) -> Option<Reader<'a>> {
        self.left = self.left.checked_sub(1)?;
        // All of them were looked at when the list was taken.
        let octets = self.reader.whole()?;
        Some(self.reader.behind(octets))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Elements<'_> {}

impl core::iter::FusedIterator for Elements<'_> {}
