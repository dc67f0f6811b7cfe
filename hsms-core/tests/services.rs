//! Services by themselves: pairs, names, statuses and data ids, dispatch, inbox, names of the connection, trust, establishing
//! communication, and all of them in one machine.
#![cfg(feature = "auth")]

#[path = "services/communication.rs"]
mod communication;
#[path = "services/endpoint.rs"]
mod endpoint;
#[path = "services/histories.rs"]
mod histories;
#[path = "services/inbox.rs"]
mod inbox;
#[path = "services/kit.rs"]
mod kit;
#[path = "services/meanwhile.rs"]
mod meanwhile;
#[path = "services/name.rs"]
mod name;
#[path = "support/narrow.rs"]
mod narrow;
#[path = "services/own.rs"]
mod own;
#[path = "support/reads.rs"]
mod reads;
#[path = "services/trust.rs"]
mod trust;
#[path = "services/words.rs"]
mod words;

use hsms_core::config::ConnectMode;
use hsms_core::secs2::messages::SystemError;
use hsms_core::secs2::{ErrorKind, Slice, WriteError, Writer};
use hsms_core::services::{
    BeforeTrust, DEFAULT_STREAM, FunctionInbox, FunctionTable, Pair, PairError, RegisterError, ServiceId,
    ServiceMessage, ServiceTable, Services, Status, TableFull, Trust, TrustSettings, Unhandled, UnhandledPolicy,
};
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};

#[test]
fn predefined_services_have_their_numbers_and_functions() {
    let services = [
        (ServiceId::AUTHENTICATION, 0, 1),
        (ServiceId::CHANNEL_NAME, 8, 9),
        (ServiceId::READ, 10, 11),
        (ServiceId::WRITE, 20, 21),
        (ServiceId::EXECUTE, 30, 31),
    ];
    assert_eq!(DEFAULT_STREAM, 64);
    for (request, id, function) in services {
        assert_eq!((request.get(), request.function()), (id, function));
        assert_eq!(request.response().map(ServiceId::function), Some(function + 1));
        assert_eq!((request.request(), request.response().map(ServiceId::request)), (request, Some(request)));
        assert!(StreamFunction::new(DEFAULT_STREAM, function).is_primary());
    }
}

#[test]
fn every_function_but_0_and_255_carries_a_service() {
    for function in 0..=255 {
        let service = ServiceId::from_function(function);
        assert_eq!(service.map(ServiceId::function), (1..=254).contains(&function).then_some(function));
        assert_eq!(service.is_some_and(ServiceId::is_request), function % 2 == 1 && function != 255);
    }
}

#[test]
fn of_all_pairs_those_of_an_even_request_up_to_252_and_the_next_are_possible() {
    let mut possible = 0;
    for request in 0..=255_u8 {
        for response in 0..=255_u8 {
            let pair = Pair::new(request, response);
            let expected = if request > 253 {
                Err(PairError::OutOfRange { request })
            } else if request % 2 == 1 {
                Err(PairError::RequestOdd { request })
            } else if response != request + 1 {
                Err(PairError::ResponseNotNext { expected: request + 1, response })
            } else {
                possible += 1;
                Ok((request, response))
            };
            assert_eq!(pair.map(|pair| (pair.request().get(), pair.response().get())), expected);
        }
    }
    assert_eq!(possible, 127);
}

#[test]
fn statuses_have_their_numbers_and_names() {
    let names = [
        (Status::OKAY, "0 (okay)"),
        (Status::BUFFERING_UNHANDLED_REQUEST, "1 (buffering unhandled request)"),
        (Status::CALLBACK_ERROR, "2 (callback error)"),
        (Status::AUTHENTICATION_REQUIRED, "3 (authentication required)"),
        (Status::SERVICE_OR_DATA_UNKNOWN, "4 (service or data unknown)"),
        (Status::CHECKSUM_ERROR, "5 (checksum error)"),
        (Status::OPERATION_NOT_PERMITTED, "6 (operation not permitted)"),
        (Status(7), "7"),
    ];
    for (status, name) in names {
        assert_eq!(status.to_string(), name);
    }
}

