//! The machine of HSMS-SS and that of HSMS-GS against a model of both that is written from the standards' tables and from what
//! the core promises to its callers: where a connection is, what is open, what is under way in both directions, and when
//! each timer expires. Whatever is told, both say the same.

mod arrival;
mod causes;
mod commands;
mod general;
mod model;
mod outputs;
mod real;
mod single;
mod timers;

use hsms_core::connection::{Connection, General, Mode, Single};
use hsms_core::time::Instant;
use hsms_core::wire::{SessionId, SystemBytes};
use hsms_tests::generate;
use hsms_tests::machine::Machine;
use model::{Cause, Model, Place, ROOM, SESSIONS};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use real::Real;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::marker::PhantomData;

struct Reference<const GENERAL: bool>;

impl<const GENERAL: bool> ReferenceStateMachine for Reference<GENERAL> {
    type State = Model;
    type Transition = Cause;

    fn init_state() -> BoxedStrategy<Model> {
        causes::model(GENERAL)
    }

    fn transitions(model: &Model) -> BoxedStrategy<Cause> {
        causes::cause(model)
    }

    fn preconditions(model: &Model, cause: &Cause) -> bool {
        match cause {
            // Shrinking may take the primary away that a reply was for.
            Cause::Reply { place, .. } => *place < model.asked.len(),
            Cause::Expire | Cause::Tell(hsms_core::connection::Event::Timeout) => !model.is_tied(),
            // Where something is due it expires first.
            Cause::Pass(_) => model.deadline().is_none_or(|deadline| deadline > model.now),
            _ => true,
        }
    }

    fn apply(mut model: Model, cause: &Cause) -> Model {
        model.cause(cause);
        model
    }
}

/// Machines that a model stands for.
trait Made: Machine {
    fn made(model: &Model) -> Self;
    /// That the sessions are where the model has them.
    fn compare(&self, model: &Model);
}

impl Made for Connection<ROOM, Single> {
    fn made(model: &Model) -> Self {
        if model.setup.refusing {
            Connection::<0>::refusing(model.config()).resized().unwrap()
        } else {
            Connection::new(model.config())
        }
    }

    fn compare(&self, _: &Model) {}
}

impl Made for Connection<ROOM, General<SESSIONS>> {
    fn made(model: &Model) -> Self {
        let list = General::new(&model.setup.entities).unwrap();
        let list = if model.setup.mode == Mode::Undecided { list.or_single() } else { list };
        let make = if model.setup.refusing { Connection::general_refusing } else { Connection::general };
        make(model.config(), list)
    }

    fn compare(&self, model: &Model) {
        let selected = model.sessions.iter().filter(|session| session.selected).map(|session| session.entity.session);
        assert_eq!(self.selected_sessions().collect::<Vec<SessionId>>(), selected.collect::<Vec<_>>(), "{model:?}");
        assert_eq!(self.is_single(), model.connected() && model.mode == Mode::Single);
    }
}

struct Comparison<M, const GENERAL: bool>(PhantomData<M>);

impl<M: Made, const GENERAL: bool> StateMachineTest for Comparison<M, GENERAL> {
    type SystemUnderTest = Real<M>;
    type Reference = Reference<GENERAL>;

    fn init_test(model: &Model) -> Real<M> {
        Real::new(M::made(model))
    }

    fn apply(mut real: Real<M>, model: &Model, cause: Cause) -> Real<M> {
        let (mut out, mut expected) = (real.apply(&cause, model), model.out.clone());
        // In which order notices come at one moment is nobody's to say.
        for outputs in [&mut out, &mut expected] {
            outputs.told.sort_by_key(|notice| format!("{notice:?}"));
        }
        assert_eq!(out, expected, "the machine, and the model behind {cause:?}: {model:?}");
        real
    }

    fn check_invariants(real: &Real<M>, model: &Model) {
        let machine = real.watch.machine();
        assert_eq!(machine.state(), model.state());
        assert_eq!(machine.is_enabled(), model.place != Place::Disabled);
        assert_eq!(machine.is_body_open(), model.text);
        assert_eq!(machine.body_left(), model.arriving.as_ref().map_or(0, |arriving| arriving.len - arriving.offset));
        assert_eq!(machine.open_transactions(), model.open.len());
        assert_eq!(machine.next_deadline().map(Instant::as_millis), model.deadline(), "{model:?}");
        let tokens: Vec<_> =
            real.tokens.iter().map(|token| (token.system(), token.primary(), token.session())).collect();
        let asked = model.asked.iter().map(|asked| asked.header);
        let asked: Vec<_> = asked.map(|header| (header.system, header.stream_function(), header.session)).collect();
        assert_eq!(tokens, asked);
        for system in model.systems() {
            assert_eq!(machine.is_open(SystemBytes(system)), model.is_open(system), "{system} in {model:?}");
        }
        machine.compare(model);
    }
}

type OfSingle = Comparison<Connection<ROOM, Single>, false>;
type OfGeneral = Comparison<Connection<ROOM, General<SESSIONS>>, true>;

prop_state_machine! {
    #![proptest_config(generate::config(2_000))]

    #[test]
    fn the_machine_does_what_the_model_does(sequential 1..80 => OfSingle);

    #[test]
    fn the_machine_of_hsms_gs_does_what_the_model_does(sequential 1..80 => OfGeneral);
}

