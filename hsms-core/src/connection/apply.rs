//! The machine as one pure function, for recording, replay, fuzzing and model checking.

use super::{Admission, Connection, Event, General, Inbound, ReplyToken, Sessions, Stream9};
use crate::config::{DeviceId, DeviceIds};
use crate::error::Error;
use crate::time::Instant;
use crate::wire::{Header, PREFIX_LEN, SelectStatus, SessionId, StreamFunction, SystemBytes};

/// Everything that can be told to a connection: one variant per input and command, with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input<'i> {
    /// [`Connection::handle`].
    Handle(Event),
    /// [`Connection::receive`].
    Receive(&'i [u8]),
    /// [`Connection::enable`].
    Enable,
    /// [`Connection::disable`].
    Disable,
    /// [`Connection::separate`].
    Separate,
    /// [`Connection::select`]; refused where sessions are selected one by one.
    Select,
    /// [`Connection::linktest`].
    Linktest,
    /// [`Connection::begin_primary`].
    BeginPrimary {
        /// Device id.
        device: DeviceId,
        /// Stream and function.
        stream_function: StreamFunction,
        /// The W-bit.
        reply_expected: bool,
        /// Octets of the text.
        body_len: u32,
    },
    /// [`Connection::begin_reply`].
    BeginReply {
        /// Which primary.
        token: ReplyToken,
        /// Octets of the text.
        body_len: u32,
    },
    /// [`Connection::begin_abort`].
    BeginAbort {
        /// Which primary.
        token: ReplyToken,
    },
    /// [`Connection::end_body`].
    EndBody,
    /// [`Connection::abort_body`].
    AbortBody,
    /// [`Connection::written`].
    Written {
        /// How many octets more.
        octets: u64,
    },
    /// [`Connection::forget`].
    Forget {
        /// Which transaction.
        system: SystemBytes,
    },
    /// [`Connection::pause_input`].
    PauseInput,
    /// [`Connection::resume_input`].
    ResumeInput,
    /// [`Connection::set_device_ids`].
    SetDeviceIds(DeviceIds),
    /// [`Connection::set_next_system_bytes`].
    SetNextSystemBytes(SystemBytes),
    /// [`Connection::report_error`].
    ReportError {
        /// Which error.
        error: Stream9,
        /// Header of the message at fault.
        about: Header,
    },
}

/// Everything that can be told to a connection with a list of session entities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GeneralInput<'i> {
    /// What can be told to any connection.
    Common(Input<'i>),
    /// [`Connection::select_session`].
    SelectSession(SessionId),
    /// [`Connection::deselect_session`].
    DeselectSession(SessionId),
    /// [`Connection::separate_session`].
    SeparateSession(SessionId),
    /// [`Connection::answer_select`].
    AnswerSelect {
        /// Which session.
        session: SessionId,
        /// With what.
        status: SelectStatus,
    },
    /// [`Connection::set_admission`].
    SetAdmission {
        /// Which session.
        session: SessionId,
        /// What from now on.
        admission: Admission,
    },
    /// [`Connection::set_busy`].
    SetBusy {
        /// Which session.
        session: SessionId,
        /// Whether it is.
        busy: bool,
    },
    /// [`Connection::begin_primary_in`].
    BeginPrimaryIn {
        /// Which session.
        session: SessionId,
        /// Stream and function.
        stream_function: StreamFunction,
        /// The W-bit.
        reply_expected: bool,
        /// Octets of the text.
        body_len: u32,
    },
}

/// What an [`Input`] or a [`GeneralInput`] gave back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'i> {
    /// Done; there is nothing to give.
    Done,
    /// Octets were taken, and made a piece of a message perhaps.
    Received {
        /// How many.
        taken: usize,
        /// The piece.
        inbound: Option<Inbound<'i>>,
    },
    /// A control request was queued, or was open already.
    Requested {
        /// Its system bytes.
        system: SystemBytes,
    },
    /// A message was begun.
    Begun {
        /// System bytes of a primary; `None` for a reply.
        system: Option<SystemBytes>,
        /// The octets in front of its text.
        prefix: [u8; PREFIX_LEN],
    },
    /// Refused; nothing has changed.
    Refused(Error),
}

