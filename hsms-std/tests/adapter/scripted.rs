//! The driver over streams that do exactly what a test wants.

use crate::support::*;
use hsms_core::connection::TransactionEnd;
use hsms_std::driver::Driver;
use hsms_std::transport::Transport;
use hsms_std::{CloseReason, Error, Header, Incoming, Message, Options, StreamFunction, SystemBytes};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::rc::Rc;
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;

/// What a read or a write does.
type Step = Result<usize, ErrorKind>;

#[derive(Default)]
struct State {
    /// What the peer sends, and how much of it each read gives; without a step, a read gives all there is room for.
    incoming: VecDeque<u8>,
    reads: VecDeque<Step>,
    /// How much each write takes; without a step, everything.
    writes: VecDeque<Step>,
    /// What happens when the steps are used up.
    writes_after: Option<ErrorKind>,
    written: Vec<u8>,
    /// The reads that gave something.
    places: Vec<Place>,
    write_calls: usize,
    waits: usize,
    /// The peer sends this again and again.
    flood: Vec<u8>,
    /// When nobody reads its flood any more, the peer stops and takes what we write.
    gives_in: bool,
    /// The peer sends nothing more.
    ended: bool,
    closed: bool,
}

/// Where a read was made to, how much room there was, and how much was read.
struct Place {
    place: usize,
    room: usize,
    len: usize,
}

#[derive(Clone, Default)]
struct Script(Rc<RefCell<State>>);

impl Transport for Script {
    fn read(&mut self, octets: &mut [u8], limit: Duration) -> io::Result<usize> {
        let state = &mut *self.0.borrow_mut();
        assert!(!octets.is_empty());
        if state.incoming.len() < octets.len() && !state.flood.is_empty() {
            let whole = octets.len() / state.flood.len() + 1;
            state.incoming.extend(state.flood.repeat(whole));
        }
        let most = state.reads.pop_front().unwrap_or(Ok(usize::MAX))?;
        let len = most.min(octets.len()).min(state.incoming.len());
        if len == 0 && state.ended {
            return Ok(0);
        }
        if len == 0 {
            // Nothing will come: the wait is as short as it may be.
            assert!(limit.is_zero() || !state.flood.is_empty(), "a script has nothing to wait for");
            return Err(ErrorKind::WouldBlock.into());
        }
        for (place, octet) in octets.iter_mut().zip(state.incoming.drain(..len)) {
            *place = octet;
        }
        state.places.push(Place { place: octets.as_ptr() as usize, room: octets.len(), len });
        Ok(len)
    }

    fn write(&mut self, parts: &[IoSlice<'_>], _: Duration) -> io::Result<usize> {
        let state = &mut *self.0.borrow_mut();
        state.write_calls += 1;
        let most = match (state.writes.pop_front(), state.writes_after) {
            (Some(step), _) => step?,
            (None, Some(kind)) => return Err(kind.into()),
            (None, None) => usize::MAX,
        };
        let before = state.written.len();
        for part in parts {
            let left = most - (state.written.len() - before);
            state.written.extend_from_slice(&part[..left.min(part.len())]);
        }
        Ok(state.written.len() - before)
    }

    fn wait(&mut self, or_read: bool, limit: Duration) -> io::Result<()> {
        let state = &mut *self.0.borrow_mut();
        state.waits += 1;
        assert!(state.waits < 1_000, "it waits for ever");
        if !or_read && state.gives_in {
            state.flood.clear();
            state.writes_after = None;
        }
        if state.writes_after.is_none() {
            return Ok(());
        }
        // Nothing will change by itself but the time.
        let until = Instant::now() + limit;
        while Instant::now() < until {
            std::thread::yield_now();
        }
        Ok(())
    }

    fn close(&mut self) {
        self.0.borrow_mut().closed = true;
    }
}

impl Script {
    fn peer_sends(&self, header: Header, body: &[u8]) {
        let mut octets = vec![0; body.len() + 14];
        Message::new(header, body).encode(&mut octets).unwrap();
        self.0.borrow_mut().incoming.extend(octets);
    }

