//! How connections end: communication failures (E37 9.1.1), Separate (E37 7.6), and the application's own decisions.

use crate::support::{
    DEVICE, Expect, OURS, PAUSE, SELECT_SYSTEM, Scene, T5, T6, T7, T8, Who, active, closes, closes_without_attempt,
    opens, passive, selects, stays, tests,
};
use hsms_core::Error;
use hsms_core::connection::{Class, CloseReason, Connection, ControlRequest, Event, Notice, State, TransactionEnd};
use hsms_core::wire::{StreamFunction, SystemBytes};

const ENDED: TransactionEnd = TransactionEnd::SessionEnded;

/// Four primaries and a linktest are open, the linktest since [`PAUSE`].
fn busy(who: Who) -> Scene {
    let mut scene = who.selected();
    for _ in 0..4 {
        scene.requests(1, 1);
    }
    let sent = stays().sends("0000000A FFFF 00 00 00 05 00000065").due(T6);
    scene.does(sent, Connection::linktest);
    scene.only_at_once();
    scene.pass(PAUSE);
    scene
}

/// Each of them ends, once, in the order of opening.
fn all_end(expect: Expect) -> Expect {
    (0x61..=0x65).fold(expect, |expect, system| expect.ends(SystemBytes(system), ENDED))
}

#[track_caller]
fn nothing_is_left(scene: &mut Scene) {
    assert_eq!(scene.connection.open_transactions(), 0);
    for system in 0x61..=0x65 {
        assert!(!scene.connection.is_open(SystemBytes(system)));
    }
    assert_eq!(scene.connection.state(), State::NotConnected);
    scene.refuses(Error::NotSelected, |connection, now| {
        connection.begin_primary(now, DEVICE, StreamFunction::new(1, 1), true, 0)
    });
    scene.refuses(Error::NotConnected, |connection, now| connection.receive(now, &[0]).map(|_| ()));
}

// Every failure ends everything that is open, once, without a farewell and without stream 9.

fn failure_by_octets(who: Who, octets: &str, reason: CloseReason) {
    let mut scene = busy(who);
    scene.receives(octets, all_end(closes(reason)));
    nothing_is_left(&mut scene);
}

fn failure_of_the_transport(who: Who) {
    let mut scene = busy(who);
    scene.happens(Event::TransportClosed, all_end(closes(CloseReason::TransportClosed)));
    nothing_is_left(&mut scene);
}

fn failure_by_t6(who: Who) {
    let mut scene = busy(who);
    scene.fires_in(T6 - PAUSE, all_end(closes(CloseReason::T6(ControlRequest::Linktest))));
    nothing_is_left(&mut scene);
}

fn failure_by_t8(who: Who) {
    let mut scene = busy(who);
    scene.receives("0000", stays().due(T8));
    scene.fires_in(T8, all_end(closes(CloseReason::T8 { received: 2 })));
    nothing_is_left(&mut scene);
}

tests! { failure_by_octets:
    separate_req_ends_what_is_open_passive(
        passive(), "0000000A FFFF 00 00 00 09 00000063", CloseReason::SeparateReceived
    ),
    separate_req_ends_what_is_open_active(
        active(), "0000000A FFFF 00 00 00 09 00000063", CloseReason::SeparateReceived
    ),
    a_length_too_short_ends_what_is_open_passive(
        passive(), "00000009", CloseReason::LengthTooShort { length: 9 }
    ),
    a_length_too_short_ends_what_is_open_active(
        active(), "00000009", CloseReason::LengthTooShort { length: 9 }
    ),
}

tests! { failure_of_the_transport:
    a_lost_transport_ends_what_is_open_passive_equipment(passive()),
    a_lost_transport_ends_what_is_open_active_host(active()),
    a_lost_transport_ends_what_is_open_active_equipment(active().equipment()),
    a_lost_transport_ends_what_is_open_strict(active().strict()),
}

tests! { failure_by_t6:
    a_failed_linktest_ends_what_is_open_passive_equipment(passive()),
    a_failed_linktest_ends_what_is_open_active_host(active()),
    a_failed_linktest_ends_what_is_open_strict(passive().strict()),
}

tests! { failure_by_t8:
    t8_ends_what_is_open_passive_equipment(passive().strict()),
    t8_ends_what_is_open_active_host(active().strict()),
}

// Nothing survives a reconnect.

