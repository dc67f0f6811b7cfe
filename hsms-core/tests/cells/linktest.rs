//! Linktest (E37 7.5, E37.1 7.5), asked and answered, and the periodic one.

use crate::support::{
    DEVICE, OURS, PAUSE, SELECT_SYSTEM, Scene, T6, T7, T8, Who, active, closes, passive, selects, stays, tests,
};
use hsms_core::Error;
use hsms_core::connection::{
    Class, CloseReason, Connection, ControlRequest, Event, Leniency, Notice, State, TransactionEnd,
};
use hsms_core::wire::{SType, SessionId, StreamFunction, SystemBytes};

const LINKTEST_REQ: &str = "0000000A FFFF 00 00 00 05 00000063";
const FAILED: CloseReason = CloseReason::T6(ControlRequest::Linktest);
const PERIOD: u64 = 30_000;

fn answered(system: SystemBytes) -> Notice {
    Notice::LinktestAnswered { system }
}

// Linktest.req.

fn linktest_req_while_selected(who: Who) {
    let answer = stays().sends("0000000A FFFF 00 00 00 06 00000063").class(Class::Control);
    who.selected().receives(LINKTEST_REQ, answer.clone());
    who.requesting().receives(LINKTEST_REQ, answer);
}

tests! { linktest_req_while_selected:
    linktest_req_while_selected_default_passive(passive()),
    linktest_req_while_selected_default_active(active()),
    linktest_req_while_selected_strict_passive(passive().strict()),
    linktest_req_while_selected_strict_active(active().strict()),
}

fn linktest_req_while_not_selected_default(who: Who) {
    let mut scene = who.connected();
    for _ in 0..2 {
        let answer = stays().sends("0000000A FFFF 00 00 00 06 00000063").lenient(Leniency::LinktestNotSelected);
        scene.receives(LINKTEST_REQ, answer.class(Class::Control));
    }
}

fn linktest_req_while_not_selected_strict(who: Who) {
    let reason = CloseReason::UnexpectedMessage(SType::LINKTEST_REQ);
    who.strict().connected().receives(LINKTEST_REQ, closes(reason));
}

tests! { linktest_req_while_not_selected_default:
    linktest_req_while_not_selected_default_passive(passive()),
    linktest_req_while_not_selected_default_active(active()),
}

tests! { linktest_req_while_not_selected_strict:
    linktest_req_while_not_selected_strict_passive(passive()),
    linktest_req_while_not_selected_strict_active(active()),
}

/// Whatever the request carries, the response carries 0xFFFF and nothing else (E37 8.2.7, E37.1 8.1).
fn linktest_req_with_odd_octets(who: Who) {
    let answer = stays().sends("0000000A FFFF 00 00 00 06 63000000");
    for head in ["0000 00 00", "0001 00 00", "FFFF 80 00", "FFFF 00 01", "8001 FF FF"] {
        who.selected().receives(&format!("0000000A {head} 00 05 63000000"), answer.clone());
    }
}

tests! { linktest_req_with_odd_octets:
    linktest_rsp_carries_ffff_whatever_was_asked_passive(passive()),
    linktest_rsp_carries_ffff_whatever_was_asked_active(active()),
}

/// Both ends count their system bytes for themselves.
fn linktest_req_with_system_bytes_of_ours(who: Who) {
    let mut scene = who.testing();
    let answer = stays().sends("0000000A FFFF 00 00 00 06 00000061");
    scene.receives("0000000A FFFF 00 00 00 05 00000061", answer);
    assert!(scene.connection.is_open(OURS));
    scene.receives("0000000A FFFF 00 00 00 06 00000061", stays().never().tells(answered(OURS)));
}

tests! { linktest_req_with_system_bytes_of_ours:
    a_linktest_req_that_collides_with_ours_is_answered_passive(passive()),
    a_linktest_req_that_collides_with_ours_is_answered_active(active()),
}

// Our Linktest.req.

