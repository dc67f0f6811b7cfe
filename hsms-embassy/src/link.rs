//! The link: what all tasks share, and the calls that do not stay.

use crate::error::Error;
use crate::state::State;
use crate::state::calls::{Awaits, Topic};
use crate::state::inbox::Inbox;
use crate::state::input::Input;
use crate::state::output::{LEAST_HALF, Output};
use crate::{clock, state};
use core::cell::RefCell;
use core::future::poll_fn;
use core::task::Poll;
use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_time::Duration;
use hsms_core::connection::{CloseReason, Connection, General, Notice, Sessions, Single, State as Selection, Stream9};
use hsms_core::wire::Header;
use hsms_core::{Config, Error as Refusal};

/// One end of an HSMS connection, shared by the tasks that use it and the one that [runs](Self::run) it.
///
/// A reference to it is the handle: put it into a `StaticCell` and give every task a `&'static Link`, or keep it on the stack and
/// join the futures. It moves no octet by itself: somebody has to await [`run`](Self::run), and [`enable`](Self::enable) it.
///
/// `M` is how tasks are kept apart: `CriticalSectionRawMutex` between interrupts or cores, `NoopRawMutex` within one executor. The
/// lock is held for one message or 512 octets at a time, never across an await. Wakers are called under it: those of an executor put a
/// task in a queue, and one that polls a future of the same link, or calls the link, panics.
///
/// `TRANSACTIONS` is how many primaries that expect a reply can be open in either direction: of ours, one more is refused with
/// [`TransactionsFull`](hsms_core::Error::TransactionsFull); of the peer's, so many wait in the inbox, whether they expect a reply or
/// not. `CALLS` is how many calls can wait at once; one more ends with [`Error::TooManyCalls`]. `S` is
/// [`Single`] for HSMS-SS and [`General`] for HSMS-GS.
pub struct Link<'b, M: RawMutex, const TRANSACTIONS: usize = 4, const CALLS: usize = 8, S = Single> {
    state: Mutex<M, RefCell<State<'b, TRANSACTIONS, CALLS, S>>>,
    pub(crate) limits: Limits,
}

/// The storage that a [`Link`] is lent. What each part is good for, and how large it should be, stands under "Sizing" in the
/// documentation of the crate.
#[derive(Debug)]
pub struct Storage<'b> {
    /// What the transport is read to: one octet at least.
    pub input: &'b mut [u8],
    /// Texts of primaries that wait for the application. Longer ones go through it; with no octet, texts of primaries cannot be taken.
    pub inbox: &'b mut [u8],
    /// What is to be written, in two halves: 52 octets at least.
    pub output: &'b mut [u8],
}

/// Storage for a [`Link`] in one piece, for a `StaticCell`.
#[derive(Debug)]
pub struct Buffers<const INPUT: usize, const INBOX: usize, const OUTPUT: usize> {
    input: [u8; INPUT],
    inbox: [u8; INBOX],
    output: [u8; OUTPUT],
}

/// How long the link is patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Limits {
    /// With a peer that takes no octet: then the connection ends as if the transport had. Also with one that takes so few that for so
    /// long there is no room in the output for a frame of the machine, where a timer or an order waits for that: then it ends with what
    /// was due, T7 for example. 10 s unless it is set.
    pub write: Duration,
    /// With an application that takes nothing of a message for which there is no room: then the message is given up. Its sender gets
    /// SxF0 where it waits for a reply, [`Told::Dropped`] tells of it, and until the application takes something the
    /// next ones are refused at once. Of a message that is being read through [`Link::next`] none of that: its reader gets
    /// [`Error::Cut`], and can still answer. Quarters of this time in which the peer did not take what was there for it when they began
    /// do not count: the application may wait for the same. Meanwhile nothing is read, and the peer's linktests
    /// wait, so this should be no longer than its T6. 5 s unless it is set.
    pub unread: Duration,
    /// With a transport that is to be closed and has octets to write, and then with the closing. 1 s each unless it is set.
    pub farewell: Duration,
}

/// What happened on a link, for [`Link::told`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Told {
    /// A transport was opened.
    Connected,
    /// The connection ended.
    Closed(CloseReason),
    /// The machine noticed something: selected, a leniency, a linktest that was missed, …
    Notice(Notice),
    /// A primary was received that nobody took in time, see [`Limits::unread`], or before its connection ended.
    Dropped(Header),
    /// So many things were not told, because nobody asked.
    Missed(u32),
}

/// The storage is too small: an empty input, or an output of less than 52 octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StorageTooSmall;

impl<const INPUT: usize, const INBOX: usize, const OUTPUT: usize> Buffers<INPUT, INBOX, OUTPUT> {
    /// Zeros.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(INPUT > 0 && OUTPUT >= 2 * LEAST_HALF, "input of an octet, output of 52 octets at least") }
        Buffers { input: [0; INPUT], inbox: [0; INBOX], output: [0; OUTPUT] }
    }

    /// All of it.
    pub const fn lend(&mut self) -> Storage<'_> {
        Storage { input: &mut self.input, inbox: &mut self.inbox, output: &mut self.output }
    }
}

