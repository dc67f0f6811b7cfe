//! Texts for people.

#[cfg(feature = "alloc")]
mod parse;

use super::{Error, Item, Localized, Value, Values, Walk};
use crate::wire::{Message, StreamFunction};
use core::fmt::{self, Write};

#[cfg(feature = "alloc")]
pub use parse::{SmlError, SmlErrorKind, SmlMessage};

/// Prints a text as SML, without memory of its own: on one line, or with `{:#}` on a line for each item.
///
/// Text stands in quotes, octets that are not printable ASCII as `0x0A` between them, and a localized text behind the number
/// of its encoding. A text that is malformed, or nested more than 32 deep, is printed as far as it is good; then comes a
/// comment that says what is wrong.
///
/// What is printed can be parsed again and gives the same items, with two exceptions: every NaN becomes the one NaN that is printed,
/// and a boolean octet other than 0 becomes 1.
///
/// ```
/// use hsms_core::secs2::Sml;
///
/// let text = b"\x01\x03\x41\x04AB\nC\x01\x01\xa9\x04\0\x01\0\x02\x25\x01\x01";
/// assert_eq!(Sml::new(text).to_string(), r#"<L [3] <A "AB" 0x0A "C"> <L [1] <U2 1 2>> <BOOLEAN TRUE>>"#);
/// assert_eq!(Sml::new(text).limited(12).to_string(), r#"<L [3] <A "A…"#);
/// assert_eq!(
///     format!("{:#}", Sml::new(text)),
///     r#"<L [3]
///   <A "AB" 0x0A "C">
///   <L [1]
///     <U2 1 2>
///   >
///   <BOOLEAN TRUE>
/// >"#
/// );
/// assert_eq!(
///     Sml::new(&text[..10]).to_string(),
///     r#"<L [3] <A "AB" 0x0A "C"> <L [1] /* at offset 10: the text ends where an item was expected */"#
/// );
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sml<'a> {
    text: &'a [u8],
    /// Stream, function and W-bit of the message around the text.
    message: Option<(StreamFunction, bool)>,
    limit: usize,
}

impl<'a> Sml<'a> {
    /// Prints `text`.
    #[must_use]
    pub const fn new(text: &'a [u8]) -> Self {
        Sml { text, message: None, limit: usize::MAX }
    }

    /// Prints a data message: stream and function, `W` where a reply is expected, the text, and a full stop.
    ///
    /// ```
    /// use hsms_core::secs2::Sml;
    /// use hsms_core::wire::{Header, Message, SessionId, StreamFunction, SystemBytes};
    ///
    /// let header = Header::data(SystemBytes(1), StreamFunction::new(1, 3), true, SessionId(0));
    /// assert_eq!(Sml::message(&Message::new(header, b"\x01\x00")).to_string(), "S1F3 W <L [0]>.");
    /// assert_eq!(Sml::message(&Message::new(header, b"")).to_string(), "S1F3 W.");
    /// ```
    #[must_use]
    pub const fn message(message: &Message<'a>) -> Self {
        let head = (message.header.stream_function(), message.header.reply_expected());
        Sml { text: message.body, message: Some(head), limit: usize::MAX }
    }

    /// Prints at most `octets` octets, and `…` where that leaves something out. What is left out costs no time.
    #[must_use]
    pub const fn limited(self, octets: usize) -> Self {
        Sml { limit: octets, ..self }
    }
}

impl fmt::Display for Sml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indented = f.alternate();
        let mut printer = Printer { out: f, left: self.limit, full: false, indented };
        match printer.sml(self) {
            // It stopped itself.
            Err(fmt::Error) if printer.full => f.write_char('…'),
            result => result,
        }
    }
}

impl fmt::Debug for Sml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Sml<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", defmt::Display2Format(self));
    }
}

struct Printer<'p, 'f> {
    out: &'p mut fmt::Formatter<'f>,
    /// Octets that may still be printed.
    left: usize,
    /// Whether more was to be printed.
    full: bool,
    indented: bool,
}

impl Write for Printer<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if let Some(left) = self.left.checked_sub(text.len()) {
            self.left = left;
            return self.out.write_str(text);
        }
        let cut = (0..=self.left).rev().find_map(|end| text.get(..end)).unwrap_or_default();
        self.out.write_str(cut)?;
        self.left = 0;
        self.full = true;
        Err(fmt::Error)
    }
}