fn our_linktest_is_answered(who: Who) {
    let rsp = stays().never().tells(answered(OURS)).class(Class::Control);
    who.testing().receives("0000000A FFFF 00 00 00 06 00000061", rsp.clone());
    // Peers that leave the session id 0, or set octets 2 and 3.
    who.testing().receives("0000000A 0000 00 00 00 06 00000061", rsp.clone());
    who.testing().receives("0000000A FFFF 80 01 00 06 00000061", rsp);
}

tests! { our_linktest_is_answered:
    our_linktest_is_answered_default_passive(passive()),
    our_linktest_is_answered_default_active(active()),
    our_linktest_is_answered_strict_passive(passive().strict()),
    our_linktest_is_answered_strict_active(active().strict()),
}

/// A failure has no farewell: nothing is sent.
fn our_linktest_is_not_answered(who: Who) {
    who.testing().fires_in(T6 - PAUSE, closes(FAILED).ends(OURS, TransactionEnd::SessionEnded));
}

tests! { our_linktest_is_not_answered:
    t6_of_a_linktest_default_passive(passive()),
    t6_of_a_linktest_default_active(active()),
    t6_of_a_linktest_strict_passive(passive().strict()),
    t6_of_a_linktest_strict_active(active().strict()),
}

/// Other traffic is no answer (E37 7.5.1).
#[test]
fn data_does_not_stop_t6_of_a_linktest() {
    let mut scene = passive().testing();
    scene.receives("0000000A 0001 81 01 00 00 00000063", stays().class(Class::Primary));
    scene.fires_in(T6 - PAUSE, closes(FAILED).ends(OURS, TransactionEnd::SessionEnded));
}

#[test]
fn an_open_linktest_is_not_doubled() {
    let mut scene = active().testing();
    assert_eq!(scene.does(stays(), Connection::linktest), OURS);
}

/// The periodic one waits as well.
#[test]
fn no_linktest_while_a_crossed_select_is_open() {
    let mut scene = active().linktest(PAUSE, 1).connected();
    let accepted =
        selects().sends("0000000A FFFF 00 00 00 02 00000063").lenient(Leniency::SimultaneousSelect(SessionId::CONTROL));
    scene.receives("0000000A FFFF 00 00 00 01 00000063", accepted.due(T6 - PAUSE));
    scene.refuses(Error::ControlOpen { system: SELECT_SYSTEM }, Connection::linktest);
    scene.receives("0000000A FFFF 00 00 00 02 00000051", stays().due(PAUSE));
    scene.fires_in(PAUSE, stays().sends("0000000A FFFF 00 00 00 05 00000052").due(T6));
}

fn no_linktest_before_selected(who: Who) {
    who.opening().refuses(Error::NotSelected, Connection::linktest);
    who.connected().refuses(Error::NotSelected, Connection::linktest);
}

tests! { no_linktest_before_selected:
    we_send_no_linktest_before_selected_default_passive(passive()),
    we_send_no_linktest_before_selected_default_active(active()),
    we_send_no_linktest_before_selected_strict_active(active().strict()),
}

// The threshold.

/// Sends a linktest that is not answered within T6, and not counted as fatal.
fn misses(scene: &mut Scene, system: u32, missed: u8, due_after: u64) {
    let request = stays().sends(&format!("0000000A FFFF 00 00 00 05 {system:08X}")).due(T6);
    assert_eq!(scene.does(request, Connection::linktest), SystemBytes(system));
    let notice = Notice::LinktestMissed { system: SystemBytes(system), missed };
    scene.fires_in(T6, stays().tells(notice).due(due_after));
}

#[test]
fn as_many_linktests_in_a_row_as_the_threshold_says_are_fatal() {
    let mut scene = active().linktest(PERIOD, 3).selected();
    misses(&mut scene, 0x61, 1, PERIOD);
    misses(&mut scene, 0x62, 2, PERIOD);
    let request = stays().sends("0000000A FFFF 00 00 00 05 00000063").due(T6);
    let system = scene.does(request, Connection::linktest);
    scene.fires_in(T6, closes(FAILED).ends(system, TransactionEnd::SessionEnded));
}

