//! Passive equipment for bare metal: hsms-core over smoltcp in a super-loop, no executor, no allocation. Firmware takes
//! all above `main`, which runs it in virtual time against a host of raw frames over a loopback device.
use hsms_core::connection::{Action, Connection, Event, Inbound, MAX_CONTROL_FRAME, ReplyToken, State};
use hsms_core::{Config, Error, config::DeviceId, time::Instant, wire::Message};
use smoltcp::{iface, phy, socket::tcp, time, wire};

pub(crate) const DEVICE: DeviceId = DeviceId::new(7).unwrap();
pub(crate) const PORT: u16 = 5000;
pub(crate) const PATIENCE: core::time::Duration = core::time::Duration::from_secs(5); // With a socket that is stuck.
pub(crate) const ROOM: usize = 3 * MAX_CONTROL_FRAME; // Of the send buffer, for frames alone. Texts need 15 more.
const S1F2: &[u8] = b"\x01\x02\x41\x04HSMS\x41\x031.0"; // L[2] A"HSMS" A"1.0"
const S1F14: &[u8] = b"\x01\x02\x21\x01\x00\x01\x02\x41\x04HSMS\x41\x031.0"; // L[2] B[1] 0 and that list

pub(crate) struct Equipment<L: FnMut(Instant, Action)> {
    pub(crate) connection: Connection<1>,
    text: &'static [u8],    // What is left to write of the open text.
    limit: Option<Instant>, // By when the socket has to take more of it, or has to be closed.
    wanted: bool,
    log: L,
}

impl<L: FnMut(Instant, Action)> Equipment<L> {
    pub(crate) const fn new(connection: Connection<1>, log: L) -> Self {
        Equipment { connection, text: &[], limit: None, wanted: false, log }
    }

