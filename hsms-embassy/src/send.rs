//! Messages that go out: whole ones, and texts written bit by bit.

use crate::answer::{Answer, Reply};
use crate::error::Error;
use crate::link::{Link, Place};
use crate::state::calls::{Awaits, Topic};
use crate::state::{AT_ONCE, State};
use crate::{clock, log};
use core::future::poll_fn;
use core::task::{Context, Poll};
use embassy_sync::blocking_mutex::raw::RawMutex;
use hsms_core::Error as Refusal;
use hsms_core::connection::{ReplyToken, Sessions, State as Selection};
use hsms_core::wire::{Header, PREFIX_LEN, SessionId, StreamFunction, SystemBytes};

/// A message whose text is being written. It has the output for itself: other messages wait for its end.
///
/// The peer's T8 runs between the pieces, so write them swiftly (E37 9.2.3). Dropped before [`end`](Self::end) it ends the connection, with
/// [`CloseReason::BodyAborted`](hsms_core::connection::CloseReason::BodyAborted), as what was written cannot be taken back; the next
/// connection carries on.
#[must_use = "dropped, it ends the connection"]
pub struct Writer<'l, 'b, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions> {
    // In front of the place, which it names: dropped before it.
    text: Text<'l, 'b, M, TRANSACTIONS, CALLS, S>,
    place: Place<'l, 'b, M, TRANSACTIONS, CALLS, S>,
    system: SystemBytes,
    announced: u32,
    left: u32,
}

/// A primary that expects a reply, whose text is being written; as a [`Writer`] otherwise.
#[must_use = "dropped, it ends the connection"]
pub struct RequestWriter<'l, 'b, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions> {
    writer: Writer<'l, 'b, M, TRANSACTIONS, CALLS, S>,
    primary: StreamFunction,
}

/// The text that is open. Dropped while it is, it is given up.
struct Text<'l, 'b, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions> {
    link: &'l Link<'b, M, TRANSACTIONS, CALLS, S>,
    index: usize,
    /// Which connection it goes out over.
    number: u32,
    open: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    /// The session, where it is not the only one.
    Primary {
        session: Option<SessionId>,
        stream_function: StreamFunction,
        reply_expected: bool,
    },
    Reply {
        to: ReplyToken,
    },
    Abort {
        to: ReplyToken,
    },
}

