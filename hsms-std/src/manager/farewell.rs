//! What a connection that we close still has to say.

use super::socket::Socket;
use crate::security::Stream;
use crate::transport::{Transport, is_late};
use mio::net::TcpStream;
use std::io::{self, IoSlice};
use std::time::Duration;

/// How long the peer has to take an octet of what is left, and all of it.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);
pub(super) const WHOLE_FAREWELL: Duration = Duration::from_secs(10);

/// A stream whose machine has no more to do with it, and octets to be written before it is closed.
#[derive(Debug)]
pub(super) struct Farewell {
    stream: Stream<Socket>,
    octets: Vec<u8>,
    start: usize,
    written: usize,
    /// TLS has been told that nothing follows.
    ended: bool,
    /// There may be more to read that the system does not announce again.
    more: bool,
}

impl Farewell {
    pub(super) const fn new(stream: Stream<Socket>, octets: Vec<u8>) -> Self {
        Farewell { stream, octets, start: 0, written: 0, ended: false, more: false }
    }

    pub(super) const fn socket(&mut self) -> &mut TcpStream {
        &mut self.stream.transport_mut().0
    }

    /// Octets that have been written, of records of TLS as well.
    pub(super) const fn written(&self) -> usize {
        self.written
    }

    /// Whether it is to go on without the system having anything to say.
    pub(super) const fn has_more(&self) -> bool {
        self.more
    }

    /// Writes as far as that goes at once. Tells whether it is over: then the stream has been closed as far as we go.
    pub(super) fn go_on(&mut self) -> bool {
        loop {
            match self.write() {
                Ok(octets @ 1..) => self.written = self.written.saturating_add(octets),
                Err(error) if is_late(&error) => {
                    // The peer may be writing as well, and wait for us.
                    self.more = self.stream.transport_mut().take_some();
                    return false;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Where it fails the connection has ended already.
                _ => break,
            }
        }
        self.stream.close();
        true
    }

    /// Writes some of what is left. Gives 0 where nothing is.
    fn write(&mut self) -> io::Result<usize> {
        let left = self.octets.get(self.start..).unwrap_or(&[]);
        if !self.stream.owes() && !left.is_empty() {
            let octets = self.stream.write(&[IoSlice::new(left)], Duration::ZERO)?;
            self.start = self.start.saturating_add(octets);
            return Ok(octets);
        }
        if left.is_empty() && !std::mem::replace(&mut self.ended, true) {
            self.stream.end();
        }
        self.stream.write_owed(Duration::ZERO)
    }
}
