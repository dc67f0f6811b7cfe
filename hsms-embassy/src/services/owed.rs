//! What is owed to the peer: answers and messages that [`run`](super::Endpoint::run) sends, in order.

use super::error::Error;
use crate::Link;
#[cfg(feature = "defmt")]
use crate::log;
use crate::send::What;
use crate::state::calls::Topic;
use core::cell::RefCell;
use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_sync::waitqueue::WakerRegistration;
use hsms_core::connection::{ReplyToken, Stream9};
use hsms_core::secs2::{Count, Slice, Writer};
#[cfg(feature = "defmt")]
use hsms_core::services::{Described, ServiceId, Services};
use hsms_core::services::{OwnMessage, ServiceMessage, Status};
use hsms_core::wire::{Header, StreamFunction};

/// What can wait: an answer, or a report and an abort of one primary; an answer for each call that is held; three messages of the core's own.
const QUEUE: usize = 8;

/// What was answered and waits to be logged. The task that runs is woken by each, and no more calls are held.
#[cfg(feature = "defmt")]
const ANSWERED: usize = 5;

/// What one primary can add, and the core of its own.
const RESERVED: usize = 4;

/// Something to send.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owed<'a> {
    /// A request of the core's own.
    Request(OwnMessage<'a>, StreamFunction),
    Reply(ReplyToken, OwnMessage<'a>),
    Abort(ReplyToken),
    Report(Stream9, Header),
}

/// What a call was answered with, for the log. Its names are with the core.
#[cfg(feature = "defmt")]
#[derive(Debug, Clone, Copy)]
pub(super) enum Answered {
    Service(ServiceId, u32, Status),
    Function(Header),
}

#[cfg(feature = "defmt")]
impl Answered {
    /// A service message, or else what this sends.
    fn of(message: Option<&ServiceMessage<'_>>, what: &What) -> Option<Self> {
        if let Some(message) = message {
            return Some(Answered::Service(message.service_id(), message.data_id(), message.status()));
        }
        let (to, function) = match what {
            What::Reply { to } => (to, to.primary().reply()?),
            What::Abort { to } => (to, StreamFunction::new(to.primary().stream, 0)),
            What::Primary { .. } => return None,
        };
        Some(Answered::Function(Header::data(to.system(), function, false, to.session())))
    }

    /// By its names.
    pub(super) fn describe<'n, const N: usize>(&self, services: &Services<'n, N>) -> Described<'n> {
        match self {
            Answered::Service(service, data_id, status) => {
                services.describe(&ServiceMessage::new(*service, *data_id, *status, None))
            }
            Answered::Function(header) => services.describe_header(header),
        }
    }
}

/// The link, and what is to be sent over it.
pub(super) struct Joint<'l, 'b, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize> {
    pub(super) link: &'l Link<'b, M, TRANSACTIONS, CALLS>,
    queue: Mutex<M, RefCell<Queue<'l>>>,
}

struct Queue<'l> {
    entries: heapless::Deque<Owed<'l>, QUEUE>,
    /// Each time that it was cleared it is another one.
    number: u16,
    /// Calls that are held and have to be answered.
    held: usize,
    runner: WakerRegistration,
    #[cfg(feature = "defmt")]
    answered: heapless::Deque<Answered, ANSWERED>,
    /// Somebody runs the endpoint.
    running: bool,
}

/// Somebody runs the endpoint, until this is dropped.
pub(super) struct Running<'e, 'l, 'b, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize>(
    &'e Joint<'l, 'b, M, TRANSACTIONS, CALLS>,
);

impl<'l, 'b, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize> Joint<'l, 'b, M, TRANSACTIONS, CALLS> {
    pub(super) const fn new(link: &'l Link<'b, M, TRANSACTIONS, CALLS>) -> Self {
        let queue = Queue {
            entries: heapless::Deque::new(),
            number: 0,
            held: 0,
            runner: WakerRegistration::new(),
            #[cfg(feature = "defmt")]
            answered: heapless::Deque::new(),
            running: false,
        };
        Joint { link, queue: Mutex::new(RefCell::new(queue)) }
    }

