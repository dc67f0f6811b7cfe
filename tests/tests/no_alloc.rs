//! The core takes nothing from the heap: a whole conversation under an allocator that counts.

use hsms_core::collect::{Collected, Collector};
use hsms_core::config::{Config, DeviceId};
use hsms_core::connection::{Action, Connection, Event, Notice, State, TransactionEnd};
use hsms_core::counters::Counters;
use hsms_core::time::Instant;
use hsms_core::wire::{Header, Hex, Message, PREFIX_LEN, SessionId, StreamFunction, SystemBytes};
use std::fmt::Write;
use std::hint::black_box;

const DEVICE: DeviceId = DeviceId::new(1).unwrap();
const BODY: &[u8] = b"\x41\x1d a text that comes in pieces.";

type Wire = heapless::Vec<u8, 4096>;

/// One end: a machine, and what its adapter would keep.
struct End<'m> {
    connection: Connection,
    out: Wire,
    collector: Collector<&'m mut [u8]>,
    counters: Counters,
    opening: bool,
    closed: bool,
    t3: u32,
}

impl<'m> End<'m> {
    fn new(config: Config, memory: &'m mut [u8]) -> Self {
        End {
            connection: Connection::new(config),
            out: Wire::new(),
            collector: Collector::new(memory, usize::MAX),
            counters: Counters::new(),
            opening: false,
            closed: false,
            t3: 0,
        }
    }

    fn drain(&mut self, now: Instant) {
        while let Some(action) = self.connection.poll_action() {
            self.counters.record_action(&action);
            let mut line = heapless::String::<200>::new();
            write!(line, "{action}").unwrap();
            match action {
                Action::Send(frame) => {
                    self.out.extend_from_slice(&frame.encode()).unwrap();
                    self.connection.written(now, frame.len() as u64).unwrap();
                }
                Action::OpenTransport => self.opening = true,
                Action::CloseTransport(_) => self.closed = true,
                Action::Notify(Notice::TransactionEnded { end: TransactionEnd::T3, .. }) => self.t3 += 1,
                Action::Notify(_) => {}
            }
        }
    }

    fn open(&mut self, now: Instant) {
        assert!(self.opening);
        (self.opening, self.closed) = (false, false);
        self.connection.handle(now, Event::TransportOpen).unwrap();
        self.counters.record_event(&Event::TransportOpen);
        self.drain(now);
    }

    fn primary(&mut self, now: Instant, function: u8, reply_expected: bool) {
        let stream_function = StreamFunction::new(1, function);
        let body_len = u32::try_from(BODY.len()).unwrap();
        let (system, prefix) =
            self.connection.begin_primary(now, DEVICE, stream_function, reply_expected, body_len).unwrap();
        self.counters.record_sent(&Header::data(system, stream_function, reply_expected, SessionId(1)), body_len);
        self.body(now, &prefix, BODY);
    }

    fn body(&mut self, now: Instant, prefix: &[u8; PREFIX_LEN], body: &[u8]) {
        self.out.extend_from_slice(prefix).unwrap();
        self.out.extend_from_slice(body).unwrap();
        self.connection.end_body(now).unwrap();
        self.connection.written(now, (PREFIX_LEN + body.len()) as u64).unwrap();
        self.drain(now);
    }

    /// Takes what the other end sent, in small pieces; answers S1F1 with its own text, and leaves all else.
    fn receive(&mut self, now: Instant, octets: &[u8]) {
        for mut input in octets.chunks(9) {
            while !input.is_empty() && !self.closed {
                let (taken, inbound) = self.connection.receive(now, input).unwrap();
                input = &input[taken..];
                self.drain(now);
                let Some(inbound) = inbound else { continue };
                self.counters.record_inbound(&inbound);
                let Some(Collected { message, reply_token: Some(token), .. }) = self.collector.push(&inbound).unwrap()
                else {
                    continue;
                };
                if message.header.function() == 1 {
                    let mut body = heapless::Vec::<u8, 64>::new();
                    body.extend_from_slice(message.body).unwrap();
                    let body_len = u32::try_from(body.len()).unwrap();
                    let prefix = self.connection.begin_reply(now, &token, body_len).unwrap();
                    self.body(now, &prefix, &body);
                }
            }
        }
    }
}

/// Carries octets both ways until there are none.
fn pump(now: Instant, host: &mut End<'_>, equipment: &mut End<'_>) {
    while !host.out.is_empty() || !equipment.out.is_empty() {
        let sent = std::mem::take(&mut host.out);
        equipment.receive(now, &sent);
        let sent = std::mem::take(&mut equipment.out);
        host.receive(now, &sent);
    }
}

