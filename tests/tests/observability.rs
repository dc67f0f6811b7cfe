//! Who looks on at links: the log's spans, the `metrics` facade, and taps.

#[expect(dead_code, reason = "shared with the test `capture`")]
#[path = "capture/far_end.rs"]
mod far_end;
#[path = "observability/recorder.rs"]
mod recorder;
#[path = "observability/spans.rs"]
mod spans;

use far_end::{FarEnd, LIMIT};
use hsms_core::config::DeviceId;
use hsms_core::connection::CloseReason;
use hsms_core::counters::Counters;
use hsms_core::wire::{Header, RejectReason, SType, SessionId, StreamFunction};
use hsms_std::manager::{Delegate, Expected, Manager, ManagerSettings, Peer, PeerSettings, Received};
use hsms_std::services::{Endpoint, Error, Event, ServiceId, Settings};
use hsms_std::tap::{Direction, Tap, Tapped, What};
use hsms_std::{Config, Connection, Incoming, State};
use recorder::recorded;
use spans::{Line, lines};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const DEVICE: DeviceId = DeviceId::new(7).unwrap();
const SESSION: SessionId = SessionId(7);
const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const S1F1: StreamFunction = StreamFunction::new(1, 1);
const S1F2: StreamFunction = StreamFunction::new(1, 2);

fn config() -> Config {
    Config::equipment(DEVICE).with_linktest_period(Duration::ZERO).unwrap()
}

/// Echoes, and says so in the log.
struct Echo;

impl Delegate for Echo {
    fn received(&self, peer: &Peer, message: Received) {
        tracing::info!(target: "application", header = %message.header, "served");
        if let Some(token) = message.token {
            drop(peer.reply(token, message.body));
        }
    }
}

fn add(manager: &Manager, name: &str) -> Peer {
    let settings = PeerSettings::passive(LOCAL, Expected::Anyone, config()).with_delegate(Arc::new(Echo));
    let peer = manager.add(name, settings).unwrap();
    peer.enable().unwrap();
    peer
}

/// A selected far end whose system bytes begin there.
fn selected(to: SocketAddr, first: u32) -> FarEnd {
    let mut far = FarEnd::call(to);
    far.next = first;
    far.control(Header::select_req, SType::SELECT_RSP);
    far
}

/// Sends a primary, and reads its echo.
fn exchange(far: &mut FarEnd, body: &[u8]) {
    let system = far.primary(S1F1, true, body);
    assert_eq!(far.read(), (Header::data(system, S1F2, false, SESSION), body.to_vec()));
}

#[test]
fn everything_that_is_logged_of_a_managers_peer_is_in_a_span_with_its_name() {
    spans::listen();
    let manager = Manager::start().unwrap();
    let names = ["etcher with a span", "oven with a span"];
    let peers = names.map(|name| add(&manager, name));
    let mut fars = [0x0101_0000, 0x0202_0000];
    for (peer, first) in peers.iter().zip(&mut fars) {
        let mut far = selected(peer.local_addr().unwrap(), *first);
        exchange(&mut far, &[]);
        far.end();
    }
    manager.stop(LIMIT).unwrap();
    for (name, marks) in names.into_iter().zip(["system:0x0101", "system:0x0202"]) {
        let of_peer: Vec<Line> = lines().into_iter().filter(|line| line.peer.as_deref() == Some(name)).collect();
        let marked: Vec<Line> = lines().into_iter().filter(|line| line.text.contains(marks)).collect();
        // Select.req and its response, the primary and its reply, and what the delegate says.
        assert_eq!(marked.len(), 5, "{marked:#?}");
        assert!(marked.iter().all(|line| line.peer.as_deref() == Some(name)), "{marked:#?}");
        assert_eq!(marked.iter().filter(|line| line.target == "application").count(), 1, "{marked:#?}");
        for said in ["connected", "selected", "closed"] {
            assert!(of_peer.iter().any(|line| line.text.contains(said)), "{said} in {of_peer:#?}");
        }
    }
}

