//! Which reply belongs to which primary (E37 9.4.1), and system bytes (E37 8.1.4.6).

use crate::support::{DEVICE, OURS, PAUSE, Received, Scene, T3, T8, Who, active, hex, passive, stays, tests};
use hsms_core::Error;
use hsms_core::config::DeviceId;
use hsms_core::connection::{Class, Stray, TransactionEnd};
use hsms_core::wire::{StreamFunction, SystemBytes};

const LATE: Class = Class::Stray(Stray::Late);
const ORPHAN: Class = Class::Stray(Stray::Orphan);
const MISMATCHED: Class = Class::Stray(Stray::Mismatched);

fn first(mut received: Vec<Received>) -> Received {
    assert_eq!(received.len(), 1);
    received.remove(0)
}

// What matches.

fn the_reply_completes(who: Who) {
    let mut scene = who.requesting();
    let reply = scene.receives("0000000C 0001 01 02 00 00 00000061 0100", stays().never().class(Class::Reply));
    let reply = first(reply);
    assert_eq!((reply.header.system, &reply.text[..]), (OURS, &[0x01, 0x00][..]));
    assert_eq!(scene.connection.open_transactions(), 0);
    assert!(!scene.connection.is_open(OURS));
}

fn the_abort_completes(who: Who) {
    let mut scene = who.requesting();
    let abort = scene.receives("0000000A 0001 01 00 00 00 00000061", stays().never().class(Class::Reply));
    assert!(first(abort).header.stream_function().is_abort());
    assert!(!scene.connection.is_open(OURS));
}

tests! { the_reply_completes:
    a_reply_completes_its_transaction_default_passive(passive()),
    a_reply_completes_its_transaction_default_active(active()),
    a_reply_completes_its_transaction_strict_passive(passive().strict()),
    a_reply_completes_its_transaction_strict_active(active().strict()),
}

tests! { the_abort_completes:
    an_abort_completes_its_transaction_default_passive(passive()),
    an_abort_completes_its_transaction_default_active(active()),
    an_abort_completes_its_transaction_strict_passive(passive().strict()),
    an_abort_completes_its_transaction_strict_active(active().strict()),
}

/// Function parity decides what is a reply; some peers set W on one.
#[test]
fn a_reply_with_w_set_is_a_reply() {
    let reply =
        active().requesting().receives("0000000A 0001 81 02 00 00 00000061", stays().never().class(Class::Reply));
    assert_eq!(first(reply).token, None, "nothing to reply to");
}

/// Function 255 has function 0 as its reply, which is its abort as well.
#[test]
fn the_reply_to_function_255_is_function_0() {
    let mut scene = active().selected();
    scene.requests(1, 255);
    scene.receives("0000000A 0001 01 00 00 00 00000061", stays().never().class(Class::Reply));
}

#[test]
fn replies_come_in_any_order() {
    let mut scene = active().selected();
    let systems: Vec<SystemBytes> = (0..4).map(|_| scene.requests(1, 1)).collect();
    assert_eq!(systems, [0x61, 0x62, 0x63, 0x64].map(SystemBytes));
    for (system, left) in [(0x63, 3), (0x61, 2), (0x64, 1), (0x62, 0)] {
        let expect = if left == 0 { stays().never() } else { stays() };
        let octets = format!("0000000A 0001 01 02 00 00 {system:08X}");
        let reply = first(scene.receives(&octets, expect.class(Class::Reply)));
        assert_eq!(reply.header.system, SystemBytes(system));
        assert_eq!(scene.connection.open_transactions(), left);
    }
}

// What does not match: each of the four conditions.

fn a_mismatch_leaves_the_transaction_open(who: Who, octets: &str) {
    let mut scene = who.devices(&[1, 2]).requesting();
    scene.receives(octets, stays().class(MISMATCHED));
    assert!(scene.connection.is_open(OURS));
    // T3 goes on, and the right reply still matches.
    assert_eq!(scene.due_in(), Some(T3 - PAUSE));
    scene.receives("0000000A 0001 01 02 00 00 00000061", stays().never().class(Class::Reply));
}

