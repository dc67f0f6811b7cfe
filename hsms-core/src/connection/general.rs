//! Every transition of HSMS-GS that is not one of HSMS-SS: what becomes of a session when a message about it comes.
//!
//! The rules of `transition` hold here as well: whatever moves a session stands in this file, and it knows neither the clock
//! nor octets. Clause numbers are those of E37-0303 and E37.2-95.

use super::session::Admission;
use super::transition::{self, Answer, Matched, Next, Received, Report, Situation, Step};
use super::{Class, CloseReason, ControlRequest, Leniency, SessionEnd, SessionRefusal, Stray};
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

/// A message of acceptable length was received.
#[inline(never)]
pub(super) fn received(at: Situation, message: &Received, session: Session) -> SessionStep {
    match message.kind {
        Ok(Kind::Data { stream_function, .. }) => only(data(message, session, stream_function)),
        Ok(Kind::RejectReq { reason, .. }) => reject(at, message, session, reason),
        Ok(_) if message.body_len != 0 => only(with_text(at, message)),
        // E37 9.2.4 option a.
        Ok(Kind::SelectReq) if at.refusing => only(
            Step::answer(Answer::Select(SelectStatus::COMMUNICATION_ALREADY_ACTIVE))
                .then(Next::Close(CloseReason::CallerRefused)),
        ),
        Ok(Kind::SelectReq) => select_req(session),
        Ok(Kind::SelectRsp(status)) => select_rsp(message, session, status),
        Ok(Kind::DeselectReq) => deselect_req(session),
        Ok(Kind::DeselectRsp(status)) => deselect_rsp(message, session, status),
        // E37 7.5: whatever the state.
        Ok(Kind::LinktestReq) => answer(Answer::Linktest),
        Ok(Kind::LinktestRsp) if message.matched == Matched::Control(ControlRequest::Linktest) => {
            only(transition::NOTHING.report(Report::ControlAnswered))
        }
        Ok(Kind::LinktestRsp) => not_open(),
        // E37 7.6, E37.2 7.6.
        Ok(Kind::SeparateReq) if session.selected => {
            change(transition::NOTHING, Change::Ended(SessionEnd::SeparateReceived))
        }
        Ok(Kind::SeparateReq) => only(transition::NOTHING),
        // E37 7.7, reasons 1 and 2.
        Err(reason) => only(Step::reject(reason)),
    }
}

/// A message longer than accepted was announced. While NOT SELECTED that closes, as in HSMS-SS, whatever session it is for.
#[cold]
pub(super) fn too_long(
    at: Situation,
    message: &Received,
    session: Session,
    length: u32,
    limits: (u32, u32),
) -> SessionStep {
    let step = transition::too_long(at, message, length, limits.0, limits.1);
    let unselected = matches!(message.kind, Ok(Kind::Data { .. })) && !session.selected;
    only(match step.next {
        // Whatever its length, it is for a session that there is not.
        Next::Stay if unselected => Step::reject(RejectReason::ENTITY_NOT_SELECTED),
        // There is no session for an S9F11 either.
        _ if unselected => Step { answer: Answer::None, ..step },
        _ => step,
    })
}

const fn only(step: Step) -> SessionStep {
    change(step, Change::None)
}

const fn answer(answer: Answer) -> SessionStep {
    only(Step::answer(answer))
}

const fn change(step: Step, change: Change) -> SessionStep {
    SessionStep { step, answered: false, change }
}

/// Our request about the session is over.
const fn over(change: Change) -> SessionStep {
    SessionStep { step: transition::NOTHING, answered: true, change }
}

/// E37 7.7, reason 3.
const fn not_open() -> SessionStep {
    only(Step::reject(RejectReason::TRANSACTION_NOT_OPEN))
}

/// E37.2 7.3: data belongs to a selected session, or is rejected.
fn data(message: &Received, session: Session, stream_function: StreamFunction) -> Step {
    if !session.selected {
        return Step::reject(RejectReason::ENTITY_NOT_SELECTED);
    }
    if stream_function.is_primary() {
        return Step { class: Class::Primary, ..transition::NOTHING };
    }
    match message.matched {
        Matched::Reply => Step { class: Class::Reply, ..transition::NOTHING },
        Matched::Primary => Step::stray(Stray::Mismatched),
        Matched::Ended => Step::stray(Stray::Late),
        Matched::Control(_) | Matched::Nothing => Step::stray(Stray::Orphan),
    }
}

