//! A tree of SECS-II items survives every way of writing it, and SML.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hsms_tests::fuzz_secs2::round_trip_in_turns(data));
