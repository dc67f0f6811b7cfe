//! The one interrupt that is not masked: that of the Ethernet controller.

use crate::{board, ethernet};
use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use cortex_m_rt::exception;

/// Has the controller's interrupt come from here on.
pub(crate) fn unmask() {
    NVIC::unpend(Line);
    // SAFETY: no code relies on the interrupt being masked: the driver shares nothing with it but registers and a waker.
    unsafe { NVIC::unmask(Line) };
}

#[derive(Clone, Copy)]
struct Line;

// SAFETY: each board has an interrupt of the number that it names.
unsafe impl InterruptNumber for Line {
    fn number(self) -> u16 {
        board::INTERRUPT
    }
}

// Every interrupt comes here.
// SAFETY: it writes a register that silences the interrupt, and wakes a task, which may be done from anywhere.
#[exception]
unsafe fn DefaultHandler(_: i16) {
    board::silence();
    ethernet::wake();
}
