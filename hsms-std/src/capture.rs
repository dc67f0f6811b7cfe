//! Captures: everything that goes over the links, as a pcapng file that Wireshark and tshark read.
//!
//! A [`Capture`] is a [tap](crate::tap). What was never seen on a network, since TLS hid it or there is none, is written as if it had been in
//! the clear: each connection as a TCP stream with a handshake at its begin and FIN at its end, checksums, acknowledgements and times
//! to the nanosecond. Each peer is an interface of its own, so `frame.interface_name == "etcher 3"` shows one of them; callers that are no
//! peer's, and peers without a name, are on the interface `hsms`.
//!
//! ```
//! use hsms_std::capture::Capture;
//! use hsms_std::{Config, Connection, DeviceId};
//! use std::sync::Arc;
//!
//! # let path = std::env::temp_dir().join(format!("hsms-{}.pcapng", std::process::id()));
//! let capture = Arc::new(Capture::create(&path)?.with_limit(1 << 30));
//! let config = Config::host(DeviceId::new(0).unwrap());
//! let host = Connection::active("127.0.0.1:5000", config)?.with_name("etcher 3").with_tap(capture.clone());
//! // …
//! drop(host);
//! capture.finish()?;
//! # std::fs::remove_file(path)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It is written, and flushed at the end of each connection, where the tap is called: at a manager that is the event loop, and a disk that
//! is slow holds up all peers. Give [`Capture::new`] a writer that hands its octets to a thread where that matters.
//!
//! HSMS has no port by which it could be known, so the reader has to be told: `tshark -r FILE -d tcp.port==5000,hsms`, or _Decode As…_ in
//! Wireshark.
//!
//! The file tells what the [tap](crate::tap::Piece) saw: messages that were to be sent when they took their place in the output, also where
//! the connection ended before they had left. Where both ends of a connection are in one process, one of them has to do without:
//! the same segments would be there twice.

use crate::driver::copy;
use crate::tap::{Direction, Piece, Tap, Tapped, What};
use etherparse::{PacketBuilder, TcpOptionElement};
use hsms_core::config::ConnectMode;
use hsms_core::connection::CloseReason;
use pcap_file::DataLink;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

/// The interface of what has no name.
const NAMELESS: &str = "hsms";

/// Interfaces at most; other peers are on that of what has no name.
const MOST_INTERFACES: usize = 4_096;

/// Octets of a segment at most. A packet of IP holds less than 64 KiB.
const MOST_SEGMENT: usize = 32 * 1024;

/// Octets of one direction that are not acknowledged at most, of a window of 8 MiB.
const MOST_UNACKNOWLEDGED: u32 = 128 * 1024;
const WINDOW: u16 = u16::MAX;
const WINDOW_SHIFT: u8 = 7;

const TIME_TO_LIVE: u8 = 64;

/// Of no maker: the two ends of a line that there never was. The second is ours.
const MAC: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];

/// Where there are no addresses: the port of HSMS, and the first of those for callers, of which there are so many.
const PORT: u16 = 5_000;
const FIRST_PORT: u16 = 49_152;
const PORTS: u64 = 16_384;

/// Writes everything that goes over the links as pcapng. See the [module](self).
///
/// It writes in the thread that serves the link, one packet at a time, and flushes when a connection ends: give it what does not wait,
/// such as the buffered file of [`create`](Capture::create). It keeps some hundred octets for each open connection, and nothing of what
/// went over it. When writing fails or panics, or the [limit](Self::with_limit) is reached, it stops for good, harms no link, and says so by
/// [`error`](Self::error) and [`finish`](Self::finish).
pub struct Capture<W: Write> {
    state: Mutex<State<W>>,
}

struct State<W> {
    writer: W,
    /// Puts blocks together.
    blocks: Option<PcapNgWriter<Vec<u8>>>,
    packet: Vec<u8>,
    payload: Vec<u8>,
    interfaces: HashMap<Box<str>, u32>,
    flows: HashMap<u64, Flow>,
    limit: u64,
    written: u64,
    missed: u64,
    /// Why nothing is written any more.
    stopped: Option<Stopped>,
}

enum Stopped {
    Finished,
    Failed(io::Error),
}

/// A connection as a TCP stream.
struct Flow {
    local: End,
    remote: End,
    interface: u32,
}

