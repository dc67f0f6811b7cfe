//! What a line and a peer can make a program suffer, at will: for tests.
//!
//! A host that has only met good equipment on a good network has not been tested. This module splits, delays, cuts, corrupts,
//! swallows, inserts, duplicates and loses octets between two programs, and plays peers that say anything at any time:
//!
//! ```no_run
//! use hsms_std::faults::{At, Fault, Plan, Plans, Proxy};
//! use std::time::Duration;
//!
//! // Half of the second message reaches the tool; then the line is cut. Every other connection is slow and in pieces.
//! let slow = Plan::of([Fault::split_randomly(1..=9), Fault::Latency { by: Duration::from_millis(20) }]).seeded(42);
//! let cut = Plan::from(Fault::Cut { at: At::Message { number: 1, octet: 7 } });
//! println!("first {cut}; then {slow}");
//! let proxy = Proxy::start("127.0.0.1:0", "127.0.0.1:5000", move |connection| match connection {
//!     0 => Plans::out(cut.clone()),
//!     _ => Plans::both(slow.clone()),
//! })?;
//! println!("let the host dial {}", proxy.local_addr());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! | type | what it is |
//! |---|---|
//! | [`Fault`], [`At`], [`Plan`], [`Plans`] | what happens, and where: data that prints itself |
//! | [`Line`] | one direction of a connection, which makes it happen: no I/O, no clock |
//! | [`pipe`] | a connection in memory between two transports |
//! | [`Faulty`] | a wrapper around any [`Transport`](crate::transport::Transport) |
//! | [`Proxy`] | a TCP proxy, for programs that know nothing of it |
//! | [`Peer`], [`Transcript`] | a peer that says what it is told to, and keeps what was said |
//! | [`Rules`], [`Rule`] | what such a peer does by itself: no I/O |
//! | `broken` (feature `conformance`) | peers with faults that have been met in the field, and the rules that catch them |
//!
//! A plan and the same octets give the same octets and pieces: chance goes by the plan's seed. Positions count what the writer
//! writes, so that they do not depend on how the system divides it. A fault whose place is never reached is told by
//! [`Report`]: look there, or a test may pass because nothing happened.

#[cfg(feature = "conformance")]
pub mod broken;
mod faulty;
mod line;
mod peer;
mod pipe;
mod plan;
mod proxy;
mod rules;
mod transcript;

pub use faulty::{Faulty, Step};
pub use line::{Line, Out, Report};
pub use peer::{Peer, PeerError};
pub use pipe::{Pipe, pipe};
pub use plan::{At, End, Fault, Plan, Plans, Sizes};
pub use proxy::{Passage, Proxy};
pub use rules::{Deed, Frame, Rule, Rules};
pub use transcript::{Entry, Transcript, What};