tests! { a_mismatch_leaves_the_transaction_open:
    a_reply_from_another_session_default(active(), "0000000A 0002 01 02 00 00 00000061"),
    a_reply_from_another_session_strict(active().strict(), "0000000A 0002 01 02 00 00 00000061"),
    a_reply_of_another_stream_default(passive(), "0000000A 0001 02 02 00 00 00000061"),
    a_reply_of_another_stream_strict(passive().strict(), "0000000A 0001 02 02 00 00 00000061"),
    a_reply_of_another_function_default(active(), "0000000A 0001 01 04 00 00 00000061"),
    a_reply_of_another_function_strict(active().strict(), "0000000A 0001 01 04 00 00 00000061"),
    an_abort_of_another_stream_default(passive(), "0000000A 0001 02 00 00 00 00000061"),
    an_abort_of_another_stream_strict(passive().strict(), "0000000A 0001 02 00 00 00 00000061"),
    an_abort_from_another_session_default(active(), "0000000A 0002 01 00 00 00 00000061"),
    a_mismatched_reply_with_text_default(active(), "0000000C 0001 01 04 00 00 00000061 0100"),
}

/// The fourth condition: no Reject 3 for data, it is for control responses (E37 7.7).
fn other_system_bytes(who: Who) {
    let mut scene = who.requesting();
    for system in ["00000000", "00000060", "00000062", "61000000", "FFFFFFFF"] {
        scene.receives(&format!("0000000A 0001 01 02 00 00 {system}"), stays().class(ORPHAN));
    }
    assert!(scene.connection.is_open(OURS));
}

tests! { other_system_bytes:
    a_reply_to_nothing_is_an_orphan_default_passive(passive()),
    a_reply_to_nothing_is_an_orphan_default_active(active()),
    a_reply_to_nothing_is_an_orphan_strict_passive(passive().strict()),
    a_reply_to_nothing_is_an_orphan_strict_active(active().strict()),
}

// Late.

#[test]
fn a_reply_after_t3_is_late() {
    let mut scene = active().requesting();
    scene.fires_in(T3 - PAUSE, stays().never().ends(OURS, TransactionEnd::T3));
    scene.receives("0000000A 0001 01 02 00 00 00000061", stays().class(LATE));
}

#[test]
fn a_second_reply_is_late() {
    let mut scene = passive().requesting();
    scene.receives("0000000A 0001 01 02 00 00 00000061", stays().never().class(Class::Reply));
    scene.receives("0000000A 0001 01 02 00 00 00000061", stays().class(LATE));
}

#[test]
fn a_reply_to_a_primary_that_expected_none_is_for_nobody() {
    let mut scene = passive().selected();
    scene.sends_primary(6, 11, false, &[]);
    scene.receives("0000000A 0001 06 0C 00 00 00000061", stays().class(LATE));
}

#[test]
fn a_reply_to_a_forgotten_primary_is_late_and_its_place_is_free() {
    let mut scene = active().selected();
    for _ in 0..4 {
        scene.requests(1, 1);
    }
    let full = Error::TransactionsFull { open: 4 };
    let begin = |connection: &mut hsms_core::Connection<4>, now| {
        connection.begin_primary(now, DEVICE, StreamFunction::new(1, 1), true, 0)
    };
    scene.refuses(full, begin);
    let second = SystemBytes(0x62);
    scene.connection.forget(second).unwrap();
    assert_eq!(scene.connection.poll_action(), None, "nobody is told: it was asked for");
    assert_eq!(scene.connection.forget(second), Err(Error::NoTransaction { system: second }));
    scene.receives("0000000A 0001 01 02 00 00 00000062", stays().class(LATE));
    assert_eq!(scene.requests(1, 1), SystemBytes(0x65));
    scene.refuses(full, begin);
}

/// A primary without reply takes no place.
#[test]
fn primaries_without_reply_are_not_bounded_by_transactions() {
    let mut scene = passive().selected();
    for _ in 0..4 {
        scene.requests(1, 1);
    }
    for _ in 0..10 {
        scene.sends_primary(6, 11, false, &[]);
    }
    assert_eq!(scene.connection.open_transactions(), 4);
}

