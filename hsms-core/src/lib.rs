//! HSMS (SEMI E37) without an operating system: messages, and the connection state machine of HSMS-SS (E37.1).
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_possible_wrap
    )
)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod collect;
pub mod config;
pub mod connection;
pub mod counters;
pub mod error;
pub mod frame;
pub mod time;
pub mod wire;

pub use config::Config;
pub use connection::Connection;
pub use error::Error;