impl<'b, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions> Link<'b, M, TRANSACTIONS, CALLS, S> {
    /// Sends a primary that expects a reply, waits for the reply, and puts its text into `reply`.
    ///
    /// Cancel-safe but for long texts. Dropped before it is its turn to send, nothing is sent. A primary whose text fits half of the
    /// output buffer is sent as a whole or not at all; dropped after that, its reply is passed by when it comes and its place is free at
    /// once ([`Connection::forget`](hsms_core::Connection::forget)). With a longer text that is partly written, the connection ends:
    /// see [`Writer`].
    ///
    /// # Errors
    /// [`Error::Refused`], see [`Connection::begin_primary`](hsms_core::Connection::begin_primary); [`Error::WhichSession`];
    /// [`Error::Closed`] where the connection ended in the middle of a text longer than half of the output; [`Error::NoReply`],
    /// [`Error::Aborted`], [`Error::NoRoom`] where `reply` is too short, [`Error::Cut`], [`Error::TooManyCalls`].
    pub async fn request<'r>(
        &self,
        primary: StreamFunction,
        body: &[u8],
        reply: &'r mut [u8],
    ) -> Result<Reply<'r>, Error> {
        self.ask(None, primary, body).await?.read_whole(reply).await
    }

    /// The same for one of several sessions, or device ids.
    ///
    /// Cancel-safe as [`request`](Self::request) is.
    ///
    /// # Errors
    /// Those of [`request`](Self::request) but for [`Error::WhichSession`].
    pub async fn request_in<'r>(
        &self,
        session: SessionId,
        primary: StreamFunction,
        body: &[u8],
        reply: &'r mut [u8],
    ) -> Result<Reply<'r>, Error> {
        self.ask(Some(session), primary, body).await?.read_whole(reply).await
    }

    /// Sends a primary that expects no reply, and waits until the transport has taken it.
    ///
    /// Cancel-safe but for long texts. Dropped before it is its turn to send, nothing is sent; dropped later, the message is sent whole
    /// where its text fits half of the output buffer. With a longer text that is partly written, the connection ends: see
    /// [`Writer`].
    ///
    /// # Errors
    /// [`Error::Refused`], see [`Connection::begin_primary`](hsms_core::Connection::begin_primary); [`Error::WhichSession`];
    /// [`Error::Closed`] where the connection ended before the transport had taken all of it; [`Error::TooManyCalls`].
    pub async fn send(&self, primary: StreamFunction, body: &[u8]) -> Result<(), Error> {
        self.whole(None, primary_of(None, primary, false), &[body]).await?.taken().await
    }

    /// The same for one of several sessions, or device ids.
    ///
    /// Cancel-safe as [`send`](Self::send) is.
    ///
    /// # Errors
    /// Those of [`send`](Self::send) but for [`Error::WhichSession`].
    pub async fn send_in(&self, session: SessionId, primary: StreamFunction, body: &[u8]) -> Result<(), Error> {
        self.whole(None, primary_of(Some(session), primary, false), &[body]).await?.taken().await
    }

    /// Sends the reply to the primary that `to` came with, and waits until the transport has taken it.
    ///
    /// Cancel-safe as [`send`](Self::send) is.
    ///
    /// # Errors
    /// [`Error::Refused`], with [`StaleToken`](hsms_core::Error::StaleToken) where the primary came over a connection that has ended;
    /// [`Error::Closed`]; [`Error::TooManyCalls`].
    pub async fn reply(&self, to: &ReplyToken, body: &[u8]) -> Result<(), Error> {
        self.whole(None, What::Reply { to: *to }, &[body]).await?.taken().await
    }

    /// Answers the primary that `to` came with by SxF0: it will not get a reply (E5 7.4).
    ///
    /// Cancel-safe as [`send`](Self::send) is.
    ///
    /// # Errors
    /// Those of [`reply`](Self::reply).
    pub async fn abort(&self, to: &ReplyToken) -> Result<(), Error> {
        self.whole(None, What::Abort { to: *to }, &[]).await?.taken().await
    }

    /// Begins a primary that expects a reply and has a text of `body_len` octets, to be written bit by bit.
    ///
    /// Cancel-safe: dropped at an await, nothing is sent. The [`RequestWriter`] is not.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::WhichSession`], [`Error::TooManyCalls`].
    pub async fn begin_request(
        &self,
        primary: StreamFunction,
        body_len: u32,
    ) -> Result<RequestWriter<'_, 'b, M, TRANSACTIONS, CALLS, S>, Error> {
        let writer = self.begin(None, primary_of(None, primary, true), body_len, false).await?;
        Ok(RequestWriter { writer, primary })
    }

    /// Begins a primary that expects no reply and has a text of `body_len` octets, to be written bit by bit.
    ///
    /// Cancel-safe: dropped at an await, nothing is sent. The [`Writer`] is not.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::WhichSession`], [`Error::TooManyCalls`].
    pub async fn begin_send(
        &self,
        primary: StreamFunction,
        body_len: u32,
    ) -> Result<Writer<'_, 'b, M, TRANSACTIONS, CALLS, S>, Error> {
        self.begin(None, primary_of(None, primary, false), body_len, false).await
    }

    /// Begins the reply to the primary that `to` came with, with a text of `body_len` octets, to be written bit by bit.
    ///
    /// Cancel-safe: dropped at an await, nothing is sent. The [`Writer`] is not.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::TooManyCalls`].
    pub async fn begin_reply(
        &self,
        to: &ReplyToken,
        body_len: u32,
    ) -> Result<Writer<'_, 'b, M, TRANSACTIONS, CALLS, S>, Error> {
        self.begin(None, What::Reply { to: *to }, body_len, false).await
    }

    async fn ask(
        &self,
        session: Option<SessionId>,
        primary: StreamFunction,
        body: &[u8],
    ) -> Result<Answer<'_, 'b, M, TRANSACTIONS, CALLS, S>, Error> {
        Ok(self.whole(None, primary_of(session, primary, true), &[body]).await?.into_answer(primary))
    }

    /// Puts a whole message into the output. Where its text fits, there is no await between its beginning and its end.
    pub(crate) async fn whole(
        &self,
        within: Option<u16>,
        what: What,
        body: &[&[u8]],
    ) -> Result<Writer<'_, 'b, M, TRANSACTIONS, CALLS, S>, Error> {
        let writer = self.begin(within, what, length_of(body), true).await?;
        writer.write_whole(body).await
    }

    /// `within`: not after the state of the connection has [changed](State::changes) since it was this.
    pub(crate) async fn begin(
        &self,
        within: Option<u16>,
        what: What,
        body_len: u32,
        whole: bool,
    ) -> Result<Writer<'_, 'b, M, TRANSACTIONS, CALLS, S>, Error> {
        let place = self.place()?;
        let begun = poll_fn(|cx| {
            self.with(|state| match within {
                Some(changes) if changes != state.changes => Poll::Ready(Err(Error::Refused(Refusal::NotSelected))),
                _ => state.poll_begin(cx, place.index, &what, body_len, whole),
            })
        });
        let (system, number) = begun.await?;
        let text = Text { link: self, index: place.index, number, open: true };
        Ok(Writer { text, place, system, announced: body_len, left: body_len })
    }
}

