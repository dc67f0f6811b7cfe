//! Golden frames, the printed forms, every code, and the numbering of transactions.

use hsms_core::Error;
use hsms_core::config::{Config, ConnectMode, DeviceId};
use hsms_core::connection::{Action, Connection, ControlFrame, Event, Notice, State, TransactionEnd};
use hsms_core::frame::{Decoder, LengthTooShort};
use hsms_core::time::Instant;
use hsms_core::wire::{
    BodyTooLong, DeselectStatus, EncodeError, Header, Hex, Kind, MAX_BODY_LEN, Message, PType, ParseError,
    RejectReason, SType, SelectStatus, SessionId, StreamFunction, SystemBytes, TransactionKind,
};

#[allow(unused_imports, unused_macros, reason = "every test program uses a part of it")]
mod support;

/// Colons do not count, nor do spaces.
fn octets(hex: &str) -> Vec<u8> {
    support::hex(&hex.replace(':', " "))
}

/// The frame of a message.
fn encode(header: &Header, body: &[u8]) -> Vec<u8> {
    let mut octets = vec![0; body.len() + 14];
    assert_eq!(Message::new(*header, body).encode(&mut octets), Ok(octets.len()));
    octets
}

const fn system(value: u32) -> SystemBytes {
    SystemBytes(value)
}

const fn data(number: u32, stream: u8, function: u8, reply_expected: bool, session: u16) -> Header {
    Header::data(SystemBytes(number), StreamFunction::new(stream, function), reply_expected, SessionId(session))
}

const fn data_kind(stream: u8, function: u8, reply_expected: bool) -> Kind {
    Kind::Data { stream_function: StreamFunction::new(stream, function), reply_expected }
}

/// A frame, what it consists of, and what it means.
struct Vector {
    frame: &'static str,
    header: Header,
    body: &'static str,
    kind: Kind,
}

const fn vector(frame: &'static str, header: Header, kind: Kind) -> Vector {
    Vector { frame, header, body: "", kind }
}

fn vectors() -> Vec<Vector> {
    let rejected = |offender, reason| Kind::RejectReq { offender, reason: RejectReason(reason) };
    vec![
        vector("0000000A FFFF 00 00 00 01 00000001", Header::select_req(system(1)), Kind::SelectReq),
        vector(
            "0000000A FFFF 00 00 00 02 00000001",
            Header::select_rsp(system(1)),
            Kind::SelectRsp(SelectStatus::COMMUNICATION_ESTABLISHED),
        ),
        vector(
            "0000000A FFFF 00 01 00 02 00000001",
            Header::select_rsp(system(1)).with_status(1),
            Kind::SelectRsp(SelectStatus::COMMUNICATION_ALREADY_ACTIVE),
        ),
        vector(
            "0000000A 0064 00 00 00 03 00000002",
            Header::deselect_req(system(2)).with_session(SessionId(100)),
            Kind::DeselectReq,
        ),
        vector(
            "0000000A 0064 00 02 00 04 00000002",
            Header::deselect_rsp(system(2)).with_session(SessionId(100)).with_status(2),
            Kind::DeselectRsp(DeselectStatus::COMMUNICATION_BUSY),
        ),
        vector("0000000A FFFF 00 00 00 05 00000003", Header::linktest_req(system(3)), Kind::LinktestReq),
        vector("0000000A FFFF 00 00 00 06 00000003", Header::linktest_rsp(system(3)), Kind::LinktestRsp),
        // About an unknown SType 0x0B.
        vector(
            "0000000A FFFF 0B 01 00 07 00000004",
            Header::reject_req(system(4), 0x0B, RejectReason::STYPE_NOT_SUPPORTED),
            rejected(0x0B, 1),
        ),
        // About PType 1 on a data message of device 1.
        vector(
            "0000000A 0001 01 02 00 07 00000005",
            Header::reject_req(system(5), 1, RejectReason::PTYPE_NOT_SUPPORTED).with_session(SessionId(1)),
            rejected(1, 2),
        ),
        // About a Linktest.rsp that answers nothing.
        vector(
            "0000000A FFFF 06 03 00 07 00000063",
            Header::reject_req(system(0x63), 6, RejectReason::TRANSACTION_NOT_OPEN),
            rejected(6, 3),
        ),
        // About data of device 1 while not selected.
        vector(
            "0000000A 0001 00 04 00 07 00000006",
            Header::reject_req(system(6), 0, RejectReason::ENTITY_NOT_SELECTED).with_session(SessionId(1)),
            rejected(0, 4),
        ),
        vector("0000000A FFFF 00 00 00 09 00000007", Header::separate_req(system(7)), Kind::SeparateReq),
        vector("0000000A 0001 81 01 00 00 00000008", data(8, 1, 1, true, 1), data_kind(1, 1, true)),
        Vector {
            frame: "00000016 0001 01 02 00 00 00000008 0102 4103414243 4103312E30",
            header: data(8, 1, 2, false, 1),
            body: "0102 4103414243 4103312E30",
            kind: data_kind(1, 2, false),
        },
        vector("0000000A 0001 01 00 00 00 00000008", data(8, 1, 0, false, 1), data_kind(1, 0, false)),
        Vector {
            frame: "00000016 0001 09 09 00 00 00000009 210A 0001 81 01 00 00 00000008",
            header: data(9, 9, 9, false, 1),
            body: "210A 0001 81 01 00 00 00000008",
            kind: data_kind(9, 9, false),
        },
    ]
}