#[test]
fn no_transaction_and_no_frame_survives_a_reconnect() {
    let mut scene = busy(active());
    scene.happens(Event::TransportClosed, all_end(closes(CloseReason::TransportClosed)));
    scene.fires_in(T5, opens().never());
    // The Select.req is the first thing sent.
    let select = stays().sends("0000000A FFFF 00 00 00 01 00000066").due(T6).state(State::NotSelected);
    scene.happens(Event::TransportOpen, select);
    scene.receives("0000000A FFFF 00 00 00 02 00000066", selects());
    // What was open times out nowhere.
    scene.pass(100_000);
    assert_eq!(scene.times_out(), crate::support::Output::default());
}

/// The frames that waited for our text to end go with the connection.
#[test]
fn frames_held_back_do_not_survive_a_reconnect() {
    let mut scene = passive().selected();
    let now = scene.now();
    scene.connection.begin_primary(now, DEVICE, StreamFunction::new(7, 3), false, 10).unwrap();
    scene.receives("0000000A FFFF 00 00 00 05 00000063", stays());
    scene.happens(Event::TransportClosed, closes(CloseReason::TransportClosed));
    assert!(!scene.connection.is_body_open());
    scene.refuses(Error::NoBodyOpen, Connection::end_body);
    scene.happens(Event::TransportOpen, stays().state(State::NotSelected).due(T7));
    let accepted = selects().sends("0000000A FFFF 00 00 00 02 00000063");
    scene.receives("0000000A FFFF 00 00 00 01 00000063", accepted);
}

/// Half a frame and then a close: the next connection begins at a length field.
fn half_a_frame(who: Who) {
    let frame = "0000000E 0001 81 01 00 00 00000063 41024142";
    for cut in (2..36).step_by(2) {
        let half: String = frame.chars().filter(|c| !c.is_whitespace()).take(cut).collect();
        let class = if cut >= 28 { stays().class(Class::Primary) } else { stays() };
        let mut scene = who.selected();
        scene.receives(&half, class.due(T8));
        scene.happens(Event::TransportClosed, closes(CloseReason::TransportClosed));
        if who.is_active() {
            scene.fires_in(T5, opens().never());
            let select = stays().sends("0000000A FFFF 00 00 00 01 00000061").due(T6).state(State::NotSelected);
            scene.happens(Event::TransportOpen, select);
            scene.receives("0000000A FFFF 00 00 00 02 00000061", selects());
        } else {
            scene.happens(Event::TransportOpen, stays().state(State::NotSelected).due(T7));
            let accepted = selects().sends("0000000A FFFF 00 00 00 02 00000063");
            scene.receives("0000000A FFFF 00 00 00 01 00000063", accepted);
        }
        let received = scene.receives(frame, stays().class(Class::Primary));
        assert_eq!(received[0].text, [0x41, 0x02, 0x41, 0x42]);
    }
}

tests! { half_a_frame:
    half_a_frame_and_a_close_leaves_a_working_passive_side(passive()),
    half_a_frame_and_a_close_leaves_a_working_active_side(active()),
}

// Our own decisions.

fn separate_while_selected(who: Who) {
    let farewell = closes(CloseReason::Separated).sends("0000000A FFFF 00 00 00 09 00000061");
    let mut scene = who.selected();
    scene.does(farewell, Connection::separate);
    if who.is_active() {
        scene.fires_in(T5, opens().never());
    }
}

/// Nothing is sent before SELECTED: the connection just ends.
fn separate_while_not_selected(who: Who) {
    who.connected().does(closes(CloseReason::Separated), Connection::separate);
}

fn disable_while_selected(who: Who) {
    let farewell = closes_without_attempt(CloseReason::Disabled).sends("0000000A FFFF 00 00 00 09 00000061");
    let mut scene = who.selected();
    assert!(scene.connection.is_enabled());
    scene.does(farewell, Connection::disable);
    scene.does(stays(), Connection::disable);
    assert!(!scene.connection.is_enabled());
}

fn disable_while_not_selected(who: Who) {
    who.connected().does(closes_without_attempt(CloseReason::Disabled), Connection::disable);
    who.opening().does(closes_without_attempt(CloseReason::Disabled), Connection::disable);
}

fn separate_while_not_connected(who: Who) {
    who.disabled().refuses(Error::NotConnected, Connection::separate);
    who.opening().refuses(Error::NotConnected, Connection::separate);
}

