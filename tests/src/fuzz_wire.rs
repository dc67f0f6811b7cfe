//! Harnesses for a fuzzer of messages: octets in, and a panic where something does not hold.

use crate::fuzz::{End, decode_all, split_sizes};
use crate::generate::encode;
use crate::reference::{Meaning, Plain, Stream};
use arbitrary::Unstructured;
use hsms_core::collect::Collector;
use hsms_core::connection::ControlFrame;
use hsms_core::frame::{Decoder, LengthTooShort};
use hsms_core::generate::{Chunking, OwnedMessage};
use hsms_core::wire::{EncodeError, Header, Hex, Kind, Message, PREFIX_LEN, ParseError, SessionId, SystemBytes};

/// Harness `message`: any octets. The message in front, or the error, is what the octets say; so it is at every cut; and what was parsed is
/// written as it was, where there is room for it.
pub fn message(data: &[u8]) {
    let plain = Stream::of(data);
    for cut in (0..=data.len()).filter(|cut| *cut <= 32 || data.len() - cut <= 2 || cut % 61 == 0) {
        parsed(&data[..cut]);
    }
    let Ok((message, rest)) = Message::parse(data) else { return };
    same(&message, &plain.messages[0]);
    let len = message.encoded_len().expect("it was there");
    assert_eq!(len + rest.len(), data.len());
    for room in [0, 4, PREFIX_LEN - 1, PREFIX_LEN, len - 1, len, len + 3] {
        let mut out = vec![0xEE; room];
        match message.encode(&mut out) {
            Ok(written) => {
                assert_eq!((written, &out[..written]), (len, &data[..len]));
                assert!(out[written..].iter().all(|octet| *octet == 0xEE), "written behind the message");
            }
            Err(error) => {
                assert_eq!(error, EncodeError::NoRoom { needed: len, room });
                assert!(room < len && out.iter().all(|octet| *octet == 0xEE), "written where there is no room");
            }
        }
    }
    let hex = Hex::new(message.body).to_string();
    assert_eq!(hex.len(), (3 * message.body.len()).saturating_sub(1));
    assert!(!format!("{message:?} {} {:?}", message.header, message.header).is_empty());
}

/// What [`Message::parse`] says of these octets is what is in front of them.
fn parsed(octets: &[u8]) {
    let length = octets.first_chunk().map(|length| u64::from(u32::from_be_bytes(*length)));
    match (Message::parse(octets), length) {
        (Err(ParseError::Incomplete { missing }), None) => assert_eq!(missing + octets.len() as u64, 4),
        (Err(ParseError::LengthTooShort { length: found }), Some(length)) => {
            assert!(length < 10 && u64::from(found) == length);
        }
        (Err(ParseError::Incomplete { missing }), Some(length)) => {
            assert!(length >= 10 && missing > 0 && missing + octets.len() as u64 == length + 4);
        }
        (Ok((message, rest)), Some(length)) => {
            assert_eq!(message.body.len() as u64 + 10, length);
            assert_eq!(message.body.len() + PREFIX_LEN + rest.len(), octets.len());
        }
        (found, length) => panic!("{found:?} with a length field of {length:?}"),
    }
}

/// The core's message, and the reference's: the same in every field and in what it means.
fn same(message: &Message<'_>, plain: &Plain) {
    let header = message.header;
    assert_eq!((header.session.0, header.system.0, message.body), (plain.session, plain.system, &plain.text[..]));
    assert_eq!([header.byte2, header.byte3, header.ptype.0, header.stype.0], plain.codes);
    let [second, third, ..] = plain.codes;
    let meaning = match header.kind() {
        Err(reason) => Meaning::Refused(reason.0),
        Ok(Kind::Data { stream_function, reply_expected }) => {
            Meaning::Data(stream_function.stream, stream_function.function, reply_expected)
        }
        Ok(Kind::SelectReq) => Meaning::Control(1, second, third),
        Ok(Kind::SelectRsp(status)) => Meaning::Control(2, second, status.0),
        Ok(Kind::DeselectReq) => Meaning::Control(3, second, third),
        Ok(Kind::DeselectRsp(status)) => Meaning::Control(4, second, status.0),
        Ok(Kind::LinktestReq) => Meaning::Control(5, second, third),
        Ok(Kind::LinktestRsp) => Meaning::Control(6, second, third),
        Ok(Kind::RejectReq { offender, reason }) => Meaning::Control(7, offender, reason.0),
        Ok(Kind::SeparateReq) => Meaning::Control(9, second, third),
    };
    assert_eq!(meaning, plain.meaning(), "{header}");
}

