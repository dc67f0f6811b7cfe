//! Items that own their values.

use super::{Encoding, Error, ErrorKind, Format, Item, Limits, Localized, Sink, Sml, Walk, WriteError, Writer};
use alloc::vec::Vec;
use core::fmt;

/// An item with its values, and a list with its elements, in memory of their own. Prints as SML.
///
/// Boolean values are false and true here: which octet stood for true is not kept, nor how many length octets an item had.
///
/// With feature `serde` it goes through any serde format, and stands for any item in a type that is read from items.
///
/// ```
/// use hsms_core::secs2::{Limits, Tree};
///
/// let text = b"\x01\x02\x41\x03ABC\xa9\x04\0\x01\0\x02";
/// let tree = Tree::read(text, Limits::NONE)?;
/// assert_eq!(tree, Tree::List(vec![Tree::ascii("ABC"), Tree::U2(vec![1, 2])]));
/// assert_eq!(tree.to_string(), r#"<L [2] <A "ABC"> <U2 1 2>>"#);
/// assert_eq!(tree.to_text()?, text);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    /// Elements.
    List(Vec<Tree>),
    /// Octets.
    Binary(Vec<u8>),
    /// False and true.
    Boolean(Vec<bool>),
    /// ASCII text; octets, as equipment is known to put other codes in.
    Ascii(Vec<u8>),
    /// JIS-8 text.
    Jis8(Vec<u8>),
    /// Text in an encoding that it names.
    Localized(Encoding, Vec<u8>),
    /// Signed integers of 8 octets.
    I8(Vec<i64>),
    /// Signed integers of 1 octet.
    I1(Vec<i8>),
    /// Signed integers of 2 octets.
    I2(Vec<i16>),
    /// Signed integers of 4 octets.
    I4(Vec<i32>),
    /// Floating-point numbers of 8 octets.
    F8(Vec<f64>),
    /// Floating-point numbers of 4 octets.
    F4(Vec<f32>),
    /// Unsigned integers of 8 octets.
    U8(Vec<u64>),
    /// Unsigned integers of 1 octet.
    U1(Vec<u8>),
    /// Unsigned integers of 2 octets.
    U2(Vec<u16>),
    /// Unsigned integers of 4 octets.
    U4(Vec<u32>),
}

/// Elements that memory is reserved for before they have been seen.
const BEFOREHAND: usize = 16;

impl Tree {
    /// An ASCII item. Whether the text is ASCII is looked at by who reads it.
    #[must_use]
    pub fn ascii(text: &str) -> Tree {
        Tree::Ascii(text.as_bytes().to_vec())
    }

    /// Reads a whole text within `limits`, and at most 32 lists deep. Time is linear in the text's octets; memory in
    /// the items that are there, whatever a list claims.
    ///
    /// # Errors
    /// Those of a [`Walk`], and [`ErrorKind::NoItem`] of a text without octets: a header-only message has no item.
    pub fn read(text: &[u8], limits: Limits) -> Result<Tree, Error> {
        let mut root = None;
        // Lists that lack elements, the outermost first, with the number of elements they will have.
        let mut open: Vec<(usize, Vec<Tree>)> = Vec::new();
        for step in Walk::<32>::with_limits(text, limits) {
            let mut whole = match step?.item {
                Item::List(count) if count > 0 => {
                    open.push((count, Vec::with_capacity(count.min(BEFOREHAND))));
                    continue;
                }
                item => values(item),
            };
            loop {
                let Some((count, mut elements)) = open.pop() else {
                    root = Some(whole);
                    break;
                };
                elements.push(whole);
                if elements.len() < count {
                    open.push((count, elements));
                    break;
                }
                whole = Tree::List(elements);
            }
        }
        root.ok_or(Error { offset: 0, kind: ErrorKind::NoItem })
    }

    /// Writes this item with all its elements.
    ///
    /// # Errors
    /// Those of [`Writer::item`].
    pub fn write<S: Sink, const OPEN: usize>(&self, text: &mut Writer<S, OPEN>) -> Result<(), WriteError> {
        let mut open = Vec::from([core::slice::from_ref(self).iter()]);
        while let Some(elements) = open.last_mut() {
            match elements.next() {
                Some(Tree::List(elements)) => {
                    text.list(elements.len())?;
                    open.push(elements.iter());
                }
                Some(item) => item.write_values(text)?,
                None => drop(open.pop()),
            }
        }
        Ok(())
    }

