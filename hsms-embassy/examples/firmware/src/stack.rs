//! How much of the stack was ever used: cortex-m-rt paints it before it starts, and what is not painted any more was used.

/// What cortex-m-rt paints with.
const PAINT: u32 = 0xCCCC_CCCC;

/// Octets below the top that are looked at. Deeper there is nothing on either board but more of the same.
const DEEPEST: usize = 48 * 1024;

unsafe extern "C" {
    // Of the linker script of cortex-m-rt: the top of the stack, and the end of the memory that is for it.
    static mut _stack_start: u32;
    static mut _stack_end: u32;
}

/// Octets of stack that were in use at most, as far as [`DEEPEST`].
pub fn used() -> u32 {
    let (top, end) = (&raw const _stack_start, &raw const _stack_end);
    let words = (top.addr().saturating_sub(end.addr()).min(DEEPEST)) / size_of::<u32>();
    let mut unused = 0;
    // SAFETY: these words belong to the stack, so they are memory, aligned, and painted before `main`. The part that is in use now lies
    // behind the first word that differs, where reading ends; volatile, as no value of Rust's lives there.
    while unused < words && unsafe { top.sub(words - unused).read_volatile() } == PAINT {
        unused += 1;
    }
    u32::try_from((words - unused) * size_of::<u32>()).unwrap_or(u32::MAX)
}
