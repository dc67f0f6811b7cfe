//! Peers on one port: how a caller is found to be one of them.

use crate::caller::{Call, Caller, Echo, LIMIT, LOCAL, Recorder, S1F1, S1F2, bound};
use hsms_std::core::wire::{SType, SessionId};
use hsms_std::manager::{
    Decision, Delegate, Error, Event, Expected, Manager, ManagerSettings, Peer, PeerSettings, Unidentified,
};
use hsms_std::{CloseReason, Config, DeviceId, Header, State, StreamFunction, SystemBytes};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const FROM: Ipv4Addr = Ipv4Addr::new(127, 0, 6, 1);
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 6, 2);

/// A host for tools that call.
fn settings(listen: SocketAddr, expected: Expected, device: u16) -> PeerSettings {
    let config = Config::host(DeviceId::new(device).unwrap()).with_linktest_period(Duration::ZERO).unwrap();
    PeerSettings::passive(listen, expected, config)
}

/// Two tools behind one address, with device ids 1 and 2, both enabled; what they send is echoed.
struct Tools {
    manager: Manager,
    port: SocketAddr,
    peers: [Peer; 2],
}

impl Tools {
    fn new(with: ManagerSettings) -> Self {
        Tools::with_delegates(with, [Arc::new(Echo), Arc::new(Echo)])
    }

    fn with_delegates(with: ManagerSettings, delegates: [Arc<dyn Delegate>; 2]) -> Self {
        let manager = Manager::start_with(with).unwrap();
        let [first, second] = delegates;
        let expected = Expected::Address(FROM.into());
        let first = manager.add("first", settings(LOCAL, expected, 1).with_delegate(first)).unwrap();
        let port = first.local_addr().unwrap();
        let second = manager.add("second", settings(port, expected, 2).with_delegate(second)).unwrap();
        let peers = [first, second];
        peers.iter().for_each(|peer| peer.enable().unwrap());
        Tools { manager, port, peers }
    }

    /// The other way round as well: a request of the peer's reaches the caller.
    fn belong_together(&self, peer: usize, caller: &mut Caller) {
        self.peers[peer].selected().wait(LIMIT).unwrap();
        let mut request = self.peers[peer].request(StreamFunction::new(1, 3), []);
        let (header, _) = caller.read().unwrap();
        assert_eq!(header.session.0, u16::try_from(peer + 1).unwrap());
        caller.answer(&header, b"answer");
        assert_eq!(request.wait(LIMIT).unwrap().body, b"answer");
    }
}

fn long() -> ManagerSettings {
    ManagerSettings::new().with_identify_within(LIMIT)
}

/// A callback that decides so, and tells what it was asked.
fn decides(
    with: impl Fn(&Unidentified) -> Decision + Send + Sync + 'static,
) -> (ManagerSettings, Receiver<Unidentified>) {
    let (sender, asked) = channel();
    let sender = Mutex::new(sender);
    let identify = move |caller: &Unidentified| {
        sender.lock().unwrap().send(caller.clone()).unwrap();
        with(caller)
    };
    (ManagerSettings::new().with_identify_within(Duration::from_millis(20)).with_identify(Arc::new(identify)), asked)
}

fn expect_reply(caller: &mut Caller, system: SystemBytes, body: &[u8]) {
    let (header, text) = caller.read().unwrap();
    assert_eq!((header.system, header.stream_function(), text.as_slice()), (system, S1F2, body));
}

#[test]
fn a_caller_is_known_by_address_and_port_before_its_address_and_by_its_address_before_anything_else() {
    let manager = Manager::start_with(long()).unwrap();
    let anyone = manager.add("anyone", settings(LOCAL, Expected::Anyone, 1)).unwrap();
    let port = anyone.local_addr().unwrap();
    let address = manager.add("address", settings(port, Expected::Address(FROM.into()), 1)).unwrap();
    let socket = bound(FROM);
    let from = socket.local_addr().unwrap().as_socket().unwrap();
    let exact = manager.add("exact", settings(port, Expected::AddressAndPort(from), 1)).unwrap();
    for peer in [&anyone, &address, &exact] {
        peer.enable().unwrap();
    }
    // What they say they are does not matter.
    let mut callers = [Caller::connect(socket, port), Caller::call(FROM, port), Caller::call(ELSEWHERE, port)];
    for (peer, caller) in [&exact, &address, &anyone].into_iter().zip(&mut callers) {
        assert_eq!(caller.select_session(SessionId(9)), 0);
        peer.selected().wait(LIMIT).unwrap();
        let _ = peer.send(S1F1, *b"for you").wait(LIMIT).unwrap();
        assert_eq!(caller.read().unwrap().1, b"for you");
    }
    manager.stop(LIMIT).unwrap();
}

