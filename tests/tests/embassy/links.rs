//! Two links over a network in memory: what they carry, and how they end.

use crate::kit::apart::join;
use crate::kit::executor::{Task, run, run_with, task};
use crate::kit::pipe::{Dial, End, Listen, Network, Reader, Writer, pair};
use crate::kit::scene::{DEVICE, Plain, S1F1, S6F11, Scene, Seen, beside, echo, quiet, selected, selected_with};
use embassy_futures::join::join_array;
use embassy_futures::poll_once;
use embassy_futures::select::select;
use embassy_sync::blocking_mutex::raw::{CriticalSectionRawMutex, NoopRawMutex};
use embassy_sync::signal::Signal;
use embassy_time::{Duration, Instant, Timer};
use hsms_embassy::hsms_core::Error as Refusal;
use hsms_embassy::hsms_core::config::SelectMode;
use hsms_embassy::hsms_core::connection::{
    Admission, CloseReason, ControlRequest, General, SessionEntity, State, TransactionEnd,
};
use hsms_embassy::hsms_core::wire::{SelectStatus, SessionId};
use hsms_embassy::{Buffers, Config, Error, Limits, Link, OpenFailed, Opener, StreamFunction, Told};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

const S7F3: StreamFunction = StreamFunction::new(7, 3);

#[test]
fn requests_of_several_tasks_each_get_their_own_reply() {
    selected(100, async |scene| {
        let seen = Seen::default();
        let requests = [0_u8, 1, 2, 3].map(async |task| {
            let mut buffer = [0; 100];
            for round in 0..50_u8 {
                let text = vec![task; usize::from(round)];
                let reply = scene.host.request(S1F1, &text, &mut buffer).await.unwrap();
                assert_eq!(reply.body, text);
            }
        });
        beside(join_array(requests), scene.both_echo(&seen)).await;
        assert_eq!((seen[0].borrow().len(), seen[1].borrow().len()), (200, 0));
        scene.host.linktest().await.unwrap();
        scene.host.disable();
        scene.equipment.reached(State::NotConnected).await.unwrap();
        assert_eq!(scene.host.last_close(), Some(CloseReason::Disabled));
        assert_eq!(scene.equipment.last_close(), Some(CloseReason::SeparateReceived));
        assert!(!scene.host.is_enabled());
    });
}

#[test]
fn the_active_end_dials_again_after_t5() {
    selected(100, async |scene| {
        for round in 2..6 {
            let start = Instant::now();
            scene.equipment.separate();
            scene.host.reached(State::NotConnected).await.unwrap();
            assert_eq!(scene.host.last_close(), Some(CloseReason::SeparateReceived));
            scene.both_selected().await;
            assert_eq!(start.elapsed(), Duration::from_secs(10), "T5");
            assert_eq!(scene.network.connections(), round);
        }
    });
}

#[test]
fn a_link_that_nobody_answers_is_tried_every_t5_and_can_be_disabled_meanwhile() {
    let mut buffers = Buffers::<64, 64, 64>::new();
    let host = Plain::new(quiet(Config::host(DEVICE)), buffers.lend()).unwrap();
    let attempts = Cell::new(0);
    struct Nobody<'a>(&'a Cell<u32>);
    impl Opener for Nobody<'_> {
        type Reader<'t>
            = Reader
        where
            Self: 't;
        type Writer<'t>
            = Writer
        where
            Self: 't;
        async fn open(&mut self) -> Result<End, OpenFailed> {
            self.0.set(self.0.get() + 1);
            Err(OpenFailed)
        }
        async fn close(&mut self) {}
    }
    let tasks: Vec<Task<'_>> = vec![task(host.run(Nobody(&attempts)))];
    run_with(tasks, async {
        host.enable();
        Timer::at(Instant::from_millis(99_999)).await;
        assert_eq!(attempts.get(), 10);
        host.disable();
        Timer::at(Instant::from_secs(1000)).await;
        assert_eq!(attempts.get(), 10);
        // Being refused changes nothing: the first still runs it.
        for _ in 0..2 {
            let second = poll_once(host.run(Nobody(&attempts)));
            assert!(matches!(second, Poll::Ready(Err(Error::Running))), "{second:?}");
        }
    });
}

