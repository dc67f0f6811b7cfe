//! HSMS (SEMI E37) on embedded TCP stacks: one task per connection over any `embedded-io-async` stream, time from `embassy-time`, no
//! allocation.
#![no_std]
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
        clippy::cast_possible_wrap,
        clippy::cognitive_complexity,
        clippy::too_many_lines
    )
)]

mod answer;
mod clock;
mod error;
mod general;
mod link;
mod log;
#[cfg(feature = "net")]
pub mod net;
mod opener;
mod receive;
mod run;
mod send;
mod state;

pub use answer::{Answer, Reply};
pub use error::Error;
pub use link::{Buffers, Limits, Link, Storage, StorageTooSmall, Told};
pub use opener::{OpenFailed, Opener};
pub use receive::{Incoming, Primary};
pub use send::{RequestWriter, Writer};

pub use hsms_core::{self, Config, config::DeviceId, wire::StreamFunction};
