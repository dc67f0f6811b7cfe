//! The duties of E37 and E37.1 for a passive end of HSMS-SS, over the socket.
//!
//! The board takes primaries and answers none, as the rules want the wire for themselves. Its application is out of reach, so that what
//! can only be commanded, or is only told to the application, is not decided here: `undecided.txt` names each of these runs.

use crate::board::{Board, Machine};
use crate::{Bench, Failure, command_line};
use hsms_std::Config;
use hsms_std::conformance::socket::{Application, EARLY, LONGEST_WAIT, Socket};
use hsms_std::conformance::{Command, Outcome, Report, Role, Rule, Setup, Stop, Verdict, rules};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Rules judged side by side: they wait more than they compute.
const WORKERS: usize = 12;

/// How much too late the board may be: less than the timers that a rule waits for, so that one that lasts twice as long as it is set to is
/// found.
const LATE: Duration = Duration::from_millis(750);
const _: () = assert!(LATE.as_millis() < LONGEST_WAIT.as_millis());

/// How long is listened to find that nothing comes. The board's answers take a millisecond or two more than those of a process.
const SETTLE: Duration = Duration::from_millis(30);

/// A run that fails is tried again so many times, alone: a machine that stands still for as long as a timer lets a sound board fail. It
/// may be no later than before.
const AGAIN: usize = 3;

/// If more fail than this, it is not the machine that stood still.
const MOST_AGAIN: usize = 20;

/// So many runs have to be decided at least. Rules that come later may add to it.
const DECIDED: usize = 215;

/// The runs that are not, below the reason.
const UNDECIDED: &str = include_str!("../undecided.txt");

/// Every rule, in every setup.
pub fn rules_for_the_passive_end(bench: &Bench<'_>) -> Result<String, Failure> {
    let runs: Vec<(&'static Rule, Setup)> = rules()
        .filter(|rule| bench.rule.as_deref().is_none_or(|wanted| wanted == rule.id))
        .flat_map(|rule| rule.setups().filter(|setup| setup.role == Role::SsPassive).map(move |setup| (rule, setup)))
        .collect();
    let tally = Mutex::new(Tally::default());
    let (next, boards) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let judged = |(rule, setup): (&Rule, Setup)| {
        let reset = Reset::new(bench);
        let verdict = judge(rule, setup, Box::new(reset.clone()));
        let verdict = reset.end().and(verdict);
        boards.fetch_add(reset.started.load(Ordering::Relaxed), Ordering::Relaxed);
        verdict
    };
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = judged(*run);
                    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                    tally.take(*run, verdict);
                    if tally.taken().is_multiple_of(100) {
                        println!("    {} of {} runs", tally.taken(), runs.len());
                    }
                }
            });
        }
    });
    let mut tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut once_more = Vec::new();
    if tally.failed.len() <= MOST_AGAIN {
        for (run, why) in std::mem::take(&mut tally.failed) {
            println!("    once more {}: {why}", name(run));
            once_more.push(name(run));
            let verdicts = (0..AGAIN).map(|_| judged(run));
            tally.take(run, last_unless_failed(verdicts));
        }
    }
    let mut wrong: Vec<_> = tally.failed.iter().map(|(run, why)| format!("FAILED {}: {why}", name(*run))).collect();
    // A rule alone says nothing about all.
    if bench.rule.is_none() {
        wrong.extend(differences(UNDECIDED, &tally.undecided));
        if tally.decided() < DECIDED {
            wrong.push(format!("{} runs are decided, and {DECIDED} have to be", tally.decided()));
        }
    }
    for (why, names) in by_reason(&tally.undecided) {
        let rules: BTreeSet<&str> = names.iter().filter_map(|name| name.split(' ').next()).collect();
        let rules: Vec<_> = rules.into_iter().collect();
        println!("    undecided, {} runs, as {why}: {}", names.len(), rules.join(", "));
    }
    if !wrong.is_empty() || bench.log {
        print!("{}", print_undecided(&tally.undecided));
    }
    wrong.iter().for_each(|line| println!("    {line}"));
    let figures = format!(
        "{} runs, {} decided, {} pass, {} fail, {} undecided, {} judged once more; {} boards",
        runs.len(),
        tally.decided(),
        tally.passed,
        tally.failed.len(),
        tally.undecided.len(),
        once_more.len(),
        boards.into_inner()
    );
    if wrong.is_empty() && tally.taken() > 0 { Ok(figures) } else { Err(figures.into()) }
}

