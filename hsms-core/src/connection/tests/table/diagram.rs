//! The diagram of a sheet: its rows that lead to a state, as arrows.
//!
//! The states stand below each other in the order of a connection's life. An arrow to the next one or the one before is
//! straight, one that goes back further runs along the side, and one that comes back to its own state is a loop: one for
//! each number, where the transitions are numbered. Everything is drawn in the colour of the text around, so that it suits
//! light and dark pages.

use super::Sheet;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;
use svg::Document;
use svg::node::element::{Marker, Path, Rectangle, Text, Title};

/// The states with the state of E37 that they belong to, top down.
const STATES: [(&str, &str); 5] = [
    ("Disabled", "NOT CONNECTED"),
    ("Waiting", "NOT CONNECTED"),
    ("Opening", "NOT CONNECTED"),
    ("NOT SELECTED", "CONNECTED"),
    ("SELECTED", "CONNECTED"),
];

const WIDTH: i32 = 900;
/// Lines of text are this far apart.
const LINE: i32 = 15;
/// No letter of the fonts in use is wider on average.
const LETTER: i32 = 7;
const NODE: (i32, i32) = (150, 40);
/// The middle of the states, the frames around them, and the lanes at both sides.
const MIDDLE: i32 = 335;
const FRAME: (i32, i32) = (150, 545);
const LANES: (i32, i32) = (135, 562);
/// Room above the first state of a frame, for its name, and below the last.
const FRAME_ABOVE: i32 = 30;
const FRAME_BELOW: i32 = 14;
/// Room between two loops.
const LOOP_BELOW: i32 = 14;

/// All rows that lead from one state to another; back to the same one, all of one number.
struct Arrow {
    from: usize,
    to: usize,
    /// The number of the transition, where it has one.
    row: &'static str,
    /// What makes it happen, and whether in the lenient profile and in the strict one.
    causes: Vec<(String, bool, bool)>,
}

#[derive(PartialEq, Eq)]
enum Way {
    Down,
    Up,
    Loop,
    Left,
    Right,
}

impl Arrow {
    fn way(&self) -> Way {
        match (self.from, self.to) {
            (from, to) if from == to => Way::Loop,
            (from, to) if from + 1 == to => Way::Down,
            (from, to) if from == to + 1 => Way::Up,
            (_, 0) => Way::Left,
            (from, to) => {
                assert!(from > to, "no arrow skips a state on the way down");
                Way::Right
            }
        }
    }

    /// The causes, in lines of as many letters as there is room for.
    fn lines(&self, room: i32) -> Vec<String> {
        let mut lines = Vec::new();
        let number = if self.row.is_empty() { String::new() } else { format!("{}:", self.row) };
        for (heading, profiles) in
            [(number.as_str(), (true, true)), ("lenient only:", (true, false)), ("strict only:", (false, true))]
        {
            let causes = self.causes.iter().filter(|(_, lenient, strict)| (*lenient, *strict) == profiles);
            let causes: Vec<_> = causes.map(|(cause, ..)| cause.as_str()).collect();
            if !causes.is_empty() {
                wrap(heading, &causes, room / LETTER, &mut lines);
            }
        }
        lines
    }

    fn room(&self) -> i32 {
        match self.way() {
            Way::Down => MIDDLE - 22 - FRAME.0,
            Way::Up => FRAME.1 - MIDDLE - 22,
            Way::Loop => FRAME.1 - MIDDLE - NODE.0 / 2 - 30,
            Way::Left => LANES.0 - 8,
            Way::Right => WIDTH - LANES.1 - 10,
        }
    }

    fn height(&self) -> i32 {
        i32::try_from(self.lines(self.room()).len()).expect("few") * LINE
    }
}

