//! The timers of E37 7.2 and 10.1: each a millisecond before, at and after its deadline (`fires_in` looks at all three), when it
//! starts, and what does not touch it.

use crate::support::{
    DEVICE, Expect, OURS, Output, PAUSE, Scene, T3, T5, T6, T7, T8, Who, active, closes, closes_without_attempt, hex,
    opens, passive, selects, stays, tests,
};
use hsms_core::Error;
use hsms_core::connection::{
    Class, CloseReason, Connection, ControlRequest, Event, Leniency, Notice, State, TransactionEnd,
};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, RejectReason, SelectStatus, StreamFunction, SystemBytes};

// T3.

/// What S9F9 says about the S1F1 of these scenes, where equipment asked.
fn t3(who: Who) -> Expect {
    let expect = stays().never().ends(OURS, TransactionEnd::T3);
    if who.is_equipment() {
        return expect.sends("00000016 0001 09 09 00 00 00000062 210A00018101000000000061");
    }
    expect
}

fn t3_expires(who: Who) {
    let mut scene = who.requesting();
    scene.fires_in(T3 - PAUSE, t3(who));
    assert_eq!(scene.connection.state(), State::Selected);
}

tests! { t3_expires:
    t3_ends_the_transaction_and_keeps_the_link_default_passive(passive()),
    t3_ends_the_transaction_and_keeps_the_link_default_active(active()),
    t3_ends_the_transaction_and_keeps_the_link_strict_passive(passive().strict()),
    t3_ends_the_transaction_and_keeps_the_link_strict_active(active().strict()),
}

/// T3 counts from when the last octet of the primary was written (E37 9.4.1: after it has been sent).
fn t3_counts_from_the_last_octet_written(who: Who) {
    let mut scene = who.selected();
    scene.hold_writes();
    let (system, octets) = scene.sends_primary(1, 1, true, &[0x21, 0x01, 0x00]);
    assert_eq!((system, octets.len()), (OURS, 17));
    assert_eq!(scene.due_in(), None);
    scene.pass(2 * T3);
    assert_eq!(scene.times_out(), Output::default(), "it is not on its way yet");
    scene.writes(16, stays());
    scene.pass(2 * T3);
    assert_eq!(scene.times_out(), Output::default(), "an octet is missing");
    scene.writes(1, stays().due(T3));
    scene.pass(PAUSE);
    scene.fires_in(T3 - PAUSE, t3(who));
}

tests! { t3_counts_from_the_last_octet_written:
    t3_counts_from_the_last_octet_written_host(active()),
    t3_counts_from_the_last_octet_written_equipment(passive()),
}

/// Octets of other messages are in front of it.
#[test]
fn t3_counts_octets_in_front_of_the_primary() {
    let mut scene = active().selected();
    scene.hold_writes();
    scene.receives("0000000A FFFF 00 00 00 05 00000063", stays().sends("0000000A FFFF 00 00 00 06 00000063"));
    scene.sends_primary(6, 11, false, &[0; 6]);
    scene.sends_primary(1, 1, true, &[]);
    scene.sends_primary(1, 3, true, &[]);
    // 14 + 20 + 14 + 14.
    scene.writes(47, stays());
    scene.pass(PAUSE);
    scene.writes(1, stays().due(T3));
    scene.pass(PAUSE);
    scene.writes(13, stays());
    scene.pass(PAUSE);
    scene.writes(1, stays());
    let first = stays().ends(SystemBytes(0x62), TransactionEnd::T3).due(2 * PAUSE);
    scene.fires_in(T3 - 2 * PAUSE, first);
    scene.fires_in(2 * PAUSE, stays().ends(SystemBytes(0x63), TransactionEnd::T3).never());
}

/// The reply may overtake the news that the primary was written.
#[test]
fn a_reply_before_the_last_octet_is_reported_written() {
    let mut scene = active().selected();
    scene.hold_writes();
    scene.sends_primary(1, 1, true, &[]);
    scene.receives("0000000A 0001 01 02 00 00 00000061", stays().class(Class::Reply));
    scene.writes(14, stays().never());
}

