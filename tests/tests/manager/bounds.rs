//! What the application gives to the manager, and what strangers have it do, keeps the loop from nothing and has bounds.

use crate::caller::{Caller, LIMIT, LOCAL, SLACK, tool};
use hsms_std::core::wire::SType;
use hsms_std::manager::{
    Decision, Delegate, Expected, Manager, ManagerSettings, Peer, PeerSettings, Received, Unidentified,
};
use hsms_std::{Config, DeviceId};
use std::net::{Ipv4Addr, Shutdown};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// Its end takes long.
struct Slow {
    begun: Mutex<Sender<()>>,
    go_on: Mutex<Receiver<()>>,
}

impl Delegate for Slow {
    fn received(&self, _: &Peer, _: Received) {}
}

impl Drop for Slow {
    fn drop(&mut self) {
        let _ = self.begun.lock().unwrap().send(());
        let _ = self.go_on.lock().unwrap().recv_timeout(LIMIT);
    }
}

#[test]
fn a_delegate_of_a_peer_that_is_removed_may_take_its_time_to_end() {
    let manager = Manager::start().unwrap();
    let [alive, gone] = [1, 2].map(|last| Ipv4Addr::new(127, 0, 7, last));
    let peer = manager.add("alive", tool(LOCAL, alive)).unwrap();
    let port = peer.local_addr().unwrap();
    peer.enable().unwrap();
    let mut caller = Caller::selected(alive, port);
    let ((begun, has_begun), (go, go_on)) = (channel(), channel());
    let slow = Slow { begun: Mutex::new(begun), go_on: Mutex::new(go_on) };
    drop(manager.add("gone", tool(port, gone).with_delegate(Arc::new(slow))).unwrap());
    manager.remove("gone").unwrap();
    has_begun.recv_timeout(LIMIT).unwrap();
    caller.linktest();
    go.send(()).unwrap();
    manager.stop(LIMIT).unwrap();
}

/// Tells in which thread it ends.
struct Tells(Mutex<Sender<ThreadId>>);

impl Delegate for Tells {
    fn received(&self, _: &Peer, _: Received) {}
}

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.lock().unwrap().send(thread::current().id());
    }
}

#[test]
fn whoever_removes_a_peer_is_never_the_last_that_has_its_delegate() {
    let manager = Manager::start().unwrap();
    let (ended, has_ended) = channel();
    for _ in 0..1_000 {
        let tells = Tells(Mutex::new(ended.clone()));
        let settings = tool(LOCAL, Ipv4Addr::new(127, 0, 7, 4)).with_delegate(Arc::new(tells));
        drop(manager.add("gone", settings).unwrap());
        manager.remove("gone").unwrap();
        assert_ne!(has_ended.recv_timeout(LIMIT).unwrap(), thread::current().id());
    }
    manager.stop(LIMIT).unwrap();
}

#[test]
fn callers_whom_nobody_identifies_leave_no_more_behind_than_may_wait() {
    const WAITING: usize = 2;
    let asked = Arc::new(AtomicUsize::new(0));
    let ((begun, has_begun), (go, go_on)) = (channel(), channel());
    let (begun, go_on, count) = (Mutex::new(begun), Mutex::new(go_on), Arc::clone(&asked));
    let identify = move |_: &Unidentified| {
        count.fetch_add(1, Ordering::SeqCst);
        let _ = begun.lock().unwrap().send(());
        let _ = go_on.lock().unwrap().recv_timeout(LIMIT);
        Decision::Close
    };
    let settings = ManagerSettings::new().with_identify_within(Duration::from_millis(1));
    let settings = settings.with_identify(Arc::new(identify)).with_max_handlers(1).with_max_unidentified(WAITING);
    let manager = Manager::start_with(settings).unwrap();
    let from = Ipv4Addr::new(127, 0, 7, 3);
    let mut port = LOCAL;
    // Two, or nothing would be left to tell of a caller.
    for device in [1, 2] {
        let config = Config::host(DeviceId::new(device).unwrap()).with_linktest_period(Duration::ZERO).unwrap();
        let settings = PeerSettings::passive(port, Expected::Address(from.into()), config);
        let peer = manager.add(&device.to_string(), settings).unwrap();
        port = peer.local_addr().unwrap();
        peer.enable().unwrap();
    }
    // The one thread is busy with the first, who has gone.
    let mut first = Caller::selected(from, port);
    has_begun.recv_timeout(LIMIT).unwrap();
    first.stream.shutdown(Shutdown::Write).unwrap();
    first.expect_end();
    // Of two more one stands in line and the other is hung up on; which, is a matter of a millisecond.
    let (ended, has_ended) = channel();
    for mut caller in [Caller::selected(from, port), Caller::selected(from, port)] {
        let ended = ended.clone();
        thread::spawn(move || {
            let stype = caller.read().unwrap().0.stype;
            caller.expect_end();
            // The test may be over.
            let _ = ended.send(stype);
        });
    }
    assert_eq!(has_ended.recv_timeout(SLACK).unwrap(), SType::SEPARATE_REQ);
    for _ in 0..WAITING {
        go.send(()).unwrap();
    }
    has_begun.recv_timeout(LIMIT).unwrap();
    manager.stop(LIMIT).unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), WAITING);
}
