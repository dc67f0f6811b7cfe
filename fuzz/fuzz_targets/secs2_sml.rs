//! What is read as SML is printed and read again as the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hsms_tests::fuzz_secs2::sml(data));
