//! A tap: whoever looks on at everything that goes over a link, both ways, with its time.
//!
//! A [`Tap`] is set with [`Connection::with_tap`](crate::Connection::with_tap) or [`Driver::with_tap`](crate::driver::Driver::with_tap); for a
//! manager (feature `manager`) with its settings, for all peers or for one. `capture::Capture` (feature `capture`) is a tap that writes
//! files for Wireshark. Without a tap nothing of this costs more than a branch.
//!
//! ```
//! use hsms_std::tap::{Direction, Tap, Tapped, What};
//! use hsms_std::{Config, Connection, DeviceId};
//! use std::sync::Arc;
//!
//! #[derive(Debug)]
//! struct Print;
//!
//! impl Tap for Print {
//!     fn tap(&self, tapped: &Tapped<'_>) {
//!         match tapped.what {
//!             What::Piece(piece) if piece.first => {
//!                 let arrow = if piece.direction == Direction::Sent { ">" } else { "<" };
//!                 println!("{:?} {arrow} {} and {} octets", tapped.time, piece.header, piece.body_len);
//!             }
//!             What::Piece(_) => {}
//!             other => println!("{:?} {other:?} {:?}", tapped.time, tapped.remote),
//!         }
//!     }
//! }
//!
//! let config = Config::equipment(DeviceId::new(0).unwrap());
//! let tool = Connection::passive("127.0.0.1:0", config)?.with_tap(Arc::new(Print));
//! # drop(tool);
//! # Ok::<(), hsms_std::Error>(())
//! ```

use hsms_core::config::ConnectMode;
use hsms_core::connection::CloseReason;
use hsms_core::wire::Header;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::time::SystemTime;

/// Sees what goes over a link.
///
/// It is called by the thread that serves the link, of a manager the one that serves all: while it runs, nothing is read or
/// written and no timer expires. It has to come back at once; whatever may have to wait goes to another thread. One that panics has told so
/// itself by that. It is not called again about that connection, also where a peer takes the connection over from callers, and harms it
/// no further; about other connections it is.
pub trait Tap: Debug + Send + Sync {
    /// Is called at each step, in order for each connection.
    fn tap(&self, tapped: &Tapped<'_>);
}

/// What is seen, and of which connection.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Tapped<'t> {
    /// When, by the system's clock, which may be set back.
    pub time: SystemTime,
    /// Tells connections apart: no two of a process have the same.
    pub connection: u64,
    /// The name of the peer. `None` where it has none, and for a caller of a manager until it is known whose it is.
    pub peer: Option<&'t str>,
    /// The own address, where the transport has one.
    pub local: Option<SocketAddr>,
    /// The peer's address, where the transport has one.
    pub remote: Option<SocketAddr>,
    /// What happened.
    pub what: What<'t>,
}

/// What happens to a connection.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum What<'t> {
    /// The transport is open. With TLS the handshake comes next, of which nothing is seen.
    Opened {
        /// Whether it was dialled or has called.
        mode: ConnectMode,
    },
    /// A message, or a part of one.
    Piece(Piece<'t>),
    /// The transport is closed. Always the last, and always told.
    Closed {
        /// Why. `None` where it was dropped, or another tap goes on with it.
        reason: Option<CloseReason>,
    },
}

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the peer.
    Received,
    /// To the peer.
    Sent,
}

/// A message, or a part of one. Pieces of one direction follow each other as they do in the stream.
///
/// What is sent is seen whole when it takes its place in the ordered output: how much of it has left is known to nobody but
/// the network. What is received is seen as it comes, before anything else is made of it; nothing of it is kept for a tap, so a long text
/// comes in pieces. Its header is as it stands in the stream, but for bit 15 of the session id of data, which is clear where that was
/// accepted (`direction_bit` among the [leniencies](hsms_core::counters::Leniencies)). Octets that are no message are not seen.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Piece<'t> {
    /// Which way it goes.
    pub direction: Direction,
    /// The header of its message, on every piece.
    pub header: Header,
    /// Octets of the whole text.
    pub body_len: u32,
    /// Where `octets` begin in the text.
    pub offset: u32,
    /// Of the text; empty where only the header has come, and in a message without text.
    pub octets: &'t [u8],
    /// It is the first of its message: the header has just come.
    pub first: bool,
    /// It is the last of its message.
    pub last: bool,
}
