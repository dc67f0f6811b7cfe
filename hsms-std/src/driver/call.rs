//! What the application asks for.

use super::inbox::Kept;
use super::input::Sort;
use super::output::{LONG, MUCH};
use super::{Driver, Step};
use crate::transport::Transport;
use crate::{Answer, Error, Incoming};
use hsms_core::connection::{
    General, Notice, ReplyToken, SessionEnd, SessionRefusal, Sessions, State, Stream9, TransactionEnd,
};
use hsms_core::wire::{Header, Message, PREFIX_LEN, SelectStatus, SessionId, StreamFunction, SystemBytes};

/// A closure that serves primaries while a request waits: see
/// [`Connection::request_serving`](crate::Connection::request_serving).
pub type Serve<'s> = &'s mut dyn FnMut(Message<'_>, Option<&ReplyToken>, &mut Vec<u8>) -> Answer;

/// The one transaction that a call waits for.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    system: Option<SystemBytes>,
    /// Of the primary; of no meaning for a linktest.
    primary: Option<StreamFunction>,
    /// The session that is selected (true) or deselected.
    session: Option<(SessionId, bool)>,
    outcome: Option<Outcome>,
}

#[derive(Debug)]
enum Outcome {
    /// The reply came while something was written.
    Reply(Kept),
    Ended(TransactionEnd),
    LinktestAnswered,
    LinktestMissed(u8),
    /// The session that was to be deselected has ended.
    SessionEnded,
    SessionRefused {
        session: SessionId,
        refusal: SessionRefusal,
    },
}

impl Awaited {
    /// Takes a notice that is about what is waited for.
    #[inline]
    pub(super) fn takes(&mut self, notice: &Notice) -> bool {
        let (system, outcome) = match notice {
            Notice::TransactionEnded { system, end } => (system, Outcome::Ended(*end)),
            Notice::LinktestAnswered { system } => (system, Outcome::LinktestAnswered),
            Notice::LinktestMissed { system, missed } => (system, Outcome::LinktestMissed(*missed)),
            _ => return self.takes_session(notice),
        };
        if self.system != Some(*system) {
            return false;
        }
        self.outcome = Some(outcome);
        true
    }

    /// What the call itself brought about is not told a second time. The first outcome counts: behind it the peer may have begun
    /// the session anew.
    fn takes_session(&mut self, notice: &Notice) -> bool {
        let Some((awaited, selects)) = self.session else { return false };
        let (outcome, own) = match *notice {
            Notice::SessionSelected { session } if session == awaited => return selects,
            Notice::SessionEnded { session, end } if session == awaited && !selects => {
                (Outcome::SessionEnded, end == SessionEnd::Deselected)
            }
            Notice::SessionRefused { session, refusal } if session == awaited => {
                (Outcome::SessionRefused { session, refusal }, true)
            }
            _ => return false,
        };
        if self.outcome.is_none() {
            self.outcome = Some(outcome);
        }
        own
    }
}

impl<T: Transport, const TRANSACTIONS: usize, S: Sessions> Driver<T, TRANSACTIONS, S> {
    // Commands of the machine.

    /// Connects, and connects again after every loss. May be repeated.
    pub fn enable(&mut self) {
        self.command(|machine, now| machine.enable(now)).ok();
    }

    /// Ends the session with Separate.req where there is one, closes the transport, and does not connect again. May be
    /// repeated.
    pub fn disable(&mut self) {
        self.command(|machine, now| machine.disable(now)).ok();
    }

    /// Ends the session with Separate.req where there is one, and closes the transport.
    ///
    /// # Errors
    /// [`Error::Refused`] where nothing is connected.
    pub fn separate(&mut self) -> Result<(), Error> {
        self.command(|machine, now| machine.separate(now))
    }

    /// Sends Linktest.req. [`poll`](Self::poll) tells what comes of it.
    ///
    /// # Errors
    /// [`Error::Refused`], see [`hsms_core::Connection::linktest`].
    pub fn linktest(&mut self) -> Result<SystemBytes, Error> {
        self.command(|machine, now| machine.linktest(now))
    }

