//! Connections of `embassy-net`, with feature `net`.

use crate::opener::{OpenFailed, Opener};
use embassy_net::tcp::{State, TcpReader, TcpSocket, TcpWriter};
use embassy_net::{IpEndpoint, IpListenEndpoint};
use embassy_time::{Duration, with_timeout};

/// How long a caller may take from its first segment to the connection: several can be lost on the way.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// How long a reset may take to leave. There may be no way to its receiver any more.
const RESET: Duration = Duration::from_secs(1);

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
    /// Accepts callers of `local`, a port or an address and a port, with this socket. Nagle's algorithm is turned off. Its timeout is used
    /// for callers that do not complete their connection within 20 s, and is off otherwise.
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
        reset(&mut self.socket).await;
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
        loop {
            reset(&mut self.socket).await;
            self.socket.set_timeout(Some(HANDSHAKE));
            self.socket.accept(self.local).await.map_err(|_| OpenFailed)?;
            self.socket.set_timeout(None);
            // Of a caller that is gone the stack says the same as of one that is there.
            if self.socket.state() != State::Closed {
                return Ok(self.socket.split());
            }
        }
    }

    async fn close(&mut self) {
        close(&mut self.socket).await;
    }
}

/// Closes behind what was written, and waits until the peer has closed as well. Dropped before, it resets the connection.
async fn close(socket: &mut TcpSocket<'_>) {
    let closing = Closing(socket);
    closing.0.close();
    // Fails where the peer has reset the connection, which is closed then.
    let _ = closing.0.flush().await;
    // What still comes is for nobody. It is read as the link reads, so that this is in flash once.
    let mut rest = [0; 64];
    while let Ok(1..) = closing.0.read(&mut rest).await {}
}

/// A connection that is being closed.
struct Closing<'a, 's>(&'a mut TcpSocket<'s>);

impl Drop for Closing<'_, '_> {
    fn drop(&mut self) {
        if !is_over(self.0) {
            self.0.abort();
        }
    }
}

/// Whether the peer has nothing left to be told.
fn is_over(socket: &TcpSocket<'_>) -> bool {
    matches!(socket.state(), State::Closed | State::TimeWait | State::Listen)
}

/// Gives up what is left of an earlier connection, and lets its peer know: the socket forgets it when it is used anew.
async fn reset(socket: &mut TcpSocket<'_>) {
    if matches!(socket.state(), State::TimeWait | State::Listen) {
        return socket.abort();
    }
    socket.abort();
    // Ends at once where there was none.
    let _ = with_timeout(RESET, socket.flush()).await;
}
