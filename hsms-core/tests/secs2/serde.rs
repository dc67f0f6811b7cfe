//! Rust types as items: the mapping, row by row, both ways, and errors by path.

use hsms_core::secs2::serde::{Cause, SerdeError, array, binary, from_text, to_text};
use hsms_core::secs2::{Encoding, Error, ErrorKind, Format, Reader, Sml, SmlMessage, Tree, WriteError, Writer};
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, IgnoredAny, IntoDeserializer, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::net::Ipv4Addr;

fn text(sml: &str) -> Vec<u8> {
    sml.parse::<Tree>().unwrap_or_else(|error| panic!("{error} in {sml}")).to_text().unwrap()
}

fn both_ways<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T, sml: &str) {
    let written = to_text(&value).unwrap();
    assert_eq!(Sml::new(&written).to_string(), sml);
    assert_eq!(from_text::<T>(&written), Ok(value));
}

fn read<T: DeserializeOwned>(sml: &str) -> Result<T, SerdeError> {
    from_text(&text(sml))
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Id(u32);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Report {
    id: Id,
    values: Vec<Value>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Value {
    Absent,
    Text(String),
    Pair(u8, bool),
    Trace {
        from: i16,
        #[serde(with = "array")]
        samples: Vec<f32>,
    },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Arrays {
    #[serde(with = "array")]
    truth: Vec<bool>,
    #[serde(with = "array")]
    numbers: [i64; 2],
    #[serde(with = "array")]
    none: Vec<u16>,
    #[serde(with = "binary")]
    octets: Vec<u8>,
    listed: Vec<u16>,
}

#[test]
fn each_row_of_the_mapping_goes_both_ways() {
    both_ways(true, "<BOOLEAN TRUE>");
    both_ways((1_u8, 2_u16, 3_u32, 4_u64), "<L [4] <U1 1> <U2 2> <U4 3> <U8 4>>");
    both_ways((-1_i8, -2_i16, -3_i32, -4_i64), "<L [4] <I1 -1> <I2 -2> <I4 -3> <I8 -4>>");
    both_ways((0.5_f32, 1e300_f64), "<L [2] <F4 0.5> <F8 1e300>>");
    both_ways(("ABC".to_owned(), 'x'), r#"<L [2] <A "ABC"> <A "x">>"#);
    both_ways(vec![1_u8, 2], "<L [2] <U1 1> <U1 2>>");
    both_ways(Vec::<u8>::new(), "<L [0]>");
    both_ways(BTreeMap::from([("a".to_owned(), 1_u8)]), r#"<L [1] <L [2] <A "a"> <U1 1>>>"#);
    both_ways((None::<u8>, Some(1_u8)), "<L [2] <L [0]> <U1 1>>");
    both_ways(((), Unit), "<L [2] <L [0]> <L [0]>>");
    both_ways(Id(7), "<U4 7>");
    both_ways(Value::Absent, r#"<A "Absent">"#);
    both_ways(Value::Text("x".into()), r#"<L [2] <A "Text"> <A "x">>"#);
    both_ways(Value::Pair(1, false), r#"<L [2] <A "Pair"> <L [2] <U1 1> <BOOLEAN FALSE>>>"#);
    both_ways(
        Value::Trace { from: -1, samples: vec![0.5, 1.0] },
        r#"<L [2] <A "Trace"> <L [2] <I2 -1> <F4 0.5 1.0>>>"#,
    );
    both_ways(
        Report { id: Id(1), values: vec![Value::Absent, Value::Text(String::new())] },
        r#"<L [2] <U4 1> <L [2] <A "Absent"> <L [2] <A "Text"> <A "">>>>"#,
    );
    both_ways(
        Arrays { truth: vec![true, false], numbers: [-1, 2], none: vec![], octets: vec![0xaa], listed: vec![9] },
        "<L [5] <BOOLEAN TRUE FALSE> <I8 -1 2> <U2> <B 0xAA> <L [1] <U2 9>>>",
    );
}

#[test]
fn other_formats_are_read_where_the_value_fits() {
    assert_eq!(read("<U1 7>"), Ok(7_u32));
    assert_eq!(read("<I8 7>"), Ok(7_u8));
    assert_eq!(read("<B 0x07>"), Ok(7_u8));
    assert_eq!(read("<U4 7>"), Ok(7.0_f64));
    assert_eq!(read("<F4 0.5>"), Ok(0.5_f64));
    assert_eq!(read("<C2 2 \"µm\">"), Ok("µm".to_owned()));
    assert_eq!(read("<U2 1 2 3>"), Ok(vec![1_u16, 2, 3]));
    assert_eq!(read("<U2 1>"), Ok(vec![1_u16]));
    assert_eq!(read("<U2 1 2>"), Ok((1_u16, 2_u16)));
    assert_eq!(read("<B 1 2>"), Ok(vec![1_u8, 2]));
    assert_eq!(read("<A \"\">"), Ok(None::<String>));
    assert_eq!(read("<U4>"), Ok(None::<u32>));
    assert_eq!(read("<U1 0>"), Ok(Value::Absent));
    assert_eq!(read("<L [2] <U1 1> <A \"x\">>"), Ok(Value::Text("x".into())));
    assert!(read::<(u8, IgnoredAny)>("<L <U1 1> <L <L <A>>>>").is_ok());
    // Borrowed from the text.
    assert_eq!(from_text::<&str>(b"\x41\x03ABC"), Ok("ABC"));
    assert_eq!(from_text::<&[u8]>(b"\x21\x02\x01\x02"), Ok(&[1, 2][..]));
    assert_eq!(from_text::<&[u8]>(b"\x41\x01\xff"), Ok(&[0xff][..]));
}

#[test]
fn errors_tell_the_path_the_offset_and_what_was_expected() {
    let said = |sml: &str| read::<Report>(sml).unwrap_err().to_string();
    assert_eq!(
        said("<L <U4 1> <L <A 'Absent'> <L <A 'Trace'> <L <I2 1> <F4 1 2> >> <L <A 'Trace'> <L <A 'x'> <F4>>>>>"),
        "values[2].from: at offset 54: invalid type: string \"x\", expected i16"
    );
    assert_eq!(said("<L <A 'x'> <L>>"), "id: at offset 2: invalid type: string \"x\", expected u32");
    assert_eq!(said("<L <U4 1>>"), "at offset 0: invalid length 1, expected struct Report with 2 elements");
    assert_eq!(said("<L <U4 1> <L> <L>>"), "at offset 0: L was expected to hold 2, and holds 3");
    assert_eq!(
        said("<L <U4 1> <L <A 'Nothing'>>>"),
        "values[0]: at offset 10: unknown variant `Nothing`, expected one of `Absent`, `Text`, `Pair`, `Trace`"
    );
    assert_eq!(
        said("<L <U4 1> <L <A 'Text'>>>"),
        "values[0]: at offset 10: a variant with content is a list of its name and the content"
    );
    assert_eq!(
        said("<L <U4 1> <L <L <A 'Absent'> <L>>>>"),
        "values[0]: at offset 10: a variant without content is its name alone"
    );
    assert_eq!(
        read::<u8>("<U2 256>").unwrap_err().to_string(),
        "at offset 0: invalid value: integer `256`, expected u8"
    );

    let cut = from_text::<Report>(b"\x01\x02\xb1\x04\0\0\0\x01\x01\x01\x41\x05Abs").unwrap_err();
    assert_eq!(cut.path(), "values[0]");
    assert_eq!(cut.cause(), &Cause::Read(Error { offset: 10, kind: ErrorKind::Truncated { missing: 2 } }));
    let behind = from_text::<u8>(b"\xa5\x01\x07\x00").unwrap_err();
    assert_eq!(behind.cause(), &Cause::Read(Error { offset: 3, kind: ErrorKind::Trailing { octets: 1 } }));
    let none = from_text::<u8>(b"").unwrap_err();
    assert_eq!(none.cause(), &Cause::Read(Error { offset: 0, kind: ErrorKind::NoItem }));
}

#[test]
fn what_has_no_item_is_refused_by_path() {
    let error = to_text(&vec![Value::Text("µ".into())]).unwrap_err();
    assert_eq!((error.path().as_str(), error.cause()), ("[0].Text", &Cause::Write(WriteError::NotAscii { at: 0 })));
    assert_eq!(to_text(&1_u128).unwrap_err().to_string(), "there is no item for integers of 128 bits");
    let mut small = Writer::new(heapless::Vec::<u8, 4>::new());
    let error = hsms_core::secs2::serde::write(&mut small, &(1_u8, 2_u8)).unwrap_err();
    assert_eq!((error.path().as_str(), error.cause()), ("[0]", &Cause::Write(WriteError::NoRoom { missing: 1 })));

    struct Mixed;
    impl Serialize for Mixed {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq([1].iter().filter(|_| true))
        }
    }
    assert_eq!(to_text(&Mixed).unwrap_err().to_string(), "there is no item for a sequence of unknown length");

    struct Short;
    impl Serialize for Short {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut sequence = serializer.serialize_seq(Some(3))?;
            sequence.serialize_element(&1_u8)?;
            sequence.end()
        }
    }
    assert_eq!(to_text(&Short).unwrap_err().cause(), &Cause::Write(WriteError::ElementsMissing { missing: 2 }));
}

/// What [`array`] puts on its values, on anything.
#[derive(Serialize)]
#[serde(rename = "hsms_core::secs2::U2")]
struct Named<T>(T);

/// The same with an item of octets.
#[derive(Serialize)]
#[serde(rename = "hsms_core::secs2::Tree")]
enum NamedTree {
    B(Vec<u8>),
    U2(Vec<u8>),
}

#[test]
fn values_that_only_bear_the_name_of_an_array_are_refused_where_they_are_none() {
    #[derive(Serialize)]
    struct Fields {
        id: u16,
    }
    #[derive(Serialize)]
    struct Inside(u16);
    #[derive(Serialize)]
    enum Choice {
        Unit,
        New(u16),
        Pair(u16, u16),
        Fields { id: u16 },
    }
    fn said<T: Serialize>(value: T) -> String {
        to_text(&vec![Named(value)]).map(|text| Sml::new(&text).to_string()).unwrap_or_else(|error| error.to_string())
    }
    let none = "[0]: there is no item for anything but numbers and truth values in an array";
    assert_eq!(said(vec![1_u16, 2]), "<L [1] <U2 1 2>>");
    assert_eq!(said(7_u16), "<L [1] <U2 7>>");
    assert_eq!(said(vec![Inside(1), Inside(2)]), "<L [1] <U2 1 2>>");
    assert_eq!(said(7_u8), "[0]: a value of U1 among U2");
    assert_eq!(said(vec![true]), "[0]: a value of BOOLEAN among U2");
    assert_eq!(said("AB"), none);
    assert_eq!(said(vec!['a']), none);
    assert_eq!(said((1_u16, 2_u16)), none);
    assert_eq!(said(()), none);
    assert_eq!(said(vec![None::<u16>]), none);
    assert_eq!(said(vec![Some(1_u16)]), none);
    assert_eq!(said(Unit), none);
    assert_eq!(said(Fields { id: 1 }), none);
    assert_eq!(said(BTreeMap::from([(1_u16, 2_u16)])), none);
    for choice in [Choice::Unit, Choice::New(1), Choice::Pair(1, 2), Choice::Fields { id: 1 }] {
        assert_eq!(said(choice), none);
    }
    assert_eq!(said(format_args!("a{}", 1)), none);
    struct Bytes;
    impl Serialize for Bytes {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(&[0, 1])
        }
    }
    assert_eq!(said(Bytes), none);
    assert_eq!(to_text(&NamedTree::B(vec![1])).unwrap_err().to_string(), "a value of U1 among B");
    assert_eq!(to_text(&NamedTree::U2(vec![1])).unwrap_err().to_string(), "a value of U1 among U2");
}

#[test]
fn a_recursive_type_stops_at_a_depth() {
    #[derive(Debug, Deserialize)]
    struct Nest(#[expect(dead_code, reason = "only read")] Vec<Nest>);

    let nested = |depth: usize| [[1, 1].repeat(depth), vec![1, 0]].concat();
    assert!(from_text::<Nest>(&nested(32)).is_ok());
    let error = from_text::<Nest>(&nested(200_000)).unwrap_err();
    assert_eq!(error.cause(), &Cause::Read(Error { offset: 64, kind: ErrorKind::TooDeep { limit: 32 } }));
}

#[test]
fn entries_of_a_map_that_a_type_leaves_are_not_taken_for_what_follows() {
    #[derive(Debug)]
    struct First;
    impl<'de> Deserialize<'de> for First {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(First)
        }
    }
    impl<'de> Visitor<'de> for First {
        type Value = First;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a map")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<First, A::Error> {
            map.next_entry::<u8, u8>()?;
            Ok(First)
        }
    }
    assert!(read::<First>("<L <L <U1 1> <U1 2>>>").is_ok());
    let error = read::<First>("<L <L <U1 1> <U1 2>> <L <U1 3> <U1 4>>>").unwrap_err();
    assert_eq!(error.to_string(), "at offset 0: L was expected to hold 1, and holds 2");
    let error = read::<First>("<L <L <U1 1>>>").unwrap_err();
    assert_eq!(error.to_string(), "at offset 2: L was expected to hold 2, and holds 1");
}

#[test]
fn every_truncation_and_change_is_an_error_or_a_value() {
    let report = Report {
        id: Id(1),
        values: vec![Value::Absent, Value::Pair(1, true), Value::Trace { from: 1, samples: vec![1.0, 2.0] }],
    };
    let text = to_text(&report).unwrap();
    for cut in 0..text.len() {
        assert!(from_text::<Report>(&text[..cut]).is_err());
    }
    let (mut good, mut refused) = (0, 0);
    for at in 0..text.len() {
        for change in 1..=255 {
            let mut changed = text.clone();
            changed[at] ^= change;
            match from_text::<Report>(&changed) {
                Ok(_) => good += 1,
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    refused += 1;
                }
            }
        }
    }
    assert!(good > 500 && refused > 5_000, "{good} {refused}");
}

#[test]
fn values_stand_among_other_items() {
    let message: SmlMessage = "S6F11 W <L [2] <U4 1> <L [2] <U4 5> <L>>>.".parse().unwrap();
    let text = message.item.unwrap().to_text().unwrap();
    let mut reader = Reader::new(&text);
    reader.list_of(2).unwrap();
    assert_eq!(reader.u4(), Ok(1));
    let report: Report = hsms_core::secs2::serde::from_reader(&mut reader).unwrap();
    reader.finish().unwrap();
    assert_eq!(report, Report { id: Id(5), values: vec![] });

    let mut writer = Writer::new(Vec::new());
    writer.list(2).unwrap();
    writer.u4(1).unwrap();
    hsms_core::secs2::serde::write(&mut writer, &report).unwrap();
    assert_eq!(writer.finish().unwrap(), text);
    assert_eq!(Format::List, Reader::new(&text).peek().unwrap().format());
}

/// One of each format, and what JSON has of it.
fn each_format() -> Vec<(Tree, &'static str)> {
    vec![
        (Tree::List(vec![]), r#"{"L":[]}"#),
        (
            Tree::List(vec![Tree::ascii("ABC"), Tree::List(vec![Tree::U2(vec![1, 2])])]),
            r#"{"L":[{"A":"ABC"},{"L":[{"U2":[1,2]}]}]}"#,
        ),
        (Tree::Binary(vec![0, 255]), r#"{"B":[0,255]}"#),
        (Tree::Boolean(vec![true, false]), r#"{"BOOLEAN":[true,false]}"#),
        (Tree::ascii(""), r#"{"A":""}"#),
        (Tree::Ascii(vec![65, 200]), r#"{"A":[65,200]}"#),
        (Tree::Jis8(vec![0xB1]), r#"{"J":[177]}"#),
        (Tree::Jis8(b"AB".to_vec()), r#"{"J":"AB"}"#),
        // UTF-8 by accident: the encoding says something else.
        (Tree::Ascii("\u{b5}".into()), r#"{"A":[194,181]}"#),
        (Tree::Localized(Encoding::SHIFT_JIS, "\u{b5}".into()), r#"{"C2":[8,[194,181]]}"#),
        (Tree::Localized(Encoding::UTF_8, "\u{b5}m".into()), "{\"C2\":[2,\"\u{b5}m\"]}"),
        (Tree::Localized(Encoding::SHIFT_JIS, vec![0x82, 0xA0]), r#"{"C2":[8,[130,160]]}"#),
        (Tree::Localized(Encoding(0x8001), vec![]), r#"{"C2":[32769,""]}"#),
        (Tree::I8(vec![i64::MIN]), r#"{"I8":[-9223372036854775808]}"#),
        (Tree::I1(vec![-1]), r#"{"I1":[-1]}"#),
        (Tree::I2(vec![]), r#"{"I2":[]}"#),
        (Tree::I4(vec![-70_000, 7]), r#"{"I4":[-70000,7]}"#),
        (Tree::F8(vec![0.5]), r#"{"F8":[0.5]}"#),
        (Tree::F4(vec![-1.5, 0.25]), r#"{"F4":[-1.5,0.25]}"#),
        (Tree::U8(vec![u64::MAX]), r#"{"U8":[18446744073709551615]}"#),
        (Tree::U1(vec![7]), r#"{"U1":[7]}"#),
        (Tree::U2(vec![1]), r#"{"U2":[1]}"#),
        (Tree::U4(vec![1, 2]), r#"{"U4":[1,2]}"#),
    ]
}

#[test]
fn a_tree_is_the_item_in_a_text_and_a_variant_in_any_other_format() {
    for (tree, json) in each_format() {
        assert_eq!(to_text(&tree).unwrap(), tree.to_text().unwrap());
        assert_eq!(from_text::<Tree>(&tree.to_text().unwrap()), Ok(tree.clone()));
        assert_eq!(serde_json::to_string(&tree).unwrap(), json);
        assert_eq!(serde_json::from_str::<Tree>(json).unwrap(), tree);
    }
    let infinity = Tree::F4(vec![f32::NEG_INFINITY]);
    assert_eq!(from_text::<Tree>(&to_text(&infinity).unwrap()), Ok(infinity));
}

#[test]
fn a_tree_stands_for_any_item_of_a_type() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Variable {
        id: u32,
        value: Option<Tree>,
        limits: BTreeMap<u8, Tree>,
    }
    let all = each_format().into_iter().map(|(tree, _)| tree).filter(|tree| !tree.is_empty());
    for value in all {
        both_ways(
            Variable { id: 7, value: Some(value.clone()), limits: BTreeMap::from([(1, value.clone())]) },
            &format!("<L [3] <U4 7> {value} <L [1] <L [2] <U1 1> {value}>>>"),
        );
    }
    let error = read::<Vec<Tree>>("<L [2] <U1 1> <L [1] <C2 2>>>").map(|trees| trees.len());
    assert_eq!(error, Ok(2));
}

#[test]
fn what_is_no_tree_is_refused_where_it_is() {
    let refused = |octets: &[u8]| from_text::<Vec<Tree>>(octets).unwrap_err().to_string();
    assert_eq!(
        refused(b"\x01\x02\xa5\x01\x07\x49\x01\x00"),
        "[1]: at offset 5: localized text of length 1, and its encoding alone takes 2"
    );
    assert_eq!(
        refused(b"\x01\x01\x01\x01\xa9\x01\x07"),
        "[0][0]: at offset 4: U2 of length 1, no multiple of the 2 that one value takes"
    );
    assert_eq!(from_text::<Tree>(b"").unwrap_err().cause(), &Cause::Read(Error { offset: 0, kind: ErrorKind::NoItem }));
    let deep = [[1, 1].repeat(33), vec![1, 0]].concat();
    let too_deep = Cause::Read(Error { offset: 64, kind: ErrorKind::TooDeep { limit: 32 } });
    assert_eq!(from_text::<Tree>(&deep).unwrap_err().cause(), &too_deep);

    for (json, why) in [
        (r#"{"U3":[1]}"#, "unknown variant"),
        (r#"{"U1":[256]}"#, "invalid value: integer `256`"),
        (r#"{"B":"AB"}"#, "invalid type: string"),
        (r#"{"B":[256]}"#, "invalid value: integer `256`"),
        ("{\"A\":\"\u{b5}\"}", "a character beyond ASCII"),
        ("{\"C2\":[8,\"\u{b5}\"]}", "a character beyond ASCII"),
        (r#"{"C2":"AB"}"#, "invalid type: string"),
        (r#""L""#, "invalid type: unit variant"),
    ] {
        let error = serde_json::from_str::<Tree>(json).unwrap_err().to_string();
        assert!(error.contains(why), "{json}: {error}");
    }
}

#[test]
fn types_of_the_standard_library_go_both_ways() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Two(u8, bool);

    both_ways(Two(1, true), "<L [2] <U1 1> <BOOLEAN TRUE>>");
    both_ways(HashMap::from([("a".to_owned(), 1_u8)]), r#"<L [1] <L [2] <A "a"> <U1 1>>>"#);
    // Its form for machines, and not its text.
    both_ways(Ipv4Addr::LOCALHOST, "<L [4] <U1 127> <U1 0> <U1 0> <U1 1>>");
    assert_eq!(to_text(&format_args!("a{}", 1)).unwrap(), b"\x41\x02a1");
    assert_eq!(from_text::<&[u8]>(b"\x49\x04\0\x02ok"), Ok(&b"ok"[..]));
    assert_eq!(from_text::<&[u8]>(b"\xa5\x02\x01\x02"), Ok(&[1, 2][..]));
    assert_eq!(from_text::<()>(b"\x01\x00"), Ok(()));
    // Nothing is there for `None`, and it has to be nothing of some kind.
    assert_eq!(from_text::<Option<&str>>(b"\x49\x00").unwrap_err().cause(), &{
        Cause::Read(Error { offset: 0, kind: ErrorKind::NoEncoding { length: 0 } })
    });
    let no_map = from_text::<BTreeMap<u8, u8>>(b"\xa5\x01\x07").unwrap_err();
    assert_eq!(no_map.to_string(), "at offset 0: invalid type: integer `7`, expected a map");
    assert!(from_text::<()>(b"\xa5\x01\x07").is_err());
    assert!(from_text::<Option<u8>>(b"").is_err());
    assert!(from_text::<&[u8]>(b"\x01\x00").is_err());
}

#[test]
fn what_cannot_be_written_is_told_in_words_with_its_path() {
    #[derive(Serialize)]
    struct Outer<T> {
        inner: T,
    }
    struct Unwilling;
    impl Serialize for Unwilling {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("not this one"))
        }
    }
    struct Counted;
    impl Serialize for Counted {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map([(1, 1)].into_iter().filter(|_| true))
        }
    }
    // Left out, the others would be taken for one another.
    #[derive(Serialize)]
    struct Sparse {
        #[serde(skip_serializing_if = "Option::is_none")]
        left_out: Option<u8>,
        there: u8,
    }
    fn said<T: Serialize>(inner: T) -> String {
        to_text(&Outer { inner: Outer { inner } }).unwrap_err().to_string()
    }
    assert_eq!(said("\u{b5}"), "inner.inner: a character beyond ASCII at offset 0");
    assert_eq!(said(1_i128), "inner.inner: there is no item for integers of 128 bits");
    let sparse = |left_out| Sparse { left_out, there: 7 };
    assert_eq!(said(sparse(None)), "inner.inner.left_out: there is no item for a field that is left out");
    assert_eq!(Sml::new(&to_text(&sparse(Some(1))).unwrap()).to_string(), "<L [2] <U1 1> <U1 7>>");
    assert_eq!(said(Unwilling), "inner.inner: not this one");
    assert_eq!(said(Counted), "inner.inner: there is no item for a map of unknown length");
    assert_eq!(said(BTreeMap::from([(1, "\u{b5}")])), "inner.inner[0]: a character beyond ASCII at offset 0");
}

#[test]
fn a_recursive_enum_stops_at_a_depth() {
    #[derive(Debug, Deserialize)]
    enum Nest {
        End,
        Deeper(#[expect(dead_code, reason = "only read")] Box<Nest>),
    }
    let nested = |depth: usize| [b"\x01\x02\x41\x06Deeper".repeat(depth), b"\x41\x03End".to_vec()].concat();
    assert!(from_text::<Nest>(&nested(30)).is_ok());
    let error = from_text::<Nest>(&nested(10_000)).unwrap_err();
    assert!(matches!(error.cause(), Cause::Read(Error { kind: ErrorKind::TooDeep { limit: 32 }, .. })), "{error}");
}

#[test]
fn a_variant_with_content_is_not_its_name_alone() {
    for name in ["Text", "Pair", "Trace"] {
        let said = read::<Value>(&format!("<A '{name}'>")).unwrap_err().to_string();
        assert_eq!(said, "at offset 0: a variant with content is a list of its name and the content");
    }
    assert!(from_text::<IgnoredAny>(b"\xa5\x01").is_err());
}

#[test]
fn a_text_of_a_tree_tells_what_else_was_expected() {
    for (json, why) in [
        (r#"{"A":7}"#, "invalid type: integer `7`, expected a text or octets"),
        ("{\"J\":\"\u{b5}\"}", "a character beyond ASCII"),
        (r#"{"B":7}"#, "invalid type: integer `7`, expected octets"),
    ] {
        let error = serde_json::from_str::<Tree>(json).unwrap_err().to_string();
        assert!(error.starts_with(why), "{json}: {error}");
    }
}

/// A format that is not made to be read: the name of a variant, before that has been read, and its octets.
struct Compact(Option<&'static str>, &'static [u8]);

impl<'de> serde::Deserializer<'de> for Compact {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Some(_) => visitor.visit_enum(self),
            None => visitor.visit_borrowed_bytes(self.1),
        }
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> serde::de::EnumAccess<'de> for Compact {
    type Error = serde::de::value::Error;
    type Variant = Compact;

    fn variant_seed<T: serde::de::DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Compact), Self::Error> {
        let name: StrDeserializer<'_, Self::Error> = self.0.unwrap_or_default().into_deserializer();
        Ok((seed.deserialize(name)?, Compact(None, self.1)))
    }
}

impl<'de> serde::de::VariantAccess<'de> for Compact {
    type Error = serde::de::value::Error;

    fn newtype_variant_seed<T: serde::de::DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Self::Error> {
        seed.deserialize(self)
    }

    fn unit_variant(self) -> Result<(), Self::Error> {
        Err(serde::de::Error::custom("it has content"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom("it is one value"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom("it is one value"))
    }
}

#[test]
fn a_format_that_is_not_made_to_be_read_has_octets_for_texts_and_the_encoding_in_front() {
    let read = |name, octets| Tree::deserialize(Compact(Some(name), octets)).map_err(|error| error.to_string());
    assert_eq!(read("B", b"\x00\xff"), Ok(Tree::Binary(vec![0, 255])));
    assert_eq!(read("A", b"ABC"), Ok(Tree::ascii("ABC")));
    assert_eq!(read("J", b"\xb1"), Ok(Tree::Jis8(vec![0xb1])));
    assert_eq!(read("C2", b"\x00\x02ok"), Ok(Tree::Localized(Encoding::UTF_8, b"ok".to_vec())));
    assert_eq!(read("C2", b"\x80\x01"), Ok(Tree::Localized(Encoding(0x8001), vec![])));
    for short in [&b""[..], b"\x00"] {
        let why = format!("invalid length {}, expected two octets of the encoding, and the text", short.len());
        assert_eq!(read("C2", short), Err(why));
    }
    assert!(read("L", b"").is_err(), "a list is no octets");
    assert!(read("X", b"").is_err(), "no format");
}

/// What a visitor is given: octets, a text, or how many elements are announced at each of them.
#[derive(Debug, PartialEq)]
enum Given {
    Octets(Vec<u8>),
    Text(String),
    Announced(Vec<Option<usize>>),
}

struct Ask;

impl<'de> Visitor<'de> for Ask {
    type Value = Given;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("anything")
    }

    fn visit_borrowed_bytes<E>(self, octets: &'de [u8]) -> Result<Given, E> {
        Ok(Given::Octets(octets.to_vec()))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Given, E> {
        Ok(Given::Text(text.to_owned()))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut elements: A) -> Result<Given, A::Error> {
        let mut announced = vec![elements.size_hint()];
        while elements.next_element::<IgnoredAny>()?.is_some() {
            announced.push(elements.size_hint());
        }
        Ok(Given::Announced(announced))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut entries: A) -> Result<Given, A::Error> {
        let mut announced = vec![entries.size_hint()];
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            announced.push(entries.size_hint());
        }
        Ok(Given::Announced(announced))
    }
}

/// Asks for anything, for octets, or for a map.
macro_rules! asks {
    ($($name:ident $method:ident;)+) => {$(
        #[derive(Debug, PartialEq)]
        struct $name(Given);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.$method(Ask).map($name)
            }
        }
    )+};
}

asks! {
    Anything deserialize_any;
    Octets deserialize_bytes;
    Entries deserialize_map;
}

#[test]
fn texts_come_as_text_where_their_encoding_is_known_and_as_octets_where_those_are_asked_for() {
    let octets = |of: &[u8]| Given::Octets(of.to_vec());
    let utf_8 = [0x49, 4, 0, 2, b'o', b'k'];
    let other = [0x49, 4, 0, 9, b'o', b'k'];
    let ascii = [0x41, 2, b'o', b'k'];
    assert_eq!(from_text::<Anything>(&utf_8).unwrap().0, Given::Text("ok".to_owned()));
    assert_eq!(from_text::<Anything>(&ascii).unwrap().0, Given::Text("ok".to_owned()));
    assert_eq!(from_text::<Anything>(&other).unwrap().0, octets(b"ok"));
    for text in [&utf_8[..], &other, &ascii] {
        assert_eq!(from_text::<Octets>(text).unwrap().0, octets(b"ok"));
    }
}

#[test]
fn lists_and_maps_announce_what_is_left_of_them() {
    let announced = Given::Announced(vec![Some(2), Some(1), Some(0)]);
    assert_eq!(from_text::<Anything>(&text("<L <U1 7> <U1 8>>")).unwrap().0, announced);
    assert_eq!(from_text::<Entries>(&text("<L <L <U1 7> <U1 8>> <L <U1 9> <U1 8>>>")).unwrap().0, announced);
}

#[test]
fn an_item_with_values_is_no_variant_without_content() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename = "hsms_core::secs2::Tree")]
    enum Named {
        U1,
    }
    let error = read::<Named>("<U1 7>").unwrap_err().to_string();
    assert_eq!(error, "at offset 0: an item has content");
}
