//! Texts made to hurt: they cost octets looked at, and neither stack nor memory.

use hsms_core::secs2::{Error, ErrorKind, Limits, Reader, Sml, Walk, check};

/// `depth` lists of one element, one in the other, and an empty one in the middle.
fn nested(depth: usize) -> Vec<u8> {
    let mut text = [1, 1].repeat(depth);
    text.extend([1, 0]);
    text
}

#[test]
fn two_hundred_thousand_nested_lists_are_skipped_without_stack() {
    let text = nested(200_000);
    let mut reader = Reader::new(&text);
    assert_eq!(reader.raw(), Ok(&text[..]));
    assert_eq!(reader.finish(), Ok(()));
    // Cut off, they are as deep and not whole.
    let offset = text.len() - 2;
    let mut cut = Reader::new(&text[..offset]);
    assert_eq!(cut.skip(), Err(Error { offset: offset - 2, kind: ErrorKind::Truncated { missing: 2 } }));
    assert_eq!(cut.position(), 0);
}

#[test]
fn two_hundred_thousand_nested_lists_are_too_deep_for_a_walk() {
    let text = nested(200_000);
    let mut steps = 0;
    let error = Walk::<32>::new(&text).inspect(|_| steps += 1).last();
    assert_eq!(error, Some(Err(Error { offset: 64, kind: ErrorKind::TooDeep { limit: 32 } })));
    assert_eq!(steps, 33);
    assert_eq!(check(&nested(32), Limits::NONE).map(|found| found.depth), Ok(32));
    let sml = Sml::new(&text).to_string();
    assert!(sml.ends_with("/* at offset 64: lists nested deeper than 32 */"), "{sml}");
}

#[test]
fn a_list_that_claims_sixteen_million_elements_is_refused_at_its_header() {
    let mut text = vec![3, 0xff, 0xff, 0xff];
    text.resize(100_004, 1);
    let kind = ErrorKind::Truncated { missing: 0xff_ffff * 2 - 100_000 };
    let refused = Err(Error { offset: 0, kind });
    assert_eq!(Reader::new(&text).list(), refused);
    assert_eq!(Reader::new(&text).item().map(|_| 0), refused);
    assert_eq!(Reader::new(&text).skip().map(|()| 0), refused);
    assert_eq!(Reader::new(&text).elements().map(|_| 0), refused);
    assert_eq!(Walk::<32>::new(&text).count(), 1);
    assert_eq!(check(&text, Limits::NONE).map(|_| 0), refused);
}

#[test]
fn hostile_texts_cost_no_memory() {
    let mut claims = vec![3, 0xff, 0xff, 0xff];
    claims.resize(100_004, 1);
    let nested_400_kb = nested(200_000);
    let cut_off = nested_400_kb[..399_999].to_vec();
    for text in [&nested_400_kb, &cut_off, &claims] {
        let counted = allocation_counter::measure(|| {
            let mut reader = Reader::new(text);
            while reader.item().is_ok() {}
            assert!(reader.rest().len() < 400_000);
            assert!(check(text, Limits::NONE).is_err());
            assert!(Walk::<256>::new(text).any(|step| step.is_err()));
            assert_eq!(Reader::new(text).skip().is_ok(), text.len() == nested_400_kb.len());
        });
        assert_eq!(counted.count_total, 0);
        // What owns its items has memory for those that are there and within its limits.
        #[cfg(feature = "alloc")]
        {
            let counted = allocation_counter::measure(|| {
                assert!(hsms_core::secs2::Tree::read(text, Limits::NONE).is_err());
            });
            assert!(counted.bytes_max < 32 * 1024, "{} octets", counted.bytes_max);
        }
    }
    // The counter counts.
    assert_eq!(allocation_counter::measure(|| drop(std::hint::black_box(vec![0_u8; 1]))).count_total, 1);
}

#[test]
fn no_list_gives_a_count_that_the_octets_cannot_hold() {
    // Lists that each claim half of what is left: what they claim together is far more than there is.
    let mut text = vec![];
    let mut left = 10_000_usize;
    while left > 100 {
        left -= 3;
        text.push(2);
        text.extend(u16::try_from(left / 2).unwrap().to_be_bytes());
    }
    text.resize(10_000, 0x25);
    let mut reader = Reader::new(&text);
    let mut counts = 0;
    while let Ok(count) = reader.list() {
        assert!(count <= reader.rest().len() / 2);
        counts += 1;
    }
    assert!(counts > 3_000);
    // Every octet behind them is looked at once at most.
    assert!(Reader::new(&text).skip().is_err());
    assert!(Walk::<32>::new(&text).count() <= 34);
}

#[test]
fn a_long_text_in_a_short_log_line_stays_short() {
    let mut text = vec![0x43, 0x0f, 0, 0];
    text.resize(4 + 0x0f_0000, b'x');
    assert_eq!(Sml::new(&text).limited(10).to_string(), "<A \"xxxxxx…");
    let mut list = vec![3, 1, 0, 0];
    list.extend([1, 0].repeat(0x1_0000));
    let line = Sml::new(&list).limited(40).to_string();
    assert_eq!(line, "<L [65536] <L [0]> <L [0]> <L [0]> <L [0…");
}
