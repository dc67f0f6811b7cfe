//! The reply to a primary of ours: waited for, and read.

use crate::clock;
use crate::error::Error;
use crate::link::Place;
use crate::state::calls::{Awaits, Topic};
use core::future::poll_fn;
use core::task::Poll;
use embassy_sync::blocking_mutex::raw::RawMutex;
use hsms_core::connection::Sessions;
use hsms_core::wire::{Header, StreamFunction, SystemBytes};

/// A whole reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply<'r> {
    /// Its header.
    pub header: Header,
    /// Its text.
    pub body: &'r [u8],
}

/// The reply to a primary that has been sent, with a text that is read bit by bit.
///
/// Dropped before the end of the text, the transaction is given up: its place is free at once, and what comes of the reply is
/// passed by. While the reply is here and is not read, nothing else is read from the peer, see [`Limits::unread`](crate::Limits::unread).
#[must_use = "dropped, the transaction is given up"]
pub struct Answer<'l, 'b, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions> {
    // In front of the place, which is free when this is dropped.
    open: Open<'l, 'b, M, TRANSACTIONS, CALLS, S>,
    _place: Place<'l, 'b, M, TRANSACTIONS, CALLS, S>,
    primary: StreamFunction,
    header: Option<Header>,
    left: u32,
}

/// The transaction. Dropped before its end, it is given up.
struct Open<'l, 'b, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions> {
    link: &'l crate::Link<'b, M, TRANSACTIONS, CALLS, S>,
    index: usize,
    system: SystemBytes,
    over: bool,
}

impl<'l, 'b, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions>
    Answer<'l, 'b, M, TRANSACTIONS, CALLS, S>
{
    pub(crate) fn new(
        place: Place<'l, 'b, M, TRANSACTIONS, CALLS, S>,
        system: SystemBytes,
        primary: StreamFunction,
    ) -> Self {
        let open = Open { link: place.link, index: place.index, system, over: false };
        Answer { open, _place: place, primary, header: None, left: 0 }
    }

    /// System bytes of the transaction.
    #[must_use]
    pub const fn system(&self) -> SystemBytes {
        self.open.system
    }

    /// Waits for the header of the reply; gives it, and how many octets of its text are still to be read.
    ///
    /// Cancel-safe: dropped at an await, it has changed nothing.
    ///
    /// # Errors
    /// [`Error::NoReply`], [`Error::Aborted`].
    pub async fn header(&mut self) -> Result<(Header, u32), Error> {
        if let Some(header) = self.header {
            return Ok((header, self.left));
        }
        let Open { link, index, .. } = self.open;
        let outcome = poll_fn(|cx| {
            link.with(|state| match state.calls.awaits(index) {
                Awaits::Reply { .. } => {
                    state.calls.wait(index, Topic::Outcome, cx.waker());
                    Poll::Pending
                }
                outcome => Poll::Ready(outcome),
            })
        });
        match outcome.await {
            Awaits::Here { header, .. } if header.stream_function().is_abort() => Err(Error::Aborted { header }),
            Awaits::Here { header, body_len } => {
                self.header = Some(header);
                self.left = body_len;
                self.open.over = body_len == 0;
                Ok((header, body_len))
            }
            outcome => Err(self.failed(outcome)),
        }
    }

    /// Waits for octets of the text and puts them into `buffer`; gives how many, and 0 behind the last or where `buffer` is empty.
    ///
    /// Cancel-safe: dropped at an await, no octet is lost.
    ///
    /// # Errors
    /// Those of [`header`](Self::header); [`Error::Cut`] where the connection ended in the middle of the text, or it was
    /// read too slowly.
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let (_, left) = self.header().await?;
        if left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let Open { link, index, system, .. } = self.open;
        let read = poll_fn(|cx| {
            link.with(|state| {
                let outcome = state.calls.awaits(index);
                if !matches!(outcome, Awaits::Here { .. }) {
                    return Poll::Ready(Err(outcome));
                }
                match state.take_reply(clock::now(), system, buffer) {
                    0 => {
                        state.calls.wait(index, Topic::Outcome, cx.waker());
                        Poll::Pending
                    }
                    read => Poll::Ready(Ok(read)),
                }
            })
        });
        match read.await {
            Ok(read) => {
                self.left = self.left.saturating_sub(u32::try_from(read).unwrap_or(0));
                self.open.over = self.left == 0;
                Ok(read)
            }
            Err(outcome) => Err(self.failed(outcome)),
        }
    }

    /// Waits for the whole reply, and puts its text into `buffer`.
    ///
    /// Not cancel-safe: it has taken the reply with it, which is given up with the transaction.
    ///
    /// # Errors
    /// Those of [`read`](Self::read); [`Error::NoRoom`] where the text does not fit.
    pub async fn read_whole(mut self, buffer: &mut [u8]) -> Result<Reply<'_>, Error> {
        let (header, needed) = self.header().await?;
        let whole = usize::try_from(needed).ok().filter(|needed| *needed <= buffer.len());
        let Some(whole) = whole else { return Err(Error::NoRoom { header, token: None, needed }) };
        let mut filled = 0;
        while filled < whole {
            let Some(rest) = buffer.get_mut(filled..whole) else { break };
            filled = filled.saturating_add(self.read(rest).await?);
        }
        Ok(Reply { header, body: buffer.get(..whole).unwrap_or(&[]) })
    }

    fn failed(&mut self, outcome: Awaits) -> Error {
        match (outcome, self.header) {
            (Awaits::Unread { header }, _) => Error::Cut { header },
            (Awaits::Ended(_), Some(header)) => Error::Cut { header },
            (Awaits::Ended(end), None) => {
                self.open.over = true;
                Error::NoReply { system: self.open.system, stream_function: self.primary, end }
            }
            // A call awaits its reply from its beginning on.
            _ => Error::Refused(hsms_core::Error::NoTransaction { system: self.open.system }),
        }
    }
}

impl<M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions> Drop
    for Open<'_, '_, M, TRANSACTIONS, CALLS, S>
{
    fn drop(&mut self) {
        if !self.over {
            self.link.with(|state| state.give_up_reply(clock::now(), self.system));
        }
    }
}
