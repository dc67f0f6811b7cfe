//! Certificates, callers, and what all tests share.

pub use crate::descriptors::raise_descriptors;
use hsms_std::core::wire::SessionId;
use hsms_std::security::{CallersRefused, Security, SecurityError};
use hsms_std::tls::rustls::pki_types::PrivateKeyDer;
use hsms_std::tls::rustls::server::WebPkiClientVerifier;
use hsms_std::tls::rustls::sign::CertifiedKey;
use hsms_std::tls::rustls::{ClientConnection, RootCertStore, StreamOwned, crypto};
use hsms_std::tls::{CertificateDer, ClientConfig, ServerConfig, ServerName};
use hsms_std::{Config, DeviceId, Header, StreamFunction, SystemBytes};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use socket2::{Domain, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// No test comes near it where things work.
pub const LIMIT: Duration = Duration::from_secs(60);
pub const DEVICE: DeviceId = DeviceId::new(0).unwrap();
pub const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
pub const S1F1: StreamFunction = StreamFunction::new(1, 1);
pub const GOOD: Ipv4Addr = Ipv4Addr::new(127, 0, 2, 1);
pub const BAD: Ipv4Addr = Ipv4Addr::new(127, 0, 3, 1);

/// So long that it ends nobody.
pub const LONG_T7: Duration = Duration::from_secs(240);

pub fn host_config() -> Config {
    Config::host(DEVICE)
}

/// Without linktests of its own, which scripted callers would have to answer.
pub fn tool_config() -> Config {
    Config::equipment(DEVICE).with_linktest_period(Duration::ZERO).unwrap()
}

// Certificates.

/// One who signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// A certificate and its key.
pub struct Identity {
    pub certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Authority { issuer: Issuer::new(params, key), certificate }
    }

    pub fn sign(&self, name: &str) -> Identity {
        self.sign_until(name, 4000)
    }

    pub fn sign_until(&self, name: &str, year: i32) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Identity { certificate, key }
    }

    fn trusted(&self) -> RootCertStore {
        let mut trusted = RootCertStore::empty();
        trusted.add(self.certificate.clone()).unwrap();
        trusted
    }
}

impl Identity {
    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.serialize_der().into())
    }

    pub fn certified(&self) -> Arc<CertifiedKey> {
        Arc::new(CertifiedKey::from_der(vec![self.certificate.clone()], self.key(), &provider()).unwrap())
    }
}

pub fn provider() -> Arc<crypto::CryptoProvider> {
    Arc::new(crypto::ring::default_provider())
}

/// A server with this identity that takes clients whom `clients` has signed, or any where that is `None`.
pub fn server(identity: &Identity, clients: Option<&Authority>) -> Security {
    Security::new().with_server_tls(server_config(identity, clients))
}

pub fn server_config(identity: &Identity, clients: Option<&Authority>) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        Some(authority) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authority.trusted()), provider());
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    Arc::new(builder.with_single_cert(vec![identity.certificate.clone()], identity.key()).unwrap())
}

/// A client that trusts `authority` to say who `name` is.
pub fn client(authority: &Authority, identity: Option<&Identity>, name: &'static str) -> Security {
    Security::new().with_client_tls(client_config(authority, identity), ServerName::try_from(name).unwrap())
}

pub fn client_config(authority: &Authority, identity: Option<&Identity>) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(authority.trusted());
    Arc::new(match identity {
        Some(identity) => builder.with_client_auth_cert(vec![identity.certificate.clone()], identity.key()).unwrap(),
        None => builder.with_no_client_auth(),
    })
}

/// What the end of a connection says about security.
pub fn security_error(error: Option<io::Error>) -> Option<SecurityError> {
    SecurityError::of(error.as_ref()?).cloned()
}

/// So many were told that the place is taken, and nobody else was turned away.
pub fn taken(callers: u64) -> CallersRefused {
    let mut refused = CallersRefused::new();
    refused.taken = callers;
    refused
}

// Callers.

pub fn call(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream
}

/// A caller that uses TLS, and whose system keeps little of what it does not read.
pub fn call_with_tls(to: SocketAddr, authority: &Authority) -> StreamOwned<ClientConnection, TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let session = ClientConnection::new(client_config(authority, None), "tool.fab".try_into().unwrap());
    StreamOwned::new(session.unwrap(), stream)
}

