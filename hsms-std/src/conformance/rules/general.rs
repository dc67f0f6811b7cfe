//! Headers and system bytes (E37 8.1.4, 8.2).

use crate::conformance::{Applies, Bench, Command, Outcome, Rule, S1F1, linktest, require};
use hsms_core::wire::{Header, SystemBytes};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E37-8.1.4.6/echo",
        duty: "A response repeats the four system bytes of its request, whatever they are.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/input.rs: answer",
        test: echoes,
    },
    Rule {
        id: "E37-8.1.4.6/unique",
        duty: "A new request carries system bytes that none of its own open transactions has, nor the one that ended last.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/mod.rs: next_system_bytes",
        test: unique,
    },
];

fn echoes(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for system in [0, 1, 0x8000_0000, 0x0102_0304, u32::MAX].map(SystemBytes) {
        bench.send(Header { system, ..linktest() })?;
        bench.expect(Header::linktest_rsp(system))?;
    }
    bench.stays_selected()
}

fn unique(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let mut seen = Vec::new();
    for _ in 0..8 {
        seen.push(bench.request(S1F1, &[])?.system);
    }
    bench.does(Command::Linktest)?;
    let request = bench.frame()?.header;
    seen.push(request.system);
    bench.send(Header::linktest_rsp(request.system))?;
    bench.stays_selected()?;
    seen.push(bench.request(S1F1, &[])?.system);
    let count = seen.len();
    seen.sort();
    seen.dedup();
    require(seen.len() == count, || format!("only {} of {count} requests had system bytes of their own", seen.len()))
}
