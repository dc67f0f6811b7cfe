//! The manager (feature `manager` of hsms-std): any number of peers on one event loop. Over loopback, with scripted callers.

#[path = "manager/bounds.rs"]
mod bounds;
#[path = "manager/caller.rs"]
mod caller;
#[path = "manager/closing.rs"]
mod closing;
#[path = "manager/delegates.rs"]
mod delegates;
#[path = "security/descriptors.rs"]
mod descriptors;
#[path = "manager/identify.rs"]
mod identify;
#[path = "manager/loads.rs"]
mod loads;
#[path = "manager/peers.rs"]
mod peers;
#[path = "manager/rows.rs"]
mod rows;
#[path = "manager/runtimes.rs"]
mod runtimes;
#[path = "manager/sessions.rs"]
mod sessions;
#[path = "manager/tree.rs"]
mod tree;
#[path = "manager/turns.rs"]
mod turns;