#[test]
fn everything_that_is_logged_of_a_blocking_connection_is_in_a_span_with_its_name_or_its_address() {
    spans::listen();
    for (name, first, marks) in
        [(Some("blocking with a span"), 0x0303_0000, "system:0x0303"), (None, 0x0404_0000, "system:0x0404")]
    {
        let tool = Connection::passive(LOCAL, config()).unwrap();
        let mut tool = match name {
            Some(name) => tool.with_name(name),
            None => tool,
        };
        let address = tool.local_addr().unwrap();
        let far = thread::spawn(move || {
            let mut far = selected(address, first);
            exchange(&mut far, &[]);
            far.end();
            far
        });
        serve(&mut tool);
        let far = far.join().unwrap();
        let peer = name.map_or_else(|| far.remote.to_string(), str::to_owned);
        let marked: Vec<Line> = lines().into_iter().filter(|line| line.text.contains(marks)).collect();
        assert_eq!(marked.len(), 4, "{marked:#?}");
        assert!(marked.iter().all(|line| line.peer.as_ref() == Some(&peer)), "{peer}: {marked:#?}");
        let of_peer: Vec<Line> = lines().into_iter().filter(|line| line.peer.as_ref() == Some(&peer)).collect();
        for said in ["connected", "selected", "closed"] {
            assert!(of_peer.iter().any(|line| line.text.contains(said)), "{said} in {of_peer:#?}");
        }
    }
}

#[test]
fn what_is_logged_without_a_connection_has_its_name_all_the_same() {
    spans::listen();
    let nobody = TcpListener::bind(LOCAL).unwrap().local_addr().unwrap();
    let link = Connection::active(nobody, Config::host(DEVICE)).unwrap();
    let mut host = Endpoint::new(link, Settings::new().with_name("logged caller")).unwrap();
    while !matches!(host.next(LIMIT).unwrap().expect("in time"), Event::ConnectFailed { .. }) {}
    let of_it: Vec<Line> = lines().into_iter().filter(|line| line.channel == "\"logged caller\"").collect();
    assert!(of_it.iter().any(|line| line.text.contains("not connected")), "{of_it:#?}");
}

#[test]
fn services_are_logged_by_their_names_with_the_name_of_the_connection() {
    spans::listen();
    let link = Connection::passive(LOCAL, config()).unwrap();
    let address = link.local_addr().unwrap();
    let mut tool = Endpoint::new(link, Settings::new().with_name("logged oven")).unwrap();
    let read = tool.add_service(10, 11, "read", "read response").unwrap().request();
    tool.add_data(&[read], 7, "temperature").unwrap();
    let far = thread::spawn(move || {
        let mut host =
            Endpoint::new(Connection::active(address, Config::host(DEVICE)).unwrap(), Settings::new()).unwrap();
        let answered = host.send(ServiceId::READ, 7, &(), LIMIT);
        assert!(matches!(answered, Err(Error::Status { .. })), "{answered:?}");
        host.close().unwrap();
    });
    while !matches!(tool.next(LIMIT).unwrap().expect("in time"), Event::Closed { .. }) {}
    far.join().unwrap();
    let of_it: Vec<Line> = lines().into_iter().filter(|line| line.channel == "\"logged oven\"").collect();
    for target in ["hsms::services", "hsms::connection", "hsms::message"] {
        assert!(of_it.iter().any(|line| line.target == target), "{target} in {of_it:#?}");
    }
    let expected = "received service 10 (read), data id 7 (temperature), status 0 (okay)";
    for said in
        [expected, "received service 11, data id 7, status 1 (buffering", "kept: service 10", "names were exchanged"]
    {
        assert!(of_it.iter().any(|line| line.text.contains(said)), "{said} in {of_it:#?}");
    }
}

