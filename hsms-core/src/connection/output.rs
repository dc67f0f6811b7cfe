//! What goes out: actions in their order, and the one deadline.

use super::input::Timer;
use super::transaction::{Clock, Slot};
use super::{Action, Connection, ControlFrame, ControlRequest, Notice, Phase, Sessions, SystemBytes, TransactionEnd};
use crate::config::DeviceId;
use crate::time::Instant;
use crate::wire::{Header, SType, SessionId};
use core::cell::Cell;

// D. Outputs.
impl<const TRANSACTIONS: usize, S: Sessions> Connection<TRANSACTIONS, S> {
    /// The next thing to do; `None` when there is nothing.
    ///
    /// While a text is open, frames that the machine wants to send wait for its end; everything else comes out.
    #[must_use]
    #[inline]
    pub fn poll_action(&mut self) -> Option<Action> {
        if self.queue.is_empty()
            && matches!(self.phase, Phase::Selected { .. })
            && !self.has_ends_to_tell()
            && !self.has_queued_request()
        {
            // By far the most frequent case.
            return None;
        }
        self.poll_queue()
    }

    /// When to call [`handle`](Self::handle) with [`Event::Timeout`](super::Event::Timeout) at the latest; `None`: not
    /// before something else happens. It is never before the last `now`, and equals it while an action can be polled.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.has_output() {
            return Some(self.now);
        }
        self.earliest().map(|(deadline, _)| deadline.max(self.now))
    }

    /// Whether `poll_action` would give something.
    fn has_output(&self) -> bool {
        matches!(self.phase, Phase::Ready)
            || self.has_ends_to_tell()
            || self.has_queued_request()
            || !(if self.body_open { self.only_frames() } else { self.queue.is_empty() })
    }

    /// Whether nothing but frames is queued.
    #[inline(never)]
    pub(super) fn only_frames(&self) -> bool {
        self.queue.iter().all(|action| matches!(action, Action::Send(_)))
    }

    /// Whether transactions have ended with their session and have not been told of. Of a single session none has while SELECTED.
    #[inline(always)]
    pub(super) fn has_ends_to_tell(&self) -> bool {
        (S::GENERAL || !matches!(self.phase, Phase::Selected { .. })) && self.has_ends()
    }

    /// Out of line, as many places ask.
    #[inline(never)]
    fn has_ends(&self) -> bool {
        match self.phase {
            Phase::Selected { .. } => self.slots.iter().any(Slot::is_void),
            _ => !self.slots.is_empty() || self.has_linktest_to_end(),
        }
    }

    /// Of HSMS-SS a linktest is part of the session, of HSMS-GS it is not.
    fn has_linktest_to_end(&self) -> bool {
        if self.is_general() && self.phase.connected() {
            return false;
        }
        self.control.is_some_and(|slot| slot.request() == ControlRequest::Linktest)
    }

    /// Outside SELECTED: first the ends of what was open, then the next attempt to connect.
    fn poll_end(&mut self) -> Option<Action> {
        let ended = if let Some(slot) = self.slots.first().copied() {
            self.remove_slot(0);
            slot
        } else if self.has_linktest_to_end() {
            self.control.take()?
        } else {
            if matches!(self.phase, Phase::Ready) {
                self.phase = Phase::Opening;
                return Some(Action::OpenTransport);
            }
            return None;
        };
        self.system.ended = ended.system.0;
        Some(Action::Notify(Notice::TransactionEnded { system: ended.system, end: TransactionEnd::SessionEnded }))
    }

    /// Out of line, so that the frequent case is short enough to be inlined.
    #[inline(never)]
    fn poll_queue(&mut self) -> Option<Action> {
        if S::GENERAL
            && let Some(farewell) = self.poll_farewell()
        {
            return Some(farewell);
        }
        let next = if self.body_open {
            self.queue.iter().position(|action| !matches!(action, Action::Send(_)))
        } else {
            (!self.queue.is_empty()).then_some(0)
        };
        match (next, self.phase) {
            (Some(index), _) => self.take_action(index),
            (None, Phase::Selected { .. }) if !S::GENERAL => None,
            (None, Phase::Selected { .. }) => self.poll_session(),
            (None, _) if !S::GENERAL => self.poll_end(),
            (None, _) => self.poll_end().or_else(|| self.poll_session()),
        }
    }

    /// Takes the action at `index`, moving those behind it forward.
    #[inline]
    fn take_action(&mut self, index: usize) -> Option<Action> {
        let taken = *self.queue.get(index)?;
        close_gap(self.queue.get_mut(index..)?);
        self.queue.pop();
        if let Action::Send(frame) = &taken {
            self.sent(frame);
        }
        Some(taken)
    }

    /// Drops the frames that wait for the end of a text. Notices stay, in their order.
    #[cold]
    pub(super) fn drop_frames(&mut self) {
        let mut kept = 0_usize;
        for index in 0..self.queue.len() {
            let action = self.queue.get(index).copied();
            let notice = action.filter(|action| !matches!(action, Action::Send(_)));
            if let (Some(notice), Some(place)) = (notice, self.queue.get_mut(kept)) {
                *place = notice;
                kept = kept.saturating_add(1);
            }
        }
        self.queue.truncate(kept);
    }

    /// A frame of the machine went into the ordered output: its request is on its way.
    pub(super) fn sent(&mut self, frame: &ControlFrame) {
        if !self.phase.connected() {
            // A farewell: nothing waits for it to be written.
            return;
        }
        let octets = u64::try_from(frame.len()).unwrap_or_default();
        self.outstanding = self.outstanding.saturating_add(octets);
        let ControlFrame::Control(header) = frame else { return };
        if let Some(slot) = &mut self.control
            && slot.clock == Clock::QUEUED
            && slot.system == header.system
            && matches!(header.stype, SType::SELECT_REQ | SType::LINKTEST_REQ)
        {
            slot.clock = Clock::sending(self.outstanding);
        }
    }

    /// The timer that expires first, and when.
    pub(super) fn earliest(&self) -> Option<(Instant, Timer)> {
        let mut first = None;
        self.each_timer(|deadline, timer| sooner(&mut first, deadline, timer));
        first
    }

    /// Shows `consider` every timer that can run now, with its deadline where it runs.
    #[inline(always)]
    pub(super) fn each_timer(&self, mut consider: impl FnMut(Option<Instant>, Timer)) {
        let (deadline, timer) = match self.phase {
            Phase::Separation { t5 } => (Some(t5), Timer::T5),
            Phase::NotSelected { t7 } => (t7, Timer::T7),
            Phase::Selected { quiet, .. } => (self.linktest_due(quiet), Timer::Linktest),
            Phase::Disabled { .. } | Phase::Ready | Phase::Opening => return,
        };
        consider(deadline, timer);
        if self.paused.is_none() {
            consider(self.t8, Timer::T8);
            if let Some(slot) = &self.control {
                consider(slot.clock.deadline(), Timer::T6);
            }
            for slot in self.session_requests() {
                consider(slot.clock.deadline(), Timer::SessionT6(slot.request()));
            }
            // T3 never ends a link: where its S9F9 has no room behind an open text, it waits for the end of that text.
            if !self.body_open || self.has_room() {
                for slot in &self.slots {
                    consider(slot.clock.deadline(), Timer::T3(slot.system));
                }
            }
        }
    }

    /// When the next linktest is due. None is begun while a text is open or a message is arriving: request or answer could
    /// not come through.
    fn linktest_due(&self, quiet: Instant) -> Option<Instant> {
        let possible = self.config.linktest_period != 0
            && self.control.is_none()
            && !self.body_open
            && self.paused.is_none()
            && !self.decoder.in_message();
        possible.then(|| quiet.plus_millis(self.config.linktest_period.into()))
    }

    /// Sends a control request. Gives its system bytes.
    pub(super) fn request(&mut self, request: ControlRequest) -> SystemBytes {
        let system = self.take_system_bytes();
        let slot = Slot::control(request, SessionId::CONTROL, system);
        self.control = Some(slot);
        self.push(Action::Send(ControlFrame::Control(slot.request_header())));
        system
    }

    /// Sends a message of stream 9 about the message with the header `about`.
    pub(super) fn send_stream9(&mut self, function: u8, about: &Header) {
        // E5 does not say which device id an S9F1 carries: that of the message where it is ours, else our first.
        let own = SessionId(about.session.0 & DeviceId::MAX.get());
        let session = match self.config.device_ids.as_slice() {
            _ if self.is_general() => about.session,
            [first, ..] if !self.knows(own) => first.session(),
            _ => own,
        };
        let system = self.take_system_bytes();
        // Nobody replies to it, so that is its end (E37 8.1.4.6).
        self.system.ended = system.0;
        self.push(Action::Send(ControlFrame::Stream9 { function, session, system, about: *about }));
    }

    #[inline(never)]
    pub(super) fn take_system_bytes(&mut self) -> SystemBytes {
        let system = self.next_system_bytes();
        self.system.next = system.0.wrapping_add(1);
        system
    }

    #[inline(never)]
    pub(super) fn notify(&mut self, notice: Notice) {
        self.push(Action::Notify(notice));
    }

    /// Every input makes sure of the room beforehand, so nothing is ever lost here.
    #[inline(never)]
    pub(super) fn push(&mut self, action: Action) {
        let pushed = self.queue.push(action);
        debug_assert!(pushed.is_ok(), "an input made more than {} actions", super::MOST_ACTIONS);
    }

    /// The transport took `octets` more: requests that are on their way now start their timers.
    #[inline]
    pub(super) fn start_timers(&mut self, octets: u64) {
        // While input is paused timers stand still: at the resume the whole pause is added to each.
        if let Some(slot) = &mut self.control {
            Self::start_timer(slot, octets, self.paused.unwrap_or(self.now), self.config.t6);
        }
        let (now, t6) = (self.paused.unwrap_or(self.now), self.config.t6);
        for slot in self.session_requests_mut() {
            Self::start_timer(slot, octets, now, t6);
        }
        for slot in &mut self.slots {
            Self::start_timer(slot, octets, self.paused.unwrap_or(self.now), self.config.t3);
        }
    }

    /// Out of line where sessions have requests as well; elsewhere it would take instructions of every message that is sent.
    #[inline(always)]
    fn start_timer(slot: &mut Slot, octets: u64, now: Instant, span: u32) {
        if S::GENERAL {
            slot.clock.written_apart(octets, now, span);
        } else {
            slot.clock.written(octets, now, span);
        }
    }
}

/// Moves all but the first forward, over the first.
#[inline]
pub(super) fn close_gap<T: Copy>(items: &mut [T]) {
    for pair in Cell::from_mut(items).as_slice_of_cells().windows(2) {
        if let [place, next] = pair {
            place.set(next.get());
        }
    }
}

/// Keeps in `first` which of two timers expires first. Out of line, as many places ask.
#[inline(never)]
fn sooner(first: &mut Option<(Instant, Timer)>, deadline: Option<Instant>, timer: Timer) {
    if let Some(deadline) = deadline
        && first.as_ref().is_none_or(|(sooner, _)| deadline < *sooner)
    {
        *first = Some((deadline, timer));
    }
}
