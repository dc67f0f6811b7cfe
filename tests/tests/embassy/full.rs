//! Links whose buffers are full: because the application takes nothing, because the peer takes nothing, or both.

use crate::kit::raw::{against, control, data};
use crate::kit::scene::{DEVICE, S1F1, S6F11, quiet};
use embassy_futures::join::join;
use embassy_futures::poll_once;
use embassy_time::{Duration, Instant, Timer};
use hsms_embassy::hsms_core::connection::{CloseReason, ControlRequest, State};
use hsms_embassy::hsms_core::wire::{Header, SType, SystemBytes};
use hsms_embassy::{Config, Limits, StreamFunction, Told};

/// The least that a link can be lent.
const LEAST: usize = 52;

const S1F2: StreamFunction = StreamFunction::new(1, 2);

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
        // The stream takes most of the first, the other half of the output all of the second.
        let mut sends = [(); 2].map(|()| Box::pin(link.send(S6F11, &[9; 50])));
        for send in &mut sends {
            assert!(poll_once(send.as_mut()).is_pending());
            Timer::after_millis(1).await;
        }
        let mut text = [0; 100];
        let peer = async {
            raw.put(&reply[14..]).await;
            Timer::after_secs(1).await;
            for _ in 0..2 {
                assert_eq!(raw.get().await.1, [9; 50]);
            }
        };
        let (read, ()) = join(answer.read_whole(&mut text), peer).await;
        assert_eq!(read.unwrap().body, [7; 100]);
        assert!(Instant::now() < Instant::from_secs(2));
    });
}
