//! Whole messages, assembled in storage that the caller lends.
//!
//! The machine hands texts on in the pieces in which they came. A [`Collector`] puts them together again in a `&mut [u8]`, in
//! a [`heapless::Vec`], or, with feature `alloc`, in a `Vec` that grows as octets arrive. It holds one message at a time,
//! as messages on one connection never interleave.
//!
//! ```
//! use hsms_core::collect::{CollectError, Collector};
//! use hsms_core::frame::Decoder;
//! use hsms_core::wire::{Header, Message, SessionId, StreamFunction, SystemBytes};
//!
//! let header = Header::data(SystemBytes(8), StreamFunction::new(1, 2), false, SessionId(1));
//! let mut stream = [0; 64];
//! let len = Message::new(header, b"\x01\x00").encode(&mut stream).unwrap();
//!
//! let mut decoder = Decoder::new();
//! let mut memory = [0; 16];
//! let mut collector = Collector::new(&mut memory[..], usize::MAX);
//! for octet in stream[..len].chunks(1) {
//!     let (_, piece) = decoder.decode(octet).unwrap();
//!     if let Some(piece) = piece {
//!         if let Some(message) = collector.push_piece(&piece)? {
//!             assert_eq!((message.header, message.body), (header, &b"\x01\x00"[..]));
//!         }
//!     }
//! }
//! # Ok::<(), CollectError>(())
//! ```

use crate::connection::{Class, Inbound, ReplyToken};
use crate::error::Fault;
use crate::frame::Piece;
use crate::wire::Message;
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
        behind.get_mut(..octets.len()).ok_or(NoMemory)?.copy_from_slice(octets);
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
        self.extend_from_slice(octets).map_err(|_| NoMemory)
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
mod tests {
    use super::*;
    use crate::connection::Stray;
    use crate::frame::Decoder;
    use crate::wire::{Header, SessionId, StreamFunction, SystemBytes};
    use std::string::ToString;
    use std::vec::Vec;

