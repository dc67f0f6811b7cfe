//! What is measured, for which targets, and what the figures have to come to.

use crate::reach::{ADDED_TO_THE_ECHO, Reach};

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

/// The programs with RAM figures, and the features that each is built with; symbols in them and what they are.
pub const RAM: [(&str, &str); 3] = [("", "ram"), ("services", "ram_services"), ("auth", "ram_auth")];
pub const RAM_ROWS: [(&str, &str); 16] = [
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
    (
        "services_small",
        "services beside it: 2 sendings, 4 handlers of each kind, 8 entries, inbox of 1 message of 128 octets",
    ),
    (
        "services_usual",
        "services beside it: 4 sendings, 8 handlers of each kind, 32 entries, inbox of 4 messages of 512 octets in all",
    ),
    ("auth_small", "services and auth, the smaller one"),
    ("auth_usual", "services and auth, the larger one"),
];

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

/// What stands in front of the name of a board in a row, which is what core and adapter add to its image with the echo: see `.ci/firmware`.
pub const FIRMWARE: &str = "firmware/";

/// The target of these images.
pub const FIRMWARE_TARGET: &str = "thumbv7m-none-eabi";

/// The image with the echo, and that with a link in its place.
pub const FIRMWARE_IMAGES: [&str; 2] = ["echo", "reply"];

/// A figure that has to come to something: the largest of its row on these targets.
pub struct Wanted {
    pub what: &'static str,
    pub targets: &'static [&'static str],
    /// `-`: the same at every level.
    pub level: &'static str,
    /// As in the baseline.
    pub row: &'static str,
    pub reach: Reach,
}

const M4: &[&str] = &["thumbv7em-none-eabi"];
const M3: &[&str] = &["thumbv7m-none-eabi"];
const THUMB: &[&str] = &["thumbv6m-none-eabi", "thumbv7m-none-eabi", "thumbv7em-none-eabi"];

const fn wanted(what: &'static str, targets: &'static [&'static str], row: &'static str, reach: Reach) -> Wanted {
    Wanted { what, targets, level: GATED_LEVEL, row, reach }
}

const STACK: Reach = Reach { most: 448, aim: 208, held: false };

/// All of them.
pub const REACHES: [Wanted; 10] = [
    wanted(
        "flash of codec and SS machine, both roles, thumbv7em at s",
        M4,
        "both",
        Reach { most: 12 * 1024, aim: 6_900, held: true },
    ),
    wanted(
        "flash of the same with GS, and SECS-II reader and writer, thumbv7em at s",
        M4,
        "general_reader_writer",
        Reach { most: 20 * 1024, aim: 12 * 1024, held: false },
    ),
    Wanted {
        level: "-",
        ..wanted(
            "RAM of a connection with 4 transactions, thumb",
            THUMB,
            "ram/single_4",
            Reach { most: 440, aim: 256, held: true },
        )
    },
    wanted(
        "deepest stack of a public call of codec and SS machine, thumbv7em at s",
        M4,
        "stack/machine",
        Reach { held: true, ..STACK },
    ),
    wanted("the same of what GS adds", M4, "stack/general", STACK),
    wanted("the same of SECS-II reader and writer", M4, "stack/secs2", STACK),
    wanted("the same of services and auth", M4, "stack/services", STACK),
    wanted(
        "instructions for each linktest answered, Cortex-M3 at s",
        M3,
        "instructions/linktest_answered",
        Reach { most: 600, aim: 300, held: true },
    ),
    Wanted {
        level: "-",
        ..wanted(
            "flash that core and adapter add to an embassy-net echo, mps2-an385",
            M3,
            "firmware/mps2-an385",
            ADDED_TO_THE_ECHO,
        )
    },
    Wanted { level: "-", ..wanted("the same on lm3s6965evb", M3, "firmware/lm3s6965evb", ADDED_TO_THE_ECHO) },
];

/// The program in which the proof has to find all that it looks for.
pub const PLANTED: &str = "planted";
