//! The drain rule: what comes before the actions were polled is refused where it matters, and changes nothing.

use crate::support::{DEVICE, OURS, Scene, active, hex, passive, tests};
use hsms_core::Error;
use hsms_core::connection::{Action, CloseReason, Connection, Event, Notice, State, Stream9};
use hsms_core::wire::{Header, StreamFunction, SystemBytes};

/// Answers wait to be polled, as many as there is room for; and so does the text that was begun before them, if one was.
fn full(text_open: bool) -> Scene {
    let mut scene = passive().selected();
    let now = scene.now();
    if text_open {
        scene.connection.begin_primary(now, DEVICE, StreamFunction::new(7, 3), false, 10).unwrap();
    }
    let linktest = hex("0000000A FFFF 00 00 00 05 00000063");
    for answers in 0.. {
        assert!(answers < 100, "no bound");
        let mut probe = scene.clone();
        match probe.connection.receive(now, &linktest) {
            Ok(_) if probe.connection.state() == State::Selected => scene = probe,
            Ok(_) => return scene,
            Err(error) => {
                assert_eq!(error, Error::ActionsPending);
                return scene;
            }
        }
    }
    scene
}

type Input = fn(&mut Connection<4>, hsms_core::time::Instant) -> Result<(), Error>;

fn refused_while_actions_wait(input: Input) {
    full(false).refuses(Error::ActionsPending, input);
}

tests! { refused_while_actions_wait:
    receive_is_refused_while_actions_wait(|connection, now| {
        connection.receive(now, &hex("0000000A FFFF 00 00 00 05 00000063")).map(|_| ())
    }),
    a_lost_transport_is_refused_while_actions_wait(|connection, now| connection.handle(now, Event::TransportClosed)),
    enable_is_refused_while_actions_wait(|connection, now| connection.enable(now)),
    disable_is_refused_while_actions_wait(|connection, now| connection.disable(now)),
    separate_is_refused_while_actions_wait(|connection, now| connection.separate(now)),
    linktest_is_refused_while_actions_wait(|connection, now| connection.linktest(now).map(|_| ())),
    begin_primary_is_refused_while_actions_wait(|connection, now| {
        connection.begin_primary(now, DEVICE, StreamFunction::new(1, 1), true, 0).map(|_| ())
    }),
    report_error_is_refused_while_actions_wait(|connection, now| {
        let about = Header::data(SystemBytes(0x63), StreamFunction::new(1, 1), true, DEVICE.session());
        connection.report_error(now, Stream9::IllegalData, &about)
    }),
}

/// Everything comes out in the order in which it was asked for, and then inputs are taken again.
#[test]
fn a_full_queue_loses_nothing() {
    let mut scene = full(false);
    let answer = hex("0000000A FFFF 00 00 00 06 00000063");
    let mut answers = 0;
    while let Some(action) = scene.connection.poll_action() {
        let Action::Send(frame) = action else { panic!("{action:?}") };
        assert_eq!(frame.encode()[..], answer);
        answers += 1;
    }
    assert!(answers >= 3, "{answers}");
    assert!(scene.connection.linktest(scene.now()).is_ok());
}

/// Held frames are dropped with the text in front of them, so giving up a text needs no room.
#[test]
fn a_text_can_be_given_up_behind_any_number_of_held_frames() {
    let mut scene = full(true);
    let now = scene.now();
    scene.connection.abort_body(now).unwrap();
    assert_eq!(scene.connection.poll_action(), Some(Action::CloseTransport(CloseReason::BodyAborted)));
    assert_eq!(scene.connection.poll_action(), Some(Action::OpenTransport));
    assert_eq!(scene.connection.poll_action(), None);
}

/// A notice in front of data harms nobody; a frame would be overtaken.
#[test]
fn data_may_be_begun_while_a_notice_waits() {
    let mut scene = active().connected();
    let now = scene.now();
    scene.connection.receive(now, &hex("0000000A FFFF 00 00 00 02 00000051")).unwrap();
    let begun = scene.connection.begin_primary(now, DEVICE, StreamFunction::new(1, 13), true, 0);
    assert_eq!(begun.unwrap().0, SystemBytes(0x52));
    assert_eq!(scene.connection.poll_action(), Some(Action::Notify(Notice::Selected)));
}

/// The ends of what was open are told before anything else is taken.
#[test]
fn nothing_is_taken_before_the_ends_are_told() {
    let mut scene = active().requesting();
    let now = scene.now();
    scene.connection.handle(now, Event::TransportClosed).unwrap();
    assert_eq!(scene.connection.next_deadline(), Some(now));
    scene.refuses(Error::ActionsPending, |connection, now| connection.enable(now));
    scene.refuses(Error::ActionsPending, |connection, now| connection.disable(now));
    assert_eq!(scene.connection.poll_action(), Some(Action::CloseTransport(CloseReason::TransportClosed)));
    scene.refuses(Error::ActionsPending, |connection, now| connection.disable(now));
    assert_eq!(scene.connection.next_deadline(), Some(now));
    assert!(matches!(
        scene.connection.poll_action(),
        Some(Action::Notify(Notice::TransactionEnded { system: OURS, .. }))
    ));
    assert_eq!(scene.connection.poll_action(), None);
    assert!(scene.connection.disable(now).is_ok());
}