#[derive(Clone, Copy)]
struct End {
    address: SocketAddr,
    /// Number of the next octet, and of the first that is not acknowledged.
    next: u32,
    acknowledged: u32,
}

/// What a segment is beside its octets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SegmentKind {
    Syn,
    SynAck,
    Ack,
    Data { push: bool },
    Fin,
}

impl Capture<BufWriter<File>> {
    /// A capture in a new file; one that was there is replaced.
    ///
    /// # Errors
    /// Where it cannot be created.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        File::create(path).map(|file| Capture::new(BufWriter::new(file)))
    }
}

impl<W: Write> Capture<W> {
    /// A capture into `writer`.
    pub fn new(writer: W) -> Self {
        // Writing to memory does not fail; if it did, this would be a capture that has stopped.
        let (blocks, stopped) = match PcapNgWriter::new(Vec::new()) {
            Ok(blocks) => (Some(blocks), None),
            Err(error) => (None, Some(Stopped::Failed(io::Error::other(error)))),
        };
        let mut state = State {
            writer,
            blocks,
            packet: Vec::new(),
            payload: Vec::new(),
            interfaces: HashMap::new(),
            flows: HashMap::new(),
            limit: u64::MAX,
            written: 0,
            missed: 0,
            stopped,
        };
        state.put();
        state.interface(None);
        Capture { state: Mutex::new(state) }
    }

    /// Sets how many octets the file may have: before a packet that goes beyond it the capture stops.
    #[must_use]
    pub fn with_limit(self, octets: u64) -> Self {
        self.lock().limit = octets;
        self
    }

