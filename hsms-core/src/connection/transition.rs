//! Every transition of HSMS-SS and of the transport, and nothing else: from where a connection is and what happens to what has to be done.
//!
//! Rule 1: whatever moves a connection from one state to another, or decides on an answer, stands in this file. Rule 2:
//! this file knows neither the clock nor octets. What HSMS-GS does otherwise stands in `general`, by the same rules. Clause numbers are those of E37-0303 and E37.1-0702.

use super::{Class, CloseReason, ControlRequest, Leniency, State, Stray, TransactionEnd};
use crate::wire::{DeselectStatus, Kind, PType, RejectReason, SType, SelectStatus, SessionId};

/// Where a connection is, as far as transitions depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Situation {
    pub(super) state: State,
    /// This end dialled.
    pub(super) active: bool,
    pub(super) equipment: bool,
    pub(super) strict: bool,
    /// Another connection is being served; this one only tells its caller so.
    pub(super) refusing: bool,
}

/// Which open transaction of ours a received message belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Matched {
    /// None: the system bytes were never issued on this connection.
    Nothing,
    /// None any more: the system bytes were issued on this connection.
    Ended,
    /// Our control request.
    Control(ControlRequest),
    /// Our primary, and the message is its reply.
    Reply,
    /// Our primary by system bytes, and the message is not its reply.
    Primary,
}

/// A received header, as far as transitions depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Received {
    pub(super) kind: Result<Kind, RejectReason>,
    pub(super) session: SessionId,
    pub(super) ptype: PType,
    pub(super) stype: SType,
    pub(super) body_len: u32,
    pub(super) matched: Matched,
    /// For data: whether the session id is a device id of ours.
    pub(super) known_device: bool,
    /// For data: bit 15 of the session id was set and has been cleared.
    pub(super) direction_bit: bool,
}

/// What has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Step {
    /// What the received message counts as.
    pub(super) class: Class,
    pub(super) answer: Answer,
    pub(super) lenient: Option<Leniency>,
    pub(super) report: Report,
    pub(super) next: Next,
}

/// What to send back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    None,
    Select(SelectStatus),
    Deselect(DeselectStatus),
    Linktest,
    Reject(RejectReason),
    /// Stream 9 with this function, about the received header.
    Stream9(u8),
}

/// What to do about the open transaction that the message belongs to, and to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Report {
    None,
    /// The control request is answered.
    ControlAnswered,
    /// The primary's transaction ends so.
    Ended(TransactionEnd),
    /// A Reject.req that belongs to nothing.
    StrayReject,
}

/// Where the connection goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Next {
    Stay,
    Selected,
    NotSelected,
    Close(CloseReason),
}

/// Octets of text up to which a Reject.req is taken by the default profile.
const REJECT_TEXT: u32 = 64;

pub(super) const NOTHING: Step =
    Step { class: Class::Control, answer: Answer::None, lenient: None, report: Report::None, next: Next::Stay };

impl Step {
    pub(super) const fn close(&mut self, reason: CloseReason) {
        self.class = Class::Fatal;
        self.next = Next::Close(reason);
    }

    pub(super) const fn reject(&mut self, reason: RejectReason) {
        self.class = Class::Rejected(reason);
        self.answer = Answer::Reject(reason);
    }

    pub(super) const fn lenient(&mut self, leniency: Leniency) {
        self.lenient = Some(leniency);
    }
}

/// Whether this is what nearly every message is: SECS-II data while SELECTED. For a device id of ours, and of acceptable
/// length, [`received`] makes a primary `Class::Primary` and the reply to one of ours `Class::Reply`, and does nothing
/// else; a test holds the two together.
#[inline]
pub(super) fn is_plain_data(state: State, header: &crate::wire::Header) -> bool {
    matches!(state, State::Selected) && header.stype == SType::DATA && header.ptype == PType::SECS_II
}

/// Whether this is the usual Linktest.req: while SELECTED. Without text, [`received`] answers it and does nothing else; a
/// test holds the two together.
#[inline]
pub(super) fn is_plain_linktest(state: State, header: &crate::wire::Header) -> bool {
    matches!(state, State::Selected) && header.stype == SType::LINKTEST_REQ && header.ptype == PType::SECS_II
}

/// A message was received. What has to be done is written into `step`, which is [`NOTHING`].
#[inline(never)]
pub(super) fn judge(step: &mut Step, at: Situation, message: &Received, max_message: u32, skip_limit: u32) {
    let length = message.body_len.saturating_add(crate::wire::MIN_LENGTH);
    if length > max_message {
        too_long(step, at, message, length, max_message, skip_limit);
    } else {
        of_message(step, at, message);
    }
}

