//! Timers that expire at every step of a dialogue: each one alone, and all of them one after another.

use super::waits::{KINDS, kind_of};
use super::{Dialogue, Kind, MOST_TIMEOUTS, Runs, Stage};
use crate::invariants::{Broken, closed};
use crate::model::Subject;
use hsms_core::connection::{Action, CloseReason, Notice, Timer, TransactionEnd};
use hsms_core::wire::SType;
use std::collections::BTreeMap;

impl<M: Subject> Stage<M> {
    fn armed_timers(&self) -> Vec<Timer> {
        let mut armed = Vec::new();
        self.machine().armed_timers(&mut |timer, _| armed.push(timer));
        armed
    }

    /// The timers that have to run, in order of their kinds, and do; an error where others do.
    fn due(&self) -> Result<Vec<Kind>, String> {
        let armed = self.armed_timers();
        let due = self.waits.due(self.machine(), self.wanted);
        let mut kinds: Vec<Kind> = armed.iter().copied().map(kind_of).collect();
        kinds.sort_unstable();
        if kinds == due {
            return Ok(due);
        }
        Err(format!("{due:?} have to run, and {armed:?} do: {:?}", self.machine()))
    }

    /// Lets this timer expire, and does what has to come of that.
    fn expire(&mut self, timer: Timer) -> Result<(), String> {
        let state = self.machine().state();
        let actions = self.watch.expire(timer).map_err(|broken: Broken| broken.to_string())?;
        let machine = self.machine();
        let reason = closed(&actions);
        let right = match timer {
            Timer::T3(system) => {
                let ended = Action::Notify(Notice::TransactionEnded { system, end: TransactionEnd::T3 });
                actions.contains(&ended) && !machine.is_open(system) && reason.is_none() && machine.state() == state
            }
            Timer::T5 => actions.contains(&Action::OpenTransport),
            // One linktest that is not answered ends the link, as does any other request.
            Timer::T6 | Timer::SessionT6(_) => matches!(reason, Some(CloseReason::T6(_))),
            Timer::T7 => reason == Some(CloseReason::T7),
            Timer::T8 => matches!(reason, Some(CloseReason::T8 { .. })),
            Timer::Linktest => super::sent(&actions).any(|header| header.stype == SType::LINKTEST_REQ),
        };
        self.take(&actions);
        if right { Ok(()) } else { Err(format!("it did {actions:?}, and is {:?}", self.machine())) }
    }
}

impl<M: Subject> Dialogue<M> {
    /// At every step each timer that is armed expires, it alone. The dialogue goes on, as far as that is possible still. Gives
    /// the runs for each kind of timer; those due are reckoned from the messages.
    ///
    /// # Errors
    /// What does not hold; and timers that run and have no reason to, or do not and have one.
    pub fn expire_everywhere(&self) -> Result<BTreeMap<Kind, Runs>, String> {
        let mut runs: BTreeMap<Kind, Runs> = KINDS.into_iter().map(|kind| (kind, Runs::default())).collect();
        for (place, stage) in self.stages.iter().enumerate() {
            let now = self.time(place);
            for kind in stage.due().map_err(|why| self.failed("timers", place, why))? {
                runs.entry(kind).or_default().due += 1;
            }
            for timer in stage.armed_timers() {
                let what = format!("{timer:?} expires");
                let mut stage = stage.clone();
                stage.expire(timer).map_err(|why| self.failed(&what, place, why))?;
                self.go_on(&mut stage, place, now).map_err(|broken| self.failed(&what, place, broken))?;
                stage.works_again(self.time(self.steps.len())).map_err(|why| self.failed(&what, place, why))?;
                runs.entry(kind_of(timer)).or_default().made += 1;
            }
        }
        Ok(runs)
    }

    /// At every step the timer that is due first expires, then with it the second, and so on to the last that is armed, or that
    /// these arm. Each time the dialogue goes on, as far as that is possible still. Those due are reckoned from the messages: there has to
    /// be another timeout as long as anything is waited for.
    ///
    /// # Errors
    /// What does not hold; and timers that run and have no reason to, or do not and have one.
    pub fn time_out_in_order(&self) -> Result<Runs, String> {
        let mut runs = Runs::default();
        for place in 0..self.stages.len() {
            let mut stage = self.stages[place].clone();
            let mut now = self.time(place);
            for timeouts in 1.. {
                let what = format!("{timeouts} timeouts");
                if timeouts > MOST_TIMEOUTS {
                    return Err(self.failed(&what, place, "they do not end"));
                }
                let told = |broken| self.failed(&what, place, broken);
                let written = if stage.machine().is_body_open() { 0 } else { stage.unwritten };
                stage.written(now, written).map_err(told)?;
                let due = stage.due().map_err(|why| self.failed(&what, place, why))?;
                // Which of them expire at one moment, and so in one run, is the machine's word: what is reckoned has no times.
                runs.due += usize::from(!due.is_empty());
                let Some(at) = stage.time_out(now).map_err(told)? else { break };
                now = at;
                let mut tortured = stage.clone();
                self.go_on(&mut tortured, place, now).map_err(told)?;
                tortured
                    .works_again(now.max(self.time(self.steps.len())))
                    .map_err(|why| self.failed(&what, place, why))?;
                runs.made += 1;
            }
        }
        Ok(runs)
    }
}
