//! The two echoes that the adapter is measured against. Neither knows HSMS beyond its length field.

use std::hint;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::contender::{Case, Contender, Meter, Outcome, PREFIX, Serve, Wrong};

/// How much is asked for in one read, where a frame is not longer.
const READ: usize = 256 * 1024;

/// (a): both ends read as much as there is into a buffer that is used again, and write every
/// message alone.
///
/// A message is received whole before it is echoed, whatever its length. So for 16 MiB this is the
/// baseline of an end that hands over whole messages, and not of one that lets octets through.
pub(crate) struct Plain;

impl Contender for Plain {
    fn name(&self) -> &'static str {
        "(a) plain echo"
    }

    fn listen(&self, case: &Case) -> Outcome<(SocketAddr, Serve)> {
        let case = *case;
        listen(move |stream| echo_messages(stream, &case))
    }

    fn run(&self, to: SocketAddr, case: &Case, meter: &mut Meter) -> Outcome<u64> {
        let mut stream = connect(to)?;
        let mut frame = case.request()?;
        let mut inbox = Inbox::new(case);
        let (mut sent, mut received, mut go_on) = (0, 0, true);
        // Octets of the next message that the socket has taken already.
        let mut begun = 0;
        loop {
            while begun > 0 || (go_on && sent - received < case.window) {
                if begun == 0 {
                    frame[PREFIX - 4..PREFIX].copy_from_slice(&system_bytes(sent));
                    meter.sending(sent + 1);
                }
                begun += if sent == received {
                    // The peer owes nothing, so it is reading: waiting for it cannot block both
                    // ends.
                    stream.write_all(&frame[begun..])?;
                    frame.len() - begun
                } else {
                    push(&stream, &frame[begun..])?
                };
                if begun < frame.len() {
                    break;
                }
                (sent, begun) = (sent + 1, 0);
            }
            if sent == received && !go_on {
                return Ok(received);
            }
            if inbox.fill(&mut stream)? == 0 {
                return Err(closed_early(sent, received));
            }
            while let Some(range) = inbox.next_frame()? {
                let reply = &inbox.store[range];
                if reply[PREFIX - 4..PREFIX] != system_bytes(received) {
                    return Err(differs(received));
                }
                if meter.warming_up() && reply[PREFIX..] != frame[PREFIX..] {
                    return Err(differs(received));
                }
                received += 1;
            }
            go_on = meter.received(received)?;
        }
    }
}

/// (b): the octets of (a), but both ends read as much as there is and write as much as there is to
/// write, and the passive end does not look at what it echoes.
///
/// Where the ends have a core each, most of a round trip can be the time that a sleeping core takes
/// to wake, above all in a virtual machine. The rate is then the window over that time, which says
/// nothing about the octets carried. So there the ceiling asks again some times before it sleeps,
/// without giving way: the scheduler would let any busy process have the core for milliseconds. On
/// one core it sleeps at once, for asking again would only keep the other end waiting.
///
/// The echo that always sleeps at once is measured beside it, as (b'), because it waits as (a) does.
/// On one core the two are the same, and their ratio shows how exact the figures are.
pub(crate) struct Batched {
    name: &'static str,
    /// How often a read that finds nothing is repeated before the thread sleeps.
    polls: u32,
}

/// How often an end that spins asks for octets before it sleeps.
pub(crate) const POLLS: u32 = 1_000;

impl Batched {
    /// (b) where the ends have a core each.
    pub(crate) const SPINNING: Self = Self { name: "(b) ceiling", polls: POLLS };
    /// (b) where the ends share a core.
    pub(crate) const SHARING: Self = Self { name: "(b) ceiling", polls: 0 };
    /// (b') everywhere.
    pub(crate) const SLEEPING: Self = Self { name: "(b') sleeping", polls: 0 };
}

impl Contender for Batched {
    fn name(&self) -> &'static str {
        self.name
    }

    fn listen(&self, case: &Case) -> Outcome<(SocketAddr, Serve)> {
        let (case, polls) = (*case, self.polls);
        listen(move |stream| echo_octets(stream, &case, polls))
    }

    fn run(&self, to: SocketAddr, case: &Case, meter: &mut Meter) -> Outcome<u64> {
        let mut stream = connect(to)?;
        let outbox = Outbox::new(case)?;
        let mut input = vec![0; READ];
        let (frame, window) = (u64::try_from(case.frame())?, case.window);
        // In octets, unlike the counts of messages that the meter is told.
        let (mut sent, mut received, mut due) = (0, 0, 0);
        let mut go_on = true;
        loop {
            if go_on {
                due = (received / frame + window) * frame;
            }
            while sent < due {
                let octets = outbox.octets(sent, due - sent)?;
                meter.sending((sent + u64::try_from(octets.len())?).div_ceil(frame));
                let taken = push(&stream, octets)?;
                if taken == 0 {
                    break;
                }
                sent += u64::try_from(taken)?;
            }
            if sent == received && !go_on {
                return Ok(received / frame);
            }
            let got = pull(&mut stream, &mut input, self.polls)?;
            if got == 0 {
                return Err(closed_early(sent / frame, received / frame));
            }
            if meter.warming_up() && !outbox.matches(received, &input[..got])? {
                return Err(differs(received / frame));
            }
            received += u64::try_from(got)?;
            go_on = meter.received(received / frame)?;
        }
    }
}