/// Tells `input` to `connection`. The methods are this function's typed face.
pub fn apply<'i, const TRANSACTIONS: usize, S: Sessions>(
    connection: &mut Connection<TRANSACTIONS, S>,
    now: Instant,
    input: Input<'i>,
) -> Outcome<'i> {
    let begun = |system: Option<SystemBytes>, prefix| Outcome::Begun { system, prefix };
    let outcome = match input {
        Input::Handle(event) => connection.handle(now, event).map(|()| Outcome::Done),
        Input::Receive(octets) => {
            connection.receive(now, octets).map(|(taken, inbound)| Outcome::Received { taken, inbound })
        }
        Input::Enable => connection.enable(now).map(|()| Outcome::Done),
        Input::Disable => connection.disable(now).map(|()| Outcome::Done),
        Input::Separate => connection.separate(now).map(|()| Outcome::Done),
        Input::Select => S::select(connection, now).map(|system| Outcome::Requested { system }),
        Input::Linktest => connection.linktest(now).map(|system| Outcome::Requested { system }),
        Input::BeginPrimary { device, stream_function, reply_expected, body_len } => connection
            .begin_primary(now, device, stream_function, reply_expected, body_len)
            .map(|(system, prefix)| begun(Some(system), prefix)),
        Input::BeginReply { token, body_len } => {
            connection.begin_reply(now, &token, body_len).map(|prefix| begun(None, prefix))
        }
        Input::BeginAbort { token } => connection.begin_abort(now, &token).map(|prefix| begun(None, prefix)),
        Input::EndBody => connection.end_body(now).map(|()| Outcome::Done),
        Input::AbortBody => connection.abort_body(now).map(|()| Outcome::Done),
        Input::Written { octets } => connection.written(now, octets).map(|()| Outcome::Done),
        Input::Forget { system } => connection.forget(system).map(|()| Outcome::Done),
        Input::PauseInput => connection.pause_input(now).map(|()| Outcome::Done),
        Input::ResumeInput => connection.resume_input(now).map(|()| Outcome::Done),
        Input::SetDeviceIds(device_ids) => {
            connection.set_device_ids(device_ids);
            Ok(Outcome::Done)
        }
        Input::SetNextSystemBytes(system) => {
            connection.set_next_system_bytes(system);
            Ok(Outcome::Done)
        }
        Input::ReportError { error, about } => connection.report_error(now, error, &about).map(|()| Outcome::Done),
    };
    outcome.unwrap_or_else(Outcome::Refused)
}

/// Tells `input` to `connection`, as [`apply`] does.
pub fn apply_general<'i, const TRANSACTIONS: usize, const N: usize>(
    connection: &mut Connection<TRANSACTIONS, General<N>>,
    now: Instant,
    input: GeneralInput<'i>,
) -> Outcome<'i> {
    let requested = |system| Outcome::Requested { system };
    let outcome = match input {
        GeneralInput::Common(input) => return apply(connection, now, input),
        GeneralInput::SelectSession(session) => connection.select_session(now, session).map(requested),
        GeneralInput::DeselectSession(session) => connection.deselect_session(now, session).map(requested),
        GeneralInput::SeparateSession(session) => connection.separate_session(now, session).map(|()| Outcome::Done),
        GeneralInput::AnswerSelect { session, status } => {
            connection.answer_select(now, session, status).map(|()| Outcome::Done)
        }
        GeneralInput::SetAdmission { session, admission } => {
            connection.set_admission(session, admission).map(|()| Outcome::Done)
        }
        GeneralInput::SetBusy { session, busy } => connection.set_busy(session, busy).map(|()| Outcome::Done),
        GeneralInput::BeginPrimaryIn { session, stream_function, reply_expected, body_len } => connection
            .begin_primary_in(now, session, stream_function, reply_expected, body_len)
            .map(|(system, prefix)| Outcome::Begun { system: Some(system), prefix }),
    };
    outcome.unwrap_or_else(Outcome::Refused)
}
