//! Deepest stack of the calls of hsms-core, and instructions of the frequent ones. To be run by QEMU on one of its boards mps2 with
//! `-icount shift=0`, where an instruction takes a nanosecond. Each line that begins with `stack` or `instructions` is a figure; the last
//! says how many there were. A call that does not do what it is measured for ends the run with an error.
#![no_std]
#![no_main]

mod general;
mod instructions;
mod machine;
mod meter;
mod secs2;
mod services;

use core::panic::PanicInfo;
use cortex_m_rt::entry;
use meter::Meter;

#[entry]
fn main() -> ! {
    let mut meter = Meter::default();
    meter.group("machine");
    machine::calls(&mut meter);
    meter.group("general");
    general::calls(&mut meter);
    meter.group("secs2");
    secs2::calls(&mut meter);
    meter.group("services");
    services::calls(&mut meter);
    instructions::count(&mut meter);
    meter.finish()
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    semihosting::eprintln!("{info}");
    semihosting::process::exit(101)
}
