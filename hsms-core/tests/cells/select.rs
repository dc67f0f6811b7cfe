//! Select (E37 7.2, E37.1 7.1).

use crate::support::{
    DEVICE, Expect, OURS, PAUSE, SELECT_SYSTEM, Scene, T6, T7, Who, active, closes, passive, selects, stays, tests,
};
use hsms_core::Error;
use hsms_core::connection::{Class, CloseReason, Connection, ControlRequest, Event, Leniency, Notice, State};
use hsms_core::wire::{RejectReason, SType, SelectStatus, SessionId, StreamFunction};

const FOREIGN: [u16; 6] = [0x0000, 0x0001, 0x7FFF, 0x8000, 0x8001, 0xFFFE];

fn select_req(id: u16) -> String {
    format!("0000000A {id:04X} 00 00 00 01 00000063")
}

fn select_rsp(status: u8) -> String {
    format!("0000000A FFFF 00 {status:02X} 00 02 00000051")
}

const UNEXPECTED_REQ: CloseReason = CloseReason::UnexpectedMessage(SType::SELECT_REQ);
const UNEXPECTED_RSP: CloseReason = CloseReason::UnexpectedMessage(SType::SELECT_RSP);
const NOT_OPEN: Class = Class::Rejected(RejectReason::TRANSACTION_NOT_OPEN);

/// The active side, SELECTED by the peer's Select.req while its own is open.
fn crossed() -> Scene {
    let mut scene = active().connected();
    let accepted = selects()
        .sends("0000000A FFFF 00 00 00 02 00000063")
        .lenient(Leniency::SimultaneousSelect(SessionId::CONTROL))
        .due(T6 - PAUSE);
    scene.receives(&select_req(0xFFFF), accepted);
    scene
}

// Accepted.

#[test]
fn select_req_while_not_selected_default_passive() {
    let accepted = selects().sends("0000000A FFFF 00 00 00 02 00000063").class(Class::Control);
    passive().connected().receives(&select_req(0xFFFF), accepted);
}

#[test]
fn select_req_while_not_selected_strict_passive() {
    let accepted = selects().sends("0000000A FFFF 00 00 00 02 00000063").class(Class::Control);
    passive().strict().connected().receives(&select_req(0xFFFF), accepted);
}

fn select_rsp_with_status_0(who: Who) {
    who.connected().receives(&select_rsp(0), selects().class(Class::Control));
}

tests! { select_rsp_with_status_0:
    select_rsp_with_status_0_default_active(active()),
    select_rsp_with_status_0_strict_active(active().strict()),
}

// Select.req whose session id is not FFFF.

#[test]
fn select_req_with_a_foreign_session_id_default_passive() {
    for id in FOREIGN {
        let accepted = selects()
            .sends(&format!("0000000A {id:04X} 00 00 00 02 00000063"))
            .lenient(Leniency::SelectSession(SessionId(id)));
        passive().connected().receives(&select_req(id), accepted);
    }
}

/// The passive side may not select at all; the leniency that is reported names the session id.
#[test]
fn select_req_with_a_foreign_session_id_default_active() {
    for id in FOREIGN {
        let accepted = selects()
            .sends(&format!("0000000A {id:04X} 00 00 00 02 00000063"))
            .lenient(Leniency::SimultaneousSelect(SessionId(id)))
            .due(T6 - PAUSE);
        active().connected().receives(&select_req(id), accepted);
    }
}

fn select_req_with_a_foreign_session_id_strict(who: Who) {
    for id in FOREIGN {
        who.strict().connected().receives(&select_req(id), closes(UNEXPECTED_REQ).class(Class::Fatal));
    }
}

tests! { select_req_with_a_foreign_session_id_strict:
    select_req_with_a_foreign_session_id_strict_passive(passive()),
    select_req_with_a_foreign_session_id_strict_active(active()),
}

// Select.req while SELECTED.

fn select_req_while_selected_default(who: Who) {
    for id in FOREIGN.into_iter().chain([0xFFFF]) {
        let refused = stays().sends(&format!("0000000A {id:04X} 00 01 00 02 00000063"));
        who.requesting().receives(&select_req(id), refused.clone());
        who.testing().receives(&select_req(id), refused);
    }
}

