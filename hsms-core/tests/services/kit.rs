//! Two endpoints face to face in memory, or one of them and a test that plays the peer.
#![allow(dead_code, reason = "every test program uses a part of it")]

use std::collections::{HashMap, VecDeque};

use hsms_core::config::{Config, ConnectMode, DeviceId};
use hsms_core::connection::{Connection, Event, ReplyToken, State, Stream9};
use hsms_core::secs2::{WriteError, Writer};
use hsms_core::services::{
    Answer, BeforeTrust, Endpoint, EndpointAction, EndpointNotice, EndpointSettings, Outgoing, Reaction, Response,
    Secret, SendError, ServiceId, ServiceMessage, Status, Ticket, TrustSettings,
};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};

pub const SESSION: SessionId = SessionId(7);

pub type Handler = fn(&[u8]) -> Option<(Status, Vec<u8>)>;
pub type Machine = Endpoint<'static, Handler, 4, 8, 32, 4, 256>;

pub fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// For a challenge: other octets with each call.
pub fn challenge() -> [u8; 32] {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut octets = [0x5a; 32];
    octets[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    octets
}

pub fn secret() -> Secret {
    Secret::new(b"sixteen octets!!").unwrap()
}

/// Any: only who routes replies looks at it, and the kit does so by the header.
pub fn token() -> ReplyToken {
    let mut connection = Connection::<1>::new(Config::equipment(DeviceId::new(7).unwrap()));
    connection.enable(at(0)).unwrap();
    while connection.poll_action().is_some() {}
    connection.handle(at(0), Event::TransportOpen).unwrap();
    let select_and_ask = [0, 0, 0, 10, 255, 255, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 10, 0, 7, 129, 1, 0, 0, 0, 0, 0, 2];
    let (select, ask) = select_and_ask.split_at(14);
    connection.receive(at(0), select).unwrap();
    while connection.poll_action().is_some() {}
    connection.receive(at(0), ask).unwrap().1.unwrap().reply_token().unwrap()
}

pub fn settings(mode: ConnectMode) -> EndpointSettings<'static> {
    EndpointSettings::new(mode, SESSION)
}

pub fn quiet(mode: ConnectMode) -> EndpointSettings<'static> {
    EndpointSettings { exchange_names: false, ..settings(mode) }
}

pub fn plain(mode: ConnectMode) -> Machine {
    Endpoint::new(quiet(mode)).unwrap()
}

pub fn guarded(mode: ConnectMode) -> Machine {
    plain(mode).with_secret(secret(), TrustSettings::default(), challenge, BeforeTrust::new())
}

pub fn written(write: impl FnOnce(&mut Writer<Vec<u8>>) -> Result<(), WriteError>) -> Vec<u8> {
    let mut text = Writer::new(Vec::new());
    write(&mut text).unwrap();
    text.finish().unwrap()
}

pub fn service_text(data_id: u32, status: Status, data: Option<&[u8]>) -> Vec<u8> {
    written(|text| ServiceMessage::new(ServiceId::READ, data_id, status, data).write(text))
}

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub header: Header,
    pub text: Vec<u8>,
}

/// What the application was told of a sending: the text of the response, none of what has none.
pub type Outcome = Result<Vec<u8>, SendError>;

/// An endpoint, its outgoing messages, and what it told.
pub struct End {
    pub machine: Machine,
    pub now: Instant,
    next: u32,
    texts: HashMap<Ticket, Vec<u8>>,
    pub sent: VecDeque<Sent>,
    pub settled: Vec<(Ticket, Outcome)>,
    pub notices: Vec<EndpointNotice>,
    pub reports: Vec<(Stream9, Header)>,
    pub calls: u32,
    pub drops: u32,
    /// Transactions that were aborted behind a report.
    pub aborts: u32,
    /// What the connection says to whatever is to be sent.
    pub refuses: Option<hsms_core::Error>,
}

impl End {
    pub fn new(machine: Machine) -> Self {
        End {
            machine,
            now: at(0),
            next: 1,
            texts: HashMap::new(),
            sent: VecDeque::new(),
            settled: Vec::new(),
            notices: Vec::new(),
            reports: Vec::new(),
            calls: 0,
            drops: 0,
            aborts: 0,
            refuses: None,
        }
    }

    pub fn link(&mut self, state: State) {
        self.machine.link(self.now, state);
        self.drain();
    }

    pub fn at(&mut self, millis: u64) {
        self.now = at(millis);
        self.machine.handle_timeout(self.now);
        self.drain();
    }

    pub fn ask(&mut self, service: ServiceId, data_id: u32, data: Option<&[u8]>, deadline: u64) -> Ticket {
        let ticket = self.machine.send(self.now, service, data_id, true, at(deadline)).unwrap();
        self.texts.insert(ticket, service_text(data_id, Status::OKAY, data));
        self.drain();
        ticket
    }

    pub fn tell(&mut self, service: ServiceId, data_id: u32, deadline: u64) -> Ticket {
        let ticket = self.machine.send(self.now, service, data_id, false, at(deadline)).unwrap();
        self.texts.insert(ticket, service_text(data_id, Status::OKAY, None));
        self.drain();
        ticket
    }

    pub fn ask_function(&mut self, stream: u8, function: u8, deadline: u64) -> Ticket {
        let what = StreamFunction::new(stream, function);
        let ticket = self.machine.send_function(self.now, what, true, at(deadline)).unwrap();
        self.texts.insert(ticket, Vec::new());
        self.drain();
        ticket
    }

    pub fn authenticate(&mut self, deadline: u64) -> Ticket {
        let ticket = self.machine.authenticate(self.now, at(deadline)).unwrap();
        self.drain();
        ticket
    }

