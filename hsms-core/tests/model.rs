//! What the feature `model` gives to model checkers: timers at will, relative time, renamed numbers.
#![cfg(feature = "model")]

use hsms_core::Error;
use hsms_core::config::{Config, DeviceId};
use hsms_core::connection::{
    Action, Class, CloseReason, Connection, ControlFrame, ControlRequest, Event, General, Notice, REBASED, ReplyToken,
    SessionEntity, Stray, Stream9, Timer, TransactionEnd,
};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};
use std::time::Duration;

const S1F1: StreamFunction = StreamFunction::new(1, 1);
const SESSION_T6: Timer = Timer::SessionT6(ControlRequest::Select);

fn device() -> DeviceId {
    DeviceId::new(1).unwrap()
}

fn drain(connection: &mut Connection<2>) -> Vec<Action> {
    std::iter::from_fn(|| connection.poll_action()).collect()
}

/// A passive end that is SELECTED at `now`, with one primary open and written.
fn waiting(now: Instant) -> (Connection<2>, SystemBytes) {
    let mut connection = Connection::<2>::new(Config::equipment(device()));
    connection.enable(now).unwrap();
    drain(&mut connection);
    connection.handle(now, Event::TransportOpen).unwrap();
    connection.receive(now, &Header::select_req(SystemBytes(0x70)).encode_alone()).unwrap();
    drain(&mut connection);
    let (system, _) = connection.begin_primary(now, device(), S1F1, true, 0).unwrap();
    connection.end_body(now).unwrap();
    connection.written(now, 28).unwrap();
    (connection, system)
}

/// It was enabled, had a transport, and was disabled, all at `now`.
fn opened_and_disabled(mut connection: Connection<2>, now: Instant) -> Connection<2> {
    connection.enable(now).unwrap();
    drain(&mut connection);
    connection.handle(now, Event::TransportOpen).unwrap();
    drain(&mut connection);
    connection.disable(now).unwrap();
    drain(&mut connection);
    connection
}

fn armed(connection: &Connection<2>) -> Vec<(Timer, Instant)> {
    let mut armed = Vec::new();
    connection.armed_timers(|timer, deadline| armed.push((timer, deadline)));
    armed
}

#[test]
fn a_timer_fires_at_will_whatever_the_others_say() {
    let now = Instant::from_millis(5);
    let (mut connection, system) = waiting(now);
    let after = |seconds| now.saturating_add(Duration::from_secs(seconds));
    assert_eq!(armed(&connection), [(Timer::Linktest, after(30)), (Timer::T3(system), after(45))]);

    let before = connection.clone();
    for idle in [Timer::T5, Timer::T6, Timer::T7, Timer::T8, Timer::T3(SystemBytes(99)), SESSION_T6] {
        connection.fire(idle).unwrap();
        assert_eq!(connection, before, "{idle:?} does not run");
    }
    // The linktest would be due first.
    connection.fire(Timer::T3(system)).unwrap();
    assert_eq!(connection.waiting_actions(), 2);
    let actions = drain(&mut connection);
    assert!(
        actions.contains(&Action::Notify(Notice::TransactionEnded { system, end: TransactionEnd::T3 })),
        "{actions:?}"
    );
    assert_eq!(armed(&connection), [(Timer::Linktest, after(30))]);

    let linktest = connection.next_system_bytes();
    connection.fire(Timer::Linktest).unwrap();
    drain(&mut connection);
    connection.written(now, 14 + 26).unwrap();
    assert_eq!(armed(&connection), [(Timer::T6, after(5))]);
    connection.fire(Timer::T6).unwrap();
    let close = Action::CloseTransport(CloseReason::T6(ControlRequest::Linktest));
    let ended = Notice::TransactionEnded { system: linktest, end: TransactionEnd::SessionEnded };
    assert_eq!(drain(&mut connection), [close, Action::Notify(ended), Action::OpenTransport]);
    assert_eq!(armed(&connection), []);
}

#[test]
fn a_timer_does_not_fire_before_the_actions_are_polled() {
    let (mut connection, system) = waiting(Instant::EPOCH);
    for linktest in 0..6 {
        connection.receive(Instant::EPOCH, &Header::linktest_req(SystemBytes(linktest)).encode_alone()).unwrap();
    }
    let before = connection.clone();
    assert_eq!(connection.fire(Timer::T3(system)), Err(Error::ActionsPending));
    assert_eq!(connection, before);
}

