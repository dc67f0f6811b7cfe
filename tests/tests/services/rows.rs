//! A test for each row of what users of a service layer have asked for: the constants, then what one does with them. Where a row is about
//! what goes over the wire it is looked at there; else host and equipment talk over loopback.

use super::kit::{self, End, at, guarded, plain, service_text};
use hsms_core::config::ConnectMode::{Active, Passive};
use hsms_core::connection::State::{NotConnected, NotSelected, Selected};
use hsms_core::services::{BeforeTrust, ServiceMessage, TrustMessage};
use hsms_std::services::{
    Endpoint, EndpointNotice, Error, Event, Pair, PairError, RegisterError, Returned, Secret, SendError, ServiceId,
    Settings, Status, TrustFailure, TrustSettings, TrustState, Waiting,
};
use hsms_std::{Config, Connection, DeviceId, StreamFunction};
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub const LIMIT: Duration = Duration::from_secs(30);
pub const SOON: Duration = Duration::from_millis(20);
pub const DEVICE: DeviceId = DeviceId::new(7).unwrap();

pub fn secret() -> Secret {
    Secret::new(b"sixteen octets!!").unwrap()
}

pub fn config(config: Config) -> Config {
    config.with_t5(Duration::from_millis(10)).unwrap()
}

/// Equipment that serves in a thread, until it is stopped.
pub struct Served {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Endpoint>,
}

pub fn serve(settings: Settings, offer: impl FnOnce(&mut Endpoint)) -> Served {
    let link = Connection::passive((Ipv4Addr::LOCALHOST, 0), config(Config::equipment(DEVICE))).unwrap();
    let address = link.local_addr().unwrap();
    let mut tool = Endpoint::new(link, settings).unwrap();
    offer(&mut tool);
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = Arc::clone(&stop);
    let thread = thread::spawn(move || {
        let end = Instant::now() + 4 * LIMIT;
        while !stopping.load(Ordering::SeqCst) {
            assert!(Instant::now() < end, "nobody stopped it");
            tool.next(SOON).unwrap();
        }
        tool
    });
    Served { address, stop, thread }
}

impl Served {
    pub fn host(&self, settings: Settings) -> Endpoint {
        let link = Connection::active(self.address, config(Config::host(DEVICE))).unwrap();
        Endpoint::new(link, settings).unwrap()
    }