#[test]
fn values_of_an_earlier_connection_are_orphans() {
    let mut scene = passive().requesting();
    let lost = crate::support::closes(hsms_core::connection::CloseReason::TransportClosed)
        .ends(OURS, TransactionEnd::SessionEnded);
    scene.happens(hsms_core::connection::Event::TransportClosed, lost);
    let open = stays().state(hsms_core::connection::State::NotSelected).due(crate::support::T7);
    scene.happens(hsms_core::connection::Event::TransportOpen, open);
    let accepted = crate::support::selects().sends("0000000A FFFF 00 00 00 02 00000063");
    scene.receives("0000000A FFFF 00 00 00 01 00000063", accepted);
    scene.receives("0000000A 0001 01 02 00 00 00000061", stays().class(ORPHAN));
}

// The peer's primaries.

/// The two ends count for themselves (E37 8.1.4.6): the same value on both is no reply.
fn a_colliding_primary(who: Who) {
    let mut scene = who.requesting();
    let primary = first(scene.receives("0000000A 0001 81 01 00 00 00000061", stays().class(Class::Primary)));
    assert!(scene.connection.is_open(OURS));
    assert_eq!(scene.replies(&primary, &[]), hex("0000000A 0001 01 02 00 00 00000061"));
    assert!(scene.connection.is_open(OURS));
    scene.receives("0000000A 0001 01 02 00 00 00000061", stays().never().class(Class::Reply));
}

tests! { a_colliding_primary:
    a_primary_with_the_system_bytes_of_ours_is_no_reply_default_passive(passive()),
    a_primary_with_the_system_bytes_of_ours_is_no_reply_default_active(active()),
    a_primary_with_the_system_bytes_of_ours_is_no_reply_strict_active(active().strict()),
}

/// Unique values are the sender's duty; both primaries are new ones.
fn duplicate_primaries(who: Who) {
    let mut scene = who.selected();
    let octets = "0000000A 0001 81 01 00 00 00000063";
    let one = first(scene.receives(octets, stays().class(Class::Primary)));
    let two = first(scene.receives(octets, stays().class(Class::Primary)));
    for primary in [two, one] {
        assert_eq!(scene.replies(&primary, &[]), hex("0000000A 0001 01 02 00 00 00000063"));
    }
}

tests! { duplicate_primaries:
    a_primary_with_system_bytes_still_open_is_a_new_primary_default(passive()),
    a_primary_with_system_bytes_still_open_is_a_new_primary_strict(active().strict()),
}

// Replies that arrive slowly.

/// T3 stops at the reply's header; T8 guards the rest (E37 9.4.1, 9.2.3).
#[test]
fn t3_stops_when_the_header_of_the_reply_has_come() {
    let mut scene = active().requesting();
    scene.pass(T3 - PAUSE - 1);
    assert_eq!(scene.due_in(), Some(1));
    scene.receives("0000000C 0001 01 02 00 00 00000061 01", stays().class(Class::Reply).due(T8));
    assert!(scene.connection.is_open(OURS), "the reply has not ended");
    scene.pass(T8 - 1);
    let rest = scene.receives("00", stays().never());
    assert_eq!(rest, []);
    assert!(!scene.connection.is_open(OURS));
}

/// A header that is not complete does not stop it.
#[test]
fn t3_goes_on_until_the_header_of_the_reply_has_come() {
    let mut scene = active().requesting();
    scene.pass(T3 - PAUSE - 1);
    scene.receives("0000000A 0001 01 02 00 00 000000", stays());
    scene.fires_in(1, stays().ends(OURS, TransactionEnd::T3).due(T8 - 1));
    scene.receives("61", stays().never().class(LATE));
}

/// A reply while another reply to the same transaction is arriving cannot be: frames do not interleave. The next one is late.
#[test]
fn a_reply_behind_a_reply_is_late() {
    let mut scene = active().requesting();
    let octets = "0000000C 0001 01 02 00 00 00000061 0100".repeat(2);
    scene.receives(&octets, stays().never().class(Class::Reply).class(LATE));
}

