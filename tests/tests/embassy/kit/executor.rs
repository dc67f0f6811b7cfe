//! An executor in virtual time: each task has a waker of its own, and time goes on when nobody has anything to do. So a wake-up that is
//! missing is a test that fails, and one for nothing is counted.

use super::time::Virtual;
use std::cell::Cell;
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Polls without time going on that are more than any test needs.
const ENDLESS: u64 = 3_000_000;

/// No test takes longer, in virtual time.
const LATEST: embassy_time::Instant = embassy_time::Instant::from_secs(86_400);

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

thread_local! {
    static POLLS: Cell<u64> = const { Cell::new(0) };
}

/// How often tasks of this thread were polled.
pub(crate) fn polls() -> u64 {
    POLLS.get()
}

/// What runs beside the test until the test has ended.
pub(crate) type Task<'t> = Pin<Box<dyn Future<Output = ()> + 't>>;

/// Of a `run`, which does not end.
pub(crate) fn task<'t, E: Debug>(run: impl Future<Output = Result<Infallible, E>> + 't) -> Task<'t> {
    Box::pin(async {
        run.await.map(|_| ()).unwrap();
    })
}

/// Runs `main` to its end in virtual time, and `tasks` beside it. Gives what `main` gave.
///
/// # Panics
/// Where nobody waits for anything any more and `main` has not ended, or somebody is woken without end.
pub(crate) fn run_with<R>(tasks: Vec<Task<'_>>, main: impl Future<Output = R>) -> R {
    let time = Virtual::begin();
    let mut tasks: Vec<_> = tasks.into_iter().map(|task| (Some(task), Arc::new(Flag(AtomicBool::new(true))))).collect();
    let mut main = pin!(main);
    let main_flag = Arc::new(Flag(AtomicBool::new(true)));
    let main_waker = Waker::from(main_flag.clone());
    let mut polls = 0;
    loop {
        let mut idle = true;
        for (task, flag) in &mut tasks {
            if let Some(running) = task
                && flag.0.swap(false, Ordering::AcqRel)
            {
                idle = false;
                polls += 1;
                POLLS.set(POLLS.get() + 1);
                if running.as_mut().poll(&mut Context::from_waker(&Waker::from(flag.clone()))).is_ready() {
                    *task = None;
                }
            }
        }
        if main_flag.0.swap(false, Ordering::AcqRel) {
            idle = false;
            polls += 1;
            POLLS.set(POLLS.get() + 1);
            if let Poll::Ready(result) = main.as_mut().poll(&mut Context::from_waker(&main_waker)) {
                return result;
            }
        }
        assert!(polls < ENDLESS, "somebody is woken without end at {} ms", embassy_time::Instant::now().as_millis());
        if idle {
            assert!(time.advance(), "everybody waits at {} ms", embassy_time::Instant::now().as_millis());
            assert!(embassy_time::Instant::now() < LATEST, "the test waits for something that does not come");
            polls = 0;
        }
    }
}

/// Runs `main` alone to its end in virtual time.
pub(crate) fn run<R>(main: impl Future<Output = R>) -> R {
    run_with(Vec::new(), main)
}
