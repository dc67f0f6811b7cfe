//! Services on a connection: requests to services and their answers, dispatch to closures, an inbox, trusted connections, names.
//!
//! [`Endpoint`] stands on a [`Connection`](crate::Connection) and is driven by the calls of its owner, as that is: no thread, no loop of its
//! own. With feature `manager` a peer has the same: `Peer::services`. Everything about the protocol is decided by
//! [`hsms_core::services::Endpoint`].
//!
//! Values are Rust types by `serde`, as [`hsms_core::secs2::serde`] maps them to SECS-II items.
//!
//! ```
//! use hsms_std::services::{Endpoint, Event, Returned, Secret, ServiceId, Settings};
//! use hsms_std::{Config, Connection, DeviceId};
//! use std::thread;
//! use std::time::Duration;
//!
//! const DEVICE: DeviceId = DeviceId::new(0).unwrap();
//! const LIMIT: Duration = Duration::from_secs(20);
//! let settings = || Ok::<_, hsms_std::services::SecretTooShort>(Settings::new().with_secret(Secret::new(b"sixteen octets!!")?));
//!
//! let link = Connection::passive("127.0.0.1:0", Config::equipment(DEVICE))?;
//! let address = link.local_addr().ok_or("no address")?;
//! let mut tool = Endpoint::new(link, settings()?)?;
//! let read = tool.add_service(10, 11, "read", "read response")?.request();
//! tool.add_data(&[read], 7, "temperature")?;
//! tool.on_request(Some(read), Some(7), |_| Ok(Returned::value(&21.5_f32)?))?;
//! let tool = thread::spawn(move || loop {
//!     match tool.next(LIMIT) {
//!         Ok(Some(Event::Closed { .. }) | None) => return Ok(()),
//!         Ok(Some(event)) => println!("{event:?}"),
//!         Err(error) => return Err(error),
//!     }
//! });
//!
//! let mut host = Endpoint::new(Connection::active(address, Config::host(DEVICE))?, settings()?)?;
//! // It waits until the connection is SELECTED and both ends have proven the secret.
//! let answered = host.send(ServiceId::READ, 7, &(), LIMIT)?;
//! assert_eq!(answered.value::<f32>()?, 21.5);
//! host.close()?;
//! tool.join().map_err(|_| "it panicked")??;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod blocking;
mod error;
pub(crate) mod handler;
pub(crate) mod layer;
mod settings;

pub use blocking::{Endpoint, Event};
pub use error::Error;
pub use handler::{Failed, Request, Returned};
pub use hsms_core::secs2::messages::Identity;
pub use hsms_core::secs2::serde::SerdeError;
pub use hsms_core::services::{
    BeforeTrust, CommunicationSettings, CommunicationState, Complaint, EndpointError, EndpointNotice, Pair, PairError,
    RegisterError, Secret, SecretTooShort, SendError, ServiceId, ServiceMessage, Status, TableFull, TrustFailure,
    TrustSettings, TrustState, UnhandledPolicy, Waiting,
};
pub use layer::{Answered, Kept};
pub use settings::Settings;