    pub fn stop(self) -> Endpoint {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

/// Read, write and execute, with data id 7.
pub fn usual(tool: &mut Endpoint) {
    for (request, name) in [(10, "read"), (20, "write"), (30, "execute")] {
        let service = tool.add_service(request, request + 1, name, "response").unwrap().request();
        tool.add_data(&[service], 7, "temperature").unwrap();
    }
}

pub fn status<T>(outcome: Result<T, Error>) -> Option<Status> {
    match outcome {
        Err(Error::Status { status, .. }) => Some(status),
        _ => None,
    }
}

pub fn outcome<T>(outcome: Result<T, Error>) -> Option<SendError> {
    outcome.err().and_then(|error| error.outcome())
}

// The constants.

#[test]
fn constant_authentication_is_service_0_and_1_in_s64f1_and_s64f2() {
    let (mut client, mut server) = (End::new(guarded(Active)), End::new(guarded(Passive)));
    client.link(Selected);
    server.link(Selected);
    let request = client.next_is(64, 1);
    let reply = server.primary(request.header, &request.text).unwrap();
    assert_eq!((reply.header.stream(), reply.header.function()), (64, 2));
    assert_eq!((ServiceId::AUTHENTICATION.get(), ServiceId::AUTHENTICATION.response().unwrap().get()), (0, 1));
}

#[test]
fn constant_channel_name_is_service_8_and_9_in_s64f9_and_s64f10() {
    let mut client = End::new(kit::Machine::new(kit::settings(Active)).unwrap());
    let mut server = End::new(kit::Machine::new(kit::settings(Passive)).unwrap());
    client.link(Selected);
    server.link(Selected);
    let request = client.next_is(64, 9);
    let reply = server.primary(request.header, &request.text).unwrap();
    assert_eq!((reply.header.stream(), reply.header.function()), (64, 10));
    assert_eq!((ServiceId::CHANNEL_NAME.get(), ServiceId::CHANNEL_NAME.response().unwrap().get()), (8, 9));
}

#[test]
fn constant_read_write_and_execute_are_the_pairs_10_20_and_30_in_s64f11_s64f21_and_s64f31() {
    let pairs = [(ServiceId::READ, 10, 11), (ServiceId::WRITE, 20, 21), (ServiceId::EXECUTE, 30, 31)];
    for (service, id, function) in pairs {
        let mut client = End::new(plain(Active));
        client.link(Selected);
        client.ask(service, 7, None, 100);
        let request = client.next_is(64, function);
        assert!(request.header.reply_expected());
        let mut server = End::new(plain(Passive));
        server.link(Selected);
        let reply = server.primary(request.header, &request.text).unwrap();
        assert_eq!((reply.header.function(), service.get()), (function + 1, id));
        assert!(!reply.header.reply_expected());
    }
}

#[test]
fn constant_data_ids_of_seed_key_and_channel_name_are_0_1_and_0() {
    let (mut client, mut server) = (End::new(guarded(Active)), End::new(guarded(Passive)));
    client.link(Selected);
    server.link(Selected);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let request = client.next_is(64, 1);
        let reply = server.primary(request.header, &request.text).unwrap();
        ids.push([&request, &reply].map(|sent| TrustMessage::read(&sent.text).unwrap().data_id));
        client.replied(&reply);
    }
    assert_eq!(ids, [[0, 0], [1, 1]]);
    let mut client = End::new(kit::Machine::new(kit::settings(Active)).unwrap());
    client.link(Selected);
    let name = client.next_is(64, 9);
    assert_eq!(ServiceMessage::read(ServiceId::CHANNEL_NAME, &name.text).unwrap().data_id(), 0);
}

/// Each from whoever gives it.
#[test]
fn constant_statuses_0_to_6_are_what_the_layer_answers() {
    let server = || {
        let mut machine = plain(Passive);
        machine.services_mut().add_service(10, 11, "read", "response").unwrap();
        machine.services_mut().add_data(ServiceId::READ, 7, "temperature").unwrap();
        End::new(machine)
    };
    let answered = |mut server: End, text: &[u8]| {
        server.link(Selected);
        let reply = server.receives(64, 11, text).unwrap();
        ServiceMessage::read(ServiceId::new(11).unwrap(), &reply.text).unwrap().status().0
    };
    let with = |handler: kit::Handler| {
        let mut server = server();
        server.machine.handle_service(None, None, handler).unwrap();
        server
    };
    let asked = service_text(7, Status::OKAY, None);
    assert_eq!(answered(with(|_| Some((Status::OKAY, vec![1, 0]))), &asked), 0);
    assert_eq!(answered(server(), &asked), 1);
    assert_eq!(answered(with(|_| None), &asked), 2);
    assert_eq!(answered(End::new(guarded(Passive)), &asked), 3);
    assert_eq!(answered(server(), &service_text(8, Status::OKAY, None)), 4);
    assert_eq!(answered(server(), b"\x01\x00"), 5);
    assert_eq!(answered(with(|_| Some((Status::OPERATION_NOT_PERMITTED, vec![1, 0]))), &asked), 6);
}

#[test]
fn constant_authentication_states_are_0_to_4_with_their_texts_of_client_and_server() {
    let (mut client, mut server) = (End::new(guarded(Active)), End::new(guarded(Passive)));
    let state = |end: &End| end.machine.trust_state().map(|state| (state.number(), state.to_string()));
    let (mut of_client, mut of_server) = (vec![state(&client)], vec![state(&server)]);
    client.link(Selected);
    server.link(Selected);
    for _ in 0..2 {
        of_client.push(state(&client));
        let request = client.next_is(64, 1);
        let reply = server.primary(request.header, &request.text).unwrap();
        of_server.push(state(&server));
        client.replied(&reply);
    }
    of_client.push(state(&client));
    let named = |number: u8, text: &str| Some((number, text.to_owned()));
    let expected = [
        named(0, "Untrusted Connection"),
        named(1, "Seed was requested"),
        named(3, "Key has been sent"),
        named(4, "Trusted Connection"),
    ];
    assert_eq!(of_client, expected);
    let expected = [named(0, "Untrusted Connection"), named(2, "Seed has been sent"), named(4, "Trusted Connection")];
    assert_eq!(of_server, expected);
}

// What one does with them.

/// The same services over a link in memory and over TCP; the active side is the client.
#[test]
fn row_comm_instance_the_layer_stands_on_any_transport_and_the_active_side_is_the_client() {
    let (mut client, mut server) = (End::new(guarded(Active)), End::new(guarded(Passive)));
    kit::select(&mut client, &mut server);
    assert!(client.machine.is_established() && server.machine.is_established());
    assert_eq!(server.machine.authenticate(at(0), at(1)), Err(SendError::NotPermitted));

    let tool = serve(Settings::new().with_secret(secret()), usual);
    let mut host = tool.host(Settings::new().with_secret(secret()));
    assert!(host.establish(LIMIT).unwrap());
    host.close().unwrap();
    let mut tool = tool.stop();
    assert_eq!(outcome(tool.authenticate(SOON)), Some(SendError::NotPermitted));
}

#[test]
fn row_add_service_registers_a_request_and_its_response_with_names() {
    let mut tool = End::new(plain(Passive));
    let pair = tool.machine.services_mut().add_service(40, 41, "calibrate", "calibrated").unwrap();
    assert_eq!((pair.request().get(), pair.response().get()), (40, 41));
    let named = |id: u8| tool.machine.services().service_name(ServiceId::new(id).unwrap());
    assert_eq!((named(40), named(41)), (Some("calibrate"), Some("calibrated")));
    assert_eq!(Pair::new(41, 42), Err(PairError::RequestOdd { request: 41 }));
}

#[test]
fn row_request_sid_exists_and_response_sid_exists_are_two_typed_errors() {
    let tool = serve(Settings::new(), |tool| {
        tool.add_service(10, 11, "read", "response").unwrap();
        let taken = |outcome| match outcome {
            Err(Error::Register(error)) => error,
            other => panic!("{other:?}"),
        };
        assert_eq!(taken(tool.add_service(10, 13, "a", "b")), RegisterError::RequestIdTaken { id: 10 });
        assert_eq!(taken(tool.add_service(12, 11, "a", "b")), RegisterError::ResponseIdTaken { id: 11 });
    });
    tool.stop();
}

#[test]
fn row_add_data_of_several_services_and_add_status_are_names_in_log_lines() {
    let mut tool = End::new(plain(Passive));
    let services = tool.machine.services_mut();
    for (request, name) in [(10, "read"), (20, "write")] {
        let service = services.add_service(request, request + 1, name, "response").unwrap().request();
        services.add_data(service, 7, "temperature").unwrap();
    }
    services.add_status(Status(9), "sensor broken").unwrap();
    for (service, name) in [(ServiceId::READ, "read"), (ServiceId::WRITE, "write")] {
        let message = ServiceMessage::new(service, 7, Status(9), None);
        let line = tool.machine.services().describe(&message).to_string();
        let id = service.get();
        assert_eq!(line, format!("service {id} ({name}), data id 7 (temperature), status 9 (sensor broken)"));
    }
}

#[test]
fn row_register_callback_precedence_is_both_then_service_then_data_then_neither() {
    let tool = serve(Settings::new(), |tool| {
        usual(tool);
        let rows = [
            (None, None, "neither"),
            (None, Some(7), "data"),
            (Some(ServiceId::READ), None, "service"),
            (Some(ServiceId::READ), Some(7), "both"),
        ];
        for (service, data_id, name) in rows {
            // What a closure captures are the extra arguments.
            assert!(!tool.on_request(service, data_id, move |_| Ok(Returned::value(name)?)).unwrap());
        }
        let again = |_: &hsms_std::services::Request<'_>| Ok(Returned::value("both again")?);
        assert!(tool.on_request(Some(ServiceId::READ), Some(7), again).unwrap());
    });
    let mut host = tool.host(Settings::new());
    let mut answered = |service, data_id| host.send(service, data_id, &(), LIMIT).unwrap().value::<String>().unwrap();
    assert_eq!(answered(ServiceId::READ, 7), "both again");
    assert_eq!(answered(ServiceId::READ, 8), "service");
    assert_eq!(answered(ServiceId::WRITE, 7), "data");
    assert_eq!(answered(ServiceId::WRITE, 8), "neither");
    tool.stop();
}

#[test]
fn row_a_callbacks_status_and_data_answer_requests_of_registered_services_alone() {
    let called = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&called);
    let tool = serve(Settings::new(), |tool| {
        usual(tool);
        tool.on_request(None, None, move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(Returned::value(&300_u16)?.with_status(Status(7)))
        })
        .unwrap();
    });
    let mut host = tool.host(Settings::new());
    match host.send(ServiceId::READ, 7, &(), LIMIT) {
        Err(Error::Status { status, data, .. }) => {
            assert_eq!((status, data), (Status(7), Some(vec![0xa9, 2, 1, 0x2c])));
        }
        other => panic!("{other:?}"),
    }
    // It is called, and what it returns is not sent.
    let other = ServiceId::new(50).unwrap();
    assert_eq!(status(host.send(other, 7, &(), LIMIT)), Some(Status::SERVICE_OR_DATA_UNKNOWN));
    host.tell(ServiceId::READ, 7, &(), LIMIT).unwrap();
    // One-way requests are not answered: the next answer is that of the next request.
    assert_eq!(status(host.send(ServiceId::READ, 7, &(), LIMIT)), Some(Status(7)));
    assert_eq!(called.load(Ordering::SeqCst), 4);
    tool.stop();
}

