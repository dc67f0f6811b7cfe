//! What a header means.

use super::{DeselectStatus, RejectReason, SelectStatus};
use core::fmt;

/// Stream and function of a SECS-II message (E5 3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StreamFunction {
    /// Stream, 0 to 127; stream 0 is never used by the standard.
    pub stream: u8,
    /// Function, 0 to 255: odd for a primary, even for a reply, 0 for an abort.
    pub function: u8,
}

impl StreamFunction {
    /// Stream `stream`, function `function`. Of a stream above 127 the top bit is lost when it is encoded.
    #[must_use]
    pub const fn new(stream: u8, function: u8) -> Self {
        StreamFunction { stream, function }
    }

    /// Whether this is a primary message: its function is odd (E37 7.3).
    #[must_use]
    pub const fn is_primary(self) -> bool {
        self.function & 1 == 1
    }

    /// Whether this aborts a transaction: function 0 (E5 7.4).
    #[must_use]
    pub const fn is_abort(self) -> bool {
        self.function == 0
    }

    /// The reply that belongs to this primary: the function after it. Of a message that is no primary, `None`.
    #[must_use]
    pub const fn reply(self) -> Option<StreamFunction> {
        if self.is_primary() { Some(StreamFunction::new(self.stream, self.function.wrapping_add(1))) } else { None }
    }

    /// The message that aborts a transaction in this stream: function 0.
    #[must_use]
    pub const fn abort(self) -> StreamFunction {
        StreamFunction::new(self.stream, 0)
    }
}

/// The field's spelling: `S1F13`.
impl fmt::Display for StreamFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S{}F{}", self.stream, self.function)
    }
}

impl fmt::Debug for StreamFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for StreamFunction {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "S{}F{}", self.stream, self.function);
    }
}

/// The messages that E37 defines, with what their headers carry beside session id and system bytes (E37 8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Kind {
    /// A SECS-II primary or reply.
    Data {
        /// Its stream and function.
        stream_function: StreamFunction,
        /// The W-bit: the sender of a primary waits for a reply.
        reply_expected: bool,
    },
    /// Asks for selection.
    SelectReq,
    /// Answers a Select.req.
    SelectRsp(SelectStatus),
    /// Asks to end the selection.
    DeselectReq,
    /// Answers a Deselect.req.
    DeselectRsp(DeselectStatus),
    /// Asks for a sign of life.
    LinktestReq,
    /// Answers a Linktest.req.
    LinktestRsp,
    /// Refuses a message.
    RejectReq {
        /// PType of the refused message where the reason is 2, else its SType.
        offender: u8,
        /// Why it was refused.
        reason: RejectReason,
    },
    /// Ends the session at once; there is no answer.
    SeparateReq,
}

/// What a message asks for that wants an answer (E37 7): see [`Header::begins`](super::Header::begins).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TransactionKind {
    /// A primary with the W-bit: its reply (E37 7.3).
    Data,
    /// Select.req: Select.rsp (E37 7.2).
    Select,
    /// Deselect.req: Deselect.rsp (E37 7.4).
    Deselect,
    /// Linktest.req: Linktest.rsp (E37 7.5).
    Linktest,
}

impl Kind {
    /// The name of the message in the standard's terms, as `Debug` of a header prints it: `SelectReq`, `StreamFunction`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Data { .. } => "StreamFunction",
            Kind::SelectReq => "SelectReq",
            Kind::SelectRsp(_) => "SelectRsp",
            Kind::DeselectReq => "DeselectReq",
            Kind::DeselectRsp(_) => "DeselectRsp",
            Kind::LinktestReq => "LinktestReq",
            Kind::LinktestRsp => "LinktestRsp",
            Kind::RejectReq { .. } => "RejectReq",
            Kind::SeparateReq => "SeparateReq",
        }
    }
}
