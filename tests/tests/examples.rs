//! The example programs: equipment and host talk to each other and survive each other's restarts; the delegate prints what
//! the documentation of secsgem prints.

#![expect(clippy::duplicate_mod, reason = "programs that share the module for their arguments")]

#[path = "../../hsms-std/examples/delegate.rs"]
#[expect(dead_code, reason = "the program's main and its arguments")]
mod delegate;
#[path = "../../hsms-std/examples/equipment.rs"]
#[expect(dead_code, reason = "the program's main")]
mod equipment;
#[path = "../../hsms-std/examples/host.rs"]
#[expect(dead_code, reason = "the program's main and its arguments")]
mod host;

#[path = "../../hsms-std/examples/service_equipment.rs"]
#[expect(dead_code, reason = "the program's main and its arguments")]
mod service_equipment;
#[path = "../../hsms-std/examples/service_host.rs"]
#[expect(dead_code, reason = "the program's main")]
mod service_host;

use delegate::Delegate;
use equipment::arguments;
use hsms_std::services::{Endpoint, SendError, Status, TrustFailure};
use hsms_std::{Config, Connection, DeviceId};
use hsms_tests::generate::octets;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const DEVICE: DeviceId = DeviceId::new(7).unwrap();

/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the programs ask and report here.
const PERIOD: Duration = Duration::from_millis(20);

#[test]
fn equipment_and_host_talk_to_each_other_and_survive_each_others_restarts() {
    let tool = start_equipment();
    let name = Name::default();
    name.is(tool.address);
    let first = start_host(name.clone());
    first.printed("selected");
    for message in
        ["stream:01, function:14", "stream:01, function:02", "stream:01, function:04", "stream:06, function:11"]
    {
        first.printed(message);
    }
    for message in
        ["stream:01, function:13", "stream:01, function:01", "stream:01, function:03", "stream:06, function:12"]
    {
        tool.printed(message);
    }

    first.stop();
    tool.printed("Closed {");
    tool.forget();
    let second = start_host(name.clone());
    second.printed("stream:01, function:04");
    tool.printed("stream:01, function:13");
    tool.printed("stream:06, function:12");

    // Its port may be anybody's then: until the next one listens the name stands for nothing.
    name.is(None);
    tool.stop();
    second.printed("Closed {");
    second.forget();
    let tool = start_equipment();
    name.is(tool.address);
    second.printed("selected");
    second.printed("stream:06, function:11");
    tool.printed("stream:01, function:03");
    second.stop();
    // Not before: there might be an event left that nobody takes any more.
    tool.printed("Closed {");
    tool.stop();
}

#[test]
fn service_host_reads_writes_and_executes_at_service_equipment_with_and_without_a_secret() {
    for secret in [None, Some("sixteen octets!!")] {
        let link =
            Connection::passive((Ipv4Addr::LOCALHOST, 0), Config::equipment(DEVICE)).expect("a port to listen on");
        let address = link.local_addr().expect("where it listens");
        let tool = Endpoint::new(link, service_equipment::settings(secret).expect("a secret")).expect("good settings");
        let (log, stop) = (Arc::new(Log::default()), Arc::new(AtomicBool::new(false)));
        let (printing, stopping) = (Arc::clone(&log), Arc::clone(&stop));
        let go_on = move || !stopping.load(Ordering::SeqCst);
        let thread = thread::spawn(move || service_equipment::run(tool, go_on, |line| printing.add(line)));

        let link = Connection::active(address, Config::host(DEVICE)).expect("an address to dial");
        let host = Endpoint::new(link, service_host::settings(secret).expect("a secret")).expect("good settings");
        let told = Log::default();
        service_host::run(host, |line| told.add(line)).expect("a good end");
        let expected = [
            "oven: 20 degrees",
            "it settled by way of [100.0, 140.0, 160.0]",
            "300 degrees: status 7 (too hot)",
            "no number: status 2 (callback error)",
            "unknown: status 4 (service or data unknown)",
            "S1F2: <L [2] <A \"OVEN\"> <A \"1.0\">>",
        ];
        assert_eq!(*told.lines.lock().expect("a log"), expected);
        stop.store(true, Ordering::SeqCst);
        thread.join().expect("no panic").expect("a good end");
        let lines = log.lines.lock().expect("a log");
        let trusted = lines.iter().any(|line| line == "the connection is trusted");
        assert_eq!(trusted, secret.is_some(), "{lines:?}");
    }
}

#[test]
fn service_host_without_the_secret_is_told_that_it_is_not_trusted() {
    let link = Connection::passive((Ipv4Addr::LOCALHOST, 0), Config::equipment(DEVICE)).expect("a port to listen on");
    let address = link.local_addr().expect("where it listens");
    let settings = service_equipment::settings(Some("sixteen octets!!")).expect("a secret");
    let tool = Endpoint::new(link, settings).expect("good settings");
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = Arc::clone(&stop);
    let go_on = move || !stopping.load(Ordering::SeqCst);
    let thread = thread::spawn(move || service_equipment::run(tool, go_on, |_| {}));
    let outcome = |secret| {
        let link = Connection::active(address, Config::host(DEVICE)).expect("an address to dial");
        let host = Endpoint::new(link, service_host::settings(secret).expect("a secret")).expect("good settings");
        service_host::run(host, |_| {}).expect_err("it is not trusted").outcome()
    };
    assert_eq!(outcome(None), Some(SendError::Status(Status::AUTHENTICATION_REQUIRED)));
    let refused = TrustFailure::Refused(Status::OPERATION_NOT_PERMITTED);
    assert_eq!(outcome(Some("another secret!!")), Some(SendError::NotTrusted(refused)));
    stop.store(true, Ordering::SeqCst);
    thread.join().expect("no panic").expect("a good end");
}

