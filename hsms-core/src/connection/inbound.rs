//! Received messages, piece by piece, with what the machine made of them.

use crate::frame::Piece;
use crate::wire::{Header, RejectReason, SessionId, StreamFunction, SystemBytes};

/// What the machine made of a received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Class {
    /// A primary, for the application.
    Primary,
    /// The reply to a transaction of ours, or its abort (function 0), for the application. The transaction ends with the
    /// last piece.
    Reply,
    /// A control message; the machine has dealt with it.
    Control,
    /// A data message that is for nobody.
    Stray(Stray),
    /// A message that was refused with Reject.req. Strict, data while NOT SELECTED closes the link behind that.
    Rejected(RejectReason),
    /// A message longer than the greatest message length; its text is skipped, or the connection ends.
    TooLong,
    /// A message that ended the connection: it broke the protocol, or refused our Select.req.
    Fatal,
}

/// Why a data message is for nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Stray {
    /// A reply to a transaction of this connection that has ended: it came after T3, or was given up. The system bytes of a
    /// control request of ours count as well.
    Late,
    /// A reply to nothing that was ever sent on this connection.
    Orphan,
    /// A reply with the system bytes of an open transaction, and another session id, stream or function. The transaction
    /// stays open.
    Mismatched,
    /// A message for a device id that is not served here. HSMS-GS: also the rest of a primary whose session we ended while it
    /// arrived.
    UnknownDevice,
}

/// A received message, as much of it as lay in one input.
///
/// Every received octet behind a header is reported in one of these, whatever becomes of it: the first piece carries the
/// verdict, and a message ends with the piece that is [`last`](Self::last).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inbound<'i> {
    /// What became of the message.
    pub class: Class,
    /// The octets. In the header of data, bit 15 of the session id is cleared where the profile allows that.
    pub piece: Piece<'i>,
    pub(crate) link: u32,
}

impl<'i> Inbound<'i> {
    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.piece.header
    }

    /// The octets of the text in this piece.
    #[must_use]
    pub const fn body(&self) -> &'i [u8] {
        self.piece.body
    }

    /// Whether this is the first piece of its message.
    #[must_use]
    pub const fn first(&self) -> bool {
        self.piece.first()
    }

    /// Whether this is the last piece of its message.
    #[must_use]
    pub const fn last(&self) -> bool {
        self.piece.last()
    }

    /// Whether the message is for the application: a primary or a reply.
    #[must_use]
    pub const fn is_for_application(&self) -> bool {
        matches!(self.class, Class::Primary | Class::Reply)
    }

    /// Whether the message ends a transaction of ours with its last piece: a reply, or the peer's abort.
    #[must_use]
    #[inline]
    pub const fn is_reply(&self) -> bool {
        matches!(self.class, Class::Reply)
    }

    /// Whether the message ends a transaction of ours as an abort: function 0 (E5 7.4). It is no answer to the primary, and
    /// what text it has means nothing. An abort [is a reply](Self::is_reply) too.
    #[must_use]
    #[inline]
    pub const fn is_abort(&self) -> bool {
        self.is_reply() && self.piece.header.stream_function().is_abort()
    }

    /// Whether the message is a reply that nobody waits for any more, or never did: it may be worth keeping for whoever looks for it
    /// later. It is not [for the application](Self::is_for_application).
    #[must_use]
    #[inline]
    pub const fn is_unawaited(&self) -> bool {
        matches!(self.class, Class::Stray(Stray::Late | Stray::Orphan))
    }

    /// Whether the message is control traffic as it should be, with which the machine has dealt. What is neither this nor
    /// [for the application](Self::is_for_application) is worth telling: it was for nobody, refused, or too long.
    #[must_use]
    #[inline]
    pub const fn is_dealt_with(&self) -> bool {
        matches!(self.class, Class::Control)
    }

    /// What a reply needs; `None` unless this is a primary whose sender waits for one.
    #[must_use]
    pub const fn reply_token(&self) -> Option<ReplyToken> {
        match self.class {
            Class::Primary if self.piece.header.reply_expected() => Some(ReplyToken {
                link: self.link,
                session: self.piece.header.session,
                system: self.piece.header.system,
                primary: self.piece.header.stream_function(),
            }),
            _ => None,
        }
    }
}

/// Which primary a reply belongs to, and over which connection it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReplyToken {
    pub(crate) link: u32,
    pub(crate) session: SessionId,
    pub(crate) system: SystemBytes,
    pub(crate) primary: StreamFunction,
}

impl ReplyToken {
    /// Session id of the primary.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// System bytes of the primary.
    #[must_use]
    pub const fn system(&self) -> SystemBytes {
        self.system
    }

    /// Stream and function of the primary.
    #[must_use]
    pub const fn primary(&self) -> StreamFunction {
        self.primary
    }

    /// The header of the reply: function after the primary's, or 0 to abort; W-bit clear.
    pub(crate) const fn header(&self, abort: bool) -> Header {
        let function = if abort { 0 } else { self.primary.function.wrapping_add(1) };
        Header::data(self.system, StreamFunction::new(self.primary.stream, function), false, self.session)
    }
}