#[test]
fn row_a_callback_that_fails_or_panics_is_callback_error_and_the_connection_goes_on() {
    let tool = serve(Settings::new(), |tool| {
        usual(tool);
        tool.on_request(Some(ServiceId::READ), None, |request| {
            let number: u16 = request.value()?;
            assert!(number != 666, "on purpose");
            Ok(Returned::value(&number)?)
        })
        .unwrap();
        tool.on_primary(Some(2), Some(41), |message| {
            assert!(!message.body.is_empty(), "on purpose");
            if message.body == [1, 0] { Err("no".into()) } else { Ok(message.body.to_vec()) }
        })
        .unwrap();
    });
    let mut host = tool.host(Settings::new());
    assert_eq!(status(host.send(ServiceId::READ, 7, "no number", LIMIT)), Some(Status::CALLBACK_ERROR));
    assert_eq!(status(host.send(ServiceId::READ, 7, &666_u16, LIMIT)), Some(Status::CALLBACK_ERROR));
    assert_eq!(host.send(ServiceId::READ, 7, &5_u16, LIMIT).unwrap().value::<u16>().unwrap(), 5);
    let command = StreamFunction::new(2, 41);
    assert_eq!(outcome(host.request(command, &[], LIMIT)), Some(SendError::Aborted));
    assert_eq!(outcome(host.request(command, &[1, 0], LIMIT)), Some(SendError::Aborted));
    assert_eq!(host.request(command, &[0xa5, 1, 7], LIMIT).unwrap(), [0xa5, 1, 7]);
    assert_eq!(host.connection().counters().selections, 1);
    tool.stop();
}

