//! The task of the services: follows the connection, sends what the core has to say, and keeps the deadlines.

use super::Endpoint;
use super::endpoint::Told;
use super::error::Error;
use super::owed::Owed;
use crate::answer::Answer;
use crate::clock;
use crate::link::Place;
use crate::send::What;
use crate::state::calls::Topic;
use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::mem::{Discriminant, discriminant};
use core::pin::pin;
use core::task::{Context, Poll};
use embassy_futures::select::{Either, Either3, select, select3};
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::RawMutex;
use hsms_core::connection::{Single, TransactionEnd};
use hsms_core::secs2::{Slice, Writer};
use hsms_core::services::{Outgoing, OwnMessage};
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};

/// Octets of the longest text of the core's own, and of a reply to one of these: names have 32 octets, and the two parts of an identity
/// 20 each (E5).
const OWN_TEXT: usize = 160;

/// Kinds of requests of the core's own, of each of which one is open at most: the name, the handshake, S1F13.
const KINDS: usize = 3;

impl<
    'l,
    'b,
    M: RawMutex,
    H: Copy,
    const TRANSACTIONS: usize,
    const CALLS: usize,
    const SENDINGS: usize,
    const HANDLERS: usize,
    const ENTRIES: usize,
    const MESSAGES: usize,
    const OCTETS: usize,
