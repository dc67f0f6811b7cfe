//! What becomes of a link when a future is dropped at one of its awaits, at each of them: it carries ten messages each way, none is lost and
//! none comes twice. Where a text was half written it is the next link, as the documentation of the functions says.

use crate::kit::apart::join;
use crate::kit::executor::{Task, run_with, task};
use crate::kit::pipe::{self, Dial, Listen, Network, pair};
use crate::kit::scene::{DEVICE, Plain, S1F1, S6F11, Scene, Seen, beside, dropped_after, echo, quiet, selected_lent};
use embassy_futures::join::join_array;
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::Timer;
use hsms_embassy::hsms_core::config::SelectMode;
use hsms_embassy::hsms_core::connection::{
    Admission, CloseReason, Connection, General, Notice, SessionEntity, State, Stream9, TransactionEnd,
};
use hsms_embassy::hsms_core::wire::{Header, PREFIX_LEN, SelectStatus, SessionId, SystemBytes};
use hsms_embassy::{Buffers, Config, Error, Limits, Link, Told};
use std::cell::{Cell, RefCell};

/// More pendings than any of these futures has, and than all that is done with a link.
const MOST: u32 = 400;
const MOST_OF_RUN: u32 = 5000;

/// Octets that a stream in these tests holds: few, so that every write and read is many.
const ROOM: usize = 5;

/// A short text fits half of the output, and the inbox; a long one neither.
const LONG: usize = 300;

/// What both ends are lent, and the octets of the texts that somebody else sends all the while: then the future waits for its turn, and for
/// room.
#[derive(Clone, Copy)]
struct Setup {
    output: usize,
    contended: Option<usize>,
}

const PLAIN: Setup = Setup { output: 128, contended: None };
const LEAST: Setup = Setup { output: 52, contended: None };

/// One that takes half of the output, behind which the link does not read, and one that leaves room for frames of the link.
const FULL: Setup = Setup { contended: Some(50), ..PLAIN };
const ROOMY: Setup = Setup { contended: Some(20), ..PLAIN };

const SETUPS: [Setup; 5] = [PLAIN, LEAST, FULL, ROOMY, Setup { contended: Some(12), ..LEAST }];

/// Messages of who else sends, and what is in them.
const CONTENDING: usize = 3;
const CONTENDER: u8 = 0xCC;

impl Setup {
    /// One that half of the output holds behind its prefix.
    fn short(self) -> Vec<u8> {
        probe((self.output / 2 - PREFIX_LEN).min(20))
    }

    async fn contend(self, link: &Plain<'_>) {
        if let Some(len) = self.contended {
            let text = vec![CONTENDER; len];
            // One is being written, one fills the other half, and the rest wait for their turn.
            let sent = join_array([(); CONTENDING].map(|()| link.send(S6F11, &text))).await;
            assert_eq!(sent, [Ok(()); CONTENDING]);
        }
    }
}

/// How a future ended that may have been dropped.
struct End {
    completed: bool,
    /// Connections since the start; one is that the first lives.
    connections: u32,
    /// What had come in front of the ten, to the equipment and to the host.
    before: [Vec<Vec<u8>>; 2],
}

/// Drops what `test` makes after each number of pendings until it completes; `test` tells whether it did. Gives how each ended. Both ends
/// echo all the time, the equipment only behind the test where that receives by itself; then it is the equipment that is tested.
fn each_drop(setup: Setup, receives: bool, test: impl AsyncFn(&Scene<'_, '_>, u32, &Seen) -> bool) -> Vec<End> {
    let mut ends = Vec::new();
    for pendings in 0..MOST {
        let mut end = selected_lent(ROOM, setup.output, Limits::default(), async |scene| {
            let seen = Seen::default();
            let ten = scene.ten_each_way(&seen);
            let tested = if receives { scene.equipment } else { scene.host };
            let all = async { join(setup.contend(tested), test(scene, pendings, &seen)).await.1 };
            let completed = if receives {
                let completed =
                    if setup.contended.is_some() { beside(all, echo(scene.host, &seen[1])).await } else { all.await };
                beside(ten, scene.both_echo(&seen)).await;
                completed
            } else {
                let all = async {
                    let completed = all.await;
                    ten.await;
                    completed
                };
                beside(all, scene.both_echo(&seen)).await
            };
            End { completed, connections: scene.network.connections(), before: seen.map(RefCell::into_inner) }
        });
        let contending = &mut end.before[usize::from(receives)];
        let all = contending.len();
        contending.retain(|text| text.first() != Some(&CONTENDER));
        if setup.contended.is_some() && end.connections == 1 {
            assert_eq!(all - end.before[usize::from(receives)].len(), CONTENDING);
        }
        let completed = end.completed;
        ends.push(end);
        if completed {
            assert!(ends.len() > 1, "it never waits");
            return ends;
        }
    }
    panic!("it waits for ever");
}

