//! Every rule of `hsms_std::conformance` against our own implementations: in memory under a virtual clock, over sockets, the embedded adapter
//! over sockets, and against subjects that are broken on purpose.
//!
//! One test for each rule and each kind of subject it applies to. Figures are printed at the end.

#[path = "conformance/embedded.rs"]
mod embedded;
#[path = "embassy/openers.rs"]
mod openers;
#[path = "embassy/kit/time.rs"]
#[expect(dead_code, reason = "time is real here")]
mod time;

use hsms_core::connection::CloseReason;
use hsms_core::time::Instant;
use hsms_core::wire::SType;
use hsms_std::conformance::blocking::Blocking;
use hsms_std::conformance::memory::{Input, Memory, Output, Subject, ours};
use hsms_std::conformance::socket::{Application, EARLY, LATE, LONGEST_WAIT, SETTLE, Socket};
use hsms_std::conformance::{
    Command, Document, Entities, Outcome, Report, Role, Rule, Setup, Stop, Verdict, page, rules,
};
use hsms_std::core::config::Profile;
use hsms_std::{Config, Connection};
use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Over sockets, how many of a hundred have to be decided.
const DECIDED_OVER_SOCKETS: usize = 80;

/// The same for the embedded adapter, whose application cannot be commanded.
const DECIDED_OF_THE_ADAPTER: usize = 40;

/// What has become of the trials of one bench.
#[derive(Default)]
struct Tally {
    passed: AtomicUsize,
    failed: AtomicUsize,
    undecided: Mutex<Vec<String>>,
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Tests over sockets wait more than they compute.
    arguments.test_threads = arguments.test_threads.or(Some(24));
    let [memory, sockets, adapter] = [(); 3].map(|()| Arc::new(Tally::default()));
    let mut trials = vec![
        Trial::test("ids_are_unique_and_well_formed", ids),
        Trial::test("every_place_exists", places),
        Trial::test("page_is_up_to_date", page_is_up_to_date),
    ];
    for rule in rules() {
        for setup in rule.setups() {
            let name = format!("{}::{}", rule.id, setup.name());
            let tally = memory.clone();
            trials.push(Trial::test(format!("memory::{name}"), move || {
                tally.judge(&name, &rule.verdict(&mut Memory::ours(setup)), true)?;
                // A subject that is told a millisecond late that a deadline has come.
                let late = rule.verdict(&mut Memory::ours(setup).late(Duration::from_millis(1)));
                if late.is_pass() { Ok(()) } else { Err(format!("a millisecond late: {late}").into()) }
            }));
            let name = format!("{}::{}", rule.id, setup.name());
            let tally = sockets.clone();
            trials.push(Trial::test(format!("socket::{name}"), move || {
                tally.judge(&name, &over_sockets(rule, setup)?, false)
            }));
            let name = format!("{}::{}", rule.id, setup.name());
            let tally = adapter.clone();
            trials.push(Trial::test(format!("embedded::{name}"), move || {
                tally.judge(&name, &of_the_adapter(rule, setup)?, false)
            }));
        }
    }
    for active in [false, true] {
        let name = if active { "an_active_stranger" } else { "a_passive_stranger" };
        trials.push(Trial::test(format!("stranger::{name}"), move || stranger(active)));
    }
    trials.push(Trial::test("gate::finds_an_application_out_of_reach", gate));
    for broken in BROKEN {
        trials.push(Trial::test(format!("broken::{}", broken.name), move || caught(broken)));
    }
    let everything = arguments.filter.is_none() && !arguments.list && arguments.skip.is_empty();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if arguments.list {
        return conclusion.exit_code();
    }
    figures();
    memory.print("in memory");
    sockets.print("over sockets");
    adapter.print("the embedded adapter, over sockets");
    for (tally, what, least) in
        [(sockets, "over sockets", DECIDED_OVER_SOCKETS), (adapter, "of the embedded adapter", DECIDED_OF_THE_ADAPTER)]
    {
        if everything && !tally.is_enough(least) {
            println!("{what} fewer than {least} % are decided");
            return ExitCode::FAILURE;
        }
    }
    conclusion.exit_code()
}

/// The verdict on our blocking connection. A machine that runs other things beside may stand still for longer than a timer: a failure is one
/// that longer timers and more patience do not take away.
fn over_sockets(rule: &Rule, setup: Setup) -> Result<Verdict, Failed> {
    more_and_more_patient(|times| {
        let bench = Blocking::bench(setup)?.with_tolerance(EARLY, LATE * times, SETTLE);
        Ok(rule.verdict(&mut bench.with_longest_wait(LONGEST_WAIT * times)))
    })
}

