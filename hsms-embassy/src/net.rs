//! Connections of `embassy-net`, with feature `net`.

use crate::opener::{OpenFailed, Opener};
use embassy_net::tcp::{TcpReader, TcpSocket, TcpWriter};
use embassy_net::{IpEndpoint, IpListenEndpoint};

/// The active end: dials one address over and over.
pub struct Dial<'s> {
    socket: TcpSocket<'s>,
    remote: IpEndpoint,
}

/// The passive end: accepts one caller after the other on a port. While one is served, the stack, which has no queue of callers, refuses
/// others: option b of E37 9.2.4.
pub struct Listen<'s> {
    socket: TcpSocket<'s>,
    local: IpListenEndpoint,
}

impl<'s> Dial<'s> {
    /// Dials `remote` from this socket. Nagle's algorithm is turned off: the link writes what belongs together at once.
    pub fn new(mut socket: TcpSocket<'s>, remote: impl Into<IpEndpoint>) -> Self {
        socket.set_nagle_enabled(false);
        Dial { socket, remote: remote.into() }
    }
}

impl<'s> Listen<'s> {
    /// Accepts callers of `local`, a port or an address and a port, with this socket. Nagle's algorithm is turned off.
    pub fn new(mut socket: TcpSocket<'s>, local: impl Into<IpListenEndpoint>) -> Self {
        socket.set_nagle_enabled(false);
        Listen { socket, local: local.into() }
    }
}

impl Opener for Dial<'_> {
    type Reader<'t>
        = TcpReader<'t>
    where
        Self: 't;
    type Writer<'t>
        = TcpWriter<'t>
    where
        Self: 't;

    async fn open(&mut self) -> Result<(TcpReader<'_>, TcpWriter<'_>), OpenFailed> {
        // What is left of an attempt that was dropped.
        self.socket.abort();
        self.socket.connect(self.remote).await.map_err(|_| OpenFailed)?;
        Ok(self.socket.split())
    }

    async fn close(&mut self) {
        close(&mut self.socket).await;
    }
}

impl Opener for Listen<'_> {
    type Reader<'t>
        = TcpReader<'t>
    where
        Self: 't;
    type Writer<'t>
        = TcpWriter<'t>
    where
        Self: 't;

    async fn open(&mut self) -> Result<(TcpReader<'_>, TcpWriter<'_>), OpenFailed> {
        self.socket.abort();
        self.socket.accept(self.local).await.map_err(|_| OpenFailed)?;
        Ok(self.socket.split())
    }

    async fn close(&mut self) {
        close(&mut self.socket).await;
    }
}

/// Closes behind what was written. Where the peer does not confirm that, the next `open` resets the connection.
async fn close(socket: &mut TcpSocket<'_>) {
    socket.close();
    // Fails where the peer has reset the connection, which is closed then.
    let _ = socket.flush().await;
}