#[test]
fn two_tools_behind_one_address_are_told_apart_by_the_session_id_of_their_select() {
    let tools = Tools::new(long());
    let mut callers = [2, 1].map(|device| {
        let mut caller = Caller::call(FROM, tools.port);
        assert_eq!(caller.select_session(SessionId(device)), 0);
        caller
    });
    tools.belong_together(1, &mut callers[0]);
    tools.belong_together(0, &mut callers[1]);
    tools.manager.stop(LIMIT).unwrap();
}

#[test]
fn two_tools_behind_one_address_are_told_apart_by_the_device_id_of_their_first_data() {
    let tools = Tools::new(long());
    let mut callers = [2, 1].map(|_| Caller::selected(FROM, tools.port));
    assert_eq!(tools.peers.each_ref().map(Peer::state), [State::NotConnected; 2]);
    for (caller, device) in callers.iter_mut().zip([2, 1]) {
        let system = caller.primary_to(device, S1F1, true, b"text");
        expect_reply(caller, system, b"text");
    }
    tools.belong_together(1, &mut callers[0]);
    tools.belong_together(0, &mut callers[1]);
    let counters = tools.peers[0].counters().wait(LIMIT).unwrap();
    assert_eq!((counters.connections, counters.selections, counters.received.messages.primary), (1, 1, 1));
    tools.manager.stop(LIMIT).unwrap();
}

#[test]
fn a_caller_is_known_however_its_octets_are_cut() {
    let tools = Tools::new(long());
    let mut caller = Caller::call(FROM, tools.port);
    let (select, linktest) = (caller.system(), caller.system());
    let mut octets = Header::select_req(select).encode_alone().to_vec();
    octets.extend(Header::linktest_req(linktest).encode_alone());
    let foreign = Header::data(caller.system(), S1F1, true, SessionId(9));
    octets.extend([&foreign.encode_prefix(3).unwrap(), b"abc".as_slice()].concat());
    let own = Header::data(caller.system(), S1F1, true, SessionId(2));
    octets.extend([&own.encode_prefix(3).unwrap(), b"def".as_slice()].concat());
    caller.stream.set_nodelay(true).unwrap();
    for octet in octets {
        caller.stream.write_all(&[octet]).unwrap();
    }
    assert_eq!(caller.read().unwrap().0, Header::select_rsp(select));
    assert_eq!(caller.read().unwrap().0, Header::linktest_rsp(linktest));
    expect_reply(&mut caller, own.system, b"def");
    tools.belong_together(1, &mut caller);
    tools.manager.stop(LIMIT).unwrap();
}

#[test]
fn a_caller_that_is_unassigned_is_selected_its_linktests_are_answered_and_its_primaries_held() {
    let (decide, decided) = channel();
    let decided = Mutex::new(decided);
    let (with, asked) = decides(move |_| {
        decided.lock().unwrap().recv_timeout(LIMIT).unwrap();
        Decision::Assign("any".to_owned())
    });
    let tools = Tools::new(with);
    // It is expected from elsewhere, and serves any device.
    let (recorder, calls) = Recorder::new();
    let config = Config::host(DeviceId::new(0).unwrap()).with_device_ids(hsms_std::DeviceIds::ANY);
    let any = PeerSettings::passive(tools.port, Expected::Anyone, config).with_delegate(Arc::new(recorder));
    let any = tools.manager.add("any", any).unwrap();
    any.enable().unwrap();
    any.counters().wait(LIMIT).unwrap();
    let mut caller = Caller::selected(FROM, tools.port);
    caller.primary_to(9, S1F1, true, b"first");
    caller.linktest();
    let second = caller.primary_to(9, S1F1, false, b"second");
    let about = asked.recv_timeout(LIMIT).unwrap();
    assert_eq!(
        (about.listener, about.candidates.as_slice()),
        (tools.port, ["first".to_owned(), "second".to_owned()].as_slice())
    );
    assert_eq!((about.caller, about.probed), (caller.stream.local_addr().unwrap(), false));
    // All of it has been answered or held by then.
    caller.linktest();
    decide.send(()).unwrap();
    any.selected().wait(LIMIT).unwrap();
    let mut texts = Vec::new();
    while texts.len() < 2 {
        if let Call::Received(message) = calls.recv_timeout(LIMIT).unwrap() {
            if let Some(token) = message.token {
                any.reply(token, *b"reply").wait(LIMIT).unwrap();
            }
            texts.push((message.header.system, message.body));
        }
    }
    assert_eq!(texts[0].1, b"first");
    assert_eq!(texts[1], (second, b"second".to_vec()));
    expect_reply(&mut caller, texts[0].0, b"reply");
    tools.manager.stop(LIMIT).unwrap();
}

