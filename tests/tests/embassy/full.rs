//! Links whose buffers are full: because the application takes nothing, because the peer takes nothing, or both.

use crate::kit::apart::join;
use crate::kit::executor::{Task, run_with};
use crate::kit::pipe::pair;
use crate::kit::raw::{Raw, against, control, data, with_text};
use crate::kit::scene::{DEVICE, Plain, S1F1, S6F11, beside, quiet, selected};
use embassy_futures::poll_once;
use embassy_futures::select::select;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::{Duration, Instant, Timer};
use embedded_io_async::{Read, Write};
use hsms_embassy::hsms_core::config::SelectMode;
use hsms_embassy::hsms_core::connection::{CloseReason, ControlRequest, General, SessionEntity, State, TransactionEnd};
use hsms_embassy::hsms_core::wire::{Header, SType, SessionId, SystemBytes};
use hsms_embassy::{Buffers, Config, Error, Limits, Link, StreamFunction, Told};
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

/// The least that a link can be lent.
const LEAST: usize = 52;

const S1F2: StreamFunction = StreamFunction::new(1, 2);

type Sends<'l> = [Pin<Box<dyn Future<Output = Result<(), Error>> + 'l>>; 2];

/// Fills an output of 128 octets behind a stream of 60 that nobody reads: the stream takes most of the first message, the other half of the
/// output all of the second.
async fn fill<'l>(link: &'l Plain<'_>) -> Sends<'l> {
    let mut sends = [(); 2].map(|()| Box::pin(link.send(S6F11, &[9; 50])) as Pin<Box<dyn Future<Output = _>>>);
    for send in &mut sends {
        assert!(poll_once(send.as_mut()).is_pending());
        Timer::after_millis(1).await;
    }
    sends
}

/// What `fill` has sent.
async fn drain(raw: &mut Raw) {
    for _ in 0..2 {
        assert_eq!(raw.get().await.1, [9; 50]);
    }
}

/// What there is to be told.
fn all_told(link: &Plain<'_>) -> Vec<Told> {
    std::iter::from_fn(|| match poll_once(link.told()) {
        Poll::Ready(told) => Some(told.unwrap()),
        Poll::Pending => None,
    })
    .collect()
}

#[test]
fn a_peer_that_falls_silent_behind_primaries_that_waited_is_found_by_the_linktest() {
    // Five primaries without text where four have a place, and not an octet behind them.
    against::<256, 64, 128, _>(Config::equipment(DEVICE), 1000, Limits::default(), async |link, mut raw| {
        raw.select().await;
        let five: Vec<u8> = (10..15).flat_map(|system| data(S6F11, false, system, &[])).collect();
        raw.put(&five).await;
        Timer::after_secs(2).await;
        for _ in 0..5 {
            link.receive(&mut []).await.unwrap();
        }
        link.reached(State::NotConnected).await.unwrap();
        assert_eq!(link.last_close(), Some(CloseReason::T6(ControlRequest::Linktest)));
        // The period and T6 from when it read again.
        assert_eq!(Instant::now(), Instant::from_secs(2 + 30 + 5));
    });
}

#[test]
fn a_primary_is_refused_with_the_least_output_there_is() {
    against::<64, 64, LEAST, _>(quiet(Config::equipment(DEVICE)), 1000, Limits::default(), async |link, mut raw| {
        raw.select().await;
        for system in 10..15 {
            raw.put(&data(S1F1, true, system, &[])).await;
        }
        let (refusal, _) = raw.get().await;
        assert!(refusal.stream_function().is_abort());
        assert_eq!((refusal.system, Instant::now()), (SystemBytes(14), Instant::from_secs(5)));
        raw.put(&control(&Header::linktest_req(SystemBytes(20)))).await;
        let (answer, _) = raw.get().await;
        assert_eq!((answer.stype, answer.system), (SType::LINKTEST_RSP, SystemBytes(20)));
        while !matches!(link.told().await.unwrap(), Told::Dropped(_)) {}
        assert!(Instant::now() - Instant::from_secs(5) < Duration::from_secs(1));
    });
}

#[test]
fn a_reply_that_comes_while_the_output_is_full_is_read_when_it_is_not() {
    against::<64, 64, 128, _>(quiet(Config::equipment(DEVICE)), 60, Limits::default(), async |link, mut raw| {
        raw.select().await;
        let mut answer = link.begin_request(S1F1, 0).await.unwrap().end().unwrap();
        let (primary, _) = raw.get().await;
        let reply = data(S1F2, false, primary.system.0, &[7; 100]);
        raw.put(&reply[..14]).await;
        assert_eq!(answer.header().await.unwrap().1, 100);
        let _sends = fill(link).await;
        let mut text = [0; 100];
        let peer = async {
            raw.put(&reply[14..]).await;
            Timer::after_secs(1).await;
            drain(&mut raw).await;
        };
        let (read, ()) = join(answer.read_whole(&mut text), peer).await;
        assert_eq!(read.unwrap().body, [7; 100]);
        assert!(Instant::now() < Instant::from_secs(2));
    });
}