impl Printer<'_, '_> {
    fn sml(&mut self, sml: &Sml<'_>) -> fmt::Result {
        let Some((stream_function, reply_expected)) = sml.message else { return self.text(sml.text) };
        write!(self, "{stream_function}{}", if reply_expected { " W" } else { "" })?;
        if !sml.text.is_empty() {
            self.write_char(if self.indented { '\n' } else { ' ' })?;
            self.text(sml.text)?;
        }
        self.write_char('.')
    }

    fn text(&mut self, text: &[u8]) -> fmt::Result {
        let mut walk = Walk::<32>::lenient(text);
        let mut open = 0_usize;
        while let Some(depth) = walk.ahead() {
            self.close(&mut open, depth)?;
            if depth > 0 {
                self.between(depth)?;
            }
            match walk.next() {
                Some(Ok(step)) => {
                    self.item(step.item)?;
                    open = open.saturating_add(usize::from(matches!(step.item, Item::List(1..))));
                }
                Some(Err(error)) => return self.error(error),
                None => break,
            }
        }
        self.close(&mut open, 0)?;
        match walk.next() {
            Some(Err(error)) => {
                self.between(0)?;
                self.error(error)
            }
            _ => Ok(()),
        }
    }

    /// Ends lists until only `depth` are open.
    fn close(&mut self, open: &mut usize, depth: usize) -> fmt::Result {
        while *open > depth {
            *open = open.saturating_sub(1);
            if self.indented {
                self.between(*open)?;
            }
            self.write_char('>')?;
        }
        Ok(())
    }

    fn between(&mut self, depth: usize) -> fmt::Result {
        if !self.indented {
            return self.write_char(' ');
        }
        self.write_char('\n')?;
        (0..depth).try_for_each(|_| self.write_str("  "))
    }

    /// An item with its closing bracket; of a list with elements what stands before them.
    fn item(&mut self, item: Item<'_>) -> fmt::Result {
        write!(self, "<{}", item.format())?;
        match item {
            Item::List(0) => self.write_str(" [0]")?,
            Item::List(count) => return write!(self, " [{count}]"),
            Item::Binary(octets) => octets.iter().try_for_each(|octet| write!(self, " {octet:#04X}"))?,
            Item::Boolean(values) => {
                values.iter().try_for_each(|value| self.write_str(if value { " TRUE" } else { " FALSE" }))?;
            }
            Item::Ascii(octets) | Item::Jis8(octets) => self.quoted(octets)?,
            Item::Localized(Localized { encoding, octets }) => {
                write!(self, " {encoding}")?;
                self.quoted(octets)?;
            }
            Item::I8(values) => self.values(values)?,
            Item::I1(values) => self.values(values)?,
            Item::I2(values) => self.values(values)?,
            Item::I4(values) => self.values(values)?,
            Item::F8(values) => self.values(values)?,
            Item::F4(values) => self.values(values)?,
            Item::U8(values) => self.values(values)?,
            Item::U1(values) => self.values(values)?,
            Item::U2(values) => self.values(values)?,
            Item::U4(values) => self.values(values)?,
        }
        self.write_char('>')
    }

    /// As `Debug` has it: that keeps a float short whatever its size, and reading it again gives the same.
    fn values<T: Value>(&mut self, values: Values<'_, T>) -> fmt::Result {
        values.iter().try_for_each(|value| write!(self, " {value:?}"))
    }

    fn quoted(&mut self, octets: &[u8]) -> fmt::Result {
        if octets.is_empty() {
            return self.write_str(r#" """#);
        }
        // Each octet prints as one or more: beyond the limit there is nothing to look at.
        let octets = octets.get(..self.left.saturating_add(1)).unwrap_or(octets);
        for run in octets.chunk_by(|one, next| printable(*one) == printable(*next)) {
            match core::str::from_utf8(run) {
                Ok(text) if run.first().copied().is_some_and(printable) => {
                    self.write_str(" \"")?;
                    self.write_str(text)?;
                    self.write_char('"')?;
                }
                _ => run.iter().try_for_each(|octet| write!(self, " {octet:#04X}"))?,
            }
        }
        Ok(())
    }

    fn error(&mut self, error: Error) -> fmt::Result {
        write!(self, "/* {error} */")
    }
}

/// Whether an octet can stand in quotes.
const fn printable(octet: u8) -> bool {
    matches!(octet, b' '..=b'~') && octet != b'"'
}
