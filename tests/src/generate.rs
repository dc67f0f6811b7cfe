//! Headers, messages and streams to feed to a decoder or a machine, and ways to cut them.

use hsms_core::wire::{Header, Kind, Message, PREFIX_LEN};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

/// What proptest runs with: `cases` times the scale. The quick scale tries the same cases every time, so that a run that
/// fails does so again; the others draw new ones, and print those that fail. `PROPTEST_RNG_SEED` overrides that.
#[must_use]
pub fn config(cases: u32) -> Config {
    let mut config = Config::with_cases(cases.saturating_mul(crate::scale()));
    config.failure_persistence = None;
    if crate::scale() == 1 && std::env::var_os("PROPTEST_RNG_SEED").is_none() {
        config.rng_seed = RngSeed::Fixed(37);
    }
    config
}

/// Any header: ten octets.
pub fn header() -> impl Strategy<Value = Header> {
    any::<[u8; 10]>().prop_map(|octets| Header::decode(&octets))
}

/// A header as peers send them: of every type that E37 defines and some that it does not, with few enough session ids and
/// system bytes that they meet those of open transactions.
pub fn plausible_header() -> impl Strategy<Value = Header> {
    let session = prop_oneof![3 => Just(0xFFFF), 3 => Just(1), 1 => Just(0x8001), 1 => Just(2), 1 => any::<u16>()];
    let system = prop_oneof![5 => 0..5_u32, 1 => any::<u32>()];
    let stype = prop_oneof![8 => Just(0), 12 => 1..10_u8, 1 => any::<u8>()];
    let octet2 = prop_oneof![2 => 0..2_u8, 1 => Just(0x81), 1 => any::<u8>()];
    let octet3 = prop_oneof![3 => 0..5_u8, 1 => any::<u8>()];
    let ptype = prop_oneof![20 => Just(0), 1 => any::<u8>()];
    (session, octet2, octet3, ptype, stype, system).prop_map(|(session, octet2, octet3, ptype, stype, system)| {
        let [s0, s1] = u16::to_be_bytes(session);
        let [y0, y1, y2, y3] = u32::to_be_bytes(system);
        Header::decode(&[s0, s1, octet2, octet3, ptype, stype, y0, y1, y2, y3])
    })
}

/// A header and its text, as a frame. Control messages have no text most of the time.
pub fn frame(header: impl Strategy<Value = Header>, longest: usize) -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![2 => Just(Vec::new()), 3 => prop::collection::vec(any::<u8>(), 0..=longest)];
    (header, text, 0..10_u8).prop_map(|(header, text, luck)| {
        let data = matches!(header.kind(), Ok(Kind::Data { .. }));
        encode(&header, if data || luck == 0 { &text } else { &[] })
    })
}

/// A stream of whole frames.
pub fn frames(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(frame(plausible_header(), 40), 0..=most).prop_map(|frames| frames.concat())
}

/// A stream that a broken or foreign peer may send: frames, loose octets, lengths that promise too much or too little, and an
/// end in the middle.
pub fn stream(most: usize) -> impl Strategy<Value = Vec<u8>> {
    let claim = (prop_oneof![0..20_u32, 60..300_u32, any::<u32>()], plausible_header())
        .prop_map(|(length, header)| [&length.to_be_bytes()[..], &header.encode()[..]].concat());
    let part = prop_oneof![
        12 => frame(plausible_header(), 90),
        2 => frame(header(), 20),
        1 => claim,
        1 => prop::collection::vec(any::<u8>(), 1..20),
        1 => Just(vec![0x05]),
    ];
    (prop::collection::vec(part, 0..=most), any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |(parts, cut, whole)| {
            let mut stream = parts.concat();
            if !whole && !stream.is_empty() {
                stream.truncate(cut.index(stream.len()));
            }
            stream
        },
    )
}

/// Sizes for [`chunks`]. Small ones come often: that is where prefixes are cut.
pub fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1..5_usize, 1..20_usize, 1..200_usize], 0..8)
}

/// Cuts `stream` into chunks of these sizes, over and over; no sizes: one chunk. A size of 0 counts as 1.
pub fn chunks<'s>(stream: &'s [u8], sizes: &[usize]) -> Vec<&'s [u8]> {
    let mut sizes = sizes.iter().map(|size| (*size).max(1)).cycle();
    let mut rest = stream;
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(sizes.next().unwrap_or(rest.len()).min(rest.len()));
        chunks.push(chunk);
        rest = behind;
    }
    chunks
}

/// The frame of a message.
///
/// # Panics
/// Where the text is longer than a length field can tell.
#[must_use]
pub fn encode(header: &Header, body: &[u8]) -> Vec<u8> {
    let mut octets = vec![0; body.len() + PREFIX_LEN];
    let len = Message::new(*header, body).encode(&mut octets).expect("a text that a length field can tell");
    assert_eq!(len, octets.len());
    octets
}

/// The octets that `hex` spells; spaces and colons do not count.
///
/// # Panics
/// Where it spells none.
#[must_use]
pub fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter(|c| !matches!(c, ' ' | ':')).map(nibble).collect();
    assert!(digits.len().is_multiple_of(2), "half an octet in {hex:?}");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn nibble(digit: char) -> u8 {
    u8::try_from(digit.to_digit(16).expect("a hexadecimal digit")).expect("four bits")
}
