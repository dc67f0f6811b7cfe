//! Failures that other HSMS implementations showed in the field, one test or more for each: the number in a name is the
//! failure's. Those of a transport or a thread are tested where there is one.

#[allow(unused_imports, unused_macros, reason = "every test program uses a part of it")]
mod support;

use hsms_core::Error;
use hsms_core::config::{Config, ConfigError, ConnectMode, DeviceId, DeviceIds};
use hsms_core::connection::{
    Action, Class, CloseReason, Connection, ControlFrame, ControlRequest, Event, Leniency, Notice, State, Stray,
    TransactionEnd,
};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, RejectReason, SType, SelectStatus, SessionId, StreamFunction, SystemBytes};
use std::time::Duration;
use support::{
    DEVICE, OURS, PAUSE, Received, SELECT_SYSTEM, Scene, T5, T6, T7, T8, Who, active, closes, deselects, hex, opens,
    passive, selects, stays,
};

const MINUTE: u64 = 60_000;
const DAY: u64 = 86_400_000;

/// A received message, put together from its pieces: what it counts as, its header, and its text.
type Whole = (Class, Header, Vec<u8>);

/// Hands `input` over in the order of its chunks, drained after each piece. Gives whole messages and all actions.
fn receive_all<'i>(
    connection: &mut Connection<4>,
    now: Instant,
    chunks: impl IntoIterator<Item = &'i [u8]>,
) -> (Vec<Whole>, Vec<Action>) {
    let (mut messages, mut actions) = (Vec::<Whole>::new(), Vec::new());
    for mut left in chunks {
        while !left.is_empty() {
            let (taken, inbound) = connection.receive(now, left).expect("connected and drained");
            assert!(taken > 0);
            left = &left[taken..];
            if let Some(inbound) = inbound {
                if inbound.first() {
                    messages.push((inbound.class, *inbound.header(), Vec::new()));
                }
                let (class, header, text) = messages.last_mut().expect("a message begins with its first piece");
                assert_eq!((*class, *header), (inbound.class, *inbound.header()));
                assert_eq!(text.len(), inbound.piece.offset as usize);
                text.extend_from_slice(inbound.body());
                assert_eq!(inbound.last(), text.len() == inbound.piece.body_len as usize);
            }
            for action in drain(connection) {
                if let Action::Send(frame) = &action {
                    connection.written(now, frame.len() as u64).expect("it was polled");
                }
                actions.push(action);
            }
        }
    }
    (messages, actions)
}

/// Polls until nothing comes.
fn drain(connection: &mut Connection<4>) -> Vec<Action> {
    let actions: Vec<Action> = std::iter::from_fn(|| connection.poll_action()).take(64).collect();
    assert!(actions.len() < 64, "actions without end: {actions:?}");
    actions
}

fn control(header: Header) -> Action {
    Action::Send(ControlFrame::Control(header))
}