fn select_req_while_selected_strict(who: Who) {
    for id in FOREIGN.into_iter().chain([0xFFFF]) {
        who.strict().selected().receives(&select_req(id), closes(UNEXPECTED_REQ));
    }
}

tests! { select_req_while_selected_default:
    select_req_while_selected_default_passive(passive()),
    select_req_while_selected_default_active(active()),
}

tests! { select_req_while_selected_strict:
    select_req_while_selected_strict_passive(passive()),
    select_req_while_selected_strict_active(active()),
}

// Simultaneous select.

#[test]
fn simultaneous_select_default_active() {
    let mut scene = crossed();
    scene.receives(&select_rsp(0), stays().never().class(Class::Control));
    // It is closed now, and closed once.
    let again = stays().sends("0000000A FFFF 02 03 00 07 00000051").class(NOT_OPEN);
    scene.receives(&select_rsp(0), again);
}

#[test]
fn simultaneous_select_default_active_that_selects_on_command() {
    let mut scene = active().on_command().connected();
    let accepted =
        selects().sends("0000000A FFFF 00 00 00 02 00000063").lenient(Leniency::SimultaneousSelect(SessionId::CONTROL));
    scene.receives(&select_req(0xFFFF), accepted);
    scene.refuses(Error::CannotSelect, Connection::select);
}

#[test]
fn simultaneous_select_strict_active() {
    active().strict().connected().receives(&select_req(0xFFFF), closes(UNEXPECTED_REQ));
}

/// Both ends are SELECTED, and yet our request was never answered.
#[test]
fn simultaneous_select_whose_response_never_comes_ends_with_t6() {
    crossed().fires_in(T6 - PAUSE, closes(CloseReason::T6(ControlRequest::Select)));
}

#[test]
fn data_flows_both_ways_while_a_crossed_select_is_open() {
    let mut scene = crossed();
    scene.receives("0000000A 0001 81 0D 00 00 00000064", stays().class(Class::Primary));
    let (_, octets) = scene.sends_primary(6, 11, false, &[]);
    assert_eq!(octets[4..10], [0x00, 0x01, 0x06, 0x0B, 0x00, 0x00]);
    scene.receives(&select_rsp(0), stays().never());
}

// Select.rsp with status 1 while our Select is open and we are SELECTED.

#[test]
fn select_rsp_status_1_after_a_simultaneous_select_default_active() {
    crossed().receives(&select_rsp(1), stays().never().class(Class::Control));
}

/// The strict profile closes on the peer's Select.req, so its own is never open while it is SELECTED: such a response has no
/// connection any more.
#[test]
fn select_rsp_status_1_after_a_simultaneous_select_strict_active() {
    let mut scene = active().strict().connected();
    scene.receives(&select_req(0xFFFF), closes(UNEXPECTED_REQ));
    scene.refuses(Error::NotConnected, |connection, now| {
        connection.receive(now, &crate::support::hex(&select_rsp(1))).map(|_| ())
    });
}

/// The passive side never has a Select.req open.
fn the_passive_side_cannot_select(who: Who) {
    who.opening().refuses(Error::NotConnected, Connection::select);
    who.connected().refuses(Error::CannotSelect, Connection::select);
    who.selected().refuses(Error::CannotSelect, Connection::select);
}

tests! { the_passive_side_cannot_select:
    the_passive_side_cannot_select_default(passive()),
    the_passive_side_cannot_select_strict(passive().strict()),
}

// Select.rsp with another status.

fn select_rsp_with_a_refusal(who: Who) {
    for status in 1..=255 {
        let refused = closes(CloseReason::SelectRefused(SelectStatus(status)));
        who.connected().receives(&select_rsp(status), refused);
    }
}

tests! { select_rsp_with_a_refusal:
    select_rsp_with_a_refusal_default_active(active()),
    select_rsp_with_a_refusal_strict_active(active().strict()),
}

#[test]
fn select_rsp_with_another_refusal_after_a_simultaneous_select_default_active() {
    for status in 2..=255 {
        let refused = closes(CloseReason::SelectRefused(SelectStatus(status)));
        crossed().receives(&select_rsp(status), refused);
    }
}

