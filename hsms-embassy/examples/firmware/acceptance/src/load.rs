//! Many requests, a recipe that the board has no memory for, and hosts that vanish.

use crate::{Bench, Failure, PATIENCE, equipment, equipment_with, host_settings, question, selected, selected_with};
use hsms_std::conformance::encode;
use hsms_std::core::secs2::{Reader, Writer};
use hsms_std::core::wire::SessionId;
use hsms_std::{Connection, Header, Incoming, StreamFunction, SystemBytes};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Requests, each way of asking.
const REQUESTS: usize = 1000;

/// Open at a time where they are not asked one by one.
const WINDOW: usize = 8;

/// S1F3 one by one, and several at a time: every one is answered, with an uptime that goes as our clock does. Events come meanwhile, none
/// after STOP, and again after START.
pub fn requests(bench: &Bench<'_>) -> Result<String, Failure> {
    let mut board = equipment(bench, "report=20")?;
    let mut host = selected(board.address())?;
    let (mut uptime, mut spans) = (0, Vec::with_capacity(REQUESTS));
    let (first, begun) = (Reader::new(&question(&mut host, 1)?).u8()?, Instant::now());
    for _ in 0..REQUESTS {
        let began = Instant::now();
        let now = Reader::new(&question(&mut host, 1)?).u8()?;
        spans.push(began.elapsed());
        if now < uptime {
            return Err(format!("the uptime went back from {uptime} to {now}").into());
        }
        uptime = now;
    }
    let (grown, passed) = (Duration::from_millis(uptime.saturating_sub(first)), begun.elapsed());
    if grown < passed / 2 || grown > passed * 2 {
        return Err(format!("the uptime grew by {grown:?} while {passed:?} passed").into());
    }
    spans.sort();
    let (median, most) = (spans[REQUESTS / 2], spans[REQUESTS - 1]);

    let (began, end) = (Instant::now(), Instant::now() + PATIENCE);
    let (mut open, mut asked, mut answered, mut events) = (Vec::new(), 0, 0, 0);
    while answered < REQUESTS {
        while asked < REQUESTS && open.len() < WINDOW {
            open.push(host.post(StreamFunction::new(1, 3), b"\x01\x01\xb1\x04\0\0\0\x01")?);
            asked += 1;
        }
        let reply = match host.next(Duration::from_millis(20))? {
            Some(Incoming::Reply { message }) => {
                let index = open.iter().position(|system| *system == message.header.system).ok_or("a stray reply")?;
                open.swap_remove(index);
                answered += 1;
                None
            }
            Some(Incoming::Primary { message, token }) => {
                events += usize::from(message.header.stream_function() == StreamFunction::new(6, 11));
                token
            }
            // What it told while it was selected, before anything was asked.
            None | Some(Incoming::Connected | Incoming::Selected) => None,
            Some(other) => return Err(format!("{other:?}").into()),
        };
        if let Some(token) = reply {
            host.reply(&token, b"\x21\x01\x00")?;
        }
        if Instant::now() > end {
            return Err(format!("{answered} of {asked} were answered").into());
        }
    }
    let rate = REQUESTS as f64 / began.elapsed().as_secs_f64();
    if events == 0 {
        return Err("no event came meanwhile".into());
    }
    events_obey(&mut host)?;
    host.close()?;
    board.check()?;
    bench.print_log(&board);
    Ok(format!(
        "{REQUESTS} one by one: median {:.2} ms, most {:.2} ms; {REQUESTS} with {WINDOW} open: {rate:.0}/s, {events} events meanwhile",
        millis(median),
        millis(most)
    ))
}

/// How long no event may come after STOP. One that the board has on its way comes before the answer.
const SILENCE: Duration = Duration::from_millis(500);

/// S2F41 STOP and START, the latter with a period of 50 ms.
fn events_obey(host: &mut Connection) -> Result<(), Failure> {
    const STOP: &[u8] = b"\x01\x02\x41\x04STOP\x01\x00";
    const START: &[u8] = b"\x01\x02\x41\x05START\x01\x01\x01\x02\x41\x06PERIOD\xa9\x02\x00\x32";
    command(host, STOP)?;
    // Those from before it have waited here.
    while next_event(host, Duration::ZERO)? {}
    if next_event(host, SILENCE)? {
        return Err("an event came after STOP".into());
    }
    command(host, START)?;
    for _ in 0..3 {
        if !next_event(host, PATIENCE)? {
            return Err("no event came after START".into());
        }
    }
    Ok(())
}

