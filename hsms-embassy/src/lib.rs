//! HSMS (SEMI E37) on embedded TCP stacks: one task per connection over any `embedded-io-async` stream, time from `embassy-time`,
//! storage that the caller lends, no allocation, no `unsafe`. A piece of equipment that answers each primary with an empty list:
//!
//! ```no_run
//! use embassy_sync::blocking_mutex::raw::NoopRawMutex;
//! use hsms_embassy::{Buffers, Config, DeviceId, Link, Opener, Primary};
//!
//! async fn equipment(listener: impl Opener) {
//!     let mut buffers = Buffers::<512, 1024, 1024>::new();
//!     let link = Link::<NoopRawMutex>::new(Config::equipment(DeviceId::new(7).unwrap()), buffers.lend()).unwrap();
//!     link.enable();
//!     let mut text = [0; 1024];
//!     let answer = async {
//!         loop {
//!             if let Ok(Primary { token: Some(token), .. }) = link.receive(&mut text).await {
//!                 let _ = link.reply(&token, b"\x01\x00").await; // Fails where the connection has ended.
//!             }
//!         }
//!     };
//!     embassy_futures::join::join(link.run(listener), answer).await;
//! }
//! ```
//!
//! With `embassy-net` (feature `net`) the listener is `net::Listen` around a `TcpSocket`. In firmware `buffers` and `link` lie in a
//! `StaticCell` each, `run` is awaited in a task of its own, and every other task has a `&'static Link`.
//!
//! The crate moves octets, keeps the clock and carries out what [`hsms_core::Connection`] asks for; it decides nothing about
//! the protocol. States, timers, the two profiles and the notices are described there.
//!
//! # What calls what
//!
//! | to | call |
//! |---|---|
//! | run the connection, in one task | [`Link::run`] with an [`Opener`]; [`Link::run_over`] with a stream that is open already |
//! | connect, and end it | [`Link::enable`], [`Link::disable`], [`Link::separate`] |
//! | ask and be answered, from any number of tasks | [`Link::request`], with a long text [`Link::begin_request`] |
//! | send without an answer | [`Link::send`], with a long text [`Link::begin_send`] |
//! | take the peer's primaries | [`Link::receive`], with a long text [`Link::next`] |
//! | answer them | [`Link::reply`], [`Link::abort`], with a long text [`Link::begin_reply`] |
//! | know what goes on | [`Link::state`], [`Link::reached`], [`Link::told`], [`Link::last_close`]; feature `defmt` logs it |
//! | dispatch to handlers, send with a deadline, prove a secret, establish communication | feature `services`: its module has an example |
//! | test the link | [`Link::linktest`]; the machine does it by itself every [`linktest_period`](hsms_core::Config::linktest_period) |
//!
//! Nothing is lost in silence. A call that sends ends when the transport has taken the message, or with an error; a primary of the
//! peer's that nobody takes is answered SxF0 where its sender waits, and [`Told::Dropped`] tells of it. What stands in the read buffer
//! behind that has not been looked at: where the connection ends before it is, [`Told::Closed`] is all that tells.
//!
//! # Dropping futures
//!
//! Each async function says whether it is cancel-safe. Nearly all are; what is not:
//!
//! | dropped | ends |
//! |---|---|
//! | a call that sends a text longer than half of the output, or a [`Writer`], in the middle of the text | the connection, with `BodyAborted`; the next one carries on |
//! | [`Link::receive`] of a text longer than the inbox, in the middle of it | that message: its sender gets SxF0 |
//! | an [`Answer`], or [`Answer::read_whole`] | that transaction: its reply is passed by |
//! | [`Link::run`] | the connection, as if its transport had ended; the next call carries on, with the same opener where it was lent |
//!
//! # Long texts
//!
//! Texts of any length go through small buffers in both directions, at the same time: an [`Incoming`], an [`Answer`] and a
//! [`Writer`] hand them on in pieces. Who reads slowly stops the peer through TCP, and T3, T6 and T8 stand still meanwhile. While that
//! lasts linktests are not answered, so [`Limits::unread`] bounds it.
//!
//! While a [`Writer`] is open the machine's own frames wait, of HSMS-SS six at most: see
//! [`CloseReason::OutputStalled`](hsms_core::connection::CloseReason::OutputStalled).
//!
//! # Settings that survive a restart
//!
//! With feature `serde` of `hsms-core` a [`Config`] can be kept in flash; what is loaded is valid or is refused. `examples/firmware/src/stored.rs`
//! in the repository does it with `postcard`, and an octet in front for the version of the layout.
//!
//! # Features
//!
//! None by default: `net` (connections of `embassy-net`), `services` (dispatch to handlers, service messages, establishing
//! communication), `auth` (the same with a secret that both ends prove), `defmt` (logs, and `defmt::Format` on every value).
//!
//! With `defmt` and `services` every line about a connection begins with its name, once that is known: `hsms: etcher: …`. The link keeps a
//! copy of it, 32 octets and a few more; without either feature it has none. Messages are logged twice at level `debug`: as they
//! are on the link, by their headers, and as the services see them, with the names of services, data ids, streams, functions and
//! statuses. What a handler answers is logged so by the task that runs the services, a moment after it went out.
#![doc = ""]
#![doc = include_str!("../docs/sizing.md")]
#![doc = ""]
#![doc = include_str!("../docs/board.md")]
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
#[cfg(feature = "services")]
pub mod services;
mod sizes;
mod state;

pub use answer::{Answer, Reply};
pub use error::Error;
pub use link::{Buffers, Limits, Link, Storage, StorageTooSmall, Told};
pub use opener::{OpenFailed, Opener};
pub use receive::{Incoming, Primary};
pub use send::{RequestWriter, Writer};

pub use hsms_core::{self, Config, config::DeviceId, wire::StreamFunction};