/// Goes on as long as runs fail. Gives the last.
fn last_unless_failed(verdicts: impl Iterator<Item = Result<Verdict, Failure>>) -> Result<Verdict, Failure> {
    let mut last = Err("it was not tried".into());
    for verdict in verdicts {
        let failed = !matches!(verdict, Ok(Verdict::Pass { .. } | Verdict::Undecided { .. }));
        last = verdict;
        if !failed {
            break;
        }
    }
    last
}

fn judge(rule: &Rule, setup: Setup, application: Box<dyn Application>) -> Result<Verdict, Failure> {
    let socket = Socket::with_application(setup, application)?;
    let mut socket = socket.with_tolerance(EARLY, LATE, SETTLE).with_longest_wait(LONGEST_WAIT);
    Ok(rule.verdict(&mut socket))
}

fn name((rule, setup): (&Rule, Setup)) -> String {
    format!("{} {}", rule.id, setup.name())
}

/// What has become of the runs.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<((&'static Rule, Setup), String)>,
    /// Names and reasons.
    undecided: Vec<(String, String)>,
}

impl Tally {
    fn take(&mut self, run: (&'static Rule, Setup), verdict: Result<Verdict, Failure>) {
        match verdict {
            Ok(Verdict::Pass { .. }) => self.passed += 1,
            Ok(Verdict::Undecided { why, .. }) => self.undecided.push((name(run), why)),
            Ok(verdict) => self.failed.push((run, verdict.to_string())),
            Err(error) => self.failed.push((run, error.to_string())),
        }
    }

    fn decided(&self) -> usize {
        self.passed + self.failed.len()
    }

    fn taken(&self) -> usize {
        self.decided() + self.undecided.len()
    }
}

fn by_reason(undecided: &[(String, String)]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut reasons = BTreeMap::<_, BTreeSet<_>>::new();
    for (name, why) in undecided {
        reasons.entry(why.as_str()).or_default().insert(name.as_str());
    }
    reasons
}

/// As `undecided.txt` has them.
fn print_undecided(undecided: &[(String, String)]) -> String {
    let reason = |(why, names): (&str, BTreeSet<&str>)| {
        names.iter().fold(format!("{why}\n"), |text, name| text + "  " + name + "\n")
    };
    by_reason(undecided).into_iter().map(reason).collect()
}

fn read_undecided(text: &str) -> BTreeSet<(&str, &str)> {
    let mut why = "";
    let mut runs = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix("  ") {
            Some(name) => _ = runs.insert((name, why)),
            None => why = line,
        }
    }
    runs
}

/// Where the runs that were not decided are not those that are known, for the reasons that are known.
fn differences(known: &str, undecided: &[(String, String)]) -> Vec<String> {
    let known = read_undecided(known);
    let now: BTreeSet<(&str, &str)> = undecided.iter().map(|(name, why)| (name.as_str(), why.as_str())).collect();
    let new = now
        .difference(&known)
        .map(|(name, why)| format!("{name} is undecided, as {why}: undecided.txt says otherwise"));
    let gone = known.difference(&now).map(|(name, why)| format!("undecided.txt has {name}, as {why}: it is not so"));
    new.chain(gone).collect()
}

/// A board that is started anew wherever a rule wants other settings.
#[derive(Clone)]
struct Reset {
    machine: Machine,
    image: PathBuf,
    running: Arc<Mutex<Option<(Config, Board)>>>,
    started: Arc<AtomicUsize>,
}

impl Reset {
    fn new(bench: &Bench<'_>) -> Self {
        Reset {
            machine: bench.machine,
            image: bench.image("equipment"),
            running: Arc::default(),
            started: Arc::default(),
        }
    }

    /// Ends the board. Fails where it had stopped, or had logged an error.
    fn end(&self) -> Result<(), Failure> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        running.map_or(Ok(()), |(_, mut board)| board.check())
    }

    fn run(&self, config: Config) -> Result<SocketAddr, Failure> {
        let same = |running: &Option<(Config, Board)>| running.as_ref().is_some_and(|(with, _)| *with == config);
        if !same(&self.running.lock().unwrap_or_else(PoisonError::into_inner)) {
            self.end()?;
            self.started.fetch_add(1, Ordering::Relaxed);
            let board = Board::start(self.machine, &self.image, &command_line(&config, "mute")?, b"")?;
            *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some((config, board));
        }
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(running.as_ref().ok_or("there is no board")?.1.address())
    }
}

