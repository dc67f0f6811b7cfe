//! The blocking adapter over real sockets, and the driver over scripted streams.

mod addresses;
mod callers;
mod conversation;
#[cfg(target_os = "linux")]
mod descriptors;
mod faults;
mod inbox;
mod large;
mod lifecycle;
mod scripted;
mod sessions;
mod settings;
mod support;
#[cfg(feature = "tracing")]
mod tracing;
