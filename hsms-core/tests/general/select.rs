//! Select.req and Select.rsp (E37 7.2, E37.2 7.2).

use super::harness::*;
use crate::support::{PAUSE, T6, T7};
use hsms_core::Error;
use hsms_core::connection::{Admission, Class, CloseReason, ControlRequest, Event, SessionEnd, State};
use hsms_core::wire::{SelectStatus, SystemBytes};

#[test]
fn a_session_that_is_offered_is_selected_with_status_0() {
    for who in everyone() {
        let mut scene = Scene::connected(who, &[offered(A), offered(B)]);
        scene.is(State::NotSelected, Some(T7 - PAUSE), &[]);
        scene.takes(&select_req(B, 9), &[sent(select_rsp(B, 0, 9)), begun(B)]);
        scene.is(State::Selected, None, &[B]);
    }
}

#[test]
fn an_application_that_is_asked_answers_with_any_status() {
    for who in everyone() {
        for status in [0, 1, 2, 3, 4, 5, 6, 200] {
            let mut scene = Scene::connected(who, &[asking(A), offered(B)]);
            scene.takes(&select_req(A, 9), &[asked(A)]);
            scene.is(State::NotSelected, Some(T7 - PAUSE), &[]);
            scene.pass(PAUSE);
            let outs = [sent(select_rsp(A, status, 9)), begun(A)];
            let outs = if status == 0 { &outs[..] } else { &outs[..1] };
            scene.does(outs, |m, now| m.answer_select(now, id(A), SelectStatus(status)));
            match status {
                0 => scene.is(State::Selected, None, &[A]),
                _ => scene.is(State::NotSelected, Some(T7 - 2 * PAUSE), &[]),
            }
            scene.refuses(Error::NotAsked { session: id(A) }, |m, now| m.answer_select(now, id(A), SelectStatus(0)));
        }
    }
}

#[test]
fn a_session_that_is_refused_leaves_the_state_and_t7_alone_whatever_the_status() {
    for who in everyone() {
        for status in 1..=255 {
            let mut scene = Scene::connected(who, &[refusing(A, status), offered(B)]);
            scene.takes(&select_req(A, 9), &[sent(select_rsp(A, status, 9))]);
            scene.is(State::NotSelected, Some(T7 - PAUSE), &[]);
            scene.takes(&select_req(B, 10), &[sent(select_rsp(B, 0, 10)), begun(B)]);
            scene.takes(&select_req(A, 11), &[sent(select_rsp(A, status, 11))]);
            scene.is(State::Selected, None, &[B]);
        }
    }
}

#[test]
fn a_session_that_nobody_offers_is_answered_with_status_4() {
    for who in everyone() {
        for session in [NOBODY, 0xFFFF, B & 0x7FFF, A | 0x8000, C] {
            let mut scene = Scene::connected(who, &[offered(A), offered(B)]);
            scene.takes(&select_req(session, 9), &[sent(select_rsp(session, 4, 9))]);
            scene.is(State::NotSelected, Some(T7 - PAUSE), &[]);
        }
    }
}

#[test]
fn a_session_that_is_only_wanted_is_not_offered() {
    for who in everyone() {
        let mut scene = Scene::connected(who.on_command(), &[wanted(A)]);
        scene.takes(&select_req(A, 9), &[sent(select_rsp(A, 4, 9))]);
        scene.is(State::NotSelected, Some(T7 - PAUSE), &[]);
    }
}

#[test]
fn a_session_that_is_selected_here_is_answered_with_status_6_whoever_selected_it() {
    for who in everyone() {
        for admission in [Admission::Always, Admission::Ask, Admission::Refuse(SelectStatus::ENTITY_IN_USE)] {
            let mut scene = Scene::selected(who, &[A]);
            scene.machine.set_admission(id(A), admission).unwrap();
            scene.takes(&select_req(A, 9), &[sent(select_rsp(A, 6, 9))]);
            scene.is(State::Selected, None, &[A]);
        }
        let mut scene = Scene::connected(who.on_command(), &[wanted(A)]);
        scene.select(A, OURS);
        scene.takes(&select_rsp(A, 0, OURS), &[begun(A)]);
        scene.takes(&select_req(A, 9), &[sent(select_rsp(A, 6, 9))]);
        scene.is(State::Selected, None, &[A]);
    }
}

