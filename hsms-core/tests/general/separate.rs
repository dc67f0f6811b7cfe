//! Separate.req per session, and NOT SELECTED with its T7 (E37 7.6, 9.2.2; E37.2 5.9, 7.6).

use super::harness::*;
use crate::support::{PAUSE, T7, Who};
use hsms_core::Error;
use hsms_core::connection::{CloseReason, SessionEnd, State};

fn closes(who: Who, reason: CloseReason) -> Vec<Out> {
    if who.is_active() { vec![Out::Close(reason)] } else { vec![Out::Close(reason), Out::Open] }
}

#[test]
fn our_separate_ends_one_session_at_once_and_the_connection_stays() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A, B, C]);
        scene.separate(B, OURS, &[]);
        scene.is(State::Selected, None, &[A, C]);
        scene.separate(A, OURS + 1, &[]);
        scene.separate(C, OURS + 2, &[]);
        scene.is(State::NotSelected, Some(T7), &[]);
    }
}

#[test]
fn the_peers_separate_ends_one_session_and_the_connection_stays() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A, B]);
        scene.takes(&separate(A, 9), &[ended(A, SessionEnd::SeparateReceived)]);
        scene.is(State::Selected, None, &[B]);
        scene.takes(&separate(B, 10), &[ended(B, SessionEnd::SeparateReceived)]);
        scene.is(State::NotSelected, Some(T7), &[]);
    }
}

#[test]
fn a_separate_for_a_session_that_is_not_selected_is_ignored() {
    for who in everyone() {
        for session in [B, NOBODY, 0xFFFF, A | 0x8000] {
            let mut scene = Scene::connected(who, &[offered(A), offered(B)]);
            scene.takes(&separate(session, 9), &[]);
            scene.is(State::NotSelected, Some(T7 - PAUSE), &[]);
            scene.is_selected_by_peer(A);
            scene.takes(&separate(session, 10), &[]);
            scene.is(State::Selected, None, &[A]);
        }
    }
}

#[test]
fn a_separate_while_our_select_is_open_is_ignored_and_the_select_goes_on() {
    for who in everyone() {
        let mut scene = Scene::connected(who, &[offered(A)]);
        scene.select(A, OURS);
        scene.takes(&separate(A, 9), &[]);
        scene.takes(&select_rsp(A, 0, OURS), &[begun(A)]);
        scene.is(State::Selected, None, &[A]);
    }
}

#[test]
fn what_cannot_be_separated_is_refused() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A]);
        let error = Error::SessionNotSelected { session: id(B) };
        scene.refuses(error, |m, now| m.separate_session(now, id(B)));
        let error = Error::UnknownSession { session: id(NOBODY) };
        scene.refuses(error, |m, now| m.separate_session(now, id(NOBODY)));
    }
}

#[test]
fn t7_ends_a_connection_that_is_never_selected() {
    for who in everyone() {
        let mut scene = Scene::connected(who, &[offered(A)]);
        scene.fires_in(T7 - PAUSE, &closes(who, CloseReason::T7));
    }
}

#[test]
fn t7_is_armed_anew_on_every_entry_to_not_selected() {
    for who in everyone() {
        for way in 0..4 {
            let mut scene = Scene::selected(who, &[A]);
            scene.pass(7 * T7);
            match way {
                0 => scene.separate(A, OURS, &[]),
                1 => scene.takes(&separate(A, 9), &[ended(A, SessionEnd::SeparateReceived)]),
                2 => {
                    let outs = [sent(deselect_rsp(A, 0, 9)), ended(A, SessionEnd::DeselectReceived)];
                    scene.takes(&deselect_req(A, 9), &outs);
                }
                _ => {
                    scene.deselect(A, OURS);
                    scene.takes(&deselect_rsp(A, 0, OURS), &[ended(A, SessionEnd::Deselected)]);
                }
            }
            scene.fires_in(T7, &closes(who, CloseReason::T7));
        }
    }
}

#[test]
fn t7_is_not_extended_by_traffic() {
    for who in everyone() {
        let mut scene = Scene::connected(who, &[offered(A), refusing(B, 2), asking(C)]);
        scene.pass(100);
        scene.takes(&linktest_req(9), &[sent(linktest_rsp(9))]);
        scene.pass(100);
        scene.receives(&data(A, 0x81, 1, 10), rejected(4), &[sent(reject(A, 0, 4, 10))]);
        scene.pass(100);
        scene.takes(&select_req(B, 11), &[sent(select_rsp(B, 2, 11))]);
        scene.pass(100);
        scene.takes(&select_req(C, 12), &[asked(C)]);
        scene.pass(100);
        scene.takes(&deselect_req(A, 13), &[sent(deselect_rsp(A, 1, 13))]);
        scene.pass(100);
        scene.takes(&separate(A, 14), &[]);
        scene.select(A, OURS);
        scene.takes(&select_rsp(A, 5, OURS), &[select_refused(A, 5)]);
        scene.does(&[sent(linktest_req(OURS + 1))], Machine::linktest);
        let told_of =
            told(hsms_core::connection::Notice::LinktestAnswered { system: hsms_core::wire::SystemBytes(OURS + 1) });
        scene.takes(&linktest_rsp(OURS + 1), &[told_of]);
        scene.fires_in(T7 - PAUSE - 600, &closes(who, CloseReason::T7));
    }
}

#[test]
fn t7_ends_the_connection_also_while_a_text_of_an_ended_session_is_open() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A]);
        let now = scene.now();
        let sf = hsms_core::wire::StreamFunction::new(1, 1);
        scene.machine.begin_primary_in(now, id(A), sf, false, 100).unwrap();
        scene.takes(&separate(A, 9), &[ended(A, SessionEnd::SeparateReceived)]);
        scene.fires_in(T7, &closes(who, CloseReason::T7));
    }
}
