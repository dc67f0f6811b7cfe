//! Every transition of HSMS-GS that is not one of HSMS-SS: what becomes of a session when a message about it comes.
//!
//! The rules of `transition` hold here as well: whatever moves a session stands in this file, and it knows neither the clock
//! nor octets. Clause numbers are those of E37-0303 and E37.2-95.

use super::session::Admission;
use super::transition::{self, Answer, Matched, Next, Received, Report, Situation, Step};
use super::{CloseReason, ControlRequest, SessionEnd, SessionRefusal};
use crate::wire::{DeselectStatus, Kind, RejectReason, SelectStatus, StreamFunction};

/// Where the session that a message is about is, as far as transitions depend on it: the session that the header names, or
/// for a response or a Reject.req the one that our request named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Session {
    /// The peer can select it here.
    pub(super) offered: bool,
    pub(super) selected: bool,
    /// Our open request about it; none where the session has begun or ended otherwise since.
    pub(super) requested: Option<ControlRequest>,
    /// The application deliberates on a Select.req.
    pub(super) asked: bool,
    pub(super) busy: bool,
    pub(super) admission: Admission,
}

impl Session {
    /// One that is not in the list.
    pub(super) const UNKNOWN: Session = Session {
        offered: false,
        selected: false,
        requested: None,
        asked: false,
        busy: false,
        admission: Admission::Always,
    };
}

/// What has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SessionStep {
    /// Concerning the connection.
    pub(super) step: Step,
    /// Our open request about the session is over.
    pub(super) answered: bool,
    pub(super) change: Change,
}

/// What becomes of the session, and what is told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Change {
    None,
    /// It is selected (E37.2 5.9, transitions 4 and 6).
    Selected,
    /// It is no longer (transitions 5 and 7).
    Ended(SessionEnd),
    /// The application is asked.
    Ask,
    /// It stays as it is, against our wish.
    Refused(SessionRefusal),
}

impl SessionStep {
    pub(super) const NOTHING: SessionStep =
        SessionStep { step: transition::NOTHING, answered: false, change: Change::None };

    /// Our request about the session is over.
    const fn over(&mut self, change: Change) {
        self.answered = true;
        self.change = change;
    }

    const fn answer_select(&mut self, status: SelectStatus) {
        self.step.answer = Answer::Select(status);
        if matches!(status, SelectStatus::COMMUNICATION_ESTABLISHED) {
            self.change = Change::Selected;
        }
    }

    /// E37 7.7, reason 3.
    const fn not_open(&mut self) {
        self.step.reject(RejectReason::TRANSACTION_NOT_OPEN);
    }
}

/// A message was received.
#[inline(never)]
pub(super) fn judge(
    to: &mut SessionStep,
    at: Situation,
    message: &Received,
    session: Session,
    max_message: u32,
    skip_limit: u32,
) {
    let length = message.body_len.saturating_add(crate::wire::MIN_LENGTH);
    if length > max_message {
        too_long(to, at, message, session, length, (max_message, skip_limit));
    } else {
        of_message(to, at, message, session);
    }
}

/// A message of acceptable length was received.
#[cfg(test)]
pub(super) fn received(at: Situation, message: &Received, session: Session) -> SessionStep {
    let mut to = SessionStep::NOTHING;
    of_message(&mut to, at, message, session);
    to
}

/// Into the one step, as in `transition`.
#[inline(never)]
fn of_message(to: &mut SessionStep, at: Situation, message: &Received, session: Session) {
    match message.kind {
        Ok(Kind::Data { stream_function, .. }) => data(&mut to.step, message, session, stream_function),
        Ok(Kind::RejectReq { reason, .. }) => reject(to, at, message, session, reason),
        // E37 9.3.3.
        Ok(_) if message.body_len != 0 => transition::with_text(&mut to.step, at.strict, message),
        // E37 9.2.4 option a.
        Ok(Kind::SelectReq) if at.refusing => {
            to.step.answer = Answer::Select(SelectStatus::COMMUNICATION_ALREADY_ACTIVE);
            to.step.next = Next::Close(CloseReason::CallerRefused);
        }
        Ok(Kind::SelectReq) => select_req(to, session),
        Ok(Kind::SelectRsp(status)) => select_rsp(to, message, session, status),
        Ok(Kind::DeselectReq) => deselect_req(to, session),
        Ok(Kind::DeselectRsp(status)) => deselect_rsp(to, message, session, status),
        // E37 7.5: whatever the state.
        Ok(Kind::LinktestReq) => to.step.answer = Answer::Linktest,
        Ok(Kind::LinktestRsp) if message.matched == Matched::Control(ControlRequest::Linktest) => {
            to.step.report = Report::ControlAnswered;
        }
        Ok(Kind::LinktestRsp) => to.not_open(),
        // E37 7.6, E37.2 7.6.
        Ok(Kind::SeparateReq) if session.selected => to.change = Change::Ended(SessionEnd::SeparateReceived),
        Ok(Kind::SeparateReq) => {}
        // E37 7.7, reasons 1 and 2.
        Err(reason) => to.step.reject(reason),
    }
}

