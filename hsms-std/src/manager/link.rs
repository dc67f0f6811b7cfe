//! One machine and its socket, which never blocks: octets in, octets out, and what became of them.

use super::socket::{LAST_LOOK, Socket};
use crate::security::Stream;
use crate::transport::{Transport, is_late};
use crate::{Options, trace};
use hsms_core::Error as Refusal;
use hsms_core::config::Config;
use hsms_core::connection::{Action, CloseReason, Connection as Machine, Event, Inbound, Notice, ReplyToken, State};
use hsms_core::counters::Counters;
use hsms_core::time::Instant;
use hsms_core::wire::{Header, PREFIX_LEN, SessionId, StreamFunction, SystemBytes};
use std::io::{self, IoSlice};
use std::time::Duration;

/// Reads of one link before the others have their turn.
const MOST_READS: usize = 8;

/// Answers of the machine that wait while the peer takes nothing. Beyond it nothing is read from that peer until it takes
/// something, and its write limit runs.
const MOST_ANSWERS: usize = 256 * 1024;

/// What an output buffer keeps of its size when nothing is left to write.
const KEPT_OUTPUT: usize = 4 * 1024;

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
pub(super) struct Link<const TRANSACTIONS: usize> {
    machine: Machine<TRANSACTIONS>,
    counters: Counters,
    stream: Option<Stream<Socket>>,
    /// The machine has asked for a transport.
    wanted: bool,
    /// The event loop has said so, and the system has not denied it since.
    readable: bool,
    writable: bool,
    output: Vec<u8>,
    /// Octets of it that have been written.
    start: usize,
    /// Octets that the machine has put into the output, whatever the application has, since little of it was left.
    answers: usize,
    write_limit: Duration,
    /// When the peer has to have taken something.
    stalled: Option<Instant>,
    /// A message for the application that has arrived in part.
    assembly: Option<(Header, Sort, Vec<u8>)>,
    failure: Option<io::Error>,
}

impl Link<0> {
    /// For a caller that is told that the place is taken, and hung up on.
    pub(super) fn refusing(config: Config, options: &Options, stream: Stream<Socket>, now: Instant) -> Self {
        let mut link = Link::with_machine(Machine::refusing(config), options);
        // It is enabled from the start.
        link.wanted = true;
        link.opened(stream, now, &mut Vec::new());
        link
    }
}

impl<const TRANSACTIONS: usize> Link<TRANSACTIONS> {
    pub(super) fn new(config: Config, options: &Options) -> Self {
        Link::with_machine(Machine::new(config), options)
    }

    fn with_machine(machine: Machine<TRANSACTIONS>, options: &Options) -> Self {
        Link {
            machine,
            counters: Counters::new(),
            stream: None,
            wanted: false,
            readable: false,
            writable: false,
            output: Vec::new(),
            start: 0,
            answers: 0,
            write_limit: options.write_limit(),
            stalled: None,
            assembly: None,
            failure: None,
        }
    }

