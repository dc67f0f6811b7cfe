//! What the images have in common: a board with its Ethernet controller, the time, an executor that sleeps, and a console.
//!
//! None of it knows HSMS. A real board has all of this in its HAL; these two are emulated by QEMU, which nobody has written one for.
#![no_std]

#[cfg(all(feature = "mps2-an385", feature = "lm3s6965evb"))]
compile_error!("one board at a time: --no-default-features --features lm3s6965evb");

#[cfg_attr(feature = "lm3s6965evb", path = "board/lm3s6965evb.rs")]
#[cfg_attr(not(feature = "lm3s6965evb"), path = "board/mps2_an385.rs")]
pub mod board;
pub mod console;
#[cfg(feature = "services")]
pub mod equipment;
pub mod ethernet;
pub mod executor;
mod interrupt;
pub mod net;
mod register;
pub mod settings;
pub mod stack;
pub mod stored;
mod time;

use embassy_executor::Spawner;

/// Starts the board and gives the tasks to the executor, for ever.
pub fn run(tasks: impl FnOnce(Spawner, ethernet::Driver)) -> ! {
    let Some(mut core) = cortex_m::Peripherals::take() else {
        console::fail("the processor was started twice");
    };
    time::start(&mut core.SYST);
    let driver = ethernet::Driver::new(board::Controller::new());
    executor::run(|spawner| tasks(spawner, driver))
}
