//! (d): the manager at both ends. Requests come from another thread than that of its event loop, and replies from a delegate.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use hsms_std::manager::{Delegate, Error, Expected, Manager, Peer, PeerSettings, Pending, Received};
use hsms_std::{CloseReason, Config, StreamFunction};

use super::contender::{Case, Contender, Meter, Outcome, Serve, Wrong};
use super::ours::{TRANSACTIONS, device};

/// How long anything may take that is not measured.
const LIMIT: Duration = Duration::from_secs(5);

/// Octets that may wait to be sent: the largest window of the largest messages.
const OUTPUT: usize = 64 << 20;

/// An equipment whose delegate replies to every primary with its own text, and a host.
pub(crate) struct Managed;

impl Contender for Managed {
    fn name(&self) -> &'static str {
        "(d) manager"
    }

    fn has_threads_of_its_own(&self) -> bool {
        true
    }

    fn listen(&self, _: &Case) -> Outcome<(SocketAddr, Serve)> {
        let (closing, closed) = channel();
        let answered = Arc::new(AtomicU64::new(0));
        let echo = Echo { answered: Arc::clone(&answered), closing };
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let settings = PeerSettings::passive(local, Expected::Anyone, Config::equipment(device()?));
        let manager = Manager::start()?;
        let equipment = manager.add("equipment", settings.with_output(OUTPUT).with_delegate(Arc::new(echo)))?;
        equipment.enable()?;
        let address = equipment.local_addr().ok_or_else(|| Wrong("the passive end does not listen".to_owned()))?;
        let serve = move || {
            closed.recv()?;
            manager.stop(LIMIT)?;
            Ok(answered.load(Ordering::Relaxed))
        };
        Ok((address, Box::new(serve)))
    }

    fn run(&self, to: SocketAddr, case: &Case, meter: &mut Meter) -> Outcome<u64> {
        let manager = Manager::start()?;
        let settings = PeerSettings::active([to], Config::host(device()?));
        let host = manager.add("host", settings.with_output(OUTPUT).with_transactions(TRANSACTIONS))?;
        host.enable()?;
        host.selected().wait(LIMIT)?;
        let text: Vec<u8> = case.payload().collect();
        let mut waiting = VecDeque::new();
        let (mut sent, mut received, mut go_on) = (0, 0, true);
        while go_on || !waiting.is_empty() {
            while go_on && sent - received < case.window {
                meter.sending(sent + 1);
                waiting.push_back(host.request(StreamFunction::new(1, 1), text.as_slice()));
                sent += 1;
            }
            // The oldest, and those behind it that have come meanwhile.
            let mut limit = LIMIT;
            while let Some(reply) = next(&mut waiting, limit)? {
                if meter.warming_up() && reply.body != text {
                    return Err(Wrong(format!("reply {received} differs from what was sent")).into());
                }
                received += 1;
                limit = Duration::ZERO;
                go_on &= meter.received(received)?;
            }
        }
        manager.stop(LIMIT)?;
        Ok(received)
    }
}

/// The reply to the oldest request; `None` where it has not come, which is an error for a limit that is worth the name.
fn next(waiting: &mut VecDeque<Pending<Received>>, limit: Duration) -> Outcome<Option<Received>> {
    let Some(oldest) = waiting.front_mut() else { return Ok(None) };
    match oldest.wait(limit) {
        Ok(reply) => {
            waiting.pop_front();
            Ok(Some(reply))
        }
        Err(Error::Late { .. }) if limit.is_zero() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

struct Echo {
    answered: Arc<AtomicU64>,
    closing: Sender<()>,
}

impl Delegate for Echo {
    fn received(&self, peer: &Peer, message: Received) {
        let Some(token) = message.token else { return };
        // What becomes of it is seen at the other end.
        drop(peer.reply(token, message.body));
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    fn closed(&self, _: &Peer, _: CloseReason, _: Option<io::Error>) {
        let _ = self.closing.send(());
    }
}
