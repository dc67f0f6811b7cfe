//! Timers: what starts them, what stops them, and what comes of them.

use super::harness::{DAY, MINUTE, drain, millis, receive_all};
use crate::support::{
    DEVICE, OURS, PAUSE, Scene, T5, T6, T7, T8, Who, active, closes, hex, opens, passive, selects, stays,
};
use hsms_core::Error;
use hsms_core::config::{Config, ConfigError, ConnectMode};
use hsms_core::connection::{
    Action, Class, CloseReason, Connection, ControlFrame, ControlRequest, Event, Notice, State, TransactionEnd,
};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, RejectReason, SType, SelectStatus, SystemBytes};

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
