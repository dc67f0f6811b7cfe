//! The manager (feature `manager` of hsms-std): any number of peers on one event loop. Over loopback, with scripted callers.

#[path = "manager/caller.rs"]
mod caller;
#[path = "manager/delegates.rs"]
mod delegates;
#[path = "manager/loads.rs"]
mod loads;
#[path = "manager/peers.rs"]
mod peers;
#[path = "manager/tree.rs"]
mod tree;
