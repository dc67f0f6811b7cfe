//! The byte stream that a [`Driver`](crate::driver::Driver) drives.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::time::Duration;

/// A reliable, ordered stream of octets in both directions: TCP, TLS over it, or a pipe in memory.
///
/// Calls may fail with [`io::ErrorKind::Interrupted`]; they are repeated then. [`io::ErrorKind::WouldBlock`] and
/// [`io::ErrorKind::TimedOut`] both say that nothing could be done in time; but ETIMEDOUT as the system's own error, on other systems
/// than Windows, is how TCP gives a peer up. Every other error ends the connection.
pub trait Transport {
    /// Reads what is there into the front of `octets`, which is never empty, and gives how many octets that were; 0 when the
    /// peer has closed its side. Where nothing is there, waits for it: not at all for a zero `limit`, otherwise about
    /// as long as `limit` at most. It may give up earlier with [`io::ErrorKind::WouldBlock`].
    ///
    /// # Errors
    /// See [`Transport`].
    fn read(&mut self, octets: &mut [u8], limit: Duration) -> io::Result<usize>;

    /// Writes octets from the front of `parts` taken together, and gives how many. Where none can be written, waits: not at
    /// all for a zero `limit`, otherwise a while of the transport's own choice, `limit` at most.
    ///
    /// # Errors
    /// See [`Transport`].
    fn write(&mut self, parts: &[IoSlice<'_>], limit: Duration) -> io::Result<usize>;

    /// Writes some of the octets that [`write`](Self::write) took and that have not left yet, as TLS keeps its records, and gives how many;
    /// 0 where there are none. Waits like `write`. A transport that keeps nothing need not have it.
    ///
    /// # Errors
    /// See [`Transport`].
    fn write_owed(&mut self, limit: Duration) -> io::Result<usize> {
        let _ = limit;
        Ok(0)
    }

    /// Waits until octets can be written or, with `or_read`, until octets can be read; `limit` at most. It may come back
    /// earlier, without a reason.
    ///
    /// # Errors
    /// See [`Transport`].
    fn wait(&mut self, or_read: bool, limit: Duration) -> io::Result<()>;

    /// Closes the stream in both directions, so that what was written still arrives where possible. Does not wait.
    fn close(&mut self);

    /// The own address and the peer's, where it has such: for a [tap](crate::tap). `None` unless a transport says otherwise.
    fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        None
    }
}

/// Whether an error says that nothing could be done in time. The system's own ETIMEDOUT says that on Windows alone: elsewhere TCP
/// has given the peer up, and tells so once.
pub(crate) fn is_late(error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::WouldBlock => true,
        io::ErrorKind::TimedOut => cfg!(windows) || error.raw_os_error().is_none(),
        _ => false,
    }
}

/// Whether it says that the same call may do better: where it says so for ever, within the limits of those that make it.
pub(crate) fn is_again(error: &io::Error) -> bool {
    is_late(error) || error.kind() == io::ErrorKind::Interrupted
}
