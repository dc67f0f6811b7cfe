//! Item headers: all format octets, with all numbers of length octets.

use super::support::{item, read_in_every_way};
use hsms_core::secs2::{Error, ErrorKind, Format, Item, ItemHeader, MAX_LENGTH, Reader, Walk};

#[test]
fn every_format_octet_with_every_length_is_read_or_refused_as_the_standard_says() {
    let (mut good, mut refused) = (0, 0);
    for octet in 0..=255_u8 {
        for length in [0_u32, 1, 2, 3, 4, 6, 7, 8, 12, 16, 255, 256, 1000, 65_535, 65_536, 70_000, MAX_LENGTH] {
            let length_octets = usize::from(octet & 3);
            if length >= 1 << (8 * length_octets) {
                continue;
            }
            let mut text = vec![octet];
            text.extend(&length.to_be_bytes()[4 - length_octets..]);
            let header_len = text.len();
            text.resize(header_len + 70_000 * 2, 0);

            let code = octet >> 2;
            let fail = |kind| Err(Error { offset: 0, kind });
            let Some(format) = Format::from_code(code) else {
                assert_eq!(item(&text), fail(ErrorKind::UndefinedFormat { code }));
                refused += 1;
                continue;
            };
            if length_octets == 0 {
                assert_eq!(item(&text), fail(ErrorKind::NoLengthOctets { code }));
                refused += 1;
                continue;
            }
            let (header, rest) = ItemHeader::parse(&text).unwrap();
            assert_eq!((header.format(), header.length(), rest.len()), (format, length, 140_000));
            let least = length as usize * if format == Format::List { 2 } else { 1 };
            let expected = if least > 140_000 {
                Some(ErrorKind::Truncated { missing: least - 140_000 })
            } else if format == Format::Localized && length < 2 {
                Some(ErrorKind::NoEncoding { length })
            } else if format.width().is_some_and(|width| length % width != 0) {
                Some(ErrorKind::PartOfValue { format, length })
            } else {
                None
            };
            match (item(&text), expected) {
                (Err(error), Some(kind)) => {
                    assert_eq!(error, Error { offset: 0, kind });
                    refused += 1;
                }
                (Ok(found), None) => {
                    assert_eq!(found.format(), format);
                    good += 1;
                }
                (found, expected) => panic!("{octet:#04x} length {length}: {found:?}, and not {expected:?}"),
            }
        }
    }
    // 16 formats; lengths that fit in one, two and three octets; see the loop.
    assert!(good > 300 && refused > 1000, "{good} {refused}");
}

#[test]
fn more_length_octets_than_needed_change_nothing() {
    for short in [&b"\x41\x03ABC"[..], b"\x01\x00", b"\xb1\x04\0\0\0\x07", b"\x25\x01\x01", b"\xa1\x00"] {
        let two = [&[short[0] + 1, 0], &short[1..]].concat();
        let three = [&[short[0] + 2, 0, 0], &short[1..]].concat();
        for long in [two, three] {
            assert_eq!(item(&long), item(short));
            assert_eq!(read_in_every_way(&long), Ok(1));
        }
    }
    // The way of a single value and a short list that is not the shortest one.
    assert_eq!(Reader::new(b"\xb2\x00\x04\0\0\0\x07").u4(), Ok(7));
    assert_eq!(Reader::new(b"\xb3\x00\x00\x04\0\0\0\x07").u4(), Ok(7));
    assert_eq!(Reader::new(b"\x03\x00\x00\x00").list(), Ok(0));
}

