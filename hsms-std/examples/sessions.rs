//! Two session entities on one connection (HSMS-GS): a cluster tool whose etcher and whose loader are selected, asked and let go
//! each by itself. Both ends run in this program, over loopback.
//!
//! ```text
//! cargo run --example sessions
//! ```

use hsms_std::core::connection::{General, SessionEntity};
use hsms_std::core::wire::SessionId;
use hsms_std::{CloseReason, Config, Connection, DeviceId, Error, Incoming, Options, StreamFunction};
use std::time::Duration;

const ETCHER: SessionId = SessionId(0x0001);
/// All sixteen bits are the entity's own.
const LOADER: SessionId = SessionId(0x8002);
const S1F1: StreamFunction = StreamFunction::new(1, 1);
const SOON: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let entities = [SessionEntity::offered(ETCHER), SessionEntity::offered(LOADER)];
    // HSMS-GS names entities; the device id is for peers that speak HSMS-SS, which this tool takes as well.
    let device = DeviceId::try_from(0u16)?;
    let sessions = General::<2>::new(&entities)?.or_single();
    let tool = Connection::<16, _>::general("127.0.0.1:0", Config::equipment(device), sessions, Options::new())?;
    let address = tool.local_addr().ok_or("no address")?;
    let equipment = std::thread::spawn(move || serve(tool));

    let wanted = [SessionEntity::wanted(ETCHER), SessionEntity { wanted: false, ..SessionEntity::wanted(LOADER) }];
    let sessions = General::<2>::new(&wanted)?;
    let mut host = Connection::<16, _>::general(address, Config::host(device), sessions, Options::new())?;
    // The etcher is selected by itself; this waits until it is.
    host.select_session(ETCHER, SOON)?;
    println!("host: the etcher says {}", ask(&mut host, ETCHER)?);
    println!("host: the loader: {}", host.request_in(LOADER, S1F1, &[]).unwrap_err());
    host.select_session(LOADER, SOON)?;
    println!("host: the loader says {}", ask(&mut host, LOADER)?);
    host.deselect_session(ETCHER)?;
    println!("host: selected are {:?}", host.selected_sessions().collect::<Vec<_>>());
    println!("host: the loader still says {}", ask(&mut host, LOADER)?);
    host.close()?;
    println!("equipment: {}", equipment.join().map_err(|_| "the equipment panicked")??);
    Ok(())
}

/// Asks an entity for its name.
fn ask(host: &mut Connection<16, General<2>>, session: SessionId) -> Result<String, Error> {
    let reply = host.request_in(session, S1F1, &[])?;
    // <A …>: format code, length, characters.
    Ok(String::from_utf8_lossy(reply.body.get(2..).unwrap_or_default()).into_owned())
}

/// Answers until the host has gone; gives why the connection ended.
fn serve(mut tool: Connection<16, General<2>>) -> Result<CloseReason, Error> {
    loop {
        match tool.next(Duration::MAX)? {
            Some(Incoming::Primary { message, token: Some(token) }) => {
                let name: &[u8] = if message.header.session == ETCHER { b"\x41\x06ETCHER" } else { b"\x41\x06LOADER" };
                tool.reply(&token, name)?;
            }
            Some(Incoming::Closed { reason, .. }) => return Ok(reason),
            Some(other) => println!("equipment: {other:?}"),
            None => {}
        }
    }
}