/// What the peer sends between two misses shows that it lives.
#[test]
fn anything_received_starts_the_count_of_missed_linktests_anew() {
    let alive = [
        ("0000000A FFFF 00 00 00 05 00000063", stays().sends("0000000A FFFF 00 00 00 06 00000063")),
        ("0000000A 0001 01 01 00 00 00000063", stays().class(Class::Primary)),
        ("0000000A 0001 01 02 00 00 00000063", stays()),
    ];
    for (octets, expect) in alive {
        let mut scene = active().linktest(PERIOD, 2).selected();
        misses(&mut scene, 0x61, 1, PERIOD);
        scene.pass(PAUSE);
        scene.receives(octets, expect.due(PERIOD));
        misses(&mut scene, 0x62, 1, PERIOD);
    }
}

#[test]
fn an_answer_starts_the_count_of_missed_linktests_anew() {
    let mut scene = passive().linktest(PERIOD, 2).selected();
    misses(&mut scene, 0x61, 1, PERIOD);
    let request = stays().sends("0000000A FFFF 00 00 00 05 00000062").due(T6);
    let system = scene.does(request, Connection::linktest);
    let rsp = stays().tells(answered(system)).due(PERIOD);
    scene.receives("0000000A FFFF 00 00 00 06 00000062", rsp);
    misses(&mut scene, 0x63, 1, PERIOD);
}

/// The response to a linktest that was given up comes too late, and still shows that the peer lives.
#[test]
fn a_late_linktest_rsp_is_rejected_and_starts_the_count_anew() {
    let mut scene = passive().linktest(PERIOD, 2).selected();
    misses(&mut scene, 0x61, 1, PERIOD);
    let late = stays().sends("0000000A FFFF 06 03 00 07 00000061").due(PERIOD);
    scene.receives("0000000A FFFF 00 00 00 06 00000061", late);
    misses(&mut scene, 0x62, 1, PERIOD);
}

// The period.

fn the_period_counts_from_the_last_received_octet(who: Who) {
    let mut scene = who.linktest(PERIOD, 1).selected();
    assert_eq!(scene.due_in(), Some(PERIOD - PAUSE));
    // Sending does not count: the peer may be gone.
    scene.sends_primary(1, 1, false, &[]);
    assert_eq!(scene.due_in(), Some(PERIOD - PAUSE));
    scene.receives("0000000A 0001 01 01 00 00 00000063", stays().class(Class::Primary).due(PERIOD));
    scene.fires_in(PERIOD, stays().sends("0000000A FFFF 00 00 00 05 00000062").due(T6));
    scene.only_at_once();
    scene.pass(PAUSE);
    let rsp = stays().tells(answered(SystemBytes(0x62))).due(PERIOD);
    scene.receives("0000000A FFFF 00 00 00 06 00000062", rsp);
    scene.fires_in(PERIOD, stays().sends("0000000A FFFF 00 00 00 05 00000063").due(T6));
    scene.fires_in(T6, closes(FAILED).ends(SystemBytes(0x63), TransactionEnd::SessionEnded));
}

tests! { the_period_counts_from_the_last_received_octet:
    the_linktest_period_counts_from_the_last_received_octet_passive(passive()),
    the_linktest_period_counts_from_the_last_received_octet_active(active()),
    the_linktest_period_counts_from_the_last_received_octet_strict_passive(passive().strict()),
}

/// No linktest before SELECTED (E37.1 7.5), and the period starts with it.
#[test]
fn the_linktest_period_starts_with_selected() {
    let mut scene = active().linktest(T6 - 2 * PAUSE, 1).connected();
    assert_eq!(scene.due_in(), Some(T6 - PAUSE), "only T6 runs");
    scene.receives("0000000A FFFF 00 00 00 02 00000051", selects().due(T6 - 2 * PAUSE));
}

#[test]
fn a_period_of_zero_is_off() {
    assert_eq!(active().selected().due_in(), None);
    assert_eq!(passive().selected().due_in(), None);
}

#[test]
fn the_default_period_is_30_seconds_on_both_sides() {
    for config in [passive().0, active().0] {
        let default = hsms_core::Config::new(config.mode(), config.entity(), *config.device_ids());
        assert_eq!(default.linktest_period().as_millis(), 30_000);
        assert_eq!(default.linktest_threshold(), 1);
    }
}

