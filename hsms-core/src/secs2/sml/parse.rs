//! SML into items.

use super::Sml;
use crate::secs2::{Encoding, Format, Tree};
use crate::wire::StreamFunction;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// Lists around an item at most, as where a text is printed.
const DEEPEST: usize = 32;

/// Reads what [`Sml`] prints, and what is common besides:
///
/// - counts in brackets or behind a comma, or none: `<L [2] …>`, `<L,2 …>`, `<A[3] "ABC">`; one that is there has to be right,
///   and counts elements, values, or octets; in brackets also the least and the most, or one of them: `[0..20]`, `[1..]`, `[..20]`;
/// - single quotes or double ones, and numbers for single octets between them; there are no escapes;
/// - `TRUE`, `T`, `1`, `FALSE`, `F`, `0` of BOOLEAN, in capitals or not;
/// - numbers as `10`, `0x0A` or `0b1010`;
/// - `BINARY`, `BOOL`, `ASCII`, `JIS8` for the short names, in capitals or not;
/// - `/* comments */`, and `// comments` up to the end of the line.
///
/// ```
/// use hsms_core::secs2::Tree;
///
/// let tree: Tree = "<L,2 <a 'ABC' 0x0A> // name\n <u4[2] 1 0x10>>".parse()?;
/// assert_eq!(tree, Tree::List(vec![Tree::ascii("ABC\n"), Tree::U4(vec![1, 16])]));
///
/// let error = "<L [1]\n  <U1 256>\n>".parse::<Tree>().unwrap_err();
/// assert_eq!(error.to_string(), "line 2, column 7: not a value of U1");
/// # Ok::<(), hsms_core::secs2::SmlError>(())
/// ```
impl FromStr for Tree {
    type Err = SmlError;

    fn from_str(sml: &str) -> Result<Tree, SmlError> {
        let mut scan = Scan { sml, rest: sml };
        let item = scan.item()?;
        scan.end()?;
        Ok(item)
    }
}

/// A data message as SML has it: stream and function, whether a reply is expected, and its item if there is one.
///
/// Reads `S1F3 W <…>.`: stream and function in quotes or not, the full stop may be missing. A name in front, as in
/// `AreYouThere: 'S1F1' W.`, is passed by.
///
/// ```
/// use hsms_core::secs2::{SmlMessage, Tree};
/// use hsms_core::wire::StreamFunction;
///
/// let message: SmlMessage = "S1F3 W <L [1] <U4 7>>.".parse()?;
/// assert_eq!((message.stream_function, message.reply_expected), (StreamFunction::new(1, 3), true));
/// assert_eq!(message.item, Some(Tree::List(vec![Tree::U4(vec![7])])));
/// assert_eq!(message.to_string(), "S1F3 W <L [1] <U4 7>>.");
/// # Ok::<(), hsms_core::secs2::SmlError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SmlMessage {
    /// Stream, 0 to 127, and function.
    pub stream_function: StreamFunction,
    /// The W-bit.
    pub reply_expected: bool,
    /// The item; none in a header-only message.
    pub item: Option<Tree>,
}

impl FromStr for SmlMessage {
    type Err = SmlError;

    fn from_str(sml: &str) -> Result<SmlMessage, SmlError> {
        let mut scan = Scan { sml, rest: sml };
        scan.blank()?;
        scan.name();
        scan.blank()?;
        let quote = scan.take_any(&["'", "\""]);
        let start = scan.rest;
        let stream_function =
            scan.stream_function().ok_or_else(|| scan.wrong(start, SmlErrorKind::NoStreamFunction))?;
        if let Some(quote) = quote
            && !scan.take(quote)
        {
            return Err(scan.here(SmlErrorKind::Unclosed));
        }
        scan.blank()?;
        let reply_expected = scan.take_any(&["W", "w"]).is_some();
        scan.blank()?;
        let item = if scan.rest.starts_with('<') { Some(scan.item()?) } else { None };
        scan.blank()?;
        scan.take(".");
        scan.end()?;
        Ok(SmlMessage { stream_function, reply_expected, item })
    }
}

/// As [`Sml::message`] prints it.
impl fmt::Display for SmlMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match &self.item {
            None => Vec::new(),
            Some(item) => match item.to_text() {
                Ok(text) => text,
                Err(error) => return write!(f, "{} /* {error} */", self.stream_function),
            },
        };
        Sml { message: Some((self.stream_function, self.reply_expected)), ..Sml::new(&text) }.fmt(f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for SmlMessage {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", defmt::Display2Format(self));
    }
}

