//! Links over a virtual network under a virtual clock, with everything that can happen to them.
//!
//! `HSMS_SCALE=ci cargo test --release -p hsms-tests --test simulation -- --nocapture` runs 250 seeds of 20 links for an hour
//! each and prints what came of it. More: `cargo run --release -p hsms-tests --example simulate -- --help`.

#[path = "../examples/simulate/arguments.rs"]
mod arguments;

use arguments::Arguments;
use hsms_tests::scale;
use hsms_tests::simulation::{ENDS, FAULTS, Failure, Figures, Plan, replay, run};
use std::time::{Duration, Instant};

/// Seeds of this scale, and how long each link lives.
fn extent() -> (u64, Duration) {
    match scale() {
        1 => (6, Duration::from_secs(1_200)),
        10 => (250, Duration::from_secs(3_600)),
        _ => (2_500, Duration::from_secs(3_600)),
    }
}

#[test]
fn every_request_has_one_outcome_whatever_the_network_does() {
    let (seeds, span) = extent();
    let (start, mut told) = (Instant::now(), Instant::now());
    let mut figures = Figures::default();
    for seed in 1..=seeds {
        let plan = Plan { span, ..Plan::of_seed(seed) };
        match run(&plan, |_| {}) {
            Ok(more) => figures.add(&more),
            Err(failure) => panic!("{failure}"),
        }
        if told.elapsed() > Duration::from_secs(10) {
            told = Instant::now();
            println!("{seed} of {seeds} seeds after {} s", start.elapsed().as_secs());
        }
    }
    println!("{seeds} seeds: {figures}");
    let seconds = start.elapsed().as_secs_f64();
    println!("{seconds:.1} s, {:.4} link-years per second, every step watched", figures.years() / seconds);
    assert_eq!(figures.links, seeds * 20);
    let least = figures.least_messages_per_hour.unwrap_or_default();
    assert!(figures.messages_per_minute() >= 30.0, "{:.1} messages a minute", figures.messages_per_minute());
    assert!(least >= 1_800, "a link received {least} messages in an hour: fewer than 30 a minute");
    // Of every kind enough to mean something, and of each outcome.
    let enough = if scale() >= 10 { 100 } else { 1 };
    for ((fault, name), count) in FAULTS.iter().zip(figures.faults) {
        assert!(count >= enough, "{fault:?} ({name}) came {count} times");
    }
    for ((end, name), count) in ENDS.iter().zip(figures.ended) {
        assert!(count >= enough, "{end:?} ({name}) came {count} times");
    }
    assert_eq!(figures.ended.iter().sum::<u64>(), figures.requests);
    if scale() >= 10 {
        assert!(figures.visits.iter().all(|visits| *visits >= 100), "{:?}", figures.visits);
    }
}

#[test]
fn the_same_seed_is_the_same_history() {
    let plan = Plan { span: Duration::from_secs(1_800), ..Plan::of_seed(77) };
    let once = run(&plan, |_| {}).unwrap_or_else(|failure| panic!("{failure}"));
    let again = run(&plan, |_| {}).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(once, again);
    let other = run(&Plan { seed: 78, ..plan }, |_| {}).unwrap_or_else(|failure| panic!("{failure}"));
    assert_ne!(once.hash, other.hash);
    // Watching changes nothing.
    let unwatched = run(&Plan { watched: 0, ..plan }, |_| {}).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(once, unwatched);
}

#[test]
fn a_link_played_again_alone_is_the_same_and_leaves_a_trace() {
    let plan = Plan { links: 7, span: Duration::from_secs(900), ..Plan::of_seed(5) };
    let whole = run(&plan, |_| {}).unwrap_or_else(|failure| panic!("{failure}"));
    let mut messages = 0;
    for link in 0..7 {
        let (figures, trace) = replay(&plan, link, 40).unwrap_or_else(|failure| panic!("{failure}"));
        messages += figures.messages;
        assert_eq!(trace.len(), 40);
        assert!(trace.iter().any(|line| line.contains("send ")), "{}", trace.join("\n"));
    }
    assert_eq!(messages, whole.messages);
}