/// The same on a link of the embedded adapter. Undecided is what somebody has to command, or is told, and nothing else.
fn of_the_adapter(rule: &Rule, setup: Setup) -> Result<Verdict, Failed> {
    let verdict = more_and_more_patient(|times| {
        let bench = embedded::bench(setup, LATE * times, SETTLE)?;
        Ok(rule.verdict(&mut bench.with_longest_wait(LONGEST_WAIT * times)))
    })?;
    match &verdict {
        Verdict::Undecided { why, .. } if !embedded::UNDECIDED.contains(&why.as_str()) => {
            Err(format!("undecided, as {why}").into())
        }
        _ => Ok(verdict),
    }
}

fn more_and_more_patient(judge: impl Fn(u32) -> Result<Verdict, Failed>) -> Result<Verdict, Failed> {
    for times in [1, 4] {
        let verdict = judge(times)?;
        if !matches!(verdict, Verdict::Fail { .. }) {
            return Ok(verdict);
        }
    }
    judge(16)
}

impl Tally {
    fn judge(&self, name: &str, verdict: &Verdict, all_decided: bool) -> Result<(), Failed> {
        match verdict {
            Verdict::Pass { .. } => {
                self.passed.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Verdict::Undecided { why, .. } if !all_decided => {
                let mut undecided = self.undecided.lock().map_err(|_| "poisoned")?;
                undecided.push(format!("{name}: {why}"));
                Ok(())
            }
            _ => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                Err(verdict.to_string().into())
            }
        }
    }

    /// How many passed, failed, and were not decided, and how many of a hundred were decided.
    fn count(&self) -> (usize, usize, Vec<String>, usize) {
        let (passed, failed) = (self.passed.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed));
        let undecided = self.undecided.lock().map(|list| list.clone()).unwrap_or_default();
        let share = ((passed + failed) * 100).checked_div(passed + failed + undecided.len()).unwrap_or(100);
        (passed, failed, undecided, share)
    }

    /// Whether as many as have to be are decided.
    fn is_enough(&self, least: usize) -> bool {
        self.count().3 >= least
    }

    fn print(&self, bench: &str) {
        let (passed, failed, undecided, share) = self.count();
        let all = passed + failed + undecided.len();
        println!("{bench}: {all} runs, {} decided ({share} %), {passed} pass, {failed} fail", passed + failed);
        for line in undecided {
            println!("  undecided: {line}");
        }
    }
}

/// How many rules there are, each counted once in a line.
fn figures() {
    let count = |wanted: &dyn Fn(&Rule) -> bool| rules().filter(|rule| wanted(rule)).count();
    println!("{} rules", count(&|_| true));
    for (name, document) in
        [("E37 (generic)", Document::Generic), ("E37.1 (SS)", Document::Ss), ("E37.2 (GS)", Document::Gs)]
    {
        println!("  from {name}: {}", count(&|rule| rule.document() == document));
    }
    for role in [Role::SsActive, Role::SsPassive, Role::GsActive, Role::GsPassive] {
        for (name, profile) in [("default", Profile::Lenient), ("strict", Profile::Strict)] {
            let applies = |rule: &Rule| rule.applies.roles.contains(&role) && rule.applies.profiles.contains(&profile);
            println!("  for {}, {name} profile: {}", role.name(), count(&applies));
        }
    }
}

fn ids() -> Result<(), Failed> {
    let mut seen = BTreeSet::new();
    for rule in rules() {
        if !seen.insert(rule.id) {
            return Err(format!("{} stands there twice", rule.id).into());
        }
        if !["E37-", "E37.1-", "E37.2-", "E5-"].iter().any(|standard| rule.id.starts_with(standard)) {
            return Err(format!("{} names no standard", rule.id).into());
        }
        if !rule.duty.ends_with('.') || rule.duty.contains('|') || rule.duty.contains("  ") {
            return Err(format!("{}: its duty is no sentence", rule.id).into());
        }
        if rule.setups().count() == 0 {
            return Err(format!("{} applies to nobody", rule.id).into());
        }
    }
    Ok(())
}

/// Whether the place that a rule names is there.
fn has_place(place: &str) -> Result<(), String> {
    let (file, function) = place.split_once(": ").ok_or_else(|| format!("{place:?} is not `file: function`"))?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    let source = std::fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
    if source.contains(&format!("fn {function}(")) || source.contains(&format!("fn {function}<")) {
        return Ok(());
    }
    Err(format!("{file} has no function {function}"))
}

fn places() -> Result<(), Failed> {
    if has_place("hsms-core/src/connection/transition.rs: no_such_function").is_ok()
        || has_place("nowhere.rs: data").is_ok()
    {
        return Err("a place that is not there was found".into());
    }
    for rule in rules() {
        has_place(rule.place).map_err(|why| format!("{}: {why}", rule.id))?;
    }
    Ok(())
}

