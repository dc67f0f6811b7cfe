//! TCP as a [`Transport`].

mod spin;

use crate::Options;
use crate::transport::{Transport, is_late};
use mio::{Events, Interest, Poll, Token};
use socket2::{SockRef, TcpKeepalive};
use spin::Spin;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// How long the system waits for room before a short write gives up and the driver reads and writes by turns. Not a limit of
/// the write itself.
const WRITE_PATIENCE: Duration = Duration::from_millis(20);

/// A write of more than that does not wait for room at all.
const LONG_WRITE: usize = 32 * 1024;

/// On Windows a write that times out leaves open how much of it was taken, so no write waits there.
const WRITES_WAIT: bool = !cfg!(windows);

/// The longest timeout given to the system; the driver just waits again.
pub(crate) const LONGEST: Duration = Duration::from_secs(86_400);

/// How much of what the peer still sends is taken before the stream is closed. Octets that nobody has read make TCP reset
/// the connection, and the peer might lose what we wrote last.
const LAST_LOOK: usize = 256 * 1024;

/// A TCP connection, blocking: in the usual case a read is one call to the system, and so is a write.
#[derive(Debug)]
pub struct Tcp {
    stream: TcpStream,
    local: SocketAddr,
    peer: SocketAddr,
    /// What the socket is set to.
    nonblocking: bool,
    read_timeout: Duration,
    /// The last read waited in vain.
    late: bool,
    spin: Spin,
    watch: Box<Watch>,
}

/// For waiting until either direction can go on. Made with the connection, so that no lack of descriptors can harm it later.
#[derive(Debug)]
struct Watch {
    poll: Poll,
    events: Events,
    /// The same socket: the event loop insists on one of its own.
    stream: mio::net::TcpStream,
    registered: bool,
}

impl Tcp {
    /// Takes over a stream that is connected.
    ///
    /// # Errors
    /// Where the system refuses the settings that `options` ask for.
    pub fn new(stream: TcpStream, options: &Options) -> io::Result<Self> {
        stream.set_nodelay(options.no_delay())?;
        if let Some(idle) = options.keepalive() {
            let idle = idle.max(Duration::from_secs(1));
            SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(idle).with_interval(idle))?;
        }
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(LONGEST))?;
        if WRITES_WAIT {
            stream.set_write_timeout(Some(WRITE_PATIENCE))?;
        }
        let (local, peer) = (stream.local_addr()?, stream.peer_addr()?);
        let spin = Spin::new(options.spin());
        let watched = mio::net::TcpStream::from_std(stream.try_clone()?);
        let (poll, events) = (Poll::new()?, Events::with_capacity(4));
        let watch = Box::new(Watch { poll, events, stream: watched, registered: false });
        Ok(Tcp { stream, local, peer, nonblocking: false, read_timeout: LONGEST, late: false, spin, watch })
    }

    /// The own address.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The peer's address.
    #[must_use]
    pub const fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// The same socket once more, for an event loop.
    pub(crate) fn watched(&self) -> io::Result<mio::net::TcpStream> {
        Ok(mio::net::TcpStream::from_std(self.stream.try_clone()?))
    }

    fn set_nonblocking(&mut self, nonblocking: bool) -> io::Result<()> {
        if self.nonblocking != nonblocking {
            self.stream.set_nonblocking(nonblocking)?;
            self.nonblocking = nonblocking;
        }
        Ok(())
    }

    /// Lets reads wait for `limit` at most. Each change is a call to the system, which costs a tenth of the rate when made at
    /// every read: so the timeout may be shorter than asked for, and is set exactly only after it has passed in vain.
    fn set_read_timeout(&mut self, limit: Duration) -> io::Result<()> {
        let limit = limit.min(LONGEST);
        let timeout = match limit.cmp(&self.read_timeout) {
            std::cmp::Ordering::Less if !self.late => limit - limit / 4,
            std::cmp::Ordering::Greater if !self.late => return Ok(()),
            std::cmp::Ordering::Equal => return Ok(()),
            _ => limit,
        };
        self.stream.set_read_timeout(Some(timeout))?;
        self.read_timeout = timeout;
        Ok(())
    }
}

impl Transport for Tcp {
    #[inline]
    fn read(&mut self, octets: &mut [u8], limit: Duration) -> io::Result<usize> {
        if limit.is_zero() {
            self.set_nonblocking(true)?;
            return self.stream.read(octets);
        }
        let tries = self.spin.begin();
        if tries > 0 {
            self.set_nonblocking(true)?;
            for tried in 1..=tries {
                match self.stream.read(octets) {
                    Err(error) if is_late(&error) => std::hint::spin_loop(),
                    result => {
                        self.spin.paid(tried);
                        self.late = false;
                        return result;
                    }
                }
            }
            self.spin.in_vain();
        }
        self.set_nonblocking(false)?;
        self.set_read_timeout(limit)?;
        let result = self.stream.read(octets);
        self.late = result.as_ref().is_err_and(is_late);
        result
    }

    #[inline]
    fn write(&mut self, parts: &[IoSlice<'_>], limit: Duration) -> io::Result<usize> {
        // A long write does not wait blindly: the peer may be writing as well. And where reads spin, switching back and forth
        // would cost two calls to the system for each exchange.
        let long = parts.iter().map(|part| part.len()).sum::<usize>() > LONG_WRITE;
        self.set_nonblocking(limit.is_zero() || long || !WRITES_WAIT || self.spin.is_on())?;
        match parts {
            [part] => self.stream.write(part),
            parts => self.stream.write_vectored(parts),
        }
    }

    fn wait(&mut self, or_read: bool, limit: Duration) -> io::Result<()> {
        let interest = if or_read { Interest::WRITABLE | Interest::READABLE } else { Interest::WRITABLE };
        let Watch { poll, events, stream, registered } = &mut *self.watch;
        if *registered {
            // Tells again what is the case already.
            poll.registry().reregister(stream, Token(0), interest)?;
        } else {
            poll.registry().register(stream, Token(0), interest)?;
            *registered = true;
        }
        poll.poll(events, Some(limit.min(LONGEST)))
    }

    fn close(&mut self) {
        // What fails here has failed before.
        let _ = self.stream.shutdown(Shutdown::Write);
        if self.set_nonblocking(true).is_ok() {
            let mut octets = [0; 16 * 1024];
            let mut left = LAST_LOOK;
            while left > 0 {
                match self.stream.read(&mut octets) {
                    Ok(read @ 1..) => left = left.saturating_sub(read),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                        left = left.saturating_sub(octets.len());
                    }
                    _ => break,
                }
            }
        }
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        Some((self.local, self.peer))
    }
}
