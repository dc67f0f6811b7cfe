//! What an idle connection of the manager costs, of all that is allocated in any thread; and what is left of a long request.

use hsms_std::core::wire::{Header, SType, SystemBytes};
use hsms_std::manager::{Expected, Manager, PeerSettings};
use hsms_std::services::{ServiceId, Settings};
use hsms_std::{Config, DeviceId, StreamFunction};
use peak_alloc::PeakAlloc;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const LIMIT: Duration = Duration::from_secs(60);
/// So many are added to as many: the tables of the manager double in size on the way, so each is as full as on average.
const PEERS: u16 = 448;

/// One measures at a time.
static ALONE: Mutex<()> = Mutex::new(());

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
    let settle = |peers: &mut Vec<(hsms_std::manager::Peer, TcpStream)>| {
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
        thread::sleep(Duration::from_millis(1));
    }
    let asked = Header::decode(prefix[4..].try_into().unwrap());
    let reply = Header::data(asked.system, StreamFunction::new(64, 22), false, asked.session);
    let text = [1, 3, 0xb1, 4, 0, 0, 0, 7, 0xa5, 1, 0, 1, 0];
    tool.write_all(&[&reply.encode_prefix(13).unwrap()[..], &text].concat()).unwrap();
    asks.join().unwrap().unwrap();
    manager.stop(LIMIT).unwrap();
}
