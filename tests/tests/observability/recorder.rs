//! A recorder of the `metrics` facade that can be asked.

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What has been recorded, by name and sorted labels: `name{key=value,…}`.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    pub counters: BTreeMap<String, u64>,
    pub gauges: BTreeMap<String, f64>,
    pub histograms: BTreeMap<String, Vec<f64>>,
    pub described: BTreeSet<String>,
}

static RECORDED: OnceLock<Arc<Mutex<Recorded>>> = OnceLock::new();

fn lock() -> MutexGuard<'static, Recorded> {
    RECORDED.get_or_init(Arc::default).lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn recorded() -> Recorded {
    lock().clone()
}

/// For all threads: a manager has its own.
pub fn install() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| metrics::set_global_recorder(Asked).unwrap());
}

struct Asked;

struct Named(String);

fn named(key: &Key) -> Arc<Named> {
    let mut labels: Vec<String> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
    labels.sort();
    Arc::new(Named(format!("{}{{{}}}", key.name(), labels.join(","))))
}

fn described(name: &KeyName, unit: Option<Unit>) {
    assert!(unit.is_some(), "{name:?}");
    lock().described.insert(name.as_str().to_owned());
}

impl Recorder for Asked {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        described(&name, unit);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        described(&name, unit);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        described(&name, unit);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(named(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(named(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(named(key))
    }
}

impl CounterFn for Named {
    fn increment(&self, value: u64) {
        *lock().counters.entry(self.0.clone()).or_default() += value;
    }

    fn absolute(&self, value: u64) {
        lock().counters.insert(self.0.clone(), value);
    }
}

impl GaugeFn for Named {
    fn increment(&self, value: f64) {
        *lock().gauges.entry(self.0.clone()).or_default() += value;
    }

    fn decrement(&self, value: f64) {
        *lock().gauges.entry(self.0.clone()).or_default() -= value;
    }

    fn set(&self, value: f64) {
        lock().gauges.insert(self.0.clone(), value);
    }
}

impl HistogramFn for Named {
    fn record(&self, value: f64) {
        lock().histograms.entry(self.0.clone()).or_default().push(value);
    }
}
