//! The driver of the blocking adapter over a stream in memory of which one call fails: each call once, with each error.

use hsms_core::config::{Config, DeviceId};
use hsms_core::wire::{Header, Message, SType, SessionId, StreamFunction, SystemBytes};
use hsms_std::driver::Driver;
use hsms_std::transport::Transport;
use hsms_std::{Error, Incoming, Options};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, IoSlice};
use std::rc::Rc;
use std::time::{Duration, Instant};

const SESSION: SessionId = SessionId(7);
const S1F1: StreamFunction = StreamFunction::new(1, 1);
const S6F11: StreamFunction = StreamFunction::new(6, 11);

/// Octets that one write takes, at the most, so that a long text takes several; behind such a write there is no room at once.
const MOST: usize = 5_000;

/// The shortest there is.
const T5: Duration = Duration::from_millis(10);

/// How long anything may take before it counts as never.
const LIMIT: Duration = Duration::from_secs(60);

/// A text that is written from where it lies, in many writes.
const LONG: usize = 70_000;

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// With this error, once.
    Once(ErrorKind),
    /// With this error, and so does every call after it.
    Ever(ErrorKind),
    /// It says that it moved no octets.
    Nothing,
}

/// Those that only say "again".
const HARMLESS: [ErrorKind; 3] = [ErrorKind::Interrupted, ErrorKind::WouldBlock, ErrorKind::TimedOut];

/// Those that a socket ends with, and TLS: with `InvalidData` it tells whatever it does not trust.
const HARD: [ErrorKind; 15] = [
    ErrorKind::ConnectionReset,
    ErrorKind::ConnectionAborted,
    ErrorKind::ConnectionRefused,
    ErrorKind::BrokenPipe,
    ErrorKind::NotConnected,
    ErrorKind::UnexpectedEof,
    ErrorKind::WriteZero,
    ErrorKind::OutOfMemory,
    ErrorKind::PermissionDenied,
    ErrorKind::InvalidInput,
    ErrorKind::InvalidData,
    ErrorKind::HostUnreachable,
    ErrorKind::NetworkUnreachable,
    ErrorKind::NetworkDown,
    ErrorKind::Other,
];

fn failures() -> impl Iterator<Item = Failure> {
    let hard = HARD.into_iter().flat_map(|kind| [Failure::Once(kind), Failure::Ever(kind)]);
    HARMLESS.into_iter().map(Failure::Once).chain(hard).chain([Failure::Nothing])
}

/// Which connection fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    /// The driver's end is the active one.
    active: bool,
    /// The stream keeps what it takes until it is asked to write what it owes, as TLS does.
    owes: bool,
}

const SHAPES: [Shape; 4] = [
    Shape { active: false, owes: false },
    Shape { active: true, owes: false },
    Shape { active: false, owes: true },
    Shape { active: true, owes: true },
];

/// The peer, and the stream to it.
#[derive(Default)]
struct World {
    owes: bool,
    /// What the stream has taken and not written.
    owed: Vec<u8>,
    calls: usize,
    failing: Option<(usize, Failure)>,
    failed: Option<&'static str>,
    /// What the driver will read.
    incoming: VecDeque<u8>,
    /// What it wrote and is no whole message yet.
    outgoing: Vec<u8>,
    /// There was no room behind the last long write.
    full: bool,
    closed: bool,
    /// Texts of the data that arrived at the peer.
    received: Vec<Vec<u8>>,
    separated: bool,
}

impl World {
    /// Counts a call. Gives an error where this is the one that fails.
    fn call(&mut self, name: &'static str) -> Option<Failure> {
        assert!(!self.closed, "{name} after the stream was closed");
        self.calls += 1;
        let (number, failure) = self.failing?;
        let fails = match failure {
            Failure::Ever(_) => self.calls >= number,
            _ => self.calls == number,
        };
        if fails && self.failed.is_none() {
            self.failed = Some(name);
        }
        fails.then_some(failure)
    }

    fn say(&mut self, header: Header, body: &[u8]) {
        let mut octets = vec![0; body.len() + 14];
        Message::new(header, body).encode(&mut octets).unwrap();
        self.incoming.extend(octets);
    }

