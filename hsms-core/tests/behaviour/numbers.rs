//! System bytes: where they come from, and which of them a reply can belong to.

use crate::support::{OURS, SELECT_SYSTEM, active, selects, stays};
use hsms_core::config::DeviceId;
use hsms_core::connection::{Action, Class, Connection, Event, Stray, Stream9};
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};

const LAST: SystemBytes = SystemBytes(u32::MAX);
const BEFORE_LAST: SystemBytes = SystemBytes(u32::MAX - 1);

#[test]
fn system_bytes_wrap_around_and_pass_over_what_is_open() {
    let mut scene = active().selected();
    scene.connection.set_next_system_bytes(BEFORE_LAST);
    for expected in [BEFORE_LAST, LAST, SystemBytes(0), SystemBytes(1)] {
        assert_eq!(scene.connection.next_system_bytes(), expected);
        assert_eq!(scene.requests(1, 1), expected);
    }
    // All the way round again, as after four thousand million requests.
    scene.connection.set_next_system_bytes(BEFORE_LAST);
    assert_eq!(scene.connection.next_system_bytes(), SystemBytes(2));
    scene.connection.forget(LAST).unwrap();
    scene.connection.set_next_system_bytes(BEFORE_LAST);
    // Free again, and yet the one that ended last.
    assert_eq!(scene.connection.next_system_bytes(), SystemBytes(2));
    scene.connection.forget(SystemBytes(0)).unwrap();
    assert_eq!(scene.connection.next_system_bytes(), LAST);
    // A linktest takes its number from the same counter, and keeps it while it is open.
    let linktest = scene.does(stays().sends("0000000A FFFF 00 00 00 05 FFFFFFFF").due(6_000), Connection::linktest);
    assert_eq!(linktest, LAST);
    scene.connection.set_next_system_bytes(LAST);
    assert_eq!(scene.connection.next_system_bytes(), SystemBytes(2));
}

#[test]
fn late_and_orphaned_replies_are_told_apart_across_the_wrap() {
    let mut scene = active().selected();
    scene.connection.set_next_system_bytes(LAST);
    let first = scene.requests(1, 1);
    let second = scene.requests(1, 1);
    assert_eq!((first, second), (LAST, SystemBytes(0)));
    for system in [first, second] {
        scene.connection.forget(system).unwrap();
    }
    for (system, stray) in [
        (BEFORE_LAST, Stray::Orphan),
        (LAST, Stray::Late),
        (SystemBytes(0), Stray::Late),
        (SystemBytes(1), Stray::Orphan),
        (SystemBytes(0x8000_0000), Stray::Orphan),
    ] {
        let frame = format!("0000000A 0001 01 02 00 00 {:08X}", system.0);
        scene.receives(&frame, stays().class(Class::Stray(stray)));
    }
}

#[test]
fn a_number_is_not_used_again_right_after_its_transaction_ended() {
    let mut scene = active().requesting();
    scene.receives("0000000A 0001 01 02 00 00 00000061", stays().class(Class::Reply).never());
    scene.connection.set_next_system_bytes(OURS);
    assert_eq!(scene.requests(1, 1), SystemBytes(OURS.0 + 1));
    // A primary without W is over as soon as it is begun.
    let mut scene = active().selected();
    let (system, _) = scene.sends_primary(6, 11, false, &[]);
    scene.connection.set_next_system_bytes(system);
    assert_eq!(scene.connection.next_system_bytes(), SystemBytes(OURS.0 + 1));
    // And so is the Select.req that was answered last.
    let mut scene = active().connected();
    scene.receives("0000000A FFFF 00 00 00 02 00000051", selects());
    scene.connection.set_next_system_bytes(SELECT_SYSTEM);
    assert_eq!(scene.connection.next_system_bytes(), SystemBytes(SELECT_SYSTEM.0 + 1));
    // Or the one that ended with its connection.
    let mut scene = active().connected();
    scene.connection.handle(scene.now(), Event::TransportClosed).unwrap();
    while scene.connection.poll_action().is_some() {}
    scene.connection.set_next_system_bytes(SELECT_SYSTEM);
    assert_eq!(scene.connection.next_system_bytes(), SystemBytes(SELECT_SYSTEM.0 + 1));
    // An error message of stream 9 is over as soon as it is sent, too.
    let mut scene = active().equipment().selected();
    let about = Header::data(SystemBytes(9), StreamFunction::new(1, 1), true, SessionId(1));
    let system = scene.connection.next_system_bytes();
    scene.connection.report_error(scene.now(), Stream9::IllegalData, &about).unwrap();
    while scene.connection.poll_action().is_some() {}
    scene.connection.set_next_system_bytes(system);
    assert_eq!(scene.connection.next_system_bytes(), SystemBytes(system.0 + 1));
}

#[test]
fn a_number_is_not_used_again_while_its_message_waits_for_the_end_of_a_text() {
    let mut scene = active().equipment().selected();
    let earlier = scene.requests(1, 1);
    let (now, device) = (scene.now(), DeviceId::try_from(1_u16).unwrap());
    scene.connection.begin_primary(now, device, StreamFunction::new(6, 11), false, 9).unwrap();
    let about = Header::data(SystemBytes(9), StreamFunction::new(1, 1), true, SessionId(1));
    let waiting = scene.connection.next_system_bytes();
    scene.connection.report_error(now, Stream9::IllegalData, &about).unwrap();
    // Now another transaction is the one that ended last.
    scene.connection.forget(earlier).unwrap();
    scene.connection.set_next_system_bytes(waiting);
    assert_eq!(scene.connection.next_system_bytes(), SystemBytes(waiting.0 + 1));
    scene.connection.report_error(now, Stream9::IllegalData, &about).unwrap();
    scene.connection.end_body(now).unwrap();
    let mut sent = Vec::new();
    while let Some(Action::Send(frame)) = scene.connection.poll_action() {
        sent.push(frame.header().system);
    }
    assert_eq!(sent, [waiting, SystemBytes(waiting.0 + 1)]);
    // They have gone out, and the first of them has not ended last.
    scene.connection.set_next_system_bytes(waiting);
    assert_eq!(scene.connection.next_system_bytes(), waiting);
}
