//! Two links over two `embassy-net` stacks, and a wire between them that is good, bad, or out.

use crate::kit::apart::join;
use crate::kit::executor::{Task, run_with, task};
use crate::kit::net::{Faults, Storage, Wire, address, stacks};
use crate::kit::scene::{DEVICE, Plain, S1F1, S6F11, beside, dropped_after, echo};
use embassy_futures::select::select;
use embassy_net::tcp::{State as Tcp, TcpSocket};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::{Duration, Instant, Timer};
use hsms_embassy::hsms_core::connection::{CloseReason, ControlRequest, State};
use hsms_embassy::{Buffers, Config, Error, Limits, StreamFunction, net};
use std::cell::{Cell, RefCell};

const PORT: u16 = 5000;
const S7F3: StreamFunction = StreamFunction::new(7, 3);

/// Runs `test` with both ends enabled: the host, the equipment, the wire.
fn over_stacks<R>(
    seed: u64,
    faults: Faults,
    config: impl Fn(Config) -> Config,
    test: impl AsyncFnOnce(&Plain<'_>, &Plain<'_>, &Wire) -> R,
) -> R {
    let wire = Wire::new(seed, faults);
    let mut storage = Storage::new();
    let ([ours, theirs], stacks) = stacks(&mut storage, &wire, seed);
    // 16 KiB each with the socket's.
    let (mut buffers, mut far_buffers) = (Buffers::<2048, 4096, 4096>::new(), Buffers::<2048, 4096, 4096>::new());
    // TCP itself stands still for seconds where a wire loses much.
    let limits = Limits { write: Duration::from_secs(120), ..Limits::default() };
    let host = Plain::new(config(Config::host(DEVICE)), buffers.lend()).unwrap().with_limits(limits);
    let equipment = Plain::new(config(Config::equipment(DEVICE)), far_buffers.lend()).unwrap().with_limits(limits);
    let [mut rx, mut tx, mut far_rx, mut far_tx] = [[0; 2048]; 4];
    let dial = net::Dial::new(TcpSocket::new(ours, &mut rx, &mut tx), (address(1), PORT));
    let listen = net::Listen::new(TcpSocket::new(theirs, &mut far_rx, &mut far_tx), PORT);
    // Dropped before the links.
    let mut tasks: Vec<Task<'_>> = stacks;
    tasks.push(task(host.run(dial)));
    tasks.push(task(equipment.run(listen)));
    run_with(tasks, async {
        equipment.enable();
        host.enable();
        test(&host, &equipment, &wire).await
    })
}

/// Two ends over two stacks with a good wire, for tests that run them as they like: sockets with so many octets each way.
macro_rules! ends {
    ($seed:literal, $octets:literal => $host:ident, $equipment:ident, $dial:ident, $listen:ident, $stacks:ident) => {
        let wire = Wire::new($seed, Faults::default());
        let mut storage = Storage::new();
        let ([ours, theirs], $stacks) = stacks(&mut storage, &wire, $seed);
        let (mut buffers, mut far_buffers) = (Buffers::<512, 512, 512>::new(), Buffers::<512, 512, 512>::new());
        let $host = Plain::new(Config::host(DEVICE), buffers.lend()).unwrap();
        let $equipment = Plain::new(Config::equipment(DEVICE), far_buffers.lend()).unwrap();
        let [mut rx, mut tx, mut far_rx, mut far_tx] = [[0; $octets]; 4];
        let mut $dial = net::Dial::new(TcpSocket::new(ours, &mut rx, &mut tx), (address(1), PORT));
        let mut $listen = net::Listen::new(TcpSocket::new(theirs, &mut far_rx, &mut far_tx), PORT);
    };
}

