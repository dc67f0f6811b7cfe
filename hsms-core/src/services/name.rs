//! What both ends call their connection.

use super::{ServiceId, ServiceMessage, Status};
use crate::config::ConnectMode;
use crate::secs2::{Error, Reader, Sink, WriteError, Writer};
use crate::wire::{Header, SystemBytes};
use core::fmt;

/// Data id of the messages that carry names.
const DATA_ID: u32 = 0;

/// The name of a connection, exchanged after it became SELECTED; at most `LEN` octets of ASCII.
///
/// The active end is the client, the passive one the server. The client sends [`ServiceId::CHANNEL_NAME`] with data id 0 and its name, `<A>`, and the server answers with its own; an end without a name sends
/// no data. The client's name counts where it has one, else the server's. The messages may flow before trust.
///
/// ```
/// use hsms_core::config::ConnectMode;
/// use hsms_core::services::ChannelName;
///
/// let mut client = ChannelName::<16>::new(ConnectMode::Active, Some("etcher 4"))?;
/// let mut server = ChannelName::<16>::new(ConnectMode::Passive, None)?;
/// let request = [1, 3, 0xb1, 4, 0, 0, 0, 0, 0xa5, 1, 0, 0x41, 8, b'e', b't', b'c', b'h', b'e', b'r', b' ', b'4'];
/// assert!(server.handle_request(&request).failure.is_none());
/// assert_eq!(server.name(), Some("etcher 4"));
/// # Ok::<(), hsms_core::services::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ChannelName<const LEN: usize> {
    mode: ConnectMode,
    /// Empty: none.
    own: Text<LEN>,
    peer: Text<LEN>,
    request: Option<SystemBytes>,
}

/// What a server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct NameAnswer {
    /// The status of the response; its name goes with status 0 alone.
    pub status: Status,
    /// Why the client's name was not taken.
    pub failure: Option<NameError>,
}

impl<const LEN: usize> ChannelName<LEN> {
    /// An empty name is none.
    ///
    /// # Errors
    /// [`NameError::TooLong`], [`NameError::NotPrintable`].
    pub const fn new(mode: ConnectMode, name: Option<&str>) -> Result<Self, NameError> {
        let mut own = Text::EMPTY;
        if let Some(name) = name
            && let Err(error) = own.set(name)
        {
            return Err(error);
        }
        Ok(ChannelName { mode, own, peer: Text::EMPTY, request: None })
    }

    /// The name that counts; `None` where neither end has one, as far as is known.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        let (client, server) = match self.mode {
            ConnectMode::Active => (&self.own, &self.peer),
            ConnectMode::Passive => (&self.peer, &self.own),
        };
        let name = if client.is_empty() { server } else { client };
        Some(name.as_str()).filter(|name| !name.is_empty())
    }

    /// Whether both ends have a name and they differ: worth a warning.
    #[must_use]
    pub fn differ(&self) -> bool {
        !self.own.is_empty() && !self.peer.is_empty() && self.own != self.peer
    }

    /// Whether the client is to send its name now that the connection is SELECTED: [`write`](Self::write) gives the text of the request.
    pub fn selected(&mut self) -> bool {
        self.lost();
        self.mode == ConnectMode::Active
    }

    /// The client's request went out under these system bytes.
    pub const fn sent(&mut self, system: SystemBytes) {
        self.request = Some(system);
    }

    /// The client's request with these system bytes ended without a response. Gives whether it is the open one.
    pub fn unanswered(&mut self, system: SystemBytes) -> bool {
        let ours = self.request == Some(system);
        if ours {
            self.request = None;
        }
        ours
    }

    /// The connection is no longer SELECTED: the peer's name is forgotten.
    pub fn lost(&mut self) {
        self.peer = Text::EMPTY;
        self.request = None;
    }

    /// Writes the text of the request, or of the response: 13 octets and the name, one more where the name is longer than 255 octets.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn write<S: Sink, const OPEN: usize>(
        &self,
        status: Status,
        text: &mut Writer<S, OPEN>,
    ) -> Result<(), WriteError> {
        text.list(3)?;
        text.u4(DATA_ID)?;
        text.u1(status.0)?;
        match self.own.as_str() {
            name if !name.is_empty() && status == Status::OKAY => text.ascii(name),
            _ => text.list(0),
        }
    }

    /// A request came to the server.
    pub fn handle_request(&mut self, text: &[u8]) -> NameAnswer {
        if self.mode != ConnectMode::Passive {
            return NameAnswer { status: Status::SERVICE_OR_DATA_UNKNOWN, failure: Some(NameError::NotServer) };
        }
        match self.take(text) {
            Ok(_) => NameAnswer { status: Status::OKAY, failure: None },
            Err(error) => {
                let unknown = matches!(error, NameError::UnknownDataId { .. });
                let status = if unknown { Status::SERVICE_OR_DATA_UNKNOWN } else { Status::CHECKSUM_ERROR };
                NameAnswer { status, failure: Some(error) }
            }
        }
    }

    /// A response came to the client. `Ok(false)` where it does not belong to its open request.
    ///
    /// # Errors
    /// [`NameError`]: the server's name is not known then.
    pub fn handle_response(&mut self, header: &Header, text: &[u8]) -> Result<bool, NameError> {
        if self.request != Some(header.system) {
            return Ok(false);
        }
        self.request = None;
        match self.take(text)? {
            Status::OKAY => Ok(true),
            status => {
                self.peer = Text::EMPTY;
                Err(NameError::Refused(status))
            }
        }
    }

    fn take(&mut self, text: &[u8]) -> Result<Status, NameError> {
        let message = ServiceMessage::read(ServiceId::CHANNEL_NAME, text).map_err(NameError::Malformed)?;
        if message.data_id() != DATA_ID {
            return Err(NameError::UnknownDataId { data_id: message.data_id() });
        }
        let name = match message.data() {
            Some(data) => Reader::new(data).ascii().map_err(NameError::Malformed)?,
            None => "",
        };
        self.peer.set(name)?;
        Ok(message.status())
    }
}