/// The first link lived through all of them.
fn all_on_the_same_link(ends: &[End]) {
    for (pendings, end) in ends.iter().enumerate() {
        assert_eq!(end.connections, 1, "dropped after {pendings} pendings");
    }
}

fn probe(len: usize) -> Vec<u8> {
    (0..len).map(|at| at as u8).collect()
}

/// Each message of the test came whole, once at most, and once where it completed.
fn probes_came_whole(ends: &[End], side: usize, text: &[u8]) {
    for (pendings, end) in ends.iter().enumerate() {
        let seen = &end.before[side];
        assert!(seen.iter().all(|seen| seen == text), "dropped after {pendings} pendings: {seen:?}");
        assert!(seen.len() <= 1, "twice, dropped after {pendings} pendings");
        assert!(!end.completed || seen.len() == 1, "completed and lost");
    }
}

/// The link ended where it was dropped early, and from some number of pendings on it did not.
fn only_the_first_ended_the_link(ends: &[End]) {
    let connections: Vec<_> = ends.iter().map(|end| end.connections).collect();
    let (first, last) = (connections[0], connections[connections.len() - 1]);
    assert!(connections.is_sorted_by(|a, b| a >= b) && (first, last) == (2, 1), "{connections:?}");
}

#[test]
fn a_request_with_a_short_text_leaves_the_link_as_it_was() {
    for (setup, named) in SETUPS.into_iter().flat_map(|setup| [(setup, false), (setup, true)]) {
        let text = setup.short();
        let ends = each_drop(setup, false, async |scene, pendings, _| {
            let mut buffer = [0; 20];
            let request = match named {
                false => dropped_after(pendings, scene.host.request(S1F1, &text, &mut buffer)).await,
                true => {
                    let request = scene.host.request_in(DEVICE.session(), S1F1, &text, &mut buffer);
                    dropped_after(pendings, request).await
                }
            };
            request.is_some_and(|reply| reply.unwrap().body == text)
        });
        all_on_the_same_link(&ends);
        probes_came_whole(&ends, 0, &text);
    }
}

#[test]
fn a_request_with_a_long_text_ends_the_link_where_the_text_is_half_written() {
    let text = probe(LONG);
    for setup in [PLAIN, LEAST] {
        let ends = each_drop(setup, false, async |scene, pendings, _| {
            let mut buffer = [0; LONG];
            let request = dropped_after(pendings, scene.host.request(S1F1, &text, &mut buffer)).await;
            request.is_some_and(|reply| reply.unwrap().body == text)
        });
        probes_came_whole(&ends, 0, &text);
        only_the_first_ended_the_link(&ends);
    }
}

#[test]
fn a_send_with_a_short_text_leaves_the_link_as_it_was() {
    for (setup, named) in SETUPS.into_iter().flat_map(|setup| [(setup, false), (setup, true)]) {
        let text = setup.short();
        let ends = each_drop(setup, false, async |scene, pendings, _| {
            let sent = match named {
                false => dropped_after(pendings, scene.host.send(S6F11, &text)).await,
                true => dropped_after(pendings, scene.host.send_in(DEVICE.session(), S6F11, &text)).await,
            };
            sent.is_some_and(|sent| sent.is_ok())
        });
        probes_came_whole(&ends, 0, &text);
        all_on_the_same_link(&ends);
    }
}

#[test]
fn a_send_with_a_long_text_ends_the_link_where_the_text_is_half_written() {
    let text = probe(LONG);
    for setup in [PLAIN, LEAST] {
        let ends = each_drop(setup, false, async |scene, pendings, _| {
            dropped_after(pendings, scene.host.send(S6F11, &text)).await.is_some_and(|sent| sent.is_ok())
        });
        probes_came_whole(&ends, 0, &text);
        only_the_first_ended_the_link(&ends);
    }
}

