//! Frames that wait: for the end of a text, or for the application to poll.

use super::harness::*;
use crate::support::{PAUSE, T6, T7};
use hsms_core::Error;
use hsms_core::connection::{CloseReason, SessionEnd, State};
use hsms_core::wire::{SelectStatus, StreamFunction};

const S1F1: StreamFunction = StreamFunction::new(1, 1);

/// A and B are selected, and a text of ours in session A is open.
#[track_caller]
fn writing(who: crate::support::Who) -> (Scene, u32) {
    let mut scene = Scene::selected(who, &[A, B]);
    let now = scene.now();
    let (system, _) = scene.machine.begin_primary_in(now, id(A), S1F1, true, 100).unwrap();
    (scene, system.0)
}

#[test]
fn requests_about_sessions_wait_for_the_end_of_a_text_and_t6_with_them() {
    for who in everyone() {
        let (mut scene, system) = writing(who);
        scene.does(&[], |m, now| m.select_session(now, id(C)));
        scene.does(&[], |m, now| m.deselect_session(now, id(B)));
        scene.is(State::Selected, None, &[A, B]);
        scene.pass(10 * T6);
        scene.happens(hsms_core::connection::Event::Timeout, &[]);
        // In no particular order.
        let now = scene.now();
        scene.machine.end_body(now).unwrap();
        assert_eq!(scene.machine.next_deadline(), Some(now));
        let mut outs = scene.drain();
        outs.sort_by_key(|out| format!("{out:?}"));
        let mut expected = [sent(select_req(C, system + 1)), sent(deselect_req(B, system + 2))];
        expected.sort_by_key(|out| format!("{out:?}"));
        assert_eq!(outs, expected);
    }
}

#[test]
fn an_answer_waits_for_the_end_of_a_text_and_data_does_not_overtake_it() {
    for who in everyone() {
        let (mut scene, _) = writing(who);
        scene.takes(&select_req(C, 9), &[begun(C)]);
        scene.is(State::Selected, None, &[A, B, C]);
        scene.refuses(Error::BodyOpen, |m, now| m.begin_primary_in(now, id(C), S1F1, true, 0));
        let now = scene.now();
        scene.machine.end_body(now).unwrap();
        scene.refuses(Error::ActionsPending, |m, now| m.begin_primary_in(now, id(C), S1F1, true, 0));
        assert_eq!(scene.drain(), [sent(select_rsp(C, 0, 9))]);
        scene.sends(C, 1, 1, false);
    }
}

#[test]
fn data_never_overtakes_the_select_rsp_in_front_of_it() {
    for who in everyone() {
        let mut scene = Scene::connected(who, &[offered(A), asking(B)]);
        let now = scene.now();
        scene.machine.receive(now, &select_req(A, 9)).unwrap();
        assert!(scene.machine.is_selected(id(A)));
        scene.refuses(Error::ActionsPending, |m, now| m.begin_primary_in(now, id(A), S1F1, true, 0));
        assert_eq!(scene.drain(), [sent(select_rsp(A, 0, 9)), begun(A)]);
        scene.takes(&select_req(B, 10), &[asked(B)]);
        scene.machine.answer_select(now, id(B), SelectStatus(0)).unwrap();
        scene.refuses(Error::ActionsPending, |m, now| m.begin_primary_in(now, id(A), S1F1, true, 0));
        assert_eq!(scene.drain(), [sent(select_rsp(B, 0, 10)), begun(B)]);
    }
}

#[test]
fn the_end_of_a_session_is_told_while_its_text_is_open() {
    for who in everyone() {
        let (mut scene, system) = writing(who);
        scene.takes(&separate(A, 9), &[ended(A, SessionEnd::SeparateReceived), void(system)]);
        scene.is(State::Selected, None, &[B]);
        scene.takes(&separate(B, 10), &[ended(B, SessionEnd::SeparateReceived)]);
        scene.is(State::NotSelected, Some(T7), &[]);
        scene.pass(PAUSE);
        scene.does(&[], |m, now| m.written(now, 114));
        scene.does(&[], hsms_core::Connection::end_body);
        scene.is(State::NotSelected, Some(T7 - PAUSE), &[]);
        scene.is_selected_by_peer(A);
    }
}

