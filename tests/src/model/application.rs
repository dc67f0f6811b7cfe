//! What an application does, and its adapter.

use super::step::{Done, PRIMARY, Run};
use super::subject::{DEVICE, is_done, session_input};
use super::{Command, Frame, Property, Situation, Subject, Transport};
use crate::invariants;
use hsms_core::Error;
use hsms_core::connection::{Action, GeneralInput, Input, Outcome};
use hsms_core::wire::{PREFIX_LEN, SessionId};

impl<M: Subject> Run<'_, M> {
    pub(super) fn written(&mut self, at: usize) -> Done {
        let octets = std::mem::take(&mut self.end(at).unwritten);
        if octets > 0 && self.world.ends[at].transport == Transport::Open {
            self.tell_written(at, octets)?;
        }
        Ok(())
    }

    fn tell_written(&mut self, at: usize, octets: u64) -> Done {
        let now = self.now;
        let machine = &mut self.world.ends[at].machine;
        let stepped = invariants::step(machine, now, GeneralInput::Common(Input::Written { octets }));
        let (outcome, actions) = self.invariant(stepped)?;
        self.hold(Property::Obeys, is_done(&outcome) && actions.is_empty())
    }
    /// Whether the command did something.
    pub(super) fn command(&mut self, at: usize, command: Command) -> Result<bool, Property> {
        let common = |input| GeneralInput::Common(input);
        match command {
            Command::Enable => self.input(at, common(Input::Enable), 0),
            Command::Disable => self.input(at, common(Input::Disable), 0),
            Command::Separate => self.input(at, common(Input::Separate), 0),
            Command::Select => self.input(at, common(Input::Select), 0),
            Command::Linktest => self.input(at, common(Input::Linktest), 0),
            Command::PauseInput => {
                if !self.world.pipes[1 - at].is_empty() {
                    self.met(Situation::Paused);
                }
                self.input(at, common(Input::PauseInput), 0)
            }
            Command::ResumeInput => self.input(at, common(Input::ResumeInput), 0),
            Command::Primary { session, reply_expected } => self.begin(at, session, reply_expected),
            Command::Reply { index, abort } => self.reply(at, usize::from(index), abort),
            Command::EndBody => self.end_body(at),
            Command::AbortBody => {
                let frame = self.world.ends[at].writing.take();
                if let Some(frame) = frame {
                    // The prefix has gone out.
                    self.push(at, Frame { len: frame.len.min(14), ..frame })?;
                }
                self.input(at, common(Input::AbortBody), 0)
            }
            Command::Written => {
                self.written(at)?;
                Ok(true)
            }
            Command::Forget { index } => {
                let system = self.end(at).open.remove(usize::from(index));
                self.input(at, common(Input::Forget { system }), 0)
            }
            _ => {
                let asked = self.world.ends[at].asked.first().copied();
                let Some(input) = session_input(command, asked) else { return Ok(false) };
                if matches!(command, Command::AnswerSelect { .. }) {
                    self.end(at).asked.remove(0);
                    // Where the peer accepted ours meanwhile, nothing waits any more.
                    self.input(at, input, 0)?;
                    return Ok(true);
                }
                self.input(at, input, 0)
            }
        }
    }

    fn begin(&mut self, at: usize, session: SessionId, reply_expected: bool) -> Result<bool, Property> {
        let body_len = u32::from(self.setup.text);
        let stream_function = PRIMARY;
        let input = if M::GENERAL || session != DEVICE {
            GeneralInput::BeginPrimaryIn { session, stream_function, reply_expected, body_len }
        } else {
            let device = session.0.try_into().map_err(|_| Property::Obeys)?;
            GeneralInput::Common(Input::BeginPrimary { device, stream_function, reply_expected, body_len })
        };
        let now = self.now;
        let stepped = invariants::step(&mut self.world.ends[at].machine, now, input);
        let (outcome, _) = self.invariant(stepped)?;
        let Outcome::Begun { system: Some(system), prefix } = outcome else { return Ok(false) };
        if reply_expected {
            self.hold(Property::EndsOnce, !self.world.ends[at].open.contains(&system))?;
            let _ = self.end(at).open.push(system);
        }
        self.write(at, &prefix, body_len)
    }

    fn reply(&mut self, at: usize, index: usize, abort: bool) -> Result<bool, Property> {
        let token = self.end(at).tokens.remove(index);
        let stale = !self.world.ends[at].machine.is_current_token(&token);
        let input = if abort { Input::BeginAbort { token } } else { Input::BeginReply { token, body_len: 0 } };
        let now = self.now;
        let stepped = invariants::step(&mut self.world.ends[at].machine, now, GeneralInput::Common(input));
        let (outcome, _) = self.invariant(stepped)?;
        match outcome {
            Outcome::Begun { prefix, .. } => {
                self.hold(Property::Obeys, !stale)?;
                self.write(at, &prefix, 0)
            }
            Outcome::Refused(Error::StaleToken) => {
                self.met(Situation::StaleToken);
                self.hold(Property::Obeys, stale)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// The application writes a message: at once, or begins to.
    fn write(&mut self, at: usize, prefix: &[u8], body_len: u32) -> Result<bool, Property> {
        let mut octets = prefix.to_vec();
        octets.resize(PREFIX_LEN + usize::try_from(body_len).expect("a short text"), 0x5A);
        let frame = Frame::new(&octets, 0);
        self.say(|| frame.header().map_or_else(String::new, |header| format!("    end {at}: send {header:?}")));
        self.end(at).writing = Some(frame);
        if !self.setup.commands.texts {
            return self.end_body(at);
        }
        Ok(true)
    }

    fn end_body(&mut self, at: usize) -> Result<bool, Property> {
        let Some(frame) = self.world.ends[at].writing.take() else { return Ok(false) };
        self.end(at).unwritten += u64::from(frame.len);
        self.push(at, frame)?;
        let now = self.now;
        let stepped = invariants::step(&mut self.world.ends[at].machine, now, GeneralInput::Common(Input::EndBody));
        let (_, actions) = self.invariant(stepped)?;
        if actions.iter().any(|action| matches!(action, Action::Send(_))) {
            self.met(Situation::Held);
        }
        self.act(at, &actions, 0, None)?;
        Ok(true)
    }
}
