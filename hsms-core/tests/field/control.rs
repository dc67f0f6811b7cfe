//! Control messages: select, deselect, separate, linktest and reject.

use super::harness::{only, receive_all};
use crate::support::{
    DEVICE, OURS, SELECT_SYSTEM, T5, T6, T7, Who, active, closes, deselects, hex, opens, passive, selects, stays,
};
use hsms_core::Error;
use hsms_core::config::{DeviceId, DeviceIds};
use hsms_core::connection::{Action, Class, CloseReason, Connection, Event, Leniency, Notice, State, TransactionEnd};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, RejectReason, SelectStatus, StreamFunction, SystemBytes};

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
