//! The texts of messages that every equipment or host has to do with: S1F1 and S1F2, S1F13 and S1F14, stream 9, and aborts.
//!
//! Each type is the text of a message: `write` puts it into a [`Writer`], `read` takes it out of a whole text, trailing
//! octets refused. S1F1 and all SxF0 have no text: there is nothing to write, and [`header_only`] reads them.

use super::{Error, ErrorKind, Format, Reader, Sink, WriteError, Writer};
use crate::wire::{HEADER_LEN, Header, StreamFunction};

/// Reads the text of a message that has none: S1F1 (E5 7.5), and every SxF0, which aborts a transaction (E5 7.4.1).
///
/// # Errors
/// [`ErrorKind::Trailing`] where there is one.
pub const fn header_only(text: &[u8]) -> Result<(), Error> {
    Reader::new(text).finish()
}

/// Who answers: the text of S1F2, and of S1F13 (E5 7.5). The host says nothing about itself.
///
/// ```
/// use hsms_core::secs2::messages::Identity;
/// use hsms_core::secs2::{Slice, Writer};
///
/// let mut octets = [0; 32];
/// let mut text = Writer::new(Slice::new(&mut octets));
/// Identity::Equipment { mdln: "ETCHER", softrev: "1.0" }.write(&mut text)?;
/// let sink = text.finish()?;
/// assert_eq!(sink.written(), b"\x01\x02\x41\x06ETCHER\x41\x031.0");
///
/// let read = Identity::read(sink.written())?;
/// assert_eq!(read, Identity::Equipment { mdln: "ETCHER", softrev: "1.0" });
/// assert_eq!(Identity::read(b"\x01\x00"), Ok(Identity::Host));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Identity<'a> {
    /// The host: an empty list.
    Host,
    /// Equipment: a list of two ASCII items. Their lengths are not limited here.
    Equipment {
        /// MDLN, the model.
        mdln: &'a str,
        /// SOFTREV, the revision of its software.
        softrev: &'a str,
    },
}

impl<'a> Identity<'a> {
    /// Writes the text, or this part of one.
    ///
    /// # Errors
    /// Those of [`Writer::ascii`].
    pub fn write<S: Sink, const OPEN: usize>(&self, text: &mut Writer<S, OPEN>) -> Result<(), WriteError> {
        match self {
            Identity::Host => text.list(0),
            Identity::Equipment { mdln, softrev } => {
                text.list(2)?;
                text.ascii(mdln)?;
                text.ascii(softrev)
            }
        }
    }

    /// Reads a whole text.
    ///
    /// # Errors
    /// Those of [`Reader`]; [`ErrorKind::OtherCount`] of a list of neither 0 nor 2.
    pub fn read(text: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(text);
        let identity = Identity::read_part(&mut reader)?;
        reader.finish()?;
        Ok(identity)
    }

    fn read_part(reader: &mut Reader<'a>) -> Result<Self, Error> {
        if reader.peek()?.length() == 0 {
            reader.list_of(0)?;
            return Ok(Identity::Host);
        }
        reader.list_of(2)?;
        Ok(Identity::Equipment { mdln: reader.ascii()?, softrev: reader.ascii()? })
    }
}

/// The text of S1F14: whether communication is established, and who answers (E5 7.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EstablishAck<'a> {
    /// COMMACK: 0 accepted, 1 denied, try again; others are reserved.
    pub commack: u8,
    /// Who answers.
    pub identity: Identity<'a>,
}

impl<'a> EstablishAck<'a> {
    /// Writes the text.
    ///
    /// # Errors
    /// Those of [`Writer::ascii`].
    pub fn write<S: Sink, const OPEN: usize>(&self, text: &mut Writer<S, OPEN>) -> Result<(), WriteError> {
        // A call of its own, whose frame is gone where the identity is written: that is the deepest call.
        EstablishAck::write_commack(self.commack, text)?;
        self.identity.write(text)
    }

    #[inline(never)]
    fn write_commack<S: Sink, const OPEN: usize>(commack: u8, text: &mut Writer<S, OPEN>) -> Result<(), WriteError> {
        text.list(2)?;
        text.binary(&[commack])
    }

    /// Reads a whole text.
    ///
    /// # Errors
    /// Those of [`Reader`] and of [`Identity::read`]; [`ErrorKind::OtherCount`] of a COMMACK that is not one octet.
    pub fn read(text: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(text);
        reader.list_of(2)?;
        let [commack] = binary(&mut reader)?;
        let identity = Identity::read_part(&mut reader)?;
        reader.finish()?;
        Ok(EstablishAck { commack, identity })
    }
}

