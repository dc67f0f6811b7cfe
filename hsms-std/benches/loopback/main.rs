//! The blocking adapter beside two echoes that know no protocol, over loopback.
//!
//! (a) writes each message alone; (b), the ceiling, reads and writes as much as there is; (b') is
//! (b) without asking again before it sleeps; (c) is the adapter with its default options, which asks
//! again where that has paid of late, and (c') the adapter without; (d) is the manager, asked from another
//! thread than that of its event loop, with the echo in a delegate. Both ends of a connection run on
//! threads of one process, pinned to one core each and then both to one core. A round of each
//! contender follows on a round of the one before, so that what else the machine does meets all
//! alike, and ratios are taken between rounds of the same turn. Every round has its own connection,
//! a warm-up in which all that comes back is compared octet by octet, and a deadline.
//!
//! `cargo bench -p hsms-std --bench loopback -- --quick`

#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("loopback: skipped, because threads are pinned to cores on Linux only");
}
