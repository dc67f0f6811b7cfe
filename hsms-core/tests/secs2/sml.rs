//! Printing: layout, limits, and what is malformed.

use hsms_core::secs2::Sml;
use hsms_core::wire::{Header, Message, SessionId, StreamFunction, SystemBytes};

/// `<L [3] <A "ABC"> <L [2] <L [0]> <L [1] <U4 1 2>>> <B>>`
const TEXT: &[u8] = b"\x01\x03\x41\x03ABC\x01\x02\x01\x00\x01\x01\xb1\x08\x00\x00\x00\x01\x00\x00\x00\x02\x21\x00";

#[test]
fn one_line_or_a_line_for_each_item() {
    assert_eq!(Sml::new(TEXT).to_string(), r#"<L [3] <A "ABC"> <L [2] <L [0]> <L [1] <U4 1 2>>> <B>>"#);
    let lines = [
        "<L [3]",
        "  <A \"ABC\">",
        "  <L [2]",
        "    <L [0]>",
        "    <L [1]",
        "      <U4 1 2>",
        "    >",
        "  >",
        "  <B>",
        ">",
    ];
    assert_eq!(format!("{:#}", Sml::new(TEXT)), lines.join("\n"));
    assert_eq!(Sml::new(b"").to_string(), "");
}

#[test]
fn a_message_has_its_stream_and_function_in_front_and_a_full_stop_behind() {
    let message = |function, reply_expected, body| {
        Message::new(Header::data(SystemBytes(1), StreamFunction::new(6, function), reply_expected, SessionId(0)), body)
    };
    assert_eq!(Sml::message(&message(11, true, b"\xa5\x01\x07")).to_string(), "S6F11 W <U1 7>.");
    assert_eq!(Sml::message(&message(12, false, b"\x21\x01\x00")).to_string(), "S6F12 <B 0x00>.");
    assert_eq!(Sml::message(&message(0, false, b"")).to_string(), "S6F0.");
    assert_eq!(
        format!("{:#}", Sml::message(&message(11, true, b"\x01\x01\x01\x00"))),
        "S6F11 W\n<L [1]\n  <L [0]>\n>."
    );
}

#[test]
fn a_limit_cuts_anywhere_and_shows_that_it_did() {
    for whole in [Sml::new(TEXT).to_string(), format!("{:#}", Sml::new(TEXT))] {
        let indented = whole.contains('\n');
        for limit in 0..whole.len() + 2 {
            let sml = Sml::new(TEXT).limited(limit);
            let printed = if indented { format!("{sml:#}") } else { sml.to_string() };
            match whole.get(..limit).filter(|front| front.len() < whole.len()) {
                Some(front) => assert_eq!(printed, format!("{front}…")),
                None => assert_eq!(printed, whole),
            }
        }
    }
}

#[test]
fn what_is_good_is_printed_and_then_the_error() {
    let said = |text: &[u8]| Sml::new(text).to_string();
    assert_eq!(said(b"\x01"), "/* at offset 0: the item is cut off; octets missing: 1 or more */");
    assert_eq!(
        said(&TEXT[..19]),
        r#"<L [3] <A "ABC"> <L [2] <L [0]> <L [1] /* at offset 13: the item is cut off; octets missing: 4 or more */"#
    );
    assert_eq!(
        said(b"\x01\x02\xa5\x01\x07\x05\x00"),
        "<L [2] <U1 7> /* at offset 5: format code 01 (octal) is not defined */"
    );
    assert_eq!(said(b"\xa5\x01\x07\x00"), "<U1 7> /* at offset 3: octets behind the item: 1 */");
    assert_eq!(
        said(b"\x03\xff\xff\xff\xa5\x01\x07"),
        "<L [16777215] <U1 7> /* at offset 7: the text ends where an item was expected */"
    );
}

#[test]
fn floats_stay_short_and_whole() {
    let mut text = vec![0x81, 5 * 8];
    for value in [0.1, -0.0, 1e-300, f64::MAX, f64::NAN] {
        text.extend(f64::to_be_bytes(value));
    }
    assert_eq!(Sml::new(&text).to_string(), "<F8 0.1 -0.0 1e-300 1.7976931348623157e308 NaN>");
}

#[test]
fn a_receiver_that_takes_no_more_is_told_of_as_an_error() {
    struct Room(usize);
    impl std::fmt::Write for Room {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0 = self.0.checked_sub(text.len()).ok_or(std::fmt::Error)?;
            Ok(())
        }
    }
    let header = Header::data(SystemBytes(1), StreamFunction::new(6, 11), true, SessionId(0));
    let sml = Sml::message(&Message::new(header, TEXT));
    let whole = sml.to_string().len();
    for room in 0..whole + 2 {
        let written = std::fmt::write(&mut Room(room), format_args!("{sml}"));
        assert_eq!(written.is_ok(), room >= whole, "{room}");
    }
}
