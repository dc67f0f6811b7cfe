//! The other process: tools that know just enough of HSMS to be selected, tested and asked.
//!
//! It says where it listens, eight addresses in a line, and takes orders by the line, each of which is answered by one: `cut` cuts all
//! connections, and tells their number; `ask` has every tool send a primary; `test` has every tool send Linktest.req at once, and tells
//! when all are answered what half of them, 99 of 100 and the last one waited, in microseconds. It ends with its input.

use super::common::{Outcome, request};
use super::usage::raise_descriptors;
use hsms_std::core::wire::{Header, Kind};
use hsms_std::{StreamFunction, SystemBytes};
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use socket2::{Domain, Socket, Type};
use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

/// Addresses that it listens on: connections from one to another are told apart by no more than the caller's port, of which there
/// are 28,000.
const ADDRESSES: u8 = 8;

/// So many callers wait for each at most, as far as the system allows.
const BACKLOG: i32 = 4_096;

/// Of every poll; listeners have the tokens below.
const ORDERS: Token = Token(ADDRESSES as usize);
const FIRST_TOOL: usize = ORDERS.0 + 1;

/// The process, from the other side. It ends when this is dropped.
pub(crate) struct Tools {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// Where its tools are.
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Tools {
    /// Starts it.
    pub(crate) fn start() -> Outcome<Self> {
        let mut child =
            Command::new(env::current_exe()?).arg("--tools").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the tools cannot be talked to".into());
        };
        let mut tools = Tools { child, orders: Some(orders), answers: BufReader::new(answers), addresses: Vec::new() };
        let told = tools.answer()?;
        tools.addresses = told.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        Ok(tools)
    }

    /// Has it cut all connections: gives their number.
    pub(crate) fn cut(&mut self) -> Outcome<usize> {
        Ok(self.order("cut")?.trim().parse()?)
    }

    /// Has every tool send a primary: gives their number.
    pub(crate) fn ask(&mut self) -> Outcome<usize> {
        Ok(self.order("ask")?.trim().parse()?)
    }

    /// Has every tool send Linktest.req at the same time: gives what half of them, 99 of 100 and the last one waited for the answer, in
    /// microseconds.
    pub(crate) fn test(&mut self) -> Outcome<[u64; 3]> {
        let waits: Vec<u64> = self.order("test")?.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        waits.try_into().map_err(|_| "the tools tell something else".into())
    }

    fn order(&mut self, order: &str) -> Outcome<String> {
        if let Some(orders) = &mut self.orders {
            writeln!(orders, "{order}")?;
        }
        self.answer()
    }

    fn answer(&mut self) -> Outcome<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err("the tools have ended".into());
        }
        Ok(line)
    }
}

impl Drop for Tools {
    fn drop(&mut self) {
        self.orders = None;
        // What became of it makes no difference any more.
        let _ = self.child.wait();
    }
}

/// What the process does.
pub(crate) fn run() -> Outcome<()> {
    raise_descriptors()?;
    let mut poll = Poll::new()?;
    let mut listeners = Vec::new();
    for (place, last) in (1..=ADDRESSES).enumerate() {
        let mut listener = listen(Ipv4Addr::new(127, 0, 0, last))?;
        poll.registry().register(&mut listener, Token(place), Interest::READABLE)?;
        listeners.push(listener);
    }
    let addresses: Vec<String> = listeners
        .iter()
        .map(|listener| listener.local_addr().map(|address| address.to_string()))
        .collect::<Result<_, _>>()?;
    println!("{}", addresses.join(" "));
    let orders = take_orders(Waker::new(poll.registry(), ORDERS)?)?;
    let mut floor = Floor::default();
    let mut events = Events::with_capacity(4_096);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            match event.token() {
                ORDERS => {
                    while let Ok(order) = orders.try_recv() {
                        floor.order(&order)?;
                    }
                }
                Token(place) => match listeners.get(place) {
                    Some(listener) => floor.admit(listener, poll.registry())?,
                    None => floor.serve(place, event)?,
                },
            }
        }
    }
}

fn listen(address: Ipv4Addr) -> Outcome<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((address, 0)).into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Lines of the input, which wake the loop. The end of the input ends the process.
fn take_orders(waker: Waker) -> Outcome<Receiver<String>> {
    let (orders, taken) = channel();
    thread::Builder::new().name("orders".to_owned()).spawn(move || {
        for line in io::stdin().lines() {
            let Ok(line) = line else { break };
            if orders.send(line).is_err() || waker.wake().is_err() {
                break;
            }
        }
        std::process::exit(0);
    })?;
    Ok(taken)
}

/// All tools that are connected.
#[derive(Default)]
struct Floor {
    tools: Vec<Option<Tool>>,
    free: Vec<usize>,
    read: Box<[u8]>,
    /// Linktests whose answers have not come.
    tested: usize,
    waits: Vec<u64>,
}

struct Tool {
    stream: TcpStream,
    /// The beginning of a message whose end has not come.
    begun: Vec<u8>,
    /// What the peer has not taken.
    owed: Vec<u8>,
    /// When it sent Linktest.req.
    tested: Option<Instant>,
}

