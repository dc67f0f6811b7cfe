//! Which services and data ids there are, and what everything is called.

use super::{Pair, PairError, ServiceId, ServiceMessage, Status};
use crate::wire::{Header, Kind};
use core::fmt;

/// The services of one end, their data ids, and names for log lines: at most `N` entries in all.
///
/// ```
/// use hsms_core::services::{ServiceId, ServiceMessage, Services, Status};
///
/// let mut services = Services::<8>::new();
/// services.add_service(10, 11, "read", "read response")?;
/// services.add_data(ServiceId::READ, 7, "temperature")?;
/// services.add_status(Status(9), "sensor broken")?;
/// let message = ServiceMessage::new(ServiceId::READ, 7, Status(9), None);
/// let line = services.describe(&message).to_string();
/// assert_eq!(line, "service 10 (read), data id 7 (temperature), status 9 (sensor broken)");
/// # Ok::<(), hsms_core::services::RegisterError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Services<'n, const N: usize> {
    entries: heapless::Vec<(Key, &'n str), N>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Service(ServiceId),
    Data(ServiceId, u32),
    Status(Status),
    Stream(u8),
    Function(u8, u8),
}

impl<'n, const N: usize> Services<'n, N> {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Services { entries: heapless::Vec::new() }
    }

    /// Adds a request and its response, with their names: two entries.
    ///
    /// # Errors
    /// In this order: [`RegisterError::RequestIdTaken`], [`RegisterError::ResponseIdTaken`], [`RegisterError::Pair`],
    /// [`RegisterError::Full`].
    pub fn add_service(
        &mut self,
        request: u8,
        response: u8,
        request_name: &'n str,
        response_name: &'n str,
    ) -> Result<Pair, RegisterError> {
        if self.is_taken(request) {
            return Err(RegisterError::RequestIdTaken { id: request });
        }
        if self.is_taken(response) {
            return Err(RegisterError::ResponseIdTaken { id: response });
        }
        let pair = Pair::new(request, response).map_err(RegisterError::Pair)?;
        if N.saturating_sub(self.entries.len()) < 2 {
            return Err(RegisterError::Full);
        }
        self.name(Key::Service(pair.request()), request_name)?;
        self.name(Key::Service(pair.response()), response_name)?;
        Ok(pair)
    }

    /// Adds a data id of a service, with its name; one that is there gets the new name.
    ///
    /// # Errors
    /// [`RegisterError::UnknownService`] where no pair has the id, [`RegisterError::Full`].
    pub fn add_data(&mut self, service: ServiceId, data_id: u32, name: &'n str) -> Result<(), RegisterError> {
        if !self.is_taken(service.get()) {
            return Err(RegisterError::UnknownService { id: service.get() });
        }
        self.name(Key::Data(service, data_id), name)
    }

    /// Names a status. Those of the standard numbers can be given other names here.
    ///
    /// # Errors
    /// [`RegisterError::Full`].
    pub fn add_status(&mut self, status: Status, name: &'n str) -> Result<(), RegisterError> {
        self.name(Key::Status(status), name)
    }

    /// Names a stream.
    ///
    /// # Errors
    /// [`RegisterError::Full`].
    pub fn add_stream(&mut self, stream: u8, name: &'n str) -> Result<(), RegisterError> {
        self.name(Key::Stream(stream), name)
    }

    /// Names a function of a stream.
    ///
    /// # Errors
    /// [`RegisterError::Full`].
    pub fn add_function(&mut self, stream: u8, function: u8, name: &'n str) -> Result<(), RegisterError> {
        self.name(Key::Function(stream, function), name)
    }

    /// The name of a service id.
    #[must_use]
    pub fn service_name(&self, service: ServiceId) -> Option<&'n str> {
        self.find(Key::Service(service))
    }

    /// The name of a data id of a service.
    #[must_use]
    pub fn data_name(&self, service: ServiceId, data_id: u32) -> Option<&'n str> {
        self.find(Key::Data(service, data_id))
    }

    /// The name of a status: the one given here, or that of [`Status::name`].
    #[must_use]
    pub fn status_name(&self, status: Status) -> Option<&'n str> {
        self.given_status_name(status).or_else(|| status.name())
    }

    /// The name of a function, or else of its stream.
    #[must_use]
    pub fn function_name(&self, stream: u8, function: u8) -> Option<&'n str> {
        self.find(Key::Function(stream, function)).or_else(|| self.find(Key::Stream(stream)))
    }

    /// The message with all names there are, for a log line. The handshake and the exchange of names have theirs where nobody gave others.
    #[must_use]
    pub fn describe(&self, message: &ServiceMessage<'_>) -> Described<'n> {
        let service = message.service_id();
        let data_id = message.data_id();
        Described(What::Service {
            service: (service, self.service_name(service).or_else(|| own_service(service))),
            data_id: (data_id, self.data_name_of_pair(service, data_id).or_else(|| own_data(service, data_id))),
            status: (message.status(), self.status_name(message.status())),
        })
    }

    /// Stream, function and W-bit of a data message, with the name there is, for a log line: `S2F41 W (remote command)`; of any other its header.
    #[must_use]
    pub fn describe_header(&self, header: &Header) -> Described<'n> {
        if !matches!(header.kind(), Ok(Kind::Data { .. })) {
            return Described(What::Other(*header));
        }
        let what = header.stream_function();
        Described(What::Function { header: *header, name: self.function_name(what.stream, what.function) })
    }

    /// A message with all names there are, for a log line: as [`describe`](Self::describe) has it where it is one of a service in this
    /// `stream`, else as [`describe_header`](Self::describe_header) has it, with the name of its service where it is of one and cannot be
    /// read. `None` of what is no data message.
    #[must_use]
    pub fn describe_message(&self, stream: u8, header: &Header, text: &[u8]) -> Option<Described<'n>> {
        if !matches!(header.kind(), Ok(Kind::Data { .. })) {
            return None;
        }
        let message = service_of(stream, header).and_then(|service| ServiceMessage::read(service, text).ok());
        Some(match message {
            Some(message) => self.describe(&message),
            None => Described(What::Function { header: *header, name: self.message_name(stream, header) }),
        })
    }

    /// The status that answers a request for which there is no handler: [`Status::BUFFERING_UNHANDLED_REQUEST`], if it is kept, of a
    /// registered service and data id; [`Status::SERVICE_OR_DATA_UNKNOWN`] of any other, and of a response, which nothing answers.
    #[must_use]
    pub fn unhandled(&self, request: ServiceId, data_id: u32) -> Status {
        if request.is_request() && self.knows(request, data_id) {
            Status::BUFFERING_UNHANDLED_REQUEST
        } else {
            Status::SERVICE_OR_DATA_UNKNOWN
        }
    }

    /// The name that was given here to a status.
    pub(super) fn given_status_name(&self, status: Status) -> Option<&'n str> {
        self.find(Key::Status(status))
    }

    /// Whether a request or a response is one of a registered service and data id.
    pub(super) fn knows(&self, service: ServiceId, data_id: u32) -> bool {
        self.data_name_of_pair(service, data_id).is_some()
    }

    /// Data ids are named for the request; a response may have names of its own.
    pub(super) fn data_name_of_pair(&self, service: ServiceId, data_id: u32) -> Option<&'n str> {
        self.data_name(service, data_id).or_else(|| self.data_name(service.request(), data_id))
    }

    /// What a message is called: its service where it is of one that has a name, or its function.
    pub(super) fn message_name(&self, stream: u8, header: &Header) -> Option<&'n str> {
        let service = service_of(stream, header);
        let named = service.and_then(|service| self.service_name(service).or_else(|| own_service(service)));
        named.or_else(|| self.function_name(header.stream(), header.function()))
    }

    fn is_taken(&self, id: u8) -> bool {
        ServiceId::new(id).is_some_and(|id| self.service_name(id).is_some())
    }

    fn find(&self, wanted: Key) -> Option<&'n str> {
        self.entries.iter().find_map(|(key, name)| (*key == wanted).then_some(*name))
    }

    fn name(&mut self, wanted: Key, name: &'n str) -> Result<(), RegisterError> {
        match self.entries.iter_mut().find(|(key, _)| *key == wanted) {
            Some((_, old)) => {
                *old = name;
                Ok(())
            }
            None => self.entries.push((wanted, name)).map_err(|_| RegisterError::Full),
        }
    }
}

