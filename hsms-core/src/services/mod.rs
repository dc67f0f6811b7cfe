//! Service messages on top of HSMS data messages, and the dispatch of these and of ordinary SECS-II primaries.
//!
//! A [`ServiceMessage`] travels in one stream, [`DEFAULT_STREAM`] unless agreed otherwise, under the function that is its service id
//! plus 1: each request is a primary and each response its secondary. [`Services`] knows which services and data ids there are, and
//! what they are called; a [`Table`] finds the value that belongs to a message, a handler or what the caller has in its place. What
//! nobody handles waits in an [`Inbox`]. [`ChannelName`] exchanges names of the connection, and [`Communication`] establishes communication as
//! GEM does it. With feature `auth` there is `Trust`: two ends prove to each other that they know one secret.
//!
//! Each of them is there by itself. [`Endpoint`] is all of them together, above one connection: what most users want.

mod communication;
mod endpoint;
mod inbox;
mod message;
mod name;
mod registry;
mod table;
#[cfg(feature = "auth")]
mod trust;

pub use communication::{
    Communication, CommunicationFailure, CommunicationMessage, CommunicationSettings, CommunicationState,
    CommunicationVerdict,
};
pub use endpoint::{
    Answer, Complaint, DescribedError, DescribedNotice, Done, Endpoint, EndpointAction, EndpointError, EndpointNotice,
    EndpointSettings, NAME_LEN, Outgoing, OwnMessage, Reaction, Response, SendError, Ticket, Waiting,
};
pub use inbox::{FunctionInbox, Inbox, InboxFull, Kept, ServiceInbox, Wanted};
pub use message::{DEFAULT_STREAM, Pair, PairError, ServiceId, ServiceMessage, Status};
pub use name::{ChannelName, NameAnswer, NameError};
pub use registry::{Described, RegisterError, Services};
pub use table::{FunctionTable, ServiceTable, Table, TableFull, Unhandled, UnhandledPolicy};
#[cfg(feature = "auth")]
pub use trust::{
    BeforeTrust, CHALLENGE_LEN, PROOF_LABEL, Secret, SecretTooShort, Trust, TrustAnswer, TrustError, TrustFailure,
    TrustMessage, TrustSettings, TrustState, TrustStep,
};