#[test]
fn every_golden_frame_is_read_and_written_octet_by_octet() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 16);
    for Vector { frame, header, body, kind } in vectors {
        let (name, frame, body) = (frame, octets(frame), octets(body));
        let (message, rest) = Message::parse(&frame).unwrap();
        assert_eq!((message.header, message.body, rest), (header, &body[..], &[][..]), "{name}");
        assert_eq!(message.header.kind(), Ok(kind), "{name}");
        assert_eq!(message.encoded_len(), Some(frame.len()), "{name}");
        assert_eq!(encode(&header, &body), frame, "{name}");

        let body_len = u32::try_from(body.len()).unwrap();
        assert_eq!(header.encode_prefix(body_len).unwrap(), frame[..14], "{name}");
        let (taken, piece) = Decoder::new().decode(&frame).unwrap();
        let piece = piece.unwrap();
        assert_eq!((taken, piece.header, piece.body), (frame.len(), header, &body[..]), "{name}");
        assert!(piece.first() && piece.last(), "{name}");
        if body.is_empty() {
            assert_eq!(header.encode_alone(), frame[..], "{name}");
        }
    }
}

#[test]
fn a_decoder_begins_between_two_messages() {
    let decoder = Decoder::default();
    assert_eq!(decoder, Decoder::new());
    assert_eq!((decoder.in_message(), decoder.body_left(), decoder.received()), (false, 0, 0));
}

#[test]
fn the_error_message_that_the_machine_makes_is_the_golden_one() {
    let about = data(8, 1, 1, true, 1);
    let frame = ControlFrame::Stream9 { function: 9, session: SessionId(1), system: system(9), about };
    assert_eq!(frame.encode()[..], octets("00000016 0001 09 09 00 00 00000009 210A 0001 81 01 00 00 00000008"));
    assert_eq!(frame.header(), data(9, 9, 9, false, 1));
}