    /// The peer answers what has come.
    fn listen(&mut self) {
        let octets = std::mem::take(&mut self.outgoing);
        let mut rest = &octets[..];
        while let Ok((message, behind)) = Message::parse(rest) {
            let header = message.header;
            match header.stype {
                SType::SELECT_REQ | SType::SELECT_RSP => {
                    if header.stype == SType::SELECT_REQ {
                        self.say(Header::select_rsp(header.system), &[]);
                    }
                    for number in 1..=3_u32 {
                        let data = Header::data(SystemBytes(number), S1F1, number != 2, SESSION);
                        self.say(data, format!("of the peer, {number}").as_bytes());
                    }
                }
                SType::LINKTEST_REQ => self.say(Header::linktest_rsp(header.system), &[]),
                SType::SEPARATE_REQ => self.separated = true,
                SType::DATA => {
                    let text = match message.body {
                        [first, ..]
                            if message.body.len() == LONG && message.body.iter().all(|octet| octet == first) =>
                        {
                            format!("{LONG} of {first}").into_bytes()
                        }
                        short => short.to_vec(),
                    };
                    self.received.push([header.stream_function().to_string().as_bytes(), b" ", &text].concat());
                    if header.reply_expected() {
                        let reply = header.stream_function().reply().unwrap();
                        self.say(Header::data(header.system, reply, false, SESSION), message.body);
                    }
                }
                other => panic!("{other:?}"),
            }
            rest = behind;
        }
        self.outgoing = rest.to_vec();
    }
}

#[derive(Clone, Default)]
struct Stream(Rc<RefCell<World>>);

impl Transport for Stream {
    fn read(&mut self, octets: &mut [u8], _: Duration) -> io::Result<usize> {
        let world = &mut *self.0.borrow_mut();
        match world.call("read") {
            Some(Failure::Once(kind) | Failure::Ever(kind)) => return Err(kind.into()),
            Some(Failure::Nothing) => return Ok(0),
            None => {}
        }
        // What it owes leaves first, as with TLS.
        world.outgoing.append(&mut world.owed);
        world.listen();
        let len = octets.len().min(world.incoming.len());
        if len == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        octets.iter_mut().zip(world.incoming.drain(..len)).for_each(|(place, octet)| *place = octet);
        Ok(len)
    }

    fn write(&mut self, parts: &[IoSlice<'_>], _: Duration) -> io::Result<usize> {
        let world = &mut *self.0.borrow_mut();
        match world.call("write") {
            Some(Failure::Once(kind) | Failure::Ever(kind)) => return Err(kind.into()),
            Some(Failure::Nothing) => return Ok(0),
            None => {}
        }
        if std::mem::take(&mut world.full) {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut left = MOST;
        for part in parts {
            let len = part.len().min(left);
            let place = if world.owes { &mut world.owed } else { &mut world.outgoing };
            place.extend_from_slice(&part[..len]);
            left -= len;
        }
        world.full = left == 0;
        world.listen();
        Ok(MOST - left)
    }

    fn write_owed(&mut self, _: Duration) -> io::Result<usize> {
        let world = &mut *self.0.borrow_mut();
        if world.owed.is_empty() {
            return Ok(0);
        }
        match world.call("write_owed") {
            Some(Failure::Once(kind) | Failure::Ever(kind)) => return Err(kind.into()),
            // As TLS tells that the stream below it takes nothing.
            Some(Failure::Nothing) => return Err(ErrorKind::WriteZero.into()),
            None => {}
        }
        // Not always all of it.
        let len = world.owed.len().min(MOST / 2);
        world.outgoing.extend(world.owed.drain(..len));
        world.listen();
        Ok(len)
    }

    fn wait(&mut self, _: bool, _: Duration) -> io::Result<()> {
        match self.0.borrow_mut().call("wait") {
            Some(Failure::Once(kind) | Failure::Ever(kind)) => Err(kind.into()),
            _ => Ok(()),
        }
    }

    fn close(&mut self) {
        self.0.borrow_mut().closed = true;
    }
}

/// What the application knows at the end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Known {
    /// Texts of the peer's primaries.
    primaries: Vec<Vec<u8>>,
    /// Requests and how they ended.
    requests: BTreeMap<&'static str, String>,
    linktest: bool,
    /// The connection ended before the application wanted it to, and what was said about it.
    closed: Option<String>,
    /// An error that a call gave.
    error: Option<String>,
    /// What the peer has.
    received: Vec<Vec<u8>>,
    separated: bool,
    calls: usize,
    failed: Option<&'static str>,
}

type Machine = Driver<Stream, 8>;

/// The application over one connection.
struct Application<'d> {
    driver: &'d mut Machine,
    known: Known,
    open: BTreeMap<u32, &'static str>,
    selected: bool,
}

