//! The message in front of any octets, or the error, is what the octets say.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hsms_tests::fuzz_wire::message(data));
