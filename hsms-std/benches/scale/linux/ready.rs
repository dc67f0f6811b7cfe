//! Which of many futures can go on: all that is needed to wait for them in one thread.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

/// The numbers of those that were woken.
#[derive(Default)]
pub(crate) struct Ready {
    state: Mutex<State>,
    come: Condvar,
}

#[derive(Default)]
struct State {
    woken: Vec<usize>,
    /// Somebody waits for one: waking nobody would cost a call of the system as well.
    waits: bool,
}

impl Ready {
    /// What wakes the one with this number.
    pub(crate) fn waker(self: &Arc<Self>, number: usize) -> Waker {
        Arc::new(Bell { number, ready: Arc::clone(self) }).into()
    }

    /// Those that were woken since, in `taken`. Whether there is one within the limit.
    pub(crate) fn take(&self, taken: &mut Vec<usize>, limit: Duration) -> bool {
        taken.clear();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waits = true;
        let waited = self.come.wait_timeout_while(state, limit, |state| state.woken.is_empty());
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.waits = false;
        mem::swap(&mut state.woken, taken);
        !taken.is_empty()
    }
}

struct Bell {
    number: usize,
    ready: Arc<Ready>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.ready.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.woken.push(self.number);
        let waits = state.waits;
        drop(state);
        if waits {
            self.ready.come.notify_one();
        }
    }
}
