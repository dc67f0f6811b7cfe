//! The loop of `examples/superloop.rs` over a loopback device, against a host made of another machine, in virtual time.

#[path = "../examples/superloop.rs"]
mod superloop;

use hsms_core::collect::Collector;
use hsms_core::config::Config;
use hsms_core::connection::{Action, CloseReason, Connection, ControlRequest, Event, Notice, State};
use hsms_core::time::Instant;
use hsms_core::wire::{Kind, StreamFunction, SystemBytes};
use smoltcp::iface::{self, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::phy::{FaultInjector, Loopback, Medium};
use smoltcp::socket::tcp::{self, Socket, SocketBuffer};
use smoltcp::time;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use superloop::{DEVICE, Equipment, PATIENCE, PORT, ROOM};

const S1F1: StreamFunction = StreamFunction::new(1, 1);
const S1F13: StreamFunction = StreamFunction::new(1, 13);
/// What the equipment has to answer, item by item.
const S1F2_TEXT: &[u8] = &[1, 2, 0x41, 4, b'H', b'S', b'M', b'S', 0x41, 3, b'1', b'.', b'0'];
const S1F14_TEXT: &[u8] = &[1, 2, 0x21, 1, 0, 1, 2, 0x41, 4, b'H', b'S', b'M', b'S', 0x41, 3, b'1', b'.', b'0'];

const HOME: IpAddress = IpAddress::v4(127, 0, 0, 1);
const LINKTEST_PERIOD: u64 = 30_000;
const T6: u64 = 5_000;
/// Rounds at one moment, before the loop counts as spinning.
const MOST_ROUNDS: usize = 300;

type Log = Rc<RefCell<Vec<(u64, Action)>>>;

/// A reply that the host got.
type Reply = (SystemBytes, StreamFunction, Vec<u8>);

/// The host: a machine, and the least adapter. It keeps its output in memory of its own, without limit.
struct Host {
    socket: SocketHandle,
    connection: Connection<64>,
    collector: Collector<Vec<u8>>,
    out: Vec<u8>,
    receive_buffer: usize,
    dial: bool,
    dialling: bool,
    reads: bool,
    told: Vec<Action>,
    replies: Vec<Reply>,
}

impl Host {
    fn step(&mut self, now: Instant, socket: &mut Socket<'_>) {
        self.drain(socket);
        if self.dialling && socket.may_send() {
            self.dialling = false;
            self.connection.handle(now, Event::TransportOpen).unwrap();
        } else if self.dialling && !socket.is_open() {
            self.dialling = false;
            self.connection.handle(now, Event::TransportFailed).unwrap();
        }
        self.drain(socket);
        while self.reads && self.is_connected() && socket.can_recv() {
            let octets = socket.recv(|octets| (octets.len(), octets.to_vec())).unwrap();
            let mut input = &octets[..];
            while !input.is_empty() && self.is_connected() {
                let (taken, inbound) = self.connection.receive(now, input).unwrap();
                if let Some(whole) = inbound.and_then(|inbound| self.collector.push(&inbound).unwrap()) {
                    let header = whole.message.header;
                    self.replies.push((header.system, header.stream_function(), whole.message.body.to_vec()));
                }
                input = &input[taken..];
                self.drain(socket);
            }
        }
        if self.is_connected() && !socket.may_recv() {
            self.connection.handle(now, Event::TransportClosed).unwrap();
            self.drain(socket);
        }
        while self.connection.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.connection.handle(now, Event::Timeout).unwrap();
            self.drain(socket);
        }
        let taken = socket.send_slice(&self.out).unwrap_or(0);
        self.out.drain(..taken);
        self.connection.written(now, taken as u64).unwrap();
    }

    fn drain(&mut self, socket: &mut Socket<'_>) {
        while let Some(action) = self.connection.poll_action() {
            self.told.push(action);
            match action {
                Action::OpenTransport => self.dial = true,
                Action::Send(frame) => self.out.extend_from_slice(&frame.encode()),
                Action::CloseTransport(_) => {
                    socket.send_slice(&self.out).unwrap_or(0);
                    self.out.clear();
                    self.dialling = false;
                    socket.close();
                }
                Action::Notify(_) => {}
            }
        }
    }

    fn is_connected(&self) -> bool {
        self.connection.state() != State::NotConnected
    }
}