/// What secsgem's documentation shows of a connection, here as the peer's side of one. The Reject.req belong to nothing:
/// they are reported, and neither answered nor a reason to close.
#[test]
fn the_delegate_prints_the_transcript_of_the_documentation() {
    let (address, delegate) = start_delegate(|connection, _| connection.counters().closes.total() == 0);
    let mut peer = Peer::dial(address);
    peer.send("0000000a 0000 00 04 00 07 00000000");
    peer.send("0000000a 0000 00 01 00 07 00000000");
    peer.send("0000000a ffff 00 00 00 01 00000001");
    peer.expect("0000000a ffff 00 00 00 02 00000001");
    peer.send("0000000a 0000 00 03 00 07 00000000");
    peer.send("0000000a ffff 00 00 00 01 00000003");
    peer.expect("0000000a ffff 00 01 00 02 00000003");
    peer.close();
    peer.expect_end();
    assert_eq!(
        delegate.printed(),
        "Connection established\n\
         Packet received header: {session_id:0x0000, stream:00, function:04, p_type:0x00, s_type:0x07, system:0x00000000, require_response:0}\n\
         Packet received header: {session_id:0x0000, stream:00, function:01, p_type:0x00, s_type:0x07, system:0x00000000, require_response:0}\n\
         Packet received header: {session_id:0xffff, stream:00, function:00, p_type:0x00, s_type:0x01, system:0x00000001, require_response:0}\n\
         Packet received header: {session_id:0x0000, stream:00, function:03, p_type:0x00, s_type:0x07, system:0x00000000, require_response:0}\n\
         Packet received header: {session_id:0xffff, stream:00, function:00, p_type:0x00, s_type:0x01, system:0x00000003, require_response:0}\n\
         Connection about to be terminated\n\
         Connection terminated\n"
    );
}

#[test]
fn the_delegate_is_told_of_data_and_of_a_close_of_our_own() {
    let (address, delegate) = start_delegate(|_, stop| !stop.load(Ordering::SeqCst));
    let mut peer = Peer::dial(address);
    peer.send("0000000a ffff 00 00 00 01 00000001");
    peer.expect("0000000a ffff 00 00 00 02 00000001");
    peer.send("0000000c 0007 81 0d 00 00 00000002 0100");
    peer.expect("0000000a 0007 01 00 00 00 00000002");
    peer.send("0000000a ffff 00 00 00 05 00000003");
    peer.expect("0000000a ffff 00 00 00 06 00000003");
    delegate.stop.store(true, Ordering::SeqCst);
    peer.expect("0000000a ffff 00 00 00 09 00000001");
    peer.expect_end();
    assert_eq!(
        delegate.printed(),
        "Connection established\n\
         Packet received header: {session_id:0xffff, stream:00, function:00, p_type:0x00, s_type:0x01, system:0x00000001, require_response:0}\n\
         Packet received header: {session_id:0x0007, stream:01, function:13, p_type:0x00, s_type:0x00, system:0x00000002, require_response:1}\n\
         Packet received header: {session_id:0xffff, stream:00, function:00, p_type:0x00, s_type:0x05, system:0x00000003, require_response:0}\n\
         Connection about to be terminated\n\
         Connection terminated\n"
    );
}

#[test]
fn a_delegate_without_a_peer_prints_nothing() {
    let (_, delegate) = start_delegate(|_, _| false);
    assert_eq!(delegate.printed(), "");
}

#[test]
fn arguments_are_an_address_a_device_and_how_long() {
    let parse = |line: &str| arguments::parse(line.split_whitespace().map(str::to_owned));
    let given = parse("127.0.0.1:6000 9 --seconds 0").expect("good arguments");
    assert_eq!((&*given.address, given.device.get(), given.go_on()), ("127.0.0.1:6000", 9, false));
    assert_eq!((given.end(), given.ended()), ("until the time given is over", "ended: the time given is over"));
    let usual = parse("--seconds 1000").expect("good arguments");
    assert_eq!((&*usual.address, usual.device.get(), usual.go_on()), ("127.0.0.1:5000", 0, true));
    for wrong in ["--seconds", "--seconds x", "--what", "a 1 b --seconds 0", "a 32768 --seconds 0"] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn two_session_entities_are_asked_over_one_connection() {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "-p", "hsms-std", "--example", "sessions"])
        .stdin(Stdio::null())
        .output()
        .expect("cargo runs");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    // Both ends print, so only each end's own order is certain.
    let host: Vec<_> = printed.lines().filter(|line| line.starts_with("host: ")).collect();
    let expected = [
        "host: the etcher says ETCHER",
        "host: the loader: session 0x8002 is not selected",
        "host: the loader says LOADER",
        "host: selected are [0x8002]",
        "host: the loader still says LOADER",
    ];
    assert_eq!(host, expected);
    assert!(printed.ends_with("equipment: the transport was closed\n"), "{printed}");
}

