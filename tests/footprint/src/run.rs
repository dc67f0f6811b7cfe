//! What the program with the calls says of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// Seconds after which a run is ended.
const LONGEST: &str = "120";

/// Figures of one target at one level.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// The deepest call of each group, and its octets of stack.
    pub stack: BTreeMap<String, (u64, String)>,
    /// Instructions by what they are for.
    pub instructions: BTreeMap<String, u64>,
}

impl Figures {
    /// Runs the program on one of QEMU's boards, with an instruction for each nanosecond of its time.
    pub fn of(board: &str, image: &Path) -> Result<Self, String> {
        let output = Command::new("timeout")
            .args(["--kill-after=5", LONGEST, "qemu-system-arm", "-M", board, "-nographic", "-monitor", "none"])
            .args(["-serial", "null", "-nic", "none", "-semihosting-config", "enable=on,target=native"])
            .args(["-icount", "shift=0", "-kernel"])
            .arg(image)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("timeout and qemu-system-arm cannot be started: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().last().unwrap_or_default();
            return Err(format!("{board} ended with {}: {last} {}", output.status, complaint.trim()));
        }
        Self::parse(&said).map_err(|error| format!("{board}: {error}"))
    }

    /// Takes what the program printed, every line of it.
    fn parse(said: &str) -> Result<Self, String> {
        let (mut figures, mut count, mut told) = (Figures::default(), 0, None::<usize>);
        for line in said.lines() {
            let wrong = || format!("cannot read the line \"{line}\"");
            let (kind, rest) = line.split_once(' ').ok_or_else(wrong)?;
            match kind {
                "stack" => {
                    let (group, rest) = rest.split_once(' ').ok_or_else(wrong)?;
                    let (octets, call) = rest.split_once(' ').ok_or_else(wrong)?;
                    let octets = octets.parse().map_err(|_| wrong())?;
                    let deepest = figures.stack.entry(group.to_owned()).or_default();
                    if octets > deepest.0 {
                        *deepest = (octets, call.to_owned());
                    }
                }
                "instructions" => {
                    let (number, what) = rest.split_once(' ').ok_or_else(wrong)?;
                    let number = number.parse().map_err(|_| wrong())?;
                    figures.instructions.insert(what.to_owned(), number);
                }
                "figures" => {
                    told = Some(rest.parse().map_err(|_| wrong())?);
                    continue;
                }
                _ => return Err(wrong()),
            }
            count += 1;
        }
        match told {
            Some(told) if told == count && count > 0 => Ok(figures),
            Some(told) => Err(format!("there are {count} figures, and it tells of {told}")),
            None => Err(format!("it stopped after {count} figures")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_call_of_each_group_counts() {
        let figures = Figures::parse(
            "stack machine 96 new\nstack machine 400 receive, a reply\nstack machine 300 x\nstack secs2 80 y\n\
             instructions 500 linktest answered\nfigures 5\n",
        )
        .unwrap();
        assert_eq!(figures.stack["machine"], (400, "receive, a reply".to_owned()));
        assert_eq!(figures.stack["secs2"].0, 80);
        assert_eq!(figures.instructions["linktest answered"], 500);
    }

    #[test]
    fn a_run_that_measures_less_than_it_says_is_wrong() {
        for said in
            ["", "stack machine 96 new\n", "stack machine 96 new\nfigures 2\n", "figures 0\n", "hello\n", "stack x\n"]
        {
            assert!(Figures::parse(said).is_err(), "{said:?}");
        }
    }
}
