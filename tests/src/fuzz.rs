//! Harnesses for a fuzzer: octets in, and a panic where something does not hold. The tests run them too, over the corpus, over
//! what the generators make, and over random changes of both.

use crate::invariants::Watch;
use hsms_core::Error;
use hsms_core::collect::{CollectError, Collector};
use hsms_core::config::{Config, ConnectMode, DeviceId, DeviceIds, Entity, Profile, SelectMode};
use hsms_core::connection::{
    Action, Class, CloseReason, Connection, Event, GeneralInput, Inbound, Input, Outcome, ReplyToken, State,
};
use hsms_core::counters::Counters;
use hsms_core::frame::{Decoder, LengthTooShort};
use hsms_core::generate::Chunking;
use hsms_core::time::Instant;
use hsms_core::wire::{Header, Message, PREFIX_LEN, ParseError, StreamFunction, SystemBytes};

/// Harness `decode`: sizes, then a stream. In chunks of these sizes the stream gives the same messages as parsed whole, and
/// the messages give the same octets again.
pub fn decode(data: &[u8]) {
    let (sizes, stream) = split_sizes(data);
    let parsed = parse_all(stream);
    assert_eq!(decode_all(&sizes.cut(stream)), parsed, "in chunks of {sizes:?}");
    assert_eq!(decode_all(&[stream]), parsed, "in one chunk");
    let again: Vec<u8> =
        parsed.messages.iter().flat_map(|(header, body)| crate::generate::encode(header, body)).collect();
    assert!(stream.starts_with(&again), "encoded again the messages differ");
}

/// Harness `receive`: a [`Setup`], sizes, then a stream. The machine does the same whatever the sizes, and keeps its
/// promises at every step. Gives what happened.
pub fn receive(data: &[u8]) -> Run {
    let (setup, rest) = data.split_first().unwrap_or((&0, &[]));
    let (sizes, stream) = split_sizes(rest);
    same_at_any_chunking(Setup::from_octet(*setup), &sizes, stream)
}

/// The first octet modulo 8 tells how many sizes there are; they follow.
pub(crate) fn split_sizes(data: &[u8]) -> (Chunking, &[u8]) {
    let Some((count, rest)) = data.split_first() else { return (Chunking::default(), data) };
    let (sizes, stream) = rest.split_at(usize::from(count % 8).min(rest.len()));
    (Chunking(sizes.iter().copied().map(usize::from).collect()), stream)
}

/// What a stream holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The whole messages: headers and texts.
    pub messages: Vec<(Header, Vec<u8>)>,
    /// What is behind them.
    pub end: End,
}

/// How a stream ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Between two messages.
    Between,
    /// In a message.
    Inside {
        /// So many octets of it are there.
        received: u64,
        /// Its header, the length of its text, and what is there of that, where the header is there.
        begun: Option<(Header, u32, Vec<u8>)>,
    },
    /// At a length field that cannot be.
    LengthTooShort(u32),
}

/// What `stream` holds, by [`Message::parse`].
///
/// # Panics
/// Where that gives a message that is not there.
#[must_use]
pub fn parse_all(stream: &[u8]) -> Parsed {
    let mut messages = Vec::new();
    let mut rest = stream;
    let end = loop {
        if rest.is_empty() {
            break End::Between;
        }
        match Message::parse(rest) {
            Ok((message, behind)) => {
                assert_eq!(rest.len(), message.body.len() + PREFIX_LEN + behind.len());
                messages.push((message.header, message.body.to_vec()));
                rest = behind;
            }
            Err(ParseError::LengthTooShort { length }) => break End::LengthTooShort(length),
            Err(ParseError::Incomplete { missing }) => break inside(rest, missing),
            Err(error) => panic!("{error}"),
        }
    };
    Parsed { messages, end }
}

/// The rest of a stream that `Message::parse` calls incomplete, read without its help.
fn inside(rest: &[u8], missing: u64) -> End {
    let received = rest.len() as u64;
    let whole = rest.first_chunk().map_or(4, |length| 4 + u64::from(u32::from_be_bytes(*length)));
    assert_eq!(received + missing, whole, "the octets that are missing");
    let begun = rest.get(4..PREFIX_LEN).map(|header| {
        let header = Header::decode(header.try_into().expect("ten octets"));
        (header, u32::try_from(whole - 14).expect("what a length field can tell"), rest[PREFIX_LEN..].to_vec())
    });
    End::Inside { received, begun }
}

