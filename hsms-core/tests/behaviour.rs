//! What the machine promises beside the table of messages and states, each under its own name.

#[allow(unused_imports, unused_macros, reason = "every test program uses a part of it")]
mod support;

use hsms_core::connection::{Action, Connection};

/// Polls until nothing comes.
fn drain(connection: &mut Connection<4>) -> Vec<Action> {
    let actions: Vec<Action> = std::iter::from_fn(|| connection.poll_action()).take(64).collect();
    assert!(actions.len() < 64, "actions without end: {actions:?}");
    actions
}

mod behaviour {
    mod held;
    #[path = "../support/narrow.rs"]
    mod narrow;
    mod numbers;
    mod random;
    #[path = "../support/reads.rs"]
    mod reads;
    mod refusals;
    mod roles;
    mod sending;
    #[cfg(feature = "serde")]
    mod settings;
    mod texts;
    mod timing;
    mod words;
}
