//! Timers that expire at every step of a dialogue: each one alone, and all of them one after another.

use super::waits::{KINDS, kind_of};
use super::{Dialogue, Kind, MOST_TIMEOUTS, Runs, Stage};
use crate::invariants::{Broken, closed};
use crate::machine::Machine;
use crate::model::Subject;
use hsms_core::connection::{Action, CloseReason, Event, GeneralInput, Input, Notice, Timer, TransactionEnd};
use hsms_core::time::Instant;
use hsms_core::wire::SType;
use std::collections::BTreeMap;

impl<M: Subject> Stage<M> {
    fn armed_timers(&self) -> Vec<Timer> {
        let mut armed = Vec::new();
        self.machine().armed_timers(&mut |timer, _| armed.push(timer));
        armed
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
            let armed = stage.armed_timers();
            let due = stage.waits.due(stage.machine(), stage.wanted);
            let mut kinds: Vec<Kind> = armed.iter().copied().map(kind_of).collect();
            kinds.sort_unstable();
            if kinds != due {
                let why = format!("{due:?} have to run, and {armed:?} do: {:?}", stage.machine());
                return Err(self.failed("timers", place, why));
            }
            for kind in due {
                runs.entry(kind).or_default().due += 1;
            }
            for timer in armed {
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
}

impl<M: Machine> Dialogue<M> {
    /// At every step the timer that is due first expires, then with it the second, and so on to the last that is armed, or that
    /// these arm. Each time the dialogue goes on, as far as that is possible still.
    ///
    /// # Errors
    /// What does not hold.
    pub fn time_out_in_order(&self) -> Result<Runs, String> {
        let mut runs = Runs::default();
        for place in 0..self.stages.len() {
            runs.due += self.timers(place)?;
            let mut stage = self.stages[place].clone();
            let mut now = self.time(place);
            for timeouts in 1.. {
                let what = format!("{timeouts} timeouts");
                let told = |broken| self.failed(&what, place, broken);
                let written = if stage.machine().is_body_open() { 0 } else { stage.unwritten };
                stage.written(now, written).map_err(told)?;
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

    /// How many timeouts can follow each other from this place, by the machine alone.
    fn timers(&self, place: usize) -> Result<usize, String> {
        let mut machine = self.machine_at(place);
        let mut count = 0;
        while let Some(deadline) = machine.next_deadline() {
            if count == MOST_TIMEOUTS {
                return Err(self.failed("timeouts", place, "they do not end"));
            }
            count += 1;
            // What is due at the same moment expires with it.
            for _ in 0..MOST_TIMEOUTS {
                if machine.next_deadline().is_none_or(|next| next > deadline) {
                    break;
                }
                machine.tell(deadline, GeneralInput::Common(Input::Handle(Event::Timeout)));
                let frames: Vec<_> = std::iter::from_fn(|| machine.poll_action()).collect();
                for frame in &frames {
                    if let Action::Send(frame) = frame {
                        let octets = frame.len() as u64;
                        // Refused behind a close.
                        machine.tell(deadline, GeneralInput::Common(Input::Written { octets }));
                    }
                }
            }
        }
        Ok(count)
    }

    /// The machine as it stands before this step, with all written that can be.
    fn machine_at(&self, place: usize) -> M {
        let stage = &self.stages[place];
        let mut machine = stage.machine().clone();
        if !machine.is_body_open() && stage.unwritten > 0 {
            let now = Instant::from_millis(self.time(place));
            machine.tell(now, GeneralInput::Common(Input::Written { octets: stage.unwritten }));
        }
        machine
    }
}