/// Equipment and host on one interface, and the wire between them, which can be cut.
struct World {
    device: FaultInjector<Loopback>,
    iface: Interface,
    sockets: SocketSet<'static>,
    ours: SocketHandle,
    equipment: Equipment<Box<dyn FnMut(Instant, Action)>>,
    log: Log,
    host: Option<Host>,
    clock: u64,
    next_port: u16,
    /// Heap allocations in `Equipment::step` so far.
    allocations: u64,
}

impl World {
    /// Listening equipment with the defaults, whose socket has a send buffer of this size.
    fn new(send_buffer: usize) -> World {
        World::with(Config::equipment(DEVICE), send_buffer)
    }

    fn with(config: Config, send_buffer: usize) -> World {
        let mut device = FaultInjector::new(Loopback::new(Medium::Ip), 1);
        let mut iface = Interface::new(iface::Config::new(HardwareAddress::Ip), &mut device, time::Instant::ZERO);
        iface.update_ip_addrs(|addresses| addresses.push(IpCidr::new(HOME, 8)).unwrap());
        let mut sockets = SocketSet::new(vec![]);
        let ours = sockets.add(Socket::new(buffer(512), buffer(send_buffer)));
        // Room for all that a test logs, so that the log does not count as an allocation of the loop.
        let log = Rc::new(RefCell::new(Vec::with_capacity(10_000)));
        let mut connection = Connection::new(config);
        connection.enable(Instant::EPOCH).unwrap();
        let copy = Rc::clone(&log);
        let equipment = Equipment::new(
            connection,
            Box::new(move |at: Instant, action| copy.borrow_mut().push((at.as_millis(), action))) as Box<_>,
        );
        let (host, clock, next_port, allocations) = (None, 0, 49_152, 0);
        let mut world = World { device, iface, sockets, ours, equipment, log, host, clock, next_port, allocations };
        world.run_for(0);
        assert_eq!(world.socket_state(), tcp::State::Listen);
        world
    }

    /// A host begins to dial. What was known of an earlier one is gone, as after a power failure.
    fn start_host(&mut self, receive_buffer: usize) {
        self.lose_host();
        let mut connection = Connection::new(Config::host(DEVICE).with_linktest_period(Duration::ZERO).unwrap());
        connection.enable(self.now()).unwrap();
        self.host = Some(Host {
            socket: self.sockets.add(Socket::new(buffer(1), buffer(1))),
            connection,
            collector: Collector::new(Vec::new(), 1_000),
            out: Vec::new(),
            receive_buffer,
            dial: false,
            dialling: false,
            reads: true,
            told: Vec::new(),
            replies: Vec::new(),
        });
    }

    fn lose_host(&mut self) {
        if let Some(host) = self.host.take() {
            self.sockets.remove(host.socket);
        }
    }

    fn cut(&mut self, cut: bool) {
        self.device.set_drop_chance(if cut { 100 } else { 0 });
    }

    fn host(&mut self) -> &mut Host {
        self.host.as_mut().unwrap()
    }

    fn now(&self) -> Instant {
        Instant::from_millis(self.clock)
    }

    fn socket_state(&self) -> tcp::State {
        self.sockets.get::<Socket<'_>>(self.ours).state()
    }

    fn at(&self) -> time::Instant {
        time::Instant::from_millis(i64::try_from(self.clock).unwrap())
    }

    /// All that is on its way arrives.
    fn poll(&mut self) {
        let mut polls = 0;
        while self.iface.poll(self.at(), &mut self.device, &mut self.sockets) != PollResult::None {
            polls += 1;
            assert!(polls < MOST_ROUNDS, "the stack spins");
        }
    }

