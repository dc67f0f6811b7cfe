//! One machine and its socket, which never blocks: octets in, octets out, and what became of them.

mod answer;
mod handover;

pub(super) use handover::HandedOver;

use super::farewell::Farewell;
use super::machine::{LEAST_ROOM, Machine};
use super::socket::Socket;
use super::tally::Tally;
use crate::security::Stream;
use crate::transport::{Transport, is_late};
use crate::watch::{Onlookers, Watch};
use crate::{Options, trace};
use hsms_core::Error as Refusal;
use hsms_core::config::ConnectMode;
use hsms_core::connection::{Action, Class, CloseReason, Event, Inbound, Notice, ReplyToken, State};
use hsms_core::counters::Counters;
use hsms_core::time::Instant;
use hsms_core::wire::{Header, PREFIX_LEN, SessionId, StreamFunction, SystemBytes};
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

/// Reads of one link before the others have their turn; it ends as well when a whole buffer has come.
const MOST_READS: usize = 8;

/// After a read that gave less than it could, the system tells of what comes behind it, without having been asked for it in vain first.
const TELLS_OF_MORE: bool = cfg!(target_os = "linux");

/// Answers of the machine that wait while the peer takes nothing. Beyond it nothing is read from that peer until it takes
/// something, and its write limit runs.
const MOST_ANSWERS: u32 = 256 * 1024;

/// The same where it is not known yet who the peer is.
const MOST_ANSWERS_TO_CALLER: u32 = 4 * 1024;

/// How much of what the peer has sent is still taken when writing to it fails.
const LAST_READS: usize = 16;

/// What the event loop has seen of a socket.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Readiness {
    readable: bool,
    writable: bool,
    ends: bool,
}

impl Readiness {
    /// There may be something to read.
    pub(super) const READABLE: Self = Readiness { readable: true, writable: false, ends: false };
}

impl From<&mio::event::Event> for Readiness {
    fn from(event: &mio::event::Event) -> Self {
        let ends = event.is_read_closed() || event.is_error();
        Readiness { readable: event.is_readable() || ends, writable: event.is_writable() || event.is_error(), ends }
    }
}

/// What a link has to tell its owner.
#[derive(Debug)]
pub(super) enum Told {
    /// A message for the application.
    Message {
        header: Header,
        sort: Sort,
        body: Vec<u8>,
    },
    /// A message that is for nobody.
    Other {
        header: Header,
        body_len: u32,
        class: Class,
    },
    Notice(Notice),
    Closed {
        reason: CloseReason,
        error: Option<io::Error>,
    },
}

/// What a message is to the application. The machine has decided it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sort {
    Primary(Option<ReplyToken>),
    Reply,
    Abort,
}

/// A machine with the socket that it has at the moment.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) machine: Box<dyn Machine>,
    /// Primaries that can wait for their reply at the same time.
    most_transactions: u16,
    tell_control: bool,
    /// Replies that nobody waits for are passed on as well.
    unawaited: bool,
    tally: Tally,
    stream: Option<Stream<Socket>>,
    watch: Watch,
    /// The machine has asked for a transport.
    wanted: bool,
    /// The event loop has said so, and the system has not denied it since.
    readable: bool,
    writable: bool,
    /// It has told as well that nothing comes behind what there is to read.
    ending: bool,
    output: Vec<u8>,
    /// Octets of it that have been written.
    start: usize,
    /// Octets at its front that another machine has put there.
    foreign: usize,
    /// Octets that the machine has put into the output, whatever the application has, since little of it was left.
    answers: usize,
    /// How much of that may wait.
    most_answers: u32,
    /// In milliseconds.
    write_limit: u32,
    /// When the peer has to have taken something.
    stalled: Option<Instant>,
    /// A message for the application that has arrived in part.
    assembly: Option<Box<Assembly>>,
    failure: Option<io::Error>,
    /// What a connection that has been closed leaves to be written.
    farewell: Option<Box<Farewell>>,
}

/// A message for the application that has arrived in part.
#[derive(Debug)]
struct Assembly {
    header: Header,
    sort: Sort,
    body: Vec<u8>,
}

impl Link {
    pub(super) fn new(machine: Box<dyn Machine>, options: &Options) -> Self {
        Link {
            machine,
            most_transactions: u16::MAX,
            tell_control: options.tell_control(),
            unawaited: false,
            tally: Tally::default(),
            stream: None,
            watch: Watch::default(),
            wanted: false,
            readable: false,
            writable: false,
            ending: false,
            output: Vec::new(),
            start: 0,
            foreign: 0,
            answers: 0,
            most_answers: MOST_ANSWERS,
            write_limit: u32::try_from(options.write_limit().as_millis()).unwrap_or(u32::MAX),
            stalled: None,
            assembly: None,
            failure: None,
            farewell: None,
        }
    }

