//! What is logged of services, and that whoever reads it may do as he likes.

use super::lives::in_time;
use super::managed::{host_at, listen, tool};
use super::rows::{DEVICE, LIMIT, config};
use hsms_std::manager::{Expected, Manager, PeerServices, PeerSettings};
use hsms_std::services::{Endpoint, EndpointNotice, Error, Event, Returned, ServiceId, Settings, Status};
use hsms_std::{Config, Connection, StreamFunction};
use std::cell::RefCell;
use std::fmt::{Debug, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, mpsc};
use std::thread;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};

/// Peers of these names are read of.
const SPANNED: &str = "a peer whose lines are kept";
const ASKS: &str = "a peer whose reader asks";
const NAMED: &str = "a peer whose messages are kept";
const SERVES: &str = "a peer who is called otherwise by its host";
const CALLS: &str = "a peer who calls its server otherwise";
const TOLD: &str = "a peer who is told the name of its connection";
const BLOCKS: &str = "the same on a blocking connection";
const PANICS: &str = "a peer whose reader panics";

#[derive(Default)]
struct Reader {
    /// The fields `peer` and `channel` of each span, which its number tells.
    spans: Mutex<Vec<(String, String)>>,
    lines: Mutex<Vec<Line>>,
    asks: OnceLock<PeerServices>,
    asked: AtomicUsize,
}

thread_local! {
    static INSIDE: RefCell<Vec<Id>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug, Clone)]
struct Line {
    peer: String,
    channel: String,
    target: &'static str,
    text: String,
    /// Of a message.
    names: String,
}

impl Reader {
    fn lines_of(&self, name: &str) -> Vec<Line> {
        self.lines.lock().unwrap().iter().filter(|line| line.peer == name).cloned().collect()
    }

    /// What services have said.
    fn of(&self, name: &str) -> Vec<String> {
        let lines = self.lines_of(name).into_iter();
        lines.filter(|line| line.target == "hsms::services").map(|line| line.text).collect()
    }
}

fn reader() -> &'static Reader {
    static READER: OnceLock<Reader> = OnceLock::new();
    static LISTENS: OnceLock<()> = OnceLock::new();
    let reader = READER.get_or_init(Reader::default);
    LISTENS.get_or_init(|| tracing::subscriber::set_global_default(Listener).unwrap());
    reader
}

struct Listener;

struct Text<'t>(&'t mut String, &'static str);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == self.1 {
            write!(self.0, "{value:?}").unwrap();
        }
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() || ["hsms::services", "hsms::connection", "hsms::message"].contains(&metadata.target())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let [peer, channel] = ["peer", "channel"].map(|name| {
            let mut text = String::new();
            span.record(&mut Text(&mut text, name));
            text
        });
        let mut spans = reader().spans.lock().unwrap();
        spans.push((peer, channel));
        Id::from_u64(u64::try_from(spans.len()).unwrap())
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let reader = reader();
        let Some(span) = INSIDE.with_borrow(|spans| spans.last().cloned()) else { return };
        let (peer, channel) = reader.spans.lock().unwrap()[usize::try_from(span.into_u64()).unwrap() - 1].clone();
        let (target, level) = (event.metadata().target(), *event.metadata().level());
        match peer.as_str() {
            PANICS => panic!("on purpose"),
            ASKS => {
                if let Some(services) = reader.asks.get() {
                    let _ = services.is_trusted();
                    reader.asked.fetch_add(1, Ordering::SeqCst);
                }
            }
            SPANNED | SERVES | CALLS if level == tracing::Level::DEBUG => {}
            NAMED if level != tracing::Level::DEBUG => {}
            SPANNED | NAMED | SERVES | CALLS | TOLD | BLOCKS => {
                let [text, names] = ["message", "names"].map(|name| {
                    let mut text = String::new();
                    event.record(&mut Text(&mut text, name));
                    text
                });
                let text = format!("{level} {text}");
                reader.lines.lock().unwrap().push(Line { peer, channel, target, text, names });
            }
            _ => {}
        }
    }

    fn enter(&self, id: &Id) {
        INSIDE.with_borrow_mut(|spans| spans.push(id.clone()));
    }

    fn exit(&self, _: &Id) {
        INSIDE.with_borrow_mut(Vec::pop);
    }
}

