//! E37.1 Tables 1 (passive) and 2 (active), row by row and trigger by trigger, for the strict profile where it differs.

use crate::support::{
    Expect, OURS, PAUSE, Scene, T3, T5, T6, T7, T8, Who, active, closes, closes_without_attempt, opens, passive,
    selects, stays, tests,
};
use hsms_core::connection::{Class, CloseReason, Connection, ControlRequest, Event, Notice, State, TransactionEnd};
use hsms_core::wire::{Header, PType, RejectReason, SType, SelectStatus, SystemBytes};

// Row 1: initialisation.

fn row_1(who: Who) {
    let mut scene = who.disabled();
    assert_eq!(scene.connection.state(), State::NotConnected);
    assert_eq!(scene.due_in(), None);
    scene.does(opens().never(), Connection::enable);
    assert_eq!(scene.connection.state(), State::NotConnected);
}

tests! { row_1:
    passive_row_1_starts_not_connected(passive()),
    active_row_1_starts_not_connected(active()),
}

// Row 2: connected. The passive side waits for T7, the active one sends Select.req and waits for T6.

#[test]
fn passive_row_2_accepts_and_starts_t7() {
    for who in [passive(), passive().strict()] {
        let mut scene = who.opening();
        scene.happens(Event::TransportOpen, stays().state(State::NotSelected).due(T7));
    }
}

#[test]
fn active_row_2_sends_select_req_and_starts_t6() {
    for who in [active(), active().strict()] {
        let mut scene = who.opening();
        let select = stays().sends("0000000A FFFF 00 00 00 01 00000051").due(T6);
        scene.happens(Event::TransportOpen, select.state(State::NotSelected));
    }
}

// Row 3: selected.

#[test]
fn passive_row_3_answers_select_req_and_cancels_t7() {
    for who in [passive(), passive().strict()] {
        let accepted = selects().never().sends("0000000A FFFF 00 00 00 02 00000063");
        who.connected().receives("0000000A FFFF 00 00 00 01 00000063", accepted);
    }
}

#[test]
fn active_row_3_takes_select_rsp_and_cancels_t6() {
    for who in [active(), active().strict()] {
        who.connected().receives("0000000A FFFF 00 00 00 02 00000051", selects().never());
    }
}

// Row 4: NOT SELECTED to NOT CONNECTED. `closes` looks at T5 on the active side, and that the passive one listens again.

#[test]
fn passive_row_4_trigger_1_t7() {
    passive().strict().connected().fires_in(T7 - PAUSE, closes(CloseReason::T7));
}

#[test]
fn passive_row_4_trigger_2_select_req_refused() {
    let refused = closes_without_attempt(CloseReason::CallerRefused).sends("0000000A FFFF 00 01 00 02 00000063");
    passive().strict().refusing().receives("0000000A FFFF 00 00 00 01 00000063", refused);
}

#[test]
fn active_row_4_trigger_1_t6() {
    active().strict().connected().fires_in(T6 - PAUSE, closes(CloseReason::T6(ControlRequest::Select)));
}

#[test]
fn active_row_4_trigger_2_select_rsp_not_0() {
    let refused = closes(CloseReason::SelectRefused(SelectStatus::COMMUNICATION_ALREADY_ACTIVE));
    active().strict().connected().receives("0000000A FFFF 00 01 00 02 00000051", refused);
}

/// Trigger 3, any other message. Reject.req is the one that does not close unless it is about our Select.req.
fn row_4_other_message(scene: Scene, expected: u8) {
    for stype in [1_u8, 2, 3, 4, 5, 6, 9] {
        if stype == expected {
            continue;
        }
        let reason = match stype {
            9 => CloseReason::SeparateReceived,
            _ => CloseReason::UnexpectedMessage(SType(stype)),
        };
        scene.clone().receives(&format!("0000000A FFFF 00 00 00 {stype:02X} 00000051"), closes(reason));
    }
    let data = closes(CloseReason::DataNotSelected).sends("0000000A FFFF 00 04 00 07 00000063");
    scene.clone().receives("0000000A 0001 81 0D 00 00 00000063", data);
    let header = Header::reject_req(SystemBytes(0x50), 0, RejectReason::ENTITY_NOT_SELECTED);
    let reported = stays().tells(Notice::RejectReceived { header });
    scene.clone().receives("0000000A FFFF 00 04 00 07 00000050", reported);
}

