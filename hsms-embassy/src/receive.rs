//! Primaries that come in: whole, or with a text that is read bit by bit.

use crate::clock;
use crate::error::Error;
use crate::link::{Link, Place};
use crate::state::calls::Topic;
use crate::state::inbox::{Entry, LinkNumber};
use core::future::poll_fn;
use core::task::Poll;
use embassy_sync::blocking_mutex::raw::RawMutex;
use hsms_core::connection::{ReplyToken, Sessions};
use hsms_core::wire::Header;

/// A whole primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Primary<'r> {
    /// Its header.
    pub header: Header,
    /// What a [reply](Link::reply) needs; `None` where its sender waits for none.
    pub token: Option<ReplyToken>,
    /// Its text.
    pub body: &'r [u8],
}

/// A primary whose text is read bit by bit.
///
/// Further primaries wait for its end. Dropped before the end of the text, the rest is passed by; a reply or an abort can be sent
/// before, meanwhile or after.
#[must_use = "dropped, its text is passed by"]
pub struct Incoming<'l, 'b, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions> {
    place: Place<'l, 'b, M, TRANSACTIONS, CALLS, S>,
    header: Header,
    token: Option<ReplyToken>,
    body_len: u32,
    left: u32,
    /// Where it is dropped its sender has to be told, as nobody has seen it.
    pub(crate) unseen: bool,
    /// Which link it came over.
    #[cfg_attr(not(feature = "services"), expect(dead_code, reason = "for the services"))]
    pub(crate) link: LinkNumber,
}

impl<'b, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions> Link<'b, M, TRANSACTIONS, CALLS, S> {
    /// Waits for the next primary, and puts its text into `buffer`. Several tasks may wait; each primary goes to one of them.
    ///
    /// Cancel-safe for texts that fit the inbox: dropped at an await, the primary is there for the next call. A longer one is read while
    /// it arrives: dropped in the middle of that, its sender gets SxF0 where it waits for a reply, and [`Told::Dropped`](crate::Told::Dropped) tells of it.
    ///
    /// # Errors
    /// [`Error::NoRoom`] where the text does not fit `buffer`: the message is passed by, and the error has what a reply needs;
    /// [`Error::Cut`] where the connection ended in the middle of a text longer than the inbox; [`Error::TooManyCalls`].
    pub async fn receive<'r>(&self, buffer: &'r mut [u8]) -> Result<Primary<'r>, Error> {
        let mut incoming = self.take_next(true).await?;
        let (header, token, needed) = (incoming.header, incoming.token, incoming.body_len);
        let whole = usize::try_from(needed).ok().filter(|needed| *needed <= buffer.len());
        let Some(whole) = whole else {
            incoming.unseen = false;
            return Err(Error::NoRoom { header, token, needed });
        };
        let mut filled = 0;
        while filled < whole {
            let Some(rest) = buffer.get_mut(filled..whole) else { break };
            filled = filled.saturating_add(incoming.read(rest).await?);
        }
        incoming.unseen = false;
        Ok(Primary { header, token, body: buffer.get(..whole).unwrap_or(&[]) })
    }

    /// Waits for the next primary, whose text is then read bit by bit.
    ///
    /// Cancel-safe: dropped at an await, the primary is there for the next call. The [`Incoming`] itself says what becomes of it.
    ///
    /// # Errors
    /// [`Error::TooManyCalls`].
    pub async fn next(&self) -> Result<Incoming<'_, 'b, M, TRANSACTIONS, CALLS, S>, Error> {
        self.take_next(false).await
    }

    /// `whole`: not before all of a text is there that can be there.
    pub(crate) async fn take_next(&self, whole: bool) -> Result<Incoming<'_, 'b, M, TRANSACTIONS, CALLS, S>, Error> {
        let place = self.place()?;
        let entry: Entry = poll_fn(|cx| {
            self.with(|state| {
                let fits = |entry: &Entry| {
                    usize::try_from(entry.body_len).is_ok_and(|body_len| body_len <= state.inbox.capacity())
                };
                match state.inbox.first().copied().filter(|entry| !whole || entry.whole || !fits(entry)) {
                    Some(entry) => {
                        state.inbox.take();
                        Poll::Ready(entry)
                    }
                    None => {
                        state.calls.wait(place.index, Topic::Inbox, cx.waker());
                        Poll::Pending
                    }
                }
            })
        })
        .await;
        let Entry { header, token, body_len, link, .. } = entry;
        Ok(Incoming { place, header, token, body_len, left: body_len, unseen: whole, link })
    }
}

impl<M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions>
    Incoming<'_, '_, M, TRANSACTIONS, CALLS, S>
{
    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// What a [reply](Link::reply) needs; `None` where the sender waits for none.
    #[must_use]
    pub const fn token(&self) -> Option<ReplyToken> {
        self.token
    }

    /// Octets of the whole text.
    #[must_use]
    pub const fn body_len(&self) -> u32 {
        self.body_len
    }

    /// Octets of the text that have not been read.
    #[must_use]
    pub const fn left(&self) -> u32 {
        self.left
    }

    /// Waits for octets of the text and puts them into `buffer`; gives how many, and 0 behind the last or where `buffer` is empty.
    ///
    /// Cancel-safe: dropped at an await, no octet is lost.
    ///
    /// # Errors
    /// [`Error::Cut`] where the connection ended in the middle of the text, or it was read too slowly.
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        if self.left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let Place { link, index } = self.place;
        let header = self.header;
        let read = poll_fn(|cx| {
            link.with(|state| {
                let entry = state.inbox.current().copied();
                match entry {
                    Some(entry) if entry.here > 0 => {
                        let most = buffer.len().min(crate::state::AT_ONCE);
                        let read = buffer.get_mut(..most).map_or(0, |buffer| state.inbox.read(buffer));
                        state.wake_runner();
                        Poll::Ready(Ok(read))
                    }
                    Some(entry) if !entry.cut => {
                        state.calls.wait(index, Topic::Inbox, cx.waker());
                        Poll::Pending
                    }
                    _ => Poll::Ready(Err(Error::Cut { header })),
                }
            })
        })
        .await?;
        self.left = self.left.saturating_sub(u32::try_from(read).unwrap_or(0));
        Ok(read)
    }
}

impl<M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions> Drop
    for Incoming<'_, '_, M, TRANSACTIONS, CALLS, S>
{
    fn drop(&mut self) {
        let refused = self.unseen;
        self.place.link.with(|state| {
            state.finish_primary();
            if refused {
                state.refuse(clock::now(), &self.header, self.token);
            }
        });
    }
}
