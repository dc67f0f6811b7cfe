//! The manager with up to ten thousand connections, over loopback, to tools in a second process.
//!
//! For each number of connections: how long it takes until all are SELECTED, what each takes of memory while nothing happens, how
//! busy the processor is with their linktests, how many requests a second all of them carry with one in flight on each, what another
//! connection waits for a reply meanwhile, and how long it takes to recover when all are cut at once. The rate is set beside that
//! of as many connections to the same tools without a protocol, on one event loop; a round of one follows on a round of the
//! other, and the ratio is taken between the two.
//!
//! `cargo bench -p hsms-std --bench scale -- --quick`

#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("scale: skipped, because memory and processor time are read as Linux tells them");
}