#[test]
fn a_reply_and_an_abort_leave_the_link_as_it_was() {
    for (setup, abort) in SETUPS.into_iter().flat_map(|setup| [(setup, false), (setup, true)]) {
        let ends = each_drop(setup, true, async |scene, pendings, _| {
            let text = setup.short();
            let mut buffer = [0; 20];
            let request = scene.host.request(S1F1, &text, &mut buffer);
            let reply = async {
                let mut buffer = [0; 20];
                let primary = scene.equipment.receive(&mut buffer).await.unwrap();
                let token = primary.token.unwrap();
                let dropped = match abort {
                    false => dropped_after(pendings, scene.equipment.reply(&token, primary.body)).await,
                    true => dropped_after(pendings, scene.equipment.abort(&token)).await,
                };
                dropped.is_some_and(|sent| sent.is_ok())
            };
            let (result, completed) = join(request, reply).await;
            // Once it waits to be taken it is in the output, and goes out. While it waits for its turn it is not.
            match result {
                Ok(reply) => assert!(!abort && reply.body == text),
                Err(Error::Aborted { .. }) => assert!(abort),
                Err(Error::NoReply { end: TransactionEnd::T3, .. }) => assert!(setup.contended.is_some() && !completed),
                Err(error) => panic!("{error}"),
            }
            completed
        });
        all_on_the_same_link(&ends);
    }
}

#[test]
fn a_reply_that_is_written_bit_by_bit_ends_the_link_where_it_is_dropped() {
    let text = probe(LONG);
    for setup in [PLAIN, LEAST] {
        let ends = each_drop(setup, true, async |scene, pendings, _| {
            let mut buffer = [0; LONG];
            let request = scene.host.request(S1F1, &[], &mut buffer);
            let reply = async {
                let token = scene.equipment.receive(&mut []).await.unwrap().token.unwrap();
                let reply = async {
                    let mut writer = scene.equipment.begin_reply(&token, LONG as u32).await?;
                    for piece in text.chunks(7) {
                        writer.write(piece).await?;
                    }
                    writer.end().await
                };
                dropped_after(pendings, reply).await.is_some_and(|sent: Result<(), Error>| sent.is_ok())
            };
            let (result, completed) = join(request, reply).await;
            match result {
                Ok(reply) => assert_eq!(reply.body, text),
                Err(Error::NoReply { end: TransactionEnd::SessionEnded, .. } | Error::Cut { .. }) => {
                    assert!(!completed);
                }
                Err(error) => panic!("{error}"),
            }
            completed
        });
        only_the_first_ended_the_link(&ends);
    }
}

/// Reports behind one another: behind a text of the same end that is open, and while the output has no room, the machine takes some of them,
/// and the next one waits.
#[test]
fn a_report_of_an_error_that_is_dropped_while_it_waits_is_not_sent() {
    let text = probe(LONG);
    let abouts: Vec<_> = (0..12).map(|n| Header::data(SystemBytes(n), S1F1, true, DEVICE.session())).collect();
    let report = |about: &Header| [&[0x21, 10][..], &about.encode()].concat();
    for behind_a_text in [true, false] {
        let setup = if behind_a_text { ROOMY } else { FULL };
        let taken = RefCell::new(Vec::new());
        let ends = each_drop(setup, true, async |scene, pendings, _| {
            let count = Cell::new(0);
            let reports = async {
                for about in &abouts {
                    scene.equipment.report_error(Stream9::IllegalData, about).await.unwrap();
                    count.set(count.get() + 1);
                }
            };
            let write = async {
                if behind_a_text {
                    let mut writer = scene.equipment.begin_send(S6F11, LONG as u32).await.unwrap();
                    writer.write(&text).await.unwrap();
                    writer.end().await.unwrap();
                }
            };
            let completed = join(write, dropped_after(pendings, reports)).await.1.is_some();
            // Until the host has all of it: it is taken while it arrives.
            scene.equipment.linktest().await.unwrap();
            Timer::after_millis(1).await;
            taken.borrow_mut().push(count.get());
            completed
        });
        all_on_the_same_link(&ends);
        for (pendings, (end, taken)) in ends.iter().zip(taken.into_inner()).enumerate() {
            let reports: Vec<_> = end.before[1].iter().filter(|seen| **seen != text).cloned().collect();
            let expected: Vec<_> = abouts[..taken].iter().map(report).collect();
            assert_eq!(reports, expected, "dropped after {pendings} pendings");
            assert_eq!(end.before[1].len() - reports.len(), usize::from(behind_a_text), "the text came whole");
        }
    }
}