#[test]
fn what_is_held_of_an_unassigned_caller_is_bounded() {
    let tools = Tools::new(long());
    let mut caller = Caller::selected(FROM, tools.port);
    let sent = [vec![0; 65 * 1024], Vec::new()];
    // One that is too long, while none is held; and one more than are.
    for (held, text) in [0, 64].into_iter().zip(sent) {
        for _ in 0..held {
            caller.primary_to(9, S1F1, true, b"text");
        }
        let text = text.as_slice();
        let system = caller.primary_to(9, S1F1, true, text);
        let (header, _) = caller.read().unwrap();
        assert_eq!((header.system, header.stream_function()), (system, StreamFunction::new(1, 0)));
    }
    let system = caller.primary_to(1, S1F1, true, b"known");
    expect_reply(&mut caller, system, b"known");
    tools.belong_together(0, &mut caller);
    tools.manager.stop(LIMIT).unwrap();
}

#[test]
fn what_was_not_held_is_told_to_the_peer() {
    let (recorder, calls) = Recorder::new();
    let tools = Tools::with_delegates(long(), [Arc::new(recorder), Arc::new(Echo)]);
    let mut caller = Caller::selected(FROM, tools.port);
    for _ in 0..70 {
        caller.primary_to(9, S1F1, false, &[]);
    }
    caller.primary_to(1, S1F1, false, &[]);
    loop {
        if let Call::Event(Event::Dropped { primaries, .. }) = calls.recv_timeout(LIMIT).unwrap() {
            assert_eq!(primaries, 6);
            break;
        }
    }
    tools.manager.stop(LIMIT).unwrap();
}

#[test]
fn the_callback_can_have_the_candidates_probed_with_s1f1() {
    let (with, asked) = decides(|_| Decision::Probe);
    let tools = Tools::new(with);
    let mut caller = Caller::selected(FROM, tools.port);
    let mut probes = Vec::new();
    for _ in 0..2 {
        let (header, _) = caller.read().unwrap();
        assert_eq!((header.stream_function(), header.reply_expected()), (S1F1, true));
        probes.push(header);
    }
    assert_eq!(probes.iter().map(|header| header.session.0).collect::<Vec<_>>(), [1, 2]);
    assert!(!asked.recv_timeout(LIMIT).unwrap().probed);
    caller.answer(&probes[1], b"here");
    tools.peers[1].selected().wait(LIMIT).unwrap();
    tools.manager.stop(LIMIT).unwrap();
}

#[test]
fn the_callback_can_have_the_connection_closed() {
    let (with, asked) = decides(|_| Decision::Close);
    let tools = Tools::new(with);
    let mut caller = Caller::selected(FROM, tools.port);
    assert_eq!(caller.read().unwrap().0.stype, SType::SEPARATE_REQ);
    caller.expect_end();
    assert_eq!(asked.try_iter().count(), 1);
    tools.manager.stop(LIMIT).unwrap();
}

#[test]
fn without_a_callback_the_candidates_are_probed_and_the_connection_closed_where_none_answers() {
    let tools = Tools::new(ManagerSettings::new().with_identify_within(Duration::from_millis(20)));
    let mut caller = Caller::selected(FROM, tools.port);
    for device in [1, 2] {
        let (header, _) = caller.read().unwrap();
        assert_eq!((header.stream_function(), header.session), (S1F1, SessionId(device)));
    }
    assert_eq!(caller.read().unwrap().0.stype, SType::SEPARATE_REQ);
    caller.expect_end();
    tools.manager.stop(LIMIT).unwrap();
}