/// One for each transaction, whatever else goes on.
#[test]
fn t3_runs_for_each_transaction_and_is_not_extended_by_traffic() {
    let mut scene = active().selected();
    let first = scene.requests(1, 1);
    scene.pass(PAUSE);
    let second = scene.requests(1, 3);
    scene.pass(PAUSE);
    scene.receives("0000000A 0001 81 01 00 00 00000063", stays().class(Class::Primary));
    scene.receives("0000000A FFFF 00 00 00 05 00000063", stays().sends("0000000A FFFF 00 00 00 06 00000063"));
    scene.receives("0000000A 0001 01 02 00 00 00000050", stays());
    scene.fires_in(T3 - 2 * PAUSE, stays().ends(first, TransactionEnd::T3).due(PAUSE));
    scene.fires_in(PAUSE, stays().ends(second, TransactionEnd::T3).never());
}

/// As many calls as timers are due, however late the adapter is.
#[test]
fn each_timeout_call_fires_one_timer() {
    let mut scene = active().selected();
    let systems: Vec<SystemBytes> = (0..4).map(|_| scene.requests(1, 1)).collect();
    scene.pass(10 * T3);
    for system in systems {
        let output = scene.times_out();
        assert_eq!(output.notices, [Notice::TransactionEnded { system, end: TransactionEnd::T3 }]);
    }
    assert_eq!(scene.times_out(), Output::default());
    assert_eq!(scene.due_in(), None);
}

/// More than a minute, and more than 49 days after the epoch.
#[test]
fn timers_do_not_wrap() {
    let config = active().0.with_t3(std::time::Duration::from_secs(86_400)).unwrap();
    let mut scene = Who(config).selected();
    scene.pass(u64::from(u32::MAX));
    scene.requests(1, 1);
    scene.fires_in(86_400_000, stays().never().ends(OURS, TransactionEnd::T3));
}

// T5.

/// The active side dials again T5 after the connection ended, not before; then it is NOT CONNECTED until the dial ends.
fn t5_after_a_close(mut scene: Scene, end: fn(&mut Scene)) {
    end(&mut scene);
    scene.fires_in(T5, opens().never());
    assert_eq!(scene.connection.state(), State::NotConnected);
}

tests! { t5_after_a_close:
    t5_after_a_lost_transport_not_selected(active().connected(), |scene| {
        scene.happens(Event::TransportClosed, closes(CloseReason::TransportClosed));
    }),
    t5_after_a_lost_transport_selected(active().selected(), |scene| {
        scene.happens(Event::TransportClosed, closes(CloseReason::TransportClosed));
    }),
    t5_after_a_refused_select(active().connected(), |scene| {
        let reason = CloseReason::SelectRefused(SelectStatus::CONNECTION_NOT_READY);
        scene.receives("0000000A FFFF 00 02 00 02 00000051", closes(reason));
    }),
    t5_after_t6_of_the_select(active().strict().connected(), |scene| {
        scene.fires_in(T6 - PAUSE, closes(CloseReason::T6(ControlRequest::Select)));
    }),
    t5_after_separate_req(active().selected(), |scene| {
        scene.receives("0000000A FFFF 00 00 00 09 00000063", closes(CloseReason::SeparateReceived));
    }),
    t5_after_our_separate(active().strict().selected(), |scene| {
        let farewell = closes(CloseReason::Separated).sends("0000000A FFFF 00 00 00 09 00000061");
        scene.does(farewell, Connection::separate);
    }),
    t5_after_an_impossible_length(active().selected(), |scene| {
        scene.receives("00000000", closes(CloseReason::LengthTooShort { length: 0 }));
    }),
}

/// From the end of the connect procedure, whatever it took (E37 9.2.1); on the passive side so that it does not spin.
fn t5_after_a_failed_attempt(who: Who) {
    let mut scene = who.opening();
    for _ in 0..3 {
        scene.pass(3 * T5);
        scene.happens(Event::TransportFailed, stays().due(T5));
        scene.fires_in(T5, opens().never());
    }
    scene.pass(PAUSE);
    let expect =
        if who.is_active() { stays().sends("0000000A FFFF 00 00 00 01 00000051").due(T6) } else { stays().due(T7) };
    scene.happens(Event::TransportOpen, expect.state(State::NotSelected));
}

tests! { t5_after_a_failed_attempt:
    t5_spaces_failed_dials_default(active()),
    t5_spaces_failed_dials_strict(active().strict()),
    t5_spaces_attempts_to_listen(passive()),
}

