//! The models that are explored.

use hsms_core::config::{Config, DeviceId, Entity, Profile, SelectMode};
use hsms_core::connection::{Admission, Connection, General, SessionEntity};
use hsms_tests::model::subject::SESSIONS;
use hsms_tests::model::{Budget, Commands, Setup, Situation};
use hsms_tests::scale;
use std::time::Duration;

/// A machine of HSMS-SS with room for two transactions.
type Machine = Connection<2>;

/// One of HSMS-GS.
type Entities = Connection<2, General<2>>;

fn device() -> DeviceId {
    DeviceId::new(1).unwrap()
}

fn host() -> Config {
    Config::host(device())
}

fn equipment() -> Config {
    Config::equipment(device())
}

const fn budget(cuts: u8, splits: u8, restarts: u8) -> Budget {
    Budget { cuts, splits, restarts }
}

const CALLS: Commands =
    Commands { disable: true, separate: true, linktest: true, primaries: [true; 2], reply: true, ..Commands::NONE };

/// Both ends ask and answer, test the link, separate and disable. `full`: two transactions each, three cuts.
pub fn calls() -> Setup<Machine> {
    let name = "SS: both ends ask, one transaction each";
    let mut setup = Setup::new(name, Machine::new(host()), Machine::new(equipment()));
    setup.commands = CALLS;
    setup.must = &[
        Situation::SelectUnanswered,
        Situation::DataBehindSelect,
        Situation::Answered,
        Situation::LinkLost,
        Situation::Late,
        Situation::Reported,
        Situation::Silent,
        Situation::LinktestsCross,
        Situation::LinktestUnanswered,
        Situation::ReplyCrossesSeparate,
        Situation::StaleToken,
        Situation::DialFailed,
        Situation::AcceptedTooLate,
    ];
    if scale() > 1 {
        setup.budget = budget(1, 1, 1);
    }
    setup
}

/// The largest: by command.
pub fn two_each() -> Setup<Machine> {
    let mut setup = calls();
    setup.name = "SS: both ends ask, two transactions each, three cuts";
    setup.open = 2;
    setup.budget = budget(3, 1, 1);
    setup
}

/// The same as [`texts`], with octets told of as written at any later step. By command.
pub fn texts_written_late() -> Setup<Machine> {
    let mut setup = texts();
    setup.name = "SS: texts in steps, written late";
    setup.commands.written = true;
    setup
}

/// Texts that are written in steps, and given up; SxF0; transactions given up; splits everywhere.
pub fn texts() -> Setup<Machine> {
    let mut setup = Setup::new("SS: texts in steps", Machine::new(host()), Machine::new(equipment()));
    setup.commands = Commands {
        linktest: true,
        primaries: [true, false],
        unanswered: [false, true],
        reply: true,
        abort: true,
        forget: true,
        texts: true,
        ..Commands::NONE
    };
    setup.text = 2;
    setup.budget = budget(1, 1, 0);
    setup.must = &[
        Situation::Aborted,
        Situation::SplitInLength,
        Situation::SplitInHeader,
        Situation::SplitInText,
        Situation::CutInFrame,
        Situation::T8,
        Situation::BodyAborted,
        Situation::Held,
    ];
    setup
}

/// The strict profile, and equipment that dials.
pub fn strict() -> Setup<Machine> {
    let strict = |config: Config| config.with_profile(Profile::Strict).unwrap();
    let active = strict(host().with_entity(Entity::Equipment));
    let passive = equipment().with_entity(Entity::Host);
    let mut setup = Setup::new("SS: strict equipment dials", Machine::new(active), Machine::new(passive));
    setup.commands = Commands { linktest: true, primaries: [true, false], reply: true, ..Commands::NONE };
    setup.budget = budget(0, 0, 1);
    setup.must = &[Situation::Reported, Situation::HalfOpen, Situation::RestartWhileSelected];
    setup
}

/// The application selects.
pub fn on_command() -> Setup<Machine> {
    let active = Machine::new(host().with_select_mode(SelectMode::OnCommand));
    let mut setup = Setup::new("SS: selected by command", active, Machine::new(equipment()));
    setup.commands = Commands {
        select: true,
        separate: true,
        disable: true,
        primaries: [false, true],
        reply: true,
        ..Commands::NONE
    };
    setup.must = &[Situation::DataBehindSelect];
    setup
}