/// The same, handed over: where this is all that is done with a step, its caller needs less stack for it so.
#[inline(never)]
pub(super) fn judged(at: Situation, message: &Received, max_message: u32, skip_limit: u32) -> Step {
    let mut step = NOTHING;
    judge(&mut step, at, message, max_message, skip_limit);
    step
}

/// A message of acceptable length was received.
#[cfg(test)]
pub(super) fn received(at: Situation, message: &Received) -> Step {
    let mut step = NOTHING;
    of_message(&mut step, at, message);
    step
}

/// Each case writes what it has to say into the one step, where that lies: steps handed on by value take twice the flash.
#[inline(never)]
fn of_message(step: &mut Step, at: Situation, message: &Received) {
    match message.kind {
        Ok(Kind::Data { stream_function, .. }) => data(step, at, message, stream_function),
        Ok(kind) => control(step, at, message, kind),
        Err(reason) => unknown(step, at, message, reason),
    }
}

/// E37 7.3, 9.4; E37.1 7.2.
fn data(step: &mut Step, at: Situation, message: &Received, stream_function: crate::wire::StreamFunction) {
    if !matches!(at.state, State::Selected) {
        // E37 7.7, reason 4; E37.1 Tables 1 and 2 row 4.
        step.reject(RejectReason::ENTITY_NOT_SELECTED);
        if at.strict {
            step.next = Next::Close(CloseReason::DataNotSelected);
        }
        return;
    }
    if !message.known_device {
        // E5 7.13 S9F1.
        step.class = Class::Stray(Stray::UnknownDevice);
        if reports_to_host(at, stream_function) {
            step.answer = Answer::Stream9(1);
        }
        return;
    }
    step.class = message.class_of_data(stream_function);
    if message.direction_bit {
        step.lenient(Leniency::DirectionBit(message.session));
    }
}

impl Received {
    /// What data counts as that is for a session of ours.
    #[inline(never)]
    pub(super) const fn class_of_data(&self, stream_function: crate::wire::StreamFunction) -> Class {
        match self.matched {
            _ if stream_function.is_primary() => Class::Primary,
            Matched::Reply => Class::Reply,
            Matched::Primary => Class::Stray(Stray::Mismatched),
            Matched::Ended => Class::Stray(Stray::Late),
            Matched::Control(_) | Matched::Nothing => Class::Stray(Stray::Orphan),
        }
    }
}

/// Stream 9 goes from equipment to host, and never about stream 9 or an abort.
const fn reports_to_host(at: Situation, stream_function: crate::wire::StreamFunction) -> bool {
    at.equipment && stream_function.stream != 9 && !stream_function.is_abort()
}

fn control(step: &mut Step, at: Situation, message: &Received, kind: Kind) {
    let selected = matches!(at.state, State::Selected);
    if let Kind::RejectReq { reason, .. } = kind {
        return reject(step, at, message, reason);
    }
    if message.body_len != 0 {
        return with_text(step, at.strict || !selected, message);
    }
    let expected = match kind {
        Kind::SelectReq => select_req(step, at, message),
        Kind::SelectRsp(status) => select_rsp(step, at, message, status),
        // E37 7.4, E37.1 7.4: HSMS-SS does not use it; some equipment does.
        Kind::DeselectReq if at.strict => false,
        Kind::DeselectReq if selected => {
            step.answer = Answer::Deselect(DeselectStatus::COMMUNICATION_ENDED);
            step.lenient(Leniency::Deselect);
            step.next = if at.active { Next::Close(CloseReason::DeselectAnswered) } else { Next::NotSelected };
            true
        }
        Kind::DeselectReq => {
            step.answer = Answer::Deselect(DeselectStatus::COMMUNICATION_NOT_ESTABLISHED);
            step.lenient(Leniency::DeselectNotSelected);
            true
        }
        // E37 7.5; E37.1 7.5 allows it only while SELECTED.
        Kind::LinktestReq if !selected && at.strict => false,
        Kind::LinktestReq => {
            step.answer = Answer::Linktest;
            if !selected {
                step.lenient(Leniency::LinktestNotSelected);
            }
            true
        }
        Kind::LinktestRsp if matches!(message.matched, Matched::Control(ControlRequest::Linktest)) => {
            step.report = Report::ControlAnswered;
            true
        }
        // No Deselect.req is ever sent in HSMS-SS, so no response to one is awaited.
        Kind::LinktestRsp | Kind::DeselectRsp(_) => not_open(step, at.strict && !selected),
        // E37 7.6, E37.1 7.6: close, whatever the state.
        Kind::SeparateReq => {
            step.next = Next::Close(CloseReason::SeparateReceived);
            true
        }
        // Both have been dealt with above.
        Kind::RejectReq { .. } | Kind::Data { .. } => true,
    };
    if !expected {
        step.close(CloseReason::UnexpectedMessage(message.stype));
    }
}

