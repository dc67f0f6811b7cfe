//! Failures that other HSMS implementations showed in the field, one test or more for each: the number in a name is the
//! failure's. Those of a transport or a thread are tested where there is one.

#[allow(unused_imports, unused_macros, reason = "every test program uses a part of it")]
mod support;

mod field {
    mod control;
    mod harness;
    mod messages;
    mod timers;
    mod transactions;
}