impl<const INPUT: usize, const INBOX: usize, const OUTPUT: usize> Default for Buffers<INPUT, INBOX, OUTPUT> {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits { write: Duration::from_secs(10), unread: Duration::from_secs(5), farewell: Duration::from_secs(1) }
    }
}

impl<'b, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize> Link<'b, M, TRANSACTIONS, CALLS> {
    /// A link of HSMS-SS with these settings, disabled.
    ///
    /// # Errors
    /// [`StorageTooSmall`].
    pub fn new(config: Config, storage: Storage<'b>) -> Result<Self, StorageTooSmall> {
        Self::over(Connection::new(config), storage)
    }

    /// A link for a caller beyond the one that is served (E37 9.2.4 option a), to be [run over](Self::run_over) the transport of that
    /// caller and dropped then: its Select.req is answered with status 1, and T7 bounds how long that may take. 64 octets of input and
    /// output each are plenty, and no inbox is needed.
    ///
    /// # Errors
    /// [`StorageTooSmall`].
    pub fn refusing(config: Config, storage: Storage<'b>) -> Result<Self, StorageTooSmall> {
        let link = Self::over(Connection::refusing(config), storage)?;
        // It has its caller already, so the machine does not ask for one.
        link.with(|state| state.wanted = true);
        Ok(link)
    }
}

impl<'b, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, const N: usize>
    Link<'b, M, TRANSACTIONS, CALLS, General<N>>
{
    /// A link of HSMS-GS with these settings and session entities, disabled.
    ///
    /// # Errors
    /// [`StorageTooSmall`].
    pub fn general(config: Config, sessions: General<N>, storage: Storage<'b>) -> Result<Self, StorageTooSmall> {
        Self::over(Connection::general(config, sessions), storage)
    }
}

impl<'b, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions> Link<'b, M, TRANSACTIONS, CALLS, S> {
    /// A link around a machine that has been made already, with system bytes of its own choice for example.
    ///
    /// # Errors
    /// [`StorageTooSmall`].
    pub fn over(machine: Connection<TRANSACTIONS, S>, storage: Storage<'b>) -> Result<Self, StorageTooSmall> {
        let input = Input::new(storage.input).ok_or(StorageTooSmall)?;
        let output = Output::new(storage.output).ok_or(StorageTooSmall)?;
        let state = State::new(machine, input, Inbox::new(storage.inbox), output);
        Ok(Link { state: Mutex::new(RefCell::new(state)), limits: Limits::default() })
    }

    /// The same link with other limits.
    #[must_use]
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Where the connection is, in E37's terms.
    #[must_use]
    pub fn state(&self) -> Selection {
        self.with(|state| state.machine.state())
    }

    /// Whether the connection is meant to be: enabled and not disabled since.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.with(|state| state.machine.is_enabled())
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> Config {
        self.with(|state| *state.machine.config())
    }

    /// Why the last connection ended.
    #[must_use]
    pub fn last_close(&self) -> Option<CloseReason> {
        self.with(|state| state.closed)
    }

    /// Connects, and keeps connecting again after every loss, attempts of the active side spaced by T5 (E37 9.2.1). May be
    /// repeated.
    pub fn enable(&self) {
        self.order(state::Order::Enable);
    }

    /// Ends the session with Separate.req where there is one, closes the transport, and does not connect again. Does not wait for
    /// that. May be repeated.
    pub fn disable(&self) {
        self.order(state::Order::Disable);
    }

    /// Ends the session with Separate.req where there is one and closes the transport (E37.1 7.6). The link stays enabled: the passive
    /// side accepts again, the active side dials after T5. Does not wait for that; a no-op where nothing is connected.
    pub fn separate(&self) {
        self.order(state::Order::Separate);
    }

    /// Waits until the connection is in this state.
    ///
    /// Cancel-safe: dropped at any await, it has changed nothing.
    ///
    /// # Errors
    /// [`Error::TooManyCalls`].
    pub async fn reached(&self, wanted: Selection) -> Result<(), Error> {
        let place = self.place()?;
        poll_fn(|cx| {
            self.with(|state| {
                if state.machine.state() == wanted {
                    return Poll::Ready(Ok(()));
                }
                state.calls.wait(place.index, Topic::State, cx.waker());
                Poll::Pending
            })
        })
        .await
    }

    /// Waits for the next thing that happened on the link. Four are kept until somebody asks; what they pushed out is counted.
    ///
    /// Cancel-safe: dropped at any await, nothing is lost.
    ///
    /// # Errors
    /// [`Error::TooManyCalls`].
    pub async fn told(&self) -> Result<Told, Error> {
        let place = self.place()?;
        poll_fn(|cx| {
            self.with(|state| match state.take_told() {
                Some(told) => Poll::Ready(Ok(told)),
                None => {
                    state.calls.wait(place.index, Topic::Told, cx.waker());
                    Poll::Pending
                }
            })
        })
        .await
    }

