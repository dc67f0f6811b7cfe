//! The time for embassy-time, in milliseconds: SysTick counts the cycles, and interrupts once in [`PERIOD`]. An emulated board that does not
//! get its host's processor for a while loses no time as long as that is shorter.

use crate::board::CLOCK_HZ;
use core::cell::{Cell, RefCell};
use core::task::Waker;
use cortex_m::peripheral::{SCB, SYST, syst::SystClkSource};
use cortex_m_rt::exception;
use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::{Driver, TICK_HZ};
use embassy_time_queue_utils::Queue;

struct Clock {
    /// From the start to the last interrupt.
    ticks: Mutex<Cell<u64>>,
    /// The latest that was told.
    told: Mutex<Cell<u64>>,
    /// When the next task is due.
    due: Mutex<Cell<u64>>,
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock {
    ticks: Mutex::new(Cell::new(0)),
    told: Mutex::new(Cell::new(0)),
    due: Mutex::new(Cell::new(u64::MAX)),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

/// Milliseconds from one interrupt to the next.
const PERIOD: u32 = 10;

/// Cycles of a millisecond.
const CYCLES: u32 = CLOCK_HZ / TICK_HZ as u32;

// What a reload of SysTick can hold.
const RELOAD: u32 = CYCLES * PERIOD - 1;
const _: () = assert!(RELOAD < 1 << 24);

/// Lets the time begin.
pub(crate) fn start(timer: &mut SYST) {
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(RELOAD);
    timer.clear_current();
    timer.enable_interrupt();
    timer.enable_counter();
}

impl Driver for Clock {
    fn now(&self) -> u64 {
        critical_section::with(|section| {
            let mut left = SYST::get_current();
            let mut ticks = self.ticks.borrow(section).get();
            if SCB::is_pendst_pending() {
                // The interrupt waits for us: it has come round since, or is about to.
                left = SYST::get_current();
                left = if left == 0 { RELOAD } else { left };
                ticks = ticks.wrapping_add(PERIOD.into());
            }
            let told = self.told.borrow(section);
            told.set(told.get().max(ticks.wrapping_add((RELOAD.saturating_sub(left) / CYCLES).into())));
            told.get()
        })
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|section| {
            if self.queue.borrow_ref_mut(section).schedule_wake(at, waker) {
                self.wake_expired(section);
            }
        });
    }
}

impl Clock {
    fn wake_expired(&self, section: CriticalSection<'_>) {
        let now = self.now();
        self.due.borrow(section).set(self.queue.borrow_ref_mut(section).next_expiration(now));
    }
}

#[exception]
fn SysTick() {
    critical_section::with(|section| {
        let ticks = CLOCK.ticks.borrow(section);
        ticks.set(ticks.get().wrapping_add(PERIOD.into()));
        if ticks.get() >= CLOCK.due.borrow(section).get() {
            CLOCK.wake_expired(section);
        }
    });
}