    /// One round, after the stack was polled. Gives when the next is due, unless the stack has something before.
    pub(crate) fn step(&mut self, now: Instant, socket: &mut tcp::Socket<'_>) -> Result<Option<Instant>, Error> {
        let mut primary: Option<ReplyToken> = None;
        self.limit = self.limit.filter(|_| socket.is_open()); // What was closed or aborted is gone by now.
        loop {
            // Do what the machine wants, then tell it one thing, until there is nothing to tell.
            while let Some(action) = self.connection.poll_action() {
                (self.log)(now, action);
                match action {
                    Action::OpenTransport => self.wanted = true,
                    Action::Send(frame) => {
                        let taken = socket.send_slice(&frame.encode()).unwrap_or(0);
                        self.connection.written(now, taken as u64)?;
                        if taken < frame.len() {
                            socket.abort(); // It is full of frames that the peer does not take.
                        }
                    }
                    Action::CloseTransport(_) => {
                        socket.close(); // After what it has taken.
                        (self.wanted, self.limit) = (false, Some(now.saturating_add(PATIENCE)));
                    }
                    Action::Notify(_) => {}
                }
            }
            let (connected, writing) = (self.connection.state() != State::NotConnected, self.connection.is_body_open());
            let room = (socket.send_capacity() - socket.send_queue()).saturating_sub(ROOM);
            if self.wanted && self.limit.is_none() && socket.listen(PORT).is_err() && socket.may_send() {
                self.wanted = false; // It does not listen any more, and the handshake is over.
                self.connection.handle(now, Event::TransportOpen)?;
            } else if writing && self.text.is_empty() {
                self.limit = None;
                self.connection.end_body(now)?;
            } else if writing && room > 0 && socket.may_send() {
                let taken = socket.send_slice(&self.text[..room.min(self.text.len())]).unwrap_or(0);
                self.connection.written(now, taken as u64)?;
                (self.text, self.limit) = (&self.text[taken..], Some(now.saturating_add(PATIENCE)));
            } else if let Some(to) = primary.take() {
                let (prefix, text) = match (to.primary().stream, to.primary().function) {
                    (1, 1) => (self.connection.begin_reply(now, &to, S1F2.len() as u32)?, S1F2),
                    (1, 13) => (self.connection.begin_reply(now, &to, S1F14.len() as u32)?, S1F14),
                    _ => (self.connection.begin_abort(now, &to)?, &[][..]),
                };
                self.connection.written(now, socket.send_slice(&prefix).unwrap_or(0) as u64)?;
                self.text = text;
            } else if connected && !writing && room > hsms_core::wire::PREFIX_LEN && socket.can_recv() {
                let (taken, inbound) = self.connection.receive(now, socket.peek(usize::MAX).unwrap_or_default())?;
                primary = inbound.filter(Inbound::last).and_then(|message| message.reply_token());
                let _ = socket.recv(|_| (taken, ()));
            } else if connected && !(socket.may_recv() && socket.may_send()) {
                self.connection.handle(now, Event::TransportClosed)?;
            } else if self.connection.next_deadline().is_some_and(|deadline| deadline <= now) {
                self.connection.handle(now, Event::Timeout)?;
            } else if self.limit.is_some_and(|limit| limit <= now) && socket.is_open() {
                socket.abort();
            } else {
                break;
            }
        }
        socket.set_timeout((self.wanted && self.limit.is_none()).then_some(PATIENCE.into())); // It ends idle links.
        let limit = self.limit.map(|limit| if socket.is_open() { limit } else { now });
        Ok(self.connection.next_deadline().into_iter().chain(limit).min())
    }
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    const SCRIPT: &[u8] = b"\0\0\0\x0a\xff\xff\0\0\0\x01\0\0\0\x01\0\0\0\x0c\0\x07\x81\x0d\0\0\0\0\0\x02\x01\0\
        \0\0\0\x0a\0\x07\x81\x01\0\0\0\0\0\x03"; // Select.req, S1F13, S1F1; and no answer to linktests.
    let (mut at, mut script, mut heard) = (time::Instant::ZERO, SCRIPT, 0);
    let (home, mut device) = (wire::IpAddress::v4(127, 0, 0, 1), phy::Loopback::new(phy::Medium::Ip));
    let mut iface = iface::Interface::new(iface::Config::new(wire::HardwareAddress::Ip), &mut device, at);
    iface.update_ip_addrs(|addresses| addresses.push(wire::IpCidr::new(home, 8)).unwrap_or_default());
    let (buffer, mut sockets) = (|| tcp::SocketBuffer::new(vec![0; 512]), iface::SocketSet::new(vec![]));
    let [ours, host] = [0, 1].map(|_| sockets.add(tcp::Socket::new(buffer(), buffer())));
    let mut connection = Connection::new(Config::equipment(DEVICE));
    connection.enable(Instant::EPOCH)?;
    let mut equipment = Equipment::new(connection, |at, action| println!("{:6} ms  {action}", at.as_millis()));
    for _ in 0..25 {
        while iface.poll(at, &mut device, &mut sockets) != iface::PollResult::None {}
        let due = equipment.step(Instant::from_millis(at.total_millis() as u64), sockets.get_mut(ours))?;
        let socket = sockets.get_mut::<tcp::Socket<'_>>(host);
        if socket.connect(iface.context(), (home, PORT), 49_152).is_ok() {
            script = SCRIPT;
        }
        script = &script[socket.send_slice(script).unwrap_or(0)..];
        while let Ok((message, _)) = Message::parse(socket.peek(usize::MAX).unwrap_or_default()) {
            println!("{:6} ms  the host got {message:?}", at.total_millis());
            let taken = message.encoded_len().unwrap_or_default();
            heard += socket.recv(|_| (taken, taken))?;
        }
        let due = due.map(|due| time::Instant::from_millis(due.as_millis() as i64));
        at = at.max(iface.poll_at(at, &sockets).into_iter().chain(due).min().unwrap_or(at));
    }
    if heard >= 2 * 87 { Ok(()) } else { Err("the host did not get all answers and a linktest, twice".into()) }
}