impl<'l, 'b, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions>
    Writer<'l, 'b, M, TRANSACTIONS, CALLS, S>
{
    /// Octets of the text that are still to be written.
    #[must_use]
    pub const fn left(&self) -> u32 {
        self.left
    }

    /// System bytes of the message.
    #[must_use]
    pub const fn system(&self) -> SystemBytes {
        self.system
    }

    /// Writes the next octets of the text: waits until all of them are in the output buffer.
    ///
    /// Not cancel-safe: dropped at an await, a part of `octets` may have been written; [`left`](Self::left) tells how much of the text
    /// is still to come.
    ///
    /// # Errors
    /// [`Error::Closed`] where the connection has ended; [`Error::BodyLength`] where more octets are given than are left: then none is
    /// written.
    pub async fn write(&mut self, octets: &[u8]) -> Result<(), Error> {
        if u32::try_from(octets.len()).map_or(true, |len| len > self.left) {
            return Err(self.length_error());
        }
        let mut rest = octets;
        while !rest.is_empty() {
            let Text { link, index, number, .. } = self.text;
            let put = poll_fn(|cx| link.with(|state| state.poll_put(cx, index, number, rest))).await?;
            self.left = self.left.saturating_sub(u32::try_from(put).unwrap_or(0));
            rest = rest.get(put..).unwrap_or(&[]);
        }
        Ok(())
    }

    /// The text is complete: lets others send, and waits until the transport has taken the message.
    ///
    /// Cancel-safe: the message is in the output already, and goes out.
    ///
    /// # Errors
    /// [`Error::BodyLength`] where octets of the text are missing, which ends the connection; [`Error::Closed`].
    pub async fn end(mut self) -> Result<(), Error> {
        self.close_text()?;
        self.taken().await
    }

    /// Writes all of the text: where it fits, without an await.
    pub(crate) async fn write_whole(mut self, body: &[&[u8]]) -> Result<Self, Error> {
        for part in body {
            self.write(part).await?;
        }
        self.close_text()?;
        Ok(self)
    }

    const fn length_error(&self) -> Error {
        Error::BodyLength { announced: self.announced, left: self.left }
    }

    fn close_text(&mut self) -> Result<(), Error> {
        if self.left > 0 {
            return Err(self.length_error());
        }
        self.text.open = false;
        let Text { link, index, number, .. } = self.text;
        link.with(|state| state.end_text(index, number))
    }

    /// The message is in the output: waits until it is taken.
    pub(crate) async fn taken(self) -> Result<(), Error> {
        let Place { link, index } = self.place;
        poll_fn(|cx| {
            link.with(|state| match state.calls.awaits(index) {
                Awaits::Sending { .. } => {
                    state.calls.wait(index, Topic::Outcome, cx.waker());
                    Poll::Pending
                }
                Awaits::Lost => Poll::Ready(Err(state.closed_error())),
                _ => Poll::Ready(Ok(())),
            })
        })
        .await
    }

    /// The primary is in the output: what waits for its reply.
    pub(crate) fn into_answer(self, primary: StreamFunction) -> Answer<'l, 'b, M, TRANSACTIONS, CALLS, S> {
        Answer::new(self.place, self.system, primary)
    }
}

impl<'l, 'b, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions>
    RequestWriter<'l, 'b, M, TRANSACTIONS, CALLS, S>
{
    /// Octets of the text that are still to be written.
    #[must_use]
    pub const fn left(&self) -> u32 {
        self.writer.left
    }

    /// System bytes of the primary.
    #[must_use]
    pub const fn system(&self) -> SystemBytes {
        self.writer.system
    }

    /// Writes the next octets of the text: waits until all of them are in the output buffer.
    ///
    /// Not cancel-safe, see [`Writer::write`].
    ///
    /// # Errors
    /// Those of [`Writer::write`].
    pub async fn write(&mut self, octets: &[u8]) -> Result<(), Error> {
        self.writer.write(octets).await
    }

    /// The text is complete: lets others send. Gives the reply, to be waited for.
    ///
    /// # Errors
    /// [`Error::BodyLength`] where octets of the text are missing, which ends the connection; [`Error::Closed`].
    pub fn end(mut self) -> Result<Answer<'l, 'b, M, TRANSACTIONS, CALLS, S>, Error> {
        self.writer.close_text()?;
        Ok(self.writer.into_answer(self.primary))
    }
}

