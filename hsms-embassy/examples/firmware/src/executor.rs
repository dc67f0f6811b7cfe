//! An executor that sleeps by WFI while no task is ready.
//!
//! embassy-executor's own for Cortex-M sleeps by WFE, which QEMU takes for a short pause: it would keep a core of the host busy.

use crate::console;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use embassy_executor::{SpawnError, SpawnToken, Spawner, raw};
use static_cell::StaticCell;

/// A task has become ready.
static PENDING: AtomicBool = AtomicBool::new(false);

/// How often it was looked for tasks that are ready.
static TURNS: AtomicU32 = AtomicU32::new(0);

/// What embassy-executor calls then, from tasks and from interrupts.
// SAFETY: the name and the signature are those that embassy-executor asks for, and nothing else defines it.
#[unsafe(export_name = "__pender")]
fn pender(_: *mut ()) {
    PENDING.store(true, Ordering::SeqCst);
}

/// Runs what `tasks` spawns, and whatever that spawns, for ever.
pub fn run(tasks: impl FnOnce(Spawner)) -> ! {
    static EXECUTOR: StaticCell<raw::Executor> = StaticCell::new();
    let executor: &'static raw::Executor = EXECUTOR.init(raw::Executor::new(core::ptr::null_mut()));
    tasks(executor.spawner());
    loop {
        TURNS.store(turns().wrapping_add(1), Ordering::Relaxed);
        // SAFETY: it is polled here alone, which no task and no interrupt can reach.
        unsafe { executor.poll() };
        // An interrupt between the question and the sleep would be slept through; a pending one ends WFI although it is not taken.
        cortex_m::interrupt::disable();
        if !PENDING.swap(false, Ordering::SeqCst) {
            cortex_m::asm::wfi();
        }
        // SAFETY: they were enabled before, and no critical section is open here.
        unsafe { cortex_m::interrupt::enable() };
    }
}

/// Turns of the executor since the start. While nothing happens there is one for each interrupt, as it sleeps in between.
pub fn turns() -> u32 {
    TURNS.load(Ordering::Relaxed)
}

/// Spawns a task, which there has to be room for: what a task takes is a static of its own.
pub fn spawn<S>(spawner: Spawner, task: Result<SpawnToken<S>, SpawnError>) {
    match task {
        Ok(task) => spawner.spawn(task),
        Err(_) => console::fail("a task was spawned more often than there is room for"),
    }
}
