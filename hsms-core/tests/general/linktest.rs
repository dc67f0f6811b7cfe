//! Linktest, which in HSMS-GS belongs to the connection (E37 7.5).

use super::harness::*;
use crate::support::{PAUSE, T6, T7};
use hsms_core::Error;
use hsms_core::connection::{CloseReason, ControlRequest, Notice, SessionEnd, State};
use hsms_core::wire::SystemBytes;

fn answered(system: u32) -> Out {
    told(Notice::LinktestAnswered { system: SystemBytes(system) })
}

#[test]
fn a_linktest_is_answered_whatever_the_state() {
    for who in everyone() {
        let mut scene = Scene::connected(who, &[offered(A)]);
        scene.takes(&linktest_req(9), &[sent(linktest_rsp(9))]);
        scene.is(State::NotSelected, Some(T7 - PAUSE), &[]);
        scene.is_selected_by_peer(A);
        scene.takes(&linktest_req(10), &[sent(linktest_rsp(10))]);
        scene.is(State::Selected, None, &[A]);
    }
}

#[test]
fn ours_is_sent_and_answered_whatever_the_state() {
    for who in everyone() {
        let mut scene = Scene::connected(who, &[offered(A)]);
        let seen = scene.does(&[sent(linktest_req(OURS))], Machine::linktest);
        assert_eq!(seen, SystemBytes(OURS));
        scene.takes(&linktest_rsp(OURS), &[answered(OURS)]);
        scene.is(State::NotSelected, Some(T7 - PAUSE), &[]);
        scene.is_selected_by_peer(A);
        scene.does(&[sent(linktest_req(OURS + 1))], Machine::linktest);
        scene.is(State::Selected, Some(T6), &[A]);
        scene.takes(&linktest_rsp(OURS + 1), &[answered(OURS + 1)]);
        scene.is(State::Selected, None, &[A]);
    }
}

#[test]
fn one_that_is_open_while_the_last_session_ends_is_still_answered() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A]);
        scene.does(&[sent(linktest_req(OURS))], Machine::linktest);
        scene.takes(&separate(A, 9), &[ended(A, SessionEnd::SeparateReceived)]);
        scene.is(State::NotSelected, Some(T7), &[]);
        assert!(scene.machine.is_open(SystemBytes(OURS)));
        scene.takes(&linktest_rsp(OURS), &[answered(OURS)]);
        scene.is(State::NotSelected, Some(T7), &[]);
        scene.receives(&linktest_rsp(OURS), rejected(3), &[sent(reject(0xFFFF, 6, 3, OURS))]);
    }
}

#[test]
fn one_that_is_open_while_a_session_begins_is_still_answered() {
    for who in everyone() {
        let mut scene = Scene::connected(who, &[offered(A)]);
        scene.does(&[sent(linktest_req(OURS))], Machine::linktest);
        scene.is_selected_by_peer(A);
        scene.is(State::Selected, Some(T6), &[A]);
        scene.takes(&linktest_rsp(OURS), &[answered(OURS)]);
        scene.is(State::Selected, None, &[A]);
    }
}

#[test]
fn one_that_is_not_answered_within_t6_ends_the_connection() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A]);
        let system = scene.does(&[sent(linktest_req(OURS))], Machine::linktest);
        let outs = [Out::Close(CloseReason::T6(ControlRequest::Linktest)), void(system.0), Out::Open];
        scene.fires_in(T6, if who.is_active() { &outs[..2] } else { &outs });
        // While NOT SELECTED as well, where T7 does not come first.
        let mut scene = Scene::selected(who, &[A]);
        scene.does(&[sent(linktest_req(OURS))], Machine::linktest);
        scene.pass(T6 - T7 + 1);
        scene.takes(&separate(A, 9), &[ended(A, SessionEnd::SeparateReceived)]);
        scene.fires_in(T7 - 1, if who.is_active() { &outs[..2] } else { &outs });
    }
}

#[test]
fn it_runs_beside_selects_and_deselects() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A]);
        scene.select(B, OURS);
        scene.deselect(A, OURS + 1);
        scene.does(&[sent(linktest_req(OURS + 2))], Machine::linktest);
        scene.takes(&linktest_rsp(OURS + 2), &[answered(OURS + 2)]);
        scene.takes(&select_rsp(B, 0, OURS), &[begun(B)]);
        scene.takes(&deselect_rsp(A, 0, OURS + 1), &[ended(A, SessionEnd::Deselected)]);
        scene.is(State::Selected, None, &[B]);
    }
}

#[test]
fn it_is_sent_by_itself_while_selected_only() {
    for who in everyone() {
        let who = who.linktest(2_000, 1);
        let mut scene = Scene::connected(who, &[offered(A)]);
        scene.is(State::NotSelected, Some(T7 - PAUSE), &[]);
        scene.is_selected_by_peer(A);
        scene.fires_in(2_000, &[sent(linktest_req(OURS))]);
        scene.takes(&linktest_rsp(OURS), &[answered(OURS)]);
        scene.is(State::Selected, Some(2_000), &[A]);
        scene.takes(&separate(A, 9), &[ended(A, SessionEnd::SeparateReceived)]);
        scene.is(State::NotSelected, Some(T7), &[]);
    }
}

#[test]
fn without_a_connection_it_is_refused() {
    let list = hsms_core::connection::General::new(&[offered(A)]).unwrap();
    let mut scene = Scene::disabled(crate::support::passive(), list);
    scene.refuses(Error::NotSelected, Machine::linktest);
    scene.does(&[Out::Open], Machine::enable);
    scene.refuses(Error::NotSelected, Machine::linktest);
}
