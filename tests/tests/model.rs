//! Model checking with stateright: real machines, face to face or before a peer that may send anything, in every order of what can
//! happen. See `hsms_tests::model`; `tests/README.md` says what is claimed.
//!
//! `HSMS_SCALE` is `quick`, `ci` or `full`. A run that needs more than `HSMS_MODEL_MEMORY` GiB, 6 where that is not set, fails; the four
//! largest, which only `full` has, stop there and say so. One of them has to have seen ten million states then, which takes 13 GiB.

#[path = "model/check.rs"]
mod check;
#[path = "model/setups.rs"]
mod setups;

use check::{Counterexample, WORLDS, explore, run, run_within_memory, serially};
use hsms_tests::model::{Setup, Situation, subject::Subject};
use hsms_tests::scale;

/// States of the largest setup that have to be seen where there is no memory for all.
const ENOUGH: usize = 10_000_000;

#[test]
fn two_ends_with_a_single_session() {
    let _one_at_a_time = serially();
    run(setups::calls());
    run(setups::texts());
    run(setups::strict());
    run(setups::on_command());
    run(setups::timed());
    run(setups::colliding());
    run(setups::pausing());
    if scale() > 10 {
        let figures = run_within_memory(setups::two_each());
        assert!(
            figures.complete || figures.states >= ENOUGH,
            "{} states, and those are not all: see HSMS_MODEL_MEMORY",
            figures.states
        );
        run_within_memory(setups::texts_written_late());
    }
}

#[test]
fn two_ends_find_each_other_again_from_everywhere() {
    let _one_at_a_time = serially();
    let both: &[[bool; 2]] = if scale() > 10 { &[[true; 2]] } else { &[] };
    for asks in [[true, false], [false, true]].iter().chain(both) {
        run(setups::recovering(*asks));
        run(setups::recovering_session(*asks));
    }
}

#[test]
fn two_ends_with_sessions_of_their_own() {
    let _one_at_a_time = serially();
    run(setups::session());
    if scale() > 1 {
        run(setups::session_both());
    }
    run(setups::session_tested());
    run(setups::sessions());
    run(setups::asking());
    if scale() > 10 {
        run_within_memory(setups::session_both_whole());
        run_within_memory(setups::session_whole());
    }
}

#[test]
fn a_peer_that_may_send_anything() {
    let _one_at_a_time = serially();
    for setup in setups::free() {
        run(setup);
    }
    run(setups::free_sessions());
    run(setups::free_sessions_active());
    if scale() > 1 {
        run(setups::free_sessions_tested());
    }
}

#[test]
fn every_situation_is_asked_for() {
    fn must<M: Subject>(setup: &Setup<M>) -> Vec<Situation> {
        setup.must.to_vec()
    }
    let mut asked: Vec<Situation> = setups::free().iter().flat_map(must).collect();
    for setup in [
        setups::calls(),
        setups::texts(),
        setups::strict(),
        setups::on_command(),
        setups::timed(),
        setups::colliding(),
        setups::pausing(),
    ] {
        asked.extend(must(&setup));
    }
    for setup in
        [setups::session(), setups::session_tested(), setups::sessions(), setups::asking(), setups::free_sessions()]
    {
        asked.extend(must(&setup));
    }
    let missing: Vec<&Situation> = Situation::ALL.iter().filter(|situation| !asked.contains(situation)).collect();
    assert!(missing.is_empty(), "no run has to meet {missing:?}");
}

/// A kit that shuffles what it delivers proves nothing: the properties notice it, and the shortest way there can be read.
#[test]
fn a_pipe_that_delivers_the_last_frame_first_is_noticed_and_told_message_by_message() {
    let _one_at_a_time = serially();
    let Counterexample { is_shortest, trace, .. } = last_first(WORLDS);
    let steps = told(&trace);
    assert!(is_shortest);
    assert_eq!(steps, 5, "connected by two, selected by one, asked before it knows: {trace}");
    let tells = |words: [&str; 2]| trace.lines().any(|line| words.iter().all(|word| line.contains(word)));
    for words in [
        ["end 0: send", "SelectReq"],
        ["end 1 takes", "SelectReq"],
        ["end 1: send", "SelectRsp"],
        ["end 1: send", "StreamFunction"],
        ["end 0 takes", "StreamFunction"],
    ] {
        assert!(tells(words), "no line has {words:?}: {trace}");
    }
}

#[test]
fn what_is_too_far_for_the_shortest_way_is_told_by_the_way_it_was_found() {
    let _one_at_a_time = serially();
    let Counterexample { is_shortest, trace, .. } = last_first(3);
    assert!(!is_shortest && told(&trace) >= 5, "{trace}");
}

/// What comes of a kit that delivers the last frame first, where so many worlds are looked at for the shortest way.
fn last_first(worlds: usize) -> Counterexample {
    let mut setup = setups::calls();
    (setup.name, setup.lifo, setup.must) = ("SS: the last frame first", true, &[]);
    let broken = explore(setup, u64::MAX, worlds).broken.expect("the last frame first, and every property holds");
    println!("{}: does not hold.\n{}", broken.property, broken.trace);
    assert_eq!(broken.property, "two machines do not offend each other");
    broken
}

/// It tells how long it is, each step with its number, both states behind each, and what does not hold. Gives how long it is.
fn told(trace: &str) -> usize {
    let lines: Vec<&str> = trace.lines().collect();
    let numbers: Vec<usize> = lines.iter().filter_map(|line| line.get(..3)?.trim().parse().ok()).collect();
    let steps = numbers.len();
    assert_eq!(numbers, (1..=steps).collect::<Vec<_>>(), "{trace}");
    assert!(lines[0].ends_with(&format!(", {steps} steps:")), "{trace}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("     -> ")).count(), steps, "{trace}");
    let last = lines.last().expect("a line");
    assert!(last.trim_start().starts_with("does not hold: two machines do not offend each other"), "{trace}");
    steps
}
