//! Items into Rust values.

use super::{Cause, Segment, SerdeError, tree};
use crate::secs2::{Encoding, Error, ErrorKind, Format, Item, Reader, Value, Values, ValuesIter, ascii};
use ::serde::Deserializer as Serde;
use ::serde::de::value::{SeqDeserializer, StrDeserializer};
use ::serde::de::{
    DeserializeSeed, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// Lists around an item at most: a recursive type must not recurse as deep as a text says.
const DEEPEST: usize = 32;

/// Reads one item.
pub(super) struct Deserializer<'r, 'de> {
    reader: &'r mut Reader<'de>,
    depth: usize,
}

impl<'r, 'de> Deserializer<'r, 'de> {
    pub(super) const fn new(reader: &'r mut Reader<'de>) -> Self {
        Deserializer { reader, depth: 0 }
    }

    /// Gives the item in front to `visit`, with its offset for what the type refuses.
    fn item<V>(
        self,
        visit: impl FnOnce(Item<'de>, Elements<'_, 'de>) -> Result<V, SerdeError>,
    ) -> Result<V, SerdeError> {
        let offset = self.reader.position();
        let item = self.reader.item().map_err(Cause::Read)?;
        let count = if let Item::List(count) = item { count } else { 0 };
        if count > 0 && self.depth >= DEEPEST {
            return Err(Cause::Read(Error { offset, kind: ErrorKind::TooDeep { limit: DEEPEST } }).into());
        }
        let elements =
            Elements { reader: self.reader, depth: self.depth.saturating_add(1), count, next: 0, offset, names: &[] };
        visit(item, elements).map_err(|error| error.at(offset))
    }
}

/// One value as itself, and any other number as a sequence.
fn values<'de, T, V>(values: Values<'de, T>, visitor: V) -> Result<V::Value, SerdeError>
where
    T: Value + IntoDeserializer<'de, SerdeError>,
    V: Visitor<'de>,
{
    match (values.get(0), values.len()) {
        (Some(value), 1) => value.into_deserializer().deserialize_any(visitor),
        _ => all(values.iter(), visitor),
    }
}

fn all<'de, T, V>(values: ValuesIter<'de, T>, visitor: V) -> Result<V::Value, SerdeError>
where
    T: Value + IntoDeserializer<'de, SerdeError>,
    V: Visitor<'de>,
{
    SeqDeserializer::new(values).deserialize_seq(visitor)
}

/// ASCII, or UTF-8 that says so, as text; any other octets as bytes.
fn text<'de, V: Visitor<'de>>(encoding: Encoding, octets: &'de [u8], visitor: V) -> Result<V::Value, SerdeError> {
    let text = match encoding {
        Encoding::UTF_8 => core::str::from_utf8(octets).ok(),
        Encoding::ISO_646 => ascii(octets).ok(),
        _ => None,
    };
    match text {
        Some(text) => visitor.visit_borrowed_str(text),
        None => visitor.visit_borrowed_bytes(octets),
    }
}

fn any<'de, V: Visitor<'de>>(item: Item<'de>, elements: Elements<'_, 'de>, visitor: V) -> Result<V::Value, SerdeError> {
    match item {
        Item::List(_) => elements.visit(visitor),
        Item::Binary(octets) | Item::Jis8(octets) => visitor.visit_borrowed_bytes(octets),
        Item::Ascii(octets) => text(Encoding::ISO_646, octets, visitor),
        Item::Localized(localized) => text(localized.encoding, localized.octets, visitor),
        Item::Boolean(found) => values(found, visitor),
        Item::I8(found) => values(found, visitor),
        Item::I1(found) => values(found, visitor),
        Item::I2(found) => values(found, visitor),
        Item::I4(found) => values(found, visitor),
        Item::F8(found) => values(found, visitor),
        Item::F4(found) => values(found, visitor),
        Item::U8(found) => values(found, visitor),
        Item::U1(found) => values(found, visitor),
        Item::U2(found) => values(found, visitor),
        Item::U4(found) => values(found, visitor),
    }
}

