//! Captures (feature `capture` of hsms-std) as tshark reads them: every message of every type, both ways, field by field, with what the
//! other end of the socket saw beside it, and nothing that tshark finds odd.
//!
//! Where tshark is missing, or IPv6 for the one about that, these are reported as ignored, with the reason; `HSMS_PEERS=required` makes them fail instead.

#[path = "capture/far_end.rs"]
mod far_end;
#[path = "capture/tshark.rs"]
mod tshark;

use far_end::{FarEnd, LIMIT, SharedFile};
use hsms_core::config::DeviceId;
use hsms_core::connection::{General, SessionEntity};
use hsms_core::wire::{Header, RejectReason, SType, SessionId, StreamFunction, SystemBytes};
use hsms_std::capture::Capture;
use hsms_std::driver::Driver;
use hsms_std::faults::{Plans, pipe};
use hsms_std::manager::{Delegate, Expected, Manager, ManagerSettings, Peer, PeerSettings, Received};
use hsms_std::tap::{Tap, Tapped};
use hsms_std::{Config, Connection, Error, Incoming, Options};
use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tshark::{Streams, Way, verify};

type Test = fn() -> Result<(), Failed>;

const DEVICE: DeviceId = DeviceId::new(7).unwrap();
const SESSION: SessionId = SessionId(7);
const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const S1F1: StreamFunction = StreamFunction::new(1, 1);
const S1F2: StreamFunction = StreamFunction::new(1, 2);
/// Is answered SxF0.
const S2F1: StreamFunction = StreamFunction::new(2, 1);
/// Expects no reply.
const S6F11: StreamFunction = StreamFunction::new(6, 11);

/// SECS-II: A, U2 and a list of both.
const TEXT: &[u8] = b"\x01\x02\x41\x04TOOL\xa9\x02\x01\x2c";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let required = std::env::var("HSMS_PEERS").is_ok_and(|value| value == "required");
    let missing = tshark::missing();
    let mut trials = Vec::new();
    let without_ipv6 = no_ipv6();
    let with_tshark: [(&str, Test); 8] = [
        ("every_message_of_blocking_connections_is_decoded", blocking_connections),
        ("every_message_of_a_manager_is_decoded", managed_peers),
        ("a_caller_is_one_stream_from_before_it_is_known", callers),
        ("long_texts_are_segments_of_one_message", long_texts),
        ("a_connection_that_is_cut_ends_where_it_was_cut", cut),
        ("ipv6_is_ipv6", over_ipv6),
        ("what_has_no_addresses_is_a_stream_as_well", without_addresses),
        ("a_capture_that_has_reached_its_limit_is_whole", limited),
    ];
    for (name, test) in with_tshark {
        let of_ipv6 = without_ipv6.as_ref().filter(|_| name == "ipv6_is_ipv6");
        let trial = match missing.as_ref().or(of_ipv6) {
            Some(reason) => {
                if !required {
                    println!("{name} is ignored: {reason}");
                }
                // Run all the same, with `--ignored`, it does not pass.
                let reason = reason.clone();
                Trial::test(name, move || Err(reason.into())).with_ignored_flag(!required)
            }
            None => Trial::test(name, test),
        };
        trials.push(trial.with_kind("tshark"));
    }
    let alone: [(&str, Test); 4] = [
        ("a_writer_that_fails_harms_no_connection_and_is_told", failing_writer),
        ("a_writer_that_panics_has_failed_and_is_not_called_again", panicking_writer),
        ("a_tap_that_panics_is_called_once_of_a_connection_and_harms_none", panicking_tap),
        ("a_tap_that_panics_is_not_called_again_when_a_peer_takes_the_caller_over", panicking_tap_of_a_caller),
    ];
    trials.extend(alone.map(|(name, test)| Trial::test(name, test)));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Why nothing can be shown of IPv6 here, if so.
fn no_ipv6() -> Option<String> {
    TcpListener::bind("[::1]:0").err().map(|error| format!("there is no IPv6 here: {error}"))
}