#[test]
fn a_caller_beyond_the_first_is_told_that_the_place_is_taken() {
    use embedded_io_async::{Read, Write};
    let (mut lent, ((reader, writer), (mut far_reader, mut far_writer))) = (Buffers::<64, 0, 64>::new(), pair(100));
    let link = Plain::refusing(quiet(Config::equipment(DEVICE)), lent.lend()).unwrap();
    let tasks: Vec<Task<'_>> = vec![Box::pin(async {
        link.run_over(reader, writer).await.unwrap();
    })];
    run_with(tasks, async {
        far_writer.write_all(b"\0\0\0\x0a\xff\xff\0\0\0\x01\0\0\0\x07").await.unwrap();
        let mut frame = [0; 14];
        far_reader.read_exact(&mut frame).await.unwrap();
        assert_eq!(&frame, b"\0\0\0\x0a\xff\xff\0\x01\0\x02\0\0\0\x07", "Select.rsp, status 1");
        assert_eq!(far_reader.read(&mut frame).await.unwrap(), 0);
    });
}

#[test]
fn linktests_go_out_in_their_period_and_find_a_peer_that_is_gone() {
    let (mut ours, ends) = (Buffers::<64, 64, 64>::new(), pair(100));
    let host = Plain::new(Config::host(DEVICE), ours.lend()).unwrap();
    let ((reader, writer), (mut far_reader, mut far_writer)) = ends;
    let tasks: Vec<Task<'_>> = vec![Box::pin(async {
        assert_eq!(host.run_over(reader, writer).await.unwrap(), CloseReason::T6(ControlRequest::Linktest));
    })];
    run_with(tasks, async {
        use embedded_io_async::{Read, Write};
        host.enable();
        let mut frame = [0; 14];
        far_reader.read_exact(&mut frame).await.unwrap();
        frame[9] = 2; // Select.rsp
        far_writer.write_all(&frame).await.unwrap();
        for round in 1..4 {
            far_reader.read_exact(&mut frame).await.unwrap();
            assert_eq!((frame[9], Instant::now()), (5, Instant::from_secs(30 * round)), "Linktest.req");
            if round < 3 {
                frame[9] = 6;
                far_writer.write_all(&frame).await.unwrap();
            }
        }
        host.reached(State::NotConnected).await.unwrap();
        assert_eq!(Instant::now(), Instant::from_secs(95));
    });
}

#[test]
fn a_request_ends_with_t3_and_its_place_is_free() {
    selected(100, async |scene| {
        let mut buffer = [0; 10];
        let start = Instant::now();
        // Four of the peer's primaries fit into the inbox, unread.
        for _ in 0..3 {
            let error = scene.host.request(S1F1, &[], &mut buffer).await.unwrap_err();
            let Error::NoReply { end: TransactionEnd::T3, stream_function: S1F1, .. } = error else {
                panic!("{error}")
            };
        }
        assert_eq!(start.elapsed(), Duration::from_secs(135));
    });
}

#[test]
fn a_fifth_request_is_refused_and_so_is_a_ninth_call() {
    selected(100, async |scene| {
        let request = async || {
            let mut buffer = [0; 10];
            scene.host.request(S1F1, &[], &mut buffer).await.map(|_| ())
        };
        let four = join_array([(); 4].map(|()| request()));
        let more = async {
            let error = request().await.unwrap_err();
            assert_eq!(error, Error::Refused(Refusal::TransactionsFull { open: 4 }));
            let waiting = join_array([(); 4].map(|()| scene.host.reached(State::NotConnected)));
            let ninth = async {
                let error = scene.host.linktest().await.unwrap_err();
                assert_eq!(error, Error::TooManyCalls { places: 8 });
                scene.equipment.disable();
            };
            join(waiting, ninth).await
        };
        let (four, _) = join(four, more).await;
        for error in four {
            assert!(matches!(error, Err(Error::NoReply { end: TransactionEnd::SessionEnded, .. })), "{error:?}");
        }
    });
}

