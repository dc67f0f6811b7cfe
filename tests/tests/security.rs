//! Security (module `security` and feature `tls` of hsms-std): whatever strangers do, the others keep working. Over loopback.

#[path = "security/blocking.rs"]
mod blocking;
#[path = "security/descriptors.rs"]
mod descriptors;
#[path = "security/manager.rs"]
mod manager;
#[path = "security/over_tls.rs"]
mod over_tls;
#[path = "security/strangers.rs"]
mod strangers;
#[path = "security/support.rs"]
mod support;
#[path = "security/transport.rs"]
mod transport;
#[path = "security/unassigned.rs"]
mod unassigned;
