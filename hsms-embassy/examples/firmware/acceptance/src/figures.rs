//! Flash and stack of the images.

use crate::reach::ADDED_TO_THE_ECHO;
use crate::{Bench, Failure, equipment, question, selected};
use hsms_std::core::secs2::Reader;
use hsms_std::{Connection, StreamFunction};
use std::path::Path;
use std::process::Command;

/// What may be no more than so much, each by its name. Flash is what core and adapter add to the echo, logs included.
const LIMITS: [(&str, u64); 2] = [(FLASH_ADDED, ADDED_TO_THE_ECHO.most), (STACK, 18 * 1024)];

const FLASH_ADDED: &str = "octets of flash added by core and adapter";
const STACK: &str = "octets of stack of the equipment, all its tasks and interrupts";

/// Prints them, and fails where one is above its limit.
pub fn figures(bench: &Bench<'_>) -> Result<String, Failure> {
    let (echo, reply) = (flash(&bench.image("echo"))?, flash(&bench.image("reply"))?);
    let mut board = equipment(bench, "report=20")?;
    let mut host = selected(board.address())?;
    exercise(&mut host)?;
    let figures = [
        ("octets of flash of the image with the echo", echo),
        (FLASH_ADDED, reply.checked_sub(echo).ok_or("the echo is larger than the reply")?),
        // No limit: what a piece of equipment does is its own.
        ("octets of flash of the image with the equipment and its services", flash(&bench.image("equipment"))?),
        (STACK, u64::from(stack(&mut host)?)),
    ];
    host.close()?;
    board.check()?;
    for (what, value) in figures {
        match what {
            FLASH_ADDED => println!("    {}", ADDED_TO_THE_ECHO.line(what, value)),
            _ => println!("    {what}: {value}"),
        }
    }
    let wrong = wrong(&LIMITS, &figures);
    if wrong.is_empty() { Ok(format!("{} figures", figures.len())) } else { Err(wrong.join("; ").into()) }
}

/// Figures above their limit, and limits without a figure: zero counts as none, as nothing takes nothing.
fn wrong(limits: &[(&str, u64)], figures: &[(&str, u64)]) -> Vec<String> {
    let judge = |(what, limit): &(&str, u64)| match figures.iter().find(|(figure, _)| figure == what) {
        None | Some((_, 0)) => Some(format!("{what}: not measured")),
        Some((_, value)) if value > limit => Some(format!("{what} are {value}, and may be {limit}")),
        Some(_) => None,
    };
    limits.iter().filter_map(judge).collect()
}

/// A bit of everything.
fn exercise(host: &mut Connection) -> Result<(), Failure> {
    host.linktest()?;
    for variable in 1..=6 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_a_figure_that_is_not_above_it() {
        let limits = [("flash", 10), ("stack", 10)];
        assert!(wrong(&limits, &[("flash", 10), ("stack", 1), ("more", 99)]).is_empty());
        assert_eq!(wrong(&limits, &[("flash", 11), ("stack", 1)]), ["flash are 11, and may be 10"]);
        assert_eq!(wrong(&limits, &[("flash", 1)]), ["stack: not measured"]);
        assert_eq!(wrong(&limits, &[("flash", 1), ("stack", 0)]), ["stack: not measured"]);
        assert_eq!(wrong(&limits, &[]).len(), 2);
    }
}