/// E37 9.3.3; E37.1 Tables 1 and 2 row 4 (4).
pub(super) const fn with_text(step: &mut Step, closes: bool, message: &Received) {
    let (stype, body_len) = (message.stype, message.body_len);
    if closes {
        step.close(CloseReason::ControlText { stype, body_len });
    } else {
        step.reject(RejectReason::STYPE_NOT_SUPPORTED);
        step.lenient(Leniency::ControlText { stype, body_len });
    }
}

/// E37 7.2, E37.1 7.1. Gives whether it was to be expected: if not, the step is as it was, and the caller closes.
fn select_req(step: &mut Step, at: Situation, message: &Received) -> bool {
    let foreign = message.session != SessionId::CONTROL;
    let selected = matches!(at.state, State::Selected);
    if !at.refusing && at.strict && (foreign || at.active || selected) {
        return false;
    }
    if at.refusing || selected {
        step.answer = Answer::Select(SelectStatus::COMMUNICATION_ALREADY_ACTIVE);
        if at.refusing {
            // E37 9.2.4 option a.
            step.next = Next::Close(CloseReason::CallerRefused);
        }
        return true;
    }
    step.answer = Answer::Select(SelectStatus::COMMUNICATION_ESTABLISHED);
    step.next = Next::Selected;
    if at.active {
        step.lenient(Leniency::SimultaneousSelect(message.session));
    } else if foreign {
        step.lenient(Leniency::SelectSession(message.session));
    }
    true
}

/// E37 7.2.1, E37.1 7.1.3. Gives the same.
fn select_rsp(step: &mut Step, at: Situation, message: &Received, status: SelectStatus) -> bool {
    if !matches!(message.matched, Matched::Control(ControlRequest::Select)) {
        return not_open(step, at.strict);
    }
    match (status, at.state) {
        (SelectStatus::COMMUNICATION_ESTABLISHED, State::Selected)
        // The peer answered our request after we had answered its own.
        | (SelectStatus::COMMUNICATION_ALREADY_ACTIVE, State::Selected) => step.report = Report::ControlAnswered,
        (SelectStatus::COMMUNICATION_ESTABLISHED, _) => {
            step.report = Report::ControlAnswered;
            step.next = Next::Selected;
        }
        _ => step.close(CloseReason::SelectRefused(status)),
    }
    true
}

/// A response to nothing. E37 7.7, reason 3. Gives the same: not where it `closes`.
const fn not_open(step: &mut Step, closes: bool) -> bool {
    if !closes {
        step.reject(RejectReason::TRANSACTION_NOT_OPEN);
    }
    !closes
}

/// E37 7.7. A Reject.req is never answered.
pub(super) fn reject(step: &mut Step, at: Situation, message: &Received, reason: RejectReason) {
    if !reject_text(step, at, message) {
        return;
    }
    match message.matched {
        Matched::Control(ControlRequest::Select) => step.close(CloseReason::SelectRejected(reason)),
        Matched::Control(ControlRequest::Linktest) => step.report = Report::ControlAnswered,
        Matched::Primary | Matched::Reply => step.report = Report::Ended(TransactionEnd::Rejected(reason)),
        // HSMS-SS sends no Deselect.req.
        Matched::Nothing | Matched::Ended | Matched::Control(ControlRequest::Deselect) => {
            step.report = Report::StrayReject;
        }
    }
}

/// What text a Reject.req has: gives whether it is taken nevertheless.
#[inline(never)]
pub(super) const fn reject_text(step: &mut Step, at: Situation, message: &Received) -> bool {
    let body_len = message.body_len;
    if body_len == 0 {
        return true;
    }
    if at.strict || body_len > REJECT_TEXT {
        step.close(CloseReason::ControlText { stype: message.stype, body_len });
        return false;
    }
    step.lenient(Leniency::RejectText { body_len });
    true
}

/// An SType or PType that E37 does not define (E37 7.7, reasons 1 and 2; E37.1 8.1).
fn unknown(step: &mut Step, at: Situation, message: &Received, reason: RejectReason) {
    if at.strict && !matches!(at.state, State::Selected) {
        step.close(match reason {
            RejectReason::PTYPE_NOT_SUPPORTED => CloseReason::UnknownPType(message.ptype),
            _ => CloseReason::UnknownSType(message.stype),
        });
    } else {
        step.reject(reason);
    }
}

