//! All parts together, over loopback: equipment that serves, and a host that asks, in ordinary HSMS data messages.

use std::thread;
use std::time::{Duration, Instant as Clock};

use hsms_core::config::ConnectMode::{Active, Passive};
use hsms_core::secs2::messages::Identity;
use hsms_core::secs2::{Reader, Writer};
use hsms_core::services::{
    BeforeTrust, ChannelName, Communication, CommunicationSettings, CommunicationVerdict, DEFAULT_STREAM, Secret,
    ServiceId, ServiceInbox, ServiceMessage, ServiceTable, Services, Status, Trust, TrustFailure, TrustMessage,
    TrustSettings, TrustStep,
};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, SessionId, StreamFunction};
use hsms_std::{Config, Connection, DeviceId, Error, Incoming};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);
const DEVICE: DeviceId = DeviceId::new(7).unwrap();
const SESSION: SessionId = DEVICE.session();
const NOW: Instant = Instant::EPOCH;

/// What it gives is the data of the response, one item.
type Handler = fn(&ServiceMessage<'_>) -> (Status, Vec<u8>);

struct Tool {
    secret: Secret,
    trust: Trust,
    before: BeforeTrust<2>,
    name: ChannelName<16>,
    services: Services<'static, 16>,
    handlers: ServiceTable<Handler, 4>,
    inbox: ServiceInbox<4, 256>,
    communication: Communication<'static>,
    challenges: u8,
}

/// The reply, or `None` for an abort.
type Reply = Option<Vec<u8>>;

impl Tool {
    fn new() -> Self {
        let mut services = Services::new();
        for (request, name) in [(10, "read"), (20, "write"), (30, "execute")] {
            let service = services.add_service(request, request + 1, name, "response").unwrap().request();
            services.add_data(service, 7, "temperature").unwrap();
        }
        let mut handlers = ServiceTable::<Handler, 4>::new();
        handlers.insert(Some(ServiceId::READ), None, |_| (Status::OKAY, vec![0xa9, 2, 1, 0x2c])).unwrap();
        handlers
            .insert(Some(ServiceId::WRITE), Some(7), |message| match Reader::new(message.data().unwrap()).u2() {
                Ok(_) => (Status::OKAY, vec![1, 0]),
                Err(_) => (Status::CALLBACK_ERROR, vec![1, 0]),
            })
            .unwrap();
        Tool {
            secret: Secret::new(b"sixteen octets!!").unwrap(),
            trust: Trust::new(Passive, SESSION, TrustSettings::default()),
            before: BeforeTrust::new(),
            name: ChannelName::new(Passive, Some("tool 4")).unwrap(),
            services,
            handlers,
            inbox: ServiceInbox::new(),
            communication: Communication::new(CommunicationSettings {
                begins: false,
                ..CommunicationSettings::new(Identity::Equipment { mdln: "ETCHER", softrev: "1.0" })
            }),
            challenges: 0,
        }
    }

    fn lost(&mut self) {
        self.trust.lost();
        self.name.lost();
        self.communication.lost();
    }

    fn primary(&mut self, header: &Header, text: &[u8]) -> Reply {
        if header.stream() == DEFAULT_STREAM {
            return ServiceId::from_function(header.function()).map(|service| self.service(service, header, text));
        }
        if !self.before.admits_function(&self.trust, header.stream_function()) {
            return None;
        }
        match self.communication.handle_primary(NOW, header, text, true) {
            CommunicationVerdict::Reply(message) => Some(written(|text| message.write(text))),
            _ => None,
        }
    }

    fn service(&mut self, service: ServiceId, header: &Header, text: &[u8]) -> Vec<u8> {
        if service == ServiceId::AUTHENTICATION {
            self.challenges += 1;
            let challenge = [self.challenges; 32];
            let answer = self.trust.handle_request(NOW, &self.secret, || challenge, text);
            return written(|text| answer.response.write(text));
        }
        if service == ServiceId::CHANNEL_NAME {
            let answer = self.name.handle_request(text);
            return written(|text| self.name.write(answer.status, text));
        }
        let response = service.response().unwrap();
        let Ok(message) = ServiceMessage::read(service, text) else {
            return respond(response, 0, Status::CHECKSUM_ERROR, None);
        };
        if !self.before.admits_service(&self.trust, service, message.data_id()) {
            return respond(response, message.data_id(), Status::AUTHENTICATION_REQUIRED, None);
        }
        let (status, data) = match self.handlers.find(service, message.data_id()) {
            Some(handler) => handler(&message),
            None => (self.inbox.keep_request(&self.services, service, *header, text), vec![1, 0]),
        };
        respond(response, message.data_id(), status, Some(&data))
    }

    /// Serves one host after the other until one asks for S2F15.
    fn serve(mut self, mut link: Connection) -> Self {
        let end = Clock::now() + LIMIT;
        while Clock::now() < end {
            match link.next(LIMIT).unwrap() {
                Some(Incoming::Primary { message, token }) => {
                    let last = message.header.stream_function() == StreamFunction::new(2, 15);
                    let reply = self.primary(&message.header, message.body);
                    if let Some(token) = token {
                        match reply {
                            Some(text) => link.reply(&token, &text).unwrap(),
                            None => link.abort(&token).unwrap(),
                        }
                    }
                    if last {
                        link.close().unwrap();
                        return self;
                    }
                }
                Some(Incoming::Selected) => assert_eq!(self.communication.selected(NOW), None),
                Some(Incoming::Closed { .. }) => self.lost(),
                _ => {}
            }
        }
        panic!("nobody ended it");
    }
}

fn written(write: impl FnOnce(&mut Writer<Vec<u8>>) -> Result<(), hsms_core::secs2::WriteError>) -> Vec<u8> {
    let mut text = Writer::new(Vec::new());
    write(&mut text).unwrap();
    text.finish().unwrap()
}

fn respond(service: ServiceId, data_id: u32, status: Status, data: Option<&[u8]>) -> Vec<u8> {
    written(|text| ServiceMessage::new(service, data_id, status, data).write(text))
}

/// Status, and data, of the response.
fn ask(host: &mut Connection, service: ServiceId, data_id: u32, data: Option<&[u8]>) -> (Status, Option<Vec<u8>>) {
    let text = respond(service, data_id, Status::OKAY, data);
    let reply = host.request(StreamFunction::new(DEFAULT_STREAM, service.function()), &text).unwrap();
    let message = ServiceMessage::read(service.response().unwrap(), reply.body).unwrap();
    assert_eq!(message.data_id(), data_id);
    (message.status(), message.data().map(<[u8]>::to_vec))
}

fn authenticate(host: &mut Connection, secret: &Secret, challenge: u8) -> Result<(), TrustFailure> {
    let mut trust = Trust::new(Active, SESSION, TrustSettings::default());
    let mut request: TrustMessage = trust.authenticate(NOW, [challenge; 32]).unwrap();
    let what = StreamFunction::new(DEFAULT_STREAM, ServiceId::AUTHENTICATION.function());
    loop {
        let reply = host.request(what, &written(|text| request.write(text))).unwrap();
        trust.sent(reply.header.system);
        match trust.handle_response(NOW, secret, &reply.header, reply.body) {
            TrustStep::Send(next) => request = next,
            TrustStep::Trusted => return Ok(()),
            TrustStep::Failed(failure) => return Err(failure),
            TrustStep::NotOurs => panic!("it is ours"),
        }
    }
}

#[test]
fn host_and_equipment_with_a_secret_names_services_and_communication_over_loopback() {
    let link = Connection::passive("127.0.0.1:0", Config::equipment(DEVICE)).unwrap();
    let address = link.local_addr().unwrap();
    let tool = thread::spawn(move || Tool::new().serve(link));
    let config = Config::host(DEVICE).with_t5(Duration::from_millis(10)).unwrap();
    let mut host = Connection::active(address, config).unwrap();
    host.select(LIMIT).unwrap();

    assert_eq!(ask(&mut host, ServiceId::READ, 7, None), (Status::AUTHENTICATION_REQUIRED, None));
    let establish = StreamFunction::new(1, 13);
    assert!(matches!(host.request(establish, b"\x01\x00"), Err(Error::Aborted { .. })));
    let wrong = Secret::new(b"another secret!!").unwrap();
    let refused = TrustFailure::Refused(Status::OPERATION_NOT_PERMITTED);
    assert_eq!(authenticate(&mut host, &wrong, 0xa0), Err(refused));
    assert_eq!(ask(&mut host, ServiceId::READ, 7, None).0, Status::AUTHENTICATION_REQUIRED);
    let secret = Secret::new(b"sixteen octets!!").unwrap();
    authenticate(&mut host, &secret, 0xa1).unwrap();

    let mut name = ChannelName::<16>::new(Active, Some("etcher")).unwrap();
    assert!(name.selected());
    let text = written(|text| name.write(Status::OKAY, text));
    let reply = host.request(StreamFunction::new(DEFAULT_STREAM, 9), &text).unwrap();
    name.sent(reply.header.system);
    assert_eq!(name.handle_response(&reply.header, reply.body), Ok(true));
    assert_eq!((name.name(), name.differ()), (Some("etcher"), true));

    let mut communication = Communication::new(CommunicationSettings::new(Identity::Host));
    let message = communication.selected(NOW).unwrap();
    let reply = host.request(message.stream_function(), &written(|text| message.write(text))).unwrap();
    communication.sent(reply.header.system);
    assert_eq!(communication.handle_reply(NOW, &reply.header, reply.body), Ok(true));
    let reply = host.request(StreamFunction::new(1, 1), b"").unwrap();
    assert_eq!(Identity::read(reply.body), Ok(Identity::Equipment { mdln: "ETCHER", softrev: "1.0" }));

    assert_eq!(ask(&mut host, ServiceId::READ, 7, None), (Status::OKAY, Some(vec![0xa9, 2, 1, 0x2c])));
    assert_eq!(ask(&mut host, ServiceId::WRITE, 7, Some(&[0xa9, 2, 1, 0x2d])), (Status::OKAY, None));
    assert_eq!(ask(&mut host, ServiceId::WRITE, 7, Some(b"\x41\x03hot")), (Status::CALLBACK_ERROR, None));
    assert_eq!(ask(&mut host, ServiceId::WRITE, 8, None), (Status::SERVICE_OR_DATA_UNKNOWN, None));
    assert_eq!(ask(&mut host, ServiceId::EXECUTE, 7, None), (Status::BUFFERING_UNHANDLED_REQUEST, None));

    // With the link goes the trust.
    host.reconnect(LIMIT).unwrap();
    assert_eq!(ask(&mut host, ServiceId::READ, 7, None).0, Status::AUTHENTICATION_REQUIRED);
    assert!(matches!(host.request(StreamFunction::new(2, 15), b""), Err(Error::Aborted { .. })));
    let mut tool = tool.join().unwrap();
    assert_eq!(tool.before.refused(), 5);
    let kept = tool
        .inbox
        .take(Some(ServiceId::EXECUTE), Some(7), |kept| kept.message().map(|message| message.data().is_none()));
    assert_eq!(kept, Some(Ok(true)));
}