/// Echoes until the connection is closed.
fn serve(tool: &mut Connection) {
    loop {
        match tool.next(LIMIT).unwrap().expect("in time") {
            Incoming::Primary { message, token: Some(token) } => {
                let body = message.body.to_vec();
                tool.reply(&token, &body).unwrap();
            }
            Incoming::Closed { .. } => return,
            _ => {}
        }
    }
}

/// Metrics as they have to be by these counters.
fn by_counters(counters: &Counters, peer: &str) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    let mut add = |name: &str, labels: &[(&str, &str)], count: u64| {
        if count > 0 {
            let mut labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            labels.push(format!("peer={peer}"));
            labels.sort();
            all.insert(format!("{name}{{{}}}", labels.join(",")), count);
        }
    };
    for (direction, traffic) in [("received", counters.received), ("sent", counters.sent)] {
        traffic.messages.iter().for_each(|(kind, count)| {
            add("hsms_messages_total", &[("direction", direction), ("type", kind)], count);
        });
        add("hsms_octets_total", &[("direction", direction)], traffic.octets);
    }
    counters.timeouts.iter().for_each(|(timer, count)| add("hsms_timeouts_total", &[("timer", timer)], count));
    let ended = counters.transactions_ended.iter();
    ended.for_each(|(reason, count)| add("hsms_transactions_ended_total", &[("reason", reason)], count));
    for (direction, rejects) in [("received", counters.rejects_received), ("sent", counters.rejects_sent)] {
        rejects.iter().for_each(|(reason, count)| {
            add("hsms_rejects_total", &[("direction", direction), ("reason", reason)], count);
        });
    }
    counters.strays.iter().for_each(|(kind, count)| add("hsms_strays_total", &[("kind", kind)], count));
    counters.leniencies.iter().for_each(|(kind, count)| add("hsms_leniencies_total", &[("kind", kind)], count));
    counters.closes.iter().for_each(|(reason, count)| add("hsms_closes_total", &[("reason", reason)], count));
    for (name, count) in [
        ("hsms_too_long_total", counters.too_long),
        ("hsms_attempts_total", counters.attempts),
        ("hsms_failed_attempts_total", counters.failed_attempts),
        ("hsms_connections_total", counters.connections),
        ("hsms_reconnects_total", counters.reconnects),
        ("hsms_selections_total", counters.selections),
    ] {
        add(name, &[], count);
    }
    all
}

#[test]
fn metrics_of_a_managers_peers_are_their_counters_under_their_names() {
    recorder::install();
    let manager = Manager::start().unwrap();
    let names = ["etcher with metrics", "oven with metrics"];
    let peers = names.map(|name| add(&manager, name));
    for (peer, times) in peers.iter().zip([1_usize, 3]) {
        // All but the first are reconnects. The last is selected by its device id, which is a leniency.
        for _ in 0..times {
            let mut far = selected(peer.local_addr().unwrap(), 1);
            exchange(&mut far, &[0x21, 1, 7]);
            far.end();
        }
        let mut far = FarEnd::call(peer.local_addr().unwrap());
        let system = far.system();
        far.write(&Header::select_req(system).with_session(SESSION), &[]);
        assert_eq!(far.read().0.byte3, 0);
        peer.selected().wait(LIMIT).unwrap();
        // Two requests of ours with an answer, one without, and a linktest.
        for _ in 0..2 {
            let mut reply = peer.request(S1F1, []);
            let (primary, _) = far.read();
            far.write(&Header::data(primary.system, S1F2, false, SESSION), &[]);
            reply.wait(LIMIT).unwrap();
        }
        let mut linktest = peer.linktest();
        let (request, _) = far.read();
        far.write(&Header::linktest_rsp(request.system), &[]);
        linktest.wait(LIMIT).unwrap();
        let mut open = peer.request(S1F1, []);
        far.read();
        settle(peer);
        let name = peer.name();
        assert_eq!(recorded().gauges.get(&format!("hsms_open_transactions{{peer={name}}}")), Some(&1.0));
        far.end();
        open.wait(LIMIT).unwrap_err();
    }
    for (peer, times) in peers.iter().zip([1_usize, 3]) {
        let counters = settle(peer);
        let (name, now) = (peer.name(), recorded());
        let mine = |key: &&String| key.contains(&format!("peer={name}"));
        let told: BTreeMap<String, u64> =
            now.counters.iter().filter(|(key, _)| mine(key)).map(|(key, count)| (key.clone(), *count)).collect();
        assert_eq!(told, by_counters(&counters, name));
        assert_eq!(told[&format!("hsms_reconnects_total{{peer={name}}}")], u64::try_from(times).unwrap());
        assert_eq!(told[&format!("hsms_leniencies_total{{kind=select_session,peer={name}}}")], 1);
        assert_eq!(now.gauges.get(&format!("hsms_open_transactions{{peer={name}}}")), Some(&0.0));
        let trips = |of: &str| now.histograms.get(&format!("hsms_round_trip_seconds{{of={of},peer={name}}}")).cloned();
        let (data, linktest) = (trips("data").unwrap(), trips("linktest").unwrap());
        assert_eq!((data.len(), linktest.len()), (2, 1));
        assert!(data.iter().chain(&linktest).all(|took| *took > 0.0 && *took < LIMIT.as_secs_f64()));
    }
    manager.stop(LIMIT).unwrap();
}

