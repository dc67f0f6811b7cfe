//! The tables as markdown, and the page that they stand on.

use crate::Measured;
use crate::image::Finding;
use crate::rows::{COUNTED, GROUPS, LEVELS, RAM_ROWS, ROWS, RUNS, TARGETS};
use std::fmt::Write;

/// Tables for what was measured.
pub fn tables(version: &str, measured: &Measured) -> String {
    let mut text = format!("Compiler: rustc {}.\n", version.replace("-llvm", " with LLVM "));
    for (target, what) in TARGETS {
        let levels: Vec<_> = LEVELS
            .iter()
            .map(|(_, level)| *level)
            .filter(|level| measured.flash.keys().any(|key| key.0 == target && key.1 == *level))
            .collect();
        if levels.is_empty() {
            continue;
        }
        _ = write!(text, "\n**{target}** ({what}), flash in octets\n\n| opt-level |");
        for level in &levels {
            _ = write!(text, " {level} | with helpers |");
        }
        text += "\n|---|";
        text += &"---|---|".repeat(levels.len());
        text += "\n";
        for row in &ROWS {
            _ = write!(text, "| {} |", row.what);
            for level in &levels {
                let key = (target.to_owned(), (*level).to_owned(), row.program.to_owned());
                let (own, helpers) = (measured.flash.get(&key), measured.helpers.get(&key));
                if let (Some(own), Some(helpers)) = (own, helpers) {
                    _ = write!(text, " {own} | {} |", own + helpers);
                }
            }
            text += "\n";
        }
    }
    let targets: Vec<_> = TARGETS
        .iter()
        .map(|(target, _)| *target)
        .filter(|target| measured.ram.keys().any(|key| key.0 == *target))
        .collect();
    text += "\n**RAM of a connection**, octets\n\n|  |";
    for target in &targets {
        _ = write!(text, " {} |", target.split('-').next().unwrap_or(target));
    }
    text += "\n|---|";
    text += &"---|".repeat(targets.len());
    text += "\n";
    for (symbol, what) in RAM_ROWS {
        _ = write!(text, "| {what} |");
        for target in &targets {
            match measured.ram.get(&((*target).to_owned(), symbol.to_owned())) {
                Some(octets) => _ = write!(text, " {octets} |"),
                None => text += " |",
            }
        }
        text += "\n";
    }
    text += &runs(measured);
    text += "\n";
    text += &proof(measured);
    text
}

/// Stack and instructions, a column for each target and level.
fn runs(measured: &Measured) -> String {
    let columns: Vec<_> = RUNS
        .iter()
        .flat_map(|(target, _)| LEVELS.iter().map(move |(_, level)| (*target, *level)))
        .filter_map(|(target, level)| {
            let figures = measured.ran.get(&(target.to_owned(), level.to_owned()))?;
            Some((format!("{} {level}", target.split('-').next().unwrap_or(target)), figures))
        })
        .collect();
    let mut text = String::from("\n**Stack**, octets of the deepest public call\n\n|  |");
    let head = |text: &mut String| {
        columns.iter().for_each(|(name, _)| *text += &format!(" {name} |"));
        *text += "\n|---|";
        *text += &"---|".repeat(columns.len());
        *text += "\n";
    };
    head(&mut text);
    for (group, what) in GROUPS {
        let deepest: Vec<_> = columns.iter().map(|(_, figures)| figures.stack.get(group)).collect();
        // Where it is the same call everywhere, it is named once.
        let sole = deepest.windows(2).all(|pair| pair[0].map(|call| &call.1) == pair[1].map(|call| &call.1));
        let sole = deepest.first().copied().flatten().filter(|_| sole);
        _ = write!(text, "| {what}{} |", sole.map_or(String::new(), |(_, call)| format!(": {call}")));
        for deepest in deepest {
            match deepest {
                Some((octets, _)) if sole.is_some() => _ = write!(text, " {octets} |"),
                Some((octets, call)) => _ = write!(text, " {octets}: {call} |"),
                None => text += " |",
            }
        }
        text += "\n";
    }
    text += "\n**Instructions**\n\n|  |";
    head(&mut text);
    for (name, what) in COUNTED {
        _ = write!(text, "| {what} |");
        for (_, figures) in &columns {
            match figures.instructions.get(name) {
                Some(number) => _ = write!(text, " {number} |"),
                None => text += " |",
            }
        }
        text += "\n";
    }
    text
}

