//! `hsms_core::secs2`.

use crate::entries;
use core::hint::black_box as keep;
use hsms_core::secs2::messages::{self, EstablishAck, Identity, SystemError};
use hsms_core::secs2::{
    self, Count, Elements, Encoding, Format, HeaderOctets, Item, ItemHeader, Limits, Patch, Pieces, Reader, Sink,
    Slice, Sml, Value, Values, ValuesIter, Walk, WriteError, Writer,
};
use hsms_core::wire::{Message, StreamFunction};

type Slots = heapless::Vec<u8, 64>;
type Out<'a> = Writer<Slice<'a>, 8>;
type HandOn = fn(&[u8]) -> Result<(), WriteError>;

entries! {
    format_code(it: Format) Format::code(it);
    format_from_code(code: u8) Format::from_code(code);
    format_width(it: Format) Format::width(it);
    format_sml(it: Format) Format::sml(it);
    item_header_new(format: Format, length: u32) ItemHeader::new(format, length);
    item_header_parse(input: &[u8]) keep(ItemHeader::parse(input)).is_ok();
    item_header_format(it: &ItemHeader) ItemHeader::format(it);
    item_header_length(it: &ItemHeader) ItemHeader::length(it);
    item_header_encode(it: &ItemHeader) { keep(ItemHeader::encode(it)); };
    header_octets_deref(it: &HeaderOctets) { keep(<HeaderOctets as core::ops::Deref>::deref(it)); };
    item_format(it: &Item<'_>) Item::format(it);
    ascii_of(octets: &[u8]) keep(secs2::ascii(octets)).is_ok();
    header_only(text: &[u8]) messages::header_only(text);
    identity_write(it: &Identity<'_>, text: &mut Out<'_>) Identity::write(it, text);
    identity_read(text: &[u8]) keep(Identity::read(text)).is_ok();
    establish_ack_write(it: &EstablishAck<'_>, text: &mut Out<'_>) EstablishAck::write(it, text);
    establish_ack_read(text: &[u8]) keep(EstablishAck::read(text)).is_ok();
    system_error_stream_function(it: &SystemError<'_>) SystemError::stream_function(it);
    system_error_write(it: &SystemError<'_>, text: &mut Out<'_>) SystemError::write(it, text);
    system_error_read(what: StreamFunction, text: &[u8]) keep(SystemError::read(what, text)).is_some();

    reader_new(text: &[u8]) { keep(Reader::new(text)); };
    reader_is_empty(it: &Reader<'_>) Reader::is_empty(it);
    reader_position(it: &Reader<'_>) Reader::position(it);
    reader_rest(it: &Reader<'_>) { keep(Reader::rest(it)); };
    reader_finish(it: Reader<'_>) Reader::finish(it);
    reader_peek(it: &Reader<'_>) Reader::peek(it);
    reader_list(it: &mut Reader<'_>) Reader::list(it);
    reader_list_of(it: &mut Reader<'_>, count: usize) Reader::list_of(it, count);
    reader_ascii(it: &mut Reader<'_>) keep(Reader::ascii(it)).is_ok();
    reader_ascii_octets(it: &mut Reader<'_>) keep(Reader::ascii_octets(it)).is_ok();
    reader_binary(it: &mut Reader<'_>) keep(Reader::binary(it)).is_ok();
    reader_jis8(it: &mut Reader<'_>) keep(Reader::jis8(it)).is_ok();
    reader_localized(it: &mut Reader<'_>) keep(Reader::localized(it)).is_ok();
    reader_item(it: &mut Reader<'_>) keep(Reader::item(it)).is_ok();
    reader_skip(it: &mut Reader<'_>) Reader::skip(it);
    reader_raw(it: &mut Reader<'_>) keep(Reader::raw(it)).is_ok();
    reader_elements(it: &mut Reader<'_>) keep(Reader::elements(it)).is_ok();
    reader_u1(it: &mut Reader<'_>) Reader::u1(it);
    reader_u2(it: &mut Reader<'_>) Reader::u2(it);
    reader_u4(it: &mut Reader<'_>) Reader::u4(it);
    reader_u8(it: &mut Reader<'_>) Reader::u8(it);
    reader_i1(it: &mut Reader<'_>) Reader::i1(it);
    reader_i2(it: &mut Reader<'_>) Reader::i2(it);
    reader_i4(it: &mut Reader<'_>) Reader::i4(it);
    reader_i8(it: &mut Reader<'_>) Reader::i8(it);
    reader_f4(it: &mut Reader<'_>) Reader::f4(it);
    reader_f8(it: &mut Reader<'_>) Reader::f8(it);
    reader_boolean(it: &mut Reader<'_>) Reader::boolean(it);
    elements_next(it: &mut Elements<'_>) keep(Elements::next(it)).is_some();
    elements_size_hint(it: &Elements<'_>) Elements::size_hint(it);

    slice_new(octets: &mut [u8]) { keep(Slice::new(octets)); };
    slice_written(it: &Slice<'_>) { keep(Slice::written(it)); };
    sink_reserve(a: &mut Slice<'_>, b: &mut Slots, c: &mut Count, d: &mut Pieces<16, HandOn>, octets: usize)
        [Sink::reserve(a, octets), Sink::reserve(b, octets), Sink::reserve(c, octets), Sink::reserve(d, octets)];
    sink_put(a: &mut Slice<'_>, b: &mut Slots, c: &mut Count, d: &mut Pieces<16, HandOn>, octets: &[u8])
        [Sink::put(a, octets), Sink::put(b, octets), Sink::put(c, octets), Sink::put(d, octets)];
    sink_of_reference(it: &mut &mut Slice<'_>, octets: &[u8]) [Sink::reserve(it, octets.len()), Sink::put(it, octets)];
    patch_position(a: &Slice<'_>, b: &Slots, c: &Count) [Patch::position(a), Patch::position(b), Patch::position(c)];
    patch_patch(a: &mut Slice<'_>, b: &mut Slots, c: &mut Count, at: usize, octets: &[u8]) {
        Patch::patch(a, at, octets);
        Patch::patch(b, at, octets);
        Patch::patch(c, at, octets);
    };
    patch_of_reference(it: &mut &mut Slice<'_>, at: usize, octets: &[u8]) {
        Patch::patch(it, at, octets);
        Patch::position(it)
    };
    count_octets(it: &Count) Count::octets(it);
    pieces_new(hand_on: HandOn) { let _ = keep(Pieces::<16, HandOn>::new(hand_on)); };
    pieces_finish(it: Pieces<16, HandOn>) Pieces::finish(it);
    sml_new(text: &[u8]) { keep(Sml::new(text)); };
    sml_message(message: &Message<'_>) { keep(Sml::message(message)); };
    sml_limited(it: Sml<'_>, octets: usize) { keep(Sml::limited(it, octets)); };
    limits_default() Limits::default();
    check_text(text: &[u8], limits: Limits) secs2::check(text, limits);
    walk_new(text: &[u8]) { keep::<Walk<'_, 32>>(Walk::new(text)); };
    walk_with_limits(text: &[u8], limits: Limits) { keep::<Walk<'_, 32>>(Walk::with_limits(text, limits)); };
    walk_next(it: &mut Walk<'_, 32>) keep(Walk::next(it)).is_some();

    writer_new(sink: Slots) { keep(Writer::new(sink)); };
    writer_with_open(sink: Slots) { keep::<Writer<Slots, 3>>(Writer::with_open(sink)); };
    writer_finish(it: Writer<Slots, 3>) keep(Writer::finish(it)).is_ok();
    writer_sink(it: &Writer<Slots, 3>) { keep(Writer::sink(it)); };
    writer_list(it: &mut Out<'_>, count: usize) Writer::list(it, count);
    writer_ascii(it: &mut Out<'_>, text: &str) Writer::ascii(it, text);
    writer_ascii_octets(it: &mut Out<'_>, text: &[u8]) Writer::ascii_octets(it, text);
    writer_binary(it: &mut Out<'_>, octets: &[u8]) Writer::binary(it, octets);
    writer_jis8(it: &mut Out<'_>, octets: &[u8]) Writer::jis8(it, octets);
    writer_localized(it: &mut Out<'_>, encoding: Encoding, octets: &[u8]) Writer::localized(it, encoding, octets);
    writer_item(it: &mut Out<'_>, item: Item<'_>) Writer::item(it, item);
    writer_raw(it: &mut Out<'_>, text: &[u8]) Writer::raw(it, text);
    writer_begin_list(it: &mut Out<'_>) Writer::begin_list(it);
    writer_end_list(it: &mut Out<'_>) Writer::end_list(it);
    writer_begin_list_slots(it: &mut Writer<Slots, 3>) Writer::begin_list(it);
    writer_end_list_slots(it: &mut Writer<Slots, 3>) Writer::end_list(it);
    writer_u1(it: &mut Out<'_>, value: u8) Writer::u1(it, value);
    writer_u2(it: &mut Out<'_>, value: u16) Writer::u2(it, value);
    writer_u4(it: &mut Out<'_>, value: u32) Writer::u4(it, value);
    writer_u8(it: &mut Out<'_>, value: u64) Writer::u8(it, value);
    writer_i1(it: &mut Out<'_>, value: i8) Writer::i1(it, value);
    writer_i2(it: &mut Out<'_>, value: i16) Writer::i2(it, value);
    writer_i4(it: &mut Out<'_>, value: i32) Writer::i4(it, value);
    writer_i8(it: &mut Out<'_>, value: i64) Writer::i8(it, value);
    writer_f4(it: &mut Out<'_>, value: f32) Writer::f4(it, value);
    writer_f8(it: &mut Out<'_>, value: f64) Writer::f8(it, value);
    writer_boolean(it: &mut Out<'_>, value: bool) Writer::boolean(it, value);
}

/// What is generic over the values, for each of their widths.
macro_rules! of_values {
    ($($module:ident $value:ty;)+) => {$(
        mod $module {
            use super::*;

            type V = $value;
            const _: Format = V::FORMAT;

            entries! {
                reader_value(it: &mut Reader<'_>) Reader::value::<V>(it);
                reader_values(it: &mut Reader<'_>) keep(Reader::values::<V>(it)).is_ok();
                writer_value(it: &mut Out<'_>, value: V) Writer::value(it, value);
                writer_values(it: &mut Out<'_>, values: &[V]) Writer::values(it, values);
                len(it: &Values<'_, V>) Values::len(it);
                is_empty(it: &Values<'_, V>) Values::is_empty(it);
                octets(it: &Values<'_, V>) { keep(Values::octets(it)); };
                get(it: &Values<'_, V>, index: usize) Values::get(it, index);
                one(it: &Values<'_, V>) Values::one(it);
                iter(it: &Values<'_, V>) { keep(Values::iter(it)); };
                into_iter(it: Values<'_, V>) { keep(Values::into_iter(it)); };
                clone(it: &Values<'_, V>) { keep(Values::clone(it)); };
                eq(it: &Values<'_, V>, other: &Values<'_, V>) Values::eq(it, other);
                copy_to(it: &Values<'_, V>, out: &mut [V]) { keep(Values::copy_to(it, out)); };
                iter_clone(it: &ValuesIter<'_, V>) { keep(ValuesIter::clone(it)); };
                next(it: &mut ValuesIter<'_, V>) ValuesIter::next(it);
                nth(it: &mut ValuesIter<'_, V>, n: usize) ValuesIter::nth(it, n);
                size_hint(it: &ValuesIter<'_, V>) ValuesIter::size_hint(it);
                next_back(it: &mut ValuesIter<'_, V>) ValuesIter::next_back(it);
            }
        }
    )+};
}

of_values! {
    of_u1 u8;
    of_u2 u16;
    of_u4 u32;
    of_u8 u64;
    of_i1 i8;
    of_i2 i16;
    of_i4 i32;
    of_i8 i64;
    of_f4 f32;
    of_f8 f64;
    of_boolean bool;
}