    /// One round; gives when the next is due.
    fn round(&mut self) -> Option<u64> {
        self.poll();
        let now = self.now();
        let socket = self.sockets.get_mut::<Socket<'_>>(self.ours);
        let mut due = None;
        let counted = allocation_counter::measure(|| due = self.equipment.step(now, socket).unwrap());
        self.allocations += counted.count_total;
        if let Some(host) = &mut self.host {
            host.step(now, self.sockets.get_mut(host.socket));
            if std::mem::take(&mut host.dial) {
                self.sockets.remove(host.socket);
                host.socket = self.sockets.add(Socket::new(buffer(host.receive_buffer), buffer(4_096)));
                let socket = self.sockets.get_mut::<Socket<'_>>(host.socket);
                socket.connect(self.iface.context(), (HOME, PORT), self.next_port).unwrap();
                host.dialling = true;
                self.next_port += 1;
            }
            due = due.into_iter().chain(host.connection.next_deadline()).min();
        }
        let stack = self.iface.poll_at(self.at(), &self.sockets).map(|at| u64::try_from(at.total_millis()).unwrap());
        due.map(Instant::as_millis).into_iter().chain(stack).min()
    }

    /// Goes on until `done`, or until `until`, where it comes to rest. Tells whether it was `done`.
    fn run(&mut self, until: u64, mut done: impl FnMut(&World) -> bool) -> bool {
        let mut rounds = 0;
        loop {
            let due = self.round();
            if done(self) {
                return true;
            }
            rounds += 1;
            assert!(rounds < MOST_ROUNDS, "the loop spins at {} ms, due {due:?}", self.clock);
            match due {
                Some(due) if due <= self.clock => {}
                Some(due) if due <= until => (self.clock, rounds) = (due, 0),
                // One round more at the end, for what nobody had been waiting for.
                _ if self.clock < until => (self.clock, rounds) = (until, 0),
                _ => return false,
            }
        }
    }

    fn run_for(&mut self, millis: u64) {
        self.run(self.clock + millis, |_| false);
    }

    /// Goes on until the host has got this many replies to what it sent; they have to come at once.
    fn expect_replies(&mut self, count: usize) -> Vec<Reply> {
        let begin = self.clock;
        let done = self.run(begin + 1_000, |world| world.host.as_ref().unwrap().replies.len() >= count);
        let replies = std::mem::take(&mut self.host().replies);
        assert!(done && replies.len() == count, "{} of {count} replies after {} ms", replies.len(), self.clock - begin);
        replies
    }

    /// The host is selected within a second.
    fn expect_selected(&mut self) {
        let state = |world: &World| world.host.as_ref().unwrap().connection.state();
        assert!(self.run(self.clock + 1_000, |world| state(world) == State::Selected), "{:?}", self.host().told);
        assert_eq!(self.log.borrow().last(), Some(&(self.clock, Action::Notify(Notice::Selected))));
    }

    fn request(&mut self, stream_function: StreamFunction, text: &[u8]) -> SystemBytes {
        let now = self.now();
        let host = self.host();
        let len = u32::try_from(text.len()).unwrap();
        let (system, prefix) = host.connection.begin_primary(now, DEVICE, stream_function, true, len).unwrap();
        host.out.extend_from_slice(&prefix);
        host.out.extend_from_slice(text);
        host.connection.end_body(now).unwrap();
        assert_eq!(host.connection.poll_action(), None);
        system
    }

    /// What the equipment did, beginning at this moment.
    fn logged_since(&self, clock: u64) -> Vec<(u64, Action)> {
        self.log.borrow().iter().filter(|(at, _)| *at >= clock).copied().collect()
    }

    /// When the equipment closed, and why, beginning at this moment.
    fn closed_since(&self, clock: u64) -> Vec<(u64, CloseReason)> {
        let reason = |(at, action)| match action {
            Action::CloseTransport(reason) => Some((at, reason)),
            _ => None,
        };
        self.logged_since(clock).into_iter().filter_map(reason).collect()
    }
}

fn buffer(octets: usize) -> SocketBuffer<'static> {
    SocketBuffer::new(vec![0; octets])
}

fn is_linktest(action: &Action) -> bool {
    matches!(action, Action::Send(frame) if frame.header().kind() == Ok(Kind::LinktestReq))
}

fn patience() -> u64 {
    u64::try_from(PATIENCE.as_millis()).unwrap()
}

#[test]
fn the_example_itself_runs_to_its_end() {
    // It fails where its host misses an answer.
    superloop::main().unwrap();
}