    const HEADER: Header = Header::data(SystemBytes(7), StreamFunction::new(1, 1), true, SessionId(1));

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut octets = std::vec![0; body.len() + 14];
        Message::new(HEADER, body).encode(&mut octets).unwrap();
        octets
    }

    fn pieces<'i>(stream: &'i [u8], chunk: usize) -> Vec<Piece<'i>> {
        let mut decoder = Decoder::new();
        let mut pieces = Vec::new();
        for mut input in stream.chunks(chunk) {
            while !input.is_empty() {
                let (taken, piece) = decoder.decode(input).unwrap();
                pieces.extend(piece);
                input = &input[taken..];
            }
        }
        pieces
    }

    fn inbound(piece: Piece<'_>, class: Class) -> Inbound<'_> {
        Inbound { class, piece, link: 3 }
    }

    /// Pushes all of `stream` and gives the texts and errors in their order.
    fn collect<S: Storage>(
        collector: &mut Collector<S>,
        stream: &[u8],
        chunk: usize,
    ) -> Vec<Result<Vec<u8>, CollectError>> {
        let mut results = Vec::new();
        for piece in pieces(stream, chunk) {
            match collector.push_piece(&piece) {
                Ok(Some(message)) => {
                    assert_eq!(message.header, HEADER);
                    results.push(Ok(message.body.to_vec()));
                }
                Ok(None) => {}
                Err(error) => results.push(Err(error)),
            }
        }
        results
    }

    const BODIES: [&[u8]; 6] = [b"", b"abcdefgh", b"x", b"", b"yz", b"12345678"];

    fn comes_through_at_any_chunking<S: Storage>(mut collector: Collector<S>) {
        let stream: Vec<u8> = BODIES.iter().flat_map(|body| frame(body)).collect();
        let expected: Vec<_> = BODIES.iter().map(|body| Ok(body.to_vec())).collect();
        for chunk in 1..=stream.len() {
            assert_eq!(collect(&mut collector, &stream, chunk), expected, "chunks of {chunk}");
        }
    }

    #[test]
    fn messages_come_through_a_slice_at_any_chunking() {
        comes_through_at_any_chunking(Collector::new(&mut [0; 8][..], usize::MAX));
    }

    #[test]
    fn messages_come_through_a_heapless_vec_at_any_chunking() {
        comes_through_at_any_chunking(Collector::new(heapless::Vec::<u8, 8>::new(), usize::MAX));
        comes_through_at_any_chunking(Collector::new(heapless::Vec::<u8, 8, u8>::new(), usize::MAX));
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn messages_come_through_a_vec_at_any_chunking() {
        comes_through_at_any_chunking(Collector::new(Vec::new(), 8));
    }

    fn skips_what_is_too_long<S: Storage>(mut collector: Collector<S>, room: usize) {
        let mut stream = frame(b"12345");
        stream.extend(frame(b"1234"));
        stream.extend(frame(&[0; 100]));
        stream.extend(frame(b""));
        let expected = [
            Err(CollectError::NoRoom { needed: 5, room }),
            Ok(b"1234".to_vec()),
            Err(CollectError::NoRoom { needed: 100, room }),
            Ok(b"".to_vec()),
        ];
        for chunk in 1..=stream.len() {
            assert_eq!(collect(&mut collector, &stream, chunk), expected, "chunks of {chunk}");
        }
    }

    #[test]
    fn a_message_too_long_for_the_storage_is_reported_once_and_skipped() {
        skips_what_is_too_long(Collector::new(&mut [0; 4][..], usize::MAX), 4);
        skips_what_is_too_long(Collector::new(heapless::Vec::<u8, 4>::new(), usize::MAX), 4);
    }

    #[test]
    fn a_message_above_the_limit_is_reported_once_and_skipped() {
        skips_what_is_too_long(Collector::new(&mut [0; 200][..], 4), 4);
        skips_what_is_too_long(Collector::new(heapless::Vec::<u8, 200>::new(), 4), 4);
        #[cfg(feature = "alloc")]
        skips_what_is_too_long(Collector::new(Vec::new(), 4), 4);
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn a_length_claim_reserves_nothing() {
        // 4 GiB less 11 octets are claimed, three of them come.
        let mut stream = HEADER.encode_prefix(crate::wire::MAX_BODY_LEN).unwrap().to_vec();
        stream.extend(b"abc");
        let mut collector = Collector::new(Vec::new(), usize::MAX);
        assert_eq!(collect(&mut collector, &stream, 64), []);
        assert!(collector.into_storage().capacity() <= 8);
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn a_vec_never_grows_beyond_twice_what_came_nor_beyond_the_text() {
        const LEN: usize = 100_000;
        let stream = frame(&[0x5A; LEN]);
        let mut collector = Collector::new(Vec::new(), LEN);
        let (mut came, mut steps, mut before) = (0, 0, 0);
        for piece in pieces(&stream, 700) {
            came += piece.body.len();
            let whole = collector.push_piece(&piece).unwrap().is_some();
            assert_eq!(whole, came == LEN);
            let capacity = collector.storage_mut().capacity();
            assert!(capacity <= LEN.min(2 * came), "{capacity} octets reserved for {came}");
            steps += usize::from(capacity != before);
            before = capacity;
        }
        assert!(steps < 12, "it took {steps} allocations");
        assert_eq!(collector.into_storage(), [0x5A; LEN]);
    }

    /// Room for everything and memory for four octets.
    struct Poor(heapless::Vec<u8, 4>);

    impl AsRef<[u8]> for Poor {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    impl Storage for Poor {
        fn room(&self) -> usize {
            usize::MAX
        }

        fn put(&mut self, at: usize, octets: &[u8], total: usize) -> Result<(), NoMemory> {
            self.0.put(at, octets, total)
        }
    }

    #[test]
    fn a_failed_allocation_costs_that_message_and_no_other() {
        let mut stream = frame(b"1234567890");
        stream.extend(frame(b"1234"));
        for chunk in 1..=stream.len() {
            let mut collector = Collector::new(Poor(heapless::Vec::new()), usize::MAX);
            let expected = [Err(CollectError::NoMemory { needed: 10 }), Ok(b"1234".to_vec())];
            assert_eq!(collect(&mut collector, &stream, chunk), expected, "chunks of {chunk}");
        }
    }

    #[test]
    fn only_messages_for_the_application_are_collected() {
        let stream = frame(b"abc");
        let piece = pieces(&stream, 64)[0];
        for class in [
            Class::Control,
            Class::Stray(Stray::Orphan),
            Class::Rejected(crate::wire::RejectReason::ENTITY_NOT_SELECTED),
            Class::TooLong,
            Class::Fatal,
        ] {
            // They need no storage either.
            let mut collector = Collector::new(&mut [][..], 0);
            assert_eq!(collector.push(&inbound(piece, class)), Ok(None));
        }
        let mut collector = Collector::new(heapless::Vec::<u8, 8>::new(), 8);
        for class in [Class::Primary, Class::Reply] {
            let inbound = inbound(piece, class);
            let message = Message::new(HEADER, b"abc");
            let collected = Collected { message, class, reply_token: inbound.reply_token() };
            assert_eq!(collected.reply_token.is_some(), class == Class::Primary);
            assert_eq!(collector.push(&inbound), Ok(Some(collected)));
        }
    }

    #[test]
    fn a_reply_that_is_given_up_while_it_arrives_is_discarded() {
        let stream = frame(b"abcdef");
        let halves = pieces(&stream, 17);
        assert_eq!(halves.len(), 2);
        let mut collector = Collector::new(heapless::Vec::<u8, 8>::new(), 8);
        assert_eq!(collector.push(&inbound(halves[0], Class::Reply)), Ok(None));
        assert_eq!(collector.push(&inbound(halves[1], Class::Stray(Stray::Late))), Ok(None));
        assert_eq!(collect(&mut collector, &stream, 5), [Ok(b"abcdef".to_vec())]);
    }

    #[test]
    fn a_message_abandoned_in_the_middle_is_discarded_when_the_next_begins() {
        let first = frame(b"abcdef");
        let second = frame(b"uvw");
        for cut in 1..first.len() {
            for reset in [false, true] {
                let mut collector = Collector::new(heapless::Vec::<u8, 8>::new(), 8);
                assert_eq!(collect(&mut collector, &first[..cut], 3), []);
                if reset {
                    collector.reset();
                }
                assert_eq!(collect(&mut collector, &second, 4), [Ok(b"uvw".to_vec())]);
            }
        }
    }

    #[test]
    fn a_message_whose_beginning_was_not_given_is_reported_once_and_skipped() {
        let mut stream = frame(b"abcdef");
        stream.extend(frame(b"uvw"));
        let pieces = pieces(&stream, 2);
        let mut collector = Collector::new(heapless::Vec::<u8, 8>::new(), 8);
        let mut results = Vec::new();
        // Without the header, and without the first two octets of the text.
        for piece in pieces.iter().skip(2) {
            results.push(collector.push_piece(piece).map(|message| message.map(|message| message.body.to_vec())));
        }
        assert_eq!(results[0], Err(CollectError::Gap { filled: 0, offset: 2 }));
        assert!(results[1..].iter().all(Result::is_ok));
        assert_eq!(results.last(), Some(&Ok(Some(b"uvw".to_vec()))));

        let mut collector = Collector::new(heapless::Vec::<u8, 8>::new(), 8);
        assert_eq!(collector.push_piece(&pieces[0]), Ok(None));
        assert_eq!(collector.push_piece(&pieces[1]), Ok(None));
        assert_eq!(collector.push_piece(&pieces[3]), Err(CollectError::Gap { filled: 2, offset: 4 }));
    }

    #[test]
    fn a_text_can_be_taken_out_between_messages_and_its_loss_in_the_middle_is_an_error() {
        let stream = frame(b"abcdef");
        let mut collector = Collector::new(heapless::Vec::<u8, 8>::new(), 8);
        assert_eq!(collect(&mut collector, &stream, 5).len(), 1);
        assert_eq!(core::mem::take(collector.storage_mut()), b"abcdef");
        assert_eq!(collect(&mut collector, &stream[..17], 5), []);
        assert_eq!(core::mem::take(collector.storage_mut()), b"abc");
        // The three octets that are still to come, in the same message.
        let rest = pieces(&stream, 17)[1];
        assert_eq!(collector.push_piece(&rest), Err(CollectError::NoMemory { needed: 6 }));
        assert_eq!(collect(&mut collector, &stream, 5), [Ok(b"abcdef".to_vec())]);
    }

    #[test]
    fn errors_tell_what_was_seen_and_who_is_at_fault() {
        let no_room = CollectError::NoRoom { needed: 9, room: 8 };
        assert_eq!(no_room.to_string(), "the text takes 9 octets and there is room for 8");
        assert_eq!(no_room.fault(), Fault::Capacity);
        assert_eq!(CollectError::NoMemory { needed: 9 }.fault(), Fault::Capacity);
        assert_eq!(CollectError::Gap { filled: 0, offset: 2 }.fault(), Fault::Caller);
    }
}