/// Of the two moments the close is the later one.
#[test]
fn t5_counts_from_the_close_and_not_from_the_dial() {
    let mut scene = active().selected();
    scene.pass(100 * T5);
    scene.happens(Event::TransportClosed, closes(CloseReason::TransportClosed));
    scene.pass(T5 - 1);
    assert_eq!(scene.times_out(), Output::default());
    scene.fires_in(1, opens().never());
}

/// The passive side has no T5: it listens again at once.
#[test]
fn the_passive_side_listens_again_at_once() {
    let mut scene = passive().selected();
    scene.happens(Event::TransportClosed, closes(CloseReason::TransportClosed));
    scene.happens(Event::TransportOpen, stays().state(State::NotSelected).due(T7));
}

// T6.

fn t6_of_the_select_counts_from_its_last_octet(who: Who) {
    let mut scene = who.opening();
    scene.hold_writes();
    let sent = stays().sends("0000000A FFFF 00 00 00 01 00000051").state(State::NotSelected).never();
    scene.happens(Event::TransportOpen, sent);
    scene.pass(PAUSE);
    scene.writes(13, stays());
    scene.pass(PAUSE);
    scene.writes(1, stays().due(T6));
    scene.fires_in(T6, closes(CloseReason::T6(ControlRequest::Select)));
}

tests! { t6_of_the_select_counts_from_its_last_octet:
    t6_of_the_select_counts_from_its_last_octet_default(active()),
    t6_of_the_select_counts_from_its_last_octet_strict(active().strict()),
}

#[test]
fn t6_of_a_linktest_counts_from_its_last_octet() {
    let mut scene = passive().selected();
    scene.hold_writes();
    scene.does(stays().sends("0000000A FFFF 00 00 00 05 00000061"), Connection::linktest);
    scene.pass(2 * T6);
    scene.writes(13, stays());
    scene.pass(PAUSE);
    scene.writes(1, stays().due(T6));
    let failed = closes(CloseReason::T6(ControlRequest::Linktest)).ends(OURS, TransactionEnd::SessionEnded);
    scene.fires_in(T6, failed);
}

#[test]
fn t6_stops_with_the_response() {
    let mut scene = active().connected();
    scene.pass(T6 - PAUSE - 1);
    assert_eq!(scene.due_in(), Some(1));
    scene.receives("0000000A FFFF 00 00 00 02 00000051", selects());
    scene.pass(10 * T6);
    assert_eq!(scene.times_out(), Output::default());
}

// T7.

fn t7_expires(who: Who) {
    who.connected().fires_in(T7 - PAUSE, closes(CloseReason::T7));
}

tests! { t7_expires:
    t7_ends_an_unselected_connection_default_passive(passive()),
    t7_ends_an_unselected_connection_strict_passive(passive().strict()),
}

#[test]
fn t7_stops_with_selected() {
    for who in [passive(), passive().strict()] {
        let mut scene = who.connected();
        scene.pass(T7 - PAUSE - 1);
        let accepted = selects().sends("0000000A FFFF 00 00 00 02 00000063");
        scene.receives("0000000A FFFF 00 00 00 01 00000063", accepted);
        scene.pass(10 * T7);
        assert_eq!(scene.times_out(), Output::default());
    }
}

/// An unselected connection cannot be held open by traffic.
#[test]
fn t7_is_not_extended_by_traffic_default_passive() {
    let not_selected = Class::Rejected(RejectReason::ENTITY_NOT_SELECTED);
    let header = Header::reject_req(SystemBytes(0x50), 5, RejectReason::STYPE_NOT_SUPPORTED);
    let traffic = [
        ("0000000A FFFF 00 00 00 05 00000063", {
            stays().sends("0000000A FFFF 00 00 00 06 00000063").lenient(Leniency::LinktestNotSelected)
        }),
        ("0000000A FFFF 00 00 00 03 00000063", {
            stays().sends("0000000A FFFF 00 01 00 04 00000063").lenient(Leniency::DeselectNotSelected)
        }),
        ("0000000A 0001 81 01 00 00 00000063", {
            stays().sends("0000000A FFFF 00 04 00 07 00000063").class(not_selected)
        }),
        ("0000000A FFFF 00 00 00 0B 00000063", stays().sends("0000000A FFFF 0B 01 00 07 00000063")),
        ("0000000A FFFF 00 00 00 06 00000063", stays().sends("0000000A FFFF 06 03 00 07 00000063")),
        ("0000000A FFFF 05 01 00 07 00000050", stays().tells(Notice::RejectReceived { header })),
    ];
    let mut scene = passive().connected();
    let step = (T7 - PAUSE) / 7;
    for (octets, expect) in traffic {
        scene.pass(step);
        scene.receives(octets, expect);
    }
    scene.fires_in(T7 - PAUSE - 6 * step, closes(CloseReason::T7));
}