/// Breaks lines between causes, and inside one only where it does not fit into a line.
fn wrap(heading: &str, causes: &[&str], letters: i32, lines: &mut Vec<String>) {
    let letters = usize::try_from(letters).expect("room");
    let mut line = heading.to_string();
    let mut put = |word: &str| {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > letters {
            lines.push(core::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    };
    for (cause, left) in causes.iter().zip((0..causes.len()).rev()) {
        let cause = format!("{cause}{}", if left == 0 { "" } else { "," });
        match cause.chars().count() > letters {
            true => cause.split_inclusive("/ ").for_each(|word| put(word.trim_end())),
            false => put(&cause),
        }
    }
    lines.push(line);
}

/// The rows of `sheet` that lead somewhere, those between the same two states together.
fn arrows(sheet: &Sheet) -> Vec<Arrow> {
    let index = |state: &str| STATES.iter().position(|(name, _)| *name == state).unwrap_or_else(|| panic!("{state}"));
    let mut arrows: Vec<Arrow> = Vec::new();
    for (part, state, cause) in sheet.causes() {
        for row in cause.rows().iter().filter(|row| !row.outcome.next.is_empty()) {
            let (from, to) = (index(state), index(&row.outcome.next));
            // Many messages close for the same reason; what is not a message has a name of its own.
            let everywhere = part.profiles == (true, true);
            let mut text = match row.outcome.close.as_str() {
                "" => cause.name.to_string(),
                _ if everywhere => cause.name.to_string(),
                reason => reason.to_string(),
            };
            if row.outcome.close.is_empty() || everywhere {
                // What is not always sent stands in brackets.
                let rows = cause.rows();
                let alike = rows.iter().filter(|other| other.outcome.next == row.outcome.next);
                let answers: Vec<_> = alike.map(|row| row.outcome.answer.clone()).collect();
                match row.outcome.answer.as_str() {
                    "" if answers.iter().all(String::is_empty) => {}
                    "" => continue,
                    answer if answers.iter().all(|other| other == answer) => text += &format!(" / {answer}"),
                    answer => text += &format!(" / [{answer}]"),
                }
            }
            let number = row.outcome.row;
            let known = arrows
                .iter()
                .position(|arrow| (arrow.from, arrow.to) == (from, to) && (from != to || arrow.row == number));
            let known = known.unwrap_or_else(|| {
                arrows.push(Arrow { from, to, row: number, causes: Vec::new() });
                arrows.len() - 1
            });
            assert_eq!(arrows[known].row, number, "one number from {state} to {}", row.outcome.next);
            let causes = &mut arrows[known].causes;
            let (lenient, strict) = (part.profiles.0 && cause.profiles.0, part.profiles.1 && cause.profiles.1);
            match causes.iter_mut().find(|(own, ..)| *own == text) {
                Some((_, in_lenient, in_strict)) => {
                    (*in_lenient, *in_strict) = (*in_lenient | lenient, *in_strict | strict);
                }
                None => causes.push((text, lenient, strict)),
            }
        }
    }
    arrows.sort_by_key(|arrow| arrow.row);
    arrows
}

/// The diagram of `sheet` as SVG, without blank lines.
pub(super) fn draw(sheet: &Sheet) -> String {
    let arrows = arrows(sheet);
    let tops = tops(&arrows);
    let bottom = tops.iter().zip(0..).map(|(top, state)| top + node_height(&arrows, state)).max().unwrap_or(0);
    let beside = arrows.iter().filter(|arrow| matches!(arrow.way(), Way::Left | Way::Right));
    let height = beside.map(|arrow| tops[arrow.from] + arrow.height()).fold(bottom + FRAME_BELOW, i32::max) + 8;
    let mut document = Document::new()
        // Between the pixels lines are sharp.
        .set("viewBox", format!("-0.5 -0.5 {WIDTH} {height}"))
        .set("width", "100%")
        .set("style", format!("max-width: {WIDTH}px"))
        .set("role", "img")
        .set("fill", "none")
        .set("stroke", "currentColor")
        .set("font-family", "'Fira Sans', Arial, sans-serif")
        .set("font-size", 12)
        .add(Title::new(format!("States and transitions: {}", sheet.title)))
        .add(arrow_head(sheet));
    for group in ["NOT CONNECTED", "CONNECTED"] {
        document = frame(document, group, &arrows, &tops);
    }
    for (state, (name, _)) in STATES.iter().enumerate() {
        let (x, y) = (MIDDLE - NODE.0 / 2, tops[state]);
        let node = Rectangle::new().set("x", x).set("y", y).set("width", NODE.0);
        document = document.add(node.set("height", node_height(&arrows, state)).set("rx", 8).set("stroke-width", 1.6));
        let middle = y + node_height(&arrows, state) / 2 + 4;
        document = document.add(text(name, MIDDLE, middle, "middle").set("font-weight", "bold").set("font-size", 13));
    }
    let head = format!("url(#{})", arrow_head_name(sheet));
    for arrow in &arrows {
        let (line, labels) = draw_arrow(arrow, &arrows, &tops);
        document = labels.into_iter().fold(document.add(line.set("marker-end", head.as_str())), Document::add);
    }
    document.to_string() + "\n"
}

/// A state is as high as the causes of its loops, which stand beside it.
fn node_height(arrows: &[Arrow], state: usize) -> i32 {
    let loops = loops(arrows, state).map(|arrow| arrow.height() + LOOP_BELOW).sum::<i32>();
    NODE.1.max(loops - LOOP_BELOW + 26)
}

fn loops(arrows: &[Arrow], state: usize) -> impl Iterator<Item = &Arrow> {
    arrows.iter().filter(move |arrow| arrow.from == state && arrow.way() == Way::Loop)
}

/// Where the states begin: what is written beside and between them needs its room.
fn tops(arrows: &[Arrow]) -> Vec<i32> {
    let mut tops = Vec::from([FRAME_ABOVE + 4]);
    for state in 1..STATES.len() {
        let between =
            arrows.iter().filter(|arrow| arrow.from.min(arrow.to) + 1 == state && arrow.from.max(arrow.to) == state);
        let between = between.map(Arrow::height).max().unwrap_or(0) + 26;
        let frames = if STATES[state].1 == STATES[state - 1].1 { 0 } else { FRAME_ABOVE + FRAME_BELOW };
        let beside =
            arrows.iter().filter(|arrow| arrow.from + 1 == state && matches!(arrow.way(), Way::Left | Way::Right));
        let beside = beside.map(Arrow::height).max().unwrap_or(0) + 10;
        let former = tops[state - 1];
        let below = former + node_height(arrows, state - 1);
        tops.push((below + between + frames).max(former + beside));
    }
    tops
}

fn frame(document: Document, group: &str, arrows: &[Arrow], tops: &[i32]) -> Document {
    let mut own = (0..STATES.len()).filter(|state| STATES[*state].1 == group);
    let first = own.next().expect("every frame has a state");
    let last = own.next_back().unwrap_or(first);
    let top = tops[first] - FRAME_ABOVE;
    let bottom = tops[last] + node_height(arrows, last) + FRAME_BELOW;
    let frame = Rectangle::new().set("x", FRAME.0).set("y", top).set("width", FRAME.1 - FRAME.0).set("rx", 10);
    let frame = frame.set("height", bottom - top).set("stroke-dasharray", "5 4").set("stroke-opacity", 0.6);
    document.add(frame).add(text(group, FRAME.0 + 10, top + 17, "start").set("font-style", "italic"))
}

/// Two diagrams on one page must not name anything alike.
fn arrow_head_name(sheet: &Sheet) -> String {
    sheet.title.replace([' ', ','], "-")
}

fn arrow_head(sheet: &Sheet) -> Marker {
    let head = Path::new().set("d", "M0,0 L9,4 L0,8 z").set("fill", "currentColor").set("stroke", "none");
    let size =
        Marker::new().set("id", arrow_head_name(sheet)).set("markerWidth", 9).set("markerHeight", 8).set("refX", 9);
    size.set("refY", 4).set("orient", "auto").set("markerUnits", "userSpaceOnUse").add(head)
}

fn text(content: &str, x: i32, y: i32, anchor: &str) -> Text {
    let text = Text::new(content).set("x", x).set("y", y).set("text-anchor", anchor);
    text.set("fill", "currentColor").set("stroke", "none")
}

fn draw_arrow(arrow: &Arrow, arrows: &[Arrow], tops: &[i32]) -> (Path, Vec<Text>) {
    let (top, below) = (tops[arrow.from], tops[arrow.from] + node_height(arrows, arrow.from));
    let (to_top, to_below) = (tops[arrow.to], tops[arrow.to] + node_height(arrows, arrow.to));
    let (left, right) = (MIDDLE - NODE.0 / 2, MIDDLE + NODE.0 / 2);
    // Arrows at the side leave and arrive below the loop.
    let (leave, arrive) = (below - 11, to_below - 11);
    let (path, x, y, anchor) = match arrow.way() {
        Way::Down => {
            (format!("M{},{below} V{to_top}", MIDDLE - 12), MIDDLE - 22, below + label(below, to_top, arrow), "end")
        }
        Way::Up => (
            format!("M{},{top} V{to_below}", MIDDLE + 12),
            MIDDLE + 22,
            to_below + label(to_below, top, arrow),
            "start",
        ),
        Way::Loop => {
            let before = loops(arrows, arrow.from).take_while(|other| other.row != arrow.row);
            let top = top + before.map(|other| other.height() + LOOP_BELOW).sum::<i32>();
            let end = top + arrow.height().max(LINE) + 2;
            (format!("M{right},{} h20 V{end} H{right}", top + 6), right + 27, top + 15, "start")
        }
        Way::Left => (format!("M{left},{leave} H{} V{arrive} H{left}", LANES.0), LANES.0 - 8, top + 12, "end"),
        Way::Right => (format!("M{right},{leave} H{} V{arrive} H{right}", LANES.1), LANES.1 + 10, top + 12, "start"),
    };
    let lines = arrow.lines(arrow.room());
    let labels = lines.iter().zip(0..).map(|(line, number)| text(line, x, y + number * LINE, anchor));
    (Path::new().set("d", path), labels.collect())
}

/// How far below `above` the first line stands, so that all stand in the middle.
fn label(above: i32, below: i32, arrow: &Arrow) -> i32 {
    (below - above - arrow.height()) / 2 + 11
}