/// Harness `differential`: sizes, then a stream. In chunks of these sizes the core's decoder finds what a decoder finds that
/// was written without it and looks at one octet at a time: the same messages, the same end, at the same octet.
pub fn differential(data: &[u8]) {
    let (sizes, stream) = split_sizes(data);
    let plain = Stream::of(stream);
    let found = decode_all(&sizes.cut(stream));
    assert_eq!(found.messages.len(), plain.messages.len());
    for ((header, body), plain) in found.messages.iter().zip(&plain.messages) {
        same(&Message::new(*header, body), plain);
    }
    match (found.end, plain.impossible) {
        (End::LengthTooShort(length), Some(plain)) => assert_eq!(length, plain),
        (End::Between, None) => assert!(plain.behind.is_empty()),
        (End::Inside { received, begun }, None) => {
            assert_eq!(received, plain.behind.len() as u64);
            let text = plain.behind.get(PREFIX_LEN..);
            assert_eq!(begun.map(|(_, _, body)| body).as_deref(), text);
        }
        (end, plain) => panic!("{end:?}, and the reference found {plain:?}"),
    }
    // Octet by octet, the one that makes a length field impossible is the one that is refused.
    let (mut decoder, mut plain) = (Decoder::new(), Stream::default());
    for octet in stream {
        let before = decoder;
        plain.push(*octet);
        match decoder.decode(std::slice::from_ref(octet)) {
            Ok((1, piece)) => {
                assert_eq!(plain.impossible, None);
                assert_eq!(decoder.received(), plain.behind.len() as u64);
                assert_eq!(piece.is_some_and(|piece| piece.last()), plain.behind.is_empty());
            }
            Err(LengthTooShort { length }) => {
                assert_eq!((Some(length), decoder), (plain.impossible, before));
                break;
            }
            other => panic!("{other:?} of one octet"),
        }
    }
}

/// Harness `round_trip`: octets that messages, frames and chunk sizes are made of. Written and read again, in any chunks, they
/// are the same.
pub fn round_trip(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let sizes: Vec<usize> =
        (0..u.int_in_range(0..=7).unwrap_or(0)).map(|_| usize::from(u.arbitrary::<u8>().unwrap_or(1))).collect();
    let mut messages: Vec<OwnedMessage> = Vec::new();
    while !u.is_empty() && messages.len() < 32 {
        let message = if u.ratio(3, 4).unwrap_or(true) {
            u.arbitrary().expect("a message of any octets")
        } else {
            let frame: ControlFrame = u.arbitrary().expect("a frame of any octets");
            of_frame(&frame)
        };
        messages.push(message);
    }
    let mut stream = Vec::new();
    let mut collector = Collector::new(Vec::new(), usize::MAX);
    for message in &messages {
        let octets = encode(&message.header, &message.body);
        let (parsed, rest) = Message::parse(&octets).expect("it was just written");
        assert_eq!((parsed, rest), (message.as_message(), &[][..]));
        assert_eq!(Header::decode(&message.header.encode()), message.header);
        assert_eq!(
            message.header.encode_prefix(u32::try_from(message.body.len()).expect("short")),
            Ok(octets[..PREFIX_LEN].try_into().expect("14"))
        );
        rebuilt(&message.header);
        stream.extend(octets);
    }
    let pieces = Chunking(sizes).cut(&stream);
    let decoded = decode_all(&pieces);
    assert_eq!(decoded.end, End::Between);
    let found: Vec<_> = decoded.messages.into_iter().map(|(header, body)| OwnedMessage { header, body }).collect();
    assert_eq!(found, messages);

    let (mut decoder, mut collected) = (Decoder::new(), 0);
    for mut input in pieces {
        while !input.is_empty() {
            let (taken, piece) = decoder.decode(input).expect("lengths are right");
            if let Some(piece) = piece
                && let Some(message) = collector.push_piece(&piece).expect("there is room")
            {
                assert_eq!(message, messages[collected].as_message());
                collected += 1;
            }
            input = &input[taken..];
        }
    }
    assert_eq!(collected, messages.len());
}

/// The message that a frame of the machine's own is.
fn of_frame(frame: &ControlFrame) -> OwnedMessage {
    let octets = frame.encode();
    let (message, rest) = Message::parse(&octets).expect("a frame is one message");
    assert!(rest.is_empty());
    assert_eq!((message.header, message.body.len()), (frame.header(), frame.body_len() as usize));
    if let ControlFrame::Stream9 { about, .. } = frame {
        // E5 7.13: a binary item of the ten octets of the header.
        assert_eq!((&message.body[..2], &message.body[2..]), (&[0x21, 10][..], &about.encode()[..]));
    }
    message.into()
}

/// A header made of what a header means is the same but for what the meaning leaves out.
fn rebuilt(header: &Header) {
    let Ok(kind) = header.kind() else { return };
    let (system, session) = (header.system, header.session);
    let again = match kind {
        Kind::Data { stream_function, reply_expected } => {
            let again = Header::data(system, stream_function, reply_expected, session);
            assert_eq!(again, *header);
            return;
        }
        Kind::SelectReq => Header::select_req(system),
        Kind::SelectRsp(status) => Header::select_rsp(system).with_status(status.0),
        Kind::DeselectReq => Header::deselect_req(system),
        Kind::DeselectRsp(status) => Header::deselect_rsp(system).with_status(status.0),
        Kind::LinktestReq => Header::linktest_req(system),
        Kind::LinktestRsp => Header::linktest_rsp(system),
        Kind::RejectReq { offender, reason } => Header::reject_req(system, offender, reason),
        Kind::SeparateReq => Header::separate_req(system),
    };
    assert_eq!((again.kind(), again.session, again.system), (Ok(kind), SessionId::CONTROL, SystemBytes(system.0)));
    assert_eq!(again.with_session(session).session, session);
}