/// A message longer than accepted was announced (E37.1 Tables 1 and 2 row 5; E5 7.13 S9F11).
#[cold]
pub(super) fn too_long(
    step: &mut Step,
    at: Situation,
    message: &Received,
    length: u32,
    max_message: u32,
    skip_limit: u32,
) {
    step.class = Class::TooLong;
    if matches!(message.matched, Matched::Reply) && message.known_device {
        // From a device that is served no more it is none, however long it is.
        step.report = Report::Ended(TransactionEnd::ReplyTooLong { length });
    }
    let skipped = match message.kind {
        Ok(Kind::Data { stream_function, .. }) if at.equipment && matches!(at.state, State::Selected) => {
            if reports_to_host(at, stream_function) {
                // E5 looks at the device id first.
                let function = if message.known_device { 11 } else { 1 };
                step.answer = Answer::Stream9(function);
            }
            !at.strict && length <= skip_limit
        }
        _ => false,
    };
    if !skipped {
        step.next = Next::Close(CloseReason::LengthTooLong { length, limit: max_message });
    } else if message.direction_bit {
        step.lenient(Leniency::DirectionBit(message.session));
    }
}

/// Where a connection is, with what stands behind NOT CONNECTED.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// Not meant to be connected.
    Disabled,
    /// T5 runs, or the transport is about to be asked for.
    Waiting,
    /// The adapter dials or listens.
    Opening,
    NotSelected,
    Selected,
}

/// What happens to a connection beside received messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Cause {
    Enable,
    Disable,
    Separate,
    Opened,
    OpenFailed,
    /// T5 is over.
    SeparationOver,
    /// The connection cannot go on: a timer, an impossible length, a text given up, a transport that ended.
    Broken(CloseReason),
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Course {
    /// Nothing.
    Stay,
    /// The cause cannot be: a misuse, refused with a typed error.
    Refuse,
    /// Ask for the transport as soon as T5 allows.
    Attempt,
    /// Ask for the transport again, T5 from now.
    Retry,
    /// Do not ask for the transport.
    GiveUp,
    /// NOT SELECTED is entered.
    Connected {
        /// T7 guards it.
        t7: bool,
        /// Select.req is sent.
        select: bool,
    },
    /// The transport is closed, or no longer opened.
    Close {
        reason: CloseReason,
        /// Separate.req goes first.
        farewell: bool,
        /// Another attempt follows.
        again: bool,
    },
}

/// Something happened beside a received message. `on_connect`: the active side selects by itself.
pub(super) fn happened(at: Place, active: bool, on_connect: bool, one_shot: bool, cause: Cause) -> Course {
    let close = |reason, farewell, again| Course::Close { reason, farewell, again: again && !one_shot };
    match (cause, at) {
        (Cause::Enable, Place::Disabled) if one_shot => Course::Refuse,
        (Cause::Enable, Place::Disabled) => Course::Attempt,
        (Cause::Enable, _) => Course::Stay,
        (Cause::Disable, Place::Disabled) => Course::Stay,
        (Cause::Disable, Place::Waiting) => Course::GiveUp,
        // E37.1 7.6: a session ends with Separate.req and the closing of the transport.
        (Cause::Disable, _) => close(CloseReason::Disabled, matches!(at, Place::Selected), false),
        (Cause::Separate, Place::NotSelected | Place::Selected) => {
            close(CloseReason::Separated, matches!(at, Place::Selected), true)
        }
        // E37 5.3 row 2; E37.1 Table 1 row 2 and Table 2 row 2.
        (Cause::Opened, Place::Opening) => {
            let select = active && on_connect;
            Course::Connected { t7: !select, select }
        }
        // E37 9.2.1. A passive side whose port is taken waits as well, so as not to spin.
        (Cause::OpenFailed, Place::Opening) if one_shot => close(CloseReason::TransportClosed, false, false),
        (Cause::OpenFailed, Place::Opening) => Course::Retry,
        (Cause::SeparationOver, Place::Waiting) => Course::Attempt,
        (Cause::SeparationOver, _) => Course::Stay,
        // E37 5.3 rows 3 and 6, 9.1.1; E37.1 Tables 1 and 2 rows 4 and 5.
        (Cause::Broken(reason), Place::NotSelected | Place::Selected) => close(reason, false, true),
        _ => Course::Refuse,
    }
}

/// T3 expired: what equipment sends about it (E37.1 Tables 1 and 2 row 6, E5 7.13 S9F9).
pub(super) const fn reply_timeout(at: Situation, stream_function: crate::wire::StreamFunction) -> Answer {
    if reports_to_host(at, stream_function) { Answer::Stream9(9) } else { Answer::None }
}

/// T6 of a linktest expired, with nothing received since `missed` linktests ago: E37 7.5.1, and the threshold beyond it.
pub(super) const fn linktest_missed(missed: u8, threshold: u8) -> Next {
    if missed >= threshold { Next::Close(CloseReason::T6(ControlRequest::Linktest)) } else { Next::Stay }
}
