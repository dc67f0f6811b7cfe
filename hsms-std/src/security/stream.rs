//! A stream that is plain, or TLS.

use super::SecurityError;
use crate::transport::Transport;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::time::Duration;

#[cfg(feature = "tls")]
use crate::tls::Tls;

/// What connections go over: plain, or TLS.
#[derive(Debug)]
pub(crate) enum Stream<T> {
    Plain {
        transport: T,
        begin: Begin,
    },
    #[cfg(feature = "tls")]
    Tls(Box<Tls<T>>),
}

impl<T> Stream<T> {
    pub(super) const fn plain(transport: T) -> Self {
        Stream::Plain { transport, begin: Begin::Nothing }
    }

    /// What is below.
    pub(crate) const fn transport(&self) -> &T {
        match self {
            Stream::Plain { transport, .. } => transport,
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.transport(),
        }
    }

    /// Whether TLS is not ready yet.
    #[cfg(feature = "manager")]
    pub(crate) fn is_handshaking(&self) -> bool {
        match self {
            Stream::Plain { .. } => false,
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.session().is_handshaking(),
        }
    }

    /// Whether what is read is what has come, and nothing of it is kept.
    #[cfg(feature = "manager")]
    pub(crate) const fn is_plain(&self) -> bool {
        matches!(self, Stream::Plain { .. })
    }

    /// How many octets of what has come TLS may be keeping.
    #[cfg(feature = "manager")]
    pub(crate) const fn kept(&self) -> usize {
        match self {
            Stream::Plain { .. } => 0,
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.kept(),
        }
    }

    #[cfg(feature = "manager")]
    pub(crate) const fn transport_mut(&mut self) -> &mut T {
        match self {
            Stream::Plain { transport, .. } => transport,
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.transport_mut(),
        }
    }
}

impl<T: Transport> Stream<T> {
    /// Whether octets that were taken have not been written: somebody has to see to it when some can be.
    pub(crate) fn owes(&self) -> bool {
        match self {
            Stream::Plain { .. } => false,
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.owes(),
        }
    }

    /// Has TLS say that nothing follows: it is among what is owed then.
    #[cfg(feature = "manager")]
    #[cfg_attr(not(feature = "tls"), expect(clippy::needless_pass_by_ref_mut, reason = "only TLS says anything"))]
    pub(crate) fn end(&mut self) {
        match self {
            Stream::Plain { .. } => {}
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.end(),
        }
    }
}

impl<T: Transport> Transport for Stream<T> {
    #[inline]
    fn read(&mut self, octets: &mut [u8], limit: Duration) -> io::Result<usize> {
        match self {
            Stream::Plain { transport, begin } => {
                let read = transport.read(octets, limit)?;
                if *begin != Begin::Known && begin.is_tls(octets.get(..read).unwrap_or(&[])) {
                    return Err(SecurityError::TlsWherePlain.into());
                }
                Ok(read)
            }
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.read(octets, limit),
        }
    }

    #[inline]
    fn write(&mut self, parts: &[IoSlice<'_>], limit: Duration) -> io::Result<usize> {
        match self {
            Stream::Plain { transport, .. } => transport.write(parts, limit),
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.write(parts, limit),
        }
    }

    fn write_owed(&mut self, limit: Duration) -> io::Result<usize> {
        match self {
            Stream::Plain { transport, .. } => transport.write_owed(limit),
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.write_owed(limit),
        }
    }

    fn wait(&mut self, or_read: bool, limit: Duration) -> io::Result<()> {
        match self {
            Stream::Plain { transport, .. } => transport.wait(or_read, limit),
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.wait(or_read, limit),
        }
    }

    fn close(&mut self) {
        match self {
            Stream::Plain { transport, .. } => transport.close(),
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.close(),
        }
    }

    fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.transport().addresses()
    }
}

/// How a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// Nothing has been read yet.
    Nothing,
    /// One octet has, which may be the type of a record of TLS.
    Type,
    /// What follows does not matter.
    Known,
}

impl Begin {
    /// Whether it begins with a record of TLS: a type from 20 to 23 and version 3. As the length of an HSMS message that is
    /// 320 MiB or more, while the first of a connection is a control message of 14 octets.
    const fn is_tls(&mut self, octets: &[u8]) -> bool {
        *self = match (*self, octets) {
            (Begin::Nothing, [20..=23, 3, ..]) | (Begin::Type, [3, ..]) => return true,
            (before, []) => before,
            (Begin::Nothing, [20..=23]) => Begin::Type,
            _ => Begin::Known,
        };
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives so many octets with each read.
    struct Slow(Vec<u8>, usize);

    impl Transport for Slow {
        fn read(&mut self, octets: &mut [u8], _: Duration) -> io::Result<usize> {
            let len = self.1.min(self.0.len());
            octets.iter_mut().zip(self.0.drain(..len)).for_each(|(place, octet)| *place = octet);
            Ok(len)
        }

        fn write(&mut self, _: &[IoSlice<'_>], _: Duration) -> io::Result<usize> {
            Ok(0)
        }

        fn wait(&mut self, _: bool, _: Duration) -> io::Result<()> {
            Ok(())
        }

        fn close(&mut self) {}
    }

    /// What is read of `octets`, so many at a time, and whether that ends as TLS where plain is expected.
    fn read_all(octets: &[u8], at_once: usize) -> (Vec<u8>, bool) {
        let mut stream = Stream::plain(Slow(octets.to_vec(), at_once));
        let (mut all, mut room) = (Vec::new(), [0; 64]);
        loop {
            match stream.read(&mut room, Duration::ZERO) {
                Ok(0) => return (all, false),
                Ok(read) => all.extend_from_slice(&room[..read]),
                Err(error) => {
                    assert_eq!(SecurityError::of(&error), Some(&SecurityError::TlsWherePlain));
                    return (all, true);
                }
            }
        }
    }

    #[test]
    fn tls_is_told_from_plain_however_few_octets_come_at_once() {
        for at_once in 1..=4 {
            for first in 20..=23 {
                let (read, is_tls) = read_all(&[first, 3, 1, 2, 0], at_once);
                assert!(is_tls, "{first}, {at_once} at once");
                assert!(read.len() < 2);
            }
            for plain in [[0, 0, 0, 10, 255], [22, 4, 3, 3, 3], [24, 3, 3, 3, 3], [0, 22, 3, 1, 0]] {
                assert_eq!(read_all(&plain, at_once), (plain.to_vec(), false), "{at_once} at once");
            }
        }
    }
}