/// Time is kept: timers fire when they are due.
pub fn timed() -> Setup<Machine> {
    let linktest = Duration::from_secs(30);
    let config = |config: Config| config.with_linktest_period(linktest).unwrap();
    let mut setup = Setup::new("SS: time is kept", Machine::new(config(host())), Machine::new(config(equipment())));
    setup.timed = true;
    setup.commands = Commands { separate: true, ..Commands::NONE };
    setup.budget = budget(1, 0, 1);
    setup.must = &[
        Situation::SelectUnanswered,
        Situation::LinktestUnanswered,
        Situation::LinktestsCross,
        Situation::DialFailed,
        Situation::AcceptedTooLate,
        Situation::RestartWhileSelected,
        Situation::HalfOpen,
    ];
    setup
}

/// Both ends count from 1.
pub fn colliding() -> Setup<Machine> {
    let mut setup = Setup::new("SS: both count from 1", Machine::new(host()), Machine::new(equipment()));
    setup.commands = Commands { linktest: true, primaries: [true; 2], reply: true, abort: true, ..Commands::NONE };
    setup.collide = Some(4);
    setup.must = &[Situation::Colliding];
    setup
}

/// Input is paused and resumed.
pub fn pausing() -> Setup<Machine> {
    let mut setup = Setup::new("SS: pauses", Machine::new(host()), Machine::new(equipment()));
    setup.commands = Commands { pause: true, primaries: [true, false], reply: true, ..Commands::NONE };
    setup.must = &[Situation::Paused];
    setup
}

/// From every world both ends become SELECTED again. `asks`: the active end, and the passive one. Both at once are twenty times as many
/// worlds.
pub fn recovering(asks: [bool; 2]) -> Setup<Machine> {
    let name = match asks {
        [true, false] => "SS: from everywhere to SELECTED, the active end asks",
        [false, true] => "SS: from everywhere to SELECTED, the passive end asks",
        _ => "SS: from everywhere to SELECTED, both ask",
    };
    let mut setup = Setup::new(name, Machine::new(host()), Machine::new(equipment()));
    setup.commands = Commands { disable: true, separate: true, primaries: asks, reply: true, ..Commands::NONE };
    setup.budget = budget(1, 0, 1);
    setup.recovers = true;
    setup.must = &[Situation::RestartWhileSelected, Situation::HalfOpen];
    setup
}

/// The same in HSMS-GS, with a session that the active end wants, and deselects and separates.
pub fn recovering_session(asks: [bool; 2]) -> Setup<Entities> {
    let wanted = General::new(&[SessionEntity::wanted(SESSIONS[0])]).unwrap();
    let offered = General::new(&[SessionEntity::offered(SESSIONS[0])]).unwrap();
    let (active, passive) = (Entities::general(host(), wanted), Entities::general(equipment(), offered));
    let name = match asks {
        [true, false] => "GS: from everywhere to SELECTED, the active end asks",
        [false, true] => "GS: from everywhere to SELECTED, the passive end asks",
        _ => "GS: from everywhere to SELECTED, both ask",
    };
    let mut setup = Setup::new(name, active, passive);
    setup.commands = Commands { sessions: [true, false], primaries: asks, reply: true, ..Commands::NONE };
    setup.crossing = 1;
    setup.budget = budget(u8::from(scale() > 1), 0, 0);
    setup.recovers = true;
    setup.must = &[Situation::Deselected, Situation::SessionSeparated, Situation::LinkLost];
    setup
}

fn entities(config: Config, entities: &[SessionEntity]) -> Entities {
    let config = config.with_select_mode(SelectMode::OnCommand).with_linktest_period(Duration::ZERO).unwrap();
    Entities::general(config, General::new(entities).unwrap())
}