/// The period goes on after a reconnect (it did not in the field).
#[test]
fn the_linktest_period_runs_after_a_reconnect_too() {
    let mut scene = passive().linktest(PERIOD, 1).selected();
    scene.happens(Event::TransportClosed, closes(CloseReason::TransportClosed));
    scene.happens(Event::TransportOpen, stays().state(State::NotSelected).due(T7));
    let accepted = selects().sends("0000000A FFFF 00 00 00 02 00000063").due(PERIOD);
    scene.receives("0000000A FFFF 00 00 00 01 00000063", accepted);
    scene.fires_in(PERIOD, stays().sends("0000000A FFFF 00 00 00 05 00000061").due(T6));
}

// Linktests and long messages.

#[test]
fn no_periodic_linktest_while_our_text_is_open() {
    let mut scene = active().linktest(PERIOD, 1).selected();
    let now = scene.now();
    scene.connection.begin_primary(now, DEVICE, StreamFunction::new(7, 3), false, 10).unwrap();
    assert_eq!(scene.due_in(), None);
    scene.pass(2 * PERIOD);
    assert_eq!(scene.times_out(), crate::support::Output::default());
    // The period is long over when the text ends.
    scene.does(stays().due(0), Connection::end_body);
    scene.does(stays().due(0), |connection, now| connection.written(now, 24));
    scene.fires_in(0, stays().sends("0000000A FFFF 00 00 00 05 00000062").due(T6));
}

#[test]
fn no_periodic_linktest_while_a_message_arrives() {
    let mut scene = active().linktest(T8, 1).selected();
    scene.pass(T8 - PAUSE - 1);
    assert_eq!(scene.due_in(), Some(1));
    scene.receives("00", stays().due(T8));
    scene.pass(1);
    assert_eq!(scene.times_out(), crate::support::Output::default());
    assert_eq!(scene.due_in(), Some(T8 - 1), "T8 alone");
    scene.receives("00000A 0001 01 01 00 00 00000063", stays().class(Class::Primary).due(T8));
    scene.fires_in(T8, stays().sends("0000000A FFFF 00 00 00 05 00000061").due(T6));
}

#[test]
fn a_linktest_asked_for_while_our_text_is_open_waits_for_its_end() {
    let mut scene = active().selected();
    let now = scene.now();
    scene.connection.begin_primary(now, DEVICE, StreamFunction::new(7, 3), false, 10).unwrap();
    assert_eq!(scene.does(stays(), Connection::linktest), SystemBytes(0x62));
    scene.pass(2 * T6);
    // T6 does not run for a request that is not on its way.
    assert_eq!(scene.times_out(), crate::support::Output::default());
    let sent = stays().sends("0000000A FFFF 00 00 00 05 00000062").due(T6);
    scene.does(sent, |connection, now| {
        connection.written(now, 24)?;
        connection.end_body(now)
    });
}

/// What has not been sent cannot have been answered.
#[test]
fn a_response_to_a_linktest_that_waits_is_rejected() {
    let mut scene = active().selected();
    let now = scene.now();
    scene.connection.begin_primary(now, DEVICE, StreamFunction::new(7, 3), false, 10).unwrap();
    let system = scene.does(stays(), Connection::linktest);
    scene.receives("0000000A FFFF 00 00 00 06 00000062", stays());
    assert!(scene.connection.is_open(system));
    let both = stays().sends("0000000A FFFF 00 00 00 05 00000062").sends("0000000A FFFF 06 03 00 07 00000062").due(T6);
    scene.does(both, |connection, now| {
        connection.written(now, 24)?;
        connection.end_body(now)
    });
    scene.receives("0000000A FFFF 00 00 00 06 00000062", stays().never().tells(answered(system)));
}