/// A capture, and what is in its file.
fn capture() -> (Arc<Capture<SharedFile>>, SharedFile) {
    let file = SharedFile::default();
    (Arc::new(Capture::new(file.clone())), file)
}

fn config() -> Config {
    Config::equipment(DEVICE).with_linktest_period(Duration::ZERO).expect("off")
}

/// A list of one entity.
fn sessions() -> General<1> {
    General::new(&[SessionEntity::offered(SESSION)]).expect("one")
}

/// What ours does, in either adapter.
trait Ours {
    /// Serves primaries until one comes that expects no reply.
    fn serve(&mut self);
    fn request(&mut self, body: &[u8]) -> Result<Vec<u8>, String>;
    fn send(&mut self, body: &[u8]);
    fn linktest(&mut self);
    fn until_closed(&mut self);
}

/// What the far end says and hears while ours does what [`talk_from_here`] says.
fn talk_from_there(far: &mut FarEnd) {
    // Not selected: Reject.req, reason 4.
    let early = far.primary(S1F1, true, TEXT);
    assert_eq!(far.read().0, Header::reject_req(early, 0, RejectReason::ENTITY_NOT_SELECTED));
    far.control(Header::select_req, SType::SELECT_RSP);
    far.control(Header::linktest_req, SType::LINKTEST_RSP);
    let system = far.primary(S1F1, true, TEXT);
    assert_eq!(far.read(), (Header::data(system, S1F2, false, SESSION), TEXT.to_vec()));
    let system = far.primary(S2F1, true, &[]);
    assert_eq!(far.read().0, Header::data(system, StreamFunction::new(2, 0), false, SESSION));
    far.primary(S6F11, false, TEXT);

    let (primary, body) = far.read();
    assert!(primary.reply_expected());
    far.write(&Header::data(primary.system, S1F2, false, SESSION), &body);
    let (primary, _) = far.read();
    assert!(!primary.reply_expected());
    let (primary, _) = far.read();
    far.write(&Header::data(primary.system, StreamFunction::new(1, 0), false, SESSION), &[]);
    let (linktest, _) = far.read();
    assert_eq!(linktest.stype, SType::LINKTEST_REQ);
    far.write(&Header::linktest_rsp(linktest.system), &[]);
    let (primary, _) = far.read();
    let reject = Header::reject_req(primary.system, 0, RejectReason::TRANSACTION_NOT_OPEN);
    far.write(&reject, &[]);
    far.control(Header::deselect_req, SType::DESELECT_RSP);
    far.end();
}

fn talk_from_here(ours: &mut dyn Ours) {
    ours.serve();
    assert_eq!(ours.request(TEXT).as_deref(), Ok(TEXT));
    ours.send(TEXT);
    assert!(ours.request(&[]).is_err(), "aborted");
    ours.linktest();
    assert!(ours.request(&[]).is_err(), "rejected");
    ours.until_closed();
}

/// What comes and goes in an HSMS-GS session that ours selects: the controls that HSMS-SS does not send.
fn select_from_there(far: &mut FarEnd) {
    let mut answer = |response: fn(SystemBytes) -> Header, stype| {
        let (header, _) = far.read();
        assert_eq!((header.stype, header.session), (stype, SESSION));
        far.write(&response(header.system).with_session(SESSION), &[]);
    };
    answer(Header::select_rsp, SType::SELECT_REQ);
    answer(Header::deselect_rsp, SType::DESELECT_REQ);
    answer(Header::select_rsp, SType::SELECT_REQ);
    assert_eq!(far.read().0.stype, SType::SEPARATE_REQ);
    let (header, _) = far.read();
    far.write(&Header::select_rsp(header.system).with_session(SESSION), &[]);
    // Ours has seen that it is selected.
    let (header, _) = far.read();
    far.write(&Header::linktest_rsp(header.system), &[]);
    let system = far.system();
    far.write(&Header::separate_req(system).with_session(SESSION), &[]);
    far.end();
}