#[test]
fn a_timer_fires_where_frames_only_wait_for_the_end_of_a_text() {
    let now = Instant::EPOCH;
    let (mut connection, system) = waiting(now);
    connection.linktest(now).unwrap();
    drain(&mut connection);
    connection.written(now, 14).unwrap();
    connection.begin_primary(now, device(), S1F1, false, 100).unwrap();
    for linktest in 0x90..0x96 {
        connection.receive(now, &Header::linktest_req(SystemBytes(linktest)).encode_alone()).unwrap();
    }
    assert_eq!((connection.waiting_actions(), connection.poll_action()), (6, None));
    let before = connection.clone();
    connection.fire(Timer::T3(system)).unwrap();
    assert_eq!(connection, before, "T3 does not run where what it sends has no room");
    connection.fire(Timer::T6).unwrap();
    let close = Action::CloseTransport(CloseReason::T6(ControlRequest::Linktest));
    assert_eq!(connection.poll_action(), Some(close), "and T6 ends the link");
}

#[test]
fn machines_that_differ_in_the_hour_alone_are_equal_once_rebased() {
    let (mut early, system) = waiting(Instant::from_millis(7));
    let (mut late, _) = waiting(Instant::from_millis(1_000_000));
    assert_ne!(early, late);
    early.rebase(Instant::from_millis(7 + 20_000));
    late.rebase(Instant::from_millis(1_000_000 + 20_000));
    assert_eq!(early, late);
    let after = |seconds| REBASED.saturating_add(Duration::from_secs(seconds));
    assert_eq!(armed(&early), [(Timer::Linktest, after(10)), (Timer::T3(system), after(25))], "20 s have passed");
    assert_eq!(early.next_deadline(), Some(after(10)));
    early.rebase(REBASED);
    assert_eq!(early, late, "again, and nothing happens");
}

#[test]
fn restarted_timers_say_no_more_than_that_they_run() {
    let (mut early, system) = waiting(Instant::EPOCH);
    let (mut late, _) = waiting(Instant::from_millis(1_000_000));
    late.receive(Instant::from_millis(1_005_000), &Header::linktest_req(SystemBytes(3)).encode_alone()).unwrap();
    drain(&mut late);
    late.written(Instant::from_millis(1_005_000), 14).unwrap();
    early.restart_timers();
    late.restart_timers();
    assert_eq!(early, late);
    let after = |seconds| Instant::EPOCH.saturating_add(Duration::from_secs(seconds));
    assert_eq!(armed(&early), [(Timer::Linktest, after(30)), (Timer::T3(system), after(45))]);
}

#[test]
fn renamed_system_bytes_are_matched_by_their_new_names() {
    let now = Instant::EPOCH;
    let (mut connection, system) = waiting(now);
    let mut seen = Vec::new();
    connection.map_system_bytes(|system| {
        seen.push(system);
        SystemBytes(0x500)
    });
    assert_eq!(seen, [system]);
    connection.set_issued(0x4FE..0x501);
    assert_eq!((connection.issued(), connection.next_system_bytes()), (0x4FE..0x501, SystemBytes(0x501)));
    let mut class = |system| {
        let reply = Header::data(SystemBytes(system), StreamFunction::new(1, 2), false, device().session());
        connection.receive(now, &reply.encode_alone()).unwrap().1.unwrap().class
    };
    assert_eq!(class(0x4FD), Class::Stray(Stray::Orphan));
    assert_eq!(class(0x4FE), Class::Stray(Stray::Late));
    assert_eq!(class(0x500), Class::Reply);
    assert_eq!(class(0x500), Class::Stray(Stray::Late));
    assert_eq!(class(0x501), Class::Stray(Stray::Orphan));
}

