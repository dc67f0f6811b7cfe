//! Codec, machine of HSMS-SS, SECS-II reader and writer, services.

#![no_std]
#![no_main]

#[path = "../calls/codec.rs"]
mod codec;

#[path = "../calls/machine.rs"]
mod machine;

#[path = "../calls/active.rs"]
mod active;

#[path = "../calls/passive.rs"]
mod passive;

#[path = "../calls/reader.rs"]
mod reader;

#[path = "../calls/writer.rs"]
mod writer;

#[path = "../calls/services.rs"]
mod services;

use footprint_image as _;
