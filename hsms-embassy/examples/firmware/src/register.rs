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
}
