//! Limits of a walk, and what it gives.

use hsms_core::secs2::{Error, ErrorKind, Item, Limits, Summary, Walk, check};

/// `<L [3] <L [1] <L [0]>> <U1 7> <L [1] <A "">>>`
const TEXT: &[u8] = b"\x01\x03\x01\x01\x01\x00\xa5\x01\x07\x01\x01\x41\x00";

#[test]
fn items_come_in_order_with_depth_and_offset() {
    let steps: Vec<_> = Walk::<32>::new(TEXT)
        .map(|step| step.map(|step| (step.depth, step.offset, step.item.format().sml())).unwrap())
        .collect();
    assert_eq!(steps, [(0, 0, "L"), (1, 2, "L"), (2, 4, "L"), (1, 6, "U1"), (1, 9, "L"), (2, 11, "A")]);
    assert_eq!(check(TEXT, Limits::default()), Ok(Summary { items: 6, depth: 2 }));
    assert_eq!(check(b"", Limits::NONE), Ok(Summary { items: 0, depth: 0 }));
}

#[test]
fn each_limit_refuses_what_is_one_beyond_it() {
    let with = |limits| check(TEXT, limits);
    let fail = |offset, kind| Err(Error { offset, kind });
    let good = Ok(Summary { items: 6, depth: 2 });
    assert_eq!(with(Limits { depth: 2, items: 6, octets: TEXT.len() }), good);
    assert_eq!(with(Limits { depth: 1, ..Limits::NONE }), fail(2, ErrorKind::TooDeep { limit: 1 }));
    assert_eq!(with(Limits { depth: 0, ..Limits::NONE }), fail(0, ErrorKind::TooDeep { limit: 0 }));
    assert_eq!(with(Limits { items: 5, ..Limits::NONE }), fail(9, ErrorKind::TooManyItems { limit: 5 }));
    assert_eq!(with(Limits { items: 0, ..Limits::NONE }), fail(0, ErrorKind::TooManyItems { limit: 0 }));
    let none = Limits { items: 0, octets: TEXT.len(), ..Limits::NONE };
    assert_eq!(with(none), fail(0, ErrorKind::TooManyItems { limit: 0 }));
    let limits = Limits { octets: TEXT.len() - 1, ..Limits::NONE };
    assert_eq!(with(limits), fail(0, ErrorKind::TooLarge { limit: 12, found: 13 }));
}

#[test]
fn the_depth_of_the_walk_is_a_limit_as_well() {
    let last = Walk::<1>::new(TEXT).last().unwrap();
    assert_eq!(last, Err(Error { offset: 2, kind: ErrorKind::TooDeep { limit: 1 } }));
    assert!(Walk::<2>::new(TEXT).all(|step| step.is_ok()));
    // No level at all is enough for a text that is no list with elements.
    assert_eq!(Walk::<0>::new(b"\x01\x00").next().unwrap().unwrap().item, Item::List(0));
}

#[test]
fn a_walk_ends_behind_its_error() {
    for text in [&b"\x01\x02\xa5\x01\x07"[..], b"\xa5\x01\x07\x00", b"\x40", b"\x01\x02\xff\x00\xa5\x01\x07"] {
        let mut walk = Walk::<32>::new(text);
        let wrong = walk.by_ref().take(4).filter(Result::is_err).count();
        assert_eq!(wrong, 1, "{text:02x?}");
        assert_eq!(walk.next(), None, "{text:02x?}");
        assert_eq!(walk.next(), None, "{text:02x?}");
    }
}

#[test]
fn a_whole_text_is_one_item() {
    let two = check(b"\xa5\x01\x07\xa5\x01\x08", Limits::NONE);
    assert_eq!(two, Err(Error { offset: 3, kind: ErrorKind::Trailing { octets: 3 } }));
}