#[test]
fn what_services_of_a_peer_tell_is_logged_in_its_span_by_whoever_may_ask_them() {
    in_time(log_of_services);
}

fn log_of_services() {
    let reader = reader();
    let manager = Manager::start().unwrap();
    let (tool, offered) = tool(&manager, listen(), Settings::new().with_name("oven"));
    offered.on_request(None, None, |_| Ok(Returned::okay())).unwrap();
    tool.enable().unwrap();
    for name in [SPANNED, ASKS] {
        let settings = PeerSettings::active([tool.local_addr().unwrap()], config(Config::host(DEVICE)));
        let host = manager.add(name, settings.with_services(Settings::new())).unwrap();
        let used = host.services().unwrap();
        if name == ASKS {
            let _ = reader.asks.set(used.clone());
        }
        host.enable().unwrap();
        used.send(ServiceId::READ, 7, &(), LIMIT).unwrap();
        manager.remove(name).unwrap();
    }
    assert_eq!(reader.of(SPANNED), ["INFO names were exchanged"]);
    assert!(reader.asked.load(Ordering::SeqCst) > 0);
    manager.stop(LIMIT).unwrap();
}

#[test]
fn messages_are_logged_by_the_names_of_streams_functions_services_data_ids_and_statuses() {
    let reader = reader();
    let manager = Manager::start().unwrap();
    let (tool, offered) = tool(&manager, listen(), Settings::new());
    offered.on_request(None, None, |_| Ok(Returned::okay())).unwrap();
    offered.on_primary(None, None, |_| Ok(Vec::new())).unwrap();
    tool.enable().unwrap();
    let settings = PeerSettings::active([tool.local_addr().unwrap()], config(Config::host(DEVICE)));
    let host = manager.add(NAMED, settings.with_services(Settings::new().without_names())).unwrap();
    let used = host.services().unwrap();
    let read = used.add_service(10, 11, "read", "read response").unwrap().request();
    used.add_data(&[read], 7, "temperature").unwrap();
    used.add_status(Status::OKAY, "well").unwrap();
    used.add_stream(1, "equipment").unwrap();
    used.add_function(StreamFunction::new(1, 1), "are you there").unwrap();
    host.enable().unwrap();
    used.send(read, 7, &(), LIMIT).unwrap();
    used.request(StreamFunction::new(1, 1), &[], LIMIT).unwrap();
    manager.stop(LIMIT).unwrap();
    let names =
        reader.lines_of(NAMED).into_iter().filter(|line| line.target == "hsms::message" && !line.names.is_empty());
    let names: Vec<String> = names.map(|line| format!("{} {}", line.text, line.names)).collect();
    let expected = [
        "DEBUG sent service 10 (read), data id 7 (temperature), status 0 (well)",
        "DEBUG received service 11 (read response), data id 7 (temperature), status 0 (well)",
        "DEBUG sent S1F1 W (are you there)",
        "DEBUG received S1F2 (equipment)",
    ];
    assert_eq!(reader.of(NAMED), expected);
    // Beside their octets as well.
    assert_eq!(names, expected);
}

#[test]
fn every_line_of_a_connection_has_its_name_from_when_that_is_known() {
    let reader = reader();
    let manager = Manager::start().unwrap();
    let tool = manager.add(TOLD, listen().with_services(Settings::new())).unwrap();
    tool.enable().unwrap();
    let settings = PeerSettings::active([tool.local_addr().unwrap()], config(Config::host(DEVICE)));
    let (_, host) = host_at(&manager, settings, Settings::new().with_name("etcher"));
    assert_eq!(tool.services().unwrap().next_notice(LIMIT).unwrap(), Some(EndpointNotice::Named { differ: false }));
    assert!(matches!(host.send(ServiceId::READ, 7, &(), LIMIT), Err(Error::Status { .. })));
    manager.stop(LIMIT).unwrap();
    has_its_name_once_known(&reader.lines_of(TOLD));
}

