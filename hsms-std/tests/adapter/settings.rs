//! What is set on a socket.

use hsms_std::Options;
use hsms_std::tcp::Tcp;
use socket2::SockRef;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

#[test]
fn keepalive_and_no_delay_are_set_as_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let set = |options: Options| {
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let tcp = Tcp::new(stream.try_clone().unwrap(), &options).unwrap();
        assert_eq!(tcp.local_addr(), stream.local_addr().unwrap());
        assert_eq!(tcp.peer_addr(), stream.peer_addr().unwrap());
        let socket = SockRef::from(&stream);
        (socket.keepalive().unwrap(), socket.tcp_nodelay().unwrap(), socket.tcp_keepalive_time().unwrap())
    };
    let (keepalive, no_delay, idle) = set(Options::new());
    assert_eq!((keepalive, no_delay, idle), (true, true, Duration::from_secs(60)));
    let (keepalive, no_delay, idle) = set(Options::new().with_keepalive(Some(Duration::from_secs(7))));
    assert_eq!((keepalive, no_delay, idle), (true, true, Duration::from_secs(7)));
    let (keepalive, no_delay, _) = set(Options::new().with_keepalive(None).with_no_delay(false));
    assert_eq!((keepalive, no_delay), (false, false));
}