#[test]
fn a_second_select_req_while_the_application_deliberates_is_answered_with_status_2() {
    for who in everyone() {
        let mut scene = Scene::connected(who, &[asking(A), asking(B)]);
        scene.takes(&select_req(A, 9), &[asked(A)]);
        scene.takes(&select_req(A, 10), &[sent(select_rsp(A, 2, 10))]);
        scene.takes(&select_req(B, 11), &[asked(B)]);
        scene.does(&[sent(select_rsp(B, 5, 11))], |m, now| m.answer_select(now, id(B), SelectStatus(5)));
        let outs = [sent(select_rsp(A, 0, 9)), begun(A)];
        scene.does(&outs, |m, now| m.answer_select(now, id(A), SelectStatus(0)));
        scene.is(State::Selected, None, &[A]);
    }
}

#[test]
fn who_was_asked_over_a_connection_that_ended_has_nobody_to_answer() {
    let mut scene = Scene::connected(crate::support::passive(), &[asking(A)]);
    scene.takes(&select_req(A, 9), &[asked(A)]);
    scene.happens(Event::TransportClosed, &[Out::Close(CloseReason::TransportClosed), Out::Open]);
    scene.refuses(Error::NotAsked { session: id(A) }, |m, now| m.answer_select(now, id(A), SelectStatus(0)));
    scene.opens(&[]);
    scene.refuses(Error::NotAsked { session: id(A) }, |m, now| m.answer_select(now, id(A), SelectStatus(0)));
    scene.takes(&select_req(A, 10), &[asked(A)]);
}

#[test]
fn several_sessions_are_selected_beside_each_other_by_either_end() {
    for who in everyone() {
        let mut scene = Scene::connected(who, &[offered(A), offered(B), offered(C)]);
        scene.takes(&select_req(C, 9), &[sent(select_rsp(C, 0, 9)), begun(C)]);
        scene.is(State::Selected, None, &[C]);
        scene.select(A, OURS);
        scene.select(B, OURS + 1);
        scene.is(State::Selected, Some(T6), &[C]);
        scene.takes(&select_rsp(B, 0, OURS + 1), &[begun(B)]);
        scene.takes(&select_rsp(A, 0, OURS), &[begun(A)]);
        scene.is(State::Selected, None, &[A, B, C]);
    }
}

#[test]
fn our_select_ends_not_selected_with_status_0() {
    for who in everyone() {
        let mut scene = Scene::connected(who.on_command(), &[wanted(C)]);
        scene.select(C, OURS);
        scene.is(State::NotSelected, Some(T7 - PAUSE), &[]);
        assert!(scene.machine.is_open(SystemBytes(OURS)));
        scene.takes(&select_rsp(C, 0, OURS), &[begun(C)]);
        scene.is(State::Selected, None, &[C]);
        assert!(!scene.machine.is_open(SystemBytes(OURS)));
    }
}

#[test]
fn a_response_belongs_to_its_request_by_system_bytes_whatever_its_session_id() {
    for who in everyone() {
        for session in [0xFFFF, 0, B, NOBODY] {
            let mut scene = Scene::connected(who, &[offered(A), offered(B)]);
            scene.select(A, OURS);
            scene.takes(&select_rsp(session, 0, OURS), &[begun(A)]);
            scene.is(State::Selected, None, &[A]);
        }
    }
}