    /// What was written since the last call, as messages.
    fn written(&self) -> Vec<(Header, Vec<u8>)> {
        let octets = std::mem::take(&mut self.0.borrow_mut().written);
        let (mut rest, mut messages) = (&octets[..], Vec::new());
        while !rest.is_empty() {
            let (message, behind) = Message::parse(rest).unwrap();
            messages.push((message.header, message.body.to_vec()));
            rest = behind;
        }
        messages
    }
}

/// A driver that is SELECTED over a script, as the passive side.
fn selected(config: hsms_std::Config, options: Options) -> (Driver<Script, 8>, Script) {
    let script = Script::default();
    let mut driver = Driver::new(config, options);
    driver.enable();
    assert!(driver.wants_transport());
    driver.opened(script.clone());
    script.peer_sends(Header::select_req(SystemBytes(1)), &[]);
    assert!(turn(&mut driver));
    while driver.poll().is_some() {}
    assert!(driver.is_selected());
    let _ = turn(&mut driver);
    assert_eq!(script.written()[0].0, Header::select_rsp(SystemBytes(1)));
    script.0.borrow_mut().places.clear();
    script.0.borrow_mut().write_calls = 0;
    (driver, script)
}

/// Without waiting.
fn turn(driver: &mut Driver<Script, 8>) -> bool {
    let now = driver.tick();
    driver.turn(now).unwrap()
}

/// The same sequence of numbers every time.
fn numbers(seed: u32) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    }
}

/// Field failure 4.
#[test]
fn partial_writes_of_a_12_mib_message_arrive_whole() {
    let (mut driver, script) = selected(equipment_config(), Options::new());
    let text = text(12 * MIB);
    for most in [70_000, 3_000_000, 15] {
        let mut number = numbers(7);
        // The smallest only at the beginning and the end, where a message is put together.
        let count = if most == 15 { 40 } else { 4_000 };
        script.0.borrow_mut().writes = (0..count).map(|_| Ok(1 + number(most))).collect();
        driver.send(DEVICE.session(), S6F11, &text).unwrap();
        let written = script.written();
        assert_eq!(written.len(), 1);
        assert!(written[0].1 == text);
    }
    assert_eq!(driver.counters().sent.messages.primary, 3);
}

/// Field failure 5.
#[test]
fn a_write_that_would_block_in_the_middle_neither_repeats_nor_corrupts() {
    for kind in [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::Interrupted] {
        let (mut driver, script) = selected(equipment_config(), Options::new());
        let mut number = numbers(11);
        let sizes = [3, 20_000, 0, 64, 1_000_000, 5];
        script.0.borrow_mut().writes =
            (0..400).map(|_| if number(2) == 0 { Ok(1 + number(10_000)) } else { Err(kind) }).collect();
        let token = {
            script.peer_sends(primary(3, S1F1), &[]);
            turn(&mut driver);
            match driver.poll() {
                Some(Incoming::Primary { token: Some(token), .. }) => token,
                other => panic!("{other:?}"),
            }
        };
        for size in sizes {
            driver.send(DEVICE.session(), S6F11, &text(size)).unwrap();
        }
        driver.reply(&token, &text(40_000)).unwrap();
        driver.flush().unwrap();
        let written = script.written();
        assert_eq!(written.len(), sizes.len() + 1);
        for ((_, body), size) in written.iter().zip(sizes.into_iter().chain([40_000])) {
            assert!(*body == text(size), "{kind:?} {size}");
        }
    }
}

