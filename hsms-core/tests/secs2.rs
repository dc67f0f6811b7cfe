//! SECS-II items (E5): read, walked, written and printed. Golden octets, hostile octets, and random texts both ways.
#![cfg(feature = "secs2")]

mod secs2 {
    mod corrupt;
    #[cfg(feature = "alloc")]
    mod dialects;
    mod golden;
    mod headers;
    mod hostile;
    mod messages;
    #[path = "../support/narrow.rs"]
    mod narrow;
    mod random;
    mod reader;
    mod refusing;
    #[cfg(all(feature = "alloc", feature = "serde"))]
    mod serde;
    mod sizes;
    mod sml;
    mod support;
    #[cfg(feature = "alloc")]
    mod tree;
    mod walk;
    mod words;
    mod writer;
}
