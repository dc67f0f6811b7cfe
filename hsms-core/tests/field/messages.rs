//! Messages: their framing, their length, and the session id of data.

use super::harness::{control, data, drain, only, primary, receive_all};
use crate::support::{DEVICE, OURS, SELECT_SYSTEM, T8, active, closes, hex, passive, stays};
use hsms_core::connection::{Action, Class, CloseReason, Connection, Event, Leniency, Notice, Stray};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, SessionId, SystemBytes};

// 1. TCP splits a frame, and the connection dies or loses its place.

#[test]
fn field_01_a_frame_split_at_any_octet_is_the_same_message() {
    let stream = hex("0000000A FFFF 00 00 00 01 00000063
         0000000A 0001 81 0D 00 00 00000001
         0000001E 0001 86 0B 00 00 00000002 0102030405060708090A0B0C0D0E0F1011121314
         0000000A FFFF 00 00 00 05 00000003
         0000000B 0001 05 01 00 00 00000004 FF");
    let text: Vec<u8> = (1..=20).collect();
    let messages = [
        (Class::Control, Header::select_req(SystemBytes(0x63)), vec![]),
        (Class::Primary, data(1, 1, 13, true), vec![]),
        (Class::Primary, data(2, 6, 11, true), text),
        (Class::Control, Header::linktest_req(SystemBytes(3)), vec![]),
        (Class::Primary, data(4, 5, 1, false), vec![0xFF]),
    ];
    let actions = [
        control(Header::select_rsp(SystemBytes(0x63))),
        Action::Notify(Notice::Selected),
        control(Header::linktest_rsp(SystemBytes(3))),
    ];
    let fresh = passive().connected().connection;
    let now = Instant::from_millis(2_000_000);
    let mut whole = fresh.clone();
    assert_eq!(receive_all(&mut whole, now, [&stream[..]]), (messages.to_vec(), actions.to_vec()));

    let check = |chunks: &[&[u8]]| {
        let mut connection = fresh.clone();
        let (seen, done) = receive_all(&mut connection, now, chunks.iter().copied());
        assert!(seen == messages && done == actions, "{chunks:02x?}: {seen:?} {done:?}");
        assert_eq!(connection, whole, "{chunks:02x?}");
    };
    for first in 0..stream.len() {
        for second in first..stream.len() {
            check(&[&stream[..first], &stream[first..second], &stream[second..]]);
        }
    }
    for size in 1..=stream.len() {
        check(&stream.chunks(size).collect::<Vec<_>>());
    }
}

// 2. Octets that come with the Select exchange are lost, or answered with Reject 4.

#[test]
fn field_02_data_together_with_select_req_is_served_and_answered_behind_select_rsp() {
    let mut connection = passive().connected().connection;
    let now = Instant::from_millis(2_000_000);
    let octets = [&Header::select_req(SystemBytes(1)).encode_alone()[..], &primary(2, 1, 13)].concat();
    assert_eq!(
        receive_all(&mut connection, now, [&octets[..]]),
        (
            vec![
                (Class::Control, Header::select_req(SystemBytes(1)), vec![]),
                (Class::Primary, data(2, 1, 13, true), vec![])
            ],
            vec![control(Header::select_rsp(SystemBytes(1))), Action::Notify(Notice::Selected)],
        )
    );
}

#[test]
fn field_02_data_together_with_select_rsp_is_served() {
    let mut connection = active().connected().connection;
    let now = Instant::from_millis(2_000_000);
    let text = [&data(2, 6, 11, true).encode_prefix(2).unwrap()[..], &[0x01, 0x00]].concat();
    let octets = [&Header::select_rsp(SELECT_SYSTEM).encode_alone()[..], &primary(1, 1, 13), &text].concat();
    assert_eq!(
        receive_all(&mut connection, now, [&octets[..]]),
        (
            vec![
                (Class::Control, Header::select_rsp(SELECT_SYSTEM), vec![]),
                (Class::Primary, data(1, 1, 13, true), vec![]),
                (Class::Primary, data(2, 6, 11, true), vec![1, 0]),
            ],
            vec![Action::Notify(Notice::Selected)],
        )
    );
}

// 6. A length below ten underflows; a length of gigabytes is reserved.

#[test]
fn field_06_a_length_below_ten_ends_the_link_at_its_fourth_octet() {
    for length in 0..10u32 {
        for scene in [passive().connected(), passive().selected(), active().connected(), active().selected()] {
            let mut scene = scene;
            let octets = length.to_be_bytes();
            // With three octets there is nothing to judge: only T8 runs.
            let due = scene.due_in().map_or(T8, |due| due.min(T8));
            scene.receives_octets(&octets[..3], stays().due(due));
            scene.receives_octets(&octets[3..], closes(CloseReason::LengthTooShort { length }));
        }
    }
}

#[test]
fn field_06_a_length_of_gigabytes_ends_the_link_with_its_header() {
    let limit = 16 * 1024 * 1024 + 10_u32;
    for length in [limit + 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF] {
        let header = primary(1, 7, 3).split_off(4);
        let octets = [&length.to_be_bytes()[..], &header].concat();
        let reason = CloseReason::LengthTooLong { length, limit };
        for mut scene in [active().selected(), active().connected(), passive().connected()] {
            scene.receives_octets(&octets, closes(reason));
        }
        // Equipment tells its host, and skips what is not absurd.
        let told = "00000016 0001 09 0B 00 00 00000061 210A 0001 87 03 00 00 00000001";
        let mut scene = passive().selected();
        if length > 4 * limit {
            scene.receives_octets(&octets, closes(reason).sends(told));
        } else {
            scene.receives_octets(&octets, stays().sends(told).due(T8));
            assert_eq!(scene.connection.body_left(), length - 10);
        }
    }
}

#[test]
fn field_06_a_body_of_gigabytes_that_is_allowed_passes_through_without_being_kept() {
    let mut connection = Connection::<4>::new(active().0.with_max_message(u32::MAX).unwrap());
    let now = Instant::from_millis(0);
    connection.enable(now).unwrap();
    drain(&mut connection);
    connection.handle(now, Event::TransportOpen).unwrap();
    drain(&mut connection);
    let system = SystemBytes(connection.next_system_bytes().0 - 1);
    let (_, actions) = receive_all(&mut connection, now, [&Header::select_rsp(system).encode_alone()[..]]);
    assert_eq!(actions, [Action::Notify(Notice::Selected)]);

    let prefix = data(1, 7, 3, false).encode_prefix(u32::MAX - 10).unwrap();
    let (taken, inbound) = connection.receive(now, &prefix).unwrap();
    assert_eq!((taken, inbound.unwrap().class), (14, Class::Primary));
    let chunk = vec![0; 1 << 24];
    let mut left = u32::MAX - 10;
    while left > 0 {
        assert_eq!(connection.body_left(), left);
        let (taken, inbound) = connection.receive(now, &chunk).unwrap();
        let piece = inbound.unwrap().piece;
        assert_eq!(piece.offset, u32::MAX - 10 - left);
        // The pieces are the caller's own octets.
        assert_eq!((piece.body.as_ptr(), piece.body.len()), (chunk.as_ptr(), taken));
        left -= u32::try_from(taken).unwrap();
        assert_eq!(piece.last(), left == 0);
        assert_eq!(connection.poll_action(), None);
    }
}

// 32. Real equipment sets bit 15 of the session id.

#[test]
fn field_32_bit_15_of_the_session_id_of_data_is_cleared_and_told() {
    for who in [passive(), active()] {
        let told = || Notice::Lenient(Leniency::DirectionBit(SessionId(0x8001)));
        let mut scene = who.requesting();
        let primary = only(
            scene.receives("0000000C 8001 81 0D 00 00 00000009 0100", stays().class(Class::Primary).tells(told())),
        );
        assert_eq!(primary.header, data(9, 1, 13, true));
        assert_eq!(scene.replies(&primary, &[]), hex("0000000A 0001 01 0E 00 00 00000009"));
        // On each piece of a message.
        let (messages, actions) = receive_all(
            &mut scene.connection.clone(),
            scene.now(),
            hex("0000000D 8001 86 0B 00 00 0000000A 010203").chunks(1),
        );
        assert_eq!(messages, [(Class::Primary, data(10, 6, 11, true), vec![1, 2, 3])]);
        assert_eq!(actions, [Action::Notify(told())]);
        let reply = only(
            scene.receives("0000000A 8001 01 02 00 00 00000061", stays().class(Class::Reply).tells(told()).never()),
        );
        assert_eq!(reply.header.session, DEVICE.session());
        // A device that is not served stays one.
        let unknown = stays().class(Class::Stray(Stray::UnknownDevice));
        let s9f1 = "00000016 0001 09 01 00 00 00000062 210A 8002 81 01 00 00 0000000B";
        let unknown = if who.is_equipment() { unknown.sends(s9f1) } else { unknown };
        scene.receives("0000000A 8002 81 01 00 00 0000000B", unknown);
    }
}

#[test]
fn field_32_the_strict_profile_takes_bit_15_for_another_device() {
    let unknown = || stays().class(Class::Stray(Stray::UnknownDevice));
    let mut scene = active().strict().requesting();
    scene.receives("0000000A 8001 81 0D 00 00 00000009", unknown());
    scene.receives("0000000A 8001 01 02 00 00 00000061", unknown());
    assert!(scene.connection.is_open(OURS));
    let s9f1 = "00000016 0001 09 01 00 00 00000061 210A 8001 81 0D 00 00 00000009";
    passive().strict().selected().receives("0000000A 8001 81 0D 00 00 00000009", unknown().sends(s9f1));
}
