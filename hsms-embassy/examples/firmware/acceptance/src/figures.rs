//! Instructions and stack of the core, and flash and stack of the images.

use crate::board::{MACHINES, run_to_end};
use crate::{Bench, Failure, equipment, question, selected};
use hsms_std::core::secs2::Reader;
use hsms_std::{Connection, StreamFunction};
use std::path::Path;
use std::process::Command;

/// Limits, each by what its line begins with. Flash is what core and adapter add to the echo, logs included.
const LIMITS: [(&str, u64); 6] = [
    ("instructions, linktest answered", 600),
    ("stack, linktest answered", 448),
    ("stack, message received", 448),
    ("stack, message sent", 448),
    ("stack, connection opened and closed", 448),
    ("flash", 28 * 1024),
];

/// Prints them, and fails where one is above its limit.
pub fn figures(bench: &Bench<'_>) -> Result<String, Failure> {
    let mut figures = Vec::new();
    // Its clock is the one that the image counts with.
    if bench.machine.name == MACHINES[0].name {
        for line in run_to_end(bench.machine, &bench.image("measure"))? {
            if let Some((_, figure)) = line.split_once("figure ") {
                let (what, value) = figure.split_once(": ").ok_or("a figure without a value")?;
                let value = value.split(' ').next().unwrap_or_default().parse::<u64>()?;
                figures.push((what.to_owned(), value));
            }
        }
        if figures.is_empty() {
            return Err("the board has measured nothing".into());
        }
    }
    let (echo, reply) = (flash(&bench.image("echo"))?, flash(&bench.image("reply"))?);
    figures.push(("flash of the image with the echo".to_owned(), echo));
    figures.push(("flash added by core and adapter".to_owned(), reply.saturating_sub(echo)));
    let mut board = equipment(bench, "report=20")?;
    let mut host = selected(board.address())?;
    exercise(&mut host)?;
    figures.push((
        "octets of stack of the equipment, all its tasks and interrupts".to_owned(),
        u64::from(stack(&mut host)?),
    ));
    host.close()?;
    board.check()?;
    let mut above = Vec::new();
    for (what, value) in &figures {
        println!("    {what}: {value}");
        let limit = LIMITS.iter().find(|(beginning, _)| what.starts_with(beginning) && !what.contains("echo"));
        if let Some((_, limit)) = limit.filter(|(_, limit)| value > limit) {
            above.push(format!("{what} is {value}, and may be {limit}"));
        }
    }
    if above.is_empty() { Ok(format!("{} figures", figures.len())) } else { Err(above.join("; ").into()) }
}

/// A bit of everything.
fn exercise(host: &mut Connection) -> Result<(), Failure> {
    host.linktest()?;
    for variable in 1..=5 {
        question(host, variable)?;
    }
    host.request(StreamFunction::new(7, 3), &[b"\x01\x02\x41\x01R\x22\x40\x00".as_slice(), &[7; 0x4000]].concat())?;
    // Not registered: S9F5 and S1F0.
    if host.request(StreamFunction::new(1, 99), b"").is_ok() {
        return Err("S1F99 was replied to".into());
    }
    Ok(())
}

fn stack(host: &mut Connection) -> Result<u32, Failure> {
    Ok(Reader::new(&question(host, 5)?).u4()?)
}

/// Octets of text and data.
fn flash(image: &Path) -> Result<u64, Failure> {
    let output = Command::new("size").arg(image).output().map_err(|error| format!("size (binutils): {error}"))?;
    let text = String::from_utf8(output.stdout)?;
    let mut numbers = text.lines().nth(1).ok_or("size says nothing")?.split_whitespace();
    let mut next = || Ok::<u64, Failure>(numbers.next().ok_or("size says too little")?.parse()?);
    Ok(next()? + next()?)
}
