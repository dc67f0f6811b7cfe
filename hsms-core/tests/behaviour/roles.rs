//! Enabling, disabling, and the connection that only refuses.

use crate::support::{
    DEVICE, OURS, PAUSE, Scene, T5, T6, T7, T8, active, closes, closes_without_attempt, opens, passive, selects, stays,
};
use hsms_core::Error;
use hsms_core::config::ConnectMode;
use hsms_core::connection::{Class, CloseReason, Connection, Event, Leniency, State, TransactionEnd};
use hsms_core::time::Instant;
use hsms_core::wire::{RejectReason, StreamFunction};

/// Disabled, and nothing happens any more, however often it is disabled and however long one waits.
fn is_disabled(scene: &mut Scene) {
    assert!(!scene.connection.is_enabled());
    for _ in 0..2 {
        scene.does(stays().never(), Connection::disable);
        scene.pass(100 * T5);
    }
    let refused = Error::UnexpectedEvent { event: Event::TransportOpen, state: State::NotConnected };
    scene.refuses(refused, |connection, now| connection.handle(now, Event::TransportOpen));
    // Whenever it is enabled again, it starts as if it were the first time.
    scene.does(opens().never(), Connection::enable);
    assert!(scene.connection.is_enabled());
}

#[test]
fn disable_before_enable_is_nothing() {
    for who in [passive(), active()] {
        is_disabled(&mut who.disabled());
    }
}

#[test]
fn disable_while_t5_runs_gives_the_attempt_up() {
    for who in [passive(), active()] {
        let mut scene = who.opening();
        scene.happens(Event::TransportFailed, stays().due(T5));
        scene.does(stays().never(), Connection::disable);
        is_disabled(&mut scene);
    }
}

#[test]
fn disable_before_the_transport_was_asked_for_asks_for_none() {
    for who in [passive(), active()] {
        let mut scene = who.disabled();
        let now = scene.now();
        scene.connection.enable(now).unwrap();
        assert_eq!(scene.connection.next_deadline(), Some(now));
        scene.does(stays().never(), Connection::disable);
        is_disabled(&mut scene);
    }
}

#[test]
fn disable_while_the_transport_opens_stops_that() {
    for who in [passive(), active()] {
        let mut scene = who.opening();
        scene.does(closes_without_attempt(CloseReason::Disabled), Connection::disable);
        is_disabled(&mut scene);
    }
}

#[test]
fn disable_while_not_selected_closes_without_a_farewell() {
    for who in [passive(), active()] {
        let mut scene = who.connected();
        scene.does(closes_without_attempt(CloseReason::Disabled), Connection::disable);
        is_disabled(&mut scene);
    }
}

#[test]
fn disable_while_selected_separates_first_and_ends_what_is_open() {
    for who in [passive(), active()] {
        let mut scene = who.requesting();
        let close = closes_without_attempt(CloseReason::Disabled)
            .sends("0000000A FFFF 00 00 00 09 00000062")
            .ends(OURS, TransactionEnd::SessionEnded);
        scene.does(close, Connection::disable);
        is_disabled(&mut scene);
    }
}

#[test]
fn disable_while_our_text_is_open_closes_without_a_farewell() {
    for who in [passive(), active()] {
        let mut scene = who.selected();
        scene.connection.begin_primary(scene.now(), DEVICE, StreamFunction::new(6, 11), false, 9).unwrap();
        scene.does(closes_without_attempt(CloseReason::Disabled), Connection::disable);
        scene.refuses(Error::NoBodyOpen, |connection, now| connection.end_body(now));
        is_disabled(&mut scene);
    }
}

#[test]
fn disable_while_a_message_or_a_linktest_of_ours_is_under_way_ends_both() {
    let mut scene = active().testing();
    scene.receives("0000000F 0001 86 0B 00 00 00000002 0102", stays().class(Class::Primary).due(T8));
    let close = closes_without_attempt(CloseReason::Disabled)
        .sends("0000000A FFFF 00 00 00 09 00000062")
        .ends(OURS, TransactionEnd::SessionEnded);
    scene.does(close, Connection::disable);
    is_disabled(&mut scene);
}

#[test]
fn enable_again_is_nothing() {
    for who in [passive(), active()] {
        for mut scene in [who.opening(), who.connected(), who.selected(), who.requesting()] {
            scene.does(stays(), Connection::enable);
        }
        let mut scene = who.opening();
        scene.happens(Event::TransportFailed, stays().due(T5));
        scene.pass(1_000);
        scene.does(stays(), Connection::enable);
    }
}

#[test]
fn enable_after_disable_respects_t5() {
    // Whatever the attempt came to: selected, connected, under way, failed.
    for mut scene in [active().selected(), active().connected(), active().opening()] {
        let farewell = scene.connection.state() == State::Selected;
        let close = closes_without_attempt(CloseReason::Disabled);
        let close = if farewell { close.sends("0000000A FFFF 00 00 00 09 00000061") } else { close };
        scene.does(close, Connection::disable);
        scene.pass(3_000);
        scene.does(stays().due(T5 - 3_000), Connection::enable);
        // Going back and forth wins nothing.
        for _ in 0..3 {
            scene.does(stays().never(), Connection::disable);
            scene.does(stays().due(T5 - 3_000), Connection::enable);
        }
        scene.fires_in(T5 - 3_000, opens().never());
    }
    let mut scene = active().opening();
    scene.happens(Event::TransportFailed, stays().due(T5));
    scene.pass(4_000);
    scene.does(stays().never(), Connection::disable);
    scene.pass(1_000);
    scene.does(stays().due(T5 - 5_000), Connection::enable);
    scene.fires_in(T5 - 5_000, opens().never());
    // Once T5 is over, at once.
    let mut scene = active().connected();
    scene.does(closes_without_attempt(CloseReason::Disabled), Connection::disable);
    scene.pass(T5);
    scene.does(opens().never(), Connection::enable);
    // The side that listens has no T5.
    let mut scene = passive().connected();
    scene.does(closes_without_attempt(CloseReason::Disabled), Connection::disable);
    scene.does(opens().never(), Connection::enable);
}