// Select.rsp that matches no open request by system bytes.

fn select_rsp_without_request(mut scene: Scene, expect: Expect) {
    for status in [0, 1, 3] {
        // One beside the next value to be issued, one far off, and zero.
        for system in [0x0000_0050_u32, 0x5100_0000, 0x0000_0000, 0xFFFF_FFFF] {
            let mut scene = scene.clone();
            let mut expect = expect.clone();
            if expect.is_open() {
                expect = expect.sends(&format!("0000000A FFFF 02 03 00 07 {system:08X}"));
            }
            scene.receives(&format!("0000000A FFFF 00 {status:02X} 00 02 {system:08X}"), expect);
        }
    }
    // A session id of its own makes no difference.
    let mut expect = expect;
    if expect.is_open() {
        expect = expect.sends("0000000A FFFF 02 03 00 07 00000050");
    }
    scene.receives("0000000A 0001 00 00 00 02 00000050", expect);
}

tests! { select_rsp_without_request:
    select_rsp_without_request_not_selected_default_passive(passive().connected(), stays().class(NOT_OPEN)),
    select_rsp_without_request_not_selected_default_active(active().connected(), stays().class(NOT_OPEN)),
    select_rsp_without_request_not_selected_strict_passive(passive().strict().connected(), closes(UNEXPECTED_RSP)),
    select_rsp_without_request_not_selected_strict_active(active().strict().connected(), closes(UNEXPECTED_RSP)),
    select_rsp_without_request_selected_default_passive(passive().requesting(), stays().class(NOT_OPEN)),
    select_rsp_without_request_selected_default_active(active().requesting(), stays().class(NOT_OPEN)),
    select_rsp_without_request_selected_strict_passive(passive().strict().selected(), closes(UNEXPECTED_RSP)),
    select_rsp_without_request_selected_strict_active(active().strict().selected(), closes(UNEXPECTED_RSP)),
}

/// System bytes that belong to an open request of another kind do not match.
fn select_rsp_that_answers_another_request(mut scene: Scene) {
    let rejected = stays().sends("0000000A FFFF 02 03 00 07 00000061").class(NOT_OPEN);
    scene.receives("0000000A FFFF 00 00 00 02 00000061", rejected);
    assert!(scene.connection.is_open(OURS), "the other request stays open");
}

tests! { select_rsp_that_answers_another_request:
    select_rsp_that_answers_our_data_default_passive(passive().requesting()),
    select_rsp_that_answers_our_data_default_active(active().requesting()),
    select_rsp_that_answers_our_linktest_default_passive(passive().testing()),
    select_rsp_that_answers_our_linktest_default_active(active().testing()),
}

// What guards the active side while NOT SELECTED.

/// T7 is shorter than T6 in every scene, and must not run (a T6 above T7 made other stacks reconnect for ever).
fn the_active_side_is_guarded_by_t6_alone(who: Who) {
    who.connected().fires_in(T6 - PAUSE, closes(CloseReason::T6(ControlRequest::Select)));
}

tests! { the_active_side_is_guarded_by_t6_alone:
    guard_of_not_selected_default_active(active()),
    guard_of_not_selected_strict_active(active().strict()),
}

/// Nothing of ours is open until the application selects; then T6 takes over from T7.
fn select_on_command(who: Who) {
    who.on_command().connected().fires_in(T7 - PAUSE, closes(CloseReason::T7));

    let mut scene = who.on_command().connected();
    scene.pass(T7 - PAUSE - 1);
    let asked = stays().sends("0000000A FFFF 00 00 00 01 00000051").due(T6);
    assert_eq!(scene.does(asked, Connection::select), SELECT_SYSTEM);
    scene.refuses(Error::ControlOpen { system: SELECT_SYSTEM }, Connection::select);
    scene.clone().receives(&select_rsp(0), selects());
    scene.fires_in(T6, closes(CloseReason::T6(ControlRequest::Select)));
}

tests! { select_on_command:
    select_on_command_default_active(active()),
    select_on_command_strict_active(active().strict()),
}

// What is and what is not looked at.

