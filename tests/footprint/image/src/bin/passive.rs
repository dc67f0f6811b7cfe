//! Codec and machine of HSMS-SS, for the end that listens.

#![no_std]
#![no_main]

#[path = "../calls/codec.rs"]
mod codec;

#[path = "../calls/machine.rs"]
mod machine;

#[path = "../calls/passive.rs"]
mod passive;

use footprint_image as _;
