//! SECS-II done again in the plainest way: a decoder and an encoder to compare that of the core with.
//!
//! Nothing of `hsms_core::secs2` takes part but the types that say what came out.

use hsms_core::secs2::Tree;
use std::ops::Range;

/// Lists around an item at most, in the reference as in the core.
pub const DEEPEST: usize = 32;

/// An item where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// Lists around it.
    pub depth: usize,
    /// Offset of its format octet.
    pub offset: usize,
    /// Its format code.
    pub code: u8,
    /// Elements of a list; of another item its octets.
    pub length: usize,
    /// Where its values lie; empty for a list.
    pub values: Range<usize>,
}

/// What is wrong with a text, and at what offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Offset of the item that is wrong, or of the first octet behind the text.
    pub offset: usize,
    /// What is wrong.
    pub what: What,
}

/// What can be wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The text ends where an item was expected.
    NoItem,
    /// The text ends inside a header.
    HeaderCutOff,
    /// So many octets are missing behind a header: exactly, and of a list at least.
    CutOff(usize),
    /// The format code is not defined.
    Undefined(u8),
    /// No length octets.
    NoLength(u8),
    /// Of this format code and length, which is no multiple of the width of a value.
    PartOfValue(u8, usize),
    /// No room for the number of an encoding.
    NoEncoding(usize),
    /// A list with elements inside as many lists as there may be.
    TooDeep,
    /// So many octets behind the item.
    Trailing(usize),
}

/// The octets that one value of a format takes; nothing for a list. `None`: no such format (E5 table 1).
#[must_use]
pub fn width(code: u8) -> Option<usize> {
    match code {
        0o00 => Some(0),
        0o10 | 0o11 | 0o20 | 0o21 | 0o22 | 0o31 | 0o51 => Some(1),
        0o32 | 0o52 => Some(2),
        0o34 | 0o44 | 0o54 => Some(4),
        0o30 | 0o40 | 0o50 => Some(8),
        _ => None,
    }
}

/// All items of a text in order, up to the fault if there is one. A text without octets has none, and is right.
#[must_use]
pub fn decode(text: &[u8]) -> (Vec<Visit>, Option<Fault>) {
    let mut visits = Vec::new();
    if text.is_empty() {
        return (visits, None);
    }
    let fault = match item(text, 0, 0, &mut visits) {
        Ok(end) if end < text.len() => Some(Fault { offset: end, what: What::Trailing(text.len() - end) }),
        Ok(_) => None,
        Err(fault) => Some(fault),
    };
    (visits, fault)
}

/// Reads the item at `offset`, and its elements; gives the offset behind it. Recurses once per list around: [`DEEPEST`] at most.
fn item(text: &[u8], offset: usize, depth: usize, visits: &mut Vec<Visit>) -> Result<usize, Fault> {
    let fault = |what| Err(Fault { offset, what });
    if offset == text.len() {
        return fault(What::NoItem);
    }
    let (code, length_octets) = (text[offset] / 4, usize::from(text[offset] % 4));
    let Some(width) = width(code) else { return fault(What::Undefined(code)) };
    if length_octets == 0 {
        return fault(What::NoLength(code));
    }
    let begin = offset + 1 + length_octets;
    if begin > text.len() {
        return fault(What::HeaderCutOff);
    }
    let mut length = 0;
    for octet in &text[offset + 1..begin] {
        length = length * 256 + usize::from(*octet);
    }
    let left = text.len() - begin;
    if code == 0 {
        // Each element has a format octet and a length octet at least.
        if 2 * length > left {
            return fault(What::CutOff(2 * length - left));
        }
        if length > 0 && depth == DEEPEST {
            return fault(What::TooDeep);
        }
        visits.push(Visit { depth, offset, code, length, values: begin..begin });
        let mut end = begin;
        for _ in 0..length {
            end = item(text, end, depth + 1, visits)?;
        }
        return Ok(end);
    }
    if length > left {
        return fault(What::CutOff(length - left));
    }
    if length % width != 0 {
        return fault(What::PartOfValue(code, length));
    }
    if code == 0o22 && length < 2 {
        return fault(What::NoEncoding(length));
    }
    visits.push(Visit { depth, offset, code, length, values: begin..begin + length });
    Ok(begin + length)
}

