//! As many frames as there is room for wait behind an open text.

use crate::drain;
use hsms_core::config::{Config, DeviceId, DeviceIds};
use hsms_core::connection::{
    Action, Class, CloseReason, Connection, ControlFrame, Event, Leniency, Notice, Stream9, TransactionEnd,
};
use hsms_core::error::Error;
use hsms_core::time::Instant;
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};
use std::time::Duration;

const DEVICE: DeviceId = DeviceId::new(1).unwrap();
const S1F1: StreamFunction = StreamFunction::new(1, 1);

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Passive equipment, SELECTED, with `open` primaries of its own written at moment 0, and linktests off.
fn selected(open: usize) -> Connection<4> {
    begun(Config::equipment(DEVICE).with_linktest_period(Duration::ZERO).unwrap(), open)
}

/// The same with these settings.
fn begun(config: Config, open: usize) -> Connection<4> {
    let mut machine = Connection::new(config);
    machine.enable(at(0)).unwrap();
    drain(&mut machine);
    machine.handle(at(0), Event::TransportOpen).unwrap();
    machine.receive(at(0), &Header::select_req(SystemBytes(1)).encode_alone()).unwrap();
    drain(&mut machine);
    machine.written(at(0), 14).unwrap();
    for _ in 0..open {
        machine.begin_primary(at(0), DEVICE, S1F1, true, 0).unwrap();
        machine.end_body(at(0)).unwrap();
        machine.written(at(0), 14).unwrap();
    }
    machine
}

/// The same with a text open and six answers waiting for its end.
fn jammed(open: usize) -> Connection<4> {
    let mut machine = selected(open);
    machine.begin_primary(at(1), DEVICE, S1F1, false, 1_000).unwrap();
    for system in 0..6 {
        machine.receive(at(1), &Header::linktest_req(SystemBytes(system)).encode_alone()).unwrap();
        assert_eq!(machine.poll_action(), None);
    }
    machine
}

fn closes(machine: &mut Connection<4>, reason: CloseReason) {
    assert_eq!(machine.poll_action(), Some(Action::CloseTransport(reason)));
}

#[test]
fn what_cannot_happen_is_refused_and_changes_nothing() {
    let before = jammed(0);
    for event in [Event::TransportOpen, Event::TransportFailed] {
        let mut machine = before.clone();
        let refused = machine.handle(at(9), event).unwrap_err();
        assert_eq!(refused, Error::UnexpectedEvent { event, state: before.state() });
        assert_eq!(machine, before);
    }
}

#[test]
fn a_transport_that_ends_is_told_as_that() {
    let mut machine = jammed(0);
    machine.handle(at(9), Event::TransportClosed).unwrap();
    closes(&mut machine, CloseReason::TransportClosed);
}

#[test]
fn the_application_can_always_end_the_connection() {
    type Command = fn(&mut Connection<4>, Instant) -> Result<(), Error>;
    let commands: [(Command, CloseReason); 3] = [
        (Connection::disable, CloseReason::Disabled),
        (Connection::separate, CloseReason::Separated),
        (Connection::abort_body, CloseReason::BodyAborted),
    ];
    for (command, reason) in commands {
        let mut machine = jammed(0);
        command(&mut machine, at(9)).unwrap();
        closes(&mut machine, reason);
    }
}

#[test]
fn enable_is_nothing_and_what_would_add_a_frame_names_the_text() {
    let before = jammed(0);
    let mut machine = before.clone();
    machine.enable(at(1)).unwrap();
    assert_eq!(machine.linktest(at(9)), Err(Error::BodyOpen));
    let about = Header::data(SystemBytes(9), S1F1, true, SessionId(1));
    assert_eq!(machine.report_error(at(9), Stream9::IllegalData, &about), Err(Error::BodyOpen));
    assert_eq!(machine, before);
}

#[test]
fn a_message_that_stops_in_the_middle_ends_the_connection_by_t8() {
    let mut machine = jammed(0);
    machine.end_body(at(2)).unwrap();
    drain(&mut machine);
    machine.begin_primary(at(2), DEVICE, S1F1, false, 1_000).unwrap();
    let header = Header::data(SystemBytes(9), S1F1, true, SessionId(1)).encode_prefix(100).unwrap();
    machine.receive(at(2), &header).unwrap();
    machine.handle(at(5_002), Event::Timeout).unwrap();
    closes(&mut machine, CloseReason::T8 { received: 14 });
}

