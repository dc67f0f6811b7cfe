//! Names of the connection: exchanged after it became SELECTED, the active end's wins.

use hsms_core::config::ConnectMode::{Active, Passive};
use hsms_core::secs2::{Slice, Writer};
use hsms_core::services::{ChannelName, NameError, Status};
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};

type Name = ChannelName<8>;

fn text(name: &Name, status: Status) -> Vec<u8> {
    let mut octets = [0; 32];
    let mut text = Writer::new(Slice::new(&mut octets));
    name.write(status, &mut text).unwrap();
    text.finish().unwrap().written().to_vec()
}

fn response(system: u32) -> Header {
    Header::data(SystemBytes(system), StreamFunction::new(64, 10), false, SessionId(1))
}

/// Both ends behind the exchange.
fn exchange(client: Option<&str>, server: Option<&str>) -> (Name, Name) {
    let (mut client, mut server) = (Name::new(Active, client).unwrap(), Name::new(Passive, server).unwrap());
    assert_eq!((client.selected(), server.selected()), (true, false));
    client.sent(SystemBytes(4));
    let answer = server.handle_request(&text(&client, Status::OKAY));
    assert_eq!((answer.status, answer.failure), (Status::OKAY, None));
    assert_eq!(client.handle_response(&response(4), &text(&server, answer.status)), Ok(true));
    (client, server)
}

#[test]
fn both_ends_take_the_name_of_the_active_one_and_are_told_where_they_differ() {
    let cases = [
        (Some("etcher"), Some("etcher"), Some("etcher"), false),
        (Some("etcher"), Some("tool 4"), Some("etcher"), true),
        (Some("etcher"), None, Some("etcher"), false),
        (None, Some("tool 4"), Some("tool 4"), false),
        (None, None, None, false),
    ];
    for (client, server, name, differ) in cases {
        let (client, server) = exchange(client, server);
        assert_eq!((client.name(), server.name()), (name, name));
        assert_eq!((client.differ(), server.differ()), (differ, differ));
    }
}

#[test]
fn the_end_of_another_request_leaves_ours_open_and_the_end_of_ours_is_one() {
    let (mut client, server) = (Name::new(Active, None).unwrap(), Name::new(Passive, Some("tool 4")).unwrap());
    assert!(client.selected());
    client.sent(SystemBytes(4));
    assert!(!client.unanswered(SystemBytes(5)));
    let mut late = client.clone();
    assert_eq!(client.handle_response(&response(4), &text(&server, Status::OKAY)), Ok(true));
    assert_eq!(client.name(), Some("tool 4"));
    assert!(late.unanswered(SystemBytes(4)) && !late.unanswered(SystemBytes(4)));
    assert_eq!(late.handle_response(&response(4), &text(&server, Status::OKAY)), Ok(false));
    assert_eq!(late.name(), None);
}

#[test]
fn the_messages_are_those_of_service_8_with_data_id_0() {
    let name = Name::new(Active, Some("etcher")).unwrap();
    assert_eq!(text(&name, Status::OKAY), b"\x01\x03\xb1\x04\0\0\0\0\xa5\x01\0\x41\x06etcher");
    assert_eq!(text(&name, Status::CHECKSUM_ERROR), b"\x01\x03\xb1\x04\0\0\0\0\xa5\x01\x05\x01\0");
    assert_eq!(text(&Name::new(Active, None).unwrap(), Status::OKAY), b"\x01\x03\xb1\x04\0\0\0\0\xa5\x01\0\x01\0");
}

#[test]
fn with_the_link_the_other_ends_name_is_gone() {
    let (mut client, mut server) = exchange(Some("etcher"), Some("tool 4"));
    client.lost();
    server.lost();
    assert_eq!((client.name(), server.name()), (Some("etcher"), Some("tool 4")));
    assert!(!client.differ() && !server.differ());
}

#[test]
fn names_that_cannot_be_are_refused_at_home_and_from_the_peer() {
    assert_eq!(Name::new(Active, Some("nine char")), Err(NameError::TooLong { octets: 9, limit: 8 }));
    assert_eq!(Name::new(Active, Some("8 octets")).unwrap().name(), Some("8 octets"));
    assert_eq!(Name::new(Active, Some("\u{e4}tzer")), Err(NameError::NotPrintable));
    for control in ["a\nb", "a\rb", "\x1b[2J", "\x7f"] {
        assert_eq!(Name::new(Active, Some(control)), Err(NameError::NotPrintable));
    }
    let mut server = Name::new(Passive, Some("tool 4")).unwrap();
    let long = b"\x01\x03\xb1\x04\0\0\0\0\xa5\x01\0\x41\x09nine char";
    let answer = server.handle_request(long);
    assert_eq!(answer.status, Status::CHECKSUM_ERROR);
    assert_eq!(answer.failure, Some(NameError::TooLong { octets: 9, limit: 8 }));
    let answer = server.handle_request(b"\x01\x03\xb1\x04\0\0\0\0\xa5\x01\0\x41\x01\n");
    assert_eq!(answer.failure, Some(NameError::NotPrintable));
    let answer = server.handle_request(b"\x01\x03\xb1\x04\0\0\0\0\xa5\x01\0\x21\x01a");
    assert!(matches!(answer.failure, Some(NameError::Malformed(_))), "{answer:?}");
    let answer = server.handle_request(b"\x01\x03\xb1\x04\0\0\0\x01\xa5\x01\0\x41\x01a");
    assert_eq!(answer.status, Status::SERVICE_OR_DATA_UNKNOWN);
    assert_eq!(answer.failure, Some(NameError::UnknownDataId { data_id: 1 }));
    assert_eq!(server.name(), Some("tool 4"));

    let mut client = Name::new(Active, Some("etcher")).unwrap();
    assert_eq!(client.handle_request(long).failure, Some(NameError::NotServer));
    client.sent(SystemBytes(4));
    let refused = text(&server, Status::SERVICE_OR_DATA_UNKNOWN);
    assert_eq!(client.handle_response(&response(5), &refused), Ok(false));
    let error = NameError::Refused(Status::SERVICE_OR_DATA_UNKNOWN);
    assert_eq!(client.handle_response(&response(4), &refused), Err(error));
    assert_eq!(client.handle_response(&response(4), &refused), Ok(false));
    assert_eq!(client.name(), Some("etcher"));
}