#[test]
fn a_transaction_given_up_while_its_reply_arrives() {
    let mut scene = active().requesting();
    scene.receives("0000000C 0001 01 02 00 00 00000061 01", stays().class(Class::Reply).due(T8));
    scene.connection.forget(OURS).unwrap();
    let now = scene.now();
    let (taken, piece) = scene.connection.receive(now, &[0]).unwrap();
    assert_eq!((taken, piece.map(|piece| piece.class)), (1, Some(LATE)));
    assert_eq!(scene.connection.poll_action(), None);
}

/// What is given up is not what arrives.
#[test]
fn a_transaction_given_up_while_another_ones_reply_arrives() {
    let mut scene = active().requesting();
    let second = scene.requests(1, 3);
    scene.receives("0000000C 0001 01 02 00 00 00000061 01", stays().class(Class::Reply).due(T8));
    scene.connection.forget(second).unwrap();
    let now = scene.now();
    let (taken, piece) = scene.connection.receive(now, &[0]).unwrap();
    assert_eq!((taken, piece.map(|piece| piece.class)), (1, Some(Class::Reply)));
    assert_eq!(scene.connection.open_transactions(), 0);
}

/// Nor is a primary that arrives.
#[test]
fn a_transaction_given_up_while_a_primary_arrives() {
    let mut scene = active().requesting();
    scene.receives("0000000C 0001 01 01 00 00 00000063 01", stays().class(Class::Primary).due(T8));
    scene.connection.forget(OURS).unwrap();
    let now = scene.now();
    let (taken, piece) = scene.connection.receive(now, &[0]).unwrap();
    assert_eq!((taken, piece.map(|piece| piece.class)), (1, Some(Class::Primary)));
}

// System bytes of ours.

fn next(scene: &mut Scene) -> u32 {
    scene.sends_primary(1, 1, false, &[]).0.0
}

/// Neither that of an open transaction, nor that of the one that ended last (E37 8.1.4.6).
#[test]
fn a_value_that_is_open_or_ended_last_is_not_used() {
    let mut scene = active().selected();
    scene.requests(1, 1);
    scene.requests(1, 3);
    scene.receives("0000000A 0001 01 02 00 00 00000061", stays().class(Class::Reply));
    // 0x61 has ended last, 0x62 is open.
    scene.connection.set_next_system_bytes(OURS);
    assert_eq!(next(&mut scene), 0x63);
}

#[test]
fn a_value_is_not_used_again_while_the_linktest_is_open() {
    let mut scene = active().testing();
    scene.connection.set_next_system_bytes(OURS);
    assert_eq!(next(&mut scene), 0x62);
}

#[test]
fn values_go_on_from_the_greatest_to_zero() {
    let mut scene = active().selected();
    scene.connection.set_next_system_bytes(SystemBytes(u32::MAX));
    assert_eq!([next(&mut scene), next(&mut scene), next(&mut scene)], [u32::MAX, 0, 1]);
}

/// One counter for data and control.
#[test]
fn data_and_linktests_share_one_counter() {
    let mut scene = active().selected();
    assert_eq!(next(&mut scene), 0x61);
    let sent = stays().sends("0000000A FFFF 00 00 00 05 00000062").due(crate::support::T6);
    scene.does(sent, hsms_core::Connection::linktest);
    assert_eq!(next(&mut scene), 0x63);
}

#[test]
fn only_primaries_can_be_begun_as_such() {
    let mut scene = active().selected();
    for (stream, function) in [(1, 0), (1, 2), (1, 254), (0, 1), (128, 1), (255, 1)] {
        let stream_function = StreamFunction::new(stream, function);
        scene.refuses(Error::NotPrimary { stream_function }, |connection, now| {
            connection.begin_primary(now, DEVICE, stream_function, true, 0)
        });
    }
    let session = hsms_core::wire::SessionId(2);
    scene.refuses(Error::UnknownDevice { session }, |connection, now| {
        connection.begin_primary(now, DeviceId::new(2).unwrap(), StreamFunction::new(1, 1), true, 0)
    });
}
