//! Reject (E37 7.7): what is rejected, and what a Reject.req that comes does.

use crate::support::{Expect, OURS, PAUSE, Scene, T6, Who, active, closes, passive, stays, tests};
use hsms_core::connection::{Class, CloseReason, Leniency, Notice, TransactionEnd};
use hsms_core::wire::{Header, PType, RejectReason, SType, SessionId, SystemBytes};

const UNKNOWN_PTYPES: [u8; 5] = [1, 2, 127, 128, 255];
const UNKNOWN_STYPES: [u8; 8] = [8, 10, 11, 12, 127, 128, 254, 255];

// Unknown PType and SType.

fn unknown_stype_is_rejected(scene: Scene) {
    for stype in UNKNOWN_STYPES {
        let rejected = stays()
            .sends(&format!("0000000A FFFF {stype:02X} 01 00 07 00000063"))
            .class(Class::Rejected(RejectReason::STYPE_NOT_SUPPORTED));
        for session in ["FFFF", "0001"] {
            let octets = format!("0000000A {session} 00 00 00 {stype:02X} 00000063");
            scene.clone().receives(&octets, rejected.clone());
        }
    }
}

fn unknown_stype_closes(scene: Scene) {
    for stype in UNKNOWN_STYPES {
        let reason = CloseReason::UnknownSType(SType(stype));
        let expect = closes(reason).class(Class::Fatal);
        scene.clone().receives(&format!("0000000A FFFF 00 00 00 {stype:02X} 00000063"), expect);
    }
}

fn unknown_ptype_is_rejected(scene: Scene) {
    for ptype in UNKNOWN_PTYPES {
        let rejected = stays()
            .sends(&format!("0000000A FFFF {ptype:02X} 02 00 07 00000063"))
            .class(Class::Rejected(RejectReason::PTYPE_NOT_SUPPORTED));
        // On data, on every control message, and where the SType is unknown as well.
        for stype in [0, 1, 2, 3, 4, 5, 6, 7, 9, 8, 11, 255] {
            let octets = format!("0000000A 0001 81 01 {ptype:02X} {stype:02X} 00000063");
            scene.clone().receives(&octets, rejected.clone());
        }
    }
}

fn unknown_ptype_closes(scene: Scene) {
    for ptype in UNKNOWN_PTYPES {
        for stype in [0, 1, 5, 7, 9, 11] {
            let reason = CloseReason::UnknownPType(PType(ptype));
            let octets = format!("0000000A 0001 81 01 {ptype:02X} {stype:02X} 00000063");
            scene.clone().receives(&octets, closes(reason));
        }
    }
}

tests! { unknown_stype_is_rejected:
    unknown_stype_not_selected_default_passive(passive().connected()),
    unknown_stype_not_selected_default_active(active().connected()),
    unknown_stype_selected_default_passive(passive().requesting()),
    unknown_stype_selected_default_active(active().requesting()),
    unknown_stype_selected_strict_passive(passive().strict().requesting()),
    unknown_stype_selected_strict_active(active().strict().requesting()),
}

tests! { unknown_stype_closes:
    unknown_stype_not_selected_strict_passive(passive().strict().connected()),
    unknown_stype_not_selected_strict_active(active().strict().connected()),
}

tests! { unknown_ptype_is_rejected:
    unknown_ptype_not_selected_default_passive(passive().connected()),
    unknown_ptype_not_selected_default_active(active().connected()),
    unknown_ptype_selected_default_passive(passive().requesting()),
    unknown_ptype_selected_default_active(active().requesting()),
    unknown_ptype_selected_strict_passive(passive().strict().requesting()),
    unknown_ptype_selected_strict_active(active().strict().requesting()),
}

tests! { unknown_ptype_closes:
    unknown_ptype_not_selected_strict_passive(passive().strict().connected()),
    unknown_ptype_not_selected_strict_active(active().strict().connected()),
}

/// A text in another presentation is skipped: it is for nobody, and what follows is understood.
fn a_text_of_unknown_ptype_is_skipped(who: Who) {
    let rejected = stays()
        .sends("0000000A FFFF 01 02 00 07 00000063")
        .class(Class::Rejected(RejectReason::PTYPE_NOT_SUPPORTED))
        .class(Class::Primary);
    let octets = "00000014 0001 81 01 01 00 00000063 0000000A000181010000 0000000A 0001 81 01 00 00 00000064";
    who.selected().receives(octets, rejected);
}

tests! { a_text_of_unknown_ptype_is_skipped:
    a_text_of_unknown_ptype_is_skipped_default_passive(passive()),
    a_text_of_unknown_ptype_is_skipped_strict_active(active().strict()),
}