/// The first half of a message of a mebibyte, as far as it goes into one segment.
pub fn half_a_frame() -> Vec<u8> {
    let header = Header::data(SystemBytes(7), S1F1, true, SessionId(0));
    let mut octets = header.encode_prefix(1 << 20).unwrap().to_vec();
    octets.extend([0; 700]);
    octets
}

/// From where a thousand call: as many from one address as the defaults let linger.
fn thousand_addresses() -> impl Iterator<Item = Ipv4Addr> {
    let each = u64::try_from(Security::new().max_unselected_per_address()).unwrap();
    (0..1_000).map(move |number| Ipv4Addr::new(127, 0, 4, 1 + u8::try_from(number / each).unwrap()))
}

/// A thousand callers that have sent `half` of something.
pub fn thousand(address: SocketAddr, half: &[u8]) -> Vec<TcpStream> {
    let caller = |from| {
        let mut stream = call(from, address);
        throw(&mut stream, half);
        stream
    };
    thousand_addresses().map(caller).collect()
}

/// The same where few are taken: others wait in the system's queue, or go on trying to get there.
pub fn thousand_trying(address: SocketAddr, half: &[u8]) -> Vec<TcpStream> {
    let mut sent = 0;
    let caller = |from| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
        socket.set_nonblocking(true).unwrap();
        // It goes on, and shows in whether there is room to write.
        let _ = socket.connect(&address.into());
        let mut stream = TcpStream::from(socket);
        sent += usize::from(stream.write(half).is_ok());
        stream
    };
    let callers = thousand_addresses().map(caller).collect();
    assert!(sent > 8, "{sent} have sent something");
    callers
}

/// What a process takes besides, for its code, its stacks and its allocator; and the system counts pages of each processor in lots of 32.
/// A thousand callers that are all kept take five times as much, with half a frame each.
const BESIDES: usize = 512 * 1024;

/// What a thousand callers may take by the settings: less than 16 MiB, and more than they do. Prints both.
pub fn assert_bounded(what: &str, grown: usize, security: &Security) {
    let bound = security.max_unselected_octets();
    println!(
        "security: 1,000 callers with half {what}: resident memory grew by {} KiB; by the settings {} callers take at most {} KiB",
        grown / 1_024,
        security.max_unselected(),
        bound / 1_024
    );
    assert!(bound < 16 << 20);
    assert!(grown < bound + BESIDES, "{grown}");
}

/// What is read where nothing was sent.
pub const NOTHING: &[u8] = &[];

/// The other end has closed; whatever it sent before.
pub fn expect_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut octets = Vec::new();
    match stream.read_to_end(&mut octets) {
        Ok(_) => {}
        Err(error) if has_gone(&error) => {}
        Err(error) => panic!("{error:?}"),
    }
    octets
}

pub fn has_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

/// Writes what the other end may refuse to take.
pub fn throw(stream: &mut TcpStream, octets: &[u8]) {
    match stream.write_all(octets) {
        Err(error) if !has_gone(&error) => panic!("{error:?}"),
        _ => {}
    }
}

// A process of its own.

/// Octets of the process that are in memory.
pub fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * rustix::param::page_size()
}

/// The most octets that the process has had reserved, touched or not.
pub fn most_reserved() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmPeak:")).unwrap();
    peak.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1_024
}

/// Since it was `before`; the arenas of the allocator are 64 MiB each.
pub fn assert_little_reserved(before: usize) {
    let reserved = most_reserved() - before;
    println!("security: a claim of 2 GiB: at most {} KiB more were reserved", reserved / 1_024);
    assert!(reserved < 512 << 20, "{reserved}");
}

const CHILD: &str = "HSMS_SECURITY_CHILD";

/// Runs the rest of the test of this name in a process of its own, where nothing else happens, and passes on what it prints.
pub fn in_own_process(name: &str, child: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return child();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "yes")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("1 passed"), "{told}");
    told.lines().filter(|line| line.starts_with("security:")).for_each(|line| println!("{line}"));
}
