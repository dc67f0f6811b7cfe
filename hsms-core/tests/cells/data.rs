//! Data messages: in which state, and for which device (E37 7.3, E37.1 7.2, E5 7.13).

use crate::support::{DEVICE, OURS, PAUSE, T6, T7, Who, active, closes, passive, stays, tests};
use hsms_core::Error;
use hsms_core::config::DeviceId;
use hsms_core::connection::{Class, CloseReason, ControlRequest, Event, Leniency, Stray};
use hsms_core::wire::{RejectReason, SessionId, StreamFunction};

const NOT_SELECTED: Class = Class::Rejected(RejectReason::ENTITY_NOT_SELECTED);
const UNKNOWN: Class = Class::Stray(Stray::UnknownDevice);

// Data while NOT SELECTED.

/// Primaries with and without W, replies, aborts, texts, unknown devices, bit 15, stream 9.
const DATA: [&str; 9] = [
    "0000000A 0001 81 01 00 00 00000063",
    "0000000A 0001 01 01 00 00 00000063",
    "0000000A 0001 01 02 00 00 00000063",
    "0000000A 0001 01 00 00 00 00000063",
    "0000000D 0001 81 0D 00 00 00000063 010000",
    "0000000A 0007 81 01 00 00 00000063",
    "0000000A 8001 81 01 00 00 00000063",
    "0000000A FFFF 81 01 00 00 00000063",
    "00000016 0001 09 09 00 00 00000063 210A00010101000000000050",
];

fn data_while_not_selected_default(who: Who) {
    for data in DATA {
        let mut scene = who.connected();
        let rejected = stays().sends("0000000A FFFF 00 04 00 07 00000063").class(NOT_SELECTED);
        scene.receives(data, rejected.clone());
        scene.pass(PAUSE);
        scene.receives(data, rejected);
        // It does not hold the connection open.
        if who.is_active() {
            scene.fires_in(T6 - 2 * PAUSE, closes(CloseReason::T6(ControlRequest::Select)));
        } else {
            scene.fires_in(T7 - 2 * PAUSE, closes(CloseReason::T7));
        }
    }
}

fn data_while_not_selected_strict(who: Who) {
    for data in DATA {
        let rejected = closes(CloseReason::DataNotSelected).sends("0000000A FFFF 00 04 00 07 00000063");
        who.strict().connected().receives(data, rejected.class(NOT_SELECTED));
    }
}

tests! { data_while_not_selected_default:
    data_while_not_selected_default_passive(passive()),
    data_while_not_selected_default_active(active()),
}

tests! { data_while_not_selected_strict:
    data_while_not_selected_strict_passive(passive()),
    data_while_not_selected_strict_active(active()),
}

fn nothing_is_sent_before_selected(who: Who) {
    for mut scene in [who.disabled(), who.opening(), who.connected()] {
        scene.refuses(Error::NotSelected, |connection, now| {
            connection.begin_primary(now, DEVICE, StreamFunction::new(1, 13), true, 0)
        });
    }
}

tests! { nothing_is_sent_before_selected:
    we_send_no_data_before_selected_passive(passive()),
    we_send_no_data_before_selected_active(active()),
}

// Data while SELECTED.

fn primaries_are_delivered(who: Who) {
    let mut scene = who.selected();
    let texts = ["", "0100", "4103414243", "FF"];
    for text in texts {
        for head in ["81 0D", "01 0D", "FF FF", "06 0B"] {
            let len = 10 + text.len() / 2;
            let octets = format!("{len:08X} 0001 {head} 00 00 00000063 {text}");
            let received = scene.receives(&octets, stays().class(Class::Primary));
            assert_eq!(received[0].header.encode()[..], crate::support::hex(&octets)[4..14]);
            assert_eq!(received[0].text, crate::support::hex(text));
            assert_eq!(received[0].token.is_some(), head.starts_with('8') || head.starts_with('F'), "{head}");
        }
    }
}

tests! { primaries_are_delivered:
    primaries_are_delivered_default_passive(passive()),
    primaries_are_delivered_default_active(active()),
    primaries_are_delivered_strict_passive(passive().strict()),
    primaries_are_delivered_strict_active(active().strict()),
}

// Bit 15 of the session id.