#[test]
fn linktest_rsp_waits_for_the_end_of_our_text() {
    let mut scene = passive().selected();
    let now = scene.now();
    scene.connection.begin_primary(now, DEVICE, StreamFunction::new(7, 3), false, 10).unwrap();
    scene.receives("0000000A FFFF 00 00 00 05 00000063", stays());
    scene.receives("0000000A FFFF 00 00 00 05 00000064", stays());
    let both = stays().sends("0000000A FFFF 00 00 00 06 00000063").sends("0000000A FFFF 00 00 00 06 00000064").never();
    scene.does(both, |connection, now| {
        connection.written(now, 24)?;
        connection.end_body(now)
    });
}

/// The answer to our linktest cannot overtake a message that is arriving. That T6 was stretched is told once.
#[test]
fn t6_of_a_linktest_is_extended_while_a_message_arrives_default() {
    let mut scene = passive().testing();
    let mut notices = scene.takes("0000001E 0001 81 01 00 00 00000063 21").notices;
    for _ in 0..6 {
        scene.pass(T8 - 1);
        let output = scene.takes("00");
        assert_eq!((output.close, scene.due_in()), (None, Some(T8)));
        notices.extend(output.notices);
    }
    assert_eq!(notices, [Notice::Lenient(Leniency::LinktestExtended)]);
    // 20 octets of text were announced; thirteen more, and the answer right behind them.
    scene.pass(T8 - 1);
    let end = stays().never().tells(answered(OURS));
    scene.receives("00000000000000000000000000 0000000A FFFF 00 00 00 06 00000061", end);
}

#[test]
fn t6_of_an_extended_linktest_runs_again_after_the_message_default() {
    let mut scene = passive().testing();
    scene.takes("00000012 0001 01 01 00 00 00000063 01");
    for _ in 0..6 {
        scene.pass(PAUSE);
        scene.takes("00");
    }
    scene.receives("00", stays().due(T6));
    scene.fires_in(T6, closes(FAILED).ends(OURS, TransactionEnd::SessionEnded));
}

/// The peer can write its answer only behind its message: it has T6 from there, also where the message just ended in time.
#[test]
fn t6_of_a_linktest_is_restarted_by_a_text_that_ends_just_before_it_default() {
    let mut scene = passive().testing();
    scene.pass(T6 - PAUSE - 1);
    scene.takes("0000000C 0001 01 01 00 00 00000063 01");
    assert_eq!(scene.takes("00").close, None);
    scene.pass(50);
    assert_eq!(scene.times_out().close, None, "the answer is on its way");
    assert_eq!(scene.due_in(), Some(T6 - 50));
    // It came after T6, which only the text had moved: that is the leniency.
    let late = stays().never().lenient(Leniency::LinktestExtended).tells(answered(OURS));
    scene.receives("0000000A FFFF 00 00 00 06 00000061", late);
}

/// A leniency is one where it was used: an answer that comes in two reads, well within T6, uses none.
#[test]
fn an_answer_in_two_reads_within_t6_is_no_leniency() {
    let mut scene = active().testing();
    assert_eq!(scene.takes("0000000A FFFF 00").notices, []);
    assert_eq!(scene.takes("00 00 06 00000061").notices, [answered(OURS)]);
}

#[test]
fn t6_of_a_linktest_is_not_extended_strict() {
    let mut scene = passive().strict().testing();
    scene.receives("0000001E 0001 81 01 00 00 00000063 21", stays().class(Class::Primary).due(T8));
    scene.pass(T8 - 1);
    scene.receives("00", stays().due(T8));
    scene.pass(T8 - 1);
    // 1,002 ms of T6 are left.
    scene.receives("00", stays().due(T6 - PAUSE - 2 * (T8 - 1)));
    let left = T6 - PAUSE - 2 * (T8 - 1);
    scene.fires_in(left, closes(FAILED).ends(OURS, TransactionEnd::SessionEnded));
}

/// T6 is that of the Select.req, which nothing extends.
#[test]
fn t6_of_a_select_is_not_extended_by_octets() {
    let mut scene = active().connected();
    scene.pass(T6 - PAUSE - T8 + 2);
    scene.receives("00", stays());
    scene.fires_in(T8 - 2, closes(CloseReason::T6(ControlRequest::Select)));
}
