//! The figures that have to come to something, and what they come to.

use crate::baseline::Key;
use crate::rows::{FIRMWARE, GATED_TARGETS, REACHES, Wanted};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A line on each, and what is wrong.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    pub lines: Vec<String>,
    pub wrong: Vec<String>,
}

/// Judges all of them.
pub fn judge(figures: &BTreeMap<Key, u64>) -> Judgement {
    let mut judgement = Judgement::default();
    for wanted in &REACHES {
        let missing: Vec<_> = wanted.keys().filter(|key| !figures.contains_key(key) && is_always(key)).collect();
        for (target, level, row) in missing {
            judgement.wrong.push(format!("{}: {row} was not measured for {target} at {level}", wanted.what));
        }
        match wanted.figure(figures) {
            Some(figure) => {
                let line = wanted.reach.line(wanted.what, figure);
                if !wanted.reach.allows(figure) {
                    judgement.wrong.push(line.clone());
                }
                judgement.lines.push(line);
            }
            None => judgement.lines.push(format!("{}: {ELSEWHERE}", wanted.what)),
        }
    }
    judgement
}

/// The same as a table of the page.
pub fn table(figures: &BTreeMap<Key, u64>) -> String {
    let mut text = String::from("| figure | comes to | reach |  | aim beyond |\n|---|---|---|---|---|\n");
    for wanted in &REACHES {
        let (what, reach) = (wanted.what, &wanted.reach);
        _ = match wanted.figure(figures) {
            Some(figure) => {
                writeln!(text, "| {what} | {figure} | {} | {} | {} |", reach.most, reach.verdict(figure), reach.aim)
            }
            None => writeln!(text, "| {what} | {ELSEWHERE} | {} | | {} |", reach.most, reach.aim),
        };
    }
    text
}

const ELSEWHERE: &str = "not measured here; `.ci/firmware` does";

impl Wanted {
    /// The figures that it is about.
    fn keys(&self) -> impl Iterator<Item = Key> {
        let Wanted { targets, level, row, .. } = *self;
        targets.iter().map(move |target| ((*target).to_owned(), level.to_owned(), row.to_owned()))
    }

    /// The largest of them.
    fn figure(&self, figures: &BTreeMap<Key, u64>) -> Option<u64> {
        self.keys().filter_map(|key| figures.get(&key).copied()).max()
    }
}

/// Whether it is among what is measured each time.
fn is_always((target, _, row): &Key) -> bool {
    GATED_TARGETS.contains(&target.as_str()) && !row.starts_with(FIRMWARE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::parse;
    use crate::page::PAGE_OF_REACHES;

    /// Figures that all come to exactly what they have to.
    fn reached() -> BTreeMap<Key, u64> {
        REACHES.iter().flat_map(|wanted| wanted.keys().map(|key| (key, wanted.reach.most))).collect()
    }

    #[test]
    fn every_figure_is_judged_by_itself() {
        assert_eq!(judge(&reached()).wrong, Vec::<String>::new());
        for (index, wanted) in REACHES.iter().enumerate() {
            for key in wanted.keys() {
                let mut figures = reached();
                figures.insert(key.clone(), wanted.reach.most + 1);
                let Judgement { lines, wrong } = judge(&figures);
                assert_eq!(lines.len(), REACHES.len());
                for (at, line) in lines.iter().enumerate() {
                    assert_eq!(line.contains(": NOT reached"), at == index, "{line}");
                    assert!(at == index || line.contains(": reached"), "{line}");
                }
                assert_eq!(wrong.len(), usize::from(wanted.reach.held), "{key:?}");
                let marked = table(&figures).lines().filter(|line| line.contains("| NOT reached |")).count();
                assert_eq!(marked, 1);
                figures.remove(&key);
                assert_eq!(judge(&figures).wrong.len(), usize::from(is_always(&key)), "{key:?}");
            }
        }
    }

    #[test]
    fn the_page_says_of_the_baseline_what_is_reached() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let page = std::fs::read_to_string(folder.join("../../hsms-core/docs/footprint.md")).unwrap();
        let version = page.split("Compiler: rustc ").nth(1).unwrap().split(".\n").next().unwrap();
        let baseline = folder.join(format!("baseline/{}.txt", version.replace(" with LLVM ", "-llvm")));
        let figures = parse(&std::fs::read_to_string(baseline).unwrap()).unwrap();
        let start = page.find(PAGE_OF_REACHES).expect("the page has the section") + PAGE_OF_REACHES.len();
        let table = table(&figures);
        assert!(page[start..].starts_with(&table), "bash .ci/footprint --write was not run; it is:\n{table}");
        assert!(!table.contains(ELSEWHERE), "the baseline lacks a figure");
    }
}
