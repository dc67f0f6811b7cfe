//! Octets in arbitrary chunks give the same messages as parsed whole, and these the same octets again.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hsms_tests::fuzz::decode(data));