/// The passive end of (a).
fn echo_messages(mut stream: TcpStream, case: &Case) -> Outcome<u64> {
    let mut inbox = Inbox::new(case);
    let mut answered = 0;
    while inbox.fill(&mut stream)? > 0 {
        while let Some(range) = inbox.next_frame()? {
            stream.write_all(&inbox.store[range])?;
            answered += 1;
        }
    }
    Ok(answered)
}

/// The passive end of (b).
fn echo_octets(mut stream: TcpStream, case: &Case, polls: u32) -> Outcome<u64> {
    let mut store = vec![0; READ];
    let mut octets = 0;
    loop {
        let got = pull(&mut stream, &mut store, polls)?;
        if got == 0 {
            return Ok(octets / u64::try_from(case.frame())?);
        }
        stream.write_all(&store[..got])?;
        octets += u64::try_from(got)?;
    }
}

/// Binds a free loopback port, for one connection that `serve` is given.
pub(crate) fn listen(serve: impl FnOnce(TcpStream) -> Outcome<u64> + Send + 'static) -> Outcome<(SocketAddr, Serve)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let accept = move || {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        serve(stream)
    };
    Ok((address, Box::new(accept)))
}

/// Connects as both baselines do.
pub(crate) fn connect(to: SocketAddr) -> Outcome<TcpStream> {
    let stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// One write that takes what the socket has room for, which may be nothing.
///
/// An active end that waited for room while the passive end waits for room as well would wait for
/// ever: with 64 messages of 64 KiB in flight the buffers of the sockets do not hold what both ends
/// have to write. So it reads where it would have to wait.
fn push(stream: &TcpStream, octets: &[u8]) -> Outcome<usize> {
    loop {
        match send(stream, octets, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(taken) => return Ok(taken),
            Err(Errno::INTR) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(error.into()),
        }
    }
}

/// One read that waits for something to read, at first without sleeping.
fn pull(stream: &mut TcpStream, into: &mut [u8], polls: u32) -> Outcome<usize> {
    for _ in 0..polls {
        match recv(&*stream, &mut *into, RecvFlags::DONTWAIT) {
            Ok((got, _)) => return Ok(got),
            Err(Errno::INTR) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => hint::spin_loop(),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(stream.read(into)?)
}

fn system_bytes(number: u64) -> [u8; 4] {
    let [_, _, _, _, low @ ..] = number.to_be_bytes();
    low
}

fn closed_early(sent: u64, received: u64) -> Box<dyn std::error::Error + Send + Sync> {
    Wrong(format!("the peer closed the connection after {received} replies to {sent} messages")).into()
}

fn differs(number: u64) -> Box<dyn std::error::Error + Send + Sync> {
    Wrong(format!("the reply to message {number} differs from what was sent")).into()
}

/// What has arrived, in a buffer that is used again; holds at least one whole frame.
struct Inbox {
    store: Vec<u8>,
    start: usize,
    end: usize,
}

impl Inbox {
    fn new(case: &Case) -> Self {
        Self { store: vec![0; READ.max(case.frame())], start: 0, end: 0 }
    }

    /// One read. Ranges given out before are no longer valid.
    fn fill(&mut self, stream: &mut TcpStream) -> Outcome<usize> {
        self.store.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let got = stream.read(&mut self.store[self.end..])?;
        self.end += got;
        Ok(got)
    }

    /// Where the next whole frame stands in the store.
    fn next_frame(&mut self) -> Outcome<Option<Range<usize>>> {
        let Some((length, _)) = self.store[self.start..self.end].split_first_chunk() else {
            return Ok(None);
        };
        let frame = usize::try_from(u32::from_be_bytes(*length))?.saturating_add(4);
        if frame < PREFIX || frame > self.store.len() {
            return Err(Wrong(format!("a frame of {frame} octets, where {} have room", self.store.len())).into());
        }
        if self.end - self.start < frame {
            return Ok(None);
        }
        let range = self.start..self.start + frame;
        self.start = range.end;
        Ok(Some(range))
    }
}

/// The endless row of messages that (b) sends, as one period of it, twice: so that most batches are
/// one slice.
struct Outbox {
    store: Vec<u8>,
    period: u64,
}

impl Outbox {
    fn new(case: &Case) -> Outcome<Self> {
        // Not the whole window where that would be more than one write should carry: it would only
        // push the octets out of the nearer caches, in which (a) has its one message.
        let messages = u64::try_from(READ / case.frame())?.clamp(1, case.window);
        let mut store = Vec::new();
        for number in 0..messages {
            let mut frame = case.request()?;
            frame[PREFIX - 4..PREFIX].copy_from_slice(&system_bytes(number));
            store.append(&mut frame);
        }
        let period = u64::try_from(store.len())?;
        if messages > 1 {
            store.extend_from_within(..);
        }
        Ok(Self { store, period })
    }

    /// What stands at `position` of the row: `wanted` octets, or fewer.
    fn octets(&self, position: u64, wanted: u64) -> Outcome<&[u8]> {
        let row = &self.store[usize::try_from(position % self.period)?..];
        let length = row.len().min(usize::try_from(wanted)?);
        Ok(&row[..length])
    }

    fn matches(&self, mut position: u64, mut octets: &[u8]) -> Outcome<bool> {
        while !octets.is_empty() {
            let expected = self.octets(position, u64::try_from(octets.len())?)?;
            let (head, tail) = octets.split_at(expected.len());
            if head != expected {
                return Ok(false);
            }
            position += u64::try_from(head.len())?;
            octets = tail;
        }
        Ok(true)
    }
}
