//! Arm MPS2 with image AN385: Cortex-M3, 4 MiB of code and 4 MiB of RAM, Ethernet by a LAN9118.

use crate::ethernet::{ADDRESS, FRAME};
use crate::interrupt;
use crate::register::Register;

/// Cycles of the processor in a second.
pub(crate) const CLOCK_HZ: u32 = 25_000_000;

const BASE: usize = 0x4020_0000;
/// Of the LAN9118.
pub(crate) const INTERRUPT: u16 = 13;

const fn register(offset: usize) -> Register {
    assert!(offset < 0x100 && offset.is_multiple_of(4));
    // SAFETY: the board has a LAN9118 there, whose registers fill 256 octets. It has no access to memory.
    unsafe { Register::at(BASE + offset) }
}

// Registers, and bits in them, as the LAN9118's data sheet names them.
const RX_DATA_FIFO: Register = register(0x00);
const TX_DATA_FIFO: Register = register(0x20);
const RX_STATUS_FIFO: Register = register(0x40);
const TX_STATUS_FIFO: Register = register(0x48);
const BYTE_TEST: Register = register(0x64);
const IRQ_CFG: Register = register(0x54);
const INT_STS: Register = register(0x58);
const INT_EN: Register = register(0x5C);
const FIFO_INT: Register = register(0x68);
const RX_CFG: Register = register(0x6C);
const TX_CFG: Register = register(0x70);
const HW_CFG: Register = register(0x74);
const RX_FIFO_INF: Register = register(0x7C);
const TX_FIFO_INF: Register = register(0x80);
const MAC_CSR_CMD: Register = register(0xA4);
const MAC_CSR_DATA: Register = register(0xA8);

const HW_CFG_SRST: u32 = 1;
const HW_CFG_MBO: u32 = 1 << 20;
/// 5 KiB of the FIFOs are for sending.
const HW_CFG_TX_FIF_SZ: u32 = 5 << 16;
/// Push-pull, active high.
const IRQ_CFG_LINE: u32 = 1 << 8 | 1 << 4 | 1;
const INT_RSFL: u32 = 1 << 3;
const INT_TDFA: u32 = 1 << 9;
const TX_CFG_TX_ON: u32 = 1 << 1;
const TX_CFG_TXSAO: u32 = 1 << 2;
const TX_FIRST_SEGMENT: u32 = 1 << 13;
const TX_LAST_SEGMENT: u32 = 1 << 12;
const RX_STATUS_ERROR: u32 = 1 << 15;
const MAC_CR: u32 = 1;
const MAC_ADDRH: u32 = 2;
const MAC_ADDRL: u32 = 3;
const MAC_CR_TXEN: u32 = 1 << 3;
const MAC_CR_RXEN: u32 = 1 << 2;
const MAC_CR_FDPX: u32 = 1 << 20;
const MAC_CSR_BUSY: u32 = 1 << 31;

/// Of the frame check sequence, which the controller hands over with the frame.
const CHECK: usize = 4;
/// What a frame takes of the FIFO: two commands, and words.
const TX_ROOM: u32 = 8 + (FRAME as u32).next_multiple_of(4);

/// The LAN9118.
pub struct Controller(());

impl Controller {
    pub(crate) fn new() -> Self {
        // The data sheet asks for it before anything else.
        while BYTE_TEST.read() != 0x8765_4321 {}
        HW_CFG.write(HW_CFG_SRST);
        while HW_CFG.read() & HW_CFG_SRST != 0 {}
        HW_CFG.write(HW_CFG_MBO | HW_CFG_TX_FIF_SZ);
        RX_CFG.write(0);
        TX_CFG.write(TX_CFG_TX_ON | TX_CFG_TXSAO);
        // One frame is enough to receive; for sending a whole frame must fit, in units of 64 octets.
        FIFO_INT.write(TX_ROOM.div_ceil(64) << 24);
        INT_EN.write(0);
        INT_STS.write(u32::MAX);
        IRQ_CFG.write(IRQ_CFG_LINE);
        let [a, b, c, d, e, f] = ADDRESS;
        write_mac(MAC_ADDRL, u32::from_le_bytes([a, b, c, d]));
        write_mac(MAC_ADDRH, u32::from_le_bytes([e, f, 0, 0]));
        write_mac(MAC_CR, MAC_CR_TXEN | MAC_CR_RXEN | MAC_CR_FDPX);
        interrupt::unmask();
        Controller(())
    }

    /// Has the interrupt tell of the next frame that comes, or of room to send one.
    pub(crate) fn listen(&self) {
        INT_STS.write(INT_RSFL | INT_TDFA);
        INT_EN.write(if self.has_room() { INT_RSFL } else { INT_TDFA });
    }

    /// Whether a frame of any length can be sent.
    pub(crate) fn has_room(&self) -> bool {
        TX_FIFO_INF.read() & 0xFFFF >= TX_ROOM
    }

    /// Whether a frame has come.
    pub(crate) fn has_frame(&self) -> bool {
        RX_FIFO_INF.read() >> 16 & 0xFF != 0
    }

    /// Takes the frame that has come; `None` where it is damaged or too long.
    pub(crate) fn take(&mut self, buffer: &mut [u8; FRAME]) -> Option<usize> {
        let status = RX_STATUS_FIFO.read();
        let with_check = (status >> 16 & 0x3FFF) as usize;
        RX_DATA_FIFO.take(with_check.div_ceil(4), buffer);
        with_check.checked_sub(CHECK).filter(|len| status & RX_STATUS_ERROR == 0 && *len <= FRAME)
    }

    /// Sends a frame.
    pub(crate) fn send(&mut self, frame: &[u8]) {
        let len = frame.len() as u32;
        TX_DATA_FIFO.write(TX_FIRST_SEGMENT | TX_LAST_SEGMENT | len);
        TX_DATA_FIFO.write(len);
        TX_DATA_FIFO.put(frame);
        // Nobody asks what became of the frames before; the FIFO of their statuses must not run full.
        while TX_FIFO_INF.read() >> 16 & 0xFF != 0 {
            let _ = TX_STATUS_FIFO.read();
        }
    }
}

fn write_mac(register: u32, value: u32) {
    MAC_CSR_DATA.write(value);
    MAC_CSR_CMD.write(MAC_CSR_BUSY | register);
    while MAC_CSR_CMD.read() & MAC_CSR_BUSY != 0 {}
}

/// Has the controller tell of nothing until somebody [listens](Controller::listen) again.
pub(crate) fn silence() {
    INT_EN.write(0);
}
