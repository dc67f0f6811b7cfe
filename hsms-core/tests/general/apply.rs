//! The pure form of what can be told to a connection with sessions.

use super::harness::*;
use crate::support::{active, passive};
use hsms_core::Error;
use hsms_core::connection::{Admission, Event, General, GeneralInput, Input, Outcome, apply, apply_general};
use hsms_core::time::Instant;
use hsms_core::wire::{SelectStatus, StreamFunction};

/// What `apply_general` promises to do, written out.
pub(crate) fn by_method<'i>(machine: &mut Machine, now: Instant, input: GeneralInput<'i>) -> Outcome<'i> {
    fn done(result: Result<(), Error>) -> Outcome<'static> {
        match result {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::Refused(error),
        }
    }
    fn requested(result: Result<hsms_core::wire::SystemBytes, Error>) -> Outcome<'static> {
        match result {
            Ok(system) => Outcome::Requested { system },
            Err(error) => Outcome::Refused(error),
        }
    }
    match input {
        // That one is held to the methods elsewhere; here only what differs.
        GeneralInput::Common(Input::Select) => Outcome::Refused(Error::CannotSelect),
        GeneralInput::Common(Input::Enable) => done(machine.enable(now)),
        GeneralInput::Common(Input::Disable) => done(machine.disable(now)),
        GeneralInput::Common(Input::Separate) => done(machine.separate(now)),
        GeneralInput::Common(Input::Handle(event)) => done(machine.handle(now, event)),
        GeneralInput::Common(Input::Linktest) => requested(machine.linktest(now)),
        GeneralInput::Common(input) => apply(machine, now, input),
        GeneralInput::SelectSession(session) => requested(machine.select_session(now, session)),
        GeneralInput::DeselectSession(session) => requested(machine.deselect_session(now, session)),
        GeneralInput::SeparateSession(session) => done(machine.separate_session(now, session)),
        GeneralInput::AnswerSelect { session, status } => done(machine.answer_select(now, session, status)),
        GeneralInput::SetAdmission { session, admission } => done(machine.set_admission(session, admission)),
        GeneralInput::SetBusy { session, busy } => done(machine.set_busy(session, busy)),
        GeneralInput::BeginPrimaryIn { session, stream_function, reply_expected, body_len } => {
            match machine.begin_primary_in(now, session, stream_function, reply_expected, body_len) {
                Ok((system, prefix)) => Outcome::Begun { system: Some(system), prefix },
                Err(error) => Outcome::Refused(error),
            }
        }
    }
}

fn inputs() -> Vec<GeneralInput<'static>> {
    let stream_function = StreamFunction::new(1, 1);
    let mut all = vec![
        GeneralInput::Common(Input::Enable),
        GeneralInput::Common(Input::Disable),
        GeneralInput::Common(Input::Separate),
        GeneralInput::Common(Input::Select),
        GeneralInput::Common(Input::Linktest),
        GeneralInput::Common(Input::EndBody),
        GeneralInput::Common(Input::Handle(Event::TransportOpen)),
        GeneralInput::Common(Input::Handle(Event::Timeout)),
    ];
    for session in [A, B, NOBODY] {
        let session = id(session);
        all.extend([
            GeneralInput::SelectSession(session),
            GeneralInput::DeselectSession(session),
            GeneralInput::SeparateSession(session),
            GeneralInput::AnswerSelect { session, status: SelectStatus(0) },
            GeneralInput::AnswerSelect { session, status: SelectStatus(5) },
            GeneralInput::SetAdmission { session, admission: Admission::Ask },
            GeneralInput::SetBusy { session, busy: true },
            GeneralInput::BeginPrimaryIn { session, stream_function, reply_expected: true, body_len: 0 },
            GeneralInput::BeginPrimaryIn { session, stream_function, reply_expected: false, body_len: u32::MAX },
        ]);
    }
    all
}

/// Every pair of inputs from every kind of state.
#[test]
fn it_does_what_the_methods_do() {
    let mut accepted = 0;
    for who in [passive(), active()] {
        let mut asked_of = Scene::connected(who, &[asking(A), offered(B)]);
        asked_of.takes(&select_req(A, 9), &[asked(A)]);
        asked_of.is_selected_by_peer(B);
        let scenes = [
            Scene::disabled(who, General::new(&[offered(A)]).unwrap()),
            Scene::connected(who, &[offered(A), offered(B)]),
            Scene::selected(who, &[A]),
            Scene::selected(who, &[A, B]),
            asked_of,
        ];
        for scene in scenes {
            for first in inputs() {
                for second in inputs() {
                    let (mut pure, mut typed) = (scene.machine.clone(), scene.machine.clone());
                    for input in [first.clone(), second] {
                        let before = pure.clone();
                        let now = scene.now();
                        let outcome = apply_general(&mut pure, now, input.clone());
                        assert_eq!(outcome, by_method(&mut typed, now, input.clone()), "{input:?}");
                        assert_eq!(pure, typed, "{input:?}");
                        if let Outcome::Refused(_) = outcome {
                            assert_eq!(pure, before, "refused, and yet something changed: {input:?}");
                        } else {
                            accepted += 1;
                        }
                        while let Some(action) = pure.poll_action() {
                            assert_eq!(typed.poll_action(), Some(action));
                        }
                        assert_eq!(typed.poll_action(), None);
                    }
                }
            }
        }
    }
    assert!(accepted > 1_000, "{accepted}");
}
