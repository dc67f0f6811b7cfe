//! The end of the connection: it ends all sessions and transactions, and says farewell where it is our own will (E37.2 5.9).

use super::harness::*;
use crate::support::{T5, T7, Who};
use hsms_core::connection::{CloseReason, Event, State};
use hsms_core::wire::StreamFunction;

/// Behind the close: the passive side listens again, the active one dials after T5.
fn again(who: Who, mut outs: Vec<Out>) -> Vec<Out> {
    if !who.is_active() {
        outs.push(Out::Open);
    }
    outs
}

#[test]
fn disable_separates_each_selected_session_in_order_and_closes() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[C, A]);
        let system = scene.sends(C, 1, 1, true);
        let outs = [
            sent(separate(A, system + 1)),
            sent(separate(C, system + 2)),
            Out::Close(CloseReason::Disabled),
            void(system),
        ];
        scene.does(&outs, Machine::disable);
        scene.is(State::NotConnected, None, &[]);
    }
}

#[test]
fn separate_does_the_same_and_connects_again_without_sessions() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A, B]);
        let outs = vec![sent(separate(A, OURS)), sent(separate(B, OURS + 1)), Out::Close(CloseReason::Separated)];
        scene.does(&again(who, outs), Machine::separate);
        if who.is_active() {
            scene.fires_in(T5, &[Out::Open]);
        }
        scene.opens(&[]);
        scene.is(State::NotSelected, Some(T7), &[]);
        scene.receives(&data(A, 0x81, 1, 9), rejected(4), &[sent(reject(A, 0, 4, 9))]);
        scene.is_selected_by_peer(A);
        scene.is(State::Selected, None, &[A]);
    }
}

#[test]
fn where_nothing_is_selected_there_is_no_farewell() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A]);
        scene.takes(&separate(A, 9), &[ended(A, hsms_core::connection::SessionEnd::SeparateReceived)]);
        scene.select(B, OURS);
        scene.does(&[Out::Close(CloseReason::Disabled)], Machine::disable);
    }
}

#[test]
fn after_a_failure_there_is_no_farewell_and_everything_has_ended() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A, B]);
        let systems = [scene.sends(A, 1, 1, true), scene.sends(B, 1, 1, true)];
        scene.does(&[sent(linktest_req(systems[1] + 1))], Machine::linktest);
        scene.select(C, systems[1] + 2);
        scene.deselect(A, systems[1] + 3);
        let reason = CloseReason::TransportClosed;
        let outs = vec![Out::Close(reason), void(systems[0]), void(systems[1]), void(systems[1] + 1)];
        scene.happens(Event::TransportClosed, &again(who, outs));
        assert_eq!(scene.machine.selected_sessions().count(), 0);
        assert_eq!(scene.machine.open_transactions(), 0);
        if who.is_active() {
            scene.fires_in(T5, &[Out::Open]);
        }
        scene.opens(&[]);
        scene.is(State::NotSelected, Some(T7), &[]);
        // Nothing of what was open is still awaited.
        let late = systems[1] + 2;
        scene.receives(&select_rsp(C, 0, late), rejected(3), &[sent(reject(C, 2, 3, late))]);
        scene.is(State::NotSelected, Some(T7), &[]);
    }
}

#[test]
fn a_broken_message_ends_everything_without_farewell() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A, B]);
        let (outs, _) = scene.feed(&[0, 0, 0, 9, 0], 5);
        let close = vec![Out::Close(CloseReason::LengthTooShort { length: 9 })];
        assert_eq!(outs, again(who, close));
        assert_eq!(scene.machine.selected_sessions().count(), 0);
    }
}

#[test]
fn while_a_text_is_open_there_is_no_farewell() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A, B]);
        let now = scene.now();
        scene.machine.begin_primary_in(now, id(A), StreamFunction::new(1, 1), false, 100).unwrap();
        scene.does(&[Out::Close(CloseReason::Disabled)], Machine::disable);
        scene.is(State::NotConnected, None, &[]);
    }
}

#[test]
fn enabling_again_before_the_farewells_are_polled_does_not_lose_them() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A, B, C]);
        let now = scene.now();
        scene.machine.disable(now).unwrap();
        scene.machine.enable(now).unwrap();
        let farewells = [A, B, C].into_iter().zip(OURS..).map(|(session, system)| sent(separate(session, system)));
        let outs: Vec<Out> = farewells.chain([Out::Close(CloseReason::Disabled)]).collect();
        assert_eq!(scene.drain(), again(who, outs));
    }
}

#[test]
fn answers_that_wait_go_out_before_the_farewells() {
    let mut scene = Scene::selected(crate::support::passive(), &[A]);
    let now = scene.now();
    scene.machine.receive(now, &linktest_req(9)).unwrap();
    scene.machine.disable(now).unwrap();
    let outs = [sent(linktest_rsp(9)), sent(separate(A, OURS)), Out::Close(CloseReason::Disabled)];
    assert_eq!(scene.drain(), outs);
}

#[test]
fn twenty_sessions_take_their_leave() {
    for who in everyone() {
        let list: Vec<_> = (0..20).map(offered).collect();
        let mut scene = Scene::connected(who, &list);
        for session in 0..20 {
            scene.is_selected_by_peer(session);
        }
        let farewells = (0..20u16).map(|session| sent(separate(session, OURS + u32::from(session))));
        let outs: Vec<Out> = farewells.chain([Out::Close(CloseReason::Disabled)]).collect();
        scene.does(&outs, Machine::disable);
        scene.does(&[], Machine::disable);
    }
}
