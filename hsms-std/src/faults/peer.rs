//! A peer without a machine.

use super::plan::{End, Sizes};
use super::rules::{Deed, Frame, Rule, Rules};
use super::transcript::{Transcript, What};
use crate::Options;
use crate::clock::Clock;
use crate::driver::copy;
use crate::tcp::Tcp;
use crate::transport::{Transport, is_late};
use hsms_core::wire::{Header, Message, ParseError, SystemBytes};
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long the other side may take to make room for what is sent.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest message that is received, unless another limit is set.
const MOST: u32 = 32 << 20;

/// Octets read at once.
const READ: usize = 16 * 1024;

/// A peer without a machine: it says what it is told to, when it is told to, right or wrong, and can answer by [`Rules`].
/// It runs over any [`Transport`]: TCP ([`connect`](Self::connect), [`accept`](Self::accept)), memory ([`pipe`](super::pipe)),
/// and either within a [`Faulty`](super::Faulty). It judges nothing but lengths.
///
/// ```
/// use hsms_std::faults::{Peer, Rule, Rules};
/// use hsms_std::{CloseReason, Config, Connection, DeviceId, Error};
/// use std::net::TcpListener;
/// use std::time::Duration;
///
/// // A tool that refuses every host.
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// let tool = std::thread::spawn(move || {
///     let mut tool = Peer::accept(&listener, Duration::from_secs(10))?.with_rules(Rules::new().with(Rule::select(2)));
///     tool.serve(Duration::from_secs(10))?;
///     Ok::<_, hsms_std::faults::PeerError>(tool.transcript().to_string())
/// });
/// let config = Config::host(DeviceId::new(7).unwrap()).with_t5(Duration::from_secs(60)).unwrap();
/// let mut host = Connection::active(address, config)?;
/// let Err(Error::NotSelected { closed, .. }) = host.select(Duration::from_secs(2)) else { panic!() };
/// assert!(matches!(closed, Some(CloseReason::SelectRefused(_))));
/// println!("{}", tool.join().unwrap()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Peer<T> {
    transport: T,
    clock: Clock,
    rules: Rules,
    transcript: Transcript,
    /// What has been read of the next messages.
    input: Vec<u8>,
    most: u32,
    patience: Duration,
    /// How the connection ended, as it was found.
    over: Option<Over>,
}

/// How a connection ended.
#[derive(Debug)]
enum Over {
    Ours,
    Theirs { inside: usize },
    Failed(io::Error),
}

/// What a [`Peer`] met instead of what it waited for. The messages themselves are in its [`Transcript`].
#[derive(Debug)]
#[non_exhaustive]
pub enum PeerError {
    /// It did not come in time.
    Late {
        /// The limit that was given.
        limit: Duration,
        /// Octets of a message that is not whole yet.
        inside: usize,
    },
    /// The other side has closed the connection.
    Closed {
        /// Octets of a message that had come; 0: between messages.
        inside: usize,
    },
    /// The peer itself has closed the connection.
    ClosedByUs,
    /// The connection has failed: a reset, for example.
    Failed {
        /// What the system said.
        source: io::Error,
    },
    /// A length field that begins no message, or a longer one than is received.
    Length {
        /// Its value.
        length: u32,
        /// The greatest that is received; the smallest is 10.
        most: u32,
    },
    /// Another message came than the one that was asked for.
    Unexpected {
        /// What came.
        came: Header,
        /// What was asked for.
        awaited: &'static str,
    },
    /// The other side made no room for what was sent.
    Stalled {
        /// Octets that were left.
        left: usize,
    },
}

impl Peer<Tcp> {
    /// Dials.
    ///
    /// # Errors
    /// [`PeerError::Failed`].
    pub fn connect(address: impl ToSocketAddrs) -> Result<Self, PeerError> {
        Peer::over_stream(TcpStream::connect(address)?)
    }