    pub(super) const fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) const fn state(&self) -> State {
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

    /// Whether there may be octets to read that nobody will announce.
    pub(super) fn has_more(&self) -> bool {
        self.stream.is_some() && self.readable && !self.is_flooded()
    }

    /// Whether the peer goes on asking and takes no answers. What the application sends does not count, so that two ends that send
    /// long texts at once both finish.
    fn is_flooded(&self) -> bool {
        self.answers > MOST_ANSWERS && self.pending() > MOST_ANSWERS
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        [self.machine.next_deadline(), self.stalled].into_iter().flatten().min()
    }

    /// What the event loop has seen.
    pub(super) const fn ready(&mut self, readable: bool, writable: bool) {
        self.readable |= readable;
        self.writable |= writable;
    }

    /// The transport that was wanted is open.
    pub(super) fn opened(&mut self, stream: Stream<Socket>, now: Instant, told: &mut Vec<Told>) {
        self.wanted = false;
        self.stream = Some(stream);
        (self.readable, self.writable) = (true, true);
        trace::connected();
        self.happen(Event::TransportOpen, now, told);
    }

    /// The transport that was wanted could not be opened.
    pub(super) fn open_failed(&mut self, error: &io::Error, now: Instant, told: &mut Vec<Told>) {
        if std::mem::take(&mut self.wanted) {
            trace::failed(error);
            self.happen(Event::TransportFailed, now, told);
        }
    }

    /// Asks the machine for something.
    pub(super) fn command<R>(
        &mut self,
        now: Instant,
        told: &mut Vec<Told>,
        command: impl FnOnce(&mut Machine<TRANSACTIONS>, Instant) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        let result = command(&mut self.machine, now);
        self.drain(now, told);
        result
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
        let (system, prefix) = self.machine.begin_primary_in(now, session, stream_function, reply_expected, length)?;
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

    fn put(&mut self, now: Instant, told: &mut Vec<Told>, prefix: &[u8; PREFIX_LEN], body: &[u8]) {
        let [_, _, _, _, header @ ..] = prefix;
        let header = Header::decode(header);
        self.counters.record_sent(&header, body_len(body));
        trace::sent(&header, body);
        self.output.extend_from_slice(prefix);
        self.output.extend_from_slice(body);
        let ended = self.machine.end_body(now);
        debug_assert!(ended.is_ok(), "it was begun");
        self.drain(now, told);
    }

    /// Writes and reads as far as that goes at once, up to a share of the loop's time. `buffer` is the loop's.
    pub(super) fn go_on(&mut self, now: Instant, buffer: &mut [u8], told: &mut Vec<Told>) {
        self.write(now, told);
        for _ in 0..MOST_READS {
            if !self.has_more() {
                break;
            }
            self.read(now, buffer, told);
            self.write(now, told);
        }
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

    fn read(&mut self, now: Instant, buffer: &mut [u8], told: &mut Vec<Told>) {
        let Some(stream) = &mut self.stream else { return };
        match stream.read(buffer, Duration::ZERO) {
            Ok(0) => self.hang_up(None, now, told),
            Ok(octets) => self.receive(now, buffer.get(..octets).unwrap_or(&[]), told),
            Err(error) if is_late(&error) => self.readable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => self.hang_up(Some(error), now, told),
        }
    }

    fn receive(&mut self, now: Instant, mut octets: &[u8], told: &mut Vec<Told>) {
        while !octets.is_empty() {
            // What stands behind the end of a connection is for nobody.
            let Ok((taken, inbound)) = self.machine.receive(now, octets) else { return };
            if let Some(inbound) = &inbound {
                self.counters.record_inbound(inbound);
                trace::received(inbound);
                self.piece(inbound, told);
            }
            octets = octets.get(taken..).unwrap_or(&[]);
            self.drain(now, told);
        }
    }

    /// Puts messages together. What is reserved has arrived: no length field is believed.
    fn piece(&mut self, inbound: &Inbound<'_>, told: &mut Vec<Told>) {
        if inbound.first() {
            if !inbound.is_for_application() {
                if !inbound.is_dealt_with() {
                    told.push(Told::Other { header: *inbound.header() });
                }
                return;
            }
            let sort = match (inbound.is_abort(), inbound.is_reply()) {
                (true, _) => Sort::Abort,
                (false, true) => Sort::Reply,
                (false, false) => Sort::Primary(inbound.reply_token()),
            };
            self.assembly = Some((*inbound.header(), sort, Vec::new()));
        }
        if let Some((_, _, body)) = &mut self.assembly {
            body.extend_from_slice(inbound.body());
        }
        if inbound.last()
            && let Some((header, sort, body)) = self.assembly.take()
            && inbound.is_for_application()
        {
            told.push(Told::Message { header, sort, body });
        }
    }

    fn write(&mut self, now: Instant, told: &mut Vec<Told>) {
        while self.writable && self.owes() {
            let Some(stream) = &mut self.stream else { return };
            match stream.write_owed() {
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
                    self.stalled = None;
                    let written = self.machine.written(now, u64::try_from(octets).unwrap_or(u64::MAX));
                    debug_assert!(written.is_ok(), "{written:?}");
                }
                Ok(_) => return self.hang_up(Some(io::ErrorKind::WriteZero.into()), now, told),
                Err(error) if is_late(&error) => self.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.write_failed(error, now, told),
            }
        }
        if self.pending() == 0 {
            self.output.clear();
            self.output.shrink_to(KEPT_OUTPUT);
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
                self.stalled = Some(now.saturating_add(self.write_limit));
            }
        }
        if self.pending() <= MOST_ANSWERS {
            self.answers = 0;
            // A no-op where nothing was paused.
            let _ = self.machine.resume_input(now);
        }
    }

    /// Writing failed. What the peer sent before counts: it may have said why.
    fn write_failed(&mut self, error: io::Error, now: Instant, told: &mut Vec<Told>) {
        (self.writable, self.readable) = (false, true);
        let mut buffer = [0; 4 * 1024];
        let mut left = LAST_LOOK;
        while self.stream.is_some() && self.readable && left > 0 {
            self.read(now, &mut buffer, told);
            left = left.saturating_sub(buffer.len());
        }
        self.hang_up(Some(error), now, told);
    }

    fn hang_up(&mut self, error: Option<io::Error>, now: Instant, told: &mut Vec<Told>) {
        if self.stream.is_some() {
            self.failure = error;
            self.happen(Event::TransportClosed, now, told);
        }
    }

    fn happen(&mut self, event: Event, now: Instant, told: &mut Vec<Told>) {
        if self.machine.handle(now, event).is_ok() {
            self.counters.record_event(&event);
        }
        self.drain(now, told);
    }

    /// The drain rule: after every input and every command.
    fn drain(&mut self, now: Instant, told: &mut Vec<Told>) {
        while let Some(action) = self.machine.poll_action() {
            self.counters.record_action(&action);
            match action {
                Action::OpenTransport => self.wanted = true,
                Action::Send(frame) => {
                    let octets = frame.encode();
                    trace::sent(&frame.header(), octets.get(PREFIX_LEN..).unwrap_or(&[]));
                    self.output.extend_from_slice(&octets);
                    self.answers = self.answers.saturating_add(octets.len());
                }
                Action::CloseTransport(reason) => self.close(reason, now, told),
                Action::Notify(notice) => {
                    trace::notice(&notice);
                    told.push(Told::Notice(notice));
                }
            }
        }
    }

    fn close(&mut self, reason: CloseReason, now: Instant, told: &mut Vec<Told>) {
        self.wanted = false;
        let Some(mut stream) = self.stream.take() else { return };
        let error = self.failure.take();
        if error.is_none() && self.pending() > 0 && self.stalled.is_none() {
            // As much as the system takes at once; a link that is being closed holds nobody up.
            let octets = IoSlice::new(self.output.get(self.start..).unwrap_or(&[]));
            if let Ok(octets) = stream.write(&[octets], Duration::ZERO) {
                let _ = self.machine.written(now, u64::try_from(octets).unwrap_or(u64::MAX));
            }
        }
        stream.close();
        (self.output, self.start, self.stalled, self.assembly) = (Vec::new(), 0, None, None);
        (self.readable, self.writable, self.answers) = (false, false, 0);
        trace::closed(reason, error.as_ref());
        told.push(Told::Closed { reason, error });
    }
}

/// The length of a text; one that no length field holds is refused by the machine.
fn body_len(body: &[u8]) -> u32 {
    u32::try_from(body.len()).unwrap_or(u32::MAX)
}
