//! The blocking adapter over sockets, with every call of the system failing that it makes, each in every stage of a use in which it is
//! made, with each error.
//!
//! It is a filter of the system (seccomp) that answers instead of the system, in the one thread in which that stage is taken: from
//! there on it answers every such call, not the first alone, and the call has no effect. Behind the stage no filter holds, and the
//! same connection has to work.

mod ends;
mod filter;
mod table;

use ends::{Outcome, Stage, Use};
use filter::Filter;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::time::Duration;
use table::{Call, Row};

/// Says what the process that has it is to do.
const CHILD: &str = "HSMS_TORTURE_SYSTEM";

/// Runs the test of this name in a process of its own.
fn child(name: &str, what: &str) -> Output {
    let exe = std::env::current_exe().unwrap();
    Command::new(exe).args(["--exact", name, "--nocapture"]).env(CHILD, what).output().unwrap()
}

fn rows(active: bool) -> &'static [Row] {
    if active { table::ACTIVE } else { table::PASSIVE }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// In a process of its own, whose descriptors are counted.
#[test]
fn every_call_of_the_system_may_fail_with_every_error() {
    if std::env::var_os(CHILD).is_some() {
        return every_call_fails();
    }
    let output = child("torture::system::every_call_of_the_system_may_fail_with_every_error", "all");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("1 passed"), "{told}");
    told.lines()
        .filter_map(|line| line.find("calls of the system").map(|at| &line[at..]))
        .for_each(|line| println!("{line}"));
}

fn every_call_fails() {
    let every_row = [true, false].into_iter().flat_map(rows);
    let due: usize = every_row.flat_map(|row| row.calls).map(|call| call.errors.len()).sum();
    let (mut runs, mut harmless, mut again) = (0, 0, 0);
    let (mut calls, mut errors) = (BTreeSet::new(), BTreeSet::<i32>::new());
    for active in [true, false] {
        for row in rows(active) {
            for call in row.calls {
                calls.insert(call.name);
                errors.extend(call.errors);
                let outcomes = fails(active, row, call);
                runs += outcomes.len();
                harmless += outcomes.iter().filter(|outcome| **outcome == Outcome::Done).count();
                let limits = |outcome: &&Outcome| matches!(outcome, Outcome::Nothing | Outcome::Told(_, None));
                again += outcomes.iter().filter(limits).count();
            }
        }
    }
    let told = runs - harmless - again;
    println!(
        "calls of the system that fail: {runs} runs ({} calls, {} errors), {harmless} harmless, {again} as if nobody were there, {told} told",
        calls.len(),
        errors.len()
    );
    assert_eq!(runs, due);
    assert!(told > runs / 2);
}

/// A run for each error of a call.
fn fails(active: bool, row: &Row, call: &Call) -> Vec<Outcome> {
    let what = format!("active {active}, {:?}, {}", row.stage, call.name);
    let (mut outcomes, mut busy, mut took) = (Vec::new(), Duration::ZERO, Duration::ZERO);
    for error in call.errors {
        let said = std::io::Error::from_raw_os_error(*error);
        let due = table::outcome(active, row, call, *error);
        // What the filter did not let be closed stays open, with its port.
        let stays = call.name == table::CLOSE.name;
        let before = descriptors();
        let ran = Use::new(active, row.stage, due).run(&Filter::failing(call, *error), stays);
        assert_eq!(ran.value, due, "{what}: {said}");
        assert!(stays || descriptors() == before, "{what}: {said}: {before} descriptors were open before");
        if matches!(ran.value, Outcome::Told("ConnectFailed" | "CallersWait", Some(_))) {
            (busy, took) = (busy + ran.busy, took + ran.took);
        }
        outcomes.push(ran.value);
    }
    // Between attempts there is nothing to do.
    assert!(busy * 4 <= took, "{what}: it waits busily, {busy:?} in {took:?}");
    outcomes
}

/// A process is ended by the first call that it must not make.
#[test]
fn the_calls_of_the_system_are_those_of_the_table() {
    let name = "torture::system::the_calls_of_the_system_are_those_of_the_table";
    if let Ok(what) = std::env::var(CHILD) {
        return one_stage(&what);
    }
    let (mut stages, mut made) = (0, 0);
    for active in [true, false] {
        for stage in rows(active).iter().map(|row| row.stage).collect::<BTreeSet<_>>() {
            let all = child(name, &words(active, stage, "all"));
            let told = String::from_utf8_lossy(&all.stdout);
            assert!(all.status.success(), "active {active}, {stage:?}: {:?}, {told}", all.status);
            assert!(told.contains("1 passed"), "{told}");
            stages += 1;
            let calls = made_in(active, stage);
            let names: BTreeSet<_> = calls.iter().map(|call| call.name).collect();
            assert_eq!(names.len(), calls.len(), "active {active}, {stage:?}: {names:?}");
            for call in calls {
                let one = child(name, &words(active, stage, call.name));
                let ended = one.status.signal() == Some(libc::SIGSYS);
                assert!(ended, "active {active}, {stage:?}: {} is not made: {one:?}", call.name);
                made += 1;
            }
        }
    }
    println!("calls of the system: {made} in {stages} stages, and no others");
}

fn words(active: bool, stage: Stage, call: &str) -> String {
    format!("{active}/{stage:?}/{call}")
}

fn made_in(active: bool, stage: Stage) -> Vec<&'static Call> {
    rows(active).iter().filter(|row| row.stage == stage).flat_map(|row| row.calls).copied().collect()
}

/// Takes the stage of these words, without the one call that they name, or with those of the table alone.
fn one_stage(what: &str) {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).unwrap();
    for (active, row) in [true, false].into_iter().flat_map(|active| rows(active).iter().map(move |row| (active, row)))
    {
        let calls = made_in(active, row.stage);
        let filter = if what == words(active, row.stage, "all") {
            Filter::only(&[&calls, table::perhaps(active, row.stage), table::OTHERS].concat())
        } else if let Some(call) = calls.iter().find(|call| what == words(active, row.stage, call.name)) {
            Filter::fatal(call)
        } else {
            continue;
        };
        let ran = Use::new(active, row.stage, Outcome::Done).run(&filter, false);
        return assert_eq!(ran.value, Outcome::Done);
    }
    panic!("{what} is no stage");
}