#[test]
fn it_is_selected_and_answers_s1f13_and_s1f1_and_aborts_what_it_does_not_know() {
    let mut world = World::new(512);
    world.start_host(512);
    world.expect_selected();
    let systems = [
        world.request(S1F13, &[1, 0]),
        world.request(S1F1, &[]),
        // A text longer than all buffers, of which nothing is kept.
        world.request(StreamFunction::new(2, 17), &[0x20; 3_000]),
    ];
    let expected = [
        (systems[0], StreamFunction::new(1, 14), S1F14_TEXT.to_vec()),
        (systems[1], StreamFunction::new(1, 2), S1F2_TEXT.to_vec()),
        (systems[2], StreamFunction::new(2, 0), vec![]),
    ];
    assert_eq!(world.expect_replies(3), expected);
    assert_eq!(world.closed_since(0), []);
}

#[test]
fn a_primary_is_answered_when_all_of_it_has_come() {
    let mut world = World::new(512);
    world.start_host(512);
    world.expect_selected();
    let system = world.request(StreamFunction::new(1, 13), &[0x20; 100]);
    let end = world.host().out.split_off(50);
    world.run_for(1_000);
    assert_eq!(world.host().replies, []);
    world.host().out.extend(end);
    assert_eq!(world.expect_replies(1), [(system, StreamFunction::new(1, 14), S1F14_TEXT.to_vec())]);
}

#[test]
fn linktests_are_answered_both_ways() {
    let mut world = World::new(512);
    world.start_host(512);
    world.expect_selected();
    let now = world.now();
    let system = world.host().connection.linktest(now).unwrap();
    world.run_for(1_000);
    assert!(world.host().told.contains(&Action::Notify(Notice::LinktestAnswered { system })));

    // The equipment's own, a period after the last octet that it got.
    world.request(S1F1, &[]);
    world.expect_replies(1);
    let quiet = world.clock;
    for nth in 1..=3 {
        world.run_for(LINKTEST_PERIOD);
        let logged = world.logged_since(quiet + nth * LINKTEST_PERIOD);
        let [(sent, frame), (answered, Action::Notify(Notice::LinktestAnswered { .. }))] = logged[..] else {
            panic!("{logged:?}")
        };
        assert!(is_linktest(&frame));
        assert_eq!((sent, answered), (world.clock, world.clock));
    }
    assert_eq!(world.closed_since(0), []);
}

#[test]
fn a_host_that_vanishes_without_fin_is_found_out_by_t6_and_the_next_one_is_served() {
    let mut world = World::new(512);
    world.start_host(512);
    world.expect_selected();
    let quiet = world.clock;
    world.cut(true);
    world.lose_host();
    world.run_for(LINKTEST_PERIOD + T6);
    let t6 = (quiet + LINKTEST_PERIOD + T6, CloseReason::T6(ControlRequest::Linktest));
    assert_eq!(world.closed_since(0), [t6]);
    assert_ne!(world.socket_state(), tcp::State::Listen);
    assert_eq!(world.log.borrow().last(), Some(&(t6.0, Action::OpenTransport)));

    // Nobody confirms its FIN.
    world.run_for(patience());
    assert_eq!(world.socket_state(), tcp::State::Listen);
    world.cut(false);
    world.start_host(512);
    world.expect_selected();
    world.request(S1F1, &[]);
    assert_eq!(world.expect_replies(1)[0].2, S1F2_TEXT);
    assert_eq!(world.closed_since(0), [t6]);
}

#[test]
fn it_listens_again_after_separate_after_a_fin_and_after_a_reset() {
    let mut world = World::new(512);
    world.start_host(512);
    world.expect_selected();

    let now = world.now();
    world.host().connection.separate(now).unwrap();
    world.run_for(1_000);
    assert_eq!(world.closed_since(0), [(now.as_millis(), CloseReason::SeparateReceived)]);

    for (reset, within) in [(false, 1_000), (true, 0)] {
        world.start_host(512);
        world.expect_selected();
        let handle = world.host().socket;
        let socket = world.sockets.get_mut::<Socket<'_>>(handle);
        if reset {
            socket.abort();
        } else {
            socket.close();
        }
        let now = world.clock;
        world.run_for(within);
        assert_eq!(world.closed_since(now), [(now, CloseReason::TransportClosed)], "reset: {reset}");
        assert_eq!(world.socket_state(), tcp::State::Listen, "reset: {reset}");
    }
}