/// As [`any`], and one value is a sequence as well.
fn sequence<'de, V: Visitor<'de>>(
    item: Item<'de>,
    elements: Elements<'_, 'de>,
    visitor: V,
) -> Result<V::Value, SerdeError> {
    match item {
        Item::List(_) => elements.visit(visitor),
        Item::Binary(octets) | Item::Jis8(octets) | Item::Ascii(octets) => {
            SeqDeserializer::new(octets.iter().copied()).deserialize_seq(visitor)
        }
        Item::Localized(localized) => SeqDeserializer::new(localized.octets.iter().copied()).deserialize_seq(visitor),
        Item::Boolean(found) => all(found.iter(), visitor),
        Item::I8(found) => all(found.iter(), visitor),
        Item::I1(found) => all(found.iter(), visitor),
        Item::I2(found) => all(found.iter(), visitor),
        Item::I4(found) => all(found.iter(), visitor),
        Item::F8(found) => all(found.iter(), visitor),
        Item::F4(found) => all(found.iter(), visitor),
        Item::U8(found) => all(found.iter(), visitor),
        Item::U1(found) => all(found.iter(), visitor),
        Item::U2(found) => all(found.iter(), visitor),
        Item::U4(found) => all(found.iter(), visitor),
    }
}

/// Codes are often one binary octet.
macro_rules! integers {
    ($($method:ident)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
            self.item(|item, elements| match item {
                Item::Binary([octet]) => visitor.visit_u8(*octet),
                _ => any(item, elements, visitor),
            })
        }
    )+};
}

