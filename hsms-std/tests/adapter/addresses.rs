//! What a connection's address stands for: one address or several, and not for ever.

use crate::support::*;
use hsms_std::{Connection, Error, Fault, Incoming, Options, State};
use socket2::{Domain, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A name, and what it stands for at the moment.
#[derive(Clone)]
struct Name(Arc<Mutex<Result<Vec<SocketAddr>, ErrorKind>>>);

impl ToSocketAddrs for Name {
    type Iter = std::vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        Ok(self.0.lock().unwrap().clone()?.into_iter())
    }
}

impl Name {
    fn new(addresses: &[SocketAddr]) -> Self {
        Name(Arc::new(Mutex::new(Ok(addresses.to_vec()))))
    }

    fn becomes(&self, addresses: Result<Vec<SocketAddr>, ErrorKind>) {
        *self.0.lock().unwrap() = addresses;
    }
}

/// An address that refuses to be dialled, and that nobody else gets meanwhile: bound and not listening.
fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Selects, with a peer that accepts once.
fn selects(host: &mut Connection, listener: &TcpListener) {
    thread::scope(|scope| {
        let peer = scope.spawn(|| {
            let mut peer = Raw::over(listener.accept().unwrap().0);
            peer.be_selected();
            peer
        });
        let selected = host.select(LONG);
        if selected.is_err() {
            // The peer has nobody to wait for any more.
            let _ = TcpStream::connect(listener.local_addr().unwrap());
        }
        selected.unwrap();
        peer.join().unwrap();
    });
}

fn failed(host: &mut Connection) -> ErrorKind {
    next_of(host, |incoming| match incoming {
        Incoming::ConnectFailed { error } => Some(error.kind()),
        _ => None,
    })
}

#[test]
fn a_name_is_resolved_anew_for_each_attempt_to_dial() {
    let (_nobody, away) = refusing();
    let (first, second) = (listening(), listening());
    let name = Name::new(&[away]);
    let mut host = Connection::active(name.clone(), host_config()).unwrap();
    assert_eq!(failed(&mut host), ErrorKind::ConnectionRefused);
    name.becomes(Ok(vec![first.1]));
    selects(&mut host, &first.0);
    name.becomes(Ok(vec![second.1]));
    selects_again(&mut host, &second.0);
    assert_eq!(host.peer_addr(), Some(second.1));
}

/// The same where the connection is lost first.
fn selects_again(host: &mut Connection, listener: &TcpListener) {
    closed(host);
    selects(host, listener);
}

#[test]
fn a_name_that_cannot_be_resolved_any_more_stands_for_what_it_stood_for_last() {
    let (listener, address) = listening();
    let name = Name::new(&[address]);
    let mut host = Connection::active(name.clone(), host_config()).unwrap();
    selects(&mut host, &listener);
    name.becomes(Err(ErrorKind::TimedOut));
    selects_again(&mut host, &listener);
}

#[test]
fn a_name_that_stands_for_nothing_any_more_is_a_failed_attempt() {
    let (listener, address) = listening();
    let name = Name::new(&[address]);
    let mut host = Connection::active(name.clone(), host_config()).unwrap();
    name.becomes(Ok(Vec::new()));
    assert_eq!(failed(&mut host), ErrorKind::AddrNotAvailable);
    assert_eq!(failed(&mut host), ErrorKind::AddrNotAvailable);
    name.becomes(Ok(vec![address]));
    selects(&mut host, &listener);
}

#[test]
fn a_name_that_cannot_be_resolved_at_first_is_an_error_on_both_sides() {
    let name = Name::new(&[]);
    name.becomes(Err(ErrorKind::TimedOut));
    for config in [host_config(), equipment_config()] {
        let error = Connection::with_options(name.clone(), config, Options::new()).unwrap_err();
        assert!(matches!(&error, Error::Address { source } if source.kind() == ErrorKind::TimedOut), "{error:?}");
        assert_eq!(error.fault(), Fault::Caller);
    }
}

#[test]
fn where_the_first_address_refuses_the_second_is_dialled_in_the_same_attempt() {
    let ((_nobody, away), (listener, address)) = (refusing(), listening());
    let mut host = Connection::active(Name::new(&[away, address]), host_config()).unwrap();
    selects(&mut host, &listener);
    assert_eq!(host.peer_addr(), Some(address));
    assert_eq!(host.counters().failed_attempts, 0);
}

#[test]
fn where_all_addresses_refuse_one_attempt_has_failed() {
    let ((_one, first), (_other, second)) = (refusing(), refusing());
    let mut host = Connection::active(Name::new(&[first, second]), host_config()).unwrap();
    assert_eq!(failed(&mut host), ErrorKind::ConnectionRefused);
    assert_eq!(host.counters().failed_attempts, 1);
    assert_eq!(host.state(), State::NotConnected);
}

/// Were the first given the whole connect limit, the second would be dialled only after that: long after `select` has given up.
#[test]
fn an_address_that_never_answers_leaves_time_for_those_behind_it() {
    // A queue of one place, taken: further dials hang.
    let silent = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    silent.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    silent.listen(0).unwrap();
    let silent_address = silent.local_addr().unwrap().as_socket().unwrap();
    let share = Duration::from_millis(100);
    let mut taken = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&silent_address, share) {
        taken.push(stream);
    }
    let (listener, address) = listening();
    let options = Options::new().with_connect_limit(share * 600);
    let mut addresses = vec![address; 600];
    addresses[0] = silent_address;
    let name = Name::new(&addresses);
    let mut host = Connection::with_options(name, host_config(), options).unwrap();
    selects(&mut host, &listener);
    assert_eq!(host.peer_addr(), Some(address));
}

#[test]
fn a_passive_side_listens_on_the_first_address_that_can_be_had() {
    let ((_taken, taken), (_other, other)) = (listening(), listening());
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut tool = Connection::passive(Name::new(&[taken, free]), equipment_config()).unwrap();
    let address = tool.local_addr().unwrap();
    assert_ne!(address, taken);
    thread::scope(|scope| {
        scope.spawn(|| Raw::connect(address).select());
        tool.select(LONG).unwrap();
    });
    // Where none can be had, the last says why.
    let error = Connection::passive(Name::new(&[taken, other]), equipment_config()).unwrap_err();
    assert!(matches!(error, Error::Listen { address, .. } if address == other), "{error:?}");
}

#[test]
fn ipv6_serves_as_well_on_both_sides() {
    if let Err(error) = TcpListener::bind("[::1]:0") {
        println!("not tested: this machine has no IPv6 loopback: {error}");
        return;
    }
    let mut tool = Connection::passive("[::1]:0", equipment_config()).unwrap();
    let address = tool.local_addr().unwrap();
    assert!(address.is_ipv6());
    thread::scope(|scope| {
        let served = scope.spawn(move || echo_until_closed(&mut tool));
        // As a name too.
        let mut host = Connection::active(address.to_string(), host_config()).unwrap();
        host.select(LONG).unwrap();
        assert_eq!(host.peer_addr(), Some(address));
        assert_eq!(host.request(S1F1, &[1, 2]).unwrap().body, [1, 2]);
        host.close().unwrap();
        assert_eq!(served.join().unwrap(), 1);
    });
}
