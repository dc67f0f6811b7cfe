//! Every public function of hsms-core, in a library without std, without an allocator, and with a panic handler that calls what does not
//! exist. Where one panic can be reached, the finished library asks for that symbol; where none can, the handler is gone and so is the
//! symbol. `tests/nopanic/run` builds it and looks for the symbol.
//!
//! Each function is called as `Type::function(…)`, from an entry point of its own, so that the optimiser knows nothing of its
//! arguments.
#![no_std]

mod connection;
mod rest;
mod secs2;
mod services;

unsafe extern "C" {
    #[link_name = "HSMS_PANIC_REACHABLE"]
    safe fn panic_reachable() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    panic_reachable()
}

/// Entry points whose result counts as used.
macro_rules! entries {
    ($($name:ident($($argument:ident: $type:ty),* $(,)?) $body:expr;)+) => {$(
        #[unsafe(export_name = concat!(module_path!(), "::", stringify!($name)))]
        pub fn $name($($argument: $type),*) {
            let _ = core::hint::black_box($body);
        }
    )+};
}
pub(crate) use entries;

#[cfg(feature = "planted")]
entries! {
    planted_index(octets: &[u8], at: usize) octets[at];
}
