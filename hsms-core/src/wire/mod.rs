//! The octets of HSMS: headers, codes, and whole messages.
//!
//! Two layers. [`Header`] is the ten header octets as fields: it judges nothing and loses nothing, whatever came over the
//! wire. [`Kind`] is what a header means, and can only hold what E37 defines; [`Header::kind`] leads from one to the other
//! and says with which reason code a header has to be refused. [`Message`] is a header with its text.
//!
//! Code numbers ([`SelectStatus`], [`DeselectStatus`], [`RejectReason`], [`SType`], [`PType`]) keep values that no standard
//! names: decoding and encoding again gives the same octets for every frame.

mod header;
mod hex;
mod kind;
mod message;
pub(crate) mod parse;
mod status;

pub use header::{Header, SessionId, SystemBytes};
pub use hex::Hex;
pub use kind::{Kind, StreamFunction, TransactionKind};
pub(crate) use message::copy;
pub use message::{BodyTooLong, EncodeError, Message, ParseError};
pub use status::{DeselectStatus, PType, RejectReason, SType, SelectStatus};

/// Octets of the header (E37 8.1.4).
pub const HEADER_LEN: usize = 10;

/// Octets before the text of a message: the length field and the header (E37 8.1).
pub const PREFIX_LEN: usize = 14;

/// The smallest value of the length field: a header and no text (E37 8.1.3).
pub const MIN_LENGTH: u32 = 10;

/// The longest text that the 32-bit length field can announce, in octets.
pub const MAX_BODY_LEN: u32 = u32::MAX - MIN_LENGTH;