    /// Sends S9F3, S9F5 or S9F7 about the message whose header is `about`.
    ///
    /// # Errors
    /// [`Error::Refused`], see [`hsms_core::Connection::report_error`].
    pub fn report_error(&mut self, error: Stream9, about: &Header) -> Result<(), Error> {
        self.command(|machine, now| machine.report_error(now, error, about))
    }

    /// Gives up the transaction of a primary that was posted.
    ///
    /// # Errors
    /// [`Error::Refused`] where there is no such transaction.
    pub fn forget(&mut self, system: SystemBytes) -> Result<(), Error> {
        self.command(|machine, _| machine.forget(system))?;
        self.meter.forgotten(system);
        Ok(())
    }

    // Messages.

    /// Sends a primary that expects a reply; the reply, or the end of the transaction, comes out of [`poll`](Self::poll).
    ///
    /// # Errors
    /// As [`Connection::post`](crate::Connection::post).
    #[inline]
    pub fn post(
        &mut self,
        session: SessionId,
        stream_function: StreamFunction,
        body: &[u8],
    ) -> Result<SystemBytes, Error> {
        let waiting = self.inbox.outcomes();
        if waiting > self.inbox.most_messages() {
            return Err(Error::InboxFull { waiting });
        }
        let system = self.begin_request(session, stream_function, body)?;
        self.awaited.system = None;
        match self.awaited.outcome.take() {
            None => {}
            Some(outcome) => self.ended_early(system, outcome),
        }
        Ok(system)
    }

    /// Sends a primary that expects no reply.
    ///
    /// # Errors
    /// As [`Connection::send`](crate::Connection::send).
    #[inline]
    pub fn send(
        &mut self,
        session: SessionId,
        stream_function: StreamFunction,
        body: &[u8],
    ) -> Result<SystemBytes, Error> {
        let (system, prefix) =
            self.machine.begin_primary_in(self.now, session, stream_function, false, body_len(body))?;
        self.put(&prefix, body)?;
        Ok(system)
    }

    /// Replies to the primary that `token` came with.
    ///
    /// # Errors
    /// As [`Connection::reply`](crate::Connection::reply).
    #[inline]
    pub fn reply(&mut self, token: &ReplyToken, body: &[u8]) -> Result<(), Error> {
        let prefix = self.machine.begin_reply(self.now, token, body_len(body))?;
        self.put(&prefix, body)
    }

    /// Aborts the transaction of the primary that `token` came with.
    ///
    /// # Errors
    /// As [`Connection::abort`](crate::Connection::abort).
    pub fn abort(&mut self, token: &ReplyToken) -> Result<(), Error> {
        let prefix = self.machine.begin_abort(self.now, token)?;
        self.put(&prefix, &[])
    }

    /// Sends a primary whose reply [`poll_request`](Self::poll_request) waits for. Only one is waited for at a time.
    ///
    /// # Errors
    /// As [`Connection::request`](crate::Connection::request) before it waits.
    #[inline]
    pub fn begin_request(
        &mut self,
        session: SessionId,
        stream_function: StreamFunction,
        body: &[u8],
    ) -> Result<SystemBytes, Error> {
        let (system, prefix) =
            self.machine.begin_primary_in(self.now, session, stream_function, true, body_len(body))?;
        self.closed = None;
        self.awaited = Awaited { system: Some(system), primary: Some(stream_function), ..Awaited::default() };
        let put = self.put(&prefix, body);
        if put.is_err() {
            // The caller learns of the end by the error, and of nothing else.
            self.awaited = Awaited::default();
        }
        put.map(|()| system)
    }

    /// Looks for the reply to the request in what has been read: `None` where it has not come yet; then call
    /// [`turn`](Self::turn). Other messages are given to `serve` or kept for [`poll`](Self::poll).
    ///
    /// After `Ok` the reply can be had from [`current`](Self::current), until the next call.
    ///
    /// # Errors
    /// As [`Connection::request`](crate::Connection::request).
    pub fn poll_request(&mut self, mut serve: Option<Serve<'_>>) -> Option<Result<(), Error>> {
        loop {
            if self.awaited.outcome.is_some() {
                return self.request_outcome();
            }
            match self.step() {
                Step::Empty => return None,
                Step::Other => {}
                Step::Message => {
                    let Some(current) = self.input.current().copied() else { continue };
                    if current.sort.is_outcome() && self.awaited.system == Some(current.header.system) {
                        self.awaited = Awaited::default();
                        return Some(reply(&current.header, current.sort));
                    }
                    match &mut serve {
                        Some(serve) if current.sort.is_primary() => {
                            if let Err(error) = self.serve(*serve) {
                                return Some(Err(error));
                            }
                        }
                        _ => self.keep(),
                    }
                }
            }
        }
    }

