//! The adapter for embedded executors, and what it takes of the core: codec and machine of HSMS-SS.

#![no_std]
#![no_main]

#[path = "../calls/adapter.rs"]
mod adapter;

use footprint_image as _;