/// The status stands in octet 3; octet 2 means nothing (E37 8.2.3).
fn the_status_is_octet_3(who: Who) {
    for octet2 in [1, 2, 0x80, 0xFF] {
        who.connected().receives(&format!("0000000A FFFF {octet2:02X} 00 00 02 00000051"), selects());
        let refused = closes(CloseReason::SelectRefused(SelectStatus(1)));
        who.connected().receives(&format!("0000000A FFFF {octet2:02X} 01 00 02 00000051"), refused);
    }
}

tests! { the_status_is_octet_3:
    the_select_status_is_octet_3_default_active(active()),
    the_select_status_is_octet_3_strict_active(active().strict()),
}

/// Peers answer with 0xFFFF whatever they were asked, or with 0.
fn select_rsp_with_any_session_id(who: Who) {
    for id in FOREIGN {
        who.connected().receives(&format!("0000000A {id:04X} 00 00 00 02 00000051"), selects());
    }
}

tests! { select_rsp_with_any_session_id:
    select_rsp_matches_by_system_bytes_alone_default_active(active()),
    select_rsp_matches_by_system_bytes_alone_strict_active(active().strict()),
}

#[test]
fn octets_2_and_3_of_a_select_req_mean_nothing_default_passive() {
    for octets in ["80 00", "00 01", "FF FF"] {
        let accepted = selects().sends("0000000A FFFF 00 00 00 02 00000063");
        passive().connected().receives(&format!("0000000A FFFF {octets} 00 01 00000063"), accepted);
    }
}

#[test]
fn system_bytes_are_echoed_whatever_they_are() {
    for system in ["00000000", "FFFFFFFF", "63000000", "00000051"] {
        let accepted = selects().sends(&format!("0000000A FFFF 00 00 00 02 {system}"));
        passive().connected().receives(&format!("0000000A FFFF 00 00 00 01 {system}"), accepted);
    }
}

// The order of things (E37 7.2, and failures seen in the field).

fn data_right_behind_the_select_is_delivered(mut scene: Scene, select: &str, expect: Expect) {
    let octets = format!("{select} 0000000C 0001 81 0D 00 00 00000064 0100");
    let received = scene.receives(&octets, expect.class(Class::Control).class(Class::Primary));
    assert_eq!(received[1].text, [0x01, 0x00]);
}

tests! { data_right_behind_the_select_is_delivered:
    data_right_behind_select_req_is_delivered_passive(
        passive().connected(),
        &select_req(0xFFFF),
        selects().sends("0000000A FFFF 00 00 00 02 00000063")
    ),
    data_right_behind_select_rsp_is_delivered_active(active().connected(), &select_rsp(0), selects()),
}

#[test]
fn data_never_overtakes_select_rsp() {
    let mut scene = passive().connected();
    let now = scene.now();
    let (taken, _) = scene.connection.receive(now, &crate::support::hex(&select_req(0xFFFF))).unwrap();
    assert_eq!(taken, 14);
    assert_eq!(scene.connection.state(), State::Selected);
    let begin = |connection: &mut Connection<4>, now| {
        connection.begin_primary(now, DEVICE, StreamFunction::new(1, 13), true, 0)
    };
    scene.refuses(Error::ActionsPending, begin);
    let answered = stays().sends("0000000A FFFF 00 00 00 02 00000063").tells(Notice::Selected).never();
    scene.does(answered, |_, _| Ok(()));
    assert!(begin(&mut scene.connection, now).is_ok());
}

#[test]
fn a_second_select_after_a_reconnect_carries_a_fresh_value() {
    let mut scene = active().connected();
    scene.receives(&select_rsp(3), closes(CloseReason::SelectRefused(SelectStatus::CONNECT_EXHAUST)));
    scene.fires_in(crate::support::T5, crate::support::opens().never());
    let again = stays().sends("0000000A FFFF 00 00 00 01 00000052").due(T6).state(State::NotSelected);
    scene.happens(Event::TransportOpen, again);
    // The response to the first request does not answer the second.
    let rejected = stays().sends("0000000A FFFF 02 03 00 07 00000051").class(NOT_OPEN);
    scene.receives(&select_rsp(0), rejected);
    scene.receives("0000000A FFFF 00 00 00 02 00000052", selects());
}
