//! Rust types as items, through serde (features `serde` and `alloc`).
//!
//! | Rust | written as | read from |
//! |---|---|---|
//! | `bool` | BOOLEAN of one value | the same |
//! | `u8` to `u64`, `i8` to `i64` | U1 to U8, I1 to I8 of one value | any of these formats, and B of one octet, where the value fits |
//! | `f32`, `f64` | F4, F8 of one value | F4, F8, and integers |
//! | `&str`, `String`, `char` | A; beyond ASCII is an error | A, and C2 in UTF-8 or ASCII |
//! | bytes, and what [`mod@binary`] is put on | B | B, A, J, C2 without its encoding, U1 |
//! | `struct`, tuple | L of the fields, in order; names are not kept | L with as many elements |
//! | `Vec`, slice | L of the elements | L; an item of several values; B as single octets |
//! | what [`mod@array`] is put on | one item of several values | the same as `Vec` |
//! | map | L of L of key and value | the same |
//! | `Option` | an empty list for `None`, the value alone for `Some` | `None` from any item of length 0 |
//! | `()`, unit struct | an empty list | the same |
//! | newtype struct | what is in it | the same |
//! | [`Tree`](super::Tree) | the item that it is | any item |
//! | `enum` | A with the variant's name; with content L of that and the content | the same, and an integer for the variant's number |
//!
//! 128-bit integers, and sequences that do not know their length, are errors. Elements that a type does not read have to be
//! ignored by it (`serde::de::IgnoredAny`), as a list of another length is an error.
//!
//! ```
//! use hsms_core::secs2::{Sml, serde::{array, from_text, to_text}};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct Trace {
//!     id: u32,
//!     recipe: String,
//!     #[serde(with = "array")]
//!     pressures: Vec<f32>,
//! }
//!
//! let trace = Trace { id: 7, recipe: "ETCH".into(), pressures: vec![0.5, 1.5] };
//! let text = to_text(&trace)?;
//! assert_eq!(Sml::new(&text).to_string(), r#"<L [3] <U4 7> <A "ETCH"> <F4 0.5 1.5>>"#);
//! assert_eq!(from_text::<Trace>(&text)?, trace);
//!
//! let error = from_text::<Trace>(b"\x01\x03\xa5\x01\x07\xa5\x01\x07\x91\x00").unwrap_err();
//! assert_eq!(error.to_string(), "recipe: at offset 5: invalid type: integer `7`, expected a string");
//! # Ok::<(), hsms_core::secs2::serde::SerdeError>(())
//! ```

mod de;
mod ser;
mod tree;

use super::{Error, Format, Reader, Sink, WriteError, Writer};
use ::serde::{Deserialize, Serialize};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// Reads a whole text as a `T`. Strings and bytes can be borrowed from it.
///
/// # Errors
/// Of a malformed text, of one that is no `T`, and of trailing octets.
pub fn from_text<'de, T: Deserialize<'de>>(text: &'de [u8]) -> Result<T, SerdeError> {
    let mut reader = Reader::new(text);
    let value = from_reader(&mut reader)?;
    reader.finish().map_err(Cause::Read)?;
    Ok(value)
}

/// Reads the item in front of `reader` as a `T`. Where that fails the reader stands somewhere in the item.
///
/// # Errors
/// Of a malformed text, and of one that is no `T`.
pub fn from_reader<'de, T: Deserialize<'de>>(reader: &mut Reader<'de>) -> Result<T, SerdeError> {
    T::deserialize(de::Deserializer::new(reader))
}

/// A whole text of `value`.
///
/// # Errors
/// Where `value` has no item, or no memory is to be had.
pub fn to_text<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, SerdeError> {
    let mut text = Writer::new(Vec::new());
    write(&mut text, value)?;
    Ok(text.finish().map_err(Cause::Write)?)
}

/// Writes `value` as the next item. Where that fails, parts of it may have been written.
///
/// # Errors
/// Where `value` has no item, and those of the writer.
pub fn write<T, S, const OPEN: usize>(text: &mut Writer<S, OPEN>, value: &T) -> Result<(), SerdeError>
where
    T: Serialize + ?Sized,
    S: Sink,
{
    value.serialize(ser::Serializer { text })
}

/// For `#[serde(with = "…")]`: numbers or truth values as one item instead of a list.
pub mod array {
    use super::super::Value;
    use ::serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes one item of all values; other serializers get a sequence.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<V, T, S>(values: &V, serializer: S) -> Result<S::Ok, S::Error>
    where
        V: AsRef<[T]>,
        T: Value + Serialize,
        S: Serializer,
    {
        serializer.serialize_newtype_struct(super::array_name(T::FORMAT), values.as_ref())
    }

