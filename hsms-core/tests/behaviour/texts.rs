//! Texts as they arrive, and what happens while ours is being written.

use crate::drain;
use crate::support::{DEVICE, OURS, Output, PAUSE, Scene, T3, T5, T6, T8, active, closes, hex, opens, passive, stays};
use hsms_core::Error;
use hsms_core::connection::{Action, Class, CloseReason, Connection, Event, Notice, State, Stray, TransactionEnd};
use hsms_core::frame::{Decoder, Piece};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, RejectReason, StreamFunction, SystemBytes};

const S6F11: StreamFunction = StreamFunction::new(6, 11);

/// System bytes of our second request.
const NEXT: SystemBytes = SystemBytes(OURS.0 + 1);

/// Hands all of `input` over, which has to make one piece.
#[track_caller]
fn piece<'i>(connection: &mut Connection<4>, now: Instant, input: &'i [u8]) -> (Class, Piece<'i>) {
    let (taken, inbound) = connection.receive(now, input).expect("connected and drained");
    assert_eq!(taken, input.len());
    let inbound = inbound.expect("a piece");
    (inbound.class, inbound.piece)
}

#[test]
fn an_empty_text_at_the_end_of_a_read_is_a_whole_message() {
    let scene = passive().selected();
    let (mut connection, now) = (scene.connection.clone(), scene.now());
    let frame = hex("0000000A 0001 81 01 00 00 00000009");
    let (class, seen) = piece(&mut connection, now, &frame);
    assert_eq!((class, seen.body_len, seen.offset, seen.body), (Class::Primary, 0, 0, &[][..]));
    assert!(seen.first() && seen.last());
    // Nothing is awaited: no octets, and no T8.
    assert_eq!((connection.body_left(), connection.next_deadline()), (0, None));
    // What follows is the next message.
    let (class, seen) = piece(&mut connection, now, &frame);
    assert!(class == Class::Primary && seen.first() && seen.last());
}

#[test]
fn who_hands_over_no_more_than_the_prefix_learns_what_comes_before_its_text_does() {
    let scene = passive().selected();
    let (mut connection, now) = (scene.connection.clone(), scene.now());
    let frame = hex("0000000C 0001 81 01 00 00 00000009 0100");
    for octet in 0..13 {
        assert_eq!(connection.prefix_left(), 14 - octet);
        assert_eq!(connection.receive(now, &frame[octet..=octet]), Ok((1, None)));
    }
    let (class, seen) = piece(&mut connection, now, &frame[13..14]);
    assert_eq!((class, seen.body, connection.prefix_left(), connection.body_left()), (Class::Primary, &[][..], 0, 2));
    piece(&mut connection, now, &frame[14..15]);
    assert_eq!((connection.prefix_left(), connection.body_left()), (0, 1));
    piece(&mut connection, now, &frame[15..]);
    assert_eq!((connection.prefix_left(), connection.body_left()), (14, 0), "the next message");
}

#[test]
fn a_header_at_the_end_of_a_read_is_the_first_piece_and_starts_t8() {
    // A primary, a reply of ours, one for nobody, one that is refused.
    for (header, class) in [
        ("0001 86 0B 00 00 00000009", Class::Primary),
        ("0001 01 02 00 00 00000061", Class::Reply),
        ("0001 01 02 00 00 00000099", Class::Stray(Stray::Orphan)),
        ("FFFF 00 00 00 7F 00000009", Class::Rejected(RejectReason::STYPE_NOT_SUPPORTED)),
    ] {
        let scene = active().requesting();
        let (mut connection, now) = (scene.connection.clone(), scene.now());
        let frame = hex(&format!("0000000D {header} AABBCC"));

        let (seen_class, seen) = piece(&mut connection, now, &frame[..14]);
        assert_eq!((seen_class, seen.body_len, seen.offset, seen.body), (class, 3, 0, &[][..]));
        assert!(seen.first() && !seen.last());
        drain(&mut connection);
        assert_eq!(connection.body_left(), 3);
        let t8 = Instant::from_millis(now.as_millis() + T8);
        assert_eq!(connection.next_deadline(), Some(t8), "T8 guards the rest, sooner than T3");

        // The text begins at offset 0 again, in a piece that is not the first.
        let (seen_class, seen) = piece(&mut connection, now, &frame[14..16]);
        assert_eq!((seen_class, seen.offset, seen.body), (class, 0, &frame[14..16]));
        assert!(!seen.first() && !seen.last());
        let (seen_class, seen) = piece(&mut connection, now, &frame[16..]);
        assert_eq!((seen_class, seen.offset, seen.body), (class, 2, &frame[16..]));
        assert!(!seen.first() && seen.last());

        let t3 = (class != Class::Reply).then(|| Instant::from_millis(now.as_millis() + T3 - PAUSE));
        assert_eq!((connection.body_left(), connection.next_deadline()), (0, t3));
    }
}

