//! Messages and frames that were written are read as the same, in any chunks.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hsms_tests::fuzz_wire::round_trip(data));