/// The text with as few length octets as possible, and every true as 1: what is left of it in a [`Tree`].
#[must_use]
pub fn canonical(text: &[u8], visits: &[Visit]) -> Vec<u8> {
    let mut out = Vec::new();
    for visit in visits {
        header(&mut out, visit.code, visit.length, false);
        let values = &text[visit.values.clone()];
        out.extend(values.iter().map(|octet| if visit.code == 0o11 { u8::from(*octet != 0) } else { *octet }));
    }
    out
}

/// The octets of a tree. `long` says of every list, in order, whether its header has three length octets in any case.
#[must_use]
pub fn encode(tree: &Tree, long: &mut dyn FnMut() -> bool) -> Vec<u8> {
    let mut out = Vec::new();
    encode_into(&mut out, tree, long);
    out
}

fn encode_into(out: &mut Vec<u8>, tree: &Tree, long: &mut dyn FnMut() -> bool) {
    macro_rules! numbers {
        ($code:literal, $values:expr) => {{
            let octets: Vec<u8> = $values.iter().flat_map(|value| value.to_be_bytes()).collect();
            ($code, octets)
        }};
    }
    let (code, octets) = match tree {
        Tree::List(elements) => {
            header(out, 0, elements.len(), long());
            for element in elements {
                encode_into(out, element, long);
            }
            return;
        }
        Tree::Binary(octets) => (0o10, octets.clone()),
        Tree::Boolean(values) => (0o11, values.iter().map(|value| u8::from(*value)).collect()),
        Tree::Ascii(octets) => (0o20, octets.clone()),
        Tree::Jis8(octets) => (0o21, octets.clone()),
        Tree::Localized(encoding, octets) => (0o22, [&encoding.0.to_be_bytes()[..], octets].concat()),
        Tree::I8(values) => numbers!(0o30, values),
        Tree::I1(values) => numbers!(0o31, values),
        Tree::I2(values) => numbers!(0o32, values),
        Tree::I4(values) => numbers!(0o34, values),
        Tree::F8(values) => numbers!(0o40, values),
        Tree::F4(values) => numbers!(0o44, values),
        Tree::U8(values) => numbers!(0o50, values),
        Tree::U1(values) => numbers!(0o51, values),
        Tree::U2(values) => numbers!(0o52, values),
        Tree::U4(values) => numbers!(0o54, values),
    };
    header(out, code, octets.len(), false);
    out.extend(octets);
}

fn header(out: &mut Vec<u8>, code: u8, length: usize, long: bool) {
    assert!(length < 0x100_0000, "no item is so long");
    let low = |shift: u32| u8::try_from(length >> shift & 0xFF).expect("eight bits");
    match length {
        0x1_0000.. => out.extend([code * 4 + 3, low(16), low(8), low(0)]),
        _ if long => out.extend([code * 4 + 3, 0, low(8), low(0)]),
        0x100.. => out.extend([code * 4 + 2, low(8), low(0)]),
        _ => out.extend([code * 4 + 1, low(0)]),
    }
}

/// A tree inside so many lists of one element.
#[must_use]
pub fn nested(tree: Tree, lists: usize) -> Tree {
    (0..lists).fold(tree, |inside, _| Tree::List(vec![inside]))
}

/// The tree with every NaN the one that `f64::NAN` is: SML has one name for all of them.
#[must_use]
pub fn with_one_nan(tree: Tree) -> Tree {
    match tree {
        Tree::List(elements) => Tree::List(elements.into_iter().map(with_one_nan).collect()),
        Tree::F8(values) => {
            Tree::F8(values.into_iter().map(|value| if value.is_nan() { f64::NAN } else { value }).collect())
        }
        Tree::F4(values) => {
            Tree::F4(values.into_iter().map(|value| if value.is_nan() { f32::NAN } else { value }).collect())
        }
        other => other,
    }
}