fn page_is_up_to_date() -> Result<(), Failed> {
    snapbox::assert_data_eq!(page(), snapbox::file!["../../hsms-std/docs/rules.md"]);
    Ok(())
}

/// What can be found out about an implementation of which only the wire is at hand.
const ABOUT_STRANGERS: [(&str, bool); 6] = [
    ("E37-7.5.2", true),
    ("E37-7.7/1", true),
    ("E37.1-7.1.1/again", true),
    ("E37.1-7.6/received", true),
    ("E37-9.4.1/match", false),
    ("E37-8.1.4.6/echo", true),
];

/// A bench without a hand on the application, against a connection of ours that nothing is known about but its settings.
fn stranger(active: bool) -> Result<(), Failed> {
    let role = if active { Role::SsActive } else { Role::SsPassive };
    let setup = rules().flat_map(Rule::setups).find(|setup| setup.role == role).ok_or("no setup")?;
    let config = setup.config().with_t5(Duration::from_millis(10))?;
    let (mut bench, mut connection) = if active {
        let bench = Socket::listening(([127, 0, 0, 1], 0).into(), setup, config)?;
        let address = bench.local_addr().ok_or("no address")?;
        (bench, Connection::active(address, config)?)
    } else {
        let connection = Connection::passive("127.0.0.1:0", config)?;
        let address = connection.local_addr().ok_or("no address")?;
        (Socket::dialling(address, setup, config)?, connection)
    };
    let over = Arc::new(AtomicBool::new(false));
    let told = over.clone();
    let thread = std::thread::spawn(move || {
        while !told.load(Ordering::Relaxed) {
            let _ = connection.next(Duration::from_millis(20));
        }
    });
    let mut results = Vec::new();
    for (id, decided) in ABOUT_STRANGERS {
        let rule = rules().find(|rule| rule.id == id).ok_or_else(|| format!("no rule {id}"))?;
        results.push((id, decided, rule.verdict(&mut bench)));
    }
    over.store(true, Ordering::Relaxed);
    thread.join().map_err(|_| "the connection panicked")?;
    for (id, decided, verdict) in results {
        let as_expected = if decided { verdict.is_pass() } else { matches!(verdict, Verdict::Undecided { .. }) };
        if !as_expected {
            return Err(format!("{id}: {verdict}").into());
        }
    }
    Ok(())
}

/// Our blocking connection, whose application cannot be commanded or asked.
struct OutOfReach(Blocking);

impl Application for OutOfReach {
    fn start(&mut self, config: Config, tester: Option<SocketAddr>) -> Outcome<Option<SocketAddr>> {
        self.0.start(config, tester)
    }

    fn command(&mut self, _: &Command) -> Outcome<Option<String>> {
        Err(Stop::undecided("out of reach"))
    }

    fn report(&mut self, _: Duration) -> Outcome<Option<Report>> {
        Err(Stop::undecided("out of reach"))
    }
}

/// Every so many rules stand for all of them.
const SAMPLE: usize = 17;

/// Where the application is out of reach too few rules are decided, and that is found; otherwise enough are.
fn gate() -> Result<(), Failed> {
    let setups = rules().filter_map(|rule| Some((rule, rule.setups().find(|setup| setup.role == Role::SsPassive)?)));
    let (reached, out_of_reach) = (Tally::default(), Tally::default());
    for (rule, setup) in setups.step_by(SAMPLE) {
        reached.judge(rule.id, &over_sockets(rule, setup)?, false)?;
        let mut bench = Socket::with_application(setup, Box::new(OutOfReach(Blocking::new())))?;
        out_of_reach.judge(rule.id, &rule.verdict(&mut bench), false)?;
    }
    match (reached.is_enough(DECIDED_OVER_SOCKETS), out_of_reach.is_enough(DECIDED_OVER_SOCKETS)) {
        (true, false) => Ok(()),
        gates => {
            Err(format!("enough decided: {gates:?}, of a hundred {} and {}", reached.count().3, out_of_reach.count().3)
                .into())
        }
    }
}

/// A subject that is our machine but for one fault, and the rule that is meant to find it.
struct Broken {
    name: &'static str,
    rule: &'static str,
    /// What becomes of an output of our machine's.
    alter: fn(Output) -> Option<Output>,
}

/// Header octet 5 of a frame.
fn stype(octets: &[u8]) -> Option<SType> {
    octets.get(9).copied().map(SType)
}