/// What sequences from a fixed seed bring about in the model, with how often.
fn reached<const GENERAL: bool>(cases: u32) -> BTreeMap<String, u32> {
    let mut config = generate::config(1);
    config.rng_seed = RngSeed::Fixed(37);
    let mut runner = TestRunner::new(config);
    let sequences = Reference::<GENERAL>::sequential_strategy(1..80);
    let mut reached = BTreeMap::new();
    for _ in 0..cases {
        let (mut model, causes, _) = sequences.new_tree(&mut runner).unwrap().current();
        let mut note = |what: String| *reached.entry(what).or_default() += 1;
        for cause in &causes {
            let (rest, text, paused) = (!model.rest.is_empty(), model.text, model.paused.is_some());
            let many = model.sessions.iter().filter(|session| session.selected).count() > 1;
            let forestalled = |model: &Model| model.requests().filter(|request| request.pointless).count();
            let pointless = forestalled(&model);
            model = Reference::<GENERAL>::apply(model, cause);
            note("steps".to_owned());
            note(format!("steps while {:?}", model.place));
            let out = &model.out;
            out.told.iter().for_each(|notice| note(variant(notice)));
            out.closed.iter().for_each(|reason| note(variant(reason)));
            out.refused.iter().for_each(|error| note(variant(error)));
            for piece in &out.pieces {
                note(variant(&piece.class));
                let last = piece.offset as usize + piece.octets.len() == piece.len as usize;
                if !piece.first {
                    note(format!("{}Piece", variant(&piece.class)));
                    if last {
                        note(format!("{}Last", variant(&piece.class)));
                    }
                }
            }
            for (holds, what) in [
                (many, "ManySessions"),
                (forestalled(&model) > pointless, "Forestalled"),
                (rest && paused && matches!(cause, Cause::Receive { .. }), "RestWhilePaused"),
                (rest && matches!(cause, Cause::Resume), "ResumedInside"),
                (text && !model.held.is_empty(), "Held"),
                (model.is_full(), "Full"),
                (out.sent.len() > 2, "Released"),
                (model.output.len() > 2, "Unwritten"),
                (model.mode == Mode::Single && model.connected(), "Single"),
            ] {
                if holds {
                    note(what.to_owned());
                }
            }
        }
    }
    reached
}

fn variant(value: &dyn Debug) -> String {
    let debug = format!("{value:?}");
    let name = debug.split([' ', '{', ':']).next().unwrap();
    // What codes mean stands behind them.
    if name.contains('(') && !name.ends_with(')') { format!("{name})") } else { name.to_owned() }
}

/// That each of these was reached.
fn assert_reached(name: &str, reached: &BTreeMap<String, u32>, expected: &[&str]) {
    let (steps, selected) = (reached["steps"], reached["steps while Selected"]);
    println!("{name}: {steps} steps, {} % of them SELECTED", 100 * selected / steps);
    let expected = expected.iter().flat_map(|part| part.split_whitespace());
    let missing: Vec<_> = expected.filter(|what| !reached.contains_key(*what)).collect();
    assert!(missing.is_empty(), "never reached: {missing:?} of {reached:?}");
    assert!(selected * 5 > steps, "{reached:?}");
}

/// Of both standards.
const BOTH: &str = "TransactionEnded LinktestAnswered LinktestMissed RejectReceived Disabled Separated TransportClosed \
    T6(Linktest) T7 T8 LengthTooLong LengthTooShort LooksLikeSecsI ControlText OutputStalled BodyAborted CallerRefused \
    Primary Reply Control Stray(Late) Stray(Orphan) Stray(Mismatched) TooLong Fatal Rejected(1) \
    PrimaryLast ReplyLast TooLongLast Rejected(1)Last PrimaryPiece ReplyPiece \
    NotConnected NotSelected TransactionsFull NoTransaction UnexpectedEvent InputPaused BodyOpen NoBodyOpen WrittenTooMuch \
    NotPrimary StaleToken NotForStream9 CannotSelect RestWhilePaused ResumedInside Held Full Released Unwritten \
    Lenient(LinktestExtended)";

#[test]
fn the_sequences_reach_every_end_and_notice_that_the_model_knows() {
    let single = "Selected Deselected SeparateReceived T6(Select) DeselectAnswered DataNotSelected Stray(UnknownDevice) \
        Stray(Late)Piece ControlOpen UnknownDevice SelectRefused(1) SelectRejected(0) UnexpectedMessage(1)";
    assert_reached("HSMS-SS", &reached::<false>(3_000), &[BOTH, single]);
}

#[test]
fn the_sequences_of_hsms_gs_reach_every_end_and_notice_that_the_model_knows() {
    let general = "SessionSelected SessionEnded SessionRefused SelectAsked Selected Deselected UnknownSession SessionSelected \
        SessionNotSelected NotAsked ControlOpen T6(Select) T6(Deselect) Stray(UnknownDevice)Piece ManySessions Forestalled \
        Single Rejected(4) Rejected(3)";
    assert_reached("HSMS-GS", &reached::<true>(3_000), &[BOTH, general]);
}
