//! What a writer refuses, that it writes nothing then, and every kind of sink.

use hsms_core::secs2::{Count, Encoding, Error, ErrorKind, Patch, Pieces, Sink, Slice, WriteError, Writer};

/// A text of every kind of call. 116 octets.
fn fill<S: Patch, const OPEN: usize>(mut text: Writer<S, OPEN>) -> Result<S, WriteError> {
    text.begin_list()?;
    text.ascii("ABC")?;
    text.list(2)?;
    text.values(&[1_u32; 20])?;
    text.raw(b"\x01\x01\xa5\x01\x07")?;
    text.begin_list()?;
    text.localized(Encoding::UTF_8, b"ok")?;
    text.boolean(true)?;
    text.end_list()?;
    text.end_list()?;
    text.finish()
}

fn whole() -> Vec<u8> {
    let mut text = b"\x03\0\0\x03\x41\x03ABC\x01\x02\xb1\x50".to_vec();
    text.extend([0, 0, 0, 1].repeat(20));
    text.extend(b"\x01\x01\xa5\x01\x07\x03\0\0\x02\x49\x04\0\x02ok\x25\x01\x01");
    text
}

#[test]
fn all_sinks_get_the_same_octets() {
    let expected = whole();
    let mut memory = [0; 200];
    assert_eq!(fill(Writer::new(Slice::new(&mut memory))).unwrap().written(), expected);
    assert_eq!(fill(Writer::new(heapless::Vec::<u8, 200>::new())).unwrap(), expected[..]);
    let mut count = Count::default();
    fill(Writer::new(&mut count)).unwrap();
    assert_eq!(count.octets(), expected.len());
    #[cfg(feature = "alloc")]
    assert_eq!(fill(Writer::new(vec![])).unwrap(), expected);
    // Behind what is there already.
    let mut behind = heapless::Vec::<u8, 200>::new();
    Sink::put(&mut behind, b"head").unwrap();
    fill(Writer::new(&mut behind)).unwrap();
    assert_eq!(behind[..], [b"head", &expected[..]].concat());
}

#[test]
fn a_sink_that_is_too_small_keeps_whole_items_and_says_what_is_missing() {
    let expected = whole();
    for room in 0..expected.len() {
        let mut memory = vec![0xee; room + 8];
        let WriteError::NoRoom { missing } =
            fill(Writer::new(Slice::new(&mut memory[..room]))).map(|_| ()).unwrap_err()
        else {
            panic!("{room}")
        };
        assert!(missing > 0 && room + missing <= expected.len(), "{room}: {missing}");
        assert!(memory[room..].iter().all(|octet| *octet == 0xee));
    }
    // No part of an item, even where its header would fit.
    let mut memory = [0xee; 8];
    let mut small = Writer::new(Slice::new(&mut memory));
    small.list(2).unwrap();
    assert_eq!(small.binary(&[7; 5]), Err(WriteError::NoRoom { missing: 1 }));
    assert_eq!(small.values(&[7_u16; 3]), Err(WriteError::NoRoom { missing: 2 }));
    assert_eq!(small.sink().written(), b"\x01\x02");
    small.u1(7).unwrap();
    assert_eq!(small.u2(8), Err(WriteError::NoRoom { missing: 1 }));
    small.ascii("").unwrap();
    assert_eq!(small.finish().unwrap().written(), b"\x01\x02\xa5\x01\x07\x41\x00");
    assert_eq!(memory[7], 0xee);

    let mut small = Writer::new(heapless::Vec::<u8, 8>::new());
    small.list(2).unwrap();
    small.u1(7).unwrap();
    assert_eq!(small.u4(1), Err(WriteError::NoRoom { missing: 3 }));
    assert_eq!(small.values(&[1_u8, 2]), Err(WriteError::NoRoom { missing: 1 }));
    assert_eq!(small.sink(), b"\x01\x02\xa5\x01\x07");
    // What fits still goes.
    small.u1(8).unwrap();
    assert_eq!(small.finish().unwrap(), b"\x01\x02\xa5\x01\x07\xa5\x01\x08");
}

