//! What is printed.

use std::collections::HashSet;
use std::fmt::Display;

/// Each value has its own words, and these.
#[track_caller]
pub(crate) fn reads<T: Display>(table: impl IntoIterator<Item = (T, &'static str)>) {
    let mut seen = HashSet::new();
    for (value, words) in table {
        assert_eq!(value.to_string(), words);
        assert!(seen.insert(words), "twice: {words}");
    }
}