struct Blocking(Connection);

impl Ours for Blocking {
    fn serve(&mut self) {
        loop {
            match self.0.next(LIMIT).unwrap() {
                Some(Incoming::Primary { message, token: Some(token) }) => {
                    let (stream_function, body) = (message.header.stream_function(), message.body.to_vec());
                    if stream_function == S2F1 {
                        self.0.abort(&token).unwrap();
                    } else {
                        self.0.reply(&token, &body).unwrap();
                    }
                }
                Some(Incoming::Primary { token: None, .. }) => return,
                Some(_) => {}
                None => panic!("nothing within {LIMIT:?}"),
            }
        }
    }

    fn request(&mut self, body: &[u8]) -> Result<Vec<u8>, String> {
        self.0.request(S1F1, body).map(|reply| reply.body.to_vec()).map_err(|error| error.to_string())
    }

    fn send(&mut self, body: &[u8]) {
        self.0.send(S6F11, body).unwrap();
    }

    fn linktest(&mut self) {
        self.0.linktest().unwrap();
    }

    fn until_closed(&mut self) {
        while !matches!(self.0.next(LIMIT).unwrap(), Some(Incoming::Closed { .. })) {}
    }
}

/// Echoes S1F1, aborts S2F1, and tells of the others.
struct Serve(Mutex<Sender<Told>>);

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Established,
    WithoutReply,
    Closed,
}

impl Serve {
    fn tell(&self, told: Told) {
        // The test may be over.
        let _ = self.0.lock().unwrap().send(told);
    }
}

impl Delegate for Serve {
    fn established(&self, _: &Peer) {
        self.tell(Told::Established);
    }

    fn received(&self, peer: &Peer, message: Received) {
        match message.token {
            Some(token) if message.header.stream_function() == S2F1 => drop(peer.abort(token)),
            Some(token) => drop(peer.reply(token, message.body)),
            None => self.tell(Told::WithoutReply),
        }
    }

    fn closed(&self, _: &Peer, _: hsms_std::CloseReason, _: Option<io::Error>) {
        self.tell(Told::Closed);
    }
}

struct Managed(Peer, Receiver<Told>);

impl Managed {
    fn add(manager: &Manager, name: &str, settings: PeerSettings) -> Self {
        let (sender, told) = channel();
        let peer = manager.add(name, settings.with_delegate(Arc::new(Serve(Mutex::new(sender))))).unwrap();
        peer.enable().unwrap();
        Managed(peer, told)
    }

    fn until(&self, expected: Told) {
        while self.1.recv_timeout(LIMIT).unwrap() != expected {}
    }
}

impl Ours for Managed {
    fn serve(&mut self) {
        self.until(Told::WithoutReply);
    }

    fn request(&mut self, body: &[u8]) -> Result<Vec<u8>, String> {
        self.0.request(S1F1, body).wait(LIMIT).map(|reply| reply.body).map_err(|error| error.to_string())
    }

    fn send(&mut self, body: &[u8]) {
        self.0.send(S6F11, body).wait(LIMIT).unwrap();
    }

    fn linktest(&mut self) {
        self.0.linktest().wait(LIMIT).unwrap();
    }

    fn until_closed(&mut self) {
        self.until(Told::Closed);
    }
}

/// Each type of message, which way it went.
fn types(fars: &[&FarEnd]) -> BTreeSet<(Way, &'static str)> {
    let mut types = BTreeSet::new();
    for (way, octets) in fars.iter().flat_map(|far| [(Way::Received, &far.written), (Way::Sent, &far.read)]) {
        for (header, _) in far_end::messages(octets) {
            let name = match header.stype {
                SType::DATA if header.function() == 0 => "abort",
                SType::DATA if header.function() % 2 == 0 => "reply",
                SType::DATA if header.reply_expected() => "primary with W",
                SType::DATA => "primary without W",
                SType::SELECT_REQ => "Select.req",
                SType::SELECT_RSP => "Select.rsp",
                SType::DESELECT_REQ => "Deselect.req",
                SType::DESELECT_RSP => "Deselect.rsp",
                SType::LINKTEST_REQ => "Linktest.req",
                SType::LINKTEST_RSP => "Linktest.rsp",
                SType::REJECT_REQ => "Reject.req",
                SType::SEPARATE_REQ => "Separate.req",
                other => panic!("{other:?}"),
            };
            types.insert((way, name));
        }
    }
    types
}