    /// Gives the primaries that wait in the inbox to `serve`.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub fn serve_kept(&mut self, serve: Serve<'_>) -> Result<(), Error> {
        while let Some(kept) = self.inbox.pop_primary() {
            self.input.hold(kept.header, kept.sort, kept.body);
            self.serve(serve)?;
        }
        Ok(())
    }

    /// The message that came last, with its text; `None` after any other call.
    #[must_use]
    pub fn current(&self) -> Option<Message<'_>> {
        self.input.message().map(|(message, _)| message)
    }

    /// See [`Connection::take_body`](crate::Connection::take_body).
    pub fn take_body(&mut self, body: &mut Vec<u8>) {
        self.input.take_text_to(body);
    }

    /// Waits for a linktest: `None` where nothing has come of it yet.
    pub(crate) fn poll_linktest(&mut self) -> Option<Result<(), Error>> {
        self.keep_all();
        let outcome = self.awaited.outcome.take()?;
        self.awaited = Awaited::default();
        Some(match outcome {
            Outcome::LinktestAnswered | Outcome::Reply(_) => Ok(()),
            Outcome::LinktestMissed(missed) => Err(Error::LinktestMissed { missed }),
            Outcome::Ended(_) | Outcome::SessionEnded | Outcome::SessionRefused { .. } => Err(self.closed_error()),
        })
    }

    /// Begins a linktest that [`poll_linktest`](Self::poll_linktest) waits for.
    pub(crate) fn begin_linktest(&mut self) -> Result<(), Error> {
        self.closed = None;
        let system = self.linktest()?;
        self.awaited = Awaited { system: Some(system), ..Awaited::default() };
        Ok(())
    }

    /// Keeps for [`poll`](Self::poll) what has been read.
    pub fn keep_all(&mut self) {
        loop {
            match self.step() {
                Step::Empty => return,
                Step::Other => {}
                Step::Message => self.keep(),
            }
        }
    }

    /// Writes out everything that was put together.
    ///
    /// # Errors
    /// [`Error::WriteStalled`], [`Error::Closed`].
    pub fn flush(&mut self) -> Result<(), Error> {
        self.closed = None;
        self.write_out(&[])?;
        self.write_owed()
    }

    /// Whether messages or notices wait for [`poll`](Self::poll).
    #[must_use]
    pub fn has_kept(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Replies that nobody waits for are given as replies, with their texts.
    #[cfg(feature = "services")]
    pub(crate) const fn keep_unawaited(&mut self) {
        self.unawaited = true;
    }

    pub(crate) fn notice(&mut self, notice: Incoming<'static>) {
        self.inbox.notice(notice);
    }

    #[inline]
    fn command<R>(
        &mut self,
        command: impl FnOnce(
            &mut hsms_core::Connection<TRANSACTIONS, S>,
            hsms_core::time::Instant,
        ) -> Result<R, hsms_core::Error>,
    ) -> Result<R, Error> {
        self.tick();
        let result = command(&mut self.machine, self.now);
        self.drain();
        Ok(result?)
    }

    /// Appends a message that was begun to the ordered output.
    #[inline]
    fn put(&mut self, prefix: &[u8; PREFIX_LEN], body: &[u8]) -> Result<(), Error> {
        self.input.release();
        let [_, _, _, _, header @ ..] = prefix;
        let header = Header::decode(header);
        self.counters.record_sent(&header, body_len(body));
        self.watch.sent(&header, body);
        self.meter.sent(&header);
        self.output.push(prefix);
        let long = body.len() >= LONG;
        if long {
            self.output.begin_text();
        } else {
            self.output.push(body);
        }
        self.machine.end_body(self.now)?;
        self.drain();
        if long || self.output.len() >= MUCH {
            self.tick();
            self.write_out(if long { body } else { &[] })?;
        }
        Ok(())
    }

    /// Keeps the current message for [`poll`](Self::poll), or for the call that waits for it.
    fn keep(&mut self) {
        let Some(current) = self.input.current().copied() else { return };
        let (header, sort, awaited) =
            (current.header, current.sort, self.awaited.system == Some(current.header.system));
        let kept = |body| Kept { header, sort, body };
        match sort {
            Sort::Reply | Sort::Abort if awaited => {
                self.awaited.outcome = Some(Outcome::Reply(kept(self.input.take_text())));
            }
            Sort::Abort => self.inbox.outcome(Incoming::Aborted { header }),
            _ if self.inbox.has_room(current.body_len, sort.is_outcome()) => {
                self.inbox.keep(kept(self.input.take_text()));
            }
            Sort::Reply => {
                self.watch.refused(format_args!("no room in the inbox for the reply {header}"));
                self.inbox.drop_reply(&header, u32::try_from(current.body_len).unwrap_or(u32::MAX));
            }
            Sort::Unawaited(class) => {
                let body_len = u32::try_from(current.body_len).unwrap_or(u32::MAX);
                self.inbox.notice(Incoming::Other { header, body_len, class });
            }
            Sort::Primary(token) => {
                self.watch.refused(format_args!("no room in the inbox for the primary {header}"));
                self.inbox.drop_primary(&header);
                self.refuse(token.as_ref());
            }
        }
        self.input.release();
    }

    /// There is no room for a primary: its sender need not wait for T3.
    fn refuse(&mut self, token: Option<&ReplyToken>) {
        let Some(token) = token else { return };
        // Fails only where the session has ended, and the sender knows then.
        if let Ok(prefix) = self.machine.begin_abort(self.now, token) {
            let [_, _, _, _, header @ ..] = &prefix;
            let header = Header::decode(header);
            self.counters.record_sent(&header, 0);
            self.watch.sent(&header, &[]);
            self.output.push(&prefix);
            let ended = self.machine.end_body(self.now);
            debug_assert!(ended.is_ok());
            self.drain();
        }
    }

    /// Serves the current message, a primary.
    fn serve(&mut self, serve: Serve<'_>) -> Result<(), Error> {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        let answer = self.input.message().map(|(message, current)| {
            let token = match current.sort {
                Sort::Primary(token) => token,
                Sort::Reply | Sort::Abort | Sort::Unawaited(_) => None,
            };
            (serve(message, token.as_ref(), &mut text), token)
        });
        let result = match answer {
            Some((Answer::Reply, Some(token))) => self.reply(&token, &text),
            Some((Answer::Abort, Some(token))) => self.abort(&token),
            _ => Ok(()),
        };
        self.input.release();
        text.shrink_to(MUCH);
        self.text = text;
        match result {
            // The session ended; the request that waits learns how.
            Err(Error::Refused(_)) => Ok(()),
            result => result,
        }
    }

    fn request_outcome(&mut self) -> Option<Result<(), Error>> {
        let awaited = std::mem::take(&mut self.awaited);
        Some(match (awaited.outcome?, awaited.system, awaited.primary) {
            (Outcome::Reply(kept), ..) => {
                let (header, sort) = (kept.header, kept.sort);
                self.input.hold(header, sort, kept.body);
                reply(&header, sort)
            }
            (Outcome::Ended(TransactionEnd::SessionEnded), ..) if self.closed.is_some() => Err(self.closed_error()),
            (Outcome::Ended(end), Some(system), Some(stream_function)) => {
                Err(Error::NoReply { system, stream_function, end })
            }
            // The others are about linktests.
            _ => return None,
        })
    }

    /// The call that waits gives up: what becomes of its transaction concerns nobody any more.
    pub(crate) fn give_up(&mut self) {
        if let Awaited { system: Some(system), primary: Some(_), outcome: None, .. } = std::mem::take(&mut self.awaited)
        {
            // Unknown where the transaction has ended.
            let _ = self.machine.forget(system);
            self.meter.forgotten(system);
        }
    }

    /// A primary that was posted had ended before it was written whole.
    #[cold]
    fn ended_early(&mut self, system: SystemBytes, outcome: Outcome) {
        match outcome {
            Outcome::Reply(kept) => self.inbox.keep(kept),
            Outcome::Ended(end) => self.inbox.outcome(Incoming::TransactionEnded { system, end }),
            Outcome::LinktestAnswered
            | Outcome::LinktestMissed(_)
            | Outcome::SessionEnded
            | Outcome::SessionRefused { .. } => {}
        }
    }

    /// Whether the connection is SELECTED.
    #[must_use]
    pub fn is_selected(&self) -> bool {
        self.machine.state() == State::Selected
    }
}

