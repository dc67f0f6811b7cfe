//! What `docs/sizing.md` says of microcontrollers with 32 bits, held to by the compiler for each of them. A test on the host compares the
//! page with these lines.

#[cfg(any(target_arch = "arm", target_arch = "riscv32"))]
mod checked {
    use crate::Link;
    use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;

    type Of<const TRANSACTIONS: usize, const CALLS: usize> =
        Link<'static, CriticalSectionRawMutex, TRANSACTIONS, CALLS>;

    const _: () = assert!(size_of::<Of<1, 4>>() == 912);
    const _: () = assert!(size_of::<Of<4, 8>>() == 1240);
    const _: () = assert!(size_of::<Of<8, 16>>() == 1784);
    const _: () = assert!(size_of::<Of<16, 16>>() == 2232);
}
