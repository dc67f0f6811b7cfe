//! Stellaris LM3S6965 evaluation board: Cortex-M3, 256 KiB of flash and 64 KiB of RAM, Ethernet in the chip.

use crate::ethernet::{ADDRESS, FRAME};
use crate::interrupt;
use crate::register::Register;

/// Cycles of the processor in a second: what the clock is after a reset.
pub(crate) const CLOCK_HZ: u32 = 12_500_000;

const BASE: usize = 0x4004_8000;
/// Of the Ethernet controller.
pub(crate) const INTERRUPT: u16 = 42;

const fn register(offset: usize) -> Register {
    assert!(offset < 0x40 && offset.is_multiple_of(4));
    // SAFETY: the chip has its Ethernet controller there. It has no access to memory.
    unsafe { Register::at(BASE + offset) }
}

// Registers, and bits in them, as the LM3S6965's data sheet names them.
const MACRIS: Register = register(0x00);
const MACIM: Register = register(0x04);
const MACRCTL: Register = register(0x08);
const MACTCTL: Register = register(0x0C);
const MACDATA: Register = register(0x10);
const MACIA0: Register = register(0x14);
const MACIA1: Register = register(0x18);
const MACNP: Register = register(0x34);
const MACTR: Register = register(0x38);
// SAFETY: the chip has the clocks of its peripherals there.
const RCGC2: Register = unsafe { Register::at(0x400F_E108) };

/// Controller and PHY.
const RCGC2_ETHERNET: u32 = 1 << 28 | 1 << 30;
const RXINT: u32 = 1;
const TXEMP: u32 = 1 << 2;
const RXEN: u32 = 1;
const BADCRC: u32 = 1 << 3;
const RSTFIFO: u32 = 1 << 4;
const TXEN: u32 = 1;
const PADEN: u32 = 1 << 1;
const CRC: u32 = 1 << 2;
const DUPLEX: u32 = 1 << 4;
const NEWTX: u32 = 1;

/// In front of a frame in the FIFO: its length.
const LENGTH: usize = 2;
/// Of the frame check sequence, which the controller hands over with the frame.
const CHECK: usize = 4;
/// Two addresses and the type, which the length in front of a frame to send leaves out.
const HEADER: usize = 14;

/// The chip's Ethernet controller.
pub struct Controller(());

impl Controller {
    pub(crate) fn new() -> Self {
        RCGC2.write(RCGC2.read() | RCGC2_ETHERNET);
        // The data sheet asks for some cycles until the clock runs.
        cortex_m::asm::delay(16);
        MACIM.write(0);
        MACRCTL.write(RSTFIFO);
        let [a, b, c, d, e, f] = ADDRESS;
        MACIA0.write(u32::from_le_bytes([a, b, c, d]));
        MACIA1.write(u32::from_le_bytes([e, f, 0, 0]));
        MACTCTL.write(TXEN | PADEN | CRC | DUPLEX);
        MACRCTL.write(RXEN | BADCRC);
        MACRIS.write(u32::MAX);
        interrupt::unmask();
        Controller(())
    }

    /// Has the interrupt tell of the next frame that comes, or of room to send one.
    pub(crate) fn listen(&self) {
        MACRIS.write(RXINT | TXEMP);
        MACIM.write(if self.has_room() { RXINT } else { TXEMP });
    }

    /// Whether a frame of any length can be sent: the last one has left.
    pub(crate) fn has_room(&self) -> bool {
        MACTR.read() & NEWTX == 0
    }

    /// Whether a frame has come.
    pub(crate) fn has_frame(&self) -> bool {
        MACNP.read() != 0
    }

    /// Takes the frame that has come; `None` where it is too long or too short. The controller drops damaged ones itself.
    pub(crate) fn take(&mut self, buffer: &mut [u8; FRAME]) -> Option<usize> {
        let [low, high, first, second] = MACDATA.read().to_le_bytes();
        let whole = usize::from(u16::from_le_bytes([low, high]));
        // Two octets of it stand in the first word.
        let [a, b, rest @ ..] = buffer;
        (*a, *b) = (first, second);
        MACDATA.take(whole.saturating_sub(LENGTH + 2).div_ceil(4), rest);
        whole.checked_sub(LENGTH + CHECK).filter(|len| *len <= FRAME)
    }

    /// Sends a frame.
    pub(crate) fn send(&mut self, frame: &[u8]) {
        let [low, high, ..] = frame.len().saturating_sub(HEADER).to_le_bytes();
        let [first, second, rest @ ..] = frame else { return };
        MACDATA.write(u32::from_le_bytes([low, high, *first, *second]));
        MACDATA.put(rest);
        MACTR.write(NEWTX);
    }
}

/// Has the controller tell of nothing until somebody [listens](Controller::listen) again.
pub(crate) fn silence() {
    MACIM.write(0);
}
