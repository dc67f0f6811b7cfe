//! Linktests of all tools at once, while every thread that handles messages is blocked.

use super::common::{LIMIT, Outcome};
use super::managed::Managed;
use super::tools::Tools;
use hsms_std::manager::{Delegate, ManagerSettings, Peer, Received};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// What was measured.
pub(crate) struct Blocked {
    pub(crate) connections: usize,
    handlers: usize,
    /// What half of the linktests, 99 of 100 and the last one waited for, in microseconds.
    pub(crate) waits: [u64; 3],
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Blocked { connections, handlers, waits: [half, most, all] } = self;
        write!(
            f,
            "Linktest.req from {connections} tools at once, while {handlers} handlers are blocked and the other messages wait for them: p50 {half}, \
             p99 {most}, most {all} microseconds until the answer."
        )
    }
}

/// With so many connections, every one of which has a message for a handler.
pub(crate) fn measure(connections: usize) -> Outcome<Blocked> {
    let mut tools = Tools::start()?;
    let gate = Arc::new(Gate::default());
    let handler: Arc<dyn Delegate> = Arc::new(Waits(Arc::clone(&gate)));
    let mut managed = Managed::start()?;
    managed.add(&tools.addresses, connections, Some(&handler))?;
    managed.select_all()?;
    tools.ask()?;
    let handlers = ManagerSettings::new().max_handlers().min(connections);
    let blocked = gate.wait_blocked(handlers);
    let waits = if blocked { tools.test() } else { Err("the handlers are not called".into()) };
    gate.open();
    managed.stop()?;
    Ok(Blocked { connections, handlers, waits: waits? })
}

/// Every message waits for the gate to be opened.
struct Waits(Arc<Gate>);

impl Delegate for Waits {
    fn received(&self, peer: &Peer, message: Received) {
        self.0.pass();
        if let Some(token) = message.token {
            // The tools do not look at it.
            drop(peer.reply(token, message.body));
        }
    }
}

/// How many wait before it, and whether it is open.
#[derive(Default)]
struct Gate {
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |(_, open)| !*open));
    }

    /// Whether so many do within the limit.
    fn wait_blocked(&self, handlers: usize) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(state, LIMIT, |(blocked, _)| *blocked < handlers);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.0 >= handlers
    }

    fn open(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.changed.notify_all();
    }
}