    /// Primaries that can wait for their reply at the same time.
    pub(super) fn with_most_transactions(mut self, most: usize) -> Self {
        self.most_transactions = u16::try_from(most).unwrap_or(u16::MAX);
        self
    }

    /// Whether replies that nobody waits for are passed on as well: there is somebody who keeps them.
    #[cfg(feature = "services")]
    pub(super) const fn with_unawaited(mut self, unawaited: bool) -> Self {
        self.unawaited = unawaited;
        self
    }

    pub(super) fn counters(&self) -> Counters {
        self.tally.counters()
    }

    pub(super) fn state(&self) -> State {
        self.machine.state()
    }

    pub(super) const fn wants_transport(&self) -> bool {
        self.wanted
    }

    pub(super) const fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    pub(super) fn sole_session(&self) -> Option<SessionId> {
        self.machine.sole_session()
    }

    /// Octets that the peer has not taken.
    pub(super) fn pending(&self) -> usize {
        self.output.len().saturating_sub(self.start)
    }

    /// Whether the stream has taken octets and not written them.
    fn owes(&self) -> bool {
        self.stream.as_ref().is_some_and(Stream::owes)
    }

    /// Whether TLS is not ready yet.
    pub(super) fn is_handshaking(&self) -> bool {
        self.stream.as_ref().is_some_and(Stream::is_handshaking)
    }

    /// Octets of what has come that TLS may be keeping.
    pub(super) fn kept(&self) -> usize {
        self.stream.as_ref().map_or(0, Stream::kept)
    }

    /// Whether there may be octets to read that nobody will announce.
    pub(super) fn has_more(&self) -> bool {
        self.stream.is_some() && self.readable && !self.is_flooded()
    }

    fn most_answers(&self) -> usize {
        usize::try_from(self.most_answers).unwrap_or(usize::MAX)
    }

    /// Whether the peer goes on asking and takes no answers. What the application sends does not count, so that two ends that send
    /// long texts at once both finish.
    fn is_flooded(&self) -> bool {
        self.answers > self.most_answers() && self.pending() > self.most_answers()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        [self.machine.next_deadline(), self.stalled].into_iter().flatten().min()
    }

    /// What the event loop has seen.
    pub(super) const fn ready(&mut self, ready: Readiness) {
        self.readable |= ready.readable;
        self.writable |= ready.writable;
        self.ending |= ready.ends;
    }

    /// The transport that was wanted is not open yet: what was told of an end was about one before.
    pub(super) const fn dials(&mut self) {
        self.ending = false;
    }

    /// The transport that was wanted is open.
    pub(super) fn opened(
        &mut self,
        stream: Stream<Socket>,
        (onlookers, mode): (&Onlookers, ConnectMode),
        now: Instant,
        told: &mut Vec<Told>,
    ) {
        self.watch.opened(onlookers, mode, &stream);
        self.begin(stream, now, told);
    }

    fn begin(&mut self, stream: Stream<Socket>, now: Instant, told: &mut Vec<Told>) {
        self.wanted = false;
        self.stream = Some(stream);
        // What was told of the end while it was being opened counts.
        (self.readable, self.writable) = (true, true);
        self.happen(Event::TransportOpen, now, told);
    }

    /// The transport that was wanted could not be opened.
    pub(super) fn open_failed(&mut self, error: &io::Error, onlookers: &Onlookers, now: Instant, told: &mut Vec<Told>) {
        if std::mem::take(&mut self.wanted) {
            onlookers.inside(|| trace::failed(error));
            self.happen(Event::TransportFailed, now, told);
        }
    }

    /// Asks the machine for something.
    pub(super) fn command<R>(
        &mut self,
        now: Instant,
        told: &mut Vec<Told>,
        command: impl FnOnce(&mut dyn Machine, Instant) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        let result = command(&mut *self.machine, now);
        self.drain(told);
        result
    }

    /// Gives up a transaction.
    pub(super) fn forget(&mut self, now: Instant, told: &mut Vec<Told>, system: SystemBytes) {
        // Unknown where it has ended.
        let _ = self.command(now, told, |machine, _| machine.forget(system));
        self.tally.meter().forgotten(system);
    }

