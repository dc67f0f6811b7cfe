//! Equipment with services for one terminal: its temperature can be read and its set point written, and it executes a command.
//! `service_host.rs` is for another terminal.
//!
//! ```text
//! cargo run --features services --example service_equipment -- [ADDRESS [DEVICE]] [--seconds N]
//! ```
//!
//! Listens on 127.0.0.1:5000 as device 0 where nothing else is said. Where the environment has `HSMS_SECRET`, 16 octets at least, hosts have to
//! prove it. Ends after N seconds, or else when its input is closed.

use hsms_std::services::{
    CommunicationSettings, Endpoint, Error, Event, Identity, Pair, Returned, Secret, SecretTooShort, Settings, Status,
};
use hsms_std::{Config, Connection};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[path = "common/arguments.rs"]
mod arguments;

/// What can be read: a temperature in degrees.
pub const TEMPERATURE: u32 = 1;
/// What can be written: the set point, in degrees.
pub const SET_POINT: u32 = 2;
/// What can be executed: to settle, so many times; it tells the temperatures on the way.
pub const SETTLE: u32 = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = arguments::parse(std::env::args().skip(1))?;
    let link = Connection::passive(arguments.address.clone(), Config::equipment(arguments.device))?;
    let address = link.local_addr().map_or_else(|| arguments.address.clone(), |address| address.to_string());
    let tool = Endpoint::new(link, settings(std::env::var("HSMS_SECRET").ok().as_deref())?)?;
    println!("device {} on {address}, {}", arguments.device, arguments.end());
    run(tool, || arguments.go_on(), |line| println!("{line}"))?;
    println!("{}", arguments.ended());
    Ok(())
}

/// With a name, and communication as GEM establishes it; where there is a secret, hosts have to prove it first.
pub fn settings(secret: Option<&str>) -> Result<Settings, SecretTooShort> {
    let identity = Identity::Equipment { mdln: "OVEN", softrev: "1.0" };
    let communication = CommunicationSettings { begins: false, ..CommunicationSettings::new(identity) };
    let settings = Settings::new().with_name("oven").with_communication(communication);
    match secret {
        Some(secret) => Ok(settings.with_secret(Secret::new(secret.as_bytes())?)),
        None => Ok(settings),
    }
}

/// Serves one host after the other, as long as `go_on` says so.
pub fn run(mut tool: Endpoint, go_on: impl Fn() -> bool, print: impl Fn(String)) -> Result<(), Error> {
    offer(&mut tool)?;
    while go_on() {
        match tool.next(Duration::from_millis(100))? {
            Some(Event::Services(notice)) => print(notice.to_string()),
            Some(event) => print(format!("{event:?}")),
            None => {}
        }
    }
    tool.close()
}

/// Temperature and set point.
struct Oven {
    temperature: f32,
    set_point: f32,
}

fn offer(tool: &mut Endpoint) -> Result<(), Error> {
    let read = tool.add_service(10, 11, "read", "read response").map(|pair: Pair| pair.request())?;
    let write = tool.add_service(20, 21, "write", "write response")?.request();
    let execute = tool.add_service(30, 31, "execute", "execute response")?.request();
    tool.add_data(&[read], TEMPERATURE, "temperature")?;
    tool.add_data(&[read, write], SET_POINT, "set point")?;
    tool.add_data(&[execute], SETTLE, "settle")?;
    tool.add_status(Status(7), "too hot")?;

    let oven = Arc::new(Mutex::new(Oven { temperature: 20.0, set_point: 20.0 }));
    let lock = |oven: &Arc<Mutex<Oven>>| {
        let oven = Arc::clone(oven);
        move |act: &mut dyn FnMut(&mut Oven)| act(&mut oven.lock().unwrap_or_else(PoisonError::into_inner))
    };
    let with = lock(&oven);
    tool.on_request(Some(read), None, move |request| {
        let mut value = 0.0;
        let set_point = request.data_id() == SET_POINT;
        with(&mut |oven| value = if set_point { oven.set_point } else { oven.temperature });
        Ok(Returned::value(&value)?)
    })?;
    let with = lock(&oven);
    tool.on_request(Some(write), Some(SET_POINT), move |request| {
        // What is no number is a callback error, which `?` makes it.
        let wanted: f32 = request.value()?;
        if wanted > 250.0 {
            return Ok(Returned::status(Status(7)));
        }
        with(&mut |oven| oven.set_point = wanted);
        Ok(Returned::okay())
    })?;
    let with = lock(&oven);
    tool.on_request(Some(execute), Some(SETTLE), move |request| {
        let steps: u8 = request.value()?;
        let mut way = Vec::new();
        with(&mut |oven| {
            for _ in 0..steps {
                oven.temperature = f32::midpoint(oven.temperature, oven.set_point);
                way.push(oven.temperature);
            }
        });
        Ok(Returned::value(&way)?)
    })?;
    Ok(())
}