fn command(host: &mut Connection, text: &[u8]) -> Result<(), Failure> {
    let reply = host.request(StreamFunction::new(2, 41), text)?;
    // <L [2] <B 0> <L [0]>>: done.
    if reply.body != b"\x01\x02\x21\x01\x00\x01\x00" {
        return Err(format!("S2F41 was answered with {:02x?}", reply.body).into());
    }
    Ok(())
}

/// Acknowledges the next S6F11. Gives whether there was one.
fn next_event(host: &mut Connection, limit: Duration) -> Result<bool, Failure> {
    let token = match host.next(limit)? {
        None => return Ok(false),
        Some(Incoming::Primary { message, token: Some(token) })
            if message.header.stream_function() == StreamFunction::new(6, 11) =>
        {
            token
        }
        Some(other) => return Err(format!("{other:?}").into()),
    };
    host.reply(&token, b"\x21\x01\x00")?;
    Ok(true)
}

/// Octets of the recipe: more than either board has memory for.
const RECIPE: usize = 5 << 20;

/// The linktest period of both ends there, of which many pass while the recipe goes in.
const PERIOD: Duration = Duration::from_millis(20);

/// A recipe goes in as a stream, and its checksum comes back. Linktests go both ways before and behind it; there is no place for one in
/// the middle of a message, and none is missed.
pub fn recipe(bench: &Bench<'_>) -> Result<String, Failure> {
    let mut board = equipment_with(bench, "", |config| config.with_linktest_period(PERIOD))?;
    let mut host = selected_with(board.address(), host_settings()?.with_linktest_period(PERIOD)?)?;
    linktests_go_both_ways(&mut host)?;
    let body: Vec<u8> = (0..RECIPE as u32).map(|index| (index.wrapping_mul(0x9E37_79B1) >> 23) as u8).collect();
    let began = Instant::now();
    send_recipe(&mut host, &body, 0, crc(&body))?;
    let span = began.elapsed();
    if span < 2 * PERIOD {
        return Err(format!("the recipe took {span:?}, and no linktest became due").into());
    }
    let rate = RECIPE as f64 / span.as_secs_f64() / 1e6;
    // Others: without a body, and with one that ends before or behind its own length.
    send_recipe(&mut host, b"", 0, crc(b""))?;
    for (text, acknowledge) in [
        (&b"\x01\x02\x41\x01R\x21\x05abcd"[..], 2),
        (b"\x01\x02\x41\x01R\x21\x03abcd", 2),
        (b"\x01\x02\x41\x01R\x21\x04abcd", 0),
        (b"\x01\x03\x41\x01R\x21\x04abcd\x01\x00", 2),
    ] {
        acknowledged(&mut host, text, acknowledge, None)?;
    }
    let [ours, theirs] = linktests_go_both_ways(&mut host)?;
    let recipes = Reader::new(&question(&mut host, 3)?).u4()?;
    if recipes != 3 {
        return Err(format!("the board counts {recipes} whole recipes, and 3 were sent").into());
    }
    host.close()?;
    board.check()?;
    bench.print_log(&board);
    Ok(format!(
        "{RECIPE} octets in, {rate:.1} MB/s, checksum right; 5 short ones, 3 of them damaged, told apart; linktests: {ours} of the host, {theirs} of the board"
    ))
}

/// Waits for one more Linktest.req of each end, and its answer. Gives how many there have been.
fn linktests_go_both_ways(host: &mut Connection) -> Result<[u64; 2], Failure> {
    let counts = |host: &Connection| {
        let (sent, received) = (&host.counters().sent.messages, &host.counters().received.messages);
        [sent.linktest_req.min(received.linktest_rsp), received.linktest_req.min(sent.linktest_rsp)]
    };
    let (before, end) = (counts(host), Instant::now() + PATIENCE);
    while Instant::now() < end {
        let now = counts(host);
        if now.iter().zip(before).all(|(now, before)| *now > before) {
            return Ok(now);
        }
        match host.next(PERIOD)? {
            None | Some(Incoming::Connected | Incoming::Selected | Incoming::Notice(_)) => {}
            Some(other) => return Err(format!("{other:?}").into()),
        }
    }
    Err(format!("of linktests of the host and the board there were {before:?}, and there are {:?}", counts(host))
        .into())
}

