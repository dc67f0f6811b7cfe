//! Lengths: too short, too long, and text where none belongs (E37 8.1.3, 9.3.3, E37.1 Tables 1 and 2, E5 7.13).

use crate::support::{Expect, OURS, PAUSE, Scene, T8, Who, active, closes, hex, passive, stays, tests};
use hsms_core::connection::{Class, CloseReason, Leniency, TransactionEnd};
use hsms_core::wire::{RejectReason, SType, SessionId};

/// The greatest length field of these scenes; the skip limit is four times that.
const MAX: u32 = 100;
const SKIP: u32 = 400;

const REJECTED: Class = Class::Rejected(RejectReason::STYPE_NOT_SUPPORTED);

fn text(len: u32) -> String {
    "AB".repeat(usize::try_from(len).unwrap())
}

/// A whole message of S1F1 from device 1 with this length field.
fn primary(length: u32) -> String {
    format!("{length:08X} 0001 81 01 00 00 00000063 {}", text(length - 10))
}

/// S9F11 about it.
const S9F11: &str = "00000016 0001 09 0B 00 00 00000061 210A00018101000000000063";

fn too_long(length: u32) -> CloseReason {
    CloseReason::LengthTooLong { length, limit: MAX }
}

// Length below 10.

fn length_below_10(scene: Scene) {
    for length in 0..10 {
        let mut expect = closes(CloseReason::LengthTooShort { length });
        if scene.connection.open_transactions() == 1 {
            expect = expect.ends(OURS, TransactionEnd::SessionEnded);
        }
        scene.clone().receives(&format!("{length:08X}"), expect.clone());
        // Whatever comes behind it is void.
        scene.clone().receives(&format!("{length:08X} 0000000A FFFF 00 00 00 05 00000063"), expect);
    }
}

tests! { length_below_10:
    length_below_10_not_selected_default_passive(passive().connected()),
    length_below_10_not_selected_default_active(active().connected()),
    length_below_10_not_selected_strict_passive(passive().strict().connected()),
    length_below_10_not_selected_strict_active(active().strict().connected()),
    length_below_10_selected_default_passive(passive().requesting()),
    length_below_10_selected_default_active(active().requesting()),
    length_below_10_selected_strict_passive(passive().strict().requesting()),
    length_below_10_selected_strict_active(active().strict().requesting()),
}

// Control message with text.

/// Every control message but Reject.req, whose text has a rule of its own.
const CONTROL: [u8; 7] = [1, 2, 3, 4, 5, 6, 9];

fn control_text_closes(scene: Scene) {
    for stype in CONTROL {
        for len in [1, 10, 1000] {
            let expect = closes(CloseReason::ControlText { stype: SType(stype), body_len: len }).class(Class::Fatal);
            let octets = format!("{:08X} FFFF 00 00 00 {stype:02X} 00000051 {}", len + 10, text(len));
            scene.clone().receives(&octets, expect.clone());
            // The header is enough.
            scene.clone().receives(&octets[..34], expect);
        }
    }
}

fn control_text_is_rejected(scene: Scene) {
    for stype in CONTROL {
        for len in [1, 10, 1000] {
            let counted = Leniency::ControlText { stype: SType(stype), body_len: len };
            let rejected = stays()
                .sends(&format!("0000000A FFFF {stype:02X} 01 00 07 00000061"))
                .lenient(counted)
                .class(REJECTED)
                .class(Class::Primary);
            let octets = format!("{:08X} FFFF 00 00 00 {stype:02X} 00000061 {}", len + 10, text(len));
            let mut scene = scene.clone();
            scene.receives(&format!("{octets} 0000000A 0001 81 01 00 00 00000064"), rejected);
            assert!(scene.connection.is_open(OURS), "nothing was answered");
        }
    }
}

tests! { control_text_closes:
    control_message_with_text_not_selected_default_passive(passive().connected()),
    control_message_with_text_not_selected_default_active(active().connected()),
    control_message_with_text_not_selected_strict_passive(passive().strict().connected()),
    control_message_with_text_not_selected_strict_active(active().strict().connected()),
    control_message_with_text_selected_strict_passive(passive().strict().selected()),
    control_message_with_text_selected_strict_active(active().strict().selected()),
}