#[test]
fn a_message_that_is_arriving_goes_on_under_its_new_name() {
    let now = Instant::EPOCH;
    let (mut connection, _) = waiting(now);
    let mut octets = Header::data(SystemBytes(0x80), S1F1, true, device().session()).encode_prefix(2).unwrap().to_vec();
    octets.push(1);
    connection.receive(now, &octets).unwrap();
    connection.map_system_bytes(|system| SystemBytes(system.0 + 0x500));
    let (_, inbound) = connection.receive(now, &[2]).unwrap();
    assert_eq!(inbound.unwrap().header().system, SystemBytes(0x580));
}

#[test]
fn frames_that_wait_to_be_polled_are_renamed_and_notices_are_not() {
    let now = Instant::EPOCH;
    let (mut connection, system) = waiting(now);
    let about = Header::data(SystemBytes(9), StreamFunction::new(6, 1), true, device().session());
    connection.receive(now, &about.encode_alone()).unwrap();
    connection.report_error(now, Stream9::UnrecognizedFunction, &about).unwrap();
    connection.receive(now, &Header::linktest_req(SystemBytes(7)).encode_alone()).unwrap();
    let reject = Header::reject_req(SystemBytes(8), 0, hsms_core::wire::RejectReason::ENTITY_NOT_SELECTED);
    connection.receive(now, &reject.encode_alone()).unwrap();
    let mut seen = Vec::new();
    connection.map_system_bytes(|old| {
        seen.push(old);
        SystemBytes(old.0 + 0x100)
    });
    // The transaction, the frame of stream 9 and what it is about, the answer.
    let stream_9 = SystemBytes(system.0 + 1);
    assert_eq!(seen, [system, stream_9, SystemBytes(9), SystemBytes(7)]);
    let actions = drain(&mut connection);
    let [Action::Send(ControlFrame::Stream9 { system, about, .. }), Action::Send(answer), Action::Notify(notice)] =
        &actions[..]
    else {
        panic!("{actions:?}");
    };
    assert_eq!((system.0, about.system.0), (stream_9.0 + 0x100, 0x109));
    assert_eq!(answer.header().system, SystemBytes(0x107));
    assert_eq!(*notice, Notice::RejectReceived { header: reject });
}

#[test]
fn requests_about_sessions_are_moved_and_renamed_as_others_are() {
    let session = SessionId(5);
    let open = |now: Instant| {
        let sessions = General::<2>::new(&[SessionEntity::wanted(session)]).unwrap();
        let mut connection = Connection::<2, _>::general(Config::host(device()), sessions);
        connection.enable(now).unwrap();
        while connection.poll_action().is_some() {}
        connection.handle(now, Event::TransportOpen).unwrap();
        let mut sent = Vec::new();
        while let Some(action) = connection.poll_action() {
            sent.push(action);
        }
        let [Action::Send(ControlFrame::Control(request))] = sent[..] else { panic!("{sent:?}") };
        assert_eq!(request, Header::select_req(request.system).with_session(session));
        (connection, request.system)
    };
    let armed = |connection: &Connection<2, General<2>>| {
        let mut armed = Vec::new();
        connection.armed_timers(|timer, deadline| armed.push((timer, deadline)));
        armed
    };
    let (mut early, system) = open(Instant::from_millis(7));
    let (mut late, _) = open(Instant::from_millis(1_000_000));
    // Not written yet, so that T6 does not run.
    early.rebase(Instant::from_millis(7));
    late.rebase(Instant::from_millis(1_000_000));
    assert_eq!(early, late);
    assert!(armed(&early).iter().all(|(timer, _)| *timer != SESSION_T6));
    early.written(REBASED, 14).unwrap();
    late.written(REBASED.saturating_add(Duration::from_secs(2)), 14).unwrap();
    let t6 = |after| (SESSION_T6, REBASED.saturating_add(Duration::from_secs(after)));
    assert!(armed(&early).contains(&t6(5)) && armed(&late).contains(&t6(7)), "{:?}", armed(&late));
    late.rebase(REBASED.saturating_add(Duration::from_secs(2)));
    assert!(armed(&late).contains(&t6(5)), "{:?}", armed(&late));
    early.restart_timers();
    late.restart_timers();
    assert_eq!(early, late);

    let mut seen = Vec::new();
    early.map_system_bytes(|old| {
        seen.push(old);
        SystemBytes(0x500)
    });
    assert_eq!(seen, [system]);
    early.set_issued(0x4FF..0x501);
    let answer = Header::select_rsp(SystemBytes(0x500)).with_session(session);
    early.receive(Instant::EPOCH, &answer.encode_alone()).unwrap();
    assert_eq!(early.poll_action(), Some(Action::Notify(Notice::SessionSelected { session })));
    late.fire(SESSION_T6).unwrap();
    assert_eq!(late.poll_action(), Some(Action::CloseTransport(CloseReason::T6(ControlRequest::Select))));
}