    fn with<R>(&self, act: impl FnOnce(&mut Queue<'l>) -> R) -> R {
        self.queue.lock(|queue| act(&mut queue.borrow_mut()))
    }

    /// Where nobody else runs the endpoint.
    pub(super) fn start(&self) -> Result<Running<'_, 'l, 'b, M, TRANSACTIONS, CALLS>, Error> {
        let first = self.with(|queue| !core::mem::replace(&mut queue.running, true));
        first.then(|| Running(self)).ok_or(Error::Link(crate::Error::Running))
    }

    /// Whether there is room for what the core may want to send, and for the answers of calls that are held.
    pub(super) fn has_room(&self) -> bool {
        self.with(|queue| queue.taken() < QUEUE)
    }

    /// Whether one more primary can be taken.
    pub(super) fn has_room_for_primary(&self) -> bool {
        self.with(|queue| queue.taken().saturating_add(RESERVED) <= QUEUE)
    }

    /// Puts something behind the others. There is room: it was asked for, or a call was held.
    pub(super) fn owe(&self, owed: Owed<'l>) {
        self.with(|queue| {
            let put = queue.entries.push_back(owed);
            debug_assert!(put.is_ok(), "no room for what is owed");
            queue.runner.wake();
        });
    }

    /// What is first, and in which queue.
    pub(super) fn first(&self) -> Option<(Owed<'l>, u16)> {
        self.with(|queue| queue.entries.front().map(|owed| (*owed, queue.number)))
    }

    /// Whether nothing has to go out before what the application sends.
    pub(super) fn is_clear(&self) -> bool {
        self.with(|queue| queue.entries.is_empty())
    }

    /// The first is sent, or cannot be: unless the queue has been cleared meanwhile. Whoever waits for that goes on.
    pub(super) fn done(&self, number: u16) {
        self.with(|queue| {
            if queue.number == number {
                queue.entries.pop_front();
            }
        });
        self.link.with(|state| state.calls.wake(Topic::Services));
    }

    /// A call was answered. The task that runs logs it.
    #[cfg(feature = "defmt")]
    fn answered(&self, answered: Answered) {
        let kept = self.with(|queue| {
            queue.runner.wake();
            queue.answered.push_back(answered)
        });
        if let Err(answered) = kept {
            // By the names that everybody has.
            log::described(None, "sent", &answered.describe(&Services::<0>::new()));
        }
    }

    /// What was answered first and is not logged yet.
    #[cfg(feature = "defmt")]
    pub(super) fn take_answered(&self) -> Option<Answered> {
        self.with(|queue| queue.answered.pop_front())
    }

    /// The connection that all of it belonged to has ended.
    pub(super) fn clear(&self) {
        self.with(|queue| {
            queue.entries.clear();
            queue.number = queue.number.wrapping_add(1);
        });
    }

    /// The task that runs goes on when something is owed, or when it is [woken](Self::wake_runner).
    pub(super) fn wait(&self, waker: &core::task::Waker) {
        self.with(|queue| queue.runner.register(waker));
    }

    pub(super) fn wake_runner(&self) {
        self.with(|queue| queue.runner.wake());
    }
}

/// Replies that nobody waits for are kept no more.
impl<M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize> Drop for Joint<'_, '_, M, TRANSACTIONS, CALLS> {
    fn drop(&mut self) {
        self.link.with(|state| {
            state.strays = false;
            #[cfg(feature = "defmt")]
            state.channel.call(None, false);
        });
    }
}

impl<M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize> Drop for Running<'_, '_, '_, M, TRANSACTIONS, CALLS> {
    fn drop(&mut self) {
        self.0.with(|queue| queue.running = false);
    }
}

impl Queue<'_> {
    fn taken(&self) -> usize {
        self.entries.len().saturating_add(self.held)
    }
}