#[test]
fn row_a_request_without_callback_is_buffered_and_an_unknown_one_is_not() {
    let tool = serve(Settings::new(), usual);
    let mut host = tool.host(Settings::new());
    let rows = [
        (ServiceId::READ, 7, Status::BUFFERING_UNHANDLED_REQUEST),
        (ServiceId::READ, 8, Status::SERVICE_OR_DATA_UNKNOWN),
        (ServiceId::new(50).unwrap(), 7, Status::SERVICE_OR_DATA_UNKNOWN),
    ];
    for (service, data_id, expected) in rows {
        assert_eq!(status(host.send(service, data_id, &(), LIMIT)), Some(expected));
    }
    assert_eq!(tool.stop().inbox(), (1, 0));
    // Where there is no room the sender is told the truth, and the owner as well.
    let mut server = End::new(plain(Passive));
    server.machine.services_mut().add_service(10, 11, "read", "response").unwrap();
    server.machine.services_mut().add_data(ServiceId::READ, 7, "temperature").unwrap();
    server.link(Selected);
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let reply = server.receives(64, 11, &service_text(7, Status::OKAY, None)).unwrap();
        statuses.push(ServiceMessage::read(ServiceId::new(11).unwrap(), &reply.text).unwrap().status());
    }
    assert_eq!(statuses[..4], [Status::BUFFERING_UNHANDLED_REQUEST; 4]);
    assert_eq!((statuses[4], server.machine.inbox().refused()), (Status::INBOX_FULL, 1));
    assert!(matches!(server.notices.last(), Some(EndpointNotice::NotKept { status: Status::INBOX_FULL, .. })));
}

