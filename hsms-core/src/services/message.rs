//! Service ids, statuses, and the text of a service message.

use crate::secs2::{Error, Reader, Sink, WriteError, Writer};
use core::fmt;

/// The stream of service messages where none is agreed: 64, the first that E5 leaves to its users.
pub const DEFAULT_STREAM: u8 = 64;

/// Which service a message asks for, or answers: 0 to 253, requests even.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ServiceId(u8);

impl ServiceId {
    /// The trusted connection: request 0, response 1.
    pub const AUTHENTICATION: ServiceId = ServiceId(0);
    /// Exchange of connection names: request 8, response 9.
    pub const CHANNEL_NAME: ServiceId = ServiceId(8);
    /// Read: request 10, response 11.
    pub const READ: ServiceId = ServiceId(10);
    /// Write: request 20, response 21.
    pub const WRITE: ServiceId = ServiceId(20);
    /// Execute: request 30, response 31.
    pub const EXECUTE: ServiceId = ServiceId(30);

    /// `None` of 254 and 255, which no function can carry together with its answer.
    #[must_use]
    pub const fn new(id: u8) -> Option<ServiceId> {
        if id <= 253 { Some(ServiceId(id)) } else { None }
    }

    /// The service of a message of that function: one less. `None` of functions 0 and 255.
    #[must_use]
    pub const fn from_function(function: u8) -> Option<ServiceId> {
        match function.checked_sub(1) {
            Some(id) => ServiceId::new(id),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The function that carries it: one more.
    #[must_use]
    pub const fn function(self) -> u8 {
        self.0.saturating_add(1)
    }

    /// Whether it is the id of a request.
    #[must_use]
    pub const fn is_request(self) -> bool {
        self.0 & 1 == 0
    }

    /// The id of the request that belongs to it: its own, or one less of a response.
    #[must_use]
    pub const fn request(self) -> ServiceId {
        ServiceId(self.0 & !1)
    }

    /// The id of the response to this request; `None` of a response.
    #[must_use]
    pub const fn response(self) -> Option<ServiceId> {
        if self.is_request() { ServiceId::new(self.0 | 1) } else { None }
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A request and its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Pair {
    request: ServiceId,
    response: ServiceId,
}

impl Pair {
    /// A request and its response by their ids: the request even and 252 at most, the response one more. So the function of the request
    /// is odd and that of the response the next, as E5 has it of a primary and its reply.
    ///
    /// # Errors
    /// [`PairError`] where a request and a response of such ids cannot be told to be one transaction.
    pub const fn new(request: u8, response: u8) -> Result<Pair, PairError> {
        let Some(id) = ServiceId::new(request) else {
            return Err(PairError::OutOfRange { request });
        };
        match id.response() {
            None => Err(PairError::RequestOdd { request }),
            Some(expected) if expected.0 == response => Ok(Pair { request: id, response: expected }),
            Some(expected) => Err(PairError::ResponseNotNext { expected: expected.0, response }),
        }
    }

    /// Id of the request.
    #[must_use]
    pub const fn request(&self) -> ServiceId {
        self.request
    }

    /// Id of the response.
    #[must_use]
    pub const fn response(&self) -> ServiceId {
        self.response
    }
}

/// Why two numbers are no request and response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PairError {
    /// The request is above 252, and no function is left for its response.
    OutOfRange {
        /// The id of the request.
        request: u8,
    },
    /// The request is odd: its function would be even, which is that of a response.
    RequestOdd {
        /// The id of the request.
        request: u8,
    },
    /// The response is not the request plus 1: its function would not be that of the answer.
    ResponseNotNext {
        /// What the response has to be.
        expected: u8,
        /// The id of the response.
        response: u8,
    },
}

impl fmt::Display for PairError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PairError::OutOfRange { request } => write!(f, "request id {request}; 252 is the highest"),
            PairError::RequestOdd { request } => write!(f, "request id {request} is odd; requests are even"),
            PairError::ResponseNotNext { expected, response } => {
                write!(f, "response id {response}; it has to be the request plus 1, {expected}")
            }
        }
    }
}

impl core::error::Error for PairError {}

/// How a service request ended. Numbers from 7 to 254 are the user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u8);

