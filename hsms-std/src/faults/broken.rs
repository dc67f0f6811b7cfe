//! Peers that are broken on purpose, each in one way that has been met in the field.
//!
//! Each of [`PEERS`] is our own machine with one [fault](Broken::how) put around it, and names the
//! [`Rule`](crate::conformance::Rule) that must catch it. Two uses:
//!
//! * to find out whether your own host or equipment lives with such a peer: [`Broken::serve`] puts it on a TCP address;
//! * to find out whether a conformance test sees the fault: [`Broken::memory`] and [`Broken::bench`] put it on a bench.
//!
//! A tool that answers a primary before it has been selected, and a peer that notices:
//!
//! ```
//! use hsms_std::faults::{Peer, broken};
//! use hsms_std::{Config, DeviceId, Header, StreamFunction, SystemBytes};
//! use std::time::Duration;
//!
//! let broken = broken::named("takes_data_while_not_selected").unwrap();
//! let device = DeviceId::new(1).unwrap();
//! let tool = broken.serve("127.0.0.1:0".parse()?, Config::equipment(device))?;
//! let mut host = Peer::connect(tool.local_addr().unwrap())?;
//! host.send(Header::data(SystemBytes(7), StreamFunction::new(1, 1), true, device.session()))?;
//! let answer = host.receive(Duration::from_secs(10))?;
//! assert_eq!(answer.header.stream_function(), StreamFunction::new(1, 2), "where Reject.req was due");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is broken, and the rules:
//!
//! ```
//! for peer in hsms_std::faults::broken::PEERS {
//!     println!("{}: {} {} Caught by {}.", peer.name, peer.failure, peer.how, peer.rule);
//! }
//! ```

mod flaws;
mod serve;

pub use serve::Served;

use crate::conformance::memory::{Input, Memory, Output, Subject, ours};
use crate::conformance::socket::Socket;
use crate::conformance::{Command, Entities, Frame, Report, Role, Setup};
use flaws::{Fate, Flaw};
use hsms_core::Config;
use hsms_core::config::ConnectMode;
use hsms_core::time::Instant;
use hsms_core::wire::{Header, Message, PREFIX_LEN, SType, SystemBytes};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::net::SocketAddr;

pub use flaws::{GOOD, PEERS};

/// A peer with one fault.
#[derive(Clone, Copy)]
pub struct Broken {
    /// What it is called.
    pub name: &'static str,
    /// What has been met in the field.
    pub failure: &'static str,
    /// How this peer does it.
    pub how: &'static str,
    /// The id of the rule that is meant to catch it; empty for [`GOOD`].
    pub rule: &'static str,
    make: fn() -> Box<dyn Flaw>,
}

/// The peer of [`PEERS`] with this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Broken> {
    PEERS.iter().find(|peer| peer.name == name)
}

impl Broken {
    /// It as a subject without I/O and without a clock, in this role. `entities` count for HSMS-GS only.
    #[must_use]
    pub fn subject(&self, role: Role, config: Config, entities: &Entities) -> Box<dyn Subject> {
        Box::new(Wrapped::new(self.make, ours(role, config, entities), config))
    }

    /// A bench in memory, under a virtual clock, with this peer as its subject.
    #[must_use]
    pub fn memory(&self, setup: Setup) -> Memory {
        let peer = *self;
        Memory::with_entities(setup, move |config, entities| peer.subject(setup.role, config, entities))
    }

    /// A bench over TCP, in real time, with this peer as its subject; its application can be commanded and asked.
    ///
    /// # Errors
    /// Where no port can be had.
    pub fn bench(&self, setup: Setup) -> io::Result<Socket> {
        Socket::with_application(setup, serve::application(*self, setup.role))
    }

    /// Lets it run over TCP in a thread of its own: a passive one listens on `address` (port 0 lets the system choose), an
    /// active one dials it. It speaks HSMS-SS. It ends when what is given back is dropped.
    ///
    /// # Errors
    /// Where the port cannot be had, or the system refuses a thread.
    pub fn serve(&self, address: SocketAddr, config: Config) -> io::Result<Served> {
        let role = if config.mode() == ConnectMode::Active { Role::SsActive } else { Role::SsPassive };
        Served::start(*self, role, address, config, Entities::of(role))
    }
}

/// Name and rule.
impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broken").field("name", &self.name).field("rule", &self.rule).finish_non_exhaustive()
    }
}

/// The good machine, and what a flaw can do to it.
struct Inside {
    machine: Box<dyn Subject>,
    config: Config,
    now: Instant,
    /// How far the machine's clock is ahead, in milliseconds.
    ahead: i64,
    /// When the machine was last told something, by its clock.
    told: u64,
    selected: bool,
    open: bool,
    /// Its own primaries that are open, as they were sent.
    requests: BTreeMap<SystemBytes, Header>,
    output: VecDeque<Output>,
}

