//! The other end of a socket, which keeps every octet that it reads and writes; and a file that can be looked at while it is written.

use hsms_core::wire::{Header, Message, PREFIX_LEN, SType, SessionId, StreamFunction, SystemBytes};
use hsms_std::faults::Pipe;
use hsms_std::transport::Transport;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// No test comes near it where things work.
pub const LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub struct SharedFile {
    octets: Arc<Mutex<Vec<u8>>>,
    pub created: SystemTime,
}

impl Default for SharedFile {
    fn default() -> Self {
        SharedFile { octets: Arc::default(), created: SystemTime::now() }
    }
}

impl SharedFile {
    pub fn octets(&self) -> Vec<u8> {
        self.octets.lock().unwrap().clone()
    }
}

impl Write for SharedFile {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.octets.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub struct FarEnd {
    stream: Option<TcpStream>,
    /// Its own address: our remote one.
    pub remote: SocketAddr,
    /// The system bytes of what it asks for follow these.
    pub next: u32,
    pub read: Vec<u8>,
    pub written: Vec<u8>,
}

/// The whole messages that octets begin with.
pub fn messages(mut octets: &[u8]) -> Vec<(Header, Vec<u8>)> {
    let mut messages = Vec::new();
    while let Ok((message, rest)) = Message::parse(octets) {
        messages.push((message.header, message.body.to_vec()));
        octets = rest;
    }
    messages
}

impl FarEnd {
    fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        let remote = stream.local_addr().unwrap();
        FarEnd { stream: Some(stream), remote, next: 1_000, read: Vec::new(), written: Vec::new() }
    }

    pub fn call(to: SocketAddr) -> Self {
        FarEnd::over(TcpStream::connect(to).unwrap())
    }

    pub fn accept(listener: &TcpListener) -> Self {
        FarEnd::over(listener.accept().unwrap().0)
    }

    /// What is in a pipe.
    pub fn of_pipe(pipe: &mut Pipe, port: u16) -> Self {
        let mut octets = [0; 1_024];
        let read = pipe.read(&mut octets, LIMIT).unwrap();
        let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        FarEnd { stream: None, remote, next: 0, read: octets[..read].to_vec(), written: Vec::new() }
    }

    fn stream(&mut self) -> &mut TcpStream {
        self.stream.as_mut().unwrap()
    }

    pub fn system(&mut self) -> SystemBytes {
        self.next += 1;
        SystemBytes(self.next)
    }

    fn put(&mut self, octets: &[u8]) {
        self.stream().write_all(octets).unwrap();
        self.written.extend_from_slice(octets);
    }

    pub fn write(&mut self, header: &Header, body: &[u8]) {
        let prefix = header.encode_prefix(u32::try_from(body.len()).unwrap()).unwrap();
        self.put(&[&prefix, body].concat());
    }

    pub fn read(&mut self) -> (Header, Vec<u8>) {
        let mut prefix = [0; PREFIX_LEN];
        self.stream().read_exact(&mut prefix).unwrap();
        self.read.extend_from_slice(&prefix);
        let [a, b, c, d, header @ ..] = prefix;
        let mut body = vec![0; u32::from_be_bytes([a, b, c, d]) as usize - header.len()];
        self.stream().read_exact(&mut body).unwrap();
        self.read.extend_from_slice(&body);
        (Header::decode(&header), body)
    }

    /// Sends a control request and reads the response.
    pub fn control(&mut self, request: fn(SystemBytes) -> Header, response: SType) {
        let system = self.system();
        self.write(&request(system), &[]);
        let (header, _) = self.read();
        assert_eq!((header.stype, header.system, header.byte3), (response, system, 0));
    }

    pub fn primary(&mut self, stream_function: StreamFunction, reply_expected: bool, body: &[u8]) -> SystemBytes {
        let system = self.system();
        self.write(&Header::data(system, stream_function, reply_expected, SessionId(7)), body);
        system
    }

    /// The same, with something happening in the middle of its text.
    pub fn primary_by_halves(
        &mut self,
        stream_function: StreamFunction,
        body: &[u8],
        between: impl FnOnce(),
    ) -> SystemBytes {
        let system = self.system();
        let header = Header::data(system, stream_function, true, SessionId(7));
        let prefix = header.encode_prefix(u32::try_from(body.len()).unwrap()).unwrap();
        let (half, rest) = body.split_at(body.len() / 2);
        self.put(&[&prefix, half].concat());
        between();
        self.put(rest);
        system
    }

    pub fn half_a_primary(&mut self, stream_function: StreamFunction, body: &[u8]) {
        let header = Header::data(self.system(), stream_function, false, SessionId(7));
        let prefix = header.encode_prefix(u32::try_from(2 * body.len()).unwrap()).unwrap();
        self.put(&[&prefix, body].concat());
    }

    /// Says that nothing follows, and reads what is left.
    pub fn end(&mut self) {
        self.stream().shutdown(Shutdown::Write).unwrap();
        self.until_end();
    }

    /// Reads what comes until the other end closes.
    pub fn until_end(&mut self) {
        let mut left = Vec::new();
        match self.stream().read_to_end(&mut left) {
            Ok(_) => self.read.extend_from_slice(&left),
            Err(error) => panic!("{error}"),
        }
    }
}
