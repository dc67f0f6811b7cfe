//! The duties of E37 and E37.1 for a passive end of HSMS-SS, over the socket.
//!
//! The board takes primaries and answers none, as the rules want the wire for themselves. Its application is out of reach, so that what
//! can only be commanded, or is only told to the application, is not decided here.

use crate::board::Board;
use crate::{Bench, Failure, command_line};
use hsms_std::Config;
use hsms_std::conformance::socket::{Application, EARLY, LATE, LONGEST_WAIT, Socket};
use hsms_std::conformance::{Command, Outcome, Report, Role, Rule, Setup, Stop, Verdict, rules};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Rules judged side by side: they wait more than they compute.
const WORKERS: usize = 12;

/// How long is listened to find that nothing comes. The board's answers take a millisecond or two more than those of a process.
const SETTLE: Duration = Duration::from_millis(30);

/// Of a hundred runs so many have to be decided.
const DECIDED: usize = 50;

/// Every rule, in every setup.
pub fn rules_for_the_passive_end(bench: &Bench<'_>) -> Result<String, Failure> {
    let runs: Vec<(&'static Rule, Setup)> = rules()
        .flat_map(|rule| rule.setups().filter(|setup| setup.role == Role::SsPassive).map(move |setup| (rule, setup)))
        .collect();
    let (next, lines) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let (passed, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let boards = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some((rule, setup)) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = judge(bench, rule, *setup, &boards);
                    let line = match &verdict {
                        Ok(Verdict::Pass { .. }) => {
                            passed.fetch_add(1, Ordering::Relaxed);
                            continue;
                        }
                        Ok(Verdict::Undecided { why, .. }) => format!("undecided {} {}: {why}", rule.id, setup.name()),
                        Ok(verdict) => {
                            failed.fetch_add(1, Ordering::Relaxed);
                            format!("FAILED {} {}: {verdict}", rule.id, setup.name())
                        }
                        Err(error) => {
                            failed.fetch_add(1, Ordering::Relaxed);
                            format!("FAILED {} {}: {error}", rule.id, setup.name())
                        }
                    };
                    if let Ok(mut lines) = lines.lock() {
                        lines.push(line);
                    }
                }
            });
        }
    });
    let (passed, failed) = (passed.into_inner(), failed.into_inner());
    let lines = lines.into_inner().unwrap_or_default();
    for line in lines.iter().filter(|line| bench.log || line.starts_with("FAILED")) {
        println!("    {line}");
    }
    let share = (passed + failed) * 100 / runs.len().max(1);
    let figures = format!(
        "{} runs, {} decided ({share} %), {passed} pass, {failed} fail; {} boards",
        runs.len(),
        passed + failed,
        boards.into_inner()
    );
    if failed == 0 && share >= DECIDED { Ok(figures) } else { Err(figures.into()) }
}

/// The verdict. A machine that runs other things beside may stand still for longer than a timer: a failure is one that longer timers and more
/// patience do not take away.
fn judge(bench: &Bench<'_>, rule: &Rule, setup: Setup, boards: &AtomicUsize) -> Result<Verdict, Failure> {
    let mut times = 1;
    loop {
        let reset = Reset::new(bench);
        let count = reset.started.clone();
        let socket = Socket::with_application(setup, Box::new(reset))?;
        let mut socket = socket.with_tolerance(EARLY, LATE * times, SETTLE).with_longest_wait(LONGEST_WAIT * times);
        let verdict = rule.verdict(&mut socket);
        boards.fetch_add(count.load(Ordering::Relaxed), Ordering::Relaxed);
        if times == 16 || !matches!(verdict, Verdict::Fail { .. }) {
            return Ok(verdict);
        }
        times *= 4;
    }
}

/// A board that is started anew wherever a rule wants other settings.
struct Reset {
    machine: crate::board::Machine,
    image: PathBuf,
    running: Option<(Config, Board)>,
    started: Arc<AtomicUsize>,
}

impl Reset {
    fn new(bench: &Bench<'_>) -> Self {
        Reset {
            machine: bench.machine,
            image: bench.image("equipment"),
            running: None,
            started: Arc::new(AtomicUsize::new(0)),
        }
    }
}

impl Application for Reset {
    fn start(&mut self, config: Config, _: Option<SocketAddr>) -> Outcome<Option<SocketAddr>> {
        let system = |error: Failure| Stop::undecided(format!("there is no board: {error}"));
        if self.running.as_ref().is_none_or(|(with, _)| *with != config) {
            self.running = None;
            self.started.fetch_add(1, Ordering::Relaxed);
            let settings = command_line(&config, "mute").map_err(system)?;
            let board = Board::start(self.machine, &self.image, &settings, b"").map_err(system)?;
            self.running = Some((config, board));
        }
        let Some((_, board)) = &self.running else { return Ok(None) };
        Ok(Some(board.address()))
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
