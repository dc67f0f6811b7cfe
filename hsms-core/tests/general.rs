//! HSMS-GS (E37.2): session entities selected one by one over one connection. A test per duty, mostly at both ends and in both
//! profiles.

#[allow(unused_imports, unused_macros, reason = "every test program uses a part of it")]
mod support;

mod general {
    mod apply;
    mod data;
    mod deselect;
    mod ends;
    mod harness;
    mod held;
    mod holders;
    mod linktest;
    mod or_single;
    mod pair;
    mod random;
    mod reject;
    mod select;
    mod separate;
    mod sizes;
    mod wanted;
}