#[test]
fn what_nobody_takes_is_refused_in_time_and_then_at_once() {
    selected(1000, async |scene| {
        let start = Instant::now();
        for n in 0..4_u8 {
            scene.host.send(S6F11, &[n]).await.unwrap();
        }
        let request = async || {
            let mut buffer = [0; 10];
            scene.host.request(S1F1, &[9], &mut buffer).await.map(|reply| reply.body.to_vec())
        };
        let error = request().await.unwrap_err();
        let Error::Aborted { header } = error else { panic!("{error}") };
        assert_eq!(start.elapsed(), Limits::default().unread);
        assert!(header.stream_function().is_abort());
        assert!(matches!(request().await.unwrap_err(), Error::Aborted { .. }));
        assert_eq!(start.elapsed(), Limits::default().unread, "at once");
        // The four are there, and what comes now is taken.
        let seen = RefCell::new(Vec::new());
        beside(
            async {
                scene.host.linktest().await.unwrap();
                let reply = request().await.unwrap();
                assert_eq!(reply, [9]);
            },
            echo(scene.equipment, &seen),
        )
        .await;
        assert_eq!(seen.into_inner(), [[0], [1], [2], [3], [9]]);
        let mut dropped = 0;
        loop {
            match scene.equipment.told().await.unwrap() {
                Told::Dropped(header) => {
                    assert_eq!(header.stream_function(), S1F1);
                    dropped += 1;
                    if dropped == 2 {
                        break;
                    }
                }
                Told::Closed(reason) => panic!("{reason}"),
                _ => {}
            }
        }
    });
}

/// The same where it is octets that there is no room for.
#[test]
fn a_text_beyond_what_nobody_takes_is_refused_in_time_and_then_at_once() {
    selected(1000, async |scene| {
        let start = Instant::now();
        // As much as the inbox holds.
        scene.host.send(S6F11, &[7; 64]).await.unwrap();
        for _ in 0..3 {
            let mut buffer = [0; 10];
            let error = scene.host.request(S1F1, &[9; 40], &mut buffer).await.unwrap_err();
            assert!(matches!(error, Error::Aborted { .. }), "{error}");
            assert_eq!(start.elapsed(), Limits::default().unread, "and at once from the second on");
            scene.host.linktest().await.unwrap();
        }
        // What was there still is, and what comes now is taken.
        let mut buffer = [0; 64];
        let kept = scene.equipment.receive(&mut buffer).await.unwrap();
        assert_eq!(kept.body, [7; 64]);
        let seen = RefCell::new(Vec::new());
        let request = async {
            let mut buffer = [0; 40];
            scene.host.request(S1F1, &[9; 40], &mut buffer).await.unwrap();
        };
        beside(request, echo(scene.equipment, &seen)).await;
        assert_eq!(seen.into_inner(), [[9; 40]]);
    });
}

#[test]
fn a_linktest_is_answered_while_primaries_wait() {
    selected(1000, async |scene| {
        for n in 0..4_u8 {
            scene.host.send(S6F11, &[n]).await.unwrap();
        }
        let start = Instant::now();
        scene.host.linktest().await.unwrap();
        assert_eq!(start.elapsed(), Duration::MIN);
    });
}

#[test]
fn a_text_without_room_is_told_with_what_a_reply_needs() {
    selected(1000, async |scene| {
        let mut buffer = [0; 10];
        let request = scene.host.request(S1F1, &[7; 30], &mut buffer);
        let serve = async {
            let mut small = [0; 29];
            let error = scene.equipment.receive(&mut small).await.unwrap_err();
            let Error::NoRoom { header, token: Some(token), needed: 30 } = error else { panic!("{error}") };
            assert_eq!(header.stream_function(), S1F1);
            scene.equipment.reply(&token, &[1; 20]).await.unwrap();
        };
        let (reply, ()) = join(request, serve).await;
        assert!(matches!(reply, Err(Error::NoRoom { token: None, needed: 20, .. })), "{reply:?}");
        let seen = Seen::default();
        beside(scene.ten_each_way(&seen), scene.both_echo(&seen)).await;
    });
}