/// One session that either end selects, deselects and separates, with data; from `ci` on with a cut, a split and a restart.
pub fn session() -> Setup<Entities> {
    let offered = [SessionEntity::offered(SESSIONS[0])];
    let mut setup = Setup::new("GS: one session", entities(host(), &offered), entities(equipment(), &offered));
    setup.commands = Commands { sessions: [true; 2], primaries: [true, false], reply: true, ..Commands::NONE };
    setup.crossing = 2;
    if scale() > 1 {
        setup.budget = budget(1, 1, 1);
    }
    setup.must = &[Situation::Deselected, Situation::SessionSeparated, Situation::DataCrossesEnd];
    setup
}

/// One session with data of both ends, and a cut. From `ci` on.
pub fn session_both() -> Setup<Entities> {
    let mut setup = session();
    setup.name = "GS: one session, both ends ask";
    setup.commands.primaries = [true; 2];
    setup.budget = budget(1, 0, 0);
    setup.must = &[Situation::Answered, Situation::Deselected, Situation::SessionSeparated, Situation::DataCrossesEnd];
    setup
}

/// The same with a split and a restart. By command.
pub fn session_both_whole() -> Setup<Entities> {
    let mut setup = session_both();
    setup.name = "GS: one session, both ends ask, a cut, a split and a restart";
    setup.budget = budget(1, 1, 1);
    setup
}

/// One session and linktests, and no data; at `ci` with a cut, at `full` with a split and a restart too.
pub fn session_tested() -> Setup<Entities> {
    let mut setup = session();
    setup.name = "GS: one session, linktests";
    setup.commands = Commands { linktest: true, primaries: [false; 2], reply: false, ..setup.commands };
    setup.budget = match scale() {
        1 => budget(0, 0, 0),
        10 => budget(1, 0, 0),
        _ => budget(1, 1, 1),
    };
    setup.must = &[Situation::Deselected, Situation::SessionSeparated, Situation::LinktestsCross];
    setup
}

/// The largest of HSMS-GS: everything that the others have one by one, and commands that end the link. By command.
pub fn session_whole() -> Setup<Entities> {
    let mut setup = session();
    setup.name = "GS: one session, linktests, separated and disabled";
    setup.commands = Commands { linktest: true, separate: true, disable: true, ..setup.commands };
    setup
}

/// Two sessions, and no data.
pub fn sessions() -> Setup<Entities> {
    let offered = SESSIONS.map(SessionEntity::offered);
    let mut setup = Setup::new("GS: two sessions", entities(host(), &offered), entities(equipment(), &offered));
    setup.commands = Commands { sessions: [true, scale() > 1], ..Commands::NONE };
    setup.crossing = 2;
    setup.must = &[Situation::Deselected, Situation::SessionSeparated, Situation::SelectUnanswered];
    setup
}

/// The application decides on each Select.req, and may still need the session.
pub fn asking() -> Setup<Entities> {
    let wanted = [SessionEntity::wanted(SESSIONS[0])];
    let offered = [SessionEntity::offered(SESSIONS[0]).with_admission(Admission::Ask)];
    let mut setup =
        Setup::new("GS: the application decides", entities(host(), &wanted), entities(equipment(), &offered));
    setup.commands = Commands { sessions: [true, false], busy: true, ..Commands::NONE };
    setup.crossing = 2;
    if scale() > 1 {
        setup.commands.linktest = true;
        setup.budget = budget(1, 1, 1);
    }
    (setup.commands.separate, setup.commands.disable) = (scale() > 10, scale() > 10);
    setup.must = &[Situation::Asked, Situation::Busy, Situation::SelectRefused];
    setup
}