impl<M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions> Drop
    for Text<'_, '_, M, TRANSACTIONS, CALLS, S>
{
    fn drop(&mut self) {
        if self.open {
            self.link.with(|state| {
                if state.link == self.number {
                    state.give_up_text(clock::now(), self.index);
                }
            });
        }
    }
}

impl<const TRANSACTIONS: usize, const CALLS: usize, S: Sessions> State<'_, TRANSACTIONS, CALLS, S> {
    /// Begins a message when it is its turn and there is room: for all of it, where it is `whole` and can ever fit. Gives its system
    /// bytes, and which connection it goes out over.
    fn poll_begin(
        &mut self,
        cx: &Context<'_>,
        index: usize,
        what: &What,
        body_len: u32,
        whole: bool,
    ) -> Poll<Result<(SystemBytes, u32), Error>> {
        let text = usize::try_from(body_len).ok().filter(|text| whole && *text <= self.output.whole());
        let needed = text.unwrap_or(0).saturating_add(PREFIX_LEN);
        let turn = self.calls.is_turn(index) && self.writer.is_none() && self.settled() && self.output.room() >= needed;
        // Where nothing is selected nothing is waited for either.
        if !turn && self.machine.state() == Selection::Selected {
            self.calls.keep(index, cx.waker());
            return Poll::Pending;
        }
        let now = clock::now();
        let begun = match what {
            What::Primary { session, stream_function, reply_expected } => {
                let session = session.or_else(|| self.machine.sole_session());
                if session.is_none() && self.machine.state() == Selection::Selected {
                    return Poll::Ready(Err(Error::WhichSession));
                }
                // Where nothing is selected, that is what the machine says whatever the session.
                let session = session.unwrap_or(SessionId::CONTROL);
                self.machine.begin_primary_in(now, session, *stream_function, *reply_expected, body_len)
            }
            What::Reply { to } => self.machine.begin_reply(now, to, body_len).map(|prefix| (to.system(), prefix)),
            What::Abort { to } => self.machine.begin_abort(now, to).map(|prefix| (to.system(), prefix)),
        };
        let (system, prefix) = match begun {
            Err(Refusal::BodyOpen | Refusal::ActionsPending) => {
                self.calls.keep(index, cx.waker());
                return Poll::Pending;
            }
            Err(refusal) => return Poll::Ready(Err(Error::Refused(refusal))),
            Ok(begun) => begun,
        };
        self.calls.begun(index);
        self.writer = Some(index);
        if let What::Primary { reply_expected: true, .. } = what {
            self.calls.set(index, Awaits::Reply { system });
        }
        let [_, _, _, _, header @ ..] = &prefix;
        log::sent(&self.channel, &Header::decode(header), body_len);
        self.output.push(&prefix);
        self.wake_runner();
        Poll::Ready(Ok((system, self.link)))
    }

    /// Puts octets of the text that this call writes into the output; gives how many.
    fn poll_put(&mut self, cx: &Context<'_>, index: usize, link: u32, octets: &[u8]) -> Poll<Result<usize, Error>> {
        if self.link != link || self.writer != Some(index) {
            return Poll::Ready(Err(self.closed_error()));
        }
        if self.output.room() == 0 {
            self.calls.wait(index, Topic::Room, cx.waker());
            return Poll::Pending;
        }
        let put = self.output.push(octets.get(..AT_ONCE).unwrap_or(octets));
        self.wake_runner();
        Poll::Ready(Ok(put))
    }

    /// The text that this call has written is complete.
    fn end_text(&mut self, index: usize, link: u32) -> Result<(), Error> {
        if self.link != link || self.writer != Some(index) {
            return Err(self.closed_error());
        }
        let now = clock::now();
        self.writer = None;
        self.machine.end_body(now)?;
        if self.calls.awaits(index) == Awaits::Nothing {
            let end = self.output.end();
            let sent = self.output.taken() >= end;
            self.calls.set(index, if sent { Awaits::Sent } else { Awaits::Sending { end } });
        }
        self.settle(now);
        Ok(())
    }
}

/// Octets of a text in parts. One that no length field holds is refused by the machine.
pub(crate) fn length_of(body: &[&[u8]]) -> u32 {
    let octets = body.iter().fold(0_usize, |octets, part| octets.saturating_add(part.len()));
    u32::try_from(octets).unwrap_or(u32::MAX)
}

const fn primary_of(session: Option<SessionId>, stream_function: StreamFunction, reply_expected: bool) -> What {
    What::Primary { session, stream_function, reply_expected }
}
