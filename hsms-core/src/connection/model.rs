//! What model checkers need beside the machine's own methods: timers at will, relative time, renamed numbers.

use super::input::Timer;
use super::phase::Phase;
use super::transaction::{Clock, Reading};
use super::{Action, Connection, ControlFrame, Instant, ReplyToken, Sessions, SystemBytes};
use crate::error::Error;
use core::ops::Range;

/// A day in milliseconds: the longest that a timer runs.
const DAY: u64 = 86_400_000;

/// What [`Connection::rebase`] makes of `now`: moments before it are remembered too.
pub const REBASED: Instant = Instant::from_millis(DAY);

/// For model checkers (feature `model`).
///
/// Two machines that behave alike for ever have to be equal for a model checker to come to an end. Three kinds of numbers keep
/// them apart: moments, system bytes, and the numbers of connections. All that a machine does with them is to compare them,
/// so they can be moved and renamed without changing what it does:
///
/// * [`restart_timers`](Self::restart_timers) leaves of each deadline only that its timer runs, for checkers that let any timer
///   [fire](Self::fire) at any step; [`rebase`](Self::rebase) keeps the distances, for those that let time pass;
/// * [`map_system_bytes`](Self::map_system_bytes) and [`set_issued`](Self::set_issued) rename system bytes, together with
///   those in frames and [tokens](ReplyToken) outside;
/// * [`map_links`](Self::map_links) renames connections, together with those in tokens;
/// * [`clear_unused`](Self::clear_unused) forgets what the machine never looks at again.
impl<const TRANSACTIONS: usize, S: Sessions> Connection<TRANSACTIONS, S> {
    /// Shows `show` every timer that runs, with its deadline.
    pub fn armed_timers(&self, mut show: impl FnMut(Timer, Instant)) {
        self.each_timer(|deadline, timer| {
            if let Some(deadline) = deadline {
                show(timer, deadline);
            }
        });
    }

    /// Lets this timer expire now, whatever its deadline and those of others say. A no-op where it does not run.
    ///
    /// # Errors
    /// [`Error::ActionsPending`].
    pub fn fire(&mut self, timer: Timer) -> Result<(), Error> {
        let mut armed = false;
        self.armed_timers(|other, _| armed |= other == timer);
        if !armed {
            return Ok(());
        }
        if !self.can_act() {
            return Err(Error::ActionsPending);
        }
        self.expire(timer);
        Ok(())
    }

    /// How many actions wait in the queue, those that wait for the end of a text included.
    #[must_use]
    pub fn waiting_actions(&self) -> usize {
        self.queue.len()
    }

    /// Moves time so that `now`, not before the last one told, becomes [`REBASED`], and every moment that is remembered as much
    /// earlier or later: the machine goes on as it would have, and two that differ in nothing but the hour are equal. Only a
    /// pause of input of more than a day is cut to a day.
    pub fn rebase(&mut self, now: Instant) {
        self.advance(now);
        let now = self.now;
        self.map_instants(|instant| {
            let ahead = instant.millis_since(now);
            let behind = now.millis_since(instant);
            Instant::from_millis(DAY.saturating_add(ahead).saturating_sub(behind))
        });
        self.now = REBASED;
    }

    /// Every timer that runs begins anew, at the epoch, which becomes the last `now`.
    pub fn restart_timers(&mut self) {
        let in_millis = |millis: u32| Instant::EPOCH.plus_millis(millis.into());
        let config = self.config;
        match &mut self.phase {
            Phase::Disabled { t5 } => *t5 = t5.map(|_| in_millis(config.t5)),
            Phase::Separation { t5 } => *t5 = in_millis(config.t5),
            Phase::NotSelected { t7 } => *t7 = t7.map(|_| in_millis(config.t7)),
            Phase::Selected { quiet, .. } => *quiet = Instant::EPOCH,
            Phase::Ready | Phase::Opening => {}
        }
        self.now = Instant::EPOCH;
        self.t8 = self.t8.map(|_| in_millis(config.t8));
        self.linktest_t6 = self.linktest_t6.map(|_| in_millis(config.t6));
        self.paused = self.paused.map(|_| Instant::EPOCH);
        let anew = |clock: &mut Clock, span: u32| {
            if let Reading::Running(_) = clock.reading() {
                *clock = Clock::running(in_millis(span));
            }
        };
        let requests = self.sessions.entries_mut().iter_mut().filter_map(|entry| entry.request.as_mut());
        for slot in self.control.iter_mut().chain(requests) {
            anew(&mut slot.clock, config.t6);
        }
        for slot in &mut self.slots {
            anew(&mut slot.clock, config.t3);
        }
    }