/// Printable characters of ASCII. Unlike a `heapless::Vec` it can be filled at compile time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Text<const LEN: usize> {
    /// Zeros behind the characters.
    octets: [u8; LEN],
    len: usize,
}

impl<const LEN: usize> Text<LEN> {
    const EMPTY: Self = Text { octets: [0; LEN], len: 0 };

    /// Takes over a name, where it can be one.
    const fn set(&mut self, name: &str) -> Result<(), NameError> {
        let mut from = name.as_bytes();
        while let [octet, rest @ ..] = from {
            // It goes into log lines, and comes from a peer that has proven nothing.
            if !matches!(*octet, 0x20..=0x7e) {
                return Err(NameError::NotPrintable);
            }
            from = rest;
        }
        if name.len() > LEN {
            return Err(NameError::TooLong { octets: name.len(), limit: LEN });
        }
        *self = Text { len: name.len(), ..Self::EMPTY };
        let (mut from, mut to): (_, &mut [u8]) = (name.as_bytes(), &mut self.octets);
        while let ([octet, rest @ ..], [place, places @ ..]) = (from, to) {
            *place = *octet;
            (from, to) = (rest, places);
        }
        Ok(())
    }

    const fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn as_str(&self) -> &str {
        let octets = self.octets.get(..self.len).unwrap_or_default();
        core::str::from_utf8(octets).unwrap_or_default()
    }
}

/// Why a name is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum NameError {
    /// It has more octets than there is room for.
    TooLong {
        /// Its octets.
        octets: usize,
        /// How many there may be.
        limit: usize,
    },
    /// It has characters other than the printable ones of ASCII, 20 to 7E in hexadecimal.
    NotPrintable,
    /// The text is no message with a name.
    Malformed(Error),
    /// There is no such data id in this service.
    UnknownDataId {
        /// The id.
        data_id: u32,
    },
    /// A request came to a client.
    NotServer,
    /// The server answered with this status.
    Refused(Status),
    /// The client's request got no response, or could not be sent.
    Unanswered,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::TooLong { octets, limit } => write!(f, "a name of {octets} octets; {limit} are the most"),
            NameError::NotPrintable => f.write_str("a name with characters other than printable ones of ASCII"),
            NameError::Malformed(error) => write!(f, "no message with a name: {error}"),
            NameError::UnknownDataId { data_id } => write!(f, "data id {data_id}; names have data id {DATA_ID}"),
            NameError::NotServer => f.write_str("a request for a name came to the active end"),
            NameError::Refused(status) => write!(f, "the server answered with status {status}"),
            NameError::Unanswered => f.write_str("the request for a name got no response"),
        }
    }
}

impl core::error::Error for NameError {}
