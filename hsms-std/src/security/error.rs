//! Why a stream could not be trusted.

use std::{fmt, io};

/// Why a connection was ended for the sake of security. It comes as the source of an [`io::Error`], where the end of the connection is told:
/// [`SecurityError::of`] finds it there.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SecurityError {
    /// The peer speaks plain HSMS where TLS is required.
    PlainWhereTls,
    /// The peer speaks TLS where plain HSMS is expected.
    TlsWherePlain,
    /// The peer closed before the handshake of TLS was over: it may speak plain HSMS, or not have liked what it was shown.
    ClosedInHandshake,
    /// What TLS found wrong: a certificate that is not trusted, has expired, or is missing, an alert of the peer, octets that are
    /// no TLS.
    #[cfg(feature = "tls")]
    Tls(crate::tls::TlsError),
}

impl SecurityError {
    /// What an error of the system says about security, where it does.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<SecurityError> for io::Error {
    fn from(error: SecurityError) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

impl fmt::Display for SecurityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecurityError::PlainWhereTls => f.write_str("the peer speaks plain HSMS where TLS is required"),
            SecurityError::TlsWherePlain => f.write_str("the peer speaks TLS where plain HSMS is expected"),
            SecurityError::ClosedInHandshake => f.write_str("the peer closed before the TLS handshake was over"),
            #[cfg(feature = "tls")]
            SecurityError::Tls(error) => write!(f, "TLS: {error}"),
        }
    }
}

impl std::error::Error for SecurityError {}
