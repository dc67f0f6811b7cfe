//! A list for a peer that may also speak HSMS-SS: the first Select.req decides, on every connection anew (E37.2, application
//! notes).

use super::harness::*;
use crate::support::{DEVICE, PAUSE, T7, Who, passive};
use hsms_core::Error;
use hsms_core::config::Profile;
use hsms_core::connection::{
    Class, CloseReason, Event, General, Leniency, Mode, Notice, SessionEnd, SessionEntity, State, Stray,
};
use hsms_core::wire::{StreamFunction, SystemBytes};

const S1F1: StreamFunction = StreamFunction::new(1, 1);

fn list() -> [SessionEntity; 2] {
    [offered(A), offered(B)]
}

fn profiles() -> [Who; 2] {
    [passive(), passive().strict()]
}

/// The peer has selected with 0xFFFF.
#[track_caller]
fn single(who: Who) -> Scene {
    let mut scene = Scene::undecided(who, &list());
    scene.takes(&select_req(0xFFFF, 9), &[sent(select_rsp(0xFFFF, 0, 9)), told(Notice::Selected)]);
    assert!(scene.machine.is_single());
    scene.is(State::Selected, None, &[]);
    scene
}

#[test]
fn a_first_select_with_ffff_makes_it_hsms_ss() {
    for who in profiles() {
        let mut scene = single(who);
        scene.receives(&data(1, 0x81, 1, 9), Class::Primary, &[]);
        let now = scene.now();
        let (system, prefix) = scene.machine.begin_primary(now, DEVICE, S1F1, true, 0).unwrap();
        assert_eq!(prefix.to_vec(), data(1, 0x81, 1, system.0));
        scene.machine.end_body(now).unwrap();
        scene.receives(&data(1, 1, 2, system.0), Class::Reply, &[]);
        let outs = [sent(separate(0xFFFF, OURS + 1)), Out::Close(CloseReason::Disabled)];
        scene.does(&outs, hsms_core::Connection::disable);
    }
}

#[test]
fn as_hsms_ss_device_ids_hold_and_sessions_do_not() {
    for who in profiles() {
        let mut scene = single(who);
        // Equipment: S9F1. Session A is no device id.
        let mhead = data(A, 0x81, 1, 9)[4..].to_vec();
        let s9f1 = data_with(1, 9, 1, OURS, &[vec![0x21, 0x0A], mhead].concat());
        scene.receives(&data(A, 0x81, 1, 9), Class::Stray(Stray::UnknownDevice), &[sent(s9f1)]);
        scene.refuses(Error::CannotSelect, |m, now| m.select_session(now, id(A)));
        scene.refuses(Error::SessionNotSelected { session: id(A) }, |m, now| m.deselect_session(now, id(A)));
        scene.refuses(Error::SessionNotSelected { session: id(A) }, |m, now| m.separate_session(now, id(A)));
        assert_eq!(scene.machine.sole_session(), Some(DEVICE.session()));
        for session in [A, 0x8001, 0xFFFF] {
            let error = Error::UnknownDevice { session: id(session) };
            scene.refuses(error, |m, now| m.begin_primary_in(now, id(session), S1F1, true, 0));
        }
        assert_eq!(scene.sends(1, 1, 1, false), OURS + 1);
    }
}

#[test]
fn as_hsms_ss_bit_15_is_cleared_by_the_default_profile_only() {
    let mut scene = single(passive());
    let lenient = told(Notice::Lenient(Leniency::DirectionBit(id(0x8001))));
    scene.receives(&data(0x8001, 0x81, 1, 9), Class::Primary, &[lenient]);
    let mut scene = single(passive().strict());
    let (outs, _) = scene.feed(&data(0x8001, 0x81, 1, 9), 14);
    assert_eq!(outs[0], Out::Got(Class::Stray(Stray::UnknownDevice)));
}