fn proof(measured: &Measured) -> String {
    let mut text = String::from("No panic, no allocator and no formatting is in any of these images");
    for row in ROWS.iter().filter(|row| row.formats) {
        let has = |finding| measured.found.contains_key(&(row.program, finding));
        _ = write!(text, ", but for the one with {}: ", row.what.rsplit(", ").next().unwrap_or(row.what));
        text += match (has(Finding::Formatting), has(Finding::Panic)) {
            (true, true) => "it formats, and holds the panics of Rust's own `core::fmt`",
            (true, false) => "it formats, and does not panic",
            (false, _) => "it does not format",
        };
    }
    for row in ROWS.iter().filter(|row| measured.found.contains_key(&(row.program, Finding::Panic)) && !row.formats) {
        _ = write!(text, ", and for the panic of a `RefCell` that is borrowed twice, in that of {}", row.what);
    }
    text + ".\n"
}

/// The whole page.
pub fn page(tables: &str, reaches: &str) -> String {
    let front = format!("{HEAD}{PAGE_OF_REACHES}{reaches}");
    format!("{front}\n{}", REST.replace("TABLES", tables.trim_end()))
}

const HEAD: &str = "\
# Footprint

<!-- Made by: bash .ci/footprint --write -->

Flash, RAM, stack and instructions of the core alone on bare-metal targets, without I/O and without an application. To repeat it:

```sh
bash .ci/footprint            # this table, for your compiler
bash .ci/footprint --gate     # of it what must not grow: two targets at one level
bash .ci/footprint --symbols both thumbv7m-none-eabi s   # what takes how much in one image
```

";

/// What stands in front of the table of reaches.
pub const PAGE_OF_REACHES: &str = "\
## What is reached

Some figures have to come to something. What is marked as not reached is still to be made smaller; what is reached is held: CI fails above
it.

";

const REST: &str = "\
## The figures

TABLES

## How it is measured

An image is linked for each row with fat LTO, one codegen unit and `panic = \"abort\"`. It holds every public function that the
row names, once and out of line, with whatever these need; the lists stand in `tests/footprint/image/src/calls`. An application
that calls half of them takes less, and one that calls one from many places may take more, as short ones are inlined. Flash is text and data (there is
none that is written). `with helpers` adds what the compiler brings to any firmware: memcpy, memmove, memset, memcmp, the
`__aeabi_` functions and arithmetic that the processor does not have. Unwind tables are not counted: firmware that aborts drops them.

The row of `hsms-embassy` has every call of its link, polled as an executor polls it, over a byte stream and a clock that do nothing; the
rows of services those of the `Endpoint`, which brings dispatch, the inbox, names, communication and the handshake along.

Rows with SECS-II are built with feature `secs2`, those of services with `services` and `auth`, the others without. They read and write every type of value there is, one by one and
in arrays; a firmware that uses five of eleven takes the part.

Stack and instructions come from a program, `tests/footprint/run`, on the Cortex-M3 and Cortex-M4 that QEMU emulates; a Cortex-M3 runs what is
built for a Cortex-M0 too, and there is no figure for RISC-V. Before each call the stack is painted, and what is not painted any more behind it was
used: by the call, and by what its caller keeps of arguments and result. Public calls are made where they have most to do, such as T3 with
S9F9, and each has to do it. Endpoints and lists of sessions are made when the program runs, in a `static` where they stay, as `StaticCell::init_with` does: that is memory
of the caller's and is not counted. Who makes one on the stack, or hands it on by value, adds what it takes (`RAM of a connection`) for each copy; who makes it
at compile time, as the constructors allow, takes no stack for it. A proof of trusted connections takes the most by far: two blocks of
SHA-256, their hashes, and its compression, 236 octets by itself. Instructions are counted over a thousand times, with an instruction for each nanosecond of the emulated clock (`-icount`).

The proof reads the symbols of each image, and is tried on an image with a panic, an allocator and formatting planted in it in
each run.

## Roles

Which end dials is a setting, read when the program runs, so the machine cannot be linked for one role: the rows of the active and the passive end lack
only the call that the other alone makes.

`Connection<4>` and `Connection<0>` are two types, and in flash two machines. To refuse a second caller, take the type that is there already:
`Connection::<4>::refusing` takes 64 octets of RAM more for a moment, and no flash for a second machine. The same holds for
a machine with sessions beside one without.
";