#[test]
fn a_handshake_that_stops_half_way_does_not_keep_the_port() {
    let mut world = World::new(512);
    let caller = world.sockets.add(Socket::new(buffer(64), buffer(64)));
    let at = world.at();
    world.sockets.get_mut::<Socket<'_>>(caller).connect(world.iface.context(), (HOME, PORT), 1_234).unwrap();
    // The SYN gets through, and nothing behind it.
    world.iface.poll_egress(at, &mut world.device, &mut world.sockets);
    world.iface.poll_ingress_single(at, &mut world.device, &mut world.sockets);
    assert_eq!(world.socket_state(), tcp::State::SynReceived);
    world.cut(true);
    world.sockets.remove(caller);

    world.run_for(patience() - 1);
    assert_eq!(world.socket_state(), tcp::State::SynReceived);
    world.run_for(1);
    assert_eq!(world.socket_state(), tcp::State::Listen);
    world.cut(false);
    world.start_host(512);
    world.expect_selected();
}

#[test]
fn answers_that_the_socket_takes_in_parts_arrive_whole_and_in_order() {
    // Too little for one answer beside what texts leave free.
    let send_buffer = ROOM + 20;
    assert!(send_buffer < ROOM + 14 + S1F14_TEXT.len());
    let mut world = World::new(send_buffer);
    // And the host can take no more than half an answer at a time.
    world.start_host(16);
    world.expect_selected();
    let mut expected = Vec::new();
    for _ in 0..30 {
        expected.push((world.request(S1F13, &[1, 0]), StreamFunction::new(1, 14), S1F14_TEXT.to_vec()));
        expected.push((world.request(S1F1, &[]), StreamFunction::new(1, 2), S1F2_TEXT.to_vec()));
    }
    assert_eq!(world.expect_replies(60), expected);
    assert_eq!(world.closed_since(0), []);
}

#[test]
fn a_host_that_reads_slowly_is_waited_for() {
    let mut world = World::new(ROOM + 20);
    world.start_host(4);
    world.expect_selected();
    world.request(S1F13, &[1, 0]);
    let begin = world.clock;
    let mut longest = 0;
    while world.host().replies.is_empty() {
        world.host().reads = false;
        world.run_for(patience() - 1_000);
        if world.equipment.connection.is_body_open() {
            longest = world.clock - begin;
        }
        world.host().reads = true;
        world.round();
        assert!(world.clock < begin + 100 * patience());
    }
    // The text took longer than it may take to go on.
    assert!(longest > patience(), "{longest}");
    assert_eq!(world.host().replies[0].2, S1F14_TEXT);
    assert_eq!(world.closed_since(0), []);
}

#[test]
fn a_host_that_is_gone_in_the_middle_of_a_text_leaves_nothing_to_be_answered() {
    for confirms in [false, true] {
        let mut world = World::new(ROOM + 20);
        world.start_host(64);
        world.expect_selected();
        world.request(S1F13, &[1, 0]);
        world.request(S1F13, &[1, 0]);
        world.round();
        world.round();
        assert!(world.equipment.connection.is_body_open());
        world.poll();
        // The host's stack confirms what came so far, or not yet; either way a reset follows, and both come together.
        world.clock += if confirms { 10 } else { 0 };
        world.iface.poll_egress(world.at(), &mut world.device, &mut world.sockets);
        let socket = world.host().socket;
        world.sockets.get_mut::<Socket<'_>>(socket).abort();
        let now = world.clock;
        world.run_for(0);
        assert_eq!(world.closed_since(0), [(now, CloseReason::TransportClosed)], "confirms: {confirms}");
        world.start_host(512);
        world.expect_selected();
    }
}

#[test]
fn disabled_it_does_not_listen_until_it_is_enabled_again() {
    let mut world = World::new(512);
    let now = world.now();
    world.equipment.connection.disable(now).unwrap();
    world.run_for(0);
    assert_eq!(world.socket_state(), tcp::State::Closed);
    world.start_host(512);
    world.run_for(1_000);
    assert_eq!(world.socket_state(), tcp::State::Closed);
    assert_eq!(world.closed_since(0), [(0, CloseReason::Disabled)]);

    let now = world.now();
    world.equipment.connection.enable(now).unwrap();
    world.run_for(0);
    assert_eq!(world.socket_state(), tcp::State::Listen);
    world.start_host(512);
    world.expect_selected();
}

