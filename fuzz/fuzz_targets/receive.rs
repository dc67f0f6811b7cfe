//! A connection does the same with octets whatever their chunks, and keeps its promises at every step.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(hsms_tests::fuzz::receive(data)));