#[test]
fn t3_waits_for_the_end_of_the_text_and_never_ends_the_link() {
    let mut machine = jammed(3);
    let late = at(46_000);
    assert_eq!(machine.next_deadline(), None, "nothing can be fired that needs room");
    machine.handle(late, Event::Timeout).unwrap();
    assert_eq!(machine.poll_action(), None);
    assert_eq!(machine.open_transactions(), 3);
    machine.end_body(late).unwrap();
    assert_eq!(drain(&mut machine).len(), 6);
    let mut ends = Vec::new();
    for _ in 0..3 {
        machine.handle(late, Event::Timeout).unwrap();
        ends.extend(drain(&mut machine).into_iter().filter_map(|action| match action {
            Action::Notify(Notice::TransactionEnded { system, end: TransactionEnd::T3 }) => Some(system),
            _ => None,
        }));
    }
    assert_eq!(ends, [SystemBytes(1), SystemBytes(2), SystemBytes(3)]);
    assert_eq!(machine.next_deadline(), None);
}

#[test]
fn a_linktest_behind_a_long_text_gets_more_time_from_the_piece_with_the_header_on_and_a_pause_counts_for_it_too() {
    let mut machine = selected(0);
    machine.linktest(at(10)).unwrap();
    drain(&mut machine);
    machine.written(at(10), 14).unwrap();
    // T6 is 5 s. The header comes with text shortly before it.
    let prefix = Header::data(SystemBytes(9), S1F1, true, SessionId(1)).encode_prefix(100).unwrap();
    let mut octets = prefix.to_vec();
    octets.extend([0; 30]);
    machine.receive(at(5_000), &octets).unwrap();
    assert_eq!(drain(&mut machine), []);
    machine.handle(at(5_010), Event::Timeout).unwrap();
    assert_eq!(drain(&mut machine), []);
    // A pause of a second moves the T6 that would have been to 6,010: before then, no leniency has been used.
    machine.pause_input(at(5_005)).unwrap();
    machine.resume_input(at(6_005)).unwrap();
    machine.receive(at(6_009), &[0; 30]).unwrap();
    assert_eq!(drain(&mut machine), []);
    machine.receive(at(6_010), &[0; 30]).unwrap();
    assert_eq!(drain(&mut machine), [Action::Notify(Notice::Lenient(Leniency::LinktestExtended))]);
}

#[test]
fn a_linktest_after_a_deselect_knows_nothing_of_the_one_before() {
    let mut machine = selected(0);
    let extended = |machine: &mut Connection<4>, start: u64| {
        machine.linktest(at(start)).unwrap();
        drain(machine);
        machine.written(at(start), 14).unwrap();
        let mut octets = Header::data(SystemBytes(9), S1F1, false, SessionId(1)).encode_prefix(2).unwrap().to_vec();
        octets.push(0);
        machine.receive(at(start + 1_000), &octets).unwrap();
        machine.receive(at(start + 2_000), &[0]).unwrap();
        drain(machine)
    };
    assert_eq!(extended(&mut machine, 10), []);
    machine.receive(at(3_000), &Header::deselect_req(SystemBytes(2)).encode_alone()).unwrap();
    machine.receive(at(3_000), &[]).unwrap();
    drain(&mut machine);
    machine.receive(at(3_000), &Header::select_req(SystemBytes(3)).encode_alone()).unwrap();
    drain(&mut machine);
    machine.written(at(3_000), 28).unwrap();
    assert_eq!(extended(&mut machine, 100_000), []);
}

#[test]
fn a_token_from_before_a_deselect_is_stale() {
    let mut machine = selected(0);
    let primary = Header::data(SystemBytes(9), S1F1, true, SessionId(1)).encode_alone();
    let token = machine.receive(at(5), &primary).unwrap().1.unwrap().reply_token().unwrap();
    machine.receive(at(5), &Header::deselect_req(SystemBytes(2)).encode_alone()).unwrap();
    drain(&mut machine);
    machine.receive(at(5), &Header::select_req(SystemBytes(3)).encode_alone()).unwrap();
    drain(&mut machine);
    assert_eq!(machine.begin_reply(at(5), &token, 0), Err(Error::StaleToken));
}

#[test]
fn a_farewell_leaves_no_trace_in_the_machine() {
    let mut machine = selected(0);
    machine.separate(at(5)).unwrap();
    drain(&mut machine);
    let mut other = machine.clone();
    // Whether the adapter tells of it or not.
    other.written(at(5), 14).unwrap();
    assert_eq!(machine, other);
}

