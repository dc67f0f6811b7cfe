//! One end of a connection that says what a test wants, octet by octet.

use super::rows::{DEVICE, LIMIT};
use hsms_core::services::{ServiceId, ServiceMessage, Status};
use hsms_core::wire::{Header, SType, StreamFunction, SystemBytes};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

pub struct Raw {
    pub stream: TcpStream,
    next: u32,
}

impl Raw {
    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        Raw { stream, next: 1 }
    }

    /// Calls equipment and becomes SELECTED. The system keeps little of what comes.
    pub fn host(address: SocketAddr) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4 * 1024).unwrap();
        socket.connect(&address.into()).unwrap();
        let mut raw = Raw::new(socket.into());
        raw.write(&Header::select_req(SystemBytes(0xffff)), &[]);
        assert_eq!(raw.read().0.stype, SType::SELECT_RSP);
        raw
    }

    /// Waits for a host and lets it become SELECTED.
    pub fn tool(listener: &TcpListener) -> Self {
        let socket = socket2::SockRef::from(listener);
        socket.set_recv_buffer_size(4 * 1024).unwrap();
        let mut raw = Raw::new(listener.accept().unwrap().0);
        let (select, _) = raw.read();
        assert_eq!(select.stype, SType::SELECT_REQ);
        raw.write(&Header::select_rsp(select.system), &[]);
        raw
    }

    pub fn write(&mut self, header: &Header, text: &[u8]) {
        self.stream.write_all(&octets(header, text)).unwrap();
    }

    pub fn read(&mut self) -> (Header, Vec<u8>) {
        self.try_read().unwrap()
    }

    pub fn try_read(&mut self) -> io::Result<(Header, Vec<u8>)> {
        let (header, length) = self.read_header()?;
        let mut text = vec![0; length];
        self.stream.read_exact(&mut text)?;
        Ok((header, text))
    }

    /// The header alone, and the length of the text.
    pub fn read_header(&mut self) -> io::Result<(Header, usize)> {
        let mut prefix = [0; 14];
        self.stream.read_exact(&mut prefix)?;
        let [a, b, c, d, header @ ..] = prefix;
        Ok((Header::decode(&header), u32::from_be_bytes([a, b, c, d]) as usize - 10))
    }

    /// The next message, which has this stream and function.
    pub fn read_is(&mut self, stream: u8, function: u8) -> (Header, Vec<u8>) {
        let (header, text) = self.read();
        assert_eq!(header.stream_function(), StreamFunction::new(stream, function), "{header}");
        (header, text)
    }

    pub fn reply(&mut self, to: &Header, function: u8, text: &[u8]) {
        let what = StreamFunction::new(to.stream(), function);
        self.write(&Header::data(to.system, what, false, to.session), text);
    }

    /// Sends a service request; gives its system bytes.
    pub fn ask(&mut self, service: ServiceId, data_id: u32) -> SystemBytes {
        let (header, text) = self.request(service, data_id);
        self.write(&header, &text);
        header.system
    }

    pub fn request(&mut self, service: ServiceId, data_id: u32) -> (Header, Vec<u8>) {
        self.next += 1;
        let what = StreamFunction::new(64, service.function());
        let header = Header::data(SystemBytes(self.next), what, true, DEVICE.session());
        (header, super::kit::service_text(data_id, Status::OKAY, None))
    }
}

pub fn octets(header: &Header, text: &[u8]) -> Vec<u8> {
    [&header.encode_prefix(u32::try_from(text.len()).unwrap()).unwrap(), text].concat()
}

/// The status of the response to a service request; 0 of an abort has none.
pub fn status_of(header: &Header, text: &[u8]) -> Option<Status> {
    let service = ServiceId::from_function(header.function())?;
    Some(ServiceMessage::read(service, text).unwrap().status())
}