#[test]
fn a_reply_that_the_machine_takes_only_behind_frames_is_read_when_those_have_room() {
    type Many<'b> = Link<'b, NoopRawMutex, 4, 8, General<2>>;
    let (etcher, robot) = (SessionId(7), SessionId(8));
    let mut lent = Buffers::<64, 64, 128>::new();
    let sessions = General::new(&[SessionEntity::wanted(etcher), SessionEntity::wanted(robot)]).unwrap();
    let config = quiet(Config::host(DEVICE)).with_select_mode(SelectMode::OnCommand);
    let host = Many::general(config, sessions, lent.lend()).unwrap();
    let ((near_reader, near_writer), (reader, writer)) = pair(60);
    let mut raw = Raw { reader, writer };
    let (go, read) = (Signal::<NoopRawMutex, ()>::new(), Cell::new(None));
    let tasks: Vec<Task<'_>> = vec![
        Box::pin(async {
            host.run_over(near_reader, near_writer).await.unwrap();
        }),
        // A task of its own, so that nobody else's wake-up is taken for its own.
        Box::pin(async {
            go.wait().await;
            let mut text = [0; 100];
            let reply = host.request_in(robot, S1F1, &[], &mut text).await;
            assert_eq!(reply.unwrap().body, [7; 100]);
            read.set(Some(Instant::now()));
        }),
    ];
    run_with(tasks, async {
        host.enable();
        host.reached(State::NotSelected).await.unwrap();
        for session in [etcher, robot] {
            let answer = async {
                let (mut header, _) = raw.get().await;
                assert_eq!((header.stype, header.session), (SType::SELECT_REQ, session));
                header.stype = SType::SELECT_RSP;
                raw.put(&control(&header)).await;
            };
            join(host.select_session(session), answer).await.0.unwrap();
        }
        let mut none = [0; 0];
        let mut lost = Box::pin(host.request_in(etcher, S1F1, &[], &mut none));
        assert!(poll_once(lost.as_mut()).is_pending());
        go.signal(());
        raw.get().await;
        let (primary, _) = raw.get().await;
        assert_eq!(primary.session, robot);
        let reply = with_text(&Header::data(primary.system, S1F2, false, robot), &[7; 100]);
        raw.put(&reply[..14]).await;
        Timer::after_millis(1).await;
        let mut sends = [(); 2].map(|()| Box::pin(host.send_in(etcher, S6F11, &[9; 50])));
        for send in &mut sends {
            assert!(poll_once(send.as_mut()).is_pending());
            Timer::after_millis(1).await;
        }
        // The end of a transaction is to be told behind the Separate.req, which has no room.
        host.separate_session(etcher).await.unwrap();
        raw.put(&reply[14..]).await;
        Timer::after_secs(1).await;
        assert_eq!(read.get(), None);
        drain(&mut raw).await;
        let lost = lost.await.unwrap_err();
        assert!(matches!(lost, Error::NoReply { end: TransactionEnd::SessionEnded, .. }), "{lost}");
        Timer::after_secs(8).await;
        assert!(read.get().is_some_and(|at| at < Instant::from_secs(2)));
    });
}

#[test]
fn t7_is_not_held_open_by_a_caller_that_floods_and_hardly_reads() {
    against::<64, 64, 128, _>(quiet(Config::equipment(DEVICE)), 20, Limits::default(), async |link, raw| {
        let Raw { mut reader, mut writer } = raw;
        link.reached(State::NotSelected).await.unwrap();
        let flood = async {
            for system in 1.. {
                writer.write_all(&control(&Header::linktest_req(SystemBytes(system)))).await.unwrap();
            }
        };
        let trickle = async {
            loop {
                Timer::after_secs(9).await;
                reader.read(&mut [0]).await.unwrap();
            }
        };
        select(link.reached(State::NotConnected), join(flood, trickle)).await;
        assert_eq!(link.last_close(), Some(CloseReason::T7));
        let latest = Instant::from_secs(10) + Limits::default().write;
        assert!(Instant::now() <= latest, "{}", Instant::now().as_millis());
    });
}

