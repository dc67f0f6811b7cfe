//! The embedded adapter on the host: `hsms-embassy` in virtual time over pipes in memory and over two `embassy-net` stacks with a bad wire
//! between them, against itself, against `hsms-std`, and on tokio.

#[path = "embassy/dropped.rs"]
mod dropped;
#[path = "embassy/full.rs"]
mod full;
#[path = "embassy/kit/mod.rs"]
mod kit;
#[path = "embassy/links.rs"]
mod links;
#[path = "embassy/openers.rs"]
mod openers;
#[path = "embassy/services.rs"]
mod services;
#[path = "embassy/services_dropped.rs"]
mod services_dropped;
#[path = "embassy/settings.rs"]
mod settings;
#[path = "embassy/sizing.rs"]
mod sizing;
#[path = "embassy/stacks.rs"]
mod stacks;
#[path = "embassy/std_peer.rs"]
mod std_peer;
#[path = "embassy/threads.rs"]
mod threads;
#[path = "embassy/tokio.rs"]
mod tokio;