/// The command that a failure prints.
fn command_of(failure: &Failure) -> Arguments {
    let printed = failure.to_string();
    let last = printed.lines().last().expect("a line");
    // Built as this was.
    let profile = if cfg!(debug_assertions) { "--profile test" } else { "--release" };
    let command = format!("to see it again: cargo run {profile} -p hsms-tests --example simulate -- ");
    let arguments = last.strip_prefix(&command).unwrap_or_else(|| panic!("no command: {last}"));
    let arguments = Arguments::parse(lexopt::Parser::from_args(arguments.split_whitespace()));
    arguments.expect("the example takes them").expect("it does not ask for help")
}

#[test]
fn a_failing_link_prints_the_command_that_plays_it_again() {
    let span = Duration::from_secs(900);
    let plan = Plan { links: 5, span, spoiled: Duration::from_secs(600), ..Plan::of_seed(41) };
    // Some link of the run, and one of each standard by itself: the last one speaks HSMS-GS.
    let failures = [
        run(&plan, |_| {}).expect_err("texts were wrong"),
        replay(&plan, 0, 120).expect_err("texts were wrong"),
        replay(&Plan { watched: 3, ..plan }, 4, 120).expect_err("texts were wrong"),
    ];
    for failure in failures {
        assert!(failure.what.contains("broken text") || failure.what.contains("carries"), "{failure}");
        assert!(failure.trace.iter().any(|line| line.contains("wrong octet")), "{failure}");
        let Arguments { plan, seeds, link, lines } = command_of(&failure);
        assert_eq!(seeds, 1);
        let again = replay(&plan, link.expect("a link"), lines).expect_err("it fails again");
        assert_eq!((again.link, &again.what), (failure.link, &failure.what));
        assert!(again.trace.ends_with(&failure.trace), "{again}");
    }
    let sound = Plan { spoiled: Duration::ZERO, ..plan };
    run(&sound, |_| {}).unwrap_or_else(|failure| panic!("{failure}"));
}

/// Twice the pause is more than a number holds, which no link survives.
#[test]
fn a_link_that_panics_prints_the_command_that_plays_it_again() {
    let plan = Plan { links: 2, pause: Duration::from_millis(1 << 63), ..Plan::of_seed(41) };
    let failure = run(&plan, |_| {}).expect_err("it panics");
    assert!(failure.what.starts_with("a panic: ") && !failure.what.contains("played again"), "{failure}");
    let Arguments { plan, link, lines, .. } = command_of(&failure);
    let again = replay(&plan, link.expect("a link"), lines).expect_err("it panics again");
    assert_eq!((again.link, &again.what), (failure.link, &failure.what));
    assert!(!failure.trace.is_empty() && again.trace.ends_with(&failure.trace), "{again}");
}

/// Found by 100,000 links: octets that end a connection, because its answers wait for a text and there is room for no more, were counted as
/// received by the network, and by nobody else.
#[test]
fn octets_that_end_a_connection_for_want_of_room_count_as_lost() {
    let plan = Plan { watched: 0, ..Plan::of_seed(1) };
    let (_, trace) = replay(&plan, 22_374, usize::MAX).unwrap_or_else(|failure| panic!("{failure}"));
    let ended = |line: &String| line.contains(": close") && line.contains("too many answers waited for a text to end");
    assert!(trace.iter().any(ended), "such a link ends so no more: another has to be found");
}

/// Found by 100,000 links: a link that was cut twice, before its end had read anything, gave it octets from behind the first cut.
#[test]
fn octets_from_behind_a_cut_do_not_arrive_after_a_second_one() {
    let plan = Plan { watched: 0, ..Plan::of_seed(1) };
    replay(&plan, 29_935, 40).unwrap_or_else(|failure| panic!("{failure}"));
}

/// Links on which nothing happens cost their linktests and nothing else.
#[test]
fn idle_links_only_test_themselves() {
    let plan = Plan {
        seed: 3,
        links: 20,
        span: Duration::from_secs(36_000),
        pause: Duration::ZERO,
        faults: Duration::ZERO,
        watched: 1,
        spoiled: Duration::ZERO,
    };
    let figures = run(&plan, |_| {}).unwrap_or_else(|failure| panic!("{failure}"));
    // At least a linktest a minute and one every ten seconds at most, from one end or the other: request and answer.
    let per_minute = figures.messages_per_minute();
    assert!((1.9..=24.1).contains(&per_minute), "{per_minute}");
    // Of each message: the octets, and that it was written; of each pair: the timer.
    assert!(figures.steps <= figures.messages * 4 + 20 * 50, "{} for {}", figures.steps, figures.messages);
}