/// Nor by octets that trickle in.
#[test]
fn t7_is_not_extended_by_octets() {
    let mut scene = passive().strict().connected();
    scene.receives("00", stays().due(T8));
    scene.pass(T8 - 1);
    scene.receives("00", stays().due(T7 - PAUSE - (T8 - 1)));
    scene.fires_in(T7 - PAUSE - (T8 - 1), closes(CloseReason::T7));
}

// T8.

const MESSAGE: &str = "0000000E 0001 81 01 00 00 00000063 41024142";

/// Between any two octets of a message, from the first octet of the length field on; each octet restarts it.
fn t8_between_octets(who: Who) {
    let octets = hex(MESSAGE);
    for cut in 1..octets.len() {
        let mut scene = who.selected();
        for (index, octet) in octets[..cut].iter().enumerate() {
            scene.pass(T8 - 1);
            let expect = if index == 13 { stays().class(Class::Primary) } else { stays() };
            scene.receives_octets(&[*octet], expect.due(T8));
        }
        let received = u32::try_from(cut).unwrap();
        scene.clone().fires_in(T8, closes(CloseReason::T8 { received }));

        // The whole rest stops it.
        scene.pass(T8 - 1);
        let expect = if cut < 14 { stays().class(Class::Primary) } else { stays() };
        scene.receives_octets(&octets[cut..], expect.never());
    }
}

fn t8_while_not_selected(scene: Scene) {
    let octets = hex("0000000A FFFF 00 00 00 05 00000063");
    for cut in 1..octets.len() {
        let mut scene = scene.clone();
        scene.receives_octets(&octets[..cut], stays().due(T8));
        let received = u32::try_from(cut).unwrap();
        scene.fires_in(T8, closes(CloseReason::T8 { received }));
    }
}

tests! { t8_between_octets:
    t8_guards_every_gap_in_a_message_selected_default_passive(passive()),
    t8_guards_every_gap_in_a_message_selected_default_active(active()),
    t8_guards_every_gap_in_a_message_selected_strict_passive(passive().strict()),
    t8_guards_every_gap_in_a_message_selected_strict_active(active().strict()),
}

tests! { t8_while_not_selected:
    t8_guards_every_gap_in_a_message_not_selected_default_passive(passive().connected()),
    t8_guards_every_gap_in_a_message_not_selected_default_active(active().connected()),
    t8_guards_every_gap_in_a_message_not_selected_strict_passive(passive().strict().connected()),
    t8_guards_every_gap_in_a_message_not_selected_strict_active(active().strict().connected()),
}

/// Idle time between messages is nobody's fault.
#[test]
fn t8_does_not_run_between_messages() {
    let mut scene = active().selected();
    for _ in 0..3 {
        scene.pass(100 * T8);
        assert_eq!(scene.times_out(), Output::default());
        scene.receives(MESSAGE, stays().class(Class::Primary));
        assert_eq!(scene.due_in(), None);
    }
}

/// One message's end and the next one's beginning in one read.
#[test]
fn t8_runs_for_the_message_that_began_behind_another() {
    let mut scene = active().selected();
    scene.receives(&format!("{MESSAGE} 00"), stays().class(Class::Primary).due(T8));
    scene.fires_in(T8, closes(CloseReason::T8 { received: 1 }));
}

/// A skipped text is guarded like any other.
#[test]
fn t8_guards_a_text_that_is_skipped() {
    let mut scene = passive().connected();
    let rejected = stays().sends("0000000A FFFF 00 04 00 07 00000063").due(T8);
    scene.receives("0000000E 0001 81 01 00 00 00000063 4102", rejected);
    scene.fires_in(T8, closes(CloseReason::T8 { received: 16 }));
}

