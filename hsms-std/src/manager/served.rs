//! Services of a peer as the loop and the workers have them: the core stands in the event loop with the link, handlers are called by worker
//! threads.

use super::delegate::lock;
use super::link::{Link, Told};
use super::peer::{Order, Peer};
use crate::clock::Clock;
use crate::services::handler::{Call, Task};
use crate::services::layer::{Carrier, Core, Layer, Line, Replies};
use crate::services::{Error, Settings};
use crate::watch::Onlookers;
use crate::words::Words;
use hsms_core::Config;
use hsms_core::connection::{ReplyToken, State, Stream9, TransactionEnd};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, StreamFunction, SystemBytes};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// What the loop, workers and handles know of the services of a peer.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) state: Mutex<Serving>,
    /// Something has come of it.
    pub(super) come: Condvar,
    /// Of its own, so that handles and the loop mean the same.
    pub(super) clock: Clock,
    /// Something was not sent since too much waits to be written.
    starved: AtomicBool,
    /// The peer by name.
    onlookers: Onlookers,
}

#[derive(Debug)]
pub(super) struct Serving {
    pub(super) layer: Layer,
    /// The peer has been removed, or its loop has ended.
    pub(super) gone: bool,
    /// It does not come again when it is gone.
    retires: bool,
}

impl Served {
    pub(super) fn new(settings: Settings, config: &Config, name: &Arc<str>) -> Result<Self, Error> {
        let layer = settings.layer(config)?;
        let words = Arc::clone(layer.words());
        Ok(Served {
            state: Mutex::new(Serving { layer, gone: false, retires: false }),
            come: Condvar::new(),
            clock: Clock::new(),
            starved: AtomicBool::new(false),
            onlookers: Onlookers { tap: None, name: Some(Arc::clone(name)), words: Some(words) },
        })
    }

    pub(super) fn words(&self) -> Option<Arc<Words>> {
        self.onlookers.words.clone()
    }

    /// Nothing of anybody else's is called in there.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Layer, Instant) -> R) -> R {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let result = act(&mut state.layer, now);
        let lines = state.layer.take_lines();
        drop(state);
        self.log(lines);
        result
    }

    fn log(&self, lines: Vec<Line>) {
        if !lines.is_empty() {
            self.onlookers.inside(|| lines.into_iter().for_each(Line::log));
        }
    }

    /// When the loop has to come back, on its clock.
    pub(super) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let deadline = self.with(|layer, _| layer.next_deadline())?;
        Some(now.saturating_add(self.clock.until(deadline).saturating_add(Duration::from_micros(999))))
    }

    pub(super) fn link(&self, state: State) {
        self.with(|layer, now| layer.link(now, state));
    }

    pub(super) fn primary(&self, header: Header, token: Option<ReplyToken>, body: &[u8]) -> Task {
        self.with(|layer, now| layer.primary(now, header, token, body))
    }

    pub(super) fn reply(&self, header: Header, body: &[u8]) -> Task {
        self.with(|layer, now| layer.reply(now, header, body))
    }

    pub(super) fn ended(&self, system: SystemBytes, end: TransactionEnd) {
        self.with(|layer, now| layer.ended(now, system, end));
    }

    /// The link has room again, perhaps.
    pub(super) fn retry(&self) {
        self.with(|layer, _| layer.retry());
    }

    /// Has everything done that is to be done.
    pub(super) fn go_on(&self, via: &mut Via<'_>) {
        if self.starved.swap(false, Ordering::Relaxed) {
            self.retry();
        }
        self.carry_out(via);
        self.starved.store(via.full, Ordering::Relaxed);
        self.come.notify_all();
    }

    fn carry_out(&self, via: &mut Via<'_>) {
        let mut sent = None;
        // What is late is given up where nothing can go out, before anybody asks for more.
        let next = |layer: &mut Layer, now, sent| match layer.next_step(now, sent) {
            None if layer.expire(now) => layer.next_step(now, None),
            step => step,
        };
        while let Some(step) = self.with(|layer, now| next(layer, now, sent.take())) {
            sent = step.carry_out(via);
        }
    }

    /// The peer is there, or there again.
    pub(super) fn begin(&self) {
        lock(&self.state).gone = false;
    }

    /// The peer is no more, for now at least. Gives what is to be dropped elsewhere: closures may do anything.
    pub(super) fn end(&self) -> Option<Box<Core>> {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        state.gone = true;
        state.layer.end(now);
        let rest = state.rest();
        let lines = state.layer.take_lines();
        drop(state);
        self.come.notify_all();
        self.log(lines);
        rest
    }

    /// When the peer is gone it does not come again: closures that have its handles, and the secret, are not kept for it.
    pub(super) fn retire(&self) {
        let mut state = lock(&self.state);
        state.retires = true;
        let rest = state.rest();
        drop(state);
        drop(rest);
    }
}