impl Application for Reset {
    // A board that does not start is no reason to leave a rule undecided.
    fn start(&mut self, config: Config, _: Option<SocketAddr>) -> Outcome<Option<SocketAddr>> {
        self.run(config).map(Some).map_err(|error| Stop::Fail(error.to_string()))
    }

    fn is_commanded(&self) -> bool {
        false
    }

    fn command(&mut self, _: &Command) -> Outcome<Option<String>> {
        Err(Stop::undecided("the board's application is out of reach"))
    }

    fn report(&mut self, _: Duration) -> Outcome<Option<Report>> {
        Err(Stop::undecided("the board's application is out of reach"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::MACHINES;
    use hsms_std::conformance::blocking::Blocking;

    /// Our own blocking connection, all of whose timers last longer than it is told.
    #[derive(Default)]
    struct Late {
        subject: Blocking,
        by: Duration,
    }

    impl Application for Late {
        fn start(&mut self, config: Config, tester: Option<SocketAddr>) -> Outcome<Option<SocketAddr>> {
            let late = |config: Config| config.with_t6(config.t6() + self.by)?.with_t7(config.t7() + self.by);
            let config = late(config).map_err(|error| Stop::Fail(error.to_string()))?;
            self.subject.start(config, tester)
        }

        fn is_commanded(&self) -> bool {
            false
        }

        fn command(&mut self, _: &Command) -> Outcome<Option<String>> {
            Err(Stop::undecided("out of reach"))
        }

        fn report(&mut self, _: Duration) -> Outcome<Option<Report>> {
            Err(Stop::undecided("out of reach"))
        }
    }

    const T7: &str = "E37-10.1/T7";

    fn run(id: &str) -> (&'static Rule, Setup) {
        let rule = rules().find(|rule| rule.id == id).unwrap();
        (rule, rule.setups().find(|setup| setup.role == Role::SsPassive).unwrap())
    }

    #[test]
    fn a_timer_that_lasts_too_long_fails_however_often_it_is_tried() {
        let (rule, setup) = run(T7);
        let verdict = |by| judge(rule, setup, Box::new(Late { by, ..Late::default() }));
        let sound = last_unless_failed((0..AGAIN).map(|_| verdict(Duration::ZERO))).unwrap();
        assert!(sound.is_pass(), "{sound}");
        let late = last_unless_failed((0..AGAIN).map(|_| verdict(LATE + LATE / 2))).unwrap();
        assert!(matches!(late, Verdict::Fail { .. }), "{late}");
    }

    #[test]
    fn a_board_that_does_not_start_is_a_failure() {
        let bench = Bench { machine: MACHINES[0], images: "/nowhere".as_ref(), log: false, rule: None };
        let (rule, setup) = run(T7);
        let verdict = judge(rule, setup, Box::new(Reset::new(&bench))).unwrap();
        assert!(matches!(&verdict, Verdict::Fail { why, .. } if why.contains("/nowhere")), "{verdict}");
    }

    #[test]
    fn a_run_is_tried_again_until_it_does_not_fail_and_the_last_verdict_counts() {
        let fail = || Ok(Verdict::Fail { why: "late".into(), transcript: Default::default() });
        let pass = || Ok(Verdict::Pass { transcript: Default::default() });
        assert!(last_unless_failed([fail(), pass()].into_iter()).unwrap().is_pass());
        assert!(!last_unless_failed([fail(), fail()].into_iter()).unwrap().is_pass());
        assert!(last_unless_failed([Err("no board".into()), Err("no board".into())].into_iter()).is_err());
        assert!(last_unless_failed([].into_iter()).is_err());
    }

    #[test]
    fn runs_that_are_undecided_have_to_be_named() {
        let run = |name: &str, why: &str| (name.to_owned(), why.to_owned());
        let a = run("a ss_passive", "out of reach");
        let known = print_undecided(std::slice::from_ref(&a));
        assert_eq!(known, "out of reach\n  a ss_passive\n");
        assert!(differences(&known, std::slice::from_ref(&a)).is_empty());
        assert_eq!(differences(&known, &[]).len(), 1);
        assert_eq!(differences(&known, &[run("a ss_passive", "another")]).len(), 2);
        assert_eq!(differences(&known, &[a, run("b ss_passive", "out of reach")]).len(), 1);
    }

    #[test]
    fn the_rules_that_are_undecided_exist() {
        let names: BTreeSet<String> =
            rules().flat_map(|rule| rule.setups().map(move |setup| name((rule, setup)))).collect();
        for (run, why) in read_undecided(UNDECIDED) {
            assert!(names.contains(run) && !why.is_empty(), "{run}");
        }
    }
}
