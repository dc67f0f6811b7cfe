//! The wire between the two ends: a TCP relay that reads along.
//!
//! The host dials the wire, and the wire dials the equipment. Messages are passed on whole. Each is shown to the
//! [`Tape`] before it goes on, so that the order of the tape is the order of cause and effect. The demo can put messages
//! of its own on the wire, and do one of the [faults](Fault) to one message.

use super::tape::Tape;
use super::{Deviation, Direction, Fault, News};
use hsms_std::core::collect::Collector;
use hsms_std::core::frame::Decoder;
use hsms_std::core::wire::{HEADER_LEN, PREFIX_LEN};
use hsms_std::{Header, Message};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// The wire.
pub struct Wire {
    shared: Arc<Shared>,
    address: SocketAddr,
}

struct Shared {
    tape: Mutex<Tape>,
    state: Mutex<State>,
    changed: Condvar,
    cut: AtomicBool,
    news: Sender<News>,
}

#[derive(Default)]
struct State {
    equipment: Option<SocketAddr>,
    /// What the equipment finds in front of everything else when it is dialled next.
    first: Option<Header>,
    /// Whether the equipment has answered to it, or is gone.
    answered: bool,
    link: Option<Arc<Link>>,
}

/// One TCP connection from the host through to the equipment.
struct Link {
    host: TcpStream,
    equipment: TcpStream,
    to_host: Mutex<Flow>,
    to_equipment: Mutex<Flow>,
}

/// What goes out in one direction.
struct Flow {
    direction: Direction,
    /// Takes apart what goes out, as the end behind it will.
    decoder: Decoder,
    collector: Collector<Vec<u8>>,
    out: Vec<u8>,
}