#[test]
fn a_text_whose_beginning_is_dropped_while_it_waits_is_not_begun() {
    let text = probe(LONG);
    for (kind, setup) in [(0, FULL), (1, FULL), (0, ROOMY), (1, ROOMY), (2, ROOMY)] {
        let ends = each_drop(setup, kind == 2, async |scene, pendings, _| {
            let mut reply = [0; LONG];
            match kind {
                0 => match dropped_after(pendings, scene.host.begin_send(S6F11, LONG as u32)).await {
                    None => false,
                    Some(writer) => {
                        let mut writer = writer.unwrap();
                        writer.write(&text).await.unwrap();
                        writer.end().await.unwrap();
                        true
                    }
                },
                1 => match dropped_after(pendings, scene.host.begin_request(S1F1, LONG as u32)).await {
                    None => false,
                    Some(writer) => {
                        let mut writer = writer.unwrap();
                        writer.write(&text).await.unwrap();
                        writer.end().unwrap().read_whole(&mut reply).await.unwrap().body == text
                    }
                },
                _ => {
                    let request = scene.host.request(S1F1, &[], &mut reply);
                    let answer = async {
                        let token = scene.equipment.receive(&mut []).await.unwrap().token.unwrap();
                        let Some(writer) =
                            dropped_after(pendings, scene.equipment.begin_reply(&token, LONG as u32)).await
                        else {
                            // It can still be answered.
                            scene.equipment.reply(&token, &text[..1]).await.unwrap();
                            return false;
                        };
                        let mut writer = writer.unwrap();
                        writer.write(&text).await.unwrap();
                        writer.end().await.unwrap();
                        true
                    };
                    let (reply, completed) = join(request, answer).await;
                    assert_eq!(reply.unwrap().body, &text[..if completed { LONG } else { 1 }]);
                    completed
                }
            }
        });
        all_on_the_same_link(&ends);
        if kind != 2 {
            probes_came_whole(&ends, 0, &text);
        }
    }
}

#[test]
fn the_header_of_an_answer_is_there_for_the_next_who_waits_for_it() {
    let text = probe(LONG);
    for setup in SETUPS {
        let ends = each_drop(setup, false, async |scene, pendings, _| {
            let mut writer = scene.host.begin_request(S1F1, LONG as u32).await.unwrap();
            writer.write(&text).await.unwrap();
            let mut answer = writer.end().unwrap();
            let header = dropped_after(pendings, answer.header()).await;
            let completed = header.is_some();
            let (header, len) = match header {
                Some(header) => header.unwrap(),
                None => answer.header().await.unwrap(),
            };
            assert_eq!((header.system, len as usize), (answer.system(), LONG));
            let mut buffer = [0; LONG];
            assert_eq!(answer.read_whole(&mut buffer).await.unwrap().body, text);
            completed
        });
        all_on_the_same_link(&ends);
        assert!(ends.iter().all(|end| end.before[0] == [text.clone()]));
    }
}

#[test]
fn a_receive_loses_nothing_that_fits_the_inbox() {
    let text = PLAIN.short();
    let ends = each_drop(PLAIN, true, async |scene, pendings, seen| {
        let mut buffer = [0; 20];
        let receive = async {
            let primary = dropped_after(pendings, scene.equipment.receive(&mut buffer)).await?.unwrap();
            seen[0].borrow_mut().push(primary.body.to_vec());
            Some(())
        };
        join(scene.host.send(S6F11, &text), receive).await.1.is_some()
    });
    all_on_the_same_link(&ends);
    probes_came_whole(&ends, 0, &text);
    assert!(ends.iter().all(|end| end.before[0].len() == 1), "none was lost");
}

