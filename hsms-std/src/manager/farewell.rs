//! What a connection that we close still has to say.

use crate::transport::is_late;
use mio::net::TcpStream;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

/// How long the peer has to take an octet of what is left, and all of it.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);
pub(super) const WHOLE_FAREWELL: Duration = Duration::from_secs(10);

/// How much of what the peer still sends is taken before the stream is closed: unread octets make TCP reset the connection, and
/// the peer might lose what we wrote last.
const LAST_LOOK: usize = 64 * 1024;

/// A stream whose machine has no more to do with it, and octets to be written before it is closed.
#[derive(Debug)]
pub(super) struct Farewell {
    stream: TcpStream,
    octets: Vec<u8>,
    start: usize,
    /// There may be more to read that the system does not announce again.
    more: bool,
}

impl Farewell {
    pub(super) const fn new(stream: TcpStream, octets: Vec<u8>) -> Self {
        Farewell { stream, octets, start: 0, more: false }
    }

    pub(super) const fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Octets that have been written.
    pub(super) const fn written(&self) -> usize {
        self.start
    }

    /// Whether it is to go on without the system having anything to say.
    pub(super) const fn has_more(&self) -> bool {
        self.more
    }

    /// Writes as far as that goes at once. Tells whether it is over: then the stream has been closed as far as we go.
    pub(super) fn go_on(&mut self) -> bool {
        loop {
            let left = self.octets.get(self.start..).unwrap_or(&[]);
            if left.is_empty() {
                break;
            }
            match self.stream.write(left) {
                Ok(octets @ 1..) => self.start = self.start.saturating_add(octets),
                Err(error) if is_late(&error) => {
                    // The peer may be writing as well, and wait for us.
                    self.read_some();
                    return false;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        // Where it fails the connection has ended already.
        let _ = self.stream.shutdown(Shutdown::Write);
        self.read_some();
        true
    }

    fn read_some(&mut self) {
        let mut buffer = [0; 4 * 1024];
        let mut left = LAST_LOOK;
        while left > 0 {
            match self.stream.read(&mut buffer) {
                Ok(octets @ 1..) => left = left.saturating_sub(octets),
                _ => break,
            }
        }
        self.more = left == 0;
    }
}