#[test]
fn orders_wait_for_a_peer_that_hardly_reads_no_longer_than_the_limit() {
    against::<64, 64, 128, _>(quiet(Config::equipment(DEVICE)), 60, Limits::default(), async |link, mut raw| {
        raw.select().await;
        let _sends = fill(link).await;
        link.disable();
        let trickle = async {
            loop {
                Timer::after_secs(4).await;
                raw.reader.read(&mut [0]).await.unwrap();
            }
        };
        select(link.reached(State::NotConnected), trickle).await;
        assert_eq!(link.last_close(), Some(CloseReason::Disabled));
        assert!(Instant::now() <= Instant::from_millis(10) + Limits::default().write);
    });
}

#[test]
fn a_peer_that_hardly_reads_is_kept_where_nothing_is_due() {
    against::<64, 64, 128, _>(quiet(Config::equipment(DEVICE)), 60, Limits::default(), async |link, mut raw| {
        raw.select().await;
        let sends = fill(link).await;
        let octets = Cell::new(0);
        let trickle = async {
            loop {
                Timer::after_secs(9).await;
                raw.reader.read(&mut [0]).await.unwrap();
                octets.set(octets.get() + 1);
            }
        };
        let [first, second] = sends;
        let (first, second) = beside(join(first, second), trickle).await;
        assert_eq!((first, second), (Ok(()), Ok(())));
        // What the stream does not hold, each of them in nine seconds.
        assert_eq!(octets.get(), 2 * 64 - 60);
        link.linktest().await.unwrap_err();
    });
}

