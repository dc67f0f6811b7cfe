//! Service messages, handlers, trust and establishing communication on a [`Link`]: [`hsms_core::services::Endpoint`], joined to it.
//!
//! ```no_run
//! use embassy_futures::join::join3;
//! use embassy_sync::blocking_mutex::raw::NoopRawMutex;
//! use hsms_embassy::hsms_core::connection::Stream9;
//! use hsms_embassy::services::{Call, Core, Endpoint, EndpointSettings, ServiceId, Status, settings};
//! use hsms_embassy::{Buffers, Config, DeviceId, Link, Opener};
//!
//! // What the table has for messages: a value of ours, which a `match` turns into a call.
//! #[derive(Debug, Clone, Copy)]
//! enum Duty {
//!     Status,
//!     Valve,
//! }
//!
//! async fn open_valve(_position: Option<&[u8]>) -> bool {
//!     true // Waits for the hardware, and whatever else.
//! }
//!
//! async fn equipment(listener: impl Opener) {
//!     let config = Config::equipment(DeviceId::new(7).unwrap());
//!     let mut buffers = Buffers::<512, 1024, 1024>::new();
//!     let link = Link::<NoopRawMutex>::new(config, buffers.lend()).unwrap();
//!
//!     let mut core = Core::<Duty>::new(EndpointSettings { name: Some("etcher"), ..settings(&config).unwrap() }).unwrap();
//!     core.handle_function(Some(1), Some(3), Duty::Status).unwrap();
//!     core.services_mut().add_service(20, 21, "write", "written").unwrap();
//!     core.handle_service(Some(ServiceId::WRITE), None, Duty::Valve).unwrap();
//!     let services = Endpoint::new(&link, core);
//!
//!     link.enable();
//!     let answer = async {
//!         let mut text = [0; 512];
//!         loop {
//!             // A call that is dropped unanswered is one whose handler failed: its sender is told so.
//!             let answered = match services.next(&mut text).await {
//!                 Ok(Call::Function { handler: Duty::Status, primary }) => match primary.text() {
//!                     Some([]) => primary.reply(b"\x01\x00").await,
//!                     _ => primary.refuse(Stream9::IllegalData).await,
//!                 },
//!                 Ok(Call::Service { handler: Duty::Valve, request }) => match open_valve(request.data()).await {
//!                     true => request.respond(Status::OKAY, None).await,
//!                     false => request.respond(Status::OPERATION_NOT_PERMITTED, None).await,
//!                 },
//!                 Ok(_) => Ok(()),
//!                 Err(error) => Err(error),
//!             };
//!             let _ = answered; // Fails where the connection has ended.
//!         }
//!     };
//!     let _ = join3(link.run(listener), services.run(), answer).await;
//! }
//! ```
//!
//! Three futures go on for ever: [`Link::run`] moves octets, [`Endpoint::run`] exchanges names, runs the handshake, establishes
//! communication and keeps the deadlines, [`Endpoint::next`] takes what comes. Each of them in a task of its own, or joined.
//! Whoever has something to send calls [`Endpoint::send`] or [`Endpoint::request`] from any task.
//!
//! # Handlers
//!
//! The core's table has values of the application's own type, at best an `enum`, by service and data id or by stream and function, either
//! of which may be any. [`next`](Endpoint::next) gives the value that belongs to a message, with what answers it, and the application goes
//! on as it likes: awaits, reads a long text bit by bit, passes it on to another task. What nobody handles never gets there: it is
//! answered as the [core](hsms_core::services::Endpoint) says, and service messages wait in the inbox for [`receive`](Endpoint::receive).
//!
//! # How many calls
//!
//! The places for calls of the [`Link`] are shared: `run` takes two and one for each of the names, the handshake and S1F13 while they are
//! open, `next` and each call that it gave one while they send or wait, every sending one. So `CALLS` should be 6, and one more for each sending at the
//! same time. A call without a place ends with [`TooManyCalls`](crate::Error::TooManyCalls); `run` tries again when something happens.
//!
//! # What passes it by
//!
//! Whatever is sent by the [`Link`] itself is not asked whether the connection is trusted, and [`Link::receive`] takes primaries from
//! [`next`](Endpoint::next).

mod call;
mod endpoint;
mod error;
mod owed;
mod run;
mod sending;
mod shared;

pub use call::{Call, Primary, Request};
pub use endpoint::{Endpoint, Kept, Told};
pub use error::{DescribedError, Error};

#[cfg(feature = "auth")]
pub use hsms_core::services::{
    BeforeTrust, CHALLENGE_LEN, Secret, SecretTooShort, TrustError, TrustFailure, TrustSettings, TrustState,
};
pub use hsms_core::services::{
    CommunicationFailure, CommunicationSettings, CommunicationState, Complaint, EndpointError, EndpointNotice,
    EndpointSettings, Pair, PairError, RegisterError, SendError, ServiceId, ServiceMessage, Status, TableFull,
    UnhandledPolicy, Waiting,
};

#[cfg(doc)]
use crate::Link;
use hsms_core::Config;
use hsms_core::config::Entity;

/// The core: tables, inbox, names, trust, communication. Made and filled before it is given to an [`Endpoint`].
///
/// `SENDINGS` is how many sendings can be under way; of the others see [`hsms_core::services::Endpoint`].
pub type Core<
    'a,
    H,
    const SENDINGS: usize = 4,
    const HANDLERS: usize = 8,
    const ENTRIES: usize = 32,
    const MESSAGES: usize = 4,
    const OCTETS: usize = 512,
> = hsms_core::services::Endpoint<'a, H, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>;

/// The settings of an endpoint on a link with these: its mode and its device id, and for equipment S9F3 and S9F5 about primaries without
/// handler; otherwise those of [`EndpointSettings::new`]. `None` where not exactly one device id is served.
#[must_use]
pub fn settings(config: &Config) -> Option<EndpointSettings<'static>> {
    let [device] = config.device_ids().as_slice() else { return None };
    let system_errors = config.entity() == Entity::Equipment;
    Some(EndpointSettings {
        unhandled: UnhandledPolicy { system_errors, abort: true },
        ..EndpointSettings::new(config.mode(), device.session())
    })
}