#[test]
fn row_data_storage_has_four_getters_of_which_absent_data_are_none() {
    let tool = serve(Settings::new(), |tool| {
        usual(tool);
        tool.on_request(None, None, |request| {
            let seen = (request.service_id().get(), request.data_id(), request.status().0, request.data().is_some());
            Ok(Returned::value(&seen)?)
        })
        .unwrap();
    });
    let mut host = tool.host(Settings::new());
    let mut seen = |data| {
        let answered = host.send_encoded(ServiceId::WRITE, 9, data, LIMIT).unwrap();
        answered.value::<(u8, u32, u8, bool)>().unwrap()
    };
    assert_eq!(seen(Some(&[0xa5, 1, 7])), (20, 9, 0, true));
    assert_eq!(seen(None), (20, 9, 0, false));
    assert!(matches!(host.send_encoded(ServiceId::WRITE, 9, Some(&[0xa5, 2, 7]), LIMIT), Err(Error::NotOneItem)));
    tool.stop();
}

#[test]
fn row_receive_takes_buffered_messages_by_service_and_data_id_with_a_deadline() {
    let tool = serve(Settings::new(), usual);
    let mut host = tool.host(Settings::new());
    for (service, value) in [(ServiceId::READ, 1_u8), (ServiceId::WRITE, 2), (ServiceId::WRITE, 3)] {
        assert_eq!(status(host.send(service, 7, &value, LIMIT)), Some(Status::BUFFERING_UNHANDLED_REQUEST));
    }
    let mut tool = tool.stop();
    let mut taken = |service, data_id| {
        let kept = tool.receive(service, data_id, Duration::ZERO).unwrap();
        kept.map(|kept| (kept.service.get(), kept.data_id, kept.value::<u8>().unwrap()))
    };
    assert_eq!(taken(Some(ServiceId::EXECUTE), None), None);
    assert_eq!(taken(None, Some(8)), None);
    assert_eq!(taken(Some(ServiceId::WRITE), Some(7)), Some((20, 7, 2)));
    assert_eq!(taken(None, None), Some((10, 7, 1)));
    assert_eq!(taken(None, Some(7)), Some((20, 7, 3)));
    assert_eq!(taken(None, None), None);
    // The deadline is that of the caller.
    let begun = Instant::now();
    assert!(tool.receive(None, None, Duration::from_millis(30)).unwrap().is_none());
    assert!(begun.elapsed() >= Duration::from_millis(30));
}

#[test]
fn row_send_waits_for_the_connection_and_for_trust_and_fails_with_typed_errors() {
    // Nobody listens there any more.
    let nobody = Connection::passive((Ipv4Addr::LOCALHOST, 0), Config::equipment(DEVICE)).unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let link = Connection::active(address, config(Config::host(DEVICE))).unwrap();
    let mut host = Endpoint::new(link, Settings::new()).unwrap();
    assert_eq!(outcome(host.send(ServiceId::READ, 7, &(), SOON)), Some(SendError::NotConnected));

    let tool = serve(Settings::new().with_secret(secret()), usual);
    let manual = TrustSettings { automatic: false, ..TrustSettings::default() };
    let mut host = tool.host(Settings::new().with_secret(secret()).with_trust(manual));
    let end = Instant::now() + LIMIT;
    while !host.is_selected() && Instant::now() < end {
        let _ = host.next(SOON).unwrap();
    }
    let waited = host.send(ServiceId::READ, 7, &(), SOON);
    assert_eq!(outcome(waited), Some(SendError::NotSent(Waiting::Trust)));
    assert!(host.establish(Duration::ZERO).is_ok_and(|established| !established));
    host.authenticate(LIMIT).unwrap();
    let unhandled = Some(SendError::Status(Status::BUFFERING_UNHANDLED_REQUEST));
    assert_eq!(outcome(host.send(ServiceId::READ, 7, &(), LIMIT)), unhandled);
    assert_eq!(outcome(host.send(ServiceId::AUTHENTICATION, 0, &(), LIMIT)), Some(SendError::NotPermitted));
    tool.stop();
}

