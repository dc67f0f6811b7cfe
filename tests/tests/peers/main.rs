//! Conversations with other people's HSMS implementations over loopback, and what other people's decoders make of our messages.
//!
//! `tests/peers/setup` installs the former, Debian has tshark. Where one is missing its cases are reported as ignored, with the reason;
//! `HSMS_PEERS=required` makes them fail instead.

mod bodies;
mod process;
mod secs2;
mod services;
mod tshark;

use bodies::{bodies, hex, unhex};
use hsms_std::{
    CloseReason, Config, Connection, DeviceId, Incoming, Notice, StreamFunction, SystemBytes, TransactionEnd,
};
use libtest_mimic::{Arguments, Failed, Trial};
use process::{KINDS, Kind, Peer, T5};
use std::collections::HashMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

type Case = Box<dyn FnOnce() -> Result<(), Failed> + Send>;

/// Which side of the conversation we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Our {
    /// Active host against their passive equipment.
    Host,
    /// Passive equipment against their active host.
    Equipment,
}

/// When a peer is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Idle,
    HalfAFrameSent,
    ReplyOutstanding,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let required = std::env::var("HSMS_PEERS").is_ok_and(|value| value == "required");
    let mut trials = Vec::new();
    let mut trial_of = |kind: &str, missing: &Option<String>, name: String, case: Case| {
        let trial = match missing {
            Some(reason) => {
                if !required {
                    println!("{name} is ignored: {reason}");
                }
                // Run all the same, with `--ignored`, it does not pass.
                let reason = reason.clone();
                Trial::test(name, move || Err(reason.into())).with_ignored_flag(!required)
            }
            None => Trial::test(name, case),
        };
        trials.push(trial.with_kind(kind));
    };
    for kind in KINDS {
        let missing = kind.program().err();
        let mut add = |name, case| trial_of(kind.name, &missing, name, case);
        for our in [Our::Host, Our::Equipment] {
            let side = if our == Our::Host { "our_host_and_their_equipment" } else { "our_equipment_and_their_host" };
            add(format!("{side}_talk"), Box::new(move || talk(kind, our)));
            for (moment, when) in [
                (Moment::Idle, "idle"),
                (Moment::HalfAFrameSent, "with_half_a_frame_sent"),
                (Moment::ReplyOutstanding, "with_a_reply_outstanding"),
            ] {
                let name = format!("{side}_select_again_after_the_peer_is_killed_{when}");
                add(name, Box::new(move || killed(kind, our, moment)));
            }
        }
        if kind.name == "secsgem" {
            for (name, case) in services::CASES {
                add(name.to_owned(), Box::new(case));
            }
            let values = "the_same_values_and_the_same_octets_again";
            add(format!("our_secs_ii_texts_are_{values}"), Box::new(secs2::our_texts));
            add(format!("their_secs_ii_texts_are_{values}"), Box::new(secs2::their_texts));
            add("secs_ii_that_cannot_be_compared_is_refused".to_owned(), Box::new(secs2::their_limits));
        }
    }
    let missing = tshark::missing();
    let mut add = |name: &str, case| trial_of("tshark", &missing, name.to_owned(), case);
    add("our_messages_are_the_same_headers_and_values", Box::new(tshark::our_messages));
    if tshark::limits_are_known() {
        add("what_cannot_be_compared_is_told_as_badly_as_ever", Box::new(tshark::its_limits));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// How often the peer is killed at each moment.
const KILLS: usize = 5;

/// Requests in each direction.
const REQUESTS: usize = 100;

/// Open requests of ours at a time.
const WINDOW: usize = 16;

const PATIENCE: Duration = Duration::from_secs(60);

/// Far from what either peer counts from: both take a primary with the system bytes of a request of their own for its reply.
const OUR_SYSTEM: SystemBytes = SystemBytes(0x4000_0000);

/// Our end and theirs, selected.
fn selected(kind: Kind, our: Our) -> Result<(Connection, Peer), Failed> {
    let device = DeviceId::try_from(0u16)?;
    let seconds = Duration::from_secs;
    let config = match our {
        Our::Host => Config::host(device),
        Our::Equipment => Config::equipment(device),
    };
    let config = config.with_t5(seconds(T5))?.with_t3(seconds(30))?.with_t6(seconds(20))?.with_t7(seconds(30))?;
    let (mut connection, peer) = match our {
        Our::Host => {
            let peer = Peer::listening(kind, "equipment", None);
            (Connection::active(("127.0.0.1", peer.port), config)?, peer)
        }
        Our::Equipment => {
            let connection = Connection::passive("127.0.0.1:0", config)?;
            let port = connection.local_addr().ok_or("no address")?.port();
            (connection, Peer::dialling(kind, "host", port))
        }
    };
    connection.set_next_system_bytes(OUR_SYSTEM);
    connection.select(PATIENCE)?;
    Ok((connection, peer))
}

/// Linktests and requests both ways at once, replies compared octet by octet, our counters exact, no leniency used.
fn talk(kind: Kind, our: Our) -> Result<(), Failed> {
    let (mut connection, mut peer) = selected(kind, our)?;
    connection.linktest()?;
    peer.say("linktest");
    let end = Instant::now() + PATIENCE;
    until(&mut connection, &mut peer, end, |_, line| line == Some("linktest ok"))?;

    let (ours, theirs) = (bodies(1, REQUESTS), bodies(2, REQUESTS));
    for (index, body) in theirs.iter().enumerate() {
        peer.say(&format!("request {index} 2 {} {}", 1 + 2 * (index % 50), hex(body)));
    }
    let mut open: HashMap<SystemBytes, usize> = HashMap::new();
    let (mut posted, mut replied, mut answered, mut served) = (0, 0, 0, 0);
    while replied < REQUESTS || answered < REQUESTS {
        assert!(Instant::now() < end, "{replied} replies, {answered} of theirs; the peer said {:?}", peer.said());
        while posted < REQUESTS && open.len() < WINDOW {
            let stream_function = StreamFunction::new(1, u8::try_from(1 + 2 * (posted % 50))?);
            open.insert(connection.post(stream_function, &ours[posted])?, posted);
            posted += 1;
        }
        match connection.next(Duration::from_millis(20))? {
            Some(Incoming::Primary { message, token: Some(token) }) => {
                let header = message.header;
                assert_eq!(header.stream(), 2);
                let body = message.body.to_vec();
                assert!(theirs.contains(&body), "{header} brought another text than was sent");
                connection.reply(&token, &body)?;
                served += 1;
            }
            Some(Incoming::Reply { message }) => {
                let index = open.remove(&message.header.system).ok_or("a reply to nothing")?;
                assert_eq!(usize::from(message.header.function()), 2 + 2 * (index % 50));
                assert!(message.body == ours[index], "the reply to request {index} brought another text");
                replied += 1;
            }
            Some(other) => return Err(format!("unexpected: {other:?}").into()),
            None => {}
        }
        while let Some(line) = peer.line() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["reply", id, "2", function, body] => {
                    let index: usize = id.parse()?;
                    assert_eq!(function.parse::<usize>()?, 2 + 2 * (index % 50));
                    assert!(unhex(body) == theirs[index], "their request {index} was answered with another text");
                    answered += 1;
                }
                ["primary", "1", ..] => {}
                _ => return Err(format!("the peer said {}", &line[..line.len().min(200)]).into()),
            }
        }
    }
    assert_eq!(served, REQUESTS);
    assert!(open.is_empty());
    count(&connection, our)?;
    connection.separate()?;
    assert_eq!(connection.counters().closes.separated, 1);
    assert_eq!(connection.counters().sent.messages.separate_req, 1);
    Ok(())
}