/// What the counters are when nothing more happens, and all of it has been told.
fn settle(peer: &Peer) -> Counters {
    let mut counters = peer.counters().wait(LIMIT).unwrap();
    loop {
        let again = peer.counters().wait(LIMIT).unwrap();
        if again == counters {
            return again;
        }
        counters = again;
    }
}

#[test]
fn metrics_of_a_blocking_connection_are_its_counters_under_its_name() {
    recorder::install();
    let name = "blocking with metrics";
    let config = config().with_t3(Duration::from_millis(50)).unwrap();
    let mut tool = Connection::passive(LOCAL, config).unwrap().with_name(name);
    let address = tool.local_addr().unwrap();
    let far = thread::spawn(move || {
        let mut far = selected(address, 1);
        let (primary, _) = far.read();
        far.write(&Header::data(primary.system, S1F2, false, SESSION), &[]);
        // S1F1 is not answered, and S9F9 says so.
        far.read();
        far.read();
        far.end();
    });
    tool.select(LIMIT).unwrap();
    tool.request(S1F1, &[]).unwrap();
    tool.request(S1F1, &[]).unwrap_err();
    serve(&mut tool);
    far.join().unwrap();
    let counters = *tool.counters();
    drop(tool);
    let now = recorded();
    let told: BTreeMap<String, u64> = now.counters.into_iter().filter(|(key, _)| key.contains(name)).collect();
    assert_eq!(told, by_counters(&counters, name));
    assert_eq!(told[&format!("hsms_timeouts_total{{peer={name},timer=t3}}")], 1);
    assert_eq!(now.histograms[&format!("hsms_round_trip_seconds{{of=data,peer={name}}}")].len(), 1);
}