#[test]
fn our_separate_waits_for_the_end_of_a_text() {
    for who in everyone() {
        let (mut scene, system) = writing(who);
        scene.does(&[ended(B, SessionEnd::Separated)], |m, now| m.separate_session(now, id(B)));
        scene.is(State::Selected, None, &[A]);
        scene.does(&[sent(separate(B, system + 1))], hsms_core::Connection::end_body);
    }
}

#[test]
fn too_many_answers_behind_a_text_end_the_connection_and_commands_name_the_text() {
    for who in everyone() {
        let (mut scene, system) = writing(who);
        for round in 0..6 {
            scene.takes(&select_req(A, round), &[]);
        }
        scene.refuses(Error::BodyOpen, |m, now| m.separate_session(now, id(A)));
        // Those that need no place in the queue are taken.
        scene.does(&[], |m, now| m.select_session(now, id(C)));
        let mut released = scene.clone();
        let outs: Vec<Out> = (0..6).map(|round| sent(select_rsp(A, 6, round))).collect();
        let outs: Vec<Out> = outs.into_iter().chain([sent(select_req(C, system + 1))]).collect();
        released.does(&outs, hsms_core::Connection::end_body);
        // One more has no room.
        let now = scene.now();
        let octets = select_req(A, 7);
        let (taken, inbound) = scene.machine.receive(now, &octets).unwrap();
        assert_eq!((taken, inbound), (octets.len(), None));
        let outs = [Out::Close(CloseReason::OutputStalled), void(system), Out::Open];
        assert_eq!(scene.drain(), if who.is_active() { &outs[..2] } else { &outs });
    }
}

#[test]
fn an_answer_to_select_that_has_no_room_is_refused_and_kept() {
    for who in everyone() {
        let mut scene = Scene::connected(who, &[offered(A), asking(B)]);
        scene.is_selected_by_peer(A);
        scene.takes(&select_req(B, 8), &[asked(B)]);
        let now = scene.now();
        scene.machine.begin_primary_in(now, id(A), S1F1, false, 100).unwrap();
        for round in 0..6 {
            scene.takes(&linktest_req(round), &[]);
        }
        scene.refuses(Error::BodyOpen, |m, now| m.answer_select(now, id(B), SelectStatus(0)));
        scene.machine.end_body(now).unwrap();
        scene.refuses(Error::ActionsPending, |m, now| m.answer_select(now, id(B), SelectStatus(0)));
        assert_eq!(scene.drain().len(), 6);
        let outs = [sent(select_rsp(B, 0, 8)), begun(B)];
        scene.does(&outs, |m, now| m.answer_select(now, id(B), SelectStatus(0)));
    }
}

/// E37.2 7.4: Deselect.req is sent for a selected session only.
#[test]
fn a_deselect_that_was_not_sent_yet_is_not_sent_once_the_session_has_ended() {
    for who in everyone() {
        let (mut scene, system) = writing(who);
        scene.does(&[], |m, now| m.deselect_session(now, id(B)));
        scene.takes(&separate(B, 9), &[ended(B, SessionEnd::SeparateReceived)]);
        scene.does(&[], hsms_core::Connection::end_body);
        scene.is(State::Selected, None, &[A]);
        assert!(scene.machine.is_open(hsms_core::wire::SystemBytes(system)));
    }
}

#[test]
fn a_select_that_was_not_sent_yet_is_not_sent_once_the_peer_has_selected_the_session() {
    for who in everyone() {
        let (mut scene, _) = writing(who);
        scene.does(&[], |m, now| m.select_session(now, id(C)));
        scene.takes(&select_req(C, 9), &[begun(C)]);
        scene.does(&[sent(select_rsp(C, 0, 9))], hsms_core::Connection::end_body);
        scene.is(State::Selected, None, &[A, B, C]);
    }
}

#[test]
fn what_is_held_goes_with_the_connection() {
    for who in everyone() {
        let (mut scene, system) = writing(who);
        scene.does(&[], |m, now| m.select_session(now, id(C)));
        scene.takes(&select_req(A, 9), &[]);
        let outs = [Out::Close(CloseReason::BodyAborted), void(system), Out::Open];
        scene.does(if who.is_active() { &outs[..2] } else { &outs }, hsms_core::Connection::abort_body);
        assert_eq!(scene.machine.selected_sessions().count(), 0);
    }
}
