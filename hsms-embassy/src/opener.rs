//! How a transport is had.

use embedded_io_async::{Read, Write};

/// Opens transports for [`Link::run`](crate::Link::run), one at a time: dials where the link is active, accepts where it is
/// passive. [`net`](crate::net) has both for `embassy-net`; for another stack write the two functions.
///
/// The link asks for a transport when the settings allow one: attempts are spaced by T5 (E37 9.2.1), so `open` neither waits nor
/// tries again by itself.
pub trait Opener {
    /// What the peer's octets are read from. A read of zero octets means that the peer has closed.
    type Reader<'t>: Read
    where
        Self: 't;
    /// What octets for the peer are written to. They have to leave without a call of `flush`: wrap a writer that keeps them back
    /// in one that flushes with each write.
    type Writer<'t>: Write
    where
        Self: 't;

    /// Opens a transport. The two halves are used at the same time.
    ///
    /// Is dropped when the transport is no longer wanted, or with `run`; [`close`](Self::close) follows in the first case, the
    /// next `open` in either.
    ///
    /// # Errors
    /// [`OpenFailed`], where it cannot be had. The link asks again after T5.
    // Futures of embedded executors stay where they are.
    #[allow(async_fn_in_trait, reason = "one task per connection: nothing is sent between threads")]
    async fn open(&mut self) -> Result<(Self::Reader<'_>, Self::Writer<'_>), OpenFailed>;

    /// Closes the transport that was opened last, where there still is one, after what was written to it. Is dropped where that takes
    /// longer than [`Limits::farewell`](crate::Limits::farewell).
    #[allow(async_fn_in_trait, reason = "as above")]
    async fn close(&mut self);
}

/// For [`Link::run`](crate::Link::run) with what is kept: where that is dropped the opener, its socket and its buffers are there for the next.
impl<O: Opener> Opener for &mut O {
    type Reader<'t>
        = O::Reader<'t>
    where
        Self: 't;
    type Writer<'t>
        = O::Writer<'t>
    where
        Self: 't;

    async fn open(&mut self) -> Result<(Self::Reader<'_>, Self::Writer<'_>), OpenFailed> {
        O::open(self).await
    }

    async fn close(&mut self) {
        O::close(self).await;
    }
}

/// A transport could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OpenFailed;

impl core::fmt::Display for OpenFailed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the transport could not be opened")
    }
}

impl core::error::Error for OpenFailed {}