// Control responses without an open request. Select.rsp has tests of its own.

fn response_is_rejected(scene: Scene) {
    for stype in [4_u8, 6] {
        for status in [0_u8, 1] {
            for session in ["FFFF", "0001"] {
                let rejected = stays()
                    .sends(&format!("0000000A FFFF {stype:02X} 03 00 07 00000050"))
                    .class(Class::Rejected(RejectReason::TRANSACTION_NOT_OPEN));
                let octets = format!("0000000A {session} 00 {status:02X} 00 {stype:02X} 00000050");
                scene.clone().receives(&octets, rejected);
            }
        }
    }
}

fn response_closes(scene: Scene) {
    for stype in [4_u8, 6] {
        let reason = CloseReason::UnexpectedMessage(SType(stype));
        scene.clone().receives(&format!("0000000A FFFF 00 00 00 {stype:02X} 00000050"), closes(reason));
    }
}

tests! { response_is_rejected:
    control_response_without_request_not_selected_default_passive(passive().connected()),
    control_response_without_request_not_selected_default_active(active().connected()),
    control_response_without_request_selected_default_passive(passive().testing()),
    control_response_without_request_selected_default_active(active().testing()),
    control_response_without_request_selected_strict_passive(passive().strict().testing()),
    control_response_without_request_selected_strict_active(active().strict().testing()),
}

tests! { response_closes:
    control_response_without_request_not_selected_strict_passive(passive().strict().connected()),
    control_response_without_request_not_selected_strict_active(active().strict().connected()),
}

/// Responses of another kind than the open request do not match it.
fn response_of_another_kind_is_rejected(mut scene: Scene, system: SystemBytes, stypes: &[u8]) {
    for stype in stypes {
        let rejected = stays()
            .sends(&format!("0000000A FFFF {stype:02X} 03 00 07 {:08X}", system.0))
            .class(Class::Rejected(RejectReason::TRANSACTION_NOT_OPEN));
        scene.receives(&format!("0000000A FFFF 00 00 00 {stype:02X} {:08X}", system.0), rejected);
        assert!(scene.connection.is_open(system));
    }
}

tests! { response_of_another_kind_is_rejected:
    a_response_of_another_kind_does_not_answer_our_select(
        active().connected(), crate::support::SELECT_SYSTEM, &[4, 6]
    ),
    a_response_of_another_kind_does_not_answer_our_linktest(passive().testing(), OURS, &[4]),
    a_response_of_another_kind_does_not_answer_our_data(passive().requesting(), OURS, &[4, 6]),
}

/// The open linktest is answered by its response once.
#[test]
fn a_second_linktest_rsp_is_rejected() {
    let mut scene = active().testing();
    let rsp = "0000000A FFFF 00 00 00 06 00000061";
    scene.receives(rsp, stays().never().tells(Notice::LinktestAnswered { system: OURS }));
    scene.receives(rsp, stays().sends("0000000A FFFF 06 03 00 07 00000061"));
}

// Reject.req that matches our Select.req.

fn select_is_rejected(who: Who) {
    for reason in (1..=255).filter(|reason| *reason != 2) {
        let octets = format!("0000000A FFFF 01 {reason:02X} 00 07 00000051");
        who.connected().receives(&octets, closes(CloseReason::SelectRejected(RejectReason(reason))));
    }
    // Reason 2 names the PType, which is 0.
    let refused = closes(CloseReason::SelectRejected(RejectReason::PTYPE_NOT_SUPPORTED));
    who.connected().receives("0000000A FFFF 00 02 00 07 00000051", refused);
}

tests! { select_is_rejected:
    reject_that_matches_our_select_default_active(active()),
    reject_that_matches_our_select_strict_active(active().strict()),
}

// Reject.req that matches our Linktest.req.

fn linktest_is_rejected(who: Who) {
    for octets in ["05 01", "00 02", "05 03", "05 FF"] {
        let mut scene = who.testing();
        let alive = stays().never().tells(Notice::LinktestAnswered { system: OURS }).class(Class::Control);
        scene.receives(&format!("0000000A FFFF {octets} 00 07 00000061"), alive);
        assert!(!scene.connection.is_open(OURS));
    }
}

tests! { linktest_is_rejected:
    reject_that_matches_our_linktest_default_passive(passive()),
    reject_that_matches_our_linktest_default_active(active()),
    reject_that_matches_our_linktest_strict_passive(passive().strict()),
    reject_that_matches_our_linktest_strict_active(active().strict()),
}

// Reject.req that matches our data.