/// SML that cannot be read, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SmlError {
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
    /// What is wrong there.
    pub kind: SmlErrorKind,
}

/// What is wrong with SML.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SmlErrorKind {
    /// An item was expected: `<`.
    NoItem,
    /// The name behind `<` is none of a format.
    UnknownFormat,
    /// A count in brackets that is no number, or is not closed, or whose least is above its most.
    BadCount,
    /// The count in brackets is not that of the item.
    OtherCount {
        /// The count that is there.
        said: usize,
        /// Elements, values, or octets of the item.
        found: usize,
    },
    /// The item has fewer or more than the range in brackets allows.
    CountOutside {
        /// The least, 0 where none is there.
        least: usize,
        /// The most, if one is there.
        most: Option<usize>,
        /// Elements, values, or octets of the item.
        found: usize,
    },
    /// Neither a value of the item, nor its end.
    NotAValue {
        /// What the item is.
        format: Format,
    },
    /// A localized text has to begin with the number of its encoding, 0 to 65,535.
    NoEncoding,
    /// A character beyond ASCII, where the encoding is not UTF-8.
    NotAscii,
    /// A quote or a comment that begins here does not end.
    Unclosed,
    /// An item inside too many lists.
    TooDeep {
        /// How many are allowed.
        limit: usize,
    },
    /// Stream and function were expected: `S1F1`, the stream at most 127.
    NoStreamFunction,
    /// Something behind the end.
    Trailing,
}

impl fmt::Display for SmlErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SmlErrorKind::NoItem => f.write_str("an item was expected: <"),
            SmlErrorKind::UnknownFormat => f.write_str("not the name of a format"),
            SmlErrorKind::BadCount => f.write_str("a count was expected, closed if it is in brackets"),
            SmlErrorKind::OtherCount { said, found } => write!(f, "the count is {said}, and the item has {found}"),
            SmlErrorKind::CountOutside { least, most: Some(most), found } => {
                write!(f, "the count is {least} to {most}, and the item has {found}")
            }
            SmlErrorKind::CountOutside { least, most: None, found } => {
                write!(f, "the count is {least} or more, and the item has {found}")
            }
            SmlErrorKind::NotAValue { format } => write!(f, "not a value of {format}"),
            SmlErrorKind::NoEncoding => f.write_str("the number of an encoding was expected, 0 to 65535"),
            SmlErrorKind::NotAscii => f.write_str("a character beyond ASCII"),
            SmlErrorKind::Unclosed => f.write_str("a quote or a comment is not closed"),
            SmlErrorKind::TooDeep { limit } => write!(f, "lists nested deeper than {limit}"),
            SmlErrorKind::NoStreamFunction => f.write_str("stream and function were expected, as in S1F1"),
            SmlErrorKind::Trailing => f.write_str("something behind the end"),
        }
    }
}

impl fmt::Display for SmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.kind)
    }
}

impl core::error::Error for SmlError {}

/// What is left of some SML.
struct Scan<'s> {
    sml: &'s str,
    rest: &'s str,
}

/// A list that has not ended.
struct Open<'s> {
    start: &'s str,
    said: Option<Said>,
    elements: Vec<Tree>,
}

/// What a count in SML says.
#[derive(Clone, Copy)]
enum Said {
    Exactly(usize),
    Range { least: usize, most: Option<usize> },
}

impl<'s> Scan<'s> {
    fn item(&mut self) -> Result<Tree, SmlError> {
        let mut open: Vec<Open<'s>> = Vec::new();
        loop {
            self.blank()?;
            let start = self.rest;
            let whole = if let Some(list) = open.pop_if(|_| self.rest.starts_with('>')) {
                self.take(">");
                self.check_count(list.start, list.said, list.elements.len())?;
                Tree::List(list.elements)
            } else {
                if !self.take("<") {
                    return Err(self.here(SmlErrorKind::NoItem));
                }
                if open.len() > DEEPEST {
                    return Err(self.wrong(start, SmlErrorKind::TooDeep { limit: DEEPEST }));
                }
                let format = self.format()?;
                let said = self.count()?;
                if format == Format::List {
                    open.push(Open { start, said, elements: Vec::new() });
                    continue;
                }
                let item = self.values(format)?;
                self.check_count(start, said, item.len())?;
                item
            };
            match open.last_mut() {
                Some(list) => list.elements.push(whole),
                None => return Ok(whole),
            }
        }
    }

