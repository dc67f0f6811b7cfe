//! Rust values into items.

use super::{Cause, Segment, SerdeError, array_name, tree};
use crate::secs2::{Format, Sink, Value, Writer};
use ::serde::ser::{
    Error as _, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer as Serde,
};
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;

/// Writes one item.
pub(super) struct Serializer<'w, S, const OPEN: usize> {
    pub(super) text: &'w mut Writer<S, OPEN>,
}

/// Writes the elements of a list whose header has been written.
pub(super) struct List<'w, S, const OPEN: usize> {
    text: &'w mut Writer<S, OPEN>,
    next: usize,
}

impl<'w, S: Sink, const OPEN: usize> Serializer<'w, S, OPEN> {
    fn value<T: Value>(self, value: T) -> Result<(), SerdeError> {
        Ok(self.text.value(value).map_err(Cause::Write)?)
    }

    fn list(self, count: usize) -> Result<List<'w, S, OPEN>, SerdeError> {
        self.text.list(count).map_err(Cause::Write)?;
        Ok(List { text: self.text, next: 0 })
    }

    /// One item of all values.
    fn array<T: Serialize + ?Sized>(self, format: Format, values: &T) -> Result<(), SerdeError> {
        let octets = values.serialize(Array { format, octets: Vec::new() })?;
        Ok(self.text.octets(&octets, format).map_err(Cause::Write)?)
    }

    /// A list of the variant's name and its content, which comes next.
    fn variant(self, name: &'static str) -> Result<&'w mut Writer<S, OPEN>, SerdeError> {
        self.text.list(2).map_err(Cause::Write)?;
        self.text.ascii(name).map_err(Cause::Write)?;
        Ok(self.text)
    }
}

impl<'w, S: Sink, const OPEN: usize> Serde for Serializer<'w, S, OPEN> {
    type Ok = ();
    type Error = SerdeError;
    type SerializeSeq = List<'w, S, OPEN>;
    type SerializeTuple = List<'w, S, OPEN>;
    type SerializeTupleStruct = List<'w, S, OPEN>;
    type SerializeTupleVariant = List<'w, S, OPEN>;
    type SerializeMap = List<'w, S, OPEN>;
    type SerializeStruct = List<'w, S, OPEN>;
    type SerializeStructVariant = List<'w, S, OPEN>;

    fn serialize_bool(self, value: bool) -> Result<(), SerdeError> {
        self.value(value)
    }

    fn serialize_i8(self, value: i8) -> Result<(), SerdeError> {
        self.value(value)
    }

    fn serialize_i16(self, value: i16) -> Result<(), SerdeError> {
        self.value(value)
    }

    fn serialize_i32(self, value: i32) -> Result<(), SerdeError> {
        self.value(value)
    }

    fn serialize_i64(self, value: i64) -> Result<(), SerdeError> {
        self.value(value)
    }

    fn serialize_i128(self, _: i128) -> Result<(), SerdeError> {
        Err(Cause::NoItemFor("integers of 128 bits").into())
    }

    fn serialize_u8(self, value: u8) -> Result<(), SerdeError> {
        self.value(value)
    }

    fn serialize_u16(self, value: u16) -> Result<(), SerdeError> {
        self.value(value)
    }

    fn serialize_u32(self, value: u32) -> Result<(), SerdeError> {
        self.value(value)
    }

    fn serialize_u64(self, value: u64) -> Result<(), SerdeError> {
        self.value(value)
    }

    fn serialize_u128(self, _: u128) -> Result<(), SerdeError> {
        Err(Cause::NoItemFor("integers of 128 bits").into())
    }

    fn serialize_f32(self, value: f32) -> Result<(), SerdeError> {
        self.value(value)
    }

    fn serialize_f64(self, value: f64) -> Result<(), SerdeError> {
        self.value(value)
    }

