//! Timers: which of them run, which expires first, and what follows.

use super::model::{Model, PERIOD, Place};
use hsms_core::connection::{CloseReason, ControlRequest, Notice, TransactionEnd};
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    T3(u32),
    T5,
    T6Control,
    T6Session(u32),
    T7,
    T8,
    Linktest,
}

impl Model {
    /// Every timer that runs, and when it expires, should time go on and all be read.
    pub fn timers(&self) -> Vec<(u64, Timer)> {
        let mut timers = Vec::new();
        match self.place {
            Place::Disabled | Place::Opening => {}
            Place::Waiting => timers.extend(self.t5.map(|t5| (t5, Timer::T5))),
            Place::NotSelected => timers.extend(self.t7.map(|t7| (t7, Timer::T7))),
            Place::Selected => {}
        }
        if !self.connected() || self.paused.is_some() {
            return timers;
        }
        let real = |(reading, timer)| (reading + self.stood, timer);
        let arriving = self.arriving.is_some() || !self.prefix.is_empty();
        let busy = self.text || arriving || self.select.is_some() || self.linktest.is_some();
        if self.place == Place::Selected && !busy {
            timers.push(real((self.quiet + PERIOD, Timer::Linktest)));
        }
        timers.extend(self.t8.map(|t8| real((t8, Timer::T8))));
        let control = self.select.iter().chain(&self.linktest).filter_map(|request| request.t6);
        timers.extend(control.map(|t6| real((t6, Timer::T6Control))));
        let sessions = self.sessions.iter().filter_map(|session| session.request);
        timers.extend(sessions.filter_map(|request| Some(real((request.t6?, Timer::T6Session(request.system))))));
        // What equipment says about it needs a place behind an open text.
        if !self.is_full() {
            timers.extend(self.open.iter().filter_map(|open| Some(real((open.t3?, Timer::T3(open.system))))));
        }
        timers
    }

    pub fn deadline(&self) -> Option<u64> {
        self.timers().into_iter().map(|(due, _)| due.max(self.now)).min()
    }

    /// Whether timers of two kinds expire at the very same moment: which of them comes first is nobody's to say.
    pub fn is_tied(&self) -> bool {
        let timers = self.timers();
        let moment = self.deadline();
        let kind = |timer: Timer| std::mem::discriminant(&timer);
        timers.iter().any(|(due, timer)| {
            Some(*due) <= moment && timers.iter().any(|(other, than)| due == other && kind(*timer) != kind(*than))
        })
    }

    pub fn expire(&mut self) {
        let Some(deadline) = self.deadline() else { return };
        self.now = self.now.max(deadline);
        while self.deadline().is_some_and(|deadline| deadline <= self.now) {
            self.expire_one();
            self.release();
        }
    }

    pub fn expire_one(&mut self) {
        // Of two T3, and of two T6 of sessions, the one that is first in its list.
        let Some((_, timer)) = self.timers().into_iter().min_by_key(|(due, _)| *due) else { return };
        match timer {
            Timer::T5 => self.attempt(),
            Timer::T7 => self.close(CloseReason::T7, true),
            Timer::T8 => {
                let received =
                    self.arriving.as_ref().map_or(self.prefix.len(), |arriving| 14 + arriving.offset as usize);
                self.close(CloseReason::T8 { received: u32::try_from(received).unwrap() }, true);
            }
            Timer::T6Control if self.select.is_some() => self.close(CloseReason::T6(ControlRequest::Select), true),
            Timer::T6Control => self.linktest_missed(),
            Timer::T6Session(system) => {
                let kind = self.requests().find(|request| request.system == system).unwrap().kind;
                self.close(CloseReason::T6(kind), true);
            }
            Timer::Linktest => {
                self.ask_linktest();
                self.out.requested = None;
            }
            Timer::T3(system) => {
                // E37.1 Tables 1 and 2 row 6.
                let open = *self.open.iter().find(|open| open.system == system).unwrap();
                let primary = StreamFunction::new(open.stream, open.function);
                self.end(system);
                self.stream9(9, Header::data(SystemBytes(system), primary, true, SessionId(open.session)));
                self.tell(Notice::TransactionEnded { system: SystemBytes(system), end: TransactionEnd::T3 });
            }
        }
    }

    pub fn linktest_missed(&mut self) {
        let linktest = self.linktest.unwrap();
        self.missed += 1;
        self.quiet = self.reading();
        // The threshold is one of SELECTED.
        if self.missed >= self.threshold() || self.place != Place::Selected {
            return self.close(CloseReason::T6(ControlRequest::Linktest), true);
        }
        self.linktest = None;
        self.ended = linktest.system;
        self.tell(Notice::LinktestMissed { system: SystemBytes(linktest.system), missed: self.missed });
    }
}