impl<T: Transport, const TRANSACTIONS: usize> Driver<T, TRANSACTIONS> {
    /// Sends Select.req where the settings leave that to the application. Gives its system bytes.
    ///
    /// # Errors
    /// [`Error::Refused`], see [`hsms_core::Connection::select`].
    pub fn select(&mut self) -> Result<SystemBytes, Error> {
        self.command(|machine, now| machine.select(now))
    }
}

impl<T: Transport, const TRANSACTIONS: usize, const N: usize> Driver<T, TRANSACTIONS, General<N>> {
    /// Sends Select.req for this session. Gives its system bytes; [`poll`](Self::poll) tells what comes of it.
    ///
    /// # Errors
    /// [`Error::Refused`], see [`hsms_core::Connection::select_session`].
    pub fn select_session(&mut self, session: SessionId) -> Result<SystemBytes, Error> {
        self.command(|machine, now| machine.select_session(now, session))
    }

    /// Sends Deselect.req for this session. Gives its system bytes; [`poll`](Self::poll) tells what comes of it.
    ///
    /// # Errors
    /// [`Error::Refused`], see [`hsms_core::Connection::deselect_session`].
    pub fn deselect_session(&mut self, session: SessionId) -> Result<SystemBytes, Error> {
        self.command(|machine, now| machine.deselect_session(now, session))
    }