#[test]
fn a_receive_of_a_longer_text_is_told_to_its_sender_when_it_is_dropped() {
    let text = probe(LONG);
    let ends = each_drop(PLAIN, true, async |scene, pendings, seen| {
        let (mut buffer, mut reply) = ([0; LONG], [0; LONG]);
        let receive = async {
            let primary = dropped_after(pendings, scene.equipment.receive(&mut buffer)).await?.unwrap();
            seen[0].borrow_mut().push(primary.body.to_vec());
            scene.equipment.reply(&primary.token.unwrap(), &[]).await.unwrap();
            Some(())
        };
        let completed = RefCell::new(None);
        let serve = async {
            completed.replace(Some(receive.await.is_some()));
            // Where nothing of it had been read, this gets it.
            echo(scene.equipment, &seen[0]).await;
        };
        let outcome = beside(scene.host.request(S1F1, &text, &mut reply), serve).await;
        let answered = !seen[0].borrow().is_empty();
        match outcome {
            Ok(_) => assert!(answered),
            Err(Error::Aborted { .. }) => assert!(!answered),
            Err(error) => panic!("{error}"),
        }
        completed.into_inner().unwrap()
    });
    all_on_the_same_link(&ends);
    probes_came_whole(&ends, 0, &text);
    assert!(ends.iter().any(|end| end.before[0].is_empty()), "none was dropped in the middle");
}

#[test]
fn a_primary_that_is_read_bit_by_bit_and_dropped_leaves_the_link_as_it_was() {
    let text = probe(LONG);
    let ends = each_drop(PLAIN, true, async |scene, pendings, _| {
        let taken = Cell::new(false);
        let read = async {
            let mut incoming = scene.equipment.next().await.unwrap();
            taken.set(true);
            let (mut got, mut piece) = (Vec::new(), [0; 11]);
            loop {
                match incoming.read(&mut piece).await.unwrap() {
                    0 => return got,
                    read => got.extend_from_slice(&piece[..read]),
                }
            }
        };
        let serve = async {
            let got = dropped_after(pendings, read).await;
            // Before it was taken it is there for the next.
            if !taken.get() {
                drop(scene.equipment.next().await.unwrap());
            }
            got
        };
        let (sent, got) = join(scene.host.send(S6F11, &text), serve).await;
        sent.unwrap();
        got.is_some_and(|got| got == text)
    });
    all_on_the_same_link(&ends);
    assert!(ends.iter().all(|end| end.before[0].is_empty()));
}

#[test]
fn the_calls_that_only_wait_change_nothing() {
    let ends = each_drop(PLAIN, false, async |scene, pendings, _| {
        dropped_after(pendings, scene.host.linktest()).await.is_some_and(|answered| answered.is_ok())
    });
    all_on_the_same_link(&ends);

    let ends = each_drop(PLAIN, false, async |scene, pendings, _| {
        while scene.equipment.told().await.unwrap() != Told::Notice(Notice::Selected) {}
        let separate = async {
            yield_now().await;
            scene.host.separate();
        };
        let told = dropped_after(pendings, scene.equipment.told());
        let told = join(told, separate).await.0.transpose().unwrap();
        let completed = told.is_some();
        // Where it was dropped, the next call gets it.
        let told = match told {
            Some(told) => told,
            None => scene.equipment.told().await.unwrap(),
        };
        assert_eq!(told, Told::Closed(CloseReason::SeparateReceived));
        scene.equipment.reached(State::NotConnected).await.unwrap();
        let reached = dropped_after(pendings, scene.equipment.reached(State::Selected)).await;
        reached.is_some() && completed
    });
    assert!(ends.iter().all(|end| end.connections == 2));
}

#[test]
fn a_text_that_is_written_bit_by_bit_ends_the_link_where_it_is_dropped() {
    let text = probe(LONG);
    let ends = each_drop(PLAIN, false, async |scene, pendings, _| {
        let send = async {
            let mut writer = scene.host.begin_send(S6F11, LONG as u32).await?;
            for piece in text.chunks(7) {
                writer.write(piece).await?;
            }
            writer.end().await
        };
        dropped_after(pendings, send).await.is_some_and(|sent: Result<(), Error>| sent.is_ok())
    });
    probes_came_whole(&ends, 0, &text);
    only_the_first_ended_the_link(&ends);
}

