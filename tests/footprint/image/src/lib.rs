//! What every image has: a table of calls, which keeps functions in the image, and a panic handler that can be seen.
//!
//! A module in `calls` names public functions of `hsms-core`; a program in `bin` names the modules that it is made of. So an
//! image holds each of these functions once, out of line, with whatever they need, and nothing else.

#![no_std]

/// Pointers to functions.
#[repr(transparent)]
pub struct Calls<const N: usize>(pub [*const (); N]);

// SAFETY: the pointers are never used; the table is there for the linker.
unsafe impl<const N: usize> Sync for Calls<N> {}

/// Keeps these functions in the image.
#[macro_export]
macro_rules! calls {
    ($($call:expr),+ $(,)?) => {
        #[used]
        #[unsafe(link_section = ".calls")]
        static CALLS: $crate::Calls<{ [$(stringify!($call)),+].len() }> = $crate::Calls([$($call as *const ()),+]);
    };
}

/// The octets that values of a type take, as the size of a symbol.
#[macro_export]
macro_rules! ram {
    ($($name:ident: $type:ty;)+) => {$(
        #[used]
        #[unsafe(no_mangle)]
        #[unsafe(link_section = concat!(".ram.", stringify!($name)))]
        static $name: [u8; size_of::<$type>()] = [0; size_of::<$type>()];
    )+};
}

/// Never inlined and with an effect of its own, so that an image that can panic holds this symbol.
#[panic_handler]
#[inline(never)]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