/// Six frames are held, no more and no fewer; a seventh ends the link.
#[test]
fn the_seventh_frame_behind_a_text_ends_the_link() {
    for open in [0, 1] {
        let mut machine = jammed(open);
        let octets = Header::linktest_req(SystemBytes(9)).encode_alone();
        let (taken, inbound) = machine.receive(at(2), &octets).unwrap();
        assert_eq!((taken, inbound), (octets.len(), None));
        closes(&mut machine, CloseReason::OutputStalled);
    }
}

/// Transactions that are open while SELECTED are no ends to tell: they keep nothing from happening.
#[test]
fn open_transactions_do_not_keep_a_jammed_connection_from_ending() {
    let mut machine = jammed(3);
    machine.handle(at(9), Event::TransportClosed).unwrap();
    closes(&mut machine, CloseReason::TransportClosed);
    assert_eq!(drain(&mut machine)[..3], ends(1..=3));

    let mut machine = jammed(3);
    machine.abort_body(at(9)).unwrap();
    closes(&mut machine, CloseReason::BodyAborted);
    assert_eq!(jammed(3).linktest(at(9)), Err(Error::BodyOpen));
}

/// What is told of transactions that ended with their session.
fn ends(systems: impl IntoIterator<Item = u32>) -> Vec<Action> {
    let end = TransactionEnd::SessionEnded;
    systems
        .into_iter()
        .map(|system| Action::Notify(Notice::TransactionEnded { system: SystemBytes(system), end }))
        .collect()
}

/// A text is open, `open` transactions are, and the peer has deselected: all is polled but the ends of the transactions.
fn deselected(open: usize) -> Connection<4> {
    let mut machine = selected(open);
    machine.begin_primary(at(1), DEVICE, S1F1, false, 1_000).unwrap();
    machine.receive(at(1), &Header::deselect_req(SystemBytes(2)).encode_alone()).unwrap();
    assert_eq!(machine.poll_action(), Some(Action::Notify(Notice::Lenient(Leniency::Deselect))));
    assert_eq!(machine.poll_action(), Some(Action::Notify(Notice::Deselected)));
    machine
}

#[test]
fn nothing_happens_before_the_ends_of_a_deselected_session_are_told_although_its_answer_is_held() {
    let before = deselected(2);
    let octets = Header::linktest_req(SystemBytes(9)).encode_alone();
    let mut machine = before.clone();
    assert_eq!(machine.receive(at(9), &octets), Err(Error::ActionsPending));
    for event in [Event::TransportClosed, Event::TransportOpen] {
        assert_eq!(machine.handle(at(9), event), Err(Error::ActionsPending));
    }
    // T7 is due, and waits too; the deadline says that there is something to poll.
    assert_eq!(machine.next_deadline(), Some(at(1)));
    assert_eq!(machine.handle(at(1_000_000), Event::Timeout), Err(Error::ActionsPending));
    assert_eq!(machine.separate(at(9)), Err(Error::ActionsPending));
    assert_eq!(machine.abort_body(at(9)), Err(Error::ActionsPending));
    assert_eq!(machine, before);

    assert_eq!(drain(&mut machine), ends(1..=2));
    machine.receive(at(9), &octets).unwrap();
    assert_eq!(drain(&mut machine), [Action::Notify(Notice::Lenient(Leniency::LinktestNotSelected))]);
    machine.handle(at(9), Event::TransportClosed).unwrap();
    closes(&mut machine, CloseReason::TransportClosed);
    assert_eq!(drain(&mut machine), [Action::OpenTransport]);
}

#[test]
fn a_deselected_connection_whose_room_is_taken_by_held_frames_ends_as_a_selected_one_does() {
    let octets = Header::linktest_req(SystemBytes(9)).encode_alone();
    let mut before = deselected(0);
    for _ in 0..5 {
        before.receive(at(1), &octets).unwrap();
        assert_eq!(before.poll_action(), Some(Action::Notify(Notice::Lenient(Leniency::LinktestNotSelected))));
        assert_eq!(before.poll_action(), None);
    }
    let mut machine = before.clone();
    machine.receive(at(9), &octets).unwrap();
    closes(&mut machine, CloseReason::OutputStalled);
    let mut machine = before.clone();
    machine.handle(at(9), Event::TransportClosed).unwrap();
    closes(&mut machine, CloseReason::TransportClosed);
    let mut machine = before;
    machine.handle(at(1_000_000), Event::Timeout).unwrap();
    closes(&mut machine, CloseReason::T7);
}