/// All twelve types, both ways.
fn all_types(fars: &[&FarEnd]) {
    let types = types(fars);
    assert_eq!(types.len(), 24, "{types:?}");
}

/// A whole dialogue with a blocking connection. Gives its far end.
fn talk(tool: Connection) -> Result<FarEnd, Failed> {
    let mut far = FarEnd::call(tool.local_addr().ok_or("no address")?);
    thread::scope(|scope| {
        let ours = scope.spawn(move || talk_from_here(&mut Blocking(tool)));
        talk_from_there(&mut far);
        ours.join().unwrap();
    });
    Ok(far)
}

fn blocking_connections() -> Result<(), Failed> {
    let (capture, file) = capture();
    let tool = Connection::passive(LOCAL, config())?.with_name("tool").with_tap(capture.clone());
    let called = talk(tool)?;

    let listener = TcpListener::bind(LOCAL)?;
    let options = Options::new();
    let host = Connection::<16, _>::general(listener.local_addr()?, Config::host(DEVICE), sessions(), options)?;
    let mut host = host.with_name("host").with_tap(capture.clone());
    let answering = thread::scope(|scope| {
        let far = scope.spawn(|| {
            let mut far = FarEnd::accept(&listener);
            select_from_there(&mut far);
            far
        });
        host.select_session(SESSION, LIMIT)?;
        host.deselect_session(SESSION)?;
        host.select_session(SESSION, LIMIT)?;
        host.separate_session(SESSION)?;
        host.select_session(SESSION, LIMIT)?;
        host.linktest()?;
        while !matches!(host.next(LIMIT)?, Some(Incoming::Closed { .. })) {}
        far.join().map_err(|_| Failed::from("the far end"))
    })?;
    drop(host);
    all_types(&[&called, &answering]);
    capture.finish()?;
    verify(&file, &mut Streams::of([(&called, &["tool"][..], true), (&answering, &["host"], false)]))
}

fn managed_peers() -> Result<(), Failed> {
    let (capture, file) = capture();
    let manager = Manager::start_with(ManagerSettings::new().with_tap(capture.clone()))?;
    let mut tool = Managed::add(&manager, "tool", PeerSettings::passive(LOCAL, Expected::Anyone, config()));
    let mut called = FarEnd::call(tool.0.local_addr().ok_or("no address")?);
    thread::scope(|scope| {
        let ours = scope.spawn(|| talk_from_here(&mut tool));
        talk_from_there(&mut called);
        ours.join().unwrap();
    });

    let listener = TcpListener::bind(LOCAL)?;
    let settings = PeerSettings::active([listener.local_addr()?], Config::host(DEVICE)).with_sessions(sessions());
    let mut host = Managed::add(&manager, "host", settings);
    let mut answering = FarEnd::accept(&listener);
    host.until(Told::Established);
    thread::scope(|scope| {
        let far = scope.spawn(|| select_from_there(&mut answering));
        let peer = &host.0;
        peer.select_session(SESSION).wait(LIMIT)?;
        peer.deselect_session(SESSION).wait(LIMIT)?;
        peer.select_session(SESSION).wait(LIMIT)?;
        peer.separate_session(SESSION).wait(LIMIT)?;
        peer.select_session(SESSION).wait(LIMIT)?;
        peer.linktest().wait(LIMIT)?;
        far.join().map_err(|_| Failed::from("the far end"))
    })?;
    host.until_closed();
    // Before T5 it is dialled again.
    manager.stop(LIMIT)?;
    all_types(&[&called, &answering]);
    capture.finish()?;
    verify(&file, &mut Streams::of([(&called, &["tool"][..], true), (&answering, &["host"], false)]))
}

