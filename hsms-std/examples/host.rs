//! A host for one terminal: connects, asks every few seconds, acknowledges what the equipment reports, and connects again
//! after every loss. `equipment.rs` is for another terminal.
//!
//! ```text
//! cargo run --example host -- [ADDRESS [DEVICE]] [--seconds N]
//! ```
//!
//! Dials 127.0.0.1:5000 for device 0 where nothing else is said. Ends after N seconds, or else when its input is closed.

use hsms_std::core::wire::Hex;
use hsms_std::{Config, Connection, Error, Incoming, State, StreamFunction};
use std::time::{Duration, Instant};

#[path = "common/arguments.rs"]
mod arguments;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = arguments::parse(std::env::args().skip(1))?;
    let host = Connection::active(arguments.address.clone(), Config::host(arguments.device))?;
    println!("device {} at {}, {}", arguments.device, arguments.address, arguments.end());
    run(host, Duration::from_secs(5), || arguments.go_on(), |line| println!("{line}"))?;
    println!("{}", arguments.ended());
    Ok(())
}

/// Talks to the equipment, as long as `go_on` says so.
pub fn run(
    mut host: Connection,
    period: Duration,
    go_on: impl Fn() -> bool,
    print: impl Fn(String),
) -> Result<(), Error> {
    let mut question_due = Instant::now() + period;
    while go_on() {
        match host.next(Duration::from_millis(100).min(period)) {
            Ok(Some(Incoming::Selected)) => {
                print("selected".to_owned());
                ask(&mut host, 1, 13, b"\x01\x00", &print); // <L>: establish communications
                ask(&mut host, 1, 1, b"", &print); // who are you
            }
            Ok(Some(Incoming::Primary { message, token })) => {
                print(format!("{message:?}: {}", Hex::bounded(message.body, 24)));
                // <B 0>: taken.
                if let Some(token) = token
                    && let Err(error) = host.reply(&token, b"\x21\x01\x00")
                {
                    print(format!("no reply: {error}"));
                }
            }
            Ok(Some(Incoming::Reply { message })) => {
                print(format!("{message:?}: {}", Hex::bounded(message.body, 24)));
            }
            Ok(Some(other)) => print(format!("{other:?}")),
            Ok(None) => {}
            // The connection has ended, and the next one follows.
            Err(error @ Error::WriteStalled { .. }) => print(error.to_string()),
            Err(error) => return Err(error),
        }
        if Instant::now() >= question_due && host.state() == State::Selected {
            question_due = Instant::now() + period;
            ask(&mut host, 1, 3, b"\x01\x01\xa9\x02\x00\x01", &print); // <L <U2 1>>: status variable 1
        }
    }
    host.close()
}

/// Asks, and does not wait: the reply comes out of `next`.
fn ask(host: &mut Connection, stream: u8, function: u8, text: &[u8], print: impl Fn(String)) {
    match host.post(StreamFunction::new(stream, function), text) {
        Ok(system) => print(format!("S{stream}F{function} sent, {system}")),
        Err(error) => print(format!("S{stream}F{function} not sent: {error}")),
    }
}
