//! Faults planted in expectations: each of the things that a scene compares can fail.

use crate::support::{OURS, PAUSE, T3, T5, T6, T7, active, closes, hex, passive, selects, stays};
use hsms_core::connection::{Class, CloseReason, Connection, Event, Leniency, Notice, State, TransactionEnd};

const SELECT: &str = "0000000A FFFF 00 00 00 01 00000063";
const SELECTED: &str = "0000000A FFFF 00 00 00 02 00000063";

#[test]
#[should_panic(expected = "what came out")]
fn a_frame_with_one_wrong_octet_fails() {
    passive().connected().receives(SELECT, selects().sends("0000000A FFFF 00 00 00 02 00000062"));
}

#[test]
#[should_panic(expected = "what came out")]
fn a_frame_that_is_not_expected_fails() {
    passive().connected().receives(SELECT, selects());
}

#[test]
#[should_panic(expected = "what came out")]
fn a_frame_that_does_not_come_fails() {
    passive().connected().receives(SELECT, selects().sends(SELECTED).sends(SELECTED));
}

#[test]
#[should_panic(expected = "what came out")]
fn a_leniency_that_is_not_used_fails() {
    passive().connected().receives(SELECT, selects().sends(SELECTED).lenient(Leniency::Deselect));
}

#[test]
#[should_panic(expected = "what came out")]
fn a_notice_that_is_not_expected_fails() {
    passive().connected().receives(SELECT, stays().state(State::Selected).never().sends(SELECTED));
}

#[test]
#[should_panic(expected = "what came out")]
fn a_notice_told_twice_fails() {
    passive().connected().receives(SELECT, selects().tells(Notice::Selected).sends(SELECTED));
}

#[test]
#[should_panic(expected = "what came out")]
fn another_reason_to_close_fails() {
    active().selected().happens(Event::TransportClosed, closes(CloseReason::SeparateReceived));
}

#[test]
#[should_panic(expected = "what came out")]
fn a_passive_side_that_listens_again_unexpectedly_fails() {
    let expect = crate::support::closes_without_attempt(CloseReason::TransportClosed);
    passive().selected().happens(Event::TransportClosed, expect);
}

#[test]
#[should_panic(expected = "the state afterwards")]
fn another_state_fails() {
    passive().connected().receives(SELECT, selects().sends(SELECTED).state(State::NotSelected));
}

#[test]
#[should_panic(expected = "the next deadline")]
fn a_timer_that_should_run_on_fails() {
    passive().connected().receives(SELECT, selects().sends(SELECTED).due(T7 - PAUSE));
}

#[test]
#[should_panic(expected = "the next deadline")]
fn a_t5_that_is_a_millisecond_short_fails() {
    active().selected().happens(Event::TransportClosed, closes(CloseReason::TransportClosed).due(T5 - 1));
}

#[test]
#[should_panic(expected = "milliseconds to the next deadline")]
fn a_deadline_a_millisecond_off_fails() {
    active().requesting().fires_in(T3 - PAUSE + 1, stays().never().ends(OURS, TransactionEnd::T3));
}

#[test]
#[should_panic(expected = "what the messages received count as")]
fn another_class_fails() {
    active().selected().receives("0000000A 0001 01 01 00 00 00000063", stays().class(Class::Reply));
}

#[test]
#[should_panic(expected = "delivered, and not for the application")]
fn a_message_that_is_delivered_unexpectedly_fails() {
    active().selected().receives("0000000A 0001 01 01 00 00 00000063", stays());
}

/// Octets of a text that come after T6 of a linktest extend it: what `only_at_once` is for.
#[test]
#[should_panic(expected = "octet by octet")]
fn octets_one_by_one_that_give_something_else_fail() {
    let mut scene = passive().selected();
    scene.does(stays().sends("0000000A FFFF 00 00 00 05 00000061").due(T6), Connection::linktest);
    scene.pass(T6);
    scene.receives("0000000C 0001 01 01 00 00 00000063 0100", stays().class(Class::Primary));
}

#[test]
#[should_panic(expected = "refused: ")]
fn an_input_that_is_refused_fails() {
    passive().connected().does(stays(), Connection::linktest);
}

#[test]
#[should_panic(expected = "accepted; expected: ")]
fn an_input_that_is_accepted_unexpectedly_fails() {
    passive().selected().refuses(hsms_core::Error::NotSelected, Connection::linktest);
}

#[test]
fn frames_are_written_as_tests_write_them() {
    let output = crate::support::Output {
        frames: vec![hex(SELECTED), hex("00000016 0001 09 09 00 00 00000062 210A00018101000000000061")],
        ..crate::support::Output::default()
    };
    let printed = format!("{output:?}");
    assert!(printed.contains(SELECTED), "{printed}");
    assert!(printed.contains("00000016 0001 09 09 00 00 00000062 210A00018101000000000061"), "{printed}");
}