/// One octet of a text can make an action: that a linktest is kept beyond its T6. Where even that has no room, the octet is
/// refused, and nothing is lost.
#[test]
fn a_text_waits_where_not_one_action_more_can_be_told() {
    let config = Config::equipment(DEVICE).with_linktest_period(Duration::ZERO).unwrap();
    let mut machine = begun(config.with_max_message(100).unwrap(), 1);
    machine.linktest(at(10)).unwrap();
    drain(&mut machine);
    machine.written(at(10), 14).unwrap();
    // Octets of a text shortly before T6 of the linktest (5 s) keep it open.
    let reply = Header::data(SystemBytes(7), S1F1, false, SessionId(1)).encode_prefix(20).unwrap();
    machine.receive(at(5_000), &reply).unwrap();
    machine.receive(at(5_000), &[0; 20]).unwrap();
    drain(&mut machine);
    // Five answers that nobody polls, and a reply of three actions: S9F11, the end, the direction bit.
    for system in 0..5 {
        machine.receive(at(5_500), &Header::linktest_req(SystemBytes(system)).encode_alone()).unwrap();
    }
    let reply =
        Header::data(SystemBytes(1), StreamFunction::new(1, 2), false, SessionId(0x8001)).encode_prefix(200).unwrap();
    let (taken, inbound) = machine.receive(at(5_500), &reply).unwrap();
    assert_eq!((taken, inbound.unwrap().class), (14, Class::TooLong));

    let before = machine.clone();
    assert_eq!(machine.receive(at(5_600), &[0; 50]), Err(Error::ActionsPending));
    assert_eq!(machine, before);
    let actions = drain(&mut machine);
    assert_eq!(actions.len(), 8);
    let end = TransactionEnd::ReplyTooLong { length: 210 };
    assert!(actions.contains(&Action::Notify(Notice::TransactionEnded { system: SystemBytes(1), end })));
    let (taken, _) = machine.receive(at(5_600), &[0; 50]).unwrap();
    assert_eq!(taken, 50);
    assert_eq!(drain(&mut machine), [Action::Notify(Notice::Lenient(Leniency::LinktestExtended))]);
}

/// The device id is looked at before anything else, whatever was asked before it was given up.
#[test]
fn a_too_long_reply_from_a_device_that_is_served_no_more_is_none() {
    let other = DeviceId::new(2).unwrap();
    for (device, end) in [(DEVICE, true), (other, false)] {
        let config = Config::equipment(DEVICE).with_linktest_period(Duration::ZERO).unwrap();
        let mut machine = begun(config.with_max_message(100).unwrap(), 1);
        machine.set_device_ids(DeviceIds::one(device));
        let reply = Header::data(SystemBytes(1), StreamFunction::new(1, 2), false, DEVICE.session());
        let prefix = reply.encode_prefix(200).unwrap();
        let (_, inbound) = machine.receive(at(10), &prefix).unwrap();
        assert_eq!(inbound.unwrap().class, Class::TooLong);
        let told = Action::Notify(Notice::TransactionEnded {
            system: SystemBytes(1),
            end: TransactionEnd::ReplyTooLong { length: 210 },
        });
        assert_eq!(drain(&mut machine).contains(&told), end);
        assert_eq!(machine.open_transactions(), usize::from(!end));
    }
}

#[test]
fn a_linktest_that_is_answered_at_its_own_t6_used_no_leniency_although_a_text_ended_when_it_began() {
    let mut machine = selected(0);
    machine.linktest(at(10)).unwrap();
    let Some(Action::Send(ControlFrame::Control(asked))) = machine.poll_action() else { panic!("no Linktest.req") };
    machine.written(at(10), 14).unwrap();
    let mut octets = Header::data(SystemBytes(9), S1F1, false, SessionId(1)).encode_prefix(2).unwrap().to_vec();
    octets.push(0);
    machine.receive(at(10), &octets).unwrap();
    machine.receive(at(10), &[0]).unwrap();
    // T6 is 5 s.
    machine.receive(at(5_010), &Header::linktest_rsp(asked.system).encode_alone()).unwrap();
    assert_eq!(drain(&mut machine), [Action::Notify(Notice::LinktestAnswered { system: asked.system })]);
}

#[test]
fn commands_are_taken_while_there_is_room_for_the_most_that_one_can_make() {
    let mut machine = selected(0);
    for waiting in 0..=6 {
        let asked = machine.clone().linktest(at(1)).map(drop);
        // Eight can wait, and an input makes three at most.
        assert_eq!(asked, if waiting <= 5 { Ok(()) } else { Err(Error::ActionsPending) }, "{waiting} actions wait");
        if waiting < 6 {
            machine.receive(at(1), &Header::linktest_req(SystemBytes(waiting)).encode_alone()).unwrap();
        }
    }
}