#[test]
fn row_both_ends_prove_the_secret_automatically_or_on_request_with_a_deadline() {
    let tool = serve(Settings::new().with_secret(secret()), usual);
    let mut host = tool.host(Settings::new().with_secret(secret()));
    assert!(host.establish(LIMIT).unwrap());
    assert_eq!(host.trust_state(), Some(TrustState::Trusted));
    host.close().unwrap();
    let manual = TrustSettings { automatic: false, ..TrustSettings::default() };
    let mut host = tool.host(Settings::new().with_secret(secret()).with_trust(manual));
    host.authenticate(LIMIT).unwrap();
    assert!(host.is_trusted());
    host.close().unwrap();
    let other = Secret::new(b"another secret!!").unwrap();
    let mut host = tool.host(Settings::new().with_secret(other));
    let refused = SendError::NotTrusted(TrustFailure::Refused(Status::OPERATION_NOT_PERMITTED));
    assert_eq!(outcome(host.authenticate(LIMIT)), Some(refused));
    assert!(!host.is_trusted());
    host.close().unwrap();
    let mut host = tool.host(Settings::new());
    assert_eq!(outcome(host.authenticate(LIMIT)), Some(SendError::NotPermitted));
    assert_eq!(host.trust_state(), None);
    tool.stop();
}

#[test]
fn row_the_whitelist_passes_before_trust_and_all_else_is_authentication_required() {
    let mut before = BeforeTrust::new();
    before.allow_service(Some(ServiceId::READ), Some(7)).unwrap();
    let called = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&called);
    let tool = serve(Settings::new().with_secret(secret()).with_before_trust(before), |tool| {
        usual(tool);
        tool.on_request(None, None, move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(Returned::okay())
        })
        .unwrap();
        tool.on_primary(None, None, |_| panic!("it is not trusted")).unwrap();
    });
    let mut host = tool.host(Settings::new());
    host.send(ServiceId::READ, 7, &(), LIMIT).unwrap();
    for (service, data_id) in [(ServiceId::READ, 8), (ServiceId::WRITE, 7)] {
        let refused = host.send(service, data_id, &(), LIMIT);
        assert_eq!(status(refused), Some(Status::AUTHENTICATION_REQUIRED));
    }
    assert_eq!(outcome(host.request(StreamFunction::new(2, 41), &[], LIMIT)), Some(SendError::Aborted));
    assert_eq!(called.load(Ordering::SeqCst), 1);
    assert_eq!((tool.stop().refused(), host.is_selected()), (3, true));
}

#[test]
fn row_connection_established_is_connected_and_trusted_and_is_connected_the_link_alone() {
    let mut client = End::new(guarded(Active));
    let questions = |end: &End| (end.machine.is_connected(), end.machine.is_established());
    assert_eq!(questions(&client), (false, false));
    client.link(NotSelected);
    assert_eq!(questions(&client), (true, false));
    client.link(Selected);
    assert_eq!(questions(&client), (true, false));
    let mut server = End::new(guarded(Passive));
    server.link(Selected);
    kit::settle(&mut client, &mut server);
    assert_eq!(questions(&client), (true, true));
    client.link(NotConnected);
    assert_eq!(questions(&client), (false, false));
    // No secret: it is never asked for.
    let mut plain = End::new(plain(Active));
    plain.link(Selected);
    assert_eq!(questions(&plain), (true, true));
}

#[test]
fn row_channel_name_of_the_client_counts_and_an_end_without_one_adopts_the_others() {
    for (of_host, of_tool, expected) in
        [(Some("host"), Some("tool"), "host"), (None, Some("tool"), "tool"), (Some("host"), None, "host")]
    {
        let named = |name: Option<&'static str>| match name {
            Some(name) => Settings::new().with_name(name),
            None => Settings::new(),
        };
        let tool = serve(named(of_tool), usual);
        let mut host = tool.host(named(of_host));
        let _ = host.send(ServiceId::READ, 7, &(), LIMIT);
        assert_eq!(host.name(), Some(expected));
        assert_eq!(tool.stop().name(), Some(expected));
    }
    // The server is warned.
    let of = |mode, name| {
        kit::Machine::new(hsms_core::services::EndpointSettings { name: Some(name), ..kit::settings(mode) })
    };
    let (mut client, mut server) = (End::new(of(Active, "a").unwrap()), End::new(of(Passive, "b").unwrap()));
    kit::select(&mut client, &mut server);
    assert_eq!(server.notices, [EndpointNotice::Named { differ: true }]);
    // A warning of the server, and of the client none.
    let warns = |end: &End| end.machine.describe_notice(EndpointNotice::Named { differ: true }).is_warning();
    assert!(warns(&server) && !warns(&client));
}

