//! SECS-II items (E5): read where they lie, and written where they belong.
//!
//! The text of a data message is nothing, or one [`Item`]: values of one [`Format`], or a list of items.
//!
//! | to | there is |
//! |---|---|
//! | read a text whose structure is known | [`Reader`], a cursor |
//! | read any text | [`Walk`], an iterator over all items with their depth |
//! | know whether a text is well-formed, and within [`Limits`] | [`check`] |
//! | write | [`Writer`], into a [`Slice`], a `heapless::Vec`, a `Vec`, or in [`Pieces`]; [`Count`] tells the size before |
//! | print | [`Sml`], on one line or indented, whole or as much as a log line has room for |
//! | write and read the messages that everyone has | [`messages`] |
//! | keep items, and parse SML (feature `alloc`) | `Tree` and `SmlMessage` |
//! | map Rust types to items (features `alloc` and `serde`) | module `serde` |
//!
//! Nothing here recurses, and nothing allocates but for what feature `alloc` adds. Whatever the octets are, reading
//! takes time linear in them, no stack beyond a fixed size, and no memory; a list cannot claim more elements than its octets can
//! hold. Errors tell the offset, what was found and what was expected. They are faults of a text and no reason to end a
//! connection: equipment answers with S9F7 (E5 7.13).
//!
//! ```
//! use hsms_core::secs2::{Reader, Slice, Sml, Writer};
//!
//! // S6F11: <L [3] <U4 DATAID> <U4 CEID> <L [0]>>
//! let mut octets = [0; 64];
//! let mut text = Writer::new(Slice::new(&mut octets));
//! text.list(3)?;
//! text.u4(1)?;
//! text.u4(2017)?;
//! text.list(0)?;
//! let sink = text.finish()?;
//! assert_eq!(Sml::new(sink.written()).to_string(), "<L [3] <U4 1> <U4 2017> <L [0]>>");
//!
//! let mut event = Reader::new(sink.written());
//! event.list_of(3)?;
//! let (data_id, event_id, reports) = (event.u4()?, event.u4()?, event.list()?);
//! event.finish()?;
//! assert_eq!((data_id, event_id, reports), (1, 2017, 0));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! Clause numbers are those of E5.

mod error;
mod format;
mod item;
pub mod messages;
mod parse;
mod reader;
#[cfg(all(feature = "serde", feature = "alloc"))]
pub mod serde;
mod sink;
mod sml;
#[cfg(feature = "alloc")]
mod tree;
mod value;
mod walk;
mod writer;

pub use error::{Error, ErrorKind, WriteError};
pub use format::{Format, HeaderOctets, ItemHeader, MAX_LENGTH};
pub use item::{Encoding, Item, Localized, ascii};
pub use reader::{Elements, Reader};
pub use sink::{Count, Patch, Pieces, Sink, Slice};
pub use sml::Sml;
#[cfg(feature = "alloc")]
pub use sml::{SmlError, SmlErrorKind, SmlMessage};
#[cfg(feature = "alloc")]
pub use tree::Tree;
pub use value::{Value, Values, ValuesIter};
pub use walk::{Limits, Step, Summary, Walk, check};
pub use writer::Writer;