fn bit_15_default(who: Who) {
    let mut scene = who.selected();
    let counted = stays().lenient(Leniency::DirectionBit(SessionId(0x8001))).class(Class::Primary);
    let received = scene.receives("0000000C 8001 81 01 00 00 00000063 0100", counted);
    assert_eq!(received[0].header.session, SessionId(1), "masked");
    assert_eq!(received[0].text, [0x01, 0x00]);
    // We send bit 15 as 0, as E37.1 8.1 says.
    let reply = scene.replies(&received[0], &[]);
    assert_eq!(reply, crate::support::hex("0000000A 0001 01 02 00 00 00000063"));
}

fn bit_15_in_a_reply_default(who: Who) {
    let counted = stays().never().lenient(Leniency::DirectionBit(SessionId(0x8001))).class(Class::Reply);
    let received = who.requesting().receives("0000000A 8001 01 02 00 00 00000061", counted);
    assert_eq!(received[0].header.session, SessionId(1), "masked");
}

tests! { bit_15_default:
    bit_15_of_the_session_id_default_passive(passive()),
    bit_15_of_the_session_id_default_active(active()),
}

tests! { bit_15_in_a_reply_default:
    bit_15_of_the_session_id_of_a_reply_default_passive(passive()),
    bit_15_of_the_session_id_of_a_reply_default_active(active()),
}

fn bit_15_strict(who: Who) {
    let expect = stays().class(UNKNOWN);
    let expect = if who.is_equipment() {
        expect.sends("00000016 0001 09 01 00 00 00000061 210A80018101000000000063")
    } else {
        expect
    };
    who.strict().selected().receives("0000000A 8001 81 01 00 00 00000063", expect);
}

tests! { bit_15_strict:
    bit_15_of_the_session_id_strict_passive_equipment(passive().equipment()),
    bit_15_of_the_session_id_strict_active_equipment(active().equipment()),
    bit_15_of_the_session_id_strict_passive_host(passive().host()),
    bit_15_of_the_session_id_strict_active_host(active().host()),
}

/// The transaction stays open: the reply is for a device that is not served.
#[test]
fn bit_15_of_the_session_id_of_a_reply_strict_active() {
    let mut scene = active().strict().requesting();
    scene.receives("0000000A 8001 01 02 00 00 00000061", stays().class(UNKNOWN));
    assert!(scene.connection.is_open(OURS));
}

/// Masking is of no use where the device is unknown without it; what is reported is what came.
#[test]
fn bit_15_and_an_unknown_device_default_equipment() {
    let reported = stays().sends("00000016 0001 09 01 00 00 00000061 210A80078101000000000063").class(UNKNOWN);
    passive().selected().receives("0000000A 8007 81 01 00 00 00000063", reported);
}

// Data for an unknown device id, SELECTED.

fn unknown_device(who: Who) {
    for id in ["0000", "0002", "7FFF", "0100"] {
        let mut scene = who.selected();
        let mut expect = stays().class(UNKNOWN);
        if who.is_equipment() {
            expect = expect.sends(&format!("00000016 0001 09 01 00 00 00000061 210A {id}8101000000000063"));
        }
        scene.receives(&format!("0000000C {id} 81 01 00 00 00000063 0100"), expect);
        // The text was skipped, and the connection goes on.
        scene.receives("0000000A 0001 81 01 00 00 00000064", stays().class(Class::Primary));
    }
}

tests! { unknown_device:
    unknown_device_id_default_passive_equipment(passive().equipment()),
    unknown_device_id_default_active_equipment(active().equipment()),
    unknown_device_id_default_passive_host(passive().host()),
    unknown_device_id_default_active_host(active().host()),
    unknown_device_id_strict_passive_equipment(passive().equipment().strict()),
    unknown_device_id_strict_active_equipment(active().equipment().strict()),
    unknown_device_id_strict_passive_host(passive().host().strict()),
    unknown_device_id_strict_active_host(active().host().strict()),
}

/// 0xFFFF is no device id, with or without bit 15.
#[test]
fn data_with_the_session_id_of_control_messages_is_for_an_unknown_device() {
    let reported = stays().sends("00000016 0001 09 01 00 00 00000061 210AFFFF8101000000000063").class(UNKNOWN);
    passive().selected().receives("0000000A FFFF 81 01 00 00 00000063", reported);
}

/// Stream 9 and aborts are never answered with stream 9.
fn no_s9f1_about(who: Who) {
    for head in ["09 01", "09 09", "89 01", "01 00", "81 00", "09 00"] {
        who.selected().receives(&format!("0000000A 0007 {head} 00 00 00000063"), stays().class(UNKNOWN));
    }
}

