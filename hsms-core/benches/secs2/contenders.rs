//! Who is compared, on what.

use crate::arrays::{ARRAY, copied, octets_copied, one_by_one, one_by_one_minicbor};
use crate::data::Data;
use crate::documents::{Document, Nested, Numbers, Report, model};
use crate::readers::{Minicbor, Nom, Ours, Rmp, read};
use crate::walks::{walk, walk_minicbor, walk_nom, walk_rmp};
use crate::writers::{MinicborTo, OursTo, RmpTo, size, written};

pub(crate) type Run = fn(&mut Data) -> Option<u64>;

pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) run: Run,
    pub(crate) limit: Option<Limit>,
}

#[derive(Clone, Copy)]
pub(crate) enum Limit {
    /// Nanoseconds per item, and times the first of the group.
    Time { reach: f64, aim: f64, ratio: f64 },
    /// Nanoseconds per item.
    TimeAlone { reach: f64, aim: f64 },
    /// Octets per nanosecond.
    Throughput { reach: f64 },
}

pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    /// What each contender gives.
    pub(crate) expected: u64,
    /// The first is what the others are compared with.
    pub(crate) contenders: Vec<Contender>,
}

#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Items(u32),
    Octets(usize),
}

/// Times rmp.
pub(crate) const RATIO: f64 = 1.5;
pub(crate) const TYPED: Option<Limit> = Some(Limit::Time { reach: 2.5, aim: 1.3, ratio: RATIO });
pub(crate) const WALK: Option<Limit> = Some(Limit::TimeAlone { reach: 5.0, aim: 4.0 });
pub(crate) const COPY: Option<Limit> = Some(Limit::Throughput { reach: 10.0 });

pub(crate) const fn contender(name: &'static str, run: Run, limit: Option<Limit>) -> Contender {
    Contender { name, run, limit }
}

pub(crate) fn groups(plant: Option<Run>) -> Vec<Group> {
    macro_rules! document {
        ($document:ident, $read:literal, $walk:literal, $write:literal, $planted:expr) => {{
            let sum = model::<$document>();
            let unit = Unit::Items(sum.items);
            let planted: Option<Run> = $planted;
            let typed = planted.unwrap_or(|d| read::<$document, Ours<'_>>(&d.secs2[$document::AT]));
            let read = vec![
                contender("rmp", |d| read::<$document, Rmp<'_>>(&d.rmp[$document::AT]), None),
                contender("minicbor", |d| read::<$document, Minicbor<'_>>(&d.minicbor[$document::AT]), None),
                contender("hsms Reader", typed, TYPED),
                contender("hsms Reader, by values", |d| read::<$document, Nom<'_>>(&d.secs2[$document::AT]), None),
            ];
            let walk = vec![
                contender("rmp, by markers", |d| walk_rmp(&d.rmp[$document::AT]), None),
                contender("minicbor, by types", |d| walk_minicbor(&d.minicbor[$document::AT]), None),
                contender("hsms Walk", |d| walk::<true>(&d.secs2[$document::AT]).ok(), WALK),
                contender("hsms Walk, texts not checked", |d| walk::<false>(&d.secs2[$document::AT]).ok(), WALK),
                contender("hsms Reader::item, nom alone", |d| walk_nom(&d.secs2[$document::AT]).ok(), None),
            ];
            let write = vec![
                contender("rmp", |d| written::<$document, RmpTo>(d, |d| &d.rmp[$document::AT]), None),
                contender("minicbor", |d| written::<$document, MinicborTo>(d, |d| &d.minicbor[$document::AT]), None),
                contender("hsms Writer", |d| written::<$document, OursTo>(d, |d| &d.secs2[$document::AT]), None),
                contender(
                    "hsms Writer, size alone",
                    |d| size::<$document>().filter(|n| *n == d.secs2[$document::AT].len()).map(|_| 1),
                    None,
                ),
            ];
            [
                Group { name: $read, unit, expected: sum.sum, contenders: read },
                Group { name: $walk, unit, expected: sum.sum, contenders: walk },
                Group { name: $write, unit, expected: 1, contenders: write },
            ]
        }};
    }
    let numbers =
        document!(Numbers, "typed read, list of 100 U4", "walk, list of 100 U4", "write, list of 100 U4", plant);
    let report = document!(
        Report,
        "typed read, report of 36 items",
        "walk, report of 36 items",
        "write, report of 36 items",
        None
    );
    let nested =
        document!(Nested, "typed read, 1000 nested items", "walk, 1000 nested items", "write, 1000 nested items", None);
    let array = |name, width: usize, contenders| Group {
        name,
        unit: Unit::Octets(ARRAY * width),
        expected: ARRAY as u64,
        contenders,
    };
    let arrays = [
        array(
            "array of 1024 U4 copied out",
            4,
            vec![
                contender("octets copied, not turned", |d| octets_copied(&d.u4, &mut d.out[..ARRAY * 4], 4), None),
                contender("hsms copy_to", |d| copied(&d.u4, &mut d.out_u4), COPY),
                contender("rmp, one by one", |d| one_by_one(&d.rmp_u4, &mut d.out_u4), None),
                contender("minicbor, one by one", |d| one_by_one_minicbor(&d.minicbor_u4, &mut d.out_u4), None),
            ],
        ),
        array(
            "array of 1024 F8 copied out",
            8,
            vec![
                contender("octets copied, not turned", |d| octets_copied(&d.f8, &mut d.out[..ARRAY * 8], 8), None),
                contender("hsms copy_to", |d| copied(&d.f8, &mut d.out_f8), COPY),
            ],
        ),
        array(
            "array of 1024 I2 copied out",
            2,
            vec![
                contender("octets copied, not turned", |d| octets_copied(&d.i2, &mut d.out[..ARRAY * 2], 2), None),
                contender("hsms copy_to", |d| copied(&d.i2, &mut d.out_i2), COPY),
            ],
        ),
    ];
    let mut groups = Vec::new();
    // Kinds together.
    let mut documents = [numbers, report, nested].map(IntoIterator::into_iter);
    for _ in 0..3 {
        groups.extend(documents.iter_mut().filter_map(Iterator::next));
    }
    groups.extend(arrays);
    groups
}
