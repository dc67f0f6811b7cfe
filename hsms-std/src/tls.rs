//! TLS as a [`Transport`] over another one (feature `tls`), by [`rustls`].
//!
//! Certificates, trust, versions and cipher suites are the user's: [`ServerConfig`] and [`ClientConfig`] are rustls' own. `rustls` is
//! built with the provider `ring` here and without any other; [`rustls::crypto::ring`] is it.
//!
//! ```no_run
//! use hsms_std::security::Security;
//! use hsms_std::tls::rustls::{self, RootCertStore, ServerConfig, server::WebPkiClientVerifier};
//! use hsms_std::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
//! use hsms_std::{Config, Connection, DeviceId};
//! use std::sync::Arc;
//!
//! let provider = Arc::new(rustls::crypto::ring::default_provider());
//! let mut trusted = RootCertStore::empty();
//! trusted.add(CertificateDer::from_pem_file("factory.pem")?)?;
//! let hosts = WebPkiClientVerifier::builder_with_provider(trusted.into(), provider.clone()).build()?;
//! let certificate = CertificateDer::from_pem_file("tool.pem")?;
//! let key = PrivateKeyDer::from_pem_file("tool.key")?;
//! let tls = ServerConfig::builder_with_provider(provider)
//!     .with_safe_default_protocol_versions()?
//!     .with_client_cert_verifier(hosts)
//!     .with_single_cert(vec![certificate], key)?;
//! let tool = Connection::passive("0.0.0.0:5000", Config::equipment(DeviceId::new(0).unwrap()))?
//!     .with_security(Security::new().with_server_tls(Arc::new(tls)))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The handshake belongs to the connection: HSMS counts it as connected as soon as TCP is, so that T7 ends a caller that does not
//! finish it, and T6 a dial whose Select.req is not answered. The end of TCP without TLS's own farewell counts as an end: messages have
//! a length, so one that was cut off shows.
//!
//! Each handshake costs the called end a signature: with a key of 2,048 bits of RSA several hundred microseconds to milliseconds, with ECDSA or
//! Ed25519 a tenth of that or less. A manager makes it on its event loop, of callers that are no peer's for four in each turn, so that
//! however many call, the peers have theirs in between; and of a passive peer that is not connected for one at a time.

use crate::driver::copy;
use crate::security::SecurityError;
use crate::transport::{Transport, is_again, is_late};
pub use rustls;
pub use rustls::pki_types::{CertificateDer, ServerName};
pub use rustls::{ClientConfig, Error as TlsError, ServerConfig};
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Reads of a call that find no octets for HSMS; then it comes back, so that records without a text stop no timer.
const MOST_READS: usize = 16;

/// A TLS connection over a transport.
#[derive(Debug)]
pub struct Tls<T> {
    transport: T,
    session: rustls::Connection,
    /// Nothing has been read yet.
    fresh: bool,
    /// Octets that have come since the last text: what the session keeps of them are records and a handshake that are not whole.
    unfinished: usize,
    /// Octets of text that have not been taken.
    untaken: usize,
    /// What went wrong; what the peer had sent before is read first.
    failure: Option<io::Error>,
}

impl<T> Tls<T> {
    /// The end that was called.
    ///
    /// # Errors
    /// [`SecurityError::Tls`] where the settings do not serve.
    pub fn server(transport: T, config: Arc<ServerConfig>) -> io::Result<Self> {
        let session = rustls::ServerConnection::new(config).map_err(SecurityError::Tls)?;
        Ok(Tls::over(transport, session.into()))
    }

    /// The end that called, and expects a certificate for `name`.
    ///
    /// # Errors
    /// [`SecurityError::Tls`] where the settings do not serve.
    pub fn client(transport: T, config: Arc<ClientConfig>, name: ServerName<'static>) -> io::Result<Self> {
        let session = rustls::ClientConnection::new(config, name).map_err(SecurityError::Tls)?;
        Ok(Tls::over(transport, session.into()))
    }

    const fn over(transport: T, session: rustls::Connection) -> Self {
        Tls { transport, session, fresh: true, unfinished: 0, untaken: 0, failure: None }
    }

    /// What is below.
    #[must_use]
    pub const fn transport(&self) -> &T {
        &self.transport
    }

    /// How many octets of what has come the session may be keeping.
    #[cfg(feature = "manager")]
    pub(crate) const fn kept(&self) -> usize {
        self.unfinished.saturating_add(self.untaken)
    }

    #[cfg(feature = "manager")]
    pub(crate) const fn transport_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    /// The state of TLS: versions, cipher suite, certificates of the peer.
    #[must_use]
    pub const fn session(&self) -> &rustls::Connection {
        &self.session
    }
}