#[test]
fn orders_that_wait_are_all_carried_out() {
    type Give = fn(&Plain<'_>);
    let cases: [(&[Give], CloseReason, bool); 4] = [
        (&[|link| link.separate(), |link| link.enable()], CloseReason::Separated, true),
        (&[|link| link.disable(), |link| link.enable()], CloseReason::Disabled, true),
        (&[|link| link.separate(), |link| link.disable()], CloseReason::Separated, false),
        (&[|link| link.enable(), |link| link.disable(), |link| link.separate()], CloseReason::Disabled, false),
    ];
    for (orders, reason, enabled) in cases {
        against::<64, 64, 128, _>(quiet(Config::equipment(DEVICE)), 60, Limits::default(), async |link, mut raw| {
            raw.select().await;
            let _sends = fill(link).await;
            orders.iter().for_each(|give| give(link));
            assert_eq!(link.state(), State::Selected, "they wait");
            drain(&mut raw).await;
            assert_eq!(raw.get().await.0.stype, SType::SEPARATE_REQ);
            link.reached(State::NotConnected).await.unwrap();
            assert_eq!((link.last_close(), link.is_enabled()), (Some(reason), enabled));
        });
    }
}

#[test]
fn a_text_goes_on_to_the_application_while_the_peer_reads_nothing() {
    against::<64, 64, 128, _>(quiet(Config::equipment(DEVICE)), 60, Limits::default(), async |link, mut raw| {
        raw.select().await;
        let primary = data(S6F11, true, 10, &[7; 300]);
        raw.put(&primary[..14]).await;
        Timer::after_millis(1).await;
        let _sends = fill(link).await;
        let mut text = [0; 300];
        let (taken, ()) = join(link.receive(&mut text), raw.put(&primary[14..])).await;
        let taken = taken.unwrap();
        assert_eq!(taken.body, [7; 300]);
        assert!(Instant::now() < Instant::from_secs(1));
        // It reads only now, and the answer is ours.
        Timer::after_secs(8).await;
        let token = taken.token.unwrap();
        let answer = link.reply(&token, &[]);
        let peer = async {
            drain(&mut raw).await;
            assert_eq!(raw.get().await.0.system, SystemBytes(10));
        };
        join(answer, peer).await.0.unwrap();
        assert!(!all_told(link).iter().any(|told| matches!(told, Told::Dropped(_))));
    });
}

#[test]
fn an_application_that_waits_for_the_peer_is_not_taken_for_one_that_reads_nothing() {
    for unread in [Limits::default().unread, Duration::MIN] {
        let limits = Limits { unread, ..Limits::default() };
        against::<256, 64, 128, _>(quiet(Config::equipment(DEVICE)), 100, limits, async |link, mut raw| {
            raw.select().await;
            // It sends before it takes anything, and the peer takes nothing for so long that a message would be given up.
            let application = async {
                for _ in 0..4 {
                    link.send(S6F11, &[9; 50]).await.unwrap();
                }
                for system in 10..15 {
                    let primary = link.receive(&mut []).await.unwrap();
                    assert_eq!(primary.header.system, SystemBytes(system));
                    link.reply(&primary.token.unwrap(), &[]).await.unwrap();
                }
            };
            let peer = async {
                Timer::after_millis(1).await;
                let five: Vec<u8> = (10..15).flat_map(|system| data(S1F1, true, system, &[])).collect();
                raw.put(&five).await;
                Timer::after_secs(8).await;
                drain(&mut raw).await;
                drain(&mut raw).await;
                for system in 10..15 {
                    let (reply, _) = raw.get().await;
                    assert_eq!((reply.stream_function(), reply.system), (S1F2, SystemBytes(system)));
                }
            };
            join(application, peer).await;
            assert!(!all_told(link).iter().any(|told| matches!(told, Told::Dropped(_))));
        });
    }
}

#[test]
fn a_primary_that_found_no_place_is_told_of_where_the_connection_ends() {
    against::<256, 64, 128, _>(quiet(Config::equipment(DEVICE)), 1000, Limits::default(), async |link, mut raw| {
        raw.select().await;
        for system in 10..15 {
            raw.put(&data(S6F11, false, system, &[])).await;
        }
        Timer::after_secs(1).await;
        all_told(link);
        link.disable();
        let told = all_told(link);
        let [Told::Dropped(header), Told::Closed(CloseReason::Disabled)] = told[..] else { panic!("{told:?}") };
        assert_eq!(header.system, SystemBytes(14));
        // Those that had a place are there.
        for system in 10..14 {
            assert_eq!(link.receive(&mut []).await.unwrap().header.system, SystemBytes(system));
        }
    });
}

#[test]
fn who_reads_a_primary_too_slowly_is_told_so_and_answers_it_itself() {
    against::<64, 64, 128, _>(quiet(Config::equipment(DEVICE)), 1000, Limits::default(), async |link, mut raw| {
        raw.select().await;
        all_told(link);
        raw.put(&data(S6F11, true, 10, &[7; 300])).await;
        let mut incoming = link.next().await.unwrap();
        Timer::after_secs(6).await;
        let mut piece = [0; 300];
        assert_eq!(incoming.read(&mut piece).await.unwrap(), 64, "what had come");
        let header = *incoming.header();
        assert_eq!(incoming.read(&mut piece).await, Err(Error::Cut { header }));
        assert_eq!(all_told(link), []);
        assert_eq!(raw.reader.try_read(&mut piece), None, "no SxF0");
        let token = incoming.token().unwrap();
        drop(incoming);
        link.abort(&token).await.unwrap();
        assert!(raw.get().await.0.stream_function().is_abort());
        assert_eq!(all_told(link), []);
    });
}

#[test]
fn primaries_without_text_that_overflow_the_inbox_all_come_in_order() {
    selected(1000, async |scene| {
        let send = async {
            for n in 0..40_u8 {
                scene.host.send(StreamFunction::new(6, 2 * n + 1), &[]).await.unwrap();
            }
        };
        let take = async {
            for n in 0..40_u8 {
                // Now and then all of them wait.
                if n % 8 == 0 {
                    Timer::after_secs(3).await;
                }
                let primary = scene.equipment.receive(&mut []).await.unwrap();
                assert_eq!(primary.header.stream_function(), StreamFunction::new(6, 2 * n + 1));
            }
        };
        join(send, take).await;
        scene.host.linktest().await.unwrap();
        assert_eq!(scene.network.connections(), 1);
    });
}

#[test]
fn a_peer_that_trickles_is_understood_and_answered() {
    against::<64, 64, LEAST, _>(quiet(Config::equipment(DEVICE)), 3, Limits::default(), async |link, mut raw| {
        raw.select().await;
        let serve = async {
            let mut text = [0; 100];
            for _ in 0..3 {
                let primary = link.receive(&mut text).await.unwrap();
                link.reply(&primary.token.unwrap(), primary.body).await.unwrap();
            }
        };
        let peer = async {
            for system in 10..13 {
                for octet in data(S1F1, true, system, &[system as u8; 100]) {
                    // Just before T8.
                    Timer::after_millis(4900).await;
                    raw.put(&[octet]).await;
                }
                let mut reply = Vec::new();
                while reply.len() < 114 {
                    // Just before the limit.
                    Timer::after_millis(9900).await;
                    let mut octet = [0];
                    raw.reader.read_exact(&mut octet).await.unwrap();
                    reply.extend(octet);
                }
                assert_eq!(reply, data(S1F2, false, system, &[system as u8; 100]));
            }
        };
        join(serve, peer).await;
        assert_eq!(link.state(), State::Selected);
    });
}