    fn format(&mut self) -> Result<Format, SmlError> {
        const ALSO: [(&str, Format); 4] =
            [("BINARY", Format::Binary), ("BOOL", Format::Boolean), ("ASCII", Format::Ascii), ("JIS8", Format::Jis8)];
        self.blank()?;
        let start = self.rest;
        let name = self.take_while(|character| character.is_ascii_alphanumeric());
        let names = Format::ALL.iter().map(|format| (format.sml(), *format)).chain(ALSO);
        let mut formats = names.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, format)| format);
        formats.next().ok_or_else(|| self.wrong(start, SmlErrorKind::UnknownFormat))
    }

    fn count(&mut self) -> Result<Option<Said>, SmlError> {
        self.blank()?;
        let start = self.rest;
        let Some(begin) = self.take_any(&["[", ","]) else { return Ok(None) };
        let first = self.number()?;
        let said = if begin == "[" && self.take("..") {
            let most = self.number()?;
            match (first, most) {
                (None, None) => None,
                (least, Some(most)) if least.unwrap_or(0) > most => None,
                (least, most) => Some(Said::Range { least: least.unwrap_or(0), most }),
            }
        } else {
            first.map(Said::Exactly)
        };
        if said.is_some() && (begin == "," || self.take("]")) {
            return Ok(said);
        }
        Err(self.wrong(start, SmlErrorKind::BadCount))
    }

    /// A number, if one comes, between blanks.
    fn number(&mut self) -> Result<Option<usize>, SmlError> {
        self.blank()?;
        let start = self.rest;
        let number = match self.take_while(|character| character.is_ascii_digit()) {
            "" => None,
            digits => Some(digits.parse().map_err(|_| self.wrong(start, SmlErrorKind::BadCount))?),
        };
        self.blank()?;
        Ok(number)
    }

    fn check_count(&self, start: &'s str, said: Option<Said>, found: usize) -> Result<(), SmlError> {
        match said {
            Some(Said::Exactly(said)) if said != found => {
                Err(self.wrong(start, SmlErrorKind::OtherCount { said, found }))
            }
            Some(Said::Range { least, most }) if found < least || most.is_some_and(|most| found > most) => {
                Err(self.wrong(start, SmlErrorKind::CountOutside { least, most, found }))
            }
            _ => Ok(()),
        }
    }

    /// The values of an item that is no list, and its end.
    fn values(&mut self, format: Format) -> Result<Tree, SmlError> {
        Ok(match format {
            Format::List => Tree::List(Vec::new()),
            Format::Binary => Tree::Binary(self.each(format, whole)?),
            Format::Boolean => Tree::Boolean(self.each(format, boolean)?),
            Format::Ascii => Tree::Ascii(self.text(format, Encoding::ISO_646)?),
            Format::Jis8 => Tree::Jis8(self.text(format, Encoding::ISO_646)?),
            Format::Localized => {
                self.blank()?;
                let start = self.rest;
                let encoding = whole(self.word()).ok_or_else(|| self.wrong(start, SmlErrorKind::NoEncoding))?;
                Tree::Localized(Encoding(encoding), self.text(format, Encoding(encoding))?)
            }
            Format::I8 => Tree::I8(self.each(format, whole)?),
            Format::I1 => Tree::I1(self.each(format, whole)?),
            Format::I2 => Tree::I2(self.each(format, whole)?),
            Format::I4 => Tree::I4(self.each(format, whole)?),
            Format::F8 => Tree::F8(self.each(format, |word| word.parse().ok())?),
            Format::F4 => Tree::F4(self.each(format, |word| word.parse().ok())?),
            Format::U8 => Tree::U8(self.each(format, whole)?),
            Format::U1 => Tree::U1(self.each(format, whole)?),
            Format::U2 => Tree::U2(self.each(format, whole)?),
            Format::U4 => Tree::U4(self.each(format, whole)?),
        })
    }

    fn each<T>(&mut self, format: Format, value: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, SmlError> {
        let mut values = Vec::new();
        loop {
            self.blank()?;
            if self.take(">") {
                return Ok(values);
            }
            let start = self.rest;
            let value = value(self.word());
            values.push(value.ok_or_else(|| self.wrong(start, SmlErrorKind::NotAValue { format }))?);
        }
    }

    /// Quoted text and numbers for single octets, and the end of the item.
    fn text(&mut self, format: Format, encoding: Encoding) -> Result<Vec<u8>, SmlError> {
        let mut octets = Vec::new();
        loop {
            self.blank()?;
            if self.take(">") {
                return Ok(octets);
            }
            let start = self.rest;
            let Some(quote) = self.take_any(&["\"", "'"]) else {
                let octet = whole(self.word());
                octets.push(octet.ok_or_else(|| self.wrong(start, SmlErrorKind::NotAValue { format }))?);
                continue;
            };
            let inside = self.rest;
            let (text, behind) = inside.split_once(quote).ok_or_else(|| self.wrong(start, SmlErrorKind::Unclosed))?;
            if encoding != Encoding::UTF_8
                && let Some(at) = text.find(|character: char| !character.is_ascii())
            {
                return Err(self.wrong(inside.get(at..).unwrap_or(inside), SmlErrorKind::NotAscii));
            }
            octets.extend_from_slice(text.as_bytes());
            self.rest = behind;
        }
    }

    /// Passes by the name of a message and its colon.
    fn name(&mut self) {
        let before = self.rest;
        self.take_while(|character| character.is_alphanumeric() || "_- ".contains(character));
        if !self.take(":") {
            self.rest = before;
        }
    }

    fn stream_function(&mut self) -> Option<StreamFunction> {
        self.take_any(&["S", "s"])?;
        let stream =
            self.take_while(|character| character.is_ascii_digit()).parse().ok().filter(|stream| *stream < 128)?;
        self.take_any(&["F", "f"])?;
        let function = self.take_while(|character| character.is_ascii_digit()).parse().ok()?;
        Some(StreamFunction::new(stream, function))
    }

    fn end(&mut self) -> Result<(), SmlError> {
        self.blank()?;
        if self.rest.is_empty() { Ok(()) } else { Err(self.here(SmlErrorKind::Trailing)) }
    }

    /// Passes by white space and comments.
    fn blank(&mut self) -> Result<(), SmlError> {
        loop {
            self.rest = self.rest.trim_start();
            let start = self.rest;
            if self.take("/*") {
                let (_, behind) =
                    self.rest.split_once("*/").ok_or_else(|| self.wrong(start, SmlErrorKind::Unclosed))?;
                self.rest = behind;
            } else if self.take("//") {
                self.rest = self.rest.split_once('\n').map_or("", |(_, behind)| behind);
            } else {
                return Ok(());
            }
        }
    }

    /// A number or a name: up to white space, a bracket, a quote or a comment.
    fn word(&mut self) -> &'s str {
        self.take_while(|character| !character.is_whitespace() && !"<>\"'/".contains(character))
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'s str {
        let end = self.rest.find(|character| !wanted(character)).unwrap_or(self.rest.len());
        let (taken, behind) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = behind;
        taken
    }

    fn take(&mut self, wanted: &str) -> bool {
        let behind = self.rest.strip_prefix(wanted);
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }

    fn take_any(&mut self, wanted: &[&'static str]) -> Option<&'static str> {
        wanted.iter().copied().find(|wanted| self.take(wanted))
    }

    fn here(&self, kind: SmlErrorKind) -> SmlError {
        self.wrong(self.rest, kind)
    }

    /// An error where `at` begins, which is what was left once.
    fn wrong(&self, at: &str, kind: SmlErrorKind) -> SmlError {
        let before = self.sml.get(..self.sml.len().saturating_sub(at.len())).unwrap_or_default();
        let line = before.rsplit_once('\n').map_or(before, |(_, line)| line);
        SmlError {
            line: before.matches('\n').count().saturating_add(1),
            column: line.chars().count().saturating_add(1),
            kind,
        }
    }
}

/// A whole number, with the base that its front tells.
fn whole<T: TryFrom<i128>>(word: &str) -> Option<T> {
    let (digits, base) = match word.split_at_checked(2) {
        Some(("0x" | "0X", digits)) => (digits, 16),
        Some(("0b" | "0B", digits)) => (digits, 2),
        _ => (word, 10),
    };
    // A sign behind the base is none that anyone writes.
    if base != 10 && !digits.starts_with(|character: char| character.is_ascii_hexdigit()) {
        return None;
    }
    T::try_from(i128::from_str_radix(digits, base).ok()?).ok()
}

fn boolean(word: &str) -> Option<bool> {
    let is = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(word));
    if is(&["TRUE", "T", "1", "0x01"]) {
        Some(true)
    } else if is(&["FALSE", "F", "0", "0x00"]) {
        Some(false)
    } else {
        None
    }
}