#[test]
fn frames_of_the_machine_do_not_get_into_a_text_that_is_being_written() {
    let (mut driver, script) = selected(equipment_config(), Options::new());
    // While the text is stuck the peer sends linktests and a primary.
    script.0.borrow_mut().writes = [Ok(1_000), Err(ErrorKind::WouldBlock), Ok(50), Err(ErrorKind::WouldBlock)].into();
    for system in 10..20 {
        script.peer_sends(Header::linktest_req(SystemBytes(system)), &[]);
    }
    script.peer_sends(primary(3, S1F1), b"kept");
    let text = text(100_000);
    driver.send(DEVICE.session(), S6F11, &text).unwrap();
    let _ = turn(&mut driver);
    let written = script.written();
    assert!(written[0].1 == text);
    let answers: Vec<_> = written[1..].iter().map(|(header, _)| *header).collect();
    assert_eq!(answers, (10..20).map(|system| Header::linktest_rsp(SystemBytes(system))).collect::<Vec<_>>());
    match driver.poll() {
        Some(Incoming::Primary { message, .. }) => assert_eq!(message.body, b"kept"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn interrupted_calls_are_repeated() {
    let (mut driver, script) = selected(equipment_config(), Options::new());
    script.0.borrow_mut().reads = [Err(ErrorKind::Interrupted), Ok(5), Err(ErrorKind::Interrupted), Ok(500)].into();
    script.0.borrow_mut().writes = [Err(ErrorKind::Interrupted), Ok(3), Err(ErrorKind::Interrupted)].into();
    script.peer_sends(primary(3, S1F1), b"body");
    let token = loop {
        let _ = turn(&mut driver);
        if let Some(Incoming::Primary { message, token }) = driver.poll() {
            assert_eq!(message.body, b"body");
            break token.unwrap();
        }
        assert!(!script.0.borrow().closed);
    };
    driver.reply(&token, b"reply").unwrap();
    driver.flush().unwrap();
    assert_eq!(script.written()[0].1, b"reply");
    assert!(!script.0.borrow().closed);
}

#[test]
fn a_stream_in_single_octets_gives_the_same_messages() {
    let (mut driver, script) = selected(equipment_config(), Options::new());
    script.0.borrow_mut().reads = (0..4_000).map(|_| Ok(1)).collect();
    for size in [0, 1, 243, 1_000] {
        script.peer_sends(primary(3, S1F1), &text(size));
    }
    let mut sizes = Vec::new();
    while sizes.len() < 4 {
        assert!(turn(&mut driver));
        while let Some(incoming) = driver.poll() {
            let Incoming::Primary { message, .. } = incoming else { panic!("{incoming:?}") };
            assert!(message.body == text(message.body.len()));
            sizes.push(message.body.len());
        }
    }
    assert_eq!(sizes, [0, 1, 243, 1_000]);
}

#[test]
fn all_that_arrived_together_is_answered_in_one_write() {
    let (mut driver, script) = selected(equipment_config(), Options::new());
    for system in 0..500 {
        script.peer_sends(primary(system, S1F1), &[1; 64]);
    }
    assert!(turn(&mut driver));
    for _ in 0..500 {
        let Some(Incoming::Primary { token: Some(token), .. }) = driver.poll() else { panic!() };
        driver.reply(&token, &[2; 64]).unwrap();
    }
    assert!(driver.poll().is_none());
    let state = |script: &Script| (script.0.borrow().places.len(), script.0.borrow().write_calls);
    assert_eq!(state(&script), (1, 0), "nothing is written before all has been taken");
    let _ = turn(&mut driver);
    assert_eq!(state(&script), (1, 1));
    assert_eq!(script.written().len(), 500);
}

#[test]
fn answers_of_the_machine_leave_before_the_last_message_is_handed_out() {
    let (mut driver, script) = selected(equipment_config(), Options::new());
    script.peer_sends(primary(3, S1F1), &[]);
    script.peer_sends(Header::linktest_req(SystemBytes(9)), &[]);
    script.peer_sends(primary(4, S1F1), &[]);
    assert!(turn(&mut driver));
    assert!(matches!(driver.poll(), Some(Incoming::Primary { .. })));
    assert_eq!(script.0.borrow().write_calls, 0, "there is more to do first");
    assert!(matches!(driver.poll(), Some(Incoming::Primary { .. })));
    // The application may think about this one for long.
    assert_eq!(script.written(), [(Header::linktest_rsp(SystemBytes(9)), Vec::new())]);
}

#[test]
fn an_exchange_takes_one_read_and_one_write() {
    let (mut driver, script) = selected(equipment_config(), Options::new());
    for round in 0..100 {
        let system = driver.begin_request(DEVICE.session(), S1F1, &[1; 64]).unwrap();
        assert!(driver.poll_request(None).is_none());
        script.peer_sends(Header::data(system, S1F1.reply().unwrap(), false, DEVICE.session()), &[2; 64]);
        assert!(turn(&mut driver));
        assert!(matches!(driver.poll_request(None), Some(Ok(()))));
        assert_eq!(driver.current().unwrap().body, [2; 64]);
        assert_eq!((script.0.borrow().places.len(), script.0.borrow().write_calls), (round + 1, round + 1));
    }
}

/// Octets that were moved, at most, to bring a text of so many octets to where the application reads it; and the reads.
fn moved(len: usize) -> (usize, usize) {
    let config = equipment_config().with_max_message(u32::try_from(len + 10).unwrap()).unwrap();
    let (mut driver, script) = selected(config, Options::new());
    let text = text(len);
    script.peer_sends(primary(3, S1F1), &text);
    // As a socket gives it.
    script.0.borrow_mut().reads = (0..len / 32_768 + 2).map(|_| Ok(32_768)).collect();
    let place = loop {
        assert!(turn(&mut driver));
        match driver.poll() {
            None => {}
            Some(Incoming::Primary { message, .. }) => {
                assert!(message.body == text);
                break message.body.as_ptr() as usize;
            }
            other => panic!("{other:?}"),
        }
    };
    let state = script.0.borrow();
    let (first, rest) = state.places.split_first().unwrap();
    // The first read took what lay in the buffer, which was copied. After that a read is made to the storage, as far as it
    // goes; where it goes further than before it has grown, and may have been moved with all that was in it.
    let (mut total, mut copied, mut end_of_storage, mut end_of_text) = (first.len, first.len, 0, 0);
    for read in rest {
        if read.place + read.room != end_of_storage {
            copied += total;
        } else {
            assert_eq!(read.place, end_of_text, "each read goes on where the one before has ended");
        }
        total += read.len;
        (end_of_storage, end_of_text) = (read.place + read.room, read.place + read.len);
    }
    assert_eq!(total, len + 14);
    // No copy at the end: the text is read where it was put together.
    assert_eq!(end_of_text, place + len, "{len}");
    (copied, state.places.len())
}

/// Field failure 30.
#[test]
fn receiving_is_linear_in_the_length_of_the_text() {
    let (small, small_reads) = moved(MIB);
    let (large, large_reads) = moved(16 * MIB);
    // Storage that doubles moves each octet once on average, twice at most, whatever the length.
    assert!(small <= 2 * MIB, "{small}");
    assert!(large <= 2 * 16 * MIB, "{large}");
    assert!(large_reads <= 16 * small_reads, "{small_reads} {large_reads}");
}

#[test]
fn storage_of_a_long_text_serves_for_the_next() {
    let (mut driver, script) = selected(equipment_config(), Options::new());
    for round in 0..5 {
        script.0.borrow_mut().places.clear();
        script.peer_sends(primary(3, S1F1), &text(MIB));
        loop {
            assert!(turn(&mut driver), "there is more to read");
            if let Some(Incoming::Primary { message, .. }) = driver.poll() {
                assert!(message.body == text(MIB));
                break;
            }
        }
        assert!(driver.poll().is_none());
        // The first read fills the buffer; after it there is room for all that is left, unless the storage has to grow first.
        let state = script.0.borrow();
        let at_once = state.places[1].room == MIB + 14 - state.places[0].len;
        assert_eq!(at_once, round > 0, "round {round}");
    }
}

#[test]
fn a_write_that_fails_ends_the_connection_with_what_the_system_said() {
    let (mut driver, script) = selected(equipment_config(), Options::new());
    script.0.borrow_mut().writes_after = Some(ErrorKind::ConnectionReset);
    let error = driver.send(DEVICE.session(), S6F11, &text(100_000)).unwrap_err();
    match error {
        Error::Closed { reason: CloseReason::TransportClosed, source: Some(source) } => {
            assert_eq!(source.kind(), ErrorKind::ConnectionReset);
        }
        other => panic!("{other:?}"),
    }
    assert!(script.0.borrow().closed);
    match driver.poll() {
        Some(Incoming::Closed { error: Some(error), .. }) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        other => panic!("{other:?}"),
    }
    // It listens again.
    assert!(driver.wants_transport());
}

/// The system says once that the peer has reset the connection, or that it is given up, to whichever call comes first.
#[test]
fn what_the_system_said_to_a_write_is_told_though_a_read_finds_the_end_alone() {
    let (mut driver, script) = selected(equipment_config(), Options::new());
    {
        let mut state = script.0.borrow_mut();
        (state.writes_after, state.ended) = (Some(ErrorKind::ConnectionReset), true);
    }
    driver.send(DEVICE.session(), S6F11, &[1]).unwrap();
    match driver.flush() {
        Err(Error::Closed { source: Some(source), .. }) => assert_eq!(source.kind(), ErrorKind::ConnectionReset),
        other => panic!("{other:?}"),
    }
    match driver.poll() {
        Some(Incoming::Closed { error: Some(error), .. }) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_peer_that_has_separated_is_not_gone_for_the_write_that_fails_then() {
    let (mut driver, script) = selected(equipment_config(), Options::new());
    {
        let mut state = script.0.borrow_mut();
        state.incoming.extend(Header::separate_req(SystemBytes(9)).encode_alone());
        (state.writes_after, state.ended) = (Some(ErrorKind::BrokenPipe), true);
    }
    driver.send(DEVICE.session(), S6F11, &[1]).unwrap();
    let error = driver.flush().unwrap_err();
    assert!(matches!(error, Error::Closed { reason: CloseReason::SeparateReceived, source: None }), "{error:?}");
}

#[test]
fn a_write_that_is_interrupted_is_repeated_at_once_whatever_the_limit() {
    let (mut driver, script) = selected(equipment_config(), Options::new().with_write_limit(Duration::ZERO));
    script.0.borrow_mut().writes.extend([Err(ErrorKind::Interrupted), Err(ErrorKind::Interrupted)]);
    driver.send(DEVICE.session(), S6F11, &[1, 2, 3]).unwrap();
    driver.flush().unwrap();
    assert_eq!(script.written().len(), 1);
    script.0.borrow_mut().writes_after = Some(ErrorKind::Interrupted);
    driver.send(DEVICE.session(), S6F11, &[1, 2, 3]).unwrap();
    assert!(matches!(driver.flush(), Err(Error::WriteStalled { .. })));
}

#[test]
fn a_post_that_fails_is_told_by_its_error_alone() {
    let (mut driver, script) = selected(equipment_config(), Options::new());
    let first = driver.post(DEVICE.session(), S6F11, &[1]).unwrap();
    script.0.borrow_mut().writes_after = Some(ErrorKind::BrokenPipe);
    assert!(matches!(driver.post(DEVICE.session(), S6F11, &text(100_000)), Err(Error::Closed { .. })));
    let mut ended = Vec::new();
    while let Some(incoming) = driver.poll() {
        match incoming {
            Incoming::TransactionEnded { system, end: TransactionEnd::SessionEnded } => ended.push(system),
            Incoming::Closed { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ended, [first]);
}

#[test]
fn what_is_read_while_the_peer_takes_nothing_is_bounded() {
    let (mut driver, script) = selected(equipment_config(), Options::new().with_inbox(10, MIB));
    {
        let mut state = script.0.borrow_mut();
        state.writes_after = Some(ErrorKind::WouldBlock);
        // Every one of them asks for an answer.
        let mut octets = vec![0; 14];
        Message::new(primary(5, S1F1), &[]).encode(&mut octets).unwrap();
        state.flood = octets.repeat(1_000);
        state.gives_in = true;
    }
    let text = text(100_000);
    driver.send(DEVICE.session(), S6F11, &text).unwrap();
    assert!(script.0.borrow().waits > 0, "it went on reading as long as the peer sent");
    let read: usize = script.0.borrow().places.iter().map(|read| read.len).sum();
    assert!(read < 3 * MIB, "{read} octets were read");
    // Everything left in the end, in order: the text, and an answer to each primary that was dropped.
    driver.flush().unwrap();
    let written = script.written();
    assert!(written[0].1 == text);
    let aborts = written[1..].iter().filter(|(header, _)| header.stream_function().is_abort()).count();
    assert_eq!(aborts, written.len() - 1);
    assert_eq!(aborts as u64, driver.dropped().primaries);
    assert!(aborts > 10_000);
}

#[test]
fn a_peer_that_takes_nothing_is_given_up_after_the_write_limit() {
    let limit = Duration::from_millis(30);
    let (mut driver, script) = selected(equipment_config(), Options::new().with_write_limit(limit));
    script.0.borrow_mut().writes_after = Some(ErrorKind::WouldBlock);
    driver.send(DEVICE.session(), S6F11, &[1, 2, 3]).unwrap();
    let started = Instant::now();
    let error = driver.flush().unwrap_err();
    // The limit may begin anywhere within its millisecond.
    assert!(started.elapsed() >= limit - Duration::from_millis(1));
    assert!(matches!(error, Error::WriteStalled { limit: told, left: 17 } if told == limit), "{error:?}");
    assert!(script.0.borrow().closed);
}

#[test]
fn a_reply_that_has_arrived_counts_even_where_t3_is_over() {
    let t3 = Duration::from_millis(10);
    let (mut driver, script) = selected(equipment_config().with_t3(t3).unwrap(), Options::new());
    let system = driver.post(DEVICE.session(), S6F11, &[]).unwrap();
    driver.flush().unwrap();
    script.peer_sends(Header::data(system, S6F11.reply().unwrap(), false, DEVICE.session()), b"in time");
    let until = Instant::now() + 2 * t3;
    while Instant::now() < until {
        std::thread::yield_now();
    }
    assert!(turn(&mut driver));
    match driver.poll() {
        Some(Incoming::Reply { message }) => assert_eq!(message.body, b"in time"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_peer_that_never_stops_sending_stops_no_timer() {
    let t3 = Duration::from_millis(10);
    let (mut driver, script) = selected(equipment_config().with_t3(t3).unwrap(), Options::new());
    let open = driver.post(DEVICE.session(), S6F11, &[]).unwrap();
    let mut octets = vec![0; 14];
    let stray = Header::data(SystemBytes(5), StreamFunction::new(1, 1), false, DEVICE.session());
    Message::new(stray, &[]).encode(&mut octets).unwrap();
    script.0.borrow_mut().flood = octets.repeat(5_000);
    let started = Instant::now();
    // So many messages at most are taken before a timer that is due: 64 reads of 256 KiB. How long that takes depends on the machine.
    let mut left = 64 * 256 * 1024 / octets.len() + 100_000;
    while left > 0 {
        // T3 begins anywhere within its millisecond.
        left -= usize::from(started.elapsed() > 2 * t3);
        let _ = turn(&mut driver);
        let mut ended = false;
        while let Some(incoming) = driver.poll() {
            if let Incoming::TransactionEnded { system, end } = incoming {
                assert_eq!((system, end), (open, TransactionEnd::T3));
                ended = true;
            }
        }
        if ended {
            return;
        }
    }
    panic!("T3 never expired");
}
