//! What a manager is set beside: as many connections to the same tools, each with the octets of one request on the way, on one
//! event loop that knows neither messages nor timers.

use super::common::{FRAME, LIMIT, Outcome, request};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// One connection: how much of the reply has come.
struct Plain {
    stream: TcpStream,
    come: usize,
}

/// Connections that are kept from round to round.
pub(crate) struct Plains {
    poll: Poll,
    connections: Vec<Plain>,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl Plains {
    pub(crate) fn connect(addresses: &[SocketAddr], many: usize) -> Outcome<Self> {
        let poll = Poll::new()?;
        let mut connections = Vec::new();
        for (number, address) in addresses.iter().cycle().take(many).enumerate() {
            let stream = std::net::TcpStream::connect_timeout(address, LIMIT)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
            connections.push(Plain { stream, come: 0 });
        }
        let request = request()?;
        let mut reply = request.clone();
        // W is gone, and the function is the next.
        reply[6] &= 0x7F;
        reply[7] += 1;
        Ok(Plains { poll, connections, request, reply })
    }

    /// Requests that were answered in a second.
    pub(crate) fn rate(&mut self, warm_up: Duration, span: Duration) -> Outcome<f64> {
        for plain in &mut self.connections {
            plain.ask(&self.request)?;
        }
        let (begun, mut buffer) = (Instant::now(), vec![0; 1 << 16]);
        let mut events = Events::with_capacity(4_096);
        let (mut answered, mut counted_from) = (0_u64, None);
        loop {
            self.poll.poll(&mut events, Some(LIMIT))?;
            if events.is_empty() {
                return Err("no tool answers".into());
            }
            for event in &events {
                answered += self.connections[event.token().0].go_on(&mut buffer, &self.request, &self.reply)?;
            }
            match counted_from {
                None if begun.elapsed() >= warm_up => counted_from = Some((Instant::now(), answered)),
                Some((since, before)) if since.elapsed() >= span => {
                    let rate = (answered - before) as f64 / since.elapsed().as_secs_f64();
                    self.wait_for_the_rest(&mut buffer)?;
                    return Ok(rate);
                }
                _ => {}
            }
        }
    }

    /// What was asked last of each.
    fn wait_for_the_rest(&mut self, buffer: &mut [u8]) -> Outcome<()> {
        for plain in &mut self.connections {
            let end = Instant::now() + LIMIT;
            while plain.come < FRAME {
                match plain.stream.read(buffer) {
                    Ok(0) => return Err("a tool has hung up".into()),
                    Ok(octets) => plain.come += octets,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < end => {
                        std::thread::yield_now();
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            plain.come = 0;
        }
        Ok(())
    }
}

impl Plain {
    fn ask(&mut self, request: &[u8]) -> Outcome<()> {
        self.come = 0;
        // There is room for it: all that was sent before has been answered.
        Ok(self.stream.write_all(request)?)
    }

    /// Whether a reply has come: 1 where it has. Then the next is asked for.
    fn go_on(&mut self, buffer: &mut [u8], request: &[u8], reply: &[u8]) -> Outcome<u64> {
        let mut answered = 0;
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err("a tool has hung up".into()),
                Ok(octets) => {
                    if reply.get(self.come..self.come + octets) != buffer.get(..octets) {
                        return Err("a tool answers something else".into());
                    }
                    self.come += octets;
                    if self.come == FRAME {
                        self.ask(request)?;
                        answered += 1;
                        // There is no more: nothing else has been asked for.
                        return Ok(answered);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(answered),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
