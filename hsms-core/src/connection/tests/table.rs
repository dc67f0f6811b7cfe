//! The state table as data: every state times every cause, refusals included, as text that reviewers read, and the
//! diagrams made of the same rows.
//!
//! `ss` asks the functions of `transition`, and its neighbour `general` those of the machine's `general`, over everything
//! that they can be asked; this file merges the cells that do not differ into rows, and prints them; `diagram` draws. Nothing here knows which of the two
//! standards a [`Sheet`] is about.
//!
//! `SNAPSHOTS=overwrite cargo test -p hsms-core --lib table` writes `docs/states/*.txt` and the diagrams in
//! `docs/states.md` anew.

mod diagram;
mod general;
mod ss;

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

/// A property that the outcome of a cause may depend on.
#[derive(Debug)]
struct Axis {
    /// What each of its values is called.
    values: &'static [&'static str],
    /// What all the others are called, for those where that is shorter.
    others: &'static [Option<&'static str>],
}

impl Axis {
    const fn new(values: &'static [&'static str]) -> Self {
        Axis { values, others: &[] }
    }
}

/// One value of each axis of a cause.
#[derive(Debug, Clone, Copy)]
struct Point<'a> {
    axes: &'a [&'static Axis],
    at: &'a [usize],
}

impl Point<'_> {
    /// The value of `axis`: the first where this cause does not have that axis.
    fn get(&self, axis: &'static Axis) -> usize {
        let found = self.axes.iter().zip(self.at).find(|(own, _)| core::ptr::eq(**own, axis));
        found.map_or(0, |(_, value)| *value)
    }
}

/// What comes of a cause. Each field is a column; an empty one is printed as a dash.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Outcome {
    /// What a received message counts as, or with what a call is refused.
    class: String,
    /// What is sent.
    answer: String,
    /// What becomes of an open transaction or timer.
    report: String,
    leniency: String,
    /// The state that follows; empty where it stays.
    next: String,
    /// Why the connection is closed.
    close: String,
    /// The number of the transition, for standards that number them; stands behind the next state.
    row: &'static str,
}

/// What the table has to say about one point.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cell {
    Outcome(Outcome),
    /// The machine never asks this, for this reason.
    Never(&'static str),
}

/// One cause in one state, with all its cells.
#[derive(Debug)]
struct Cause {
    name: &'static str,
    axes: Vec<&'static Axis>,
    /// The last axis varies fastest.
    cells: Vec<Cell>,
    /// Whether it can be in the lenient profile, and in the strict one.
    profiles: (bool, bool),
}

impl Cause {
    fn new(name: &'static str, axes: &[&'static Axis], cell: impl Fn(Point<'_>) -> Cell) -> Self {
        let cells = points(axes).iter().map(|at| cell(Point { axes, at })).collect();
        Cause { name, axes: axes.to_vec(), cells, profiles: (true, true) }
    }

    /// A cause that the strict profile does not know.
    fn lenient_profile(self) -> Self {
        Cause { profiles: (true, false), ..self }
    }

    fn profile(&self) -> Option<&'static str> {
        (self.profiles == (true, false)).then_some("lenient profile")
    }

    /// Every point with its cell.
    fn points(&self) -> impl Iterator<Item = (Vec<usize>, &Cell)> {
        points(&self.axes).into_iter().zip(&self.cells)
    }

    /// As few rows as the order of the axes allows. A cell that is never asked for fits into any row.
    fn rows(&self) -> Vec<Row> {
        let cells: Vec<_> = self
            .cells
            .iter()
            .map(|cell| match cell {
                Cell::Outcome(outcome) => Some(outcome),
                Cell::Never(_) => None,
            })
            .collect();
        let mut rows = Vec::new();
        merge(&self.axes, &mut Vec::new(), &cells, &mut rows);
        rows
    }

    /// The conditions of `row` in words.
    fn when(&self, row: &Row) -> String {
        let mut words = Vec::from_iter(self.profile().map(String::from));
        for (axis, condition) in self.axes.iter().zip(&row.conditions) {
            let Some(condition) = condition else { continue };
            let others: Vec<_> = condition.possible.iter().filter(|value| !condition.values.contains(value)).collect();
            let without = match others.as_slice() {
                [other] if condition.values.len() > 1 => axis.others.get(**other).copied().flatten(),
                _ => None,
            };
            let values = || match others.as_slice() {
                [one, two] if condition.values.len() > 3 => {
                    format!("neither {} nor {}", axis.values[**one], axis.values[**two])
                }
                _ => condition.values.iter().map(|value| axis.values[*value]).collect::<Vec<_>>().join(" or "),
            };
            words.push(without.map_or_else(values, String::from));
        }
        words.join(", ")
    }
}

