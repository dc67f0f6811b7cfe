//! A scripted caller, and what all tests share.

use hsms_std::core::wire::{PREFIX_LEN, SType, SessionId};
use hsms_std::manager::{Delegate, Event, Expected, Peer, PeerSettings, Received};
use hsms_std::{CloseReason, Config, DeviceId, Header, StreamFunction, SystemBytes};
use socket2::{Domain, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// No test comes near it where things work.
pub const LIMIT: Duration = Duration::from_secs(60);
/// How much longer something with a bound may take on a machine that is busy: less than the ten seconds of the next bound behind it.
pub const SLACK: Duration = Duration::from_secs(8);
pub const DEVICE: DeviceId = DeviceId::new(0).unwrap();
pub const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
pub const S1F1: StreamFunction = StreamFunction::new(1, 1);
pub const S1F2: StreamFunction = StreamFunction::new(1, 2);

/// A peer's end of a connection, octet by octet.
pub struct Caller {
    pub stream: TcpStream,
    next: u32,
}

impl Caller {
    pub fn call(from: Ipv4Addr, to: SocketAddr) -> Self {
        Caller::connect(bound(from), to)
    }

    pub fn connect(socket: Socket, to: SocketAddr) -> Self {
        socket.connect(&to.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        Caller { stream, next: 1 }
    }

    /// Calls, and is selected.
    pub fn selected(from: Ipv4Addr, to: SocketAddr) -> Self {
        let mut caller = Caller::call(from, to);
        assert_eq!(caller.select(), 0, "the status of Select.rsp");
        caller
    }

    pub fn system(&mut self) -> SystemBytes {
        self.next += 1;
        SystemBytes(self.next)
    }

    pub fn write(&mut self, header: &Header, body: &[u8]) {
        let prefix = header.encode_prefix(u32::try_from(body.len()).unwrap()).unwrap();
        self.stream.write_all(&[&prefix, body].concat()).unwrap();
    }

    pub fn primary(&mut self, stream_function: StreamFunction, reply_expected: bool, body: &[u8]) -> SystemBytes {
        let system = self.system();
        self.write(&Header::data(system, stream_function, reply_expected, DEVICE.session()), body);
        system
    }

    /// The same to this device.
    pub fn primary_to(
        &mut self,
        device: u16,
        stream_function: StreamFunction,
        reply_expected: bool,
        body: &[u8],
    ) -> SystemBytes {
        let system = self.system();
        self.write(&Header::data(system, stream_function, reply_expected, SessionId(device)), body);
        system
    }

    /// Answers who has dialled it, and is selected.
    pub fn dialled(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        let mut caller = Caller { stream, next: 1 };
        let (request, _) = caller.read().unwrap();
        assert_eq!(request.stype, SType::SELECT_REQ);
        caller.write(&Header::select_rsp(request.system), &[]);
        caller
    }

    /// Sends Select.req. Gives the status of the response.
    pub fn select(&mut self) -> u8 {
        self.select_session(SessionId::CONTROL)
    }

    /// The same for this session.
    pub fn select_session(&mut self, session: SessionId) -> u8 {
        let system = self.system();
        self.write(&Header::select_req(system).with_session(session), &[]);
        let (header, _) = self.read().unwrap();
        assert_eq!((header.stype, header.system), (SType::SELECT_RSP, system));
        header.byte3
    }

    pub fn linktest(&mut self) {
        let system = self.system();
        self.write(&Header::linktest_req(system), &[]);
        let (header, _) = self.read().unwrap();
        assert_eq!((header.stype, header.system), (SType::LINKTEST_RSP, system));
    }

    pub fn read(&mut self) -> io::Result<(Header, Vec<u8>)> {
        let mut prefix = [0; PREFIX_LEN];
        self.stream.read_exact(&mut prefix)?;
        let [a, b, c, d, header @ ..] = prefix;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let mut body = vec![0; length - header.len()];
        self.stream.read_exact(&mut body)?;
        Ok((Header::decode(&header), body))
    }

    /// The other end closes, and sends nothing before.
    pub fn expect_end(&mut self) {
        let mut octets = Vec::new();
        match self.stream.read_to_end(&mut octets) {
            Ok(0) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            other => panic!("{other:?}, {octets:02x?}"),
        }
    }

    /// A reply to what was read.
    pub fn answer(&mut self, primary: &Header, body: &[u8]) {
        let stream_function = primary.stream_function();
        let reply = StreamFunction::new(stream_function.stream, stream_function.function + 1);
        self.write(&Header::data(primary.system, reply, false, SessionId(primary.session.0)), body);
    }
}

/// A host that never answers who dials it: its queue has one place, which is taken.
pub struct Silent {
    listener: Socket,
    pub address: SocketAddr,
    waiting: Vec<TcpStream>,
}

impl Silent {
    pub fn listen() -> Self {
        let listener = bound(Ipv4Addr::LOCALHOST);
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            waiting.push(stream);
        }
        Silent { listener, address, waiting }
    }

    /// Takes those who have been waiting, so that the next one is answered.
    pub fn awake(&mut self) {
        for stream in self.waiting.drain(..) {
            let caller = self.listener.accept().unwrap().1.as_socket();
            assert_eq!(caller, Some(stream.local_addr().unwrap()));
        }
    }

    /// The next one who dials; `None` where nobody does within `limit`.
    pub fn accept(&self, limit: Duration) -> Option<TcpStream> {
        self.listener.set_read_timeout(Some(limit)).unwrap();
        match self.listener.accept() {
            Ok((socket, _)) => Some(socket.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A socket that will call from a port of this address.
pub fn bound(from: Ipv4Addr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket
}

/// The settings of a tool that calls from `from`.
pub fn tool(listen: SocketAddr, from: Ipv4Addr) -> PeerSettings {
    // The callers would have to answer.
    let config = Config::equipment(DEVICE).with_linktest_period(Duration::ZERO).unwrap();
    PeerSettings::passive(listen, Expected::Address(from.into()), config)
}

/// Answers every primary with its own text.
pub struct Echo;

impl Delegate for Echo {
    fn received(&self, peer: &Peer, message: Received) {
        if let Some(token) = message.token {
            drop(peer.reply(token, message.body));
        }
    }
}

/// What a [`Recorder`] has been told.
#[derive(Debug)]
pub enum Call {
    Established,
    Received(Received),
    BeforeClosed,
    Closed(CloseReason),
    Event(Event),
}

/// Passes on what it is told.
pub struct Recorder(Mutex<Sender<Call>>);

impl Recorder {
    pub fn new() -> (Self, Receiver<Call>) {
        let (sender, receiver) = channel();
        (Recorder(Mutex::new(sender)), receiver)
    }

    fn tell(&self, call: Call) {
        // The test may be over.
        let _ = self.0.lock().unwrap().send(call);
    }
}

impl Delegate for Recorder {
    fn established(&self, _: &Peer) {
        self.tell(Call::Established);
    }

    fn received(&self, _: &Peer, message: Received) {
        self.tell(Call::Received(message));
    }

    fn before_closed(&self, _: &Peer) {
        self.tell(Call::BeforeClosed);
    }

    fn closed(&self, _: &Peer, reason: CloseReason, _: Option<io::Error>) {
        self.tell(Call::Closed(reason));
    }

    fn event(&self, _: &Peer, event: Event) {
        self.tell(Call::Event(event));
    }
}