impl Wire {
    /// A wire that hosts can dial. It shows everything to `tape`.
    pub fn new(tape: Tape, news: Sender<News>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            tape: Mutex::new(tape),
            state: Mutex::default(),
            changed: Condvar::new(),
            cut: AtomicBool::new(false),
            news,
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            if let Err(deviation) = serving.serve(&listener) {
                serving.deviate(deviation);
            }
            let _ = serving.news.send(News::WireDown);
        });
        Ok(Wire { shared, address })
    }

    /// Where the host dials.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the equipment listens; while it does not, callers wait.
    pub fn lead_to(&self, equipment: Option<SocketAddr>) {
        lock(&self.shared.state).equipment = equipment;
        self.shared.changed.notify_all();
    }

    /// Puts a message without text on the wire, as if an end had sent it.
    pub fn inject(&self, direction: Direction, header: Header) -> Result<(), String> {
        let link = lock(&self.shared.state).link.clone().ok_or("there is no connection to put a message on")?;
        self.shared.inject(&link, direction, header).map_err(|deviation| {
            let what = deviation.to_string();
            self.shared.deviate(deviation);
            what
        })
    }

    /// Puts a message without text in front of everything else that the equipment gets over the next connection. What the
    /// host sends waits for the equipment's answer.
    pub fn inject_first(&self, header: Header) {
        lock(&self.shared.state).first = Some(header);
    }

    /// Whether the wire is cut: the run is over.
    pub fn is_cut(&self) -> bool {
        self.shared.cut.load(Ordering::SeqCst)
    }

    /// Cuts the wire for good.
    pub fn cut(&self) {
        self.shared.cut();
        // Wakes the thread that waits for the host to dial. Where that does not get through, it is not waiting.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, listener: &TcpListener) -> Result<(), Deviation> {
        loop {
            let (host, _) = listener.accept().map_err(Deviation::System)?;
            let Some((equipment, first)) = self.await_equipment() else { return Ok(()) };
            let equipment = TcpStream::connect(equipment).map_err(Deviation::System)?;
            for stream in [&host, &equipment] {
                stream.set_nodelay(true).map_err(Deviation::System)?;
            }
            let flow = |direction| Mutex::new(Flow::new(direction));
            let (to_host, to_equipment) = (flow(Direction::ToHost), flow(Direction::ToEquipment));
            let link = Arc::new(Link { host, equipment, to_host, to_equipment });
            {
                let mut state = lock(&self.state);
                if self.cut.load(Ordering::SeqCst) {
                    return Ok(());
                }
                state.link = Some(Arc::clone(&link));
            }
            if let Err(deviation) = self.carry(&link, first) {
                // While the link still stands: the ends must not be the first to see that something is wrong.
                self.deviate(deviation);
            }
            if lock(&self.state).link.take().is_none() {
                return Ok(());
            }
        }
    }

    /// Waits until the equipment can be dialled; `None` when the wire is cut.
    fn await_equipment(&self) -> Option<(SocketAddr, Option<Header>)> {
        let state = lock(&self.state);
        let waiting = |state: &mut State| state.equipment.is_none() && !self.cut.load(Ordering::SeqCst);
        let mut state = self.changed.wait_while(state, waiting).unwrap_or_else(PoisonError::into_inner);
        if self.cut.load(Ordering::SeqCst) {
            return None;
        }
        state.answered = false;
        state.equipment.map(|equipment| (equipment, state.first.take()))
    }

    /// Carries octets both ways until both ends have closed.
    fn carry(&self, link: &Link, first: Option<Header>) -> Result<(), Deviation> {
        lock(&self.tape).opened()?;
        let wait = first.is_some();
        if let Some(header) = first {
            self.inject(link, Direction::ToEquipment, header)?;
        }
        thread::scope(|scope| {
            let back = scope.spawn(|| self.pump(link, Direction::ToHost));
            if wait {
                let waiting = |state: &mut State| !state.answered && !self.cut.load(Ordering::SeqCst);
                drop(self.changed.wait_while(lock(&self.state), waiting));
            }
            self.pump(link, Direction::ToEquipment);
            // It does not panic; if it did, the scope would.
            let _ = back.join();
        });
        lock(&self.tape).closed()
    }

    /// Carries octets one way until that end closes. A deviation ends the run.
    fn pump(&self, link: &Link, direction: Direction) {
        if let Err(deviation) = self.try_pump(link, direction) {
            self.deviate(deviation);
        }
        let (_, target) = link.ends(direction);
        // Where this fails the connection has ended already.
        let _ = target.shutdown(Shutdown::Write);
        self.answered(direction);
    }

    fn try_pump(&self, link: &Link, direction: Direction) -> Result<(), Deviation> {
        let (mut source, mut target) = link.ends(direction);
        let mut buffer = vec![0; 256 << 10];
        let mut decoder = Decoder::new();
        let mut frame = Vec::new();
        loop {
            let arrived = match source.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(0) | Err(_) => return Ok(()),
                Ok(arrived) => arrived,
            };
            let mut rest = &buffer[..arrived];
            let mut flow = lock(link.flow(direction));
            let mut passed = Ok(());
            while !rest.is_empty() && passed.is_ok() {
                let (taken, piece) = decoder.decode(rest).map_err(|error| Deviation::Octets(format!("{error:?}")))?;
                rest = &rest[taken..];
                let Some(piece) = piece else { continue };
                if piece.first() {
                    frame.clear();
                    // The length came out of a length field, so it fits into one.
                    frame.extend(piece.header.encode_prefix(piece.body_len).unwrap_or_default());
                }
                frame.extend(piece.body);
                if piece.last() {
                    passed = self.pass(&mut flow, false, &mut frame);
                }
            }
            let written = target.write_all(&flow.out);
            flow.out.clear();
            passed?;
            self.answered(direction);
            if written.is_err() {
                return Ok(());
            }
        }
    }

    fn inject(&self, link: &Link, direction: Direction, header: Header) -> Result<(), Deviation> {
        let mut flow = lock(link.flow(direction));
        self.pass(&mut flow, true, &mut header.encode_alone().to_vec())?;
        let (_, mut target) = link.ends(direction);
        // Where this fails the connection has ended, and that shows at the pumps.
        let _ = target.write_all(&flow.out);
        flow.out.clear();
        Ok(())
    }

    /// Shows a message to the tape, and hands it on to the output, with the fault where it is this message's turn.
    fn pass(&self, flow: &mut Flow, injected: bool, frame: &mut [u8]) -> Result<(), Deviation> {
        let mut tape = lock(&self.tape);
        match tape.take_fault(flow.direction) {
            None => flow.show(&mut tape, injected, frame)?,
            Some(Fault::Drop { .. }) => return Ok(()),
            Some(Fault::Repeat { .. }) => {
                flow.show(&mut tape, injected, frame)?;
                flow.show(&mut tape, injected, frame)?;
            }
            Some(Fault::Alter { number, octet, unseen }) => {
                if unseen {
                    flow.show(&mut tape, injected, frame)?;
                }
                let text = frame.len() - PREFIX_LEN;
                let usual = if text > 0 { PREFIX_LEN + text / 2 } else { 4 + number % HEADER_LEN };
                if let Some(octet) = frame.get_mut(octet.unwrap_or(usual)) {
                    *octet ^= 0x20;
                }
                if !unseen {
                    flow.show(&mut tape, injected, frame)?;
                }
            }
        }
        flow.out.extend_from_slice(frame);
        Ok(())
    }

    fn answered(&self, direction: Direction) {
        if direction == Direction::ToHost {
            lock(&self.state).answered = true;
            self.changed.notify_all();
        }
    }

    /// Tells of the deviation, and then ends the run.
    fn deviate(&self, deviation: Deviation) {
        let _ = self.news.send(News::Deviation(deviation));
        self.cut();
    }

    fn cut(&self) {
        let mut state = lock(&self.state);
        self.cut.store(true, Ordering::SeqCst);
        if let Some(link) = state.link.take() {
            for stream in [&link.host, &link.equipment] {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        self.changed.notify_all();
    }
}

impl Link {
    /// Where octets in this direction come from and go to.
    const fn ends(&self, direction: Direction) -> (&TcpStream, &TcpStream) {
        match direction {
            Direction::ToEquipment => (&self.host, &self.equipment),
            Direction::ToHost => (&self.equipment, &self.host),
        }
    }

    const fn flow(&self, direction: Direction) -> &Mutex<Flow> {
        match direction {
            Direction::ToEquipment => &self.to_equipment,
            Direction::ToHost => &self.to_host,
        }
    }
}

impl Flow {
    const fn new(direction: Direction) -> Self {
        let collector = Collector::new(Vec::new(), usize::MAX);
        Flow { direction, decoder: Decoder::new(), collector, out: Vec::new() }
    }

    /// Shows `octets` to the tape as the messages that they make behind what has gone out before.
    fn show(&mut self, tape: &mut Tape, injected: bool, octets: &[u8]) -> Result<(), Deviation> {
        let mut rest = octets;
        while !rest.is_empty() {
            let (taken, piece) = self.decoder.decode(rest).map_err(|error| Deviation::Octets(format!("{error:?}")))?;
            rest = &rest[taken..];
            let Some(piece) = piece else { continue };
            let message: Option<Message<'_>> =
                self.collector.push_piece(&piece).map_err(|error| Deviation::Octets(error.to_string()))?;
            if let Some(message) = message {
                tape.message(self.direction, injected, &message)?;
            }
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
