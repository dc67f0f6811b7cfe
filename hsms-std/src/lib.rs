//! HSMS on std sockets.

mod blocking;
pub mod clock;
pub mod driver;
mod error;
mod incoming;
mod options;
pub mod tcp;
mod trace;
pub mod transport;

pub use blocking::Connection;
pub use driver::Dropped;
pub use error::Error;
pub use hsms_core as core;
pub use hsms_core::config::{Config, DeviceId, DeviceIds};
pub use hsms_core::connection::{CloseReason, Notice, ReplyToken, State, TransactionEnd};
pub use hsms_core::counters::Counters;
pub use hsms_core::error::Fault;
pub use hsms_core::wire::{Header, Message, StreamFunction, SystemBytes};
pub use incoming::{Answer, Incoming};
pub use options::Options;
