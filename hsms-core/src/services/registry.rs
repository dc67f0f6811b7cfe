//! Which services and data ids there are.

use super::{Pair, PairError, ServiceId, Status};
use core::fmt;

/// The services of one end, at most `SERVICES` of them with `DATA` data ids in all, and their names.
#[derive(Debug, Clone)]
pub struct Services<'n, const SERVICES: usize, const DATA: usize> {
    pairs: heapless::Vec<(Pair, &'n str, &'n str), SERVICES>,
    data: heapless::Vec<(ServiceId, u32, &'n str), DATA>,
}

impl<'n, const SERVICES: usize, const DATA: usize> Services<'n, SERVICES, DATA> {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Services { pairs: heapless::Vec::new(), data: heapless::Vec::new() }
    }

    /// Adds a request and its response, with their names.
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
        self.pairs.push((pair, request_name, response_name)).map_err(|_| RegisterError::Full)?;
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
        let found = self.data.iter_mut().find(|(of, id, _)| (*of, *id) == (service, data_id));
        match found {
            Some((_, _, old)) => {
                *old = name;
                Ok(())
            }
            None => self.data.push((service, data_id, name)).map_err(|_| RegisterError::Full),
        }
    }

    /// The name of a service id.
    #[must_use]
    pub fn service_name(&self, service: ServiceId) -> Option<&'n str> {
        self.pairs.iter().find_map(|(pair, request, response)| {
            if pair.request() == service {
                Some(*request)
            } else if pair.response() == service {
                Some(*response)
            } else {
                None
            }
        })
    }

    /// The name of a data id of a service.
    #[must_use]
    pub fn data_name(&self, service: ServiceId, data_id: u32) -> Option<&'n str> {
        self.data.iter().find_map(|(of, id, name)| ((*of, *id) == (service, data_id)).then_some(*name))
    }

    /// The status that answers a request for which there is no handler: [`Status::BUFFERING_UNHANDLED_REQUEST`], if it is kept, of a
    /// registered service and data id; [`Status::SERVICE_OR_DATA_UNKNOWN`] of any other.
    #[must_use]
    pub fn unhandled(&self, request: ServiceId, data_id: u32) -> Status {
        if self.data_name(request, data_id).is_some() {
            Status::BUFFERING_UNHANDLED_REQUEST
        } else {
            Status::SERVICE_OR_DATA_UNKNOWN
        }
    }

    fn is_taken(&self, id: u8) -> bool {
        self.pairs.iter().any(|(pair, _, _)| pair.request().get() == id || pair.response().get() == id)
    }
}

impl<const SERVICES: usize, const DATA: usize> Default for Services<'_, SERVICES, DATA> {
    fn default() -> Self {
        Services::new()
    }
}

/// Why a service or a data id cannot be added.
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
