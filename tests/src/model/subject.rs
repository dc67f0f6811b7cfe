//! What the model needs of a machine beside what the invariants need.

use super::{Command, Commands};
use crate::machine::Machine;
use hsms_core::Error;
use hsms_core::connection::{Connection, General, GeneralInput, Outcome, ReplyToken, Single, State, Timer};
use hsms_core::time::Instant;
use hsms_core::wire::{SelectStatus, SessionId, SystemBytes};
use std::hash::Hash;
use std::ops::Range;

/// A machine of either standard. Each method but the last two is the one of [`Connection`] of the same name.
#[expect(missing_docs, reason = "see Connection")]
pub trait Subject: Machine + Eq + Hash + Send + Sync + 'static {
    fn armed_timers(&self, show: &mut dyn FnMut(Timer, Instant));
    fn fire(&mut self, timer: Timer) -> Result<(), Error>;
    fn rebase(&mut self, now: Instant);
    fn restart_timers(&mut self);
    fn map_system_bytes(&mut self, map: &mut dyn FnMut(SystemBytes) -> SystemBytes);
    fn issued(&self) -> Range<u32>;
    fn set_issued(&mut self, issued: Range<u32>);
    fn map_links(&mut self, map: &mut dyn FnMut(u32) -> u32);
    fn is_current_token(&self, token: &ReplyToken) -> bool;
    fn clear_unused(&mut self);
    /// Shows the commands about sessions that are worth trying.
    fn session_commands(&self, at: usize, commands: &Commands, show: &mut dyn FnMut(Command));
}

macro_rules! methods {
    () => {
        fn armed_timers(&self, show: &mut dyn FnMut(Timer, Instant)) {
            self.armed_timers(show);
        }

        fn fire(&mut self, timer: Timer) -> Result<(), Error> {
            self.fire(timer)
        }

        fn rebase(&mut self, now: Instant) {
            self.rebase(now);
        }

        fn restart_timers(&mut self) {
            self.restart_timers();
        }

        fn map_system_bytes(&mut self, map: &mut dyn FnMut(SystemBytes) -> SystemBytes) {
            self.map_system_bytes(map);
        }

        fn issued(&self) -> Range<u32> {
            self.issued()
        }

        fn set_issued(&mut self, issued: Range<u32>) {
            self.set_issued(issued);
        }

        fn map_links(&mut self, map: &mut dyn FnMut(u32) -> u32) {
            self.map_links(map);
        }

        fn is_current_token(&self, token: &ReplyToken) -> bool {
            self.is_current_token(token)
        }

        fn clear_unused(&mut self) {
            self.clear_unused();
        }
    };
}

/// The device of every machine of HSMS-SS here.
pub const DEVICE: SessionId = SessionId(1);

impl<const TRANSACTIONS: usize> Subject for Connection<TRANSACTIONS, Single> {
    methods!();

    fn session_commands(&self, _: usize, commands: &Commands, show: &mut dyn FnMut(Command)) {
        if commands.select && self.state() == State::NotSelected {
            show(Command::Select);
        }
    }
}

/// The sessions of every machine of HSMS-GS here.
pub const SESSIONS: [SessionId; 2] = [SessionId(0x100), SessionId(0x200)];

impl<const TRANSACTIONS: usize, const N: usize> Subject for Connection<TRANSACTIONS, General<N>> {
    methods!();

    fn session_commands(&self, at: usize, commands: &Commands, show: &mut dyn FnMut(Command)) {
        for session in SESSIONS {
            let selected = self.is_selected(session);
            if commands.busy && selected {
                show(Command::SetBusy(session));
            }
            if !commands.sessions[at] || self.state() == State::NotConnected {
                continue;
            }
            if selected {
                show(Command::DeselectSession(session));
                show(Command::SeparateSession(session));
            } else {
                show(Command::SelectSession(session));
            }
        }
    }
}

/// What a command about a session is as an input.
pub(super) fn session_input(command: Command, asked: Option<SessionId>) -> Option<GeneralInput<'static>> {
    Some(match command {
        Command::SelectSession(session) => GeneralInput::SelectSession(session),
        Command::DeselectSession(session) => GeneralInput::DeselectSession(session),
        Command::SeparateSession(session) => GeneralInput::SeparateSession(session),
        Command::SetBusy(session) => GeneralInput::SetBusy { session, busy: true },
        Command::AnswerSelect { accept } => {
            let status = if accept { SelectStatus::COMMUNICATION_ESTABLISHED } else { SelectStatus::ENTITY_IN_USE };
            GeneralInput::AnswerSelect { session: asked?, status }
        }
        _ => return None,
    })
}

/// Whether an input was carried out.
pub(super) const fn is_done(outcome: &Outcome<'_>) -> bool {
    !matches!(outcome, Outcome::Refused(_))
}