tests! { row_4_other_message:
    passive_row_4_trigger_3_any_message_but_select_req(passive().strict().connected(), 1),
    active_row_4_trigger_3_any_message_but_select_rsp(active().strict().connected(), 2),
}

/// Trigger 4, length not 10.
fn row_4_length(scene: Scene) {
    for length in [0, 9] {
        scene.clone().receives(&format!("{length:08X}"), closes(CloseReason::LengthTooShort { length }));
    }
    for (stype, system) in [(1_u8, "00000063"), (2, "00000051"), (5, "00000063"), (9, "00000063")] {
        let reason = CloseReason::ControlText { stype: SType(stype), body_len: 1 };
        scene.clone().receives(&format!("0000000B FFFF 00 00 00 {stype:02X} {system} 00"), closes(reason));
    }
}

/// Trigger 5, a bad header.
fn row_4_bad_header(scene: Scene) {
    scene.clone().receives("0000000A FFFF 00 00 01 01 00000063", closes(CloseReason::UnknownPType(PType(1))));
    scene.clone().receives("0000000A FFFF 00 00 00 08 00000063", closes(CloseReason::UnknownSType(SType(8))));
    scene.clone().receives("0000000A FFFF 00 00 00 FF 00000063", closes(CloseReason::UnknownSType(SType(255))));
}

/// Trigger 6, T8.
fn row_4_t8(mut scene: Scene) {
    scene.receives("0000000A FFFF 00 00 00 01 0000", stays().due(T8));
    scene.fires_in(T8, closes(CloseReason::T8 { received: 12 }));
}

/// Trigger 7, TCP.
fn row_4_tcp(mut scene: Scene) {
    scene.happens(Event::TransportClosed, closes(CloseReason::TransportClosed));
}

tests! { row_4_length:
    passive_row_4_trigger_4_length_not_10(passive().strict().connected()),
    active_row_4_trigger_4_length_not_10(active().strict().connected()),
}

tests! { row_4_bad_header:
    passive_row_4_trigger_5_bad_header(passive().strict().connected()),
    active_row_4_trigger_5_bad_header(active().strict().connected()),
}

tests! { row_4_t8:
    passive_row_4_trigger_6_t8_default(passive().connected()),
    passive_row_4_trigger_6_t8_strict(passive().strict().connected()),
    active_row_4_trigger_6_t8_default(active().connected()),
    active_row_4_trigger_6_t8_strict(active().strict().connected()),
}

tests! { row_4_tcp:
    passive_row_4_trigger_7_tcp_default(passive().connected()),
    passive_row_4_trigger_7_tcp_strict(passive().strict().connected()),
    active_row_4_trigger_7_tcp_default(active().connected()),
    active_row_4_trigger_7_tcp_strict(active().strict().connected()),
}

/// The action of the active side's row 4: T5, then the next dial.
#[test]
fn active_row_4_starts_t5() {
    let mut scene = active().strict().connected();
    scene.receives("0000000A FFFF 00 03 00 02 00000051", {
        closes(CloseReason::SelectRefused(SelectStatus::CONNECT_EXHAUST))
    });
    scene.fires_in(T5, opens().never());
}

// Row 5: SELECTED to NOT CONNECTED, the same on both sides.

fn row_5_by_octets(who: Who, octets: &str, reason: CloseReason) {
    who.selected().receives(octets, closes(reason));
}

fn row_5_own_decision(who: Who) {
    let farewell = closes(CloseReason::Separated).sends("0000000A FFFF 00 00 00 09 00000061");
    who.selected().does(farewell, Connection::separate);
}

fn row_5_linktest(who: Who) {
    let failed = closes(CloseReason::T6(ControlRequest::Linktest)).ends(OURS, TransactionEnd::SessionEnded);
    who.testing().fires_in(T6 - PAUSE, failed);
}

fn row_5_length_above_maximum(who: Who) {
    let reason = CloseReason::LengthTooLong { length: 101, limit: 100 };
    let mut expect: Expect = closes(reason);
    if who.is_equipment() {
        expect = expect.sends("00000016 0001 09 0B 00 00 00000061 210A00018101000000000063");
    }
    who.max_message(100).selected().receives("00000065 0001 81 01 00 00 00000063", expect);
}

fn row_5_t8(who: Who) {
    let mut scene = who.selected();
    scene.receives("0000000A 0001 81 01 00 00 000000", stays().due(T8));
    scene.fires_in(T8, closes(CloseReason::T8 { received: 13 }));
}

