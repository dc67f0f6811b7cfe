//! Calls of the system that fail, in one thread: a filter answers them with an error before the system has seen them.

use super::table::Call;
use rustix::time::{ClockId, clock_gettime};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

/// Which calls the system does not make.
#[derive(Debug, Clone)]
pub struct Filter(SeccompFilter);

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub struct Ran<T> {
    pub value: T,
    /// Time that the thread has kept a processor busy.
    pub busy: Duration,
    pub took: Duration,
}

impl Filter {
    /// From now on every such call fails with this error, not the first alone.
    pub fn failing(call: &Call, error: i32) -> Self {
        Filter::of(&[call], SeccompAction::Allow, SeccompAction::Errno(u32::try_from(error).unwrap()))
    }

    /// The first such call ends the process.
    pub fn fatal(call: &Call) -> Self {
        Filter::of(&[call], SeccompAction::Allow, SeccompAction::KillProcess)
    }

    /// The first call that is none of these ends the process.
    pub fn only(calls: &[&Call]) -> Self {
        Filter::of(calls, SeccompAction::KillProcess, SeccompAction::Allow)
    }

    fn of(calls: &[&Call], otherwise: SeccompAction, action: SeccompAction) -> Self {
        let mut rules = BTreeMap::<i64, Vec<SeccompRule>>::new();
        for call in calls {
            for number in call.numbers {
                let rules = rules.entry(*number).or_default();
                let equal = |(place, value): &(u8, u64)| {
                    SeccompCondition::new(*place, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, *value).unwrap()
                };
                if !call.arguments.is_empty() {
                    rules.push(SeccompRule::new(call.arguments.iter().map(equal).collect()).unwrap());
                }
            }
        }
        let arch = std::env::consts::ARCH.try_into().unwrap();
        Filter(SeccompFilter::new(rules, otherwise, action, arch).unwrap())
    }

    /// Does this in a thread of its own, where the filter holds; it ends with the thread.
    pub fn run<T: Send>(&self, act: impl FnOnce() -> T + Send) -> Ran<T> {
        let program: BpfProgram = self.0.clone().try_into().unwrap();
        let filtered = || {
            let (started, worked) = (Instant::now(), busy());
            seccompiler::apply_filter(&program).unwrap();
            let value = act();
            Ran { value, busy: busy() - worked, took: started.elapsed() }
        };
        thread::scope(|scope| scope.spawn(filtered).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn busy() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap(), u32::try_from(time.tv_nsec).unwrap())
}