#[test]
fn our_select_that_is_refused_changes_nothing_and_can_be_repeated() {
    for who in everyone() {
        for status in 1..=255 {
            let mut scene = Scene::connected(who, &[offered(A), offered(B)]);
            scene.select(A, OURS);
            scene.takes(&select_rsp(A, status, OURS), &[select_refused(A, status)]);
            scene.is(State::NotSelected, Some(T7 - PAUSE), &[]);
            scene.is_selected_by_peer(B);
            scene.select(A, OURS + 1);
            scene.takes(&select_rsp(A, status, OURS + 1), &[select_refused(A, status)]);
            scene.is(State::Selected, None, &[B]);
        }
    }
}

#[test]
fn a_select_that_is_not_answered_within_t6_ends_the_connection() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[B]);
        scene.select(A, OURS);
        let close = Out::Close(CloseReason::T6(ControlRequest::Select));
        let outs = [close, Out::Open];
        scene.fires_in(T6, if who.is_active() { &outs[..1] } else { &outs });
        assert_eq!(scene.machine.selected_sessions().count(), 0);
    }
}

#[test]
fn t6_runs_for_each_select_by_itself() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[B]);
        scene.select(A, OURS);
        scene.pass(PAUSE);
        scene.select(C, OURS + 1);
        scene.is(State::Selected, Some(T6 - PAUSE), &[B]);
        let mut other = scene.clone();
        scene.takes(&select_rsp(A, 0, OURS), &[begun(A)]);
        scene.is(State::Selected, Some(T6), &[A, B]);
        other.takes(&select_rsp(C, 5, OURS + 1), &[select_refused(C, 5)]);
        other.is(State::Selected, Some(T6 - PAUSE), &[B]);
    }
}

#[test]
fn t6_of_a_select_counts_from_when_it_was_written() {
    let mut scene = Scene::selected(crate::support::active(), &[B]);
    let now = scene.now();
    scene.machine.select_session(now, id(A)).unwrap();
    assert!(scene.machine.poll_action().is_some());
    scene.is(State::Selected, None, &[B]);
    scene.pass(PAUSE);
    scene.does(&[], |m, now| m.written(now, 13));
    scene.is(State::Selected, None, &[B]);
    scene.does(&[], |m, now| m.written(now, 1));
    scene.is(State::Selected, Some(T6), &[B]);
    // A pause of the input holds it.
    scene.pass(PAUSE);
    scene.does(&[], Machine::pause_input);
    scene.is(State::Selected, None, &[B]);
    scene.pass(50 * T6);
    scene.does(&[], Machine::resume_input);
    scene.is(State::Selected, Some(T6 - PAUSE), &[B]);
}

#[test]
fn a_session_that_begins_while_input_is_paused_is_tested_a_period_after_the_resume() {
    const PERIOD: u64 = 30_000;
    for who in everyone() {
        let mut scene = Scene::connected(who.linktest(PERIOD, 1), &[asking(A)]);
        scene.takes(&select_req(A, 9), &[asked(A)]);
        scene.does(&[], Machine::pause_input);
        scene.pass(PAUSE);
        scene.does(&[sent(select_rsp(A, 0, 9)), begun(A)], |m, now| m.answer_select(now, id(A), SelectStatus(0)));
        scene.pass(PAUSE);
        scene.does(&[], Machine::resume_input);
        scene.is(State::Selected, Some(PERIOD), &[A]);
    }
}

#[test]
fn the_number_of_a_request_that_ended_with_its_connection_is_not_the_next_one() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[B]);
        scene.select(A, OURS);
        scene.machine.handle(scene.now(), Event::TransportClosed).unwrap();
        scene.drain();
        scene.machine.set_next_system_bytes(SystemBytes(OURS));
        assert_eq!(scene.machine.next_system_bytes(), SystemBytes(OURS + 1));
    }
}

#[test]
fn a_response_to_nothing_is_rejected_with_reason_3() {
    for who in everyone() {
        let mut scene = Scene::connected(who, &[offered(A)]);
        scene.receives(&select_rsp(A, 0, 0x77), rejected(3), &[sent(reject(A, 2, 3, 0x77))]);
        scene.is(State::NotSelected, Some(T7 - PAUSE), &[]);
        scene.select(A, OURS);
        scene.takes(&select_rsp(A, 0, OURS), &[begun(A)]);
        scene.receives(&select_rsp(A, 0, OURS), rejected(3), &[sent(reject(A, 2, 3, OURS))]);
        scene.is(State::Selected, None, &[A]);
    }
}

