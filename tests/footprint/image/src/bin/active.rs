//! Codec and machine of HSMS-SS, for the end that dials.

#![no_std]
#![no_main]

#[path = "../calls/codec.rs"]
mod codec;

#[path = "../calls/machine.rs"]
mod machine;

#[path = "../calls/active.rs"]
mod active;

use footprint_image as _;
