//! The features `arbitrary` and `proptest` of the core: generators for every public value, and sequences that make sense.

#[path = "generators/shares.rs"]
mod shares;

use arbitrary::Unstructured;
use hsms_core::connection::{Action, Connection, GeneralInput, Outcome, Sessions, State};
use hsms_core::generate::{GeneralScript, MAX_STEPS, OwnedInput, OwnedMessage, Script, Seed, Step, octets};
use hsms_core::{collect, config, connection, counters, error, frame, secs2, services, time, wire};
use hsms_tests::generate::config as cases;
use hsms_tests::invariants::{Watch, step};
use hsms_tests::machine::Machine;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestRunner};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;
use syn::visit::Visit;

/// Types with both generators. One without does not compile.
macro_rules! owned {
    ( $( $area:ident $( :: $rest:ident )+ $( <$n:tt> )? ),* $(,)? ) => {
        fn owned() -> Vec<&'static str> {
            /// Strategies leave out what is refused, so that is to be nothing.
            fn both<T: for<'a> arbitrary::Arbitrary<'a> + Arbitrary>() {
                let mut random = fastrand::Rng::with_seed(1);
                for len in (0..300).chain([512, 1024, 2048]) {
                    let seed = Seed((0..len).map(|_| random.u8(..)).collect());
                    assert!(seed.make::<T>().is_ok(), "{} refuses {seed:?}", std::any::type_name::<T>());
                }
            }
            $( both::<$area $( :: $rest )+ $( <$n> )?>(); )*
            vec![ $( concat!(stringify!($area), $( "::", stringify!($rest) ),+) ),* ]
        }

        /// Each with the number of different values among many.
        fn kinds_of_owned(runner: &mut TestRunner) -> Vec<(&'static str, usize)> {
            vec![ $( (
                concat!(stringify!($area), $( "::", stringify!($rest) ),+),
                kinds((0..MANY).map(|_| any::<$area $( :: $rest )+ $( <$n> )?>().new_tree(runner).unwrap().current())),
            ) ),* ]
        }
    };
}

/// Types that lend octets: made of a [`Seed`].
macro_rules! lent {
    ( $( $area:ident $( :: $rest:ident )+ ( $ty:ty ) ),* $(,)? ) => {
        fn lent() -> Vec<&'static str> {
            fn one<T: arbitrary::Arbitrary<'static>>() {}
            $( one::<$ty>(); )*
            vec![ $( concat!(stringify!($area), $( "::", stringify!($rest) ),+) ),* ]
        }

        /// Each with the number of different values among many.
        fn kinds_of_lent(seeds: &'static [Seed]) -> Vec<(&'static str, usize)> {
            vec![ $( (
                concat!(stringify!($area), $( "::", stringify!($rest) ),+),
                kinds(seeds.iter().map(|seed| seed.make::<$ty>().unwrap())),
            ) ),* ]
        }
    };
}

/// Values made of each type, for those that say how many kinds there are.
const MANY: usize = 200;

fn kinds<T: std::fmt::Debug>(values: impl Iterator<Item = T>) -> usize {
    values.map(|value| format!("{value:?}")).collect::<BTreeSet<_>>().len()
}

