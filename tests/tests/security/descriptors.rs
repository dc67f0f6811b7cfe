//! Descriptors, of which a thousand connections within one process take more than many systems allow at first.

use rustix::process::{Resource, getrlimit, setrlimit};

/// As many descriptors as the system allows.
pub fn raise_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}