tests! { control_text_is_rejected:
    control_message_with_text_selected_default_passive(passive().requesting()),
    control_message_with_text_selected_default_active(active().requesting()),
    control_message_with_text_while_our_linktest_is_open_default_passive(passive().testing()),
    control_message_with_text_while_our_linktest_is_open_default_active(active().testing()),
}

// Length above the maximum: data, equipment, SELECTED.

#[test]
fn the_greatest_length_is_accepted() {
    for who in [passive(), active(), passive().strict(), active().strict()] {
        let octets = primary(MAX);
        let received = who.max_message(MAX).selected().receives(&octets, stays().class(Class::Primary));
        assert_eq!(received[0].text.len(), 90);
    }
}

/// Ten octets are enough for everything but text.
#[test]
fn the_greatest_length_may_be_the_least() {
    for who in [passive(), active(), passive().strict(), active().strict()] {
        let mut scene = who.max_message(10).selected();
        let answer = stays().sends("0000000A FFFF 00 00 00 06 00000063");
        scene.receives("0000000A FFFF 00 00 00 05 00000063", answer);
        scene.receives("0000000A 0001 81 01 00 00 00000063", stays().class(Class::Primary));
        let rejected = stays().sends("0000000A FFFF 08 01 00 07 00000063").class(REJECTED);
        scene.receives("0000000A FFFF 00 00 00 08 00000063", rejected);
    }
}

/// Also where the message needs a second look.
#[test]
fn the_greatest_length_is_accepted_with_bit_15_set() {
    let counted = stays().lenient(Leniency::DirectionBit(SessionId(0x8001))).class(Class::Primary);
    let octets = format!("00000064 8001 81 01 00 00 00000063 {}", text(90));
    passive().max_message(MAX).selected().receives(&octets, counted);
}

fn too_long_for_equipment_default(who: Who) {
    for length in [MAX + 1, SKIP] {
        let mut scene = who.max_message(MAX).selected();
        let refused = stays().sends(S9F11).class(Class::TooLong).class(Class::Primary);
        // The text is skipped, and what follows is understood.
        scene.receives(&format!("{} 0000000A 0001 81 01 00 00 00000064", primary(length)), refused);
    }
}

fn too_long_for_equipment_strict(who: Who) {
    for length in [MAX + 1, SKIP, SKIP + 1] {
        let refused = closes(too_long(length)).sends(S9F11).class(Class::TooLong);
        who.strict().max_message(MAX).selected().receives(&primary(length), refused);
    }
}

tests! { too_long_for_equipment_default:
    length_above_maximum_equipment_selected_data_default_passive(passive().equipment()),
    length_above_maximum_equipment_selected_data_default_active(active().equipment()),
}

tests! { too_long_for_equipment_strict:
    length_above_maximum_equipment_selected_data_strict_passive(passive().equipment()),
    length_above_maximum_equipment_selected_data_strict_active(active().equipment()),
}

/// Above the skip limit the connection is closed. Whether S9F11 goes first is not laid down.
fn above_the_skip_limit(who: Who) {
    for length in [SKIP + 1, 0xFFFF_FFFF] {
        let mut scene = who.max_message(MAX).selected();
        let octets = format!("{length:08X} 0001 81 01 00 00 00000063");
        let (taken, _) = scene.connection.receive(scene.now(), &hex(&octets)).unwrap();
        assert_eq!(taken, 14);
        let mut frames = Vec::new();
        let mut closed = None;
        while let Some(action) = scene.connection.poll_action() {
            match action {
                hsms_core::connection::Action::Send(frame) => frames.push(frame.encode().to_vec()),
                hsms_core::connection::Action::CloseTransport(reason) => closed = Some(reason),
                hsms_core::connection::Action::OpenTransport => assert!(closed.is_some() && !who.is_active()),
                hsms_core::connection::Action::Notify(notice) => panic!("{notice:?}"),
            }
        }
        assert_eq!(closed, Some(too_long(length)));
        assert!(frames.is_empty() || frames == [hex(S9F11)], "{frames:?}");
    }
}