#[test]
fn a_text_of_another_length_than_announced_is_refused_and_ends_the_link() {
    selected(1000, async |scene| {
        let mut writer = scene.host.begin_send(S6F11, 5).await.unwrap();
        let error = writer.write(&[0; 6]).await.unwrap_err();
        assert_eq!(error, Error::BodyLength { announced: 5, left: 5 });
        writer.write(&[0; 4]).await.unwrap();
        assert_eq!(writer.end().await, Err(Error::BodyLength { announced: 5, left: 1 }));
        assert_eq!(scene.host.state(), State::NotConnected);
        assert_eq!(scene.host.last_close(), Some(CloseReason::BodyAborted));
        let seen = Seen::default();
        beside(scene.ten_each_way(&seen), scene.both_echo(&seen)).await;
    });
}

#[test]
fn a_reply_over_a_later_connection_is_refused() {
    selected(1000, async |scene| {
        let mut buffer = [0; 10];
        let request = scene.host.request(S1F1, &[], &mut buffer);
        let serve = async {
            let mut buffer = [0; 10];
            let token = scene.equipment.receive(&mut buffer).await.unwrap().token.unwrap();
            scene.equipment.separate();
            scene.host.reached(State::NotConnected).await.unwrap();
            scene.both_selected().await;
            scene.equipment.reply(&token, &[]).await
        };
        let (reply, late) = join(request, serve).await;
        assert!(matches!(reply, Err(Error::NoReply { end: TransactionEnd::SessionEnded, .. })), "{reply:?}");
        assert_eq!(late, Err(Error::Refused(Refusal::StaleToken)));
    });
}

#[test]
fn a_send_that_the_connection_does_not_live_to_take_is_told() {
    selected(10, async |scene| {
        // Nobody reads more than the input, the inbox and the stream hold.
        let send = scene.host.send(S6F11, &[1; 1000]);
        let close = async {
            Timer::after_secs(1).await;
            scene.host.separate();
        };
        let (sent, ()) = join(send, close).await;
        assert_eq!(sent, Err(Error::Closed { reason: CloseReason::Separated }));
    });
}

#[test]
fn a_request_in_the_middle_of_whose_text_the_connection_ends_is_told() {
    selected(10, async |scene| {
        let mut reply = [0; 10];
        let request = scene.host.request(S1F1, &[1; 1000], &mut reply);
        let close = async {
            Timer::after_secs(1).await;
            scene.equipment.separate();
        };
        let (reply, ()) = join(request, close).await;
        assert_eq!(reply, Err(Error::Closed { reason: CloseReason::SeparateReceived }));
    });
}

/// Not what an executor does.
struct Inline(&'static Link<'static, CriticalSectionRawMutex>);

impl Wake for Inline {
    fn wake(self: Arc<Self>) {
        let _ = self.0.state();
    }
}