/// Every point of `axes`.
fn points(axes: &[&'static Axis]) -> Vec<Vec<usize>> {
    axes.iter().fold(Vec::from([Vec::new()]), |points, axis| {
        let further = |point: &Vec<usize>, value| point.iter().copied().chain([value]).collect();
        points.iter().flat_map(|point| (0..axis.values.len()).map(move |value| further(point, value))).collect()
    })
}

/// Cells that do not differ.
#[derive(Debug)]
struct Row {
    /// For each axis; `None` where it does not matter.
    conditions: Vec<Option<Condition>>,
    outcome: Outcome,
}

#[derive(Debug, Clone)]
struct Condition {
    values: Vec<usize>,
    /// The values that can be, given the conditions on the axes before.
    possible: Vec<usize>,
}

impl Row {
    fn covers(&self, point: &[usize]) -> bool {
        let mut axes = self.conditions.iter().zip(point);
        axes.all(|(condition, value)| condition.as_ref().is_none_or(|condition| condition.values.contains(value)))
    }
}

/// Splits `cells`, those behind `conditions`, along the next axis on which they depend.
fn merge(
    axes: &[&'static Axis],
    conditions: &mut Vec<Option<Condition>>,
    cells: &[Option<&Outcome>],
    rows: &mut Vec<Row>,
) {
    let mut known = cells.iter().flatten();
    let Some(first) = known.next() else { return };
    if known.all(|outcome| outcome == first) {
        let mut conditions = conditions.clone();
        conditions.resize(axes.len(), None);
        return rows.push(Row { conditions, outcome: (*first).clone() });
    }
    let axis = axes[conditions.len()];
    let mut groups: Vec<(Vec<usize>, Vec<Option<&Outcome>>)> = Vec::new();
    for (value, part) in cells.chunks(cells.len() / axis.values.len()).enumerate() {
        if part.iter().all(Option::is_none) {
            continue;
        }
        let alike = |merged: &[Option<&Outcome>]| {
            merged.iter().zip(part).all(|(own, new)| own.is_none() || new.is_none() || own == new)
        };
        match groups.iter_mut().find(|(_, merged)| alike(merged)) {
            Some((values, merged)) => {
                values.push(value);
                merged.iter_mut().zip(part).for_each(|(own, new)| *own = own.or(*new));
            }
            None => groups.push((Vec::from([value]), part.to_vec())),
        }
    }
    let mut possible: Vec<_> = groups.iter().flat_map(|(values, _)| values.iter().copied()).collect();
    possible.sort_unstable();
    let splits = groups.len() > 1;
    for (values, part) in groups {
        conditions.push(splits.then(|| Condition { values, possible: possible.clone() }));
        merge(axes, conditions, &part, rows);
        conditions.pop();
    }
}

/// All that can happen in one state.
#[derive(Debug)]
struct Block {
    state: &'static str,
    causes: Vec<Cause>,
}

/// The states under one heading.
#[derive(Debug)]
struct Part {
    heading: &'static str,
    /// Whether this holds for the lenient profile, and for the strict one.
    profiles: (bool, bool),
    blocks: Vec<Block>,
}

/// The table of one kind of connection.
#[derive(Debug)]
struct Sheet {
    title: &'static str,
    parts: Vec<Part>,
}

const COLUMNS: [&str; 8] =
    ["cause", "when", "class or refusal", "sent", "transaction or timer", "leniency", "next", "close reason"];

impl Sheet {
    fn causes(&self) -> impl Iterator<Item = (&Part, &'static str, &Cause)> {
        self.parts
            .iter()
            .flat_map(|part| part.blocks.iter().map(move |block| (part, block)))
            .flat_map(|(part, block)| block.causes.iter().map(move |cause| (part, block.state, cause)))
    }

    /// The table as text.
    fn print(&self) -> String {
        let mut text = format!("{}\n{}\n", self.title, "#".repeat(self.title.chars().count()));
        for part in &self.parts {
            align(&part.lines(), &mut text);
        }
        text + "\nMade by: SNAPSHOTS=overwrite cargo test -p hsms-core --lib table\n"
    }
}

impl Part {
    /// Rows as columns, and other lines as they are.
    fn lines(&self) -> Vec<Result<[String; 8], String>> {
        let mut lines = Vec::from([Err(format!("\n{}\n{}", self.heading, "=".repeat(self.heading.chars().count())))]);
        for block in &self.blocks {
            lines.push(Err(format!("\n{}", block.state)));
            if let Some(reason) = absent(block) {
                lines.push(Err(format!("cannot be: {reason}")));
                continue;
            }
            lines.push(Ok(COLUMNS.map(String::from)));
            lines.extend(block.causes.iter().flat_map(print_cause));
        }
        let reasons = never(self);
        if !reasons.is_empty() {
            lines.push(Err("\nNever asked for in the rows above, and therefore not told apart there:".to_string()));
            lines.extend(reasons.into_iter().map(|(reason, cells)| Err(format!("- {reason} ({cells} cells)"))));
        }
        lines
    }
}

fn align(lines: &[Result<[String; 8], String>], text: &mut String) {
    let width = |column: usize| lines.iter().flatten().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..COLUMNS.len()).map(width).collect();
    for line in lines {
        match line {
            Ok(columns) => {
                let padded = columns.iter().zip(&widths).map(|(column, width)| format!("{column:width$}"));
                *text += padded.collect::<Vec<_>>().join("  ").trim_end();
            }
            Err(line) => *text += line,
        }
        text.push('\n');
    }
}

/// Why nothing can happen in a state, where that is so for all causes.
fn absent(block: &Block) -> Option<&'static str> {
    let mut cells = block.causes.iter().flat_map(|cause| &cause.cells);
    match cells.next() {
        Some(first @ Cell::Never(reason)) if cells.all(|cell| cell == first) => Some(reason),
        _ => None,
    }
}