#[test]
fn t3_stops_with_the_header_of_the_reply() {
    let mut scene = active().requesting();
    scene.pass(T3 - PAUSE - 1);
    scene.receives("0000000D 0001 01 02 00 00 00000061", stays().class(Class::Reply).due(T8));
    // T3 would be over now; T8 goes on with each octet, and the transaction is open until the last.
    for octet in ["AA", "BB"] {
        scene.pass(T8 - 1);
        scene.receives(octet, stays().due(T8));
        assert!(scene.connection.is_open(OURS));
    }
    scene.receives("CC", stays().never());
    assert!(!scene.connection.is_open(OURS));
}

#[test]
fn a_text_that_stops_ends_the_link_and_the_transaction_it_was_the_reply_to() {
    let mut scene = active().requesting();
    scene.receives("0000000D 0001 01 02 00 00 00000061 AA", stays().class(Class::Reply).due(T8));
    let close = closes(CloseReason::T8 { received: 15 });
    scene.fires_in(T8, close.ends(OURS, TransactionEnd::SessionEnded));
}

/// SELECTED equipment whose S6F11 with a text of 100 octets is open for a second.
fn writing() -> Scene {
    let mut scene = passive().selected();
    scene.connection.begin_primary(scene.now(), DEVICE, S6F11, false, 100).unwrap();
    assert_eq!(scene.connection.poll_action(), None);
    scene.pass(PAUSE);
    scene
}

#[test]
fn linktests_while_our_text_is_open_are_answered_behind_it_in_their_order() {
    let mut scene = writing();
    for system in 1..=3 {
        // Nothing comes out, and nothing is due: an adapter that waits for the deadline does not spin.
        scene.receives(&format!("0000000A FFFF 00 00 00 05 {system:08X}"), stays().class(Class::Control).never());
    }
    let answers = stays()
        .sends("0000000A FFFF 00 00 00 06 00000001")
        .sends("0000000A FFFF 00 00 00 06 00000002")
        .sends("0000000A FFFF 00 00 00 06 00000003");
    scene.does(answers.never(), |connection, now| connection.end_body(now));
}

#[test]
fn messages_and_notices_come_through_while_our_text_is_open() {
    let mut scene = writing();
    scene.receives("0000000A 0001 81 01 00 00 00000009", stays().class(Class::Primary));
    let header = Header::reject_req(SystemBytes(0x99), 0, RejectReason(4));
    scene.receives("0000000A FFFF 00 00 00 05 00000001", stays().class(Class::Control));
    let told = stays().class(Class::Control).tells(Notice::RejectReceived { header });
    scene.receives("0000000A FFFF 00 04 00 07 00000099", told);
    scene.does(stays().sends("0000000A FFFF 00 00 00 06 00000001"), |connection, now| connection.end_body(now));
}

#[test]
fn too_many_linktests_while_our_text_is_open_end_the_link() {
    let mut scene = writing();
    let linktest = hex("0000000A FFFF 00 00 00 05 00000001");
    // It has to hold a few, and it must not hold many.
    let mut held = 0;
    for _ in 0..100 {
        let mut next = scene.connection.clone();
        next.receive(scene.now(), &linktest).unwrap();
        if next.state() != State::Selected {
            break;
        }
        assert_eq!(next.poll_action(), None);
        scene.connection = next;
        held += 1;
    }
    assert!((4..100).contains(&held), "it held {held}");
    // The answers that were held are dropped: a frame in the middle of a text would be taken for text.
    scene.receives("0000000A FFFF 00 00 00 05 00000001", closes(CloseReason::OutputStalled));
    assert!(!scene.connection.is_body_open());
    scene.refuses(Error::NoBodyOpen, |connection, now| connection.end_body(now));
}

#[test]
fn a_transport_that_ends_while_answers_wait_for_our_text_ends_the_link() {
    let mut scene = writing();
    scene.receives("0000000A FFFF 00 00 00 05 00000001", stays().class(Class::Control));
    scene.happens(Event::TransportClosed, closes(CloseReason::TransportClosed));
}