#[test]
#[should_panic(expected = "already")]
fn a_waker_that_calls_the_link_panics() {
    let lent = Box::leak(Box::new(Buffers::<64, 64, 64>::new()));
    let link = Box::leak(Box::new(Link::new(Config::equipment(DEVICE), lent.lend()).unwrap()));
    let waker = Waker::from(Arc::new(Inline(link)));
    let (reader, writer) = pair(10).0;
    let mut running = Box::pin(link.run_over(reader, writer));
    assert!(running.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    link.enable();
}

#[test]
fn a_peer_that_takes_nothing_is_left_after_the_limit() {
    let (mut ours, ends) = (Buffers::<64, 64, 64>::new(), pair(20));
    let host = Plain::new(quiet(Config::host(DEVICE)), ours.lend()).unwrap();
    let ((reader, writer), (mut far_reader, mut far_writer)) = ends;
    run(async {
        use embedded_io_async::{Read, Write};
        let test = async {
            host.enable();
            let mut frame = [0; 14];
            far_reader.read_exact(&mut frame).await.unwrap();
            frame[9] = 2;
            far_writer.write_all(&frame).await.unwrap();
            host.reached(State::Selected).await.unwrap();
            let error = host.send(S6F11, &[0; 200]).await.unwrap_err();
            assert_eq!(error, Error::Closed { reason: CloseReason::TransportClosed });
            assert_eq!(Instant::now(), Instant::from_secs(10));
        };
        let (reason, ()) = join(host.run_over(reader, writer), test).await;
        assert_eq!(reason.unwrap(), CloseReason::TransportClosed);
    });
}

/// Sends 10 MiB in pieces, and looks at 10 MiB that come.
#[test]
fn ten_mebibytes_go_both_ways_at_once_through_16_kib() {
    const LEN: u32 = 10 * 1024 * 1024;
    let octet = |at: u32| (at ^ (at >> 8) ^ (at >> 16)) as u8;
    // 16 KiB with what is lent to the calls.
    let (mut ours, mut theirs) = (Buffers::<4096, 4096, 4096>::new(), Buffers::<4096, 4096, 4096>::new());
    let host = Plain::new(quiet(Config::host(DEVICE)), ours.lend()).unwrap();
    let equipment = Plain::new(quiet(Config::equipment(DEVICE)), theirs.lend()).unwrap();
    let network = Network::new(4096);
    let tasks: Vec<Task<'_>> = vec![task(host.run(Dial(&network))), task(equipment.run(Listen(&network)))];
    let send = async |link: &Plain<'_>| {
        let mut writer = link.begin_request(S7F3, LEN).await.unwrap();
        let (mut piece, mut at) = ([0; 2048], 0);
        while writer.left() > 0 {
            for place in &mut piece {
                *place = octet(at);
                at += 1;
            }
            writer.write(&piece).await.unwrap();
        }
        let mut answer = writer.end().unwrap();
        let mut reply = [0; 1];
        assert_eq!(answer.read(&mut reply).await.unwrap(), 1);
        assert_eq!(reply, [42]);
    };
    let receive = async |link: &Plain<'_>| {
        let mut incoming = link.next().await.unwrap();
        let (mut piece, mut at) = ([0; 2048], 0);
        loop {
            let read = incoming.read(&mut piece).await.unwrap();
            if read == 0 {
                break;
            }
            for got in &piece[..read] {
                assert_eq!(*got, octet(at));
                at += 1;
            }
        }
        assert_eq!(at, LEN);
        let token = incoming.token().unwrap();
        drop(incoming);
        link.reply(&token, &[42]).await.unwrap();
    };
    run_with(tasks, async {
        equipment.enable();
        host.enable();
        Scene { host: &host, equipment: &equipment, network: &network }.both_selected().await;
        join(join(send(&host), receive(&equipment)), join(send(&equipment), receive(&host))).await;
        assert_eq!(network.connections(), 1);
    });
}

#[test]
fn a_reader_that_is_slow_stops_the_peer_and_t8_stands_still() {
    let minute = Duration::from_secs(60);
    selected_with(50, Limits { write: minute, unread: minute, ..Limits::default() }, async |scene| {
        let text: Vec<u8> = (0..2000_u32).map(|at| at as u8).collect();
        let mut reply = [0; 4];
        let request = scene.host.request(S7F3, &text, &mut reply);
        let serve = async {
            let mut incoming = scene.equipment.next().await.unwrap();
            let (mut got, mut piece) = (Vec::new(), [0; 100]);
            loop {
                // Nearly twice T8, which would find a peer that stops for so long.
                Timer::after_secs(9).await;
                match incoming.read(&mut piece).await.unwrap() {
                    0 => break,
                    read => got.extend_from_slice(&piece[..read]),
                }
            }
            let token = incoming.token().unwrap();
            drop(incoming);
            scene.equipment.reply(&token, &[1, 2, 3, 4]).await.unwrap();
            got
        };
        let (reply, got) = join(request, serve).await;
        assert_eq!((reply.unwrap().body, got), (&[1, 2, 3, 4][..], text));
        assert!(Instant::now() > Instant::from_secs(100), "many times T8");
        assert_eq!(scene.network.connections(), 1);
    });
}

