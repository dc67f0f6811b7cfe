//! HSMS (SEMI E37) for everything from a microcontroller to a server: the messages, and the connection state machine of
//! HSMS-SS (E37.1) and HSMS-GS (E37.2), without an operating system.
//!
//! The crate is `no_std`, allocates nothing, contains no `unsafe` and no clock, opens no socket and writes no log. Octets and
//! events go in, [actions](connection::Action) come out, and one [deadline](Connection::next_deadline) says when to come
//! back. An adapter around it moves octets, keeps the clock and carries the actions out; `hsms-std` is one, and the loop
//! below is all that another runtime needs.
//!
//! | module | what it holds |
//! |---|---|
//! | [`wire`] | headers, codes, whole messages |
//! | [`frame`] | an octet stream into messages, texts as slices of the caller's input |
//! | [`collect`] | whole messages in storage that the caller lends |
//! | [`config`] | settings, always valid |
//! | [`connection`] | the state machine |
//! | [`counters`] | counts, kept outside the machine |
//! | `secs2` (feature) | SECS-II items: read, written, printed |
//! | `services` (feature) | service messages, dispatch |
//! | [`time`] | points in time that the caller supplies |
//! | [`error`] | what a call can be refused with, and who is at fault |
//! | `generate` (feature) | values and sequences of inputs to test with |
//!
//! Features, none by default: `alloc` (whole messages in a `Vec`), `secs2` (SECS-II items), `services` (service messages and dispatch),
//! `auth` (trusted connections; brings `services`), `defmt` (`defmt::Format` on every value), `serde` (settings that survive a restart),
//! `model` (for model checkers only: timers that fire at will, relative time, renamed system bytes), `arbitrary` and `proptest` (generators
//! for tests; they need std and bring `alloc` along).
//!
//! Clause numbers in the documentation are those of E37-0303, E37.1-0702 and E37.2-95.
#![doc = include_str!("../docs/run-loop.md")]
#![doc = ""]
#![doc = include_str!("../docs/states.md")]
#![doc = ""]
#![doc = include_str!("../docs/footprint.md")]
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
#[cfg(feature = "arbitrary")]
pub mod generate;
#[cfg(feature = "secs2")]
pub mod secs2;
#[cfg(feature = "services")]
pub mod services;
pub mod time;
pub mod wire;

pub use config::Config;
pub use connection::Connection;
pub use error::Error;
