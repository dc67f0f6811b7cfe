//! What the machine does with each message and each timer in each state, in both profiles and both roles: a test per cell.

mod support;

mod cells {
    mod data;
    mod deselect;
    mod drain;
    mod failure;
    mod harness;
    mod length;
    mod linktest;
    mod matching;
    mod reject;
    mod second_caller;
    mod select;
    mod stream9;
    mod tables;
    mod timers;
}
