//! Deselect.req and Deselect.rsp (E37 7.4, E37.2 7.4).

use super::harness::*;
use crate::support::{PAUSE, T6, T7};
use hsms_core::Error;
use hsms_core::connection::{CloseReason, ControlRequest, SessionEnd, State};
use hsms_core::wire::SystemBytes;

#[test]
fn a_session_is_deselected_with_status_0_and_the_others_go_on() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A, B]);
        let outs =
            |session, system| [sent(deselect_rsp(session, 0, system)), ended(session, SessionEnd::DeselectReceived)];
        scene.takes(&deselect_req(A, 9), &outs(A, 9));
        scene.is(State::Selected, None, &[B]);
        scene.takes(&deselect_req(B, 10), &outs(B, 10));
        scene.is(State::NotSelected, Some(T7), &[]);
    }
}

#[test]
fn a_session_that_is_not_selected_is_answered_with_status_1() {
    for who in everyone() {
        for session in [B, NOBODY, 0xFFFF, A | 0x8000] {
            let mut scene = Scene::connected(who, &[offered(A), offered(B)]);
            scene.takes(&deselect_req(session, 9), &[sent(deselect_rsp(session, 1, 9))]);
            scene.is(State::NotSelected, Some(T7 - PAUSE), &[]);
            scene.is_selected_by_peer(A);
            scene.takes(&deselect_req(session, 10), &[sent(deselect_rsp(session, 1, 10))]);
            scene.is(State::Selected, None, &[A]);
        }
    }
}

#[test]
fn a_session_that_is_in_use_is_answered_with_status_2() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A, B]);
        scene.machine.set_busy(id(A), true).unwrap();
        scene.takes(&deselect_req(A, 9), &[sent(deselect_rsp(A, 2, 9))]);
        scene.is(State::Selected, None, &[A, B]);
        scene.machine.set_busy(id(A), false).unwrap();
        let outs = [sent(deselect_rsp(A, 0, 10)), ended(A, SessionEnd::DeselectReceived)];
        scene.takes(&deselect_req(A, 10), &outs);
        // Separate.req does not ask.
        scene.machine.set_busy(id(B), true).unwrap();
        scene.takes(&separate(B, 11), &[ended(B, SessionEnd::SeparateReceived)]);
    }
}

#[test]
fn our_deselect_ends_the_session_with_status_0() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A, C]);
        scene.deselect(C, OURS);
        scene.is(State::Selected, Some(T6), &[A, C]);
        scene.takes(&deselect_rsp(C, 0, OURS), &[ended(C, SessionEnd::Deselected)]);
        scene.is(State::Selected, None, &[A]);
        scene.deselect(A, OURS + 1);
        scene.takes(&deselect_rsp(0xFFFF, 0, OURS + 1), &[ended(A, SessionEnd::Deselected)]);
        scene.is(State::NotSelected, Some(T7), &[]);
    }
}

#[test]
fn our_deselect_that_is_refused_changes_nothing() {
    for who in everyone() {
        for status in 1..=255 {
            let mut scene = Scene::selected(who, &[A]);
            scene.deselect(A, OURS);
            scene.takes(&deselect_rsp(A, status, OURS), &[deselect_refused(A, status)]);
            scene.is(State::Selected, None, &[A]);
            scene.deselect(A, OURS + 1);
        }
    }
}

#[test]
fn a_deselect_that_is_not_answered_within_t6_ends_the_connection() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A, B]);
        scene.deselect(A, OURS);
        let outs = [Out::Close(CloseReason::T6(ControlRequest::Deselect)), Out::Open];
        scene.fires_in(T6, if who.is_active() { &outs[..1] } else { &outs });
        assert_eq!(scene.machine.selected_sessions().count(), 0);
    }
}

#[test]
fn both_ends_may_deselect_the_same_session_at_once() {
    for who in everyone() {
        for status in [0, 1, 2] {
            for busy in [false, true] {
                let mut scene = Scene::selected(who, &[A, B]);
                scene.machine.set_busy(id(A), busy).unwrap();
                scene.deselect(A, OURS);
                let outs = [sent(deselect_rsp(A, 0, 9)), ended(A, SessionEnd::DeselectReceived)];
                scene.takes(&deselect_req(A, 9), &outs);
                scene.is(State::Selected, Some(T6), &[B]);
                scene.takes(&deselect_rsp(A, status, OURS), &[]);
                scene.is(State::Selected, None, &[B]);
            }
        }
    }
}

