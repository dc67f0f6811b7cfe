//! What is measured, for which targets, and what the figures have to come to.

/// Target triples, and what they are for.
pub const TARGETS: [(&str, &str); 4] = [
    ("thumbv6m-none-eabi", "Cortex-M0, M0+"),
    ("thumbv7m-none-eabi", "Cortex-M3"),
    ("thumbv7em-none-eabi", "Cortex-M4, M7"),
    ("riscv32imc-unknown-none-elf", "RISC-V"),
];

/// Cargo profiles, and the `opt-level` that each stands for.
pub const LEVELS: [(&str, &str); 3] = [("release", "3"), ("s", "s"), ("z", "z")];

/// What the gate builds.
pub const GATED_TARGETS: [&str; 2] = ["thumbv7m-none-eabi", "thumbv7em-none-eabi"];
pub const GATED_LEVEL: &str = "s";

/// An image: a program in `image/src/bin`.
pub struct Row {
    pub program: &'static str,
    pub what: &'static str,
    /// Features that it is built with. The others are built without, which shows what they come to.
    pub features: &'static str,
    /// Formatting is what it is for.
    pub formats: bool,
    /// Symbols that stand for a panic, and are in it.
    pub panics: &'static [&'static str],
}

/// All that rows are built with, one after the other.
pub const FEATURES: [&str; 5] = ["", "secs2", "services", "auth", "adapter"];

const fn row(program: &'static str, what: &'static str) -> Row {
    Row { program, what, features: "", formats: false, panics: &[] }
}

pub const ROWS: [Row; 13] = [
    row("codec", "codec"),
    row("frames", "codec and frames"),
    row("active", "codec and SS machine, the active end's calls"),
    row("passive", "codec and SS machine, the passive end's calls"),
    row("both", "codec and SS machine, both roles"),
    row("general", "codec and machine with GS, both roles"),
    Row { features: "secs2", ..row("reader", "codec, SS machine, SECS-II reader") },
    Row { features: "secs2", ..row("reader_writer", "codec, SS machine, SECS-II reader and writer") },
    Row { features: "secs2", ..row("general_reader_writer", "codec, machine with GS, SECS-II reader and writer") },
    Row { features: "secs2", formats: true, ..row("sml", "codec, SS machine, SECS-II reader, writer, SML printing") },
    Row { features: "services", ..row("services", "codec, SS machine, SECS-II reader and writer, services") },
    Row { features: "auth", ..row("auth", "codec, SS machine, SECS-II reader and writer, services and auth") },
    Row {
        features: "adapter",
        panics: &REF_CELL,
        ..row("adapter", "hsms-embassy over a byte stream, with codec and SS machine")
    },
];

/// The panic of a `RefCell` that is borrowed twice, in the mutex of embassy-sync.
const REF_CELL: [&str; 3] =
    ["core::cell::panic_already_borrowed", "core::panicking::panic_fmt", "__rustc::rust_begin_unwind"];

/// What figures are to come to, at [`GATED_LEVEL`] on this target.
pub const LIMITED_TARGET: &str = "thumbv7em-none-eabi";

pub struct Limit {
    pub program: &'static str,
    pub reach: u64,
    pub aim: u64,
    /// It has been reached, and is lost no more: above it is a failure.
    pub held: bool,
}

pub const FLASH_LIMITS: [Limit; 2] = [
    Limit { program: "both", reach: 12 * 1024, aim: 6_900, held: false },
    Limit { program: "general_reader_writer", reach: 20 * 1024, aim: 12 * 1024, held: false },
];

/// The program with the RAM figures; symbols in it and what they are.
pub const RAM: &str = "ram";
pub const RAM_ROWS: [(&str, &str); 12] = [
    ("single_0", "SS, no transaction: only to refuse a caller"),
    ("single_1", "SS, 1 transaction"),
    ("single_2", "SS, 2 transactions"),
    ("single_4", "SS, 4 transactions"),
    ("single_8", "SS, 8 transactions"),
    ("single_16", "SS, 16 transactions"),
    ("single_64", "SS, 64 transactions"),
    ("general_1", "GS, 4 transactions, 1 session"),
    ("general_2", "GS, 4 transactions, 2 sessions"),
    ("general_4", "GS, 4 transactions, 4 sessions"),
    ("general_8", "GS, 4 transactions, 8 sessions"),
    ("decoder", "frames alone, without machine"),
];

pub const RAM_LIMIT: Limit = Limit { program: "single_4", reach: 440, aim: 256, held: true };

/// Targets that the program with the calls runs on, and QEMU's board for each: a Cortex-M3 executes what is meant for a Cortex-M0.
pub const RUNS: [(&str, &str); 3] =
    [("thumbv6m-none-eabi", "mps2-an385"), ("thumbv7m-none-eabi", "mps2-an385"), ("thumbv7em-none-eabi", "mps2-an386")];

/// Its package and program, and the groups of calls that it measures.
pub const RUN: &str = "run";
pub const GROUPS: [(&str, &str); 4] = [
    ("machine", "codec and SS machine"),
    ("general", "what GS adds"),
    ("secs2", "SECS-II reader and writer"),
    ("services", "services and auth"),
];

/// What it counts instructions of.
pub const COUNTED: [(&str, &str); 4] = [
    ("linktest_answered", "linktest answered"),
    ("message_received", "message of 64 octets received"),
    ("message_sent", "message of 64 octets sent"),
    ("request_replied_to", "request of 64 octets received and replied to"),
];

/// What the stack of a machine, and an answer to a linktest, have to come to on the targets that are gated.
pub const STACK_LIMIT: Limit = Limit { program: "machine", reach: 448, aim: 208, held: false };
pub const LINKTEST_LIMIT: Limit = Limit { program: "linktest_answered", reach: 600, aim: 250, held: true };

/// The program in which the proof has to find all that it looks for.
pub const PLANTED: &str = "planted";
