//! The manager with its peers, and the application that asks them.

use super::common::{ASKED, LIMIT, Outcome, body, device};
use super::ready::Ready;
use hdrhistogram::Histogram;
use hsms_std::manager::{Delegate, Error, Event, Manager, ManagerSettings, Peer, PeerSettings, Pending, Received};
use hsms_std::{Config, Options};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// Time from a failure to the next attempt. The shortest that E37 names.
pub(crate) const T5: Duration = Duration::from_secs(1);

/// What passes between two linktests of a connection on which nothing happens.
pub(crate) const LINKTEST: Duration = Duration::from_secs(10);

pub(crate) struct Managed {
    manager: Manager,
    peers: Vec<Peer>,
}

impl Managed {
    /// A manager without peers.
    pub(crate) fn start() -> Outcome<Self> {
        Ok(Managed { manager: Manager::start_with(ManagerSettings::new())?, peers: Vec::new() })
    }

    /// Adds so many peers, with this delegate. None of them is enabled.
    pub(crate) fn add(
        &mut self,
        addresses: &[SocketAddr],
        many: usize,
        delegate: Option<&Arc<dyn Delegate>>,
    ) -> Outcome<()> {
        let config = Config::host(device()?).with_t5(T5).and_then(|config| config.with_linktest_period(LINKTEST));
        let config = config.map_err(|error| error.to_string())?;
        for (number, address) in addresses.iter().cycle().take(many).enumerate() {
            let settings = PeerSettings::active([*address], config);
            let settings = match delegate {
                Some(delegate) => settings.with_delegate(Arc::clone(delegate)),
                None => settings,
            };
            self.peers.push(self.manager.add(&format!("tool {number:05}"), settings)?);
        }
        Ok(())
    }

    /// Adds one that is none of those who are asked, and is not given up where it takes nothing.
    pub(crate) fn one(&self, name: &str, address: SocketAddr, config: Config) -> Outcome<Peer> {
        let patient = Options::new().with_write_limit(LIMIT);
        Ok(self.manager.add(name, PeerSettings::active([address], config).with_options(patient))?)
    }

    /// Octets of each peer that are the caller's: its settings with the address in them, and its name.
    pub(crate) fn configured() -> usize {
        size_of::<PeerSettings>() + size_of::<SocketAddr>() + "tool 00000".len()
    }

    /// Enables all: gives how long it took until all were SELECTED.
    pub(crate) fn select_all(&self) -> Outcome<Duration> {
        let begun = Instant::now();
        for peer in &self.peers {
            peer.enable()?;
        }
        self.wait_selected()?;
        Ok(begun.elapsed())
    }

    fn wait_selected(&self) -> Outcome<()> {
        let mut waiting: Vec<Pending<()>> = self.peers.iter().map(Peer::selected).collect();
        for pending in &mut waiting {
            pending.wait(LIMIT)?;
        }
        Ok(())
    }

    /// How long until all are SELECTED again, after `cut` has cut them all.
    pub(crate) fn recover(&self, cut: impl FnOnce() -> Outcome<usize>) -> Outcome<Duration> {
        self.settle();
        let begun = Instant::now();
        let many = cut()?;
        if many < self.peers.len() {
            return Err(format!("{many} connections were cut, of {}", self.peers.len()).into());
        }
        let mut closed = 0;
        while closed < self.peers.len() {
            match self.manager.next(LIMIT) {
                Some((_, Event::Closed { .. })) => closed += 1,
                Some(_) => {}
                None => return Err(format!("{closed} of {many} have noticed that they were cut").into()),
            }
        }
        self.wait_selected()?;
        Ok(begun.elapsed())
    }

    /// Reads what is told of the peers, so that nothing of it waits any more.
    pub(crate) fn settle(&self) {
        while self.manager.next(Duration::from_millis(50)).is_some() {}
    }

    /// Waits so long, in which linktests are answered and nothing else happens.
    pub(crate) fn stay_idle(&self, span: Duration) -> Outcome<()> {
        match self.manager.next(span) {
            None => Ok(()),
            Some((peer, event)) => Err(format!("{}: {event:?}, while nothing was to happen", peer.name()).into()),
        }
    }

    /// One request on each at any time, asked by this thread: how many were answered in a second.
    pub(crate) fn rate(&self, warm_up: Duration, span: Duration) -> Outcome<f64> {
        let ready = Arc::new(Ready::default());
        let wakers: Vec<Waker> = (0..self.peers.len()).map(|number| ready.waker(number)).collect();
        let expected = body();
        let ask = |number: usize| self.peers[number].request(ASKED, expected);
        let mut waiting: Vec<Pending<Received>> = (0..self.peers.len()).map(ask).collect();
        // Each has to be looked at once to be woken later.
        wakers.iter().for_each(Waker::wake_by_ref);
        let (begun, mut taken) = (Instant::now(), Vec::new());
        let (mut answered, mut counted_from, mut rate) = (0_u64, None, None);
        let mut open = waiting.len();
        while open > 0 {
            if !ready.take(&mut taken, LIMIT) {
                return Err("no reply comes".into());
            }
            for &number in &taken {
                while let Poll::Ready(reply) = poll(&mut waiting[number], &wakers[number]) {
                    if reply?.body != expected {
                        return Err("a reply has another text".into());
                    }
                    answered += 1;
                    if rate.is_some() {
                        open -= 1;
                        break;
                    }
                    waiting[number] = ask(number);
                }
            }
            match counted_from {
                None if begun.elapsed() >= warm_up => counted_from = Some((Instant::now(), answered)),
                Some((since, before)) if rate.is_none() && since.elapsed() >= span => {
                    rate = Some((answered - before) as f64 / since.elapsed().as_secs_f64());
                }
                _ => {}
            }
        }
        rate.ok_or_else(|| "the round ended before its time".into())
    }

    /// What a request to the last peer takes while all others are busy: microseconds. The rate of those beside it.
    pub(crate) fn waits_while_busy(&mut self, warm_up: Duration, span: Duration) -> Outcome<(f64, Histogram<u64>)> {
        let Some(watched) = self.peers.pop() else { return Err("there is no peer".into()) };
        let over = AtomicBool::new(false);
        let (rate, waits) = thread::scope(|scope| {
            let watching = scope.spawn(|| watch(&watched, &over));
            let rate = self.rate(warm_up, span);
            over.store(true, Ordering::Relaxed);
            (rate, watching.join())
        });
        self.peers.push(watched);
        let waits = waits.map_err(|_| "whoever watched has panicked")??;
        Ok((rate?, waits))
    }

    pub(crate) fn stop(self) -> Outcome<()> {
        Ok(self.manager.stop(LIMIT)?)
    }
}

fn watch(peer: &Peer, over: &AtomicBool) -> Outcome<Histogram<u64>> {
    // A microsecond to two minutes, three significant digits.
    let mut waits = Histogram::new_with_bounds(1, 120_000_000, 3)?;
    while !over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        peer.request(ASKED, body()).wait(LIMIT)?;
        waits.record(u64::try_from(begun.elapsed().as_micros())?)?;
    }
    Ok(waits)
}

fn poll(pending: &mut Pending<Received>, waker: &Waker) -> Poll<Result<Received, Error>> {
    Pin::new(pending).poll(&mut Context::from_waker(waker))
}
