//! Codec, machine of HSMS-GS, SECS-II reader and writer.

#![no_std]
#![no_main]

#[path = "../calls/codec.rs"]
mod codec;

#[path = "../calls/general.rs"]
mod general;

#[path = "../calls/reader.rs"]
mod reader;

#[path = "../calls/writer.rs"]
mod writer;

use footprint_image as _;
