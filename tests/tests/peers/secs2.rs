//! SECS-II as secsgem decodes and encodes it, and as we do: the same values, and the same octets again.
//!
//! What secsgem 0.3.0 cannot carry, and is therefore not compared:
//!
//! - JIS-8 and localized text: refused as unsupported formats where the format is not known beforehand;
//! - F4 beyond ±3.40282e38 and F8 beyond ±1.79769e308, infinities and all, refused as invalid values; a NaN passes, and may come
//!   out as another one;
//! - that a true Boolean was another octet than 1, and how many length octets there were: it encodes the shortest form, and so
//!   do we;
//! - malformed texts: it takes a length that is no multiple of a value's width, no length octets, a text that ends inside a
//!   string, and octets behind the item;
//! - texts beyond a few kilobytes: it copies the whole text for every octet of a header, which takes quadratic time.
//!
//! An ASCII item is read as ISO 8859-1 there, octet by octet, so that all 256 octets are compared.

use crate::bodies::{hex, unhex};
use crate::process::{lines_of, python};
use hsms_core::secs2::{Encoding, Limits, Tree};
use hsms_tests::generate;
use hsms_tests::secs2::encode;
use libtest_mimic::Failed;
use proptest::arbitrary::any;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{RngSeed, TestRunner};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Command;

/// Texts each way.
const TEXTS: usize = 1_000;

/// Octets of a text at most.
const LONGEST: usize = 4_000;

/// What is in the formats that secsgem knows: 14 of 16.
const FORMATS: usize = 14;

/// Texts of ours: secsgem decodes the values that we decode, and encodes of them what we encode.
pub(crate) fn our_texts() -> Result<(), Failed> {
    let mut config = generate::config(1);
    config.rng_seed = RngSeed::Fixed(37);
    let mut runner = TestRunner::new(config);
    let trees = any::<Tree>().prop_map(carried);
    let mut texts = Vec::new();
    while texts.len() < TEXTS {
        let tree = trees.new_tree(&mut runner)?.current();
        // Every other one with length octets that are not needed.
        let long = texts.len() % 2 == 1;
        let text = encode(&tree, &mut || long);
        if text.len() <= LONGEST {
            texts.push(text);
        }
    }
    let lines = ask(texts.iter().map(|text| format!("decode {}", hex(text))).collect(), TEXTS)?;
    let mut formats = BTreeSet::new();
    for (text, line) in texts.iter().zip(&lines) {
        assert_eq!(*line, line_of(text, &mut formats)?, "{}", hex(text));
    }
    assert_eq!(formats.len(), FORMATS, "{formats:?}");
    Ok(())
}

/// Texts that secsgem encodes: we decode the values that it was given, and encode the same octets.
pub(crate) fn their_texts() -> Result<(), Failed> {
    let lines = ask(vec![format!("generate 37 {TEXTS}")], TEXTS)?;
    let mut formats = BTreeSet::new();
    for line in &lines {
        let octets = line.strip_prefix("[\"").and_then(|rest| rest.split('"').next()).ok_or("no octets")?;
        assert_eq!(*line, line_of(&unhex(octets), &mut formats)?);
    }
    assert_eq!(formats.len(), FORMATS, "{formats:?}");
    Ok(())
}

/// What is left out above is refused, still: a version that carries it is to be compared in full.
pub(crate) fn their_limits() -> Result<(), Failed> {
    let f4 = [f32::MAX, f32::INFINITY, f32::NEG_INFINITY].map(|value| Tree::F4(vec![value]));
    let f8 = [f64::MAX, f64::INFINITY, f64::NEG_INFINITY].map(|value| Tree::F8(vec![value]));
    let texts = [Tree::Jis8(b"A".to_vec()), Tree::Localized(Encoding::UTF_8, b"A".to_vec())];
    let refused: Vec<Vec<u8>> =
        texts.into_iter().chain(f4).chain(f8).map(|tree| tree.to_text()).collect::<Result<_, _>>()?;
    let lines = ask(refused.iter().map(|text| format!("decode {}", hex(text))).collect(), refused.len())?;
    for (text, line) in refused.iter().zip(&lines) {
        assert!(line.starts_with("{\"error\":\"ValueError("), "{}: {line}", hex(text));
    }
    Ok(())
}

/// The line that secsgem's driver prints of a text, made with our decoder and our encoder.
fn line_of(text: &[u8], formats: &mut BTreeSet<&'static str>) -> Result<String, Failed> {
    let tree = Tree::read(text, Limits::NONE)?;
    let mut line = format!("[\"{}\",", hex(&tree.to_text()?));
    item(&mut line, &tree, formats);
    line.push(']');
    Ok(line)
}

fn item(line: &mut String, tree: &Tree, formats: &mut BTreeSet<&'static str>) {
    let name = tree.format().sml();
    formats.insert(name);
    let _ = write!(line, "[\"{name}\"");
    let octets = |octets: &[u8]| format!("\"{}\"", if octets.is_empty() { String::new() } else { hex(octets) });
    let float = |value: f64| octets(&value.to_be_bytes());
    fn each<T: Copy, S: ToString>(values: &[T], print: impl Fn(T) -> S) -> String {
        values.iter().fold(String::new(), |all, value| all + "," + &print(*value).to_string())
    }
    let values = match tree {
        Tree::List(elements) => {
            for element in elements {
                line.push(',');
                item(line, element, formats);
            }
            String::new()
        }
        Tree::Binary(values) | Tree::Ascii(values) => format!(",{}", octets(values)),
        Tree::Jis8(_) | Tree::Localized(..) => panic!("secsgem has no {name}"),
        Tree::Boolean(values) => each(values, u8::from),
        Tree::F8(values) => each(values, float),
        Tree::F4(values) => each(values, |value| float(value.into())),
        Tree::I8(values) => each(values, |value| value),
        Tree::I1(values) => each(values, |value| value),
        Tree::I2(values) => each(values, |value| value),
        Tree::I4(values) => each(values, |value| value),
        Tree::U8(values) => each(values, |value| value),
        Tree::U1(values) => each(values, |value| value),
        Tree::U2(values) => each(values, |value| value),
        Tree::U4(values) => each(values, |value| value),
    };
    line.push_str(&values);
    line.push(']');
}

/// The tree with something else in the place of what secsgem cannot carry.
fn carried(tree: Tree) -> Tree {
    match tree {
        Tree::List(elements) => Tree::List(elements.into_iter().map(carried).collect()),
        Tree::Jis8(octets) => Tree::Ascii(octets),
        Tree::Localized(_, octets) => Tree::Binary(octets),
        Tree::F8(values) => {
            Tree::F8(values.into_iter().map(|value| if value.abs() <= 1.79769e308 { value } else { -0.5 }).collect())
        }
        Tree::F4(values) => {
            Tree::F4(values.into_iter().map(|value| if value.abs() <= 3.4028e38 { value } else { -0.5 }).collect())
        }
        other => other,
    }
}

/// What the driver answers to `commands`: `count` lines.
fn ask(commands: Vec<String>, count: usize) -> Result<Vec<String>, Failed> {
    let mut command = Command::new(python());
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/peers/secsgem_secs2.py"));
    lines_of(command, (commands.join("\n") + "\n").into_bytes(), count)
}