/// What `chunks` hold, by a [`Decoder`].
///
/// # Panics
/// Where a piece does not go on where the one before ended, or the decoder's getters do not fit the pieces.
#[must_use]
pub fn decode_all(chunks: &[&[u8]]) -> Parsed {
    let mut decoder = Decoder::new();
    let mut messages = Vec::new();
    let mut begun: Option<(Header, u32, Vec<u8>)> = None;
    for chunk in chunks {
        let mut input = *chunk;
        while !input.is_empty() {
            let (taken, piece) = match decoder.decode(input) {
                Ok(decoded) => decoded,
                Err(LengthTooShort { length }) => {
                    assert_eq!(begun, None);
                    return Parsed { messages, end: End::LengthTooShort(length) };
                }
            };
            assert!((1..=input.len()).contains(&taken), "{taken} of {} octets taken", input.len());
            if let Some(piece) = piece {
                assert_eq!(piece.first(), begun.is_none());
                assert!(input[..taken].ends_with(piece.body), "the text is not where it lay in the input");
                let (header, body_len, body) = begun.get_or_insert((piece.header, piece.body_len, Vec::new()));
                assert_eq!((piece.header, piece.body_len, piece.offset as usize), (*header, *body_len, body.len()));
                body.extend(piece.body);
                assert_eq!(piece.last(), body.len() == *body_len as usize);
                if piece.last() {
                    messages.extend(begun.take().map(|(header, _, body)| (header, body)));
                }
            }
            let left = begun.as_ref().map_or(0, |(_, body_len, body)| *body_len - u32::try_from(body.len()).unwrap());
            assert_eq!(decoder.body_left(), left);
            input = &input[taken..];
        }
        assert_eq!(decoder.in_message(), decoder.received() != 0);
    }
    let end = match decoder.received() {
        0 => End::Between,
        received => End::Inside { received, begun },
    };
    Parsed { messages, end }
}

/// The connection that a stream arrives at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// It dials; else it listens.
    pub active: bool,
    /// It is a host; else equipment.
    pub host: bool,
    /// It has the strict profile.
    pub strict: bool,
    /// It accepts 100 octets and skips up to 200; else the defaults hold.
    pub small: bool,
    /// How far it has come.
    pub stage: Stage,
}

/// How far a connection has come when the stream arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The transport is open; the active side has sent Select.req with system bytes 1.
    Open,
    /// The same, and no side selects by itself.
    Quiet,
    /// It tells its caller that another connection is served.
    Refusing,
    /// SELECTED.
    Selected,
    /// SELECTED with two primaries open, S1F1 and S1F3, and a linktest.
    Busy,
    /// SELECTED while the text of an S1F1 is being written.
    Writing,
}

impl Setup {
    /// Every octet is a setup: four bits of flags, and the stage.
    #[must_use]
    pub const fn from_octet(octet: u8) -> Self {
        Setup {
            active: octet & 1 != 0,
            host: octet & 2 != 0,
            strict: octet & 4 != 0,
            small: octet & 8 != 0,
            stage: match octet >> 4 {
                0 => Stage::Open,
                1 => Stage::Quiet,
                2 => Stage::Refusing,
                3 | 4 => Stage::Selected,
                5 | 6 => Stage::Writing,
                _ => Stage::Busy,
            },
        }
    }

    fn config(self) -> Config {
        let mode = if self.active { ConnectMode::Active } else { ConnectMode::Passive };
        let entity = if self.host { Entity::Host } else { Entity::Equipment };
        let profile = if self.strict { Profile::Strict } else { Profile::Lenient };
        let select = if self.stage == Stage::Quiet { SelectMode::OnCommand } else { SelectMode::OnConnect };
        let mut config = Config::new(mode, entity, DeviceIds::one(DEVICE)).with_select_mode(select);
        if self.small {
            config = config.with_max_message(100).and_then(|config| config.with_skip_limit(200)).expect("in range");
        }
        config.with_profile(profile).expect("the defaults are the standard's")
    }
}

const DEVICE: DeviceId = DeviceId::new(1).unwrap();

/// What happened at a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// A message began to arrive; its pieces are put together here.
    Message {
        /// Its header.
        header: Header,
        /// What became of it.
        class: Class,
        /// What a reply needs.
        token: Option<ReplyToken>,
        /// Octets of its text.
        body_len: u32,
        /// What came of its text. Of a message that ended the connection, nothing: what follows it is void.
        body: Vec<u8>,
    },
    /// The machine asked for this.
    Did(Action),
}

