//! Whatever the core reads SECS-II with says what a plain decoder says, of any octets.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hsms_tests::fuzz_secs2::read(data));
