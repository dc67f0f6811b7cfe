//! Machines of either standard behind one face, so that what has to hold of both is written once.

use hsms_core::Error;
use hsms_core::config::Config;
use hsms_core::connection::{Action, Connection, General, GeneralInput, Outcome, Single, State, apply, apply_general};
use hsms_core::time::Instant;
use hsms_core::wire::{SessionId, SystemBytes};
use std::fmt::Debug;

/// A connection of HSMS-SS or of HSMS-GS. Each method is the one of [`Connection`] of the same name.
pub trait Machine: Clone + PartialEq + Debug {
    /// Whether it has a list of session entities.
    const GENERAL: bool;
    /// Tells it `input`.
    fn tell<'i>(&mut self, now: Instant, input: GeneralInput<'i>) -> Outcome<'i>;
    /// The next thing to do.
    fn poll_action(&mut self) -> Option<Action>;
    /// How many actions wait in its queue.
    fn waiting_actions(&self) -> usize;
    /// When to come back.
    fn next_deadline(&self) -> Option<Instant>;
    /// Where it is.
    fn state(&self) -> State;
    /// Whether it is meant to be connected.
    fn is_enabled(&self) -> bool;
    /// Whether a text is being written.
    fn is_body_open(&self) -> bool;
    /// Octets of the text that is arriving that are still to come.
    fn body_left(&self) -> u32;
    /// Whether the transaction or control request of ours is open.
    fn is_open(&self, system: SystemBytes) -> bool;
    /// How many primaries of ours wait for a reply.
    fn open_transactions(&self) -> usize;
    /// How many timers run.
    fn running_timers(&self) -> usize;
    /// The sessions that data can go in now; of HSMS-SS that is the device.
    fn sessions(&self) -> heapless::Vec<SessionId, 4>;
    /// Its settings.
    fn config(&self) -> &Config;
}

macro_rules! getters {
    () => {
        fn poll_action(&mut self) -> Option<Action> {
            self.poll_action()
        }

        fn waiting_actions(&self) -> usize {
            self.waiting_actions()
        }

        fn next_deadline(&self) -> Option<Instant> {
            self.next_deadline()
        }

        fn state(&self) -> State {
            self.state()
        }

        fn is_enabled(&self) -> bool {
            self.is_enabled()
        }

        fn is_body_open(&self) -> bool {
            self.is_body_open()
        }

        fn body_left(&self) -> u32 {
            self.body_left()
        }

        fn is_open(&self, system: SystemBytes) -> bool {
            self.is_open(system)
        }

        fn open_transactions(&self) -> usize {
            self.open_transactions()
        }

        fn running_timers(&self) -> usize {
            let mut running = 0;
            self.armed_timers(|_, _| running += 1);
            running
        }

        fn config(&self) -> &Config {
            self.config()
        }
    };
}

impl<const TRANSACTIONS: usize> Machine for Connection<TRANSACTIONS, Single> {
    const GENERAL: bool = false;

    /// What only sessions of HSMS-GS can be told is refused.
    fn tell<'i>(&mut self, now: Instant, input: GeneralInput<'i>) -> Outcome<'i> {
        match input {
            GeneralInput::Common(input) => apply(self, now, input),
            GeneralInput::BeginPrimaryIn { session, stream_function, reply_expected, body_len } => self
                .begin_primary_in(now, session, stream_function, reply_expected, body_len)
                .map_or_else(Outcome::Refused, |(system, prefix)| Outcome::Begun { system: Some(system), prefix }),
            GeneralInput::SelectSession(session)
            | GeneralInput::DeselectSession(session)
            | GeneralInput::SeparateSession(session)
            | GeneralInput::AnswerSelect { session, .. }
            | GeneralInput::SetAdmission { session, .. }
            | GeneralInput::SetBusy { session, .. } => Outcome::Refused(Error::UnknownSession { session }),
        }
    }

    fn sessions(&self) -> heapless::Vec<SessionId, 4> {
        let device = self.config().device_ids().as_slice().first().filter(|_| self.state() == State::Selected);
        device.map(|device| device.session()).into_iter().collect()
    }

    getters!();
}

impl<const TRANSACTIONS: usize, const N: usize> Machine for Connection<TRANSACTIONS, General<N>> {
    const GENERAL: bool = true;

    fn tell<'i>(&mut self, now: Instant, input: GeneralInput<'i>) -> Outcome<'i> {
        apply_general(self, now, input)
    }

    fn sessions(&self) -> heapless::Vec<SessionId, 4> {
        self.selected_sessions().collect()
    }

    getters!();
}