#[test]
fn a_service_message_is_a_list_of_data_id_status_and_item() {
    let message = ServiceMessage::new(ServiceId::WRITE, 0x0102_0304, Status(6), Some(b"\x41\x02ok"));
    let mut octets = [0; 32];
    let mut text = Writer::new(Slice::new(&mut octets));
    message.write(&mut text).unwrap();
    let sink = text.finish().unwrap();
    let text = sink.written();
    assert_eq!(text, b"\x01\x03\xb1\x04\x01\x02\x03\x04\xa5\x01\x06\x41\x02ok");
    let read = ServiceMessage::read(ServiceId::WRITE, text).unwrap();
    assert_eq!(read, message);
    assert_eq!((read.service_id(), read.data_id()), (ServiceId::WRITE, 0x0102_0304));
    assert_eq!((read.status(), read.data()), (Status::OPERATION_NOT_PERMITTED, Some(&b"\x41\x02ok"[..])));
    for end in 0..text.len() {
        assert!(ServiceMessage::read(ServiceId::WRITE, &text[..end]).is_err(), "cut at {end}");
    }
    let longer = [text, &[0]].concat();
    assert!(ServiceMessage::read(ServiceId::WRITE, &longer).is_err());
}

#[test]
fn an_empty_list_stands_for_no_data() {
    let none = ServiceMessage::new(ServiceId::READ, 0, Status::OKAY, None);
    assert_eq!(ServiceMessage::new(ServiceId::READ, 0, Status::OKAY, Some(b"\x01\x00")), none);
    let read = ServiceMessage::read(ServiceId::READ, b"\x01\x03\xb1\x04\0\0\0\0\xa5\x01\0\x01\x00").unwrap();
    assert_eq!(read.data(), None);
}

#[test]
fn data_that_are_no_item_are_not_written_and_another_structure_is_not_read() {
    let message = ServiceMessage::new(ServiceId::READ, 0, Status::OKAY, Some(b"\x41\x05"));
    let mut octets = [0; 32];
    let mut text = Writer::new(Slice::new(&mut octets));
    assert!(matches!(message.write(&mut text), Err(WriteError::NoItem(_))));
    // A status of two octets.
    let error = ServiceMessage::read(ServiceId::READ, b"\x01\x03\xb1\x04\0\0\0\0\xa9\x02\0\0\x01\x00").unwrap_err();
    assert_eq!(error.offset, 8);
    assert!(matches!(error.kind, ErrorKind::OtherFormat { .. }), "{error:?}");
    // A data id of one octet.
    let error = ServiceMessage::read(ServiceId::READ, b"\x01\x03\xa5\x01\0\xa5\x01\0\x01\x00").unwrap_err();
    assert_eq!(error.offset, 2);
    assert!(matches!(error.kind, ErrorKind::OtherFormat { .. }), "{error:?}");
}

#[test]
fn ids_taken_and_pairs_that_cannot_be_are_typed_errors() {
    let mut services = Services::<6>::new();
    services.add_service(10, 11, "read", "read response").unwrap();
    assert_eq!(services.add_service(10, 11, "", ""), Err(RegisterError::RequestIdTaken { id: 10 }));
    assert_eq!(services.add_service(12, 11, "", ""), Err(RegisterError::ResponseIdTaken { id: 11 }));
    assert_eq!(services.add_service(13, 14, "", ""), Err(RegisterError::Pair(PairError::RequestOdd { request: 13 })));
    services.add_service(252, 253, "last", "last response").unwrap();
    assert_eq!(services.add_data(ServiceId::WRITE, 1, ""), Err(RegisterError::UnknownService { id: 20 }));
    services.add_data(ServiceId::READ, 1, "temperature").unwrap();
    // A pair takes two entries or none.
    assert_eq!(services.add_service(20, 21, "", ""), Err(RegisterError::Full));
    services.add_status(Status(9), "sensor broken").unwrap();
    services.add_data(ServiceId::READ, 1, "pressure").unwrap();
    assert_eq!(services.add_data(ServiceId::READ, 2, ""), Err(RegisterError::Full));
    assert_eq!(services.data_name(ServiceId::READ, 1), Some("pressure"));
    assert_eq!(services.service_name(ServiceId::new(253).unwrap()), Some("last response"));
    assert_eq!(services.service_name(ServiceId::WRITE), None);
    let mut full = Services::<2>::new();
    full.add_service(10, 11, "read", "read response").unwrap();
    assert_eq!(full.add_service(20, 21, "", ""), Err(RegisterError::Full));
}

