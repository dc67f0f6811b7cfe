//! Whole messages, assembled in storage that the caller lends.
