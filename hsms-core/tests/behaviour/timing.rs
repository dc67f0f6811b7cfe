//! Time that stands still, goes backwards, or is not measured; linktests that are missed.

use crate::support::{OURS, Output, PAUSE, T3, T5, T6, T7, T8, active, closes, opens, passive, stays};
use hsms_core::Error;
use hsms_core::connection::{Class, CloseReason, Connection, ControlRequest, Event, Notice, State, TransactionEnd};
use hsms_core::time::Instant;
use hsms_core::wire::SystemBytes;

const YEAR: u64 = 365 * 24 * 3_600_000;

#[test]
fn a_now_before_an_earlier_one_counts_as_that_one() {
    let mut connection = passive().selected().connection;
    let at = |millis: u64| Instant::from_millis(2_000_000 + millis);
    connection.receive(at(10_000), &[0]).unwrap();
    assert_eq!(connection.next_deadline(), Some(at(10_000 + T8)));
    // An octet that comes earlier than the one before it.
    connection.receive(at(2_000), &[0]).unwrap();
    assert_eq!(connection.next_deadline(), Some(at(10_000 + T8)));
    // A clock that jumped back fires nothing, and is not remembered.
    for millis in [0, 9_999, 10_000 + T8 - 1] {
        connection.handle(at(millis), Event::Timeout).unwrap();
        assert_eq!((connection.poll_action(), connection.state()), (None, State::Selected));
    }
    connection.receive(at(0), &[0]).unwrap();
    assert_eq!(connection.next_deadline(), Some(at(10_000 + T8)));
    connection.handle(at(10_000 + T8), Event::Timeout).unwrap();
    assert_eq!(connection.state(), State::NotConnected);
}

#[test]
fn a_timer_that_starts_after_the_clock_jumped_back_starts_at_the_latest_time_known() {
    let mut scene = active().selected();
    let latest = scene.now();
    let system = scene.requests(1, 1);
    scene.connection.forget(system).unwrap();
    let mut connection = scene.connection;
    let s1f1 = hsms_core::wire::StreamFunction::new(1, 1);
    connection.begin_primary(Instant::EPOCH, crate::support::DEVICE, s1f1, true, 0).unwrap();
    connection.end_body(Instant::EPOCH).unwrap();
    connection.written(Instant::EPOCH, 14).unwrap();
    assert_eq!(connection.next_deadline(), Some(Instant::from_millis(latest.as_millis() + T3)));
}

#[test]
fn the_deadline_is_never_in_the_past_however_late_the_adapter_is() {
    let mut scene = active().requesting();
    scene.requests(1, 3);
    scene.pass(YEAR);
    // The first Timeout tells the machine how late it is; the deadline is now until all that is due has fired.
    let now = scene.now();
    scene.connection.handle(now, Event::Timeout).unwrap();
    assert_eq!(scene.connection.next_deadline(), Some(now));
    assert!(scene.connection.poll_action().is_some());
    assert_eq!(scene.connection.next_deadline(), Some(now));
    let ended = |system| stays().ends(system, TransactionEnd::T3).never();
    scene.does(ended(SystemBytes(OURS.0 + 1)), |connection, now| connection.handle(now, Event::Timeout));
}

#[test]
fn pausing_input_stops_t3() {
    let mut scene = active().requesting();
    scene.does(stays().never(), Connection::pause_input);
    scene.pass(YEAR);
    assert_eq!(scene.times_out(), Output::default());
    scene.does(stays().due(T3 - PAUSE), Connection::resume_input);
    scene.fires_in(T3 - PAUSE, stays().ends(OURS, TransactionEnd::T3).never());
}

#[test]
fn pausing_input_stops_t6_of_a_linktest_and_of_a_select() {
    let mut scene = active().testing();
    scene.does(stays().never(), Connection::pause_input);
    scene.pass(YEAR);
    assert_eq!(scene.times_out(), Output::default());
    scene.does(stays().due(T6 - PAUSE), Connection::resume_input);
    let close = closes(CloseReason::T6(ControlRequest::Linktest)).ends(OURS, TransactionEnd::SessionEnded);
    scene.fires_in(T6 - PAUSE, close);

    let mut scene = active().connected();
    scene.does(stays().never(), Connection::pause_input);
    scene.pass(YEAR);
    assert_eq!(scene.times_out(), Output::default());
    scene.does(stays().due(T6 - PAUSE), Connection::resume_input);
    scene.fires_in(T6 - PAUSE, closes(CloseReason::T6(ControlRequest::Select)));
}

#[test]
fn pausing_input_stops_t8() {
    let mut scene = passive().selected();
    scene.receives("00000014 0001", stays().due(T8));
    scene.pass(500);
    scene.does(stays().never(), Connection::pause_input);
    scene.pass(YEAR);
    assert_eq!(scene.times_out(), Output::default());
    scene.does(stays().due(T8 - 500), Connection::resume_input);
    scene.fires_in(T8 - 500, closes(CloseReason::T8 { received: 6 }));
}