#[test]
fn log_lines_name_services_data_ids_statuses_streams_and_functions() {
    let mut services = Services::<12>::new();
    services.add_service(10, 11, "read", "read response").unwrap();
    for (service, data_id, name) in [(10, 7, "temperature"), (11, 8, "as read")] {
        services.add_data(ServiceId::new(service).unwrap(), data_id, name).unwrap();
    }
    services.add_status(Status(9), "sensor broken").unwrap();
    services.add_stream(2, "equipment control").unwrap();
    services.add_function(2, 41, "remote command").unwrap();
    let line = |service, data_id, status| {
        let message = ServiceMessage::new(ServiceId::new(service).unwrap(), data_id, Status(status), None);
        services.describe(&message).to_string()
    };
    assert_eq!(line(10, 7, 0), "service 10 (read), data id 7 (temperature), status 0 (okay)");
    assert_eq!(line(11, 7, 9), "service 11 (read response), data id 7 (temperature), status 9 (sensor broken)");
    assert_eq!(line(11, 8, 200), "service 11 (read response), data id 8 (as read), status 200");
    assert_eq!(line(20, 7, 4), "service 20, data id 7, status 4 (service or data unknown)");
    assert_eq!(line(0, 0, 0), "service 0 (authentication request), data id 0 (authentication seed), status 0 (okay)");
    assert_eq!(line(0, 1, 0), "service 0 (authentication request), data id 1 (authentication key), status 0 (okay)");
    assert_eq!(line(9, 0, 0), "service 9 (channel name response), data id 0 (channel name), status 0 (okay)");
    let line = |stream, function, w| {
        let header = Header::data(SystemBytes(7), StreamFunction::new(stream, function), w, SessionId(1));
        services.describe_header(&header).to_string()
    };
    assert_eq!(line(2, 41, true), "S2F41 W (remote command)");
    assert_eq!(line(2, 42, false), "S2F42 (equipment control)");
    assert_eq!(line(6, 11, true), "S6F11 W");
    let message = ServiceMessage::new(ServiceId::READ, 7, Status(9), None);
    narrow::broken_off_at_every_octet(&services.describe(&message));
    let described =
        |header: &Header, text: &[u8]| services.describe_message(64, header, text).map(|line| line.to_string());
    let header =
        |stream, function| Header::data(SystemBytes(7), StreamFunction::new(stream, function), true, SessionId(1));
    let text = b"\x01\x03\xb1\x04\0\0\0\x07\xa5\x01\0\x01\0";
    let named = "service 10 (read), data id 7 (temperature), status 0 (okay)";
    assert_eq!(described(&header(64, 11), text).as_deref(), Some(named));
    // One that cannot be read, of its service all the same.
    assert_eq!(described(&header(64, 11), &text[..5]).as_deref(), Some("S64F11 W (read)"));
    assert_eq!(described(&header(65, 11), text).as_deref(), Some("S65F11 W"));
    assert_eq!(described(&header(2, 41), &[]).as_deref(), Some("S2F41 W (remote command)"));
    assert_eq!(described(&Header::linktest_req(SystemBytes(7)), &[]), None);
}

#[test]
fn a_request_without_handler_is_buffered_if_its_service_and_data_are_known() {
    let mut services = Services::<3>::new();
    services.add_service(10, 11, "read", "read response").unwrap();
    services.add_data(ServiceId::READ, 1, "temperature").unwrap();
    assert_eq!(services.unhandled(ServiceId::READ, 1), Status::BUFFERING_UNHANDLED_REQUEST);
    assert_eq!(services.unhandled(ServiceId::READ, 2), Status::SERVICE_OR_DATA_UNKNOWN);
    assert_eq!(services.unhandled(ServiceId::WRITE, 1), Status::SERVICE_OR_DATA_UNKNOWN);
}

