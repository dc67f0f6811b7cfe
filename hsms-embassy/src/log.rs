//! The one place that logs, with feature `defmt`. Without it nothing is left of these calls.

use hsms_core::connection::{Action, Event, Inbound};
use hsms_core::wire::Header;

/// What the connection is called, for the lines of its link: kept with features `defmt` and `services` alone, as names come from the
/// services.
#[derive(Debug)]
pub(crate) struct Channel {
    #[cfg(all(feature = "defmt", feature = "services"))]
    name: heapless::Vec<u8, { hsms_core::services::NAME_LEN }, u8>,
    /// The name was learned on this connection.
    #[cfg(all(feature = "defmt", feature = "services"))]
    learned: bool,
}

impl Channel {
    /// Without a name.
    pub(crate) const fn new() -> Self {
        Channel {
            #[cfg(all(feature = "defmt", feature = "services"))]
            name: heapless::Vec::new(),
            #[cfg(all(feature = "defmt", feature = "services"))]
            learned: false,
        }
    }

    /// What it is called from here on; whether names are exchanged now, so that it may come from the peer.
    #[cfg(all(feature = "defmt", feature = "services"))]
    pub(crate) fn call(&mut self, name: Option<&str>, exchanged: bool) {
        let name = name.unwrap_or_default().as_bytes();
        self.learned &= exchanged;
        if self.name != name {
            self.name.clear();
            // There is room for every name.
            let _ = self.name.extend_from_slice(name);
            self.learned = exchanged;
        }
    }

    /// There is another connection: a name that was learned on the last one is not for its lines.
    #[cfg_attr(
        not(all(feature = "defmt", feature = "services")),
        expect(clippy::needless_pass_by_ref_mut, clippy::unused_self, reason = "it has none")
    )]
    pub(crate) fn renew(&mut self) {
        #[cfg(all(feature = "defmt", feature = "services"))]
        if core::mem::take(&mut self.learned) {
            self.name.clear();
        }
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Channel {
    fn format(&self, f: defmt::Formatter<'_>) {
        #[cfg(feature = "services")]
        defmt::write!(f, "{}", Called(core::str::from_utf8(&self.name).ok().filter(|name| !name.is_empty())));
        #[cfg(not(feature = "services"))]
        let _ = f;
    }
}

/// The name in front of a line, where there is one.
#[cfg(all(feature = "defmt", feature = "services"))]
struct Called<'n>(Option<&'n str>);

#[cfg(all(feature = "defmt", feature = "services"))]
impl defmt::Format for Called<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        if let Some(name) = self.0 {
            defmt::write!(f, "{=str}: ", name);
        }
    }
}

/// What happened outside the machine.
#[inline]
pub(crate) fn event(channel: &Channel, event: &Event) {
    #[cfg(feature = "defmt")]
    defmt::debug!("hsms: {}{}", channel, event);
    #[cfg(not(feature = "defmt"))]
    let _ = (channel, event);
}

/// What the machine asked for: frames, the end of a connection and its reason, notices.
#[inline]
pub(crate) fn action(channel: &Channel, action: &Action) {
    #[cfg(feature = "defmt")]
    match action {
        Action::CloseTransport(reason) => defmt::warn!("hsms: {}closed: {}", channel, reason),
        Action::Notify(notice) => defmt::info!("hsms: {}{}", channel, notice),
        action => defmt::debug!("hsms: {}{}", channel, action),
    }
    #[cfg(not(feature = "defmt"))]
    let _ = (channel, action);
}

/// The beginning of a received message.
#[inline]
pub(crate) fn received(channel: &Channel, inbound: &Inbound<'_>) {
    #[cfg(feature = "defmt")]
    if inbound.is_for_application() || inbound.is_dealt_with() {
        defmt::debug!("hsms: {}received {}, {} octets of text", channel, inbound.header(), inbound.piece.body_len);
    } else {
        defmt::warn!("hsms: {}received {}, which is {}", channel, inbound.header(), inbound.class);
    }
    #[cfg(not(feature = "defmt"))]
    let _ = (channel, inbound);
}

/// The beginning of a message of the application.
#[inline]
pub(crate) fn sent(channel: &Channel, header: &Header, body_len: u32) {
    #[cfg(feature = "defmt")]
    defmt::debug!("hsms: {}sends {}, {} octets of text", channel, header, body_len);
    #[cfg(not(feature = "defmt"))]
    let _ = (channel, header, body_len);
}

/// What the services notice, with the name of the connection.
#[cfg(feature = "services")]
#[inline]
pub(crate) fn services(name: Option<&str>, notice: &hsms_core::services::DescribedNotice<'_>) {
    #[cfg(feature = "defmt")]
    match notice.is_warning() {
        true => defmt::warn!("hsms: {}{}", Called(name), notice),
        false => defmt::info!("hsms: {}{}", Called(name), notice),
    }
    #[cfg(not(feature = "defmt"))]
    let _ = (name, notice);
}

/// A message that the services received or sent, by its names, with the name of the connection.
#[cfg(feature = "services")]
#[inline]
pub(crate) fn described(name: Option<&str>, what: &str, message: &hsms_core::services::Described<'_>) {
    #[cfg(feature = "defmt")]
    defmt::debug!("hsms: {}{=str} {}", Called(name), what, message);
    #[cfg(not(feature = "defmt"))]
    let _ = (name, what, message);
}

/// A received message that nobody took.
#[inline]
pub(crate) fn dropped(channel: &Channel, header: &Header) {
    #[cfg(feature = "defmt")]
    defmt::warn!("hsms: {}nobody took {}", channel, header);
    #[cfg(not(feature = "defmt"))]
    let _ = (channel, header);
}
