//! Deselect (E37 7.4), which HSMS-SS does not use (E37.1 7.4) and some equipment sends.

use crate::support::{OURS, PAUSE, T5, T6, T7, Who, active, closes, deselects, opens, passive, selects, stays, tests};
use hsms_core::connection::{Class, CloseReason, Leniency, TransactionEnd};
use hsms_core::wire::{RejectReason, SType};

const DESELECT_REQ: &str = "0000000A FFFF 00 00 00 03 00000063";
const UNEXPECTED: CloseReason = CloseReason::UnexpectedMessage(SType::DESELECT_REQ);

// Deselect.req while SELECTED.

#[test]
fn deselect_req_while_selected_default_passive() {
    let mut scene = passive().selected();
    let answered = deselects().sends("0000000A FFFF 00 00 00 04 00000063").lenient(Leniency::Deselect);
    scene.receives(DESELECT_REQ, answered.class(Class::Control));
    scene.fires_in(T7, closes(CloseReason::T7));
}

#[test]
fn deselect_req_while_selected_default_active() {
    let mut scene = active().selected();
    let answered =
        closes(CloseReason::DeselectAnswered).sends("0000000A FFFF 00 00 00 04 00000063").lenient(Leniency::Deselect);
    scene.receives(DESELECT_REQ, answered);
    scene.fires_in(T5, opens().never());
}

fn deselect_req_while_selected_strict(who: Who) {
    who.strict().selected().receives(DESELECT_REQ, closes(UNEXPECTED));
}

tests! { deselect_req_while_selected_strict:
    deselect_req_while_selected_strict_passive(passive()),
    deselect_req_while_selected_strict_active(active()),
}

#[test]
fn deselect_req_ends_what_is_open_default_passive() {
    let answered = deselects().sends("0000000A FFFF 00 00 00 04 00000063").lenient(Leniency::Deselect);
    passive().requesting().receives(DESELECT_REQ, answered.ends(OURS, TransactionEnd::SessionEnded));
}

#[test]
fn deselect_req_ends_what_is_open_default_active() {
    let answered =
        closes(CloseReason::DeselectAnswered).sends("0000000A FFFF 00 00 00 04 00000063").lenient(Leniency::Deselect);
    active().requesting().receives(DESELECT_REQ, answered.ends(OURS, TransactionEnd::SessionEnded));
}

/// The response is a copy of the request (E37 8.2.5).
#[test]
fn deselect_rsp_echoes_the_session_id() {
    let selected = deselects().sends("0000000A 0064 00 00 00 04 FFFFFFFF").lenient(Leniency::Deselect);
    passive().selected().receives("0000000A 0064 00 00 00 03 FFFFFFFF", selected);
    let not_selected = stays().sends("0000000A 0064 00 01 00 04 FFFFFFFF").lenient(Leniency::DeselectNotSelected);
    passive().connected().receives("0000000A 0064 00 00 00 03 FFFFFFFF", not_selected);
}

// Deselect.req while NOT SELECTED.

fn deselect_req_while_not_selected_default(who: Who) {
    let mut scene = who.connected();
    for _ in 0..2 {
        let answered = stays().sends("0000000A FFFF 00 01 00 04 00000063").lenient(Leniency::DeselectNotSelected);
        scene.receives(DESELECT_REQ, answered.class(Class::Control));
    }
    let left = if who.is_active() { T6 - PAUSE } else { T7 - PAUSE };
    assert_eq!(scene.due_in(), Some(left));
}

fn deselect_req_while_not_selected_strict(who: Who) {
    who.strict().connected().receives(DESELECT_REQ, closes(UNEXPECTED));
}

tests! { deselect_req_while_not_selected_default:
    deselect_req_while_not_selected_default_passive(passive()),
    deselect_req_while_not_selected_default_active(active()),
}

tests! { deselect_req_while_not_selected_strict:
    deselect_req_while_not_selected_strict_passive(passive()),
    deselect_req_while_not_selected_strict_active(active()),
}

// Afterwards.

fn deselected() -> crate::support::Scene {
    let mut scene = passive().selected();
    let answered = deselects().sends("0000000A FFFF 00 00 00 04 00000063").lenient(Leniency::Deselect);
    scene.receives(DESELECT_REQ, answered);
    scene.pass(PAUSE);
    scene
}

/// A state from which no Select works again has been seen in the field.
#[test]
fn select_req_works_again_after_a_deselect() {
    let mut scene = deselected();
    let accepted = selects().sends("0000000A FFFF 00 00 00 02 00000064");
    scene.receives("0000000A FFFF 00 00 00 01 00000064", accepted);
    scene.receives("0000000A 0001 81 01 00 00 00000065", stays().class(Class::Primary));
}

#[test]
fn data_after_a_deselect_is_rejected() {
    let rejected =
        stays().sends("0000000A FFFF 00 04 00 07 00000064").class(Class::Rejected(RejectReason::ENTITY_NOT_SELECTED));
    deselected().receives("0000000A 0001 81 01 00 00 00000064", rejected);
}

/// The reply to what the Deselect ended.
#[test]
fn a_reply_after_a_deselect_is_rejected() {
    let mut scene = passive().requesting();
    let answered = deselects()
        .sends("0000000A FFFF 00 00 00 04 00000063")
        .lenient(Leniency::Deselect)
        .ends(OURS, TransactionEnd::SessionEnded);
    scene.receives(DESELECT_REQ, answered);
    let rejected =
        stays().sends("0000000A FFFF 00 04 00 07 00000061").class(Class::Rejected(RejectReason::ENTITY_NOT_SELECTED));
    scene.receives("0000000A 0001 01 02 00 00 00000061", rejected);
}

#[test]
fn t7_after_a_deselect_is_not_extended_by_traffic() {
    let mut scene = deselected();
    let again = stays().sends("0000000A FFFF 00 01 00 04 00000063").lenient(Leniency::DeselectNotSelected);
    scene.receives(DESELECT_REQ, again);
    let tested = stays().sends("0000000A FFFF 00 00 00 06 00000064").lenient(Leniency::LinktestNotSelected);
    scene.receives("0000000A FFFF 00 00 00 05 00000064", tested);
    scene.fires_in(T7 - PAUSE, closes(CloseReason::T7));
}
