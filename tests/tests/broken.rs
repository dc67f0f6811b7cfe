//! Every peer of `hsms_std::faults::broken` is caught by the rule that is meant for it, in memory and over sockets, and a good
//! one by none of them.
//!
//! What caught it, and which other rules fail too, is printed at the end.

use hsms_std::conformance::{Bench, Rule, Setup, Verdict, rules};
use hsms_std::core::config::Profile;
use hsms_std::faults::broken::{Broken, GOOD, PEERS};
use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

/// Peers that are caught in memory only, and why.
const IN_MEMORY_ONLY: [(&str, &str); 1] = [(
    "starts_t7_anew_with_every_message",
    "what the tester can send safely within T7 moves its end by less than what a busy machine may be late",
)];

/// Setups of the rule in which the fault cannot show, and why. Everywhere else it does.
const CANNOT_SHOW: [(&str, Profile, &str); 1] = [(
    "starts_t7_anew_with_every_message",
    Profile::Strict,
    "whatever the tester could send while NOT SELECTED ends the connection at once",
)];

/// Of a hundred rules that apply to it, how many a broken peer fulfils at least: one that does nothing right would be caught by
/// any rule.
const FULFILLED: usize = 66;

/// What was printed about each peer and bench.
type Findings = Arc<Mutex<BTreeMap<String, String>>>;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Tests over sockets wait more than they compute.
    arguments.test_threads = arguments.test_threads.or(Some(8));
    let findings = Findings::default();
    let mut trials = vec![
        Trial::test("good::in_memory", good_in_memory),
        Trial::test("good::over_sockets", good_over_sockets),
        Trial::test("twelve_at_least_and_eight_over_sockets", enough),
        Trial::test("a_peer_without_its_fault_is_found", no_fault_no_catch),
    ];
    if hsms_tests::scale() >= 100 {
        // Three minutes, for whoever changes how these peers are wrapped or served: `HSMS_SCALE=full`.
        trials.push(Trial::test("good::every_rule_over_sockets", good_everything_over_sockets));
    }
    for peer in PEERS {
        let memory = findings.clone();
        trials.push(Trial::test(format!("memory::{}", peer.name), move || in_memory(peer, &memory)));
        if runs_over_sockets(peer) {
            let sockets = findings.clone();
            trials.push(Trial::test(format!("socket::{}", peer.name), move || over_sockets(peer, &sockets)));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Ok(findings) = findings.lock() {
        findings.values().for_each(|finding| println!("{finding}"));
        println!(
            "{} broken peers, caught {} times in this run, in memory and over sockets",
            PEERS.len(),
            findings.len()
        );
    }
    conclusion.exit_code()
}

fn runs_over_sockets(peer: &Broken) -> bool {
    !IN_MEMORY_ONLY.iter().any(|(name, _)| *name == peer.name)
}

fn rule(peer: &Broken) -> Result<&'static Rule, Failed> {
    rules().find(|rule| rule.id == peer.rule).ok_or_else(|| format!("{}: no rule {}", peer.name, peer.rule).into())
}

/// In which it is caught.
fn setups(peer: &Broken, rule: &'static Rule) -> Vec<Setup> {
    let shows = |setup: &Setup| !CANNOT_SHOW.iter().any(|(name, not, _)| *name == peer.name && *not == setup.profile);
    rule.setups().filter(shows).collect()
}

/// The verdict is a failure whose reason and octets can be read. Gives both, the octets shortened.
fn caught(verdict: &Verdict) -> Result<String, Failed> {
    let Verdict::Fail { why, transcript } = verdict else {
        return Err(format!("it is not caught: {verdict}").into());
    };
    let text = verdict.to_string();
    if why.is_empty() || transcript.entries().is_empty() || !text.contains("tester ->") && !text.contains("subject ->")
    {
        return Err(format!("the verdict does not tell what happened: {text}").into());
    }
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.get(lines.len().saturating_sub(4).max(1)..).unwrap_or_default();
    Ok(format!("  {why}\n    {}", last.join("\n    ")))
}

fn in_memory(peer: &Broken, findings: &Findings) -> Result<(), Failed> {
    let rule = rule(peer)?;
    let mut first = None;
    for setup in setups(peer, rule) {
        let found = caught(&rule.verdict(&mut peer.memory(setup))).map_err(|why| in_setup(setup, &why))?;
        first.get_or_insert(found);
        passes(rule, setup, &mut GOOD.memory(setup))?;
    }
    let (mut runs, mut failed, mut others) = (0_usize, 0_usize, BTreeSet::new());
    for other in rules() {
        for setup in other.setups() {
            runs += 1;
            if !other.verdict(&mut peer.memory(setup)).is_pass() {
                failed += 1;
                others.insert(other.id);
            }
        }
    }
    others.remove(rule.id);
    let others: Vec<&str> = others.into_iter().collect();
    let finding = format!(
        "{} is caught by {} in memory:\n{}\n  {failed} of {runs} runs of all rules fail; others that do: {}",
        peer.name,
        rule.id,
        first.unwrap_or_default(),
        if others.is_empty() { "none".into() } else { others.join(" ") }
    );
    if (runs - failed) * 100 < runs * FULFILLED {
        return Err(format!("it is too broken: {finding}").into());
    }
    findings.lock().map_err(|_| "poisoned")?.insert(format!("{} 1", peer.name), finding);
    Ok(())
}