impl<T: Transport> Tls<T> {
    /// Whether records wait to be written.
    pub(crate) fn owes(&self) -> bool {
        self.session.wants_write()
    }

    /// Says that nothing follows, once.
    pub(crate) fn end(&mut self) {
        // Before that it would be an octet in plain to one that may speak no TLS.
        if !self.session.is_handshaking() {
            self.session.send_close_notify();
        }
    }

    /// Writes all the records that wait.
    fn flush(&mut self, limit: Duration) -> io::Result<()> {
        while self.owes() {
            self.write_owed(limit)?;
        }
        Ok(())
    }

    /// Takes records from below. Gives false at the end of the stream. Where one is wrong, what stood in those before it is read first.
    fn take_records(&mut self, limit: Duration) -> io::Result<bool> {
        let mut below = Below { transport: &mut self.transport, limit, first: None };
        let read = self.session.read_tls(&mut below)?;
        // The first octet of a length below 16 MiB, which is no record of TLS.
        if below.first.is_some() && std::mem::take(&mut self.fresh) && below.first == Some(0) {
            return Err(SecurityError::PlainWhereTls.into());
        }
        self.unfinished = self.unfinished.saturating_add(read);
        match self.session.process_new_packets() {
            Ok(state) => {
                self.untaken = state.plaintext_bytes_to_read();
                if self.untaken > 0 {
                    // A record was whole, and nothing before these octets is kept.
                    self.unfinished = read;
                }
            }
            Err(error) => {
                // What is wrong is told to the peer, where it takes it.
                let _ = self.flush(Duration::ZERO);
                self.failure = Some(SecurityError::Tls(error).into());
            }
        }
        Ok(read > 0)
    }
}

impl<T: Transport> Transport for Tls<T> {
    fn read(&mut self, octets: &mut [u8], mut limit: Duration) -> io::Result<usize> {
        for _ in 0..MOST_READS {
            match self.session.reader().read(octets) {
                Err(error) if is_late(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                Ok(taken) => {
                    self.untaken = self.untaken.saturating_sub(taken);
                    return Ok(taken);
                }
                Err(error) => return Err(error),
            }
            if let Some(failure) = &self.failure {
                return Err(copy(failure));
            }
            let unwritable = self.flush(Duration::ZERO).err().filter(|error| !is_again(error));
            let owes = self.owes();
            match self.take_records(if owes { Duration::ZERO } else { limit }) {
                // What the peer had sent counts: it may have said why.
                Err(error) if is_late(&error) && unwritable.is_some() => return Err(unwritable.unwrap_or(error)),
                Ok(true) => {}
                Ok(false) if self.session.is_handshaking() => return Err(SecurityError::ClosedInHandshake.into()),
                // The system says it once.
                Ok(false) => return unwritable.map_or(Ok(0), Err),
                Err(error) if owes && !limit.is_zero() && is_late(&error) => {
                    self.transport.wait(true, limit)?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
            // A part of a record is no reason to wait as long again: timers may be due.
            limit = Duration::ZERO;
        }
        Err(io::ErrorKind::Interrupted.into())
    }

    fn write(&mut self, parts: &[IoSlice<'_>], limit: Duration) -> io::Result<usize> {
        self.flush(limit)?;
        let mut taken = 0_usize;
        for part in parts {
            // As much as the session buffers.
            let octets = self.session.writer().write(part)?;
            taken = taken.saturating_add(octets);
            if octets < part.len() {
                break;
            }
        }
        if taken == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        match self.flush(limit) {
            Err(error) if !is_again(&error) => Err(error),
            _ => Ok(taken),
        }
    }

    fn write_owed(&mut self, limit: Duration) -> io::Result<usize> {
        if !self.owes() {
            return Ok(0);
        }
        let mut below = Below { transport: &mut self.transport, limit, first: None };
        match self.session.write_tls(&mut below)? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            octets => Ok(octets),
        }
    }

    fn wait(&mut self, or_read: bool, limit: Duration) -> io::Result<()> {
        self.transport.wait(or_read, limit)
    }

    fn close(&mut self) {
        self.end();
        // What fails here has failed before.
        let _ = self.flush(Duration::ZERO);
        self.transport.close();
    }

    fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.transport.addresses()
    }
}

/// A transport as TLS reads and writes it.
struct Below<'a, T> {
    transport: &'a mut T,
    limit: Duration,
    /// The first octet that was read.
    first: Option<u8>,
}

impl<T: Transport> Read for Below<'_, T> {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        let read = self.transport.read(octets, self.limit)?;
        if read > 0 {
            self.first = octets.first().copied();
        }
        Ok(read)
    }
}

impl<T: Transport> Write for Below<'_, T> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(octets)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.transport.write(parts, self.limit)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
