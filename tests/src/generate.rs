//! How many cases are tried, and frames from what they say. What is tried comes from `hsms_core::generate`.

use hsms_core::wire::{Header, Message, PREFIX_LEN};
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