fn send_recipe(host: &mut Connection, body: &[u8], acknowledge: u8, checksum: u32) -> Result<(), Failure> {
    let mut text = Writer::new(Vec::new());
    text.list(2)?;
    text.ascii("ETCH-7")?;
    text.binary(body)?;
    acknowledged(host, &text.finish()?, acknowledge, Some(checksum))
}

/// Sends S7F3, and looks at the S7F4.
fn acknowledged(host: &mut Connection, text: &[u8], acknowledge: u8, checksum: Option<u32>) -> Result<(), Failure> {
    let reply = host.request(StreamFunction::new(7, 3), text)?;
    let mut reader = Reader::new(reply.body);
    reader.list_of(2)?;
    let (found, sum) = (reader.binary()?.to_vec(), reader.u4()?);
    reader.finish()?;
    if found != [acknowledge] || checksum.is_some_and(|checksum| checksum != sum) {
        return Err(format!("S7F4 says {found:?} and {sum:#x}; expected: {acknowledge} and {checksum:x?}").into());
    }
    Ok(())
}

/// CRC-32, slowly: the board has another implementation.
fn crc(octets: &[u8]) -> u32 {
    !octets.iter().fold(u32::MAX, |sum, octet| {
        (0..8).fold(sum ^ u32::from(*octet), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 })
    })
}

/// Connections that are cut.
const CUTS: usize = 200;

/// How long the board may take to get over one. TCP may have to send something again.
const BACK: Duration = Duration::from_secs(5);

/// Hosts that go in the middle of something: after each the next one is served.
pub fn cuts(bench: &Bench<'_>) -> Result<String, Failure> {
    let mut board = equipment(bench, "report=30")?;
    let (mut sessions, mut again, mut longest) = (0, 0, Duration::ZERO);
    for index in 0..CUTS {
        let select = index % 4 != 0;
        let mut stream = if select {
            sessions += 1;
            let began = Instant::now();
            let stream = select_by_hand(board.address(), &mut again)?;
            longest = longest.max(began.elapsed());
            stream
        } else {
            TcpStream::connect(board.address())?
        };
        let question = data(1, 13, b"\x01\x00");
        let recipe = data(7, 3, b"\x01\x02\x41\x01R\x22\x10\x00");
        match index % 8 {
            // Nothing at all, and half a length.
            0 => {}
            4 => stream.write_all(&[0, 0])?,
            1 => {}
            2 => stream.write_all(&question[..9])?,
            // The replies find nobody.
            3 => stream.write_all(&question)?,
            5 => (0..20).try_for_each(|_| stream.write_all(&question))?,
            // Half a recipe.
            6 => stream.write_all(&[&recipe[..], &[7; 1500]].concat())?,
            _ => stream.shutdown(Shutdown::Write)?,
        }
        // By a reset, or in order.
        if index % 16 < 8 {
            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
        }
        drop(stream);
    }
    let mut host = selected(board.address())?;
    let hosts = Reader::new(&question(&mut host, 2)?).u4()?;
    if hosts < sessions + 1 {
        return Err(format!("the board counts {hosts} hosts, and {sessions} and one more were selected").into());
    }
    host.close()?;
    board.check()?;
    bench.print_log(&board);
    Ok(format!(
        "{CUTS} connections cut, {sessions} of them selected; the next served after {:.0} ms at most, refused {again} times before",
        millis(longest)
    ))
}

/// A data message whose length field is that of a whole text, however much of it is sent.
fn data(stream: u8, function: u8, text: &[u8]) -> Vec<u8> {
    let header = Header::data(SystemBytes(7), StreamFunction::new(stream, function), true, SessionId(0));
    let mut octets = encode(&header, text);
    if function == 3 {
        octets[..4].copy_from_slice(&(10 + 8 + 0x1000_u32).to_be_bytes());
    }
    octets
}