fn print_cause(cause: &Cause) -> Vec<Result<[String; 8], String>> {
    let rows = cause.rows();
    if let (true, Some(Cell::Never(reason))) = (rows.is_empty(), cause.cells.first()) {
        return Vec::from([Err(format!("{}: cannot be: {reason}", cause.name))]);
    }
    let print = |row: &Row| {
        let Outcome { class, answer, report, leniency, next, close, row: number } = row.outcome.clone();
        let next = if number.is_empty() { next } else { format!("{next} ({number})") };
        let or = |text: String, empty: &str| if text.is_empty() { empty.to_string() } else { text };
        let rest = [cause.when(row), class, answer, report, leniency].map(|text| or(text, "-"));
        let [when, class, answer, report, leniency] = rest;
        [cause.name.to_string(), when, class, answer, report, leniency, or(next, "stays"), or(close, "-")]
    };
    rows.iter().map(|row| Ok(print(row))).collect()
}

/// Why cells of causes that have rows are never asked for, with how many there are.
fn never(part: &Part) -> Vec<(&'static str, usize)> {
    let mut reasons: Vec<(&'static str, usize)> = Vec::new();
    let causes = part.blocks.iter().flat_map(|block| &block.causes);
    for cause in causes.filter(|cause| !cause.rows().is_empty()) {
        for cell in &cause.cells {
            let Cell::Never(reason) = cell else { continue };
            match reasons.iter_mut().find(|(known, _)| known == reason) {
                Some((_, cells)) => *cells += 1,
                None => reasons.push((reason, 1)),
            }
        }
    }
    reasons
}

#[test]
fn every_cell_has_exactly_one_row_and_the_row_says_what_the_cell_says() {
    for sheet in ss::sheets().into_iter().chain([general::sheet()]) {
        let (mut cells, mut rows) = (0, 0);
        for (part, state, cause) in sheet.causes() {
            let merged = cause.rows();
            rows += merged.len();
            for (point, cell) in cause.points() {
                let Cell::Outcome(outcome) = cell else { continue };
                cells += 1;
                let here = format!("{}, {state}, {}, {point:?}", part.heading, cause.name);
                let mut covering = merged.iter().filter(|row| row.covers(&point));
                let row = covering.next().unwrap_or_else(|| panic!("no row: {here}"));
                assert_eq!(&row.outcome, outcome, "{here}");
                assert!(covering.next().is_none(), "two rows: {here}");
            }
            // A cause is either asked for, or not at all for one reason that is printed.
            assert!(!merged.is_empty() || cause.cells.iter().all(|cell| *cell == cause.cells[0]), "{}", cause.name);
        }
        std::println!("{}: {cells} cells in {rows} rows", sheet.title);
        assert!(rows > 0 && cells > rows);
    }
}

#[test]
fn no_two_rows_of_a_state_read_alike() {
    for sheet in ss::sheets().into_iter().chain([general::sheet()]) {
        for part in &sheet.parts {
            for block in &part.blocks {
                let mut seen: Vec<(&str, String)> = Vec::new();
                for cause in &block.causes {
                    for row in cause.rows() {
                        let key = (cause.name, cause.when(&row));
                        assert!(!seen.contains(&key), "{}, {}: {key:?}", part.heading, block.state);
                        seen.push(key);
                    }
                }
            }
        }
    }
}

#[test]
fn the_tables_are_those_in_the_docs() {
    let [active, passive, second] = ss::sheets();
    snapbox::assert_data_eq!(active.print(), snapbox::file!["../../../docs/states/active.txt"]);
    snapbox::assert_data_eq!(passive.print(), snapbox::file!["../../../docs/states/passive.txt"]);
    snapbox::assert_data_eq!(second.print(), snapbox::file!["../../../docs/states/second-caller.txt"]);
    snapbox::assert_data_eq!(general::sheet().print(), snapbox::file!["../../../docs/states/general.txt"]);
}

/// The page is written by hand, except for what stands between the lines that name a diagram.
#[test]
fn the_diagrams_are_those_in_the_docs() {
    let [active, passive, _] = ss::sheets();
    let page = include_str!("../../../docs/states.md");
    let page = replace(page, "active", &diagram::draw(&active));
    let page = replace(&page, "passive", &diagram::draw(&passive));
    let page = replace(&page, "general", &diagram::draw(&general::sheet()));
    snapbox::assert_data_eq!(page, snapbox::file!["../../../docs/states.md"]);
}

/// `page` with `drawing` between the two lines that name it.
fn replace(page: &str, name: &str, drawing: &str) -> String {
    let (begin, end) = (format!("<!-- diagram {name} -->\n"), format!("<!-- end of diagram {name} -->\n"));
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no {end}"));
    // A blank line would end the HTML block that the drawing is.
    assert!(!drawing.lines().any(|line| line.trim().is_empty()));
    format!("{before}{begin}{drawing}{end}{after}")
}
