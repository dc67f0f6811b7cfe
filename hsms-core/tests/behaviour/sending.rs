//! Requests that are given up, tokens of replies, octets written, and errors told to the host.

use crate::support::{DEVICE, OURS, PAUSE, T3, T5, T6, T8, active, closes, hex, opens, passive, selects, stays};
use hsms_core::Error;
use hsms_core::connection::{
    Action, Class, CloseReason, Connection, ControlRequest, Event, State, Stray, Stream9, TransactionEnd,
};
use hsms_core::wire::{Header, SystemBytes};

#[test]
fn a_cancelled_request_frees_its_place_and_its_reply_is_late() {
    let mut scene = active().selected();
    let systems: Vec<SystemBytes> = (0..4).map(|_| scene.requests(1, 1)).collect();
    let full = Error::TransactionsFull { open: 4 };
    let begin = |connection: &mut Connection<4>, now| {
        connection.begin_primary(now, DEVICE, hsms_core::wire::StreamFunction::new(1, 3), true, 0)
    };
    scene.refuses(full, begin);
    for system in systems {
        scene.connection.forget(system).unwrap();
        assert!(!scene.connection.is_open(system));
        scene.refuses(Error::NoTransaction { system }, |connection, _| connection.forget(system));
        // Nobody is told of what he gave up himself, T3 included; the place is free.
        assert_eq!(scene.connection.poll_action(), None);
        let late = format!("0000000A 0001 01 02 00 00 {:08X}", system.0);
        scene.receives(&late, stays().class(Class::Stray(Stray::Late)));
        let next = scene.requests(1, 3);
        assert!(scene.connection.is_open(next));
        scene.refuses(full, begin);
    }
}

#[test]
fn a_cancelled_request_has_no_t3() {
    let mut scene = active().requesting();
    scene.connection.forget(OURS).unwrap();
    assert_eq!(scene.connection.next_deadline(), None);
}

#[test]
fn a_request_that_is_cancelled_while_its_reply_arrives_turns_the_rest_into_a_late_reply() {
    let mut scene = active().requesting();
    scene.receives("0000000D 0001 01 02 00 00 00000061 AA", stays().class(Class::Reply).due(T8));
    scene.connection.forget(OURS).unwrap();
    assert_eq!(scene.connection.open_transactions(), 0);
    let now = scene.now();
    for (octets, last) in [([0xBB], false), ([0xCC], true)] {
        let (taken, inbound) = scene.connection.receive(now, &octets).unwrap();
        let inbound = inbound.unwrap();
        assert_eq!((taken, inbound.class, inbound.last()), (1, Class::Stray(Stray::Late), last));
    }
    // The verdict belonged to that message alone.
    scene.receives("0000000D 0001 86 0B 00 00 00000007 010203", stays().class(Class::Primary).never());
}

#[test]
fn a_request_that_is_cancelled_behind_the_end_of_its_connection_leaves_nothing_to_tell() {
    let mut scene = active().requesting();
    scene.receives("0000000D 0001 01 02 00 00 00000061 AA", stays().class(Class::Reply).due(T8));
    let now = scene.now();
    scene.connection.handle(now, Event::TransportClosed).unwrap();
    scene.connection.forget(OURS).unwrap();
    let close = Action::CloseTransport(CloseReason::TransportClosed);
    assert_eq!(scene.connection.poll_action(), Some(close));
    assert_eq!(scene.connection.poll_action(), None);
}

#[test]
fn a_request_that_is_cancelled_while_another_reply_arrives_leaves_that_one_alone() {
    let mut scene = active().requesting();
    let other = scene.requests(1, 3);
    scene.receives("0000000D 0001 01 04 00 00 00000062 AA", stays().class(Class::Reply).due(T8));
    scene.connection.forget(OURS).unwrap();
    let now = scene.now();
    let (_, inbound) = scene.connection.receive(now, &[0xBB, 0xCC]).unwrap();
    let inbound = inbound.unwrap();
    assert!(inbound.class == Class::Reply && inbound.last());
    assert!(!scene.connection.is_open(other));
}

