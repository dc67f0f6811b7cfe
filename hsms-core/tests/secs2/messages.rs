//! Messages that every equipment or host has to do with: their octets, both ways, and texts that are not theirs.

use hsms_core::secs2::messages::{EstablishAck, Identity, SystemError, header_only};
use hsms_core::secs2::{Error, ErrorKind, Format, Sml, WriteError, Writer};
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};

type Text = heapless::Vec<u8, 128>;

fn text(fill: impl FnOnce(&mut Writer<Text>) -> Result<(), WriteError>) -> Text {
    let mut writer = Writer::new(Text::new());
    fill(&mut writer).unwrap();
    writer.finish().unwrap()
}

const EQUIPMENT: Identity<'_> = Identity::Equipment { mdln: "ETCHER", softrev: "1.0" };

#[test]
fn each_identity_has_its_text() {
    let equipment = text(|w| EQUIPMENT.write(w));
    assert_eq!(Sml::new(&equipment).to_string(), r#"<L [2] <A "ETCHER"> <A "1.0">>"#);
    assert_eq!(Identity::read(&equipment), Ok(EQUIPMENT));
    let host = text(|w| Identity::Host.write(w));
    assert_eq!(host, b"\x01\x00");
    assert_eq!(Identity::read(&host), Ok(Identity::Host));
    let kind = ErrorKind::OtherCount { format: Format::List, expected: 2, found: 1 };
    assert_eq!(Identity::read(b"\x01\x01\x41\x00"), Err(Error { offset: 0, kind }));
    // An empty item is no empty list.
    let kind = ErrorKind::OtherFormat { expected: Format::List, found: Format::Ascii };
    assert_eq!(Identity::read(b"\x41\x00"), Err(Error { offset: 0, kind }));
    let kind = ErrorKind::Trailing { octets: 1 };
    assert_eq!(Identity::read(b"\x01\x00\x00"), Err(Error { offset: 2, kind }));
    assert_eq!(Identity::read(b""), Err(Error { offset: 0, kind: ErrorKind::NoItem }));
}

#[test]
fn establishing_communication_is_accepted_or_denied_by_either_end() {
    for (commack, identity, sml) in [
        (0, EQUIPMENT, r#"<L [2] <B 0x00> <L [2] <A "ETCHER"> <A "1.0">>>"#),
        (1, Identity::Host, "<L [2] <B 0x01> <L [0]>>"),
    ] {
        let ack = EstablishAck { commack, identity };
        let text = text(|w| ack.write(w));
        assert_eq!(Sml::new(&text).to_string(), sml);
        assert_eq!(EstablishAck::read(&text), Ok(ack));
        for cut in 0..text.len() {
            assert!(EstablishAck::read(&text[..cut]).is_err());
        }
    }
    let refused = |text: &[u8]| EstablishAck::read(text).unwrap_err();
    let kind = ErrorKind::OtherCount { format: Format::Binary, expected: 1, found: 2 };
    assert_eq!(refused(b"\x01\x02\x21\x02\0\0\x01\x00"), Error { offset: 2, kind });
    let kind = ErrorKind::OtherFormat { expected: Format::Binary, found: Format::U1 };
    assert_eq!(refused(b"\x01\x02\xa5\x01\0\x01\x00"), Error { offset: 2, kind });
    let kind = ErrorKind::Trailing { octets: 1 };
    assert_eq!(refused(b"\x01\x02\x21\x01\0\x01\x00\0"), Error { offset: 7, kind });
}

#[test]
fn all_of_stream_9_goes_both_ways() {
    let about = Header::data(SystemBytes(0x0102_0304), StreamFunction::new(2, 41), true, SessionId(5));
    let head = [0, 5, 0x82, 41, 0, 0, 1, 2, 3, 4];
    for (function, error) in [
        (1, SystemError::UnrecognizedDeviceId(about)),
        (3, SystemError::UnrecognizedStream(about)),
        (5, SystemError::UnrecognizedFunction(about)),
        (7, SystemError::IllegalData(about)),
        (9, SystemError::TransactionTimeout(about)),
        (11, SystemError::DataTooLong(about)),
    ] {
        let text = text(|w| error.write(w));
        assert_eq!(text, [&[0x21, 10], &head[..]].concat()[..]);
        assert_eq!(error.stream_function(), StreamFunction::new(9, function));
        assert_eq!(SystemError::read(StreamFunction::new(9, function), &text), Some(Ok(error)));
        let kind = ErrorKind::OtherCount { format: Format::Binary, expected: 10, found: 9 };
        let short = [&[0x21, 9], &head[..9]].concat();
        assert_eq!(SystemError::read(error.stream_function(), &short), Some(Err(Error { offset: 0, kind })));
    }
    let timeout = SystemError::ConversationTimeout { expected: "S02F13", about: b"\xa5\x01\x07" };
    let text = text(|w| timeout.write(w));
    assert_eq!(Sml::new(&text).to_string(), r#"<L [2] <A "S02F13"> <U1 7>>"#);
    assert_eq!(SystemError::read(StreamFunction::new(9, 13), &text), Some(Ok(timeout)));
}

#[test]
fn a_text_that_is_not_that_of_stream_9_is_refused_where_it_differs() {
    let refused = |function, text: &[u8]| {
        let error = SystemError::read(StreamFunction::new(9, function), text).unwrap().unwrap_err();
        (error.offset, error.kind)
    };
    let other = |expected, found| ErrorKind::OtherFormat { expected, found };
    let whole = [&[0x21, 10][..], &[0; 10], &[0]].concat();
    for function in [1, 3, 5, 7, 9, 11] {
        assert_eq!(refused(function, b"\x41\x00"), (0, other(Format::Binary, Format::Ascii)));
        assert_eq!(refused(function, &whole), (12, ErrorKind::Trailing { octets: 1 }));
    }
    assert_eq!(refused(13, b"\x21\x00"), (0, other(Format::List, Format::Binary)));
    assert_eq!(refused(13, b"\x01\x02\x21\x00\x21\x00"), (2, other(Format::Ascii, Format::Binary)));
    assert_eq!(refused(13, b"\x01\x02\x41\x00\xa9\x01\0").0, 4);
    assert_eq!(refused(13, b"\x01\x02\x41\x00\x21\x00\0"), (6, ErrorKind::Trailing { octets: 1 }));
}

#[test]
fn other_messages_are_not_read_as_stream_9() {
    let head = [&[0x21, 10][..], &[0; 10]].concat();
    for stream in 0..=127 {
        for function in 0..=255 {
            let read = SystemError::read(StreamFunction::new(stream, function), &head);
            assert_eq!(read.is_some(), stream == 9 && matches!(function, 1 | 3 | 5 | 7 | 9 | 11 | 13));
        }
    }
}

#[test]
fn an_abort_has_no_text() {
    assert_eq!(header_only(b""), Ok(()));
    let kind = ErrorKind::Trailing { octets: 2 };
    assert_eq!(header_only(b"\x01\x00"), Err(Error { offset: 0, kind }));
}
