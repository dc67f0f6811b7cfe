//! Any number of peers on one event loop, which has a thread of its own.
//!
//! A [`Manager`] owns peers by name: active ones, which are dialled, and passive ones, which call; any number of these can share a
//! port. They are added, removed, enabled and disabled while it runs. A [`Peer`] is a handle for any thread. What happens is told to a [`Delegate`], by worker
//! threads and never by the loop, or, for peers without one, by [`Manager::next`].
//!
//! ```
//! # fn main() -> Result<(), hsms_std::manager::Error> {
//! use hsms_std::manager::{Delegate, Expected, Manager, Peer, PeerSettings, Received};
//! use hsms_std::{Config, DeviceId, StreamFunction};
//! use std::{sync::Arc, time::Duration};
//!
//! struct Echo;
//! impl Delegate for Echo {
//!     fn received(&self, peer: &Peer, message: Received) {
//!         let Some(token) = message.token else { return };
//!         let _ = peer.reply(token, message.body);
//!     }
//! }
//! # const DEVICE: DeviceId = DeviceId::new(0).unwrap();
//! # const LOCAL: std::net::SocketAddr = std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
//! let manager = Manager::start()?;
//! let tool = PeerSettings::passive(LOCAL, Expected::Anyone, Config::equipment(DEVICE));
//! let tool = manager.add("tool", tool.with_delegate(Arc::new(Echo)))?;
//! let address = tool.local_addr().into_iter().collect::<Vec<_>>();
//! let host = manager.add("host", PeerSettings::active(address, Config::host(DEVICE)))?;
//! tool.enable()?;
//! host.enable()?;
//! host.selected().wait(Duration::from_secs(10))?;
//! let reply = host.request(StreamFunction::new(1, 1), []).wait(Duration::from_secs(10))?;
//! assert_eq!(reply.header.stream_function(), StreamFunction::new(1, 2));
//! manager.stop(Duration::from_secs(10))
//! # }
//! ```
//!
//! # What happens where
//!
//! * The loop reads, writes, answers linktests and runs every timer. It waits for nobody: no peer, no handler. Its sockets never block.
//! * Bounded, for each peer: octets that wait to be sent ([`PeerSettings::with_output`]), messages that wait for their handler
//!   ([`Options::with_inbox`](crate::Options::with_inbox)). What does not fit is refused with
//!   [`Error::OutputFull`], or answered SxF0 or dropped, and told by [`Event::Dropped`]. A peer that does not take what the machine answers is not read until it
//!   does, and is given up after the [write limit](crate::Options::with_write_limit).
//! * Every [`Pending`] has exactly one outcome, also when its peer is removed or the manager stops.
//!
//! # Passive peers on one port
//!
//! Peers on one port are told apart by, in this order:
//!
//! 1. the caller's address and port, or
//! 2. its address: [`Expected`]. It is the peer's that expects it most exactly. Where several expect it alike,
//! 3. the session id of its Select.req, when not 0xFFFF: a device id or session of one of them, or
//! 4. the device id of its first data message.
//!
//! Until then the connection is unassigned: it is selected, its linktests are answered, and its primaries are held, 64 of them with
//! 64 KiB at most; by the settings of the candidate that was added first, but tolerantly, as a host that serves any device, sends no
//! linktests, and takes messages as long as any candidate does. When nothing has told whose it is [within 10 s](ManagerSettings::with_identify_within), a [callback](Identify)
//! decides: it is assigned to a peer, or S1F1 is sent to the device ids of those that it may be, or it is closed. So two tools behind
//! one address both work, and two sessions of HSMS-GS.
//!
//! Peers on one port that are expected from the same place and share a device id or session are refused with [`Error::SamePlace`].
//! A caller whose peer has a connection already, or is disabled, is answered status 1 and hung up on; where its Select.req had been
//! answered before it told whose it is, it is sent Separate.req instead. A caller that nobody expects is hung up on at once,
//! and so are callers that [`Security`](crate::Security) bars: those that it does not allow, and those beyond its caps on how many
//! are told so, or are unassigned, at the same time. All of them are counted by [`Manager::callers_refused`].

mod callers;
mod delegate;
mod entry;
mod error;
mod event_loop;
mod farewell;
mod identify;
mod link;
mod listen;
mod machine;
mod peer;
mod pending;
mod queue;
#[cfg(feature = "services")]
mod served;
#[cfg(feature = "services")]
mod services;
mod sessions;
mod settings;
mod socket;
mod tally;

pub use delegate::{Delegate, Event, Received};
pub use error::Error;
pub use identify::{Decision, Identify, Unidentified};
pub use peer::Peer;
pub use pending::Pending;
#[cfg(feature = "services")]
pub use services::PeerServices;
pub use settings::{Expected, ManagerSettings, PeerSettings};

