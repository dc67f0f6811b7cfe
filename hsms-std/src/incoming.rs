//! What comes out of `next`.

use crate::security::Refusal;
use hsms_core::connection::{Class, CloseReason, Notice, ReplyToken, TransactionEnd};
use hsms_core::wire::{Header, Message, SystemBytes};
use std::io;
use std::net::SocketAddr;

/// A message or a notice, in the order in which things happened. Texts are borrowed from the connection's own storage.
#[derive(Debug)]
#[non_exhaustive]
pub enum Incoming<'a> {
    /// A primary from the peer.
    Primary {
        /// Header and text.
        message: Message<'a>,
        /// What [`reply`](crate::Connection::reply) needs; `None` where no reply is expected.
        token: Option<ReplyToken>,
    },
    /// The reply to a primary that was [posted](crate::Connection::post). Its transaction has ended.
    Reply {
        /// Header and text; the system bytes tell which primary it belongs to.
        message: Message<'a>,
    },
    /// The peer aborted the transaction of a primary that was posted: SxF0 (E5 7.4).
    Aborted {
        /// The header of the abort.
        header: Header,
    },
    /// The transaction of a primary that was posted ended without a reply.
    TransactionEnded {
        /// The system bytes that [`post`](crate::Connection::post) gave.
        system: SystemBytes,
        /// How it ended.
        end: TransactionEnd,
    },
    /// The reply to a primary that was posted came while another call waited, and the inbox had no room for it. Its transaction has
    /// ended.
    ReplyDropped {
        /// The header of the reply.
        header: Header,
        /// Octets of its text.
        body_len: u32,
    },
    /// Primaries came while another call waited, and the inbox had no room for them. Those whose sender waits for a reply
    /// were answered SxF0.
    PrimariesDropped {
        /// How many since this was last told.
        count: u64,
        /// The header of the last of them.
        last: Header,
    },
    /// The transport is open; the session is not yet. Nor is TLS, where it is used: its handshake comes next.
    Connected,
    /// The connection is SELECTED: data may flow. HSMS-GS tells of each session instead, in
    /// [`Notice::SessionSelected`](hsms_core::connection::Notice::SessionSelected).
    Selected,
    /// The peer deselected.
    Deselected,
    /// The transport is closed.
    Closed {
        /// Why.
        reason: CloseReason,
        /// What the system said where reading or writing failed.
        error: Option<io::Error>,
    },
    /// An attempt to dial or to listen failed; the next follows after T5.
    ConnectFailed {
        /// What the system said about the last address tried.
        error: io::Error,
    },
    /// A caller was turned away from a passive connection.
    CallerRefused {
        /// Who called.
        caller: SocketAddr,
        /// Why.
        why: Refusal,
    },
    /// While a connection is being served, further callers cannot be told that the place is taken, since the system refuses what
    /// that takes: too many open files, for example. They are left waiting or hung up on, it is tried again every second, and the
    /// connection does not suffer. Told once, until it has become better.
    CallersWait {
        /// What the system said.
        error: io::Error,
    },
    /// A message that is not for the application: what it counts as tells why. Control messages are among these where
    /// [`Options::with_tell_control`](crate::Options::with_tell_control) asks for them.
    Other {
        /// The header.
        header: Header,
        /// Octets of its text, which is not kept.
        body_len: u32,
        /// What became of it.
        class: Class,
    },
    /// Anything else that the machine tells.
    Notice(Notice),
    /// There was no room for notices.
    NoticesDropped {
        /// How many since this was last told.
        count: u64,
    },
}

/// What has to be done about a primary, as the closure given to
/// [`request_serving`](crate::Connection::request_serving) decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Reply with the text that the closure has left in the vector.
    Reply,
    /// Abort the transaction: SxF0.
    Abort,
    /// Nothing now. The token can be used later; a primary that expects no reply needs none.
    None,
}