#[test]
fn a_caller_about_whom_nobody_decides_is_hung_up_on_in_the_end() {
    let (open, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let (with, asked) = decides(move |_| {
        // Until the test is over.
        let _ = gate.lock().unwrap().recv();
        Decision::Assign("first".to_owned())
    });
    let tools = Tools::new(with);
    let mut caller = Caller::selected(FROM, tools.port);
    asked.recv_timeout(LIMIT).unwrap();
    assert_eq!(caller.read().unwrap().0.stype, SType::SEPARATE_REQ);
    caller.expect_end();
    drop(open);
    // What is decided now is of no consequence.
    tools.manager.stop(LIMIT).unwrap();
}

#[test]
fn a_callback_that_panics_or_names_nobody_closes_the_connection() {
    for panics in [true, false] {
        let (with, _asked) = decides(move |_| {
            assert!(!panics, "as the test wants it");
            Decision::Assign("nobody".to_owned())
        });
        let tools = Tools::new(with);
        let mut caller = Caller::selected(FROM, tools.port);
        assert_eq!(caller.read().unwrap().0.stype, SType::SEPARATE_REQ);
        caller.expect_end();
        tools.manager.stop(LIMIT).unwrap();
    }
}

#[test]
fn a_caller_of_a_peer_that_has_a_connection_gets_status_1_or_is_hung_up_on() {
    let tools = Tools::new(long());
    let mut served = Caller::call(FROM, tools.port);
    assert_eq!(served.select_session(SessionId(1)), 0);
    let mut refused = Caller::call(FROM, tools.port);
    assert_eq!(refused.select_session(SessionId(1)), 1);
    refused.expect_end();
    // This one's Select.req has been answered already.
    let mut refused = Caller::selected(FROM, tools.port);
    refused.primary_to(1, S1F1, true, &[]);
    assert_eq!(refused.read().unwrap().0.stype, SType::SEPARATE_REQ);
    refused.expect_end();
    tools.belong_together(0, &mut served);
    tools.manager.stop(LIMIT).unwrap();
}

#[test]
fn a_caller_that_ends_its_session_begins_anew() {
    let tools = Tools::new(long());
    let mut caller = Caller::selected(FROM, tools.port);
    caller.primary_to(9, S1F1, true, &[]);
    let system = caller.system();
    caller.write(&Header::deselect_req(system), &[]);
    assert_eq!(caller.read().unwrap().0.stype, SType::DESELECT_RSP);
    assert_eq!(caller.select_session(SessionId(2)), 0);
    tools.belong_together(1, &mut caller);
    let mut other = Caller::selected(FROM, tools.port);
    let system = other.system();
    other.write(&Header::separate_req(system), &[]);
    other.expect_end();
    tools.manager.stop(LIMIT).unwrap();
}

#[test]
fn peers_from_one_place_that_share_a_device_id_or_serve_any_are_refused() {
    let tools = Tools::new(long());
    let expected = Expected::Address(FROM.into());
    let same = tools.manager.add("same", settings(tools.port, expected, 2));
    assert!(matches!(same, Err(Error::SamePlace { other }) if other == "second"));
    let any = Config::host(DeviceId::new(0).unwrap()).with_device_ids(hsms_std::DeviceIds::ANY);
    let any = tools.manager.add("any", PeerSettings::passive(tools.port, expected, any));
    assert!(matches!(any, Err(Error::SamePlace { .. })));
    tools.manager.add("third", settings(tools.port, expected, 3)).unwrap();
    tools.manager.stop(LIMIT).unwrap();
}

#[test]
fn unassigned_callers_end_with_their_listener_and_are_bounded_in_number() {
    let tools = Tools::new(long().with_max_unidentified(1));
    let mut unknown = Caller::selected(FROM, tools.port);
    Caller::call(FROM, tools.port).expect_end();
    for name in ["first", "second"] {
        tools.manager.remove(name).unwrap();
    }
    assert_eq!(unknown.read().unwrap().0.stype, SType::SEPARATE_REQ);
    unknown.expect_end();
    tools.manager.stop(LIMIT).unwrap();
}

#[test]
fn stop_ends_unassigned_connections() {
    let tools = Tools::new(long());
    let mut unknown = Caller::selected(FROM, tools.port);
    tools.manager.stop(LIMIT).unwrap();
    assert_eq!(unknown.read().unwrap().0.stype, SType::SEPARATE_REQ);
    unknown.expect_end();
}

#[test]
fn what_a_peer_is_told_of_a_caller_that_was_unassigned_is_what_it_is_told_of_any() {
    let (recorder, calls) = Recorder::new();
    let tools = Tools::with_delegates(long(), [Arc::new(recorder), Arc::new(Echo)]);
    let mut caller = Caller::selected(FROM, tools.port);
    caller.primary_to(1, S1F1, false, b"text");
    let next = || calls.recv_timeout(LIMIT).unwrap();
    assert!(matches!(next(), Call::Established));
    assert!(matches!(next(), Call::Event(Event::Notice(hsms_std::Notice::Selected))));
    assert!(matches!(next(), Call::Received(message) if message.body == b"text"));
    drop(caller);
    assert!(matches!(next(), Call::BeforeClosed));
    assert!(matches!(next(), Call::Closed(CloseReason::TransportClosed)));
    tools.manager.stop(LIMIT).unwrap();
}

#[test]
fn selecting_again_and_again_does_not_put_off_that_it_is_decided_whose_a_caller_is() {
    let (with, asked) = decides(|_| Decision::Close);
    let tools = Tools::new(with.with_identify_within(Duration::from_millis(100)));
    let mut caller = Caller::selected(FROM, tools.port);
    let until = Instant::now() + LIMIT;
    // Sooner than that each time.
    while asked.try_recv().is_err() {
        assert!(Instant::now() < until, "it is never asked whose the caller is");
        let system = caller.system();
        caller.write(&Header::deselect_req(system), &[]);
        let Ok((answer, _)) = caller.read() else { break };
        if answer.stype == SType::SEPARATE_REQ {
            break;
        }
        let system = caller.system();
        caller.write(&Header::select_req(system), &[]);
        match caller.read() {
            Ok((answer, _)) if answer.stype == SType::SELECT_RSP => {}
            _ => break,
        }
    }
    tools.manager.stop(LIMIT).unwrap();
}

#[test]
fn an_unassigned_caller_may_send_what_the_candidate_takes_that_takes_most() {
    let manager = Manager::start_with(long()).unwrap();
    let expected = Expected::Address(FROM.into());
    let short = Config::host(DeviceId::new(1).unwrap()).with_max_message(1_000).unwrap();
    let first = manager.add("short", PeerSettings::passive(LOCAL, expected, short)).unwrap();
    let port = first.local_addr().unwrap();
    let second = settings(port, expected, 2).with_delegate(Arc::new(Echo));
    let second = manager.add("long", second).unwrap();
    second.enable().unwrap();
    let mut caller = Caller::selected(FROM, port);
    let text = vec![7; 5_000];
    let system = caller.primary_to(2, S1F1, true, &text);
    expect_reply(&mut caller, system, &text);
    manager.stop(LIMIT).unwrap();
}

#[test]
fn a_caller_of_a_taken_peer_that_has_not_read_its_answers_reads_them_whole_and_then_that_it_is_refused() {
    let tools = Tools::new(long());
    let mut taken = Caller::call(FROM, tools.port);
    assert_eq!(taken.select_session(SessionId(1)), 0);
    let socket = bound(FROM);
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let mut caller = Caller::connect(socket, tools.port);
    // More answers than the system keeps for one who does not read.
    const LINKTESTS: u32 = 300_000;
    let mut stream = caller.stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        let linktests = (0..LINKTESTS).flat_map(|number| Header::linktest_req(SystemBytes(number)).encode_alone());
        let mut octets: Vec<u8> = linktests.collect();
        octets.extend(Header::select_req(SystemBytes(LINKTESTS)).with_session(SessionId(1)).encode_alone());
        stream.write_all(&octets)
    });
    for number in 0..LINKTESTS {
        assert_eq!(caller.read().unwrap().0, Header::linktest_rsp(SystemBytes(number)));
    }
    let (answer, _) = caller.read().unwrap();
    assert_eq!((answer.stype, answer.system, answer.byte3), (SType::SELECT_RSP, SystemBytes(LINKTESTS), 1));
    writer.join().unwrap().unwrap();
    tools.manager.stop(LIMIT).unwrap();
}
