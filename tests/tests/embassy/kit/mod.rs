//! What the tests of the embedded adapter stand on: time, an executor, transports in memory.

pub(crate) mod apart;
pub(crate) mod executor;
pub(crate) mod net;
pub(crate) mod pipe;
pub(crate) mod raw;
pub(crate) mod scene;
pub(crate) mod services;
pub(crate) mod time;
