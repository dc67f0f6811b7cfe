//! The real machine behind the same causes.

use super::model::{Cause, KEPT, Model, Text, Wish, device_ids};
use super::outputs::{Outputs, Piece};
use hsms_core::config::DeviceId;
use hsms_core::connection::{Action, Event, GeneralInput, Input, Outcome, ReplyToken};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, SelectStatus, SessionId, StreamFunction, SystemBytes};
use hsms_tests::invariants::Watch;
use hsms_tests::machine::Machine;

pub struct Real<M> {
    pub watch: Watch<M>,
    pub tokens: Vec<ReplyToken>,
    now: u64,
    /// Octets that the transport has not taken.
    outstanding: u64,
    out: Outputs,
}

impl<M: Machine> Real<M> {
    pub fn new(machine: M) -> Self {
        Real { watch: Watch::new(machine), tokens: Vec::new(), now: 0, outstanding: 0, out: Outputs::default() }
    }

    /// What it does at the time that the model has come to.
    pub fn apply(&mut self, cause: &Cause, model: &Model) -> Outputs {
        self.now = model.now;
        self.out = Outputs::default();
        self.cause(cause);
        if model.setup.eager && self.outstanding > 0 {
            self.common(Input::Written { octets: self.outstanding });
        }
        std::mem::take(&mut self.out)
    }

    fn cause(&mut self, cause: &Cause) {
        match cause {
            Cause::Enable => self.common(Input::Enable),
            Cause::Disable => self.common(Input::Disable),
            Cause::Separate => self.common(Input::Separate),
            Cause::Select => self.common(Input::Select),
            Cause::Linktest => self.common(Input::Linktest),
            Cause::Tell(event) => self.common(Input::Handle(*event)),
            Cause::Ask { session, stream, function, wait, text } => {
                let (stream_function, reply_expected) = (StreamFunction::new(*stream, *function), *wait);
                let body_len = text.len;
                // Both ways of naming a session.
                self.tell(match DeviceId::new(*session).filter(|_| stream % 2 == 1) {
                    Some(device) => {
                        GeneralInput::Common(Input::BeginPrimary { device, stream_function, reply_expected, body_len })
                    }
                    None => {
                        let session = SessionId(*session);
                        GeneralInput::BeginPrimaryIn { session, stream_function, reply_expected, body_len }
                    }
                });
                self.end_text(*text);
            }
            Cause::Reply { place, abort, text } => {
                let token = self.tokens[*place];
                self.common(match abort {
                    true => Input::BeginAbort { token },
                    false => Input::BeginReply { token, body_len: text.len },
                });
                if self.out.refused.is_none() {
                    self.tokens.remove(*place);
                }
                self.end_text(*text);
            }
            Cause::EndText => self.common(Input::EndBody),
            Cause::AbortText => self.common(Input::AbortBody),
            Cause::Written(octets) => self.common(Input::Written { octets: *octets }),
            Cause::Forget(system) => self.common(Input::Forget { system: SystemBytes(*system) }),
            Cause::Pause => self.common(Input::PauseInput),
            Cause::Resume => self.common(Input::ResumeInput),
            Cause::SetDevices(devices) => self.common(Input::SetDeviceIds(device_ids(devices))),
            Cause::SetNext(system) => self.common(Input::SetNextSystemBytes(SystemBytes(*system))),
            Cause::Report(error, about) => {
                self.common(Input::ReportError { error: *error, about: Header::decode(about) });
            }
            Cause::Receive { octets, .. } => self.receive(octets),
            Cause::Expire => {
                let fired = self.watch.fire(Instant::from_millis(self.now));
                self.carry_out(fired.unwrap_or_else(|broken| panic!("{broken}")));
            }
            Cause::Pass(_) => self.common(Input::Handle(Event::Timeout)),
            Cause::Session(session, wish) => {
                let session = SessionId(*session);
                self.tell(match *wish {
                    Wish::Select => GeneralInput::SelectSession(session),
                    Wish::Deselect => GeneralInput::DeselectSession(session),
                    Wish::Separate => GeneralInput::SeparateSession(session),
                    Wish::Answer(status) => GeneralInput::AnswerSelect { session, status: SelectStatus(status) },
                    Wish::Admit(admission) => GeneralInput::SetAdmission { session, admission },
                    Wish::Busy(busy) => GeneralInput::SetBusy { session, busy },
                });
            }
        }
    }

    fn end_text(&mut self, text: Text) {
        if text.ended && self.out.refused.is_none() {
            self.common(Input::EndBody);
        }
    }

    fn receive(&mut self, octets: &[u8]) {
        let mut left = octets;
        while !left.is_empty() && self.out.refused.is_none() && self.out.closed.is_none() {
            let outcome = self.tell(GeneralInput::Common(Input::Receive(left)));
            let Outcome::Received { taken, inbound } = outcome else { return };
            assert!(taken > 0, "nothing was taken of {left:?}");
            left = &left[taken..];
            let Some(inbound) = inbound else { continue };
            if inbound.first() {
                self.tokens.extend(inbound.reply_token());
                if self.tokens.len() > KEPT {
                    self.tokens.remove(0);
                }
            }
            let piece = inbound.piece;
            self.out.pieces.push(Piece {
                class: inbound.class,
                header: piece.header,
                len: piece.body_len,
                offset: piece.offset,
                octets: piece.body.to_vec(),
                first: piece.first(),
            });
        }
    }

    fn common(&mut self, input: Input<'_>) {
        self.tell(GeneralInput::Common(input));
    }

    fn tell<'i>(&mut self, input: GeneralInput<'i>) -> Outcome<'i> {
        let now = Instant::from_millis(self.now);
        let written = if let GeneralInput::Common(Input::Written { octets }) = input { octets } else { 0 };
        let (outcome, actions) = self.watch.tell(now, input).unwrap_or_else(|broken| panic!("{broken}"));
        match &outcome {
            Outcome::Refused(error) => {
                assert_eq!(self.out.refused, None, "refused twice");
                self.out.refused = Some(*error);
            }
            Outcome::Begun { prefix, .. } => {
                self.outstanding += 4 + u64::from(u32::from_be_bytes(*prefix.first_chunk().unwrap()));
                self.out.begun = Some(prefix.to_vec());
            }
            Outcome::Requested { system } => self.out.requested = Some(system.0),
            // Octets of a farewell are not counted.
            Outcome::Done => self.outstanding = self.outstanding.saturating_sub(written),
            Outcome::Received { .. } => {}
        }
        self.carry_out(actions);
        outcome
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send(frame) => {
                    self.outstanding += frame.encode().len() as u64;
                    self.out.sent.push(frame);
                }
                Action::Notify(notice) => self.out.told.push(notice),
                Action::CloseTransport(reason) => {
                    assert_eq!(self.out.closed, None, "closed twice");
                    self.outstanding = 0;
                    self.out.closed = Some(reason);
                }
                Action::OpenTransport => self.out.opens = true,
            }
        }
    }
}
