//! Time, executor and network in memory of the tests of `hsms-embassy`.
#![allow(dead_code, unreachable_pub, reason = "the other tests use all of it")]

#[path = "../../../../../../tests/tests/embassy/kit/apart.rs"]
pub(crate) mod apart;
#[path = "../../../../../../tests/tests/embassy/kit/executor.rs"]
pub(crate) mod executor;
#[path = "../../../../../../tests/tests/embassy/kit/pipe.rs"]
pub(crate) mod pipe;
#[path = "../../../../../../tests/tests/embassy/kit/scene.rs"]
pub(crate) mod scene;
#[path = "../../../../../../tests/tests/embassy/kit/services.rs"]
pub(crate) mod services;
#[path = "../../../../../../tests/tests/embassy/kit/time.rs"]
pub(crate) mod time;
