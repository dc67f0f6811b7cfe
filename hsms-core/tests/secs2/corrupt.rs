//! Every truncation and every change of one octet: a typed error or a valid text, and all ways of reading agree.

use super::support::{read_in_every_way, samples};

#[test]
fn samples_are_whole_and_every_truncation_of_them_is_an_error() {
    for text in samples() {
        assert!(read_in_every_way(&text).is_ok());
        for cut in 1..text.len() {
            let error = read_in_every_way(&text[..cut]).unwrap_err();
            let kind = format!("{:?}", error.kind);
            assert!(kind.starts_with("Truncated") || kind.starts_with("NoItem"), "{cut}: {error}");
        }
    }
}

#[test]
fn every_change_of_one_octet_is_an_error_or_a_valid_text() {
    let (mut valid, mut refused) = (0, 0);
    for text in samples() {
        for at in 0..text.len() {
            for change in 1..=255_u8 {
                let mut changed = text.clone();
                changed[at] ^= change;
                match read_in_every_way(&changed) {
                    Ok(_) => valid += 1,
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(valid > 1_000 && refused > 1_000, "{valid} {refused}");
}

#[test]
fn every_text_of_two_octets_and_every_short_one_of_three_is_an_error_or_valid() {
    let mut valid = 0;
    for first in 0..=255 {
        for second in 0..=255 {
            valid += usize::from(read_in_every_way(&[first, second]).is_ok());
            for third in [0, 1, 2, 0x41, 0xff] {
                valid += usize::from(read_in_every_way(&[first, second, third]).is_ok());
            }
        }
    }
    // Two octets: 15 formats of length 0, all but localized text. Three: those with two length octets, and the six formats of
    // one octet a value.
    assert_eq!(valid, 15 + 15 + 6 * 5);
}
