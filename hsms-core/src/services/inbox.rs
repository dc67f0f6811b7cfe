//! Messages that nobody handled, kept until somebody asks for them.

use super::{ServiceId, ServiceMessage, Services, Status};
use crate::collect::append;
use crate::connection::ReplyToken;
use crate::error::Fault;
use crate::secs2::Error;
use crate::time::Instant;
use crate::wire::Header;
use core::cell::Cell;
use core::fmt;
use core::task::Poll;

/// Service messages by service id and data id.
pub type ServiceInbox<const MESSAGES: usize, const OCTETS: usize> = Inbox<ServiceId, u32, MESSAGES, OCTETS>;

/// SECS-II messages by stream and function.
pub type FunctionInbox<const MESSAGES: usize, const OCTETS: usize> = Inbox<u8, u8, MESSAGES, OCTETS>;

/// At most `MESSAGES` messages with `OCTETS` octets of text in all, each under two keys, the oldest first.
///
/// ```
/// use hsms_core::services::FunctionInbox;
/// use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};
///
/// let mut inbox = FunctionInbox::<4, 64>::new();
/// let alarm = Header::data(SystemBytes(7), StreamFunction::new(5, 1), false, SessionId(0));
/// inbox.push(5, 1, alarm, None, b"\x01\x00")?;
/// assert_eq!(inbox.take(Some(6), None, |kept| kept.text.len()), None);
/// assert_eq!(inbox.take(Some(5), None, |kept| kept.text.len()), Some(2));
/// assert!(inbox.is_empty());
/// # Ok::<(), hsms_core::services::InboxFull>(())
/// ```
#[derive(Debug, Clone)]
pub struct Inbox<A, B, const MESSAGES: usize, const OCTETS: usize> {
    entries: heapless::Vec<Entry<A, B>, MESSAGES>,
    /// The texts of the entries, one behind the other.
    texts: heapless::Vec<u8, OCTETS>,
    refused: u32,
}

#[derive(Debug, Clone, Copy)]
struct Entry<A, B> {
    first: A,
    second: B,
    header: Header,
    reply: Option<ReplyToken>,
    len: usize,
}

/// A message in an [`Inbox`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Kept<'a, A, B> {
    /// Its service id, or its stream.
    pub first: A,
    /// Its data id, or its function.
    pub second: B,
    /// Its header.
    pub header: Header,
    /// With what it can still be answered, on the connection that it came over. A service request has been answered already.
    pub reply: Option<ReplyToken>,
    /// Its text.
    pub text: &'a [u8],
}

impl<'a> Kept<'a, ServiceId, u32> {
    /// The service message.
    ///
    /// # Errors
    /// Those of [`ServiceMessage::read`]; of what [`keep_request`](Inbox::keep_request) and
    /// [`keep_response`](Inbox::keep_response) kept there are none.
    pub fn message(&self) -> Result<ServiceMessage<'a>, Error> {
        ServiceMessage::read(self.first, self.text)
    }
}

/// What somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Wanted<A, B> {
    /// The service id or stream; `None` for any.
    pub first: Option<A>,
    /// The data id or function; `None` for any.
    pub second: Option<B>,
    /// How long to wait. What is there at this moment is still taken.
    pub deadline: Instant,
}

