//! A second TCP connection while one is served (E37 9.2.4, option a).

use crate::support::{PAUSE, T7, Who, closes_without_attempt, passive, stays, tests};
use hsms_core::Error;
use hsms_core::connection::{Action, Class, CloseReason, Connection, Event, Leniency, State};
use hsms_core::wire::{RejectReason, SType};

fn its_select_is_refused(who: Who) {
    for id in ["FFFF", "0001", "0000"] {
        let refused =
            closes_without_attempt(CloseReason::CallerRefused).sends(&format!("0000000A {id} 00 01 00 02 00000063"));
        who.refusing().receives(&format!("0000000A {id} 00 00 00 01 00000063"), refused);
    }
}

fn t7_bounds_it(who: Who) {
    who.refusing().fires_in(T7 - PAUSE, closes_without_attempt(CloseReason::T7));
}

fn it_ends_for_good(who: Who) {
    let mut scene = who.refusing();
    scene.happens(Event::TransportClosed, closes_without_attempt(CloseReason::TransportClosed));
    scene.refuses(Error::NotConnected, Connection::enable);
    let event = Event::TransportOpen;
    scene.refuses(Error::UnexpectedEvent { event, state: State::NotConnected }, |connection, now| {
        connection.handle(now, event)
    });
}

tests! { its_select_is_refused:
    second_caller_is_refused_with_status_1_default(passive()),
    second_caller_is_refused_with_status_1_strict(passive().strict()),
}

tests! { t7_bounds_it:
    second_caller_that_says_nothing_ends_with_t7_default(passive()),
    second_caller_that_says_nothing_ends_with_t7_strict(passive().strict()),
}

tests! { it_ends_for_good:
    second_caller_is_served_once_default(passive()),
    second_caller_is_served_once_strict(passive().strict()),
}

/// Beside its Select.req it is treated as any caller that is NOT SELECTED, and T7 goes on.
#[test]
fn second_caller_is_served_as_any_other_default() {
    let mut scene = passive().refusing();
    let tested = stays().sends("0000000A FFFF 00 00 00 06 00000063").lenient(Leniency::LinktestNotSelected);
    scene.receives("0000000A FFFF 00 00 00 05 00000063", tested);
    let rejected =
        stays().sends("0000000A FFFF 00 04 00 07 00000063").class(Class::Rejected(RejectReason::ENTITY_NOT_SELECTED));
    scene.receives("0000000A 0001 81 01 00 00 00000063", rejected);
    scene.receives("0000000A FFFF 00 00 00 09 00000063", closes_without_attempt(CloseReason::SeparateReceived));
}

#[test]
fn second_caller_with_a_message_before_its_select_is_closed_strict() {
    let reason = CloseReason::UnexpectedMessage(SType::LINKTEST_REQ);
    let mut scene = passive().strict().refusing();
    scene.receives("0000000A FFFF 00 00 00 05 00000063", closes_without_attempt(reason));
}

/// One that cannot even be opened is not tried again.
#[test]
fn second_caller_that_fails_is_not_asked_for_again() {
    let mut connection = Connection::<0>::refusing(passive().0);
    let now = hsms_core::time::Instant::from_millis(5);
    connection.handle(now, Event::TransportFailed).unwrap();
    while let Some(action) = connection.poll_action() {
        assert_eq!(action, Action::CloseTransport(CloseReason::TransportClosed));
    }
    assert_eq!((connection.state(), connection.is_enabled()), (State::NotConnected, false));
    assert_eq!(connection.next_deadline(), None);
}

/// It needs no room for transactions.
#[test]
fn second_caller_needs_no_transactions() {
    let mut connection = Connection::<0>::refusing(passive().0);
    let now = hsms_core::time::Instant::from_millis(5);
    connection.handle(now, Event::TransportOpen).unwrap();
    assert_eq!(connection.next_deadline().map(hsms_core::time::Instant::as_millis), Some(5 + T7));
    assert_eq!(connection.poll_action(), None);
}