/// An answer that a call owes. Dropped before it is paid, `run` sends this instead.
pub(super) struct Debt<'e, 'l, 'b, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize> {
    joint: &'e Joint<'l, 'b, M, TRANSACTIONS, CALLS>,
    otherwise: Option<Owed<'l>>,
}

impl<'e, 'l, 'b, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize> Debt<'e, 'l, 'b, M, TRANSACTIONS, CALLS> {
    pub(super) fn new(joint: &'e Joint<'l, 'b, M, TRANSACTIONS, CALLS>, otherwise: Option<Owed<'l>>) -> Self {
        if otherwise.is_some() {
            joint.with(|queue| queue.held = queue.held.saturating_add(1));
        }
        Debt { joint, otherwise }
    }

    pub(super) const fn link(&self) -> &'l Link<'b, M, TRANSACTIONS, CALLS> {
        self.joint.link
    }

    /// Answers with this, where it is one with this service message, and waits until the transport has taken it. Where that fails the debt
    /// remains.
    #[cfg_attr(not(feature = "defmt"), expect(unused_variables, reason = "nothing is logged"))]
    pub(super) async fn pay(
        mut self,
        what: What,
        body: &[&[u8]],
        message: Option<&ServiceMessage<'_>>,
    ) -> Result<(), Error> {
        #[cfg(feature = "defmt")]
        let answered = Answered::of(message, &what);
        let writer = self.joint.link.whole(None, what, body).await?;
        #[cfg(feature = "defmt")]
        if let Some(answered) = answered {
            self.joint.answered(answered);
        }
        self.forgive();
        Ok(writer.taken().await?)
    }

    /// Nothing is owed any more.
    pub(super) fn forgive(&mut self) -> Option<Owed<'l>> {
        let owed = self.otherwise.take()?;
        self.joint.with(|queue| queue.held = queue.held.saturating_sub(1));
        Some(owed)
    }
}

impl<M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize> Drop for Debt<'_, '_, '_, M, TRANSACTIONS, CALLS> {
    fn drop(&mut self) {
        if let Some(owed) = self.forgive() {
            self.joint.owe(owed);
        } else {
            self.joint.link.with(|state| state.calls.wake(Topic::Services));
        }
    }
}

/// The text of a service message in front of its data: a list of three with the data id and the status, and an empty list where there are
/// no data.
pub(super) struct Front {
    octets: [u8; FRONT],
    len: usize,
}

/// Octets of the text without data.
const FRONT: usize = 13;

/// Octets of the empty list at its end.
const NO_DATA: usize = 2;

impl Front {
    /// Of this message.
    ///
    /// # Errors
    /// Where the data are not one item.
    pub(super) fn of(message: &ServiceMessage<'_>) -> Result<Self, Error> {
        let mut whole = Writer::<_, 8>::new(Count::default());
        message.write(&mut whole).map_err(|_| Error::NotOneItem)?;
        let mut octets = [0; FRONT];
        let bare = ServiceMessage::new(message.service_id(), message.data_id(), message.status(), None);
        let mut text = Writer::<_, 8>::new(Slice::new(&mut octets));
        bare.write(&mut text).map_err(|_| Error::NotOneItem)?;
        let len = if message.data().is_some() { FRONT.saturating_sub(NO_DATA) } else { FRONT };
        Ok(Front { octets, len })
    }

    /// The whole text, with the same data.
    pub(super) fn with<'t>(&'t self, data: Option<&'t [u8]>) -> [&'t [u8]; 2] {
        let data = if self.len < FRONT { data.unwrap_or_default() } else { &[] };
        [self.octets.get(..self.len).unwrap_or_default(), data]
    }
}

/// What answers a service request whose handler failed.
pub(super) fn failed<'a>(answer: &hsms_core::services::Answer) -> Owed<'a> {
    let status: Status = answer.response(None).status();
    Owed::Reply(answer.to, OwnMessage::Status { data_id: answer.data_id, status })
}
