//! Texts that cannot be read.

use super::{Format, MAX_LENGTH};
use core::fmt;

/// What is wrong with a text, or with what was expected of it, and where.
///
/// The reader that gave it stands where it stood before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Error {
    /// Offset in the text: of the item that is wrong, of the octet in [`ErrorKind::NotAscii`], of the first octet too many
    /// in [`ErrorKind::Trailing`].
    pub offset: usize,
    /// What is wrong there.
    pub kind: ErrorKind,
}

/// What was found, and what it should have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text ends where an item was expected. A text without octets is legal where a message is header-only.
    NoItem,
    /// The text ends inside the item, or has fewer octets than the elements of the list must take, at two each.
    Truncated {
        /// Octets missing at least; exactly so many where the item is no list and its header is there.
        missing: usize,
    },
    /// The format code is none that E5 defines: illegal data (E5 6.3).
    UndefinedFormat {
        /// The code, 0 to 63.
        code: u8,
    },
    /// The item header says that it has no length octets, and one to three are possible (E5 6.2.2).
    NoLengthOctets {
        /// The format code, 0 to 63.
        code: u8,
    },
    /// The length of the item is no multiple of the octets that one value takes.
    PartOfValue {
        /// Format of the item.
        format: Format,
        /// Its length in octets.
        length: u32,
    },
    /// A localized text has fewer than the two octets that name its encoding (E5 6.4).
    NoEncoding {
        /// Its length in octets, 0 or 1.
        length: u32,
    },
    /// An item of another format was expected.
    OtherFormat {
        /// The format expected.
        expected: Format,
        /// The format of the item.
        found: Format,
    },
    /// Another number of elements or values was expected.
    OtherCount {
        /// The format of the item.
        format: Format,
        /// Elements of a list, values of another item, expected.
        expected: usize,
        /// Elements or values there.
        found: usize,
    },
    /// An ASCII item has an octet above 127.
    NotAscii {
        /// The octet.
        octet: u8,
    },
    /// The text goes on behind its item (E5 7.3.2).
    Trailing {
        /// Octets too many.
        octets: usize,
    },
    /// A list with elements, inside as many lists as the limit allows.
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// More items than the limit allows: the text's one, or the list at this offset with all lists before it, has them.
    TooManyItems {
        /// The limit.
        limit: usize,
    },
    /// The text is longer than the limit allows.
    TooLarge {
        /// The limit in octets.
        limit: usize,
        /// Octets of the text.
        found: usize,
    },
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrorKind::NoItem => f.write_str("the text ends where an item was expected"),
            ErrorKind::Truncated { missing } => write!(f, "the item is cut off; octets missing: {missing} or more"),
            ErrorKind::UndefinedFormat { code } => write!(f, "format code {code:02o} (octal) is not defined"),
            ErrorKind::NoLengthOctets { code } => {
                write!(f, "item of format code {code:02o} (octal) without length octets; 1 to 3 are possible")
            }
            ErrorKind::PartOfValue { format, length } => {
                let width = format.width().unwrap_or(1);
                write!(f, "{format} of length {length}, no multiple of the {width} that one value takes")
            }
            ErrorKind::NoEncoding { length } => {
                write!(f, "localized text of length {length}, and its encoding alone takes 2")
            }
            ErrorKind::OtherFormat { expected, found } => write!(f, "{expected} was expected and {found} is there"),
            ErrorKind::OtherCount { format, expected, found } => {
                write!(f, "{format} was expected to hold {expected}, and holds {found}")
            }
            ErrorKind::NotAscii { octet } => write!(f, "octet {octet:#04x} in an ASCII item"),
            ErrorKind::Trailing { octets } => write!(f, "octets behind the item: {octets}"),
            ErrorKind::TooDeep { limit } => write!(f, "lists nested deeper than {limit}"),
            ErrorKind::TooManyItems { limit } => write!(f, "items beyond the limit of {limit}"),
            ErrorKind::TooLarge { limit, found } => write!(f, "a text of length {found}, and {limit} is the limit"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at offset {}: {}", self.offset, self.kind)
    }
}

impl core::error::Error for Error {}

/// What cannot be written. Nothing of the item was written then, and the writer can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WriteError {
    /// The sink has no room for the item.
    NoRoom {
        /// Octets that it lacks.
        missing: usize,
    },
    /// The sink refused for a reason of its own.
    Refused,
    /// The item is longer than a length field can say.
    TooLong {
        /// Elements of a list, octets of another item.
        length: usize,
    },
    /// An ASCII item was to hold a character beyond ASCII.
    NotAscii {
        /// Offset of the first such character in the text given.
        at: usize,
    },
    /// The text has its item, and a text has one only.
    TextComplete,
    /// The list, or the text, lacks elements.
    ElementsMissing {
        /// How many.
        missing: u64,
    },
    /// More lists of unknown count are open than the writer has room for.
    TooDeep {
        /// How many it has room for.
        limit: usize,
    },
    /// `end_list` without `begin_list`.
    NoListOpen,
    /// Lists that were begun have not been ended.
    ListsOpen {
        /// How many.
        open: usize,
    },
    /// Octets given as an encoded item are none.
    NoItem(Error),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::NoRoom { missing } => write!(f, "no room in the sink; octets missing: {missing}"),
            WriteError::Refused => f.write_str("the sink refused"),
            WriteError::TooLong { length } => write!(f, "an item of length {length}; {MAX_LENGTH} is the most"),
            WriteError::NotAscii { at } => write!(f, "a character beyond ASCII at offset {at}"),
            WriteError::TextComplete => f.write_str("the text has its item already"),
            WriteError::ElementsMissing { missing } => write!(f, "elements missing: {missing}"),
            WriteError::TooDeep { limit } => {
                write!(f, "all lists of unknown count that there is room for are open: {limit}")
            }
            WriteError::NoListOpen => f.write_str("no list of unknown count is open"),
            WriteError::ListsOpen { open } => write!(f, "lists not ended: {open}"),
            WriteError::NoItem(error) => write!(f, "not one encoded item: {error}"),
        }
    }
}

impl core::error::Error for WriteError {}
