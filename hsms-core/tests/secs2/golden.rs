//! Octets as E5 6 has them, both ways.

use super::support::item;
use hsms_core::secs2::{Encoding, Format, Item, Localized, Reader, Slice, WriteError, Writer};

type Fill = fn(&mut Writer<Slice<'_>>) -> Result<(), WriteError>;

/// SML, octets, and how they are written.
const TEXTS: [(&str, &[u8], Fill); 22] = [
    ("<B 0xAA>", b"\x21\x01\xaa", |w| w.binary(&[0xaa])),
    ("<A \"ABC\">", b"\x41\x03ABC", |w| w.ascii("ABC")),
    ("<A \"\">", b"\x41\x00", |w| w.ascii("")),
    ("<A \"a\" 0x22 \"b\" 0x0D 0x0A>", b"\x41\x05a\"b\r\n", |w| w.ascii("a\"b\r\n")),
    ("<I2 1 -2 300>", b"\x69\x06\x00\x01\xff\xfe\x01\x2c", |w| w.values(&[1_i16, -2, 300])),
    ("<F4 1.0>", b"\x91\x04\x3f\x80\x00\x00", |w| w.f4(1.0)),
    ("<F4 -0.1>", b"\x91\x04\xbd\xcc\xcc\xcd", |w| w.f4(-0.1)),
    ("<F8 1e300>", b"\x81\x08\x7e\x37\xe4\x3c\x88\x00\x75\x9c", |w| w.f8(1e300)),
    ("<L [0]>", b"\x01\x00", |w| w.list(0)),
    ("<BOOLEAN TRUE FALSE>", b"\x25\x02\x01\x00", |w| w.values(&[true, false])),
    ("<J \"a\" 0xB1>", b"\x45\x02a\xb1", |w| w.jis8(b"a\xb1")),
    ("<C2 2 \"ok\">", b"\x49\x04\x00\x02ok", |w| w.localized(Encoding::UTF_8, b"ok")),
    ("<C2 32769 \"\">", b"\x49\x02\x80\x01", |w| w.localized(Encoding(0x8001), b"")),
    ("<I8 -1>", b"\x61\x08\xff\xff\xff\xff\xff\xff\xff\xff", |w| w.i8(-1)),
    ("<I1 -128>", b"\x65\x01\x80", |w| w.i1(-128)),
    ("<I4 65536>", b"\x71\x04\x00\x01\x00\x00", |w| w.i4(65536)),
    ("<U8 256>", b"\xa1\x08\x00\x00\x00\x00\x00\x00\x01\x00", |w| w.u8(256)),
    ("<U1 255>", b"\xa5\x01\xff", |w| w.u1(255)),
    ("<U1>", b"\xa5\x00", |w| w.values::<u8>(&[])),
    ("<U2 258>", b"\xa9\x02\x01\x02", |w| w.u2(258)),
    ("<U4 4294967295 0>", b"\xb1\x08\xff\xff\xff\xff\x00\x00\x00\x00", |w| w.values(&[u32::MAX, 0])),
    ("<L [2] <A \"ABC\"> <U4 1 2>>", b"\x01\x02\x41\x03ABC\xb1\x08\x00\x00\x00\x01\x00\x00\x00\x02", |w| {
        w.list(2)?;
        w.ascii("ABC")?;
        w.values(&[1_u32, 2])
    }),
];

#[test]
fn every_format_is_written_as_the_standard_has_it() {
    for (sml, octets, fill) in TEXTS {
        let mut memory = [0xee; 64];
        let mut writer = Writer::new(Slice::new(&mut memory));
        fill(&mut writer).unwrap();
        assert_eq!(writer.finish().unwrap().written(), octets, "{sml}");
    }
}

#[test]
fn every_format_is_printed_in_the_common_dialect() {
    for (sml, octets, _) in TEXTS {
        assert_eq!(hsms_core::secs2::Sml::new(octets).to_string(), sml);
    }
}

#[test]
fn every_format_is_read_into_its_rust_type() {
    let at = |octets: &'static [u8]| Reader::new(octets);
    assert_eq!(at(b"\x21\x01\xaa").binary(), Ok(&[0xaa][..]));
    assert_eq!(at(b"\x41\x03ABC").ascii(), Ok("ABC"));
    assert_eq!(at(b"\x41\x02\xb5m").ascii_octets(), Ok(&b"\xb5m"[..]));
    assert_eq!(at(b"\x45\x01\xb1").jis8(), Ok(&[0xb1][..]));
    let localized = Localized { encoding: Encoding::UTF_8, octets: b"ok" };
    assert_eq!(at(b"\x49\x04\x00\x02ok").localized(), Ok(localized));
    assert_eq!(item(b"\x49\x04\x00\x02ok"), Ok(Item::Localized(localized)));
    assert_eq!(at(b"\x61\x08\xff\xff\xff\xff\xff\xff\xff\xfe").i8(), Ok(-2));
    assert_eq!(at(b"\x65\x01\x80").i1(), Ok(-128));
    assert_eq!(at(b"\x69\x02\xff\xfe").i2(), Ok(-2));
    assert_eq!(at(b"\x71\x04\x80\x00\x00\x00").i4(), Ok(i32::MIN));
    assert_eq!(at(b"\x81\x08\x3f\xf8\x00\x00\x00\x00\x00\x00").f8(), Ok(1.5));
    assert_eq!(at(b"\x91\x04\x3f\xc0\x00\x00").f4(), Ok(1.5));
    assert_eq!(at(b"\xa1\x08\x00\x00\x00\x00\x00\x00\x01\x00").u8(), Ok(256));
    assert_eq!(at(b"\xa5\x01\x07").u1(), Ok(7));
    assert_eq!(at(b"\xa9\x02\x01\x02").u2(), Ok(258));
    assert_eq!(at(b"\xb1\x04\x01\x02\x03\x04").u4(), Ok(0x0102_0304));
    assert_eq!(at(b"\x01\x00").list(), Ok(0));
    // Anything but 0 is true.
    assert_eq!(at(b"\x25\x01\x02").boolean(), Ok(true));
    assert_eq!(at(b"\x25\x01\x00").boolean(), Ok(false));
    let mut values = at(b"\x25\x03\x00\x01\xff").values::<bool>().unwrap().into_iter();
    assert_eq!(
        (values.next(), values.next_back(), values.next(), values.next()),
        (Some(false), Some(true), Some(true), None)
    );
}

#[test]
fn arrays_of_every_width_are_copied_and_written_whole() {
    fn round<T: hsms_core::secs2::Value + Default>(values: &[T]) {
        let mut writer = Writer::new(heapless::Vec::<u8, 10_000>::new());
        writer.values(values).unwrap();
        let text = writer.finish().unwrap();
        let read = Reader::new(&text).values::<T>().unwrap();
        let mut copy = vec![T::default(); values.len()];
        assert_eq!(read.copy_to(&mut copy), values);
        assert_eq!(read.iter().collect::<Vec<_>>(), values);
        assert_eq!(read.len(), values.len());
        // A shorter slice takes the first ones.
        let mut front = vec![T::default(); values.len() / 2];
        assert_eq!(read.copy_to(&mut front), &values[..values.len() / 2]);
    }
    // Beyond one portion of the writer, and not a multiple of it.
    for len in [0, 1, 31, 32, 33, 64, 255, 256, 257, 1000] {
        let numbers = || (0..len).map(|n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        round::<u64>(&numbers().collect::<Vec<_>>());
        round::<u32>(&numbers().map(|n| n as u32).collect::<Vec<_>>());
        round::<u16>(&numbers().map(|n| n as u16).collect::<Vec<_>>());
        round::<u8>(&numbers().map(|n| n as u8).collect::<Vec<_>>());
        round::<i64>(&numbers().map(|n| n as i64).collect::<Vec<_>>());
        round::<i32>(&numbers().map(|n| n as i32).collect::<Vec<_>>());
        round::<i16>(&numbers().map(|n| n as i16).collect::<Vec<_>>());
        round::<i8>(&numbers().map(|n| n as i8).collect::<Vec<_>>());
        round::<f64>(&numbers().map(|n| n as f64).collect::<Vec<_>>());
        round::<f32>(&numbers().map(|n| n as f32).collect::<Vec<_>>());
        round::<bool>(&numbers().map(|n| n & 8 == 0).collect::<Vec<_>>());
    }
}

#[test]
fn the_sixteen_codes_are_those_of_the_standard() {
    let codes: Vec<(&str, u8)> = Format::ALL.iter().map(|format| (format.sml(), format.code())).collect();
    assert_eq!(
        codes,
        [
            ("L", 0o00),
            ("B", 0o10),
            ("BOOLEAN", 0o11),
            ("A", 0o20),
            ("J", 0o21),
            ("C2", 0o22),
            ("I8", 0o30),
            ("I1", 0o31),
            ("I2", 0o32),
            ("I4", 0o34),
            ("F8", 0o40),
            ("F4", 0o44),
            ("U8", 0o50),
            ("U1", 0o51),
            ("U2", 0o52),
            ("U4", 0o54),
        ]
    );
    for code in 0..=255 {
        let format = Format::ALL.into_iter().find(|format| format.code() == code);
        assert_eq!(Format::from_code(code), format);
    }
}