impl<A: Copy + PartialEq, B: Copy + PartialEq, const MESSAGES: usize, const OCTETS: usize>
    Inbox<A, B, MESSAGES, OCTETS>
{
    /// Empty.
    #[must_use]
    pub const fn new() -> Self {
        Inbox { entries: heapless::Vec::new(), texts: heapless::Vec::new(), refused: 0 }
    }

    /// How many messages wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no message waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many messages found no room since the beginning; stops at `u32::MAX`.
    #[must_use]
    pub const fn refused(&self) -> u32 {
        self.refused
    }

    /// Puts a message behind the others.
    ///
    /// # Errors
    /// [`InboxFull`]: the message is not kept, and those that wait stay. It is counted.
    pub fn push(
        &mut self,
        first: A,
        second: B,
        header: Header,
        reply: Option<ReplyToken>,
        text: &[u8],
    ) -> Result<(), InboxFull> {
        let full = InboxFull {
            octets: text.len(),
            free: OCTETS.saturating_sub(self.texts.len()),
            refused: self.refused.saturating_add(1),
        };
        if !self.entries.is_full() && append(&mut self.texts, text) {
            let pushed = self.entries.push(Entry { first, second, header, reply, len: text.len() });
            return pushed.map_err(|_| full);
        }
        self.refused = full.refused;
        Err(full)
    }

    /// Takes out the oldest message with these keys, `None` for any, and gives it to `look`. `None` where there is none.
    pub fn take<R>(
        &mut self,
        first: Option<A>,
        second: Option<B>,
        look: impl FnOnce(Kept<'_, A, B>) -> R,
    ) -> Option<R> {
        let fits = |entry: &Entry<A, B>| {
            first.is_none_or(|first| first == entry.first) && second.is_none_or(|second| second == entry.second)
        };
        let (mut index, mut at) = (0_usize, 0_usize);
        for entry in self.entries.iter().take_while(|entry| !fits(entry)) {
            (index, at) = (index.saturating_add(1), at.saturating_add(entry.len));
        }
        let entry = *self.entries.get(index)?;
        let text = self.texts.get(at..)?.get(..entry.len)?;
        let Entry { first, second, header, reply, .. } = entry;
        let result = look(Kept { first, second, header, reply, text });
        close_gap(&mut self.texts, at, entry.len);
        close_gap(&mut self.entries, index, 1);
        Some(result)
    }

    /// [`take`](Self::take) for somebody who waits: `Ready(None)` where nothing is there at the deadline. While it is
    /// `Pending` ask again after every [`push`](Self::push), and at the deadline.
    pub fn receive<R>(
        &mut self,
        now: Instant,
        wanted: &Wanted<A, B>,
        look: impl FnOnce(Kept<'_, A, B>) -> R,
    ) -> Poll<Option<R>> {
        match self.take(wanted.first, wanted.second, look) {
            None if now < wanted.deadline => Poll::Pending,
            taken => Poll::Ready(taken),
        }
    }

    /// Forgets what waits. What has been counted stays.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.texts.clear();
    }
}

impl<const MESSAGES: usize, const OCTETS: usize> Inbox<ServiceId, u32, MESSAGES, OCTETS> {
    /// Keeps a request without handler if its service and data id are known; gives the status that answers it:
    /// [`Status::BUFFERING_UNHANDLED_REQUEST`] only of a request that is kept, else [`Status::SERVICE_OR_DATA_UNKNOWN`],
    /// [`Status::INBOX_FULL`], or [`Status::CHECKSUM_ERROR`] of a text that is no service message. A response is none of these: see
    /// [`keep_response`](Self::keep_response).
    #[must_use]
    pub fn keep_request<const N: usize>(
        &mut self,
        known: &Services<'_, N>,
        service: ServiceId,
        header: Header,
        text: &[u8],
    ) -> Status {
        if !service.is_request() {
            return Status::SERVICE_OR_DATA_UNKNOWN;
        }
        match self.keep(known, service, header, text) {
            Ok(()) => Status::BUFFERING_UNHANDLED_REQUEST,
            Err(status) => status,
        }
    }

    /// Keeps a response that nobody waits for, such as one that came after T3, under its own service id, if that and its data id are known.
    /// Nothing is sent of it: a response is not answered.
    ///
    /// # Errors
    /// Why it is not kept, for the log: [`Status::SERVICE_OR_DATA_UNKNOWN`], also of a request; [`Status::INBOX_FULL`], which is counted;
    /// [`Status::CHECKSUM_ERROR`] of a text that is no service message.
    pub fn keep_response<const N: usize>(
        &mut self,
        known: &Services<'_, N>,
        service: ServiceId,
        header: Header,
        text: &[u8],
    ) -> Result<(), Status> {
        if service.is_request() {
            return Err(Status::SERVICE_OR_DATA_UNKNOWN);
        }
        self.keep(known, service, header, text)
    }

    fn keep<const N: usize>(
        &mut self,
        known: &Services<'_, N>,
        service: ServiceId,
        header: Header,
        text: &[u8],
    ) -> Result<(), Status> {
        let message = ServiceMessage::read(service, text).map_err(|_| Status::CHECKSUM_ERROR)?;
        if !known.knows(service, message.data_id()) {
            return Err(Status::SERVICE_OR_DATA_UNKNOWN);
        }
        self.push(service, message.data_id(), header, None, text).map_err(|_| Status::INBOX_FULL)
    }
}

impl<A: Copy + PartialEq, B: Copy + PartialEq, const MESSAGES: usize, const OCTETS: usize> Default
    for Inbox<A, B, MESSAGES, OCTETS>
{
    fn default() -> Self {
        Inbox::new()
    }
}

/// Takes `count` values from `at` on out of a list; those behind move up. `drain` and `copy_within` hold a panic.
pub(super) fn close_gap<T: Copy, const N: usize>(list: &mut heapless::Vec<T, N>, at: usize, count: usize) {
    let left = list.len().saturating_sub(count);
    let cells = Cell::from_mut(list.as_mut_slice()).as_slice_of_cells();
    for (to, from) in cells.iter().skip(at).zip(cells.iter().skip(at.saturating_add(count))) {
        to.set(from.get());
    }
    list.truncate(left);
}

/// A message found no room in an [`Inbox`] and was refused; those that came before it stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct InboxFull {
    /// Octets of its text.
    pub octets: usize,
    /// Octets for which there was room. Where they would have sufficed, there were too many messages.
    pub free: usize,
    /// How many have been refused, this one included.
    pub refused: u32,
}

impl InboxFull {
    /// Who is at fault.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Capacity
    }
}

impl fmt::Display for InboxFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InboxFull { octets, free, refused } = self;
        if octets > free {
            write!(f, "a message of {octets} octets does not fit the {free} that are free; {refused} refused so far")
        } else {
            write!(f, "too many messages wait; {refused} refused so far")
        }
    }
}

impl core::error::Error for InboxFull {}
