//! What `docs/sizing.md` says of microcontrollers with 32 bits, held to by the compiler for each of them. A test on the host compares the
//! page with these lines.

#[cfg(any(target_arch = "arm", target_arch = "riscv32"))]
mod checked {
    use crate::Link;
    use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;

    /// The copy of the connection's name, for its log.
    const NAME: usize = if cfg!(all(feature = "defmt", feature = "services")) { 32 } else { 0 };

    const fn of<const TRANSACTIONS: usize, const CALLS: usize>() -> usize {
        size_of::<Link<'static, CriticalSectionRawMutex, TRANSACTIONS, CALLS>>().saturating_sub(NAME)
    }

    const _: () = assert!(of::<1, 4>() == 912);
    const _: () = assert!(of::<4, 8>() == 1240);
    const _: () = assert!(of::<8, 16>() == 1784);
    const _: () = assert!(of::<16, 16>() == 2232);
}
