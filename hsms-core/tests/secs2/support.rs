//! Texts to test with, and what every reading of a text must agree on.

use hsms_core::secs2::{Encoding, Error, Item, Limits, Reader, Sml, Walk, Writer, check};

/// One item of each kind, nested and empty ones as well. Lists come before their elements.
pub fn samples() -> Vec<Vec<u8>> {
    let write = |fill: &dyn Fn(&mut Writer<heapless::Vec<u8, 2048>>)| {
        let mut writer = Writer::new(heapless::Vec::new());
        fill(&mut writer);
        writer.finish().unwrap().to_vec()
    };
    vec![
        vec![],
        write(&|w| w.list(0).unwrap()),
        write(&|w| w.ascii("ABC").unwrap()),
        write(&|w| w.binary(&[0xaa; 300]).unwrap()),
        write(&|w| w.values::<u64>(&[]).unwrap()),
        write(&|w| {
            w.list(16).unwrap();
            w.list(1).unwrap();
            w.list(0).unwrap();
            w.binary(&[1, 2, 3]).unwrap();
            w.values(&[true, false]).unwrap();
            w.ascii("recipe \"1\"").unwrap();
            w.jis8(&[0xb1, 0xb2]).unwrap();
            w.localized(Encoding::UTF_8, "µm".as_bytes()).unwrap();
            w.i8(i64::MIN).unwrap();
            w.values(&[-1_i8, 127]).unwrap();
            w.i2(-2).unwrap();
            w.values(&[i32::MIN, 0, i32::MAX]).unwrap();
            w.f8(-1e300).unwrap();
            w.values(&[0.1_f32, f32::INFINITY]).unwrap();
            w.u8(u64::MAX).unwrap();
            w.u1(255).unwrap();
            w.values(&[1_u16, 2]).unwrap();
            w.u4(7).unwrap();
        }),
        write(&|w| {
            w.begin_list().unwrap();
            for depth in 0..4_u8 {
                w.begin_list().unwrap();
                w.u1(depth).unwrap();
            }
            for _ in 0..5 {
                w.end_list().unwrap();
            }
        }),
    ]
}

/// How many items a walk gives, or its error. Along the way: that skip, check and SML agree with it, that every step is where
/// it says, and that writing the items again gives a text with the same items.
pub fn read_in_every_way(text: &[u8]) -> Result<usize, Error> {
    let mut items = vec![];
    let mut wrong = None;
    for step in Walk::<32>::new(text) {
        assert_eq!(wrong, None, "a walk goes on behind its error");
        match step {
            Ok(step) => {
                let mut here = Reader::new(&text[step.offset..]);
                assert_eq!(here.item(), Ok(step.item));
                assert!(here.position() > 0);
                items.push(step);
            }
            Err(error) => wrong = Some(error),
        }
        assert!(items.len() <= text.len() / 2, "an item takes two octets at least");
    }
    let result = wrong.map_or(Ok(items.len()), Err);
    assert_eq!(check(text, Limits::NONE).map(|found| found.items), result);

    let mut reader = Reader::new(text);
    let skipped = reader.skip().and_then(|()| reader.finish());
    if !text.is_empty() {
        assert_eq!(skipped.is_ok(), result.is_ok());
    }
    let sml = Sml::new(text).to_string();
    assert_eq!(sml.contains("/* at offset "), result.is_err(), "{sml}");
    if let Err(error) = result {
        assert!(error.offset <= text.len());
        assert!(!error.to_string().is_empty());
    } else if !items.is_empty() {
        let mut writer = Writer::new(heapless::Vec::<u8, 4096>::new());
        items.iter().for_each(|step| writer.item(step.item).unwrap());
        let again = writer.finish().unwrap();
        assert!(again.len() <= text.len(), "the writer uses as few length octets as possible");
        let walk = |text| Walk::<32>::new(text).map(|step| step.map(|step| (step.depth, step.item)));
        assert!(walk(text).eq(walk(&again)), "{sml}");
    }
    result
}

/// The first item of `text`.
pub fn item(text: &[u8]) -> Result<Item<'_>, Error> {
    Reader::new(text).item()
}