const BROKEN: &[Broken] = &[
    Broken {
        name: "puts_the_select_status_into_octet_2",
        rule: "E37.1-7.1.1/again",
        alter: |output| match output {
            Output::Octets(mut octets) if stype(&octets) == Some(SType::SELECT_RSP) => {
                octets.swap(6, 7);
                Some(Output::Octets(octets))
            }
            other => Some(other),
        },
    },
    Broken {
        name: "never_answers_linktests",
        rule: "E37-7.5.2",
        alter: |output| match output {
            Output::Octets(octets) if stype(&octets) == Some(SType::LINKTEST_RSP) => None,
            other => Some(other),
        },
    },
    Broken {
        name: "answers_linktests_twice",
        rule: "E37-7.5.2",
        alter: |output| match output {
            Output::Octets(octets) if stype(&octets) == Some(SType::LINKTEST_RSP) => {
                Some(Output::Octets(octets.repeat(2)))
            }
            other => Some(other),
        },
    },
    Broken {
        name: "sends_a_linktest_of_its_own_at_the_end",
        rule: "E37-9.2.4/a",
        alter: |output| match output {
            // Behind the last answer that the rule waits for: found because every rule ends with a look at the wire.
            Output::Octets(mut octets) if octets.ends_with(&[0x7E, 0x57, 0xFE, 0x0C]) => {
                octets.extend([0, 0, 0, 10, 0xFF, 0xFF, 0, 0, 0, 5, 0, 0, 0, 0]);
                Some(Output::Octets(octets))
            }
            other => Some(other),
        },
    },
    Broken {
        name: "says_that_a_selected_session_is_in_use",
        rule: "E37.2-7.2/6",
        alter: |output| match output {
            Output::Octets(mut octets) if stype(&octets) == Some(SType::SELECT_RSP) => {
                if let Some(status @ 6) = octets.get_mut(7) {
                    *status = 5;
                }
                Some(Output::Octets(octets))
            }
            other => Some(other),
        },
    },
    Broken {
        name: "clears_bit_15_of_session_ids",
        rule: "E37.2-8.1/bit-15",
        alter: |output| match output {
            Output::Octets(mut octets) => {
                if let Some(octet) = octets.get_mut(4).filter(|octet| **octet != 0xFF) {
                    *octet &= 0x7F;
                }
                Some(Output::Octets(octets))
            }
            other => Some(other),
        },
    },
    Broken {
        name: "does_not_close_on_t7",
        rule: "E37.1-T1-4.1",
        alter: |output| match output {
            Output::Close | Output::Report(Report::Closed(CloseReason::T7)) => None,
            other => Some(other),
        },
    },
    Broken {
        name: "reverses_system_bytes",
        rule: "E37-8.1.4.6/echo",
        alter: |output| match output {
            Output::Octets(mut octets) => {
                if let Some(system) = octets.get_mut(10..14) {
                    system.reverse();
                }
                Some(Output::Octets(octets))
            }
            other => Some(other),
        },
    },
];

struct Altered {
    machine: Box<dyn Subject>,
    alter: fn(Output) -> Option<Output>,
}

impl Subject for Altered {
    fn input(&mut self, now: Instant, input: Input<'_>) {
        self.machine.input(now, input);
    }

    fn command(&mut self, now: Instant, command: &Command) -> Result<(), String> {
        self.machine.command(now, command)
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.machine.next_deadline()
    }

    fn poll(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = (self.alter)(self.machine.poll()?) {
                return Some(output);
            }
        }
    }

    fn second(&self) -> Option<Box<dyn Subject>> {
        Some(Box::new(Altered { machine: self.machine.second()?, alter: self.alter }))
    }
}

/// The rule fails for the broken subject, for every setup that it applies to, and passes without the fault.
fn caught(broken: &Broken) -> Result<(), Failed> {
    let rule = rules().find(|rule| rule.id == broken.rule).ok_or_else(|| format!("no rule {}", broken.rule))?;
    let subject = |setup: Setup, alter: fn(Output) -> Option<Output>| {
        Memory::with_entities(setup, move |config: Config, entities: &Entities| {
            Box::new(Altered { machine: ours(setup.role, config, entities), alter })
        })
    };
    for setup in rule.setups() {
        let verdict = rule.verdict(&mut subject(setup, broken.alter));
        if !matches!(verdict, Verdict::Fail { .. }) {
            return Err(format!("{} does not find it: {verdict}", rule.id).into());
        }
        // What decided it can be read.
        let report = verdict.to_string();
        if !report.starts_with("FAIL: ") || !report.contains("tester ->") && !report.contains("transport open") {
            return Err(format!("the verdict does not tell what happened: {report}").into());
        }
        let verdict = rule.verdict(&mut subject(setup, Some));
        if !verdict.is_pass() {
            return Err(format!("without the fault: {verdict}").into());
        }
    }
    Ok(())
}
