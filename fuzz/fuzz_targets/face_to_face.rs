//! Two machines with a link between them keep their promises and agree.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    hsms_tests::fuzz_machine::face_to_face(data);
});