#[test]
fn equipment_whose_input_is_closed_says_why_it_ends() {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "-p", "hsms-std", "--example", "equipment", "--", "127.0.0.1:0", "7"])
        .stdin(Stdio::null())
        .output()
        .expect("cargo");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.starts_with("device 7 on 127.0.0.1:"), "{told}");
    assert!(told.ends_with("ended: the input was closed; with --seconds N it goes on without input\n"), "{told}");
}

/// A program in a thread, and what it has printed.
struct Program {
    address: Option<SocketAddr>,
    log: Arc<Log>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), hsms_std::Error>>,
}

/// A name for wherever the equipment listens at the moment.
#[derive(Clone, Default)]
struct Name(Arc<Mutex<Option<SocketAddr>>>);

impl Name {
    fn is(&self, address: Option<SocketAddr>) {
        *self.0.lock().expect("a name") = address;
    }
}

impl ToSocketAddrs for Name {
    type Iter = std::option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        Ok(self.0.lock().expect("a name").into_iter())
    }
}

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

fn start_equipment() -> Program {
    let config = Config::equipment(DEVICE);
    let tool = Connection::passive((Ipv4Addr::LOCALHOST, 0), config).expect("a port to listen on");
    start(tool, |tool, stop, log| equipment::run(tool, PERIOD, || !stop.load(Ordering::SeqCst), |line| log.add(line)))
}

fn start_host(address: Name) -> Program {
    let config = Config::host(DEVICE).with_t5(Duration::from_millis(50)).expect("a good T5");
    let host = Connection::active(address, config).expect("an address to dial");
    start(host, |host, stop, log| host::run(host, PERIOD, || !stop.load(Ordering::SeqCst), |line| log.add(line)))
}

fn start(
    connection: Connection,
    run: impl FnOnce(Connection, &AtomicBool, &Log) -> Result<(), hsms_std::Error> + Send + 'static,
) -> Program {
    let address = connection.local_addr();
    let (log, stop) = (Arc::new(Log::default()), Arc::new(AtomicBool::new(false)));
    let (printing, stopping) = (Arc::clone(&log), Arc::clone(&stop));
    let thread = thread::spawn(move || run(connection, &stopping, &printing));
    Program { address, log, stop, thread }
}

impl Program {
    /// Waits until something has been printed that contains `part`.
    fn printed(&self, part: &str) {
        let missing = |lines: &mut Vec<String>| !lines.iter().any(|line| line.contains(part));
        let lines = self.log.lines.lock().expect("a log");
        let (lines, waited) = self.log.more.wait_timeout_while(lines, PATIENCE, missing).expect("a log");
        assert!(!waited.timed_out(), "nothing with {part:?} in {lines:#?}");
    }

    /// What has been printed up to now no longer counts.
    fn forget(&self) {
        self.log.lines.lock().expect("a log").clear();
    }

    /// Ends it.
    fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("no panic").expect("a good end");
    }
}

impl Log {
    fn add(&self, line: String) {
        self.lines.lock().expect("a log").push(line);
        self.more.notify_all();
    }
}

/// A delegate in a thread.
struct Told {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<String>,
}

fn start_delegate(go_on: impl Fn(&Connection, &AtomicBool) -> bool + Send + 'static) -> (SocketAddr, Told) {
    let config = Config::equipment(DEVICE);
    let connection = Connection::with_options((Ipv4Addr::LOCALHOST, 0), config, delegate::told()).expect("a port");
    let address = connection.local_addr().expect("where it listens");
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = Arc::clone(&stop);
    let thread = thread::spawn(move || {
        let mut delegate = Delegate { out: Vec::new() };
        delegate::run(connection, &mut delegate, |connection| go_on(connection, &stopping)).expect("a good end");
        String::from_utf8(delegate.out).expect("text")
    });
    (address, Told { stop, thread })
}

impl Told {
    /// All that was printed, when it has ended.
    fn printed(self) -> String {
        self.thread.join().expect("no panic")
    }
}

/// The other end, octet by octet.
struct Peer(TcpStream);

impl Peer {
    fn dial(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a listener");
        stream.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
        Peer(stream)
    }

    fn send(&mut self, hex: &str) {
        self.0.write_all(&octets(hex)).expect("a peer that reads");
    }

    fn expect(&mut self, hex: &str) {
        let expected = octets(hex);
        let mut got = vec![0; expected.len()];
        self.0.read_exact(&mut got).expect("an answer");
        assert_eq!(got, expected);
    }

    fn close(&self) {
        self.0.shutdown(std::net::Shutdown::Write).expect("an open connection");
    }

    fn expect_end(&mut self) {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => assert!(rest.is_empty(), "{rest:02x?}"),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        }
    }
}