/// A stream's way through a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What happened, in order.
    pub happenings: Vec<Happening>,
    /// The connection when the stream had come.
    pub connection: Connection,
}

impl Happening {
    /// Why the connection ended, if this is its end.
    fn close(&self) -> Option<CloseReason> {
        match self {
            Happening::Did(Action::CloseTransport(reason)) => Some(*reason),
            Happening::Did(_) | Happening::Message { .. } => None,
        }
    }
}

impl Run {
    /// Why the connection ended, if it did.
    #[must_use]
    pub fn closed(&self) -> Option<CloseReason> {
        self.happenings.iter().find_map(Happening::close)
    }
}

/// Runs `stream` through a connection, whole and in chunks of these sizes, and compares.
///
/// # Panics
/// Where the two differ, and where the machine breaks a promise.
pub fn same_at_any_chunking(setup: Setup, sizes: &Chunking, stream: &[u8]) -> Run {
    let whole = run(setup, &[stream]);
    let parts = run(setup, &sizes.cut(stream));
    assert_eq!(parts, whole, "in chunks of {sizes:?}, {setup:?}");
    whole
}

/// Runs `chunks` through a connection, then lets its timers expire until it rests.
///
/// # Panics
/// Where the machine breaks a promise.
pub fn run(setup: Setup, chunks: &[&[u8]]) -> Run {
    let mut driver = Driver::new(setup);
    for chunk in chunks {
        driver.receive(chunk);
    }
    driver.check_counters();
    let run = Run { happenings: driver.happenings.clone(), connection: driver.watch.machine().clone() };
    driver.rest();
    run
}

/// A driver of a machine that is watched.
struct Driver {
    watch: Watch<Connection>,
    now: Instant,
    happenings: Vec<Happening>,
    /// The machine closed the transport.
    closed: bool,
    collector: Collector<heapless::Vec<u8, 64>>,
    counters: Counters,
    octets: u64,
}

impl Driver {
    fn new(setup: Setup) -> Self {
        let config = setup.config();
        let refusing = setup.stage == Stage::Refusing;
        let mut driver = Driver {
            watch: Watch::new(if refusing { Connection::refusing(config) } else { Connection::new(config) }),
            // One moment for the opening and the stream: were the linktest older than the stream, a message in
            // pieces would keep it open and a whole one would not.
            now: Instant::from_millis(1000),
            happenings: Vec::new(),
            closed: false,
            collector: Collector::new(heapless::Vec::new(), usize::MAX),
            counters: Counters::new(),
            octets: 0,
        };
        if !refusing {
            assert_eq!(driver.tell(Input::Enable), (Outcome::Done, vec![Action::OpenTransport]));
        }
        driver.command(Input::Handle(Event::TransportOpen));
        if matches!(setup.stage, Stage::Selected | Stage::Busy | Stage::Writing) {
            let system = SystemBytes(1);
            let opening = if setup.active { Header::select_rsp(system) } else { Header::select_req(system) };
            driver.receive(&opening.encode_alone());
            assert_eq!(driver.watch.machine().state(), State::Selected);
        }
        match setup.stage {
            Stage::Busy => {
                driver.begin(1, 0);
                driver.command(Input::EndBody);
                driver.begin(3, 0);
                driver.command(Input::EndBody);
                driver.command(Input::Linktest);
            }
            Stage::Writing => driver.begin(1, 8),
            Stage::Open | Stage::Quiet | Stage::Refusing | Stage::Selected => {}
        }
        driver.happenings.clear();
        driver.counters = Counters::new();
        driver.octets = 0;
        driver
    }

    fn begin(&mut self, function: u8, body_len: u32) {
        let stream_function = StreamFunction::new(1, function);
        self.command(Input::BeginPrimary { device: DEVICE, stream_function, reply_expected: true, body_len });
        self.command(Input::Written { octets: PREFIX_LEN as u64 });
    }

