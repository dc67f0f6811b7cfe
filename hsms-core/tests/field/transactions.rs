//! Transactions: which reply belongs to which primary, and when one ends.

use super::harness::{data, only, receive_all};
use crate::support::{DEVICE, OURS, Scene, T3, T5, T6, T8, Who, active, closes, hex, opens, passive, selects, stays};
use hsms_core::Error;
use hsms_core::config::{DeviceId, DeviceIds};
use hsms_core::connection::{Class, CloseReason, Connection, Event, Leniency, Notice, State, Stray, TransactionEnd};
use hsms_core::wire::{RejectReason, SessionId, StreamFunction, SystemBytes};

// 7. The peer's primary with the system bytes of ours is taken for the reply.

#[test]
fn field_07_a_colliding_primary_is_not_taken_for_the_reply() {
    for who in [passive(), active()] {
        let mut scene = who.requesting();
        let collision = only(scene.receives("0000000A 0001 81 01 00 00 00000061", stays().class(Class::Primary)));
        assert!(scene.connection.is_open(OURS));
        // Even one with the function that the reply would have, had it been even.
        scene.receives("0000000C 0001 81 03 00 00 00000061 0100", stays().class(Class::Primary));
        assert_eq!(scene.connection.open_transactions(), 1);
        // Both transactions end as if the other were not there.
        assert_eq!(scene.replies(&collision, &[]), hex("0000000A 0001 01 02 00 00 00000061"));
        let reply =
            only(scene.receives("0000000C 0001 01 02 00 00 00000061 0100", stays().class(Class::Reply).never()));
        assert_eq!((reply.text, reply.token), (vec![1, 0], None));
        assert_eq!(scene.connection.open_transactions(), 0);
    }
}

// 8. Stream and function of a reply are never compared with the primary's.

#[test]
fn field_08_a_reply_has_to_have_the_stream_and_function_that_belong_to_the_primary() {
    let devices = DeviceIds::list(&[DEVICE, DeviceId::new(2).unwrap()]).unwrap();
    let mut scene = Who(active().0.with_device_ids(devices)).requesting();
    let mismatched = || stays().class(Class::Stray(Stray::Mismatched));
    // Our S1F1 is open.
    let now = scene.now();
    for stream in 0..=127 {
        for function in (0..=254).step_by(2) {
            if stream != 1 || !matches!(function, 0 | 2) {
                let frame = data(OURS.0, stream, function, false).encode_alone();
                let (messages, actions) = receive_all(&mut scene.connection, now, [&frame[..]]);
                assert!(matches!(messages[..], [(Class::Stray(Stray::Mismatched), ..)]), "S{stream}F{function}");
                assert_eq!(actions, []);
            }
        }
    }
    // The right function from another device of the same equipment.
    scene.receives("0000000A 0002 01 02 00 00 00000061", mismatched());
    // The right one, with other system bytes.
    scene.receives("0000000A 0001 01 02 00 00 00000062", stays().class(Class::Stray(Stray::Orphan)));
    assert_eq!(scene.connection.open_transactions(), 1);
    scene.receives("0000000A 0001 01 02 00 00 00000061", stays().class(Class::Reply).never());
    assert_eq!(scene.connection.open_transactions(), 0);
}

#[test]
fn field_08_function_zero_ends_the_transaction_and_a_second_reply_is_late() {
    let mut scene = active().requesting();
    let abort = only(scene.receives("0000000A 0001 01 00 00 00 00000061", stays().class(Class::Reply).never()));
    assert!(abort.header.stream_function().is_abort());
    scene.receives("0000000A 0001 01 02 00 00 00000061", stays().class(Class::Stray(Stray::Late)));
}

// 12. A received Reject does not wake who waits.

#[test]
fn field_12_a_reject_ends_the_transaction_it_names_at_once() {
    for who in [passive(), active()] {
        for reason in [0, 1, 2, 3, 4, 5, 127, 128, 255u8] {
            let mut scene = who.requesting();
            let other = scene.requests(1, 3);
            // T3 of the other one goes on, and was the later one.
            let end = TransactionEnd::Rejected(RejectReason(reason));
            scene.receives(
                &format!("0000000A FFFF 00 {reason:02X} 00 07 00000061"),
                stays().class(Class::Control).ends(OURS, end).due(T3),
            );
            assert!(!scene.connection.is_open(OURS) && scene.connection.is_open(other));
            // Its reply is late now, and it does not end a second time.
            scene.receives("0000000A 0001 01 02 00 00 00000061", stays().class(Class::Stray(Stray::Late)));
        }
    }
}

#[test]
fn field_12_a_reject_of_our_select_ends_the_link_and_one_of_our_linktest_is_a_sign_of_life() {
    let mut scene = active().connected();
    let reason = CloseReason::SelectRejected(RejectReason(1));
    scene.receives("0000000A FFFF 01 01 00 07 00000051", closes(reason).class(Class::Fatal));
    for who in [passive(), active()] {
        let answered = Notice::LinktestAnswered { system: OURS };
        who.testing()
            .receives("0000000A FFFF 05 01 00 07 00000061", stays().class(Class::Control).tells(answered).never());
    }
}

// 21. Responses carry system bytes of their own instead of the request's.

