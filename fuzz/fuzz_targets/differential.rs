//! The decoder finds what a decoder finds that was written without it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hsms_tests::fuzz_wire::differential(data));
