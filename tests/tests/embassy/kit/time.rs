//! The clock of `embassy-time`, of which a program has one: virtual for a thread that runs a [`virtual executor`](super::executor), real for
//! all others.

use std::cell::RefCell;
use std::sync::{Condvar, Mutex, OnceLock};
use std::task::Waker;
use std::time::Instant;

struct Switchable;

embassy_time_driver::time_driver_impl!(static DRIVER: Switchable = Switchable);

/// Ticks, and who is to be woken at which.
#[derive(Default)]
struct Timers {
    now: u64,
    waiting: Vec<(u64, Waker)>,
}

thread_local! {
    static VIRTUAL: RefCell<Option<Timers>> = const { RefCell::new(None) };
}

static REAL: (Mutex<Vec<(u64, Waker)>>, Condvar) = (Mutex::new(Vec::new()), Condvar::new());

impl embassy_time_driver::Driver for Switchable {
    fn now(&self) -> u64 {
        VIRTUAL.with_borrow(|timers| timers.as_ref().map(|timers| timers.now)).unwrap_or_else(real_now)
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        let taken = VIRTUAL.with_borrow_mut(|timers| {
            let Some(timers) = timers else { return false };
            add(&mut timers.waiting, at, waker);
            true
        });
        if !taken {
            static THREAD: OnceLock<()> = OnceLock::new();
            THREAD.get_or_init(|| drop(std::thread::spawn(wake_in_real_time)));
            add(&mut REAL.0.lock().unwrap(), at, waker);
            REAL.1.notify_one();
        }
    }
}

/// From here on this thread has a virtual clock, which begins at zero; gives it back its real one when this is dropped.
pub(crate) struct Virtual(());

impl Virtual {
    pub(crate) fn begin() -> Self {
        let before = VIRTUAL.replace(Some(Timers::default()));
        assert!(before.is_none(), "virtual time within virtual time");
        Virtual(())
    }

    /// Goes on to the next moment at which somebody wants to be woken, and wakes; `false` where nobody does.
    pub(crate) fn advance(&self) -> bool {
        let due = VIRTUAL.with_borrow_mut(|timers| {
            let timers = timers.as_mut().unwrap();
            let next = timers.waiting.iter().map(|(at, _)| *at).min()?;
            timers.now = timers.now.max(next);
            Some(take_due(&mut timers.waiting, timers.now))
        });
        due.is_some_and(|due| {
            due.into_iter().for_each(Waker::wake);
            true
        })
    }
}

impl Drop for Virtual {
    fn drop(&mut self) {
        VIRTUAL.set(None);
    }
}

fn add(waiting: &mut Vec<(u64, Waker)>, at: u64, waker: &Waker) {
    if !waiting.iter().any(|(other, known)| *other == at && known.will_wake(waker)) {
        waiting.push((at, waker.clone()));
    }
}

fn take_due(waiting: &mut Vec<(u64, Waker)>, now: u64) -> Vec<Waker> {
    waiting.extract_if(.., |(at, _)| *at <= now).map(|(_, waker)| waker).collect()
}

fn real_now() -> u64 {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    EPOCH.get_or_init(Instant::now).elapsed().as_micros().try_into().unwrap()
}

fn wake_in_real_time() {
    let mut waiting = REAL.0.lock().unwrap();
    loop {
        let now = real_now();
        let due = take_due(&mut waiting, now);
        if !due.is_empty() {
            drop(waiting);
            due.into_iter().for_each(Waker::wake);
            waiting = REAL.0.lock().unwrap();
            continue;
        }
        let next = waiting.iter().map(|(at, _)| *at).min();
        let wait = next.map_or(std::time::Duration::MAX, |at| std::time::Duration::from_micros(at - now));
        waiting = REAL.1.wait_timeout(waiting, wait).unwrap().0;
    }
}