impl<'de> Serde<'de> for Deserializer<'_, 'de> {
    type Error = SerdeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        self.item(|item, elements| any(item, elements, visitor))
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        self.item(|item, elements| match item {
            Item::Ascii(octets) => visitor.visit_borrowed_bytes(octets),
            Item::Localized(localized) => visitor.visit_borrowed_bytes(localized.octets),
            Item::U1(values) => visitor.visit_borrowed_bytes(values.octets()),
            _ => any(item, elements, visitor),
        })
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        if self.reader.peek().map_err(Cause::Read)?.length() == 0 {
            self.reader.item().map_err(Cause::Read)?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        self.reader.list_of(0).map_err(Cause::Read)?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, SerdeError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, SerdeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        self.item(|item, elements| sequence(item, elements, visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, SerdeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        self.item(|item, mut elements| match item {
            Item::List(_) => {
                let value = visitor.visit_map(&mut elements)?;
                elements.all_read()?;
                Ok(value)
            }
            _ => any(item, elements, visitor),
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        self.item(|item, elements| any(item, Elements { names, ..elements }, visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        let offset = self.reader.position();
        let header = self.reader.peek().map_err(Cause::Read)?;
        if name == tree::NAME {
            let any = AnyItem { content: self, format: header.format() };
            return visitor.visit_enum(any).map_err(|error| error.at(offset));
        }
        let content = header.format() == Format::List;
        if content {
            if self.depth >= DEEPEST {
                return Err(Cause::Read(Error { offset, kind: ErrorKind::TooDeep { limit: DEEPEST } }).into());
            }
            self.reader.list_of(2).map_err(Cause::Read)?;
        }
        let depth = self.depth.saturating_add(1);
        visitor.visit_enum(Variant { reader: self.reader, depth, content }).map_err(|error| error.at(offset))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        self.reader.skip().map_err(Cause::Read)?;
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    ::serde::forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string identifier
    }
}

/// The elements of a list whose header has been read.
struct Elements<'r, 'de> {
    reader: &'r mut Reader<'de>,
    depth: usize,
    count: usize,
    next: usize,
    /// Of the list.
    offset: usize,
    /// Of the fields that the elements are, if they are.
    names: &'static [&'static str],
}

impl<'de> Elements<'_, 'de> {
    fn visit<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, SerdeError> {
        let value = visitor.visit_seq(&mut self).map_err(|error| error.at(self.offset))?;
        self.all_read()?;
        Ok(value)
    }

    /// What the type did not read would be taken for what comes behind the list.
    fn all_read(&self) -> Result<(), SerdeError> {
        if self.next == self.count {
            return Ok(());
        }
        let kind = ErrorKind::OtherCount { format: Format::List, expected: self.next, found: self.count };
        Err(Cause::Read(Error { offset: self.offset, kind }).into())
    }

    fn read<T: DeserializeSeed<'de>>(&mut self, seed: T, segment: Segment) -> Result<T::Value, SerdeError> {
        seed.deserialize(Deserializer { reader: self.reader, depth: self.depth }).map_err(|error| error.inside(segment))
    }

    fn segment(&self) -> Segment {
        self.names.get(self.next).map_or(Segment::Element(self.next), |name| Segment::Field(name))
    }
}

impl<'de> SeqAccess<'de> for &mut Elements<'_, 'de> {
    type Error = SerdeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, SerdeError> {
        if self.next == self.count {
            return Ok(None);
        }
        let segment = self.segment();
        self.next = self.next.saturating_add(1);
        self.read(seed, segment).map(Some)
    }

    /// At most half of the octets that are left, as with every list.
    fn size_hint(&self) -> Option<usize> {
        Some(self.count.saturating_sub(self.next))
    }
}

impl<'de> MapAccess<'de> for &mut Elements<'_, 'de> {
    type Error = SerdeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, SerdeError> {
        if self.next == self.count {
            return Ok(None);
        }
        self.reader.list_of(2).map_err(Cause::Read)?;
        let segment = Segment::Element(self.next);
        self.next = self.next.saturating_add(1);
        self.read(seed, segment).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, SerdeError> {
        self.read(seed, Segment::Element(self.next.saturating_sub(1)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.count.saturating_sub(self.next))
    }
}

/// The name or number of a variant, and its content if it has one.
struct Variant<'r, 'de> {
    reader: &'r mut Reader<'de>,
    depth: usize,
    content: bool,
}

impl<'r, 'de> Variant<'r, 'de> {
    fn with_content(self) -> Result<Deserializer<'r, 'de>, SerdeError> {
        if self.content {
            return Ok(Deserializer { reader: self.reader, depth: self.depth });
        }
        Err(SerdeError::custom("a variant with content is a list of its name and the content"))
    }
}

impl<'r, 'de> EnumAccess<'de> for Variant<'r, 'de> {
    type Error = SerdeError;
    type Variant = Variant<'r, 'de>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), SerdeError> {
        let variant = seed.deserialize(Deserializer { reader: self.reader, depth: self.depth })?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = SerdeError;

    fn unit_variant(self) -> Result<(), SerdeError> {
        if self.content {
            return Err(SerdeError::custom("a variant without content is its name alone"));
        }
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, SerdeError> {
        seed.deserialize(self.with_content()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, SerdeError> {
        self.with_content()?.deserialize_tuple(count, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        self.with_content()?.deserialize_struct("", names, visitor)
    }
}

/// Any item as a variant by the name of its format, for [`Tree`](crate::secs2::Tree).
struct AnyItem<'r, 'de> {
    content: Deserializer<'r, 'de>,
    format: Format,
}

impl<'de> EnumAccess<'de> for AnyItem<'_, 'de> {
    type Error = SerdeError;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), SerdeError> {
        let name: StrDeserializer<'_, SerdeError> = self.format.sml().into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

const NO_CONTENT: &str = "an item has content";

impl<'de> VariantAccess<'de> for AnyItem<'_, 'de> {
    type Error = SerdeError;

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, SerdeError> {
        if self.format != Format::Localized {
            return seed.deserialize(self.content);
        }
        // With its encoding in front, which the text alone would lose.
        let octets = self.content.reader.octets(Format::Localized).map_err(Cause::Read)?;
        seed.deserialize(Whole(octets))
    }

    fn unit_variant(self) -> Result<(), SerdeError> {
        Err(SerdeError::custom(NO_CONTENT))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, SerdeError> {
        Err(SerdeError::custom(NO_CONTENT))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, SerdeError> {
        Err(SerdeError::custom(NO_CONTENT))
    }
}

/// Octets, whatever is asked for.
struct Whole<'de>(&'de [u8]);

impl<'de> Serde<'de> for Whole<'de> {
    type Error = SerdeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        visitor.visit_borrowed_bytes(self.0)
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    ::serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
