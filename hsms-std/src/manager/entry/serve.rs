//! What concerns the services of a peer.

use super::{Close, Entry};
use crate::manager::link::{Sort, Told};
use crate::manager::queue::Item;
use crate::manager::served::Via;
use crate::services::handler::Task;
use hsms_core::connection::{Notice, State};
use hsms_core::time::Instant;
use hsms_core::wire::SystemBytes;
use std::sync::Arc;

impl Entry {
    /// What is for the services goes to them. Gives what is for others; `first` is set where the peer is still to be scheduled.
    pub(super) fn serve(&mut self, told: Told, now: Instant, first: &mut bool) -> Option<Told> {
        let shared = Arc::clone(&self.shared);
        let Some(served) = &shared.services else { return Some(told) };
        if let Told::Message { sort: Sort::Reply | Sort::Abort, .. } | Told::Notice(Notice::TransactionEnded { .. }) =
            &told
        {
            // Whosever transaction has ended.
            served.retry();
        }
        let task = match told {
            Told::Message { header, sort: Sort::Primary(token), body } => served.primary(header, token, &body),
            Told::Message { header, sort: Sort::Reply | Sort::Abort, body } if !self.is_asked(header.system) => {
                served.reply(header, &body)
            }
            Told::Notice(Notice::TransactionEnded { system, end }) if !self.is_asked(system) => {
                served.ended(system, end);
                return Some(told);
            }
            Told::Notice(Notice::Selected) => {
                served.link(State::Selected);
                return Some(told);
            }
            Told::Notice(Notice::Deselected) => {
                served.link(State::NotSelected);
                return Some(told);
            }
            Told::Closed { .. } => {
                served.link(State::NotConnected);
                return Some(told);
            }
            told => return Some(told),
        };
        let task = match task {
            Task::Call(call) => {
                let refusal = call.refusal();
                let pushed = self.push(Item::Call(call));
                *first |= pushed.first;
                if pushed.kept { Task::None } else { refusal }
            }
            task => task,
        };
        task.carry_out(&mut self.via(now));
        None
    }

    /// Whether it is a request of somebody who does not ask by the services.
    fn is_asked(&self, system: SystemBytes) -> bool {
        self.requests.as_ref().is_some_and(|requests| requests.contains_key(&system))
    }

    /// Has the services do what they have to.
    pub(super) fn serve_on(&mut self, now: Instant) {
        let shared = Arc::clone(&self.shared);
        let Some(served) = &shared.services else { return };
        let mut via = self.via(now);
        served.go_on(&mut via);
        if via.drops() {
            // Nobody removes a peer by this.
            self.begin_close(Close::Separate, now, self.shared.settings.farewell());
        }
    }

    fn via(&mut self, now: Instant) -> Via<'_> {
        Via::new(now, &mut self.link, &mut self.told, self.shared.settings.output())
    }
}

impl Entry {
    /// Whoever waits for its services learns that there are none any more.
    pub(super) fn end_services(&self) {
        if let Some(served) = &self.shared.services
            && let Some(rest) = served.end()
        {
            // Closures of the application's: the loop waits for none of them.
            self.pool.run(Box::new(move || drop(rest)));
        }
    }
}
