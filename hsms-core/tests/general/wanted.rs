//! Sessions that are selected as soon as there is a connection, and lists.

use super::harness::*;
use crate::support::{PAUSE, T5, T6, T7};
use hsms_core::connection::{CloseReason, Connection, General, SessionsError, State};
use hsms_core::wire::SystemBytes;

#[test]
fn they_are_selected_on_every_connection_by_either_end() {
    for who in everyone() {
        let list = General::new(&[wanted(A), offered(B), wanted(C)]).unwrap();
        let mut scene = Scene::disabled(who, list);
        scene.opens(&[sent(select_req(A, OURS)), sent(select_req(C, OURS + 1))]);
        scene.is(State::NotSelected, Some(T7), &[]);
        scene.takes(&select_rsp(A, 0, OURS), &[begun(A)]);
        scene.is(State::Selected, Some(T6), &[A]);
        scene.takes(&select_rsp(C, 5, OURS + 1), &[select_refused(C, 5)]);
        scene.is(State::Selected, None, &[A]);
        scene.machine.handle(scene.now(), hsms_core::connection::Event::TransportClosed).unwrap();
        scene.drain();
        if who.is_active() {
            scene.fires_in(T5, &[Out::Open]);
        }
        scene.opens(&[sent(select_req(A, OURS + 2)), sent(select_req(C, OURS + 3))]);
    }
}

#[test]
fn they_are_left_to_the_application_where_it_selects_by_command() {
    for who in everyone() {
        let mut scene = Scene::connected(who.on_command(), &[wanted(A), wanted(B)]);
        scene.is(State::NotSelected, Some(T7 - PAUSE), &[]);
        scene.select(B, OURS);
    }
}

#[test]
fn t7_ends_a_connection_whose_selects_are_not_answered_in_time() {
    for who in everyone() {
        let mut scene = Scene::disabled(who, General::new(&[wanted(A)]).unwrap());
        scene.opens(&[sent(select_req(A, OURS))]);
        let outs = [Out::Close(CloseReason::T7), Out::Open];
        scene.fires_in(T7, if who.is_active() { &outs[..1] } else { &outs });
    }
}

#[test]
fn more_of_them_than_the_queue_is_long_all_go_out() {
    for who in everyone() {
        let list: Vec<_> = (0..20).map(wanted).collect();
        let mut scene = Scene::disabled(who, General::new(&list).unwrap());
        let outs: Vec<Out> = (0..20u16).map(|session| sent(select_req(session, OURS + u32::from(session)))).collect();
        scene.opens(&outs);
        for session in (0..20u16).rev() {
            scene.takes(&select_rsp(session, 0, OURS + u32::from(session)), &[begun(session)]);
        }
        scene.is_open_for_all();
    }
}

impl Scene {
    fn is_open_for_all(&self) {
        assert_eq!(self.machine.selected_sessions().count(), 20);
        assert_eq!((self.machine.state(), self.due_in()), (State::Selected, None));
    }
}

#[test]
fn twenty_commands_before_one_poll_all_go_out() {
    let list: Vec<_> = (0..20).map(offered).collect();
    let mut scene = Scene::connected(crate::support::active(), &list);
    let now = scene.now();
    for session in 0..20 {
        scene.machine.select_session(now, id(session)).unwrap();
        assert_eq!(scene.machine.next_deadline(), Some(now));
    }
    let outs: Vec<Out> = (0..20u16).map(|session| sent(select_req(session, OURS + u32::from(session)))).collect();
    assert_eq!(scene.drain(), outs);
    for session in 0..20u16 {
        scene.takes(&select_rsp(session, 0, OURS + u32::from(session)), &[begun(session)]);
    }
    for session in 0..20 {
        scene.machine.deselect_session(now, id(session)).unwrap();
    }
    let outs: Vec<Out> =
        (0..20u16).map(|session| sent(deselect_req(session, OURS + 20 + u32::from(session)))).collect();
    assert_eq!(scene.drain(), outs);
}

#[test]
fn system_bytes_differ_among_all_that_is_open() {
    let list: Vec<_> = (0..20).map(offered).collect();
    let mut scene = Scene::connected(crate::support::active(), &list);
    scene.select(0, OURS);
    scene.machine.set_next_system_bytes(SystemBytes(OURS));
    scene.select(1, OURS + 1);
    scene.machine.set_next_system_bytes(SystemBytes(OURS));
    assert_eq!(scene.machine.next_system_bytes(), SystemBytes(OURS + 2));
    scene.takes(&select_rsp(0, 0, OURS), &[begun(0)]);
    assert_eq!(scene.machine.next_system_bytes(), SystemBytes(OURS + 2), "the one that ended last is not used");
    assert_eq!(scene.sends(0, 1, 1, true), OURS + 2);
}

#[test]
fn lists_that_cannot_be_are_refused() {
    let session = id(A);
    assert_eq!(General::<4>::new(&[offered(A), wanted(A)]), Err(SessionsError::Repeated { session }));
    assert_eq!(General::<4>::new(&[offered(0xFFFF)]), Err(SessionsError::Reserved));
    let error = SessionsError::TooMany { given: 3, room: 2 };
    assert_eq!(General::<2>::new(&[offered(0), offered(1), offered(2)]), Err(error));
    assert!(General::<2>::new(&[offered(0), offered(C)]).is_ok());
}

#[test]
fn an_empty_list_refuses_every_session() {
    let mut machine = Connection::<4, General<0>>::general(crate::support::passive().0, General::new(&[]).unwrap());
    let now = hsms_core::time::Instant::EPOCH;
    machine.enable(now).unwrap();
    while machine.poll_action().is_some() {}
    machine.handle(now, hsms_core::connection::Event::TransportOpen).unwrap();
    machine.receive(now, &select_req(0, 9)).unwrap();
    let Some(hsms_core::connection::Action::Send(frame)) = machine.poll_action() else { panic!("no answer") };
    assert_eq!(frame.encode().to_vec(), select_rsp(0, 4, 9));
}