/// Our counters after [`talk`]: every message that was exchanged, and nothing else.
fn count(connection: &Connection, our: Our) -> Result<(), Failed> {
    let counters = connection.counters();
    let requests = u64::try_from(REQUESTS)?;
    let mut sent: Vec<(&str, u64)> =
        vec![("primary", requests), ("reply", requests), ("linktest_req", 1), ("linktest_rsp", 1)];
    let mut received = sent.clone();
    let (first, second) = if our == Our::Host { (&mut sent, &mut received) } else { (&mut received, &mut sent) };
    first.push(("select_req", 1));
    second.push(("select_rsp", 1));
    for (way, traffic, expected) in [("sent", &counters.sent, sent), ("received", &counters.received, received)] {
        for (name, count) in traffic.messages.iter() {
            let due = expected.iter().find(|(due, _)| *due == name).map_or(0, |(_, count)| *count);
            assert_eq!(count, due, "{way} {name}");
        }
    }
    let octets = |seed| bodies(seed, REQUESTS).iter().map(|body| 14 + body.len()).sum::<usize>();
    let data = u64::try_from(octets(1) + octets(2))?;
    assert_eq!((counters.sent.octets, counters.received.octets), (data + 42, data + 42));
    for (name, count) in counters.leniencies.iter().chain(counters.strays.iter()).chain(counters.timeouts.iter()) {
        assert_eq!(count, 0, "{name}");
    }
    assert_eq!(counters.rejects_sent.total() + counters.rejects_received.total(), 0);
    assert_eq!((counters.connections, counters.selections, counters.too_long), (1, 1, 0));
    Ok(())
}