fn over_sockets(peer: &Broken, findings: &Findings) -> Result<(), Failed> {
    let rule = rule(peer)?;
    let all = at_once(setups(peer, rule), |setup| {
        let mut bench = peer.bench(setup).map_err(|error| error.to_string())?;
        caught(&rule.verdict(&mut bench)).map_err(|why| in_setup(setup, &why))
    })?;
    let finding = format!(
        "{} is caught by {} over sockets, in {} setups:\n{}",
        peer.name,
        rule.id,
        all.len(),
        all.first().map_or("", String::as_str)
    );
    findings.lock().map_err(|_| "poisoned")?.insert(format!("{} 2", peer.name), finding);
    Ok(())
}

/// Within its wrapping the good machine fulfils every rule there is.
fn good_in_memory() -> Result<(), Failed> {
    for rule in rules() {
        for setup in rule.setups() {
            passes(rule, setup, &mut GOOD.memory(setup))?;
        }
    }
    Ok(())
}

/// Over sockets it fulfils the rules that catch the others.
fn good_over_sockets() -> Result<(), Failed> {
    let mut runs = BTreeMap::new();
    for peer in PEERS.iter().filter(|peer| runs_over_sockets(peer)) {
        let rule = rule(peer)?;
        runs.extend(rule.setups().map(|setup| ((rule.id, setup.name()), (rule, setup))));
    }
    at_once(runs.into_values(), |(rule, setup)| {
        let mut bench = GOOD.bench(setup).map_err(|error| error.to_string())?;
        passes(rule, setup, &mut bench)
    })?;
    Ok(())
}

/// Over sockets it fulfils every rule that can be decided there, so that no fault of the wrapping is taken for one of a peer.
fn good_everything_over_sockets() -> Result<(), Failed> {
    let runs = rules().flat_map(|rule| rule.setups().map(move |setup| (rule, setup)));
    let verdicts = at_once(runs, |(rule, setup)| {
        let mut bench = GOOD.bench(setup).map_err(|error| error.to_string())?;
        match rule.verdict(&mut bench) {
            verdict @ Verdict::Fail { .. } => Err(format!("{}, {}: {verdict}", rule.id, setup.name()).into()),
            verdict => Ok(verdict.is_decided()),
        }
    })?;
    let decided = verdicts.iter().filter(|decided| **decided).count();
    if decided * 100 < verdicts.len() * 80 {
        return Err(format!("only {decided} of {} are decided", verdicts.len()).into());
    }
    println!("the good peer over sockets: {decided} of {} runs decided", verdicts.len());
    Ok(())
}

fn passes(rule: &Rule, setup: Setup, bench: &mut dyn Bench) -> Result<(), Failed> {
    match rule.verdict(bench) {
        Verdict::Pass { .. } => Ok(()),
        verdict => Err(format!("{}, {}: {verdict}", rule.id, setup.name()).into()),
    }
}

fn in_setup(setup: Setup, why: &Failed) -> Failed {
    format!("{}: {}", setup.name(), why.message().unwrap_or("failed")).into()
}

/// Runs over sockets mostly wait, so they do that side by side, eight at once.
fn at_once<C: Send, T: Send>(
    cases: impl IntoIterator<Item = C>,
    run: impl Fn(C) -> Result<T, Failed> + Sync,
) -> Result<Vec<T>, Failed> {
    let cases: Vec<C> = cases.into_iter().collect();
    let next = Mutex::new(cases.into_iter());
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(case) = next.lock().ok().and_then(|mut cases| cases.next()) {
                    let result = run(case);
                    if let Ok(mut results) = results.lock() {
                        results.push(result);
                    }
                }
            });
        }
    });
    results.into_inner().map_err(|_| "poisoned")?.into_iter().collect()
}

/// The list is what it is said to be: different names, failures and faults, and enough of them.
fn enough() -> Result<(), Failed> {
    let count = |text: fn(&Broken) -> &str| PEERS.iter().map(text).collect::<BTreeSet<_>>().len();
    if [count(|peer| peer.name), count(|peer| peer.failure)] != [PEERS.len(); 2] {
        return Err("two of them are the same".into());
    }
    for (name, ..) in CANNOT_SHOW {
        let peer = PEERS.iter().find(|peer| peer.name == name).ok_or_else(|| format!("no peer {name}"))?;
        if setups(peer, rule(peer)?).is_empty() {
            return Err(format!("{name} cannot be caught at all").into());
        }
    }
    let sockets = PEERS.iter().filter(|peer| runs_over_sockets(peer)).count();
    if PEERS.len() < 12 || sockets < 8 || sockets + IN_MEMORY_ONLY.len() != PEERS.len() {
        return Err(format!("{} peers, {sockets} of them over sockets", PEERS.len()).into());
    }
    Ok(())
}

/// A peer that is not broken fails these tests.
fn no_fault_no_catch() -> Result<(), Failed> {
    for peer in PEERS {
        let rule = rule(peer)?;
        for setup in rule.setups() {
            if caught(&rule.verdict(&mut GOOD.memory(setup))).is_ok() {
                return Err(format!("{} catches a good peer", rule.id).into());
            }
        }
    }
    Ok(())
}