/// E37 9.3.3.
fn with_text(at: Situation, message: &Received) -> Step {
    let (stype, body_len) = (message.stype, message.body_len);
    if at.strict {
        return Step::close(CloseReason::ControlText { stype, body_len });
    }
    Step::reject(RejectReason::STYPE_NOT_SUPPORTED).lenient(Leniency::ControlText { stype, body_len })
}

/// E37.2 7.2, in the order of its clauses.
const fn select_req(session: Session) -> SessionStep {
    let simultaneous = matches!(session.requested, Some(ControlRequest::Select));
    let status = match session.admission {
        _ if !session.offered && !simultaneous && !session.selected => SelectStatus::NO_SUCH_ENTITY,
        _ if session.selected => SelectStatus::ENTITY_SELECTED,
        // E37 7.2.3: both ends select the same at once, and both accept.
        _ if simultaneous => SelectStatus::COMMUNICATION_ESTABLISHED,
        // The answer to an earlier one is not decided yet.
        _ if session.asked => SelectStatus::CONNECTION_NOT_READY,
        Admission::Always => SelectStatus::COMMUNICATION_ESTABLISHED,
        Admission::Ask => return change(transition::NOTHING, Change::Ask),
        Admission::Refuse(status) => status,
    };
    answer_select(status)
}

/// A Select.req is answered with this status.
pub(super) const fn answer_select(status: SelectStatus) -> SessionStep {
    let selects = matches!(status, SelectStatus::COMMUNICATION_ESTABLISHED);
    change(Step::answer(Answer::Select(status)), if selects { Change::Selected } else { Change::None })
}

/// E37 7.2.1: where it fails, nothing changes.
fn select_rsp(message: &Received, session: Session, status: SelectStatus) -> SessionStep {
    if message.matched != Matched::Control(ControlRequest::Select) {
        return not_open();
    }
    match status {
        // The session has begun otherwise since, and may even have ended again.
        _ if session.requested.is_none() => over(Change::None),
        SelectStatus::COMMUNICATION_ESTABLISHED => over(Change::Selected),
        status => over(Change::Refused(SessionRefusal::Select(status))),
    }
}

/// E37 7.4.2, 7.4.3; E37.2 7.4.
const fn deselect_req(session: Session) -> SessionStep {
    let simultaneous = matches!(session.requested, Some(ControlRequest::Deselect));
    if !session.selected {
        return answer(Answer::Deselect(DeselectStatus::COMMUNICATION_NOT_ESTABLISHED));
    }
    if session.busy && !simultaneous {
        return answer(Answer::Deselect(DeselectStatus::COMMUNICATION_BUSY));
    }
    let step = Step::answer(Answer::Deselect(DeselectStatus::COMMUNICATION_ENDED));
    change(step, Change::Ended(SessionEnd::DeselectReceived))
}

/// E37 7.4.1: where it fails, nothing changes.
fn deselect_rsp(message: &Received, session: Session, status: DeselectStatus) -> SessionStep {
    if message.matched != Matched::Control(ControlRequest::Deselect) {
        return not_open();
    }
    match status {
        // The session has ended otherwise since, and may even have begun again.
        _ if session.requested.is_none() => over(Change::None),
        DeselectStatus::COMMUNICATION_ENDED => over(Change::Ended(SessionEnd::Deselected)),
        status => over(Change::Refused(SessionRefusal::Deselect(status))),
    }
}

/// E37 7.7. A Reject.req is never answered.
fn reject(at: Situation, message: &Received, session: Session, reason: RejectReason) -> SessionStep {
    let refused = match message.matched {
        Matched::Control(ControlRequest::Select) => SessionRefusal::SelectRejected(reason),
        Matched::Control(ControlRequest::Deselect) => SessionRefusal::DeselectRejected(reason),
        _ => return only(transition::reject(at, message, reason)),
    };
    let step = transition::reject(at, &Received { matched: Matched::Nothing, ..*message }, reason);
    if let Next::Close(_) = step.next {
        return only(step);
    }
    let step = step.report(Report::None);
    let moot = session.requested.is_none();
    SessionStep { step, answered: true, change: if moot { Change::None } else { Change::Refused(refused) } }
}
