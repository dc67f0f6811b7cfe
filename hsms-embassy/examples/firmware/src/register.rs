//! Registers of devices.

/// One of 32 bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Register(*mut u32);

impl Register {
    /// The register at `address`.
    ///
    /// # Safety
    /// A device has a register of 32 bits there, on every board that the code is built for, and whatever is written to it, the device
    /// leaves memory that Rust knows of as it is.
    pub(crate) const unsafe fn at(address: usize) -> Self {
        Register(core::ptr::without_provenance_mut(address))
    }

    pub(crate) fn read(self) -> u32 {
        // SAFETY: `at` was promised that there is a register.
        unsafe { self.0.read_volatile() }
    }

    pub(crate) fn write(self, value: u32) {
        // SAFETY: `at` was promised that there is a register, and that no memory changes by it.
        unsafe { self.0.write_volatile(value) }
    }

    /// Takes so many words of a FIFO, of which what does not fit is lost.
    pub(crate) fn take(self, words: usize, buffer: &mut [u8]) {
        let mut room = buffer.chunks_mut(4);
        for _ in 0..words {
            let word = self.read().to_le_bytes();
            if let Some(place) = room.next() {
                place.iter_mut().zip(word).for_each(|(place, octet)| *place = octet);
            }
        }
    }

    /// Puts octets into a FIFO, and zeros behind them up to a whole word.
    pub(crate) fn put(self, octets: &[u8]) {
        for chunk in octets.chunks(4) {
            let mut word = [0; 4];
            word.iter_mut().zip(chunk).for_each(|(place, octet)| *place = *octet);
            self.write(u32::from_le_bytes(word));
        }
    }
}
