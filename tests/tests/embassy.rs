//! The embedded adapter on the host: `hsms-embassy` in virtual time over pipes in memory and over two `embassy-net` stacks with a bad wire
//! between them, against itself, against `hsms-std`, and on tokio.

#[path = "embassy/kit/mod.rs"]
mod kit;

#[path = "embassy/dropped.rs"]
mod dropped;

#[path = "embassy/links.rs"]
mod links;
