//! What a reader tells of texts that are not as expected, and that it stays where it was.

use hsms_core::secs2::{Error, ErrorKind, Format, Reader};

/// `<L [2] <A "ABC"> <L [1] <U4 1 2>>>`
const TEXT: &[u8] = b"\x01\x02\x41\x03ABC\x01\x01\xb1\x08\x00\x00\x00\x01\x00\x00\x00\x02";

#[test]
fn header_only_is_no_empty_list() {
    let header_only = Reader::new(b"");
    assert!(header_only.is_empty());
    assert_eq!(header_only.clone().finish(), Ok(()));
    assert_eq!(header_only.clone().list(), Err(Error { offset: 0, kind: ErrorKind::NoItem }));
    assert_eq!(header_only.clone().skip(), Err(Error { offset: 0, kind: ErrorKind::NoItem }));
    let mut empty_list = Reader::new(b"\x01\x00");
    assert!(!empty_list.is_empty());
    assert_eq!(empty_list.list(), Ok(0));
    assert_eq!(empty_list.finish(), Ok(()));
}

#[test]
fn a_failed_read_says_where_and_what_and_changes_nothing() {
    let mut reader = Reader::new(TEXT);
    let other = |offset, expected, found| Error { offset, kind: ErrorKind::OtherFormat { expected, found } };
    let count =
        |offset, format, expected, found| Error { offset, kind: ErrorKind::OtherCount { format, expected, found } };
    assert_eq!(reader.ascii(), Err(other(0, Format::Ascii, Format::List)));
    assert_eq!(reader.list_of(3), Err(count(0, Format::List, 3, 2)));
    assert_eq!(reader.position(), 0);
    assert_eq!(reader.list_of(2), Ok(()));

    let at_name = reader.rest();
    assert_eq!(reader.list(), Err(other(2, Format::List, Format::Ascii)));
    assert_eq!(reader.u4(), Err(other(2, Format::U4, Format::Ascii)));
    assert_eq!(reader.values::<i16>(), Err(other(2, Format::I2, Format::Ascii)));
    assert_eq!(reader.binary(), Err(other(2, Format::Binary, Format::Ascii)));
    assert_eq!(reader.jis8(), Err(other(2, Format::Jis8, Format::Ascii)));
    assert_eq!(reader.localized(), Err(other(2, Format::Localized, Format::Ascii)));
    assert_eq!(reader.elements().map(|_| ()), Err(other(2, Format::List, Format::Ascii)));
    assert_eq!((reader.position(), reader.rest()), (2, at_name));
    assert_eq!(reader.peek().map(|header| (header.format(), header.length())), Ok((Format::Ascii, 3)));
    assert_eq!(reader.ascii(), Ok("ABC"));

    assert_eq!(reader.raw(), Ok(&TEXT[7..]));
    assert_eq!(reader.finish(), Ok(()));
    let mut reader = Reader::new(&TEXT[7..]);
    reader.list_of(1).unwrap();
    assert_eq!(reader.u4(), Err(count(2, Format::U4, 1, 2)));
    assert_eq!(reader.position(), 2);
    assert_eq!(reader.values::<u32>().unwrap().iter().sum::<u32>(), 3);
}

#[test]
fn trailing_octets_are_reported_with_their_number() {
    let mut reader = Reader::new(b"\xa5\x01\x07\x00\x00");
    assert_eq!(reader.u1(), Ok(7));
    assert_eq!(reader.finish(), Err(Error { offset: 3, kind: ErrorKind::Trailing { octets: 2 } }));
}

#[test]
fn another_format_is_reported_even_where_the_item_is_truncated() {
    let error = Reader::new(b"\x41\x03A").u4().unwrap_err();
    assert_eq!(error.kind, ErrorKind::OtherFormat { expected: Format::U4, found: Format::Ascii });
    let error = Reader::new(b"\x41\x03A").ascii().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Truncated { missing: 2 });
}

#[test]
fn octets_that_are_not_ascii_are_found_where_they_are_and_stay_readable() {
    let text = b"\x01\x01\x41\x05ab\xb5m\xff";
    let mut reader = Reader::new(text);
    reader.list_of(1).unwrap();
    assert_eq!(reader.ascii(), Err(Error { offset: 6, kind: ErrorKind::NotAscii { octet: 0xb5 } }));
    // UTF-8 is not ASCII either.
    let utf8 = Reader::new("\x41\x02µ".as_bytes()).ascii().unwrap_err();
    assert_eq!(utf8, Error { offset: 2, kind: ErrorKind::NotAscii { octet: 0xc2 } });
    assert_eq!(reader.ascii_octets(), Ok(&b"ab\xb5m\xff"[..]));
}

#[test]
fn elements_are_readers_of_their_own_with_offsets_of_the_whole_text() {
    let mut reader = Reader::new(TEXT);
    let elements = reader.elements().unwrap();
    assert!(reader.is_empty());
    assert_eq!(elements.len(), 2);
    let found: Vec<(usize, usize)> =
        elements.clone().map(|element| (element.position(), element.rest().len())).collect();
    assert_eq!(found, [(2, 5), (7, 12)]);
    let mut inner = elements.last().unwrap().elements().unwrap();
    let mut numbers = inner.next().unwrap();
    assert_eq!(numbers.clone().u1().unwrap_err().offset, 9);
    assert_eq!(numbers.values::<u32>().unwrap().len(), 2);
    assert_eq!(numbers.finish(), Ok(()));
    assert!(inner.next().is_none());

    // An element that is malformed is found when the list is taken.
    let mut broken = Reader::new(b"\x01\x02\xa5\x01\x07\xa9\x01\x07");
    let kind = ErrorKind::PartOfValue { format: Format::U2, length: 1 };
    assert_eq!(broken.elements().map(|_| ()), Err(Error { offset: 5, kind }));
    assert_eq!(broken.position(), 0);
}