impl Inside {
    /// The machine is told.
    fn give(&mut self, input: Input<'_>) {
        let now = i64::try_from(self.now.as_millis()).unwrap_or(i64::MAX).saturating_add(self.ahead);
        self.give_at(u64::try_from(now).unwrap_or(0), input);
    }

    fn give_at(&mut self, at: u64, input: Input<'_>) {
        self.told = self.told.max(at);
        self.machine.input(Instant::from_millis(self.told), input);
    }

    fn send(&mut self, header: Header) {
        self.output.push_back(Output::Octets(Frame::new(header, &[]).encode()));
    }

    fn report(&mut self, report: Report) {
        self.output.push_back(Output::Report(report));
    }

    /// Closes the transport; the machine thinks that the peer did.
    fn close(&mut self) {
        self.output.push_back(Output::Close);
        self.over();
        self.give(Input::Closed);
    }

    /// The machine's clock is put back to when it was last told something.
    fn stand_still(&mut self) {
        let told = i64::try_from(self.told).unwrap_or(i64::MAX);
        self.ahead = told.saturating_sub(i64::try_from(self.now.as_millis()).unwrap_or(i64::MAX)).min(self.ahead);
    }

    /// The machine's clock is put forward to its next deadline.
    fn hurry(&mut self) {
        if let Some(deadline) = self.deadline() {
            let by = deadline.saturating_since(self.now).as_millis();
            self.ahead = self.ahead.saturating_add(i64::try_from(by).unwrap_or(i64::MAX));
        }
    }

    /// The machine's next deadline by the clock of all others.
    fn deadline(&self) -> Option<Instant> {
        let deadline = i64::try_from(self.machine.next_deadline()?.as_millis()).unwrap_or(i64::MAX);
        Some(Instant::from_millis(u64::try_from(deadline.saturating_sub(self.ahead)).unwrap_or(0)))
    }

    /// Keeps account of what the machine does.
    fn watch(&mut self, output: &Output) {
        match output {
            Output::Report(Report::Selected | Report::SessionSelected(_)) => self.selected = true,
            Output::Report(Report::Deselected) => self.selected = false,
            Output::Close => self.over(),
            Output::Octets(octets) => {
                if let Ok((message, _)) = Message::parse(octets)
                    && message.header.stype == SType::DATA
                    && message.header.reply_expected()
                {
                    self.requests.insert(message.header.system, message.header);
                }
            }
            Output::Report(Report::Reply(frame)) => drop(self.requests.remove(&frame.header.system)),
            Output::Report(Report::Ended(system, _)) => drop(self.requests.remove(system)),
            Output::Open | Output::Report(_) => {}
        }
    }

    fn over(&mut self) {
        (self.selected, self.open) = (false, false);
        self.requests.clear();
    }
}

/// Octets of a length field.
const PREFIX: usize = 4;

/// A machine with a flaw around it.
struct Wrapped {
    make: fn() -> Box<dyn Flaw>,
    flaw: Box<dyn Flaw>,
    inside: Inside,
    /// The beginning of a message, until the flaw has seen its header.
    held: Vec<u8>,
    /// When the last octet of it came.
    held_at: Instant,
    /// As much of a length field as the machine has.
    begun: Vec<u8>,
    /// How many octets are to come of a message that has begun.
    left: u64,
    /// They are for the machine.
    keep: bool,
}

impl Wrapped {
    fn new(make: fn() -> Box<dyn Flaw>, machine: Box<dyn Subject>, config: Config) -> Self {
        let inside = Inside {
            machine,
            config,
            now: Instant::EPOCH,
            ahead: 0,
            told: 0,
            selected: false,
            open: false,
            requests: BTreeMap::new(),
            output: VecDeque::new(),
        };
        Wrapped {
            make,
            flaw: make(),
            inside,
            held: Vec::new(),
            held_at: Instant::EPOCH,
            begun: Vec::new(),
            left: 0,
            keep: true,
        }
    }

    /// What the machine does passes the flaw.
    fn drain(&mut self) {
        while let Some(output) = self.inside.machine.poll() {
            self.inside.watch(&output);
            if let Some(output) = self.flaw.output(&mut self.inside, output) {
                self.inside.output.push_back(output);
            }
        }
    }

    fn receive(&mut self, octets: &[u8]) {
        self.held.extend_from_slice(octets);
        self.held_at = self.inside.now;
        while self.inside.open && !self.held.is_empty() {
            if !self.begun.is_empty() || self.left > 0 {
                self.pass();
            } else if !self.take() {
                break;
            }
            self.drain();
        }
        self.drain();
    }