impl Status {
    /// 0: done.
    pub const OKAY: Status = Status(0);
    /// 1: no handler; the request is kept until somebody takes it.
    pub const BUFFERING_UNHANDLED_REQUEST: Status = Status(1);
    /// 2: the handler failed.
    pub const CALLBACK_ERROR: Status = Status(2);
    /// 3: not before the connection is trusted.
    pub const AUTHENTICATION_REQUIRED: Status = Status(3);
    /// 4: no such service, or no such data id in it.
    pub const SERVICE_OR_DATA_UNKNOWN: Status = Status(4);
    /// 5: the text cannot be decoded. The name is that of protocols whose messages carry a checksum.
    pub const CHECKSUM_ERROR: Status = Status(5);
    /// 6: a proof failed, or a handler does not permit it.
    pub const OPERATION_NOT_PERMITTED: Status = Status(6);
    /// 255: no room to keep the request, which has no handler, or for what its handler would answer. Other implementations know it as one of the user's.
    pub const INBOX_FULL: Status = Status(255);

    /// What the number means; `None` of those of the user.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "okay",
            1 => "buffering unhandled request",
            2 => "callback error",
            3 => "authentication required",
            4 => "service or data unknown",
            5 => "checksum error",
            6 => "operation not permitted",
            255 => "inbox full",
            _ => return None,
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} ({name})", self.0),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

/// As [`Display`](fmt::Display) has it.
#[cfg(feature = "defmt")]
impl defmt::Format for Status {
    fn format(&self, f: defmt::Formatter<'_>) {
        match self.name() {
            Some(name) => defmt::write!(f, "{=u8} ({=str})", self.0, name),
            None => defmt::write!(f, "{=u8}", self.0),
        }
    }
}

/// A service message: `<L [3] <U4 data id> <U1 status> <item>>`, where the item is `<L [0]>` if there are no data.
///
/// ```
/// use hsms_core::secs2::{Slice, Writer};
/// use hsms_core::services::{ServiceId, ServiceMessage, Status};
///
/// let request = ServiceMessage::new(ServiceId::READ, 7, Status::OKAY, None);
/// let mut octets = [0; 16];
/// let mut text = Writer::new(Slice::new(&mut octets));
/// request.write(&mut text)?;
/// let sink = text.finish()?;
/// assert_eq!(sink.written(), b"\x01\x03\xb1\x04\0\0\0\x07\xa5\x01\0\x01\0");
/// assert_eq!(ServiceMessage::read(ServiceId::READ, sink.written())?, request);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ServiceMessage<'a> {
    service: ServiceId,
    data_id: u32,
    status: Status,
    data: Option<&'a [u8]>,
}

/// An empty list, which stands for no data.
const NO_DATA: &[u8] = &[1, 0];

impl<'a> ServiceMessage<'a> {
    /// `data` is one encoded item. An empty list is the same as none.
    #[must_use]
    pub fn new(service: ServiceId, data_id: u32, status: Status, data: Option<&'a [u8]>) -> Self {
        ServiceMessage { service, data_id, status, data: data.filter(|data| *data != NO_DATA) }
    }

    /// The service.
    #[must_use]
    pub const fn service_id(&self) -> ServiceId {
        self.service
    }

    /// What of the service it is about.
    #[must_use]
    pub const fn data_id(&self) -> u32 {
        self.data_id
    }

    /// The status; of a request, whatever the requester wrote.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// The data, one encoded item; `None` where there are none.
    #[must_use]
    pub const fn data(&self) -> Option<&'a [u8]> {
        self.data
    }

    /// Writes the text.
    ///
    /// # Errors
    /// Those of the sink, and [`WriteError::NoItem`] where the data are not one item.
    pub fn write<S: Sink, const OPEN: usize>(&self, text: &mut Writer<S, OPEN>) -> Result<(), WriteError> {
        text.list(3)?;
        text.u4(self.data_id)?;
        text.u1(self.status.0)?;
        text.raw(self.data.unwrap_or(NO_DATA))
    }

    /// Reads a whole text. A request that fails here is answered with [`Status::CHECKSUM_ERROR`].
    ///
    /// # Errors
    /// Those of [`Reader`]: a structure other than the one above, or octets behind it.
    pub fn read(service: ServiceId, text: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(text);
        reader.list_of(3)?;
        let (data_id, status, data) = (reader.u4()?, reader.u1()?, reader.raw()?);
        reader.finish()?;
        Ok(ServiceMessage::new(service, data_id, Status(status), Some(data)))
    }
}
