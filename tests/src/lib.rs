//! The test kit: what to feed the core, and what has to hold whatever it is fed.

pub mod fuzz;
pub mod fuzz_machine;
pub mod fuzz_secs2;
pub mod fuzz_wire;
pub mod generate;
pub mod invariants;
pub mod machine;
pub mod model;
pub mod reference;
pub mod secs2;
pub mod simulation;
pub mod torture;

/// How much work the layers that try many cases do: `HSMS_SCALE` is `quick` (the default, 1), `ci` (10) or `full` (100).
///
/// # Panics
/// Where the variable holds anything else, so that a typing error does not pass for a thorough run.
#[must_use]
pub fn scale() -> u32 {
    match std::env::var("HSMS_SCALE").as_deref() {
        Err(_) | Ok("quick") => 1,
        Ok("ci") => 10,
        Ok("full") => 100,
        Ok(other) => panic!("HSMS_SCALE is {other:?}; it must be quick, ci or full"),
    }
}