    fn serialize_char(self, value: char) -> Result<(), SerdeError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), SerdeError> {
        Ok(self.text.ascii(value).map_err(Cause::Write)?)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), SerdeError> {
        Ok(self.text.binary(value).map_err(Cause::Write)?)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), SerdeError> {
        self.serialize_str(&value.to_string())
    }

    fn serialize_none(self) -> Result<(), SerdeError> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), SerdeError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), SerdeError> {
        self.list(0).map(drop)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), SerdeError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), SerdeError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<(), SerdeError> {
        let Some(format) = Format::ALL.into_iter().find(|format| array_name(*format) == name && !name.is_empty())
        else {
            return value.serialize(self);
        };
        self.array(format, value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), SerdeError> {
        if name == tree::NAME {
            return match Format::ALL.into_iter().find(|format| format.sml() == variant) {
                Some(format) if format != Format::List => self.array(format, value),
                _ => value.serialize(self),
            };
        }
        let text = self.variant(variant)?;
        value.serialize(Serializer { text }).map_err(|error| error.inside(Segment::Field(variant)))
    }

    fn serialize_seq(self, count: Option<usize>) -> Result<Self::SerializeSeq, SerdeError> {
        self.list(count.ok_or(Cause::NoItemFor("a sequence of unknown length"))?)
    }

    fn serialize_tuple(self, count: usize) -> Result<Self::SerializeTuple, SerdeError> {
        self.list(count)
    }

    fn serialize_tuple_struct(self, _: &'static str, count: usize) -> Result<Self::SerializeTupleStruct, SerdeError> {
        self.list(count)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        count: usize,
    ) -> Result<Self::SerializeTupleVariant, SerdeError> {
        Serializer { text: self.variant(variant)? }.list(count)
    }

    fn serialize_map(self, count: Option<usize>) -> Result<Self::SerializeMap, SerdeError> {
        self.list(count.ok_or(Cause::NoItemFor("a map of unknown length"))?)
    }

    fn serialize_struct(self, _: &'static str, count: usize) -> Result<Self::SerializeStruct, SerdeError> {
        self.list(count)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        count: usize,
    ) -> Result<Self::SerializeStructVariant, SerdeError> {
        Serializer { text: self.variant(variant)? }.list(count)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

impl<S: Sink, const OPEN: usize> List<'_, S, OPEN> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SerdeError> {
        let number = self.next;
        self.next = number.saturating_add(1);
        value.serialize(Serializer { text: self.text }).map_err(|error| error.inside(Segment::Element(number)))
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), SerdeError> {
        value.serialize(Serializer { text: self.text }).map_err(|error| error.inside(Segment::Field(name)))
    }
}

macro_rules! elements {
    ($($trait:ident $method:ident;)+) => {$(
        impl<S: Sink, const OPEN: usize> $trait for List<'_, S, OPEN> {
            type Ok = ();
            type Error = SerdeError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SerdeError> {
                self.element(value)
            }

            fn end(self) -> Result<(), SerdeError> {
                Ok(())
            }
        }
    )+};
}

elements! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

macro_rules! fields {
    ($($trait:ident)+) => {$(
        impl<S: Sink, const OPEN: usize> $trait for List<'_, S, OPEN> {
            type Ok = ();
            type Error = SerdeError;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), SerdeError> {
                self.field(name, value)
            }

            /// The count of the list, written already, has no place for it; and left out, the others would be taken for one
            /// another.
            fn skip_field(&mut self, name: &'static str) -> Result<(), SerdeError> {
                Err(SerdeError::from(Cause::NoItemFor("a field that is left out")).inside(Segment::Field(name)))
            }

            fn end(self) -> Result<(), SerdeError> {
                Ok(())
            }
        }
    )+};
}

fields!(SerializeStruct SerializeStructVariant);

