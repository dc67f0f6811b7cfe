//! [`Tree`] through serde: the item itself in a text of ours, a variant by the name of its format anywhere else.

use super::super::{Encoding, Tree};
use ::serde::de::{Error as _, SeqAccess, Unexpected, Visitor};
use ::serde::{Deserialize, Deserializer, Serialize, Serializer};
use alloc::vec::Vec;
use core::fmt;

/// By this name of an enum the serializer and the deserializer of this module know a [`Tree`]. It stands at [`Mirror`] again.
pub(super) const NAME: &str = "hsms_core::secs2::Tree";

/// In a text of SECS-II the item itself. In any other format a variant by the SML name of the item's format, with a sequence of its
/// elements or values: `{"L":[{"A":"ABC"},{"U2":[1,2]}]}` in JSON.
///
/// Of A and J the content is a string where it is ASCII, of C2 a pair of the encoding's number and the text, which is a string where it
/// is UTF-8 by that number, or ASCII; else these are sequences of octets. Formats that are not made to be read have octets
/// in the place of all texts and of B, those of C2 with the encoding in front. JSON has no infinity and no NaN.
impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = self.format().sml();
        macro_rules! variant {
            ($index:literal, $content:expr) => {
                serializer.serialize_newtype_variant(NAME, $index, name, $content)
            };
        }
        match self {
            Tree::List(elements) => variant!(0, elements),
            Tree::Binary(octets) => variant!(1, &Octets(octets)),
            Tree::Boolean(values) => variant!(2, values),
            Tree::Ascii(octets) => variant!(3, &Text(octets, Encoding::ISO_646)),
            Tree::Jis8(octets) => variant!(4, &Text(octets, Encoding::ISO_646)),
            Tree::Localized(encoding, octets) => variant!(5, &WithEncoding(*encoding, octets)),
            Tree::I8(values) => variant!(6, values),
            Tree::I1(values) => variant!(7, values),
            Tree::I2(values) => variant!(8, values),
            Tree::I4(values) => variant!(9, values),
            Tree::F8(values) => variant!(10, values),
            Tree::F4(values) => variant!(11, values),
            Tree::U8(values) => variant!(12, values),
            Tree::U1(values) => variant!(13, values),
            Tree::U2(values) => variant!(14, values),
            Tree::U4(values) => variant!(15, values),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tree, D::Error> {
        Ok(match Mirror::deserialize(deserializer)? {
            Mirror::L(elements) => Tree::List(elements),
            Mirror::B(owned) => Tree::Binary(owned.octets),
            Mirror::Boolean(values) => Tree::Boolean(values),
            Mirror::A(owned) => Tree::Ascii(owned.in_encoding(Encoding::ISO_646)?),
            Mirror::J(owned) => Tree::Jis8(owned.in_encoding(Encoding::ISO_646)?),
            Mirror::C2(OwnedWithEncoding(encoding, octets)) => Tree::Localized(encoding, octets),
            Mirror::I8(values) => Tree::I8(values),
            Mirror::I1(values) => Tree::I1(values),
            Mirror::I2(values) => Tree::I2(values),
            Mirror::I4(values) => Tree::I4(values),
            Mirror::F8(values) => Tree::F8(values),
            Mirror::F4(values) => Tree::F4(values),
            Mirror::U8(values) => Tree::U8(values),
            Mirror::U1(values) => Tree::U1(values),
            Mirror::U2(values) => Tree::U2(values),
            Mirror::U4(values) => Tree::U4(values),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename = "hsms_core::secs2::Tree")]
enum Mirror {
    L(Vec<Tree>),
    B(Owned<false>),
    #[serde(rename = "BOOLEAN")]
    Boolean(Vec<bool>),
    A(Owned<true>),
    J(Owned<true>),
    C2(OwnedWithEncoding),
    I8(Vec<i64>),
    I1(Vec<i8>),
    I2(Vec<i16>),
    I4(Vec<i32>),
    F8(Vec<f64>),
    F4(Vec<f32>),
    U8(Vec<u64>),
    U1(Vec<u8>),
    U2(Vec<u16>),
    U4(Vec<u32>),
}

struct Octets<'a>(&'a [u8]);

impl Serialize for Octets<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { self.0.serialize(serializer) } else { serializer.serialize_bytes(self.0) }
    }
}

struct Text<'a>(&'a [u8], Encoding);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Text(octets, encoding) = *self;
        match core::str::from_utf8(octets) {
            Ok(text) if serializer.is_human_readable() && (text.is_ascii() || encoding == Encoding::UTF_8) => {
                serializer.serialize_str(text)
            }
            _ => Octets(octets).serialize(serializer),
        }
    }
}

struct WithEncoding<'a>(Encoding, &'a [u8]);

impl Serialize for WithEncoding<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let WithEncoding(encoding, octets) = *self;
        if serializer.is_human_readable() {
            return (encoding.0, Text(octets, encoding)).serialize(serializer);
        }
        let [high, low] = encoding.0.to_be_bytes();
        let mut all = Vec::from([high, low]);
        all.extend_from_slice(octets);
        serializer.serialize_bytes(&all)
    }
}

/// Octets; where they may be `TEXT`, a string as well.
struct Owned<const TEXT: bool> {
    octets: Vec<u8>,
    /// Whether they came as a string beyond ASCII.
    unicode: bool,
}

impl<const TEXT: bool> Owned<TEXT> {
    fn in_encoding<E: ::serde::de::Error>(self, encoding: Encoding) -> Result<Vec<u8>, E> {
        if self.unicode && encoding != Encoding::UTF_8 {
            return Err(E::custom("a character beyond ASCII, and the encoding is not UTF-8"));
        }
        Ok(self.octets)
    }
}

impl<'de, const TEXT: bool> Deserialize<'de> for Owned<TEXT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(OctetsOr::<TEXT>);
        }
        deserializer.deserialize_byte_buf(OctetsOr::<TEXT>)
    }
}

struct OctetsOr<const TEXT: bool>;

impl<'de, const TEXT: bool> Visitor<'de> for OctetsOr<TEXT> {
    type Value = Owned<TEXT>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if TEXT { "a text or octets" } else { "octets" })
    }

    fn visit_str<E: ::serde::de::Error>(self, text: &str) -> Result<Owned<TEXT>, E> {
        if TEXT {
            return Ok(Owned { octets: text.as_bytes().to_vec(), unicode: !text.is_ascii() });
        }
        Err(E::invalid_type(Unexpected::Str(text), &self))
    }

    fn visit_bytes<E>(self, octets: &[u8]) -> Result<Owned<TEXT>, E> {
        Ok(Owned { octets: octets.to_vec(), unicode: false })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Owned<TEXT>, A::Error> {
        let mut octets = Vec::new();
        while let Some(octet) = sequence.next_element()? {
            octets.push(octet);
        }
        Ok(Owned { octets, unicode: false })
    }
}

struct OwnedWithEncoding(Encoding, Vec<u8>);

impl<'de> Deserialize<'de> for OwnedWithEncoding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let (encoding, text) = <(u16, Owned<true>)>::deserialize(deserializer)?;
            let encoding = Encoding(encoding);
            return Ok(OwnedWithEncoding(encoding, text.in_encoding(encoding)?));
        }
        let all = Owned::<false>::deserialize(deserializer)?.octets;
        let Some((encoding, octets)) = all.split_first_chunk() else {
            return Err(D::Error::invalid_length(all.len(), &"two octets of the encoding, and the text"));
        };
        Ok(OwnedWithEncoding(Encoding(u16::from_be_bytes(*encoding)), octets.to_vec()))
    }
}