#[test]
fn every_constructor_makes_the_octets_that_secsgem_makes() {
    let constructed = [
        (Header::select_req(system(14)), "ffff 00 00 00 01 0000000e"),
        (Header::select_rsp(system(24)), "ffff 00 00 00 02 00000018"),
        (Header::deselect_req(system(1)), "ffff 00 00 00 03 00000001"),
        (Header::deselect_rsp(system(1)), "ffff 00 00 00 04 00000001"),
        (Header::linktest_req(system(2)), "ffff 00 00 00 05 00000002"),
        (Header::linktest_rsp(system(10)), "ffff 00 00 00 06 0000000a"),
        (Header::reject_req(system(17), 3, RejectReason(4)), "ffff 03 04 00 07 00000011"),
        (Header::separate_req(system(17)), "ffff 00 00 00 09 00000011"),
        (data(22, 1, 1, true, 100), "0064 81 01 00 00 00000016"),
    ];
    for (header, expected) in constructed {
        let expected = octets(expected);
        assert_eq!(header.encode()[..], expected);
        assert_eq!(encode(&header, &[]), [&octets("0000000a")[..], &expected].concat());
        assert_eq!(Header::decode(&expected.try_into().unwrap()), header);
    }
}

#[test]
fn a_linktest_request_prints_its_octets_as_format_hex_does() {
    let frame = Header::linktest_req(system(2)).encode_alone();
    assert_eq!(Hex::new(&frame).to_string(), "00:00:00:0a:ff:ff:00:00:00:05:00:00:00:02");
    assert_eq!(octets("00:00:00:0a:ff:ff:00:00:00:05:00:00:00:02"), frame);
    assert_eq!(Hex::new(&[]).to_string(), "");
    assert_eq!(Hex::new(&[0xAB]).to_string(), "ab");
}

/// Session, W-bit and stream, function, PType, SType and system bytes of a header.
fn raw(session: u16, byte2: u8, byte3: u8, ptype: u8, stype: u8, number: u32) -> Header {
    Header {
        session: SessionId(session),
        byte2,
        byte3,
        ptype: PType(ptype),
        stype: SType(stype),
        system: SystemBytes(number),
    }
}

#[test]
fn a_header_prints_the_line_that_secsgem_prints() {
    let printed = [
        (
            raw(0, 0, 4, 0, 7, 0),
            "{session_id:0x0000, stream:00, function:04, p_type:0x00, s_type:0x07, system:0x00000000, require_response:0}",
        ),
        (
            raw(0, 0, 1, 0, 7, 0),
            "{session_id:0x0000, stream:00, function:01, p_type:0x00, s_type:0x07, system:0x00000000, require_response:0}",
        ),
        (
            Header::select_req(system(1)),
            "{session_id:0xffff, stream:00, function:00, p_type:0x00, s_type:0x01, system:0x00000001, require_response:0}",
        ),
        (
            raw(0, 0, 3, 0, 7, 0),
            "{session_id:0x0000, stream:00, function:03, p_type:0x00, s_type:0x07, system:0x00000000, require_response:0}",
        ),
        (
            Header::select_req(system(3)),
            "{session_id:0xffff, stream:00, function:00, p_type:0x00, s_type:0x01, system:0x00000003, require_response:0}",
        ),
        (
            data(0xDEAD_BEEF, 1, 13, true, 100),
            "{session_id:0x0064, stream:01, function:13, p_type:0x00, s_type:0x00, system:0xdeadbeef, require_response:1}",
        ),
        (
            raw(0xABCD, 0xFF, 0xFF, 0xFE, 0xFD, u32::MAX),
            "{session_id:0xabcd, stream:127, function:255, p_type:0xfe, s_type:0xfd, system:0xffffffff, require_response:1}",
        ),
    ];
    for (header, expected) in printed {
        assert_eq!(header.to_string(), expected);
    }
}

