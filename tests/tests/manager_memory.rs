//! What a connection of the manager costs, of all that is allocated in any thread: an idle one, one whose peer takes nothing, one whose inbox
//! nobody reads; what is left of a long request; and whether a dead peer keeps the loop busy.

use hsms_std::core::wire::{Header, SType, SystemBytes};
use hsms_std::manager::{Error, Event, Expected, Manager, Peer, PeerSettings};
use hsms_std::services::{ServiceId, Settings};
use hsms_std::{Config, DeviceId, Options, StreamFunction};
use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

#[path = "security/descriptors.rs"]
mod descriptors;

const LIMIT: Duration = Duration::from_secs(60);
/// So many are added to as many: the tables of the manager double in size on the way, so each is as full as on average.
const PEERS: u16 = 448;

/// One measures at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// So long is each text of those that fill something.
const TEXT: usize = 64 * 1024;

/// What is on its way, tables and headers.
const BESIDE: usize = 4 * TEXT;

const S1F1: StreamFunction = StreamFunction::new(1, 1);

/// A peer of this name that has been called from there and is selected.
fn tool(manager: &Manager, from: Ipv4Addr, settings: impl FnOnce(PeerSettings) -> PeerSettings) -> (Peer, TcpStream) {
    let config = Config::equipment(DeviceId::new(0).unwrap()).with_linktest_period(Duration::ZERO).unwrap();
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let place = PeerSettings::passive(local, Expected::Address(IpAddr::V4(from)), config);
    let peer = manager.add(&from.to_string(), settings(place)).unwrap();
    peer.enable().unwrap();
    let stream = selected(peer.local_addr().unwrap(), from);
    peer.selected().wait(LIMIT).unwrap();
    (peer, stream)
}

/// Sends until there is no room for more. Nobody reads at the other end. Gives how many octets wait.
fn fill(peer: &Peer) -> usize {
    for _ in 0..2_000 {
        match peer.send(S1F1, vec![0; TEXT]).wait(LIMIT) {
            Ok(_) => {}
            Err(Error::OutputFull { waiting }) => return waiting,
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("there is room for everything");
}

/// Time that this process has kept processors busy.
fn busy() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap(), u32::try_from(time.tv_nsec).unwrap())
}

fn selected(to: SocketAddr, from: Ipv4Addr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(&Header::select_req(SystemBytes(1)).encode_alone()).unwrap();
    let mut response = [0; 14];
    stream.read_exact(&mut response).unwrap();
    assert_eq!(response[9], SType::SELECT_RSP.0);
    stream
}

#[test]
fn an_idle_selected_connection_takes_a_kibibyte_at_most() {
    descriptors::raise_descriptors();
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let manager = Manager::start().unwrap();
    let config = Config::equipment(DeviceId::new(0).unwrap());
    let mut port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut add = |number: u16| {
        let [high, low] = (number + 1).to_be_bytes();
        let from = Ipv4Addr::new(127, 9, high, low);
        let settings = PeerSettings::passive(port, Expected::Address(IpAddr::V4(from)), config);
        let peer = manager.add(&format!("tool {number:05}"), settings).unwrap();
        port = peer.local_addr().unwrap();
        peer.enable().unwrap();
        let stream = selected(port, from);
        peer.selected().wait(LIMIT).unwrap();
        (peer, stream)
    };
    let mut peers: Vec<_> = (0..PEERS).map(&mut add).collect();
    peers.reserve(usize::from(PEERS));
    // Work that is done leaves nothing behind.
    let settle = |peers: &mut Vec<(Peer, TcpStream)>| {
        while manager.next(Duration::from_millis(1)).is_some() {}
        for (peer, stream) in peers {
            peer.send(StreamFunction::new(1, 1), [0; 100]).wait(LIMIT).unwrap();
            stream.read_exact(&mut [0; 114]).unwrap();
            peer.counters().wait(LIMIT).unwrap();
        }
    };
    settle(&mut peers);
    let before = ALLOCATOR.current_usage();
    peers.extend((PEERS..2 * PEERS).map(&mut add));
    settle(&mut peers);
    let each = (ALLOCATOR.current_usage() - before) / usize::from(PEERS);
    // What the user configures: the settings and the name.
    let configured = size_of::<PeerSettings>() + "tool 00000".len();
    let beyond = each - configured;
    println!("{each} octets for each idle selected connection, {beyond} beyond the {configured} that are configured");
    assert!(beyond <= 1_024, "{beyond}");
    manager.stop(LIMIT).unwrap();
}