#[test]
fn field_21_every_response_repeats_the_system_bytes_of_its_request() {
    for system in [0, 1, 0x61, 0x7FFF_FFFF, 0x8000_0000, 0xDEAD_BEEF, 0xFFFF_FFFE, 0xFFFF_FFFF_u32] {
        let mut scene = passive().connected();
        let expect = |bytes: &str| stays().class(Class::Control).sends(&format!("0000000A FFFF {bytes} {system:08X}"));
        let reject = |bytes: &str, reason| {
            stays()
                .class(Class::Rejected(RejectReason(reason)))
                .sends(&format!("0000000A FFFF {bytes} {reason:02X} 00 07 {system:08X}"))
        };
        let come = |session: &str, bytes: &str| format!("0000000A {session} {bytes} {system:08X}");
        scene.receives(&come("FFFF", "00 00 00 05"), expect("00 00 00 06").lenient(Leniency::LinktestNotSelected));
        scene.receives(&come("FFFF", "00 00 00 03"), expect("00 01 00 04").lenient(Leniency::DeselectNotSelected));
        scene.receives(&come("0001", "81 01 00 00"), reject("00", 4));
        scene.receives(&come("FFFF", "00 00 00 06"), reject("06", 3));
        scene.receives(&come("FFFF", "00 00 00 0D"), reject("0D", 1));
        scene.receives(&come("FFFF", "00 00 21 05"), reject("21", 2));
        let select = selects().sends(&format!("0000000A FFFF 00 00 00 02 {system:08X}"));
        scene.receives(&come("FFFF", "00 00 00 01"), select.class(Class::Control));
        scene.receives(&come("FFFF", "00 00 00 01"), expect("00 01 00 02"));
        scene.receives(&come("FFFF", "00 00 00 05"), expect("00 00 00 06"));
        let primary = only(scene.receives(&come("0001", "81 01 00 00"), stays().class(Class::Primary)));
        assert_eq!(scene.replies(&primary, &[]), hex(&come("0001", "01 02 00 00")));
        let token = primary.token.unwrap();
        let abort = scene.connection.begin_abort(scene.now(), &token).unwrap();
        assert_eq!(abort[..], hex(&come("0001", "01 00 00 00")));
    }
}

// 22. Data carries the session id that came with Select.req.

#[test]
fn field_22_data_carries_the_device_id_whatever_session_id_came_with_select() {
    for session in [0xFFFF, 0x0000, 0x0001, 0x0064, 0x8001_u16] {
        let mut scene = passive().connected();
        let select = selects().sends(&format!("0000000A {session:04X} 00 00 00 02 00000063"));
        let foreign = Notice::Lenient(Leniency::SelectSession(SessionId(session)));
        let select = if session == 0xFFFF { select } else { select.tells(foreign) };
        scene.receives(&format!("0000000A {session:04X} 00 00 00 01 00000063"), select.class(Class::Control));
        let (_, octets) = scene.sends_primary(6, 11, true, &[1, 0]);
        assert_eq!(octets, hex("0000000C 0001 86 0B 00 00 00000051 0100"));
        let message = only(scene.receives("0000000A 0001 81 01 00 00 00000001", stays().class(Class::Primary)));
        assert_eq!(scene.replies(&message, &[]), hex("0000000A 0001 01 02 00 00 00000001"));
    }
}

// 25. Transactions survive a reconnect; queued data goes out before Select.req.

#[test]
fn field_25_open_transactions_end_with_the_link_and_once_each() {
    for who in [passive(), active()] {
        let mut scene = who.requesting();
        let second = scene.requests(1, 3);
        let linktest = scene.connection.next_system_bytes();
        scene.does(stays().sends("0000000A FFFF 00 00 00 05 00000063").due(T6), Connection::linktest);
        let end = TransactionEnd::SessionEnded;
        scene.happens(
            Event::TransportClosed,
            closes(CloseReason::TransportClosed).ends(OURS, end).ends(second, end).ends(linktest, end),
        );
        assert_eq!(scene.connection.open_transactions(), 0);
        assert!(!scene.connection.is_open(linktest));
        assert_eq!(scene.connection.poll_action(), None);
    }
}

#[test]
fn field_25_nothing_of_the_old_connection_reaches_the_new_one() {
    let mut scene = active().requesting();
    // Half a message, and a primary that was never answered.
    let primary = only(scene.receives("0000000A 0001 81 05 00 00 00000009", stays().class(Class::Primary)));
    scene.receives("00000014 0001 86 0B 00 00 00000002 0102", stays().class(Class::Primary).due(T8));
    scene
        .happens(Event::TransportClosed, closes(CloseReason::TransportClosed).ends(OURS, TransactionEnd::SessionEnded));
    let s1f1 = StreamFunction::new(1, 1);
    let refused = |scene: &mut Scene| {
        scene.refuses(Error::NotSelected, |connection, now| connection.begin_primary(now, DEVICE, s1f1, true, 0));
    };
    refused(&mut scene);
    scene.fires_in(T5, opens().never());
    refused(&mut scene);
    // The first octets of the new connection are those of Select.req, and only Select.rsp opens the way for data.
    let select = stays().sends("0000000A FFFF 00 00 00 01 00000062").state(State::NotSelected).due(T6);
    scene.happens(Event::TransportOpen, select);
    refused(&mut scene);
    scene.receives("0000000A FFFF 00 00 00 02 00000062", selects().class(Class::Control));
    // A reply to what was asked before belongs to nothing here, and what was asked before cannot be answered here.
    scene.receives("0000000A 0001 01 02 00 00 00000061", stays().class(Class::Stray(Stray::Orphan)));
    let token = primary.token.unwrap();
    scene.refuses(Error::StaleToken, |connection, now| connection.begin_reply(now, &token, 0));
    scene.refuses(Error::StaleToken, |connection, now| connection.begin_abort(now, &token));
    assert_eq!(scene.requests(1, 1), SystemBytes(0x63));
}