impl Floor {
    fn admit(&mut self, listener: &TcpListener, registry: &Registry) -> Outcome<()> {
        loop {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // One that went away before it was taken.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error.into()),
            };
            stream.set_nodelay(true)?;
            let place = self.free.pop().unwrap_or(self.tools.len());
            registry.register(&mut stream, Token(FIRST_TOOL + place), Interest::READABLE | Interest::WRITABLE)?;
            let tool = Some(Tool { stream, begun: Vec::new(), owed: Vec::new(), tested: None });
            match self.tools.get_mut(place) {
                Some(there) => *there = tool,
                None => self.tools.push(tool),
            }
        }
    }

    fn serve(&mut self, token: usize, event: &Event) -> Outcome<()> {
        self.read.is_empty().then(|| self.read = vec![0; 1 << 16].into());
        let place = token - FIRST_TOOL;
        let Some(Some(tool)) = self.tools.get_mut(place) else { return Ok(()) };
        let mut tested = false;
        let goes_on = (!event.is_readable() || tool.read(&mut self.read, &mut tested)) && tool.write();
        if let Some(since) = tool.tested.take_if(|_| tested) {
            self.waits.push(u64::try_from(since.elapsed().as_micros())?);
            self.tested -= 1;
            if self.tested == 0 {
                self.waits.sort_unstable();
                let place = |share: usize| self.waits[(self.waits.len() * share / 100).min(self.waits.len() - 1)];
                println!("{} {} {}", place(50), place(99), place(100));
            }
        }
        if !goes_on {
            self.tools[place] = None;
            self.free.push(place);
        }
        Ok(())
    }

    fn order(&mut self, order: &str) -> Outcome<()> {
        match order {
            "cut" => println!("{}", self.cut()),
            "ask" => {
                let request = request()?;
                println!("{}", self.say(&request));
            }
            "test" => {
                self.waits.clear();
                for tool in self.tools.iter_mut().flatten() {
                    tool.tested = Some(Instant::now());
                    tool.owed.extend_from_slice(&Header::linktest_req(SystemBytes(2)).encode_alone());
                    tool.write();
                    self.tested += 1;
                }
            }
            other => return Err(format!("`{other}` is no order").into()),
        }
        Ok(())
    }

    /// Has all of them send this: gives their number.
    fn say(&mut self, octets: &[u8]) -> usize {
        for tool in self.tools.iter_mut().flatten() {
            tool.owed.extend_from_slice(octets);
            tool.write();
        }
        self.tools.iter().flatten().count()
    }

    /// Their number.
    fn cut(&mut self) -> usize {
        let cut = self.tools.iter().flatten().count();
        self.tools.clear();
        self.free.clear();
        cut
    }
}

impl Tool {
    /// Takes what has come. Whether the connection goes on; `tested`: a linktest has been answered.
    fn read(&mut self, buffer: &mut [u8], tested: &mut bool) -> bool {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return false,
                Ok(octets) if self.begun.is_empty() => {
                    let left = answer(&buffer[..octets], &mut self.owed, tested);
                    self.begun.extend_from_slice(left);
                }
                Ok(octets) => {
                    self.begun.extend_from_slice(&buffer[..octets]);
                    let left = answer(&self.begun, &mut self.owed, tested).len();
                    self.begun.drain(..self.begun.len() - left);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
        }
    }

    fn write(&mut self) -> bool {
        while !self.owed.is_empty() {
            match self.stream.write(&self.owed) {
                Ok(octets) => drop(self.owed.drain(..octets)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
        }
        true
    }
}

/// Answers all whole messages, and gives what is behind them.
fn answer<'o>(mut octets: &'o [u8], owed: &mut Vec<u8>, tested: &mut bool) -> &'o [u8] {
    while let Some((length, behind)) = octets.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (Some(message), Some(left)) = (behind.get(..length), behind.get(length..)) else { break };
        let Some((header, body)) = message.split_first_chunk::<10>() else { break };
        let header = Header::decode(header);
        match header.kind() {
            Ok(Kind::Data { stream_function: asked, reply_expected: true }) => {
                let function = StreamFunction::new(asked.stream, asked.function + 1);
                let reply = Header::data(header.system, function, false, header.session);
                // It is as long as what came.
                if let Ok(prefix) =
                    u32::try_from(body.len()).map_err(drop).and_then(|len| reply.encode_prefix(len).map_err(drop))
                {
                    owed.extend_from_slice(&prefix);
                    owed.extend_from_slice(body);
                }
            }
            Ok(Kind::SelectReq) => owed.extend_from_slice(&Header::select_rsp(header.system).encode_alone()),
            Ok(Kind::LinktestReq) => owed.extend_from_slice(&Header::linktest_rsp(header.system).encode_alone()),
            Ok(Kind::LinktestRsp) => *tested = true,
            // The other end closes after Separate.req, and nothing else comes.
            _ => {}
        }
        octets = left;
    }
    octets
}