#[test]
fn a_renamed_connection_takes_the_tokens_that_were_renamed_with_it() {
    let now = Instant::EPOCH;
    let (mut connection, _) = waiting(now);
    let primary = Header::data(SystemBytes(9), S1F1, true, device().session());
    let octets = primary.encode_alone();
    let (_, inbound) = connection.receive(now, &octets).unwrap();
    let token: ReplyToken = inbound.unwrap().reply_token().unwrap();
    assert!(connection.is_current_token(&token));
    connection.map_links(|link| link + 6);
    assert!(!connection.is_current_token(&token));
    assert_eq!(connection.begin_reply(now, &token, 0), Err(Error::StaleToken));
    let renamed = token.renamed(token.link() + 6, SystemBytes(8));
    assert_eq!(renamed.link(), token.link() + 6);
    assert!(connection.is_current_token(&renamed));
    let prefix = connection.begin_reply(now, &renamed, 0).unwrap();
    assert_eq!(prefix[10..], [0, 0, 0, 8]);
}

#[test]
fn what_is_never_looked_at_again_is_cleared() {
    let mut fresh = Connection::<2>::new(Config::host(device()));
    fresh.set_issued(5..5);
    let now = Instant::EPOCH;
    let mut ended = opened_and_disabled(fresh.clone(), now);
    // T5 outlives the link, and then it does not.
    ended.rebase(now.saturating_add(Duration::from_secs(10)));
    ended.clear_unused();
    ended.restart_timers();
    ended.set_issued(5..5);
    ended.map_links(|_| 0);
    assert_eq!(ended, fresh);
}

#[test]
fn t5_that_runs_is_not_cleared() {
    let now = Instant::EPOCH;
    let mut ended = opened_and_disabled(Connection::new(Config::host(device())), now);
    ended.clear_unused();
    ended.enable(now).unwrap();
    assert_eq!(armed(&ended), [(Timer::T5, now.saturating_add(Duration::from_secs(10)))]);
}

#[test]
fn numbers_that_were_issued_are_cleared_with_their_connection_and_not_before() {
    let now = Instant::EPOCH;
    let (mut connection, system) = waiting(now);
    connection.clear_unused();
    assert_eq!(connection.issued(), system.0..system.0 + 1);
    connection.disable(now).unwrap();
    drain(&mut connection);
    connection.clear_unused();
    assert!(connection.issued().is_empty(), "{:?}", connection.issued());
}

#[test]
fn a_session_that_is_selected_keeps_its_number_and_one_that_is_not_has_none() {
    let (now, session) = (Instant::EPOCH, SessionId(5));
    let sessions = General::<2>::new(&[SessionEntity::offered(session)]).unwrap();
    let mut connection = Connection::<2, _>::general(Config::equipment(device()), sessions);
    connection.enable(now).unwrap();
    while connection.poll_action().is_some() {}
    connection.handle(now, Event::TransportOpen).unwrap();
    let select = Header::select_req(SystemBytes(1)).with_session(session);
    connection.receive(now, &select.encode_alone()).unwrap();
    while connection.poll_action().is_some() {}
    let primary = Header::data(SystemBytes(9), S1F1, true, session).encode_alone();
    let token = connection.receive(now, &primary).unwrap().1.unwrap().reply_token().unwrap();
    connection.clear_unused();
    assert!(connection.is_current_token(&token));
    let mut other = connection.clone();
    other.receive(now, &Header::separate_req(SystemBytes(2)).with_session(session).encode_alone()).unwrap();
    while other.poll_action().is_some() {}
    other.clear_unused();
    let mut serials = Vec::new();
    other.map_links(|link| {
        serials.push(link);
        link
    });
    assert_eq!(serials.last(), Some(&0), "{serials:?}");
}
