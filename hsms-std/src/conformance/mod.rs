//! The duties of E37 and E37.1 as data, each with a test of an implementation.