fn data_is_rejected(who: Who) {
    for reason in 1..=255 {
        let ended = stays().never().ends(OURS, TransactionEnd::Rejected(RejectReason(reason)));
        who.requesting().receives(&format!("0000000A FFFF 00 {reason:02X} 00 07 00000061"), ended);
    }
    // Stacks that copy the session id of what they reject (E37 8.2.8) are as right as those that do not.
    let ended = stays().never().ends(OURS, TransactionEnd::Rejected(RejectReason::ENTITY_NOT_SELECTED));
    who.requesting().receives("0000000A 0001 00 04 00 07 00000061", ended);
}

tests! { data_is_rejected:
    reject_that_matches_our_data_default_passive(passive()),
    reject_that_matches_our_data_default_active(active()),
    reject_that_matches_our_data_strict_passive(passive().strict()),
    reject_that_matches_our_data_strict_active(active().strict()),
}

#[test]
fn a_reject_ends_the_transaction_that_it_names_and_no_other() {
    let mut scene = active().requesting();
    let second = scene.requests(1, 3);
    let third = scene.requests(2, 41);
    let due = scene.due_in().unwrap();
    let ended = stays().ends(second, TransactionEnd::Rejected(RejectReason::TRANSACTION_NOT_OPEN)).due(due);
    scene.receives(&format!("0000000A FFFF 00 03 00 07 {:08X}", second.0), ended);
    assert!(scene.connection.is_open(OURS) && scene.connection.is_open(third));
    assert_eq!(scene.connection.open_transactions(), 2);
    // The reply to what was rejected is for nobody.
    scene.receives(&format!("0000000A 0001 01 04 00 00 {:08X}", second.0), stays());
}

// Reject.req that matches nothing.

fn nothing_is_rejected(scene: Scene) {
    for stype in [0_u8, 1, 2, 4, 5, 6, 7, 9, 11] {
        for reason in [0_u8, 1, 3, 4, 5, 200] {
            let header = Header::reject_req(SystemBytes(0x50), stype, RejectReason(reason));
            let reported = stays().tells(Notice::RejectReceived { header }).class(Class::Control);
            scene.clone().receives(&format!("0000000A FFFF {stype:02X} {reason:02X} 00 07 00000050"), reported);
        }
    }
}

tests! { nothing_is_rejected:
    reject_that_matches_nothing_not_selected_default_passive(passive().connected()),
    reject_that_matches_nothing_not_selected_default_active(active().connected()),
    reject_that_matches_nothing_not_selected_strict_passive(passive().strict().connected()),
    reject_that_matches_nothing_not_selected_strict_active(active().strict().connected()),
    reject_that_matches_nothing_selected_default_passive(passive().requesting()),
    reject_that_matches_nothing_selected_default_active(active().requesting()),
    reject_that_matches_nothing_selected_strict_passive(passive().strict().testing()),
    reject_that_matches_nothing_selected_strict_active(active().strict().testing()),
}

/// A Reject.req names what it rejects. Our response to a request of the peer's with the same system bytes is another message
/// than our open request.
fn a_reject_of_a_response_of_ours(mut scene: Scene, stype: u8) {
    let header = Header::reject_req(OURS, stype, RejectReason::TRANSACTION_NOT_OPEN);
    let reported = stays().tells(Notice::RejectReceived { header });
    scene.receives(&format!("0000000A FFFF {stype:02X} 03 00 07 00000061"), reported);
    assert!(scene.connection.is_open(OURS));
}

tests! { a_reject_of_a_response_of_ours:
    a_reject_of_our_linktest_rsp_does_not_end_our_data(active().requesting(), 6),
    a_reject_of_our_linktest_rsp_does_not_end_our_linktest(active().testing(), 6),
    a_reject_of_our_select_rsp_does_not_end_our_linktest(passive().testing(), 2),
}

/// A primary that expects no reply opens nothing that a Reject could end.
#[test]
fn a_reject_of_a_primary_without_reply_is_reported() {
    let mut scene = passive().selected();
    let (system, _) = scene.sends_primary(6, 11, false, &[]);
    let header = Header::reject_req(system, 0, RejectReason::ENTITY_NOT_SELECTED);
    let reported = stays().tells(Notice::RejectReceived { header });
    scene.receives("0000000A FFFF 00 04 00 07 00000061", reported);
}

/// Reason 0 is not allowed, and is sent.
#[test]
fn a_reject_with_reason_0_ends_what_it_matches() {
    let ended = stays().never().ends(OURS, TransactionEnd::Rejected(RejectReason(0)));
    active().requesting().receives("0000000A FFFF 00 00 00 07 00000061", ended);
}

// Reject.req with text.

