//! Semihosting: the log and the end of the run. Under a debugger it works the same; without one a real board stops at the first line.

use core::panic::PanicInfo;
use cortex_m_rt::{ExceptionFrame, exception};
use defmt_semihosting as _;

defmt::timestamp!("{=u64:ms}", embassy_time::Instant::now().as_millis());

/// Ends the run well.
pub fn succeed() -> ! {
    semihosting::process::exit(0)
}

/// Ends the run with an error.
pub fn fail(why: &str) -> ! {
    defmt::error!("{=str}", why);
    semihosting::process::exit(1)
}

// Without the message, which would bring Rust's formatting into the image.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // The logger may be what panicked.
    cortex_m::interrupt::disable();
    if let Some(at) = info.location() {
        defmt::error!("panic at {=str}:{=u32}", at.file(), at.line());
    }
    semihosting::process::exit(101)
}

#[defmt::panic_handler]
fn defmt_panic() -> ! {
    semihosting::process::exit(101)
}

// SAFETY: it does not return, so whatever is broken is not used again.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    defmt::error!("hard fault at {=u32:#010x}, called from {=u32:#010x}", frame.pc(), frame.lr());
    semihosting::process::exit(102)
}
