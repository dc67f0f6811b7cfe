//! A bad line between two programs.

use super::line::{Line, Out, Report};
use super::plan::{End, Plans};
use crate::clock::Clock;
use hsms_core::time::Instant;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::SockRef;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Connections that are open at once; further callers wait.
const MOST_OPEN: usize = 64;

/// Ended connections of which it is still known what happened.
const MOST_REPORTS: usize = 1_024;

/// How long the target may take to answer a dial.
const DIAL: Duration = Duration::from_secs(10);

/// How long it is waited for both ends to close behind a cut.
const LINGER: Duration = Duration::from_secs(1);

/// After what time a listener that failed is asked again.
const RETRY: Duration = Duration::from_millis(50);

/// Rounds over a connection that always has more, before the others have their turn.
const ROUNDS: usize = 16;

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
const STREAM: Token = Token(2);

/// A TCP proxy whose connections suffer what [`Plans`] say: what the caller writes goes by [`out`](Plans::out), what it reads
/// by [`back`](Plans::back). Any two programs can be put at its ends unchanged.
///
/// One thread serves up to 64 connections; each holds 64 KiB in each direction at most, beside what its plan inserts. It ends
/// when the proxy is dropped, and so do its connections, by a reset.
///
/// ```
/// use hsms_std::faults::{Fault, Peer, Plans, Proxy};
/// use hsms_std::{Config, Connection, DeviceId, Header, SystemBytes};
/// use std::time::Duration;
///
/// let mut tool = Connection::passive("127.0.0.1:0", Config::equipment(DeviceId::new(7).unwrap()))?;
/// let proxy = Proxy::start("127.0.0.1:0", tool.local_addr().unwrap(), Plans::both(Fault::split(1)).always())?;
/// let mut peer = Peer::connect(proxy.local_addr())?;
/// peer.send(Header::select_req(SystemBytes(1)))?;
/// tool.select(Duration::from_secs(10))?;
/// assert_eq!(peer.receive(Duration::from_secs(10))?.header, Header::select_rsp(SystemBytes(1)));
/// assert_eq!(proxy.connections(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

/// What became of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Which connection, counted from 0.
    pub connection: u64,
    /// What happened to what the caller wrote.
    pub out: Report,
    /// What happened to what the caller read.
    pub back: Report,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    accepted: AtomicU64,
    unanswered: AtomicU64,
    passages: Mutex<Vec<Passage>>,
}