/// The service that a data message is of, where `stream` is that of the services.
pub(super) fn service_of(stream: u8, header: &Header) -> Option<ServiceId> {
    ServiceId::from_function(header.function()).filter(|_| header.stream() == stream)
}

/// What the layer's own services are called where nobody says otherwise.
fn own_service(service: ServiceId) -> Option<&'static str> {
    let [request, response] = match service.request() {
        ServiceId::AUTHENTICATION => ["authentication request", "authentication response"],
        ServiceId::CHANNEL_NAME => ["channel name request", "channel name response"],
        _ => return None,
    };
    Some(if service.is_request() { request } else { response })
}

/// The same of their data ids.
const fn own_data(service: ServiceId, data_id: u32) -> Option<&'static str> {
    Some(match (service.request(), data_id) {
        (ServiceId::AUTHENTICATION, 0) => "authentication seed",
        (ServiceId::AUTHENTICATION, 1) => "authentication key",
        (ServiceId::CHANNEL_NAME, 0) => "channel name",
        _ => return None,
    })
}

impl<const N: usize> Default for Services<'_, N> {
    fn default() -> Self {
        Services::new()
    }
}

/// A message with names, to be printed.
#[derive(Debug, Clone, Copy)]
pub struct Described<'n>(What<'n>);

#[derive(Debug, Clone, Copy)]
enum What<'n> {
    Service {
        service: (ServiceId, Option<&'n str>),
        data_id: (u32, Option<&'n str>),
        status: (Status, Option<&'n str>),
    },
    Function {
        header: Header,
        name: Option<&'n str>,
    },
    /// No data message.
    Other(Header),
}

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            What::Service { service, data_id, status } => {
                write!(f, "service {}{}", service.0, Name(service.1))?;
                write!(f, ", data id {}{}", data_id.0, Name(data_id.1))?;
                write!(f, ", status {}{}", status.0.0, Name(status.1))
            }
            What::Function { header, name } => {
                let what = header.stream_function();
                let w = if header.reply_expected() { " W" } else { "" };
                write!(f, "S{}F{}{w}{}", what.stream, what.function, Name(name))
            }
            What::Other(header) => fmt::Display::fmt(&header, f),
        }
    }
}