tests! { separate_while_selected:
    we_separate_while_selected_default_passive(passive()),
    we_separate_while_selected_default_active(active()),
    we_separate_while_selected_strict_passive(passive().strict()),
    we_separate_while_selected_strict_active(active().strict()),
}

tests! { separate_while_not_selected:
    we_separate_while_not_selected_default_passive(passive()),
    we_separate_while_not_selected_default_active(active()),
    we_separate_while_not_selected_strict_passive(passive().strict()),
    we_separate_while_not_selected_strict_active(active().strict()),
}

tests! { disable_while_selected:
    disable_while_selected_default_passive(passive()),
    disable_while_selected_default_active(active()),
}

tests! { disable_while_not_selected:
    disable_while_not_selected_default_passive(passive()),
    disable_while_not_selected_default_active(active()),
}

tests! { separate_while_not_connected:
    we_cannot_separate_while_not_connected_passive(passive()),
    we_cannot_separate_while_not_connected_active(active()),
}

#[test]
fn separating_ends_what_is_open_once() {
    let farewell = closes(CloseReason::Separated).sends("0000000A FFFF 00 00 00 09 00000066");
    let mut scene = busy(passive());
    scene.does(all_end(farewell), Connection::separate);
    nothing_is_left(&mut scene);
}

/// A frame in the middle of a text would be taken for text.
fn leaving_while_our_text_is_open(leave: fn(&mut Scene)) {
    let mut scene = passive().selected();
    let now = scene.now();
    let (system, _) = scene.connection.begin_primary(now, DEVICE, StreamFunction::new(7, 3), true, 10).unwrap();
    assert_eq!(system, OURS);
    assert!(scene.connection.is_body_open());
    scene.receives("0000000A FFFF 00 00 00 05 00000063", stays());
    leave(&mut scene);
    assert!(!scene.connection.is_body_open());
}

tests! { leaving_while_our_text_is_open:
    we_separate_while_our_text_is_open(|scene| {
        scene.does(closes(CloseReason::Separated).ends(OURS, ENDED), Connection::separate);
    }),
    disable_while_our_text_is_open(|scene| {
        scene.does(closes_without_attempt(CloseReason::Disabled).ends(OURS, ENDED), Connection::disable);
    }),
    a_text_that_is_given_up_ends_the_connection(|scene| {
        scene.does(closes(CloseReason::BodyAborted).ends(OURS, ENDED), Connection::abort_body);
    }),
    separate_req_while_our_text_is_open(|scene| {
        let expect = closes(CloseReason::SeparateReceived).ends(OURS, ENDED);
        scene.receives("0000000A FFFF 00 00 00 09 00000064", expect);
    }),
}

/// What cannot be answered while our text is open is bounded: then the connection ends, with a reason of its own.
#[test]
fn too_many_answers_behind_our_text_end_the_connection() {
    let mut scene = passive().selected();
    let now = scene.now();
    scene.connection.begin_primary(now, DEVICE, StreamFunction::new(7, 3), false, 10).unwrap();
    let linktest = crate::support::hex("0000000A FFFF 00 00 00 05 00000063");
    let mut answered = 0;
    let reason = loop {
        assert!(answered < 100, "no bound");
        let _ = scene.connection.receive(now, &linktest).unwrap();
        match scene.connection.poll_action() {
            None => answered += 1,
            Some(hsms_core::connection::Action::CloseTransport(reason)) => break reason,
            Some(action) => panic!("{action:?}"),
        }
    };
    assert_eq!(reason, CloseReason::OutputStalled);
    assert!(answered >= 5, "{answered} answers were held");
    assert_eq!(scene.connection.state(), State::NotConnected);
}

