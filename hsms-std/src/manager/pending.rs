//! A result that is not there yet: a runtime-free future, for which a plain thread can wait as well.

use super::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// The outcome of something that was asked of a peer. It comes exactly once, whatever happens: also when the peer is removed or the
/// manager stops.
///
/// It is a [`Future`] that needs no runtime, and a plain thread can [`wait`](Self::wait) for it. A request that is dropped goes on
/// without anybody who learns of its outcome, until its transaction ends or another request needs its place.
#[derive(Debug)]
#[must_use = "nobody learns of the outcome otherwise"]
pub struct Pending<T> {
    cell: Arc<Cell<T>>,
}

/// The end that the loop has. Dropped without an outcome, it tells that the manager has stopped.
#[derive(Debug)]
pub(super) struct Promise<T> {
    cell: Arc<Cell<T>>,
}

#[derive(Debug)]
struct Cell<T> {
    state: Mutex<State<T>>,
    come: Condvar,
}

#[derive(Debug)]
struct State<T> {
    outcome: Option<Result<T, Error>>,
    settled: bool,
    /// A thread waits: waking nobody costs a call of the system as well.
    waited: bool,
    waker: Option<Waker>,
}

pub(super) fn pending<T>() -> (Promise<T>, Pending<T>) {
    let state = State { outcome: None, settled: false, waited: false, waker: None };
    let cell = Arc::new(Cell { state: Mutex::new(state), come: Condvar::new() });
    (Promise { cell: Arc::clone(&cell) }, Pending { cell })
}

impl<T> Cell<T> {
    /// Nothing in here can panic while it is locked.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, outcome: Result<T, Error>) {
        let mut state = self.lock();
        if std::mem::replace(&mut state.settled, true) {
            return;
        }
        state.outcome = Some(outcome);
        let (waker, waited) = (state.waker.take(), state.waited);
        drop(state);
        if waited {
            self.come.notify_all();
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Promise<T> {
    /// Nobody waits for it any more.
    pub(super) fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.cell) == 1
    }

    pub(super) fn settle(self, outcome: Result<T, Error>) {
        self.cell.settle(outcome);
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.cell.settle(Err(Error::Stopped));
    }
}

impl<T> Pending<T> {
    /// Waits however long it takes.
    pub(super) fn outcome(mut self) -> Result<T, Error> {
        loop {
            match self.wait(Duration::from_secs(3_600)) {
                Err(Error::Late { .. }) => {}
                outcome => return outcome,
            }
        }
    }

    /// Waits in this thread, for `limit` at most. After [`Error::Late`] it can be waited for again; after any other result there is
    /// nothing more to wait for, and another call is `Late` at once.
    ///
    /// # Errors
    /// [`Error::Late`]; those of the call that it is the outcome of.
    pub fn wait(&mut self, limit: Duration) -> Result<T, Error> {
        let mut state = self.cell.lock();
        // The clock is asked only where there is something to wait for.
        let mut end = None;
        loop {
            if let Some(outcome) = state.outcome.take() {
                return outcome;
            }
            let left = if state.settled || limit.is_zero() {
                Duration::ZERO
            } else {
                let now = Instant::now();
                let end = *end.get_or_insert_with(|| now.checked_add(limit));
                end.map_or(limit, |end| end.saturating_duration_since(now))
            };
            if left.is_zero() {
                return Err(Error::Late { limit });
            }
            state.waited = true;
            state = self.cell.come.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Ready when the outcome has come. Safe to cancel: polling takes nothing until then. Not to be polled again afterwards: it would
/// never be ready.
impl<T> Future for Pending<T> {
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.cell.lock();
        if let Some(outcome) = state.outcome.take() {
            return Poll::Ready(outcome);
        }
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            state.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }
}
