//! IP over the board's Ethernet.

use crate::ethernet::Driver;
use embassy_net::{Config, Ipv4Address, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};

/// Where QEMU's user networking expects its guest. A real board would ask by DHCP, or be told.
pub const ADDRESS: Ipv4Cidr = Ipv4Cidr::new(Ipv4Address::new(10, 0, 2, 15), 24);

/// The stack, and what has to run for it in a task of its own.
pub fn new<const SOCKETS: usize>(
    driver: Driver,
    resources: &'static mut StackResources<SOCKETS>,
) -> (Stack<'static>, Runner<'static, Driver>) {
    let config =
        Config::ipv4_static(StaticConfigV4 { address: ADDRESS, gateway: None, dns_servers: Default::default() });
    // A real board has a source of random numbers for it: who guesses it can guess sequence numbers of TCP.
    let seed = 0x4853_4D53;
    embassy_net::new(driver, config, resources, seed)
}

/// Runs the stack.
#[embassy_executor::task]
pub async fn run(mut runner: Runner<'static, Driver>) -> ! {
    runner.run().await
}