fn data(system: u32, stream: u8, function: u8, w: bool) -> Header {
    Header::data(SystemBytes(system), StreamFunction::new(stream, function), w, DEVICE.session())
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The device's message with W and without text.
fn primary(system: u32, stream: u8, function: u8) -> Vec<u8> {
    data(system, stream, function, true).encode_alone().to_vec()
}

fn only(messages: Vec<Received>) -> Received {
    let [message] = <[Received; 1]>::try_from(messages).expect("one message");
    message
}

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

// 9. A Select.rsp with a refusal counts as selected; the status is read from octet 2.

#[test]
fn field_09_a_refused_select_is_not_selected() {
    for status in 1..=255u8 {
        let mut scene = active().connected();
        let frame = Header::select_rsp(SELECT_SYSTEM).with_status(status).encode_alone();
        scene.receives_octets(&frame, closes(CloseReason::SelectRefused(SelectStatus(status))));
        scene.fires_in(T5, opens().never());
    }
}

#[test]
fn field_09_the_status_stands_in_octet_3() {
    for octet_2 in 1..=255u8 {
        let mut header = Header::select_rsp(SELECT_SYSTEM);
        header.byte2 = octet_2;
        active().connected().receives_octets(&header.encode_alone(), selects());
    }
}

// 10. An unknown SType or PType is ignored, or closes the link, or kills the receiver.

#[test]
fn field_10_unknown_types_are_rejected_and_the_link_stays() {
    for mut scene in [passive().connected(), passive().selected(), active().connected(), active().selected()] {
        for stype in (0..=255u8).filter(|stype| !matches!(stype, 0..=7 | 9)) {
            let frame = format!("0000000A FFFF 00 00 00 {stype:02X} 00000007");
            let answer = stays().sends(&format!("0000000A FFFF {stype:02X} 01 00 07 00000007"));
            scene.receives(&frame, answer.class(Class::Rejected(RejectReason::STYPE_NOT_SUPPORTED)));
        }
        for ptype in 1..=255u8 {
            // PType is looked at first, whatever the SType.
            for stype in [0, 1, 5, 8, 9, 255] {
                let frame = format!("0000000A FFFF 00 00 {ptype:02X} {stype:02X} 00000007");
                let answer = stays().sends(&format!("0000000A FFFF {ptype:02X} 02 00 07 00000007"));
                scene.receives(&frame, answer.class(Class::Rejected(RejectReason::PTYPE_NOT_SUPPORTED)));
            }
        }
        // Text of such a message is skipped; what follows is served.
        let rejected = Class::Rejected(RejectReason::STYPE_NOT_SUPPORTED);
        let answer = stays().sends("0000000A FFFF 0B 01 00 07 00000008").class(rejected);
        scene.receives("0000000F FFFF 00 00 00 0B 00000008 0000000AFF", answer);
    }
    let mut scene = passive().selected();
    scene.receives(
        "0000000A FFFF 00 00 00 FF 00000001",
        stays().sends("0000000A FFFF FF 01 00 07 00000001").class(Class::Rejected(RejectReason(1))),
    );
    scene.receives(
        "0000000A FFFF 00 00 00 05 00000002",
        stays().sends("0000000A FFFF 00 00 00 06 00000002").class(Class::Control),
    );
}

// 11. A Reject is answered by a Reject, without end.

#[test]
fn field_11_a_reject_is_never_answered() {
    for mut scene in [passive().connected(), passive().selected(), active().connected(), active().selected()] {
        for offender in [0, 1, 2, 4, 6, 7, 9, 11, 255] {
            for reason in 0..=255u8 {
                let header = Header::reject_req(SystemBytes(0x7777), offender, RejectReason(reason));
                scene.receives_octets(
                    &header.encode_alone(),
                    stays().class(Class::Control).tells(Notice::RejectReceived { header }),
                );
            }
        }
    }
}

#[test]
fn field_11_two_machines_do_not_exchange_rejects_for_ever() {
    let ends = || [active().selected().connection, passive().selected().connection];
    let now = Instant::from_millis(2_000_000);
    let provocations = [
        "0000000A FFFF 00 00 00 06 00000077",      // Linktest.rsp to nothing
        "0000000A FFFF 00 00 00 02 00000077",      // Select.rsp to nothing
        "0000000A FFFF 00 00 00 04 00000077",      // Deselect.rsp to nothing
        "0000000A FFFF 00 00 00 FF 00000077",      // unknown SType
        "0000000A FFFF 00 00 09 07 00000077",      // a Reject.req of another PType
        "0000000C FFFF 00 00 00 05 00000077 0000", // Linktest.req with text
    ];
    for (provocation, to) in provocations.iter().flat_map(|frame| [(frame, 0), (frame, 1)]) {
        let mut ends = ends();
        let mut at = to;
        let mut octets = hex(provocation);
        let mut frames = 0;
        while !octets.is_empty() {
            let (_, actions) = receive_all(&mut ends[at], now, [&octets[..]]);
            octets.clear();
            for action in actions {
                if let Action::Send(frame) = action {
                    octets.extend_from_slice(&frame.encode());
                    frames += 1;
                }
            }
            at = 1 - at;
            assert!(frames < 10, "{provocation}: no end");
        }
        // The one Reject, and nothing about it.
        assert_eq!(frames, 1, "{provocation}");
        assert_eq!(ends.map(|end| end.state()), [State::Selected; 2]);
    }
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
                stays().class(Class::Control).ends(OURS, end).due(support::T3),
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

// 13. Data is processed while NOT SELECTED.

#[test]
fn field_13_data_while_not_selected_is_rejected_and_not_delivered() {
    let mut deselected = passive().selected();
    deselected.receives(
        "0000000A FFFF 00 00 00 03 00000005",
        deselects().sends("0000000A FFFF 00 00 00 04 00000005").lenient(Leniency::Deselect).class(Class::Control),
    );
    for mut scene in [passive().connected(), active().connected(), deselected] {
        let rejected = || Class::Rejected(RejectReason::ENTITY_NOT_SELECTED);
        for function in [1, 2, 0] {
            let frame = format!("0000000A 0001 81 {function:02X} 00 00 00000009");
            let answer = stays().sends("0000000A FFFF 00 04 00 07 00000009").class(rejected());
            let message = only(scene.receives(&frame, answer));
            assert_eq!(message.token, None);
        }
        let answer = stays().sends("0000000A FFFF 00 04 00 07 0000000A").class(rejected());
        scene.receives("0000000D 0001 81 01 00 00 0000000A 410141", answer);
        scene.refuses(Error::NotSelected, |connection, now| {
            connection.begin_primary(now, DEVICE, StreamFunction::new(1, 1), true, 0)
        });
    }
    for who in [passive().strict(), active().strict()] {
        let rejected = Class::Rejected(RejectReason::ENTITY_NOT_SELECTED);
        let close = closes(CloseReason::DataNotSelected).sends("0000000A FFFF 00 04 00 07 00000009").class(rejected);
        who.connected().receives("0000000A 0001 81 01 00 00 00000009", close);
    }
}

// 14. A Linktest.req before Select closes the link, although many peers send it.

#[test]
fn field_14_a_linktest_before_select_is_answered() {
    for who in [passive(), active()] {
        let mut scene = who.connected();
        for system in 1..=20 {
            // Neither T7 nor T6 moves.
            scene.receives(
                &format!("0000000A FFFF 00 00 00 05 {system:08X}"),
                stays()
                    .class(Class::Control)
                    .sends(&format!("0000000A FFFF 00 00 00 06 {system:08X}"))
                    .lenient(Leniency::LinktestNotSelected),
            );
            scene.pass(100);
        }
    }
}

// 15. T7 is started anew by any message, so that a caller can hold an unselected connection for ever.

#[test]
fn field_15_no_message_starts_t7_anew() {
    let frames = [
        "0000000A FFFF 00 00 00 05 00000001",
        "0000000A FFFF 00 00 00 03 00000002",
        "0000000A FFFF 00 00 00 06 00000003",
        "0000000A FFFF 00 00 00 02 00000004",
        "0000000A FFFF 00 00 00 7F 00000005",
        "0000000A FFFF 00 00 03 00 00000006",
        "0000000A FFFF 00 03 00 07 00000007",
        "0000000D 0001 81 01 00 00 00000008 410141",
    ];
    let mut scene = passive().connected();
    assert_eq!(scene.due_in(), Some(T7 - PAUSE));
    let mut connection = scene.connection.clone();
    for (passed, frame) in (0..T7 - PAUSE).step_by(100).zip(frames.iter().cycle()) {
        let now = Instant::from_millis(scene.now().as_millis() + passed);
        receive_all(&mut connection, now, [&hex(frame)[..]]);
        assert_eq!(connection.next_deadline().unwrap().as_millis(), scene.now().as_millis() + T7 - PAUSE, "{frame}");
    }
    scene.connection = connection;
    scene.pass(T7 - PAUSE - 1);
    scene.fires_in(1, closes(CloseReason::T7));
}

#[test]
fn field_15_a_message_that_trickles_in_does_not_hold_t7_nor_t6_of_select() {
    for (who, guard, reason) in
        [(passive(), T7, CloseReason::T7), (active(), T6, CloseReason::T6(ControlRequest::Select))]
    {
        let mut scene = who.connected();
        let mut left = guard - PAUSE;
        let frame = [&hex("00000028 0001 81 01 00 00 00000008")[..], &[0; 30]].concat();
        for (index, octet) in frame.iter().enumerate() {
            // T8 or the guard is next, whichever comes first; the header's last octet is answered.
            let expect = stays().due(left.min(T8));
            let rejected = Class::Rejected(RejectReason::ENTITY_NOT_SELECTED);
            let answer = expect.clone().class(rejected).sends("0000000A FFFF 00 04 00 07 00000008");
            scene.receives_octets(&[*octet], if index == 13 { answer } else { expect });
            if left <= 200 {
                break;
            }
            left -= 200;
            scene.pass(200);
        }
        assert!(scene.connection.body_left() > 0, "the guard ends the link in the middle of the message");
        scene.fires_in(left, closes(reason));
    }
}

// 16. T7 and T8 are missing, or run while nothing is arriving.

#[test]
fn field_16_t8_ends_a_message_that_stops_at_any_octet() {
    let frame = hex("00000014 0001 86 0B 00 00 00000002 01020304050607080900");
    for who in [passive(), active()] {
        for cut in 1..frame.len() {
            let mut scene = who.selected();
            let class = (cut >= 14).then_some(Class::Primary);
            let expect = stays().due(T8);
            scene.receives_octets(&frame[..cut], class.map_or(expect.clone(), |class| expect.class(class)));
            let received = u32::try_from(cut).unwrap();
            scene.fires_in(T8, closes(CloseReason::T8 { received }));
        }
    }
}

#[test]
fn field_16_t8_starts_anew_with_every_octet_and_does_not_run_between_messages() {
    let frame = hex("00000014 0001 86 0B 00 00 00000002 01020304050607080900");
    let mut connection = passive().selected().connection;
    let mut now = 3_000_000;
    for _ in 0..3 {
        for (index, octet) in frame.iter().enumerate() {
            trickle(&mut connection, now, &[*octet]);
            let expected = (index + 1 < frame.len()).then_some(now + T8);
            assert_eq!(connection.next_deadline().map(Instant::as_millis), expected, "octet {index}");
            now += T8 - 1;
            connection.handle(Instant::from_millis(now), Event::Timeout).unwrap();
            assert_eq!(connection.poll_action(), None);
        }
        // A day of silence is nobody's business.
        now += DAY;
        connection.handle(Instant::from_millis(now), Event::Timeout).unwrap();
        assert_eq!(connection.state(), State::Selected);
    }
}

/// Hands octets over that may end in the middle of a message.
fn trickle(connection: &mut Connection<4>, now: u64, octets: &[u8]) {
    let (taken, _) = connection.receive(Instant::from_millis(now), octets).expect("connected");
    assert_eq!(taken, octets.len());
    assert_eq!(connection.poll_action(), None);
}

#[test]
fn field_16_t7_ends_a_connection_that_nobody_selects() {
    let mut scene = passive().connected();
    scene.fires_in(T7 - PAUSE, closes(CloseReason::T7));
    let mut scene = active().on_command().connected();
    scene.fires_in(T7 - PAUSE, closes(CloseReason::T7));
    scene.fires_in(T5, opens().never());
}

// 17. Timers are computed modulo 60 s; a T3 of 60 s fires at once.

const SPANS: [u64; 9] = [59_999, 60_000, 60_001, 61_000, 2 * MINUTE, 4 * MINUTE, 60 * MINUTE, 60 * MINUTE + 1, DAY];

/// An active side whose settings are changed so.
fn with(change: impl FnOnce(Config) -> Result<Config, ConfigError>) -> Who {
    Who(change(active().0).expect("in range"))
}

#[test]
fn field_17_a_t3_of_a_minute_and_more_fires_when_it_should() {
    for span in SPANS {
        let mut scene = with(|config| config.with_t3(millis(span))).selected();
        let system = scene.requests(1, 1);
        scene.fires_in(span, stays().ends(system, TransactionEnd::T3).never());
    }
}

#[test]
fn field_17_a_t5_of_a_minute_and_more_fires_when_it_should() {
    for span in SPANS {
        let mut scene = with(|config| config.with_t5(millis(span))).selected();
        scene.happens(Event::TransportClosed, closes(CloseReason::TransportClosed).due(span));
        scene.fires_in(span, opens().never());
    }
}

#[test]
fn field_17_a_t6_of_a_minute_and_more_fires_when_it_should() {
    for span in SPANS {
        let mut scene = with(|config| config.with_t6(millis(span))).opening();
        let select = stays().sends("0000000A FFFF 00 00 00 01 00000051");
        scene.happens(Event::TransportOpen, select.state(State::NotSelected).due(span));
        scene.fires_in(span, closes(CloseReason::T6(ControlRequest::Select)));
    }
}

#[test]
fn field_17_a_t7_of_a_minute_and_more_fires_when_it_should() {
    for span in SPANS {
        let mut scene = with(|config| config.with_t7(millis(span))).on_command().opening();
        scene.happens(Event::TransportOpen, stays().state(State::NotSelected).due(span));
        scene.fires_in(span, closes(CloseReason::T7));
    }
}

#[test]
fn field_17_a_t8_of_a_minute_and_more_fires_when_it_should() {
    for span in SPANS {
        let mut scene = with(|config| config.with_t8(millis(span))).selected();
        scene.receives("00", stays().due(span));
        scene.fires_in(span, closes(CloseReason::T8 { received: 1 }));
    }
}

#[test]
fn field_17_a_linktest_period_of_a_minute_and_more_ends_when_it_should() {
    for span in SPANS {
        let mut connection = Connection::<4>::new(with(|config| config.with_linktest_period(millis(span))).0);
        let at = select_by_hand(&mut connection, 77_777) + span;
        connection.handle(Instant::from_millis(at - 1), Event::Timeout).unwrap();
        assert_eq!(connection.poll_action(), None);
        linktest_at(&mut connection, at);
    }
}

/// Takes an active connection to SELECTED at the time `at`, in milliseconds, which it gives back.
fn select_by_hand(connection: &mut Connection<4>, at: u64) -> u64 {
    let now = Instant::from_millis(at);
    connection.enable(now).unwrap();
    assert_eq!(connection.poll_action(), Some(Action::OpenTransport));
    connection.handle(now, Event::TransportOpen).unwrap();
    let Some(Action::Send(frame)) = connection.poll_action() else { panic!("no Select.req") };
    assert_eq!(frame.header().stype, SType::SELECT_REQ);
    connection.written(now, 14).unwrap();
    let answer = Header::select_rsp(frame.header().system).encode_alone();
    let (_, actions) = receive_all(connection, now, [&answer[..]]);
    assert_eq!(actions, [Action::Notify(Notice::Selected)]);
    at
}

// 18. T5 only after a failed dial: a dropped link is dialled again at once, or never.

#[test]
fn field_18_t5_separates_every_attempt_from_whatever_ended_the_one_before() {
    let again = |mut scene: Scene| {
        scene.fires_in(T5, opens().never());
        // And the attempt after that.
        scene.happens(Event::TransportFailed, stays().due(T5));
        scene.fires_in(T5, opens().never());
    };
    let closed = || closes(CloseReason::TransportClosed);
    let mut scene = active().opening();
    scene.happens(Event::TransportFailed, stays().due(T5));
    again(scene);
    for mut scene in [active().connected(), active().selected()] {
        scene.happens(Event::TransportClosed, closed());
        again(scene);
    }
    for (frame, close) in [
        ("0000000A FFFF 00 02 00 02 00000051", closes(CloseReason::SelectRefused(SelectStatus(2)))),
        ("0000000A FFFF 01 01 00 07 00000051", closes(CloseReason::SelectRejected(RejectReason(1)))),
        ("0000000A FFFF 00 00 00 09 00000001", closes(CloseReason::SeparateReceived)),
        ("00000009", closes(CloseReason::LengthTooShort { length: 9 })),
    ] {
        let mut scene = active().connected();
        scene.receives(frame, close);
        again(scene);
    }
    let mut scene = active().selected();
    let separate = closes(CloseReason::Separated).sends("0000000A FFFF 00 00 00 09 00000061");
    scene.does(separate, Connection::separate);
    again(scene);
    let mut scene = active().selected();
    scene.receives("0000000A FFFF 00 00 00 09 00000001", closes(CloseReason::SeparateReceived).class(Class::Control));
    again(scene);
    let mut scene = active().connected();
    scene.fires_in(T6 - PAUSE, closes(CloseReason::T6(ControlRequest::Select)));
    again(scene);
    let mut scene = active().testing();
    scene.fires_in(
        T6 - PAUSE,
        closes(CloseReason::T6(ControlRequest::Linktest)).ends(OURS, TransactionEnd::SessionEnded),
    );
    again(scene);
}

#[test]
fn field_18_the_passive_side_listens_again_at_once() {
    for mut scene in [passive().connected(), passive().selected()] {
        scene.happens(Event::TransportClosed, closes(CloseReason::TransportClosed));
        scene.happens(Event::TransportOpen, stays().state(State::NotSelected).due(T7));
    }
}

// 19. One missed linktest ends the library for good, or has no effect; or the periodic linktest never fires.

#[test]
fn field_19_a_missed_linktest_ends_the_link_and_the_next_one_is_tested_again() {
    let mut connection = Connection::<4>::new(Config::host(DEVICE));
    let mut at = 0;
    for _ in 0..3 {
        at = select_by_hand(&mut connection, at);
        // Two that are answered.
        for _ in 0..2 {
            at += 30_000;
            let request = linktest_at(&mut connection, at);
            at += 4_999;
            let answer = Header::linktest_rsp(request).encode_alone();
            let (_, actions) = receive_all(&mut connection, Instant::from_millis(at), [&answer[..]]);
            assert_eq!(actions, [Action::Notify(Notice::LinktestAnswered { system: request })]);
        }
        // One that is not.
        at += 30_000;
        let request = linktest_at(&mut connection, at);
        at += 5_000;
        assert_eq!(
            fired_at(&mut connection, at),
            [
                Action::CloseTransport(CloseReason::T6(ControlRequest::Linktest)),
                Action::Notify(Notice::TransactionEnded { system: request, end: TransactionEnd::SessionEnded }),
            ]
        );
        assert_eq!(connection.state(), State::NotConnected);
        assert!(connection.is_enabled());
        at += 10_000;
        connection.handle(Instant::from_millis(at), Event::Timeout).unwrap();
    }
}

/// The next deadline is `at`, in milliseconds, and these actions come of it.
fn fired_at(connection: &mut Connection<4>, at: u64) -> Vec<Action> {
    assert_eq!(connection.next_deadline(), Some(Instant::from_millis(at)));
    connection.handle(Instant::from_millis(at), Event::Timeout).unwrap();
    drain(connection)
}

/// A linktest is sent at `at`; gives its system bytes.
fn linktest_at(connection: &mut Connection<4>, at: u64) -> SystemBytes {
    let actions = fired_at(connection, at);
    let [Action::Send(frame)] = actions[..] else { panic!("{actions:?}") };
    assert_eq!(frame, ControlFrame::Control(Header::linktest_req(frame.header().system)));
    connection.written(Instant::from_millis(at), 14).unwrap();
    frame.header().system
}

// 20. Separate.req is ignored; Deselect.req panics, is ignored, or leaves a state from which no Select works.

#[test]
fn field_20_separate_ends_the_link_in_every_state() {
    for mut scene in [passive().connected(), passive().selected(), active().connected(), active().selected()] {
        scene.receives(
            "0000000A FFFF 00 00 00 09 00000001",
            closes(CloseReason::SeparateReceived).class(Class::Control),
        );
    }
}

#[test]
fn field_20_after_a_deselect_the_link_can_be_selected_again() {
    let mut scene = passive().selected();
    for round in 0..3 {
        let system = 0x70 + round;
        let deselect =
            deselects().sends(&format!("0000000A FFFF 00 00 00 04 {system:08X}")).lenient(Leniency::Deselect);
        scene.receives(&format!("0000000A FFFF 00 00 00 03 {system:08X}"), deselect.class(Class::Control));
        scene.pass(T7 - 1);
        let select = selects().sends(&format!("0000000A FFFF 00 00 00 02 {system:08X}"));
        scene.receives(&format!("0000000A FFFF 00 00 00 01 {system:08X}"), select.class(Class::Control));
        scene.receives("0000000A 0001 81 01 00 00 00000001", stays().class(Class::Primary));
    }
    // The side that dialled answers, closes, and dials again after T5.
    let mut scene = active().selected();
    let deselect =
        closes(CloseReason::DeselectAnswered).sends("0000000A FFFF 00 00 00 04 00000070").lenient(Leniency::Deselect);
    scene.receives("0000000A FFFF 00 00 00 03 00000070", deselect.class(Class::Control));
    scene.fires_in(T5, opens().never());
    let select = stays().sends("0000000A FFFF 00 00 00 01 00000061").state(State::NotSelected).due(T6);
    scene.happens(Event::TransportOpen, select);
    scene.receives("0000000A FFFF 00 00 00 02 00000061", selects().class(Class::Control));
}

#[test]
fn field_20_a_deselect_ends_what_was_open_and_refuses_what_comes_after() {
    let mut scene = passive().requesting();
    let deselect = deselects()
        .sends("0000000A FFFF 00 00 00 04 00000070")
        .lenient(Leniency::Deselect)
        .ends(OURS, TransactionEnd::SessionEnded);
    scene.receives("0000000A FFFF 00 00 00 03 00000070", deselect.class(Class::Control));
    assert_eq!(scene.connection.open_transactions(), 0);
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

// 23. Select.req carries the device id, so that strict peers refuse.

#[test]
fn field_23_our_control_requests_carry_session_id_ffff_whatever_the_device_id() {
    let list = DeviceIds::list(&[DeviceId::new(3).unwrap(), DeviceId::new(4).unwrap()]).unwrap();
    for devices in [DeviceId::new(0).unwrap().into(), DEVICE.into(), DeviceId::MAX.into(), list, DeviceIds::ANY] {
        let who = Who(active().0.with_device_ids(devices));
        // Select.req, octet by octet, is looked at on the way there.
        let mut scene = who.selected();
        let linktest = stays().sends("0000000A FFFF 00 00 00 05 00000061").due(T6);
        scene.does(linktest, Connection::linktest);
        let separate = closes(CloseReason::Separated).sends("0000000A FFFF 00 00 00 09 00000062");
        scene.does(separate.ends(OURS, TransactionEnd::SessionEnded), Connection::separate);
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

// 26. The state still says SELECTED after the peer is gone.

#[test]
fn field_26_the_state_is_true_as_soon_as_the_transport_has_ended() {
    for who in [passive(), active()] {
        let mut connection = who.requesting().connection;
        connection.handle(Instant::from_millis(3_000_000), Event::TransportClosed).unwrap();
        // Before anything is polled.
        assert_eq!(connection.state(), State::NotConnected);
        let now = Instant::from_millis(3_000_000);
        assert_eq!(connection.receive(now, &[0]), Err(Error::NotConnected));
    }
}

#[test]
fn field_26_a_peer_that_vanished_is_noticed_within_linktest_period_and_t6_on_both_sides() {
    for config in [Config::host(DEVICE), Config::equipment(DEVICE)] {
        let mut connection = Connection::<4>::new(config);
        let now = Instant::from_millis(500);
        connection.enable(now).unwrap();
        drain(&mut connection);
        connection.handle(now, Event::TransportOpen).unwrap();
        for action in drain(&mut connection) {
            assert!(matches!(action, Action::Send(_)));
            connection.written(now, 14).unwrap();
        }
        let system = SystemBytes(connection.next_system_bytes().0.wrapping_sub(1));
        let select = match config.mode() {
            ConnectMode::Active => Header::select_rsp(system),
            ConnectMode::Passive => Header::select_req(SystemBytes(9)),
        };
        receive_all(&mut connection, now, [&select.encode_alone()[..]]);
        assert_eq!(connection.state(), State::Selected);
        linktest_at(&mut connection, 30_500);
        let actions = fired_at(&mut connection, 35_500);
        assert_eq!(actions[0], Action::CloseTransport(CloseReason::T6(ControlRequest::Linktest)));
        assert_eq!(connection.state(), State::NotConnected);
    }
}

// 31. A T6 above T7 makes a loop of connecting and closing.

#[test]
fn field_31_a_t6_above_t7_makes_no_loop() {
    let config = active().0.with_t6(millis(MINUTE)).unwrap().with_t7(millis(1_000)).unwrap();
    let mut scene = Who(config).opening();
    for round in 0..5 {
        let system = 0x51 + round;
        let select = stays().sends(&format!("0000000A FFFF 00 00 00 01 {system:08X}"));
        scene.happens(Event::TransportOpen, select.state(State::NotSelected).due(MINUTE));
        if round == 4 {
            // An answer that takes longer than T7 is still an answer.
            scene.pass(MINUTE - 1);
            let answer = format!("0000000A FFFF 00 00 00 02 {system:08X}");
            scene.receives(&answer, selects().class(Class::Control));
        } else {
            // One attempt per T6 and T5, whatever T7 is.
            scene.fires_in(MINUTE, closes(CloseReason::T6(ControlRequest::Select)));
            scene.fires_in(T5, opens().never());
        }
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
