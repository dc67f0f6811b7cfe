//! A link that two threads use at once, as two cores do, or an interrupt and what it interrupts: one runs it, the other calls it.

use crate::kit::pipe::{Dial, Listen, Network};
use crate::kit::scene::{DEVICE, Plain, S1F1, beside, echo, quiet};
use embassy_futures::join::join;
use embassy_futures::select::select;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_time::{Duration, with_timeout};
use hsms_embassy::hsms_core::connection::State;
use hsms_embassy::{Buffers, Config, Error, Limits, Link};
use std::cell::RefCell;

/// With all of it: a test that hangs is one that fails.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_caller_that_is_faster_than_the_link_between_two_of_its_steps_is_not_waited_for() {
    const ROUNDS: u8 = 50;
    // However slow the machine is, nobody here is late.
    let hour = Duration::from_secs(3600);
    let limits = Limits { write: hour, unread: hour, ..Limits::default() };
    let (mut ours, mut theirs) = (Buffers::<64, 64, 128>::new(), Buffers::<64, 4096, 8192>::new());
    let host = Link::<CriticalSectionRawMutex>::new(quiet(Config::host(DEVICE)), ours.lend()).unwrap();
    let host = host.with_limits(limits);
    let equipment = Plain::new(quiet(Config::equipment(DEVICE)), theirs.lend()).unwrap().with_limits(limits);
    let (network, seen) = (Network::new(4096), RefCell::new(Vec::new()));
    // Polls without a pause, so that it finds every gap: the text comes in many times as many pieces as there are rounds.
    let call = || {
        embassy_futures::block_on(async {
            let mut buffer = [0; 2000];
            for round in 0..ROUNDS {
                let reply = host.request(S1F1, &[round; 2000], &mut buffer).await?;
                assert_eq!(reply.body, [round; 2000]);
            }
            host.disable();
            Ok::<(), Error>(())
        })
    };
    std::thread::scope(|threads| {
        let links = join(host.run(Dial(&network)), equipment.run(Listen(&network)));
        let work = async {
            equipment.enable();
            host.enable();
            host.reached(State::Selected).await.unwrap();
            let caller = threads.spawn(call);
            host.reached(State::NotConnected).await.unwrap();
            caller
        };
        let all = with_timeout(PATIENCE, beside(work, select(links, echo(&equipment, &seen))));
        // Where it is late the link is dropped, and with it the caller ends.
        let caller = smol::block_on(all).expect("it hangs");
        caller.join().unwrap().unwrap();
    });
    assert_eq!(seen.into_inner().len(), usize::from(ROUNDS));
}