owned! {
    wire::Header, wire::SessionId, wire::SystemBytes, wire::Kind, wire::StreamFunction, wire::TransactionKind, wire::PType, wire::SType,
    wire::SelectStatus, wire::DeselectStatus, wire::RejectReason, wire::ParseError, wire::BodyTooLong, wire::EncodeError,
    config::Config, config::ConnectMode, config::Entity, config::Profile, config::SelectMode, config::DeviceId,
    config::DeviceIds, config::ConfigError, config::Field,
    connection::Action, connection::Admission, connection::Class, connection::CloseReason, connection::ControlFrame,
    connection::ControlRequest, connection::Event, connection::FrameOctets, connection::General<4>, connection::Leniency,
    connection::Mode, connection::Notice, connection::ReplyToken, connection::SessionEnd, connection::SessionEntity,
    connection::SessionRefusal, connection::SessionsError, connection::Single, connection::State, connection::Stray,
    connection::Stream9, connection::TransactionEnd,
    counters::Closes, counters::Counters, counters::Leniencies, counters::Messages, counters::Rejects, counters::Strays,
    counters::Timeouts, counters::Traffic, counters::TransactionEnds,
    error::Error, error::Fault, collect::CollectError, collect::NoMemory, frame::LengthTooShort, time::Instant,
    time::WrappingTick,
    secs2::Encoding, secs2::Error, secs2::ErrorKind, secs2::Format, secs2::HeaderOctets, secs2::ItemHeader, secs2::Limits,
    secs2::SmlError, secs2::SmlErrorKind, secs2::SmlMessage, secs2::Summary, secs2::Tree, secs2::WriteError,
    secs2::serde::Cause,
    services::Answer, services::Complaint, services::Done, services::EndpointError, services::EndpointNotice,
    services::SendError, services::TableFull<u32>, services::Ticket, services::Unhandled, services::UnhandledPolicy,
    services::Waiting, services::CommunicationFailure, services::CommunicationState, services::InboxFull, services::NameAnswer,
    services::NameError, services::Pair, services::PairError, services::RegisterError, services::SecretTooShort,
    services::ServiceId, services::Status, services::TrustAnswer, services::TrustError, services::TrustFailure,
    services::TrustMessage, services::TrustSettings, services::TrustState, services::TrustStep,
}

