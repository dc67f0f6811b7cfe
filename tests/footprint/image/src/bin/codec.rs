//! Codec.

#![no_std]
#![no_main]

#[path = "../calls/codec.rs"]
mod codec;

use footprint_image as _;
