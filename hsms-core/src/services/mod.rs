//! Service messages on top of HSMS data messages, and the dispatch of these and of ordinary SECS-II primaries.
//!
//! A [`ServiceMessage`] travels in one stream, [`DEFAULT_STREAM`] unless agreed otherwise, under the function that is its service id
//! plus 1: each request is a primary and each response its secondary. [`Services`] knows which services and data ids there are, and
//! what they are called; a [`Table`] finds the value that belongs to a message, a handler or what the caller has in its place.

mod message;
mod registry;
mod table;

pub use message::{DEFAULT_STREAM, Pair, PairError, ServiceId, ServiceMessage, Status};
pub use registry::{RegisterError, Services};
pub use table::{FunctionTable, ServiceTable, Table, TableFull, Unhandled, UnhandledPolicy};