    /// Octets that were written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.lock().written
    }

    /// Messages that went over the links since the capture stopped, and are not in the file.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.lock().missed
    }

    /// Why it has stopped by itself, if so: what the writer said, or [`FileTooLarge`](io::ErrorKind::FileTooLarge) where it has reached its
    /// limit.
    #[must_use]
    pub fn error(&self) -> Option<io::Error> {
        match &self.lock().stopped {
            Some(Stopped::Failed(error)) => Some(copy(error)),
            Some(Stopped::Finished) | None => None,
        }
    }

    /// Flushes the writer and stops. May be repeated.
    ///
    /// # Errors
    /// What [`error`](Self::error) tells; what flushing failed with.
    pub fn finish(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.flush();
        match state.stopped.get_or_insert(Stopped::Finished) {
            Stopped::Finished => Ok(()),
            Stopped::Failed(error) => Err(copy(error)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write + Send> Tap for Capture<W> {
    fn tap(&self, tapped: &Tapped<'_>) {
        let mut state = self.lock();
        if state.stopped.is_none() {
            state.tap(tapped);
        }
        if state.stopped.is_some() {
            state.flows = HashMap::new();
            if let What::Piece(piece) = &tapped.what
                && piece.last
            {
                state.missed = state.missed.saturating_add(1);
            }
        }
    }
}

impl<W: Write> fmt::Debug for Capture<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture")
            .field("written", &self.written())
            .field("error", &self.error())
            .finish_non_exhaustive()
    }
}

impl<W: Write> State<W> {
    fn tap(&mut self, tapped: &Tapped<'_>) {
        let time = tapped.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        match tapped.what {
            What::Opened { mode } => {
                let flow = self.open(tapped, mode, time);
                self.flows.insert(tapped.connection, flow);
            }
            What::Piece(piece) => {
                let mut flow = match self.flows.remove(&tapped.connection) {
                    Some(flow) => flow,
                    // It was open before.
                    None => self.open(tapped, ConnectMode::Active, time),
                };
                flow.interface = self.interface(tapped.peer);
                self.piece(&mut flow, &piece, time);
                self.flows.insert(tapped.connection, flow);
            }
            What::Closed { reason } => {
                if let Some(mut flow) = self.flows.remove(&tapped.connection) {
                    let first = match reason {
                        Some(CloseReason::TransportClosed | CloseReason::SeparateReceived) => Direction::Received,
                        _ => Direction::Sent,
                    };
                    self.segment(&mut flow, first, SegmentKind::Fin, time);
                    self.segment(&mut flow, first.other(), SegmentKind::Fin, time);
                    self.segment(&mut flow, first, SegmentKind::Ack, time);
                }
                self.flush();
            }
        }
    }

    /// A new stream, and its handshake.
    fn open(&mut self, tapped: &Tapped<'_>, mode: ConnectMode, time: Duration) -> Flow {
        let (local, remote) = addresses(tapped);
        // Far from each other, so that nothing of a stream is taken for that of another between the same ports.
        let number = u32::try_from(tapped.connection & u64::from(u32::MAX)).unwrap_or_default();
        let first = number.wrapping_mul(0x9E37_79B9);
        let end = |address, first| End { address, next: first, acknowledged: first };
        let mut flow =
            Flow { local: end(local, first), remote: end(remote, !first), interface: self.interface(tapped.peer) };
        let calls = match mode {
            ConnectMode::Active => Direction::Sent,
            ConnectMode::Passive => Direction::Received,
        };
        self.segment(&mut flow, calls, SegmentKind::Syn, time);
        self.segment(&mut flow, calls.other(), SegmentKind::SynAck, time);
        self.segment(&mut flow, calls, SegmentKind::Ack, time);
        flow
    }

    fn piece(&mut self, flow: &mut Flow, piece: &Piece<'_>, time: Duration) {
        self.payload.clear();
        if piece.first {
            // No text is longer than a length field tells.
            let Ok(prefix) = piece.header.encode_prefix(piece.body_len) else { return };
            self.payload.extend_from_slice(&prefix);
        }
        let mut octets = piece.octets;
        loop {
            let room = MOST_SEGMENT.saturating_sub(self.payload.len());
            let (these, rest) = octets.split_at(room.min(octets.len()));
            self.payload.extend_from_slice(these);
            octets = rest;
            if self.payload.is_empty() {
                return;
            }
            self.segment(flow, piece.direction, SegmentKind::Data { push: piece.last && rest.is_empty() }, time);
            self.payload.clear();
        }
    }

    /// Writes a segment, with the payload where it is data, and an acknowledgement where one is due.
    fn segment(&mut self, flow: &mut Flow, direction: Direction, kind: SegmentKind, time: Duration) {
        let octets =
            if matches!(kind, SegmentKind::Data { .. }) { std::mem::take(&mut self.payload) } else { Vec::new() };
        let interface = flow.interface;
        let (from, to) = flow.ends(direction);
        self.packet.clear();
        let built = build(&mut self.packet, (direction, kind), (*from, *to), &octets);
        let len = u32::try_from(octets.len()).unwrap_or(u32::MAX);
        from.next = from.next.wrapping_add(match kind {
            SegmentKind::Syn | SegmentKind::SynAck | SegmentKind::Fin => 1,
            SegmentKind::Ack | SegmentKind::Data { .. } => len,
        });
        to.acknowledged = to.next;
        let due = from.next.wrapping_sub(from.acknowledged) > MOST_UNACKNOWLEDGED;
        match built {
            Ok(()) => self.packet(interface, time),
            Err(error) => self.stop(error),
        }
        if matches!(kind, SegmentKind::Data { .. }) {
            self.payload = octets;
            if due {
                self.segment(flow, direction.other(), SegmentKind::Ack, time);
            }
        }
    }

    fn packet(&mut self, interface: u32, time: Duration) {
        let block = EnhancedPacketBlock {
            interface_id: interface,
            timestamp: time,
            original_len: u32::try_from(self.packet.len()).unwrap_or(u32::MAX),
            data: Cow::Borrowed(&self.packet),
            options: Vec::new(),
        };
        let result = self.blocks.as_mut().map(|blocks| blocks.write_pcapng_block(block));
        self.put_or(result.and_then(Result::err));
    }

    /// The interface of a peer.
    fn interface(&mut self, name: Option<&str>) -> u32 {
        let name = name.unwrap_or(NAMELESS);
        if let Some(number) = self.interfaces.get(name) {
            return *number;
        }
        let number = match u32::try_from(self.interfaces.len()) {
            Ok(number) if self.interfaces.len() < MOST_INTERFACES => number,
            _ => return 0,
        };
        let mut block = InterfaceDescriptionBlock::new(DataLink::ETHERNET, 0);
        block.options = vec![
            InterfaceDescriptionOption::IfName(Cow::Owned(name.to_owned())),
            // Times are in 10^-9 s.
            InterfaceDescriptionOption::IfTsResol(9),
        ];
        let result = self.blocks.as_mut().map(|blocks| blocks.write_pcapng_block(block));
        self.put_or(result.and_then(Result::err));
        self.interfaces.insert(name.into(), number);
        number
    }

    fn put_or(&mut self, error: Option<pcap_file::PcapError>) {
        match error {
            None => self.put(),
            Some(error) => self.stop(io::Error::other(error)),
        }
    }

    /// Writes the block that has been put together.
    fn put(&mut self) {
        let Some(block) = self.blocks.as_mut().map(PcapNgWriter::get_mut) else { return };
        let written = self.written.saturating_add(u64::try_from(block.len()).unwrap_or(u64::MAX));
        let result = if self.stopped.is_some() {
            Ok(())
        } else if written > self.limit {
            let text = format!("the capture has reached its limit of {} octets", self.limit);
            Err(io::Error::new(io::ErrorKind::FileTooLarge, text))
        } else {
            guarded(|| self.writer.write_all(block)).map(|()| self.written = written)
        };
        block.clear();
        if let Err(error) = result {
            self.stop(error);
        }
    }

    fn flush(&mut self) {
        if !matches!(self.stopped, Some(Stopped::Finished))
            && let Err(error) = guarded(|| self.writer.flush())
        {
            self.stop(error);
        }
    }

    /// The first reason counts. What is there is whole, but where the writer has failed in the middle.
    fn stop(&mut self, error: io::Error) {
        if self.stopped.is_none() {
            // What is buffered may still arrive.
            let _ = guarded(|| self.writer.flush());
            self.stopped = Some(Stopped::Failed(error));
        }
    }
}

/// A writer that panics has failed. What it was given is part written, so nothing may follow.
fn guarded(write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    catch_unwind(AssertUnwindSafe(write)).unwrap_or_else(|_| Err(io::Error::other("the writer has panicked")))
}

impl Flow {
    /// From whom to whom.
    const fn ends(&mut self, direction: Direction) -> (&mut End, &mut End) {
        match direction {
            Direction::Sent => (&mut self.local, &mut self.remote),
            Direction::Received => (&mut self.remote, &mut self.local),
        }
    }
}

impl Direction {
    const fn other(self) -> Self {
        match self {
            Direction::Received => Direction::Sent,
            Direction::Sent => Direction::Received,
        }
    }
}

/// The addresses of both ends, ours first, of the same version of IP.
fn addresses(tapped: &Tapped<'_>) -> (SocketAddr, SocketAddr) {
    let (Some(local), Some(remote)) = (tapped.local, tapped.remote) else {
        let port = u16::try_from(tapped.connection % PORTS).unwrap_or_default().saturating_add(FIRST_PORT);
        return (SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)));
    };
    let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let wide = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => SocketAddr::from((ip.to_ipv6_mapped(), address.port())),
        IpAddr::V6(_) => address,
    };
    let (local, remote) = (canonical(local), canonical(remote));
    if local.is_ipv4() == remote.is_ipv4() { (local, remote) } else { (wide(local), wide(remote)) }
}

