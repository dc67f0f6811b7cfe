//! What becomes of services when a future is dropped at one of its awaits, at each of them: ten requests each way are answered afterwards, over
//! the same link, or over the next where the documentation of the function says so.

use crate::kit::scene::{DEVICE, S1F1, S6F11, beside, dropped_after, dropped_once};
use crate::kit::services::{
    Duty, Ends, LONG, Machine, SECOND, Services, communicating, fill, guarded, joined, plain, serve, usual,
    with_services,
};
use embassy_futures::join::{join, join_array};
use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::Timer;
use hsms_embassy::hsms_core::connection::{State, Stream9};
use hsms_embassy::services::{Call, EndpointNotice, Error, SendError, ServiceId, Status, Told};
use hsms_embassy::{Buffers, Config, Link, StreamFunction};
use std::cell::{Cell, RefCell};
use std::future::Future;

/// More pendings than any of these futures has.
const MOST: u32 = 400;

/// Octets that a stream in these tests holds: few, so that every write and read is many.
const ROOM: usize = 5;

const DATA: &[u8] = b"\xb1\x04\0\0\0\x05";
const TEXT: &[u8] = b"\x01\0";
const SECRET: &[u8] = b"sixteen octets!!";

/// Drops what `test` makes after each number of pendings until it completes; `test` tells whether it did. Both ends serve behind it, and
/// beside it unless it serves itself. Gives over how many connections each went.
fn each_drop(
    ends: impl Fn() -> [Machine; 2],
    serves: bool,
    test: impl AsyncFn(&Ends<'_, '_, '_>, u32) -> bool,
) -> Vec<u32> {
    let mut connections = Vec::new();
    for pendings in 0..MOST {
        let mut ends = ends();
        for end in &mut ends {
            end.handle_service(Some(ServiceId::READ), None, Duty::Echo).unwrap();
        }
        let completed = joined(ROOM, ends, async |ends| {
            let completed = if serves {
                let completed = test(ends, pendings).await;
                ten(ends).await;
                completed
            } else {
                let completed = ends.served(test(ends, pendings)).await;
                ten(ends).await;
                completed
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

/// Those that the tests have, with a secret or without.
fn ends(guard: bool) -> impl Fn() -> [Machine; 2] {
    let secret = guard.then_some(SECRET);
    move || guarded(usual(), [secret, secret])
}

/// Ten requests each way at the same time: each comes once, and is answered.
async fn ten(ends: &Ends<'_, '_, '_>) {
    let each = async |end: &Services<'_, '_>, tag: u8| {
        for n in 0..10 {
            let (data, mut reply) = ([0x21, 2, tag, n], [0; 64]);
            let answered = end.send(ServiceId::READ, 7, Some(&data), LONG, &mut reply).await;
            assert_eq!(answered, Ok(Some(&data[..])));
        }
    };
    let seen = [const { RefCell::new(Vec::<Vec<u8>>::new()) }; 2];
    let both = join(serve(ends.host, &seen[0]), serve(ends.equipment, &seen[1]));
    beside(join(each(ends.host, 1), each(ends.equipment, 2)), both).await;
    for (seen, tag) in seen.into_iter().zip([2, 1]) {
        let mut seen = seen.into_inner();
        seen.retain(|text| text.starts_with(&[0x21, 2, tag]));
        assert_eq!(seen, (0..10).map(|n| vec![0x21, 2, tag, n]).collect::<Vec<_>>());
    }
}

/// What takes up the link beside a future, which waits for it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Contention {
    None,
    /// Others fill the output.
    Output,
    /// All transactions are open.
    Transactions,
}

const CONTENTIONS: [Contention; 3] = [Contention::None, Contention::Output, Contention::Transactions];

/// What fits half of the output, behind which nothing else does.
const HALF: [u8; 240] = [0xCC; 240];

impl Contention {
    /// To its end, `work` beside it.
    async fn beside<R>(self, end: &Services<'_, '_>, work: impl Future<Output = R>) -> R {
        let link = end.link();
        match self {
            Contention::None => work.await,
            Contention::Output => {
                let sent = join_array([(); 3].map(|()| link.send(S6F11, &HALF)));
                let (sent, result) = join(sent, work).await;
                assert_eq!(sent, [Ok(()); 3]);
                result
            }
            Contention::Transactions => {
                // Answered a second later: the handler of data 8. The services know nothing of them.
                let text = b"\x01\x03\xb1\x04\0\0\0\x08\xa5\x01\0\x21\x01\x09";
                let mut buffers = [[0; 64]; 4];
                let read = StreamFunction::new(64, 11);
                let requests = join_array(buffers.each_mut().map(|reply| link.request(read, text, reply)));
                let (requests, result) = join(requests, work).await;
                assert!(requests.iter().all(Result::is_ok));
                result
            }
        }
    }
}

fn all_on_the_same_link(connections: &[u32]) {
    assert!(connections.iter().all(|connections| *connections == 1), "{connections:?}");
}

/// Drops a sending of the host, with each of what can be in its way. What it sends comes once at most, and once where it completed.
fn each_drop_of_a_sending(text: &[u8], sending: impl AsyncFn(&Ends<'_, '_, '_>, u32) -> Option<bool>) {
    for (guard, contention) in CONTENTIONS.into_iter().flat_map(|it| [(false, it), (true, it)]) {
        let connections = each_drop(ends(guard), true, async |ends, pendings| {
            let seen = RefCell::<Vec<Vec<u8>>>::default();
            let work = async {
                if contention != Contention::None {
                    ends.host.established().await.unwrap();
                }
                let completed = contention.beside(ends.host, sending(ends, pendings)).await;
                // Whatever of it was sent arrives before this is answered, and its reader comes to it.
                ends.host.link().linktest().await.unwrap();
                Timer::after_millis(1).await;
                completed
            };
            let completed =
                beside(work, join(serve(ends.equipment, &seen), serve(ends.host, &RefCell::default()))).await;
            let came = seen.borrow().iter().filter(|seen| **seen == text).count();
            assert!(came <= 1, "twice, dropped after {pendings} pendings beside {contention:?}");
            assert!(completed.is_none() || came == 1, "completed and lost");
            completed.unwrap_or(false)
        });
        all_on_the_same_link(&connections);
    }
}

#[test]
fn a_sending_leaves_the_link_as_it_was() {
    each_drop_of_a_sending(DATA, async |ends, pendings| {
        let mut reply = [0; 64];
        let send = ends.host.send(ServiceId::READ, 7, Some(DATA), LONG, &mut reply);
        dropped_after(pendings, send).await.map(|answered| answered == Ok(Some(DATA)))
    });
    each_drop_of_a_sending(DATA, async |ends, pendings| {
        let tell = ends.host.tell(ServiceId::READ, 7, Some(DATA), LONG);
        dropped_after(pendings, tell).await.map(|told| told == Ok(()))
    });
    each_drop_of_a_sending(TEXT, async |ends, pendings| {
        let mut reply = [0; 64];
        let request = ends.host.request(S1F1, TEXT, LONG, &mut reply);
        dropped_after(pendings, request).await.map(|reply| reply == Ok(TEXT))
    });
    each_drop_of_a_sending(TEXT, async |ends, pendings| {
        let tell = ends.host.tell_primary(S1F1, TEXT, LONG);
        dropped_after(pendings, tell).await.map(|told| told == Ok(()))
    });
}

/// More than there is room for, each dropped: while it waits for the connection, and while its response is awaited.
#[test]
fn sendings_that_are_dropped_give_their_places_back() {
    const MANY: usize = 10;
    joined(100, usual(), async |ends| {
        let mut reply = [0; 64];
        ends.host.link().disable();
        ends.host.link().reached(State::NotConnected).await.unwrap();
        for _ in 0..MANY {
            assert_eq!(dropped_after(0, ends.host.request(S1F1, TEXT, LONG, &mut reply)).await, None);
        }
        ends.host.link().enable();
        ends.host.link().reached(State::Selected).await.unwrap();
        ends.served(async {
            for _ in 0..MANY {
                let send = ends.host.send(ServiceId::READ, 8, Some(DATA), LONG, &mut reply);
                let dropped = select(send, Timer::after_millis(1)).await;
                assert!(matches!(dropped, Either::Second(())), "{dropped:?}");
            }
            assert_eq!(ends.host.request(S1F1, TEXT, LONG, &mut reply).await, Ok(TEXT));
        })
        .await;
    });
}

#[test]
fn a_sending_with_a_long_text_ends_the_link_where_the_text_is_half_written() {
    let connections = each_drop(ends(false), false, async |ends, pendings| {
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
    let connections = each_drop(ends(true), false, async |ends, pendings| {
        let authenticate = dropped_after(pendings, ends.host.authenticate(LONG)).await;
        authenticate.is_some_and(|done| done == Ok(()))
    });
    all_on_the_same_link(&connections);
    let connections = each_drop(ends(true), false, async |ends, pendings| {
        let established = dropped_after(pendings, ends.equipment.established()).await;
        established.is_some_and(|done| done == Ok(()))
    });
    all_on_the_same_link(&connections);
    let connections = each_drop(ends(false), false, async |ends, pendings| {
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
fn waiting_for_communication_changes_nothing() {
    for host_waits in [true, false] {
        let ends = || with_services(communicating([Config::host(DEVICE), Config::equipment(DEVICE)].map(plain)));
        let connections = each_drop(ends, false, async |ends, pendings| {
            ends.equipment.handle_function(Some(1), Some(3), Duty::Echo).unwrap();
            let end = if host_waits { ends.host } else { ends.equipment };
            let waited = dropped_after(pendings, end.communicating()).await;
            let mut reply = [0; 64];
            // Nothing but S1F13 is answered where communication is not established, so it is.
            assert_eq!(ends.host.request(StreamFunction::new(1, 3), TEXT, LONG, &mut reply).await, Ok(TEXT));
            waited.is_some_and(|waited| waited == Ok(()))
        });
        all_on_the_same_link(&connections);
    }
}

#[test]
fn what_is_told_is_there_for_the_next_call() {
    let connections = each_drop(ends(false), false, async |ends, pendings| {
        let unhandled = StreamFunction::new(3, 1);
        let told = dropped_after(pendings, ends.equipment.told());
        let (told, sent) = join(told, ends.host.tell_primary(unhandled, &[], LONG)).await;
        sent.unwrap();
        let completed = told.is_some();
        let told = match told {
            Some(told) => told.unwrap(),
            None => ends.equipment.told().await.unwrap(),
        };
        let is_it = |told: &Told| matches!(told, Told::Notice(EndpointNotice::Unhandled { header }) if header.stream_function() == unhandled);
        assert!(is_it(&told), "{told:?}");
        // Told once.
        let nothing = select(ends.equipment.told(), Timer::after(SECOND)).await;
        assert!(matches!(nothing, Either::Second(())), "{nothing:?}");
        completed
    });
    all_on_the_same_link(&connections);
}

#[test]
fn next_loses_nothing() {
    let connections = each_drop(ends(false), true, async |ends, pendings| {
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

/// An answer waits for the output, and others behind it, until there is no room for one more: then the next message stays where it is.
#[test]
fn next_loses_nothing_while_it_waits_for_room() {
    /// More than there is room for.
    const UNHANDLED: usize = 6;
    let is_report = |text: &Vec<u8>| text.starts_with(&[0x21, 10]);
    let connections = each_drop(ends(false), true, async |ends, pendings| {
        ends.host.handle_function(Some(9), None, Duty::Echo).unwrap();
        // There is room for a frame of the link, which reads on therefore, and not for the status that answers what is not known.
        fill(ends.equipment, 216).await;
        let (seen, completed) = (RefCell::<Vec<Vec<u8>>>::default(), Cell::new(false));
        let reports = || seen.borrow().iter().filter(|text| is_report(text)).count();
        let mut replies = [[0; 64]; 2];
        let [reply, other] = &mut replies;
        let unknown = ends.host.send(ServiceId::new(100).unwrap(), 0, None, LONG, other);
        let send = async {
            for _ in 0..UNHANDLED {
                ends.host.tell_primary(StreamFunction::new(3, 1), &[], LONG).await.unwrap();
            }
            let answered = ends.host.send(ServiceId::READ, 7, Some(DATA), LONG, reply).await;
            while reports() < UNHANDLED {
                Timer::after_millis(1).await;
            }
            answered
        };
        let take = async {
            let mut text = [0; 64];
            match dropped_after(pendings, ends.equipment.next(&mut text)).await {
                Some(Ok(Call::Service { request, .. })) => {
                    completed.set(true);
                    let data = request.data();
                    request.respond(Status::OKAY, data).await.unwrap();
                }
                Some(other) => panic!("{other:?}"),
                None => {}
            }
            serve(ends.equipment, &RefCell::default()).await;
        };
        // It takes nothing of the equipment until that has stood still.
        let host = async {
            Timer::after(SECOND).await;
            serve(ends.host, &seen).await;
        };
        let (unknown, answered) = beside(join(unknown, send), join(take, host)).await;
        assert_eq!(unknown, Err(Error::Sending(SendError::Status(Status::SERVICE_OR_DATA_UNKNOWN))));
        assert_eq!(answered, Ok(Some(DATA)));
        assert_eq!(reports(), UNHANDLED, "each was answered once");
        completed.get()
    });
    all_on_the_same_link(&connections);
}

#[test]
fn a_primary_that_is_read_bit_by_bit_loses_no_octet() {
    let text: Vec<_> = (0..300).map(|at| at as u8).collect();
    for contention in [Contention::None, Contention::Output] {
        let connections = each_drop(ends(false), true, async |ends, pendings| {
            let mut reply = [0; 64];
            let send = ends.host.request(StreamFunction::new(7, 3), &text, LONG, &mut reply);
            let left = Cell::new(pendings);
            let take = async {
                let mut small = [0; 64];
                let Ok(Call::Function { mut primary, .. }) = ends.equipment.next(&mut small).await else {
                    panic!("not what was sent");
                };
                assert_eq!(primary.text(), None);
                let (mut got, mut piece) = (Vec::new(), [0; 11]);
                loop {
                    match dropped_once(&left, primary.read(&mut piece)).await.transpose().unwrap() {
                        // Read on.
                        None => {}
                        Some(0) => break,
                        Some(read) => got.extend_from_slice(&piece[..read]),
                    }
                }
                assert_eq!(got, text);
                primary.reply(TEXT).await.unwrap();
                serve(ends.equipment, &RefCell::default()).await;
            };
            let host_seen = RefCell::default();
            let host = serve(ends.host, &host_seen);
            let send = contention.beside(ends.equipment, send);
            assert_eq!(beside(send, join(take, host)).await, Ok(TEXT));
            left.get() <= pendings
        });
        all_on_the_same_link(&connections);
    }
}

/// Read in part, and let go: the rest of its text is passed by, and its sender is told.
#[test]
fn a_primary_that_is_let_go_in_its_middle_is_a_failure_of_the_handler() {
    let text: Vec<_> = (0..300).map(|at| at as u8).collect();
    let connections = each_drop(ends(false), true, async |ends, pendings| {
        let mut reply = [0; 64];
        let send = ends.host.request(StreamFunction::new(7, 3), &text, LONG, &mut reply);
        let completed = Cell::new(false);
        let take = async {
            let mut small = [0; 64];
            let Ok(Call::Function { mut primary, .. }) = ends.equipment.next(&mut small).await else {
                panic!("not what was sent");
            };
            let read = async {
                let mut piece = [0; 11];
                while primary.read(&mut piece).await.unwrap() > 0 {}
            };
            completed.set(dropped_after(pendings, read).await.is_some());
            drop(primary);
            serve(ends.equipment, &RefCell::default()).await;
        };
        let host_seen = RefCell::default();
        let host = serve(ends.host, &host_seen);
        let outcome = beside(send, join(take, host)).await;
        assert_eq!(outcome, Err(Error::Sending(SendError::Aborted)));
        completed.get()
    });
    all_on_the_same_link(&connections);
}

#[test]
fn an_answer_that_is_dropped_is_one_or_a_failure_of_the_handler() {
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Kind {
        Respond,
        Reply,
        Refuse,
    }
    let kinds = [Kind::Respond, Kind::Reply, Kind::Refuse];
    for (kind, contention) in kinds.into_iter().flat_map(|kind| [(kind, Contention::None), (kind, Contention::Output)])
    {
        let (answers, failures) = (Cell::new(0), Cell::new(0));
        let connections = each_drop(ends(false), true, async |ends, pendings| {
            let mut reply = [0; 64];
            let completed = Cell::new(None);
            let send = async {
                let outcome = match kind {
                    Kind::Respond => ends.host.send(ServiceId::READ, 7, Some(DATA), LONG, &mut reply).await.map(|_| ()),
                    _ => ends.host.request(S1F1, TEXT, LONG, &mut reply).await.map(|reply| assert_eq!(reply, TEXT)),
                };
                while completed.get().is_none() {
                    Timer::after_millis(1).await;
                }
                outcome
            };
            let answer = async {
                let mut text = [0; 64];
                let answer = async {
                    match ends.equipment.next(&mut text).await.unwrap() {
                        Call::Service { request, .. } => {
                            let respond = request.respond(Status::OKAY, Some(DATA));
                            contention.beside(ends.equipment, dropped_after(pendings, respond)).await
                        }
                        Call::Function { primary, .. } if kind == Kind::Reply => {
                            let reply = primary.reply(TEXT);
                            contention.beside(ends.equipment, dropped_after(pendings, reply)).await
                        }
                        Call::Function { primary, .. } => {
                            let refuse = primary.refuse(Stream9::IllegalData);
                            contention.beside(ends.equipment, dropped_after(pendings, refuse)).await
                        }
                    }
                };
                completed.set(Some(answer.await.is_some_and(|answered| answered.is_ok())));
                serve(ends.equipment, &RefCell::default()).await;
            };
            let host_seen = RefCell::default();
            let host = serve(ends.host, &host_seen);
            let outcome = beside(send, join(answer, host)).await;
            let completed = completed.get().unwrap();
            let answered = match (kind, outcome) {
                (Kind::Respond | Kind::Reply, Ok(())) => true,
                (Kind::Respond, Err(Error::Sending(SendError::Status(Status::CALLBACK_ERROR)))) => false,
                (Kind::Reply, Err(Error::Sending(SendError::Aborted))) => false,
                (Kind::Refuse, Err(Error::Sending(SendError::SystemError(_)))) => true,
                (Kind::Refuse, Err(Error::Sending(SendError::Aborted))) => false,
                (_, other) => panic!("{other:?}, dropped after {pendings} pendings"),
            };
            assert!(answered || !completed, "completed, and its sender was told that the handler failed");
            let count = if answered { &answers } else { &failures };
            count.set(count.get() + 1);
            completed
        });
        all_on_the_same_link(&connections);
        assert!(answers.get() > 0);
        // Behind others it waits for its turn, and is no answer where it is dropped then. What was wrong is told before.
        let fails = contention == Contention::Output && kind != Kind::Refuse;
        assert!(!fails || failures.get() > 0, "{kind:?} is never dropped while it waits for its turn");
    }
}

/// Dropped at each of its awaits and called again, with names, a handshake and S1F13 under way.
#[test]
fn a_run_that_is_dropped_and_called_again_carries_on() {
    use crate::kit::executor::{Task, run_with, task};
    use crate::kit::pipe::{Dial, Listen, Network};
    use crate::kit::scene::quiet;
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
                task(host_link.run(Dial(&network))),
                task(equipment_link.run(Listen(&network))),
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