#[test]
fn a_caller_beyond_the_first_is_told_so_and_let_go() {
    for who in [passive(), passive().strict(), active(), active().strict()] {
        for session in ["FFFF", "0001"] {
            let mut scene = who.refusing();
            let close = closes_without_attempt(CloseReason::CallerRefused)
                .sends(&format!("0000000A {session} 00 01 00 02 00000007"))
                .class(Class::Control);
            scene.receives(&format!("0000000A {session} 00 00 00 01 00000007"), close);
            is_over(&mut scene);
        }
    }
}

/// A refusing connection that has ended stays that way.
fn is_over(scene: &mut Scene) {
    assert!(!scene.connection.is_enabled());
    scene.refuses(Error::NotConnected, Connection::enable);
    scene.does(stays().never(), Connection::disable);
    scene.pass(100 * T5);
    scene.refuses(Error::NotConnected, |connection, now| connection.receive(now, &[0]).map(drop));
    let refused = Error::UnexpectedEvent { event: Event::TransportOpen, state: State::NotConnected };
    scene.refuses(refused, |connection, now| connection.handle(now, Event::TransportOpen));
}

#[test]
fn a_caller_beyond_the_first_has_t7_to_ask() {
    let mut scene = passive().refusing();
    let answer = stays().class(Class::Control).sends("0000000A FFFF 00 00 00 06 00000001");
    scene.receives("0000000A FFFF 00 00 00 05 00000001", answer.lenient(Leniency::LinktestNotSelected));
    let rejected = Class::Rejected(RejectReason::ENTITY_NOT_SELECTED);
    let answer = stays().class(rejected).sends("0000000A FFFF 00 04 00 07 00000002");
    scene.receives("0000000A 0001 81 01 00 00 00000002", answer);
    scene.fires_in(T7 - PAUSE, closes_without_attempt(CloseReason::T7));
    is_over(&mut scene);
}

#[test]
fn a_refusing_connection_ends_with_its_caller_or_before() {
    let mut scene = passive().refusing();
    scene.happens(Event::TransportClosed, closes_without_attempt(CloseReason::TransportClosed));
    is_over(&mut scene);
    let mut scene = passive().refusing();
    scene.does(closes_without_attempt(CloseReason::Disabled), Connection::disable);
    is_over(&mut scene);
    let mut scene = passive().refusing();
    scene.does(closes_without_attempt(CloseReason::Separated), Connection::separate);
    is_over(&mut scene);
    let mut scene = passive().disabled();
    scene.connection = Connection::refusing(passive().0);
    scene.does(closes_without_attempt(CloseReason::TransportClosed), |connection, now| {
        connection.handle(now, Event::TransportFailed)
    });
    is_over(&mut scene);
}

#[test]
fn a_refusing_connection_needs_no_transactions_and_is_passive() {
    let mut connection = Connection::<0>::refusing(active().0);
    assert_eq!(connection.config().mode(), ConnectMode::Passive);
    assert!(connection.is_enabled());
    let now = Instant::from_millis(5);
    connection.handle(now, Event::TransportOpen).unwrap();
    // No Select.req of its own.
    assert_eq!(connection.poll_action(), None);
    assert_eq!(connection.next_deadline(), Some(Instant::from_millis(5 + T7)));
}

#[test]
fn the_application_selects_where_it_wants_to() {
    let mut scene = active().on_command().connected();
    let select = stays().sends("0000000A FFFF 00 00 00 01 00000051").due(T6);
    assert_eq!(scene.does(select, Connection::select), crate::support::SELECT_SYSTEM);
    let open = Error::ControlOpen { system: crate::support::SELECT_SYSTEM };
    scene.refuses(open, Connection::select);
    scene.receives("0000000A FFFF 00 00 00 02 00000051", selects().class(Class::Control));
    scene.refuses(Error::CannotSelect, Connection::select);
    passive().connected().refuses(Error::CannotSelect, Connection::select);
    active().opening().refuses(Error::NotConnected, Connection::select);
}

#[test]
fn separate_ends_the_session_and_the_connection_stays_enabled() {
    let mut scene = passive().selected();
    let close = closes(CloseReason::Separated).sends("0000000A FFFF 00 00 00 09 00000061");
    scene.does(close, Connection::separate);
    assert!(scene.connection.is_enabled());
    // While NOT SELECTED there is no session to end.
    for who in [passive(), active()] {
        let mut scene = who.connected();
        scene.does(closes(CloseReason::Separated), Connection::separate);
        scene.refuses(Error::NotConnected, Connection::separate);
    }
}
