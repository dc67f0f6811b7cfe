//! Every message and notice as a `tracing` event: the one place where this crate logs.
//!
//! Target `hsms::message`, level debug: header and the first octets of the text. Target `hsms::connection`: what happens to
//! the connection; level info for what was wanted, warn for the rest. Without the feature nothing of it is left.

#![cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "there is nowhere to log to"))]

use hsms_core::connection::{CloseReason, Inbound, Notice};
use hsms_core::wire::Header;
use std::{fmt, io};

#[cfg(feature = "tracing")]
const MESSAGE: &str = "hsms::message";
#[cfg(feature = "tracing")]
const CONNECTION: &str = "hsms::connection";

/// Octets of a text that are printed at most.
#[cfg(feature = "tracing")]
const MOST: usize = 64;

/// A message from the peer, as soon as its header is there, with as much of its text as has come with it.
#[inline]
pub(crate) fn received(inbound: &Inbound<'_>) {
    #[cfg(feature = "tracing")]
    if inbound.first() {
        let octets = hsms_core::wire::Hex::bounded(inbound.body(), MOST);
        let (header, text, class) = (inbound.header(), inbound.piece.body_len, inbound.class);
        tracing::debug!(target: MESSAGE, %header, text, %octets, ?class, "received");
    }
}

/// A message handed to the transport.
#[inline]
pub(crate) fn sent(header: &Header, body: &[u8]) {
    #[cfg(feature = "tracing")]
    {
        let octets = hsms_core::wire::Hex::bounded(body, MOST);
        tracing::debug!(target: MESSAGE, %header, text = body.len(), %octets, "sent");
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

/// Something that found no room, or a caller turned away.
pub(crate) fn refused(what: fmt::Arguments<'_>) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: CONNECTION, "{what}");
}
