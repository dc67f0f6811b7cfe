//! The equipment's part: it listens, and answers most of the questions.

use super::end::{End, sf};
use super::list::BURST;
use super::wire::Wire;
use super::{Direction, Played, communication, texts};
use hsms_std::core::connection::{Class, Stray};
use hsms_std::core::wire::{RejectReason, SType};
use hsms_std::{CloseReason, Config, Connection, Error, Header, Incoming, Options, SystemBytes, TransactionEnd};
use std::net::Ipv4Addr;
use std::time::Duration;

/// What the host leaves unanswered is given up after this.
const SHORT_T3: Duration = Duration::from_millis(300);

/// Plays the part: first with the usual T3, and after a restart with a short one.
pub fn play(wire: &Wire) -> Result<Played, String> {
    let config = super::patient(Config::equipment(super::DEVICE)).map_err(|error| error.to_string())?;
    let mut equipment = listen(wire, config, 0x1001)?;
    first_session(&mut equipment, wire)?;
    second_session(&mut equipment)?;
    wire.lead_to(None);
    equipment.connection.disable();
    let played = Played::default().and(equipment.connection.counters());
    drop(equipment);

    let config = config.with_t3(SHORT_T3).map_err(|error| error.to_string())?;
    let mut equipment = listen(wire, config, 0x2001)?;
    third_session(&mut equipment)?;
    Ok(played.and(equipment.connection.counters()))
}

fn listen(wire: &Wire, config: Config, first: u32) -> Result<End<'_>, String> {
    let options = Options::new().with_tell_control(true);
    let connection = Connection::with_options((Ipv4Addr::LOCALHOST, 0), config, options);
    let mut connection = connection.map_err(|error| error.to_string())?;
    connection.set_next_system_bytes(SystemBytes(first));
    wire.lead_to(connection.local_addr());
    Ok(End::new(connection, wire))
}

fn first_session(equipment: &mut End<'_>, wire: &Wire) -> Result<(), String> {
    communication::answer(equipment)?;
    equipment.ask(sf(6, 11), &texts::report(1, 1000), texts::ACCEPTED)?;

    equipment.control(SType::LINKTEST_REQ)?;
    equipment.linktest()?;

    equipment.serve(sf(7, 3), &texts::recipe(), texts::ACCEPTED)?;
    let token = equipment.request(sf(2, 41), texts::STOP)?;
    equipment.connection.abort(&token).map_err(|error| format!("abort: {error}"))?;

    // While the host waits for our reply, a primary of ours with the system bytes of its own.
    let token = equipment.request(sf(1, 3), texts::VARIABLE)?;
    equipment.connection.set_next_system_bytes(token.system());
    equipment.ask(sf(6, 11), &texts::report(2, 1001), texts::ACCEPTED)?;
    equipment.reply(&token, texts::VALUE)?;
    equipment.connection.set_next_system_bytes(SystemBytes(0x1101));

    equipment.rejected(RejectReason::STYPE_NOT_SUPPORTED)?;
    equipment.reject(RejectReason::PTYPE_NOT_SUPPORTED)?;
    wire.inject(Direction::ToEquipment, Header::linktest_rsp(SystemBytes(0xcccc)))?;
    equipment.rejected(RejectReason::TRANSACTION_NOT_OPEN)?;

    for _ in 0..BURST {
        equipment.serve(sf(1, 1), &[], texts::MODEL)?;
    }
    equipment.closed(CloseReason::SeparateReceived)
}

fn second_session(equipment: &mut End<'_>) -> Result<(), String> {
    equipment.rejected(RejectReason::ENTITY_NOT_SELECTED)?;
    equipment.serve(sf(1, 1), &[], texts::MODEL)
}

fn third_session(equipment: &mut End<'_>) -> Result<(), String> {
    equipment.select()?;
    match equipment.connection.request(sf(6, 11), &texts::report(3, 1002)) {
        Err(Error::NoReply { end: TransactionEnd::T3, .. }) => {}
        other => return Err(format!("nobody was to reply to S6F11: {other:?}")),
    }
    equipment.wait("the reply that comes too late", |incoming| match incoming {
        Incoming::Other { header, class: Class::Stray(Stray::Late), .. } => {
            (header.stream_function() == sf(6, 12)).then_some(())
        }
        _ => None,
    })?;
    equipment.closed(CloseReason::SeparateReceived)
}