#[test]
fn messages_go_both_ways_over_a_good_wire() {
    over_stacks(
        1,
        Faults::default(),
        |config| config,
        async |host, equipment, wire| {
            let seen = RefCell::new(Vec::new());
            let work = async {
                host.reached(State::Selected).await.unwrap();
                equipment.reached(State::Selected).await.unwrap();
                let mut buffer = [0; 1000];
                for len in (0..1000).step_by(97) {
                    let text = vec![len as u8; len];
                    assert_eq!(host.request(S1F1, &text, &mut buffer).await.unwrap().body, text);
                }
                host.linktest().await.unwrap();
                assert_eq!(seen.borrow().len(), 11);
                // Long after the last: linktests keep it.
                Timer::after_secs(3600).await;
                assert_eq!((host.state(), equipment.state()), (State::Selected, State::Selected));
                host.disable();
                equipment.reached(State::NotConnected).await.unwrap();
                assert_eq!(equipment.last_close(), Some(CloseReason::SeparateReceived));
                // It listens again.
                host.enable();
                host.reached(State::Selected).await.unwrap();
                assert_eq!(host.request(S1F1, &[1], &mut buffer).await.unwrap().body, [1]);
            };
            beside(work, echo(equipment, &seen)).await;
            assert_eq!(wire.lost.get(), 0);
        },
    );
}

#[test]
fn nothing_is_lost_on_a_wire_that_loses_delays_and_reorders() {
    for seed in 0..12 {
        let faults = Faults { lost: 40, late: 15 };
        over_stacks(
            seed,
            faults,
            |config| config,
            async |host, equipment, wire| {
                let seen = RefCell::new(Vec::new());
                let work = async {
                    let mut buffer = [0; 1500];
                    let mut sent = Vec::new();
                    let mut answered = 0;
                    while answered < 30 {
                        host.reached(State::Selected).await.unwrap();
                        let text = vec![sent.len() as u8; 50 * answered];
                        sent.push(text.clone());
                        match host.request(S1F1, &text, &mut buffer).await {
                            Ok(reply) => {
                                assert_eq!(reply.body, text);
                                answered += 1;
                            }
                            // The link may be given up for lost: then this says so.
                            Err(
                                Error::NoReply { .. } | Error::Closed { .. } | Error::Refused(_) | Error::Cut { .. },
                            ) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                    // Each was seen at most once, in order, and all that were answered.
                    let seen = seen.borrow();
                    let mut sent = sent.iter();
                    assert!(seen.iter().all(|seen| sent.any(|sent| sent == seen)));
                    assert!(seen.len() >= 30);
                };
                beside(work, echo(equipment, &seen)).await;
                assert!(wire.lost.get() > 0 && wire.carried.get() > 100);
            },
        );
    }
}

#[test]
fn ten_mebibytes_go_both_ways_over_a_bad_wire_with_16_kib() {
    const LEN: u32 = 10 * 1024 * 1024;
    let octet = |at: u32| (at ^ (at >> 8) ^ (at >> 16)) as u8;
    let faults = Faults { lost: 2, late: 1 };
    over_stacks(
        7,
        faults,
        |config| config.with_t8(core::time::Duration::from_secs(120)).unwrap(),
        async |host, equipment, _| {
            host.reached(State::Selected).await.unwrap();
            equipment.reached(State::Selected).await.unwrap();
            let send = async |link: &Plain<'_>| {
                let mut writer = link.begin_send(S7F3, LEN).await.unwrap();
                let (mut piece, mut at) = ([0; 1024], 0);
                while writer.left() > 0 {
                    for place in &mut piece {
                        *place = octet(at);
                        at += 1;
                    }
                    writer.write(&piece).await.unwrap();
                }
                writer.end().await.unwrap();
            };
            let receive = async |link: &Plain<'_>| {
                let mut incoming = link.next().await.unwrap();
                let (mut piece, mut at) = ([0; 1024], 0);
                loop {
                    let read = incoming.read(&mut piece).await.unwrap();
                    if read == 0 {
                        return assert_eq!(at, LEN);
                    }
                    for got in &piece[..read] {
                        assert_eq!(*got, octet(at));
                        at += 1;
                    }
                }
            };
            join(join(send(host), receive(equipment)), join(send(equipment), receive(host))).await;
            host.linktest().await.unwrap();
        },
    );
}