fn reject_with_text_is_taken(who: Who) {
    for len in [1_u32, 10, 63, 64] {
        let text = "AB".repeat(usize::try_from(len).unwrap());
        let octets = |system: &str| format!("{:08X} FFFF 00 04 00 07 {system} {text}", len + 10);
        let counted = Leniency::RejectText { body_len: len };
        let ended = TransactionEnd::Rejected(RejectReason::ENTITY_NOT_SELECTED);
        who.requesting().receives(&octets("00000061"), stays().never().ends(OURS, ended).lenient(counted));

        let header = Header::reject_req(SystemBytes(0x50), 0, RejectReason::ENTITY_NOT_SELECTED);
        let reported = stays().tells(Notice::RejectReceived { header }).lenient(counted);
        who.requesting().receives(&octets("00000050"), reported.clone());
        who.connected().receives(&octets("00000050"), reported.clone());
        // The text is skipped: what follows is understood.
        let more = format!("{} 0000000A 0001 81 01 00 00 00000063", octets("00000050"));
        who.requesting().receives(&more, reported.class(Class::Control).class(Class::Primary));
    }
}

tests! { reject_with_text_is_taken:
    reject_with_text_up_to_64_octets_default_passive(passive()),
    reject_with_text_up_to_64_octets_default_active(active()),
}

#[test]
fn reject_of_our_select_with_text_default_active() {
    let refused = closes(CloseReason::SelectRejected(RejectReason::STYPE_NOT_SUPPORTED))
        .lenient(Leniency::RejectText { body_len: 10 });
    active().connected().receives("00000014 FFFF 01 01 00 07 00000051 FFFF0000000100000051", refused);
}

/// Some peers write the reason into octet 2, nothing into octet 3, and append the header that they reject.
#[test]
fn reject_with_the_reason_in_octet_2_and_the_header_as_text_default_active() {
    let ended = stays()
        .never()
        .ends(OURS, TransactionEnd::Rejected(RejectReason(0)))
        .lenient(Leniency::RejectText { body_len: 10 });
    active().requesting().receives("00000014 FFFF 04 00 00 07 00000061 00018101000000000061", ended);
}

fn reject_with_text_closes(scene: Scene, len: u32) {
    let octets = format!("{:08X} FFFF 00 04 00 07 00000061 AB", len + 10);
    let expect = closes(CloseReason::ControlText { stype: SType::REJECT_REQ, body_len: len });
    let expect = if scene.connection.open_transactions() == 1 {
        expect.ends(OURS, TransactionEnd::SessionEnded)
    } else {
        expect
    };
    let mut scene = scene;
    scene.receives(&octets, expect);
}

tests! { reject_with_text_closes:
    reject_with_text_over_64_octets_selected_default_passive(passive().requesting(), 65),
    reject_with_text_over_64_octets_selected_default_active(active().requesting(), 65),
    reject_with_text_over_64_octets_not_selected_default_passive(passive().connected(), 65),
    reject_with_text_over_64_octets_not_selected_default_active(active().connected(), 65),
    reject_with_text_selected_strict_passive(passive().strict().requesting(), 1),
    reject_with_text_selected_strict_active(active().strict().requesting(), 1),
    reject_with_text_not_selected_strict_passive(passive().strict().connected(), 1),
    reject_with_text_not_selected_strict_active(active().strict().connected(), 1),
}

// No Reject is answered, whatever it says.

fn no_reject_is_answered(scene: Scene) {
    for octet2 in 0..=255_u8 {
        for octet3 in [0_u8, 1, 2, 3, 4, 5, 127, 128, 255] {
            let header = Header {
                session: SessionId(0x0001),
                byte2: octet2,
                byte3: octet3,
                ptype: PType::SECS_II,
                stype: SType::REJECT_REQ,
                system: SystemBytes(0x50),
            };
            let expect: Expect = stays().tells(Notice::RejectReceived { header });
            let octets = format!("0000000A 0001 {octet2:02X} {octet3:02X} 00 07 00000050");
            scene.clone().receives(&octets, expect);
        }
    }
}

tests! { no_reject_is_answered:
    no_reject_is_ever_answered_not_selected_passive(passive().connected()),
    no_reject_is_ever_answered_not_selected_active(active().connected()),
    no_reject_is_ever_answered_selected_passive(passive().requesting()),
    no_reject_is_ever_answered_selected_strict_active(active().strict().requesting()),
}

#[test]
fn a_reject_does_not_touch_t6_of_our_linktest() {
    let mut scene = passive().testing();
    let header = Header::reject_req(SystemBytes(0x50), 5, RejectReason::STYPE_NOT_SUPPORTED);
    scene.receives("0000000A FFFF 05 01 00 07 00000050", stays().tells(Notice::RejectReceived { header }));
    assert_eq!(scene.due_in(), Some(T6 - PAUSE));
}