#[test]
fn pausing_input_does_not_stop_t7() {
    let mut scene = passive().connected();
    scene.does(stays(), Connection::pause_input);
    scene.fires_in(T7 - PAUSE, closes(CloseReason::T7));
    // The next connection is not paused.
    scene.happens(Event::TransportOpen, stays().state(State::NotSelected).due(T7));
    scene.receives("00", stays().due(T8));
}

#[test]
fn no_linktest_is_begun_while_input_is_paused_and_the_period_goes_on_afterwards() {
    let mut scene = passive().linktest(30_000, 1).selected();
    scene.does(stays().never(), Connection::pause_input);
    scene.pass(YEAR);
    assert_eq!(scene.times_out(), Output::default());
    // One second of the period had passed.
    scene.does(stays().due(30_000 - PAUSE), Connection::resume_input);
    scene.fires_in(30_000 - PAUSE, stays().sends("0000000A FFFF 00 00 00 05 00000061").due(T6));
}

#[test]
fn octets_are_refused_while_input_is_paused_and_pausing_again_changes_nothing() {
    let mut scene = active().requesting();
    scene.does(stays().never(), Connection::pause_input);
    scene.refuses(Error::InputPaused, |connection, now| connection.receive(now, &[0]).map(drop));
    scene.pass(10_000);
    scene.does(stays().never(), Connection::pause_input);
    scene.pass(10_000);
    scene.does(stays().due(T3 - PAUSE), Connection::resume_input);
    // Resuming what runs is nothing.
    scene.pass(PAUSE);
    scene.does(stays().due(T3 - 2 * PAUSE), Connection::resume_input);
    scene.receives("0000000A 0001 01 02 00 00 00000061", stays().class(Class::Reply).never());
}

#[test]
fn a_timer_that_starts_while_input_is_paused_has_all_of_its_time_left_afterwards() {
    let mut scene = active().selected();
    scene.does(stays().never(), Connection::pause_input);
    scene.pass(10_000);
    // Written, and so on its way, ten seconds into the pause.
    let system = scene.requests(1, 1);
    assert_eq!(scene.connection.next_deadline(), None);
    scene.pass(10_000);
    scene.does(stays().due(T3), Connection::resume_input);
    scene.fires_in(T3, stays().ends(system, TransactionEnd::T3).never());

    let mut scene = active().selected();
    scene.does(stays().never(), Connection::pause_input);
    scene.pass(10_000);
    scene.does(stays().sends("0000000A FFFF 00 00 00 05 00000061").never(), Connection::linktest);
    scene.pass(10_000);
    scene.does(stays().due(T6), Connection::resume_input);
    let close = closes(CloseReason::T6(ControlRequest::Linktest));
    scene.fires_in(T6, close.ends(OURS, TransactionEnd::SessionEnded));
}

#[test]
fn a_linktest_period_of_zero_is_off() {
    for who in [passive(), active()] {
        let mut scene = who.linktest(0, 1).selected();
        assert_eq!(scene.connection.next_deadline(), None);
        scene.pass(YEAR);
        assert_eq!(scene.times_out(), Output::default());
        // By command it goes.
        scene.does(stays().sends("0000000A FFFF 00 00 00 05 00000061").due(T6), Connection::linktest);
    }
}

#[test]
fn a_threshold_counts_linktests_in_a_row_with_nothing_received() {
    let mut scene = passive().linktest(30_000, 3).selected();
    let mut system = OURS.0;
    let mut due = 30_000 - PAUSE;
    let mut miss = |scene: &mut crate::support::Scene, due: u64, missed: u8| {
        scene.fires_in(due, stays().sends(&format!("0000000A FFFF 00 00 00 05 {system:08X}")).due(T6));
        let notice = Notice::LinktestMissed { system: SystemBytes(system), missed };
        system += 1;
        if missed < 3 {
            scene.fires_in(T6, stays().tells(notice).due(30_000));
        } else {
            let close = closes(CloseReason::T6(ControlRequest::Linktest));
            scene.fires_in(T6, close.ends(SystemBytes(system - 1), TransactionEnd::SessionEnded));
        }
    };
    for missed in [1, 2] {
        miss(&mut scene, due, missed);
        due = 30_000;
    }
    // A single octet is a sign of life: the count begins anew.
    let connected = scene.connection.clone();
    scene.receives("0000000A 0001 01 01 00 00 00000009", stays().class(Class::Primary).due(30_000));
    assert_ne!(scene.connection, connected);
    for missed in [1, 2, 3] {
        miss(&mut scene, 30_000, missed);
    }
    // And not by one side only: the same on the side that dials, which dials again.
    let mut scene = active().linktest(30_000, 1).selected();
    scene.fires_in(30_000 - PAUSE, stays().sends("0000000A FFFF 00 00 00 05 00000061").due(T6));
    let close = closes(CloseReason::T6(ControlRequest::Linktest));
    scene.fires_in(T6, close.ends(OURS, TransactionEnd::SessionEnded));
    scene.fires_in(T5, opens().never());
}
