//! Collects what is logged, each thread for itself, and decodes it by the names of the symbols in the test's own program.

use defmt::Encoder;
use defmt_decoder::{DecodeError, Table};
use std::cell::RefCell;
use std::sync::OnceLock;

struct Collector {
    encoder: Encoder,
    frames: Vec<u8>,
}

thread_local! {
    static COLLECTOR: RefCell<Collector> = const { RefCell::new(Collector { encoder: Encoder::new(), frames: Vec::new() }) };
}

fn with(act: impl FnOnce(&mut Encoder, &mut Vec<u8>)) {
    COLLECTOR.with_borrow_mut(|Collector { encoder, frames }| act(encoder, frames));
}

#[defmt::global_logger]
struct Logger;

// SAFETY: each thread has an encoder and frames of its own, and writes nowhere else; a thread that would log while it logs panics instead.
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        with(|encoder, frames| encoder.start_frame(|octets| frames.extend_from_slice(octets)));
    }

    unsafe fn flush() {}

    unsafe fn release() {
        with(|encoder, frames| encoder.end_frame(|octets| frames.extend_from_slice(octets)));
    }

    unsafe fn write(octets: &[u8]) {
        with(|encoder, frames| encoder.write(octets, |octets| frames.extend_from_slice(octets)));
    }
}

/// What this thread has logged since it was asked last, each line behind its level.
pub(crate) fn lines() -> Vec<String> {
    let mut decoder = table().new_stream_decoder();
    with(|_, frames| decoder.received(&std::mem::take(frames)));
    let mut lines = Vec::new();
    loop {
        match decoder.decode() {
            Ok(frame) => {
                let level = frame.level().map_or("", |level| level.as_str());
                lines.push(format!("{level} {}", frame.display_message()));
            }
            Err(DecodeError::UnexpectedEof) => return lines,
            Err(DecodeError::Malformed) => panic!("a frame is malformed behind {lines:#?}"),
        }
    }
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        assert_eq!(option_env!("DEFMT_LOG"), Some("debug"), "what is logged is decided when it is built");
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        Table::parse(&program).unwrap().unwrap()
    })
}