#[test]
fn debug_names_the_message_and_prints_its_seven_fields_and_length() {
    let named = [
        (data(1, 1, 1, true, 1), "StreamFunction"),
        (Header::select_req(system(1)), "SelectReq"),
        (Header::select_rsp(system(1)), "SelectRsp"),
        (Header::deselect_req(system(1)), "DeselectReq"),
        (Header::deselect_rsp(system(1)), "DeselectRsp"),
        (Header::linktest_req(system(1)), "LinktestReq"),
        (Header::linktest_rsp(system(1)), "LinktestRsp"),
        (Header::reject_req(system(1), 0, RejectReason(4)), "RejectReq"),
        (Header::separate_req(system(1)), "SeparateReq"),
        (raw(1, 0x81, 1, 0, 8, 1), "Unknown"),
        (raw(1, 0x81, 1, 0, 200, 1), "Unknown"),
        (raw(1, 0x81, 1, 1, 0, 1), "Unknown"),
    ];
    for (header, name) in named {
        assert_eq!(format!("{header:?}"), format!("{name}{header}"));
        assert_eq!(header.name(), name);
        assert_eq!(format!("{:?}", Message::new(header, b"abc")), format!("{name}{header} with 3 octets"));
    }
    assert_eq!(
        format!("{:?}", Message::new(Header::linktest_req(system(2)), &[])),
        "LinktestReq{session_id:0xffff, stream:00, function:00, p_type:0x00, s_type:0x05, system:0x00000002, \
         require_response:0} with 0 octets"
    );
}

#[test]
fn the_seven_fields_of_any_header_can_be_read() {
    for (ptype, stype) in [(0, 0), (0, 7), (0, 8), (7, 250)] {
        let header = Header::decode(&[0x12, 0x34, 0x86, 0x0B, ptype, stype, 0xA1, 0xB2, 0xC3, 0xD4]);
        assert_eq!(header.session, SessionId(0x1234));
        assert!(header.reply_expected());
        assert_eq!((header.stream(), header.function()), (6, 11));
        assert_eq!(header.stream_function(), StreamFunction::new(6, 11));
        assert_eq!((header.ptype, header.stype), (PType(ptype), SType(stype)));
        assert_eq!(header.system, SystemBytes(0xA1B2_C3D4));
    }
}

/// Of all types of message, with any W-bit and function: those that want an answer.
#[test]
fn a_transaction_begins_with_data_that_have_the_w_bit_and_with_the_requests_that_are_answered() {
    for (ptype, stype, byte2) in
        (0..=1).flat_map(|ptype| (0..=u8::MAX).flat_map(move |stype| [0x06, 0x86].map(|byte2| (ptype, stype, byte2))))
    {
        let expected = match (ptype, stype, byte2) {
            (0, 0, 0x86) => Some(TransactionKind::Data),
            (0, 1, _) => Some(TransactionKind::Select),
            (0, 3, _) => Some(TransactionKind::Deselect),
            (0, 5, _) => Some(TransactionKind::Linktest),
            _ => None,
        };
        assert_eq!(raw(1, byte2, 11, ptype, stype, 1).begins(), expected, "{ptype} {stype} {byte2:#x}");
    }
}

#[test]
fn every_value_of_every_octet_survives_decoding_and_encoding() {
    for background in [0x00, 0xFF, 0xA5] {
        for place in 0..10 {
            for value in 0..=u8::MAX {
                let mut octets = [background; 10];
                octets[place] = value;
                let header = Header::decode(&octets);
                assert_eq!(header.encode(), octets);
                let frame = encode(&header, &[value]);
                let (message, rest) = Message::parse(&frame).unwrap();
                assert_eq!((message.header, message.body, rest), (header, &[value][..], &[][..]));
            }
        }
    }
}

#[test]
fn every_ptype_and_stype_means_what_the_standard_says_or_is_refused_with_its_reason() {
    for ptype in 0..=u8::MAX {
        for stype in 0..=u8::MAX {
            let header = raw(1, 0x83, 5, ptype, stype, 1);
            let expected = match (ptype, stype) {
                (1.., _) => Err(RejectReason(2)),
                (0, 0) => Ok(data_kind(3, 5, true)),
                (0, 1) => Ok(Kind::SelectReq),
                (0, 2) => Ok(Kind::SelectRsp(SelectStatus(5))),
                (0, 3) => Ok(Kind::DeselectReq),
                (0, 4) => Ok(Kind::DeselectRsp(DeselectStatus(5))),
                (0, 5) => Ok(Kind::LinktestReq),
                (0, 6) => Ok(Kind::LinktestRsp),
                (0, 7) => Ok(Kind::RejectReq { offender: 0x83, reason: RejectReason(5) }),
                (0, 9) => Ok(Kind::SeparateReq),
                (0, 8 | 10..) => Err(RejectReason(1)),
            };
            assert_eq!(header.kind(), expected, "PType {ptype}, SType {stype}");
            assert_eq!(header.name() == "Unknown", expected.is_err());
        }
    }
}

