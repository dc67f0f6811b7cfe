//! Sizes that firmware has to find room for.

use hsms_core::secs2::{Error, Item, Reader, Walk};

#[test]
fn readers_are_small_and_a_walk_takes_four_octets_a_level() {
    let word = size_of::<usize>();
    assert!(size_of::<Reader<'_>>() <= 3 * word);
    assert!(size_of::<Item<'_>>() <= 4 * word);
    assert!(size_of::<Error>() <= 4 * word);
    assert_eq!(size_of::<Walk<'_, 34>>() - size_of::<Walk<'_, 32>>(), 8);
    assert!(size_of::<Walk<'_, 32>>() <= 32 * 4 + 10 * word);
}
