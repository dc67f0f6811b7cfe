//! Whole messages, assembled in storage that the caller lends.
//!
//! The machine hands texts on in the pieces in which they came. A [`Collector`] puts them together again in a `&mut [u8]`, in
//! a [`heapless::Vec`], or, with feature `alloc`, in a `Vec` that grows as octets arrive. It holds one message at a time,
//! as messages on one connection never interleave.
//!
//! ```
//! use hsms_core::collect::Collector;
//! use hsms_core::frame::Decoder;
//! use hsms_core::wire::{Header, Message, SessionId, StreamFunction, SystemBytes};
//!
//! let header = Header::data(SystemBytes(8), StreamFunction::new(1, 2), false, SessionId(1));
//! let mut stream = [0; 64];
//! let len = Message::new(header, b"\x01\x00").encode(&mut stream)?;
//!
//! let mut decoder = Decoder::new();
//! let mut memory = [0; 16];
//! let mut collector = Collector::new(&mut memory[..], usize::MAX);
//! for octet in stream[..len].chunks(1) {
//!     let (_, piece) = decoder.decode(octet)?;
//!     if let Some(piece) = piece {
//!         if let Some(message) = collector.push_piece(&piece)? {
//!             assert_eq!((message.header, message.body), (header, &b"\x01\x00"[..]));
//!         }
//!     }
//! }
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use crate::connection::{Class, Inbound, ReplyToken};
use crate::error::Fault;
use crate::frame::Piece;
use crate::wire::{Message, copy};
use core::fmt;

/// Where a [`Collector`] keeps a text: `&mut [u8]`, [`heapless::Vec`], and with feature `alloc` `Vec`. The text is at the
/// front of it.
pub trait Storage: AsRef<[u8]> {
    /// The longest text that can ever fit, in octets.
    fn room(&self) -> usize;

    /// Keeps the first `at` octets and puts `octets` behind them. The text will have `total` octets in the end, at most
    /// [`room`](Self::room): a reason to stop growing there, never to grow to there.
    ///
    /// # Errors
    /// [`NoMemory`] where the memory cannot be had, or where fewer than `at` octets are left of what was put before.
    fn put(&mut self, at: usize, octets: &[u8], total: usize) -> Result<(), NoMemory>;
}

/// Takes pieces and gives whole messages, in a storage `S`.
///
/// Only messages for the application take storage. One that is too long is reported once, with its first piece, and
/// passed by to its end; the next message is collected again. One that stops in the middle because its connection ended is
/// given up as soon as another begins.
pub struct Collector<S> {
    storage: S,
    limit: usize,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// The next piece begins a message.
    Between,
    /// So many octets of a text are there.
    Filled(usize),
    /// The rest of the message is passed by.
    Passing,
}

/// A whole message, with what the machine made of it. Its text lies in the collector's storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Collected<'c> {
    /// Header and text.
    pub message: Message<'c>,
    /// [`Class::Primary`] or [`Class::Reply`].
    pub class: Class,
    /// What a reply needs, where the sender waits for one.
    pub reply_token: Option<ReplyToken>,
}

impl<S: Storage> Collector<S> {
    /// A collector for texts of at most `limit` octets that are kept in `storage`.
    ///
    /// What the storage has room for is a limit too, so for a slice or a `heapless::Vec` any greater number will do. A
    /// `Vec` grows up to `limit`: the greatest message length that the connection accepts, less 10 for the header, fits.
    #[must_use]
    pub const fn new(storage: S, limit: usize) -> Self {
        Collector { storage, limit, progress: Progress::Between }
    }