#[test]
fn every_value_of_every_code_is_kept_and_the_named_ones_have_the_standards_numbers() {
    for value in 0..=u8::MAX {
        let select = Header::select_rsp(system(1)).with_status(value);
        assert_eq!(select.kind(), Ok(Kind::SelectRsp(SelectStatus(value))));
        let deselect = Header::deselect_rsp(system(1)).with_status(value);
        assert_eq!(deselect.kind(), Ok(Kind::DeselectRsp(DeselectStatus(value))));
        for offender in [0, 7, value] {
            let reject = Header::reject_req(system(1), offender, RejectReason(value));
            assert_eq!(reject.kind(), Ok(Kind::RejectReq { offender, reason: RejectReason(value) }));
            assert_eq!((reject.encode()[2], reject.encode()[3]), (offender, value));
        }
        assert_eq!((select.encode()[3], deselect.encode()[3]), (value, value));

        // Only what a standard names has a name, and what has none prints as its number.
        assert_eq!(SelectStatus(value).name().is_some(), value <= 6);
        assert_eq!(DeselectStatus(value).name().is_some(), value <= 2);
        assert_eq!(RejectReason(value).name().is_some(), (1..=4).contains(&value));
        assert_eq!(SType(value).name().is_some(), value <= 7 || value == 9);
        assert_eq!(PType(value).name().is_some(), value == 0);
        for (text, name) in [
            (SelectStatus(value).to_string(), SelectStatus(value).name()),
            (DeselectStatus(value).to_string(), DeselectStatus(value).name()),
            (RejectReason(value).to_string(), RejectReason(value).name()),
            (SType(value).to_string(), SType(value).name()),
            (PType(value).to_string(), PType(value).name()),
        ] {
            assert_eq!(text, name.map_or(value.to_string(), |name| format!("{value} ({name})")));
        }
    }
    let select = [
        SelectStatus::COMMUNICATION_ESTABLISHED,
        SelectStatus::COMMUNICATION_ALREADY_ACTIVE,
        SelectStatus::CONNECTION_NOT_READY,
        SelectStatus::CONNECT_EXHAUST,
        SelectStatus::NO_SUCH_ENTITY,
        SelectStatus::ENTITY_IN_USE,
        SelectStatus::ENTITY_SELECTED,
    ];
    assert_eq!(select.map(u8::from), [0, 1, 2, 3, 4, 5, 6]);
    let deselect = [
        DeselectStatus::COMMUNICATION_ENDED,
        DeselectStatus::COMMUNICATION_NOT_ESTABLISHED,
        DeselectStatus::COMMUNICATION_BUSY,
    ];
    assert_eq!(deselect.map(u8::from), [0, 1, 2]);
    let reject = [
        RejectReason::STYPE_NOT_SUPPORTED,
        RejectReason::PTYPE_NOT_SUPPORTED,
        RejectReason::TRANSACTION_NOT_OPEN,
        RejectReason::ENTITY_NOT_SELECTED,
    ];
    assert_eq!(reject.map(u8::from), [1, 2, 3, 4]);
}