impl Application<'_> {
    /// Whether the connection is there still. What a call says about its end is kept.
    fn takes<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        result.map_err(|error| self.known.error = Some(error.to_string())).ok()
    }

    /// Takes all that there is, and answers.
    fn pump(&mut self) {
        for _ in 0..400 {
            let now = self.driver.tick();
            let turned = self.driver.turn(now);
            let went_on = self.takes(turned);
            let mut quiet = went_on != Some(true);
            while let Some(incoming) = self.driver.poll() {
                quiet = false;
                let mut answer = None;
                match incoming {
                    Incoming::Selected => self.selected = true,
                    Incoming::Primary { message, token } => {
                        answer = token.map(|token| (token, message.body.to_vec()));
                        self.known.primaries.push(message.body.to_vec());
                    }
                    Incoming::Reply { message } => {
                        let name = self.open.remove(&message.header.system.0).expect("a reply to what is open");
                        let outcome = format!("reply of {}", message.body.len());
                        assert_eq!(self.known.requests.insert(name, outcome), None, "{name} ended twice");
                    }
                    Incoming::TransactionEnded { system, end } => {
                        let name = self.open.remove(&system.0).expect("the end of what is open");
                        assert_eq!(self.known.requests.insert(name, end.to_string()), None, "{name} ended twice");
                    }
                    Incoming::Closed { reason, error } => {
                        assert_eq!(self.known.closed, None, "closed twice");
                        let error = error.map(|error| error.kind().to_string()).unwrap_or_default();
                        self.known.closed = Some(format!("{reason}: {error}"));
                    }
                    Incoming::Notice(hsms_std::Notice::LinktestAnswered { .. }) => self.known.linktest = true,
                    Incoming::Connected => {}
                    other => panic!("{other:?}"),
                }
                if let Some((token, text)) = answer {
                    let done =
                        if text.ends_with(b"3") { self.driver.abort(&token) } else { self.driver.reply(&token, &text) };
                    self.takes(done);
                }
            }
            if quiet && (self.known.closed.is_some() || self.driver.transport().is_none()) {
                return;
            }
            if quiet
                && self.open.is_empty()
                && self
                    .driver
                    .transport()
                    .is_some_and(|t| t.0.borrow().incoming.is_empty() && t.0.borrow().owed.is_empty())
            {
                return;
            }
        }
        panic!("it does not come to rest: {:?}", self.known);
    }

    fn request(&mut self, name: &'static str, stream_function: StreamFunction, text: &[u8]) {
        match self.driver.post(SESSION, stream_function, text) {
            Ok(system) => drop(self.open.insert(system.0, name)),
            Err(error) => {
                self.known.requests.insert(name, format!("not sent: {error}"));
                self.known.error = Some(error.to_string());
            }
        }
    }

    /// Everything that an application does with a connection.
    fn converse(&mut self) {
        self.pump();
        self.request("short", S1F1, b"a question");
        self.pump();
        let sent = self.driver.send(SESSION, S6F11, b"an event");
        self.takes(sent);
        let flushed = self.driver.flush();
        self.takes(flushed);
        self.request("long", S1F1, &vec![b'l'; LONG]);
        self.pump();
        let tested = self.driver.linktest();
        self.takes(tested);
        self.pump();
        let sent = self.driver.send(SESSION, S6F11, &vec![b'e'; LONG]);
        self.takes(sent);
        self.pump();
    }
}

/// A connection with this failure, from its opening to the last word.
fn connection(driver: &mut Machine, shape: Shape, failing: Option<(usize, Failure)>) -> Known {
    let stream = Stream::default();
    (stream.0.borrow_mut().failing, stream.0.borrow_mut().owes) = (failing, shape.owes);
    if !shape.active {
        stream.0.borrow_mut().say(Header::select_req(SystemBytes(9)), &[]);
    }
    driver.opened(stream.clone());
    let mut application = Application { driver, known: Known::default(), open: BTreeMap::new(), selected: false };
    application.converse();
    let mut known = application.known;
    assert!(application.open.is_empty(), "without an outcome: {:?}, {known:?}", application.open);
    if known.closed.is_none() {
        assert!(application.selected);
        application.driver.disable();
        while application.driver.poll().is_some() {}
        application.driver.enable();
    }
    let world = stream.0.borrow();
    assert!(world.closed, "the stream stays open");
    known.received.clone_from(&world.received);
    (known.separated, known.calls, known.failed) = (world.separated, world.calls, world.failed);
    known
}