    /// Takes the next caller of a listener, waiting for `limit` at most. The listener is left non-blocking.
    ///
    /// # Errors
    /// [`PeerError::Late`], [`PeerError::Failed`].
    pub fn accept(listener: &TcpListener, limit: Duration) -> Result<Self, PeerError> {
        listener.set_nonblocking(true)?;
        let mut watched = mio::net::TcpListener::from_std(listener.try_clone()?);
        let mut poll = mio::Poll::new()?;
        poll.registry().register(&mut watched, mio::Token(0), mio::Interest::READABLE)?;
        let (clock, mut events) = (Clock::new(), mio::Events::with_capacity(4));
        let until = clock.now().saturating_add(limit);
        loop {
            match listener.accept() {
                Ok((stream, _)) => return Peer::over_stream(stream),
                Err(error) if !is_late(&error) && error.kind() != ErrorKind::Interrupted => return Err(error.into()),
                Err(_) if clock.now() >= until => return Err(PeerError::Late { limit, inside: 0 }),
                Err(_) => {}
            }
            match poll.poll(&mut events, Some(clock.until(until).min(crate::tcp::LONGEST))) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
                _ => {}
            }
        }
    }

    /// Takes over a stream that is connected.
    ///
    /// # Errors
    /// [`PeerError::Failed`] where the system refuses a setting.
    pub fn over_stream(stream: TcpStream) -> Result<Self, PeerError> {
        Ok(Peer::over(Tcp::new(stream, &Options::new().with_spin(0))?))
    }

    /// Ends the connection by a reset.
    ///
    /// # Errors
    /// [`PeerError::Failed`] where the system refuses it.
    pub fn reset(self) -> Result<Transcript, PeerError> {
        socket2::SockRef::from(&self.transport.watched()?).set_linger(Some(Duration::ZERO))?;
        Ok(self.transcript)
    }
}

impl<T: Transport> Peer<T> {
    /// A peer over a transport, without a rule.
    #[must_use]
    pub fn over(transport: T) -> Self {
        Peer {
            transport,
            clock: Clock::new(),
            rules: Rules::new(),
            transcript: Transcript::default(),
            input: Vec::new(),
            most: MOST,
            patience: PATIENCE,
            over: None,
        }
    }

    /// Sets the rules by which it answers while it waits in [`receive`](Self::receive) and the calls that use it.
    #[must_use]
    pub fn with_rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// Adds a rule, which is asked before the others.
    pub fn add_rule(&mut self, rule: Rule) {
        self.rules.add(rule);
    }

    /// Sets the greatest length field that is received; 32 MiB otherwise.
    #[must_use]
    pub const fn with_most(mut self, length: u32) -> Self {
        self.most = length;
        self
    }

    /// Sets how long the other side may take to make room for what is sent; 30 s otherwise.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// What was said and heard.
    #[must_use]
    pub const fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// The transport.
    #[must_use]
    pub const fn transport(&self) -> &T {
        &self.transport
    }

    // Saying something.

    /// Sends a message: a header, or a [`Frame`].
    ///
    /// # Errors
    /// [`PeerError::Stalled`], [`PeerError::ClosedByUs`], [`PeerError::Failed`].
    pub fn send(&mut self, frame: impl Into<Frame>) -> Result<(), PeerError> {
        let frame = frame.into();
        self.transcript.note(self.clock.now(), What::Sent { header: frame.header, body_len: frame.body.len() });
        self.write(&frame.encode())
    }