    /// The octets of this item with all its elements: a whole text.
    ///
    /// # Errors
    /// Those of [`write`](Self::write).
    pub fn to_text(&self) -> Result<Vec<u8>, WriteError> {
        let mut text = Writer::new(Vec::new());
        self.write(&mut text)?;
        text.finish()
    }

    /// What the item is.
    #[must_use]
    pub const fn format(&self) -> Format {
        match self {
            Tree::List(_) => Format::List,
            Tree::Binary(_) => Format::Binary,
            Tree::Boolean(_) => Format::Boolean,
            Tree::Ascii(_) => Format::Ascii,
            Tree::Jis8(_) => Format::Jis8,
            Tree::Localized(..) => Format::Localized,
            Tree::I8(_) => Format::I8,
            Tree::I1(_) => Format::I1,
            Tree::I2(_) => Format::I2,
            Tree::I4(_) => Format::I4,
            Tree::F8(_) => Format::F8,
            Tree::F4(_) => Format::F4,
            Tree::U8(_) => Format::U8,
            Tree::U1(_) => Format::U1,
            Tree::U2(_) => Format::U2,
            Tree::U4(_) => Format::U4,
        }
    }

    /// Elements of a list, values of a numeric or Boolean item, octets of any other; those that name an encoding not
    /// counted.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Tree::List(elements) => elements.len(),
            Tree::Binary(octets) | Tree::Ascii(octets) | Tree::Jis8(octets) | Tree::Localized(_, octets) => {
                octets.len()
            }
            Tree::Boolean(values) => values.len(),
            Tree::I8(values) => values.len(),
            Tree::I1(values) => values.len(),
            Tree::I2(values) => values.len(),
            Tree::I4(values) => values.len(),
            Tree::F8(values) => values.len(),
            Tree::F4(values) => values.len(),
            Tree::U8(values) => values.len(),
            Tree::U1(values) => values.len(),
            Tree::U2(values) => values.len(),
            Tree::U4(values) => values.len(),
        }
    }

    /// Whether [`len`](Self::len) is 0.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn write_values<S: Sink, const OPEN: usize>(&self, text: &mut Writer<S, OPEN>) -> Result<(), WriteError> {
        match self {
            Tree::List(elements) => text.list(elements.len()),
            Tree::Binary(octets) => text.binary(octets),
            Tree::Boolean(values) => text.values(values),
            Tree::Ascii(octets) => text.ascii_octets(octets),
            Tree::Jis8(octets) => text.jis8(octets),
            Tree::Localized(encoding, octets) => text.localized(*encoding, octets),
            Tree::I8(values) => text.values(values),
            Tree::I1(values) => text.values(values),
            Tree::I2(values) => text.values(values),
            Tree::I4(values) => text.values(values),
            Tree::F8(values) => text.values(values),
            Tree::F4(values) => text.values(values),
            Tree::U8(values) => text.values(values),
            Tree::U1(values) => text.values(values),
            Tree::U2(values) => text.values(values),
            Tree::U4(values) => text.values(values),
        }
    }
}

/// As [`Sml`] prints its text. An item that is too long to be written prints as an error.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_text() {
            Ok(text) => Sml::new(&text).fmt(f),
            Err(error) => write!(f, "/* {error} */"),
        }
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Tree {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", defmt::Display2Format(self));
    }
}

/// An item with its values; of a list no elements, which come later.
fn values(item: Item<'_>) -> Tree {
    match item {
        Item::List(_) => Tree::List(Vec::new()),
        Item::Binary(octets) => Tree::Binary(octets.to_vec()),
        Item::Boolean(values) => Tree::Boolean(values.iter().collect()),
        Item::Ascii(octets) => Tree::Ascii(octets.to_vec()),
        Item::Jis8(octets) => Tree::Jis8(octets.to_vec()),
        Item::Localized(Localized { encoding, octets }) => Tree::Localized(encoding, octets.to_vec()),
        Item::I8(values) => Tree::I8(values.iter().collect()),
        Item::I1(values) => Tree::I1(values.iter().collect()),
        Item::I2(values) => Tree::I2(values.iter().collect()),
        Item::I4(values) => Tree::I4(values.iter().collect()),
        Item::F8(values) => Tree::F8(values.iter().collect()),
        Item::F4(values) => Tree::F4(values.iter().collect()),
        Item::U8(values) => Tree::U8(values.iter().collect()),
        Item::U1(values) => Tree::U1(values.iter().collect()),
        Item::U2(values) => Tree::U2(values.iter().collect()),
        Item::U4(values) => Tree::U4(values.iter().collect()),
    }
}