tests! { above_the_skip_limit:
    length_above_skip_limit_equipment_selected_data_default_passive(passive().equipment()),
    length_above_skip_limit_equipment_selected_data_default_active(active().equipment()),
}

/// S9F11 is sent about the header, and nothing of the text is stored or asked for at once.
#[test]
fn s9f11_is_sent_as_soon_as_the_header_has_come() {
    let mut scene = passive().max_message(MAX).selected();
    let refused = stays().sends(S9F11).class(Class::TooLong).due(T8);
    scene.receives("00000190 0001 81 01 00 00 00000063", refused);
    // T8 guards the skipping.
    for _ in 0..389 {
        scene.pass(T8 - 1);
        scene.receives("00", stays().due(T8));
    }
    scene.receives("00", stays().never());
    scene.receives("0000000A 0001 01 01 00 00 00000064", stays().class(Class::Primary));
}

/// Stream 9 and aborts are never answered with stream 9; they are skipped all the same.
fn too_long_and_no_s9f11(who: Who) {
    for head in ["09 01", "01 00"] {
        let mut scene = who.max_message(MAX).selected();
        let octets = format!("00000065 0001 {head} 00 00 00000063 {}", text(91));
        scene.receives(&octets, stays().class(Class::TooLong));
        scene.receives("0000000A 0001 01 01 00 00 00000064", stays().class(Class::Primary));
    }
}

tests! { too_long_and_no_s9f11:
    no_s9f11_about_stream_9_or_function_0_default(passive()),
}

/// Device id, then length: the order in which E5's errors are looked for.
#[test]
fn s9f1_goes_before_s9f11() {
    let s9f1 = "00000016 0001 09 01 00 00 00000061 210A00078101000000000063";
    let mut scene = passive().max_message(MAX).selected();
    let octets = format!("00000065 0007 81 01 00 00 00000063 {}", text(91));
    scene.receives(&octets, stays().sends(s9f1));
}

// Length above the maximum: host, or NOT SELECTED, or control.

fn too_long_closes(scene: Scene, heads: &[&str]) {
    for head in heads {
        for length in [MAX + 1, SKIP, SKIP + 1, 0xFFFF_FFFF] {
            let octets = format!("{length:08X} {head} 00000063");
            scene.clone().receives(&octets, closes(too_long(length)));
        }
    }
}

const DATA: [&str; 4] = ["0001 81 01 00 00", "0001 01 01 00 00", "0001 01 02 00 00", "0001 01 00 00 00"];
const CONTROLS: [&str; 4] = ["FFFF 00 00 00 01", "FFFF 00 00 00 05", "FFFF 00 01 00 07", "FFFF 00 00 00 09"];

tests! { too_long_closes:
    length_above_maximum_host_selected_data_default_passive(passive().host().max_message(MAX).selected(), &DATA),
    length_above_maximum_host_selected_data_default_active(active().host().max_message(MAX).selected(), &DATA),
    length_above_maximum_host_selected_data_strict_passive(passive().host().strict().max_message(MAX).selected(), &DATA),
    length_above_maximum_host_selected_data_strict_active(active().host().strict().max_message(MAX).selected(), &DATA),
    length_above_maximum_not_selected_data_default_passive(passive().equipment().max_message(MAX).connected(), &DATA),
    length_above_maximum_not_selected_data_default_active(active().equipment().max_message(MAX).connected(), &DATA),
    length_above_maximum_not_selected_data_strict_passive(passive().strict().max_message(MAX).connected(), &DATA),
    length_above_maximum_not_selected_data_strict_active(active().strict().max_message(MAX).connected(), &DATA),
    length_above_maximum_not_selected_control_default_passive(passive().max_message(MAX).connected(), &CONTROLS),
    length_above_maximum_not_selected_control_default_active(active().max_message(MAX).connected(), &CONTROLS),
    length_above_maximum_not_selected_control_strict_passive(passive().strict().max_message(MAX).connected(), &CONTROLS),
    length_above_maximum_not_selected_control_strict_active(active().strict().max_message(MAX).connected(), &CONTROLS),
    length_above_maximum_selected_control_default_passive(passive().max_message(MAX).selected(), &CONTROLS),
    length_above_maximum_selected_control_default_active(active().equipment().max_message(MAX).selected(), &CONTROLS),
    length_above_maximum_selected_control_strict_passive(passive().strict().max_message(MAX).selected(), &CONTROLS),
    length_above_maximum_selected_control_strict_active(active().strict().max_message(MAX).selected(), &CONTROLS),
}

