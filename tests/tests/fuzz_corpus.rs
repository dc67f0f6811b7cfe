//! The seeds of every fuzz target, and changed ones, on stable.

use hsms_tests::fuzz_machine::{self, Faced};
use hsms_tests::{fuzz, fuzz_secs2, fuzz_wire, scale};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

type Harness = fn(&[u8]);

/// Every target. Those of SECS-II change their seeds in a test of their own.
const TARGETS: [(&str, Harness); 11] = [
    ("decode", fuzz::decode),
    ("receive", |data| drop(fuzz::receive(data))),
    ("message", fuzz_wire::message),
    ("differential", fuzz_wire::differential),
    ("round_trip", fuzz_wire::round_trip),
    ("operations", |data| drop(fuzz_machine::operations(data))),
    ("operations_general", |data| drop(fuzz_machine::operations_general(data))),
    ("face_to_face", |data| {
        fuzz_machine::face_to_face(data);
    }),
    ("secs2_read", fuzz_secs2::read),
    ("secs2_round_trip", fuzz_secs2::round_trip),
    ("secs2_sml", fuzz_secs2::sml),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// The seeds of a target, by name.
fn corpus(target: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = folder().join("corpus").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    files
        .map(|file| {
            let path = file.unwrap().path();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap())
        })
        .collect()
}

fn names(folder: &Path) -> BTreeSet<String> {
    let files = std::fs::read_dir(folder).unwrap();
    files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_target_is_here_and_has_seeds_with_names() {
    let here: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&folder().join("fuzz_targets")), here);
    assert_eq!(names(&folder().join("corpus")), here);
    let manifest = std::fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    let readme = std::fs::read_to_string(folder().join("README.md")).unwrap();
    for (target, _) in TARGETS {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target} is no binary");
        assert!(readme.contains(&format!("| `{target}` |")), "fuzz/README.md does not say what {target} is");
        let seeds = corpus(target);
        assert!(seeds.len() >= 5, "{target}: {} seeds", seeds.len());
        for name in seeds.keys() {
            assert!(name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_'), "{target}/{name}");
            // What a fuzzer writes is called by a hash.
            assert!(name.len() != 40 || name.contains('_'), "{target}/{name} has no name");
        }
    }
}

#[test]
fn the_seeds_of_every_target_hold() {
    for (target, harness) in TARGETS {
        for (name, data) in corpus(target) {
            println!("{target}/{name}");
            harness(&data);
        }
    }
}

#[test]
fn changed_seeds_hold_too() {
    let mut numbers = fastrand::Rng::with_seed(37);
    for (target, harness) in TARGETS {
        if target.starts_with("secs2") || ["decode", "receive"].contains(&target) {
            // Changed in `properties` and `secs2`.
            continue;
        }
        let seeds: Vec<Vec<u8>> = corpus(target).into_values().collect();
        for _ in 0..2_000 * scale() {
            harness(&change(&mut numbers, &seeds));
        }
    }
}

/// A seed with a few changes of the kind that fuzzers make.
fn change(numbers: &mut fastrand::Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut data = seeds[numbers.usize(..seeds.len())].clone();
    for _ in 0..=numbers.usize(..5) {
        let place = numbers.usize(..=data.len());
        match numbers.u8(..6) {
            0 if place < data.len() => data[place] = numbers.u8(..),
            1 if place < data.len() => data[place] ^= 1 << numbers.u8(..8),
            2 => data.insert(place, numbers.u8(..)),
            3 if place < data.len() => drop(data.remove(place)),
            4 => data.truncate(place),
            _ => data.extend(&seeds[numbers.usize(..seeds.len())]),
        }
    }
    data
}

#[test]
fn the_seeds_for_face_to_face_do_what_their_names_say() {
    let corpus = corpus("face_to_face");
    let faced = |name: &str| -> Faced { fuzz_machine::face_to_face(&corpus[name]) };
    for name in ["select_and_settle", "select_octet_by_octet", "linktests_cross", "gs_simultaneous_select"] {
        assert!(faced(name).both_selected > 0, "{name}: {:?}", faced(name));
    }
    for name in ["request_and_reply", "paused_while_octets_come", "gs_select_session_and_data"] {
        assert_eq!((faced(name).asked, faced(name).answered), (1, 1), "{name}");
    }
    let cut = faced("requests_both_ways_and_a_cut");
    assert_eq!((cut.asked, cut.answered, cut.ended), (2, 0, 2));
    assert_eq!(faced("t3_at_equipment_that_asks").ended, 1);
    assert_eq!(faced("separate_against_a_request").ended, 1);
    assert!(faced("t7_and_redial_after_t5").closed > 0);
    assert_eq!(faced("a_text_given_up").ended, 1);
    assert_eq!(faced("gs_busy_and_refused").refused, 2);
    assert!(faced("gs_deselect_against_separate").both_selected > 1);
    // Before and behind the Separate.req, which the other session outlives.
    assert_eq!(faced("gs_separate_while_a_crossed_request_is_open").both_selected, 3);
}

#[test]
fn the_seeds_for_operations_reach_sessions_and_refusals() {
    let (mut selected, mut refused, mut closed) = (0, 0, BTreeSet::new());
    for (target, harness) in [
        ("operations", fuzz_machine::operations as fn(&[u8]) -> fuzz_machine::Operated),
        ("operations_general", fuzz_machine::operations_general),
    ] {
        for (name, data) in corpus(target) {
            let done = harness(&data);
            assert!(name != "a_script_alone" || (done.refused == 0 && done.taken > 5), "{target}/{name}: {done:?}");
            assert!(name != "any_inputs_alone" || done.refused > 5, "{target}/{name}: {done:?}");
            selected += done.selected;
            refused += done.refused;
            closed.extend(done.closed.iter().map(|reason| format!("{reason:?}")));
        }
    }
    assert!(selected > 0 && refused > 0 && closed.len() > 2, "{selected} {refused} {closed:?}");
}