#[test]
fn as_hsms_ss_select_deselect_separate_and_linktest_are_those_of_hsms_ss() {
    for who in profiles() {
        let strict = who.0.profile() == Profile::Strict;
        let closed = |stype: u8| {
            let reason = CloseReason::UnexpectedMessage(hsms_core::wire::SType(stype));
            [Out::Close(reason), Out::Open]
        };
        let mut scene = single(who);
        if strict {
            scene.receives(&select_req(0xFFFF, 10), Class::Fatal, &closed(1));
        } else {
            scene.takes(&select_req(0xFFFF, 10), &[sent(select_rsp(0xFFFF, 1, 10))]);
            scene.takes(&select_req(A, 11), &[sent(select_rsp(A, 1, 11))]);
        }
        let mut scene = single(who);
        if strict {
            scene.receives(&deselect_req(0xFFFF, 10), Class::Fatal, &closed(3));
        } else {
            let lenient = told(Notice::Lenient(Leniency::Deselect));
            let outs = [sent(deselect_rsp(0xFFFF, 0, 10)), lenient, told(Notice::Deselected)];
            scene.takes(&deselect_req(0xFFFF, 10), &outs);
            scene.is(State::NotSelected, Some(T7), &[]);
        }
        let mut scene = single(who);
        scene.takes(&separate(0xFFFF, 10), &[Out::Close(CloseReason::SeparateReceived), Out::Open]);
        let mut scene = single(who);
        scene.does(&[sent(linktest_req(OURS))], hsms_core::Connection::linktest);
        scene.happens(Event::TransportClosed, &[Out::Close(CloseReason::TransportClosed), void(OURS), Out::Open]);
    }
}

#[test]
fn a_first_select_with_another_id_makes_it_hsms_gs() {
    for who in profiles() {
        for (session, status) in [(A, 0), (NOBODY, 4)] {
            let mut scene = Scene::undecided(who, &list());
            let outs = [sent(select_rsp(session, status, 9)), begun(session)];
            scene.takes(&select_req(session, 9), if status == 0 { &outs } else { &outs[..1] });
            assert!(!scene.machine.is_single());
            // From here on 0xFFFF is nobody's id.
            scene.takes(&select_req(0xFFFF, 10), &[sent(select_rsp(0xFFFF, 4, 10))]);
            assert!(!scene.machine.is_single());
            scene.is_selected_by_peer(B);
            scene.receives(&data(B, 0x81, 1, 11), Class::Primary, &[]);
        }
    }
}

#[test]
fn before_the_first_select_it_is_hsms_gs() {
    for who in profiles() {
        let mut scene = Scene::undecided(who, &list());
        assert!(!scene.machine.is_single());
        scene.takes(&linktest_req(9), &[sent(linktest_rsp(9))]);
        scene.takes(&separate(0xFFFF, 10), &[]);
        scene.takes(&deselect_req(0xFFFF, 11), &[sent(deselect_rsp(0xFFFF, 1, 11))]);
        scene.receives(&data(1, 0x81, 1, 12), rejected(4), &[sent(reject(1, 0, 4, 12))]);
        scene.is(State::NotSelected, Some(T7 - PAUSE), &[]);
        scene.takes(&select_req(0xFFFF, 13), &[sent(select_rsp(0xFFFF, 0, 13)), told(Notice::Selected)]);
        assert!(scene.machine.is_single());
    }
}

#[test]
fn it_is_decided_anew_on_every_connection() {
    for who in profiles() {
        let mut scene = single(who);
        let lost = [Out::Close(CloseReason::TransportClosed), Out::Open];
        scene.happens(Event::TransportClosed, &lost);
        assert!(!scene.machine.is_single(), "no connection, no choice");
        scene.opens(&[]);
        assert!(!scene.machine.is_single());
        scene.is_selected_by_peer(A);
        scene.takes(&select_req(0xFFFF, 10), &[sent(select_rsp(0xFFFF, 4, 10))]);
        scene.happens(Event::TransportClosed, &lost);
        scene.opens(&[]);
        scene.takes(&select_req(0xFFFF, 11), &[sent(select_rsp(0xFFFF, 0, 11)), told(Notice::Selected)]);
        assert!(scene.machine.is_single());
    }
}

#[test]
fn without_or_single_ffff_is_nobodys_id() {
    for who in everyone() {
        let mut scene = Scene::connected(who, &list());
        scene.takes(&select_req(0xFFFF, 9), &[sent(select_rsp(0xFFFF, 4, 9))]);
        assert!(!scene.machine.is_single());
        scene.is(State::NotSelected, Some(T7 - PAUSE), &[]);
    }
}