/// Two timers at one moment: which goes first is not laid down, and either ends the connection.
#[test]
fn t8_and_t7_at_the_same_moment() {
    let mut scene = passive().connected();
    scene.pass(T7 - PAUSE - T8);
    scene.receives("00", stays().due(T8));
    scene.pass(T8);
    let output = scene.times_out();
    assert!(matches!(output.close, Some(CloseReason::T7 | CloseReason::T8 { received: 1 })), "{output:?}");
    assert_eq!(scene.times_out(), Output::default());
}

// Time itself.

/// A clock that goes back is taken as one that stands still.
#[test]
fn time_never_goes_back() {
    let mut scene = active().requesting();
    let due = scene.connection.next_deadline();
    for millis in [0, 1, 999_999] {
        scene.connection.handle(Instant::from_millis(millis), Event::Timeout).unwrap();
        assert_eq!(scene.connection.poll_action(), None);
        assert_eq!(scene.connection.next_deadline(), due);
    }
    scene.fires_in(T3 - PAUSE, stays().never().ends(OURS, TransactionEnd::T3));
}

#[test]
fn a_timeout_where_nothing_can_be_due_does_nothing() {
    for mut scene in [active().disabled(), active().opening(), passive().opening(), passive().selected()] {
        scene.pass(1_000_000_000);
        let untouched = scene.due_in();
        assert_eq!(scene.times_out(), Output::default());
        assert_eq!((scene.due_in(), untouched), (None, None));
    }
}

// While the adapter does not read.

/// T3, T6 and T8 stand still; no answer could be seen.
#[test]
fn a_pause_of_reading_stops_t3_t6_and_t8() {
    let mut scene = active().requesting();
    scene.does(stays().sends("0000000A FFFF 00 00 00 05 00000062").due(T6), Connection::linktest);
    scene.only_at_once();
    scene.receives("00", stays().due(T8));
    scene.pass(PAUSE);
    scene.does(stays().never(), Connection::pause_input);
    scene.pass(10 * T3);
    assert_eq!(scene.times_out(), Output::default());
    scene.does(stays().due(T8 - PAUSE), Connection::resume_input);
    let rest = stays().sends("0000000A FFFF 00 00 00 06 00000063");
    scene.receives("00000A FFFF 00 00 00 05 00000063", rest.due(T6 - PAUSE));
    let answered = Notice::LinktestAnswered { system: SystemBytes(0x62) };
    scene.receives("0000000A FFFF 00 00 00 06 00000062", stays().tells(answered).due(T3 - 2 * PAUSE));
    scene.fires_in(T3 - 2 * PAUSE, stays().never().ends(OURS, TransactionEnd::T3));
}

#[test]
fn octets_are_refused_while_reading_is_paused() {
    let mut scene = passive().selected();
    scene.does(stays(), Connection::pause_input);
    scene.does(stays(), Connection::pause_input);
    scene.refuses(Error::InputPaused, |connection, now| connection.receive(now, &[0]).map(|_| ()));
    scene.does(stays(), Connection::resume_input);
    scene.does(stays(), Connection::resume_input);
    scene.receives(MESSAGE, stays().class(Class::Primary));
}

/// T7 does not: the caller holds a place.
#[test]
fn a_pause_of_reading_does_not_stop_t7() {
    let mut scene = passive().connected();
    scene.does(stays(), Connection::pause_input);
    scene.fires_in(T7 - PAUSE, closes(CloseReason::T7));
}

/// T3 of a primary that is begun and never completed does not run.
#[test]
fn t3_does_not_run_while_our_text_is_open() {
    let mut scene = active().selected();
    let now = scene.now();
    scene.connection.begin_primary(now, DEVICE, StreamFunction::new(7, 3), true, 10).unwrap();
    scene.does(stays(), |connection, now| connection.written(now, 23));
    scene.pass(10 * T3);
    assert_eq!(scene.times_out(), Output::default());
    scene.does(closes_without_attempt(CloseReason::Disabled).ends(OURS, TransactionEnd::SessionEnded), {
        Connection::disable
    });
}
