//! What an idle connection of the manager costs, of all that is allocated in any thread.

use hsms_std::core::wire::{Header, SType, SystemBytes};
use hsms_std::manager::{Expected, Manager, PeerSettings};
use hsms_std::{Config, DeviceId, StreamFunction};
use peak_alloc::PeakAlloc;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const LIMIT: Duration = Duration::from_secs(60);
/// So many are added to as many: the tables of the manager double in size on the way, so each is as full as on average.
const PEERS: u16 = 448;

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
