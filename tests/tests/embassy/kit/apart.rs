//! Futures of one task that each have a waker of their own: what wakes one is not taken for what the other waits for, as it would be in
//! tasks of their own.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

/// Whether one of them is to be polled, and who polls them.
#[derive(Default)]
struct Part {
    woken: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Wake for Part {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        if let Some(task) = self.task.lock().unwrap().as_ref() {
            task.wake_by_ref();
        }
    }
}

impl Part {
    fn new() -> Arc<Self> {
        Arc::new(Part { woken: AtomicBool::new(true), task: Mutex::default() })
    }

    /// Polls it where it has been woken since.
    fn poll<F: Future>(self: &Arc<Self>, cx: &Context<'_>, future: Pin<&mut F>) -> Poll<F::Output> {
        self.task.lock().unwrap().replace(cx.waker().clone());
        match self.woken.swap(false, Ordering::AcqRel) {
            true => future.poll(&mut Context::from_waker(&Waker::from(self.clone()))),
            false => Poll::Pending,
        }
    }
}

/// Both to their ends.
pub(crate) async fn join<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (part_a, part_b) = (Part::new(), Part::new());
    let (mut of_a, mut of_b) = (None, None);
    poll_fn(|cx| {
        if of_a.is_none()
            && let Poll::Ready(result) = part_a.poll(cx, a.as_mut())
        {
            of_a = Some(result);
        }
        if of_b.is_none()
            && let Poll::Ready(result) = part_b.poll(cx, b.as_mut())
        {
            of_b = Some(result);
        }
        match (of_a.take(), of_b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (of_a, of_b) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}

/// The first to its end, where the second does not come to one.
pub(crate) async fn beside<A: Future, B: Future>(work: A, other: B) -> A::Output {
    let (mut work, mut other) = (pin!(work), pin!(other));
    let (part, other_part) = (Part::new(), Part::new());
    poll_fn(|cx| {
        if let Poll::Ready(result) = part.poll(cx, work.as_mut()) {
            return Poll::Ready(result);
        }
        assert!(other_part.poll(cx, other.as_mut()).is_pending(), "it ended too early");
        Poll::Pending
    })
    .await
}
