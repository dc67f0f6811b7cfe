//! The blocking adapter over real sockets, and the driver over scripted streams.

mod callers;
mod conversation;
mod faults;
mod inbox;
mod large;
mod lifecycle;
mod scripted;
mod settings;
mod support;
#[cfg(feature = "tracing")]
mod tracing;
