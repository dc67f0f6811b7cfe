//! Two `embassy-net` stacks with a wire between them that loses, delays and reorders frames as a seed says.

use super::executor::Task;
use embassy_futures::join::join;
use embassy_futures::select::select;
use embassy_net::{Ipv4Address, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use embassy_net_driver_channel::driver::{HardwareAddress, LinkState};
use embassy_net_driver_channel::{self as channel, Device, RxRunner, TxRunner};
use embassy_time::{Duration, Instant, Timer};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// The longest frame: those of the application are split to fit.
pub(crate) const MTU: usize = 600;

const SOCKETS: usize = 4;

/// What the wire does to frames.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    /// So many of a thousand are lost.
    pub(crate) lost: u32,
    /// Each is late by up to so many milliseconds, so that they overtake each other.
    pub(crate) late: u64,
}

/// The wire, which can be taken out.
pub(crate) struct Wire {
    faults: Faults,
    random: RefCell<fastrand::Rng>,
    plugged: Cell<bool>,
    pub(crate) carried: Cell<u32>,
    pub(crate) lost: Cell<u32>,
    forged: RefCell<Vec<Vec<u8>>>,
}

/// What the two stacks are made of.
pub(crate) struct Storage {
    states: [Box<channel::State<MTU, 4, 4>>; 2],
    resources: [Box<StackResources<SOCKETS>>; 2],
}

impl Storage {
    pub(crate) fn new() -> Self {
        Storage {
            states: [(); 2].map(|()| Box::new(channel::State::new())),
            resources: [(); 2].map(|()| Box::new(StackResources::new())),
        }
    }
}

impl Wire {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        Wire {
            faults,
            random: RefCell::new(fastrand::Rng::with_seed(seed)),
            plugged: Cell::new(true),
            carried: Cell::new(0),
            lost: Cell::new(0),
            forged: RefCell::new(Vec::new()),
        }
    }

    /// From nobody: arrives at the second stack in front of the next frame that does.
    pub(crate) fn forge(&self, frame: Vec<u8>) {
        self.forged.borrow_mut().push(frame);
    }

    /// Takes the wire out, or puts it in again.
    pub(crate) fn plug(&self, plugged: bool) {
        self.plugged.set(plugged);
    }

    /// What becomes of a frame: when it arrives, if it does.
    fn fate(&self) -> Option<Instant> {
        let mut random = self.random.borrow_mut();
        if !self.plugged.get() || random.u32(0..1000) < self.faults.lost {
            self.lost.set(self.lost.get() + 1);
            return None;
        }
        self.carried.set(self.carried.get() + 1);
        // A frame takes a while in any case, so that time goes on.
        Some(Instant::now() + Duration::from_micros(50 + random.u64(0..=self.faults.late * 1000)))
    }
}

/// The address of one of the two.
pub(crate) const fn address(of: u8) -> Ipv4Address {
    Ipv4Address::new(10, 0, 0, of + 1)
}

/// Two stacks, and the tasks that run them and the wire.
pub(crate) fn stacks<'s>(storage: &'s mut Storage, wire: &'s Wire, seed: u64) -> ([Stack<'s>; 2], Vec<Task<'s>>) {
    let Storage { states: [state_a, state_b], resources: [resources_a, resources_b] } = storage;
    let (a, rx_a, tx_a, run_a) = one(0, state_a, resources_a, seed);
    let (b, rx_b, tx_b, run_b) = one(1, state_b, resources_b, seed);
    let tasks: Vec<Task<'s>> = vec![
        run_a,
        run_b,
        Box::pin(carry(wire, tx_a, rx_b, Some(&wire.forged))),
        Box::pin(carry(wire, tx_b, rx_a, None)),
    ];
    ([a, b], tasks)
}

type One<'s> = (Stack<'s>, RxRunner<'s, MTU>, TxRunner<'s, MTU>, Task<'s>);

fn one<'s>(
    of: u8,
    state: &'s mut channel::State<MTU, 4, 4>,
    resources: &'s mut StackResources<SOCKETS>,
    seed: u64,
) -> One<'s> {
    let (runner, device) = channel::new(state, HardwareAddress::Ethernet([2, 0, 0, 0, 0, of]));
    let (link, rx, tx) = runner.split();
    link.set_link_state(LinkState::Up);
    let config =
        StaticConfigV4 { address: Ipv4Cidr::new(address(of), 24), gateway: None, dns_servers: Default::default() };
    let config = embassy_net::Config::ipv4_static(config);
    let (stack, mut runner): (Stack<'s>, Runner<'s, Device<'s, MTU>>) =
        embassy_net::new(device, config, resources, seed + u64::from(of));
    (stack, rx, tx, Box::pin(async move { runner.run().await }))
}

/// Carries frames one way, and those that are forged.
async fn carry(
    wire: &Wire,
    mut from: TxRunner<'_, MTU>,
    mut to: RxRunner<'_, MTU>,
    forged: Option<&RefCell<Vec<Vec<u8>>>>,
) {
    let under_way = RefCell::new(Vec::<(Instant, Vec<u8>)>::new());
    let added = RefCell::new(None::<Waker>);
    let take = async {
        loop {
            let frame = from.tx_buf().await.to_vec();
            from.tx_done();
            if let Some(at) = wire.fate() {
                let mut under_way = under_way.borrow_mut();
                under_way.extend(forged.map(RefCell::take).into_iter().flatten().map(|frame| (at, frame)));
                under_way.push((at, frame));
                if let Some(waker) = added.take() {
                    waker.wake();
                }
            }
        }
    };
    let give = async {
        loop {
            let next = under_way.borrow().iter().map(|(at, _)| *at).min();
            let more = poll_fn(|cx| {
                let sooner = under_way.borrow().iter().map(|(at, _)| *at).min();
                if sooner != next {
                    return Poll::Ready(());
                }
                added.replace(Some(cx.waker().clone()));
                Poll::Pending
            });
            match next {
                None => more.await,
                Some(at) => {
                    select(Timer::at(at), more).await;
                }
            }
            let due = under_way.borrow().iter().position(|(at, _)| *at <= Instant::now());
            if let Some(due) = due {
                let (_, frame) = under_way.borrow_mut().remove(due);
                to.rx_buf().await[..frame.len()].copy_from_slice(&frame);
                to.rx_done(frame.len());
            }
        }
    };
    join(take, give).await;
}