#[test]
fn a_response_of_another_type_is_rejected_and_the_request_stays_open() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[B]);
        scene.select(A, OURS);
        scene.receives(&deselect_rsp(A, 0, OURS), rejected(3), &[sent(reject(A, 4, 3, OURS))]);
        scene.receives(&linktest_rsp(OURS), rejected(3), &[sent(reject(0xFFFF, 6, 3, OURS))]);
        scene.is(State::Selected, Some(T6), &[B]);
        scene.takes(&select_rsp(A, 0, OURS), &[begun(A)]);
    }
}

#[test]
fn both_ends_may_select_the_same_session_at_once() {
    for who in everyone() {
        // Both have asked, so both accept: what else would be said about the session does not count (E37 7.2.3).
        for entity in [offered(A), wanted(A), asking(A), refusing(A, 5)] {
            for status in [0, 1, 6] {
                let mut scene = Scene::connected(who.on_command(), &[entity]);
                scene.select(A, OURS);
                scene.takes(&select_req(A, 9), &[sent(select_rsp(A, 0, 9)), begun(A)]);
                scene.is(State::Selected, Some(T6), &[A]);
                scene.takes(&select_rsp(A, status, OURS), &[]);
                scene.is(State::Selected, None, &[A]);
            }
        }
        let mut scene = Scene::connected(who, &[offered(A)]);
        scene.select(A, OURS);
        scene.takes(&select_rsp(A, 0, OURS), &[begun(A)]);
        scene.takes(&select_req(A, 9), &[sent(select_rsp(A, 6, 9))]);
        scene.is(State::Selected, None, &[A]);
    }
}

#[test]
fn status_1_or_6_without_a_session_is_a_refusal() {
    for who in everyone() {
        for status in [1, 6] {
            let mut scene = Scene::connected(who, &[offered(A)]);
            scene.select(A, OURS);
            scene.takes(&select_rsp(A, status, OURS), &[select_refused(A, status)]);
            scene.is(State::NotSelected, Some(T7 - PAUSE), &[]);
        }
    }
}

#[test]
fn a_session_that_ended_before_our_select_was_answered_does_not_come_back() {
    for who in everyone() {
        // We separate what the peer selected while our own Select.req was on its way.
        let mut scene = Scene::connected(who, &[offered(A)]);
        scene.select(A, OURS);
        scene.takes(&select_req(A, 9), &[sent(select_rsp(A, 0, 9)), begun(A)]);
        scene.separate(A, OURS + 1, &[]);
        scene.takes(&select_rsp(A, 0, OURS), &[]);
        scene.is(State::NotSelected, Some(T7), &[]);
        // The peer separates before it has our answer: it answered our Select.req before.
        let mut scene = Scene::connected(who, &[offered(A)]);
        scene.select(A, OURS);
        scene.takes(&select_req(A, 9), &[sent(select_rsp(A, 0, 9)), begun(A)]);
        scene.takes(&separate(A, 10), &[ended(A, SessionEnd::SeparateReceived)]);
        scene.takes(&select_rsp(A, 0, OURS), &[]);
        scene.is(State::NotSelected, Some(T7), &[]);
    }
}