#[test]
fn a_reply_token_is_worth_nothing_after_a_reconnect() {
    let mut scene = passive().selected();
    let primary = scene.receives("0000000A 0001 81 01 00 00 00000009", stays().class(Class::Primary));
    let token = primary[0].token.unwrap();
    scene.happens(Event::TransportClosed, closes(CloseReason::TransportClosed));
    scene.refuses(Error::NotSelected, |connection, now| connection.begin_reply(now, &token, 0));
    scene.happens(Event::TransportOpen, stays().state(State::NotSelected).due(crate::support::T7));
    scene.refuses(Error::StaleToken, |connection, now| connection.begin_reply(now, &token, 0));
    let select = selects().sends("0000000A FFFF 00 00 00 02 00000063").class(Class::Control);
    scene.receives("0000000A FFFF 00 00 00 01 00000063", select);
    scene.refuses(Error::StaleToken, |connection, now| connection.begin_reply(now, &token, 0));
    scene.refuses(Error::StaleToken, |connection, now| connection.begin_abort(now, &token));
    // The same primary over this connection can be answered.
    let primary = scene.receives("0000000A 0001 81 01 00 00 00000009", stays().class(Class::Primary));
    assert_eq!(scene.replies(&primary[0], &[]), hex("0000000A 0001 01 02 00 00 00000009"));
}

#[test]
fn more_than_was_made_cannot_have_been_written() {
    let mut scene = active().selected();
    scene.hold_writes();
    scene.refuses(Error::WrittenTooMuch { octets: 1, outstanding: 0 }, |connection, now| connection.written(now, 1));
    let system = scene.requests(1, 1);
    let too_much = Error::WrittenTooMuch { octets: 15, outstanding: 14 };
    scene.refuses(too_much, |connection, now| connection.written(now, 15));
    scene.refuses(Error::WrittenTooMuch { octets: u64::MAX, outstanding: 14 }, |connection, now| {
        connection.written(now, u64::MAX)
    });
    scene.writes(14, stays().due(T3));
    scene.does(stays(), |connection, now| connection.written(now, 0));
    assert!(scene.connection.is_open(system));
}

#[test]
fn t3_counts_from_when_the_last_octet_was_taken() {
    let mut scene = active().selected();
    scene.hold_writes();
    let (first, _) = scene.sends_primary(1, 1, true, &[0; 86]);
    let (second, _) = scene.sends_primary(1, 3, true, &[]);
    assert_eq!(scene.connection.next_deadline(), None, "nothing is on its way");
    scene.pass(T3 * 3);
    scene.writes(99, stays().never());
    scene.pass(PAUSE);
    scene.writes(1, stays().due(T3));
    scene.pass(PAUSE);
    // What was written of the second one does not start the first one's clock anew.
    scene.writes(13, stays());
    scene.pass(PAUSE);
    scene.writes(1, stays());
    scene.fires_in(T3 - 2 * PAUSE, stays().ends(first, TransactionEnd::T3).due(2 * PAUSE));
    scene.fires_in(2 * PAUSE, stays().ends(second, TransactionEnd::T3).never());
}

#[test]
fn octets_in_front_of_a_close_do_not_delay_the_timers_of_the_next_connection() {
    let mut scene = active().selected();
    // The adapter writes Separate.req out and closes; it tells nothing back, as `CloseTransport` says.
    scene.hold_writes();
    let separate = closes(CloseReason::Separated).sends("0000000A FFFF 00 00 00 09 00000061");
    scene.does(separate, Connection::separate);
    scene.fires_in(T5, opens().never());
    let select = stays().sends("0000000A FFFF 00 00 00 01 00000062").state(State::NotSelected).never();
    scene.happens(Event::TransportOpen, select);
    scene.does(stays().due(T6), |connection, now| connection.written(now, 14));
    scene.fires_in(T6, closes(CloseReason::T6(ControlRequest::Select)));
}

#[test]
fn an_octet_of_0x05_where_a_length_should_be_is_told_as_secs_i() {
    for mut scene in [passive().connected(), passive().selected(), active().connected(), active().selected()] {
        scene.receives("05", closes(CloseReason::LooksLikeSecsI));
    }
    // Inside a message it is an octet like any other, and where such lengths are allowed it begins one.
    let mut scene = active().selected();
    scene.receives("0000000B 0505 85 05 00 00 05050505 05", stays().class(Class::Stray(Stray::UnknownDevice)));
    let mut scene = active().max_message(0x0500_0000).selected();
    scene.receives("05", stays().due(T8));
}