/// The reader takes single values and short lists without nom; here is what nom makes of the same octets.
#[test]
fn the_fast_path_and_the_parser_agree_on_every_short_item() {
    for octet in 0..=255_u8 {
        for length in 0..=12_u8 {
            for rest in 0..=20 {
                let mut text = vec![octet, length];
                text.extend((0..rest).map(|n: u8| n.wrapping_mul(37)));
                let mut whole = Reader::new(&text);
                let parsed = whole.item();
                macro_rules! agree {
                    ($($name:ident $format:ident)+) => {$(
                        let mut reader = Reader::new(&text);
                        match (reader.$name(), parsed) {
                            (Ok(value), Ok(Item::$format(values))) => {
                                assert_eq!((values.len(), values.get(0)), (1, Some(value)));
                                assert_eq!(reader.position(), whole.position());
                            }
                            (Err(error), Ok(Item::$format(values))) => {
                                assert_ne!(values.len(), 1);
                                let kind = ErrorKind::OtherCount { format: Format::$format, expected: 1, found: values.len() };
                                assert_eq!(error, Error { offset: 0, kind });
                            }
                            (Err(error), Ok(other)) => {
                                let kind = ErrorKind::OtherFormat { expected: Format::$format, found: other.format() };
                                assert_eq!(error, Error { offset: 0, kind });
                            }
                            (Err(error), Err(found)) if ItemHeader::parse(&text).is_ok_and(|(header, _)| header.format() == Format::$format) => {
                                assert_eq!(error, found);
                            }
                            (Err(_), Err(_)) => {}
                            (Ok(value), parsed) => panic!("{text:02x?}: {value:?}, and the parser has {parsed:?}"),
                        }
                    )+};
                }
                // A walk gives the same item, and refuses a list whose elements cannot be there, as the parser does.
                let step = Walk::<1>::new(&text).next().expect("the text is not empty");
                assert_eq!(step.map(|step| step.item), parsed, "{text:02x?}");
                agree!(u1 U1 u2 U2 u4 U4 u8 U8 i1 I1 i2 I2 i4 I4 i8 I8 boolean Boolean);
                macro_rules! agree_on_all {
                    ($($read:ident $(::<$type:ty>)? $format:ident)+) => {$(
                        let mut reader = Reader::new(&text);
                        match (reader.$read$(::<$type>)?(), parsed) {
                            (Ok(found), parsed) => {
                                assert_eq!(parsed, Ok(Item::$format(found)));
                                assert_eq!(reader.position(), whole.position());
                            }
                            (Err(error), Err(found)) if ItemHeader::parse(&text).is_ok_and(|(header, _)| header.format() == Format::$format) => {
                                assert_eq!((error, reader.position()), (found, 0));
                            }
                            (Err(_), parsed) => {
                                assert!(!matches!(parsed, Ok(Item::$format(_))));
                                assert_eq!(reader.position(), 0);
                            }
                        }
                    )+};
                }
                agree_on_all!(list List binary Binary ascii_octets Ascii jis8 Jis8 localized Localized values::<bool> Boolean);
                agree_on_all!(values::<u8> U1 values::<u16> U2 values::<u32> U4 values::<u64> U8 values::<f32> F4 values::<f64> F8);
                agree_on_all!(values::<i8> I1 values::<i16> I2 values::<i32> I4 values::<i64> I8);
                for count in 0..=3 {
                    let mut reader = Reader::new(&text);
                    assert_eq!(reader.list_of(count).is_ok(), parsed == Ok(Item::List(count)));
                }
                // What is passed over is looked at no less.
                let mut reader = Reader::new(&text);
                if !matches!(parsed, Ok(Item::List(1..))) {
                    assert_eq!((reader.skip().err(), reader.position()), (parsed.err(), whole.position()));
                }
            }
        }
    }
}

#[test]
fn a_header_holds_lengths_up_to_three_octets_and_uses_as_few_as_it_can() {
    for (length, octets) in [
        (0, &[0x41, 0][..]),
        (255, &[0x41, 255]),
        (256, &[0x42, 1, 0]),
        (65_535, &[0x42, 255, 255]),
        (65_536, &[0x43, 1, 0, 0]),
        (MAX_LENGTH, &[0x43, 255, 255, 255]),
    ] {
        let header = ItemHeader::new(Format::Ascii, length).unwrap();
        assert_eq!(&*header.encode(), octets);
        assert_eq!(ItemHeader::parse(octets), Ok((header, &[][..])));
        for cut in 0..octets.len() {
            let kind = if cut == 0 { ErrorKind::NoItem } else { ErrorKind::Truncated { missing: octets.len() - cut } };
            assert_eq!(ItemHeader::parse(&octets[..cut]), Err(Error { offset: 0, kind }));
        }
    }
    assert_eq!(ItemHeader::new(Format::Ascii, MAX_LENGTH + 1), None);
}