    /// Tests the link with Linktest.req (E37 7.5) and waits for the answer.
    ///
    /// Cancel-safe: dropped before the Linktest.req is with the machine nothing is sent; afterwards it goes on, and its outcome is told to
    /// nobody.
    ///
    /// # Errors
    /// [`Error::LinktestMissed`]; [`Error::Closed`] where the connection ended first; [`Error::Refused`], see
    /// [`Connection::linktest`]; [`Error::TooManyCalls`].
    pub async fn linktest(&self) -> Result<(), Error> {
        let place = self.place()?;
        poll_fn(|cx| {
            self.with(|state| {
                match state.calls.awaits(place.index) {
                    Awaits::Nothing => match state.machine.linktest(clock::now()) {
                        Ok(system) => {
                            state.calls.set(place.index, Awaits::Linktest { system });
                            state.settle(clock::now());
                        }
                        Err(Refusal::ActionsPending | Refusal::BodyOpen) => {
                            // It is asked again whenever something has been written.
                            state.calls.wait(place.index, Topic::Room, cx.waker());
                            return Poll::Pending;
                        }
                        Err(refusal) => return Poll::Ready(Err(Error::Refused(refusal))),
                    },
                    Awaits::LinktestAnswered => return Poll::Ready(Ok(())),
                    Awaits::LinktestMissed => return Poll::Ready(Err(Error::LinktestMissed)),
                    Awaits::Ended(_) => return Poll::Ready(Err(state.closed_error())),
                    _ => {}
                }
                state.calls.wait(place.index, Topic::Outcome, cx.waker());
                Poll::Pending
            })
        })
        .await
    }

    /// Tells the host what is wrong with a message that came from it: S9F3, S9F5 or S9F7 with the header of that (E5 7.13), as equipment
    /// does. Waits until the machine takes it.
    ///
    /// Cancel-safe: dropped at an await, nothing is sent.
    ///
    /// # Errors
    /// [`Error::Refused`], see [`Connection::report_error`]; [`Error::TooManyCalls`].
    pub async fn report_error(&self, error: Stream9, about: &Header) -> Result<(), Error> {
        self.report_within(None, error, about).await
    }

    /// `within`: not after the state of the connection has [changed](State::changes) since it was this.
    pub(crate) async fn report_within(&self, within: Option<u16>, error: Stream9, about: &Header) -> Result<(), Error> {
        let place = self.place()?;
        poll_fn(|cx| {
            self.with(|state| {
                if within.is_some_and(|changes| changes != state.changes) {
                    return Poll::Ready(Err(Error::Refused(Refusal::NotSelected)));
                }
                let now = clock::now();
                match state.machine.report_error(now, error, about) {
                    Ok(()) => {
                        state.settle(now);
                        Poll::Ready(Ok(()))
                    }
                    Err(Refusal::ActionsPending | Refusal::BodyOpen) => {
                        state.calls.wait(place.index, Topic::Room, cx.waker());
                        Poll::Pending
                    }
                    Err(refusal) => Poll::Ready(Err(Error::Refused(refusal))),
                }
            })
        })
        .await
    }

    fn order(&self, order: state::Order) {
        self.with(|state| state.order(clock::now(), order));
    }

    /// Lets `act` at what the tasks share. Nothing that is called under the lock comes back here, so it is never borrowed twice: what
    /// wakers do is to put a task in a queue.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut State<'b, TRANSACTIONS, CALLS, S>) -> R) -> R {
        self.state.lock(|state| act(&mut state.borrow_mut()))
    }

    /// A place for a call.
    pub(crate) fn place(&self) -> Result<Place<'_, 'b, M, TRANSACTIONS, CALLS, S>, Error> {
        match self.with(|state| state.calls.take()) {
            Some(index) => Ok(Place { link: self, index }),
            None => Err(Error::TooManyCalls { places: CALLS }),
        }
    }
}

/// A place for a call; free again when this is dropped.
pub(crate) struct Place<'l, 'b, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions> {
    pub(crate) link: &'l Link<'b, M, TRANSACTIONS, CALLS, S>,
    pub(crate) index: usize,
}

impl<M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions> Drop
    for Place<'_, '_, M, TRANSACTIONS, CALLS, S>
{
    fn drop(&mut self) {
        self.link.with(|state| state.release(self.index));
    }
}

impl<const TRANSACTIONS: usize, const CALLS: usize, S: Sessions> State<'_, TRANSACTIONS, CALLS, S> {
    /// What calls say that were cut short by the end of the connection.
    pub(crate) fn closed_error(&self) -> Error {
        match self.closed {
            Some(reason) => Error::Closed { reason },
            None => Error::Refused(Refusal::NotConnected),
        }
    }
}

impl<M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S> core::fmt::Debug
    for Link<'_, M, TRANSACTIONS, CALLS, S>
{
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Link").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl core::fmt::Display for StorageTooSmall {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "an input of 1 octet and an output of {} are the least", LEAST_HALF.saturating_mul(2))
    }
}

impl core::error::Error for StorageTooSmall {}
