//! Every message and notice as a `tracing` event: the one place where this crate logs.
//!
//! Target `hsms::message`, level debug: header and the beginning of the text, as octets or, with feature `secs2`, as SML. Target `hsms::connection`: what happens to
//! the connection; level info for what was wanted, warn for the rest. All of it in a span `hsms` with the peer's name in its field `peer`.
//!
//! Target `hsms::services`: the messages of an endpoint by the names of services, data ids and statuses, level debug, and what the services tell,
//! level info or warn. Of a connection with services that span has the name of the connection in its field `channel`, from when it is
//! known, and messages of `hsms::message` have theirs in the field `names`. Without the feature nothing of it all is left.

#![cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "there is nowhere to log to"))]

use crate::words::Words;
use hsms_core::connection::{CloseReason, Inbound, Notice};
use hsms_core::wire::Header;
use std::{fmt, io};

#[cfg(feature = "tracing")]
const MESSAGE: &str = "hsms::message";
#[cfg(feature = "tracing")]
const CONNECTION: &str = "hsms::connection";
#[cfg(all(feature = "tracing", feature = "services"))]
const SERVICES: &str = "hsms::services";

/// Octets of a text that are printed at most.
#[cfg(feature = "tracing")]
const MOST: usize = 64;

/// Octets of SML that are printed at most.
#[cfg(all(feature = "tracing", feature = "secs2"))]
const MOST_SML: usize = 256;

/// Whose it is: what is logged inside says so.
#[derive(Debug, Clone)]
pub(crate) struct Span(#[cfg(feature = "tracing")] tracing::Span);

#[cfg(feature = "tracing")]
impl Span {
    /// Of a peer by name, or by its address, on the connection of this name. There is none where nobody listens.
    pub(crate) fn new(peer: impl fmt::Display, channel: Option<&str>) -> Self {
        // Errors are logged by whoever logs anything, and without their span they would not say whose they are.
        Span(tracing::error_span!(target: "hsms", "hsms", %peer, channel))
    }

    /// Whether nobody listens.
    pub(crate) fn is_none(&self) -> bool {
        self.0.is_disabled()
    }

    /// Has it logged inside.
    #[inline]
    pub(crate) fn inside<R>(&self, log: impl FnOnce() -> R) -> R {
        self.0.in_scope(log)
    }
}

#[cfg(not(feature = "tracing"))]
impl Span {
    pub(crate) fn new(peer: impl fmt::Display, channel: Option<&str>) -> Self {
        Span()
    }

    pub(crate) const fn is_none(&self) -> bool {
        true
    }

    #[inline]
    pub(crate) fn inside<R>(&self, log: impl FnOnce() -> R) -> R {
        log()
    }
}

/// Whether messages are logged: to see to that takes less than to enter a span for nothing.
#[cfg(feature = "tracing")]
#[inline]
pub(crate) fn logs_messages() -> bool {
    tracing::enabled!(target: MESSAGE, tracing::Level::DEBUG)
}

#[cfg(not(feature = "tracing"))]
pub(crate) const fn logs_messages() -> bool {
    false
}

/// A text, or as much of it as there is: SML needs the whole.
#[cfg(feature = "tracing")]
struct Text<'a> {
    octets: &'a [u8],
    #[cfg_attr(not(feature = "secs2"), expect(dead_code, reason = "octets can be printed as far as they have come"))]
    whole: bool,
}

#[cfg(feature = "tracing")]
impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[cfg(feature = "secs2")]
        if self.whole {
            return hsms_core::secs2::Sml::new(self.octets).limited(MOST_SML).fmt(f);
        }
        hsms_core::wire::Hex::bounded(self.octets, MOST).fmt(f)
    }
}

/// A message from the peer, as soon as its header is there, with as much of its text as has come with it.
#[inline]
pub(crate) fn received(inbound: &Inbound<'_>, words: Option<&Words>) {
    #[cfg(feature = "tracing")]
    if inbound.first() {
        let octets = Text { octets: inbound.body(), whole: inbound.last() };
        let (header, text, class) = (inbound.header(), inbound.piece.body_len, inbound.class);
        let names = words.and_then(|words| words.describe(header, inbound.body()));
        let names = names.as_ref().map(tracing::field::display);
        tracing::debug!(target: MESSAGE, %header, text, %octets, ?class, names, "received");
    }
}

/// A message handed to the transport.
#[inline]
pub(crate) fn sent(header: &Header, body: &[u8], words: Option<&Words>) {
    #[cfg(feature = "tracing")]
    {
        let octets = Text { octets: body, whole: true };
        let names = words.and_then(|words| words.describe(header, body));
        let names = names.as_ref().map(tracing::field::display);
        tracing::debug!(target: MESSAGE, %header, text = body.len(), %octets, names, "sent");
    }
}

/// A notice of the machine.
pub(crate) fn notice(notice: &Notice) {
    #[cfg(feature = "tracing")]
    match notice {
        Notice::Selected | Notice::Deselected | Notice::LinktestAnswered { .. } => {
            tracing::info!(target: CONNECTION, "{notice}");
        }
        _ => tracing::warn!(target: CONNECTION, "{notice}"),
    }
}

/// The transport was opened.
pub(crate) fn connected() {
    #[cfg(feature = "tracing")]
    tracing::info!(target: CONNECTION, "connected");
}

/// The transport was closed.
pub(crate) fn closed(reason: CloseReason, error: Option<&io::Error>) {
    #[cfg(feature = "tracing")]
    {
        let error = error.map(tracing::field::display);
        match reason.fault() {
            hsms_core::error::Fault::Caller => tracing::info!(target: CONNECTION, error, "closed: {reason}"),
            _ => tracing::warn!(target: CONNECTION, error, "closed: {reason}"),
        }
    }
}

/// The transport could not be opened.
pub(crate) fn failed(error: &io::Error) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: CONNECTION, %error, "not connected");
}

/// Whether anybody may want to know of service messages, and of what services tell at all. No subscriber is asked, so this can be
/// where something is locked.
#[cfg(feature = "services")]
pub(crate) fn may_be_read() -> (bool, bool) {
    #[cfg(feature = "tracing")]
    {
        use tracing::level_filters::LevelFilter;
        (LevelFilter::current() >= LevelFilter::DEBUG, LevelFilter::current() > LevelFilter::OFF)
    }
    #[cfg(not(feature = "tracing"))]
    (false, false)
}

/// A service message or a SECS-II message of an endpoint, by its names.
#[cfg(feature = "services")]
pub(crate) fn described(what: &str, message: &dyn fmt::Display) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: SERVICES, "{what} {message}");
}

/// What an endpoint tells. What went wrong is a warning.
#[cfg(feature = "services")]
pub(crate) fn told(wrong: bool, notice: &dyn fmt::Display) {
    #[cfg(feature = "tracing")]
    match wrong {
        true => tracing::warn!(target: SERVICES, "{notice}"),
        false => tracing::info!(target: SERVICES, "{notice}"),
    }
}

/// Something that found no room, or a caller turned away.
pub(crate) fn refused(what: fmt::Arguments<'_>) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: CONNECTION, "{what}");
}
