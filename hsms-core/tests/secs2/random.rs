//! Random texts from a seed: valid ones both ways, and octets that mean nothing.

use super::support::read_in_every_way;
use hsms_core::secs2::{Count, Encoding, Slice, Walk, Writer};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> usize {
        usize::try_from(self.next() % bound).unwrap()
    }

    fn octets(&mut self) -> Vec<u8> {
        (0..self.below(9)).map(|_| self.next() as u8).collect()
    }

    fn values<T>(&mut self, make: fn(u64) -> T) -> Vec<T> {
        (0..self.below(4)).map(|_| make(self.next())).collect()
    }
}

/// Writes one random item; gives the number of items written.
fn write<S: hsms_core::secs2::Patch>(random: &mut Random, writer: &mut Writer<S>, depth: u32) -> usize {
    let list = depth < 6 && random.below(3) == 0;
    if list {
        let count = random.below(6);
        let counted = random.below(2) == 0;
        if counted { writer.list(count) } else { writer.begin_list() }.unwrap();
        let items = (0..count).map(|_| write(random, writer, depth + 1)).sum::<usize>();
        if !counted {
            writer.end_list().unwrap();
        }
        return items + 1;
    }
    match random.below(15) {
        0 => writer.binary(&random.octets()),
        1 => writer.values(&random.values(|n| n & 1 == 0)),
        2 => writer.ascii_octets(&random.octets()),
        3 => writer.jis8(&random.octets()),
        4 => writer.localized(Encoding(random.next() as u16), &random.octets()),
        5 => writer.values(&random.values(|n| n as i64)),
        6 => writer.values(&random.values(|n| n as i8)),
        7 => writer.values(&random.values(|n| n as i16)),
        8 => writer.values(&random.values(|n| n as i32)),
        9 => writer.values(&random.values(f64::from_bits)),
        10 => writer.values(&random.values(|n| f32::from_bits(n as u32))),
        11 => writer.values(&random.values(|n| n)),
        12 => writer.u1(random.next() as u8),
        13 => writer.values(&random.values(|n| n as u16)),
        _ => writer.u4(random.next() as u32),
    }
    .unwrap();
    1
}

#[test]
fn random_texts_have_the_size_counted_and_are_read_as_they_were_written() {
    let mut lists = 0;
    for seed in 0..3_000 {
        let mut count = Count::default();
        let mut counting = Writer::new(&mut count);
        let items = write(&mut Random(seed), &mut counting, 0);
        counting.finish().unwrap();

        let mut memory = vec![0; count.octets()];
        let mut writer = Writer::new(Slice::new(&mut memory));
        assert_eq!(write(&mut Random(seed), &mut writer, 0), items);
        let sink = writer.finish().unwrap();
        assert_eq!(sink.written().len(), count.octets());

        if count.octets() < 4_000 {
            assert_eq!(read_in_every_way(&memory), Ok(items), "seed {seed}");
        }
        lists += Walk::<32>::new(&memory).filter(|step| step.is_ok_and(|step| step.depth > 2)).count();
    }
    assert!(lists > 1_000, "{lists} items inside three lists and more");
}

#[test]
fn octets_at_random_give_an_error_or_a_valid_text() {
    let mut random = Random(1);
    let (mut valid, mut refused) = (0, 0);
    // Headers of all formats more often than chance has them.
    const HEADERS: [u8; 16] =
        [1, 0x21, 0x25, 0x41, 0x45, 0x49, 0x61, 0x65, 0x69, 0x71, 0x81, 0x91, 0xa1, 0xa5, 0xa9, 0xb1];
    for _ in 0..50_000 {
        let len = random.below(40);
        let text: Vec<u8> = (0..len)
            .map(|_| match random.below(4) {
                0 => random.next() as u8,
                1 => HEADERS[random.below(16)],
                _ => random.below(4) as u8,
            })
            .collect();
        match read_in_every_way(&text) {
            Ok(_) => valid += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(valid > 100 && refused > 10_000, "{valid} {refused}");
}

/// But for the octets of NaN, which SML does not tell.
#[cfg(feature = "alloc")]
#[test]
fn what_is_printed_is_parsed_to_the_same() {
    use hsms_core::secs2::{Limits, Sml, Tree};

    let mut deep = 0;
    for seed in 0..3_000 {
        let mut writer = Writer::new(Vec::new());
        write(&mut Random(seed), &mut writer, 0);
        let text = writer.finish().unwrap();
        let tree = Tree::read(&text, Limits::NONE).unwrap();
        for sml in [Sml::new(&text).to_string(), format!("{:#}", Sml::new(&text))] {
            let parsed: Tree = sml.parse().unwrap_or_else(|error| panic!("{error} in {sml}"));
            // NaN equals nothing: where one is, the print is compared.
            assert!(parsed == tree || sml.contains("NaN"), "{sml}");
            assert_eq!(parsed.to_string(), tree.to_string());
            if !sml.contains("NaN") {
                assert_eq!(parsed.to_text(), tree.to_text());
            }
            deep += usize::from(sml.contains("<L [2] <L"));
        }
    }
    assert!(deep > 100, "{deep}");
}

/// What is not SML is an error at a place that exists.
#[cfg(feature = "alloc")]
#[test]
fn sml_with_a_character_changed_or_cut_off_is_an_error_in_it_or_valid() {
    use hsms_core::secs2::{Sml, SmlMessage, Tree};

    let mut random = Random(2);
    let (mut valid, mut refused) = (0, 0);
    for seed in 0..300 {
        let mut writer = Writer::new(Vec::new());
        write(&mut Random(seed), &mut writer, 3);
        let text = writer.finish().unwrap();
        let sml: Vec<char> = format!("S1F1 W {:#}.", Sml::new(&text)).chars().collect();
        for _ in 0..20 {
            let mut changed = sml.clone();
            let at = random.below(changed.len() as u64);
            match random.below(3) {
                0 => changed.truncate(at),
                1 => drop(changed.remove(at)),
                _ => changed[at] = ['<', '>', '"', '\'', '/', '*', 'x', '9', '[', ' ', 'µ', '\n'][random.below(12)],
            }
            let changed: String = changed.into_iter().collect();
            match changed.parse::<SmlMessage>() {
                Ok(_) => valid += 1,
                Err(error) => {
                    let line = changed.split('\n').nth(error.line - 1).expect("a line that exists");
                    assert!(error.column <= line.chars().count() + 1, "{error} in {changed}");
                    refused += 1;
                }
            }
            assert!(changed.parse::<Tree>().is_err() || changed.starts_with('<'));
        }
    }
    assert!(valid > 100 && refused > 1_000, "{valid} {refused}");
}