#[test]
fn lists_that_lack_elements_or_have_too_many_are_refused() {
    let new = || Writer::<_, 2>::with_open(heapless::Vec::<u8, 64>::new());
    assert_eq!(new().finish(), Err(WriteError::ElementsMissing { missing: 1 }));

    let mut text = new();
    text.list(3).unwrap();
    text.list(1).unwrap();
    assert_eq!(text.finish(), Err(WriteError::ElementsMissing { missing: 3 }));

    let mut text = new();
    text.list(1).unwrap();
    text.u1(1).unwrap();
    assert_eq!(text.u1(2), Err(WriteError::TextComplete));
    assert_eq!(text.list(0), Err(WriteError::TextComplete));
    assert_eq!(text.begin_list(), Err(WriteError::TextComplete));
    assert_eq!(text.end_list(), Err(WriteError::NoListOpen));
    assert_eq!(text.finish().unwrap(), b"\x01\x01\xa5\x01\x01");

    let mut text = new();
    text.begin_list().unwrap();
    text.list(1).unwrap();
    assert_eq!(text.end_list(), Err(WriteError::ElementsMissing { missing: 1 }));
    text.begin_list().unwrap();
    assert_eq!(text.begin_list(), Err(WriteError::TooDeep { limit: 2 }));
    text.end_list().unwrap();
    text.end_list().unwrap();
    assert_eq!(text.finish().unwrap(), b"\x03\0\0\x01\x01\x01\x03\0\0\0");

    let mut text = new();
    text.begin_list().unwrap();
    assert_eq!(text.finish(), Err(WriteError::ListsOpen { open: 1 }));
}

#[test]
fn what_no_item_can_hold_is_refused() {
    let mut text = Writer::new(Count::default());
    assert_eq!(text.ascii("aµ"), Err(WriteError::NotAscii { at: 1 }));
    assert_eq!(text.list(1 << 24), Err(WriteError::TooLong { length: 1 << 24 }));
    assert_eq!(text.list(usize::MAX), Err(WriteError::TooLong { length: usize::MAX }));
    let long = vec![0_u8; 1 << 24];
    assert_eq!(text.binary(&long), Err(WriteError::TooLong { length: 1 << 24 }));
    assert_eq!(text.values(&long), Err(WriteError::TooLong { length: 1 << 24 }));
    let longest = &long[..(1 << 24) - 1];
    assert_eq!(text.localized(Encoding::UTF_8, longest), Err(WriteError::TooLong { length: (1 << 24) + 1 }));
    let not_one = |offset, kind| Err(WriteError::NoItem(Error { offset, kind }));
    assert_eq!(text.raw(b"\xa5\x01"), not_one(0, ErrorKind::Truncated { missing: 1 }));
    assert_eq!(text.raw(b"\x01\x00\x00"), not_one(2, ErrorKind::Trailing { octets: 1 }));
    assert_eq!(text.raw(b""), not_one(0, ErrorKind::NoItem));
    assert_eq!(text.sink().octets(), 0);
    text.binary(longest).unwrap();
    assert_eq!(text.finish().unwrap().octets(), 4 + longest.len());
}

#[test]
fn a_list_of_unknown_count_ends_at_the_longest_count() {
    let mut text = Writer::new(Count::default());
    text.begin_list().unwrap();
    for _ in 0..(1 << 24) - 1 {
        text.list(0).unwrap();
    }
    assert_eq!(text.list(0), Err(WriteError::TooLong { length: 1 << 24 }));
    text.end_list().unwrap();
    assert_eq!(text.finish().unwrap().octets(), 4 + 2 * ((1 << 24) - 1));
}

#[test]
fn pieces_join_to_the_whole_whatever_their_size() {
    fn pieces<const N: usize>() -> Vec<Vec<u8>> {
        let mut pieces = vec![];
        let mut text = Writer::new(Pieces::<N, _>::new(|octets: &[u8]| {
            pieces.push(octets.to_vec());
            Ok(())
        }));
        text.list(2).unwrap();
        text.ascii("ABC").unwrap();
        text.values(&[1_u32; 100]).unwrap();
        text.finish().unwrap().finish().unwrap();
        pieces
    }
    let whole = pieces::<1000>();
    assert_eq!(whole.len(), 1);
    for cut in [pieces::<1>(), pieces::<7>(), pieces::<64>(), pieces::<256>()] {
        assert_eq!(cut.concat(), whole[0]);
        let most = cut[0].len();
        assert!(cut.iter().rev().skip(1).all(|piece| piece.len() == most));
    }
}