#[test]
fn nothing_is_kept_of_the_text_of_a_service_request_that_has_gone_out() {
    const TEXT: usize = 16 << 20;
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let manager = Manager::start().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let settings = PeerSettings::active([listener.local_addr().unwrap()], Config::host(DeviceId::new(0).unwrap()));
    let host = manager.add("host", settings.with_services(Settings::new().without_names())).unwrap();
    host.enable().unwrap();
    let mut tool = listener.accept().unwrap().0;
    tool.set_read_timeout(Some(LIMIT)).unwrap();
    let mut select = [0; 14];
    tool.read_exact(&mut select).unwrap();
    let select = Header::decode(select[4..].try_into().unwrap());
    tool.write_all(&Header::select_rsp(select.system).encode_alone()).unwrap();
    let used = host.services().unwrap();
    assert!(used.establish(LIMIT).unwrap());
    let before = ALLOCATOR.current_usage();
    let asks = thread::spawn(move || used.send(ServiceId::WRITE, 7, &"x".repeat(TEXT - 64), LIMIT));
    let mut prefix = [0; 14];
    tool.read_exact(&mut prefix).unwrap();
    let length = u64::from(u32::from_be_bytes(prefix[..4].try_into().unwrap())) - 10;
    assert_eq!(std::io::copy(&mut Read::take(&mut tool, length), &mut std::io::sink()).unwrap(), length);
    // The caller has its value, and nobody else anything.
    let end = Instant::now() + LIMIT;
    while ALLOCATOR.current_usage() > before + TEXT + TEXT / 4 {
        assert!(Instant::now() < end, "{} octets", ALLOCATOR.current_usage() - before);
        let _ = manager.next(Duration::from_millis(1));
    }
    let asked = Header::decode(prefix[4..].try_into().unwrap());
    let reply = Header::data(asked.system, StreamFunction::new(64, 22), false, asked.session);
    let text = [1, 3, 0xb1, 4, 0, 0, 0, 7, 0xa5, 1, 0, 1, 0];
    tool.write_all(&[&reply.encode_prefix(13).unwrap()[..], &text].concat()).unwrap();
    asks.join().unwrap().unwrap();
    manager.stop(LIMIT).unwrap();
}

#[test]
fn a_peer_that_takes_nothing_takes_memory_within_its_bound() {
    const OUTPUT: usize = 4 << 20;
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let manager = Manager::start().unwrap();
    let patient = Options::new().with_write_limit(2 * LIMIT);
    let from = Ipv4Addr::new(127, 9, 200, 1);
    let (peer, silent) = tool(&manager, from, |settings| settings.with_output(OUTPUT).with_options(patient));
    while manager.next(Duration::ZERO).is_some() {}
    let before = ALLOCATOR.current_usage();
    let waiting = fill(&peer);
    assert!((OUTPUT - 2 * TEXT..=OUTPUT + 2 * TEXT).contains(&waiting), "{waiting}");
    // However often it is tried again.
    for _ in 0..100 {
        let refused = peer.send(S1F1, vec![0; TEXT]).wait(LIMIT);
        assert!(matches!(refused, Err(Error::OutputFull { .. })), "{refused:?}");
    }
    // What they wait in doubles its room.
    let grown = ALLOCATOR.current_usage().saturating_sub(before);
    println!("{grown} octets for a peer that takes nothing, to whom {OUTPUT} may wait");
    assert!(grown <= 2 * OUTPUT + BESIDE, "{grown}");
    drop(silent);
    manager.stop(LIMIT).unwrap();
}

#[test]
fn a_peer_whose_inbox_nobody_reads_takes_memory_within_its_bound() {
    const INBOX: usize = 4 << 20;
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let manager = Manager::start().unwrap();
    let bounded = Options::new().with_inbox(1_000, INBOX);
    let (peer, mut stream) = tool(&manager, Ipv4Addr::new(127, 9, 200, 2), |settings| settings.with_options(bounded));
    while manager.next(Duration::ZERO).is_some() {}
    let text = vec![0; TEXT];
    let mut sent = 0_u32;
    let mut send = |times: u32| {
        for _ in 0..times {
            sent += 1;
            let primary = Header::data(SystemBytes(sent), S1F1, false, DeviceId::new(0).unwrap().session());
            stream.write_all(&primary.encode_prefix(u32::try_from(TEXT).unwrap()).unwrap()).unwrap();
            stream.write_all(&text).unwrap();
        }
        // What was sent is answered behind it: all of it has been read.
        stream.write_all(&Header::linktest_req(SystemBytes(0)).encode_alone()).unwrap();
        stream.read_exact(&mut [0; 14]).unwrap();
        // The answer may leave in the turn that has not yet put all into the inbox.
        peer.counters().wait(LIMIT).unwrap();
    };
    let before = ALLOCATOR.current_usage();
    send(1_000);
    let grown = ALLOCATOR.current_usage().saturating_sub(before);
    println!("{grown} octets for a peer whose inbox nobody reads, of which it may hold {INBOX}");
    assert!(grown <= INBOX + BESIDE, "{grown}");
    let mut held = 0;
    let dropped = loop {
        match manager.next(LIMIT).unwrap().1 {
            Event::Received(message) => held += message.body.len(),
            Event::Dropped { primaries, .. } => break primaries,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((held, dropped), (INBOX, 1_000 - u64::try_from(INBOX / TEXT).unwrap()));
    manager.stop(LIMIT).unwrap();
}

/// What it costs in time `cargo bench -p hsms-std --bench scale` could show; what it may not is the loop's time while nothing happens.
#[test]
fn a_peer_that_takes_nothing_does_not_keep_the_loop_busy() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let manager = Manager::start().unwrap();
    let patient = Options::new().with_write_limit(2 * LIMIT);
    let from = Ipv4Addr::new(127, 9, 200, 3);
    let (dead, silent) = tool(&manager, from, |settings| settings.with_options(patient));
    fill(&dead);
    while manager.next(Duration::ZERO).is_some() {}
    let (begun, worked) = (Instant::now(), busy());
    // Time passes, in which nobody has anything to do.
    assert!(manager.next(Duration::from_millis(300)).is_none());
    let (passed, worked) = (begun.elapsed(), busy() - worked);
    assert!(worked * 2 < passed, "it waits busily: {worked:?} of {passed:?}");
    drop(silent);
    manager.stop(LIMIT).unwrap();
}