use crate::security::CallersRefused;
use delegate::{Next, Pool, lock};
use event_loop::{EventLoop, MAILBOX};
use farewell::FAREWELL;
use peer::{Command, Mailbox, Order, Shared};
use pending::pending;
use queue::Item;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Owner of any number of peers by name, and of the thread that serves them. See the [module](self).
pub struct Manager {
    mailbox: Arc<Mailbox>,
    settings: ManagerSettings,
    peers: Mutex<HashMap<Arc<str>, Peer>>,
    workers: Arc<Pool>,
    events: Arc<Pool>,
    /// Until it has been waited for.
    ended: Mutex<Option<Pending<()>>>,
    next_id: AtomicUsize,
    refused: Arc<Mutex<CallersRefused>>,
}

impl Manager {
    /// A manager without peers, running, with the defaults.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn start() -> Result<Self, Error> {
        Manager::start_with(ManagerSettings::new())
    }

    /// The same, with these settings.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn start_with(settings: ManagerSettings) -> Result<Self, Error> {
        let poll = mio::Poll::new().map_err(system)?;
        let mailbox = Arc::new(Mailbox::new(waker(&poll)?));
        let workers = Arc::new(Pool::new(settings.max_handlers()));
        let manager = Manager {
            mailbox,
            settings,
            peers: Mutex::default(),
            workers,
            events: Arc::new(Pool::new(0)),
            ended: Mutex::new(None),
            next_id: AtomicUsize::new(1),
            refused: Arc::default(),
        };
        *lock(&manager.ended) = Some(manager.spawn(poll)?);
        Ok(manager)
    }

    /// Starts the loop. What it gives is there when it has ended.
    fn spawn(&self, poll: mio::Poll) -> Result<Pending<()>, Error> {
        let pools = (Arc::clone(&self.workers), Arc::clone(&self.events));
        let (mailbox, refused) = (Arc::clone(&self.mailbox), Arc::clone(&self.refused));
        let event_loop = EventLoop::new(poll, mailbox, self.settings.clone(), pools, refused);
        let (promise, ended) = pending();
        let run = move || {
            event_loop.run();
            promise.settle(Ok(()));
        };
        thread::Builder::new().name("hsms-manager".into()).spawn(run).map_err(system)?;
        Ok(ended)
    }

    /// Starts again after a [`stop`](Self::stop) that succeeded: with the same peers, whose handles are good again; those that were
    /// enabled are enabled again, and passive ones are listened for where they were. Connections and system bytes are numbered from the
    /// beginning, so a message that came before the stop must not be replied to.
    ///
    /// # Errors
    /// [`Error::Running`]; [`Error::HandlersBusy`] where delegates have not returned from before; [`Error::Listen`] or [`Error::System`],
    /// then it stays stopped.
    pub fn restart(&self) -> Result<(), Error> {
        let mut ended = lock(&self.ended);
        if ended.is_some() {
            return Err(Error::Running);
        }
        // What they decide is about callers of before.
        let handlers = self.workers.wait_ended(Duration::ZERO);
        if handlers > 0 {
            return Err(Error::HandlersBusy { handlers });
        }
        let poll = mio::Poll::new().map_err(system)?;
        let waker = waker(&poll)?;
        self.workers.restart();
        self.events.restart();
        // Whoever adds one meanwhile waits.
        let peers = lock(&self.peers);
        self.mailbox.reopen(waker);
        let started = self.spawn(poll).inspect_err(|_| self.mailbox.close())?;
        *ended = Some(started);
        drop(ended);
        // In the order in which they were added.
        let mut all: Vec<&Peer> = peers.values().collect();
        all.sort_unstable_by_key(|peer| peer.shared.id);
        let again = || all.iter().try_for_each(|peer| self.hand_over(peer).and_then(|()| peer.turn_as_meant()));
        again().inspect_err(|_| {
            // Nothing is connected yet, so this does not take long.
            let _ = self.stop(2 * FAREWELL);
        })
    }

    /// Adds a peer, which is not enabled yet. A passive one is listened for from here on, and its callers are told that the place is
    /// taken until it is enabled.
    ///
    /// # Errors
    /// [`Error::NameTaken`], [`Error::SamePlace`], [`Error::SecurityDiffers`], [`Error::ExpectedPeer`], [`Error::Connection`] with
    /// [`TlsForOtherRole`](crate::Error::TlsForOtherRole), [`Error::NoAddress`], [`Error::Listen`], [`Error::Stopped`]; with
    /// feature `services` `Error::Services`.
    pub fn add(&self, name: &str, mut settings: PeerSettings) -> Result<Peer, Error> {
        let mut peers = lock(&self.peers);
        if peers.contains_key(name) {
            return Err(Error::NameTaken { name: name.to_owned() });
        }
        settings.settle_place()?;
        settings.inherit(&self.settings);
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let peer = Peer { shared: Arc::new(Shared::new(id, name, Arc::clone(&self.mailbox), settings)?) };
        self.hand_over(&peer)?;
        peers.insert(Arc::clone(&peer.shared.name), peer.clone());
        Ok(peer)
    }

    /// Has the loop take a peer in.
    fn hand_over(&self, peer: &Peer) -> Result<(), Error> {
        let (promise, added) = pending();
        self.mailbox.post(Command::Add(Arc::clone(&peer.shared), promise))?;
        // The loop waits for nobody, so this does not take long.
        added.outcome()
    }

    /// Disables a peer, and removes it when its connection is closed. What still waits for it ends; handlers of its services, and their
    /// secret, are dropped. The name is free at once; its place on a port when the connection is closed.
    /// Its delegate is dropped by a thread of the manager, where nobody else has it; of a manager that has stopped, by the caller.
    ///
    /// # Errors
    /// [`Error::NameUnknown`].
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let peer = lock(&self.peers).remove(name).ok_or_else(|| unknown(name))?;
        peer.retire_services();
        let id = peer.shared.id;
        // Before the loop lets go of it: a delegate may take its time when it is dropped, and nobody who removes it waits for that.
        drop(peer);
        // Where the manager has stopped, nothing is left to be done.
        let _ = self.mailbox.post(Command::Order(id, Order::Remove));
        Ok(())
    }

    /// The peer of this name.
    ///
    /// # Errors
    /// [`Error::NameUnknown`].
    pub fn peer(&self, name: &str) -> Result<Peer, Error> {
        lock(&self.peers).get(name).cloned().ok_or_else(|| unknown(name))
    }

    /// All peers, in no order.
    #[must_use]
    pub fn peers(&self) -> Vec<Peer> {
        lock(&self.peers).values().cloned().collect()
    }

    /// Enables the peer of this name: see [`Peer::enable`].
    ///
    /// # Errors
    /// [`Error::NameUnknown`], [`Error::System`].
    pub fn enable(&self, name: &str) -> Result<(), Error> {
        self.peer(name)?.enable()
    }

    /// Disables the peer of this name: see [`Peer::disable`].
    ///
    /// # Errors
    /// [`Error::NameUnknown`], [`Error::System`].
    pub fn disable(&self, name: &str) -> Result<(), Error> {
        self.peer(name)?.disable()
    }

    /// How many callers were turned away from all ports since the manager was made, by reason. Those that are no peer's are told of
    /// nowhere else but in the log.
    #[must_use]
    pub fn callers_refused(&self) -> CallersRefused {
        *lock(&self.refused)
    }

    /// The next event of a peer without a delegate, in order for each peer. `None` when there is none within `limit`, or the manager
    /// has stopped. Not reading them harms nobody: they are bounded like those of a delegate. Of several threads that read them
    /// each gets some.
    #[must_use]
    pub fn next(&self, limit: Duration) -> Option<(Peer, Event)> {
        let Next::Item(peer, Item::Event(event)) = self.events.next(limit)? else { return None };
        self.events.finish(peer.clone(), false);
        Some((peer, event))
    }

    /// Ends all sessions with Separate.req, closes all connections and listeners, and waits until everything has ended, for `limit` at
    /// most. Half of it is for delegates to say farewell, as far as their peers allow. Ports are free then. May be repeated.
    ///
    /// What was to be sent before is still sent, by up to 1,024 connections at the same time: a peer whose connection we close has a second to take an octet of it, and ten for all;
    /// here three quarters of `limit` at most.
    ///
    /// Peers stay known: after [`restart`](Self::restart) they go on.
    ///
    /// Called by a delegate it waits for that very delegate in vain.
    ///
    /// # Errors
    /// [`Error::HandlersBusy`] where delegates have not returned: their threads end when they do. [`Error::Late`].
    pub fn stop(&self, limit: Duration) -> Result<(), Error> {
        let begun = Instant::now();
        let _ = self.mailbox.post(Command::Stop { farewell: limit / 2, limit: limit / 4 * 3 });
        let mut ended = lock(&self.ended);
        if let Some(pending) = &mut *ended {
            pending.wait(limit)?;
            *ended = None;
        }
        drop(ended);
        match self.workers.wait_ended(limit.saturating_sub(begun.elapsed())) {
            0 => Ok(()),
            handlers => Err(Error::HandlersBusy { handlers }),
        }
    }
}

/// Stops without waiting, and without farewells.
impl Drop for Manager {
    fn drop(&mut self) {
        self.peers().iter().for_each(Peer::retire_services);
        let _ = self.mailbox.post(Command::Stop { farewell: Duration::ZERO, limit: FAREWELL });
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").field("peers", &self.peers()).finish_non_exhaustive()
    }
}

fn system(source: std::io::Error) -> Error {
    Error::System { source }
}

fn waker(poll: &mio::Poll) -> Result<mio::Waker, Error> {
    mio::Waker::new(poll.registry(), MAILBOX).map_err(system)
}

fn unknown(name: &str) -> Error {
    Error::NameUnknown { name: name.to_owned() }
}