#[test]
fn of_any_set_of_entries_both_keys_win_over_the_first_over_the_second_over_neither() {
    let keys = [(Some(ServiceId::READ), Some(7)), (Some(ServiceId::READ), None), (None, Some(7)), (None, None)];
    for set in 0..16_u8 {
        // Put in from the least to the most precise, so that the order of putting decides nothing.
        let mut table = ServiceTable::<usize, 4>::new();
        for at in (0..4).rev().filter(|at| set >> at & 1 == 1) {
            assert_eq!(table.insert(keys[at].0, keys[at].1, at), Ok(None));
        }
        let first_of = |allowed: &[usize]| allowed.iter().copied().find(|at| set >> at & 1 == 1);
        assert_eq!(table.find(ServiceId::READ, 7).copied(), first_of(&[0, 1, 2, 3]));
        assert_eq!(table.find(ServiceId::READ, 8).copied(), first_of(&[1, 3]));
        assert_eq!(table.find(ServiceId::WRITE, 7).copied(), first_of(&[2, 3]));
        assert_eq!(table.find(ServiceId::WRITE, 8).copied(), first_of(&[3]));
    }
}

#[test]
fn a_later_registration_on_one_key_replaces_the_former_and_returns_it() {
    let mut table = FunctionTable::<&str, 1>::new();
    assert_eq!(table.insert(Some(1), None, "former"), Ok(None));
    assert_eq!(table.insert(Some(1), None, "later"), Ok(Some("former")));
    assert_eq!(table.find(1, 1), Some(&"later"));
    assert_eq!(table.insert(Some(2), None, "other"), Err(TableFull("other")));
}

#[test]
fn a_primary_without_handler_gets_s9f3_or_s9f5_and_sxf0_as_configured() {
    let mut table = FunctionTable::<(), 2>::new();
    table.insert(Some(1), Some(13), ()).unwrap();
    let header =
        |stream, function, w| Header::data(SystemBytes(7), StreamFunction::new(stream, function), w, SessionId(1));
    let equipment = UnhandledPolicy { system_errors: true, abort: true };
    let (known, unknown) = (header(1, 1, true), header(2, 41, true));
    assert_eq!(
        table.unhandled(&known, equipment),
        Unhandled {
            system_error: Some(SystemError::UnrecognizedFunction(known)),
            abort: Some(StreamFunction::new(1, 0))
        }
    );
    assert_eq!(
        table.unhandled(&unknown, equipment),
        Unhandled {
            system_error: Some(SystemError::UnrecognizedStream(unknown)),
            abort: Some(StreamFunction::new(2, 0))
        }
    );
    assert_eq!(table.unhandled(&header(2, 41, false), equipment).abort, None);
    let host = UnhandledPolicy { system_errors: false, abort: true };
    assert_eq!(
        table.unhandled(&unknown, host),
        Unhandled { system_error: None, abort: Some(StreamFunction::new(2, 0)) }
    );
    let nothing = Unhandled { system_error: None, abort: None };
    assert_eq!(table.unhandled(&unknown, UnhandledPolicy { system_errors: false, abort: false }), nothing);
    for header in [header(9, 5, true), header(2, 0, true), header(2, 42, true)] {
        assert_eq!(table.unhandled(&header, equipment), nothing, "{header}");
    }
}

#[test]
fn services_tables_inboxes_and_what_is_allowed_before_trust_are_empty_by_default() {
    let services = Services::<2>::default();
    assert_eq!(services.unhandled(ServiceId::READ, 7), Status::SERVICE_OR_DATA_UNKNOWN);
    assert_eq!(services.function_name(1, 13), None);
    assert_eq!(FunctionTable::<u8, 2>::default().find(1, 13), None);
    let inbox = FunctionInbox::<2, 8>::default();
    assert_eq!((inbox.len(), inbox.refused()), (0, 0));
    let trust = Trust::new(ConnectMode::Passive, SessionId(1), TrustSettings::default());
    let mut before = BeforeTrust::<2>::default();
    assert!(!before.admits_service(&trust, ServiceId::READ, 7));
    assert!(!before.admits_function(&trust, StreamFunction::new(1, 13)));
    assert_eq!(before.refused(), 2);
}
