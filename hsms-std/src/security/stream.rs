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
        /// Nothing has been read yet.
        fresh: bool,
    },
    #[cfg(feature = "tls")]
    Tls(Box<Tls<T>>),
}

impl<T> Stream<T> {
    pub(super) const fn plain(transport: T) -> Self {
        Stream::Plain { transport, fresh: true }
    }

    /// What is below.
    pub(crate) const fn transport(&self) -> &T {
        match self {
            Stream::Plain { transport, .. } => transport,
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.transport(),
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

    /// Writes once of what it owes, without waiting, and tells how many octets.
    #[cfg(feature = "manager")]
    #[cfg_attr(not(feature = "tls"), expect(clippy::needless_pass_by_ref_mut, reason = "only TLS owes anything"))]
    pub(crate) fn write_owed(&mut self) -> io::Result<usize> {
        match self {
            Stream::Plain { .. } => Ok(0),
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.write_records(Duration::ZERO),
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
            Stream::Plain { transport, fresh } => {
                let read = transport.read(octets, limit)?;
                if std::mem::take(fresh) && is_tls(octets.get(..read).unwrap_or(&[])) {
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

/// Whether a stream begins with a record of TLS: a type from 20 to 23 and version 3. As the length of an HSMS message that is
/// 320 MiB or more, while the first of a connection is a control message of 14 octets.
const fn is_tls(octets: &[u8]) -> bool {
    matches!(octets, [20..=23, 3, ..])
}
