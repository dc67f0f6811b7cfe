//! Figures of an earlier state of the core, one file for each compiler: lines of target, level, row and number. A row is a program, for its
//! flash in octets without memcpy and friends, or has a kind of figure in front of it: `ram/`, `stack/` or `instructions/`.

use std::collections::BTreeMap;

/// Target, level and row. RAM is the same at every level: `-`.
pub type Key = (String, String, String);

/// Growth that is let pass, in hundredths of the earlier figure.
const GROWTH: u64 = 1;

pub fn parse(text: &str) -> Result<BTreeMap<Key, u64>, String> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            let mut word = || words.next().ok_or_else(|| format!("baseline: not enough in the line \"{line}\""));
            let key = (word()?.to_owned(), word()?.to_owned(), word()?.to_owned());
            let number = word()?.parse().map_err(|_| format!("baseline: no number in the line \"{line}\""))?;
            Ok((key, number))
        })
        .collect()
}

pub fn print(figures: &BTreeMap<Key, u64>) -> String {
    let mut text = String::from("# Octets, and numbers of instructions. Made by: bash .ci/footprint --write\n");
    for ((target, level, row), number) in figures {
        text += &format!("{target} {level} {row} {number}\n");
    }
    text
}

/// What is wrong with `measured`, which need not be all that the baseline has. Of a target at a level that it has nothing of, nothing is.
pub fn compare(baseline: &BTreeMap<Key, u64>, measured: &BTreeMap<Key, u64>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (key, now) in measured {
        let name = format!("{} {} {}", key.0, key.1, key.2);
        let known = baseline.keys().any(|(target, level, _)| (target, level) == (&key.0, &key.1));
        match baseline.get(key) {
            None if !known && !baseline.is_empty() => {}
            None => wrong.push(format!("{name}: the baseline does not have it")),
            Some(before) if now * 100 > before * (100 + GROWTH) => {
                wrong.push(format!("{name}: grew by more than {GROWTH} %, from {before} to {now}"));
            }
            Some(_) => {}
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(octets: u64) -> BTreeMap<Key, u64> {
        BTreeMap::from([(("thumbv7m-none-eabi".into(), "s".into(), "both".into()), octets)])
    }

    #[test]
    fn a_row_that_is_missing_is_wrong_and_a_level_that_is_missing_is_not() {
        let mut measured = figures(12_000);
        measured.insert(("thumbv7m-none-eabi".into(), "z".into(), "both".into()), 9);
        assert!(compare(&figures(12_000), &measured).is_empty());
        measured.insert(("thumbv7m-none-eabi".into(), "s".into(), "codec".into()), 9);
        assert_eq!(compare(&figures(12_000), &measured).len(), 1);
    }

    #[test]
    fn a_baseline_reads_as_it_was_printed() {
        assert_eq!(parse(&print(&figures(12_000))), Ok(figures(12_000)));
        assert!(parse("thumbv7m-none-eabi s both").is_err());
        assert!(parse("thumbv7m-none-eabi s both many").is_err());
    }

    #[test]
    fn growth_above_one_percent_is_found() {
        assert_eq!(compare(&figures(12_000), &figures(12_120)), Vec::<String>::new());
        assert_eq!(compare(&figures(12_000), &figures(9_000)), Vec::<String>::new());
        let wrong = compare(&figures(12_000), &figures(12_121));
        assert_eq!(wrong, ["thumbv7m-none-eabi s both: grew by more than 1 %, from 12000 to 12121"]);
        assert_eq!(compare(&BTreeMap::new(), &figures(1)).len(), 1);
    }
}
