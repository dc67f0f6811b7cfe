//! Entities that connections share, and such that only one of them can have (E37.2 7.2).

use super::harness::*;
use crate::support::passive;
use hsms_core::connection::{CloseReason, Event, Holders, SessionEnd};

/// The caller's Select.req for A, answered by who has A.
#[track_caller]
fn selects(scene: &mut Scene, holders: &mut Holders<u8, 4>, caller: u8, system: u32, status: u8) {
    scene.takes(&select_req(A, system), &[asked(A)]);
    let outs = [sent(select_rsp(A, status, system)), begun(A)];
    let given = holders.take(id(A), caller);
    scene.does(if status == 0 { &outs } else { &outs[..1] }, |m, now| m.answer_select(now, id(A), given));
}

#[test]
fn an_entity_that_another_connection_has_is_answered_with_status_5_until_that_ends_it() {
    let mut holders = Holders::<u8, 4>::new();
    let [mut first, mut second] = [(); 2].map(|()| Scene::connected(passive(), &[asking(A), offered(B)]));
    selects(&mut first, &mut holders, 1, 9, 0);
    selects(&mut second, &mut holders, 2, 9, 5);
    first.is_selected_by_peer(B);
    second.is_selected_by_peer(B);

    first.takes(&separate(A, 10), &[ended(A, SessionEnd::SeparateReceived)]);
    holders.release(id(A), 1);
    selects(&mut second, &mut holders, 2, 10, 0);
    selects(&mut first, &mut holders, 1, 11, 5);

    second.happens(Event::TransportClosed, &[Out::Close(CloseReason::TransportClosed), Out::Open]);
    holders.release_all(2);
    selects(&mut first, &mut holders, 1, 12, 0);
}