#[test]
fn a_localized_text_without_its_encoding_is_refused() {
    for length in [0, 1] {
        let text = [0x49, length, 0, 0];
        let kind = ErrorKind::NoEncoding { length: u32::from(length) };
        assert_eq!(Reader::new(&text).localized(), Err(Error { offset: 0, kind }));
        assert_eq!(Reader::new(&text).item().map(|_| ()), Err(Error { offset: 0, kind }));
    }
}

#[test]
fn errors_read_in_plain_words() {
    let said = |text: &[u8]| Reader::new(text).skip().unwrap_err().to_string();
    assert_eq!(said(b""), "at offset 0: the text ends where an item was expected");
    assert_eq!(said(b"\x41\x05AB"), "at offset 0: the item is cut off; octets missing: 3 or more");
    assert_eq!(said(b"\x01\x01\x05\x00"), "at offset 2: format code 01 (octal) is not defined");
    assert_eq!(
        said(b"\x40\x00"),
        "at offset 0: item of format code 20 (octal) without length octets; 1 to 3 are possible"
    );
    assert_eq!(said(b"\xb1\x03\0\0\0"), "at offset 0: U4 of length 3, no multiple of the 4 that one value takes");
    assert_eq!(said(b"\x49\x01\0"), "at offset 0: localized text of length 1, and its encoding alone takes 2");
    let error = Reader::new(b"\xa5\x02\0\0").u1().unwrap_err();
    assert_eq!(error.to_string(), "at offset 0: U1 was expected to hold 1, and holds 2");
    let error = Reader::new(b"\x01\x00").list_of(2).unwrap_err();
    assert_eq!(error.to_string(), "at offset 0: L was expected to hold 2, and holds 0");
}

#[test]
fn only_the_format_octet_with_one_length_octet_begins_a_short_item() {
    for first in 0..=255 {
        let read = |text: &[u8]| {
            let mut text = text.to_vec();
            text[0] = first;
            let mut reader = Reader::new(&text);
            (reader.clone().u1().is_ok(), reader.clone().u4().is_ok(), reader.values::<u16>().is_ok())
        };
        let (u1, u2, u4) = (first == 0xa5, first == 0xa9, first == 0xb1);
        assert_eq!(read(&[0, 1, 7]), (u1, false, false), "{first:#x}");
        assert_eq!(read(&[0, 2, 0, 7]), (false, false, u2), "{first:#x}");
        assert_eq!(read(&[0, 4, 0, 0, 0, 7]), (false, u4, u2), "{first:#x}");
    }
}

#[test]
fn one_value_has_the_octets_of_one() {
    for length in [0, 1, 3, 5, 8] {
        let text = [0xb1, length, 0, 0, 0, 7, 0, 0, 0, 8];
        assert!(Reader::new(&text).u4().is_err(), "{length} octets");
    }
}

#[test]
fn a_list_whose_elements_cannot_be_there_is_none_and_one_whose_elements_just_can_is() {
    for octets in 0..6 {
        let text = [0x01, 2, 0x21, 0, 0x21, 0, 0];
        let there = Reader::new(&text[..2 + octets]).list();
        assert_eq!(there.is_ok(), octets >= 4, "{octets} octets: {there:?}");
        assert_eq!(Reader::new(&text[..2 + octets]).elements().is_ok(), octets >= 4, "{octets} octets");
    }
}

#[test]
fn values_are_counted_compared_and_say_how_many_are_left() {
    let text = [0xa9, 4, 0, 7, 0, 8, 0xa9, 4, 0, 7, 0, 9, 0xa9, 0];
    let mut reader = Reader::new(&text);
    let [one, other, none] = [(); 3].map(|()| reader.values::<u16>().unwrap());
    assert_eq!((one.is_empty(), none.is_empty()), (false, true));
    assert_ne!(one, other);
    assert_ne!(one, none);
    let mut left = one.iter();
    assert_eq!(left.size_hint(), (2, Some(2)));
    left.next();
    left.next();
    assert_eq!(left.size_hint(), (0, Some(0)));
}

#[test]
fn a_short_localized_text_is_skipped_checked_and_read() {
    let text = [0x49, 3, 0, 1, b'a'];
    assert_eq!(Reader::new(&text).raw(), Ok(&text[..]));
    assert_eq!(hsms_core::secs2::check(&text, hsms_core::secs2::Limits::NONE).map(|of| of.items), Ok(1));
    assert_eq!(Reader::new(&text).localized().map(|text| text.octets), Ok(&b"a"[..]));
    for without_encoding in [&[0x49, 0][..], &[0x49, 1, 0]] {
        assert!(hsms_core::secs2::check(without_encoding, hsms_core::secs2::Limits::NONE).is_err());
    }
}