/// The peer is killed and started again, five times: selected again within T5 and two seconds.
fn killed(kind: Kind, our: Our, moment: Moment) -> Result<(), Failed> {
    let (mut connection, mut peer) = selected(kind, our)?;
    for round in 0..KILLS {
        let end = Instant::now() + PATIENCE;
        let mut outstanding = None;
        match moment {
            Moment::Idle => {}
            Moment::HalfAFrameSent => {
                // S1F1 with a text of which half has come: we hold a piece of a message.
                let before = connection.counters().received.messages.primary;
                peer.say("half");
                until(&mut connection, &mut peer, end, |connection, _| {
                    connection.counters().received.messages.primary > before
                })?;
            }
            Moment::ReplyOutstanding => {
                peer.say("silent on");
                until(&mut connection, &mut peer, end, |_, line| line == Some("silent on"))?;
                outstanding = Some(connection.post(StreamFunction::new(1, 1), &[])?);
                until(&mut connection, &mut peer, end, |_, line| {
                    line.is_some_and(|line| line.starts_with("primary 1 1"))
                })?;
            }
        }
        let port = peer.port;
        peer.kill();
        let (mut closed, mut ended) = (false, None);
        while !closed || ended != outstanding {
            assert!(Instant::now() < end, "round {round}: closed {closed}, ended {ended:?} of {outstanding:?}");
            match connection.next(Duration::from_millis(20))? {
                Some(Incoming::Closed { reason, .. }) => {
                    // secsgem says farewell when it sees our side of the closing; killed, it cannot.
                    assert_eq!(reason, CloseReason::TransportClosed);
                    closed = true;
                }
                Some(Incoming::TransactionEnded { system, end: TransactionEnd::SessionEnded }) => {
                    assert_eq!(ended.replace(system), None);
                }
                Some(Incoming::Connected | Incoming::Selected | Incoming::ConnectFailed { .. }) | None => {}
                Some(other) => return Err(format!("round {round}: unexpected: {other:?}").into()),
            }
        }
        peer = match our {
            Our::Host => Peer::listening(kind, "equipment", Some(port)),
            Our::Equipment => Peer::dialling(kind, "host", port),
        };
        // Counted from when the peer could be reached, or said that it had reached us: starting it is not ours to bound.
        let limit = Duration::from_secs(T5 + 2);
        if our == Our::Equipment {
            let connected = |_: &Connection, line: Option<&str>| line == Some("connected");
            until(&mut connection, &mut peer, Instant::now() + PATIENCE, connected)?;
        }
        let start = Instant::now();
        connection.select(limit).map_err(|error| format!("round {round}: {error}"))?;
        assert!(start.elapsed() <= limit);
        // It works again, both ends being idle.
        connection.linktest()?;
    }
    let counters = connection.counters();
    let kills = u64::try_from(KILLS)?;
    assert_eq!((counters.selections, counters.closes.transport_closed), (kills + 1, kills));
    assert_eq!(counters.leniencies.total(), 0);
    Ok(())
}

/// Serves both ends until `done` says so of our connection, or of a line of the peer's.
fn until(
    connection: &mut Connection,
    peer: &mut Peer,
    end: Instant,
    mut done: impl FnMut(&Connection, Option<&str>) -> bool,
) -> Result<(), Failed> {
    loop {
        if Instant::now() >= end {
            return Err(format!("nothing within {PATIENCE:?}; the peer said {:?}", peer.said()).into());
        }
        match connection.next(Duration::from_millis(20))? {
            None
            | Some(
                Incoming::Connected
                | Incoming::Selected
                | Incoming::ConnectFailed { .. }
                | Incoming::Notice(Notice::LinktestAnswered { .. }),
            ) => {}
            Some(other) => return Err(format!("unexpected: {other:?}").into()),
        }
        if done(connection, None) {
            return Ok(());
        }
        while let Some(line) = peer.line() {
            if done(connection, Some(&line)) {
                return Ok(());
            }
        }
    }
}