fn driver(shape: Shape) -> Machine {
    let device = DeviceId::new(SESSION.0).unwrap();
    // The driver looks at the real clock, and nothing here waits for it: no timer may expire however long the machine stalls.
    let long = Duration::from_secs(86_400);
    let config = if shape.active { Config::host(device) } else { Config::equipment(device) };
    let config = config.with_linktest_period(Duration::ZERO).unwrap().with_t5(T5).unwrap();
    let config = config.with_t3(long).unwrap().with_t6(long).unwrap().with_t7(long).unwrap().with_t8(long).unwrap();
    let mut driver = Driver::new(config, Options::new().with_write_limit(long));
    driver.enable();
    driver
}

/// Whether it wants another connection, which the active end does after T5.
fn connects_again(driver: &mut Machine) -> bool {
    let since = Instant::now();
    while !driver.wants_transport() && driver.next_deadline().is_some() && since.elapsed() < LIMIT {
        let now = driver.tick();
        let _ = driver.turn(now);
        while driver.poll().is_some() {}
    }
    driver.wants_transport()
}

/// What is received is the beginning of what was to be, in order, and nothing is there twice.
fn is_beginning(part: &[Vec<u8>], whole: &[Vec<u8>]) -> bool {
    whole.starts_with(part)
}

#[test]
fn every_call_of_the_transport_may_fail_with_every_error() {
    for shape in SHAPES {
        let clean = connection(&mut driver(shape), shape, None);
        assert!(clean.closed.is_none() && clean.error.is_none() && clean.linktest && clean.separated, "{clean:?}");
        assert_eq!(clean.received.len(), 6, "two answers, two requests, two events");
        assert_eq!(clean.primaries.len(), 3);
        let (mut runs, mut ended) = (0, 0);
        let mut places = BTreeMap::<_, usize>::new();
        for failure in failures() {
            for call in 1..=clean.calls {
                let (name, closed) = fails(shape, &clean, call, failure);
                *places.entry(name).or_default() += 1;
                (runs, ended) = (runs + 1, ended + usize::from(closed));
            }
        }
        let unharmed = runs - ended;
        println!(
            "calls that fail: {runs} runs ({} calls, {} ways to fail), {unharmed} unharmed, {ended} told; by call {places:?}; {shape:?}",
            clean.calls,
            failures().count()
        );
        assert_eq!(runs, clean.calls * failures().count());
        assert!(ended > runs / 2 && places.len() == 3 + usize::from(shape.owes), "{places:?}");
    }
}

/// One run, and a connection after it. Gives which call failed, and whether the connection ended by it.
fn fails(shape: Shape, clean: &Known, call: usize, failure: Failure) -> (&'static str, bool) {
    let mut driver = driver(shape);
    let what = format!("call {call} of {} fails: {failure:?}, {shape:?}", clean.calls);
    let known = connection(&mut driver, shape, Some((call, failure)));
    let name = known.failed.unwrap_or_else(|| panic!("{what}: it was not made"));
    let harmless = matches!(failure, Failure::Once(kind) if HARMLESS.contains(&kind))
        || (failure == Failure::Nothing && name == "wait");
    let closed = known.closed.is_some();
    if harmless || !closed {
        // Not noticed, as if nothing had been; only the last word may have been lost to a stream that is broken for good.
        let calls = (known.calls, known.failed, known.separated);
        let same = Known { calls: clean.calls, failed: None, separated: true, ..known };
        assert_eq!(same, *clean, "{what}, {name}");
        assert!(calls.2 || !harmless || call + 1 >= clean.calls, "{what}, {name}: no farewell");
    } else {
        // Told, with the error; and what had arrived until then is the beginning of the whole.
        let said = known.closed.as_deref().unwrap_or_default();
        if let Failure::Once(kind) | Failure::Ever(kind) = failure {
            assert!(said.ends_with(&kind.to_string()), "{what}, {name}: {said}");
        }
        assert!(is_beginning(&known.received, &clean.received), "{what}, {name}: {:?}", known.received.len());
        assert!(is_beginning(&known.primaries, &clean.primaries), "{what}, {name}");
    }
    assert!(driver.wants_transport() || (shape.active && driver.next_deadline().is_some()), "{what}, {name}");
    // The active end has to wait for T5: not every time.
    if !shape.active || call % 16 == 1 {
        assert!(connects_again(&mut driver), "{what}, {name}: it does not connect again");
        let again = connection(&mut driver, shape, None);
        assert_eq!(again, *clean, "{what}, {name}: the connection after it");
    }
    (name, closed)
}
