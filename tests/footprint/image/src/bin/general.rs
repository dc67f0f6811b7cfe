//! Codec and machine of HSMS-GS, both roles.

#![no_std]
#![no_main]

#[path = "../calls/codec.rs"]
mod codec;

#[path = "../calls/general.rs"]
mod general;

use footprint_image as _;
