//! IP over the board's Ethernet.

use crate::ethernet::Driver;
use embassy_futures::select::select_array;
use embassy_net::tcp::{TcpReader, TcpSocket, TcpWriter};
use embassy_net::{Config, Ipv4Address, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use hsms_embassy::{OpenFailed, Opener};

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

/// The port that hosts call, with what happens there in the log.
///
/// Several sockets listen, and the first that has a caller serves it. The stack refuses who finds no socket listening, and with one alone
/// that is everybody for as long as a caller who has gone meanwhile keeps it in its handshake. While a caller is served the
/// others listen no more: HSMS-SS has one connection.
pub struct Port<'s, const SOCKETS: usize> {
    sockets: [TcpSocket<'s>; SOCKETS],
    number: u16,
    /// The socket with the caller.
    serving: usize,
}

impl<'s, const SOCKETS: usize> Port<'s, SOCKETS> {
    /// The port of that number, through these sockets.
    pub fn new(mut sockets: [TcpSocket<'s>; SOCKETS], number: u16) -> Self {
        for socket in &mut sockets {
            // The link writes what belongs together at once.
            socket.set_nagle_enabled(false);
        }
        Port { sockets, number, serving: 0 }
    }
}

impl<const SOCKETS: usize> Opener for Port<'_, SOCKETS> {
    type Reader<'t>
        = TcpReader<'t>
    where
        Self: 't;
    type Writer<'t>
        = TcpWriter<'t>
    where
        Self: 't;

    async fn open(&mut self) -> Result<(TcpReader<'_>, TcpWriter<'_>), OpenFailed> {
        let number = self.number;
        defmt::info!("port {} listens", number);
        self.sockets.iter_mut().for_each(TcpSocket::abort);
        let (accepted, index) = select_array(self.sockets.each_mut().map(|socket| socket.accept(number))).await;
        self.serving = index;
        accepted.map_err(|_| OpenFailed)?;
        defmt::info!("accepted");
        self.sockets.iter_mut().enumerate().filter(|(other, _)| *other != index).for_each(|(_, socket)| socket.abort());
        Ok(self.sockets.get_mut(index).ok_or(OpenFailed)?.split())
    }

    async fn close(&mut self) {
        if let Some(socket) = self.sockets.get_mut(self.serving) {
            socket.close();
            // Fails where the host has reset the connection, which is closed then.
            let _ = socket.flush().await;
        }
    }
}

/// Runs the stack.
#[embassy_executor::task]
pub async fn run(mut runner: Runner<'static, Driver>) -> ! {
    runner.run().await
}