#[test]
fn a_session_that_we_selected_decides_for_hsms_gs() {
    for who in profiles() {
        let mut scene = Scene::undecided(who, &list());
        scene.select(A, OURS);
        scene.takes(&select_rsp(A, 0, OURS), &[begun(A)]);
        scene.takes(&select_req(0xFFFF, 9), &[sent(select_rsp(0xFFFF, 4, 9))]);
        assert!(!scene.machine.is_single());
        scene.is(State::Selected, None, &[A]);
        scene.receives(&data(A, 0x81, 1, 10), Class::Primary, &[]);
        // Also where it ended again.
        let mut scene = Scene::undecided(who, &list());
        scene.select(A, OURS);
        scene.takes(&select_rsp(A, 0, OURS), &[begun(A)]);
        scene.takes(&separate(A, 9), &[ended(A, SessionEnd::SeparateReceived)]);
        scene.takes(&select_req(0xFFFF, 10), &[sent(select_rsp(0xFFFF, 4, 10))]);
    }
}

/// Who sends a Select.req of HSMS-GS first has decided: the peer's with 0xFFFF then names nobody, and nothing of ours is lost.
#[test]
fn a_session_that_we_ask_for_first_decides_for_hsms_gs() {
    for who in profiles() {
        let mut scene = Scene::disabled(who, General::new(&[offered(A), wanted(B)]).unwrap().or_single());
        scene.opens(&[sent(select_req(B, OURS))]);
        scene.takes(&select_req(0xFFFF, 9), &[sent(select_rsp(0xFFFF, 4, 9))]);
        assert!(!scene.machine.is_single());
        scene.does(&[sent(linktest_req(OURS + 1))], hsms_core::Connection::linktest);
        scene.takes(&select_rsp(B, 0, OURS), &[begun(B)]);
        let answered = told(Notice::LinktestAnswered { system: SystemBytes(OURS + 1) });
        scene.takes(&linktest_rsp(OURS + 1), &[answered]);
        scene.is(State::Selected, None, &[B]);
        // On the next connection as well, where we ask first again.
        scene.happens(Event::TransportClosed, &[Out::Close(CloseReason::TransportClosed), Out::Open]);
        scene.opens(&[sent(select_req(B, OURS + 2))]);
        scene.is(State::NotSelected, Some(T7), &[]);
    }
}

#[test]
fn a_select_req_with_text_decides_nothing() {
    let mut scene = Scene::undecided(passive(), &list());
    let (outs, _) = scene.feed(&control_with(0xFFFF, 0, 0, 1, 9, &[0]), 15);
    assert!(outs.contains(&sent(reject(0xFFFF, 1, 1, 9))), "{outs:?}");
    assert!(!scene.machine.is_single());
    scene.takes(&select_req(0xFFFF, 10), &[sent(select_rsp(0xFFFF, 0, 10)), told(Notice::Selected)]);
}

#[test]
fn a_caller_beyond_those_that_are_served_is_refused_with_status_1_whatever_its_session() {
    for who in everyone() {
        for (sessions, session) in
            [(General::default(), A), (General::default().or_single(), A), (General::default().or_single(), 0xFFFF)]
        {
            let mut scene = Scene::disabled(who, General::default());
            scene.machine = Machine::general_refusing(who.0, sessions);
            scene.happens(Event::TransportOpen, &[]);
            scene.pass(PAUSE);
            scene.takes(
                &select_req(session, 9),
                &[sent(select_rsp(session, 1, 9)), Out::Close(CloseReason::CallerRefused)],
            );
            assert_eq!(scene.machine.state(), State::NotConnected);
            assert_eq!(scene.machine.selected_sessions().count(), 0);
        }
    }
}

#[test]
fn what_a_connection_begins_with_is_told_by_its_list() {
    let first = |sessions: General<20>| Scene::disabled(passive(), sessions).machine.first_mode();
    assert_eq!(first(General::new(&list()).unwrap()), Mode::General);
    assert_eq!(first(General::new(&list()).unwrap().or_single()), Mode::Undecided);
    assert_eq!(passive().disabled().connection.first_mode(), Mode::Single);
}

#[test]
fn the_sole_session_is_the_one_that_is_selected() {
    let sole = |sessions: &[u16]| Scene::selected(passive(), sessions).machine.sole_session();
    assert_eq!(sole(&[]), None);
    assert_eq!(sole(&[B]), Some(id(B)));
    assert_eq!(sole(&[A, B]), None);
}
