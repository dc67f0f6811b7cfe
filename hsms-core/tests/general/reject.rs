//! Reject.req, received and sent (E37 7.7; its session id: E37.2 8.1).

use super::harness::*;
use crate::support::{PAUSE, T6, T7};
use hsms_core::connection::{CloseReason, Leniency, Notice, SessionEnd, SessionRefusal, State, TransactionEnd};
use hsms_core::wire::{RejectReason, SystemBytes};

fn stray(scene: &mut Scene, octets: &[u8]) {
    let (outs, _) = scene.feed(octets, octets.len());
    let [Out::Got(_), Out::Tell(Notice::RejectReceived { header })] = &outs[..] else { panic!("{outs:?}") };
    assert_eq!(header.encode(), octets[4..14], "the header is told as it came");
}

#[test]
fn of_our_select_it_is_a_refusal_of_that_session() {
    for who in everyone() {
        for reason in [1, 2, 3, 4, 77, 255, 0] {
            let mut scene = Scene::connected(who, &[offered(A), offered(B)]);
            scene.is_selected_by_peer(B);
            scene.select(A, OURS);
            let offender = if reason == 2 { 0 } else { 1 };
            let refusal = SessionRefusal::SelectRejected(RejectReason(reason));
            scene.takes(&reject(A, offender, reason, OURS), &[refused(A, refusal)]);
            scene.is(State::Selected, None, &[B]);
            scene.select(A, OURS + 1);
        }
    }
}

#[test]
fn of_our_select_while_not_selected_it_leaves_the_connection_to_t7() {
    for who in everyone() {
        let mut scene = Scene::connected(who, &[offered(A)]);
        scene.select(A, OURS);
        let refusal = SessionRefusal::SelectRejected(RejectReason(1));
        scene.takes(&reject(0xFFFF, 1, 1, OURS), &[refused(A, refusal)]);
        scene.is(State::NotSelected, Some(T7 - PAUSE), &[]);
    }
}

#[test]
fn of_our_deselect_it_is_a_refusal_of_that_session() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A, B]);
        scene.deselect(B, OURS);
        let refusal = SessionRefusal::DeselectRejected(RejectReason(1));
        scene.takes(&reject(B, 3, 1, OURS), &[refused(B, refusal)]);
        scene.is(State::Selected, None, &[A, B]);
        // Where the session has ended meanwhile there is nothing to refuse.
        scene.deselect(B, OURS + 1);
        scene.takes(&separate(B, 9), &[ended(B, SessionEnd::SeparateReceived)]);
        scene.takes(&reject(B, 3, 1, OURS + 1), &[]);
        scene.is(State::Selected, None, &[A]);
    }
}

#[test]
fn of_our_linktest_it_is_an_answer() {
    for who in everyone() {
        let mut scene = Scene::connected(who, &[offered(A)]);
        scene.does(&[sent(linktest_req(OURS))], Machine::linktest);
        let answered = told(Notice::LinktestAnswered { system: SystemBytes(OURS) });
        scene.takes(&reject(0xFFFF, 5, 1, OURS), &[answered]);
        scene.is(State::NotSelected, Some(T7 - PAUSE), &[]);
    }
}

#[test]
fn of_our_data_it_ends_that_transaction_only() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A, B]);
        let (first, second) = (scene.sends(A, 1, 1, true), scene.sends(B, 1, 1, true));
        let end = TransactionEnd::Rejected(RejectReason(4));
        scene.takes(&reject(B, 0, 4, second), &[over(second, end)]);
        assert!(scene.machine.is_open(SystemBytes(first)));
        scene.is(State::Selected, Some(crate::support::T3), &[A, B]);
    }
}

#[test]
fn of_nothing_or_of_another_message_it_is_told_and_never_answered() {
    for who in everyone() {
        let mut scene = Scene::connected(who, &[offered(A)]);
        stray(&mut scene, &reject(A, 0, 4, 0x1234));
        stray(&mut scene, &reject(A, 7, 1, 0x1234));
        scene.is_selected_by_peer(A);
        scene.deselect(A, OURS);
        // The offending SType is none of what is open with these system bytes.
        stray(&mut scene, &reject(A, 1, 1, OURS));
        stray(&mut scene, &reject(A, 0, 4, OURS));
        scene.is(State::Selected, Some(T6), &[A]);
        // Of what is over.
        scene.takes(&deselect_rsp(A, 2, OURS), &[deselect_refused(A, 2)]);
        stray(&mut scene, &reject(A, 3, 1, OURS));
        scene.is(State::Selected, None, &[A]);
    }
}

#[test]
fn with_text_it_is_taken_by_the_default_profile_and_ends_the_connection_of_the_strict_one() {
    use hsms_core::wire::SType;
    for who in everyone() {
        let strict = who.0.profile() == hsms_core::config::Profile::Strict;
        for (len, fatal) in [(10, strict), (64, strict), (65, true)] {
            let mut scene = Scene::selected(who, &[A]);
            scene.deselect(A, OURS);
            let octets = control_with(A, 3, 1, 7, OURS, &vec![0; len]);
            let body_len = u32::try_from(len).unwrap();
            if fatal {
                let outs = [Out::Close(CloseReason::ControlText { stype: SType::REJECT_REQ, body_len }), Out::Open];
                let class = hsms_core::connection::Class::Fatal;
                scene.receives(&octets, class, if who.is_active() { &outs[..1] } else { &outs });
            } else {
                let (outs, _) = scene.feed(&octets, octets.len());
                let refusal = refused(A, SessionRefusal::DeselectRejected(RejectReason(1)));
                let lenient = told(Notice::Lenient(Leniency::RejectText { body_len }));
                assert!(outs.contains(&refusal) && outs.contains(&lenient) && outs.len() == 3, "{outs:?}");
                scene.is(State::Selected, None, &[A]);
            }
        }
    }
}

#[test]
fn unknown_types_are_rejected_with_the_session_of_the_message() {
    for who in everyone() {
        for session in [A, B, NOBODY, 0xFFFF] {
            let mut scene = Scene::connected(who, &[offered(A), offered(B)]);
            for selected in [false, true] {
                if selected {
                    scene.is_selected_by_peer(A);
                }
                for stype in [8, 10, 11, 127, 128, 255] {
                    let octets = control_with(session, 0, 0, stype, 9, &[]);
                    scene.receives(&octets, rejected(1), &[sent(reject(session, stype, 1, 9))]);
                }
                for unknown in [1, 127, 255] {
                    let octets = ptype(data(session, 0x81, 1, 9), unknown);
                    scene.receives(&octets, rejected(2), &[sent(reject(session, unknown, 2, 9))]);
                    let octets = ptype(select_req(session, 9), unknown);
                    scene.receives(&octets, rejected(2), &[sent(reject(session, unknown, 2, 9))]);
                }
            }
            scene.is(State::Selected, None, &[A]);
        }
    }
}
