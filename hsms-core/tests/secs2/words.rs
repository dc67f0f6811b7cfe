//! What people read about texts that are wrong, and how values print while debugging.

use super::narrow::broken_off_at_every_octet;
use hsms_core::secs2::{Encoding, Error, ErrorKind, Format, Item, Localized, Reader, Sml, WriteError};

#[test]
fn every_error_of_reading_is_told_in_words() {
    for (kind, words) in [
        (ErrorKind::NoItem, "the text ends where an item was expected"),
        (ErrorKind::Truncated { missing: 2 }, "the item is cut off; octets missing: 2 or more"),
        (ErrorKind::UndefinedFormat { code: 9 }, "format code 11 (octal) is not defined"),
        (
            ErrorKind::NoLengthOctets { code: 9 },
            "item of format code 11 (octal) without length octets; 1 to 3 are possible",
        ),
        (
            ErrorKind::PartOfValue { format: Format::U4, length: 5 },
            "U4 of length 5, no multiple of the 4 that one value takes",
        ),
        (ErrorKind::NoEncoding { length: 1 }, "localized text of length 1, and its encoding alone takes 2"),
        (ErrorKind::OtherFormat { expected: Format::U4, found: Format::I4 }, "U4 was expected and I4 is there"),
        (ErrorKind::OtherCount { format: Format::U4, expected: 1, found: 2 }, "U4 was expected to hold 1, and holds 2"),
        (ErrorKind::NotAscii { octet: 0xb5 }, "octet 0xb5 in an ASCII item"),
        (ErrorKind::Trailing { octets: 3 }, "octets behind the item: 3"),
        (ErrorKind::TooDeep { limit: 32 }, "lists nested deeper than 32"),
        (ErrorKind::TooManyItems { limit: 32 }, "items beyond the limit of 32"),
        (ErrorKind::TooLarge { limit: 32, found: 33 }, "a text of length 33, and 32 is the limit"),
    ] {
        assert_eq!(kind.to_string(), words);
        assert_eq!(Error { offset: 5, kind }.to_string(), format!("at offset 5: {words}"));
    }
}

#[test]
fn every_error_of_writing_is_told_in_words() {
    for (error, words) in [
        (WriteError::NoRoom { missing: 2 }, "no room in the sink; octets missing: 2"),
        (WriteError::Refused, "the sink refused"),
        (WriteError::TooLong { length: 1 << 24 }, "an item of length 16777216; 16777215 is the most"),
        (WriteError::NotAscii { at: 3 }, "a character beyond ASCII at offset 3"),
        (WriteError::TextComplete, "the text has its item already"),
        (WriteError::ElementsMissing { missing: 2 }, "elements missing: 2"),
        (WriteError::TooDeep { limit: 4 }, "all lists of unknown count that there is room for are open: 4"),
        (WriteError::NoListOpen, "no list of unknown count is open"),
        (WriteError::ListsOpen { open: 2 }, "lists not ended: 2"),
        (
            WriteError::NoItem(Error { offset: 0, kind: ErrorKind::NoItem }),
            "not one encoded item: at offset 0: the text ends where an item was expected",
        ),
    ] {
        assert_eq!(error.to_string(), words);
    }
}

#[test]
fn items_and_values_print_while_debugging() {
    assert_eq!(format!("{:?}", Encoding::UTF_8), "Encoding(2)");
    assert_eq!(Encoding(0x8001).to_string(), "32769");
    assert_eq!(format!("{:?}", Sml::new(b"\xa5\x01\x07")), "<U1 7>");
    let Ok(Item::U2(values)) = Reader::new(b"\xa9\x06\0\x01\0\x02\0\x03").item() else { panic!("U2") };
    assert_eq!(format!("{values:?}"), "[1, 2, 3]");
    assert_eq!(values.one(), None);
    let Ok(Item::U2(value)) = Reader::new(b"\xa9\x02\0\x01").item() else { panic!("U2") };
    assert_eq!(value.one(), Some(1));
    let mut rest = values.iter();
    assert_eq!(rest.next(), Some(1));
    assert_eq!(format!("{rest:?}"), "[2, 3]");
    assert_eq!(rest.clone().nth(1), Some(3));
    assert_eq!(rest.clone().nth(2), None);
    assert!(rest.eq([2, 3]));
    #[allow(clippy::clone_on_copy, reason = "generic code clones what happens to be Copy")]
    let copy = values.clone();
    assert_eq!(copy, values);
}

#[test]
fn texts_are_broken_off_where_the_log_takes_no_more() {
    let text = b"\x01\x03\x41\x02A\x07\x49\x04\0\x02ok\xa5\x02\x01\x02";
    assert_eq!(Sml::new(text).to_string(), r#"<L [3] <A "A" 0x07> <C2 2 "ok"> <U1 1 2>>"#);
    broken_off_at_every_octet(&Sml::new(text));
    // A limit of its own inside that of the log, and the other way round.
    for limit in 0..50 {
        broken_off_at_every_octet(&Sml::new(text).limited(limit));
    }
    broken_off_at_every_octet(&Sml::new(&text[..14]));
}

#[cfg(all(feature = "alloc", feature = "serde"))]
#[test]
fn an_error_with_a_path_is_broken_off_where_the_log_takes_no_more() {
    use std::collections::BTreeMap;
    #[derive(Debug, serde::Deserialize)]
    struct Outer {
        #[expect(dead_code, reason = "only read")]
        inner: Vec<BTreeMap<u8, u8>>,
    }
    let error = hsms_core::secs2::serde::from_text::<Outer>(b"\x01\x01\x01\x01\xa5\x01\x07").unwrap_err();
    assert_eq!(error.to_string(), "inner[0]: at offset 4: invalid type: integer `7`, expected a map");
    broken_off_at_every_octet(&error);
}

#[test]
fn a_localized_text_is_taken_with_its_encoding_or_left() {
    let mut reader = Reader::new(b"\x49\x04\0\x02ok");
    assert_eq!(reader.localized(), Ok(Localized { encoding: Encoding::UTF_8, octets: b"ok" }));
    assert_eq!(reader.finish(), Ok(()));
    let mut short = Reader::new(b"\x49\x01\0");
    assert_eq!(short.localized(), Err(Error { offset: 0, kind: ErrorKind::NoEncoding { length: 1 } }));
    assert_eq!(short.position(), 0);
    let kind = ErrorKind::OtherFormat { expected: Format::Localized, found: Format::Ascii };
    assert_eq!(Reader::new(b"\x41\x00").localized(), Err(Error { offset: 0, kind }));
}