#[test]
fn no_linktest_is_begun_while_our_text_is_open() {
    let mut scene = passive().linktest(30_000, 1).selected();
    scene.connection.begin_primary(scene.now(), DEVICE, S6F11, false, 100).unwrap();
    assert_eq!(scene.connection.next_deadline(), None);
    // Ten minutes of writing: nothing is due.
    scene.pass(600_000);
    assert_eq!(scene.times_out(), Output::default());
    // As soon as it is over the line is tested.
    let now = scene.now();
    scene.connection.end_body(now).unwrap();
    scene.connection.written(now, 114).unwrap();
    assert_eq!(scene.connection.next_deadline(), Some(now));
    let linktest = stays().sends("0000000A FFFF 00 00 00 05 00000062").due(T6);
    scene.happens(Event::Timeout, linktest);
}

#[test]
fn a_linktest_asked_for_while_our_text_is_open_counts_t6_from_when_it_is_written() {
    let mut scene = writing();
    scene.hold_writes();
    let system = scene.does(stays().never(), Connection::linktest);
    scene.pass(T6 * 2);
    let request = format!("0000000A FFFF 00 00 00 05 {:08X}", system.0);
    scene.does(stays().sends(&request).never(), |connection, now| connection.end_body(now));
    scene.connection.written(scene.now(), 114).unwrap();
    assert_eq!(scene.connection.next_deadline(), None, "the message in front of it is written, and not the linktest");
    scene.writes(13, stays().never());
    scene.pass(PAUSE);
    scene.writes(1, stays().due(T6));
}

#[test]
fn a_text_that_is_given_up_ends_the_link_with_its_own_reason() {
    for who in [passive(), active()] {
        let mut scene = who.requesting();
        scene.connection.begin_primary(scene.now(), DEVICE, S6F11, true, 100).unwrap();
        let end = TransactionEnd::SessionEnded;
        let close = closes(CloseReason::BodyAborted).ends(OURS, end).ends(NEXT, end);
        scene.receives("0000000A FFFF 00 00 00 05 00000001", stays().class(Class::Control));
        scene.does(close, |connection, now| connection.abort_body(now));
        if who.is_active() {
            scene.fires_in(T5, opens().never());
        }
    }
}

#[test]
fn data_never_overtakes_select_rsp() {
    let scene = passive().connected();
    let (mut connection, now) = (scene.connection.clone(), scene.now());
    let select = hex("0000000A FFFF 00 00 00 01 00000063");
    connection.receive(now, &select).unwrap();
    assert_eq!(connection.state(), State::Selected);
    // SELECTED, and Select.rsp not sent yet: nothing can be begun.
    let before = connection.clone();
    assert_eq!(connection.begin_primary(now, DEVICE, S6F11, true, 5), Err(Error::ActionsPending));
    assert_eq!(connection, before);
    let Some(Action::Send(frame)) = connection.poll_action() else { panic!("Select.rsp is first") };
    assert_eq!(*frame.encode(), hex("0000000A FFFF 00 00 00 02 00000063")[..]);
    // Behind it data may go, whether or not the notice has been polled.
    connection.begin_primary(now, DEVICE, S6F11, true, 5).unwrap();
    assert_eq!(connection.poll_action(), Some(Action::Notify(Notice::Selected)));
}

#[test]
fn no_message_of_ours_overtakes_an_answer_of_ours() {
    let scene = passive().selected();
    let (mut connection, now) = (scene.connection.clone(), scene.now());
    let primary = hex("0000000A 0001 81 01 00 00 00000009");
    let (_, inbound) = connection.receive(now, &primary).unwrap();
    let token = inbound.unwrap().reply_token().unwrap();
    connection.receive(now, &hex("0000000A FFFF 00 00 00 05 00000001")).unwrap();
    let before = connection.clone();
    assert_eq!(connection.begin_reply(now, &token, 0), Err(Error::ActionsPending));
    assert_eq!(connection.begin_abort(now, &token), Err(Error::ActionsPending));
    assert_eq!(connection.begin_primary(now, DEVICE, S6F11, false, 0), Err(Error::ActionsPending));
    assert_eq!(connection, before);
    assert!(matches!(connection.poll_action(), Some(Action::Send(_))));
    connection.begin_reply(now, &token, 0).unwrap();
}

#[test]
fn an_input_without_an_octet_moves_no_decoder() {
    let stream = hex("0000000D 0001 81 01 00 00 00000009 010203");
    let mut decoder = Decoder::new();
    for octet in &stream {
        let before = decoder;
        assert_eq!((decoder.decode(&[]), decoder), (Ok((0, None)), before));
        decoder.decode(&[*octet]).unwrap();
    }
    assert_eq!((decoder.decode(&[]), decoder), (Ok((0, None)), Decoder::new()));
}
