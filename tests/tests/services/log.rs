//! What is logged of services, and that whoever reads it may do as he likes.

use super::managed::{host_at, listen, tool};
use super::rows::{DEVICE, LIMIT, config};
use hsms_std::Config;
use hsms_std::manager::{Expected, Manager, PeerServices, PeerSettings};
use hsms_std::services::{Error, Returned, ServiceId, Settings};
use std::cell::RefCell;
use std::fmt::{Debug, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, mpsc};
use std::thread;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Peers of these names are read of.
const SPANNED: &str = "a peer whose lines are kept";
const ASKS: &str = "a peer whose reader asks";
const PANICS: &str = "a peer whose reader panics";

#[derive(Default)]
struct Reader {
    /// The field `peer` of each span, which its number tells.
    peers: Mutex<Vec<String>>,
    lines: Mutex<Vec<(String, String)>>,
    asks: OnceLock<PeerServices>,
    asked: AtomicUsize,
}

thread_local! {
    static INSIDE: RefCell<Vec<Id>> = const { RefCell::new(Vec::new()) };
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
        metadata.is_span() || ["hsms::services", "hsms::connection"].contains(&metadata.target())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut peer = String::new();
        span.record(&mut Text(&mut peer, "peer"));
        let mut peers = reader().peers.lock().unwrap();
        peers.push(peer);
        Id::from_u64(u64::try_from(peers.len()).unwrap())
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let reader = reader();
        let Some(span) = INSIDE.with_borrow(|spans| spans.last().cloned()) else { return };
        let peer = reader.peers.lock().unwrap()[usize::try_from(span.into_u64()).unwrap() - 1].clone();
        match peer.as_str() {
            PANICS => panic!("on purpose"),
            ASKS => {
                if let Some(services) = reader.asks.get() {
                    let _ = services.is_trusted();
                    reader.asked.fetch_add(1, Ordering::SeqCst);
                }
            }
            SPANNED if event.metadata().target() == "hsms::services" => {
                let mut text = String::new();
                event.record(&mut Text(&mut text, "message"));
                reader.lines.lock().unwrap().push((peer, text));
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
    let reader = reader();
    let manager = Manager::start().unwrap();
    let (tool, offered) = tool(&manager, listen(), Settings::new().with_name("oven"));
    offered.on_request(None, None, |_| Ok(Returned::okay())).unwrap();
    tool.enable().unwrap();
    let (answers, answered) = mpsc::channel();
    for name in [SPANNED, ASKS] {
        let settings = PeerSettings::active([tool.local_addr().unwrap()], config(Config::host(DEVICE)));
        let host = manager.add(name, settings.with_services(Settings::new())).unwrap();
        let used = host.services().unwrap();
        if name == ASKS {
            let _ = reader.asks.set(used.clone());
        }
        host.enable().unwrap();
        let answers = answers.clone();
        thread::spawn(move || {
            let _ = answers.send(used.send(ServiceId::READ, 7, &(), LIMIT).map(|_| ()));
        });
        answered.recv_timeout(LIMIT).expect("it stands still").unwrap();
        manager.remove(name).unwrap();
    }
    let lines = reader.lines.lock().unwrap();
    assert_eq!(*lines, [(SPANNED.to_owned(), "names were exchanged".to_owned())]);
    assert!(reader.asked.load(Ordering::SeqCst) > 0);
    manager.stop(LIMIT).unwrap();
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