#[test]
fn a_select_req_that_waits_for_the_application_is_answered_with_0_once_our_own_is() {
    for who in everyone() {
        let mut scene = Scene::connected(who, &[asking(A)]);
        scene.takes(&select_req(A, 9), &[asked(A)]);
        scene.select(A, OURS);
        let (outs, _) = scene.feed(&select_rsp(A, 0, OURS), 14);
        assert!(outs.contains(&sent(select_rsp(A, 0, 9))) && outs.contains(&begun(A)), "{outs:?}");
        assert_eq!(outs.len(), 3, "and nothing else: {outs:?}");
        scene.is(State::Selected, None, &[A]);
        scene.refuses(Error::NotAsked { session: id(A) }, |m, now| m.answer_select(now, id(A), SelectStatus(5)));
        // Where the peer refuses ours, the application still has to decide.
        let mut scene = Scene::connected(who, &[asking(A)]);
        scene.takes(&select_req(A, 9), &[asked(A)]);
        scene.select(A, OURS);
        scene.takes(&select_rsp(A, 5, OURS), &[select_refused(A, 5)]);
        let outs = [sent(select_rsp(A, 0, 9)), begun(A)];
        scene.does(&outs, |m, now| m.answer_select(now, id(A), SelectStatus(0)));
    }
}

#[test]
fn what_cannot_be_selected_is_refused() {
    for who in everyone() {
        let list = hsms_core::connection::General::new(&[offered(A), offered(B)]).unwrap();
        let mut scene = Scene::disabled(who, list);
        scene.refuses(Error::NotConnected, |m, now| m.select_session(now, id(A)));
        scene.does(&[Out::Open], Machine::enable);
        scene.refuses(Error::NotConnected, |m, now| m.select_session(now, id(A)));
        scene.opens(&[]);
        for session in [NOBODY, 0xFFFF] {
            let error = Error::UnknownSession { session: id(session) };
            scene.refuses(error, |m, now| m.select_session(now, id(session)));
            scene.refuses(error, |m, now| m.answer_select(now, id(session), SelectStatus(0)));
            scene.refuses(error, |m, _| m.set_admission(id(session), Admission::Always));
            scene.refuses(error, |m, _| m.set_busy(id(session), true));
        }
        scene.select(A, OURS);
        scene.refuses(Error::ControlOpen { system: SystemBytes(OURS) }, |m, now| m.select_session(now, id(A)));
        scene.takes(&select_rsp(A, 0, OURS), &[begun(A)]);
        scene.refuses(Error::SessionSelected { session: id(A) }, |m, now| m.select_session(now, id(A)));
        scene.refuses(Error::NotAsked { session: id(B) }, |m, now| m.answer_select(now, id(B), SelectStatus(0)));
    }
}

#[test]
fn an_admission_holds_from_when_it_is_set() {
    let mut scene = Scene::connected(crate::support::passive(), &[offered(A)]);
    scene.machine.set_admission(id(A), Admission::Refuse(SelectStatus::ENTITY_IN_USE)).unwrap();
    scene.takes(&select_req(A, 9), &[sent(select_rsp(A, 5, 9))]);
    scene.machine.set_admission(id(A), Admission::Ask).unwrap();
    scene.takes(&select_req(A, 10), &[asked(A)]);
    scene.does(&[sent(select_rsp(A, 3, 10))], |m, now| m.answer_select(now, id(A), SelectStatus(3)));
    scene.machine.set_admission(id(A), Admission::Always).unwrap();
    scene.takes(&select_req(A, 11), &[sent(select_rsp(A, 0, 11)), begun(A)]);
}

#[test]
fn a_select_req_with_text_is_no_select() {
    use hsms_core::connection::Leniency;
    use hsms_core::wire::SType;
    for who in everyone() {
        let octets = control_with(A, 0, 0, 1, 9, &[0x01, 0x00]);
        let (stype, body_len) = (SType::SELECT_REQ, 2);
        let mut scene = Scene::connected(who, &[offered(A)]);
        if who.0.profile() == hsms_core::config::Profile::Strict {
            let outs = [Out::Close(CloseReason::ControlText { stype, body_len }), Out::Open];
            scene.receives(&octets, Class::Fatal, if who.is_active() { &outs[..1] } else { &outs });
        } else {
            let lenient = told(hsms_core::connection::Notice::Lenient(Leniency::ControlText { stype, body_len }));
            scene.receives(&octets, rejected(1), &[sent(reject(A, 1, 1, 9)), lenient]);
            scene.is(State::NotSelected, Some(T7 - PAUSE), &[]);
        }
    }
}