#[test]
fn every_stream_and_function_survives_with_and_without_the_w_bit() {
    for stream in 0..=127 {
        for function in 0..=u8::MAX {
            for reply_expected in [false, true] {
                let stream_function = StreamFunction::new(stream, function);
                let header = Header::data(system(1), stream_function, reply_expected, SessionId(1));
                assert_eq!(header.kind(), Ok(Kind::Data { stream_function, reply_expected }));
                assert_eq!(header.byte2, stream + if reply_expected { 128 } else { 0 });
                let odd = function % 2 == 1;
                let reply = odd.then(|| StreamFunction::new(stream, function.wrapping_add(1)));
                assert_eq!((stream_function.is_primary(), stream_function.reply()), (odd, reply));
                assert_eq!(stream_function.is_abort(), function == 0);
                assert_eq!(stream_function.to_string(), format!("S{stream}F{function}"));
            }
        }
    }
}

#[test]
fn a_length_below_ten_is_an_error_as_soon_as_the_length_is_there() {
    for length in 0..10_u32 {
        let mut frame = length.to_be_bytes().to_vec();
        frame.extend([0xFF; 30]);
        for have in 4..frame.len() {
            assert_eq!(Message::parse(&frame[..have]), Err(ParseError::LengthTooShort { length }));
            assert_eq!(Decoder::new().decode(&frame[..have]), Err(LengthTooShort { length }));
        }
        // And wherever the stream is cut.
        for cut in 1..4 {
            for have in 4..frame.len() {
                let mut decoder = Decoder::new();
                assert_eq!(decoder.decode(&frame[..cut]), Ok((cut, None)));
                let before = decoder;
                assert_eq!(decoder.decode(&frame[cut..have]), Err(LengthTooShort { length }));
                assert_eq!(decoder, before, "an error moves nothing");
            }
        }
    }
    let error = ParseError::LengthTooShort { length: 9 };
    assert_eq!(error.to_string(), "the length field says 9, and a header alone takes 10");
}

#[test]
fn a_message_that_is_not_all_there_tells_how_much_is_missing() {
    for body_len in [0, 1, 2, 243, 300] {
        let frame = encode(&data(8, 1, 1, true, 1), &vec![0x21; body_len]);
        for have in 0..frame.len() {
            let missing = if have < 4 { 4 - have } else { frame.len() - have };
            let missing = u64::try_from(missing).unwrap();
            assert_eq!(Message::parse(&frame[..have]), Err(ParseError::Incomplete { missing }));
        }
    }
    // Nothing is missing of the address space either: a length is no promise.
    let claim = [0xFF; 20];
    assert_eq!(Message::parse(&claim), Err(ParseError::Incomplete { missing: (1 << 32) + 3 - 20 }));
    let error = ParseError::Incomplete { missing: 7 };
    assert_eq!(error.to_string(), "the message goes on: 7 octets are missing");
}

#[test]
fn a_message_that_does_not_fit_writes_nothing_and_tells_both_lengths() {
    let header = data(8, 1, 1, true, 1);
    let message = Message::new(header, b"abc");
    for room in 0..17 {
        let mut out = vec![0xEE; room];
        assert_eq!(message.encode(&mut out), Err(EncodeError::NoRoom { needed: 17, room }));
        assert_eq!(out, vec![0xEE; room]);
    }
    for room in 17..20 {
        let mut out = vec![0xEE; room];
        assert_eq!(message.encode(&mut out), Ok(17));
        assert_eq!(out[..17], encode(&header, b"abc"));
        assert!(out[17..].iter().all(|octet| *octet == 0xEE));
    }
    let error = EncodeError::NoRoom { needed: 17, room: 3 };
    assert_eq!(error.to_string(), "the message takes 17 octets and the output has room for 3");
}

