//! The shortest way to a world, and how it reads.

use super::possible::steps;
use super::step::told;
use super::{Setup, Step, Subject, World, next};
use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};

/// The shortest steps from the first world to one of which `is_goal` holds, looking at no more than `most` worlds: breadth first,
/// with a note for each world of where it came from. A checker's own path need not be the shortest.
pub fn shortest<M: Subject>(setup: &Setup<M>, is_goal: impl Fn(&World<M>) -> bool, most: usize) -> Option<Vec<Step>> {
    let hasher = RandomState::new();
    let first = setup.first();
    let mut came: HashMap<u64, Option<(u64, Step)>> = HashMap::new();
    let digest = |world: &World<M>| hasher.hash_one(world);
    came.insert(digest(&first), None);
    let mut waiting = VecDeque::from([first]);
    while let Some(world) = waiting.pop_front() {
        let here = digest(&world);
        if is_goal(&world) {
            let mut path = Vec::new();
            let mut at = here;
            while let Some(Some((before, step))) = came.get(&at) {
                path.push(*step);
                at = *before;
            }
            path.reverse();
            return Some(path);
        }
        let mut possible = Vec::new();
        steps(setup, &world, &mut possible);
        for step in possible {
            let Some(then) = next(setup, &world, step) else { continue };
            let there = digest(&then);
            if came.len() < most && !came.contains_key(&there) {
                came.insert(there, Some((here, step)));
                waiting.push_back(then);
            }
        }
    }
    None
}

/// These steps as they would be told: one line for each step, and what both ends take and do.
pub fn trace<M: Subject>(setup: &Setup<M>, path: &[Step]) -> String {
    let mut text = format!("{}, {} steps:\n", setup.name, path.len());
    let mut world = setup.first();
    for (index, step) in path.iter().enumerate() {
        let mut log = Some(Vec::new());
        let then = told(setup, &world, *step, &mut log);
        let _ = writeln!(text, "{:3}  {step:?}", index + 1);
        for line in log.into_iter().flatten() {
            let _ = writeln!(text, "{line}");
        }
        let Some(then) = then else {
            let _ = writeln!(text, "    refused");
            break;
        };
        let states = then.ends.iter().map(|end| end.machine.state().to_string()).collect::<Vec<_>>();
        let _ = writeln!(text, "     -> {}", states.join(" | "));
        world = then;
    }
    if let Some(broken) = world.broken {
        let _ = writeln!(text, "     does not hold: {} ({broken})", broken.in_words());
    }
    text
}
