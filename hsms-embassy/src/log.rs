//! The one place that logs, with feature `defmt`. Without it nothing is left of these calls.

use hsms_core::connection::{Action, Event, Inbound};
use hsms_core::wire::Header;

/// What happened outside the machine.
#[inline]
pub(crate) fn event(event: &Event) {
    #[cfg(feature = "defmt")]
    defmt::debug!("hsms: {}", event);
    #[cfg(not(feature = "defmt"))]
    let _ = event;
}

/// What the machine asked for: frames, the end of a connection and its reason, notices.
#[inline]
pub(crate) fn action(action: &Action) {
    #[cfg(feature = "defmt")]
    match action {
        Action::CloseTransport(reason) => defmt::warn!("hsms: closed: {}", reason),
        Action::Notify(notice) => defmt::info!("hsms: {}", notice),
        action => defmt::debug!("hsms: {}", action),
    }
    #[cfg(not(feature = "defmt"))]
    let _ = action;
}

/// The beginning of a received message.
#[inline]
pub(crate) fn received(inbound: &Inbound<'_>) {
    #[cfg(feature = "defmt")]
    if inbound.is_for_application() || inbound.is_dealt_with() {
        defmt::debug!("hsms: received {}, {} octets of text", inbound.header(), inbound.piece.body_len);
    } else {
        defmt::warn!("hsms: received {}, which is {}", inbound.header(), inbound.class);
    }
    #[cfg(not(feature = "defmt"))]
    let _ = inbound;
}

/// The beginning of a message of the application.
#[inline]
pub(crate) fn sent(header: &Header, body_len: u32) {
    #[cfg(feature = "defmt")]
    defmt::debug!("hsms: sends {}, {} octets of text", header, body_len);
    #[cfg(not(feature = "defmt"))]
    let _ = (header, body_len);
}

/// What the services notice, with the name of the connection.
#[cfg(feature = "services")]
#[inline]
pub(crate) fn services(name: Option<&str>, notice: &hsms_core::services::DescribedNotice<'_>) {
    #[cfg(feature = "defmt")]
    match notice.is_warning() {
        true => defmt::warn!("hsms: {}: {}", name.unwrap_or("-"), notice),
        false => defmt::info!("hsms: {}: {}", name.unwrap_or("-"), notice),
    }
    #[cfg(not(feature = "defmt"))]
    let _ = (name, notice);
}

/// A message that the services received or sent, by its names, with the name of the connection.
#[cfg(feature = "services")]
#[inline]
pub(crate) fn described(name: Option<&str>, what: &str, message: &hsms_core::services::Described<'_>) {
    #[cfg(feature = "defmt")]
    defmt::debug!("hsms: {}: {=str} {}", name.unwrap_or("-"), what, message);
    #[cfg(not(feature = "defmt"))]
    let _ = (name, what, message);
}

/// What answers a message that had a handler, by the names of that.
#[cfg(all(feature = "services", feature = "defmt"))]
#[inline]
pub(crate) fn answered(asked: &hsms_core::services::Described<'_>, status: Option<hsms_core::services::Status>) {
    match status {
        Some(status) => defmt::debug!("hsms: answers {}: {}", asked, status),
        None => defmt::debug!("hsms: answers {}", asked),
    }
}

/// A received message that nobody took.
#[inline]
pub(crate) fn dropped(header: &Header) {
    #[cfg(feature = "defmt")]
    defmt::warn!("hsms: nobody took {}", header);
    #[cfg(not(feature = "defmt"))]
    let _ = header;
}