    /// Sends Separate.req for this session, which ends at once.
    ///
    /// # Errors
    /// [`Error::Refused`], see [`hsms_core::Connection::separate_session`].
    pub fn separate_session(&mut self, session: SessionId) -> Result<(), Error> {
        self.command(|machine, now| machine.separate_session(now, session))
    }

    /// Answers the Select.req that [`Notice::SelectAsked`] told of.
    ///
    /// # Errors
    /// [`Error::Refused`], see [`hsms_core::Connection::answer_select`].
    pub fn answer_select(&mut self, session: SessionId, status: SelectStatus) -> Result<(), Error> {
        self.command(|machine, now| machine.answer_select(now, session, status))
    }

    /// From here on what becomes of this session is for the call that waits, see [`poll_session`](Self::poll_session): until it is
    /// selected, or has ended.
    pub(crate) fn await_session(&mut self, session: SessionId, selects: bool) {
        self.closed = None;
        self.awaited = Awaited { session: Some((session, selects)), ..Awaited::default() };
    }

    /// Whether the session that was to be deselected has ended, or what was asked was refused. What else has been read is kept
    /// for [`poll`](Self::poll).
    pub(crate) fn poll_session(&mut self) -> Option<Result<(), Error>> {
        self.keep_all();
        if self.awaited.outcome.is_none() && self.closed.is_some() && matches!(self.awaited.session, Some((_, false))) {
            // It ended with its connection, which may have been followed by another.
            return Some(Err(self.closed_error()));
        }
        match self.awaited.outcome.take()? {
            Outcome::SessionEnded => Some(Ok(())),
            Outcome::SessionRefused { session, refusal } => Some(Err(Error::SessionRefused { session, refusal })),
            // The others are about messages.
            _ => None,
        }
    }
}

/// What a request is told of a reply: an abort is none.
fn reply(header: &Header, sort: Sort) -> Result<(), Error> {
    match sort {
        Sort::Abort => Err(Error::Aborted { header: *header }),
        Sort::Primary(_) | Sort::Reply | Sort::Unawaited(_) => Ok(()),
    }
}

/// The length of a text; one that no length field holds is refused by the machine.
#[inline]
fn body_len(body: &[u8]) -> u32 {
    u32::try_from(body.len()).unwrap_or(u32::MAX)
}