#[test]
fn a_lost_connection_ends_what_was_open_and_the_next_carries_on() {
    // Select.req, and from the first octet of the request to its last.
    for octets in 15..=14 + 14 + 30 {
        selected(1000, async |scene| {
            scene.network.cut_next(octets);
            scene.host.separate();
            scene.host.reached(State::NotConnected).await.unwrap();
            let seen = Seen::default();
            let all = async {
                let mut buffer = [0; 30];
                scene.host.reached(State::Selected).await.unwrap();
                let _ = scene.host.request(S1F1, &[1; 30], &mut buffer).await;
                scene.host.reached(State::NotConnected).await.unwrap();
                scene.equipment.reached(State::NotConnected).await.unwrap();
                scene.ten_each_way(&seen).await;
            };
            beside(all, scene.both_echo(&seen)).await;
            assert_eq!(scene.network.connections(), 3);
        });
    }
}

#[test]
fn sessions_of_hsms_gs_are_selected_one_by_one() {
    type Many<'b> = Link<'b, NoopRawMutex, 4, 8, General<2>>;
    let (etcher, robot) = (SessionId(7), SessionId(8));
    let entities = |entity: fn(SessionId) -> SessionEntity| General::new(&[entity(etcher), entity(robot)]).unwrap();
    let config = |config: Config| quiet(config).with_select_mode(SelectMode::OnCommand);
    let (mut ours, mut theirs) = (Buffers::<64, 64, 128>::new(), Buffers::<64, 64, 128>::new());
    let host = Many::general(config(Config::host(DEVICE)), entities(SessionEntity::wanted), ours.lend()).unwrap();
    let equipment =
        Many::general(quiet(Config::equipment(DEVICE)), entities(SessionEntity::offered), theirs.lend()).unwrap();
    let network = Network::new(50);
    let tasks: Vec<Task<'_>> = vec![task(host.run(Dial(&network))), task(equipment.run(Listen(&network)))];
    run_with(tasks, async {
        equipment.enable();
        host.enable();
        host.reached(State::NotSelected).await.unwrap();
        host.select_session(etcher).await.unwrap();
        assert!(host.is_selected(etcher) && !host.is_selected(robot));
        assert_eq!(
            host.select_session(etcher).await,
            Err(Error::Refused(Refusal::SessionSelected { session: etcher }))
        );
        host.select_session(robot).await.unwrap();
        let mut buffer = [0; 10];
        assert_eq!(host.request(S1F1, &[], &mut buffer).await, Err(Error::WhichSession));
        assert_eq!(host.send(S1F1, &[]).await, Err(Error::WhichSession));
        assert_eq!(host.begin_request(S1F1, 0).await.map(|_| ()), Err(Error::WhichSession));
        assert_eq!(host.begin_send(S1F1, 0).await.map(|_| ()), Err(Error::WhichSession));
        let serve = async {
            let mut buffer = [0; 10];
            loop {
                let primary = equipment.receive(&mut buffer).await.unwrap();
                equipment.reply(&primary.token.unwrap(), &primary.header.session.0.to_be_bytes()).await.unwrap();
            }
        };
        let requests = async {
            for session in [etcher, robot, etcher] {
                let mut buffer = [0; 10];
                let reply = host.request_in(session, S1F1, &[], &mut buffer).await.unwrap();
                assert_eq!(reply.body, session.0.to_be_bytes());
            }
            host.deselect_session(etcher).await.unwrap();
            let mut buffer = [0; 10];
            assert_eq!(host.request(S1F1, &[], &mut buffer).await.unwrap().body, robot.0.to_be_bytes(), "the only one");
            host.separate_session(robot).await.unwrap();
            host.linktest().await.unwrap();
            assert_eq!((host.state(), equipment.state()), (State::NotSelected, State::NotSelected));
        };
        select(requests, serve).await;
        assert_eq!(host.state(), State::NotSelected);
    });
}