#[test]
fn every_line_of_a_blocking_connection_has_its_name_from_when_that_is_known() {
    let reader = reader();
    let link = Connection::passive("127.0.0.1:0", config(Config::equipment(DEVICE))).unwrap().with_name(BLOCKS);
    let address = link.local_addr().unwrap();
    let manager = Manager::start().unwrap();
    let mut tool = Endpoint::new(link, Settings::new()).unwrap();
    let settings = PeerSettings::active([address], config(Config::host(DEVICE)));
    let (peer, host) = host_at(&manager, settings, Settings::new().with_name("etcher"));
    let asks = thread::spawn(move || {
        let answer = host.send(ServiceId::READ, 7, &(), LIMIT);
        peer.disable().unwrap();
        answer
    });
    while !matches!(tool.next(LIMIT).unwrap().unwrap(), Event::Closed { .. }) {}
    assert!(matches!(asks.join().unwrap(), Err(Error::Status { .. })));
    manager.stop(LIMIT).unwrap();
    has_its_name_once_known(&reader.lines_of(BLOCKS));
}

/// Of an end that has none of its own, and learns it from the first message.
fn has_its_name_once_known(lines: &[Line]) {
    let named = lines.iter().position(|line| !line.channel.is_empty()).unwrap();
    let [before, from] = [&lines[..named], &lines[named..]];
    assert_eq!(
        (before.last().unwrap().target, &*before.last().unwrap().names),
        ("hsms::message", "service 8 (channel name request), data id 0 (channel name), status 0 (okay)"),
        "{lines:?}"
    );
    let closed = from.iter().position(|line| line.text.contains("closed: ")).unwrap();
    for line in &from[..=closed] {
        assert_eq!(line.channel, "\"etcher\"", "{line:?}");
    }
    for target in ["hsms::services", "hsms::message", "hsms::connection"] {
        assert!(from[..=closed].iter().any(|line| line.target == target), "{target}: {lines:?}");
    }
    // The next connection may be called otherwise.
    assert!(
        from[closed + 1..].iter().all(|line| line.channel.is_empty() || line.target == "hsms::connection"),
        "{lines:?}"
    );
}

#[test]
fn different_names_are_a_warning_of_the_server_alone() {
    let reader = reader();
    let manager = Manager::start().unwrap();
    let tool = manager.add(SERVES, listen().with_services(Settings::new().with_name("oven"))).unwrap();
    tool.enable().unwrap();
    let settings = PeerSettings::active([tool.local_addr().unwrap()], config(Config::host(DEVICE)));
    let host = manager.add(CALLS, settings.with_services(Settings::new().with_name("etcher"))).unwrap();
    host.enable().unwrap();
    for peer in [&host, &tool] {
        assert_eq!(peer.services().unwrap().next_notice(LIMIT).unwrap(), Some(EndpointNotice::Named { differ: true }));
    }
    manager.stop(LIMIT).unwrap();
    let told = "the two ends have different names; the active end's counts";
    assert_eq!(reader.of(SERVES), [format!("WARN {told}")]);
    assert_eq!(reader.of(CALLS), [format!("INFO {told}")]);
}

/// A reader of the log is the one part of an application that runs in the loop and that nobody catches.
#[test]
fn who_waits_for_services_learns_that_the_loop_has_panicked() {
    let _ = reader();
    let manager = Manager::start().unwrap();
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let settings = PeerSettings::passive(here, Expected::Anyone, config(Config::equipment(DEVICE)));
    let doomed = manager.add(PANICS, settings.with_services(Settings::new())).unwrap();
    let (_, other) = host_at(&manager, PeerSettings::active([here], config(Config::host(DEVICE))), Settings::new());
    let used = doomed.services().unwrap();
    let (tells, told) = mpsc::channel();
    for services in [used.clone(), used, other] {
        let tells = tells.clone();
        thread::spawn(move || {
            let _ = tells.send(services.send(ServiceId::READ, 7, &(), 10 * LIMIT).map(|_| ()));
        });
    }
    doomed.enable().unwrap();
    doomed.counters().wait(LIMIT).unwrap();
    let _caller = TcpStream::connect(doomed.local_addr().unwrap()).unwrap();
    for _ in 0..3 {
        assert!(matches!(told.recv_timeout(LIMIT).unwrap(), Err(Error::Gone)));
    }
    assert!(manager.stop(LIMIT).is_err());
}