/// The host has this receive buffer and does not read; answers fill it up, and the equipment's send buffer. The
/// equipment has to close `after` milliseconds for this reason, and to serve a host that reads then.
fn stuck(mut world: World, receive_buffer: usize, after: u64, reason: CloseReason) {
    world.start_host(receive_buffer);
    world.expect_selected();
    world.host().reads = false;
    for _ in 0..20 {
        world.request(S1F13, &[1, 0]);
    }
    let begin = world.clock;
    // What fits is taken within a tenth of a second: the stack confirms late.
    world.run_for(after + 100);
    let closed = world.closed_since(0);
    assert!(matches!(closed[..], [(at, why)] if at >= begin + after && why == reason), "{closed:?}");
    // Neither the answers nor a FIN behind them get through.
    world.run_for(patience());
    assert_eq!(world.socket_state(), tcp::State::Listen);
    world.start_host(512);
    world.expect_selected();
}

#[test]
fn a_host_that_stops_reading_in_the_middle_of_a_text_is_given_up() {
    stuck(World::new(ROOM + 20), 64, patience(), CloseReason::TransportClosed);
    // At its begin: one octet finds room behind what is in front of it.
    stuck(World::new(ROOM + 15), 14 + S1F14_TEXT.len(), patience(), CloseReason::TransportClosed);
}

#[test]
fn a_host_that_stops_reading_between_texts_is_given_up_by_t6() {
    // Both buffers end with an answer.
    let answer = 14 + S1F14_TEXT.len();
    let after = LINKTEST_PERIOD + T6;
    stuck(World::new(ROOM + answer), answer, after, CloseReason::T6(ControlRequest::Linktest));
    // And with room for some of the next answer, though not for what is in front of its text.
    stuck(World::new(ROOM + 20), answer + 20, after, CloseReason::T6(ControlRequest::Linktest));
}

#[test]
fn a_frame_that_finds_no_room_is_not_sent_in_part() {
    let answer = 14 + S1F14_TEXT.len();
    let patient = Config::equipment(DEVICE).with_linktest_threshold(255).unwrap();
    // Each linktest that is missed takes 14 octets more of what texts leave free.
    let linktests = u64::try_from(ROOM / 14).unwrap();
    let after = linktests * (LINKTEST_PERIOD + T6) + LINKTEST_PERIOD;
    stuck(World::with(patient, ROOM + answer), answer, after, CloseReason::TransportClosed);
}

#[test]
fn a_round_allocates_nothing() {
    let mut world = World::new(512);
    world.start_host(512);
    world.expect_selected();
    world.request(S1F13, &[1, 0]);
    world.request(S1F1, &[]);
    world.request(StreamFunction::new(2, 17), &[0x20; 3_000]);
    world.expect_replies(3);
    world.run_for(LINKTEST_PERIOD);
    world.cut(true);
    world.lose_host();
    world.run_for(LINKTEST_PERIOD + T6 + patience());
    assert_eq!(world.closed_since(0).len(), 1);
    assert_eq!(world.allocations, 0);
    // The count counts: a log that has to grow.
    world.log.borrow_mut().shrink_to_fit();
    world.cut(false);
    world.start_host(512);
    world.expect_selected();
    assert_ne!(world.allocations, 0);
}

/// Lines of the example beyond 120 in all, and lines of 120 columns.
fn too_long(source: &str) -> Vec<&str> {
    let wide = source.lines().filter(|line| line.chars().count() > 120);
    source.lines().skip(120).chain(wide).collect()
}

#[test]
fn the_example_has_at_most_120_lines() {
    let source = include_str!("../examples/superloop.rs");
    assert_eq!(too_long(source), [""; 0]);
    // One line more is seen, and so is one made of two.
    let more = format!("{}one more\n", "\n".repeat(120));
    assert_eq!(too_long(&more), ["one more"]);
    let wide = "x".repeat(121);
    assert_eq!(too_long(&wide), [&wide[..]]);
}