#[test]
fn what_a_select_is_answered_with_is_set_while_the_link_lives() {
    type Many<'b> = Link<'b, NoopRawMutex, 4, 8, General<1>>;
    let (etcher, robot) = (SessionId(7), SessionId(8));
    let (mut ours, mut theirs) = (Buffers::<64, 64, 128>::new(), Buffers::<64, 64, 128>::new());
    let config = quiet(Config::host(DEVICE)).with_select_mode(SelectMode::OnCommand);
    let wanted = General::new(&[SessionEntity::wanted(etcher)]).unwrap();
    let host = Many::general(config, wanted, ours.lend()).unwrap();
    let offered = General::new(&[SessionEntity::offered(etcher)]).unwrap();
    let equipment = Many::general(quiet(Config::equipment(DEVICE)), offered, theirs.lend()).unwrap();
    let network = Network::new(50);
    let tasks: Vec<Task<'_>> = vec![task(host.run(Dial(&network))), task(equipment.run(Listen(&network)))];
    run_with(tasks, async {
        equipment.enable();
        host.enable();
        host.reached(State::NotSelected).await.unwrap();
        assert!(matches!(equipment.set_admission(robot, Admission::Always), Err(Error::Refused(_))));
        equipment.set_admission(etcher, Admission::Refuse(SelectStatus(5))).unwrap();
        let refused = host.select_session(etcher).await;
        assert!(matches!(refused, Err(Error::SessionRefused(_))), "{refused:?}");
        equipment.set_admission(etcher, Admission::Always).unwrap();
        host.select_session(etcher).await.unwrap();
        assert!(equipment.is_selected(etcher));
    });
}

#[test]
fn nobody_is_woken_for_nothing_while_nothing_happens() {
    selected(100, async |scene| {
        let _ = scene.host.config();
        let polls = crate::kit::executor::polls();
        let mut buffer = [0; 10];
        let waits = join(scene.equipment.receive(&mut buffer), scene.host.reached(State::NotConnected));
        select(waits, Timer::after_secs(80_000)).await;
        let polls = crate::kit::executor::polls() - polls;
        assert!(polls < 20, "{polls} polls in 80,000 seconds");
    });
}

#[test]
fn messages_leave_in_the_order_in_which_they_were_asked_for_and_a_turn_that_is_given_up_is_passed_on() {
    for dropped in [false, true] {
        let (mut ours, mut theirs) = (Buffers::<64, 64, 128>::new(), Buffers::<64, 64, 128>::new());
        let host = Plain::new(quiet(Config::host(DEVICE)), ours.lend()).unwrap();
        let equipment = Plain::new(quiet(Config::equipment(DEVICE)), theirs.lend()).unwrap();
        let (network, seen) = (Network::new(100), RefCell::new(Vec::new()));
        let go = Signal::<NoopRawMutex, ()>::new();
        let tasks: Vec<Task<'_>> = vec![
            task(host.run(Dial(&network))),
            task(equipment.run(Listen(&network))),
            Box::pin(echo(&equipment, &seen)),
            Box::pin(async {
                go.wait().await;
                host.send(S6F11, &[3]).await.unwrap();
            }),
        ];
        run_with(tasks, async {
            equipment.enable();
            host.enable();
            host.reached(State::Selected).await.unwrap();
            let mut writer = host.begin_send(S6F11, 1).await.unwrap();
            let mut second = Box::pin(host.send(S6F11, &[2]));
            assert!(poll_once(second.as_mut()).is_pending());
            // The third asks behind it, in a task of its own.
            go.signal(());
            Timer::after_millis(1).await;
            writer.write(&[1]).await.unwrap();
            writer.end().await.unwrap();
            // It was the second's turn, which has not been polled since.
            Timer::after_millis(1).await;
            if dropped {
                drop(second);
            } else {
                second.await.unwrap();
            }
            Timer::after_millis(1).await;
            let expected: &[[u8; 1]] = if dropped { &[[1], [3]] } else { &[[1], [2], [3]] };
            assert_eq!(*seen.borrow(), expected);
        });
    }
}
