//! A host that uses the services of `service_equipment.rs`, which is for another terminal: it reads, writes and executes, and ends.
//!
//! ```text
//! cargo run --features services --example service_host -- [ADDRESS [DEVICE]]
//! ```
//!
//! Dials 127.0.0.1:5000 for device 0 where nothing else is said. Where the environment has `HSMS_SECRET`, 16 octets at least, both ends have to prove it.

use hsms_std::services::{
    CommunicationSettings, Endpoint, Error, Identity, Secret, SecretTooShort, ServiceId, Settings, Status,
};
use hsms_std::{Config, Connection, DeviceId, StreamFunction};
use std::time::Duration;

/// How long each answer may take, with what has to come before it: the connection, trust, and so on.
const LIMIT: Duration = Duration::from_secs(20);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:5000".to_owned());
    let device = DeviceId::try_from(arguments.next().unwrap_or_else(|| "0".to_owned()).parse::<u16>()?)?;
    println!("device {device} at {address}");
    let link = Connection::active(address, Config::host(device))?;
    let host = Endpoint::new(link, settings(std::env::var("HSMS_SECRET").ok().as_deref())?)?;
    run(host, |line| println!("{line}"))?;
    Ok(())
}

/// With communication as GEM establishes it, and the name that the equipment gives the connection.
pub fn settings(secret: Option<&str>) -> Result<Settings, SecretTooShort> {
    let settings = Settings::new().with_communication(CommunicationSettings::new(Identity::Host));
    match secret {
        Some(secret) => Ok(settings.with_secret(Secret::new(secret.as_bytes())?)),
        None => Ok(settings),
    }
}

/// The whole conversation. The numbers are those of `service_equipment.rs`.
pub fn run(mut host: Endpoint, print: impl Fn(String)) -> Result<(), Error> {
    host.add_status(Status(7), "too hot")?;
    let temperature: f32 = host.send(ServiceId::READ, 1, &(), LIMIT)?.value()?;
    print(format!("{}: {temperature} degrees", host.name().unwrap_or("no name")));
    host.send(ServiceId::WRITE, 2, &180.0_f32, LIMIT)?;
    let way: Vec<f32> = host.send(ServiceId::EXECUTE, 3, &3_u8, LIMIT)?.value()?;
    print(format!("it settled by way of {way:?}"));
    for (what, outcome) in [
        ("300 degrees", host.send(ServiceId::WRITE, 2, &300.0_f32, LIMIT)),
        ("no number", host.send(ServiceId::WRITE, 2, "hot", LIMIT)),
        ("unknown", host.send(ServiceId::WRITE, 9, &1_u8, LIMIT)),
    ] {
        match outcome {
            Ok(_) => print(format!("{what}: accepted")),
            Err(error) => print(format!("{what}: {error}")),
        }
    }
    // Beside the services, SECS-II messages: S1F1, are you there.
    let identity = host.request(StreamFunction::new(1, 1), &[], LIMIT)?;
    print(format!("S1F2: {}", hsms_std::core::secs2::Sml::new(&identity)));
    host.close()
}