/// Two tools behind one address: the one that calls is known by its first data. Another that calls for it is told that the place is
/// taken.
fn callers() -> Result<(), Failed> {
    let (capture, file) = capture();
    let manager = Manager::start_with(ManagerSettings::new().with_tap(capture.clone()))?;
    let expected = Expected::Address(Ipv4Addr::LOCALHOST.into());
    let of = |device| Config::equipment(device).with_linktest_period(Duration::ZERO).expect("off");
    let other = DeviceId::try_from(1_u16)?;
    let left = Managed::add(&manager, "left", PeerSettings::passive(LOCAL, expected, of(other)));
    let port = left.0.local_addr().ok_or("no address")?;
    let right = Managed::add(&manager, "right", PeerSettings::passive(port, expected, of(DEVICE)));

    let mut caller = FarEnd::call(port);
    caller.control(Header::select_req, SType::SELECT_RSP);
    caller.control(Header::linktest_req, SType::LINKTEST_RSP);
    // The header alone, and then the rest: it is known whose it is in the middle of the message.
    let text = vec![0x42_u8, 3, 232].into_iter().chain([b'x'; 1_000]).collect::<Vec<_>>();
    let system = caller.primary_by_halves(S1F1, &text, || {
        right.0.selected().wait(LIMIT).unwrap();
    });
    assert_eq!(caller.read(), (Header::data(system, S1F2, false, SESSION), text));
    caller.control(Header::linktest_req, SType::LINKTEST_RSP);

    let mut second = FarEnd::call(port);
    let system = second.system();
    second.write(&Header::select_req(system).with_session(SESSION), &[]);
    let (header, _) = second.read();
    assert_eq!((header.stype, header.byte3), (SType::SELECT_RSP, 1));
    second.end();
    caller.end();
    manager.stop(LIMIT)?;
    capture.finish()?;
    verify(&file, &mut Streams::of([(&caller, &["hsms", "right"][..], true), (&second, &["hsms"], true)]))
}

/// 2 MiB both ways, many times what is acknowledged at once.
fn long_texts() -> Result<(), Failed> {
    let (capture, file) = capture();
    let mut tool = Connection::passive(LOCAL, config())?.with_name("tool").with_tap(capture.clone());
    let address = tool.local_addr().ok_or("no address")?;
    let length: u32 = 2 << 20;
    let [_, length_octets @ ..] = length.to_be_bytes();
    let mut text = vec![0x23];
    text.extend(length_octets);
    text.extend((0..length).map(|number| number.to_le_bytes()[0] ^ number.to_le_bytes()[1]));
    let far = thread::scope(|scope| {
        let far = scope.spawn(|| {
            let mut far = FarEnd::call(address);
            far.control(Header::select_req, SType::SELECT_RSP);
            far.primary(S6F11, false, &text);
            let (header, body) = far.read();
            assert!(body == text);
            far.write(&Header::data(header.system, S1F2, false, SESSION), &body);
            far.end();
            far
        });
        while !matches!(tool.next(LIMIT)?, Some(Incoming::Primary { .. })) {}
        assert!(tool.request(S1F1, &text)?.body == text);
        while !matches!(tool.next(LIMIT)?, Some(Incoming::Closed { .. })) {}
        far.join().map_err(|_| Failed::from("the far end"))
    })?;
    capture.finish()?;
    let mut streams = Streams::of([(&far, &["tool"][..], true)]);
    verify(&file, &mut streams)?;
    assert!(streams.segments() > 3 * 64, "{} segments", streams.segments());
    Ok(())
}