    /// Sends octets, whatever they are, in one write.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_octets(&mut self, octets: &[u8]) -> Result<(), PeerError> {
        self.transcript.note_octets(self.clock.now(), octets);
        self.write(octets)
    }

    /// Sends octets in several writes. A socket may put them together again; a [`Split`](super::Fault::Split) with a gap
    /// keeps them apart. Random sizes are chosen by `seed`.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_in_pieces(&mut self, octets: &[u8], sizes: Sizes, seed: u64) -> Result<(), PeerError> {
        use super::{Fault, Line, Plan};
        let mut left = octets;
        let mut line = Line::new(&Plan::from(Fault::Split { sizes, gap: Duration::ZERO }).seeded(seed));
        let now = self.clock.now();
        while !left.is_empty() {
            let taken = line.push(now, left);
            left = left.get(taken..).unwrap_or_default();
            loop {
                let piece = line.take(now, usize::MAX);
                if piece.is_empty() {
                    break;
                }
                self.send_octets(&piece)?;
            }
        }
        Ok(())
    }

    /// Closes the connection.
    pub fn close(&mut self) {
        if self.over.is_none() {
            self.transcript.note(self.clock.now(), What::Closed);
            self.over = Some(Over::Ours);
        }
        self.transport.close();
    }

    // Hearing something.

    /// The next message that no rule takes, waiting for it for `limit` at most. Rules answer meanwhile.
    ///
    /// # Errors
    /// [`PeerError::Late`], [`PeerError::Closed`], [`PeerError::ClosedByUs`], [`PeerError::Failed`], [`PeerError::Length`];
    /// [`PeerError::Stalled`] where the answer of a rule found no room.
    pub fn receive(&mut self, limit: Duration) -> Result<Frame, PeerError> {
        let until = self.clock.now().saturating_add(limit);
        let mut looked = false;
        loop {
            if let Some(frame) = self.take_frame()? {
                match self.rules.apply(&frame) {
                    None => return Ok(frame),
                    Some(deeds) => self.carry_out(deeds)?,
                }
                looked = false;
                // A peer that is kept busy does not move the limit.
                if self.clock.now() < until {
                    continue;
                }
            }
            self.still_open()?;
            if looked && self.clock.now() >= until {
                return Err(PeerError::Late { limit, inside: self.input.len() });
            }
            looked = true;
            self.read(self.clock.until(until));
        }
    }

    /// The next message that `wanted` says yes to; others that no rule takes are passed over.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn await_frame(&mut self, limit: Duration, mut wanted: impl FnMut(&Frame) -> bool) -> Result<Frame, PeerError> {
        let until = self.clock.now().saturating_add(limit);
        loop {
            let frame = self.receive(self.clock.until(until))?;
            if wanted(&frame) {
                return Ok(frame);
            }
        }
    }

    /// Answers by its rules until the connection ends or `limit` is over; messages that no rule takes are passed over. Tells
    /// how it ended; `None` where it is still open.
    ///
    /// # Errors
    /// [`PeerError::Length`], [`PeerError::Stalled`].
    pub fn serve(&mut self, limit: Duration) -> Result<Option<End>, PeerError> {
        match self.await_frame(limit, |_| false) {
            Err(PeerError::Late { .. }) => Ok(None),
            Err(PeerError::Closed { .. } | PeerError::ClosedByUs) => Ok(Some(End::Closed)),
            Err(PeerError::Failed { .. }) => Ok(Some(End::Reset)),
            Err(error) => Err(error),
            // Unreachable: every message was passed over.
            Ok(_) => Ok(None),
        }
    }

    /// Waits for the other side to close, and for nothing else to come before.
    ///
    /// # Errors
    /// [`PeerError::Unexpected`] where a message comes; [`PeerError::Late`], [`PeerError::Length`].
    pub fn expect_close(&mut self, limit: Duration) -> Result<End, PeerError> {
        match self.receive(limit) {
            Err(PeerError::Closed { inside: 0 }) => Ok(End::Closed),
            Err(PeerError::Failed { .. }) => Ok(End::Reset),
            Ok(frame) => Err(PeerError::Unexpected { came: frame.header, awaited: "a close" }),
            Err(error) => Err(error),
        }
    }

    /// Waits for `limit`, and for nothing to come meanwhile: no message that no rule takes, and no end.
    ///
    /// # Errors
    /// [`PeerError::Unexpected`] where a message comes; otherwise as [`receive`](Self::receive).
    pub fn expect_silence(&mut self, limit: Duration) -> Result<(), PeerError> {
        match self.receive(limit) {
            Err(PeerError::Late { inside: 0, .. }) => Ok(()),
            Ok(frame) => Err(PeerError::Unexpected { came: frame.header, awaited: "silence" }),
            Err(error) => Err(error),
        }
    }

    /// Selects as the side that has dialled, with system bytes 1.
    ///
    /// # Errors
    /// [`PeerError::Unexpected`] where something else comes than Select.rsp with status 0; otherwise as
    /// [`receive`](Self::receive).
    pub fn select(&mut self, limit: Duration) -> Result<(), PeerError> {
        let system = SystemBytes(1);
        self.send(Header::select_req(system))?;
        let came = self.receive(limit)?.header;
        if came == Header::select_rsp(system) {
            return Ok(());
        }
        Err(PeerError::Unexpected { came, awaited: "Select.rsp with status 0" })
    }

    /// Lets the side that has dialled select.
    ///
    /// # Errors
    /// [`PeerError::Unexpected`] where something else comes than Select.req; otherwise as [`receive`](Self::receive).
    pub fn be_selected(&mut self, limit: Duration) -> Result<(), PeerError> {
        let came = self.receive(limit)?.header;
        if came == Header::select_req(came.system) {
            return self.send(Header::select_rsp(came.system));
        }
        Err(PeerError::Unexpected { came, awaited: "Select.req" })
    }

    fn carry_out(&mut self, deeds: Vec<Deed>) -> Result<(), PeerError> {
        for deed in deeds {
            match deed {
                Deed::Nothing => {}
                Deed::Send(frame) => self.send(frame)?,
                Deed::Octets(octets) => self.send_octets(&octets)?,
                Deed::Close => self.close(),
            }
        }
        Ok(())
    }

    /// Takes a whole message from what has been read.
    fn take_frame(&mut self) -> Result<Option<Frame>, PeerError> {
        if let Some((length, _)) = self.input.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length);
            if length > self.most {
                return Err(PeerError::Length { length, most: self.most });
            }
        }
        let (frame, behind) = match Message::parse(&self.input) {
            Ok((message, rest)) => (Frame::from(message), rest.len()),
            Err(ParseError::LengthTooShort { length }) => return Err(PeerError::Length { length, most: self.most }),
            Err(_) => return Ok(None),
        };
        let taken = self.input.len().saturating_sub(behind);
        self.input.drain(..taken);
        self.transcript.note(self.clock.now(), What::Received { header: frame.header, body_len: frame.body.len() });
        Ok(Some(frame))
    }

    fn still_open(&self) -> Result<(), PeerError> {
        match &self.over {
            None => Ok(()),
            Some(Over::Ours) => Err(PeerError::ClosedByUs),
            Some(Over::Theirs { inside }) => Err(PeerError::Closed { inside: *inside }),
            Some(Over::Failed(error)) => Err(PeerError::Failed { source: copy(error) }),
        }
    }

    /// Reads once, waiting for `limit` at most.
    fn read(&mut self, limit: Duration) {
        let mut octets = [0; READ];
        match self.transport.read(&mut octets, limit) {
            Ok(0) => {
                let inside = self.input.len();
                self.transcript.note(self.clock.now(), What::PeerClosed { inside });
                self.over = Some(Over::Theirs { inside });
            }
            Ok(read) => self.input.extend_from_slice(octets.get(..read).unwrap_or_default()),
            Err(error) if is_late(&error) || error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                self.transcript.note(self.clock.now(), What::Failed { error: error.to_string() });
                self.over = Some(Over::Failed(error));
            }
        }
    }

    fn write(&mut self, mut octets: &[u8]) -> Result<(), PeerError> {
        if matches!(self.over, Some(Over::Ours)) {
            return Err(PeerError::ClosedByUs);
        }
        let until = self.clock.now().saturating_add(self.patience);
        while !octets.is_empty() {
            let left = self.clock.until(until);
            match self.transport.write(&[IoSlice::new(octets)], left) {
                Ok(written) => octets = octets.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_late(&error) => {
                    if self.clock.now() >= until {
                        return Err(PeerError::Stalled { left: octets.len() });
                    }
                    // The other side may be stuck as well until somebody reads what it says.
                    let reads = self.over.is_none() && self.input.len() <= self.most as usize;
                    self.transport.wait(reads, left)?;
                    if reads {
                        self.read(Duration::ZERO);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl From<io::Error> for PeerError {
    fn from(source: io::Error) -> Self {
        PeerError::Failed { source }
    }
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerError::Late { limit, inside: 0 } => write!(f, "nothing came within {limit:?}"),
            PeerError::Late { limit, inside } => write!(f, "only {inside} octets of a message came within {limit:?}"),
            PeerError::Closed { inside: 0 } => f.write_str("the other side has closed"),
            PeerError::Closed { inside } => write!(f, "the other side has closed behind {inside} octets of a message"),
            PeerError::ClosedByUs => f.write_str("the peer itself has closed"),
            PeerError::Failed { .. } => f.write_str("the connection has failed"),
            PeerError::Length { length, most } => write!(f, "a length field of {length}; 10 to {most} is received"),
            PeerError::Unexpected { came, awaited } => write!(f, "{came:?} came instead of {awaited}"),
            PeerError::Stalled { left } => write!(f, "the other side made no room for {left} octets"),
        }
    }
}

impl std::error::Error for PeerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            PeerError::Failed { source } => Some(source),
            _ => None,
        }
    }
}