    /// A header that is there passes the flaw. Tells whether there was one.
    fn take(&mut self) -> bool {
        let mut length = [0; PREFIX];
        length.iter_mut().zip(&self.held).for_each(|(to, from)| *to = *from);
        let length = u32::from_be_bytes(length);
        let too_long = length > self.inside.config.max_message();
        if self.held.len() < PREFIX {
            // Its first octets may say enough.
            if too_long {
                self.let_go();
            }
            return false;
        }
        (self.left, self.keep) = (u64::from(length).saturating_add(4), true);
        if length < 10 || too_long {
            // The machine has to see that at once.
            return true;
        }
        self.left = 0;
        let Some(octets) = self.held.get(PREFIX..).and_then(<[u8]>::first_chunk) else { return false };
        let text = length.saturating_sub(10);
        match self.flaw.header(&mut self.inside, Header::decode(octets)) {
            Fate::Pass(header) => {
                // The text is no longer than before.
                let octets = header.encode_prefix(text).unwrap_or_default();
                self.inside.give(Input::Octets(&octets));
            }
            Fate::Drop => self.keep = false,
            Fate::Whole => {
                let Ok((message, behind)) = Message::parse(&self.held) else { return false };
                let (frame, behind) = (Frame::new(message.header, message.body), behind.len());
                self.held.drain(..self.held.len().saturating_sub(behind));
                self.flaw.whole(&mut self.inside, frame);
                return true;
            }
        }
        self.held.drain(..PREFIX_LEN.min(self.held.len()));
        self.left = text.into();
        true
    }

    /// Octets of a message that has begun go the way of its beginning.
    fn pass(&mut self) {
        let (begun, left) = (self.begun.len(), usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = if begun > 0 { PREFIX.saturating_sub(begun) } else { left }.min(self.held.len());
        let octets: Vec<u8> = self.held.drain(..count).collect();
        if begun == 0 {
            self.left = self.left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        } else {
            self.begun.extend_from_slice(&octets);
            self.has_begun();
        }
        if self.keep {
            self.inside.give(Input::Octets(&octets));
        }
    }

    /// Once the length field is there, it is known how much is left.
    fn has_begun(&mut self) {
        if let Some(length) = self.begun.first_chunk() {
            let whole = u64::from(u32::from_be_bytes(*length)).saturating_add(4);
            self.left = whole.saturating_sub(u64::try_from(self.begun.len()).unwrap_or(u64::MAX));
            self.begun.clear();
        }
    }

    /// When a message that stops in the middle has to be given up.
    fn t8(&self) -> Option<Instant> {
        (!self.held.is_empty()).then(|| self.held_at.saturating_add(self.inside.config.t8()))
    }

    /// Gives the machine what there is of a message, as if it had when that came. The rest passes by the flaw.
    fn let_go(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let (now, octets) = (self.inside.now, std::mem::take(&mut self.held));
        self.inside.now = self.held_at;
        self.inside.give(Input::Octets(&octets));
        self.inside.now = now;
        (self.begun, self.keep) = (octets, true);
        self.has_begun();
    }

    /// Nothing is left of what a former transport brought.
    fn forget(&mut self) {
        self.held.clear();
        self.begun.clear();
        self.left = 0;
    }
}

impl Subject for Wrapped {
    fn input(&mut self, now: Instant, input: Input<'_>) {
        self.inside.now = now;
        match input {
            Input::Octets(octets) => {
                let octets = self.flaw.read(&mut self.inside, octets);
                self.drain();
                self.receive(&octets);
            }
            Input::Time => {
                // What has begun to come stops some timers, and starts others: the machine has to know of it.
                if self.next_deadline().is_some_and(|deadline| deadline <= now) {
                    self.let_go();
                }
                self.flaw.time(&mut self.inside);
                self.inside.give(Input::Time);
            }
            Input::Opened => {
                self.forget();
                self.inside.open = true;
                self.flaw.opened(&mut self.inside);
                self.inside.give(Input::Opened);
            }
            Input::Closed => {
                self.let_go();
                self.inside.over();
                self.inside.give(Input::Closed);
            }
            Input::Enable | Input::OpenFailed => self.inside.give(input),
        }
        self.drain();
        if !self.inside.open {
            self.forget();
        }
    }

    fn command(&mut self, now: Instant, command: &Command) -> Result<(), String> {
        self.inside.now = now;
        self.let_go();
        let at = i64::try_from(now.as_millis()).unwrap_or(i64::MAX).saturating_add(self.inside.ahead);
        self.inside.told = self.inside.told.max(u64::try_from(at).unwrap_or(0));
        let result = self.inside.machine.command(Instant::from_millis(self.inside.told), command);
        self.drain();
        result
    }

    fn next_deadline(&self) -> Option<Instant> {
        [self.inside.deadline(), self.t8(), self.flaw.deadline(&self.inside)].into_iter().flatten().min()
    }

    fn poll(&mut self) -> Option<Output> {
        self.inside.output.pop_front()
    }

    fn second(&self) -> Option<Box<dyn Subject>> {
        Some(Box::new(Wrapped::new(self.make, self.inside.machine.second()?, self.inside.config)))
    }
}