fn row_5_tcp(who: Who) {
    who.selected().happens(Event::TransportClosed, closes(CloseReason::TransportClosed));
}

tests! { row_5_own_decision:
    passive_row_5_trigger_1_own_decision(passive().strict()),
    active_row_5_trigger_1_own_decision(active().strict()),
}

tests! { row_5_by_octets:
    passive_row_5_trigger_2_separate_req(
        passive().strict(), "0000000A FFFF 00 00 00 09 00000063", CloseReason::SeparateReceived
    ),
    active_row_5_trigger_2_separate_req(
        active().strict(), "0000000A FFFF 00 00 00 09 00000063", CloseReason::SeparateReceived
    ),
    passive_row_5_trigger_4_length_below_10(
        passive().strict(), "00000009", CloseReason::LengthTooShort { length: 9 }
    ),
    active_row_5_trigger_4_length_below_10(
        active().strict(), "00000009", CloseReason::LengthTooShort { length: 9 }
    ),
    passive_row_5_trigger_6_bad_header_deselect_req(
        passive().strict(), "0000000A FFFF 00 00 00 03 00000063", CloseReason::UnexpectedMessage(SType(3))
    ),
    active_row_5_trigger_6_bad_header_deselect_req(
        active().strict(), "0000000A FFFF 00 00 00 03 00000063", CloseReason::UnexpectedMessage(SType(3))
    ),
    passive_row_5_trigger_6_bad_header_control_message_with_text(
        passive().strict(),
        "0000000B FFFF 00 00 00 05 00000063 00",
        CloseReason::ControlText { stype: SType(5), body_len: 1 }
    ),
    active_row_5_trigger_6_bad_header_control_message_with_text(
        active().strict(),
        "0000000B FFFF 00 00 00 05 00000063 00",
        CloseReason::ControlText { stype: SType(5), body_len: 1 }
    ),
}

tests! { row_5_linktest:
    passive_row_5_trigger_3_t6_of_a_linktest(passive().strict()),
    active_row_5_trigger_3_t6_of_a_linktest(active().strict()),
}

tests! { row_5_length_above_maximum:
    passive_row_5_trigger_5_length_above_maximum_equipment(passive().equipment().strict()),
    passive_row_5_trigger_5_length_above_maximum_host(passive().host().strict()),
    active_row_5_trigger_5_length_above_maximum_equipment(active().equipment().strict()),
    active_row_5_trigger_5_length_above_maximum_host(active().host().strict()),
}

tests! { row_5_t8:
    passive_row_5_trigger_7_t8(passive().strict()),
    active_row_5_trigger_7_t8(active().strict()),
}

tests! { row_5_tcp:
    passive_row_5_trigger_8_tcp(passive().strict()),
    active_row_5_trigger_8_tcp(active().strict()),
}

// Row 6: T3.

fn row_6(who: Who) {
    let mut expect = stays().never().ends(OURS, TransactionEnd::T3);
    if who.is_equipment() {
        expect = expect.sends("00000016 0001 09 09 00 00 00000062 210A00018101000000000061");
    }
    let mut scene = who.requesting();
    scene.fires_in(T3 - PAUSE, expect);
    // The link is as good as before.
    scene.receives("0000000A 0001 81 01 00 00 00000063", stays().class(Class::Primary));
}

tests! { row_6:
    passive_row_6_t3_equipment(passive().equipment().strict()),
    passive_row_6_t3_host(passive().host().strict()),
    active_row_6_t3_equipment(active().equipment().strict()),
    active_row_6_t3_host(active().host().strict()),
}

// Events that no table has: told by an adapter that is mistaken, and refused.

fn events_that_cannot_be(mut scene: Scene, events: &[Event]) {
    let state = scene.connection.state();
    for event in events {
        let error = hsms_core::Error::UnexpectedEvent { event: *event, state };
        scene.refuses(error, |connection, now| connection.handle(now, *event));
    }
}

const ALL: [Event; 3] = [Event::TransportOpen, Event::TransportFailed, Event::TransportClosed];

tests! { events_that_cannot_be:
    events_that_cannot_be_while_disabled(passive().disabled(), &ALL),
    events_that_cannot_be_while_opening(active().opening(), &[Event::TransportClosed]),
    events_that_cannot_be_while_not_selected(active().connected(), &[Event::TransportOpen, Event::TransportFailed]),
    events_that_cannot_be_while_selected(passive().selected(), &[Event::TransportOpen, Event::TransportFailed]),
}
