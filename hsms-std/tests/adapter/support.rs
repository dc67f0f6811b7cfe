//! What the tests have in common.

use hsms_std::{CloseReason, Config, Connection, DeviceId, Header, Incoming, Message, StreamFunction, SystemBytes};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

pub const DEVICE: DeviceId = DeviceId::new(7).unwrap();

/// Nothing in these tests takes that long; a test that needs it has failed.
pub const LONG: Duration = Duration::from_secs(30);

pub const S1F1: StreamFunction = StreamFunction::new(1, 1);
pub const S6F11: StreamFunction = StreamFunction::new(6, 11);

/// The least T5, so that redials need no patience; linktests off, so that nothing comes by itself.
pub fn host_config() -> Config {
    quick(Config::host(DEVICE))
}

pub fn equipment_config() -> Config {
    quick(Config::equipment(DEVICE))
}

fn quick(config: Config) -> Config {
    config.with_t5(Duration::from_millis(10)).unwrap().with_linktest_period(Duration::ZERO).unwrap()
}

/// Equipment on a free port.
pub fn equipment(config: Config) -> (Connection, SocketAddr) {
    let tool = Connection::passive("127.0.0.1:0", config).unwrap();
    let address = tool.local_addr().unwrap();
    (tool, address)
}

pub fn host(address: SocketAddr, config: Config) -> Connection {
    Connection::active(address, config).unwrap()
}

/// Answers every primary with its own text until the peer has gone; gives how many.
pub fn echo_until_closed(tool: &mut Connection) -> usize {
    let (mut count, mut text) = (0, Vec::new());
    loop {
        let token = match tool.next(LONG).unwrap().expect("the peer goes in time") {
            Incoming::Primary { token, .. } => token,
            Incoming::Closed { .. } => return count,
            _ => continue,
        };
        count += 1;
        tool.take_body(&mut text);
        if let Some(token) = token {
            tool.reply(&token, &text).unwrap();
        }
    }
}

/// A text whose octets tell where they belong.
pub fn text(len: usize) -> Vec<u8> {
    (0..len).map(|index| u8::try_from((index ^ (index >> 8) ^ (index >> 16)) & 0xFF).unwrap()).collect()
}

/// The next thing that `pick` wants, within [`LONG`]; what it does not want is passed over.
pub fn next_of<R>(connection: &mut Connection, mut pick: impl FnMut(Incoming<'_>) -> Option<R>) -> R {
    let until = Instant::now() + LONG;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let incoming = connection.next(left).unwrap().expect("what is waited for comes in time");
        if let Some(found) = pick(incoming) {
            return found;
        }
    }
}

/// Waits for the end of the connection; gives the reason.
pub fn closed(connection: &mut Connection) -> CloseReason {
    next_of(connection, |incoming| match incoming {
        Incoming::Closed { reason, .. } => Some(reason),
        _ => None,
    })
}

/// A peer without a machine: it says what a test tells it to.
pub struct Raw(pub TcpStream);

impl Raw {
    pub fn connect(address: SocketAddr) -> Self {
        Raw::over(TcpStream::connect(address).unwrap())
    }

    pub fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        Raw(stream)
    }

    pub fn send(&mut self, header: Header, body: &[u8]) {
        let mut octets = vec![0; body.len() + 14];
        Message::new(header, body).encode(&mut octets).unwrap();
        self.0.write_all(&octets).unwrap();
    }

    pub fn receive(&mut self) -> (Header, Vec<u8>) {
        let mut prefix = [0; 14];
        self.0.read_exact(&mut prefix).unwrap();
        let [l0, l1, l2, l3, header @ ..] = prefix;
        let mut body = vec![0; u32::from_be_bytes([l0, l1, l2, l3]) as usize - 10];
        self.0.read_exact(&mut body).unwrap();
        (Header::decode(&header), body)
    }

    /// Selects as the active side does.
    pub fn select(&mut self) {
        self.send(Header::select_req(SystemBytes(1)), &[]);
        assert_eq!(self.receive().0, Header::select_rsp(SystemBytes(1)));
    }

    /// Answers the Select.req of an active side.
    pub fn be_selected(&mut self) {
        let (request, _) = self.receive();
        assert_eq!(request, Header::select_req(request.system));
        self.send(Header::select_rsp(request.system), &[]);
    }

    /// The other side has closed, and sent nothing before.
    pub fn expect_close(&mut self) {
        match self.0.read(&mut [0; 1]) {
            Ok(0) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            other => panic!("{other:?} instead of a close"),
        }
    }
}

pub fn primary(system: u32, stream_function: StreamFunction) -> Header {
    Header::data(SystemBytes(system), stream_function, true, DEVICE.session())
}
