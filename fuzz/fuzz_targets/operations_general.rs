//! A connection of HSMS-GS keeps its promises whatever it is told.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(hsms_tests::fuzz_machine::operations_general(data)));