/// Two gigabytes and more are refused on their claim alone, with the default settings too.
#[test]
fn a_length_of_four_gigabytes_closes() {
    let limit = active().0.max_message();
    for length in [0x8000_0000, 0xFFFF_FFFF] {
        let octets = format!("{length:08X} 0001 81 01 00 00 00000063");
        active().selected().receives(&octets, closes(CloseReason::LengthTooLong { length, limit }));
    }
}

// Reply over the maximum to an open transaction of ours.

fn a_reply_too_long(who: Who, length: u32, expect: Expect) {
    let mut scene = who.max_message(MAX).requesting();
    let octets = format!("{length:08X} 0001 01 02 00 00 00000061 {}", text(length - 10));
    let expect = expect.ends(OURS, TransactionEnd::ReplyTooLong { length }).class(Class::TooLong);
    scene.receives(&octets, expect);
    assert_eq!(scene.connection.open_transactions(), 0);
}

const S9F11_REPLY: &str = "00000016 0001 09 0B 00 00 00000062 210A00010102000000000061";

tests! { a_reply_too_long:
    reply_above_maximum_equipment_default_passive(passive().equipment(), 101, stays().never().sends(S9F11_REPLY)),
    reply_above_maximum_equipment_default_active(active().equipment(), 101, stays().never().sends(S9F11_REPLY)),
    reply_above_maximum_equipment_strict_passive(passive().equipment().strict(), 101, closes(too_long(101)).sends(S9F11_REPLY)),
    reply_above_maximum_equipment_strict_active(active().equipment().strict(), 101, closes(too_long(101)).sends(S9F11_REPLY)),
    reply_above_maximum_host_default_passive(passive().host(), 101, closes(too_long(101))),
    reply_above_maximum_host_default_active(active().host(), 101, closes(too_long(101))),
    reply_above_maximum_host_strict_passive(passive().host().strict(), 101, closes(too_long(101))),
    reply_above_maximum_host_strict_active(active().host().strict(), 101, closes(too_long(101))),
}

/// A reply that does not match ends nothing.
#[test]
fn a_mismatched_reply_above_the_maximum_leaves_the_transaction_open() {
    let mut scene = passive().max_message(MAX).requesting();
    let octets = format!("00000065 0001 01 04 00 00 00000061 {}", text(91));
    let refused = stays().sends("00000016 0001 09 0B 00 00 00000062 210A00010104000000000061");
    scene.receives(&octets, refused);
    assert!(scene.connection.is_open(OURS));
}

// SECS-I.

fn looks_like_secs_i(scene: Scene) {
    scene.clone().receives("05", closes(CloseReason::LooksLikeSecsI));
    scene.clone().receives("0505050505", closes(CloseReason::LooksLikeSecsI));
}

tests! { looks_like_secs_i:
    an_enq_where_a_length_should_be_not_selected_default_passive(passive().connected()),
    an_enq_where_a_length_should_be_not_selected_default_active(active().connected()),
    an_enq_where_a_length_should_be_not_selected_strict_active(active().strict().connected()),
    an_enq_where_a_length_should_be_selected_default_passive(passive().selected()),
}

/// Where such a length can be, it is one; and inside a message 0x05 is an octet like any other.
#[test]
fn an_enq_elsewhere_is_no_secs_i() {
    let mut scene = active().max_message(0x0500_0000).selected();
    scene.receives("05000000 0001 81 01 00 00 00000063 05", stays().class(Class::Primary).due(T8));
    assert_eq!(scene.connection.body_left(), 0x04FF_FFF5);
    active().max_message(0x04FF_FFFF).selected().receives("05", closes(CloseReason::LooksLikeSecsI));
    let mut scene = active().selected();
    scene.receives("00000005", closes(CloseReason::LengthTooShort { length: 5 }));
    let mut scene = active().selected();
    scene.pass(PAUSE);
    scene.receives("0000000C 0501 85 05 00 00 05050505 0505", stays());
}
