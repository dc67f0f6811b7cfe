//! The host's part: it dials, and asks most of the questions.

use super::end::{End, sf};
use super::list::BURST;
use super::wire::Wire;
use super::{Direction, Played, communication, texts};
use hsms_std::core::wire::{RejectReason, SType, SessionId};
use hsms_std::{CloseReason, Config, Connection, Error, Header, Incoming, Options, SystemBytes};
use std::time::{Duration, Instant};

/// So long after the end of a connection the host dials again.
const SHORT_T5: Duration = Duration::from_millis(50);

/// Plays the part.
pub fn play(wire: &Wire) -> Result<Played, String> {
    let options = Options::new().with_tell_control(true);
    let config = super::patient(Config::host(super::DEVICE)).and_then(|config| config.with_t5(SHORT_T5));
    let config = config.map_err(|error| error.to_string())?;
    let connection = Connection::with_options(wire.address(), config, options);
    let mut host = End::new(connection.map_err(|error| error.to_string())?, wire);
    let burst = first_session(&mut host, wire)?;
    second_session(&mut host)?;
    third_session(&mut host)?;
    Ok(Played { burst, ..Played::default() }.and(host.connection.counters()))
}

fn first_session(host: &mut End<'_>, wire: &Wire) -> Result<Duration, String> {
    host.select()?;
    communication::begin(host)?;
    host.ask(sf(1, 1), &[], texts::MODEL)?;
    host.serve(sf(6, 11), &texts::report(1, 1000), texts::ACCEPTED)?;

    host.linktest()?;
    host.control(SType::LINKTEST_REQ)?;

    host.ask(sf(7, 3), &texts::recipe(), texts::ACCEPTED)?;
    match host.connection.request(sf(2, 41), texts::STOP) {
        Err(Error::Aborted { header }) if header.stream_function() == sf(2, 0) => {}
        other => return Err(format!("S2F41 was not aborted: {other:?}")),
    }
    collision(host)?;

    // What comes back are Reject.req to the end that seems to have sent it: they are told, and change nothing.
    let stype_11 = Header::linktest_req(SystemBytes(0xaaaa));
    wire.inject(Direction::ToEquipment, Header { stype: SType(11), ..stype_11 })?;
    host.reject(RejectReason::STYPE_NOT_SUPPORTED)?;
    let s1f1 = |system| Header::data(SystemBytes(system), sf(1, 1), true, SessionId(7));
    wire.inject(Direction::ToHost, Header { ptype: 1.into(), ..s1f1(0xbbbb) })?;
    host.rejected(RejectReason::PTYPE_NOT_SUPPORTED)?;
    host.reject(RejectReason::TRANSACTION_NOT_OPEN)?;

    let burst = burst(host)?;
    wire.inject_first(s1f1(0xdddd));
    host.connection.separate().map_err(|error| format!("separate: {error}"))?;
    host.closed(CloseReason::Separated)?;
    Ok(burst)
}

/// Both ends have a primary with the same system bytes open, and each gets its own reply.
fn collision(host: &mut End<'_>) -> Result<(), String> {
    let ours = host.connection.post(sf(1, 3), texts::VARIABLE).map_err(|error| format!("S1F3: {error}"))?;
    let (theirs, token) = host.primary(sf(6, 11), &texts::report(2, 1001))?;
    if theirs.system != ours {
        return Err(format!("the system bytes are {ours} and {}, and should be the same", theirs.system));
    }
    let token = token.ok_or("S6F11 without W")?;
    host.reply(&token, texts::ACCEPTED)?;
    reply(host, ours, texts::VALUE)
}

/// Waits for the reply to the posted primary `system`.
fn reply(host: &mut End<'_>, system: SystemBytes, text: &[u8]) -> Result<(), String> {
    host.wait(format_args!("the reply to {system}"), |incoming| match incoming {
        Incoming::Reply { message } if message.header.system == system && message.body == text => Some(()),
        _ => None,
    })
}

/// Keeps as many requests on their way as there is room for. Tells how long it took.
fn burst(host: &mut End<'_>) -> Result<Duration, String> {
    const IN_FLIGHT: u32 = 64;
    let start = Instant::now();
    let first = host.connection.next_system_bytes();
    let (mut asked, mut answered) = (0, 0);
    while answered < BURST {
        while asked < BURST && asked - answered < IN_FLIGHT {
            host.connection.post(sf(1, 1), &[]).map_err(|error| format!("S1F1: {error}"))?;
            asked += 1;
        }
        reply(host, SystemBytes(first.0.wrapping_add(answered)), texts::MODEL)?;
        answered += 1;
    }
    Ok(start.elapsed())
}

fn second_session(host: &mut End<'_>) -> Result<(), String> {
    // Among the first things to come is what the equipment says to the data in front of our Select.req.
    host.reject(RejectReason::ENTITY_NOT_SELECTED)?;
    host.select()?;
    host.ask(sf(1, 1), &[], texts::MODEL)?;
    host.closed(CloseReason::SeparateReceived)
}

fn third_session(host: &mut End<'_>) -> Result<(), String> {
    host.select()?;
    let token = host.request(sf(6, 11), &texts::report(3, 1002))?;
    // No reply until the equipment has said that it waits no longer.
    let about =
        [&[0x21, 10][..], &Header::data(token.system(), token.primary(), true, token.session()).encode()].concat();
    host.primary(sf(9, 9), &about)?;
    host.reply(&token, texts::ACCEPTED)?;
    host.connection.disable();
    Ok(())
}