#[test]
fn s9f3_s9f5_and_s9f7_carry_the_header_they_are_about() {
    let about = |scene: &mut crate::support::Scene, frame: &str| -> Header {
        scene.receives(frame, stays().class(Class::Primary))[0].header
    };
    for (error, function) in
        [(Stream9::UnrecognizedStream, "03"), (Stream9::UnrecognizedFunction, "05"), (Stream9::IllegalData, "07")]
    {
        let mut scene = passive().selected();
        let header = about(&mut scene, "0000000C 0001 E3 15 00 00 00000009 0100");
        let frame = format!("00000016 0001 09 {function} 00 00 00000061 210A 0001 E3 15 00 00 00000009");
        scene.does(stays().sends(&frame), |connection, now| connection.report_error(now, error, &header));
        // No reply is awaited.
        assert_eq!(scene.connection.open_transactions(), 0);
        assert_eq!(scene.connection.next_system_bytes(), SystemBytes(0x62));
        // Behind an open text it waits.
        let s6f11 = hsms_core::wire::StreamFunction::new(6, 11);
        scene.connection.begin_primary(scene.now(), DEVICE, s6f11, false, 0).unwrap();
        scene.does(stays(), |connection, now| connection.report_error(now, error, &header));
        let frame = format!("00000016 0001 09 {function} 00 00 00000063 210A 0001 E3 15 00 00 00000009");
        scene.does(stays().sends(&frame), |connection, now| connection.end_body(now));
        // Not about stream 9, and not about an abort, which would go round in circles.
        for never in [[9, 1], [9, 7], [1, 0]] {
            let mut header = header;
            header.byte2 = never[0] | 0x80;
            header.byte3 = never[1];
            scene.refuses(Error::NotForStream9, |connection, now| connection.report_error(now, error, &header));
        }
        let mut host = active().selected();
        let header = about(&mut host, "0000000C 0001 E3 15 00 00 00000009 0100");
        host.refuses(Error::NotForStream9, |connection, now| connection.report_error(now, error, &header));
    }
}

#[test]
fn a_connection_moves_to_more_room_and_back_with_all_that_is_open() {
    let mut scene = active().selected();
    let systems: Vec<SystemBytes> = (0..4).map(|_| scene.requests(1, 1)).collect();
    assert_eq!(scene.connection.resized::<3>(), None, "four are open");
    let mut larger = scene.connection.resized::<5>().unwrap();
    assert_eq!(larger.next_deadline(), scene.connection.next_deadline());
    let now = scene.now();
    let s1f3 = hsms_core::wire::StreamFunction::new(1, 3);
    let (fifth, _) = larger.begin_primary(now, DEVICE, s1f3, true, 0).unwrap();
    larger.end_body(now).unwrap();
    for system in &systems {
        assert!(larger.is_open(*system));
        let reply = hex(&format!("0000000A 0001 01 02 00 00 {:08X}", system.0));
        let (_, inbound) = larger.receive(now, &reply).unwrap();
        assert_eq!(inbound.unwrap().class, Class::Reply);
    }
    let smaller = larger.resized::<1>().unwrap();
    assert!(smaller.is_open(fifth));
    assert_eq!(smaller.resized::<5>().as_ref(), Some(&larger));
}

#[test]
fn what_ends_a_request_is_told_apart_as_answer_abort_or_neither() {
    let told = |frame: &str| {
        let mut scene = active().requesting();
        let now = scene.now();
        let octets = hex(frame);
        let (_, inbound) = scene.connection.receive(now, &octets).unwrap();
        let inbound = inbound.unwrap();
        (inbound.is_reply(), inbound.is_abort(), inbound.is_unawaited())
    };
    assert_eq!(told("0000000A 0001 01 02 00 00 00000061"), (true, false, false), "the reply");
    assert_eq!(told("0000000A 0001 01 00 00 00 00000061"), (true, true, false), "the peer's abort");
    assert_eq!(told("0000000A 0001 01 02 00 00 00000099"), (false, false, true), "a reply to nothing");
    assert_eq!(told("0000000A 0001 01 00 00 00 00000099"), (false, false, true), "an abort of nothing");
    assert_eq!(told("0000000A 0001 81 03 00 00 00000099"), (false, false, false), "a primary");
    assert_eq!(told("0000000A FFFF 00 00 00 05 00000099"), (false, false, false), "a linktest");
}
