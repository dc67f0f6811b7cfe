//! The one task per connection: opens transports, reads, writes, and keeps the deadlines.

use crate::clock;
use crate::error::Error;
use crate::link::Link;
use crate::opener::Opener;
use crate::state::{State, Step};
use core::convert::Infallible;
use core::future::{Future, pending, poll_fn};
use core::pin::pin;
use core::task::Poll;
use embassy_futures::select::{Either, Either3, select, select3};
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_time::{Duration, with_timeout};
use embedded_io_async::{Read, Write};
use hsms_core::connection::{CloseReason, Event, Sessions};

/// Reads after which the other futures of the task, and other tasks, get their turn: a peer that is faster than we are would keep it for
/// itself.
const READS_AT_ONCE: u8 = 16;

/// Parts of [`Limits::unread`](crate::Limits::unread) that count or do not, each by what the peer did in it.
const PARTS_OF_UNREAD: u32 = 4;

impl<'b, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions> Link<'b, M, TRANSACTIONS, CALLS, S> {
    /// Runs the link over transports of `opener`, for ever: to be awaited in a task of its own, or joined with what uses the link.
    ///
    /// May be dropped at any await and called again, with another `opener` or, where this one was given `&mut opener`, the same: the
    /// connection ends as if its transport had, and without Separate.req; the next call carries on where the settings say, the active side
    /// after T5. What the calls that wait are told is what they would be told of a lost connection.
    ///
    /// # Errors
    /// [`Error::Running`] where it runs already. It does not end otherwise.
    pub async fn run<O: Opener>(&self, mut opener: O) -> Result<Infallible, Error> {
        let _running = self.start()?;
        let links = async {
            loop {
                self.run_once(&mut opener).await;
            }
        };
        match select(links, self.keep_deadlines()).await {
            Either::First(never) | Either::Second(never) => match never {},
        }
    }

    /// Runs the link over one transport that is open already, from when the link wants one until it is closed. Gives why it ended. The
    /// halves are used at the same time; dropping or closing them is the caller's.
    ///
    /// Not cancel-safe as far as the transport goes: what was read of it is lost. The link itself carries on, see
    /// [`run`](Self::run).
    ///
    /// # Errors
    /// [`Error::Running`].
    pub async fn run_over(&self, mut reader: impl Read, mut writer: impl Write) -> Result<CloseReason, Error> {
        let _running = self.start()?;
        let link = async {
            self.until(|state| state.wanted).await;
            self.with(|state| state.opened(clock::now()));
            self.serve(&mut reader, &mut writer).await;
            // It has ended, so there is one.
            self.last_close().unwrap_or(CloseReason::TransportClosed)
        };
        match select(link, self.keep_deadlines()).await {
            Either::First(reason) => Ok(reason),
            Either::Second(never) => match never {},
        }
    }

    fn start(&self) -> Result<Running<'_, 'b, M, TRANSACTIONS, CALLS, S>, Error> {
        let first = self.with(|state| !core::mem::replace(&mut state.running, true));
        first.then(|| Running { link: self }).ok_or(Error::Running)
    }

    /// One transport, from when it is wanted until it is closed.
    async fn run_once<O: Opener>(&self, opener: &mut O) {
        self.until(|state| state.wanted).await;
        match select(opener.open(), self.until(|state| !state.wanted)).await {
            Either::First(Ok((mut reader, mut writer))) => {
                let wanted = self.with(|state| {
                    let wanted = state.wanted;
                    if wanted {
                        state.opened(clock::now());
                    }
                    wanted
                });
                if wanted {
                    self.serve(&mut reader, &mut writer).await;
                }
            }
            Either::First(Err(_)) => self.with(|state| {
                if core::mem::take(&mut state.wanted) {
                    state.happen(clock::now(), Event::TransportFailed);
                }
            }),
            Either::Second(()) => {}
        }
        let _ = with_timeout(self.limits.farewell, opener.close()).await;
    }

    /// Serves an open transport until the link is closed and what it had to write is written, as far as the peer takes it soon.
    async fn serve(&self, reader: &mut impl Read, writer: &mut impl Write) {
        let mut writing = pin!(self.keep_writing(writer));
        match select3(self.keep_reading(reader), self.until(|state| !state.open), &mut writing).await {
            Either3::First(never) => match never {},
            Either3::Second(()) => {
                if self.with(|state| !state.output.is_broken() && !state.output.is_written()) {
                    let _ = with_timeout(self.limits.farewell, writing).await;
                }
            }
            Either3::Third(()) => {}
        }
        self.with(State::over);
    }

    /// Reads whenever what has been read is dealt with.
    async fn keep_reading(&self, reader: &mut impl Read) -> Infallible {
        let mut reads = 0_u8;
        loop {
            match self.with(|state| state.step(clock::now())) {
                Step::Progress => {}
                Step::Blocked(left) => self.unblock(left).await,
                Step::Empty if reads >= READS_AT_ONCE => {
                    reads = 0;
                    yield_now().await;
                }
                Step::Empty => {
                    reads = reads.saturating_add(1);
                    self.read(reader).await;
                }
            }
        }
    }

    async fn read(&self, reader: &mut impl Read) {
        let buffer = self.with(|state| if state.open { state.input.lend() } else { None });
        // It is with nobody else, as the link is run once.
        let Some(buffer) = buffer else { return pending().await };
        let mut lent = Lent { link: self, what: What::Input(Some(buffer), 0) };
        let What::Input(Some(buffer), filled) = &mut lent.what else { return };
        let read = reader.read(buffer).await;
        *filled = read.unwrap_or(0);
        let ended = *filled == 0;
        drop(lent);
        if ended {
            self.with(|state| state.hang_up(clock::now()));
        }
    }