    fn tell<'i>(&mut self, input: Input<'i>) -> (Outcome<'i>, Vec<Action>) {
        self.watch.tell(self.now, GeneralInput::Common(input)).unwrap_or_else(|broken| panic!("{broken}"))
    }

    /// Tells what is not refused, and carries out what comes of it.
    fn command(&mut self, input: Input<'_>) {
        let (outcome, actions) = self.tell(input);
        assert!(!matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
        self.carry_out(&actions);
    }

    fn receive(&mut self, chunk: &[u8]) {
        let mut input = chunk;
        while !input.is_empty() {
            let (outcome, actions) = self.tell(Input::Receive(input));
            let (taken, inbound) = match outcome {
                Outcome::Received { taken, inbound } => (taken, inbound),
                refused => {
                    assert_eq!((refused, self.closed), (Outcome::Refused(Error::NotConnected), true));
                    return;
                }
            };
            assert!((1..=input.len()).contains(&taken), "{taken} of {} octets taken", input.len());
            input = &input[taken..];
            let index = inbound.map(|inbound| self.arrived(&inbound));
            self.carry_out(&actions);
            if self.closed
                && let Some(Happening::Message { body, .. }) = index.and_then(|index| self.happenings.get_mut(index))
            {
                body.clear();
            }
        }
    }

    /// Takes a piece to where its message is among the happenings, and gives the index of that.
    fn arrived(&mut self, inbound: &Inbound<'_>) -> usize {
        self.counters.record_inbound(inbound);
        self.octets += inbound.body().len() as u64;
        if inbound.first() {
            self.octets += PREFIX_LEN as u64;
            self.happenings.push(Happening::Message {
                header: *inbound.header(),
                class: inbound.class,
                token: inbound.reply_token(),
                body_len: inbound.piece.body_len,
                body: Vec::new(),
            });
        }
        let is_message = |happening: &Happening| matches!(happening, Happening::Message { .. });
        let index = self.happenings.iter().rposition(is_message).expect("a message that has begun");
        let Happening::Message { header, class, token, body_len, body } = &mut self.happenings[index] else {
            unreachable!("looked for above");
        };
        let piece = &inbound.piece;
        assert_eq!((piece.header, piece.body_len, piece.offset as usize), (*header, *body_len, body.len()));
        assert_eq!((inbound.class, inbound.reply_token()), (*class, *token));
        body.extend(piece.body);
        assert_eq!(inbound.last(), body.len() == *body_len as usize);

        match self.collector.push(inbound) {
            Ok(Some(collected)) => {
                assert_eq!(collected.message, Message::new(*header, body));
                assert_eq!((collected.class, collected.reply_token), (*class, *token));
                assert!(inbound.last());
            }
            Ok(None) => assert!(!inbound.last() || !inbound.is_for_application() || *body_len > 64),
            Err(error) => {
                assert_eq!(error, CollectError::NoRoom { needed: *body_len, room: 64 });
                assert!(inbound.first() && *body_len > 64);
            }
        }
        index
    }

    /// The transport takes everything at once.
    fn carry_out(&mut self, actions: &[Action]) {
        let mut octets = 0;
        for action in actions {
            self.counters.record_action(action);
            match action {
                Action::Send(frame) => {
                    assert_eq!(frame.encode().len(), frame.len());
                    let (message, rest) = Message::parse(&frame.encode()).map(|(m, r)| (m.header, r.len())).unwrap();
                    assert_eq!((message, rest), (frame.header(), 0));
                    octets += frame.len() as u64;
                }
                Action::CloseTransport(_) => self.closed = true,
                Action::OpenTransport => assert!(self.closed),
                Action::Notify(_) => {}
            }
            self.happenings.push(Happening::Did(*action));
        }
        if octets > 0 && !self.closed {
            assert_eq!(self.tell(Input::Written { octets }), (Outcome::Done, Vec::new()));
        }
    }

    /// Nothing is due, and timers bring the connection to rest.
    fn rest(&mut self) {
        for _ in 0..32 {
            let Some(due) = self.watch.machine().next_deadline() else { return };
            assert!(due > self.now, "drained, and due at once");
            assert_eq!(self.tell(Input::Handle(Event::Timeout)), (Outcome::Done, Vec::new()), "before its time");
            self.now = due;
            let fired = self.watch.fire(due).unwrap_or_else(|broken| panic!("{broken}"));
            self.carry_out(&fired);
        }
        panic!("timers without end: {:?}", self.watch.machine());
    }

    fn check_counters(&self) {
        let sent = self.happenings.iter().filter(|happening| matches!(happening, Happening::Did(Action::Send(_))));
        let received = self.happenings.iter().filter(|happening| matches!(happening, Happening::Message { .. }));
        assert_eq!(self.counters.sent.messages.total(), sent.count() as u64);
        assert_eq!(self.counters.received.messages.total(), received.count() as u64);
        assert_eq!(self.counters.received.octets, self.octets);
        assert_eq!(self.counters.closes.total(), u64::from(self.closed));
    }
}
