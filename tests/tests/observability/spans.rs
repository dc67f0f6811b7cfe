//! A subscriber of `tracing` that can be asked what was said inside which span.

use std::cell::RefCell;
use std::fmt::{Debug, Write};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// What was said.
#[derive(Debug, Clone)]
pub struct Line {
    /// Of the span `hsms` that it was said in.
    pub peer: Option<String>,
    /// The name of the connection in that span; empty where it has none.
    pub channel: String,
    pub target: String,
    pub text: String,
}

#[derive(Debug, Default)]
struct Said {
    /// The fields `peer` and `channel` of each span, which its number tells.
    spans: Vec<(String, String)>,
    lines: Vec<Line>,
}

static SAID: Mutex<Said> = Mutex::new(Said { spans: Vec::new(), lines: Vec::new() });

thread_local! {
    static INSIDE: RefCell<Vec<Id>> = const { RefCell::new(Vec::new()) };
}

fn lock() -> MutexGuard<'static, Said> {
    SAID.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything so far.
pub fn lines() -> Vec<Line> {
    lock().lines.clone()
}

/// In all threads: a manager has its own.
pub fn listen() {
    static LISTENS: OnceLock<()> = OnceLock::new();
    LISTENS.get_or_init(|| tracing::subscriber::set_global_default(Listener).unwrap());
}

struct Listener;

struct Text<'t>(&'t mut String, Option<&'static str>);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match self.1 {
            None => write!(self.0, " {field}={value:?}").unwrap(),
            Some(name) if name == field.name() => write!(self.0, "{value:?}").unwrap(),
            Some(_) => {}
        }
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("hsms") || metadata.target() == "application"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        assert_eq!((span.metadata().name(), span.metadata().target()), ("hsms", "hsms"));
        let (mut peer, mut channel) = (String::new(), String::new());
        span.record(&mut Text(&mut peer, Some("peer")));
        span.record(&mut Text(&mut channel, Some("channel")));
        let mut said = lock();
        said.spans.push((peer, channel));
        Id::from_u64(u64::try_from(said.spans.len()).unwrap())
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = String::new();
        event.record(&mut Text(&mut text, None));
        let span = INSIDE.with_borrow(|spans| spans.last().cloned());
        let mut said = lock();
        let span = span.map(|id| said.spans[usize::try_from(id.into_u64()).unwrap() - 1].clone());
        let (peer, channel) = span.map_or((None, String::new()), |(peer, channel)| (Some(peer), channel));
        said.lines.push(Line { peer, channel, target: event.metadata().target().to_owned(), text });
    }

    fn enter(&self, id: &Id) {
        INSIDE.with_borrow_mut(|spans| spans.push(id.clone()));
    }

    fn exit(&self, id: &Id) {
        assert_eq!(INSIDE.with_borrow_mut(Vec::pop).as_ref(), Some(id));
    }
}