/// A text that is arriving needs no answers: it goes on behind any number of them.
#[test]
fn a_text_arrives_behind_as_many_answers_as_can_be_held() {
    let mut scene = passive().selected();
    let now = scene.now();
    scene.connection.begin_primary(now, DEVICE, StreamFunction::new(7, 3), false, 10).unwrap();
    let linktest = crate::support::hex("0000000A FFFF 00 00 00 05 00000063");
    let data = crate::support::hex("0000000D 0001 01 01 00 00 00000064 41");
    for held in 0.. {
        assert!(held < 100, "no bound");
        let mut probe = scene.clone();
        probe.connection.receive(now, &linktest).unwrap();
        if probe.connection.poll_action().is_some() {
            break;
        }
        // As long as one more message is taken, its text is, however it is cut.
        let mut text = scene.clone();
        let (_, first) = text.connection.receive(now, &data).unwrap();
        assert_eq!(first.map(|piece| piece.class), Some(Class::Primary), "behind {held} answers");
        for last in [false, true] {
            let (taken, piece) = text.connection.receive(now, &[0x41]).unwrap();
            assert_eq!((taken, piece.map(|piece| piece.last())), (1, Some(last)), "behind {held} answers");
        }
        assert_eq!(text.connection.poll_action(), None);
        // And so is a text whose header had to be answered with the last place.
        let mut text = scene.clone();
        let octets = crate::support::hex("0000000C FFFF 00 00 00 0B 00000064 00");
        text.connection.receive(now, &octets).unwrap();
        if text.connection.state() == State::Selected {
            assert_eq!(text.connection.receive(now, &[0]).map(|(taken, _)| taken), Ok(1), "behind {held} answers");
            assert_eq!(text.connection.state(), State::Selected, "behind {held} answers");
        }
        scene = probe;
    }
}

/// T5 outlives a disable (E37 9.2.1: not before T5).
#[test]
fn enabling_again_waits_for_the_rest_of_t5() {
    let mut scene = active().connected();
    scene.does(closes_without_attempt(CloseReason::Disabled), Connection::disable);
    scene.pass(PAUSE);
    scene.does(stays().due(T5 - PAUSE), Connection::enable);
    scene.does(stays(), Connection::enable);
    scene.pass(PAUSE);
    scene.does(stays().never(), Connection::disable);
    scene.pass(PAUSE);
    scene.does(stays().due(T5 - 3 * PAUSE), Connection::enable);
    scene.fires_in(T5 - 3 * PAUSE, opens().never());
}

/// And for no longer.
#[test]
fn enabling_again_after_t5_dials_at_once() {
    for pause in [T5, T5 + 1, 100 * T5] {
        let mut scene = active().connected();
        scene.does(closes_without_attempt(CloseReason::Disabled), Connection::disable);
        scene.pass(pause);
        scene.does(opens(), Connection::enable);
    }
}

// Separate.req that comes.

fn separate_req_closes(scene: Scene) {
    for octets in ["FFFF 00 00", "0001 00 00", "FFFF 80 01"] {
        let octets = format!("0000000A {octets} 00 09 00000063");
        scene.clone().receives(&octets, closes(CloseReason::SeparateReceived));
    }
}

tests! { separate_req_closes:
    separate_req_while_not_selected_default_passive(passive().connected()),
    separate_req_while_not_selected_default_active(active().connected()),
    separate_req_while_not_selected_strict_passive(passive().strict().connected()),
    separate_req_while_not_selected_strict_active(active().strict().connected()),
    separate_req_while_selected_default_passive(passive().selected()),
    separate_req_while_selected_default_active(active().selected()),
    separate_req_while_selected_strict_passive(passive().strict().selected()),
    separate_req_while_selected_strict_active(active().strict().selected()),
}

/// What came in front of it in the same read is delivered, what comes behind it is void.
#[test]
fn data_in_front_of_a_separate_is_delivered() {
    let mut scene = active().requesting();
    let octets = "0000000A 0001 01 02 00 00 00000061 0000000A FFFF 00 00 00 09 00000063 00000000";
    scene.receives(octets, closes(CloseReason::SeparateReceived).class(Class::Reply).class(Class::Control));
}

// The Select.req is no transaction of the application's.

#[test]
fn a_lost_transport_while_our_select_is_open() {
    let mut scene = active().connected();
    assert!(scene.connection.is_open(SELECT_SYSTEM));
    scene.happens(Event::TransportClosed, closes(CloseReason::TransportClosed));
    assert!(!scene.connection.is_open(SELECT_SYSTEM));
}

/// The state never says SELECTED when the peer is gone, not even while the ends are being told.
#[test]
fn the_state_is_not_connected_before_the_first_end_is_told() {
    let mut scene = busy(passive());
    scene.connection.handle(scene.now(), Event::TransportClosed).unwrap();
    assert_eq!(scene.connection.state(), State::NotConnected);
    let mut seen = Vec::new();
    while let Some(action) = scene.connection.poll_action() {
        if let hsms_core::connection::Action::Notify(notice) = action {
            seen.push(notice);
        }
    }
    let ends: Vec<Notice> =
        (0x61..=0x65).map(|system| Notice::TransactionEnded { system: SystemBytes(system), end: ENDED }).collect();
    assert_eq!(seen, ends);
}