/// What equipment tells the host about messages that went wrong: stream 9 (E5 7.13). Over HSMS the header in it is that of
/// HSMS, ten octets (E37 9.4.2).
///
/// ```
/// use hsms_core::secs2::messages::SystemError;
/// use hsms_core::secs2::{Slice, Writer};
/// use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};
///
/// let about = Header::data(SystemBytes(7), StreamFunction::new(2, 41), true, SessionId(1));
/// let error = SystemError::IllegalData(about);
/// let mut octets = [0; 12];
/// let mut text = Writer::new(Slice::new(&mut octets));
/// error.write(&mut text)?;
/// let sink = text.finish()?;
/// assert_eq!(sink.written(), b"\x21\x0a\x00\x01\x82\x29\x00\x00\x00\x00\x00\x07");
/// assert_eq!(SystemError::read(error.stream_function(), sink.written()), Some(Ok(error)));
/// # Ok::<(), hsms_core::secs2::WriteError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SystemError<'a> {
    /// S9F1: the device id of a message is not known. Its header.
    UnrecognizedDeviceId(Header),
    /// S9F3: the stream of a message is not known. Its header.
    UnrecognizedStream(Header),
    /// S9F5: the stream of a message is known, the function is not. Its header.
    UnrecognizedFunction(Header),
    /// S9F7: the text of a message cannot be interpreted. Its header.
    IllegalData(Header),
    /// S9F9: no reply came within T3. The header of the primary.
    TransactionTimeout(Header),
    /// S9F11: a message is longer than the equipment can take. Its header.
    DataTooLong(Header),
    /// S9F13: a message that had to follow did not come.
    ConversationTimeout {
        /// MEXP: the message, of the form `S02F13`.
        expected: &'a str,
        /// EDID: what the conversation was about. One whole item, encoded.
        about: &'a [u8],
    },
}

impl<'a> SystemError<'a> {
    /// Stream and function of the message.
    #[must_use]
    pub const fn stream_function(&self) -> StreamFunction {
        StreamFunction::new(
            9,
            match self {
                SystemError::UnrecognizedDeviceId(_) => 1,
                SystemError::UnrecognizedStream(_) => 3,
                SystemError::UnrecognizedFunction(_) => 5,
                SystemError::IllegalData(_) => 7,
                SystemError::TransactionTimeout(_) => 9,
                SystemError::DataTooLong(_) => 11,
                SystemError::ConversationTimeout { .. } => 13,
            },
        )
    }

    /// Writes the text.
    ///
    /// # Errors
    /// Those of [`Writer::ascii`], and [`WriteError::NoItem`] where `about` is not one item.
    pub fn write<S: Sink, const OPEN: usize>(&self, text: &mut Writer<S, OPEN>) -> Result<(), WriteError> {
        match self {
            SystemError::UnrecognizedDeviceId(header)
            | SystemError::UnrecognizedStream(header)
            | SystemError::UnrecognizedFunction(header)
            | SystemError::IllegalData(header)
            | SystemError::TransactionTimeout(header)
            | SystemError::DataTooLong(header) => text.binary(&header.encode()),
            SystemError::ConversationTimeout { expected, about } => {
                text.list(2)?;
                text.ascii(expected)?;
                text.raw(about)
            }
        }
    }

    /// Reads a whole text; `None` where `stream_function` is none of these messages.
    ///
    /// # Errors
    /// Those of [`Reader`]; [`ErrorKind::OtherCount`] of a header that is not ten octets.
    #[must_use]
    pub fn read(stream_function: StreamFunction, text: &'a [u8]) -> Option<Result<Self, Error>> {
        let with_header = match (stream_function.stream, stream_function.function) {
            (9, 1) => SystemError::UnrecognizedDeviceId,
            (9, 3) => SystemError::UnrecognizedStream,
            (9, 5) => SystemError::UnrecognizedFunction,
            (9, 7) => SystemError::IllegalData,
            (9, 9) => SystemError::TransactionTimeout,
            (9, 11) => SystemError::DataTooLong,
            (9, 13) => return Some(SystemError::conversation_timeout(text)),
            _ => return None,
        };
        Some(header(text).map(with_header))
    }

    fn conversation_timeout(text: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(text);
        reader.list_of(2)?;
        let (expected, about) = (reader.ascii()?, reader.raw()?);
        reader.finish()?;
        Ok(SystemError::ConversationTimeout { expected, about })
    }
}

fn header(text: &[u8]) -> Result<Header, Error> {
    let mut reader = Reader::new(text);
    let octets: [u8; HEADER_LEN] = binary(&mut reader)?;
    reader.finish()?;
    Ok(Header::decode(&octets))
}

/// A binary item of exactly `N` octets.
fn binary<const N: usize>(reader: &mut Reader<'_>) -> Result<[u8; N], Error> {
    let offset = reader.position();
    let octets = reader.binary()?;
    <[u8; N]>::try_from(octets).map_err(|_| Error {
        offset,
        kind: ErrorKind::OtherCount { format: Format::Binary, expected: N, found: octets.len() },
    })
}