#[test]
fn a_wire_that_is_taken_out_is_found_by_the_linktest_and_the_link_comes_back() {
    over_stacks(
        3,
        Faults::default(),
        |config| config,
        async |host, equipment, wire| {
            let seen = RefCell::new(Vec::new());
            let work = async {
                for round in 0..5_u8 {
                    host.reached(State::Selected).await.unwrap();
                    equipment.reached(State::Selected).await.unwrap();
                    equipment.send(S6F11, &[round]).await.unwrap();
                    host.linktest().await.unwrap();
                    wire.plug(false);
                    let out = Instant::now();
                    host.reached(State::NotConnected).await.unwrap();
                    equipment.reached(State::NotConnected).await.unwrap();
                    assert_eq!(host.last_close(), Some(CloseReason::T6(ControlRequest::Linktest)));
                    // The period and T6, and a millisecond or two for what was under way.
                    assert!(out.elapsed() < Duration::from_millis(35_100), "{}", out.elapsed().as_millis());
                    Timer::after_secs(100).await;
                    wire.plug(true);
                }
            };
            beside(work, echo(host, &seen)).await;
            assert_eq!(seen.into_inner(), [[0], [1], [2], [3], [4]]);
        },
    );
}

#[test]
fn a_segment_of_an_address_that_never_answers_keeps_nobody_out_for_long() {
    over_stacks(
        4,
        Faults::default(),
        |config| config,
        async |host, equipment, wire| {
            let [ours, theirs] = [9, 1].map(|of| address(of).octets());
            let syn = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 9], [2, 0, 0, 0, 0, 1])
                .ipv4(ours, theirs, 64)
                .tcp(4000, PORT, 1, 1000)
                .syn();
            let mut frame = Vec::new();
            syn.write(&mut frame, &[]).unwrap();
            wire.forge(frame);
            host.reached(State::Selected).await.unwrap();
            // Those of the host that are refused are spaced by T5.
            let after = Instant::now().as_secs();
            assert!((10..=40).contains(&after), "it was in the way, but not for ever: {after} s");
            assert_eq!(equipment.state(), State::Selected);
        },
    );
}

#[test]
fn a_run_that_is_dropped_and_called_again_with_its_opener_goes_on_over_the_same_socket() {
    ends!(5, 1024 => host, equipment, dial, listen, stacks);
    let [stop_host, stop_equipment] = [(); 2].map(|()| Signal::<NoopRawMutex, ()>::new());
    let mut tasks: Vec<Task<'_>> = stacks;
    tasks.push(Box::pin(async {
        loop {
            select(host.run(&mut dial), stop_host.wait()).await;
        }
    }));
    tasks.push(Box::pin(async {
        loop {
            select(equipment.run(&mut listen), stop_equipment.wait()).await;
        }
    }));
    run_with(tasks, async {
        equipment.enable();
        host.enable();
        let seen = RefCell::new(Vec::new());
        let work = async {
            let mut buffer = [0; 10];
            for round in 0..6_u8 {
                host.reached(State::Selected).await.unwrap();
                equipment.reached(State::Selected).await.unwrap();
                assert_eq!(host.request(S1F1, &[round], &mut buffer).await.unwrap().body, [round]);
                let stopped = Instant::now();
                let (stopped_end, other_end) = if round % 2 == 0 { (&host, &equipment) } else { (&equipment, &host) };
                if round % 2 == 0 {
                    stop_host.signal(());
                } else {
                    stop_equipment.signal(());
                }
                stopped_end.reached(State::NotConnected).await.unwrap();
                other_end.reached(State::NotConnected).await.unwrap();
                let told = stopped.elapsed();
                // The equipment resets at once, the host when it dials again.
                assert!(told <= Duration::from_secs(11), "{} ms", told.as_millis());
            }
        };
        beside(work, echo(&equipment, &seen)).await;
    });
}