/// Half a message has come.
fn cut() -> Result<(), Failed> {
    let (capture, file) = capture();
    let mut tool = Connection::passive(LOCAL, config())?.with_name("tool").with_tap(capture.clone());
    let mut far = FarEnd::call(tool.local_addr().ok_or("no address")?);
    thread::scope(|scope| {
        scope.spawn(|| {
            far.control(Header::select_req, SType::SELECT_RSP);
            far.half_a_primary(S6F11, &[0; 100_000]);
            far.end();
        });
        while !matches!(tool.next(LIMIT)?, Some(Incoming::Closed { .. })) {}
        Ok::<_, Error>(())
    })?;
    capture.finish()?;
    verify(&file, &mut Streams::of([(&far, &["tool"][..], true)]))
}

fn over_ipv6() -> Result<(), Failed> {
    let (capture, file) = capture();
    let tool = Connection::passive("[::1]:0", config())?;
    let tool = tool.with_name("tool").with_tap(capture.clone());
    let far = talk(tool)?;
    capture.finish()?;
    verify(&file, &mut Streams::of([(&far, &["tool"][..], true)]))
}

/// Over a pipe, dropped without a farewell: the end of the stream is there all the same.
fn without_addresses() -> Result<(), Failed> {
    let (capture, file) = capture();
    let (ours, mut theirs) = pipe(&Plans::clean());
    let mut host: Driver<_> = Driver::new(Config::host(DEVICE), Options::new()).with_tap(capture.clone());
    host.enable();
    host.opened(ours);
    let now = host.tick();
    host.turn(now)?;
    let mut far = FarEnd::of_pipe(&mut theirs, 5_000);
    drop(host);
    capture.finish()?;
    far.remote = SocketAddr::from((Ipv4Addr::LOCALHOST, 5_000));
    assert_eq!(types(&[&far]), BTreeSet::from([(Way::Sent, "Select.req")]));
    verify(&file, &mut Streams::of([(&far, &["hsms"][..], false)]))
}

/// More messages than fit: all that did are there, tshark finds nothing odd, and what is missing is told.
fn limited() -> Result<(), Failed> {
    let file = SharedFile::default();
    let limit = 4_000;
    let capture = Arc::new(Capture::new(file.clone()).with_limit(limit));
    let mut missed = 0;
    while missed == 0 {
        let mut tool = Connection::passive(LOCAL, config())?.with_tap(capture.clone());
        let address = tool.local_addr().ok_or("no address")?;
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut far = FarEnd::call(address);
                far.control(Header::select_req, SType::SELECT_RSP);
                far.end();
            });
            while !matches!(tool.next(LIMIT)?, Some(Incoming::Closed { .. })) {}
            Ok::<_, Error>(())
        })?;
        missed = capture.missed();
    }
    let error = capture.error().ok_or("it has stopped")?;
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge, "{error}");
    assert_eq!(capture.finish().map_err(|error| error.kind()), Err(io::ErrorKind::FileTooLarge));
    let written = file.octets().len();
    assert_eq!(u64::try_from(written)?, capture.written());
    assert!(capture.written() <= limit && capture.written() > limit - 1_000, "{written} of {limit}");
    tshark::decode(&file)?;
    Ok(())
}

/// Takes so many octets, and then none.
struct Failing(usize);

