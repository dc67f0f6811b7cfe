//! HSMS (SEMI E37; HSMS-SS by E37.1, HSMS-GS by E37.2) on std sockets: an adapter around [`hsms_core`], which decides everything about the
//! protocol.
//!
//! [`Connection`] is one end of a connection, active or passive, host or equipment. It blocks: everything happens in the
//! caller's thread, inside the calls, and there is no other thread. Its pages show a host and a piece of equipment.
//!
//! | module or type | what it holds |
//! |---|---|
//! | [`Connection`] | connect, request, send, reply, wait for what comes next |
//! | [`Incoming`] | what comes next: messages, ends of transactions, notices |
//! | [`Config`] | the settings of the protocol: role, timers, limits, tolerance |
//! | [`Options`] | the settings of the adapter: expected peer, keepalive, write limit, inbox |
//! | [`Error`] | what a call can end with, and who is at fault |
//! | [`driver`], [`transport`] | the same over any byte stream, such as TLS or a pipe in memory |
//! | [`security`] | who may call, how many may linger, TLS |
//! | [`tcp`], [`clock`] | TCP as such a stream; milliseconds since the start |
//! | [`tap`] | whoever looks on at everything that goes over a link |
//! | [`statement`] | what the standards ask an implementation to document |
//! | `manager` (feature) | any number of peers by name on one event loop, with delegates on worker threads |
//! | `scale` (feature `manager`) | how the manager scales to 10,000 connections, measured |
//! | [`speed`] | how fast one connection is, measured, also beside others |
//! | `services` (feature) | service messages and dispatch: closures as handlers, inbox, trusted connections, names |
//! | `coming_from` (features `manager` and `services`) | every name of secsgem and socket_protocol with its counterpart here |
//! | `capture` (feature) | a tap that writes files for Wireshark |
//! | `metrics` (feature) | what happens on links for the `metrics` facade |
//! | `tls` (feature) | TLS by rustls as a stream, and what its settings are made of |
//! | `conformance` (feature) | every duty of the standards as a row with a test, for ours and for other implementations |
//! | `faults` (feature) | what a link can suffer, made at will, and a scripted peer |
//!
//! # Security
//!
//! HSMS authenticates nobody, so whoever reaches the port is a peer. [`Security`] says who may call, how many callers may linger
//! while they are not selected, and that TLS is required; one value serves a [`Connection`] and the peers of a `manager`.
//!
//! ```
//! use hsms_std::{Config, Connection, DeviceId, Security};
//! use std::net::Ipv4Addr;
//!
//! // The network of the hosts, four callers of an address that are not selected, and a hundred of them in all.
//! let security = Security::new().with_allowed(["10.1.0.0/16".parse()?]).with_max_unselected(4, 100);
//! let tool = Connection::passive((Ipv4Addr::LOCALHOST, 0), Config::equipment(DeviceId::new(0).unwrap()))?;
//! let tool = tool.with_security(security)?;
//! assert_eq!(tool.callers_refused().total(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`security`] has the threats and what answers each; module `tls`, where its feature is on, an example with certificates of both ends.
//!
//! # Observability
//!
//! A [`tap`] sees every message both ways with its time; `capture` (feature) is one that writes pcapng for Wireshark. `metrics` (feature) tells the
//! counters, round-trip times and open transactions of each link to the `metrics` facade, with the name of its peer; `tracing`
//! (feature) logs in a span with that name. Peers of a manager have one; [`Connection::with_name`] gives one.
//!
//! # Features
//!
//! None by default: `tracing` (every message as an event of the target `hsms::message`, every notice as one of `hsms::connection`, in a
//! span `hsms` of the target `hsms` with the peer's name, in which the delegates of a manager run as well; with `services` what these do as
//! events of `hsms::services`, by the names of services, data ids and statuses, the names of messages in the field `names` of those of
//! `hsms::message`, while those of `hsms::connection` tell of messages by headers and system bytes, and the name of the connection in the field `channel` of the span, from when it is known), `serde` (settings that survive a restart), `secs2` (texts in the log as SML), `services`, `manager`, `tls`, `capture`, `metrics`, `conformance`,
//! `faults`.

mod blocking;
#[cfg(feature = "capture")]
pub mod capture;
pub mod clock;
#[cfg(all(feature = "manager", feature = "services"))]
#[doc = include_str!("../docs/coming_from.md")]
pub mod coming_from {}
#[cfg(feature = "conformance")]
pub mod conformance;
mod dial;
pub mod driver;
mod error;
#[cfg(feature = "faults")]
pub mod faults;
mod incoming;
#[cfg(feature = "manager")]
pub mod manager;
mod meter;
#[cfg(feature = "metrics")]
pub mod metrics;
mod options;
#[cfg(feature = "manager")]
#[doc = include_str!("../docs/scale.md")]
pub mod scale {}
#[doc = include_str!("../docs/loopback.md")]
#[doc = include_str!("../docs/peers.md")]
pub mod speed {}
pub mod security;
#[cfg(feature = "services")]
pub mod services;
#[doc = include_str!("../docs/statement.md")]
pub mod statement {}
pub mod tap;
pub mod tcp;
#[cfg(feature = "tls")]
pub mod tls;
mod trace;
pub mod transport;
mod watch;
mod words;

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
pub use security::Security;

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