#[test]
fn the_longest_text_is_what_the_length_field_can_tell() {
    let header = data(8, 1, 1, true, 1);
    assert_eq!(MAX_BODY_LEN, 4_294_967_285);
    assert_eq!(header.encode_prefix(MAX_BODY_LEN).unwrap()[..4], [0xFF; 4]);
    for body_len in MAX_BODY_LEN + 1..=u32::MAX {
        assert_eq!(header.encode_prefix(body_len), Err(BodyTooLong { body_len }));
    }
    for body_len in [0, 1, 245, 246, 65_525, 65_526, (1 << 24) - 11, (1 << 24) - 10, (1 << 31) - 11, (1 << 31) - 10] {
        let prefix = header.encode_prefix(body_len).unwrap();
        assert_eq!(u32::from_be_bytes(*prefix.first_chunk().unwrap()), body_len + 10);
        assert_eq!(prefix[4..], header.encode());
    }
}

const DEVICE: DeviceId = DeviceId::new(1).unwrap();
const NOW: Instant = Instant::from_millis(1);

/// A selected passive connection, all of whose output is written at once.
struct Selected(Connection);

impl Selected {
    fn new() -> Self {
        let mut selected = Selected(Connection::new(Config::equipment(DEVICE)));
        selected.connect();
        selected
    }

    fn connect(&mut self) {
        self.0.enable(NOW).unwrap();
        assert_eq!(self.drain(), [Action::OpenTransport]);
        self.0.handle(NOW, Event::TransportOpen).unwrap();
        self.receive(&Header::select_req(system(77)));
        assert_eq!(self.0.state(), State::Selected);
    }

    fn drain(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.0.poll_action()).collect()
    }

    fn receive(&mut self, header: &Header) -> Vec<Action> {
        let frame = header.encode_alone();
        assert_eq!(self.0.receive(NOW, &frame).unwrap().0, 14);
        self.drain()
    }

    /// S1F1; gives its system bytes.
    fn primary(&mut self, reply_expected: bool) -> u32 {
        let stream_function = StreamFunction::new(1, 1);
        let (system, prefix) = self.0.begin_primary(NOW, DEVICE, stream_function, reply_expected, 0).unwrap();
        self.0.end_body(NOW).unwrap();
        assert_eq!(prefix, data(system.0, 1, 1, reply_expected, 1).encode_alone());
        system.0
    }

    fn reply(&mut self, number: u32) {
        assert_eq!(self.receive(&data(number, 1, 2, false, 1)), []);
        assert!(!self.0.is_open(system(number)));
    }

    fn linktest(&mut self) -> u32 {
        let system = self.0.linktest(NOW).unwrap();
        assert_eq!(self.drain(), [Action::Send(ControlFrame::Control(Header::linktest_req(system)))]);
        system.0
    }

    fn linktest_answered(&mut self, number: u32) {
        let answered = Action::Notify(Notice::LinktestAnswered { system: system(number) });
        assert_eq!(self.receive(&Header::linktest_rsp(system(number))), [answered]);
    }

    fn next(&self) -> u32 {
        self.0.next_system_bytes().0
    }
}

#[test]
fn data_and_control_are_numbered_by_one_counter() {
    let mut connection = Selected::new();
    for number in [1, 3, 5] {
        assert_eq!((connection.next(), connection.primary(true)), (number, number));
        assert_eq!((connection.next(), connection.linktest()), (number + 1, number + 1));
        connection.linktest_answered(number + 1);
    }
    assert_eq!(connection.primary(false), 7);
    // Separate.req carries the next number too.
    connection.0.separate(NOW).unwrap();
    let separate = Action::Send(ControlFrame::Control(Header::separate_req(system(8))));
    assert_eq!(connection.drain()[0], separate);
}

#[test]
fn the_counter_goes_on_over_connections_and_can_be_set_so_that_a_restart_does_not_begin_at_one() {
    let mut connection = Selected::new();
    assert_eq!(connection.primary(false), 1);
    connection.0.disable(NOW).unwrap();
    connection.drain();
    assert_eq!(connection.next(), 3);

    connection.0.set_next_system_bytes(system(4_000_000_000));
    assert_eq!(connection.next(), 4_000_000_000);
    connection.connect();
    assert_eq!(connection.primary(true), 4_000_000_000);
    assert_eq!(connection.next(), 4_000_000_001);
}

