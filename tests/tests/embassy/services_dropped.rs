//! What becomes of services when a future is dropped at one of its awaits, at each of them: ten requests each way are answered afterwards, over
//! the same link, or over the next where the documentation of the function says so.

use crate::kit::scene::{beside, dropped_after};
use crate::kit::services::{Duty, Ends, LONG, SECOND, Services, guarded, joined, serve, usual};
use embassy_futures::join::join;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::Timer;
use hsms_embassy::hsms_core::connection::{State, Stream9};
use hsms_embassy::services::{Call, Error, SendError, ServiceId, Status};
use hsms_embassy::{Buffers, Config, Link, StreamFunction};
use std::cell::RefCell;

/// More pendings than any of these futures has.
const MOST: u32 = 400;

/// Octets that a stream in these tests holds: few, so that every write and read is many.
const ROOM: usize = 5;

const DATA: &[u8] = b"\xb1\x04\0\0\0\x05";
const S1F1: StreamFunction = StreamFunction::new(1, 1);
const SECRET: &[u8] = b"sixteen octets!!";

/// Drops what `test` makes after each number of pendings until it completes; `test` tells whether it did. Both ends serve behind it, and
/// beside it unless it serves itself. Gives over how many connections each went.
fn each_drop(guard: bool, serves: bool, test: impl AsyncFn(&Ends<'_, '_, '_>, u32) -> bool) -> Vec<u32> {
    let mut connections = Vec::new();
    for pendings in 0..MOST {
        let secret = guard.then_some(SECRET);
        let mut ends = guarded(usual(), [secret, secret]);
        ends[0].handle_service(Some(ServiceId::READ), None, Duty::Echo).unwrap();
        let completed = joined(ROOM, ends, async |ends| {
            let completed = if serves {
                let completed = test(ends, pendings).await;
                ends.served(ten(ends)).await;
                completed
            } else {
                ends.served(async {
                    let completed = test(ends, pendings).await;
                    ten(ends).await;
                    completed
                })
                .await
            };
            connections.push(ends.network.connections());
            completed
        });
        if completed {
            assert!(connections.len() > 1, "it never waits");
            return connections;
        }
    }
    panic!("it waits for ever");
}

/// Ten requests each way at the same time.
async fn ten(ends: &Ends<'_, '_, '_>) {
    let each = async |end: &Services<'_, '_>, tag: u8| {
        for n in 0..10 {
            let (data, mut reply) = ([0x21, 2, tag, n], [0; 64]);
            let answered = end.send(ServiceId::READ, 7, Some(&data), LONG, &mut reply).await;
            assert_eq!(answered, Ok(Some(&data[..])));
        }
    };
    join(each(ends.host, 1), each(ends.equipment, 2)).await;
}

fn all_on_the_same_link(connections: &[u32]) {
    assert!(connections.iter().all(|connections| *connections == 1), "{connections:?}");
}

#[test]
fn a_sending_leaves_the_link_as_it_was() {
    for guard in [false, true] {
        let connections = each_drop(guard, false, async |ends, pendings| {
            let mut reply = [0; 64];
            let send = ends.host.send(ServiceId::READ, 7, Some(DATA), LONG, &mut reply);
            dropped_after(pendings, send).await.is_some_and(|answered| answered == Ok(Some(DATA)))
        });
        all_on_the_same_link(&connections);
        let connections = each_drop(guard, false, async |ends, pendings| {
            let tell = ends.host.tell(ServiceId::READ, 7, Some(DATA), LONG);
            dropped_after(pendings, tell).await.is_some_and(|told| told == Ok(()))
        });
        all_on_the_same_link(&connections);
        let connections = each_drop(guard, false, async |ends, pendings| {
            let mut reply = [0; 64];
            let request = ends.host.request(S1F1, b"\x01\0", LONG, &mut reply);
            dropped_after(pendings, request).await.is_some_and(|reply| reply == Ok(b"\x01\0"))
        });
        all_on_the_same_link(&connections);
    }
}

#[test]
fn a_sending_with_a_long_text_ends_the_link_where_the_text_is_half_written() {
    let connections = each_drop(false, false, async |ends, pendings| {
        let mut reply = [0; 64];
        let request = ends.host.request(StreamFunction::new(7, 3), &[7; 300], LONG, &mut reply);
        let reply = dropped_after(pendings, request).await;
        // The far end learns of the end of the link a little later.
        Timer::after_millis(1).await;
        reply.is_some_and(|reply| reply == Ok(&[0, 0, 1, 44]))
    });
    let (first, last) = (connections[0], connections[connections.len() - 1]);
    assert!(connections.is_sorted_by(|a, b| a >= b) && (first, last) == (2, 1), "{connections:?}");
}

#[test]
fn the_calls_that_only_wait_change_nothing() {
    let connections = each_drop(true, false, async |ends, pendings| {
        let authenticate = dropped_after(pendings, ends.host.authenticate(LONG)).await;
        authenticate.is_some_and(|done| done == Ok(()))
    });
    all_on_the_same_link(&connections);
    let connections = each_drop(true, false, async |ends, pendings| {
        let established = dropped_after(pendings, ends.equipment.established()).await;
        established.is_some_and(|done| done == Ok(()))
    });
    all_on_the_same_link(&connections);
    let connections = each_drop(false, false, async |ends, pendings| {
        let mut buffer = [0; 64];
        let receive =
            dropped_after(pendings, ends.equipment.receive(Some(ServiceId::EXECUTE), None, LONG, &mut buffer));
        let (kept, told) = join(receive, ends.host.tell(ServiceId::EXECUTE, 7, Some(DATA), LONG)).await;
        told.unwrap();
        let completed = kept.is_some();
        let kept = match kept {
            Some(kept) => kept.unwrap().unwrap().data.map(<[u8]>::to_vec),
            // It is there for the next call.
            None => {
                let mut buffer = [0; 64];
                let kept = ends.equipment.receive(Some(ServiceId::EXECUTE), None, LONG, &mut buffer).await;
                kept.unwrap().unwrap().data.map(<[u8]>::to_vec)
            }
        };
        assert_eq!(kept.as_deref(), Some(DATA));
        completed
    });
    all_on_the_same_link(&connections);
}

#[test]
fn next_loses_nothing() {
    let connections = each_drop(false, true, async |ends, pendings| {
        let mut reply = [0; 64];
        let send = ends.host.send(ServiceId::READ, 7, Some(DATA), LONG, &mut reply);
        let completed = RefCell::new(false);
        let take = async {
            let mut text = [0; 64];
            match dropped_after(pendings, ends.equipment.next(&mut text)).await {
                Some(Ok(Call::Service { request, .. })) => {
                    completed.replace(true);
                    request.respond(Status::OKAY, Some(DATA)).await.unwrap();
                }
                Some(other) => panic!("{other:?}"),
                None => {}
            }
            serve(ends.equipment, &RefCell::default()).await;
        };
        let seen = RefCell::default();
        let host = serve(ends.host, &seen);
        assert_eq!(beside(send, join(take, host)).await, Ok(Some(DATA)));
        completed.into_inner()
    });
    all_on_the_same_link(&connections);
}

#[test]
fn an_answer_that_is_dropped_is_one_or_a_failure_of_the_handler() {
    for refuse in [false, true] {
        let connections = each_drop(false, true, async |ends, pendings| {
            let mut reply = [0; 64];
            let completed = RefCell::new(None);
            let send = async {
                let outcome = match refuse {
                    false => ends.host.send(ServiceId::READ, 7, Some(DATA), LONG, &mut reply).await.map(|_| ()),
                    true => ends.host.request(S1F1, &[], LONG, &mut reply).await.map(|_| ()),
                };
                while completed.borrow().is_none() {
                    Timer::after_millis(1).await;
                }
                outcome
            };
            let answer = async {
                let mut text = [0; 64];
                let call = ends.equipment.next(&mut text).await.unwrap();
                let answered = match call {
                    Call::Service { request, .. } => {
                        dropped_after(pendings, request.respond(Status::OKAY, Some(DATA))).await
                    }
                    Call::Function { primary, .. } => {
                        dropped_after(pendings, primary.refuse(Stream9::IllegalData)).await
                    }
                };
                completed.replace(Some(answered.is_some_and(|answered| answered.is_ok())));
                serve(ends.equipment, &RefCell::default()).await;
            };
            let seen = RefCell::default();
            let host = serve(ends.host, &seen);
            let outcome = beside(send, join(answer, host)).await;
            match outcome {
                Ok(()) => assert!(!refuse),
                Err(Error::Sending(SendError::Status(Status::CALLBACK_ERROR))) => assert!(!refuse),
                Err(Error::Sending(SendError::Aborted | SendError::SystemError(_))) => assert!(refuse),
                Err(error) => panic!("{error}"),
            }
            completed.into_inner().unwrap()
        });
        all_on_the_same_link(&connections);
    }
}

/// Dropped at each of its awaits and called again, with names, a handshake and S1F13 under way.
#[test]
fn a_run_that_is_dropped_and_called_again_carries_on() {
    use crate::kit::executor::{Task, run_with};
    use crate::kit::pipe::{Dial, Listen, Network};
    use crate::kit::scene::{DEVICE, quiet};
    use crate::kit::services::{communicating, plain};
    use hsms_embassy::services::Endpoint;
    for host_is_dropped in [true, false] {
        for pendings in 0..60 {
            let (mut ours, mut theirs) = (Buffers::<64, 128, 512>::new(), Buffers::<64, 128, 512>::new());
            let host_link = Link::<NoopRawMutex>::new(quiet(Config::host(DEVICE)), ours.lend()).unwrap();
            let equipment_link = Link::<NoopRawMutex>::new(quiet(Config::equipment(DEVICE)), theirs.lend()).unwrap();
            let settings = [Config::host(DEVICE), Config::equipment(DEVICE)]
                .map(|config| hsms_embassy::services::EndpointSettings { exchange_names: true, ..plain(config) });
            let [host, equipment] = guarded(communicating(settings), [Some(SECRET); 2]);
            let (host, equipment) = (Endpoint::new(&host_link, host), Endpoint::new(&equipment_link, equipment));
            let network = Network::new(ROOM);
            let run = async |end: &Services<'_, '_>, dropped: bool| {
                if dropped {
                    assert!(dropped_after(pendings, end.run()).await.is_none());
                }
                end.run().await.map(|_| ()).unwrap();
            };
            let tasks: Vec<Task<'_>> = vec![
                Box::pin(async { host_link.run(Dial(&network)).await.map(|_| ()).unwrap() }),
                Box::pin(async { equipment_link.run(Listen(&network)).await.map(|_| ()).unwrap() }),
                Box::pin(run(&host, host_is_dropped)),
                Box::pin(run(&equipment, !host_is_dropped)),
            ];
            run_with(tasks, async {
                equipment_link.enable();
                host_link.enable();
                host_link.reached(State::Selected).await.unwrap();
                equipment.handle_function(Some(1), Some(3), Duty::Echo).unwrap();
                let ends = Ends { host: &host, equipment: &equipment, network: &network };
                ends.served(async {
                    let mut reply = [0; 64];
                    // A handshake that failed is tried again by what waits for it.
                    for _ in 0..20 {
                        let status = StreamFunction::new(1, 3);
                        match host.request(status, b"\x01\0", LONG, &mut reply).await {
                            Ok(text) => {
                                assert_eq!(text, b"\x01\0");
                                return;
                            }
                            Err(Error::Sending(SendError::NotTrusted(_))) => Timer::after(SECOND).await,
                            Err(error) => panic!("{error}, dropped after {pendings}"),
                        }
                    }
                    panic!("never answered, dropped after {pendings}");
                })
                .await;
            });
        }
    }
}
