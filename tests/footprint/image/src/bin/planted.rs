//! What the proof has to find: a panic, formatting and an allocator.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use core::alloc::{GlobalAlloc, Layout};
use core::fmt::{Error, Write};
use footprint_image as _;

struct NoMemory;

// SAFETY: it never gives memory, and a null pointer says so.
unsafe impl GlobalAlloc for NoMemory {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: NoMemory = NoMemory;

fn indexes(octets: &[u8], index: usize) -> u8 {
    octets[index]
}

fn formats(number: u32, out: &mut dyn Write) -> Result<(), Error> {
    write!(out, "{number}")
}

fn allocates(number: u32) -> Box<u32> {
    Box::new(number)
}

footprint_image::calls![indexes, formats, allocates];
