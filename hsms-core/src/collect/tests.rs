//! Whole messages, whatever the pieces and the storage.

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
fn behind_a_whole_message_and_behind_a_reset_the_rest_of_one_is_a_gap() {
    let stream = frame(b"abcdef");
    let pieces = pieces(&stream, 17);
    let mut collector = Collector::new(heapless::Vec::<u8, 16>::new(), 16);
    for piece in &pieces {
        collector.push_piece(piece).unwrap();
    }
    assert_eq!(collector.push_piece(&pieces[1]), Err(CollectError::Gap { filled: 0, offset: 3 }));
    assert_eq!(collector.push_piece(&pieces[0]), Ok(None));
    collector.reset();
    assert_eq!(collector.push_piece(&pieces[1]), Err(CollectError::Gap { filled: 0, offset: 3 }));
}

#[cfg(feature = "alloc")]
#[test]
fn a_vec_with_room_for_a_text_is_left_as_it_is() {
    let stream = frame(b"abcdef");
    let mut collector = Collector::new(Vec::with_capacity(6), usize::MAX);
    let before = collector.storage_mut().capacity();
    for chunk in [64, 3] {
        assert_eq!(collect(&mut collector, &stream, chunk), [Ok(b"abcdef".to_vec())]);
    }
    assert_eq!(collector.storage_mut().capacity(), before);
}

#[test]
fn a_vec_grows_for_octets_alone_that_it_has_no_room_for() {
    let mut storage = Vec::with_capacity(4);
    let room = storage.capacity();
    let octets = std::vec![7; room];
    storage.put(0, &octets, 4 * room).unwrap();
    assert_eq!((storage.capacity(), &storage), (room, &octets));
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

#[test]
fn only_a_reply_is_told_as_one() {
    let stream = frame(b"");
    for piece in pieces(&stream, 99) {
        assert!(inbound(piece, Class::Reply).is_reply());
        assert!(!inbound(piece, Class::Primary).is_reply());
    }
}

#[test]
fn a_storage_takes_nothing_behind_a_gap() {
    let mut octets = [0; 4];
    assert_eq!((&mut octets[..]).put(5, b"a", 6), Err(NoMemory));
    assert_eq!((&mut octets[..]).put(3, b"ab", 5), Err(NoMemory));
    assert_eq!(heapless::Vec::<u8, 4>::new().put(1, b"a", 2), Err(NoMemory));
    assert_eq!(heapless::Vec::<u8, 4>::new().put(0, b"abcde", 5), Err(NoMemory));
    assert_eq!(octets, [0; 4]);
    #[cfg(feature = "alloc")]
    {
        let mut grown = Vec::new();
        assert_eq!(grown.put(1, b"a", 2), Err(NoMemory));
        assert!(grown.is_empty());
    }
}

#[test]
fn a_collector_tells_where_it_is_and_its_errors_tell_why() {
    let mut memory = [0; 8];
    let said = std::format!("{:?}", Collector::new(&mut memory[..], 8));
    assert!(said.starts_with("Collector {") && said.contains("progress: Between"), "{said}");
    assert_eq!(NoMemory.to_string(), "the storage cannot take the octets");
    for (error, words) in [
        (CollectError::NoRoom { needed: 9, room: 8 }, "the text takes 9 octets and there is room for 8"),
        (CollectError::NoMemory { needed: 9 }, "no memory for a text of 9 octets"),
        (
            CollectError::Gap { filled: 3, offset: 5 },
            "a piece that begins at octet 5 of a text came where 3 octets were there",
        ),
    ] {
        assert_eq!(error.to_string(), words);
    }
}

#[test]
fn a_message_that_begins_ends_the_passing_by_of_one_that_was_cut_off() {
    let mut collector = Collector::new([0; 4].to_vec(), 4);
    let (long, good) = (frame(b"too long"), frame(b"good"));
    let refused = collector.push_piece(&pieces(&long[..16], 99)[0]);
    assert_eq!(refused, Err(CollectError::NoRoom { needed: 8, room: 4 }));
    // A new connection, say: the rest never comes.
    let message = collector.push_piece(&pieces(&good, 99)[0]).unwrap().unwrap();
    assert_eq!(message.body, b"good");
}
