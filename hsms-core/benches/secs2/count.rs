//! Instructions, counted by callgrind.

use crate::Failure;
use crate::contenders::{Group, Limit, Run, Unit};
use crate::data::Data;
use std::hint::black_box;
use std::process::Command;

/// Calls per run. Both have to give the same figure per call.
const COUNTS: [u64; 2] = [20, 40];

/// Prints them. Gives whose ratio to the first contender of their group is over the limit.
pub(crate) fn instructions(groups: &[Group], required: bool) -> Result<Vec<String>, Failure> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        let told = "valgrind is not installed: no instructions are counted";
        if required {
            return Err(Failure::Valgrind(told.into()));
        }
        println!("\n{told}");
        return Ok(Vec::new());
    }
    println!("\ninstructions per item, and their ratio");
    let mut over = Vec::new();
    for group in groups {
        let Unit::Items(items) = group.unit else { continue };
        let mut first = None;
        for contender in &group.contenders {
            let name = format!("{}: {}", group.name, contender.name);
            let [few, many] = COUNTS;
            let (once, again) = (collected(&name, few)?, collected(&name, many)?);
            if (once - again).abs() > once * 0.01 + 0.5 {
                return Err(Failure::Unsound(format!("{name}: {once} a call in {few} calls, {again} in {many}")));
            }
            let ratio = again / *first.get_or_insert(again);
            println!("  {name:<60} {:>7.1} {ratio:>6.2}", again / f64::from(items));
            if matches!(contender.limit, Some(Limit::Time { ratio: limit, .. }) if ratio > limit) {
                over.push(name);
            }
        }
    }
    Ok(over)
}

/// Instructions per call.
fn collected(name: &str, count: u64) -> Result<f64, Failure> {
    let program = std::env::current_exe().map_err(|error| Failure::Valgrind(error.to_string()))?;
    // What was planted here is planted there.
    let planted = std::env::args().skip_while(|argument| argument != "--plant").take(2);
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*measured_call*"])
        .arg(program)
        .args(["--scenario", name, "--count", &count.to_string()])
        .args(planted)
        .output()
        .map_err(|error| Failure::Valgrind(error.to_string()))?;
    let told = String::from_utf8_lossy(&output.stderr);
    let collected = told
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, number)| number.trim().parse::<f64>().ok())
        .filter(|collected| *collected > 0.0);
    match collected {
        Some(collected) if output.status.success() => Ok(collected / count as f64),
        _ => Err(Failure::Valgrind(format!("{name} {}: {told}", output.status))),
    }
}

pub(crate) fn scenario(groups: &[Group], data: &mut Data, name: &str, count: u64) -> Result<(), Failure> {
    let contenders = groups.iter().flat_map(|group| group.contenders.iter().map(move |contender| (group, contender)));
    let found = contenders.into_iter().find(|(group, contender)| name == format!("{}: {}", group.name, contender.name));
    let Some((group, contender)) = found else { return Err(Failure::Wrong(name.into())) };
    for _ in 0..count {
        if measured_call(contender.run, data) != Some(group.expected) {
            return Err(Failure::Wrong(name.into()));
        }
    }
    Ok(())
}

#[inline(never)]
fn measured_call(run: Run, data: &mut Data) -> Option<u64> {
    black_box(run(black_box(data)))
}
