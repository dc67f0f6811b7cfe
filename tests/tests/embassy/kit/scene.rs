//! Host and equipment, each with a link, over a network in memory.

use super::apart;
pub(crate) use super::apart::beside;
use super::executor::{Task, run_with};
use super::pipe::{Dial, Listen, Network};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use hsms_embassy::hsms_core::connection::State;
use hsms_embassy::{Config, DeviceId, Error, Limits, Link, Storage, StreamFunction};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::task::Poll;

pub(crate) const DEVICE: DeviceId = DeviceId::new(7).unwrap();
pub(crate) const S1F1: StreamFunction = StreamFunction::new(1, 1);
pub(crate) const S6F11: StreamFunction = StreamFunction::new(6, 11);

pub(crate) type Plain<'b> = Link<'b, NoopRawMutex>;

/// Both ends, running.
pub(crate) struct Scene<'s, 'b> {
    pub(crate) host: &'s Plain<'b>,
    pub(crate) equipment: &'s Plain<'b>,
    pub(crate) network: &'s Network,
}

/// The settings of both ends: the defaults, without linktests of their own.
pub(crate) fn quiet(config: Config) -> Config {
    config.with_linktest_period(core::time::Duration::ZERO).unwrap()
}

/// Runs `test` with both ends selected, over streams that hold `room` octets.
pub(crate) fn selected<R>(room: usize, test: impl AsyncFnOnce(&Scene<'_, '_>) -> R) -> R {
    selected_with(room, Limits::default(), test)
}

/// The same with other limits at both ends.
pub(crate) fn selected_with<R>(room: usize, limits: Limits, test: impl AsyncFnOnce(&Scene<'_, '_>) -> R) -> R {
    selected_lent(room, 128, limits, test)
}

/// The same with so many octets of output at both ends.
pub(crate) fn selected_lent<R>(
    room: usize,
    output: usize,
    limits: Limits,
    test: impl AsyncFnOnce(&Scene<'_, '_>) -> R,
) -> R {
    let [mut ours, mut theirs] = [(); 2].map(|()| ([0; 64], [0; 64], vec![0; output]));
    let host = Plain::new(quiet(Config::host(DEVICE)), lend(&mut ours)).unwrap().with_limits(limits);
    let equipment = Plain::new(quiet(Config::equipment(DEVICE)), lend(&mut theirs)).unwrap().with_limits(limits);
    let network = Network::new(room);
    let tasks: Vec<Task<'_>> = vec![
        Box::pin(async {
            host.run(Dial(&network)).await.map(|_| ()).unwrap();
        }),
        Box::pin(async {
            equipment.run(Listen(&network)).await.map(|_| ()).unwrap();
        }),
    ];
    run_with(tasks, async {
        equipment.enable();
        host.enable();
        let scene = Scene { host: &host, equipment: &equipment, network: &network };
        scene.both_selected().await;
        test(&scene).await
    })
}

fn lend((input, inbox, output): &mut ([u8; 64], [u8; 64], Vec<u8>)) -> Storage<'_> {
    Storage { input, inbox, output }
}

impl Scene<'_, '_> {
    pub(crate) async fn both_selected(&self) {
        // One may not know yet that the other has gone, and one is selected before the other.
        while [self.host, self.equipment].iter().any(|end| end.state() != State::Selected) {
            self.host.reached(State::Selected).await.unwrap();
            self.equipment.reached(State::Selected).await.unwrap();
        }
    }

    /// Ten requests of the host and ten events of the equipment, all at once, while both [echo](echo) and keep what they see: none is
    /// lost, none comes twice.
    pub(crate) async fn ten_each_way(&self, seen: &Seen) {
        self.both_selected().await;
        let requests = async {
            let mut buffer = [0; 64];
            for n in 0..10_u8 {
                let text = [0xAA, n];
                let reply = self.host.request(S1F1, &text, &mut buffer).await.unwrap();
                assert_eq!(reply.body, text);
            }
        };
        let events = async {
            for n in 0..10_u8 {
                self.equipment.send(S6F11, &[0xBB, n]).await.unwrap();
            }
            // Behind them: when this is answered they have arrived.
            self.equipment.linktest().await.unwrap();
        };
        apart::join(requests, events).await;
        for (seen, tag) in seen.iter().zip([0xAA, 0xBB]) {
            let mut seen = seen.borrow_mut();
            let from = seen.len().checked_sub(10).expect("one of the ten was lost");
            let ten = seen.split_off(from);
            assert_eq!(ten, (0..10).map(|n| vec![tag, n]).collect::<Vec<_>>());
        }
    }

    /// Both ends answer with an echo, and keep what they see.
    pub(crate) async fn both_echo(&self, seen: &Seen) {
        apart::join(echo(self.equipment, &seen[0]), echo(self.host, &seen[1])).await;
    }
}

/// The texts that the equipment and the host have seen.
pub(crate) type Seen = [RefCell<Vec<Vec<u8>>>; 2];

/// Answers every primary with its own text, and keeps the texts.
pub(crate) async fn echo(link: &Plain<'_>, seen: &RefCell<Vec<Vec<u8>>>) {
    let mut buffer = [0; 2000];
    loop {
        match link.receive(&mut buffer).await {
            Ok(primary) => {
                seen.borrow_mut().push(primary.body.to_vec());
                if let Some(token) = primary.token {
                    // Where the connection has ended meanwhile, its sender knows.
                    let _ = link.reply(&token, primary.body).await;
                }
            }
            Err(Error::Cut { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Drops `work` when it has been pending `pendings` times; gives its result where it ended before.
pub(crate) async fn dropped_after<R>(pendings: u32, work: impl Future<Output = R>) -> Option<R> {
    dropped_once(&Cell::new(pendings), work).await
}

/// The same for one of several futures, whichever it is when none is left of `left`; the others are not dropped.
pub(crate) async fn dropped_once<R>(left: &Cell<u32>, work: impl Future<Output = R>) -> Option<R> {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| match (work.as_mut().poll(cx), left.get().checked_sub(1)) {
        (Poll::Ready(result), _) => Poll::Ready(Some(result)),
        (Poll::Pending, None) => {
            left.set(u32::MAX);
            Poll::Ready(None)
        }
        (Poll::Pending, Some(rest)) => {
            left.set(rest);
            Poll::Pending
        }
    })
    .await
}