/// Puts a packet together.
fn build(
    packet: &mut Vec<u8>,
    (direction, kind): (Direction, SegmentKind),
    (from, to): (End, End),
    octets: &[u8],
) -> io::Result<()> {
    let [peer, own] = MAC;
    let ethernet = match direction {
        Direction::Received => PacketBuilder::ethernet2(peer, own),
        Direction::Sent => PacketBuilder::ethernet2(own, peer),
    };
    let ip = match (from.address.ip(), to.address.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), TIME_TO_LIVE),
        (from, to) => ethernet.ipv6(wide(from), wide(to), TIME_TO_LIVE),
    };
    let tcp = ip.tcp(from.address.port(), to.address.port(), from.next, WINDOW);
    let tcp = if kind == SegmentKind::Syn { tcp } else { tcp.ack(to.next) };
    let tcp = match kind {
        SegmentKind::Syn | SegmentKind::SynAck => tcp.syn().options(&[
            TcpOptionElement::MaximumSegmentSize(u16::try_from(MOST_SEGMENT).unwrap_or(u16::MAX)),
            TcpOptionElement::WindowScale(WINDOW_SHIFT),
        ]),
        SegmentKind::Data { push: true } => Ok(tcp.psh()),
        SegmentKind::Fin => Ok(tcp.fin()),
        SegmentKind::Ack | SegmentKind::Data { push: false } => Ok(tcp),
    };
    tcp.map_err(io::Error::other)?.write_to_vec(packet, octets).map_err(io::Error::other)
}

fn wide(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}
