//! The faults kit does what it says: in memory under a virtual clock, and over sockets between our own host and equipment.

#[path = "faults/line.rs"]
mod line;
#[path = "faults/memory.rs"]
mod memory;
#[path = "faults/sockets.rs"]
mod sockets;

use hsms_std::{Config, DeviceId, Header, StreamFunction, SystemBytes};
use std::time::Duration;

const DEVICE: DeviceId = DeviceId::new(7).unwrap();
const S1F1: StreamFunction = StreamFunction::new(1, 1);

/// Nothing here takes that long; a test that needs it has failed.
const LONG: Duration = Duration::from_secs(30);

/// The least T5, so that redials need no patience; linktests off, so that nothing comes by itself.
fn quick(config: Config) -> Config {
    config.with_t5(Duration::from_millis(10)).unwrap().with_linktest_period(Duration::ZERO).unwrap()
}

fn host_config() -> Config {
    quick(Config::host(DEVICE))
}

fn tool_config() -> Config {
    quick(Config::equipment(DEVICE))
}

fn primary(system: u32) -> Header {
    Header::data(SystemBytes(system), S1F1, true, DEVICE.session())
}

/// A text whose octets tell where they belong.
fn text(len: usize) -> Vec<u8> {
    (0..len).map(|index| u8::try_from((index ^ (index >> 8) ^ (index >> 16)) & 0xFF).unwrap()).collect()
}
