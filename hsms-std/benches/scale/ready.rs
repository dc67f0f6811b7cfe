//! Which of many futures can go on: all that is needed to wait for them in one thread.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

/// The numbers of those that were woken.
#[derive(Default)]
pub(crate) struct Ready {
    woken: Mutex<Vec<usize>>,
    come: Condvar,
}

impl Ready {
    /// What wakes the one with this number.
    pub(crate) fn waker(self: &Arc<Self>, number: usize) -> Waker {
        Arc::new(Bell { number, ready: Arc::clone(self) }).into()
    }

    /// Those that were woken since, in `taken`. Whether there is one within the limit.
    pub(crate) fn take(&self, taken: &mut Vec<usize>, limit: Duration) -> bool {
        taken.clear();
        let woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.come.wait_timeout_while(woken, limit, |woken| woken.is_empty());
        let (mut woken, _) = waited.unwrap_or_else(PoisonError::into_inner);
        mem::swap(&mut *woken, taken);
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
        self.ready.woken.lock().unwrap_or_else(PoisonError::into_inner).push(self.number);
        self.ready.come.notify_one();
    }
}