    /// Waits until what has been read can be dealt with, and gives up what nobody takes.
    async fn unblock(&self, left: usize) {
        let ticks = self.limits.unread.as_ticks().checked_div(PARTS_OF_UNREAD.into());
        // However short: the peer may keep us here for longer.
        let part = Duration::from_ticks(ticks.unwrap_or_default()).max(Duration::from_millis(1));
        let mut untaken = 0;
        while untaken < PARTS_OF_UNREAD {
            let put = self.with(|state| state.output.end());
            if with_timeout(part, self.until(|state| !state.is_blocked(left))).await.is_ok() {
                return;
            }
            // Where the peer has not taken what was there for it, the application may wait for the same as we do.
            if self.with(|state| state.is_unread() && state.output.has_taken(put)) {
                untaken = untaken.saturating_add(1);
            }
        }
        self.with(|state| {
            if state.is_blocked(left) {
                state.give_up(clock::now());
            }
        });
    }

    /// Writes whatever there is, until the link is closed and nothing is left.
    async fn keep_writing(&self, writer: &mut impl Write) {
        let half = self.with(|state| state.output.lend());
        let Some(half) = half else { return pending().await };
        let mut lent = Lent { link: self, what: What::Output(Some(half)) };
        let What::Output(Some(half)) = &mut lent.what else { return };
        loop {
            let filled = poll_fn(|cx| {
                self.with(|state| match state.fetch(half) {
                    0 if state.open => {
                        state.wait(cx.waker());
                        Poll::Pending
                    }
                    filled => Poll::Ready(filled),
                })
            })
            .await;
            if filled == 0 {
                return;
            }
            let mut rest = half.get(..filled).unwrap_or(&[]);
            while !rest.is_empty() {
                match with_timeout(self.limits.write, writer.write(rest)).await {
                    Ok(Ok(written @ 1..)) => {
                        let written = written.min(rest.len());
                        rest = rest.get(written..).unwrap_or(&[]);
                        self.with(|state| state.wrote(clock::now(), written));
                    }
                    Ok(_) => return self.write_failed(false).await,
                    Err(_) => return self.write_failed(true).await,
                }
            }
        }
    }

    /// Nothing can be written any more. Where that was told by the transport, the peer may have said why before: it is read until its
    /// end, as long as we are patient. Where reading waits for the application that end is not waited for: the application may wait for
    /// what it wrote.
    async fn write_failed(&self, stalled: bool) {
        self.with(|state| {
            state.output.fail();
            state.settle(clock::now());
        });
        if !stalled {
            let _ = with_timeout(self.limits.write, self.until(|state| !state.open || state.is_unread())).await;
        }
        self.with(|state| state.hang_up(clock::now()));
    }

    /// Tells the machine of every deadline, whatever else goes on.
    async fn keep_deadlines(&self) -> Infallible {
        loop {
            let patience = self.limits.write;
            let due = self.with(|state| state.due(patience));
            let sooner = self.until(|state| match (state.due(patience), due) {
                (Some(new), Some(old)) => new < old,
                (new, old) => new.is_some() != old.is_some(),
            });
            let passed = async {
                match due {
                    Some(due) => clock::reach(due).await,
                    None => pending().await,
                }
            };
            if let Either::First(()) = select(passed, sooner).await {
                self.with(|state| {
                    let now = clock::now();
                    if state.due(patience).is_some_and(|due| due <= now) {
                        state.time_out(now);
                    }
                });
            }
        }
    }

    /// Waits, in the task that runs the link, until this holds.
    fn until(&self, holds: impl Fn(&State<'b, TRANSACTIONS, CALLS, S>) -> bool) -> impl Future<Output = ()> {
        poll_fn(move |cx| {
            self.with(|state| {
                if holds(state) {
                    return Poll::Ready(());
                }
                state.wait(cx.waker());
                Poll::Pending
            })
        })
    }
}

/// Somebody runs the link, until this is dropped.
struct Running<'l, 'b, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions> {
    link: &'l Link<'b, M, TRANSACTIONS, CALLS, S>,
}

impl<M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions> Drop
    for Running<'_, '_, M, TRANSACTIONS, CALLS, S>
{
    fn drop(&mut self) {
        self.link.with(State::stopped);
    }
}

/// Storage that is with the task that runs the link, and comes back however that ends.
struct Lent<'l, 'b, M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions> {
    link: &'l Link<'b, M, TRANSACTIONS, CALLS, S>,
    what: What<'b>,
}

enum What<'b> {
    /// The read buffer, and how many octets have been read to it.
    Input(Option<&'b mut [u8]>, usize),
    /// The half of the output that is being written.
    Output(Option<&'b mut [u8]>),
}

impl<M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions> Drop
    for Lent<'_, '_, M, TRANSACTIONS, CALLS, S>
{
    fn drop(&mut self) {
        let what = &mut self.what;
        self.link.with(|state| match what {
            What::Input(buffer, filled) => {
                if let Some(buffer) = buffer.take() {
                    state.input.give_back(buffer, *filled);
                }
            }
            What::Output(half) => {
                if let Some(half) = half.take() {
                    state.output.give_back(half);
                }
            }
        });
    }
}