impl Write for Failing {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = octets.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn failing_writer() -> Result<(), Failed> {
    for room in [0, 1, 100, 1_000, 1_500] {
        let capture = Arc::new(Capture::new(Failing(room)));
        let tool = Connection::passive(LOCAL, config())?.with_tap(capture.clone());
        talk(tool)?;
        let error = capture.error().ok_or("it has failed")?;
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(capture.missed() > 0);
        assert_eq!(capture.finish().map_err(|error| error.kind()), Err(io::ErrorKind::StorageFull));
    }
    Ok(())
}

/// Panics once, when it is called for the time that is given, with half of what it was given written.
struct PanickingWriter {
    file: SharedFile,
    after: usize,
    calls: Arc<AtomicUsize>,
}

impl Write for PanickingWriter {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.calls.fetch_add(1, Ordering::Relaxed) == self.after {
            self.file.write_all(&octets[..octets.len() / 2])?;
            // As a panic does, but that it prints nothing.
            std::panic::resume_unwind(Box::new("a writer that panics"));
        }
        self.file.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Part of a block is in the file: nothing may follow it, of no connection.
fn panicking_writer() -> Result<(), Failed> {
    for after in [0, 1, 2, 5, 20] {
        let (file, calls) = (SharedFile::default(), Arc::new(AtomicUsize::new(0)));
        let writer = PanickingWriter { file: file.clone(), after, calls: calls.clone() };
        let capture = Arc::new(Capture::new(writer));
        let mut ends = Vec::new();
        for _ in 0..2 {
            let tool = Connection::passive(LOCAL, config())?.with_tap(capture.clone());
            talk(tool)?;
            ends.push((file.octets().len(), calls.load(Ordering::Relaxed), capture.missed()));
        }
        assert_eq!(capture.error().ok_or("it has failed")?.to_string(), "the writer has panicked");
        assert!(capture.finish().is_err());
        // It was not called again, and what the second connection said is missed as well.
        assert_eq!((ends[0].0, ends[0].1), (ends[1].0, after + 1), "{ends:?}");
        assert_eq!(ends[0].1, ends[1].1, "{ends:?}");
        assert!(ends[0].2 > 0 && ends[1].2 > ends[0].2, "{ends:?}");
        let written = usize::try_from(capture.written())?;
        assert!(written < file.octets().len(), "half a block is there, and not counted");
    }
    Ok(())
}

/// Counts its calls.
#[derive(Debug, Default)]
struct Panicking(AtomicUsize);

impl Tap for Panicking {
    fn tap(&self, _: &Tapped<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        // As a panic does, but that it prints nothing.
        std::panic::resume_unwind(Box::new("a tap that panics"));
    }
}

fn panicking_tap() -> Result<(), Failed> {
    let tap = Arc::new(Panicking::default());
    let manager = Manager::start_with(ManagerSettings::new().with_tap(tap.clone()))?;
    let mut tool = Managed::add(&manager, "tool", PeerSettings::passive(LOCAL, Expected::Anyone, config()));
    let mut far = FarEnd::call(tool.0.local_addr().ok_or("no address")?);
    thread::scope(|scope| {
        let ours = scope.spawn(|| talk_from_here(&mut tool));
        talk_from_there(&mut far);
        ours.join().unwrap();
    });
    manager.stop(LIMIT)?;
    assert_eq!(tap.0.load(Ordering::Relaxed), 1);
    Ok(())
}

/// Of a caller, whose connection goes from the manager to one of two peers behind a port.
fn panicking_tap_of_a_caller() -> Result<(), Failed> {
    let tap = Arc::new(Panicking::default());
    let manager = Manager::start_with(ManagerSettings::new().with_tap(tap.clone()))?;
    let expected = Expected::Address(Ipv4Addr::LOCALHOST.into());
    let other = Config::equipment(DeviceId::try_from(1)?).with_linktest_period(Duration::ZERO)?;
    let port = {
        let other = manager.add("other", PeerSettings::passive(LOCAL, expected, other))?;
        other.enable()?;
        other.local_addr().ok_or("no address")?
    };
    let mut tool = Managed::add(&manager, "tool", PeerSettings::passive(port, expected, config()));
    for calls in 1..=3 {
        let mut far = FarEnd::call(port);
        far.control(Header::select_req, SType::SELECT_RSP);
        far.primary(S6F11, false, TEXT);
        tool.serve();
        far.end();
        tool.until_closed();
        assert_eq!(tap.0.load(Ordering::Relaxed), calls);
    }
    manager.stop(LIMIT)?;
    assert_eq!(tap.0.load(Ordering::Relaxed), 3);
    Ok(())
}