    /// Renames all system bytes that are held, our own and the peer's, but those of the [counter](Self::issued): of open
    /// transactions, of frames that wait to be polled, and of the message whose text is arriving. Of a header that has
    /// come in part nothing is renamed; so let no message end between its tenth and its fourteenth octet.
    ///
    /// To see them, give them back as they are.
    pub fn map_system_bytes(&mut self, mut map: impl FnMut(SystemBytes) -> SystemBytes) {
        for slot in self.control.iter_mut().chain(&mut self.slots) {
            slot.system = map(slot.system);
        }
        for entry in self.sessions.entries_mut() {
            if let Some(slot) = &mut entry.request {
                slot.system = map(slot.system);
            }
            entry.asked = entry.asked.map(&mut map);
        }
        for action in &mut self.queue {
            match action {
                Action::Send(ControlFrame::Control(header)) => header.system = map(header.system),
                Action::Send(ControlFrame::Stream9 { system, about, .. }) => {
                    *system = map(*system);
                    about.system = map(about.system);
                }
                // Polled before anything else can be told to the machine.
                Action::Notify(_) | Action::OpenTransport | Action::CloseTransport(_) => {}
            }
        }
        self.decoder.map_system_bytes(&mut map);
    }

    /// The system bytes issued on this connection: from its first request's up to those that the next one tries. A reply to any
    /// of them that is not open is late, a reply to others belongs to nothing.
    #[must_use]
    pub const fn issued(&self) -> Range<u32> {
        self.system.first..self.system.next
    }

    /// Sets the system bytes issued. Those before `issued.end` count as those of the transaction that ended last.
    pub const fn set_issued(&mut self, issued: Range<u32>) {
        self.system.first = issued.start;
        self.system.next = issued.end;
        self.system.ended = issued.end.wrapping_sub(1);
    }

    /// Renames the numbers of connections and sessions that tokens are compared with.
    pub fn map_links(&mut self, mut map: impl FnMut(u32) -> u32) {
        self.link = map(self.link);
        for entry in self.sessions.entries_mut() {
            entry.serial = map(entry.serial);
        }
    }

    /// Whether a reply by this token could still go out, as far as the connection or session it came in is concerned.
    #[must_use]
    pub fn is_current_token(&self, token: &ReplyToken) -> bool {
        self.is_current(token)
    }

    /// Clears what the machine will never look at again.
    pub fn clear_unused(&mut self) {
        if let Phase::Disabled { t5 } = &mut self.phase {
            *t5 = t5.filter(|t5| *t5 > self.now);
        }
        if !self.phase.connected() {
            self.system.first = self.system.next;
            let first = self.sessions.first_mode();
            self.sessions.decide(first);
        }
        for entry in self.sessions.entries_mut() {
            if !entry.selected {
                entry.serial = 0;
            }
        }
    }

    fn map_instants(&mut self, mut map: impl FnMut(Instant) -> Instant) {
        match &mut self.phase {
            Phase::Disabled { t5 } => *t5 = t5.map(&mut map),
            Phase::Separation { t5 } => *t5 = map(*t5),
            Phase::NotSelected { t7 } => *t7 = t7.map(&mut map),
            Phase::Selected { quiet, .. } => *quiet = map(*quiet),
            Phase::Ready | Phase::Opening => {}
        }
        for instant in [&mut self.t8, &mut self.linktest_t6, &mut self.paused] {
            *instant = instant.map(&mut map);
        }
        let requests = self.sessions.entries_mut().iter_mut().filter_map(|entry| entry.request.as_mut());
        for slot in self.control.iter_mut().chain(requests).chain(&mut self.slots) {
            if let Reading::Running(deadline) = slot.clock.reading() {
                slot.clock = Clock::running(map(deadline));
            }
        }
    }
}

/// For model checkers (feature `model`).
impl ReplyToken {
    /// The number of the connection or session that its primary came in.
    #[must_use]
    pub const fn link(&self) -> u32 {
        self.link
    }

    /// The same token with other numbers.
    #[must_use]
    pub const fn renamed(self, link: u32, system: SystemBytes) -> Self {
        ReplyToken { link, system, ..self }
    }
}