    /// Reads what a sequence can be read from.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, V: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<V, D::Error> {
        V::deserialize(deserializer)
    }
}

/// For `#[serde(with = "…")]`: octets as a binary item instead of a list.
pub mod binary {
    use ::serde::{Deserialize, Deserializer, Serializer};

    /// Writes bytes.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<V: AsRef<[u8]>, S: Serializer>(octets: &V, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(octets.as_ref())
    }

    /// Reads what the type can be read from, a sequence for `Vec<u8>`.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, V: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<V, D::Error> {
        V::deserialize(deserializer)
    }
}

/// Why a value could not be read or written, and which: field names and element numbers, from the outside in.
///
/// Prints as `reports[2].id: at offset 17: …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerdeError {
    inner: Box<Inner>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    /// The innermost first.
    path: Vec<Segment>,
    cause: Cause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segment {
    Field(&'static str),
    Element(usize),
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The text is malformed, or no list of the expected number of elements.
    Read(Error),
    /// The writer refused.
    Write(WriteError),
    /// Items have nothing for this.
    NoItemFor(&'static str),
    /// The type refused what the text has.
    Refused {
        /// Offset of the item in the text; unknown where a type refuses to be written.
        offset: Option<usize>,
        /// The type's words.
        message: String,
    },
}

impl SerdeError {
    /// What is wrong.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        &self.inner.cause
    }

    /// Of which value: `reports[2].id`; empty for the whole.
    #[must_use]
    pub fn path(&self) -> String {
        Path(&self.inner.path).to_string()
    }

    fn inside(mut self, segment: Segment) -> Self {
        self.inner.path.push(segment);
        self
    }

    /// The type refused an item at this offset, unless it is known better.
    fn at(mut self, at: usize) -> Self {
        if let Cause::Refused { offset, .. } = &mut self.inner.cause {
            offset.get_or_insert(at);
        }
        self
    }
}

impl From<Cause> for SerdeError {
    fn from(cause: Cause) -> Self {
        SerdeError { inner: Box::new(Inner { path: Vec::new(), cause }) }
    }
}

struct Path<'p>(&'p [Segment]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for segment in self.0.iter().rev() {
            match segment {
                Segment::Field(name) => write!(f, "{separator}{name}")?,
                Segment::Element(number) => write!(f, "[{number}]")?,
            }
            separator = ".";
        }
        Ok(())
    }
}

impl fmt::Display for SerdeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.inner.path.is_empty() {
            write!(f, "{}: ", Path(&self.inner.path))?;
        }
        match &self.inner.cause {
            Cause::Read(error) => error.fmt(f),
            Cause::Write(error) => error.fmt(f),
            Cause::NoItemFor(what) => write!(f, "there is no item for {what}"),
            Cause::Refused { offset: Some(offset), message } => write!(f, "at offset {offset}: {message}"),
            Cause::Refused { offset: None, message } => f.write_str(message),
        }
    }
}

impl core::error::Error for SerdeError {}

#[cfg(feature = "defmt")]
impl defmt::Format for SerdeError {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", defmt::Display2Format(self));
    }
}

impl ::serde::ser::Error for SerdeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Cause::Refused { offset: None, message: message.to_string() }.into()
    }
}

impl ::serde::de::Error for SerdeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        ::serde::ser::Error::custom(message)
    }
}

/// By this name of a newtype struct the serializer knows [`mod@array`].
const fn array_name(format: Format) -> &'static str {
    match format {
        Format::Boolean => "hsms_core::secs2::BOOLEAN",
        Format::I1 => "hsms_core::secs2::I1",
        Format::I2 => "hsms_core::secs2::I2",
        Format::I4 => "hsms_core::secs2::I4",
        Format::I8 => "hsms_core::secs2::I8",
        Format::U1 => "hsms_core::secs2::U1",
        Format::U2 => "hsms_core::secs2::U2",
        Format::U4 => "hsms_core::secs2::U4",
        Format::U8 => "hsms_core::secs2::U8",
        Format::F4 => "hsms_core::secs2::F4",
        Format::F8 => "hsms_core::secs2::F8",
        // Not the formats of a `Value`.
        Format::List | Format::Binary | Format::Ascii | Format::Jis8 | Format::Localized => "",
    }
}
