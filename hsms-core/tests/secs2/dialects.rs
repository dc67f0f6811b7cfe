//! SML as others write it, and what is wrong with it in which line and column.

use hsms_core::secs2::{Encoding, SmlErrorKind, SmlMessage, Tree};
use hsms_core::wire::StreamFunction;

fn parse(sml: &str) -> Tree {
    sml.parse().unwrap_or_else(|error| panic!("{error} in {sml}"))
}

#[test]
fn common_dialects_mean_the_same() {
    let tree = parse(r#"<L [2] <A "ABC"> <U4 1 2>>"#);
    assert_eq!(tree, Tree::List(vec![Tree::ascii("ABC"), Tree::U4(vec![1, 2])]));
    for same in [
        "<L,2 <A,3 'ABC'> <U4,2 1 2>>",
        "<L[2] <A[3] \"ABC\"> <U4[2] 0x1 0x2>>",
        "<L <A 'AB' 0x43> <U4 1 2>>",
        "< l [ 2 ] < ascii \"A\" 66 'C' > < u4 0b1 0b10 > >",
        "<L [2]\n  <A [3] \"ABC\"> // name\n  /* two\n lines */ <U4 1/* one */2>\r\n>\n",
        "<L<A\"ABC\"><U4 1\t2>>",
        "<L[2..5] <A[0..20] 'ABC'> <U4 [1..] 1 2>>",
        "<L [2..2] <A[..3] 'ABC'> <U4[ 0 /* least */ .. 2 ] 1 2>>",
    ] {
        assert_eq!(parse(same), tree, "{same}");
    }
}

#[test]
fn values_of_every_format() {
    for (sml, tree) in [
        ("<BOOLEAN TRUE T 1 t True FALSE f 0>", Tree::Boolean(vec![true, true, true, true, true, false, false, false])),
        ("<BOOL[1] 0x01>", Tree::Boolean(vec![true])),
        ("<B 0xFF 255 0b11111111>", Tree::Binary(vec![255; 3])),
        ("<BINARY>", Tree::Binary(vec![])),
        ("<A>", Tree::ascii("")),
        ("<A \"it's\" 0x22>", Tree::ascii("it's\"")),
        ("<A \"<not> /* a */ // comment\">", Tree::ascii("<not> /* a */ // comment")),
        ("<J 0xB1>", Tree::Jis8(vec![0xb1])),
        ("<C2 2 \"µm\">", Tree::Localized(Encoding::UTF_8, "µm".into())),
        ("<C2[2] 0x8001 \"ok\">", Tree::Localized(Encoding(0x8001), b"ok".to_vec())),
        ("<I1 -128 127>", Tree::I1(vec![-128, 127])),
        ("<I2 -32768>", Tree::I2(vec![i16::MIN])),
        ("<I4 2147483647>", Tree::I4(vec![i32::MAX])),
        ("<I8 -9223372036854775808>", Tree::I8(vec![i64::MIN])),
        ("<U1 +7>", Tree::U1(vec![7])),
        ("<U2 65535>", Tree::U2(vec![65535])),
        ("<U8 18446744073709551615>", Tree::U8(vec![u64::MAX])),
        ("<F4 1 -0.5 1e-3 inf>", Tree::F4(vec![1.0, -0.5, 0.001, f32::INFINITY])),
        ("<F8 1.7976931348623157e308>", Tree::F8(vec![f64::MAX])),
        ("<L>", Tree::List(vec![])),
        ("<L,0>", Tree::List(vec![])),
    ] {
        assert_eq!(parse(sml), tree, "{sml}");
    }
}

#[test]
fn what_is_wrong_has_a_line_and_a_column() {
    use SmlErrorKind as Kind;
    let format = |name: &str| *hsms_core::secs2::Format::ALL.iter().find(|format| format.sml() == name).unwrap();
    let not_a_value = |name| Kind::NotAValue { format: format(name) };
    for (sml, line, column, kind) in [
        ("", 1, 1, Kind::NoItem),
        ("ABC", 1, 1, Kind::NoItem),
        ("<L [1]\n  <U3 1>>", 2, 4, Kind::UnknownFormat),
        ("<>", 1, 2, Kind::UnknownFormat),
        ("<L [2]\n  <U1 1>\n>", 1, 1, Kind::OtherCount { said: 2, found: 1 }),
        ("<L\n\n <A [2] 'ABC'>>", 3, 2, Kind::OtherCount { said: 2, found: 3 }),
        ("<L [x]>", 1, 4, Kind::BadCount),
        ("<L [1>", 1, 4, Kind::BadCount),
        ("<L,>", 1, 3, Kind::BadCount),
        ("<L [..]>", 1, 4, Kind::BadCount),
        ("<L [2..1]>", 1, 4, Kind::BadCount),
        ("<L [1..2>", 1, 4, Kind::BadCount),
        ("<L [1.2]>", 1, 4, Kind::BadCount),
        ("<L [1...2]>", 1, 4, Kind::BadCount),
        ("<L [..99999999999999999999]>", 1, 7, Kind::BadCount),
        ("<L,0..1>", 1, 5, Kind::NoItem),
        ("<L\n <A [0..2] 'ABC'>>", 2, 2, Kind::CountOutside { least: 0, most: Some(2), found: 3 }),
        ("<L\n <U1[2..] 1>>", 2, 2, Kind::CountOutside { least: 2, most: None, found: 1 }),
        ("<L [2..5]\n  <U1 1>\n>", 1, 1, Kind::CountOutside { least: 2, most: Some(5), found: 1 }),
        ("<U1 255 256>", 1, 9, not_a_value("U1")),
        ("<U1 -1>", 1, 5, not_a_value("U1")),
        ("<U1 1.0>", 1, 5, not_a_value("U1")),
        ("<U1 0x-1>", 1, 5, not_a_value("U1")),
        ("<U1 1", 1, 6, not_a_value("U1")),
        ("<F4 x>", 1, 5, not_a_value("F4")),
        ("<BOOLEAN 2>", 1, 10, not_a_value("BOOLEAN")),
        ("<B <U1 1>>", 1, 4, not_a_value("B")),
        ("<A ABC>", 1, 4, not_a_value("A")),
        ("<A 'a' 256>", 1, 8, not_a_value("A")),
        ("<A 'µm'>", 1, 5, Kind::NotAscii),
        ("<C2 'ok'>", 1, 5, Kind::NoEncoding),
        ("<C2 65536 'ok'>", 1, 5, Kind::NoEncoding),
        ("<C2 4 'µ'>", 1, 8, Kind::NotAscii),
        ("<L\n <A \"AB>\n>", 2, 5, Kind::Unclosed),
        ("<L /* <A>>", 1, 4, Kind::Unclosed),
        ("<L <L>", 1, 7, Kind::NoItem),
        ("<L> <L>", 1, 5, Kind::Trailing),
        ("<L>>", 1, 4, Kind::Trailing),
    ] {
        let error = sml.parse::<Tree>().unwrap_err();
        assert_eq!((error.line, error.column, error.kind), (line, column, kind), "{sml}: {error}");
    }
    let sml = "<A\n  'é' 'x'>".parse::<Tree>().unwrap_err();
    assert_eq!(sml.to_string(), "line 2, column 4: a character beyond ASCII");
    let outside = |sml: &str| sml.parse::<Tree>().unwrap_err().to_string();
    assert_eq!(outside("<A[..2] 'ABC'>"), "line 1, column 1: the count is 0 to 2, and the item has 3");
    assert_eq!(outside("<L [1..]>"), "line 1, column 1: the count is 1 or more, and the item has 0");
}

#[test]
fn nesting_is_limited_as_in_a_text() {
    let nested = |depth: usize| format!("{}{}", "<L".repeat(depth), ">".repeat(depth));
    let deepest = parse(&nested(33));
    assert_eq!(deepest.to_text().unwrap().len(), 66);
    assert_eq!(parse(&deepest.to_string()), deepest);
    let error = nested(34).parse::<Tree>().unwrap_err();
    assert_eq!((error.column, error.kind), (67, SmlErrorKind::TooDeep { limit: 32 }));
    // As many as anyone likes: the answer is the same, and comes as soon.
    assert_eq!("<L ".repeat(200_000).parse::<Tree>().unwrap_err().kind, error.kind);
}

#[test]
fn messages_have_stream_function_and_w() {
    let message = |sml: &str| sml.parse::<SmlMessage>().unwrap_or_else(|error| panic!("{error} in {sml}"));
    let s1f3 = SmlMessage {
        stream_function: StreamFunction::new(1, 3),
        reply_expected: true,
        item: Some(Tree::List(vec![Tree::U4(vec![7])])),
    };
    for same in [
        "S1F3 W <L [1] <U4 7>>.",
        "'S1F3' W\n<L [1]\n  <U4 7>\n>\n.\n",
        "\"s01f03\" w <L<U4 7>>",
        "/* asks */ S1F3 W // now\n<L <U4 7> > .",
        "SelectedStatus:'S1F3' W\n  <L [1]\n    <U4 [1] 7>\n  >\n.",
        "status request-2 : /* named */ S1F3 W <L <U4 7>>.",
    ] {
        assert_eq!(message(same), s1f3, "{same}");
    }
    assert_eq!(s1f3.to_string(), "S1F3 W <L [1] <U4 7>>.");
    assert_eq!(message(&format!("{s1f3:#}")), s1f3);
    let header_only = SmlMessage { stream_function: StreamFunction::new(1, 1), reply_expected: true, item: None };
    assert_eq!(message("S1F1 W."), header_only);
    assert_eq!(header_only.to_string(), "S1F1 W.");
    let abort = SmlMessage { stream_function: StreamFunction::new(6, 0), reply_expected: false, item: None };
    assert_eq!((message("S6F0 ."), abort.to_string().as_str()), (abort, "S6F0."));

    for (sml, column, kind) in [
        ("<L>", 1, SmlErrorKind::NoStreamFunction),
        ("S128F1", 1, SmlErrorKind::NoStreamFunction),
        ("S1F256", 1, SmlErrorKind::NoStreamFunction),
        ("'S1F1 W", 6, SmlErrorKind::Unclosed),
        ("S1F1 X", 6, SmlErrorKind::Trailing),
        ("name S1F1", 1, SmlErrorKind::NoStreamFunction),
        ("a 'b': S1F1", 1, SmlErrorKind::NoStreamFunction),
        ("S1F1 W <L>. S1F1", 13, SmlErrorKind::Trailing),
        ("S1F1 W <X>.", 9, SmlErrorKind::UnknownFormat),
    ] {
        let error = sml.parse::<SmlMessage>().unwrap_err();
        assert_eq!((error.line, error.column, error.kind), (1, column, kind), "{sml}: {error}");
    }
}

#[test]
fn a_comment_that_does_not_end_is_found_wherever_it_begins() {
    let tokens = [
        "", "name:", "S1F3", "W", "<", "L", "[", "2", "]", "<", "U4", "[", "1", "..", "2", "]", "7", ">", "<", "C2",
        "2", "'x'", ">", ">", ".",
    ];
    assert!(tokens.join(" ").parse::<SmlMessage>().is_ok());
    for end in 1..=tokens.len() {
        let cut = format!("{} /* and so on", tokens[..end].join(" "));
        let error = cut.parse::<SmlMessage>().unwrap_err();
        assert_eq!(error.kind, SmlErrorKind::Unclosed, "{cut}: {error}");
    }
    let error = "<C2 [1] /* and so on".parse::<Tree>().unwrap_err();
    assert_eq!((error.column, error.kind), (9, SmlErrorKind::Unclosed));
}

#[test]
fn every_error_is_told_in_words() {
    use SmlErrorKind as Kind;
    let format = hsms_core::secs2::Format::U4;
    for (kind, words) in [
        (Kind::NoItem, "an item was expected: <"),
        (Kind::UnknownFormat, "not the name of a format"),
        (Kind::BadCount, "a count was expected, closed if it is in brackets"),
        (Kind::OtherCount { said: 2, found: 1 }, "the count is 2, and the item has 1"),
        (Kind::CountOutside { least: 1, most: Some(3), found: 4 }, "the count is 1 to 3, and the item has 4"),
        (Kind::CountOutside { least: 1, most: None, found: 0 }, "the count is 1 or more, and the item has 0"),
        (Kind::NotAValue { format }, "not a value of U4"),
        (Kind::NoEncoding, "the number of an encoding was expected, 0 to 65535"),
        (Kind::NotAscii, "a character beyond ASCII"),
        (Kind::Unclosed, "a quote or a comment is not closed"),
        (Kind::TooDeep { limit: 32 }, "lists nested deeper than 32"),
        (Kind::NoStreamFunction, "stream and function were expected, as in S1F1"),
        (Kind::Trailing, "something behind the end"),
    ] {
        assert_eq!(kind.to_string(), words);
    }
    assert_eq!("<U4 1".parse::<Tree>().map_err(|error| error.line), Err(1));
}

#[test]
fn a_tree_that_is_too_long_to_be_written_prints_as_the_error() {
    let long = Tree::Binary(vec![0; 1 << 24]);
    let words = "/* an item of length 16777216; 16777215 is the most */";
    assert_eq!(long.to_string(), words);
    let message = SmlMessage { stream_function: StreamFunction::new(6, 11), reply_expected: false, item: Some(long) };
    assert_eq!(message.to_string(), format!("S6F11 {words}"));
}