tests! { no_s9f1_about:
    no_s9f1_about_stream_9_or_function_0_default(passive()),
    no_s9f1_about_stream_9_or_function_0_strict(passive().strict()),
}

/// S9F1 takes a value of its own and opens nothing.
#[test]
fn s9f1_takes_fresh_system_bytes() {
    let mut scene = passive().requesting();
    for own in ["00000062", "00000063"] {
        let reported =
            stays().sends(&format!("00000016 0001 09 01 00 00 {own} 210A00078101000000000061")).class(UNKNOWN);
        scene.receives("0000000A 0007 81 01 00 00 00000061", reported);
    }
    assert_eq!(scene.connection.open_transactions(), 1);
}

// Several device ids.

#[test]
fn every_listed_device_is_served() {
    let mut scene = passive().devices(&[1, 2, 0x7FFF]).selected();
    for id in ["0001", "0002", "7FFF"] {
        let octets = format!("0000000A {id} 81 01 00 00 00000063");
        let received = scene.receives(&octets, stays().class(Class::Primary));
        let reply = scene.replies(&received[0], &[]);
        assert_eq!(reply, crate::support::hex(&format!("0000000A {id} 01 02 00 00 00000063")));
    }
    scene.receives("0000000A 0003 01 01 00 00 00000063", {
        stays().sends("00000016 0001 09 01 00 00 00000061 210A00030101000000000063").class(UNKNOWN)
    });
}

#[test]
fn device_ids_can_be_learnt_on_a_live_connection() {
    let mut scene = passive().selected();
    scene.receives("0000000A 0007 09 01 00 00 00000063", stays().class(UNKNOWN));
    let seven = DeviceId::new(7).unwrap();
    scene.connection.set_device_ids(seven.into());
    scene.receives("0000000A 0007 81 01 00 00 00000063", stays().class(Class::Primary));
    let device_1 = Error::UnknownDevice { session: SessionId(1) };
    scene
        .refuses(device_1, |connection, now| connection.begin_primary(now, DEVICE, StreamFunction::new(1, 1), true, 0));
}

// The reply's octets (E37 8.2.1).

fn replies_and_aborts(who: Who) {
    let mut scene = who.selected();
    let octets = "0000000A 0001 8D 0B 00 00 63000001";
    let first = scene.receives(octets, stays().class(Class::Primary)).remove(0);
    assert_eq!(scene.replies(&first, &[0x01, 0x00]), crate::support::hex("0000000C 0001 0D 0C 00 00 63000001 0100"));

    let second = scene.receives(octets, stays().class(Class::Primary)).remove(0);
    let now = scene.now();
    let prefix = scene.connection.begin_abort(now, &second.token.unwrap()).unwrap();
    assert_eq!(prefix[..], crate::support::hex("0000000A 0001 0D 00 00 00 63000001"));
    scene.does(stays(), |connection, now| connection.end_body(now));
}

tests! { replies_and_aborts:
    a_reply_copies_its_primary_and_clears_w_passive(passive()),
    a_reply_copies_its_primary_and_clears_w_active(active().strict()),
}

#[test]
fn a_reply_cannot_go_over_another_connection_than_its_primary() {
    let mut scene = passive().selected();
    let received = scene.receives("0000000A 0001 81 01 00 00 00000063", stays().class(Class::Primary)).remove(0);
    scene.happens(Event::TransportClosed, closes(CloseReason::TransportClosed));
    let reply =
        |connection: &mut hsms_core::Connection<4>, now| connection.begin_reply(now, &received.token.unwrap(), 0);
    scene.happens(Event::TransportOpen, stays().state(hsms_core::connection::State::NotSelected).due(T7));
    scene.refuses(Error::StaleToken, reply);
    let accepted = crate::support::selects().sends("0000000A FFFF 00 00 00 02 00000063");
    scene.receives("0000000A FFFF 00 00 00 01 00000063", accepted);
    scene.refuses(Error::StaleToken, reply);
}

/// Our data carries the device id, whatever the Select.req carried.
#[test]
fn data_does_not_adopt_the_session_id_of_the_select() {
    let mut scene = passive().connected();
    let accepted = crate::support::selects()
        .sends("0000000A 0009 00 00 00 02 00000063")
        .lenient(Leniency::SelectSession(SessionId(9)));
    scene.receives("0000000A 0009 00 00 00 01 00000063", accepted);
    let (_, octets) = scene.sends_primary(1, 1, true, &[]);
    assert_eq!(octets, crate::support::hex("0000000A 0001 81 01 00 00 00000051"));
}