> Endpoint<'l, 'b, M, H, TRANSACTIONS, CALLS, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>
{
    /// Exchanges names, runs the handshake, establishes communication, answers what no handler answers, and keeps the deadlines, for ever: to be
    /// awaited in a task of its own, or joined with [`Link::run`](crate::Link::run).
    ///
    /// May be dropped at any await and called again. What is open of its own requests counts as unanswered then, and what it was to
    /// send waits for the next call.
    ///
    /// # Errors
    /// [`Running`](crate::Error::Running) where it runs already; [`TooManyCalls`](crate::Error::TooManyCalls). It does not end otherwise.
    pub async fn run(&self) -> Result<Infallible, Error> {
        let _running = self.joint.start()?;
        let place = self.joint.link.place()?;
        // What has arrived is taken before the deadlines are looked at.
        match select3(self.keep_following(&place), self.keep_sending(), self.keep_deadlines()).await {
            Either3::First(never) | Either3::Second(never) | Either3::Third(never) => match never {},
        }
    }

    /// Tells the core of every change of the connection.
    async fn keep_following(&self, place: &Place<'_, 'b, M, TRANSACTIONS, CALLS, Single>) -> Infallible {
        poll_fn(|cx| {
            #[cfg(feature = "defmt")]
            self.peek(|shared| shared.log_answers(&self.joint));
            loop {
                let topic = if self.peek(|shared| shared.was_refused()) { Topic::Anything } else { Topic::State };
                self.joint.link.with(|state| state.calls.wait(place.index, topic, cx.waker()));
                self.joint.wait(cx.waker());
                if !self.peek(|shared| shared.is_behind(&self.joint)) {
                    return Poll::Pending;
                }
                let behind = self.act(|shared| {
                    shared.follow(&self.joint);
                    shared.is_behind(&self.joint)
                });
                if behind {
                    // What came before has to be taken first.
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Sends what is owed, in order, and takes the replies to the core's own requests.
    async fn keep_sending(&self) -> Infallible {
        let mut open = [const { None }; KINDS];
        let mut blocked = None;
        let mut text = [0; OWN_TEXT];
        loop {
            match poll_fn(|cx| self.poll_sending(cx, &mut open, blocked)).await {
                Step::Answered(own) => own.take(&mut text).await,
                Step::Owed(owed, number) => {
                    blocked = match self.send_owed(owed, number, &mut open, &mut text).await {
                        Err(crate::Error::TooManyCalls { .. }) => Some(self.block()),
                        _ => None,
                    };
                }
            }
        }
    }

    fn poll_sending<'e>(
        &'e self,
        cx: &mut Context<'_>,
        open: &mut [Option<Own<'e, 'l, 'b, M, H, TRANSACTIONS, CALLS, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>>;
                 KINDS],
        blocked: Option<u16>,
    ) -> Poll<Step<'e, 'l, 'b, M, H, TRANSACTIONS, CALLS, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>> {
        for place in open {
            if let Some(own) = place
                && let Some(answer) = &mut own.answer
                && pin!(answer.header()).poll(cx).is_ready()
                && let Some(own) = place.take()
            {
                return Poll::Ready(Step::Answered(own));
            }
        }
        self.joint.wait(cx.waker());
        if blocked.is_some_and(|blocked| blocked == self.happened()) {
            return Poll::Pending;
        }
        match self.joint.first() {
            Some((owed, number)) => Poll::Ready(Step::Owed(owed, number)),
            None => Poll::Pending,
        }
    }

    /// Sends one thing. It is done then, unless there was no place for the call.
    async fn send_owed<'e>(
        &'e self,
        owed: Owed<'l>,
        number: u16,
        open: &mut [Option<Own<'e, 'l, 'b, M, H, TRANSACTIONS, CALLS, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>>;
                 KINDS],
        text: &mut [u8],
    ) -> Result<(), crate::Error> {
        let link = self.joint.link;
        let changes = self.peek(|shared| shared.seen.changes);
        let sent = match owed {
            Owed::Request(message, what) => {
                let own = self.request_own(changes, &message, what, text).await;
                if let Ok(Some(own)) = own {
                    let same = open.iter().position(|it| it.as_ref().is_some_and(|it| it.kind == own.kind));
                    let place = same.or_else(|| open.iter().position(Option::is_none)).unwrap_or(0);
                    if let Some(place) = open.get_mut(place) {
                        *place = Some(own);
                    }
                    Ok(())
                } else {
                    own.map(|_| ())
                }
            }
            Owed::Reply(to, message) => match self.write(&message, text) {
                Some(len) => {
                    let text = text.get(..len).unwrap_or_default();
                    let sent = link.whole(None, What::Reply { to }, &[text]).await;
                    if let (Ok(_), Some(what)) = (&sent, to.primary().reply()) {
                        let header = Header::data(to.system(), what, false, to.session());
                        self.peek(|shared| shared.log("sent", &header, text));
                    }
                    sent.map(|_| ())
                }
                None => link.whole(None, What::Abort { to }, &[]).await.map(|_| ()),
            },
            Owed::Abort(to) => {
                let sent = link.whole(None, What::Abort { to }, &[]).await;
                if sent.is_ok() {
                    let what = StreamFunction::new(to.primary().stream, 0);
                    self.peek(|shared| shared.log("sent", &Header::data(to.system(), what, false, to.session()), &[]));
                }
                sent.map(|_| ())
            }
            Owed::Report(error, about) => link.report_within(Some(changes), error, &about).await,
        };
        if !matches!(sent, Err(crate::Error::TooManyCalls { .. })) {
            // Whatever else was refused belongs to a connection that has ended.
            self.joint.done(number);
            self.act(|shared| {
                shared.follow(&self.joint);
                shared.wake_going();
            });
        }
        sent
    }

    /// Sends a request of the core's own; `None` where it is of no use any more.
    async fn request_own<'e>(
        &'e self,
        changes: u16,
        message: &OwnMessage<'l>,
        what: StreamFunction,
        text: &mut [u8],
    ) -> Result<
        Option<Own<'e, 'l, 'b, M, H, TRANSACTIONS, CALLS, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>>,
        crate::Error,
    > {
        let Some(len) = self.write(message, text) else {
            self.act(|shared| shared.tell(Told::NotSent(what)));
            return Ok(None);
        };
        let primary = What::Primary { session: None, stream_function: what, reply_expected: true };
        let sent = self.joint.link.whole(Some(changes), primary, &[text.get(..len).unwrap_or_default()]).await;
        let outgoing = Outgoing::Own(*message);
        match sent {
            Ok(writer) => {
                let answer = writer.into_answer(what);
                let system = answer.system();
                let of_use = self.act(|shared| {
                    let of_use = shared.seen.changes == changes;
                    if of_use {
                        let header = Header::data(system, what, true, SessionId(0));
                        shared.log("sent", &header, text.get(..len).unwrap_or_default());
                        shared.core.sent(&outgoing, system);
                    }
                    of_use
                });
                let own = Own { endpoint: self, kind: discriminant(message), system, answer: Some(answer) };
                Ok(of_use.then_some(own))
            }
            Err(error) => {
                if let crate::Error::Refused(refusal) = error {
                    self.act(|shared| {
                        if shared.seen.changes == changes {
                            shared.not_sent(&self.joint, &outgoing, refusal);
                        }
                    });
                }
                Err(error)
            }
        }
    }

    /// Writes a text of the core's own; gives its length, where there is room for it.
    fn write(&self, message: &OwnMessage<'_>, text: &mut [u8]) -> Option<usize> {
        self.peek(|shared| {
            let mut writer = Writer::<_, 8>::new(Slice::new(text));
            shared.core.write(message, &mut writer).ok()?;
            Some(writer.finish().ok()?.written().len())
        })
    }

    /// There was no place for a call: goes on when something has happened on the connection.
    fn block(&self) -> u16 {
        self.act(|shared| shared.wait_for_room(&self.joint));
        self.happened()
    }

    fn happened(&self) -> u16 {
        self.joint.link.with(|state| state.happened)
    }

    /// Tells the core of every deadline.
    async fn keep_deadlines(&self) -> Infallible {
        loop {
            let due = self.peek(|shared| {
                shared.awaited = shared.core.next_deadline();
                shared.awaited
            });
            let other = poll_fn(|cx| {
                self.joint.wait(cx.waker());
                if self.peek(|shared| shared.core.next_deadline()) == due { Poll::Pending } else { Poll::Ready(()) }
            });
            if let Either::First(()) = select(clock::reach_some(due), other).await {
                // What has come by now, and what can go out, is not late: the tasks that it has woken are first.
                yield_now().await;
                yield_now().await;
                self.act(|shared| shared.expire());
            }
        }
    }
}

enum Step<
    'e,
    'l,
    'b,
    M: RawMutex,
    H: Copy,
    const TRANSACTIONS: usize,
    const CALLS: usize,
    const SENDINGS: usize,
    const HANDLERS: usize,
    const ENTRIES: usize,
    const MESSAGES: usize,
    const OCTETS: usize,
> {
    Answered(Own<'e, 'l, 'b, M, H, TRANSACTIONS, CALLS, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>),
    Owed(Owed<'l>, u16),
}

/// A request of the core's own that is open. Dropped before it is answered, it counts as unanswered.
struct Own<
    'e,
    'l,
    'b,
    M: RawMutex,
    H: Copy,
    const TRANSACTIONS: usize,
    const CALLS: usize,
    const SENDINGS: usize,
    const HANDLERS: usize,
    const ENTRIES: usize,
    const MESSAGES: usize,
    const OCTETS: usize,
> {
    endpoint: &'e Endpoint<'l, 'b, M, H, TRANSACTIONS, CALLS, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>,
    kind: Discriminant<OwnMessage<'l>>,
    system: SystemBytes,
    answer: Option<Answer<'l, 'b, M, TRANSACTIONS, CALLS, Single>>,
}

impl<
    M: RawMutex,
    H: Copy,
    const TRANSACTIONS: usize,
    const CALLS: usize,
    const SENDINGS: usize,
    const HANDLERS: usize,
    const ENTRIES: usize,
    const MESSAGES: usize,
    const OCTETS: usize,
> Own<'_, '_, '_, M, H, TRANSACTIONS, CALLS, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>
{
    /// The reply is here, or none will come.
    async fn take(mut self, text: &mut [u8]) {
        let Some(answer) = self.answer.take() else { return };
        let outcome = answer.read_whole(text).await;
        self.endpoint.act(|shared| match outcome {
            Ok(reply) => {
                shared.replied(&reply.header, reply.body);
            }
            Err(crate::Error::Aborted { header }) => {
                shared.replied(&header, &[]);
            }
            Err(crate::Error::NoRoom { header, .. }) => shared.reply_dropped(header.system),
            Err(crate::Error::NoReply { system, end, .. }) => shared.ended(system, end),
            Err(_) => {}
        });
    }
}

impl<
    M: RawMutex,
    H: Copy,
    const TRANSACTIONS: usize,
    const CALLS: usize,
    const SENDINGS: usize,
    const HANDLERS: usize,
    const ENTRIES: usize,
    const MESSAGES: usize,
    const OCTETS: usize,
> Drop for Own<'_, '_, '_, M, H, TRANSACTIONS, CALLS, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>
{
    fn drop(&mut self) {
        // Unknown where it was answered.
        let system = self.system;
        self.endpoint.act(|shared| shared.ended(system, TransactionEnd::SessionEnded));
    }
}