/// Without what formats: a log on a microcontroller has no room for it.
#[cfg(feature = "defmt")]
impl defmt::Format for Described<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        match self.0 {
            What::Service { service, data_id, status } => {
                defmt::write!(f, "service {=u8}{}", service.0.get(), Name(service.1));
                defmt::write!(f, ", data id {=u32}{}", data_id.0, Name(data_id.1));
                defmt::write!(f, ", status {=u8}{}", status.0.0, Name(status.1));
            }
            What::Function { header, name } => {
                let what = header.stream_function();
                let w = if header.reply_expected() { " W" } else { "" };
                defmt::write!(f, "S{=u8}F{=u8}{=str}{}", what.stream, what.function, w, Name(name));
            }
            What::Other(header) => defmt::write!(f, "{}", header),
        }
    }
}

struct Name<'n>(Option<&'n str>);

#[cfg(feature = "defmt")]
impl defmt::Format for Name<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        if let Some(name) = self.0 {
            defmt::write!(f, " ({=str})", name);
        }
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |name| write!(f, " ({name})"))
    }
}

/// Why a service, a data id or a name cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RegisterError {
    /// Another pair has the id that was to be the request's.
    RequestIdTaken {
        /// The id.
        id: u8,
    },
    /// Another pair has the id that was to be the response's.
    ResponseIdTaken {
        /// The id.
        id: u8,
    },
    /// The ids cannot be a pair.
    Pair(PairError),
    /// No service has the id.
    UnknownService {
        /// The id.
        id: u8,
    },
    /// There is no room for one more.
    Full,
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegisterError::RequestIdTaken { id } => write!(f, "request id {id} is taken"),
            RegisterError::ResponseIdTaken { id } => write!(f, "response id {id} is taken"),
            RegisterError::Pair(error) => fmt::Display::fmt(error, f),
            RegisterError::UnknownService { id } => write!(f, "no service has the id {id}"),
            RegisterError::Full => f.write_str("no room for one more"),
        }
    }
}

impl core::error::Error for RegisterError {}