#[test]
fn an_answer_that_is_read_bit_by_bit_and_dropped_leaves_the_link_as_it_was() {
    let text = probe(LONG);
    let ends = each_drop(PLAIN, false, async |scene, pendings, _| {
        let mut writer = scene.host.begin_request(S1F1, LONG as u32).await.unwrap();
        writer.write(&text).await.unwrap();
        let mut answer = writer.end().unwrap();
        let read = async {
            let (mut got, mut piece) = (Vec::new(), [0; 11]);
            loop {
                match answer.read(&mut piece).await.unwrap() {
                    0 => return got,
                    read => got.extend_from_slice(&piece[..read]),
                }
            }
        };
        dropped_after(pendings, read).await.is_some_and(|got| got == text)
    });
    all_on_the_same_link(&ends);
    probes_came_whole(&ends, 0, &text);
}

/// Ten requests in front of the ten each way, through what happens to the link meanwhile. Nothing more where nothing has.
async fn ten_through_all(scene: &Scene<'_, '_>, happened: &Cell<bool>) {
    let (text, seen) = (PLAIN.short(), Seen::default());
    let all = async {
        let mut buffer = [0; 20];
        let mut answered = 0;
        while answered < 10 {
            scene.both_selected().await;
            match scene.host.request(S1F1, &text, &mut buffer).await {
                Ok(reply) => {
                    assert_eq!(reply.body, text);
                    answered += 1;
                }
                Err(Error::Refused(_) | Error::NoReply { .. } | Error::Closed { .. } | Error::Cut { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        if happened.get() {
            scene.ten_each_way(&seen).await;
        }
    };
    beside(all, scene.both_echo(&seen)).await;
    let seen = seen.map(RefCell::into_inner);
    assert!(seen.iter().flatten().all(|seen| *seen == text));
}

#[test]
fn a_run_that_is_dropped_and_called_again_carries_on_with_the_next_link() {
    for active in [true, false] {
        let mut completed = false;
        for pendings in 0..MOST_OF_RUN {
            let (mut ours, mut theirs) = (Buffers::<64, 64, 128>::new(), Buffers::<64, 64, 128>::new());
            let host = Plain::new(quiet(Config::host(DEVICE)), ours.lend()).unwrap();
            let equipment = Plain::new(quiet(Config::equipment(DEVICE)), theirs.lend()).unwrap();
            let network = Network::new(ROOM);
            let dropped = Cell::new(false);
            let tasks: Vec<Task<'_>> = vec![
                Box::pin(async {
                    if active {
                        assert!(dropped_after(pendings, host.run(Dial(&network))).await.is_none());
                        dropped.set(true);
                    }
                    host.run(Dial(&network)).await.map(|_| ()).unwrap();
                }),
                Box::pin(async {
                    if !active {
                        assert!(dropped_after(pendings, equipment.run(Listen(&network))).await.is_none());
                        dropped.set(true);
                    }
                    equipment.run(Listen(&network)).await.map(|_| ()).unwrap();
                }),
            ];
            run_with(tasks, async {
                equipment.enable();
                host.enable();
                ten_through_all(&Scene { host: &host, equipment: &equipment, network: &network }, &dropped).await;
            });
            assert!(network.connections() <= 3);
            completed = !dropped.get();
            if completed {
                assert_eq!(network.connections(), 1);
                break;
            }
        }
        assert!(completed, "all of it takes more");
    }
}

#[test]
fn a_run_over_a_stream_that_is_dropped_ends_that_stream_and_the_next_carries_on() {
    for active in [true, false] {
        let mut completed = false;
        for pendings in 0..MOST_OF_RUN {
            let (mut ours, mut theirs) = (Buffers::<64, 64, 128>::new(), Buffers::<64, 64, 128>::new());
            // The equipment is not to be tired of waiting for it.
            let config = quiet(Config::host(DEVICE)).with_t5(std::time::Duration::from_secs(1)).unwrap();
            let mut machine = Connection::new(config);
            machine.set_next_system_bytes(SystemBytes(0xFFFF_FFF0));
            let host = Plain::over(machine, ours.lend()).unwrap();
            let equipment = Plain::over(Connection::new(quiet(Config::equipment(DEVICE))), theirs.lend()).unwrap();
            let network = Network::new(ROOM);
            let (near, far): (Vec<_>, Vec<_>) = (0..3).map(|_| pair(ROOM)).unzip();
            let dropped = Cell::new(false);
            let serve = async |link: &Plain<'_>, drops: bool, ends: Vec<pipe::End>| {
                for (at, (reader, writer)) in ends.into_iter().enumerate() {
                    let run = link.run_over(reader, writer);
                    if at > 0 || !drops {
                        run.await.unwrap();
                    } else if dropped_after(pendings, run).await.is_none() {
                        dropped.set(true);
                    }
                }
            };
            let tasks: Vec<Task<'_>> =
                vec![Box::pin(serve(&host, active, near)), Box::pin(serve(&equipment, !active, far))];
            run_with(tasks, async {
                equipment.enable();
                host.enable();
                ten_through_all(&Scene { host: &host, equipment: &equipment, network: &network }, &dropped).await;
            });
            completed = !dropped.get();
            if completed {
                break;
            }
            assert_eq!(host.last_close(), Some(CloseReason::TransportClosed));
        }
        assert!(completed, "all of it takes more");
    }
}

#[test]
fn the_calls_about_sessions_are_with_the_machine_or_not_and_the_link_lives() {
    type Many<'b> = Link<'b, NoopRawMutex, 4, 8, General<1>>;
    let etcher = SessionId(7);
    for call in 0..4 {
        let mut completed = false;
        for pendings in 0..MOST {
            let (mut ours, mut theirs) = (Buffers::<64, 64, 128>::new(), Buffers::<64, 64, 128>::new());
            let config = quiet(Config::host(DEVICE)).with_select_mode(SelectMode::OnCommand);
            let wanted = General::new(&[SessionEntity::wanted(etcher)]).unwrap();
            let asked = SessionEntity::offered(etcher).with_admission(Admission::Ask);
            let host = Many::general(config, wanted, ours.lend()).unwrap();
            let config = quiet(Config::equipment(DEVICE));
            let equipment = Many::general(config, General::new(&[asked]).unwrap(), theirs.lend()).unwrap();
            let network = Network::new(ROOM);
            let tasks: Vec<Task<'_>> = vec![task(host.run(Dial(&network))), task(equipment.run(Listen(&network)))];
            completed = run_with(tasks, async {
                equipment.enable();
                host.enable();
                host.reached(State::NotSelected).await.unwrap();
                let dropped = |this: u8| if call == this { pendings } else { u32::MAX };
                let answer = async {
                    loop {
                        if let Told::Notice(Notice::SelectAsked { session }) = equipment.told().await.unwrap() {
                            let answered = equipment.answer_select(session, SelectStatus::COMMUNICATION_ESTABLISHED);
                            if dropped_after(dropped(3), answered).await.is_none() {
                                let again = equipment.answer_select(session, SelectStatus::COMMUNICATION_ESTABLISHED);
                                again.await.unwrap();
                            }
                        }
                    }
                };
                let work = async {
                    let select = dropped_after(dropped(0), host.select_session(etcher)).await;
                    while !host.is_selected(etcher) || !equipment.is_selected(etcher) {
                        Timer::after_millis(1).await;
                    }
                    let mut buffer = [0; 10];
                    for n in 0..10_u8 {
                        let text = [n];
                        let request = host.request_in(etcher, S1F1, &text, &mut buffer);
                        let serve = async {
                            let mut buffer = [0; 10];
                            let primary = equipment.receive(&mut buffer).await.unwrap();
                            equipment.reply(&primary.token.unwrap(), primary.body).await.unwrap();
                        };
                        assert_eq!(join(request, serve).await.0.unwrap().body, text);
                    }
                    let end = match call {
                        1 => dropped_after(pendings, host.separate_session(etcher)).await,
                        _ => dropped_after(dropped(2), host.deselect_session(etcher)).await,
                    };
                    while host.is_selected(etcher) || equipment.is_selected(etcher) {
                        Timer::after_millis(1).await;
                    }
                    host.linktest().await.unwrap();
                    // Neither separating nor answering ever has to wait here.
                    call % 2 == 1 || (select.is_some() && end.is_some())
                };
                beside(work, answer).await
            });
            assert_eq!(network.connections(), 1);
            if completed {
                assert!(pendings > 0 || call % 2 == 1);
                break;
            }
        }
        assert!(completed, "it waits for ever");
    }
}

/// Behind a text of the same end that is open, and reports that wait for its end, the machine takes no more commands: each waits.
#[test]
fn a_command_about_a_session_that_is_dropped_while_it_waits_is_not_given() {
    type Many<'b> = Link<'b, NoopRawMutex, 4, 8, General<2>>;
    let (etcher, furnace) = (SessionId(7), SessionId(8));
    for answers in [false, true] {
        let mut completed = false;
        for pendings in 0..MOST {
            let (mut ours, mut theirs) = (Buffers::<64, 64, 128>::new(), Buffers::<64, 64, 128>::new());
            let config = quiet(Config::host(DEVICE)).with_select_mode(SelectMode::OnCommand);
            let wanted = General::new(&[SessionEntity::wanted(etcher), SessionEntity::wanted(furnace)]).unwrap();
            let admission = if answers { Admission::Ask } else { Admission::Always };
            let asked = SessionEntity::offered(furnace).with_admission(admission);
            let offered = General::new(&[SessionEntity::offered(etcher), asked]).unwrap();
            let host = Many::general(config, wanted, ours.lend()).unwrap();
            let equipment = Many::general(quiet(Config::equipment(DEVICE)), offered, theirs.lend()).unwrap();
            let network = Network::new(ROOM);
            let tasks: Vec<Task<'_>> = vec![task(host.run(Dial(&network))), task(equipment.run(Listen(&network)))];
            completed = run_with(tasks, async {
                equipment.enable();
                host.enable();
                host.reached(State::NotSelected).await.unwrap();
                host.select_session(etcher).await.unwrap();
                let seen = RefCell::new(Vec::new());
                let select = async {
                    if answers {
                        host.select_session(furnace).await.unwrap();
                    }
                };
                let work = async {
                    if answers {
                        let asked = Told::Notice(Notice::SelectAsked { session: furnace });
                        while equipment.told().await.unwrap() != asked {}
                    } else {
                        host.select_session(furnace).await.unwrap();
                    }
                    let command = async || match answers {
                        false => equipment.separate_session(furnace).await,
                        true => equipment.answer_select(furnace, SelectStatus::COMMUNICATION_ESTABLISHED).await,
                    };
                    let about = Header::data(SystemBytes(9), S1F1, true, etcher);
                    let reports = async {
                        for _ in 0..8 {
                            equipment.report_error(Stream9::IllegalData, &about).await.unwrap();
                        }
                    };
                    let text = probe(LONG);
                    let send = equipment.send_in(etcher, S6F11, &text);
                    let given = dropped_after(pendings, command());
                    let (sent, ((), given)) = join(send, join(reports, given)).await;
                    sent.unwrap();
                    // Behind all of them: where the command was given, the host knows of it.
                    equipment.linktest().await.unwrap();
                    let completed = given.transpose().unwrap().is_some();
                    assert_eq!(host.is_selected(furnace), answers == completed, "dropped after {pendings} pendings");
                    if !completed {
                        command().await.unwrap();
                        equipment.linktest().await.unwrap();
                        assert_eq!(host.is_selected(furnace), answers);
                    }
                    for n in 0..10 {
                        equipment.send_in(etcher, S6F11, &[n]).await.unwrap();
                    }
                    equipment.linktest().await.unwrap();
                    completed
                };
                let receive = async {
                    let mut buffer = [0; LONG];
                    loop {
                        let primary = host.receive(&mut buffer).await.unwrap();
                        seen.borrow_mut().push(primary.body.to_vec());
                    }
                };
                let completed = beside(async { join(select, work).await.1 }, receive).await;
                let seen = seen.into_inner();
                assert_eq!(seen.len(), 1 + 8 + 10);
                assert_eq!(seen[9..], (0..10).map(|n| vec![n]).collect::<Vec<_>>());
                completed
            });
            assert_eq!(network.connections(), 1);
            if completed {
                assert!(pendings > 0, "it never waits");
                break;
            }
        }
        assert!(completed, "it waits for ever");
    }
}