    /// What the application was told of it, once.
    pub fn outcome(&mut self, ticket: Ticket) -> Option<Outcome> {
        let at = self.settled.iter().position(|(settled, _)| *settled == ticket)?;
        let (_, outcome) = self.settled.remove(at);
        assert!(self.settled.iter().all(|(settled, _)| *settled != ticket), "told twice");
        Some(outcome)
    }

    /// The next message that it sent.
    pub fn next(&mut self) -> Sent {
        self.sent.pop_front().expect("a message")
    }

    /// The stream and function of the next message that it sent.
    pub fn next_is(&mut self, stream: u8, function: u8) -> Sent {
        let sent = self.next();
        assert_eq!(sent.header.stream_function(), StreamFunction::new(stream, function));
        sent
    }

    /// A primary comes; gives the reply.
    pub fn primary(&mut self, header: Header, text: &[u8]) -> Option<Sent> {
        let token = header.reply_expected().then(token);
        let reply = |function: u8, text| {
            let what = StreamFunction::new(header.stream(), function);
            Some(Sent { header: Header::data(header.system, what, false, header.session), text })
        };
        let (mut called, mut settled) = (0, None);
        let answer = match self.machine.primary(self.now, &header, token, text) {
            Reaction::None => None,
            Reaction::Reply { message, .. } => {
                let text = written(|text| self.machine.write(&message, text));
                reply(header.function() + 1, text)
            }
            Reaction::Abort { .. } => reply(0, vec![]),
            Reaction::Service { handler, message, answer } => {
                called = 1;
                let returned = handler(message.data().unwrap_or_default());
                answer.and_then(|answer| reply(answer.service.function(), responded(&answer, returned)))
            }
            Reaction::Function { handler, text, reply: token } => {
                called = 1;
                match (token, handler(text)) {
                    (None, _) => None,
                    (Some(_), Some((_, text))) => reply(header.function() + 1, text),
                    (Some(_), None) => reply(0, vec![]),
                }
            }
            Reaction::Settled { ticket, outcome } => {
                settled = Some((ticket, outcome.map(|_| Vec::new())));
                None
            }
        };
        self.calls += called;
        self.settled.extend(settled);
        let before = self.aborts;
        self.drain();
        // Behind a report it is no reaction but an action.
        if self.aborts > before { reply(0, vec![]) } else { answer }
    }

    /// The same from a peer that the test plays.
    pub fn receives(&mut self, stream: u8, function: u8, text: &[u8]) -> Option<Sent> {
        let what = StreamFunction::new(stream, function);
        self.primary(Header::data(SystemBytes(0x9000), what, stream != 9, SESSION), text)
    }

    /// A reply to `asked` comes.
    pub fn answered(&mut self, asked: &Sent, function: u8, text: &[u8]) {
        let what = StreamFunction::new(asked.header.stream(), function);
        self.replied(&Sent { header: Header::data(asked.header.system, what, false, SESSION), text: text.to_vec() });
    }

    pub fn replied(&mut self, reply: &Sent) {
        let mut called = 0;
        let settled = match self.machine.reply(self.now, &reply.header, &reply.text) {
            Reaction::Settled { ticket, outcome } => {
                let text = |response| match response {
                    Response::Service(message) => ServiceMessage::data(&message).unwrap_or_default().to_vec(),
                    Response::Function(text) => text.to_vec(),
                };
                Some((ticket, outcome.map(text)))
            }
            Reaction::Service { handler, message, answer } => {
                assert_eq!(answer, None);
                called = 1;
                let _ = handler(message.data().unwrap_or_default());
                None
            }
            _ => None,
        };
        self.calls += called;
        self.settled.extend(settled);
        self.drain();
    }

    pub fn drain(&mut self) {
        for _ in 0..100 {
            let Some(action) = self.machine.poll_action() else { return };
            match action {
                EndpointAction::Send { what, stream_function, reply_expected } => {
                    if let Some(error) = self.refuses {
                        self.machine.not_sent(self.now, &what, error);
                        continue;
                    }
                    let text = match &what {
                        Outgoing::Own(message) => written(|text| self.machine.write(message, text)),
                        Outgoing::Application(ticket) => self.texts[ticket].clone(),
                    };
                    let system = SystemBytes(self.next);
                    self.next += 1;
                    let header = Header::data(system, stream_function, reply_expected, SESSION);
                    self.sent.push_back(Sent { header, text });
                    self.machine.sent(&what, system);
                }
                EndpointAction::Report { error, about } => self.reports.push((error, about)),
                EndpointAction::Abort { .. } => self.aborts += 1,
                EndpointAction::Settled { ticket, outcome } => {
                    self.settled.push((ticket, outcome.map(|_| Vec::new())));
                }
                EndpointAction::DropLink => self.drops += 1,
                EndpointAction::Notify(notice) => self.notices.push(notice),
            }
        }
        panic!("it asks for ever");
    }
}

fn responded(answer: &Answer, returned: Option<(Status, Vec<u8>)>) -> Vec<u8> {
    let returned = returned.as_ref().map(|(status, data)| (*status, Some(&**data)));
    written(|text| answer.response(returned).write(text))
}

/// Both become SELECTED, and all messages arrive at once until none is left.
pub fn select(a: &mut End, b: &mut End) {
    for end in [&mut *a, &mut *b] {
        end.link(State::NotSelected);
        end.link(State::Selected);
    }
    settle(a, b);
}

pub fn settle(a: &mut End, b: &mut End) {
    for _ in 0..100 {
        let (from, to) = if a.sent.is_empty() { (&mut *b, &mut *a) } else { (&mut *a, &mut *b) };
        let Some(message) = from.sent.pop_front() else { return };
        if let Some(reply) = to.primary(message.header, &message.text) {
            from.replied(&reply);
        }
    }
    panic!("they talk for ever");
}
