//! Every count is of what its name says, and of nothing else.

use super::*;
use crate::config::{Config, DeviceId};
use crate::connection::{Connection, ControlFrame, ControlRequest};
use crate::time::Instant;
use crate::wire::{PType, SType, SelectStatus, SessionId, StreamFunction, SystemBytes};
use std::vec::Vec;

const SYSTEM: SystemBytes = SystemBytes(7);
const SESSION: SessionId = SessionId(1);

fn data(stream: u8, function: u8) -> Header {
    Header::data(SYSTEM, StreamFunction::new(stream, function), function == 1, SESSION)
}

/// The counts that are not zero, by name.
fn counted(counts: impl Iterator<Item = (&'static str, u64)>) -> Vec<(&'static str, u64)> {
    counts.filter(|(_, count)| *count != 0).collect()
}

/// The frame around `header`, piece by piece, through a real decoder.
fn receive(counters: &mut Counters, class: Class, header: Header, body_len: u32, chunk: usize) {
    let mut stream = header.encode_prefix(body_len).unwrap().to_vec();
    stream.resize(stream.len() + body_len as usize, 0);
    let mut decoder = crate::frame::Decoder::new();
    for mut input in stream.chunks(chunk) {
        while !input.is_empty() {
            let (taken, piece) = decoder.decode(input).unwrap();
            input = &input[taken..];
            if let Some(piece) = piece {
                counters.record_inbound(&Inbound { class, piece, link: 1 });
            }
        }
    }
}

#[test]
fn every_message_type_has_its_count_in_both_directions() {
    let mut unknown = data(1, 1);
    unknown.ptype = PType(1);
    let messages = [
        (data(1, 1), "primary"),
        (data(1, 2), "reply"),
        (data(1, 0), "abort"),
        (Header::select_req(SYSTEM), "select_req"),
        (Header::select_rsp(SYSTEM), "select_rsp"),
        (Header::deselect_req(SYSTEM), "deselect_req"),
        (Header::deselect_rsp(SYSTEM), "deselect_rsp"),
        (Header::linktest_req(SYSTEM), "linktest_req"),
        (Header::linktest_rsp(SYSTEM), "linktest_rsp"),
        (Header::reject_req(SYSTEM, 0, RejectReason(1)), "reject_req"),
        (Header::separate_req(SYSTEM), "separate_req"),
        (unknown, "unknown"),
    ];
    assert_eq!(messages.len(), Messages::ZERO.iter().count());
    for (header, name) in messages {
        let mut counters = Counters::new();
        receive(&mut counters, Class::Control, header, 0, 64);
        assert_eq!(counted(counters.received.messages.iter()), [(name, 1)]);
        assert_eq!((counters.received.octets, counters.sent), (14, Traffic::default()));

        let mut counters = Counters::new();
        counters.record_action(&Action::Send(ControlFrame::Control(header)));
        counters.record_sent(&header, 100);
        assert_eq!(counted(counters.sent.messages.iter()), [(name, 2)]);
        assert_eq!((counters.sent.octets, counters.received), (14 + 114, Traffic::default()));
    }
}

#[test]
fn a_message_in_pieces_counts_once_and_all_its_octets_count() {
    for chunk in 1..=120 {
        let mut counters = Counters::new();
        receive(&mut counters, Class::Stray(Stray::Orphan), data(1, 2), 100, chunk);
        receive(&mut counters, Class::TooLong, data(1, 1), 100, chunk);
        assert_eq!(counted(counters.received.messages.iter()), [("primary", 1), ("reply", 1)]);
        assert_eq!(counted(counters.strays.iter()), [("orphan", 1)]);
        assert_eq!((counters.received.octets, counters.too_long), (228, 1), "chunks of {chunk}");
    }
}

#[test]
fn a_stream_9_message_of_the_machine_counts_as_a_primary_with_its_text() {
    let mut counters = Counters::new();
    let frame = ControlFrame::Stream9 { function: 9, session: SESSION, system: SYSTEM, about: data(1, 1) };
    counters.record_action(&Action::Send(frame));
    assert_eq!(counted(counters.sent.messages.iter()), [("primary", 1)]);
    assert_eq!(counters.sent.octets, 26);
}

#[test]
fn rejects_count_by_reason_in_each_direction() {
    let reasons = [
        (1, "stype_not_supported"),
        (2, "ptype_not_supported"),
        (3, "transaction_not_open"),
        (4, "entity_not_selected"),
        (0, "other"),
        (5, "other"),
        (255, "other"),
    ];
    for (reason, name) in reasons {
        let header = Header::reject_req(SYSTEM, 0, RejectReason(reason));
        let mut counters = Counters::new();
        counters.record_action(&Action::Send(ControlFrame::Control(header)));
        assert_eq!(counted(counters.rejects_sent.iter()), [(name, 1)]);
        assert_eq!(counters.rejects_received.total(), 0);

        let mut counters = Counters::new();
        receive(&mut counters, Class::Control, header, 3, 1);
        assert_eq!(counted(counters.rejects_received.iter()), [(name, 1)]);
        assert_eq!(counters.rejects_sent.total(), 0);
    }
}

#[test]
fn strays_count_by_kind() {
    let strays = [
        (Stray::Late, "late"),
        (Stray::Orphan, "orphan"),
        (Stray::Mismatched, "mismatched"),
        (Stray::UnknownDevice, "unknown_device"),
    ];
    for (stray, name) in strays {
        let mut counters = Counters::new();
        receive(&mut counters, Class::Stray(stray), data(1, 2), 0, 64);
        assert_eq!(counted(counters.strays.iter()), [(name, 1)]);
    }
}

#[test]
fn leniencies_count_by_kind() {
    let stype = SType::LINKTEST_REQ;
    let leniencies = [
        (Leniency::SelectSession(SESSION), "select_session"),
        (Leniency::SimultaneousSelect(SESSION), "simultaneous_select"),
        (Leniency::Deselect, "deselect"),
        (Leniency::DeselectNotSelected, "deselect_not_selected"),
        (Leniency::LinktestNotSelected, "linktest_not_selected"),
        (Leniency::ControlText { stype, body_len: 1 }, "control_text"),
        (Leniency::RejectText { body_len: 1 }, "reject_text"),
        (Leniency::DirectionBit(SESSION), "direction_bit"),
        (Leniency::LinktestExtended, "linktest_extended"),
    ];
    assert_eq!(leniencies.len(), Leniencies::ZERO.iter().count());
    for (leniency, name) in leniencies {
        let mut counters = Counters::new();
        counters.record_action(&Action::Notify(Notice::Lenient(leniency)));
        assert_eq!(counted(counters.leniencies.iter()), [(name, 1)]);
    }
}

#[test]
fn transactions_count_by_how_they_ended_and_t3_as_a_timeout_too() {
    let ends = [
        (TransactionEnd::T3, "t3", 1),
        (TransactionEnd::Rejected(RejectReason(1)), "rejected", 0),
        (TransactionEnd::ReplyTooLong { length: 11 }, "reply_too_long", 0),
        (TransactionEnd::SessionEnded, "session_ended", 0),
    ];
    assert_eq!(ends.len(), TransactionEnds::ZERO.iter().count());
    for (end, name, t3) in ends {
        let mut counters = Counters::new();
        counters.record_action(&Action::Notify(Notice::TransactionEnded { system: SYSTEM, end }));
        assert_eq!(counted(counters.transactions_ended.iter()), [(name, 1)]);
        assert_eq!((counters.timeouts.t3, counters.timeouts.total()), (t3, t3));
    }
}

#[test]
fn closes_count_by_reason_and_those_by_a_timer_as_timeouts_too() {
    let stype = SType::LINKTEST_REQ;
    let reasons = [
        (CloseReason::Disabled, "disabled", None),
        (CloseReason::Separated, "separated", None),
        (CloseReason::BodyAborted, "body_aborted", None),
        (CloseReason::OutputStalled, "output_stalled", None),
        (CloseReason::TransportClosed, "transport_closed", None),
        (CloseReason::SeparateReceived, "separate_received", None),
        (CloseReason::T6(ControlRequest::Linktest), "t6", Some("t6")),
        (CloseReason::T7, "t7", Some("t7")),
        (CloseReason::T8 { received: 3 }, "t8", Some("t8")),
        (CloseReason::SelectRefused(SelectStatus(2)), "select_refused", None),
        (CloseReason::SelectRejected(RejectReason(1)), "select_rejected", None),
        (CloseReason::CallerRefused, "caller_refused", None),
        (CloseReason::DeselectAnswered, "deselect_answered", None),
        (CloseReason::LengthTooShort { length: 9 }, "length_too_short", None),
        (CloseReason::LengthTooLong { length: 11, limit: 10 }, "length_too_long", None),
        (CloseReason::LooksLikeSecsI, "looks_like_secs_i", None),
        (CloseReason::UnexpectedMessage(stype), "unexpected_message", None),
        (CloseReason::DataNotSelected, "data_not_selected", None),
        (CloseReason::ControlText { stype, body_len: 1 }, "control_text", None),
        (CloseReason::UnknownPType(PType(1)), "unknown_ptype", None),
        (CloseReason::UnknownSType(SType(8)), "unknown_stype", None),
    ];
    assert_eq!(reasons.len(), Closes::ZERO.iter().count());
    for (reason, name, timer) in reasons {
        let mut counters = Counters::new();
        counters.record_action(&Action::CloseTransport(reason));
        assert_eq!(counted(counters.closes.iter()), [(name, 1)]);
        assert_eq!(counted(counters.timeouts.iter()).first().map(|(name, _)| *name), timer);
        assert_eq!(counters.timeouts.total(), u64::from(timer.is_some()));
    }
}

#[test]
fn a_missed_linktest_is_a_t6_although_the_link_stays() {
    let mut counters = Counters::new();
    counters.record_action(&Action::Notify(Notice::LinktestMissed { system: SYSTEM, missed: 1 }));
    assert_eq!(counted(counters.timeouts.iter()), [("t6", 1)]);
    assert_eq!(counters.closes.total(), 0);
}

#[test]
fn counts_stop_at_the_greatest_number() {
    let mut counters = Counters::new();
    counters.received.octets = u64::MAX - 20;
    counters.received.messages.primary = u64::MAX;
    counters.sent.octets = u64::MAX - 1;
    counters.connections = u64::MAX;
    receive(&mut counters, Class::Primary, data(1, 1), 100, 64);
    counters.record_sent(&data(1, 1), u32::MAX);
    counters.record_event(&Event::TransportOpen);
    assert_eq!(counters.received.octets, u64::MAX);
    assert_eq!(counters.received.messages.primary, u64::MAX);
    assert_eq!(counters.received.messages.total(), u64::MAX);
    assert_eq!(counters.sent.octets, u64::MAX);
    assert_eq!((counters.connections, counters.reconnects), (u64::MAX, 1));
    assert!(size_of::<Counters>() <= 700);
}

fn drain(connection: &mut Connection, counters: &mut Counters) {
    while let Some(action) = connection.poll_action() {
        counters.record_action(&action);
    }
}

fn tell(connection: &mut Connection, counters: &mut Counters, now: Instant, event: Event) {
    connection.handle(now, event).unwrap();
    counters.record_event(&event);
    drain(connection, counters);
}

#[test]
fn a_real_conversation_is_counted() {
    let mut connection = Connection::<4>::new(Config::equipment(DeviceId::new(1).unwrap()));
    let mut counters = Counters::new();
    let mut now = Instant::EPOCH;
    connection.enable(now).unwrap();
    drain(&mut connection, &mut counters);
    for _ in 0..2 {
        tell(&mut connection, &mut counters, now, Event::TransportOpen);
        let stream: Vec<u8> = [
            Header::select_req(SYSTEM),
            Header::linktest_req(SYSTEM),
            data(1, 1),
            data(1, 2),
            data(1, 1).with_session(SessionId(2)),
        ]
        .iter()
        .flat_map(Header::encode_alone)
        .collect();
        for mut input in stream.chunks(9) {
            while !input.is_empty() {
                let (taken, inbound) = connection.receive(now, input).unwrap();
                input = &input[taken..];
                if let Some(inbound) = inbound {
                    counters.record_inbound(&inbound);
                }
                drain(&mut connection, &mut counters);
            }
        }
        // Our own primary, which is not answered: S9F9.
        let device = DeviceId::new(1).unwrap();
        let header = data(5, 1);
        let (_, prefix) = connection.begin_primary(now, device, header.stream_function(), true, 3).unwrap();
        counters.record_sent(&header, 3);
        connection.end_body(now).unwrap();
        connection.written(now, 14 * 2 + 26 + prefix.len() as u64 + 3).unwrap();
        now = now.saturating_add(connection.config().t3());
        // The linktest that was due before it, and T3.
        tell(&mut connection, &mut counters, now, Event::Timeout);
        tell(&mut connection, &mut counters, now, Event::Timeout);
        tell(&mut connection, &mut counters, now, Event::TransportClosed);
    }
    assert_eq!((counters.attempts, counters.failed_attempts), (3, 0));
    assert_eq!((counters.connections, counters.reconnects, counters.selections), (2, 1, 2));
    assert_eq!(
        counted(counters.received.messages.iter()),
        [("primary", 4), ("reply", 2), ("select_req", 2), ("linktest_req", 2)]
    );
    assert_eq!(counters.received.octets, 2 * 5 * 14);
    assert_eq!(counted(counters.strays.iter()), [("orphan", 2), ("unknown_device", 2)]);
    // S9F1, our own, S9F9; and the linktest of the machine.
    assert_eq!(
        counted(counters.sent.messages.iter()),
        [("primary", 6), ("select_rsp", 2), ("linktest_req", 2), ("linktest_rsp", 2)]
    );
    assert_eq!(counters.sent.octets, 2 * (14 + 14 + 26 + 17 + 26 + 14));
    assert_eq!(counted(counters.timeouts.iter()), [("t3", 2)]);
    assert_eq!(counted(counters.transactions_ended.iter()), [("t3", 2), ("session_ended", 2)]);
    assert_eq!(counted(counters.closes.iter()), [("transport_closed", 2)]);
    assert_eq!(counters.leniencies.total() + counters.rejects_sent.total() + counters.too_long, 0);
}

#[test]
fn an_attempt_that_fails_is_counted_as_one() {
    let mut counters = Counters::new();
    counters.record_event(&Event::TransportFailed);
    assert_eq!((counters.failed_attempts, counters.connections), (1, 0));
}

#[test]
fn each_count_is_shown_once() {
    let mut counters = Counters::new();
    let mut shown = 0;
    counters.each_mut(|count| {
        shown += 1;
        *count = shown;
    });
    // Eight octets each, and nothing else.
    assert_eq!(usize::try_from(shown).unwrap() * size_of::<u64>(), size_of::<Counters>());
    let mut values = Vec::new();
    counters.each_mut(|count| values.push(*count));
    assert_eq!(values, (1..=shown).collect::<Vec<_>>());
}