    /// Takes a piece that a [`Connection`](crate::Connection) gave; gives the message when it is whole. Messages that are
    /// not for the application are passed by.
    ///
    /// # Errors
    /// Those of [`push_piece`](Self::push_piece). Header and reply token are in `inbound`, for who wants to refuse the
    /// message.
    pub fn push(&mut self, inbound: &Inbound<'_>) -> Result<Option<Collected<'_>>, CollectError> {
        if !inbound.is_for_application() {
            // A message in hand has been abandoned then: the next one that begins takes its place.
            return Ok(None);
        }
        let (class, reply_token) = (inbound.class, inbound.reply_token());
        let message = self.push_piece(&inbound.piece)?;
        Ok(message.map(|message| Collected { message, class, reply_token }))
    }

    /// Takes a piece that a [`Decoder`](crate::frame::Decoder) gave, of a message of whatever kind; gives the message when
    /// it is whole.
    ///
    /// # Errors
    /// [`CollectError::NoRoom`] with the first piece of a message that is too long, [`CollectError::NoMemory`], or
    /// [`CollectError::Gap`]. Each once in a message; the rest of that message is passed by.
    pub fn push_piece(&mut self, piece: &Piece<'_>) -> Result<Option<Message<'_>>, CollectError> {
        if self.progress == Progress::Passing && !piece.first() {
            if piece.last() {
                self.progress = Progress::Between;
            }
            return Ok(None);
        }
        let put = self.put(piece);
        self.progress = match put {
            _ if piece.last() => Progress::Between,
            Ok(filled) => Progress::Filled(filled),
            Err(_) => Progress::Passing,
        };
        let filled = put?;
        if !piece.last() {
            return Ok(None);
        }
        let body = self.storage.as_ref().get(..filled).unwrap_or(&[]);
        Ok(Some(Message::new(piece.header, body)))
    }

    /// Gives up the message in hand, if any. Right after a connection was lost; optional, as the next message that begins
    /// does the same.
    pub const fn reset(&mut self) {
        self.progress = Progress::Between;
    }

    /// The storage: the text of a message that has just become whole can be taken out of it, for example by
    /// `mem::take` of a `Vec`. Whoever does that in the middle of a message loses that message with
    /// [`CollectError::NoMemory`].
    pub const fn storage_mut(&mut self) -> &mut S {
        &mut self.storage
    }

    /// The storage, for good.
    #[must_use]
    pub fn into_storage(self) -> S {
        self.storage
    }

    /// Gives how many octets of the text are there with this piece.
    fn put(&mut self, piece: &Piece<'_>) -> Result<usize, CollectError> {
        let filled = match self.progress {
            Progress::Filled(filled) if !piece.first() => filled,
            _ => 0,
        };
        let room = self.limit.min(self.storage.room());
        let needed = piece.body_len;
        let total = usize::try_from(needed).ok().filter(|total| *total <= room);
        let total = total.ok_or(CollectError::NoRoom { needed, room })?;
        if usize::try_from(piece.offset) != Ok(filled) {
            return Err(CollectError::Gap { filled, offset: piece.offset });
        }
        self.storage.put(filled, piece.body, total).map_err(|NoMemory| CollectError::NoMemory { needed })?;
        Ok(filled.saturating_add(piece.body.len()))
    }
}

/// Where it is, without the octets.
impl<S> fmt::Debug for Collector<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector")
            .field("limit", &self.limit)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

impl Storage for &mut [u8] {
    fn room(&self) -> usize {
        self.len()
    }

    fn put(&mut self, at: usize, octets: &[u8], _: usize) -> Result<(), NoMemory> {
        let behind = self.get_mut(at..).ok_or(NoMemory)?;
        copy(behind.get_mut(..octets.len()).ok_or(NoMemory)?, octets);
        Ok(())
    }
}

impl<const N: usize, LenT: heapless::LenType> Storage for heapless::Vec<u8, N, LenT> {
    fn room(&self) -> usize {
        N
    }

    fn put(&mut self, at: usize, octets: &[u8], _: usize) -> Result<(), NoMemory> {
        if at > self.len() {
            return Err(NoMemory);
        }
        self.truncate(at);
        if append(self, octets) { Ok(()) } else { Err(NoMemory) }
    }
}

/// Puts `octets` behind what `held` has, all of them or none; gives whether they fit. `extend_from_slice` has an addition that panics under
/// overflow checks, as far as a compiler can tell, and `push` for each octet costs a hundred times this for long texts.
pub(crate) fn append<const N: usize, LenT: heapless::LenType>(
    held: &mut heapless::Vec<u8, N, LenT>,
    octets: &[u8],
) -> bool {
    let at = held.len();
    if held.resize(at.saturating_add(octets.len()), 0).is_err() {
        return false;
    }
    match held.get_mut(at..) {
        // As long as each other, always: what the optimiser needs to see.
        Some(place) if place.len() == octets.len() => {
            copy(place, octets);
            true
        }
        _ => false,
    }
}

/// Memory is reserved for octets that are there, and at most as much again; never for what a length field claims. What one
/// message made it grow to is kept for the next.
#[cfg(feature = "alloc")]
impl Storage for alloc::vec::Vec<u8> {
    fn room(&self) -> usize {
        usize::MAX
    }

    fn put(&mut self, at: usize, octets: &[u8], total: usize) -> Result<(), NoMemory> {
        if at > self.len() {
            return Err(NoMemory);
        }
        self.truncate(at);
        let needed = at.saturating_add(octets.len());
        if needed > self.capacity() {
            let reached = needed.saturating_mul(2).min(total).max(needed);
            self.try_reserve_exact(reached.saturating_sub(at)).map_err(|_| NoMemory)?;
        }
        self.extend_from_slice(octets);
        Ok(())
    }
}

/// A [`Storage`] could not take octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoMemory;

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the storage cannot take the octets")
    }
}

impl core::error::Error for NoMemory {}

/// A message that cannot be collected. The collector passes the rest of it by and goes on with the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CollectError {
    /// The text is longer than the storage or the limit.
    NoRoom {
        /// Octets of the text.
        needed: u32,
        /// Octets that there is room for.
        room: usize,
    },
    /// The storage could not take octets that there is room for: no memory was to be had.
    NoMemory {
        /// Octets of the text.
        needed: u32,
    },
    /// Pieces of the message were not given to the collector.
    Gap {
        /// Octets of the text that are there; zero where none of the message is.
        filled: usize,
        /// Where in the text the piece begins.
        offset: u32,
    },
}

impl CollectError {
    /// Who has to change something.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            CollectError::NoRoom { .. } | CollectError::NoMemory { .. } => Fault::Capacity,
            CollectError::Gap { .. } => Fault::Caller,
        }
    }
}

impl fmt::Display for CollectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CollectError::NoRoom { needed, room } => {
                write!(f, "the text takes {needed} octets and there is room for {room}")
            }
            CollectError::NoMemory { needed } => write!(f, "no memory for a text of {needed} octets"),
            CollectError::Gap { filled, offset } => {
                write!(f, "a piece that begins at octet {offset} of a text came where {filled} octets were there")
            }
        }
    }
}

impl core::error::Error for CollectError {}

#[cfg(test)]
mod tests;