    /// Puts a primary into the output.
    pub(super) fn send(
        &mut self,
        now: Instant,
        told: &mut Vec<Told>,
        (session, stream_function): (SessionId, StreamFunction),
        reply_expected: bool,
        body: &[u8],
    ) -> Result<SystemBytes, Refusal> {
        let length = body_len(body);
        if reply_expected {
            self.make_room()?;
        }
        let (system, prefix) = self.machine.begin_primary(now, session, stream_function, reply_expected, length)?;
        self.put(now, told, &prefix, body);
        Ok(system)
    }

    /// Puts a reply into the output.
    pub(super) fn reply(
        &mut self,
        now: Instant,
        told: &mut Vec<Told>,
        token: &ReplyToken,
        body: &[u8],
    ) -> Result<(), Refusal> {
        let prefix = self.machine.begin_reply(now, token, body_len(body))?;
        self.put(now, told, &prefix, body);
        Ok(())
    }

    /// Puts SxF0 into the output.
    pub(super) fn abort(&mut self, now: Instant, told: &mut Vec<Told>, token: &ReplyToken) -> Result<(), Refusal> {
        let prefix = self.machine.begin_abort(now, token)?;
        self.answers = self.answers.saturating_add(prefix.len());
        self.put(now, told, &prefix, &[]);
        Ok(())
    }

    /// Sees to it that another transaction can be opened, as far as the settings allow.
    fn make_room(&mut self) -> Result<(), Refusal> {
        let open = self.machine.open_transactions();
        if open >= usize::from(self.most_transactions) {
            return Err(Refusal::TransactionsFull { open });
        }
        if open >= self.machine.room()
            && let Some(larger) = self.machine.with_room(open.saturating_add(1))
        {
            self.machine = larger;
        }
        Ok(())
    }

    /// Tells what has been counted to whoever wants to know it.
    pub(super) fn tell_meter(&mut self, name: &Arc<str>) {
        self.tally.tell(name, self.machine.open_transactions());
    }

    /// Gives back what an idle connection has no use for.
    pub(super) fn rest(&mut self) {
        if self.pending() == 0 && self.assembly.is_none() && self.machine.open_transactions() == 0 {
            self.tally.rest();
            if self.machine.room() > LEAST_ROOM
                && let Some(smaller) = self.machine.with_room(LEAST_ROOM)
            {
                self.machine = smaller;
            }
        }
    }

    fn put(&mut self, now: Instant, told: &mut Vec<Told>, prefix: &[u8; PREFIX_LEN], body: &[u8]) {
        let [_, _, _, _, header @ ..] = prefix;
        let header = Header::decode(header);
        self.tally.open().record_sent(&header, body_len(body));
        self.watch.sent(&header, body);
        self.tally.meter().sent(&header);
        self.output.extend_from_slice(prefix);
        self.output.extend_from_slice(body);
        let ended = self.machine.end_body(now);
        debug_assert!(ended.is_ok(), "it was begun");
        self.drain(told);
    }

    /// Writes and reads as far as that goes at once, up to a share of the loop's time. `buffer` is the loop's.
    pub(super) fn go_on(&mut self, now: Instant, buffer: &mut [u8], told: &mut Vec<Told>) {
        self.write(now, told);
        let (mut reads, mut left) = (MOST_READS, buffer.len());
        while reads > 0 && left > 0 && self.has_more() {
            let octets = self.read(now, buffer, told);
            self.receive(now, buffer.get(..octets).unwrap_or(&[]), told);
            self.write(now, told);
            (reads, left) = (reads.saturating_sub(1), left.saturating_sub(octets));
        }
        self.pause_flooded(now);
    }

    /// Writes what a turn has put into the output, as far as that goes at once.
    pub(super) fn finish(&mut self, now: Instant, told: &mut Vec<Told>) {
        self.write(now, told);
        self.pause_flooded(now);
    }

    fn pause_flooded(&mut self, now: Instant) {
        if self.is_flooded() {
            // Nothing is read, and so the timers of what the peer owes stand still. Of no consequence where it has ended.
            let _ = self.machine.pause_input(now);
        }
    }

