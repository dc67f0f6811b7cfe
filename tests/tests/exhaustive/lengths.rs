//! All 2^32 values of the length field.

use crate::compare::{ROOM, compare, on_all_cores};
use crate::states;
use crate::table::{DEVICE, Message};
use hsms_core::frame::{Decoder, LengthTooShort};
use hsms_core::wire::{Header, Message as Whole, ParseError};
use hsms_tests::scale;
use std::time::Instant;

/// Header octets behind every length field: S1F1 with W for device 1.
const HEADER: [u8; 10] = [0, 1, 0x81, 1, 0, 0, 0xDE, 0xAD, 0xBE, 0xEF];
/// The work is shared out by the first octet of the length field.
const SHARES: usize = 256;

fn frame(length: u32) -> [u8; 14] {
    let [l0, l1, l2, l3] = length.to_be_bytes();
    let [h0, h1, h2, h3, h4, h5, h6, h7, h8, h9] = HEADER;
    [l0, l1, l2, l3, h0, h1, h2, h3, h4, h5, h6, h7, h8, h9]
}

/// One in so many length fields (a prime) at the quick scale and at the next; `full` takes all.
const STEPS: (usize, usize) = (1_021, 1);
/// The same for ways that take several times as long.
const LONG_STEPS: (usize, usize) = (1_021, 31);

/// Every length field, or one in so many and all near a power of two.
fn each_length((quick, ci): (usize, usize), work: impl Fn(u32) + Sync) -> u64 {
    let step = match scale() {
        1 => quick,
        10 => ci,
        _ => 1,
    };
    if step > 1 {
        let near = (0..=32).flat_map(|bits| (1_u64 << bits).saturating_sub(16)..=(1 << bits) + 16);
        near.filter_map(|length| u32::try_from(length).ok()).for_each(&work);
    }
    on_all_cores(SHARES, |first| {
        let first = u32::try_from(first).expect("one octet") << 24;
        (first..=first | 0x00FF_FFFF).step_by(step).map(&work).fold(0, |sum, ()| sum + 1)
    })
}

fn report(what: &str, (_, ci): (usize, usize), cases: u64, began: Instant) {
    println!("lengths: {cases} {what}, {:.1} s", began.elapsed().as_secs_f64());
    let all = scale() == 100 || (scale() == 10 && ci == 1);
    assert!(!all || cases == 1 << 32, "not every length field was tried");
    assert!(cases >= 1 << 22);
}

#[test]
fn every_length_field_is_decoded_as_it_says() {
    let began = Instant::now();
    let header = Header::decode(&HEADER);
    let cases = each_length(STEPS, |length| {
        let octets = frame(length);
        let mut decoder = Decoder::new();
        let decoded = decoder.decode(&octets);
        if length < 10 {
            assert_eq!(decoded, Err(LengthTooShort { length }));
            assert_eq!(decoder, Decoder::new());
            return;
        }
        let (taken, piece) = decoded.expect("a length that has room for a header");
        let piece = piece.expect("a header that is whole");
        let text = length - 10;
        let shape = (taken, piece.body_len, piece.offset, piece.body.len(), piece.first(), piece.last());
        if shape != (14, text, 0, 0, true, text == 0) || piece.header != header {
            panic!("length {length}: took {taken}, gave {piece:?}");
        }
        assert_eq!((decoder.body_left(), decoder.in_message()), (text, text > 0), "length {length}");
    });
    report("decoded", STEPS, cases, began);
}

/// The other way through the decoder: length field and header in more than one piece.
#[test]
fn every_length_field_is_decoded_as_it_says_in_two_pieces() {
    let began = Instant::now();
    let cases = each_length(LONG_STEPS, |length| {
        let octets = frame(length);
        let (front, back) = octets.split_at(1 + (length % 13) as usize);
        let mut decoder = Decoder::new();
        let mut decoded = decoder.decode(front);
        if length >= 10 || front.len() < 4 {
            assert_eq!(decoded, Ok((front.len(), None)), "length {length}");
            assert!(decoder.in_message());
            decoded = decoder.decode(back);
        }
        match decoded {
            Err(error) => assert!(length < 10 && error.length == length, "length {length}: {error}"),
            Ok((taken, Some(piece))) => {
                let shape = (taken, u64::from(piece.body_len) + 10, piece.body.len(), piece.header.encode());
                assert_eq!(shape, (back.len(), u64::from(length), 0, HEADER), "length {length}");
            }
            Ok((taken, None)) => panic!("length {length}: took {taken}, gave nothing"),
        }
    });
    report("decoded in two pieces", LONG_STEPS, cases, began);
}

#[test]
fn every_length_field_is_parsed_as_it_says() {
    let began = Instant::now();
    let cases = each_length(LONG_STEPS, |length| {
        let octets = frame(length);
        match Whole::parse(&octets) {
            Ok((message, rest)) => {
                assert!(length == 10 && message.body.is_empty() && rest.is_empty(), "length {length}");
                assert_eq!(message.header.encode(), HEADER);
            }
            Err(ParseError::LengthTooShort { length: found }) => {
                assert!(found == length && length < 10, "length {length}");
            }
            Err(ParseError::Incomplete { missing }) => {
                assert!(length > 10 && missing == u64::from(length) - 10, "length {length}: {missing} missing");
            }
            Err(other) => panic!("length {length}: {other}"),
        }
    });
    report("parsed", LONG_STEPS, cases, began);
}

/// In every state, of data and of a Linktest.req: all lengths to 1,000, then one in 16,381 (a prime; at the quick scale 1,048,573). At the
/// full scale all 2^32 of data as well, where equipment is SELECTED: there all outcomes of a length are, and it takes minutes.
#[test]
fn every_length_field_does_what_the_table_says_to_a_machine() {
    let began = Instant::now();
    let all = states::all();
    let step: u32 = if scale() == 1 { 1_048_573 } else { 16_381 };
    let mut cases = on_all_cores(all.len(), |number| {
        let (mut cases, mut room) = (0, [0; ROOM]);
        // A length below 10 has a test of its own.
        let mut length = 10_u32;
        loop {
            for stype in [0, 5] {
                compare(&all[number], &message(stype, length), &mut room);
                cases += 1;
            }
            let Some(next) = length.checked_add(if length < 1_000 { 1 } else { step }) else { return cases };
            length = next;
        }
    });
    if scale() == 100 {
        let selected = all.iter().find(|it| it.situation.selected && it.situation.equipment).expect("such a state");
        cases += on_all_cores(SHARES, |first| {
            let mut room = [0; ROOM];
            let first = u32::try_from(first).expect("one octet") << 24;
            let lengths = (first..=first | 0x00FF_FFFF).filter(|length| *length >= 10);
            lengths.map(|length| compare(selected, &message(0, length), &mut room)).fold(0, |sum, ()| sum + 1)
        });
    }
    println!("lengths: {cases} received by a machine, {:.1} s", began.elapsed().as_secs_f64());
    assert!(cases >= 500_000);
}

fn message(stype: u8, length: u32) -> Message {
    let (session, byte2, byte3, ptype, system) = (DEVICE, 0x81, 1, 0, 0xDEAD_BEEF);
    Message { session, byte2, byte3, ptype, stype, system, text: length - 10, come: 0 }
}