/// A connection of which the board has said that it is selected. Where the board has not got over the last one, once more.
fn select_by_hand(address: SocketAddr, again: &mut usize) -> Result<TcpStream, Failure> {
    let end = Instant::now() + BACK;
    while Instant::now() < end {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut answer = [0; 14];
        let selected = stream
            .write_all(&encode(&Header::select_req(SystemBytes(1)), b""))
            .and_then(|()| stream.read_exact(&mut answer));
        match selected {
            Ok(()) if answer[..10] == [0, 0, 0, 10, 0xFF, 0xFF, 0, 0, 0, 2] => return Ok(stream),
            // Status 1: it has not noticed yet that the last one is gone.
            Ok(()) if answer[..10] == [0, 0, 0, 10, 0xFF, 0xFF, 0, 1, 0, 2] => *again += 1,
            Ok(()) => return Err(format!("the board answers Select.req with {answer:?}").into()),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe
                ) =>
            {
                *again += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(format!("the board has taken no connection for {BACK:?}").into())
}

/// How long a board is left alone.
const REST: Duration = Duration::from_secs(1);

/// The most turns of the executor in a millisecond without work, by the board's own clock. A turn ends with a sleep, which an interrupt ends:
/// that of the clock every 10 ms, and a few of the network. Without the sleep there are thousands in a millisecond. As both counts are the
/// board's own, and its clock counts its own interrupts, it does not matter how much of a processor QEMU gets.
const TURNS: f64 = 1.0;

/// While nobody asks anything the processor sleeps. Gives turns of the executor in a millisecond of the board.
fn sleeps(bench: &Bench<'_>) -> Result<f64, Failure> {
    let mut board = equipment(bench, "")?;
    let mut host = selected(board.address())?;
    let read = |host: &mut Connection| -> Result<(u64, u32), Failure> {
        Ok((Reader::new(&question(host, 1)?).u8()?, Reader::new(&question(host, 6)?).u4()?))
    };
    let (uptime, turns) = read(&mut host)?;
    let end = Instant::now() + REST;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        match host.next(left)? {
            None | Some(Incoming::Connected | Incoming::Selected | Incoming::Notice(_)) => {}
            Some(other) => return Err(format!("{other:?}").into()),
        }
    }
    let (later, more) = read(&mut host)?;
    host.close()?;
    board.check()?;
    let (passed, turned) = (later.saturating_sub(uptime), more.wrapping_sub(turns));
    if passed == 0 || turned == 0 {
        return Err(format!("the board counts {passed} ms and {turned} turns of its executor").into());
    }
    let rate = f64::from(turned) / passed as f64;
    if rate > TURNS {
        return Err(format!("the board does not sleep: {turned} turns of its executor in {passed} ms").into());
    }
    Ok(rate)
}

/// A board that nobody asks anything sleeps. Of a host that stays connected and says nothing more the board's linktest finds out, and the
/// next host is served.
pub fn silence(bench: &Bench<'_>) -> Result<String, Failure> {
    let rate = sleeps(bench)?;
    let (period, t6) = (Duration::from_millis(300), Duration::from_millis(700));
    let mut board = equipment_with(bench, "", |config| config.with_linktest_period(period)?.with_t6(t6))?;
    let mut again = 0;
    let mut stream = select_by_hand(board.address(), &mut again)?;
    let since = Instant::now();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard)?;
    let after = since.elapsed();
    if heard.len() != 14 || heard[9] != 5 {
        return Err(format!("the board sent {heard:?} to a host that is silent; expected: one Linktest.req").into());
    }
    if after + Duration::from_millis(50) < period + t6 {
        return Err(format!("the board closed after {after:?}, and linktest and T6 take {:?}", period + t6).into());
    }
    let mut host = Connection::active(board.address(), host_settings()?)?;
    host.select(PATIENCE)?;
    host.close()?;
    board.check()?;
    bench.print_log(&board);
    Ok(format!(
        "{rate:.2} turns of the executor in a millisecond of sleep; found out by a linktest after {:.0} ms, of {:.0} at least",
        millis(after),
        millis(period + t6)
    ))
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}
