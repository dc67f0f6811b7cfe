//! A socket of the event loop as a [`Transport`]: nothing waits.

use crate::transport::Transport;
use mio::net::TcpStream;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

/// How much of what the peer still sends is taken before the stream is closed: unread octets make TCP reset the connection, and
/// the peer might lose what we wrote last.
const LAST_LOOK: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Socket(pub(super) TcpStream);

impl Socket {
    /// Takes what the peer still sends, up to a bound, and forgets it. Tells whether there may be more that the system does not
    /// announce again.
    pub(super) fn take_some(&mut self) -> bool {
        let mut buffer = [0; 4 * 1024];
        let mut left = LAST_LOOK;
        while left > 0 {
            match self.0.read(&mut buffer) {
                Ok(octets @ 1..) => left = left.saturating_sub(octets),
                _ => break,
            }
        }
        left == 0
    }
}

impl Transport for Socket {
    fn read(&mut self, octets: &mut [u8], _: Duration) -> io::Result<usize> {
        self.0.read(octets)
    }

    fn write(&mut self, parts: &[IoSlice<'_>], _: Duration) -> io::Result<usize> {
        match parts {
            [part] => self.0.write(part),
            parts => self.0.write_vectored(parts),
        }
    }

    /// The event loop does.
    fn wait(&mut self, _: bool, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn close(&mut self) {
        // Where it fails the connection has ended already.
        let _ = self.0.shutdown(Shutdown::Write);
        self.take_some();
    }

    fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        Some((self.0.local_addr().ok()?, self.0.peer_addr().ok()?))
    }
}