impl Proxy {
    /// Listens on `listen` (port 0 lets the system choose) and connects every caller with `target`. `plans` is asked once for
    /// each connection, with its number, counted from 0; see [`Plans::always`] and [`Plans::once`].
    ///
    /// # Errors
    /// Where a name cannot be resolved, the port not be taken, or the system refuses a thread.
    pub fn start(
        listen: impl ToSocketAddrs,
        target: impl ToSocketAddrs,
        plans: impl FnMut(u64) -> Plans + Send + 'static,
    ) -> io::Result<Self> {
        let nowhere = || io::Error::from(ErrorKind::AddrNotAvailable);
        let target = target.to_socket_addrs()?.next().ok_or_else(nowhere)?;
        let listener = std::net::TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let mut listener = TcpListener::from_std(listener);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let shared = Arc::new(Shared::default());
        let serve = Serve {
            poll,
            listener,
            target,
            shared: Arc::clone(&shared),
            plans,
            pairs: Vec::new(),
            clock: Clock::new(),
            retry: None,
        };
        let thread = std::thread::Builder::new().name("hsms-faults-proxy".into()).spawn(move || serve.run())?;
        Ok(Proxy { address, shared, waker, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// How many callers have been taken.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// How many callers were hung up on because the target did not answer.
    #[must_use]
    pub fn unanswered(&self) -> u64 {
        self.shared.unanswered.load(Ordering::Relaxed)
    }

    /// What became of the connections that have ended, in the order in which they did; the last 1,024 of them. All others are
    /// there after [`stop`](Self::stop).
    #[must_use]
    pub fn passages(&self) -> Vec<Passage> {
        self.shared.passages().clone()
    }

    /// Ends it, and tells what became of its connections.
    #[must_use]
    pub fn stop(mut self) -> Vec<Passage> {
        self.end();
        self.passages()
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        // Where the system cannot wake it, waiting for it could take for ever.
        if self.waker.wake().is_ok()
            && let Some(thread) = self.thread.take()
        {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn passages(&self) -> std::sync::MutexGuard<'_, Vec<Passage>> {
        self.passages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self, pair: &Pair) {
        let [out, back] = &pair.ways;
        let passage = Passage { connection: pair.number, out: out.line.report(), back: back.line.report() };
        let mut passages = self.passages();
        if passages.len() >= MOST_REPORTS {
            passages.remove(0);
        }
        passages.push(passage);
    }
}

/// The thread.
struct Serve<P> {
    poll: Poll,
    listener: TcpListener,
    target: SocketAddr,
    shared: Arc<Shared>,
    plans: P,
    pairs: Vec<Pair>,
    clock: Clock,
    retry: Option<Instant>,
}

impl<P: FnMut(u64) -> Plans> Serve<P> {
    fn run(mut self) {
        let mut events = Events::with_capacity(256);
        let mut buffer = vec![0; 32 * 1024];
        while !self.shared.stop.load(Ordering::Acquire) {
            self.accept();
            let now = self.clock.now();
            let (mut wake, mut index) = (self.retry, 0);
            while let Some(pair) = self.pairs.get_mut(index) {
                match pair.turn(now, &mut buffer) {
                    Turn::Wait(until) => {
                        wake = [wake, until].into_iter().flatten().min();
                        index += 1;
                    }
                    Turn::Over(unanswered) => {
                        let pair = self.pairs.swap_remove(index);
                        self.shared.unanswered.fetch_add(u64::from(unanswered), Ordering::Relaxed);
                        self.shared.ended(&pair);
                        // There may be a caller waiting for the place.
                        wake = Some(now);
                    }
                }
            }
            let limit = wake.map(|wake| self.clock.until(wake));
            match self.poll.poll(&mut events, limit) {
                Err(error) if error.kind() != ErrorKind::Interrupted => break,
                _ => {}
            }
        }
        for pair in &self.pairs {
            self.shared.ended(pair);
            pair.reset();
        }
    }

    fn accept(&mut self) {
        self.retry = None;
        while self.pairs.len() < MOST_OPEN {
            match self.listener.accept() {
                Ok((caller, _)) => {
                    let number = self.shared.accepted.fetch_add(1, Ordering::Relaxed);
                    let plans = (self.plans)(number);
                    match Pair::new(number, caller, self.target, &plans, &self.poll, self.clock.now()) {
                        Ok(pair) => self.pairs.push(pair),
                        Err(_) => {
                            self.shared.unanswered.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.retry = Some(self.clock.now().saturating_add(RETRY));
                    return;
                }
            }
        }
    }
}

/// A caller and the target.
#[derive(Debug)]
struct Pair {
    number: u64,
    /// The caller, and the target.
    streams: [TcpStream; 2],
    /// From the caller to the target, and back.
    ways: [Way; 2],
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Until then the target has to have answered.
    Dialling(Instant),
    Open,
    /// Cut: until then both ends are to close.
    Lingering(Instant),
}

#[derive(Debug)]
struct Way {
    line: Line,
    /// The writer has closed its side, or has gone.
    read_all: bool,
    /// The reader has been told the end, or has gone.
    told: bool,
}

enum Turn {
    /// Again then, or when something can be read or written.
    Wait(Option<Instant>),
    /// It has ended; and whether because the target did not answer.
    Over(bool),
}

/// What has happened to a socket.
enum Event {
    Nothing,
    Progress,
    Failed,
}

impl Pair {
    fn new(
        number: u64,
        mut caller: TcpStream,
        target: SocketAddr,
        plans: &Plans,
        poll: &Poll,
        now: Instant,
    ) -> io::Result<Self> {
        let mut target = TcpStream::connect(target)?;
        for stream in [&mut caller, &mut target] {
            poll.registry().register(stream, STREAM, Interest::READABLE | Interest::WRITABLE)?;
        }
        let way = |plan| Way { line: Line::new(plan), read_all: false, told: false };
        let ways = [way(&plans.out), way(&plans.back)];
        Ok(Pair { number, streams: [caller, target], ways, phase: Phase::Dialling(now.saturating_add(DIAL)) })
    }

    fn turn(&mut self, now: Instant, buffer: &mut [u8]) -> Turn {
        match self.phase {
            Phase::Dialling(until) => match self.has_answered() {
                Ok(true) => self.phase = Phase::Open,
                Ok(false) if now < until => return Turn::Wait(Some(until)),
                Ok(false) | Err(_) => return Turn::Over(true),
            },
            Phase::Open => {}
            Phase::Lingering(until) => return self.linger(until, now, buffer),
        }
        for _ in 0..ROUNDS {
            let mut progress = false;
            for way in [0, 1] {
                match self.carry(way, now, buffer) {
                    Event::Nothing => {}
                    Event::Progress => progress = true,
                    Event::Failed => {
                        self.reset();
                        return Turn::Over(false);
                    }
                }
                if let Phase::Lingering(until) = self.phase {
                    return self.linger(until, now, buffer);
                }
            }
            if !progress {
                return self.rest(now);
            }
        }
        Turn::Wait(Some(now))
    }

    /// Whether the target has answered the dial.
    fn has_answered(&self) -> io::Result<bool> {
        let [caller, target] = &self.streams;
        if let Some(error) = target.take_error()? {
            return Err(error);
        }
        match target.peer_addr() {
            Ok(_) => {
                // Pieces are to leave as they are. Without it they may be put together, which is no failure.
                let _ = caller.set_nodelay(true);
                let _ = target.set_nodelay(true);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Nothing can be done now.
    fn rest(&self, now: Instant) -> Turn {
        let [out, back] = &self.ways;
        // A reader behind a line that is dead is told nothing: the connection is kept until it closes by itself.
        let over = |way: &Way| way.read_all && (way.told || way.line.is_dead());
        if over(out) && over(back) {
            return Turn::Over(false);
        }
        // What is late already waits for its reader, which wakes us.
        let next = |way: &Way| way.line.next_at().filter(|next| !way.told && *next > now);
        Turn::Wait([next(out), next(back)].into_iter().flatten().min())
    }

    /// Carries octets one way, as many as there is room for.
    fn carry(&mut self, way: usize, now: Instant, buffer: &mut [u8]) -> Event {
        let [caller, target] = &self.streams;
        let [out, back] = &mut self.ways;
        let (writer, reader, way, other) =
            if way == 0 { (caller, target, out, back) } else { (target, caller, back, out) };
        let mut progress = false;
        // Behind a peer that does not read nothing more is taken. But a writer whose reading side is over will not
        // be heard otherwise.
        let room = if way.line.room() == 0 && other.told { buffer.len() } else { way.line.room().min(buffer.len()) };
        let buffer = buffer.get_mut(..room).unwrap_or_default();
        if !way.read_all && !buffer.is_empty() {
            match read(writer, buffer) {
                Ok(Some(0)) => {
                    way.read_all = true;
                    way.line.finish(now);
                    progress = true;
                }
                Ok(Some(len)) => {
                    way.line.push(now, buffer.get(..len).unwrap_or_default());
                    progress = true;
                }
                Ok(None) => {}
                Err(_) if way.line.is_dead() => {
                    // Nobody is to learn that the writer has gone; nor can it be told anything.
                    (way.read_all, other.told) = (true, true);
                    progress = true;
                }
                Err(_) => return Event::Failed,
            }
        }
        loop {
            match way.line.poll(now) {
                Out::Octets(piece) => {
                    let written = if way.told { Ok(Some(piece.len())) } else { write(reader, piece) };
                    match written {
                        Ok(None) => break,
                        Ok(Some(len)) => way.line.taken(now, len),
                        // The reader has vanished, and the writer is not to learn of it.
                        Err(_) if other.line.is_dead() => (way.told, other.read_all) = (true, true),
                        Err(_) => return Event::Failed,
                    }
                }
                Out::End(_) if way.told => break,
                Out::End(End::Closed) => {
                    // Where it fails the reader has gone.
                    let _ = reader.shutdown(Shutdown::Write);
                    way.told = true;
                }
                Out::End(End::Cut) => {
                    for stream in &self.streams {
                        let _ = stream.shutdown(Shutdown::Write);
                    }
                    self.phase = Phase::Lingering(now.saturating_add(LINGER));
                    break;
                }
                Out::End(End::Reset) => return Event::Failed,
                Out::Nothing => break,
            }
            progress = true;
        }
        if progress { Event::Progress } else { Event::Nothing }
    }

    /// Reads away what both ends still write: octets that nobody has read would make the system reset the connection.
    fn linger(&mut self, until: Instant, now: Instant, buffer: &mut [u8]) -> Turn {
        let mut more = false;
        for (way, stream) in self.ways.iter_mut().zip(&self.streams) {
            for round in 1..=ROUNDS {
                if way.read_all {
                    break;
                }
                more |= round == ROUNDS;
                match read(stream, buffer) {
                    Ok(None) => break,
                    Ok(Some(len @ 1..)) => {
                        way.line.push(now, buffer.get(..len).unwrap_or_default());
                    }
                    Ok(Some(0)) | Err(_) => way.read_all = true,
                }
            }
        }
        if now >= until || self.ways.iter().all(|way| way.read_all) {
            return Turn::Over(false);
        }
        Turn::Wait(Some(if more { now } else { until }))
    }

    /// Lets both connections end by a reset when they are dropped.
    fn reset(&self) {
        for stream in &self.streams {
            // Where it fails the connection has ended already.
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
}

/// `None` where nothing is there.
fn read(mut stream: &TcpStream, octets: &mut [u8]) -> io::Result<Option<usize>> {
    settle(|| stream.read(octets))
}

/// `None` where there is no room.
fn write(mut stream: &TcpStream, octets: &[u8]) -> io::Result<Option<usize>> {
    settle(|| stream.write(octets))
}

fn settle(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        match call() {
            Ok(len) => return Ok(Some(len)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