impl Serving {
    pub(super) const fn is_over(&self) -> bool {
        self.gone && self.retires
    }

    fn rest(&mut self) -> Option<Box<Core>> {
        if self.is_over() { self.layer.retire() } else { None }
    }
}

/// A link as what carries messages.
pub(super) struct Via<'a> {
    now: Instant,
    link: &'a mut Link,
    told: &'a mut Vec<Told>,
    /// Octets that may wait to be written.
    most: usize,
    /// That was too little.
    full: bool,
    drops: bool,
}

impl<'a> Via<'a> {
    pub(super) const fn new(now: Instant, link: &'a mut Link, told: &'a mut Vec<Told>, most: usize) -> Self {
        Via { now, link, told, most, full: false, drops: false }
    }

    /// Whether the link is to be dropped.
    pub(super) const fn drops(&self) -> bool {
        self.drops
    }
}

impl Replies for Via<'_> {
    fn reply(&mut self, token: ReplyToken, text: Vec<u8>) {
        // Fails only where the session has ended, and the sender knows then.
        let _ = self.link.answer(self.now, self.told, &token, &text);
    }

    fn abort(&mut self, token: ReplyToken) {
        let _ = self.link.abort(self.now, self.told, &token);
    }
}

impl Carrier for Via<'_> {
    fn send(
        &mut self,
        what: StreamFunction,
        reply_expected: bool,
        body: &[u8],
    ) -> Result<SystemBytes, hsms_core::Error> {
        let session = self.link.sole_session().ok_or(hsms_core::Error::NotSelected)?;
        // One may wait however long it is.
        let waiting = self.link.pending();
        if waiting > 0 && waiting.saturating_add(body.len()) > self.most {
            self.full = true;
            return Err(hsms_core::Error::TransactionsFull { open: self.link.machine.open_transactions() });
        }
        self.link.send(self.now, self.told, (session, what), reply_expected, body)
    }

    fn report(&mut self, error: Stream9, about: &Header) {
        let _ = self.link.command(self.now, self.told, |machine, now| machine.report_error(now, error, about));
    }

    fn drop_link(&mut self) {
        self.drops = true;
    }
}

/// A worker that answers for a handler.
struct Worker<'a> {
    peer: &'a Peer,
    /// What is owed where too much waits already.
    refusal: Task,
}

impl Replies for Worker<'_> {
    fn reply(&mut self, token: ReplyToken, text: Vec<u8>) {
        if let Err(super::Error::OutputFull { .. }) = self.peer.reply(token, text).wait(Duration::ZERO) {
            match std::mem::replace(&mut self.refusal, Task::None) {
                Task::Reply(token, text) => drop(self.peer.order(Order::NoRoom(token, text))),
                _ => self.abort(token),
            }
        }
    }

    fn abort(&mut self, token: ReplyToken) {
        drop(self.peer.abort(token));
    }
}

/// What a worker does about a call.
pub(super) fn call(peer: &Peer, call: Call) {
    let refusal = call.refusal();
    Task::Call(call).carry_out(&mut Worker { peer, refusal });
}