#[test]
fn row_reconnect_drops_the_link_and_establishes_it_again() {
    let tool = serve(Settings::new().with_secret(secret()), |tool| {
        usual(tool);
        tool.on_request(None, None, |_| Ok(Returned::okay())).unwrap();
    });
    let mut host = tool.host(Settings::new().with_secret(secret()));
    host.send(ServiceId::READ, 7, &(), LIMIT).unwrap();
    assert!(host.reconnect(LIMIT).unwrap());
    assert_eq!(host.connection().counters().selections, 2);
    host.send(ServiceId::READ, 7, &(), LIMIT).unwrap();
    let mut closed = false;
    while let Some(event) = host.next(Duration::ZERO).unwrap() {
        closed |= matches!(event, Event::Closed { .. });
    }
    assert!(closed);
    tool.stop();
}

/// Numbers, texts, lists and structures of Rust and of JSON, in one encoding.
#[test]
fn row_pure_json_and_struct_json_are_one_encoding_secs_ii_and_rust_values_go_both_ways() {
    let tool = serve(Settings::new(), |tool| {
        usual(tool);
        tool.on_request(None, None, |request| {
            Ok(Returned { status: Status::OKAY, data: request.data().map(<[u8]>::to_vec) })
        })
        .unwrap();
    });
    let mut host = tool.host(Settings::new());
    let value = (7_u32, "recipe", [0.5_f32, 1.5], Some(true));
    let answered = host.send(ServiceId::WRITE, 7, &value, LIMIT).unwrap();
    let sml = "<L [4] <U4 7> <A \"recipe\"> <L [2] <F4 0.5> <F4 1.5>> <BOOLEAN TRUE>>";
    assert_eq!(hsms_core::secs2::Sml::new(answered.data.as_deref().unwrap()).to_string(), sml);
    assert_eq!(answered.value::<(u32, &str, [f32; 2], Option<bool>)>().unwrap(), value);
    let value: Value = serde_json::json!(["temperature", 21, [true, "on"]]);
    let answered = host.send(ServiceId::WRITE, 7, &value, LIMIT).unwrap();
    let back: (String, u64, (bool, String)) = answered.value().unwrap();
    assert_eq!(back, ("temperature".to_owned(), 21, (true, "on".to_owned())));
    assert!(answered.value::<u8>().is_err());
    tool.stop();
}

#[test]
fn row_secs_ii_messages_are_dispatched_by_stream_and_function_with_the_same_precedence() {
    let tool = serve(Settings::new(), |tool| {
        let rows = [(None, None, 0), (None, Some(41), 1), (Some(2), None, 2), (Some(2), Some(41), 3_u8)];
        for (stream, function, number) in rows {
            tool.on_primary(stream, function, move |_| Ok(vec![0xa5, 1, number])).unwrap();
        }
    });
    let mut host = tool.host(Settings::new());
    for (stream, function, number) in [(2, 41, 3), (2, 43, 2), (3, 41, 1), (3, 43, 0)] {
        let text = host.request(StreamFunction::new(stream, function), &[], LIMIT).unwrap();
        assert_eq!(text, [0xa5, 1, number]);
    }
    tool.stop();
    // Equipment tells of what it does not know, and the very request ends with that.
    let tool = serve(Settings::new(), |tool| {
        tool.on_primary(Some(2), Some(41), |_| Ok(vec![])).unwrap();
    });
    let mut host = tool.host(Settings::new());
    let ends = [
        (2, 43, SendError::SystemError(hsms_std::services::Complaint::UnrecognizedFunction)),
        (3, 41, SendError::SystemError(hsms_std::services::Complaint::UnrecognizedStream)),
    ];
    for (stream, function, expected) in ends {
        let ended = outcome(host.request(StreamFunction::new(stream, function), &[], LIMIT));
        assert_eq!(ended, Some(expected));
    }
    tool.stop();
}