#[test]
fn an_active_side_numbers_its_select_request_from_the_same_counter() {
    let mut connection = Connection::<4>::new(Config::host(DEVICE).with_mode(ConnectMode::Active));
    connection.set_next_system_bytes(system(99));
    connection.enable(NOW).unwrap();
    assert_eq!(connection.poll_action(), Some(Action::OpenTransport));
    connection.handle(NOW, Event::TransportOpen).unwrap();
    let select = Action::Send(ControlFrame::Control(Header::select_req(system(99))));
    assert_eq!(connection.poll_action(), Some(select));
    assert_eq!(connection.next_system_bytes(), system(100));
}

#[test]
fn the_counter_passes_numbers_that_are_open() {
    let mut connection = Selected::new();
    assert_eq!([connection.primary(true), connection.primary(true), connection.linktest()], [1, 2, 3]);
    for open in 1..=3 {
        connection.0.set_next_system_bytes(system(open));
        assert_eq!(connection.next(), 4);
    }
    connection.0.set_next_system_bytes(system(u32::MAX));
    assert_eq!(connection.primary(true), u32::MAX);
    connection.0.set_next_system_bytes(system(1));
    assert_eq!(connection.primary(true), 4);
    assert_eq!(connection.0.linktest(NOW).unwrap(), system(3), "the one that is open");
    let full = connection.0.begin_primary(NOW, DEVICE, StreamFunction::new(1, 1), true, 0);
    assert_eq!(full, Err(Error::TransactionsFull { open: 4 }));
}

#[test]
fn the_counter_passes_the_number_that_ended_last_however_it_ended() {
    let mut connection = Selected::new();
    let again = |connection: &mut Selected, ended: u32| {
        connection.0.set_next_system_bytes(system(ended));
        assert_eq!(connection.next(), ended + 1, "{ended} has just ended");
        connection.0.set_next_system_bytes(system(ended + 10));
    };
    let number = connection.primary(true);
    connection.reply(number);
    again(&mut connection, number);

    let number = connection.primary(false);
    again(&mut connection, number);

    let number = connection.linktest();
    connection.linktest_answered(number);
    again(&mut connection, number);

    let number = connection.primary(true);
    connection.0.forget(system(number)).unwrap();
    again(&mut connection, number);

    let number = connection.primary(true);
    let reason = RejectReason::STYPE_NOT_SUPPORTED;
    let rejected = connection.receive(&Header::reject_req(system(number), 0, reason));
    let end = TransactionEnd::Rejected(reason);
    assert_eq!(rejected, [Action::Notify(Notice::TransactionEnded { system: system(number), end })]);
    again(&mut connection, number);
}

#[test]
fn a_number_that_ended_earlier_may_come_again() {
    let mut connection = Selected::new();
    for _ in 0..2 {
        let number = connection.primary(true);
        connection.reply(number);
    }
    connection.0.set_next_system_bytes(system(1));
    assert_eq!(connection.primary(true), 1);
}

#[test]
fn the_counter_goes_on_at_zero_after_the_last_number() {
    let mut connection = Selected::new();
    assert_eq!([connection.primary(true), connection.primary(false)], [1, 2]);
    connection.0.set_next_system_bytes(system(u32::MAX));
    assert_eq!([connection.primary(true), connection.primary(true)], [u32::MAX, 0]);
    // 1 is open and 2 ended last.
    assert_eq!(connection.primary(true), 3);
}

#[test]
fn ids_and_numbers_print_the_same_for_people_and_for_debugging() {
    let (session, number, what) = (SessionId(0x1f), system(0x2a), StreamFunction::new(1, 13));
    assert_eq!(format!("{session} {number} {what}"), "0x001f 0x0000002a S1F13");
    assert_eq!(format!("{session:?} {number:?} {what:?}"), "0x001f 0x0000002a S1F13");
}
