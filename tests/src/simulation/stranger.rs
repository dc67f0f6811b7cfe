//! A broken peer of the fault kit in the place of an end, with an application that answers and asks.

use super::Made;
use super::link::{ACT, DIAL, Link, STRANGER};
use super::network::Side;
use super::wire::{Arrival, NEVER};
use hsms_core::config::{Config, ConnectMode};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, RejectReason, StreamFunction};
use hsms_std::conformance::memory::{Input, Output, Subject};
use hsms_std::conformance::{Command, Entities, Report, Role};
use hsms_std::faults::broken::PEERS;

/// Between two requests of a broken peer.
const PAUSE: u64 = 3_000;

/// A broken peer.
pub(super) struct Stranger {
    subject: Box<dyn Subject>,
    pub(super) side: usize,
    /// It asks for a transport.
    pub(super) wants: bool,
    conn: Option<usize>,
    leaves: u64,
    asks: u64,
}

impl Stranger {
    pub(super) fn new(which: usize, side: usize, config: Config, leaves: u64) -> Self {
        let role = if config.mode() == ConnectMode::Active { Role::SsActive } else { Role::SsPassive };
        let subject = PEERS[which].subject(role, config, &Entities::of(role));
        Stranger { subject, side, wants: false, conn: None, leaves, asks: 0 }
    }

    pub(super) fn enable(&mut self, now: u64) {
        self.subject.input(Instant::from_millis(now), Input::Enable);
    }

    pub(super) fn opened(&mut self, now: u64, conn: usize) {
        (self.wants, self.conn, self.asks) = (false, Some(conn), now + PAUSE);
        self.subject.input(Instant::from_millis(now), Input::Opened);
    }

    pub(super) fn open_failed(&mut self, now: u64) {
        self.wants = false;
        self.subject.input(Instant::from_millis(now), Input::OpenFailed);
    }

    pub(super) fn closed(&mut self, now: u64) {
        self.conn = None;
        self.subject.input(Instant::from_millis(now), Input::Closed);
    }

    pub(super) fn receive(&mut self, now: u64, octets: &[u8]) {
        self.subject.input(Instant::from_millis(now), Input::Octets(octets));
    }

    fn time(&mut self, now: u64) {
        let at = Instant::from_millis(now);
        if self.conn.is_some() && self.asks <= now {
            self.asks = now + PAUSE;
            // Where it is not selected it refuses.
            let _ = self.subject.command(at, &Command::Request(StreamFunction::new(1, 1), b"a stranger's".to_vec()));
        }
        if self.subject.next_deadline().is_some_and(|deadline| deadline <= at) {
            self.subject.input(at, Input::Time);
        }
    }

    /// When to come back; later than now, whatever it says itself.
    fn next(&self, now: u64) -> u64 {
        let deadline = self.subject.next_deadline().map_or(NEVER, Instant::as_millis);
        let asks = if self.conn.is_some() { self.asks } else { NEVER };
        deadline.min(asks).min(self.leaves).max(now + 1)
    }
}

impl<M: Made> Link<M> {
    /// The broken peer is told something, and does what it does.
    pub(super) fn stranger_does(&mut self, input: impl FnOnce(&mut Stranger, u64)) -> Result<(), String> {
        let Some(mut stranger) = self.stranger.take() else { return Ok(()) };
        input(&mut stranger, self.now);
        while let Some(output) = stranger.subject.poll() {
            match output {
                Output::Open => {
                    stranger.wants = true;
                    if stranger.side == 0 {
                        self.at[DIAL] = self.now + self.latency + self.rng.u64(1..100);
                    }
                }
                Output::Octets(octets) => {
                    if let Some(conn) = stranger.conn {
                        self.write_foreign(conn, stranger.side, &octets);
                    }
                }
                Output::Close => {
                    if let Some(conn) = stranger.conn.take() {
                        let at = self.now + self.latency;
                        self.conns[conn].sides[stranger.side] = Side::Gone;
                        self.conns[conn].wires[stranger.side].arrive(at, Arrival::End);
                    }
                }
                Output::Report(Report::Primary(frame)) if frame.header.reply_expected() => {
                    let at = Instant::from_millis(self.now);
                    let mut command = Command::Reply(frame.text);
                    if let (Some(conn), 0) = (stranger.conn, frame.header.system.0 % 8) {
                        // Two good ends never reject each other's data. The abort behind it is too late.
                        let reject = Header::reject_req(frame.header.system, 0, RejectReason::ENTITY_NOT_SELECTED);
                        self.write_foreign(conn, stranger.side, &reject.encode_alone());
                        command = Command::Abort;
                    }
                    // Refused where the session has ended since, or where it broke.
                    let _ = stranger.subject.command(at, &command);
                }
                Output::Report(_) => {}
            }
        }
        self.at[STRANGER] = stranger.next(self.now);
        self.stranger = Some(stranger);
        (0..self.conns.len()).for_each(|conn| self.look_at(conn));
        Ok(())
    }

    pub(super) fn stranger_wakes(&mut self) -> Result<(), String> {
        if self.stranger.as_ref().is_some_and(|stranger| stranger.leaves <= self.now) {
            self.stranger_leaves();
            return Ok(());
        }
        self.stranger_does(Stranger::time)
    }

    /// The end that it took the place of comes back.
    pub(super) fn stranger_leaves(&mut self) {
        let Some(stranger) = self.stranger.take() else { return };
        self.note(|| "the broken peer leaves".into());
        self.at[STRANGER] = NEVER;
        if let Some(conn) = stranger.conn {
            let at = self.now + self.latency;
            self.conns[conn].sides[stranger.side] = Side::Gone;
            self.conns[conn].wires[stranger.side].arrive(at, Arrival::End);
            self.look_at(conn);
        }
        if stranger.side == 0 {
            self.at[DIAL] = NEVER;
        }
        self.at[ACT + stranger.side] = self.now + 1;
    }
}