#[test]
fn each_timer_that_expires_at_a_managers_peer_is_told_under_its_name() {
    recorder::install();
    let manager = Manager::start().unwrap();
    let short = Duration::from_millis(50);
    for timer in ["t3", "t6", "t7", "t8"] {
        let name = format!("peer with {timer} short");
        let config = match timer {
            "t3" => config().with_t3(short),
            "t6" => config().with_t6(short),
            "t7" => config().with_t7(short),
            _ => config().with_t8(short),
        };
        let settings = PeerSettings::passive(LOCAL, Expected::Anyone, config.unwrap());
        let peer = manager.add(&name, settings).unwrap();
        peer.enable().unwrap();
        let mut far = FarEnd::call(peer.local_addr().unwrap());
        if timer != "t7" {
            far.control(Header::select_req, SType::SELECT_RSP);
            peer.selected().wait(LIMIT).unwrap();
        }
        match timer {
            "t3" => drop(peer.request(S1F1, []).wait(LIMIT).unwrap_err()),
            "t6" => drop(peer.linktest().wait(LIMIT).unwrap_err()),
            "t7" => {}
            _ => far.half_a_primary(S1F1, &[0; 10]),
        }
        // A request that is not answered does not end the connection; all the others do.
        if timer == "t3" {
            far.end();
        } else {
            far.until_end();
        }
        let counters = settle(&peer);
        let told = told_of(&name);
        assert_eq!(told, by_counters(&counters, &name));
        let timeouts: Vec<_> = told.iter().filter(|(key, _)| key.starts_with("hsms_timeouts_total")).collect();
        assert_eq!(timeouts, [(&format!("hsms_timeouts_total{{peer={name},timer={timer}}}"), &1)]);
    }
    manager.stop(LIMIT).unwrap();
}

/// What has been told of a peer.
fn told_of(name: &str) -> BTreeMap<String, u64> {
    recorded().counters.into_iter().filter(|(key, _)| key.contains(&format!("peer={name}"))).collect()
}

#[test]
fn rejects_strays_and_messages_that_are_too_long_are_told_with_their_numbers() {
    recorder::install();
    let name = "blocking with trouble";
    let config = config().with_max_message(1_000).unwrap();
    let mut tool = Connection::passive(LOCAL, config).unwrap().with_name(name);
    let address = tool.local_addr().unwrap();
    let far = thread::spawn(move || {
        let mut far = FarEnd::call(address);
        // Twice refused, since nothing is selected.
        for _ in 0..2 {
            let early = far.primary(S1F1, true, &[]);
            assert_eq!(far.read().0, Header::reject_req(early, 0, RejectReason::ENTITY_NOT_SELECTED));
        }
        far.control(Header::select_req, SType::SELECT_RSP);
        let system = far.system();
        far.write(&Header { stype: SType(200), ..Header::linktest_req(system) }, &[]);
        assert_eq!(far.read().0, Header::reject_req(system, 200, RejectReason::STYPE_NOT_SUPPORTED));
        // Of nothing that was ever sent, three times.
        for _ in 0..3 {
            let system = far.system();
            far.write(&Header::reject_req(system, 5, RejectReason::TRANSACTION_NOT_OPEN), &[]);
        }
        // Replies to nothing, and a message for somebody else, of which S9F1 is said.
        for _ in 0..4 {
            let system = far.system();
            far.write(&Header::data(system, S1F2, false, SESSION), &[]);
        }
        let system = far.system();
        far.write(&Header::data(system, S1F1, true, SessionId(8)), &[]);
        assert_eq!(far.read().0.stream_function(), StreamFunction::new(9, 1));
        // Twice S9F11.
        for _ in 0..2 {
            far.primary(S1F1, true, &[0; 1_000]);
            assert_eq!(far.read().0.stream_function(), StreamFunction::new(9, 11));
        }
        exchange(&mut far, &[]);
        far.end();
    });
    serve(&mut tool);
    far.join().unwrap();
    let counters = *tool.counters();
    drop(tool);
    let told = told_of(name);
    assert_eq!(told, by_counters(&counters, name));
    let numbers = [
        (format!("hsms_rejects_total{{direction=sent,peer={name},reason=entity_not_selected}}"), 2),
        (format!("hsms_rejects_total{{direction=sent,peer={name},reason=stype_not_supported}}"), 1),
        (format!("hsms_rejects_total{{direction=received,peer={name},reason=transaction_not_open}}"), 3),
        (format!("hsms_strays_total{{kind=orphan,peer={name}}}"), 4),
        (format!("hsms_strays_total{{kind=unknown_device,peer={name}}}"), 1),
        (format!("hsms_too_long_total{{peer={name}}}"), 2),
    ];
    for (key, count) in numbers {
        assert_eq!(told.get(&key), Some(&count), "{key} in {told:#?}");
    }
}