/// Before a peer that may send anything: both roles, both entities, both profiles, one that selects by command, and one that
/// refuses a second caller.
pub fn free() -> Vec<Setup<Machine>> {
    let active = host();
    let strict = |config: Config| config.with_profile(Profile::Strict).unwrap();
    let short = |config: Config| config.with_max_message(20).unwrap();
    let machines = [
        ("SS: active host before any peer", Machine::new(short(active))),
        (
            "SS: strict active equipment before any peer",
            Machine::new(short(strict(active.with_entity(Entity::Equipment)))),
        ),
        ("SS: passive equipment before any peer", Machine::new(short(equipment()))),
        ("SS: strict passive host before any peer", Machine::new(short(strict(equipment().with_entity(Entity::Host))))),
        (
            "SS: active host, by command, before any peer",
            Machine::new(short(active.with_select_mode(SelectMode::OnCommand).with_linktest_threshold(2).unwrap())),
        ),
        ("SS: a machine that refuses a second caller before any", Machine::refusing(short(equipment()))),
    ];
    let before = |(name, machine)| before_any(name, machine, Machine::new(equipment()));
    let mut setups: Vec<Setup<Machine>> = machines.into_iter().map(before).collect();
    setups[0].must = ANY_ACTIVE;
    setups[4].must = &[Situation::LinktestMissed];
    setups[5].must = REFUSED;
    setups
}

/// The same for HSMS-GS.
pub fn free_sessions() -> Setup<Entities> {
    let offered = [SessionEntity::offered(SESSIONS[0])];
    let machine = entities(equipment().with_max_message(20).unwrap(), &offered);
    let mut setup = before_any("GS: equipment before any peer", machine.clone(), machine);
    setup.commands.sessions = [true, false];
    // With splits as well, these are ten times as many worlds.
    setup.commands.linktest = scale() > 10;
    setup.must = &[Situation::T7AgainstTraffic, Situation::SecondSelect];
    setup
}

/// The same for a host that dials and wants the session.
pub fn free_sessions_active() -> Setup<Entities> {
    let wanted = General::new(&[SessionEntity::wanted(SESSIONS[0])]).unwrap();
    let config = host().with_max_message(20).unwrap().with_linktest_period(Duration::ZERO).unwrap();
    let machine = Entities::general(config, wanted);
    let mut setup = before_any("GS: active host before any peer", machine.clone(), machine);
    setup.commands.sessions = [true, false];
    setup.commands.linktest = scale() > 10;
    setup.must = &[Situation::SelectRefused, Situation::SelectUnanswered, Situation::SessionSeparated];
    setup
}

/// The same with linktests, and no splits.
pub fn free_sessions_tested() -> Setup<Entities> {
    let mut setup = free_sessions();
    setup.name = "GS: equipment before any peer, linktests";
    setup.commands.linktest = true;
    setup.budget.splits = 0;
    setup
}

/// What every machine of HSMS-SS meets before a peer that may send anything.
const ANY: &[Situation] = &[
    Situation::Colliding,
    Situation::Answered,
    Situation::Aborted,
    Situation::Rejected,
    Situation::LinkLost,
    Situation::Late,
    Situation::Orphan,
    Situation::Mismatched,
    Situation::StrayReject,
    Situation::NotOpen,
    Situation::DataNotSelected,
    Situation::UnknownDevice,
    Situation::UnknownType,
    Situation::TooLong,
    Situation::LinktestsCross,
    Situation::SplitInLength,
    Situation::SplitInHeader,
    Situation::SplitInText,
    Situation::CutInFrame,
    Situation::T8,
    Situation::StaleToken,
    Situation::SecsI,
    Situation::LengthTooShort,
];

/// What an active one meets that selects by itself, in the default profile.
const ANY_ACTIVE: &[Situation] =
    &[Situation::SimultaneousSelect, Situation::SelectRefused, Situation::SelectUnanswered, Situation::SelectRejected];

/// What one meets that refuses its caller.
const REFUSED: &[Situation] = &[
    Situation::T7AgainstTraffic,
    Situation::DataNotSelected,
    Situation::UnknownType,
    Situation::SplitInLength,
    Situation::SplitInHeader,
    Situation::CutInFrame,
    Situation::T8,
    Situation::SecsI,
    Situation::LengthTooShort,
];

fn before_any<M: hsms_tests::model::Subject>(name: &'static str, machine: M, other: M) -> Setup<M> {
    let mut setup = Setup::new(name, machine, other);
    setup.free = true;
    setup.budget = budget(1, 1, 0);
    setup.commands = Commands {
        select: true,
        linktest: true,
        separate: true,
        primaries: [true, false],
        reply: true,
        forget: true,
        ..Commands::NONE
    };
    setup.must = ANY;
    setup
}