/// Select, data and linktests both ways, T3 with S9F9, a Reject, a foreign device, a reply to nothing, separate, and all of it
/// again over a second connection.
fn conversation() -> (Counters, Counters) {
    let (mut host_memory, mut equipment_memory) = ([0; 64], [0; 64]);
    let mut host = End::new(Config::host(DEVICE), &mut host_memory);
    let mut equipment = End::new(Config::equipment(DEVICE), &mut equipment_memory);
    let mut now = Instant::EPOCH;
    host.connection.enable(now).unwrap();
    equipment.connection.enable(now).unwrap();
    host.drain(now);
    equipment.drain(now);
    for round in 1..=2 {
        equipment.open(now);
        host.open(now);
        pump(now, &mut host, &mut equipment);
        assert_eq!((host.connection.state(), equipment.connection.state()), (State::Selected, State::Selected));

        for end in [&mut host, &mut equipment] {
            end.primary(now, 1, true);
            end.primary(now, 13, false);
            end.connection.linktest(now).unwrap();
            end.drain(now);
        }
        pump(now, &mut host, &mut equipment);
        assert_eq!((host.connection.open_transactions(), equipment.connection.open_transactions()), (0, 0));

        // What no machine of ours sends.
        let strange = [
            Header { stype: 8.into(), ..Header::linktest_req(SystemBytes(90)) },
            Header::data(SystemBytes(91), StreamFunction::new(1, 1), true, SessionId(9)),
            Header::data(SystemBytes(92), StreamFunction::new(1, 2), false, SessionId(1)),
        ];
        for header in strange {
            host.out.extend_from_slice(&header.encode_alone()).unwrap();
        }
        pump(now, &mut host, &mut equipment);

        // Nobody answers S1F3; the linktests of that time are answered.
        equipment.primary(now, 3, true);
        pump(now, &mut host, &mut equipment);
        while equipment.t3 < round {
            let deadlines = host.connection.next_deadline().into_iter().chain(equipment.connection.next_deadline());
            now = deadlines.min().unwrap();
            for end in [&mut host, &mut equipment] {
                end.connection.handle(now, Event::Timeout).unwrap();
                end.drain(now);
            }
            pump(now, &mut host, &mut equipment);
        }

        host.connection.separate(now).unwrap();
        host.drain(now);
        pump(now, &mut host, &mut equipment);
        assert!(host.closed && equipment.closed);
        now = host.connection.next_deadline().unwrap();
        host.connection.handle(now, Event::Timeout).unwrap();
        host.drain(now);
    }
    (host.counters, equipment.counters)
}

#[test]
fn a_whole_conversation_allocates_nothing() {
    let mut counters = None;
    let counted = allocation_counter::measure(|| counters = Some(conversation()));
    assert_eq!(counted.count_total, 0, "{counted:?}");

    // And it was one.
    let (host, equipment) = counters.unwrap();
    assert_eq!((host.connections, host.reconnects, equipment.timeouts.t3), (2, 1, 2));
    assert_eq!((equipment.rejects_sent.total(), equipment.strays.total()), (2, 4));
    // S1F1, S1F13, S1F3, S9F1 and S9F9 of each round.
    assert_eq!(host.received.messages.primary, 10);
    assert_eq!((host.received.messages.reply, equipment.received.messages.reply), (2, 4));
    assert!(host.received.messages.linktest_rsp >= 2 && equipment.received.messages.linktest_rsp >= 2);
}

#[test]
fn messages_are_parsed_and_printed_without_allocating() {
    let counted = allocation_counter::measure(|| {
        let mut frame = [0; 100];
        let header = Header::data(SystemBytes(8), StreamFunction::new(1, 1), true, SessionId(1));
        let len = Message::new(header, BODY).encode(&mut frame).unwrap();
        let (message, _) = Message::parse(&frame[..len]).unwrap();
        let mut line = heapless::String::<400>::new();
        write!(line, "{message:?} {} {:?}", Hex::bounded(message.body, 16), message.header.kind()).unwrap();
        black_box(line);
    });
    assert_eq!(counted.count_total, 0, "{counted:?}");
}

#[test]
fn the_allocator_counts() {
    // The one part of the core that may allocate, on the same way as above.
    let frame = Header::linktest_req(SystemBytes(8)).encode_prefix(3).unwrap();
    let collect = |collector: &mut Collector<Vec<u8>>| {
        let mut decoder = hsms_core::frame::Decoder::new();
        for octets in [&frame[..], b"abc"] {
            let (_, piece) = decoder.decode(octets).unwrap();
            black_box(collector.push_piece(&piece.unwrap()).unwrap().is_some());
        }
    };
    let mut collector = Collector::new(Vec::new(), 100);
    assert_eq!(allocation_counter::measure(|| collect(&mut collector)).count_total, 1);
    // Its memory is kept for the next message.
    assert_eq!(allocation_counter::measure(|| collect(&mut collector)).count_total, 0);
}