#[test]
fn attempts_that_fail_are_told_with_their_number() {
    recorder::install();
    let name = "host with nobody there";
    // Bound and not listened at, so that nobody else gets the port.
    let nobody = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    nobody.bind(&LOCAL.into()).unwrap();
    let address = nobody.local_addr().unwrap().as_socket().unwrap();
    let config = Config::host(DEVICE).with_t5(Duration::from_millis(10)).unwrap();
    let mut host = Connection::active(address, config).unwrap().with_name(name);
    let mut failed = 0;
    while failed < 3 {
        if let Some(Incoming::ConnectFailed { .. }) = host.next(LIMIT).unwrap() {
            failed += 1;
        }
    }
    let counters = *host.counters();
    drop(host);
    let told = told_of(name);
    assert_eq!(told, by_counters(&counters, name));
    assert_eq!(told.get(&format!("hsms_failed_attempts_total{{peer={name}}}")), Some(&failed), "{told:#?}");
}

/// It lives, so its link goes on: each linktest ends with a Reject.req, which is its answer.
#[test]
fn a_peer_that_rejects_every_linktest_is_told_by_rejects_and_round_trips() {
    recorder::install();
    let name = "peer that rejects linktests";
    let manager = Manager::start().unwrap();
    let peer = add(&manager, name);
    let mut far = selected(peer.local_addr().unwrap(), 1);
    peer.selected().wait(LIMIT).unwrap();
    for _ in 0..5 {
        let mut linktest = peer.linktest();
        let (request, _) = far.read();
        far.write(&Header::reject_req(request.system, request.stype.0, RejectReason::STYPE_NOT_SUPPORTED), &[]);
        linktest.wait(LIMIT).unwrap();
    }
    let counters = settle(&peer);
    assert_eq!(told_of(name), by_counters(&counters, name));
    let key = format!("hsms_rejects_total{{direction=received,peer={name},reason=stype_not_supported}}");
    assert_eq!(told_of(name).get(&key), Some(&5));
    let trips = recorded().histograms[&format!("hsms_round_trip_seconds{{of=linktest,peer={name}}}")].clone();
    assert_eq!(trips.len(), 5);
    far.end();
    manager.stop(LIMIT).unwrap();
}

#[test]
fn every_metric_has_a_unit_and_stands_in_the_table() {
    recorder::install();
    hsms_std::metrics::describe();
    let described = recorded().described;
    assert_eq!(described.len(), 16, "{described:?}");
    let page = include_str!("../../hsms-std/src/metrics.rs");
    for name in described {
        assert!(page.contains(&format!("//! | `{name}` |")), "{name}");
    }
}

/// A tap of the manager's looks on at a caller before and after it is known: the same connection, and another name.
#[test]
fn a_caller_is_logged_by_its_address_and_then_by_the_name_of_its_peer() {
    spans::listen();
    let list = Arc::new(List::default());
    let manager = Manager::start_with(ManagerSettings::new().with_tap(list.clone())).unwrap();
    let expected = Expected::Address(Ipv4Addr::LOCALHOST.into());
    let other = Config::equipment(DeviceId::new(1).unwrap());
    let left = manager.add("left with a span", PeerSettings::passive(LOCAL, expected, other)).unwrap();
    let port = left.local_addr().unwrap();
    let settings = PeerSettings::passive(port, expected, config()).with_delegate(Arc::new(Echo));
    let name = "right with a span";
    let right = manager.add(name, settings).unwrap();
    left.enable().unwrap();
    right.enable().unwrap();
    let mut far = selected(port, 0x0505_0000);
    exchange(&mut far, &[0x21, 1, 7]);
    far.end();
    manager.stop(LIMIT).unwrap();

    let address = far.remote.to_string();
    let said = |text: &str| -> Vec<Option<String>> {
        let with = |line: &Line| line.text.contains(text) && line.text.contains("system:0x0505");
        lines().into_iter().filter(with).map(|line| line.peer).collect()
    };
    // By the link that it was nobody's on, and again by its peer's, which has received it from there.
    assert_eq!(
        said("message=received"),
        [Some(&address), Some(&address), Some(&name.to_owned()), Some(&name.to_owned())].map(Option::<&String>::cloned)
    );
    assert_eq!(said("message=sent").last(), Some(&Some(name.to_owned())));
    let seen = list.0.lock().unwrap().clone();
    assert!(seen.iter().all(|each| each.connection == seen[0].connection), "{seen:?}");
    assert_eq!(seen.first().map(|first| first.peer.clone()), Some(None));
    assert_eq!(seen.last().map(|last| last.peer.clone()), Some(Some(name.to_owned())));
}

