//! The first program of the README.

use hsms_std::{Config, Connection, DeviceId, StreamFunction};
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:5000".into());
    let mut host = Connection::active(address, Config::host(DeviceId::try_from(0u16)?))?;
    host.select(std::time::Duration::from_secs(20))?;
    let reply = host.request(StreamFunction::new(1, 1), &[])?;
    println!("{} {:02x?}", reply.header, reply.body);
    Ok(host.close()?)
}