#[test]
fn a_text_broken_off_by_its_sink_cannot_go_on() {
    let mut left = 1;
    let mut text = Writer::new(Pieces::<4, _>::new(|_: &[u8]| {
        left -= 1;
        if left < 0 { Err(WriteError::Refused) } else { Ok(()) }
    }));
    text.list(2).unwrap();
    assert_eq!(text.ascii("ABCDEFGH"), Err(WriteError::Refused));
    assert_eq!(text.u1(1), Err(WriteError::Refused));
    assert_eq!(text.finish().map(|_| ()), Err(WriteError::Refused));
}

#[test]
fn a_patch_beyond_what_is_there_does_nothing() {
    let mut memory = [0; 4];
    let mut slice = Slice::new(&mut memory);
    slice.put(&[1, 2]).unwrap();
    slice.patch(1, &[9, 9]);
    assert_eq!(slice.written(), [1, 2]);
    slice.patch(0, &[9]);
    assert_eq!(slice.written(), [9, 2]);
    assert_eq!(slice.put(&[1, 2, 3]), Err(WriteError::NoRoom { missing: 1 }));
}

#[test]
fn sinks_that_are_used_alone_refuse_what_they_have_no_room_for() {
    let mut octets = [0; 2];
    let mut slice = Slice::new(&mut octets);
    assert_eq!(slice.reserve(2), Ok(()));
    assert_eq!(slice.reserve(3), Err(WriteError::NoRoom { missing: 1 }));
    assert_eq!(slice.put(b"a"), Ok(()));
    assert_eq!(slice.put(b"bcd"), Err(WriteError::NoRoom { missing: 2 }));
    slice.patch(1, b"z");
    assert_eq!(slice.written(), b"a");

    let mut fixed = heapless::Vec::<u8, 2>::new();
    assert_eq!(Sink::reserve(&mut fixed, 3), Err(WriteError::NoRoom { missing: 1 }));
    assert_eq!(fixed.put(b"abc"), Err(WriteError::NoRoom { missing: 1 }));
    assert!(fixed.is_empty());

    let mut count = Count::default();
    assert_eq!(count.put(b"a"), Ok(()));
    assert_eq!(count.reserve(usize::MAX), Err(WriteError::NoRoom { missing: usize::MAX }));

    let mut pieces = vec![];
    let hand_on = |octets: &[u8]| {
        pieces.push(octets.to_vec());
        if pieces.len() < 2 { Ok(()) } else { Err(WriteError::Refused) }
    };
    let mut sink = Pieces::<2, _>::new(hand_on);
    assert_eq!(sink.reserve(usize::MAX), Ok(()));
    assert_eq!(sink.put(b"abc"), Ok(()));
    assert_eq!(sink.put(b"de"), Err(WriteError::Refused));
    assert_eq!(pieces, [b"ab", b"cd"]);
    // Nothing is handed on where there is nothing.
    assert_eq!(Pieces::<2, _>::new(|_: &[u8]| Err(WriteError::Refused)).finish(), Ok(()));
}

#[cfg(feature = "alloc")]
#[test]
fn a_vec_refuses_what_no_memory_can_hold() {
    assert_eq!(Sink::reserve(&mut Vec::new(), usize::MAX), Err(WriteError::NoRoom { missing: usize::MAX }));
}

#[test]
fn a_borrowed_sink_has_the_room_of_the_sink() {
    let mut memory = [0; 2];
    let mut sink = Slice::new(&mut memory);
    let mut borrowed = &mut sink;
    assert_eq!(Sink::reserve(&mut borrowed, 2), Ok(()));
    assert_eq!(Sink::reserve(&mut borrowed, 5), Err(WriteError::NoRoom { missing: 3 }));
}

#[test]
fn a_count_stands_behind_the_octets_it_was_given() {
    let mut count = Count::default();
    assert_eq!(count.position(), 0);
    count.put(&[1, 2, 3]).unwrap();
    assert_eq!(count.position(), 3);
}
