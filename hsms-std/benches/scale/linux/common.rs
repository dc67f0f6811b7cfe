//! What both ends and both contenders share.

use hsms_std::core::wire::Header;
use hsms_std::{DeviceId, StreamFunction, SystemBytes};
use std::error::Error;
use std::time::Duration;

/// The outcome of a step: any error ends the run and is printed.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long anything may take that is not measured, or whose measure ends it.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// Octets of a text, both ways.
pub(crate) const BODY: usize = 64;

/// Octets of a message with such a text.
pub(crate) const FRAME: usize = 14 + BODY;

/// What is asked for.
pub(crate) const ASKED: StreamFunction = StreamFunction::new(1, 1);

/// The text of a request, and of its reply. No two octets beside each other are alike.
pub(crate) fn body() -> [u8; BODY] {
    let mut octets = [0; BODY];
    octets.iter_mut().zip(1..).for_each(|(octet, value)| *octet = value);
    octets
}

/// A request as it is on the wire.
pub(crate) fn request() -> Outcome<Vec<u8>> {
    let header = Header::data(SystemBytes(1), ASKED, true, device()?.session());
    let prefix = header.encode_prefix(u32::try_from(BODY)?).map_err(|error| error.to_string())?;
    Ok([&prefix[..], &body()].concat())
}

pub(crate) fn device() -> Outcome<DeviceId> {
    DeviceId::new(0).ok_or_else(|| "0 is no device id".into())
}
