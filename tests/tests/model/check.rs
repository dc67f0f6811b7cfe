//! Hands a model to stateright and tells what came of it.

use hsms_tests::model::search::{shortest, trace};
use hsms_tests::model::{Property, Setup, Step, Subject, World, next, steps};
use stateright::{Checker, HasDiscoveries, Model};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Runs take turns, so that each has the memory that it prints for itself.
pub fn serially() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A setup as stateright wants it.
struct Checked<M> {
    setup: Arc<Setup<M>>,
    /// The memory that the process may take, in octets.
    memory: u64,
    looked: AtomicU64,
    full: Arc<AtomicBool>,
}

impl<M: Subject> Model for Checked<M> {
    type State = World<M>;
    type Action = Step;

    fn init_states(&self) -> Vec<World<M>> {
        vec![self.setup.first()]
    }

    fn actions(&self, world: &World<M>, actions: &mut Vec<Step>) {
        steps(&self.setup, world, actions);
    }

    fn next_state(&self, world: &World<M>, step: Step) -> Option<World<M>> {
        next(&self.setup, world, step)
    }

    fn within_boundary(&self, _: &World<M>) -> bool {
        if self.looked.fetch_add(1, Ordering::Relaxed).is_multiple_of(65_536) && status("VmRSS:") > self.memory {
            self.full.store(true, Ordering::Relaxed);
        }
        !self.full.load(Ordering::Relaxed)
    }

    fn properties(&self) -> Vec<stateright::Property<Self>> {
        macro_rules! properties {
            ($($index:literal)*) => {
                vec![$(stateright::Property::always(Property::ALL[$index].0, |_, world: &World<M>| {
                    world.broken.is_none_or(|broken| !Property::ALL[$index].1(broken))
                }),)*]
            };
        }
        let properties = properties!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        assert_eq!(properties.len(), Property::ALL.len());
        properties
    }
}

/// Worlds that are looked at for the shortest way to one that is broken.
pub const WORLDS: usize = 2_000_000;

/// A property that did not hold, in words, and a way there.
pub struct Counterexample {
    pub property: &'static str,
    /// Whether there is no shorter one; otherwise it is the one that was found first.
    pub is_shortest: bool,
    pub trace: String,
}

/// What a run came to.
pub struct Figures {
    /// What did not hold.
    pub broken: Option<Counterexample>,
    /// Worlds that were seen.
    pub states: usize,
    /// Whether those are all, within the memory that was allowed.
    pub complete: bool,
}

/// Explores all of `setup`, prints the figures, and fails where a property does not hold, a situation is not met, or there was
/// no memory for all of it.
pub fn run<M: Subject>(setup: Setup<M>) {
    let name = setup.name;
    assert!(run_within_memory(setup).complete, "{name}: not all of it was seen; see HSMS_MODEL_MEMORY");
}

/// The same for setups that may be too large, of which as much is explored as there is memory for.
pub fn run_within_memory<M: Subject>(setup: Setup<M>) -> Figures {
    let figures = explore(setup, memory(), WORLDS);
    if let Some(Counterexample { property, is_shortest, trace }) = &figures.broken {
        let way = if *is_shortest { "The shortest way" } else { "A way, the shortest is too long to be looked for," };
        panic!("{property}: does not hold. {way} there:\n{trace}");
    }
    figures
}

/// Explores with so many octets of memory; to tell what does not hold no more than `worlds` are looked at again.
pub fn explore<M: Subject>(setup: Setup<M>, memory: u64, worlds: usize) -> Figures {
    let setup = Arc::new(setup);
    // Where this cannot be, the figure is the greatest since the process began.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let full = Arc::new(AtomicBool::new(false));
    let model = Checked { setup: Arc::clone(&setup), memory, looked: AtomicU64::new(0), full: Arc::clone(&full) };
    let began = Instant::now();
    // With more than one the depth is that at which worlds were found, which need not be the least; and of several properties that do
    // not hold any may be found first, which a kit that is faulty by intent has to do the same way each time.
    let threads = if setup.lifo { 1 } else { std::thread::available_parallelism().map_or(1, usize::from) };
    let checker = model.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let took = began.elapsed();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    let complete = !full.load(Ordering::Relaxed);
    let found = Property::ALL
        .into_iter()
        .find_map(|(name, is_it)| Some((name, is_it, checker.discovery(name)?.into_actions())));
    println!(
        "{}: {states} states, {} steps, depth {depth}, {:.1} s, {} MiB{}",
        setup.name,
        checker.state_count(),
        took.as_secs_f64(),
        status("VmHWM:") >> 20,
        if complete { "" } else { ", not complete" }
    );
    if !complete {
        println!("    stopped at the limit of {} MiB; see HSMS_MODEL_MEMORY", memory >> 20);
    }
    drop(checker);
    let broken = found.map(|(property, is_it, way)| {
        let path = shortest(&setup, |world| world.broken.is_some_and(is_it), worlds);
        let is_shortest = path.is_some();
        Counterexample { property, is_shortest, trace: trace(&setup, &path.unwrap_or(way)) }
    });
    let met: Vec<String> = setup.met.all().map(|situation| format!("{situation:?}")).collect();
    println!("    met: {}", met.join(" "));
    for situation in setup.must {
        assert!(setup.met.times(*situation) > 0 || broken.is_some(), "{}: never met: {situation}", setup.name);
    }
    Figures { broken, states, complete }
}

/// `HSMS_MODEL_MEMORY`, in GiB.
pub fn memory() -> u64 {
    let gibibytes = std::env::var("HSMS_MODEL_MEMORY").map_or(6, |text| text.parse().expect("a number of GiB"));
    gibibytes << 30
}

/// A line of `/proc/self/status` in octets; 0 where there is none.
fn status(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status.lines().find_map(|text| text.strip_prefix(line)?.split_whitespace().next()?.parse().ok());
    kilobytes.map_or(0, |kilobytes: u64| kilobytes << 10)
}