/// A message longer than accepted was announced. While NOT SELECTED that closes, as in HSMS-SS, whatever session it is for.
#[cold]
pub(super) fn too_long(
    to: &mut SessionStep,
    at: Situation,
    message: &Received,
    session: Session,
    length: u32,
    limits: (u32, u32),
) {
    transition::too_long(&mut to.step, at, message, length, limits.0, limits.1);
    if matches!(message.kind, Ok(Kind::Data { .. })) && !session.selected {
        // There is no session for an S9F11 either.
        to.step.answer = Answer::None;
        if matches!(to.step.next, Next::Stay) {
            // Whatever its length, it is for a session that there is not.
            to.step.report = Report::None;
            to.step.reject(RejectReason::ENTITY_NOT_SELECTED);
        }
    }
}

/// E37.2 7.3: data belongs to a selected session, or is rejected.
const fn data(step: &mut Step, message: &Received, session: Session, stream_function: StreamFunction) {
    if session.selected {
        step.class = message.class_of_data(stream_function);
    } else {
        step.reject(RejectReason::ENTITY_NOT_SELECTED);
    }
}

/// E37.2 7.2, in the order of its clauses.
const fn select_req(to: &mut SessionStep, session: Session) {
    let simultaneous = matches!(session.requested, Some(ControlRequest::Select));
    let status = match session.admission {
        _ if !session.offered && !simultaneous && !session.selected => SelectStatus::NO_SUCH_ENTITY,
        _ if session.selected => SelectStatus::ENTITY_SELECTED,
        // E37 7.2.3: both ends select the same at once, and both accept.
        _ if simultaneous => SelectStatus::COMMUNICATION_ESTABLISHED,
        // The answer to an earlier one is not decided yet.
        _ if session.asked => SelectStatus::CONNECTION_NOT_READY,
        Admission::Always => SelectStatus::COMMUNICATION_ESTABLISHED,
        Admission::Ask => {
            to.change = Change::Ask;
            return;
        }
        Admission::Refuse(status) => status,
    };
    to.answer_select(status);
}

/// A Select.req is answered with this status.
pub(super) const fn answer_select(status: SelectStatus) -> SessionStep {
    let mut to = SessionStep::NOTHING;
    to.answer_select(status);
    to
}

/// E37 7.2.1: where it fails, nothing changes.
fn select_rsp(to: &mut SessionStep, message: &Received, session: Session, status: SelectStatus) {
    if message.matched != Matched::Control(ControlRequest::Select) {
        return to.not_open();
    }
    to.over(match status {
        // The session has begun otherwise since, and may even have ended again.
        _ if session.requested.is_none() => Change::None,
        SelectStatus::COMMUNICATION_ESTABLISHED => Change::Selected,
        status => Change::Refused(SessionRefusal::Select(status)),
    });
}

/// E37 7.4.2, 7.4.3; E37.2 7.4.
const fn deselect_req(to: &mut SessionStep, session: Session) {
    let simultaneous = matches!(session.requested, Some(ControlRequest::Deselect));
    let status = if !session.selected {
        DeselectStatus::COMMUNICATION_NOT_ESTABLISHED
    } else if session.busy && !simultaneous {
        DeselectStatus::COMMUNICATION_BUSY
    } else {
        to.change = Change::Ended(SessionEnd::DeselectReceived);
        DeselectStatus::COMMUNICATION_ENDED
    };
    to.step.answer = Answer::Deselect(status);
}

/// E37 7.4.1: where it fails, nothing changes.
fn deselect_rsp(to: &mut SessionStep, message: &Received, session: Session, status: DeselectStatus) {
    if message.matched != Matched::Control(ControlRequest::Deselect) {
        return to.not_open();
    }
    to.over(match status {
        // The session has ended otherwise since, and may even have begun again.
        _ if session.requested.is_none() => Change::None,
        DeselectStatus::COMMUNICATION_ENDED => Change::Ended(SessionEnd::Deselected),
        status => Change::Refused(SessionRefusal::Deselect(status)),
    });
}

/// E37 7.7. A Reject.req is never answered.
fn reject(to: &mut SessionStep, at: Situation, message: &Received, session: Session, reason: RejectReason) {
    let refused = match message.matched {
        Matched::Control(ControlRequest::Select) => SessionRefusal::SelectRejected(reason),
        Matched::Control(ControlRequest::Deselect) => SessionRefusal::DeselectRejected(reason),
        _ => return transition::reject(&mut to.step, at, message, reason),
    };
    if !transition::reject_text(&mut to.step, at, message) {
        return;
    }
    to.over(if session.requested.is_none() { Change::None } else { Change::Refused(refused) });
}
