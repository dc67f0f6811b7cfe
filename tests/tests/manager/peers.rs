//! Peers by name, active and passive, and what becomes of requests.

use crate::caller::{Caller, DEVICE, Echo, LIMIT, LOCAL, S1F1, S1F2, Silent, tool};
use hsms_std::manager::{Error, Event, Expected, Manager, Peer, PeerSettings};
use hsms_std::{Config, Fault, Options, State};
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

const FIRST: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);
const SECOND: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 2);

fn active(address: SocketAddr) -> PeerSettings {
    PeerSettings::active([address], Config::host(DEVICE))
}

/// An active peer and the passive peer that it calls, which echoes; both selected.
fn pair(manager: &Manager) -> (Peer, Peer) {
    let settings = PeerSettings::passive(LOCAL, Expected::Anyone, Config::equipment(DEVICE));
    let tool = manager.add("tool", settings.with_delegate(Arc::new(Echo))).unwrap();
    let host = manager.add("host", active(tool.local_addr().unwrap())).unwrap();
    tool.enable().unwrap();
    host.enable().unwrap();
    host.selected().wait(LIMIT).unwrap();
    tool.selected().wait(LIMIT).unwrap();
    (tool, host)
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn one_handle_type_serves_active_and_passive_peers() {
    let manager = Manager::start().unwrap();
    let (tool, host) = pair(&manager);
    assert_eq!((tool.state(), host.state()), (State::Selected, State::Selected));
    let reply = host.request(S1F1, *b"text").wait(LIMIT).unwrap();
    assert_eq!((reply.header.stream_function(), reply.body.as_slice()), (S1F2, b"text".as_slice()));
    host.linktest().wait(LIMIT).unwrap();
    tool.linktest().wait(LIMIT).unwrap();
    host.send(S1F1, []).wait(LIMIT).unwrap();
    let counters = host.counters().wait(LIMIT).unwrap();
    assert_eq!((counters.connections, counters.reconnects), (1, 0));
    manager.stop(LIMIT).unwrap();
    assert_eq!((tool.state(), host.state()), (State::NotConnected, State::NotConnected));
}

#[test]
fn a_long_text_goes_both_ways() {
    let manager = Manager::start().unwrap();
    let (_, host) = pair(&manager);
    let text: Vec<u8> = (0..3_000_000_u32).map(|octet| (octet % 251) as u8).collect();
    assert!(host.request(S1F1, text.clone()).wait(LIMIT).unwrap().body == text);
    manager.stop(LIMIT).unwrap();
}

#[test]
fn a_request_is_a_future_that_needs_no_runtime() {
    let manager = Manager::start().unwrap();
    let (_, host) = pair(&manager);
    let (first, second) = (host.request(S1F1, *b"1"), host.request(S1F1, *b"2"));
    assert_eq!(block_on(second).unwrap().body, b"2");
    assert_eq!(block_on(first).unwrap().body, b"1");
    manager.stop(LIMIT).unwrap();
}

#[test]
fn a_name_taken_or_unknown_is_a_typed_error() {
    let manager = Manager::start().unwrap();
    manager.add("tool", active(LOCAL)).unwrap();
    assert!(matches!(manager.add("tool", active(LOCAL)), Err(Error::NameTaken { name }) if name == "tool"));
    for result in [manager.remove("host"), manager.enable("host"), manager.disable("host")] {
        assert!(matches!(result, Err(Error::NameUnknown { name }) if name == "host"));
    }
    manager.remove("tool").unwrap();
    assert!(matches!(manager.peer("tool"), Err(Error::NameUnknown { .. })));
    manager.add("tool", active(LOCAL)).unwrap();
    manager.stop(LIMIT).unwrap();
    assert!(matches!(manager.add("other", active(LOCAL)), Err(Error::Stopped)));
}

#[test]
fn the_fallback_address_is_tried_when_the_first_fails() {
    let manager = Manager::start().unwrap();
    let settings = PeerSettings::passive(LOCAL, Expected::Anyone, Config::equipment(DEVICE));
    let tool = manager.add("tool", settings).unwrap();
    // Nobody ever listens on port 0.
    let addresses = [LOCAL, tool.local_addr().unwrap()];
    let host = manager.add("host", PeerSettings::active(addresses, Config::host(DEVICE))).unwrap();
    tool.enable().unwrap();
    host.enable().unwrap();
    host.selected().wait(LIMIT).unwrap();
    assert_eq!(host.counters().wait(LIMIT).unwrap().attempts, 1);
    manager.stop(LIMIT).unwrap();
}

/// Few with little time, where the first must not have all of it; and many with more than the test waits for.
#[test]
fn the_next_address_is_tried_when_the_first_never_answers() {
    let silent = Silent::listen();
    let share = Duration::from_millis(100);
    for addresses in [2, 1_200] {
        let manager = Manager::start().unwrap();
        let settings = PeerSettings::passive(LOCAL, Expected::Anyone, Config::equipment(DEVICE));
        let tool = manager.add("tool", settings).unwrap();
        let mut places = vec![tool.local_addr().unwrap(); addresses];
        places[0] = silent.address;
        let options = Options::new().with_connect_limit(share * u32::try_from(addresses).unwrap());
        let settings = PeerSettings::active(places, Config::host(DEVICE)).with_options(options);
        let host = manager.add("host", settings).unwrap();
        tool.enable().unwrap();
        host.enable().unwrap();
        host.selected().wait(LIMIT).unwrap();
        let counted = host.counters().wait(LIMIT).unwrap();
        assert_eq!((counted.attempts, counted.failed_attempts), (1, 0));
        manager.stop(LIMIT).unwrap();
    }
}

#[test]
fn an_address_that_answers_and_where_nothing_is_selected_gives_the_next_its_turn() {
    let manager = Manager::start().unwrap();
    // It tells that the place is taken, since it is not enabled.
    let taken =
        manager.add("taken", PeerSettings::passive(LOCAL, Expected::Anyone, Config::equipment(DEVICE))).unwrap();
    let tool = manager.add("tool", PeerSettings::passive(LOCAL, Expected::Anyone, Config::equipment(DEVICE))).unwrap();
    let addresses = [taken.local_addr().unwrap(), tool.local_addr().unwrap()];
    let config = Config::host(DEVICE).with_t5(Duration::from_millis(20)).unwrap();
    let host = manager.add("host", PeerSettings::active(addresses, config)).unwrap();
    tool.enable().unwrap();
    host.enable().unwrap();
    for _ in 0..2 {
        host.selected().wait(LIMIT).unwrap();
        let counted = host.counters().wait(LIMIT).unwrap();
        tool.selected().wait(LIMIT).unwrap();
        // After a session the first address has its turn again.
        host.reconnect().wait(LIMIT).unwrap();
        host.selected().wait(LIMIT).unwrap();
        let again = host.counters().wait(LIMIT).unwrap();
        assert_eq!(again.attempts - counted.attempts, 2, "{again:?}");
    }
    manager.stop(LIMIT).unwrap();
}

#[test]
fn an_active_peer_dials_again_after_t5_and_no_earlier() {
    let manager = Manager::start().unwrap();
    let t5 = Duration::from_millis(100);
    let config = Config::host(DEVICE).with_t5(t5).unwrap();
    // Nobody ever listens on port 0.
    let host = manager.add("host", PeerSettings::active([LOCAL], config)).unwrap();
    // Before the first attempt: an event may be taken long after it has happened, and never before.
    let started = Instant::now();
    host.enable().unwrap();
    for intervals in 0..4 {
        let (peer, event) = manager.next(LIMIT).unwrap();
        assert_eq!(peer.name(), "host");
        assert!(matches!(event, Event::ConnectFailed { .. }), "{event:?}");
        // Milliseconds are cut off at both ends.
        let (passed, least) = (started.elapsed(), (t5 - Duration::from_millis(2)) * intervals);
        assert!(passed >= least, "T5 was to pass {intervals} times, within {passed:?}");
    }
    manager.stop(LIMIT).unwrap();
}

#[test]
fn one_port_serves_many_passive_peers_told_apart_by_address() {
    let manager = Manager::start().unwrap();
    let first = manager.add("first", tool(LOCAL, FIRST)).unwrap();
    let port = first.local_addr().unwrap();
    let second = manager.add("second", tool(port, SECOND)).unwrap();
    assert_eq!(second.local_addr(), Some(port));
    first.enable().unwrap();
    second.enable().unwrap();
    // In the other order than that in which they were added.
    let mut callers = [SECOND, FIRST].map(|from| Caller::selected(from, port));
    for (peer, caller, body) in [(&second, 0, b"second".as_slice()), (&first, 1, b"first")] {
        let caller = &mut callers[caller];
        let mut request = peer.request(S1F1, []);
        let (header, _) = caller.read().unwrap();
        caller.answer(&header, body);
        assert_eq!(request.wait(LIMIT).unwrap().body, body);
    }
    manager.stop(LIMIT).unwrap();
}

#[test]
fn peers_on_one_port_that_expect_the_same_are_refused() {
    let manager = Manager::start().unwrap();
    let port = manager.add("first", tool(LOCAL, FIRST)).unwrap().local_addr().unwrap();
    assert!(matches!(manager.add("second", tool(port, FIRST)), Err(Error::SamePlace { other }) if other == "first"));
    manager.stop(LIMIT).unwrap();
}

#[test]
fn the_shared_listener_is_closed_with_the_last_of_its_peers() {
    let manager = Manager::start().unwrap();
    let first = manager.add("first", tool(LOCAL, FIRST)).unwrap();
    let port = first.local_addr().unwrap();
    let second = manager.add("second", tool(port, SECOND)).unwrap();
    second.enable().unwrap();
    manager.remove("first").unwrap();
    assert!(matches!(first.counters().wait(LIMIT), Err(Error::Removed)));
    let mut caller = Caller::selected(SECOND, port);
    manager.remove("second").unwrap();
    let (header, _) = caller.read().unwrap();
    assert_eq!(header.stype, hsms_std::core::wire::SType::SEPARATE_REQ);
    caller.expect_end();
    // The loop has carried the removal out when it answers.
    assert!(matches!(second.counters().wait(LIMIT), Err(Error::Removed)));
    assert!(TcpStream::connect(port).is_err());
    manager.stop(LIMIT).unwrap();
}

#[test]
fn the_caller_of_a_disabled_peer_gets_status_1_and_is_hung_up_on() {
    let manager = Manager::start().unwrap();
    let first = manager.add("first", tool(LOCAL, FIRST)).unwrap();
    let port = first.local_addr().unwrap();
    manager.add("second", tool(port, SECOND)).unwrap();
    for name in ["first", "second"] {
        manager.enable(name).unwrap();
    }
    let mut one = Caller::selected(FIRST, port);
    let mut two = Caller::selected(SECOND, port);
    for _ in 0..2 {
        manager.disable("first").unwrap();
    }
    assert_eq!(one.read().unwrap().0.stype, hsms_std::core::wire::SType::SEPARATE_REQ);
    one.expect_end();
    let mut refused = Caller::call(FIRST, port);
    assert_eq!(refused.select(), 1);
    refused.expect_end();
    // The other has noticed nothing, and enabling works after disabling.
    two.linktest();
    for _ in 0..2 {
        manager.enable("first").unwrap();
    }
    first.counters().wait(LIMIT).unwrap();
    Caller::selected(FIRST, port);
    manager.stop(LIMIT).unwrap();
}

#[test]
fn a_passive_peer_is_served_one_at_a_time() {
    let manager = Manager::start().unwrap();
    let peer = manager.add("tool", tool(LOCAL, FIRST)).unwrap();
    let port = peer.local_addr().unwrap();
    peer.enable().unwrap();
    let mut served = Caller::selected(FIRST, port);
    let mut refused = Caller::call(FIRST, port);
    assert_eq!(refused.select(), 1);
    refused.expect_end();
    served.linktest();
    // And one that nobody expects is hung up on at once.
    Caller::call(SECOND, port).expect_end();
    served.linktest();
    manager.stop(LIMIT).unwrap();
}

#[test]
fn every_request_has_one_outcome_when_its_peer_is_removed_or_the_manager_stops() {
    let manager = Manager::start().unwrap();
    let peers = [FIRST, SECOND].map(|from| manager.add(&from.to_string(), tool(LOCAL, from)).unwrap());
    let callers = [FIRST, SECOND].map(|from| {
        let peer = manager.peer(&from.to_string()).unwrap();
        peer.enable().unwrap();
        Caller::selected(from, peer.local_addr().unwrap())
    });
    let mut requests = peers.each_ref().map(|peer| (0..64).map(|_| peer.request(S1F1, [])).collect::<Vec<_>>());
    let mut beyond = peers[0].request(S1F1, []);
    assert!(matches!(beyond.wait(LIMIT), Err(Error::Connection(hsms_std::Error::Refused(_)))));
    manager.remove(&FIRST.to_string()).unwrap();
    for request in &mut requests[0] {
        let outcome = request.wait(LIMIT);
        assert!(matches!(outcome, Err(Error::Connection(hsms_std::Error::Closed { .. }))), "{outcome:?}");
    }
    assert!(matches!(requests[1][0].wait(Duration::ZERO), Err(Error::Late { .. })), "the other goes on");
    manager.stop(LIMIT).unwrap();
    for request in &mut requests[1] {
        let outcome = request.wait(LIMIT);
        assert!(matches!(outcome, Err(Error::Connection(hsms_std::Error::Closed { .. }))), "{outcome:?}");
    }
    assert!(matches!(peers[0].request(S1F1, []).wait(LIMIT), Err(Error::Stopped)));
    drop(callers);
}

#[test]
fn stop_frees_the_port() {
    let manager = Manager::start().unwrap();
    let peer = manager.add("tool", tool(LOCAL, FIRST)).unwrap();
    let port = peer.local_addr().unwrap();
    peer.enable().unwrap();
    let mut caller = Caller::selected(FIRST, port);
    manager.stop(LIMIT).unwrap();
    manager.stop(LIMIT).unwrap();
    assert_eq!(caller.read().unwrap().0.stype, hsms_std::core::wire::SType::SEPARATE_REQ);
    caller.expect_end();
    let again = Manager::start().unwrap();
    again.add("tool", tool(port, FIRST)).unwrap();
    again.stop(LIMIT).unwrap();
}

#[test]
fn requests_that_were_dropped_make_room_for_others() {
    let manager = Manager::start().unwrap();
    let from = Ipv4Addr::new(127, 0, 5, 1);
    let peer = manager.add("tool", tool(LOCAL, from)).unwrap();
    peer.enable().unwrap();
    let mut caller = Caller::selected(from, peer.local_addr().unwrap());
    // Far more than there is room for, none answered.
    for _ in 0..200 {
        drop(peer.request(S1F1, []));
    }
    let mut request = peer.request(S1F1, *b"last");
    let last = loop {
        let (header, body) = caller.read().unwrap();
        if body == b"last" {
            break header;
        }
    };
    caller.answer(&last, b"answer");
    assert_eq!(request.wait(LIMIT).unwrap().body, b"answer");
    // Those that somebody waits for keep their place.
    let mut kept: Vec<_> = (0..100).map(|_| peer.request(S1F1, [])).collect();
    for request in &mut kept[64..] {
        assert_eq!(request.wait(LIMIT).unwrap_err().fault(), Fault::Capacity);
    }
    for request in &mut kept[..64] {
        assert!(matches!(request.wait(Duration::ZERO), Err(Error::Late { .. })));
    }
    manager.stop(LIMIT).unwrap();
}