#[test]
fn a_host_that_does_not_close_its_end_is_reset() {
    let wire = Wire::new(6, Faults::default());
    let mut storage = Storage::new();
    let ([ours, theirs], stacks) = stacks(&mut storage, &wire, 6);
    let mut buffers = Buffers::<512, 512, 512>::new();
    let equipment = Plain::new(Config::equipment(DEVICE), buffers.lend()).unwrap();
    let [mut rx, mut tx, mut far_rx, mut far_tx] = [[0; 1024]; 4];
    let mut host = TcpSocket::new(ours, &mut rx, &mut tx);
    let listen = net::Listen::new(TcpSocket::new(theirs, &mut far_rx, &mut far_tx), PORT);
    let mut tasks: Vec<Task<'_>> = stacks;
    tasks.push(task(equipment.run(listen)));
    run_with(tasks, async {
        equipment.enable();
        Timer::after_millis(1).await;
        for round in 1..=2_u32 {
            host.connect((address(1), PORT)).await.unwrap();
            // It does not select, and at T7 it reads the end.
            assert_eq!(host.read(&mut [0]).await, Ok(0));
            assert_eq!(host.state(), Tcp::CloseWait);
            let closed = Instant::now();
            while host.state() != Tcp::Closed && closed.elapsed() < Duration::from_secs(60) {
                Timer::after_millis(10).await;
            }
            assert_eq!(host.state(), Tcp::Closed, "round {round}");
            assert!(closed.elapsed() <= Limits::default().farewell + Duration::from_millis(20));
            host.abort();
        }
    });
}

#[test]
fn an_opener_of_a_stack_that_is_dropped_at_any_await_opens_again() {
    for active in [true, false] {
        let mut completed = false;
        for pendings in 0..2000 {
            ends!(8, 600 => host, equipment, dial, listen, stacks);
            let dropped = Cell::new(false);
            let mut tasks: Vec<Task<'_>> = stacks;
            tasks.push(Box::pin(async {
                if active {
                    dropped_after(pendings, host.run(&mut dial)).await;
                    dropped.set(true);
                }
                host.run(&mut dial).await.map(|_| ()).unwrap();
            }));
            tasks.push(Box::pin(async {
                if !active {
                    dropped_after(pendings, equipment.run(&mut listen)).await;
                    dropped.set(true);
                }
                equipment.run(&mut listen).await.map(|_| ()).unwrap();
            }));
            run_with(tasks, async {
                equipment.enable();
                host.enable();
                let seen = RefCell::new(Vec::new());
                let work = async {
                    let mut buffer = [0; 10];
                    for round in 0..3_u8 {
                        // Opened, served, closed and opened again.
                        let mut answered = async || {
                            host.reached(State::Selected).await.unwrap();
                            equipment.reached(State::Selected).await.unwrap();
                            host.request(S1F1, &[round], &mut buffer).await.is_ok()
                        };
                        while !answered().await {}
                        if round == 1 { host.separate() } else { equipment.separate() }
                    }
                };
                beside(work, echo(&equipment, &seen)).await;
            });
            completed = !dropped.get();
            if completed {
                break;
            }
        }
        assert!(completed, "all of it takes more");
    }
}

#[test]
fn equipment_that_does_not_close_its_end_is_reset_before_it_is_called_again() {
    let wire = Wire::new(7, Faults::default());
    let mut storage = Storage::new();
    let ([ours, theirs], stacks) = stacks(&mut storage, &wire, 7);
    let mut buffers = Buffers::<512, 512, 512>::new();
    let host = Plain::new(Config::host(DEVICE), buffers.lend()).unwrap();
    let [mut rx, mut tx, mut far_rx, mut far_tx] = [[0; 1024]; 4];
    let dial = net::Dial::new(TcpSocket::new(ours, &mut rx, &mut tx), (address(1), PORT));
    let mut equipment = TcpSocket::new(theirs, &mut far_rx, &mut far_tx);
    let mut tasks: Vec<Task<'_>> = stacks;
    tasks.push(task(host.run(dial)));
    run_with(tasks, async {
        host.enable();
        equipment.accept(PORT).await.unwrap();
        // It answers no Select.req, and at T6 it reads the end.
        let mut octets = [0; 64];
        assert_eq!(equipment.read(&mut octets).await, Ok(14));
        assert_eq!(equipment.read(&mut octets).await, Ok(0));
        let closed = Instant::now();
        while equipment.state() != Tcp::Closed && closed.elapsed() < Duration::from_secs(60) {
            Timer::after_millis(10).await;
        }
        assert!(closed.elapsed() <= Limits::default().farewell + Duration::from_millis(20));
    });
}