/// Which way, what, and under which name.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    connection: u64,
    peer: Option<String>,
    what: String,
}

#[derive(Debug, Default)]
struct List(Mutex<Vec<Seen>>);

impl Tap for List {
    fn tap(&self, tapped: &Tapped<'_>) {
        let what = match tapped.what {
            What::Opened { mode } => format!("opened {mode:?}"),
            What::Piece(piece) => {
                let way = if piece.direction == Direction::Sent { "sent" } else { "received" };
                format!("{way} {:?} {}..{} of {}", piece.header.stype, piece.offset, piece.octets.len(), piece.body_len)
            }
            What::Closed { reason } => format!("closed {reason:?}"),
            _ => "other".to_owned(),
        };
        let peer = tapped.peer.map(str::to_owned);
        self.0.lock().unwrap().push(Seen { connection: tapped.connection, peer, what });
    }
}

/// A caller is nobody's at first: the manager's tap sees it from its begin, the peer's own when it is known, both of them all of it.
#[test]
fn a_peers_own_tap_sees_what_came_before_it_was_known() {
    let (of_manager, of_peer) = (Arc::new(List::default()), Arc::new(List::default()));
    let manager = Manager::start_with(ManagerSettings::new().with_tap(of_manager.clone())).unwrap();
    let expected = Expected::Address(Ipv4Addr::LOCALHOST.into());
    let other = Config::equipment(DeviceId::new(1).unwrap());
    let left = manager.add("left", PeerSettings::passive(LOCAL, expected, other)).unwrap();
    let port = left.local_addr().unwrap();
    let settings = PeerSettings::passive(port, expected, config()).with_delegate(Arc::new(Echo));
    let right = manager.add("right", settings.with_tap(of_peer.clone())).unwrap();
    left.enable().unwrap();
    right.enable().unwrap();
    let mut far = selected(port, 1);
    exchange(&mut far, &[0x21, 1, 7]);
    far.end();
    manager.stop(LIMIT).unwrap();

    let (select, response) = (SType::SELECT_REQ, SType::SELECT_RSP);
    let opened = "opened Passive".to_owned();
    let selecting = [format!("received {select:?} 0..0 of 0"), format!("sent {response:?} 0..0 of 0")];
    let data = [format!("received {:?} 0..3 of 3", SType::DATA), format!("sent {:?} 0..3 of 3", SType::DATA)];
    let [primary, reply] = data;
    let closed = format!("closed {:?}", Some(CloseReason::TransportClosed));
    let seen = |list: &List| list.0.lock().unwrap().iter().map(|seen| seen.what.clone()).collect::<Vec<_>>();
    let [request, answer] = selecting;
    assert_eq!(seen(&of_manager), [&*opened, &request, &answer, &primary, "closed None"]);
    assert_eq!(seen(&of_peer), [&*opened, &request, &answer, &primary, &reply, &closed]);
    let name = Some("right".to_owned());
    assert!(of_peer.0.lock().unwrap().iter().all(|seen| seen.peer == name));
    assert!(of_manager.0.lock().unwrap().iter().all(|seen| seen.peer.is_none()));
    assert_eq!(right.state(), State::NotConnected);
}
