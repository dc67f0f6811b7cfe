//! Codec and frames.

#![no_std]
#![no_main]

#[path = "../calls/codec.rs"]
mod codec;

#[path = "../calls/frames.rs"]
mod frames;

use footprint_image as _;