lent! {
    wire::Message(wire::Message<'static>),
    wire::Hex(wire::Hex<'static>),
    frame::Piece(frame::Piece<'static>),
    collect::Collected(collect::Collected<'static>),
    connection::Inbound(connection::Inbound<'static>),
    connection::Input(connection::Input<'static>),
    connection::GeneralInput(GeneralInput<'static>),
    connection::Outcome(Outcome<'static>),
    secs2::Item(secs2::Item<'static>),
    secs2::Localized(secs2::Localized<'static>),
    secs2::Values(secs2::Values<'static, f32>),
    secs2::Step(secs2::Step<'static>),
    secs2::Sml(secs2::Sml<'static>),
    secs2::messages::Identity(secs2::messages::Identity<'static>),
    secs2::messages::EstablishAck(secs2::messages::EstablishAck<'static>),
    secs2::messages::SystemError(secs2::messages::SystemError<'static>),
    services::CommunicationMessage(services::CommunicationMessage<'static>),
    services::CommunicationSettings(services::CommunicationSettings<'static>),
    services::CommunicationVerdict(services::CommunicationVerdict<'static>),
    services::EndpointAction(services::EndpointAction<'static>),
    services::EndpointSettings(services::EndpointSettings<'static>),
    services::Outgoing(services::Outgoing<'static>),
    services::OwnMessage(services::OwnMessage<'static>),
    services::Response(services::Response<'static>),
    services::Kept(services::Kept<'static, services::ServiceId, u32>),
    services::ServiceMessage(services::ServiceMessage<'static>),
    services::Wanted(services::Wanted<services::ServiceId, u32>),
}

/// What is no value: it does something, and is made by its own constructor.
const MACHINERY: [(&str, &str); 28] = [
    ("connection::Connection", "the machine"),
    ("connection::Holders", "a register that is kept"),
    ("connection::Entry", "of the machine's own; not exported"),
    ("connection::Timer", "of feature `model`; a machine tells which it has armed"),
    ("frame::Decoder", "takes a stream apart"),
    ("collect::Collector", "puts messages together"),
    ("secs2::Reader", "reads a text"),
    ("secs2::Elements", "iterates"),
    ("secs2::Walk", "iterates"),
    ("secs2::ValuesIter", "iterates"),
    ("secs2::Writer", "writes a text"),
    ("secs2::Slice", "a sink"),
    ("secs2::Count", "a sink"),
    ("secs2::Pieces", "a sink"),
    ("secs2::SerdeError", "made by serde alone, around a Cause"),
    ("services::BeforeTrust", "a register that counts what it refuses"),
    ("services::ChannelName", "exchanges names"),
    ("services::Communication", "establishes communication"),
    ("services::DescribedError", "what Endpoint makes of an error to be printed"),
    ("services::DescribedNotice", "what Endpoint makes of a notice to be printed"),
    ("services::Described", "what Services makes of a message to be printed"),
    ("services::Endpoint", "all of the services"),
    ("services::Reaction", "lends a handler of the Endpoint's"),
    ("services::Inbox", "keeps messages"),
    ("services::Secret", "never shown"),
    ("services::Services", "a register"),
    ("services::Table", "a register"),
    ("services::Trust", "proves and verifies"),
];

/// Names of public types, by the folder or file they stand in.
struct Types {
    area: String,
    found: BTreeSet<String>,
}

impl Types {
    fn add(&mut self, name: &dyn std::fmt::Display) {
        self.found.insert(format!("{}::{name}", self.area));
    }
}

impl<'ast> Visit<'ast> for Types {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        if matches!(item.vis, syn::Visibility::Public(_)) {
            self.add(&item.ident);
        }
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        if matches!(item.vis, syn::Visibility::Public(_)) {
            self.add(&item.ident);
        }
    }

    /// Two macros of the core make types: their name stands in front of braces.
    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        if !item.mac.path.is_ident("codes") && !item.mac.path.is_ident("counts") {
            return;
        }
        let tokens: Vec<String> = item.mac.tokens.clone().into_iter().map(|token| token.to_string()).collect();
        let name = tokens.windows(2).find(|pair| pair[1].starts_with('{') && !pair[0].starts_with('#'));
        self.add(&name.expect("a name and its fields")[0]);
    }
}

fn scan(folder: &Path, types: &mut Types, top: bool) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        // Tests, whose modules no public one is; and what generates, which are no values to be generated.
        if name == "tests" || (top && name == "generate") {
            continue;
        }
        if top {
            types.area = name;
        }
        if path.is_dir() {
            scan(&path, types, false);
        } else {
            types.visit_file(&syn::parse_file(&std::fs::read_to_string(&path).unwrap()).unwrap());
        }
    }
}

#[test]
fn every_public_value_of_the_core_has_a_generator() {
    let mut types = Types { area: String::new(), found: BTreeSet::new() };
    scan(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../hsms-core/src"), &mut types, true);
    let short = |path: &str| {
        let (area, name) = (path.split("::").next().unwrap(), path.split("::").last().unwrap());
        format!("{area}::{name}")
    };
    let generated: BTreeSet<String> = owned().into_iter().chain(lent()).map(short).collect();
    let machinery: BTreeSet<String> = MACHINERY.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert!(types.found.len() > 80, "too few types found: {}", types.found.len());
    let missing: Vec<_> =
        types.found.iter().filter(|name| !generated.contains(*name) && !machinery.contains(*name)).collect();
    assert!(missing.is_empty(), "without a generator, and not called machinery: {missing:?}");
    let gone: Vec<_> = generated.union(&machinery).filter(|name| !types.found.contains(*name)).collect();
    assert!(gone.is_empty(), "in the lists, and no such type is there: {gone:?}");
}

/// Tells all steps to a machine. Gives the names of what it did.
fn follow<M: Machine>(machine: M, steps: &[Step], reached: &mut BTreeMap<String, usize>) {
    let mut watch = Watch::new(machine);
    for Step { now, input } in steps {
        let (outcome, actions) = watch.tell(*now, input.as_input()).unwrap_or_else(|broken| panic!("{broken}"));
        assert!(!matches!(outcome, Outcome::Refused(_)), "{input:?} at {now:?}: {outcome:?}");
        if let (GeneralInput::Common(connection::Input::Receive(octets)), Outcome::Received { taken, .. }) =
            (input.as_input(), &outcome)
        {
            assert_eq!(*taken, octets.len(), "all of it is taken at once");
        }
        // What is due comes to an end, and so does NOT SELECTED.
        watch.clone().fire(*now).unwrap_or_else(|broken| panic!("{broken}"));
        let mut note = |what: String| *reached.entry(what).or_default() += 1;
        if let Outcome::Received { inbound: Some(inbound), .. } = &outcome {
            note(variant(&inbound.class));
        }
        for action in &actions {
            match action {
                Action::Notify(notice) => note(variant(notice)),
                Action::CloseTransport(reason) => note(variant(reason)),
                Action::Send(frame) => note(frame.header().name().to_owned()),
                Action::OpenTransport => note("OpenTransport".to_owned()),
            }
        }
        if watch.machine().state() == State::Selected {
            note("steps while SELECTED".to_owned());
        }
        note("steps".to_owned());
    }
}

fn variant(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").split([' ', '(', '{']).next().unwrap().to_owned()
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn no_step_of_a_script_is_refused(script in any::<Script>()) {
        prop_assert!(script.steps.len() <= MAX_STEPS);
        follow(script.connection(), &script.steps, &mut BTreeMap::new());
    }

    #[test]
    fn no_step_of_a_script_of_hsms_gs_is_refused(script in any::<GeneralScript>()) {
        follow(script.connection(), &script.steps, &mut BTreeMap::new());
    }

    #[test]
    fn the_same_octets_make_the_same_script(seed in any::<Seed>()) {
        prop_assert_eq!(seed.make::<Script<2>>().unwrap(), seed.make::<Script<2>>().unwrap());
    }

    #[test]
    fn an_input_that_owns_its_octets_is_the_input(seed in any::<Seed>()) {
        let input: GeneralInput<'_> = seed.make().unwrap();
        let owned = OwnedInput::from(input.clone());
        prop_assert_eq!(owned.as_input(), input);
    }
}

#[test]
fn scripts_are_selected_most_of_the_time_and_reach_what_can_happen() {
    let mut config = cases(1);
    config.rng_seed = RngSeed::Fixed(37);
    let mut runner = TestRunner::new(config);
    let strategy = any::<(Script, GeneralScript)>();
    let (mut single, mut general) = (BTreeMap::new(), BTreeMap::new());
    for _ in 0..3_000 {
        let (ss, gs) = strategy.new_tree(&mut runner).unwrap().current();
        follow(ss.connection(), &ss.steps, &mut single);
        follow(gs.connection(), &gs.steps, &mut general);
    }
    let share = |reached: &BTreeMap<String, usize>| 100 * reached["steps while SELECTED"] / reached["steps"];
    println!(
        "scripts: {} steps, {} % SELECTED; GS {} steps, {} %",
        single["steps"],
        share(&single),
        general["steps"],
        share(&general)
    );
    assert!(share(&single) >= 30, "{single:?}");
    let missing = |reached: &BTreeMap<String, usize>, expected: &str| -> Vec<String> {
        expected.split(' ').filter(|what| !reached.contains_key(*what)).map(str::to_owned).collect()
    };
    let both = "Primary Reply Control Stray Rejected Selected TransactionEnded LinktestAnswered RejectReceived OpenTransport \
        SelectReq SelectRsp LinktestReq LinktestRsp RejectReq StreamFunction Disabled Separated T6 T7 T8 TransportClosed \
        OutputStalled BodyAborted";
    let both = both.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(missing(&single, &both), [""; 0], "{single:?}");
    assert_eq!(missing(&single, "Lenient Deselected SeparateReceived SelectRefused TooLong LinktestMissed"), [""; 0]);
    let general_only = "SessionSelected SessionEnded SessionRefused SelectAsked DeselectReq DeselectRsp SeparateReq";
    assert_eq!(missing(&general, general_only), [""; 0], "{general:?}");
}

#[test]
fn a_failing_script_shrinks_to_the_steps_that_matter() {
    let mut config = cases(1);
    config.rng_seed = RngSeed::Fixed(37);
    config.cases = 500;
    config.max_shrink_iters = 20_000;
    let fails = |script: &Script| {
        let mut connection = script.connection();
        script.steps.iter().any(|Step { now, input }| {
            let GeneralInput::Common(input) = input.as_input() else { unreachable!() };
            connection::apply(&mut connection, *now, input);
            while connection.poll_action().is_some() {}
            connection.state() == State::Selected
        })
    };
    let result = TestRunner::new(config).run(&any::<Script>(), |script| {
        prop_assert!(!fails(&script));
        Ok(())
    });
    let Err(proptest::test_runner::TestError::Fail(_, script)) = result else { panic!("some script selects") };
    // Enable, open, and a Select.req or its answer: no more than a few steps beside them.
    assert!(script.steps.len() <= 6, "{} steps: {script:#?}", script.steps.len());
    assert!(fails(&script));
}

#[test]
fn every_generator_makes_all_kinds_of_values() {
    static SEEDS: LazyLock<Vec<Seed>> = LazyLock::new(|| {
        let mut runner = TestRunner::new(cases(1));
        (0..MANY).map(|_| octets(96).new_tree(&mut runner).unwrap().current()).collect()
    });
    let mut runner = TestRunner::new(cases(1));
    let kinds: BTreeMap<_, _> = kinds_of_owned(&mut runner).into_iter().chain(kinds_of_lent(&SEEDS)).collect();
    assert_eq!(kinds.len(), owned().len() + lent().len());
    for (name, kinds) in kinds {
        let all = match name {
            "collect::NoMemory" | "connection::Single" => 1..=1,
            "config::ConnectMode" | "config::Entity" | "config::Profile" | "config::SelectMode" => 2..=2,
            "connection::State" | "connection::Mode" | "connection::ControlRequest" | "connection::Stream9" => 3..=3,
            "connection::Event" | "connection::SessionEnd" | "connection::Stray" | "error::Fault" => 4..=4,
            "services::CommunicationState" => 4..=4,
            "services::TrustState" => 5..=5,
            "config::Field" => 11..=11,
            "secs2::Format" => 16..=16,
            _ => 2..=MANY,
        };
        assert!(all.contains(&kinds), "{name}: {kinds} kinds, and not {all:?}");
    }
}

#[test]
fn a_message_that_owns_its_octets_is_the_message() {
    let (mut runner, mut most) = (TestRunner::new(cases(1)), 0);
    for _ in 0..MANY {
        let (seed, owned) = any::<(Seed, OwnedMessage)>().new_tree(&mut runner).unwrap().current();
        assert_eq!(OwnedMessage::from(owned.as_message()), owned);
        let message: wire::Message<'_> = seed.make().unwrap();
        assert_eq!(OwnedMessage::from(message).as_message(), message);
        assert_eq!(seed.make::<OwnedMessage>().unwrap().as_message(), message);
        assert_eq!(seed.make::<OwnedInput>().unwrap().as_input(), seed.make::<GeneralInput<'_>>().unwrap());
        // A seed for others can be made of one.
        let inner = seed.make::<Seed>().unwrap().0.len();
        assert!(inner <= seed.0.len());
        most = most.max(inner);
    }
    assert!(most > 0, "no seed has a seed with octets");
}

#[test]
fn generated_lists_are_nested_to_a_depth_whatever_the_octets_say() {
    let lists = |octets: &[u8]| {
        let tree: secs2::Tree = Seed(octets.to_vec()).make().unwrap();
        let text = hsms_tests::secs2::encode(&tree, &mut || false);
        assert_eq!(secs2::Tree::read(&text, secs2::Limits::default()).as_ref(), Ok(&tree));
        tree.to_string().matches("<L").count()
    };
    // A list of one element, again and again.
    let inside = [[0].as_slice(), &[0, 1].repeat(6), &[0]].concat();
    assert_eq!(lists(&[inside.as_slice(), &[0; 40]].concat()), 7);
    assert_eq!(lists(&[inside.as_slice(), &[7, 26]].concat()), 33);
    assert_eq!(lists(&[inside.as_slice(), &[7, 25]].concat()), 32);
}

#[test]
fn without_octets_every_value_is_its_simplest() {
    let seed = Seed::default();
    assert_eq!(
        seed.make::<config::Config>().unwrap(),
        config::Config::new(
            config::ConnectMode::Active,
            config::Entity::Host,
            config::DeviceIds::one(config::DeviceId::new(0).unwrap()),
        )
    );
    assert_eq!(seed.make::<secs2::Tree>().unwrap(), secs2::Tree::List(Vec::new()));
    assert_eq!(seed.make::<Script>().unwrap().steps, []);
    assert_eq!(seed.make::<time::Instant>().unwrap(), time::Instant::EPOCH);
}

#[test]
fn generated_values_print_and_are_what_they_are_for_any_octets() {
    // A generator must be total: all short octets, and many long ones.
    let mut runner = TestRunner::new(cases(1));
    let strategy = octets(96);
    let mut kinds = BTreeSet::new();
    for _ in 0..5_000 {
        let seed = strategy.new_tree(&mut runner).unwrap().current();
        kinds.insert(variant(&seed.make::<connection::Notice>().unwrap()));
        kinds.insert(variant(&seed.make::<connection::CloseReason>().unwrap()));
        for printed in [
            seed.make::<connection::Notice>().unwrap().to_string(),
            seed.make::<connection::CloseReason>().unwrap().to_string(),
            seed.make::<error::Error>().unwrap().to_string(),
            seed.make::<config::ConfigError>().unwrap().to_string(),
            seed.make::<secs2::Error>().unwrap().to_string(),
            seed.make::<secs2::WriteError>().unwrap().to_string(),
            seed.make::<collect::CollectError>().unwrap().to_string(),
            seed.make::<wire::Header>().unwrap().to_string(),
            seed.make::<Action>().unwrap().to_string(),
        ] {
            assert!(!printed.is_empty());
        }
        let piece = seed.make::<frame::Piece<'_>>().unwrap();
        assert!(piece.offset as usize + piece.body.len() <= piece.body_len as usize);
        assert!(!piece.first() || piece.offset == 0);
        let ids = *seed.make::<config::Config>().unwrap().device_ids();
        assert!(ids.as_slice().len() <= config::MAX_DEVICE_IDS);
        let _: counters::Counters = seed.make().unwrap();
        let list = seed.make::<connection::General<3>>().unwrap();
        assert_eq!(list, Unstructured::new(&seed.0).arbitrary().unwrap());
    }
    assert!(kinds.len() > 25, "{kinds:?}");
}

/// The steps are the same for whatever sessions: `step` and `Watch` look at both.
#[test]
fn a_script_is_followed_step_by_step_as_well() {
    fn run<const T: usize, S: Sessions>(mut connection: Connection<T, S>, steps: &[Step])
    where
        Connection<T, S>: Machine,
    {
        for Step { now, input } in steps {
            step(&mut connection, *now, input.as_input()).unwrap();
        }
    }
    let seed = Seed((0..=255).cycle().take(700).map(|octet: u8| octet.wrapping_mul(167)).collect());
    let (single, general): (Script, GeneralScript) = (seed.make().unwrap(), seed.make().unwrap());
    assert!(single.steps.len() > 10 && general.steps.len() > 10);
    run(single.connection(), &single.steps);
    run(general.connection(), &general.steps);
}

#[test]
fn a_script_ends_at_its_most_steps_though_another_timer_is_due() {
    // One of about ten thousand seeds makes such a script.
    let is_cut_short = |seed| {
        let mut random = fastrand::Rng::with_seed(seed);
        let octets = std::iter::repeat_with(|| random.u8(..)).take(600).collect();
        let script: Script = Seed(octets).make().unwrap();
        assert!(script.steps.len() <= MAX_STEPS);
        let Some(last) = script.steps.last().filter(|_| script.steps.len() == MAX_STEPS) else { return false };
        let mut connection = script.connection();
        for Step { now, input } in &script.steps {
            step(&mut connection, *now, input.as_input()).unwrap();
        }
        connection.next_deadline().is_some_and(|deadline| deadline <= last.now)
    };
    assert!((0..200_000).any(is_cut_short), "a script that ends while another timer is due");
}