    /// Lets what is due expire.
    pub(super) fn fire(&mut self, now: Instant, told: &mut Vec<Told>) {
        if self.stalled.is_some_and(|limit| limit <= now) {
            let error = io::Error::new(io::ErrorKind::TimedOut, "the peer takes no octets");
            self.hang_up(Some(error), now, told);
        }
        while self.machine.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.happen(Event::Timeout, now, told);
        }
    }

    fn read_some(&mut self, now: Instant, buffer: &mut [u8], told: &mut Vec<Told>) {
        let octets = self.read(now, buffer, told);
        self.receive(now, buffer.get(..octets).unwrap_or(&[]), told);
    }

    /// Reads once. Gives how many octets that were.
    pub(super) fn read(&mut self, now: Instant, buffer: &mut [u8], told: &mut Vec<Told>) -> usize {
        let Some(stream) = &mut self.stream else { return 0 };
        match stream.read(buffer, Duration::ZERO) {
            Ok(0) => self.hang_up(None, now, told),
            Ok(octets) => {
                // There was no more, and the system tells of what comes next. Of an end it may have told already.
                if TELLS_OF_MORE && octets < buffer.len() && stream.is_plain() {
                    self.readable = self.ending;
                }
                return octets;
            }
            Err(error) if is_late(&error) => self.readable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => self.hang_up(Some(error), now, told),
        }
        0
    }

    pub(super) fn receive(&mut self, now: Instant, mut octets: &[u8], told: &mut Vec<Told>) {
        while !octets.is_empty() {
            let (taken, inbound) = match self.machine.receive(now, octets) {
                Ok(taken) => taken,
                Err(error) => {
                    // What stands behind the end of a connection is for nobody.
                    debug_assert!(error != Refusal::InputPaused, "nothing is read of a peer that floods");
                    return;
                }
            };
            if let Some(inbound) = &inbound {
                self.note(inbound);
                self.piece(inbound, told);
            }
            octets = octets.get(taken..).unwrap_or(&[]);
            self.drain(told);
        }
    }

    /// Counts a piece, and has it seen.
    pub(super) fn note(&mut self, inbound: &Inbound<'_>) {
        self.tally.open().record_inbound(inbound);
        self.watch.received(inbound);
        self.tally.meter().received(inbound);
    }

    /// Puts messages together. What is reserved has arrived: no length field is believed.
    fn piece(&mut self, inbound: &Inbound<'_>, told: &mut Vec<Told>) {
        if inbound.first() {
            if !self.wants(inbound) {
                if self.tell_control || !inbound.is_dealt_with() {
                    let (header, body_len, class) = (*inbound.header(), inbound.piece.body_len, inbound.class);
                    told.push(Told::Other { header, body_len, class });
                }
                return;
            }
            let sort = match (inbound.is_abort(), inbound.is_reply()) {
                (true, _) => Sort::Abort,
                (false, false) if !inbound.is_unawaited() => Sort::Primary(inbound.reply_token()),
                (false, _) => Sort::Reply,
            };
            let (header, body) = (*inbound.header(), inbound.body().to_vec());
            if inbound.last() {
                told.push(Told::Message { header, sort, body });
            } else {
                self.assembly = Some(Box::new(Assembly { header, sort, body }));
            }
            return;
        }
        if let Some(assembly) = &mut self.assembly {
            assembly.body.extend_from_slice(inbound.body());
        }
        if inbound.last()
            && let Some(assembly) = self.assembly.take()
            && self.wants(inbound)
        {
            let Assembly { header, sort, mut body } = *assembly;
            // It may wait for long, and what it was grown by is nobody's.
            body.shrink_to_fit();
            told.push(Told::Message { header, sort, body });
        }
    }

    const fn wants(&self, inbound: &Inbound<'_>) -> bool {
        inbound.is_for_application() || (self.unawaited && inbound.is_unawaited())
    }

    pub(super) fn write(&mut self, now: Instant, told: &mut Vec<Told>) {
        while self.writable && self.owes() {
            let Some(stream) = &mut self.stream else { return };
            match stream.write_owed(Duration::ZERO) {
                Ok(1..) => self.stalled = None,
                Ok(_) => return self.hang_up(Some(io::ErrorKind::WriteZero.into()), now, told),
                Err(error) if is_late(&error) => self.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.write_failed(error, now, told),
            }
        }
        while self.writable && self.pending() > 0 {
            let Some(stream) = &mut self.stream else { return };
            let octets = IoSlice::new(self.output.get(self.start..).unwrap_or(&[]));
            match stream.write(&[octets], Duration::ZERO) {
                Ok(octets @ 1..) => {
                    self.start = self.start.saturating_add(octets);
                    self.answers = self.answers.saturating_sub(octets);
                    self.stalled = None;
                    let own = octets.saturating_sub(self.foreign);
                    self.foreign = self.foreign.saturating_sub(octets);
                    let written = self.machine.written(now, u64::try_from(own).unwrap_or(u64::MAX));
                    debug_assert!(written.is_ok(), "{written:?}");
                }
                Ok(_) => return self.hang_up(Some(io::ErrorKind::WriteZero.into()), now, told),
                Err(error) if is_late(&error) => self.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.write_failed(error, now, told),
            }
        }
        if self.pending() == 0 {
            // An idle connection keeps nothing.
            self.output = Vec::new();
            self.start = 0;
        }
        if self.pending() == 0 && !self.owes() {
            self.stalled = None;
        } else {
            if self.start > self.output.len() / 2 {
                self.output.drain(..self.start);
                self.start = 0;
            }
            if self.stream.is_some() && self.stalled.is_none() {
                self.stalled = Some(now.saturating_add(Duration::from_millis(self.write_limit.into())));
            }
        }
        if self.pending() <= self.most_answers() {
            self.answers = 0;
        }
        if !self.is_flooded() {
            // Whatever ended it. A no-op where nothing was paused.
            let _ = self.machine.resume_input(now);
        }
    }

    /// Writing failed. What the peer sent before counts: it may have said why.
    fn write_failed(&mut self, error: io::Error, now: Instant, told: &mut Vec<Told>) {
        (self.writable, self.readable) = (false, true);
        // The system says it once, so a read may find no more than the end.
        self.failure = Some(error);
        // A no-op where nothing was paused.
        let _ = self.machine.resume_input(now);
        let mut buffer = [0; 4 * 1024];
        for _ in 0..LAST_READS {
            if self.stream.is_some() && self.readable {
                self.read_some(now, &mut buffer, told);
            }
        }
        self.hang_up(None, now, told);
    }

    /// The transport has ended; without an error by what failed before, if anything did.
    pub(super) fn hang_up(&mut self, error: Option<io::Error>, now: Instant, told: &mut Vec<Told>) {
        if self.stream.is_some() {
            self.failure = error.or_else(|| self.failure.take());
            self.happen(Event::TransportClosed, now, told);
        }
    }

    fn happen(&mut self, event: Event, now: Instant, told: &mut Vec<Told>) {
        if self.machine.handle(now, event).is_ok() {
            self.tally.open().record_event(&event);
        }
        self.drain(told);
    }

    /// The drain rule: after every input and every command.
    pub(super) fn drain(&mut self, told: &mut Vec<Told>) {
        while let Some(action) = self.machine.poll_action() {
            self.tally.open().record_action(&action);
            match action {
                Action::OpenTransport => {
                    self.watch.over();
                    self.wanted = true;
                }
                Action::Send(frame) => {
                    let octets = frame.encode();
                    self.watch.sent(&frame.header(), octets.get(PREFIX_LEN..).unwrap_or(&[]));
                    self.tally.meter().sent(&frame.header());
                    self.output.extend_from_slice(&octets);
                    self.answers = self.answers.saturating_add(octets.len());
                }
                Action::CloseTransport(reason) => self.close(reason, told),
                Action::Notify(notice) => {
                    self.watch.notice(&notice);
                    self.tally.meter().notice(&notice);
                    told.push(Told::Notice(notice));
                }
            }
        }
    }

    /// The same. Gives the octets that the machine has put into the output.
    pub(super) fn drain_said(&mut self, told: &mut Vec<Told>) -> Vec<u8> {
        let mark = self.output.len();
        self.drain(told);
        self.output.get(mark..).unwrap_or(&[]).to_vec()
    }

    fn close(&mut self, reason: CloseReason, told: &mut Vec<Told>) {
        self.wanted = false;
        let Some(mut stream) = self.stream.take() else { return };
        // A peer that has said why it ends is not gone for what a write to it gave.
        let error = self.failure.take().filter(|_| reason == CloseReason::TransportClosed);
        if error.is_none() && reason != CloseReason::TransportClosed {
            let waits = std::mem::take(&mut self.output).split_off(self.start);
            // Nothing is for a peer that has ended the session itself, but TLS's own farewell.
            let octets = if reason == CloseReason::SeparateReceived { Vec::new() } else { waits };
            let mut farewell = Farewell::new(stream, octets);
            if !farewell.go_on() {
                self.farewell = Some(Box::new(farewell));
            }
        } else {
            stream.close();
        }
        (self.output, self.start, self.foreign, self.stalled, self.assembly) = (Vec::new(), 0, 0, None, None);
        (self.readable, self.writable, self.ending, self.answers) = (false, false, false, 0);
        self.watch.closed(reason, error.as_ref());
        self.tally.meter().closed();
        told.push(Told::Closed { reason, error });
    }

    /// What a connection that has been closed leaves to be written.
    pub(super) fn take_farewell(&mut self) -> Option<Farewell> {
        self.farewell.take().map(|farewell| *farewell)
    }
}

/// The length of a text; one that no length field holds is refused by the machine.
fn body_len(body: &[u8]) -> u32 {
    u32::try_from(body.len()).unwrap_or(u32::MAX)
}