impl<S: Sink, const OPEN: usize> SerializeMap for List<'_, S, OPEN> {
    type Ok = ();
    type Error = SerdeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), SerdeError> {
        self.text.list(2).map_err(Cause::Write)?;
        self.element(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SerdeError> {
        let number = self.next.saturating_sub(1);
        value.serialize(Serializer { text: self.text }).map_err(|error| error.inside(Segment::Element(number)))
    }

    fn end(self) -> Result<(), SerdeError> {
        Ok(())
    }
}

/// Gathers the values of one item.
struct Array {
    format: Format,
    octets: Vec<u8>,
}

impl Array {
    fn value<T: Value>(mut self, value: T) -> Result<Vec<u8>, SerdeError> {
        self.push(value)?;
        Ok(self.octets)
    }

    fn push<T: Value>(&mut self, value: T) -> Result<(), SerdeError> {
        if T::FORMAT != self.format {
            return Err(SerdeError::custom(format_args!("a value of {} among {}", T::FORMAT, self.format)));
        }
        // Behind the two octets of its header.
        self.octets.extend_from_slice(value.to_alone().as_ref().get(2..).unwrap_or_default());
        Ok(())
    }
}

impl SerializeSeq for Array {
    type Ok = Vec<u8>;
    type Error = SerdeError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SerdeError> {
        let octets = core::mem::take(&mut self.octets);
        self.octets = value.serialize(Array { format: self.format, octets })?;
        Ok(())
    }

    fn end(self) -> Result<Vec<u8>, SerdeError> {
        Ok(self.octets)
    }
}

macro_rules! only_values {
    ($($method:ident $type:ty;)+) => {$(
        fn $method(self, value: $type) -> Result<Vec<u8>, SerdeError> {
            self.value(value)
        }
    )+};
}

macro_rules! nothing_else {
    ($($method:ident($($argument:ty),*) -> $result:ty;)+) => {$(
        fn $method(self $(, _: $argument)*) -> Result<$result, SerdeError> {
            Err(NOT_A_VALUE.into())
        }
    )+};
}

const NOT_A_VALUE: Cause = Cause::NoItemFor("anything but numbers and truth values in an array");

type Never = Impossible<Vec<u8>, SerdeError>;

impl Serde for Array {
    type Ok = Vec<u8>;
    type Error = SerdeError;
    type SerializeSeq = Array;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    only_values! {
        serialize_bool bool;
        serialize_i8 i8;
        serialize_i16 i16;
        serialize_i32 i32;
        serialize_i64 i64;
        serialize_u8 u8;
        serialize_u16 u16;
        serialize_u32 u32;
        serialize_u64 u64;
        serialize_f32 f32;
        serialize_f64 f64;
    }

    nothing_else! {
        serialize_char(char) -> Vec<u8>;
        serialize_str(&str) -> Vec<u8>;
        serialize_none() -> Vec<u8>;
        serialize_unit() -> Vec<u8>;
        serialize_unit_struct(&'static str) -> Vec<u8>;
        serialize_unit_variant(&'static str, u32, &'static str) -> Vec<u8>;
        serialize_tuple(usize) -> Never;
        serialize_tuple_struct(&'static str, usize) -> Never;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never;
        serialize_map(Option<usize>) -> Never;
        serialize_struct(&'static str, usize) -> Never;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never;
    }

    /// Of a [`Tree`](crate::secs2::Tree) alone.
    fn serialize_bytes(mut self, octets: &[u8]) -> Result<Vec<u8>, SerdeError> {
        match self.format {
            Format::Binary | Format::Ascii | Format::Jis8 | Format::Localized => {
                self.octets.extend_from_slice(octets);
                Ok(self.octets)
            }
            _ => Err(NOT_A_VALUE.into()),
        }
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<Vec<u8>, SerdeError> {
        Err(NOT_A_VALUE.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Vec<u8>, SerdeError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Vec<u8>, SerdeError> {
        Err(NOT_A_VALUE.into())
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Result<Vec<u8>, SerdeError> {
        Err(NOT_A_VALUE.into())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Array, SerdeError> {
        Ok(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