#[test]
fn a_deselect_response_to_nothing_is_rejected_with_reason_3() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A]);
        scene.receives(&deselect_rsp(A, 0, 0x77), rejected(3), &[sent(reject(A, 4, 3, 0x77))]);
        scene.deselect(A, OURS);
        scene.receives(&select_rsp(A, 0, OURS), rejected(3), &[sent(reject(A, 2, 3, OURS))]);
        scene.is(State::Selected, Some(T6), &[A]);
        scene.takes(&deselect_rsp(A, 0, OURS), &[ended(A, SessionEnd::Deselected)]);
        scene.receives(&deselect_rsp(A, 0, OURS), rejected(3), &[sent(reject(A, 4, 3, OURS))]);
    }
}

#[test]
fn what_cannot_be_deselected_is_refused() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A]);
        let error = Error::SessionNotSelected { session: id(B) };
        scene.refuses(error, |m, now| m.deselect_session(now, id(B)));
        let error = Error::UnknownSession { session: id(NOBODY) };
        scene.refuses(error, |m, now| m.deselect_session(now, id(NOBODY)));
        scene.deselect(A, OURS);
        let error = Error::ControlOpen { system: SystemBytes(OURS) };
        scene.refuses(error, |m, now| m.deselect_session(now, id(A)));
        scene.takes(&deselect_rsp(A, 0, OURS), &[ended(A, SessionEnd::Deselected)]);
        let error = Error::SessionNotSelected { session: id(A) };
        scene.refuses(error, |m, now| m.deselect_session(now, id(A)));
    }
}

#[test]
fn busy_does_not_outlive_the_session_nor_the_connection() {
    let mut scene = Scene::selected(crate::support::passive(), &[A]);
    scene.machine.set_busy(id(A), true).unwrap();
    scene.does(&[sent(separate(A, OURS)), Out::Close(CloseReason::Separated), Out::Open], Machine::separate);
    scene.opens(&[]);
    scene.is_selected_by_peer(A);
    scene.takes(&deselect_req(A, 9), &[sent(deselect_rsp(A, 0, 9)), ended(A, SessionEnd::DeselectReceived)]);
}

#[test]
fn a_session_that_the_peer_ended_meanwhile_is_over_whatever_it_answers() {
    for who in everyone() {
        for status in [0, 1, 2] {
            let mut scene = Scene::selected(who, &[A]);
            scene.deselect(A, OURS);
            scene.takes(&separate(A, 9), &[ended(A, SessionEnd::SeparateReceived)]);
            scene.is(State::NotSelected, Some(T7), &[]);
            scene.takes(&deselect_rsp(A, status, OURS), &[]);
            scene.is(State::NotSelected, Some(T7), &[]);
        }
    }
}

#[test]
fn a_session_can_be_selected_again_after_it_was_deselected() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A]);
        for round in 0..50 {
            let system = OURS + 2 * round;
            scene.deselect(A, system);
            scene.takes(&deselect_rsp(A, 0, system), &[ended(A, SessionEnd::Deselected)]);
            scene.is(State::NotSelected, Some(T7), &[]);
            scene.pass(PAUSE);
            scene.select(A, system + 1);
            scene.takes(&select_rsp(A, 0, system + 1), &[begun(A)]);
            scene.is(State::Selected, None, &[A]);
        }
    }
}

#[test]
fn a_session_that_we_separated_meanwhile_is_over_whatever_the_peer_answers() {
    for who in everyone() {
        for status in [0, 1, 2] {
            let mut scene = Scene::selected(who, &[A, B]);
            scene.deselect(A, OURS);
            scene.separate(A, OURS + 1, &[]);
            // Until it is answered nothing else is asked of the session, and T6 goes on.
            let error = Error::ControlOpen { system: SystemBytes(OURS) };
            scene.refuses(error, |m, now| m.select_session(now, id(A)));
            scene.is(State::Selected, Some(T6), &[B]);
            // The peer may even have selected it again.
            scene.is_selected_by_peer(A);
            scene.takes(&deselect_rsp(A, status, OURS), &[]);
            scene.is(State::Selected, None, &[A, B]);
        }
    }
}
